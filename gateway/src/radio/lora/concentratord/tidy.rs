//! What protocol buffers can say and JSON can't write, taken out of what Concentratord tells: numbers that are none, times
//! that never are, places where nobody is. Pure.

use crate::radio::lora::gw::{Duration, GatewayStats, Location, UplinkRxInfo};

/// Farther from 0 no signal is, in dB.
const SNR_MAX: f32 = 1000.0;

/// Tidies how a frame was heard.
pub(super) fn heard(info: &mut UplinkRxInfo) {
    info.gw_time = info.gw_time.filter(|time| time.time().is_some());
    info.time_since_gps_epoch = info.time_since_gps_epoch.filter(is_span);
    info.fine_time_since_gps_epoch = info.fine_time_since_gps_epoch.filter(is_span);
    info.location = info.location.filter(is_place);
    if !(-SNR_MAX..=SNR_MAX).contains(&info.snr) {
        info.snr = 0.0;
    }
}

/// Tidies statistics.
pub(super) fn stats(stats: &mut GatewayStats) {
    stats.time = stats.time.filter(|time| time.time().is_some());
    stats.location = stats.location.filter(is_place);
    if let Some(duty_cycle) = &mut stats.duty_cycle_stats {
        duty_cycle.window = duty_cycle.window.filter(is_span);
        for band in &mut duty_cycle.bands {
            band.load_max = band.load_max.filter(is_span);
            band.load_tracked = band.load_tracked.filter(is_span);
        }
    }
}

fn is_span(span: &Duration) -> bool {
    span.span().is_some()
}

fn is_place(place: &Location) -> bool {
    (-90.0..=90.0).contains(&place.latitude)
        && (-180.0..=180.0).contains(&place.longitude)
        && place.altitude.is_finite()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LoraFormat;
    use crate::radio::lora::gw::{self, DutyCycleBand, DutyCycleStats, Timestamp, UplinkFrame};

    #[test]
    fn what_can_t_be_written_is_left_out_and_all_else_stays() {
        let place = |latitude: f64, altitude: f64| Location { latitude, longitude: 5.0, altitude, source: 1 };
        let bad = [place(f64::NAN, 0.0), place(91.0, 0.0), place(1.0, f64::INFINITY)];
        let never = [Timestamp { seconds: i64::MAX, nanos: 0 }, Timestamp { seconds: 1, nanos: -1 }];
        let span = Duration { seconds: -1, nanos: 0 };
        for (location, time) in bad.into_iter().zip(never.into_iter().cycle()) {
            let mut info = UplinkRxInfo {
                rssi: -57,
                snr: f32::NAN,
                gw_time: Some(time),
                time_since_gps_epoch: Some(span),
                location: Some(location),
                ..UplinkRxInfo::default()
            };
            heard(&mut info);
            assert_eq!(info, UplinkRxInfo { rssi: -57, ..UplinkRxInfo::default() });
            let frame = UplinkFrame { rx_info: Some(info), ..UplinkFrame::default() };
            assert!(!gw::encode(&frame, LoraFormat::Json).is_empty());
            let bands = vec![DutyCycleBand { load_max: Some(span), ..DutyCycleBand::default() }];
            let duty_cycle_stats = Some(DutyCycleStats { bands, ..DutyCycleStats::default() });
            let mut told = GatewayStats { time: Some(time), duty_cycle_stats, ..GatewayStats::default() };
            stats(&mut told);
            assert_eq!((told.time, told.duty_cycle_stats.as_ref().unwrap().bands[0].load_max), (None, None));
            assert!(!gw::encode(&told, LoraFormat::Json).is_empty());
        }
        let mut good = UplinkRxInfo { location: Some(place(52.0, 3.0)), snr: -7.5, ..UplinkRxInfo::default() };
        let before = good.clone();
        heard(&mut good);
        assert_eq!(good, before);
    }
}
