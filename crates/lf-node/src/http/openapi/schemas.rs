//! The JSON types of API.md §1, described. A test serializes each type of `lf_proto::api` with every member present and
//! compares: a member that is missing here, or is no more, fails it.

use serde_json::{Map, Value, json};

/// A reference to a schema.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

#[derive(Clone, Copy)]
enum Kind {
    /// Bytes: text, or `\b` and base62.
    Blob,
    /// `=` and base62 of 32 bytes.
    Hash,
    /// `@` and base62.
    Owner,
    /// `\b` and base62 of 16 bytes.
    Ordinal,
    Text,
    U64,
    Number,
    Flag,
    /// A fixed number of numbers.
    Numbers(u32),
    /// Any of the named schemas.
    Is(&'static str),
    /// A list.
    List(&'static Kind),
}

use Kind::{Blob, Flag, Hash, Is, List, Number, Numbers, Ordinal, Owner, Text, U64};

impl Kind {
    fn schema(self) -> Value {
        match self {
            Blob => reference("Blob"),
            Hash => reference("Hash"),
            Owner => reference("Owner"),
            Ordinal => reference("Ordinal"),
            Text => json!({ "type": "string" }),
            U64 => json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX }),
            Number => json!({ "type": "number" }),
            Flag => json!({ "type": "boolean" }),
            Numbers(count) => {
                json!({ "type": "array", "items": U64.schema(), "minItems": count, "maxItems": count })
            }
            Is(name) => reference(name),
            List(kind) => json!({ "type": "array", "items": kind.schema() }),
        }
    }
}

struct Member {
    name: &'static str,
    kind: Kind,
    /// Always there in what the node writes, or needed in what it reads.
    required: bool,
    about: &'static str,
}

const fn always(name: &'static str, kind: Kind, about: &'static str) -> Member {
    Member { name, kind, required: true, about }
}

const fn maybe(name: &'static str, kind: Kind, about: &'static str) -> Member {
    Member { name, kind, required: false, about }
}

struct Schema {
    name: &'static str,
    about: &'static str,
    members: &'static [Member],
}

const SCHEMAS: &[Schema] = &[
    Schema {
        name: "Query",
        about: "A query. Range i applies to a record's i-th selector.",
        members: &[
            always("Ranges", List(&Is("QueryRange")), "Conditions on the selectors, in order."),
            maybe("TimeRange", List(&U64), "[from] or [from, to], seconds since 1970, both included."),
            maybe("MaskingKey", Blob, "Unmasks values; by default the first range's Name."),
            maybe("Owners", List(&Owner), "Only records of these owners."),
            maybe(
                "SortOrder",
                Text,
                "trust (default: what this node thinks), weight, timestamp, or deterministic (weight, then hash; the same \
                 on all synchronized nodes); all descending.",
            ),
            maybe("Limit", U64, "The most records of each result set; 0 means all."),
            maybe("Open", Flag, "Whether records may have more selectors than there are ranges."),
            maybe("Oracles", List(&Owner), "Oracles whose comments count."),
            maybe(
                "FollowRotations",
                Flag,
                "Whether all owners who named a successor are followed, not just those certified by one authority.",
            ),
        ],
    },
    Schema {
        name: "QueryRange",
        about: "A condition on one selector: a name with ordinals, or keys, which keep the name secret from the node.",
        members: &[
            maybe("Name", Blob, "The selector's plain name."),
            maybe("Range", List(&U64), "[ordinal] or [from, to], both included; none means 0."),
            maybe("KeyRange", List(&Blob), "[key] or [from, to], 32 bytes each; takes the place of Name."),
        ],
    },
    Schema {
        name: "QueryResult",
        about: "One record of an answer.",
        members: &[
            always("Hash", Hash, "The record's hash."),
            always("Size", U64, "Its bytes."),
            always("Record", Is("Record"), "The newest revision of its owner."),
            maybe("Value", Blob, "The plain value, if the node could unmask it."),
            always(
                "Pulse",
                U64,
                "The time of the last pulse, seconds since 1970; the timestamp if there was none.",
            ),
            always("Trust", Number, "0 to 1."),
            always("LocalTrust", Number, "What this node thinks: 1 or 0."),
            always("OracleTrust", Number, "What the oracles asked think, 0 to 1."),
            always("Weight", Numbers(4), "The revisions' summed weight, most significant 32 bits first."),
            always("Signed", Flag, "Whether the owner has a valid certificate at the record's time."),
        ],
    },
    Schema {
        name: "Explanation",
        about: "Why a query's winners win.",
        members: &[
            always("Sets", List(&Is("ExplainedSet")), "The result sets, in order."),
            always("SortOrder", Text, "How the candidates are sorted."),
            always("Time", U64, "The node's clock, seconds since 1970."),
        ],
    },
    Schema {
        name: "ExplainedSet",
        about: "One result set.",
        members: &[
            always("Candidates", List(&Is("ExplainedCandidate")), "All candidates, the winner first."),
            always("Because", Text, "One sentence on why the winner wins."),
            maybe("Warnings", List(&Text), "Why the answer is weak, a sentence each."),
        ],
    },
    Schema {
        name: "ExplainedCandidate",
        about: "What one owner has in a result set.",
        members: &[
            always("Result", Is("QueryResult"), "As /query answers it."),
            always("Age", U64, "The newest revision's age in seconds."),
            always("Revisions", U64, "This owner's revisions in the set."),
            always("Reputation", U64, "63 good, 48 links to a newer record, 0 another owner was first here."),
            always("WeightShare", Number, "Its part of the set's weight, 0 to 1."),
            always(
                "RecordsOnTop",
                Number,
                "Work on top, as multiples of what the newest revision itself scores.",
            ),
            always("Difficulty", U64, "Of the newest revision's work; 0 without."),
            always("Certified", Text, "The owner's certificate at the record's time: yes, no or revoked."),
            maybe("DeniedBy", List(&Owner), "The oracles asked that say it collides with another owner's."),
            maybe(
                "GoesOnFor",
                List(&Owner),
                "Owners who named this one as their successor, and count with it.",
            ),
        ],
    },
    Schema {
        name: "Record",
        about: "A record.",
        members: &[
            maybe("Value", Blob, "The stored, masked value."),
            maybe("ValueHash", Blob, "SHA-384 of the value, where the value is not there."),
            always("Owner", Owner, "The owner."),
            maybe("Links", List(&Hash), "Older records, ascending."),
            always("Timestamp", U64, "Seconds since 1970."),
            always("PulseToken", U64, "0 if there is none."),
            always("Type", U64, "The record type's id."),
            maybe("Selectors", List(&Is("Selector")), "The selectors, in order."),
            maybe("Work", Blob, "The proof of work, 14 bytes."),
            always("WorkAlgorithm", U64, "0 none, 1 Wharrgarbl."),
            maybe("Signature", Blob, "The owner's signature."),
        ],
    },
    Schema {
        name: "Selector",
        about: "A selector of a record.",
        members: &[
            always("Ordinal", Ordinal, "The masked ordinal."),
            always("Claim", Blob, "41 bytes that prove knowledge of the name."),
        ],
    },
    Schema {
        name: "MakeRecord",
        about: "Asks the node to make a record or pulse. OwnerPrivate or Passphrase is needed.",
        members: &[
            maybe("Selectors", List(&Is("MakeSelector")), "Names and ordinals, in order."),
            maybe("Value", Blob, "The plain value; not for /makepulse."),
            maybe("OwnerPrivate", Blob, "The owner's private key: DER bytes or PEM text."),
            maybe(
                "MaskingKey",
                Blob,
                "Masks the value; by default the first selector's name, or the passphrase's key.",
            ),
            maybe("Passphrase", Text, "Owner and masking key from a passphrase."),
            maybe("Timestamp", U64, "Seconds since 1970; 0 or none means now."),
            maybe("PulseIfUnchanged", Flag, "Only pulse if the newest revision holds this value."),
            maybe(
                "NewRecordIfPulseSpanExceeded",
                Flag,
                "/makepulse: make a record if the old one is too old (default true).",
            ),
        ],
    },
    Schema {
        name: "MakeSelector",
        about: "A selector of a record to be made.",
        members: &[always("Name", Blob, "The plain name."), maybe("Ordinal", U64, "The plain ordinal.")],
    },
    Schema {
        name: "Made",
        about: "What was made or taken in.",
        members: &[
            maybe("Record", Is("Record"), "The record made, or that held the value already."),
            maybe("Pulse", Text, "The pulse's 11 bytes, base64."),
            always("Accepted", Flag, "Whether it was news."),
        ],
    },
    Schema {
        name: "WorkRequest",
        about: "Asks the node for proof of work. Nothing secret is in it.",
        members: &[
            always("WorkHash", Blob, "What the work is for: a record's 48-byte work hash."),
            always("Difficulty", U64, "The difficulty that the work must have."),
        ],
    },
    Schema {
        name: "WorkAnswer",
        about: "Proof of work.",
        members: &[always("Work", Blob, "The work, 14 bytes.")],
    },
    Schema {
        name: "Peer",
        about: "A peer.",
        members: &[
            always("IP", Text, "Its address."),
            always("Port", U64, "Its port."),
            maybe("Identity", Blob, "Its public key."),
            maybe("Address", Text, "Instead of all that: HOST:PORT or a multiaddr."),
        ],
    },
    Schema {
        name: "NodeStatus",
        about: "A node's state.",
        members: &[
            always("Software", Text, "The software's name."),
            always("Version", Numbers(4), "Major, minor, revision, build."),
            always("APIVersion", U64, "The API's version."),
            always("MinAPIVersion", U64, "The oldest it speaks."),
            always("MaxAPIVersion", U64, "The newest it speaks."),
            always("Uptime", U64, "Seconds since it started."),
            always("Clock", U64, "Its clock, seconds since 1970."),
            always("RecordCount", U64, "Linked records."),
            always("DataSize", U64, "Their bytes."),
            always("FullySynchronized", Flag, "Whether nothing is known to be missing."),
            always("GenesisRecords", Blob, "The network's genesis.lf."),
            always("GenesisParameters", Is("GenesisParameters"), "The network's current parameters."),
            maybe("Oracle", Owner, "The oracle's owner, if the node is one."),
            always(
                "OracleThreads",
                U64,
                "Threads of the lowest priority that the oracle works with at most; 0 if the node is none.",
            ),
            always("P2PPort", U64, "The port for peers; 0 if there is none."),
            always("LocalTestMode", Flag, "No peers, and records need no work."),
            maybe("Identity", Blob, "The node's public key."),
            maybe("Peers", List(&Is("Peer")), "Connected peers."),
            always("PendingCount", U64, "Records that wait for others they link to."),
            always(
                "LimboCount",
                U64,
                "Records that wait for their approval: a certificate, or an amendment.",
            ),
            maybe("ReadOnlyReason", Text, "Why the node does not accept writes now."),
            always(
                "MissingCount",
                U64,
                "Records that peers have and this node is fetching, as far as known.",
            ),
            always("FetchedCount", U64, "Records fetched of those that were missing."),
            maybe("HTTPSUntil", U64, "When its certificate for HTTPS ends, seconds since 1970."),
            maybe("HTTPSProblem", Text, "What keeps it from a new certificate for HTTPS."),
        ],
    },
    Schema {
        name: "GraphPage",
        about: "A part of the graph of linked records.",
        members: &[
            always("Records", List(&Is("GraphRecord")), "The records, by index, without a gap."),
            always("Linked", U64, "How many records are linked here: indexes are below it."),
            always("Tips", U64, "Records of good reputation that no record links to."),
        ],
    },
    Schema {
        name: "GraphRecord",
        about: "A record of the graph.",
        members: &[
            always("Index", U64, "Its place in the order in which this node linked its records."),
            always("Hash", Hash, "The record's hash."),
            always("Owner", Owner, "The owner."),
            always("Timestamp", U64, "Seconds since 1970."),
            always("Type", U64, "The record type's id."),
            always("Links", List(&U64), "The indexes of the records it links to."),
            always(
                "Weight",
                Numbers(4),
                "What it and all records that link to it, directly or not, score: most significant 32 bits first.",
            ),
            always("Score", U64, "What it scores itself."),
            always("Reputation", U64, "63 good, 48 links to a newer record, 0 another owner was first here."),
            always("Size", U64, "Its bytes."),
            always("Selectors", U64, "How many selectors it has."),
        ],
    },
    Schema {
        name: "CertificateList",
        about: "A page of what an authority has issued.",
        members: &[
            always("Certificates", List(&Is("CertificateInfo")), "The certificates."),
            maybe("Next", U64, "The after of the next page, if there is more."),
        ],
    },
    Schema {
        name: "CertificateInfo",
        about: "A certificate.",
        members: &[
            always("Serial", Text, "Its serial number, base62."),
            maybe("Issuer", Text, "Its issuer's."),
            maybe("Subject", Text, "The subject, for people."),
            maybe("Owner", Owner, "The owner it certifies, if it is no authority's."),
            always("NotBefore", U64, "The first second of its validity, since 1970."),
            always("NotAfter", U64, "The last one."),
            always("Authority", Flag, "Whether it may issue certificates itself."),
            always("Revoked", Flag, "Whether it was revoked, by itself or with an authority above it."),
            maybe("RevokedTime", U64, "When, if its issuer said so."),
            maybe("Reason", Text, "Why, as RFC 5280 names reasons, if its issuer said so."),
            always("Record", Hash, "The record it came in."),
            always("Certificate", Blob, "The certificate, DER."),
        ],
    },
    Schema {
        name: "PeerList",
        about: "Addresses of peers.",
        members: &[always("Peers", List(&Text), "Multiaddrs.")],
    },
    Schema {
        name: "PeersStatus",
        about: "How the node is connected to others.",
        members: &[
            always("Peers", List(&Is("PeerStatus")), "Connected peers, the oldest connection first."),
            always("Bans", List(&Is("PeerBan")), "Who is banned."),
            always("Listens", List(&Text), "Addresses the node listens on for peers."),
            always("KnownPeers", U64, "Peers whose addresses are known."),
        ],
    },
    Schema {
        name: "PeerStatus",
        about: "A connected peer.",
        members: &[
            always("Peer", Text, "Its public key: @ and base62."),
            always("Address", Text, "The other end of its connection."),
            always("Outbound", Flag, "Whether this node made the connection."),
            maybe("Version", Text, "The program it says it is."),
            maybe("RoundTripMicros", U64, "How long the last ping took, in microseconds."),
            always("ConnectedSeconds", U64, "How long it has been connected."),
            always("State", Text, "new, syncing or synced: where its records stand against this node's."),
            always("Records", U64, "Linked records it said it has."),
            always("Score", Number, "Good conduct adds, bad conduct takes away."),
            always("ReceivedBytes", U64, "Bytes received from it."),
            always("SentBytes", U64, "Bytes sent to it."),
        ],
    },
    Schema {
        name: "PeerBan",
        about: "A ban.",
        members: &[
            always("Peer", Text, "A peer (@ and base62) or an IP address."),
            always("Until", U64, "When it ends, seconds since 1970."),
            always("Reason", Text, "Why."),
        ],
    },
    Schema {
        name: "BanRequest",
        about: "Whom to ban, or not any more.",
        members: &[
            always("Peer", Text, "A peer (@ and base62, or its libp2p name) or an IP address."),
            maybe("Hours", U64, "For how long; a day by default."),
        ],
    },
    Schema {
        name: "GenesisParameters",
        about: "A network's parameters.",
        members: &[
            always("ID", List(&U64), "The network's id, 32 numbers."),
            maybe("AmendableFields", List(&Text), "What later genesis records may change."),
            maybe("Name", Text, "The network's name."),
            maybe("Contact", Text, "Who to ask about it."),
            maybe("Comment", Text, "Free text."),
            maybe("AuthCertificates", Blob, "Root CA certificates, DER, in a row."),
            maybe("RevokedAuthCertificates", Blob, "Revoked ones."),
            always("AuthRequired", Flag, "Whether records need a certificate of their owner."),
            always("RecordMinLinks", U64, "The fewest links a record can have."),
            always("RecordMaxValueSize", U64, "The largest stored value, in bytes less 2."),
            always("RecordMaxTimeDrift", U64, "How far a timestamp may be off, in seconds."),
            maybe("StrictSignatures", Flag, "Whether high ECDSA signatures are refused."),
            maybe("WorkFactor", U64, "What the required difficulty is multiplied with."),
        ],
    },
    Schema {
        name: "OwnerStatus",
        about: "What the node knows of an owner.",
        members: &[
            always("Owner", Owner, "The owner."),
            always("OwnerType", Text, "p224, p384 or ed25519."),
            maybe("Certificates", List(&Blob), "Its certificates, DER."),
            maybe("RevokedCertificates", List(&Blob), "Its revoked certificates, DER."),
            always("HasCurrentCertificate", Flag, "Whether one is valid now."),
            always("AuthRequired", Flag, "Whether the network requires one."),
            always("RecordCount", U64, "Its linked records."),
            always("RecordBytes", U64, "Their bytes."),
            maybe("NewRecordLinks", List(&Hash), "Links for its next record."),
            always("ServerTime", U64, "The node's clock, seconds since 1970."),
        ],
    },
    Schema {
        name: "Error",
        about: "An error.",
        members: &[
            always("Code", U64, "The HTTP status."),
            maybe("Message", Text, "What happened, one line."),
            maybe("ErrTypeName", Text, "The error's name, for programs."),
        ],
    },
];

/// All schemas by name.
pub(super) fn all() -> Value {
    let mut schemas = Map::new();
    let text = |about: &str| json!({ "type": "string", "description": about });
    schemas.insert(
        "Blob".to_owned(),
        text("Bytes. Text that is valid UTF-8 and does not begin with \\b stands for itself; anything else is \\b \
              followed by base62."),
    );
    schemas.insert("Hash".to_owned(), text("= and the base62 of a record's 32-byte hash."));
    schemas.insert("Owner".to_owned(), text("@ and the base62 of an owner's public bytes."));
    schemas.insert("Ordinal".to_owned(), text("\\b and the base62 of a masked ordinal's 16 bytes."));
    for schema in SCHEMAS {
        let mut properties = Map::new();
        for member in schema.members {
            let mut property = member.kind.schema();
            property["description"] = member.about.into();
            properties.insert(member.name.to_owned(), property);
        }
        let required: Vec<&str> = schema.members.iter().filter(|m| m.required).map(|m| m.name).collect();
        let mut object = json!({ "type": "object", "description": schema.about, "properties": properties });
        if !required.is_empty() {
            object["required"] = json!(required);
        }
        schemas.insert(schema.name.to_owned(), object);
    }
    schemas.into()
}

#[cfg(test)]
mod tests;
