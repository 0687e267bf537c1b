//! Durable facts of the store's own, as the log has them (docs/src/FORMAT.md, "Payloads").

use lf_proto::owner::OwnerPublic;

const NAME_HELD: u8 = 1;

/// What an entry of kind [`crate::log::EntryKind::Event`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// 1: a contested id was given to one of the rivals, for good (NODE.md §3).
    NameHeld {
        /// The records' id.
        id: [u8; 32],
        /// Who holds it from here on.
        owner: OwnerPublic,
    },
}

impl Event {
    /// The payload.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Event::NameHeld { id, owner } = self;
        [&[NAME_HELD][..], id, owner.as_bytes()].concat()
    }

    /// Reads a payload; `None` is an event of a later version, which is passed over.
    ///
    /// # Errors
    /// Why it is not what it begins as.
    pub(crate) fn decode(payload: &[u8]) -> Result<Option<Event>, &'static str> {
        match payload {
            [NAME_HELD, rest @ ..] => {
                let (id, owner) = rest.split_first_chunk::<32>().ok_or("event entry is too short")?;
                let owner = OwnerPublic::from_bytes(owner).map_err(|_| "event entry names no owner")?;
                Ok(Some(Event::NameHeld { id: *id, owner }))
            }
            [] => Err("event entry is empty"),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_their_bytes_and_later_ones_are_passed_over() {
        for owner in [vec![7; 14], vec![7; 24], vec![7; 32]] {
            let Ok(owner) = OwnerPublic::from_bytes(&owner) else { continue };
            let event = Event::NameHeld { id: [9; 32], owner };
            let bytes = event.encode();
            assert_eq!(bytes.first(), Some(&1));
            assert_eq!(Event::decode(&bytes), Ok(Some(event)));
            assert!(Event::decode(&bytes[..20]).is_err());
            assert!(Event::decode(&bytes[..40]).is_err());
        }
        assert_eq!(Event::decode(&[2, 1, 1]), Ok(None));
        assert!(Event::decode(&[]).is_err());
    }
}
