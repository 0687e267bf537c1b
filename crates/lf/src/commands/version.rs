//! `lf version`.

use clap::Args;
use serde_json::json;

use crate::context::Context;
use crate::failure::Result;
use crate::ui;

/// Print the version
#[derive(Debug, Args)]
pub(crate) struct Version {}

/// Major, minor, revision and build, as nodes tell them.
pub(crate) const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), ".0");

pub(crate) fn run(context: &Context) -> Result<()> {
    if context.json {
        return ui::print_json(&json!({"Software": "lf", "Version": VERSION}));
    }
    ui::print(&format!("{VERSION}\n"))
}
