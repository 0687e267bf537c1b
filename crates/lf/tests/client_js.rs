//! The TypeScript client's own tests: types, vectors, `clients/e2e.json`, the package in a project of its own.

#[path = "support/tools.rs"]
mod tools;

use std::process::Command;

#[test]
fn the_typescript_client_passes() {
    if !tools::have(&["node", "npm"]) {
        return;
    }
    let script = tools::project().join("clients/js/test.sh");
    let printed = tools::must_succeed(Command::new(script).env("LF_BIN", env!("CARGO_BIN_EXE_lf")));
    // What ran is shown, and that it ran: a test that found no node would have been skipped.
    let is_count = |line: &&str| line.contains(".json ") && line.ends_with(|c: char| c.is_ascii_digit());
    for line in printed.lines().filter(is_count) {
        println!("{}", line.trim());
    }
    for ran in ["e2e.json ", "records.json ", "wharrgarbl.json ", "README.md examples "] {
        assert!(printed.contains(ran), "{ran}did not run:\n{printed}");
    }
    assert!(printed.contains("skipped 0"), "{printed}");
}
