//! Runs simulations of whole networks: any number of seeds, one seed again with everything it does, or the report of
//! propagation against its baseline.

use std::path::Path;
use std::process::ExitCode;

use lf_sim::report::{self, Report};
use lf_sim::{Scenario, run};

const USAGE: &str = "\
usage: lf-sim [--seeds N] [--from SEED] [--nodes N] [--scenario NAME] [--trace]
       lf-sim report [--check | --update] [--nodes N]

Without options 200 seeds of small mixed networks run. A seed that fails is printed; --from SEED --seeds 1 runs it
again exactly, --trace prints everything that happens in it. `report` prints how records spread in networks of 20,
100 and 1,000 nodes; --check fails if that has become worse than crates/lf-sim/baseline.json says, --update writes it.";

/// Where the report's baseline is.
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.json");

#[derive(Debug, Default)]
struct Options {
    report: bool,
    check: bool,
    update: bool,
    trace: bool,
    seeds: Option<u64>,
    from: Option<u64>,
    nodes: Option<usize>,
    scenario: Option<String>,
}

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let (mut options, mut arguments) = (Options::default(), arguments.peekable());
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
            let number = |text: String| {
                text.parse::<u64>().map_err(|_| format!("{argument} wants a number, not {text:?}"))
            };
            match argument.as_str() {
                "report" => options.report = true,
                "--check" => options.check = true,
                "--update" => options.update = true,
                "--trace" => options.trace = true,
                "--seeds" => options.seeds = Some(number(value()?)?),
                "--from" => options.from = Some(number(value()?)?),
                "--nodes" => options.nodes = Some(number(value()?)? as usize),
                "--scenario" => options.scenario = Some(value()?),
                other => return Err(format!("unknown argument {other:?}\n{USAGE}")),
            }
        }
        Ok(options)
    }
}

fn main() -> ExitCode {
    let done = Options::parse(std::env::args().skip(1))
        .and_then(|options| if options.report { print_report(&options) } else { run_seeds(&options) });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}

fn scenario(options: &Options, seed: u64) -> Result<Scenario, String> {
    match (&options.scenario, options.nodes) {
        (None, None) => Ok(Scenario::small(seed)),
        (name, nodes) => {
            let name = name.as_deref().unwrap_or("mixed");
            Scenario::by_name(name, seed, nodes.unwrap_or(12)).ok_or_else(|| {
                format!("no scenario is named {name:?}; there are: {}", Scenario::names().join(", "))
            })
        }
    }
}

/// Runs seeds; returns whether all held.
fn run_seeds(options: &Options) -> Result<bool, String> {
    let from = options.from.unwrap_or(1);
    let mut failed = Vec::new();
    for seed in from..from.saturating_add(options.seeds.unwrap_or(200)) {
        let scenario = scenario(options, seed)?;
        match run(&scenario, options.trace) {
            Ok(outcome) => {
                let f = &outcome.figures;
                println!(
                    "{scenario}: {} linked, agreed after {} s, {} events, {} bans, trace {:016x}",
                    outcome.linked, f.settled_secs, outcome.events, f.bans, outcome.trace
                );
            }
            Err(violation) => {
                println!("{scenario}\n  FAILED {violation}");
                failed.push(seed);
            }
        }
    }
    if !failed.is_empty() {
        println!(
            "failed seeds: {failed:?}; --from SEED --seeds 1, other options as they are, runs one again"
        );
    }
    Ok(failed.is_empty())
}

/// Prints the report; returns whether nothing has become worse, if that is asked.
fn print_report(options: &Options) -> Result<bool, String> {
    let path = Path::new(BASELINE);
    let baseline: Report = match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| format!("{}: {e}", path.display()))?,
        Err(e) if options.check => return Err(format!("{}: {e}", path.display())),
        Err(_) => Report::new(),
    };
    let sizes = options.nodes.map_or_else(|| report::SIZES.to_vec(), |nodes| vec![nodes]);
    let (mut now, mut good) = (baseline.clone(), true);
    for nodes in sizes {
        let measured = report::measure(&report::scenario(nodes)).map_err(|v| v.to_string())?;
        println!("{nodes:>5} nodes: {measured}");
        if let (Some(before), true) = (baseline.get(&nodes), options.check) {
            for line in report::regressions(before, &measured) {
                println!("      worse: {line}");
                good = false;
            }
        }
        now.insert(nodes, measured);
    }
    if options.update {
        let text = serde_json::to_string_pretty(&now).map_err(|e| e.to_string())?;
        std::fs::write(path, text + "\n").map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(good)
}
