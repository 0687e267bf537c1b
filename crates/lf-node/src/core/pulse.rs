//! Acceptance of pulses (NODE.md §7): the time window first, then as few hash steps as will do.

use lf_proto::pulse::{Pulse, th64};
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
/// A pulse names no record, but its minute and the clock say when its record was made. So only records of that time are
/// looked at, the one whose known chain is nearest first, and junk costs no more steps than the farthest of them.
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
    let drift = rules.parameters.record_max_time_drift;
    let Some(made) = now.checked_sub(60 * u64::from(pulse.minutes())) else { return Ok(None) };
    let (first, last) = (made.saturating_sub(drift), made.saturating_add(drift));
    // Steps from the pulse to what is known of a record's chain, the value there, and the record's token.
    let mut known: Vec<(u32, u64, u64)> = Vec::new();
    for token in view.tokens_between(first, last, CANDIDATES_MAX)? {
        let (minutes, value) = view.pulse(token)?.map_or((0, token), |p| (p.minutes(), p.value()));
        if minutes < pulse.minutes() {
            known.push((pulse.minutes() - minutes, value, token));
        }
    }
    known.sort_unstable();
    let (mut done, mut value) = (0, pulse.value());
    for (steps, shows, token) in known {
        if steps > steps_max {
            break;
        }
        while done < steps {
            value = th64(value);
            done += 1;
        }
        if value == shows {
            return Ok(Some(AcceptedPulse { token, pulse }));
        }
    }
    Ok(None)
}
