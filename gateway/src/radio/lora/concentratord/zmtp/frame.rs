//! ZMTP 3.0's bytes: greeting, frames, commands (rfc.zeromq.org, 23/ZMTP). Pure.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::Fault;

/// Bytes of a greeting.
pub(super) const GREETING: usize = 64;

/// The most that one message may have, all its frames together, and the most frames. An uplink has less than 2 KiB, and
/// statistics of 64 channels some 10.
pub(super) const MESSAGE_MAX: usize = 64 * 1024;
pub(super) const PARTS_MAX: usize = 8;

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// What is never set in a frame's flags.
const RESERVED: u8 = 0xf8;

const MECHANISM: &[u8; 20] = b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// What is said first: version 3.0 without security. A peer of 3.1 then takes subscriptions as messages, which all do.
pub(super) fn greeting() -> [u8; GREETING] {
    let mut greeting = [0; GREETING];
    let head = [&[0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0][..], MECHANISM].concat();
    for (place, byte) in greeting.iter_mut().zip(head) {
        *place = byte;
    }
    greeting
}

/// Looks at what the other side says first.
///
/// # Errors
/// When it is no ZMTP 3, or wants security.
pub(super) fn check_greeting(greeting: &[u8; GREETING]) -> Result<(), Fault> {
    let [0xff, _, _, _, _, _, _, _, _, last, major, _minor, rest @ ..] = greeting else { return Err(Fault::NotZeroMq) };
    if last & 1 == 0 || *major < 3 {
        return Err(Fault::NotZeroMq);
    }
    if rest.starts_with(MECHANISM) { Ok(()) } else { Err(Fault::Secured) }
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// It speaks of the connection, and is no part of a message.
    pub(super) command: bool,
    /// Another part of the same message follows.
    pub(super) more: bool,
    /// What it carries.
    pub(super) body: Bytes,
}

/// Takes the first frame out of what came; `None` until it is there as a whole. A length is refused before anything is
/// kept for it.
///
/// # Errors
/// When it is longer than a message may be, or no frame.
pub(super) fn take(came: &mut BytesMut) -> Result<Option<Frame>, Fault> {
    let Some(flags) = came.first().copied() else { return Ok(None) };
    if flags & RESERVED != 0 || (flags & COMMAND != 0 && flags & MORE != 0) {
        return Err(Fault::Malformed);
    }
    let (head, length) = match (flags & LONG != 0, &came[1..]) {
        (false, [length, ..]) => (2, u64::from(*length)),
        (true, [a, b, c, d, e, f, g, h, ..]) => (9, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h])),
        _ => return Ok(None),
    };
    let length = usize::try_from(length).ok().filter(|length| *length <= MESSAGE_MAX).ok_or(Fault::TooLong)?;
    if came.len() < head + length {
        return Ok(None);
    }
    came.advance(head);
    let body = came.split_to(length).freeze();
    Ok(Some(Frame { command: flags & COMMAND != 0, more: flags & MORE != 0, body }))
}

fn put(flags: u8, body: &[u8], to: &mut BytesMut) {
    match u8::try_from(body.len()) {
        Ok(length) => to.extend_from_slice(&[flags, length]),
        Err(_) => {
            to.put_u8(flags | LONG);
            to.put_u64(body.len() as u64);
        }
    }
    to.extend_from_slice(body);
}

/// Writes a message.
pub(super) fn put_message(parts: &[&[u8]], to: &mut BytesMut) {
    for (index, part) in parts.iter().enumerate() {
        put(if index + 1 < parts.len() { MORE } else { 0 }, part, to);
    }
}

/// Writes a command.
pub(super) fn put_command(name: &[u8], data: &[u8], to: &mut BytesMut) {
    let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
    put(COMMAND, &[&[length], name, data].concat(), to);
}

/// A command's name and data; `None` where it is none.
pub(super) fn command(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = body.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// READY's data: what kind of socket this is.
pub(super) fn ready(socket: &str) -> Vec<u8> {
    property("Socket-Type", socket)
}

fn property(name: &str, value: &str) -> Vec<u8> {
    let (short, long) = (u8::try_from(name.len()).unwrap_or(u8::MAX), u32::try_from(value.len()).unwrap_or(u32::MAX));
    [&[short], name.as_bytes(), &long.to_be_bytes(), value.as_bytes()].concat()
}

/// The kind of socket that READY's data names; `None` where it names none.
pub(super) fn socket_type(mut data: &[u8]) -> Option<&[u8]> {
    loop {
        let (length, rest) = data.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        let (length, rest) = rest.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        if name.eq_ignore_ascii_case(b"Socket-Type") {
            return Some(value);
        }
        data = rest;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(bytes: &[u8]) -> Result<Option<Frame>, Fault> {
        take(&mut BytesMut::from(bytes))
    }

    fn frame(command: bool, more: bool, body: &'static [u8]) -> Frame {
        Frame { command, more, body: Bytes::from_static(body) }
    }

    #[test]
    fn frames_are_those_of_the_specification() {
        assert_eq!(taken(b"\x01\x02up"), Ok(Some(frame(false, true, b"up"))));
        assert_eq!(taken(b"\x00\x00"), Ok(Some(frame(false, false, b""))));
        assert_eq!(taken(b"\x02\0\0\0\0\0\0\0\x01x"), Ok(Some(frame(false, false, b"x"))), "a long one may be short");
        assert_eq!(taken(b"\x04\x06\x05READY"), Ok(Some(frame(true, false, b"\x05READY"))));
        for cut in [&b""[..], b"\x00", b"\x00\x02x", b"\x02\0\0\0\0\0\0\0"] {
            assert_eq!(taken(cut), Ok(None), "{cut:?}");
        }
        for bad in [&b"\x08\x00"[..], b"\xff", b"\x05\x00"] {
            assert_eq!(taken(bad), Err(Fault::Malformed), "{bad:?}");
        }
        assert_eq!(taken(b"\x02\x7f\xff\xff\xff\xff\xff\xff\xff"), Err(Fault::TooLong));
        assert_eq!(taken(b"\x02\0\0\0\0\0\x01\0\x01"), Err(Fault::TooLong));
        let mut long = BytesMut::new();
        put_message(&[&[7; 256]], &mut long);
        assert_eq!((long.len(), &long[..9]), (265, &b"\x02\0\0\0\0\0\0\x01\0"[..]));
    }

    #[test]
    fn a_greeting_is_64_bytes_and_only_one_without_security_is_taken() {
        let own = greeting();
        assert_eq!((own[0], own[9], own[10], own[11], &own[12..17]), (0xff, 0x7f, 3, 0, &b"NULL\0"[..]));
        assert_eq!(check_greeting(&own), Ok(()));
        let changed = |at: usize, byte: u8| {
            let mut other = greeting();
            other[at] = byte;
            check_greeting(&other)
        };
        assert_eq!((changed(11, 1), changed(8, 0)), (Ok(()), Ok(())), "3.1, and a length of ZMTP 2");
        assert_eq!(
            (changed(0, 0), changed(10, 2), changed(9, 0)),
            (Err(Fault::NotZeroMq), Err(Fault::NotZeroMq), Err(Fault::NotZeroMq))
        );
        assert_eq!((changed(12, b'C'), changed(16, b'X')), (Err(Fault::Secured), Err(Fault::Secured)));
    }

    #[test]
    fn the_kind_of_socket_is_found_among_other_properties() {
        let data = [property("Identity", ""), property("socket-type", "XPUB"), property("X", "y")].concat();
        assert_eq!(socket_type(&data), Some(&b"XPUB"[..]));
        assert_eq!(socket_type(&ready("REQ")), Some(&b"REQ"[..]));
        for none in [&b""[..], b"\x0b", b"\x01X\0\0\0\x02y", b"\x01X\xff\xff\xff\xff"] {
            assert_eq!(socket_type(none), None, "{none:?}");
        }
        assert_eq!(command(b"\x05READYrest"), Some((&b"READY"[..], &b"rest"[..])));
        assert_eq!((command(b""), command(b"\x06READY")), (None, None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_frames_or_a_fault_and_no_more_is_kept_than_came(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut came = BytesMut::from(&bytes[..]);
            let mut taken = 0;
            while let Ok(Some(frame)) = take(&mut came) {
                taken += frame.body.len();
                prop_assert!(taken <= bytes.len());
                let _ = command(&frame.body);
                let _ = socket_type(&frame.body);
            }
        }

        #[test]
        fn what_is_written_is_read(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..6)) {
            let mut written = BytesMut::new();
            put_message(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut written);
            for (index, part) in parts.iter().enumerate() {
                let frame = take(&mut written).unwrap().unwrap();
                prop_assert_eq!((&frame.body[..], frame.more), (&part[..], index + 1 < parts.len()));
            }
            prop_assert!(written.is_empty());
        }
    }
}
