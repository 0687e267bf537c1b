//! `lf owner makecsr|showcsr|authorize`, and what `lf owner status` says of certificates.

use std::path::{Path, PathBuf};

use clap::Args;
use lf_client::{Client, Workers};
use lf_proto::api::{CertificateInfo, OwnerStatus};
use lf_proto::cert::{Certificate, Request};
use lf_proto::owner::OwnerPublic;
use serde::Serialize;

use crate::authorities::{self, Days, Roots, SubjectArgs};
use crate::cli::Urls;
use crate::commands::set::with_bar;
use crate::context::{Context, find_owner};
use crate::failure::{Failure, Result};
use crate::{interact, times, ui};

/// A larger request is none.
const REQUEST_BYTES_MAX: u64 = 1 << 16;

/// Ask a certificate authority to certify an owner
///
/// Writes a certificate signing request, signed by the owner's key, which openssl reads as well. Give it to who runs
/// the network's authority (lf owner authorize). Asks who the owner is, unless options say it.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf owner makecsr alice                                   asks\n  lf owner makecsr alice --common-name 'Alice Example' --country DE\n\n"
)]
pub(super) struct Makecsr {
    /// A name of the list
    name: String,
    #[command(flatten)]
    subject: SubjectArgs,
    /// Where to write it [default: @OWNER.csr]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Show what a request says
///
/// Prints the request's subject as JSON, and says whether it is signed by the owner it names.
#[derive(Debug, Args)]
pub(super) struct Showcsr {
    /// What makecsr wrote (- for stdin)
    file: PathBuf,
}

/// Certify an owner, as a certificate authority
///
/// Checks the request, issues the certificate here and publishes it; the authority's key does not leave this machine.
/// Prints the record's hash. Certified owners write without proof of work.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf owner authorize genesis-auth-….pem @….csr 365\n  lf owner authorize ca-….pem alice.csr -1           as long as possible\n\n"
)]
pub(super) struct Authorize {
    /// The authority's certificate and key, as lf makegenesis or lf ca wrote them
    ca: PathBuf,
    /// The owner's request
    csr: PathBuf,
    /// For how many days, -1 for as long as the authority is valid
    #[arg(allow_negative_numbers = true)]
    days: Days,
    #[command(flatten)]
    urls: Urls,
}

pub(super) fn make_request(context: &Context, args: &Makecsr) -> Result<()> {
    let config = context.config()?;
    let entry = find_owner(&config, &args.name)?;
    let secret = entry.secret().map_err(|e| Failure::new(format!("owner '{}': {e}", args.name)))?;
    ui::note(&format!("Creating certificate signing request for {}", secret.public()));
    let subject = match args.subject.given() {
        Some(subject) => subject,
        None => authorities::ask_subject()?,
    };
    let request = Request::new(&secret, &subject)?;
    let path = args.output.clone().unwrap_or_else(|| format!("{}.csr", secret.public()).into());
    std::fs::write(&path, request.to_pem())
        .map_err(|e| Failure::new(format!("cannot write {}: {e}", path.display())))?;
    ui::print(&request.to_pem())?;
    ui::note(&format!("Written to {}", path.display()));
    Ok(())
}

fn read_request(path: &Path) -> Result<Request> {
    let bytes = interact::read_input(path, REQUEST_BYTES_MAX)?;
    Request::parse(&bytes).map_err(|e| Failure::new(format!("{} is no request: {e}", path.display())))
}

pub(super) fn show_request(args: &Showcsr) -> Result<()> {
    let request = read_request(&args.file)?;
    ui::print_json(&names_as_json(&request))?;
    match request.owner() {
        Ok(owner) => ui::note(&format!("Signed by {owner}, whom it names.")),
        Err(e) => ui::note(&format!("Not usable: {e}.")),
    }
    Ok(())
}

/// A subject as the reference always showed it, its parts in that order.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Names<'a> {
    country: Option<Vec<&'a str>>,
    organization: Option<Vec<&'a str>>,
    organizational_unit: Option<Vec<&'a str>>,
    locality: Option<Vec<&'a str>>,
    province: Option<Vec<&'a str>>,
    street_address: Option<Vec<&'a str>>,
    postal_code: Option<Vec<&'a str>>,
    serial_number: &'a str,
    common_name: &'a str,
    names: Vec<NameJson<'a>>,
    extra_names: Option<()>,
}

/// One attribute.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NameJson<'a> {
    #[serde(rename = "Type")]
    oid: &'a [u32],
    value: &'a str,
}

fn names_as_json(request: &Request) -> Names<'_> {
    // All attributes here are of the arc 2.5.4.
    let all = |number: u32| -> Vec<&str> {
        let wanted = [2, 5, 4, number];
        request.attributes().iter().filter(|a| a.oid == wanted).map(|a| a.text.as_str()).collect()
    };
    let list = |number| Some(all(number)).filter(|texts| !texts.is_empty());
    Names {
        country: list(6),
        organization: list(10),
        organizational_unit: list(11),
        locality: list(7),
        province: list(8),
        street_address: list(9),
        postal_code: list(17),
        serial_number: request.serial_number().unwrap_or_default(),
        common_name: all(3).last().copied().unwrap_or_default(),
        names: request.attributes().iter().map(|a| NameJson { oid: &a.oid, value: &a.text }).collect(),
        extra_names: None,
    }
}

pub(super) fn authorize(context: &Context, args: &Authorize) -> Result<()> {
    let authority = authorities::read_authority(&args.ca)?;
    let request = read_request(&args.csr)?;
    let owner = request.owner()?;
    let client = context.client(&args.urls.url)?;
    let status = client.status()?;
    Roots::of(&status.genesis_parameters).check(authority.certificate())?;
    let certificate =
        authorities::with_random(|random| authority.certify(&request, status.clock, args.days.0, random))?;
    let record = with_bar(context, |step| {
        client.publish_certificate(&authority, &certificate, Workers::default(), step)
    })?;
    if context.json {
        ui::print_json(&CertificateInfo::new(&certificate, record.hash()))?;
    } else {
        ui::print(&format!("{}\n", record.hash()))?;
    }
    let name = certificate.subject_text();
    let named = if name.is_empty() { String::new() } else { format!(" ({name})") };
    let until = times::show(certificate.not_after());
    ui::note(&format!("{owner}{named} is certified until {until}, by certificate {}.", certificate.serial()));
    Ok(())
}

/// What is known of an owner's certificates, one line for each; one line if there is none.
pub(super) fn describe(client: &Client, status: &OwnerStatus) -> Vec<String> {
    if status.certificates.is_empty() && status.revoked_certificates.is_empty() {
        return vec![if status.has_current_certificate {
            "valid".to_owned()
        } else if status.auth_required {
            "none, but this network requires one".to_owned()
        } else {
            "none (not required here)".to_owned()
        }];
    }
    let roots = client.status().map(|status| Roots::of(&status.genesis_parameters)).unwrap_or_default();
    let read = |blobs: &[lf_proto::blob::Blob]| -> Vec<Certificate> {
        blobs.iter().filter_map(|der| Certificate::parse(&der.0).ok()).collect()
    };
    let by = |certificate: &Certificate| match certificate.issuer_serial() {
        Some(issuer) => authorities::issuer_title(client, &roots, issuer),
        None => "nobody".to_owned(),
    };
    let now = status.server_time;
    let mut lines = Vec::new();
    for certificate in read(&status.certificates) {
        let (from, until) = (certificate.not_before(), certificate.not_after());
        let state = if now > until {
            format!("expired {}", times::show(until))
        } else if now < from {
            format!("not valid before {}", times::show(from))
        } else {
            format!("certified until {}", times::show(until))
        };
        lines.push(format!("{state}, by {}", by(&certificate)));
    }
    for certificate in read(&status.revoked_certificates) {
        lines.push(format!("revoked{}, was by {}", when_and_why(client, &certificate), by(&certificate)));
    }
    lines
}

/// ` 2026-11-22 13:05:06 UTC (keyCompromise)`, as far as the node says.
fn when_and_why(client: &Client, certificate: &Certificate) -> String {
    let issued = certificate.issuer_serial().and_then(|issuer| client.issued_by(&issuer).ok());
    let info = issued.and_then(|all| all.into_iter().find(|info| info.serial == certificate.serial()));
    let Some(info) = info else { return String::new() };
    let time = info.revoked_time.map(|time| format!(" {}", times::show(time))).unwrap_or_default();
    let reason = info.reason.map(|why| format!(" ({})", ui::printable(why.as_bytes()))).unwrap_or_default();
    format!("{time}{reason}")
}

/// An owner as it is given: @…, or a name of the list.
pub(super) fn named_owner(context: &Context, text: &str) -> Result<OwnerPublic> {
    if text.starts_with('@') {
        return text.parse().map_err(|e| Failure::new(format!("invalid owner {text}: {e}")));
    }
    Ok(find_owner(&context.config()?, text)?.public)
}
