//! The scheduler's behaviour, one rule at a time; `properties` has what holds for anything.

mod properties;

use std::time::{Duration, Instant};

use super::*;
use crate::config::Region;
use crate::radio::lora::airtime::{Lora, Modulation};

/// Where the concentrator's count stands when a bench is made.
const TMST: u32 = u32::MAX - 500_000;

struct Bench {
    scheduler: Scheduler,
    now: Instant,
}

fn bench_with(change: impl FnOnce(&mut Settings)) -> Bench {
    let mut settings = Settings::new(Plan::new(Region::Eu868));
    change(&mut settings);
    let now = Instant::now();
    let mut scheduler = Scheduler::new(settings, now);
    scheduler.heard(TMST, None, now);
    Bench { scheduler, now }
}

fn bench() -> Bench {
    bench_with(|_| {})
}

/// So many milliseconds.
fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// SF7 with 33 bytes at 868.1 MHz: 72 ms on the air.
fn item(timing: Timing) -> Item {
    let modulation = Modulation::Lora(Lora::lorawan(7, 125_000));
    Item { frequency: 868_100_000, power: 14, modulation, length: 33, chain: 0, timing }
}

/// So long after the uplink.
fn after(delay: u64) -> Timing {
    Timing::Delay { tmst: TMST, delay: ms(delay) }
}

impl Bench {
    fn submit(&mut self, id: u64, items: &[Item]) {
        self.scheduler.submit(Downlink { id, items: items.to_vec() }, self.now);
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.scheduler.take(self.now)).collect()
    }

    /// The one frame for the radio that there is now.
    fn order(&mut self) -> Order {
        match self.events().as_slice() {
            [Event::Send(order)] => *order,
            other => panic!("not one frame: {other:?}"),
        }
    }

    /// The statuses of the one downlink that is over now.
    fn statuses(&mut self) -> Vec<TxStatus> {
        match self.events().as_slice() {
            [Event::Done { verdicts, .. }] => verdicts.iter().map(|verdict| verdict.status).collect(),
            other => panic!("not one that is over: {other:?}"),
        }
    }

    /// What becomes of one item that is not even booked.
    fn refusal(&mut self, item: Item) -> TxStatus {
        self.submit(99, &[item]);
        self.statuses()[0]
    }
}

#[test]
fn a_class_a_answer_is_handed_on_with_its_count_over_the_wrap() {
    let mut bench = bench();
    bench.now += ms(200);
    bench.submit(1, &[item(after(1000)), item(after(2000))]);
    let order = bench.order();
    assert_eq!(order.when, When::Count(TMST.wrapping_add(1_000_000)));
    assert_eq!((order.downlink, order.item), (1, 0));
    assert_eq!(order.starts, bench.now + ms(800));
    assert!(bench.scheduler.answered(order.slot, Ok(()), bench.now));
    assert_eq!(bench.statuses(), [TxStatus::Ok, TxStatus::Ignored]);
    assert!(!bench.scheduler.answered(order.slot, Ok(()), bench.now), "nobody waits any more");
}

#[test]
fn what_the_radio_refuses_is_tried_in_the_second_window() {
    let mut bench = bench();
    bench.submit(1, &[item(after(1000)), item(after(2000))]);
    let first = bench.order();
    bench.scheduler.answered(first.slot, Err(Verdict::plain(TxStatus::CollisionBeacon)), bench.now);
    let second = bench.order();
    assert_eq!((second.item, second.when), (1, When::Count(TMST.wrapping_add(2_000_000))));
    bench.scheduler.answered(second.slot, Ok(()), bench.now);
    assert_eq!(bench.statuses(), [TxStatus::CollisionBeacon, TxStatus::Ok]);
}

#[test]
fn a_refusal_gives_the_place_and_the_air_time_back() {
    // SF12 with 255 bytes is 9 s on the air, and 36 s an hour are allowed.
    let long =
        |delay| Item { modulation: Modulation::Lora(Lora::lorawan(12, 125_000)), length: 255, ..item(after(delay)) };
    let mut bench = bench();
    for id in 0..20 {
        bench.submit(id, &[long(1000)]);
        let order = bench.order();
        bench.scheduler.answered(order.slot, Err(Verdict::plain(TxStatus::TxPower)), bench.now);
        assert_eq!(bench.statuses(), [TxStatus::TxPower]);
    }
    assert_eq!(bench.scheduler.load(bench.now)[1].used, Duration::ZERO);
}

#[test]
fn each_refusal_says_why() {
    let mut bench = bench_with(|settings| settings.beacons = true);
    let gps = Duration::from_secs(128 * 10_000_000);
    assert_eq!(bench.refusal(item(Timing::GpsEpoch(gps))), TxStatus::GpsUnlocked);
    // A beacon comes in two seconds.
    bench.scheduler.heard(TMST, Some(gps - ms(2000)), bench.now);
    for (refused, status) in [
        (item(after(42)), TxStatus::TooLate),
        (item(after(600_000)), TxStatus::TooEarly),
        (item(after(1960)), TxStatus::CollisionBeacon),
        (item(after(4100)), TxStatus::CollisionBeacon),
        (item(Timing::GpsEpoch(gps - ms(1000))), TxStatus::CollisionBeacon),
        (Item { frequency: 868_650_000, ..item(after(1000)) }, TxStatus::TxFreq),
        (Item { frequency: 868_580_000, ..item(after(1000)) }, TxStatus::TxFreq),
        (Item { power: 17, ..item(after(1000)) }, TxStatus::TxPower),
        (Item { length: 256, ..item(after(1000)) }, TxStatus::InternalError),
    ] {
        assert_eq!(bench.refusal(refused), status, "{refused:?}");
    }
    assert!(bench.scheduler.next_due().is_none(), "nothing is left behind");
    for taken in [after(1000), after(4300), Timing::GpsEpoch(gps + ms(3000))] {
        bench.submit(1, &[item(taken)]);
        let _ = bench.order();
    }
}

#[test]
fn numbers_out_of_any_range_are_refused_and_harm_nothing() {
    let mut bench = bench();
    bench.scheduler.heard(TMST, Some(Duration::MAX), bench.now);
    for (item, status) in [
        (Item { frequency: u32::MAX, ..item(after(1000)) }, TxStatus::TxFreq),
        (Item { frequency: 0, ..item(after(1000)) }, TxStatus::TxFreq),
        (Item { power: i32::MAX, ..item(after(1000)) }, TxStatus::TxPower),
        (Item { length: usize::MAX, ..item(after(1000)) }, TxStatus::InternalError),
        (item(Timing::Delay { tmst: TMST, delay: Duration::MAX }), TxStatus::TooEarly),
        (item(Timing::Delay { tmst: TMST.wrapping_add(1 << 31), delay: ms(0) }), TxStatus::TooLate),
    ] {
        assert_eq!(bench.refusal(item), status, "{item:?}");
    }
    for time in [Duration::ZERO, Duration::MAX, Duration::from_secs(1_400_000_000)] {
        let status = bench.refusal(item(Timing::GpsEpoch(time)));
        assert!(matches!(status, TxStatus::TooLate | TxStatus::TooEarly), "{time:?}: {status:?}");
    }
    bench.submit(1, &[]);
    assert_eq!(bench.events(), [Event::Done { downlink: 1, verdicts: vec![] }]);
    bench.submit(2, &[item(after(1000))]);
    let _ = bench.order();
}

#[test]
fn more_power_may_be_sent_where_the_band_says_so() {
    let strong = Item { frequency: 869_525_000, power: 29, ..item(after(1000)) };
    let mut by_band = bench();
    by_band.submit(1, &[strong]);
    let _ = by_band.order();
}

#[test]
fn where_the_country_limits_how_long_a_frame_lasts_a_longer_one_is_refused() {
    let now = Instant::now();
    let bench_in = |region, dwell_time| {
        let settings = Settings::new(Plan::new(region).with_dwell_time(dwell_time));
        let mut scheduler = Scheduler::new(settings, now);
        scheduler.heard(TMST, None, now);
        Bench { scheduler, now }
    };
    // SF10 with 24 bytes is 371 ms on the air, with 33 it is 453 (RP002-1.0.4, AS923: 19 bytes of MAC payload, N/A beyond).
    let slow = |length| {
        let modulation = Modulation::Lora(Lora::lorawan(10, 125_000));
        Item { frequency: 923_200_000, modulation, length, ..item(after(1000)) }
    };
    assert_eq!(bench_in(Region::As923, true).refusal(slow(33)), TxStatus::DwellTime);
    for (region, dwell_time, length) in
        [(Region::As923, true, 24), (Region::As923, false, 33), (Region::Us915, true, 33)]
    {
        let mut bench = bench_in(region, dwell_time);
        bench.submit(1, &[slow(length)]);
        let _ = bench.order();
    }
    let said = TxStatus::DwellTime;
    assert_eq!((said.as_str(), said.told()), ("DWELL_TIME", crate::radio::lora::gw::TxAckStatus::InternalError));
}

#[test]
fn two_frames_need_a_gap_and_two_transmitters_none() {
    let mut bench = bench();
    bench.submit(1, &[item(after(1000))]);
    let _ = bench.order();
    // 71.936 ms on the air, then 42.5 until the next.
    assert_eq!(bench.refusal(item(after(1114))), TxStatus::CollisionPacket);
    assert_eq!(bench.refusal(item(after(886))), TxStatus::CollisionPacket);
    for beside in [item(after(1115)), item(after(885)), Item { chain: 1, ..item(after(1000)) }] {
        bench.submit(2, &[beside]);
        let _ = bench.order();
    }
}

#[test]
fn an_immediate_frame_takes_the_first_gap_and_needs_no_uplink() {
    let now = Instant::now();
    let mut bench = Bench { scheduler: Scheduler::new(Settings::new(Plan::new(Region::Us915)), now), now };
    let frame = Item { frequency: 923_300_000, ..item(Timing::Immediately) };
    bench.submit(1, &[frame]);
    let first = bench.order();
    assert_eq!((first.when, first.starts), (When::Immediately, bench.now + ms(80)));
    bench.submit(2, &[frame]);
    let second = bench.order();
    assert_eq!(second.starts, first.starts + first.airtime + Duration::from_micros(book::LEAD));
    // The first uplink tells where the count stands; what is booked keeps its time.
    bench.scheduler.heard(4_000_000_000, None, bench.now);
    bench.submit(3, &[frame]);
    assert_eq!(bench.order().starts, second.starts + second.airtime + Duration::from_micros(book::LEAD));
}

#[test]
fn a_context_is_believed_by_a_gateway_that_has_just_been_started() {
    let now = Instant::now();
    let mut bench = Bench { scheduler: Scheduler::new(Settings::new(Plan::new(Region::Eu868)), now), now };
    bench.submit(1, &[item(after(1000))]);
    assert_eq!(bench.order().when, When::Count(TMST.wrapping_add(1_000_000)));
    assert!(!bench.scheduler.heard(TMST.wrapping_add(300_000), None, bench.now), "the uplink was 300 ms ago");
    assert_eq!(bench.refusal(item(after(1000))), TxStatus::CollisionPacket);
}

#[test]
fn the_radio_gets_a_frame_when_it_would_not_be_too_early_for_it() {
    let mut bench = bench();
    bench.submit(1, &[item(after(60_000))]);
    assert!(bench.events().is_empty());
    let due = bench.scheduler.next_due().unwrap();
    assert_eq!(due, bench.now + ms(55_000));
    bench.now = due;
    assert_eq!(bench.order().when, When::Count(TMST.wrapping_add(60_000_000)));
}

#[test]
fn a_frame_that_nobody_came_for_in_time_is_too_late() {
    let mut bench = bench();
    bench.submit(1, &[item(after(60_000)), item(after(61_000))]);
    assert!(bench.events().is_empty());
    bench.now += ms(70_000);
    assert_eq!(bench.statuses(), [TxStatus::TooLate; 2]);
}

#[test]
fn a_radio_that_says_nothing_may_have_sent_so_nothing_else_is() {
    let mut bench = bench();
    bench.submit(1, &[item(after(1000)), item(after(3000))]);
    let order = bench.order();
    bench.now += ms(1000);
    assert_eq!(bench.statuses(), [TxStatus::InternalError, TxStatus::Ignored]);
    assert!(bench.scheduler.load(bench.now + ms(1))[1].used > Duration::ZERO);
    let refused = Err(Verdict::plain(TxStatus::TooLate));
    assert!(bench.scheduler.answered(order.slot, refused, bench.now), "late, but it gives the air time back");
    assert_eq!(bench.scheduler.load(bench.now + ms(1))[1].used, Duration::ZERO);
}

#[test]
fn what_nobody_wants_any_more_leaves_its_place_unless_the_radio_has_it() {
    let mut bench = bench_with(|settings| settings.queue = 1);
    bench.submit(1, &[item(after(60_000))]);
    bench.scheduler.withdraw(1);
    assert_eq!((bench.events(), bench.scheduler.next_due()), (vec![], None));
    bench.submit(2, &[item(after(1000))]);
    let order = bench.order();
    bench.scheduler.withdraw(2);
    assert!(bench.scheduler.answered(order.slot, Ok(()), bench.now));
    assert_eq!(bench.statuses(), [TxStatus::Ok]);
    assert_eq!(bench.refusal(item(after(1000))), TxStatus::CollisionPacket);
}

#[test]
fn the_queue_has_an_end() {
    let mut bench = bench_with(|settings| settings.queue = 3);
    for id in 0..3 {
        bench.submit(id, &[item(after(1000 + 200 * id))]);
        let _ = bench.order();
    }
    bench.submit(3, &[item(after(4000)), item(after(5000))]);
    assert_eq!(bench.statuses(), [TxStatus::QueueFull; 2]);
    bench.submit(4, &vec![item(after(1)); ITEMS_MAX + 1]);
    assert_eq!(bench.statuses()[0], TxStatus::QueueFull);
}

#[test]
fn a_count_that_jumps_back_empties_what_was_booked_but_not_what_waits_for_no_count() {
    let mut bench = bench();
    bench.submit(1, &[item(after(1000)), item(after(2000))]);
    let _ = bench.order();
    bench.submit(2, &[item(after(60_000)), item(Timing::Immediately)]);
    assert!(bench.events().is_empty());
    bench.now += ms(20_000);
    assert_eq!(bench.statuses(), [TxStatus::InternalError, TxStatus::Ignored], "the first was not answered");
    assert!(bench.scheduler.heard(5_000_000, None, bench.now));
    assert_eq!(bench.order().when, When::Immediately);
    assert_eq!(bench.scheduler.load(bench.now)[1].used, ms(0) + bench.airtime(), "the first may have been sent");
    // What would have collided with the old count's bookings does not.
    bench.submit(3, &[item(Timing::Delay { tmst: 5_000_000, delay: ms(1000) })]);
    assert_eq!(bench.order().when, When::Count(6_000_000));
}

impl Bench {
    /// Of [`item`].
    fn airtime(&self) -> Duration {
        Duration::from_micros(71_936)
    }
}

#[test]
fn the_duty_cycle_is_kept_by_sub_band_and_an_hour_later_there_is_time_again() {
    // 2.6 s of the 3.6 that are allowed an hour between 868.7 and 869.2 MHz.
    let long = Item {
        frequency: 868_800_000,
        modulation: Modulation::Lora(Lora::lorawan(12, 125_000)),
        length: 51,
        ..item(Timing::Immediately)
    };
    let mut bench = bench();
    bench.submit(1, &[long]);
    let order = bench.order();
    bench.scheduler.answered(order.slot, Ok(()), bench.now);
    assert_eq!(bench.statuses(), [TxStatus::Ok]);
    bench.now += ms(10_000);
    assert_eq!(bench.refusal(long), TxStatus::DutyCycleOverflow);
    bench.submit(2, &[Item { frequency: 869_525_000, ..long }]);
    let _ = bench.order();
    bench.now += Duration::from_secs(3600);
    let _ = bench.events();
    bench.submit(3, &[long]);
    let _ = bench.order();
}

#[test]
fn a_lab_can_do_without_and_sees_what_it_uses() {
    let mut bench = bench_with(|settings| settings.duty_cycle = false);
    for id in 0..20 {
        bench.submit(id, &[Item { frequency: 868_800_000, length: 255, ..item(Timing::Immediately) }]);
        let order = bench.order();
        bench.scheduler.answered(order.slot, Ok(()), bench.now);
        let _ = bench.events();
        bench.now += ms(1000);
    }
    let load = bench.scheduler.load(bench.now)[2];
    assert!(load.used > load.band.allowance(), "{load:?}");
}

#[test]
fn the_words_are_those_of_chirpstack() {
    for (number, status) in TxStatus::ALL.into_iter().enumerate() {
        assert_eq!(status as usize, number);
        assert_eq!(TxStatus::parse(status.as_str()), Some(status));
    }
    assert_eq!(TxStatus::DutyCycleOverflow.as_str(), "DUTY_CYCLE_OVERFLOW");
    assert_eq!(TxStatus::parse("NONE"), None);
}
