//! Accepting connections and serving each: HTTP/1.1, bounded head, bounded time, orderly end.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower_service::Service;
use tracing::{debug, warn};

use super::timed::Timed;
use super::{Context, reply, router};

/// Headers a request can have.
const HEADERS_MAX: usize = 64;
/// What is still taken from a client after the last answer, and for how long.
const LINGER_BYTES_MAX: usize = 512 << 10;
const LINGER_TIME_MAX: Duration = Duration::from_secs(1);

/// Accepts until the server stops, then waits for what is under way.
pub(super) async fn accept(context: Arc<Context>, listener: TcpListener) {
    let mut stopping = context.stopping.clone();
    let router = router(&context);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) if connections.len() < context.limits.connections_max => {
                connections.spawn(serve(context.clone(), router.clone(), stream, peer));
            }
            Ok((stream, peer)) => {
                debug!(%peer, "too many connections");
                // Whatever fits the socket's buffer at once; nobody waits for a client we have no room for.
                let _ = stream.try_write(&reply::bare(503, "too many connections: try again later"));
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

/// Serves one connection to its end.
async fn serve(context: Arc<Context>, router: Router, stream: TcpStream, peer: SocketAddr) {
    context.connections.fetch_add(1, Ordering::Relaxed);
    let _counted = Counted(context.clone());
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(Timed::new(stream, context.limits.stall_time_max));
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(context.limits.head_time_max)
        .max_buf_size(context.limits.head_bytes_max)
        .max_headers(HEADERS_MAX)
        .title_case_headers(true);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
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
async fn linger(mut stream: Timed) {
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
