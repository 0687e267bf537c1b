//! The zones that are served, and what the server itself says of each: SOA and NS.

use hickory_proto::rr::rdata::{NS, SOA};
use hickory_proto::rr::{RData, Record};

use crate::DomainName;

/// How long it may be kept that there is nothing, seconds; also the SOA's own TTL.
pub const NEGATIVE_TTL_SECONDS: u32 = 60;
const NS_TTL_SECONDS: u32 = 3600;

/// One zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Its name.
    pub apex: DomainName,
    /// The names of its servers, one or more.
    pub servers: Vec<DomainName>,
}

impl Zone {
    /// A zone with these servers, or with `ns` in the zone itself.
    pub fn new(apex: DomainName, mut servers: Vec<DomainName>) -> Self {
        if servers.is_empty() {
            servers.push(apex.child("ns").unwrap_or_else(|| apex.clone()));
        }
        Zone { apex, servers }
    }

    /// The SOA. Its serial is the time: there are no transfers that would need another.
    pub fn soa(&self, now_seconds: u64) -> Record {
        let server = self.servers.first().unwrap_or(&self.apex).to_wire();
        let mailbox = self.apex.child("hostmaster").unwrap_or_else(|| self.apex.clone()).to_wire();
        // Serials wrap, by design.
        let serial = (now_seconds & u64::from(u32::MAX)) as u32;
        let soa = SOA::new(server, mailbox, serial, 3600, 600, 86400, NEGATIVE_TTL_SECONDS);
        Record::from_rdata(self.apex.to_wire(), NEGATIVE_TTL_SECONDS, RData::SOA(soa))
    }

    /// The NS records.
    pub fn ns(&self) -> Vec<Record> {
        let record = |server: &DomainName| {
            Record::from_rdata(self.apex.to_wire(), NS_TTL_SECONDS, RData::NS(NS(server.to_wire())))
        };
        self.servers.iter().map(record).collect()
    }
}

/// All zones that are served.
#[derive(Debug, Clone, Default)]
pub struct Zones(Vec<Zone>);

impl Zones {
    /// These zones.
    pub fn new(zones: Vec<Zone>) -> Self {
        Zones(zones)
    }

    /// The zone that a name is in: the one with the longest name.
    pub fn of(&self, name: &DomainName) -> Option<&Zone> {
        self.0.iter().filter(|zone| name.is_within(&zone.apex)).max_by_key(|zone| zone.apex.as_str().len())
    }
}
