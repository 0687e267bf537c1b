//! `/v1/watch`: records as they become linked, as server-sent events. A watcher holds no queue: it remembers the next
//! index to look at and reads on from there when its client takes more, so a slow client costs nothing but its place.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header;
use axum::response::Response;
use futures_util::stream;
use lf_proto::api::{Query, QueryResult};
use tokio::sync::{OwnedSemaphorePermit, watch as signal};
use tracing::warn;

use super::Context;
use super::dispatch::Call;
use super::handlers::{parameter, parse};
use super::reply::{self, Reply};
use crate::{Failure, WatchPlan};

/// Events written at once.
const EVENTS_MAX: usize = 32;
/// What a client that lost its connection waits before it comes again.
const RETRY_MS: u32 = 2_000;
const EVENT_STREAM: &str = "text/event-stream";

/// What a watcher wants, from which index on.
pub(super) struct Watch {
    plan: WatchPlan,
    from: u32,
}

/// Handles `/v1/watch`.
pub(super) fn watch(context: &Context, call: &Call) -> Result<Reply, Failure> {
    let query: Query = match (&call.body, parameter(&call.query, "q")) {
        (Some(body), _) => parse(body)?,
        (None, Some(text)) => parse(text.as_bytes())?,
        (None, None) => {
            let message = "say what to watch: ?q= with a query as JSON, or POST the query";
            return Err(Failure::bad_request("ErrQueryRequiresSelectors", message));
        }
    };
    let plan = context.node.watch_plan(&query)?;
    let wrong =
        |what: &str| Failure::bad_request("ErrInvalidParameter", format!("{what} is not a record's index"));
    let linked = context.node.linked();
    let from = match (&call.last_event_id, parameter(&call.query, "from")) {
        (Some(id), _) => id.trim().parse::<u32>().map_err(|_| wrong("Last-Event-ID"))?.saturating_add(1),
        (None, Some(from)) => from.parse::<u32>().map_err(|_| wrong("from"))?,
        (None, None) => linked,
    };
    // An index from the future is one of a database that is no more: what comes next is all that can be meant.
    Ok(Reply::Watch(Watch { plan, from: from.min(linked) }))
}

/// A watcher that is being served.
struct Watcher {
    context: Arc<Context>,
    plan: WatchPlan,
    next: u32,
    linked: signal::Receiver<u32>,
    stopping: signal::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
}

impl Watch {
    pub(super) fn into_response(self, context: Arc<Context>, permit: OwnedSemaphorePermit) -> Response {
        let hello = format!("retry: {RETRY_MS}\n: watching from {}\n\n", self.from);
        let watcher = Watcher {
            linked: context.linked.clone(),
            stopping: context.stopping.clone(),
            plan: self.plan,
            next: self.from,
            context,
            _permit: permit,
        };
        let events = stream::unfold((Some(hello), Some(watcher)), |(hello, watcher)| async {
            let mut watcher = watcher?;
            if let Some(hello) = hello {
                return Some((Ok(hello), (None, Some(watcher))));
            }
            match watcher.events().await {
                Ok(Some(text)) => Some((Ok(text), (None, Some(watcher)))),
                Ok(None) => None,
                Err(failure) => {
                    warn!(error = %failure, "watch failed");
                    Some((Err(failure), (None, None)))
                }
            }
        });
        let mut response = Response::new(Body::from_stream(events));
        reply::describe(response.headers_mut(), EVENT_STREAM, false);
        response.headers_mut().remove(header::VARY);
        response
    }
}

impl Watcher {
    /// The next events, or a comment if there are none for a while; `None` when the server stops.
    async fn events(&mut self) -> Result<Option<String>, Failure> {
        loop {
            if *self.stopping.borrow() {
                return Ok(None);
            }
            self.linked.mark_unchanged();
            let (found, next) = self.look().await?;
            let progress = next > self.next;
            self.next = next;
            if !found.is_empty() {
                return Ok(Some(write_events(&found)?));
            }
            if progress {
                continue;
            }
            tokio::select! {
                changed = self.linked.changed() => if changed.is_err() { return Ok(None) },
                _ = self.stopping.changed() => {}
                () = tokio::time::sleep(self.context.limits.heartbeat) => return Ok(Some(": still here\n\n".to_owned())),
            }
        }
    }

    async fn look(&self) -> Result<(Vec<(u32, QueryResult)>, u32), Failure> {
        let closed = |_| Failure { status: 503, name: "", message: "the node is stopping".to_owned() };
        let place = self.context.looks.clone().acquire_owned().await.map_err(closed)?;
        let (node, plan, next) = (self.context.node.clone(), self.plan.clone(), self.next);
        let look = tokio::task::spawn_blocking(move || {
            let _place = place;
            node.watch_since(&plan, next, EVENTS_MAX)
        });
        look.await.unwrap_or_else(|e| Err(Failure::internal(e.to_string())))
    }
}

fn write_events(found: &[(u32, QueryResult)]) -> Result<String, Failure> {
    let mut text = String::new();
    for (index, result) in found {
        // JSON on one line: serde_json escapes every line break.
        let json = serde_json::to_string(result)
            .map_err(|e| Failure::internal(format!("cannot write JSON: {e}")))?;
        text.push_str(&format!("id: {index}\nevent: record\ndata: {json}\n\n"));
    }
    Ok(text)
}
