//! `lf get --explain`: all candidates of each set, what speaks for and against them, and why the winner wins.

use std::fmt::Write as _;

use lf_client::{Config, Explained, FoundRecord, SelectorArg};
use lf_proto::api::ExplainedCandidate;
use lf_proto::owner::OwnerPublic;

use super::{shown_selectors, shown_value};
use crate::times;

/// Lines are broken before this column.
const WIDTH: usize = 80;
/// Where the text of a candidate begins.
const INDENT: usize = 17;

pub(super) fn text(sets: &[Explained], asked: &[SelectorArg], oracles: usize, config: &Config) -> String {
    let mut out = String::new();
    for (i, explained) in sets.iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        let candidates = explained.set.candidates.len();
        let _ = writeln!(out, "{}", shown_selectors(explained.found.winner(), asked));
        let who = if candidates == 1 {
            "One candidate".to_owned()
        } else {
            format!("The first of {candidates} wins")
        };
        wrapped(&mut out, 2, 2, &format!("{who}: {}.", explained.set.because));
        for warning in &explained.set.warnings {
            wrapped(&mut out, 2, 8, &format!("Weak: {warning}."));
        }
        let records = explained.found.records().zip(&explained.set.candidates);
        for (number, (record, candidate)) in records.enumerate() {
            shown(&mut out, number + 1, record, candidate, oracles, config);
        }
    }
    out
}

fn shown(
    out: &mut String,
    number: usize,
    record: &FoundRecord,
    c: &ExplainedCandidate,
    oracles: usize,
    config: &Config,
) {
    let value: String = shown_value(record).trim_end().chars().take(WIDTH - 6).collect();
    let _ = writeln!(out, "\n  {number}. {value}");
    let mut line = |what: &str, text: String| {
        let _ = write!(out, "     {what:<12}");
        wrapped(out, 0, INDENT, &text);
    };
    line("owner", named(record.record.owner(), config));
    for owner in &c.goes_on_for {
        line("goes on for", named(owner, config));
    }
    let mut trust = format!("{:.2}: this node {}", c.result.trust, reputation(c.reputation));
    if oracles > 0 {
        let _ = write!(trust, "; {} of {oracles} oracles deny it", c.denied_by.len());
    }
    line("trust", trust);
    for oracle in &c.denied_by {
        line("denied by", named(oracle, config));
    }
    let certificate = match c.certified.as_str() {
        "yes" => "valid",
        "revoked" => "revoked",
        _ => "none",
    };
    line("certificate", certificate.to_owned());
    let on_top = match c.records_on_top {
        n if n < 0.05 => "nothing on top of it".to_owned(),
        n if n < 9.95 => format!("on top of it the work of {n:.1} records like it"),
        n => format!("on top of it the work of {n:.0} records like it"),
    };
    line("weight", format!("{:.0} % of the set's; {on_top}", c.weight_share * 100.0));
    let revisions = if c.revisions == 1 { String::new() } else { format!(", the newest of {}", c.revisions) };
    let time = times::show(record.record.timestamp());
    line("written", format!("{} ago ({time}){revisions}", times::show_duration(c.age)));
    line("record", c.result.hash.to_string());
}

fn reputation(reputation: u8) -> &'static str {
    match reputation {
        63.. => "saw no other owner first",
        48 => "distrusts it: it links to a record newer than itself",
        _ => "distrusts it: another owner was here first",
    }
}

/// An owner with the name it has in client.json, if it has one.
fn named(owner: &OwnerPublic, config: &Config) -> String {
    match config.owners.iter().find(|(_, entry)| entry.public == *owner) {
        Some((name, _)) => format!("{name} {owner}"),
        None => owner.to_string(),
    }
}

/// Writes words, broken into lines; the first begins at `first`, the others at `rest`.
fn wrapped(out: &mut String, first: usize, rest: usize, text: &str) {
    let mut column = if first == 0 { INDENT } else { first };
    out.push_str(&" ".repeat(first));
    for (i, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if i > 0 {
            if column + 1 + length >= WIDTH {
                let _ = write!(out, "\n{}", " ".repeat(rest));
                column = rest;
            } else {
                out.push(' ');
                column += 1;
            }
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}
