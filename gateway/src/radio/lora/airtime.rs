//! How long a frame is on the air.
//!
//! Pure. Rather a little too long than too short: duty cycles and collisions are reckoned with it.

use std::time::Duration;

use lora_modulation::{Bandwidth, BaseBandModulationParams, CodingRate, SpreadingFactor};

use super::gw;

/// The longest PHY payload, in bytes.
pub const PHY_MAX: usize = 255;

/// Bytes of an FSK frame besides its payload: preamble 5, sync word 3 (RP002-1.0.4, section 4.2), length 1, CRC 2.
const FSK_OVERHEAD: usize = 11;

/// How a frame is modulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modulation {
    /// LoRa.
    Lora(Lora),
    /// FSK.
    Fsk {
        /// Bits a second.
        bitrate: u32,
    },
}

/// What a LoRa frame's time depends on. The CRC is always counted; without it a frame is a few symbols shorter at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lora {
    /// 5 to 12.
    pub spreading_factor: u8,
    /// In Hz.
    pub bandwidth: u32,
    /// The coding rate's denominator: 5 to 8, for 4/5 to 4/8.
    pub coding_rate: u8,
    /// Symbols; LoRaWAN has 8.
    pub preamble: u16,
    /// Without the PHY header.
    pub implicit_header: bool,
}

impl Lora {
    /// As LoRaWAN has it: coding rate 4/5, a preamble of 8 symbols, a header.
    pub fn lorawan(spreading_factor: u8, bandwidth: u32) -> Self {
        Self { spreading_factor, bandwidth, coding_rate: 5, preamble: 8, implicit_header: false }
    }
}

impl Modulation {
    /// That which a network server wants a frame to be sent with; `None` where it is none that can be sent.
    pub(super) fn of(wanted: &gw::Modulation) -> Option<Self> {
        match (&wanted.lora, &wanted.fsk) {
            (Some(lora), _) => {
                let parity = u8::try_from(lora.code_rate).ok()?.clamp(1, 4);
                let usual = Lora::lorawan(u8::try_from(lora.spreading_factor).ok()?, lora.bandwidth);
                let preamble = if lora.preamble == 0 { usual.preamble } else { u16::try_from(lora.preamble).ok()? };
                Some(Self::Lora(Lora { coding_rate: 4 + parity, preamble, ..usual }))
            }
            (None, Some(fsk)) => Some(Self::Fsk { bitrate: fsk.datarate }),
            (None, None) => None,
        }
    }

    /// The width of what it occupies, in Hz. For FSK the 50 kbit/s of LoRaWAN with its deviation of 25 kHz (Carson's rule).
    pub fn width(&self) -> u32 {
        match self {
            Self::Lora(lora) => lora.bandwidth,
            Self::Fsk { bitrate } => bitrate.saturating_mul(2),
        }
    }
}

/// Why a frame's time can't be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AirtimeError {
    /// More than [`PHY_MAX`] bytes.
    #[error("the payload has {0} bytes, and LoRa frames have at most {PHY_MAX}")]
    TooLong(usize),
    /// No such spreading factor.
    #[error("there is no spreading factor {0}; it is 5 to 12")]
    SpreadingFactor(u8),
    /// No such bandwidth.
    #[error("there is no bandwidth of {0} Hz; LoRaWAN has 125000, 250000 and 500000")]
    Bandwidth(u32),
    /// No such coding rate.
    #[error("there is no coding rate 4/{0}; it is 4/5 to 4/8")]
    CodingRate(u8),
    /// FSK at this rate would last for ever.
    #[error("FSK at {0} bits a second; LoRaWAN has 50000")]
    Bitrate(u32),
}

/// The slowest FSK that is taken: what the SX1302 can do at least is 500 bits a second.
const BITRATE_MIN: u32 = 500;

/// How long a frame with a PHY payload of `length` bytes is on the air.
///
/// # Errors
/// When there is no such modulation, or the payload is too long for a frame.
pub fn airtime(modulation: &Modulation, length: usize) -> Result<Duration, AirtimeError> {
    let bytes = u8::try_from(length).map_err(|_| AirtimeError::TooLong(length))?;
    match modulation {
        Modulation::Lora(lora) => lora_airtime(lora, bytes),
        Modulation::Fsk { bitrate } if *bitrate < BITRATE_MIN => Err(AirtimeError::Bitrate(*bitrate)),
        Modulation::Fsk { bitrate } => {
            let bits = (usize::from(bytes) + FSK_OVERHEAD) * 8;
            Ok(Duration::from_secs_f64(bits as f64 / f64::from(*bitrate)))
        }
    }
}

fn lora_airtime(lora: &Lora, length: u8) -> Result<Duration, AirtimeError> {
    let params = BaseBandModulationParams::new(
        spreading_factor(lora.spreading_factor)?,
        bandwidth(lora.bandwidth)?,
        coding_rate(lora.coding_rate)?,
    );
    let with_preamble = |symbols| u64::from(params.time_on_air_us(Some(symbols), !lora.implicit_header, length));
    // The library takes preambles up to 255 symbols; what is beyond is so many symbols more.
    let symbols = u8::try_from(lora.preamble).unwrap_or(u8::MAX);
    let beyond = u64::from(lora.preamble - u16::from(symbols));
    let symbol = with_preamble(1) - with_preamble(0);
    Ok(Duration::from_micros(with_preamble(symbols) + beyond * symbol))
}

fn spreading_factor(factor: u8) -> Result<SpreadingFactor, AirtimeError> {
    Ok(match factor {
        5 => SpreadingFactor::_5,
        6 => SpreadingFactor::_6,
        7 => SpreadingFactor::_7,
        8 => SpreadingFactor::_8,
        9 => SpreadingFactor::_9,
        10 => SpreadingFactor::_10,
        11 => SpreadingFactor::_11,
        12 => SpreadingFactor::_12,
        other => return Err(AirtimeError::SpreadingFactor(other)),
    })
}

fn bandwidth(hz: u32) -> Result<Bandwidth, AirtimeError> {
    use Bandwidth::{_7KHz, _10KHz, _15KHz, _20KHz, _31KHz, _41KHz, _62KHz, _125KHz, _250KHz, _500KHz};
    let all = [_7KHz, _10KHz, _15KHz, _20KHz, _31KHz, _41KHz, _62KHz, _125KHz, _250KHz, _500KHz];
    all.into_iter().find(|bandwidth| bandwidth.hz() == hz).ok_or(AirtimeError::Bandwidth(hz))
}

fn coding_rate(denominator: u8) -> Result<CodingRate, AirtimeError> {
    Ok(match denominator {
        5 => CodingRate::_4_5,
        6 => CodingRate::_4_6,
        7 => CodingRate::_4_7,
        8 => CodingRate::_4_8,
        other => return Err(AirtimeError::CodingRate(other)),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(lora: Lora, length: usize) -> f64 {
        airtime(&Modulation::Lora(lora), length).unwrap().as_secs_f64() * 1e3
    }

    #[test]
    fn the_times_are_those_that_other_calculators_say() {
        // 20 bytes of application payload, 33 in all.
        for (factor, expected) in
            [(7, 71.936), (8, 133.632), (9, 246.784), (10, 452.608), (11, 987.136), (12, 1810.432)]
        {
            let is = ms(Lora::lorawan(factor, 125_000), 33);
            assert!((is - expected).abs() < 0.001, "SF{factor}: {is} ms");
        }
    }

    #[test]
    fn a_long_preamble_counts_symbol_by_symbol() {
        let with = |preamble| ms(Lora { preamble, ..Lora::lorawan(7, 125_000) }, 10);
        assert!((with(1000) - with(0) - 1000.0 * 1.024).abs() < 0.001);
        assert!((with(u16::MAX) - with(0) - 65_535.0 * 1.024).abs() < 0.001);
    }

    #[test]
    fn fsk_is_bytes_by_bitrate() {
        assert_eq!(airtime(&Modulation::Fsk { bitrate: 50_000 }, 39), Ok(Duration::from_millis(8)));
        assert_eq!(airtime(&Modulation::Fsk { bitrate: 0 }, 39), Err(AirtimeError::Bitrate(0)));
    }

    #[test]
    fn what_does_not_exist_is_named() {
        let said = |lora, length| airtime(&Modulation::Lora(lora), length).unwrap_err().to_string();
        let usual = Lora::lorawan(7, 125_000);
        assert!(said(usual, 256).contains("256 bytes"));
        assert!(said(Lora { spreading_factor: 13, ..usual }, 1).contains("spreading factor 13"));
        assert!(said(Lora { bandwidth: 125, ..usual }, 1).contains("125 Hz"));
        assert!(said(Lora { coding_rate: 9, ..usual }, 1).contains("4/9"));
    }

    proptest! {
        #[test]
        fn any_frame_has_a_time_or_an_error(
            spreading_factor in any::<u8>(), coding_rate in any::<u8>(), preamble in any::<u16>(),
            bandwidth in prop_oneof![any::<u32>(), Just(7810), Just(125_000), Just(500_000)],
            implicit_header in any::<bool>(), length in 0..300_usize,
        ) {
            let lora = Lora { spreading_factor, bandwidth, coding_rate, preamble, implicit_header };
            if let Ok(time) = airtime(&Modulation::Lora(lora), length) {
                prop_assert!(time > Duration::ZERO);
            }
        }
    }
}
