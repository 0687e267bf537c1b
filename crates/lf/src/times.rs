//! Times as people write and read them. All are UTC, in seconds since 1970.

/// Reads a time: seconds since 1970, `2026-11-22`, `2026-11-22T13:05:06Z`, or `Sun, 22 Nov 2026 13:05:06 UTC`.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map_err(|_| "too large a number of seconds".to_owned());
    }
    iso(text).or_else(|| rfc1123(text)).ok_or_else(|| {
        "a time is seconds since 1970, 2026-11-22T13:05:06Z, or \"Sun, 22 Nov 2026 13:05:06 UTC\"".to_owned()
    })
}

/// `2026-11-22 13:05:06 UTC`; the plain number if it is not of this era.
pub(crate) fn show(seconds: u64) -> String {
    const YEAR_10000: u64 = 253_402_300_800;
    if seconds >= YEAR_10000 {
        return format!("{seconds} s");
    }
    let (days, of_day) = ((seconds / 86_400) as i64, seconds % 86_400);
    let (year, month, day) = date(days);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

/// `3 days 4 h`, `2 h 5 min`, `12 min`, `45 s`.
pub(crate) fn show_duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {minutes} min"),
        (1, ..) => format!("1 day {hours} h"),
        _ => format!("{days} days {hours} h"),
    }
}

fn iso(text: &str) -> Option<u64> {
    let (day, clock) = match text.split_once(['T', ' ']) {
        Some((day, clock)) => (day, clock.strip_suffix('Z').unwrap_or(clock)),
        None => (text, "00:00:00"),
    };
    let mut parts = day.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    seconds(number(year)?, number(month)?, number(day)?, clock)
}

fn rfc1123(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = text.split_once(", ").map_or(text, |(_, rest)| rest);
    let mut parts = text.split_ascii_whitespace();
    let (day, month, year, clock, zone) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))? as u64 + 1;
    let time = seconds(number(year)?, month, number(day)?, clock)?;
    match zone {
        "UTC" | "GMT" | "Z" => Some(time),
        _ => {
            let (sign, digits) = zone.split_at_checked(1)?;
            let offset = (digits.len() == 4).then(|| number(digits)).flatten()?;
            let offset = offset / 100 * 3600 + offset % 100 * 60;
            if sign == "+" { time.checked_sub(offset) } else { (sign == "-").then_some(time + offset) }
        }
    }
}

fn number(text: &str) -> Option<u64> {
    (text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn seconds(year: u64, month: u64, day: u64, clock: &str) -> Option<u64> {
    let mut parts = clock.split(':').map(number);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    let good = (1970..10_000).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !good || hour > 23 || minute > 59 || second > 60 || parts.next().is_some() {
        return None;
    }
    // The day whose date this is: there is none for the 31st of April.
    let near = (year - 1970) * 365 + (year - 1969) / 4 + (month - 1) * 30;
    let wanted = (year as i64, month, day);
    let days = (near.saturating_sub(32)..near + 64).find(|days| date(*days as i64) == wanted)?;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Year, month and day of a number of days since 1970, by the 400-year cycle of March-based years.
fn date(days: i64) -> (i64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted + 2) / 5 + 1) as u64;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month as u64, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        assert_eq!(parse("1136214245"), Ok(1_136_214_245));
        assert_eq!(parse("Mon, 02 Jan 2006 15:04:05 UTC"), Ok(1_136_214_245));
        assert_eq!(parse("Mon, 02 Jan 2006 15:04:05 -0700"), Ok(1_136_214_245 + 7 * 3600));
        assert_eq!(parse("2006-01-02T15:04:05Z"), Ok(1_136_214_245));
        assert_eq!(parse("2024-02-29"), Ok(1_709_164_800));
        assert_eq!(parse("1970-01-01"), Ok(0));
        assert_eq!(show(1_136_214_245), "2006-01-02 15:04:05 UTC");
        for bad in ["yesterday", "", "2023-02-29", "2006-13-01", "2006-01-02T25:00", "Mon, 02 Jan 2006", "-5"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shown_times_are_read_again() {
        for seconds in (0..20_000_000_000).step_by(86_400 * 13 + 7919) {
            assert_eq!(parse(show(seconds).trim_end_matches(" UTC")), Ok(seconds));
        }
    }

    #[test]
    fn durations() {
        let shown: Vec<_> = [45, 720, 7500, 90_000, 273_600].map(show_duration).into();
        assert_eq!(shown, ["45 s", "12 min", "2 h 5 min", "1 day 1 h", "3 days 4 h"]);
    }
}
