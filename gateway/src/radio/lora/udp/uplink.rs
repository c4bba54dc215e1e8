//! A frame and statistics of a packet forwarder as ChirpStack's messages. Pure.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::rxpk::{Rxpk, Signal};
use super::stat::Stat;
use crate::config::Eui;
use crate::radio::lora::gw::{GatewayStats, UplinkFrame, UplinkRxInfo, UplinkTxInfo};
use crate::radio::lora::phy::{self, Seen};
use crate::radio::lora::schedule::Load;
use crate::radio::lora::tally::{Tally, duty_cycle};

/// The messages for a frame, one for each antenna, as ChirpStack's own bridges do it: who heard it, what can be seen of it,
/// when it came here where that is known.
pub(super) fn frames(rxpk: &Rxpk, eui: Eui, seen: Option<&Seen>, came: Option<SystemTime>) -> Vec<UplinkFrame> {
    rxpk.signals.iter().map(|signal| frame(rxpk, signal, eui, seen, came)).collect()
}

fn frame(rxpk: &Rxpk, signal: &Signal, eui: Eui, seen: Option<&Seen>, came: Option<SystemTime>) -> UplinkFrame {
    let fine = rxpk
        .gps
        .zip(rxpk.fine)
        .map(|(gps, nanos)| Duration::from_secs(gps.as_secs()) + Duration::from_nanos(nanos.into()));
    let info = UplinkRxInfo {
        gateway_id: eui.to_string(),
        uplink_id: fastrand::u32(1..),
        gw_time: rxpk.time.map(Into::into),
        ns_time: came.map(Into::into),
        time_since_gps_epoch: rxpk.gps.map(Into::into),
        fine_time_since_gps_epoch: fine.map(Into::into),
        rssi: signal.rssi,
        snr: signal.snr,
        channel: signal.channel,
        rf_chain: rxpk.rf_chain,
        board: rxpk.board,
        antenna: signal.antenna,
        location: None,
        context: Bytes::copy_from_slice(&rxpk.tmst.to_be_bytes()),
        metadata: phy::metadata(seen),
        crc_status: rxpk.crc as i32,
    };
    UplinkFrame {
        phy_payload: rxpk.phy.clone(),
        tx_info: Some(UplinkTxInfo { frequency: rxpk.frequency, modulation: Some(rxpk.modulation) }),
        rx_info: Some(info),
    }
}

/// The message for statistics: what the gateway says, what was counted here since the last one, and which channels are
/// suspicious, in Hz.
pub(super) fn stats(
    stat: Stat,
    eui: Eui,
    config_version: &str,
    tally: Tally,
    suspicious: impl Iterator<Item = u32>,
    load: &[Load],
) -> GatewayStats {
    let mut metadata = stat.more;
    tally.tell(suspicious, &mut metadata);
    GatewayStats {
        gateway_id: eui.to_string(),
        time: stat.time.map(Into::into),
        location: stat.location,
        config_version: config_version.to_owned(),
        rx_packets_received: stat.received,
        rx_packets_received_ok: stat.received_ok,
        tx_packets_received: stat.downlinks,
        tx_packets_emitted: stat.emitted,
        metadata,
        tx_packets_per_frequency: tally.sent,
        rx_packets_per_frequency: tally.heard,
        tx_packets_per_modulation: tally.sent_by,
        rx_packets_per_modulation: tally.heard_by,
        tx_packets_per_status: tally.statuses,
        duty_cycle_stats: duty_cycle(load),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::radio::lora::udp::{rxpk, stat};

    #[test]
    fn a_frame_carries_its_counter_as_context_and_what_can_be_seen_of_it() {
        let value = json!({ "tmst": 1234, "freq": 868.5, "stat": 1, "modu": "LORA", "datr": "SF9BW125", "codr": "4/5",
            "rssi": -99, "lsnr": 7.2, "tmms": 1_000_500, "ftime": 250, "data": "QAQDAgGAKgEK/wECAwQ=" });
        let rxpk = rxpk::parse(&value).unwrap();
        let seen = phy::look(&rxpk.phy);
        let mut frames = frames(&rxpk, Eui(0x0102_0304_0506_0708), seen.as_ref(), None);
        let info = frames.remove(0).rx_info.unwrap();
        assert!(frames.is_empty() && info.uplink_id != 0);
        assert_eq!((&info.context[..], info.gateway_id.as_str()), (&[0, 0, 4, 0xd2][..], "0102030405060708"));
        let fine = info.fine_time_since_gps_epoch.unwrap().span();
        assert_eq!(fine, Some(Duration::new(1000, 250)), "the second, and nanoseconds since its pulse");
        let shown: Vec<_> = info.metadata.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(shown, ["dev_addr=01020304", "f_cnt=298", "f_port=10", "frame_type=UnconfirmedDataUp"]);
        assert_eq!(phy::metadata(None)["frame_type"], "unknown");
    }

    #[test]
    fn each_antenna_has_a_message_of_its_own_and_all_else_is_the_same() {
        let value = json!({ "tmst": 1234, "freq": 868.5, "stat": 1, "modu": "LORA", "datr": "SF9BW125", "codr": "4/5",
            "rsig": [{ "ant": 0, "chan": 7, "rssic": -110, "lsnr": -2.5 }, { "ant": 1, "chan": 23, "rssic": -98 }],
            "data": "QAQDAgGAKgEK/wECAwQ=" });
        let frames = frames(&rxpk::parse(&value).unwrap(), Eui(1), None, None);
        let infos: Vec<_> = frames.iter().map(|frame| frame.rx_info.as_ref().unwrap()).collect();
        let heard: Vec<_> = infos.iter().map(|info| (info.antenna, info.channel, info.rssi, info.snr)).collect();
        assert_eq!(heard, [(0, 7, -110, -2.5), (1, 23, -98, 0.0)]);
        assert_eq!((&frames[0].phy_payload, frames[0].tx_info), (&frames[1].phy_payload, frames[1].tx_info));
        assert_eq!(infos[0].context, infos[1].context);
    }

    #[test]
    fn statistics_are_the_gateways_and_our_own() {
        let stat = stat::parse(&json!({ "rxnb": 5, "rxok": 4, "dwnb": 2, "txnb": 1, "temp": 23.2 })).unwrap();
        let tally = Tally { forwarded: 3, dropped: 1, spoilt: [(868_100_000, 9)].into(), ..Tally::default() };
        let stats = stats(stat, Eui(1), "v1", tally, [868_100_000, 868_300_000].into_iter(), &[]);
        assert_eq!((stats.rx_packets_received, stats.rx_packets_received_ok), (5, 4));
        assert_eq!((stats.tx_packets_received, stats.tx_packets_emitted, stats.config_version.as_str()), (2, 1, "v1"));
        assert_eq!((stats.metadata["forwarded"].as_str(), stats.metadata["bad_crc_868100000"].as_str()), ("3", "9"));
        assert_eq!(stats.metadata["suspicious_channels"], "868100000 868300000");
    }
}
