//! The words of zone files (RFC 1035 §5.1): quotes, escapes, comments and parentheses. Stored values are written the same way.

/// A line of words, where parentheses may have joined several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it begins, counted from 1.
    pub number: usize,
    /// Whether it begins with white space: in a zone file the name is the last one's then.
    pub indented: bool,
    /// Its words, at least one.
    pub words: Vec<Word>,
}

/// A word, without its quotes and escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether it was written in quotes: then it stands for itself only.
    pub quoted: bool,
}

impl Word {
    /// The word as text, if it is ASCII.
    pub fn text(&self) -> Option<&str> {
        if self.bytes.is_ascii() { std::str::from_utf8(&self.bytes).ok() } else { None }
    }
}

/// Why a text cannot be split into words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct TextError {
    line: usize,
    problem: &'static str,
}

/// Splits a text into lines of words. Lines without words are left out.
///
/// # Errors
/// Quotes or parentheses that do not close, escapes that are none, control characters.
pub fn lines(text: &str) -> Result<Vec<Line>, TextError> {
    let mut out = Vec::new();
    let mut line = Line { number: 1, indented: false, words: vec![] };
    let (mut number, mut depth, mut at_start) = (1, 0_u32, true);
    let mut bytes = text.bytes().peekable();
    while let Some(&byte) = bytes.peek() {
        let error = |problem| TextError { line: number, problem };
        match byte {
            b'\n' => {
                bytes.next();
                number += 1;
                if depth == 0 {
                    let empty = Line { number, indented: false, words: vec![] };
                    out.push(std::mem::replace(&mut line, empty));
                    at_start = true;
                    continue;
                }
            }
            b' ' | b'\t' | b'\r' => {
                line.indented |= at_start;
                bytes.next();
            }
            b';' => while bytes.next_if(|b| *b != b'\n').is_some() {},
            b'(' => {
                depth += 1;
                bytes.next();
            }
            b')' => {
                depth = depth.checked_sub(1).ok_or_else(|| error("a ) without a ("))?;
                bytes.next();
            }
            _ => line.words.push(word(&mut bytes).map_err(error)?),
        }
        at_start = false;
    }
    if depth > 0 {
        return Err(TextError { line: line.number, problem: "a ( without a )" });
    }
    out.push(line);
    out.retain(|line| !line.words.is_empty());
    Ok(out)
}

/// Reads a word. A quote at its beginning is where it ends, too; one within it (`alpn="h2,h3"`) only keeps it together.
fn word(bytes: &mut std::iter::Peekable<impl Iterator<Item = u8>>) -> Result<Word, &'static str> {
    let mut word = Word { bytes: vec![], quoted: bytes.next_if_eq(&b'"').is_some() };
    let mut in_quotes = word.quoted;
    while let Some(&byte) = bytes.peek() {
        match byte {
            b'"' => {
                bytes.next();
                in_quotes = !in_quotes;
                if word.quoted {
                    return Ok(word);
                }
            }
            b'\\' => {
                bytes.next();
                word.bytes.push(escape(bytes)?);
            }
            b'\n' if in_quotes => return Err("a quote that does not end on its line"),
            b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' if !in_quotes => return Ok(word),
            byte if byte.is_ascii_control() => return Err("a control character; write it as \\DDD"),
            byte => {
                bytes.next();
                word.bytes.push(byte);
            }
        }
    }
    if in_quotes { Err("a quote that does not end") } else { Ok(word) }
}

/// `\DDD` is a byte in decimal, `\X` is X.
fn escape(bytes: &mut impl Iterator<Item = u8>) -> Result<u8, &'static str> {
    const PROBLEM: &str = "a \\ needs a character, or three digits up to 255, behind it";
    let first = bytes.next().ok_or(PROBLEM)?;
    if !first.is_ascii_digit() {
        return if first.is_ascii_control() { Err(PROBLEM) } else { Ok(first) };
    }
    let mut value = u32::from(first - b'0');
    for _ in 0..2 {
        let digit = bytes.next().filter(u8::is_ascii_digit).ok_or(PROBLEM)?;
        value = 10 * value + u32::from(digit - b'0');
    }
    u8::try_from(value).map_err(|_| PROBLEM)
}

/// A word in quotes, so that it is read as these bytes again.
pub fn quoted(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\{byte:03}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        let lines = lines(text).unwrap();
        let words = lines.iter().flat_map(|line| &line.words);
        words.map(|word| String::from_utf8(word.bytes.clone()).unwrap()).collect()
    }

    #[test]
    fn words_as_in_zone_files() {
        assert_eq!(words("a  b\tc ; comment"), ["a", "b", "c"]);
        assert_eq!(words(r#""a b" "c;d""e" alpn="h2,h3"x"#), ["a b", "c;d", "e", "alpn=h2,h3x"]);
        assert_eq!(words(r#"\"a\032b "\\\200""#.replace("200", "065").as_str()), ["\"a b", "\\A"]);
        let soa = lines("@ SOA ( 1 ; serial\n 2 )\n\n  x y").unwrap();
        assert_eq!((soa.len(), soa[0].words.len(), soa[0].number), (2, 4, 1));
        assert_eq!((soa[1].number, soa[1].indented, soa[0].indented), (4, true, false));
    }

    #[test]
    fn what_is_no_text() {
        for bad in ["\"a", "\"a\nb\"", "(a", "a)", "a\\", "\\25", "\\256", "\\2x5", "a\u{1}b", "\"\0\""] {
            assert!(lines(bad).is_err(), "{bad:?}");
        }
        assert_eq!(lines("a\nb )").unwrap_err().to_string(), "line 2: a ) without a (");
    }

    proptest! {
        #[test]
        fn quoted_words_are_read_again(bytes: Vec<u8>) {
            let lines = lines(&quoted(&bytes)).unwrap();
            prop_assert_eq!(&lines[0].words, &[Word { bytes, quoted: true }]);
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = lines(&text);
        }
    }
}
