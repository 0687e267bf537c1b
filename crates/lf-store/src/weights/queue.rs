//! A priority queue of record indexes: newest (highest) first, and an index that is already in is not added again.
//!
//! A tree of bit sets, four levels of 64 each: a bit of a higher level says that the word below is not zero (but of the
//! word that is being emptied, it may say so for longer). Push and pop touch one word mostly, four at most, of which the
//! upper ones are always cached; a heap would need a set beside it to drop duplicates.

const LEVELS: usize = 4;

/// The queue. All operations are constant time up to 2²⁴ records, and look at one more word for each 2²⁴ beyond.
#[derive(Clone, Debug, Default)]
pub(super) struct NewestFirst {
    levels: [Vec<u64>; LEVELS],
    /// A word of the lowest level, with nothing in the words above it.
    current: usize,
}

impl NewestFirst {
    /// Makes room for the indexes below `records`. Must come before pushing them.
    pub(super) fn make_room(&mut self, records: u32) {
        if self.levels[0].len() * 64 >= records as usize {
            return;
        }
        // In steps, so that this is rare; an eighth ahead, like everything that grows with the records.
        let mut words = (records as usize + records as usize / 8).div_ceil(64).next_multiple_of(64);
        for level in &mut self.levels {
            level.reserve_exact(words - level.len());
            level.resize(words, 0);
            words = words.div_ceil(64);
        }
    }

    /// Adds an index.
    #[inline]
    pub(super) fn push(&mut self, index: u32) {
        let mut bit = index as usize;
        if bit / 64 > self.current {
            self.leave();
            self.current = bit / 64;
        }
        for level in &mut self.levels {
            let word = &mut level[bit / 64];
            let was_empty = *word == 0;
            *word |= 1 << (bit % 64);
            if !was_empty {
                return; // the levels above know already
            }
            bit /= 64;
        }
    }

    /// Takes the highest index out.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<u32> {
        let mut word = *self.levels[0].get(self.current)?;
        if word == 0 {
            self.leave();
            let top = &self.levels[LEVELS - 1];
            let mut position = top.iter().rposition(|&word| word != 0)?;
            for level in self.levels[1..].iter().rev() {
                position = position * 64 + highest_bit(level[position]);
            }
            self.current = position;
            word = self.levels[0][position];
        }
        let bit = highest_bit(word);
        self.levels[0][self.current] = word & !(1 << bit);
        u32::try_from(self.current * 64 + bit).ok()
    }

    /// Makes the upper levels say what they have to of the current word.
    fn leave(&mut self) {
        let mut position = self.current;
        for level in 0..LEVELS - 1 {
            if self.levels[level].get(position).is_none_or(|&word| word != 0) {
                return;
            }
            if let Some(above) = self.levels[level + 1].get_mut(position / 64) {
                *above &= !(1 << (position % 64));
            }
            position /= 64;
        }
    }

    /// Takes everything out.
    pub(super) fn clear(&mut self) {
        while self.pop().is_some() {}
    }

    /// Bytes of memory in use.
    pub(super) fn memory_bytes(&self) -> usize {
        self.levels.iter().map(|level| level.capacity() * 8).sum()
    }
}

/// Position of the highest bit of a word that is not zero.
#[inline]
fn highest_bit(word: u64) -> usize {
    debug_assert_ne!(word, 0, "a set bit above an empty word");
    (63 - word.leading_zeros()) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::NewestFirst;

    proptest! {
        #[test]
        fn behaves_like_an_ordered_set(operations in prop::collection::vec(prop::option::of(0u32..400_000), 1..300)) {
            let mut queue = NewestFirst::default();
            queue.make_room(400_000);
            let mut model = BTreeSet::new();
            for operation in operations {
                match operation {
                    Some(index) => {
                        queue.push(index);
                        model.insert(index);
                    }
                    None => prop_assert_eq!(queue.pop(), model.pop_last()),
                }
            }
            while let Some(index) = model.pop_last() {
                prop_assert_eq!(queue.pop(), Some(index));
            }
            prop_assert_eq!(queue.pop(), None);
        }
    }

    #[test]
    fn keeps_its_content_while_growing() {
        let mut queue = NewestFirst::default();
        let indexes = [0u32, 63, 64, 4095, 4096, 262_144, 20_000_000];
        for index in indexes {
            queue.make_room(index + 1);
            queue.push(index);
        }
        for index in indexes.into_iter().rev() {
            assert_eq!(queue.pop(), Some(index));
        }
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn clear_leaves_nothing() {
        let mut queue = NewestFirst::default();
        queue.make_room(5000);
        (0..5000).step_by(7).for_each(|index| queue.push(index));
        queue.clear();
        assert_eq!(queue.pop(), None);
    }
}
