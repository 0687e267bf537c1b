//! UDP: a task for each question, of a bounded number.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::Semaphore;

use super::Shared;
use crate::limit::Verdict;
use crate::query::{Incoming, Query, Transport};

/// Longer questions are cut off, and refused.
const QUESTION_BYTES_MAX: usize = 4096;
/// Questions at work on one socket. More are lost, as on any busy network.
const QUESTIONS_MAX: usize = 2_000;

pub(super) async fn serve(socket: Arc<UdpSocket>, shared: Arc<Shared>) {
    let room = Arc::new(Semaphore::new(QUESTIONS_MAX));
    let mut buffer = [0; QUESTION_BYTES_MAX];
    loop {
        // Errors are about earlier packets that somebody did not want.
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let Some(bytes) = buffer.get(..length) else { continue };
        match shared.verdict(client.ip()) {
            Verdict::Answer => {}
            Verdict::Slip => {
                if let Incoming::Question(query) = Query::read(bytes, Transport::Udp) {
                    let _ = socket.try_send_to(&query.ask_over_tcp(), client);
                }
                continue;
            }
            Verdict::Drop => continue,
        }
        let Ok(permit) = room.clone().try_acquire_owned() else { continue };
        let (socket, shared, bytes) = (socket.clone(), shared.clone(), bytes.to_vec());
        tokio::spawn(async move {
            if let Some(answer) = shared.answer(&bytes, Transport::Udp, client.ip()).await {
                let _ = socket.send_to(&answer, client).await;
            }
            drop(permit);
        });
    }
}
