//! Making pulse after pulse of a record: chains walked once, of which enough is kept that the next pulse is near.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use zeroize::Zeroizing;

use super::{PULSE_MINUTES_MAX, Pulse, PulseError, PulseStart, PulseToken, th64_n};

/// Steps between two values that are kept.
const SPACING: u32 = 512;

/// A record's chain, with every 512th of its values: 8.2 KB, as secret as the start they begin with.
pub struct PulseChain {
    /// th64^(512 · i) of the start, up to the last before the token.
    kept: Zeroizing<Vec<u64>>,
    token: PulseToken,
}

impl PulseChain {
    /// Walks the chain: 525,600 steps, some 8 ms.
    pub fn new(start: &PulseStart) -> Self {
        let count = PULSE_MINUTES_MAX / SPACING + 1;
        // Never grows, so that no copy is left behind.
        let mut kept = Zeroizing::new(Vec::with_capacity(count as usize));
        let mut value = Zeroizing::new(*start.0);
        for _ in 1..count {
            kept.push(*value);
            *value = th64_n(*value, SPACING);
        }
        kept.push(*value);
        Self { kept, token: PulseToken(th64_n(*value, PULSE_MINUTES_MAX % SPACING)) }
    }

    /// The token for the record.
    pub fn token(&self) -> PulseToken {
        self.token
    }

    /// The pulse for a minute after the record's timestamp: at most 511 steps.
    ///
    /// # Errors
    /// [`PulseError::Minutes`] unless it is one of 1 to 525600.
    pub fn pulse_at(&self, minutes: u32) -> Result<Pulse, PulseError> {
        let position = PULSE_MINUTES_MAX
            .checked_sub(minutes)
            .filter(|_| minutes > 0)
            .ok_or(PulseError::Minutes(minutes))?;
        let kept = self.kept.get((position / SPACING) as usize).ok_or(PulseError::Minutes(minutes))?;
        Ok(Pulse { value: th64_n(*kept, position % SPACING), minutes })
    }

    fn starts_with(&self, start: &PulseStart) -> bool {
        self.kept.first() == Some(&*start.0)
    }
}

impl fmt::Debug for PulseChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PulseChain").field("token", &self.token).finish_non_exhaustive()
    }
}

/// The chains that were used last, for whoever makes pulses of the same records again and again. Bounded; usable from
/// any thread.
#[derive(Debug)]
pub struct PulseChains {
    /// The one used last is the last.
    chains: Mutex<Vec<Arc<PulseChain>>>,
    count_max: usize,
}

impl PulseChains {
    /// Keeps up to `count_max` chains, 8.2 KB each.
    pub fn new(count_max: usize) -> Self {
        Self { chains: Mutex::default(), count_max }
    }

    /// The chain of the record with this token, which is walked if it is not among those kept.
    ///
    /// # Errors
    /// [`PulseError::Mismatch`]: the start is not that of the token.
    pub fn get(&self, start: &PulseStart, token: PulseToken) -> Result<Arc<PulseChain>, PulseError> {
        if let Some(chain) = self.kept(token) {
            return if chain.starts_with(start) { Ok(chain) } else { Err(PulseError::Mismatch) };
        }
        // Others go on meanwhile.
        let chain = Arc::new(PulseChain::new(start));
        if chain.token() != token {
            return Err(PulseError::Mismatch);
        }
        let mut chains = self.chains.lock().unwrap_or_else(PoisonError::into_inner);
        if self.count_max > 0 && !chains.iter().any(|c| c.token == token) {
            if chains.len() >= self.count_max {
                chains.remove(0);
            }
            chains.push(Arc::clone(&chain));
        }
        Ok(chain)
    }

    fn kept(&self, token: PulseToken) -> Option<Arc<PulseChain>> {
        let mut chains = self.chains.lock().unwrap_or_else(PoisonError::into_inner);
        let place = chains.iter().rposition(|c| c.token == token)?;
        let chain = chains.remove(place);
        chains.push(Arc::clone(&chain));
        Some(chain)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn start(n: u64) -> PulseStart {
        PulseStart::new(&["name"], &[n], 1_600_000_000, &[9; 32]).unwrap()
    }

    #[test]
    fn a_chain_makes_the_same_pulses_as_its_start() {
        let (start, chain) = (start(7), PulseChain::new(&start(7)));
        assert_eq!(chain.token(), start.token());
        let last = PULSE_MINUTES_MAX;
        let some =
            [1, 2, 287, 288, 289, 511, 512, 513, 100_000, last - 513, last - 512, last - 511, last - 1, last];
        for minutes in some {
            assert_eq!(chain.pulse_at(minutes), start.pulse_at(minutes), "{minutes}");
        }
        for minutes in [0, last + 1, u32::MAX] {
            assert_eq!(chain.pulse_at(minutes), Err(PulseError::Minutes(minutes)));
        }
        assert!(!format!("{chain:?}").contains(&format!("{}", *start.0)));
    }

    #[test]
    fn the_chains_used_last_are_kept() {
        let chains = PulseChains::new(2);
        let [a, b, c] = [1, 2, 3].map(start);
        let [ta, tb, tc] = [&a, &b, &c].map(PulseStart::token);
        let first = chains.get(&a, ta).unwrap();
        assert_eq!(first.token(), ta);
        assert!(chains.get(&a, tb).is_err() && chains.get(&b, ta).is_err());
        chains.get(&b, tb).unwrap();
        assert!(Arc::ptr_eq(&first, &chains.get(&a, ta).unwrap()));
        chains.get(&c, tc).unwrap();
        assert!(Arc::ptr_eq(&first, &chains.get(&a, ta).unwrap()));
        assert!(chains.kept(tb).is_none(), "the one used longest ago is gone");
        assert_eq!(PulseChains::new(0).get(&b, tb).unwrap().pulse_at(5), b.pulse_at(5));
    }
}
