//! What certificates and CRLs do to the index (PROTOCOL.md §10, NODE.md §6): chains are verified once, when the last of
//! their links becomes linked, in whatever order they come.
//!
//! An authority is known by its serial number and its key. What is signed by an authority that is not known, or not yet,
//! waits for it, bounded: only who pays for records can fill the places.

use lf_proto::cert::{self, Certificate, Crl, Serial};
use lf_proto::record::{Record, RecordType};

use super::{Applier, IndexError};
use crate::certs::{AuthorityKey, CertificateRow, Revocation, WaitingRow};
use crate::rows::{Row, key};

/// Certificates and CRLs that wait for an authority, in all.
const WAITING_MAX: u64 = 1 << 16;
/// Of them, those that wait for one of this serial number: it costs the writer half a second when it comes.
const WAITING_FOR_ONE_MAX: usize = 1 << 10;

/// What a record holds.
enum Found {
    Certificate(Certificate),
    Crl(Crl),
}

impl Found {
    fn issuer(&self) -> Option<Serial> {
        match self {
            Found::Certificate(certificate) => certificate.issuer_serial(),
            Found::Crl(crl) => crl.issuer_serial(),
        }
    }
}

/// The certificates, or the CRL, of a record; nothing if it does not hold what its type says.
fn read(record: &Record) -> Vec<Found> {
    let Ok(plain) = cert::plain_value(record) else { return Vec::new() };
    match record.record_type() {
        RecordType::Certificate => {
            let all = Certificate::parse_all(&plain).unwrap_or_default();
            all.into_iter().map(Found::Certificate).collect()
        }
        RecordType::Crl => Crl::parse(&plain).into_iter().map(Found::Crl).collect(),
        _ => Vec::new(),
    }
}

impl Applier<'_> {
    /// Takes notice of the certificates or the CRL of a linked record.
    pub(super) fn index_certificates(&mut self, row: &Row, index: u32) -> Result<(), IndexError> {
        let Some(record) = (self.read_record)(row.position)? else { return Ok(()) };
        let mut authorities = Vec::new();
        for (place, found) in (0u8..).zip(read(&record)) {
            let Some(issuer) = found.issuer() else { continue };
            if !self.try_found(&found, index, &mut authorities)? {
                self.put_waiting(&issuer, index, place, row.position)?;
            }
        }
        self.wake_certificates(authorities)
    }

    /// Tries what waits for authorities that are new, and for those that become known by that.
    pub(super) fn wake_certificates(&mut self, mut authorities: Vec<Serial>) -> Result<(), IndexError> {
        while let Some(authority) = authorities.pop() {
            for (waiting_key, value) in self.txn.prefix(&key::certificates_waiting_for(&authority))? {
                let waiting = WaitingRow::decode(&waiting_key, &value)?;
                let found = (self.read_record)(waiting.position)?
                    .and_then(|record| read(&record).into_iter().nth(usize::from(waiting.place)));
                // One that is damaged on disk waits for nothing any more.
                let done = match found {
                    Some(found) => self.try_found(&found, waiting.index, &mut authorities)?,
                    None => true,
                };
                if done {
                    self.txn.remove(waiting_key);
                    self.meta.certificates_waiting = self.meta.certificates_waiting.saturating_sub(1);
                }
            }
        }
        Ok(())
    }

    fn put_waiting(
        &mut self,
        issuer: &Serial,
        index: u32,
        place: u8,
        position: u64,
    ) -> Result<(), IndexError> {
        let full = self.meta.certificates_waiting >= WAITING_MAX
            || self.txn.prefix(&key::certificates_waiting_for(issuer))?.len() >= WAITING_FOR_ONE_MAX;
        if !full {
            self.txn.put(key::certificate_waiting(issuer, index, place), position.to_be_bytes().to_vec());
            self.meta.certificates_waiting += 1;
        }
        Ok(())
    }

    /// Whether an authority that is known issued what was found; then that is indexed. An authority that is new by that
    /// is added to `authorities`.
    fn try_found(
        &mut self,
        found: &Found,
        index: u32,
        authorities: &mut Vec<Serial>,
    ) -> Result<bool, IndexError> {
        match found {
            Found::Certificate(certificate) => self.try_certificate(certificate, index, authorities),
            Found::Crl(crl) => self.try_crl(crl, index),
        }
    }

    fn try_certificate(
        &mut self,
        certificate: &Certificate,
        index: u32,
        authorities: &mut Vec<Serial>,
    ) -> Result<bool, IndexError> {
        let Some(issuer) = certificate.issuer_serial() else { return Ok(true) };
        // An authority's is looked for among roots only: chains have one intermediate at most.
        let candidates = self.authorities(&issuer, !certificate.is_authority())?;
        let issued = |authority: &Certificate| {
            authority.der() != certificate.der() && authority.issued(certificate).is_ok()
        };
        let Some(issuer_key) = candidates.iter().find(|c| issued(c)).and_then(Certificate::key_owner) else {
            return Ok(false);
        };
        let subject =
            if certificate.is_authority() { certificate.key_owner() } else { certificate.subject_owner() };
        // Issued, but for nobody who could use it.
        let Some(subject) = subject else { return Ok(true) };
        let fingerprint = certificate.fingerprint();
        let owner_key = key::owner_certificate(&subject, &fingerprint);
        if self.txn.get(&owner_key)?.is_some() {
            return Ok(true);
        }
        let row = CertificateRow {
            serial: certificate.serial(),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            issuer: AuthorityKey { serial: issuer, owner: issuer_key },
            subject,
            authority: certificate.is_authority(),
            index: Some(index),
            der: certificate.der().to_vec(),
        };
        let encoded = row.encode();
        self.txn.put(key::certificate_issued(&issuer, index, &fingerprint), owner_key.clone());
        if row.authority {
            self.txn.put(key::authority(&row.serial, &fingerprint), encoded.clone());
            authorities.push(row.serial);
        }
        self.txn.put(owner_key, encoded);
        Ok(true)
    }

    fn try_crl(&mut self, crl: &Crl, index: u32) -> Result<bool, IndexError> {
        let Some(issuer) = crl.issuer_serial() else { return Ok(true) };
        let candidates = self.authorities(&issuer, true)?;
        let issued = candidates.iter().find(|authority| authority.issued_crl(crl).is_ok());
        let Some(owner) = issued.and_then(Certificate::key_owner) else { return Ok(false) };
        let issuer = AuthorityKey { serial: issuer, owner };
        for entry in crl.entries() {
            let revocation_key = key::revocation(&issuer, &entry.serial);
            let said = Revocation { time: Some(entry.date), reason: entry.reason, index: Some(index) };
            let known = self.txn.get(&revocation_key)?.map(|v| Revocation::decode(&v)).transpose()?;
            let together = known.map_or(said, |known| known.and(said));
            if known != Some(together) {
                self.txn.put(revocation_key, together.encode());
            }
        }
        Ok(true)
    }

    /// Known authorities of a serial number: roots, and intermediates if those can be meant.
    fn authorities(&self, serial: &Serial, intermediates: bool) -> Result<Vec<Certificate>, IndexError> {
        let roots = self.network.roots.iter().map(|root| &root.certificate);
        let mut found: Vec<Certificate> = roots.filter(|root| root.serial() == *serial).cloned().collect();
        if intermediates {
            for (_, value) in self.txn.prefix(&key::authorities_of(serial))? {
                let row = CertificateRow::decode(&value)?;
                found.extend(Certificate::parse(&row.der).ok());
            }
        }
        Ok(found)
    }
}
