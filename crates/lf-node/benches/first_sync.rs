//! A node without records joins one that has them: how many records a second it takes in, verified and durable, and how
//! much of the cores' time that uses, both nodes' together.
//!
//! `cargo bench -p lf-node --bench first_sync [-- --records N]`: N signed records (100,000), two selectors each, no work;
//! three runs.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use lf_node::runtime::Running;
use lf_node::selftest::{Figure, Goal, Signed, processor_time};
use lf_node::{P2pConfig, RunConfig};

const RUNS: usize = 3;

/// As `lf` itself has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn config(home: &Path, genesis: &[u8], seed: Option<u16>) -> RunConfig {
    std::fs::write(home.join("genesis.lf"), genesis).unwrap();
    let mut config = RunConfig::new(home);
    config.testnet = true;
    config.http = None;
    let seeds = seed.map(|port| format!("127.0.0.1:{port}").parse().unwrap()).into_iter().collect();
    config.p2p =
        Some(P2pConfig { listen: vec!["127.0.0.1:0".parse().unwrap()], seeds, ..P2pConfig::default() });
    config
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|a| a == "--records");
    let count: usize = at.and_then(|i| arguments.get(i + 1)).map_or(100_000, |n| n.parse().unwrap());
    let threads = std::thread::available_parallelism().unwrap().get();

    let mut signed = Signed::default();
    let genesis: Vec<u8> = signed.genesis().records().iter().flat_map(|r| r.as_bytes().to_vec()).collect();
    let (mut file, mut made) = (Vec::new(), 0);
    while made < count {
        for record in signed.batch().iter().take(count - made) {
            file.extend_from_slice(record.as_bytes());
            made += 1;
        }
    }
    let home = tempfile::tempdir().unwrap();
    let first = Running::start(&config(home.path(), &genesis, None)).unwrap();
    first.node().import(&file[..], &mut |_| {}, &AtomicBool::new(false)).unwrap();
    let linked = first.node().linked();
    let port = first.peers().unwrap().port();
    for run in 1..=RUNS {
        let home = tempfile::tempdir().unwrap();
        let (begun, cpu) = (Instant::now(), processor_time().unwrap_or_default());
        let second = Running::start(&config(home.path(), &genesis, Some(port))).unwrap();
        while second.node().linked() < linked {
            std::thread::sleep(Duration::from_millis(5));
        }
        let wall = begun.elapsed().as_secs_f64();
        let busy = (processor_time().unwrap_or_default() - cpu).as_secs_f64() / wall / threads as f64;
        println!(
            "{}",
            Figure::new(format!("first sync, run {run}"), f64::from(linked) / wall, "records/s", None)
        );
        println!(
            "{}",
            Figure::new("  of the cores' time used", busy * 100.0, "%", Some(Goal::AtLeast(90.0)))
        );
        second.stop().unwrap();
    }
    first.stop().unwrap();
}
