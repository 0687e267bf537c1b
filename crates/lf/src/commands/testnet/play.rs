//! The story of `lf testnet --play`: writes that all nodes see, a partition that heals, a crash, a late node. Whatever
//! does not come true in time is an error.

use std::time::{Duration, Instant};

use lf_client::{Find, FoundSet, Pulsing, SelectorArg, Workers, Write, Written};
use lf_proto::api::weight_from_words;
use lf_proto::owner::OwnerPublic;
use lf_proto::record::{RecordBuilder, RecordType};

use super::nodes::{Network, Node};
use crate::commands::get;
use crate::failure::{Failure, Result};
use crate::story::Story;
use crate::ui;

/// How long anything may take: machines can be busy.
const TIME_MAX: Duration = Duration::from_secs(120);
/// The name that both sides of the partition take.
const CONTESTED: &str = "harbour";
/// The name of the record that is pulsed.
const PULSED: &str = "alive";
/// How old that record is made, so that it can be pulsed at once: pulses count whole minutes. Not older, or the records
/// it links to would be newer than itself by more than the drift.
const PULSED_SECS: u64 = 60;

/// Who writes.
#[derive(Debug, Clone, Copy)]
enum Who {
    User,
    Rival,
}

/// The network, who tells its story, and how many records there must be.
struct Play<'a> {
    network: &'a mut Network,
    story: &'a mut Story,
    records: u64,
}

pub(super) fn play(network: &mut Network, story: &mut Story) -> Result<()> {
    let begun = Instant::now();
    let first = network.nodes().first().ok_or_else(|| Failure::new("no node"))?;
    let records = first.client.status()?.record_count;
    let mut play = Play { network, story, records };
    play.everywhere()?;
    play.pulse()?;
    play.partition()?;
    play.crash()?;
    play.late()?;
    let (nodes, took) = (play.network.len(), ui::took(begun.elapsed()));
    let records = ui::plural(play.records, "record");
    play.story.plain(&format!(
        "\nAll {nodes} nodes have the same {records}, in {took}; they end now.\nRun a network that stays: lf testnet\n"
    ))
}

impl Play<'_> {
    fn everywhere(&mut self) -> Result<()> {
        self.story
            .say("A record on each node. (The homes of nodes are 1, 2, … in the network's directory.)")?;
        let all: Vec<usize> = (0..self.network.len()).collect();
        for index in &all {
            self.set(
                *index,
                Who::User,
                &format!("hello#{}", index + 1),
                &format!("from node {}", index + 1),
            )?;
        }
        self.story.say("Every node has them all.")?;
        for index in &all {
            self.get(*index, "hello#", all.len())?;
        }
        self.same()
    }

    fn pulse(&mut self) -> Result<()> {
        self.story
            .say("A pulse says that a record of a minute ago still holds: 11 bytes, and no new record.")?;
        let selectors = [PULSED.parse::<SelectorArg>()?];
        let owner = &self.network.owner;
        let client = &self.node(0)?.client;
        let situation = client.owner_status(owner.public())?;
        let builder = RecordBuilder {
            record_type: RecordType::Datum,
            value: b"since a minute ago",
            masking_key: None,
            selectors: &[(PULSED.as_bytes(), 0)],
            links: &situation.new_record_links,
            timestamp: situation.server_time.saturating_sub(PULSED_SECS),
            with_pulse_token: true,
        };
        let record = builder.build(owner).map_err(|e| Failure::new(e.to_string()))?.sign(owner, None);
        client.post(&record)?;
        self.records += 1;
        self.same()?;
        self.story.command(&format!("lf --path 1 pulse {PULSED}"))?;
        let write = Write {
            owner: &self.network.owner,
            selectors: &selectors,
            value: b"",
            masking_key: None,
            pulsing: Pulsing::IfUnchanged,
            may_work: true,
            workers: Workers::default(),
        };
        let begun = Instant::now();
        let Written::Pulsed { pulse, .. } = self.node(0)?.client.renew(&write, &mut |_| true)? else {
            return Err(Failure::new("not so: node 1 pulses a record"));
        };
        self.story.answer(&pulse.to_string(), Some(begun.elapsed()))?;
        let all: Vec<usize> = (0..self.network.len()).collect();
        let find = Find { selectors: selectors.to_vec(), ..Find::default() };
        let took = self.network.wait_on(&all, "the pulse is seen", TIME_MAX, |node| {
            let sets = node.client.find(&find)?.sets;
            Ok(sets.first().is_some_and(|set| set.winner().result.pulse > record.timestamp()))
        })?;
        self.story.answer(&format!("seen by all {} nodes", all.len()), Some(took))
    }

    fn partition(&mut self) -> Result<()> {
        let count = self.network.len();
        let (left, right): (Vec<usize>, Vec<usize>) = (0..count).partition(|index| *index < count / 2);
        let (first, last) = (0, count - 1);
        self.story.say(&format!(
            "A partition: nodes 1 to {} and {} to {count} ban each other.",
            count / 2,
            count / 2 + 1
        ))?;
        self.story.command(&format!("lf --path 1 peers ban IDENTITY-OF-{count}"))?;
        let begun = Instant::now();
        self.network.part(&left, &right)?;
        for (side, size) in [(&left, left.len()), (&right, right.len())] {
            let connected = |node: &Node| Ok(node.client.status()?.peers.len() < size);
            self.network.wait_on(side, "the partition holds", TIME_MAX, connected)?;
        }
        self.story.answer("no connection from one side to the other", Some(begun.elapsed()))?;

        self.story.say("Both sides write, and both take one name.")?;
        self.set(first, Who::User, "left", "written on one side")?;
        self.set(last, Who::User, "right", "written on the other")?;
        self.set(first, Who::User, CONTESTED, "ours, says one side")?;
        self.set(last, Who::Rival, CONTESTED, "ours, says the other")?;
        self.story.say("Each side sees its own.")?;
        for (side, own, other) in [(&left, "left", "right"), (&right, "right", "left")] {
            // The first of the right side and the last of the left one: records go through the group.
            let Some(index) = side.iter().find(|index| ![first, last].contains(index)).or(side.first())
            else {
                continue;
            };
            self.get(*index, own, 1)?;
            self.get(*index, CONTESTED, 1)?;
            self.story.command(&format!("lf --path {} get {other}", index + 1))?;
            let seen = self.find(*index, other)?.len();
            expect(seen == 0, &format!("node {} does not see the other side", index + 1))?;
            self.story.answer("(nothing)", None)?;
        }

        self.story.say("The partition heals.")?;
        self.story.command(&format!("lf --path 1 peers unban IDENTITY-OF-{count}"))?;
        self.story.command(&format!("lf --path 1 node connect ADDRESS-OF-{count}"))?;
        self.network.join(&left, &right)?;
        self.same()?;
        self.same_weights()?;
        self.story.say(
            "Both claims to the name are everywhere now; each node goes on believing the one it had first.",
        )?;
        for index in [first, last] {
            self.get(index, CONTESTED, 1)?;
        }
        Ok(())
    }

    fn crash(&mut self) -> Result<()> {
        let last = self.network.len() - 1;
        self.story.say(&format!("Node {} is killed. The others go on without it.", last + 1))?;
        self.story.command(&format!("kill -9 $(cat {}/lf.pid)", last + 1))?;
        self.network.kill(last)?;
        self.set(0, Who::User, "news", "node down")?;
        self.set(0, Who::User, "news#2", "still down")?;
        self.same()?;
        self.story.say("It starts again and catches up.")?;
        self.story.command(&format!("lf --path {} node start --testnet …", last + 1))?;
        self.network.restart(last)?;
        self.same()?;
        self.get(last, "news#2", 1)
    }

    fn late(&mut self) -> Result<()> {
        self.story.say("A new node comes, with nothing but genesis.lf, and gets everything.")?;
        let index = self.network.len();
        self.story.command(&format!("lf --path {} node start --testnet …", index + 1))?;
        let index = self.network.start_next()?;
        self.same()?;
        self.get(index, "hello#", index)
    }

    /// Waits until all running nodes have the same records, and says how long that took.
    fn same(&mut self) -> Result<()> {
        let (took, _) = self.network.wait_same(self.records, TIME_MAX)?;
        let records = ui::plural(self.records, "record");
        self.story.answer(&format!("all running nodes have the same {records}"), Some(took))
    }

    /// All nodes must give the contested records the same weights.
    fn same_weights(&mut self) -> Result<()> {
        let owners = [*self.network.owner.public(), *self.network.rival.public()];
        let mut first: Option<Vec<u128>> = None;
        for index in 0..self.network.len() {
            let sets = self.find(index, CONTESTED)?;
            let weight = |owner: &OwnerPublic| {
                let found = sets.iter().flat_map(FoundSet::records).find(|r| r.record.owner() == owner);
                found.map(|found| weight_from_words(&found.result.weight))
            };
            let weights: Option<Vec<u128>> = owners.iter().map(weight).collect();
            let claims = format!("node {} has both claims", index + 1);
            let weights = weights.ok_or_else(|| Failure::new(format!("not so: {claims}")))?;
            match &first {
                Some(first) => {
                    expect(*first == weights, &format!("node {} has the weights of node 1", index + 1))?;
                }
                None => first = Some(weights),
            }
        }
        let shown: Vec<String> = first.iter().flatten().map(u128::to_string).collect();
        self.story.answer(&format!("and give the two claims the same weights: {}", shown.join(" and ")), None)
    }

    fn node(&self, index: usize) -> Result<&Node> {
        self.network.nodes().get(index).ok_or_else(|| Failure::new(format!("there is no node {}", index + 1)))
    }

    fn set(&mut self, index: usize, who: Who, selector: &str, value: &str) -> Result<()> {
        let option = match who {
            Who::User => "",
            Who::Rival => "--owner rival ",
        };
        self.story.command(&format!("lf --path {} set {option}{} '{value}'", index + 1, shown(selector)))?;
        let node = self.node(index)?;
        let owner = match who {
            Who::User => &self.network.owner,
            Who::Rival => &self.network.rival,
        };
        let selectors = [selector.parse::<SelectorArg>()?];
        let write = Write {
            owner,
            selectors: &selectors,
            value: value.as_bytes(),
            masking_key: None,
            pulsing: Pulsing::No,
            may_work: true,
            workers: Workers::default(),
        };
        let begun = Instant::now();
        let Written::New(hash) = node.client.write(&write, &mut |_| true)? else {
            return Err(Failure::new(format!("not so: node {} writes a new value", index + 1)));
        };
        self.records += 1;
        let hash: String = hash.to_string().chars().take(20).collect();
        self.story.answer(&format!("{hash}…"), Some(begun.elapsed()))
    }

    /// Reads until there are as many sets as there must be, and shows them.
    fn get(&mut self, index: usize, selector: &str, sets: usize) -> Result<()> {
        self.story.command(&format!("lf --path {} get {}", index + 1, shown(selector)))?;
        let what = format!("node {} has what was written under {selector}", index + 1);
        let selectors = [selector.parse::<SelectorArg>()?];
        let find = Find { selectors: selectors.to_vec(), ..Find::default() };
        let mut found = Vec::new();
        let took = self.network.wait_on(&[index], &what, TIME_MAX, |node| {
            found = node.client.find(&find)?.sets;
            Ok(found.len() == sets)
        })?;
        for (i, line) in get::lines(&found, &selectors).lines().enumerate() {
            self.story.answer(line, (i == 0).then_some(took))?;
        }
        Ok(())
    }

    fn find(&self, index: usize, selector: &str) -> Result<Vec<FoundSet>> {
        let selectors = vec![selector.parse::<SelectorArg>()?];
        Ok(self.node(index)?.client.find(&Find { selectors, ..Find::default() })?.sets)
    }
}

/// A selector as it is typed.
fn shown(selector: &str) -> String {
    if selector.contains('#') { format!("'{selector}'") } else { selector.to_owned() }
}

fn expect(good: bool, what: &str) -> Result<()> {
    if good { Ok(()) } else { Err(Failure::new(format!("not so: {what}"))) }
}
