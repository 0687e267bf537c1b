//! `lf oracle`: whose comments on records count.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::context::{Context, find_oracle};
use crate::failure::{Failure, Result};
use crate::ui;

/// A longer name is a mistake.
const NAME_CHARS_MAX: usize = 64;

/// Oracles you trust: their comments count in lf get
#[derive(Debug, Args)]
pub(crate) struct Oracle {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List trusted oracles, with their names if they have any
    List,
    /// Trust an oracle
    Add {
        /// @…: what lf status shows of a node started with --oracle
        #[arg(value_name = "@ORACLE")]
        oracle: String,
        /// A name for it
        #[arg(value_name = "NAME", value_parser = name)]
        name: Option<String>,
    },
    /// Trust an oracle no longer
    Delete {
        /// @… or its name
        #[arg(value_name = "ORACLE")]
        oracle: String,
    },
}

pub(crate) fn run(context: &Context, args: Oracle) -> Result<()> {
    match args.command.unwrap_or(Command::List) {
        Command::List => list(context),
        Command::Add { oracle, name } => {
            let oracle =
                oracle.parse().map_err(|e| Failure::new(format!("invalid oracle owner {oracle}: {e}")))?;
            let changed =
                context.update(|config| config.add_oracle(oracle, name.as_deref()).map_err(Failure::new))?;
            let what = if changed {
                "added as trusted oracle"
            } else {
                "already exists in trusted oracle list, nothing done"
            };
            ui::print(&format!("{oracle} {what}\n"))
        }
        Command::Delete { oracle } => {
            let oracle = context.update(|config| {
                let oracle = find_oracle(config, &oracle)?;
                if !config.delete_oracle(&oracle) {
                    return Err(Failure::new(format!("{oracle} not found in trusted oracle list")));
                }
                Ok(oracle)
            })?;
            ui::print(&format!("{oracle} removed from trusted oracle list\n"))
        }
    }
}

fn list(context: &Context) -> Result<()> {
    let config = context.config()?;
    if context.json {
        let oracles: Vec<_> = config
            .oracles
            .iter()
            .map(|oracle| match config.oracle_name(oracle) {
                Some(name) => json!({ "Owner": oracle, "Name": name }),
                None => json!({ "Owner": oracle }),
            })
            .collect();
        return ui::print_json(&oracles);
    }
    let line = |oracle| match config.oracle_name(oracle) {
        Some(name) => format!("{oracle} {}\n", ui::printable(name.as_bytes())),
        None => format!("{oracle}\n"),
    };
    ui::print(&config.oracles.iter().map(line).collect::<String>())
}

fn name(text: &str) -> Result<String, String> {
    let good = !text.is_empty() && !text.starts_with('@') && text.chars().count() <= NAME_CHARS_MAX;
    if !good || text.chars().any(char::is_control) {
        return Err(format!("a name has 1 to {NAME_CHARS_MAX} characters and does not begin with @"));
    }
    Ok(text.to_owned())
}
