//! `lf url`: the nodes to ask.

use clap::{Args, Subcommand};
use lf_client::{Config, Url};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::ui;

/// The nodes to ask, in order
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf url add http://192.0.2.1:9980\n  lf url default http://127.0.0.1:9980\n\n"
)]
pub(crate) struct UrlArgs {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List URLs, first to try first
    List,
    /// Add a URL, to be tried first
    Add {
        /// http:// or https://
        url: String,
    },
    /// Remove a URL
    Delete {
        /// As listed
        url: String,
    },
    /// Put a URL first
    Default {
        /// Added if it is not there
        url: String,
    },
}

pub(crate) fn run(context: &Context, args: UrlArgs) -> Result<()> {
    let config = match args.command.unwrap_or(Command::List) {
        Command::List => context.config()?,
        Command::Add { url } => change(context, &url, |config, url| {
            if !config.urls.iter().any(|known| known == url) {
                config.put_url_first(url);
            }
            Ok(())
        })?,
        Command::Delete { url } => change(context, &url, |config, url| {
            let before = config.urls.len();
            config.urls.retain(|known| known != url);
            if config.urls.len() == before {
                return Err(Failure::new(format!("{url} is not in the list")).hint("see lf url list"));
            }
            Ok(())
        })?,
        Command::Default { url } => change(context, &url, |config, url| {
            config.put_url_first(url);
            Ok(())
        })?,
    };
    if context.json {
        return ui::print_json(&config.urls);
    }
    ui::print(&config.urls.iter().map(|url| format!("{url}\n")).collect::<String>())
}

fn change(
    context: &Context,
    url: &str,
    change: impl FnOnce(&mut Config, &str) -> Result<()>,
) -> Result<Config> {
    let url: Url = url.parse()?;
    context.update(|config| change(config, url.as_str()).map(|()| config.clone()))
}
