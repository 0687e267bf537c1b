//! What must hold, looked at every second and at the end.

use std::collections::{BTreeMap, HashMap};

use lf_node::core::query::{Plan, answer};
use lf_proto::api::{Query, QueryRange};
use lf_proto::hash::Hash;
use lf_store::{Stored, View};

use super::World;
use crate::node::{Live, PENDING_RECORDS_MAX};
use crate::records;
use crate::verdicts::rules;

/// A gossip message has its verdict within so long, in microseconds.
const VERDICT_US: u64 = 60_000_000;
/// A question that was not answered for so long is void, in microseconds.
const ASKED_US: u64 = 25_000_000;
/// Offences after which a peer is certainly banned.
const OFFENCES_BANNED: u32 = 10;
/// Records whose weights are compared with those that the definition gives.
const WEIGHED_RECORDS_MAX: u32 = 2_000;
/// Records whose weights are compared between nodes.
const COMPARED_RECORDS_MAX: usize = 64;
/// Names that are asked for at all nodes.
const ASKED_NAMES_MAX: usize = 24;

impl World {
    /// Every second.
    pub(super) fn probe(&mut self) {
        for node in 0..self.scenario.honest {
            let now_us = self.now_us;
            let Some(live) = &mut self.nodes[node].live else { continue };
            live.asked.retain(|_, asked| asked.at_us + ASKED_US > now_us);
            let late = live.waiting.values().any(|waiting| waiting.at_us + VERDICT_US < now_us);
            let pending = live.reader.view().totals().map_or(u64::MAX, |totals| totals.pending);
            let peers = live.sync.status().peers;
            let connected = self.nodes[node].connections.len();
            if late {
                self.fail(format!(
                    "node {node} has had no verdict on a message for {} s",
                    VERDICT_US / 1_000_000
                ));
            }
            if pending > PENDING_RECORDS_MAX {
                self.fail(format!("node {node} has {pending} records that wait"));
            }
            if peers != connected {
                self.fail(format!("node {node} counts {peers} peers and has {connected}"));
            }
        }
        if self.healed {
            let since_secs = (self.now_us / 1_000_000).saturating_sub(self.scenario.active_secs);
            if let Some(difference) = self.difference() {
                if since_secs > self.scenario.settle_secs_max {
                    self.fail(format!("{since_secs} s after everything healed, {difference}"));
                }
            } else {
                self.figures.settled_secs = since_secs;
                self.check_end();
                self.done = true;
            }
        }
    }

    fn honest(&self) -> impl Iterator<Item = (usize, &Live)> {
        let nodes = self.nodes.iter().take(self.scenario.honest).enumerate();
        nodes.filter_map(|(index, node)| Some((index, node.live.as_ref()?)))
    }

    /// In what honest nodes do not agree yet.
    fn difference(&self) -> Option<String> {
        let is_down = |n: &usize| self.nodes[*n].live.is_none() || self.nodes[*n].armed;
        let down = (0..self.scenario.honest).find(is_down);
        if let Some(node) = down {
            return Some(format!("node {node} is down"));
        }
        let mut by_set: BTreeMap<(u32, u128), Vec<usize>> = BTreeMap::new();
        for (node, live) in self.honest() {
            by_set.entry((live.linked, live.digest)).or_default().push(node);
        }
        if by_set.len() > 1 {
            let sets = by_set.iter().map(|((linked, _), nodes)| format!("{nodes:?} have {linked}"));
            return Some(format!(
                "honest nodes have different records: {}",
                sets.collect::<Vec<_>>().join(", ")
            ));
        }
        let contested = |live: &Live| live.reader.view().totals().map_or(u64::MAX, |totals| totals.contested);
        if let Some((node, live)) = self.honest().find(|(_, live)| contested(live) > 0) {
            return Some(format!("node {node} has {} records of names nobody holds", contested(live)));
        }
        let behind = self.honest().find(|(_, live)| !live.sync.status().synchronized);
        behind.map(|(node, live)| {
            format!("node {node} does not say it is synchronized: {:?}", live.sync.status())
        })
    }

    /// At the end: all honest nodes have the same records, weights, answers and parameters, everything acknowledged is
    /// there, and offenders are banned.
    fn check_end(&mut self) {
        if let Err(what) = self.same_everywhere() {
            self.fail(what);
        }
        for ((to, from), count) in &self.offences {
            let spared = !self.nodes[*to].banned.contains_key(from);
            if *count >= OFFENCES_BANNED && *to < self.scenario.honest && spared {
                let does = self.nodes[*from].behaviour.map_or("nothing", |b| b.name());
                let what = format!("node {to} has not banned node {from} ({does}) after {count} offences");
                return self.fail(what);
            }
        }
    }

    fn same_everywhere(&self) -> Result<(), String> {
        let problem = |e: &dyn std::fmt::Display| format!("a store does not read: {e}");
        let Some((first, one)) = self.honest().next() else { return Ok(()) };
        let view = one.reader.view();
        for written in &self.users.written {
            let standing = view.standing(&written.hash).map_err(|e| problem(&e))?;
            if !matches!(standing, Some(Stored::Linked(_))) {
                let (hash, node) = (written.hash, written.node);
                return Err(format!(
                    "record {hash}, acknowledged by node {node}, is {standing:?} everywhere"
                ));
            }
        }
        for (node, live) in self.honest() {
            let view = live.reader.view();
            for hash in &self.nodes[node].acknowledged {
                if view.standing(hash).map_err(|e| problem(&e))?.is_none() {
                    return Err(format!("node {node} has lost record {hash}, which it had acknowledged"));
                }
            }
        }
        if let Some((node, _)) =
            self.honest().find(|(_, live)| live.reader.parameters() != one.reader.parameters())
        {
            return Err(format!("nodes {first} and {node} have different parameters"));
        }
        let weights = weights_of(&view)?;
        let step = weights.len().div_ceil(COMPARED_RECORDS_MAX).max(1);
        for (node, live) in self.honest() {
            let view = live.reader.view();
            for (hash, weight) in weights.iter().step_by(step) {
                let found = match view.standing(hash).map_err(|e| problem(&e))? {
                    Some(Stored::Linked(index)) => view.weight(index),
                    _ => 0,
                };
                if found != *weight {
                    return Err(format!("record {hash} weighs {found} at node {node}, and {weight} truly"));
                }
            }
        }
        self.same_answers()
    }

    fn same_answers(&self) -> Result<(), String> {
        let names: Vec<&str> = {
            let mut names: Vec<&str> = self.users.written.iter().map(|w| w.name.as_str()).collect();
            names.retain(|name| !name.is_empty());
            // Those that are wanted by several come last.
            names.sort_unstable();
            names.dedup();
            names.into_iter().rev().take(ASKED_NAMES_MAX).collect()
        };
        for name in names {
            let range = QueryRange { name: name.as_bytes().into(), ..QueryRange::default() };
            let query =
                Query { ranges: vec![range], sort_order: "weight".into(), open: true, ..Query::default() };
            let plan = Plan::new(&query, records::names()).map_err(|e| e.to_string())?;
            let mut first = None;
            for (node, live) in self.honest() {
                let (parameters, owner) = (live.reader.parameters(), live.reader.genesis_owner());
                let answer = answer(&plan, &live.reader.view(), &rules(&parameters, &owner));
                let answer = answer.map_err(|e| e.to_string())?;
                let answer: Vec<(Hash, [u32; 4])> =
                    answer.into_iter().flatten().map(|result| (result.hash, result.weight)).collect();
                if answer.is_empty() {
                    return Err(format!("node {node} finds nothing under {name:?}"));
                }
                let first = first.get_or_insert_with(|| answer.clone());
                if *first != answer {
                    return Err(format!("node {node} answers {answer:?} under {name:?}, another {first:?}"));
                }
            }
        }
        Ok(())
    }
}

/// All weights by their definition: a record's score and those of the records that reach it. If there are very many
/// records, the store's own.
fn weights_of(view: &View) -> Result<Vec<(Hash, u128)>, String> {
    let unreadable = || "a store does not read".to_owned();
    let count = view.linked();
    let mut index_of: HashMap<Hash, usize> = HashMap::new();
    let mut rows = Vec::with_capacity(count as usize);
    for index in 0..count {
        let row = view.row(index).map_err(|e| e.to_string())?.ok_or_else(unreadable)?;
        index_of.insert(row.hash, index as usize);
        rows.push(row);
    }
    if count > WEIGHED_RECORDS_MAX {
        return Ok(rows.iter().zip(0..).map(|(row, index)| (row.hash, view.weight(index))).collect());
    }
    let words = rows.len().div_ceil(64);
    // Whom each record is reached by, itself included: complete when its turn comes, newest first.
    let mut reached_by = vec![vec![0u64; words]; rows.len()];
    let mut weights = vec![(Hash([0; 32]), 0); rows.len()];
    for index in (0..rows.len()).rev() {
        reached_by[index][index / 64] |= 1 << (index % 64);
        let all = std::mem::take(&mut reached_by[index]);
        let sum = (0..rows.len()).filter(|i| all[i / 64] >> (i % 64) & 1 == 1);
        weights[index] = (rows[index].hash, sum.map(|i| u128::from(rows[i].score)).sum());
        let record = view.record(&rows[index]).ok_or_else(unreadable)?;
        for link in record.links() {
            let link = *index_of.get(link).ok_or_else(unreadable)?;
            reached_by[link].iter_mut().zip(&all).for_each(|(mine, more)| *mine |= more);
        }
    }
    Ok(weights)
}
