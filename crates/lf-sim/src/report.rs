//! How fast and how dear records spread: networks of three sizes with equal links, against a stored baseline.
//!
//! What the figures depend on besides the code under test are the mesh of the scenario and what checking and storing are
//! taken to cost (`world/life.rs`).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::scenario::{Scenario, Wire};
use crate::world::{Figures, Violation, run};

/// Sizes of the networks that the report is about.
pub const SIZES: [usize; 3] = [20, 100, 1_000];
/// What a figure may be worse by than the baseline, of a hundred.
pub const TOLERANCE_PERCENT: f64 = 10.0;

/// How records spread in a network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Propagation {
    /// Half of all records are linked at a node after so long, in milliseconds.
    pub delay_p50_ms: u32,
    /// Of a hundred, 99 are.
    pub delay_p99_ms: u32,
    /// All are.
    pub delay_max_ms: u32,
    /// Copies of each record that each node gets by gossip.
    pub redundancy: f64,
    /// Bytes that each node gets by gossip for each byte of a record.
    pub gossip_bytes_factor: f64,
    /// Bytes of questions and answers that each node gets a second.
    pub question_bytes_per_sec: f64,
    /// Of the nodes, how many a pulse arrives at, of a hundred.
    pub pulse_percent: f64,
}

/// A report: what was measured, by number of nodes.
pub type Report = BTreeMap<usize, Propagation>;

/// The scenario of the report: 100 ms links, nothing is lost.
pub fn scenario(nodes: usize) -> Scenario {
    let calm = Scenario::calm(1, nodes);
    Scenario {
        name: "report".into(),
        wire: Wire { latency_us: (100_000, 100_000), jitter_us: 10_000, ..calm.wire },
        writes: 60,
        contested_every: 0,
        skew_secs: 0,
        ..calm
    }
}

/// Measures a scenario.
///
/// # Errors
/// Something does not hold.
pub fn measure(scenario: &Scenario) -> Result<Propagation, Violation> {
    let outcome = run(scenario, false)?;
    let secs = scenario.active_secs + outcome.figures.settled_secs;
    Ok(propagation(outcome.figures, outcome.honest, secs))
}

fn propagation(mut figures: Figures, nodes: usize, secs: u64) -> Propagation {
    figures.delays_ms.sort_unstable();
    let delays = &figures.delays_ms;
    let at = |percent: usize| {
        delays.get((delays.len() * percent / 100).min(delays.len().saturating_sub(1))).copied().unwrap_or(0)
    };
    let others = nodes.saturating_sub(1).max(1) as f64;
    let rounded = |value: f64| (value * 100.0).round() / 100.0;
    Propagation {
        delay_p50_ms: at(50),
        delay_p99_ms: at(99),
        delay_max_ms: at(100),
        redundancy: rounded(figures.record_copies as f64 / (figures.records.max(1) as f64 * others)),
        gossip_bytes_factor: rounded(
            figures.gossip_bytes as f64 / (figures.record_bytes.max(1) as f64 * others),
        ),
        question_bytes_per_sec: rounded(figures.question_bytes as f64 / (secs.max(1) as f64 * nodes as f64)),
        pulse_percent: rounded(100.0 * figures.pulses.1 as f64 / (figures.pulses.0.max(1) as f64 * others)),
    }
}

impl fmt::Display for Propagation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "p50 {} ms, p99 {} ms, max {} ms; {:.2} copies, {:.2} bytes a byte by gossip; {:.0} B/s of questions \
             and answers; pulses at {:.1} %",
            self.delay_p50_ms,
            self.delay_p99_ms,
            self.delay_max_ms,
            self.redundancy,
            self.gossip_bytes_factor,
            self.question_bytes_per_sec,
            self.pulse_percent
        )
    }
}

/// In what a network has become worse than the baseline by more than the tolerance, a line each.
pub fn regressions(baseline: &Propagation, now: &Propagation) -> Vec<String> {
    let figures = [
        ("p50 delay, ms", f64::from(baseline.delay_p50_ms), f64::from(now.delay_p50_ms)),
        ("p99 delay, ms", f64::from(baseline.delay_p99_ms), f64::from(now.delay_p99_ms)),
        ("copies", baseline.redundancy, now.redundancy),
        ("gossip bytes a byte", baseline.gossip_bytes_factor, now.gossip_bytes_factor),
        ("question bytes a second", baseline.question_bytes_per_sec, now.question_bytes_per_sec),
        ("nodes without a pulse, %", 100.0 - baseline.pulse_percent, 100.0 - now.pulse_percent),
    ];
    let worse = figures.into_iter().filter(|(_, before, after)| {
        // So little that rounding is most of it is no regression.
        *after > before * (1.0 + TOLERANCE_PERCENT / 100.0) + 0.05
    });
    worse.map(|(name, before, after)| format!("{name}: {before} before, {after} now")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Propagation = Propagation {
        delay_p50_ms: 300,
        delay_p99_ms: 600,
        delay_max_ms: 700,
        redundancy: 2.5,
        gossip_bytes_factor: 3.0,
        question_bytes_per_sec: 50.0,
        pulse_percent: 100.0,
    };

    #[test]
    fn what_is_worse_is_told_and_what_is_better_is_not() {
        assert_eq!(regressions(&GOOD, &GOOD), [""; 0]);
        let better = Propagation { delay_p99_ms: 300, redundancy: 1.0, ..GOOD };
        assert_eq!(regressions(&GOOD, &better), [""; 0]);
        assert_eq!(regressions(&better, &GOOD).len(), 2);
        let lost = Propagation { pulse_percent: 80.0, delay_p50_ms: 329, ..GOOD };
        assert_eq!(regressions(&GOOD, &lost), ["nodes without a pulse, %: 0 before, 20 now"]);
    }

    #[test]
    fn delays_by_share() {
        let figures = Figures { delays_ms: (1..=200).rev().collect(), ..Figures::default() };
        let p = propagation(figures, 3, 1);
        assert_eq!((p.delay_p50_ms, p.delay_p99_ms, p.delay_max_ms), (101, 199, 200));
    }
}
