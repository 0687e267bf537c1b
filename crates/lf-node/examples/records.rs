//! Writes a network with signed records, to measure or to play with: `genesis.lf` and `bootstrap.lf` in a directory.
//!
//! `cargo run --release -p lf-node --example records -- 100000 DIRECTORY [NAMES]`: the records have `name 0`, `name 1` and
//! so on, 1,000 of them if nothing else is said, with ordinals from 0 on. Then `lf verify --nowork
//! DIRECTORY/bootstrap.lf`, or put both files into `localtest/` in a node's home and start it with `--localtest`.
#![allow(missing_docs)]

use std::io::{BufWriter, Error, Write};
use std::path::PathBuf;

use lf_node::selftest::Signed;

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (Some(count), Some(directory)) = (arguments.next().and_then(|n| n.parse().ok()), arguments.next())
    else {
        return Err(Error::other("usage: records COUNT DIRECTORY [NAMES]"));
    };
    let names = arguments.next().and_then(|n| n.parse().ok());
    let directory = PathBuf::from(directory);
    std::fs::create_dir_all(&directory)?;
    let mut signed = names.map_or_else(Signed::default, Signed::with_names);
    let genesis: Vec<u8> = signed.genesis().records().iter().flat_map(|r| r.as_bytes().to_vec()).collect();
    std::fs::write(directory.join("genesis.lf"), &genesis)?;
    let mut file = BufWriter::new(std::fs::File::create(directory.join("bootstrap.lf"))?);
    file.write_all(&genesis)?;
    let mut left: usize = count;
    while left > 0 {
        for record in signed.batch().iter().take(left) {
            file.write_all(record.as_bytes())?;
            left -= 1;
        }
    }
    file.flush()
}
