//! What holds whatever is asked, heard, answered and missed.
//!
//! A made-up concentrator with a count of its own stands behind the scheduler. It knows when each frame really was on the
//! air, and that is what is looked at.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// Time goes by, in milliseconds.
    Wait(u64),
    /// An uplink came so many microseconds ago.
    Heard { late: u64, gps: bool },
    /// A downlink is asked for.
    Submit(Vec<Wish>),
    /// The oldest unanswered frame is taken, or refused.
    Answer(bool),
    /// The concentrator is started again, and its count is so much further.
    Restart(u32),
}

/// An item, in terms of what the concentrator knows.
#[derive(Debug, Clone)]
struct Wish {
    frequency: u32,
    factor: u8,
    length: usize,
    power: i32,
    chain: u8,
    timing: Time,
}

#[derive(Debug, Clone)]
enum Time {
    Now,
    /// So many milliseconds from now by the count.
    In(i64),
    /// The same by GPS time.
    Gps(i64),
}

fn time() -> impl Strategy<Value = Time> {
    let delay = || prop_oneof![4 => 0..3000_i64, 1 => -1000..700_000_i64];
    prop_oneof![2 => Just(Time::Now), 4 => delay().prop_map(Time::In), 1 => delay().prop_map(Time::Gps)]
}

fn wish() -> impl Strategy<Value = Wish> {
    let frequency = prop_oneof![
        8 => prop::sample::select(vec![868_100_000, 868_300_000, 864_000_000, 868_800_000, 869_525_000, 869_800_000]),
        1 => 860_000_000..872_000_000_u32,
    ];
    let shape = (7..=12_u8, prop_oneof![4 => 1..60_usize, 1 => 0..300_usize], prop_oneof![4 => Just(14), 1 => -5..35]);
    (frequency, shape, prop_oneof![5 => Just(0_u8), 1 => Just(1)], time()).prop_map(
        |(frequency, (factor, length, power), chain, timing)| Wish { frequency, factor, length, power, chain, timing },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop_oneof![4 => 0..500_u64, 2 => 0..30_000_u64, 1 => 0..5_000_000_u64].prop_map(Step::Wait),
        3 => (0..20_000_u64, any::<bool>()).prop_map(|(late, gps)| Step::Heard { late, gps }),
        6 => vec(wish(), 0..4).prop_map(Step::Submit),
        6 => prop::bool::weighted(0.7).prop_map(Step::Answer),
        1 => any::<u32>().prop_map(Step::Restart),
    ]
}

/// A frame that was on the air, by the test's own clock in microseconds.
#[derive(Debug, Clone, Copy)]
struct OnAir {
    chain: u8,
    frequency: u32,
    from: u64,
    until: u64,
}

struct World {
    scheduler: Scheduler,
    begin: Instant,
    /// Microseconds since `begin`.
    now: u64,
    /// The concentrator's count at `begin`.
    count: u32,
    gps: u64,
    asked: BTreeMap<u64, Vec<Item>>,
    unanswered: Vec<Order>,
    on_air: BTreeMap<SlotId, OnAir>,
    done: BTreeMap<u64, Vec<Verdict>>,
}

impl World {
    fn new(count: u32) -> Self {
        let begin = Instant::now();
        let mut scheduler = Scheduler::new(Settings::new(Plan::new(Region::Eu868)), begin);
        scheduler.heard(count, None, begin);
        let gps = 1_400_000_000_000_000;
        Self {
            scheduler,
            begin,
            now: 0,
            count,
            gps,
            asked: BTreeMap::new(),
            unanswered: Vec::new(),
            on_air: BTreeMap::new(),
            done: BTreeMap::new(),
        }
    }

    fn instant(&self) -> Instant {
        self.begin + Duration::from_micros(self.now)
    }

    fn tmst(&self) -> u32 {
        self.count.wrapping_add(self.now as u32)
    }

    fn gps(&self) -> Duration {
        Duration::from_micros(self.gps + self.now)
    }

    fn item(&self, wish: &Wish) -> Item {
        let timing = match wish.timing {
            Time::Now => Timing::Immediately,
            // As a network server has it: from an uplink that came a while ago.
            Time::In(delay) => {
                let ago = 1_500_000;
                let delay = u64::try_from(delay * 1000 + ago).unwrap_or(0);
                Timing::Delay { tmst: self.tmst().wrapping_sub(ago as u32), delay: Duration::from_micros(delay) }
            }
            Time::Gps(delay) => {
                Timing::GpsEpoch(Duration::from_micros((self.gps + self.now).saturating_add_signed(delay * 1000)))
            }
        };
        Item {
            frequency: wish.frequency,
            power: wish.power,
            modulation: Modulation::Lora(Lora::lorawan(wish.factor, 125_000)),
            length: wish.length,
            chain: wish.chain,
            timing,
        }
    }

    /// When a frame's first symbol really is on the air.
    fn really_starts(&self, order: &Order) -> u64 {
        match order.when {
            When::Immediately => (order.starts - self.begin).as_micros() as u64,
            When::Count(tmst) => self.now + u64::from(tmst.wrapping_sub(self.tmst())),
            When::Gps(time) => time.as_micros() as u64 - self.gps,
        }
    }

    fn sent(&mut self, order: Order) {
        let item = self.asked[&order.downlink][order.item];
        let from = self.really_starts(&order);
        let airtime = order.airtime.as_micros() as u64;
        assert_eq!(Ok(order.airtime), crate::radio::lora::airtime::airtime(&item.modulation, item.length));
        let on_air = OnAir { chain: item.chain, frequency: item.frequency, from, until: from + airtime };
        assert!(self.on_air.insert(order.slot, on_air).is_none(), "a slot twice");
        self.unanswered.push(order);
    }

    fn drain(&mut self) {
        while let Some(event) = self.scheduler.take(self.instant()) {
            match event {
                Event::Send(order) => self.sent(order),
                Event::Done { downlink, verdicts } => {
                    self.unanswered.retain(|order| order.downlink != downlink);
                    assert!(self.done.insert(downlink, verdicts).is_none(), "over twice");
                }
            }
        }
    }

    /// As its owner would: it is looked at whenever it wants to be.
    fn wait(&mut self, micros: u64) {
        let end = self.now + micros;
        while let Some(due) = self.scheduler.next_due() {
            let due = (due - self.begin).as_micros() as u64;
            if due > end {
                break;
            }
            self.now = self.now.max(due + 1);
            self.drain();
        }
        self.now = self.now.max(end);
        self.drain();
    }

    fn answer(&mut self, taken: bool) {
        if self.unanswered.is_empty() {
            return;
        }
        let order = self.unanswered.remove(0);
        let answer = if taken { Ok(()) } else { Err(Verdict::because(TxStatus::TxPower, "the radio")) };
        if !taken {
            self.on_air.remove(&order.slot);
        }
        assert!(self.scheduler.answered(order.slot, answer, self.instant()));
    }

    /// What is on the air is cut, and what is to come never will be. The count is another one, by far.
    fn restart(&mut self, count: u32) {
        let now = self.now;
        self.on_air.retain(|_, frame| frame.from < now);
        self.on_air.values_mut().for_each(|frame| frame.until = frame.until.min(now));
        self.unanswered.clear();
        self.count = self.count.wrapping_add(count.clamp(10_000_000, u32::MAX - 10_000_000));
        assert!(self.scheduler.heard(self.tmst(), None, self.instant()));
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Wait(ms) => self.wait(ms * 1000),
            Step::Heard { late, gps } => {
                let late = late.min(self.now);
                let gps = gps.then(|| self.gps() - Duration::from_micros(late));
                self.scheduler.heard(self.tmst().wrapping_sub(late as u32), gps, self.instant());
            }
            Step::Submit(wishes) => {
                let id = self.asked.len() as u64;
                let items: Vec<Item> = wishes.iter().map(|wish| self.item(wish)).collect();
                self.asked.insert(id, items.clone());
                self.scheduler.submit(Downlink { id, items }, self.instant());
            }
            Step::Answer(taken) => self.answer(taken),
            Step::Restart(count) => self.restart(count),
        }
        self.drain();
    }

    fn no_two_at_once(&self) {
        let frames: Vec<&OnAir> = self.on_air.values().collect();
        for (i, one) in frames.iter().enumerate() {
            for other in frames.iter().skip(i + 1).filter(|other| other.chain == one.chain) {
                assert!(one.until <= other.from || other.until <= one.from, "{one:?} and {other:?}");
            }
        }
    }

    fn no_hour_is_too_full(&self) {
        let plan = Plan::new(Region::Eu868);
        for (index, band) in plan.sub_bands().iter().enumerate() {
            let of_band = |frame: &&OnAir| plan.sub_band_of(frame.frequency, 125_000) == Some(index);
            let frames: Vec<&OnAir> = self.on_air.values().filter(of_band).collect();
            // The fullest hours begin or end with a frame.
            let ends = frames.iter().flat_map(|frame| [frame.until, frame.from + 3_600_000_000]);
            for end in ends {
                let begin = end.saturating_sub(3_600_000_000);
                let within = |frame: &&OnAir| frame.until.min(end).saturating_sub(frame.from.max(begin));
                let sum: u64 = frames.iter().map(within).sum();
                assert!(sum <= band.allowance().as_micros() as u64, "{sum} µs in {band:?}");
            }
        }
    }

    fn each_is_over_with_its_reasons(&self) {
        assert_eq!(self.done.len(), self.asked.len());
        for (id, verdicts) in &self.done {
            assert_eq!(verdicts.len(), self.asked[id].len());
            let tried: Vec<_> = verdicts.iter().take_while(|v| v.status != TxStatus::Ignored).collect();
            let ignored = verdicts.len() - tried.len();
            assert!(verdicts.iter().rev().take(ignored).all(|v| v.status == TxStatus::Ignored), "{verdicts:?}");
            for (index, verdict) in tried.iter().enumerate() {
                let last = index + 1 == tried.len();
                assert!(verdict.status != TxStatus::Ok || last, "{verdicts:?}");
                let says_it_all = [TxStatus::Ok, TxStatus::CollisionPacket, TxStatus::CollisionBeacon];
                assert!(!verdict.why.is_empty() || says_it_all.contains(&verdict.status), "{verdicts:?}");
            }
            if ignored > 0 {
                let last = tried.last().map(|verdict| verdict.status);
                assert!(matches!(last, Some(TxStatus::Ok | TxStatus::InternalError)), "{verdicts:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_two_are_on_the_air_at_once_no_hour_is_too_full_and_each_refusal_has_its_reason(
        count in any::<u32>(), steps in vec(step(), 1..120),
    ) {
        let mut world = World::new(count);
        for step in steps {
            world.step(step);
        }
        world.wait(600_000_000);
        world.no_two_at_once();
        world.no_hour_is_too_full();
        world.each_is_over_with_its_reasons();
    }
}
