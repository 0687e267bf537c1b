//! The nodes of a test network: processes of this very program, which end when this one does.
//!
//! Each has a pipe of ours as its stdin and stops when that ends, so that none outlives us even if we are killed.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use lf_client::{Client, Config, OwnerEntry};
use lf_proto::api::{BanRequest, NodeStatus, Peer};
use lf_proto::base62;
use lf_proto::genesis::Genesis;
use lf_proto::hash::Hash;
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::record::RecordStream;

use super::{Interrupt, LOOK_EVERY};
use crate::context::new_secret;
use crate::failure::{Failure, Result};
use crate::ui;

/// How long a node may take to start.
const START_TIME_MAX: Duration = Duration::from_secs(60);
/// How long the nodes may take to stop before they are killed.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);
/// Nodes that a new one is told of.
const SEEDS: usize = 8;
/// Bytes read of a dump at once.
const PIECE_BYTES: usize = 1 << 16;

/// A node, running or not.
pub(super) struct Node {
    home: PathBuf,
    /// The process, while it runs.
    child: Option<Child>,
    http: SocketAddr,
    p2p: SocketAddr,
    /// Asks it.
    pub(super) client: Client,
    /// `@` and base62.
    identity: String,
}

/// All nodes. Ends them when dropped.
pub(super) struct Network {
    directory: PathBuf,
    genesis: Genesis,
    interrupt: Interrupt,
    /// Who writes: the default owner in all homes.
    pub(super) owner: OwnerSecret,
    /// Somebody else, in all homes too.
    pub(super) rival: OwnerSecret,
    nodes: Vec<Node>,
}

/// What two nodes that agree have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holdings(BTreeSet<Hash>);

impl Network {
    /// None yet; their homes will be in this directory.
    pub(super) fn new(directory: &Path, genesis: Genesis, interrupt: Interrupt) -> Result<Self> {
        let (owner, rival) = (new_secret(OwnerType::Ed25519)?, new_secret(OwnerType::Ed25519)?);
        Ok(Network { directory: directory.to_owned(), genesis, interrupt, owner, rival, nodes: Vec::new() })
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(super) fn home(&self, index: usize) -> &Path {
        self.nodes.get(index).map_or(&self.directory, |node| &node.home)
    }

    pub(super) fn url(&self, index: usize) -> String {
        self.nodes.get(index).map(|node| format!("http://{}", node.http)).unwrap_or_default()
    }

    /// Starts one more node, with an empty disk but for genesis.lf, and gives its place.
    pub(super) fn start_next(&mut self) -> Result<usize> {
        let index = self.nodes.len();
        let home = self.directory.join((index + 1).to_string());
        let cannot = |e: std::io::Error| Failure::new(format!("cannot write {}: {e}", home.display()));
        std::fs::create_dir_all(&home).map_err(cannot)?;
        std::fs::write(home.join("genesis.lf"), self.genesis.to_bytes()).map_err(cannot)?;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (child, http, p2p) = self.spawn(&home, any, any, index)?;
        // From here on the child is somebody's who ends it.
        let child = Guard(Some(child));
        let url = format!("http://{http}");
        Config::update(&home.join("client.json"), |config| -> Result<()> {
            config.put_url_first(&url);
            config.owners.insert("user".to_owned(), OwnerEntry::new(&self.owner, true));
            config.owners.insert("rival".to_owned(), OwnerEntry::new(&self.rival, false));
            Ok(())
        })?;
        let client = Client::new([&url])?;
        let identity = format!("@{}", base62::encode(&client.status()?.identity.0));
        let child = child.keep();
        self.nodes.push(Node { home, child, http, p2p, client, identity });
        Ok(index)
    }

    /// Starts a node's process and waits until it is ready.
    fn spawn(
        &self,
        home: &Path,
        http: SocketAddr,
        p2p: SocketAddr,
        index: usize,
    ) -> Result<(Child, SocketAddr, SocketAddr)> {
        let cannot = |e: std::io::Error| Failure::new(format!("cannot start node {}: {e}", index + 1));
        let mut command = Command::new(std::env::current_exe().map_err(cannot)?);
        command.arg("--path").arg(home).args(["node", "start", "--testnet", "--while-stdin"]);
        command.args(["--http", &http.to_string(), "--p2p", &p2p.to_string()]);
        let others = self.nodes.iter().enumerate().filter(|(i, node)| *i != index && node.child.is_some());
        for (_, other) in others.collect::<Vec<_>>().into_iter().rev().take(SEEDS) {
            command.args(["--seed", &other.p2p.to_string()]);
        }
        // Ctrl-C is for us: we end the nodes in our own time.
        lf_platform::own_group(&mut command).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = Guard(Some(command.spawn().map_err(cannot)?));
        let line = first_line(child.child()).map_err(cannot)?;
        let line =
            self.interrupt.wait_for(&format!("node {} started", index + 1), START_TIME_MAX, || match line
                .try_recv()
            {
                Ok(line) => Ok(Some(line)),
                Err(TryRecvError::Empty) => Ok(None),
                Err(TryRecvError::Disconnected) => Ok(Some(String::new())),
            })?;
        let (http, port) = ready(&line).ok_or_else(|| {
            Failure::new(format!("node {} did not start", index + 1)).hint("what it said is above")
        })?;
        let child = child.keep().ok_or_else(|| Failure::new("no process"))?;
        Ok((child, http, SocketAddr::new(p2p.ip(), port)))
    }

    /// Kills a node as a crash does.
    pub(super) fn kill(&mut self, index: usize) -> Result<()> {
        if let Some(mut child) = self.nodes.get_mut(index).and_then(|node| node.child.take()) {
            let killed = child.kill().and_then(|()| child.wait());
            killed.map_err(|e| Failure::new(format!("cannot kill node {}: {e}", index + 1)))?;
        }
        Ok(())
    }

    /// Starts a node again where it was.
    pub(super) fn restart(&mut self, index: usize) -> Result<()> {
        let Some(node) = self.nodes.get(index) else { return Ok(()) };
        let (child, ..) = self.spawn(&node.home, node.http, node.p2p, index)?;
        if let Some(node) = self.nodes.get_mut(index) {
            node.child = Some(child);
        }
        Ok(())
    }

    /// An error if a node has ended by itself.
    pub(super) fn check_alive(&mut self) -> Result<()> {
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let ended = node.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if let Some(status) = ended {
                return Err(Failure::new(format!("node {} has ended: {status}", index + 1))
                    .hint(format!("its log is {}", node.home.join("node.log").display())));
            }
        }
        Ok(())
    }

    /// Waits until all nodes have connections and miss nothing.
    pub(super) fn wait_joined(&self, time_max: Duration) -> Result<()> {
        let peers_min = SEEDS.min(self.nodes.len().saturating_sub(1));
        self.interrupt.wait_for("all nodes are connected and synchronized", time_max, || {
            let joined = |status: &NodeStatus| status.fully_synchronized && status.peers.len() >= peers_min;
            self.all(|node| Ok(joined(&node.client.status()?)))
        })
    }

    /// Waits until a condition holds on these nodes.
    pub(super) fn wait_on(
        &self,
        nodes: &[usize],
        what: &str,
        time_max: Duration,
        mut holds: impl FnMut(&Node) -> Result<bool>,
    ) -> Result<Duration> {
        let begun = Instant::now();
        for node in nodes.iter().filter_map(|index| self.nodes.get(*index)) {
            let left = time_max.saturating_sub(begun.elapsed());
            self.interrupt.wait_for(what, left, || Ok(holds(node)?.then_some(())))?;
        }
        Ok(begun.elapsed())
    }

    /// Waits until all running nodes have so many records, and the same.
    pub(super) fn wait_same(&self, records: u64, time_max: Duration) -> Result<(Duration, Holdings)> {
        let begun = Instant::now();
        let what = format!("all nodes have the same {}", ui::plural(records, "record"));
        let holdings = self.interrupt.wait_for(&what, time_max, || {
            let counted = |node: &Node| Ok(node.client.status()?.record_count == records);
            if self.all(counted)?.is_none() {
                return Ok(None);
            }
            let mut holdings = self.running().map(Node::holdings);
            let Some(first) = holdings.next().transpose()? else { return Ok(None) };
            // What is counted can be seen a moment later.
            if first.0.len() as u64 != records {
                return Ok(None);
            }
            for other in holdings {
                if other? != first {
                    return Ok(None);
                }
            }
            Ok(Some(first))
        })?;
        Ok((begun.elapsed(), holdings))
    }

    fn running(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.child.is_some())
    }

    /// Whether something holds on all running nodes.
    fn all(&self, holds: impl Fn(&Node) -> Result<bool>) -> Result<Option<()>> {
        for node in self.running() {
            if !holds(node)? {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }

    /// Keeps two groups of nodes apart: each bans the other's.
    pub(super) fn part(&self, left: &[usize], right: &[usize]) -> Result<()> {
        self.across(left, right, |node, other| {
            node.client.ban(&BanRequest { peer: other.identity.clone(), hours: None })
        })
    }

    /// Brings the groups together again.
    pub(super) fn join(&self, left: &[usize], right: &[usize]) -> Result<()> {
        self.across(left, right, |node, other| {
            node.client.unban(&BanRequest { peer: other.identity.clone(), hours: None })
        })?;
        self.across(left, right, |node, other| {
            node.client.connect(&Peer { address: other.p2p.to_string(), ..Peer::default() })
        })
    }

    /// Does something with each pair of nodes of two groups, both ways.
    fn across(
        &self,
        left: &[usize],
        right: &[usize],
        act: impl Fn(&Node, &Node) -> Result<(), lf_client::ClientError>,
    ) -> Result<()> {
        for (here, there) in left.iter().flat_map(|a| right.iter().flat_map(|b| [(*a, *b), (*b, *a)])) {
            if let (Some(node), Some(other)) = (self.nodes.get(here), self.nodes.get(there)) {
                act(node, other)?;
            }
        }
        Ok(())
    }

    /// The nodes in columns.
    pub(super) fn table(&self) -> Result<String> {
        let head = ["NODE", "URL", "HOME", "PEERS", "RECORDS", "SYNCHRONIZED"];
        let mut rows = vec![head.map(str::to_owned)];
        for (index, node) in self.nodes.iter().enumerate() {
            let status = node.client.status()?;
            rows.push([
                (index + 1).to_string(),
                self.url(index),
                node.home.display().to_string(),
                status.peers.len().to_string(),
                ui::count(status.record_count),
                if status.fully_synchronized { "yes" } else { "no" }.to_owned(),
            ]);
        }
        let widths: Vec<usize> = (0..head.len())
            .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        let mut out = String::new();
        for row in &rows {
            let cells = row.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}"));
            out.push_str(&format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end()));
        }
        Ok(out)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let mut children: Vec<Child> = self.nodes.iter_mut().filter_map(|node| node.child.take()).collect();
        for child in &mut children {
            drop(child.stdin.take());
        }
        let begun = Instant::now();
        while begun.elapsed() < STOP_TIME_MAX
            && children.iter_mut().any(|child| matches!(child.try_wait(), Ok(None)))
        {
            std::thread::sleep(LOOK_EVERY);
        }
        children.into_iter().for_each(|child| drop(Guard(Some(child))));
    }
}

impl Node {
    /// All its records.
    fn holdings(&self) -> Result<Holdings> {
        let cannot = |e: &dyn std::fmt::Display| Failure::new(format!("cannot read all records: {e}"));
        let mut dump = self.client.records(None)?;
        let (mut stream, mut hashes) = (RecordStream::default(), BTreeSet::new());
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            while stream.wants_more() {
                match dump.read(&mut piece).map_err(|e| cannot(&e))? {
                    0 => stream.end(),
                    read => stream.push(piece.get(..read).unwrap_or_default()),
                }
            }
            match stream.next_record().map_err(|e| cannot(&e))? {
                Some(record) => hashes.insert(record.hash()),
                None => return Ok(Holdings(hashes)),
            };
        }
    }
}

/// Kills a process unless it is kept.
struct Guard(Option<Child>);

impl Guard {
    fn child(&mut self) -> Option<&mut Child> {
        self.0.as_mut()
    }

    fn keep(mut self) -> Option<Child> {
        self.0.take()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a process prints first; the rest is read, so that it never waits for us, and thrown away.
fn first_line(child: Option<&mut Child>) -> std::io::Result<Receiver<String>> {
    let stdout = child.and_then(|child| child.stdout.take());
    let stdout = stdout.ok_or_else(|| std::io::Error::other("no stdout"))?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        // Nothing to read, or nobody who waits for it: the node has ended, or we have.
        let _ = stdout.read_line(&mut line);
        let _ = sender.send(line);
        let _ = std::io::copy(&mut stdout, &mut std::io::sink());
    });
    Ok(receiver)
}

/// Where a node serves HTTP and its port for peers, from the line that says it is ready.
fn ready(line: &str) -> Option<(SocketAddr, u16)> {
    let mut words = line.split([' ', ',']).filter(|word| !word.is_empty());
    let http = words.find_map(|word| word.strip_prefix("http://"))?.parse().ok()?;
    let port = words.skip_while(|word| *word != "port").nth(1)?.parse().ok()?;
    Some((http, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_ready_node_says() {
        let line = "lf node is ready: http://127.0.0.1:4711, peers on port 815 (home /t/1, test network)\n";
        assert_eq!(ready(line), Some((SocketAddr::from((Ipv4Addr::LOCALHOST, 4711)), 815)));
        assert_eq!(ready("lf node is ready: no HTTP, peers on port 815 (home /t/1)"), None);
        assert_eq!(ready(""), None);
    }
}
