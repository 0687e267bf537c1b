//! `lf dns --zone …`: the server, until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use lf_client::Client;
use lf_dns::cache::Lifetimes;
use lf_dns::node::Node;
use lf_dns::server::{Config, Server};
use lf_dns::{Zone, Zones};
use lf_platform::Signals;

use super::Serve;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::ui;

/// Threads that wait for the node.
const BLOCKING_THREADS_MAX: usize = 16;

pub(super) fn run(context: &Context, args: &Serve) -> Result<()> {
    if args.zone.is_empty() {
        return Err(Failure::new("there is no zone to serve").hint("lf dns --zone NAME, or lf help dns"));
    }
    let client = context.client(&args.urls.url)?;
    let policy = args.trust.policy();
    if policy.asks_certificates() && policy.pins.is_empty() {
        warn_if_nobody_is_certified(&client);
    }
    let fresh = Duration::from_secs(args.cache);
    let stale = Duration::from_secs(args.stale);
    let node = Node::new(client, policy, context.config()?.oracles, fresh);
    let zones = args.zone.iter().map(|apex| Zone::new(apex.clone(), args.ns.clone())).collect();
    let config = Config {
        listen: args.listen.clone(),
        zones: Zones::new(zones),
        lifetimes: Lifetimes { fresh, stale },
        rate: args.rate,
        upstream: args.upstream.clone(),
    };
    let failed = |e: std::io::Error| Failure::new(e.to_string());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .on_thread_start(lf_platform::short_slices)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()
        .map_err(failed)?;
    let done = runtime.block_on(async {
        let server = Server::bind(&config, node, Arc::new(ui::note)).await.map_err(listen_failure)?;
        let mut signals = Signals::new().map_err(failed)?;
        ready(context, args, &server)?;
        tokio::select! {
            () = server.run() => Ok(()),
            _ = signals.next() => Ok(()),
        }
    });
    // Questions to a node that does not answer are not waited for.
    runtime.shutdown_background();
    done
}

fn ready(context: &Context, args: &Serve, server: &Server) -> Result<()> {
    let addresses = server.addresses();
    if context.json {
        let zones: Vec<_> = args.zone.iter().map(ToString::to_string).collect();
        return ui::print_json(&serde_json::json!({ "Listen": addresses, "Zones": zones }));
    }
    let list = |items: Vec<String>| items.join(", ");
    ui::print(&format!(
        "lf dns is ready: {} over UDP and TCP, for {}\n",
        list(addresses.iter().map(ToString::to_string).collect()),
        list(args.zone.iter().map(ToString::to_string).collect())
    ))
}

fn listen_failure(error: std::io::Error) -> Failure {
    let failure = Failure::new(error.to_string());
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            failure.hint("ports below 1024 need the capability cap_net_bind_service (docs/src/DNS.md)")
        }
        std::io::ErrorKind::AddrInUse => failure.hint("choose another: --listen ADDRESS:PORT"),
        _ => failure,
    }
}

/// A server that will never answer anything should say why. A node that is away is no reason not to start.
fn warn_if_nobody_is_certified(client: &Client) {
    match client.status() {
        Ok(status) if status.genesis_parameters.auth_certificates.is_empty() => ui::note(
            "This network has no certificate authorities, so nobody is certified: say whose records count with --trust @OWNER",
        ),
        Ok(_) => {}
        Err(e) => ui::note(&format!("{e}; questions are answered as soon as it is there")),
    }
}
