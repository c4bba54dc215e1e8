//! A frame that Station heard as ChirpStack's message. Pure.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::gps;
use super::message::{Frame, RadioMeta, UpInfo};
use crate::config::Eui;
use crate::radio::lora::Refusal;
use crate::radio::lora::airtime::Modulation;
use crate::radio::lora::gw::{
    self, CodeRate, CrcStatus, FskModulationInfo, LoraModulationInfo, UplinkFrame, UplinkRxInfo, UplinkTxInfo,
};
use crate::radio::lora::phy::{self, Seen};
use crate::radio::lora::region::Plan;

/// Bytes of a context: `rctx` and `xtime`, as ChirpStack's gateway bridge has them.
const CONTEXT: usize = 16;

/// Microseconds of GPS time: as many as protocol buffers have a way to write.
const GPS_MAX: u64 = 315_576_000_000_000_000;

/// A second, in nanoseconds.
const SECOND: u32 = 1_000_000_000;

/// How a frame was sent.
///
/// # Errors
/// When the region has no such data rate, or no radio such a frequency.
pub(super) fn sent(radio: &RadioMeta, plan: &Plan) -> Result<UplinkTxInfo, Refusal> {
    let rate = plan.data_rates().into_iter().find(|rate| rate.number == radio.dr).ok_or(Refusal::DataRate)?;
    if !plan.band().contains(&radio.frequency) {
        return Err(Refusal::Frequency);
    }
    Ok(UplinkTxInfo { frequency: radio.frequency, modulation: Some(modulation(rate.modulation)) })
}

fn modulation(modulation: Modulation) -> gw::Modulation {
    match modulation {
        Modulation::Lora(lora) => {
            let (bandwidth, spreading_factor) = (lora.bandwidth, lora.spreading_factor.into());
            let code_rate = CodeRate::Cr45 as i32;
            let lora = LoraModulationInfo { bandwidth, spreading_factor, code_rate, ..LoraModulationInfo::default() };
            gw::Modulation::lora(lora)
        }
        Modulation::Fsk { bitrate } => {
            let fsk = FskModulationInfo { frequency_deviation: 0, datarate: bitrate };
            gw::Modulation::fsk(fsk)
        }
    }
}

/// The message: who heard it, what can be seen of it, when it came here where that is known. Station hands on nothing with
/// a wrong checksum.
pub(super) fn frame(
    frame: Frame,
    tx_info: UplinkTxInfo,
    eui: Eui,
    seen: Option<&Seen>,
    came: Option<SystemTime>,
    id: u32,
) -> UplinkFrame {
    let info = &frame.radio.upinfo;
    let gps = info.gps();
    let fine = gps.zip(info.fts.and_then(|nanos| u32::try_from(nanos).ok()).filter(|nanos| *nanos < SECOND));
    let fine = fine.map(|(gps, nanos)| Duration::new(gps.as_secs(), nanos));
    #[allow(clippy::cast_possible_truncation, reason = "decibels are in range")]
    let rx_info = UplinkRxInfo {
        gateway_id: eui.to_string(),
        uplink_id: id,
        gw_time: gps.and_then(gps::to_utc).or_else(|| info.clock()).and_then(gw::Timestamp::written),
        ns_time: came.map(Into::into),
        time_since_gps_epoch: gps.map(Into::into),
        fine_time_since_gps_epoch: fine.map(Into::into),
        rssi: info.rssi.round() as i32,
        snr: info.snr as f32,
        context: context(info.rctx, info.xtime),
        metadata: phy::metadata(seen),
        crc_status: CrcStatus::CrcOk as i32,
        ..UplinkRxInfo::default()
    };
    UplinkFrame { phy_payload: frame.phy.into(), tx_info: Some(tx_info), rx_info: Some(rx_info) }
}

impl UpInfo {
    /// When, since GPS time began.
    fn gps(&self) -> Option<Duration> {
        u64::try_from(self.gpstime).ok().filter(|micros| (1..=GPS_MAX).contains(micros)).map(Duration::from_micros)
    }

    /// When, by Station's clock.
    fn clock(&self) -> Option<SystemTime> {
        let since = Duration::try_from_secs_f64(self.rxtime).ok().filter(|since| !since.is_zero())?;
        SystemTime::UNIX_EPOCH.checked_add(since)
    }
}

/// What an answer must bring back.
fn context(rctx: i64, xtime: i64) -> Bytes {
    Bytes::from([rctx.to_be_bytes(), xtime.to_be_bytes()].concat())
}

/// What an answer has brought back: `rctx` and `xtime`.
pub(super) fn of_context(context: &[u8]) -> Option<(i64, i64)> {
    let bytes: [u8; CONTEXT] = context.try_into().ok()?;
    let both = i128::from_be_bytes(bytes);
    #[allow(clippy::cast_possible_truncation, reason = "the two halves are what is wanted")]
    Some(((both >> 64) as i64, both as i64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Region;

    fn heard(dr: u8, upinfo: UpInfo) -> Frame {
        let phy = vec![0x40, 4, 3, 2, 1, 0, 42, 1, 10, 0xff, 1, 2, 3, 4];
        Frame { phy, radio: RadioMeta { dr, frequency: 868_100_000, upinfo } }
    }

    fn info() -> UpInfo {
        UpInfo { rctx: 1, xtime: 2, gpstime: 0, fts: None, rssi: -50.0, snr: 9.25, rxtime: 0.0 }
    }

    fn message(frame_heard: Frame) -> UplinkFrame {
        let plan = Plan::new(Region::Eu868);
        let (tx_info, seen) = (sent(&frame_heard.radio, &plan).unwrap(), phy::look(&frame_heard.phy));
        frame(frame_heard, tx_info, Eui(0x0102_0304_0506_0708), seen.as_ref(), None, 7)
    }

    #[test]
    fn a_frame_becomes_chirpstacks_message_as_its_own_bridge_would_make_it() {
        let message = message(heard(5, info()));
        let (tx, rx) = (message.tx_info.unwrap(), message.rx_info.unwrap());
        let lora = tx.modulation.unwrap().lora.unwrap();
        assert_eq!((lora.spreading_factor, lora.bandwidth, lora.code_rate), (7, 125_000, CodeRate::Cr45 as i32));
        assert_eq!((tx.frequency, rx.rssi, rx.snr, rx.crc_status), (868_100_000, -50, 9.25, CrcStatus::CrcOk as i32));
        assert_eq!(rx.context[..], [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!((rx.gateway_id.as_str(), rx.gw_time, rx.time_since_gps_epoch), ("0102030405060708", None, None));
        assert_eq!((rx.metadata["dev_addr"].as_str(), rx.metadata["f_cnt"].as_str()), ("01020304", "298"));
    }

    #[test]
    fn gps_time_is_told_with_its_nanoseconds_and_as_utc() {
        let upinfo = UpInfo { gpstime: 1_261_872_018_500_000, fts: Some(250), rxtime: 5.0, ..info() };
        let rx = message(heard(7, upinfo)).rx_info.unwrap();
        assert_eq!(rx.time_since_gps_epoch.unwrap().span(), Some(Duration::from_micros(1_261_872_018_500_000)));
        assert_eq!(rx.fine_time_since_gps_epoch.unwrap().span(), Some(Duration::new(1_261_872_018, 250)));
        let new_year = SystemTime::UNIX_EPOCH + Duration::from_millis(1_577_836_800_500);
        assert_eq!(rx.gw_time.unwrap().time(), Some(new_year));
        let by_clock = message(heard(7, UpInfo { rxtime: 5.5, fts: Some(-1), ..info() })).rx_info.unwrap();
        assert_eq!(by_clock.gw_time.unwrap().time(), Some(SystemTime::UNIX_EPOCH + Duration::from_millis(5500)));
        assert_eq!(by_clock.fine_time_since_gps_epoch, None);
    }

    #[test]
    fn times_that_are_none_or_can_not_be_written_are_left_out() {
        for rxtime in [-1.0, f64::NAN, f64::INFINITY, 1e300, 1e12] {
            let rx = message(heard(0, UpInfo { rxtime, gpstime: i64::MIN, ..info() })).rx_info.unwrap();
            assert_eq!(rx.gw_time, None, "{rxtime}");
        }
        let upinfo = UpInfo { gpstime: i64::MAX, fts: Some(0), ..info() };
        let rx = message(heard(0, upinfo)).rx_info.unwrap();
        assert_eq!((rx.time_since_gps_epoch, rx.fine_time_since_gps_epoch, rx.gw_time), (None, None, None));
        let upinfo = UpInfo { gpstime: 1_000_000, fts: Some(1_000_000_000), ..info() };
        assert_eq!(message(heard(0, upinfo)).rx_info.unwrap().fine_time_since_gps_epoch, None);
    }

    #[test]
    fn data_rates_and_frequencies_that_the_region_has_not_are_refused() {
        let plan = Plan::new(Region::Eu868);
        for dr in [8, 16, 255] {
            assert_eq!(sent(&heard(dr, info()).radio, &plan), Err(Refusal::DataRate));
        }
        let foreign = RadioMeta { frequency: 902_300_000, ..heard(0, info()).radio };
        assert_eq!(sent(&foreign, &plan), Err(Refusal::Frequency));
    }

    #[test]
    fn a_context_comes_back_as_it_went() {
        for (rctx, xtime) in [(0, 0), (-1, i64::MIN), (i64::MAX, -1), (1, 40_250_921_680_313_459)] {
            assert_eq!(of_context(&context(rctx, xtime)), Some((rctx, xtime)));
        }
        assert_eq!((of_context(&[]), of_context(&[0; 4]), of_context(&[0; 17])), (None, None, None));
    }
}
