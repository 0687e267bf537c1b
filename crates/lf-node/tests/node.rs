//! A node on real files: make, find, pulse, conflict, refuse, stop, start again, copy to another node.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, Ordering};

use lf_node::core::oracle::{Notes, Surroundings};
use lf_node::{Node, NodeConfig};
use lf_proto::api::{MakeRecord, MakeSelector, Query, QueryRange};
use lf_proto::comment::Comment;
use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_proto::hash::Hash;
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::pulse::{Pulse, PulseChain, PulseStart};
use lf_proto::record::{Record, RecordBuilder, RecordType};

static GO_ON: AtomicBool = AtomicBool::new(false);

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn owner(seed: &str) -> OwnerSecret {
    OwnerSecret::from_seed(OwnerType::Ed25519, seed.as_bytes())
}

/// A network of three links, without work: only for local test mode.
fn genesis() -> Genesis {
    let owner = OwnerSecret::from_seed(OwnerType::P384, b"genesis");
    let parameters = GenesisParameters {
        id: [5; 32],
        name: "test".to_owned(),
        record_min_links: 3,
        record_max_value_size: 1024,
        record_max_time_drift: 60,
        strict_signatures: true,
        amendable_fields: vec!["recordmaxvaluesize".to_owned()],
        ..GenesisParameters::default()
    };
    let mut file = Vec::new();
    let mut links: Vec<Hash> = Vec::new();
    for i in 0..3 {
        let value = if i == 0 { parameters.to_json() } else { String::new() };
        let record = record(&owner, RecordType::Genesis, value.as_bytes(), &[], &links, 1_700_000_000 + i);
        links.push(record.hash());
        file.extend_from_slice(record.as_bytes());
    }
    Genesis::parse(&file).unwrap()
}

fn record(
    owner: &OwnerSecret,
    record_type: RecordType,
    value: &[u8],
    selectors: &[(&[u8], u64)],
    links: &[Hash],
    timestamp: u64,
) -> Record {
    let builder = RecordBuilder {
        record_type,
        value,
        masking_key: None,
        selectors,
        links,
        timestamp,
        with_pulse_token: true,
    };
    builder.build(owner).unwrap().sign(owner, None)
}

fn open(home: &std::path::Path) -> Node {
    let config = NodeConfig { home: home.to_owned(), genesis: genesis(), local_test: true };
    let (node, notes) = Node::open(config, |_| {}).unwrap();
    assert_eq!(notes, Vec::<String>::new(), "a clean start has nothing to say");
    node
}

fn make(owner: &OwnerSecret, name: &str, ordinal: u64, value: &str, timestamp: u64) -> MakeRecord {
    let mut make = MakeRecord {
        selectors: vec![MakeSelector { name: name.as_bytes().into(), ordinal }],
        value: value.as_bytes().into(),
        timestamp,
        ..MakeRecord::default()
    };
    make.owner_private.0.extend_from_slice(&owner.to_bytes());
    make
}

fn ask(node: &Node, name: &str, range: &[u64]) -> Vec<Vec<String>> {
    let query = Query {
        ranges: vec![QueryRange {
            name: name.as_bytes().into(),
            range: range.to_vec(),
            ..QueryRange::default()
        }],
        ..Query::default()
    };
    let sets = node.query(&query).unwrap();
    sets.iter()
        .map(|s| s.iter().map(|r| String::from_utf8_lossy(&r.value.0).into_owned()).collect())
        .collect()
}

#[test]
fn a_node_keeps_finds_and_defends_names() {
    let home = tempfile::tempdir().unwrap();
    let node = open(home.path());
    let (alice, mallory) = (owner("alice"), owner("mallory"));
    let made = node.make_record(&make(&alice, "name", 1, "one", now() - 130), &GO_ON).unwrap();
    assert!(made.accepted);
    node.make_record(&make(&alice, "name", 2, "two", now()), &GO_ON).unwrap();
    node.make_record(&make(&mallory, "name", 1, "stolen", now()), &GO_ON).unwrap();
    assert_eq!(ask(&node, "name", &[1]), [["one", "stolen"]], "who came first wins");
    assert_eq!(ask(&node, "name", &[0, u64::MAX]), [vec!["one", "stolen"], vec!["two"]]);
    assert_eq!(ask(&node, "nothing", &[]), Vec::<Vec<String>>::new());

    // The same value again only pulses, and only once for each minute.
    let mut again = make(&alice, "name", 1, "one", now());
    again.pulse_if_unchanged = true;
    let pulsed = node.make_record(&again, &GO_ON).unwrap();
    assert!(pulsed.accepted && pulsed.record.is_none() && !pulsed.pulse.is_empty());
    assert!(!node.make_record(&again, &GO_ON).unwrap().accepted);
    let status = node.status().unwrap();
    assert_eq!((status.record_count, status.pending_count), (6, 0));
    assert!(status.fully_synchronized && status.local_test_mode);
    assert_eq!(node.owner_status(alice.public()).unwrap().record_count, 2);
    assert_eq!(node.links(None).unwrap().len(), 3);
    node.stop().unwrap();
    assert_eq!(ask(&node, "name", &[2]), [["two"]], "reading goes on after the writer is gone");
    let stopped = node.make_record(&make(&alice, "late", 0, "x", now()), &GO_ON).unwrap_err();
    assert_eq!(stopped.status, 503);
    drop(node);

    let node = open(home.path());
    assert_eq!(ask(&node, "name", &[1]), [["one", "stolen"]]);
    assert!(!node.make_record(&again, &GO_ON).unwrap().accepted, "the pulse is remembered");

    // Another node takes a dump in any shape and gives the same answers.
    let dump: Vec<u8> = node.dump().flat_map(Result::unwrap).collect();
    let other_home = tempfile::tempdir().unwrap();
    let other = open(other_home.path());
    let mut seen = 0;
    let report = other.import(&dump[..], &mut |p| seen = p.bytes_done, &GO_ON).unwrap();
    assert_eq!((report.accepted, report.duplicates, report.refused), (3, 3, 0), "genesis was there");
    assert_eq!(seen, dump.len() as u64);
    assert_eq!(ask(&other, "name", &[1]), [["one", "stolen"]]);
    let broken = other.import(&dump[..dump.len() - 1], &mut |_| {}, &GO_ON).unwrap_err();
    assert_eq!(broken.name, "ErrRecordInvalid");
}

/// What HTTP answers at once, and what it leaves to a thread that may block.
#[test]
fn a_query_is_small_if_it_matches_few_records() {
    let home = tempfile::tempdir().unwrap();
    let node = open(home.path());
    let alice = owner("alice");
    for ordinal in 0..4 {
        node.make_record(&make(&alice, "name", ordinal, "value", now()), &GO_ON).unwrap();
    }
    let range =
        QueryRange { name: b"name".as_slice().into(), range: vec![0, u64::MAX], ..QueryRange::default() };
    let query = Query { ranges: vec![range], ..Query::default() };
    let queries = || node.counters().queries;
    assert_eq!(node.query_if_small(&query, 4).unwrap(), Some(node.query(&query).unwrap()));
    assert_eq!(queries(), 2);
    assert_eq!(node.query_if_small(&query, 3).unwrap(), None);
    assert_eq!(queries(), 2, "it is still to be answered");
    assert_eq!(node.query_if_small(&Query::default(), 3).unwrap_err().name, "ErrQueryRequiresSelectors");
    node.stop().unwrap();
}

#[test]
fn refusals_have_their_names() {
    let home = tempfile::tempdir().unwrap();
    let node = open(home.path());
    let alice = owner("alice");
    let links = node.links(None).unwrap();
    let good =
        |value: &[u8], timestamp| record(&alice, RecordType::Datum, value, &[(b"n", 0)], &links, timestamp);
    let name = |bytes: &[u8]| node.post(bytes).unwrap_err().name;
    assert_eq!(name(b""), "ErrRecordInvalid");
    let incompressible: Vec<u8> =
        (0..1100u32).flat_map(|i| (i.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
    assert_eq!(name(good(&incompressible, now()).as_bytes()), "ErrRecordValueTooLarge");
    assert_eq!(name(good(b"v", now() + 1000).as_bytes()), "ErrRecordViolatesSpecialRelativity");
    let few = record(&alice, RecordType::Datum, b"v", &[], &links[..2], now());
    assert_eq!(name(few.as_bytes()), "ErrRecordInsufficientLinks");
    let usurper = record(&alice, RecordType::Genesis, b"{}", &[], &links, now());
    assert_eq!(name(usurper.as_bytes()), "ErrRecordProhibited");
    let mut forged = good(b"v", now()).as_bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(name(&forged), "ErrRecordOwnerSignatureCheckFailed");
    let refused: u64 = node.counters().records_refused.iter().map(|(_, n)| n).sum();
    assert_eq!(refused, 6);

    // A duplicate is a success; a record with unknown links waits, and nobody sees it.
    let record_good = good(b"seen", now());
    node.post(record_good.as_bytes()).unwrap();
    node.post(record_good.as_bytes()).unwrap();
    let unknown = [Hash([1; 32]), Hash([2; 32]), Hash([3; 32])];
    let waits = record(&alice, RecordType::Datum, b"waits", &[(b"m", 0)], &unknown, now());
    node.post(waits.as_bytes()).unwrap();
    assert_eq!(ask(&node, "m", &[]), Vec::<Vec<String>>::new());
    assert_eq!(node.status().unwrap().pending_count, 1);
    assert!(node.record(&waits.hash()).unwrap().is_some(), "by hash it is served");
    assert!(!node.pulse(&[0; 11], &mut 1_000_000).unwrap().accepted);
    assert!(!node.pulse(b"junk", &mut 1_000_000).unwrap().accepted);
}

#[test]
fn many_pulses_are_taken_together() {
    let home = tempfile::tempdir().unwrap();
    let node = open(home.path());
    let (alice, made_at) = (owner("alice"), now() - 630);
    node.make_record(&make(&alice, "beat", 7, "v", made_at), &GO_ON).unwrap();
    let start = PulseStart::new(&["beat"], &[7], made_at, &alice.private_hash()).unwrap();
    let chain = PulseChain::new(&start);
    let [tenth, eleventh, early] = [10, 11, 400].map(|minutes| chain.pulse_at(minutes).unwrap());
    let forged = Pulse::from_bytes(&[3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 10]).unwrap();
    let mut steps = 1_000_000;
    let news = node.pulses(&[forged, tenth, eleventh, tenth, early], &mut steps).unwrap();
    assert_eq!(news, [false, true, true, false, false]);
    assert!((990_000..1_000_000).contains(&steps), "{steps}");
    // In more than one batch, and nothing of it is news.
    let mut many = vec![forged; 10_000];
    many.extend([tenth, eleventh]);
    assert!(node.pulses(&many, &mut steps).unwrap().iter().all(|news| !news));
    assert_eq!((node.counters().pulses_accepted, node.counters().pulses_refused), (2, 10_005));
    let made = node.make_pulse(&make(&alice, "beat", 7, "", made_at + 11 * 60), &GO_ON).unwrap();
    assert!(!made.accepted && !made.pulse.is_empty(), "the same pulse");
}

#[test]
fn links_are_as_many_as_asked_for_while_others_write() {
    let home = tempfile::tempdir().unwrap();
    let node = open(home.path());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let owner = owner("writer");
            for i in 0..300_u64 {
                let links = node.links(None).unwrap();
                let builder = RecordBuilder {
                    record_type: RecordType::Datum,
                    value: &i.to_be_bytes(),
                    masking_key: None,
                    selectors: &[],
                    links: &links,
                    timestamp: now(),
                    with_pulse_token: false,
                };
                node.post(builder.build(&owner).unwrap().sign(&owner, None).as_bytes()).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            assert_eq!(node.links(None).unwrap().len(), 3);
        }
    });
}

#[test]
fn watching_goes_on_from_any_index() {
    let home = tempfile::tempdir().unwrap();
    let node = open(home.path());
    let alice = owner("alice");
    for i in 0..5u64 {
        node.make_record(&make(&alice, "seen", i, &format!("v{i}"), now()), &GO_ON).unwrap();
        node.make_record(&make(&alice, "unseen", i, "x", now()), &GO_ON).unwrap();
    }
    let range = QueryRange { name: b"seen".as_slice().into(), range: vec![0, 100], ..QueryRange::default() };
    let plan = node.watch_plan(&Query { ranges: vec![range], ..Query::default() }).unwrap();
    let (first, next) = node.watch_since(&plan, 0, 2).unwrap();
    assert_eq!(first.len(), 2);
    let (rest, end) = node.watch_since(&plan, next, 100).unwrap();
    assert_eq!(end, node.linked());
    let values: Vec<_> = first.iter().chain(&rest).map(|(_, r)| r.value.0.clone()).collect();
    assert_eq!(values, [b"v0", b"v1", b"v2", b"v3", b"v4"]);
    assert!(first.iter().chain(&rest).is_sorted_by_key(|(index, _)| *index));
}

/// Gives a piece, then has nothing for a while, over and over.
struct Slow<'a> {
    pieces: std::slice::Chunks<'a, u8>,
    waits: u32,
}

impl std::io::Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.waits += 1;
        if !self.waits.is_multiple_of(3) {
            return Err(std::io::ErrorKind::WouldBlock.into());
        }
        let piece = self.pieces.next().unwrap_or_default();
        buffer[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}

#[test]
fn a_slow_input_is_stored_while_it_comes() {
    let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (source, node) = (open(home.path()), open(other.path()));
    let alice = owner("alice");
    for i in 0..20u64 {
        source.make_record(&make(&alice, "slow", i, "x", now()), &GO_ON).unwrap();
    }
    let bytes: Vec<u8> = source.dump().flat_map(|record| record.unwrap()).collect();
    let mut seen = Vec::new();
    // The whole of the file is needed before the first record is sure to be whole, so it comes twice.
    let twice = [bytes.clone(), bytes.repeat(70_000 / bytes.len() + 1)].concat();
    let input = Slow { pieces: twice.chunks(1_000), waits: 0 };
    let report = node
        .import(input, &mut |progress| seen.push((progress.records_done, node.linked())), &GO_ON)
        .unwrap();
    assert_eq!((report.accepted, report.refused), (20, 0), "{report:?}");
    assert_eq!(node.linked(), source.linked());
    assert!(seen.iter().any(|(_, linked)| *linked == source.linked()), "stored before the end: {seen:?}");
}

#[test]
fn an_import_goes_by_the_amendments_that_it_brings() {
    let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (source, node) = (open(home.path()), open(other.path()));
    let genesis_owner = OwnerSecret::from_seed(OwnerType::P384, b"genesis");
    let large: Vec<u8> = (0..500u32).flat_map(|i| (i.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
    let post = |record_type, owner: &OwnerSecret, value: &[u8], timestamp| {
        let links = source.links(None).unwrap();
        let record = record(owner, record_type, value, &[], &links, timestamp);
        source.post(record.as_bytes()).map(|_| ()).map_err(|e| e.name)
    };
    let alice = owner("alice");
    assert_eq!(post(RecordType::Datum, &alice, &large, now()), Err("ErrRecordValueTooLarge"));
    for (i, size) in [4096, 1024, 4096].into_iter().enumerate() {
        let amended = GenesisParameters { record_max_value_size: size, ..genesis().parameters().clone() };
        let timestamp = now() - 10 + i as u64;
        post(RecordType::Genesis, &genesis_owner, amended.to_json().as_bytes(), timestamp).unwrap();
        let wanted = if size == 4096 { Ok(()) } else { Err("ErrRecordValueTooLarge") };
        assert_eq!(post(RecordType::Datum, &alice, &large, timestamp), wanted);
    }
    let bytes: Vec<u8> = source.dump().flat_map(|record| record.unwrap()).collect();
    let report = node.import(bytes.as_slice(), &mut |_| {}, &GO_ON).unwrap();
    assert_eq!((report.accepted, report.refused), (5, 0), "{report:?}");
    assert_eq!(node.reader().parameters(), source.reader().parameters());
}

#[test]
fn outside_of_local_test_mode_work_is_needed_and_done() {
    let home = tempfile::tempdir().unwrap();
    let config = NodeConfig { home: home.path().to_owned(), genesis: genesis(), local_test: false };
    let (node, _) = Node::open(config, |_| {}).unwrap();
    let alice = owner("alice");
    let links = node.links(None).unwrap();
    let lazy = record(&alice, RecordType::Datum, b"v", &[(b"n", 0)], &links, now());
    assert_eq!(node.post(lazy.as_bytes()).unwrap_err().name, "ErrRecordInsufficientWork");
    let stop = AtomicBool::new(true);
    let stopped = node.make_record(&make(&alice, "n", 0, "v", now()), &stop).unwrap_err();
    assert_eq!(stopped.name, "ErrWharrgarblFailed");
    let made = node.make_record(&make(&alice, "n", 0, "v", now()), &GO_ON).unwrap();
    let record = made.record.unwrap().to_record().unwrap();
    assert!(record.work().unwrap().difficulty() >= lf_proto::work::cost(record.billable_bytes()));
    assert_eq!(ask(&node, "n", &[]), [["v"]]);
}

#[test]
fn an_oracle_notes_what_collides_and_says_it_once() {
    let home = tempfile::tempdir().unwrap();
    let node = open(home.path());
    let (alice, mallory, oracle) = (owner("alice"), owner("mallory"), owner("oracle"));
    let set = |owner, name, value: &str, timestamp| {
        node.make_record(&make(owner, name, 0, value, timestamp), &GO_ON).unwrap();
    };
    let observe = |notes: &mut Notes, surroundings| {
        assert!(notes.observe(&node.reader().view(), surroundings).unwrap());
        notes.waiting()
    };
    let fetching = Surroundings::Network { peers: 1, synchronized: false };
    let mut notes = Notes::new(*oracle.public());
    set(&alice, "old", "hers", now());
    set(&mallory, "old", "not his", now());
    assert_eq!(observe(&mut notes, Surroundings::Alone), 0, "what was there before is no news");
    set(&alice, "name", "hers", now() - 9);
    set(&alice, "other", "hers", now());
    set(&mallory, "name", "not his", now() - 9);
    set(&mallory, "name", "not his either", now() - 8);
    set(&alice, "name", "still hers", now() - 8);
    assert_eq!(observe(&mut notes, Surroundings::Alone), 1, "one comment for all of his revisions");
    assert_eq!(observe(&mut notes, Surroundings::Importing), 1);
    set(&mallory, "other", "not his", now());
    assert_eq!(observe(&mut notes, fetching), 1, "what others had before is no news");
    let (value, told) = notes.value(1024);
    let [comment] = &Comment::decode_all(&value)[..] else { panic!("{value:?}") };
    let subject = node.record(&comment.collides().unwrap()).unwrap().unwrap();
    assert_eq!(subject.owner(), mallory.public());
    let links = node.links(None).unwrap();
    node.post(record(&oracle, RecordType::Commentary, &value, &[], &links, now()).as_bytes()).unwrap();
    notes.forget(told);
    for mut notes in [notes, Notes::new(*oracle.public())] {
        observe(&mut notes, Surroundings::Alone);
        set(&mallory, "name", "again", now());
        assert_eq!(observe(&mut notes, Surroundings::Alone), 0, "it stands in the store");
    }
    let mut another = Notes::new(*alice.public());
    observe(&mut another, Surroundings::Alone);
    set(&mallory, "name", "and again", now());
    assert_eq!(observe(&mut another, Surroundings::Alone), 1, "another oracle did not say it");
}
