//! The state as bytes. All numbers are little-endian; every section is a sequence of entries of one size, so that it
//! is read and written in blocks, and memory grows only with what has really arrived.
//!
//! | section | entry |
//! | --- | --- |
//! | header | magic `LFWEIGHT`, version u32, seven counts u64 (below), policy memory, CRC-32 of all before |
//! | records | added u64, up u32, anchor or slot u32, number of links u8, hits u8, kind u8, eligible u8 |
//! | links | u32 |
//! | slots | record u32, size u32, debt u32, length of `rest` u32 |
//! | rests | u32, those of all slots one after the other |
//! | paths | length u32 |
//! | path entries | slot u32, added u64, those of all paths one after the other, first to top |
//! | free paths | u32 |
//! | trailer | CRC-32 of everything before |
//!
//! Policy memory: budget, sampler, promotions, pops, refusals u64, typical lag u32, 33 lag buckets u32.

use std::io::{self, Read, Write};

use super::fenwick::Sums;
use super::forest::{Forest, Kind, Node, Path, Slot};
use super::policy::{Chooser, LAG_BUCKETS, Lags, Policy, Sampler};
use super::shared::{SharedCount, SharedSum};
use super::{LINKS_MAX, NONE};
use crate::room::push_tight;

const MAGIC: [u8; 8] = *b"LFWEIGHT";
const VERSION: u32 = 1;
const COUNTS: usize = 7;
const HEADER_LEN: usize = 8 + 4 + COUNTS * 8 + 5 * 8 + 4 + LAG_BUCKETS * 4;
/// Bytes collected before they are passed on.
const BLOCK_BYTES: usize = 1 << 16;

/// Why a checkpoint cannot be used. All of them are cured by rebuilding from the record log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The input failed.
    #[error("cannot read the weights checkpoint")]
    Io(#[source] io::Error),
    /// The input ends too early.
    #[error("the weights checkpoint is cut off")]
    Truncated,
    /// It does not begin like a checkpoint.
    #[error("not a weights checkpoint")]
    NotACheckpoint,
    /// It was written by another version.
    #[error("weights checkpoint of version {0}, this program reads version {VERSION}")]
    Version(u32),
    /// A checksum does not match.
    #[error("the weights checkpoint is damaged: wrong checksum")]
    Checksum,
    /// Checksums match, but the content contradicts itself.
    #[error("the weights checkpoint is damaged: {0}")]
    Inconsistent(&'static str),
}

use CheckpointError::Inconsistent;

impl From<io::Error> for CheckpointError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Truncated } else { Self::Io(error) }
    }
}

/// Fails with `what` unless `holds`.
fn check(holds: bool, what: &'static str) -> Result<(), CheckpointError> {
    if holds { Ok(()) } else { Err(Inconsistent(what)) }
}

pub(super) fn write(forest: &Forest, chooser: &Chooser, out: &mut impl Write) -> io::Result<()> {
    let mut out = Sink { out, checksum: crc32fast::Hasher::new(), block: Vec::with_capacity(BLOCK_BYTES) };
    out.put(&MAGIC)?;
    out.put_u32(VERSION)?;
    let path_entries: usize = forest.paths.iter().map(|path| path.slots.len()).sum();
    for count in [
        forest.nodes.len() as u64,
        forest.links.len() as u64,
        forest.slots.len() as u64,
        forest.rest_total,
        forest.paths.len() as u64,
        path_entries as u64,
        forest.free_paths.len() as u64,
        chooser.budget,
        chooser.sampler.0,
        chooser.promotions,
        chooser.pops,
        chooser.refusals,
    ] {
        out.put_u64(count)?;
    }
    out.put_u32(chooser.lags.typical)?;
    out.put_u32s(&chooser.lags.buckets)?;
    out.put_checksum()?;
    for node in &forest.nodes {
        let mut entry = [0; 20];
        entry[..8].copy_from_slice(&node.added.get().to_le_bytes());
        entry[8..12].copy_from_slice(&node.up.to_le_bytes());
        entry[12..16].copy_from_slice(&node.anchor_or_slot.to_le_bytes());
        entry[16..].copy_from_slice(&[
            node.links_len,
            node.hits.get(),
            node.kind as u8,
            u8::from(node.eligible),
        ]);
        out.put(&entry)?;
    }
    out.put_u32s(&forest.links)?;
    for slot in &forest.slots {
        out.put_u32s(&[slot.record, slot.size, slot.debt, slot.rest.len() as u32])?;
    }
    for slot in &forest.slots {
        out.put_u32s(&slot.rest)?;
    }
    for path in &forest.paths {
        out.put_u32(path.slots.len() as u32)?;
    }
    for path in &forest.paths {
        for (&slot, added) in path.slots.iter().zip(path.sums.values()) {
            out.put_u32(slot)?;
            out.put_u64(added)?;
        }
    }
    out.put_u32s(&forest.free_paths)?;
    out.put_checksum()?;
    out.flush()
}

pub(super) fn read(policy: Policy, input: &mut impl Read) -> Result<(Forest, Chooser), CheckpointError> {
    let mut input = Source { input, checksum: crc32fast::Hasher::new() };
    let (counts, chooser) = read_header(policy, &mut input)?;
    let [records, links, slots, rests, paths, path_entries, free_paths] = counts;

    let mut forest = Forest::default();
    let mut links_start = 0u64;
    input.entries(records, |entry: &[u8; 20]| {
        let mut fields = Fields(entry);
        let (added, up, anchor_or_slot) = (fields.u64(), fields.u32(), fields.u32());
        let [links_len, hits, kind, eligible] = fields.u32().to_le_bytes();
        let kind = match kind {
            0 => Kind::Leaf,
            1 => Kind::Promoted,
            2 => Kind::Popped,
            _ => return Err(Inconsistent("a record of unknown kind")),
        };
        check(eligible <= 1, "an eligibility that is neither yes nor no")?;
        let eligible = eligible == 1;
        let start = u32::try_from(links_start).map_err(|_| Inconsistent("too many links"))?;
        links_start += u64::from(links_len);
        push_tight(
            &mut forest.nodes,
            Node {
                added: SharedSum::new(added),
                up,
                anchor_or_slot,
                links_start: start,
                links_len,
                hits: SharedCount::new(hits),
                kind,
                eligible,
            },
        );
        Ok(())
    })?;
    check(links_start == links, "the number of links")?;
    forest.links = input.u32s(links)?;
    let mut rest_lens = Vec::new();
    input.entries(slots, |entry: &[u8; 16]| {
        let mut fields = Fields(entry);
        let (record, size, debt) = (fields.u32(), fields.u32(), fields.u32());
        rest_lens.push(fields.u32());
        push_tight(
            &mut forest.slots,
            Slot { record, path: NONE, position: 0, size, debt, rest: Box::default() },
        );
        Ok(())
    })?;
    check(rest_lens.iter().map(|&len| u64::from(len)).sum::<u64>() == rests, "the lengths of the covers")?;
    for (slot, &len) in forest.slots.iter_mut().zip(&rest_lens) {
        slot.rest = input.u32s(u64::from(len))?.into_boxed_slice();
    }
    forest.rest_total = rests;
    let path_lens = input.u32s(paths)?;
    check(
        path_lens.iter().map(|&len| u64::from(len)).sum::<u64>() == path_entries,
        "the lengths of the paths",
    )?;
    for len in path_lens {
        let mut path = Path { up: NONE, ..Path::default() };
        let mut sums = Sums::default();
        input.entries(u64::from(len), |entry: &[u8; 12]| {
            let mut fields = Fields(entry);
            path.slots.push(fields.u32());
            sums.push(fields.u64());
            Ok(())
        })?;
        path.sums = sums;
        forest.paths.push(path);
    }
    forest.free_paths = input.u32s(free_paths)?;
    input.expect_checksum()?;

    link_up(&mut forest)?;
    check_records(&forest)?;
    Ok((forest, chooser))
}

/// The counts of the sections, and the policy's memory.
fn read_header(
    policy: Policy,
    input: &mut Source<'_, impl Read>,
) -> Result<([u64; COUNTS], Chooser), CheckpointError> {
    let mut header = [0; HEADER_LEN];
    let (start, body) = header.split_at_mut(12);
    input.fill(start)?;
    if start[..8] != MAGIC {
        return Err(CheckpointError::NotACheckpoint);
    }
    let version = Fields(&start[8..]).u32();
    if version != VERSION {
        return Err(CheckpointError::Version(version));
    }
    input.fill(body)?;
    input.expect_checksum()?;

    let mut fields = Fields(body);
    let counts: [u64; COUNTS] = std::array::from_fn(|_| fields.u64());
    let [records, links, slots, _, paths, path_entries, free_paths] = counts;
    check(records <= u64::from(NONE) && links <= u64::from(u32::MAX), "too many records or links")?;
    check(slots <= records && path_entries <= slots, "more promoted records than records")?;
    check(paths <= slots && free_paths <= paths, "more paths than promoted records")?;
    let mut chooser = Chooser::new(policy);
    chooser.budget = fields.u64();
    chooser.sampler = Sampler(fields.u64());
    chooser.promotions = fields.u64();
    chooser.pops = fields.u64();
    chooser.refusals = fields.u64();
    let typical = fields.u32();
    let buckets: [u32; LAG_BUCKETS] = std::array::from_fn(|_| fields.u32());
    let total = buckets.iter().map(|&count| u64::from(count)).sum();
    chooser.lags = Lags { buckets, total, typical };
    Ok((counts, chooser))
}

/// Gives slots their places in the paths, and paths what they hang from, all of which follows from what is stored.
fn link_up(forest: &mut Forest) -> Result<(), CheckpointError> {
    let Forest { nodes, slots, paths, free_paths, .. } = forest;
    for (path_index, path) in paths.iter_mut().enumerate() {
        let mut below: Option<u32> = None; // record
        for (position, &slot_index) in path.slots.iter().enumerate() {
            let slot = slots.get_mut(slot_index as usize).ok_or(Inconsistent("a path's slot"))?;
            check(slot.path == NONE, "a slot in two places")?;
            slot.path = path_index as u32;
            slot.position = position as u32;
            let node = nodes.get(slot.record as usize).ok_or(Inconsistent("a slot's record"))?;
            check(node.kind == Kind::Promoted, "a path through a record that is not promoted")?;
            if let Some(below) = below {
                // `below` exists: it was looked up one round before
                let hangs = nodes.get(below as usize).is_some_and(|node| node.up == slot_index);
                check(hangs && below < slot.record, "the order of a path")?;
            }
            below = Some(slot.record);
        }
        path.up = below.and_then(|top| nodes.get(top as usize)).map_or(NONE, |node| node.up);
    }
    let mut free = vec![false; paths.len()];
    for &path in free_paths.iter() {
        let is_free = free.get_mut(path as usize).ok_or(Inconsistent("a free path"))?;
        check(!*is_free, "a path that is free twice")?;
        *is_free = true;
    }
    let agrees = paths.iter().zip(&free).all(|(path, &free)| path.slots.is_empty() == free);
    check(agrees, "the list of free paths")
}

/// The rest of the forest's invariants, as far as they can be seen record by record.
fn check_records(forest: &Forest) -> Result<(), CheckpointError> {
    for (record, node) in forest.nodes.iter().enumerate() {
        let record = record as u32;
        check(usize::from(node.links_len) <= LINKS_MAX, "a record with too many links")?;
        let links = forest.links(record);
        check(links.windows(2).all(|pair| pair[0] < pair[1]), "the order of links")?;
        check(links.last().is_none_or(|&newest| newest < record), "a link to a later record")?;
        if node.up != NONE {
            let parent = forest.live(node.up).ok_or(Inconsistent("a record that hangs from nowhere"))?.0;
            check(parent.record > record, "a record that hangs from an older one")?;
        }
        let other = node.anchor_or_slot;
        match node.kind {
            Kind::Leaf => check(other == NONE || other < record, "the anchor of a leaf")?,
            Kind::Promoted | Kind::Popped => {
                let slot = forest.slots.get(other as usize).ok_or(Inconsistent("a record's slot"))?;
                check(slot.record == record, "a slot with another record")?;
                check((slot.path != NONE) == (node.kind == Kind::Promoted), "a promoted record's path")?;
            }
        }
    }
    for (index, slot) in forest.slots.iter().enumerate() {
        let node = forest.nodes.get(slot.record as usize).ok_or(Inconsistent("a slot's record"))?;
        check(node.kind != Kind::Leaf && node.anchor_or_slot as usize == index, "a slot without a record")?;
        check(slot.rest.windows(2).all(|pair| pair[0] > pair[1]), "the order of a cover")?;
        check(slot.rest.first().is_none_or(|&newest| newest < slot.record), "a cover with later records")?;
    }
    Ok(())
}

/// Collects blocks and their checksum.
struct Sink<'a, W> {
    out: &'a mut W,
    checksum: crc32fast::Hasher,
    block: Vec<u8>,
}

impl<W: Write> Sink<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.block.len() + bytes.len() > BLOCK_BYTES {
            self.pass_on()?;
        }
        self.block.extend_from_slice(bytes);
        Ok(())
    }

    fn put_u32(&mut self, value: u32) -> io::Result<()> {
        self.put(&value.to_le_bytes())
    }

    fn put_u64(&mut self, value: u64) -> io::Result<()> {
        self.put(&value.to_le_bytes())
    }

    fn put_u32s(&mut self, values: &[u32]) -> io::Result<()> {
        values.iter().try_for_each(|&value| self.put_u32(value))
    }

    fn put_checksum(&mut self) -> io::Result<()> {
        self.pass_on()?;
        let checksum = self.checksum.clone().finalize();
        self.put_u32(checksum)
    }

    fn pass_on(&mut self) -> io::Result<()> {
        self.checksum.update(&self.block);
        self.out.write_all(&self.block)?;
        self.block.clear();
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on()?;
        self.out.flush()
    }
}

/// Reads exactly what is asked for, and keeps the checksum.
struct Source<'a, R> {
    input: &'a mut R,
    checksum: crc32fast::Hasher,
}

impl<R: Read> Source<'_, R> {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), CheckpointError> {
        self.input.read_exact(bytes)?;
        self.checksum.update(bytes);
        Ok(())
    }

    fn expect_checksum(&mut self) -> Result<(), CheckpointError> {
        let want = self.checksum.clone().finalize();
        let mut bytes = [0; 4];
        self.fill(&mut bytes)?;
        if u32::from_le_bytes(bytes) == want { Ok(()) } else { Err(CheckpointError::Checksum) }
    }

    /// A section of `count` entries of `N` bytes, block by block.
    fn entries<const N: usize>(
        &mut self,
        count: u64,
        mut each: impl FnMut(&[u8; N]) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        let per_block = (BLOCK_BYTES / N) as u64;
        let mut block = vec![[0u8; N]; count.min(per_block) as usize];
        let mut left = count;
        while left > 0 {
            let part = &mut block[..left.min(per_block) as usize];
            self.fill(part.as_flattened_mut())?;
            part.iter().try_for_each(&mut each)?;
            left -= part.len() as u64;
        }
        Ok(())
    }

    fn u32s(&mut self, count: u64) -> Result<Vec<u32>, CheckpointError> {
        let mut values = Vec::new();
        if count <= (BLOCK_BYTES / 4) as u64 {
            values.reserve_exact(count as usize);
        }
        self.entries(count, |entry: &[u8; 4]| {
            push_tight(&mut values, u32::from_le_bytes(*entry));
            Ok(())
        })?;
        Ok(values)
    }
}

/// Takes numbers off the front of an entry of known size; beyond its end there are zeros.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk::<N>() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => {
                debug_assert!(false, "an entry is shorter than its fields");
                [0; N]
            }
        }
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}
