//! A record's data as zone files have it, for the types that are served. Names in it are absolute; the final dot may be
//! left out, unless there is an origin to put behind.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use hickory_proto::rr::rdata::svcb::{
    Alpn, EchConfigList, IpHint, Mandatory, SvcParamKey, SvcParamValue, Unknown,
};
use hickory_proto::rr::rdata::{A, AAAA, CAA, CNAME, HTTPS, MX, PTR, SRV, SVCB, TLSA, TXT};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::DomainName;
use crate::text::{Word, quoted};

mod service;

/// The types that are stored and served. SOA and NS of a zone are made by the server.
pub const TYPES: [RecordType; 11] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::CAA,
    RecordType::CNAME,
    RecordType::HTTPS,
    RecordType::MX,
    RecordType::PTR,
    RecordType::SRV,
    RecordType::SVCB,
    RecordType::TLSA,
    RecordType::TXT,
];

/// The highest number of a type that is served: CAA's.
pub const TYPE_NUMBER_MAX: u16 = 257;

const STRING_BYTES_MAX: usize = 255;

/// Why data cannot be what its type says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DataError(String);

impl DataError {
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        DataError(problem.into())
    }
}

/// The type with this name, if it is one that is stored.
///
/// # Errors
/// It is another, or none at all.
pub fn type_named(name: &str) -> Result<RecordType, DataError> {
    let upper = name.to_ascii_uppercase();
    let found = TYPES.into_iter().find(|ty| ty.to_string() == upper);
    found.ok_or_else(|| {
        let names: Vec<_> = TYPES.iter().map(ToString::to_string).collect();
        let shown: String = upper.chars().filter(char::is_ascii_graphic).take(20).collect();
        match upper.as_str() {
            "SOA" | "NS" => DataError(format!("{upper} is made by the server, not stored")),
            _ => DataError(format!("type {shown} is not one of {}", names.join(", "))),
        }
    })
}

/// Words of one record, taken one by one.
pub(crate) struct Words<'a> {
    words: std::slice::Iter<'a, Word>,
    origin: Option<&'a DomainName>,
}

impl<'a> Words<'a> {
    fn word(&mut self, what: &str) -> Result<&'a Word, DataError> {
        self.words.next().ok_or_else(|| DataError(format!("{what} is missing")))
    }

    fn text(&mut self, what: &str) -> Result<&'a str, DataError> {
        self.word(what)?.text().ok_or_else(|| DataError(format!("{what} is not ASCII")))
    }

    fn number<T: FromStr>(&mut self, what: &str) -> Result<T, DataError> {
        number(self.text(what)?, what)
    }

    fn name(&mut self, what: &str) -> Result<Name, DataError> {
        let text = self.text(what)?;
        let name = match self.origin {
            Some(origin) => relative_name(text, origin),
            None => text.parse::<DomainName>().map_err(|e| DataError(e.to_string())),
        };
        Ok(name.map_err(|e| DataError(format!("{what}: {e}")))?.to_wire())
    }
}

/// A decimal number without sign.
fn number<T: FromStr>(text: &str, what: &str) -> Result<T, DataError> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number.ok_or_else(|| DataError(format!("{what} {text:?} is not a number it can be")))
}

/// A name of a zone file: `@` is the origin, and what does not end in a dot is below it.
///
/// # Errors
/// No such name.
pub fn relative_name(text: &str, origin: &DomainName) -> Result<DomainName, DataError> {
    if text == "@" {
        return Ok(origin.clone());
    }
    let absolute = if text.ends_with('.') { text.to_owned() } else { format!("{text}.{}", origin.as_str()) };
    absolute.parse().map_err(|e: crate::name::NameError| DataError(e.to_string()))
}

/// Reads the data of one record.
///
/// # Errors
/// It is not what the type wants, or has words too many.
pub fn parse(ty: RecordType, words: &[Word], origin: Option<&DomainName>) -> Result<RData, DataError> {
    let mut words = Words { words: words.iter(), origin };
    let data = match ty {
        RecordType::A => RData::A(A(address(words.text("address")?, "IPv4")?)),
        RecordType::AAAA => RData::AAAA(AAAA(address(words.text("address")?, "IPv6")?)),
        RecordType::CNAME => RData::CNAME(CNAME(words.name("target")?)),
        RecordType::PTR => RData::PTR(PTR(words.name("target")?)),
        RecordType::MX => RData::MX(MX::new(words.number("preference")?, words.name("exchange")?)),
        RecordType::SRV => RData::SRV(SRV::new(
            words.number("priority")?,
            words.number("weight")?,
            words.number("port")?,
            words.name("target")?,
        )),
        RecordType::TXT => txt(&mut words)?,
        RecordType::CAA => caa(&mut words)?,
        RecordType::TLSA => tlsa(&mut words)?,
        RecordType::SVCB => RData::SVCB(service::parse(&mut words)?),
        RecordType::HTTPS => RData::HTTPS(HTTPS(service::parse(&mut words)?)),
        _ => return Err(DataError(format!("type {ty} is not stored"))),
    };
    match words.words.next() {
        None => Ok(data),
        Some(_) => Err(DataError::new("more words than the type has")),
    }
}

fn address<T: FromStr>(text: &str, kind: &str) -> Result<T, DataError> {
    text.parse().map_err(|_| DataError(format!("{text:?} is no {kind} address")))
}

fn txt(words: &mut Words<'_>) -> Result<RData, DataError> {
    let strings: Vec<&[u8]> = words.words.by_ref().map(|word| word.bytes.as_slice()).collect();
    if strings.is_empty() {
        return Err(DataError::new("text is missing"));
    }
    if strings.iter().any(|string| string.len() > STRING_BYTES_MAX) {
        return Err(DataError::new("a string has more than 255 bytes; write it as several"));
    }
    Ok(RData::TXT(TXT::from_bytes(strings)))
}

/// Text that stands for itself, as the one TXT record it should be: strings of at most 255 bytes in quotes.
pub fn text_as_txt(text: &[u8]) -> String {
    if text.is_empty() {
        return quoted(b"");
    }
    text.chunks(STRING_BYTES_MAX).map(quoted).collect::<Vec<_>>().join(" ")
}

fn caa(words: &mut Words<'_>) -> Result<RData, DataError> {
    let flags: u8 = words.number("flags")?;
    let tag = words.text("tag")?;
    if tag.is_empty() || tag.len() > STRING_BYTES_MAX || !tag.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(DataError(format!("tag {tag:?} is not letters and digits")));
    }
    let mut caa = CAA::new_issue(flags & 0x80 != 0, None, vec![]);
    caa.reserved_flags = flags & 0x7f;
    caa.tag = tag.to_ascii_lowercase();
    caa.value = words.word("value")?.bytes.clone();
    Ok(RData::CAA(caa))
}

fn tlsa(words: &mut Words<'_>) -> Result<RData, DataError> {
    let mut field = |what| words.number::<u8>(what);
    let (usage, selector, matching) = (field("usage")?, field("selector")?, field("matching type")?);
    let mut hex = String::new();
    for word in words.words.by_ref() {
        hex.push_str(word.text().unwrap_or("?"));
    }
    let data = unhex(&hex).filter(|data| !data.is_empty());
    let data = data.ok_or_else(|| DataError::new("the association is not hexadecimal"))?;
    Ok(RData::TLSA(TLSA::new(usage.into(), selector.into(), matching.into(), data)))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let pair = |[high, low]: &[u8; 2]| Some(digit(high)? << 4 | digit(low)?);
    if rest.is_empty() { pairs.iter().map(pair).collect() } else { None }
}

/// The data as zone files have it: what [`parse`] reads as the same again.
pub fn show(data: &RData) -> String {
    match data {
        RData::A(a) => a.0.to_string(),
        RData::AAAA(a) => a.0.to_string(),
        RData::CNAME(name) => show_name(name),
        RData::PTR(name) => show_name(name),
        RData::MX(mx) => format!("{} {}", mx.preference, show_name(&mx.exchange)),
        RData::SRV(srv) => {
            format!("{} {} {} {}", srv.priority, srv.weight, srv.port, show_name(&srv.target))
        }
        RData::TXT(txt) => txt.txt_data.iter().map(|s| quoted(s)).collect::<Vec<_>>().join(" "),
        RData::CAA(caa) => format!("{} {} {}", caa.flags(), caa.tag, quoted(&caa.value)),
        RData::TLSA(tlsa) => {
            let (usage, selector, matching) =
                (u8::from(tlsa.cert_usage), u8::from(tlsa.selector), u8::from(tlsa.matching));
            let mut out = format!("{usage} {selector} {matching} ");
            for byte in &tlsa.cert_data {
                let _ = write!(out, "{byte:02x}");
            }
            out
        }
        RData::SVCB(svcb) => service::show(svcb),
        RData::HTTPS(https) => service::show(&https.0),
        other => other.to_string(),
    }
}

fn show_name(name: &Name) -> String {
    DomainName::from_wire(name).map_or_else(|| name.to_ascii(), |name| name.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hickory_proto::rr::Record;
    use hickory_proto::serialize::binary::{BinDecodable as _, BinEncodable as _};
    use proptest::prelude::*;

    use super::*;
    use crate::text::lines;

    fn read(ty: RecordType, text: &str) -> Result<RData, DataError> {
        parse(ty, &lines(text).unwrap().first().map(|line| line.words.clone()).unwrap_or_default(), None)
    }

    /// What is read, shown, and read again; and what a message makes of it.
    fn shown(ty: &str, text: &str) -> String {
        let ty = type_named(ty).unwrap();
        let data = read(ty, text).unwrap();
        let shown = show(&data);
        assert_eq!(read(ty, &shown).unwrap(), data, "{shown}");
        let record = Record::from_rdata(Name::root(), 5, data);
        assert_eq!(Record::from_bytes(&record.to_bytes().unwrap()).unwrap(), record, "{shown}");
        shown
    }

    #[test]
    fn each_type() {
        assert_eq!(shown("A", "192.0.2.1"), "192.0.2.1");
        assert_eq!(shown("AAAA", "2001:DB8:0::1"), "2001:db8::1");
        assert_eq!(shown("CNAME", "Web.Example.lf"), "web.example.lf.");
        assert_eq!(shown("PTR", "web.example.lf."), "web.example.lf.");
        assert_eq!(shown("MX", "10 mx.example.lf"), "10 mx.example.lf.");
        assert_eq!(shown("MX", "0 ."), "0 .");
        assert_eq!(shown("SRV", "1 2 443 web.example.lf"), "1 2 443 web.example.lf.");
        assert_eq!(shown("TXT", r#""v=spf1 -all" more \"x"#), r#""v=spf1 -all" "more" "\"x""#);
        assert_eq!(shown("TXT", "\"\""), "\"\"");
        assert_eq!(shown("CAA", "128 Issue \"ca.example; a=b\""), "128 issue \"ca.example; a=b\"");
        assert_eq!(shown("TLSA", "3 1 1 AB cd"), "3 1 1 abcd");
        assert_eq!(shown("HTTPS", "0 web.example.lf"), "0 web.example.lf.");
        let all = "1 . mandatory=alpn,port alpn=h2,h3 no-default-alpn port=8443 ipv4hint=192.0.2.1,192.0.2.2 \
                   ech=AAEC ipv6hint=2001:db8::1 key667=\"a b\"";
        assert_eq!(shown("SVCB", all), all.replace("=\"a b\"", "=\"a\\032b\"").replace("\\032", " "));
        assert_eq!(shown("HTTPS", "1 . port=1 alpn=\"h2\""), "1 . alpn=h2 port=1");
    }

    #[test]
    fn what_is_refused() {
        for (ty, text) in [
            (RecordType::A, "192.0.2.1.5"),
            (RecordType::A, "192.0.2.1 x"),
            (RecordType::AAAA, "192.0.2.1"),
            (RecordType::CNAME, ""),
            (RecordType::CNAME, "a..b"),
            (RecordType::MX, "mx.example.lf"),
            (RecordType::MX, "+1 mx.example.lf"),
            (RecordType::MX, "65536 mx.example.lf"),
            (RecordType::SRV, "1 2 web.example.lf"),
            (RecordType::TXT, ""),
            (RecordType::CAA, "0 is-sue x"),
            (RecordType::TLSA, "3 1 1"),
            (RecordType::TLSA, "3 1 1 abc"),
            (RecordType::TLSA, "3 1 1 xy"),
            (RecordType::HTTPS, "1 . port=x"),
            (RecordType::HTTPS, "1 . port=1 port=2"),
            (RecordType::HTTPS, "1 . ipv4hint="),
            (RecordType::HTTPS, "1 . alpn=,"),
            (RecordType::HTTPS, "1 . no-default-alpn=x"),
            (RecordType::HTTPS, "1 . unheard=of"),
            (RecordType::HTTPS, "1 . mandatory=port"),
            (RecordType::HTTPS, "0 . port=1"),
            (RecordType::NS, "ns.example.lf"),
        ] {
            assert!(read(ty, text).is_err(), "{ty} {text}");
        }
        assert!(read(RecordType::TXT, &"x".repeat(256)).is_err());
        assert_eq!(type_named("ns").unwrap_err().to_string(), "NS is made by the server, not stored");
        assert!(type_named("bogus").is_err());
        assert!(
            TYPES
                .iter()
                .all(|ty| u16::from(*ty) <= TYPE_NUMBER_MAX && type_named(&ty.to_string()) == Ok(*ty))
        );
    }

    #[test]
    fn names_relative_to_an_origin() {
        let origin: DomainName = "example.lf".parse().unwrap();
        let name = |text| relative_name(text, &origin).map(|name| name.to_string());
        assert_eq!(name("@").unwrap(), "example.lf.");
        assert_eq!(name("www").unwrap(), "www.example.lf.");
        assert_eq!(name("www.other.").unwrap(), "www.other.");
        assert!(name("").is_err());
        let words = &lines("5 mx").unwrap()[0].words.clone();
        assert_eq!(show(&parse(RecordType::MX, words, Some(&origin)).unwrap()), "5 mx.example.lf.");
    }

    proptest! {
        #[test]
        fn any_text_becomes_a_txt_record(text: Vec<u8>) {
            let data = read(RecordType::TXT, &text_as_txt(&text)).unwrap();
            let RData::TXT(txt) = &data else { panic!() };
            prop_assert_eq!(txt.txt_data.concat(), text);
            prop_assert_eq!(read(RecordType::TXT, &show(&data)).unwrap(), data);
        }

        #[test]
        fn what_is_read_is_shown_and_read_again(ty in 0..TYPES.len(), text in "[ -~]{0,60}") {
            let lines = lines(&text).unwrap_or_default();
            if let Some(Ok(data)) = lines.first().map(|line| parse(TYPES[ty], &line.words, None)) {
                prop_assert_eq!(read(TYPES[ty], &show(&data)).unwrap(), data.clone());
                prop_assert!(Record::from_rdata(Name::root(), 5, data).to_bytes().is_ok());
            }
        }
    }
}
