//! A node of a network that asks for certificates: records wait for them, over a restart too; a revocation hides what was
//! shown and ends new posts.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use lf_node::core::sync::{Outcome, PeerId};
use lf_node::{ImportReport, Node, NodeConfig};
use lf_proto::api::{MakeRecord, MakeSelector, Query, QueryRange};
use lf_proto::cert::{Authority, CrlEntry, MASKING_KEY, Reason, Request, Subject};
use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_proto::hash::Hash;
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::record::{Record, RecordBuilder, RecordType};

static GO_ON: AtomicBool = AtomicBool::new(false);
const PEER: PeerId = PeerId([3; 32]);

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn record(owner: &OwnerSecret, kind: RecordType, value: &[u8], links: &[Hash], timestamp: u64) -> Record {
    record_of(owner, kind, value, links, timestamp, "name")
}

fn record_of(
    owner: &OwnerSecret,
    kind: RecordType,
    value: &[u8],
    links: &[Hash],
    timestamp: u64,
    name: &str,
) -> Record {
    let selectors: &[(&[u8], u64)] = if kind == RecordType::Datum { &[(name.as_bytes(), 1)] } else { &[] };
    let key: Option<&[u8]> = match kind {
        RecordType::Genesis => Some(b""),
        RecordType::Datum => None,
        _ => Some(MASKING_KEY),
    };
    let builder = RecordBuilder {
        record_type: kind,
        value,
        masking_key: key,
        selectors,
        links,
        timestamp,
        with_pulse_token: false,
    };
    builder.build(owner).unwrap().sign(owner, None)
}

/// A network with an authority of its own.
struct Network {
    root: Authority,
    genesis_owner: OwnerSecret,
    parameters: GenesisParameters,
    genesis: Genesis,
    began: u64,
}

impl Network {
    fn new(auth_required: bool) -> Self {
        let began = now() - 1_000_000;
        let mut rng = lf_proto::seeded::SeededRng::new(&[1; 32]);
        let root = Authority::new_root(&subject("root"), began, None, &mut |bytes| rng.fill(bytes)).unwrap();
        let genesis_owner = OwnerSecret::from_seed(OwnerType::P384, b"genesis");
        let parameters = GenesisParameters {
            id: [5; 32],
            record_min_links: 1,
            record_max_value_size: 4_096,
            record_max_time_drift: 60,
            auth_required,
            auth_certificates: root.certificate().der().into(),
            amendable_fields: vec!["authcertificates".to_owned(), "authrequired".to_owned()],
            ..GenesisParameters::default()
        };
        let text = parameters.to_json();
        let first = record(&genesis_owner, RecordType::Genesis, text.as_bytes(), &[], began);
        let genesis = Genesis::parse(first.as_bytes()).unwrap();
        Network { root, genesis_owner, parameters, genesis, began }
    }

    fn open(&self, home: &Path) -> Node {
        let config = NodeConfig { home: home.to_owned(), genesis: self.genesis.clone(), local_test: false };
        Node::open(config, |_| {}).unwrap().0
    }

    /// A record of the authority that certifies an owner.
    fn certificate(&self, owner: &OwnerSecret) -> (lf_proto::cert::Certificate, Record) {
        let mut rng = lf_proto::seeded::SeededRng::new(owner.public().as_bytes());
        let request = Request::new(owner, &subject("owner")).unwrap();
        let from = self.began + 100;
        let certificate = self.root.certify(&request, from, None, &mut |bytes| rng.fill(bytes)).unwrap();
        let links = [self.genesis.first_hash()];
        let record = record(self.root.key(), RecordType::Certificate, certificate.der(), &links, now());
        (certificate, record)
    }
}

fn subject(name: &str) -> Subject {
    Subject { common_name: name.to_owned(), ..Subject::default() }
}

fn owner(seed: &str) -> OwnerSecret {
    OwnerSecret::from_seed(OwnerType::Ed25519, seed.as_bytes())
}

/// Records of an owner, each linking to the one before.
fn history(network: &Network, owner: &OwnerSecret, count: u64) -> Vec<Record> {
    history_of(network, owner, count, "name")
}

fn history_of(network: &Network, owner: &OwnerSecret, count: u64, name: &str) -> Vec<Record> {
    let mut last = network.genesis.first_hash();
    let mut records = Vec::new();
    for i in 0..count {
        let value = format!("value {i}");
        let time = network.began + 200 + i;
        let record = record_of(owner, RecordType::Datum, value.as_bytes(), &[last], time, name);
        last = record.hash();
        records.push(record);
    }
    records
}

fn from_peer(node: &Node, records: &[Record]) -> Vec<Outcome> {
    let (sender, outcomes) = channel();
    node.check_from_peer(PEER, records.to_vec(), move |found| sender.send(found).unwrap());
    outcomes.recv().unwrap()
}

/// Waits until something holds: another thread makes it so.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

fn ask(node: &Node) -> Vec<String> {
    let range = QueryRange { name: b"name".as_slice().into(), range: vec![1], ..QueryRange::default() };
    let sets = node.query(&Query { ranges: vec![range], ..Query::default() }).unwrap();
    let value = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    sets.iter().flatten().map(|r| value(&r.value.0)).collect()
}

fn make(owner: &OwnerSecret, value: &str) -> MakeRecord {
    let mut make = MakeRecord {
        selectors: vec![MakeSelector { name: b"name".as_slice().into(), ordinal: 1 }],
        value: value.as_bytes().into(),
        ..MakeRecord::default()
    };
    make.owner_private.0.extend_from_slice(&owner.to_bytes());
    make
}

#[test]
fn records_wait_for_their_certificate_over_a_restart() {
    let network = Network::new(true);
    let home = tempfile::tempdir().unwrap();
    let node = network.open(home.path());
    let alice = owner("alice");
    let records = history(&network, &alice, 1_000);
    let worthless = history(&network, &owner("mallory"), 5);
    // Linkers before links, and some twice.
    let mut mixed: Vec<Record> = records.iter().rev().cloned().collect();
    mixed.extend_from_slice(&worthless);
    for part in mixed.chunks(300) {
        assert!(from_peer(&node, part).iter().all(|outcome| *outcome == Outcome::Limbo));
    }
    assert_eq!(from_peer(&node, &records[..3]), [Outcome::Limbo; 3]);
    assert_eq!(node.status().unwrap().limbo_count, 1_005);
    assert_eq!((node.linked(), ask(&node)), (1, Vec::new()));
    // A client is told what is missing, and nothing is kept for it.
    let refused = node.post(history(&network, &owner("eve"), 1)[0].as_bytes()).unwrap_err();
    assert_eq!(refused.name, "ErrRecordCertificateRequired");
    assert_eq!(node.limbo_count(), 1_005);
    node.stop().unwrap();
    drop(node);

    let node = network.open(home.path());
    assert_eq!(node.limbo_count(), 1_005, "a restart forgets nothing");
    let (_, certificate) = network.certificate(&alice);
    node.post(certificate.as_bytes()).unwrap();
    until("all are in", || node.linked() == 1 + 1 + 1_000);
    until("what is in does not wait", || node.limbo_count() == 5);
    assert_eq!(ask(&node), ["value 999"]);
    assert_eq!(from_peer(&node, &records[..2]), [Outcome::Duplicate; 2]);
    // An amendment approves everybody who has work; nobody here has.
    node.stop().unwrap();
    drop(node);
    assert!(home.path().join("limbo.lf").exists());
    std::fs::write(home.path().join("limbo.lf"), b"lflimbo1 and junk").unwrap();
    let node = network.open(home.path());
    assert_eq!((node.limbo_count(), node.linked()), (0, 1_002));
    node.stop().unwrap();
}

#[test]
fn a_revocation_hides_and_ends_new_posts() {
    let network = Network::new(true);
    let home = tempfile::tempdir().unwrap();
    let node = network.open(home.path());
    let (alice, bob) = (owner("alice"), owner("bob"));
    let (certificate, record_of_alice) = network.certificate(&alice);
    node.post(record_of_alice.as_bytes()).unwrap();
    node.post(network.certificate(&bob).1.as_bytes()).unwrap();
    for (who, value) in [(&alice, "of alice"), (&bob, "of bob")] {
        assert!(node.make_record(&make(who, value), &GO_ON).unwrap().accepted, "no work is needed");
    }
    assert_eq!(ask(&node).len(), 2);
    let status = node.owner_status(alice.public()).unwrap();
    assert!(status.has_current_certificate && status.auth_required);
    assert_eq!(status.certificates[0].0, certificate.der());
    assert!(status.revoked_certificates.is_empty());
    let page = node.certificates(&network.root.certificate().serial(), None, 1).unwrap();
    assert_eq!((page.certificates.len(), page.next.is_some()), (1, true));
    assert_eq!(page.certificates[0].record, record_of_alice.hash());

    let entry = CrlEntry { serial: certificate.serial(), date: 77, reason: Some(Reason::KeyCompromise) };
    let crl = network.root.crl(&[entry], now(), now()).unwrap();
    let links = [network.genesis.first_hash()];
    // Whoever publishes it: its signature counts.
    node.post(record(&bob, RecordType::Crl, crl.der(), &links, now()).as_bytes()).unwrap();
    assert_eq!(ask(&node), ["of bob"]);
    let status = node.owner_status(alice.public()).unwrap();
    assert!(!status.has_current_certificate && status.certificates.is_empty());
    assert_eq!(status.revoked_certificates[0].0, certificate.der());
    let page = node.certificates(&network.root.certificate().serial(), None, 100).unwrap();
    let info = page.certificates.iter().find(|c| c.serial == certificate.serial()).unwrap();
    assert_eq!(
        (info.revoked, info.revoked_time, info.reason.as_deref()),
        (true, Some(77), Some("keyCompromise"))
    );

    let refused = node.make_record(&make(&alice, "late"), &GO_ON).unwrap_err();
    assert_eq!(refused.name, "ErrRecordCertificateInvalid");
    assert!(refused.message.contains("is revoked"), "{}", refused.message);
    let late = history_of(&network, &alice, 2, "alice's");
    let refused = node.post(late[0].as_bytes()).unwrap_err();
    assert_eq!((refused.name, refused.status), ("ErrRecordCertificateInvalid", 400));
    // From a peer it is taken, so that the graph stays whole; it is told to nobody and shown to nobody.
    let bad = Outcome::Linked { good: false };
    assert_eq!(from_peer(&node, &late), [bad, bad]);
    let good = history_of(&network, &bob, 1, "bob's");
    assert_eq!(from_peer(&node, &good), [Outcome::Linked { good: true }]);
    assert_eq!(ask(&node), ["of bob"]);
    node.stop().unwrap();
    drop(node);
    let node = network.open(home.path());
    assert_eq!(ask(&node), ["of bob"], "after a restart");

    // A dump is taken in by another node as it is: certificates come before what needs them.
    let dump: Vec<u8> = node.dump().flat_map(Result::unwrap).collect();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = network.open(elsewhere.path());
    let report: ImportReport = other.import(&dump[..], &mut |_| {}, &GO_ON).unwrap();
    assert_eq!((report.refused, report.waiting), (0, 0), "{report:?}");
    assert_eq!((other.linked(), ask(&other)), (node.linked(), vec!["of bob".to_owned()]));
    other.stop().unwrap();
    node.stop().unwrap();
}

#[test]
fn files_wait_too_and_an_amendment_lets_in() {
    let network = Network::new(true);
    let home = tempfile::tempdir().unwrap();
    let node = network.open(home.path());
    // A second authority, which only an amendment makes one of the network's.
    let mut rng = lf_proto::seeded::SeededRng::new(&[2; 32]);
    let second = Authority::new_root(&subject("second"), network.began, None, &mut |b| rng.fill(b)).unwrap();
    let carol = owner("carol");
    let request = Request::new(&carol, &subject("carol")).unwrap();
    let certificate = second.certify(&request, network.began + 50, None, &mut |b| rng.fill(b)).unwrap();
    let links = [network.genesis.first_hash()];
    let published = record(second.key(), RecordType::Certificate, certificate.der(), &links, now());
    let mut file = published.as_bytes().to_vec();
    history(&network, &carol, 20).iter().for_each(|r| file.extend_from_slice(r.as_bytes()));
    let report = node.import(&file[..], &mut |_| {}, &GO_ON).unwrap();
    assert_eq!((report.accepted, report.refused, report.waiting), (0, 0, 21), "{report:?}");
    let again = node.import(&file[..], &mut |_| {}, &GO_ON).unwrap();
    assert_eq!((again.waiting, node.limbo_count()), (21, 21));
    let both = [network.root.certificate().der(), second.certificate().der()].concat();
    let amended = GenesisParameters { auth_certificates: both.into(), ..network.parameters.clone() };
    let text = amended.to_json();
    // The genesis owner needs a certificate like everybody: without one the amendment comes as a file of trust would.
    let (_, certificate) = network.certificate(&network.genesis_owner);
    node.post(certificate.as_bytes()).unwrap();
    let amendment = record(&network.genesis_owner, RecordType::Genesis, text.as_bytes(), &links, now());
    node.post(amendment.as_bytes()).unwrap();
    until("all are in", || node.linked() == 1 + 1 + 1 + 21 && node.limbo_count() == 0);
    assert_eq!(ask(&node), ["value 19"]);
    node.stop().unwrap();
    assert!(!home.path().join("limbo.lf").exists(), "nothing waits");
}

#[test]
fn without_authorities_junk_is_blamed_on_its_sender() {
    let genesis_owner = OwnerSecret::from_seed(OwnerType::P384, b"genesis");
    let parameters =
        GenesisParameters { id: [6; 32], record_max_value_size: 4_096, ..GenesisParameters::default() };
    let began = now() - 1_000_000;
    let first = record(&genesis_owner, RecordType::Genesis, parameters.to_json().as_bytes(), &[], began);
    let genesis = Genesis::parse(first.as_bytes()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let config = NodeConfig { home: home.path().to_owned(), genesis, local_test: false };
    let node = Node::open(config, |_| {}).unwrap().0;
    let junk = record(&owner("x"), RecordType::Datum, b"x", &[first.hash()], began + 1);
    assert_eq!(from_peer(&node, &[junk]), [Outcome::Invalid]);
    assert_eq!(node.limbo_count(), 0);
    node.stop().unwrap();
}
