//! Running a node: its home directory, lock and secrets, logs, signals, the HTTP server's life. The only place that
//! reads the environment or prints.

mod bootstrap;
mod client_json;
mod home;
mod logging;
mod notify;
mod offline;
mod secrets;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lf_proto::genesis::GenesisError;
use tokio::runtime::Runtime;
use tokio::sync::watch as signal;
use tracing::{info, warn};

use self::bootstrap::Bootstrap;
use self::home::Home;
pub use self::offline::Offline;
use crate::http::{HttpConfig, HttpServer, Limits};
use crate::p2p::{Inbox, P2p, P2pConfig, P2pError, P2pHandle, P2pParts};
use crate::{Node, NodeConfig, NodeError};

/// The most threads that work for requests at once; more wait.
const BLOCKING_THREADS_MAX: usize = 64;
/// How long threads may take to notice that the node stops.
const THREADS_TIME_MAX: Duration = Duration::from_secs(2);

/// How to run a node.
#[derive(Debug, Clone)]
pub struct RunConfig {
    /// The home directory; made if it does not exist.
    pub home: PathBuf,
    /// No peers and no work; everything is kept in `localtest/` under the home.
    pub local_test: bool,
    /// Where to serve HTTP; port 0 takes a free one. None serves nothing.
    pub http: Option<SocketAddr>,
    /// What HTTP clients can make the node hold.
    pub limits: Limits,
    /// How to connect to other nodes. None connects to none; local test mode never does.
    pub p2p: Option<P2pConfig>,
    /// Log to stderr instead of `node.log`.
    pub log_stderr: bool,
    /// Log JSON instead of text.
    pub log_json: bool,
    /// The least level that is logged.
    pub log_level: tracing::Level,
}

impl RunConfig {
    /// A node in this home: HTTP on loopback, port 9980, no peers, text logs in `node.log`.
    pub fn new(home: impl Into<PathBuf>) -> Self {
        RunConfig {
            home: home.into(),
            local_test: false,
            http: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, HTTP_PORT))),
            limits: Limits::default(),
            p2p: None,
            log_stderr: false,
            log_json: false,
            log_level: tracing::Level::INFO,
        }
    }

    /// The directory that holds this node's files.
    pub fn directory(&self) -> PathBuf {
        if self.local_test { self.home.join("localtest") } else { self.home.clone() }
    }
}

/// The default port for HTTP.
pub const HTTP_PORT: u16 = 9980;

/// Why a node does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A file or directory of the home.
    #[error("cannot {action} {path}: {source}; is it yours? another home can be given with --path")]
    File {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process has the home.
    #[error("a node{pid} is running in {path} already; stop it, or give another home with --path")]
    Locked {
        /// The home.
        path: PathBuf,
        /// ` (pid N)`, if known.
        pid: String,
    },
    /// genesis.lf is not usable.
    #[error("cannot use {path}: {source}; without the file the node joins the built-in network")]
    Genesis {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: GenesisError,
    },
    /// A secret's file does not hold one.
    #[error("cannot use {path}: {problem}; remove it and the node makes a new one")]
    Secret {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The address for HTTP.
    #[error("cannot serve HTTP on {address}: {source}; {hint}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// The address for peers.
    #[error("cannot listen for peers on {address}: {source}; choose another port with --p2p, or 0 for no peers")]
    ListenPeers {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The store.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Threads, randomness or signals.
    #[error("cannot {action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

/// A node that runs in this process: what `lf node start` runs, tests and `lf demo` too.
#[derive(Debug)]
pub struct Running {
    /// Where HTTP is served.
    pub http_addr: Option<SocketAddr>,
    node: Node,
    p2p: Option<P2p>,
    server: Option<HttpServer>,
    bootstrap: Option<Bootstrap>,
    runtime: Option<Runtime>,
    home: Home,
}

impl Running {
    /// Opens the node and serves HTTP. Installs no logger and no signal handlers.
    ///
    /// # Errors
    /// Why it cannot run.
    pub fn start(config: &RunConfig) -> Result<Self, RunError> {
        let home = Home::open(&config.directory())?;
        Self::start_in(home, config)
    }

    fn start_in(home: Home, config: &RunConfig) -> Result<Self, RunError> {
        let genesis = home.genesis()?;
        let token = secrets::auth_token(home.path())?;
        let identity = secrets::identity(home.path())?;
        // Before the store is opened: a port in use is the likeliest mistake, and opening may take a while.
        let listener = config.http.map(listen).transpose()?;
        let (tell, linked) = signal::channel(0);
        let network = genesis.parameters().name.clone();
        let p2p_config = config.p2p.as_ref().filter(|_| !config.local_test);
        let inbox = p2p_config.map(|_| Arc::new(Inbox::default()));
        let network_id = genesis.parameters().id;
        let node_config = NodeConfig { home: home.path().to_owned(), genesis, local_test: config.local_test };
        let (node, notes) = Node::open(node_config, {
            let inbox = inbox.clone();
            move |range| {
                tell.send_replace(range.end);
                if let Some(inbox) = &inbox {
                    inbox.nudge();
                }
            }
        })?;
        for note in notes {
            warn!("recovered: {note}");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name("lf-http")
            .enable_all()
            .build()
            .map_err(|source| RunError::System { action: "start threads", source })?;
        let mut running =
            Running { http_addr: None, node, p2p: None, server: None, bootstrap: None, runtime: Some(runtime), home };
        if let (Some(p2p_config), Some(inbox)) = (p2p_config, inbox) {
            let parts = P2pParts {
                node: running.node.clone(),
                secret: identity.secret,
                network_id,
                home: running.home.path().to_owned(),
                inbox,
            };
            running.p2p = Some(P2p::start(parts, p2p_config)?);
        }
        let p2p = running.peers();
        if let (Some((listener, address)), Some(runtime)) = (listener, &running.runtime) {
            let node = running.node.clone();
            let identity = identity.public;
            let http = HttpConfig { node, p2p, token, identity, limits: config.limits.clone(), linked };
            let _inside = runtime.enter();
            let listener = tokio::net::TcpListener::from_std(listener)
                .map_err(|source| RunError::System { action: "serve HTTP", source })?;
            running.server = Some(HttpServer::start(http, listener));
            running.http_addr = Some(address);
            let url = url(address);
            if let Err(problem) = client_json::add_url(&running.home.path().join("client.json"), &url) {
                warn!(problem, "cannot add the node's url to client.json");
            }
            info!(url, "serving HTTP");
        }
        running.bootstrap = Bootstrap::start(&running.node, running.home.path())?;
        info!(network, local_test = config.local_test, home = %running.home.path().display(), "node started");
        Ok(running)
    }

    /// The node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Its connections to other nodes, if it has any.
    pub fn peers(&self) -> Option<P2pHandle> {
        self.p2p.as_ref().map(P2p::handle)
    }

    /// The directory that holds its files.
    pub fn directory(&self) -> &Path {
        self.home.path()
    }

    /// The node's URL, if it serves HTTP.
    pub fn url(&self) -> Option<String> {
        self.http_addr.map(url)
    }

    /// Lets requests end, writes what is queued, closes the store, gives the home free.
    ///
    /// # Errors
    /// Something could not be written. Nothing acknowledged is lost.
    pub fn stop(mut self) -> Result<(), RunError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), RunError> {
        let Some(runtime) = self.runtime.take() else { return Ok(()) };
        if let Some(server) = self.server.take() {
            runtime.block_on(server.stop());
        }
        if let Some(bootstrap) = self.bootstrap.take() {
            bootstrap.stop();
        }
        if let Some(p2p) = self.p2p.take() {
            p2p.stop();
        }
        runtime.shutdown_timeout(THREADS_TIME_MAX);
        self.node.stop()?;
        info!("node stopped");
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            warn!(%error, "the node did not stop cleanly");
        }
    }
}

/// Runs a node until SIGTERM or SIGINT; a second one ends the process at once. Prints a line when it is ready.
///
/// # Errors
/// Why it does not run, or did not stop cleanly.
pub fn run(config: &RunConfig) -> Result<(), RunError> {
    let home = Home::open(&config.directory())?;
    logging::install(config, home.path())?;
    let running =
        Running::start_in(home, config).inspect_err(|error| tracing::error!(%error, "node does not run"))?;
    let Some(runtime) = &running.runtime else { return Ok(()) };
    let mut signals = {
        let _inside = runtime.enter();
        Signals::new().map_err(|source| RunError::System { action: "handle signals", source })?
    };
    let place = running.url().unwrap_or_else(|| "no HTTP".to_owned());
    let peers = running.peers().map(|peers| format!(", peers on port {}", peers.port())).unwrap_or_default();
    let mode = if config.local_test { ", local test mode" } else { "" };
    println!("lf node is ready: {place}{peers} (home {}{mode})", running.directory().display());
    notify::tell("READY=1");
    let name = runtime.block_on(signals.next());
    info!(signal = name, "stopping");
    notify::tell("STOPPING=1");
    let handle = runtime.handle().clone();
    handle.spawn(async move {
        signals.next().await;
        // The store recovers from this as from a power cut.
        std::process::exit(1);
    });
    running.stop()
}

impl From<P2pError> for RunError {
    fn from(e: P2pError) -> Self {
        match e {
            P2pError::Listen(address, source) => RunError::ListenPeers { address, source },
            P2pError::System(action, source) => RunError::System { action, source },
        }
    }
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), RunError> {
    let listen = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    listen().map_err(|source: io::Error| {
        let hint = match source.kind() {
            io::ErrorKind::AddrInUse => "another node, perhaps; choose another port with --http",
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need rights; choose another port with --http"
            }
            io::ErrorKind::AddrNotAvailable => "it is no address of this machine; choose another with --http",
            _ => "choose another address with --http",
        };
        RunError::Listen { address, source, hint }
    })
}

/// The URL under which this machine reaches the server.
fn url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}
