//! The queue of events before the thread that replicates. Senders from the network wait while it is full, which slows
//! their connections down; what our own threads report is never kept waiting.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::core::sync::Event;

/// Events that may wait; beyond them the network waits.
const EVENTS_MAX: usize = 256;

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    /// Records became linked.
    nudged: bool,
    closed: bool,
}

/// Events on their way to the thread that replicates.
#[derive(Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inbox")
    }
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an event in, waiting for room. After [`Self::close`] it is dropped.
    pub(crate) fn push(&self, event: Event) {
        let full = |state: &mut State| state.events.len() >= EVENTS_MAX && !state.closed;
        let state = self.emptied.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
        self.put(state, event);
    }

    /// Puts an event in at once. For answers to what the replicating thread asked for, which bounds them.
    pub(crate) fn push_now(&self, event: Event) {
        self.put(self.lock(), event);
    }

    fn put(&self, mut state: MutexGuard<'_, State>, event: Event) {
        if !state.closed {
            state.events.push_back(event);
            drop(state);
            self.filled.notify_one();
        }
    }

    /// Tells that records became linked.
    pub(crate) fn nudge(&self) {
        self.lock().nudged = true;
        self.filled.notify_one();
    }

    /// The next event; [`Event::Tick`] after a nudge or when none came for so long; `None` once closed.
    pub(crate) fn pop(&self, time_max: Duration) -> Option<Event> {
        let end = Instant::now() + time_max;
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(event) = state.events.pop_front() {
                drop(state);
                self.emptied.notify_one();
                return Some(event);
            }
            let left = end.saturating_duration_since(Instant::now());
            if std::mem::take(&mut state.nudged) || left.is_zero() {
                return Some(Event::Tick);
            }
            state = self.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends it: nothing goes in any more, and nobody waits.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.events = VecDeque::new();
        drop(state);
        self.filled.notify_all();
        self.emptied.notify_all();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn event(ticket: u64) -> Event {
        Event::Unanswered { ticket }
    }

    fn ticket(event: Option<Event>) -> Option<u64> {
        match event {
            Some(Event::Unanswered { ticket }) => Some(ticket),
            _ => None,
        }
    }

    #[test]
    fn events_come_in_order_and_a_nudge_is_a_tick() {
        let inbox = Inbox::default();
        inbox.push(event(1));
        inbox.nudge();
        inbox.push_now(event(2));
        assert_eq!(ticket(inbox.pop(Duration::from_secs(1_000_000))), Some(1));
        assert_eq!(ticket(inbox.pop(Duration::from_secs(1_000_000))), Some(2));
        assert!(matches!(inbox.pop(Duration::from_secs(1_000_000)), Some(Event::Tick)));
        assert!(matches!(inbox.pop(Duration::ZERO), Some(Event::Tick)));
        inbox.close();
        inbox.push(event(3));
        assert!(inbox.pop(Duration::ZERO).is_none());
    }

    #[test]
    fn the_network_waits_for_room_and_our_own_threads_do_not() {
        let inbox = Inbox::default();
        (0..EVENTS_MAX as u64).for_each(|i| inbox.push(event(i)));
        inbox.push_now(event(1_000));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                inbox.push(event(2_000));
                inbox.push(event(3_000));
            });
            let mut seen = Vec::new();
            while seen.last() != Some(&3_000) {
                seen.extend(ticket(inbox.pop(Duration::ZERO)));
            }
            waiting.join().unwrap();
            assert_eq!(seen.len(), EVENTS_MAX + 3);
            assert_eq!(seen[EVENTS_MAX..], [1_000, 2_000, 3_000]);
        });
        (0..EVENTS_MAX as u64).for_each(|i| inbox.push(event(i)));
        std::thread::scope(|scope| {
            scope.spawn(|| inbox.push(event(4_000)));
            inbox.close();
        });
    }
}
