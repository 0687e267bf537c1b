//! What the index knows of certificates: rows, chains, and what they say of an owner at a time (NODE.md §6).
//!
//! Signatures were verified when the rows were made. What is left to reading is what can change: whether a certificate,
//! or an authority above it, is revoked.

use lf_proto::cert::{Certificate, Reason, Serial};
use lf_proto::genesis::GenesisParameters;
use lf_proto::owner::OwnerPublic;

use crate::apply::IndexError;
use crate::rows::{Cursor, RowError, key};
use crate::txn::prefix_last;
use crate::view::View;

/// Certificates of one owner that are looked at. Only authorities can add to them.
const OWNER_CERTIFICATES_MAX: usize = 1_000;
/// Roots that are kept, of the genesis and all amendments together.
const ROOTS_MAX: usize = 256;

/// What certificates say of an owner at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certified {
    /// No certificate covers that time.
    No,
    /// A certificate that is not revoked covers it.
    Yes,
    /// Only revoked certificates cover it.
    Revoked,
}

/// A root authority that the genesis or an amendment has named.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    pub(crate) certificate: Certificate,
    /// Whether it is one of the network's now.
    pub(crate) current: bool,
}

/// Adds the roots that parameters name, and says anew of all which are the `current` parameters'.
pub(crate) fn add_roots(roots: &[Root], named: &GenesisParameters, current: &GenesisParameters) -> Vec<Root> {
    let read = |row: &[u8]| Certificate::parse_all(row).unwrap_or_default();
    let (now, revoked) = (read(&current.auth_certificates.0), read(&current.revoked_auth_certificates.0));
    let is_current = |certificate: &Certificate| {
        now.iter().any(|c| c.der() == certificate.der())
            && !revoked.iter().any(|c| c.serial() == certificate.serial())
    };
    let mut all: Vec<Certificate> = roots.iter().map(|root| root.certificate.clone()).collect();
    let named = read(&named.auth_certificates.0).into_iter().chain(read(&named.revoked_auth_certificates.0));
    for certificate in named {
        if all.len() < ROOTS_MAX && all.iter().all(|c| c.der() != certificate.der()) {
            all.push(certificate);
        }
    }
    all.into_iter().map(|certificate| Root { current: is_current(&certificate), certificate }).collect()
}

/// What an authority is known by: whatever its key has signed, under its serial number, is its.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AuthorityKey {
    pub(crate) serial: Serial,
    /// Its key, as an owner.
    pub(crate) owner: OwnerPublic,
}

impl AuthorityKey {
    fn of(certificate: &Certificate) -> Option<Self> {
        Some(AuthorityKey { serial: certificate.serial(), owner: certificate.key_owner()? })
    }
}

/// A certificate that an authority issued: `e` subject ‖ fingerprint, and for an authority's `a` serial ‖ fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateRow {
    pub(crate) serial: Serial,
    pub(crate) not_before: u64,
    pub(crate) not_after: u64,
    pub(crate) issuer: AuthorityKey,
    /// The owner who is certified; of an authority, its key.
    pub(crate) subject: OwnerPublic,
    pub(crate) authority: bool,
    /// The record it came in; none for a root, which is in the genesis.
    pub(crate) index: Option<u32>,
    pub(crate) der: Vec<u8>,
}

impl CertificateRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160 + self.der.len());
        out.extend_from_slice(self.serial.as_bytes());
        out.extend_from_slice(&self.not_before.to_be_bytes());
        out.extend_from_slice(&self.not_after.to_be_bytes());
        out.extend_from_slice(self.issuer.serial.as_bytes());
        for owner in [&self.issuer.owner, &self.subject] {
            out.push(owner.as_bytes().len() as u8);
            out.extend_from_slice(owner.as_bytes());
        }
        out.push(u8::from(self.authority));
        out.extend_from_slice(&self.index.unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(&self.der);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let mut c = Cursor(bytes);
        let mut read = || {
            let serial = Serial::from_bytes(&c.array::<32>()?).ok()?;
            let not_before = c.u64()?;
            let not_after = c.u64()?;
            let issuer = Serial::from_bytes(&c.array::<32>()?).ok()?;
            let mut owner = || {
                let length = c.u8()? as usize;
                OwnerPublic::from_bytes(c.take(length)?).ok()
            };
            let (issuer_owner, subject) = (owner()?, owner()?);
            let authority = c.u8()? != 0;
            let index = c.u32().map(|index| (index != u32::MAX).then_some(index))?;
            let issuer = AuthorityKey { serial: issuer, owner: issuer_owner };
            let der = c.0.to_vec();
            Some(CertificateRow { serial, not_before, not_after, issuer, subject, authority, index, der })
        };
        read().ok_or(RowError('e'))
    }

    fn covers(&self, timestamp: u64) -> bool {
        (self.not_before..=self.not_after).contains(&timestamp)
    }
}

/// When and why a certificate was revoked, as far as its issuer said so: `v` issuer ‖ serial ‖ issuer's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// Seconds since 1970.
    pub time: Option<u64>,
    /// Why.
    pub reason: Option<Reason>,
    /// The first record linked here that said so, by index; none for a root that the network dropped.
    pub index: Option<u32>,
}

impl Revocation {
    /// What holds for a root that the network dropped, and all below it.
    const OF_ROOT: Revocation = Revocation { time: None, reason: None, index: None };

    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = self.time.unwrap_or(0).to_be_bytes().to_vec();
        out.push(self.reason.map_or(0xff, Reason::id));
        out.extend_from_slice(&self.index.unwrap_or(0).to_be_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let mut c = Cursor(bytes);
        match (c.u64(), c.u8(), c.u32()) {
            (Some(time), Some(reason), index @ Some(_)) => {
                Ok(Revocation { time: Some(time), reason: Reason::from_id(reason), index })
            }
            _ => Err(RowError('v')),
        }
    }
}

/// What waits for an authority: `x` issuer ‖ index ‖ place → log position.
pub(crate) struct WaitingRow {
    pub(crate) index: u32,
    /// Which of the certificates of its record.
    pub(crate) place: u8,
    pub(crate) position: u64,
}

impl WaitingRow {
    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Self, RowError> {
        let mut c = Cursor(key.get(33..).unwrap_or_default());
        match (c.u32(), c.u8(), Cursor(value).u64()) {
            (Some(index), Some(place), Some(position)) => Ok(WaitingRow { index, place, position }),
            _ => Err(RowError('x')),
        }
    }
}

/// A certificate whose chain is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCertificate {
    /// Its serial number.
    pub serial: Serial,
    /// Its issuer's.
    pub issuer: Serial,
    /// The owner it certifies; an authority's key.
    pub subject: OwnerPublic,
    /// The first second of its validity, since 1970.
    pub not_before: u64,
    /// The last second of its validity, since 1970.
    pub not_after: u64,
    /// Whether it is an authority's.
    pub authority: bool,
    /// The record it came in, by index; none for a root, which is in the genesis.
    pub index: Option<u32>,
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// Whether it, or an authority above it, is revoked.
    pub revoked: Option<Revocation>,
}

impl IssuedCertificate {
    /// Whether its validity covers a time.
    pub fn covers(&self, timestamp: u64) -> bool {
        (self.not_before..=self.not_after).contains(&timestamp)
    }
}

/// What a page of an authority's certificates holds, and after which index the next begins, if there is more.
pub type IssuedPage = (Vec<IssuedCertificate>, Option<u32>);

/// What certificates that cover a time say together.
pub fn certified_by(certificates: &[IssuedCertificate], timestamp: u64) -> Certified {
    let mut all = Certified::No;
    for certificate in certificates.iter().filter(|c| c.covers(timestamp)) {
        if certificate.revoked.is_none() {
            return Certified::Yes;
        }
        all = Certified::Revoked;
    }
    all
}

impl Revocation {
    /// What two statements say together: the earliest time, so that it does not depend on the order of arrival, and the
    /// record that came first.
    pub(crate) fn and(self, other: Revocation) -> Revocation {
        let key = |r: &Revocation| (r.time, r.reason.map_or(0xff, Reason::id));
        let earlier = if key(&other) < key(&self) { other } else { self };
        Revocation { index: self.index.min(other.index), ..earlier }
    }
}

impl View {
    /// Whether one authority certified both of two owners, so that `new` may be followed when `old` named it as its
    /// successor at `timestamp`, in the record with this index: `old`'s certificate covered that time and was not revoked
    /// before, `new`'s was not yet over then and is not revoked at all.
    ///
    /// # Errors
    /// The index failed.
    pub fn follows(
        &self,
        old: &OwnerPublic,
        new: &OwnerPublic,
        timestamp: u64,
        index: u32,
    ) -> Result<bool, IndexError> {
        let mut issuers = self.certificates_where(old, |row| !row.authority && row.covers(timestamp))?;
        issuers.retain(|c| c.revoked.is_none_or(|r| r.index.is_some_and(|revoked| revoked > index)));
        if issuers.is_empty() {
            return Ok(false);
        }
        let new = self.certificates_where(new, |row| !row.authority && row.not_after >= timestamp)?;
        let unrevoked = new.iter().filter(|c| c.revoked.is_none());
        Ok(unrevoked.map(|c| c.issuer).any(|issuer| issuers.iter().any(|c| c.issuer == issuer)))
    }

    /// What certificates say of an owner at a time, seconds since 1970. Cheap in a network without authorities.
    ///
    /// # Errors
    /// The index failed.
    pub fn certified(&self, owner: &OwnerPublic, timestamp: u64) -> Result<Certified, IndexError> {
        if self.roots().is_empty() {
            return Ok(Certified::No);
        }
        Ok(certified_by(&self.certificates_where(owner, |row| row.covers(timestamp))?, timestamp))
    }

    /// All certificates of an owner, also what an authority's own key counts as: certified by the authority itself.
    ///
    /// # Errors
    /// The index failed.
    pub fn certificates_of(&self, owner: &OwnerPublic) -> Result<Vec<IssuedCertificate>, IndexError> {
        self.certificates_where(owner, |_| true)
    }

    fn certificates_where(
        &self,
        owner: &OwnerPublic,
        wanted: impl Fn(&CertificateRow) -> bool,
    ) -> Result<Vec<IssuedCertificate>, IndexError> {
        let roots = self.roots();
        let mut found = Vec::new();
        if roots.is_empty() {
            return Ok(found);
        }
        for root in roots.iter().filter(|root| root.certificate.key_owner() == Some(*owner)) {
            let c = &root.certificate;
            let Some(issuer) = AuthorityKey::of(c) else { continue };
            let row = CertificateRow {
                serial: c.serial(),
                not_before: c.not_before(),
                not_after: c.not_after(),
                issuer,
                subject: *owner,
                authority: true,
                index: None,
                der: c.der().to_vec(),
            };
            if wanted(&row) {
                found.extend(self.judged(row)?);
            }
        }
        let prefix = key::certificates_of(owner);
        for pair in self.range(&prefix, &prefix_last(&prefix)).take(OWNER_CERTIFICATES_MAX) {
            let row = CertificateRow::decode(&pair?.1).map_err(|e| self.noted(e))?;
            if wanted(&row) {
                found.extend(self.judged(row)?);
            }
        }
        Ok(found)
    }

    /// A certificate with what is known of its revocation; `None` if no authority that is known issued it.
    fn judged(&self, row: CertificateRow) -> Result<Option<IssuedCertificate>, IndexError> {
        let Some(of_chain) = self.authority_revoked(&row.issuer, row.not_before, row.authority)? else {
            return Ok(None);
        };
        let revoked = self.revocation(&row.issuer, &row.serial)?.or(of_chain);
        let CertificateRow { serial, not_before, not_after, issuer, subject, authority, index, der } = row;
        let issuer = issuer.serial;
        Ok(Some(IssuedCertificate {
            serial,
            issuer,
            subject,
            not_before,
            not_after,
            authority,
            index,
            der,
            revoked,
        }))
    }

    fn revocation(&self, issuer: &AuthorityKey, serial: &Serial) -> Result<Option<Revocation>, IndexError> {
        self.decoded(&key::revocation(issuer, serial), Revocation::decode)
    }

    /// Whether an authority that was valid at `issued_at` is revoked, by whomever; the outer `None` if there was none.
    /// Of several the best counts.
    fn authority_revoked(
        &self,
        authority: &AuthorityKey,
        issued_at: u64,
        only_roots: bool,
    ) -> Result<Option<Option<Revocation>>, IndexError> {
        let mut found = None;
        for root in self.roots().iter() {
            let c = &root.certificate;
            if AuthorityKey::of(c) != Some(*authority)
                || !(c.not_before()..=c.not_after()).contains(&issued_at)
            {
                continue;
            }
            match self.revocation(authority, &authority.serial)? {
                None if root.current => return Ok(Some(None)),
                revoked => found = Some(Some(revoked.unwrap_or(Revocation::OF_ROOT))),
            }
        }
        if only_roots {
            return Ok(found);
        }
        let prefix = key::authorities_of(&authority.serial);
        for pair in self.range(&prefix, &prefix_last(&prefix)) {
            let row = CertificateRow::decode(&pair?.1).map_err(|e| self.noted(e))?;
            if row.subject != authority.owner || !row.covers(issued_at) {
                continue;
            }
            if let Some(intermediate) = self.judged(row)? {
                match intermediate.revoked {
                    None => return Ok(Some(None)),
                    revoked => found = Some(revoked),
                }
            }
        }
        Ok(found)
    }

    /// Up to about `count` certificates that an authority of this serial number issued, from records after index
    /// `after`, in the order in which those were linked here.
    ///
    /// # Errors
    /// The index failed.
    pub fn certificates_issued_by(
        &self,
        issuer: &Serial,
        after: Option<u32>,
        count: usize,
    ) -> Result<IssuedPage, IndexError> {
        let (mut found, mut last) = (Vec::new(), None);
        let Some(first) = after.map_or(Some(0), |after| after.checked_add(1)) else {
            return Ok((found, None));
        };
        let (first, end) = key::certificates_issued(issuer, first);
        for pair in self.range(&first, &end) {
            let (issued_key, owner_key) = pair?;
            let index = issued_key.get(33..37).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
            let index = index.ok_or_else(|| self.noted(RowError('g')))?;
            if index >= self.linked() {
                break;
            }
            if found.len() >= count && last != Some(index) {
                return Ok((found, last));
            }
            last = Some(index);
            let row = self.decoded(&owner_key, CertificateRow::decode)?;
            found.extend(self.judged(row.ok_or_else(|| self.noted(RowError('e')))?)?);
        }
        Ok((found, None))
    }
}
