//! pulse.json: making pulses, and reading bytes as pulses.
//!
//! Stricter than the reference on purpose (PROTOCOL.md §9, NODE.md §7): a minute is one of 1 to 525600 (it
//! makes minute 0 and clamps larger ones), a pulse has 11 bytes, and making one takes an ordinal for each
//! name.
#![allow(clippy::unwrap_used)]

#[path = "support/vectors.rs"]
mod vectors;

use lf_proto::{
    base62,
    pulse::{Known, PULSE_MINUTES_MAX, Pulse, PulseError, PulseStart, PulseToken, th64_n},
};
use serde_json::Value;
use vectors::{bytes, number, text};

/// What reading a pulse's bytes has to give, by the rules alone.
fn read_case(case: &Value) {
    let raw = bytes(case, "pulse");
    let read = Pulse::from_bytes(&raw);
    assert_eq!(text(case, "string"), format!("!{}", base62::encode(&raw)));
    assert_eq!(read, text(case, "string").parse(), "{case}");
    if raw.len() != Pulse::BYTES {
        assert_eq!(read, Err(PulseError::Length(raw.len())), "{case}");
        return;
    }
    let minutes = raw[8..].iter().fold(0, |a, b| (a << 8) | u32::from(*b));
    let token = PulseToken(number(case, "token"));
    assert_eq!(number(case, "pulse_minutes"), u64::from(minutes.min(PULSE_MINUTES_MAX)), "{case}");
    // The reference's function on the reference's (clamped) number of steps.
    assert_eq!(th64_n(number(case, "key"), minutes.min(PULSE_MINUTES_MAX)), token.0, "{case}");
    if !(1..=PULSE_MINUTES_MAX).contains(&minutes) {
        assert_eq!(read, Err(PulseError::Minutes(minutes)), "{case}");
        return;
    }
    let pulse = read.unwrap();
    assert_eq!(pulse.to_bytes()[..], raw);
    assert_eq!(pulse.to_string(), text(case, "string"));
    assert_eq!(pulse.minutes(), minutes);
    assert_eq!(pulse.token(), token);
    assert_eq!(pulse.steps(Known::from(token)), minutes);
    assert_eq!(pulse.check(token.into()), Ok(()));
    assert_eq!(pulse.check(PulseToken(token.0.wrapping_add(1)).into()), Err(PulseError::Mismatch));
}

/// What making a pulse has to give.
fn make_case(case: &Value) {
    let names: Vec<Vec<u8>> = case["selector_names"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| vectors::unhex(name.as_str().unwrap()))
        .collect();
    let ordinals: Vec<u64> = case["selector_ordinals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ordinal| ordinal.as_u64().unwrap())
        .collect();
    let minutes: u32 = number(case, "minutes").try_into().unwrap();
    // Cases that fail in the reference carry no private hash; any will do to see ours fail.
    let private_hash = case
        .get("owner_private_hash")
        .map_or([0; 32], |_| bytes(case, "owner_private_hash").try_into().unwrap());
    let start = PulseStart::new(&names, &ordinals, number(case, "timestamp"), &private_hash);
    if names.len() != ordinals.len() {
        let error = PulseError::Ordinals { names: names.len(), ordinals: ordinals.len() };
        assert_eq!(start.map(|_| ()), Err(error), "{case}");
        return;
    }
    let start = start.unwrap();
    let made = start.pulse_at(minutes);
    if !(1..=PULSE_MINUTES_MAX).contains(&minutes) {
        assert_eq!(made, Err(PulseError::Minutes(minutes)), "{case}");
    } else if case["error"].is_null() {
        assert_eq!(made.unwrap().to_string(), text(case, "string"), "{case}");
    } else {
        // An owner without private key has no private hash to call us with: nothing of ours can fail here.
        assert_eq!(text(case, "error"), "private key required", "{case}");
        assert!(case.get("owner_private_hash").is_none(), "{case}");
    }
    if case["error"].is_null() {
        assert_eq!(start.token(), PulseToken(number(case, "record_pulse_token")), "{case}");
    }
}

#[test]
fn pulses() {
    let mut ran = 0;
    for case in vectors::load("pulse.json") {
        assert!(case.get("pulse").is_some() || case.get("error").is_some(), "{case}");
        if case.get("pulse").is_some() {
            read_case(&case);
        }
        if case.get("selector_names").is_some() {
            make_case(&case);
        }
        ran += 1;
    }
    vectors::report("pulse.json", ran);
}
