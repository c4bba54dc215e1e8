//! A train of packets over a socket: sent one after the other, answers read meanwhile and until nothing more counts.

use std::io;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use super::book::{Book, Verdict};
use super::figures::Delays;
use super::socket::{Arrived, TimedSocket};
use crate::config::Train;

/// Datagrams that are read before others have their turn.
const BATCH: usize = 32;
/// More than any answer has, in bytes; what is longer is none.
const LONGEST: usize = 2048;

/// What is said in a train.
pub(super) trait Exchange {
    /// The packet with this number, from 0, which leaves at once.
    fn packet(&mut self, sequence: u32) -> Vec<u8>;

    /// Which packet this answers, and how long the other side held it; `None` where it answers none.
    fn answer(&mut self, packet: &[u8], arrived: &Arrived) -> Option<(u32, Duration)>;

    /// What [`answer`](Self::answer) was given last is the first answer to its packet, and in time.
    fn counts(&mut self);
}

/// What came of it.
pub(super) struct Outcome {
    pub(super) book: Book,
    /// Round trips without the time for which the other side held a packet.
    pub(super) rtt: Delays,
    /// Bytes of UDP payload, both ways.
    pub(super) bytes: u64,
    /// Why the last packet that could not be sent was not, or that nobody listens there.
    pub(super) trouble: Option<io::Error>,
}

/// Sends and listens until each packet is answered or too old.
///
/// # Errors
/// When the socket fails.
pub(super) async fn run(train: &Train, socket: &TimedSocket, exchange: &mut impl Exchange) -> io::Result<Outcome> {
    let book = Book::new(train.timeout);
    let mut outcome = Outcome { book, rtt: Delays::default(), bytes: 0, trouble: None };
    let (start, mut buffer) = (Instant::now(), vec![0; LONGEST]);
    loop {
        let (sent, now) = (outcome.book.count(), Instant::now());
        let more = sent < train.packets;
        let due = if more { start + train.spacing * sent } else { outcome.book.over_at().unwrap_or(start) };
        if more && due <= now {
            send(socket, exchange, &mut outcome);
            continue;
        }
        if !more && (outcome.book.is_complete() || due <= now) {
            return Ok(outcome);
        }
        tokio::select! {
            () = sleep_until(due.into()) => {}
            ready = socket.readable() => {
                ready?;
                read(socket, exchange, &mut outcome, &mut buffer)?;
                tokio::task::yield_now().await;
            }
        }
    }
}

fn send(socket: &TimedSocket, exchange: &mut impl Exchange, outcome: &mut Outcome) {
    let packet = exchange.packet(outcome.book.count());
    let at = Instant::now();
    outcome.book.sent(at);
    match socket.try_send(&packet) {
        Ok(sent) => outcome.bytes += sent as u64,
        Err(error) => outcome.trouble = Some(error),
    }
}

fn read(
    socket: &TimedSocket,
    exchange: &mut impl Exchange,
    outcome: &mut Outcome,
    buffer: &mut [u8],
) -> io::Result<()> {
    for _ in 0..BATCH {
        let arrived = match socket.try_recv(buffer) {
            Ok(arrived) => arrived,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            // The network's word on what was sent, and not of the socket.
            Err(error) if is_of_network(&error) => {
                outcome.trouble = Some(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        outcome.bytes += arrived.length as u64;
        let packet = buffer.get(..arrived.length).filter(|_| !arrived.cut).unwrap_or_default();
        let Some((of, held)) = exchange.answer(packet, &arrived) else { continue };
        if let Verdict::First(took) = outcome.book.answered(of, arrived.at) {
            outcome.rtt.push(of, took.saturating_sub(held).as_secs_f64());
            exchange.counts();
        }
    }
    Ok(())
}

fn is_of_network(error: &io::Error) -> bool {
    use io::ErrorKind as E;
    matches!(error.kind(), E::ConnectionRefused | E::HostUnreachable | E::NetworkUnreachable | E::NetworkDown)
}
