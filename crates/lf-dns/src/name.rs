//! Domain names in the one form that is stored: lower case, without the final dot. What cannot be written so is no name
//! that could be found.

use std::fmt;
use std::str::FromStr;

use hickory_proto::rr::Name;

/// The longest name, as text without the final dot.
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// A name: labels of lower-case letters, digits, `-`, `_` and `/`, or `*` as the first; empty for the root.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(String);

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no domain name: {problem}")]
pub struct NameError {
    name: String,
    problem: &'static str,
}

fn label_problem(label: &[u8]) -> Option<&'static str> {
    let good = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'/');
    match label {
        [] => Some("a label is empty"),
        b"*" => None,
        label if label.len() > LABEL_BYTES_MAX => Some("a label has more than 63 bytes"),
        label if label.iter().all(good) => None,
        _ => Some("a label has other characters than letters, digits, -, _ and /"),
    }
}

impl DomainName {
    /// The root, above all names.
    pub fn root() -> Self {
        DomainName(String::new())
    }

    /// A name from a message; None if it has characters that stored names cannot have.
    pub fn from_wire(name: &Name) -> Option<Self> {
        let mut text = String::with_capacity(name.len());
        for label in name {
            if label_problem(label).is_some() {
                return None;
            }
            if !text.is_empty() {
                text.push('.');
            }
            text.extend(label.iter().map(|b| char::from(b.to_ascii_lowercase())));
        }
        DomainName(text).checked().ok()
    }

    /// The name as messages have it.
    pub fn to_wire(&self) -> Name {
        // A checked name is always one.
        let mut name = Name::from_labels(self.labels().map(str::as_bytes)).unwrap_or_default();
        name.set_fqdn(true);
        name
    }

    /// The text without the final dot; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Under which name LF has the records.
    pub fn selector_name(&self) -> String {
        format!("dns/{}", self.0)
    }

    /// The labels, first to last; none for the root.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.0.split('.').filter(|label| !label.is_empty())
    }

    /// Whether this is `zone` or below it.
    pub fn is_within(&self, zone: &DomainName) -> bool {
        let below = || self.0.strip_suffix(zone.as_str()).is_some_and(|rest| rest.ends_with('.'));
        zone.0.is_empty() || self == zone || below()
    }

    /// The name without its first label; None for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        Some(DomainName(self.0.split_once('.').map_or("", |(_, rest)| rest).to_owned()))
    }

    /// The name with another label before it, if that is not too long.
    pub fn child(&self, label: &str) -> Option<Self> {
        let dot = if self.0.is_empty() { "" } else { "." };
        format!("{label}{dot}{}", self.0).parse().ok()
    }

    fn checked(self) -> Result<Self, NameError> {
        let error = |problem| NameError { name: self.0.chars().take(300).collect(), problem };
        if self.0.is_empty() {
            return Ok(self);
        }
        if self.0.len() > NAME_BYTES_MAX {
            return Err(error("it has more than 253 bytes"));
        }
        for (i, label) in self.0.split('.').enumerate() {
            if let Some(problem) = label_problem(label.as_bytes()) {
                return Err(error(problem));
            }
            if i > 0 && label == "*" {
                return Err(error("* may only be the first label"));
            }
        }
        Ok(self)
    }
}

impl FromStr for DomainName {
    type Err = NameError;

    /// Reads a name with or without the final dot, in any case. What is not ASCII becomes `xn--`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let ascii = if text.is_ascii() {
            text.to_ascii_lowercase()
        } else {
            let wire = Name::from_utf8(text);
            let error =
                |_| NameError { name: text.chars().take(300).collect(), problem: "it has no ASCII form" };
            wire.map_err(error)?.to_ascii().to_ascii_lowercase()
        };
        if text.is_empty() {
            return Err(NameError { name: String::new(), problem: "it is empty" });
        }
        let name = ascii.strip_suffix('.').unwrap_or(&ascii);
        DomainName(name.to_owned()).checked()
    }
}

impl fmt::Display for DomainName {
    /// With the final dot, as in zone files.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    #[test]
    fn one_form() {
        assert_eq!(name("WWW.Example.LF."), name("www.example.lf"));
        assert_eq!(name("bücher.example").as_str(), "xn--bcher-kva.example");
        assert_eq!(name(".").to_string(), ".");
        assert_eq!(name("_25._tcp.mx.lf").selector_name(), "dns/_25._tcp.mx.lf");
        let long = format!("{}.lf", "a".repeat(64));
        let longer = "a.".repeat(128);
        for bad in ["", "..", "a..b", ".a", "a b", "a\\.b", "a#b", "a.*.b", &long, &longer] {
            assert!(bad.parse::<DomainName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn above_and_below() {
        let zone = name("example.lf");
        assert!(name("a.example.lf").is_within(&zone) && zone.is_within(&zone));
        assert!(!name("anexample.lf").is_within(&zone) && !name("lf").is_within(&zone));
        assert!(zone.is_within(&DomainName::root()));
        assert_eq!(name("a.example.lf").parent().unwrap(), zone);
        assert_eq!(name("lf").parent().unwrap(), DomainName::root());
        assert_eq!(DomainName::root().parent(), None);
        assert_eq!(zone.child("*").unwrap(), name("*.example.lf"));
        assert_eq!(zone.child(&"x".repeat(63)).and_then(|n| n.child(&"y".repeat(200))), None);
    }

    #[test]
    fn odd_names_of_messages_are_none() {
        for odd in [&b"a.b"[..], b"\xff", b"a b", b"\0", b"*x"] {
            assert_eq!(DomainName::from_wire(&Name::from_labels([odd, b"lf"]).unwrap()), None);
        }
        assert_eq!(DomainName::from_wire(&Name::root()), Some(DomainName::root()));
    }

    proptest! {
        #[test]
        fn text_and_wire_say_the_same(labels in proptest::collection::vec("[a-zA-Z0-9_/-]{1,20}", 0..12)) {
            let text = format!("{}.", labels.join("."));
            if let Ok(name) = text.parse::<DomainName>() {
                prop_assert_eq!(DomainName::from_wire(&name.to_wire()), Some(name.clone()));
                prop_assert_eq!(name.to_string().parse::<DomainName>().unwrap(), name.clone());
                prop_assert_eq!(name.labels().count(), labels.len());
            }
        }

        #[test]
        fn no_text_panics(text: String) {
            if let Ok(name) = text.parse::<DomainName>() {
                prop_assert_eq!(name.to_string().parse::<DomainName>().unwrap(), name);
            }
        }
    }
}
