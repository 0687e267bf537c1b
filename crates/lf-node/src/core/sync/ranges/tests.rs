#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

struct Known(Vec<Hash>);

impl Hashes for Known {
    fn hash(&self, index: u32) -> Result<Hash, IndexError> {
        Ok(self.0[index as usize])
    }
}

/// A hash whose first bytes are often those of others.
fn hash(number: u16, crowded: bool) -> Hash {
    let mut hash: [u8; 32] = Sha256::digest(number.to_le_bytes()).into();
    if crowded {
        hash[..6].fill(7);
    }
    Hash(hash)
}

fn fill(records: &[(u8, u16, bool)]) -> (Ranges, Known, Vec<Bound>) {
    let (mut ranges, mut known, mut model) = (Ranges::default(), Known(Vec::new()), BTreeSet::new());
    for (timestamp, number, crowded) in records {
        let (timestamp, hash) = (u64::from(*timestamp), hash(*number, *crowded));
        if model.insert(Bound::of(timestamp, &hash)) {
            known.0.push(hash);
            ranges.push(timestamp, &hash, &known).unwrap();
        }
    }
    (ranges, known, model.into_iter().collect())
}

fn model_summary(model: &[Bound], lower: &Bound, upper: &Bound) -> Summary {
    let mut summary = Summary::default();
    model.iter().filter(|b| lower <= b && *b < upper).for_each(|b| summary.add_hash(&Hash(b.hash)));
    summary
}

proptest! {
    #[test]
    fn ranges_are_what_a_sorted_list_is(
        records in proptest::collection::vec((any::<u8>(), any::<u16>(), any::<bool>()), 0..1500),
        places in proptest::collection::vec((any::<u8>(), any::<u16>(), any::<bool>()), 0..20),
        parts in 1u64..40,
    ) {
        let (ranges, known, model) = fill(&records);
        prop_assert_eq!(ranges.count(), model.len() as u64);
        let mut bounds: Vec<Bound> =
            places.iter().map(|(t, n, c)| Bound::of(u64::from(*t), &hash(*n, *c))).collect();
        bounds.extend(model.first());
        bounds.extend([Bound::START, Bound::END]);
        bounds.sort_unstable();
        let summaries = ranges.summaries(&bounds, &known).unwrap();
        for (pair, summary) in bounds.windows(2).zip(summaries) {
            prop_assert_eq!(summary, model_summary(&model, &pair[0], &pair[1]));
            let span = Span { lower: pair[0], upper: pair[1] };
            let found: Vec<[u8; 32]> =
                ranges.indexes(&span, &known).unwrap().map(|i| known.0[i as usize].0).collect();
            let expected: Vec<[u8; 32]> =
                model.iter().filter(|b| span.contains(b)).map(|b| b.hash).collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(
                ranges.rank(&pair[0], &known).unwrap(),
                model.iter().filter(|b| **b < pair[0]).count() as u64
            );
        }
        let cuts = ranges.split(0, ranges.count(), parts, &known).unwrap();
        prop_assert!(cuts.windows(2).all(|pair| pair[0] < pair[1]));
        for cut in &cuts {
            prop_assert!(model.first().unwrap() < cut && cut <= model.last().unwrap());
        }
        if ranges.count() >= parts && ranges.count() / parts < 128 {
            prop_assert_eq!(cuts.len() as u64, parts - 1);
        }
    }
}

#[test]
fn records_in_order_fill_buckets_and_blocks() {
    let (mut ranges, mut known) = (Ranges::default(), Known(Vec::new()));
    for number in 0..40_000u32 {
        let hash = Hash(Sha256::digest(number.to_le_bytes()).into());
        known.0.push(hash);
        ranges.push(u64::from(number / 3), &hash, &known).unwrap();
    }
    let buckets: usize = ranges.blocks.iter().map(|block| block.buckets.len()).sum();
    assert!(buckets < 40_000 / 16, "{buckets} buckets");
    assert!(ranges.blocks.iter().all(|block| block.buckets.len() <= BLOCK_BUCKETS_MAX));
    let cuts = ranges.split(0, 40_000, 16, &known).unwrap();
    assert_eq!(cuts.len(), 15);
    let mut bounds = vec![Bound::START];
    bounds.extend(cuts);
    bounds.push(Bound::END);
    let counts: Vec<u64> = ranges.summaries(&bounds, &known).unwrap().iter().map(|s| s.count).collect();
    assert_eq!(counts.iter().sum::<u64>(), 40_000);
    assert!(counts.iter().all(|count| count.abs_diff(2_500) <= 64), "{counts:?}");
}

#[test]
fn fingerprints_tell_salts_and_contents_apart() {
    let (mut one, mut two) = (Summary::default(), Summary::default());
    one.add_hash(&hash(1, false));
    two.add_hash(&hash(2, false));
    assert_ne!(one.fingerprint(&[0; 8]), two.fingerprint(&[0; 8]));
    assert_ne!(one.fingerprint(&[0; 8]), one.fingerprint(&[1; 8]));
    assert_ne!(short_id(&[0; 8], &hash(1, false)), short_id(&[1; 8], &hash(1, false)));
    let (mut ab, mut ba) = (one, two);
    ab.add(&two);
    ba.add(&one);
    assert_eq!(ab.fingerprint(&[3; 8]), ba.fingerprint(&[3; 8]));
}

#[test]
fn the_place_after_a_record_is_the_next() {
    let last = Hash([0xff; 32]);
    assert_eq!(Bound::after(7, &last), Bound { timestamp: 8, hash: [0; 32] });
    let one = hash(1, false);
    assert!(Bound::of(7, &one) < Bound::after(7, &one));
}
