//! `lf dns`: names stored in LF, served over DNS; and writing them.

mod names;
mod serve;

use std::net::SocketAddr;

use clap::{Args, Subcommand};
use lf_dns::DomainName;
use lf_dns::trust::{Policy, Trusted};

use crate::cli::Urls;
use crate::context::Context;
use crate::failure::Result;

/// Serve names stored in LF over DNS, or write them
///
/// Answers over UDP and TCP until Ctrl-C or SIGTERM, from a node's records: `lf dns put` writes them. Everybody can write
/// under any name, so only owners who are certified by the network's authorities, or given with --trust, are believed.
/// See docs/src/DNS.md for how names are stored, and for running it as a service.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    before_long_help = "Examples:\n  lf dns put www.example.lf A 192.0.2.1 192.0.2.2   write\n  lf dns --zone example.lf                          serve, on port 5353 of this machine\n  dig @127.0.0.1 -p 5353 www.example.lf             ask\n  lf dns --zone example.lf --trust @… --upstream 9.9.9.9\n\n"
)]
pub(crate) struct Dns {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    Put(names::Put),
    Get(names::Get),
    Delete(names::Delete),
    Import(names::Import),
}

#[derive(Debug, Args)]
struct Serve {
    /// Serve this name and all below it; can be given more than once
    #[arg(long, value_name = "NAME")]
    zone: Vec<DomainName>,
    /// Where to listen; can be given more than once
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5353")]
    listen: Vec<SocketAddr>,
    #[command(flatten)]
    trust: TrustArgs,
    /// A name of this server, for the zones' NS and SOA records; can be given more than once [default: ns.ZONE]
    #[arg(long, value_name = "NAME")]
    ns: Vec<DomainName>,
    /// Ask this server about all other names, for clients of this machine and of private networks; without it they are
    /// refused. Can be given more than once: the next is asked if one does not answer
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = upstream_address)]
    upstream: Vec<SocketAddr>,
    /// Answers over UDP a second for each /24 or /56 of clients; who asks more often is told to ask over TCP. 0: no limit
    #[arg(long, value_name = "N", default_value_t = 200)]
    rate: u32,
    /// Ask the node about a name again after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    cache: u64,
    /// While the node is away, answer for so many seconds with what it said before
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400, value_parser = clap::value_parser!(u64).range(0..=604_800))]
    stale: u64,
    #[command(flatten)]
    urls: Urls,
}

/// Whose records count.
#[derive(Debug, Args)]
struct TrustArgs {
    /// Whose records count: certified (owners with a current certificate of the network's authorities), @OWNER, @OWNER/NAME
    /// (for a name and all below it only), or anyone (who came first: for tests, and networks where all writers are known).
    /// Can be given more than once; owners given so come first [default: certified]
    #[arg(long, value_name = "WHOM")]
    trust: Vec<Trusted>,
}

impl TrustArgs {
    fn policy(&self) -> Policy {
        self.trust.iter().cloned().collect()
    }
}

/// `9.9.9.9`, `9.9.9.9:53`, `[2620:fe::fe]:53`.
fn upstream_address(text: &str) -> Result<SocketAddr, String> {
    const DNS_PORT: u16 = 53;
    let address = text.parse().or_else(|_| text.parse().map(|ip| SocketAddr::new(ip, DNS_PORT)));
    address.map_err(|_| "it must be an IP address, or ADDRESS:PORT".to_owned())
}

pub(crate) fn run(context: &Context, args: &Dns) -> Result<()> {
    match &args.command {
        None => serve::run(context, &args.serve),
        Some(Command::Put(args)) => names::put(context, args),
        Some(Command::Get(args)) => names::get(context, args),
        Some(Command::Delete(args)) => names::delete(context, args),
        Some(Command::Import(args)) => names::import(context, args),
    }
}
