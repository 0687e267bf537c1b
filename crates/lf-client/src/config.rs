//! `client.json` (API.md §3): URLs, oracles and owners with their private keys.
//!
//! Members this version does not know are kept. Files are replaced as a whole, never written in place, and are
//! readable by their user alone.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use lf_proto::blob::Blob;
use lf_proto::owner::{OwnerPublic, OwnerSecret};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// A larger client.json is refused.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Where a client finds its node unless told otherwise.
const URL_DEFAULT: &str = "http://127.0.0.1:9980";

/// Why client.json cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Reading or writing failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{}: {problem}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Written by a later version, whose meaning is not known here.
    #[error(
        "{} has format {format}, and this lf knows only {FORMAT}; use the lf that wrote it, or a newer one",
        path.display()
    )]
    Later {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u64,
    },
}

/// The latest format that is known here. A file says its own as `Format` only if it is another: what is merely added stays
/// as it is in every version.
const FORMAT: u64 = 1;

/// One owner of the file.
#[derive(Clone)]
pub struct OwnerEntry {
    /// The owner.
    pub public: OwnerPublic,
    /// Private bytes (PROTOCOL.md §4), parsed only when needed.
    private: Zeroizing<Vec<u8>>,
    /// Whether records are this owner's if nothing else is said.
    pub default: bool,
    unknown: Map<String, Value>,
}

impl OwnerEntry {
    /// An entry for a key.
    pub fn new(secret: &OwnerSecret, default: bool) -> Self {
        OwnerEntry { public: *secret.public(), private: secret.to_bytes(), default, unknown: Map::new() }
    }

    /// The private key.
    ///
    /// # Errors
    /// The file's bytes are no private key, or one of another owner.
    pub fn secret(&self) -> Result<OwnerSecret, String> {
        let secret = OwnerSecret::from_bytes(&self.private).map_err(|e| e.to_string())?;
        if *secret.public() != self.public {
            return Err(format!("private key is that of {}, not of {}", secret.public(), self.public));
        }
        Ok(secret)
    }
}

impl std::fmt::Debug for OwnerEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnerEntry").field("public", &self.public).finish_non_exhaustive()
    }
}

/// The file's contents.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Node URLs, first to try first.
    pub urls: Vec<String>,
    /// Trusted oracles.
    pub oracles: Vec<OwnerPublic>,
    /// Names for some of them.
    pub oracle_names: BTreeMap<String, OwnerPublic>,
    /// Owners by name.
    pub owners: BTreeMap<String, OwnerEntry>,
    /// Whether the file had owners, if only an empty list.
    owners_known: bool,
    unknown: Map<String, Value>,
}

impl Config {
    /// What is used where there is no file yet: the local node's URL, no owners.
    pub fn initial() -> Self {
        Config { urls: vec![URL_DEFAULT.to_owned()], ..Config::default() }
    }

    /// Reads the file; None if there is none. An empty file is an empty configuration.
    ///
    /// # Errors
    /// It cannot be read, or is not client.json.
    pub fn read(path: &Path) -> Result<Option<Self>, ConfigError> {
        let io = |source| ConfigError::Io { action: "read", path: path.to_owned(), source };
        let format = |problem| ConfigError::Format { path: path.to_owned(), problem };
        let text = match fs::metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io(e)),
            Ok(meta) if meta.len() > FILE_BYTES_MAX => {
                return Err(format(format!("larger than {FILE_BYTES_MAX} bytes")));
            }
            Ok(_) => Zeroizing::new(fs::read(path).map_err(io)?),
        };
        if text.trim_ascii().is_empty() {
            return Ok(Some(Config { owners_known: true, ..Config::default() }));
        }
        let value: Value = serde_json::from_slice(&text).map_err(|e| format(e.to_string()))?;
        if let Some(format) = value.get("Format").and_then(Value::as_u64).filter(|format| *format > FORMAT) {
            return Err(ConfigError::Later { path: path.to_owned(), format });
        }
        Self::from_json(value).map(Some).map_err(format)
    }

    /// Reads the file, lets `change` change it, and replaces it if `change` succeeds. Another process that does the
    /// same waits meanwhile. The directory is made if it is missing.
    ///
    /// # Errors
    /// What [`read`](Self::read) or `change` say, or the file cannot be written.
    pub fn update<T, E: From<ConfigError>>(
        path: &Path,
        change: impl FnOnce(&mut Config) -> Result<T, E>,
    ) -> Result<T, E> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let io = |action, path: &Path, source| ConfigError::Io { action, path: path.to_owned(), source };
        // As a node would make it, whose home it may become.
        let made = lf_platform::private_directory().recursive(true).create(directory);
        made.map_err(|e| io("create", directory, e))?;
        let _lock = lf_platform::lock_directory(directory).map_err(|e| io("lock", directory, e))?;
        let mut config = Self::read(path)?.unwrap_or_else(Self::initial);
        let had_owners = !config.owners.is_empty();
        let result = change(&mut config)?;
        config.owners_known |= had_owners;
        write_private(path, config.to_text().as_bytes()).map_err(|e| io("write", path, e))?;
        Ok(result)
    }

    /// Whether no owner was ever made here: not even an empty list of them is known.
    pub fn is_fresh(&self) -> bool {
        self.owners.is_empty() && !self.owners_known
    }

    /// The default owner's name and entry.
    pub fn default_owner(&self) -> Option<(&str, &OwnerEntry)> {
        self.owners.iter().find(|(_, entry)| entry.default).map(|(name, entry)| (name.as_str(), entry))
    }

    /// The name of a trusted oracle, if it has one.
    pub fn oracle_name(&self, oracle: &OwnerPublic) -> Option<&str> {
        self.oracle_names.iter().find(|(_, named)| *named == oracle).map(|(name, _)| name.as_str())
    }

    /// Trusts an oracle, and calls it so if a name is given; what it was called before it is called no longer. Whether
    /// anything changed.
    ///
    /// # Errors
    /// Another oracle has the name.
    pub fn add_oracle(&mut self, oracle: OwnerPublic, name: Option<&str>) -> Result<bool, String> {
        let mut changed = false;
        if let Some(name) = name {
            match self.oracle_names.get(name) {
                Some(named) if *named == oracle => {}
                Some(other) => return Err(format!("the name {name} is that of oracle {other}")),
                None => {
                    self.oracle_names.retain(|_, named| *named != oracle);
                    self.oracle_names.insert(name.to_owned(), oracle);
                    changed = true;
                }
            }
        }
        if !self.oracles.contains(&oracle) {
            self.oracles.push(oracle);
            changed = true;
        }
        Ok(changed)
    }

    /// Trusts an oracle no longer, and forgets its name; whether it was trusted.
    pub fn delete_oracle(&mut self, oracle: &OwnerPublic) -> bool {
        let before = self.oracles.len();
        self.oracles.retain(|known| known != oracle);
        self.oracle_names.retain(|_, named| named != oracle);
        self.oracles.len() < before
    }

    /// Puts a URL first.
    pub fn put_url_first(&mut self, url: &str) {
        self.urls.retain(|known| known != url);
        self.urls.insert(0, url.to_owned());
    }

    fn from_json(value: Value) -> Result<Self, String> {
        let Value::Object(members) = value else { return Err("not a JSON object".to_owned()) };
        let mut config = Config::default();
        for (name, value) in members {
            match name.to_ascii_lowercase().as_str() {
                "urls" => config.urls = read("URLs", value)?,
                "oracles" => config.oracles = read("Oracles", value)?,
                "oraclenames" => config.oracle_names = read("OracleNames", value)?,
                "owners" => {
                    config.owners_known = !value.is_null();
                    let owners: BTreeMap<String, Map<String, Value>> = read("Owners", value)?;
                    for (name, members) in owners {
                        let entry = owner(members).map_err(|e| format!("owner {name:?}: {e}"))?;
                        config.owners.insert(name, entry);
                    }
                }
                _ => {
                    config.unknown.insert(name, value);
                }
            }
        }
        Ok(config)
    }

    fn to_text(&self) -> Zeroizing<String> {
        let json = |value: &dyn erased::Json| value.to_text();
        let mut members = vec![
            ("URLs".to_owned(), json(&self.urls)),
            ("Oracles".to_owned(), json(&self.oracles)),
            ("Owners".to_owned(), if self.is_fresh() { json(&()) } else { self.owners_text() }),
        ];
        if !self.oracle_names.is_empty() {
            members.push(("OracleNames".to_owned(), json(&self.oracle_names)));
        }
        members.extend(self.unknown.iter().map(|(name, value)| (name.clone(), json(value))));
        object(&members, 0)
    }

    fn owners_text(&self) -> Zeroizing<String> {
        use erased::Json as _;
        let owners: Vec<_> = self
            .owners
            .iter()
            .map(|(name, entry)| {
                let private = Zeroizing::new(Blob(entry.private.to_vec()));
                let mut members = vec![
                    ("Public".to_owned(), entry.public.to_text()),
                    ("Private".to_owned(), private.to_text()),
                    ("Default".to_owned(), entry.default.to_text()),
                ];
                members.extend(entry.unknown.iter().map(|(name, value)| (name.clone(), value.to_text())));
                (name.clone(), object(&members, 2))
            })
            .collect();
        object(&owners, 1)
    }
}

/// JSON text of parts, in texts that are wiped: private keys are among them.
mod erased {
    use zeroize::Zeroizing;

    pub(super) trait Json {
        fn to_text(&self) -> Zeroizing<String>;
    }

    impl<T: serde::Serialize> Json for T {
        fn to_text(&self) -> Zeroizing<String> {
            Zeroizing::new(serde_json::to_string(self).unwrap_or_default())
        }
    }
}

/// A JSON object with its members in this order, one a line.
fn object(members: &[(String, Zeroizing<String>)], depth: usize) -> Zeroizing<String> {
    use erased::Json as _;
    let (inner, outer) = ("  ".repeat(depth + 1), "  ".repeat(depth));
    let length =
        members.iter().map(|(name, value)| name.len() * 2 + value.len() + inner.len() + 8).sum::<usize>();
    let mut text = Zeroizing::new(String::with_capacity(length + outer.len() + 4));
    text.push('{');
    for (i, (name, value)) in members.iter().enumerate() {
        text.push_str(if i == 0 { "\n" } else { ",\n" });
        text.push_str(&inner);
        text.push_str(&name.to_text());
        text.push_str(": ");
        text.push_str(value);
    }
    if !members.is_empty() {
        text.push('\n');
        text.push_str(&outer);
    }
    text.push('}');
    if depth == 0 {
        text.push('\n');
    }
    text
}

fn read<T: serde::de::DeserializeOwned + Default>(name: &str, value: Value) -> Result<T, String> {
    serde_json::from_value::<Option<T>>(value)
        .map(Option::unwrap_or_default)
        .map_err(|e| format!("{name}: {e}"))
}

fn owner(members: Map<String, Value>) -> Result<OwnerEntry, String> {
    let (mut public, mut private, mut default, mut unknown) = (None, None, false, Map::new());
    for (name, value) in members {
        match name.to_ascii_lowercase().as_str() {
            "public" => public = serde_json::from_value(value).map_err(|e| format!("Public: {e}"))?,
            "private" => private = Some(read::<Zeroizing<Blob>>("Private", value)?),
            "default" => default = read("Default", value)?,
            _ => {
                unknown.insert(name, value);
            }
        }
    }
    let public = public.ok_or("no Public")?;
    let private = Zeroizing::new(private.ok_or("no Private")?.0.clone());
    Ok(OwnerEntry { public, private, default, unknown })
}

/// Replaces a file by one that only its user can read, all of it or nothing.
///
/// # Errors
/// The file cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = write_new(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
        return written;
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => lf_platform::sync_directory(parent),
        _ => Ok(()),
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let mut file = lf_platform::private_file(&mut options).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use lf_proto::owner::OwnerType;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("client.json");
        fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn what_is_not_known_is_kept() {
        let secret = OwnerSecret::from_seed(OwnerType::P224, b"kept");
        let private = serde_json::to_string(&Blob(secret.to_bytes().to_vec())).unwrap();
        let (_dir, path) = file(&format!(
            r#"{{"urls": ["http://a"], "Oracles": null, "Owners": {{"o": {{"Public": "{}", "Private": {private},
            "Default": true, "Colour": [1]}}}}, "Later": {{"x": 1}}}}"#,
            secret.public()
        ));
        Config::update(&path, |config| {
            config.put_url_first("http://b");
            Ok::<_, ConfigError>(())
        })
        .unwrap();
        let value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(value["URLs"], serde_json::json!(["http://b", "http://a"]));
        assert_eq!(value["Later"]["x"], 1);
        assert_eq!(value["Owners"]["o"]["Colour"][0], 1);
        let config = Config::read(&path).unwrap().unwrap();
        let (name, entry) = config.default_owner().unwrap();
        assert_eq!((name, entry.secret().unwrap().public()), ("o", secret.public()));
    }

    #[test]
    fn one_of_a_later_format_is_refused_and_stays() {
        let text = r#"{"Format": 2, "URLs": {"not": "a list any more"}}"#;
        let (_dir, path) = file(text);
        let change = |_: &mut Config| Ok::<_, ConfigError>(());
        for error in [Config::read(&path).err().unwrap(), Config::update(&path, change).err().unwrap()] {
            let message = error.to_string();
            assert!(message.contains("has format 2") && message.contains("a newer one"), "{message}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        let (_dir, path) = file(r#"{"Format": 1, "URLs": ["http://a"]}"#);
        Config::update(&path, change).unwrap();
        assert_eq!(Config::read(&path).unwrap().unwrap().urls, ["http://a"]);
    }

    #[test]
    #[cfg(unix)]
    fn only_the_user_can_read_it_and_nothing_else_is_left() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, path) = file("{}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        Config::update(&path, |_| Ok::<_, ConfigError>(())).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

        let new = dir.path().join("new");
        Config::update(&new.join("client.json"), |_| Ok::<_, ConfigError>(())).unwrap();
        assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn deleting_the_last_owner_is_not_a_fresh_start() {
        let (_dir, path) = file(r#"{"URLs": [], "Owners": null}"#);
        let owner = OwnerEntry::new(&OwnerSecret::from_seed(OwnerType::P224, b"x"), true);
        let fresh = |config: &mut Config| Ok::<_, ConfigError>(config.is_fresh());
        assert!(Config::update(&path, fresh).unwrap());
        assert!(Config::update(&path, fresh).unwrap());
        Config::update(&path, |c| Ok::<_, ConfigError>(c.owners.insert("x".into(), owner))).unwrap();
        Config::update(&path, |c| Ok::<_, ConfigError>(c.owners.pop_last())).unwrap();
        assert!(!Config::update(&path, fresh).unwrap());
    }

    #[test]
    fn a_failed_change_changes_nothing() {
        let (_dir, path) = file("{}");
        let error = || ConfigError::Format { path: path.clone(), problem: "no".into() };
        assert!(Config::update(&path, |_| Err::<(), _>(error())).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}");
    }

    #[test]
    fn updates_of_several_threads_all_count() {
        let (_dir, path) = file("");
        std::thread::scope(|scope| {
            for i in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    Config::update(path, |config| {
                        config.urls.push(format!("http://{i}"));
                        Ok::<_, ConfigError>(())
                    })
                    .unwrap();
                });
            }
        });
        assert_eq!(Config::read(&path).unwrap().unwrap().urls.len(), 8);
    }

    #[test]
    fn damaged_files_say_where() {
        for (text, expected) in [
            ("{this is no JSON", "line 1"),
            ("[]", "not a JSON object"),
            (r#"{"URLs": [1]}"#, "URLs: "),
            (r#"{"Owners": {"o": {"Public": "@x", "Private": ""}}}"#, "owner \"o\": Public: "),
            (r#"{"Owners": {"o": {"Public": "@LqT2XCXvWaLkbOHpsvP"}}}"#, "no Private"),
        ] {
            let (_dir, path) = file(text);
            let error = Config::read(&path).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("client.json"), "{error}");
        }
        assert!(Config::read(Path::new("/nonexistent/client.json")).unwrap().is_none());
    }
}
