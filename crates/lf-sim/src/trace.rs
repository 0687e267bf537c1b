//! What happened, in order, as one number: two runs of a seed are the same if their numbers are.

use std::hash::{DefaultHasher, Hasher};

/// A running digest of all events and actions of a simulation; prints them, too, if asked to.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hasher: DefaultHasher,
    events: u64,
    /// Whether to print each event to stderr.
    verbose: bool,
}

impl Trace {
    pub(crate) fn new(verbose: bool) -> Trace {
        Trace { verbose, ..Trace::default() }
    }

    /// Takes an event down: when, what, and the numbers that tell it from others.
    pub(crate) fn note(&mut self, at_us: u64, what: &'static str, numbers: &[u64]) {
        if self.verbose {
            eprintln!("{:>12.6} {what} {numbers:?}", at_us as f64 / 1e6);
        }
        self.events += 1;
        self.hasher.write_u64(at_us);
        self.hasher.write(what.as_bytes());
        for number in numbers {
            self.hasher.write_u64(*number);
        }
    }

    /// The digest of everything so far.
    pub(crate) fn digest(&self) -> u64 {
        self.hasher.finish()
    }

    /// How many events there were.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }
}

/// A number that stands for some bytes.
pub(crate) fn number_of(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
