//! SIGKILL, now and then SIGTERM, at random moments under load. `KILL_ROUNDS` sets the number of rounds, `KILL_SEED` repeats a run.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use stile_tests::packet::{V5, V311};
use stile_tests::{EndOnDrop, Random, Stile, within};

use super::publisher::Publisher;
use super::subscriber::Subscriber;

/// More than all rounds together may queue for a subscriber that is away: here nothing may be dropped for want of room.
pub(super) const ROOMY: &str = "session-queue = 1000000\nsession-queue-bytes = 268435456\n";
/// Acknowledgements after which a round may be killed, at most.
const LONG_ROUND: u64 = 300;

pub(super) fn rounds() -> u64 {
    std::env::var("KILL_ROUNDS").map_or(10, |rounds| rounds.parse().unwrap())
}

/// What a subscriber does in a round: how many packets it takes before it goes. None, some, or all there are.
fn visit(random: &mut Random) -> u64 {
    match random.below(3) {
        0 => 0,
        1 => 1 + random.below(200),
        _ => u64::MAX,
    }
}

/// One round: all are at it when the daemon ends, and `meanwhile` has been done.
pub(super) fn round(
    stile: &mut Stile,
    publishers: &mut [Publisher],
    subscribers: &mut [Subscriber],
    random: &mut Random,
    meanwhile: impl FnOnce(&Stile),
) {
    let (finish, progress) = (AtomicBool::new(false), AtomicU64::new(0));
    let visits: Vec<u64> = subscribers.iter().map(|_| visit(random)).collect();
    let enough = random.below(LONG_ROUND);
    let moment = Duration::from_micros(random.below(20_000));
    let killed = random.below(4) > 0;
    let address = stile.mqtt;
    std::thread::scope(|scope| {
        let end = EndOnDrop(&finish);
        let (finish, progress) = (&finish, &progress);
        let mut threads: Vec<_> = Vec::new();
        for publisher in publishers.iter_mut() {
            threads.push(scope.spawn(move || publisher.run(address, finish, progress)));
        }
        for (subscriber, most) in subscribers.iter_mut().zip(visits).filter(|(_, most)| *most > 0) {
            threads.push(scope.spawn(move || subscriber.run(address, most)));
        }
        meanwhile(stile);
        within("progress", || (progress.load(Ordering::Relaxed) >= enough).then_some(()));
        // No wait for anything: it is to be any moment.
        std::thread::sleep(moment);
        // A stop by the init system has a moment of its own to lose things in.
        if killed {
            stile.kill();
        } else {
            stile.stop();
        }
        drop(end);
    });
}

#[test]
fn what_was_acknowledged_comes_and_of_qos_2_nothing_comes_twice_however_often_the_gateway_ends() {
    let mut random = Random::new(Random::seed_from("KILL_SEED"));
    let mut stile = Stile::start_in(tempfile::tempdir().unwrap(), ROOMY, "");
    let mut publishers =
        [V311, V5, V5].iter().enumerate().map(|(i, version)| Publisher::new(*version, &format!("p{i}")));
    let mut publishers: Vec<_> = publishers.by_ref().collect();
    let mut subscribers = [
        Subscriber::new(V311, "old", "n/#"),
        Subscriber::new(V5, "new", "n/#"),
        Subscriber::new(V311, "member old", "$share/group/n/#"),
        Subscriber::new(V5, "member new", "$share/group/n/#"),
    ];
    subscribers.iter_mut().for_each(|subscriber| subscriber.subscribe(stile.mqtt));
    for _ in 0..rounds() {
        round(&mut stile, &mut publishers, &mut subscribers, &mut random, |_| {});
        stile.start_again();
    }
    publishers.iter_mut().for_each(|publisher| publisher.finish(stile.mqtt));
    let (alone, members) = subscribers.split_at_mut(2);
    Subscriber::finish_shared(members, stile.mqtt, &publishers);
    for subscriber in alone {
        subscriber.finish(stile.mqtt, &publishers);
    }
    let acknowledged: usize = publishers.iter().map(|publisher| publisher.acknowledged.len()).sum();
    println!("{} rounds, {acknowledged} messages acknowledged", rounds());
}
