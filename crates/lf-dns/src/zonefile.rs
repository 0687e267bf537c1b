//! Zone files (RFC 1035 §5): names, their types and data, with `$ORIGIN` and `$TTL`. `$INCLUDE` is not read.

use std::collections::BTreeMap;

use hickory_proto::rr::{RData, RecordType};

use crate::data::{self, DataError};
use crate::text::{self, Line, Word};
use crate::{DomainName, RrSet, rrset};

/// Why a zone file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ZoneFileError(String);

/// What a zone file has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ZoneFile {
    /// Its sets of records.
    pub sets: BTreeMap<(DomainName, u16), RrSet>,
    /// Names that are there only for others below them.
    pub empty: Vec<DomainName>,
    /// Lines of types that the server makes itself: SOA, and NS at the top.
    pub left_out: Vec<usize>,
}

/// Reads a zone file of a zone.
///
/// # Errors
/// The first thing that is wrong, with its line.
pub fn read(text: &str, zone: &DomainName) -> Result<ZoneFile, ZoneFileError> {
    let lines = text::lines(text).map_err(|e| ZoneFileError(e.to_string()))?;
    let mut state = State { zone, origin: zone.clone(), owner: None, default_ttl: None, last_ttl: None };
    let mut found: BTreeMap<(DomainName, u16), Vec<(u32, RData)>> = BTreeMap::new();
    let mut file = ZoneFile::default();
    for line in &lines {
        let entry = state.line(line).map_err(|e| ZoneFileError(format!("line {}: {e}", line.number)))?;
        match entry {
            Entry::Record(name, ty, ttl, data) => {
                found.entry((name, u16::from(ty))).or_default().push((ttl, *data));
            }
            Entry::LeftOut => file.left_out.push(line.number),
            Entry::Directive => {}
        }
    }
    for ((name, ty), records) in found {
        let error = |e: rrset::RrSetError| ZoneFileError(format!("{name} {}: {e}", RecordType::from(ty)));
        if let Some(set) = RrSet::new(RecordType::from(ty), records).map_err(error)? {
            file.sets.insert((name, ty), set);
        }
    }
    file.empty = empty_names(zone, file.sets.keys().map(|(name, _)| name));
    Ok(file)
}

/// The names between the zone and those that have records, which have none themselves.
fn empty_names<'a>(
    zone: &DomainName,
    names: impl Iterator<Item = &'a DomainName> + Clone,
) -> Vec<DomainName> {
    let there: std::collections::BTreeSet<_> = names.clone().collect();
    let mut empty = std::collections::BTreeSet::new();
    for name in names {
        let above = std::iter::successors(name.parent(), DomainName::parent);
        let above = above.take_while(|above| above != zone && above.is_within(zone));
        empty.extend(above.filter(|above| !there.contains(above)));
    }
    empty.into_iter().collect()
}

enum Entry {
    Record(DomainName, RecordType, u32, Box<RData>),
    LeftOut,
    Directive,
}

struct State<'a> {
    zone: &'a DomainName,
    origin: DomainName,
    owner: Option<DomainName>,
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
}

impl State<'_> {
    fn line(&mut self, line: &Line) -> Result<Entry, DataError> {
        let mut words = line.words.as_slice();
        let plain = |word: &Word| word.text().filter(|_| !word.quoted).map(str::to_owned);
        let first = words.first().and_then(plain).unwrap_or_default();
        if first.starts_with('$') {
            self.directive(&first, words.get(1))?;
            return Ok(Entry::Directive);
        }
        if !line.indented {
            let name =
                words.first().and_then(Word::text).ok_or_else(|| DataError::new("a name is not ASCII"))?;
            let name = data::relative_name(name, &self.origin)?;
            if !name.is_within(self.zone) {
                return Err(DataError::new(format!("{name} is not within {}", self.zone)));
            }
            self.owner = Some(name);
            words = words.get(1..).unwrap_or_default();
        }
        let owner = self.owner.clone().ok_or_else(|| DataError::new("the first record needs a name"))?;
        // TTL and class, in any order, then the type. Where there is neither, a type is first.
        let mut ttl = None;
        loop {
            let (word, rest) = words.split_first().ok_or_else(|| DataError::new("a type is missing"))?;
            words = rest;
            let text = plain(word).unwrap_or_default();
            if ttl.is_none() && rrset::ttl_of(word).is_some() {
                ttl = rrset::ttl_of(word);
            } else if !text.eq_ignore_ascii_case("IN") {
                return self.record(owner, &text, ttl, words);
            }
        }
    }

    fn record(
        &mut self,
        owner: DomainName,
        ty: &str,
        ttl: Option<u32>,
        words: &[Word],
    ) -> Result<Entry, DataError> {
        self.last_ttl = ttl.or(self.last_ttl);
        let made_by_server = ty.eq_ignore_ascii_case("SOA") || ty.eq_ignore_ascii_case("NS");
        if made_by_server && owner == *self.zone {
            return Ok(Entry::LeftOut);
        }
        let ty = data::type_named(ty)?;
        let ttl = ttl.or(self.default_ttl).or(self.last_ttl);
        let ttl = ttl.ok_or_else(|| DataError::new("a TTL is missing, and there is no $TTL"))?;
        Ok(Entry::Record(owner, ty, ttl, Box::new(data::parse(ty, words, Some(&self.origin))?)))
    }

    fn directive(&mut self, directive: &str, argument: Option<&Word>) -> Result<(), DataError> {
        let missing = || DataError::new(format!("{directive} needs something behind it"));
        match directive {
            "$ORIGIN" => {
                let name = argument.and_then(Word::text).ok_or_else(missing)?;
                self.origin = data::relative_name(name, &self.origin)?;
            }
            "$TTL" => self.default_ttl = Some(argument.and_then(rrset::ttl_of).ok_or_else(missing)?),
            _ => return Err(DataError::new(format!("{directive} is not read; only $ORIGIN and $TTL are"))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn zone() -> DomainName {
        "example.lf".parse().unwrap()
    }

    #[test]
    fn a_zone() {
        let text = "$TTL 1h
@   IN SOA ns hostmaster ( 2026010100 ; serial
        3600 600 86400 60 )
    IN NS ns
@   300 IN MX 10 mail
    IN 300 TXT \"v=spf1 mx -all\"
www A 192.0.2.1
    A 192.0.2.2
    AAAA 2001:db8::1
$ORIGIN deep.down.example.lf.
a   CNAME www.example.lf.
_443._tcp 60 TLSA 3 1 1 abcd
";
        let file = read(text, &zone()).unwrap();
        let shown: Vec<String> = file
            .sets
            .iter()
            .map(|((name, ty), set)| {
                format!("{name} {} {}", RecordType::from(*ty), set.to_value().trim_end())
            })
            .collect();
        assert_eq!(
            shown,
            [
                "_443._tcp.deep.down.example.lf. TLSA 60 3 1 1 abcd",
                "a.deep.down.example.lf. CNAME 3600 www.example.lf.",
                "example.lf. MX 300 10 mail.example.lf.",
                "example.lf. TXT 300 \"v=spf1 mx -all\"",
                "www.example.lf. A 3600 192.0.2.1\n3600 192.0.2.2",
                "www.example.lf. AAAA 3600 2001:db8::1",
            ]
        );
        assert_eq!(file.left_out, [2, 4]);
        let empty: Vec<_> = file.empty.iter().map(ToString::to_string).collect();
        assert_eq!(empty, ["_tcp.deep.down.example.lf.", "deep.down.example.lf.", "down.example.lf."]);
    }

    #[test]
    fn errors_name_the_line() {
        let error = |text: &str| read(text, &zone()).unwrap_err().to_string();
        assert_eq!(error("$INCLUDE /etc/passwd"), "line 1: $INCLUDE is not read; only $ORIGIN and $TTL are");
        assert_eq!(error("\n  A 192.0.2.1"), "line 2: the first record needs a name");
        assert_eq!(error("www A 192.0.2.1"), "line 1: a TTL is missing, and there is no $TTL");
        assert_eq!(error("www.other. 5 A 192.0.2.1"), "line 1: www.other. is not within example.lf.");
        assert_eq!(error("www 5 A x"), "line 1: \"x\" is no IPv4 address");
        assert_eq!(error("sub 5 NS ns.other."), "line 1: NS is made by the server, not stored");
        assert_eq!(error("www 5 CH A 192.0.2.1").split(" is not").next().unwrap(), "line 1: type CH");
        assert!(error("www 5 CNAME a\nwww 5 CNAME b").contains("www.example.lf. CNAME: a name has only one"));
        assert!(error("www 5 IN").contains("a type is missing"));
        assert!(error("$TTL").contains("needs something"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String, words in proptest::collection::vec("[$@a-zA-Z0-9. \n();\"\\\\]{0,9}", 0..30)) {
            let _ = read(&text, &zone());
            let _ = read(&words.join(" "), &zone());
        }
    }
}
