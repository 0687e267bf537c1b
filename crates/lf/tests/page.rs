//! The node's page in a real browser: `page/test.sh` says how.

#[path = "support/tools.rs"]
mod tools;

use std::process::Command;

#[test]
fn the_page_works_in_a_browser() {
    if !tools::have(&["npm", "node", "chromium"]) {
        return;
    }
    let test = tools::project().join("page/test.sh");
    let printed = tools::must_succeed(Command::new(test).env("LF_BIN", env!("CARGO_BIN_EXE_lf")));
    // That it ran, and how much of it.
    let counted = |line: &str| printed.lines().any(|l| l.trim_start_matches(['#', 'ℹ', ' ']) == line);
    assert!(counted("fail 0") && !counted("pass 0"), "{printed}");
}
