//! SVCB and HTTPS (RFC 9460): a priority, a name, and parameters `key=value`.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{
    A, AAAA, Alpn, DataError, EchConfigList, IpHint, Ipv4Addr, Ipv6Addr, Mandatory, SVCB, SvcParamKey,
    SvcParamValue, Unknown, Words, address, number, quoted, show_name,
};

/// Reads it. Keys may come in any order, but only once each.
pub(super) fn parse(words: &mut Words<'_>) -> Result<SVCB, DataError> {
    let priority: u16 = words.number("priority")?;
    let target = words.name("target")?;
    let mut parameters = Vec::new();
    for word in words.words.by_ref() {
        let (key, value) = match word.bytes.iter().position(|b| *b == b'=') {
            Some(at) => (&word.bytes[..at], Some(&word.bytes[at + 1..])),
            None => (word.bytes.as_slice(), None),
        };
        let key = parse_key(&String::from_utf8_lossy(key))?;
        parameters.push((key, parse_value(key, value)?));
    }
    parameters.sort_by_key(|(key, _)| u16::from(*key));
    if parameters.is_sorted_by(|(a, _), (b, _)| u16::from(*a) < u16::from(*b)) {
        check(priority, &parameters)?;
        Ok(SVCB::new(priority, target, parameters))
    } else {
        Err(DataError::new("a parameter is there twice"))
    }
}

/// What RFC 9460 wants of the whole: an alias has no parameters, and what is mandatory is there.
fn check(priority: u16, parameters: &[(SvcParamKey, SvcParamValue)]) -> Result<(), DataError> {
    if priority == 0 && !parameters.is_empty() {
        return Err(DataError::new("with priority 0 there are no parameters"));
    }
    let has = |key: &SvcParamKey| parameters.iter().any(|(other, _)| other == key);
    if has(&SvcParamKey::NoDefaultAlpn) && !has(&SvcParamKey::Alpn) {
        return Err(DataError::new("no-default-alpn needs alpn"));
    }
    match parameters.first() {
        Some((_, SvcParamValue::Mandatory(keys))) if !keys.0.iter().all(has) => {
            Err(DataError::new("a mandatory parameter is missing"))
        }
        _ => Ok(()),
    }
}

fn parse_key(text: &str) -> Result<SvcParamKey, DataError> {
    Ok(match text.to_ascii_lowercase().as_str() {
        "mandatory" => SvcParamKey::Mandatory,
        "alpn" => SvcParamKey::Alpn,
        "no-default-alpn" => SvcParamKey::NoDefaultAlpn,
        "port" => SvcParamKey::Port,
        "ipv4hint" => SvcParamKey::Ipv4Hint,
        "ech" => SvcParamKey::EchConfigList,
        "ipv6hint" => SvcParamKey::Ipv6Hint,
        other => {
            let number = other.strip_prefix("key").and_then(|n| number::<u16>(n, "key").ok());
            // The named ones have a form of their own; the highest is reserved.
            match number.filter(|n| (7..u16::MAX).contains(n)) {
                Some(number) => SvcParamKey::from(number),
                None => {
                    return Err(DataError(format!("parameter {text:?} is not known; others are keyNUMBER")));
                }
            }
        }
    })
}

fn parse_value(key: SvcParamKey, value: Option<&[u8]>) -> Result<SvcParamValue, DataError> {
    let bad = |what: &str| DataError(format!("{key}: {what}"));
    let text = || match value.map(std::str::from_utf8) {
        Some(Ok(text)) if !text.is_empty() && text.is_ascii() => Ok(text),
        _ => Err(bad("a value is missing")),
    };
    Ok(match key {
        SvcParamKey::Mandatory => {
            let keys = text()?.split(',').map(parse_key).collect::<Result<Vec<_>, _>>()?;
            let mut keys: Vec<_> = keys.into_iter().filter(|key| *key != SvcParamKey::Mandatory).collect();
            keys.sort_by_key(|key| u16::from(*key));
            keys.dedup();
            if keys.is_empty() {
                return Err(bad("a key is missing"));
            }
            SvcParamValue::Mandatory(Mandatory(keys))
        }
        SvcParamKey::Alpn => {
            let protocols: Vec<String> = text()?.split(',').map(str::to_owned).collect();
            let good = |p: &String| {
                !p.is_empty()
                    && p.len() <= 255
                    && p.bytes().all(|b| b.is_ascii_graphic() && b != b'\\' && b != b'"')
            };
            if !protocols.iter().all(good) {
                return Err(bad("not a list of protocols"));
            }
            SvcParamValue::Alpn(Alpn(protocols))
        }
        SvcParamKey::NoDefaultAlpn if value.is_none() => SvcParamValue::NoDefaultAlpn,
        SvcParamKey::NoDefaultAlpn => return Err(bad("it has no value")),
        SvcParamKey::Port => SvcParamValue::Port(number(text()?, "port")?),
        SvcParamKey::Ipv4Hint => {
            let hints = text()?.split(',').map(|hint| address::<Ipv4Addr>(hint, "IPv4").map(A));
            SvcParamValue::Ipv4Hint(IpHint(hints.collect::<Result<_, _>>()?))
        }
        SvcParamKey::Ipv6Hint => {
            let hints = text()?.split(',').map(|hint| address::<Ipv6Addr>(hint, "IPv6").map(AAAA));
            SvcParamValue::Ipv6Hint(IpHint(hints.collect::<Result<_, _>>()?))
        }
        SvcParamKey::EchConfigList => {
            let bytes = STANDARD.decode(text()?).map_err(|_| bad("not base64"))?;
            SvcParamValue::EchConfigList(EchConfigList(bytes))
        }
        _ => SvcParamValue::Unknown(Unknown(value.unwrap_or_default().to_vec())),
    })
}

/// As zone files have it.
pub(super) fn show(svcb: &SVCB) -> String {
    let mut out = format!("{} {}", svcb.svc_priority, show_name(&svcb.target_name));
    for (key, value) in &svcb.svc_params {
        let list = |items: Vec<String>| format!("={}", items.join(","));
        let value = match value {
            SvcParamValue::Mandatory(keys) => list(keys.0.iter().map(show_key).collect()),
            SvcParamValue::Alpn(protocols) => list(protocols.0.iter().map(|p| plain(p.as_bytes())).collect()),
            SvcParamValue::NoDefaultAlpn => String::new(),
            SvcParamValue::Port(port) => format!("={port}"),
            SvcParamValue::Ipv4Hint(hints) => list(hints.0.iter().map(|hint| hint.0.to_string()).collect()),
            SvcParamValue::Ipv6Hint(hints) => list(hints.0.iter().map(|hint| hint.0.to_string()).collect()),
            SvcParamValue::EchConfigList(ech) => format!("={}", STANDARD.encode(&ech.0)),
            SvcParamValue::Unknown(unknown) if unknown.0.is_empty() => String::new(),
            SvcParamValue::Unknown(unknown) => format!("={}", quoted(&unknown.0)),
        };
        let _ = write!(out, " {}{value}", show_key(key));
    }
    out
}

fn show_key(key: &SvcParamKey) -> String {
    match key {
        SvcParamKey::Unknown(number) => format!("key{number}"),
        key => key.to_string(),
    }
}

/// A word without quotes, with what would end it escaped.
fn plain(bytes: &[u8]) -> String {
    let mut out = String::new();
    for &byte in bytes {
        if matches!(byte, b';' | b'(' | b')') {
            out.push('\\');
        }
        out.push(char::from(byte));
    }
    out
}
