//! Tools that are not Rust's: npm, python3, a browser, dig. A test that needs one says so here, and is skipped where
//! it is not; `.ci/run` installs them all and sets `LF_TESTS_NEED_TOOLS`, so that nothing is skipped there unseen.
#![allow(dead_code, unreachable_pub)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whether all of these programs are there. Prints which one is not; with `LF_TESTS_NEED_TOOLS` that is a failure.
///
/// # Panics
/// One is missing though `LF_TESTS_NEED_TOOLS` is set.
pub fn have(programs: &[&str]) -> bool {
    let is_here = |program: &str| find(program).is_some() && (program != "node" || is_node_new_enough());
    let missing: Vec<_> = programs.iter().filter(|program| !is_here(program)).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var_os("LF_TESTS_NEED_TOOLS").is_none(), "not installed, or too old: {missing:?}");
    eprintln!("skipped: not installed, or too old: {missing:?}");
    false
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// Whether Node.js is at least 20.19, which the libraries of `clients/js` need.
fn is_node_new_enough() -> bool {
    let output = Command::new("node").arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let mut numbers =
        text.trim().trim_start_matches('v').split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (20, 19)
}

/// The directory that holds the whole project.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the project's directory")
}

/// Runs a command and shows what it printed if it fails.
///
/// # Panics
/// It cannot be started, or fails.
#[track_caller]
pub fn must_succeed(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("a command that can be started");
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{text}", output.status);
    text
}
