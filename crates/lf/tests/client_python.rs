//! The Python client's own tests: types, vectors, `clients/e2e.json`, the package in a fresh environment.
#![allow(clippy::unwrap_used)]

#[path = "support/tools.rs"]
mod tools;

use std::process::{Command, Stdio};

/// What `test.sh` exits with where its environment cannot be made: no venv, no PyPI.
const NO_ENVIRONMENT: i32 = 77;

#[test]
fn the_python_client_passes() {
    if !tools::have(&["python3"]) {
        return;
    }
    let mut script = Command::new(tools::project().join("clients/python/test.sh"));
    let output = script.env("LF_BIN", env!("CARGO_BIN_EXE_lf")).stdin(Stdio::null()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(NO_ENVIRONMENT) && std::env::var_os("LF_TESTS_NEED_TOOLS").is_none() {
        eprintln!("skipped: {err}");
        return;
    }
    assert!(output.status.success(), "{}\n{out}{err}", output.status);
    // What ran is shown, and that it ran: a test that found no node would have been skipped.
    for line in out.lines().filter(|line| line.contains(".json ") || line.contains(" passed")) {
        println!("{line}");
    }
    for ran in ["e2e.json sync", "e2e.json async", "records.json", "wharrgarbl.json"] {
        assert!(out.contains(ran), "{ran} did not run:\n{out}{err}");
    }
    assert!(!out.contains(" skipped"), "{out}");
}
