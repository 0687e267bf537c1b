//! `lf watch`: following new records.

use std::thread;
use std::time::Duration;

use clap::Args;
use lf_client::{ClientError, Find};

use super::get;
use crate::cli::Urls;
use crate::context::Context;
use crate::failure::Result;
use crate::{times, ui};

/// The longest wait before a lost connection is tried again.
const RETRY_SECONDS_MAX: u64 = 30;

/// Follow new records
///
/// Prints a line for each new record as the node links it: its time, value, selectors and owner. A connection that
/// is lost is taken up again where it ended. Ends with Ctrl-C.
#[derive(Debug, Args)]
#[command(before_long_help = "Examples:\n  lf watch greeting\n  lf watch --json 'score#'\n\n")]
pub(crate) struct WatchArgs {
    /// name, name#ORDINAL, name#FROM#TO or name# (all ordinals); no ordinal means 0
    #[arg(required = true, value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Masking key, if it is not the first name
    #[arg(long, value_name = "KEY", env = "LF_MASK", hide_env_values = true)]
    mask: Option<String>,
    /// Only records of this owner (a name of lf owner list, or @…)
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    /// Also records with more selectors
    #[arg(long)]
    open: bool,
    /// End after so many records
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    #[command(flatten)]
    urls: Urls,
}

pub(crate) fn run(context: &Context, args: &WatchArgs) -> Result<()> {
    let find = Find {
        selectors: get::parse_selectors(&args.selectors)?,
        masking_key: args.mask.as_ref().map(|key| key.as_bytes().to_vec()),
        owners: get::owners(context, args.owner.as_deref())?,
        open: args.open,
        ..Find::default()
    };
    let client = context.client(&args.urls.url)?;
    let (mut left, mut last_id) = (args.count, None::<String>);
    // The first connection must work; later ones are tried again.
    let mut watch = client.watch(&find, None)?;
    ui::note(&format!("Watching {}; end with Ctrl-C.", watch.url()));
    let mut wait_seconds = 1;
    while left != Some(0) {
        match watch.next() {
            Some(Ok(event)) => {
                wait_seconds = 1;
                last_id = event.id.or(last_id);
                left = left.map(|left| left - 1);
                let record = &event.record;
                if context.json {
                    let line = serde_json::to_string(&record.result).unwrap_or_default();
                    ui::print(&format!("{line}\n"))?;
                } else {
                    ui::print(&format!(
                        "{}  {} | {}  {}\n",
                        times::show(record.record.timestamp()),
                        get::shown_value(record),
                        get::shown_selectors(record, &find.selectors),
                        record.record.owner()
                    ))?;
                }
            }
            Some(Err(lost @ ClientError::Unreachable { .. })) => {
                ui::note(&format!("{lost}; trying again in {wait_seconds} s"));
                watch = loop {
                    thread::sleep(Duration::from_secs(wait_seconds));
                    wait_seconds = (2 * wait_seconds).min(RETRY_SECONDS_MAX);
                    match client.watch(&find, last_id.as_deref()) {
                        Ok(watch) => break watch,
                        Err(ClientError::Unreachable { .. }) => {}
                        Err(e) => return Err(e.into()),
                    }
                };
                ui::note("Watching again.");
            }
            Some(Err(e)) => return Err(e.into()),
            None => break,
        }
    }
    Ok(())
}
