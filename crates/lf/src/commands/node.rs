//! `lf node`: running a node, and starting one from another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use indicatif::ProgressBar;
use lf_node::core::sync::SyncStatus;
use lf_node::http::tls::{AcmeConfig, AcmeUrl, CertificateSource, Contact, HostNames, HttpsConfig};
use lf_node::p2p::{P2P_PORT, Target};
use lf_node::{P2pConfig, RunConfig};
use lf_proto::api::Peer;
use lf_proto::base62;
use lf_proto::blob::Blob;

use super::bootstrap::{self, Bootstrap};
use crate::cli::Urls;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::ui;

/// Run a node, or prepare one
#[derive(Debug, Args)]
#[command(
    after_help = "node-start, node-bootstrap and node-connect are other ways to write these commands.",
    before_long_help = "Examples:\n  lf node start                       run a node\n  lf node start --localtest           run one without peers and work\n  lf node bootstrap http://host:9980  join the network of another node\n\n"
)]
pub(crate) struct Node {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Start(Start),
    Bootstrap(Bootstrap),
    Connect(Connect),
}

/// Run a node until Ctrl-C or SIGTERM
///
/// Its files are in the home directory (see --path). The network is that of genesis.lf there, else the public one
/// that is built in. Records in a bootstrap.lf there are read first.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf node start\n  lf node start --localtest --logstderr\n  lf node start --path /srv/lf --http 0.0.0.0:9980\n  lf node start --letsencrypt node.example.org --acme-contact me@example.org\n  lf node start --tls-cert chain.pem --tls-key key.pem --https 8443\n\n"
)]
struct Start {
    /// Serve HTTP on this port of loopback, or on ADDRESS:PORT; 0 for none
    #[arg(long, value_name = "PORT", default_value_t = Http(Some(DEFAULT_HTTP)))]
    http: Http,
    /// No peers, no proof of work; everything is kept in localtest/ of the home directory
    #[arg(long)]
    localtest: bool,
    /// No proof of work, but peers: for tests and `lf testnet` only. All nodes of the network must be started so
    #[arg(long, hide = true, conflicts_with = "localtest")]
    testnet: bool,
    /// Stop when stdin ends: so a node ends with the process that started it, however that ends
    #[arg(long, hide = true)]
    while_stdin: bool,
    /// How much is logged
    #[arg(long, value_name = "LEVEL", default_value = "normal")]
    loglevel: LogLevel,
    /// Log to stderr instead of node.log
    ///
    /// The file looks after itself: at 64 MiB it becomes node.log.1, and node.log.4 is the oldest that is kept. If it is
    /// moved or removed, the node makes a new one, without a signal.
    #[arg(long)]
    logstderr: bool,
    /// Log JSON
    #[arg(long)]
    logjson: bool,
    /// Listen for peers on this port, or on ADDRESS:PORT; 0 to have no peers
    #[arg(long, value_name = "PORT", default_value_t = P2p(Some(P2pPlace::Port(P2P_PORT))))]
    p2p: P2p,
    /// Connect to this node first: HOST:PORT or a multiaddr; can be given more than once
    #[arg(long, value_name = "ADDRESS")]
    seed: Vec<Target>,
    /// Find peers in the local network
    #[arg(long)]
    mdns: bool,
    /// This node is behind NAT: have the router let peers in (UPnP), or be reached through peers that relay
    ///
    /// A node behind NAT replicates without it, by the connections it makes itself; with it, others behind NAT can connect
    /// to it, too. Connections through a relay are replaced by direct ones where both routers allow that.
    #[arg(long)]
    nat: bool,
    /// Let nodes behind NAT be reached through this one, within bounds; it must be reachable itself
    #[arg(long, conflicts_with = "nat")]
    relay: bool,
    /// Be an oracle: publish commentary on records that take names others have, as this node saw it happen
    ///
    /// Who trusts the node's key (lf oracle add) trusts such records less. Works with one thread less than the machine
    /// has (at least one), of the lowest priority, on about one record in five minutes.
    #[arg(long)]
    oracle: bool,
    #[command(flatten)]
    https: Https,
}

/// HTTPS for everybody, besides HTTP for this machine. Requests over it are trusted only with the token in
/// authtoken.secret.
#[derive(Debug, Args)]
#[command(next_help_heading = "HTTPS")]
struct Https {
    /// Serve HTTPS for these hosts too, with a certificate of Let's Encrypt
    ///
    /// Their port 443 must lead here. The certificate is kept in the home directory and renewed in time. To give this
    /// option is to agree to the authority's terms.
    #[arg(long, value_name = "HOST,…", conflicts_with = "tls_cert")]
    letsencrypt: Option<HostNames>,
    /// Serve HTTPS too, with the certificate in this PEM file, its issuers' behind it; read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Where to serve HTTPS: a port of all addresses, or ADDRESS:PORT [default: 443]
    #[arg(long, value_name = "PORT", value_parser = https_address)]
    https: Option<SocketAddr>,
    /// Another ACME server's directory, in place of Let's Encrypt's
    #[arg(long, value_name = "URL", requires = "letsencrypt")]
    acme_directory: Option<AcmeUrl>,
    /// Certificates to trust for talking to the ACME server, a PEM file, in place of the system's
    #[arg(long, value_name = "FILE", requires = "letsencrypt")]
    acme_root: Option<PathBuf>,
    /// Where the certificate authority can reach you
    #[arg(long, value_name = "MAIL", requires = "letsencrypt")]
    acme_contact: Option<Contact>,
}

/// The port for HTTPS by default.
const HTTPS_PORT: u16 = 443;

/// A port of all addresses, or one address and its port.
fn https_address(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<u16>() {
        Ok(port) => Ok(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))),
        Err(_) => text.parse().map_err(|_| "it must be PORT or ADDRESS:PORT".to_owned()),
    }
}

impl Start {
    /// How to connect to peers, if at all.
    fn peers(&self) -> Option<P2pConfig> {
        Some(P2pConfig {
            seeds: self.seed.clone(),
            local_discovery: self.mdns,
            behind_nat: self.nat,
            relay: self.relay,
            ..self.p2p.listening()?
        })
    }
}

impl Https {
    fn config(&self) -> Result<Option<HttpsConfig>> {
        let certificate = match (&self.letsencrypt, &self.tls_cert, &self.tls_key) {
            (Some(hosts), ..) => CertificateSource::Acme(AcmeConfig {
                hosts: hosts.clone(),
                directory: self.acme_directory.clone().unwrap_or_default(),
                root: self.acme_root.clone(),
                contact: self.acme_contact.clone(),
            }),
            (None, Some(chain), Some(key)) => {
                CertificateSource::Files { chain: chain.clone(), key: key.clone() }
            }
            _ if self.https.is_some() => {
                return Err(Failure::new("--https needs a certificate")
                    .hint("give --letsencrypt HOST, or --tls-cert FILE and --tls-key FILE"));
            }
            _ => return Ok(None),
        };
        let address = self.https.unwrap_or_else(|| SocketAddr::from((Ipv6Addr::UNSPECIFIED, HTTPS_PORT)));
        Ok(Some(HttpsConfig { address, certificate }))
    }
}

/// Tell a node to connect to another
///
/// It does so now and whenever the connection is lost, for as long as it runs.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf node connect node.example.org:9908\n  lf node connect /ip4/192.0.2.1/tcp/9908/p2p/12D3Koo…\n  lf node connect 192.0.2.1 9908 IDENTITY\n\n"
)]
struct Connect {
    /// HOST:PORT or a multiaddr; or the IP address that PORT and IDENTITY belong to
    address: String,
    /// The other node's port
    #[arg(value_parser = clap::value_parser!(u16).range(1..), requires = "identity")]
    port: Option<u16>,
    /// The other node's public key, base62
    identity: Option<String>,
    #[command(flatten)]
    urls: Urls,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogLevel {
    Normal,
    Verbose,
    Trace,
}

/// Where HTTP is served, if anywhere.
#[derive(Debug, Clone, Copy)]
struct Http(Option<SocketAddr>);

/// Where to listen for peers, if anywhere.
#[derive(Debug, Clone, Copy)]
struct P2p(Option<P2pPlace>);

#[derive(Debug, Clone, Copy)]
enum P2pPlace {
    /// On all addresses.
    Port(u16),
    Address(SocketAddr),
}

impl FromStr for P2p {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(port) = text.parse::<u16>() {
            return Ok(P2p((port != 0).then_some(P2pPlace::Port(port))));
        }
        text.parse()
            .map(|address| P2p(Some(P2pPlace::Address(address))))
            .map_err(|_| "it must be PORT or ADDRESS:PORT".to_owned())
    }
}

impl std::fmt::Display for P2p {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(P2pPlace::Port(port)) => write!(f, "{port}"),
            Some(P2pPlace::Address(address)) => write!(f, "{address}"),
            None => f.write_str("0"),
        }
    }
}

impl P2p {
    fn listening(self) -> Option<P2pConfig> {
        Some(match self.0? {
            P2pPlace::Port(port) => P2pConfig::on_port(port),
            P2pPlace::Address(address) => P2pConfig { listen: vec![address], ..P2pConfig::default() },
        })
    }
}

const DEFAULT_HTTP: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), lf_node::runtime::HTTP_PORT);

impl FromStr for Http {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(port) = text.parse::<u16>() {
            let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
            return Ok(Http((port != 0).then_some(address)));
        }
        text.parse()
            .map(|address| Http(Some(address)))
            .map_err(|_| "it must be PORT or ADDRESS:PORT".to_owned())
    }
}

impl std::fmt::Display for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(address) if address.ip().is_loopback() => write!(f, "{}", address.port()),
            Some(address) => write!(f, "{address}"),
            None => f.write_str("0"),
        }
    }
}

pub(crate) fn run(context: &Context, args: Node) -> Result<()> {
    match args.command {
        Command::Start(args) => start(context, &args),
        Command::Bootstrap(args) => bootstrap::run(context, &args),
        Command::Connect(args) => connect(context, args),
    }
}

fn start(context: &Context, args: &Start) -> Result<()> {
    let config = RunConfig {
        local_test: args.localtest,
        testnet: args.testnet,
        oracle: args.oracle,
        http: args.http.0,
        p2p: args.peers(),
        https: args.https.config()?,
        log_stderr: args.logstderr,
        log_json: args.logjson,
        log_level: match args.loglevel {
            LogLevel::Normal => tracing::Level::INFO,
            LogLevel::Verbose => tracing::Level::DEBUG,
            LogLevel::Trace => tracing::Level::TRACE,
        },
        ..RunConfig::new(context.home()?)
    };
    if args.while_stdin {
        std::thread::spawn(stop_with_stdin);
    }
    let mut progress = SyncProgress::default();
    let shown = !args.logstderr;
    lf_node::run(&config, |status| {
        if shown {
            progress.show(status);
        }
    })
    .map_err(run_failure)
}

/// Shows how a first sync, or one after a long time, goes: on stderr, and only if that is a terminal. The log has it too.
#[derive(Default)]
struct SyncProgress {
    bar: Option<ProgressBar>,
}

impl SyncProgress {
    /// With fewer records missing there is nothing to wait for.
    const MISSING_MIN: u64 = 1_000;

    fn show(&mut self, status: &SyncStatus) {
        if self.bar.is_none() && status.missing < Self::MISSING_MIN {
            return;
        }
        if status.synchronized {
            if let Some(bar) = self.bar.take() {
                bar.finish_and_clear();
                if !bar.is_hidden() {
                    ui::note("synchronized");
                }
            }
            return;
        }
        let bar = self.bar.get_or_insert_with(|| ui::count_bar("synchronizing", Some(0)));
        // Checking takes longer than fetching. Between two comparisons nothing is under way.
        let all = status.fetched.saturating_add(status.missing);
        if all >= Self::MISSING_MIN {
            bar.set_length(all);
            bar.set_position(status.stored);
        }
    }
}

/// Waits for the end of stdin, then stops this process as SIGTERM does.
fn stop_with_stdin() {
    // An error is an end, too.
    let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    lf_platform::terminate();
}

/// Its errors have their hint behind a semicolon.
pub(crate) fn run_failure(error: lf_node::RunError) -> Failure {
    let text = error.to_string();
    match text.rsplit_once("; ") {
        Some((message, hint)) => Failure::new(message).hint(hint),
        None => Failure::new(text),
    }
}

fn connect(context: &Context, args: Connect) -> Result<()> {
    let usage = |message: String| -> ! {
        crate::cli::command().error(clap::error::ErrorKind::ValueValidation, message).exit()
    };
    let peer = match (args.port, args.identity) {
        (Some(port), Some(identity)) => {
            let Ok(ip) = args.address.parse::<IpAddr>() else {
                usage(format!("'{}' is no IP address", args.address))
            };
            let identity = base62::decode(identity.strip_prefix('@').unwrap_or(&identity));
            let identity = identity.map_err(|e| Failure::new(format!("identity: {e}")))?;
            Peer { ip: ip.to_string(), port, identity: Blob(identity), address: String::new() }
        }
        _ => match args.address.parse::<Target>() {
            Ok(_) => Peer { address: args.address, ..Peer::default() },
            Err(e) => usage(format!("'{}' is no address: {e}", args.address)),
        },
    };
    Ok(context.client(&args.urls.url)?.connect(&peer)?)
}
