//! The device on the pseudo-terminal: numbered lines, paced like a baud rate or as fast as the terminal takes them.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// Bytes of one frame with its line end.
pub(crate) const FRAME_BYTES: usize = 200;
pub(crate) const BAUD: u32 = 921_600;
/// Handed over together, as a full-speed USB adapter does.
const CHUNK_BYTES: usize = 64;
/// A character on the line: start bit, eight data bits, stop bit.
const BITS: u32 = 10;

/// A frame's place in the stream, and the instant before its last bytes were written.
pub(crate) type Sent = Vec<Instant>;

pub(crate) struct Source {
    controller: File,
    /// In raw mode; held open, so that the terminal stays when its reader goes.
    terminal: OwnedFd,
    path: PathBuf,
}

impl Source {
    pub(crate) fn open() -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let path = PathBuf::from(ptsname(&controller, Vec::new()).unwrap().into_string().unwrap());
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = rustix::fs::open(&path, flags, Mode::empty()).unwrap();
        let mut settings = tcgetattr(&terminal).unwrap();
        settings.make_raw();
        tcsetattr(&terminal, OptionalActions::Now, &settings).unwrap();
        Self { controller: File::from(controller), terminal, path }
    }

    /// What a serial driver opens.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// For a program that reads its standard input.
    pub(crate) fn as_input(&self) -> OwnedFd {
        self.terminal.as_fd().try_clone_to_owned().unwrap()
    }

    /// Writes `count` frames, each chunk at the instant at which its last bit would have left the line.
    pub(crate) fn pace(&self, count: usize) -> Sent {
        let start = Instant::now();
        let mut bytes = 0;
        let mut sent = Vec::with_capacity(count);
        for number in 0..count {
            let frame = frame(number);
            for (chunk, last) in chunks(&frame) {
                bytes += chunk.len();
                wait_until(start + line_time(bytes));
                if last {
                    sent.push(Instant::now());
                }
                (&self.controller).write_all(chunk).unwrap();
            }
        }
        sent
    }

    /// Writes `count` frames as fast as they are taken; says when it began.
    pub(crate) fn flood(&self, count: usize) -> Instant {
        let start = Instant::now();
        for number in 0..count {
            (&self.controller).write_all(&frame(number)).unwrap();
        }
        start
    }
}

/// Its number in ten digits, filling, a line end.
fn frame(number: usize) -> [u8; FRAME_BYTES] {
    let mut frame = [b'.'; FRAME_BYTES];
    frame[..10].copy_from_slice(format!("{number:010}").as_bytes());
    frame[FRAME_BYTES - 1] = b'\n';
    frame
}

/// The number of the frame that a payload is.
pub(crate) fn number(payload: &[u8]) -> usize {
    assert_eq!(payload.len(), FRAME_BYTES - 1, "a frame came whole");
    std::str::from_utf8(&payload[..10]).unwrap().parse().unwrap()
}

fn chunks(frame: &[u8]) -> impl Iterator<Item = (&[u8], bool)> {
    let count = frame.len().div_ceil(CHUNK_BYTES);
    frame.chunks(CHUNK_BYTES).enumerate().map(move |(i, chunk)| (chunk, i + 1 == count))
}

fn line_time(bytes: usize) -> Duration {
    Duration::from_secs_f64(bytes as f64 * f64::from(BITS) / f64::from(BAUD))
}

fn wait_until(at: Instant) {
    std::thread::sleep(at.saturating_duration_since(Instant::now()));
}
