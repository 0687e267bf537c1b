//! How a story on the terminal looks: what is said, the commands one would type, and their answers with their times.

use std::io::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use crate::failure::Result;
use crate::ui;

/// Tells it on stdout.
pub(crate) struct Story {
    out: anstream::Stdout,
}

impl Default for Story {
    fn default() -> Self {
        Story { out: anstream::stdout() }
    }
}

impl Story {
    pub(crate) fn say(&mut self, text: &str) -> Result<()> {
        let bold = Style::new().bold();
        writeln!(self.out, "\n{bold}{text}{bold:#}")?;
        Ok(())
    }

    pub(crate) fn command(&mut self, text: &str) -> Result<()> {
        let prompt = Style::new().fg_color(Some(AnsiColor::Green.into()));
        let words = Style::new().fg_color(Some(AnsiColor::Cyan.into()));
        writeln!(self.out, "  {prompt}${prompt:#} {words}{text}{words:#}")?;
        Ok(())
    }

    pub(crate) fn answer(&mut self, text: &str, took: Option<Duration>) -> Result<()> {
        let dim = Style::new().dimmed();
        match took {
            Some(took) => writeln!(self.out, "    {text:<56} {dim}{:>8}{dim:#}", ui::took(took))?,
            None => writeln!(self.out, "    {text}")?,
        }
        Ok(())
    }

    pub(crate) fn plain(&mut self, text: &str) -> Result<()> {
        write!(self.out, "{text}")?;
        self.out.flush()?;
        Ok(())
    }
}
