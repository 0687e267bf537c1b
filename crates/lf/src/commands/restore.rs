//! `lf restore`: a home from a backup.

use std::path::PathBuf;

use clap::Args;
use lf_node::RunConfig;
use lf_node::runtime::backup;

use super::backup::{backup_failure, byte_bar, manifest_json, step};
use crate::context::Context;
use crate::failure::Result;
use crate::ui;

/// Make a node's home from a backup
///
/// Verifies the backup, copies it to the home that --path gives, which must not be a node's yet, and makes the index of
/// its records. The node that starts there is the one that was backed up, so that one must not run any more: others take
/// two nodes with one identity for one.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf --path NEWHOME restore /mnt/backup/lf\n  lf --path NEWHOME node start\n\n"
)]
pub(crate) struct Restore {
    /// Where the backup is
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// For a node in local test mode
    #[arg(long)]
    localtest: bool,
}

pub(crate) fn run(context: &Context, args: &Restore) -> Result<()> {
    let config = RunConfig { local_test: args.localtest, ..RunConfig::new(context.home()?) };
    let bar = byte_bar("Checking the backup");
    let restored = backup::restore(&args.directory, &config, &mut |what, done, all| {
        bar.set_prefix(what);
        step(&bar, done, all);
    });
    bar.finish_and_clear();
    let restored = restored.map_err(backup_failure)?;
    let manifest = &restored.manifest;
    for note in &restored.notes {
        ui::note(&format!("Note: {note}"));
    }
    if restored.client_kept {
        ui::note("The home has a client.json: it stays as it is, and the backup's is left where it is.");
    }
    if manifest.has_identity() {
        ui::note("The node has its old identity: whichever node had it before must not run any more.");
    } else {
        ui::note("The backup has no private keys: the node gets a new identity when it starts.");
    }
    if context.json {
        let mut value = manifest_json(manifest);
        value["Home"] = config.directory().display().to_string().into();
        return ui::print_json(&value);
    }
    ui::print(&format!(
        "home        {}\nrecords     {}\n",
        config.directory().display(),
        ui::plural(manifest.records, "record"),
    ))
}
