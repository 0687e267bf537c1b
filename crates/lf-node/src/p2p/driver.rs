//! The thread that replicates: it owns the pure state machine of `core::sync`, tells it what happens, and has its
//! actions carried out. What takes long is done elsewhere: records by the verifier's threads, pulses by one of our own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lf_proto::pulse::Pulse;
use lf_store::View;
use tracing::{error, info};

use super::Commands;
use super::board::Board;
use super::inbox::Inbox;
use super::network::Command;
use crate::Node;
use crate::core::pulse::Allowances;
use crate::core::sync::{Action, Event, Now, PeerId, PeerStatus, Sync, SyncStatus, Ticket};

/// How long the state machine may wait for the time to be told.
const TICK: Duration = Duration::from_millis(50);
/// How often its status is posted.
const POST_EVERY: Duration = Duration::from_millis(200);
/// How often the engine is told what waits for approval, at most.
const LIMBO_EVERY: Duration = Duration::from_secs(1);
/// How often progress is logged while records are missing.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// Portions of pulses that may wait; more are not news, as if they had been lost on the way.
const PULSE_JOBS_MAX: usize = 256;

/// What the thread drives: [`Sync`], or a stand-in in tests.
pub(super) trait Engine: Send + 'static {
    fn handle(&mut self, event: Event, view: &View, now: Now);
    fn poll(&mut self) -> Option<Action>;
    fn status(&self) -> SyncStatus;
    fn peer(&self, peer: &PeerId) -> Option<PeerStatus>;
}

impl Engine for Sync {
    fn handle(&mut self, event: Event, view: &View, now: Now) {
        Sync::handle(self, event, view, now);
    }

    fn poll(&mut self) -> Option<Action> {
        Sync::poll(self)
    }

    fn status(&self) -> SyncStatus {
        Sync::status(self)
    }

    fn peer(&self, peer: &PeerId) -> Option<PeerStatus> {
        Sync::peer(self, peer)
    }
}

/// Pulses to be checked.
struct PulseJob {
    ticket: Ticket,
    peer: PeerId,
    pulses: Vec<Pulse>,
}

/// The thread, and the one that checks pulses for it.
#[derive(Debug)]
pub(super) struct Driver {
    threads: Vec<JoinHandle<()>>,
}

impl Driver {
    /// Starts the threads. They end when the inbox is closed.
    ///
    /// # Errors
    /// The system gives no threads.
    pub(super) fn start(
        engine: impl Engine,
        node: Node,
        inbox: Arc<Inbox>,
        commands: Commands,
        board: Arc<Board>,
    ) -> std::io::Result<Self> {
        let (sender, jobs) = sync_channel(PULSE_JOBS_MAX);
        let pulses = std::thread::Builder::new().name("lf-sync-pulse".to_owned()).spawn({
            let (node, inbox) = (node.clone(), inbox.clone());
            move || check_pulses(&node, &inbox, &jobs)
        })?;
        let driving = Driving {
            engine,
            node,
            inbox,
            commands,
            board,
            pulses: sender,
            peers: HashSet::new(),
            started: Instant::now(),
            posted: None,
            limbo: (0, None),
            logged: None,
        };
        let sync = std::thread::Builder::new().name("lf-sync".to_owned()).spawn(move || driving.run())?;
        Ok(Driver { threads: vec![sync, pulses] })
    }

    /// Waits for the threads to end.
    pub(super) fn join(self) {
        for thread in self.threads {
            // One that hit a bug has said so.
            let _ = thread.join();
        }
    }
}

struct Driving<E> {
    engine: E,
    node: Node,
    inbox: Arc<Inbox>,
    commands: Commands,
    board: Arc<Board>,
    pulses: SyncSender<PulseJob>,
    /// Who is connected.
    peers: HashSet<PeerId>,
    started: Instant,
    posted: Option<Instant>,
    /// The version of limbo that the engine was told, and when.
    limbo: (u64, Option<Instant>),
    logged: Option<Instant>,
}

/// Whatever ends the thread: those who send events must not wait for it.
struct CloseOnDrop(Arc<Inbox>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!("replication hit a bug and has ended; restart the node");
        }
        self.0.close();
    }
}

impl<E: Engine> Driving<E> {
    fn run(mut self) {
        let _guard = CloseOnDrop(self.inbox.clone());
        while let Some(event) = self.inbox.pop(TICK) {
            match &event {
                Event::Connected { peer, .. } => drop(self.peers.insert(*peer)),
                Event::Disconnected { peer } => drop(self.peers.remove(peer)),
                _ => {}
            }
            self.tell_limbo();
            let now = self.now();
            self.engine.handle(event, &self.node.reader().view(), now);
            while let Some(action) = self.engine.poll() {
                self.carry_out(action);
            }
            self.post();
        }
    }

    /// Tells the engine what waits for approval, when that changed.
    fn tell_limbo(&mut self) {
        let (version, told) = self.limbo;
        if told.is_some_and(|told| told.elapsed() < LIMBO_EVERY) {
            return;
        }
        let current = self.node.limbo_version();
        self.limbo = (current, Some(Instant::now()));
        if current != version {
            let event = Event::Limbo { records: self.node.limbo_records() };
            self.engine.handle(event, &self.node.reader().view(), self.now());
        }
    }

    fn now(&self) -> Now {
        let ticks_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { ticks_ms, unix_secs: super::gate::now_secs() }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Ask { peer, ticket, bytes } => self.command(Command::Ask { peer, ticket, bytes }),
            Action::Reply { asked, bytes } => self.command(Command::Reply { asked, bytes }),
            Action::Publish { bytes } => self.command(Command::Publish { bytes }),
            Action::Judge { message, verdict, .. } => self.command(Command::Judge { message, verdict }),
            Action::SettleNames => self.node.settle_names(),
            Action::Ban { peer, secs, reason } => {
                self.command(Command::Ban { peer, secs, reason: reason.to_owned() });
            }
            Action::Check { ticket, peer, records } => {
                let inbox = self.inbox.clone();
                self.node.check_from_peer(peer, records, move |outcomes| {
                    inbox.push_now(Event::Checked { ticket, outcomes });
                });
            }
            Action::CheckPulses { ticket, peer, pulses } => {
                let job = PulseJob { ticket, peer, pulses };
                if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) =
                    self.pulses.try_send(job)
                {
                    let news = vec![false; job.pulses.len()];
                    self.inbox.push_now(Event::PulsesChecked { ticket: job.ticket, news });
                }
            }
        }
    }

    fn command(&self, command: Command) {
        // Nobody takes it any more only when the node stops.
        let _ = self.commands.send(command);
    }

    fn post(&mut self) {
        if self.posted.is_some_and(|posted| posted.elapsed() < POST_EVERY) {
            return;
        }
        self.posted = Some(Instant::now());
        let status = self.engine.status();
        let peers: HashMap<PeerId, PeerStatus> =
            self.peers.iter().filter_map(|peer| Some((*peer, self.engine.peer(peer)?))).collect();
        if status.missing > 0 && self.logged.is_none_or(|logged| logged.elapsed() >= PROGRESS_EVERY) {
            self.logged = Some(Instant::now());
            info!(missing = status.missing, fetched = status.fetched, peers = status.peers, "replicating");
        }
        if status.missing == 0 && self.logged.take().is_some() {
            info!(fetched = status.fetched, "replicated: nothing is missing");
        }
        self.board.post_sync(status, peers);
    }
}

/// The thread that checks pulses: what they cost is the sender's, within its allowance.
fn check_pulses(node: &Node, inbox: &Inbox, jobs: &Receiver<PulseJob>) {
    let mut allowances: Allowances<PeerId> = Allowances::default();
    while let Ok(PulseJob { ticket, peer, pulses }) = jobs.recv() {
        let mut steps = allowances.take(peer, u64::MAX, Instant::now());
        let news = node.pulses(&pulses, &mut steps).unwrap_or_else(|_| vec![false; pulses.len()]);
        allowances.give_back(&peer, steps);
        inbox.push_now(Event::PulsesChecked { ticket, news });
    }
}
