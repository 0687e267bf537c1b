//! What the table's derivation would otherwise take four SHA-512 passes over 128 MiB to find out (PROTOCOL.md
//! §8). `table`'s tests derive every one of these slowly and compare.

use super::CHUNKS;

/// The AES-256 key of each of the four stages, big-endian halves.
pub(super) const KEYS: [[u128; 2]; 4] = [
    [0xff0a_2353_5f51_3143_626c_bdbf_98c3_583f, 0x3c9c_c9b8_3522_999f_63b2_4130_b29a_c279],
    [0x19c4_edef_4aa0_88a6_2161_efa0_caa9_96e9, 0x06e7_7844_1745_4a1e_a4a5_5718_7f1c_83c5],
    [0x6814_08ad_0365_9a15_de76_9bf7_479f_2044, 0x1da3_d380_9f04_b0f0_a649_9504_a72f_ad87],
    [0x5d5f_2a7a_2e45_f88f_e95d_4713_b22a_75d8, 0xfffe_f9e8_cdb6_7ae6_5540_9763_a02c_2f3f],
];

/// For each chunk of the table the CFB feedback block with which each of the eight passes (two a stage) enters
/// it, big-endian. In the first chunk these are the stages' IVs and the last block of each stage's first pass.
pub(super) const FEEDBACK: [[u128; 8]; CHUNKS] = [
    [
        0x15c4_1810_27d6_3940_3960_4597_d83b_ff68,
        0x8a88_0719_ec6f_507a_2290_322f_c6b3_013b,
        0x2215_b8cc_2b36_c0d0_b410_90e0_4391_75da,
        0x8654_1e24_da66_c0ed_4eb3_40b5_ed28_3341,
        0xb86a_313d_7394_5999_efd0_3830_5039_b940,
        0x14e5_99a8_96ea_0629_2b25_3397_2ffe_2129,
        0xdd39_5d94_6d5a_53a4_e8bc_7d1b_d6c1_9fb5,
        0xda9a_8c88_ceaf_de21_c2aa_ae4a_8bc8_87d5,
    ],
    [
        0xc921_9b6f_5605_838d_88d4_fc09_73f8_1e63,
        0xb5b4_48a5_b48c_fc31_bbf6_9b18_7475_a1e2,
        0xc454_c07c_9b57_0472_658e_5abe_45ce_534d,
        0xf9cf_c200_f045_3466_31f2_7706_e510_c553,
        0x22fc_2364_8b21_21c1_5328_e701_6e49_6be9,
        0xf5b9_bef5_6549_d017_cd78_ebd7_a0a4_66b6,
        0xd1a0_e650_1670_36d8_9364_b718_dc10_d7ac,
        0x2c59_09de_25d8_cac6_8aa8_33d1_cf2a_745d,
    ],
    [
        0x24d9_1f28_5aa7_104d_44e1_817c_debb_13c0,
        0x1e35_11eb_9f9a_d827_bfff_4bfe_a39b_26c3,
        0x445d_2df1_4f78_0ab2_21ed_aca2_b8f8_663d,
        0xe245_a090_71db_5465_5118_ecad_3bbe_69ea,
        0xff8b_6822_5e76_e0bd_408e_2d99_7b6e_71b7,
        0xfd31_5e89_e6af_4508_f2d5_040c_a761_ab2e,
        0x6107_3ebe_d5f3_05c3_ad59_1d0e_91ac_f0ba,
        0xa0ab_ff00_f18e_8f86_ac02_3d15_fb99_a0c8,
    ],
    [
        0x3f60_1cc0_252c_5a79_11d1_05bc_0d26_cca2,
        0x0b2f_5849_c15a_1d0b_f960_8914_2c75_61ca,
        0x56de_f526_86c7_137b_cadc_8256_62ec_8953,
        0x953f_5db4_124c_22b9_52d2_633b_3ef0_624f,
        0x04c1_ae3c_4b8c_0ffc_c9cd_6a03_9464_fa95,
        0xaef8_7dc0_d66a_72a3_7867_7ad5_565c_0313,
        0xe7a3_9983_82dd_7f80_ecda_a34d_ba5c_c2ff,
        0x4018_92d2_0025_77c7_767a_4e99_458b_5aa1,
    ],
    [
        0xf9a4_aae5_6279_fabe_6ea8_c54c_1664_15ce,
        0xd89a_3076_bed1_729a_7f25_d2b7_c06b_45d0,
        0x8424_62a0_02b4_9c6a_677f_c448_66d4_d040,
        0xfd2f_b7fd_49af_f022_41cb_39f6_9f55_9cce,
        0xcd15_544c_c056_f9fd_d118_17b3_8518_a0db,
        0xeabf_d5d1_4260_2c30_9c33_9155_5818_9b35,
        0x34bc_d6ca_271b_ad5a_13a6_9d8d_5bc9_1ca4,
        0xe4e5_1279_bfe8_661e_a9cb_8bd3_5924_77dd,
    ],
    [
        0x56bf_75b9_2eda_7f5f_3dcb_de28_5b17_49dd,
        0x8308_0e7f_5672_f47b_464e_9dc8_f51a_8148,
        0x0750_3fe7_5205_c755_7c1c_8d03_d5d9_1f28,
        0x6f47_c0e6_e6f7_16f7_5ff8_90dc_fa58_9768,
        0xbdb9_069f_81c2_da8e_fbca_cf04_5312_7e0c,
        0xbc3a_607f_17b8_cd11_54bf_a06b_742d_307c,
        0xc830_be3e_99ec_6d0f_daf2_ce6f_eec8_8ae7,
        0x5b77_fb54_0209_ab16_24d1_e572_fbed_2bbb,
    ],
    [
        0x19ad_e5ab_5db1_c8e2_30c1_88b2_152d_53b2,
        0x74df_931a_2c00_25ba_661b_9f72_aad0_a683,
        0xc6fa_1ee6_0514_94ba_0228_586b_f358_8c3a,
        0xb6fa_cc56_0553_c6dc_1de9_02a8_3d8f_0b14,
        0x0ba5_844f_6dac_3e36_47d4_c1f6_d05d_478b,
        0x6a91_3d29_5880_36e3_3dda_944b_fde9_649e,
        0xb941_ceac_0d66_051c_23b7_fd21_ae4d_34a8,
        0xddd3_a599_bd4b_a81c_031f_c4c7_4298_20aa,
    ],
    [
        0xc10c_a30b_8843_e988_0307_d411_b3ff_9c15,
        0x6695_67b8_0f76_bc57_b65f_ffd5_e941_2b9a,
        0x02c8_5606_1eaf_9a75_970b_cd68_75ab_ec3c,
        0x9ea9_e2a9_b56b_52fd_b4f9_e652_7f84_079a,
        0x3b9e_0ec0_f60d_f8b4_8a30_d5a0_d900_1bc0,
        0xb5d4_18d2_aaf9_7416_914f_ddab_beb4_7a54,
        0x9d52_5240_ba1b_ace5_4e27_7697_0fce_490b,
        0x3eac_1002_aeb0_03d6_f468_3b43_6418_7272,
    ],
];
