//! Framing in any cuts, and the stream over a pipe that is too narrow, without sockets.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::frames::{Decoder, Event, Fault, Side, write_data};
use super::*;
use crate::wait::{Moved, read_or_write};

const LIMIT: usize = 100_000;

/// A frame as a client sends it.
fn frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | short as u8),
        medium @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend((medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// All that a decoder makes of bytes that come in pieces; data joined.
fn decode(side: Side, pieces: &[&[u8]]) -> Result<(Vec<u8>, Vec<Event>), Fault> {
    let (mut decoder, mut input) = (Decoder::new(side, LIMIT), BytesMut::new());
    let (mut data, mut others) = (Vec::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        while let Some(event) = decoder.next(&mut input)? {
            match event {
                Event::Data(bytes) => data.extend(bytes),
                other => others.push(other),
            }
        }
    }
    Ok((data, others))
}

proptest! {
    #[test]
    fn any_payloads_in_any_cuts_come_out_as_they_went_in(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..6),
        mask: [u8; 4],
        size in 1..40_usize,
    ) {
        let mut bytes = Vec::new();
        for (i, payload) in payloads.iter().enumerate() {
            // One message of many frames, with a ping between each two.
            let first = if i == 0 { 0x02 } else { 0x00 } | if i + 1 == payloads.len() { 0x80 } else { 0 };
            bytes.extend(frame(first, payload, mask));
            bytes.extend(frame(0x89, b"ping", mask));
        }
        let pieces: Vec<_> = bytes.chunks(size).collect();
        let (data, others) = decode(Side::Server, &pieces).unwrap();
        prop_assert_eq!(data, payloads.concat());
        prop_assert_eq!(others, vec![Event::Ping(Bytes::from_static(b"ping")); payloads.len()]);
    }

    #[test]
    fn what_a_client_writes_a_server_reads_and_the_other_way(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..70_000), 1..4),
        mask: [u8; 4],
        size in 1..5000_usize,
    ) {
        for (mask, reader) in [(Some(mask), Side::Server), (None, Side::Client)] {
            let mut bytes = BytesMut::new();
            payloads.iter().for_each(|payload| write_data(payload, mask, &mut bytes));
            let (data, others) = decode(reader, &bytes.chunks(size).collect::<Vec<_>>()).unwrap();
            prop_assert_eq!((data, others), (payloads.concat(), vec![]));
        }
    }

    #[test]
    fn any_bytes_are_decoded_without_a_panic(bytes: Vec<u8>, size in 1..9_usize, client: bool) {
        let side = if client { Side::Client } else { Side::Server };
        let _ = decode(side, &bytes.chunks(size).collect::<Vec<_>>());
    }
}

#[test]
fn what_a_client_may_not_send_is_refused_by_its_header_alone() {
    let fault = |bytes: &[u8]| decode(Side::Server, &[bytes]).unwrap_err();
    assert_eq!(fault(&[0x81, 0x80, 0, 0, 0, 0]), Fault::Text);
    assert_eq!(fault(&[0x82, 0x01]), Fault::Protocol, "not masked");
    assert_eq!(fault(&[0xc2, 0x80]), Fault::Protocol, "a reserved bit");
    for kind in [3, 7, 11, 15] {
        assert_eq!(fault(&[0x80 | kind, 0x80, 0, 0, 0, 0]), Fault::Protocol, "opcode {kind}");
    }
    assert_eq!(fault(&[0x80, 0x80, 0, 0, 0, 0]), Fault::Protocol, "a continuation of nothing");
    assert_eq!(fault(&[0x02, 0x80, 0, 0, 0, 0, 0x82, 0x80, 0, 0, 0, 0]), Fault::Protocol, "a message within another");
    assert_eq!(fault(&[0x09, 0x80, 0, 0, 0, 0]), Fault::Protocol, "a ping in pieces");
    assert_eq!(fault(&[0x89, 0xfe, 0, 126, 0, 0, 0, 0]), Fault::Protocol, "a ping that is too long");
    let to_client = decode(Side::Client, &[&frame(0x82, b"data", [1; 4])]).unwrap_err();
    assert_eq!(to_client, Fault::Protocol, "masked by a server");
    let giant = [&[0x82, 0xff][..], &u64::MAX.to_be_bytes(), &[0; 4]].concat();
    assert_eq!(fault(&giant), Fault::TooLarge);
    assert!(decode(Side::Server, &[&frame(0x82, &vec![7; LIMIT], [1; 4])]).is_ok());
    assert_eq!(fault(&frame(0x82, &vec![7; LIMIT + 1], [1; 4])), Fault::TooLarge);
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_goes_out_while_the_client_says_nothing() {
    let (near, mut far) = duplex(7);
    let mut stream = WebSocket::new(Side::Server, near, BytesMut::new(), LIMIT);
    stream.write_all(&[b'x'; 30_000]).await.unwrap();
    let mut inbox = BytesMut::new();
    // Frames of 16 KiB, each with four bytes in front.
    let mut came = vec![0; 30_000 + 2 * 4];
    tokio::select! {
        moved = read_or_write(&mut stream, Some((&mut inbox, 10)), b"") => panic!("{moved:?}"),
        read = far.read_exact(&mut came) => assert_eq!(read.unwrap(), came.len()),
        () = tokio::time::sleep(Duration::from_secs(1)) => panic!("the rest waits for more to write"),
    }
    assert_eq!(came[..5], [0x82, 126, 0x40, 0, b'x']);
}

#[tokio::test]
async fn pings_without_end_are_answered_as_far_as_there_is_room_and_the_last_one_always() {
    let (near, mut far) = duplex(16);
    let mut pings: Vec<u8> = (0..20_000_u32).flat_map(|i| frame(0x89, &i.to_be_bytes(), [3; 4])).collect();
    pings.extend(frame(0x82, b"data", [3; 4]));
    let mut stream = WebSocket::new(Side::Server, near, BytesMut::from(&pings[..]), LIMIT);
    let mut inbox = BytesMut::new();
    let moved = read_or_write(&mut stream, Some((&mut inbox, 10)), b"").await.unwrap();
    assert!(matches!(moved, Moved::Read(4)) && &inbox[..] == b"data");
    let mut answers = Vec::new();
    let send = async {
        stream.flush().await.unwrap();
        drop(stream);
    };
    tokio::join!(send, async { far.read_to_end(&mut answers).await.unwrap() });
    assert_eq!(answers[answers.len() - 6..], [0x8a, 4, 0, 0, 0x4e, 0x1f], "19,999");
    assert!(answers.len() < 20_000 * 6 / 2, "{} bytes of pongs waited", answers.len());
}

#[tokio::test]
async fn a_close_is_answered_with_a_close_and_nothing_is_written_behind_it() {
    let (near, mut far) = duplex(1000);
    let mut stream = WebSocket::new(Side::Server, near, BytesMut::new(), LIMIT);
    far.write_all(&[frame(0x88, &[3, 232], [9; 4]), frame(0x82, b"late", [9; 4])].concat()).await.unwrap();
    let mut inbox = Vec::new();
    assert_eq!(stream.read_to_end(&mut inbox).await.unwrap(), 0);
    assert!(stream.write_all(b"late").await.is_err());
    stream.shutdown().await.unwrap();
    let mut answers = Vec::new();
    far.read_to_end(&mut answers).await.unwrap();
    assert_eq!(answers, [0x88, 2, 3, 232]);
}

#[tokio::test]
async fn a_client_and_a_server_of_ours_understand_each_other() {
    let (near, far) = duplex(1000);
    let mut client = WebSocket::new(Side::Client, near, BytesMut::new(), LIMIT);
    let mut server = WebSocket::new(Side::Server, far, BytesMut::new(), LIMIT);
    let said: Vec<u8> = (0..50_000_u32).map(|i| i as u8).collect();
    let mut heard = vec![0; said.len()];
    let talk = async {
        client.write_all(&said).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let answer = async {
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(server.read(&mut [0; 10]).await.unwrap(), 0, "the goodbye");
        assert!(server.write_all(b"late").await.is_err());
    };
    let (answer, ()) = tokio::join!(talk, answer);
    assert_eq!((answer, heard), (vec![], said));
}

#[test]
fn the_answer_to_a_key_is_that_of_the_example() {
    // RFC 6455, section 1.3.
    assert_eq!(accept_of("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_ne!(new_key().unwrap(), new_key().unwrap());
    assert_eq!(new_key().unwrap().len(), 24);
}
