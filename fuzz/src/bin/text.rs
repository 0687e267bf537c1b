//! Text forms: base62, hashes, owners, pulses, PEM; and every JSON type the API reads.
#![no_main]

use lf_proto::api::{MakeRecord, NodeStatus, OwnerStatus, Peer, Query, QueryResult, RecordJson};
use lf_proto::base62;
use lf_proto::blob::Blob;
use lf_proto::owner::OwnerSecret;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    assert_eq!(base62::decode(&base62::encode(data)).ok().as_deref(), Some(data));
    let blob = Blob(data.to_vec());
    let json = serde_json::to_vec(&blob).unwrap();
    assert_eq!(serde_json::from_slice::<Blob>(&json).unwrap(), blob);
    let _ = OwnerSecret::parse(data);
    let _ = lf_proto::json::from_slice::<Query>(data);
    let _ = lf_proto::json::from_slice::<MakeRecord>(data);
    let _ = lf_proto::json::from_slice::<Peer>(data);
    let _ = lf_proto::json::from_slice::<NodeStatus>(data);
    let _ = lf_proto::json::from_slice::<OwnerStatus>(data);
    let _ = lf_proto::json::from_slice::<Vec<Vec<QueryResult>>>(data);
    if let Ok(record) = lf_proto::json::from_slice::<RecordJson>(data) {
        let _ = record.to_record();
    }
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(bytes) = base62::decode(text) {
            assert_eq!(base62::encode(&bytes), text);
        }
        let _ = text.parse::<lf_proto::hash::Hash>();
        let _ = text.parse::<lf_proto::owner::OwnerPublic>();
        let _ = text.parse::<lf_proto::pulse::Pulse>();
    }
});
