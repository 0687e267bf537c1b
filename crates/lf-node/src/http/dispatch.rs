//! What happens around a handler: method, trust, body within bounds, a place among those at work, a thread that may
//! block, the answer's headers, and the count of it all.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use futures_util::stream;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::OwnedSemaphorePermit;
use tracing::{debug, error};
use zeroize::Zeroizing;

use super::endpoints::{Endpoint, Lane};
use super::reply::{self, DumpChunks, Reply};
use super::{Client, Context, trust};
use crate::Failure;

/// The most of a path that an error message repeats.
const PATH_SHOWN_CHARS: usize = 200;
/// A larger answer is not compressed on the connection's thread.
const GZIP_AT_ONCE_BYTES: usize = 16 << 10;

/// A request that passed all checks that need no handler.
pub(super) struct Call {
    /// The path, for messages.
    pub(super) path: String,
    /// What stands for the path's parameter, percent-decoded; empty if it has none.
    pub(super) param: String,
    /// What follows the `?`.
    pub(super) query: String,
    /// Whose request it is.
    pub(super) peer: Option<IpAddr>,
    /// The `Last-Event-ID` header.
    pub(super) last_event_id: Option<String>,
    /// The body; none for a GET.
    pub(super) body: Option<Zeroizing<Vec<u8>>>,
    /// Becomes true when nobody waits for the answer any more.
    pub(super) cancel: Arc<AtomicBool>,
}

/// Raises a flag when it goes.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Serves a request to an endpoint.
pub(super) async fn serve(context: Arc<Context>, endpoint: &'static Endpoint, request: Request) -> Response {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let head = parts.method == Method::HEAD;
    let method = parts.method.clone();
    let mut response = match answer(&context, endpoint, parts, body).await {
        Ok(response) => response,
        Err(failure) => {
            if failure.status >= 500 && failure.status != 503 {
                error!(path = endpoint.path, status = failure.status, error = %failure, "request failed");
            }
            let mut response = reply::failure(&failure);
            if failure.status == 405 {
                response
                    .headers_mut()
                    .insert(header::ALLOW, HeaderValue::from_static(endpoint.verbs.allow()));
            }
            response
        }
    };
    reply::stamp(response.headers_mut());
    let elapsed = started.elapsed();
    context.metrics.observe(endpoint.path, response.status().as_u16(), elapsed);
    debug!(%method, path = endpoint.path, status = response.status().as_u16(), ?elapsed, "request");
    if head {
        drop_body(&mut response);
    }
    response
}

/// Leaves of an answer what HEAD asks for. Without a known length it stays one of unknown length.
pub(super) fn drop_body(response: &mut Response) {
    *response.body_mut() = if response.headers().contains_key(header::CONTENT_LENGTH) {
        Body::empty()
    } else {
        Body::from_stream(stream::empty::<Result<bytes::Bytes, Failure>>())
    };
}

/// The answer where no endpoint is.
pub(super) async fn not_found(context: Arc<Context>, request: Request) -> Response {
    let failure = no_such(request.uri().path());
    let mut response = reply::failure(&failure);
    reply::stamp(response.headers_mut());
    context.metrics.observe("other", failure.status, std::time::Duration::ZERO);
    if request.method() == Method::HEAD {
        drop_body(&mut response);
    }
    response
}

/// The failure of asking for what is not there.
pub(super) fn no_such(path: &str) -> Failure {
    let shown: String = path.chars().take(PATH_SHOWN_CHARS).collect();
    Failure { status: 404, name: "", message: format!("{shown} not found") }
}

async fn answer(
    context: &Arc<Context>,
    endpoint: &'static Endpoint,
    parts: Parts,
    body: Body,
) -> Result<Response, Failure> {
    let fail = |status, message: &str| Failure { status, name: "", message: message.to_owned() };
    let Some(with_body) = endpoint.verbs.takes(&parts.method) else {
        return Err(fail(405, &format!("{} not supported for this path", parts.method)));
    };
    if endpoint.trusted {
        let client = parts.extensions.get::<Client>();
        if !client.is_some_and(|client| trust::is_trusted(&parts, *client, &context.token)) {
            return Err(fail(
                403,
                "only trusted clients can do this: ones on this machine, or with its authtoken.secret",
            ));
        }
    }
    let path = parts.uri.path();
    let literal = endpoint.path.split('{').next().unwrap_or_default();
    let encoded = path.get(literal.len()..).unwrap_or_default();
    let param =
        percent_encoding::percent_decode_str(encoded).decode_utf8().map_err(|_| no_such(path))?.into_owned();
    let body = if with_body { Some(read_body(context, endpoint, &parts, body).await?) } else { None };
    let cancel = Arc::new(AtomicBool::new(false));
    let call = Call {
        path: path.to_owned(),
        param,
        query: parts.uri.query().unwrap_or_default().to_owned(),
        peer: parts.extensions.get::<Client>().map(|client| client.address.ip()),
        last_event_id: parts.headers.get("last-event-id").and_then(|v| v.to_str().ok()).map(str::to_owned),
        body,
        cancel: cancel.clone(),
    };
    let permit = place(context, endpoint.lane).await?;
    let gzip = reply::wants_gzip(&parts.headers);
    let hit_a_bug = || Failure::internal("the request hit a bug in the node: please report it");
    match catch_unwind(AssertUnwindSafe(|| (endpoint.at_once)(context, &call))).map_err(|_| hit_a_bug())?? {
        Some(Reply::Full { content_type, body }) => {
            let costs = gzip && body.len() > GZIP_AT_ONCE_BYTES;
            let full = move || reply::full(StatusCode::OK, content_type, body, gzip);
            return if costs {
                tokio::task::spawn_blocking(full).await.map_err(|_| hit_a_bug())
            } else {
                Ok(full())
            };
        }
        // Only what is whole is there at once.
        Some(Reply::Dump(_) | Reply::Watch(_)) | None => {}
    }
    let _guard = CancelOnDrop(cancel);
    let work = tokio::task::spawn_blocking({
        let context = context.clone();
        move || {
            let reply = (endpoint.handler)(&context, &call)?;
            Ok(match reply {
                // The place is free when the work is done, even if nobody waited for it.
                Reply::Full { content_type, body } => reply::full(StatusCode::OK, content_type, body, gzip),
                Reply::Dump(dump) => streamed_dump(DumpChunks::new(dump, gzip), gzip, permit),
                Reply::Watch(watch) => watch.into_response(context, permit),
            })
        }
    });
    let mut stopping = context.stopping.clone();
    let stop = async { drop(stopping.wait_for(|stop| *stop).await) };
    let done = tokio::select! {
        done = work => done,
        () = tokio::time::sleep(context.limits.answer_time_max), if endpoint.lane != Lane::Make => {
            return Err(fail(503, "the answer takes too long: ask for less"));
        }
        () = stop, if endpoint.lane == Lane::Make => {
            return Err(fail(503, "the node is stopping"));
        }
    };
    done.unwrap_or_else(|_| Err(hit_a_bug()))
}

/// Reads a body within the endpoint's bounds.
async fn read_body(
    context: &Context,
    endpoint: &Endpoint,
    parts: &Parts,
    body: Body,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let max = endpoint.body_bytes_max;
    let fail = |status, message: String| Failure { status, name: "", message };
    let too_large = || fail(413, format!("the body is larger than the {max} bytes this path takes"));
    let announced =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > max as u64) {
        return Err(too_large());
    }
    let collected =
        tokio::time::timeout(context.limits.body_time_max, Limited::new(body, max).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(Zeroizing::new(Vec::from(body.to_bytes()))),
        Ok(Err(e)) if e.downcast_ref::<LengthLimitError>().is_some() => Err(too_large()),
        Ok(Err(e)) => Err(fail(400, format!("cannot read the body: {e}"))),
        Err(_) => Err(fail(408, "the body did not arrive in time".to_owned())),
    }
}

/// Waits for a place among those at work.
async fn place(context: &Context, lane: Lane) -> Result<OwnedSemaphorePermit, Failure> {
    let busy = |message: &str| Failure { status: 503, name: "", message: message.to_owned() };
    match lane {
        Lane::Request | Lane::Make => {
            let places = if lane == Lane::Make { &context.makes } else { &context.requests };
            let wait = tokio::time::timeout(context.limits.wait_time_max, places.clone().acquire_owned());
            wait.await
                .ok()
                .and_then(Result::ok)
                .ok_or_else(|| busy("too many requests at once: try again later"))
        }
        Lane::Dump => context
            .dumps
            .clone()
            .try_acquire_owned()
            .map_err(|_| busy("too many dumps at once: try again later")),
        Lane::Watch => context
            .watchers
            .clone()
            .try_acquire_owned()
            .map_err(|_| busy("too many watchers: try again later")),
    }
}

/// A dump, produced as fast as the client takes it.
fn streamed_dump(chunks: DumpChunks, gzip: bool, permit: OwnedSemaphorePermit) -> Response {
    let chunks = stream::unfold(Some((chunks, permit)), |state| async {
        let (mut chunks, permit) = state?;
        let step = tokio::task::spawn_blocking(move || {
            let next = chunks.next();
            (next, chunks)
        });
        match step.await {
            Ok((Ok(Some(chunk)), chunks)) => Some((Ok(chunk), Some((chunks, permit)))),
            Ok((Ok(None), _)) => None,
            Ok((Err(failure), _)) => {
                error!(error = %failure, "dump failed");
                // The client sees the connection break: a dump that is cut must not look whole.
                Some((Err(failure), None))
            }
            Err(e) => Some((Err(Failure::internal(e.to_string())), None)),
        }
    });
    let mut response = Response::new(Body::from_stream(chunks));
    reply::describe(response.headers_mut(), reply::OCTETS, gzip);
    response
}
