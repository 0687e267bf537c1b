//! `lf makegenesis`: starting a network.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use lf_client::{GenesisPlan, Workers, make_genesis, write_private};
use lf_proto::genesis::{AMENDABLE, GenesisParameters};
use lf_proto::owner::OwnerType;
use lf_proto::record::{LINKS_MAX, RECORD_BYTES_MAX};

use crate::context::new_secret;
use crate::failure::{Failure, Result};
use crate::{interact, ui};

const LINKS_DEFAULT: u64 = 3;
const VALUE_BYTES_DEFAULT: u64 = 1024;
const DRIFT_SECONDS_DEFAULT: u64 = 60;

/// Start a network of your own
///
/// Writes genesis.lf, from which all nodes of the network start, and genesis-secret.pem if anything is amendable: who
/// has it can amend. Without --name it asks for everything. Prints the network's parameters.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf makegenesis                                 asks\n  lf makegenesis --name mine --output DIR        all defaults\n  lf makegenesis --name mine --amendable comment,recordmaxvaluesize\n\n"
)]
pub(crate) struct MakeGenesis {
    /// The network's name; with it nothing is asked
    #[arg(long)]
    name: Option<String>,
    /// Who to ask about the network
    #[arg(long, default_value = "", hide_default_value = true)]
    contact: String,
    /// What the network is about
    #[arg(long, default_value = "", hide_default_value = true)]
    comment: String,
    /// The fewest links of a record, 2 to 15
    #[arg(long, value_name = "N", default_value_t = LINKS_DEFAULT)]
    links: u64,
    /// The largest value, in bytes as stored
    #[arg(long, value_name = "BYTES", default_value_t = VALUE_BYTES_DEFAULT)]
    value_bytes: u64,
    /// How far clocks may be off, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = DRIFT_SECONDS_DEFAULT)]
    drift: u64,
    /// Multiplies the difficulty of the work that records need; 16 makes it take four times as long
    #[arg(long, value_name = "FACTOR", default_value_t = 1)]
    work_factor: u64,
    /// Fields that can be amended later, by who has genesis-secret.pem
    #[arg(long, value_name = "FIELD,…", value_delimiter = ',')]
    amendable: Vec<String>,
    /// Also take ECDSA signatures in their malleable form, as old networks do
    #[arg(long)]
    lax_signatures: bool,
    /// Where the files are written
    #[arg(long, value_name = "DIR", default_value = ".")]
    output: PathBuf,
}

pub(crate) fn run(args: &MakeGenesis) -> Result<()> {
    let genesis_path = args.output.join("genesis.lf");
    let secret_path = args.output.join("genesis-secret.pem");
    for path in [&genesis_path, &secret_path] {
        if path.exists() {
            return Err(Failure::new(format!("{} exists already", path.display()))
                .hint("move it away, or write elsewhere: --output DIR"));
        }
    }
    let parameters = match &args.name {
        Some(name) => from_flags(args, name)?,
        None => from_questions(args)?,
    };
    let owner = new_secret(OwnerType::Ed25519)?;
    let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let begun = Instant::now();
    let bar = ui::WorkBar::new("Working");
    let plan = GenesisPlan { parameters, owner: &owner, timestamp, workers: Workers::default() };
    let genesis = make_genesis(plan, &mut |index, count, progress| {
        bar.set_what(format!("Working for record {} of {count}", index + 1));
        bar.show(&progress);
        true
    })?;
    drop(bar);
    write_new(&genesis_path, &genesis.to_bytes(), false)?;
    let amendable = !genesis.parameters().amendable_fields.is_empty();
    if amendable {
        write_new(&secret_path, owner.to_pem().as_bytes(), true)?;
    }
    ui::print_json(genesis.parameters())?;
    let id: String = genesis.parameters().id.iter().map(|b| format!("{b:02x}")).collect();
    ui::note(&format!("Network id {id}"));
    for record in genesis.records() {
        ui::note(&format!("Record {}, {} bytes", record.hash(), record.as_bytes().len()));
    }
    ui::note(&format!("{} written in {}.", genesis_path.display(), ui::took(begun.elapsed())));
    if amendable {
        ui::note(&format!("{} written: keep it secret, it can amend the network.", secret_path.display()));
    } else {
        ui::note("Nothing is amendable, so the genesis owner's key is thrown away.");
    }
    ui::note("Put genesis.lf into the home directory of every node, then: lf node start");
    Ok(())
}

fn from_flags(args: &MakeGenesis, name: &str) -> Result<GenesisParameters> {
    let amendable = args.amendable.iter().map(String::as_str).filter(|field| !field.trim().is_empty());
    Ok(GenesisParameters {
        name: name.trim().to_owned(),
        contact: args.contact.clone(),
        comment: args.comment.clone(),
        record_min_links: links(&args.links.to_string()).map_err(Failure::new)?,
        record_max_value_size: value_bytes(&args.value_bytes.to_string()).map_err(Failure::new)?,
        record_max_time_drift: drift(&args.drift.to_string()).map_err(Failure::new)?,
        amendable_fields: GenesisParameters::amendable_names(amendable)
            .map_err(|e| Failure::new(e.to_string()))?,
        strict_signatures: !args.lax_signatures,
        work_factor: if args.work_factor == 1 { 0 } else { args.work_factor },
        ..GenesisParameters::default()
    })
}

/// The questions, in the order they always had: who pipes the answers in can go on doing so.
fn from_questions(args: &MakeGenesis) -> Result<GenesisParameters> {
    let required =
        |text: &str| if text.is_empty() { Err("a name is needed".to_owned()) } else { Ok(text.to_owned()) };
    let name = interact::ask_until("Network name", "", required)?;
    let contact = interact::ask("Network contact", &args.contact)?;
    let comment = interact::ask("Network comment or description", &args.comment)?;
    let number = |question: &str, default: u64, parse: fn(&str) -> Result<u64, String>| {
        parse(&interact::ask(question, &default.to_string())?).map_err(Failure::new)
    };
    let record_min_links = number("Record minimum links", args.links, links)?;
    let record_max_value_size = number("Record maximum value size", args.value_bytes, value_bytes)?;
    let record_max_time_drift = number("Record maximum time drift (seconds)", args.drift, drift)?;
    ui::note(&format!("Amendable fields can be: {}", AMENDABLE.join(", ")));
    let amendable_fields = interact::ask_until("Amendable fields (comma separated)", "", |text| {
        let names = text.split(',').filter(|name| !name.trim().is_empty());
        GenesisParameters::amendable_names(names).map_err(|e| e.to_string())
    })?;
    let certificate = interact::ask("Create a record authorization certificate? [y/N]", "")?;
    if certificate.to_lowercase().starts_with('y') {
        return Err(Failure::new("this version cannot make certificates yet"));
    }
    Ok(GenesisParameters {
        name,
        contact,
        comment,
        record_min_links,
        record_max_value_size,
        record_max_time_drift,
        amendable_fields,
        strict_signatures: !args.lax_signatures,
        work_factor: if args.work_factor == 1 { 0 } else { args.work_factor },
        ..GenesisParameters::default()
    })
}

fn number(text: &str) -> Result<u64, String> {
    text.trim().parse().map_err(|_| format!("{text:?} is not a number"))
}

fn links(text: &str) -> Result<u64, String> {
    match number(text)? {
        n if n < 2 => {
            Err("with fewer than 2 links for each record the graph does not hold together".to_owned())
        }
        n if n > LINKS_MAX as u64 => Err(format!("a record has at most {LINKS_MAX} links")),
        n => Ok(n),
    }
}

fn value_bytes(text: &str) -> Result<u64, String> {
    match number(text)? {
        n if n > RECORD_BYTES_MAX as u64 => Err(format!("a record has at most {RECORD_BYTES_MAX} bytes")),
        n => Ok(n),
    }
}

fn drift(text: &str) -> Result<u64, String> {
    match number(text)? {
        0 => Err("clocks always are a little off".to_owned()),
        n => Ok(n),
    }
}

fn write_new(path: &Path, bytes: &[u8], private: bool) -> Result<()> {
    let written = match path.parent() {
        Some(parent) => fs::create_dir_all(parent),
        None => Ok(()),
    };
    let written =
        written.and_then(|()| if private { write_private(path, bytes) } else { fs::write(path, bytes) });
    written.map_err(|e| Failure::new(format!("cannot write {}: {e}", path.display())))
}
