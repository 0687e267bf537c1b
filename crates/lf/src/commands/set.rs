//! `lf set`: writing a value.

use std::io::IsTerminal;
use std::path::Path;

use clap::Args;
use lf_client::{Pulsing, Write, WriteStep, Written};
use lf_proto::owner::OwnerPublic;
use lf_proto::record::RECORD_BYTES_MAX;
use serde::Serialize;

use super::get::parse_selectors;
use crate::cli::{Urls, Working};
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::{interact, speed, ui};

/// Write a value
///
/// Makes a record under one or more selectors, does the proof of work it needs, signs it here and posts it to a node.
/// A value that is there already is not written again. Prints the owner and the record's hash.
#[derive(Debug, Args)]
#[command(
    override_usage = "lf set [OPTIONS] <SELECTOR>... <VALUE>",
    before_long_help = "Examples:\n  lf set greeting 'hello world'      write under a name\n  lf set 'score#7' 1200              under a name and an ordinal\n  lf set --file photo p.png          a file's contents (- for stdin)\n  lf set --mask KEY greeting hi      readable only with the key\n  lf set temperature -5              values may begin with a dash\n\n"
)]
pub(crate) struct Set {
    /// One to 15 selectors (name or name#ORDINAL), then the value
    #[arg(required = true, num_args = 2.., value_names = ["SELECTOR", "VALUE"])]
    words: Vec<String>,
    /// The value is a file's path (- for stdin)
    #[arg(long)]
    file: bool,
    /// Masking key [default: the first name]
    #[arg(long, value_name = "KEY", env = "LF_MASK", hide_env_values = true)]
    mask: Option<String>,
    /// Write as this owner [default: the one marked * in lf owner list]
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    /// If the value is unchanged, send a pulse that says it still holds
    #[arg(long)]
    pulse: bool,
    /// Fail where proof of work would be needed
    #[arg(long)]
    nowork: bool,
    #[command(flatten)]
    working: Working,
    #[command(flatten)]
    urls: Urls,
}

pub(crate) fn run(context: &Context, args: &Set) -> Result<()> {
    let (value, selectors) = match args.words.split_last() {
        Some((value, selectors)) if !selectors.is_empty() => (value, selectors),
        _ => return Err(Failure::new("a selector and a value are needed")),
    };
    let selectors = parse_selectors(selectors)?;
    let bytes = if args.file {
        interact::read_input(Path::new(value), RECORD_BYTES_MAX as u64)?
    } else {
        value.as_bytes().to_vec().into()
    };
    let secret = context.secret(args.owner.as_deref())?;
    let client = context.client(&args.urls.url)?;
    let write = Write {
        owner: &secret,
        selectors: &selectors,
        value: &bytes,
        masking_key: args.mask.as_deref().map(str::as_bytes),
        pulsing: if args.pulse { Pulsing::IfUnchanged } else { Pulsing::No },
        may_work: !args.nowork,
        workers: args.working.workers(),
    };
    let written = with_bar(context, |step| client.write(&write, step))?;
    report(context, secret.public(), &written)
}

/// Runs a write with a progress bar for its work, and says on a terminal what the work took.
pub(crate) fn with_bar<T, E>(
    context: &Context,
    run: impl FnOnce(&mut dyn FnMut(WriteStep) -> bool) -> Result<T, E>,
) -> Result<T, E> {
    let (mut bar, mut worked) = (None, None);
    let done = run(&mut |step| {
        match step {
            WriteStep::Working { billable_bytes, progress } => {
                bar.get_or_insert_with(|| ui::WorkBar::new(&format!("Working for {billable_bytes} bytes")))
                    .show(&progress);
                worked = Some((billable_bytes, progress));
            }
            WriteStep::Certified => {
                bar = None;
                ui::note("No proof of work: the owner is certified.");
            }
            _ => bar = None,
        }
        true
    })?;
    if let Some((billable_bytes, progress)) = worked {
        speed::remember(context, &progress);
        if std::io::stderr().is_terminal() {
            ui::note(&speed::summary(&progress, billable_bytes));
        }
    }
    Ok(done)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    owner: OwnerPublic,
    hash: lf_proto::hash::Hash,
    #[serde(skip_serializing_if = "Option::is_none")]
    pulse: Option<String>,
    new: bool,
}

/// Prints `@owner =hash`, or `@owner !pulse`.
pub(crate) fn report(context: &Context, owner: &OwnerPublic, written: &Written) -> Result<()> {
    let (hash, pulse, new) = match written {
        Written::New(hash) => (hash, None, true),
        Written::Unchanged(hash) => (hash, None, false),
        Written::Pulsed { record, pulse } => (record, Some(pulse.to_string()), false),
    };
    if context.json {
        return ui::print_json(&Answer { owner: *owner, hash: *hash, pulse, new });
    }
    ui::print(&format!("{owner} {}\n", pulse.unwrap_or_else(|| hash.to_string())))
}
