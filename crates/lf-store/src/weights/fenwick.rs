//! A Fenwick tree over a sequence that grows and shrinks at its end: what was added to each promoted record of a
//! path, and the sum from one of them to the top in logarithmic time.
//!
//! Values are modulo 2⁶⁴. Single ones may be "negative" for a while (a child is corrected by what its parent had
//! before); the sums that are asked for are true weights, below 2⁶⁴, so they come out exact.

/// The tree.
#[derive(Clone, Default)]
pub(super) struct Sums {
    /// Element i−1 holds the sum of the `lowest_bit(i)` values that end at position i−1.
    tree: Vec<u64>,
    total: u64,
}

impl Sums {
    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.tree.len()
    }

    /// Appends a value.
    pub(super) fn push(&mut self, value: u64) {
        let i = self.tree.len() + 1;
        let span = lowest_bit(i);
        let mut sum = value;
        let mut below = 1;
        while below < span {
            sum = sum.wrapping_add(self.tree[i - below - 1]);
            below <<= 1;
        }
        self.tree.push(sum);
        self.total = self.total.wrapping_add(value);
    }

    /// Removes the last value and returns it; zero if there is none.
    pub(super) fn pop(&mut self) -> u64 {
        let Some(last) = self.tree.len().checked_sub(1) else { return 0 };
        let value = self.suffix(last);
        self.tree.pop(); // no other element's span reaches the last position
        self.total = self.total.wrapping_sub(value);
        value
    }

    /// Adds to the value at `position`.
    #[inline]
    pub(super) fn add(&mut self, position: usize, value: u64) {
        let mut i = position + 1;
        while let Some(sum) = self.tree.get_mut(i - 1) {
            *sum = sum.wrapping_add(value);
            i += lowest_bit(i);
        }
        self.total = self.total.wrapping_add(value);
    }

    /// The sum of the values from `position` on.
    #[inline]
    pub(super) fn suffix(&self, position: usize) -> u64 {
        let mut i = position;
        let mut before = 0u64;
        while i > 0 {
            before = before.wrapping_add(self.tree[i - 1]);
            i &= i - 1;
        }
        self.total.wrapping_sub(before)
    }

    /// The values, first to last.
    pub(super) fn values(&self) -> impl Iterator<Item = u64> {
        (0..self.len()).map(|position| {
            let next = if position + 1 < self.len() { self.suffix(position + 1) } else { 0 };
            self.suffix(position).wrapping_sub(next)
        })
    }

    /// Bytes of memory beyond the struct.
    pub(super) fn memory_bytes(&self) -> usize {
        self.tree.capacity() * 8
    }
}

#[inline]
fn lowest_bit(i: usize) -> usize {
    i & i.wrapping_neg()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Sums;

    proptest! {
        #[test]
        fn behaves_like_a_plain_sequence(operations in prop::collection::vec((0u8..4, any::<u64>(), any::<usize>()), 1..200)) {
            let mut sums = Sums::default();
            let mut model: Vec<u64> = Vec::new();
            for (operation, value, place) in operations {
                match operation {
                    0 | 1 => {
                        sums.push(value);
                        model.push(value);
                    }
                    2 => prop_assert_eq!(sums.pop(), model.pop().unwrap_or(0)),
                    _ => if !model.is_empty() {
                        let place = place % model.len();
                        sums.add(place, value);
                        model[place] = model[place].wrapping_add(value);
                    }
                }
                prop_assert_eq!(sums.len(), model.len());
                for position in 0..=model.len() {
                    let want = model[position..].iter().fold(0u64, |sum, v| sum.wrapping_add(*v));
                    prop_assert_eq!(sums.suffix(position), want);
                }
            }
            prop_assert_eq!(sums.values().collect::<Vec<_>>(), model);
        }
    }
}
