//! `lf export`: what `lf import` reads.

use clap::Args;
use lf_client::{Find, FoundRecord, SelectorArg};
use lf_proto::blob::Blob;
use serde_json::json;

use super::get;
use super::import::Format;
use crate::cli::Urls;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::ui;

/// Print values in the form that import reads
///
/// Finds records like get does and prints the one that counts of each set, as JSON lines or CSV. Records whose value
/// or selectors cannot be read with what is given are left out, and counted on stderr.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf export 'score#' >scores.jsonl\n  lf export --format csv 'score#' team >scores.csv\n\n"
)]
pub(crate) struct Export {
    /// name, name#ORDINAL, name#FROM#TO or name# (all ordinals); no ordinal means 0
    #[arg(required = true, value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// The format to print
    #[arg(long, default_value = "jsonl")]
    format: Format,
    /// Masking key, if it is not the first name
    #[arg(long, value_name = "KEY", env = "LF_MASK", hide_env_values = true)]
    mask: Option<String>,
    /// Only records of this owner (a name of lf owner list, or @…)
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    #[command(flatten)]
    urls: Urls,
}

pub(crate) fn run(context: &Context, args: &Export) -> Result<()> {
    let find = Find {
        selectors: get::parse_selectors(&args.selectors)?,
        masking_key: args.mask.as_ref().map(|key| key.as_bytes().to_vec()),
        owners: get::owners(context, args.owner.as_deref())?,
        limit: 1,
        ..Find::default()
    };
    let found = context.client(&args.urls.url)?.find(&find)?;
    let mut left_out = 0;
    let rows = found.sets.iter().filter_map(|set| {
        let row = readable(set.winner(), &find.selectors);
        left_out += u64::from(row.is_none());
        row.map(|(selectors, value)| (selectors, value, set.winner()))
    });
    let text = match args.format {
        Format::Jsonl => rows
            .map(|(selectors, value, record)| {
                let selectors: Vec<_> = selectors
                    .iter()
                    .map(|s| json!({"Name": Blob(s.name.clone()), "Ordinal": s.ordinal()}))
                    .collect();
                let line = json!({
                    "Selectors": selectors,
                    "Value": Blob(value.to_vec()),
                    "Timestamp": record.record.timestamp(),
                    "Hash": record.record.hash(),
                    "Writer": record.record.owner(),
                });
                format!("{line}\n").into_bytes()
            })
            .collect::<Vec<_>>()
            .concat(),
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(Vec::new());
            let error = |e: csv::Error| Failure::new(format!("cannot make CSV: {e}"));
            let columns = (1..=find.selectors.len()).map(|i| format!("selector{i}"));
            csv.write_record(columns.chain(["value".to_owned()])).map_err(error)?;
            for (selectors, value, _) in rows {
                let cells = selectors.iter().map(|s| s.to_string().into_bytes());
                csv.write_record(cells.chain([value.to_vec()])).map_err(error)?;
            }
            csv.into_inner().map_err(|e| Failure::new(format!("cannot make CSV: {e}")))?
        }
    };
    ui::print_bytes(&text)?;
    if left_out > 0 {
        ui::note(&format!(
            "{} left out: the value or a selector cannot be read",
            ui::plural(left_out, "record")
        ));
    }
    Ok(())
}

/// A record's plain selectors and value, if both are known.
fn readable<'a>(record: &'a FoundRecord, asked: &[SelectorArg]) -> Option<(Vec<SelectorArg>, &'a [u8])> {
    let selectors = record.selectors.iter().zip(asked);
    let plain = selectors.map(|(found, arg)| Some(SelectorArg::one(arg.name.clone(), found.ordinal?)));
    Some((plain.collect::<Option<_>>()?, record.value.as_deref()?))
}
