//! Proofs that no limb ever overflows: the formulas themselves, computed with intervals instead of numbers.

use std::fmt::Debug;

use crypto_bigint::{NonZero, U512, U1024};

use crate::curve::lanes::constants::multiple;
use crate::curve::lanes::edwards;
use crate::curve::lanes::field::{self, COLUMNS, Field, Lanes, UNITS_1, UNITS_3, UNITS_5};
use crate::curve::lanes::point::{Add, AddAffine, Addend, AffineAddend, Conjugates, DoubleTimes, Point};
use crate::curve::lanes::simd::{Job, Row, Simd};

/// All lanes at once, as the least and the greatest value that any of them may have.
#[derive(Debug, Clone, Copy)]
struct Intervals;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Interval {
    least: u64,
    greatest: u64,
}

const LOW52: u64 = (1 << 52) - 1;

impl Interval {
    fn up_to(greatest: u64) -> Self {
        Self { least: 0, greatest }
    }

    /// The product of factors, neither of which IFMA may cut off.
    fn product(a: Self, b: Self) -> u128 {
        assert!(a.greatest <= LOW52, "a factor of {:x}", a.greatest);
        assert!(b.greatest <= LOW52, "a factor of {:x}", b.greatest);
        u128::from(a.greatest) * u128::from(b.greatest)
    }
}

impl Simd for Intervals {
    type V = Interval;
    const INLINE: bool = false;

    fn splat(self, value: u64) -> Interval {
        Interval { least: value, greatest: value }
    }

    fn load(self, row: &Row) -> Interval {
        Interval { least: *row.0.iter().min().unwrap(), greatest: *row.0.iter().max().unwrap() }
    }

    fn store(self, _: Interval) -> Row {
        unreachable!("intervals are not numbers")
    }

    fn add(self, a: Interval, b: Interval) -> Interval {
        let greatest = a.greatest.checked_add(b.greatest).expect("a sum of 2^64");
        Interval { least: a.least + b.least, greatest }
    }

    fn sub(self, a: Interval, b: Interval) -> Interval {
        let least = a.least.checked_sub(b.greatest).expect("a difference below 0");
        Interval { least, greatest: a.greatest - b.least }
    }

    fn and(self, a: Interval, b: Interval) -> Interval {
        Interval::up_to(a.greatest.min(b.greatest))
    }

    fn or(self, a: Interval, b: Interval) -> Interval {
        Interval::up_to(u64::MAX >> (a.greatest | b.greatest).leading_zeros())
    }

    fn shl<const BITS: u32>(self, a: Interval) -> Interval {
        assert!(a.greatest.leading_zeros() >= BITS, "bits shifted out of {:x}", a.greatest);
        Interval { least: a.least << BITS, greatest: a.greatest << BITS }
    }

    fn shr<const BITS: u32>(self, a: Interval) -> Interval {
        Interval { least: a.least >> BITS, greatest: a.greatest >> BITS }
    }

    fn madd_low(self, sum: Interval, a: Interval, b: Interval) -> Interval {
        let product = Interval::product(a, b).min(u128::from(LOW52)) as u64;
        self.add(sum, Interval::up_to(product))
    }

    fn madd_high(self, sum: Interval, a: Interval, b: Interval) -> Interval {
        let product = (Interval::product(a, b) >> 52) as u64;
        self.add(sum, Interval::up_to(product))
    }

    fn mul_low(self, _: Interval, _: Interval) -> Interval {
        Interval::up_to(LOW52)
    }

    fn select(self, _: u8, set: Interval, clear: Interval) -> Interval {
        Interval { least: set.least.min(clear.least), greatest: set.greatest.max(clear.greatest) }
    }

    fn nonzero(self, _: Interval) -> u8 {
        0b1010_0101
    }

    fn interleave_even(self, a: Interval, b: Interval) -> Interval {
        self.select(0, a, b)
    }

    fn interleave_odd(self, a: Interval, b: Interval) -> Interval {
        self.select(0, a, b)
    }

    fn even_pairs(self, a: Interval, b: Interval) -> Interval {
        self.select(0, a, b)
    }

    fn odd_pairs(self, a: Interval, b: Interval) -> Interval {
        self.select(0, a, b)
    }

    fn call<J: Job<Self>>(self, job: J) -> J::Output {
        job.run(self)
    }
}

type Number<const L: usize> = [Interval; L];

/// Every number whose limbs are at most these.
fn any_up_to<const L: usize>(limbs: [u64; L]) -> Number<L> {
    limbs.map(Interval::up_to)
}

fn join<const L: usize>(a: &Number<L>, b: &Number<L>) -> Number<L> {
    std::array::from_fn(|i| Intervals.select(0, a[i], b[i]))
}

#[track_caller]
fn assert_within<const L: usize>(a: &Number<L>, limits: &Number<L>) {
    for i in 0..L {
        assert!(
            a[i].greatest <= limits[i].greatest,
            "limb {i}: {:x} > {:x}",
            a[i].greatest,
            limits[i].greatest
        );
    }
}

/// A number of so many sixteenths of a unit, as `field` covers them.
fn units<F: Field<L>, const L: usize>(sixteenths: u64) -> Number<L> {
    // The last limb of Montgomery numbers is as small as that of p.
    let unit_last = if F::FORM.is_some() { F::P[L - 1] + 1 } else { 1 << F::BITS };
    any_up_to(std::array::from_fn(|i| sixteenths * if i == L - 1 { unit_last } else { 1 << F::BITS } / 16))
}

/// The number of the greatest limbs.
fn greatest<F: Field<L>, const L: usize>(a: &Number<L>) -> U1024 {
    a.iter()
        .rev()
        .fold(U1024::ZERO, |sum, limb| (sum << F::BITS as u32).wrapping_add(&U1024::from_u64(limb.greatest)))
}

fn value<const L: usize>(limbs: &[u64; L], bits: usize) -> U1024 {
    limbs
        .iter()
        .rev()
        .fold(U1024::ZERO, |sum, limb| (sum << bits as u32).wrapping_add(&U1024::from_u64(*limb)))
}

fn proves<F: Field<L>, const L: usize>() {
    let k = Lanes::<Intervals, F, L>::new(Intervals);

    // Products of any factors below 2⁵², 2⁵¹ for squares: as far as sums of the point formulas go, 16 and 8 units.
    // In Montgomery form the value is bounded too, by the last limb.
    let unit = units::<F, L>(17);
    let tight = join(&k.mul(&units::<F, L>(255), &units::<F, L>(255)), &k.square(&units::<F, L>(127)));
    assert_within(&tight, &unit);
    for (i, limb) in tight.iter().enumerate().take(L - 1) {
        assert!(limb.greatest <= (1 << F::BITS) + (1 << 20), "limb {i} is {:x}", limb.greatest);
    }

    // Covers are multiples of p, and cover.
    let p = NonZero::new(value(&F::P, F::BITS)).unwrap();
    for cover in F::COVERS {
        assert_eq!(value(&cover, F::BITS).rem_vartime(&p), U1024::ZERO);
    }
    let bias: [u64; COLUMNS] = F::BIAS;
    assert_eq!(value(&bias, F::BITS).rem_vartime(&p), U1024::ZERO);

    // What may come out of additions and doublings may go into them again, from points as they start.
    let start = Point { x: tight, y: k.neg_where::<UNITS_1>(1, &tight), z: k.one() };
    let limits = Point { x: units::<F, L>(84), y: units::<F, L>(84), z: units::<F, L>(34) };
    for (limb, limit) in [(start.x, limits.x), (start.y, limits.y), (start.z, limits.z)] {
        assert_within(&limb, &limit);
    }
    let any = || Point { x: limits.x, y: limits.y, z: limits.z };
    let stays = |point: &Point<Interval, L>| {
        assert_within(&point.x, &limits.x);
        assert_within(&point.y, &limits.y);
        assert_within(&point.z, &limits.z);
    };
    let mut point = any();
    Intervals.call(DoubleTimes { k, point: &mut point, times: 2 });
    stays(&point);

    let y = k.neg_where::<UNITS_5>(1, &limits.y);
    let zz = k.square(&limits.z);
    let zzz = k.mul(&zz, &limits.z);
    let addend = Addend { x: limits.x, y, z: limits.z, zz, zzz };
    let mut point = any();
    Intervals.call(Add { k, point: &mut point, addend: &addend });
    stays(&point);

    // A lane's own point, and multiples of the generator, whose limbs are canonical before they are negated.
    let affine = AffineAddend { x: limits.x, y: k.neg_where::<UNITS_1>(1, &tight) };
    let mut point = any();
    Intervals.call(AddAffine { k, point: &mut point, addend: &affine });
    stays(&point);

    let pair = Intervals.call(Conjugates { k, a: &any(), b: &any() });
    for i in 0..2 {
        stays(&Point { x: pair.x[i], y: pair.y[i], z: pair.z });
        assert_within(&k.mul(&pair.x[i], &tight), &unit);
        assert_within(&k.mul(&pair.y[i], &tight), &unit);
    }

    // The equation of the curve.
    let one = k.one();
    let three = k.add(&k.double(&one), &one);
    let mut canonical = any_up_to([F::MASK; L]);
    canonical[L - 1].greatest = F::P[L - 1];
    let right = k.add(&k.mul(&canonical, &k.sub::<UNITS_3>(&tight, &three)), &canonical);
    assert_within(&k.square(&right), &unit);
    let difference = k.sub::<UNITS_3>(&tight, &right);

    // As many subtractions of p make numbers canonical, from any that are looked at.
    for number in [&difference, &limits.z, &tight, &pair.z] {
        let reduced = k.reduced(number);
        let limit = (0..=F::SUBTRACTIONS).fold(U1024::ZERO, |sum, _| sum.wrapping_add(&p));
        assert!(greatest::<F, L>(&reduced) < limit, "{:x?}", greatest::<F, L>(&reduced));
        let canonical = k.canonical(number);
        // What carries add to masked limbs stays below the next power of two, and the last limb never carries.
        assert!(canonical.iter().all(|limb| limb.greatest <= 2 * F::MASK + 1), "{canonical:x?}");
    }
}

#[test]
fn no_limb_overflows_p160() {
    proves::<field::P160, 4>();
}

#[test]
fn no_limb_overflows_p224() {
    proves::<field::P224, 5>();
}

#[test]
fn no_limb_overflows_p25519() {
    proves::<field::P25519, 6>();
    let k = Lanes::<Intervals, field::P25519, 6>::new(Intervals);
    let unit = units::<field::P25519, 6>(17);
    let twice_d = [field::P25519::MASK; 6];

    // What may come out of additions and doublings may go into them again.
    let any = || edwards::Point { x: unit, y: unit, z: unit, t: unit };
    let stays = |point: &edwards::Point<Interval>| {
        for coordinate in [&point.x, &point.y, &point.z, &point.t] {
            assert_within(coordinate, &unit);
        }
    };
    let mut point = any();
    Intervals.call(edwards::DoubleTimes { k, point: &mut point, times: 2 });
    stays(&point);
    let addend = Intervals.call(edwards::ToAddend { k, point: &any(), twice_d: &twice_d });
    let mut point = any();
    let negated = edwards::negate_where(k, 1, &addend);
    for addend in [&addend, &negated] {
        Intervals.call(edwards::Add { k, point: &mut point, addend });
        stays(&point);
    }

    // Decoding: the ratio that x² is, and its check.
    let one = k.one();
    let (u, v) = (k.sub::<UNITS_1>(&unit, &one), k.add(&unit, &one));
    let x = field::root_of_ratio(k, &u, &v);
    assert_within(&x, &unit);
    k.canonical(&k.sub::<UNITS_3>(&k.mul(&v, &k.square(&x)), &u));
    assert_within(&k.mul(&k.neg_where::<UNITS_1>(1, &x), &unit), &unit);
}

#[test]
fn no_limb_overflows_p384() {
    proves::<field::P384, 8>();
}

#[test]
fn multiples_have_large_limbs() {
    let limbs: [u64; 4] = multiple(&[0xffff_ffff_ffff_ffc5, 0], 40, 1 << 45, 1 << 44, 7);
    let sum = value(&limbs, 40).wrapping_add(&(U1024::from_u64(7) << 160));
    let p = NonZero::new(U1024::from(&U512::from_u64(0xffff_ffff_ffff_ffc5))).unwrap();
    assert_eq!(sum.rem_vartime(&p), U1024::ZERO);
    assert!(limbs[..3].iter().all(|limb| (1 << 45..(1 << 45) + (1 << 40)).contains(limb)));
    assert!(limbs[3] >= 1 << 44);
}
