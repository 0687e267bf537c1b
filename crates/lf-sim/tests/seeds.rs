//! Many small networks in which everything goes wrong that can, honest and hostile nodes mixed: what must hold, holds.
//! `LF_SIM_SEEDS` runs more of them. A seed that fails is printed; `lf-sim --from SEED --seeds 1` runs it again.
#![allow(clippy::unwrap_used)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use lf_sim::{Behaviour, Scenario, run};

/// Runs scenarios on all cores and names those that fail. Returns how many contested names were settled.
fn run_all(scenarios: &[Scenario]) -> u64 {
    let settled = AtomicU64::new(0);
    let (next, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    match run(scenario, false) {
                        Ok(outcome) => {
                            let _ = settled.fetch_add(outcome.figures.names_settled, Ordering::Relaxed);
                        }
                        Err(violation) => failed.lock().unwrap().push(format!("{scenario}\n  {violation}")),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), scenarios.len(), failed.join("\n"));
    settled.into_inner()
}

#[test]
fn everything_holds_whatever_goes_wrong() {
    let seeds = std::env::var("LF_SIM_SEEDS").map_or(200, |text| text.parse().unwrap());
    let settled = run_all(&(1..=seeds).map(Scenario::small).collect::<Vec<_>>());
    assert!(settled > 0 || seeds < 100, "no name was contested");
}

#[test]
fn everything_holds_against_each_kind_of_hostile_node() {
    let names = Behaviour::all().into_iter().map(Behaviour::name);
    run_all(&names.map(|name| Scenario::by_name(name, 1, 8).unwrap()).collect::<Vec<_>>());
}

#[test]
fn a_seed_is_the_same_again() {
    for seed in [3, 11] {
        let scenario = Scenario::small(seed);
        let (first, second) = (run(&scenario, false), run(&scenario, false));
        assert_eq!(first, second);
        assert_ne!(first.unwrap().trace, run(&Scenario::small(seed + 1), false).unwrap().trace);
    }
}
