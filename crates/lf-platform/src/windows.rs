//! Windows. Files in a user's profile are that user's by what they inherit from it (its access control list), so there is
//! nothing to say for each file: whoever puts a home elsewhere must see to it that only its user can read it. Names in a
//! directory are as durable as NTFS makes them: it journals them, and a directory cannot be synced.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::{FileExt as _, MetadataExt as _};
use std::os::windows::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// New files that are opened with these options only their user can read and write.
pub fn private_file(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Makes directories that only their user can look into.
pub fn private_directory() -> DirBuilder {
    DirBuilder::new()
}

/// Whether nobody but its user (and the administrator) can read or write what is there: what it inherits is not looked at.
///
/// # Errors
/// It cannot be looked at.
pub fn is_private(path: &Path) -> io::Result<bool> {
    std::fs::metadata(path).map(|_| true)
}

/// Whether every user of the machine can read it: not known here.
pub fn everybody_can_read(_metadata: &Metadata) -> bool {
    false
}

/// Makes what happened to the names in a directory durable: the file system does that by itself.
///
/// # Errors
/// None.
pub fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Waits until no other process has the directory locked, and locks it while the result lives. A directory cannot be locked
/// here: a file `.lock` in it is.
///
/// # Errors
/// What the system says.
pub fn lock_directory(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path.join(".lock"))?;
    file.lock()?;
    Ok(file)
}

/// Bytes that this user may still write to the disk that `path` is on.
///
/// # Errors
/// The system does not tell.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    fs4::available_space(path)
}

/// Reads at an offset: as many bytes as come at once, 0 at the end. Moves the file's own position.
///
/// # Errors
/// What the system says.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buffer, offset)
}

/// Writes all bytes at an offset. Moves the file's own position.
///
/// # Errors
/// What the system says. Any part may have been written.
pub fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.seek_write(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                bytes = bytes.get(n..).unwrap_or_default();
                offset = offset.saturating_add(n as u64);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Which file it is, whatever its name.
#[derive(Debug, PartialEq, Eq)]
pub struct FileId(same_file::Handle);

/// Which file is open.
///
/// # Errors
/// What the system says.
pub fn file_id(file: &File) -> io::Result<FileId> {
    same_file::Handle::from_file(file.try_clone()?).map(FileId)
}

/// What tells that a path has another file, or the file other content: when it was made, size, time of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(u64, u64, u64);

/// The stamp of what is there; `None` if nothing is.
pub fn stamp(path: &Path) -> Option<Stamp> {
    let m = std::fs::metadata(path).ok()?;
    Some(Stamp(m.creation_time(), m.file_size(), m.last_write_time()))
}

/// Whether this process is the administrator's: here nobody's home depends on it.
pub fn is_root() -> bool {
    false
}

/// Where a program's files are kept if nobody says: `.NAME` in the user's profile.
pub fn default_home(name: &str) -> Option<PathBuf> {
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    home.map(|home| home.join(format!(".{name}")))
}

/// Asks the system to give this thread a core soon after it is woken: not without unsafe code here, and all works without.
pub fn short_slices() {}

/// Lowers this thread's priority: not without unsafe code here, and all works without.
pub fn lower_priority(_steps: i32) {}

/// Starts the command in a process group of its own, so that Ctrl-C at the console is not for it.
pub fn own_group(command: &mut Command) -> &mut Command {
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
    command.creation_flags(CREATE_NEW_PROCESS_GROUP)
}

/// Told by [`terminate`]: a process cannot send itself what a service manager would.
#[cfg(feature = "signals")]
static TERMINATE: tokio::sync::Notify = tokio::sync::Notify::const_new();

/// Stops this process as its [`Signals`] from outside do.
pub fn terminate() {
    #[cfg(feature = "signals")]
    TERMINATE.notify_one();
    #[cfg(not(feature = "signals"))]
    std::process::exit(1);
}

/// Whether an address was refused because the machine has no IPv6.
pub fn is_no_ipv6(error: &io::Error) -> bool {
    const WSAEAFNOSUPPORT: i32 = 10047;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(WSAEAFNOSUPPORT)
}

/// Tells the service manager a state: there is none that asks.
///
/// # Errors
/// None.
pub fn notify(_state: &str) -> io::Result<()> {
    Ok(())
}

/// Bytes of memory that programs could have now: not known here.
pub fn memory_free_bytes() -> Option<u64> {
    None
}

/// Bytes of this process's own memory that is resident: not known here.
pub fn resident_bytes() -> Option<u64> {
    None
}

/// Processor time of this process so far: not known here.
pub fn processor_time() -> Option<Duration> {
    None
}

/// What asks this process to end: Ctrl-C, Ctrl-Break, a closed console, the system's shutdown, [`terminate`].
#[cfg(feature = "signals")]
#[derive(Debug)]
pub struct Signals {
    ctrl_c: tokio::signal::windows::CtrlC,
    ctrl_break: tokio::signal::windows::CtrlBreak,
    close: tokio::signal::windows::CtrlClose,
    shutdown: tokio::signal::windows::CtrlShutdown,
}

#[cfg(feature = "signals")]
impl Signals {
    /// Inside a tokio runtime.
    ///
    /// # Errors
    /// The system does not let signals be handled.
    pub fn new() -> io::Result<Self> {
        use tokio::signal::windows;
        Ok(Signals {
            ctrl_c: windows::ctrl_c()?,
            ctrl_break: windows::ctrl_break()?,
            close: windows::ctrl_close()?,
            shutdown: windows::ctrl_shutdown()?,
        })
    }

    /// Waits for the next one; gives its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.ctrl_c.recv() => "Ctrl-C",
            _ = self.ctrl_break.recv() => "Ctrl-Break",
            _ = self.close.recv() => "close",
            _ = self.shutdown.recv() => "shutdown",
            () = TERMINATE.notified() => "terminate",
        }
    }
}

/// SIGHUP of other systems: never comes here.
#[cfg(feature = "signals")]
#[derive(Debug)]
pub struct Hangups;

#[cfg(feature = "signals")]
impl Hangups {
    /// # Errors
    /// None.
    pub fn new() -> io::Result<Self> {
        Ok(Hangups)
    }

    /// Waits for ever.
    pub async fn next(&mut self) {
        std::future::pending().await
    }
}
