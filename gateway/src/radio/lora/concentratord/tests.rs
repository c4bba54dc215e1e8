//! Whatever comes as an event: taken or refused once, and what becomes of it can be read in both forms.

use std::sync::Arc;
use std::time::{Duration as Span, Instant};

use bytes::Bytes;
use proptest::prelude::*;

use super::Pauses;
use super::server::Server;
use crate::config::{Concentratord, Eui, IpcUrl, LoraFormat, LoraKind, LoraRadio};
use crate::pipeline::Pipeline;
use crate::radio::RadioStats;
use crate::radio::lora::fuzzed::{check_frame, check_stats, radio, refused, run, while_doing};
use crate::radio::lora::gw::{
    self, CrcStatus, Duration, DutyCycleBand, DutyCycleStats, Event, GatewayStats, Location, LoraModulationInfo,
    Message, Modulation, Timestamp, UplinkFrame, UplinkRxInfo, UplinkTxInfo,
};

const EUI: Eui = Eui(7);

const PLACE: Location = Location { latitude: 52.0, longitude: 4.5, altitude: 3.0, source: 1 };

fn up() -> Event {
    let lora =
        LoraModulationInfo { bandwidth: 125_000, spreading_factor: 7, code_rate: 1, ..LoraModulationInfo::default() };
    let info = UplinkRxInfo {
        gateway_id: EUI.to_string(),
        gw_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 5 }),
        time_since_gps_epoch: Some(Duration { seconds: 1_400_000_000, nanos: 250_000_000 }),
        rssi: -57,
        snr: -7.5,
        location: Some(PLACE),
        context: Bytes::from_static(&[1, 2, 3, 4]),
        crc_status: CrcStatus::CrcOk as i32,
        ..UplinkRxInfo::default()
    };
    let tx_info = UplinkTxInfo { frequency: 868_100_000, modulation: Some(Modulation::lora(lora)) };
    let frame = UplinkFrame { phy_payload: vec![0x40; 16].into(), tx_info: Some(tx_info), rx_info: Some(info) };
    Event { uplink_frame: Some(frame), gateway_stats: None }
}

fn stats() -> Event {
    let span = Some(Duration { seconds: 36, nanos: 0 });
    let band = DutyCycleBand { name: "h1.4".into(), load_max: span, load_tracked: span, ..DutyCycleBand::default() };
    let stats = GatewayStats {
        gateway_id: EUI.to_string(),
        time: Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        location: Some(PLACE),
        rx_packets_received: 5,
        tx_packets_per_frequency: [(868_100_000, 3)].into(),
        duty_cycle_stats: Some(DutyCycleStats { regulation: 1, window: span, bands: vec![band] }),
        ..GatewayStats::default()
    };
    Event { uplink_frame: None, gateway_stats: Some(stats) }
}

/// A place that was changed may not be the same to the last bit when it has been read in JSON.
fn check(place: Option<Location>, payload: &[u8], check: fn(&[u8])) {
    if place.is_none_or(|place| place == PLACE) {
        check(payload);
    }
}

fn settings() -> Concentratord {
    let url = |name: &str| IpcUrl::parse(&format!("ipc:///{name}")).unwrap();
    let (event_url, command_url) = (url("events"), url("commands"));
    Concentratord { event_url, command_url, eui: Some(EUI), configure: true }
}

/// Gives a server this message; says how many messages became of it.
fn heard(parts: &[Bytes], format: LoraFormat) -> usize {
    let settings = settings();
    let radio: Arc<LoraRadio> = radio(LoraKind::Concentratord(settings.clone()), format).into();
    let (pipeline, mut intake) = Pipeline::new(1);
    let counters = Arc::new(RadioStats::of_lora());
    run(async {
        let mut server = Server::new(&radio, &settings, Arc::clone(&pipeline), Arc::clone(&counters)).unwrap();
        let ((), messages) = while_doing(&mut intake, server.heard(parts)).await;
        for message in &messages {
            match message.topic.as_str() {
                "eu868/gateway/0000000000000007/event/up" => {
                    let frame: UplinkFrame = gw::decode(&message.payload).unwrap();
                    check(frame.rx_info.unwrap().location, &message.payload, check_frame);
                }
                "eu868/gateway/0000000000000007/event/stats" => {
                    let stats: GatewayStats = gw::decode(&message.payload).unwrap();
                    check(stats.location, &message.payload, check_stats);
                }
                other => panic!("{other}"),
            }
        }
        assert_eq!(messages.len() as u64 + refused(&counters, &pipeline), 1);
        messages.len()
    })
}

#[test]
fn good_events_become_messages_in_both_forms() {
    for event in [up(), stats()] {
        for format in [LoraFormat::Json, LoraFormat::Protobuf] {
            assert_eq!(heard(&[event.encode_to_vec().into()], format), 1);
        }
    }
}

#[test]
fn pauses_grow_also_where_each_connection_is_closed_at_once() {
    let mut pauses = Pauses::new();
    let grown = [100, 200, 400, 800, 1600, 2000, 2000].map(Span::from_millis);
    let closed_at_once = || {
        pauses.lasted(Span::from_secs(2));
        pauses.next()
    };
    assert_eq!(std::iter::repeat_with(closed_at_once).take(7).collect::<Vec<_>>(), grown);
    pauses.lasted(Span::from_millis(2001));
    assert_eq!(pauses.next(), grown[0]);
}

#[test]
fn channels_are_suspicious_no_more_when_a_gateway_goes_that_was_never_said_to_be_there() {
    let settings = settings();
    let radio: Arc<LoraRadio> = radio(LoraKind::Concentratord(settings.clone()), LoraFormat::Json).into();
    let (pipeline, _intake) = Pipeline::new(1);
    let counters = Arc::new(RadioStats::of_lora());
    let suspicious = || counters.lora.as_ref().unwrap().suspicious();
    let mut server = Server::new(&radio, &settings, pipeline, Arc::clone(&counters)).unwrap();
    let gateway = server.gateway.as_mut().unwrap();
    let mut now = Instant::now();
    for span in 0..13 {
        let bad = if span < 11 { 0 } else { 20 };
        (0..bad).for_each(|_| gateway.watch.heard(868_100_000, CrcStatus::BadCrc));
        now += Span::from_secs(30);
        let turns = gateway.watch.look(now);
        server.clerk.turned(EUI, &gateway.watch, &turns);
    }
    assert_eq!(suspicious(), [(EUI, vec![868_100_000])].into());
    run(server.end());
    assert!(suspicious().is_empty());
}

proptest! {
    #[test]
    fn changed_events_are_taken_or_refused_once(
        of_frame in any::<bool>(), json in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = if of_frame { up() } else { stats() }.encode_to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        heard(&[bytes.into()], if json { LoraFormat::Json } else { LoraFormat::Protobuf });
    }

    #[test]
    fn any_frames_are_taken_or_refused_once(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 1..4), up in any::<bool>(),
    ) {
        let mut parts: Vec<Bytes> = parts.into_iter().map(Bytes::from).collect();
        if up {
            parts.insert(0, Bytes::from_static(b"up"));
        }
        heard(&parts, LoraFormat::Json);
    }
}
