//! `lf man`: manual pages.

use std::fs;
use std::path::PathBuf;

use clap::Args;

use crate::cli;
use crate::failure::{Failure, Result};
use crate::ui;

/// Print the manual page, or write all of them
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf man | man -l -\n  lf man --output /usr/local/share/man/man1\n\n"
)]
pub(crate) struct Man {
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &Man) -> Result<()> {
    // The page has its own form of help.
    let command = cli::command().help_template("");
    if let Some(directory) = &args.output {
        let error = |e| Failure::new(format!("cannot write manual pages into {}: {e}", directory.display()));
        fs::create_dir_all(directory)
            .and_then(|()| clap_mangen::generate_to(command, directory))
            .map_err(error)?;
        ui::note(&format!("Manual pages written into {}.", directory.display()));
        return Ok(());
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    ui::print_bytes(&page)
}
