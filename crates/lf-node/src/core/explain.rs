//! Why a query's winners win, and how weak that is: numbers for programs, sentences for people.

use lf_proto::api::{ExplainedCandidate, ExplainedSet, Explanation};
use lf_store::{REPUTATION_GOOD, REPUTATION_TEMPORAL_VIOLATION, View};

use super::query::sets::{self, Candidate};
use super::query::{Plan, QueryError, SortOrder, result};
use super::{Certified, Rules};

/// The most candidates of one explanation: enough for a name that is fought over, small enough to read.
pub const CANDIDATES_MAX: usize = 1_000;

/// Younger records may have rivals under way: several times what a record needs to reach a large network.
const YOUNG_SECS: u64 = 600;
/// A network with fewer records in [`QUIET_SECS`] is quiet: all its work of a day is minutes for an attacker.
const QUIET_RECORDS: u32 = 100;
/// One day.
const QUIET_SECS: u64 = 86_400;
/// With less work on top than so many records like it, a record is outweighed within minutes.
const LITTLE_ON_TOP: f64 = 20.0;

/// What the node knows of itself.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    /// Seconds since 1970.
    pub now: u64,
    /// Whether all records that it knows of are here.
    pub synchronized: bool,
}

/// Explains a query's answer.
///
/// # Errors
/// The query is too broad, or the store failed.
pub fn explain(
    plan: &Plan,
    view: &View,
    rules: &Rules<'_>,
    situation: Situation,
) -> Result<Explanation, QueryError> {
    let sets = sets::judged(plan, view, rules)?;
    if sets.iter().map(Vec::len).sum::<usize>() > CANDIDATES_MAX {
        return Err(QueryError::TooManyCandidates);
    }
    let quiet = is_quiet(view, situation.now)?;
    let sets = sets
        .iter()
        .filter_map(|candidates| {
            let (winner, others) = candidates.split_first()?;
            let total: u128 = candidates.iter().map(|c| c.revisions.weight).sum();
            let explained = |c| candidate(c, total, plan, view, situation.now);
            Some(ExplainedSet {
                candidates: candidates.iter().filter_map(explained).collect(),
                because: because(winner, others.first(), plan),
                warnings: warnings(winner, others, plan, rules, situation, quiet),
            })
        })
        .filter(|set| !set.candidates.is_empty())
        .collect();
    let sort_order = match plan.order() {
        SortOrder::Trust => "trust",
        SortOrder::Weight => "weight",
        SortOrder::Timestamp => "timestamp",
        SortOrder::Deterministic => "deterministic",
    };
    Ok(Explanation { sets, sort_order: sort_order.to_owned(), time: situation.now })
}

/// Whether little has come in the last day.
fn is_quiet(view: &View, now: u64) -> Result<bool, QueryError> {
    let Some(index) = view.linked().checked_sub(QUIET_RECORDS) else { return Ok(true) };
    Ok(view.row(index)?.is_none_or(|row| row.timestamp < now.saturating_sub(QUIET_SECS)))
}

fn candidate(c: &Candidate, total: u128, plan: &Plan, view: &View, now: u64) -> Option<ExplainedCandidate> {
    Some(ExplainedCandidate {
        result: result(c, plan.masking_key(), view)?,
        age: now.saturating_sub(c.row().timestamp),
        revisions: c.revisions.count,
        reputation: c.reputation,
        weight_share: if total == 0 { 0.0 } else { c.revisions.weight as f64 / total as f64 },
        records_on_top: records_on_top(c),
        difficulty: u64::from(c.row().difficulty.unwrap_or(0)),
        certified: match c.certified {
            Certified::Yes => "yes",
            Certified::No => "no",
            Certified::Revoked => "revoked",
        }
        .to_owned(),
        denied_by: c.denied_by.clone(),
        goes_on_for: c.revisions.before.iter().map(|row| row.owner).collect(),
    })
}

fn records_on_top(c: &Candidate) -> f64 {
    c.revisions.weight.saturating_sub(c.revisions.own_score) as f64 / f64::from(c.row().score.max(1))
}

/// One sentence.
fn because(winner: &Candidate, second: Option<&Candidate>, plan: &Plan) -> String {
    let Some(second) = second else {
        return "it is the only one under this name here".to_owned();
    };
    let heavier = || match winner.revisions.weight.cmp(&second.revisions.weight) {
        std::cmp::Ordering::Greater => {
            let ratio = winner.revisions.weight as f64 / second.revisions.weight.max(1) as f64;
            match ratio {
                r if r < 1.01 => "has more weight than the next, by less than 1 %".to_owned(),
                r => format!("has {r:.2} times the weight of the next"),
            }
        }
        _ => "has the same weight as the next, and the larger hash".to_owned(),
    };
    match plan.order() {
        SortOrder::Weight => format!("by weight alone: it {}", heavier()),
        SortOrder::Deterministic => {
            format!("by weight alone, as every synchronized node sees it: it {}", heavier())
        }
        SortOrder::Timestamp if winner.row().timestamp > second.row().timestamp => {
            "it is the newest".to_owned()
        }
        SortOrder::Timestamp => "it is as new as the next, and has the larger hash".to_owned(),
        SortOrder::Trust if sets::rounded(winner.trust) == sets::rounded(second.trust) => {
            format!("it is trusted as much as the next, but {}", heavier())
        }
        SortOrder::Trust => {
            let reasons = reasons(winner, second);
            format!(
                "it is trusted more than the next ({:.2} against {:.2}): {reasons}",
                winner.trust, second.trust
            )
        }
    }
}

/// What makes the difference in trust; what speaks for the other is said, too.
fn reasons(winner: &Candidate, second: &Candidate) -> String {
    let mut reasons: Vec<String> = Vec::new();
    if winner.local_trust > second.local_trust {
        reasons.push(match second.reputation {
            REPUTATION_TEMPORAL_VIOLATION => "the next one links to a record newer than itself".to_owned(),
            _ => "its owner was here first".to_owned(),
        });
    }
    let (fewer, more) = (winner.denied_by.len(), second.denied_by.len());
    if fewer < more {
        reasons.push(format!("{more} of the oracles asked deny the next, {fewer} deny it"));
    }
    if winner.certified == Certified::Yes && second.certified != Certified::Yes {
        reasons.push("its owner is certified".to_owned());
    }
    let mut text = reasons.join(", and ");
    if winner.local_trust < second.local_trust {
        text.push_str(", although the next one's owner was here first");
    } else if fewer > more {
        text.push_str(", although more oracles deny it");
    } else if second.certified == Certified::Yes && winner.certified != Certified::Yes {
        text.push_str(", although only the next one's owner is certified");
    }
    text
}

fn warnings(
    winner: &Candidate,
    others: &[Candidate],
    plan: &Plan,
    rules: &Rules<'_>,
    situation: Situation,
    quiet: bool,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |text: String| warnings.push(text);
    let order = plan.order();
    if !situation.synchronized {
        warn("this node is not synchronized: there may be others that it does not know yet".to_owned());
    }
    if winner.reputation < REPUTATION_GOOD && order == SortOrder::Trust {
        warn(match winner.reputation {
            REPUTATION_TEMPORAL_VIOLATION => "it links to a record newer than itself".to_owned(),
            _ if others.is_empty() => "this node saw somebody else take this name first".to_owned(),
            _ => "this node trusts none of them by itself: nobody came first here, or who did is gone"
                .to_owned(),
        });
    }
    if let Some(second) = others.first()
        && order == SortOrder::Trust
        && sets::rounded(winner.trust) == sets::rounded(second.trust)
    {
        let by = if winner.revisions.weight == second.revisions.weight { "chance" } else { "weight" };
        warn(format!("two are trusted equally, so {by} decides: who wins may change"));
    }
    if matches!(order, SortOrder::Weight | SortOrder::Deterministic) {
        warn("weight can be bought with work: only this order says so on all nodes alike".to_owned());
    }
    match winner.denied_by.len() {
        0 => {}
        count => warn(format!("{count} of {} oracles asked deny it", plan.oracles().len())),
    }
    let authorities = !rules.parameters.auth_certificates.is_empty();
    if authorities && winner.certified != Certified::Yes {
        warn("its owner is not certified, in a network that has authorities".to_owned());
    }
    let age = situation.now.saturating_sub(winner.row().timestamp);
    if age < YOUNG_SECS {
        warn(format!("it is only {age} seconds old: a rival may be under way"));
    }
    if records_on_top(winner) < LITTLE_ON_TOP {
        warn("little work lies on top of it: whatever weight decides could be turned in minutes".to_owned());
    }
    if quiet {
        warn(format!(
            "this network is quiet (fewer than {QUIET_RECORDS} records in a day): work on it is no finality"
        ));
    }
    warnings
}
