//! A node in a directory of its own, and records for it.

use std::net::SocketAddr;

use lf_node::http::Limits;
use lf_node::{RunConfig, Running};
use lf_proto::hash::Hash;
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::record::{Record, RecordBuilder, RecordType};
use serde_json::Value;
use tempfile::TempDir;

use super::client::{Answer, request};

pub(crate) struct TestNode {
    pub(crate) running: Option<Running>,
    pub(crate) directory: TempDir,
    pub(crate) address: SocketAddr,
}

pub(crate) fn config(home: &std::path::Path) -> RunConfig {
    let mut config = RunConfig::new(home);
    config.local_test = true;
    config.http = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    config
}

pub(crate) fn node() -> TestNode {
    node_with(|_| {})
}

pub(crate) fn node_with(set: impl FnOnce(&mut Limits)) -> TestNode {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    set(&mut config.limits);
    let running = Running::start(&config).unwrap();
    let address = running.http_addr.unwrap();
    TestNode { running: Some(running), directory, address }
}

impl TestNode {
    pub(crate) fn get(&self, path: &str) -> Answer {
        request(self.address, "GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        request(self.address, "POST", path, &[], body.as_ref())
    }

    pub(crate) fn query(&self, json: &str) -> Value {
        self.post("/query", json).ok()
    }

    pub(crate) fn clock(&self) -> u64 {
        self.get("/status").ok()["Clock"].as_u64().unwrap()
    }

    pub(crate) fn links(&self) -> Vec<Hash> {
        self.get("/links").body.chunks(32).map(|h| Hash(h.try_into().unwrap())).collect()
    }

    /// A new record, not posted.
    pub(crate) fn record(&self, name: &str, ordinal: u64, value: &str, timestamp: u64) -> Record {
        record(&owner("someone"), name, ordinal, value, timestamp, &self.links())
    }

    /// Posts a new record.
    pub(crate) fn publish(&self, name: &str, ordinal: u64, value: &str) -> Record {
        let record = self.record(name, ordinal, value, self.clock());
        self.post("/post", record.as_bytes()).ok();
        record
    }
}

pub(crate) fn owner(seed: &str) -> OwnerSecret {
    OwnerSecret::from_seed(OwnerType::Ed25519, seed.as_bytes())
}

pub(crate) fn record(
    owner: &OwnerSecret,
    name: &str,
    ordinal: u64,
    value: &str,
    timestamp: u64,
    links: &[Hash],
) -> Record {
    let builder = RecordBuilder {
        record_type: RecordType::Datum,
        value: value.as_bytes(),
        masking_key: None,
        selectors: &[(name.as_bytes(), ordinal)],
        links,
        timestamp,
        with_pulse_token: true,
    };
    builder.build(owner).unwrap().sign(owner, None)
}
