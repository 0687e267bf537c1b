//! The command line of LF: arguments, terminal, exit codes. What is done lives in lf-client and lf-node; here is how
//! it is asked for and shown.
//!
//! Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 an error, 2 a wrong command line.
#![forbid(unsafe_code)]

mod argv;
mod authorities;
mod cli;
mod commands;
mod context;
mod failure;
mod interact;
mod parameters;
mod speed;
mod story;
mod times;
mod ui;

use std::process::ExitCode;

use clap::FromArgMatches as _;

pub use cli::command;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let command = command();
    let arguments = argv::normalize(&command, std::env::args_os().collect());
    let matches = match command.try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(e) => return print_clap(&e),
    };
    let parsed = match cli::Cli::from_arg_matches(&matches) {
        Ok(parsed) => parsed,
        Err(e) => return print_clap(&e.format(&mut cli::command())),
    };
    match commands::run(parsed) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

/// Help and version go to stdout with code 0, mistakes to stderr with code 2. Whoever does not read it misses out.
fn print_clap(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}
