//! What is known of names: from the cache, else from the node. A name is asked for once at a time, however many wait for it;
//! while the node is away, what it said before is good enough, for a bounded time.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::Log;
use crate::DomainName;
use crate::cache::{Cache, Lifetimes};
use crate::node::{AskError, Node, Told};
use crate::query::Known;
use crate::trust::ordinal_name;

/// Names that are remembered, a kilobyte or so each.
const NAMES_MAX: usize = 20_000;
/// Names that are being asked for or wait to be.
const WAITING_MAX: usize = 1_000;
/// Questions to the node at a time.
const ASKING_MAX: usize = 8;
/// After so long an old answer is given, if there is one (RFC 8767's client response timer).
const PATIENCE: Duration = Duration::from_millis(1800);
/// After so long it is a failure.
const PATIENCE_MAX: Duration = Duration::from_secs(5);
/// For so long a node that is away is not asked again.
const AWAY: Duration = Duration::from_secs(1);
/// Answers of the node that make no sense are told that often at most.
const QUIET: Duration = Duration::from_secs(10);
/// Records not served that are remembered, so that each is told once.
const TOLD_MAX: usize = 1_000;

#[derive(Clone)]
pub(super) struct Lookups(Arc<Inner>);

struct Inner {
    node: Node,
    log: Log,
    asking: Semaphore,
    state: Mutex<State>,
}

struct State {
    cache: Cache,
    /// Names that are being asked for; the sender is dropped when that is done.
    waiting: HashMap<DomainName, watch::Receiver<()>>,
    /// Until when the node is left alone, if it did not answer last time.
    away_until: Option<Duration>,
    told: HashSet<[u8; 32]>,
    /// Until when no more is said about wrong answers.
    quiet_until: Duration,
}

impl Lookups {
    pub(super) fn new(node: Node, lifetimes: Lifetimes, log: Log) -> Self {
        let state = State {
            cache: Cache::new(lifetimes, NAMES_MAX),
            waiting: HashMap::new(),
            away_until: None,
            told: HashSet::new(),
            quiet_until: Duration::ZERO,
        };
        Lookups(Arc::new(Inner { node, log, asking: Semaphore::new(ASKING_MAX), state: Mutex::new(state) }))
    }

    /// What is known of a name; asks the node if that is not fresh. `now` is since the server began.
    pub(super) async fn know(&self, name: &DomainName, now: Duration) -> Known {
        let begun = tokio::time::Instant::now();
        let (old, mut done) = match self.begin(name, now) {
            Begun::Known(known) => return known,
            Begun::Asking(old, done) => (old, done),
        };
        let patience = if old.is_some() { PATIENCE } else { PATIENCE_MAX };
        // The sender says nothing: that it is gone is what is waited for.
        let _ = tokio::time::timeout(patience, done.changed()).await;
        let now = now.saturating_add(begun.elapsed());
        self.0.lock().cache.get(name, now).or(old).unwrap_or(Known::Nothing)
    }

    fn begin(&self, name: &DomainName, now: Duration) -> Begun {
        let mut state = self.0.lock();
        let old = match state.cache.get(name, now) {
            Some(fresh @ Known::Fresh(_)) => return Begun::Known(fresh),
            old => old,
        };
        if let Some(done) = state.waiting.get(name) {
            return Begun::Asking(old, done.clone());
        }
        let away = state.away_until.is_some_and(|until| now < until);
        if away || state.waiting.len() >= WAITING_MAX {
            return Begun::Known(old.unwrap_or(Known::Nothing));
        }
        let (asking, done) = watch::channel(());
        state.waiting.insert(name.clone(), done.clone());
        drop(state);
        tokio::spawn(self.clone().ask(name.clone(), now, asking));
        Begun::Asking(old, done)
    }

    async fn ask(self, name: DomainName, now: Duration, asking: watch::Sender<()>) {
        let begun = tokio::time::Instant::now();
        // The semaphore is never closed, and asking does not panic; if it did, nothing would be known.
        let permit = self.0.asking.acquire().await;
        let (inner, asked) = (self.0.clone(), name.clone());
        let told = tokio::task::spawn_blocking(move || inner.node.ask(&asked)).await;
        drop(permit);
        let told = told.unwrap_or_else(|_| Err(AskError::Wrong("asking failed".to_owned())));
        self.0.heard(name, told, now.saturating_add(begun.elapsed()));
        drop(asking);
    }
}

enum Begun {
    Known(Known),
    Asking(Option<Known>, watch::Receiver<()>),
}

impl Inner {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self, name: DomainName, told: Result<Told, AskError>, now: Duration) {
        let mut lines = Vec::new();
        let mut state = self.lock();
        state.waiting.remove(&name);
        match told {
            Ok(told) => {
                if state.away_until.take().is_some() {
                    lines.push("the node answers again".to_owned());
                }
                for passed in told.passed {
                    if state.told.len() < TOLD_MAX && state.told.insert(passed.hash.0) {
                        let (ty, hash, owner) = (ordinal_name(passed.ordinal), passed.hash, passed.owner);
                        lines.push(format!("not served: {name} {ty} of {owner} ({hash}): {}", passed.reason));
                    }
                }
                state.cache.put(name, Arc::new(told.records), now);
            }
            Err(AskError::Away(problem)) => {
                if state.away_until.replace(now.saturating_add(AWAY)).is_none() {
                    lines.push(format!(
                        "the node is away: {problem}; what it said before is served for a while"
                    ));
                }
            }
            Err(AskError::Wrong(problem)) => {
                if now >= state.quiet_until {
                    state.quiet_until = now.saturating_add(QUIET);
                    lines.push(format!("cannot answer for {name}: {problem}"));
                }
            }
        }
        drop(state);
        lines.iter().for_each(|line| (self.log)(line));
    }
}
