//! Bytes to packets: whatever is taken has one meaning, which the same bytes say again.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use stile::codec::{Packet, Version, encoded_len, read, write};

const MAX: usize = 4096;

fuzz_target!(|input: &[u8]| {
    // The first byte says what the reader knows: nothing before CONNECT, or a version.
    let Some((known, bytes)) = input.split_first() else { return };
    let known = [None, Some(Version::V31), Some(Version::V311), Some(Version::V5)][usize::from(known % 4)];
    let mut buffer = BytesMut::from(bytes);
    while let Ok(Some(packet)) = read(&mut buffer, known, MAX) {
        let version = match (&packet, known) {
            (Packet::Connect(connect), _) => connect.version,
            (_, known) => known.expect("only CONNECT is read without a version"),
        };
        let mut again = BytesMut::new();
        write(&packet, version, &mut again).expect("what was read can be written");
        assert_eq!(encoded_len(&packet, version), Ok(again.len()));
        assert_eq!(read(&mut again, known, 2 * MAX), Ok(Some(packet)));
        assert!(again.is_empty());
    }
    assert!(buffer.capacity() <= 2 * MAX + bytes.len());
});
