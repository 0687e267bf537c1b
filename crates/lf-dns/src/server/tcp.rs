//! TCP (RFC 7766): many questions on a connection, answered as answers come; connections bounded in number and in time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Shared;
use crate::query::Transport;

const CONNECTIONS_MAX: usize = 512;
const CONNECTIONS_PER_ADDRESS_MAX: usize = 32;
/// Questions of one connection that are at work; more wait to be read.
const QUESTIONS_MAX: usize = 32;
/// Who sends longer ones has nothing to ask.
const QUESTION_BYTES_MAX: u16 = 4096;
/// Without a question for so long a connection ends; a question must come, and an answer go, in that time as well.
const IDLE: Duration = Duration::from_secs(10);

/// How many connections there are, from whom.
#[derive(Clone, Default)]
pub(super) struct Connections(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One of them.
struct Connection(Connections, IpAddr);

impl Connections {
    fn open(&self, ip: IpAddr) -> Option<Connection> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = open.values().sum();
        let of_address = open.get(&ip).copied().unwrap_or(0);
        if all >= CONNECTIONS_MAX || of_address >= CONNECTIONS_PER_ADDRESS_MAX {
            return None;
        }
        open.insert(ip, of_address + 1);
        Some(Connection(self.clone(), ip))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.1);
            }
        }
    }
}

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, connections: Connections) {
    loop {
        let Ok((stream, client)) = listener.accept().await else {
            // No more files, most likely: some will be closed.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let ip = client.ip().to_canonical();
        if let Some(connection) = connections.open(ip) {
            tokio::spawn(converse(stream, Arc::new(connection), shared.clone()));
        }
    }
}

async fn converse(stream: TcpStream, connection: Arc<Connection>, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let (mut reader, writer) = stream.into_split();
    let writer = Arc::new(tokio::sync::Mutex::new(writer));
    let room = Arc::new(Semaphore::new(QUESTIONS_MAX));
    while let Some(bytes) = read_message(&mut reader).await {
        let Ok(Ok(permit)) = timeout(IDLE, room.clone().acquire_owned()).await else { return };
        // The connection counts until its last answer is out, even if it was closed on the other side.
        let (writer, shared, connection) = (writer.clone(), shared.clone(), connection.clone());
        tokio::spawn(async move {
            if let Some(answer) = shared.answer(&bytes, Transport::Tcp, connection.1).await {
                let mut writer = writer.lock().await;
                // Who does not take answers gets no more of them; the connection ends with the reader's next wait.
                if write_message(&mut writer, &answer).await.is_none() {
                    let _ = writer.shutdown().await;
                }
            }
            drop((permit, connection));
        });
    }
}

async fn read_message(reader: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    timeout(IDLE, async {
        let length = reader.read_u16().await.ok().filter(|length| *length <= QUESTION_BYTES_MAX)?;
        let mut bytes = vec![0; usize::from(length)];
        reader.read_exact(&mut bytes).await.ok()?;
        Some(bytes)
    })
    .await
    .ok()?
}

async fn write_message(writer: &mut OwnedWriteHalf, bytes: &[u8]) -> Option<()> {
    let length = u16::try_from(bytes.len()).ok()?;
    let message = [&length.to_be_bytes()[..], bytes].concat();
    timeout(IDLE, writer.write_all(&message)).await.ok()?.ok()
}
