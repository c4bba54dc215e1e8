//! A port on which lines of text are exchanged with a modem: what is to be written, and the lines that have come.

use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio_serial::{ClearBuffer, SerialPort, SerialStream};

use super::framing::{self, Decoded, Decoder};
use super::session::{Ended, lost};
use crate::config::{Framing, LineEnding};
use crate::radio::RadioStats;
use crate::wait::{Moved, read_or_write};

/// Bytes taken in one read.
const READ_BYTES: usize = 4096;

/// See the module's head.
pub(in crate::radio) struct Wire {
    port: SerialStream,
    decoder: Box<dyn Decoder>,
    buffer: BytesMut,
    unsent: BytesMut,
    write_timeout: Duration,
    /// When the port must have taken what is unsent.
    write_by: Option<Instant>,
}

impl Wire {
    /// Lines of at most so many bytes; a command must be out within `write_timeout`.
    pub(in crate::radio) fn new(port: SerialStream, line_max: usize, write_timeout: Duration) -> Self {
        let decoder = framing::decoder(&Framing::Line { ending: LineEnding::Lf }, line_max);
        Self { port, decoder, buffer: BytesMut::new(), unsent: BytesMut::new(), write_timeout, write_by: None }
    }

    /// Has this written, its ending included.
    pub(in crate::radio) fn write(&mut self, command: &str) {
        self.unsent.extend_from_slice(command.as_bytes());
        self.write_by = Some(Instant::now() + self.write_timeout);
    }

    /// When the port must have taken all of it.
    pub(in crate::radio) fn write_by(&self) -> Option<Instant> {
        self.write_by
    }

    /// Why the port is of no use, when it has taken nothing for so long.
    pub(in crate::radio) fn stuck(&self) -> Option<String> {
        let is_over = self.write_by.is_some_and(|by| by <= Instant::now());
        is_over.then(|| "the port took nothing; check flow control and cable".to_owned())
    }

    /// Waits until bytes have come or gone, and gives what they complete. Safe to cancel.
    ///
    /// # Errors
    /// When the port is gone.
    pub(in crate::radio) async fn moved(&mut self, stats: &RadioStats) -> Result<Vec<Decoded>, Ended> {
        let mut found = Vec::new();
        match read_or_write(&mut self.port, Some((&mut self.buffer, READ_BYTES)), &self.unsent).await {
            Ok(Moved::Read(0)) => return Err(Ended::Lost("unplugged: the port has ended".to_owned())),
            Ok(Moved::Read(_)) => {
                RadioStats::add(&stats.bytes_received, self.buffer.len());
                self.decoder.decode(&self.buffer, &mut |decoded| found.push(decoded));
                self.buffer.clear();
            }
            Ok(Moved::Wrote(count)) => {
                RadioStats::add(&stats.bytes_sent, count);
                self.unsent.advance(count.min(self.unsent.len()));
                if self.unsent.is_empty() {
                    self.write_by = None;
                }
            }
            Err(error) => return Err(Ended::Lost(lost(&error))),
        }
        Ok(found)
    }

    /// No more will come of the line that was under way, nor go.
    pub(in crate::radio) fn end(&mut self) -> Vec<Decoded> {
        // What the driver still holds would make closing wait for a stuck peer.
        let _ = self.port.clear(ClearBuffer::Output);
        let mut found = Vec::new();
        self.decoder.reset(&mut |decoded| found.push(decoded));
        found
    }
}
