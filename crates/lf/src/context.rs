//! What every command has: the home directory, client.json, and clients made from it.

use std::path::{Path, PathBuf};

use lf_client::{Client, Config, OwnerEntry};
use lf_proto::owner::{OwnerPublic, OwnerSecret, OwnerType};

use crate::cli::Cli;
use crate::failure::{Failure, Result};
use crate::ui;

/// The global options, resolved.
pub(crate) struct Context {
    home: Option<PathBuf>,
    /// Whether output is JSON.
    pub(crate) json: bool,
}

impl Context {
    pub(crate) fn new(cli: &Cli) -> Self {
        Context { home: cli.path.clone().or_else(|| lf_platform::default_home("lf")), json: cli.json }
    }

    /// The home directory.
    pub(crate) fn home(&self) -> Result<&Path> {
        self.home.as_deref().ok_or_else(|| {
            Failure::new("no home directory: HOME is not set")
                .hint("say where: lf --path DIRECTORY …, or set LF_PATH")
        })
    }

    fn client_json(&self) -> Result<PathBuf> {
        Ok(self.home()?.join("client.json"))
    }

    /// client.json as it is, or what is used in its place.
    pub(crate) fn config(&self) -> Result<Config> {
        Ok(Config::read(&self.client_json()?)?.unwrap_or_else(Config::initial))
    }

    /// client.json with at least one owner if it is new: the first use makes one, named like the user.
    pub(crate) fn config_with_owner(&self) -> Result<Config> {
        let config = self.config()?;
        if !config.is_fresh() {
            return Ok(config);
        }
        let path = self.client_json()?;
        let secret = new_secret(OwnerType::Ed25519)?;
        let config = self.update(|config| {
            if config.is_fresh() {
                let entry = OwnerEntry::new(&secret, true);
                let name = user_name();
                ui::note(&format!("New owner {name} {} in {}", entry.public, path.display()));
                config.owners.insert(name, entry);
            }
            Ok(config.clone())
        })?;
        Ok(config)
    }

    /// Changes client.json.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Config) -> Result<T>) -> Result<T> {
        Config::update(&self.client_json()?, change)
    }

    /// A client for the URLs given, else for those of client.json.
    pub(crate) fn client(&self, urls: &[String]) -> Result<Client> {
        if urls.is_empty() { Ok(Client::new(self.config()?.urls)?) } else { Ok(Client::new(urls)?) }
    }

    /// The private key of an owner of client.json, or of its default owner.
    pub(crate) fn secret(&self, name: Option<&str>) -> Result<OwnerSecret> {
        let config = self.config_with_owner()?;
        let (name, entry) = match name {
            Some(name) => (name, find_owner(&config, name)?),
            None if config.owners.is_empty() => {
                return Err(Failure::new("there is no owner").hint("make one: lf owner new NAME"));
            }
            None => config.default_owner().ok_or_else(|| {
                Failure::new("there is no default owner")
                    .hint("choose one: lf owner default NAME (see lf owner list)")
            })?,
        };
        entry.secret().map_err(|e| Failure::new(format!("owner '{name}': {e}")))
    }
}

/// An owner of client.json by name or by its public form.
pub(crate) fn find_owner<'a>(config: &'a Config, name: &str) -> Result<&'a OwnerEntry> {
    let by_public = || {
        let public: OwnerPublic = name.parse().ok()?;
        config.owners.values().find(|entry| entry.public == public)
    };
    config.owners.get(name).or_else(by_public).ok_or_else(|| unknown_owner(name))
}

/// An oracle by its name in client.json or by its public form.
pub(crate) fn find_oracle(config: &Config, given: &str) -> Result<OwnerPublic> {
    let invalid = |problem: &str| Failure::new(format!("invalid oracle owner {given}: {problem}"));
    if given.starts_with('@') {
        return given.parse().map_err(|e: lf_proto::owner::OwnerError| invalid(&e.to_string()));
    }
    let named = config.oracle_names.get(given).copied();
    named.ok_or_else(|| invalid("no oracle has that name").hint("see lf oracle list"))
}

pub(crate) fn unknown_owner(name: &str) -> Failure {
    Failure::new(format!("an owner named '{name}' does not exist")).hint("see lf owner list")
}

/// A new private key from the system's random numbers.
pub(crate) fn new_secret(owner_type: OwnerType) -> Result<OwnerSecret> {
    let mut failed = false;
    let secret = OwnerSecret::generate(owner_type, &mut |bytes| failed |= getrandom::fill(bytes).is_err());
    if failed { Err(Failure::new("no random numbers from the system")) } else { Ok(secret) }
}

fn user_name() -> String {
    let variable = |name| std::env::var(name).ok().map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
    variable("USER")
        .or_else(|| variable("LOGNAME"))
        .or_else(|| variable("USERNAME"))
        .unwrap_or_else(|| if lf_platform::is_root() { "root".to_owned() } else { "default".to_owned() })
}
