//! Asking another server about names in other zones, and passing its answers on. Each question has its own socket and a random
//! id, and only an answer to it from there counts.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use crate::query::{Query, Transport, UDP_BYTES_MAX};

/// Questions that wait for answers.
const QUESTIONS_MAX: usize = 256;
/// Each server has so long; over UDP a question is sent twice.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Packets that are looked at for one question. Who sends more only guesses.
const PACKETS_MAX: usize = 32;

pub(super) struct Upstream {
    servers: Vec<SocketAddr>,
    room: Semaphore,
}

impl Upstream {
    pub(super) fn new(servers: Vec<SocketAddr>) -> Self {
        Upstream { servers, room: Semaphore::new(QUESTIONS_MAX) }
    }

    /// The first server's answer that comes, made ours; a failure if none does.
    pub(super) async fn ask(&self, query: &Query) -> Vec<u8> {
        let Ok(_permit) = self.room.try_acquire() else { return query.failure(ResponseCode::ServFail) };
        for server in &self.servers {
            let answer = match query.transport() {
                // Over UDP packets get lost.
                Transport::Udp => match over_udp(*server, query).await {
                    None => over_udp(*server, query).await,
                    some => some,
                },
                Transport::Tcp => timeout(2 * PATIENCE, over_tcp(*server, query)).await.ok().flatten(),
            };
            if let Some(answer) = answer {
                return answer;
            }
        }
        query.failure(ResponseCode::ServFail)
    }
}

fn random_id() -> Option<u16> {
    let mut id = [0; 2];
    getrandom::fill(&mut id).ok()?;
    Some(u16::from_be_bytes(id))
}

async fn over_udp(server: SocketAddr, query: &Query) -> Option<Vec<u8>> {
    let until = Instant::now() + PATIENCE;
    let any = if server.is_ipv4() {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
    } else {
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
    };
    let id = random_id()?;
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect(server).await.ok()?;
    socket.send(&query.upstream(id)).await.ok()?;
    let mut buffer = vec![0; usize::from(UDP_BYTES_MAX) + 1];
    for _ in 0..PACKETS_MAX {
        let length = timeout_at(until, socket.recv(&mut buffer)).await.ok()?.ok()?;
        if let Some(answer) = query.from_upstream(buffer.get(..length)?.to_vec(), id) {
            return Some(answer);
        }
    }
    None
}

async fn over_tcp(server: SocketAddr, query: &Query) -> Option<Vec<u8>> {
    let id = random_id()?;
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        let question = query.upstream(id);
        let length = u16::try_from(question.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes()[..], &question].concat()).await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    query.from_upstream(exchange.await.ok()?, id)
}
