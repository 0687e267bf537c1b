//! Verification of many proofs side by side: while one hash waits for the table, the others go on.
//!
//! Two neighbouring lanes are the two colliders of a proof, 16 lanes a [`Walk`], and all walks do the same step of the
//! same round in turn, those lanes that have fewer rounds than others idly. The steps are those of `hash`. The MD5s come
//! last, 16 at a time. Proofs that need passes over the whole table are known by then and left out.

use super::{
    Frankenhash, Path, Table, TablePasses, Work, WorkError,
    hash::{LONG_SEQUENCE, STEPS, add_quotient, keys, running_sum, takes_whole_table},
    md5x,
    path::{OnPath, with_path},
    proof::{colliders, modulus, verify_with},
    simd::{GROUP, Group, Job, PAIRS, Simd, prefetch},
    table::TABLE_BYTES,
};

/// Proofs verified side by side: their lanes hide the memory's latency, and all that is theirs fits the second-level
/// cache.
const PROOFS: usize = 64;

/// What an MD5 absorbs at most, in words: 2 blocks, and up to 7 in each of 6 rounds; with its padding.
const MESSAGE_WORDS_MAX: usize = (4 * (2 + 6 * 7) + 3usize).next_multiple_of(16);

/// Verifies many proofs, each of a work input (a record's 48-byte work hash), as [`super::verify`] does one. Proofs beyond
/// the `budget` take no longer than others; those within it take their passes, one after the other.
pub fn verify_batch(
    table: &Table,
    proofs: &[(&[u8; 48], Work)],
    budget: TablePasses,
) -> Vec<Result<(), WorkError>> {
    verify_batch_on(Path::best(), table, proofs, budget)
}

/// [`verify_batch`] on a certain path instead of the best: to compare them.
pub fn verify_batch_on(
    path: Path,
    table: &Table,
    proofs: &[(&[u8; 48], Work)],
    budget: TablePasses,
) -> Vec<Result<(), WorkError>> {
    let pairs: Vec<Result<Pair<'_>, WorkError>> = proofs
        .iter()
        .map(|(input, work)| colliders(work).map(|colliders| Pair { input, colliders }))
        .collect();
    let to_hash: Vec<Pair<'_>> = pairs.iter().flatten().copied().collect();
    let mut hashes = to_hash.chunks(PROOFS).flat_map(|pairs| hashes(path, table, pairs));
    let verdict = |((input, work), pair): (&(&[u8; 48], Work), Result<Pair<'_>, WorkError>)| {
        pair?;
        let Some([a, b]) = hashes.next() else { unreachable!("each pair has its hashes") };
        match a.table_passes + b.table_passes {
            0 if a.value % modulus(work.difficulty()) == b.value % modulus(work.difficulty()) => Ok(()),
            0 => Err(WorkError::NoCollision),
            needed if needed > budget.0 => Err(WorkError::TablePasses { needed }),
            _ => verify_with(&Frankenhash::new(table, *input), work, budget),
        }
    };
    proofs.iter().zip(pairs).map(verdict).collect()
}

/// Two colliders to hash for the same work input.
#[derive(Clone, Copy)]
struct Pair<'a> {
    input: &'a [u8; 48],
    colliders: [u64; 2],
}

/// What became of a collider.
#[derive(Debug, Clone, Copy, Default)]
struct Hashed {
    /// F, if there is no pass over the table.
    value: u64,
    table_passes: u32,
}

/// Hashes up to [`PROOFS`] pairs.
fn hashes(path: Path, table: &Table, pairs: &[Pair<'_>]) -> Vec<[Hashed; 2]> {
    with_path(path, Hashes { table: table.as_bytes(), pairs })
}

struct Hashes<'a> {
    table: &'a [u8; TABLE_BYTES],
    pairs: &'a [Pair<'a>],
}

impl OnPath for Hashes<'_> {
    type Output = Vec<[Hashed; 2]>;
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        simd.run(self)
    }
}

impl<S: Simd> Job<S> for Hashes<'_> {
    type Output = Vec<[Hashed; 2]>;

    #[inline(always)]
    fn run(self, simd: S) -> Self::Output {
        let Self { table, pairs } = self;
        // Plain loops: what an iterator calls might be compiled without the path's instructions.
        let mut walks: Vec<Walk<S>> = Vec::with_capacity(pairs.len().div_ceil(PAIRS));
        for pairs in pairs.chunks(PAIRS) {
            let mut walk = Walk::begin(simd, pairs);
            walk.look_ahead(table);
            walks.push(walk);
        }
        while walks.iter().any(|walk| walk.going_on != 0) {
            for step in 0..STEPS {
                for walk in &mut walks {
                    if walk.going_on != 0 {
                        walk.step(simd, table, step);
                        walk.look_ahead(table);
                    }
                }
            }
            for walk in &mut walks {
                if walk.going_on != 0 {
                    walk.end_round(simd);
                    walk.look_ahead(table);
                }
            }
        }
        let mut hashed = Vec::with_capacity(walks.len() * PAIRS);
        for walk in &mut walks {
            let values = walk.messages.digests();
            for pair in 0..PAIRS {
                let of = |l: usize| Hashed { value: values[l], table_passes: walk.table_passes[l] };
                hashed.push([of(2 * pair), of(2 * pair + 1)]);
            }
        }
        hashed.truncate(pairs.len());
        hashed
    }
}

/// A set of lanes: bit l stands for lane l.
type Lanes = u16;

/// The lanes for which this holds.
#[inline(always)]
fn lanes(mut holds: impl FnMut(usize) -> bool) -> Lanes {
    (0..GROUP).fold(0, |lanes, l| lanes | Lanes::from(holds(l)) << l)
}

/// Does it for each of these lanes.
#[inline(always)]
fn for_each(mut lanes: Lanes, mut what: impl FnMut(usize)) {
    while lanes != 0 {
        what(lanes.trailing_zeros() as usize % GROUP);
        lanes &= lanes - 1;
    }
}

/// Sixteen hashes on their way.
struct Walk<S: Simd> {
    keys: [S::PairKeys; 2],
    /// The input blocks.
    x: Group,
    state: Group,
    rounds_left: [u8; GROUP],
    going_on: Lanes,
    /// Where in the table each lane may read: everywhere, or at 0 only once it does not go on.
    reach: [u32; GROUP],
    /// Where in the table each lane reads next.
    places: [u32; GROUP],
    messages: Messages,
    table_passes: [u32; GROUP],
}

impl<S: Simd> Walk<S> {
    /// Up to the first round.
    #[inline(always)]
    fn begin(simd: S, pairs: &[Pair<'_>]) -> Self {
        let mut keys_of = [[[0; 32]; PAIRS]; 2];
        let mut x = Group::ZERO;
        for (i, pair) in pairs.iter().enumerate() {
            [keys_of[0][i], keys_of[1][i]] = keys(pair.input);
            for (l, collider) in pair.colliders.into_iter().enumerate() {
                x.0[2 * i + l] = u128::from_le_bytes(Frankenhash::input(collider));
            }
        }
        let keys = keys_of.map(|keys| simd.pair_keys(&keys[..pairs.len()]));
        let mut state = x;
        simd.encrypt_pairs(&keys[0], &mut state);
        simd.encrypt_pairs(&keys[1], &mut state);
        let mut walk = Self {
            keys,
            x,
            state,
            rounds_left: state.0.map(|t| 1 + t as u8 % 6),
            going_on: lanes(|l| l < 2 * pairs.len()),
            reach: [0; GROUP],
            places: [0; GROUP],
            messages: Messages::new(),
            table_passes: [0; GROUP],
        };
        walk.set_reach();
        for_each(walk.going_on, |l| walk.messages.put(l, walk.x.0[l]));
        walk.absorb(walk.going_on);
        walk
    }

    /// Has the bytes that the next step reads brought into the cache.
    #[inline(always)]
    fn look_ahead(&mut self, table: &[u8; TABLE_BYTES]) {
        for l in 0..GROUP {
            self.places[l] = self.state.0[l] as u32 & self.reach[l];
        }
        for place in &self.places {
            prefetch(&table[*place as usize & (TABLE_BYTES - 1)]);
        }
    }

    #[inline(always)]
    fn set_reach(&mut self) {
        let everywhere = TABLE_BYTES as u32 - 1;
        self.reach = std::array::from_fn(|l| if self.going_on >> l & 1 == 1 { everywhere } else { 0 });
    }

    #[inline(always)]
    fn step(&mut self, simd: S, table: &[u8; TABLE_BYTES], step: usize) {
        let bytes = self.places.map(|place| table[place as usize & (TABLE_BYTES - 1)]);
        simd.step_pairs(&self.keys[step / 8 % 2], &mut self.state, &bytes, step % 8);
        if step % 8 == 7 {
            self.absorb(self.going_on);
        }
    }

    /// These lanes' MD5s absorb their state.
    #[inline(always)]
    fn absorb(&mut self, lanes: Lanes) {
        for_each(lanes, |l| self.messages.put(l, self.state.0[l]));
    }

    /// Encrypts the state of these lanes.
    #[inline(always)]
    fn encrypt(&mut self, simd: S, lanes: Lanes, which: usize) {
        if lanes != 0 {
            let mut encrypted = self.state;
            simd.encrypt_pairs(&self.keys[which], &mut encrypted);
            for l in 0..GROUP {
                if lanes >> l & 1 == 1 {
                    self.state.0[l] = encrypted.0[l];
                }
            }
        }
    }

    /// The end of a round, after its steps: the lanes that take a branch together.
    #[inline(always)]
    fn end_round(&mut self, simd: S) {
        let going_on = self.going_on;
        let case: [Lanes; 8] =
            std::array::from_fn(|case| going_on & lanes(|l| self.state.0[l] as usize % 8 == case));
        self.absorb(case[0]);
        for_each(case[1], |l| {
            let (x, t) = (self.x.0[l], self.state.0[l]);
            [x, t, x, t].into_iter().for_each(|block| self.messages.put(l, block));
        });
        // The sequences of branches 2 to 5 have one superset: E1 E0 E1 E1 E0 E0 E0.
        let long = case[4] & lanes(|l| (self.state.0[l] >> 8) as u8 == 253);
        let four = case[4] & !long;
        self.encrypt(simd, case[3] | four | case[5], 1);
        self.absorb(case[5]);
        self.encrypt(simd, case[2] | case[3] | four | case[5], 0);
        self.encrypt(simd, four | case[5], 1);
        self.encrypt(simd, four, 1);
        self.encrypt(simd, four | case[5], 0);
        let other = case[5] & lanes(|l| self.state.0[l] as u8 == 3);
        let five = case[5] & !other;
        self.encrypt(simd, other, 1);
        self.encrypt(simd, five, 0);
        self.absorb(five);
        self.encrypt(simd, five, 0);
        if long != 0 {
            LONG_SEQUENCE.into_iter().for_each(|which| self.encrypt(simd, long, which));
        }
        for_each(case[6], |l| {
            self.state.0[l] = u128::from_le_bytes(running_sum(self.state.0[l].to_le_bytes()));
        });
        for_each(case[7], |l| self.state.0[l] = add_quotient(self.state.0[l]));

        self.absorb(going_on);
        for l in 0..GROUP {
            self.table_passes[l] +=
                u32::from(going_on >> l & 1 == 1 && takes_whole_table(&self.state.0[l].to_le_bytes()));
            self.rounds_left[l] = self.rounds_left[l].saturating_sub(1);
        }
        self.going_on &= lanes(|l| self.rounds_left[l] > 0);
        self.set_reach();
    }
}

/// What 16 MD5s absorb, a word of all of them beside each other.
struct Messages {
    words: Vec<md5x::Words<GROUP>>,
    /// Words absorbed by each.
    len: [usize; GROUP],
}

impl Messages {
    #[inline(always)]
    fn new() -> Self {
        Self { words: vec![[0; GROUP]; MESSAGE_WORDS_MAX], len: [0; GROUP] }
    }

    /// Appends a block to lane l's.
    #[inline(always)]
    fn put(&mut self, l: usize, block: u128) {
        let at = self.len[l];
        for (word, words) in self.words[at..at + 4].iter_mut().enumerate() {
            words[l] = (block >> (32 * word)) as u32;
        }
        self.len[l] += 4;
    }

    /// The MD5s, their halves xored. Pads, so this is the last thing to do.
    #[inline(always)]
    fn digests(&mut self) -> [u64; GROUP] {
        let blocks = self.len.map(|len| (len + 3).div_ceil(16));
        for (l, blocks) in blocks.iter().enumerate() {
            self.words[self.len[l]][l] = 0x80;
            self.words[16 * blocks - 2][l] = 32 * self.len[l] as u32;
        }
        let mut values = [0; GROUP];
        let mut state = md5x::start();
        let all: &[[md5x::Words<GROUP>; 16]] = self.words.as_chunks().0;
        for (b, block) in all.iter().enumerate().take(blocks.into_iter().max().unwrap_or(0)) {
            md5x::compress(&mut state, block);
            let [a, b0, c, d] = &state;
            for l in 0..GROUP {
                if b + 1 == blocks[l] {
                    values[l] = u64::from(a[l] ^ c[l]) | u64::from(b0[l] ^ d[l]) << 32;
                }
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use md5::{Digest, Md5};
    use proptest::prelude::*;

    use super::*;
    use crate::work::{COLLIDER_END, Outline, Progress, Search, verify};

    /// The verdict by the definition alone.
    fn alone(table: &Table, proofs: &[(&[u8; 48], Work)], budget: TablePasses) -> Vec<Result<(), WorkError>> {
        proofs.iter().map(|(input, work)| verify(table, *input, work, budget)).collect()
    }

    /// The first collider for which this holds of its hash's outline.
    fn collider(hash: &Frankenhash<'_>, holds: impl Fn(Outline) -> bool) -> u64 {
        (0..COLLIDER_END).find(|c| holds(hash.outline(&Frankenhash::input(*c)))).unwrap_or(0)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// Any number of pairs, each of an input of its own, on all paths.
        #[test]
        fn values_are_those_of_the_definition(
            of in prop::collection::vec((any::<[u8; 48]>(), [0..COLLIDER_END, 0..COLLIDER_END]), 0..20),
        ) {
            let table = Table::shared();
            let pairs: Vec<_> = of.iter().map(|(input, colliders)| Pair { input, colliders: *colliders }).collect();
            for path in Path::all() {
                let hashed = hashes(path, table, &pairs);
                prop_assert_eq!(hashed.len(), pairs.len());
                for (pair, hashed) in pairs.iter().zip(hashed) {
                    let hash = Frankenhash::new(table, pair.input);
                    for (collider, hashed) in pair.colliders.iter().zip(hashed) {
                        let x = Frankenhash::input(*collider);
                        let outline = hash.outline(&x);
                        prop_assert_eq!(hash.rounds(&x), outline.rounds);
                        prop_assert_eq!(hashed.table_passes, outline.table_passes);
                        if outline.table_passes == 0 {
                            prop_assert_eq!(hashed.value, hash.hash(&x), "{:?} {}", outline, path.name());
                        }
                    }
                }
            }
        }
    }

    /// Batches of good proofs, of proofs of little difficulty (which collide now and then), with certain numbers of rounds
    /// and passes over the table, with what is no proof at all, and with good proofs for other inputs.
    #[test]
    fn verdicts_of_mixed_batches_are_those_of_one_at_a_time() {
        let table = Table::shared();
        let inputs: Vec<[u8; 48]> = (0..24).map(|i| [i; 48]).collect();
        let mut proofs: Vec<(&[u8; 48], Work)> = Vec::new();
        for (i, input) in (0..).zip(&inputs) {
            let hash = Frankenhash::new(table, input);
            let rounds = |rounds| (0..).find(|c| hash.rounds(&Frankenhash::input(*c)) == rounds).unwrap_or(0);
            proofs.push((input, Work::new([i * 77, i * 1_000_003], (i % 3) as u32)));
            proofs.push((input, Work::new([rounds(1 + i as u32 % 6), rounds(6)], 1)));
            proofs.push((input, Work::new([i, i], 1)));
        }
        // Every 65,000th round or so ends in the table.
        for input in &inputs[..3] {
            let slow = collider(&Frankenhash::new(table, input), |outline| outline.table_passes > 0);
            proofs.push((input, Work::new([slow, 1], 1)));
            proofs.push((input, Work::new([2, slow], 7)));
            proofs.push((input, Work::new([slow, slow], 7)));
        }
        for (i, input) in inputs[..8].iter().enumerate() {
            let Ok(search) = Search::new(table, input, 1, 1 << 20, 7) else { panic!("a difficulty") };
            let mut worker = search.worker();
            let good = loop {
                if let Progress::Found(work) = worker.step() {
                    break work;
                }
            };
            proofs.insert(9 * i, (input, good));
            proofs.push((&inputs[i + 1], good));
        }
        let expected = alone(table, &proofs, TablePasses::NONE);
        assert_eq!(expected.iter().filter(|verdict| verdict.is_ok()).count(), 8);
        assert_eq!(expected.iter().filter(|v| v.is_err_and(|e| e.is_undecided())).count(), 6);
        for path in Path::all() {
            assert_eq!(verify_batch_on(path, table, &proofs, TablePasses::NONE), expected, "{}", path.name());
            // Whatever the place in a batch, and however large it is.
            for (from, to) in [(0, 1), (1, 18), (3, 3), (30, 95)] {
                let verdicts = verify_batch_on(path, table, &proofs[from..to], TablePasses::NONE);
                assert_eq!(verdicts, expected[from..to], "{}", path.name());
            }
        }
    }

    #[test]
    fn passes_over_the_table_are_budgeted() {
        let table = Table::shared();
        let input = [1; 48];
        let hash = Frankenhash::new(table, &input);
        let [slow, fast] = [1, 0].map(|passes| collider(&hash, |outline| outline.table_passes == passes));
        let proofs = [(&input, Work::new([slow, fast], u32::MAX)), (&input, Work::new([fast, slow], 1))];
        let undecided = [Err(WorkError::TablePasses { needed: 1 }); 2];
        assert_eq!(verify_batch(table, &proofs, TablePasses::NONE), undecided);
        let decided = alone(table, &proofs, TablePasses(1));
        assert!(!decided.contains(&undecided[0]));
        assert_eq!(verify_batch(table, &proofs, TablePasses(1)), decided);
    }

    /// What a lane's MD5 may absorb fits: each round takes 7 blocks at most.
    #[test]
    fn the_longest_messages_fit() {
        let mut messages = Messages::new();
        for l in [0, 15] {
            (0..2 + 6 * 7).for_each(|i| messages.put(l, i));
        }
        let bytes: Vec<u8> = (0..2 + 6 * 7).flat_map(u128::to_le_bytes).collect();
        let m = u128::from_le_bytes(Md5::digest(&bytes).into());
        let values = messages.digests();
        assert_eq!([values[0], values[15]], [m as u64 ^ (m >> 64) as u64; 2]);
        let empty = u128::from_le_bytes(Md5::digest(b"").into());
        assert_eq!(values[1], empty as u64 ^ (empty >> 64) as u64);
    }
}
