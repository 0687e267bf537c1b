//! Asking the user, or whatever stands in for one on stdin.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use zeroize::Zeroizing;

use crate::failure::{Failure, Result};

/// Longer answers are refused.
const ANSWER_BYTES_MAX: u64 = 1 << 16;

/// Asks for a line; an empty one means the default, and so does the end of input.
pub(crate) fn ask(question: &str, default: &str) -> Result<String> {
    Ok(answer(question, default)?.unwrap_or_else(|| default.to_owned()))
}

/// As [`ask`]; none at the end of input.
fn answer(question: &str, default: &str) -> Result<Option<String>> {
    {
        let mut err = io::stderr().lock();
        let shown = if default.is_empty() { String::new() } else { format!(" [{default}]") };
        let _ = write!(err, "{question}{shown}: ");
        let _ = err.flush();
    }
    let mut line = String::new();
    let count = io::stdin()
        .lock()
        .take(ANSWER_BYTES_MAX)
        .read_line(&mut line)
        .map_err(|e| Failure::new(format!("cannot read the answer: {e}")))?;
    if !io::stdin().is_terminal() {
        let _ = writeln!(io::stderr().lock());
    }
    let answer = line.trim();
    let answer = if answer.is_empty() { default } else { answer };
    Ok((count > 0).then(|| answer.to_owned()))
}

/// Asks for a yes; anything else is a no. Where nobody can be asked, it was said with the command.
pub(crate) fn confirm(question: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(true);
    }
    Ok(ask(&format!("{question} [y/N]"), "")?.to_lowercase().starts_with('y'))
}

/// Asks until the answer is good. Gives up at the end of input.
pub(crate) fn ask_until<T>(
    question: &str,
    default: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T> {
    const TRIES_MAX: usize = 20;
    for _ in 0..TRIES_MAX {
        let answer = answer(question, default)?;
        let ended = answer.is_none();
        match parse(answer.as_deref().unwrap_or(default)) {
            Ok(answer) => return Ok(answer),
            Err(_) if ended => break,
            Err(problem) => crate::ui::note(&format!("  {problem}")),
        }
    }
    Err(Failure::new(format!("no usable answer to {question:?}")))
}

/// From now on Ctrl-C raises this flag instead of ending the process; a second one ends it.
pub(crate) fn on_interrupt() -> Result<&'static AtomicBool> {
    static INTERRUPTED: AtomicBool = AtomicBool::new(false);
    const EXIT_CODE: i32 = 130;
    let failed = |e: io::Error| Failure::new(format!("cannot wait for Ctrl-C: {e}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let wait = move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            INTERRUPTED.store(true, Relaxed);
            let _ = runtime.block_on(tokio::signal::ctrl_c());
            std::process::exit(EXIT_CODE);
        }
    };
    std::thread::Builder::new().name("lf-interrupt".to_owned()).spawn(wait).map_err(failed)?;
    Ok(&INTERRUPTED)
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
