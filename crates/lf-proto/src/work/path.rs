//! Which implementation runs: chosen once a process by what the processor has. Results are the same.

use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use super::simd::{AesNi, Avx512, Vaes};
use super::simd::{Simd, Software};

/// An implementation of the search, the batch verification and the table that this machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Vaes(Vaes),
    #[cfg(target_arch = "x86_64")]
    AesNi(AesNi),
    Software(Software),
}

impl Path {
    /// All that this machine has, the best first; the last is for every machine.
    pub fn all() -> Vec<Self> {
        let kinds = [
            #[cfg(target_arch = "x86_64")]
            Avx512::detect().map(Kind::Avx512),
            #[cfg(target_arch = "x86_64")]
            Vaes::detect().map(Kind::Vaes),
            #[cfg(target_arch = "x86_64")]
            AesNi::detect().map(Kind::AesNi),
            Some(Kind::Software(Software)),
        ];
        kinds.into_iter().flatten().map(Self).collect()
    }

    /// The one in use: the best that this machine has.
    pub fn best() -> Self {
        static BEST: OnceLock<Path> = OnceLock::new();
        *BEST.get_or_init(|| Self::all().first().copied().unwrap_or(Self(Kind::Software(Software))))
    }

    /// Its name: `avx512+vaes`, `vaes`, `aes-ni` or `software`.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "avx512+vaes",
            #[cfg(target_arch = "x86_64")]
            Kind::Vaes(_) => "vaes",
            #[cfg(target_arch = "x86_64")]
            Kind::AesNi(_) => "aes-ni",
            Kind::Software(_) => "software",
        }
    }
}

/// Something that is written once for all paths.
pub(super) trait OnPath {
    type Output;
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Does it on that path.
pub(super) fn with_path<T: OnPath>(path: Path, what: T) -> T::Output {
    match path.0 {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512(simd) => what.run(simd),
        #[cfg(target_arch = "x86_64")]
        Kind::Vaes(simd) => what.run(simd),
        #[cfg(target_arch = "x86_64")]
        Kind::AesNi(simd) => what.run(simd),
        Kind::Software(simd) => what.run(simd),
    }
}
