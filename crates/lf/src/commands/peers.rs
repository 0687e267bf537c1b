//! `lf peers`: whom the node is connected to, and who may not connect.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use lf_proto::api::{BanRequest, PeerStatus, PeersStatus};

use crate::cli::Urls;
use crate::context::Context;
use crate::failure::Result;
use crate::{times, ui};

/// Whom this node is connected to, and who may not connect
///
/// Only for clients that the node trusts: those on its machine, or with its authtoken.secret.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf peers\n  lf peers ban 192.0.2.1 --hours 48\n  lf peers unban 192.0.2.1\n\n"
)]
pub(crate) struct Peers {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    urls: Urls,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List connected peers and bans
    List {
        #[command(flatten)]
        urls: Urls,
    },
    /// Close a peer's connections and keep it out
    Ban {
        /// The peer (@ and base62, or 12D3Koo…) or an IP address
        peer: String,
        /// For how many hours
        #[arg(long, default_value_t = 24)]
        hours: u64,
        #[command(flatten)]
        urls: Urls,
    },
    /// End a ban
    Unban {
        /// The peer or IP address, as lf peers shows it
        peer: String,
        #[command(flatten)]
        urls: Urls,
    },
}

pub(crate) fn run(context: &Context, args: Peers) -> Result<()> {
    match args.command {
        None => list(context, &args.urls),
        Some(Command::List { urls }) => list(context, &urls),
        Some(Command::Ban { peer, hours, urls }) => {
            let request = BanRequest { peer, hours: Some(hours) };
            Ok(context.client(&urls.url)?.ban(&request)?)
        }
        Some(Command::Unban { peer, urls }) => {
            Ok(context.client(&urls.url)?.unban(&BanRequest { peer, hours: None })?)
        }
    }
}

fn list(context: &Context, urls: &Urls) -> Result<()> {
    let status = context.client(&urls.url)?.peers_status()?;
    if context.json {
        return ui::print_json(&status);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    ui::print(&table(&status, now))
}

const HEAD: [&str; 9] =
    ["ADDRESS", "DIRECTION", "VERSION", "ROUND TRIP", "CONNECTED", "RECORDS", "SCORE", "RECEIVED", "SENT"];

fn row(peer: &PeerStatus) -> [String; 9] {
    let records = match peer.state.as_str() {
        "new" => "?".to_owned(),
        state => format!("{} {state}", ui::count(peer.records)),
    };
    [
        peer.address.clone(),
        if peer.outbound { "out" } else { "in" }.to_owned(),
        if peer.version.is_empty() { "?".to_owned() } else { peer.version.clone() },
        peer.round_trip_micros.map_or_else(|| "?".to_owned(), |m| ui::took(Duration::from_micros(m))),
        times::show_duration(peer.connected_seconds),
        records,
        peer.score.to_string(),
        ui::bytes(peer.received_bytes),
        ui::bytes(peer.sent_bytes),
    ]
    .map(|text| ui::printable(text.as_bytes()))
}

/// The peers in columns, each followed by its name; then the bans.
fn table(status: &PeersStatus, now: u64) -> String {
    let mut out = String::new();
    if status.peers.is_empty() {
        out.push_str("No peers are connected.\n");
    } else {
        let mut rows = vec![HEAD.map(str::to_owned)];
        rows.extend(status.peers.iter().map(row));
        let mut names = vec!["PEER".to_owned()];
        names.extend(status.peers.iter().map(|peer| ui::printable(peer.peer.as_bytes())));
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
        for (row, name) in rows.iter().zip(names) {
            for (text, width) in row.iter().zip(&widths) {
                out.push_str(&format!("{text:<width$}  "));
            }
            out.push_str(&name);
            out.push('\n');
        }
    }
    for ban in &status.bans {
        let left = times::show_duration(ban.until.saturating_sub(now));
        let (peer, reason) = (ui::printable(ban.peer.as_bytes()), ui::printable(ban.reason.as_bytes()));
        out.push_str(&format!("banned for {left}: {peer} ({reason})\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use lf_proto::api::PeerBan;

    #[test]
    fn peers_stand_in_columns() {
        let peer = PeerStatus {
            peer: "@abc".to_owned(),
            address: "192.0.2.1:9908".to_owned(),
            version: "lf/0.1.0\u{1b}".to_owned(),
            round_trip_micros: Some(12_345),
            connected_seconds: 61,
            state: "synced".to_owned(),
            records: 1_234,
            score: 5,
            received_bytes: 1_500,
            sent_bytes: 7,
            outbound: true,
        };
        let status = PeersStatus {
            peers: vec![peer, PeerStatus { state: "new".to_owned(), ..PeerStatus::default() }],
            bans: vec![PeerBan { peer: "@bad".to_owned(), until: 3_700, reason: "it lied".to_owned() }],
            ..PeersStatus::default()
        };
        let text = table(&status, 100);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("ADDRESS         DIRECTION  VERSION   ROUND TRIP"), "{text}");
        assert!(lines[1].starts_with("192.0.2.1:9908  out        lf/0.1.0  12 ms "), "{text}");
        assert!(lines[1].contains("1,234 synced") && lines[1].ends_with("@abc"), "{text}");
        assert_eq!(lines[1].find("@abc"), lines[0].find("PEER"));
        assert!(lines[2].contains("in         ?         ?"), "{text}");
        assert_eq!(lines[3], "banned for 1 h 0 min: @bad (it lied)");
        assert_eq!(table(&PeersStatus::default(), 0), "No peers are connected.\n");
    }
}
