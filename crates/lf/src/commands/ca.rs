//! `lf ca`: certificate authorities. What they issue and revoke is published as records; their keys stay here.

mod list;
mod revoke;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lf_client::Workers;
use lf_proto::api::CertificateInfo;
use lf_proto::cert::{Authority, Subject};

use crate::authorities::{self, Days, Roots, SubjectArgs};
use crate::cli::Urls;
use crate::commands::set::with_bar;
use crate::context::Context;
use crate::failure::Result;
use crate::{times, ui};

/// Certificate authorities: make them, revoke, look at what they issued
///
/// A network's roots are named in its genesis (lf makegenesis, lf genesis amend). A root or an intermediate authority
/// certifies owners (lf owner authorize), who then write without proof of work.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf ca list genesis-auth-….pem                    what it has issued and revoked\n  lf ca revoke genesis-auth-….pem @… --reason keyCompromise\n  lf ca intermediate genesis-auth-….pem --common-name 'Branch'\n\n"
)]
pub(crate) struct Ca {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Root(Root),
    Intermediate(Intermediate),
    Revoke(revoke::Revoke),
    List(list::List),
    Crl(revoke::CompleteCrl),
}

/// Make a root authority
///
/// Writes its certificate and private key to a file that only you can read. A network recognizes it once it is in its
/// genesis: lf makegenesis --ca-file FILE, or lf genesis amend --add-ca FILE. Asks who it is for unless options say it.
#[derive(Debug, Args)]
struct Root {
    #[command(flatten)]
    subject: SubjectArgs,
    /// For how many days, -1 for a hundred years
    #[arg(long, value_name = "DAYS", default_value = "-1", allow_negative_numbers = true)]
    days: Days,
    /// Where to write it [default: ca-SERIAL.pem]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Make an authority below a root, and publish its certificate
///
/// Writes its certificate and private key to a file that only you can read. It certifies owners like a root, so that
/// the root's key can stay offline, and can be revoked like an owner. Prints the record's hash.
#[derive(Debug, Args)]
struct Intermediate {
    /// The root's certificate and key
    ca: PathBuf,
    #[command(flatten)]
    subject: SubjectArgs,
    /// For how many days, -1 for as long as the root is valid
    #[arg(long, value_name = "DAYS", default_value = "-1", allow_negative_numbers = true)]
    days: Days,
    /// Where to write it [default: ca-SERIAL.pem]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    urls: Urls,
}

pub(crate) fn run(context: &Context, args: &Ca) -> Result<()> {
    match &args.command {
        Command::Root(args) => root(context, args),
        Command::Intermediate(args) => intermediate(context, args),
        Command::Revoke(args) => revoke::revoke(context, args),
        Command::List(args) => list::list(context, args),
        Command::Crl(args) => revoke::complete_crl(context, args),
    }
}

fn subject(args: &SubjectArgs) -> Result<Subject> {
    args.given().map_or_else(authorities::ask_subject, Ok)
}

/// Keeps a new authority in its file.
fn keep(authority: &Authority, output: Option<&PathBuf>) -> Result<()> {
    let path = output.cloned().unwrap_or_else(|| authorities::default_path("ca", authority));
    authorities::write_authority(&path, authority)
}

fn root(context: &Context, args: &Root) -> Result<()> {
    let subject = subject(&args.subject)?;
    let now = authorities::clock().saturating_sub(authorities::ROOT_BEFORE_SECS);
    let authority =
        authorities::with_random(|random| Authority::new_root(&subject, now, args.days.0, random))?;
    keep(&authority, args.output.as_ref())?;
    let serial = authority.certificate().serial();
    if context.json {
        ui::print_json(&serde_json::json!({ "Serial": serial, "Owner": authority.owner() }))
    } else {
        ui::print(&format!("{serial}\n"))
    }
}

fn intermediate(context: &Context, args: &Intermediate) -> Result<()> {
    let root = authorities::read_authority(&args.ca)?;
    let subject = subject(&args.subject)?;
    let client = context.client(&args.urls.url)?;
    let status = client.status()?;
    Roots::of(&status.genesis_parameters).check(root.certificate())?;
    let now = status.clock.saturating_sub(authorities::INTERMEDIATE_BEFORE_SECS);
    let authority = authorities::with_random(|random| root.intermediate(&subject, now, args.days.0, random))?;
    // First: what is published and has no key is of no use.
    keep(&authority, args.output.as_ref())?;
    let certificate = authority.certificate();
    let record =
        with_bar(context, |step| client.publish_certificate(&root, certificate, Workers::default(), step))?;
    if context.json {
        ui::print_json(&CertificateInfo::new(certificate, record.hash()))?;
    } else {
        ui::print(&format!("{}\n", record.hash()))?;
    }
    ui::note(&format!(
        "{} can certify owners until {}.",
        authorities::title(certificate),
        times::show(certificate.not_after())
    ));
    Ok(())
}
