//! What differs between operating systems: files only their user can read, directories made durable, free space,
//! signals, service managers, priorities, where a home is. `unix.rs` (Linux, macOS and their like) and `windows.rs` have
//! the same functions; nothing else in LF asks on which system it runs, but for the vector code of lf-proto.
//!
//! What must not live here: anything that knows what LF is.
#![deny(unsafe_code)] // allowed for one call to Linux alone, which says why

#[cfg(not(any(unix, windows)))]
compile_error!("LF runs on Unix and on Windows: another system needs a module beside unix.rs and windows.rs");

mod files;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

pub use files::{replace, same_file};
pub use system::{
    FileId, Stamp, default_home, everybody_can_read, file_id, free_bytes, is_no_ipv6, is_private, is_root,
    lock_directory, lower_priority, memory_free_bytes, notify, own_group, private_directory, private_file,
    processor_time, read_at, resident_bytes, short_slices, stamp, sync_directory, terminate, write_all_at,
};
#[cfg(feature = "signals")]
pub use system::{Hangups, Signals};

/// The niceness of threads that only use what nobody else wants: the least that a system knows.
pub const NICENESS_LEAST: i32 = 19;
