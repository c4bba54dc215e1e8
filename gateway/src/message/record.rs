//! A message as bytes on disk, and back: what the store and every other keeper of messages writes.
//!
//! Layout: a version byte, CRC-32C (Castagnoli; RFC 3720, appendix B.4) of what follows, little endian, and the fields
//! in postcard's wire format. A newer layout gets a new version byte; the old ones stay readable.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;
use crc::{CRC_32_ISCSI, Crc};
use serde::{Deserialize, Serialize};

use super::{ClockQuality, Message, MessageId, Origin, Properties, QoS, RadioMeta, Received, Topic};

const VERSION: u8 = 1;
const HEADER: usize = 5;
const CASTAGNOLI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by a newer Stile.
    #[error("a record of version {0}, which this version of Stile can't read")]
    Version(u8),
    /// Cut off, or changed since it was written.
    #[error("a damaged record")]
    Damaged,
}

#[derive(Serialize, Deserialize)]
struct Fields<'a> {
    run: u64,
    sequence: u64,
    topic: &'a str,
    #[serde(borrow)]
    payload: &'a [u8],
    qos: u8,
    retain: bool,
    #[serde(borrow)]
    origin: Source<'a>,
    /// Microseconds since 1970, UTC.
    received: u64,
    clock: u8,
    #[serde(borrow)]
    radio: Option<Radio<'a>>,
    #[serde(borrow)]
    properties: Option<Said<'a>>,
}

#[derive(Serialize, Deserialize)]
enum Source<'a> {
    Radio(&'a str),
    Client(&'a str),
    Gateway,
    // New ones come at the end, so that older records stay readable.
    Plugin(&'a str),
    Uplink(&'a str),
}

#[derive(Serialize, Deserialize)]
struct Radio<'a> {
    framing: &'a str,
    baud: u32,
    poll: Option<&'a str>,
}

#[derive(Serialize, Deserialize)]
struct Said<'a> {
    payload_is_text: Option<bool>,
    expiry: Option<u32>,
    content_type: Option<&'a str>,
    response_topic: Option<&'a str>,
    correlation: Option<&'a [u8]>,
    #[serde(borrow)]
    user: Vec<(&'a str, &'a str)>,
}

impl Message {
    /// The message as bytes; see the module's head.
    ///
    /// # Panics
    /// Never: the fields are numbers, texts and bytes, which postcard always takes.
    pub fn to_record(&self) -> Vec<u8> {
        let fields = Fields {
            run: self.id.run,
            sequence: self.id.sequence,
            topic: self.topic.as_str(),
            payload: &self.payload,
            qos: self.qos as u8,
            retain: self.retain,
            origin: source(&self.origin),
            received: self.received.unix_micros(),
            clock: self.received.clock as u8,
            radio: self.radio.as_deref().map(radio),
            properties: self.properties.as_deref().map(said),
        };
        let mut record = vec![0; HEADER];
        record[0] = VERSION;
        let mut record = postcard::to_extend(&fields, record).expect("a vector has room");
        let sum = CASTAGNOLI.checksum(&record[HEADER..]);
        record[1..HEADER].copy_from_slice(&sum.to_le_bytes());
        record
    }

    /// Reads a message back. Its monotonic time is now, since that clock began anew with the process.
    ///
    /// # Errors
    /// When the bytes are not what [`to_record`](Self::to_record) wrote.
    pub fn from_record(record: &[u8]) -> Result<Self, RecordError> {
        let (header, body) = record.split_at_checked(HEADER).ok_or(RecordError::Damaged)?;
        if header[0] != VERSION {
            return Err(RecordError::Version(header[0]));
        }
        if header[1..] != CASTAGNOLI.checksum(body).to_le_bytes() {
            return Err(RecordError::Damaged);
        }
        let fields: Fields<'_> = postcard::from_bytes(body).map_err(|_| RecordError::Damaged)?;
        let received = Received {
            wall: UNIX_EPOCH.checked_add(Duration::from_micros(fields.received)).ok_or(RecordError::Damaged)?,
            monotonic: Instant::now(),
            clock: ClockQuality::from_u8(fields.clock),
        };
        Ok(Self {
            id: MessageId { run: fields.run, sequence: fields.sequence },
            topic: Topic::new(fields.topic).map_err(|_| RecordError::Damaged)?,
            payload: Bytes::copy_from_slice(fields.payload),
            qos: QoS::from_u8(fields.qos).ok_or(RecordError::Damaged)?,
            retain: fields.retain,
            origin: origin(&fields.origin),
            received,
            radio: fields.radio.map(|radio| Arc::new(meta(&radio))),
            properties: fields.properties.map(|said| Arc::new(properties(said))),
        })
    }
}

fn source(origin: &Origin) -> Source<'_> {
    match origin {
        Origin::Radio(name) => Source::Radio(name),
        Origin::Client(id) => Source::Client(id),
        Origin::Gateway => Source::Gateway,
        Origin::Plugin(name) => Source::Plugin(name),
        Origin::Uplink(name) => Source::Uplink(name),
    }
}

fn origin(source: &Source<'_>) -> Origin {
    match *source {
        Source::Radio(name) => Origin::Radio(name.into()),
        Source::Client(id) => Origin::Client(id.into()),
        Source::Gateway => Origin::Gateway,
        Source::Plugin(name) => Origin::Plugin(name.into()),
        Source::Uplink(name) => Origin::Uplink(name.into()),
    }
}

fn radio(meta: &RadioMeta) -> Radio<'_> {
    Radio { framing: &meta.framing, baud: meta.baud, poll: meta.poll.as_deref() }
}

fn meta(radio: &Radio<'_>) -> RadioMeta {
    RadioMeta { framing: Cow::Owned(radio.framing.to_owned()), baud: radio.baud, poll: radio.poll.map(Into::into) }
}

fn said(p: &Properties) -> Said<'_> {
    Said {
        payload_is_text: p.payload_is_text,
        expiry: p.expiry,
        content_type: p.content_type.as_deref(),
        response_topic: p.response_topic.as_deref(),
        correlation: p.correlation.as_deref(),
        user: p.user.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
    }
}

fn properties(said: Said<'_>) -> Properties {
    Properties {
        payload_is_text: said.payload_is_text,
        expiry: said.expiry,
        content_type: said.content_type.map(Into::into),
        response_topic: said.response_topic.map(Into::into),
        correlation: said.correlation.map(Bytes::copy_from_slice),
        user: said.user.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn example() -> Message {
        let received = Received {
            wall: UNIX_EPOCH + Duration::from_micros(1_763_757_995_000_001),
            monotonic: Instant::now(),
            clock: ClockQuality::Synchronised,
        };
        let id = MessageId { run: 7, sequence: 300 };
        let mut message = Message::new(id, received, Origin::Client("meter".into()), Topic::new("a/b").unwrap(), "xyz");
        message.retain = true;
        message.qos = QoS::ExactlyOnce;
        message
    }

    /// What one version wrote, each later one must read.
    const GOLDEN: &str = "010843ab3507ac0203612f620378797a020101056d65746572c1818cc68e849103020000";

    #[test]
    fn the_layout_is_the_one_of_version_1() {
        let record: String = example().to_record().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(record, GOLDEN);
        let bytes: Vec<u8> =
            (0..GOLDEN.len() / 2).map(|n| u8::from_str_radix(&GOLDEN[2 * n..2 * n + 2], 16).unwrap()).collect();
        let back = Message::from_record(&bytes).unwrap();
        assert_eq!((back.topic.as_str(), &back.payload[..], back.id.sequence), ("a/b", &b"xyz"[..], 300));
    }

    fn texts() -> impl Strategy<Value = Option<String>> {
        proptest::option::of("[a-z/é]{0,9}")
    }

    fn messages() -> impl Strategy<Value = Message> {
        let origin = ("[a-z]{1,9}", 0..5_u8).prop_map(|(name, kind)| match kind {
            0 => Origin::Radio(name.into()),
            1 => Origin::Client(name.into()),
            2 => Origin::Plugin(name.into()),
            3 => Origin::Uplink(name.into()),
            _ => Origin::Gateway,
        });
        let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
        let user = proptest::collection::vec(("[a-z]{0,4}", "[a-z]{0,4}"), 0..3);
        let properties = (any::<Option<bool>>(), any::<Option<u32>>(), texts(), texts(), bytes(), user);
        let radio = proptest::option::of((any::<u32>(), texts()));
        ("[a-z/$é]{1,12}", bytes(), 0..3_u8, any::<bool>(), origin, properties, radio).prop_map(
            |(topic, payload, qos, retain, origin, said, radio)| {
                let mut message = Message { origin, retain, payload: payload.into(), ..example() };
                message.topic = Topic::new(&topic).unwrap();
                message.qos = QoS::from_u8(qos).unwrap();
                let (payload_is_text, expiry, content_type, response_topic, correlation, user) = said;
                let correlation = Some(Bytes::from(correlation));
                message.properties = Some(Arc::new(Properties {
                    payload_is_text,
                    expiry,
                    content_type,
                    response_topic,
                    correlation,
                    user,
                }));
                message.radio = radio.map(|(baud, poll)| {
                    Arc::new(RadioMeta { framing: Cow::Borrowed("line"), baud, poll: poll.map(Into::into) })
                });
                message
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(message in messages()) {
            let mut back = Message::from_record(&message.to_record()).unwrap();
            back.received.monotonic = message.received.monotonic;
            prop_assert_eq!(back, message);
        }

        #[test]
        fn a_changed_byte_or_a_cut_is_found(message in messages(), at in any::<prop::sample::Index>(), by in 1..=255_u8) {
            let record = message.to_record();
            let at = at.index(record.len());
            let mut changed = record.clone();
            changed[at] ^= by;
            prop_assert!(Message::from_record(&changed).is_err());
            prop_assert!(Message::from_record(&record[..at]).is_err());
        }

        #[test]
        fn any_bytes_are_taken_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Message::from_record(&bytes);
        }
    }
}
