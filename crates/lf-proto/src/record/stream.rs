//! Cutting a stream of concatenated records (a bootstrap file, a dump, a download) into records, whatever pieces the
//! stream comes in.

use super::{DecodeError, RECORD_BYTES_MAX, Record};

/// Used bytes are thrown away once there are so many, so that each byte is moved about once.
const USED_BYTES_MAX: usize = 1 << 20;

/// Takes pieces of a stream and gives its records. Holds little more than the largest piece and one record.
///
/// ```
/// # use lf_proto::record::RecordStream;
/// # let (mut pieces, mut stream) = (vec![Vec::new()].into_iter(), RecordStream::default());
/// while stream.wants_more() {
///     match pieces.next() {
///         Some(piece) => stream.push(&piece),
///         None => stream.end(),
///     }
/// }
/// assert_eq!(stream.next_record(), Ok(None));
/// ```
#[derive(Debug, Default)]
pub struct RecordStream {
    buffer: Vec<u8>,
    /// How much of the buffer is used already.
    used: usize,
    /// Where the buffer begins in the stream.
    base: u64,
    ended: bool,
}

impl RecordStream {
    /// Whether the next record may not be here as a whole: push more, or tell the end.
    pub fn wants_more(&self) -> bool {
        !self.ended && self.buffer.len() - self.used < RECORD_BYTES_MAX
    }

    /// Takes the stream's next piece.
    pub fn push(&mut self, piece: &[u8]) {
        if self.used >= USED_BYTES_MAX || self.used == self.buffer.len() {
            self.buffer.drain(..self.used);
            self.base += self.used as u64;
            self.used = 0;
        }
        self.buffer.extend_from_slice(piece);
    }

    /// Says that there is no more.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Bytes of the stream in the records given so far: where the next one begins.
    pub fn offset(&self) -> u64 {
        self.base + self.used as u64
    }

    /// The next record; `None` at the end of the stream, or while [`wants_more`](Self::wants_more).
    ///
    /// # Errors
    /// What follows is no record in full form, and where it begins [`offset`](Self::offset) says. Nothing after it can
    /// be told apart.
    pub fn next_record(&mut self) -> Result<Option<Record>, DecodeError> {
        let rest = self.buffer.get(self.used..).unwrap_or_default();
        if rest.is_empty() || self.wants_more() {
            return Ok(None);
        }
        let (record, used) = Record::decode_first(rest)?;
        self.used += used;
        Ok(Some(record))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::owner::{OwnerSecret, OwnerType};
    use crate::record::{RecordBuilder, RecordType};

    fn record(value: &[u8]) -> Record {
        let owner = OwnerSecret::from_seed(OwnerType::Ed25519, b"stream");
        let builder = RecordBuilder {
            record_type: RecordType::Datum,
            value,
            masking_key: Some(b""),
            selectors: &[],
            links: &[],
            timestamp: 1,
            with_pulse_token: false,
        };
        builder.build(&owner).unwrap().sign(&owner, None)
    }

    fn read(bytes: &[u8], piece_bytes: usize) -> (Vec<Record>, u64, Option<DecodeError>) {
        let (mut stream, mut records) = (RecordStream::default(), Vec::new());
        let mut pieces = bytes.chunks(piece_bytes);
        loop {
            while stream.wants_more() {
                match pieces.next() {
                    Some(piece) => stream.push(piece),
                    None => stream.end(),
                }
            }
            match stream.next_record() {
                Ok(Some(record)) => records.push(record),
                Ok(None) => return (records, stream.offset(), None),
                Err(e) => return (records, stream.offset(), Some(e)),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn pieces_of_any_size_give_the_same_records(
            seeds in prop::collection::vec((0usize..40_000, any::<u8>()), 0..12),
            piece_bytes in 1usize..300_000,
            cut: prop::sample::Index,
        ) {
            // Values that do not compress, so that the stream outgrows the buffer.
            let records: Vec<Record> = seeds.iter().map(|(size, seed)| {
                let mut state = u64::from(*seed);
                let value: Vec<u8> = (0..*size).map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8
                }).collect();
                record(&value)
            }).collect();
            let bytes: Vec<u8> = records.iter().flat_map(|r| r.as_bytes().to_vec()).collect();
            let (read_back, offset, error) = read(&bytes, piece_bytes);
            prop_assert_eq!(&read_back, &records);
            prop_assert_eq!((offset, error), (bytes.len() as u64, None));

            // Cut anywhere: all whole records, and an error unless the cut is between two.
            let cut = cut.index(bytes.len() + 1);
            let (whole, offset, error) = read(&bytes[..cut], piece_bytes);
            let mut end = 0;
            let fit = records.iter().take_while(|r| { end += r.as_bytes().len(); end <= cut }).count();
            prop_assert_eq!(&whole[..], &records[..fit]);
            prop_assert!(offset <= cut as u64);
            prop_assert_eq!(error.is_some(), offset < cut as u64);
        }
    }
}
