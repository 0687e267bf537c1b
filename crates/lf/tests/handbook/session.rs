//! Terminals to run a page in: shells that share a home and a network of their own, in which every port is free.

use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// How long anything may take before something is wrong.
const PATIENCE: Duration = Duration::from_secs(120);

/// What all terminals of a page share. Everything that was started ends with it.
pub(crate) struct World {
    root: tempfile::TempDir,
    holder: Child,
}

impl World {
    /// A fresh home and a fresh network; `None` where this system does not let us make one.
    pub(crate) fn new(lf: &Path) -> Option<World> {
        let root = tempfile::Builder::new().prefix("lf-book-").tempdir().unwrap();
        for directory in ["home", "bin", "steps"] {
            std::fs::create_dir(root.path().join(directory)).unwrap();
        }
        std::os::unix::fs::symlink(lf, root.path().join("bin/lf")).unwrap();
        let mut holder = Command::new("unshare")
            .args(["-n", "sh", "-c", "ip link set lo up && echo up && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut up = [0; 3];
        if holder.stdout.as_mut()?.read_exact(&mut up).is_err() {
            let _ = holder.wait();
            return None;
        }
        Some(World { root, holder })
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// A shell in the home.
    pub(crate) fn terminal(&self) -> Terminal {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("nsenter")
            .arg(format!("--net=/proc/{}/ns/net", self.holder.id()))
            .args(["bash", "--norc", "--noprofile", "-s"])
            .env_clear()
            .env("PATH", format!("{}:{path}", self.root.path().join("bin").display()))
            .env("HOME", self.home())
            // Root's default is the system's own directory.
            .env("LF_PATH", self.home().join(".lf"))
            .envs([("USER", "you"), ("LANG", "C.UTF-8"), ("TERM", "dumb"), ("COLUMNS", "100")])
            .current_dir(self.home())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = shell.stdout.take().unwrap();
        let screen = Arc::new(Screen::default());
        let reader = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count) = output.read(&mut bytes) {
                reader.add(&bytes[..count], count == 0);
                if count == 0 {
                    return;
                }
            }
        });
        let mut terminal = Terminal {
            input: shell.stdin.take().unwrap(),
            shell,
            screen,
            steps: self.root.path().join("steps"),
            home: self.home().display().to_string(),
            number: 0,
        };
        // Ctrl-C is for what runs in the shell.
        terminal.input.write_all(b"exec 2>&1; trap : INT\n").unwrap();
        terminal
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// What a shell has printed, and whether it has ended.
#[derive(Default)]
struct Screen {
    text: Mutex<(Vec<u8>, bool)>,
    more: Condvar,
}

impl Screen {
    fn add(&self, bytes: &[u8], end: bool) {
        let mut text = self.text.lock().unwrap();
        text.0.extend_from_slice(bytes);
        text.1 |= end;
        self.more.notify_all();
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) printed: String,
    /// `None`: it is still running, and what it printed was as wanted.
    pub(crate) status: Option<i32>,
}

/// One shell.
pub(crate) struct Terminal {
    shell: Child,
    input: ChildStdin,
    screen: Arc<Screen>,
    steps: PathBuf,
    home: String,
    number: usize,
}

impl Terminal {
    /// Runs a command until it ends, or until what it printed is `enough`.
    pub(crate) fn run(&mut self, command: &str, enough: impl Fn(&str) -> bool) -> Result<Ended, String> {
        self.number += 1;
        let marker = format!("\u{1}end {} ", self.number);
        let file = self.steps.join(format!("{}-{}", self.shell.id(), self.number));
        std::fs::write(&file, format!("{command}\n")).unwrap();
        self.screen.text.lock().unwrap().0.clear();
        let line = format!(". {} </dev/null; printf '\\001end {} %s\\n' $?\n", file.display(), self.number);
        self.input.write_all(line.as_bytes()).map_err(|error| format!("the shell is gone: {error}"))?;
        let deadline = Instant::now() + PATIENCE;
        let mut text = self.screen.text.lock().unwrap();
        loop {
            // A page shows a home that is not this run's.
            let all = String::from_utf8_lossy(&text.0).replace(&self.home, "/home/you");
            if let Some((printed, rest)) = all.split_once(&marker)
                && let Some((status, _)) = rest.split_once('\n')
            {
                return Ok(Ended { printed: printed.to_owned(), status: status.trim().parse().ok() });
            }
            if enough(&all) {
                return Ok(Ended { printed: all, status: None });
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || text.1 {
                return Err(format!("it neither ended nor printed what it should:\n{all}"));
            }
            text = self.screen.more.wait_timeout(text, left).unwrap().0;
        }
    }

    /// Waits until what the running command has printed is `enough`.
    pub(crate) fn wait(&self, enough: impl Fn(&str) -> bool) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        let mut text = self.screen.text.lock().unwrap();
        loop {
            let all = String::from_utf8_lossy(&text.0).replace(&self.home, "/home/you");
            if enough(&all) {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || text.1 {
                return Err(format!("it did not print what it should:\n{all}"));
            }
            text = self.screen.more.wait_timeout(text, left).unwrap().0;
        }
    }

    /// Ctrl-C, and waits until the command has ended.
    pub(crate) fn interrupt(&mut self) -> Result<(), String> {
        self.signal(Signal::INT);
        let marker = format!("\u{1}end {} ", self.number);
        self.wait(|all| all.contains(&marker))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = i32::try_from(self.shell.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.shell.wait();
    }
}
