//! `lf verify`, `selftest`, `demo`, `version`, `completions`, `man`, help.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use std::io::Read as _;

use support::{Home, Node};

#[test]
fn verify_finds_damage() {
    let node = Node::start();
    for i in 0..20 {
        node.lf(["set", &format!("list#{i}"), "value"]).good();
    }
    let home = Home::new();
    let mut good = Vec::new();
    lf_client::Client::new([&node.url]).unwrap().records(None).unwrap().read_to_end(&mut good).unwrap();
    std::fs::write(home.path().join("bootstrap.lf"), &good).unwrap();
    let report = home.run("verify --nowork bootstrap.lf").good();
    assert!(report.contains("problems   none") && report.contains("records/s on"), "{report}");
    let json: serde_json::Value =
        serde_json::from_str(&home.run("--json verify --nowork --threads 1 bootstrap.lf").good()).unwrap();
    assert_eq!((&json["Problems"], &json["Bytes"]), (&0.into(), &good.len().into()));

    let without_work = home.run("verify bootstrap.lf");
    assert_eq!(without_work.code, Some(1));
    assert!(without_work.stderr.contains("--nowork"), "{without_work:?}");

    let mut damaged = good.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let piped = home.lf_with_input(["verify", "--nowork", "-"], &damaged);
    assert_eq!(piped.code, Some(1));
    assert!(piped.stdout.contains("problems   1") && piped.stdout.contains("signature"), "{piped:?}");
    let cut = home.lf_with_input(["verify", "--nowork", "-"], &good[..good.len() - 10]);
    assert!(cut.stdout.contains("what follows cannot be read"), "{cut:?}");
    assert!(home.run("verify nope.lf").error().contains("cannot read nope.lf"));
    assert!(home.run("verify .").error().contains("directory"));
}

#[test]
fn the_machine_computes_what_it_should() {
    let home = Home::new();
    let core = home.run("selftest").good();
    assert!(core.lines().count() >= 8 && core.lines().all(|line| line.starts_with("ok  ")), "{core}");
    assert_eq!(home.run("selftest core").good().lines().count(), core.lines().count());
    let work = home.run("selftest wharrgarbl").good();
    assert!(work.contains("M hashes/s") && work.lines().all(|line| line.starts_with("ok  ")), "{work}");
    home.run("selftest bogus").usage_error();
}

#[test]
fn the_demo_tells_its_story_and_leaves_nothing() {
    let home = Home::new();
    let mut demo = home.command();
    let told = support::Ran::of(demo.env("TMPDIR", home.path()).arg("demo")).good();
    for part in [
        "$ lf set lighthouse",
        "the lamp is lit | lighthouse#0",
        "log#3#5",
        "--owner rival",
        "$ lf pulse",
        "12 records",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(told.contains("Trust 1  keeper") && told.contains("Trust 0  rival"), "{told}");
    assert!(!told.contains('\u{1b}'));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn versions() {
    let home = Home::new();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(home.run("version").good(), format!("{version}.0\n"));
    assert_eq!(home.run("--version").good(), format!("lf {version}\n"));
    assert!(home.run("version --json").good().contains(version));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn help_is_data_and_mistakes_are_not() {
    let home = Home::new();
    let plain = support::Ran::of(&mut home.command()).good();
    assert_eq!(plain, home.run("-h").good());
    assert_eq!(plain, home.run("-h status").good());
    assert!(home.run("help get").good().contains("Examples:"));
    assert!(home.run("help node start").good().contains("--localtest"));
    assert!(home.run("node-start --help").good().contains("--localtest"));
}

#[test]
fn completions_and_manual_pages() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home.lf(["completions", shell]).good();
        assert!(script.contains("makegenesis") && script.contains("tstart"), "{shell}");
    }
    home.run("completions csh").usage_error();
    assert!(home.run("man").good().contains(".TH lf 1"));
    home.run("man --output pages").good();
    let pages: Vec<_> = std::fs::read_dir(home.path().join("pages")).unwrap().collect();
    assert!(pages.len() > 20, "{}", pages.len());
}
