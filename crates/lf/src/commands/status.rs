//! `lf status`: is the node well?

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anstyle::{AnsiColor, Style};
use clap::Args;
use lf_proto::api::NodeStatus;

use crate::cli::Urls;
use crate::context::Context;
use crate::failure::Result;
use crate::{speed, times, ui};

/// Is the node well?
///
/// Asks the first node that answers and shows what matters about it; everything with --json.
#[derive(Debug, Args)]
#[command(
    before_long_help = "Examples:\n  lf status\n  lf status --json\n  lf status --url http://127.0.0.1:9980\n\n"
)]
pub(crate) struct Status {
    #[command(flatten)]
    urls: Urls,
}

pub(crate) fn run(context: &Context, args: &Status) -> Result<()> {
    let client = context.client(&args.urls.url)?;
    let asked = Instant::now();
    let (url, status) = client.status_with_url()?;
    if context.json {
        return ui::print_json(&status);
    }
    let took = asked.elapsed();
    let parameters = &status.genesis_parameters;
    let works = !status.local_test_mode && !parameters.auth_required;
    let cost = works.then(|| speed::average(context, speed::TYPICAL_RECORD_BYTES, parameters.work_factor()));
    let here = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    use std::io::Write as _;
    let mut out = anstream::stdout().lock();
    out.write_all(health(url.as_str(), &status, here, took, cost).as_bytes())?;
    out.flush()?;
    Ok(())
}

/// The summary. `here` is our own clock, seconds since 1970; `cost` what work for a typical record takes here.
fn health(url: &str, status: &NodeStatus, here: u64, took: Duration, cost: Option<Duration>) -> String {
    let bold = Style::new().bold();
    let good = Style::new().fg_color(Some(AnsiColor::Green.into()));
    let bad = Style::new().bold().fg_color(Some(AnsiColor::Yellow.into()));
    let p = &status.genesis_parameters;
    let [major, minor, revision, _] = status.version;
    let mut out = String::new();
    let mut row = |label: &str, text: String| out.push_str(&format!("  {label:<10} {text}\n"));
    let alone = status.p2p_port != 0 && status.peers.is_empty();
    let (mark, state) = match status.fully_synchronized {
        true => (good, "has everything"),
        false if alone => (bad, "has nobody to compare with"),
        false => (bad, "still catching up"),
    };
    row(
        "node",
        format!(
            "up for {}, {mark}{state}{mark:#}, answered in {}",
            times::show_duration(status.uptime),
            ui::took(took)
        ),
    );
    row(
        "software",
        format!("{} {major}.{minor}.{revision}, API {}", one_line(&status.software), status.api_version),
    );
    row("records", format!("{}, {}", ui::plural(status.record_count, "record"), ui::bytes(status.data_size)));
    if status.missing_count > 0 {
        let (fetched, missing) =
            (ui::count(status.fetched_count), ui::plural(status.missing_count, "record"));
        row("fetching", format!("{missing} still missing, {fetched} fetched"));
    }
    if status.limbo_count > 0 {
        row(
            "in limbo",
            format!(
                "{}, waiting for a certificate or an amendment",
                ui::plural(status.limbo_count, "record")
            ),
        );
    }
    let id: String = p.id.iter().take(6).map(|b| format!("{b:02x}")).collect();
    let name = if p.name.is_empty() { "(no name)".to_owned() } else { one_line(&p.name) };
    row("network", format!("{name}, id {id}…"));
    let work = match (status.local_test_mode, p.auth_required, p.work_factor()) {
        (true, ..) => "no work (local test mode)".to_owned(),
        (_, true, _) => "certificates required".to_owned(),
        (_, _, 1) => "work".to_owned(),
        (_, _, factor) => format!("work × {factor}"),
    };
    row(
        "rules",
        format!(
            "values of up to {}, {} or more, {work}",
            ui::plural(p.record_max_value_size, "byte"),
            ui::plural(p.record_min_links, "link")
        ),
    );
    if let Some(cost) = cost {
        let typical = speed::TYPICAL_RECORD_BYTES;
        row("writing", format!("about {} of work here for a record of {typical} bytes", ui::took(cost)));
    }
    let peers = match (status.local_test_mode, status.p2p_port) {
        (true, _) => "none (local test mode)".to_owned(),
        (_, 0) => "none (not listening for peers)".to_owned(),
        (_, port) => format!("{} connected, port {port}", status.peers.len()),
    };
    row("peers", peers);
    if !status.https_problem.is_empty() {
        row("https", format!("{bad}no new certificate{bad:#}: {}", one_line(&status.https_problem)));
    }
    if let Some(until) = status.https_until {
        let mark = if until > status.clock { good } else { bad };
        row("certificate", format!("{mark}valid until {}{mark:#}", times::show(until)));
    }
    let off = status.clock.abs_diff(here);
    let drift = p.record_max_time_drift.max(1);
    row(
        "clock",
        match off {
            0..=2 => format!("{} (as here)", times::show(status.clock)),
            off if off <= drift / 2 => format!("{}, {off} s off from here", times::show(status.clock)),
            off => {
                format!("{bad}{off} s off from here{bad:#}: records more than {drift} s ahead are refused")
            }
        },
    );
    if let Some(oracle) = &status.oracle {
        row(
            "oracle",
            format!("{oracle}, on {} of the lowest priority", ui::plural(status.oracle_threads, "thread")),
        );
    }
    format!("{bold}{url}{bold:#}\n{out}")
}

fn one_line(text: &str) -> String {
    ui::printable(text.as_bytes()).chars().take(100).collect()
}
