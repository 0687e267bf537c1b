//! The whole store on a real disk: durable single writes, bulk import at 10⁴ to 10⁶ records, queries alone and during
//! an import, start after a process that was killed.
//!
//! `cargo bench -p lf-store --bench store [-- --records N] [--json] [--directory DIR]`. Prints a table with the goals of
//! the project beside what was measured. Each figure is what one run gave; run it several times on a busy machine.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use lf_store::Store;
use lf_store::selftest::{
    Figure, Goal, Synthetic, import, options, percentile, queries, queries_during, single_writes,
};

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
    let figures = measure(directory.path(), records);
    if arguments.iter().any(|a| a == "--json") {
        for f in &figures {
            let met = f.is_met();
            println!("{}", serde_json::json!({"name": f.name, "value": f.value, "unit": f.unit, "met": met}));
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

fn measure(directory: &Path, records: u64) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut add = |name: &str, value: f64, unit: &'static str, goal: Option<Goal>| {
        eprintln!("{}", Figure::new(name, value, unit, goal));
        figures.push(Figure::new(name, value, unit, goal));
    };
    let mut synthetic = Synthetic::new(1);
    let options = options(directory, synthetic.genesis()).unwrap();
    let (mut store, _) = Store::open(options.clone()).unwrap();
    let singles = single_writes(&mut store, &mut synthetic, 1000).unwrap();
    add("durable single writes", singles, "writes/s", Some(Goal::AtLeast(100.0)));
    let reader = store.reader();
    let start = Instant::now();
    let mut size = 10_000;
    while size <= records {
        let (rate, longest) = import(&mut store, &mut synthetic, size).unwrap();
        add(&format!("import up to {size} records"), rate, "records/s", Some(Goal::AtLeast(20_000.0)));
        add(&format!("  longest batch of 2000 up to {size}"), longest, "ms", None);
        let mut quiet = queries(&reader, size, 20_000).unwrap();
        add(&format!("  query at {size}, p50"), percentile(&mut quiet, 50.0), "ms", None);
        add(&format!("  query at {size}, p99"), percentile(&mut quiet, 99.0), "ms", Some(Goal::AtMost(1.0)));
        size *= 10;
    }
    let more = records + records / 10;
    let ((rate, _), mut during) =
        queries_during(&reader, records, || import(&mut store, &mut synthetic, more)).unwrap();
    add("import of a tenth more, with queries", rate, "records/s", None);
    add("  query during it, p50", percentile(&mut during, 50.0), "ms", None);
    add("  query during it, p99", percentile(&mut during, 99.0), "ms", Some(Goal::AtMost(5.0)));
    add("  query during it, longest", percentile(&mut during, 100.0), "ms", None);
    add("all of it", start.elapsed().as_secs_f64(), "s", None);
    let before = Instant::now();
    store.checkpoint().unwrap();
    add("checkpoint", before.elapsed().as_secs_f64(), "s", None);
    add(
        "memory of weights",
        reader.graph_bytes() as f64 / f64::from(reader.view().linked()),
        "bytes/record",
        None,
    );
    drop((store, reader));
    for _ in 0..3 {
        let child = Command::new(std::env::current_exe().unwrap()).env(CHILD, directory).output().unwrap();
        assert!(!child.status.success(), "it should have died");
        let before = Instant::now();
        let (store, report) = Store::open(options.clone()).unwrap();
        add("start after kill -9", before.elapsed().as_secs_f64(), "s", Some(Goal::AtMost(5.0)));
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
