//! `lf node`: running a node, and starting one from another.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use lf_node::RunConfig;
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
    before_long_help = "Examples:\n  lf node start\n  lf node start --localtest --logstderr\n  lf node start --path /srv/lf --http 0.0.0.0:9980\n\n"
)]
struct Start {
    /// Serve HTTP on this port of loopback, or on ADDRESS:PORT; 0 for none
    #[arg(long, value_name = "PORT", default_value_t = Http(Some(DEFAULT_HTTP)))]
    http: Http,
    /// No peers, no proof of work; everything is kept in localtest/ of the home directory
    #[arg(long)]
    localtest: bool,
    /// How much is logged
    #[arg(long, value_name = "LEVEL", default_value = "normal")]
    loglevel: LogLevel,
    /// Log to stderr instead of node.log
    #[arg(long)]
    logstderr: bool,
    /// Log JSON
    #[arg(long)]
    logjson: bool,
    /// Port for peers (there is no network of nodes yet)
    #[arg(long, value_name = "PORT", hide = true)]
    p2p: Option<u16>,
    /// Publish comments on what this node sees (not yet)
    #[arg(long, hide = true)]
    oracle: bool,
    /// Serve HTTPS for these hosts (not yet)
    #[arg(long, value_name = "HOST,…", hide = true)]
    letsencrypt: Option<String>,
}

/// Tell a node to try a peer
#[derive(Debug, Args)]
struct Connect {
    /// The peer's IP address
    ip: IpAddr,
    /// The peer's port
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// The peer's public key, base62
    identity: String,
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
    if args.letsencrypt.is_some() {
        return Err(
            Failure::new("--letsencrypt is not there yet").hint("put a reverse proxy in front for HTTPS")
        );
    }
    if args.oracle {
        return Err(Failure::new("--oracle is not there yet"));
    }
    if args.p2p.is_some() && !args.localtest {
        ui::note("--p2p has no effect yet: this version does not connect to other nodes.");
    }
    let config = RunConfig {
        local_test: args.localtest,
        http: args.http.0,
        log_stderr: args.logstderr,
        log_json: args.logjson,
        log_level: match args.loglevel {
            LogLevel::Normal => tracing::Level::INFO,
            LogLevel::Verbose => tracing::Level::DEBUG,
            LogLevel::Trace => tracing::Level::TRACE,
        },
        ..RunConfig::new(context.home()?)
    };
    lf_node::run(&config).map_err(run_failure)
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
    let identity = base62::decode(&args.identity).map_err(|e| Failure::new(format!("identity: {e}")))?;
    let peer = Peer { ip: args.ip.to_string(), port: args.port, identity: Blob(identity) };
    Ok(context.client(&args.urls.url)?.connect(&peer)?)
}
