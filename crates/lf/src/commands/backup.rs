//! `lf backup`: a copy of a node's home, made while it runs, and the check of one.

use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use lf_node::RunConfig;
use lf_node::runtime::backup::{self, BackupError, Checked, Made, Manifest};
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::{times, ui};

/// Back up a node, also while it runs
///
/// Copies the home into a directory: all records, the network's genesis.lf, the node's identity, client.json with its
/// owners, and whom it knows. The next run into the same directory copies what is new, after it made sure that the rest
/// is still the same. A run that is interrupted leaves the backup that was there; the next one goes on.
///
/// For the home of another machine run it there, or make a home from a running node by its URL: lf node bootstrap URL.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf backup /mnt/backup/lf                     the home of this user, or of root\n  lf --path /var/lib/lf backup /mnt/backup/lf  another home\n  lf backup --check /mnt/backup/lf             is it good?\n  lf --path NEWHOME restore /mnt/backup/lf     make a home of it\n\n"
)]
pub(crate) struct Backup {
    /// Where the backup is, or is to be: a new directory, or one with a backup
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Verify the backup instead: every byte, every record
    #[arg(long, conflicts_with = "no_secrets")]
    check: bool,
    /// Leave out the private keys: the node's identity, the token, and client.json
    #[arg(long)]
    no_secrets: bool,
    /// The home of a node in local test mode
    #[arg(long)]
    localtest: bool,
}

pub(crate) fn run(context: &Context, args: &Backup) -> Result<()> {
    if args.check {
        return check(context, args);
    }
    let config = RunConfig { local_test: args.localtest, ..RunConfig::new(context.home()?) };
    let bar = byte_bar("Backing up");
    let made =
        backup::make(&config, &args.directory, !args.no_secrets, &mut |done, all| step(&bar, done, all));
    bar.finish_and_clear();
    let made = made.map_err(backup_failure)?;
    let manifest = &made.manifest;
    if context.json {
        let mut value = manifest_json(manifest);
        value["NewRecords"] = made.new_records.into();
        value["NewBytes"] = made.new_bytes.into();
        return ui::print_json(&value);
    }
    ui::print(&made_text(args, &made))?;
    let secrets: Vec<&str> = manifest.secrets().collect();
    if !secrets.is_empty() {
        ui::note(&format!(
            "It holds private keys ({}): keep it like them, or leave them out with --no-secrets.",
            secrets.join(", ")
        ));
    }
    damage_note(manifest);
    Ok(())
}

fn made_text(args: &Backup, made: &Made) -> String {
    let manifest = &made.manifest;
    let new = match (made.is_first, made.new_records) {
        (true, _) => "all new".to_owned(),
        (false, 0) => "none new".to_owned(),
        (false, new) => format!("{} new", ui::count(new)),
    };
    format!(
        "backup      {}\nrecords     {}, {new}\ncopied      {} of {}\n",
        args.directory.display(),
        ui::plural(manifest.records, "record"),
        ui::bytes(made.new_bytes),
        ui::bytes(manifest.log_bytes()),
    )
}

fn damage_note(manifest: &Manifest) {
    let damaged = manifest.damaged_bytes();
    if damaged > 0 {
        let bytes = ui::bytes(damaged);
        ui::note(&format!(
            "{bytes} of the log were damaged in the home, and are so here: see lf db check there."
        ));
    }
}

fn check(context: &Context, args: &Backup) -> Result<()> {
    let bar = byte_bar("Checking");
    let checked = backup::check(&args.directory, &mut |done, all| step(&bar, done, all));
    bar.finish_and_clear();
    let checked = checked.map_err(backup_failure)?;
    if context.json {
        let mut value = manifest_json(&checked.manifest);
        value["Sound"] = checked.is_sound().into();
        value["Waiting"] = checked.waiting.into();
        value["Problems"] = checked.problems.clone().into();
        ui::print_json(&value)?;
    } else {
        ui::print(&checked_text(&checked))?;
        damage_note(&checked.manifest);
    }
    if checked.is_sound() {
        return Ok(());
    }
    if context.json {
        return Err(Failure::Said);
    }
    Err(Failure::new(format!("the backup in {} is damaged", args.directory.display()))
        .hint("make a new one, in another directory"))
}

fn checked_text(checked: &Checked) -> String {
    let manifest = &checked.manifest;
    let mut out = format!(
        "network     {}, id {}\nmade        {}\nrecords     {} in {}\n",
        ui::printable(manifest.network_name.as_bytes()),
        manifest.network,
        times::show(manifest.time),
        ui::plural(manifest.records, "record"),
        ui::bytes(manifest.log_bytes()),
    );
    let names: Vec<&str> = manifest.files.iter().map(|file| file.name.as_str()).collect();
    out.push_str(&format!(
        "files       {}\n",
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    ));
    if checked.waiting > 0 {
        out.push_str(&format!(
            "waiting     {} for others they link to\n",
            ui::plural(checked.waiting, "record")
        ));
    }
    for problem in &checked.problems {
        out.push_str(&format!("problem     {problem}\n"));
    }
    let more = checked.problems_count - checked.problems.len() as u64;
    if more > 0 {
        out.push_str(&format!("problem     {} more\n", ui::count(more)));
    }
    if checked.is_sound() {
        out.push_str("all good    every byte is what was written, every record is one\n");
    }
    out
}

pub(super) fn manifest_json(manifest: &Manifest) -> Value {
    json!({
        "Format": manifest.format,
        "Network": manifest.network,
        "NetworkName": manifest.network_name,
        "Time": manifest.time,
        "Records": manifest.records,
        "LogBytes": manifest.log_bytes(),
        "DamagedBytes": manifest.damaged_bytes(),
        "Files": manifest.files.iter().map(|file| &file.name).collect::<Vec<_>>(),
        "Secrets": manifest.secrets().collect::<Vec<_>>(),
    })
}

/// Shows how many bytes are done, on stderr and only if that is a terminal.
pub(super) fn byte_bar(what: &str) -> ProgressBar {
    ui::count_bar(what, Some(0))
}

pub(super) fn step(bar: &ProgressBar, done: u64, all: u64) {
    bar.set_length(all);
    bar.set_position(done);
}

/// Its errors have their hint behind a semicolon.
pub(super) fn backup_failure(error: BackupError) -> Failure {
    let text = error.to_string();
    match text.split_once("; ") {
        Some((message, hint)) => Failure::new(message).hint(hint),
        None => Failure::new(text),
    }
}
