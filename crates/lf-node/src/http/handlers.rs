//! The endpoints' handlers: text in, one call of the node, JSON or bytes out. They run on threads that may block,
//! but for what is answered at once.

pub(super) mod peers;

use std::sync::PoisonError;
use std::time::Instant;

use base64::Engine as _;
use lf_proto::api::{MakeRecord, Query, RecordJson, WorkRequest};
use lf_proto::cert::Serial;
use lf_proto::hash::Hash;
use lf_proto::owner::OwnerPublic;
use lf_proto::pulse::{PULSE_MINUTES_MAX, Pulse};
use lf_proto::record::{LINKS_MAX, Record};
use serde::de::DeserializeOwned;

use super::dispatch::{Call, no_such};
use super::reply::Reply;
use super::{Context, network_of};
use crate::{Failure, metrics};

/// What checking one pulse may cost, in hash steps: the longest chain there is and some reading, about 8 ms.
const PULSE_STEPS_MAX: u64 = PULSE_MINUTES_MAX as u64 + 10_000;

/// A query with a larger body is not answered on the connection's thread.
const SMALL_QUERY_BYTES: usize = 4 << 10;
/// Nor is one that matches more records.
const SMALL_QUERY_RECORDS: usize = 16;

/// Reads a JSON body.
pub(super) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Failure> {
    lf_proto::json::from_slice(text)
        .map_err(|e| Failure::bad_request("ErrInvalidObject", format!("invalid or malformed payload: {e}")))
}

/// The first query parameter of this name.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn body(call: &Call) -> &[u8] {
    call.body.as_ref().map_or(&[], |body| body.as_slice())
}

pub(super) fn query(context: &Context, call: &Call) -> Result<Reply, Failure> {
    let query: Query = parse(body(call))?;
    Reply::json(&context.node.query(&query)?)
}

/// A query for a name or two, by their keys, which is what most are: names as such cost arithmetic.
pub(super) fn small_query(context: &Context, call: &Call) -> Result<Option<Reply>, Failure> {
    if body(call).len() > SMALL_QUERY_BYTES {
        return Ok(None);
    }
    let query: Query = parse(body(call))?;
    if query.ranges.iter().any(|range| range.key_range.is_empty()) {
        return Ok(None);
    }
    context.node.query_if_small(&query, SMALL_QUERY_RECORDS)?.map(|answer| Reply::json(&answer)).transpose()
}

pub(super) fn explain(context: &Context, call: &Call) -> Result<Reply, Failure> {
    let query: Query = parse(body(call))?;
    let mut status = context.node.status()?;
    peers::complete(&mut status, context);
    Reply::json(&context.node.explain(&query, status.fully_synchronized)?)
}

pub(super) fn post(context: &Context, call: &Call) -> Result<Reply, Failure> {
    let record = context.node.post(body(call))?;
    Reply::json(&RecordJson::from(&record))
}

pub(super) fn pulse(context: &Context, call: &Call) -> Result<Reply, Failure> {
    let given = body(call);
    let Some(bytes) = given.get(..Pulse::BYTES) else {
        let message = format!("a pulse has {} bytes, the body has {}", Pulse::BYTES, given.len());
        return Err(Failure::bad_request("ErrInvalidParameter", message));
    };
    let source = call.peer.map(network_of);
    let allowances = || context.pulse_allowances.lock().unwrap_or_else(PoisonError::into_inner);
    let mut steps = allowances().take(source, PULSE_STEPS_MAX, Instant::now());
    let made = context.node.pulse(bytes, &mut steps);
    allowances().give_back(&source, steps);
    let mut made = made?;
    if made.pulse.is_empty() {
        made.pulse = base64::engine::general_purpose::STANDARD.encode(bytes);
    }
    Reply::json(&made)
}

pub(super) fn make_record(context: &Context, call: &Call) -> Result<Reply, Failure> {
    let request: MakeRecord = parse(body(call))?;
    Reply::json(&context.node.make_record(&request, &call.cancel)?)
}

pub(super) fn make_pulse(context: &Context, call: &Call) -> Result<Reply, Failure> {
    let request: MakeRecord = parse(body(call))?;
    Reply::json(&context.node.make_pulse(&request, &call.cancel)?)
}

pub(super) fn work(context: &Context, call: &Call) -> Result<Reply, Failure> {
    let request: WorkRequest = parse(body(call))?;
    Reply::json(&context.node.work(&request, &call.cancel)?)
}

fn find_record(context: &Context, call: &Call) -> Result<Record, Failure> {
    // What is no hash is the hash of no record.
    let hash: Hash = call.param.parse().map_err(|_| no_such(&call.path))?;
    context.node.record(&hash)?.ok_or_else(|| Failure { name: "ErrRecordNotFound", ..no_such(&call.path) })
}

pub(super) fn record(context: &Context, call: &Call) -> Result<Reply, Failure> {
    Reply::json(&RecordJson::from(&find_record(context, call)?))
}

pub(super) fn record_raw(context: &Context, call: &Call) -> Result<Reply, Failure> {
    Ok(Reply::octets(find_record(context, call)?.as_bytes().to_vec()))
}

pub(super) fn links(context: &Context, call: &Call) -> Result<Reply, Failure> {
    let count = links_count(parameter(&call.query, "count").as_deref());
    let links = context.node.links(count)?;
    Ok(Reply::octets(links.iter().flat_map(|hash| *hash.as_bytes()).collect()))
}

/// How many links `count` asks for: none or empty is the default, what is no number above 0 is 1, 15 at most.
fn links_count(text: Option<&str>) -> Option<usize> {
    let text = text.filter(|text| !text.is_empty())?;
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    // Digits that are too many for a number are surely more than 15.
    let number = if digits { text.parse::<usize>().unwrap_or(LINKS_MAX) } else { 1 };
    Some(number.clamp(1, LINKS_MAX))
}

pub(super) fn status(context: &Context, _: &Call) -> Result<Reply, Failure> {
    let mut status = context.node.status()?;
    status.identity = context.identity.clone();
    if let Some(oracle) = context.oracle {
        status.oracle = Some(oracle.owner);
        status.oracle_threads = oracle.threads as u64;
    }
    peers::complete(&mut status, context);
    if let Some(certificates) = &context.certificates {
        status.https_until = certificates.not_after();
        status.https_problem = certificates.problem();
    }
    Reply::json(&status)
}

pub(super) fn owner(context: &Context, call: &Call) -> Result<Reply, Failure> {
    if call.param.len() < 2 || !call.param.starts_with('@') {
        return Err(no_such(&call.path));
    }
    let owner: OwnerPublic = call
        .param
        .parse()
        .map_err(|e| Failure::bad_request("ErrInvalidPublicKey", format!("invalid owner: {e}")))?;
    Reply::json(&context.node.owner_status(&owner)?)
}

/// Records on a page of the graph if nothing else is asked for.
const GRAPH_COUNT: usize = 100;

pub(super) fn graph(context: &Context, call: &Call) -> Result<Reply, Failure> {
    let wrong = |problem: &str| Failure::bad_request("ErrInvalidParameter", problem);
    let number = |name: &str| {
        let text = parameter(&call.query, name).filter(|text| !text.is_empty());
        text.map(|text| text.parse::<u32>()).transpose()
    };
    let from = number("from").map_err(|_| wrong("from is no record's index"))?;
    let count = number("count").map_err(|_| wrong("count is no number: give how many records"))?;
    Reply::json(&context.node.graph(from, count.map_or(GRAPH_COUNT, |count| count as usize))?)
}

/// Certificates on a page if nothing else is asked for.
const CERTIFICATES_COUNT: usize = 100;

pub(super) fn certificates(context: &Context, call: &Call) -> Result<Reply, Failure> {
    let wrong = |problem: &str| Failure::bad_request("ErrInvalidParameter", problem);
    let issuer = parameter(&call.query, "issuer").and_then(|text| text.parse().ok());
    let issuer: Serial =
        issuer.ok_or_else(|| wrong("no usable issuer: give the serial number of an authority in base62"))?;
    let number = |name: &str| {
        let text = parameter(&call.query, name).filter(|text| !text.is_empty());
        text.map(|text| text.parse::<u64>()).transpose()
    };
    let after = number("after").map_err(|_| wrong("after is no number: give the Next of the page before"))?;
    let count = number("count").map_err(|_| wrong("count is no number: give how many certificates"))?;
    let count = count.map_or(CERTIFICATES_COUNT, |count| usize::try_from(count).unwrap_or(usize::MAX));
    Reply::json(&context.node.certificates(&issuer, after, count)?)
}

pub(super) fn dump(context: &Context, _: &Call) -> Result<Reply, Failure> {
    Ok(Reply::Dump(context.node.dump()))
}

pub(super) fn genesis(context: &Context, _: &Call) -> Result<Reply, Failure> {
    Ok(Reply::octets(context.node.genesis().to_bytes()))
}

pub(super) fn records(context: &Context, call: &Call) -> Result<Reply, Failure> {
    let wrong = |name: &str| {
        Failure::bad_request(
            "ErrInvalidParameter",
            format!("no usable {name}: an index and a hash are needed"),
        )
    };
    let from = parameter(&call.query, "from").and_then(|text| text.parse().ok());
    let from: u32 = from.ok_or_else(|| wrong("from"))?;
    let after = parameter(&call.query, "after").and_then(|text| text.parse().ok());
    let after: Hash = after.ok_or_else(|| wrong("after"))?;
    Ok(Reply::Dump(context.node.dump_from(from, &after)?))
}

pub(super) fn metrics(context: &Context, _: &Call) -> Result<Reply, Failure> {
    let gauges = metrics::Gauges {
        connections: context.connections.load(std::sync::atomic::Ordering::Relaxed),
        certificate_until: context.certificates.as_ref().and_then(|certificates| certificates.not_after()),
        watchers: context.limits.watchers_max.saturating_sub(context.watchers.available_permits()),
    };
    let text = metrics::exposition(&context.node, context.p2p.as_ref(), &context.metrics, &gauges)?;
    Ok(Reply::Full { content_type: metrics::CONTENT_TYPE, body: text.into_bytes() })
}

pub(super) fn openapi(_: &Context, _: &Call) -> Result<Reply, Failure> {
    Reply::json(super::openapi::document())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_of_links_is_read_as_the_reference_reads_it() {
        assert_eq!(links_count(None), None);
        assert_eq!(links_count(Some("")), None);
        for (text, count) in [("0", 1), ("1", 1), ("2", 2), ("15", 15), ("16", 15), ("100", 15)] {
            assert_eq!(links_count(Some(text)), Some(count), "{text}");
        }
        for (text, count) in [("-1", 1), ("abc", 1), ("1x", 1), (" 3", 1), ("99999999999999999999", 15)] {
            assert_eq!(links_count(Some(text)), Some(count), "{text}");
        }
    }
}
