//! Cases, and the scale of a city.

use super::*;

#[test]
fn its_cases_go_as_they_say() {
    stile_filter::cases::play::<Parking>(env!("CARGO_MANIFEST_DIR"));
}

/// Bays of a city, as a trial in Westminster had in the end; in 400 streets.
const BAYS: usize = 10_000;

/// What a value costs besides its key and itself (docs/plugins.md: `limits.kv-bytes`).
const VALUE_COSTS: usize = 64;

fn message(bay: usize, payload: u8, at: Time) -> Message {
    let mut message = Message::new(&format!("parking/street-{}/70b3d5000000{bay:04x}/up", bay % 400), [payload]);
    message.received = at;
    message
}

fn kept(host: &Host) -> Vec<usize> {
    let keys = host.kv().keys("", u32::MAX);
    keys.iter().map(|key| key.len() + host.kv().get(key).unwrap().len()).collect()
}

fn made(settings: &str, host: &Host) -> Parking {
    Parking::new(Parking::settings(settings).unwrap(), host).unwrap()
}

#[test]
fn ten_thousand_bays_fit_in_what_may_be_kept_told_and_published() {
    let host = Host::in_memory(Parking::GRANTS);
    let settings = r#"{ "source": { "format": "bytes", "device-level": 2 }, "street-level": 1 }"#;
    let mut parking = made(settings, &host);
    for bay in 0..BAYS {
        let verdict = parking.process(&message(bay, u8::from(bay % 4 == 0), Time::EXAMPLE), &host);
        assert!(matches!(&verdict, Verdict::Replace(drafts) if drafts.len() == 1), "{verdict:?}");
    }
    // The default quota, the longest value, and no more values than there are parts.
    let kept = kept(&host);
    assert!(kept.iter().sum::<usize>() + kept.len() * VALUE_COSTS < 1 << 20);
    assert!(kept.len() <= SHARDS as usize && kept.iter().all(|length| *length < 65_536), "{kept:?}");

    // All streets are told, some at a time, and then no more.
    let tick = |parking: &mut Parking, at| parking.tick(at, &host).unwrap();
    let told: Vec<_> = (1..=6).map(|n| tick(&mut parking, Time::EXAMPLE.after(Duration::from_secs(n))).len()).collect();
    assert_eq!(told, [100, 100, 100, 100, 0, 0]);

    // All fall silent: each bay is told once, within the 1,000 messages of a call.
    let silent = Time::EXAMPLE.after(Duration::from_secs(26 * 3600));
    let (mut bays, mut ticks) = (0, 0);
    loop {
        let drafts = tick(&mut parking, silent);
        assert!(drafts.len() <= 2 * MOST_TOLD);
        bays += drafts.iter().filter(|draft| draft.topic.starts_with("parking/spot/")).count();
        ticks += 1;
        if drafts.is_empty() {
            break;
        }
    }
    assert_eq!(bays, BAYS);
    assert!(ticks <= BAYS / MOST_TOLD + 3, "{ticks} ticks");
    assert!(parking.told.values().all(|counts| *counts == Counts { unknown: 25, ..Counts::default() }));
}

#[test]
fn a_street_is_told_though_more_streets_than_a_tick_tells_change_all_the_time() {
    let host = Host::in_memory(Parking::GRANTS);
    let settings = r#"{ "source": { "format": "bytes", "device-level": 2 }, "street-level": 1, "debounce": "0s" }"#;
    let mut parking = made(settings, &host);
    let mut told = std::collections::BTreeSet::new();
    for round in 0..4 {
        let at = Time::EXAMPLE.after(Duration::from_secs(round));
        for bay in 0..400 {
            parking.process(&message(bay, u8::from(round % 2 == 0), at), &host);
        }
        told.extend(parking.tick(at, &host).unwrap().into_iter().map(|draft| draft.topic));
    }
    assert_eq!(told.len(), 400);
}
