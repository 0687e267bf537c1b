//! The server: sockets, threads and clocks around [`crate::query`]. Every crowd is bounded: questions at work, connections in
//! all and for each address, names that are being asked for, time.

mod lookups;
mod tcp;
mod udp;
mod upstream;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hickory_proto::op::ResponseCode;
use tokio::net::{TcpListener, UdpSocket};

use crate::Zones;
use crate::cache::Lifetimes;
use crate::limit::{Limiter, Verdict};
use crate::node::Node;
use crate::query::{Incoming, KnownNames, Query, Step, Transport};
use lookups::Lookups;
use upstream::Upstream;

/// A question that needs to know more names than this is refused an answer.
const LOOKUPS_MAX: usize = 32;
/// Where UDP and TCP should have the same free port, it is tried so often.
const PORT_TRIES: usize = 20;

/// How to serve.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen, over UDP and TCP both.
    pub listen: Vec<SocketAddr>,
    /// The zones.
    pub zones: Zones,
    /// How long a name is not asked for again, and how long old answers are good for while the node is away.
    pub lifetimes: Lifetimes,
    /// Answers over UDP a second for each network of clients; 0 for no limit.
    pub rate: u32,
    /// Who is asked for names in other zones, in order; nobody if there is none.
    pub upstream: Vec<SocketAddr>,
}

/// Takes lines for people.
pub type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// A server that listens.
pub struct Server {
    sockets: Vec<(Arc<UdpSocket>, TcpListener)>,
    shared: Arc<Shared>,
}

/// What all tasks use.
struct Shared {
    begun: Instant,
    zones: Zones,
    lookups: Lookups,
    limiter: Mutex<Limiter>,
    upstream: Option<Upstream>,
}

impl Server {
    /// Begins to listen. Questions wait until [`run`](Self::run).
    ///
    /// # Errors
    /// An address that cannot be listened to.
    pub async fn bind(config: &Config, node: Node, log: Log) -> io::Result<Self> {
        let mut sockets: Vec<(Arc<UdpSocket>, TcpListener)> = Vec::new();
        for address in &config.listen {
            let named = |e: io::Error| io::Error::new(e.kind(), format!("cannot listen to {address}: {e}"));
            sockets.push(bind_both(*address).await.map_err(named)?);
        }
        for (udp, _) in &sockets {
            let address = udp.local_addr()?;
            if config.upstream.contains(&address) {
                let problem = format!("cannot look names up at {address}: that is this server itself");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
            }
        }
        let shared = Shared {
            begun: Instant::now(),
            zones: config.zones.clone(),
            lookups: Lookups::new(node, config.lifetimes, log),
            limiter: Mutex::new(Limiter::new(config.rate)),
            upstream: (!config.upstream.is_empty()).then(|| Upstream::new(config.upstream.clone())),
        };
        Ok(Server { sockets, shared: Arc::new(shared) })
    }

    /// Where it listens, with the ports that the system chose.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|(udp, _)| udp.local_addr().ok()).collect()
    }

    /// Answers until dropped.
    pub async fn run(self) {
        let mut tasks = tokio::task::JoinSet::new();
        let connections = tcp::Connections::default();
        for (udp, tcp) in self.sockets {
            tasks.spawn(udp::serve(udp, self.shared.clone()));
            tasks.spawn(tcp::serve(tcp, self.shared.clone(), connections.clone()));
        }
        while tasks.join_next().await.is_some() {}
    }
}

async fn bind_both(address: SocketAddr) -> io::Result<(Arc<UdpSocket>, TcpListener)> {
    let mut tries = 0;
    loop {
        tries += 1;
        let tcp = TcpListener::bind(address).await?;
        // Port 0 is any that is free; the same one may be taken by somebody over UDP.
        match UdpSocket::bind(tcp.local_addr()?).await {
            Ok(udp) => return Ok((Arc::new(udp), tcp)),
            Err(e) if address.port() != 0 || tries >= PORT_TRIES => return Err(e),
            Err(_) => {}
        }
    }
}

impl Shared {
    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Whether a question that came over UDP is answered.
    fn verdict(&self, ip: IpAddr) -> Verdict {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner).ask(ip, self.now())
    }

    /// The answer to a message from that address, if it deserves one.
    async fn answer(&self, bytes: &[u8], transport: Transport, client: IpAddr) -> Option<Vec<u8>> {
        match Query::read(bytes, transport) {
            Incoming::Ignored => None,
            Incoming::Answered(answer) => Some(answer),
            Incoming::Question(query) => Some(self.resolve(&query, client).await),
        }
    }

    async fn resolve(&self, query: &Query, client: IpAddr) -> Vec<u8> {
        let mut known = KnownNames::new();
        let forwards = self.upstream.is_some() && is_near(client);
        for _ in 0..=LOOKUPS_MAX {
            match query.step(&self.zones, &known, forwards, unix_seconds()) {
                Step::Answer(answer) => return answer,
                Step::Need(name) => {
                    let told = self.lookups.know(&name, self.now()).await;
                    known.insert(name, told);
                }
                Step::Forward => match &self.upstream {
                    Some(upstream) => return upstream.ask(query).await,
                    None => break,
                },
                Step::Follow(follow) => match &self.upstream {
                    Some(upstream) => {
                        let elsewhere = upstream.ask(&follow.query).await;
                        return query.followed(*follow, &elsewhere);
                    }
                    None => break,
                },
            }
        }
        query.failure(ResponseCode::ServFail)
    }
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Whether a client is of this machine or of a private network. Only these may have other zones' names looked up: a
/// server that does so for everybody is a tool for attacks on others.
fn is_near(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_near() {
        let near = |text: &str| text.parse().is_ok_and(is_near);
        for yes in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.0.9",
            "169.254.1.1",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(near(yes), "{yes}");
        }
        for no in ["192.0.2.1", "8.8.8.8", "2001:db8::1", "::ffff:8.8.8.8", "0.0.0.0"] {
            assert!(!near(no), "{no}");
        }
    }
}
