//! What ends a command early, and how the user is told.

use std::io;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use lf_client::{ClientError, ConfigError, SelectorArgError};

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error: one line, and perhaps what to do about it.
    Error {
        /// One line.
        message: String,
        /// One line.
        hint: Option<String>,
    },
    /// Whoever read our output has seen enough: nothing to complain about.
    BrokenPipe,
    /// Everything was said already.
    Said,
}

/// What commands return.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Failure::Error { message: message.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        match self {
            Failure::Error { message, .. } => Failure::Error { message, hint: Some(hint.into()) },
            other => other,
        }
    }

    /// Puts what was being done before the message.
    pub(crate) fn during(self, what: &str) -> Self {
        match self {
            Failure::Error { message, hint } => {
                Failure::Error { message: format!("{what}: {message}"), hint }
            }
            other => other,
        }
    }

    /// Tells the user, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        use std::io::Write as _;
        match self {
            Failure::BrokenPipe => return ExitCode::SUCCESS,
            Failure::Said => {}
            Failure::Error { message, hint } => {
                let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
                let dim = Style::new().dimmed();
                let mut err = anstream::stderr().lock();
                // There is nobody left to tell if this fails.
                let _ = writeln!(err, "{red}ERROR:{red:#} {message}");
                if let Some(hint) = hint {
                    let _ = writeln!(err, "{dim}hint: {hint}{dim:#}");
                }
            }
        }
        ExitCode::FAILURE
    }
}

/// Only for writing to stdout: other I/O says what it was about.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::new(format!("cannot write the output: {error}")),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Failure::Error { message: error.to_string(), hint: error.hint() }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let hint = matches!(error, ConfigError::Format { .. })
            .then(|| "repair the file, or move it away: lf makes a new one".to_owned());
        Failure::Error { message: error.to_string(), hint }
    }
}

impl From<SelectorArgError> for Failure {
    fn from(error: SelectorArgError) -> Self {
        Failure::new(error.to_string())
            .hint("write name, name#ORDINAL, name#FROM#TO or name# (see lf help get)")
    }
}
