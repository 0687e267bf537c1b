//! Result sets: the records a query matches, put together by owner, judged and sorted (NODE.md §5).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use lf_proto::ordinal::Ordinal;
use lf_proto::owner::OwnerPublic;
use lf_proto::selector::SelectorKey;
use lf_store::{IndexError, REPUTATION_COLLISION, REPUTATION_GOOD, REPUTATION_TEMPORAL_VIOLATION, Row, View};

use super::{Certified, Lineages, Plan, QueryError, Rules, SortOrder, visible};

/// Where a result set stands among others: number of selectors, then masked ordinals, then keys.
type SetKey = (usize, Vec<Ordinal>, Vec<SelectorKey>);

/// What an owner without a certificate loses of its trust in a network that has authorities.
const UNCERTIFIED_FACTOR: f64 = 0.9;

/// One owner's revisions in a result set; with those of the owners it goes on for, if these are followed.
#[derive(Debug)]
pub(in crate::core) struct Revisions {
    /// The newest.
    pub(in crate::core) newest: Row,
    /// The sum of all of theirs.
    pub(in crate::core) weight: u128,
    /// How many there are.
    pub(in crate::core) count: u64,
    /// What all of them weigh by themselves, without what lies on top.
    pub(in crate::core) own_score: u128,
    /// The newest of each owner before, the last one first.
    pub(in crate::core) before: Vec<Row>,
}

impl Revisions {
    /// A record on its own.
    pub(super) fn one(row: Row, weight: u128) -> Self {
        let own_score = u128::from(row.score);
        Revisions { newest: row, weight, count: 1, own_score, before: Vec::new() }
    }

    fn add(&mut self, row: Row, weight: u128) {
        self.weight += weight;
        self.count += 1;
        self.own_score += u128::from(row.score);
        if (row.timestamp, row.hash) > (self.newest.timestamp, self.newest.hash) {
            self.newest = row;
        }
    }

    /// Takes in those of an owner before.
    fn go_on_for(&mut self, before: Revisions) {
        self.weight += before.weight;
        self.count += before.count;
        self.own_score += before.own_score;
        self.before.push(before.newest);
    }
}

/// One owner's revisions, judged.
#[derive(Debug)]
pub(in crate::core) struct Candidate {
    pub(in crate::core) revisions: Revisions,
    /// The newest one's: what this node makes of it.
    pub(in crate::core) reputation: u8,
    pub(in crate::core) local_trust: f64,
    pub(in crate::core) oracle_trust: f64,
    pub(in crate::core) trust: f64,
    pub(in crate::core) certified: Certified,
    /// The oracles asked that say it collides.
    pub(in crate::core) denied_by: Vec<OwnerPublic>,
}

impl Candidate {
    /// The record that counts.
    pub(in crate::core) fn row(&self) -> &Row {
        &self.revisions.newest
    }
}

/// The result sets of a query, in order, each with its best candidate first. None is empty.
pub(in crate::core) fn judged(
    plan: &Plan,
    view: &View,
    rules: &Rules<'_>,
) -> Result<Vec<Vec<Candidate>>, QueryError> {
    let mut lineages = Lineages::new(plan, view, rules);
    let mut sets = Vec::new();
    for owners in gathered(plan, view, rules)?.into_values() {
        let mut candidates = Vec::with_capacity(owners.len());
        for revisions in followed(owners, &mut lineages)? {
            let time = revisions.newest.timestamp;
            if time >= plan.times.0 && time <= plan.times.1 {
                candidates.push(judge(revisions, plan, view, rules, &mut lineages)?);
            }
        }
        candidates.sort_by(|a, b| compare(a, b, plan.order));
        if !candidates.is_empty() {
            sets.push(candidates);
        }
    }
    Ok(sets)
}

fn gathered(
    plan: &Plan,
    view: &View,
    rules: &Rules<'_>,
) -> Result<BTreeMap<SetKey, BTreeMap<OwnerPublic, Revisions>>, QueryError> {
    let mut sets: BTreeMap<SetKey, BTreeMap<OwnerPublic, Revisions>> = BTreeMap::new();
    for index in plan.candidates(view)? {
        let Some(row) = view.row(index)? else { continue };
        if !plan.matches(&row) || !visible(&row, rules) {
            continue;
        }
        let key: SetKey = (
            row.selectors.len(),
            row.selectors.iter().map(|s| s.ordinal).collect(),
            row.selectors.iter().map(|s| s.key).collect(),
        );
        let weight = view.weight(index);
        let owners = sets.entry(key).or_default();
        match owners.get_mut(&row.owner) {
            None => {
                owners.insert(row.owner, Revisions::one(row, weight));
            }
            Some(revisions) => revisions.add(row, weight),
        }
    }
    Ok(sets)
}

/// Puts together the revisions of owners who go on for each other: the last of them that has any says what counts.
fn followed(
    owners: BTreeMap<OwnerPublic, Revisions>,
    lineages: &mut Lineages<'_>,
) -> Result<Vec<Revisions>, QueryError> {
    if owners.len() < 2 {
        return Ok(owners.into_values().collect());
    }
    // By the last owner of their line, the nearest to it first.
    let mut lines: BTreeMap<OwnerPublic, Vec<(usize, Revisions)>> = BTreeMap::new();
    for (owner, revisions) in owners {
        let (last, steps) = lineages.last(&owner)?;
        lines.entry(last).or_default().push((steps, revisions));
    }
    let mut all = Vec::with_capacity(lines.len());
    for mut line in lines.into_values() {
        line.sort_by_key(|(steps, _)| *steps);
        let mut line = line.into_iter().map(|(_, revisions)| revisions);
        let Some(mut revisions) = line.next() else { continue };
        line.for_each(|before| revisions.go_on_for(before));
        all.push(revisions);
    }
    Ok(all)
}

/// Trust in one owner's revisions (NODE.md §5).
pub(super) fn judge(
    revisions: Revisions,
    plan: &Plan,
    view: &View,
    rules: &Rules<'_>,
    lineages: &mut Lineages<'_>,
) -> Result<Candidate, QueryError> {
    let row = &revisions.newest;
    let reputation = reputation(row, view, lineages)?;
    let local_trust = if reputation >= REPUTATION_GOOD { 1.0 } else { 0.0 };
    let denied_by = denied_by(&revisions, plan, view)?;
    let (oracle_trust, mut trust) = if plan.oracles.is_empty() {
        (local_trust, local_trust)
    } else {
        let count = plan.oracles.len() as f64;
        let oracle_trust = f64::max(0.0, 1.0 - denied_by.len() as f64 / count);
        (oracle_trust, (local_trust + oracle_trust * count) / (count + 1.0))
    };
    let certified = rules.certificates.certified(&row.owner, row.timestamp);
    if !rules.parameters.auth_certificates.is_empty() && certified != Certified::Yes {
        trust *= UNCERTIFIED_FACTOR;
    }
    Ok(Candidate { revisions, reputation, local_trust, oracle_trust, trust, certified, denied_by })
}

/// Revisions share their owner's hold on the id; only the newest one's own violation counts against it. Who goes on for
/// the owner who holds the id holds it, too, also where nothing of that owner is to be seen any more.
fn reputation(row: &Row, view: &View, lineages: &mut Lineages<'_>) -> Result<u8, IndexError> {
    let reputation = view.reputation(row)?;
    if reputation != REPUTATION_COLLISION {
        return Ok(reputation);
    }
    let Some(holder) = view.holder(&row.id)? else { return Ok(reputation) };
    Ok(match lineages.leads_to(&holder, &row.owner)? {
        true if row.temporal_violation => REPUTATION_TEMPORAL_VIOLATION,
        true => REPUTATION_GOOD,
        false => reputation,
    })
}

/// The oracles asked that deny it. Of owners who go on for each other only what is said of all counts: that the new one's
/// records collide with the old one's is just what a rotation looks like to who does not follow it.
fn denied_by(revisions: &Revisions, plan: &Plan, view: &View) -> Result<Vec<OwnerPublic>, IndexError> {
    if plan.oracles.is_empty() {
        return Ok(Vec::new());
    }
    let row = &revisions.newest;
    let mut denied = view.comments(&row.id, &row.owner)?;
    for row in &revisions.before {
        let also = view.comments(&row.id, &row.owner)?;
        denied.retain(|oracle| also.contains(oracle));
    }
    // One that is asked twice counts twice.
    Ok(plan.oracles.iter().filter(|oracle| denied.contains(oracle)).copied().collect())
}

/// Best first; the larger hash at last, so that the order is total.
fn compare(a: &Candidate, b: &Candidate, order: SortOrder) -> Ordering {
    let weight = || b.revisions.weight.cmp(&a.revisions.weight);
    let main = match order {
        SortOrder::Trust => rounded(b.trust).cmp(&rounded(a.trust)).then_with(weight),
        SortOrder::Weight | SortOrder::Deterministic => weight(),
        SortOrder::Timestamp => b.row().timestamp.cmp(&a.row().timestamp),
    };
    main.then_with(|| b.row().hash.cmp(&a.row().hash))
}

/// Trust as it is compared.
pub(in crate::core) fn rounded(trust: f64) -> u64 {
    (trust * 1e10).round() as u64
}
