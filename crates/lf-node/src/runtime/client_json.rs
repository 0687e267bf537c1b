//! The node's own URL in the home's `client.json`, so that commands on this machine find it. The file is the client's:
//! everything else in it stays as it is.

use std::io::ErrorKind;
use std::path::Path;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

const URLS: &str = "URLs";

/// Puts the URL at the head of `URLs`, unless it is among them already.
///
/// # Errors
/// The file cannot be read or written, or is not a client's; it is not changed then.
pub(super) fn add_url(path: &Path, url: &str) -> Result<(), String> {
    let describe = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let text = match std::fs::read(path) {
        // It holds private keys.
        Ok(text) => Zeroizing::new(text),
        Err(e) if e.kind() == ErrorKind::NotFound => Zeroizing::default(),
        Err(e) => return Err(describe(&e)),
    };
    let Some(changed) = with_url(&text, url).map_err(|e| describe(&e))? else { return Ok(()) };
    lf_platform::replace(path, &[&changed]).map_err(|e| describe(&e))
}

/// The text with the URL added; `None` if it is there already.
fn with_url(text: &[u8], url: &str) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
    let mut members: Map<String, Value> = if text.trim_ascii().is_empty() {
        Map::new()
    } else {
        serde_json::from_slice(text).map_err(|e| e.to_string())?
    };
    let name =
        members.keys().find(|name| name.eq_ignore_ascii_case(URLS)).map_or(URLS, String::as_str).to_owned();
    let urls = members.entry(name).or_insert(Value::Null);
    if urls.is_null() {
        *urls = Value::Array(Vec::new());
    }
    let Value::Array(urls) = urls else { return Err(format!("{URLS} is not a list")) };
    if urls.iter().filter_map(Value::as_str).any(|known| known.trim_end_matches('/') == url) {
        return Ok(None);
    }
    urls.insert(0, url.into());
    let mut text = serde_json::to_vec_pretty(&members).map_err(|e| e.to_string())?;
    text.push(b'\n');
    Ok(Some(Zeroizing::new(text)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    const URL: &str = "http://127.0.0.1:9980";

    fn added(before: &str) -> Option<Value> {
        with_url(before.as_bytes(), URL).unwrap().map(|text| serde_json::from_slice(&text).unwrap())
    }

    #[test]
    fn the_url_comes_first_and_nothing_else_changes() {
        assert_eq!(added("").unwrap(), json!({ "URLs": [URL] }));
        assert_eq!(added(r#"{"urls": null}"#).unwrap(), json!({ "urls": [URL] }));
        let before = r#"{"Owners": {"user": {"Public": "@a", "Default": true}}, "URLs": ["http://b", "http://a"], "N": 18446744073709551615}"#;
        let after = added(before).unwrap();
        assert_eq!(after["URLs"], json!([URL, "http://b", "http://a"]));
        assert_eq!(after["Owners"]["user"]["Default"], true);
        assert_eq!(after["N"].as_u64(), Some(u64::MAX));
        assert!(added(&after.to_string()).is_none());
        assert!(added(r#"{"URLs": ["http://b", "http://127.0.0.1:9980/"]}"#).is_none());
        assert!(with_url(b"[]", URL).is_err() && with_url(b"{", URL).is_err());
        assert!(with_url(br#"{"URLs": 5}"#, URL).is_err());
    }

    #[test]
    fn the_file_is_the_users_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("client.json");
        add_url(&path, URL).unwrap();
        assert!(lf_platform::is_private(&path).unwrap());
        std::fs::write(&path, "damaged").unwrap();
        assert!(add_url(&path, URL).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "damaged");
    }
}
