//! What the commands about certificates have in common: subjects as people give them, files of authorities, random
//! numbers, and the network's own roots.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use lf_client::{Client, write_private};
use lf_proto::cert::{Authority, Certificate, CertificateError, DAYS_MAX, Serial, Subject};
use lf_proto::genesis::GenesisParameters;
use serde::Deserialize;

use crate::failure::{Failure, Result};
use crate::{interact, ui};

/// A larger file of certificates and keys is refused.
const FILE_BYTES_MAX: u64 = 1 << 18;
/// Authorities are valid from so many seconds ago on, since clocks differ.
pub(crate) const ROOT_BEFORE_SECS: u64 = 120;
/// Intermediates likewise, but not before their root.
pub(crate) const INTERMEDIATE_BEFORE_SECS: u64 = 60;

impl From<CertificateError> for Failure {
    fn from(error: CertificateError) -> Self {
        Failure::new(error.to_string())
    }
}

/// What a certificate says of whom it is for.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct SubjectArgs {
    /// Country, two letters
    #[arg(long, value_name = "CC")]
    country: Option<String>,
    /// Organization
    #[arg(long, value_name = "TEXT")]
    organization: Option<String>,
    /// Organizational unit
    #[arg(long, value_name = "TEXT")]
    unit: Option<String>,
    /// City or the like
    #[arg(long, value_name = "TEXT")]
    locality: Option<String>,
    /// State or province
    #[arg(long, value_name = "TEXT")]
    province: Option<String>,
    /// Street and number
    #[arg(long, value_name = "TEXT")]
    street: Option<String>,
    /// Postal code
    #[arg(long, value_name = "TEXT")]
    postal_code: Option<String>,
    /// The name people know it by
    #[arg(long, value_name = "NAME")]
    common_name: Option<String>,
    /// Only in files, for an authority that is made: for how many days; none means a hundred years.
    #[arg(skip)]
    days: Option<u32>,
    /// Only in files: where an authority's certificate is read from, instead of making one.
    #[arg(skip)]
    file: Option<PathBuf>,
}

impl SubjectArgs {
    /// The subject, if anything of it was given.
    pub(crate) fn given(&self) -> Option<Subject> {
        let parts = [
            &self.country,
            &self.organization,
            &self.unit,
            &self.locality,
            &self.province,
            &self.street,
            &self.postal_code,
            &self.common_name,
        ];
        let [country, organization, unit, locality, province, street, postal_code, common_name] =
            parts.map(|part| part.clone().unwrap_or_default());
        parts.iter().any(|part| part.is_some()).then_some(Subject {
            country,
            organization,
            unit,
            locality,
            province,
            street,
            postal_code,
            common_name,
        })
    }
}

/// Root authorities of a network that is being made.
#[derive(Debug, Default)]
pub(crate) struct NewRoots {
    /// All of them, in order.
    pub(crate) certificates: Vec<Certificate>,
    /// Those that were made here, whose keys are still to be kept.
    pub(crate) made: Vec<Authority>,
}

impl NewRoots {
    /// Makes one.
    pub(crate) fn make(&mut self, subject: &Subject, days: Option<u32>) -> Result<()> {
        let now = clock().saturating_sub(ROOT_BEFORE_SECS);
        let root = with_random(|random| Authority::new_root(subject, now, days, random))?;
        self.certificates.push(root.certificate().clone());
        self.made.push(root);
        Ok(())
    }

    /// Takes one that there is already.
    pub(crate) fn read(&mut self, path: &Path) -> Result<()> {
        self.certificates.push(read_root(path)?);
        Ok(())
    }

    /// Makes or takes what a file's table says.
    pub(crate) fn take(&mut self, table: &SubjectArgs) -> Result<()> {
        match (&table.file, table.given()) {
            (Some(path), None) => self.read(path),
            (None, Some(subject)) => {
                let days = table.days.map(|days| days_text(&days.to_string())).transpose();
                self.make(&subject, days.map_err(Failure::new)?.flatten())
            }
            _ => Err(Failure::new("a [[ca]] table needs either a file or a subject, such as common-name")),
        }
    }

    /// The certificates in a row, as genesis parameters hold them.
    pub(crate) fn row(&self) -> Vec<u8> {
        self.certificates.iter().flat_map(|root| root.der().to_vec()).collect()
    }
}

/// Reads the certificate of a root.
pub(crate) fn read_root(path: &Path) -> Result<Certificate> {
    let certificate = read_certificate(path)?;
    match certificate.issued(&certificate) {
        Ok(()) => Ok(certificate),
        Err(e) => Err(Failure::new(format!("{} is not a root authority's: {e}", path.display()))
            .hint("lf ca root makes one")),
    }
}

/// The questions about a subject, in the order they always had.
pub(crate) fn ask_subject() -> Result<Subject> {
    let ask = |question: &str| interact::ask(question, "");
    Ok(Subject {
        country: ask("  Country")?,
        organization: ask("  Organization")?,
        unit: ask("  Organizational unit")?,
        locality: ask("  Locality")?,
        province: ask("  Province")?,
        street: ask("  Street address")?,
        postal_code: ask("  Postal code")?,
        common_name: ask("  Common name")?,
    })
}

/// Reads a number of days; -1 means as long as possible.
pub(crate) fn days_text(text: &str) -> Result<Option<u32>, String> {
    match text.trim().parse::<i64>() {
        Ok(-1) => Ok(None),
        Ok(days) if (1..=i64::from(DAYS_MAX)).contains(&days) => Ok(u32::try_from(days).ok()),
        _ => Err(format!("must be days, 1 to {DAYS_MAX}, or -1 for as long as possible")),
    }
}

/// Days as an option of the command line, with a type of its own, since clap takes `Option` for "not given".
#[derive(Debug, Clone, Copy)]
pub(crate) struct Days(pub(crate) Option<u32>);

impl std::str::FromStr for Days {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        days_text(text).map(Days)
    }
}

/// Makes something with random numbers from the system.
pub(crate) fn with_random<T>(
    make: impl FnOnce(&mut dyn FnMut(&mut [u8])) -> Result<T, CertificateError>,
) -> Result<T> {
    let mut failed = false;
    let made = make(&mut |bytes| failed |= getrandom::fill(bytes).is_err());
    if failed { Err(Failure::new("no random numbers from the system")) } else { Ok(made?) }
}

/// Reads an authority's certificate and private key.
pub(crate) fn read_authority(path: &Path) -> Result<Authority> {
    let bytes = interact::read_input(path, FILE_BYTES_MAX)?;
    let no_authority = |problem: String| {
        Failure::new(format!("{} is no certificate and key of an authority: {problem}", path.display()))
            .hint("name a file that lf makegenesis or lf ca wrote")
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| no_authority("not text".to_owned()))?;
    Authority::from_pem(text).map_err(|e| no_authority(e.to_string()))
}

/// Reads a certificate, PEM or DER.
pub(crate) fn read_certificate(path: &Path) -> Result<Certificate> {
    let bytes = interact::read_input(path, FILE_BYTES_MAX)?;
    Certificate::parse_file(&bytes)
        .map_err(|e| Failure::new(format!("{} holds no certificate: {e}", path.display())))
}

/// The serial number that a word stands for: itself, or that of a file's certificate.
pub(crate) fn serial_of(word: &str) -> Result<Serial> {
    if Path::new(word).exists() {
        return Ok(read_certificate(Path::new(word))?.serial());
    }
    word.parse().map_err(|_| {
        Failure::new(format!("{word} is neither a file nor a serial number"))
            .hint("see lf genesis show for the serial numbers of a network's roots")
    })
}

/// Writes an authority's certificate and private key, readable for this user alone; never over another one.
pub(crate) fn write_authority(path: &Path, authority: &Authority) -> Result<()> {
    if path.exists() {
        return Err(Failure::new(format!("{} exists already", path.display()))
            .hint("move it away, or write elsewhere: --output FILE"));
    }
    write_private(path, authority.to_pem().as_bytes())
        .map_err(|e| Failure::new(format!("cannot write {}: {e}", path.display())))?;
    ui::note(&format!("{} written: keep it secret, it can issue certificates.", path.display()));
    Ok(())
}

/// Where an authority is written if nothing is said.
pub(crate) fn default_path(kind: &str, authority: &Authority) -> PathBuf {
    format!("{kind}-{}.pem", authority.certificate().serial()).into()
}

/// A network's roots.
#[derive(Debug, Default)]
pub(crate) struct Roots {
    /// Those that hold.
    pub(crate) current: Vec<Certificate>,
    /// Those that were revoked.
    pub(crate) revoked: Vec<Certificate>,
}

impl Roots {
    /// The roots that a network's parameters name. What cannot be read is none.
    pub(crate) fn of(parameters: &GenesisParameters) -> Self {
        let read = |row: &[u8]| Certificate::parse_all(row).unwrap_or_default();
        let revoked = read(&parameters.revoked_auth_certificates.0);
        let mut current = read(&parameters.auth_certificates.0);
        current.retain(|root| !revoked.contains(root));
        Roots { current, revoked }
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Certificate> {
        self.current.iter().chain(&self.revoked)
    }

    /// Refuses what the network's nodes would not recognize: an authority that is neither one of its roots nor
    /// issued by one.
    pub(crate) fn check(&self, authority: &Certificate) -> Result<()> {
        let is_root = self.current.contains(authority);
        if is_root || self.current.iter().any(|root| root.issued(authority).is_ok()) {
            return Ok(());
        }
        let serial = authority.serial();
        Err(if self.revoked.contains(authority) {
            Failure::new(format!("certificate {serial} is a root that this network has revoked"))
        } else if self.all().next().is_none() {
            Failure::new("this network has no certificate authorities")
                .hint("lf makegenesis makes networks that have; lf genesis amend --add-ca FILE adds one")
        } else {
            Failure::new(format!("certificate {serial} is no authority of this network"))
                .hint("see lf genesis show")
        })
    }
}

/// Refuses a network in which nobody could write.
pub(crate) fn check_required(parameters: &GenesisParameters) -> Result<()> {
    if parameters.auth_required && Roots::of(parameters).current.is_empty() {
        return Err(Failure::new(
            "where certificates are required and no authority is there, nobody can write",
        )
        .hint("add an authority, or leave out --auth-required true"));
    }
    Ok(())
}

/// A certificate's subject for people, or its serial number if it says nothing.
pub(crate) fn title(certificate: &Certificate) -> String {
    let text = certificate.subject_text();
    if text.is_empty() { certificate.serial().to_string() } else { text }
}

/// Who issued what: the roots, and the intermediates that a node knows.
pub(crate) fn issuer_title(client: &Client, roots: &Roots, issuer: Serial) -> String {
    if let Some(root) = roots.all().find(|root| root.serial() == issuer) {
        return title(root);
    }
    // A node that does not tell is no reason not to show the rest.
    let below = |root: &Certificate| client.issued_by(&root.serial()).unwrap_or_default();
    let found = roots.all().flat_map(below).find(|info| info.serial == issuer && !info.subject.is_empty());
    found.map_or_else(|| issuer.to_string(), |info| info.subject)
}

/// Seconds since 1970, for what is made without a node.
pub(crate) fn clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
