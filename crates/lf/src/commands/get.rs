//! `lf get`: reading by selector.

mod explain;

use clap::Args;
use lf_client::{Find, FoundRecord, FoundSet, Order, SelectorArg};

use crate::cli::Urls;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::{times, ui};

/// Find values by selector
///
/// Prints one line for each set of records with the same selectors: the value of the record that counts, then its
/// selectors. Nothing found prints nothing. Names are unescaped like JSON strings; a # in a name is written \#.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf get greeting              the value of one name\n  lf get 'score#7'             ordinal 7 of a name\n  lf get 'score#1#100'         ordinals 1 to 100\n  lf get 'score#'              all ordinals\n  lf get --json greeting       everything about it\n  lf get --raw photo >p.png    just the bytes\n  lf get --explain greeting    who else claims the name, and why this one wins\n\n"
)]
pub(crate) struct Get {
    /// name, name#ORDINAL, name#FROM#TO or name# (all ordinals); no ordinal means 0
    #[arg(required = true, value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Masking key, if it is not the first name
    #[arg(long, value_name = "KEY", env = "LF_MASK", hide_env_values = true)]
    mask: Option<String>,
    /// Only records of this owner (a name of lf owner list, or @…)
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    /// Only records of this time or later: seconds since 1970, 2026-11-22T13:05:06Z, or RFC 1123
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    tstart: Option<u64>,
    /// Only records of this time or earlier
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    tend: Option<u64>,
    /// Only this oracle's comments count for this query (a name of lf oracle list, or @…), not those of all on that list;
    /// can be given more than once
    #[arg(long, value_name = "ORACLE")]
    oracle: Vec<String>,
    /// Also records with more selectors
    #[arg(long)]
    open: bool,
    /// Which record of a set counts: trust (what the node that is asked thinks), weight, timestamp (the newest), or
    /// deterministic (weight, then hash: the same on every synchronized node, but work can buy it)
    #[arg(long, value_name = "ORDER", default_value = "trust", value_parser = order, hide_default_value = true)]
    order: Order,
    /// Show all candidates, why the winner wins, and how weak that is
    #[arg(long, conflicts_with = "raw")]
    explain: bool,
    /// Follow every owner who named a successor (lf owner rotate), not just those certified by one authority
    #[arg(long)]
    follow_rotations: bool,
    /// Print the values' bytes and nothing else
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    urls: Urls,
}

pub(crate) fn run(context: &Context, args: &Get) -> Result<()> {
    let config = context.config()?;
    let find = Find {
        selectors: parse_selectors(&args.selectors)?,
        masking_key: args.mask.as_ref().map(|key| key.as_bytes().to_vec()),
        owners: owners(context, args.owner.as_deref())?,
        time_from: args.tstart,
        time_to: args.tend,
        open: args.open,
        oracles: oracles(&config, &args.oracle)?,
        limit: u64::from(!context.json || args.raw),
        order: args.order,
        follow_rotations: args.follow_rotations,
    };
    if args.explain {
        let (explanation, sets) = context.client(&args.urls.url)?.explain(&find)?;
        if context.json {
            return ui::print_json(&explanation);
        }
        return ui::print(&explain::text(&sets, &find.selectors, find.oracles.len(), &config));
    }
    let found = context.client(&args.urls.url)?.find(&find)?;
    if args.raw {
        let values = found.sets.iter().filter_map(|set| set.winner().value.as_deref());
        return ui::print_bytes(&values.collect::<Vec<_>>().concat());
    }
    if context.json {
        let sets: Vec<Vec<_>> =
            found.sets.iter().map(|set| set.records().map(|r| &r.result).collect()).collect();
        return ui::print_json(&sets);
    }
    ui::print(&lines(&found.sets, &find.selectors))
}

fn order(text: &str) -> Result<Order, String> {
    let named = Order::ALL.into_iter().find(|order| order.name() == text);
    named.ok_or_else(|| "an order is trust, weight, timestamp or deterministic".to_owned())
}

pub(crate) fn parse_selectors(selectors: &[String]) -> Result<Vec<SelectorArg>> {
    selectors.iter().map(|s| s.parse().map_err(Failure::from)).collect()
}

/// The owner to look for: a name of client.json, or the public form of any.
pub(crate) fn owners(context: &Context, given: Option<&str>) -> Result<Vec<lf_proto::owner::OwnerPublic>> {
    let Some(given) = given else { return Ok(vec![]) };
    if given.starts_with('@') {
        return given.parse().map(|owner| vec![owner]).map_err(|e| Failure::new(format!("{e}")));
    }
    Ok(vec![crate::context::find_owner(&context.config()?, given)?.public])
}

/// The oracles to ask: those given, by name or by public form, else all that are trusted.
fn oracles(config: &lf_client::Config, given: &[String]) -> Result<Vec<lf_proto::owner::OwnerPublic>> {
    if given.is_empty() {
        return Ok(config.oracles.clone());
    }
    let mut oracles = Vec::with_capacity(given.len());
    for oracle in given {
        let oracle = crate::context::find_oracle(config, oracle)?;
        // One listed twice would count as two.
        if !oracles.contains(&oracle) {
            oracles.push(oracle);
        }
    }
    Ok(oracles)
}

/// One line for each set: the winner's value, padded to the longest, and its selectors.
pub(crate) fn lines(sets: &[FoundSet], asked: &[SelectorArg]) -> String {
    let values: Vec<String> = sets.iter().map(|set| shown_value(set.winner())).collect();
    let width = values.iter().map(|value| value.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for (set, value) in sets.iter().zip(&values) {
        let padding = " ".repeat(width - value.chars().count());
        out.push_str(&format!("{value}{padding} | {}\n", shown_selectors(set.winner(), asked)));
    }
    out
}

/// A value's printable characters; `- ` (two columns wide, as it always was) for none or one that cannot be read.
pub(crate) fn shown_value(record: &FoundRecord) -> String {
    let value = ui::printable(record.value.as_deref().unwrap_or_default());
    if value.is_empty() { "- ".to_owned() } else { value }
}

/// `name#ordinal` for each selector; `?key` for those whose name is not known.
pub(crate) fn shown_selectors(record: &FoundRecord, asked: &[SelectorArg]) -> String {
    let shown = record.selectors.iter().enumerate().map(|(i, found)| match (asked.get(i), found.ordinal) {
        (Some(arg), Some(ordinal)) => format!("{}#{ordinal}", String::from_utf8_lossy(&arg.name)),
        _ => found.key.to_string(),
    });
    shown.collect::<Vec<_>>().join(" ")
}
