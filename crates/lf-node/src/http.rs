//! The HTTP shell (API.md §1): connections, limits and the router. Rules of records, queries and pulses are not here;
//! a request becomes one call of [`Node`] on a thread that may block.
//!
//! Everything a client can make us hold is bounded: connections, header bytes and time, body bytes and time, requests
//! at once, watchers. A client that stops reading is dropped, and so is one that sends its request too slowly.
//!
//! To watch, give `/v1/watch` a query: as JSON in `q`, percent-encoded, or as the body of a POST. What comes are
//! server-sent events named `record`, whose data is a QueryResult and whose id is the record's index. `from=INDEX` or
//! the `Last-Event-ID` header say where to begin; without them only records that become linked from now on come.
//!
//! ```text
//! curl -N http://127.0.0.1:9980/v1/watch -d '{"Ranges": [{"Name": "horse", "Range": [0, 100]}]}'
//! ```

mod connection;
mod dispatch;
mod endpoints;
mod handlers;
mod openapi;
mod page;
mod reply;
mod timed;
pub mod tls;
mod trust;
mod watch;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use lf_proto::blob::Blob;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch as signal};
use tokio::task::JoinHandle;

pub use self::openapi::document as openapi_document;
use self::tls::{Certificates, Tls};
pub use self::trust::AuthToken;
use crate::core::pulse::Allowances;
use crate::metrics::HttpMetrics;
use crate::p2p::P2pHandle;
use crate::{Node, OracleStatus};

/// Watchers that read the store at once.
const LOOKS_MAX: usize = 2;

/// What clients can make the server hold, and for how long.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once, to each of the listening sockets; one more is told 503.
    pub connections_max: usize,
    /// Connections at once from one address (IPv6: from one /64), but from this machine, to each of the listening
    /// sockets; one more is told 503.
    pub connections_per_network_max: usize,
    /// For a TLS handshake.
    pub handshake_time_max: Duration,
    /// Requests worked on at once; others wait.
    pub requests_max: usize,
    /// `/makerecord` and `/makepulse` at once; others wait.
    pub makes_max: usize,
    /// `/dumprecords` at once; one more is told 503.
    pub dumps_max: usize,
    /// Watchers at once; one more is told 503.
    pub watchers_max: usize,
    /// Bytes of a request's head; more is told 431.
    pub head_bytes_max: usize,
    /// For a request's head, and between requests on one connection.
    pub head_time_max: Duration,
    /// For a request's body; longer is told 408.
    pub body_time_max: Duration,
    /// For waiting until others are done; longer is told 503.
    pub wait_time_max: Duration,
    /// For an answer, but those of `/makerecord` and `/makepulse`; longer is told 503.
    pub answer_time_max: Duration,
    /// How long a client may take nothing of an answer before it is dropped.
    pub stall_time_max: Duration,
    /// Between comments that keep a watcher's connection open.
    pub heartbeat: Duration,
    /// For what is under way when the server stops.
    pub stop_time_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections_max: 512,
            connections_per_network_max: 64,
            handshake_time_max: Duration::from_secs(10),
            requests_max: 16,
            makes_max: 2,
            dumps_max: 4,
            watchers_max: 128,
            head_bytes_max: 16 << 10,
            head_time_max: Duration::from_secs(15),
            body_time_max: Duration::from_secs(15),
            wait_time_max: Duration::from_secs(10),
            answer_time_max: Duration::from_secs(30),
            stall_time_max: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
            stop_time_max: Duration::from_secs(5),
        }
    }
}

/// What all requests share.
pub(crate) struct Context {
    node: Node,
    /// Connections to other nodes, if there are any.
    p2p: Option<P2pHandle>,
    token: AuthToken,
    /// The node's public key, for `/status`.
    identity: Blob,
    /// What is told of its oracle, if it is one.
    oracle: Option<OracleStatus>,
    limits: Limits,
    metrics: HttpMetrics,
    requests: Arc<Semaphore>,
    makes: Arc<Semaphore>,
    dumps: Arc<Semaphore>,
    watchers: Arc<Semaphore>,
    /// Watchers that read the store now: few, so that many who begin far back do not slow queries.
    looks: Arc<Semaphore>,
    connections: AtomicUsize,
    /// Where HTTPS has its certificate from.
    certificates: Option<Arc<Certificates>>,
    /// What the pulses of each client may cost.
    pulse_allowances: Mutex<Allowances<Option<IpAddr>>>,
    /// The number of linked records, as last told by the store.
    linked: signal::Receiver<u32>,
    /// True when the server stops.
    stopping: signal::Receiver<bool>,
}

/// How to start the server.
pub(crate) struct HttpConfig {
    pub(crate) node: Node,
    pub(crate) p2p: Option<P2pHandle>,
    pub(crate) token: AuthToken,
    pub(crate) identity: Blob,
    pub(crate) oracle: Option<OracleStatus>,
    pub(crate) limits: Limits,
    pub(crate) linked: signal::Receiver<u32>,
}

/// Whose request it is.
#[derive(Debug, Clone, Copy)]
struct Client {
    /// IPv4 in its own form, not mapped into IPv6.
    address: SocketAddr,
    /// Whether it came over TLS.
    tls: bool,
}

/// Who shares an allowance: an address, or the 2⁶⁴ of IPv6 that anybody has.
fn network_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct HttpServer {
    stop: signal::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    tls: Option<Tls>,
}

impl HttpServer {
    /// Serves on sockets that listen already: a plain one, one for TLS, or both. Must be called inside a tokio runtime.
    pub(crate) fn start(
        config: HttpConfig,
        plain: Option<TcpListener>,
        tls: Option<(TcpListener, Tls)>,
    ) -> Self {
        let (stop, stopping) = signal::channel(false);
        let limits = config.limits;
        let context = Arc::new(Context {
            node: config.node,
            p2p: config.p2p,
            token: config.token,
            identity: config.identity,
            oracle: config.oracle,
            metrics: HttpMetrics::default(),
            requests: Arc::new(Semaphore::new(limits.requests_max)),
            makes: Arc::new(Semaphore::new(limits.makes_max)),
            dumps: Arc::new(Semaphore::new(limits.dumps_max)),
            watchers: Arc::new(Semaphore::new(limits.watchers_max)),
            looks: Arc::new(Semaphore::new(LOOKS_MAX)),
            connections: AtomicUsize::new(0),
            certificates: tls.as_ref().map(|(_, tls)| tls.certificates()),
            pulse_allowances: Mutex::default(),
            linked: config.linked,
            stopping,
            limits,
        });
        let mut tasks = Vec::new();
        if let Some(listener) = plain {
            tasks.push(tokio::spawn(connection::accept(context.clone(), listener, None)));
        }
        let tls = tls.map(|(listener, tls)| {
            tasks.push(tokio::spawn(connection::accept(context, listener, Some(tls.acceptor()))));
            tls
        });
        HttpServer { stop, tasks, tls }
    }

    /// What to call to look for new certificates at once, if the server has any.
    pub(crate) fn reload(&self) -> Option<impl Fn() + Send + 'static + use<>> {
        self.tls.as_ref().map(Tls::reload)
    }

    /// Stops accepting, lets what is under way end, within bounds.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// The router, built from the table of endpoints. The [`Client`] comes as an extension of each request.
fn router(context: &Arc<Context>) -> Router {
    let mut router = Router::new();
    for endpoint in endpoints::ENDPOINTS {
        let context = context.clone();
        router = router.route(endpoint.path, any(move |request| dispatch::serve(context, endpoint, request)));
    }
    for file in &page::FILES {
        let context = context.clone();
        router = router.route(file.path, any(move |request| page::serve(context, file, request)));
    }
    let context = context.clone();
    router.fallback(any(move |request| dispatch::not_found(context, request)))
}
