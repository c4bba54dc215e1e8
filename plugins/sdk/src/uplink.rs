//! Finds what a device sent in a message: in an application event of a LoRaWAN network server, or in a plain payload.
//! Never reads what the bytes mean.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::Message;

/// Where a message has what a device sent. It is meant as a setting: `source = { format = "hex", device-level = 2 }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Source {
    /// What payloads are.
    pub format: Format,
    /// The level of the topic, from 0, that is the device, where payloads are bytes alone: 1 in `lora/roof/up`.
    pub device_level: usize,
}

/// What payloads are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// ChirpStack's application events (version 4, JSON), on `application/ID/device/DEVEUI/event/up`.
    #[default]
    Chirpstack,
    /// The Things Stack's uplink messages, on `v3/APPLICATION@TENANT/devices/DEVICE/up`.
    TheThingsStack,
    /// What the device sent, as it is.
    Bytes,
    /// The same in hexadecimal digits.
    Hex,
    /// The same in Base64 (RFC 4648), with or without padding.
    Base64,
}

/// What a device sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Uplink {
    /// Its EUI in small hexadecimal digits; for bytes alone, a level of the topic. It is fit for a level of a topic.
    pub device: String,
    /// The LoRaWAN port, if it is known.
    pub port: Option<u8>,
    /// The payload of the frame. Empty for a frame that has none, which devices send to keep in touch.
    pub bytes: Vec<u8>,
    /// All that the network server says; null where payloads are bytes alone.
    pub event: Value,
}

impl Default for Source {
    fn default() -> Self {
        Self { format: Format::default(), device_level: 1 }
    }
}

impl Source {
    /// Payloads of this format, with the device in level 1 of the topic.
    #[must_use]
    pub fn of(format: Format) -> Self {
        Self { format, ..Self::default() }
    }

    /// The payload of a frame, for filters to which all devices are alike.
    pub fn bytes(&self, message: &Message) -> Result<Vec<u8>, &'static str> {
        match self.format {
            Format::Chirpstack | Format::TheThingsStack => self.read(message).map(|uplink| uplink.bytes),
            format => plain(message, format),
        }
    }

    /// What a device sent; the error says why a message has nothing.
    pub fn read(&self, message: &Message) -> Result<Uplink, &'static str> {
        // ChirpStack: api/proto/integration/integration.proto, UplinkEvent.
        // The Things Stack: Data Formats, Uplink Messages.
        match self.format {
            Format::Chirpstack => event(message, ["/deviceInfo/devEui", "/fPort", "/data"]),
            Format::TheThingsStack => {
                let uplink = ["/end_device_ids/dev_eui", "/uplink_message/f_port", "/uplink_message/frm_payload"];
                event(message, uplink)
            }
            format => {
                let device = message.level(self.device_level).filter(|level| !level.is_empty());
                let device = device.ok_or("the topic has no level `device-level`")?.to_owned();
                Ok(Uplink { device, port: None, bytes: plain(message, format)?, event: Value::Null })
            }
        }
    }
}

impl Uplink {
    /// What devices say in JSON: all that the network server says, decoded payloads among it; for bytes alone, these.
    pub fn json(&self) -> Result<Cow<'_, Value>, &'static str> {
        match &self.event {
            Value::Null => serde_json::from_slice(&self.bytes).map(Cow::Owned).map_err(|_| "the payload is no JSON"),
            event => Ok(Cow::Borrowed(event)),
        }
    }

    /// A text that the network server says besides, by its JSON Pointer, such as `/deviceInfo/deviceName`. None where
    /// payloads are bytes alone.
    #[must_use]
    pub fn text(&self, place: &str) -> Option<&str> {
        self.event.pointer(place)?.as_str()
    }
}

fn event(message: &Message, [device, port, data]: [&str; 3]) -> Result<Uplink, &'static str> {
    let event: Value = serde_json::from_slice(&message.payload).map_err(|_| "the payload is no JSON")?;
    let device = event.pointer(device).and_then(Value::as_str).ok_or("the event names no device")?;
    if device.len() != 16 || !device.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("the event's device is no EUI of 16 hexadecimal digits");
    }
    let device = device.to_ascii_lowercase();
    let port = event.pointer(port).and_then(Value::as_u64).and_then(|port| u8::try_from(port).ok());
    // Both leave out what is empty.
    let data = event.pointer(data).and_then(Value::as_str).unwrap_or_default();
    let bytes = base64(data).ok_or("the event's data is not Base64")?;
    Ok(Uplink { device, port, bytes, event })
}

fn plain(message: &Message, format: Format) -> Result<Vec<u8>, &'static str> {
    if format == Format::Bytes {
        return Ok(message.payload.clone());
    }
    let text = message.text().ok_or("the payload is no text")?.trim();
    match format {
        Format::Hex => digits(text, 4, |c| c.to_digit(16)).ok_or("the payload is not hexadecimal"),
        _ => base64(text).ok_or("the payload is not Base64"),
    }
}

fn base64(text: &str) -> Option<Vec<u8>> {
    digits(text.trim_end_matches('='), 6, of_base64)
}

/// Bytes out of digits of so many bits each. What is left at the end must be less than a byte, and less than a digit.
fn digits(text: &str, bits: u32, value: impl Fn(char) -> Option<u32>) -> Option<Vec<u8>> {
    let (mut bytes, mut held, mut have) = (Vec::with_capacity(text.len()), 0, 0);
    for c in text.chars() {
        held = (held << bits | value(c)?) & 0xffff;
        have += bits;
        if have >= 8 {
            have -= 8;
            bytes.push((held >> have & 0xff) as u8);
        }
    }
    (have < bits).then_some(bytes)
}

/// Both alphabets of RFC 4648.
fn of_base64(c: char) -> Option<u32> {
    let c = u32::from(u8::try_from(c).ok()?);
    Some(match u8::try_from(c).ok()? {
        b'A'..=b'Z' => c - u32::from(b'A'),
        b'a'..=b'z' => c - u32::from(b'a') + 26,
        b'0'..=b'9' => c - u32::from(b'0') + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: Format, payload: &str) -> Result<Uplink, &'static str> {
        Source::of(format).read(&Message::new("lora/roof/up", payload))
    }

    fn bytes(format: Format, payload: &str) -> Result<Vec<u8>, &'static str> {
        read(format, payload).map(|uplink| uplink.bytes)
    }

    #[test]
    fn an_event_of_chirpstack_names_its_device_port_and_bytes() {
        let event = r#"{ "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
            "time": "2022-07-18T09:34:15.775023242+00:00",
            "deviceInfo": { "deviceName": "bay 7", "devEui": "0101010101010101", "tags": { "street": "Mill Lane" } },
            "fCnt": 1, "fPort": 2, "data": "Af8=", "rxInfo": [{ "rssi": -36 }] }"#;
        let uplink = read(Format::Chirpstack, event).unwrap();
        assert_eq!((uplink.device.as_str(), uplink.port), ("0101010101010101", Some(2)));
        assert_eq!(uplink.bytes, [1, 255]);
        assert_eq!(uplink.text("/deviceInfo/tags/street"), Some("Mill Lane"));
        assert_eq!((uplink.text("/fCnt"), uplink.text("/deviceInfo/tags/town")), (None, None));
    }

    #[test]
    fn a_message_of_the_things_stack_is_read_alike() {
        let message = r#"{ "end_device_ids": { "device_id": "dev1", "dev_eui": "0004A30B001C0530" },
            "uplink_message": { "f_port": 1, "frm_payload": "gkHs/w==" } }"#;
        let uplink = read(Format::TheThingsStack, message).unwrap();
        assert_eq!((uplink.device.as_str(), uplink.port), ("0004a30b001c0530", Some(1)));
        assert_eq!(uplink.bytes, [0x82, 0x41, 0xec, 0xff]);
    }

    #[test]
    fn json_is_the_event_or_the_payload() {
        let event = r#"{ "deviceInfo": { "devEui": "0101010101010101" }, "object": { "t": 1 } }"#;
        for (format, payload, place) in
            [(Format::Chirpstack, event, "/object/t"), (Format::Bytes, r#"{ "t": 1 }"#, "/t")]
        {
            assert_eq!(read(format, payload).unwrap().json().unwrap().pointer(place), Some(&Value::from(1)));
        }
        assert_eq!(read(Format::Bytes, "{").unwrap().json(), Err("the payload is no JSON"));
    }

    #[test]
    fn an_event_without_data_is_an_empty_uplink() {
        let uplink = read(Format::Chirpstack, r#"{ "deviceInfo": { "devEui": "0101010101010101" } }"#).unwrap();
        assert_eq!((uplink.port, uplink.bytes), (None, vec![]));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for (payload, why) in [
            ("1", "names no device"),
            ("{", "no JSON"),
            (r#"{ "deviceInfo": { "devEui": 7 } }"#, "names no device"),
            (r#"{ "deviceInfo": { "devEui": "../../a/b/c/d/#" } }"#, "no EUI"),
            (r#"{ "deviceInfo": { "devEui": "0101010101010101" }, "data": "A" }"#, "not Base64"),
        ] {
            let said = read(Format::Chirpstack, payload).unwrap_err();
            assert!(said.contains(why), "{payload}: {said}");
        }
    }

    #[test]
    fn the_device_of_a_plain_payload_is_a_level_of_the_topic() {
        let source = Source { format: Format::Bytes, device_level: 2 };
        let uplink = source.read(&Message::new("parking/mill-lane/7", [0])).unwrap();
        assert_eq!((uplink.device.as_str(), uplink.port, uplink.bytes.as_slice()), ("7", None, &[0][..]));
        assert!(source.read(&Message::new("parking/mill-lane", [0])).is_err());
        assert!(source.read(&Message::new("parking/mill-lane/", [0])).is_err());
        assert_eq!(source.bytes(&Message::new("parking", [0])), Ok(vec![0]));
    }

    #[test]
    fn the_examples_of_rfc_4648_are_read() {
        for (text, plain) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar"), ("Zm8", "fo")]
        {
            assert_eq!(bytes(Format::Base64, text), Ok(plain.as_bytes().to_vec()), "{text}");
        }
        assert_eq!(bytes(Format::Base64, "-_8"), Ok(vec![0xfb, 0xff]));
        for text in ["Z", "Zm9vY", "Zm 9v", "Zm\u{e4}"] {
            assert!(bytes(Format::Base64, text).is_err(), "{text}");
        }
    }

    #[test]
    fn hexadecimal_digits_come_in_pairs() {
        assert_eq!(bytes(Format::Hex, "00fF\n"), Ok(vec![0, 255]));
        assert!(bytes(Format::Hex, "00f").is_err());
        assert!(bytes(Format::Hex, "0g").is_err());
    }
}
