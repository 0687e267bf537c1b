//! Asking the user, or whatever stands in for one on stdin.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use zeroize::Zeroizing;

use crate::failure::{Failure, Result};

/// Longer answers are refused.
const ANSWER_BYTES_MAX: u64 = 1 << 16;

/// Asks for a line; an empty one means the default.
pub(crate) fn ask(question: &str, default: &str) -> Result<String> {
    {
        let mut err = io::stderr().lock();
        let shown = if default.is_empty() { String::new() } else { format!(" [{default}]") };
        let _ = write!(err, "{question}{shown}: ");
        let _ = err.flush();
    }
    let mut line = String::new();
    io::stdin()
        .lock()
        .take(ANSWER_BYTES_MAX)
        .read_line(&mut line)
        .map_err(|e| Failure::new(format!("cannot read the answer: {e}")))?;
    if !io::stdin().is_terminal() {
        let _ = writeln!(io::stderr().lock());
    }
    let answer = line.trim();
    Ok(if answer.is_empty() { default.to_owned() } else { answer.to_owned() })
}

/// Asks until the answer is good. Gives up at the end of input.
pub(crate) fn ask_until<T>(
    question: &str,
    default: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T> {
    const TRIES_MAX: usize = 20;
    for _ in 0..TRIES_MAX {
        match parse(&ask(question, default)?) {
            Ok(answer) => return Ok(answer),
            Err(problem) => crate::ui::note(&format!("  {problem}")),
        }
    }
    Err(Failure::new(format!("no usable answer to {question:?}")))
}

/// A passphrase: from the environment, typed without echo, or a line of stdin. White space around it does not count.
pub(crate) fn passphrase(twice: bool) -> Result<Zeroizing<String>> {
    let error = |e: io::Error| Failure::new(format!("cannot read the passphrase: {e}"));
    let given = match std::env::var("LF_PASSPHRASE") {
        Ok(passphrase) => Zeroizing::new(passphrase),
        Err(_) if io::stdin().is_terminal() => {
            let first = Zeroizing::new(rpassword::prompt_password("Passphrase: ").map_err(error)?);
            if twice {
                let second = Zeroizing::new(rpassword::prompt_password("Again: ").map_err(error)?);
                if first != second {
                    return Err(Failure::new("the passphrases differ"));
                }
            }
            first
        }
        Err(_) => {
            let mut line = Zeroizing::new(String::new());
            io::stdin().lock().take(ANSWER_BYTES_MAX).read_line(&mut line).map_err(error)?;
            line
        }
    };
    let trimmed = Zeroizing::new(given.trim().to_owned());
    if trimmed.is_empty() {
        return Err(Failure::new("the passphrase is empty"));
    }
    Ok(trimmed)
}

/// A file's contents, or stdin's for `-`, up to a size.
pub(crate) fn read_input(path: &std::path::Path, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>> {
    let error = |e: io::Error| Failure::new(format!("cannot read {}: {e}", path.display()));
    let mut bytes = Zeroizing::new(Vec::new());
    if path.as_os_str() == "-" {
        io::stdin().lock().take(bytes_max + 1).read_to_end(&mut bytes).map_err(error)?;
    } else {
        let file = std::fs::File::open(path).map_err(error)?;
        file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(error)?;
    }
    if bytes.len() as u64 > bytes_max {
        return Err(Failure::new(format!("{} is larger than {bytes_max} bytes", path.display())));
    }
    Ok(bytes)
}
