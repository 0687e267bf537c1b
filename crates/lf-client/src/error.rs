//! What can go wrong between a client and its nodes.

use lf_proto::owner::OwnerPublic;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no URL to ask.
    #[error("no node URL is configured")]
    NoUrls,
    /// A text that is no http or https URL.
    #[error("invalid URL {url:?}: {problem}")]
    Url {
        /// The text.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No node answered. With several URLs this is about the last one.
    #[error("cannot reach {url}: {problem}")]
    Unreachable {
        /// The URL asked.
        url: String,
        /// What happened.
        problem: String,
    },
    /// A node refused.
    #[error("{url} refused: {message}{}", if name.is_empty() { String::new() } else { format!(" ({name})") })]
    Api {
        /// The node's URL.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The error's name, API.md §1; empty if the node gave none.
        name: String,
        /// The node's own words.
        message: String,
    },
    /// A node's answer is not what was asked for, or cannot be.
    #[error("{url} gave a wrong answer: {problem}")]
    Answer {
        /// The node's URL.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// A record cannot be made as asked.
    #[error(transparent)]
    Build(#[from] lf_proto::record::BuildError),
    /// An ordinal that a name cannot mask.
    #[error("ordinal {ordinal} cannot be used with this name")]
    Ordinal {
        /// The plain ordinal.
        ordinal: u64,
    },
    /// More selectors than a record can have, or none where one is needed.
    #[error("{0} selectors: a record has 1 to 15")]
    Selectors(usize),
    /// Writing and pulsing need one ordinal for each name.
    #[error("selector {0:?} stands for several ordinals; writing needs one")]
    OneOrdinal(String),
    /// A value that the network does not take.
    #[error("value of {bytes} bytes (as stored) is larger than this network's {bytes_max}")]
    ValueTooLarge {
        /// Its stored size.
        bytes: usize,
        /// The network's limit.
        bytes_max: u64,
    },
    /// The network wants a certificate that the owner does not have.
    #[error("this network requires a certificate, and {0} has none that is valid")]
    CertificateRequired(OwnerPublic),
    /// Work is needed and was not wanted.
    #[error("{0} has no certificate, so the record needs proof of work")]
    WorkNeeded(OwnerPublic),
    /// The work was stopped.
    #[error("stopped")]
    Cancelled,
    /// There is no record to pulse.
    #[error("{0} has no record with these selectors")]
    NothingToPulse(OwnerPublic),
    /// A record was made without a pulse token, or by other means.
    #[error("record {0} cannot be pulsed: it has no pulse token of this owner and these selectors")]
    NotPulsable(lf_proto::hash::Hash),
    /// A node did not take a pulse.
    #[error("the node did not accept the pulse")]
    PulseRefused,
    /// The old value cannot be read, so it cannot be written again.
    #[error("the record is older than pulses can renew, and its value cannot be unmasked to write it again")]
    CannotRenew,
    /// The operating system gave no random bytes.
    #[error("no random numbers from the system")]
    Random,
    /// A genesis that cannot be made.
    #[error(transparent)]
    Genesis(#[from] lf_proto::genesis::GenesisError),
}

impl ClientError {
    /// What the user could do about it, one line.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            ClientError::NoUrls => "add one: lf url add http://127.0.0.1:9980".to_owned(),
            // As rustls says it.
            ClientError::Unreachable { problem, .. } if problem.contains("invalid peer certificate") => {
                "is it the right host? SSL_CERT_FILE=FILE trusts the certificate authority in a PEM file"
                    .to_owned()
            }
            ClientError::Unreachable { url, .. } if is_local(url) => {
                "is a node running here? start one: lf node start".to_owned()
            }
            ClientError::Unreachable { .. } => {
                "check the URL (lf url list), or run a node of your own: lf node start".to_owned()
            }
            ClientError::CertificateRequired(_) => {
                "make a request (lf owner makecsr NAME) and give it to who runs the network".to_owned()
            }
            ClientError::WorkNeeded(_) => "leave out --nowork".to_owned(),
            ClientError::NothingToPulse(_) => "write it first: lf set SELECTOR… VALUE".to_owned(),
            ClientError::CannotRenew => "give the masking key: --mask KEY".to_owned(),
            ClientError::OneOrdinal(_) => "write it as name#ORDINAL".to_owned(),
            _ => return None,
        })
    }
}

fn is_local(url: &str) -> bool {
    ["http://127.", "http://localhost", "http://[::1]"].iter().any(|prefix| url.starts_with(prefix))
}
