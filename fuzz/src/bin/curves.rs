//! Key recovery in lanes against the scalar code that defines it, and Ed25519 in lanes against the library: batches of
//! random and of crafted signatures.
#![no_main]

use std::sync::LazyLock;

use lf_proto::curve::ways::Way;
use lf_proto::curve::{Signed, ed25519};
use lf_proto::owner::{OwnerSecret, OwnerType};

/// x of 1·G to 3·G of each curve: as r, s and digest they make the additions on the way meet equal, opposite and
/// infinite points.
const XS: [[&str; 3]; 3] = [
    [
        "b199b13b9b34efc1397e64baeb05acc265ff2378",
        "b1c4c41c8228e6d8ba9c4685d5b074cb7931e1b2",
        "c7fb4e367ed789413fc9648ce0e921156f37642b",
    ],
    [
        "b70e0cbd6bb4bf7f321390b94a03c1d356c21122343280d6115c1d21",
        "706a46dc76dcb76798e60e6d89474788d16dc18032d268fd1a704fa6",
        "df1b1d66a551d0d31eff822558b9d2cc75c2180279fe0d08fd896d04",
    ],
    [
        "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
        "08d999057ba3d2d969260045c55b97f089025959a6f434d651d207d19fb96e9e4fe0e86ebe0e64f85b96a9c75295df61",
        "077a41d4606ffa1464793c7e5fdc7d98cb9d3910202dcd06bea4f240d3566da6b408bbae5026580d02d7e5c70500c831",
    ],
];

/// A number of a signature: one of the xs, or the input's bytes.
fn number(curve: usize, choice: u8, bytes: &[u8]) -> Vec<u8> {
    let width = XS[curve][0].len() / 2;
    if choice < 96 {
        let hex = XS[curve][usize::from(choice % 3)];
        return (0..width).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
    }
    let mut number = vec![0; width - bytes.len()];
    number.extend(bytes);
    number
}

/// Encodings of points of order 1, 2, 4 and 8, of y that is not reduced, and of the generator; each is also taken with
/// the other sign.
const ENCODINGS: [&str; 10] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "f5ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "5866666666666666666666666666666666666666666666666666666666666666",
];
/// L, and small numbers.
const SCALARS: [&str; 4] = [
    "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
    "ecd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
];

fn from_hex(hex: &str) -> [u8; 32] {
    std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
}

/// Some owners, and what they signed.
static GOOD: LazyLock<Vec<([u8; 32], [u8; 48], Vec<u8>)>> = LazyLock::new(|| {
    let good = |i: u8| {
        let owner = OwnerSecret::from_seed(OwnerType::Ed25519, &[i]);
        (owner.public().as_bytes().try_into().unwrap(), [i; 48], owner.sign(&[i; 48]))
    };
    (0..8).map(good).collect()
});

/// Each signature: what its parts are, then a byte that changes them.
fn verify_ed25519(mut rest: &[u8]) {
    let mut signatures = Vec::new();
    while signatures.len() < 9 {
        let Some(([of, key, r, s, at, change], bytes)) = rest.split_first_chunk::<6>() else { break };
        let (mut public, mut message, mut signature) = GOOD[usize::from(of % 8)].clone();
        let encoding = |choice: u8| {
            let mut encoding = from_hex(ENCODINGS[usize::from(choice) / 2 % ENCODINGS.len()]);
            encoding[31] ^= choice << 7;
            encoding
        };
        if *key < 128 {
            public = encoding(*key);
        }
        if *r < 128 {
            signature[..32].copy_from_slice(&encoding(*r));
        }
        if *s < 128 {
            signature[32..].copy_from_slice(&from_hex(SCALARS[usize::from(s % 4)]));
        }
        match at {
            0..32 => public[usize::from(*at)] ^= change,
            32..96 => signature[usize::from(at - 32)] ^= change,
            96..144 => message[usize::from(at - 96)] ^= change,
            144 => signature.truncate((*change).into()),
            _ => {}
        }
        signatures.push((public, message, signature));
        rest = bytes;
    }
    let signed: Vec<_> = signatures
        .iter()
        .map(|(key, message, signature)| ed25519::Signed { key, message, signature })
        .collect();
    for way in [Way::PortableLanes, Way::Avx512Lanes] {
        if way.is_available() {
            assert_eq!(way.ed25519(&signed), Way::Scalar.ed25519(&signed));
        }
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((curve, mut rest)) = data.split_first() else { return };
    let curve = usize::from(*curve) % 4;
    if curve == 3 {
        return verify_ed25519(rest);
    }
    let width = XS[curve][0].len() / 2;
    // Each signature: what its numbers are, then their bytes. At most one group and a single one.
    let mut signatures = Vec::new();
    while signatures.len() < 9 {
        let Some(([r, s, e, parity], bytes)) = rest.split_first_chunk::<4>() else { break };
        let used = bytes.len().min(3 * width);
        let (r_bytes, s_bytes) = (&bytes[..used.min(width)], &bytes[used.min(width)..used.min(2 * width)]);
        let r_s = [number(curve, *r, r_bytes), number(curve, *s, s_bytes)].concat();
        signatures.push((number(curve, *e, &bytes[used.min(2 * width)..used]), r_s, *parity));
        rest = &bytes[used..];
    }
    let signed: Vec<_> = signatures.iter().map(|(digest, r_s, _)| Signed { digest, r_s }).collect();
    let with_parity: Vec<_> =
        signed.iter().zip(&signatures).map(|(signed, (.., parity))| (*signed, *parity % 3)).collect();
    for way in [Way::PortableLanes, Way::Avx512Lanes] {
        if !way.is_available() {
            continue;
        }
        match curve {
            0 => assert_eq!(way.p160(&with_parity), Way::Scalar.p160(&with_parity)),
            1 => assert_eq!(way.p224(&signed), Way::Scalar.p224(&signed)),
            _ => assert_eq!(way.p384(&signed), Way::Scalar.p384(&signed)),
        }
    }
});
