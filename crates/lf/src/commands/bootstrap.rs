//! `lf node bootstrap`: a home made from a running node, its records checked while they come.

use std::io::{self, Read};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use clap::Args;
use lf_client::{Client, ClientError};
use lf_node::runtime::OfflineNode;
use lf_node::{ImportReport, RunConfig};
use lf_proto::genesis::Genesis;
use lf_proto::hash::Hash;
use serde_json::json;

use super::node::run_failure;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::{interact, ui};

/// A connection on which nothing comes for so long is given up.
const STALL_TIME_MAX: Duration = Duration::from_secs(30);
/// Tries in a row that bring nothing new, before it is left to the user.
const TRIES_MAX: u32 = 5;
/// Bytes read at once, and how many such pieces wait to be checked.
const PIECE_BYTES: usize = 64 << 10;
const PIECES_MAX: usize = 16;
/// How often a wait looks whether the user wants it to end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Make a home from a running node
///
/// Joins the network of that node: fetches its genesis, addresses of peers, and all records, which are checked on all
/// cores while they come. Whatever breaks it off, the same command goes on where it was. A home of another network is
/// not touched.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf node bootstrap http://host:9980\n  lf --path DIR node bootstrap --genesis-id =5nB1… https://lf.example.com\n\n"
)]
pub(crate) struct Bootstrap {
    /// The other node's URL
    url: String,
    /// Join only this network: the hash of its first record (=…, see lf genesis show), or its id, 64 digits
    ///
    /// The hash fixes everything. The id is a number that anybody can put into another genesis.
    #[arg(long, value_name = "ID")]
    genesis_id: Option<NetworkId>,
    /// From and for local test mode
    #[arg(long)]
    localtest: bool,
}

/// What tells one network from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NetworkId {
    /// The number in its parameters.
    Id([u8; 32]),
    /// The hash of its first record.
    First(Hash),
}

impl FromStr for NetworkId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('=') {
            return text.parse().map(NetworkId::First).map_err(|e| format!("{e}"));
        }
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let bytes: Option<Vec<u8>> = text
            .as_bytes()
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
                _ => None,
            })
            .collect();
        let id = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        id.map(NetworkId::Id).ok_or_else(|| "it is = and base62, or 64 hexadecimal digits".to_owned())
    }
}

impl NetworkId {
    fn is_of(self, genesis: &Genesis) -> bool {
        match self {
            NetworkId::Id(id) => genesis.parameters().id == id,
            NetworkId::First(hash) => genesis.first_hash() == hash,
        }
    }
}

pub(crate) fn run(context: &Context, args: &Bootstrap) -> Result<()> {
    let config = RunConfig { local_test: args.localtest, ..RunConfig::new(context.home()?) };
    let client = Client::new([&args.url])?;
    let genesis = client.genesis()?;
    let parameters = genesis.parameters();
    let name = ui::printable(parameters.name.as_bytes());
    ui::note(&format!("Network {name}, id {}", parameters.id_text()));
    ui::note(&format!("First record {}", genesis.first_hash()));
    if args.genesis_id.is_some_and(|wanted| !wanted.is_of(&genesis)) {
        return Err(Failure::new(format!(
            "{} is a node of another network than --genesis-id says",
            args.url
        ))
        .hint("nothing was changed; ask whoever runs the network for its id"));
    }
    let status = client.status()?;
    if status.local_test_mode && !args.localtest {
        return Err(Failure::new(format!(
            "{} is in local test mode: its records carry no work, and no network takes them",
            args.url
        ))
        .hint("for a node in local test mode, too: --localtest"));
    }
    let node = OfflineNode::join(&config, &genesis).map_err(run_failure)?;
    let peers = match client.peers() {
        Ok(peers) => peers,
        // One that does not know the question, knows no peers either.
        Err(ClientError::Api { status: 404, .. }) => Vec::new(),
        Err(e) => return Err(e.into()),
    };
    let peers = node.keep_peers(&peers).map_err(run_failure)?;
    if peers > 0 {
        ui::note(&format!("{} to begin with kept in peers.json", ui::plural(peers as u64, "peer")));
    }
    let begun = Instant::now();
    let before = node.node().linked();
    if !node.is_new() {
        ui::note(&format!("Going on after {}", ui::plural(u64::from(before), "record")));
    }
    let mut fetch = Fetch {
        client: &client,
        node: &node,
        records_promised: status.record_count,
        stop: interact::on_interrupt()?,
        from_start: false,
    };
    let fetched = fetch.all();
    let records = node.node().linked();
    let home = node.directory().display().to_string();
    node.stop().map_err(run_failure)?;
    let new = u64::from(records.saturating_sub(before));
    let summary = format!(
        "{} new in {}, {} in {home}",
        ui::count(new),
        ui::took(begun.elapsed()),
        ui::plural(u64::from(records), "record")
    );
    ui::note(&summary);
    fetched?;
    context.update(|config| {
        let url = args.url.trim().trim_end_matches('/').to_owned();
        if !config.urls.contains(&url) {
            config.urls.push(url);
        }
        Ok(())
    })?;
    ui::note("Start the node: lf node start");
    if context.json {
        return ui::print_json(&json!({
            "Name": parameters.name,
            "ID": parameters.id_text(),
            "Records": records,
            "New": new,
            "Peers": peers,
            "Seconds": begun.elapsed().as_secs_f64(),
        }));
    }
    Ok(())
}

/// Records on their way from a node into a home.
struct Fetch<'a> {
    client: &'a Client,
    node: &'a OfflineNode,
    /// How many the node had when this began.
    records_promised: u64,
    /// Raised when the user wants it to end.
    stop: &'static AtomicBool,
    /// The node has the records of this home in another order, or not all of them: what is here already is passed over.
    from_start: bool,
}

/// How one connection ended.
enum Ended {
    /// All came.
    Whole(ImportReport),
    /// The node does not have what is here, as it is here.
    OtherOrder,
    /// The connection broke, and why.
    Broken(String),
}

impl Fetch<'_> {
    /// Fetches until everything is here, over as many connections as it takes.
    fn all(&mut self) -> Result<()> {
        let mut tries = 0;
        let mut reached = 0;
        loop {
            match self.once()? {
                Ended::OtherOrder => self.from_start = true,
                Ended::Whole(report) if report.refused > 0 => {
                    for refusal in &report.first_refusals {
                        ui::note(&format!("  {refusal}"));
                    }
                    let refused = ui::plural(report.refused, "record");
                    return Err(Failure::new(format!("{refused} of that node break the network's rules"))
                        .hint(
                            "if they are of the future, look at this machine's clock; else use another node",
                        ));
                }
                Ended::Whole(_) if u64::from(self.node.node().linked()) >= self.records_promised => {
                    return Ok(());
                }
                // A cut that looks like an end, or a home that had records of elsewhere.
                Ended::Whole(_) if !self.from_start => self.from_start = true,
                Ended::Whole(_) => {
                    return Err(Failure::new(format!(
                        "the node said it has {} and sent {}",
                        ui::plural(self.records_promised, "record"),
                        ui::count(self.node.node().linked().into())
                    ))
                    .hint("run this again, or start the node: it gets what is missing from peers"));
                }
                Ended::Broken(why) => {
                    let here = self.node.node().linked();
                    tries = if here > reached { 1 } else { tries + 1 };
                    reached = here;
                    if tries >= TRIES_MAX {
                        return Err(Failure::new(format!("the connection broke: {why}"))
                            .hint("the same command goes on where it was"));
                    }
                    let wait = Duration::from_secs(1 << (tries - 1));
                    ui::note(&format!("The connection broke ({why}); again in {}", ui::took(wait)));
                    self.pause(wait)?;
                }
            }
        }
    }

    fn pause(&self, wait: Duration) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < wait {
            self.check_stop()?;
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn check_stop(&self) -> Result<()> {
        if self.stop.load(Relaxed) {
            return Err(Failure::new("stopped").hint("the same command goes on where it was"));
        }
        Ok(())
    }

    /// Fetches over one connection.
    fn once(&self) -> Result<Ended> {
        let internal = |e: lf_node::Failure| Failure::new(e.to_string());
        let after = if self.from_start { None } else { self.node.node().last_linked().map_err(internal)? };
        let body = match self.client.records(after) {
            Ok(body) => body,
            Err(ClientError::Api { status: 404, .. }) if after.is_some() => return Ok(Ended::OtherOrder),
            Err(e @ (ClientError::Unreachable { .. } | ClientError::Api { status: 500.., .. })) => {
                return Ok(Ended::Broken(e.to_string()));
            }
            Err(e) => return Err(e.into()),
        };
        let done_before = after.map_or(0, |(count, _)| u64::from(count));
        let bar = ui::count_bar("Fetching records", Some(self.records_promised)).with_position(done_before);
        bar.reset_eta();
        let mut download = Download::start(body)?;
        let mut progress = |done: lf_node::ImportProgress| {
            let position = done_before + done.records_done;
            bar.set_length(position.max(self.records_promised));
            bar.set_position(position);
        };
        let imported = self.node.node().import(&mut download, &mut progress, self.stop);
        bar.finish_and_clear();
        self.check_stop()?;
        match (imported, download.broken) {
            (_, Some(why)) => Ok(Ended::Broken(why)),
            (Ok(report), None) => Ok(Ended::Whole(report)),
            (Err(e), None) => Err(internal(e)),
        }
    }
}

/// A body that another thread reads, so that whoever waits for it can do something else meanwhile, or give it up.
struct Download {
    pieces: Receiver<io::Result<Vec<u8>>>,
    /// What is left of the last piece.
    piece: io::Cursor<Vec<u8>>,
    /// When something came last.
    heard: Instant,
    /// Why there is no more, if it is not the end.
    broken: Option<String>,
}

impl Download {
    fn start(mut body: impl Read + Send + 'static) -> Result<Self> {
        let (send, pieces) = sync_channel(PIECES_MAX);
        let read = move || {
            loop {
                let mut piece = vec![0; PIECE_BYTES];
                let done = match body.read(&mut piece) {
                    // An end without a break is told by leaving.
                    Ok(0) => true,
                    Ok(count) => {
                        piece.truncate(count);
                        send.send(Ok(piece)).is_err()
                    }
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => false,
                    Err(e) => {
                        // Who has left does not want to know.
                        let _ = send.send(Err(e));
                        true
                    }
                };
                if done {
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name("lf-download".to_owned())
            .spawn(read)
            .map_err(|e| Failure::new(format!("cannot start a thread: {e}")))?;
        Ok(Download { pieces, piece: io::Cursor::default(), heard: Instant::now(), broken: None })
    }

    /// The next piece, empty at the end; or why it does not come.
    fn next_piece(&mut self) -> io::Result<Vec<u8>> {
        match self.pieces.recv_timeout(LOOK_EVERY) {
            Ok(piece) => {
                self.heard = Instant::now();
                piece
            }
            Err(RecvTimeoutError::Disconnected) => Ok(Vec::new()),
            Err(RecvTimeoutError::Timeout) if self.heard.elapsed() > STALL_TIME_MAX => {
                Err(io::Error::other(format!("nothing came for {}", ui::took(STALL_TIME_MAX))))
            }
            Err(RecvTimeoutError::Timeout) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.piece.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        let piece = self.next_piece().inspect_err(|e| {
            if e.kind() != io::ErrorKind::WouldBlock {
                self.broken = Some(e.to_string());
            }
        })?;
        self.piece = io::Cursor::new(piece);
        self.piece.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write as _;

    use super::*;

    #[test]
    fn networks_are_told_apart() {
        let sol = lf_node::sol();
        for text in [
            sol.parameters().id_text(),
            sol.parameters().id_text().to_uppercase(),
            sol.first_hash().to_string(),
        ] {
            assert!(text.parse::<NetworkId>().unwrap().is_of(&sol), "{text}");
        }
        assert!(!"00".repeat(32).parse::<NetworkId>().unwrap().is_of(&sol));
        let long = "0".repeat(65);
        for text in ["", "=", "0", "zz", long.as_str(), "@x"] {
            assert!(text.parse::<NetworkId>().is_err(), "{text}");
        }
    }

    struct Broken(u8);

    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or_else(|| io::Error::other("cable cut"))?;
            buffer[0] = self.0;
            Ok(1)
        }
    }

    /// Reads all there is, however long it takes.
    fn read_all(download: &mut Download) -> (Vec<u8>, io::Result<()>) {
        let (mut all, mut buffer) = (Vec::new(), [0; 1000]);
        loop {
            match download.read(&mut buffer) {
                Ok(0) => return (all, Ok(())),
                Ok(count) => all.extend_from_slice(&buffer[..count]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return (all, Err(e)),
            }
        }
    }

    #[test]
    fn a_download_ends_or_breaks() {
        let mut download = Download::start(io::Cursor::new(vec![7; 200_000])).unwrap();
        let (all, end) = read_all(&mut download);
        assert!(all == [7; 200_000] && end.is_ok() && download.broken.is_none());
        let mut download = Download::start(Broken(3)).unwrap();
        let (all, end) = read_all(&mut download);
        assert_eq!((all.as_slice(), end.unwrap_err().to_string().as_str()), (&[2, 1, 0][..], "cable cut"));
        assert_eq!(download.broken.as_deref(), Some("cable cut"));
    }

    #[test]
    fn waiting_for_a_download_ends() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut download = Download::start(reader).unwrap();
        assert_eq!(download.read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        writer.write_all(b"late").unwrap();
        drop(writer);
        assert_eq!(read_all(&mut download).0, b"late");
    }
}
