//! A home without a running node: what `lf db` works on, and what `lf node bootstrap` fills.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use lf_proto::genesis::Genesis;
use lf_store::StoreOptions;
use serde_json::json;
use tracing::warn;

use super::home::Home;
use super::{RunConfig, RunError};
use crate::{Node, NodeConfig, store_options};

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
        fs::metadata(&store).map_err(|source| RunError::File { action: "open", path: store, source })?;
        let home = Home::open(&directory)?;
        let options = store_options(home.path(), home.genesis()?)?;
        Ok(Offline { options, _home: home })
    }
}

/// A node that serves nobody and has no peers, in a home that is locked: it takes records in.
#[derive(Debug)]
pub struct OfflineNode {
    node: Node,
    home: Home,
    is_new: bool,
}

impl OfflineNode {
    /// Opens the node in its home, which becomes one of this network if it is new.
    ///
    /// # Errors
    /// The home is of another network (nothing in it is changed then), a node runs in it, or it cannot be used.
    pub fn join(config: &RunConfig, genesis: &Genesis) -> Result<Self, RunError> {
        let home = Home::open(&config.directory())?;
        let genesis_path = home.path().join("genesis.lf");
        let is_new = !genesis_path.exists() && !home.path().join("store").exists();
        if !is_new {
            let own = home.genesis()?;
            if own != *genesis {
                return Err(RunError::OtherNetwork {
                    path: home.path().to_owned(),
                    name: format!("{:?}", own.parameters().name),
                    id: own.parameters().id_text(),
                });
            }
        }
        if !genesis_path.exists() {
            write_whole(&genesis_path, &genesis.to_bytes())?;
        }
        let node_config = NodeConfig {
            home: home.path().to_owned(),
            genesis: genesis.clone(),
            local_test: config.local_test,
        };
        let (node, notes) = Node::open(node_config, |_| {})?;
        for note in notes {
            warn!("recovered: {note}");
        }
        Ok(OfflineNode { node, home, is_new })
    }

    /// The node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Whether the home was none before.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The directory that holds its files.
    pub fn directory(&self) -> &Path {
        self.home.path()
    }

    /// Keeps addresses of peers (multiaddrs that end in `/p2p/` and the peer's id) for the node to begin with, unless it
    /// has some already. Returns of how many peers.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep_peers(&self, addresses: &[String]) -> Result<usize, RunError> {
        let path = self.home.path().join("peers.json");
        let mut peers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for address in addresses {
            if let Some((_, id)) = address.rsplit_once("/p2p/") {
                peers.entry(id).or_default().push(address);
            }
        }
        if peers.is_empty() || path.exists() {
            return Ok(0);
        }
        let lines: Vec<_> = peers.values().map(|of_one| json!({ "Addresses": of_one })).collect();
        write_whole(&path, format!("{:#}\n", json!({ "Peers": lines })).as_bytes())?;
        Ok(peers.len())
    }

    /// Writes what is queued, closes the store, gives the home free.
    ///
    /// # Errors
    /// Something could not be written. Nothing acknowledged is lost.
    pub fn stop(self) -> Result<(), RunError> {
        Ok(self.node.stop()?)
    }
}

/// Writes a file that is there whole or not at all, whatever happens meanwhile.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let part = path.with_extension("part");
    let write = || {
        let mut file = File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().map_err(|source| RunError::File { action: "write", path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn peers_are_kept_where_there_are_none() {
        let directory = tempfile::tempdir().unwrap();
        let node = OfflineNode::join(&RunConfig::new(directory.path()), &crate::sol()).unwrap();
        let peers = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(node.keep_peers(&peers(&["/ip4/192.0.2.1/tcp/9908"])).unwrap(), 0, "of nobody");
        let known = [
            "/ip4/192.0.2.1/tcp/9908/p2p/A",
            "/ip4/192.0.2.2/tcp/9908/p2p/B",
            "/ip6/2001:db8::1/tcp/1/p2p/A",
        ];
        assert_eq!(node.keep_peers(&peers(&known)).unwrap(), 2);
        assert_eq!(node.keep_peers(&peers(&["/ip4/192.0.2.3/tcp/9908/p2p/C"])).unwrap(), 0);
        let kept = fs::read(directory.path().join("peers.json")).unwrap();
        let kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
        let lines = json!([{ "Addresses": [known[0], known[2]] }, { "Addresses": [known[1]] }]);
        assert_eq!(kept, json!({ "Peers": lines }));
        assert_eq!(fs::read(directory.path().join("genesis.lf")).unwrap(), crate::sol().to_bytes());
        node.stop().unwrap();
    }
}
