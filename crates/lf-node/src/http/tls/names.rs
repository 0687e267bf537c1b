//! What users give as text for ACME: host names, the directory's URL, a contact.

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::DnsName;

/// Names in one certificate: as many as Let's Encrypt puts into one.
const HOSTS_MAX: usize = 100;
const URL_BYTES_MAX: usize = 1_000;
const MAIL_BYTES_MAX: usize = 320;

/// Why a text is none of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(String);

/// A DNS name in ASCII, lower case; no address, no wildcard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(DnsName<'static>);

impl HostName {
    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }

    pub(super) fn dns_name(&self) -> DnsName<'static> {
        self.0.clone()
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for HostName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = |why: &str| Err(NameError(format!("{text:.100?} is no host name: {why}")));
        let name = text.trim().to_ascii_lowercase();
        if name.contains('*') {
            return wrong("a certificate for a wildcard cannot be had this way; name each host");
        }
        if name.parse::<std::net::IpAddr>().is_ok() || name.starts_with('[') {
            return wrong("it is an address; certificates are for names");
        }
        if name.contains("://") || name.contains([':', '/']) {
            return wrong("give the name alone, without scheme, port or path");
        }
        if !name.is_ascii() {
            return wrong("write it in its ASCII form (xn--…)");
        }
        if name.contains('_') || name.ends_with('.') {
            return wrong("labels are letters, digits and inner hyphens, with dots between them");
        }
        match DnsName::try_from(name) {
            Ok(name) => Ok(HostName(name)),
            Err(_) => wrong("labels are letters, digits and inner hyphens, with dots between them"),
        }
    }
}

/// One host or more, each once, in the order given; written with commas between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostNames(Vec<HostName>);

impl HostNames {
    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &HostName> {
        self.0.iter()
    }
}

impl fmt::Display for HostNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(HostName::as_str).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for HostNames {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut names: Vec<HostName> = Vec::new();
        for name in text.split(',') {
            let name = name.parse()?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.len() > HOSTS_MAX {
            return Err(NameError(format!("a certificate is for {HOSTS_MAX} hosts at most")));
        }
        Ok(HostNames(names))
    }
}

/// The URL of an ACME server's directory: https.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeUrl(String);

impl AcmeUrl {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for AcmeUrl {
    /// Let's Encrypt.
    fn default() -> Self {
        AcmeUrl(instant_acme::LetsEncrypt::Production.url().to_owned())
    }
}

impl fmt::Display for AcmeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AcmeUrl {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let uri: Option<axum::http::Uri> = text.parse().ok();
        let https = uri.is_some_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some());
        if !https || text.len() > URL_BYTES_MAX {
            return Err(NameError(format!("{text:.100?} is no https URL, as https://HOST/directory")));
        }
        Ok(AcmeUrl(text.to_owned()))
    }
}

/// A mail address, as an ACME server wants it: `mailto:` before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact(String);

impl Contact {
    pub(super) fn as_url(&self) -> &str {
        &self.0
    }
}

impl FromStr for Contact {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mail = text.trim();
        let sound = mail.len() <= MAIL_BYTES_MAX
            && mail.bytes().all(|b| b.is_ascii_graphic() && !b",?:<>".contains(&b))
            && mail
                .split_once('@')
                .is_some_and(|(who, host)| !who.is_empty() && host.parse::<HostName>().is_ok());
        if sound {
            Ok(Contact(format!("mailto:{mail}")))
        } else {
            Err(NameError(format!("{text:.100?} is no mail address")))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn hosts_are_dns_names() {
        let hosts: HostNames = "Node.Example.org,a-b.example.org,node.example.org".parse().unwrap();
        assert_eq!(hosts.to_string(), "node.example.org,a-b.example.org");
        let long = format!("{}.org", "x".repeat(64));
        for wrong in [
            "",
            ",",
            "a,",
            "*.example.org",
            "192.0.2.1",
            "::1",
            "[::1]",
            "https://example.org",
            "example.org:443",
            "example.org/x",
            "exa mple.org",
            "-a.org",
            "a..org",
            "bücher.example",
            "a_b.org",
            "example.org.",
            &long,
        ] {
            let error = wrong.parse::<HostNames>().unwrap_err().to_string();
            assert!(error.contains("is no host name"), "{wrong}: {error}");
        }
        let many: Vec<String> = (0..=HOSTS_MAX).map(|i| format!("n{i}.example.org")).collect();
        assert!(many.join(",").parse::<HostNames>().is_err());
        assert!(many[1..].join(",").parse::<HostNames>().is_ok());
    }

    #[test]
    fn the_directory_is_an_https_url() {
        assert_eq!(AcmeUrl::default().to_string(), "https://acme-v02.api.letsencrypt.org/directory");
        assert!("https://localhost:14000/dir".parse::<AcmeUrl>().is_ok());
        for wrong in ["", "http://localhost/dir", "localhost", "https://", "ftp://x/"] {
            assert!(wrong.parse::<AcmeUrl>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn contacts_are_mail_addresses() {
        assert_eq!("me@example.org".parse::<Contact>().unwrap().as_url(), "mailto:me@example.org");
        for wrong in ["", "me", "@example.org", "me@", "a@b,c@d", "mailto:me@example.org", "me@exa mple.org"]
        {
            assert!(wrong.parse::<Contact>().is_err(), "{wrong}");
        }
    }
}
