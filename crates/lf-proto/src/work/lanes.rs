//! The fast hash of the search: hundreds of colliders at once, so that table reads, AES and MD5 overlap.
//!
//! Only colliders of one round are taken: E1(E0(x))[0] mod 6 tells before any table read, and each then takes
//! the same 16 steps. Groups of 16 colliders take turns, each a step behind the next, so that filtering,
//! stepping and finishing alternate evenly; while one group is encrypted, the table bytes that the group
//! before it selected are prefetched. What the MD5 absorbs depends on t[0] mod 8 alone, so finished colliders
//! queue by that and a full queue is finished together. Colliders that leave the common way (the long forms of
//! branches 4 and 5, the whole-table step 5) are dropped. Results are hints: callers verify by `hash`.

use super::{
    Path, Table,
    hash::{STEPS, add_quotient, running_sum, takes_whole_table},
    md5x,
    path::{OnPath, with_path},
    simd::{Ahead, GROUP, Group, Job, Simd},
    table::{TABLE_BYTES, select},
};

/// Groups that take turns: enough to hide the memory's latency, few enough for the first-level cache.
const GROUPS: usize = 16;

/// Hashes begun by a batch: every group once.
#[cfg(test)]
const BATCH: usize = GROUPS * GROUP;

/// Colliders of one round that wait at most; a power of two.
const READY: usize = 64;

/// Whether t[0] makes one round, for each t[0].
static ONE_ROUND: [bool; 256] = {
    let mut one_round = [false; 256];
    let mut t = 0;
    while t < 256 {
        one_round[t] = t % 6 == 0;
        t += 1;
    }
    one_round
};

/// Some of a group's results, (collider, F) each.
pub(super) type Results = [(u64, u64)];

/// Colliders of one round and their states after the first two encryptions, not yet walked.
struct Ready {
    colliders: [u64; READY],
    states: [u128; READY],
    len: usize,
}

/// A group on its way through the 16 steps.
#[derive(Clone, Copy)]
struct Walk {
    colliders: [u64; GROUP],
    /// After the first two encryptions; after step 1, once there; now.
    start: Group,
    halfway: Group,
    state: Group,
    /// Steps done.
    steps: usize,
}

/// Colliders that ended in one case.
#[derive(Clone, Copy)]
struct Queue {
    colliders: [u64; GROUP],
    start: Group,
    halfway: Group,
    last: Group,
    len: usize,
}

/// One worker's lanes.
pub(super) struct Lanes<S: Simd> {
    simd: S,
    keys: [S::Key; 2],
    ready: Ready,
    walks: [Walk; GROUPS],
    queues: [Queue; 8],
    /// Sixteenths of a filtering that are due.
    due: usize,
    /// The consecutive colliders to filter next; both multiples of 16.
    next: u64,
    end: u64,
    started: bool,
}

impl<S: Simd> Lanes<S> {
    /// Lanes for the ciphers with these keys.
    pub(super) fn new(simd: S, keys: &[[u8; 32]; 2]) -> Box<Self> {
        let (colliders, group) = ([0; GROUP], Group::ZERO);
        let walk = Walk { colliders, start: group, halfway: group, state: group, steps: 0 };
        Box::new(Self {
            simd,
            keys: [simd.key(&keys[0]), simd.key(&keys[1])],
            ready: Ready { colliders: [0; READY], states: [0; READY], len: 0 },
            walks: [walk; GROUPS],
            queues: [Queue { colliders, start: group, halfway: group, last: group, len: 0 }; 8],
            due: 0,
            next: 0,
            end: 0,
            started: false,
        })
    }
}

/// One worker's lanes, whatever the path.
pub(super) trait Engine: Send {
    /// Walks on as far as [`BATCH`] hashes take and hands their results to `found`, up to 16 at a time.
    ///
    /// `portion` gives the beginning and the end of consecutive colliders, multiples of 16, that are this
    /// worker's alone.
    fn batch(
        &mut self,
        table: &Table,
        portion: &mut dyn FnMut() -> (u64, u64),
        found: &mut dyn FnMut(&Results),
    );
}

impl<S: Simd> Engine for Lanes<S> {
    fn batch(
        &mut self,
        table: &Table,
        portion: &mut dyn FnMut() -> (u64, u64),
        found: &mut dyn FnMut(&Results),
    ) {
        let simd = self.simd;
        simd.run(Batch { lanes: self, table: table.as_bytes(), portion, found });
    }
}

/// The lanes of a path for the ciphers with these keys.
pub(super) fn engine(path: Path, keys: &[[u8; 32]; 2]) -> Box<dyn Engine> {
    struct Make<'a>(&'a [[u8; 32]; 2]);
    impl OnPath for Make<'_> {
        type Output = Box<dyn Engine>;
        fn run<S: Simd>(self, simd: S) -> Box<dyn Engine> {
            Lanes::new(simd, self.0)
        }
    }
    with_path(path, Make(keys))
}

struct Batch<'a, S: Simd, P, F> {
    lanes: &'a mut Lanes<S>,
    table: &'a [u8; TABLE_BYTES],
    portion: P,
    found: F,
}

impl<S: Simd, P: FnMut() -> (u64, u64), F: FnMut(&Results)> Job<S> for Batch<'_, S, P, F> {
    type Output = ();

    #[inline(always)]
    fn run(self, simd: S) {
        let Self { lanes, table, mut portion, mut found } = self;
        let Lanes { keys, ready, walks, queues, due, next, end, started, .. } = lanes;
        let mut candidates = || {
            if next == end {
                (*next, *end) = portion();
            }
            *next += GROUP as u64;
            *next - GROUP as u64
        };
        if !*started {
            *started = true;
            for (i, walk) in walks.iter_mut().enumerate() {
                while ready.len < GROUP {
                    ready.filter(simd, keys, candidates());
                }
                ready.begin(walk);
                // Groups that begin in the middle yield nothing the first time: `halfway` and the rest are
                // made up. Colliders 0 tell.
                walk.steps = i % STEPS;
                if walk.steps > 0 {
                    walk.colliders = [0; GROUP];
                }
            }
        }
        for _ in 0..STEPS {
            for g in 0..GROUPS {
                let Ok([before, walk]) = walks.get_disjoint_mut([(g + GROUPS - 1) % GROUPS, g]) else {
                    unreachable!("there is more than one group")
                };
                let bytes = walk.state.0.map(|t| select(table, t));
                let ahead = Ahead { table, states: &before.state };
                simd.step(&keys[walk.steps / 8 % 2], &mut walk.state, &bytes, walk.steps % 8, ahead);
                walk.steps += 1;
                if walk.steps == STEPS / 2 {
                    walk.halfway = walk.state;
                }
                if walk.steps == STEPS {
                    if walk.colliders[1] != 0 {
                        for l in 0..GROUP {
                            let case = usize::from(walk.state.0[l] as u8 % 8);
                            let queue = &mut queues[case];
                            queue.push(walk, l);
                            if queue.len == GROUP {
                                queue.finish(simd, keys, case, &mut found);
                            }
                        }
                    }
                    while ready.len < GROUP {
                        ready.filter(simd, keys, candidates());
                    }
                    ready.begin(walk);
                }
                // Six candidates make one collider of one round: six filterings in 16 steps of a group.
                *due += 6;
                if *due >= STEPS {
                    *due -= STEPS;
                    if ready.len <= READY - GROUP {
                        ready.filter(simd, keys, candidates());
                    }
                }
            }
        }
    }
}

impl Ready {
    /// Encrypts 16 consecutive candidates twice and keeps those of one round.
    #[inline(always)]
    fn filter<S: Simd>(&mut self, simd: S, keys: &[S::Key; 2], first: u64) {
        // BE64 of the collider: the lowest four bits are in byte 7.
        let base = u128::from(first.swap_bytes());
        let mut group = Group(std::array::from_fn(|l| base | (l as u128) << 56));
        simd.encrypt(&keys[0], &mut group);
        simd.encrypt(&keys[1], &mut group);
        for l in 0..GROUP {
            let state = group.0[l];
            self.colliders[self.len % READY] = first + l as u64;
            self.states[self.len % READY] = state;
            self.len += usize::from(ONE_ROUND[usize::from(state as u8)]);
        }
    }

    /// Moves 16 of the waiting (that many there must be) to a walk's beginning.
    #[inline(always)]
    fn begin(&mut self, walk: &mut Walk) {
        self.len -= GROUP;
        walk.colliders.copy_from_slice(&self.colliders[self.len..self.len + GROUP]);
        walk.start.0.copy_from_slice(&self.states[self.len..self.len + GROUP]);
        walk.state = walk.start;
        walk.steps = 0;
    }
}

impl Queue {
    #[inline(always)]
    fn push(&mut self, walk: &Walk, l: usize) {
        let at = self.len % GROUP;
        self.colliders[at] = walk.colliders[l];
        self.start.0[at] = walk.start.0[l];
        self.halfway.0[at] = walk.halfway.0[l];
        self.last.0[at] = walk.state.0[l];
        self.len += 1;
    }

    /// Branch (step 3) and MD5 of a full queue; empties it.
    #[inline(always)]
    fn finish<S: Simd>(
        &mut self,
        simd: S,
        keys: &[S::Key; 2],
        case: usize,
        found: &mut impl FnMut(&Results),
    ) {
        self.len = 0;
        let mut last = self.last;
        let mut dropped = [false; GROUP];
        let x = x_words(&self.colliders);
        let walked = words(&last);
        // The MD5 of all cases absorbs one block of x and the three states, then what follows here.
        let mut md5 = Absorber::new();
        md5.put(&x);
        md5.put(&words(&self.start));
        md5.put(&words(&self.halfway));
        md5.put(&walked);
        match case {
            0 => md5.put(&walked),
            1 => {
                for put in [&x, &walked, &x, &walked] {
                    md5.put(put);
                }
            }
            2 => simd.encrypt(&keys[0], &mut last),
            3 => [1, 0].iter().for_each(|which| simd.encrypt(&keys[*which], &mut last)),
            4 => {
                dropped = last.0.map(|t| (t >> 8) as u8 == 253);
                [1, 0, 1, 1, 0].iter().for_each(|which| simd.encrypt(&keys[*which], &mut last));
            }
            5 => {
                simd.encrypt(&keys[1], &mut last);
                md5.put(&words(&last));
                [0, 1, 0].iter().for_each(|which| simd.encrypt(&keys[*which], &mut last));
                dropped = last.0.map(|t| t as u8 == 3);
                simd.encrypt(&keys[0], &mut last);
                md5.put(&words(&last));
                simd.encrypt(&keys[0], &mut last);
            }
            6 => last.0 = last.0.map(|t| u128::from_le_bytes(running_sum(t.to_le_bytes()))),
            _ => last.0 = last.0.map(add_quotient),
        }
        md5.put(&words(&last));
        let values = md5.finish();
        let mut results = [(0, 0); GROUP];
        let mut len = 0;
        for l in 0..GROUP {
            results[len % GROUP] = (self.colliders[l], values[l]);
            len += usize::from(!dropped[l] && !takes_whole_table(&last.0[l].to_le_bytes()));
        }
        found(&results[..len]);
    }
}

type Four = [md5x::Words<GROUP>; 4];

/// The words of a group's blocks, as the MD5 takes them.
#[inline(always)]
fn words(group: &Group) -> Four {
    std::array::from_fn(|word| std::array::from_fn(|l| (group.0[l] >> (32 * word)) as u32))
}

/// The words of the colliders' input blocks: BE64 of the collider, read as little-endian words, and zeros.
#[inline(always)]
fn x_words(colliders: &[u64; GROUP]) -> Four {
    let half = |word: u32| std::array::from_fn(|l| (colliders[l].swap_bytes() >> (32 * word)) as u32);
    [half(0), half(1), [0; GROUP], [0; GROUP]]
}

/// The MD5 of 16 messages of whole AES blocks.
struct Absorber {
    state: md5x::State<GROUP>,
    block: [md5x::Words<GROUP>; 16],
    at: usize,
    absorbed: u32,
}

impl Absorber {
    #[inline(always)]
    fn new() -> Self {
        Self { state: md5x::start(), block: [[0; GROUP]; 16], at: 0, absorbed: 0 }
    }

    #[inline(always)]
    fn put(&mut self, words: &Four) {
        if self.at == 16 {
            md5x::compress(&mut self.state, &self.block);
            self.at = 0;
        }
        self.block[self.at..self.at + 4].copy_from_slice(words);
        self.at += 4;
        self.absorbed += 1;
    }

    /// Pads; the two halves of each digest, xored.
    #[inline(always)]
    fn finish(mut self) -> [u64; GROUP] {
        if self.at == 16 {
            md5x::compress(&mut self.state, &self.block);
            self.at = 0;
        }
        self.block[self.at..].fill([0; GROUP]);
        self.block[self.at] = [0x80; GROUP];
        self.block[14] = [self.absorbed * 128; GROUP];
        md5x::compress(&mut self.state, &self.block);
        let [a, b, c, d] = &self.state;
        std::array::from_fn(|l| u64::from(a[l] ^ c[l]) | u64::from(b[l] ^ d[l]) << 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::{Frankenhash, hash::keys};

    /// Every result is the definition's, one-round, and all eight cases occur, on all paths.
    #[test]
    fn agrees_with_the_definition() {
        struct Check;
        impl OnPath for Check {
            type Output = ();
            fn run<S: Simd>(self, simd: S) {
                let table = Table::shared();
                let input = b"lanes";
                let hash = Frankenhash::new(table, input);
                let mut lanes = Lanes::new(simd, &keys(input));
                let (mut at, mut compared) = (0x12_3456_7000, 0);
                for _ in 0..40 {
                    let mut portion = || {
                        at += 0x1230;
                        (at - 0x1230, at)
                    };
                    lanes.batch(table, &mut portion, &mut |results| {
                        for (collider, value) in results {
                            let x = Frankenhash::input(*collider);
                            assert_eq!(hash.hash(&x), *value, "{collider:010x}");
                            let outline = hash.outline(&x);
                            assert_eq!((outline.rounds, outline.table_passes), (1, 0));
                            compared += 1;
                        }
                    });
                }
                // What is not in a queue was handed out, but for some dropped ones and the first groups.
                let queued: usize = lanes.queues.iter().map(|queue| queue.len).sum();
                let begun = 40 * BATCH - (GROUPS - 1) * GROUP;
                let done = compared + queued;
                assert!(done <= begun && done > begun * 99 / 100, "{compared} {queued} {begun}");
            }
        }
        for path in Path::all() {
            with_path(path, Check);
        }
    }
}
