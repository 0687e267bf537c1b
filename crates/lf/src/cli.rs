//! The command line's definition: global options and the list of commands.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use lf_client::{WORK_MEMORY_BYTES, Workers};

use crate::commands;

/// Examples first, then what there is.
const TEMPLATE: &str = "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

/// LF: a fully replicated key/value store for small, critical data
///
/// Anyone can write under any name; every node has all records; whoever is first and has the most work behind a
/// name keeps it. Names and values are masked: only who knows a name can find and read what is there.
#[derive(Debug, Parser)]
#[command(
    name = "lf",
    version,
    before_long_help = "Examples:\n  lf demo                        see it work, in a few seconds\n  lf node start                  run a node here\n  lf set greeting 'hello world'  write\n  lf get greeting                read\n\n",
    after_help = "Options with one dash (-json, -path DIR) work, too. Exit codes: 0 done, 1 error, 2 wrong usage.",
    max_term_width = 100
)]
pub(crate) struct Cli {
    /// Directory of client.json and of the node's files [default: ~/.lf, /var/lib/lf for root]
    #[arg(
        long,
        value_name = "DIR",
        env = "LF_PATH",
        global = true,
        help_heading = "Global options",
        hide_env_values = true
    )]
    pub(crate) path: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Which nodes to ask.
#[derive(Debug, Args)]
pub(crate) struct Urls {
    /// Nodes to ask, in order [default: those of lf url list]
    #[arg(long, value_name = "URL,…", env = "LF_URL", value_delimiter = ',', hide_env_values = true)]
    pub(crate) url: Vec<String>,
}

/// What proof of work may take of this machine.
#[derive(Debug, Args)]
pub(crate) struct Working {
    /// Do proof of work on so many threads [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Let proof of work take so many MiB of memory at most; with less than a record needs it takes longer
    #[arg(long, value_name = "MIB", default_value_t = WORK_MEMORY_MIB, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    work_memory: u32,
}

const WORK_MEMORY_MIB: u32 = (WORK_MEMORY_BYTES >> 20) as u32;

impl Working {
    pub(crate) fn workers(&self) -> Workers {
        let workers = self.threads.map_or_else(Workers::default, Workers::with_threads);
        Workers { memory_bytes_max: (self.work_memory as usize) << 20, ..workers }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Get(commands::get::Get),
    Set(commands::set::Set),
    Pulse(commands::pulse::PulseArgs),
    Watch(commands::watch::WatchArgs),
    Dns(Box<commands::dns::Dns>),
    Import(commands::import::Import),
    Export(commands::export::Export),
    Status(commands::status::Status),
    Owner(commands::owner::Owner),
    Ca(commands::ca::Ca),
    Url(commands::url::UrlArgs),
    Oracle(commands::oracle::Oracle),
    Node(commands::node::Node),
    Peers(commands::peers::Peers),
    Db(commands::db::Db),
    Backup(commands::backup::Backup),
    Restore(commands::restore::Restore),
    Makegenesis(commands::makegenesis::MakeGenesis),
    Genesis(commands::genesis::GenesisArgs),
    Verify(commands::verify::Verify),
    Demo(commands::demo::Demo),
    Testnet(commands::testnet::Testnet),
    Selftest(commands::selftest::SelfTest),
    Completions(commands::completions::Completions),
    Man(commands::man::Man),
    Version(commands::version::Version),
}

/// The whole command line, as clap has it: for parsing, completions, man pages and tests.
pub fn command() -> clap::Command {
    with_template(Cli::command())
}

fn with_template(command: clap::Command) -> clap::Command {
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let command = command.help_template(TEMPLATE);
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, with_template))
}
