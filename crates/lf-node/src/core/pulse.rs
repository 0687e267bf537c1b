//! Acceptance of pulses (NODE.md §7): the time window first, then as few hash steps as will do.
//!
//! [`check`] says what is accepted, one pulse at a time, by looking at all records of the time. Nodes check by
//! [`check_all`] (or, to let others in between, by a [`PulseBatch`]): many pulses together, against what [`KnownPulses`]
//! remembers, with the hash chains walked side by side and within a budget.

mod allowance;
mod batch;
mod known;
#[cfg(test)]
mod tests;

use lf_proto::pulse::{Pulse, th64};
use lf_store::{IndexError, View};

pub use self::allowance::Allowances;
pub use self::batch::{PulseBatch, check_all};
pub use self::known::KnownPulses;
use super::Rules;

/// A pulse that may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptedPulse {
    /// The token of the record it is for.
    pub token: u64,
    /// The pulse.
    pub pulse: Pulse,
    /// The value of the latest pulse known when it was checked, or the token itself.
    pub known: u64,
}

/// When the record of a pulse must have been made for the pulse to be of about now: first and last second. `None` if
/// that is before 1970.
fn made_between(pulse: Pulse, rules: &Rules<'_>, now: u64) -> Option<(u64, u64)> {
    let drift = rules.parameters.record_max_time_drift;
    let made = now.checked_sub(60 * u64::from(pulse.minutes()))?;
    Some((made.saturating_sub(drift), made.saturating_add(drift)))
}

/// Looks for the record that a pulse is for. `None` if there is none, its time is off, or a later or equal pulse is
/// known. `steps_max` bounds the hash steps; each takes about 15 ns.
///
/// A pulse names no record, but its minute and the clock say when its record was made. So only records of that time are
/// looked at, the one whose known chain is nearest first, and junk costs no more steps than the farthest of them. At
/// most one token can match, the end of the pulse's chain; so the order decides about the cost alone.
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
    let Some((first, last)) = made_between(pulse, rules, now) else { return Ok(None) };
    // Steps from the pulse to what is known of a record's chain, the value there, and the record's token.
    let mut known: Vec<(u32, u64, u64)> = Vec::new();
    for (_, token) in view.tokens_between(first, last, usize::MAX)? {
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
            return Ok(Some(AcceptedPulse { token, pulse, known: shows }));
        }
    }
    Ok(None)
}
