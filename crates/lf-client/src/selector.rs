//! Selectors as people write them: `name`, `name#ord`, `name#from#to`, `name#` (API.md §2).

use std::fmt;
use std::str::FromStr;

/// The ordinals a selector argument stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordinals {
    /// Exactly one; 0 if none was written.
    One(u64),
    /// From the first to the last, both included.
    Range(u64, u64),
    /// Every one.
    All,
}

/// A name and the ordinals meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectorArg {
    /// The plain name.
    pub name: Vec<u8>,
    /// Its ordinals.
    pub ordinals: Ordinals,
}

/// Why a text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectorArgError {
    /// A backslash with something JSON does not know behind it.
    #[error("selector {text:?}: {escape:?} is no escape of a JSON string")]
    Escape {
        /// The whole text.
        text: String,
        /// The escape.
        escape: String,
    },
    /// An ordinal that is no decimal number below 2⁶⁴.
    #[error("selector {text:?}: ordinal {ordinal:?} is not a number from 0 to 18446744073709551615")]
    Ordinal {
        /// The whole text.
        text: String,
        /// What stands for the ordinal.
        ordinal: String,
    },
    /// More than two ordinals.
    #[error("selector {0:?} has more than two ordinals")]
    TooMany(String),
    /// A range that ends before it begins.
    #[error("selector {0:?}: the range ends before it begins")]
    Reversed(String),
}

impl SelectorArg {
    /// A name with one ordinal.
    pub fn one(name: impl Into<Vec<u8>>, ordinal: u64) -> Self {
        SelectorArg { name: name.into(), ordinals: Ordinals::One(ordinal) }
    }

    /// The ordinal, if it is just one.
    pub fn ordinal(&self) -> Option<u64> {
        match self.ordinals {
            Ordinals::One(ordinal) => Some(ordinal),
            Ordinals::Range(from, to) if from == to => Some(from),
            Ordinals::Range(..) | Ordinals::All => None,
        }
    }

    /// How the name is written in a selector argument, so that it is read as this name again. Two kinds of names
    /// cannot be written so: with bytes that are not UTF-8 (they show as U+FFFD), and with a backslash at the end
    /// where an ordinal follows.
    pub fn escape_name(name: &[u8]) -> String {
        let mut text = String::with_capacity(name.len());
        for c in String::from_utf8_lossy(name).chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '#' => text.push_str("\\\\#"),
                c if c.is_control() => text.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => text.push(c),
            }
        }
        text
    }
}

impl fmt::Display for SelectorArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::escape_name(&self.name);
        match self.ordinals {
            Ordinals::One(ordinal) => write!(f, "{name}#{ordinal}"),
            Ordinals::Range(from, to) => write!(f, "{name}#{from}#{to}"),
            Ordinals::All => write!(f, "{name}#"),
        }
    }
}

impl FromStr for SelectorArg {
    type Err = SelectorArgError;

    fn from_str(text: &str) -> Result<Self, SelectorArgError> {
        let unescaped = unescape(text)?;
        let parts = split(&unescaped);
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            digits
                .then(|| part.parse().ok())
                .flatten()
                .ok_or_else(|| SelectorArgError::Ordinal { text: text.to_owned(), ordinal: part.to_owned() })
        };
        let ordinals = match &parts[1..] {
            [] => Ordinals::One(0),
            [empty] if empty.is_empty() => Ordinals::All,
            [one] => Ordinals::One(number(one)?),
            [from, to] => match (number(from)?, number(to)?) {
                (from, to) if from > to => return Err(SelectorArgError::Reversed(text.to_owned())),
                (from, to) => Ordinals::Range(from, to),
            },
            _ => return Err(SelectorArgError::TooMany(text.to_owned())),
        };
        Ok(SelectorArg { name: parts[0].as_bytes().to_vec(), ordinals })
    }
}

/// Splits at every `#` without a backslash before it. `\#` is a literal `#`; other backslashes stand for themselves.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        match (c, next, parts.last_mut()) {
            ('\\', Some('#'), Some(part)) => {
                part.push('#');
                chars.next();
            }
            ('#', _, _) => parts.push(String::new()),
            (_, _, Some(part)) => part.push(c),
            (_, _, None) => {}
        }
    }
    parts
}

/// Undoes the escapes of a JSON string. What JSON would demand to be escaped (quotes, control characters) may stand
/// for itself, and `\#` may be written without doubling its backslash.
fn unescape(text: &str) -> Result<String, SelectorArgError> {
    let error = |escape: &str| SelectorArgError::Escape { text: text.to_owned(), escape: escape.to_owned() };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at..];
        let kind = escape[1..].chars().next().ok_or_else(|| error(escape))?;
        let mut used = 1 + kind.len_utf8();
        match kind {
            '"' | '\\' | '/' => out.push(kind),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            '#' => out.push_str("\\#"),
            'u' => {
                let unit = |s: &str| {
                    let hex = s.strip_prefix("\\u")?.get(..4)?;
                    hex.bytes()
                        .all(|b| b.is_ascii_hexdigit())
                        .then(|| u16::from_str_radix(hex, 16).ok())
                        .flatten()
                };
                let shown = |n: usize| error(&escape.chars().take(n).collect::<String>());
                let first = unit(escape).ok_or_else(|| shown(6))?;
                used = 6;
                let mut units = vec![first];
                if (0xd800..0xdc00).contains(&first) {
                    units.push(escape.get(6..).and_then(unit).ok_or_else(|| shown(6))?);
                    used = 12;
                }
                out.push_str(&String::from_utf16(&units).map_err(|_| shown(used))?);
            }
            _ => return Err(error(&escape[..used])),
        }
        rest = &escape[used..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> (String, Ordinals) {
        let arg: SelectorArg = text.parse().unwrap();
        (String::from_utf8(arg.name).unwrap(), arg.ordinals)
    }

    #[test]
    fn forms() {
        assert_eq!(parse("horse"), ("horse".into(), Ordinals::One(0)));
        assert_eq!(parse("horse#7"), ("horse".into(), Ordinals::One(7)));
        assert_eq!(parse("horse#2#400"), ("horse".into(), Ordinals::Range(2, 400)));
        assert_eq!(parse("horse#"), ("horse".into(), Ordinals::All));
        assert_eq!(parse("#3"), (String::new(), Ordinals::One(3)));
        assert_eq!(parse("x#18446744073709551615").1, Ordinals::One(u64::MAX));
    }

    #[test]
    fn escapes() {
        assert_eq!(parse(r"tab\there\u00e9").0, "tab\thereé");
        assert_eq!(parse(r"\ud83d\ude00#1"), ("😀".into(), Ordinals::One(1)));
        // The reference's way and the shorter one.
        assert_eq!(parse(r"a\\#b#3"), ("a#b".into(), Ordinals::One(3)));
        assert_eq!(parse(r"a\#b#3"), ("a#b".into(), Ordinals::One(3)));
        assert_eq!(parse(r#"say "hi""#).0, r#"say "hi""#);
        assert_eq!(parse(r"C:\\dir").0, r"C:\dir");
    }

    #[test]
    fn errors_name_the_trouble() {
        let error = |text: &str| text.parse::<SelectorArg>().unwrap_err().to_string();
        assert_eq!(error(r"bad\q"), r#"selector "bad\\q": "\\q" is no escape of a JSON string"#);
        assert!(error("nan#abc").contains("\"abc\" is not a number"));
        assert!(error("x#18446744073709551616").contains("not a number"));
        assert!(error("x#+1").contains("not a number"));
        assert!(error("x# 1").contains("not a number"));
        assert!(error("x#1#").contains("not a number"));
        assert!(error("x##1").contains("not a number"));
        assert!(error("x#1#2#3").contains("more than two"));
        assert!(error("x#2#1").contains("before it begins"));
        for cut in ["\\", r"\u12", r"\ud83d", r"\ud83dx", r"\ud83d\u0041", r"\udc00", r"\u+123", r"\é"] {
            assert!(cut.parse::<SelectorArg>().is_err(), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(name: String, ordinal: u64) {
            prop_assume!(!name.ends_with('\\'));
            let arg = SelectorArg::one(name, ordinal);
            prop_assert_eq!(arg.to_string().parse::<SelectorArg>().unwrap(), arg);
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<SelectorArg>();
        }
    }
}
