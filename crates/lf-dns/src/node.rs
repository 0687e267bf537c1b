//! Asking a node for a name's records: all of them in one query, checked and unmasked here, certificates looked up.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lf_client::{Client, ClientError, Find, FoundRecord, Ordinals, SelectorArg};
use lf_proto::api::weight_from_words;
use lf_proto::owner::OwnerPublic;

use crate::data::TYPE_NUMBER_MAX;
use crate::trust::{Candidate, Passed, Policy, choose};
use crate::{DomainName, NameRecords};

/// Records of each type that are looked at: the node's best, so that strangers' many do not cost us. Pinned owners are
/// asked for by themselves, so that no crowd can hide them.
const RECORDS_PER_SET_MAX: u64 = 256;
/// Owners whose certificates are looked up for one name.
const OWNERS_PER_NAME_MAX: usize = 16;
/// Owners whose certificates are remembered.
const OWNERS_MAX: usize = 10_000;

/// Why a name could not be asked for.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AskError {
    /// No node answers now.
    #[error("{0}")]
    Away(String),
    /// A node answered, but not to that.
    #[error("{0}")]
    Wrong(String),
}

impl From<ClientError> for AskError {
    fn from(error: ClientError) -> Self {
        let away = matches!(error, ClientError::Unreachable { .. } | ClientError::Api { status: 500.., .. });
        if away { AskError::Away(error.to_string()) } else { AskError::Wrong(error.to_string()) }
    }
}

/// A node, and whom to believe of what it has.
pub struct Node {
    client: Client,
    policy: Policy,
    oracles: Vec<OwnerPublic>,
    certified_for: Duration,
    /// Whether owners who cannot count are asked for, too.
    asks_all: bool,
    certified: Mutex<HashMap<OwnerPublic, (Instant, bool)>>,
}

/// What a name has for this policy.
#[derive(Debug, Clone)]
pub struct Told {
    /// What is served.
    pub records: NameRecords,
    /// What is not, and why.
    pub passed: Vec<Passed>,
}

impl Node {
    /// A node by its client. Whether an owner is certified is asked again after `certified_for`.
    pub fn new(client: Client, policy: Policy, oracles: Vec<OwnerPublic>, certified_for: Duration) -> Self {
        let asks_all = policy.certified || policy.anyone;
        Node { client, policy, oracles, certified_for, asks_all, certified: Mutex::default() }
    }

    /// Also tells of owners whose records cannot count.
    #[must_use]
    pub fn telling_all(self) -> Self {
        Node { asks_all: true, ..self }
    }

    /// Everything that is written under a name, by whom it may be.
    ///
    /// # Errors
    /// The node is away, or does not say what it should.
    pub fn candidates(&self, name: &DomainName) -> Result<Vec<Candidate>, AskError> {
        let mut candidates: Vec<Candidate> = Vec::new();
        if !self.policy.pins.is_empty() {
            self.find(name, self.policy.pins.iter().map(|pin| pin.owner).collect(), &mut candidates)?;
        }
        if self.asks_all {
            self.find(name, vec![], &mut candidates)?;
        }
        if self.policy.asks_certificates() {
            self.look_up_certificates(&mut candidates)?;
        }
        Ok(candidates)
    }

    /// Adds these owners' records, or everybody's, to those that are there already.
    fn find(
        &self,
        name: &DomainName,
        owners: Vec<OwnerPublic>,
        to: &mut Vec<Candidate>,
    ) -> Result<(), AskError> {
        let selector = SelectorArg {
            name: name.selector_name().into_bytes(),
            ordinals: Ordinals::Range(0, u64::from(TYPE_NUMBER_MAX)),
        };
        let find = Find {
            selectors: vec![selector],
            oracles: self.oracles.clone(),
            limit: RECORDS_PER_SET_MAX,
            owners,
            ..Find::default()
        };
        let found = self.client.find(&find)?;
        let there: HashSet<_> = to.iter().map(|candidate| candidate.hash.0).collect();
        let new = found.sets.iter().flat_map(lf_client::FoundSet::records).filter_map(candidate);
        to.extend(new.filter(|candidate| !there.contains(&candidate.hash.0)));
        Ok(())
    }

    /// What is served under a name.
    ///
    /// # Errors
    /// As [`candidates`](Self::candidates).
    pub fn ask(&self, name: &DomainName) -> Result<Told, AskError> {
        let (records, passed) = choose(&self.policy, name, &self.candidates(name)?);
        Ok(Told { records, passed })
    }

    /// `certified` of a candidate is at first what the node says of the time of the record; here it becomes what holds now.
    /// Owners who were certified then are looked up first, so that a crowd of others does not keep us from them.
    fn look_up_certificates(&self, candidates: &mut [Candidate]) -> Result<(), AskError> {
        let (then, others): (Vec<_>, Vec<_>) = candidates.iter().partition(|candidate| candidate.certified);
        let mut owners: Vec<OwnerPublic> = Vec::new();
        for candidate in then.into_iter().chain(others) {
            if owners.len() < OWNERS_PER_NAME_MAX && !owners.contains(&candidate.owner) {
                owners.push(candidate.owner);
            }
        }
        let mut certified = Vec::with_capacity(owners.len());
        for owner in owners {
            if self.is_certified(&owner)? {
                certified.push(owner);
            }
        }
        candidates
            .iter_mut()
            .for_each(|candidate| candidate.certified = certified.contains(&candidate.owner));
        Ok(())
    }

    fn is_certified(&self, owner: &OwnerPublic) -> Result<bool, AskError> {
        let lock = || self.certified.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((heard, certified)) = lock().get(owner).copied()
            && heard.elapsed() < self.certified_for
        {
            return Ok(certified);
        }
        let certified = self.client.owner_status(owner)?.has_current_certificate;
        let mut known = lock();
        if known.len() >= OWNERS_MAX {
            known.clear();
        }
        known.insert(*owner, (Instant::now(), certified));
        Ok(certified)
    }
}

fn candidate(found: &FoundRecord) -> Option<Candidate> {
    let result = &found.result;
    Some(Candidate {
        hash: result.hash,
        owner: *found.record.owner(),
        ordinal: found.selectors.first()?.ordinal?,
        value: found.value.clone(),
        trust: result.trust,
        weight: weight_from_words(&result.weight),
        certified: result.signed,
    })
}
