//! Certificates in the index against the plainest model, all certificates and CRLs in memory, in any order of arrival.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, OnceLock};

use lf_proto::cert::{Authority, Certificate, Crl, CrlEntry, MASKING_KEY, Reason, Request, Serial, Subject};
use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_proto::hash::Hash;
use lf_proto::owner::{OwnerPublic, OwnerSecret, OwnerType};
use lf_proto::record::{Record, RecordBuilder, RecordType};
use lf_store::storage::SimStorage;
use lf_store::{Certified, IndexPlace, Put, Store, StoreOptions, View};
use proptest::prelude::*;

const BASE: u64 = 1_000_000;
const DAY: u64 = 86_400;

/// Bytes that look random and are always the same.
fn random(seed: u8) -> impl FnMut(&mut [u8]) {
    let mut rng = lf_proto::seeded::SeededRng::new(&[seed; 32]);
    move |bytes| rng.fill(bytes)
}

fn subject(name: &str) -> Subject {
    Subject { common_name: name.to_owned(), ..Subject::default() }
}

fn record(owner: &OwnerSecret, kind: RecordType, value: &[u8], links: &[Hash], timestamp: u64) -> Record {
    let key: &[u8] = if kind == RecordType::Genesis { b"" } else { MASKING_KEY };
    let builder = RecordBuilder {
        record_type: kind,
        value,
        masking_key: Some(key),
        selectors: &[],
        links,
        timestamp,
        with_pulse_token: false,
    };
    builder.build(owner).unwrap().sign(owner, None)
}

/// Something that a record carries.
#[derive(Clone)]
enum What {
    Certificate(Certificate),
    Crl(Crl),
    /// An amendment: the roots it names, and its timestamp.
    Amendment(Vec<Certificate>, Vec<Certificate>, u64),
}

struct Pool {
    genesis: Genesis,
    first_root: Certificate,
    records: Vec<(Record, What)>,
    owners: Vec<OwnerPublic>,
    issuers: Vec<Serial>,
}

fn row(certificates: &[Certificate]) -> Vec<u8> {
    certificates.iter().flat_map(|c| c.der().to_vec()).collect()
}

fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| {
        let mut r = random(1);
        let one = Authority::new_root(&subject("one"), BASE, Some(100), &mut r).unwrap();
        let two = Authority::new_root(&subject("two"), BASE, Some(100), &mut r).unwrap();
        let foreign = Authority::new_root(&subject("foreign"), BASE, Some(100), &mut r).unwrap();
        let below_one = one.intermediate(&subject("below one"), BASE + DAY, Some(10), &mut r).unwrap();
        let below_two = two.intermediate(&subject("below two"), BASE + DAY, None, &mut r).unwrap();
        let authorities = [&one, &two, &foreign, &below_one, &below_two];
        let secrets: Vec<OwnerSecret> =
            [OwnerType::P224, OwnerType::P384, OwnerType::Ed25519, OwnerType::P224]
                .iter()
                .enumerate()
                .map(|(i, kind)| OwnerSecret::from_seed(*kind, &[i as u8]))
                .collect();
        let mut certificates =
            vec![below_one.certificate().clone(), below_two.certificate().clone(), two.certificate().clone()];
        for (i, owner) in secrets.iter().enumerate() {
            let request = Request::new(owner, &subject("owner")).unwrap();
            for (j, authority) in authorities.iter().enumerate() {
                if (i + j) % 2 == 0 || i == 3 {
                    let from = BASE + DAY * (1 + i as u64);
                    certificates.push(authority.certify(&request, from, Some(5), &mut r).unwrap());
                }
            }
        }
        let entry =
            |i: usize, reason| CrlEntry { serial: certificates[i].serial(), date: BASE + i as u64, reason };
        let count = certificates.len();
        let reason = Some(Reason::KeyCompromise);
        let mut crls = vec![
            one.crl(&[entry(0, reason)], BASE, BASE).unwrap(),
            two.crl(&[entry(1, None)], BASE, BASE).unwrap(),
            // Of another's serial numbers: no effect.
            foreign.crl(&(0..count).map(|i| entry(i, None)).collect::<Vec<_>>(), BASE, BASE).unwrap(),
        ];
        for authority in authorities {
            let some: Vec<CrlEntry> = (3..count).step_by(3).map(|i| entry(i, reason)).collect();
            crls.push(authority.crl(&some, BASE, BASE).unwrap());
        }
        let owner = OwnerSecret::from_seed(OwnerType::P384, b"genesis");
        let parameters = GenesisParameters {
            id: [7; 32],
            amendable_fields: vec!["authcertificates".to_owned()],
            auth_certificates: one.certificate().der().into(),
            ..GenesisParameters::default()
        };
        let first = record(&owner, RecordType::Genesis, parameters.to_json().as_bytes(), &[], BASE);
        let links = [first.hash()];
        let mut records = Vec::new();
        let both = vec![one.certificate().clone(), two.certificate().clone()];
        let only_two = vec![two.certificate().clone()];
        for (auth, revoked, at) in
            [(both.clone(), vec![], 1), (only_two.clone(), vec![], 2), (both, only_two, 3)]
        {
            let amended = GenesisParameters {
                auth_certificates: row(&auth).into(),
                revoked_auth_certificates: row(&revoked).into(),
                ..parameters.clone()
            };
            let value = amended.to_json();
            let amendment = record(&owner, RecordType::Genesis, value.as_bytes(), &links, BASE + at);
            records.push((amendment, What::Amendment(auth, revoked, at)));
        }
        let anybody = OwnerSecret::from_seed(OwnerType::Ed25519, b"anybody");
        for certificate in &certificates {
            let record = record(&anybody, RecordType::Certificate, certificate.der(), &links, BASE);
            records.push((record, What::Certificate(certificate.clone())));
        }
        for crl in &crls {
            let record = record(&anybody, RecordType::Crl, crl.der(), &links, BASE);
            records.push((record, What::Crl(crl.clone())));
        }
        // What is none is no hindrance.
        records.push((
            record(&anybody, RecordType::Certificate, b"junk", &links, BASE),
            What::Amendment(vec![], vec![], 0),
        ));
        let mut owners: Vec<OwnerPublic> = secrets.iter().map(|s| *s.public()).collect();
        owners.extend(authorities.iter().map(|a| *a.owner()));
        Pool {
            genesis: Genesis::parse(first.as_bytes()).unwrap(),
            first_root: one.certificate().clone(),
            issuers: authorities.iter().map(|a| a.certificate().serial()).collect(),
            records,
            owners,
        }
    })
}

/// NODE.md §6 and PROTOCOL.md §10 in the plainest way.
struct Model {
    /// Known roots, and whether they are current.
    roots: Vec<(Certificate, bool)>,
    certificates: Vec<Certificate>,
    crls: Vec<Crl>,
}

impl Model {
    fn new(pool: &Pool, arrived: &[usize]) -> Self {
        let first = (vec![pool.first_root.clone()], Vec::new(), 0);
        let mut amendments = vec![first];
        let (mut certificates, mut crls) = (Vec::new(), Vec::new());
        for at in arrived {
            match &pool.records[*at].1 {
                What::Certificate(c) => certificates.push(c.clone()),
                What::Crl(c) => crls.push(c.clone()),
                What::Amendment(_, _, 0) => {}
                What::Amendment(auth, revoked, at) => amendments.push((auth.clone(), revoked.clone(), *at)),
            }
        }
        let (now, revoked, _) = amendments.iter().max_by_key(|a| a.2).unwrap().clone();
        let mut roots: Vec<(Certificate, bool)> = Vec::new();
        for c in amendments.iter().flat_map(|a| a.0.iter().chain(&a.1)) {
            if roots.iter().all(|(known, _)| known.der() != c.der()) {
                let is = |list: &[Certificate]| list.iter().any(|other| other.der() == c.der());
                roots.push((c.clone(), is(&now) && !is(&revoked)));
            }
        }
        Model { roots, certificates, crls }
    }

    fn revoked(&self, issuer: &Certificate, certificate: &Certificate) -> bool {
        self.crls.iter().any(|crl| {
            issuer.issued_crl(crl).is_ok() && crl.entries().iter().any(|e| e.serial == certificate.serial())
        })
    }

    /// Each way from a root to a certificate, as: is any of it revoked?
    fn chains(&self, certificate: &Certificate) -> Vec<bool> {
        let mut chains = Vec::new();
        for (root, current) in &self.roots {
            let root_revoked = !current || self.revoked(root, root);
            if root.der() == certificate.der() {
                chains.push(root_revoked);
                continue;
            }
            if root.issued(certificate).is_ok() {
                chains.push(root_revoked || self.revoked(root, certificate));
            }
            for between in self.certificates.iter().filter(|c| c.is_authority() && c.der() != root.der()) {
                if !certificate.is_authority()
                    && root.issued(between).is_ok()
                    && between.issued(certificate).is_ok()
                {
                    let links = self.revoked(root, between) || self.revoked(between, certificate);
                    chains.push(root_revoked || links);
                }
            }
        }
        chains
    }

    fn certified(&self, owner: &OwnerPublic, timestamp: u64) -> Certified {
        let all = self.certificates.iter().chain(self.roots.iter().map(|(root, _)| root));
        let of_owner = all.filter(|c| {
            let subject = if c.is_authority() { c.key_owner() } else { c.subject_owner() };
            subject == Some(*owner) && (c.not_before()..=c.not_after()).contains(&timestamp)
        });
        let chains: Vec<bool> = of_owner.flat_map(|c| self.chains(c)).collect();
        match chains.iter().min() {
            None => Certified::No,
            Some(false) => Certified::Yes,
            Some(true) => Certified::Revoked,
        }
    }
}

fn options(storage: &Arc<SimStorage>) -> StoreOptions {
    StoreOptions::new(storage.clone(), IndexPlace::Memory, pool().genesis.clone(), [5; 16])
}

fn times() -> Vec<u64> {
    (0..14).map(|day| BASE + day * DAY + 7).chain([BASE - 1, BASE, BASE + 1, BASE + 101 * DAY]).collect()
}

fn compare(view: &View, model: &Model, when: &str) {
    for owner in &pool().owners {
        for time in times() {
            assert_eq!(
                view.certified(owner, time).unwrap(),
                model.certified(owner, time),
                "{owner} at {time}, {when}"
            );
        }
    }
}

fn apply(store: &mut Store, arrived: &[usize], batch: usize) {
    for some in arrived.chunks(batch) {
        let put = |at: &usize| Put {
            record: pool().records[*at].0.clone(),
            selectors: Vec::new(),
            work_verified: false,
        };
        store.apply(&some.iter().map(put).collect::<Vec<_>>(), &[]).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_order_of_arrival_gives_what_the_plain_model_says(
        order in Just((0..pool().records.len()).collect::<Vec<_>>()).prop_shuffle(),
        some in 0usize..60,
        batch in 1usize..9,
    ) {
        let storage = Arc::new(SimStorage::new(1));
        let (mut store, _) = Store::open(options(&storage)).unwrap();
        let some = some.min(order.len());
        apply(&mut store, &order[..some], batch);
        let model = Model::new(pool(), &order[..some]);
        compare(&store.reader().view(), &model, "when some have arrived");
        apply(&mut store, &order[some..], batch);
        let model = Model::new(pool(), &order);
        compare(&store.reader().view(), &model, "when all have");
        store.close().unwrap();
        let (store, _) = Store::open(options(&storage)).unwrap();
        compare(&store.reader().view(), &model, "made again from the log");
    }
}

/// Pages hold every certificate once, in order, with what became of it.
#[test]
fn an_authoritys_certificates_come_in_pages() {
    let storage = Arc::new(SimStorage::new(1));
    let (mut store, _) = Store::open(options(&storage)).unwrap();
    let all: Vec<usize> = (0..pool().records.len()).collect();
    apply(&mut store, &all, 3);
    let view = store.reader().view();
    let mut found = 0;
    for issuer in &pool().issuers {
        let (whole, next) = view.certificates_issued_by(issuer, None, 1_000).unwrap();
        assert_eq!(next, None);
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = view.certificates_issued_by(issuer, after, 2).unwrap();
            assert!(page.len() <= 2);
            paged.extend(page);
            after = next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(paged, whole);
        assert!(whole.is_sorted_by_key(|c| c.index));
        assert!(whole.iter().all(|c| c.issuer == *issuer));
        found += whole.len();
        for certificate in &whole {
            let by_owner = view.certificates_of(&certificate.subject).unwrap();
            assert!(by_owner.contains(certificate));
        }
    }
    let foreign = view.certificates_issued_by(&pool().issuers[2], None, 9).unwrap().0;
    assert!(foreign.is_empty(), "of an authority that the network does not have");
    assert!(found >= 10, "{found}");
    assert!(view.certificates_issued_by(&pool().issuers[0], Some(u32::MAX), 9).unwrap().0.is_empty());
}

/// Who pays for records that name an authority which never comes takes a bounded number of places.
#[test]
fn what_waits_is_bounded_and_the_first_come_in() {
    let mut r = random(9);
    let root = Authority::new_root(&subject("root"), BASE, Some(100), &mut r).unwrap();
    let between = root.intermediate(&subject("between"), BASE + 1, None, &mut r).unwrap();
    let owner = OwnerSecret::from_seed(OwnerType::P384, b"genesis");
    let parameters = GenesisParameters {
        auth_certificates: root.certificate().der().into(),
        ..GenesisParameters::default()
    };
    let first = record(&owner, RecordType::Genesis, parameters.to_json().as_bytes(), &[], BASE);
    let links = [first.hash()];
    let storage = Arc::new(SimStorage::new(1));
    let genesis = Genesis::parse(first.as_bytes()).unwrap();
    let options = StoreOptions::new(storage, IndexPlace::Memory, genesis, [5; 16]);
    let (mut store, _) = Store::open(options).unwrap();
    let anybody = OwnerSecret::from_seed(OwnerType::Ed25519, b"anybody");
    let put = |kind, value: &[u8], at| Put {
        record: record(&anybody, kind, value, &links, at),
        selectors: Vec::new(),
        work_verified: false,
    };
    let certified = OwnerSecret::from_seed(OwnerType::Ed25519, b"certified");
    let request = Request::new(&certified, &subject("owner")).unwrap();
    let good = between.certify(&request, BASE + 2, None, &mut r).unwrap();
    store.apply(&[put(RecordType::Certificate, good.der(), BASE)], &[]).unwrap();
    let junk: Vec<Put> = (0..1_500).map(|i| put(RecordType::Certificate, good.der(), BASE + 1 + i)).collect();
    store.apply(&junk, &[]).unwrap();
    assert_eq!(store.reader().view().certified(certified.public(), BASE + 10).unwrap(), Certified::No);
    store.apply(&[put(RecordType::Certificate, between.certificate().der(), BASE)], &[]).unwrap();
    let view = store.reader().view();
    assert_eq!(view.certified(certified.public(), BASE + 10).unwrap(), Certified::Yes);
    assert_eq!(view.certificates_of(certified.public()).unwrap().len(), 1, "however often it was published");
}

/// A successor is followed without being asked for if one authority vouches for both: not after the old owner was revoked.
#[test]
fn who_may_be_followed() {
    let mut r = random(8);
    let root = Authority::new_root(&subject("root"), BASE, Some(100), &mut r).unwrap();
    let between = root.intermediate(&subject("between"), BASE + 1, None, &mut r).unwrap();
    let genesis_owner = OwnerSecret::from_seed(OwnerType::P384, b"genesis");
    let parameters = GenesisParameters {
        auth_certificates: root.certificate().der().into(),
        ..GenesisParameters::default()
    };
    let first = record(&genesis_owner, RecordType::Genesis, parameters.to_json().as_bytes(), &[], BASE);
    let links = [first.hash()];
    let genesis = Genesis::parse(first.as_bytes()).unwrap();
    let options = StoreOptions::new(Arc::new(SimStorage::new(1)), IndexPlace::Memory, genesis, [5; 16]);
    let (mut store, _) = Store::open(options).unwrap();
    let secret = |seed: &[u8]| OwnerSecret::from_seed(OwnerType::Ed25519, seed);
    let (old, new, other) = (secret(b"old"), secret(b"new"), secret(b"other"));
    let put = |store: &mut Store, kind, value: &[u8]| {
        let record = record(root.key(), kind, value, &links, BASE);
        store.apply(&[Put { record, selectors: Vec::new(), work_verified: false }], &[]).unwrap();
    };
    let mut certify = |authority: &Authority, owner: &OwnerSecret| {
        let request = Request::new(owner, &subject("owner")).unwrap();
        authority.certify(&request, BASE + 2, Some(10), &mut r).unwrap()
    };
    let (of_old, of_new) = (certify(&root, &old), certify(&root, &new));
    let of_other = certify(&between, &other);
    put(&mut store, RecordType::Certificate, between.certificate().der());
    for certificate in [&of_old, &of_new, &of_other] {
        put(&mut store, RecordType::Certificate, certificate.der());
    }
    let follows = |store: &Store, from: &OwnerSecret, to: &OwnerSecret, time, index| {
        store.reader().view().follows(from.public(), to.public(), time, index).unwrap()
    };
    assert!(follows(&store, &old, &new, BASE + 5, 4));
    assert!(!follows(&store, &old, &other, BASE + 5, 4), "of two authorities");
    assert!(!follows(&store, &old, &new, BASE + 1, 4), "before it was certified");
    assert!(!follows(&store, &old, &secret(b"nobody"), BASE + 5, 4));
    let revoke = |certificate: &Certificate| {
        let entry = CrlEntry { serial: certificate.serial(), date: BASE, reason: None };
        root.crl(&[entry], BASE, BASE).unwrap()
    };
    let revoked_at = store.reader().view().linked();
    put(&mut store, RecordType::Crl, revoke(&of_old).der());
    assert!(follows(&store, &old, &new, BASE + 5, revoked_at - 1), "it said so before");
    assert!(!follows(&store, &old, &new, BASE + 5, revoked_at + 1), "whoever has the key says so after");
    put(&mut store, RecordType::Crl, revoke(&of_old).der());
    assert!(!follows(&store, &old, &new, BASE + 5, revoked_at + 1), "said again it is no later");
    put(&mut store, RecordType::Crl, revoke(&of_new).der());
    assert!(!follows(&store, &old, &new, BASE + 5, revoked_at - 1));
}
