//! `lf import`: writing many values.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use lf_client::{Client, Pulsing, SelectorArg, Write, Written};
use lf_proto::blob::Blob;
use lf_proto::json;
use lf_proto::owner::OwnerSecret;
use lf_proto::record::{RECORD_BYTES_MAX, SELECTORS_MAX};
use serde::Deserialize;

use crate::cli::{Urls, Working};
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::ui;

/// A longer line is refused: a record as JSON is shorter.
const LINE_BYTES_MAX: u64 = 8 * RECORD_BYTES_MAX as u64;

/// Write many values from a file
///
/// JSON lines have Selectors (a list of name#ORDINAL texts, or of objects with Name and Ordinal), Value and perhaps
/// Owner. CSV has a header: every column whose name begins with selector is one, then value and perhaps owner. Values
/// that are there already are not written again, so an import that was stopped can just be run again.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf import values.jsonl\n  lf import --format csv - <values.csv\n\n  {\"Selectors\": [\"score#7\", \"team\"], \"Value\": \"1200\"}\n\n  selector,selector,value\n  score#7,team,1200\n\n"
)]
pub(crate) struct Import {
    /// The file (- for stdin)
    file: PathBuf,
    /// The file's format [default: csv if its name ends so, else jsonl]
    #[arg(long)]
    format: Option<Format>,
    /// Write as this owner, where the file does not say
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    /// Masking key [default: the first name of each record]
    #[arg(long, value_name = "KEY", env = "LF_MASK", hide_env_values = true)]
    mask: Option<String>,
    /// Pulse what is unchanged
    #[arg(long)]
    pulse: bool,
    #[command(flatten)]
    working: Working,
    #[command(flatten)]
    urls: Urls,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a line
    Jsonl,
    /// Comma-separated, with a header
    Csv,
}

/// One value to write, and where it stands in the file.
struct Entry {
    line: u64,
    selectors: Vec<SelectorArg>,
    value: Vec<u8>,
    owner: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Import) -> Result<()> {
    let name = args.file.display();
    let by_name = if args.file.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv")) {
        Format::Csv
    } else {
        Format::Jsonl
    };
    let source: Box<dyn Read> = if args.file.as_os_str() == "-" {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(&args.file).map_err(|e| Failure::new(format!("cannot read {name}: {e}")))?)
    };
    let mut entries: Box<dyn Iterator<Item = Result<Entry>>> = match args.format.unwrap_or(by_name) {
        Format::Jsonl => Box::new(JsonLines { lines: BufReader::new(source), line: 0 }),
        Format::Csv => Box::new(csv_entries(source)?),
    };
    let client = context.client(&args.urls.url)?;
    let mut owners: HashMap<Option<String>, OwnerSecret> = HashMap::new();
    let bar = ui::count_bar("Importing", None);
    let begun = Instant::now();
    let mut counts = Counts::default();
    let outcome = entries.try_for_each(|entry| {
        let entry = entry?;
        let line = entry.line;
        let written = import(context, &client, args, &mut owners, &entry)
            .map_err(|e| e.during(&format!("line {line}")))?;
        match written {
            Written::New(_) => counts.new += 1,
            Written::Unchanged(_) => counts.unchanged += 1,
            Written::Pulsed { .. } => counts.pulsed += 1,
        }
        bar.inc(1);
        Ok(())
    });
    bar.finish_and_clear();
    let summary = counts.show(begun.elapsed());
    match outcome {
        Ok(()) if context.json => ui::print_json(&serde_json::json!({
            "New": counts.new, "Unchanged": counts.unchanged, "Pulsed": counts.pulsed,
            "Seconds": begun.elapsed().as_secs_f64(),
        })),
        Ok(()) => ui::print(&format!("{summary}\n")),
        Err(e) => {
            ui::note(&format!("{summary}, then:"));
            Err(e)
        }
    }
}

#[derive(Default)]
struct Counts {
    new: u64,
    unchanged: u64,
    pulsed: u64,
}

impl Counts {
    fn show(&self, took: std::time::Duration) -> String {
        let total = self.new + self.unchanged + self.pulsed;
        let pulsed =
            if self.pulsed > 0 { format!(", {} pulsed", ui::count(self.pulsed)) } else { String::new() };
        format!(
            "{} imported in {}: {} new, {} unchanged{pulsed}",
            ui::plural(total, "record"),
            ui::took(took),
            ui::count(self.new),
            ui::count(self.unchanged)
        )
    }
}

fn import(
    context: &Context,
    client: &Client,
    args: &Import,
    owners: &mut HashMap<Option<String>, OwnerSecret>,
    entry: &Entry,
) -> Result<Written> {
    let owner = entry.owner.clone().or_else(|| args.owner.clone());
    if !owners.contains_key(&owner) {
        let secret = context.secret(owner.as_deref())?;
        owners.insert(owner.clone(), secret);
    }
    let secret = owners.get(&owner).ok_or_else(|| Failure::new("no owner"))?;
    let write = Write {
        owner: secret,
        selectors: &entry.selectors,
        value: &entry.value,
        masking_key: args.mask.as_deref().map(str::as_bytes),
        pulsing: if args.pulse { Pulsing::IfUnchanged } else { Pulsing::No },
        may_work: true,
        workers: args.working.workers(),
    };
    Ok(client.write(&write, &mut |_| true)?)
}

/// A selector in JSON lines.
#[derive(Deserialize)]
#[serde(untagged)]
enum LineSelector {
    Text(String),
    Object(NamedSelector),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NamedSelector {
    name: Blob,
    #[serde(default)]
    ordinal: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Line {
    selectors: Vec<LineSelector>,
    #[serde(default)]
    value: Blob,
    #[serde(default)]
    owner: Option<String>,
}

struct JsonLines<R> {
    lines: R,
    line: u64,
}

impl<R: BufRead> Iterator for JsonLines<R> {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Result<Entry>> {
        loop {
            self.line += 1;
            let line = self.line;
            let at = |problem: String| Failure::new(format!("line {line}: {problem}"));
            let mut text = Vec::new();
            match (&mut self.lines).take(LINE_BYTES_MAX).read_until(b'\n', &mut text) {
                Ok(0) => return None,
                Ok(read) if read as u64 == LINE_BYTES_MAX => return Some(Err(at("too long".to_owned()))),
                Ok(_) if text.trim_ascii().is_empty() => {}
                Ok(_) => return Some(json_entry(&text, line).map_err(at)),
                Err(e) => return Some(Err(at(e.to_string()))),
            }
        }
    }
}

fn json_entry(text: &[u8], line: u64) -> Result<Entry, String> {
    let parsed: Line = json::from_slice_exact(text).map_err(|e| e.to_string())?;
    let selectors = parsed.selectors.into_iter().map(|selector| match selector {
        LineSelector::Text(text) => text.parse().map_err(|e: lf_client::SelectorArgError| e.to_string()),
        LineSelector::Object(s) => Ok(SelectorArg::one(s.name.0, s.ordinal)),
    });
    Ok(Entry {
        line,
        selectors: selectors.collect::<Result<_, _>>()?,
        value: parsed.value.0,
        owner: parsed.owner.filter(|owner| !owner.is_empty()),
    })
}

/// Where a CSV file's columns are.
struct Columns {
    selectors: Vec<usize>,
    value: usize,
    owner: Option<usize>,
}

fn csv_entries(source: Box<dyn Read>) -> Result<impl Iterator<Item = Result<Entry>>> {
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(source);
    let header = reader.headers().map_err(|e| Failure::new(format!("header: {e}")))?;
    let names: Vec<String> = header.iter().map(|name| name.trim().to_lowercase()).collect();
    let find = |wanted: &str| names.iter().position(|name| name == wanted);
    let selectors: Vec<usize> = (0..names.len()).filter(|i| names[*i].starts_with("selector")).collect();
    let value = find("value");
    let (false, true, Some(value)) = (selectors.is_empty(), selectors.len() <= SELECTORS_MAX, value) else {
        return Err(Failure::new("the header must name 1 to 15 selector columns and a value column"));
    };
    let columns = Columns { selectors, value, owner: find("owner") };
    Ok(reader.into_records().map(move |row| {
        let row = row.map_err(|e| Failure::new(e.to_string()))?;
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |i: usize| row.get(i).unwrap_or_default();
        let selectors = columns.selectors.iter().map(|i| cell(*i)).filter(|text| !text.is_empty());
        Ok(Entry {
            line,
            selectors: selectors
                .map(str::parse)
                .collect::<Result<_, _>>()
                .map_err(|e| Failure::from(e).during(&format!("line {line}")))?,
            value: cell(columns.value).as_bytes().to_vec(),
            owner: columns.owner.map(cell).filter(|owner| !owner.is_empty()).map(str::to_owned),
        })
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn entries(format: Format, text: &str) -> Vec<Result<Entry>> {
        let source = Box::new(io::Cursor::new(text.to_owned().into_bytes()));
        match format {
            Format::Jsonl => JsonLines { lines: BufReader::new(source), line: 0 }.collect(),
            Format::Csv => csv_entries(source).unwrap().collect(),
        }
    }

    #[test]
    fn both_formats_say_the_same() {
        let json = entries(
            Format::Jsonl,
            "{\"Selectors\": [\"a#1\", {\"Name\": \"b#\", \"Ordinal\": 2}], \"Value\": \"x,y\"}\n\n\
             {\"selectors\": [\"c\"], \"owner\": \"o\"}\n",
        );
        let csv = entries(Format::Csv, "selector1,selector2,value,owner\na#1,b\\#2#2,\"x,y\",\nc,,,o\n");
        let csv_escaped = entries(Format::Csv, "Selector,Selector,Value\na#1,b\\##2,\"x,y\"\n");
        let (json, csv) = (json.into_iter().map(Result::unwrap), csv.into_iter().map(Result::unwrap));
        let (json, csv): (Vec<_>, Vec<_>) = (json.collect(), csv.collect());
        assert_eq!(json[0].selectors, [SelectorArg::one("a", 1), SelectorArg::one("b#", 2)]);
        assert_eq!(csv_escaped[0].as_ref().unwrap().selectors, json[0].selectors);
        assert_eq!(csv[0].selectors[1], SelectorArg::one("b#2", 2));
        assert_eq!((json[0].value.as_slice(), csv[0].value.as_slice()), (&b"x,y"[..], &b"x,y"[..]));
        assert_eq!((json[1].line, csv[1].line), (3, 3));
        assert_eq!((json[1].owner.as_deref(), csv[1].owner.as_deref()), (Some("o"), Some("o")));
        assert_eq!((json[1].selectors.len(), csv[1].selectors.len()), (1, 1));
    }

    #[test]
    fn errors_name_the_line() {
        let error = |format, text| match entries(format, text).pop().unwrap() {
            Err(Failure::Error { message, .. }) => message,
            _ => panic!("no error"),
        };
        assert!(error(Format::Jsonl, "{\"Selectors\":[\"a\"]}\nnonsense").starts_with("line 2: "));
        assert!(error(Format::Jsonl, "{\"Value\":\"x\"}").contains("line 1: "));
        assert!(error(Format::Csv, "selector,value\na#x,1\n").contains("line 2: "));
        assert!(error(Format::Csv, "selector,value\na,1,2\n").contains("line"));
        assert!(csv_entries(Box::new(io::Cursor::new("a,b\n"))).is_err());
    }
}
