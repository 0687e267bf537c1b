//! `lf demo`: LF at work, in a few seconds, without touching anything.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use clap::Args;
use lf_client::{Client, Config, Find, FoundSet, OwnerEntry, Pulsing, SelectorArg, Workers, Write, Written};
use lf_node::{RunConfig, Running};
use lf_proto::owner::{OwnerPublic, OwnerSecret, OwnerType};
use lf_proto::record::{RecordBuilder, RecordType};

use super::get;
use super::node::run_failure;
use crate::context::new_secret;
use crate::failure::{Failure, Result};
use crate::story::Story;
use crate::ui;

/// See LF at work in a few seconds
///
/// Starts a node of its own in a temporary directory, writes a small story, and shows queries, a conflict and a pulse
/// with the commands one would type. Nothing is left behind.
#[derive(Debug, Args)]
#[command(before_long_help = "Examples:\n  lf demo\n  lf demo --keep\n\n")]
pub(crate) struct Demo {
    /// Go on serving until Ctrl-C, to try commands on it
    #[arg(long)]
    keep: bool,
    /// Serve HTTP on this port of loopback [default: a free one]
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    http: u16,
}

const LIGHT: &str = "lighthouse";
const LOG: [&str; 8] = [
    "dusk: lamp lit, wind from the west",
    "a sail to the north, nothing else",
    "fog comes in, first bell rung",
    "the sail is gone; bell every minute",
    "voices on the water, answered by horn",
    "boat at the rocks, line thrown",
    "dawn: all five ashore, lamp out",
    "noon: sea like glass, ropes drying",
];
/// How long before the demo the first record claims to be made, so that it can be pulsed now.
const LIGHT_AGE_SECONDS: u64 = 300;

/// A node, a client of it, and what was done so far.
struct Stage {
    client: Client,
    keeper: OwnerSecret,
    rival: OwnerSecret,
    records: u32,
    story: Story,
}

pub(crate) fn run(args: &Demo) -> Result<()> {
    let begun = Instant::now();
    let directory = tempfile::Builder::new()
        .prefix("lf-demo-")
        .tempdir()
        .map_err(|e| Failure::new(format!("cannot make a temporary directory: {e}")))?;
    let config = RunConfig {
        local_test: true,
        http: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, args.http))),
        ..RunConfig::new(directory.path())
    };
    let running = Running::start(&config).map_err(run_failure)?;
    let url = running.url().ok_or_else(|| Failure::new("the node serves no HTTP"))?;
    let mut stage = Stage {
        client: Client::new([&url])?,
        keeper: new_secret(OwnerType::Ed25519)?,
        rival: new_secret(OwnerType::Ed25519)?,
        records: 0,
        story: Story::default(),
    };
    let home = running.directory().to_owned();
    Config::update(&home.join("client.json"), |config| -> Result<()> {
        config.put_url_first(&url);
        config.owners.insert("keeper".to_owned(), OwnerEntry::new(&stage.keeper, true));
        config.owners.insert("rival".to_owned(), OwnerEntry::new(&stage.rival, false));
        Ok(())
    })?;
    stage.story.say(&format!(
        "A node of its own, in local test mode: no peers, no work, ready in {}.",
        ui::took(begun.elapsed())
    ))?;
    stage.story.command("lf node start --localtest")?;
    stage.story.answer(&format!("lf node is ready: {url}"), None)?;
    stage.play()?;
    let records = stage.records;
    if args.keep {
        stage.story.say("The node goes on. In another terminal:")?;
        stage.story.command(&format!("export LF_PATH={}", home.display()))?;
        stage.story.command("lf get 'log#'")?;
        stage.story.command("lf set lighthouse 'your words'")?;
        stage.story.command("lf status")?;
        stage.story.plain("\nCtrl-C ends it.\n")?;
        wait_for_interrupt()?;
    }
    let played = begun.elapsed();
    running.stop().map_err(run_failure)?;
    if !args.keep {
        stage.story.plain(&format!(
            "\n{} written and read back in {}; the node is gone.\nRun one that stays: lf node start · play on with this one: lf demo --keep\n",
            ui::plural(u64::from(records), "record"),
            ui::took(played)
        ))?;
    }
    Ok(())
}

impl Stage {
    fn play(&mut self) -> Result<()> {
        self.story.say("Whoever writes a name first keeps it. (For the sake of the last step, this was five minutes ago.)")?;
        self.story.command(&format!("lf set {LIGHT} 'the lamp is lit'"))?;
        self.first_record()?;

        self.story.say("A name can have ordinals: a logbook.")?;
        for (i, line) in LOG.iter().enumerate() {
            self.set("keeper", &[(LOG_NAME, i as u64 + 1)], line)?;
        }

        self.story.say("A record can be found by several names; a newer revision replaces the older one.")?;
        self.set("keeper", &[("ship", 1701), ("harbour", 0)], "overdue")?;
        self.set("keeper", &[("ship", 1701), ("harbour", 0)], "wrecked, crew safe")?;

        self.story.say("Reading: one name, a range of ordinals, two names.")?;
        self.get(&[LIGHT], 1)?;
        self.get(&["log#3#5"], 3)?;
        self.get(&["ship#1701", "harbour"], 1)?;

        self.story.say("Somebody else takes the name. The node stores it, and believes the first.")?;
        self.set("rival", &[(LIGHT, 0)], "no lamp here, sail on")?;
        let sets = self.get(&[LIGHT], 1)?;
        self.story.command(&format!("lf get --json {LIGHT}"))?;
        for record in sets.iter().flat_map(FoundSet::records) {
            let text = format!(
                "Trust {}  {:<10} {}",
                record.result.trust,
                self.name_of(record.record.owner()),
                get::shown_value(record)
            );
            self.story.answer(&text, None)?;
        }
        let winner = sets.first().map(|set| *set.winner().record.owner());
        let rivals = sets.first().map_or(0, |set| set.records().count());
        expect(winner == Some(*self.keeper.public()) && rivals == 2, "the first owner keeps the name")?;

        self.story.say("A pulse says that a record still holds: 11 bytes instead of a new one.")?;
        self.story.command(&format!("lf pulse {LIGHT}"))?;
        let selectors = [SelectorArg::one(LIGHT, 0)];
        let begun = Instant::now();
        let written = self.client.renew(&write(&self.keeper, &selectors, b""), &mut |_| true)?;
        let took = begun.elapsed();
        let Written::Pulsed { pulse, .. } = written else {
            return Err(Failure::new("the demo went wrong: the record was not pulsed"));
        };
        let text = format!("{} {pulse}", short(self.keeper.public()));
        self.story.answer(&text, Some(took))
    }

    /// The story's first record, made some minutes before.
    fn first_record(&mut self) -> Result<()> {
        let begun = Instant::now();
        let status = self.client.owner_status(self.keeper.public())?;
        let builder = RecordBuilder {
            record_type: RecordType::Datum,
            value: b"the lamp is lit",
            masking_key: None,
            selectors: &[(LIGHT.as_bytes(), 0)],
            links: &status.new_record_links,
            timestamp: status.server_time.saturating_sub(LIGHT_AGE_SECONDS),
            with_pulse_token: true,
        };
        let unworked = builder.build(&self.keeper).map_err(|e| Failure::new(e.to_string()))?;
        let record = unworked.sign(&self.keeper, None);
        self.client.post(&record)?;
        self.records += 1;
        let text = format!("{} {}", short(self.keeper.public()), short(&record.hash()));
        self.story.answer(&text, Some(begun.elapsed()))
    }

    fn set(&mut self, who: &str, selectors: &[(&str, u64)], value: &str) -> Result<()> {
        let owner = if who == "rival" { &self.rival } else { &self.keeper };
        let names: Vec<String> = selectors
            .iter()
            .map(
                |(name, ordinal)| {
                    if *ordinal == 0 { (*name).to_owned() } else { format!("'{name}#{ordinal}'") }
                },
            )
            .collect();
        let option = if who == "rival" { "--owner rival " } else { "" };
        let args: Vec<SelectorArg> =
            selectors.iter().map(|(name, ordinal)| SelectorArg::one(*name, *ordinal)).collect();
        let begun = Instant::now();
        let written = self.client.write(&write(owner, &args, value.as_bytes()), &mut |_| true)?;
        let took = begun.elapsed();
        let Written::New(hash) = written else {
            return Err(Failure::new("the demo went wrong: a new value was not written"));
        };
        let text = format!("{} {}", short(owner.public()), short(&hash));
        self.records += 1;
        self.story.command(&format!("lf set {option}{} '{value}'", names.join(" ")))?;
        self.story.answer(&text, Some(took))
    }

    fn get(&mut self, selectors: &[&str], expected: usize) -> Result<Vec<FoundSet>> {
        let shown: Vec<String> = selectors
            .iter()
            .map(|s| if s.contains('#') { format!("'{s}'") } else { (*s).to_owned() })
            .collect();
        self.story.command(&format!("lf get {}", shown.join(" ")))?;
        let args: Vec<SelectorArg> = selectors.iter().map(|s| s.parse()).collect::<Result<_, _>>()?;
        let begun = Instant::now();
        let found = self.client.find(&Find { selectors: args.clone(), ..Find::default() })?;
        let took = begun.elapsed();
        for (i, line) in get::lines(&found.sets, &args).lines().enumerate() {
            self.story.answer(line, (i == 0).then_some(took))?;
        }
        expect(found.sets.len() == expected, "a query finds what was written")?;
        Ok(found.sets)
    }

    fn name_of(&self, owner: &OwnerPublic) -> &'static str {
        if owner == self.keeper.public() { "keeper" } else { "rival" }
    }
}

const LOG_NAME: &str = "log";

fn write<'a>(owner: &'a OwnerSecret, selectors: &'a [SelectorArg], value: &'a [u8]) -> Write<'a> {
    Write {
        owner,
        selectors,
        value,
        masking_key: None,
        pulsing: Pulsing::No,
        may_work: true,
        workers: Workers::default(),
    }
}

/// An owner or a hash in as many characters as a line of the story has room for.
fn short(what: &dyn std::fmt::Display) -> String {
    let text = what.to_string();
    if text.len() > 20 { format!("{}…", &text[..20]) } else { text }
}

fn expect(good: bool, what: &str) -> Result<()> {
    if good { Ok(()) } else { Err(Failure::new(format!("the demo went wrong: {what} did not hold"))) }
}

fn wait_for_interrupt() -> Result<()> {
    let failed = |e: std::io::Error| Failure::new(format!("cannot wait for Ctrl-C: {e}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(tokio::signal::ctrl_c()).map_err(failed)
}
