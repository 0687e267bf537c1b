//! Zeroed memory shared by threads, in huge pages where the system has them: most of what a random access
//! costs in ordinary ones is finding the page, which stalls even a prefetch.
//!
//! Unsafe, because the words of a mapping are looked at as atomics.
#![allow(unsafe_code)]

use std::sync::atomic::AtomicU64;

use memmap2::{MmapMut, MmapRaw};

/// Words that are 0 at first.
pub(in crate::work) struct Words(Memory);

enum Memory {
    Mapped { map: MmapRaw, len: usize },
    Boxed(Box<[AtomicU64]>),
}

impl Words {
    /// So many words.
    pub(in crate::work) fn zeroed(len: usize) -> Self {
        match len.checked_mul(8).map(MmapMut::map_anon) {
            Some(Ok(map)) if len > 0 && map.len() == 8 * len => {
                // Advice only: without huge pages everything works, slower.
                #[cfg(target_os = "linux")]
                let _ = map.advise(memmap2::Advice::HugePage);
                Self(Memory::Mapped { map: map.into(), len })
            }
            _ => Self(Memory::Boxed((0..len).map(|_| AtomicU64::new(0)).collect())),
        }
    }

    /// The words.
    #[inline(always)]
    pub(in crate::work) fn words(&self) -> &[AtomicU64] {
        match &self.0 {
            // SAFETY: the mapping is private, readable and writable, of 8·len bytes, begins at a page (so it is
            // aligned), was zeroed by the system (a valid value of atomics), lives as long as `self`, and is
            // nowhere looked at otherwise than here, as atomics.
            Memory::Mapped { map, len } => unsafe {
                std::slice::from_raw_parts(map.as_mut_ptr().cast::<AtomicU64>().cast_const(), *len)
            },
            Memory::Boxed(words) => words,
        }
    }
}
