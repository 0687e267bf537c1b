//! Following new records as server-sent events (`GET /v1/watch`).

use std::io::{BufRead, BufReader, Read};

use lf_proto::api::QueryResult;
use lf_proto::json;

use crate::client::wrong;
use crate::find::{Target, targets};
use crate::http::Request;
use crate::{Client, ClientError, Find, FoundRecord, Url};

/// A longer line ends the stream: a record as JSON is smaller.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// A stream of new records. Iterate; it ends with an error when the connection does.
pub struct Watch {
    url: Url,
    find: Find,
    targets: Vec<Target>,
    lines: BufReader<Box<dyn Read + Send>>,
}

/// A record that was just linked.
#[derive(Debug, Clone)]
pub struct WatchEvent {
    /// Where in the node's stream it is: give it to [`Client::watch`] to go on after it.
    pub id: Option<String>,
    /// The record, checked and unmasked.
    pub record: FoundRecord,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Client {
    /// Watches for new records that match. `after` is the id of the last event seen, if any. Owners and times are
    /// looked at here; oracles and limits do not apply.
    ///
    /// # Errors
    /// No answer, or a refused request.
    pub fn watch(&self, find: &Find, after: Option<&str>) -> Result<Watch, ClientError> {
        let targets = targets(&find.selectors, &self.names)?;
        let body = serde_json::to_vec(&find.query(&targets)).unwrap_or_default();
        let request = Request::Post { content_type: "application/json", body: &body };
        let mut headers = vec![("accept", "text/event-stream".to_owned())];
        if let Some(id) = after {
            headers.push(("last-event-id", id.to_owned()));
        }
        let (url, body) = self.transport.stream("/v1/watch", &request, &headers)?;
        let lines = BufReader::new(Box::new(body) as Box<dyn Read + Send>);
        Ok(Watch { url, find: find.clone(), targets, lines })
    }
}

impl Watch {
    /// The node that is watched.
    pub fn url(&self) -> &Url {
        &self.url
    }

    fn next_event(&mut self) -> Result<WatchEvent, ClientError> {
        loop {
            let event = read_event(&mut self.lines).map_err(|problem| ClientError::Unreachable {
                url: self.url.to_string(),
                problem: problem.to_string(),
            })?;
            if event.data.is_empty() || !matches!(event.kind.as_str(), "" | "message" | "record") {
                continue;
            }
            let result: QueryResult =
                json::from_slice(event.data.as_bytes()).map_err(|e| wrong(&self.url, e.to_string()))?;
            let wanted_time = self.find.time_from.is_none_or(|from| result.record.timestamp >= from)
                && self.find.time_to.is_none_or(|to| result.record.timestamp <= to);
            let wanted_owner = self.find.owners.is_empty() || self.find.owners.contains(&result.record.owner);
            if !wanted_time || !wanted_owner {
                continue;
            }
            let record =
                self.find.check(&self.targets, result).map_err(|problem| wrong(&self.url, problem))?;
            return Ok(WatchEvent { id: event.id, record });
        }
    }
}

impl Iterator for Watch {
    type Item = Result<WatchEvent, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_event())
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct RawEvent {
    kind: String,
    id: Option<String>,
    data: String,
}

/// Reads one event of a server-sent event stream.
fn read_event(lines: &mut impl BufRead) -> Result<RawEvent, &'static str> {
    let mut event = RawEvent::default();
    let mut some = false;
    loop {
        let mut line = Vec::new();
        let read =
            lines.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(|_| "the connection broke")?;
        if read == 0 {
            return Err("the node ended the stream");
        }
        if line.pop() != Some(b'\n') {
            return Err("a line without end");
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let line = String::from_utf8(line).map_err(|_| "a line that is not UTF-8")?;
        if line.is_empty() {
            if some {
                return Ok(event);
            }
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if !event.data.is_empty() {
                    event.data.push('\n');
                }
                if (event.data.len() + value.len()) as u64 > LINE_BYTES_MAX {
                    return Err("an event too large");
                }
                event.data.push_str(value);
            }
            "event" => value.clone_into(&mut event.kind),
            "id" => event.id = Some(value.to_owned()),
            // Comments, which keep the connection alive, and what we do not know.
            _ => continue,
        }
        some = true;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn event_streams() {
        let mut text: &[u8] =
            b": hello\n\nid: 7\r\nevent: record\r\ndata: {\ndata: }\n\n:ping\n\ndata:x\n\nda";
        let event = read_event(&mut text).unwrap();
        let expected = RawEvent { kind: "record".into(), id: Some("7".into()), data: "{\n}".into() };
        assert_eq!(event, expected);
        assert_eq!(read_event(&mut text).unwrap().data, "x");
        assert!(read_event(&mut text).is_err());
        assert!(read_event(&mut text).is_err());
        let long = vec![b'a'; LINE_BYTES_MAX as usize + 10];
        assert_eq!(read_event(&mut &long[..]), Err("a line without end"));
    }
}
