//! Logs as released versions wrote them: each is opened, and gives what it gave then. Later formats are refused, and an
//! index of another format is made anew.
//!
//! `fixtures/log-N/log` is a log of format N, `fixtures/log-N/expected.json` what its version made of it. They are never
//! written again; a new format gets a new one: `cargo test -p lf-store --test fixtures -- --ignored`.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use lf_proto::cert::{Authority, CrlEntry, MASKING_KEY, Reason, Request, Subject};
use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_proto::hash::Hash;
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::pulse::{Pulse, PulseStart};
use lf_proto::record::{Record, RecordBuilder, RecordType};
use lf_proto::selector::recover_all;
use lf_store::engine::{Engine, EngineError, EnginePlace, MemoryEngine};
use lf_store::log::{FORMAT_VERSION, LogError};
use lf_store::storage::DiskStorage;
use lf_store::{IndexPlace, Put, Store, StoreError, StoreOptions};
use serde_json::{Value, json};

const BASE: u64 = 1_790_000_000;
const DAY: u64 = 86_400;
const LOG_ID: [u8; 16] = *b"fixture of a log";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Records, and pulses by their tokens.
type Batch = (Vec<Record>, Vec<(u64, Pulse)>);

/// What a log is made of: the same for ever.
struct Plan {
    genesis: Genesis,
    /// Records that are stored together, and pulses.
    batches: Vec<Batch>,
    owners: Vec<OwnerSecret>,
    tokens: Vec<u64>,
}

fn record(
    owner: &OwnerSecret,
    kind: RecordType,
    value: &[u8],
    names: &[(&[u8], u64)],
    links: &[Hash],
    timestamp: u64,
) -> Record {
    let masking_key: Option<&[u8]> = match kind {
        RecordType::Genesis => Some(b""),
        RecordType::Certificate | RecordType::Crl => Some(MASKING_KEY),
        _ => None,
    };
    let with_pulse_token = !names.is_empty();
    let builder = RecordBuilder {
        record_type: kind,
        value,
        masking_key,
        selectors: names,
        links,
        timestamp,
        with_pulse_token,
    };
    builder.build(owner).unwrap().sign(owner, None)
}

fn plan() -> &'static Plan {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    PLAN.get_or_init(make_plan)
}

fn make_plan() -> Plan {
    let mut seeded = lf_proto::seeded::SeededRng::new(&[1; 32]);
    let mut random = |bytes: &mut [u8]| seeded.fill(bytes);
    let subject = |name: &str| Subject { common_name: name.to_owned(), ..Subject::default() };
    let root = Authority::new_root(&subject("root"), BASE, Some(3650), &mut random).unwrap();
    let below = root.intermediate(&subject("below"), BASE, Some(3650), &mut random).unwrap();
    let owners: Vec<OwnerSecret> = [b"one", b"two", b"six"]
        .iter()
        .map(|seed| OwnerSecret::from_seed(OwnerType::Ed25519, *seed))
        .collect();
    let [one, two, six] = [&owners[0], &owners[1], &owners[2]];
    let parameters = GenesisParameters {
        id: [9; 32],
        name: "fixture".to_owned(),
        record_max_time_drift: 60,
        record_max_value_size: 1024,
        auth_certificates: root.certificate().der().into(),
        ..GenesisParameters::default()
    };
    let first = record(six, RecordType::Genesis, parameters.to_json().as_bytes(), &[], &[], BASE);
    let genesis = Genesis::parse(first.as_bytes()).unwrap();

    // A chain of names, each record linking to two before it.
    let mut chain = vec![first.hash()];
    let mut plain = Vec::new();
    let mut tokens = Vec::new();
    for i in 0..12u64 {
        let links = &chain[chain.len().saturating_sub(2)..];
        let owner = if i % 3 == 2 { two } else { one };
        // Every fourth takes a name that has an owner.
        let name = format!("name {}", if i % 4 == 3 { i - 1 } else { i });
        let names: &[(&[u8], u64)] = &[(name.as_bytes(), i / 4), (b"all of them", i)];
        let value = format!("value {i}");
        let made = record(owner, RecordType::Datum, value.as_bytes(), names, links, BASE + 10 + i);
        chain.push(made.hash());
        if i < 2 {
            let start = PulseStart::new(
                &[name.as_bytes(), b"all of them"],
                &[i / 4, i],
                BASE + 10 + i,
                &one.private_hash(),
            );
            tokens.push((made.pulse_token(), start.unwrap()));
        }
        plain.push(made);
    }
    // Rivals that come before what they link to: nobody is first.
    let base = record(one, RecordType::Datum, b"base", &[(b"base", 0)], &chain[..1], BASE + 40);
    let link = [base.hash()];
    let mut rivals: Vec<Record> = [one, two, six]
        .iter()
        .map(|owner| record(owner, RecordType::Datum, b"mine", &[(b"contested", 1)], &link, BASE + 41))
        .collect();
    let above = record(two, RecordType::Datum, b"above", &[(b"above", 0)], &[rivals[1].hash()], BASE + 42);
    rivals.push(above);

    let certify = |owner: &OwnerSecret, by: &Authority, random: &mut dyn FnMut(&mut [u8])| {
        let request = Request::new(owner, &subject("owner")).unwrap();
        by.certify(&request, BASE, Some(30), &mut |bytes: &mut [u8]| random(bytes)).unwrap()
    };
    let of_one = certify(one, &root, &mut random);
    let of_two = certify(two, &below, &mut random);
    let entry = CrlEntry { serial: of_two.serial(), date: BASE + DAY, reason: Some(Reason::KeyCompromise) };
    let crl = below.crl(&[entry], BASE + DAY, BASE + DAY).unwrap();
    let of_kind = |kind, der: &[u8], at| record(six, kind, der, &[], &chain[1..3], BASE + at);
    let certificates = vec![
        // An authority's after what it issued.
        of_kind(RecordType::Certificate, of_two.der(), 50),
        of_kind(RecordType::Certificate, below.certificate().der(), 51),
        of_kind(RecordType::Certificate, of_one.der(), 52),
        of_kind(RecordType::Crl, crl.der(), 53),
    ];
    let waiting = record(one, RecordType::Datum, b"waits", &[(b"waits", 0)], &[Hash([7; 32])], BASE + 60);
    let pulses = |minutes: u32| -> Vec<(u64, Pulse)> {
        tokens.iter().map(|(token, start)| (*token, start.pulse_at(minutes).unwrap())).collect()
    };
    let batches = vec![
        (plain, pulses(5)),
        (rivals, Vec::new()),
        (vec![base, waiting], Vec::new()),
        (certificates, pulses(1000)),
    ];
    let tokens = tokens.iter().map(|(token, _)| *token).collect();
    Plan { genesis, batches, owners, tokens }
}

fn options(root: &Path, index: IndexPlace) -> StoreOptions {
    let storage = DiskStorage::open(root).unwrap();
    StoreOptions {
        free_bytes_min: 0,
        ..StoreOptions::new(Arc::new(storage), index, plan().genesis.clone(), LOG_ID)
    }
}

fn put(record: Record) -> Put {
    let selectors: Vec<_> = record.selectors().iter().map(|s| (*s, *record.body_hash())).collect();
    let selectors = recover_all(&selectors).into_iter().map(Result::unwrap).collect();
    Put { record, selectors, work_verified: false }
}

/// Stores the plan.
fn fill(root: &Path) -> Store {
    let (mut store, _) = Store::open(options(root, IndexPlace::Memory)).unwrap();
    for (records, pulses) in &plan().batches {
        store.apply(&records.iter().cloned().map(put).collect::<Vec<_>>(), pulses).unwrap();
        assert!(store.settle_names(10).unwrap().len() < 2);
    }
    store
}

/// What a store makes of its log.
fn answers(store: &Store) -> Value {
    let reader = store.reader();
    let view = reader.view();
    let plan = plan();
    let totals = view.totals().unwrap();
    let records: Vec<Value> = (0..view.linked())
        .map(|index| {
            let row = view.row(index).unwrap().unwrap();
            let holder = view.holder(&row.id).unwrap();
            json!({
                "Hash": row.hash.to_string(),
                "Weight": view.weight(index).to_string(),
                "Reputation": view.reputation(&row).unwrap(),
                "Holder": holder.map(|owner| owner.to_string()),
                "Bytes": view.record_bytes(&row).unwrap().len(),
            })
        })
        .collect();
    let certified: Vec<String> = plan
        .owners
        .iter()
        .flat_map(|owner| [BASE - 1, BASE + DAY, BASE + 31 * DAY].map(|at| (owner, at)))
        .map(|(owner, at)| format!("{:?}", view.certified(owner.public(), at).unwrap()))
        .collect();
    let pulses: Vec<Option<u32>> =
        plan.tokens.iter().map(|token| view.pulse(*token).unwrap().map(|pulse| pulse.minutes())).collect();
    json!({
        "Records": records,
        "Pending": totals.pending,
        "Contested": totals.contested,
        "Certified": certified,
        "Pulses": pulses,
        "Network": reader.parameters().name,
    })
}

/// A copy: opening a log may mend it.
fn copy_of(fixture: &Path) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("log")).unwrap();
    for entry in std::fs::read_dir(fixture.join("log")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), directory.path().join("log").join(entry.file_name())).unwrap();
    }
    directory
}

/// The directories with a log, and their format.
fn all() -> Vec<(u32, PathBuf)> {
    let mut all: Vec<(u32, PathBuf)> = std::fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| Some((path.file_name()?.to_str()?.strip_prefix("log-")?.parse().ok()?, path)))
        .collect();
    all.sort();
    all
}

fn expected(fixture: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(fixture.join("expected.json")).unwrap()).unwrap()
}

/// Makes the fixture of the current format, if it has none.
#[test]
#[ignore = "writes a fixture"]
fn make() {
    let root = fixtures().join(format!("log-{FORMAT_VERSION}"));
    assert!(!root.exists(), "{} is there, and stays as it is", root.display());
    std::fs::create_dir_all(&root).unwrap();
    let store = fill(&root);
    let text = serde_json::to_string_pretty(&answers(&store)).unwrap();
    store.close().unwrap();
    std::fs::remove_file(root.join("graph.checkpoint")).unwrap();
    std::fs::write(root.join("expected.json"), text + "\n").unwrap();
}

#[test]
fn logs_of_every_format_give_what_they_gave() {
    let all = all();
    assert_eq!(
        all.last().unwrap().0,
        FORMAT_VERSION,
        "a new format gets a fixture: see the top of this file"
    );
    for (format, fixture) in all {
        let directory = copy_of(&fixture);
        let (store, report) = Store::open(options(directory.path(), IndexPlace::Memory)).unwrap();
        let notes: Vec<_> =
            report.notes.iter().filter(|note| !note.contains("applied to the index again")).collect();
        assert!(notes.is_empty(), "{notes:?}");
        let (found, expected) = (answers(&store), expected(&fixture));
        assert_eq!(found, expected, "format {format}");
        assert!(expected["Records"].as_array().unwrap().len() > 20 && expected["Pending"] == 1, "{expected}");
        store.close().unwrap();
        // And the disk's index gives the same, when it is made and when it is opened again.
        for _ in 0..2 {
            let index = IndexPlace::Disk(directory.path().join("index"));
            let (store, _) = Store::open(options(directory.path(), index)).unwrap();
            assert_eq!(answers(&store), expected, "format {format}");
            store.close().unwrap();
        }
    }
}

#[test]
fn the_current_format_is_what_the_fixture_has() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path()).close().unwrap();
    let fixture = fixtures().join(format!("log-{FORMAT_VERSION}/log"));
    for entry in std::fs::read_dir(fixture).unwrap() {
        let entry = entry.unwrap();
        let made = std::fs::read(directory.path().join("log").join(entry.file_name())).unwrap();
        assert!(
            made == std::fs::read(entry.path()).unwrap(),
            "{} would be written otherwise now: a change of format needs a number of its own",
            entry.path().display()
        );
    }
}

#[test]
fn a_later_log_is_refused_and_the_message_says_what_to_do() {
    for name in ["log.id", "00000000000000000000.lfl"] {
        let directory = copy_of(&all()[0].1);
        let path = directory.path().join("log").join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[8] = 99;
        let crc = crc32fast::hash(&bytes[..44]);
        bytes[44..48].copy_from_slice(&crc.to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        let error = Store::open(options(directory.path(), IndexPlace::Memory)).err().unwrap();
        assert!(
            matches!(&error, StoreError::Log(e) if matches!(**e, LogError::UnsupportedVersion { version: 99, .. }))
        );
        let message = error.to_string();
        assert!(message.contains(name) && message.contains("version 99"), "{message}");
        assert!(message.contains("use the lf that wrote it, or a newer one"), "{message}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "untouched");
    }
}

/// An index in memory that outlives the store.
#[derive(Default)]
struct Kept(std::sync::Mutex<Arc<MemoryEngine>>);

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept")
    }
}

impl EnginePlace for Kept {
    fn open(&self) -> Result<Arc<dyn Engine>, EngineError> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn remove(&self) -> Result<(), EngineError> {
        *self.0.lock().unwrap() = Arc::default();
        Ok(())
    }
}

#[test]
fn an_index_of_another_format_is_made_anew() {
    let fixture = &all()[0].1;
    let directory = copy_of(fixture);
    let place = Arc::new(Kept::default());
    let open = || Store::open(options(directory.path(), IndexPlace::Other(place.clone()))).unwrap();
    let (store, _) = open();
    store.close().unwrap();
    let (store, report) = open();
    assert_eq!(report.replayed, 0, "it is used as it is");
    store.close().unwrap();
    for format in [0, 2, 4, 99] {
        let engine = place.open().unwrap();
        let mut marks = engine.snapshot().get(b"m").unwrap().unwrap();
        marks[0] = format;
        engine.commit(vec![(b"m".to_vec(), Some(marks))]).unwrap();
        drop(engine);
        let (store, report) = open();
        assert!(report.replayed > 0, "format {format}: {report:?}");
        assert_eq!(answers(&store), expected(fixture), "format {format}");
        store.close().unwrap();
    }
}
