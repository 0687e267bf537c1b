//! `lf verify`: checking a file of records.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use lf_client::{VerifyReport, Workers, verify_file};
use serde_json::json;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::ui;

/// Check a file of records
///
/// Checks every record of a bootstrap.lf, a genesis.lf or a dump, on all cores: its form, its owner's signature, its
/// selectors' claims, its work, and that all it links to comes before it. Exits with 1 if anything is wrong.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf verify bootstrap.lf\n  curl -s http://127.0.0.1:9980/dumprecords | lf verify -\n\n"
)]
pub(crate) struct Verify {
    /// The file (- for stdin)
    file: PathBuf,
    /// Do not ask for work: for networks in local test mode
    #[arg(long)]
    nowork: bool,
    /// Use so many threads [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<std::num::NonZeroUsize>,
}

pub(crate) fn run(context: &Context, args: &Verify) -> Result<()> {
    let read_error = |e: std::io::Error| Failure::new(format!("cannot read {}: {e}", args.file.display()));
    let (mut file, size): (Box<dyn Read>, Option<u64>) = if args.file.as_os_str() == "-" {
        (Box::new(std::io::stdin()), None)
    } else {
        let file = File::open(&args.file).map_err(read_error)?;
        let meta = file.metadata().map_err(read_error)?;
        if meta.is_dir() {
            return Err(Failure::new(format!("{} is a directory", args.file.display())));
        }
        let size = meta.is_file().then_some(meta.len());
        (Box::new(file), size)
    };
    let workers = args.threads.map_or_else(Workers::default, Workers::with_threads);
    let bar = ui::count_bar("Checking bytes", size);
    let begun = Instant::now();
    let report = verify_file(&mut file, !args.nowork, workers, &mut |report| bar.set_position(report.bytes))
        .map_err(read_error)?;
    let seconds = begun.elapsed().as_secs_f64();
    bar.finish_and_clear();
    if context.json {
        ui::print_json(&as_json(&report, seconds))?;
    } else {
        ui::print(&as_text(&report, workers, seconds))?;
    }
    match report.problems {
        0 => Ok(()),
        _ if context.json => Err(Failure::Said),
        n => {
            let failure = Failure::new(format!("{} in {}", ui::plural(n, "problem"), args.file.display()));
            let only_work = !args.nowork && n == report.unworked;
            Err(if only_work {
                failure.hint("records of a local test network have no work: --nowork")
            } else {
                failure
            })
        }
    }
}

fn as_text(report: &VerifyReport, workers: Workers, seconds: f64) -> String {
    let mut out = String::new();
    let mut row = |label: &str, text: String| out.push_str(&format!("{label:<10} {text}\n"));
    row("records", format!("{}, {}", ui::plural(report.records, "record"), ui::bytes(report.bytes)));
    row("owners", ui::count(report.owners));
    row("selectors", ui::count(report.selectors));
    row("work", format!("{} with enough, {} without", ui::count(report.worked), ui::count(report.unworked)));
    if report.certified > 0 {
        row("certified", format!("{} without enough work", ui::plural(report.certified, "record")));
    }
    if let Some(network) = &report.network {
        row("network", ui::printable(network.name.as_bytes()));
    }
    let speed = report.records as f64 / seconds.max(1e-9);
    row(
        "checked",
        format!(
            "in {}, {} records/s on {}",
            ui::took(std::time::Duration::from_secs_f64(seconds)),
            ui::count(speed as u64),
            ui::plural(workers.threads.get() as u64, "thread")
        ),
    );
    row("problems", if report.problems == 0 { "none".to_owned() } else { ui::count(report.problems) });
    for problem in &report.first_problems {
        let hash = problem.hash.map(|hash| format!(" {hash}")).unwrap_or_default();
        out.push_str(&format!(
            "  record {} at byte {}{hash}: {}\n",
            problem.index, problem.offset, problem.text
        ));
    }
    if report.problems > report.first_problems.len() as u64 {
        out.push_str(&format!(
            "  and {} more\n",
            ui::count(report.problems - report.first_problems.len() as u64)
        ));
    }
    out
}

fn as_json(report: &VerifyReport, seconds: f64) -> serde_json::Value {
    let problems: Vec<_> = report
        .first_problems
        .iter()
        .map(|p| json!({"Record": p.index, "Offset": p.offset, "Hash": p.hash, "Problem": p.text}))
        .collect();
    json!({
        "Records": report.records,
        "Bytes": report.bytes,
        "Owners": report.owners,
        "Selectors": report.selectors,
        "WithWork": report.worked,
        "WithoutWork": report.unworked,
        "Certified": report.certified,
        "Network": report.network,
        "Problems": report.problems,
        "FirstProblems": problems,
        "Seconds": seconds,
    })
}
