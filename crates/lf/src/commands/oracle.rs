//! `lf oracle`: whose comments on records count.

use clap::{Args, Subcommand};
use lf_proto::owner::OwnerPublic;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::ui;

/// Oracles you trust: their comments count in lf get
#[derive(Debug, Args)]
pub(crate) struct Oracle {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List trusted oracles
    List,
    /// Trust an oracle
    Add {
        /// @…
        #[arg(value_name = "@ORACLE")]
        oracle: String,
    },
    /// Trust an oracle no longer
    Delete {
        /// @…
        #[arg(value_name = "@ORACLE")]
        oracle: String,
    },
}

pub(crate) fn run(context: &Context, args: Oracle) -> Result<()> {
    match args.command.unwrap_or(Command::List) {
        Command::List => {
            let oracles = context.config()?.oracles;
            if context.json {
                return ui::print_json(&oracles);
            }
            ui::print(&oracles.iter().map(|oracle| format!("{oracle}\n")).collect::<String>())
        }
        Command::Add { oracle } => {
            let oracle = parse(&oracle)?;
            let added = context.update(|config| {
                let new = !config.oracles.contains(&oracle);
                if new {
                    config.oracles.push(oracle);
                }
                Ok(new)
            })?;
            let what = if added {
                "added as trusted oracle"
            } else {
                "already exists in trusted oracle list, nothing done"
            };
            ui::print(&format!("{oracle} {what}\n"))
        }
        Command::Delete { oracle } => {
            let oracle = parse(&oracle)?;
            context.update(|config| {
                let before = config.oracles.len();
                config.oracles.retain(|known| *known != oracle);
                if config.oracles.len() == before {
                    return Err(Failure::new(format!("{oracle} not found in trusted oracle list")));
                }
                Ok(())
            })?;
            ui::print(&format!("{oracle} removed from trusted oracle list\n"))
        }
    }
}

fn parse(text: &str) -> Result<OwnerPublic> {
    text.parse().map_err(|e| Failure::new(format!("invalid oracle owner {text}: {e}")))
}
