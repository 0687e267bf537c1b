//! `lf selftest`: does this machine compute what the protocol says?

use std::hint::black_box;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use lf_client::Workers;
use lf_node::selftest;
use lf_proto::hash::Hash;
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::pulse::{Known, PulseStart, th64};
use lf_proto::record::{Record, RecordBuilder, RecordType};
use lf_proto::selector::SelectorName;
use lf_proto::work::{self, Table, TablePasses};
use lf_proto::{base62, masking};
use serde_json::json;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::ui;

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
    what: &'static str,
    good: bool,
    figure: String,
}

pub(crate) fn run(context: &Context, args: &SelfTest) -> Result<()> {
    let mut lines = Vec::new();
    let mut show = |line: Line| -> Result<()> {
        if !context.json {
            let verdict = if line.good { "ok  " } else { "FAIL" };
            ui::print(&format!("{verdict} {:<34} {}\n", line.what, line.figure))?;
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
        let list: Vec<_> =
            lines.iter().map(|l| json!({"Test": l.what, "Good": l.good, "Figure": l.figure})).collect();
        ui::print_json(&list)?;
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
    let figures = selftest::run(directory.path(), args.records).map_err(|e| failed(&e))?;
    if context.json {
        let list: Vec<_> = figures
            .iter()
            .map(|f| json!({"Name": f.name, "Value": f.value, "Unit": f.unit, "Met": f.goal.is_some().then(|| f.is_met())}))
            .collect();
        return ui::print_json(&list);
    }
    figures.iter().try_for_each(|f| ui::print(&format!("{f}\n")))
}

/// How often a second something can be done.
fn rate<T>(unit: &str, mut one: impl FnMut() -> T) -> String {
    let begun = Instant::now();
    let mut count = 0u64;
    while begun.elapsed() < MEASURE {
        black_box(one());
        count += 1;
    }
    let each = begun.elapsed() / u32::try_from(count).unwrap_or(u32::MAX);
    format!("{} for one {unit}", ui::took(each))
}

fn core(show: &mut dyn FnMut(Line) -> Result<()>) -> Result<()> {
    let text = base62::encode(&[0, 5, 255, 0]);
    show(Line {
        what: "base62",
        good: base62::decode(&text).as_deref() == Ok(&[0, 5, 255, 0]) && base62::encode(&[0, 5]) == "05",
        figure: rate("hash", || base62::encode(black_box(&[7; 32]))),
    })?;

    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let name = SelectorName::new(b"name");
    let key = name.key(1000).map(|key| hex(key.as_bytes()));
    show(Line {
        what: "selector key of name#1000",
        good: key.as_deref() == Ok("4b673cb75b930081be1177abe4049aa406851a9b6cc7d87704981007643eb4e3"),
        figure: rate("name", || SelectorName::new(black_box(b"name")).key(1)),
    })?;
    let unmasked = name.ordinal(u64::MAX / 3).ok().and_then(|masked| name.mask().unmask(&masked).ok());
    show(Line {
        what: "ordinals mask and unmask",
        good: unmasked == Some(u64::MAX / 3),
        figure: rate("ordinal", || name.ordinal(black_box(7))),
    })?;

    let p224 = OwnerSecret::from_seed(OwnerType::P224, b"lol");
    let (p384, _) = OwnerSecret::from_passphrase(b"lol");
    let ed25519 = OwnerSecret::from_seed(OwnerType::Ed25519, b"lol");
    let known = [(&p224, "@LqT2XCXvWaLkbOHpsvP"), (&p384, "@4l737WzvOJqEsX5Z4urXgHrEFmhbfKog")];
    show(Line {
        what: "owners of a seed and a passphrase",
        good: known.iter().all(|(owner, text)| owner.public().to_string() == *text),
        figure: rate("p384 owner", || OwnerSecret::from_passphrase(black_box(b"lol"))),
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
            figure: rate("check of signature and selector", check),
        })?;
    }

    let pulses = || -> Option<bool> {
        let start = PulseStart::new(&[b"name"], &[7], 1_600_000_000, &ed25519.private_hash()).ok()?;
        let pulse = start.pulse_at(3).ok()?;
        Some(pulse.check(Known::from(start.token())).is_ok())
    };
    show(Line {
        what: "pulses",
        good: th64(0) == 634_117_429_715_645_728 && pulses() == Some(true),
        figure: rate("pulse made and checked", pulses),
    })?;

    let genesis = lf_node::sol();
    show(Line {
        what: "the built-in network",
        good: genesis.parameters().name == "Sol",
        figure: format!("{} of genesis", ui::plural(genesis.records().len() as u64, "record")),
    })
}

const VALUE: &[u8] = b"a value that is long enough for a value to be compressed, a value";

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

fn wharrgarbl(show: &mut dyn FnMut(Line) -> Result<()>) -> Result<()> {
    let begun = Instant::now();
    // Panics if the table's checksum is not the protocol's.
    let table = Table::shared();
    show(Line {
        what: "table of 128 MiB",
        good: true,
        figure: format!("made in {}", ui::took(begun.elapsed())),
    })?;
    let record = record(&OwnerSecret::from_seed(OwnerType::Ed25519, b"lol"))?;
    let difficulty = work::cost(record.billable_bytes());
    let (mut hashes, mut elapsed) = (0, Duration::ZERO);
    let workers = Workers::default();
    let found = workers.search(record.work_hash(), difficulty, &mut |progress| {
        (hashes, elapsed) = (progress.hashes_done, progress.elapsed);
        true
    })?;
    let speed = hashes as f64 / elapsed.as_secs_f64().max(1e-9) / 1e6;
    let good = found.difficulty() == difficulty
        && work::verify(table, record.work_hash(), &found, TablePasses::NONE).is_ok();
    let threads = ui::plural(workers.threads.get() as u64, "thread");
    show(Line {
        what: "search for a small record's work",
        good,
        figure: format!("{}, {speed:.1} M hashes/s on {threads}", ui::took(elapsed)),
    })?;
    let mut other = *record.work_hash();
    other[0] ^= 1;
    let verify = || work::verify(table, record.work_hash(), &found, TablePasses::NONE);
    show(Line {
        what: "verification",
        good: work::verify(table, &other, &found, TablePasses::ALL).is_err(),
        figure: rate("proof", verify),
    })
}
