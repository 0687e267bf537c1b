//! Nothing but lf-platform asks on which system it runs; lf-proto's vector code apart.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

/// What is only there on some systems.
const SIGNS: [&str; 9] = [
    "std::os::",
    "rustix::",
    "libc::",
    "\"/proc/",
    "cfg(unix)",
    "cfg(windows)",
    "target_os",
    "signal::unix",
    "NOTIFY_SOCKET",
];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_other_crate_knows_the_system() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(crates).unwrap() {
        let directory = entry.unwrap().path();
        if !["lf-platform", "lf-proto"].iter().any(|name| directory.ends_with(name)) {
            sources(&directory.join("src"), &mut found);
        }
    }
    assert!(found.len() > 50);
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        // Tests may be for some systems only.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (n, line) in (1..).zip(code.lines()) {
            let sign =
                SIGNS.iter().find(|sign| line.contains(**sign) && !line.trim_start().starts_with("//"));
            assert!(sign.is_none(), "{}, line {n}: this belongs into lf-platform: {line}", path.display());
        }
    }
}
