#![allow(clippy::unwrap_used)]

use crate::owner::{OwnerSecret, OwnerType};
use crate::record::{RecordBuilder, RecordType};
use proptest::prelude::*;

use super::*;

fn record(value: u8, timestamp: u64) -> Record {
    let owner = OwnerSecret::from_seed(OwnerType::Ed25519, b"wire");
    let builder = RecordBuilder {
        record_type: RecordType::Datum,
        value: &[value; 20],
        masking_key: Some(b""),
        selectors: &[],
        links: &[],
        timestamp,
        with_pulse_token: false,
    };
    builder.build(&owner).unwrap().sign(&owner, None)
}

fn bound() -> impl Strategy<Value = Bound> {
    let hash = (any::<[u8; 32]>(), 0usize..=32).prop_map(|(mut hash, length)| {
        hash[length..].fill(0);
        hash
    });
    prop_oneof![
        8 => (0u64..1 << 40, hash).prop_map(|(timestamp, hash)| Bound { timestamp, hash }),
        1 => Just(Bound::END),
    ]
}

fn bounds(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Bound>> {
    proptest::collection::btree_set(bound(), count).prop_map(|set| set.into_iter().collect())
}

fn content() -> impl Strategy<Value = Option<Content>> {
    prop_oneof![
        Just(None),
        Just(Some(Content { count: 0, fingerprint: [0; 4] })),
        (1u64..u64::MAX, any::<[u8; 4]>())
            .prop_map(|(count, fingerprint)| Some(Content { count, fingerprint })),
    ]
}

fn parts(bounds: &[Bound], contents: &[Option<Content>]) -> Vec<Part> {
    bounds
        .iter()
        .zip(contents.iter().cycle())
        .map(|(upper, content)| Part { upper: *upper, content: *content })
        .collect()
}

proptest! {
    #[test]
    fn messages_read_as_they_were_written(
        salt in any::<[u8; 8]>(),
        bounds in bounds(2..40),
        contents in proptest::collection::vec(content(), 1..20),
        ids in proptest::collection::vec(any::<[u8; 4]>(), 0..HAVE_MAX),
        hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..20),
        numbers in any::<[u64; 2]>(),
    ) {
        let ranges = bounds
            .chunks_exact(2)
            .map(|pair| Wanted { span: Span { lower: pair[0], upper: pair[1] }, have: ids.clone() });
        for question in [
            Question::Compare { salt, lower: bounds[0], parts: parts(&bounds[1..], &contents) },
            Question::Fetch { salt, ranges: ranges.collect() },
            Question::Records { hashes: hashes.into_iter().map(Hash).collect() },
            Question::Hint,
        ] {
            prop_assert_eq!(Question::decode(&question.encode()), Ok(question));
        }
        let (split, marks) = bounds.split_at(bounds.len() / 2);
        let differing = vec![
            (0, Difference::Split(parts(&split[1..], &contents))),
            (7, Difference::Fetch { count: numbers[0], marks: marks.to_vec() }),
            (8, Difference::Fetch { count: 0, marks: Vec::new() }),
        ];
        for answer in [
            Answer::Compared { total: numbers[1], differing },
            Answer::Fetched { records: vec![record(1, 5), record(2, 6)], complete: 3, rest: Some(bounds[0]), lacking: 4 },
            Answer::Fetched { records: Vec::new(), complete: 0, rest: None, lacking: 0 },
            Answer::Records { records: vec![record(3, 7)] },
            Answer::Noted,
            Answer::Busy,
        ] {
            prop_assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
        }
    }

    #[test]
    fn junk_is_refused_or_is_canonical(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0u8..7) {
        let mut bytes = bytes;
        bytes.insert(0, kind);
        if let Ok(question) = Question::decode(&bytes) {
            prop_assert_eq!(question.encode(), bytes.clone());
        }
        if let Ok(answer) = Answer::decode(&bytes) {
            prop_assert_eq!(answer.encode(), bytes.clone());
        }
        if let Ok(gossip) = Gossip::decode(&bytes) {
            prop_assert_eq!(gossip.encode(), bytes);
        }
    }
}

#[test]
fn gossip_is_one_record_or_whole_pulses() {
    let gossip = Gossip::Record(Box::new(record(1, 1)));
    assert_eq!(Gossip::decode(&gossip.encode()), Ok(gossip.clone()));
    let mut long = gossip.encode();
    long.push(0);
    assert!(Gossip::decode(&long).is_err());
    let mut bytes = [1; 11];
    bytes[8..].copy_from_slice(&[0, 0, 9]);
    let pulse = Pulse::from_bytes(&bytes).unwrap();
    let pulses = Gossip::Pulses(vec![pulse; PULSES_MAX]);
    assert!(pulses.encode().len() <= GOSSIP_BYTES_MAX);
    assert_eq!(Gossip::decode(&pulses.encode()), Ok(pulses));
    assert!(Gossip::decode(&Gossip::Pulses(vec![pulse; PULSES_MAX + 1]).encode()).is_err());
    assert!(Gossip::decode(&[GOSSIP_PULSES]).is_err());
}

#[test]
fn counts_do_not_allocate_what_is_not_there() {
    // A question that says it has 16,384 parts, and ends.
    assert_eq!(
        Question::decode(&[COMPARE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x80, 0x01]),
        Err(WireError::Truncated("parts"))
    );
    assert_eq!(Question::decode(&[RECORDS, 0xff, 0xff, 0x7f]), Err(WireError::Number("hashes")));
}
