//! The whole command line's help in one file, so that no text of it changes unseen.
//!
//! After a change that is meant: `LF_UPDATE=1 cargo test -p lf --test reference`, and read the difference.
#![allow(clippy::unwrap_used)]

use std::path::Path;

fn describe(command: &mut clap::Command, path: &str, out: &mut String) {
    out.push_str(&format!("==== {path} ====\n\n{}\n", command.render_long_help()));
    let names: Vec<String> = command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
        .map(|sub| sub.get_name().to_owned())
        .collect();
    for name in names {
        describe(command.find_subcommand_mut(&name).unwrap(), &format!("{path} {name}"), out);
    }
}

#[test]
fn help_texts() {
    let mut command = lf_cli::command().term_width(100);
    command.build();
    let mut reference = String::new();
    describe(&mut command, "lf", &mut reference);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference.txt");
    if std::env::var_os("LF_UPDATE").is_some() {
        std::fs::write(&file, &reference).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    if committed != reference {
        let changed = committed.lines().zip(reference.lines()).find(|(old, new)| old != new);
        panic!(
            "help texts differ from tests/reference.txt, first here: {changed:?}; LF_UPDATE=1 writes the new ones"
        );
    }
}

#[test]
fn definitions_are_consistent() {
    lf_cli::command().debug_assert();
}
