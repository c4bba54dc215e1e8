//! What a radio has to show besides its counters: its last frames, the bytes that came last, what went wrong last.
//!
//! All of it is bounded, and costs a frame on its way one lock and one copy of a few bytes.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use super::lora;
use super::serial::Tail;
use crate::config::Eui;
use crate::message::Received;
use crate::pipeline::DropReason;

/// Frames that are kept. Policy: the oldest is forgotten.
const FRAMES: usize = 24;

/// Bytes that are kept of each; the rest is counted.
const FRAME_BYTES: usize = 256;

/// A frame that came in.
#[derive(Debug, Clone)]
pub struct SeenFrame {
    /// When its first byte came.
    pub received: Received,
    /// How long it is, in bytes.
    pub length: usize,
    /// Its first 256 bytes, without what the framing adds.
    pub bytes: Bytes,
    /// What was made of it where it answers a poll.
    pub reading: Option<Bytes>,
    /// How it was heard, where it came by LoRa.
    pub air: Option<Air>,
}

impl SeenFrame {
    /// One that came like this.
    pub(super) fn new(received: Received, bytes: &[u8]) -> Self {
        let kept = Bytes::copy_from_slice(&bytes[..bytes.len().min(FRAME_BYTES)]);
        Self { received, length: bytes.len(), bytes: kept, reading: None, air: None }
    }

    /// What of a LoRaWAN frame is not encrypted, by name; nothing of other frames.
    pub fn lorawan(&self) -> Vec<(String, String)> {
        if self.air.is_none() {
            return Vec::new();
        }
        lora::unencrypted(&self.bytes).into_iter().collect()
    }
}

/// How a frame was heard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Air {
    /// Which gateway heard it; none where a modem did.
    pub gateway: Option<Eui>,
    /// In Hz.
    pub frequency: u32,
    /// 5 to 12; none where it is no LoRa.
    pub factor: Option<u32>,
    /// In dBm.
    pub rssi: Option<f64>,
    /// In dB.
    pub snr: Option<f64>,
}

/// Something that went wrong.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// In words.
    pub what: String,
    /// When.
    pub at: Instant,
}

#[derive(Debug, Default)]
struct Port {
    path: Option<PathBuf>,
    trouble: Option<Trouble>,
}

/// See the module's head.
#[derive(Debug, Default)]
pub struct Seen {
    frames: Mutex<VecDeque<SeenFrame>>,
    tail: Mutex<Tail>,
    port: Mutex<Port>,
    rejected: [AtomicU64; DropReason::ALL.len()],
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one step, so what a panic left is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    /// A frame came.
    pub(super) fn frame(&self, frame: SeenFrame) {
        let mut frames = lock(&self.frames);
        if frames.len() >= FRAMES {
            frames.pop_front();
        }
        frames.push_back(frame);
    }

    /// Bytes came in one read.
    pub(super) fn read(&self, bytes: &[u8], at: Instant) {
        lock(&self.tail).note(bytes, at);
    }

    /// The port is open under this path; what came before has nothing to do with what comes.
    pub(super) fn opened(&self, path: &Path) {
        *lock(&self.tail) = Tail::default();
        lock(&self.port).path = Some(path.to_owned());
    }

    /// Something went wrong.
    pub(super) fn failed(&self, what: impl Into<String>) {
        lock(&self.port).trouble = Some(Trouble { what: what.into(), at: Instant::now() });
    }

    /// Bytes of a line were dropped.
    pub(super) fn rejected(&self, reason: DropReason) {
        self.rejected[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The last frames, the newest first.
    pub fn frames(&self) -> Vec<SeenFrame> {
        lock(&self.frames).iter().rev().cloned().collect()
    }

    /// When the last frame came.
    pub fn last_frame(&self) -> Option<Instant> {
        lock(&self.frames).back().map(|frame| frame.received.monotonic)
    }

    /// The bytes that came last.
    pub fn tail(&self) -> Tail {
        lock(&self.tail).clone()
    }

    /// Under which path the port was opened last.
    pub fn path(&self) -> Option<PathBuf> {
        lock(&self.port).path.clone()
    }

    /// What went wrong last.
    pub fn trouble(&self) -> Option<Trouble> {
        lock(&self.port).trouble.clone()
    }

    /// What was dropped of a line's bytes, by reason.
    pub fn rejections(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.rejected.iter().map(|count| count.load(Ordering::Relaxed));
        DropReason::ALL.iter().map(|reason| reason.as_str()).zip(counts)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::message::ClockQuality;

    fn now() -> Received {
        Received { wall: SystemTime::now(), monotonic: Instant::now(), clock: ClockQuality::Unknown }
    }

    #[test]
    fn only_the_last_frames_are_kept_and_of_long_ones_the_beginning() {
        let seen = Seen::default();
        for length in 0..1000 {
            seen.frame(SeenFrame::new(now(), &vec![7; length]));
        }
        let frames = seen.frames();
        assert_eq!((frames.len(), frames[0].length, frames[0].bytes.len()), (FRAMES, 999, FRAME_BYTES));
    }

    #[test]
    fn a_frame_off_the_air_says_what_is_not_encrypted_and_one_of_a_line_says_nothing() {
        let data = [0x40, 4, 3, 2, 1, 0, 9, 0, 1, 0xff, 1, 2, 3, 4];
        let mut frame = SeenFrame::new(now(), &data);
        assert!(frame.lorawan().is_empty());
        frame.air = Some(Air { gateway: None, frequency: 868_100_000, factor: Some(7), rssi: None, snr: None });
        let said = frame.lorawan();
        for (name, value) in [("dev_addr", "01020304"), ("f_cnt", "9"), ("f_port", "1")] {
            assert!(said.contains(&(name.to_owned(), value.to_owned())), "{said:?}");
        }
    }
}
