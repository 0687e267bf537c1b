//! What the node tells of its peers, and takes about them.

use serde::{Deserialize, Serialize};

use crate::json::nullable;

/// The answer of `/v1/peers`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PeerList {
    /// Addresses of peers, as multiaddrs: `/ip4/192.0.2.1/tcp/9908/p2p/12D3Koo…`.
    #[serde(deserialize_with = "nullable")]
    pub peers: Vec<String>,
}

/// The answer of `/v1/peers/status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PeersStatus {
    /// Connected peers, the oldest connection first.
    #[serde(deserialize_with = "nullable")]
    pub peers: Vec<PeerStatus>,
    /// Who is banned.
    #[serde(deserialize_with = "nullable")]
    pub bans: Vec<PeerBan>,
    /// Addresses the node listens on for peers.
    #[serde(deserialize_with = "nullable")]
    pub listens: Vec<String>,
    /// Peers whose addresses are known.
    pub known_peers: u64,
}

/// A connected peer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PeerStatus {
    /// Its public key: `@` and base62.
    pub peer: String,
    /// The other end of its connection.
    pub address: String,
    /// Whether this node made the connection.
    pub outbound: bool,
    /// The program it says it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// How long the last ping took, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_trip_micros: Option<u64>,
    /// How long it has been connected.
    pub connected_seconds: u64,
    /// `new`, `syncing` or `synced`: where its records stand against this node's.
    pub state: String,
    /// Linked records it said it has.
    pub records: u64,
    /// Good conduct adds, bad conduct takes away.
    pub score: i32,
    /// Bytes received from it.
    pub received_bytes: u64,
    /// Bytes sent to it.
    pub sent_bytes: u64,
}

/// A ban.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PeerBan {
    /// A peer (`@` and base62) or an IP address.
    pub peer: String,
    /// When it ends, seconds since 1970.
    pub until: u64,
    /// Why.
    pub reason: String,
}

/// What `/v1/peers/ban` and `/v1/peers/unban` take.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BanRequest {
    /// A peer (`@` and base62, or its libp2p name) or an IP address.
    pub peer: String,
    /// For how long; a day by default. Not for `/v1/peers/unban`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<u64>,
}
