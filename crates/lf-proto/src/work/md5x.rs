//! Many MD5s of messages of one length side by side, written so that the compiler turns it into vector code.
//!
//! Only whole blocks and fixed widths: the search's messages are 80 to 144 bytes and padded by their maker.

/// One 32-bit word of each of `W` messages.
pub(super) type Words<const W: usize> = [u32; W];

/// The state of `W` MD5s.
pub(super) type State<const W: usize> = [Words<W>; 4];

/// The state before the first block.
pub(super) const fn start<const W: usize>() -> State<W> {
    [[0x6745_2301; W], [0xefcd_ab89; W], [0x98ba_dcfe; W], [0x1032_5476; W]]
}

/// ⌊2³² · |sin(i + 1)|⌋ (RFC 1321).
const SINES: [u32; 64] = [
    0xd76a_a478,
    0xe8c7_b756,
    0x2420_70db,
    0xc1bd_ceee,
    0xf57c_0faf,
    0x4787_c62a,
    0xa830_4613,
    0xfd46_9501, //
    0x6980_98d8,
    0x8b44_f7af,
    0xffff_5bb1,
    0x895c_d7be,
    0x6b90_1122,
    0xfd98_7193,
    0xa679_438e,
    0x49b4_0821, //
    0xf61e_2562,
    0xc040_b340,
    0x265e_5a51,
    0xe9b6_c7aa,
    0xd62f_105d,
    0x0244_1453,
    0xd8a1_e681,
    0xe7d3_fbc8, //
    0x21e1_cde6,
    0xc337_07d6,
    0xf4d5_0d87,
    0x455a_14ed,
    0xa9e3_e905,
    0xfcef_a3f8,
    0x676f_02d9,
    0x8d2a_4c8a, //
    0xfffa_3942,
    0x8771_f681,
    0x6d9d_6122,
    0xfde5_380c,
    0xa4be_ea44,
    0x4bde_cfa9,
    0xf6bb_4b60,
    0xbebf_bc70, //
    0x289b_7ec6,
    0xeaa1_27fa,
    0xd4ef_3085,
    0x0488_1d05,
    0xd9d4_d039,
    0xe6db_99e5,
    0x1fa2_7cf8,
    0xc4ac_5665, //
    0xf429_2244,
    0x432a_ff97,
    0xab94_23a7,
    0xfc93_a039,
    0x655b_59c3,
    0x8f0c_cc92,
    0xffef_f47d,
    0x8584_5dd1, //
    0x6fa8_7e4f,
    0xfe2c_e6e0,
    0xa301_4314,
    0x4e08_11a1,
    0xf753_7e82,
    0xbd3a_f235,
    0x2ad7_d2bb,
    0xeb86_d391, //
];

/// Absorbs one 64-byte block of each message: `block[i]` holds the i-th little-endian word of all.
#[inline(always)]
pub(super) fn compress<const W: usize>(state: &mut State<W>, block: &[Words<W>; 16]) {
    let [mut a, mut b, mut c, mut d] = *state;
    macro_rules! step {
        ($mix:expr, $a:ident, $b:ident, $c:ident, $d:ident, $word:expr, $i:expr, $left:expr) => {
            for l in 0..W {
                let mix: fn(u32, u32, u32) -> u32 = $mix;
                let sum = $a[l]
                    .wrapping_add(block[$word & 15][l].wrapping_add(SINES[$i]))
                    .wrapping_add(mix($b[l], $c[l], $d[l]));
                $a[l] = sum.rotate_left($left).wrapping_add($b[l]);
            }
        };
    }
    macro_rules! four {
        ($mix:expr, $i:expr, $scale:expr, $offset:expr, $lefts:expr) => {
            step!($mix, a, b, c, d, $scale * $i + $offset, $i, $lefts[0]);
            step!($mix, d, a, b, c, $scale * ($i + 1) + $offset, $i + 1, $lefts[1]);
            step!($mix, c, d, a, b, $scale * ($i + 2) + $offset, $i + 2, $lefts[2]);
            step!($mix, b, c, d, a, $scale * ($i + 3) + $offset, $i + 3, $lefts[3]);
        };
    }
    macro_rules! sixteen {
        ($mix:expr, $i:expr, $scale:expr, $offset:expr, $lefts:expr) => {
            four!($mix, $i, $scale, $offset, $lefts);
            four!($mix, $i + 4, $scale, $offset, $lefts);
            four!($mix, $i + 8, $scale, $offset, $lefts);
            four!($mix, $i + 12, $scale, $offset, $lefts);
        };
    }
    sixteen!(|b, c, d| d ^ (b & (c ^ d)), 0, 1, 0, [7, 12, 17, 22]);
    sixteen!(|b, c, d| c ^ (d & (b ^ c)), 16, 5, 1, [5, 9, 14, 20]);
    sixteen!(|b, c, d| b ^ c ^ d, 32, 3, 5, [4, 11, 16, 23]);
    sixteen!(|b, c, d| c ^ (b | !d), 48, 7, 0, [6, 10, 15, 21]);
    for l in 0..W {
        state[0][l] = state[0][l].wrapping_add(a[l]);
        state[1][l] = state[1][l].wrapping_add(b[l]);
        state[2][l] = state[2][l].wrapping_add(c[l]);
        state[3][l] = state[3][l].wrapping_add(d[l]);
    }
}

#[cfg(test)]
mod tests {
    use md5::{Digest, Md5};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_plain_md5(messages in prop::array::uniform8(prop::array::uniform32(any::<u32>()))) {
            // 25 words and the padding make two blocks.
            const WORDS: usize = 25;
            let mut blocks = [[[0; 8]; 16]; 2];
            for (l, message) in messages.iter().enumerate() {
                for (i, word) in message[..WORDS].iter().enumerate() {
                    blocks[i / 16][i % 16][l] = *word;
                }
                blocks[1][9][l] = 0x80;
                blocks[1][14][l] = WORDS as u32 * 32;
            }
            let mut state = start::<8>();
            blocks.iter().for_each(|block| compress(&mut state, block));
            for (l, message) in messages.iter().enumerate() {
                let bytes: Vec<u8> = message[..WORDS].iter().flat_map(|w| w.to_le_bytes()).collect();
                let ours: Vec<u8> = state.iter().flat_map(|w| w[l].to_le_bytes()).collect();
                prop_assert_eq!(&Md5::digest(&bytes)[..], &ours[..]);
            }
        }
    }
}
