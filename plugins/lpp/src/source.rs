//! Where a message has its bytes.

use serde_json::Value;
use stile_filter::{Deserialize, JsonSchema, Message};

/// How the bytes are written.
#[derive(Deserialize, JsonSchema, Clone, Copy, Default)]
#[serde(crate = "stile_filter::serde", rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
pub(crate) enum Encoding {
    /// As they are: the payload.
    #[default]
    Bytes,
    /// Hexadecimal digits.
    Hex,
    /// Base64, such as ChirpStack's `/data`.
    Base64,
}

/// The bytes of a message; the error says why there are none.
pub(crate) fn bytes(message: &Message, encoding: Encoding, field: &str) -> Result<Vec<u8>, &'static str> {
    if let (Encoding::Bytes, "") = (encoding, field) {
        return Ok(message.payload.clone());
    }
    let text = match field {
        "" => message.text().ok_or("the payload is no text")?.trim().to_owned(),
        field => {
            let payload: Value = serde_json::from_slice(&message.payload).map_err(|_| "the payload is no JSON")?;
            payload.pointer(field).and_then(Value::as_str).ok_or("`field` is not there")?.to_owned()
        }
    };
    match encoding {
        Encoding::Bytes => Ok(text.into_bytes()),
        Encoding::Hex => digits(&text, 4, |c| c.to_digit(16)).ok_or("the payload is not hexadecimal"),
        Encoding::Base64 => digits(text.trim_end_matches('='), 6, of_base64).ok_or("the payload is not Base64"),
    }
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

    #[test]
    fn the_examples_of_rfc_4648_are_read() {
        for (text, plain) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar"), ("Zm8", "fo")]
        {
            assert_eq!(bytes(&Message::new("a", text), Encoding::Base64, ""), Ok(plain.as_bytes().to_vec()), "{text}");
        }
        assert_eq!(bytes(&Message::new("a", "-_8"), Encoding::Base64, ""), Ok(vec![0xfb, 0xff]));
        for text in ["Z", "Zm9vY", "Zm 9v", "Zm\u{e4}"] {
            assert!(bytes(&Message::new("a", text), Encoding::Base64, "").is_err(), "{text}");
        }
    }

    #[test]
    fn hexadecimal_digits_come_in_pairs() {
        assert_eq!(bytes(&Message::new("a", "00fF\n"), Encoding::Hex, ""), Ok(vec![0, 255]));
        assert!(bytes(&Message::new("a", "00f"), Encoding::Hex, "").is_err());
        assert!(bytes(&Message::new("a", "0g"), Encoding::Hex, "").is_err());
    }
}
