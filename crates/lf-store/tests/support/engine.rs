//! An index engine for tests: remembers every commit, loses the newest ones in a crash, and fails on command.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use lf_store::engine::{Change, Engine, EngineError, EngineErrorKind, EnginePlace, MemoryEngine, Snapshot};

#[derive(Default, Debug)]
struct State {
    commits: Vec<Vec<Change>>,
    /// This many commits pass, then all fail until the engine is opened again.
    fail_after: Option<u64>,
    kind: Option<EngineErrorKind>,
    failed: bool,
    opened: u64,
    removed: u64,
}

#[derive(Default, Clone, Debug)]
pub struct SimIndex(Arc<Mutex<State>>);

impl SimIndex {
    /// What a crash leaves: the first `keep` commits.
    pub fn crash(&self, keep: usize) -> SimIndex {
        let commits = self.0.lock().unwrap().commits.iter().take(keep).cloned().collect();
        SimIndex(Arc::new(Mutex::new(State { commits, ..State::default() })))
    }

    pub fn commits(&self) -> usize {
        self.0.lock().unwrap().commits.len()
    }

    pub fn fail_after(&self, commits: u64, kind: EngineErrorKind) {
        let mut state = self.0.lock().unwrap();
        state.fail_after = Some(commits);
        state.kind = Some(kind);
    }

    pub fn opened(&self) -> u64 {
        self.0.lock().unwrap().opened
    }

    pub fn removed(&self) -> u64 {
        self.0.lock().unwrap().removed
    }

    /// Overwrites or removes keys behind everybody's back.
    pub fn tamper(&self, change: impl Fn(&[u8]) -> Option<Option<Vec<u8>>>) {
        let mut state = self.0.lock().unwrap();
        let keys: std::collections::BTreeSet<Vec<u8>> =
            state.commits.iter().flatten().map(|(key, _)| key.clone()).collect();
        let changes: Vec<Change> = keys.into_iter().filter_map(|k| change(&k).map(|v| (k, v))).collect();
        state.commits.push(changes);
    }
}

struct SimEngine {
    map: MemoryEngine,
    state: Arc<Mutex<State>>,
}

impl EnginePlace for SimIndex {
    fn open(&self) -> Result<Arc<dyn Engine>, EngineError> {
        let mut state = self.0.lock().unwrap();
        state.opened += 1;
        if std::mem::take(&mut state.failed) {
            state.fail_after = None;
        }
        let map = MemoryEngine::default();
        for changes in &state.commits {
            map.commit(changes.clone())?;
        }
        Ok(Arc::new(SimEngine { map, state: Arc::clone(&self.0) }))
    }

    fn remove(&self) -> Result<(), EngineError> {
        let mut state = self.0.lock().unwrap();
        state.commits.clear();
        state.removed += 1;
        Ok(())
    }
}

impl Engine for SimEngine {
    fn snapshot(&self) -> Box<dyn Snapshot> {
        self.map.snapshot()
    }

    fn commit(&self, changes: Vec<Change>) -> Result<(), EngineError> {
        let mut state = self.state.lock().unwrap();
        if let Some(left) = &mut state.fail_after {
            if *left == 0 {
                state.failed = true;
                return Err(EngineError::new(state.kind.unwrap(), "injected"));
            }
            *left -= 1;
        }
        state.commits.push(changes.clone());
        self.map.commit(changes)
    }

    fn persist(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.map.bytes()
    }

    fn compact(&self) -> Result<(), EngineError> {
        Ok(())
    }
}
