//! A node under an import: signed records verified on all cores and stored, and what queries take meanwhile, in process
//! and over HTTP.
//!
//! `cargo bench -p lf-node --bench ingest [-- --stored N] [--shape steady|mixed|hostile] [--records N]`: stores N synthetic
//! records first (10⁶), then imports signed ones (300,000, which take two minutes to make: a p99 of fewer queries says
//! little). Prints a table; each figure is what one run gave.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lf_node::runtime::Running;
use lf_node::selftest::{Figure, Goal, Shape, Signed, Synthetic, import, percentile, processor_time, query};
use lf_node::{Node, RunConfig, store_options};
use lf_proto::api::{Query, QueryRange};

/// As `lf` itself has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long pauses of the machine are looked for.
const PAUSES_FOR: Duration = Duration::from_secs(5);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| arguments.iter().position(|a| a == name).and_then(|i| arguments.get(i + 1));
    let number = |name: &str, default: u64| value(name).map_or(default, |n| n.parse().unwrap());
    let (stored, count) = (number("--stored", 1_000_000), number("--records", 300_000) as usize);
    let shape = value("--shape").map_or(Shape::Steady, |shape| shape.parse().unwrap());
    let home = tempfile::tempdir().unwrap();
    let mut config = RunConfig::new(home.path());
    config.local_test = true;
    config.http = Some("127.0.0.1:0".parse().unwrap());
    let directory = config.directory();
    std::fs::create_dir_all(&directory).unwrap();

    let mut signed = Signed::default();
    let genesis = signed.genesis().clone();
    let bytes: Vec<u8> = genesis.records().iter().flat_map(|r| r.as_bytes().to_vec()).collect();
    std::fs::write(directory.join("genesis.lf"), bytes).unwrap();
    let begun = Instant::now();
    let mut file = Vec::new();
    let mut made = 0;
    while made < count {
        for record in signed.batch().iter().take(count - made) {
            file.extend_from_slice(record.as_bytes());
            made += 1;
        }
    }
    let threads = std::thread::available_parallelism().unwrap().get();
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    println!("{}", Figure::new("signed records made", rate, "records/s", None).on(threads));

    // After them, so that the system has no time to take the store's files out of memory.
    let options = store_options(&directory, genesis).unwrap();
    let (mut store, _) = lf_store::Store::open(options).unwrap();
    import(&mut store, &mut Synthetic::with_shape(1, shape), stored).unwrap();
    store.close().unwrap();

    // What the machine itself takes away: a query beside busy threads can do no better.
    let pauses_ms = pauses_ms(threads);
    for goal_ms in [1.0, 2.0] {
        let beyond_ms: f64 = pauses_ms.iter().map(|pause| (pause - goal_ms).max(0.0)).sum();
        let share = beyond_ms / 1e3 / PAUSES_FOR.as_secs_f64() / threads as f64;
        let name = format!("moments at which the machine stood still longer than {goal_ms} ms");
        println!("{}", Figure::new(name, share * 100.0, "%", None).on(threads));
    }

    // A store of 10⁷ takes minutes to fill: long enough for some systems to take what was written first out of memory.
    // These are figures of a node that has been queried for a while.
    read_all(home.path());
    let running = Running::start(&config).unwrap();
    let url = running.url().unwrap();
    let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let third = file.len() / 3;
    for (name, in_process, over_http, goal_ms) in [
        ("alone", false, false, 0.0),
        ("with queries in process", true, false, 1.0),
        ("with queries over HTTP", false, true, 2.0),
    ] {
        // A third of the records each time.
        let end = whole_records(&file, third.min(file.len()));
        let rest = file.split_off(end);
        let part = std::mem::replace(&mut file, rest);
        measure(name, running.node(), &part, threads, goal_ms, |stop| {
            // As the node's own threads that answer requests do; a client over HTTP is another program.
            if in_process {
                lf_platform::short_slices();
            }
            let mut durations = Vec::new();
            let mut stream = over_http.then(|| BufReader::new(TcpStream::connect(&address).unwrap()));
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) && (in_process || over_http) {
                n = (n + 7_919) % stored;
                durations.push(match &mut stream {
                    Some(stream) => ask(stream, &address, n),
                    None => query(running.node().reader(), n, 1).unwrap().0,
                });
                std::thread::sleep(Duration::from_millis(1));
            }
            durations
        });
    }
    running.stop().unwrap();
}

/// Reads all files of a directory once.
fn read_all(directory: &Path) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path);
        } else {
            std::io::copy(&mut File::open(path).unwrap(), &mut std::io::sink()).unwrap();
        }
    }
}

/// The end of the last whole record within the first `bytes` bytes, or a little after.
fn whole_records(file: &[u8], bytes: usize) -> usize {
    let mut end = 0;
    while end < bytes {
        end += lf_proto::record::Record::decode_first(&file[end..]).unwrap().1;
    }
    end
}

/// Imports records while `queries` runs on another thread.
fn measure(
    name: &str,
    node: &Node,
    file: &[u8],
    threads: usize,
    goal_ms: f64,
    queries: impl FnOnce(&AtomicBool) -> Vec<Duration> + Send,
) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let querying = std::thread::Builder::new().name("queries".to_owned());
        let querying = querying.spawn_scoped(scope, || queries(&stop)).unwrap();
        let read = disk_read_bytes();
        let (begun, cpu) = (Instant::now(), processor_time().unwrap_or_default());
        let import = || {
            lf_platform::lower_priority(lf_store::WRITER_NICENESS);
            node.import(file, &mut |_| {}, &AtomicBool::new(false)).unwrap()
        };
        let report = scope.spawn(import).join().unwrap();
        let wall = begun.elapsed();
        let cpu = (processor_time().unwrap_or_default() - cpu).as_secs_f64();
        let busy = cpu / wall.as_secs_f64() / threads as f64;
        stop.store(true, Ordering::Relaxed);
        assert_eq!((report.refused, report.duplicates), (0, 0));
        let rate = report.accepted as f64 / wall.as_secs_f64();
        println!("{}", Figure::new(format!("import {name}"), rate, "records/s", None).on(threads));
        let each = cpu * 1e6 / report.accepted as f64;
        println!("{}", Figure::new("  processor time, a record", each, "µs", None));
        let goal = Some(Goal::AtLeast(90.0));
        println!("{}", Figure::new("  of the cores' time used by this process", busy * 100.0, "%", goal));
        if let (Some(before), Some(after)) = (read, disk_read_bytes()) {
            println!("{}", Figure::new("  read from the disk", (after - before) / 1e6, "MB", None));
        }
        let mut durations = querying.join().unwrap();
        if !durations.is_empty() {
            // Of clients that do not wait for each other's answers more see a long wait than of queries one after another.
            let beyond = |took: &Duration| (took.as_secs_f64() - goal_ms / 1e3).max(0.0);
            let share = durations.iter().map(beyond).sum::<f64>() / wall.as_secs_f64();
            for (percent, goal) in [(50.0, None), (99.0, Some(goal_ms)), (100.0, None)] {
                let figure = percentile(&mut durations, percent);
                let name = format!("  one-key query, p{percent}");
                println!("{}", Figure::new(name, figure, "ms", goal.map(Goal::AtMost)));
            }
            let name = "  moments at which one would take longer than that";
            println!("{}", Figure::new(name, share * 100.0, "%", None));
        }
    });
}

/// For how long threads that run all the time, one for each core, were stopped each time, in milliseconds; all of them
/// together, pauses of a millisecond or more.
fn pauses_ms(threads: usize) -> Vec<f64> {
    let spin = || {
        let (begun, mut last, mut pauses) = (Instant::now(), Instant::now(), Vec::new());
        while begun.elapsed() < PAUSES_FOR {
            let now = Instant::now();
            let pause_ms = (now - last).as_secs_f64() * 1e3;
            if pause_ms >= 1.0 {
                pauses.push(pause_ms);
            }
            last = now;
        }
        pauses
    };
    std::thread::scope(|scope| {
        let spinning: Vec<_> = (0..threads).map(|_| scope.spawn(spin)).collect();
        spinning.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// What this process has had the disk read so far, in bytes, where the system tells.
fn disk_read_bytes() -> Option<f64> {
    let io = std::fs::read_to_string("/proc/self/io").ok()?;
    io.lines().find_map(|line| line.strip_prefix("read_bytes: "))?.parse().ok()
}

/// One query over HTTP, on a connection that stays open.
fn ask(stream: &mut BufReader<TcpStream>, host: &str, n: u64) -> Duration {
    let range =
        QueryRange { key_range: vec![Synthetic::key(n).0.as_slice().into()], ..QueryRange::default() };
    let body = serde_json::to_string(&Query { ranges: vec![range], ..Query::default() }).unwrap();
    let begun = Instant::now();
    let request =
        format!("POST /query HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.get_mut().write_all(request.as_bytes()).unwrap();
    let (mut line, mut length) = (String::new(), 0);
    stream.read_line(&mut line).unwrap();
    assert!(line.contains(" 200 "), "{line}");
    loop {
        line.clear();
        stream.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).unwrap();
    assert!(answer.len() > 100, "the record was found");
    begun.elapsed()
}
