//! The Python client's own tests: types, vectors, `clients/e2e.json`, the package in a fresh environment.

#[path = "support/tools.rs"]
mod tools;

use std::process::Command;

#[test]
fn the_python_client_passes() {
    if !tools::have(&["python3"]) {
        return;
    }
    let script = tools::project().join("clients/python/test.sh");
    let printed = tools::must_succeed(Command::new(script).env("LF_BIN", env!("CARGO_BIN_EXE_lf")));
    // What ran is shown, and that it ran: a test that found no node would have been skipped.
    for line in printed.lines().filter(|line| line.contains(".json ") || line.contains(" passed")) {
        println!("{line}");
    }
    for ran in ["e2e.json sync", "e2e.json async", "records.json", "wharrgarbl.json"] {
        assert!(printed.contains(ran), "{ran} did not run:\n{printed}");
    }
    assert!(!printed.contains(" skipped"), "{printed}");
}
