//! `lf genesis`: looking at a network's genesis, and amending it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use lf_client::{Amendment, Client, ClientError, Workers};
use lf_proto::api::CertificateInfo;
use lf_proto::cert::Certificate;
use lf_proto::genesis::{GENESIS_BYTES_MAX, Genesis, GenesisParameters};
use lf_proto::owner::OwnerSecret;
use serde_json::json;

use crate::authorities::{self, Roots};
use crate::cli::Urls;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::parameters::{self, Given, Row};
use crate::{interact, times, ui};

/// A larger key file is none.
const KEY_BYTES_MAX: u64 = 1 << 16;
/// How long a node may take to apply what it has acknowledged.
const APPLY_TIME_MAX: Duration = Duration::from_secs(5);

/// Look at a network's genesis, or amend it
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf genesis show genesis.lf\n  lf genesis show http://127.0.0.1:9980\n  lf genesis amend --comment 'under new management'\n\n"
)]
pub(crate) struct GenesisArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(Show),
    Amend(Box<Amend>),
}

/// Show a network's parameters, its owner and its first records
///
/// Of a node, it also shows what amendments have changed since.
#[derive(Debug, Args)]
struct Show {
    /// A genesis.lf, or a node's URL [default: the nodes of lf url list]
    #[arg(value_name = "FILE|URL")]
    source: Option<String>,
}

/// Change what is amendable of a network
///
/// Shows what changes, signs it with the genesis owner's key here, does the work it needs and gives it to a node; the
/// key does not leave this machine. What is not given stays as it is. On a terminal it asks first.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf genesis amend --comment 'under new management'\n  lf genesis amend --add-ca ca-….pem --revoke-ca genesis-auth-….pem\n  lf genesis amend --key /mnt/usb/genesis-secret.pem --file changes.toml --dry-run\n\n"
)]
struct Amend {
    #[command(flatten)]
    given: Given,
    /// Take from this TOML file what no option says (- for stdin); the names are those of the options
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Add a root certificate authority (lf ca root); its certificate is enough
    #[arg(long, value_name = "FILE")]
    add_ca: Vec<PathBuf>,
    /// Revoke a root certificate authority, and with it all that it has certified, for good
    #[arg(long, value_name = "SERIAL|FILE")]
    revoke_ca: Vec<String>,
    /// The genesis owner's key, as lf makegenesis kept it
    #[arg(long, value_name = "FILE", default_value = "genesis-secret.pem")]
    key: PathBuf,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    urls: Urls,
}

pub(crate) fn run(context: &Context, args: &GenesisArgs) -> Result<()> {
    match &args.command {
        Command::Show(args) => show(context, args),
        Command::Amend(args) => amend(context, args),
    }
}

fn show(context: &Context, args: &Show) -> Result<()> {
    let source = args.source.as_deref().unwrap_or_default();
    let is_url = |source: &str| source.starts_with("http://") || source.starts_with("https://");
    let (genesis, current) = if source.is_empty() || is_url(source) {
        let urls = if source.is_empty() { Vec::new() } else { vec![source.to_owned()] };
        let client = context.client(&urls)?;
        (client.genesis()?, Some(client.status()?.genesis_parameters))
    } else {
        (read_genesis(Path::new(source))?, None)
    };
    if context.json {
        ui::print_json(&as_json(&genesis, current.as_ref()))
    } else {
        ui::print(&as_text(&genesis, current.as_ref()))
    }
}

fn read_genesis(path: &Path) -> Result<Genesis> {
    let bytes = interact::read_input(path, GENESIS_BYTES_MAX as u64)?;
    Genesis::parse(&bytes).map_err(|e| Failure::new(format!("{} is no genesis: {e}", path.display())))
}

fn as_json(genesis: &Genesis, current: Option<&GenesisParameters>) -> serde_json::Value {
    let records: Vec<_> = genesis
        .records()
        .iter()
        .map(|r| json!({ "Hash": r.hash(), "Bytes": r.as_bytes().len(), "Timestamp": r.timestamp() }))
        .collect();
    let mut out = json!({
        "ID": genesis.parameters().id_text(),
        "Owner": genesis.owner(),
        "Parameters": genesis.parameters(),
        "Records": records,
        "Authorities": authorities_as_json(current.unwrap_or(genesis.parameters()), genesis),
    });
    if let Some(current) = current {
        out["CurrentParameters"] = json!(current);
    }
    out
}

/// A network's root authorities, as other certificates are told.
fn authorities_as_json(p: &GenesisParameters, genesis: &Genesis) -> Vec<CertificateInfo> {
    let roots = Roots::of(p);
    let info = |root: &Certificate| CertificateInfo {
        revoked: roots.revoked.contains(root),
        ..CertificateInfo::new(root, genesis.first_hash())
    };
    roots.all().map(info).collect()
}

fn as_text(genesis: &Genesis, current: Option<&GenesisParameters>) -> String {
    let p = genesis.parameters();
    let mut out = String::new();
    let mut row = |label: &str, text: &str| {
        out.push_str(format!("{label:<19} {text}").trim_end());
        out.push('\n');
    };
    let changed = current.map(|current| parameters::differences(p, current)).unwrap_or_default();
    for Row { field, label, value } in parameters::rows(p) {
        let amended = changed.iter().find(|(row, _)| row.field == field);
        match amended {
            Some((_, new)) => row(label, &format!("{new} (amended; at first: {value})")),
            None => row(label, &value),
        }
    }
    let amendable = p.amendable_fields.join(", ");
    row("amendable", if amendable.is_empty() { "nothing" } else { &amendable });
    row("id", &p.id_text());
    row("owner", &genesis.owner().to_string());
    for (i, record) in genesis.records().iter().enumerate() {
        let text = format!(
            "{}  {}, {}",
            record.hash(),
            ui::plural(record.as_bytes().len() as u64, "byte"),
            times::show(record.timestamp())
        );
        row(if i == 0 { "records" } else { "" }, &text);
    }
    out
}

fn amend(context: &Context, args: &Amend) -> Result<()> {
    let mut given = args.given.clone();
    if let Some(file) = &args.file {
        given = given.or(Given::read(file)?);
    }
    if given.ca.is_some() {
        return Err(
            Failure::new("a [[ca]] table is for new networks").hint("add an authority with --add-ca FILE")
        );
    }
    if given.amendable.is_some() {
        return Err(Failure::new("what is amendable of a network never changes")
            .hint("leave amendable out of the file"));
    }
    let client = context.client(&args.urls.url)?;
    let genesis = client.genesis()?;
    let status = client.status()?;
    let current = &status.genesis_parameters;
    let mut wanted = current.clone();
    given.apply(&mut wanted)?;
    change_roots(&mut wanted, &args.add_ca, &args.revoke_ca)?;
    authorities::check_required(&wanted)?;
    let changes = parameters::differences(current, &wanted);
    if changes.is_empty() {
        ui::note("Nothing to change: the network is like that already.");
        return if context.json { ui::print_json(current) } else { Ok(()) };
    }
    check_amendable(&changes, genesis.parameters())?;
    // Nobody could write any more, not even an amendment.
    let records = status.record_count.saturating_add(1);
    if wanted.record_min_links > records {
        return Err(Failure::new(format!(
            "{} links for each record are more than the network has records: {}",
            wanted.record_min_links,
            ui::plural(records, "record")
        )));
    }
    let owner = read_key(&args.key)?;
    if owner.public() != genesis.owner() {
        return Err(Failure::new(format!(
            "{} is not the key of this network's owner {}",
            args.key.display(),
            genesis.owner()
        ))
        .hint("name the file that lf makegenesis kept: --key FILE"));
    }
    ui::note(&format!("Network {}, id {}", ui::printable(current.name.as_bytes()), current.id_text()));
    for (row, new) in &changes {
        ui::note(&format!("  {:<19} {} → {new}", row.label, row.value));
    }
    if args.dry_run {
        return if context.json { ui::print_json(&wanted) } else { Ok(()) };
    }
    if !args.yes && !interact::confirm("Change the network for all its nodes?")? {
        return Err(Failure::new("nothing was changed"));
    }
    let bar = ui::WorkBar::new("Working");
    let amendment = Amendment { parameters: &wanted, owner: &owner, workers: Workers::default() };
    let record = client.amend(&amendment, &mut |progress| {
        bar.show(&progress);
        true
    });
    drop(bar);
    let record = record.map_err(|e| {
        let wants_certificate = matches!(e, ClientError::CertificateRequired(_));
        let failure = Failure::from(e);
        let hint = "certify the genesis owner like any other: lf owner import genesis genesis-secret.pem; \
                    lf owner makecsr genesis; lf owner authorize CA CSR DAYS";
        if wants_certificate { failure.hint(hint) } else { failure }
    })?;
    let applied = applied(&client, &wanted)?;
    if context.json {
        ui::print_json(&applied)?;
    } else {
        ui::print(&format!("{}\n", record.hash()))?;
    }
    ui::note("Amended; the node tells its peers.");
    Ok(())
}

/// Adds and revokes root authorities. A revoked one's certificate moves to those that are revoked.
fn change_roots(p: &mut GenesisParameters, add: &[PathBuf], revoke: &[String]) -> Result<()> {
    if add.is_empty() && revoke.is_empty() {
        return Ok(());
    }
    let mut roots = Roots::of(p);
    for path in add {
        let root = authorities::read_root(path)?;
        if roots.revoked.contains(&root) {
            return Err(Failure::new(format!("{} was revoked, for good", path.display())));
        }
        if !roots.current.contains(&root) {
            roots.current.push(root);
        }
    }
    for word in revoke {
        let serial = authorities::serial_of(word)?;
        let position = roots.current.iter().position(|root| root.serial() == serial).ok_or_else(|| {
            Failure::new(format!("this network has no authority {serial} that could be revoked"))
                .hint("see lf genesis show; other certificates are revoked with lf ca revoke")
        })?;
        roots.revoked.push(roots.current.remove(position));
    }
    let row = |roots: &[Certificate]| roots.iter().flat_map(|root| root.der().to_vec()).collect::<Vec<u8>>();
    p.auth_certificates = row(&roots.current).into();
    p.revoked_auth_certificates = row(&roots.revoked).into();
    Ok(())
}

fn check_amendable(changes: &[(Row, String)], genesis: &GenesisParameters) -> Result<()> {
    let amendable: Vec<String> = genesis.amendable_fields.iter().map(|name| name.to_lowercase()).collect();
    let Some((fixed, _)) = changes.iter().find(|(row, _)| !amendable.iter().any(|name| name == row.field))
    else {
        return Ok(());
    };
    let failure = Failure::new(format!("{} of this network cannot be amended", fixed.field));
    Err(if amendable.is_empty() {
        failure.hint("nothing of it can")
    } else {
        failure.hint(format!("amendable are: {}", amendable.join(", ")))
    })
}

fn read_key(path: &Path) -> Result<OwnerSecret> {
    let bytes = interact::read_input(path, KEY_BYTES_MAX)
        .map_err(|e| e.hint("name the file that lf makegenesis kept: --key FILE"))?;
    OwnerSecret::parse(&bytes).map_err(|e| Failure::new(format!("{} holds no key: {e}", path.display())))
}

/// Waits until the node has the network as it is wanted.
fn applied(client: &Client, wanted: &GenesisParameters) -> Result<GenesisParameters> {
    let begun = Instant::now();
    loop {
        let now = client.status()?.genesis_parameters;
        if parameters::differences(&now, wanted).is_empty() {
            return Ok(now);
        }
        if begun.elapsed() > APPLY_TIME_MAX {
            return Err(Failure::new("the node has the amendment and goes by a newer one")
                .hint("somebody amended at the same time, or a clock is wrong: look with lf genesis show, and try again"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
