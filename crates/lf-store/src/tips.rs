//! Which records new ones should link to (NODE.md §4): eligible ones with the fewest links to them, normally the tips.
//!
//! Only links from eligible records count: an attacker's records of low reputation must not make honest tips look used
//! and orphan them.

use crate::room::{has_room, push_tight, roomier, trade};

/// Records with this many linkers or more are all the same: they are linked only when nothing better is there.
const LINKERS_MAX: u8 = 4;
/// Marks a record that is not eligible; its linkers are counted all the same, as it may become so.
const INELIGIBLE: u8 = 0x80;
/// How far back the last resort looks for well-linked records.
const LAST_RESORT_RECORDS: usize = 4096;

/// Counts linkers and keeps the least linked records at hand. About five bytes a record.
#[derive(Debug, Default)]
pub(crate) struct Tips {
    /// Linkers of each record, [`LINKERS_MAX`] for more; and [`INELIGIBLE`].
    linkers: Vec<u8>,
    /// Each record's place in its bucket.
    slots: Vec<u32>,
    /// Eligible records by their number of linkers.
    buckets: [Vec<u32>; LINKERS_MAX as usize],
}

/// Roomier copies of arrays, see [`Tips::room`].
pub(crate) struct TipsRoom {
    linkers: Option<Vec<u8>>,
    slots: Option<Vec<u32>>,
}

impl Tips {
    /// Takes the state from a checkpoint: what [`Tips::linkers`] gave.
    pub(crate) fn restore(linkers: Vec<u8>) -> Self {
        let mut tips = Tips { slots: vec![0; linkers.len()], linkers, buckets: Default::default() };
        for (index, count) in tips.linkers.iter().enumerate() {
            if let Some(bucket) = tips.buckets.get_mut(*count as usize) {
                tips.slots[index] = bucket.len() as u32;
                bucket.push(index as u32);
            }
        }
        tips
    }

    pub(crate) fn linkers(&self) -> &[u8] {
        &self.linkers
    }

    /// Whether the next record can be pushed without moving what is millions of records long.
    pub(crate) fn has_room(&self) -> bool {
        has_room(&self.linkers, 1) && has_room(&self.slots, 1)
    }

    /// Room for more records, made beside readers.
    pub(crate) fn room(&self) -> TipsRoom {
        TipsRoom { linkers: roomier(&self.linkers, 1), slots: roomier(&self.slots, 1) }
    }

    /// Takes the room, at once; leaves what it replaces in it.
    pub(crate) fn take_room(&mut self, room: &mut TipsRoom) {
        trade(&mut self.linkers, &mut room.linkers);
        trade(&mut self.slots, &mut room.slots);
    }

    /// The next linked record, in the order of indexes; `links` are indexes of earlier ones.
    pub(crate) fn push(&mut self, links: &[u32], eligible: bool) {
        let index = self.linkers.len() as u32;
        push_tight(&mut self.linkers, if eligible { 0 } else { INELIGIBLE });
        push_tight(&mut self.slots, self.buckets[0].len() as u32);
        if !eligible {
            return;
        }
        self.buckets[0].push(index);
        for link in links {
            self.count(*link);
        }
    }

    /// A record that was not eligible becomes so; `links` are its links. Nothing happens to one that is.
    pub(crate) fn raise(&mut self, index: u32, links: &[u32]) {
        let Some(count) = self.linkers.get_mut(index as usize).filter(|n| **n & INELIGIBLE != 0) else {
            return;
        };
        *count &= !INELIGIBLE;
        if let Some(bucket) = self.buckets.get_mut(*count as usize) {
            self.slots[index as usize] = bucket.len() as u32;
            bucket.push(index);
        }
        for link in links {
            self.count(*link);
        }
    }

    fn count(&mut self, index: u32) {
        let Some(count) = self.linkers.get_mut(index as usize) else { return };
        if *count & INELIGIBLE != 0 {
            *count = (*count & !INELIGIBLE).saturating_add(1).min(LINKERS_MAX) | INELIGIBLE;
            return;
        }
        if *count >= LINKERS_MAX {
            return;
        }
        let from = *count as usize;
        *count += 1;
        let to = *count as usize;
        let slot = self.slots[index as usize] as usize;
        self.buckets[from].swap_remove(slot);
        if let Some(moved) = self.buckets[from].get(slot) {
            self.slots[*moved as usize] = slot as u32;
        }
        if let Some(bucket) = self.buckets.get_mut(to) {
            self.slots[index as usize] = bucket.len() as u32;
            bucket.push(index);
        }
    }

    /// Up to `count` indexes, all different. `random(n)` gives a number below n.
    pub(crate) fn pick(&self, count: usize, mut random: impl FnMut(u64) -> u64) -> Vec<u32> {
        let mut picked: Vec<u32> = Vec::with_capacity(count);
        for bucket in &self.buckets {
            let need = count - picked.len();
            if bucket.len() <= need {
                picked.extend_from_slice(bucket);
                continue;
            }
            // Floyd's sampling: `need` different slots, each equally likely.
            let mut slots: Vec<usize> = Vec::with_capacity(need);
            for top in bucket.len() - need..bucket.len() {
                let slot = random(top as u64 + 1) as usize;
                slots.push(if slots.contains(&slot) { top } else { slot });
            }
            picked.extend(slots.iter().map(|s| bucket[*s]));
            return picked;
        }
        let recent = self.linkers.iter().enumerate().rev().take(LAST_RESORT_RECORDS);
        let well_linked = recent.filter(|(_, count)| **count == LINKERS_MAX).map(|(index, _)| index as u32);
        picked.extend(well_linked.take(count - picked.len()));
        picked
    }

    /// How many eligible records nothing links to yet.
    pub(crate) fn count_unlinked(&self) -> usize {
        self.buckets[0].len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn restored_tips_are_full_and_get_room_beside_readers() {
        let mut tips = Tips::restore(vec![0; 1_000].into_boxed_slice().into_vec());
        assert!(!tips.has_room());
        let mut room = tips.room();
        tips.take_room(&mut room);
        assert!(tips.has_room());
        let capacities = (tips.linkers.capacity(), tips.slots.capacity());
        tips.push(&[0, 999], true);
        assert_eq!((tips.linkers.capacity(), tips.slots.capacity()), capacities);
        assert_eq!((tips.linkers[0], tips.linkers[999], tips.count_unlinked()), (1, 1, 999));
    }

    proptest! {
        /// Against the definition: sort eligible records by linkers, take the fewest.
        #[test]
        fn picks_the_least_linked(
            records in proptest::collection::vec((any::<bool>(), any::<bool>(), proptest::collection::vec(any::<u32>(), 0..5)), 1..80),
            count in 1usize..16,
            seed: u64,
        ) {
            let mut tips = Tips::default();
            let mut all_links = Vec::new();
            for (index, (eligible, _, links)) in records.iter().enumerate() {
                let mut links: Vec<u32> =
                    links.iter().filter(|_| index > 0).map(|l| l % (index as u32).max(1)).collect();
                links.sort_unstable();
                links.dedup();
                tips.push(&links, *eligible);
                all_links.push(links);
            }
            let mut tips = if seed % 2 == 0 { Tips::restore(tips.linkers().to_vec()) } else { tips };
            // Some become eligible later, some of those that are already are told so again.
            for (index, (_, raised, _)) in records.iter().enumerate().filter(|(_, r)| r.1) {
                prop_assert!(*raised);
                tips.raise(index as u32, &all_links[index]);
            }
            let tips = if seed % 3 == 0 { Tips::restore(tips.linkers().to_vec()) } else { tips };
            let is_eligible = |index: usize| records[index].0 || records[index].1;
            let mut linkers: Vec<Option<u32>> = (0..records.len()).map(|i| is_eligible(i).then_some(0)).collect();
            for (_, links) in all_links.iter().enumerate().filter(|(index, _)| is_eligible(*index)) {
                for l in links {
                    if let Some(n) = &mut linkers[*l as usize] {
                        *n += 1;
                    }
                }
            }
            let mut state = seed;
            let picked = tips.pick(count, |n| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 33) % n
            });
            let mut unique = picked.clone();
            unique.sort_unstable();
            unique.dedup();
            prop_assert_eq!(unique.len(), picked.len());
            let mut best: Vec<u32> = linkers.iter().flatten().map(|n| (*n).min(4)).collect();
            best.sort_unstable();
            best.truncate(count);
            let mut got: Vec<u32> = Vec::new();
            for p in &picked {
                let n = linkers[*p as usize];
                prop_assert!(n.is_some(), "picked an ineligible record");
                got.extend(n.map(|n| n.min(4)));
            }
            got.sort_unstable();
            prop_assert_eq!(got, best);
        }
    }
}
