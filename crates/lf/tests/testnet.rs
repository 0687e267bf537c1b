//! `lf testnet`: its story, and that nothing of it stays.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use support::Home;

/// For what takes no second on an idle machine.
const TIME_MAX: Duration = Duration::from_secs(120);

/// What the story shows whatever it measures: everything but answers.
const SHAPE: &str = "\
5 nodes, connected and synchronized
A record on each node.
  $ lf --path 1 set 'hello#1' 'from node 1'
  $ lf --path 2 set 'hello#2' 'from node 2'
  $ lf --path 3 set 'hello#3' 'from node 3'
  $ lf --path 4 set 'hello#4' 'from node 4'
  $ lf --path 5 set 'hello#5' 'from node 5'
Every node has them all.
  $ lf --path 1 get 'hello#'
  $ lf --path 2 get 'hello#'
  $ lf --path 3 get 'hello#'
  $ lf --path 4 get 'hello#'
  $ lf --path 5 get 'hello#'
A pulse says that a record of a minute ago still holds: 11 bytes, and no new record.
  $ lf --path 1 pulse alive
A partition: nodes 1 to 2 and 3 to 5 ban each other.
  $ lf --path 1 peers ban IDENTITY-OF-5
Both sides write, and both take one name.
  $ lf --path 1 set left 'written on one side'
  $ lf --path 5 set right 'written on the other'
  $ lf --path 1 set harbour 'ours, says one side'
  $ lf --path 5 set --owner rival harbour 'ours, says the other'
Each side sees its own.
  $ lf --path 2 get left
  $ lf --path 2 get harbour
  $ lf --path 2 get right
  $ lf --path 3 get right
  $ lf --path 3 get harbour
  $ lf --path 3 get left
The partition heals.
  $ lf --path 1 peers unban IDENTITY-OF-5
  $ lf --path 1 node connect ADDRESS-OF-5
Both claims to the name are everywhere now; each node goes on believing the one it had first.
  $ lf --path 1 get harbour
  $ lf --path 5 get harbour
Node 5 is killed.
  $ kill -9 $(cat 5/lf.pid)
  $ lf --path 1 set news 'node down'
  $ lf --path 1 set 'news#2' 'still down'
It starts again and catches up.
  $ lf --path 5 node start --testnet …
  $ lf --path 5 get 'news#2'
A new node comes, with nothing but genesis.lf, and gets everything.
  $ lf --path 6 node start --testnet …
  $ lf --path 6 get 'hello#'
All 6 nodes have the same 15 records
Run a network that stays: lf testnet
";

/// Lines of the story without their times: the first part of what is said, and all commands.
fn shape(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if line.starts_with("  $ ") {
            out.push_str(line);
        } else if !line.starts_with(' ') {
            let said = line.split(". (").next().unwrap().split(" in ").next().unwrap();
            let said = said.split(". The others").next().unwrap().trim_end_matches(',');
            out.push_str(said);
            if line.len() > said.len() && line[said.len()..].starts_with(". ") {
                out.push('.');
            }
        } else {
            continue;
        }
        out.push('\n');
    }
    out
}

#[test]
fn the_story_of_five_nodes() {
    let home = Home::new();
    let played = home.run("testnet 5 --play").good();
    assert_eq!(shape(&played), SHAPE, "{played}");
    for answer in ["from node 5", "ours, says one side", "ours, says the other", "still down", "same weights"]
    {
        assert!(played.contains(answer), "{answer} in {played}");
    }
    let first_home = homes(&played).remove(0);
    assert!(!first_home.parent().unwrap().exists(), "{first_home:?} is left");
}

/// The homes in the table.
fn homes(text: &str) -> Vec<PathBuf> {
    let rows = text.lines().skip_while(|line| !line.trim_start().starts_with("NODE "));
    rows.skip(1)
        .take_while(|line| line.contains("http://"))
        .map(|row| PathBuf::from(row.split_whitespace().nth(2).unwrap()))
        .collect()
}

/// A network that stays, killed when dropped.
struct Staying {
    child: Child,
    homes: Vec<PathBuf>,
}

impl Staying {
    fn start(home: &Home, line: &str) -> Self {
        let mut command = home.command();
        let mut child = command.args(line.split(' ')).stdout(Stdio::piped()).spawn().unwrap();
        let mut text = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while !text.ends_with("Ctrl-C ends it.\n") {
            assert_ne!(lines.read_line(&mut text).unwrap(), 0, "{text}");
        }
        Staying { child, homes: homes(&text) }
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < TIME_MAX, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn runs(home: &Path) -> bool {
    home.join("lf.pid").exists()
}

#[test]
fn a_signal_ends_it_and_nothing_is_left() {
    let home = Home::new();
    let mut network = Staying::start(&home, "testnet 2");
    assert_eq!(network.homes.len(), 2);
    assert!(network.homes.iter().all(|home| runs(home)), "{:?}", network.homes);
    let pid = rustix::process::Pid::from_child(&network.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(network.child.wait().unwrap().success());
    assert!(!network.homes[0].parent().unwrap().exists(), "{:?}", network.homes);
}

#[test]
fn nodes_do_not_outlive_it_even_if_it_is_killed() {
    let home = Home::new();
    let mut network = Staying::start(&home, "testnet 2 --dir kept");
    let homes = network.homes.clone();
    assert!(homes.iter().all(|home| runs(home)), "{homes:?}");
    network.child.kill().unwrap();
    network.child.wait().unwrap();
    // A node that stops takes its lf.pid away.
    wait_until("the nodes end", || !homes.iter().any(|home| runs(home)));
    assert!(homes.iter().all(|home| home.join("genesis.lf").exists()), "{homes:?}");
    assert!(home.run("testnet 2 --dir kept").error().contains("not empty"));
}

#[test]
fn what_cannot_be() {
    let home = Home::new();
    home.run("testnet 1").usage_error();
    home.run("testnet 51").usage_error();
    home.run("node start --testnet --localtest").usage_error();
    let refused = home.run("node start --testnet --http 127.0.0.1:0 --p2p 127.0.0.1:0").error();
    assert!(refused.contains("built-in network") && refused.contains("lf makegenesis"), "{refused}");
}
