//! Linux, macOS and other Unix systems. What only Linux tells is `None`, or does nothing, on the others.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

mod slices;
pub use slices::short_slices;

/// New files that are opened with these options only their user can read and write.
pub fn private_file(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

/// Makes directories that only their user can look into.
pub fn private_directory() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// Whether nobody but its user (and the administrator) can read or write what is there.
///
/// # Errors
/// It cannot be looked at.
pub fn is_private(path: &Path) -> io::Result<bool> {
    Ok(std::fs::metadata(path)?.mode() & 0o077 == 0)
}

/// Whether every user of the machine can read it.
pub fn everybody_can_read(metadata: &Metadata) -> bool {
    metadata.mode() & 0o004 != 0
}

/// Makes what happened to the names in a directory durable.
///
/// # Errors
/// What the system says.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Waits until no other process has the directory locked, and locks it while the result lives. The directory itself is the
/// lock, so that no further file lies around.
///
/// # Errors
/// What the system says.
pub fn lock_directory(path: &Path) -> io::Result<File> {
    let directory = File::open(path)?;
    directory.lock()?;
    Ok(directory)
}

/// Bytes that this user may still write to the disk that `path` is on.
///
/// # Errors
/// The system does not tell.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Reads at an offset: as many bytes as come at once, 0 at the end.
///
/// # Errors
/// What the system says.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}

/// Writes all bytes at an offset.
///
/// # Errors
/// What the system says. Any part may have been written.
pub fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// Which file it is, whatever its name: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId(u64, u64);

/// Which file is open.
///
/// # Errors
/// What the system says.
pub fn file_id(file: &File) -> io::Result<FileId> {
    let metadata = file.metadata()?;
    Ok(FileId(metadata.dev(), metadata.ino()))
}

/// What tells that a path has another file, or the file other content: device, inode, size, time of change in seconds and
/// nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(u64, u64, u64, i64, i64);

/// The stamp of what is there; `None` if nothing is.
pub fn stamp(path: &Path) -> Option<Stamp> {
    let m = std::fs::metadata(path).ok()?;
    Some(Stamp(m.dev(), m.ino(), m.size(), m.mtime(), m.mtime_nsec()))
}

/// Whether this process is the administrator's.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Where a program's files are kept if nobody says: `.NAME` in the user's home, `/var/lib/NAME` for root.
pub fn default_home(name: &str) -> Option<PathBuf> {
    if is_root() {
        return Some(Path::new("/var/lib").join(name));
    }
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    home.map(|home| home.join(format!(".{name}")))
}

/// Lowers this thread's priority by so many steps of niceness below the one the program was started with, where that is
/// a thing of threads; 19 is the least there is. Threads it starts from now on have the same.
pub fn lower_priority(steps: i32) {
    // A system that refuses it has its reasons, and all works without.
    #[cfg(target_os = "linux")]
    if let Ok(started_with) = rustix::process::getpriority_process(Some(rustix::process::getpid())) {
        let niceness = started_with.saturating_add(steps).min(crate::NICENESS_LEAST);
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), niceness);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = steps;
}

/// Starts the command in a process group of its own, so that Ctrl-C at the terminal is not for it.
pub fn own_group(command: &mut Command) -> &mut Command {
    command.process_group(0)
}

/// Stops this process as SIGTERM from outside does.
pub fn terminate() {
    use rustix::process::{Signal, getpid, kill_process};
    let _ = kill_process(getpid(), Signal::TERM);
}

/// Whether an address was refused because the machine has no IPv6.
pub fn is_no_ipv6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

/// Tells the service manager a state, as `READY=1` (systemd's `Type=notify`), if one listens.
///
/// # Errors
/// It listens, and cannot be told.
pub fn notify(state: &str) -> io::Result<()> {
    match std::env::var_os("NOTIFY_SOCKET") {
        Some(name) => send(name.as_bytes(), state),
        None => Ok(()),
    }
}

fn send(name: &[u8], state: &str) -> io::Result<()> {
    let address = match name.strip_prefix(b"@") {
        Some(name) => abstract_address(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &[u8]) -> io::Result<SocketAddr> {
    <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_name: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Bytes of memory that programs could have now, as Linux reckons.
pub fn memory_free_bytes() -> Option<u64> {
    kib_of("/proc/meminfo", "MemAvailable:")
}

/// Bytes of this process's own memory that is resident, files it has mapped not included. Only Linux tells.
pub fn resident_bytes() -> Option<u64> {
    kib_of("/proc/self/status", "RssAnon:")
}

fn kib_of(path: &str, label: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Processor time of this process so far, in user and system mode. Only Linux tells.
pub fn processor_time() -> Option<Duration> {
    // In ticks of 10 ms: the 12th and 13th field after the name, which is in parentheses.
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields = stat.rsplit(')').next()?.split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(10 * ticks))
}

/// Signals that ask this process to end. While one of these lives they do nothing else.
#[cfg(feature = "signals")]
#[derive(Debug)]
pub struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(feature = "signals")]
impl Signals {
    /// Inside a tokio runtime.
    ///
    /// # Errors
    /// The system does not let signals be handled.
    pub fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one; gives its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// SIGHUP, which asks a server to look at its files again, and tells a program that its terminal is gone. While one of
/// these lives it does nothing else.
#[cfg(feature = "signals")]
#[derive(Debug)]
pub struct Hangups(tokio::signal::unix::Signal);

#[cfg(feature = "signals")]
impl Hangups {
    /// Inside a tokio runtime.
    ///
    /// # Errors
    /// The system does not let signals be handled.
    pub fn new() -> io::Result<Self> {
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).map(Hangups)
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        let _ = self.0.recv().await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_threads_priority_is_lowered_from_the_programs_and_its_threads_have_it_too() {
        let of = |pid| rustix::process::getpriority_process(Some(pid)).unwrap();
        let program = of(rustix::process::getpid());
        let lowered = |steps: i32| (program + steps).min(crate::NICENESS_LEAST);
        let own = move || of(rustix::thread::gettid());
        let thread = std::thread::spawn(move || {
            lower_priority(3);
            let first = own();
            lower_priority(5);
            let child = std::thread::spawn(move || {
                let inherited = own();
                lower_priority(40);
                (inherited, own())
            });
            (first, own(), child.join().unwrap())
        });
        let (first, second, (inherited, least)) = thread.join().unwrap();
        assert_eq!([first, second, inherited], [lowered(3), lowered(5), lowered(5)]);
        assert_eq!((least, own()), (crate::NICENESS_LEAST, program));
    }

    #[test]
    fn states_reach_both_kinds_of_sockets() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let there = UnixDatagram::bind(&path).unwrap();
        let mut sockets = vec![(path.as_os_str().as_bytes().to_vec(), there)];
        if cfg!(target_os = "linux") {
            let name = format!("lf-notify-{}", std::process::id());
            let there = UnixDatagram::bind_addr(&abstract_address(name.as_bytes()).unwrap()).unwrap();
            sockets.push((format!("@{name}").into_bytes(), there));
        }
        for (name, socket) in sockets {
            send(&name, "READY=1").unwrap();
            let mut text = [0; 16];
            let length = socket.recv(&mut text).unwrap();
            assert_eq!(&text[..length], b"READY=1");
        }
        assert!(send(directory.path().join("nobody").as_os_str().as_bytes(), "READY=1").is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_tells_memory_and_time() {
        assert!(memory_free_bytes().unwrap() > 0 && resident_bytes().unwrap() > 0);
        assert!(processor_time().is_some());
    }
}
