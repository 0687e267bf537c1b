//! Checking many pulses together: each walks its chain to the nearest minute at which any record of its time is known,
//! is looked up there, and walks on. All walk side by side; far walks are paid for.

use lf_proto::pulse::{Pulse, th64_n_each};
use lf_store::{IndexError, View};

use super::{AcceptedPulse, KnownPulses, made_between};
use crate::core::Rules;

/// Steps that each pulse has for nothing: a chain that is pulsed every few minutes is known that near.
const FREE_STEPS: u32 = 16;

/// A pulse on its way along the chain.
#[derive(Debug)]
struct Walk {
    /// Which of the batch.
    index: usize,
    /// First and last second at which its record may have been made.
    made: (u64, u64),
    /// Where it is.
    minutes: u32,
    value: u64,
    /// Steps to where it is looked up next.
    steps: u32,
    /// The last change of what was known when it set out; `None` before.
    since: Option<u64>,
    /// Whether it set out a second time.
    again: bool,
}

/// Pulses under check. Those that are near what is known are decided by [`PulseBatch::near`]; the others take turns of
/// [`PulseBatch::far`], for which nothing needs to be locked, and [`PulseBatch::near`].
#[derive(Debug)]
pub struct PulseBatch {
    pulses: Vec<Pulse>,
    accepted: Vec<Option<AcceptedPulse>>,
    /// To be looked up.
    near: Vec<Walk>,
    /// To be walked.
    far: Vec<Walk>,
}

/// Checks pulses: one answer each, that of [`check`](super::check), as long as the `steps` suffice.
///
/// # Errors
/// The store failed.
pub fn check_all(
    pulses: &[Pulse],
    known: &mut KnownPulses,
    view: &View,
    rules: &Rules<'_>,
    now: u64,
    steps: &mut u64,
) -> Result<Vec<Option<AcceptedPulse>>, IndexError> {
    let mut batch = PulseBatch::new(pulses, rules, now);
    batch.near(known, view, rules, steps)?;
    while batch.far(steps) {
        batch.near(known, view, rules, steps)?;
    }
    Ok(batch.into_accepted())
}

impl PulseBatch {
    /// A batch to be checked. What cannot be of about now is refused at once.
    pub fn new(pulses: &[Pulse], rules: &Rules<'_>, now: u64) -> Self {
        let walk = |(index, pulse): (usize, &Pulse)| {
            let made = made_between(*pulse, rules, now)?;
            let (minutes, value) = (pulse.minutes(), pulse.value());
            Some(Walk { index, made, minutes, value, steps: 0, since: None, again: false })
        };
        PulseBatch {
            pulses: pulses.to_vec(),
            accepted: vec![None; pulses.len()],
            near: pulses.iter().enumerate().filter_map(walk).collect(),
            far: Vec::new(),
        }
    }

    /// Looks up all pulses that have got where something is known, and decides or sends on each of them. What takes
    /// more than a few steps is left to [`Self::far`]. `steps` pays for what must be read from the store.
    ///
    /// # Errors
    /// The store failed.
    pub fn near(
        &mut self,
        known: &mut KnownPulses,
        view: &View,
        rules: &Rules<'_>,
        steps: &mut u64,
    ) -> Result<(), IndexError> {
        known.follow(view, rules.parameters.record_max_time_drift)?;
        let mut chains: Vec<(u64, u32)> = Vec::new();
        while !self.near.is_empty() {
            for mut walk in std::mem::take(&mut self.near) {
                if self.look(&mut walk, known, view, steps)? {
                    let pulse = self.pulses[walk.index];
                    let walked = pulse.minutes() - walk.minutes;
                    if walked + walk.steps <= FREE_STEPS { &mut self.near } else { &mut self.far }.push(walk);
                }
            }
            step(&mut self.near, &mut chains);
        }
        Ok(())
    }

    /// Looks a pulse up where it is; returns whether it has further to go, and how far.
    fn look(
        &mut self,
        walk: &mut Walk,
        known: &mut KnownPulses,
        view: &View,
        steps: &mut u64,
    ) -> Result<bool, IndexError> {
        let (first, last) = walk.made;
        if !known.load(first, last, view, steps)? {
            return Ok(false);
        }
        let pulse = self.pulses[walk.index];
        let since = *walk.since.get_or_insert_with(|| known.changed(first, last));
        let accept = |token, known| Some(AcceptedPulse { token, pulse, known });
        let mut target = known.latest(walk.minutes, first, last);
        if target == Some(walk.minutes) {
            let found = known.find(walk.value, walk.minutes, first, last);
            if let Some(token) = found {
                // Known at its own minute: it is no news.
                if walk.minutes < pulse.minutes() {
                    self.accepted[walk.index] = accept(token, walk.value);
                }
                return Ok(false);
            }
            target = walk.minutes.checked_sub(1).and_then(|before| known.latest(before, first, last));
        }
        if target.is_none() && known.is_overfull(first, last) {
            if walk.minutes == 0 {
                let found = known.find_stored(walk.value, pulse.minutes(), walk.made, view, steps)?;
                self.accepted[walk.index] = found.and_then(|known| accept(walk.value, known));
                return Ok(false);
            }
            target = Some(0);
        }
        let Some(target) = target else {
            // What it was on its way to may have been renewed meanwhile, behind its back.
            if walk.again || walk.minutes == pulse.minutes() || known.changed(first, last) == since {
                return Ok(false);
            }
            let (minutes, value) = (pulse.minutes(), pulse.value());
            *walk = Walk { minutes, value, since: None, again: true, ..*walk };
            return self.look(walk, known, view, steps);
        };
        walk.steps = walk.minutes - target;
        Ok(true)
    }

    /// Walks the pulses that [`Self::near`] left to where they are looked up next, the nearest first, as far as `steps`
    /// suffice; the rest is refused. Returns whether there was any.
    pub fn far(&mut self, steps: &mut u64) -> bool {
        self.far.sort_by_key(|walk| walk.steps);
        for walk in self.far.drain(..) {
            match steps.checked_sub(u64::from(walk.steps)) {
                Some(left) => *steps = left,
                None => break,
            }
            self.near.push(walk);
        }
        step(&mut self.near, &mut Vec::new());
        !self.near.is_empty()
    }

    /// Whether any pulse was left to [`Self::far`].
    pub fn has_far(&self) -> bool {
        !self.far.is_empty()
    }

    /// What is accepted so far and was not taken before.
    pub fn take_accepted(&mut self) -> Vec<(usize, AcceptedPulse)> {
        self.accepted.iter_mut().enumerate().filter_map(|(index, a)| Some((index, a.take()?))).collect()
    }

    /// The answers, one for each pulse.
    fn into_accepted(self) -> Vec<Option<AcceptedPulse>> {
        self.accepted
    }
}

/// Takes all walks to where they are looked up next.
fn step(walks: &mut [Walk], chains: &mut Vec<(u64, u32)>) {
    chains.clear();
    chains.extend(walks.iter().map(|walk| (walk.value, walk.steps)));
    th64_n_each(chains);
    for (walk, (value, _)) in walks.iter_mut().zip(chains) {
        walk.value = *value;
        walk.minutes -= std::mem::take(&mut walk.steps);
    }
}
