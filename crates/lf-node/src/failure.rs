//! What went wrong with a request, as the API tells it: HTTP status, error name, one line.

use lf_proto::record::BuildError;
use lf_store::{IndexError, StoreError};

use crate::core::accept::Refusal;
use crate::core::query::QueryError;

/// A request that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The HTTP status: 4xx if the request was wrong, 5xx if we failed.
    pub status: u16,
    /// The error's name in the API, or empty.
    pub name: &'static str,
    /// One lower-case line.
    pub message: String,
}

impl Failure {
    /// The request was wrong.
    pub fn bad_request(name: &'static str, message: impl Into<String>) -> Self {
        Failure { status: 400, name, message: message.into() }
    }

    /// We failed: the disk or a bug.
    pub fn internal(message: impl Into<String>) -> Self {
        Failure { status: 500, name: "ErrIO", message: message.into() }
    }
}

impl From<Refusal> for Failure {
    fn from(e: Refusal) -> Self {
        Failure::bad_request(e.name(), format!("record refused: {e}"))
    }
}

impl From<QueryError> for Failure {
    fn from(e: QueryError) -> Self {
        match e {
            QueryError::Store(e) => e.into(),
            other => Failure::bad_request(other.name(), other.to_string()),
        }
    }
}

impl From<IndexError> for Failure {
    fn from(e: IndexError) -> Self {
        Failure::internal(e.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(e: StoreError) -> Self {
        let status = match e {
            StoreError::DiskFull { .. } => 507,
            StoreError::Closed => 503,
            _ => 500,
        };
        Failure { status, name: "ErrIO", message: e.to_string() }
    }
}

impl From<BuildError> for Failure {
    fn from(e: BuildError) -> Self {
        Failure::bad_request("ErrInvalidParameter", format!("record creation failed: {e}"))
    }
}
