//! What of a LoRaWAN frame is not encrypted (LoRaWAN L2 1.0.4, section 4; 1.1, section 6.2.4 for rejoins).
//!
//! Owns a look at the bytes, for filters and for people. Never checks a MIC and never decrypts. Our own lines and not
//! `lrwn`'s parser: it copies each part and reads the MAC commands, and here come 255 bytes of anything, thousands a
//! second.

use std::collections::BTreeMap;

/// The kinds of frames, by the first three bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameType {
    JoinRequest,
    JoinAccept,
    UnconfirmedDataUp,
    UnconfirmedDataDown,
    ConfirmedDataUp,
    ConfirmedDataDown,
    RejoinRequest,
    Proprietary,
}

impl FrameType {
    fn of(mhdr: u8) -> Self {
        match mhdr >> 5 {
            0 => Self::JoinRequest,
            1 => Self::JoinAccept,
            2 => Self::UnconfirmedDataUp,
            3 => Self::UnconfirmedDataDown,
            4 => Self::ConfirmedDataUp,
            5 => Self::ConfirmedDataDown,
            6 => Self::RejoinRequest,
            _ => Self::Proprietary,
        }
    }

    /// The name in the specification.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::JoinRequest => "JoinRequest",
            Self::JoinAccept => "JoinAccept",
            Self::UnconfirmedDataUp => "UnconfirmedDataUp",
            Self::UnconfirmedDataDown => "UnconfirmedDataDown",
            Self::ConfirmedDataUp => "ConfirmedDataUp",
            Self::ConfirmedDataDown => "ConfirmedDataDown",
            Self::RejoinRequest => "RejoinRequest",
            Self::Proprietary => "Proprietary",
        }
    }
}

/// What can be seen of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its kind.
    pub(super) frame_type: FrameType,
    /// Whose frame it is, of data frames.
    pub(super) dev_addr: Option<u32>,
    /// The lower 16 bits of the frame counter, of data frames.
    pub(super) f_cnt: Option<u16>,
    /// The port, of data frames that have one.
    pub(super) f_port: Option<u8>,
    /// The join server, of join requests and of rejoin requests of type 1.
    pub(super) join_eui: Option<u64>,
    /// The device, of join and rejoin requests.
    pub(super) dev_eui: Option<u64>,
}

/// The same for people who look. ChirpStack shows these entries and makes nothing of them.
pub(super) fn metadata(seen: Option<&Seen>) -> BTreeMap<String, String> {
    let Some(seen) = seen else { return [("frame_type".to_owned(), "unknown".to_owned())].into() };
    let entries = [
        ("frame_type", Some(seen.frame_type.as_str().to_owned())),
        ("dev_addr", seen.dev_addr.map(|address| format!("{address:08x}"))),
        ("f_cnt", seen.f_cnt.map(|counter| counter.to_string())),
        ("f_port", seen.f_port.map(|port| port.to_string())),
        ("join_eui", seen.join_eui.map(|eui| format!("{eui:016x}"))),
        ("dev_eui", seen.dev_eui.map(|eui| format!("{eui:016x}"))),
    ];
    entries.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// The MIC at the end of each frame, in bytes.
const MIC: usize = 4;

/// Looks at a frame. `None` where it is no frame of LoRaWAN R1, or too short or too long for its kind.
pub(super) fn look(phy: &[u8]) -> Option<Seen> {
    let (mhdr, rest) = phy.split_first()?;
    let frame_type = FrameType::of(*mhdr);
    let nothing = Seen { frame_type, dev_addr: None, f_cnt: None, f_port: None, join_eui: None, dev_eui: None };
    if frame_type == FrameType::Proprietary {
        return Some(nothing);
    }
    // The major version in the last two bits: R1 is 0.
    if mhdr & 0b11 != 0 {
        return None;
    }
    match frame_type {
        FrameType::JoinRequest => match rest.len() == 18 + MIC {
            true => Some(Seen { join_eui: number(rest, 0), dev_eui: number(rest, 8), ..nothing }),
            false => None,
        },
        // Encrypted: with or without a list of channels.
        FrameType::JoinAccept => matches!(phy.len(), 17 | 33).then_some(nothing),
        FrameType::RejoinRequest => match (rest.first(), rest.len()) {
            (Some(0 | 2), 18) => Some(Seen { dev_eui: number(rest, 4), ..nothing }),
            (Some(1), 23) => Some(Seen { join_eui: number(rest, 1), dev_eui: number(rest, 9), ..nothing }),
            _ => None,
        },
        _ => data(rest, nothing),
    }
}

/// DevAddr, FCtrl, FCnt, FOpts, and perhaps FPort with a payload.
fn data(rest: &[u8], nothing: Seen) -> Option<Seen> {
    let content = rest.get(..rest.len().checked_sub(MIC)?)?;
    let [a, b, c, d, control, low, high, behind @ ..] = content else { return None };
    let options = usize::from(control & 0x0f);
    let behind = behind.get(options..)?;
    Some(Seen {
        dev_addr: Some(u32::from_le_bytes([*a, *b, *c, *d])),
        f_cnt: Some(u16::from_le_bytes([*low, *high])),
        f_port: behind.first().copied(),
        ..nothing
    })
}

/// Eight bytes, the least significant first.
fn number(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_data_frame_shows_its_address_counter_and_port() {
        let frame = [0x40, 0x04, 0x03, 0x02, 0x01, 0x80, 0x2a, 0x01, 0x0a, 0xff, 1, 2, 3, 4];
        let seen = look(&frame).unwrap();
        assert_eq!(seen.frame_type, FrameType::UnconfirmedDataUp);
        assert_eq!((seen.dev_addr, seen.f_cnt, seen.f_port), (Some(0x0102_0304), Some(298), Some(10)));
        // Two bytes of options, and no port.
        let frame = [0x80, 0x04, 0x03, 0x02, 0x01, 0x82, 0x01, 0x00, 0x02, 0x03, 1, 2, 3, 4];
        let seen = look(&frame).unwrap();
        assert_eq!((seen.frame_type, seen.f_port), (FrameType::ConfirmedDataUp, None));
        assert_eq!(look(&frame[..12]), None, "the options are cut off");
    }

    #[test]
    fn a_join_request_shows_who_joins_and_where() {
        let mut frame = vec![0x00];
        frame.extend(0x70b3_d57e_d000_0001_u64.to_le_bytes());
        frame.extend(0x0102_0304_0506_0708_u64.to_le_bytes());
        frame.extend([0, 1, 9, 9, 9, 9]);
        let seen = look(&frame).unwrap();
        assert_eq!((seen.join_eui, seen.dev_eui), (Some(0x70b3_d57e_d000_0001), Some(0x0102_0304_0506_0708)));
        assert_eq!(look(&frame[..22]), None);
        frame[0] = 0x01;
        assert_eq!(look(&frame), None, "another major version");
    }

    #[test]
    fn a_rejoin_request_shows_who_rejoins() {
        let of = |kind: u8, length: usize| {
            let mut frame = vec![0xc0, kind];
            frame.extend(1..=u8::try_from(length).unwrap());
            look(&frame)
        };
        assert_eq!(of(0, 17).unwrap().dev_eui, Some(0x0b0a_0908_0706_0504));
        let seen = of(1, 22).unwrap();
        assert_eq!((seen.join_eui, seen.dev_eui), (Some(0x0807_0605_0403_0201), Some(0x100f_0e0d_0c0b_0a09)));
        assert_eq!((of(1, 17), of(3, 17)), (None, None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at(phy in prop::collection::vec(any::<u8>(), 0..256)) {
            if let Some(seen) = look(&phy) {
                prop_assert_eq!(seen.dev_addr.is_some(), seen.f_cnt.is_some());
            }
        }
    }
}
