//! What a message is answered with. Bytes go in, bytes come out; what must be known of names is asked for, name by name.
//!
//! Garbage is answered with twelve bytes or not at all, what is not ours with the question alone: no answer helps to
//! amplify more than the records themselves do, and these are limited to [`UDP_BYTES_MAX`] over UDP.

use std::collections::HashMap;
use std::sync::Arc;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query as Question, ResponseCode};
use hickory_proto::rr::rdata::HINFO;
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::{DomainName, NameRecords, Zone, Zones};

/// Larger answers go over UDP as "ask over TCP" (what the DNS flag day 2020 agreed on).
pub const UDP_BYTES_MAX: u16 = 1232;
/// Without EDNS.
const UDP_BYTES_PLAIN: u16 = 512;
const HEADER_BYTES: usize = 12;
/// More CNAMEs in a row are a mistake or an attack.
const CHAIN_MAX: usize = 8;
/// What is not fresh may not be kept for longer than this (RFC 8767).
const STALE_TTL_SECONDS: u32 = 30;
/// RFC 8482.
const ANY_TTL_SECONDS: u32 = 3600;
/// Extended DNS errors (RFC 8914): stale answer, stale NXDOMAIN.
const EDE_CODE: u16 = 15;
const EDE_STALE: u16 = 3;
const EDE_STALE_NXDOMAIN: u16 = 19;

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Answers are small.
    Udp,
    /// Answers are of any size.
    Tcp,
}

/// What is known of a name.
#[derive(Debug, Clone)]
pub enum Known {
    /// What the node says.
    Fresh(Arc<NameRecords>),
    /// What the node said once; it cannot be asked now.
    Stale(Arc<NameRecords>),
    /// The node cannot be asked, and nothing is left of what it said.
    Nothing,
}

/// Everything known so far about the names of one question.
pub type KnownNames = HashMap<DomainName, Known>;

/// What became of bytes.
#[derive(Debug)]
pub enum Incoming {
    /// Not worth an answer: too short, or an answer itself.
    Ignored,
    /// Answered at once: it is no question for us.
    Answered(Vec<u8>),
    /// A question.
    Question(Box<Query>),
}

/// What to do next about a question.
#[derive(Debug)]
pub enum Step {
    /// Send this.
    Answer(Vec<u8>),
    /// Find out about this name, then ask again.
    Need(DomainName),
    /// It is not about our zones, and the client wants it looked up.
    Forward,
    /// It leads out of our zones, and the client wants that looked up.
    Follow(Box<Follow>),
}

/// An answer whose end is elsewhere.
#[derive(Debug)]
pub struct Follow {
    /// What to ask there.
    pub query: Query,
    reply: Reply,
}

/// A question.
#[derive(Debug, Clone)]
pub struct Query {
    id: u16,
    recursion_desired: bool,
    checking_disabled: bool,
    question: Question,
    edns: Option<Edns>,
    transport: Transport,
}

/// What an answer is made of.
#[derive(Debug, Default)]
struct Reply {
    code: Option<ResponseCode>,
    authoritative: bool,
    /// Whether other zones' names are looked up for this client.
    recursive: bool,
    answers: Vec<Record>,
    authorities: Vec<Record>,
    stale: bool,
}

impl Query {
    /// Reads a message.
    pub fn read(bytes: &[u8], transport: Transport) -> Incoming {
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else { return Incoming::Ignored };
        if header[2] & 0x80 != 0 {
            return Incoming::Ignored;
        }
        let refuse = |code| Incoming::Answered(header_only(header, code));
        if (header[2] >> 3) & 0xf != 0 {
            return refuse(ResponseCode::NotImp);
        }
        // Looked at first, so that a count alone cannot make anybody allocate. Additional: OPT, and perhaps a signature.
        let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        if count(4) != 1 || count(6) != 0 || count(8) != 0 || count(10) > 2 {
            return refuse(ResponseCode::FormErr);
        }
        let Ok(message) = Message::from_vec(bytes) else { return refuse(ResponseCode::FormErr) };
        let Some(question) = message.queries.into_iter().next() else { return refuse(ResponseCode::FormErr) };
        // A name that points into the header would be longer in an answer than it was here.
        let name_bytes = question.name.iter().map(|label| label.len() + 1).sum::<usize>() + 1;
        if bytes.len() < HEADER_BYTES + name_bytes + 4 {
            return refuse(ResponseCode::FormErr);
        }
        let query = Query {
            id: message.metadata.id,
            recursion_desired: message.metadata.recursion_desired,
            checking_disabled: message.metadata.checking_disabled,
            question,
            edns: message.edns,
            transport,
        };
        if query.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
            return Incoming::Answered(query.failure(ResponseCode::BADVERS));
        }
        Incoming::Question(Box::new(query))
    }

    /// What to do, with what is known. `forwards` says whether this client may have other zones' names looked up.
    pub fn step(&self, zones: &Zones, known: &KnownNames, forwards: bool, now_seconds: u64) -> Step {
        if !matches!(self.question.query_class, DNSClass::IN | DNSClass::ANY) {
            return self.refused();
        }
        let zone_of = |name: &Option<DomainName>| name.as_ref().and_then(|name| zones.of(name));
        let name = DomainName::from_wire(&self.question.name);
        let Some(zone) = zone_of(&name).or_else(|| self.zone_of_odd(zones)) else {
            return if forwards && self.recursion_desired { Step::Forward } else { self.refused() };
        };
        match u16::from(self.question.query_type) {
            // Transfers and the like; and pseudo types, which nothing can have.
            249..=254 | 41 => return self.refused(),
            _ => {}
        }
        let reply = Reply { authoritative: true, recursive: forwards, ..Reply::default() };
        let answer = match name {
            Some(name) => self.resolve(zones, zone, name, known, reply, now_seconds),
            // Nothing that could be stored has such a name.
            None => Ok(Outcome::Done(reply.without(zone, Some(ResponseCode::NXDomain), now_seconds))),
        };
        match answer {
            Ok(Outcome::Done(reply)) => Step::Answer(self.encode(reply)),
            Ok(Outcome::Elsewhere(reply, target)) if forwards && self.recursion_desired => {
                let mut query = self.clone();
                query.question.set_name(target);
                Step::Follow(Box::new(Follow { query, reply }))
            }
            // What is elsewhere is for the client to ask.
            Ok(Outcome::Elsewhere(reply, _)) => Step::Answer(self.encode(reply)),
            Err(Problem::Need(name)) => Step::Need(name),
            Err(Problem::Fails) => Step::Answer(self.failure(ResponseCode::ServFail)),
        }
    }

    /// The answer, with what was found elsewhere: the bytes of an answer to [`Follow::query`].
    pub fn followed(&self, follow: Follow, elsewhere: &[u8]) -> Vec<u8> {
        let mut reply = follow.reply;
        match Message::from_vec(elsewhere) {
            Ok(message) if message.metadata.truncation => self.bytes(&self.message(reply).truncate()),
            Ok(message)
                if matches!(
                    message.metadata.response_code,
                    ResponseCode::NoError | ResponseCode::NXDomain
                ) =>
            {
                reply.code = Some(message.metadata.response_code);
                reply.answers.extend(message.answers);
                self.encode(reply)
            }
            _ => self.failure(ResponseCode::ServFail),
        }
    }

    /// The zone of a name that has characters no stored name has: of the part behind these.
    fn zone_of_odd<'a>(&self, zones: &'a Zones) -> Option<&'a Zone> {
        let name = &self.question.name;
        let labels = usize::from(name.num_labels());
        (1..labels)
            .rev()
            .filter_map(|n| DomainName::from_wire(&name.trim_to(n)))
            .find_map(|name| zones.of(&name))
    }

    fn resolve(
        &self,
        zones: &Zones,
        first_zone: &Zone,
        name: DomainName,
        known: &KnownNames,
        mut reply: Reply,
        now_seconds: u64,
    ) -> Result<Outcome, Problem> {
        let ty = self.question.query_type;
        // The owner of the first answer is written as it was asked for.
        let (mut zone, mut name, mut owner) = (first_zone, name, self.question.name.clone());
        for _ in 0..=CHAIN_MAX {
            let at_apex = name == zone.apex;
            if at_apex && matches!(ty, RecordType::SOA | RecordType::NS) {
                let mut own = if ty == RecordType::SOA { vec![zone.soa(now_seconds)] } else { zone.ns() };
                own.iter_mut().for_each(|record| record.name = owner.clone());
                reply.answers.append(&mut own);
                return Ok(Outcome::Done(reply));
            }
            let found = find(zone, &name, known)?;
            reply.stale |= found.stale;
            let Some(records) = found.records else {
                let code = (!found.exists).then_some(ResponseCode::NXDomain);
                return Ok(Outcome::Done(reply.without(zone, code, now_seconds)));
            };
            if ty == RecordType::ANY {
                let minimal = RData::HINFO(HINFO::new("RFC8482".to_owned(), String::new()));
                reply.answers.push(Record::from_rdata(owner, ANY_TTL_SECONDS, minimal));
                return Ok(Outcome::Done(reply));
            }
            // An alias cannot be where SOA and NS are.
            let alias = if at_apex { None } else { records.of(RecordType::CNAME) };
            let Some(set) = records.of(ty).filter(|_| alias.is_some() || ty != RecordType::CNAME).or(alias)
            else {
                return Ok(Outcome::Done(reply.without(zone, None, now_seconds)));
            };
            let ttl = if found.stale { set.ttl.min(STALE_TTL_SECONDS) } else { set.ttl };
            let record = |data: &RData| Record::from_rdata(owner.clone(), ttl, data.clone());
            reply.answers.extend(set.data.iter().map(record));
            let Some(RData::CNAME(target)) = set.data.first().filter(|_| ty != RecordType::CNAME) else {
                return Ok(Outcome::Done(reply));
            };
            let next = DomainName::from_wire(target);
            let Some((next_zone, next)) = next.and_then(|next| Some((zones.of(&next)?, next))) else {
                return Ok(Outcome::Elsewhere(reply, target.0.clone()));
            };
            owner = target.0.clone();
            (zone, name) = (next_zone, next);
        }
        Err(Problem::Fails)
    }

    fn refused(&self) -> Step {
        Step::Answer(self.failure(ResponseCode::Refused))
    }

    /// An answer that says only why there is none; never larger than the question was.
    pub fn failure(&self, code: ResponseCode) -> Vec<u8> {
        self.encode(Reply { code: Some(code), ..Reply::default() })
    }

    /// An answer that says to ask over TCP, for those who ask too often; never larger than the question was.
    pub fn ask_over_tcp(&self) -> Vec<u8> {
        self.bytes(&self.message(Reply::default()).truncate())
    }

    fn message(&self, reply: Reply) -> Message {
        let mut message = Message::response(self.id, OpCode::Query);
        message.metadata.recursion_desired = self.recursion_desired;
        message.metadata.checking_disabled = self.checking_disabled;
        message.metadata.authoritative = reply.authoritative;
        message.metadata.recursion_available = reply.recursive;
        message.metadata.response_code = reply.code.unwrap_or(ResponseCode::NoError);
        message.add_query(self.question.clone());
        if let Some(asked) = &self.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_BYTES_MAX).set_dnssec_ok(asked.flags().dnssec_ok);
            edns.set_rcode_high(message.metadata.response_code.high());
            if reply.stale {
                let absent = message.metadata.response_code == ResponseCode::NXDomain;
                let why = if absent { EDE_STALE_NXDOMAIN } else { EDE_STALE };
                edns.options_mut().insert(EdnsOption::Unknown(EDE_CODE, why.to_be_bytes().to_vec()));
            }
            message.set_edns(edns);
        }
        message.answers = reply.answers;
        message.authorities = reply.authorities;
        message
    }

    fn encode(&self, reply: Reply) -> Vec<u8> {
        let message = self.message(reply);
        let bytes = self.bytes(&message);
        if bytes.len() <= self.bytes_max() { bytes } else { self.bytes(&message.truncate()) }
    }

    /// How large an answer the client takes, over the way it asked.
    fn bytes_max(&self) -> usize {
        usize::from(match (self.transport, &self.edns) {
            (Transport::Tcp, _) => u16::MAX,
            (Transport::Udp, None) => UDP_BYTES_PLAIN,
            (Transport::Udp, Some(edns)) => edns.max_payload().clamp(UDP_BYTES_PLAIN, UDP_BYTES_MAX),
        })
    }

    /// What cannot be encoded is a failure that can.
    fn bytes(&self, message: &Message) -> Vec<u8> {
        message.to_vec().unwrap_or_else(|_| {
            let [high, low] = self.id.to_be_bytes();
            header_only(&[high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], ResponseCode::ServFail)
        })
    }

    /// The same question, to be sent to another server under this id.
    pub fn upstream(&self, id: u16) -> Vec<u8> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.metadata.checking_disabled = self.checking_disabled;
        message.add_query(self.question.clone());
        if let Some(asked) = &self.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(asked.max_payload().clamp(UDP_BYTES_PLAIN, UDP_BYTES_MAX));
            edns.set_dnssec_ok(asked.flags().dnssec_ok);
            message.set_edns(edns);
        }
        self.bytes(&message)
    }

    /// Another server's answer, made ours; None if it is no answer to [`upstream`](Self::upstream) with this id.
    pub fn from_upstream(&self, mut answer: Vec<u8>, id: u16) -> Option<Vec<u8>> {
        use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};
        let header = answer.first_chunk::<HEADER_BYTES>()?;
        let good = header[..2] == id.to_be_bytes() && header[2] & 0xf8 == 0x80 && header[4..6] == [0, 1];
        let mut decoder = BinDecoder::new(&answer);
        decoder.read_slice(HEADER_BYTES).ok()?;
        let question = Question::read(&mut decoder).ok()?;
        let same = question.name == self.question.name
            && question.query_type == self.question.query_type
            && question.query_class == self.question.query_class;
        if !good || !same || answer.len() > self.bytes_max() {
            return None;
        }
        answer.get_mut(..2)?.copy_from_slice(&self.id.to_be_bytes());
        Some(answer)
    }

    /// How it came.
    pub fn transport(&self) -> Transport {
        self.transport
    }
}

impl Reply {
    /// Nothing (more) is there: says so with the zone's SOA, which says for how long to believe it (RFC 2308).
    fn without(mut self, zone: &Zone, code: Option<ResponseCode>, now_seconds: u64) -> Self {
        self.code = code;
        self.authorities.push(zone.soa(now_seconds));
        self
    }
}

enum Outcome {
    Done(Reply),
    /// An alias leads to this name, which is in none of our zones.
    Elsewhere(Reply, Name),
}

enum Problem {
    Need(DomainName),
    Fails,
}

struct Found {
    /// The name's records, if it has any.
    records: Option<Arc<NameRecords>>,
    /// Whether there is such a name.
    exists: bool,
    stale: bool,
}

/// A name's own records, else those of the wildcard that covers it (RFC 4592).
fn find(zone: &Zone, name: &DomainName, known: &KnownNames) -> Result<Found, Problem> {
    let mut stale = false;
    let mut look = |name: &DomainName| match known.get(name) {
        None => Err(Problem::Need(name.clone())),
        Some(Known::Nothing) => Err(Problem::Fails),
        Some(Known::Fresh(records)) => Ok(records.clone()),
        Some(Known::Stale(records)) => {
            stale = true;
            Ok(records.clone())
        }
    };
    let own = look(name)?;
    if own.exists() || *name == zone.apex {
        return Ok(Found { records: Some(own), exists: true, stale });
    }
    // The nearest name above that is there decides; a wildcard is looked for below each on the way.
    let mut above = name.parent();
    while let Some(encloser) = above {
        if let Some(wildcard) = encloser.child("*") {
            let records = look(&wildcard)?;
            if !records.sets.is_empty() {
                return Ok(Found { records: Some(records), exists: true, stale });
            }
        }
        if encloser == zone.apex || look(&encloser)?.exists() {
            break;
        }
        above = encloser.parent();
    }
    // Names like _tcp.example.lf are there for what is below them, which is not known here; to deny them would deny
    // that as well.
    let exists = name.labels().next().is_some_and(|label| label.starts_with('_'));
    Ok(Found { records: None, exists, stale })
}

/// Twelve bytes: the message's id and how it failed.
fn header_only(header: &[u8; HEADER_BYTES], code: ResponseCode) -> Vec<u8> {
    let mut out = vec![0; HEADER_BYTES];
    out[..2].copy_from_slice(&header[..2]);
    // QR, the same opcode, and RD.
    out[2] = 0x80 | header[2] & 0x79;
    out[3] = code.low();
    out
}

/// The name of a question, for logs.
impl std::fmt::Display for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.question.name.to_ascii(), self.question.query_type)
    }
}

/// A name as messages have it, for tests and tools that make questions.
pub fn question(id: u16, name: &Name, ty: RecordType) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Question::query(name.clone(), ty));
    message.to_vec().unwrap_or_default()
}

#[cfg(test)]
mod tests;
