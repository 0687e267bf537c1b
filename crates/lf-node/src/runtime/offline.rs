//! A home without a running node: what `lf db` works on.

use lf_store::StoreOptions;

use super::home::Home;
use super::{RunConfig, RunError};
use crate::store_options;

/// A node's home, locked, whose store no node has open.
#[derive(Debug)]
pub struct Offline {
    /// How to open the store.
    pub options: StoreOptions,
    _home: Home,
}

impl Offline {
    /// Locks the home of a node that is not running.
    ///
    /// # Errors
    /// There is no such home, or a node runs in it.
    pub fn open(config: &RunConfig) -> Result<Self, RunError> {
        let directory = config.directory();
        let store = directory.join("store");
        // Looking must not make anything: a mistyped path would become a home.
        std::fs::metadata(&store).map_err(|source| RunError::File { action: "open", path: store, source })?;
        let home = Home::open(&directory)?;
        let options = store_options(home.path(), home.genesis()?)?;
        Ok(Offline { options, _home: home })
    }
}
