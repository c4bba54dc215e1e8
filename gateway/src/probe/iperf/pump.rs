//! Moves the data of a test, on a thread of its own: until there was enough of it, or time is up, or nobody waits any more.

use std::io::{self, ErrorKind, Read, Write};
use std::net;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::net::{TcpStream, UdpSocket};

use super::control::Trouble;
use super::tcp_info::TcpInfo;
use crate::config::Towards;

/// How long a thread may wait for the network before it looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(100);
/// How long what was sent may take to arrive, and how often that is asked.
const DRAIN: Duration = Duration::from_secs(3);
const DRAIN_LOOK: Duration = Duration::from_millis(1);
/// The head of a datagram: seconds, microseconds and its number from 1, big-endian.
const HEAD: usize = 12;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) bytes: u64,
    pub(super) time: Duration,
    /// Bytes that are written or read at once, at most.
    pub(super) block: usize,
    /// Bits a second, of what is sent.
    pub(super) rate: Option<u64>,
}

/// What was moved, as this side has seen it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moved {
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    /// Datagrams sent, or received.
    pub(super) packets: u64,
    /// Datagrams that did not come.
    pub(super) lost: u64,
    /// RFC 3550, in seconds.
    pub(super) jitter: f64,
    /// Segments of TCP sent again by this side; `None` where it does not send or the kernel does not say.
    pub(super) retransmits: Option<u64>,
    /// Bytes of TCP sent that the other side's kernel has not said it has, at the end.
    pub(super) unacknowledged: u64,
}

impl Moved {
    /// What the server is told of it.
    pub(super) fn results(&self) -> Value {
        json!({
            "cpu_util_total": 0.0, "cpu_util_user": 0.0, "cpu_util_system": 0.0, "sender_has_retransmits": -1,
            "streams": [{
                "id": 1, "bytes": self.bytes, "retransmits": -1, "jitter": self.jitter, "errors": self.lost,
                "packets": self.packets, "start_time": 0, "end_time": self.seconds,
            }],
        })
    }
}

/// Bytes that were moved so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Counted(Arc<AtomicU64>);

impl Counted {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

enum Line {
    Tcp(net::TcpStream),
    Udp(net::UdpSocket),
}

/// See the module's head.
pub(super) struct Pump {
    line: Arc<Line>,
    direction: Towards,
    counted: Counted,
}

/// Ends the thread when nobody waits for it any more.
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Pump {
    pub(super) fn of_tcp(stream: TcpStream, direction: Towards) -> io::Result<Self> {
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(LOOK))?;
        stream.set_write_timeout(Some(LOOK))?;
        Ok(Self { line: Arc::new(Line::Tcp(stream)), direction, counted: Counted::default() })
    }

    pub(super) fn of_udp(socket: UdpSocket, direction: Towards) -> io::Result<Self> {
        let socket = socket.into_std()?;
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(LOOK))?;
        socket.set_write_timeout(Some(LOOK))?;
        Ok(Self { line: Arc::new(Line::Udp(socket)), direction, counted: Counted::default() })
    }

    pub(super) fn counted(&self) -> Counted {
        self.counted.clone()
    }

    /// Moves data. The line stays open until the pump goes.
    pub(super) async fn run(&self, limits: Limits) -> Result<Moved, Trouble> {
        let wanted = Wanted(Arc::new(AtomicBool::new(true)));
        let (line, goes_on) = (Arc::clone(&self.line), Arc::clone(&wanted.0));
        let (direction, counted) = (self.direction, self.counted.clone());
        let moving = tokio::task::spawn_blocking(move || {
            let mut run = Run { limits, counted, goes_on, start: Instant::now(), moved: Moved::default() };
            let ended = match (&*line, direction) {
                (Line::Tcp(stream), Towards::Up) => run.write(stream),
                (Line::Tcp(stream), Towards::Down) => run.read(stream),
                (Line::Udp(socket), Towards::Up) => run.send(socket),
                (Line::Udp(socket), Towards::Down) => run.receive(socket),
            };
            run.moved.bytes = run.counted.get();
            run.moved.seconds = run.start.elapsed().as_secs_f64();
            ended.map(|()| run.moved)
        });
        Ok(moving.await.map_err(|_panicked| Trouble::Thread)??)
    }
}

struct Run {
    limits: Limits,
    counted: Counted,
    goes_on: Arc<AtomicBool>,
    start: Instant,
    moved: Moved,
}

/// What a call that waited for too long gives; nothing was moved then.
fn or_nothing(moved: io::Result<usize>) -> io::Result<Option<usize>> {
    match moved {
        Ok(moved) => Ok(Some(moved)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl Run {
    /// How many bytes may be moved next; `None` when it is over.
    fn room(&self) -> Option<usize> {
        let left = self.limits.bytes.saturating_sub(self.counted.get());
        let over = left == 0 || self.start.elapsed() >= self.limits.time || !self.goes_on.load(Ordering::Relaxed);
        (!over).then(|| usize::try_from(left).unwrap_or(usize::MAX).min(self.limits.block))
    }

    fn write(&mut self, mut stream: &net::TcpStream) -> io::Result<()> {
        let block = vec![0x55; self.limits.block];
        while let Some(room) = self.room() {
            or_nothing(stream.write(&block[..room]))?.into_iter().for_each(|sent| self.counted.add(sent));
        }
        self.drain(stream);
        Ok(())
    }

    /// Waits until all has arrived: up to megabytes lie in the kernel when the last byte is written, and would count as carried.
    fn drain(&mut self, stream: &net::TcpStream) {
        let until = Instant::now() + DRAIN;
        while let Some(info) = TcpInfo::of(stream) {
            (self.moved.retransmits, self.moved.unacknowledged) = (Some(info.retransmits), info.unacknowledged);
            if info.unacknowledged == 0 || Instant::now() >= until || !self.goes_on.load(Ordering::Relaxed) {
                break;
            }
            std::thread::sleep(DRAIN_LOOK);
        }
    }

    fn read(&self, mut stream: &net::TcpStream) -> io::Result<()> {
        let mut block = vec![0; self.limits.block];
        while let Some(room) = self.room() {
            match or_nothing(stream.read(&mut block[..room]))? {
                Some(0) => return Ok(()),
                Some(read) => self.counted.add(read),
                None => {}
            }
        }
        Ok(())
    }

    fn send(&mut self, socket: &net::UdpSocket) -> io::Result<()> {
        let mut block = vec![0x55; self.limits.block.max(HEAD)];
        let rate = self.limits.rate.unwrap_or(u64::MAX).max(1) as f64 / 8.0;
        // What would be cut is not begun: a datagram is whole or none.
        while self.room().is_some_and(|room| room >= block.len()) {
            let due = Duration::from_secs_f64(self.counted.get() as f64 / rate);
            let early = due.saturating_sub(self.start.elapsed());
            if !early.is_zero() {
                std::thread::sleep(early.min(LOOK));
                continue;
            }
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let number = u32::try_from(self.moved.packets + 1).unwrap_or(u32::MAX);
            let words = [now.as_secs() as u32, now.subsec_micros(), number];
            words.iter().zip(block.chunks_mut(4)).for_each(|(word, place)| place.copy_from_slice(&word.to_be_bytes()));
            if let Some(sent) = or_nothing(socket.send(&block))? {
                self.counted.add(sent);
                self.moved.packets += 1;
            }
        }
        Ok(())
    }

    fn receive(&mut self, socket: &net::UdpSocket) -> io::Result<()> {
        let mut block = vec![0; 64 << 10];
        let (mut highest, mut transit) = (0_u64, None);
        while self.room().is_some() {
            let Some(read) = or_nothing(socket.recv(&mut block))? else { continue };
            // Differences alone count, so the server's clock may be any; this one does not jump.
            let now = self.start.elapsed().as_secs_f64();
            self.counted.add(read);
            let Some((head, _)) = block.get(..read).and_then(|datagram| datagram.split_first_chunk::<HEAD>()) else {
                continue;
            };
            let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
            self.moved.packets += 1;
            highest = highest.max(u64::from(word(8)));
            let took = now - (f64::from(word(0)) + f64::from(word(4)) / 1e6);
            if let Some(before) = transit.replace(took) {
                let differ: f64 = took - before;
                self.moved.jitter += (differ.abs() - self.moved.jitter) / 16.0;
            }
        }
        self.moved.lost = highest.saturating_sub(self.moved.packets);
        Ok(())
    }
}
