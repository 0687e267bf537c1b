//! The records of one type under one name, as they are stored: text, a line `TTL DATA` for each.

use std::collections::BTreeMap;

use hickory_proto::rr::{RData, RecordType};

use crate::DomainName;
use crate::data::{self, DataError};
use crate::text::{self, Word};

/// A longer value is none: what is made of it must fit into a message.
pub const VALUE_BYTES_MAX: usize = 16 << 10;
/// More records of a type a name cannot have.
pub const RECORDS_MAX: usize = 256;
/// RFC 2181 §8.
pub const TTL_SECONDS_MAX: u32 = (1 << 31) - 1;

/// Records of one type under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RrSet {
    /// How long they may be kept, seconds. The lowest that was written counts for all.
    pub ttl: u32,
    /// Their data, one or more, all of the same type.
    pub data: Vec<RData>,
}

/// Why a value is no set of records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RrSetError(String);

impl RrSet {
    /// Reads a stored value. None for an empty one: that is how a set is deleted.
    ///
    /// # Errors
    /// Lines that are not `TTL DATA` of this type, or more of them than there may be.
    pub fn from_value(ty: RecordType, value: &[u8]) -> Result<Option<Self>, RrSetError> {
        if value.len() > VALUE_BYTES_MAX {
            return Err(RrSetError(format!("{} bytes are more than {VALUE_BYTES_MAX}", value.len())));
        }
        let text = std::str::from_utf8(value).map_err(|_| RrSetError("not UTF-8".to_owned()))?;
        let lines = text::lines(text).map_err(|e| RrSetError(e.to_string()))?;
        let mut records = Vec::with_capacity(lines.len().min(RECORDS_MAX));
        for line in &lines {
            let error = |e: DataError| RrSetError(format!("line {}: {e}", line.number));
            let (ttl, words) = line.words.split_first().ok_or_else(|| error(DataError::new("empty")))?;
            let ttl = ttl_of(ttl)
                .ok_or_else(|| error(DataError::new("it does not begin with a TTL in seconds")))?;
            records.push((ttl, data::parse(ty, words, None).map_err(error)?));
        }
        Self::new(ty, records)
    }

    /// A set of these records, without duplicates; None if there are none.
    ///
    /// # Errors
    /// More records than there may be.
    pub fn new(ty: RecordType, records: Vec<(u32, RData)>) -> Result<Option<Self>, RrSetError> {
        let Some(ttl) = records.iter().map(|(ttl, _)| *ttl).min() else { return Ok(None) };
        if records.len() > RECORDS_MAX {
            return Err(RrSetError(format!("{} records are more than {RECORDS_MAX}", records.len())));
        }
        let mut data: Vec<RData> = Vec::with_capacity(records.len());
        for (_, record) in records {
            if !data.contains(&record) {
                data.push(record);
            }
        }
        if ty == RecordType::CNAME && data.len() > 1 {
            return Err(RrSetError("a name has only one CNAME".to_owned()));
        }
        Ok(Some(RrSet { ttl, data }))
    }

    /// The value that is stored.
    pub fn to_value(&self) -> String {
        self.data.iter().map(|data| format!("{} {}\n", self.ttl, data::show(data))).collect()
    }
}

/// A TTL: seconds, or as zone files also have it, `1h30m`.
pub fn ttl_of(word: &Word) -> Option<u32> {
    let text = word.text().filter(|_| !word.quoted)?;
    let ttl = hickory_proto::serialize::txt::parse_ttl(text).ok()?;
    (ttl <= TTL_SECONDS_MAX).then_some(ttl)
}

/// What a name has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameRecords {
    /// Its records, by the type's number.
    pub sets: BTreeMap<u16, RrSet>,
    /// Whether the name is there without any, because names below it are: ordinal 0.
    pub marked: bool,
}

impl NameRecords {
    /// Whether there is such a name.
    pub fn exists(&self) -> bool {
        self.marked || !self.sets.is_empty()
    }

    /// Its records of a type.
    pub fn of(&self, ty: RecordType) -> Option<&RrSet> {
        self.sets.get(&u16::from(ty))
    }
}

/// What is written under ordinal 0 of a name that only has names below it.
pub const MARK: &str = "exists\n";

/// The selector of a name's records of one type, as an argument of `lf get`.
pub fn selector(name: &DomainName, ty: RecordType) -> String {
    format!("{}#{}", name.selector_name(), u16::from(ty))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn set(ty: RecordType, value: &str) -> Result<Option<RrSet>, RrSetError> {
        RrSet::from_value(ty, value.as_bytes())
    }

    #[test]
    fn values() {
        let two =
            set(RecordType::A, "300 192.0.2.1\n 60\t192.0.2.2 ; here\n\n1h 192.0.2.1").unwrap().unwrap();
        assert_eq!((two.ttl, two.data.len()), (60, 2));
        assert_eq!(two.to_value(), "60 192.0.2.1\n60 192.0.2.2\n");
        assert_eq!(set(RecordType::A, &two.to_value()), Ok(Some(two)));
        for empty in ["", "\n", " ; nothing\n"] {
            assert_eq!(set(RecordType::A, empty), Ok(None));
        }
    }

    #[test]
    fn what_is_no_value() {
        let error = |ty, value: &str| set(ty, value).unwrap_err().to_string();
        assert_eq!(error(RecordType::A, "192.0.2.1"), "line 1: it does not begin with a TTL in seconds");
        assert_eq!(error(RecordType::A, "1 192.0.2.1\n1 x"), "line 2: \"x\" is no IPv4 address");
        assert!(error(RecordType::A, "2147483648 192.0.2.1").contains("TTL"));
        assert!(error(RecordType::A, "-1 192.0.2.1").contains("TTL"));
        assert!(error(RecordType::CNAME, "1 a.lf\n1 b.lf").contains("only one CNAME"));
        assert!(error(RecordType::A, &"1 192.0.2.1\n".repeat(257)).contains("more than 256"));
        assert!(error(RecordType::TXT, &"1 x\n".repeat(5000)).contains("more than 16384"));
        assert!(RrSet::from_value(RecordType::TXT, b"1 \xff").is_err());
        // Nothing in a value reads files or changes what follows.
        for directive in ["$INCLUDE /etc/passwd", "$ORIGIN lf.", "$TTL 5"] {
            assert!(set(RecordType::TXT, directive).is_err(), "{directive}");
        }
    }

    proptest! {
        #[test]
        fn no_value_panics(ty in 0..data::TYPES.len(), value in "([0-9]{1,3} [ -~]{0,40}\n){0,4}") {
            let ty = data::TYPES[ty];
            if let Ok(Some(set)) = RrSet::from_value(ty, value.as_bytes()) {
                prop_assert_eq!(RrSet::from_value(ty, set.to_value().as_bytes()), Ok(Some(set)));
            }
        }
    }
}
