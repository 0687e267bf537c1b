//! The simulated network's genesis, and records of every kind, honest and not.

use std::sync::OnceLock;

use lf_proto::cert::{Authority, Certificate, MASKING_KEY, Request, Subject};
use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_proto::hash::Hash;
use lf_proto::owner::{OwnerPublic, OwnerSecret, OwnerType};
use lf_proto::pulse::{PulseChain, PulseStart};
use lf_proto::record::{BuildError, Record, RecordBuilder, RecordType};
use lf_proto::seeded::SeededRng;
use lf_proto::selector::SelectorNames;
use lf_proto::work::Work;

use crate::random::Random;

/// Seconds since 1970 at which simulations begin.
pub(crate) const BEGIN_SECS: u64 = 1_700_000_000;
/// RecordMaxTimeDrift of the simulated network, in seconds.
pub(crate) const DRIFT_SECS: u64 = 120;
/// RecordMaxValueSize before it is amended, in bytes.
pub(crate) const VALUE_BYTES_MAX: u64 = 512;
/// RecordMaxValueSize after.
pub(crate) const VALUE_BYTES_AMENDED: u64 = 2_048;
/// Since when certificates are valid: long before anything is written.
const CERTIFIED_SECS: u64 = BEGIN_SECS - 1_000_000;
/// Names whose tables are kept: all that are used again and again.
const NAMES_KEPT: usize = 256;
/// RecordMinLinks.
const LINKS_MIN: u64 = 2;

fn parameters(value_bytes_max: u64, comment: &str) -> GenesisParameters {
    GenesisParameters {
        id: [7; 32],
        amendable_fields: vec!["comment".into(), "recordmaxvaluesize".into()],
        name: "simulation".into(),
        comment: comment.into(),
        record_min_links: LINKS_MIN,
        record_max_value_size: value_bytes_max,
        record_max_time_drift: DRIFT_SECS,
        ..GenesisParameters::default()
    }
}

fn genesis_owner() -> &'static OwnerSecret {
    static OWNER: OnceLock<OwnerSecret> = OnceLock::new();
    OWNER.get_or_init(|| OwnerSecret::from_seed(OwnerType::Ed25519, b"genesis of the simulation"))
}

fn genesis_record(value: &[u8], links: &[Hash], timestamp: u64) -> Option<Record> {
    let builder = RecordBuilder {
        record_type: RecordType::Genesis,
        value,
        masking_key: Some(b""),
        selectors: &[],
        links,
        timestamp,
        with_pulse_token: false,
    };
    Some(builder.build(genesis_owner()).ok()?.sign(genesis_owner(), None))
}

/// The certificate authority of networks that ask for certificates.
pub(crate) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut rng = SeededRng::new(b"the authority of the simulation!");
        let made = Authority::new_root(&Subject::default(), CERTIFIED_SECS, None, &mut |b| rng.fill(b));
        made.unwrap_or_else(|e| unreachable!("an authority without a name is made: {e}"))
    })
}

/// The simulated network, or one that asks for certificates.
pub(crate) fn genesis(certified: bool) -> &'static Genesis {
    static PLAIN: OnceLock<Genesis> = OnceLock::new();
    static CERTIFIED: OnceLock<Genesis> = OnceLock::new();
    let genesis = if certified { &CERTIFIED } else { &PLAIN };
    genesis.get_or_init(|| {
        let mut parameters = parameters(VALUE_BYTES_MAX, "");
        if certified {
            parameters.auth_required = true;
            parameters.record_max_value_size = VALUE_BYTES_AMENDED;
            parameters.auth_certificates = authority().certificate().der().into();
        }
        let json = parameters.to_json();
        let mut bytes = Vec::new();
        let mut links = Vec::new();
        for i in 0..LINKS_MIN {
            let value = if i == 0 { json.as_bytes() } else { b"" };
            let record = genesis_record(value, &links, BEGIN_SECS - 1_000_000 + i);
            let record = record.unwrap_or_else(|| unreachable!("a genesis record without selectors is made"));
            links.push(record.hash());
            bytes.extend_from_slice(record.as_bytes());
        }
        Genesis::parse(&bytes).unwrap_or_else(|e| unreachable!("the genesis made here parses: {e}"))
    })
}

/// A record of the authority: a certificate or a CRL.
pub(crate) fn of_authority(
    record_type: RecordType,
    der: &[u8],
    links: &[Hash],
    timestamp: u64,
) -> Option<Record> {
    let builder = RecordBuilder {
        record_type,
        value: der,
        masking_key: Some(MASKING_KEY),
        selectors: &[],
        links,
        timestamp,
        with_pulse_token: false,
    };
    Some(builder.build(authority().key()).ok()?.sign(authority().key(), None))
}

/// An amendment that allows larger values.
pub(crate) fn amendment(links: &[Hash], timestamp: u64, comment: &str) -> Option<Record> {
    genesis_record(parameters(VALUE_BYTES_AMENDED, comment).to_json().as_bytes(), links, timestamp)
}

/// What is kept of names, for all simulations: it depends on the names alone.
pub(crate) fn names() -> &'static SelectorNames {
    static NAMES: OnceLock<SelectorNames> = OnceLock::new();
    NAMES.get_or_init(|| SelectorNames::new(NAMES_KEPT))
}

/// Somebody who writes records.
#[derive(Debug)]
pub(crate) struct Owner {
    secret: OwnerSecret,
}

/// What a record is to hold.
#[derive(Debug, Clone)]
pub(crate) struct Draft<'a> {
    pub(crate) names: &'a [String],
    pub(crate) value: Vec<u8>,
    pub(crate) links: &'a [Hash],
    pub(crate) timestamp: u64,
    pub(crate) with_pulse_token: bool,
    pub(crate) difficulty: u32,
}

impl Owner {
    /// An owner for each seed: most have Ed25519 keys, some P-224.
    pub(crate) fn new(random: &mut Random) -> Owner {
        let owner_type = if random.below(4) == 0 { OwnerType::P224 } else { OwnerType::Ed25519 };
        Owner { secret: OwnerSecret::from_seed(owner_type, &random.bytes::<16>()) }
    }

    /// The owner's public key.
    pub(crate) fn public(&self) -> &OwnerPublic {
        self.secret.public()
    }

    /// A certificate of the authority, valid all the time.
    pub(crate) fn certificate(&self) -> Option<Certificate> {
        let request = Request::new(&self.secret, &Subject::default()).ok()?;
        let mut rng = SeededRng::new(self.secret.public().as_bytes());
        authority().certify(&request, CERTIFIED_SECS, None, &mut |b| rng.fill(b)).ok()
    }

    /// Makes and signs a record.
    pub(crate) fn write(&self, draft: &Draft<'_>) -> Result<Record, BuildError> {
        self.write_as(RecordType::Datum, draft)
    }

    /// Makes and signs a record of any type.
    pub(crate) fn write_as(&self, record_type: RecordType, draft: &Draft<'_>) -> Result<Record, BuildError> {
        let selectors: Vec<(&[u8], u64)> = draft.names.iter().map(|name| (name.as_bytes(), 0)).collect();
        let builder = RecordBuilder {
            record_type,
            value: &draft.value,
            masking_key: None,
            selectors: &selectors,
            links: draft.links,
            timestamp: draft.timestamp,
            with_pulse_token: draft.with_pulse_token,
        };
        let work = Work::new([1, 2], draft.difficulty);
        Ok(builder.build_with(&self.secret, names())?.sign(&self.secret, Some(work)))
    }

    /// The chain of a record's pulses.
    pub(crate) fn pulses(&self, draft: &Draft<'_>) -> Option<PulseChain> {
        let ordinals = vec![0; draft.names.len()];
        let start =
            PulseStart::new(draft.names, &ordinals, draft.timestamp, &self.secret.private_hash()).ok()?;
        Some(PulseChain::new(&start))
    }
}

/// Ways in which a record can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// Bytes that are no record.
    Malformed,
    /// A signature of something else.
    Signature,
    /// A claim of something else.
    Claim,
    /// A value larger than the network allows.
    TooLarge,
    /// From the future: days, or a little more than is allowed, which time heals.
    Future,
    /// A genesis record by anybody.
    ForeignGenesis,
    /// Fewer links than the network asks for.
    FewLinks,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Flaw; 7] = [
        Flaw::Malformed,
        Flaw::Signature,
        Flaw::Claim,
        Flaw::TooLarge,
        Flaw::Future,
        Flaw::ForeignGenesis,
        Flaw::FewLinks,
    ];

    /// Whether no honest node can ever send such a record, wherever its clock and its parameters stand.
    pub fn is_provable(self) -> bool {
        matches!(self, Flaw::Malformed | Flaw::Signature | Flaw::Claim | Flaw::ForeignGenesis)
    }
}

/// The bytes of a record that is wrong in one way only.
pub(crate) fn flawed(flaw: Flaw, owner: &Owner, draft: &Draft<'_>, random: &mut Random) -> Option<Vec<u8>> {
    let mut draft = draft.clone();
    let good = owner.write(&draft).ok()?;
    let signature_bytes = good.signature().len();
    let mut bytes = good.as_bytes().to_vec();
    match flaw {
        Flaw::Malformed => match random.below(3) {
            0 => bytes.truncate(random.index(bytes.len())),
            1 => *bytes.first_mut()? ^= 0x80,
            _ => bytes.push(0),
        },
        Flaw::Signature => {
            let at = bytes.len() - 1 - random.index(signature_bytes);
            *bytes.get_mut(at)? ^= 1 << random.below(8);
        }
        Flaw::Claim => {
            // Signed well by its owner, over a claim from which no key can be recovered.
            let mut json = lf_proto::api::RecordJson::from(&good);
            loop {
                let mut claim = random.bytes::<41>();
                claim[40] &= 1;
                json.selectors.first_mut()?.claim = claim.as_slice().into();
                let Ok(unsigned) = json.to_record() else { continue };
                if unsigned.recover_selectors().is_err() {
                    json.signature = owner.secret.sign(&unsigned.signed_digest()).as_slice().into();
                    break;
                }
            }
            bytes = json.to_record().ok()?.as_bytes().to_vec();
        }
        Flaw::TooLarge => {
            draft.value = random.junk(VALUE_BYTES_AMENDED as usize + 1);
            bytes = owner.write(&draft).ok()?.as_bytes().to_vec();
        }
        Flaw::Future => {
            draft.timestamp += if random.below(2) == 0 { 86_400 * 9 } else { DRIFT_SECS + 30 };
            bytes = owner.write(&draft).ok()?.as_bytes().to_vec();
        }
        Flaw::ForeignGenesis => {
            draft.names = &[];
            bytes = owner.write_as(RecordType::Genesis, &draft).ok()?.as_bytes().to_vec();
        }
        Flaw::FewLinks => {
            draft.links = draft.links.get(..1)?;
            bytes = owner.write(&draft).ok()?.as_bytes().to_vec();
        }
    }
    Some(bytes)
}
