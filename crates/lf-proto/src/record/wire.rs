//! The byte reader and writer of records: bounded, strict, without panics. Varints only in their shortest form.

use super::DecodeError;

/// Reads typed fields off a byte slice; every error names the field.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    read: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes, read: 0 }
    }

    /// The number of bytes read so far.
    pub(super) fn position(&self) -> usize {
        self.read
    }

    pub(super) fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated(field))?;
        self.rest = tail;
        self.read += count;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated(field))?;
        self.rest = tail;
        self.read += N;
        Ok(*head)
    }

    pub(super) fn byte(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(field).map(|[b]| b)
    }

    /// An unsigned LEB128 integer below 2⁶⁴ in its shortest form.
    pub(super) fn varint(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for i in 0..10u32 {
            let byte = self.byte(field)?;
            if i == 9 && byte > 1 {
                return Err(DecodeError::Varint(field));
            }
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                if byte == 0 && i > 0 {
                    return Err(DecodeError::Varint(field));
                }
                return Ok(value);
            }
        }
        Err(DecodeError::Varint(field))
    }

    /// A varint length of at most `max` and as many bytes.
    pub(super) fn counted(&mut self, max: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.varint(field)?;
        match usize::try_from(length) {
            Ok(length) if length <= max => self.take(length, field),
            _ => Err(DecodeError::Length { field, length }),
        }
    }
}

/// Appends a varint in its shortest form.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The number of bytes [`put_varint`] writes.
pub(super) fn varint_bytes(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}
