//! Questions and answers on a stream: a length of four bytes, big-endian, and so many bytes. What they mean is not known
//! here. Memory grows with what has arrived, not with the length that is claimed.

use std::io;

use libp2p::StreamProtocol;
use libp2p::futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::request_response;

/// How a protocol's questions and answers are read and written.
#[derive(Debug, Clone)]
pub(crate) struct Codec {
    /// Bytes of a question, at most.
    pub(crate) question_bytes_max: usize,
    /// Bytes of an answer, at most.
    pub(crate) answer_bytes_max: usize,
}

async fn read<T: AsyncRead + Unpin + Send>(io: &mut T, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length);
    if usize::try_from(length).map_or(true, |length| length > bytes_max) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message is too long"));
    }
    let mut bytes = Vec::new();
    io.take(u64::from(length)).read_to_end(&mut bytes).await?;
    if bytes.len() != length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

async fn write<T: AsyncWrite + Unpin + Send>(io: &mut T, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    io.write_all(&length.to_be_bytes()).await?;
    io.write_all(bytes).await?;
    io.flush().await
}

impl request_response::Codec for Codec {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(io, self.question_bytes_max).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(io, self.answer_bytes_max).await
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, question: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, &question).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, answer: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, &answer).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use libp2p::futures::executor::block_on;
    use libp2p::futures::io::Cursor;

    #[test]
    fn messages_are_read_as_written_and_bounded() {
        for bytes in [vec![], vec![7; 10], vec![9; 70_000]] {
            let mut wire = Vec::new();
            block_on(write(&mut wire, &bytes)).unwrap();
            let mut more = wire.clone();
            more.push(1);
            assert_eq!(block_on(read(&mut Cursor::new(&more), bytes.len())).unwrap(), bytes);
            let cut = &wire[..wire.len() - 1];
            assert!(block_on(read(&mut Cursor::new(cut), bytes.len())).is_err());
            if !bytes.is_empty() {
                assert!(block_on(read(&mut Cursor::new(&wire), bytes.len() - 1)).is_err());
            }
        }
        // A length alone makes nobody allocate: there is nothing behind it.
        assert!(block_on(read(&mut Cursor::new([0xff; 4]), usize::MAX)).is_err());
    }
}
