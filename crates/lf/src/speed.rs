//! What proof of work costs on this machine: its speed as last measured, kept beside client.json in `work-speed.json`.
//!
//! A hint for people, no more: if the file cannot be read or written, speed is measured again.

use std::path::PathBuf;
use std::time::Duration;

use lf_client::{WorkProgress, Workers};
use lf_proto::work;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::ui;

/// A record of a short value under one name, in billable bytes.
pub(crate) const TYPICAL_RECORD_BYTES: u64 = 250;
/// A search that was shorter says little about speed.
const SEARCH_MIN: Duration = Duration::from_millis(300);
/// How long speed is measured where it is not known.
const MEASURE: Duration = Duration::from_millis(100);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Speed {
    hashes_per_second: f64,
}

fn file(context: &Context) -> Option<PathBuf> {
    let home = context.home().ok()?;
    home.is_dir().then(|| home.join("work-speed.json"))
}

/// Keeps the speed of a search in mind.
pub(crate) fn remember(context: &Context, progress: &WorkProgress) {
    if progress.elapsed >= SEARCH_MIN {
        keep(context, progress.hashes_per_second());
    }
}

fn keep(context: &Context, hashes_per_second: f64) {
    if let (Some(file), Ok(json)) = (file(context), serde_json::to_vec(&Speed { hashes_per_second })) {
        // Measured again if it is not there.
        let _ = std::fs::write(file, json);
    }
}

/// How long work for a record of so many billable bytes takes here on average, with all cores.
pub(crate) fn average(context: &Context, billable_bytes: u64, work_factor: u64) -> Duration {
    let known = file(context)
        .and_then(|file| serde_json::from_slice::<Speed>(&std::fs::read(file).ok()?).ok())
        .map(|speed| speed.hashes_per_second)
        .filter(|speed| *speed > 0.0 && speed.is_finite());
    let workers = Workers::default();
    let speed = known.unwrap_or_else(|| {
        let speed = workers.measure(MEASURE);
        keep(context, speed);
        speed
    });
    let factor = u32::try_from(work_factor).unwrap_or(u32::MAX);
    let difficulty = work::required_difficulty(billable_bytes, factor);
    Duration::try_from_secs_f64(workers.expected_hashes(difficulty) as f64 / speed.max(1.0))
        .unwrap_or(Duration::MAX)
}

/// What a search took, beside what such searches take on average.
pub(crate) fn summary(progress: &WorkProgress, billable_bytes: u64) -> String {
    let speed = progress.hashes_per_second();
    let average = Duration::try_from_secs_f64(progress.hashes_expected as f64 / speed.max(1.0));
    let average = average.map(|average| format!(" ({} on average)", ui::took(average))).unwrap_or_default();
    format!("{} of work for {billable_bytes} bytes{average}", ui::took(progress.elapsed))
}
