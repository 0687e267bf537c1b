//! Runs the real binary, and a real node with it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

pub const LF: &str = env!("CARGO_BIN_EXE_lf");

/// A directory for one test's files, with a client.json in it if anything is written.
pub struct Home {
    pub dir: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Self {
        Home { dir: tempfile::Builder::new().prefix("lf-test-").tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn command(&self) -> Command {
        command(self.path())
    }

    pub fn lf<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        Ran::of(self.command().args(args))
    }

    /// Runs a command line with words separated by spaces.
    pub fn run(&self, line: &str) -> Ran {
        self.lf(line.split(' '))
    }

    pub fn lf_with_input<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>, input: &[u8]) -> Ran {
        let mut command = self.command();
        let command = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // Who fails early reads nothing: that shows in what it prints.
        let _ = stdin.write_all(input);
        drop(stdin);
        Ran::from(child.wait_with_output().unwrap())
    }
}

/// The binary with this home, and nothing of this machine's settings.
pub fn command(home: &Path) -> Command {
    let mut command = Command::new(LF);
    for name in ["LF_URL", "LF_MASK", "LF_PASSPHRASE", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command
        .env("LF_PATH", home)
        .env("USER", "tester")
        .env("COLUMNS", "100")
        .current_dir(home)
        .stdin(Stdio::null());
    command
}

/// What a run printed.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub bytes: Vec<u8>,
}

impl Ran {
    pub fn of(command: &mut Command) -> Self {
        Ran::from(command.output().unwrap())
    }

    /// The output of a run that must succeed.
    #[track_caller]
    pub fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// The error of a run that must fail: one line, perhaps with a hint behind it.
    #[track_caller]
    pub fn error(self) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (Some(1), ""), "{self:?}");
        assert!(self.stderr.contains("ERROR: "), "{self:?}");
        self.stderr
    }

    #[track_caller]
    pub fn usage_error(self) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (Some(2), ""), "{self:?}");
        self.stderr
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            bytes: output.stdout,
        }
    }
}

/// A node in local test mode, run by the binary. Its client.json is the one that commands use.
pub struct Node {
    child: Child,
    pub url: String,
    pub home: Home,
    base: PathBuf,
}

impl Node {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    pub fn start_with(args: &[&str]) -> Self {
        let base = tempfile::Builder::new().prefix("lf-node-").tempdir().unwrap();
        Self::start_in(base.keep(), args)
    }

    /// In a directory that is there already, and removed afterwards.
    pub fn start_in(base: PathBuf, args: &[&str]) -> Self {
        Self::start_any(base, &[&["-localtest"], args].concat())
    }

    /// As [`Node::start_in`], in whatever mode the arguments say.
    pub fn start_any(base: PathBuf, args: &[&str]) -> Self {
        let mut command = command(&base);
        command.args(["node-start", "-http", "127.0.0.1:0"]).args(args);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
        let url = url.trim_end_matches(',').to_owned();
        let home = Home::new();
        home.lf(["url", "default", &url]).good();
        Node { child, url, home, base }
    }

    /// Runs a command line with words separated by spaces.
    pub fn run(&self, line: &str) -> Ran {
        self.home.run(line)
    }

    /// Runs a command line of any words.
    pub fn lf<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        self.home.lf(args)
    }

    /// Kills the node as a crash would; its files stay until this is dropped.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Kills the node and gives its directory, which stays.
    pub fn into_base(mut self) -> PathBuf {
        self.kill();
        std::mem::take(&mut self.base)
    }

    /// The home that the node was given.
    pub fn base(&self) -> &Path {
        &self.base
    }

    pub fn directory(&self) -> PathBuf {
        self.base.join("localtest")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !self.base.as_os_str().is_empty() {
            let _ = std::fs::remove_dir_all(&self.base);
        }
    }
}
