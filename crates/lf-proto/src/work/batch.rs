//! Verification of many proofs side by side: while one hash waits for the table, the others go on.
//!
//! The steps are those of `hash`, a step of each lane in turn; the MD5s come last, 16 at a time. Proofs that need passes
//! over the whole table are known by then and left out.

use super::{
    Frankenhash, Path, Table, TablePasses, Work, WorkError,
    hash::{Absorb, STEPS},
    md5x,
    path::{OnPath, with_path},
    proof::{colliders, modulus, verify_with},
    simd::{Job, Simd, prefetch},
    table::TABLE_BYTES,
};

/// Proofs verified side by side: their two lanes each hide the memory's latency and fit the first-level cache.
const PROOFS: usize = 16;
/// MD5s computed side by side.
const MD5S: usize = 16;
/// What an MD5 absorbs at most: 2 blocks, and up to 7 in each of 6 rounds; with its padding.
const MESSAGE_BYTES_MAX: usize = (16 * (2 + 6 * 7) + 9usize).next_multiple_of(64);

/// Verifies many proofs, each of a work input (a record's 48-byte work hash), as [`super::verify`] does one. Proofs beyond
/// the `budget` take no longer than others; those within it take their passes, one after the other.
pub fn verify_batch(
    table: &Table,
    proofs: &[(&[u8; 48], Work)],
    budget: TablePasses,
) -> Vec<Result<(), WorkError>> {
    proofs.chunks(PROOFS).flat_map(|proofs| verify_some(table, proofs, budget)).collect()
}

fn verify_some(
    table: &Table,
    proofs: &[(&[u8; 48], Work)],
    budget: TablePasses,
) -> Vec<Result<(), WorkError>> {
    let hashes: Vec<Frankenhash<'_>> =
        proofs.iter().map(|(input, _)| Frankenhash::new(table, *input)).collect();
    let pairs: Vec<Result<[u64; 2], WorkError>> = proofs.iter().map(|(_, work)| colliders(work)).collect();
    let mut lanes: Vec<Lane<'_>> = Vec::with_capacity(2 * proofs.len());
    for (hash, pair) in hashes.iter().zip(&pairs) {
        lanes.extend(pair.iter().flatten().map(|collider| Lane::new(hash, *collider)));
    }
    walk(table.as_bytes(), &mut lanes);
    let values = digests(&lanes);

    let mut lanes = lanes.iter().zip(values).map(|(lane, value)| (lane.table_passes, value));
    let mut verdict = |((hash, (_, work)), pair): ((&Frankenhash<'_>, &(_, Work)), Result<_, _>)| {
        pair?;
        let (Some((passes_a, a)), Some((passes_b, b))) = (lanes.next(), lanes.next()) else {
            unreachable!("there are two lanes for each pair")
        };
        match passes_a + passes_b {
            0 if a % modulus(work.difficulty()) == b % modulus(work.difficulty()) => Ok(()),
            0 => Err(WorkError::NoCollision),
            needed if needed > budget.0 => Err(WorkError::TablePasses { needed }),
            _ => verify_with(hash, work, budget),
        }
    };
    hashes.iter().zip(proofs).zip(pairs).map(&mut verdict).collect()
}

/// One hash on its way.
struct Lane<'h> {
    hash: &'h Frankenhash<'h>,
    x: [u8; 16],
    t: [u8; 16],
    rounds_left: u32,
    message: Message,
    table_passes: u32,
}

impl<'h> Lane<'h> {
    fn new(hash: &'h Frankenhash<'h>, collider: u64) -> Self {
        let (x, mut message) = (Frankenhash::input(collider), Message::new());
        let (t, rounds_left) = hash.begin(&x, &mut |absorb| {
            if let Absorb::Block(block) = absorb {
                message.put(block);
            }
        });
        Self { hash, x, t, rounds_left, message, table_passes: 0 }
    }

    fn end_round(&mut self) {
        let Self { message, table_passes, .. } = self;
        self.hash.end_round(&self.x, &mut self.t, &mut |absorb| match absorb {
            Absorb::Block(block) => message.put(block),
            Absorb::Table => *table_passes += 1,
        });
        self.rounds_left -= 1;
    }
}

/// Walks all lanes to their end.
fn walk(table: &[u8; TABLE_BYTES], lanes: &mut [Lane<'_>]) {
    let ahead = |lane: &Lane<'_>| {
        let [a, b, c, d, ..] = lane.t;
        prefetch(&table[u32::from_le_bytes([a, b, c, d]) as usize & (TABLE_BYTES - 1)]);
    };
    // Lanes with the most rounds first: those that go on are always the first ones.
    let mut order: Vec<&mut Lane<'_>> = lanes.iter_mut().collect();
    order.sort_unstable_by_key(|lane| std::cmp::Reverse(lane.rounds_left));
    let mut going_on = order.len();
    order.iter().for_each(|lane| ahead(lane));
    while going_on > 0 {
        let lanes = &mut order[..going_on];
        for step in 0..STEPS {
            for lane in lanes.iter_mut() {
                lane.hash.step(step, &mut lane.t);
                ahead(lane);
                if step % 8 == 7 {
                    lane.message.put(&lane.t);
                }
            }
        }
        for lane in lanes.iter_mut() {
            lane.end_round();
            ahead(lane);
        }
        going_on = order.partition_point(|lane| lane.rounds_left > 0);
    }
}

/// What an MD5 absorbs, padded when it is complete.
struct Message {
    bytes: [u8; MESSAGE_BYTES_MAX],
    len: usize,
}

impl Message {
    fn new() -> Self {
        Self { bytes: [0; MESSAGE_BYTES_MAX], len: 0 }
    }

    fn put(&mut self, block: &[u8; 16]) {
        self.bytes[self.len..self.len + 16].copy_from_slice(block);
        self.len += 16;
    }

    /// MD5 blocks of 64 bytes, with the padding.
    fn blocks(&self) -> usize {
        (self.len + 9).div_ceil(64)
    }

    /// Word `w` of the MD5 block `b`, padded.
    #[inline(always)]
    fn word(&self, b: usize, w: usize) -> u32 {
        let at = 64 * b + 4 * w;
        if at == self.len {
            0x80
        } else if w == 14 && b + 1 == self.blocks() {
            8 * self.len as u32
        } else {
            // Zeros behind the message.
            u32::from_le_bytes(std::array::from_fn(|i| self.bytes[at + i]))
        }
    }
}

/// The MD5s of all lanes, their halves xored.
fn digests(lanes: &[Lane<'_>]) -> Vec<u64> {
    // Messages of about the same length together.
    let mut order: Vec<usize> = (0..lanes.len()).collect();
    order.sort_unstable_by_key(|i| lanes[*i].message.len);
    let mut values = vec![0; lanes.len()];
    for some in order.chunks(MD5S) {
        let messages: Vec<&Message> = some.iter().map(|i| &lanes[*i].message).collect();
        let digests = with_path(Path::best(), Digests(&messages));
        some.iter().zip(digests).for_each(|(i, digest)| values[*i] = digest);
    }
    values
}

/// Up to 16 MD5s.
struct Digests<'a>(&'a [&'a Message]);

impl OnPath for Digests<'_> {
    type Output = [u64; MD5S];
    fn run<S: Simd>(self, simd: S) -> [u64; MD5S] {
        simd.run(self)
    }
}

impl<S: Simd> Job<S> for Digests<'_> {
    type Output = [u64; MD5S];

    #[inline(always)]
    fn run(self, _: S) -> [u64; MD5S] {
        let mut values = [0; MD5S];
        let mut state = md5x::start();
        let blocks = self.0.iter().map(|message| message.blocks()).max().unwrap_or(0);
        for b in 0..blocks {
            let mut block = [[0; MD5S]; 16];
            for (l, message) in self.0.iter().enumerate().filter(|(_, message)| b < message.blocks()) {
                for (w, words) in block.iter_mut().enumerate() {
                    words[l] = message.word(b, w);
                }
            }
            md5x::compress(&mut state, &block);
            for (l, _) in self.0.iter().enumerate().filter(|(_, message)| b + 1 == message.blocks()) {
                let [a, b, c, d] = &state;
                values[l] = u64::from(a[l] ^ c[l]) | u64::from(b[l] ^ d[l]) << 32;
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::work::verify;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn values_are_those_of_the_definition(colliders in prop::collection::vec(0u64..1 << 40, 0..40), input: [u8; 48]) {
            let table = Table::shared();
            let hash = Frankenhash::new(table, &input);
            let mut lanes: Vec<Lane<'_>> = colliders.iter().map(|c| Lane::new(&hash, *c)).collect();
            walk(table.as_bytes(), &mut lanes);
            for ((lane, value), collider) in lanes.iter().zip(digests(&lanes)).zip(&colliders) {
                let x = Frankenhash::input(*collider);
                let outline = hash.outline(&x);
                prop_assert_eq!(lane.table_passes, outline.table_passes);
                if outline.table_passes == 0 {
                    prop_assert_eq!(value, hash.hash(&x));
                }
            }
        }
    }

    #[test]
    fn verdicts_are_those_of_one_at_a_time() {
        let table = Table::shared();
        // Colliders of difficulty 1 collide now and then if there are many, some need the table, some are equal.
        let inputs: Vec<[u8; 48]> = (0..50).map(|i| [i; 48]).collect();
        let mut proofs: Vec<(&[u8; 48], Work)> = Vec::new();
        for (i, input) in inputs.iter().enumerate() {
            let i = i as u64;
            proofs.push((input, Work::new([i * 77, i * 1_000_003], (i % 3) as u32)));
            proofs.push((input, Work::new([i, i], 1)));
        }
        let hash = Frankenhash::new(table, &inputs[1]);
        let slow = (0..).find(|c| hash.outline(&Frankenhash::input(*c)).table_passes > 0).unwrap_or(0);
        proofs.push((&inputs[1], Work::new([slow, 1], 1)));
        let search = crate::work::Search::new(table, &inputs[2], 1, 1 << 20, 7);
        let Ok(search) = search else { panic!("a difficulty") };
        let mut worker = search.worker();
        let good = loop {
            if let crate::work::Progress::Found(work) = worker.step() {
                break work;
            }
        };
        proofs.push((&inputs[2], good));
        proofs.push((&inputs[3], good));
        let alone: Vec<_> = proofs.iter().map(|(i, w)| verify(table, *i, w, TablePasses::NONE)).collect();
        assert_eq!(verify_batch(table, &proofs, TablePasses::NONE), alone);
        assert!(
            alone.contains(&Ok(())) && alone.iter().any(|v| v.as_ref().is_err_and(WorkError::is_undecided))
        );
        let only_slow = &proofs[100..101];
        assert_eq!(
            verify_batch(table, only_slow, TablePasses::ALL),
            [verify(table, only_slow[0].0, &only_slow[0].1, TablePasses::ALL)]
        );
        assert!(verify_batch(table, &[], TablePasses::NONE).is_empty());
    }
}
