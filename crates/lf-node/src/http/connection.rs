//! Accepting connections and serving each: HTTP/1.1, bounded head, bounded time, orderly end.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower_service::Service;
use tracing::{debug, warn};

use super::timed::Timed;
use super::tls::Acceptor;
use super::{Client, Context, network_of, reply, router};

/// Headers a request can have.
const HEADERS_MAX: usize = 64;
/// What is still taken from a client after the last answer, and for how long.
const LINGER_BYTES_MAX: usize = 512 << 10;
const LINGER_TIME_MAX: Duration = Duration::from_secs(1);

/// Accepts until the server stops, then waits for what is under way. Every listening socket has its own bounds, so that
/// a crowd at the public one leaves the local one free.
pub(super) async fn accept(context: Arc<Context>, listener: TcpListener, acceptor: Option<Acceptor>) {
    let mut stopping = context.stopping.clone();
    let router = router(&context);
    let mut connections = JoinSet::new();
    let crowds = Arc::new(Crowds::default());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                // A socket for both kinds of addresses shows IPv4 ones mapped.
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                let place = (connections.len() < context.limits.connections_max)
                    .then(|| crowds.enter(peer.ip(), context.limits.connections_per_network_max));
                if let Some(Some(place)) = place {
                    connections.spawn(serve(
                        context.clone(),
                        router.clone(),
                        acceptor.clone(),
                        stream,
                        peer,
                        place,
                    ));
                    continue;
                }
                debug!(%peer, "too many connections");
                if acceptor.is_none() {
                    // Whatever fits the socket's buffer at once; nobody waits for a client we have no room for.
                    let _ = stream.try_write(&reply::bare(503, "too many connections: try again later"));
                }
            }
            Err(error) => {
                // Out of file descriptors, most likely: accepting at once again would only burn time.
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(context.limits.stop_time_max, all).await.is_err() {
        warn!("some requests did not end in time and were dropped");
    }
}

/// Counts a connection while it lasts.
struct Counted(Arc<Context>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many connections each network has.
#[derive(Debug, Default)]
struct Crowds(Mutex<HashMap<IpAddr, usize>>);

/// One of a network's connections, while it lasts. None for this machine, whose connections are not counted.
struct Place(Option<(Arc<Crowds>, IpAddr)>);

impl Crowds {
    /// A place, if this client's network has fewer than `max` already.
    fn enter(self: &Arc<Self>, peer: IpAddr, max: usize) -> Option<Place> {
        if peer.is_loopback() {
            return Some(Place(None));
        }
        let network = network_of(peer);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&network).copied().unwrap_or_default();
        if count >= max {
            return None;
        }
        counts.insert(network, count + 1);
        Some(Place(Some((self.clone(), network))))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((crowds, network)) = self.0.take() else { return };
        let mut counts = crowds.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&network) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&network)),
        }
    }
}

/// Serves one connection to its end.
async fn serve(
    context: Arc<Context>,
    router: Router,
    acceptor: Option<Acceptor>,
    stream: TcpStream,
    peer: SocketAddr,
    _place: Place,
) {
    context.connections.fetch_add(1, Ordering::Relaxed);
    let _counted = Counted(context.clone());
    let _ = stream.set_nodelay(true);
    // Below TLS, so that what a slow client does take counts byte by byte.
    let stream = Timed::new(stream, context.limits.stall_time_max);
    let client = Client { address: peer, tls: acceptor.is_some() };
    let Some(acceptor) = acceptor else { return serve_http(context, router, stream, client).await };
    let mut stopping = context.stopping.clone();
    let handshake = tokio::time::timeout(context.limits.handshake_time_max, acceptor.accept(stream));
    let shaken = tokio::select! {
        shaken = handshake => shaken,
        _ = stopping.wait_for(|stop| *stop) => return,
    };
    match shaken {
        Ok(Ok(Some(stream))) => serve_http(context, router, stream, client).await,
        Ok(Ok(None)) => debug!(%peer, "ACME challenge seen"),
        Ok(Err(error)) => debug!(%peer, %error, "TLS handshake failed"),
        Err(_) => debug!(%peer, "TLS handshake not done in time"),
    }
}

/// Serves HTTP on a connection, encrypted or not, to its end.
async fn serve_http<S>(context: Arc<Context>, router: Router, stream: S, client: Client)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = client.address;
    let io = TokioIo::new(stream);
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(context.limits.head_time_max)
        .max_buf_size(context.limits.head_bytes_max)
        .max_headers(HEADERS_MAX)
        .title_case_headers(true);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(client);
        router.clone().call(request.map(Body::new))
    });
    let mut connection = builder.serve_connection(io, service);
    let mut stopping = context.stopping.clone();
    let stop = async { drop(stopping.wait_for(|stop| *stop).await) };
    let ended = tokio::select! {
        ended = &mut connection => Some(ended),
        () = stop => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner();
    if let Err(error) = ended {
        debug!(%peer, %error, "connection ended early");
        // A connection that is idle between requests just ends; half a request gets its answer.
        if error.is_timeout() && !parts.read_buf.is_empty() {
            let answer = reply::bare(408, "the request's head did not arrive in time");
            let _ = tokio::time::timeout(LINGER_TIME_MAX, stream.write_all(&answer)).await;
        }
    }
    let _ = tokio::time::timeout(LINGER_TIME_MAX, linger(stream)).await;
}

/// Takes what the client was still sending. Closing over unread bytes would reset the connection, and the client might
/// never see the answer that says why.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut discarded = [0; 4 << 10];
    let mut left = LINGER_BYTES_MAX;
    if stream.shutdown().await.is_err() {
        return;
    }
    while left > 0 {
        match stream.read(&mut discarded).await {
            Ok(0) | Err(_) => return,
            Ok(count) => left = left.saturating_sub(count),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_network_has_so_many_places() {
        let crowds = Arc::new(Crowds::default());
        let enter = |ip: &str| crowds.enter(ip.parse().unwrap(), 2);
        let first = enter("192.0.2.1").unwrap();
        let _second = enter("::ffff:192.0.2.1").unwrap();
        assert!(enter("192.0.2.1").is_none());
        let _other = enter("192.0.2.2").unwrap();
        drop(first);
        let _third = enter("192.0.2.1").unwrap();
        assert!(enter("192.0.2.1").is_none());
        let six = [enter("2001:db8::1").unwrap(), enter("2001:db8::2").unwrap()];
        assert!(enter("2001:db8::3").is_none());
        assert!(enter("2001:db8:0:1::3").is_some());
        drop(six);
        let local: Vec<_> = (0..10).map(|_| enter("127.0.0.1")).collect();
        assert!(local.iter().all(Option::is_some));
        // What is gone takes no memory.
        assert_eq!(crowds.0.lock().unwrap().len(), 2);
    }
}
