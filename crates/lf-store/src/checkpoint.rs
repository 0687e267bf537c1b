//! The graph's checkpoint file (docs/src/FORMAT.md, "Checkpoint"): derived data that saves walking the graph at a start.
//! Written beside the old one and renamed over it, so there is always a whole one or none.

use std::io::{self, Read, Write};
use std::sync::Arc;

use lf_proto::hash::Hash;

use crate::filter::Filter;
use crate::storage::{Storage, StorageFile, read_full_at};
use crate::tips::Tips;
use crate::view::Graph;
use crate::weights::Weights;

pub(crate) const FILE: &str = "graph.checkpoint";
const FILE_NEW: &str = "graph.checkpoint.new";
const MAGIC: [u8; 8] = *b"LFgraph3";
/// magic, log id, number of records, hash of the last of them, CRC-32 of the linker counts, CRC-32 of all before.
const HEADER_BYTES: usize = 8 + 16 + 4 + 32 + 4 + 4;
const BUFFER_BYTES: usize = 1 << 20;

/// A checkpoint as read.
pub(crate) struct Checkpoint {
    pub(crate) graph: Graph,
    /// Hashes and claimed ids of its records, and perhaps of later ones.
    pub(crate) filter: Filter,
    /// The hash of the last record in it. An index that numbers records differently has another one there.
    pub(crate) last: Hash,
}

/// Removes the checkpoint. An index that is made anew may number its records differently, so this comes first.
pub(crate) fn remove(storage: &dyn Storage) -> io::Result<()> {
    match storage.remove(FILE) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
        Ok(()) => storage.sync_directory(""),
    }
}

/// Writes the checkpoint of graph and filter and makes it durable. `last`: the hash of its last record.
pub(crate) fn write(
    storage: &dyn Storage,
    log_id: &[u8; 16],
    last: &Hash,
    graph: &Graph,
    filter: &Filter,
) -> io::Result<()> {
    match storage.remove(FILE_NEW) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let file = storage.create(FILE_NEW)?;
    let mut out = io::BufWriter::with_capacity(BUFFER_BYTES, Appender { file: Arc::clone(&file), at: 0 });
    let linkers = graph.tips.linkers();
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(log_id);
    header.extend_from_slice(&(linkers.len() as u32).to_be_bytes());
    header.extend_from_slice(&last.0);
    header.extend_from_slice(&crc32fast::hash(linkers).to_be_bytes());
    header.extend_from_slice(&crc32fast::hash(&header).to_be_bytes());
    out.write_all(&header)?;
    out.write_all(linkers)?;
    filter.write(&mut out)?;
    graph.weights.write_checkpoint(&mut out)?;
    out.flush()?;
    file.sync()?;
    storage.rename(FILE_NEW, FILE)?;
    storage.sync_directory("")
}

/// Reads the checkpoint; `None` if there is none, or one of another log.
pub(crate) fn read(storage: &dyn Storage, log_id: &[u8; 16]) -> Result<Option<Checkpoint>, String> {
    let file = match storage.open(FILE) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.to_string()),
    };
    let length = file.length().map_err(|e| e.to_string())?;
    let mut input = io::BufReader::with_capacity(BUFFER_BYTES, Sequential { file, at: 0 });
    let mut header = [0u8; HEADER_BYTES];
    input.read_exact(&mut header).map_err(|e| e.to_string())?;
    let (checked, crc) = header.split_at(HEADER_BYTES - 4);
    let (magic, rest) = checked.split_at(8);
    if magic != MAGIC {
        return Err("unknown format".to_owned());
    }
    if crc32fast::hash(checked).to_be_bytes() != crc {
        return Err("wrong checksum".to_owned());
    }
    let (id, rest) = rest.split_at(16);
    let number = |bytes: &[u8]| bytes.iter().fold(0u32, |n, b| n << 8 | u32::from(*b));
    let (count, rest) = (number(&rest[..4]), &rest[4..]);
    let (last, crc) = rest.split_at(32);
    let crc = number(crc);
    let last = Hash(last.try_into().map_err(|_| "truncated".to_owned())?);
    if id != log_id {
        return Ok(None);
    }
    if u64::from(count) > length {
        return Err("truncated".to_owned());
    }
    let mut linkers = vec![0u8; count as usize];
    input.read_exact(&mut linkers).map_err(|e| e.to_string())?;
    if crc32fast::hash(&linkers) != crc {
        return Err("wrong checksum".to_owned());
    }
    // A key takes more than a byte.
    let filter = Filter::read(&mut input, length).map_err(|e| e.to_string())?;
    let weights = Weights::read_checkpoint(&mut input).map_err(|e| e.to_string())?;
    if weights.len() != count {
        return Err("its parts do not fit together".to_owned());
    }
    Ok(Some(Checkpoint { graph: Graph { weights, tips: Tips::restore(linkers) }, filter, last }))
}

/// Writes a storage file from its start.
struct Appender {
    file: Arc<dyn StorageFile>,
    at: u64,
}

impl Write for Appender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a storage file from its start.
struct Sequential {
    file: Arc<dyn StorageFile>,
    at: u64,
}

impl Read for Sequential {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = read_full_at(self.file.as_ref(), buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
