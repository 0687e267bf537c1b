//! Messages between nodes: whatever decodes is written back as it was read.
#![no_main]

use lf_proto::sync::{Answer, Gossip, Question};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(question) = Question::decode(data) {
        assert_eq!(question.encode(), data);
    }
    if let Ok(answer) = Answer::decode(data) {
        assert_eq!(answer.encode(), data);
    }
    if let Ok(gossip) = Gossip::decode(data) {
        assert_eq!(gossip.encode(), data);
    }
});
