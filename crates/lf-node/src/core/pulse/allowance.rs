//! What pulses of one source may cost: hash steps that grow again with time, so that nobody who sends junk keeps the
//! node from the pulses of others.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use lf_proto::pulse::PULSE_MINUTES_MAX;

/// What a source has to begin with and at most: 64 of the longest chains there are, half a second for a chain alone.
const STEPS_MAX: u64 = 64 * PULSE_MINUTES_MAX as u64;
/// What grows again in a millisecond: eight longest chains a second, a sixteenth of a core.
const STEPS_A_MILLISECOND: u64 = PULSE_MINUTES_MAX as u64 / 125;
/// Sources that are remembered.
const SOURCES_MAX: usize = 4_096;

/// Hash steps that a source has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Allowance {
    steps: u64,
    /// When it grew last.
    at: Instant,
}

impl Allowance {
    fn grow(&mut self, now: Instant) {
        let millis = u64::try_from(now.saturating_duration_since(self.at).as_millis()).unwrap_or(u64::MAX);
        self.steps = self.steps.saturating_add(millis.saturating_mul(STEPS_A_MILLISECOND)).min(STEPS_MAX);
        // What is left of a millisecond counts the next time.
        self.at = self.at.checked_add(Duration::from_millis(millis)).unwrap_or(now);
    }
}

/// The allowances of sources. Bounded: if there are too many sources, those that have the most left are forgotten, who
/// gain the least by beginning anew.
#[derive(Debug)]
pub struct Allowances<S> {
    sources: HashMap<S, Allowance>,
}

impl<S> Default for Allowances<S> {
    fn default() -> Self {
        Allowances { sources: HashMap::new() }
    }
}

impl<S: Hash + Eq> Allowances<S> {
    /// Takes up to `steps_max` of what a source has left. What it does not use, [`Self::give_back`] returns to it.
    pub fn take(&mut self, source: S, steps_max: u64, now: Instant) -> u64 {
        if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&source) {
            self.sources.values_mut().for_each(|allowance| allowance.grow(now));
            let mut left: Vec<u64> = self.sources.values().map(|a| a.steps).collect();
            let middle = *left.select_nth_unstable(SOURCES_MAX / 2).1;
            self.sources.retain(|_, a| a.steps < middle);
        }
        let allowance = self.sources.entry(source).or_insert(Allowance { steps: STEPS_MAX, at: now });
        allowance.grow(now);
        let steps = allowance.steps.min(steps_max);
        allowance.steps -= steps;
        steps
    }

    /// Gives back what a source did not use.
    pub fn give_back(&mut self, source: &S, steps: u64) {
        if let Some(allowance) = self.sources.get_mut(source) {
            allowance.steps = allowance.steps.saturating_add(steps).min(STEPS_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_spent_and_grows_again() {
        let (mut sources, start) = (Allowances::default(), Instant::now());
        let after = |micros| start + Duration::from_micros(micros);
        assert_eq!(sources.take("a", 1000, start), 1000);
        assert_eq!(sources.take("a", u64::MAX, start), STEPS_MAX - 1000);
        assert_eq!((sources.take("a", 1, start), sources.take("b", 1, start)), (0, 1));
        assert_eq!(sources.take("a", u64::MAX, after(1_700)), STEPS_A_MILLISECOND);
        assert_eq!(sources.take("a", u64::MAX, after(2_400)), STEPS_A_MILLISECOND);
        sources.give_back(&"a", 7);
        assert_eq!(sources.take("a", u64::MAX, start), 7, "a clock that goes back gives nothing");
        assert_eq!(sources.take("a", u64::MAX, after(1 << 40)), STEPS_MAX);
        sources.give_back(&"a", u64::MAX);
        assert_eq!(sources.take("a", u64::MAX, after(1 << 40)), STEPS_MAX);
    }

    #[test]
    fn sources_are_bounded_and_who_spent_is_remembered() {
        let (mut sources, now) = (Allowances::default(), Instant::now());
        for source in 0..3 * SOURCES_MAX {
            let steps = sources.take(source, u64::MAX, now);
            assert_eq!(steps, STEPS_MAX);
            if source != 0 {
                sources.give_back(&source, steps);
            }
            assert!(sources.sources.len() <= SOURCES_MAX);
        }
        assert_eq!(sources.take(0, u64::MAX, now), 0);
    }
}
