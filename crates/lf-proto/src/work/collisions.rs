//! The birthday table: which collider was last seen near a residue. Shared by all workers of a search.
//!
//! It may forget and it may lie (24 bits of the residue are all it compares): whoever gets a pair out of it
//! has to compute both hashes. So plain atomic words without any order between them do, and no lock is
//! needed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{
    COLLIDER_END,
    simd::{Words, prefetch},
};

/// Entries a bucket: one cache line.
const WAYS: usize = 8;

/// Entry: 40-bit collider below, 24-bit tag above; 0 is empty (collider 0 with tag 0 is never found again).
type Bucket = [AtomicU64; WAYS];

/// The size of a bucket in bytes.
pub(super) const BUCKET_BYTES: usize = size_of::<Bucket>();

/// Buckets of colliders by residue.
pub(super) struct Collisions(Words);

impl Collisions {
    /// A table of at most so many bytes, but one bucket at least.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self(Words::zeroed((bytes_max / BUCKET_BYTES).max(1) * WAYS))
    }

    /// How many colliders it holds at most.
    pub(super) fn entries_max(&self) -> usize {
        self.0.words().len()
    }

    #[inline(always)]
    fn bucket(&self, residue: u64) -> &Bucket {
        let (buckets, _) = self.0.words().as_chunks();
        // Multiplicative hashing spreads any range of residues over all buckets.
        let mixed = residue.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &buckets[((u128::from(mixed) * buckets.len() as u128) >> 64) as usize]
    }

    /// Has a residue's bucket brought into the cache for when [`Self::exchange`] comes for it.
    #[inline(always)]
    pub(super) fn prefetch(&self, residue: u64) {
        prefetch(self.bucket(residue));
    }

    /// Looks for other colliders of this residue, then remembers the given one. Returns a likely partner.
    #[inline(always)]
    pub(super) fn exchange(&self, residue: u64, collider: u64) -> Option<u64> {
        let bucket = self.bucket(residue);
        let entry = residue << 40 | collider;
        // No early exit: reading all eight costs less than guessing where to stop.
        let (mut free, mut partner) = (None, None);
        for (way, place) in bucket.iter().enumerate() {
            let seen = place.load(Relaxed);
            if seen == 0 {
                free = Some(way);
            } else if seen >> 40 == entry >> 40 && seen != entry {
                partner = Some(seen & (COLLIDER_END - 1));
            }
        }
        let way = free.unwrap_or((collider % WAYS as u64) as usize);
        bucket[way].store(entry, Relaxed);
        partner
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_table_has_one_bucket_at_least_and_no_more_bytes_than_allowed() {
        assert_eq!(Collisions::new(0).entries_max(), WAYS);
        assert_eq!(Collisions::new(10 * BUCKET_BYTES + 63).entries_max(), 10 * WAYS);
    }

    #[test]
    fn a_full_bucket_goes_on() {
        let table = Collisions::new(0);
        for collider in 1..=100 {
            assert_eq!(table.exchange(collider, collider), None);
        }
        assert_eq!(table.exchange(100, 7), Some(100));
    }

    proptest! {
        /// With room for all, it finds exactly the pairs that a map finds.
        #[test]
        fn finds_what_a_map_finds(entries in prop::collection::vec((0u64..6, 1u64..COLLIDER_END), 0..8)) {
            let table = Collisions::new(4096);
            let mut model: Vec<(u64, u64)> = Vec::new();
            for (residue, collider) in entries {
                let partners: Vec<u64> =
                    model.iter().filter(|(r, c)| *r == residue && *c != collider).map(|(_, c)| *c).collect();
                match table.exchange(residue, collider) {
                    Some(partner) => prop_assert!(partners.contains(&partner)),
                    None => prop_assert!(partners.is_empty()),
                }
                model.push((residue, collider));
            }
        }
    }
}
