//! Known bytes: from standards, from devices, and from each rule of each framing.

use super::*;

/// One piece, and then the same byte by byte, which must come to the same.
fn decodes(framing: &Framing, max: usize, input: &[u8], expected: &[Decoded]) {
    assert_eq!(decode(framing, max, [input]), expected, "in one piece");
    assert_eq!(decode(framing, max, input.chunks(1)), expected, "byte by byte");
}

/// The example telegram of the DSMR 5.0 P1 Companion Standard. The standard prints the CRC EF2F below it, which its text
/// does not have: with CR LF line ends it is E47C, and others who computed it found the same.
const TELEGRAM: &str = "/ISk5\\2MT382-1000\r\n\r\n1-3:0.2.8(50)\r\n0-0:1.0.0(101209113020W)\r\n\
0-0:96.1.1(4B384547303034303436333935353037)\r\n1-0:1.8.1(123456.789*kWh)\r\n1-0:1.8.2(123456.789*kWh)\r\n\
1-0:2.8.1(123456.789*kWh)\r\n1-0:2.8.2(123456.789*kWh)\r\n0-0:96.14.0(0002)\r\n1-0:1.7.0(01.193*kW)\r\n\
1-0:2.7.0(00.000*kW)\r\n0-0:96.7.21(00004)\r\n0-0:96.7.9(00002)\r\n\
1-0:99.97.0(2)(0-0:96.7.19)(101208152415W)(0000000240*s)(101208151004W)(0000000301*s)\r\n\
1-0:32.32.0(00002)\r\n1-0:52.32.0(00001)\r\n1-0:72.32.0(00000)\r\n1-0:32.36.0(00000)\r\n1-0:52.36.0(00003)\r\n\
1-0:72.36.0(00000)\r\n0-0:96.13.0(303132333435363738393A3B3C3D3E3F303132333435363738393A3B3C3D3E3F\
303132333435363738393A3B3C3D3E3F303132333435363738393A3B3C3D3E3F303132333435363738393A3B3C3D3E3F)\r\n\
1-0:32.7.0(220.1*V)\r\n1-0:52.7.0(220.2*V)\r\n1-0:72.7.0(220.3*V)\r\n1-0:31.7.0(001*A)\r\n1-0:51.7.0(002*A)\r\n\
1-0:71.7.0(003*A)\r\n1-0:21.7.0(01.111*kW)\r\n1-0:41.7.0(02.222*kW)\r\n1-0:61.7.0(03.333*kW)\r\n\
1-0:22.7.0(04.444*kW)\r\n1-0:42.7.0(05.555*kW)\r\n1-0:62.7.0(06.666*kW)\r\n0-1:24.1.0(003)\r\n\
0-1:96.1.0(3232323241424344313233343536373839)\r\n0-1:24.2.1(101209112500W)(12785.123*m3)\r\n!E47C";

#[test]
fn the_standards_example_telegram_decodes_and_encodes() {
    let wire = format!("{TELEGRAM}\r\n");
    decodes(&Framing::DsmrP1, 2048, wire.as_bytes(), &[frame(0, TELEGRAM.as_bytes())]);
    let bare = TELEGRAM.strip_suffix("E47C").unwrap();
    assert_eq!(encoded(&Framing::DsmrP1, 2048, TELEGRAM.as_bytes()).unwrap(), wire.as_bytes());
    assert_eq!(encoded(&Framing::DsmrP1, 2048, bare.as_bytes()).unwrap(), wire.as_bytes());
}

#[test]
fn a_p1_telegram_that_is_wrong_cut_or_without_crc_is_rejected_and_the_next_decodes() {
    let wrong = "/A!0000\r\n".to_owned();
    let old = "/A\r\n!\r\n".to_owned();
    let (cut, noise) = ("/A\r\n1-0".to_owned(), "\0\u{1}".to_owned());
    for (bad, expected) in [
        (wrong, rejected(0, Reject::Checksum, 7)),
        (old, rejected(0, Reject::Checksum, 5)),
        (cut, rejected(0, Reject::Incomplete, 7)),
        (noise, rejected(0, Reject::Noise, 2)),
        ("/A!E4x".to_owned(), rejected(0, Reject::Malformed, 6)),
        (format!("/{}", "A".repeat(3000)), rejected(0, Reject::TooLong, 2049)),
    ] {
        let input = format!("{bad}{TELEGRAM}\r\n");
        decodes(&Framing::DsmrP1, 2048, input.as_bytes(), &[expected, frame(bad.len() as u64, TELEGRAM.as_bytes())]);
    }
}

#[test]
fn a_p1_payload_that_is_no_telegram_is_refused() {
    let says = |payload: &str| encoded(&Framing::DsmrP1, 10, payload.as_bytes()).unwrap_err().to_string();
    assert_eq!(says("A!"), "a P1 telegram begins with /, and has no other");
    assert_eq!(says("/A"), "a P1 telegram ends with !, or with ! and its CRC");
    assert_eq!(says("/A!12"), "in a P1 telegram four hex digits follow !, and nothing else");
    assert!(says("/A!0000").starts_with("the payload's checksum is wrong: it should be "));
    assert_eq!(says("/345678!"), "the frame would have 12 bytes, but max-frame is 10");
}

const GGA: &str = "$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47";

#[test]
fn an_nmea_sentence_decodes_and_encodes() {
    let wire = format!("{GGA}\r\n");
    decodes(&Framing::Nmea, 82, wire.as_bytes(), &[frame(0, GGA.as_bytes())]);
    assert_eq!(encoded(&Framing::Nmea, 82, GGA.as_bytes()).unwrap(), wire.as_bytes());
    let bare = GGA.strip_suffix("*47").unwrap();
    assert_eq!(encoded(&Framing::Nmea, 82, bare.as_bytes()).unwrap(), wire.as_bytes());
    decodes(&Framing::Nmea, 82, b"$K*4b$K*4B\n", &[frame(0, b"$K*4b"), frame(5, b"$K*4B")]);
}

#[test]
fn an_nmea_sentence_that_is_wrong_is_rejected_and_the_next_decodes() {
    for (bad, expected) in [
        ("$K*4A\r\n", rejected(0, Reject::Checksum, 5)),
        ("$K\r\n", rejected(0, Reject::Checksum, 2)),
        ("$K*4x\r\n", rejected(0, Reject::Malformed, 5)),
        ("$GPGG", rejected(0, Reject::Incomplete, 5)),
        ("\r\nu-blox\r\n", rejected(2, Reject::Noise, 6)),
        ("$23456789x", rejected(0, Reject::TooLong, 9)),
    ] {
        let input = format!("{bad}$K*4B\r\n");
        decodes(&Framing::Nmea, 8, input.as_bytes(), &[expected, frame(bad.len() as u64, b"$K*4B")]);
    }
}

#[test]
fn an_nmea_payload_that_is_no_sentence_is_refused() {
    let says = |payload: &str| encoded(&Framing::Nmea, 8, payload.as_bytes()).unwrap_err().to_string();
    assert_eq!(says("K"), "an NMEA sentence begins with $ or !");
    assert!(says("$K\r\n").contains("one line of printable ASCII"));
    assert!(says("$A$B").contains("$ and ! only in front"));
    assert_eq!(says("$K*4BB"), "in an NMEA sentence two hex digits follow *, and nothing else");
    assert!(says("$K*00").contains("it should be *4B"));
    assert_eq!(says("$23456"), "the frame would have 9 bytes, but max-frame is 8");
}

#[test]
fn modbus_answers_and_exceptions_decode_without_their_crc() {
    let volts = [0x01, 0x04, 0x04, 0x43, 0x66, 0x33, 0x34, 0x1B, 0x38];
    decodes(&Framing::ModbusRtu, 256, &volts, &[frame(0, &volts[..7])]);
    let exception = encoded(&Framing::ModbusRtu, 256, &[1, 0x84, 2]).unwrap();
    let written = encoded(&Framing::ModbusRtu, 256, &[1, 6, 0, 1, 0, 3]).unwrap();
    let input = [&volts[..], &exception, &written].concat();
    let expected = [frame(0, &volts[..7]), frame(9, &[1, 0x84, 2]), frame(14, &[1, 6, 0, 1, 0, 3])];
    decodes(&Framing::ModbusRtu, 256, &input, &expected);
}

#[test]
fn a_modbus_answer_decodes_behind_the_echo_of_its_question_and_behind_a_corrupt_one() {
    let volts = [0x01, 0x04, 0x04, 0x43, 0x66, 0x33, 0x34, 0x1B, 0x38];
    let echo = encoded(&Framing::ModbusRtu, 256, &[1, 4, 0, 0, 0, 2]).unwrap();
    let input = [&echo[..], &volts].concat();
    decodes(&Framing::ModbusRtu, 256, &input, &[rejected(0, Reject::Malformed, 3), frame(8, &volts[..7])]);
    let mut corrupt = volts;
    corrupt[4] ^= 1;
    let input = [corrupt, volts].concat();
    decodes(&Framing::ModbusRtu, 256, &input, &[rejected(0, Reject::Checksum, 9), frame(9, &volts[..7])]);
}

#[test]
fn a_modbus_answer_cut_short_is_given_up_when_the_line_is_silent() {
    let mut decoder = decoder(&Framing::ModbusRtu, 256);
    let mut found = Vec::new();
    decoder.decode(&[1, 4, 4, 0x43], &mut |what| found.push(what));
    decoder.idle(&mut |what| found.push(what));
    decoder.decode(&[0x01, 0x04, 0x04, 0x43, 0x66, 0x33, 0x34, 0x1B, 0x38], &mut |what| found.push(what));
    assert_eq!(found, [rejected(0, Reject::Incomplete, 4), frame(4, &[1, 4, 4, 0x43, 0x66, 0x33, 0x34])]);
}

#[test]
fn lines_end_as_set_and_empty_ones_are_passed_over() {
    decodes(&line(LineEnding::Lf), 9, b"a\r\n\nbc\n", &[frame(0, b"a\r"), frame(4, b"bc")]);
    decodes(&line(LineEnding::Crlf), 9, b"a\nb\rc\r\r\n\r\nd\r\n", &[frame(0, b"a\nb\rc\r"), frame(10, b"d")]);
    decodes(&line(LineEnding::Cr), 9, b"\ra\nb\r", &[frame(1, b"a\nb")]);
    let says = |ending| encoded(&line(ending), 9, b"a\r\nb").unwrap_err().to_string();
    assert_eq!(says(LineEnding::Crlf), "the payload holds a line ending (CRLF); send each line by itself");
    assert!(says(LineEnding::Lf).contains("(LF)") && says(LineEnding::Cr).contains("(CR)"));
    assert_eq!(encoded(&line(LineEnding::Lf), 9, b"").unwrap_err(), EncodeError::Empty);
}

#[test]
fn a_line_as_long_as_allowed_decodes_and_a_longer_one_is_rejected_once() {
    for (ending, mark) in [(LineEnding::Lf, "\n"), (LineEnding::Crlf, "\r\n"), (LineEnding::Cr, "\r")] {
        let input = format!("1234{mark}12345678{mark}ok{mark}");
        let long = 4 + mark.len() as u64;
        let expected =
            [frame(0, b"1234"), rejected(long, Reject::TooLong, 5), frame(long + 8 + mark.len() as u64, b"ok")];
        decodes(&line(ending), 4, input.as_bytes(), &expected);
    }
    assert_eq!(
        encoded(&line(LineEnding::Lf), 4, b"12345").unwrap_err().to_string(),
        "the frame would have 5 bytes, but max-frame is 4"
    );
}

#[test]
fn slip_escapes_passes_over_repeated_ends_and_rejects_unknown_escapes() {
    let wire = [0xC0, 1, 0xDB, 0xDC, 0xDB, 0xDD, 2, 0xC0];
    decodes(&Framing::Slip, 5, &wire, &[frame(1, &[1, 0xC0, 0xDB, 2])]);
    assert_eq!(encoded(&Framing::Slip, 5, &[1, 0xC0, 0xDB, 2]).unwrap(), wire);
    let bad = [0xC0, 0xC0, 1, 0xDB, 5, 6, 0xC0, 0xDB, 0xC0, 7, 0xC0];
    let expected = [rejected(2, Reject::Malformed, 3), rejected(7, Reject::Malformed, 2), frame(9, &[7])];
    decodes(&Framing::Slip, 5, &bad, &expected);
}

#[test]
fn cobs_frames_are_those_of_its_paper() {
    let bytes = |range: std::ops::RangeInclusive<u8>| range.collect::<Vec<u8>>();
    for (payload, wire) in [
        (vec![], vec![1, 0]),
        (vec![0], vec![1, 1, 0]),
        (vec![0, 0], vec![1, 1, 1, 0]),
        (vec![0x11, 0x22, 0, 0x33], vec![3, 0x11, 0x22, 2, 0x33, 0]),
        (vec![0x11, 0, 0, 0], vec![2, 0x11, 1, 1, 1, 0]),
        (bytes(1..=254), [vec![255], bytes(1..=254), vec![0]].concat()),
        (bytes(1..=255), [vec![255], bytes(1..=254), vec![2, 255, 0]].concat()),
        ([bytes(1..=254), vec![0]].concat(), [vec![255], bytes(1..=254), vec![1, 1, 0]].concat()),
        ([bytes(2..=255), vec![0, 1]].concat(), [vec![255], bytes(2..=255), vec![1, 2, 1, 0]].concat()),
    ] {
        assert_eq!(encoded(&Framing::Cobs, 300, &payload).unwrap(), wire, "{payload:?}");
        decodes(&Framing::Cobs, 300, &wire, &[frame(0, &payload)]);
    }
    decodes(&Framing::Cobs, 300, &[0, 0, 5, 1, 0, 2, 9, 0], &[rejected(2, Reject::Malformed, 3), frame(5, &[9])]);
}

#[test]
fn the_radars_frames_decode_with_their_markers_cut_anywhere() {
    let beat = [0x53, 0x59, 0x01, 0x01, 0x00, 0x01, 0x0F, 0xBE, 0x54, 0x43];
    let fall = [0x53, 0x59, 0x83, 0x0E, 0x00, 0x06, 0x00, 0x02, 0x00, 0x00, 0x00, 0x64, 0xA9, 0x54, 0x43];
    let input = [&[0x53][..], &beat, &fall].concat();
    let expected = [rejected(0, Reject::Noise, 1), frame(1, &beat[2..8]), frame(11, &fall[2..13])];
    decodes(&radar(), 20, &input, &expected);
    assert_eq!(encoded(&radar(), 20, &beat[2..8]).unwrap(), beat);
    decodes(&radar(), 20, b"SYaSYbTC", &[frame(0, b"aSYb")]);
    decodes(&radar(), 2, b"SYabcSYTCSYabTC", &[rejected(0, Reject::TooLong, 7), frame(9, b"ab")]);
    assert_eq!(encoded(&radar(), 20, b"aTCb").unwrap_err(), EncodeError::StopInside);
}

#[test]
fn equal_markers_find_their_phase_again() {
    let hdlc = Framing::StartStop { start: vec![0x7E], stop: vec![0x7E] };
    let expected = [rejected(0, Reject::Noise, 1), frame(1, b"y"), frame(4, b"z")];
    decodes(&hdlc, 9, b"x~y~~z~", &expected);
    decodes(&hdlc, 9, b"~~y~~z~", &[frame(1, b"y"), frame(4, b"z")]);
}

#[test]
fn a_length_prefix_counts_the_payload_and_its_crc_covers_the_count() {
    decodes(&counted(1, Endian::Big, Crc::None), 9, &[2, 7, 8, 0], &[frame(0, &[7, 8]), frame(3, &[])]);
    decodes(&counted(4, Endian::Little, Crc::None), 9, &[1, 0, 0, 0, 7], &[frame(0, &[7])]);
    // The check values of the two CRCs are over "123456789": here `1` is the count.
    let count = Framing::LengthPrefix { width: 1, endian: Endian::Big, crc: Crc::Crc16 };
    let nine = [b"123456789".as_slice(), &[b'x'; 41]].concat();
    let wire = encoded(&count, 99, &nine[1..]).unwrap();
    assert_eq!(wire[0], b'1');
    let crc = crc::Crc::<u16>::new(&crc::CRC_16_MODBUS).checksum(&wire[..50]);
    assert_eq!(wire[50..], crc.to_be_bytes());
    let little = encoded(&counted(2, Endian::Little, Crc::Crc32), 9, b"ab").unwrap();
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&[2, 0, b'a', b'b']);
    assert_eq!(little, [&[2, 0, b'a', b'b'], &crc.to_le_bytes()[..]].concat());
    let says = encoded(&counted(1, Endian::Big, Crc::None), 999, &[0; 300]).unwrap_err().to_string();
    assert_eq!(says, "the payload has 300 bytes, more than a count of width 1 can tell");
}

#[test]
fn a_frame_behind_a_false_count_or_a_corrupt_frame_decodes() {
    let framing = counted(2, Endian::Big, Crc::Crc16);
    let good = encoded(&framing, 9, b"good").unwrap();
    let mut corrupt = good.clone();
    corrupt[3] ^= 0x40;
    let input = [&corrupt[..], &corrupt, &good, &[0xFF], &good].concat();
    let expected = [
        rejected(0, Reject::Checksum, 8),
        rejected(8, Reject::Checksum, 8),
        frame(16, b"good"),
        rejected(24, Reject::TooLong, 2),
        frame(25, b"good"),
    ];
    decodes(&framing, 9, &input, &expected);
}

#[test]
fn a_length_prefixed_frame_that_stalls_is_given_up_and_what_it_swallowed_is_found() {
    let framing = counted(1, Endian::Big, Crc::Crc16);
    let good = encoded(&framing, 50, b"good").unwrap();
    let mut decoder = decoder(&framing, 50);
    let mut found = Vec::new();
    decoder.decode(&[&[40], &good[..]].concat(), &mut |what| found.push(what));
    assert!(found.is_empty() && decoder.idle_after().is_some());
    decoder.idle(&mut |what| found.push(what));
    assert_eq!(found, [rejected(0, Reject::Incomplete, 8), frame(1, b"good")]);
}

#[test]
fn fixed_frames_are_chunks_whatever_the_silence() {
    let framing = Framing::Fixed { length: 3 };
    decodes(&framing, 3, b"abcdefg", &[frame(0, b"abc"), frame(3, b"def")]);
    let mut decoder = decoder(&framing, 3);
    let mut found = Vec::new();
    decoder.decode(b"ab", &mut |what| found.push(what));
    decoder.idle(&mut |what| found.push(what));
    decoder.decode(b"c", &mut |what| found.push(what));
    assert_eq!(found, [frame(0, b"abc")]);
    assert_eq!(decoder.idle_after(), None);
    assert_eq!(encoded(&framing, 3, b"ab").unwrap_err().to_string(), "the payload has 2 bytes, but every frame has 3");
    decodes(&framing, 2, b"abcdef", &[rejected(0, Reject::TooLong, 3), rejected(3, Reject::TooLong, 3)]);
}

#[test]
fn silence_ends_an_idle_gap_frame_and_what_was_too_long() {
    let gap = Duration::from_millis(20);
    let mut decoder = decoder(&Framing::IdleGap { gap }, 3);
    assert_eq!(decoder.idle_after(), Some(gap));
    let mut found = Vec::new();
    for pieces in [&["a", "bc"][..], &["abc", "d", "e"], &[], &["z"]] {
        for piece in pieces {
            decoder.decode(piece.as_bytes(), &mut |what| found.push(what));
        }
        decoder.idle(&mut |what| found.push(what));
    }
    assert_eq!(found, [frame(0, b"abc"), rejected(3, Reject::TooLong, 4), frame(8, b"z")]);
}

#[test]
fn raw_frames_are_the_reads_split_at_the_longest() {
    let found = decode(&Framing::Raw, 3, [&b"ab"[..], b"cdefg"]);
    assert_eq!(found, [frame(0, b"ab"), frame(2, b"cde"), frame(5, b"fg")]);
    assert_eq!(
        encoded(&Framing::Raw, 3, b"").unwrap_err().to_string(),
        "the payload is empty, and this framing has no empty frame"
    );
}

/// What a decoder finds in these bytes and at the stream's end behind them, and then in a good frame.
fn cut(framing: &Framing, partial: &[u8], good: &[u8]) -> Vec<Decoded> {
    let mut decoder = decoder(framing, 9);
    let mut found = Vec::new();
    decoder.decode(partial, &mut |what| found.push(what));
    decoder.reset(&mut |what| found.push(what));
    decoder.reset(&mut |what| found.push(what));
    decoder.decode(good, &mut |what| found.push(what));
    decoder.idle(&mut |what| found.push(what));
    found
}

#[test]
fn the_streams_end_reports_a_partial_frame_once_as_cut_and_the_count_goes_on() {
    let gap = Framing::IdleGap { gap: Duration::from_millis(1) };
    let counted = counted(1, Endian::Big, Crc::None);
    type Case = (Framing, &'static [u8], &'static [u8], &'static [u8]);
    let partials: [Case; 11] = [
        (line(LineEnding::Crlf), b"ab\r", b"good\r\n", b"good"),
        (line(LineEnding::Crlf), b"\r", b"good\r\n", b"good"),
        (Framing::Fixed { length: 4 }, b"ab", b"good", b"good"),
        (Framing::Slip, b"ab\xDB", b"good\xC0", b"good"),
        (Framing::Cobs, &[9, 1, 2], &[5, b'g', b'o', b'o', b'd', 0], b"good"),
        (radar(), b"SYab", b"SYgoodTC", b"good"),
        (counted, &[9, 1, 2], &[4, b'g', b'o', b'o', b'd'], b"good"),
        (gap, b"ab", b"good", b"good"),
        (Framing::Nmea, b"$GOOD*0", b"$GOOD*03", b"$GOOD*03"),
        (Framing::DsmrP1, b"/G\r", b"/G!21C2", b"/G!21C2"),
        (Framing::ModbusRtu, &[1, 4, 4, 0x43], &[1, 6, 0, 1, 0, 0xFF, 0x98, 0x4A], &[1, 6, 0, 1, 0, 0xFF]),
    ];
    for (framing, partial, good, payload) in partials {
        let expected = [rejected(0, Reject::Incomplete, partial.len()), frame(partial.len() as u64, payload)];
        assert_eq!(cut(&framing, partial, good), expected, "{framing:?}");
    }
}

#[test]
fn the_streams_end_is_silent_about_what_was_given_up_before_and_ends_a_run_of_noise() {
    let good = frame(11, b"good");
    let long = cut(&line(LineEnding::Lf), b"more than 9", b"good\n");
    assert_eq!(long, [rejected(0, Reject::TooLong, 10), good.clone()]);
    let markers = cut(&radar(), b"SYaTCnoiseS", b"SYgoodTC");
    assert_eq!(markers, [frame(0, b"a"), rejected(5, Reject::Noise, 6), good.clone()]);
    let counted = cut(&counted(1, Endian::Big, Crc::None), &[99; 11], b"\x04good");
    assert_eq!(counted, [rejected(0, Reject::TooLong, 1), good]);
    assert_eq!(cut(&line(LineEnding::Lf), b"whole\n", b""), [frame(0, b"whole")]);
}
