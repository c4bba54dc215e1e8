//! A port on which lines of text are exchanged with a modem: what is to be written, and the lines that have come.

use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio_serial::{ClearBuffer, SerialPort, SerialStream};

use super::framing::{self, Decoded, Decoder};
use super::reports::Reports;
use super::session::{Ended, drop_reason, lost};
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
        // What is added gives what waits already no more time.
        self.write_by.get_or_insert(Instant::now() + self.write_timeout);
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

    /// Waits until bytes have come or gone, and gives the lines that they complete; what is none is counted as dropped. Safe
    /// to cancel.
    ///
    /// # Errors
    /// When the port is gone.
    pub(in crate::radio) async fn moved(
        &mut self,
        stats: &RadioStats,
        reports: &Reports,
    ) -> Result<Vec<String>, Ended> {
        let mut lines = Vec::new();
        match read_or_write(&mut self.port, Some((&mut self.buffer, READ_BYTES)), &self.unsent).await {
            Ok(Moved::Read(0)) => return Err(Ended::Lost("unplugged: the port has ended".to_owned())),
            Ok(Moved::Read(_)) => {
                RadioStats::add(&stats.bytes_received, self.buffer.len());
                self.decoder.decode(&self.buffer, &mut |decoded| lines.extend(line(decoded, reports)));
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
        Ok(lines)
    }

    /// No more will come of the line that was under way, nor go.
    pub(in crate::radio) fn end(&mut self, reports: &Reports) {
        // What the driver still holds would make closing wait for a stuck peer.
        let _ = self.port.clear(ClearBuffer::Output);
        self.decoder.reset(&mut |decoded| _ = line(decoded, reports));
    }
}

fn line(decoded: Decoded, reports: &Reports) -> Option<String> {
    match decoded {
        Decoded::Frame { payload, .. } => Some(String::from_utf8_lossy(&payload).into_owned()),
        Decoded::Rejected { reason, length, .. } => {
            reports.rejected(drop_reason(reason), length);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_added_to_what_waits_puts_the_end_of_patience_off_no_further() {
        let (port, _other) = SerialStream::pair().unwrap();
        let mut wire = Wire::new(port, 100, Duration::ZERO);
        wire.write("AT\r");
        let by = wire.write_by();
        std::thread::sleep(Duration::from_millis(2));
        wire.write("AT\r");
        assert!(by.is_some() && wire.write_by() == by && wire.stuck().is_some());
    }
}
