//! Cases, and the scale of a city.

use super::*;

#[test]
fn its_cases_go_as_they_say() {
    stile_filter::cases::play::<Parking>(env!("CARGO_MANIFEST_DIR"));
}

/// Bays of a city, as a trial in Westminster had in the end.
const BAYS: usize = 10_000;
const STREETS: usize = 400;

/// What a value costs besides its key and itself (docs/plugins.md: `limits.kv-bytes`).
const VALUE_COSTS: usize = 64;

fn message(bay: usize, payload: u8, at: Time) -> Message {
    let mut message = Message::new(&format!("parking/street-{}/70b3d5000000{bay:04x}/up", bay % STREETS), [payload]);
    message.received = at;
    message
}

fn kept(host: &Host) -> Vec<usize> {
    let keys = host.kv().keys("", u32::MAX);
    keys.iter().map(|key| key.len() + host.kv().get(key).unwrap().len()).collect()
}

#[test]
fn ten_thousand_bays_fit_in_what_may_be_kept_told_and_published() {
    let host = Host::in_memory(Parking::GRANTS);
    let settings = r#"{ "source": { "format": "bytes", "device-level": 2 }, "street-level": 1 }"#;
    let mut parking = Parking::new(Parking::settings(settings).unwrap(), &host).unwrap();
    for bay in 0..BAYS {
        let verdict = parking.process(&message(bay, u8::from(bay % 4 == 0), Time::EXAMPLE), &host);
        assert!(matches!(&verdict, Verdict::Replace(drafts) if drafts.len() == 1), "{verdict:?}");
    }
    // The default quota, the longest value, and no more values than there are parts.
    let kept = kept(&host);
    assert!(kept.iter().sum::<usize>() + kept.len() * VALUE_COSTS < 1 << 20);
    assert!(kept.len() <= SHARDS as usize && kept.iter().all(|length| *length < 65_536), "{kept:?}");

    // All streets are told when all bays are counted, some at a time, and then no more.
    let mut told = |at| {
        let drafts = parking.tick(at, &host).unwrap();
        let bays = drafts.iter().filter(|draft| draft.topic.starts_with("parking/spot/")).count();
        assert!(bays <= MOST_TOLD && drafts.len() - bays <= MOST_TOLD);
        (bays, drafts.len() - bays)
    };
    let ticks: Vec<_> = (1..20).map(|second| told(Time::EXAMPLE.after(Duration::from_secs(second)))).collect();
    assert_eq!(ticks.iter().map(|(_, streets)| streets).sum::<usize>(), STREETS);
    assert!(ticks[..BAYS / MOST_LOOKED_AT - 1].iter().all(|told| *told == (0, 0)));
    assert!(ticks.iter().all(|(bays, _)| *bays == 0) && ticks[19 - BAYS / MOST_LOOKED_AT..] == [(0, 0); 4]);

    // All fall silent: each bay is told once, and not all of them at once.
    let silent = Time::EXAMPLE.after(Duration::from_secs(26 * 3600));
    let ticks: Vec<_> = (0..BAYS / MOST_TOLD + 20).map(|_| told(silent)).collect();
    assert_eq!(ticks.iter().map(|(bays, _)| bays).sum::<usize>(), BAYS);
    assert_eq!(told(silent), (0, 0));
}
