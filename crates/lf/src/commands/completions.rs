//! `lf completions`: completion scripts for shells.

use clap::Args;
use clap_complete::Shell;

use crate::cli;
use crate::failure::Result;
use crate::ui;

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf completions bash >~/.local/share/bash-completion/completions/lf\n  lf completions zsh >~/.zfunc/_lf\n  lf completions fish >~/.config/fish/completions/lf.fish\n\n"
)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Completions) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::command(), "lf", &mut script);
    ui::print_bytes(&script)
}
