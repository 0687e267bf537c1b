//! The ways of recovery and verification one by one, to compare them: all give the same results. For tests and fuzzing;
//! others call the curves' own functions, which choose.
//!
//! The functions are `#[inline]` so that the portable lanes, which nobody else needs, are compiled only for who
//! calls them.

#[cfg(target_arch = "x86_64")]
use super::lanes::Avx512;
use super::lanes::{LaneCurve, Portable};
use super::params::{BrainpoolP160t1, P224, P384};
use super::recover::{Parity, recover_by_scalars, recover_in_lanes};
use super::{Candidates, PublicPoint, Signed, ed25519, p160};

/// A way to recover the keys of a batch, or to verify its Ed25519 signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// One by one: the code that defines the results (for Ed25519 a library).
    Scalar,
    /// Eight at once, in plain Rust.
    PortableLanes,
    /// Eight at once, in AVX-512 with IFMA.
    Avx512Lanes,
}

impl Way {
    /// All ways.
    pub const ALL: [Self; 3] = [Self::Scalar, Self::PortableLanes, Self::Avx512Lanes];

    /// Whether this processor can do it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar | Self::PortableLanes => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Lanes => Avx512::detect().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx512Lanes => false,
        }
    }

    /// [`p160::recover_each`]; None if the way is not available.
    #[inline]
    pub fn p160(self, signed: &[(Signed<'_>, u8)]) -> Option<Vec<Option<PublicPoint<20>>>> {
        let jobs = signed.iter().map(|(signed, parity)| (*signed, Parity::from_bit(*parity)));
        Some(self.recover::<BrainpoolP160t1, 3, 4, 20>(jobs)?.into_iter().map(p160::one_of).collect())
    }

    /// `p224::recover_pairs`; None if the way is not available.
    #[inline]
    pub fn p224(self, signed: &[Signed<'_>]) -> Option<Vec<Candidates<28>>> {
        self.recover::<P224, 4, 5, 28>(signed.iter().map(|signed| (*signed, Some(Parity::Both))))
    }

    /// `p384::recover_pairs`; None if the way is not available.
    #[inline]
    pub fn p384(self, signed: &[Signed<'_>]) -> Option<Vec<Candidates<48>>> {
        self.recover::<P384, 6, 8, 48>(signed.iter().map(|signed| (*signed, Some(Parity::Both))))
    }

    /// [`ed25519::verify_each`]; None if the way is not available.
    #[inline]
    pub fn ed25519(self, signed: &[ed25519::Signed<'_>]) -> Option<Vec<bool>> {
        match self {
            Self::Scalar => Some(ed25519::verify_one_by_one(signed)),
            Self::PortableLanes => Some(ed25519::verify_in_lanes(Portable, signed)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Lanes => Some(ed25519::verify_in_lanes(Avx512::detect()?, signed)),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx512Lanes => None,
        }
    }

    fn recover<'a, C: LaneCurve<N, L>, const N: usize, const L: usize, const BYTES: usize>(
        self,
        jobs: impl ExactSizeIterator<Item = (Signed<'a>, Option<Parity>)>,
    ) -> Option<Vec<Candidates<BYTES>>> {
        match self {
            Self::Scalar => Some(recover_by_scalars::<C, N, BYTES>(jobs)),
            Self::PortableLanes => Some(recover_in_lanes::<_, C, N, L, BYTES>(Portable, jobs)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Lanes => Some(recover_in_lanes::<_, C, N, L, BYTES>(Avx512::detect()?, jobs)),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx512Lanes => None,
        }
    }
}
