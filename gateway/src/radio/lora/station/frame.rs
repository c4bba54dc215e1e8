//! Frames that Station has taken apart, put together again: each byte as it was on the air, or not at all (basicstation,
//! `src/lora.c`; LoRaWAN L2 1.0.4, sections 4 and 6.2).

use serde::Deserialize;

use super::id;
use super::message::word;
use crate::radio::lora::Refusal;
use crate::radio::lora::airtime::PHY_MAX;

/// `updf`: a data frame.
#[derive(Deserialize)]
pub(super) struct Data {
    #[serde(rename = "MHdr")]
    header: u8,
    #[serde(rename = "DevAddr", deserialize_with = "word")]
    address: u32,
    #[serde(rename = "FCtrl")]
    control: u8,
    #[serde(rename = "FCnt", alias = "Fcnt")]
    counter: u16,
    #[serde(rename = "FOpts")]
    options: String,
    /// -1 where there is none.
    #[serde(rename = "FPort")]
    port: i16,
    #[serde(rename = "FRMPayload")]
    payload: String,
    #[serde(rename = "MIC", deserialize_with = "word")]
    mic: u32,
}

/// `jreq`: a join request.
#[derive(Deserialize)]
pub(super) struct Join {
    #[serde(rename = "MHdr")]
    header: u8,
    #[serde(rename = "JoinEui", alias = "JoinEUI", deserialize_with = "id::deserialize")]
    join_eui: u64,
    #[serde(rename = "DevEui", alias = "DevEUI", deserialize_with = "id::deserialize")]
    dev_eui: u64,
    #[serde(rename = "DevNonce")]
    nonce: u16,
    #[serde(rename = "MIC", deserialize_with = "word")]
    mic: u32,
}

/// `propdf`: a frame of anybody's own kind, whole.
#[derive(Deserialize)]
pub(super) struct Proprietary {
    #[serde(rename = "FRMPayload")]
    frame: String,
}

impl Data {
    /// The frame.
    pub(super) fn phy(&self) -> Result<Vec<u8>, Refusal> {
        let (options, payload) = (hex(&self.options)?, hex(&self.payload)?);
        let port = match self.port {
            -1 => None,
            port => Some(u8::try_from(port).map_err(|_| Refusal::Field)?),
        };
        // Else the bytes behind would be taken for others than they were.
        if options.len() != usize::from(self.control & 0xf) || (port.is_none() && !payload.is_empty()) {
            return Err(Refusal::SizeMismatch);
        }
        let mut phy = vec![self.header];
        phy.extend(self.address.to_le_bytes());
        phy.push(self.control);
        phy.extend(self.counter.to_le_bytes());
        phy.extend(options);
        phy.extend(port);
        phy.extend(payload);
        phy.extend(self.mic.to_le_bytes());
        if phy.len() > PHY_MAX { Err(Refusal::FrameTooLong) } else { Ok(phy) }
    }
}

impl Join {
    /// The frame.
    pub(super) fn phy(&self) -> Result<Vec<u8>, Refusal> {
        let mut phy = vec![self.header];
        phy.extend(self.join_eui.to_le_bytes());
        phy.extend(self.dev_eui.to_le_bytes());
        phy.extend(self.nonce.to_le_bytes());
        phy.extend(self.mic.to_le_bytes());
        Ok(phy)
    }
}

impl Proprietary {
    /// The frame.
    pub(super) fn phy(&self) -> Result<Vec<u8>, Refusal> {
        hex(&self.frame)
    }
}

/// The bytes of a text of hex digits, no more than a frame can have.
fn hex(text: &str) -> Result<Vec<u8>, Refusal> {
    if text.len() > 2 * PHY_MAX {
        return Err(Refusal::FrameTooLong);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(byte).collect::<Option<_>>().ok_or(Refusal::Hex)
}
