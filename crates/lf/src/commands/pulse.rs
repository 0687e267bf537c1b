//! `lf pulse`: saying that a value still holds.

use clap::Args;
use lf_client::{Pulsing, Write, Written};

use super::get::parse_selectors;
use super::set;
use crate::cli::{Urls, Working};
use crate::context::Context;
use crate::failure::Result;
use crate::ui;

/// Say that a value still holds
///
/// Renews your newest record with these selectors by a pulse of 11 bytes, which costs no work. A record older than a
/// year is written again instead. Prints the owner and the pulse.
#[derive(Debug, Args)]
#[command(before_long_help = "Examples:\n  lf pulse greeting\n  lf pulse 'score#7' team\n\n")]
pub(crate) struct PulseArgs {
    /// The record's selectors, all of them: name or name#ORDINAL
    #[arg(required = true, value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Masking key, needed only for a record older than a year
    #[arg(long, value_name = "KEY", env = "LF_MASK", hide_env_values = true)]
    mask: Option<String>,
    /// The record's owner [default: the one marked * in lf owner list]
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    #[command(flatten)]
    working: Working,
    #[command(flatten)]
    urls: Urls,
}

pub(crate) fn run(context: &Context, args: &PulseArgs) -> Result<()> {
    let selectors = parse_selectors(&args.selectors)?;
    let secret = context.secret(args.owner.as_deref())?;
    let client = context.client(&args.urls.url)?;
    let write = Write {
        owner: &secret,
        selectors: &selectors,
        value: b"",
        masking_key: args.mask.as_deref().map(str::as_bytes),
        pulsing: Pulsing::IfUnchanged,
        may_work: true,
        workers: args.working.workers(),
    };
    let written = set::with_bar(context, |step| client.renew(&write, step))?;
    if matches!(written, Written::Unchanged(_)) {
        ui::note("Written or pulsed less than a minute ago: there is nothing to renew yet.");
    }
    set::report(context, secret.public(), &written)
}
