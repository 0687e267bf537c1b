//! Proof of work (Wharrgarbl, PROTOCOL.md §8): what it costs, what it scores, verifying it and searching for
//! it.
//!
//! Here are numbers and hashes only. Threads (but for the two that make the table), cancellation and the choice of
//! which record to work for belong to callers: a [`Search`] is shared by as many workers as the caller runs. `hash` defines the results;
//! everything fast is checked against it, and a proof leaves the search only after it passed there.

mod batch;
mod collisions;
mod hash;
mod lanes;
mod md5x;
mod path;
mod proof;
mod search;
mod simd;
mod table;

pub use batch::{verify_batch, verify_batch_on};
pub use hash::{Frankenhash, Outline};
pub use path::Path;
pub use proof::{COLLIDER_END, TablePasses, Work, WorkError, verify};
pub use search::{Progress, Search, Worker, expected_hashes};
pub use table::{TABLE_BYTES, TABLE_CRC32, Table};

/// The score of a record without work.
pub const SCORE_WITHOUT_WORK: u32 = 0x000f_ffff;

/// The highest difficulty that is ever required or scored: the cost of the largest record.
pub const DIFFICULTY_MAX: u32 = 0x0f7b_0000;

/// Billable bytes above this cost no more.
const BILLABLE_BYTES_MAX: u64 = 65_536;

/// √b to the nearest integer, as [`cost`] takes it.
pub const fn isqrt_rounded(b: u64) -> u64 {
    let s = b.isqrt();
    if b - s * s > s { s + 1 } else { s }
}

/// The difficulty that a record of so many billable bytes has to reach in a network without work factor.
pub const fn cost(billable_bytes: u64) -> u32 {
    if billable_bytes < 4 {
        return billable_bytes as u32 + 1;
    }
    let b = 3 * if billable_bytes > BILLABLE_BYTES_MAX { BILLABLE_BYTES_MAX } else { billable_bytes };
    // At most 3·443·196,608 − 8·196,608 = DIFFICULTY_MAX, so nothing is cut off.
    (isqrt_rounded(b) * b * 3 - 8 * b) as u32
}

/// The difficulty required in a network of that `WorkFactor` (0 means 1), at most [`DIFFICULTY_MAX`].
pub const fn required_difficulty(billable_bytes: u64, work_factor: u32) -> u32 {
    let factor = if work_factor == 0 { 1 } else { work_factor };
    let difficulty = cost(billable_bytes).saturating_mul(factor);
    if difficulty > DIFFICULTY_MAX { DIFFICULTY_MAX } else { difficulty }
}

/// The score that verified work of a difficulty gives a record.
pub const fn score(difficulty: u32) -> u32 {
    match difficulty {
        0 => 1,
        1..=DIFFICULTY_MAX => 16 * difficulty + (difficulty / 10_000) * 5369,
        _ => 0xffff_a8db,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_largest_record_costs_the_highest_difficulty() {
        assert_eq!(cost(BILLABLE_BYTES_MAX), DIFFICULTY_MAX);
        assert_eq!(cost(u64::MAX), DIFFICULTY_MAX);
        assert_eq!(score(DIFFICULTY_MAX), score(u32::MAX));
    }

    #[test]
    fn work_factors_scale_and_saturate() {
        assert_eq!(required_difficulty(250, 0), cost(250));
        assert_eq!(required_difficulty(250, 1), cost(250));
        assert_eq!(required_difficulty(250, 16), 16 * cost(250));
        assert_eq!(required_difficulty(250, u32::MAX), DIFFICULTY_MAX);
        assert_eq!(required_difficulty(u64::MAX, 2), DIFFICULTY_MAX);
    }

    proptest! {
        #[test]
        fn isqrt_rounds_to_the_nearest(b in 0u64..1 << 40) {
            let s = isqrt_rounded(b);
            // (s − ½)² < b ≤ (s + ½)², four times over.
            prop_assert!(4 * b <= (2 * s + 1).pow(2));
            prop_assert!(s == 0 || 4 * b > (2 * s - 1).pow(2));
        }

        #[test]
        fn cost_and_score_never_fall(bytes in 0u64..70_000, difficulty in 0..DIFFICULTY_MAX) {
            prop_assert!(cost(bytes) <= cost(bytes + 1));
            prop_assert!(score(difficulty) <= score(difficulty + 1));
        }
    }
}
