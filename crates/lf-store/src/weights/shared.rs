//! Numbers that their one writer changes while others read them: no reader waits for a cover to be gone through.
//!
//! One writer, so a change is a load and a store. No number stands for another one here, so no order between them is kept.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// A sum modulo 2⁶⁴.
#[derive(Debug, Default)]
pub(super) struct SharedSum(AtomicU64);

impl SharedSum {
    pub(super) fn new(value: u64) -> Self {
        SharedSum(AtomicU64::new(value))
    }

    #[inline]
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn add(&self, value: u64) {
        self.0.store(self.get().wrapping_add(value), Ordering::Relaxed);
    }
}

impl Clone for SharedSum {
    fn clone(&self) -> Self {
        Self::new(self.get())
    }
}

/// A count that stops at 255.
#[derive(Debug, Default)]
pub(super) struct SharedCount(AtomicU8);

impl SharedCount {
    pub(super) fn new(value: u8) -> Self {
        SharedCount(AtomicU8::new(value))
    }

    #[inline]
    pub(super) fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one more, and returns how many there are then.
    #[inline]
    pub(super) fn count(&self) -> u8 {
        let count = self.get().saturating_add(1);
        self.0.store(count, Ordering::Relaxed);
        count
    }
}

impl Clone for SharedCount {
    fn clone(&self) -> Self {
        Self::new(self.get())
    }
}
