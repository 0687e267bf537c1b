//! The node's own secrets: the token that makes a client trusted, and the key that will name the node to its peers.

use std::io::ErrorKind;
use std::path::Path;

use lf_proto::base62;
use lf_proto::owner::{OwnerSecret, OwnerType};
use zeroize::Zeroizing;

use super::RunError;
use crate::http::AuthToken;

/// Shorter tokens could be guessed.
const TOKEN_CHARS_MIN: usize = 16;

/// Reads `authtoken.secret`, or makes it: 32 random bytes in base62.
pub(super) fn auth_token(home: &Path) -> Result<AuthToken, RunError> {
    let path = home.join("authtoken.secret");
    let text = read_or_make(&path, || {
        let mut bytes = Zeroizing::new([0; 32]);
        random(bytes.as_mut_slice())?;
        Ok(Zeroizing::new(base62::encode(bytes.as_slice()) + "\n"))
    })?;
    let text = Zeroizing::new(text.trim().to_owned());
    if text.len() < TOKEN_CHARS_MIN || !text.bytes().all(|b| b.is_ascii_graphic()) {
        let problem = format!("it does not hold a token of at least {TOKEN_CHARS_MIN} printable characters");
        return Err(RunError::Secret { path, problem });
    }
    Ok(AuthToken::new(text))
}

/// Who the node is.
pub(super) struct Identity {
    /// Its key as an owner, in whose name an oracle comments.
    pub(super) owner: OwnerSecret,
    /// Its Ed25519 secret key, which proves to peers who it is.
    pub(super) secret: Zeroizing<[u8; 32]>,
}

/// Reads `identity-secret.pem`, or makes it: an Ed25519 owner.
pub(super) fn identity(home: &Path) -> Result<Identity, RunError> {
    let path = home.join("identity-secret.pem");
    let text = read_or_make(&path, || {
        let mut failure = None;
        let secret = OwnerSecret::generate(OwnerType::Ed25519, &mut |bytes| {
            if let Err(e) = random(bytes) {
                failure = Some(e);
            }
        });
        failure.map_or_else(|| Ok(secret.to_pem()), Err)
    })?;
    let secret = OwnerSecret::from_pem(&text);
    let secret = secret.map_err(|e| RunError::Secret { path: path.clone(), problem: e.to_string() })?;
    // A type's byte, and for Ed25519 the secret key and the public one.
    let bytes = secret.to_bytes();
    let key = bytes.get(1..33).and_then(|key| key.try_into().ok()).map(Zeroizing::new);
    let key = key.filter(|_| secret.public().owner_type() == OwnerType::Ed25519);
    let key = key.ok_or_else(|| RunError::Secret { path, problem: "it is no Ed25519 key".to_owned() })?;
    Ok(Identity { owner: secret, secret: key })
}

fn random(bytes: &mut [u8]) -> Result<(), RunError> {
    getrandom::fill(bytes).map_err(|e| RunError::System {
        action: "get random bytes",
        source: std::io::Error::other(e.to_string()),
    })
}

fn read_or_make(
    path: &Path,
    make: impl FnOnce() -> Result<Zeroizing<String>, RunError>,
) -> Result<Zeroizing<String>, RunError> {
    let failed = |action| move |source| RunError::File { action, path: path.to_owned(), source };
    match std::fs::read_to_string(path) {
        Ok(text) => return Ok(Zeroizing::new(text)),
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(source) => return Err(failed("read")(source)),
    }
    let text = make()?;
    lf_platform::replace(path, &[text.as_bytes()]).map_err(failed("write"))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn secrets_are_made_once_and_kept_from_others() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path();
        auth_token(home).unwrap();
        let public = *identity(home).unwrap().owner.public();
        assert_eq!(public.as_bytes().len(), 32);
        let texts: Vec<String> = ["authtoken.secret", "identity-secret.pem"]
            .iter()
            .map(|name| {
                assert!(lf_platform::is_private(&home.join(name)).unwrap(), "{name}");
                std::fs::read_to_string(home.join(name)).unwrap()
            })
            .collect();
        assert!(base62::decode(texts[0].trim()).unwrap().len() == 32);
        auth_token(home).unwrap();
        assert_eq!(*identity(home).unwrap().owner.public(), public);
        assert_eq!(std::fs::read_to_string(home.join("authtoken.secret")).unwrap(), texts[0]);
        for (name, junk) in [("authtoken.secret", "short"), ("identity-secret.pem", "junk")] {
            std::fs::write(home.join(name), junk).unwrap();
        }
        assert!(matches!(auth_token(home), Err(RunError::Secret { .. })));
        assert!(matches!(identity(home), Err(RunError::Secret { .. })));
    }
}
