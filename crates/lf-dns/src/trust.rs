//! Whose records count. LF lets anybody write under any name; a resolver must not believe just anybody.
//!
//! One owner has a name, with all its types: of those that are trusted the one pinned first, else the one the node trusts
//! most. Records of others are never mixed in, so nobody can add an MX to somebody else's name.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::str::FromStr;

use hickory_proto::rr::RecordType;
use lf_proto::hash::Hash;
use lf_proto::owner::OwnerPublic;

use crate::data::TYPES;
use crate::{DomainName, NameRecords, RrSet};

/// Reasons quote what strangers wrote, but not all of it.
const REASON_CHARS_MAX: usize = 200;

/// An owner that is trusted because somebody said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The owner.
    pub owner: OwnerPublic,
    /// Trusted for this name and what is below it only.
    pub below: Option<DomainName>,
}

/// Whom to trust.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Owners with a current certificate of the network's authorities.
    pub certified: bool,
    /// Everybody: who wrote a name first has it.
    pub anyone: bool,
    /// These owners, before all others.
    pub pins: Vec<Pin>,
}

/// One part of a [`Policy`], as it is written: `certified`, `anyone`, `@OWNER` or `@OWNER/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trusted {
    /// See [`Policy::certified`].
    Certified,
    /// See [`Policy::anyone`].
    Anyone,
    /// See [`Policy::pins`].
    Pinned(Pin),
}

impl FromStr for Trusted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "certified" => return Ok(Trusted::Certified),
            "anyone" => return Ok(Trusted::Anyone),
            _ if !text.starts_with('@') => {
                return Err("it must be certified, anyone, @OWNER or @OWNER/NAME".to_owned());
            }
            _ => {}
        }
        let (owner, below) = match text.split_once('/') {
            Some((owner, name)) => (owner, Some(name.parse().map_err(|e| format!("{e}"))?)),
            None => (text, None),
        };
        Ok(Trusted::Pinned(Pin { owner: owner.parse().map_err(|e| format!("{e}"))?, below }))
    }
}

impl FromIterator<Trusted> for Policy {
    /// All of them together; certified owners if there are none.
    fn from_iter<T: IntoIterator<Item = Trusted>>(trusted: T) -> Self {
        let mut policy = Policy::default();
        for one in trusted {
            match one {
                Trusted::Certified => policy.certified = true,
                Trusted::Anyone => policy.anyone = true,
                Trusted::Pinned(pin) => policy.pins.push(pin),
            }
        }
        policy.certified |= !policy.anyone && policy.pins.is_empty();
        policy
    }
}

impl Policy {
    /// Whether certificates matter.
    pub fn asks_certificates(&self) -> bool {
        self.certified && !self.anyone
    }

    /// The place of an owner among the pinned ones that are so for this name.
    fn pin(&self, name: &DomainName, owner: &OwnerPublic) -> Option<usize> {
        let covers = |pin: &Pin| pin.below.as_ref().is_none_or(|below| name.is_within(below));
        self.pins.iter().position(|pin| pin.owner == *owner && covers(pin))
    }
}

/// An owner's record under a name.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The record.
    pub hash: Hash,
    /// Whose it is.
    pub owner: OwnerPublic,
    /// Its ordinal: a type's number.
    pub ordinal: u64,
    /// Its value, if it can be read.
    pub value: Option<Vec<u8>>,
    /// What the node thinks of it, 0 to 1.
    pub trust: f64,
    /// How much work lies on it.
    pub weight: u128,
    /// Whether its owner has a current certificate.
    pub certified: bool,
}

/// A record that is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// The record.
    pub hash: Hash,
    /// Whose it is.
    pub owner: OwnerPublic,
    /// Its ordinal.
    pub ordinal: u64,
    /// Why, one line.
    pub reason: String,
}

/// Chooses whose records of a name are served, and says what is not and why.
pub fn choose(policy: &Policy, name: &DomainName, candidates: &[Candidate]) -> (NameRecords, Vec<Passed>) {
    // The best of each trusted owner's records: pins first, then the node's trust, then weight; the hash makes it one.
    let mut owners: HashMap<OwnerPublic, _> = HashMap::new();
    for candidate in candidates {
        let pin = policy.pin(name, &candidate.owner);
        if pin.is_none() && !policy.anyone && !(policy.certified && candidate.certified) {
            continue;
        }
        let trust = (candidate.trust.clamp(0.0, 1.0) * 1e9) as u64;
        let rank = (pin.unwrap_or(usize::MAX), Reverse(trust), Reverse(candidate.weight), candidate.hash);
        let best = owners.entry(candidate.owner).or_insert(rank);
        *best = rank.min(*best);
    }
    let winner = owners.iter().min_by_key(|(_, rank)| **rank).map(|(owner, _)| *owner);
    let (mut records, mut passed) = (NameRecords::default(), Vec::new());
    for candidate in candidates {
        let Candidate { hash, owner, ordinal, .. } = *candidate;
        let mut pass = |reason: String| {
            let reason = reason.chars().take(REASON_CHARS_MAX).collect();
            passed.push(Passed { hash, owner, ordinal, reason });
        };
        if !owners.contains_key(&candidate.owner) {
            pass(match (policy.certified, policy.pins.is_empty()) {
                (true, true) => "its owner has no current certificate".to_owned(),
                (true, false) => {
                    "its owner has no current certificate and is not pinned for this name".to_owned()
                }
                _ => "its owner is not pinned for this name".to_owned(),
            });
        } else if Some(candidate.owner) != winner {
            let other = winner.map_or_else(String::new, |winner| winner.to_string());
            pass(format!("the name is {other}'s"));
        } else if let Err(reason) = add(&mut records, candidate) {
            pass(reason);
        }
    }
    (records, passed)
}

fn add(records: &mut NameRecords, candidate: &Candidate) -> Result<(), String> {
    let value = candidate.value.as_deref().ok_or("its value cannot be unmasked")?;
    if candidate.ordinal == 0 {
        records.marked |= !value.is_empty();
        return Ok(());
    }
    let ty = TYPES.into_iter().find(|ty| u64::from(u16::from(*ty)) == candidate.ordinal);
    let ty = ty.ok_or_else(|| format!("type {} is not served", candidate.ordinal))?;
    if let Some(set) = RrSet::from_value(ty, value).map_err(|e| e.to_string())? {
        records.sets.entry(u16::from(ty)).or_insert(set);
    }
    Ok(())
}

/// An ordinal as people know it: the type's name.
pub fn ordinal_name(ordinal: u64) -> String {
    u16::try_from(ordinal).map_or_else(|_| ordinal.to_string(), |number| RecordType::from(number).to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn owner(n: u8) -> OwnerPublic {
        lf_proto::owner::OwnerSecret::generate(lf_proto::owner::OwnerType::Ed25519, &mut |bytes| {
            bytes.fill(n);
        })
        .public()
        .to_owned()
    }

    fn candidate(n: u8, ordinal: u64, value: &str, trust: f64, certified: bool) -> Candidate {
        let value = Some(value.as_bytes().to_vec());
        let hash = Hash([n.wrapping_add(ordinal as u8); 32]);
        Candidate { hash, owner: owner(n), ordinal, value, trust, weight: 5, certified }
    }

    fn policy(parts: &[&str]) -> Policy {
        parts.iter().map(|part| part.parse::<Trusted>().unwrap()).collect()
    }

    fn served(policy: &Policy, candidates: &[Candidate]) -> String {
        let (records, _) = choose(policy, &"www.example.lf".parse().unwrap(), candidates);
        records
            .sets
            .iter()
            .map(|(ty, set)| format!("{ty} {}", set.to_value().trim()))
            .collect::<Vec<_>>()
            .join(";")
    }

    #[test]
    fn certified_owners_by_default() {
        assert_eq!(policy(&[]), policy(&["certified"]));
        let squatted = [
            candidate(1, 1, "5 192.0.2.66", 1.0, false),
            candidate(2, 1, "5 192.0.2.1", 0.0, true),
            candidate(3, 16, "5 later", 0.0, false),
        ];
        assert_eq!(served(&policy(&[]), &squatted), "1 5 192.0.2.1");
        assert_eq!(served(&policy(&["anyone"]), &squatted), "1 5 192.0.2.66");
        let (_, passed) = choose(&policy(&[]), &"www.example.lf".parse().unwrap(), &squatted);
        assert_eq!(passed.len(), 2);
        assert_eq!(
            (passed[0].owner, passed[0].reason.as_str()),
            (owner(1), "its owner has no current certificate")
        );
    }

    #[test]
    fn a_name_has_one_owner() {
        let two = [
            candidate(1, 1, "5 192.0.2.1", 1.0, true),
            candidate(1, 28, "5 2001:db8::1", 0.5, true),
            candidate(2, 15, "5 1 mx.evil", 0.9, true),
            candidate(2, 28, "5 2001:db8::66", 0.9, true),
        ];
        assert_eq!(served(&policy(&[]), &two), "1 5 192.0.2.1;28 5 2001:db8::1");
        // Pinned owners come first, in the order in which they are pinned, for the names they are pinned for.
        let pin = |n, below: &str| format!("{}{below}", owner(n));
        assert_eq!(served(&policy(&["certified", &pin(2, "")]), &two), "15 5 1 mx.evil.;28 5 2001:db8::66");
        assert_eq!(served(&policy(&[&pin(2, "/other.lf")]), &two), "");
        assert_eq!(
            served(&policy(&[&pin(1, "/www.example.lf"), &pin(2, "")]), &two),
            served(&policy(&[]), &two)
        );
    }

    #[test]
    fn what_cannot_be_served_is_told() {
        let mut odd = vec![
            candidate(1, 1, "nonsense", 1.0, true),
            candidate(1, 2, "5 ns.example.lf", 1.0, true),
            candidate(1, 28, "", 1.0, true),
            candidate(1, 0, "exists", 1.0, true),
            candidate(1, 16, "5 x", 1.0, true),
        ];
        odd[4].value = None;
        let (records, passed) = choose(&policy(&[]), &"www.example.lf".parse().unwrap(), &odd);
        assert!(records.sets.is_empty() && records.marked && records.exists());
        let reasons: Vec<_> = passed.iter().map(|passed| passed.reason.as_str()).collect();
        assert_eq!(
            reasons,
            [
                "line 1: it does not begin with a TTL in seconds",
                "type 2 is not served",
                "its value cannot be unmasked"
            ]
        );
        assert_eq!((ordinal_name(28), ordinal_name(1 << 40)), ("AAAA".to_owned(), (1_u64 << 40).to_string()));
    }

    #[test]
    fn what_is_no_trust() {
        for bad in ["", "nobody", "@", "@x!", &format!("{}/a..b", owner(1))] {
            assert!(bad.parse::<Trusted>().is_err(), "{bad}");
        }
    }
}
