//! Downlinks as Station understands them, and what is told of them.

use std::time::Instant;

use serde_json::{Value, json};

use super::*;
use crate::config::Region;
use crate::radio::lora::Refusal;
use crate::radio::lora::station::downlinks::Downlinks;
use crate::radio::lora::station::message::{Said, parse};

fn item(frequency: u32, factor: u32, timing: &Value) -> Value {
    let modulation = json!({ "lora": { "bandwidth": 125_000, "spreadingFactor": factor, "codeRate": "CR_4_5" } });
    json!({ "phyPayload": "YAQDAgE=", "txInfo": { "frequency": frequency, "power": 14, "modulation": modulation,
        "timing": timing, "context": "AAAAAAAAAAEAjwAAAAAAAg==" } })
}

fn delay(seconds: &str) -> Value {
    json!({ "delay": { "delay": seconds } })
}

fn frame(items: &[Value]) -> DownlinkFrame {
    serde_json::from_value(json!({ "downlinkId": 77, "items": items })).unwrap()
}

fn plan() -> Plan {
    Plan::new(Region::Eu868)
}

fn told(items: &[Value]) -> (Value, Prepared) {
    let prepared = prepare(&frame(items), 5, &plan(), None).unwrap();
    (serde_json::from_str(&prepared.json).unwrap(), prepared)
}

fn rx1() -> Value {
    item(868_100_000, 7, &delay("1s"))
}

fn rx2() -> Value {
    item(869_525_000, 12, &delay("2s"))
}

const XTIME: i64 = 0x008f_0000_0000_0002;

#[test]
fn both_windows_of_class_a_go_in_one_message() {
    let (message, prepared) = told(&[rx1(), rx2()]);
    assert_eq!(
        message,
        json!({ "msgtype": "dnmsg", "DevEui": "01-01-01-01-01-01-01-01", "dC": 0, "diid": 5, "pdu": "6004030201",
            "priority": 1, "RxDelay": 1, "RX1DR": 5, "RX1Freq": 868_100_000, "RX2DR": 0, "RX2Freq": 869_525_000,
            "xtime": XTIME, "rctx": 1 })
    );
    assert!(prepared.patience > Duration::from_secs(2) && prepared.patience < Duration::from_secs(10));
}

#[test]
fn what_is_no_second_window_of_the_first_is_left_out() {
    let other = |change: fn(&mut Value)| {
        let mut second = rx2();
        change(&mut second);
        let (message, prepared) = told(&[rx1(), second]);
        assert!(message.get("RX2DR").is_none(), "{message}");
        assert_eq!(prepared.sent(None, None).0, [TxStatus::Ok, TxStatus::Ignored]);
    };
    other(|second| second["phyPayload"] = json!("YA=="));
    other(|second| second["txInfo"]["timing"] = delay("3s"));
    other(|second| second["txInfo"]["timing"] = json!({ "immediately": {} }));
    other(|second| second["txInfo"]["context"] = json!("AAAAAAAAAAEAjwAAAAAAAw=="));
    let (message, _) = told(&[rx2()]);
    assert_eq!(
        (&message["RxDelay"], &message["RX1DR"], &message["RX1Freq"]),
        (&json!(2), &json!(0), &json!(869_525_000))
    );
    let (message, _) = told(&[item(869_525_000, 12, &delay("16s"))]);
    assert_eq!((&message["RxDelay"], &message["RX2DR"], message.get("RX1DR")), (&json!(15), &json!(0), None));
}

#[test]
fn class_b_has_its_gps_time_and_class_c_no_time() {
    let (message, prepared) =
        told(&[item(869_525_000, 9, &json!({ "gpsEpoch": { "timeSinceGpsEpoch": "1000.25s" } }))]);
    assert_eq!((&message["dC"], &message["gpstime"]), (&json!(1), &json!(1_000_250_000)));
    assert_eq!((&message["DR"], &message["Freq"], message.get("xtime")), (&json!(3), &json!(869_525_000), None));
    assert!(prepared.patience > BEACON_PERIOD, "nobody knows what time it is");
    let gps = item(869_525_000, 9, &json!({ "gpsEpoch": { "timeSinceGpsEpoch": "1000s" } }));
    let soon = prepare(&frame(&[gps]), 5, &plan(), Some(Duration::from_secs(990))).unwrap();
    assert!((13..15).contains(&soon.patience.as_secs()), "{:?}", soon.patience);
    for timing in [json!({ "immediately": {} }), json!({}), Value::Null] {
        let (message, _) = told(&[item(869_525_000, 12, &timing)]);
        assert_eq!(
            (&message["dC"], &message["RX2DR"], &message["RX2Freq"]),
            (&json!(2), &json!(0), &json!(869_525_000))
        );
        assert_eq!((message.get("xtime"), message.get("RX1DR"), &message["rctx"]), (None, None, &json!(1)));
    }
}

#[test]
fn in_america_data_rates_are_those_of_downlinks() {
    let plan = Plan::new(Region::Us915);
    let mut wide = item(923_300_000, 8, &delay("1s"));
    wide["txInfo"]["modulation"]["lora"]["bandwidth"] = json!(500_000);
    let message: Value = serde_json::from_str(&prepare(&frame(&[wide]), 5, &plan, None).unwrap().json).unwrap();
    assert_eq!(message["RX1DR"], 12);
}

#[test]
fn each_item_that_station_would_drop_has_its_status() {
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut bad = rx1();
        change(&mut bad);
        let whys = prepare(&frame(&[bad.clone()]), 5, &plan(), None).unwrap_err();
        // The other item is sent in its place.
        let (_, prepared) = told(&[bad, rx2()]);
        assert_eq!(prepared.sent(None, None).0, [whys[0].status, TxStatus::Ok]);
        whys[0].status
    };
    let info = |key: &'static str, value: Value| refused(&move |bad| bad["txInfo"][key] = value.clone());
    assert_eq!(info("frequency", json!(868_650_000)), TxStatus::TxFreq);
    assert_eq!(info("frequency", json!(0)), TxStatus::TxFreq);
    assert_eq!(info("power", json!(17)), TxStatus::TxPower);
    assert_eq!(info("context", json!("AAAE0g==")), TxStatus::InternalError);
    assert_eq!(info("modulation", json!({})), TxStatus::InternalError);
    assert_eq!(
        info("modulation", json!({ "lora": { "bandwidth": 125_000, "spreadingFactor": 6 } })),
        TxStatus::InternalError
    );
    for timing in [delay("0s"), delay("1.5s"), delay("17s"), json!({ "delay": {} }), json!({ "gpsEpoch": {} })] {
        assert_eq!(info("timing", timing), TxStatus::InternalError);
    }
    assert_eq!(refused(&|bad| bad["txInfo"] = Value::Null), TxStatus::InternalError);
    assert_eq!(refused(&|bad| bad["phyPayload"] = json!("A".repeat(400))), TxStatus::InternalError);
    let plan_of_as923 = Plan::new(Region::As923).with_dwell_time(true);
    let long = prepare(&frame(&[item(923_200_000, 12, &delay("1s"))]), 5, &plan_of_as923, None).unwrap_err();
    assert_eq!(long[0].status, TxStatus::DwellTime);
    assert!(prepare(&frame(&vec![rx1(); 17]), 5, &plan(), None).unwrap_err().len() == 17);
    assert_eq!(prepare(&frame(&[]), 5, &plan(), None), Err(vec![]));
}

/// What Station says of the downlink that it was given last.
fn dntxed(diid: u32, dr: u8, frequency: u32) -> crate::radio::lora::station::message::Sent {
    let text = json!({ "msgtype": "dntxed", "seqno": diid, "diid": diid, "DR": dr, "Freq": frequency }).to_string();
    let Ok(Said::Sent(sent)) = parse(&text) else { panic!("{text}") };
    sent
}

#[test]
fn the_window_that_was_used_is_told() {
    let now = Instant::now();
    for (dr, frequency, expected) in
        [(5, 868_100_000, [TxStatus::Ok, TxStatus::Ignored]), (0, 869_525_000, [TxStatus::Ignored, TxStatus::Ok])]
    {
        let mut downlinks = Downlinks::new(8);
        let (diid, _) = downlinks.take(&frame(&[rx1(), rx2()]), &plan(), None, now).unwrap();
        let done = downlinks.sent(&dntxed(diid, dr, frequency)).unwrap();
        assert_eq!((done.statuses.as_slice(), done.sent.unwrap().0), (&expected[..], frequency));
        assert_eq!(done.message("0".into()).downlink_id, 77);
        assert_eq!(downlinks.sent(&dntxed(diid, dr, frequency)), Err(Refusal::AckUnasked), "once more");
    }
}

#[test]
fn what_station_says_nothing_of_is_told_after_a_while_and_what_is_too_much_at_once() {
    let now = Instant::now();
    let mut downlinks = Downlinks::new(1);
    let mut bad = rx1();
    bad["txInfo"]["frequency"] = json!(0);
    downlinks.take(&frame(&[bad, rx2()]), &plan(), None, now).unwrap();
    let full = downlinks.take(&frame(&[rx1(), rx2()]), &plan(), None, now).unwrap_err();
    assert_eq!(full.statuses, [TxStatus::QueueFull; 2]);
    let due = downlinks.next_due().unwrap();
    assert_eq!(downlinks.due(due - Duration::from_millis(1)), []);
    let [done] = downlinks.due(due).try_into().unwrap();
    assert_eq!(done.statuses, [TxStatus::TxFreq, TxStatus::InternalError]);
    assert!(done.why.contains("has not said"), "{}", done.why);
    assert_eq!((downlinks.next_due(), downlinks.give_up("x")), (None, vec![]));
    let (diid, _) = downlinks.take(&frame(&[rx1()]), &plan(), None, now).unwrap();
    assert_eq!(downlinks.unsent(diid, "gone").unwrap().statuses, [TxStatus::InternalError]);
}
