//! What honest users do: write records that link to what their node has, under names of their own and under names that
//! others want too; renew one; amend the network's parameters.

use std::collections::BTreeSet;

use lf_proto::cert::CrlEntry;
use lf_proto::hash::Hash;
use lf_proto::pulse::PulseChain;
use lf_proto::record::RecordType;
use lf_store::{Certified, Stored};

use super::World;
use crate::random::Random;
use crate::records::{
    BEGIN_SECS, Draft, Owner, VALUE_BYTES_AMENDED, VALUE_BYTES_MAX, amendment, authority, of_authority,
};

/// Owners that honest records have.
const OWNERS: usize = 6;
/// Names that several owners write under.
const CONTESTED_NAMES: u64 = 3;
/// Names that only one owner writes under, for each of them: it writes revisions.
const NAMES_OF_OWNER: u64 = 4;
/// Links of a record.
const LINKS: usize = 3;
/// How old the record that is pulsed says it is, in seconds, so that its pulses are of minutes at once.
const PULSED_AGE_SECS: u64 = 600;

/// A record that is renewed now and then.
struct Pulsed {
    hash: Hash,
    timestamp: u64,
    chain: PulseChain,
    minutes: u32,
}

/// A record of a user that was acknowledged.
pub(super) struct Written {
    pub(super) hash: Hash,
    pub(super) name: String,
    /// The node that acknowledged it.
    pub(super) node: usize,
}

/// Users and what they have done.
pub(super) struct Users {
    owners: Vec<Owner>,
    pulsed: Option<Pulsed>,
    pub(super) written: Vec<Written>,
    pub(super) amendments: u64,
    attempts: u64,
    /// Owners who were given a certificate, and whether that of the first was revoked.
    certified: BTreeSet<usize>,
    revoked: bool,
}

impl Users {
    pub(super) fn new(random: &mut Random) -> Users {
        let owners = (0..OWNERS).map(|_| Owner::new(random)).collect();
        Users {
            owners,
            pulsed: None,
            written: Vec::new(),
            amendments: 0,
            attempts: 0,
            certified: BTreeSet::new(),
            revoked: false,
        }
    }
}

impl World {
    /// An honest node that runs.
    fn some_honest(&mut self) -> Option<usize> {
        let live: Vec<usize> = (0..self.scenario.honest).filter(|n| self.nodes[*n].live.is_some()).collect();
        self.random.pick(&live)
    }

    /// What a new record on this node links to.
    pub(super) fn links(&mut self, node: usize) -> Vec<Hash> {
        let Some(live) = &self.nodes[node].live else { return Vec::new() };
        let random = &mut self.random;
        match live.reader.links(LINKS, |n| random.below(n)) {
            Ok(links) => links,
            Err(e) => {
                self.fail(format!("node {node} cannot pick links: {e}"));
                Vec::new()
            }
        }
    }

    pub(super) fn write(&mut self) {
        let Some(node) = self.some_honest() else { return };
        self.users.attempts += 1;
        let attempt = self.users.attempts;
        let owner = self.random.index(self.users.owners.len());
        let every = self.scenario.contested_every;
        let name = if every > 0 && attempt.is_multiple_of(every) {
            format!("wanted-{}", self.random.below(CONTESTED_NAMES))
        } else {
            format!("name-{owner}-{}", attempt % NAMES_OF_OWNER)
        };
        if self.scenario.certified && !self.may_write(node, owner) {
            return;
        }
        let names = [name.clone()];
        let links = self.links(node);
        let pulsed = self.scenario.pulses && self.users.pulsed.is_none();
        let timestamp =
            self.nodes[node].now(self.now_us).unix_secs - if pulsed { PULSED_AGE_SECS } else { 0 };
        let amended = self.nodes[node]
            .live
            .as_ref()
            .is_some_and(|live| live.reader.parameters().record_max_value_size >= VALUE_BYTES_AMENDED);
        let bytes = if amended && self.random.below(2) == 0 {
            VALUE_BYTES_MAX + 1 + self.random.below(VALUE_BYTES_AMENDED - VALUE_BYTES_MAX)
        } else {
            self.random.below(200)
        };
        let draft = Draft {
            names: &names,
            value: self.random.junk(bytes as usize),
            links: &links,
            timestamp,
            with_pulse_token: pulsed,
            difficulty: 1 + self.random.below(1_000_000) as u32,
        };
        let owner = &self.users.owners[owner];
        let record = match owner.write(&draft) {
            Ok(record) => record,
            Err(e) => return self.fail(format!("a record cannot be made: {e}")),
        };
        let hash = record.hash();
        let chain = if pulsed { owner.pulses(&draft) } else { None };
        let record_bytes = record.as_bytes().len() as u64;
        self.note("write", &[node as u64, attempt]);
        self.born.insert(hash, (self.now_us, node));
        if self.store_own(node, record) {
            self.figures.records += 1;
            self.figures.record_bytes += record_bytes;
            self.users.written.push(Written { hash, name, node });
            if let Some(chain) = chain {
                self.users.pulsed = Some(Pulsed { hash, timestamp, chain, minutes: 0 });
            }
        }
    }

    /// Whether an owner is certified, as this node has it. Who is not yet is given a certificate, somewhere; half way one of
    /// those who were is revoked.
    fn may_write(&mut self, node: usize, owner: usize) -> bool {
        let half_way = self.users.attempts as usize >= self.scenario.writes / 2;
        if half_way && !self.users.revoked && self.users.certified.contains(&0) {
            self.users.revoked = true;
            let entry = self.users.owners[0].certificate().map(|certificate| CrlEntry {
                serial: certificate.serial(),
                date: BEGIN_SECS,
                reason: None,
            });
            let crl = entry.and_then(|entry| authority().crl(&[entry], BEGIN_SECS, BEGIN_SECS).ok());
            match crl {
                Some(crl) => self.publish_of_authority(RecordType::Crl, crl.der()),
                None => self.fail("a CRL cannot be made".to_owned()),
            }
        }
        let now = self.nodes[node].now(self.now_us).unix_secs;
        let public = *self.users.owners[owner].public();
        let Some(live) = &self.nodes[node].live else { return false };
        match live.reader.view().certified(&public, now) {
            Ok(Certified::Yes) => return true,
            Ok(Certified::No) => {}
            _ => return false,
        }
        if self.users.certified.insert(owner) {
            match self.users.owners[owner].certificate() {
                Some(certificate) => self.publish_of_authority(RecordType::Certificate, certificate.der()),
                None => self.fail("a certificate cannot be made".to_owned()),
            }
        }
        false
    }

    /// Has the authority publish something at some node.
    fn publish_of_authority(&mut self, record_type: RecordType, der: &[u8]) {
        let Some(node) = self.some_honest() else { return };
        let links = self.links(node);
        let timestamp = self.nodes[node].now(self.now_us).unix_secs;
        let Some(record) = of_authority(record_type, der, &links, timestamp) else { return };
        let (hash, name) = (record.hash(), String::new());
        self.note("certify", &[node as u64]);
        self.born.insert(hash, (self.now_us, node));
        if self.store_own(node, record) {
            self.users.written.push(Written { hash, name, node });
        }
    }

    pub(super) fn pulse(&mut self) {
        let Some(node) = self.some_honest() else { return };
        let now = self.nodes[node].now(self.now_us).unix_secs;
        let Some(pulsed) = &mut self.users.pulsed else { return };
        let Some(live) = &self.nodes[node].live else { return };
        if !matches!(live.reader.view().standing(&pulsed.hash), Ok(Some(Stored::Linked(_)))) {
            return;
        }
        let minutes = ((now.saturating_sub(pulsed.timestamp) / 60) as u32).max(pulsed.minutes + 1);
        let Ok(pulse) = pulsed.chain.pulse_at(minutes) else { return };
        pulsed.minutes = minutes;
        self.store_own_pulse(node, pulse);
    }

    pub(super) fn amend(&mut self) {
        let Some(node) = self.some_honest() else { return };
        let links = self.links(node);
        let timestamp = self.nodes[node].now(self.now_us).unix_secs;
        let comment = format!("amendment {}", self.users.amendments + 1);
        let Some(record) = amendment(&links, timestamp, &comment) else { return };
        let (hash, name) = (record.hash(), String::new());
        self.note("amend", &[node as u64]);
        self.born.insert(hash, (self.now_us, node));
        if self.store_own(node, record) {
            self.users.amendments += 1;
            self.users.written.push(Written { hash, name, node });
        }
    }
}
