//! `lf makegenesis`: starting a network.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use lf_client::{GenesisPlan, Workers, make_genesis, write_private};
use lf_proto::cert::{DAYS_MAX, Subject};
use lf_proto::genesis::{AMENDABLE, GenesisParameters};
use lf_proto::owner::OwnerType;

use crate::authorities::{self, NewRoots};
use crate::context::new_secret;
use crate::failure::{Failure, Result};
use crate::parameters::{self, Given};
use crate::{interact, ui};

/// What a network is if nothing is said. Three links: with two, records that link to random old ones would make exact
/// weights ever slower. The work factor makes a typical record cost seconds of a core.
fn defaults() -> GenesisParameters {
    GenesisParameters {
        record_min_links: 3,
        record_max_value_size: 1024,
        record_max_time_drift: 60,
        strict_signatures: true,
        work_factor: 16,
        ..GenesisParameters::default()
    }
}

/// Start a network of your own
///
/// Writes genesis.lf, from which all nodes of the network start, and genesis-secret.pem if anything is amendable: who
/// has it can amend (lf genesis amend). Without --name or --file it asks for everything. Prints the network's
/// parameters. Whoever knows its id can join, so keep genesis.lf to yourself if the network is private.
///
/// Certificate authorities (--ca) certify owners, who then write without proof of work; with --auth-required true nobody
/// else can write. Each one's certificate and key are written to genesis-auth-SERIAL.pem. Keep authcertificates
/// amendable, or an authority can never be added or revoked.
///
/// The names in a TOML file are those of the options: name, contact, comment, links, value-bytes, drift, work-factor,
/// strict-signatures, auth-required, amendable, a list, and a table [[ca]] for each authority: common-name, organization,
/// unit, locality, province, street, postal-code, country and days, or file.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf makegenesis                                 asks\n  lf makegenesis --name mine --output DIR        all defaults\n  lf makegenesis --name mine --amendable comment,recordmaxvaluesize\n  lf makegenesis --name mine --ca 'Our CA' --auth-required true --amendable authcertificates\n  lf makegenesis --file network.toml\n\n"
)]
pub(crate) struct MakeGenesis {
    #[command(flatten)]
    given: Given,
    /// Fields that can be amended later, by who has genesis-secret.pem
    #[arg(long, value_name = "FIELD,…", value_delimiter = ',')]
    amendable: Option<Vec<String>>,
    /// Make a root certificate authority of this name; can be given more than once
    #[arg(long, value_name = "NAME")]
    ca: Vec<String>,
    /// Take a root certificate authority from this file (lf ca root); its certificate is enough
    #[arg(long, value_name = "FILE")]
    ca_file: Vec<PathBuf>,
    /// Take from this TOML file what no option says (- for stdin)
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
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
    let (parameters, roots) = wanted(args)?;
    // Before the work, which may take long.
    fs::create_dir_all(&args.output)
        .map_err(|e| Failure::new(format!("cannot make {}: {e}", args.output.display())))?;
    let owner = new_secret(OwnerType::Ed25519)?;
    let timestamp = authorities::clock();
    let begun = Instant::now();
    let count = parameters.links_min();
    ui::note(&format!("Working for {} …", ui::plural(count as u64, "genesis record")));
    let bar = ui::WorkBar::new("Working");
    let plan = GenesisPlan { parameters, owner: &owner, timestamp, workers: Some(Workers::default()) };
    let genesis = make_genesis(plan, &mut |index, count, progress| {
        bar.set_what(format!("Working for record {} of {count}", index + 1));
        bar.show(&progress);
        true
    })?;
    drop(bar);
    for root in &roots.made {
        let file = authorities::default_path("genesis-auth", root);
        authorities::write_authority(&args.output.join(file), root)?;
    }
    let amendable = !genesis.parameters().amendable_fields.is_empty();
    if amendable {
        // First: a network whose key is lost could never be amended.
        write_private(&secret_path, owner.to_pem().as_bytes()).map_err(|e| cannot_write(&secret_path, &e))?;
    }
    write_new(&genesis_path, &genesis.to_bytes())?;
    ui::print_json(genesis.parameters())?;
    ui::note(&format!("Network id {}", genesis.parameters().id_text()));
    for record in genesis.records() {
        ui::note(&format!("Record {}, {} bytes", record.hash(), record.as_bytes().len()));
    }
    ui::note(&format!("{} written in {}.", genesis_path.display(), ui::took(begun.elapsed())));
    if amendable {
        ui::note(&format!("{} written: keep it secret, it can amend the network.", secret_path.display()));
        let fixed = !genesis.parameters().amendable_fields.iter().any(|field| field == "authcertificates");
        let small = genesis.parameters().record_max_value_size < VALUE_BYTES_WITH_ROOTS;
        if !fixed && small && !roots.certificates.is_empty() {
            ui::note("Values are small: an amendment that adds certificate authorities may not fit.");
        }
        if fixed && !roots.certificates.is_empty() {
            ui::note("Its certificate authorities are not amendable: none can be added or revoked.");
        }
    } else {
        ui::note("Nothing is amendable, so the genesis owner's key is thrown away.");
    }
    ui::note("Put genesis.lf into the home directory of every node, then: lf node start");
    Ok(())
}

/// The largest value of a network with certificate authorities, if nothing is said: an amendment holds the certificates
/// of all of them, and a revocation list its entries.
const VALUE_BYTES_WITH_ROOTS: u64 = 4096;

/// The network that the options and the file describe, or the answers if they do not, with its root authorities.
fn wanted(args: &MakeGenesis) -> Result<(GenesisParameters, NewRoots)> {
    let mut parameters = defaults();
    let mut given = Given { amendable: args.amendable.clone(), ..args.given.clone() };
    if let Some(file) = &args.file {
        given = given.or(Given::read(file)?);
    }
    given.apply(&mut parameters)?;
    let mut roots = NewRoots::default();
    for table in given.ca.iter().flatten() {
        roots.take(table)?;
    }
    for name in &args.ca {
        roots.make(&Subject { common_name: name.clone(), ..Subject::default() }, None)?;
    }
    for file in &args.ca_file {
        roots.read(file)?;
    }
    if !roots.certificates.is_empty() && given.value_bytes.is_none() {
        parameters.record_max_value_size = VALUE_BYTES_WITH_ROOTS;
    }
    if parameters.name.is_empty() {
        if args.file.is_some() {
            return Err(
                Failure::new("the file does not say the network's name").hint("say it there, or with --name")
            );
        }
        ask_for(&mut parameters, &mut roots)?;
    }
    parameters.auth_certificates = roots.row().into();
    authorities::check_required(&parameters)?;
    Ok((parameters, roots))
}

/// The questions, in the order they always had: who pipes the answers in can go on doing so.
fn ask_for(p: &mut GenesisParameters, roots: &mut NewRoots) -> Result<()> {
    let required =
        |text: &str| if text.is_empty() { Err("a name is needed".to_owned()) } else { Ok(text.to_owned()) };
    p.name = interact::ask_until("Network name", "", required)
        .map_err(|e| e.hint("lf makegenesis --name NAME asks nothing"))?;
    p.contact = interact::ask("Network contact", &p.contact)?;
    p.comment = interact::ask("Network comment or description", &p.comment)?;
    let number = |question: &str, default: u64, check: fn(u64) -> Result<u64, String>| {
        let answer = interact::ask(question, &default.to_string())?;
        parameters::number(&answer).and_then(check).map_err(Failure::new)
    };
    p.record_min_links = number("Record minimum links", p.record_min_links, parameters::links)?;
    p.record_max_value_size =
        number("Record maximum value size", p.record_max_value_size, parameters::value_bytes)?;
    p.record_max_time_drift =
        number("Record maximum time drift (seconds)", p.record_max_time_drift, parameters::drift)?;
    ui::note(&format!("Amendable fields can be: {}", AMENDABLE.join(", ")));
    let before = p.amendable_fields.join(",");
    p.amendable_fields = interact::ask_until("Amendable fields (comma separated)", &before, |text| {
        let names = text.split(',').filter(|name| !name.trim().is_empty());
        GenesisParameters::amendable_names(names).map_err(|e| e.to_string())
    })?;
    let yes = |question: &str| Ok::<_, Failure>(interact::ask(question, "")?.to_lowercase().starts_with('y'));
    let mut more = yes("Create a record authorization certificate? [y/N]")?;
    while more {
        let default = DAYS_MAX.to_string();
        let days = interact::ask_until("  Time to live in days", &default, authorities::days_text)?;
        roots.make(&authorities::ask_subject()?, days)?;
        more = yes("Create another record authorization certificate? [y/N]")?;
    }
    if !roots.certificates.is_empty() && !p.auth_required {
        let count = roots.certificates.len() as u64;
        ui::note(&format!(
            "  ({}, {})",
            ui::plural(count, "authorization certificate"),
            ui::plural(roots.row().len() as u64, "byte")
        ));
        p.auth_required = yes("Authorization certificates required? [y/N]")?;
    }
    Ok(())
}

fn cannot_write(path: &Path, e: &std::io::Error) -> Failure {
    Failure::new(format!("cannot write {}: {e}", path.display()))
}

/// Writes a file that must not be there: another one may have come during the work.
fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|e| cannot_write(path, &e))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::{CommandFactory as _, FromArgMatches as _, Parser};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: MakeGenesis,
    }

    #[test]
    fn what_a_network_is_if_nothing_is_said() {
        let matches = Line::command().try_get_matches_from(["x", "--name", "n"]).unwrap();
        let (p, roots) = wanted(&Line::from_arg_matches(&matches).unwrap().args).unwrap();
        assert!(roots.certificates.is_empty());
        assert_eq!((p.record_min_links, p.record_max_value_size, p.record_max_time_drift), (3, 1024, 60));
        assert_eq!((p.work_factor, p.strict_signatures), (16, true));
        assert_eq!((p.id, p.amendable_fields.len(), p.auth_required), ([0; 32], 0, false), "made later");
    }
}
