//! The commands, one module each, and the way to them.

pub(crate) mod backup;
pub(crate) mod bootstrap;
pub(crate) mod ca;
pub(crate) mod completions;
pub(crate) mod db;
pub(crate) mod demo;
pub(crate) mod dns;
pub(crate) mod export;
pub(crate) mod genesis;
pub(crate) mod get;
pub(crate) mod import;
pub(crate) mod makegenesis;
pub(crate) mod man;
pub(crate) mod node;
pub(crate) mod oracle;
pub(crate) mod owner;
pub(crate) mod peers;
pub(crate) mod pulse;
pub(crate) mod restore;
pub(crate) mod selftest;
pub(crate) mod set;
pub(crate) mod status;
pub(crate) mod testnet;
pub(crate) mod url;
pub(crate) mod verify;
pub(crate) mod version;
pub(crate) mod watch;

use std::process::ExitCode;

use crate::cli::{self, Cli, Command};
use crate::context::Context;
use crate::failure::Result;
use crate::ui;

/// Runs a parsed command line.
pub(crate) fn run(cli: Cli) -> Result<ExitCode> {
    let context = Context::new(&cli);
    let done = |()| ExitCode::SUCCESS;
    match cli.command {
        None => ui::print(&cli::command().render_help().to_string()).map(done),
        Some(Command::Get(args)) => get::run(&context, &args).map(done),
        Some(Command::Set(args)) => set::run(&context, &args).map(done),
        Some(Command::Pulse(args)) => pulse::run(&context, &args).map(done),
        Some(Command::Watch(args)) => watch::run(&context, &args).map(done),
        Some(Command::Dns(args)) => dns::run(&context, &args).map(done),
        Some(Command::Import(args)) => import::run(&context, &args).map(done),
        Some(Command::Export(args)) => export::run(&context, &args).map(done),
        Some(Command::Status(args)) => status::run(&context, &args).map(done),
        Some(Command::Owner(args)) => owner::run(&context, args).map(done),
        Some(Command::Ca(args)) => ca::run(&context, &args).map(done),
        Some(Command::Url(args)) => url::run(&context, args).map(done),
        Some(Command::Oracle(args)) => oracle::run(&context, args).map(done),
        Some(Command::Node(args)) => node::run(&context, args).map(done),
        Some(Command::Peers(args)) => peers::run(&context, args).map(done),
        Some(Command::Db(args)) => db::run(&context, &args).map(done),
        Some(Command::Backup(args)) => backup::run(&context, &args).map(done),
        Some(Command::Restore(args)) => restore::run(&context, &args).map(done),
        Some(Command::Makegenesis(args)) => makegenesis::run(&args).map(done),
        Some(Command::Genesis(args)) => genesis::run(&context, &args).map(done),
        Some(Command::Verify(args)) => verify::run(&context, &args).map(done),
        Some(Command::Demo(args)) => demo::run(&args).map(done),
        Some(Command::Testnet(args)) => testnet::run(&args).map(done),
        Some(Command::Selftest(args)) => selftest::run(&context, &args).map(done),
        Some(Command::Completions(args)) => completions::run(&args).map(done),
        Some(Command::Man(args)) => man::run(&args).map(done),
        Some(Command::Version(_)) => version::run(&context).map(done),
    }
}
