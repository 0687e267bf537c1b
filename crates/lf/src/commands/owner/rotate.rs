//! `lf owner rotate`: a new key takes an old one's place.

use clap::Args;
use lf_client::{Client, Find, FoundRecord, Ordinals, Pulsing, SelectorArg, Write, Written};
use lf_proto::hash::Hash;
use lf_proto::owner::{OwnerPublic, OwnerSecret};
use serde::Serialize;

use crate::cli::{Urls, Working};
use crate::commands::get::parse_selectors;
use crate::commands::set::with_bar;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::ui;

/// Put a new key in an old one's place
///
/// Publishes a statement, signed by the old key, that the new owner goes on for the old one, and writes the old owner's
/// records again as the new one: those under the names given, because nodes do not know names. The first statement that a
/// node sees stands, for good.
///
/// Queries follow it by themselves when one authority certified both owners, else when they ask for it
/// (lf get --follow-rotations). A key that may be known to others is to be revoked as well (lf ca revoke).
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf owner new alice2\n  lf owner rotate alice alice2 greeting 'score#'   with all ordinals of score\n  lf owner rotate alice alice2                     the statement only\n\n"
)]
pub(super) struct Rotate {
    /// The owner whose key is given up, a name of the list
    old: String,
    /// The owner who goes on, a name of the list
    new: String,
    /// Names whose records are written again: name, name#ORDINAL, name#FROM#TO or name# (all ordinals)
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Masking key of these records, if it is not the name
    #[arg(long, value_name = "KEY", env = "LF_MASK", hide_env_values = true)]
    mask: Option<String>,
    #[command(flatten)]
    working: Working,
    #[command(flatten)]
    urls: Urls,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Rotated {
    old: OwnerPublic,
    new: OwnerPublic,
    statement: Hash,
    records: Vec<Rewritten>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Rewritten {
    selector: String,
    hash: Hash,
}

pub(super) fn rotate(context: &Context, args: &Rotate) -> Result<()> {
    let (old, new) = (context.secret(Some(&args.old))?, context.secret(Some(&args.new))?);
    if old.public() == new.public() {
        return Err(Failure::new(format!("{} and {} are the same owner", args.old, args.new)));
    }
    let client = context.client(&args.urls.url)?;
    // All that is to be written again is read first: what cannot be read stops it before anything is said for good.
    let mut found = Vec::new();
    for selector in parse_selectors(&args.selectors)? {
        found.extend(records_of(&client, &old, selector, args.mask.as_deref())?);
    }
    let statement =
        with_bar(context, |step| client.publish_rotation(&old, new.public(), args.working.workers(), step))?;
    let mut records = Vec::new();
    if !context.json {
        ui::print(&format!("{} goes on as {}: {}\n", old.public(), new.public(), statement.hash()))?;
    }
    for (selector, value) in found {
        let write = Write {
            owner: &new,
            selectors: std::slice::from_ref(&selector),
            value: &value,
            masking_key: args.mask.as_deref().map(str::as_bytes),
            pulsing: Pulsing::No,
            may_work: true,
            workers: args.working.workers(),
        };
        let (Written::New(hash) | Written::Unchanged(hash) | Written::Pulsed { record: hash, .. }) =
            with_bar(context, |step| client.write(&write, step))?;
        let selector = selector.to_string();
        if !context.json {
            ui::print(&format!("{hash} {selector}\n"))?;
        }
        records.push(Rewritten { selector, hash });
    }
    if context.json {
        let (old, new) = (*old.public(), *new.public());
        ui::print_json(&Rotated { old, new, statement: statement.hash(), records })?;
    } else if records.is_empty() {
        ui::note(
            "no names were given: the old owner's records stay as they are until the new one writes these names",
        );
    }
    Ok(())
}

/// What an owner has under a name, as it is to be written again.
fn records_of(
    client: &Client,
    owner: &OwnerSecret,
    selector: SelectorArg,
    mask: Option<&str>,
) -> Result<Vec<(SelectorArg, Vec<u8>)>> {
    let shown = selector.to_string();
    let find = Find {
        selectors: vec![selector.clone()],
        masking_key: mask.map(|key| key.as_bytes().to_vec()),
        owners: vec![*owner.public()],
        limit: 1,
        ..Find::default()
    };
    let found = client.find(&find)?.sets;
    if found.is_empty() {
        return Err(Failure::new(format!("{} has nothing under {shown}", owner.public())));
    }
    let again = |record: &FoundRecord| {
        let ordinal = record.selectors.first().and_then(|found| found.ordinal);
        let ordinal =
            ordinal.ok_or_else(|| Failure::new(format!("an ordinal of {shown} is not readable")))?;
        let value = record.value.clone().ok_or_else(|| {
            Failure::new(format!("the value of {shown} is masked with another key: give it with --mask"))
        })?;
        Ok((SelectorArg { ordinals: Ordinals::One(ordinal), ..selector.clone() }, value))
    };
    found.iter().map(|set| again(set.winner())).collect()
}
