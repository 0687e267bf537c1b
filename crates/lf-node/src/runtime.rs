//! Running a node: its home directory, lock and secrets, logs, signals, the HTTP server's life. The only place that
//! reads the environment or prints.

pub mod backup;
mod bootstrap;
mod client_json;
mod home;
mod logging;
mod offline;
mod oracle;
mod secrets;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lf_platform::{Hangups, Signals};
use lf_proto::genesis::GenesisError;
use tokio::runtime::Runtime;
use tokio::sync::watch as signal;
use tracing::{info, warn};

use self::bootstrap::Bootstrap;
use self::home::Home;
use self::logging::LogHandle;
pub use self::offline::{Offline, OfflineNode};
use self::oracle::{Oracle, OracleParts};
use crate::core::sync::SyncStatus;
use crate::http::tls::{HttpsConfig, Tls, TlsError};
use crate::http::{HttpConfig, HttpServer, Limits};
use crate::p2p::{Inbox, P2p, P2pConfig, P2pError, P2pHandle, P2pParts, TargetError};
use crate::{Node, NodeConfig, NodeError};

/// The most threads that work for requests at once; more wait.
const BLOCKING_THREADS_MAX: usize = 64;
/// Between two looks of who watches replication.
const WATCH_EVERY: Duration = Duration::from_millis(250);
/// How long threads may take to notice that the node stops.
const THREADS_TIME_MAX: Duration = Duration::from_secs(2);

/// How to run a node.
#[derive(Debug, Clone)]
pub struct RunConfig {
    /// The home directory; made if it does not exist.
    pub home: PathBuf,
    /// No peers and no work; everything is kept in `localtest/` under the home.
    pub local_test: bool,
    /// Records need no work, but there are peers. For tests and networks of one machine; refused on the built-in network.
    pub testnet: bool,
    /// Publish commentary on what this node sees first-hand, with the processor's spare time.
    pub oracle: bool,
    /// Where to serve HTTP; port 0 takes a free one. None serves nothing.
    pub http: Option<SocketAddr>,
    /// Where to serve HTTPS besides, if anywhere, and with which certificate.
    pub https: Option<HttpsConfig>,
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
            testnet: false,
            oracle: false,
            http: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, HTTP_PORT))),
            https: None,
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
    /// A test network is not the built-in one.
    #[error(
        "{path} is a home of the built-in network, which is no test network; put a genesis.lf of your own there (lf makegenesis)"
    )]
    TestnetIsBuiltIn {
        /// The home.
        path: PathBuf,
    },
    /// The home has another network than the one that is to be joined.
    #[error("{path} is a home of network {name}, id {id}; join in another home, given with --path")]
    OtherNetwork {
        /// The home.
        path: PathBuf,
        /// Its network's name, quoted.
        name: String,
        /// Its network's id, hexadecimal.
        id: String,
    },
    /// `seeds` does not name places to connect to.
    #[error("cannot use {path}, line {line}: {source}; give an address a line, and comments behind #")]
    Seeds {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        source: TargetError,
    },
    /// A secret's file does not hold one.
    #[error("cannot use {path}: {problem}; remove it and the node makes a new one")]
    Secret {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The address for HTTP or HTTPS.
    #[error("cannot serve {what} on {address}: {source}; {hint}")]
    Listen {
        /// `HTTP` or `HTTPS`.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
        /// What to do.
        hint: String,
    },
    /// The address for peers.
    #[error(
        "cannot listen for peers on {address}: {source}; choose another port with --p2p, or 0 for no peers"
    )]
    ListenPeers {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The certificate for HTTPS.
    #[error("no HTTPS: {0}")]
    Tls(#[from] TlsError),
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

impl RunError {
    /// Whether there was no address for lack of IPv6.
    fn is_no_ipv6(&self) -> bool {
        matches!(self, RunError::Listen { source, .. } if lf_platform::is_no_ipv6(source))
    }
}

/// A node that runs in this process: what `lf node start` runs, tests and `lf demo` too.
#[derive(Debug)]
pub struct Running {
    /// Where HTTP is served.
    pub http_addr: Option<SocketAddr>,
    /// Where HTTPS is served.
    pub https_addr: Option<SocketAddr>,
    node: Node,
    p2p: Option<P2p>,
    server: Option<HttpServer>,
    bootstrap: Option<Bootstrap>,
    oracle: Option<Oracle>,
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
        if config.testnet && genesis == crate::sol() {
            return Err(RunError::TestnetIsBuiltIn { path: home.path().to_owned() });
        }
        let token = secrets::auth_token(home.path())?;
        let identity = secrets::identity(home.path())?;
        // Before the store is opened: a port in use is the likeliest mistake, and opening may take a while.
        let listener = config.http.map(|address| listen(address, PLAIN)).transpose()?;
        let https = config.https.as_ref().map(|https| listen_tls(https.address)).transpose()?;
        let (tell, linked) = signal::channel(0);
        let network = genesis.parameters().name.clone();
        let p2p_config = config.p2p.as_ref().filter(|_| !config.local_test);
        let inbox = p2p_config.map(|_| Arc::new(Inbox::default()));
        let network_id = genesis.parameters().id;
        let node_config = NodeConfig {
            home: home.path().to_owned(),
            genesis,
            local_test: config.local_test || config.testnet,
        };
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
            .on_thread_start(lf_platform::short_slices)
            .enable_all()
            .build()
            .map_err(|source| RunError::System { action: "start threads", source })?;
        let mut running = Running {
            http_addr: None,
            https_addr: None,
            node,
            p2p: None,
            server: None,
            bootstrap: None,
            oracle: None,
            runtime: Some(runtime),
            home,
        };
        if let (Some(p2p_config), Some(inbox)) = (p2p_config, inbox) {
            let parts = P2pParts {
                node: running.node.clone(),
                secret: identity.secret,
                network_id,
                home: running.home.path().to_owned(),
                inbox,
            };
            let mut p2p_config = p2p_config.clone();
            p2p_config.seeds.extend(running.home.seeds()?);
            running.p2p = Some(P2p::start(parts, &p2p_config)?);
        }
        let http = HttpConfig {
            node: running.node.clone(),
            p2p: running.peers(),
            token,
            identity: identity.owner.public().as_bytes().into(),
            oracle: config.oracle.then(|| oracle::status(identity.owner.public())),
            limits: config.limits.clone(),
            linked,
        };
        running.serve(http, listener, https.zip(config.https.as_ref()))?;
        if let Some(address) = running.http_addr {
            let url = url(address);
            if let Err(problem) = client_json::add_url(&running.home.path().join("client.json"), &url) {
                warn!(problem, "cannot add the node's url to client.json");
            }
            info!(url, "serving HTTP");
        }
        if let Some(address) = running.https_addr {
            info!(%address, "serving HTTPS");
        }
        running.bootstrap = Bootstrap::start(&running.node, running.home.path())?;
        if config.oracle {
            let parts = OracleParts {
                node: running.node.clone(),
                owner: identity.owner,
                p2p: running.peers(),
                importing: running.bootstrap.as_ref().map(Bootstrap::reading),
            };
            running.oracle = Some(Oracle::start(parts)?);
        }
        info!(network, local_test = config.local_test, home = %running.home.path().display(), "node started");
        Ok(running)
    }

    /// Starts the server on the sockets there are, if any.
    fn serve(
        &mut self,
        http: HttpConfig,
        plain: Option<Listening>,
        https: Option<(Listening, &HttpsConfig)>,
    ) -> Result<(), RunError> {
        let Some(runtime) = &self.runtime else { return Ok(()) };
        if plain.is_none() && https.is_none() {
            return Ok(());
        }
        let _inside = runtime.enter();
        let inside = |listener| {
            tokio::net::TcpListener::from_std(listener)
                .map_err(|source| RunError::System { action: "serve HTTP", source })
        };
        self.http_addr = plain.as_ref().map(|(_, address)| *address);
        self.https_addr = https.as_ref().map(|((_, address), _)| *address);
        let plain = plain.map(|(listener, _)| inside(listener)).transpose()?;
        let tls = match https {
            Some(((listener, _), config)) => {
                Some((inside(listener)?, Tls::start(&config.certificate, self.home.path())?))
            }
            None => None,
        };
        self.server = Some(HttpServer::start(http, plain, tls));
        Ok(())
    }

    /// Looks for new certificates now: at the files, or at the authority if it did not give one when asked last.
    pub fn reload(&self) {
        if let Some(reload) = self.server.as_ref().and_then(HttpServer::reload) {
            reload();
        }
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
        if let Some(oracle) = self.oracle.take() {
            oracle.stop();
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

/// Runs a node until SIGTERM or SIGINT; a second one ends the process at once. SIGHUP opens `node.log` again and, with
/// HTTPS, is [`Running::reload`]. Prints a line when it is ready. Some times a second `watch` is told how replication stands, if
/// there are peers; it must be quick.
///
/// # Errors
/// Why it does not run, or did not stop cleanly.
pub fn run(config: &RunConfig, mut watch: impl FnMut(&SyncStatus)) -> Result<(), RunError> {
    let home = Home::open(&config.directory())?;
    let log = logging::install(config, home.path())?;
    let running =
        Running::start_in(home, config).inspect_err(|error| tracing::error!(%error, "node does not run"))?;
    let Some(runtime) = &running.runtime else { return Ok(()) };
    let unhandled = |source| RunError::System { action: "handle signals", source };
    let (mut signals, mut hangups) = {
        let _inside = runtime.enter();
        (Signals::new().map_err(unhandled)?, Hangups::new().map_err(unhandled)?)
    };
    let place = running.url().unwrap_or_else(|| "no HTTP".to_owned());
    let peers = running.peers().map(|peers| format!(", peers on port {}", peers.port())).unwrap_or_default();
    let mut mode = match (config.local_test, config.testnet) {
        (true, _) => ", local test mode".to_owned(),
        (false, true) => ", test network".to_owned(),
        (false, false) => String::new(),
    };
    if let Some(address) = running.https_addr {
        mode.push_str(&format!(", HTTPS on {address}"));
    }
    let reload = running.server.as_ref().and_then(HttpServer::reload);
    runtime.spawn(async move {
        loop {
            hangups.next().await;
            log.iter().for_each(LogHandle::reopen);
            info!("SIGHUP: the log is opened again, and certificates from files are looked at");
            reload.iter().for_each(|reload| reload());
        }
    });
    println!("lf node is ready: {place}{peers} (home {}{mode})", running.directory().display());
    tell("READY=1");
    let handle = running.peers();
    let name = runtime.block_on(async {
        let mut tick = tokio::time::interval(WATCH_EVERY);
        loop {
            tokio::select! {
                name = signals.next() => break name,
                _ = tick.tick(), if handle.is_some() => {
                    handle.iter().for_each(|peers| watch(&peers.sync()));
                }
            }
        }
    });
    info!(signal = name, "stopping");
    tell("STOPPING=1");
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

/// Lines of `node.log` that could not be written since the process started.
pub(crate) fn log_lines_lost() -> u64 {
    logging::lines_lost()
}

/// Tells the service manager what the node does, if there is one that listens.
fn tell(state: &str) {
    if let Err(error) = lf_platform::notify(state) {
        warn!(%error, "cannot notify the service manager");
    }
}

/// A socket that listens, and its address.
type Listening = (TcpListener, SocketAddr);

/// What listens, and the option that says where.
type Service = (&'static str, &'static str);
const PLAIN: Service = ("HTTP", "--http");
const TLS: Service = ("HTTPS", "--https");

/// Listens for HTTPS. Where there is no IPv6, all addresses are those of IPv4.
fn listen_tls(address: SocketAddr) -> Result<Listening, RunError> {
    let all_v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
    match listen(address, TLS) {
        Err(error) if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && error.is_no_ipv6() => {
            listen(all_v4, TLS)
        }
        listening => listening,
    }
}

fn listen(address: SocketAddr, (what, option): Service) -> Result<Listening, RunError> {
    let listen = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    listen().map_err(|source: io::Error| {
        let hint = match source.kind() {
            io::ErrorKind::AddrInUse => "another program has the port; choose another with",
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need rights (setcap cap_net_bind_service=+ep on lf, or \
                 AmbientCapabilities=CAP_NET_BIND_SERVICE in its unit); choose another port with"
            }
            io::ErrorKind::AddrNotAvailable => "it is no address of this machine; choose another with",
            _ => "choose another address with",
        };
        RunError::Listen { what, address, source, hint: format!("{hint} {option}") }
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
