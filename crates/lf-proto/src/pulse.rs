//! Pulses (PROTOCOL.md §9): 11 bytes that renew a record, by revealing one more preimage of a hash chain
//! whose end the record carries.
//!
//! Making, checking and the time window, as pure functions. Who pays for the steps and what was seen last is
//! the caller's to keep: [`Pulse::steps`] tells the price before [`Pulse::check`] is called.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::base62::{self, Base62Error};

pub use self::{
    chain::{PulseChain, PulseChains},
    th64::{th64, th64_n, th64_n_each},
};

mod chain;
#[cfg(target_arch = "x86_64")]
mod simd;
mod th64;

/// The last minute a record can be renewed for: a year of 365 days.
pub const PULSE_MINUTES_MAX: u32 = 525_600;

/// What is wrong with a pulse, or with what one is to be made from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PulseError {
    /// Not 11 bytes.
    #[error("pulse of {0} bytes, not 11")]
    Length(usize),
    /// The minute is not one of 1 to 525600.
    #[error("pulse for minute {0}, not 1 to {PULSE_MINUTES_MAX}")]
    Minutes(u32),
    /// Its text does not begin with `!`.
    #[error("pulse text does not begin with '!'")]
    Prefix,
    /// Its text is not base62.
    #[error("pulse text: {0}")]
    Text(#[from] Base62Error),
    /// Making one takes exactly one ordinal for each selector name.
    #[error("{names} selector names but {ordinals} ordinals")]
    Ordinals {
        /// The number of names given.
        names: usize,
        /// The number of ordinals given.
        ordinals: usize,
    },
    /// The minute is not later than the one that was accepted last.
    #[error("pulse for minute {minutes} is not newer than minute {known}")]
    NotNewer {
        /// The pulse's minute.
        minutes: u32,
        /// The minute accepted last.
        known: u32,
    },
    /// The chain from its value does not lead to what is known.
    #[error("pulse does not belong to the record")]
    Mismatch,
}

/// The end of a chain, which a record carries: 8 bytes, th64^525600 of the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PulseToken(pub u64);

/// The secret start of a record's chain. Whoever has it can make all pulses of the record.
pub struct PulseStart(Zeroizing<u64>);

impl PulseStart {
    /// The start for a record of these selectors (plain names and ordinals) and timestamp (seconds since
    /// 1970), by the owner of this `PrivateHash` (PROTOCOL.md §4).
    ///
    /// # Errors
    /// [`PulseError::Ordinals`] unless there is one ordinal for each name.
    pub fn new(
        names: &[impl AsRef<[u8]>],
        plain_ordinals: &[u64],
        timestamp: u64,
        private_hash: &[u8; 32],
    ) -> Result<Self, PulseError> {
        if names.len() != plain_ordinals.len() {
            return Err(PulseError::Ordinals { names: names.len(), ordinals: plain_ordinals.len() });
        }
        let mut sha = Sha256::new();
        for (name, ordinal) in names.iter().zip(plain_ordinals) {
            sha.update(name);
            sha.update(ordinal.to_be_bytes());
        }
        sha.update(timestamp.to_be_bytes());
        sha.update(private_hash);
        let digest = Zeroizing::new(<[u8; 32]>::from(sha.finalize()));
        Ok(Self(Zeroizing::new(digest[..8].iter().fold(0, |a, b| (a << 8) | u64::from(*b)))))
    }

    /// The token for the record: 525,600 steps, some 8 ms.
    pub fn token(&self) -> PulseToken {
        PulseToken(th64_n(*self.0, PULSE_MINUTES_MAX))
    }

    /// The pulse for a minute after the record's timestamp: 525,600 − `minutes` steps. Whoever makes more than one of
    /// a record keeps a [`PulseChain`].
    ///
    /// # Errors
    /// [`PulseError::Minutes`] unless it is one of 1 to 525600.
    pub fn pulse_at(&self, minutes: u32) -> Result<Pulse, PulseError> {
        if !(1..=PULSE_MINUTES_MAX).contains(&minutes) {
            return Err(PulseError::Minutes(minutes));
        }
        Ok(Pulse { value: th64_n(*self.0, PULSE_MINUTES_MAX - minutes), minutes })
    }
}

impl fmt::Debug for PulseStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PulseStart(secret)")
    }
}

/// A pulse of a possible minute: 11 bytes, BE64 value and BE24 minutes. Whether it belongs to a record,
/// [`Pulse::check`] tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pulse {
    value: u64,
    minutes: u32,
}

/// What is known of a chain, for checking the next pulse: the record's token, or better the pulse accepted
/// last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    value: u64,
    minutes: u32,
}

impl From<PulseToken> for Known {
    fn from(token: PulseToken) -> Self {
        Self { value: token.0, minutes: 0 }
    }
}

impl From<Pulse> for Known {
    /// Only for pulses that were checked: another's value would admit another's chain.
    fn from(accepted: Pulse) -> Self {
        Self { value: accepted.value, minutes: accepted.minutes }
    }
}

impl Pulse {
    /// The size of a pulse.
    pub const BYTES: usize = 11;

    /// Reads a pulse.
    ///
    /// # Errors
    /// [`PulseError::Length`] or [`PulseError::Minutes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PulseError> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().map_err(|_| PulseError::Length(bytes.len()))?;
        let number = bytes.iter().fold(0, |a, b| (a << 8) | u128::from(*b));
        let (value, minutes) = ((number >> 24) as u64, number as u32 & 0x00ff_ffff);
        if !(1..=PULSE_MINUTES_MAX).contains(&minutes) {
            return Err(PulseError::Minutes(minutes));
        }
        Ok(Self { value, minutes })
    }

    /// The pulse's 11 bytes.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.value.to_be_bytes());
        bytes[8..].copy_from_slice(&self.minutes.to_be_bytes()[1..]);
        bytes
    }

    /// The link of the chain: the number whose `minutes`-fold th64 is the token.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// Minutes after the record's timestamp, 1 to 525600.
    pub fn minutes(&self) -> u32 {
        self.minutes
    }

    /// The token of the record it would belong to: `minutes` steps, up to half a million, so charge for them.
    pub fn token(&self) -> PulseToken {
        PulseToken(th64_n(self.value, self.minutes))
    }

    /// How many th64 steps [`Self::check`] takes; 0 if it is refused for not being newer.
    pub fn steps(&self, known: Known) -> u32 {
        self.minutes.saturating_sub(known.minutes)
    }

    /// Whether the pulse continues the known chain, in [`Self::steps`] steps. Check the time window first, it
    /// is free.
    ///
    /// # Errors
    /// [`PulseError::NotNewer`] or [`PulseError::Mismatch`].
    pub fn check(&self, known: Known) -> Result<(), PulseError> {
        match self.steps(known) {
            0 => Err(PulseError::NotNewer { minutes: self.minutes, known: known.minutes }),
            steps if th64_n(self.value, steps) == known.value => Ok(()),
            _ => Err(PulseError::Mismatch),
        }
    }

    /// The time the pulse stands for: the record's timestamp and its minutes, in seconds since 1970
    /// (saturating).
    pub fn time(&self, record_timestamp: u64) -> u64 {
        record_timestamp.saturating_add(60 * u64::from(self.minutes))
    }

    /// Whether the pulse is of about now: |timestamp + 60·m − now| ≤ `drift_seconds_max`. All in seconds.
    pub fn is_timely(&self, record_timestamp: u64, now: u64, drift_seconds_max: u64) -> bool {
        self.time(record_timestamp).abs_diff(now) <= drift_seconds_max
    }
}

impl fmt::Display for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "!{}", base62::encode(&self.to_bytes()))
    }
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Pulse {
    type Err = PulseError;

    fn from_str(text: &str) -> Result<Self, PulseError> {
        Self::from_bytes(&base62::decode(text.strip_prefix('!').ok_or(PulseError::Prefix)?)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn start() -> PulseStart {
        PulseStart::new(&["name"], &[7], 1_600_000_000, &[9; 32]).unwrap()
    }

    #[test]
    fn a_chain_is_checked_from_the_token_and_from_any_earlier_pulse() {
        let (start, token) = (start(), start().token());
        let [first, second, last] = [1, 1000, PULSE_MINUTES_MAX].map(|m| start.pulse_at(m).unwrap());
        assert_eq!(last.steps(token.into()), PULSE_MINUTES_MAX);
        assert_eq!(last.steps(second.into()), PULSE_MINUTES_MAX - 1000);
        for pulse in [first, second, last] {
            assert_eq!(pulse.token(), token);
            assert_eq!(pulse.check(token.into()), Ok(()));
        }
        assert_eq!(second.check(first.into()), Ok(()));
        assert_eq!(last.check(second.into()), Ok(()));
        assert_eq!(first.check(second.into()), Err(PulseError::NotNewer { minutes: 1, known: 1000 }));
        assert_eq!(second.check(second.into()), Err(PulseError::NotNewer { minutes: 1000, known: 1000 }));
        assert_eq!(second.check(PulseToken(token.0 ^ 1).into()), Err(PulseError::Mismatch));
    }

    #[test]
    fn a_forged_pulse_costs_only_the_difference() {
        let known = Known::from(start().pulse_at(500_000).unwrap());
        let forged = Pulse { value: 1, minutes: 500_003 };
        assert_eq!(forged.steps(known), 3);
        assert_eq!(forged.check(known), Err(PulseError::Mismatch));
        // A right value under a wrong minute does not pass either.
        let shifted = Pulse { minutes: 500_004, ..start().pulse_at(500_003).unwrap() };
        assert_eq!(shifted.check(known), Err(PulseError::Mismatch));
    }

    #[test]
    fn making_needs_one_ordinal_a_name_and_a_possible_minute() {
        let made = |ordinals: &[u64]| PulseStart::new(&["a", "b"], ordinals, 1, &[0; 32]).map(|_| ());
        assert_eq!(made(&[1, 2]), Ok(()));
        assert_eq!(made(&[1]), Err(PulseError::Ordinals { names: 2, ordinals: 1 }));
        assert_eq!(made(&[1, 2, 3]), Err(PulseError::Ordinals { names: 2, ordinals: 3 }));
        for minutes in [0, PULSE_MINUTES_MAX + 1, u32::MAX] {
            assert_eq!(start().pulse_at(minutes), Err(PulseError::Minutes(minutes)));
        }
    }

    #[test]
    fn the_time_window_includes_its_ends_and_does_not_overflow() {
        let pulse = Pulse { value: 0, minutes: 10 };
        for (now, timely) in [(1539, false), (1540, true), (1600, true), (1660, true), (1661, false)] {
            assert_eq!(pulse.is_timely(1000, now, 60), timely, "{now}");
        }
        assert!(pulse.is_timely(u64::MAX, u64::MAX, 0));
        assert!(!pulse.is_timely(u64::MAX, 0, u64::MAX - 1));
        assert!(pulse.is_timely(0, u64::MAX, u64::MAX));
    }

    #[test]
    fn texts_are_refused_for_what_is_wrong_with_them() {
        assert_eq!("D8gSCKwIzXifXn6".parse::<Pulse>(), Err(PulseError::Prefix));
        assert_eq!("!".parse::<Pulse>(), Err(PulseError::Length(0)));
        assert!(matches!("!é".parse::<Pulse>(), Err(PulseError::Text(_))));
    }

    proptest! {
        #[test]
        fn bytes_and_text_round_trip(value: u64, minutes in 1..=PULSE_MINUTES_MAX) {
            let pulse = Pulse { value, minutes };
            prop_assert_eq!(Pulse::from_bytes(&pulse.to_bytes()), Ok(pulse));
            prop_assert_eq!(pulse.to_string().parse(), Ok(pulse));
        }

        #[test]
        fn arbitrary_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..14)) {
            if let Ok(pulse) = Pulse::from_bytes(&bytes) {
                prop_assert_eq!(&pulse.to_bytes()[..], &bytes[..]);
            } else {
                prop_assert!(bytes.len() != 11 || !(1..=PULSE_MINUTES_MAX).contains(
                    &bytes[8..].iter().fold(0, |a, b| (a << 8) | u32::from(*b))));
            }
        }
    }
}
