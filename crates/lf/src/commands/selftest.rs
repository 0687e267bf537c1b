//! `lf selftest`: does this machine compute what the protocol says?

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use lf_client::Workers;
use lf_node::selftest;
use lf_proto::hash::Hash;
use lf_proto::ordinal::OrdinalMask;
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::pulse::{Known, PulseStart, th64};
use lf_proto::record::{self, Record, RecordBuilder, RecordType};
use lf_proto::selector::{SelectorName, SelectorNames};
use lf_proto::work::{self, Frankenhash, Table, TablePasses, Work};
use lf_proto::{base62, masking};
use serde_json::json;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::{speed, ui};

/// Records of a batch.
const BATCH: usize = 64;
/// How long each thing is measured.
const MEASURE: Duration = Duration::from_millis(150);

/// Check that this machine computes what it should, with figures
///
/// core checks formats, keys, masking and pulses against known values; wharrgarbl searches and verifies proof of work;
/// database fills a store in a temporary directory and measures it.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf selftest\n  lf selftest wharrgarbl\n  lf selftest database --records 1000000\n\n"
)]
pub(crate) struct SelfTest {
    /// What to test
    #[arg(default_value = "core")]
    test: Test,
    /// For database: how many records
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    records: u64,
    /// For database: what the records are like (steady, mixed or hostile)
    #[arg(long, default_value = "steady")]
    shape: selftest::Shape,
    /// For database: where [default: the system's directory for temporary files]
    #[arg(long, value_name = "DIR")]
    directory: Option<std::path::PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Test {
    Core,
    Wharrgarbl,
    Database,
}

/// One thing that was checked, and what it cost.
struct Line {
    /// What was checked.
    what: &'static str,
    good: bool,
    figure: Option<Figure>,
}

/// One figure: so much, for what, by how many threads.
struct Figure {
    value: f64,
    unit: &'static str,
    /// What it is of, as it is told after the figure.
    of: &'static str,
    threads: usize,
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = match self.value {
            value if value < 10.0 => format!("{value:.2}"),
            value if value < 100.0 => format!("{value:.1}"),
            value => format!("{value:.0}"),
        };
        write!(f, "{value} {} {}", self.unit, self.of)?;
        if self.threads > 1 { write!(f, " on {} threads", self.threads) } else { Ok(()) }
    }
}

pub(crate) fn run(context: &Context, args: &SelfTest) -> Result<()> {
    let mut lines = Vec::new();
    let mut show = |line: Line| -> Result<()> {
        if !context.json {
            let verdict = if line.good { "ok  " } else { "FAIL" };
            let figure = line.figure.as_ref().map(ToString::to_string).unwrap_or_default();
            ui::print(&format!("{verdict} {:<34} {figure}\n", line.what))?;
        }
        lines.push(line);
        Ok(())
    };
    match args.test {
        Test::Core => core(&mut show)?,
        Test::Wharrgarbl => wharrgarbl(&mut show)?,
        Test::Database => return database(context, args),
    }
    if context.json {
        let json = |l: &Line| match &l.figure {
            Some(f) => json!({
                "name": format!("{}, {}", l.what, f.of), "value": f.value, "unit": f.unit, "threads": f.threads,
                "good": l.good,
            }),
            None => json!({"name": l.what, "good": l.good}),
        };
        ui::print_json(&lines.iter().map(json).collect::<Vec<_>>())?;
    }
    match lines.iter().filter(|line| !line.good).count() {
        0 => Ok(()),
        n => Err(Failure::new(format!("{} failed", ui::plural(n as u64, "check")))
            .hint("this build or this machine computes wrongly: do not use it")),
    }
}

/// Measures a store of synthetic records; nothing of it stays.
fn database(context: &Context, args: &SelfTest) -> Result<()> {
    let place = args.directory.clone().unwrap_or_else(std::env::temp_dir);
    let failed =
        |e: &dyn std::fmt::Display| Failure::new(format!("database test in {}: {e}", place.display()));
    let directory =
        tempfile::Builder::new().prefix("lf-selftest-").tempdir_in(&place).map_err(|e| failed(&e))?;
    let mut tell = |figure: &selftest::Figure| {
        if !context.json {
            // Whoever does not read on is told by the next line that is printed.
            let _ = ui::print(&format!("{figure}\n"));
        }
    };
    let figures =
        selftest::run(directory.path(), args.records, args.shape, &mut tell).map_err(|e| failed(&e))?;
    if context.json {
        let list: Vec<_> = figures
            .iter()
            .map(|f| {
                json!({
                    "name": f.name, "value": f.value, "unit": f.unit, "threads": f.threads,
                    "met": f.goal.is_some().then(|| f.is_met()),
                })
            })
            .collect();
        ui::print_json(&list)?;
    }
    Ok(())
}

/// What one of something costs: the best of several short measurements, as other programs may be running.
fn each<T>(of: &'static str, count: usize, mut some: impl FnMut() -> T) -> Option<Figure> {
    let begun = Instant::now();
    let mut best = f64::MAX;
    let mut batch = 1u32;
    while begun.elapsed() < MEASURE {
        let started = Instant::now();
        (0..batch).for_each(|_| {
            black_box(some());
        });
        let took = started.elapsed();
        best = best.min(took.as_secs_f64() * 1e6 / f64::from(batch) / count as f64);
        // Long enough for the clock, short enough for several.
        if took < MEASURE / 20 {
            batch = batch.saturating_mul(2);
        }
    }
    Some(Figure { value: best, unit: "µs", of, threads: 1 })
}

/// What a figure of a batch is of, with the implementation that this machine uses.
fn batch_of(path: &'static str) -> &'static str {
    match path {
        "scalar" => "for signature and selector, in plain code",
        "avx512-ifma" => "for signature and selector, in AVX-512 lanes",
        "avx512+vaes" => "to verify one, with AVX-512",
        "vaes" => "to verify one, with VAES",
        "aes-ni" => "to verify one, with AES-NI",
        _ => "to verify one, in plain code",
    }
}

fn core(show: &mut dyn FnMut(Line) -> Result<()>) -> Result<()> {
    let text = base62::encode(&[0, 5, 255, 0]);
    show(Line {
        what: "base62",
        good: base62::decode(&text).as_deref() == Ok(&[0, 5, 255, 0]) && base62::encode(&[0, 5]) == "05",
        figure: each("for one hash", 1, || base62::encode(black_box(&[7; 32]))),
    })?;

    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let name = SelectorName::new(b"name");
    let key = name.key(1000).map(|key| hex(key.as_bytes()));
    show(Line {
        what: "selector key of name#1000",
        good: key.as_deref() == Ok("4b673cb75b930081be1177abe4049aa406851a9b6cc7d87704981007643eb4e3"),
        figure: each("for the key pair of a new name", 1, || SelectorName::new(black_box(b"name"))),
    })?;
    let unmasked = name.ordinal(u64::MAX / 3).ok().and_then(|masked| name.mask().unmask(&masked).ok());
    show(Line {
        what: "ordinals mask and unmask",
        good: unmasked == Some(u64::MAX / 3),
        figure: each("for the first ordinal of a new name", 1, || {
            OrdinalMask::new(black_box(b"name")).mask(7)
        }),
    })?;
    show(Line {
        what: "ordinals keep their order",
        good: [0, 7, 8, u64::MAX].map(|ordinal| name.key(ordinal).ok()).is_sorted(),
        figure: each("for one more key of a name", 1, || name.key(black_box(7))),
    })?;

    let p224 = OwnerSecret::from_seed(OwnerType::P224, b"lol");
    let (p384, _) = OwnerSecret::from_passphrase(b"lol");
    let ed25519 = OwnerSecret::from_seed(OwnerType::Ed25519, b"lol");
    let known = [(&p224, "@LqT2XCXvWaLkbOHpsvP"), (&p384, "@4l737WzvOJqEsX5Z4urXgHrEFmhbfKog")];
    show(Line {
        what: "owners of a seed and a passphrase",
        good: known.iter().all(|(owner, text)| owner.public().to_string() == *text),
        figure: each("for a p384 owner", 1, || OwnerSecret::from_passphrase(black_box(b"lol"))),
    })?;
    for (what, owner) in [("p224 records", &p224), ("p384 records", &p384), ("ed25519 records", &ed25519)] {
        let record = record(owner)?;
        let again = Record::decode(record.as_bytes());
        let check = || record.verify_signature(true).is_ok() && record.recover_selectors().is_ok();
        let value = masking::unmask(record.stored_value(), record.timestamp(), b"name", record.owner());
        let claimed = record.recover_selectors().ok().and_then(|s| s.first().map(|s| s.key));
        show(Line {
            what,
            good: again.as_ref() == Ok(&record)
                && check()
                && value.as_deref() == Ok(VALUE)
                && claimed == name.key(7).ok(),
            figure: each("for signature and selector of one alone", 1, check),
        })?;
    }

    let batches = [
        ("p224 records in batches", &p224),
        ("p384 records in batches", &p384),
        ("ed25519 records in batches", &ed25519),
    ];
    for (what, owner) in batches {
        let batch = vec![record(owner)?; BATCH];
        let some: Vec<&Record> = batch.iter().collect();
        let check = || record::verify_all(&some, true);
        show(Line {
            what,
            good: check().iter().all(Result::is_ok),
            figure: each(batch_of(lf_proto::curve::path()), BATCH, check),
        })?;
    }

    let whole = worked_records(&p224)?;
    let table = Table::shared();
    let check = || {
        let records: Vec<Record> = whole.iter().filter_map(|bytes| Record::decode(bytes).ok()).collect();
        let checked = record::verify_all(&records.iter().collect::<Vec<_>>(), true);
        let proofs: Vec<_> = records.iter().filter_map(|r| Some((r.work_hash(), *r.work()?))).collect();
        let worked = work::verify_batch(table, &proofs, TablePasses::NONE);
        (checked, worked)
    };
    let (checked, worked) = check();
    show(Line {
        what: "whole p224 records in batches",
        good: checked.iter().filter(|c| c.is_ok()).count() == BATCH
            && worked.iter().filter(|w| w.is_ok()).count() == BATCH,
        figure: each("each, from bytes, with two selectors and work", BATCH, check),
    })?;

    let pulses = || -> Option<bool> {
        let start = PulseStart::new(&[b"name"], &[7], 1_600_000_000, &ed25519.private_hash()).ok()?;
        let pulse = start.pulse_at(3).ok()?;
        Some(pulse.check(Known::from(start.token())).is_ok())
    };
    show(Line {
        what: "pulses",
        good: th64(0) == 634_117_429_715_645_728 && pulses() == Some(true),
        figure: each("to make a pulse and check it", 1, pulses),
    })?;

    let genesis = lf_node::sol();
    show(Line { what: "the built-in network", good: genesis.parameters().name == "Sol", figure: None })
}

const VALUE: &[u8] = b"a value that is long enough for a value to be compressed, a value";

/// A batch of records of two selectors with work, as bytes. The work is little, and costs as much to verify as any.
fn worked_records(owner: &OwnerSecret) -> Result<Vec<Vec<u8>>> {
    let names = SelectorNames::new(2);
    (0..BATCH as u64)
        .map(|i| {
            let builder = RecordBuilder {
                record_type: RecordType::Datum,
                value: VALUE,
                masking_key: None,
                selectors: &[(b"name", i), (b"tag", 1)],
                links: &[Hash([1; 32]), Hash([2; 32])],
                timestamp: 1_600_000_000,
                with_pulse_token: false,
            };
            let unworked = builder.build_with(owner, &names).map_err(|e| Failure::new(e.to_string()))?;
            let work = Workers::default().search(unworked.work_hash(), 1, &mut |_| true)?;
            Ok(unworked.sign(owner, Some(work)).as_bytes().to_vec())
        })
        .collect()
}

fn record(owner: &OwnerSecret) -> Result<Record> {
    let builder = RecordBuilder {
        record_type: RecordType::Datum,
        value: VALUE,
        masking_key: None,
        selectors: &[(b"name", 7)],
        links: &[Hash([1; 32]), Hash([2; 32])],
        timestamp: 1_600_000_000,
        with_pulse_token: false,
    };
    let unworked = builder.build(owner).map_err(|e| Failure::new(e.to_string()))?;
    Ok(unworked.sign(owner, None))
}

/// Billable bytes of a record of a short value under one name, and how many searches for its work are averaged.
const TYPICAL_RECORD_BYTES: u64 = speed::TYPICAL_RECORD_BYTES;
const SEARCHES: u8 = 10;
/// Proofs a batch, and proofs that are made and verified between two looks at the clock.
const PROOFS: usize = 16;
const PROOFS_TIMED: u64 = 1024;

fn wharrgarbl(show: &mut dyn FnMut(Line) -> Result<()>) -> Result<()> {
    let workers = Workers::default();
    let threads = workers.threads.get();
    let seconds = |begun: Instant, of, threads| {
        Some(Figure { value: begun.elapsed().as_secs_f64(), unit: "s", of, threads })
    };
    // Both panic if the table's checksum is not the protocol's.
    let begun = Instant::now();
    let table = Table::shared();
    let figure = seconds(begun, "until ready when first needed", threads.min(2));
    show(Line { what: "table of 128 MiB", good: true, figure })?;
    let begun = Instant::now();
    let again = Table::generate();
    let figure = seconds(begun, "to make another", threads.min(2));
    show(Line { what: "table of 128 MiB again", good: again.as_bytes() == table.as_bytes(), figure })?;
    drop(again);

    for (what, workers) in
        [("search on one thread", Workers { threads: NonZeroUsize::MIN }), ("search on all threads", workers)]
    {
        let value = workers.measure(2 * MEASURE) / 1e6;
        let figure = Figure { value, unit: "M hashes/s", of: "searched", threads: workers.threads.get() };
        show(Line { what, good: value > 0.0, figure: Some(figure) })?;
    }

    let difficulty = work::required_difficulty(TYPICAL_RECORD_BYTES, 1);
    let (mut good, mut elapsed) = (true, Duration::ZERO);
    for i in 0..SEARCHES {
        let input = [i; 48];
        let begun = Instant::now();
        let found = workers.search(&input, difficulty, &mut |_| true)?;
        elapsed += begun.elapsed();
        let verify = |input, passes| work::verify(table, input, &found, passes);
        good &= found.difficulty() == difficulty
            && verify(&input, TablePasses::NONE).is_ok()
            && verify(&[!i; 48], TablePasses::ALL).is_err();
    }
    show(Line {
        what: "work for a 250-byte record",
        good,
        figure: Some(Figure {
            value: elapsed.as_secs_f64() / f64::from(SEARCHES),
            unit: "s",
            of: "on average over 10 searches, work factor 1,",
            threads,
        }),
    })?;

    for (what, batch, rounds_max) in [
        ("one-round proofs one by one", 1, 1),
        ("one-round proofs in batches of 16", PROOFS, 1),
        ("any-rounds proofs one by one", 1, 6),
        ("any-rounds proofs in batches of 16", PROOFS, 6),
    ] {
        show(verification(what, batch, rounds_max))?;
    }
    Ok(())
}

/// Verifies proofs that nobody has seen before, so that nothing of theirs is in the processor's caches: the first two
/// colliders of a record that have so many rounds at most (searches find those of one round; 6 are any).
fn verification(what: &'static str, batch: usize, rounds_max: u32) -> Line {
    let table = Table::shared();
    let proof = |n: u64| {
        let input: [u8; 48] = std::array::from_fn(|i| (n >> (8 * (i % 8))) as u8);
        let hash = Frankenhash::new(table, &input);
        let mut colliders = (0..).filter(|c| hash.rounds(&Frankenhash::input(*c)) <= rounds_max);
        let mut collider = || colliders.next().unwrap_or(0);
        (input, Work::new([collider(), collider()], 1))
    };
    let (mut good, mut best, mut from) = (true, f64::MAX, 0);
    let begun = Instant::now();
    while begun.elapsed() < 2 * MEASURE {
        let proofs: Vec<_> = (from..from + PROOFS_TIMED).map(proof).collect();
        let proofs: Vec<_> = proofs.iter().map(|(input, work)| (input, *work)).collect();
        let started = Instant::now();
        let verdicts: Vec<_> = proofs
            .chunks(batch)
            .flat_map(|some| work::verify_batch(table, some, TablePasses::NONE))
            .collect();
        best = best.min(started.elapsed().as_secs_f64() * 1e6 / PROOFS_TIMED as f64);
        // The definition is slow: some of the first are enough.
        let compared = if from == 0 { 128 } else { 0 };
        good &=
            proofs.iter().zip(verdicts).take(compared).all(|((input, work), verdict)| {
                work::verify(table, *input, work, TablePasses::NONE) == verdict
            });
        from += PROOFS_TIMED;
    }
    let of = batch_of(work::Path::best().name());
    Line { what, good, figure: Some(Figure { value: best, unit: "µs", of, threads: 1 }) }
}
