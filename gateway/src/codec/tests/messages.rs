//! PUBLISH, its acknowledgements, texts and properties.

use super::*;

#[test]
fn qos_dup_and_packet_identifier_agree() {
    for version in ALL {
        malformed(version, b"\x36\x05\x00\x01t\x00\x01");
        protocol_error(version, b"\x32\x05\x00\x01t\x00\x00");
        malformed(version, b"\x32\x04\x00\x01t\x00");
    }
    malformed(Version::V311, b"\x38\x03\x00\x01t");
    malformed(Version::V5, b"\x38\x04\x00\x01t\x00");
}

#[test]
fn a_topic_name_has_no_wildcard_and_is_empty_only_with_an_alias() {
    for version in ALL {
        refused(version, b"\x30\x05\x00\x03a/+", ReasonCode::TopicNameInvalid);
        refused(version, b"\x30\x03\x00\x01#", ReasonCode::TopicNameInvalid);
    }
    refused(Version::V311, b"\x30\x02\x00\x00", ReasonCode::TopicNameInvalid);
    protocol_error(Version::V5, b"\x30\x03\x00\x00\x00");
    let aliased = read_one(b"\x30\x06\x00\x00\x03\x23\x00\x07", Version::V5);
    assert!(matches!(aliased, Ok(Some(Packet::Publish(publish))) if publish.topic.is_empty()));
}

#[test]
fn a_text_is_utf8_without_nul() {
    for text in [&b"\xC3\x28"[..], b"\xED\xA0\x80", b"\xC0\x80", b"a\x00", b"\xFF", b"\xE2\x82"] {
        let bytes = frame(0x30, &[&[0, text.len() as u8], text].concat());
        malformed(Version::V311, &bytes);
    }
    for text in ["\u{1}", "\u{FFFF}", "\u{FEFF}x", "𝄞"] {
        let bytes = frame(0x30, &[&[0, text.len() as u8], text.as_bytes()].concat());
        let Ok(Some(Packet::Publish(publish))) = read_one(&bytes, Version::V311) else { panic!("{text:?}") };
        assert_eq!(publish.topic, text);
    }
}

#[test]
fn properties_have_their_values_and_come_once() {
    refused(Version::V5, &publish_v5(b"\x23\x00\x00"), ReasonCode::TopicAliasInvalid);
    refused(Version::V5, &publish_v5(b"\x08\x00\x01#"), ReasonCode::TopicNameInvalid);
    refused(Version::V5, &publish_v5(b"\x08\x00\x00"), ReasonCode::TopicNameInvalid);
    protocol_error(Version::V5, &publish_v5(b"\x01\x02"));
    protocol_error(Version::V5, &publish_v5(b"\x0B\x00"));
    protocol_error(Version::V5, &publish_v5(b"\x01\x00\x01\x00"));
    protocol_error(Version::V5, &publish_v5(b"\x02\x00\x00\x00\x01\x02\x00\x00\x00\x01"));
    malformed(Version::V5, &publish_v5(b"\x0B\x80\x00"));
    malformed(Version::V5, &publish_v5(b"\x0B\x80\x80\x80\x80\x01"));
    malformed(Version::V5, &publish_v5(b"\x02\x00\x00"));
    malformed(Version::V5, &publish_v5(b"\x11\x00\x00\x00\x01"));
    malformed(Version::V5, &publish_v5(b"\x7E"));
    malformed(Version::V5, &publish_v5(b"\x81\x00\x00"));
    malformed(Version::V5, b"\x30\x04\x00\x01t\x05");
    assert!(read_one(&publish_v5(b"\x0B\x01\x0B\x01"), Version::V5).is_ok());
    assert!(read_one(&publish_v5(b"\x26\x00\x01a\x00\x00\x26\x00\x01a\x00\x00"), Version::V5).is_ok());
}

/// Start, end and properties of every packet that has any; the section stands between start and end.
const TABLE: [(&[u8], &[u8], &[u8]); 11] = [
    (b"\x10\x00\x04MQTT\x05\x02\x00\x0A", b"\x00\x01c", &[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27]),
    // The will of a CONNECT.
    (
        b"\x10\x00\x04MQTT\x05\x06\x00\x0A\x00\x00\x01c",
        b"\x00\x01w\x00\x00",
        &[0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26],
    ),
    (
        b"\x20\x00\x00",
        b"",
        &[0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A],
    ),
    (b"\x30\x00\x01t", b"payload", &[0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26]),
    (b"\x40\x00\x01\x00", b"", &[0x1F, 0x26]),
    (b"\x62\x00\x01\x00", b"", &[0x1F, 0x26]),
    (b"\x82\x00\x01", b"\x00\x01a\x00", &[0x0B, 0x26]),
    (b"\x90\x00\x01", b"\x00", &[0x1F, 0x26]),
    (b"\xA2\x00\x01", b"\x00\x01a", &[0x26]),
    (b"\xB0\x00\x01", b"\x00", &[0x1F, 0x26]),
    (b"\xE0\x00", b"", &[0x11, 0x1C, 0x1F, 0x26]),
];

/// Every identifier in every packet, against table 2-4 of section 2.2.2.2.
#[test]
fn a_property_comes_only_in_its_packets() {
    for (start, end, allowed) in TABLE {
        for byte in 0..=255 {
            // A value of the right size and content for every type.
            let value: &[u8] = match byte {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2A | 0x0B => &[1],
                0x13 | 0x21 | 0x22 | 0x23 => &[0, 1],
                0x02 | 0x11 | 0x18 | 0x27 => &[0, 0, 0, 1],
                0x26 => &[0, 1, b'a', 0, 1, b'b'],
                // Authentication data need a method beside them.
                0x16 => &[0, 1, b'a', 0x15, 0, 1, b'm'],
                _ => &[0, 1, b'a'],
            };
            let section = [&[1 + value.len() as u8, byte], value].concat();
            let bytes = frame(start[0], &[&start[1..], &section, end].concat());
            match read_one(&bytes, Version::V5) {
                Ok(packet) => assert!(packet.is_some() && allowed.contains(&byte), "{start:?} {byte:#X}"),
                Err(error) => {
                    assert!(!allowed.contains(&byte), "{start:?} {byte:#X}: {error}");
                    assert_eq!(error.reason(), ReasonCode::MalformedPacket);
                }
            }
        }
    }
}

#[test]
fn auth_has_a_method_and_may_have_data_and_details() {
    let with = |properties: &[u8]| frame(0xF0, &[&[0x18, properties.len() as u8], properties].concat());
    assert!(read_one(&with(b"\x15\x00\x01m"), Version::V5).is_ok());
    assert!(read_one(&with(b"\x16\x00\x01d\x1F\x00\x01r\x15\x00\x01m"), Version::V5).is_ok());
    protocol_error(Version::V5, &with(b"\x1F\x00\x01r"));
    protocol_error(Version::V5, &with(b"\x16\x00\x01d"));
    malformed(Version::V5, &with(b"\x11\x00\x00\x00\x01"));
}

#[test]
fn a_payload_is_checked_against_its_format_when_asked() {
    let check = |bytes: &[u8]| match read_one(bytes, Version::V5) {
        Ok(Some(Packet::Publish(publish))) => publish.check_payload_format().map_err(|error| error.reason()),
        _ => panic!("is a PUBLISH"),
    };
    assert_eq!(check(b"\x30\x07\x00\x01t\x02\x01\x01\xFF"), Err(ReasonCode::PayloadFormatInvalid));
    assert_eq!(check(b"\x30\x07\x00\x01t\x02\x01\x00\xFF"), Ok(()));
    assert_eq!(check(b"\x30\x07\x00\x01t\x02\x01\x01a"), Ok(()));
    assert_eq!(check(b"\x30\x05\x00\x01t\x00\xFF"), Ok(()));
}

#[test]
fn acknowledgements_have_a_packet_identifier_and_a_code_of_their_own() {
    for version in ALL {
        protocol_error(version, &[0x40, 2, 0, 0]);
    }
    protocol_error(Version::V5, &[0x40, 3, 0, 1, 0x92]);
    protocol_error(Version::V5, &[0x62, 3, 0, 1, 0x10]);
    protocol_error(Version::V5, &[0x70, 3, 0, 1, 0xFF]);
    protocol_error(Version::V5, &[0xE0, 1, 0x85]);
}
