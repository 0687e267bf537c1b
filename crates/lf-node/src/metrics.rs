//! What `/metrics` tells: counts of requests with their times, and the node's own counters, in Prometheus' text form.
//! Every label value comes from a fixed set, so the number of series is bounded.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::p2p::P2pHandle;
use crate::{Failure, Node};

/// The media type of the text form.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds of the histogram of answer times.
const BOUNDS_MS: [u64; 10] = [1, 2, 5, 10, 25, 50, 100, 250, 1_000, 10_000];

/// Requests by path and status, and how long they took.
#[derive(Debug, Default)]
pub(crate) struct HttpMetrics {
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    times: Mutex<BTreeMap<&'static str, Times>>,
}

#[derive(Debug, Default, Clone)]
struct Times {
    buckets: [u64; BOUNDS_MS.len()],
    count: u64,
    sum: Duration,
}

impl HttpMetrics {
    /// Counts one answer. `path` is an endpoint's, never what a client sent.
    pub(crate) fn observe(&self, path: &'static str, status: u16, elapsed: Duration) {
        *lock(&self.requests).entry((path, status)).or_default() += 1;
        let mut times = lock(&self.times);
        let times = times.entry(path).or_default();
        times.count += 1;
        times.sum += elapsed;
        for (bucket, bound_ms) in times.buckets.iter_mut().zip(BOUNDS_MS) {
            *bucket += u64::from(elapsed <= Duration::from_millis(bound_ms));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the server knows of itself now.
#[derive(Debug)]
pub(crate) struct Gauges {
    pub(crate) connections: usize,
    pub(crate) watchers: usize,
    /// Until when the certificate for HTTPS is valid, seconds since 1970, if there is one.
    pub(crate) certificate_until: Option<u64>,
}

/// Everything, as text.
pub(crate) fn exposition(
    node: &Node,
    p2p: Option<&P2pHandle>,
    http: &HttpMetrics,
    gauges: &Gauges,
) -> Result<String, Failure> {
    let status = node.status()?;
    let counters = node.counters();
    let mut out = Exposition(String::with_capacity(8 << 10));
    out.one(
        "lf_build_info",
        "gauge",
        "Always 1; the labels tell the program.",
        &[("version", env!("CARGO_PKG_VERSION"))],
        1.0,
    );
    out.plain("lf_uptime_seconds", "gauge", "Seconds since the node started.", status.uptime as f64);
    out.plain(
        "lf_clock_seconds",
        "gauge",
        "The node's clock, seconds since 1970: records that seem to come from the future are refused.",
        status.clock as f64,
    );
    out.plain("lf_records", "gauge", "Linked records.", status.record_count as f64);
    out.plain("lf_record_bytes", "gauge", "Bytes of linked records.", status.data_size as f64);
    out.plain(
        "lf_records_pending",
        "gauge",
        "Records that wait for others they link to.",
        status.pending_count as f64,
    );
    out.plain(
        "lf_records_limbo",
        "gauge",
        "Records that wait for their approval, a certificate or an amendment.",
        status.limbo_count as f64,
    );
    out.plain("lf_tips", "gauge", "Linked records that no record links to.", node.reader().tips() as f64);
    out.plain(
        "lf_graph_bytes",
        "gauge",
        "Memory of the graph of weights.",
        node.reader().graph_bytes() as f64,
    );
    let log = node.reader().log_stats();
    out.plain("lf_log_bytes", "gauge", "Bytes of the log of records.", log.bytes as f64);
    out.plain("lf_log_segments", "gauge", "Files of the log of records.", log.segments as f64);
    let free = node.disk_free_bytes();
    for (name, help, value) in [
        ("lf_disk_free_bytes", "Bytes free on the disk of the home.", free),
        (
            "lf_disk_needed_bytes",
            "Below so many free bytes the node accepts no writes.",
            Some(lf_store::FREE_BYTES_MIN),
        ),
        (
            "lf_resident_bytes",
            "Memory of the process that is resident, mapped files not included.",
            lf_platform::resident_bytes(),
        ),
    ] {
        if let Some(value) = value {
            out.plain(name, "gauge", help, value as f64);
        }
    }
    if let Some(time) = lf_platform::processor_time() {
        let help = "Processor time of the process, in user and system mode.";
        out.plain("lf_processor_seconds_total", "counter", help, time.as_secs_f64());
    }
    let [clients, peers_waiting] = node.checks_waiting();
    let name = "lf_checks_waiting";
    out.family(name, "gauge", "Records whose signature and work wait to be checked, by who sent them.");
    out.sample(name, &[("from", "client")], clients as f64);
    out.sample(name, &[("from", "peer")], peers_waiting as f64);
    out.plain(
        "lf_log_lines_lost_total",
        "counter",
        "Lines that could not be written to node.log, as where the disk is full.",
        crate::runtime::log_lines_lost() as f64,
    );
    let writable = f64::from(u8::from(status.read_only_reason.is_empty()));
    out.plain("lf_writable", "gauge", "1 if the node accepts writes, 0 if not.", writable);
    out.plain(
        "lf_records_accepted_total",
        "counter",
        "New records accepted.",
        counters.records_accepted as f64,
    );
    out.plain(
        "lf_records_duplicate_total",
        "counter",
        "Records received again.",
        counters.records_duplicate as f64,
    );
    out.family("lf_records_refused_total", "counter", "Records refused, by error name.");
    for (name, count) in &counters.records_refused {
        out.sample("lf_records_refused_total", &[("reason", name)], *count as f64);
    }
    out.plain("lf_queries_total", "counter", "Queries answered.", counters.queries as f64);
    out.plain(
        "lf_pulses_accepted_total",
        "counter",
        "Pulses that were news.",
        counters.pulses_accepted as f64,
    );
    out.plain("lf_pulses_refused_total", "counter", "Pulses that were not.", counters.pulses_refused as f64);
    out.plain(
        "lf_store_errors_total",
        "counter",
        "Writes that failed on the node's side.",
        counters.store_errors as f64,
    );
    if let Some(p2p) = p2p {
        peers(&mut out, p2p);
    }
    out.plain("lf_http_connections", "gauge", "Connections open now.", gauges.connections as f64);
    out.plain("lf_http_watchers", "gauge", "Watchers connected now.", gauges.watchers as f64);
    if let Some(until) = gauges.certificate_until {
        out.plain(
            "lf_https_certificate_expires_seconds",
            "gauge",
            "When the certificate for HTTPS ends, seconds since 1970.",
            until as f64,
        );
    }
    out.family("lf_http_requests_total", "counter", "Requests by path and status.");
    for ((path, status), count) in lock(&http.requests).iter() {
        out.sample(
            "lf_http_requests_total",
            &[("path", path), ("status", &status.to_string())],
            *count as f64,
        );
    }
    let name = "lf_http_request_seconds";
    out.family(name, "histogram", "Time to an answer's first byte, by path.");
    for (path, times) in lock(&http.times).iter() {
        for (count, bound_ms) in times.buckets.iter().zip(BOUNDS_MS) {
            let le = (bound_ms as f64 / 1000.0).to_string();
            out.sample("lf_http_request_seconds_bucket", &[("path", path), ("le", &le)], *count as f64);
        }
        out.sample("lf_http_request_seconds_bucket", &[("path", path), ("le", "+Inf")], times.count as f64);
        out.sample("lf_http_request_seconds_sum", &[("path", path)], times.sum.as_secs_f64());
        out.sample("lf_http_request_seconds_count", &[("path", path)], times.count as f64);
    }
    Ok(out.0)
}

fn peers(out: &mut Exposition, p2p: &P2pHandle) {
    let (network, sync) = (p2p.network(), p2p.sync());
    let count = |outbound| network.peers.iter().filter(|peer| peer.outbound == outbound).count() as f64;
    out.family("lf_peers", "gauge", "Connected peers.");
    out.sample("lf_peers", &[("direction", "in")], count(false));
    out.sample("lf_peers", &[("direction", "out")], count(true));
    let alone = network.alone_for.as_secs_f64();
    out.plain(
        "lf_peers_none_seconds",
        "gauge",
        "How long no peer has been connected; 0 while one is, since the start if none ever was.",
        alone,
    );
    out.plain("lf_peers_known", "gauge", "Peers whose addresses are known.", network.known_peers as f64);
    let t = network.totals;
    out.family("lf_peer_bytes_total", "counter", "Bytes on connections with peers.");
    out.sample("lf_peer_bytes_total", &[("direction", "in")], t.received_bytes as f64);
    out.sample("lf_peer_bytes_total", &[("direction", "out")], t.sent_bytes as f64);
    for (name, help, value) in [
        ("lf_peer_questions_asked_total", "Questions asked.", t.asked),
        ("lf_peer_questions_unanswered_total", "Questions asked that got no answer.", t.unanswered),
        ("lf_peer_questions_answered_total", "Questions of peers answered.", t.answered),
        ("lf_gossip_received_total", "Gossip messages received, without duplicates.", t.gossip_received),
        ("lf_gossip_published_total", "Gossip messages of our own.", t.gossip_published),
        ("lf_gossip_records_new_total", "Records announced to us that were new.", sync.gossip_new),
        ("lf_peer_bans_total", "Bans pronounced.", t.bans),
        ("lf_peer_denied_total", "Connections not let in by bans and limits of addresses.", t.denied),
    ] {
        out.plain(name, "counter", help, value as f64);
    }
    let synchronized = f64::from(u8::from(sync.synchronized));
    out.plain(
        "lf_sync_synchronized",
        "gauge",
        "1 if nothing is known to be missing, 0 if not.",
        synchronized,
    );
    out.plain("lf_sync_missing", "gauge", "Records to fetch, as far as known.", sync.missing as f64);
    out.plain("lf_sync_fetched", "gauge", "Records fetched of those that were missing.", sync.fetched as f64);
}

struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        if !labels.is_empty() {
            let pairs: Vec<String> =
                labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escape(value))).collect();
            let _ = write!(self.0, "{{{}}}", pairs.join(","));
        }
        let _ = writeln!(self.0, " {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.family(name, kind, help);
        self.sample(name, labels, value);
    }

    fn plain(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.one(name, kind, help, &[], value);
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_written_as_prometheus_reads_them() {
        let mut out = Exposition(String::new());
        out.one("a_total", "counter", "Some.", &[("path", "/x\"\\\n")], 3.0);
        out.plain("b", "gauge", "More.", 0.5);
        let expected = "# HELP a_total Some.\n# TYPE a_total counter\na_total{path=\"/x\\\"\\\\\\n\"} 3\n\
                        # HELP b More.\n# TYPE b gauge\nb 0.5\n";
        assert_eq!(out.0, expected);
    }

    #[test]
    fn buckets_are_cumulative() {
        let metrics = HttpMetrics::default();
        for ms in [0, 2, 3, 60_000] {
            metrics.observe("/x", 200, Duration::from_millis(ms));
        }
        let times = lock(&metrics.times)["/x"].clone();
        assert_eq!(times.buckets[..4], [1, 2, 3, 3]);
        assert_eq!((times.buckets[9], times.count), (3, 4));
        assert_eq!(lock(&metrics.requests)[&("/x", 200)], 4);
    }
}
