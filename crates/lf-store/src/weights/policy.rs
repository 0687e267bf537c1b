//! What to promote and what to pop: everything here is for speed. Weights are exact whatever it decides.
//!
//! **Promote**: when covers hold many forest roots, one of them is given the others that are among its ancestors as
//! children, so that later covers hold one element instead.
//! **Pop**: a promoted record on a branch that the network left makes later covers longer, as they hold its children
//! instead of it; such a record becomes a leaf again.

use super::Stats;
use super::cover::Walk;
use super::forest::{Adoption, Forest, Kind};
use super::{NONE, Weights};

/// The constants. Tests vary them so that small graphs promote and pop a lot.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    /// Promote only when a cover holds at least this many forest roots.
    pub(super) roots_min: usize,
    /// Promote only leaves that have been in at least this many covers, i.e. that the network goes on from.
    pub(super) hits_min: u8,
    /// A record is settled once it is this many records old, at least …
    pub(super) age_min: u32,
    /// … and this many times the typical distance to the newest link. That distance is about the number of records
    /// in flight, W; settled must mean more than about 20 W, or honest records are popped before others link them.
    pub(super) age_per_lag: u32,
    /// Whether to pop at all.
    pub(super) pops: bool,
    /// Pop a settled parent whose weight is below this percentage of its child's: most of what came since the child
    /// did not come through the parent.
    pub(super) keep_percent: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { roots_min: 24, hits_min: 3, age_min: 4096, age_per_lag: 32, pops: true, keep_percent: 40 }
    }
}

/// A promotion in this relation to the work of inserts since the last one: cheap when the candidate has seen the
/// newest promoted record (it will continue that path), dearer when it may start a fork, or when most promotions come to
/// nothing, as among very many records in flight.
const PROMOTE_COST: u64 = 4;
const PROMOTE_COST_FORK: u64 = 16;
const PROMOTE_COST_MAX: u64 = 32;

/// How many records may be popped at once without debt.
const POP_CHAIN_FREE: usize = 64;

/// Buckets of [`Lags`]: one for each bit length of a `u32`.
pub(super) const LAG_BUCKETS: usize = 33;

/// The policy with its memory of what it has seen and done.
#[derive(Clone)]
pub(super) struct Chooser {
    pub(super) policy: Policy,
    /// Cover elements handled since the last promotion: what promoting is paid from.
    pub(super) budget: u64,
    pub(super) sampler: Sampler,
    pub(super) lags: Lags,
    pub(super) promotions: u64,
    pub(super) pops: u64,
    pub(super) refusals: u64,
}

/// What the cover of a new record shows.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    /// The newest of its promoted elements, or `NONE`.
    anchor: u32,
    /// How many hang from nothing.
    roots: usize,
    /// One that might be promoted, and whether it has seen the newest promoted record.
    candidate: Option<u32>,
    candidate_is_sure: bool,
    /// How many hang from a record outside the ancestor set, and a sample of those.
    contested: u32,
    contested_sample: u32,
    /// The chooser's, after the choices made here.
    sampler: Sampler,
}

/// What an insert found worth doing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plan {
    /// This leaf root should be promoted.
    pub(super) promote: Option<u32>,
    /// A sample of the cover's elements that hang from a record outside the ancestor set, and how many those are.
    pub(super) contested: Option<(u32, u32)>,
}

impl Chooser {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            budget: 0,
            sampler: Sampler(0),
            lags: Lags::default(),
            promotions: 0,
            pops: 0,
            refusals: 0,
        }
    }

    /// Figures, without those of the walk.
    pub(super) fn stats(&self) -> Stats {
        Stats { promotions: self.promotions, pops: self.pops, refusals: self.refusals, cover_len: 0 }
    }

    /// How many records old a record must be for its place in the network to be settled.
    fn age(&self) -> u32 {
        self.lags.typical().saturating_mul(self.policy.age_per_lag).max(self.policy.age_min)
    }

    /// Goes through the cover of a new record: adds its score to all but the promoted elements, and looks what the cover
    /// shows. Others may read weights meanwhile: each has the score or not, as nothing hangs from two
    /// elements.
    pub(super) fn survey(&self, forest: &Forest, walk: &Walk, score: u32, eligible: bool) -> Survey {
        let anchor = walk.promoted().first().copied().unwrap_or(NONE);
        let mut survey = Survey { anchor, sampler: self.sampler.clone(), ..Survey::default() };
        let mut candidates = 0u64;
        for &record in walk.cover() {
            let node = &forest.nodes[record as usize];
            if node.up != NONE {
                survey.contested += 1;
                if survey.sampler.one_in(u64::from(survey.contested)) {
                    survey.contested_sample = record;
                }
            } else {
                survey.roots += 1;
                if node.kind == Kind::Leaf {
                    let hits = node.hits.count();
                    let possible = hits >= self.policy.hits_min && node.eligible == eligible;
                    if possible && !survey.candidate_is_sure {
                        candidates += 1;
                        survey.candidate_is_sure = node.anchor_or_slot == anchor;
                        if survey.candidate_is_sure || survey.sampler.one_in(candidates) {
                            survey.candidate = Some(record);
                        }
                    }
                }
            }
            if node.kind != Kind::Promoted {
                node.added.add(u64::from(score));
            }
        }
        survey
    }

    /// Makes the record that was surveyed, which gets the index `forest.len()`, and thinks about what was seen.
    pub(super) fn apply(
        &mut self,
        forest: &mut Forest,
        survey: Survey,
        walk: &Walk,
        links: &[u32],
        score: u32,
        eligible: bool,
    ) -> Plan {
        let index = forest.len();
        self.sampler = survey.sampler;
        if let (true, Some(newest_link)) = (eligible, links.last()) {
            self.lags.observe(index - newest_link);
        }
        for &record in walk.promoted() {
            forest.add(record, u64::from(score));
        }
        let cover_len = walk.cover().len();
        forest.push(links, score, eligible, survey.anchor);

        self.budget = self.budget.saturating_add(cover_len as u64);
        let cost = if survey.candidate_is_sure { PROMOTE_COST } else { PROMOTE_COST_FORK };
        let cost = cost.max((self.refusals / self.promotions.max(1)).min(PROMOTE_COST_MAX));
        let affordable = survey.roots >= self.policy.roots_min && self.budget >= cost * cover_len as u64;
        let promote = survey.candidate.filter(|_| affordable);
        if promote.is_some() {
            self.budget = 0;
        }
        let contested = (survey.contested > 0).then_some((survey.contested_sample, survey.contested));
        Plan { promote, contested }
    }

    /// Promotes a leaf root, its cover being `cover`, unless too little would hang from it.
    pub(super) fn promote(&mut self, forest: &mut Forest, leaf: u32, cover: &[u32]) {
        let adoption = Adoption {
            parent_eligible: forest.nodes[leaf as usize].eligible,
            settled_before: forest.len().saturating_sub(self.age()),
        };
        let children =
            cover.iter().filter(|&&record| adoption.takes(record, &forest.nodes[record as usize])).count();
        // A quarter at least: what is not a child is remembered in `rest`, and this bounds that memory.
        if children < (self.policy.roots_min / 2).max(1) || children * 4 < cover.len() {
            self.refusals += 1;
            return;
        }
        forest.promote(leaf, cover, adoption);
        self.promotions += 1;
    }

    /// The promoted records to pop because of a contested element, root first at the end; mostly none.
    pub(super) fn to_pop(&self, forest: &mut Forest, (child, contested): (u32, u32)) -> Option<Vec<u32>> {
        if !self.policy.pops {
            return None;
        }
        let up = forest.nodes[child as usize].up;
        let parent = forest.live(up)?.0.record;
        let newest = forest.len().saturating_sub(1);
        if newest.saturating_sub(parent) <= self.age() {
            return None;
        }
        let (parent_weight, child_weight) = (forest.weight(parent)?, forest.weight(child)?);
        if u128::from(parent_weight) * 100 >= u128::from(child_weight) * u128::from(self.policy.keep_percent)
        {
            return None;
        }
        let debt = &mut forest.slots[up as usize].debt;
        *debt = debt.saturating_add(contested);
        // Everything above goes as well. A long way up must first have cost as much as popping it will.
        let len_max = POP_CHAIN_FREE + *debt as usize / self.policy.roots_min.max(1);
        forest.chain_to_root(up, len_max)
    }
}

impl Weights {
    /// Makes a forest root a leaf again, `cover` being its cover.
    pub(super) fn finish_pop(&mut self, slot: u32, cover: &[u32]) {
        self.forest.pop(slot, cover);
        self.chooser.pops += 1;
    }
}

/// Random choices that are the same in every run (SplitMix64). Guessing them gains an attacker nothing but time.
#[derive(Clone, Debug, Default)]
pub(super) struct Sampler(pub(super) u64);

impl Sampler {
    /// True once in `n` times: keeps a uniform sample of a sequence without knowing its length.
    #[inline]
    fn one_in(&mut self, n: u64) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z >> 32) * n) >> 32 == 0 // n is a position in a cover, below 2³²
    }
}

/// The distances between eligible records and their newest links, by bit length, old ones fading.
///
/// The median, so that neither old links nor links to one's own last record move it unless they are the majority.
#[derive(Clone)]
pub(super) struct Lags {
    pub(super) buckets: [u32; LAG_BUCKETS],
    /// Sum of the buckets.
    pub(super) total: u64,
    /// The upper end of the median's bucket, as of the last time it was computed.
    pub(super) typical: u32,
}

/// Observations after which older ones count half.
const LAGS_FADE: u64 = 8192;
/// Observations between two computations of the median.
const LAGS_REFRESH: u64 = 256;

impl Default for Lags {
    fn default() -> Self {
        Self { buckets: [0; LAG_BUCKETS], total: 0, typical: 0 }
    }
}

impl Lags {
    fn observe(&mut self, lag: u32) {
        let bucket = &mut self.buckets[(u32::BITS - lag.leading_zeros()) as usize];
        *bucket = bucket.saturating_add(1);
        self.total += 1;
        if self.total.is_multiple_of(LAGS_REFRESH) {
            let mut below = 0u64;
            let median = self.buckets.iter().position(|&count| {
                below += u64::from(count);
                below * 2 >= self.total
            });
            let bits = median.unwrap_or(LAG_BUCKETS - 1) as u32;
            self.typical = ((1u64 << bits) - 1) as u32;
        }
        if self.total >= LAGS_FADE {
            self.buckets.iter_mut().for_each(|count| *count /= 2);
            self.total = self.buckets.iter().map(|&count| u64::from(count)).sum();
        }
    }

    fn typical(&self) -> u32 {
        self.typical
    }
}

#[cfg(test)]
mod tests {
    use super::{Chooser, Lags, Policy};

    #[test]
    fn age_follows_the_records_in_flight() {
        for in_flight in [0u32, 10, 100, 1000, 50_000] {
            let mut chooser = Chooser::new(Policy::default());
            for i in 0..20_000 {
                // honest: a little more than what is in flight; a third of the records link to very old ones
                let lag = if i % 3 == 0 { 3_000_000 } else { in_flight + 1 + i % (in_flight / 2 + 2) };
                chooser.lags.observe(lag);
            }
            assert!(chooser.age() > 20 * in_flight, "age {} for {in_flight}", chooser.age());
            assert!(chooser.age() <= 4096.max(200 * in_flight), "age {} for {in_flight}", chooser.age());
        }
    }

    #[test]
    fn lags_fade() {
        let mut lags = Lags::default();
        (0..100_000).for_each(|_| lags.observe(1000));
        assert_eq!(lags.typical(), 1023);
        (0..20_000).for_each(|_| lags.observe(5));
        assert_eq!(lags.typical(), 7);
    }
}
