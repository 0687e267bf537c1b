//! What is kept between runs: the account at each ACME server and the last certificate from it, in
//! `acme/SERVER/account.json` and `certificate.pem` of the home. Both hold private keys. A server whose directory has
//! another URL has another folder, so that a test server's certificate is never served for a real one's.

use std::path::{Path, PathBuf};

use instant_acme::AccountCredentials;
use tracing::warn;
use zeroize::Zeroizing;

use super::super::pem::Identity;
use super::super::{AcmeUrl, files};

/// The most of a URL that names a folder.
const NAME_CHARS_MAX: usize = 120;

/// One server's folder.
pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    pub(super) fn new(home: &Path, directory: &AcmeUrl) -> Self {
        Cache { folder: home.join("acme").join(folder_name(directory)) }
    }

    /// The account, if there is one.
    pub(super) fn account(&self) -> Option<AccountCredentials> {
        let path = self.account_path();
        let text = read_if_there(&path)?;
        serde_json::from_slice(&text)
            .inspect_err(|e| warn!(path = %path.display(), error = %e, "damaged: making a new ACME account"))
            .ok()
    }

    /// # Errors
    /// Why it cannot be written.
    pub(super) fn keep_account(&self, account: &AccountCredentials) -> Result<(), String> {
        let text = Zeroizing::new(serde_json::to_vec(account).map_err(|e| e.to_string())?);
        self.write(&self.account_path(), &[&text])
    }

    /// The server does not know it any more.
    pub(super) fn forget_account(&self) {
        let _ = std::fs::remove_file(self.account_path());
    }

    /// The certificate, if there is one.
    pub(super) fn certificate(&self) -> Option<Identity> {
        let path = self.certificate_path();
        let text = read_if_there(&path)?;
        Identity::parse(&text, &text)
            .inspect_err(
                |e| warn!(path = %path.display(), problem = ?e, "damaged: ordering another certificate"),
            )
            .ok()
    }

    /// # Errors
    /// Why it cannot be written.
    pub(super) fn keep_certificate(&self, chain: &str, key: &str) -> Result<(), String> {
        self.write(&self.certificate_path(), &[key.as_bytes(), chain.as_bytes()])
    }

    fn account_path(&self) -> PathBuf {
        self.folder.join("account.json")
    }

    fn certificate_path(&self) -> PathBuf {
        self.folder.join("certificate.pem")
    }

    /// Written aside and renamed, so that what is there is always whole.
    fn write(&self, path: &Path, parts: &[&[u8]]) -> Result<(), String> {
        let write = || {
            lf_platform::private_directory().recursive(true).create(&self.folder)?;
            lf_platform::replace(path, parts)
        };
        write().map_err(|e: std::io::Error| format!("cannot write {}: {e}", path.display()))
    }
}

fn read_if_there(path: &Path) -> Option<Zeroizing<Vec<u8>>> {
    if !path.exists() {
        return None;
    }
    files::read(path).inspect_err(|error| warn!(%error, "cannot use what was kept")).ok()
}

/// The URL as a file name: readable, and not the same for two URLs that anybody uses.
fn folder_name(directory: &AcmeUrl) -> String {
    let url = directory.as_str();
    let url = url.split_once("://").map_or(url, |(_, rest)| rest);
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' };
    // No name that means something else, as `..`.
    let name: String = url.chars().map(safe).take(NAME_CHARS_MAX).collect();
    name.trim_start_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn certificates_are_kept_from_others_and_by_server() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::new(home.path(), &"https://ca.example.org:14000/dir".parse().unwrap());
        assert!(cache.certificate().is_none() && cache.account().is_none());
        let made = rcgen::generate_simple_self_signed(["a.example.org".to_owned()]).unwrap();
        cache.keep_certificate(&made.cert.pem(), &made.signing_key.serialize_pem()).unwrap();
        assert!(cache.certificate().unwrap().covers(&"a.example.org".parse().unwrap()));
        let path = home.path().join("acme/ca.example.org_14000_dir/certificate.pem");
        for private in [&path, path.parent().unwrap()] {
            assert!(lf_platform::is_private(private).unwrap(), "{}", private.display());
        }
        assert!(Cache::new(home.path(), &AcmeUrl::default()).certificate().is_none());
        // Damaged ones are none, and give way to new ones.
        std::fs::write(&path, "junk").unwrap();
        assert!(cache.certificate().is_none());
        cache.keep_certificate(&made.cert.pem(), &made.signing_key.serialize_pem()).unwrap();
        assert!(cache.certificate().is_some());
        std::fs::write(path.with_file_name("account.json"), "junk").unwrap();
        assert!(cache.account().is_none());
    }

    #[test]
    fn folders_are_named_after_servers() {
        let name = |url: &str| folder_name(&url.parse().unwrap());
        assert_eq!(
            name("https://acme-v02.api.letsencrypt.org/directory"),
            "acme-v02.api.letsencrypt.org_directory"
        );
        assert_eq!(name("https://[::1]:1/../x?y"), "___1__1_.._x_y");
        assert_eq!(name(&format!("https://x/{}", "y".repeat(500))).len(), NAME_CHARS_MAX);
    }
}
