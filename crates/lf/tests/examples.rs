//! The examples' files, as the tools that read them see them. Where a tool is missing, it says so and tests less.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::{Command, Output};

fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(example(name)).unwrap()
}

/// What a tool says, if it is here and works at all: `probe` must.
fn run(tool: &str, probe: &[&str], args: &[&str]) -> Option<Output> {
    let works = Command::new(tool).args(probe).output().is_ok_and(|probed| probed.status.success());
    if !works {
        println!("skipped: no usable {tool} here");
        return None;
    }
    Some(Command::new(tool).args(args).output().unwrap())
}

/// The words of a command line of ours must be ones that the program knows.
fn check_words<'a>(words: impl IntoIterator<Item = &'a str>) {
    let help = Command::new(env!("CARGO_BIN_EXE_lf")).args(["node", "start", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for word in words.into_iter().filter(|word| word.starts_with("--")) {
        assert!(help.contains(word), "lf node start has no {word}");
    }
}

#[test]
fn the_compose_file_is_one() {
    let compose = text("compose/compose.yaml");
    for line in compose.lines().filter_map(|line| line.trim().strip_prefix("command: ")) {
        let words: Vec<String> = serde_json::from_str(line).unwrap();
        assert_eq!(words[..2], ["node", "start"]);
        check_words(words.iter().map(String::as_str));
    }
    let file = example("compose/compose.yaml");
    let file = file.to_str().unwrap();
    if let Some(read) =
        run("docker", &["compose", "version"], &["compose", "--file", file, "config", "--quiet"])
    {
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    }
    // A YAML parser sees less than docker does, but sees that three nodes name each other.
    let script = "import sys, yaml\n\
        services = yaml.safe_load(open(sys.argv[1]))['services']\n\
        assert len(services) == 3\n\
        for name, service in services.items():\n\
        \x20   seeds = [w for w in service['command'] if w.endswith(':9908')]\n\
        \x20   assert seeds == [f'{n}:9908' for n in services if n != name], (name, seeds)\n\
        \x20   assert './genesis.lf:/var/lib/lf/genesis.lf:ro' in service['volumes'] and service['read_only']\n";
    if let Some(read) = run("python3", &["-c", "import yaml"], &["-c", script, file]) {
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    }
}
