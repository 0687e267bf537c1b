//! The bytes of one log entry, and how they are told from anything else. No files here.

use super::LogPosition;

/// The longest payload, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// Bytes of an entry before its payload.
pub const ENTRY_HEADER_BYTES: usize = 16;

pub(super) const MAGIC: [u8; 4] = [0xf7, b'L', b'F', 0xe1];

/// The entry is the first of a commit: all before it was durable when it was written.
pub(super) const MARK_COMMIT: u16 = 1;
/// With [`MARK_COMMIT`]: the commit is the first since the log was opened, so the one before it may have been
/// interrupted and never acknowledged.
pub(super) const MARK_OPENED: u16 = 2;

/// What an entry holds. Kinds of later versions are kept and readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// 1: a record, exactly as on the wire.
    Record,
    /// 2: a pulse: its token (8 bytes, big-endian) and the 11 bytes it has on the wire.
    Pulse,
    /// 3: a durable fact of the store's own.
    Event,
    /// Any other number.
    Unknown(u8),
}

impl From<u8> for EntryKind {
    fn from(kind: u8) -> EntryKind {
        match kind {
            1 => EntryKind::Record,
            2 => EntryKind::Pulse,
            3 => EntryKind::Event,
            other => EntryKind::Unknown(other),
        }
    }
}

impl From<EntryKind> for u8 {
    fn from(kind: EntryKind) -> u8 {
        match kind {
            EntryKind::Record => 1,
            EntryKind::Pulse => 2,
            EntryKind::Event => 3,
            EntryKind::Unknown(other) => other,
        }
    }
}

/// An entry as it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the payload is.
    pub kind: EntryKind,
    /// The writer's own eight bits; the log gives them no meaning.
    pub flags: u8,
    /// The payload, exactly.
    pub payload: Vec<u8>,
}

impl Entry {
    /// Bytes the entry takes in the log. The entry after one at `position` is at `position + encoded_bytes()`
    /// unless a segment ended there.
    pub fn encoded_bytes(&self) -> u64 {
        (ENTRY_HEADER_BYTES + self.payload.len()) as u64
    }
}

/// A decoded entry header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) marks: u16,
    pub(super) payload_bytes: usize,
    crc: u32,
}

impl Header {
    /// The header at the start of `bytes`, if it can be one; its checksum is not looked at yet.
    pub(super) fn decode(bytes: &[u8]) -> Option<Header> {
        let bytes: &[u8; ENTRY_HEADER_BYTES] = bytes.first_chunk()?;
        let payload_bytes = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize;
        if bytes[..4] != MAGIC || payload_bytes > PAYLOAD_BYTES_MAX {
            return None;
        }
        Some(Header {
            kind: bytes[4],
            flags: bytes[5],
            marks: u16::from_le_bytes([bytes[6], bytes[7]]),
            payload_bytes,
            crc: u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]),
        })
    }

    pub(super) fn entry_bytes(&self) -> usize {
        ENTRY_HEADER_BYTES + self.payload_bytes
    }
}

/// Encodes and verifies entries of one log.
///
/// The checksum covers, besides the entry, the log's id and the entry's position. So bytes that look like an
/// entry are one only in this log and at this place: neither old blocks of the disk nor a payload made to look
/// like an entry (anybody may publish any bytes) can pass for one when the log is searched after damage.
#[derive(Debug, Clone)]
pub(super) struct Codec {
    seed: crc32fast::Hasher,
}

impl Codec {
    pub(super) fn new(log_id: &[u8; 16]) -> Codec {
        let mut seed = crc32fast::Hasher::new();
        seed.update(log_id);
        Codec { seed }
    }

    /// Appends the entry to `out`. The payload's length has been checked.
    pub(super) fn encode(
        &self,
        out: &mut Vec<u8>,
        position: LogPosition,
        kind: u8,
        flags: u8,
        marks: u16,
        payload: &[u8],
    ) {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[kind, flags]);
        out.extend_from_slice(&marks.to_le_bytes());
        out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        let crc = self.crc(position, &out[start..start + 12], payload);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(payload);
    }

    /// The header of the entry at `position`, if `bytes` starts with that whole entry, undamaged.
    pub(super) fn verify(&self, bytes: &[u8], position: LogPosition) -> Option<Header> {
        let header = Header::decode(bytes)?;
        let payload = bytes.get(ENTRY_HEADER_BYTES..header.entry_bytes())?;
        (self.crc(position, &bytes[..12], payload) == header.crc).then_some(header)
    }

    fn crc(&self, position: LogPosition, header: &[u8], payload: &[u8]) -> u32 {
        let mut crc = self.seed.clone();
        crc.update(&position.0.to_le_bytes());
        crc.update(header);
        crc.update(payload);
        crc.finalize()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn bytes_are_as_documented() {
        let mut out = vec![9];
        Codec::new(&[7; 16]).encode(&mut out, LogPosition(48), 1, 0xab, MARK_COMMIT, b"xyz");
        assert_eq!(out[1..13], [0xf7, b'L', b'F', 0xe1, 1, 0xab, 1, 0, 3, 0, 0, 0]);
        let covered = [&[7; 16][..], &48u64.to_le_bytes(), &out[1..13], b"xyz"].concat();
        assert_eq!(out[13..17], crc32fast::hash(&covered).to_le_bytes());
        assert_eq!(&out[17..], b"xyz");
    }

    #[test]
    fn only_the_same_bytes_in_the_same_place_are_an_entry() {
        let codec = Codec::new(&[7; 16]);
        let mut out = Vec::new();
        codec.encode(&mut out, LogPosition(1000), 2, 0, 0, b"some payload");
        let header = codec.verify(&out, LogPosition(1000)).unwrap();
        assert_eq!((header.kind, header.payload_bytes, header.entry_bytes()), (2, 12, out.len()));
        assert_eq!(codec.verify(&out, LogPosition(1001)), None);
        assert_eq!(Codec::new(&[8; 16]).verify(&out, LogPosition(1000)), None);
        for length in 0..out.len() {
            assert_eq!(codec.verify(&out[..length], LogPosition(1000)), None);
        }
        for bit in 0..out.len() * 8 {
            let mut flipped = out.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(codec.verify(&flipped, LogPosition(1000)), None, "bit {bit}");
        }
    }
}
