//! `lf ca revoke` and `lf ca crl`: certificate revocation lists.

use std::path::{Path, PathBuf};

use clap::Args;
use lf_client::{Client, Workers};
use lf_proto::cert::{Authority, Certificate, CrlEntry, Reason, Serial};
use lf_proto::owner::OwnerPublic;
use serde_json::json;

use crate::authorities::{self, Roots};
use crate::cli::Urls;
use crate::commands::set::with_bar;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::ui;

/// Seconds of a day.
const DAY_SECS: u64 = 86_400;

/// Revoke certificates, for good
///
/// Publishes a revocation list that names them. On every node the records of a revoked owner vanish from queries, and
/// new ones are refused; what an intermediate authority has certified goes with it. There is no way back: certify the
/// owner anew. A root is revoked by lf genesis amend --revoke-ca. Prints the record's hash.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf ca revoke genesis-auth-….pem @…                            all of an owner's certificates\n  lf ca revoke genesis-auth-….pem ca-….pem --reason superseded  an intermediate authority\n\n"
)]
pub(super) struct Revoke {
    /// The certificate and key of the authority that issued them
    ca: PathBuf,
    /// Owners (@…), serial numbers (see lf ca list), or files with a certificate
    #[arg(required = true, value_name = "@OWNER|SERIAL|FILE")]
    what: Vec<String>,
    /// unspecified, keyCompromise, cACompromise, affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn
    #[arg(long, value_name = "REASON")]
    reason: Option<Reason>,
    #[command(flatten)]
    urls: Urls,
}

/// Write a complete revocation list, for other software
///
/// LF's nodes do not need it: they have every record of revocation. As PEM, valid for some days.
#[derive(Debug, Args)]
pub(super) struct CompleteCrl {
    /// The authority's certificate and key
    ca: PathBuf,
    /// Where to write it [default: print it]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// When the next one is to be expected
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    #[command(flatten)]
    urls: Urls,
}

pub(super) fn revoke(context: &Context, args: &Revoke) -> Result<()> {
    let authority = authorities::read_authority(&args.ca)?;
    let client = context.client(&args.urls.url)?;
    let status = client.status()?;
    Roots::of(&status.genesis_parameters).check(authority.certificate())?;
    let mut serials: Vec<Serial> = Vec::new();
    for word in &args.what {
        serials.extend(serials_of(&client, &authority, word)?);
    }
    serials.sort_unstable();
    serials.dedup();
    let entry = |serial: &Serial| CrlEntry { serial: *serial, date: status.clock, reason: args.reason };
    let entries: Vec<CrlEntry> = serials.iter().map(entry).collect();
    // It never runs out: nodes take the union of all.
    let crl = authority.crl(&entries, status.clock, authority.certificate().not_after())?;
    let record = with_bar(context, |step| client.publish_crl(&authority, &crl, Workers::default(), step))?;
    if context.json {
        ui::print_json(&json!({ "Record": record.hash(), "Revoked": serials }))?;
    } else {
        ui::print(&format!("{}\n", record.hash()))?;
    }
    for serial in serials {
        ui::note(&format!("Certificate {serial} is revoked."));
    }
    Ok(())
}

/// The serial numbers that a word of the command line stands for.
fn serials_of(client: &Client, authority: &Authority, word: &str) -> Result<Vec<Serial>> {
    let issuer = authority.certificate();
    if word.starts_with('@') {
        let owner: OwnerPublic =
            word.parse().map_err(|e| Failure::new(format!("invalid owner {word}: {e}")))?;
        let known = client.owner_status(&owner)?.certificates;
        let read = known.iter().filter_map(|der| Certificate::parse(&der.0).ok());
        let ours: Vec<Serial> =
            read.filter(|found| issuer.issued(found).is_ok()).map(|found| found.serial()).collect();
        return if ours.is_empty() {
            Err(Failure::new(format!("{word} has no certificate of this authority that could be revoked"))
                .hint("see lf owner status, and lf ca list"))
        } else {
            Ok(ours)
        };
    }
    let path = Path::new(word);
    if path.exists() {
        let certificate = authorities::read_certificate(path)?;
        if certificate == *issuer {
            return Err(Failure::new(format!("{word} is the authority itself"))
                .hint("a root is revoked by lf genesis amend --revoke-ca, another by who issued it"));
        }
        issuer.issued(&certificate)?;
        return Ok(vec![certificate.serial()]);
    }
    let serial = authorities::serial_of(word)?;
    let issued = client.issued_by(&issuer.serial())?;
    match issued.iter().find(|info| info.serial == serial) {
        Some(info) if info.revoked => Err(Failure::new(format!("certificate {serial} is revoked already"))),
        Some(_) => Ok(vec![serial]),
        None => Err(Failure::new(format!("the node knows no certificate {serial} of this authority"))
            .hint("see lf ca list; a file with the certificate works, too")),
    }
}

pub(super) fn complete_crl(context: &Context, args: &CompleteCrl) -> Result<()> {
    let authority = authorities::read_authority(&args.ca)?;
    let client = context.client(&args.urls.url)?;
    let now = client.status()?.clock;
    let issued = client.issued_by(&authority.certificate().serial())?;
    // Those that go with a revoked authority above have no entry of their own: none of their dates is known.
    let entries: Vec<CrlEntry> = issued
        .iter()
        .filter(|info| info.revoked)
        .filter_map(|info| {
            let reason = info.reason.as_ref().and_then(|name| name.parse().ok());
            info.revoked_time.map(|date| CrlEntry { serial: info.serial, date, reason })
        })
        .collect();
    let crl = authority.crl(&entries, now, now.saturating_add(u64::from(args.days) * DAY_SECS))?;
    let Some(path) = &args.output else { return ui::print(&crl.to_pem()) };
    std::fs::write(path, crl.to_pem())
        .map_err(|e| Failure::new(format!("cannot write {}: {e}", path.display())))?;
    ui::note(&format!(
        "{} written: {} revoked.",
        path.display(),
        ui::plural(entries.len() as u64, "certificate")
    ));
    Ok(())
}
