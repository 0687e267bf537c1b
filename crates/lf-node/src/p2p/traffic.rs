//! How many bytes go over each connection, counted at the socket: with everything that encryption and framing add.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use libp2p::core::{ConnectedPoint, Multiaddr};
use libp2p::futures::{AsyncRead, AsyncWrite};

/// Bytes of a connection, or of all.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Counts {
    /// Bytes received and sent.
    pub(crate) fn get(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.sent.load(Ordering::Relaxed))
    }
}

/// The counts of connections that are being made, to be found when they are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traffic {
    pub(crate) total: Arc<Counts>,
    making: Arc<Mutex<HashMap<Multiaddr, Weak<Counts>>>>,
}

impl Traffic {
    /// A socket whose bytes are counted.
    pub(crate) fn count<S>(&self, socket: S, endpoint: &ConnectedPoint) -> Counted<S> {
        let counts = Arc::new(Counts::default());
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        making.retain(|_, counts| counts.strong_count() > 0);
        making.insert(key(endpoint), Arc::downgrade(&counts));
        Counted { socket, counts, total: self.total.clone() }
    }

    /// The counts of a connection that was just made.
    pub(crate) fn take(&self, endpoint: &ConnectedPoint) -> Arc<Counts> {
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        making.remove(&key(endpoint)).and_then(|counts| counts.upgrade()).unwrap_or_default()
    }
}

/// The remote address, without the peer's name.
fn key(endpoint: &ConnectedPoint) -> Multiaddr {
    endpoint.get_remote_address().iter().take(2).collect()
}

/// A socket whose bytes are counted.
#[derive(Debug)]
pub(crate) struct Counted<S> {
    socket: S,
    counts: Arc<Counts>,
    total: Arc<Counts>,
}

impl<S> Counted<S> {
    fn sent(&self, result: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(count)) = result {
            self.counts.sent.fetch_add(*count as u64, Ordering::Relaxed);
            self.total.sent.fetch_add(*count as u64, Ordering::Relaxed);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_read(cx, buffer);
        if let Poll::Ready(Ok(count)) = result {
            self.counts.received.fetch_add(count as u64, Ordering::Relaxed);
            self.total.received.fetch_add(count as u64, Ordering::Relaxed);
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.sent(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write_vectored(cx, parts);
        self.sent(&result);
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use libp2p::futures::executor::block_on;
    use libp2p::futures::io::Cursor;
    use libp2p::futures::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn bytes_are_counted_for_each_connection_and_for_all() {
        let traffic = Traffic::default();
        let point = |port: u16| ConnectedPoint::Listener {
            local_addr: "/ip4/127.0.0.1/tcp/1".parse().unwrap(),
            send_back_addr: format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap(),
        };
        let mut one = traffic.count(Cursor::new(vec![0; 10]), &point(1));
        let mut two = traffic.count(Cursor::new(vec![0; 10]), &point(2));
        block_on(one.read_exact(&mut [0; 4])).unwrap();
        block_on(two.write_all(&[1; 7])).unwrap();
        assert_eq!(traffic.take(&point(1)).get(), (4, 0));
        assert_eq!(traffic.take(&point(2)).get(), (0, 7));
        assert_eq!(traffic.take(&point(2)).get(), (0, 0), "taken once");
        assert_eq!(traffic.total.get(), (4, 7));
    }
}
