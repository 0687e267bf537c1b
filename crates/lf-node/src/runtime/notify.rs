//! Telling systemd what the node does (`Type=notify`): a datagram to the socket it names, if it names one.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Sends one state line, such as `READY=1`. Nobody listening is no error.
pub(super) fn tell(state: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(name.as_bytes(), state) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}

fn send(name: &[u8], state: &str) -> std::io::Result<()> {
    let address = match name.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn states_reach_both_kinds_of_sockets() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let abstract_name = format!("lf-notify-{}", std::process::id());
        let there = UnixDatagram::bind(&path).unwrap();
        let unnamed = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        let abstract_there = UnixDatagram::bind_addr(&unnamed).unwrap();
        for (name, socket) in [
            (path.as_os_str().as_bytes().to_vec(), there),
            (format!("@{abstract_name}").into_bytes(), abstract_there),
        ] {
            send(&name, "READY=1").unwrap();
            let mut text = [0; 16];
            let length = socket.recv(&mut text).unwrap();
            assert_eq!(&text[..length], b"READY=1");
        }
        assert!(send(directory.path().join("nobody").as_os_str().as_bytes(), "READY=1").is_err());
    }
}
