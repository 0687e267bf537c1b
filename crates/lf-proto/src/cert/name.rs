//! Distinguished names: the serialNumber attribute, by which LF finds issuers and owners, and a text for people.

use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::Tag;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::name::Name;

/// The serialNumber attribute.
pub(super) const SERIAL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.5");

/// The attributes that are shown, in the order in which names are written, with their short names.
pub(super) const ATTRIBUTES: [(&str, ObjectIdentifier); 8] = [
    ("C", ObjectIdentifier::new_unwrap("2.5.4.6")),
    ("ST", ObjectIdentifier::new_unwrap("2.5.4.8")),
    ("L", ObjectIdentifier::new_unwrap("2.5.4.7")),
    ("STREET", ObjectIdentifier::new_unwrap("2.5.4.9")),
    ("POSTALCODE", ObjectIdentifier::new_unwrap("2.5.4.17")),
    ("O", ObjectIdentifier::new_unwrap("2.5.4.10")),
    ("OU", ObjectIdentifier::new_unwrap("2.5.4.11")),
    ("CN", ObjectIdentifier::new_unwrap("2.5.4.3")),
];

/// The most characters of a name's text.
const TEXT_CHARACTERS_MAX: usize = 256;

/// One attribute of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAttribute {
    /// Its object identifier.
    pub oid: Vec<u32>,
    /// Its text.
    pub text: String,
}

/// All attributes that are text, in order.
pub(super) fn attributes(name: &Name) -> Vec<NameAttribute> {
    let one = |attribute: &AttributeTypeAndValue| {
        Some(NameAttribute { oid: attribute.oid.arcs().collect(), text: text(attribute)? })
    };
    name.iter().filter_map(one).collect()
}

/// The text of the serialNumber attribute, if there is exactly one: two would leave open whom it names.
pub(super) fn serial_number(name: &Name) -> Option<String> {
    let mut found = name.iter().filter(|attribute| attribute.oid == SERIAL_NUMBER);
    let text = text(found.next()?)?;
    found.next().is_none().then_some(text)
}

/// A name for people: `CN=Alice, O=Org, C=US`, the most specific first, empty parts and the serialNumber left out,
/// characters that do not print replaced, at most 256 characters.
pub(super) fn display(name: &Name) -> String {
    let part = |attribute: &AttributeTypeAndValue| {
        let (short, _) = ATTRIBUTES.iter().find(|(_, oid)| *oid == attribute.oid)?;
        let text = text(attribute).filter(|text| !text.is_empty())?;
        Some(format!("{short}={text}"))
    };
    let mut parts: Vec<_> = name.iter().filter_map(part).collect();
    parts.reverse();
    let text = parts.join(", ");
    let printable = |c: char| if c.is_control() || is_format(c) { '\u{fffd}' } else { c };
    let mut shown: String = text.chars().take(TEXT_CHARACTERS_MAX).map(printable).collect();
    if text.chars().nth(TEXT_CHARACTERS_MAX).is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

/// Invisible characters and those that turn the direction of text, with which a name could look like another.
fn is_format(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// An attribute's text; None if it is not of a type of text. What is not valid in it is replaced.
fn text(attribute: &AttributeTypeAndValue) -> Option<String> {
    use x509_cert::der::Tagged;
    let bytes = attribute.value.value();
    match attribute.value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::VisibleString | Tag::NumericString => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
        Tag::TeletexString => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        Tag::BmpString => {
            let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            Some(char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect())
        }
        _ => None,
    }
}
