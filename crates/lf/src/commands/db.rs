//! `lf db`: looking after the store of a node that is not running.

use clap::{Args, Subcommand};
use lf_node::runtime::{Offline, RunConfig};
use lf_node::tools::{self, CheckReport};
use serde_json::json;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::ui;

/// Look after a node's database
///
/// For a node that is not running. A node mends what a crash leaves by itself; these commands are for disks that lie
/// and for people who want to know.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf db check                verify every byte of the log and the index over it\n  lf db stats                what is there, and how large\n  lf db rebuild              make the index again from the log\n\n"
)]
pub(crate) struct Db {
    /// The node's database in local test mode
    #[arg(long, global = true)]
    localtest: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// Verify the log, the index and the weights
    ///
    /// Changes nothing. Exits with 1 if anything is wrong: damage in the log costs the records it hits and nothing
    /// else, and they come back when another node has them; a wrong index is made again by lf db rebuild.
    Check,
    /// Make the index again from the log
    Rebuild,
    /// Show what is there, and how large
    Stats,
    /// Give back what space the index can give back
    ///
    /// The log holds nothing that could be given back: every record is kept.
    Compact,
}

pub(crate) fn run(context: &Context, args: &Db) -> Result<()> {
    let config = RunConfig { local_test: args.localtest, ..RunConfig::new(context.home()?) };
    let offline = Offline::open(&config).map_err(|e| Failure::new(e.to_string()))?;
    let failed = |e: &dyn std::fmt::Display| Failure::new(e.to_string());
    match args.command {
        Command::Check => {
            let report = tools::check(&offline.options).map_err(|e| failed(&e))?;
            if context.json {
                ui::print_json(&check_json(&report))?;
            } else {
                ui::print(&check_text(&report))?;
            }
            if report.is_sound() {
                return Ok(());
            }
            let failure =
                Failure::new(format!("the database in {} is damaged", config.directory().display()));
            Err(match (context.json, report.is_log_sound()) {
                (true, _) => Failure::Said,
                (false, true) => failure.hint("make the index again: lf db rebuild"),
                (false, false) => failure.hint("the records named are lost here; everything else is usable"),
            })
        }
        Command::Rebuild => {
            let bar = ui::count_bar("Reading the log", None);
            let report = tools::rebuild(&offline.options, &mut |done, all| {
                bar.set_length(all);
                bar.set_position(done);
            });
            bar.finish_and_clear();
            let report = report.map_err(|e| failed(&e))?;
            if context.json {
                return ui::print_json(&json!({ "Entries": report.replayed, "Notes": report.notes }));
            }
            let mut out = String::new();
            for note in &report.notes {
                out.push_str(&format!("{note}\n"));
            }
            out.push_str("the index is new\n");
            ui::print(&out)
        }
        Command::Stats => {
            let s = tools::stats(&offline.options).map_err(|e| failed(&e))?;
            if context.json {
                return ui::print_json(&json!({
                    "LogBytes": s.log.bytes,
                    "LogSegments": s.log.segments,
                    "IndexBytes": s.index_bytes,
                    "CheckpointBytes": s.checkpoint_bytes,
                    "Linked": s.linked,
                    "LinkedBytes": s.linked_bytes,
                    "Pending": s.pending,
                    "PendingBytes": s.pending_bytes,
                    "BehindBytes": s.behind_bytes,
                }));
            }
            let segments = ui::plural(s.log.segments as u64, "segment");
            let mut out = format!(
                "records     {}, {}\nlog         {} in {segments}\nindex       {}\ncheckpoint  {}\n",
                ui::plural(u64::from(s.linked), "record"),
                ui::bytes(s.linked_bytes),
                ui::bytes(s.log.bytes),
                ui::bytes(s.index_bytes),
                ui::bytes(s.checkpoint_bytes),
            );
            if s.pending > 0 {
                let records = ui::plural(s.pending, "record");
                out.push_str(&format!("waiting     {records}, {}\n", ui::bytes(s.pending_bytes)));
            }
            if s.behind_bytes > 0 {
                let bytes = ui::bytes(s.behind_bytes);
                out.push_str(&format!("behind      {bytes} of the log: the next start applies them\n"));
            }
            ui::print(&out)
        }
        Command::Compact => {
            let (before, after) = tools::compact(&offline.options).map_err(|e| failed(&e))?;
            if context.json {
                return ui::print_json(&json!({ "IndexBytesBefore": before, "IndexBytesAfter": after }));
            }
            ui::print(&format!("index       {}, was {}\n", ui::bytes(after), ui::bytes(before)))
        }
    }
}

fn check_text(r: &CheckReport) -> String {
    let mut out = format!(
        "log         {}, {} in {}\n",
        ui::plural(r.log.entries, "entry").replace("entrys", "entries"),
        ui::bytes(r.log.entries_bytes),
        ui::plural(r.log.segments as u64, "segment"),
    );
    out.push_str(&format!(
        "index       {} linked, {} waiting\n",
        ui::plural(u64::from(r.linked), "record"),
        ui::count(r.pending)
    ));
    for damage in &r.log.damages {
        out.push_str(&format!("damage      {damage}\n"));
    }
    for record in &r.damaged_records {
        out.push_str(&format!("lost        {} at {}\n", record.hash, record.position));
    }
    let unnamed = r.damaged_records_count - r.damaged_records.len() as u64;
    if unnamed > 0 {
        out.push_str(&format!("lost        {} more\n", ui::count(unnamed)));
    }
    for note in &r.notes {
        out.push_str(&format!("note        {note}\n"));
    }
    if let Some(problem) = &r.index_problem {
        out.push_str(&format!("index       cannot be read: {problem}\n"));
    }
    for (count, what) in [
        (r.unindexed, "of the log that the index does not know"),
        (r.index_differences, "of the index that should be otherwise"),
        (r.weight_differences, "with a wrong weight"),
    ] {
        if count > 0 {
            out.push_str(&format!("index       {} rows {what}\n", ui::count(count)));
        }
    }
    if r.behind_bytes > 0 {
        out.push_str(&format!(
            "behind      {} of the log: the next start applies them\n",
            ui::bytes(r.behind_bytes)
        ));
    }
    if r.is_sound() {
        out.push_str(if r.compared {
            "all good    log, index and weights are what they should be\n"
        } else {
            "all good    the log is undamaged\n"
        });
    }
    out
}

fn check_json(r: &CheckReport) -> serde_json::Value {
    json!({
        "Sound": r.is_sound(),
        "LogEntries": r.log.entries,
        "LogBytes": r.log.entries_bytes,
        "Damages": r.log.damages.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "LostRecords": r.damaged_records.iter().map(|d| d.hash.to_string()).collect::<Vec<_>>(),
        "LostRecordCount": r.damaged_records_count,
        "Linked": r.linked,
        "Pending": r.pending,
        "BehindBytes": r.behind_bytes,
        "Unindexed": r.unindexed,
        "IndexDifferences": r.index_differences,
        "WeightDifferences": r.weight_differences,
        "IndexProblem": r.index_problem,
        "Compared": r.compared,
        "Notes": r.notes,
    })
}
