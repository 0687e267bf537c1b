//! Records: whatever decodes is canonical, keeps its hashes in proxy form, and survives JSON.
#![no_main]

use lf_proto::api::RecordJson;
use lf_proto::record::Record;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok((record, used)) = Record::decode_any(data) else { return };
    assert_eq!(record.as_bytes(), &data[..used]);
    let proxy = record.to_proxy();
    assert_eq!(proxy.hash(), record.hash());
    assert_eq!(Record::decode_any(proxy.as_bytes()).unwrap().0, proxy);
    if Record::decode(data).is_ok() {
        let json = serde_json::to_vec(&RecordJson::from(&record)).unwrap();
        let read: RecordJson = lf_proto::json::from_slice(&json).unwrap();
        assert_eq!(read.to_record().unwrap(), record);
    }
    // Neither panics, whatever the claims and the signature are.
    let _ = record.recover_selectors();
    let _ = record.verify_signature(true);
});
