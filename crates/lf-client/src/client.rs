//! The API's operations, one method each.

use std::io::Read;

use lf_proto::api::{
    BanRequest, Explanation, Made, NodeStatus, OwnerStatus, Peer, PeerList, PeersStatus, Query, QueryResult,
    RecordJson,
};
use lf_proto::genesis::Genesis;
use lf_proto::hash::Hash;
use lf_proto::json;
use lf_proto::owner::OwnerPublic;
use lf_proto::pulse::{Pulse, PulseChains};
use lf_proto::record::{LINKS_MAX, Record};
use lf_proto::selector::SelectorNames;
use serde::de::DeserializeOwned;

use crate::http::{Request, Transport};
use crate::write::NetworkCache;
use crate::{ClientError, Url};

/// Chains of pulses that are kept, 8.2 KB each.
const PULSE_CHAINS_MAX: usize = 256;

/// Peers that are believed of one node.
const PEERS_MAX: usize = 1_000;
/// A longer address is none.
const PEER_BYTES_MAX: usize = 300;
/// Selector names that are kept, up to 256 KB each.
const NAMES_MAX: usize = 16;

/// A client of one or more nodes of a network. Several URLs are tried in order; the one that answered last comes
/// first from then on. Shared by reference between threads.
pub struct Client {
    pub(crate) transport: Transport,
    pub(crate) network: NetworkCache,
    /// Chains of pulses that are made again and again.
    pub(crate) chains: PulseChains,
    /// Names that are read and written again and again.
    pub(crate) names: SelectorNames,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("urls", &self.transport.urls()).finish_non_exhaustive()
    }
}

impl Client {
    /// A client for these URLs. Nothing is sent yet.
    ///
    /// # Errors
    /// No URL, or one that is none.
    pub fn new<T: AsRef<str>>(urls: impl IntoIterator<Item = T>) -> Result<Self, ClientError> {
        let urls = urls.into_iter().map(|url| url.as_ref().parse()).collect::<Result<Vec<Url>, _>>()?;
        Ok(Client {
            transport: Transport::new(urls)?,
            network: NetworkCache::default(),
            chains: PulseChains::new(PULSE_CHAINS_MAX),
            names: SelectorNames::new(NAMES_MAX),
        })
    }

    /// The URLs, in the order given.
    pub fn urls(&self) -> &[Url] {
        self.transport.urls()
    }

    fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.get_json_with_url(path).map(|(_, answer)| answer)
    }

    pub(crate) fn get_json_with_url<T: DeserializeOwned>(&self, path: &str) -> Result<(Url, T), ClientError> {
        let (url, body) = self.transport.ask(path, &Request::Get)?;
        let answer = parse(&url, &body)?;
        Ok((url, answer))
    }

    fn post_json<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<(Url, T), ClientError> {
        let request = Request::Post { content_type: "application/json", body };
        let (url, body) = self.transport.ask(path, &request)?;
        let answer = parse(&url, &body)?;
        Ok((url, answer))
    }

    /// The node's state.
    ///
    /// # Errors
    /// No answer, or none that makes sense.
    pub fn status(&self) -> Result<NodeStatus, ClientError> {
        self.get_json("/status")
    }

    /// [`status`](Self::status), and the URL of the node that answered.
    ///
    /// # Errors
    /// No answer, or none that makes sense.
    pub fn status_with_url(&self) -> Result<(Url, NodeStatus), ClientError> {
        let (url, body) = self.transport.ask("/status", &Request::Get)?;
        let status = parse(&url, &body)?;
        Ok((url, status))
    }

    /// What the node knows of an owner, and links for the owner's next record.
    ///
    /// # Errors
    /// No answer, or none that makes sense.
    pub fn owner_status(&self, owner: &OwnerPublic) -> Result<OwnerStatus, ClientError> {
        self.get_json(&format!("/owner/{owner}"))
    }

    /// Links for a new record: as many as the network wants, or `count`.
    ///
    /// # Errors
    /// No answer, or none that makes sense.
    pub fn links(&self, count: Option<usize>) -> Result<Vec<Hash>, ClientError> {
        let path = count.map_or_else(|| "/links".to_owned(), |count| format!("/links?count={count}"));
        let (url, body) = self.transport.ask(&path, &Request::Get)?;
        let (hashes, rest) = body.as_chunks::<32>();
        if !rest.is_empty() || hashes.len() > LINKS_MAX {
            return Err(wrong(&url, format!("{} bytes of links", body.len())));
        }
        Ok(hashes.iter().map(|hash| Hash(*hash)).collect())
    }

    /// A record by its hash; None if the node does not have it.
    ///
    /// # Errors
    /// No answer, or another record than asked for.
    pub fn record(&self, hash: &Hash) -> Result<Option<Record>, ClientError> {
        match self.transport.ask(&format!("/record/raw/{hash}"), &Request::Get) {
            Ok((url, body)) => {
                let record = Record::decode(&body).map_err(|e| wrong(&url, e.to_string()))?;
                if record.hash() != *hash {
                    return Err(wrong(&url, format!("record {} instead of {hash}", record.hash())));
                }
                Ok(Some(record))
            }
            Err(ClientError::Api { status: 404, .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Sends a query as it is. [`Client::find`] is the one that makes queries and checks their answers.
    ///
    /// # Errors
    /// No answer, a refused query, or an answer that makes no sense.
    pub fn query(&self, query: &Query) -> Result<(Url, Vec<Vec<QueryResult>>), ClientError> {
        let body = serde_json::to_vec(query).unwrap_or_default();
        // `null`, which the reference answers where nothing matches, is read as well.
        let (url, sets): (_, Option<_>) = self.post_json("/query", &body)?;
        Ok((url, sets.unwrap_or_default()))
    }

    /// The explanation of a query, as it is. [`Client::explain`] is the one that checks it.
    pub(crate) fn explanation(&self, query: &Query) -> Result<(Url, Explanation), ClientError> {
        let body = serde_json::to_vec(query).unwrap_or_default();
        self.post_json("/v1/explain", &body)
    }

    /// Posts a record. One that the node has already is a success.
    ///
    /// # Errors
    /// No answer, or the node's reason to refuse it.
    pub fn post(&self, record: &Record) -> Result<(), ClientError> {
        let request = Request::Post { content_type: "application/octet-stream", body: record.as_bytes() };
        let (url, body) = self.transport.ask("/post", &request)?;
        let stored: RecordJson = parse(&url, &body)?;
        match stored.to_record() {
            Ok(stored) if stored.hash() == record.hash() => Ok(()),
            _ => Err(wrong(&url, "it stored another record than was posted".to_owned())),
        }
    }

    /// Posts a pulse; whether the node accepted it as new.
    ///
    /// # Errors
    /// No answer, or none that makes sense.
    pub fn pulse(&self, pulse: &Pulse) -> Result<bool, ClientError> {
        let request = Request::Post { content_type: "application/octet-stream", body: &pulse.to_bytes() };
        let (url, body) = self.transport.ask("/pulse", &request)?;
        parse::<Made>(&url, &body).map(|made| made.accepted)
    }

    /// Asks the node to try a peer. Trusted clients only.
    ///
    /// # Errors
    /// No answer, or a node that does not trust us.
    pub fn connect(&self, peer: &Peer) -> Result<(), ClientError> {
        let body = serde_json::to_vec(peer).unwrap_or_default();
        let request = Request::Post { content_type: "application/json", body: &body };
        self.transport.ask("/connect", &request).map(drop)
    }

    /// Whom the node is connected to, and who is banned. Trusted clients only.
    ///
    /// # Errors
    /// No answer, or a node that does not trust us.
    pub fn peers_status(&self) -> Result<PeersStatus, ClientError> {
        self.get_json("/v1/peers/status")
    }

    /// Bans a peer or an IP address. Trusted clients only.
    ///
    /// # Errors
    /// No answer, a node that does not trust us, or one that has no peers.
    pub fn ban(&self, request: &BanRequest) -> Result<(), ClientError> {
        self.send("/v1/peers/ban", request)
    }

    /// Ends a ban. Trusted clients only.
    ///
    /// # Errors
    /// As [`ban`](Self::ban), and if there is no such ban.
    pub fn unban(&self, request: &BanRequest) -> Result<(), ClientError> {
        self.send("/v1/peers/unban", request)
    }

    fn send(&self, path: &str, request: &BanRequest) -> Result<(), ClientError> {
        let body = serde_json::to_vec(request).unwrap_or_default();
        let request = Request::Post { content_type: "application/json", body: &body };
        self.transport.ask(path, &request).map(drop)
    }

    /// The genesis of the node's network, checked.
    ///
    /// # Errors
    /// No answer, or no usable genesis.
    pub fn genesis(&self) -> Result<Genesis, ClientError> {
        let (url, body) = self.transport.ask("/v1/genesis", &Request::Get)?;
        Genesis::parse(&body).map_err(|e| wrong(&url, e.to_string()))
    }

    /// Addresses of peers that the node knows, as multiaddrs: what can be one, 1,000 at most.
    ///
    /// # Errors
    /// No answer, or none that makes sense.
    pub fn peers(&self) -> Result<Vec<String>, ClientError> {
        let PeerList { mut peers } = self.get_json("/v1/peers")?;
        peers.retain(|peer| may_be_peer(peer));
        peers.truncate(PEERS_MAX);
        Ok(peers)
    }

    /// All records of the node, links before linkers, to be read for as long as it takes. A connection that breaks is
    /// an error of the reader, never an early end. `after` leaves out what has come already: how many records, and the
    /// hash of the last; the node refuses with 404 if that is not how its own records begin.
    ///
    /// # Errors
    /// No answer.
    pub fn records(&self, after: Option<(u32, Hash)>) -> Result<impl Read + Send + use<>, ClientError> {
        let path = match after {
            None => "/dumprecords".to_owned(),
            Some((count, hash)) => format!("/v1/records?from={count}&after={hash}"),
        };
        Ok(self.transport.stream(&path, &Request::Get, &[])?.1)
    }
}

fn parse<T: DeserializeOwned>(url: &Url, body: &[u8]) -> Result<T, ClientError> {
    json::from_slice(body).map_err(|e| wrong(url, e.to_string()))
}

pub(crate) fn wrong(url: &Url, problem: String) -> ClientError {
    ClientError::Answer { url: url.to_string(), problem }
}

/// Whether a text may be a multiaddr. It goes into a file and onto terminals; whoever dials it parses it.
fn may_be_peer(text: &str) -> bool {
    text.starts_with('/') && text.len() <= PEER_BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_peer() {
        for good in ["/ip4/192.0.2.1/tcp/9908", "/dns/one.example.com/tcp/9908/p2p/12D3KooW"] {
            assert!(may_be_peer(good), "{good}");
        }
        let long = format!("/dns/{}", "x".repeat(PEER_BYTES_MAX));
        for bad in ["", "192.0.2.1:9908", "/ip4/192.0.2.1 ", "/dns/\u{1b}[31m", "/dns/é", &long] {
            assert!(!may_be_peer(bad), "{bad}");
        }
    }
}
