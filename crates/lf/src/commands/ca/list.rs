//! `lf ca list`: what an authority has issued and revoked.

use clap::Args;
use lf_proto::api::CertificateInfo;

use crate::authorities;
use crate::cli::Urls;
use crate::context::Context;
use crate::failure::Result;
use crate::{times, ui};

/// List what an authority has issued and revoked
///
/// One line for each certificate: its state, until when it is valid, for whom, and its serial number.
#[derive(Debug, Args)]
pub(super) struct List {
    /// A file with the authority's certificate, or its serial number
    #[arg(value_name = "CA|SERIAL")]
    ca: String,
    #[command(flatten)]
    urls: Urls,
}

pub(super) fn list(context: &Context, args: &List) -> Result<()> {
    let issuer = authorities::serial_of(&args.ca)?;
    let client = context.client(&args.urls.url)?;
    let issued = client.issued_by(&issuer)?;
    if context.json {
        return ui::print_json(&issued);
    }
    if issued.is_empty() {
        ui::note(&format!("The node knows nothing that {issuer} has issued."));
        return Ok(());
    }
    let now = client.status()?.clock;
    ui::print(&issued.iter().map(|info| line(info, now)).collect::<String>())
}

/// One certificate as a line.
fn line(info: &CertificateInfo, now: u64) -> String {
    let state = if info.revoked {
        "revoked"
    } else if now > info.not_after {
        "expired"
    } else if now < info.not_before {
        "later"
    } else {
        "valid"
    };
    let whom = match &info.owner {
        Some(owner) => owner.to_string(),
        None if info.authority => "authority".to_owned(),
        None => "nobody".to_owned(),
    };
    let mut line = format!("{state:<8} {}  {:<43}  {whom}", times::show(info.not_after), info.serial);
    if !info.subject.is_empty() {
        line.push_str(&format!("  {}", info.subject));
    }
    if info.revoked {
        let time = info.revoked_time.map(|time| format!(" {}", times::show(time))).unwrap_or_default();
        let reason = info.reason.as_ref().map(|why| format!(" {}", ui::printable(why.as_bytes())));
        line.push_str(&format!("  (revoked{time}{})", reason.unwrap_or_default()));
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use lf_proto::cert::Serial;
    use lf_proto::hash::Hash;

    use super::*;

    #[test]
    fn lines_say_what_and_until_when() {
        let mut info = CertificateInfo {
            serial: Serial::from_bytes(&[61]).unwrap(),
            issuer: None,
            subject: "CN=Branch".into(),
            owner: None,
            not_before: 1_000_000_000,
            not_after: 1_700_000_000,
            authority: true,
            revoked: false,
            revoked_time: None,
            reason: None,
            record: Hash::default(),
            certificate: Vec::new().into(),
        };
        let serial = format!("{:<43}", "z");
        let until = "2023-11-14 22:13:20 UTC";
        assert_eq!(line(&info, 1_600_000_000), format!("valid    {until}  {serial}  authority  CN=Branch\n"));
        assert!(line(&info, 1_700_000_001).starts_with("expired  2023"));
        assert!(line(&info, 999_999_999).starts_with("later    2023"));
        (info.revoked, info.revoked_time, info.reason) =
            (true, Some(1_600_000_000), Some("superseded".into()));
        let line = line(&info, 0);
        assert!(
            line.starts_with("revoked ") && line.ends_with("(revoked 2020-09-13 12:26:40 UTC superseded)\n")
        );
    }
}
