//! `lf dns put`, `get`, `delete`, `import`: names' records as LF records.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use lf_client::{Client, Find, Pulsing, SelectorArg, Write, WriteStep, Written};
use lf_dns::node::Node;
use lf_dns::rrset::{MARK, RrSet, TTL_SECONDS_MAX};
use lf_dns::trust::ordinal_name;
use lf_dns::{DomainName, RecordType, data, rrset, text, zonefile};
use lf_proto::owner::OwnerSecret;

use super::TrustArgs;
use crate::cli::{Urls, Working};
use crate::commands::set;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::{interact, ui};

/// A larger zone file is none.
const ZONE_FILE_BYTES_MAX: u64 = 64 << 20;

/// How records are written.
#[derive(Debug, Args)]
struct Writing {
    /// Write as this owner [default: the one marked * in lf owner list]
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    /// Fail where proof of work would be needed
    #[arg(long)]
    nowork: bool,
    #[command(flatten)]
    working: Working,
    #[command(flatten)]
    urls: Urls,
}

/// Write the records of a name and type
///
/// They take the place of all that this owner wrote for them before. The data of each record is one argument, as in a zone
/// file, with absolute names (a dot at the end may be left out); text for TXT needs no quotes of its own.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf dns put www.example.lf A 192.0.2.1 192.0.2.2\n  lf dns put example.lf MX '10 mail.example.lf'\n  lf dns put example.lf TXT 'v=spf1 mx -all' --ttl 3600\n  lf dns put '*.apps.example.lf' CNAME www.example.lf\n  lf dns put _443._tcp.www.example.lf TLSA '3 1 1 0123…'\n\n"
)]
pub(super) struct Put {
    /// The name
    name: DomainName,
    /// A, AAAA, CAA, CNAME, HTTPS, MX, PTR, SRV, SVCB, TLSA or TXT
    #[arg(value_name = "TYPE", value_parser = data::type_named)]
    ty: RecordType,
    /// The data of each record
    #[arg(required = true, value_name = "DATA")]
    data: Vec<String>,
    /// How long resolvers may keep them, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(0..=i64::from(TTL_SECONDS_MAX)))]
    ttl: u32,
    #[command(flatten)]
    writing: Writing,
}

/// Show a name's records as lf dns serves them, and what it does not serve
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf dns get www.example.lf\n  lf dns get example.lf MX --trust @…\n\n"
)]
pub(super) struct Get {
    /// The name
    name: DomainName,
    /// Only this type
    #[arg(value_name = "TYPE", value_parser = data::type_named)]
    ty: Option<RecordType>,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    urls: Urls,
}

/// Delete the records of a name and type
///
/// Writes an empty value in their place: what was written stays in LF's history, and the name stays its owner's.
#[derive(Debug, Args)]
#[command(before_long_help = "Examples:\n  lf dns delete www.example.lf AAAA\n\n")]
pub(super) struct Delete {
    /// The name
    name: DomainName,
    /// The type
    #[arg(value_name = "TYPE", value_parser = data::type_named)]
    ty: RecordType,
    #[command(flatten)]
    writing: Writing,
}

/// Write all records of a zone file
///
/// SOA, and NS of the zone itself, are left out: the server makes them. Records that are there already are not written
/// again; those that the file does not have stay. Also writes which names are there only for others below them.
#[derive(Debug, Args)]
#[command(before_long_help = "Examples:\n  lf dns import example.lf example.lf.zone\n\n")]
pub(super) struct Import {
    /// The zone that the file is of: names without a final dot are below it
    zone: DomainName,
    /// The file (- for stdin)
    file: PathBuf,
    #[command(flatten)]
    writing: Writing,
}

/// Who writes, and to whom.
struct Writer<'a> {
    context: &'a Context,
    writing: &'a Writing,
    secret: OwnerSecret,
    client: Client,
}

impl<'a> Writer<'a> {
    fn new(context: &'a Context, writing: &'a Writing) -> Result<Self> {
        let secret = context.secret(writing.owner.as_deref())?;
        Ok(Writer { context, writing, secret, client: context.client(&writing.urls.url)? })
    }

    fn write(
        &self,
        name: &DomainName,
        ordinal: u64,
        value: &str,
        step: &mut dyn FnMut(WriteStep) -> bool,
    ) -> Result<Written> {
        let selectors = [SelectorArg::one(name.selector_name(), ordinal)];
        let write = Write {
            owner: &self.secret,
            selectors: &selectors,
            value: value.as_bytes(),
            masking_key: None,
            pulsing: Pulsing::No,
            may_work: !self.writing.nowork,
            workers: self.writing.working.workers(),
        };
        Ok(self.client.write(&write, step)?)
    }

    fn write_one(&self, name: &DomainName, ty: RecordType, value: &str) -> Result<()> {
        let ordinal = u64::from(u16::from(ty));
        let written = set::with_bar(self.context, |step| self.write(name, ordinal, value, step))?;
        self.warn_if_not_certified();
        set::report(self.context, self.secret.public(), &written)
    }

    /// What is written so is served only by who trusts this owner: better said now than wondered about.
    fn warn_if_not_certified(&self) {
        let owner = self.secret.public();
        if self.client.owner_status(owner).is_ok_and(|status| !status.has_current_certificate) {
            ui::note(&format!(
                "{owner} has no current certificate: lf dns serves this only with --trust {owner}"
            ));
        }
    }
}

pub(super) fn put(context: &Context, args: &Put) -> Result<()> {
    let set = record_set(args)?;
    Writer::new(context, &args.writing)?.write_one(&args.name, args.ty, &set.to_value())
}

/// The records asked for, checked as the server will.
fn record_set(args: &Put) -> Result<RrSet> {
    let ty = args.ty;
    let mut records = Vec::with_capacity(args.data.len());
    for argument in &args.data {
        let plain_text = ty == RecordType::TXT && !argument.starts_with('"');
        let argument = if plain_text { data::text_as_txt(argument.as_bytes()) } else { argument.clone() };
        let shown = |problem: String| {
            Failure::new(format!("{ty} {argument:?}: {problem}")).hint(
                "give the data of each record as one argument, in quotes if it has spaces (lf help dns put)",
            )
        };
        let lines = text::lines(&argument).map_err(|e| shown(e.to_string()))?;
        let [line] = lines.as_slice() else { return Err(shown("it must be one line".to_owned())) };
        records.push((args.ttl, data::parse(ty, &line.words, None).map_err(|e| shown(e.to_string()))?));
    }
    let bad = |problem: String| Failure::new(format!("{} {ty}: {problem}", args.name));
    let set = RrSet::new(ty, records).map_err(|e| bad(e.to_string()))?;
    let set = set.ok_or_else(|| bad("there is no data".to_owned()))?;
    // What the server could not read is not written.
    match RrSet::from_value(ty, set.to_value().as_bytes()) {
        Ok(Some(read)) if read == set => Ok(set),
        Ok(_) => Err(bad("it is not read as it was written".to_owned())),
        Err(e) => Err(bad(e.to_string())),
    }
}

pub(super) fn get(context: &Context, args: &Get) -> Result<()> {
    let client = context.client(&args.urls.url)?;
    let node =
        Node::new(client, args.trust.policy(), context.config()?.oracles, Duration::ZERO).telling_all();
    let told = node.ask(&args.name).map_err(|e| Failure::new(e.to_string()))?;
    let wanted = |ordinal: u64| args.ty.is_none_or(|ty| u64::from(u16::from(ty)) == ordinal);
    let sets = told.records.sets.iter().filter(|(ty, _)| wanted(u64::from(**ty)));
    let passed = told.passed.iter().filter(|passed| wanted(passed.ordinal));
    if context.json {
        let records: Vec<_> = sets
            .flat_map(|(ty, set)| set.data.iter().map(move |data| (ty, set.ttl, data)))
            .map(|(ty, ttl, data)| {
                serde_json::json!({
                    "Type": RecordType::from(*ty).to_string(), "TTL": ttl, "Data": data::show(data),
                })
            })
            .collect();
        let not_served: Vec<_> = passed
            .map(|passed| serde_json::json!({
                "Type": ordinal_name(passed.ordinal), "Owner": passed.owner, "Hash": passed.hash, "Reason": passed.reason,
            }))
            .collect();
        return ui::print_json(&serde_json::json!({
            "Name": args.name.to_string(), "Records": records, "NotServed": not_served,
        }));
    }
    let mut out = String::new();
    for (ty, set) in sets {
        for data in &set.data {
            out += &format!("{} {} IN {} {}\n", args.name, set.ttl, RecordType::from(*ty), data::show(data));
        }
    }
    for passed in passed {
        let ty = ordinal_name(passed.ordinal);
        out += &format!(
            "; not served: {ty} of {} ({}): {}\n",
            passed.owner,
            passed.hash,
            ui::printable(passed.reason.as_bytes())
        );
    }
    ui::print(&out)
}

pub(super) fn delete(context: &Context, args: &Delete) -> Result<()> {
    let writer = Writer::new(context, &args.writing)?;
    let owner = *writer.secret.public();
    let selector = SelectorArg::one(args.name.selector_name(), u64::from(u16::from(args.ty)));
    let find = Find { selectors: vec![selector], owners: vec![owner], ..Find::default() };
    let found = writer.client.find(&find)?;
    if !found.sets.iter().any(|set| set.winner().value.as_deref() != Some(&[])) {
        return Err(Failure::new(format!("{owner} has no {} records of {}", args.ty, args.name))
            .hint(format!("see what there is: lf get '{}#'", args.name.selector_name())));
    }
    writer.write_one(&args.name, args.ty, "")
}

pub(super) fn import(context: &Context, args: &Import) -> Result<()> {
    let shown = args.file.display();
    let bytes = interact::read_input(&args.file, ZONE_FILE_BYTES_MAX)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Failure::new(format!("{shown} is not UTF-8")))?;
    let file = zonefile::read(text, &args.zone).map_err(|e| Failure::new(format!("{shown}: {e}")))?;
    let sets = file.sets.iter().map(|((name, ty), set)| (name, *ty, set.to_value()));
    let marks = file.empty.iter().map(|name| (name, 0, MARK.to_owned()));
    let all: Vec<_> = sets.chain(marks).collect();
    // All of it is checked before any of it is written.
    for (name, ty, value) in &all {
        if value.len() > rrset::VALUE_BYTES_MAX {
            let ty = RecordType::from(*ty);
            return Err(Failure::new(format!(
                "{shown}: {name} {ty} has more than {} bytes",
                rrset::VALUE_BYTES_MAX
            )));
        }
    }
    let writer = Writer::new(context, &args.writing)?;
    let bar = ui::count_bar("Importing", Some(all.len() as u64));
    let begun = Instant::now();
    let (mut new, mut unchanged) = (0_u64, 0_u64);
    for (name, ty, value) in &all {
        let written = writer.write(name, u64::from(*ty), value, &mut |_| true);
        match written.map_err(|e| e.during(&format!("{name} {}", ordinal_name(u64::from(*ty)))))? {
            Written::Unchanged(_) => unchanged += 1,
            _ => new += 1,
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if !all.is_empty() {
        writer.warn_if_not_certified();
    }
    if !file.left_out.is_empty() {
        ui::note(&format!(
            "{} of SOA or NS left out: the server makes them",
            ui::plural(file.left_out.len() as u64, "record")
        ));
    }
    if context.json {
        return ui::print_json(
            &serde_json::json!({ "New": new, "Unchanged": unchanged, "LeftOut": file.left_out.len() }),
        );
    }
    let sets = ui::plural(new + unchanged, "record set");
    let took = ui::took(begun.elapsed());
    ui::print(&format!(
        "{sets} imported in {took}: {} new, {} unchanged\n",
        ui::count(new),
        ui::count(unchanged)
    ))
}
