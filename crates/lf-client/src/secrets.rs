//! Random bytes from the operating system.

use crate::ClientError;

/// Fills a buffer, or says that the system cannot.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], ClientError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| ClientError::Random)?;
    Ok(bytes)
}
