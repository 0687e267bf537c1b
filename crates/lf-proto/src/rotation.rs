//! Rotation of an owner's key: a statement by the old key that a new one has taken its place.
//!
//! A record of type 5, without selectors, owned and so signed by the old key. Its value, masked with the empty key, is the
//! public bytes of the new owner. To programs that do not know the type it is a record like any without meaning. What
//! queries make of it is the node's; the new key says that it agrees by writing the records that it takes over.

use crate::masking;
use crate::owner::OwnerPublic;
use crate::record::{Record, RecordType};

/// "The owner of this record goes on as another one."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// The old owner, whose statement it is.
    pub predecessor: OwnerPublic,
    /// The new owner.
    pub successor: OwnerPublic,
}

impl Rotation {
    /// The statement that a record makes; `None` if it makes none, or names its own owner.
    pub fn of(record: &Record) -> Option<Self> {
        if record.record_type() != RecordType::Rotation || !record.selectors().is_empty() {
            return None;
        }
        let predecessor = *record.owner();
        let plain = masking::unmask(record.stored_value(), record.timestamp(), b"", record.owner()).ok()?;
        let successor = OwnerPublic::from_bytes(&plain).ok()?;
        (successor != predecessor).then_some(Rotation { predecessor, successor })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::owner::{OwnerSecret, OwnerType};
    use crate::record::RecordBuilder;

    fn record(owner: &OwnerSecret, record_type: RecordType, value: &[u8], name: Option<&[u8]>) -> Record {
        let selectors: Vec<(&[u8], u64)> = name.into_iter().map(|name| (name, 0)).collect();
        let builder = RecordBuilder {
            record_type,
            value,
            masking_key: Some(b""),
            selectors: &selectors,
            links: &[],
            timestamp: 1_000,
            with_pulse_token: false,
        };
        builder.build(owner).unwrap().sign(owner, None)
    }

    #[test]
    fn a_statement_names_both_owners() {
        let secret = |seed: &[u8]| OwnerSecret::from_seed(OwnerType::P224, seed);
        let (old, new) = (secret(b"old"), secret(b"new"));
        let value = new.public().as_bytes();
        let good = record(&old, RecordType::Rotation, value, None);
        let expected = Rotation { predecessor: *old.public(), successor: *new.public() };
        assert_eq!(Rotation::of(&good), Some(expected));
        assert_eq!(Record::decode(good.as_bytes()).unwrap().record_type(), RecordType::Rotation);
        for other in [
            record(&old, RecordType::Datum, value, None),
            record(&old, RecordType::Rotation, value, Some(b"a name")),
            record(&old, RecordType::Rotation, b"nobody", None),
            record(&old, RecordType::Rotation, b"", None),
            record(&old, RecordType::Rotation, old.public().as_bytes(), None),
        ] {
            assert_eq!(Rotation::of(&other), None);
        }
    }
}
