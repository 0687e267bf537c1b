//! Messages: never a panic; garbage is answered with no more than came; every answer is bounded and can be read. The same
//! bytes are also read as stored values and as a zone file: what is read is shown and read again.
#![no_main]

use std::sync::{Arc, LazyLock};

use lf_dns::query::{Incoming, Known, KnownNames, Query, Step, Transport, UDP_BYTES_MAX};
use lf_dns::{DomainName, NameRecords, RecordType, RrSet, Zone, Zones, data, zonefile};

static ZONES: LazyLock<Zones> =
    LazyLock::new(|| Zones::new(vec![Zone::new(name("lf"), vec![]), Zone::new(name("a.lf"), vec![name("ns.b")])]));

fn name(text: &str) -> DomainName {
    text.parse().unwrap()
}

/// A zone in which most names are there: which types they have depends on their letters.
fn known(name: &DomainName) -> Known {
    let mut records = NameRecords::default();
    let sum = name.as_str().bytes().fold(0_u8, u8::wrapping_add);
    let values = [(RecordType::A, "5 192.0.2.1\n6 192.0.2.2"), (RecordType::CNAME, "5 b.a.lf"), (RecordType::TXT, "7 \"x\"")];
    for (i, (ty, value)) in values.into_iter().enumerate() {
        if sum & 1 << i != 0 {
            let set = RrSet::from_value(ty, value.as_bytes()).unwrap().unwrap();
            records.sets.insert(u16::from(ty), set);
        }
    }
    if sum & 8 != 0 { Known::Fresh(Arc::new(records)) } else { Known::Stale(Arc::new(records)) }
}

fn answer(bytes: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let query = match Query::read(bytes, transport) {
        Incoming::Ignored => return None,
        Incoming::Answered(answer) => {
            assert!(answer.len() <= bytes.len());
            return Some(answer);
        }
        Incoming::Question(query) => query,
    };
    assert!(query.ask_over_tcp().len() <= bytes.len());
    let _ = query.from_upstream(bytes.to_vec(), u16::from_be_bytes([bytes[0], bytes[1]]));
    let mut names = KnownNames::new();
    loop {
        match query.step(&ZONES, &names, false, 5) {
            Step::Answer(answer) => return Some(answer),
            Step::Need(name) => {
                let told = known(&name);
                assert!(names.insert(name, told).is_none());
            }
            Step::Forward | Step::Follow(_) => unreachable!(),
        }
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for transport in [Transport::Udp, Transport::Tcp] {
        if let Some(answer) = answer(bytes, transport) {
            assert!(answer.len() >= 12 && answer[..2] == bytes[..2] && answer[2] & 0x80 != 0);
            assert!(transport == Transport::Tcp || answer.len() <= usize::from(UDP_BYTES_MAX));
        }
    }
    for ty in data::TYPES {
        if let Ok(Some(set)) = RrSet::from_value(ty, bytes) {
            // What it is shown as may be longer, and then too long.
            if let Ok(again) = RrSet::from_value(ty, set.to_value().as_bytes()) {
                assert_eq!(again, Some(set));
            }
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = zonefile::read(text, &name("lf"));
    }
});
