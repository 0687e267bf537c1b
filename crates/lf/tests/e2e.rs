//! `clients/e2e.json` with the Rust client: the steps that every client does against a real node.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;
#[path = "support/tools.rs"]
mod tools;

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use lf_client::{
    Client, ClientError, Find, FoundRecord, FoundSet, Pulsing, SelectorArg, Workers, Write, Written,
};
use lf_proto::hash::Hash;
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::record::Record;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::Node;

#[derive(Deserialize)]
struct Script {
    steps: Vec<Step>,
}

/// One step: the members that steps of its kind have, see clients/README.md.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(rename = "do")]
    kind: String,
    #[serde(rename = "as")]
    called: Option<String>,
    #[serde(rename = "type")]
    owner_type: Option<String>,
    passphrase: Option<String>,
    public: Option<String>,
    owner: Option<String>,
    #[serde(default)]
    selectors: Vec<String>,
    #[serde(default)]
    owners: Vec<String>,
    mask: Option<String>,
    value: Option<Value>,
    #[serde(default)]
    pulse: bool,
    #[serde(default)]
    open: bool,
    #[serde(default)]
    limit: u64,
    seconds_ago: Option<u64>,
    records: Option<usize>,
    #[serde(default)]
    flip_bit: bool,
    hash: Option<String>,
    #[serde(default)]
    args: Vec<Value>,
    stdout: Option<Value>,
    expect: Option<Value>,
    error: Option<String>,
}

/// Why a step failed, as the script names it.
#[derive(Debug)]
struct Failed {
    name: String,
    message: String,
}

impl From<ClientError> for Failed {
    fn from(error: ClientError) -> Self {
        let name = match &error {
            ClientError::Api { name, .. } => name.as_str(),
            ClientError::ValueTooLarge { .. } => "ErrRecordValueTooLarge",
            ClientError::NothingToPulse(_) => "ErrRecordNotFound",
            _ => "",
        };
        Failed { name: name.to_owned(), message: error.to_string() }
    }
}

/// A watcher's records, as they come.
type Watched = mpsc::Receiver<FoundRecord>;

struct Runner {
    node: Node,
    client: Client,
    owners: HashMap<String, OwnerSecret>,
    watched: HashMap<String, Watched>,
}

fn bytes(value: &Value) -> Vec<u8> {
    if let Some(text) = value.as_str() {
        return text.as_bytes().to_vec();
    }
    if let Some(hex) = value["hex"].as_str() {
        return (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect();
    }
    if let Some(text) = value["repeat"].as_str() {
        return text.repeat(usize::try_from(value["times"].as_u64().unwrap()).unwrap()).into_bytes();
    }
    let noise =
        usize::try_from(value["noise"].as_u64().unwrap_or_else(|| panic!("no value: {value}"))).unwrap();
    (0_u32..).flat_map(|i| Sha256::digest(i.to_string())).take(noise).collect()
}

fn selectors(texts: &[String]) -> Result<Vec<SelectorArg>, Failed> {
    let read = |text: &String| {
        text.parse::<SelectorArg>()
            .map_err(|e| Failed { name: "ErrInvalidParameter".to_owned(), message: e.to_string() })
    };
    texts.iter().map(read).collect()
}

impl Runner {
    fn owner(&self, step: &Step) -> &OwnerSecret {
        &self.owners[step.owner.as_ref().unwrap()]
    }

    fn find(&self, step: &Step) -> Result<Find, Failed> {
        Ok(Find {
            selectors: selectors(&step.selectors)?,
            masking_key: step.mask.as_ref().map(|mask| mask.as_bytes().to_vec()),
            owners: step.owners.iter().map(|name| *self.owners[name].public()).collect(),
            open: step.open,
            limit: step.limit,
            ..Find::default()
        })
    }

    /// Compares the members that are expected of a record.
    fn compare(&self, step: &Step, found: &FoundRecord, expected: &Value) {
        for (member, expected) in expected.as_object().unwrap() {
            match member.as_str() {
                "value" if expected.is_null() => assert_eq!(found.value, None, "{step:?}"),
                "value" => assert_eq!(found.value.as_deref(), Some(&bytes(expected)[..]), "{step:?}"),
                "owner" => {
                    let owner = self.owners[expected.as_str().unwrap()].public();
                    assert_eq!(&found.result.record.owner, owner, "{step:?}");
                }
                "trust" => assert_eq!(Some(found.result.trust), expected.as_f64(), "{step:?}"),
                "names" => {
                    let asked = selectors(&step.selectors).map_err(|e| e.message).unwrap();
                    let names: Vec<Value> = found
                        .selectors
                        .iter()
                        .enumerate()
                        .map(|(at, selector)| match (asked.get(at), selector.ordinal) {
                            (Some(asked), Some(ordinal)) => {
                                json!(format!("{}#{ordinal}", SelectorArg::escape_name(&asked.name)))
                            }
                            _ => Value::Null,
                        })
                        .collect();
                    assert_eq!(&Value::from(names), expected, "{step:?}");
                }
                other => panic!("unknown member {other}"),
            }
        }
    }

    fn compare_sets(&self, step: &Step, sets: &[FoundSet]) {
        let expected = step.expect.as_ref().unwrap().as_array().unwrap();
        assert_eq!(sets.len(), expected.len(), "{step:?}");
        for (set, expected) in sets.iter().zip(expected) {
            let expected = expected.as_array().unwrap();
            assert_eq!(set.records().count(), expected.len(), "{step:?}");
            set.records().zip(expected).for_each(|(found, expected)| self.compare(step, found, expected));
        }
    }

    /// Raw records of the first set that a query answers.
    fn raw(&self, step: &Step) -> Result<Vec<Record>, Failed> {
        let found = self.client.find(&self.find(step)?)?;
        let hashes = found.sets[0].records().map(|found| found.result.hash);
        hashes.map(|hash| Ok(self.client.record(&hash)?.unwrap())).collect()
    }

    fn write(&self, step: &Step) -> Result<&'static str, Failed> {
        let value = step.value.as_ref().map(bytes).unwrap_or_default();
        let write = Write {
            owner: self.owner(step),
            selectors: &selectors(&step.selectors)?,
            value: &value,
            masking_key: step.mask.as_ref().map(String::as_bytes),
            pulsing: if step.pulse { Pulsing::IfUnchanged } else { Pulsing::No },
            may_work: false,
            workers: Workers::default(),
        };
        let written = if step.kind == "pulse" {
            self.client.renew(&write, &mut |_| true)?
        } else {
            self.client.write(&write, &mut |_| true)?
        };
        Ok(match written {
            Written::New(_) => "new",
            Written::Unchanged(_) => "unchanged",
            Written::Pulsed { .. } => "pulsed",
        })
    }

    fn make(&self, step: &Step) {
        let url = &self.node.url;
        let now = self.client.status().unwrap().clock;
        let named =
            |s: &SelectorArg| json!({ "Name": String::from_utf8_lossy(&s.name), "Ordinal": s.ordinal() });
        let selectors = selectors(&step.selectors).map_err(|e| e.message).unwrap();
        let request = json!({
            "Selectors": selectors.iter().map(named).collect::<Vec<_>>(),
            "Passphrase": step.passphrase, "MaskingKey": step.mask, "Value": step.value,
            "Timestamp": now - step.seconds_ago.unwrap(),
        });
        let address = url.trim_start_matches("http://");
        let body = request.to_string();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "POST /makerecord HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    fn watch(&mut self, step: &Step) -> Result<(), Failed> {
        let watch = self.client.watch(&self.find(step)?, None)?;
        let (sender, receiver) = mpsc::channel();
        // Ends with the node.
        std::thread::spawn(move || {
            watch.map_while(Result::ok).all(|event| sender.send(event.record).is_ok())
        });
        self.watched.insert(step.called.clone().unwrap(), receiver);
        Ok(())
    }

    fn watched(&self, step: &Step) {
        for expected in step.expect.as_ref().unwrap().as_array().unwrap() {
            let records = &self.watched[step.called.as_ref().unwrap()];
            let found = records.recv_timeout(Duration::from_secs(30)).unwrap();
            let names = Step { selectors: vec!["bad horse#".to_owned()], ..blank() };
            self.compare(&names, &found, expected);
        }
    }

    fn lf(&self, step: &Step) {
        let args = step.args.iter().map(|arg| String::from_utf8(bytes(arg)).unwrap());
        let ran = self.node.lf(args);
        assert_eq!(ran.code, Some(0), "{step:?}: {ran:?}");
        if let Some(expected) = &step.stdout {
            assert_eq!(ran.bytes, bytes(expected), "{step:?}");
        }
    }

    fn run(&mut self, step: &Step) -> Result<(), Failed> {
        match step.kind.as_str() {
            "status" => {
                let status = serde_json::to_value(self.client.status()?).unwrap();
                for (member, expected) in step.expect.as_ref().unwrap().as_object().unwrap() {
                    assert_eq!(&status[member], expected, "{member}");
                }
            }
            "owner" => {
                let owner = match &step.passphrase {
                    Some(text) => OwnerSecret::from_passphrase(text.as_bytes()).0,
                    None => OwnerSecret::from_seed(
                        step.owner_type.as_ref().unwrap().parse::<OwnerType>().unwrap(),
                        step.called.as_ref().unwrap().as_bytes(),
                    ),
                };
                if let Some(public) = &step.public {
                    assert_eq!(&owner.public().to_string(), public);
                }
                self.owners.insert(step.called.clone().unwrap(), owner);
            }
            "reimport" => {
                let again = OwnerSecret::parse(self.owner(step).to_pem().as_bytes()).unwrap();
                assert_eq!(again.public(), self.owner(step).public());
                self.owners.insert(step.called.clone().unwrap(), again);
            }
            "get" => {
                let found = self.client.find(&self.find(step)?)?;
                self.compare_sets(step, &found.sets);
            }
            "explain" => {
                let (_, explained) = self.client.explain(&self.find(step)?)?;
                assert!(explained.iter().all(|set| !set.set.because.is_empty()), "{explained:?}");
                let sets: Vec<FoundSet> = explained.into_iter().map(|set| set.found).collect();
                self.compare_sets(step, &sets);
            }
            "set" | "pulse" => {
                let outcome = self.write(step)?;
                assert_eq!(Some(&json!(outcome)), step.expect.as_ref(), "{step:?}");
            }
            "make" => self.make(step),
            "watch" => self.watch(step)?,
            "watched" => self.watched(step),
            "verify" => {
                let records = self.raw(step)?;
                assert_eq!(records.len(), step.records.unwrap());
                for record in records {
                    let again = Record::decode(record.as_bytes()).unwrap();
                    assert_eq!(again.hash(), record.hash());
                    lf_proto::record::verify_all(&[&again], true).remove(0).unwrap();
                }
            }
            "post" => {
                let mut bytes = self.raw(step)?[0].as_bytes().to_vec();
                if step.flip_bit {
                    *bytes.last_mut().unwrap() ^= 1;
                }
                self.client.post(&Record::decode(&bytes).unwrap())?;
            }
            "record" => {
                let hash: Hash = step.hash.as_ref().unwrap().parse().unwrap();
                if self.client.record(&hash)?.is_none() {
                    return Err(Failed { name: "ErrRecordNotFound".to_owned(), message: hash.to_string() });
                }
            }
            "lf" => self.lf(step),
            other => panic!("unknown step {other}"),
        }
        Ok(())
    }
}

fn blank() -> Step {
    serde_json::from_value(json!({ "do": "" })).unwrap()
}

#[test]
fn the_shared_script_runs() {
    let text = std::fs::read(tools::project().join("clients/e2e.json")).unwrap();
    let script: Script = serde_json::from_slice(&text).unwrap();
    let node = Node::start();
    let client = Client::new([&node.url]).unwrap();
    let mut runner = Runner { node, client, owners: HashMap::new(), watched: HashMap::new() };
    for step in &script.steps {
        match (runner.run(step), &step.error) {
            (Ok(()), None) => {}
            (Err(failed), Some(name)) => assert_eq!(&failed.name, name, "{step:?}: {}", failed.message),
            (outcome, _) => panic!("{step:?}: {outcome:?}"),
        }
    }
    println!("e2e.json {}", script.steps.len());
}
