//! Short slices, which Linux's scheduler has since 6.12 and which no safe library asks it for: the one call of this
//! crate that is not safe. Nothing else must live here.
#![allow(unsafe_code)]

/// Asks the system to give this thread a core soon after it is woken, for a shorter time at once: for threads that
/// answer somebody who waits, in much less than a millisecond each time. Its share of the cores stays what it was, so
/// others lose nothing by it. Threads it starts from now on have the same.
///
/// Without it a thread that has a core keeps it until the system's next tick (1 to 10 ms), unless the one that is woken
/// counts for much more.
pub fn short_slices() {
    // A system that refuses it has its reasons (older ones take no notice), and all works without.
    #[cfg(target_os = "linux")]
    let _ = linux::ask();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::mem::size_of;

    /// The shortest slice that Linux gives, in nanoseconds.
    const SLICE_MIN_NS: u64 = 100_000;

    /// The policy stays as it is; not in the libc crate.
    const SCHED_FLAG_KEEP_POLICY: u64 = 0x08;

    /// Asks for this thread.
    pub(super) fn ask() -> io::Result<()> {
        let attributes = libc::sched_attr {
            size: size_of::<libc::sched_attr>() as u32,
            sched_policy: 0,
            sched_flags: SCHED_FLAG_KEEP_POLICY,
            // The call sets it, too.
            sched_nice: rustix::process::getpriority_process(Some(rustix::thread::gettid()))?,
            sched_priority: 0,
            sched_runtime: SLICE_MIN_NS,
            sched_deadline: 0,
            sched_period: 0,
        };
        let (this_thread, flags): (libc::c_long, libc::c_long) = (0, 0);
        // SAFETY: sched_setattr(2) reads `size` bytes at the pointer, which are those of `attributes`, a plain C struct
        // whose fields all have a value and which outlives the call; it writes no memory of this process.
        let result = unsafe {
            libc::syscall(libc::SYS_sched_setattr, this_thread, std::ptr::from_ref(&attributes), flags)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn slices_are_short_and_a_threads_priority_stays() {
        let thread = std::thread::spawn(|| {
            crate::lower_priority(3);
            let niceness = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
            let before = niceness();
            linux::ask().unwrap();
            (before, niceness(), std::fs::read_to_string("/proc/thread-self/sched").unwrap_or_default())
        });
        let (before, after, told) = thread.join().unwrap();
        assert_eq!(before, after);
        // Kernels that were built without it do not tell, and older ones have no slices of one's own.
        let line = told.lines().find(|line| line.starts_with("se.slice"));
        if let Some(line) = line.filter(|_| slices_can_be_set()) {
            assert_eq!(line.rsplit(':').next().unwrap().trim(), "100000");
        }
    }

    /// Since Linux 6.12.
    fn slices_can_be_set() -> bool {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = release.split(['.', '-']).map_while(|part| part.trim().parse::<u32>().ok());
        (numbers.next(), numbers.next()) >= (Some(6), Some(12))
    }
}
