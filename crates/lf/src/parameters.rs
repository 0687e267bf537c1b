//! A network's parameters as people give and read them: options of the command line, the same names in a TOML file, and
//! rows of text. What a network may look like is decided here, once for new networks and for amendments.

use std::path::Path;

use clap::Args;
use lf_proto::genesis::GenesisParameters;
use lf_proto::record::{LINKS_MAX, RECORD_BYTES_MAX};
use serde::Deserialize;

use crate::authorities::{Roots, SubjectArgs, title};
use crate::failure::{Failure, Result};
use crate::{interact, ui};

/// A larger file is refused.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Parameters that are given; the others stay what they are.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Given {
    /// The network's name
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Who to ask about the network
    #[arg(long)]
    pub(crate) contact: Option<String>,
    /// What the network is about
    #[arg(long)]
    pub(crate) comment: Option<String>,
    /// The fewest links of a record, 2 to 15 [new networks: 3]
    #[arg(long, value_name = "N")]
    pub(crate) links: Option<u64>,
    /// The largest value, in bytes as stored [new networks: 1024; 4096 with certificate authorities]
    #[arg(long, value_name = "BYTES")]
    pub(crate) value_bytes: Option<u64>,
    /// How far clocks may be off, in seconds [new networks: 60]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) drift: Option<u64>,
    /// Multiplies the difficulty of the work that records need; 16 makes it take four times as long as 1
    /// [new networks: 16]
    #[arg(long, value_name = "FACTOR")]
    pub(crate) work_factor: Option<u64>,
    /// Whether ECDSA signatures in their malleable form, as old networks have them, are refused
    /// [new networks: true]
    #[arg(long, value_name = "true|false")]
    pub(crate) strict_signatures: Option<bool>,
    /// Whether records need a certificate of their owner; proof of work alone does not do then
    /// [new networks: false]
    #[arg(long, value_name = "true|false")]
    pub(crate) auth_required: Option<bool>,
    /// Only in files for new networks: what can be amended.
    #[arg(skip)]
    pub(crate) amendable: Option<Vec<String>>,
    /// Only in files for new networks: root certificate authorities.
    #[arg(skip)]
    pub(crate) ca: Option<Vec<SubjectArgs>>,
}

impl Given {
    /// Reads a TOML file whose names are those of the options.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = interact::read_input(path, FILE_BYTES_MAX)?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|e| Failure::new(format!("{} is not text: {e}", path.display())))?;
        toml::from_str(text).map_err(|e: toml::de::Error| {
            let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            Failure::new(format!(
                "{}, line {line}: {}",
                path.display(),
                ui::printable(e.message().as_bytes())
            ))
        })
    }

    /// What is given here, else there.
    pub(crate) fn or(self, other: Self) -> Self {
        Given {
            name: self.name.or(other.name),
            contact: self.contact.or(other.contact),
            comment: self.comment.or(other.comment),
            links: self.links.or(other.links),
            value_bytes: self.value_bytes.or(other.value_bytes),
            drift: self.drift.or(other.drift),
            work_factor: self.work_factor.or(other.work_factor),
            strict_signatures: self.strict_signatures.or(other.strict_signatures),
            auth_required: self.auth_required.or(other.auth_required),
            amendable: self.amendable.or(other.amendable),
            ca: self.ca.or(other.ca),
        }
    }

    /// Sets what is given; what no network could live with is refused.
    pub(crate) fn apply(&self, p: &mut GenesisParameters) -> Result<()> {
        let bad = |problem: String| Failure::new(problem);
        if let Some(name) = &self.name {
            p.name = name.trim().to_owned();
            if p.name.is_empty() {
                return Err(Failure::new("a network needs a name"));
            }
        }
        let text = |given: &Option<String>, field: &mut String| {
            if let Some(given) = given {
                *field = given.trim().to_owned();
            }
        };
        text(&self.contact, &mut p.contact);
        text(&self.comment, &mut p.comment);
        let number = |given: Option<u64>, field: &mut u64, check: fn(u64) -> Result<u64, String>| {
            if let Some(given) = given {
                *field = check(given).map_err(bad)?;
            }
            Ok::<(), Failure>(())
        };
        number(self.links, &mut p.record_min_links, links)?;
        number(self.value_bytes, &mut p.record_max_value_size, value_bytes)?;
        number(self.drift, &mut p.record_max_time_drift, drift)?;
        number(self.work_factor, &mut p.work_factor, work_factor)?;
        if let Some(strict) = self.strict_signatures {
            p.strict_signatures = strict;
        }
        if let Some(required) = self.auth_required {
            p.auth_required = required;
        }
        if let Some(amendable) = &self.amendable {
            let names = amendable.iter().map(String::as_str).filter(|field| !field.trim().is_empty());
            p.amendable_fields = GenesisParameters::amendable_names(names).map_err(|e| bad(e.to_string()))?;
        }
        Ok(())
    }
}

/// The number in an answer.
pub(crate) fn number(text: &str) -> Result<u64, String> {
    text.trim().parse().map_err(|_| format!("{text:?} is not a number"))
}

/// Checks a number of links.
pub(crate) fn links(n: u64) -> Result<u64, String> {
    match n {
        n if n < 2 => {
            Err("with fewer than 2 links for each record the graph does not hold together".to_owned())
        }
        n if n > LINKS_MAX as u64 => Err(format!("a record has at most {LINKS_MAX} links")),
        n => Ok(n),
    }
}

/// Checks a largest value.
pub(crate) fn value_bytes(n: u64) -> Result<u64, String> {
    match n {
        0 => Err("without values there is nothing to store".to_owned()),
        n if n > RECORD_BYTES_MAX as u64 => Err(format!("a record has at most {RECORD_BYTES_MAX} bytes")),
        n => Ok(n),
    }
}

/// Checks a drift.
pub(crate) fn drift(n: u64) -> Result<u64, String> {
    if n == 0 { Err("clocks always are a little off".to_owned()) } else { Ok(n) }
}

/// Checks a factor; 1 is what absent means.
fn work_factor(n: u64) -> Result<u64, String> {
    match n {
        0 => Err("the work factor is 1 or more".to_owned()),
        n if u32::try_from(n).is_err() => Err(format!("the work factor is at most {}", u32::MAX)),
        1 => Ok(0),
        n => Ok(n),
    }
}

/// A parameter as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// Its name where it is called amendable.
    pub(crate) field: &'static str,
    /// Its name for people: that of its option.
    pub(crate) label: &'static str,
    /// What it is.
    pub(crate) value: String,
}

/// All parameters that can change, in order.
pub(crate) fn rows(p: &GenesisParameters) -> Vec<Row> {
    let text = |text: &str| ui::printable(text.as_bytes());
    let roots = Roots::of(p);
    let current = roots.current.iter().map(|root| format!("{} ({})", title(root), root.serial()));
    let revoked = roots.revoked.iter().map(|root| format!("{} ({}, revoked)", title(root), root.serial()));
    let certificates: Vec<String> = current.chain(revoked).collect();
    let certificates = if certificates.is_empty() { "none".to_owned() } else { certificates.join("; ") };
    let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    [
        ("name", "name", text(&p.name)),
        ("contact", "contact", text(&p.contact)),
        ("comment", "comment", text(&p.comment)),
        ("recordminlinks", "links", format!("{} or more", p.record_min_links)),
        ("recordmaxvaluesize", "values", format!("up to {}", ui::plural(p.record_max_value_size, "byte"))),
        ("recordmaxtimedrift", "drift", format!("{} s", p.record_max_time_drift)),
        ("workfactor", "work factor", p.work_factor().to_string()),
        ("strictsignatures", "strict signatures", yes(p.strict_signatures)),
        ("authrequired", "certificates needed", yes(p.auth_required)),
        ("authcertificates", "authorities", certificates),
    ]
    .into_iter()
    .map(|(field, label, value)| Row { field, label, value })
    .collect()
}

/// What differs: each parameter's row before, and its text after.
pub(crate) fn differences(before: &GenesisParameters, after: &GenesisParameters) -> Vec<(Row, String)> {
    let pairs = rows(before).into_iter().zip(rows(after));
    pairs.filter(|(old, new)| old != new).map(|(old, new)| (old, new.value)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn message(failure: Failure) -> String {
        match failure {
            Failure::Error { message, .. } => message,
            other => panic!("{other:?}"),
        }
    }

    fn file(text: &str) -> Result<Given> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("network.toml");
        std::fs::write(&path, text).unwrap();
        Given::read(&path)
    }

    #[test]
    fn options_go_before_the_file() {
        let from_file = file(
            "name = \"mine\" # ours\ncontact = 'me'\nlinks = 4\nvalue-bytes = 2048\ndrift = 90\nwork-factor = 1\n\
             strict-signatures = false\namendable = [\"Comment\", \"recordmaxforwardtimedrift\"]\n",
        )
        .unwrap();
        let given = Given { links: Some(5), comment: Some(" why ".into()), ..Given::default() }.or(from_file);
        let mut p =
            GenesisParameters { work_factor: 16, strict_signatures: true, ..GenesisParameters::default() };
        given.apply(&mut p).unwrap();
        assert_eq!((p.name.as_str(), p.contact.as_str(), p.comment.as_str()), ("mine", "me", "why"));
        assert_eq!((p.record_min_links, p.record_max_value_size, p.record_max_time_drift), (5, 2048, 90));
        assert_eq!((p.work_factor, p.strict_signatures), (0, false));
        assert_eq!(p.amendable_fields, ["comment", "recordmaxtimedrift"]);
    }

    #[test]
    fn files_say_where_they_are_wrong() {
        for (text, problem) in [
            ("name = 'x'\nlink = 3", "line 2: unknown field `link`"),
            ("links = -1", "line 1: "),
            ("links = '3'", "line 1: "),
            ("\n\nname", "line 3: "),
        ] {
            let message = message(file(text).unwrap_err());
            assert!(message.contains(problem), "{text:?}: {message}");
        }
        assert!(message(file(&format!("name = '{}'", "x".repeat(1 << 20))).unwrap_err()).contains("larger"));
    }

    #[test]
    fn what_no_network_could_live_with() {
        let refused = |given: Given| message(given.apply(&mut GenesisParameters::default()).unwrap_err());
        let none = Given::default();
        assert!(refused(Given { name: Some(" ".into()), ..none.clone() }).contains("needs a name"));
        assert!(refused(Given { links: Some(1), ..none.clone() }).contains("fewer than 2"));
        assert!(refused(Given { links: Some(16), ..none.clone() }).contains("at most 15"));
        assert!(refused(Given { value_bytes: Some(0), ..none.clone() }).contains("nothing to store"));
        assert!(refused(Given { drift: Some(0), ..none.clone() }).contains("clocks"));
        assert!(refused(Given { work_factor: Some(0), ..none.clone() }).contains("1 or more"));
        assert!(refused(Given { work_factor: Some(1 << 32), ..none.clone() }).contains("at most"));
        let id = Given { amendable: Some(vec!["id".into()]), ..none };
        assert!(refused(id).contains("no field named"));
    }

    #[test]
    fn differences_are_shown_as_text() {
        let before =
            GenesisParameters { name: "a".into(), record_min_links: 2, ..GenesisParameters::default() };
        let after = GenesisParameters { record_min_links: 3, work_factor: 1, ..before.clone() };
        let shown: Vec<_> =
            differences(&before, &after).into_iter().map(|(row, new)| (row.field, row.value, new)).collect();
        assert_eq!(shown, [("recordminlinks", "2 or more".to_owned(), "3 or more".to_owned())]);
        let fields: Vec<_> = rows(&before).iter().map(|row| row.field).collect();
        let mut sorted = (fields, lf_proto::genesis::AMENDABLE.to_vec());
        sorted.0.sort_unstable();
        sorted.1.sort_unstable();
        assert_eq!(sorted.0, sorted.1, "every amendable field has its row");
    }
}
