//! How things look: JSON, values, figures, progress.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use lf_client::WorkProgress;
use serde::Serialize;

use crate::failure::Result;

/// JSON for people: indented, with lists of plain values on one line.
pub(crate) fn json(value: &impl Serialize) -> String {
    let pretty = serde_json::to_string_pretty(value).unwrap_or_default();
    let lines: Vec<&str> = pretty.lines().collect();
    let mut out = String::with_capacity(pretty.len());
    let mut i = 0;
    while let Some(line) = lines.get(i) {
        i += 1;
        out.push_str(line);
        if line.ends_with('[') {
            // A string never ends in a bare bracket at the end of a line, and never spans lines.
            let items = lines[i..].iter().take_while(|l| !l.ends_with(['[', '{']) && !is_end(l)).count();
            if lines.get(i + items).is_some_and(|l| l.trim_start().starts_with(']')) {
                for (n, item) in lines[i..i + items].iter().enumerate() {
                    let _ = write!(out, "{}{}", if n == 0 { "" } else { " " }, item.trim_start());
                }
                i += items;
                out.push_str(lines[i].trim_start());
                i += 1;
            }
        }
        out.push('\n');
    }
    out.pop();
    out
}

fn is_end(line: &str) -> bool {
    line.trim_start().starts_with([']', '}'])
}

/// Prints JSON on stdout.
pub(crate) fn print_json(value: &impl Serialize) -> Result<()> {
    print(&format!("{}\n", json(value)))
}

/// Prints text on stdout.
pub(crate) fn print(text: &str) -> Result<()> {
    print_bytes(text.as_bytes())
}

/// Prints bytes on stdout as they are.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// Prints a line on stderr.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A value's printable characters. Bytes that are not UTF-8 become U+FFFD each; what would move the cursor, hide or
/// reorder text is left out.
pub(crate) fn printable(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len());
    for chunk in value.utf8_chunks() {
        out.extend(chunk.valid().chars().filter(|c| is_printable(*c)));
        out.extend(chunk.invalid().iter().map(|_| '\u{fffd}'));
    }
    out
}

fn is_printable(c: char) -> bool {
    let invisible = matches!(u32::from(c),
        0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x890..=0x891 | 0x8e2 | 0x180e | 0x200b..=0x200f
        | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xfff9..=0xfffb | 0x110bd | 0x110cd | 0x13430..=0x1343f
        | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe000..=0xf8ff | 0xe0000.. );
    c == ' ' || !(c.is_control() || c.is_whitespace() || invisible)
}

/// `1.5 KB`, `12 MB`.
pub(crate) fn bytes(count: u64) -> String {
    let units = ["bytes", "KB", "MB", "GB", "TB"];
    let mut amount = count as f64;
    let mut unit = 0;
    while amount >= 999.5 && unit + 1 < units.len() {
        amount /= 1000.0;
        unit += 1;
    }
    if unit == 0 || amount >= 10.0 {
        format!("{amount:.0} {}", units[unit])
    } else {
        format!("{amount:.1} {}", units[unit])
    }
}

/// `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 record`, `2 records`.
pub(crate) fn plural(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// `12 ms`, `1.4 s`: two or three digits of a duration.
pub(crate) fn took(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        s if s < 9.5e-7 => format!("{:.0} ns", s * 1e9),
        s if s < 0.000_999_5 => format!("{:.0} µs", s * 1e6),
        s if s < 0.009_995 => format!("{:.1} ms", s * 1e3),
        s if s < 0.999_5 => format!("{:.0} ms", s * 1e3),
        s if s < 59.95 => format!("{s:.1} s"),
        s => format!("{:.0} min {:.0} s", (s / 60.0).floor(), s % 60.0),
    }
}

/// Shows how work goes, on stderr and only if that is a terminal.
pub(crate) struct WorkBar {
    bar: ProgressBar,
}

impl WorkBar {
    pub(crate) fn new(what: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {msg}") {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_prefix(what.to_owned());
        WorkBar { bar }
    }

    pub(crate) fn set_what(&self, what: String) {
        self.bar.set_prefix(what);
    }

    pub(crate) fn show(&self, progress: &WorkProgress) {
        let done = progress.hashes_done as f64 / progress.hashes_expected.max(1) as f64;
        // A search has no memory: the bar shows how many of all searches would be done by now.
        self.bar.set_position((1000.0 * (1.0 - (-done * done * std::f64::consts::FRAC_PI_4).exp())) as u64);
        let speed = progress.hashes_per_second() / 1e6;
        self.bar.set_message(match progress.remaining() {
            Some(left) => format!("{speed:.1} M hashes/s, about {} left", took(left)),
            None if progress.hashes_done == 0 => "preparing".to_owned(),
            None => format!("{speed:.1} M hashes/s, taking longer than average"),
        });
    }
}

impl Drop for WorkBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Shows how many of something are done, on stderr and only if that is a terminal.
pub(crate) fn count_bar(what: &str, total: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    let template = if total.is_some() {
        "{prefix} {wide_bar} {human_pos}/{human_len}, {rate}, {eta} left"
    } else {
        "{prefix} {human_pos}, {rate} {msg}"
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        // Nobody wants to know fractions of records.
        let style = style.with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{}/s", count(state.per_sec() as u64));
        });
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar.set_prefix(what.to_owned());
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_plain_values_are_on_one_line() {
        let value = serde_json::json!({"a": [1, "x [", 3], "b": [[1], {"c": []}], "d": []});
        let text = json(&value);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).ok(), Some(value));
        assert!(text.contains("\"a\": [1, \"x [\", 3],"), "{text}");
        let empty: [u8; 0] = [];
        assert_eq!(json(&empty), "[]");
    }

    #[test]
    fn values_cannot_play_with_the_terminal() {
        assert_eq!(printable(b"line 1\nline 2\r\x1b[31m\x07"), "line 1line 2[31m");
        assert_eq!(printable("日本語 \u{202e}é\u{a0}".as_bytes()), "日本語 é");
        assert_eq!(printable(&[b'a', 0xff, 0xc3, b'b']), "a\u{fffd}\u{fffd}b");
    }

    #[test]
    fn figures() {
        assert_eq!([0, 999, 1000, 12_345_678].map(count), ["0", "999", "1,000", "12,345,678"]);
        assert_eq!([1, 1500, 999_600, 12_000_000].map(bytes), ["1 bytes", "1.5 KB", "1.0 MB", "12 MB"]);
        assert_eq!(plural(1, "record"), "1 record");
        let times = [3, 1500, 250_000, 2_500_000, 130_000_000].map(|us| took(Duration::from_micros(us)));
        assert_eq!(times, ["3 µs", "1.5 ms", "250 ms", "2.5 s", "2 min 10 s"]);
    }
}
