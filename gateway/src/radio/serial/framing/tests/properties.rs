//! What holds for any bytes in any cuts.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const MAX: usize = 300;

/// Bytes that framings give a meaning to come as often as all others together.
fn any_bytes(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    let special =
        select(&b"\r\n$!*/0123456789ABCDEFabcdef\0\x01\x02\x03\x04\x7E\x80\xC0\xDB\xDC\xDD\xFFSYTC\xAA\x55"[..]);
    vec(prop_oneof![any::<u8>(), special], length)
}

/// Lengths of pieces, used over and over.
fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(1..40_usize, 1..8)
}

fn cut<'a>(mut input: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for &length in cuts.iter().cycle() {
        if input.is_empty() {
            break;
        }
        let (piece, rest) = input.split_at(length.min(input.len()));
        pieces.push(piece);
        input = rest;
    }
    pieces
}

/// Makes of any bytes a payload that the framing is likely to take.
fn shaped(framing: &Framing, bytes: &[u8]) -> Vec<u8> {
    let without = |left_out: &[u8]| bytes.iter().copied().filter(|byte| !left_out.contains(byte)).collect::<Vec<u8>>();
    match framing {
        Framing::Line { .. } => without(b"\r\n"),
        Framing::Fixed { length } => bytes.iter().copied().cycle().take(*length).collect(),
        Framing::StartStop { stop, .. } => without(&stop[..1]),
        Framing::Nmea => {
            let text = without(b"$!*").into_iter().filter(|byte| matches!(byte, b' '..=b'~'));
            b"$".iter().copied().chain(text).collect()
        }
        Framing::DsmrP1 => [b"/", &without(b"/!")[..], b"!"].concat(),
        Framing::ModbusRtu => {
            let registers: Vec<u8> = bytes.chunks_exact(2).take(125).flatten().copied().collect();
            let data = if registers.is_empty() { &[0, 0][..] } else { &registers };
            [&[17, 3, u8::try_from(data.len()).unwrap()], data].concat()
        }
        _ => bytes.to_vec(),
    }
}

/// What the decoder gives for a payload that was encoded: the same, with the checksum that the framing shows.
fn canonical(framing: &Framing, payload: &[u8], wire: &[u8]) -> Vec<u8> {
    match framing {
        Framing::Nmea | Framing::DsmrP1 => wire[..wire.len() - 2].to_vec(),
        _ => payload.to_vec(),
    }
}

fn has_no_cuts(framing: &Framing) -> bool {
    matches!(framing, Framing::Raw | Framing::IdleGap { .. })
}

/// What brings the framing back in step, and the good frame behind it. `None` where it promises nothing.
fn delimiter(framing: &Framing) -> Option<(&'static [u8], Vec<u8>)> {
    let (delimiter, payload): (&[u8], &[u8]) = match framing {
        Framing::Line { ending: LineEnding::Lf } => (b"\n", b"good"),
        Framing::Line { ending: LineEnding::Crlf } => (b"\r\n", b"good"),
        Framing::Line { ending: LineEnding::Cr } => (b"\r", b"good"),
        // The encoder puts it in front itself.
        Framing::Slip => (b"", b"good"),
        Framing::Cobs => (b"\0", b"good"),
        Framing::StartStop { start, .. } if start[0] == 0x53 => (b"TC", b"good"),
        Framing::StartStop { start, .. } if start[0] == 0x7E => (b"~", b"good"),
        // A frame's first byte is enough.
        Framing::Nmea => (b"", b"$GOOD*03"),
        Framing::DsmrP1 => (b"", b"/GOOD\r\n!"),
        _ => return None,
    };
    Some((delimiter, payload.to_vec()))
}

/// The framings that search for their next frame by its CRC.
fn framings_with_crc() -> Vec<Framing> {
    let searches = |framing: &Framing| match framing {
        Framing::LengthPrefix { crc, .. } => *crc != Crc::None,
        other => *other == Framing::ModbusRtu,
    };
    framings().into_iter().filter(searches).collect()
}

proptest! {
    #[test]
    fn decoding_what_was_encoded_gives_the_payloads(
        framing in select(framings()),
        given in vec(any_bytes(0..280), 1..5),
        in_shape in any::<bool>(),
        cuts in cuts(),
    ) {
        let mut wire = Vec::new();
        let mut expected = Vec::new();
        for bytes in &given {
            let payload = if in_shape { shaped(&framing, bytes) } else { bytes.clone() };
            let Ok(frame) = encoded(&framing, MAX, &payload) else { continue };
            if framing == Framing::ModbusRtu && !in_shape {
                continue; // Any bytes can be sent, but only answers come back.
            }
            expected.push(canonical(&framing, &payload, &frame));
            if has_no_cuts(&framing) {
                let mut decoder = decoder(&framing, MAX);
                let mut found = Vec::new();
                decoder.decode(&frame, &mut |what| found.push(what));
                decoder.idle(&mut |what| found.push(what));
                prop_assert_eq!(payloads(&found), expected.split_off(expected.len() - 1));
                continue;
            }
            wire.extend_from_slice(&frame);
        }
        let found = decode(&framing, MAX, cut(&wire, &cuts));
        prop_assert_eq!(payloads(&found), &expected[..]);
        prop_assert_eq!(found.len(), expected.len(), "nothing is rejected");
    }

    #[test]
    fn payloads_in_shape_can_be_encoded(framing in select(framings()), bytes in any_bytes(4..200)) {
        let payload = shaped(&framing, &bytes);
        prop_assume!(!payload.is_empty());
        prop_assert!(encoded(&framing, MAX, &payload).is_ok());
    }

    #[test]
    fn any_bytes_in_any_cuts_give_what_they_give_in_one_piece(
        framing in select(framings()),
        input in any_bytes(0..600),
        max in 1..40_usize,
        cuts in cuts(),
    ) {
        let whole = decode(&framing, max, [&input[..]]);
        if framing != Framing::Raw {
            prop_assert_eq!(&decode(&framing, max, cut(&input, &cuts)), &whole);
            prop_assert_eq!(&decode(&framing, max, input.chunks(1)), &whole);
        }
        let mut before = 0;
        for what in whole {
            let (start, length) = match what {
                Decoded::Frame { start, payload } => (start, payload.len()),
                Decoded::Rejected { start, length, .. } => (start, length),
            };
            prop_assert!(start >= before && start + length as u64 <= input.len() as u64);
            prop_assert!(length <= 2 * max + 16 || matches!(framing, Framing::ModbusRtu));
            before = start;
        }
    }

    #[test]
    fn idle_and_reset_anywhere_do_no_harm(
        framing in select(framings()),
        steps in vec(prop_oneof![any_bytes(0..50).prop_map(Some), Just(None)], 0..20),
        max in 1..40_usize,
    ) {
        let mut decoder = decoder(&framing, max);
        for (index, step) in steps.iter().enumerate() {
            match step {
                Some(bytes) => decoder.decode(bytes, &mut |_| {}),
                None if index % 2 == 0 => decoder.idle(&mut |_| {}),
                None => decoder.reset(&mut |_| {}),
            }
        }
    }

    #[test]
    fn behind_noise_and_a_delimiter_a_good_frame_decodes(
        framing in select(framings()),
        noise in any_bytes(0..600),
        cuts in cuts(),
    ) {
        let Some((delimiter, payload)) = delimiter(&framing) else { return Ok(()) };
        let wire = encoded(&framing, MAX, &payload).unwrap();
        let input = [&noise, delimiter, &wire].concat();
        let found = decode(&framing, MAX, cut(&input, &cuts));
        prop_assert_eq!(payloads(&found).pop(), Some(canonical(&framing, &payload, &wire)));
    }

    #[test]
    fn behind_noise_a_frame_with_a_crc_decodes_when_the_line_falls_silent(
        framing in select(framings_with_crc()),
        noise in any_bytes(0..600),
        payload in any_bytes(2..100),
        cuts in cuts(),
    ) {
        let payload = shaped(&framing, &payload);
        let input = [noise.clone(), encoded(&framing, 255, &payload).unwrap()].concat();
        let mut decoder = decoder(&framing, 255);
        let mut found = Vec::new();
        for piece in cut(&input, &cuts) {
            decoder.decode(piece, &mut |what| found.push(what));
        }
        decoder.idle(&mut |what| found.push(what));
        // A frame that noise makes by chance may swallow the good one: once in 65536 places with CRC-16.
        let by_chance = |what: &Decoded| matches!(what, Decoded::Frame { start, .. } if *start < noise.len() as u64);
        prop_assume!(!found.iter().any(by_chance));
        prop_assert!(found.contains(&frame(noise.len() as u64, &payload)));
    }

    #[test]
    fn a_fixed_or_bare_counted_frame_decodes_after_a_reset(
        framing in select(vec![Framing::Fixed { length: 7 }, counted(2, Endian::Big, Crc::None)]),
        noise in any_bytes(0..100),
    ) {
        let wire = encoded(&framing, MAX, b"goodone").unwrap();
        let mut decoder = decoder(&framing, MAX);
        decoder.decode(&noise, &mut |_| {});
        decoder.reset(&mut |_| {});
        let mut found = Vec::new();
        decoder.decode(&wire, &mut |what| found.push(what));
        prop_assert_eq!(found, vec![frame(noise.len() as u64, b"goodone")]);
    }
}

#[test]
fn a_megabyte_without_a_delimiter_passes_byte_by_byte_and_is_reported_once() {
    let input = vec![b'x'; 1 << 20];
    // For raw and fixed there is no such thing, and a count of one byte is always plausible.
    let endless = |framing: &Framing| match framing {
        Framing::Raw | Framing::Fixed { .. } => false,
        Framing::LengthPrefix { width, endian, .. } => *width == 2 && *endian == Endian::Big,
        _ => true,
    };
    for framing in framings().into_iter().filter(endless) {
        let mut decoder = decoder(&framing, 1024);
        let mut reports = 0;
        for byte in input.chunks(1) {
            decoder.decode(byte, &mut |_| reports += 1);
        }
        assert_eq!(reports, 1, "{framing:?}");
    }
}

#[test]
fn a_megabyte_of_lying_counts_is_searched_in_bounded_time() {
    for crc in [Crc::Crc16, Crc::Crc32] {
        let mut decoder = decoder(&counted(2, Endian::Big, crc), 65_536);
        let mut reports = 0;
        decoder.decode(&vec![0xF0; 1 << 20], &mut |_| reports += 1);
        assert!(reports <= 20, "{reports}");
    }
}
