//! The whole store on a real disk: durable single writes, bulk import at 10⁴ to 10⁶ records or more, queries alone and
//! during an import, memory, starts after a clean stop and after a process that was killed.
//!
//! `cargo bench -p lf-store --bench store [-- --records N] [--shape steady|mixed|hostile] [--json] [--directory DIR]`.
//! Prints a table with the goals of the project beside what was measured. Each figure is what one run gave; run it
//! several times on a busy machine.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use lf_store::Store;
use lf_store::selftest::{Figure, Goal, Shape, Synthetic, options, query, run};

/// As `lf` itself has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CHILD: &str = "LF_BENCH_CHILD";

fn main() {
    if let Some(directory) = std::env::var_os(CHILD) {
        child(Path::new(&directory));
    }
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| arguments.iter().position(|a| a == name).and_then(|i| arguments.get(i + 1));
    let records: u64 = value("--records").map_or(1_000_000, |n| n.parse().unwrap());
    let place = value("--directory").map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(place).unwrap();
    let shape = value("--shape").map_or(Shape::Steady, |shape| shape.parse().unwrap());
    let figures = measure(directory.path(), records, shape);
    if arguments.iter().any(|a| a == "--json") {
        for f in &figures {
            let line = serde_json::json!({"name": f.name, "value": f.value, "unit": f.unit, "threads": f.threads, "met": f.is_met()});
            println!("{line}");
        }
    } else {
        figures.iter().for_each(|f| println!("{f}"));
    }
}

/// Opens the store, imports another 99,000 records, with the checkpoints that come due, and dies as if killed.
fn child(directory: &Path) -> ! {
    let (mut store, _) = Store::open(options(directory, Synthetic::new(0).genesis()).unwrap()).unwrap();
    let mut synthetic = Synthetic::new(u64::from(store.reader().view().linked()));
    for _ in 0..99 {
        store.apply(&synthetic.batch(1000), &[]).unwrap();
        store.checkpoint_if_due().unwrap();
    }
    std::process::abort();
}

fn measure(directory: &Path, records: u64, shape: Shape) -> Vec<Figure> {
    let mut figures = run(directory, records, shape, &mut |figure| eprintln!("{figure}")).unwrap();
    let mut add = |name: &str, value: f64, unit: &'static str, goal: Option<Goal>| {
        let figure = Figure::new(name, value, unit, goal);
        eprintln!("{figure}");
        figures.push(figure);
    };
    let options = options(directory, Synthetic::new(0).genesis()).unwrap();
    for _ in 0..3 {
        let child = Command::new(std::env::current_exe().unwrap()).env(CHILD, directory).output().unwrap();
        assert!(!child.status.success(), "it should have died");
        let before = Instant::now();
        let (store, report) = Store::open(options.clone()).unwrap();
        query(&store.reader(), 0, 1).unwrap();
        add("start after kill -9", before.elapsed().as_secs_f64(), "s", Some(Goal::AtMost(10.0)));
        add("  log entries applied again", report.replayed as f64, "", None);
        drop(store);
    }
    let (before, after) = lf_store::tools::compact(&options).unwrap();
    add("index", before as f64 / 1e6, "MB", None);
    add("index, compacted", after as f64 / 1e6, "MB", None);
    let log = lf_store::tools::stats(&options).unwrap().log;
    add("log", log.bytes as f64 / 1e6, "MB", None);
    figures
}
