//! LoRaTap: frames and how they were heard, as a pcap stream that Wireshark opens.
//!
//! Pure. The headers are those of eriknl/LoRaTap (README.md, "LoRaTap encapsulation", versions 0 and 1), the file that of
//! draft-ietf-opsawg-pcap, sections 4 and 5. LoRaTap is big-endian, and so is what is written around it.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{BufMut, Bytes, BytesMut};

use super::airtime::Modulation;

/// `LINKTYPE_LORATAP`.
pub const LINK_TYPE: u32 = 270;

/// A file with microseconds.
const MAGIC: u32 = 0xA1B2_C3D4;
/// Longer frames there are none.
const SNAP_LENGTH: u32 = 65_535;

/// Which header is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Frequency, bandwidth, spreading factor, RSSI and SNR. What Wireshark up to 4.0 knows.
    V0 = 0,
    /// With the gateway, its count, the checksum and FSK.
    V1 = 1,
}

impl Version {
    fn header_bytes(self) -> u16 {
        match self {
            Self::V0 => 15,
            Self::V1 => 35,
        }
    }
}

/// LoRaWAN's sync word. What heard the frame does not say it.
const SYNC_WORD: u8 = 0x34;
/// Not known.
const UNKNOWN_RSSI: u8 = 255;
/// What a byte of RSSI counts from, in dBm.
const RSSI_BASE: i32 = -139;

/// Bits of `flags`.
const FSK: u8 = 1;
const IMPLICIT_HEADER: u8 = 1 << 2;
const CRC_OK: u8 = 1 << 3;
const CRC_BAD: u8 = 1 << 4;
const NO_CRC: u8 = 1 << 5;

/// Whether a frame's checksum was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// It was.
    Right,
    /// It was not.
    Wrong,
    /// The frame has none.
    Missing,
    /// Nobody said.
    Unknown,
}

/// A frame that was heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// When.
    pub time: SystemTime,
    /// The gateway's EUI.
    pub gateway: u64,
    /// The concentrator's count; 0 where there is none.
    pub tmst: u32,
    /// In Hz.
    pub frequency: u32,
    /// How it was sent.
    pub modulation: Modulation,
    /// In dBm, if known.
    pub rssi: Option<i32>,
    /// In dB.
    pub snr: f32,
    /// Its checksum.
    pub checksum: Checksum,
    /// The concentrator's channel.
    pub channel: u8,
    /// Its radio.
    pub rf_chain: u8,
    /// The PHY payload.
    pub payload: Bytes,
}

/// What stands at the beginning of the stream: the file's header.
pub fn header() -> BytesMut {
    let mut out = BytesMut::with_capacity(24);
    out.put_u32(MAGIC);
    out.put_u16(2);
    out.put_u16(4);
    out.put_u32(0);
    out.put_u32(0);
    out.put_u32(SNAP_LENGTH);
    out.put_u32(LINK_TYPE);
    out
}

/// Appends a frame's record. A payload that no file could hold is cut, and its whole length stands beside.
pub fn record(heard: &Heard, version: Version, out: &mut BytesMut) {
    let since = heard.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let header = usize::from(version.header_bytes());
    let kept = heard.payload.get(..SNAP_LENGTH as usize - header).unwrap_or(&heard.payload);
    let length = |payload: &[u8]| u32::try_from(payload.len() + header).unwrap_or(u32::MAX);
    // Unsigned seconds last until 2106.
    out.put_u32(u32::try_from(since.as_secs()).unwrap_or(u32::MAX));
    out.put_u32(since.subsec_micros());
    out.put_u32(length(kept));
    out.put_u32(length(&heard.payload));
    put_v0(heard, version, out);
    if version == Version::V1 {
        put_v1(heard, out);
    }
    out.extend_from_slice(kept);
}

fn put_v0(heard: &Heard, version: Version, out: &mut BytesMut) {
    let (width, factor) = match &heard.modulation {
        Modulation::Lora(lora) => (lora.bandwidth / 125_000, lora.spreading_factor),
        Modulation::Fsk { .. } => (0, 0),
    };
    out.put_u8(version as u8);
    out.put_u8(0);
    out.put_u16(version.header_bytes());
    out.put_u32(heard.frequency);
    out.put_u8(u8::try_from(width).unwrap_or(u8::MAX));
    out.put_u8(factor);
    out.put_u8(heard.rssi.map_or(UNKNOWN_RSSI, |rssi| rssi_byte(rssi, heard.snr)));
    out.put_u8(UNKNOWN_RSSI);
    out.put_u8(UNKNOWN_RSSI);
    out.put_i8((heard.snr * 4.0).round() as i8);
    out.put_u8(SYNC_WORD);
}

fn put_v1(heard: &Heard, out: &mut BytesMut) {
    let (coding_rate, bitrate, modulation) = match &heard.modulation {
        Modulation::Lora(lora) => (lora.coding_rate, 0, if lora.implicit_header { IMPLICIT_HEADER } else { 0 }),
        Modulation::Fsk { bitrate } => (0, *bitrate, FSK),
    };
    let checksum = match heard.checksum {
        Checksum::Right => CRC_OK,
        Checksum::Wrong => CRC_BAD,
        Checksum::Missing => NO_CRC,
        Checksum::Unknown => 0,
    };
    out.put_u64(heard.gateway);
    out.put_u32(heard.tmst);
    out.put_u8(modulation | checksum);
    out.put_u8(coding_rate);
    out.put_u16(u16::try_from(bitrate).unwrap_or(u16::MAX));
    out.put_u8(heard.channel);
    out.put_u8(heard.rf_chain);
    out.put_u16(0);
}

/// In steps of 1 dB, below the noise in steps of a quarter.
fn rssi_byte(rssi: i32, snr: f32) -> u8 {
    let above = rssi.saturating_sub(RSSI_BASE);
    let steps = if snr >= 0.0 { above } else { above.saturating_mul(4) };
    u8::try_from(steps.clamp(0, i32::from(UNKNOWN_RSSI) - 1)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::radio::lora::airtime::Lora;

    fn heard(payload: &[u8]) -> Heard {
        Heard {
            time: UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456),
            gateway: 0x0016_C001_FF10_A235,
            tmst: 3_512_348_611,
            frequency: 868_100_000,
            modulation: Modulation::Lora(Lora { coding_rate: 6, ..Lora::lorawan(12, 250_000) }),
            rssi: Some(-35),
            snr: 5.25,
            checksum: Checksum::Right,
            channel: 2,
            rf_chain: 1,
            payload: Bytes::copy_from_slice(payload),
        }
    }

    fn bytes(heard: &Heard) -> BytesMut {
        let mut out = BytesMut::new();
        record(heard, Version::V1, &mut out);
        out
    }

    #[test]
    fn the_file_begins_as_pcap_with_the_link_type_of_loratap() {
        let expected = [0xA1, 0xB2, 0xC3, 0xD4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0x01, 0x0E];
        assert_eq!(header()[..], expected);
    }

    #[test]
    fn a_record_has_each_field_where_the_document_has_it() {
        let expected = [
            // Record: seconds, microseconds, length here, length on the air.
            &1_700_000_000_u32.to_be_bytes()[..],
            &123_456_u32.to_be_bytes(),
            &38_u32.to_be_bytes(),
            &38_u32.to_be_bytes(),
            // lt_version, lt_padding, lt_length.
            &[1, 0, 0, 35],
            // channel: frequency, bandwidth in 125 kHz steps, sf.
            &868_100_000_u32.to_be_bytes(),
            &[2, 12],
            // rssi: packet (-139 + 104), max, current, snr in quarters; sync_word.
            &[104, 255, 255, 21, 0x34],
            // source_gw, timestamp.
            &[0x00, 0x16, 0xC0, 0x01, 0xFF, 0x10, 0xA2, 0x35],
            &3_512_348_611_u32.to_be_bytes(),
            // flags, cr, datarate, if_channel, rf_chain, tag.
            &[0b0000_1000, 6, 0, 0, 2, 1, 0, 0],
            &[0x40, 0x01, 0x02],
        ];
        assert_eq!(bytes(&heard(&[0x40, 0x01, 0x02]))[..], expected.concat());
    }

    #[test]
    fn below_the_noise_the_rssi_is_in_quarters() {
        let byte = |rssi, snr| bytes(&Heard { rssi, snr, ..heard(&[]) })[26];
        assert_eq!(byte(Some(-120), -7.5), 76);
        assert_eq!(byte(Some(-120), 0.0), 19);
        assert_eq!((byte(Some(-200), 1.0), byte(Some(i32::MAX), -1.0), byte(None, 1.0)), (0, 254, 255));
        assert_eq!(bytes(&Heard { snr: -7.5, ..heard(&[]) })[29] as i8, -30);
        assert_eq!(bytes(&Heard { snr: f32::NAN, ..heard(&[]) })[29], 0);
    }

    #[test]
    fn fsk_and_checksums_are_flags() {
        let flags = |heard: &Heard| bytes(heard)[43];
        let fsk = Heard { modulation: Modulation::Fsk { bitrate: 50_000 }, checksum: Checksum::Missing, ..heard(&[]) };
        assert_eq!(flags(&fsk), FSK | NO_CRC);
        assert_eq!(bytes(&fsk)[45..47], 50_000_u16.to_be_bytes());
        assert_eq!(flags(&Heard { checksum: Checksum::Wrong, ..heard(&[]) }), CRC_BAD);
        assert_eq!(flags(&Heard { checksum: Checksum::Unknown, ..heard(&[]) }), 0);
    }

    #[test]
    fn what_is_too_long_for_a_file_is_cut_with_its_length_beside() {
        let bytes = bytes(&heard(&[0; 70_000]));
        assert_eq!(bytes.len(), 16 + SNAP_LENGTH as usize);
        assert_eq!(bytes[8..12], SNAP_LENGTH.to_be_bytes());
        assert_eq!(bytes[12..16], 70_035_u32.to_be_bytes());
    }

    #[test]
    fn version_0_is_the_beginning_of_version_1() {
        let (mut old, new) = (BytesMut::new(), bytes(&heard(&[7])));
        record(&heard(&[7]), Version::V0, &mut old);
        assert_eq!(old.len(), new.len() - 20);
        assert_eq!((old[16], &old[18..20]), (0, &[0, 15][..]));
        assert_eq!(old[20..31], new[20..31]);
        assert_eq!(old[31], 7);
    }

    /// What `tshark` says of a LoRaWAN frame; `None` where it is not installed.
    fn tshark(version: Version) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("frames.pcap");
        let frame = [0x40, 0x04, 0x03, 0x02, 0x01, 0x80, 0x01, 0x00, 0x01, 0xA6, 0x94, 0x64, 0x26, 0x15];
        let mut out = header();
        record(&heard(&frame), version, &mut out);
        std::fs::write(&file, &out).unwrap();
        let said = std::process::Command::new("tshark").args(["-V", "-r"]).arg(&file).output().ok()?;
        Some(String::from_utf8_lossy(&said.stdout).into_owned())
    }

    #[test]
    fn wireshark_reads_it_where_it_is_installed() {
        for version in [Version::V0, Version::V1] {
            let Some(said) = tshark(version) else { return };
            for part in ["LoRaTap", "868100000", "250", "Spreading Factor: 12", "-35", "LoRaWAN (0x34)"] {
                assert!(said.contains(part), "{version:?}: no {part} in\n{said}");
            }
        }
        let said = tshark(Version::V0).unwrap_or_default();
        assert!(said.contains("Unconfirmed Data Up") && said.contains("0x01020304"), "{said}");
    }
}
