//! A node's linked records in the order of (timestamp, hash), so that ranges of them can be counted and compared.
//!
//! An order-statistics structure in memory, 16 bytes a record: blocks of buckets of records, each with the count and the
//! sum of the hashes below it. The summary of any range costs a walk over the blocks' sums and a look at the hashes of
//! the (at most two) buckets that the range cuts through. It is derived from the store and filled from a view; hashes
//! themselves stay in the store. No messages and no peers here.

use lf_proto::hash::Hash;
pub use lf_proto::sync::{Bound, Fingerprint, Salt, ShortId, Span, short_id};
use lf_store::{IndexError, View};
use sha2::{Digest, Sha256};

/// Records in a bucket; one with more is cut in two. Small, since each cut through a bucket costs a look at its hashes.
const BUCKET_RECORDS_MAX: usize = 32;
/// Buckets in a block; one with more is cut in two.
const BLOCK_BUCKETS_MAX: usize = 256;

/// How many records there are in a range, and the sum of their hashes: four 64-bit lanes, each modulo 2⁶⁴.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Records.
    pub count: u64,
    sum: [u64; 4],
}

impl Summary {
    fn add_hash(&mut self, hash: &Hash) {
        self.count += 1;
        for (lane, word) in self.sum.iter_mut().zip(hash.0.chunks_exact(8)) {
            *lane = lane.wrapping_add(u64::from_le_bytes(word.try_into().unwrap_or_default()));
        }
    }

    fn add(&mut self, other: &Summary) {
        self.count += other.count;
        for (lane, word) in self.sum.iter_mut().zip(&other.sum) {
            *lane = lane.wrapping_add(*word);
        }
    }

    /// The first 4 bytes of SHA-256(salt, count as LE64, sum).
    pub fn fingerprint(&self, salt: &Salt) -> Fingerprint {
        let mut hasher = Sha256::new_with_prefix(salt);
        hasher.update(self.count.to_le_bytes());
        self.sum.iter().for_each(|lane| hasher.update(lane.to_le_bytes()));
        let digest: [u8; 32] = hasher.finalize().into();
        let [a, b, c, d, ..] = digest;
        [a, b, c, d]
    }
}

/// Where hashes are looked up.
pub trait Hashes {
    /// The hash of the linked record with this index.
    ///
    /// # Errors
    /// The index failed.
    fn hash(&self, index: u32) -> Result<Hash, IndexError>;
}

impl Hashes for View {
    fn hash(&self, index: u32) -> Result<Hash, IndexError> {
        self.linked_hash(index)
    }
}

/// The first four bytes of a bound's hash, as a number.
fn prefix(bound: &Bound) -> u32 {
    let [a, b, c, d, ..] = bound.hash;
    u32::from_be_bytes([a, b, c, d])
}

#[derive(Debug, Clone, Copy)]
struct Item {
    timestamp: u64,
    /// The hash's first four bytes: they nearly always tell which of two records of one second comes first.
    prefix: u32,
    index: u32,
}

impl Item {
    /// Whether the item's place is below a bound.
    fn is_below(&self, bound: &Bound, hashes: &dyn Hashes) -> Result<bool, IndexError> {
        let (own, other) = ((self.timestamp, self.prefix), (bound.timestamp, prefix(bound)));
        if own != other { Ok(own < other) } else { Ok(hashes.hash(self.index)?.0 < bound.hash) }
    }
}

#[derive(Debug, Default)]
struct Bucket {
    items: Vec<Item>,
    summary: Summary,
}

#[derive(Debug, Default)]
struct Block {
    buckets: Vec<Bucket>,
    summary: Summary,
}

impl Bucket {
    fn first(&self) -> Option<&Item> {
        self.items.first()
    }
}

impl Block {
    fn first(&self) -> Option<&Item> {
        self.buckets.first().and_then(Bucket::first)
    }
}

/// The linked records below an index, in order.
#[derive(Debug, Default)]
pub struct Ranges {
    blocks: Vec<Block>,
    count: u64,
    /// Records with lower indexes are in it.
    covered: u32,
}

/// Where a bound cuts: records before it, their summary up to the bucket that it cuts, and that bucket's items before it.
struct Cut {
    block: usize,
    bucket: usize,
    item: usize,
}

impl Ranges {
    /// The number of records.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The index up to which records of the store are in it.
    pub fn covered(&self) -> u32 {
        self.covered
    }

    /// Adds the record with the next index.
    ///
    /// # Errors
    /// The index failed; nothing was added.
    pub fn push(&mut self, timestamp: u64, hash: &Hash, hashes: &dyn Hashes) -> Result<(), IndexError> {
        let bound = Bound::of(timestamp, hash);
        let cut = self.cut(&bound, hashes)?;
        let item = Item { timestamp, prefix: prefix(&bound), index: self.covered };
        if self.blocks.is_empty() {
            self.blocks.push(Block { buckets: vec![Bucket::default()], summary: Summary::default() });
        }
        let Some(block) = self.blocks.get_mut(cut.block) else { return Ok(()) };
        let Some(bucket) = block.buckets.get_mut(cut.bucket) else { return Ok(()) };
        let mut new_bucket = None;
        if bucket.items.len() >= BUCKET_RECORDS_MAX {
            // Records mostly come in order: a full last bucket is left full.
            let at_end = cut.item == bucket.items.len();
            let middle = if at_end { bucket.items.len() } else { bucket.items.len() / 2 };
            let mut upper = Summary::default();
            for item in &bucket.items[middle..] {
                upper.add_hash(&hashes.hash(item.index)?);
            }
            let items = bucket.items.split_off(middle);
            bucket.summary.count -= upper.count;
            for (lane, word) in bucket.summary.sum.iter_mut().zip(&upper.sum) {
                *lane = lane.wrapping_sub(*word);
            }
            bucket.items.shrink_to_fit();
            new_bucket = Some((middle, Bucket { items, summary: upper }));
        }
        let into = match &mut new_bucket {
            Some((middle, upper)) if cut.item >= *middle => {
                upper.items.insert(cut.item - *middle, item);
                upper
            }
            _ => {
                bucket.items.insert(cut.item, item);
                bucket
            }
        };
        into.summary.add_hash(hash);
        if let Some((_, upper)) = new_bucket {
            block.buckets.insert(cut.bucket + 1, upper);
        }
        block.summary.add_hash(hash);
        if block.buckets.len() > BLOCK_BUCKETS_MAX {
            let at_end = cut.block + 1 == self.blocks.len() && cut.bucket + 2 >= BLOCK_BUCKETS_MAX;
            self.split_block(cut.block, if at_end { BLOCK_BUCKETS_MAX - 1 } else { BLOCK_BUCKETS_MAX / 2 });
        }
        self.count += 1;
        self.covered += 1;
        Ok(())
    }

    fn split_block(&mut self, at: usize, middle: usize) {
        let block = &mut self.blocks[at];
        let upper = block.buckets.split_off(middle);
        let mut blocks = [std::mem::take(&mut block.buckets), upper].map(|buckets| {
            let mut summary = Summary::default();
            buckets.iter().for_each(|bucket| summary.add(&bucket.summary));
            Block { buckets, summary }
        });
        self.blocks[at] = std::mem::take(&mut blocks[0]);
        self.blocks.insert(at + 1, std::mem::take(&mut blocks[1]));
    }

    /// Where a bound cuts: the place of the first item that is not below it, or one after the last item of the bucket
    /// before.
    fn cut(&self, bound: &Bound, hashes: &dyn Hashes) -> Result<Cut, IndexError> {
        let below = |item: Option<&Item>| item.map_or(Ok(true), |item| item.is_below(bound, hashes));
        let block = partition(self.blocks.len(), |i| below(self.blocks[i].first()))?.saturating_sub(1);
        let buckets = self.blocks.get(block).map_or(&[][..], |b| &b.buckets);
        let bucket = partition(buckets.len(), |i| below(buckets[i].first()))?.saturating_sub(1);
        let items = buckets.get(bucket).map_or(&[][..], |b| &b.items);
        let item = partition(items.len(), |i| below(Some(&items[i])))?;
        Ok(Cut { block, bucket, item })
    }

    /// The summary of everything below a bound.
    fn below(&self, bound: &Bound, hashes: &dyn Hashes) -> Result<Summary, IndexError> {
        let mut summary = Summary::default();
        if *bound == Bound::END {
            self.blocks.iter().for_each(|block| summary.add(&block.summary));
            return Ok(summary);
        }
        let cut = self.cut(bound, hashes)?;
        self.blocks.iter().take(cut.block).for_each(|block| summary.add(&block.summary));
        let Some(block) = self.blocks.get(cut.block) else { return Ok(summary) };
        block.buckets.iter().take(cut.bucket).for_each(|bucket| summary.add(&bucket.summary));
        let Some(bucket) = block.buckets.get(cut.bucket) else { return Ok(summary) };
        if cut.item == bucket.items.len() {
            summary.add(&bucket.summary);
        } else {
            for item in bucket.items.iter().take(cut.item) {
                summary.add_hash(&hashes.hash(item.index)?);
            }
        }
        Ok(summary)
    }

    /// The summaries of the ranges between ascending bounds: one less than there are bounds.
    ///
    /// # Errors
    /// The index failed.
    pub fn summaries(&self, bounds: &[Bound], hashes: &dyn Hashes) -> Result<Vec<Summary>, IndexError> {
        let mut below = Vec::with_capacity(bounds.len());
        for bound in bounds {
            below.push(self.below(bound, hashes)?);
        }
        Ok(below
            .windows(2)
            .map(|pair| {
                let mut sum = pair[1].sum;
                sum.iter_mut().zip(&pair[0].sum).for_each(|(lane, word)| *lane = lane.wrapping_sub(*word));
                Summary { count: pair[1].count.saturating_sub(pair[0].count), sum }
            })
            .collect())
    }

    /// The number of records below a bound.
    ///
    /// # Errors
    /// The index failed.
    pub fn rank(&self, bound: &Bound, hashes: &dyn Hashes) -> Result<u64, IndexError> {
        if *bound == Bound::END {
            return Ok(self.count);
        }
        let cut = self.cut(bound, hashes)?;
        let blocks: u64 = self.blocks.iter().take(cut.block).map(|block| block.summary.count).sum();
        let buckets = self.blocks.get(cut.block).map_or(&[][..], |b| &b.buckets);
        let in_buckets: u64 = buckets.iter().take(cut.bucket).map(|bucket| bucket.summary.count).sum();
        Ok(blocks + in_buckets + cut.item as u64)
    }

    /// Cuts the records with ranks from `first` to below `last` into about `parts` equal ranges: the bounds between them,
    /// ascending, none twice. Where the parts are large the cuts are between buckets, which costs nothing.
    ///
    /// # Errors
    /// The index failed.
    pub fn split(
        &self,
        first: u64,
        last: u64,
        parts: u64,
        hashes: &dyn Hashes,
    ) -> Result<Vec<Bound>, IndexError> {
        let total = last.saturating_sub(first);
        let coarse = total / parts.max(1) >= 4 * BUCKET_RECORDS_MAX as u64;
        let mut bounds: Vec<Bound> = Vec::new();
        for part in 1..parts {
            let rank = first + (u128::from(total) * u128::from(part) / u128::from(parts)) as u64;
            if rank <= first || rank >= last {
                continue;
            }
            let bound = self.bound_at(rank, coarse, hashes)?;
            if bound.is_some_and(|bound| bounds.last().is_none_or(|before| *before < bound)) {
                bounds.extend(bound);
            }
        }
        Ok(bounds)
    }

    /// A place with about `rank` records below it; none beyond the last.
    ///
    /// # Errors
    /// The index failed.
    pub fn place(&self, rank: u64, hashes: &dyn Hashes) -> Result<Option<Bound>, IndexError> {
        self.bound_at(rank, true, hashes)
    }

    /// A bound with `rank` records below it, or about so many if a place between two buckets is wanted.
    fn bound_at(&self, rank: u64, coarse: bool, hashes: &dyn Hashes) -> Result<Option<Bound>, IndexError> {
        let mut left = rank;
        let Some(block) = self.blocks.iter().position(|block| skip(&mut left, block.summary.count)) else {
            return Ok(None);
        };
        let buckets = &self.blocks[block].buckets;
        let Some(bucket) = buckets.iter().position(|bucket| skip(&mut left, bucket.summary.count)) else {
            return Ok(None);
        };
        let items = &buckets[bucket].items;
        let at = if coarse { 0 } else { left as usize };
        let Some(item) = items.get(at) else { return Ok(None) };
        let before = match at.checked_sub(1) {
            Some(before) => items.get(before),
            None => match bucket.checked_sub(1) {
                Some(before) => buckets[before].items.last(),
                None => block
                    .checked_sub(1)
                    .and_then(|before| self.blocks[before].buckets.last())
                    .and_then(|bucket| bucket.items.last()),
            },
        };
        between(before, item, hashes).map(Some)
    }

    /// Indexes of the records in a range, in order.
    ///
    /// # Errors
    /// The index failed.
    pub fn indexes(
        &self,
        span: &Span,
        hashes: &dyn Hashes,
    ) -> Result<impl Iterator<Item = u32> + use<'_>, IndexError> {
        let end = self.rank(&span.upper, hashes)?;
        let from = self.cut(&span.lower, hashes)?;
        let begin = self.rank(&span.lower, hashes)?;
        let rest =
            self.blocks.get(from.block).map_or(&[][..], |b| b.buckets.get(from.bucket..).unwrap_or_default());
        let more =
            self.blocks.get(from.block + 1..).unwrap_or_default().iter().flat_map(|block| &block.buckets);
        Ok(rest
            .iter()
            .chain(more)
            .flat_map(|bucket| &bucket.items)
            .skip(from.item)
            .take(usize::try_from(end.saturating_sub(begin)).unwrap_or(usize::MAX))
            .map(|item| item.index))
    }
}

/// Whether `left` ends within the next `count`; if not they are taken off.
fn skip(left: &mut u64, count: u64) -> bool {
    if *left < count {
        return true;
    }
    *left -= count;
    false
}

/// The shortest bound that parts two neighbours.
fn between(before: Option<&Item>, item: &Item, hashes: &dyn Hashes) -> Result<Bound, IndexError> {
    let timestamp = item.timestamp;
    let Some(before) = before.filter(|before| before.timestamp == timestamp) else {
        return Ok(Bound { timestamp, hash: [0; 32] });
    };
    let (low, high) = (hashes.hash(before.index)?.0, hashes.hash(item.index)?.0);
    let same = low.iter().zip(&high).take_while(|(a, b)| a == b).count();
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(&high).take(same + 1) {
        *to = *from;
    }
    Ok(Bound { timestamp, hash })
}

/// The number of leading places, of `count`, for which `is_below` holds.
fn partition(
    count: usize,
    is_below: impl Fn(usize) -> Result<bool, IndexError>,
) -> Result<usize, IndexError> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_below(middle)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests;
