//! Frames of WebSocket (RFC 6455, section 5), from the other side to bytes and from bytes to it. Pure.
//!
//! What a frame carries is handed on as it comes in, whole or not: MQTT gives no meaning to where frames begin and end
//! (MQTT 5.0, section 6). So nothing is gathered, and a message of many frames costs no more than one.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The longest payload of a control frame (section 5.5).
const CONTROL_MAX: usize = 125;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// First byte: the last frame of its message.
const FIN: u8 = 0x80;
/// Second byte: the payload is masked.
const MASKED: u8 = 0x80;

/// Which side one is. What a client sends is masked, always, and what a server sends never is (section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Opened the connection.
    Client,
    /// Was connected to.
    Server,
}

/// What the other side sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// Bytes of MQTT.
    Data(BytesMut),
    /// To be answered with the same payload.
    Ping(Bytes),
    /// Nothing to do.
    Pong,
    /// The other side is done.
    Close,
}

/// What the other side may not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("a frame that WebSocket forbids")]
    Protocol,
    #[error("a text frame, where MQTT has binary ones")]
    Text,
    #[error("a frame larger than `max-packet-size`")]
    TooLarge,
}

impl Fault {
    /// The status code that says so (section 7.4.1).
    pub(super) fn code(self) -> u16 {
        match self {
            Self::Protocol => 1002,
            Self::Text => 1003,
            Self::TooLarge => 1009,
        }
    }
}

/// Takes the other side's bytes apart.
#[derive(Debug)]
pub(super) struct Decoder {
    /// One's own side.
    side: Side,
    limit: u64,
    /// Of the data frame under way: what is still to come of it, and its mask, turned so that the next byte is first.
    left: u64,
    mask: [u8; 4],
    /// A message of several frames is under way.
    unfinished: bool,
}

/// The start of a frame.
struct Header {
    kind: u8,
    last: bool,
    length: u64,
    mask: [u8; 4],
    size: usize,
}

impl Decoder {
    /// One that lets no frame through that is longer than `limit`.
    pub(super) fn new(side: Side, limit: usize) -> Self {
        Self { side, limit: limit as u64, left: 0, mask: [0; 4], unfinished: false }
    }

    /// The next event, taken out of `input`; `None` when more is needed for it.
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Event>, Fault> {
        while self.left == 0 {
            let Some(header) = header(input, self.side)? else { return Ok(None) };
            self.judge(&header)?;
            if header.kind >= CLOSE {
                return Ok(control(&header, input));
            }
            input.advance(header.size);
            (self.left, self.mask, self.unfinished) = (header.length, header.mask, !header.last);
        }
        if input.is_empty() {
            return Ok(None);
        }
        let here = usize::try_from(self.left).map_or(input.len(), |left| left.min(input.len()));
        let mut data = input.split_to(here);
        unmask(&mut data, self.mask);
        self.mask.rotate_left(here % 4);
        self.left -= here as u64;
        Ok(Some(Event::Data(data)))
    }

    fn judge(&self, header: &Header) -> Result<(), Fault> {
        match header.kind {
            TEXT => Err(Fault::Text),
            CONTINUATION if !self.unfinished => Err(Fault::Protocol),
            BINARY if self.unfinished => Err(Fault::Protocol),
            CONTINUATION | BINARY if header.length > self.limit => Err(Fault::TooLarge),
            CONTINUATION | BINARY => Ok(()),
            CLOSE | PING | PONG if header.last && header.length <= CONTROL_MAX as u64 => Ok(()),
            _ => Err(Fault::Protocol),
        }
    }
}

/// Reads a header and leaves it where it is. `side` is one's own.
fn header(input: &[u8], side: Side) -> Result<Option<Header>, Fault> {
    let [first, second, rest @ ..] = input else { return Ok(None) };
    let masked = second & MASKED != 0;
    // Reserved bits belong to extensions, of which none was agreed.
    if first & 0x70 != 0 || masked != (side == Side::Server) {
        return Err(Fault::Protocol);
    }
    let digits = match second & !MASKED {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some((length, rest)) = rest.split_at_checked(digits) else { return Ok(None) };
    let length = match length {
        [] => u64::from(second & !MASKED),
        digits => digits.iter().fold(0, |length, digit| length << 8 | u64::from(*digit)),
    };
    let (mask, size) = match rest.first_chunk() {
        _ if !masked => ([0; 4], 2 + digits),
        Some(mask) => (*mask, 2 + digits + mask.len()),
        None => return Ok(None),
    };
    Ok(Some(Header { kind: first & 0x0f, last: first & FIN != 0, length, mask, size }))
}

/// A control frame, once it is there as a whole.
fn control(header: &Header, input: &mut BytesMut) -> Option<Event> {
    let length = usize::try_from(header.length).ok()?;
    if input.len() < header.size + length {
        return None;
    }
    input.advance(header.size);
    let mut payload = input.split_to(length);
    unmask(&mut payload, header.mask);
    Some(match header.kind {
        PING => Event::Ping(payload.freeze()),
        PONG => Event::Pong,
        _ => Event::Close,
    })
}

fn unmask(data: &mut [u8], mask: [u8; 4]) {
    for (byte, mask) in data.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// Appends a frame with bytes of MQTT. A client masks it with `mask`.
pub(super) fn write_data(payload: &[u8], mask: Option<[u8; 4]>, out: &mut BytesMut) {
    write(BINARY, payload, mask, out);
}

/// Appends the answer to a ping.
pub(super) fn write_pong(payload: &[u8], mask: Option<[u8; 4]>, out: &mut BytesMut) {
    write(PONG, payload, mask, out);
}

/// Appends a goodbye.
pub(super) fn write_close(code: u16, mask: Option<[u8; 4]>, out: &mut BytesMut) {
    write(CLOSE, &code.to_be_bytes(), mask, out);
}

fn write(kind: u8, payload: &[u8], mask: Option<[u8; 4]>, out: &mut BytesMut) {
    let masked = if mask.is_some() { MASKED } else { 0 };
    out.put_u8(FIN | kind);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ 0..=125), _) => out.put_u8(masked | short),
        (_, Ok(medium)) => {
            out.put_u8(masked | 126);
            out.put_u16(medium);
        }
        _ => {
            out.put_u8(masked | 127);
            out.put_u64(payload.len() as u64);
        }
    }
    if let Some(mask) = mask {
        out.put_slice(&mask);
    }
    let from = out.len();
    out.put_slice(payload);
    if let Some(mask) = mask {
        unmask(&mut out[from..], mask);
    }
}
