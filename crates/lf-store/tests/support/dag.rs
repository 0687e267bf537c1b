//! Record graphs for tests and benchmarks: what an honest network of nodes makes with some records in flight, with
//! partitions, and with attackers of several kinds among them. Reproducible from a seed.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::VecDeque;

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform below `n`, or 0.
    pub fn below(&mut self, n: usize) -> usize {
        (((self.next() >> 32) * n as u64) >> 32) as usize
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Uniform from 0 to 1.
    pub fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A graph in a topological order.
#[derive(Default)]
pub struct Dag {
    starts: Vec<usize>,
    links: Vec<u32>,
    scores: Vec<u32>,
    /// Whether honest nodes would link to the record.
    pub eligible: Vec<bool>,
}

impl Dag {
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// The links of a record, ascending.
    pub fn links(&self, record: usize) -> &[u32] {
        let end = self.starts.get(record + 1).copied().unwrap_or(self.links.len());
        &self.links[self.starts[record]..end]
    }

    pub fn score(&self, record: usize) -> u32 {
        self.scores[record]
    }

    pub fn push(&mut self, links: &[u32], score: u32, eligible: bool) {
        let start = self.links.len();
        self.starts.push(start);
        self.links.extend_from_slice(links);
        self.links[start..].sort_unstable();
        assert!(self.links[start..].windows(2).all(|pair| pair[0] < pair[1]), "duplicate link");
        assert!(links.iter().all(|&link| (link as usize) < self.scores.len()), "link to a later record");
        self.scores.push(score);
        self.eligible.push(eligible);
    }

    /// The same graph in a random topological order that keeps nothing of the old one.
    pub fn shuffled(&self, random: &mut Random) -> (Dag, Vec<u32>) {
        let mut missing: Vec<usize> = (0..self.len()).map(|record| self.links(record).len()).collect();
        let mut linked_by = vec![Vec::new(); self.len()];
        for record in 0..self.len() {
            self.links(record).iter().for_each(|&link| linked_by[link as usize].push(record));
        }
        let mut ready: Vec<usize> = (0..self.len()).filter(|&record| missing[record] == 0).collect();
        let mut new_index = vec![u32::MAX; self.len()];
        let mut dag = Dag::default();
        while !ready.is_empty() {
            let record = ready.swap_remove(random.below(ready.len()));
            new_index[record] = dag.len() as u32;
            let links: Vec<u32> = self.links(record).iter().map(|&link| new_index[link as usize]).collect();
            dag.push(&links, self.score(record), self.eligible[record]);
            for &next in &linked_by[record] {
                missing[next] -= 1;
                if missing[next] == 0 {
                    ready.push(next);
                }
            }
        }
        (dag, new_index)
    }
}

/// The weights, by adding every score to every ancestor.
#[derive(Clone)]
pub struct Naive {
    pub weights: Vec<u128>,
    links: Vec<Vec<u32>>,
    seen: Vec<usize>,
}

impl Naive {
    pub fn new() -> Self {
        Self { weights: Vec::new(), links: Vec::new(), seen: Vec::new() }
    }

    pub fn insert(&mut self, links: &[u32], score: u32) {
        self.links.push(links.to_vec());
        self.weights.push(u128::from(score));
        self.seen.push(0);
        let mark = self.links.len();
        let mut open = links.to_vec();
        while let Some(record) = open.pop() {
            let record = record as usize;
            if std::mem::replace(&mut self.seen[record], mark) != mark {
                self.weights[record] += u128::from(score);
                open.extend_from_slice(&self.links[record]);
            }
        }
    }
}

/// Shape of the records that are not honest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attack {
    None,
    /// Two random records of the whole past.
    OldRandom,
    /// The first two records.
    Genesis,
    /// A chain of its own, each record also linking to the newest honest one.
    Comb,
    /// The same with fourteen honest tips: captures as many as it can.
    Comb15,
    /// Leaves on the first record, and collectors over every other leaf.
    Alternate,
    /// Two trees over the same leaves, only one of which honest nodes see.
    TwoTrees,
    /// Layers of random subsets: as many different ancestor sets as possible.
    Layers,
}

pub const ATTACKS: [Attack; 8] = [
    Attack::None,
    Attack::OldRandom,
    Attack::Genesis,
    Attack::Comb,
    Attack::Comb15,
    Attack::Alternate,
    Attack::TwoTrees,
    Attack::Layers,
];

/// What to generate.
#[derive(Clone, Debug)]
pub struct Shape {
    pub records: usize,
    /// W: so many records come between a record and the first one that can link to it.
    pub in_flight: usize,
    /// Links of an honest record.
    pub links: usize,
    /// This part of the honest records has fifteen links.
    pub many_links_part: f64,
    pub attack: Attack,
    /// This part of the records attacks.
    pub attack_part: f64,
    /// Whether honest nodes link to the attackers' records.
    pub attackers_eligible: bool,
    /// Whether links of ineligible records make honest ones look used.
    pub ineligible_use: bool,
    /// Times (fractions of all records) when there are two networks that do not hear each other.
    pub partitions: Vec<(f64, f64)>,
    /// Whether the two sides write one after the other rather than at once.
    pub burst: bool,
    pub seed: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            records: 1000,
            in_flight: 10,
            links: 2,
            many_links_part: 0.0,
            attack: Attack::None,
            attack_part: 0.0,
            attackers_eligible: true,
            ineligible_use: false,
            partitions: Vec::new(),
            burst: false,
            seed: 1,
        }
    }
}

const BUCKETS: usize = 4;
const NOT_LISTED: u8 = u8::MAX;

/// What one side knows: its records by how often they are linked to. It links to the least linked, at random.
#[derive(Default)]
struct View {
    bucket_of: Vec<u8>,
    place_of: Vec<usize>,
    buckets: [Vec<u32>; BUCKETS],
    /// Records on their way, and when they arrive.
    arriving: VecDeque<(usize, u32)>,
    newest: u32,
}

impl View {
    fn list(&mut self, record: u32, bucket: usize) {
        self.bucket_of[record as usize] = bucket as u8;
        self.place_of[record as usize] = self.buckets[bucket].len();
        self.buckets[bucket].push(record);
    }

    fn unlist(&mut self, record: u32) {
        let bucket = &mut self.buckets[self.bucket_of[record as usize] as usize];
        let place = self.place_of[record as usize];
        bucket.swap_remove(place);
        if let Some(&moved) = bucket.get(place) {
            self.place_of[moved as usize] = place;
        }
        self.bucket_of[record as usize] = NOT_LISTED;
    }

    fn see(&mut self, record: u32, links: &[u32], usable: bool, counts_as_use: bool) {
        if self.bucket_of.len() <= record as usize {
            self.bucket_of.resize(record as usize + 1, NOT_LISTED);
            self.place_of.resize(record as usize + 1, 0);
        }
        if usable {
            self.list(record, 0);
            self.newest = record;
        }
        if counts_as_use {
            for &link in links {
                let bucket = self.bucket_of[link as usize];
                if bucket != NOT_LISTED {
                    self.unlist(link);
                    if (bucket as usize) + 1 < BUCKETS {
                        self.list(link, bucket as usize + 1);
                    }
                }
            }
        }
    }

    fn pick(&self, random: &mut Random, count: usize) -> Vec<u32> {
        let mut picked = Vec::new();
        for bucket in &self.buckets {
            let need = count - picked.len();
            if bucket.len() <= need {
                picked.extend_from_slice(bucket);
                continue;
            }
            for _ in 0..200 {
                if picked.len() == count {
                    break;
                }
                let record = bucket[random.below(bucket.len())];
                if !picked.contains(&record) {
                    picked.push(record);
                }
            }
        }
        if picked.is_empty() {
            picked.push(self.newest);
        }
        picked
    }
}

/// What the attackers remember of their own records.
#[derive(Default)]
struct Attackers {
    last: u32,
    leaves: Vec<u32>,
    trees: [Vec<u32>; 2],
    layers: [Vec<u32>; 4],
}

impl Attackers {
    /// The links of the attackers' record `n`, and whether honest nodes see it even if they see no other.
    fn record(&mut self, shape: &Shape, n: u32, view: &View, random: &mut Random) -> (Vec<u32>, bool) {
        let total = (shape.records as f64 * shape.attack_part) as usize;
        let older = n as usize;
        match shape.attack {
            Attack::None => (vec![0], false),
            Attack::OldRandom => (vec![random.below(older) as u32, random.below(older) as u32], false),
            Attack::Genesis => (vec![0, 1], false),
            Attack::Comb => (vec![std::mem::replace(&mut self.last, n), view.newest], false),
            Attack::Comb15 => {
                let mut links = view.pick(random, 14);
                links.push(std::mem::replace(&mut self.last, n));
                (links, false)
            }
            Attack::Alternate if self.leaves.len() >= 28 => {
                let mut links = vec![std::mem::replace(&mut self.last, n)];
                links.extend(std::mem::take(&mut self.leaves).iter().step_by(2).take(14));
                (links, true)
            }
            Attack::Alternate => {
                self.leaves.push(n);
                (vec![0], false)
            }
            Attack::TwoTrees if self.leaves.len() < total * 2 / 5 => {
                self.leaves.push(n);
                self.trees.iter_mut().for_each(|tree| tree.push(n));
                (vec![0], false)
            }
            Attack::TwoTrees => match self.trees.iter().position(|tree| tree.len() > 1) {
                Some(which) => {
                    let tree = &mut self.trees[which];
                    let links = tree.drain(..tree.len().min(15)).collect();
                    tree.push(n);
                    if which == 1 {
                        self.last = n;
                    }
                    (links, which == 0 && tree.len() == 1)
                }
                None => (vec![std::mem::replace(&mut self.last, n)], false),
            },
            Attack::Layers => {
                let done = self.layers.iter().map(Vec::len).sum::<usize>() as f64 / total.max(1) as f64;
                let layer = [0.3, 0.5, 0.6].iter().filter(|&&end| done >= end).count();
                let below = layer.checked_sub(1).map_or(&[][..], |below| &self.layers[below]);
                let count = if layer == 3 { 4 } else { 15 };
                let links: Vec<u32> = if below.is_empty() {
                    vec![0]
                } else {
                    (0..count).map(|_| below[random.below(below.len())]).collect()
                };
                self.layers[if below.is_empty() { 0 } else { layer }].push(n);
                (links, false)
            }
        }
    }
}

/// Generates a graph.
pub fn generate(shape: &Shape) -> Dag {
    let mut random = Random(shape.seed);
    let mut dag = Dag::default();
    let sides = if shape.partitions.is_empty() { 1 } else { 2 };
    let mut views = [View::default(), View::default()];
    let mut withheld: [Vec<u32>; 2] = Default::default();
    let mut attackers = Attackers::default();
    for n in 0..shape.records {
        let now = n as f64 / shape.records as f64;
        let partition = shape.partitions.iter().find(|(from, to)| now >= *from && now < *to);
        for (view, withheld) in views.iter_mut().zip(&mut withheld).take(sides) {
            if partition.is_none() {
                withheld.drain(..).for_each(|record| view.arriving.push_back((n, record)));
            }
            while let Some(&(when, record)) = view.arriving.front() {
                if when > n {
                    break;
                }
                view.arriving.pop_front();
                let honest = dag.eligible[record as usize];
                let counts = honest || shape.attackers_eligible || shape.ineligible_use;
                view.see(record, dag.links(record as usize), honest || shape.attackers_eligible, counts);
            }
        }
        let score = 1 + random.below(1000) as u32;
        let side = match partition {
            Some((from, to)) if shape.burst => usize::from(now >= (from + to) / 2.0),
            _ => random.below(sides),
        };
        let attacks = n > 2
            && n > 1000.min(shape.records / 10)
            && shape.attack != Attack::None
            && random.fraction() < shape.attack_part;
        let (mut links, visible) = if n == 0 {
            (Vec::new(), true)
        } else if attacks {
            attackers.record(shape, n as u32, &views[side], &mut random)
        } else {
            let many = shape.many_links_part > 0.0 && random.fraction() < shape.many_links_part;
            (views[side].pick(&mut random, if many { 15 } else { shape.links }), true)
        };
        links.sort_unstable();
        links.dedup();
        dag.push(&links, score, !attacks || visible || shape.attackers_eligible);
        for (other, view) in views.iter_mut().enumerate().take(sides) {
            if partition.is_some() && other != side && n > 0 {
                withheld[other].push(n as u32);
            } else {
                let when = if n == 0 { 0 } else { n + 1 + shape.in_flight };
                view.arriving.push_back((when, n as u32));
            }
        }
    }
    dag
}

/// A small graph of any shape, for property tests.
pub fn small(random: &mut Random) -> Dag {
    let records = 2 + random.below(160);
    let links = 2 + random.below(4);
    let kind = random.below(9);
    if kind < 5 {
        return generate(&Shape {
            records,
            in_flight: random.below(8),
            links,
            many_links_part: 0.1 * random.below(3) as f64,
            attack: ATTACKS[random.below(ATTACKS.len())],
            attack_part: 0.1 + 0.6 * random.fraction(),
            attackers_eligible: random.one_in(2),
            ineligible_use: random.one_in(2),
            partitions: if kind == 0 { vec![(0.2, 0.5), (0.6, 0.8)] } else { Vec::new() },
            burst: random.one_in(2),
            seed: random.next(),
        });
    }
    let mut dag = Dag::default();
    for n in 0..records {
        let mut chosen: Vec<u32> = Vec::new();
        let has_links = n > 0 && !(kind == 8 && random.one_in(20)); // kind 8: several origins
        for _ in 0..if has_links { 1 + random.below(links) } else { 0 } {
            let back = match kind {
                5 => n,
                6 => 4,
                7 => 12,
                _ if random.one_in(3) => n,
                _ => 3,
            };
            chosen.push((n - 1 - random.below(n.min(back))) as u32);
        }
        chosen.sort_unstable();
        chosen.dedup();
        let score = if random.one_in(4) { u32::MAX } else { random.below(1000) as u32 };
        dag.push(&chosen, score, true);
    }
    dag
}
