//! `lf owner`: the keys that records are written with.

pub(crate) mod certificates;
mod rotate;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use lf_client::{Config, OwnerEntry, write_private};
use lf_proto::owner::{OwnerPublic, OwnerSecret, OwnerType};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::cli::Urls;
use crate::context::{Context, find_owner, new_secret, unknown_owner};
use crate::failure::{Failure, Result};
use crate::{interact, times, ui};

/// A PEM file is smaller.
const PEM_BYTES_MAX: u64 = 1 << 16;

/// Owners: the keys that records are written with
///
/// Private keys are kept in client.json and never leave it but by export.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf owner new alice             make a key\n  lf owner default alice         write as alice from now on\n  lf owner export alice a.pem    save the private key\n  lf owner makecsr alice         ask to be certified\n\n"
)]
pub(crate) struct Owner {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List owners; * marks the default
    List,
    /// Make an owner with a new key
    New {
        /// What to call it here
        name: String,
        /// ed25519, p224 or p384
        #[arg(value_name = "TYPE", default_value = "ed25519", value_parser = owner_type)]
        owner_type: OwnerType,
    },
    /// Make the owner of a passphrase (p384): the same one everywhere
    #[command(
        before_long_help = "Examples:\n  lf owner newfrompass carol              asks for the passphrase\n  lf owner newfrompass carol <secret.txt  reads it from a file\n\n",
        after_help = "The passphrase is taken from LF_PASSPHRASE, else asked for, else read from stdin."
    )]
    Newfrompass {
        /// What to call it here
        name: String,
        /// Shows in the list of processes: better leave it out
        passphrase: Option<String>,
    },
    /// Write as this owner from now on
    Default {
        /// A name of the list
        name: String,
    },
    /// What a node knows of an owner
    Status {
        /// A name of the list, or @… [default: the default owner]
        owner: Option<String>,
        #[command(flatten)]
        urls: Urls,
    },
    /// Forget an owner and its private key, for good
    Delete {
        /// A name of the list
        name: String,
    },
    /// Call an owner something else
    Rename {
        /// A name of the list
        name: String,
        /// Its new name
        new_name: String,
    },
    /// Print or save an owner's private key as PEM
    Export {
        /// A name of the list
        name: String,
        /// Where to save it [default: print it]
        file: Option<PathBuf>,
    },
    /// Print or save the PEM as a JSON string
    Exportstring {
        /// A name of the list
        name: String,
        /// Where to save it [default: print it]
        file: Option<PathBuf>,
    },
    /// Take over an owner from a PEM file
    Import {
        /// What to call it here
        name: String,
        /// What export wrote (- for stdin)
        file: PathBuf,
    },
    Makecsr(Box<certificates::Makecsr>),
    Showcsr(certificates::Showcsr),
    Authorize(certificates::Authorize),
    Rotate(rotate::Rotate),
}

fn owner_type(text: &str) -> Result<OwnerType, String> {
    text.parse().map_err(|e: lf_proto::owner::OwnerError| e.to_string())
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed<'a> {
    name: &'a str,
    #[serde(rename = "Type")]
    owner_type: &'static str,
    public: OwnerPublic,
    default: bool,
}

fn listed<'a>(name: &'a str, entry: &OwnerEntry) -> Listed<'a> {
    Listed {
        name,
        owner_type: entry.public.owner_type().name(),
        public: entry.public,
        default: entry.default,
    }
}

fn line(name: &str, entry: &OwnerEntry) -> String {
    let star = if entry.default { '*' } else { ' ' };
    format!("{name:<24} {star} {:<7} {}", entry.public.owner_type(), entry.public)
}

pub(crate) fn run(context: &Context, args: Owner) -> Result<()> {
    match args.command.unwrap_or(Command::List) {
        Command::List => list(context),
        Command::New { name, owner_type } => add(context, &name, || new_secret(owner_type)),
        Command::Newfrompass { name, passphrase } => {
            let passphrase = passphrase.map(Zeroizing::new);
            add(context, &name, || {
                let given = match passphrase {
                    Some(given) => Zeroizing::new(given.trim().to_owned()),
                    None => interact::passphrase(true)?,
                };
                if given.is_empty() {
                    return Err(Failure::new("the passphrase is empty"));
                }
                Ok(OwnerSecret::from_passphrase(given.as_bytes()).0)
            })
        }
        Command::Default { name } => default(context, &name),
        Command::Status { owner, urls } => status(context, owner.as_deref(), &urls),
        Command::Delete { name } => delete(context, &name),
        Command::Rename { name, new_name } => rename(context, &name, &new_name),
        Command::Export { name, file } => {
            let pem = pem(context, &name)?;
            export(context, &name, file.as_deref(), &pem)
        }
        Command::Exportstring { name, file } => {
            let pem = pem(context, &name)?;
            let mut text = Zeroizing::new(serde_json::to_string(&*pem).unwrap_or_default());
            text.push('\n');
            export(context, &name, file.as_deref(), &text)
        }
        Command::Import { name, file } => {
            let text = interact::read_input(&file, PEM_BYTES_MAX)?;
            let shown = file.display();
            let pem = std::str::from_utf8(&text)
                .ok()
                .filter(|text| text.contains("-----BEGIN "))
                .ok_or_else(|| {
                    Failure::new(format!("file '{shown}' does not contain PEM data for an owner private key"))
                })?;
            let secret = OwnerSecret::from_pem(pem)
                .map_err(|e| Failure::new(format!("owner in '{shown}' is invalid: {e}")))?;
            add(context, &name, || Ok(secret))
        }
        Command::Makecsr(args) => certificates::make_request(context, &args),
        Command::Showcsr(args) => certificates::show_request(&args),
        Command::Authorize(args) => certificates::authorize(context, &args),
        Command::Rotate(args) => rotate::rotate(context, &args),
    }
}

fn list(context: &Context) -> Result<()> {
    let config = context.config_with_owner()?;
    if context.json {
        return ui::print_json(
            &config.owners.iter().map(|(name, entry)| listed(name, entry)).collect::<Vec<_>>(),
        );
    }
    ui::print(&config.owners.iter().map(|(name, entry)| line(name, entry) + "\n").collect::<String>())
}

fn show(context: &Context, name: &str, entry: &OwnerEntry) -> Result<()> {
    if context.json { ui::print_json(&listed(name, entry)) } else { ui::print(&(line(name, entry) + "\n")) }
}

fn free_name<'a>(config: &Config, name: &'a str) -> Result<&'a str> {
    let name = name.trim();
    if name.is_empty() || name.starts_with('@') || name.chars().any(char::is_control) {
        return Err(Failure::new(format!("{name:?} cannot be an owner's name")));
    }
    if config.owners.contains_key(name) {
        return Err(Failure::new(format!("an owner named '{name}' already exists")));
    }
    Ok(name)
}

fn add(context: &Context, name: &str, secret: impl FnOnce() -> Result<OwnerSecret>) -> Result<()> {
    // Before anybody is asked for a passphrase.
    free_name(&context.config()?, name)?;
    let secret = secret()?;
    let entry = context.update(|config| {
        let name = free_name(config, name)?.to_owned();
        let entry = OwnerEntry::new(&secret, config.owners.is_empty());
        config.owners.insert(name, entry.clone());
        Ok(entry)
    })?;
    show(context, name.trim(), &entry)
}

fn default(context: &Context, name: &str) -> Result<()> {
    let entry = context.update(|config| {
        if !config.owners.contains_key(name) {
            return Err(unknown_owner(name));
        }
        for (known, entry) in &mut config.owners {
            entry.default = known == name;
        }
        find_owner(config, name).cloned()
    })?;
    show(context, name, &entry)
}

fn delete(context: &Context, name: &str) -> Result<()> {
    let (mut entry, left) = context.update(|config| {
        let entry = config.owners.remove(name).ok_or_else(|| unknown_owner(name))?;
        Ok((entry, config.owners.len()))
    })?;
    let was_default = std::mem::take(&mut entry.default);
    ui::print(&format!("{} DELETED\n", line(name, &entry)))?;
    if was_default && left > 0 {
        ui::note("That was the default owner. Choose another: lf owner default NAME");
    }
    Ok(())
}

fn rename(context: &Context, name: &str, new_name: &str) -> Result<()> {
    let (public, new_name) = context.update(|config| {
        if !config.owners.contains_key(name) {
            return Err(unknown_owner(name));
        }
        let new_name = free_name(config, new_name)?.to_owned();
        let entry = config.owners.remove(name).ok_or_else(|| unknown_owner(name))?;
        let public = entry.public;
        config.owners.insert(new_name.clone(), entry);
        Ok((public, new_name))
    })?;
    ui::print(&format!("{public} renamed from {name} to {new_name}\n"))
}

fn pem(context: &Context, name: &str) -> Result<Zeroizing<String>> {
    let config = context.config()?;
    let entry = find_owner(&config, name)?;
    let secret = entry.secret().map_err(|e| Failure::new(format!("owner '{name}': {e}")))?;
    Ok(secret.to_pem())
}

fn export(context: &Context, name: &str, file: Option<&Path>, text: &Zeroizing<String>) -> Result<()> {
    let Some(file) = file else { return ui::print(text) };
    write_private(file, text.as_bytes())
        .map_err(|e| Failure::new(format!("unable to write to '{}': {e}", file.display())))?;
    let public = find_owner(&context.config()?, name)?.public;
    ui::print(&format!("{public} exported to {}\n", file.display()))
}

fn status(context: &Context, owner: Option<&str>, urls: &Urls) -> Result<()> {
    let public = match owner {
        Some(text) => certificates::named_owner(context, text)?,
        None => *context.secret(None)?.public(),
    };
    let client = context.client(&urls.url)?;
    let status = client.owner_status(&public)?;
    if context.json {
        return ui::print_json(&status);
    }
    let known =
        status.record_count > 0 || !status.certificates.is_empty() || !status.revoked_certificates.is_empty();
    let records = if known {
        format!("{}, {}", ui::plural(status.record_count, "record"), ui::bytes(status.record_bytes))
    } else {
        "none: this node knows nothing of this owner".to_owned()
    };
    let mut text = format!("{public}\n  type         {}\n  records      {records}\n", status.owner_type);
    for line in certificates::describe(&client, &status) {
        text.push_str(&format!("  certificate  {line}\n"));
    }
    text.push_str(&format!("  asked at     {}\n", times::show(status.server_time)));
    ui::print(&text)
}
