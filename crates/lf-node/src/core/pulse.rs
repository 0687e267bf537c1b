//! Acceptance of pulses (NODE.md §7): the time window first, then as few hash steps as will do.

use lf_proto::pulse::{PULSE_MINUTES_MAX, Pulse, th64};
use lf_store::{IndexError, View};

use super::Rules;

/// The most records whose time fits that one pulse is compared with.
const CANDIDATES_MAX: usize = 4_096;

/// A pulse that may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptedPulse {
    /// The token of the record it is for.
    pub token: u64,
    /// The pulse.
    pub pulse: Pulse,
}

/// Looks for the record that a pulse is for. `None` if there is none, its time is off, or a later or equal pulse is
/// known. `steps_max` bounds the hash steps; each takes about 15 ns.
///
/// # Errors
/// The store failed.
pub fn check(
    pulse: Pulse,
    view: &View,
    rules: &Rules<'_>,
    now: u64,
    steps_max: u32,
) -> Result<Option<AcceptedPulse>, IndexError> {
    let minutes = pulse.minutes();
    if minutes == 0 || minutes > PULSE_MINUTES_MAX {
        return Ok(None);
    }
    let drift = rules.parameters.record_max_time_drift;
    let made = now.saturating_sub(60 * u64::from(minutes));
    let (from, to) = (made.saturating_sub(drift), made.saturating_add(drift));
    // What each possible record's chain must show after how many steps.
    let mut wanted: Vec<(u32, u64, u64)> = Vec::new();
    for token in view.tokens_between(from, to, CANDIDATES_MAX)? {
        match view.pulse(token)? {
            Some(known) if known.minutes() >= minutes => {}
            Some(known) => wanted.push((minutes - known.minutes(), known.value(), token)),
            None => wanted.push((minutes, token, token)),
        }
    }
    wanted.sort_unstable();
    let (mut step, mut value) = (0, pulse.value());
    for (steps, shows, token) in wanted {
        if steps > steps_max {
            break;
        }
        while step < steps {
            value = th64(value);
            step += 1;
        }
        if value == shows {
            return Ok(Some(AcceptedPulse { token, pulse }));
        }
    }
    Ok(None)
}
