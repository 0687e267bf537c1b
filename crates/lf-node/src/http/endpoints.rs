//! The table of endpoints. The router and the OpenAPI document are both built from it, so neither can know a path that
//! the other does not.

use axum::http::Method;

use super::dispatch::Call;
use super::reply::Reply;
use super::{Context, handlers, watch};
use crate::Failure;

/// Which methods an endpoint takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verbs {
    /// GET and HEAD.
    Read,
    /// POST and PUT.
    Write,
    /// All four.
    Both,
}

impl Verbs {
    /// Whether a request of this method has a body; `None` if it is not taken at all.
    pub(super) fn takes(self, method: &Method) -> Option<bool> {
        let read = method == Method::GET || method == Method::HEAD;
        let write = method == Method::POST || method == Method::PUT;
        match self {
            Verbs::Read => read.then_some(false),
            Verbs::Write => write.then_some(true),
            Verbs::Both => (read || write).then_some(write),
        }
    }

    /// The `Allow` header.
    pub(super) fn allow(self) -> &'static str {
        match self {
            Verbs::Read => "GET, HEAD",
            Verbs::Write => "POST, PUT",
            Verbs::Both => "GET, HEAD, POST, PUT",
        }
    }
}

/// Which limit on work at once a request counts towards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Short work.
    Request,
    /// Proof of work.
    Make,
    /// A dump.
    Dump,
    /// A watcher.
    Watch,
}

/// What a body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing.
    Empty,
    /// JSON of the named schema.
    Json(&'static str),
    /// JSON: lists of lists of the named schema.
    JsonSets(&'static str),
    /// JSON of any shape.
    AnyJson,
    /// Bytes.
    Octets,
    /// Text of this media type.
    Text(&'static str),
}

/// A parameter of a path or query.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// `path`, `query` or `header`.
    pub(super) place: &'static str,
    /// Whether it must be there; one that stands for a body, where there is none.
    pub(super) required: bool,
    pub(super) about: &'static str,
}

/// One path.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// As the router takes it: at most one parameter, at its end.
    pub(super) path: &'static str,
    pub(super) verbs: Verbs,
    pub(super) trusted: bool,
    pub(super) lane: Lane,
    pub(super) body_bytes_max: usize,
    /// Runs on a thread that may block.
    pub(super) handler: fn(&Context, &Call) -> Result<Reply, Failure>,
    /// Asked before that, on the connection's thread, which saves two changes of threads: `None` leaves it to the handler.
    /// Must take well below a millisecond.
    pub(super) at_once: fn(&Context, &Call) -> Result<Option<Reply>, Failure>,
    pub(super) about: &'static str,
    pub(super) parameters: &'static [Parameter],
    pub(super) request: Content,
    pub(super) answer: Content,
    /// Statuses of its own, besides those any endpoint can answer.
    pub(super) errors: &'static [u16],
}

const COUNT: Parameter = Parameter {
    name: "count",
    place: "query",
    required: false,
    about: "how many: by default what the network asks of a record, at most 15",
};
const HASH: Parameter =
    Parameter { name: "hash", place: "path", required: true, about: "the record's hash: = and base62" };
const OWNER: Parameter =
    Parameter { name: "owner", place: "path", required: true, about: "the owner: @ and base62" };
const WATCHED: Parameter = Parameter {
    name: "q",
    place: "query",
    required: true,
    about: "for GET: the Query as JSON, percent-encoded",
};
const FROM: Parameter = Parameter {
    name: "from",
    place: "query",
    required: false,
    about: "the index to begin with; by default only records that become linked from now on",
};
const DUMP_FROM: Parameter = Parameter {
    name: "from",
    place: "query",
    required: true,
    about: "the index to go on with: how many records have come",
};
const DUMP_AFTER: Parameter = Parameter {
    name: "after",
    place: "query",
    required: true,
    about: "the hash of the last record that has come",
};
const GRAPH_FROM: Parameter = Parameter {
    name: "from",
    place: "query",
    required: false,
    about: "the index to begin with; by default the newest records come",
};
const GRAPH_COUNT: Parameter = Parameter {
    name: "count",
    place: "query",
    required: false,
    about: "how many records; 100 by default, 2,000 at most",
};
const ISSUER: Parameter = Parameter {
    name: "issuer",
    place: "query",
    required: true,
    about: "the authority's serial number, base62",
};
const CERTIFICATES_AFTER: Parameter = Parameter {
    name: "after",
    place: "query",
    required: false,
    about: "where to go on: the Next of the page before",
};
const CERTIFICATES_COUNT: Parameter = Parameter {
    name: "count",
    place: "query",
    required: false,
    about: "how many certificates, about; 100 by default, 1,000 at most",
};
const LAST_EVENT: Parameter = Parameter {
    name: "Last-Event-ID",
    place: "header",
    required: false,
    about: "the index of the last record seen; sent by clients that come again",
};

/// One of each kind, so that the entries below say only what is special.
const READ: Endpoint = Endpoint {
    path: "",
    verbs: Verbs::Read,
    trusted: false,
    lane: Lane::Request,
    body_bytes_max: 0,
    handler: handlers::status,
    at_once: |_, _| Ok(None),
    about: "",
    parameters: &[],
    request: Content::Empty,
    answer: Content::Octets,
    errors: &[],
};
const WRITE: Endpoint = Endpoint { verbs: Verbs::Write, request: Content::Octets, errors: &[400], ..READ };

/// A query's ranges, owners and oracles have a bounded number; names may be long, but not that long.
const QUERY_BYTES_MAX: usize = 256 << 10;

/// All endpoints.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        path: "/query",
        handler: handlers::query,
        at_once: handlers::small_query,
        body_bytes_max: QUERY_BYTES_MAX,
        about: "Finds records: result sets, best record first; [] if nothing matches.",
        request: Content::Json("Query"),
        answer: Content::JsonSets("QueryResult"),
        ..WRITE
    },
    Endpoint {
        path: "/post",
        handler: handlers::post,
        // Twice what a record can have, so that one too large is refused by name.
        body_bytes_max: 2 * lf_proto::record::RECORD_BYTES_MAX,
        about: "Publishes one binary record; one that is known already is a success.",
        answer: Content::Json("Record"),
        errors: &[400, 507],
        ..WRITE
    },
    Endpoint {
        path: "/pulse",
        handler: handlers::pulse,
        body_bytes_max: 1 << 10,
        about: "Publishes a pulse: its 11 bytes; what follows is ignored. Accepted is false if it is no news or unusable.",
        answer: Content::Json("Made"),
        errors: &[400, 507],
        ..WRITE
    },
    Endpoint {
        path: "/makerecord",
        handler: handlers::make_record,
        trusted: true,
        lane: Lane::Make,
        body_bytes_max: 1 << 20,
        about: "Makes, works, signs and publishes a record. May take as long as the work does.",
        request: Content::Json("MakeRecord"),
        answer: Content::Json("Made"),
        errors: &[400, 403, 507],
        ..WRITE
    },
    Endpoint {
        path: "/makepulse",
        handler: handlers::make_pulse,
        trusted: true,
        lane: Lane::Make,
        body_bytes_max: 1 << 20,
        about: "Makes and publishes a pulse of an owner's newest record; a new record if that is too old.",
        request: Content::Json("MakeRecord"),
        answer: Content::Json("Made"),
        errors: &[400, 403, 507],
        ..WRITE
    },
    Endpoint {
        path: "/connect",
        handler: handlers::peers::connect,
        trusted: true,
        body_bytes_max: 4 << 10,
        about: "Names a peer to connect to, now and whenever the connection is lost, for as long as the node runs.",
        request: Content::Json("Peer"),
        answer: Content::Empty,
        errors: &[400, 403],
        ..WRITE
    },
    Endpoint {
        path: "/record/{hash}",
        handler: handlers::record,
        about: "A record by its hash.",
        parameters: &[HASH],
        answer: Content::Json("Record"),
        errors: &[404],
        ..READ
    },
    Endpoint {
        path: "/record/raw/{hash}",
        handler: handlers::record_raw,
        about: "A record's bytes by its hash.",
        parameters: &[HASH],
        errors: &[404],
        ..READ
    },
    Endpoint {
        path: "/links",
        handler: handlers::links,
        about: "Hashes for a new record to link to, 32 bytes each.",
        parameters: &[COUNT],
        ..READ
    },
    Endpoint {
        path: "/status",
        handler: handlers::status,
        about: "The node's state.",
        answer: Content::Json("NodeStatus"),
        ..READ
    },
    Endpoint {
        path: "/owner/{owner}",
        handler: handlers::owner,
        about: "What the node knows of an owner.",
        parameters: &[OWNER],
        answer: Content::Json("OwnerStatus"),
        errors: &[400, 404],
        ..READ
    },
    Endpoint {
        path: "/dumprecords",
        handler: handlers::dump,
        lane: Lane::Dump,
        about: "All linked records, concatenated, links before linkers: a bootstrap file.",
        ..READ
    },
    Endpoint {
        path: "/v1/genesis",
        handler: handlers::genesis,
        about: "The network's genesis.lf: what a node needs in its home to join.",
        ..READ
    },
    Endpoint {
        path: "/v1/records",
        handler: handlers::records,
        lane: Lane::Dump,
        about: "What is left of /dumprecords for who was cut off. 404 if the record before is another here: begin again.",
        parameters: &[DUMP_FROM, DUMP_AFTER],
        errors: &[400, 404],
        ..READ
    },
    Endpoint {
        path: "/v1/explain",
        handler: handlers::explain,
        body_bytes_max: QUERY_BYTES_MAX,
        about: "All candidates of a query's result sets, what speaks for and against each, why the winner wins, and how \
                weak that is. Limit is ignored.",
        request: Content::Json("Query"),
        answer: Content::Json("Explanation"),
        ..WRITE
    },
    Endpoint {
        path: "/v1/work",
        handler: handlers::work,
        trusted: true,
        lane: Lane::Make,
        body_bytes_max: 4 << 10,
        about: "Searches for proof of work on all cores, for a client that signs on its own. Takes as long as the work \
                does; a client that hangs up ends it.",
        request: Content::Json("WorkRequest"),
        answer: Content::Json("WorkAnswer"),
        errors: &[400, 403],
        ..WRITE
    },
    Endpoint {
        path: "/v1/watch",
        verbs: Verbs::Both,
        handler: watch::watch,
        lane: Lane::Watch,
        body_bytes_max: QUERY_BYTES_MAX,
        about: "Records as they become linked that match a query's Ranges and Owners: server-sent events named record, \
                each with a QueryResult and the record's index as its id. Comes again where it left with Last-Event-ID.",
        parameters: &[WATCHED, FROM, LAST_EVENT],
        request: Content::Json("Query"),
        answer: Content::Text("text/event-stream"),
        errors: &[400],
        ..READ
    },
    Endpoint {
        path: "/v1/graph",
        handler: handlers::graph,
        about: "Linked records with their links and weights, by index: what a picture of the graph needs.",
        parameters: &[GRAPH_FROM, GRAPH_COUNT],
        answer: Content::Json("GraphPage"),
        errors: &[400],
        ..READ
    },
    Endpoint {
        path: "/v1/certificates",
        handler: handlers::certificates,
        about: "What an authority has issued, with what is revoked, in pages, in the order in which it was linked here.",
        parameters: &[ISSUER, CERTIFICATES_AFTER, CERTIFICATES_COUNT],
        answer: Content::Json("CertificateList"),
        errors: &[400],
        ..READ
    },
    Endpoint {
        path: "/v1/peers",
        handler: handlers::peers::list,
        about: "Addresses of peers that were reached lately and that the asker could reach, 32 at most.",
        answer: Content::Json("PeerList"),
        ..READ
    },
    Endpoint {
        path: "/v1/peers/status",
        handler: handlers::peers::peers_status,
        trusted: true,
        about: "Connected peers and bans.",
        answer: Content::Json("PeersStatus"),
        errors: &[403],
        ..READ
    },
    Endpoint {
        path: "/v1/peers/ban",
        handler: handlers::peers::ban,
        trusted: true,
        body_bytes_max: 4 << 10,
        about: "Closes a peer's or an IP address's connections and keeps it out for some time.",
        request: Content::Json("BanRequest"),
        answer: Content::Empty,
        errors: &[400, 403, 409],
        ..WRITE
    },
    Endpoint {
        path: "/v1/peers/unban",
        handler: handlers::peers::unban,
        trusted: true,
        body_bytes_max: 4 << 10,
        about: "Ends a ban.",
        request: Content::Json("BanRequest"),
        answer: Content::Empty,
        errors: &[400, 403, 404, 409],
        ..WRITE
    },
    Endpoint {
        path: "/v1/openapi.json",
        handler: handlers::openapi,
        about: "This document.",
        answer: Content::AnyJson,
        ..READ
    },
    Endpoint {
        path: "/metrics",
        handler: handlers::metrics,
        about: "Counters and gauges for Prometheus.",
        answer: Content::Text(crate::metrics::CONTENT_TYPE),
        ..READ
    },
];
