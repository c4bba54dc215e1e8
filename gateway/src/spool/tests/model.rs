//! Everything that can happen, in any order: what was promised is there, nothing is made up, and all is in order.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use proptest::prelude::*;

use super::sim::Dice;
use super::*;

#[derive(Debug, Clone)]
enum Op {
    Append { alarm: bool, length: usize, awaited: bool },
    Turn { after: u64 },
    HandOut(usize),
    Acknowledge { which: prop::sample::Index, many: usize },
    Rewind,
    Fault { after: u32, full: bool, for_ever: bool },
    Full(usize),
    Heal,
    Crash(u64),
    Kill,
    Restart,
}

fn ops(longest: usize) -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (any::<bool>(), 8..longest, any::<bool>())
            .prop_map(|(alarm, length, awaited)| Op::Append { alarm, length, awaited }),
        8 => (0..80_u64).prop_map(|after| Op::Turn { after }),
        1 => Just(Op::Turn { after: 6000 }),
        5 => (1..12_usize).prop_map(Op::HandOut),
        6 => (any::<prop::sample::Index>(), 1..10_usize).prop_map(|(which, many)| Op::Acknowledge { which, many }),
        1 => Just(Op::Rewind),
        2 => (0..12_u32, any::<bool>(), any::<bool>())
            .prop_map(|(after, full, for_ever)| Op::Fault { after, full, for_ever }),
        1 => (0..3000_usize).prop_map(Op::Full),
        2 => Just(Op::Heal),
        2 => any::<u64>().prop_map(Op::Crash),
        1 => Just(Op::Kill),
        1 => Just(Op::Restart),
    ]
}

struct Sent {
    text: String,
    /// `None`: nobody waits for it to be safe.
    awaited: Option<Awaited>,
    acknowledged: bool,
    /// Since the last crash: then it is there whatever the disk did.
    in_memory: bool,
}

struct World {
    bench: Option<Bench>,
    reader: Option<Reader>,
    sent: BTreeMap<u64, Sent>,
    in_flight: Vec<(Seq, u64)>,
    /// By lane, what was handed out last.
    last: [u64; 2],
    /// Records that were dropped in runs that are over.
    dropped: u64,
}

fn all(dropped: &Dropped) -> u64 {
    dropped.full + dropped.oldest + dropped.disk
}

/// The text of a record: its number, lane and length stand in it.
fn text(id: u64, alarm: bool, length: usize) -> String {
    format!("{id}:{alarm}:{}", "x".repeat(length))
}

impl World {
    fn new(settings: SpoolSettings) -> Self {
        let bench = Bench::new(settings);
        let reader = bench.spool.reader();
        Self { bench: Some(bench), reader, sent: BTreeMap::new(), in_flight: Vec::new(), last: [0; 2], dropped: 0 }
    }

    fn bench(&mut self) -> &mut Bench {
        self.bench.as_mut().unwrap()
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Append { alarm, length, awaited } => self.append(*alarm, *length, *awaited),
            Op::Turn { after } => self.turn(*after),
            Op::HandOut(many) => drop(self.hand_out(*many)),
            Op::Acknowledge { which, many } => (0..*many).for_each(|_| self.acknowledge(which)),
            Op::Rewind => {
                self.reader.as_mut().unwrap().rewind();
                self.forget_reading();
            }
            Op::Fault { after, full, for_ever } => {
                let kind = if *full { ErrorKind::StorageFull } else { ErrorKind::Other };
                self.bench().disk.fail(*after, kind, *for_ever);
            }
            Op::Full(left) => self.bench().disk.leave(*left),
            Op::Heal => self.bench().disk.heal(),
            Op::Crash(seed) => self.come_again(|bench| bench.crash(&mut Dice(*seed)), true),
            Op::Kill => self.come_again(
                |Bench { disk, hand, settings, .. }| {
                    disk.heal();
                    Bench::over(disk, hand, settings)
                },
                true,
            ),
            Op::Restart => self.come_again(
                |bench| {
                    bench.disk.heal();
                    bench.again()
                },
                false,
            ),
        }
    }

    fn forget_reading(&mut self) {
        self.in_flight.clear();
        self.last = [0; 2];
    }

    fn come_again(&mut self, how: impl FnOnce(Bench) -> Bench, violent: bool) {
        self.reader = None;
        let before = self.bench().spool.clone();
        let orderly = self.bench().disk.is_well() && !violent;
        let bench = how(self.bench.take().unwrap());
        self.dropped += all(&before.figures().dropped);
        assert!(!violent || !bench.opened.clean);
        assert!(!orderly || bench.opened.clean);
        assert_eq!(bench.opened.quarantined, Quarantined::default(), "nothing was damaged");
        self.reader = bench.spool.reader();
        self.bench = Some(bench);
        self.forget_reading();
        if violent {
            self.sent.values_mut().for_each(|sent| sent.in_memory = false);
        }
    }

    /// Whoever waits is told within the interval, unless the disk fails or need not be asked.
    fn turn(&mut self, after: u64) {
        let bench = self.bench();
        let waited = after >= bench.settings.interval.as_millis() as u64;
        bench.turn(after);
        let well = bench.disk.is_well() && !bench.figures().failing && bench.settings.durability == Durability::Always;
        if waited && well {
            let mut awaited = self.sent.values().filter(|sent| sent.in_memory).filter_map(|sent| sent.awaited.as_ref());
            assert!(awaited.all(kept), "somebody waits");
        }
    }

    fn append(&mut self, alarm: bool, length: usize, awaited: bool) {
        let id = self.sent.len() as u64 + 1;
        let text = text(id, alarm, length);
        let priority = if alarm { Priority::Alarm } else { Priority::Bulk };
        let bench = self.bench();
        let appended = if awaited {
            bench.append(&text, priority).map(Some)
        } else {
            bench.append_unawaited(&text, priority).map(|()| None)
        };
        if let Ok(awaited) = appended {
            self.sent.insert(id, Sent { text, awaited, acknowledged: false, in_memory: true });
        }
    }

    /// Takes records, each of which must have been sent, be whole, and be in order.
    fn hand_out(&mut self, many: usize) -> usize {
        let batch = self.bench().spool.0.0.change(|state| state.hand_out(many, 40_000));
        for record in &batch {
            let said = String::from_utf8(record.bytes.to_vec()).unwrap();
            let id: u64 = said.split(':').next().unwrap().parse().unwrap();
            let sent = &self.sent[&id];
            assert_eq!(sent.text, said);
            let last = &mut self.last[record.seq.priority as usize];
            assert!(id > *last, "{id} came behind {last}");
            *last = id;
            self.in_flight.push((record.seq, id));
        }
        batch.len()
    }

    fn acknowledge(&mut self, which: &prop::sample::Index) {
        if self.in_flight.is_empty() {
            return;
        }
        let (seq, id) = self.in_flight.swap_remove(which.index(self.in_flight.len()));
        let under_way = self.reader.as_ref().unwrap().acknowledge(seq);
        assert!(under_way || self.bench().settings.policy != Policy::Block, "{seq:?}");
        assert!(!self.reader.as_ref().unwrap().acknowledge(seq), "only once");
        self.sent.get_mut(&id).unwrap().acknowledged = true;
    }

    /// In the end everything that was promised comes.
    fn drain(&mut self) {
        self.bench().disk.heal();
        self.reader.as_mut().unwrap().rewind();
        self.forget_reading();
        let mut came = std::collections::BTreeSet::new();
        let mut idle = 0;
        while idle < 3 {
            self.bench().turn(1100);
            let handed = self.hand_out(5);
            idle = if handed == 0 { idle + 1 } else { 0 };
            while let Some((seq, id)) = self.in_flight.pop() {
                self.reader.as_ref().unwrap().acknowledge(seq);
                came.insert(id);
            }
        }
        let dropped = self.dropped + all(&self.bench().figures().dropped);
        let promised = |sent: &Sent| sent.awaited.as_ref().is_some_and(kept) || sent.in_memory;
        let missing = self.sent.iter().filter(|(id, sent)| promised(sent) && !sent.acknowledged && !came.contains(id));
        let missing: Vec<_> = missing.map(|(id, _)| *id).collect();
        assert!(missing.len() as u64 <= dropped, "{missing:?} were promised and did not come; {dropped} were dropped");
        self.bench().turn(6000);
        let figures = self.bench().figures();
        assert_eq!(
            (figures.messages, figures.bytes, figures.in_flight, figures.failing),
            (0, 0, 0, false),
            "{figures:?}"
        );
        assert_eq!(figures.quarantined, Quarantined::default());
        assert!(dropped == 0 || self.bench().settings.policy != Policy::Block);
        let used = self.bench().disk.used();
        assert!(used < 300_000, "{used} bytes for nothing");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 5000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_promised_is_lost_whatever_happens(
        ops in proptest::collection::vec(ops(700), 1..120), on_outage in any::<bool>(), batch in 1..20_usize,
    ) {
        let durability = if on_outage { Durability::OnOutage } else { Durability::Always };
        let mut world = World::new(SpoolSettings { durability, batch, ..small() });
        ops.iter().for_each(|op| world.step(op));
        world.drain();
    }

    #[test]
    fn what_is_dropped_is_counted_whatever_happens(
        ops in proptest::collection::vec(ops(30_000), 1..120), on_outage in any::<bool>(), oldest in any::<bool>(),
    ) {
        let durability = if on_outage { Durability::OnOutage } else { Durability::Always };
        let policy = if oldest { Policy::DropOldest } else { Policy::DropNewest };
        let mut world = World::new(SpoolSettings { durability, policy, ..small() });
        ops.iter().for_each(|op| world.step(op));
        world.drain();
    }
}
