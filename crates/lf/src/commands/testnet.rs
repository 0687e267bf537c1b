//! `lf testnet`: a network of some nodes on this machine, each a process of its own, to try things on.
//!
//! `nodes` has the processes, `play` the story. Here is what the user asks for, and the wait for Ctrl-C.

mod nodes;
mod play;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use lf_client::{GenesisPlan, make_genesis};
use lf_platform::{Hangups, Signals};
use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_proto::owner::OwnerType;

use self::nodes::Network;
use crate::context::new_secret;
use crate::failure::{Failure, Result};
use crate::story::Story;
use crate::ui;

/// Run a network of several nodes on this machine
///
/// Makes a private network in a temporary directory and starts nodes of it, each a process of its own that listens on
/// loopback only. Records need no work there. When it ends (Ctrl-C), so do the nodes, and the directory is removed.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf testnet                5 nodes, until Ctrl-C\n  lf testnet 3 --dir mine   keep their files\n  lf testnet --play         see a network fall apart and heal\n\n"
)]
pub(crate) struct Testnet {
    /// How many nodes, 2 to 50
    #[arg(value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(2..=50))]
    nodes: u8,
    /// Put the nodes' homes here and keep them: a directory that is new or empty [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Play a story by itself, and end: writes, a partition, a crash, a late node
    #[arg(long)]
    play: bool,
}

/// How often what is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long the nodes may take to become one network: machines can be busy.
const JOIN_TIME_MAX: Duration = Duration::from_secs(120);

/// Whether the user wants an end.
#[derive(Debug, Clone, Default)]
struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on signals that would end this process only ask for it. A second one ends it at once; the nodes notice.
    fn listen() -> Result<Self> {
        let failed = |e: std::io::Error| Failure::new(format!("cannot handle signals: {e}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let interrupt = Interrupt::default();
        let (mut signals, mut hangups) = {
            let _inside = runtime.enter();
            (Signals::new().map_err(failed)?, Hangups::new().map_err(failed)?)
        };
        let asked = interrupt.0.clone();
        std::thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = signals.next() => {}
                        () = hangups.next() => {}
                    }
                    if asked.swap(true, Ordering::Relaxed) {
                        std::process::exit(1);
                    }
                }
            });
        });
        Ok(interrupt)
    }

    fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Looks until something is there. An error that `look` gives ends it; `what` is what did not come in time.
    fn wait_for<T>(
        &self,
        what: &str,
        time_max: Duration,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let begun = Instant::now();
        loop {
            if self.came() {
                return Err(Failure::new("interrupted"));
            }
            if let Some(found) = look()? {
                return Ok(found);
            }
            if begun.elapsed() > time_max {
                return Err(Failure::new(format!("not in {}: {what}", ui::took(time_max)))
                    .hint("--dir DIR keeps the nodes' logs: DIR/1/node.log …"));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

pub(crate) fn run(args: &Testnet) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    let temporary;
    let directory: &Path = match &args.dir {
        Some(directory) => {
            prepare(directory)?;
            directory
        }
        None => {
            temporary = tempfile::Builder::new()
                .prefix("lf-testnet-")
                .tempdir()
                .map_err(|e| Failure::new(format!("cannot make a temporary directory: {e}")))?;
            temporary.path()
        }
    };
    let directory = std::path::absolute(directory)
        .map_err(|e| Failure::new(format!("cannot use {}: {e}", directory.display())))?;
    let count = usize::from(args.nodes);
    let begun = Instant::now();
    // Ended before the directory is removed, however this function is left.
    let mut network = Network::new(&directory, genesis()?, interrupt.clone())?;
    for _ in 0..count {
        network.start_next()?;
    }
    network.wait_joined(JOIN_TIME_MAX)?;
    let mut story = Story::default();
    story.say(&format!("{count} nodes, connected and synchronized in {}.", ui::took(begun.elapsed())))?;
    story.plain(&network.table()?)?;
    if args.play { play::play(&mut network, &mut story) } else { stay(&mut network, &mut story, &interrupt) }
}

/// Goes on until the user has seen enough.
fn stay(network: &mut Network, story: &mut Story, interrupt: &Interrupt) -> Result<()> {
    story.say("The network goes on. In another terminal:")?;
    story.command(&format!("export LF_PATH={}", network.home(0).display()))?;
    story.command("lf set greeting 'hello, network'")?;
    story.command(&format!("lf get greeting --url {}", network.url(network.len() - 1)))?;
    story.command("lf peers")?;
    story.plain("\nCtrl-C ends it.\n")?;
    while !interrupt.came() {
        network.check_alive()?;
        std::thread::sleep(5 * LOOK_EVERY);
    }
    Ok(())
}

/// Makes the directory if there is none.
fn prepare(directory: &Path) -> Result<()> {
    let failed = |e: std::io::Error| Failure::new(format!("cannot use {}: {e}", directory.display()));
    std::fs::create_dir_all(directory).map_err(failed)?;
    if std::fs::read_dir(directory).map_err(failed)?.next().is_some() {
        return Err(Failure::new(format!("{} is not empty", directory.display()))
            .hint("give a directory that is new or empty"));
    }
    Ok(())
}

/// A network of its own, without work: its nodes trust genesis.lf.
fn genesis() -> Result<Genesis> {
    let parameters = GenesisParameters {
        name: "testnet".to_owned(),
        record_min_links: 3,
        record_max_value_size: 1024,
        record_max_time_drift: 60,
        strict_signatures: true,
        work_factor: 1,
        ..GenesisParameters::default()
    };
    let owner = new_secret(OwnerType::Ed25519)?;
    let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let plan = GenesisPlan { parameters, owner: &owner, timestamp, workers: None };
    Ok(make_genesis(plan, &mut |_, _, _| true)?)
}
