//! SIGKILL at random moments, with numbers from end to end. `KILL_ROUNDS` sets the number of rounds, `KILL_SEED` repeats a
//! run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stile_tests::{Mosquitto, Random, Stile, publish_until_it_ends, within};

use super::{keep, sink, start, uplink, wait_drained};

/// Messages under way to the remote.
const WINDOW: u64 = 8;
const PUBLISHERS: usize = 4;

fn rounds() -> u64 {
    std::env::var("KILL_ROUNDS").map_or(8, |rounds| rounds.parse().unwrap())
}

fn round(stile: &mut Stile, remote: &mut Mosquitto, last: &mut [u64], random: &mut Random) {
    let progress = AtomicU64::new(0);
    let (enough, moment) = (random.below(120), Duration::from_micros(random.below(20_000)));
    // Now and then the remote is away for the whole of a round, and what is left of it comes with the next.
    let away = random.below(3) == 0;
    if away {
        remote.stop();
    }
    let address = stile.mqtt;
    std::thread::scope(|scope| {
        let threads: Vec<_> = last
            .iter()
            .enumerate()
            .map(|(who, last)| {
                let (next, progress) = (last + 1, &progress);
                scope.spawn(move || publish_until_it_ends(address, who, next, 0, progress))
            })
            .collect();
        within("progress", || (progress.load(Ordering::Relaxed) >= enough).then_some(()));
        // No wait for anything: it is to be any moment.
        std::thread::sleep(moment);
        stile.kill();
        for (last, thread) in last.iter_mut().zip(threads) {
            let (acknowledged, sent) = thread.join().unwrap();
            // What was sent and not acknowledged may have been taken: its number is not used again.
            *last = sent;
            assert!(acknowledged <= sent);
        }
    });
    if away {
        remote.start_again();
    }
    stile.start_again();
}

#[test]
fn nothing_acknowledged_is_lost_and_only_what_was_under_way_comes_twice() {
    let mut random = Random::new(Random::seed_from("KILL_SEED"));
    let mut remote = Mosquitto::start();
    keep(remote.address, "n/#");
    let more = format!("in-flight = {WINDOW}\n[uplink.spool]\ninterval = \"2ms\"");
    let mut stile = start(&uplink("up", remote.address, "{ filter = \"n/#\" }", &more));
    let mut last = vec![0; PUBLISHERS];
    let mut acknowledged: Vec<Vec<u64>> = vec![Vec::new(); PUBLISHERS];
    for number in 0..rounds() {
        let before = last.clone();
        round(&mut stile, &mut remote, &mut last, &mut random);
        for ((all, before), last) in acknowledged.iter_mut().zip(before).zip(&last) {
            all.extend(before + 1..*last);
        }
        println!("round {number}: up to {last:?}");
    }
    wait_drained(&stile, "up");
    let there = sink(remote.address, "n/#");
    let mut seen: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    let done = |seen: &BTreeMap<usize, Vec<u64>>| {
        let has =
            |who: usize| acknowledged[who].last().is_none_or(|last| seen.get(&who).is_some_and(|s| s.contains(last)));
        (0..PUBLISHERS).all(has)
    };
    while !done(&seen) {
        let message = there.next();
        let who: usize = message.topic.strip_prefix("n/").unwrap().parse().unwrap();
        seen.entry(who).or_default().push(message.text().parse().unwrap());
    }
    let mut twice = 0;
    for (who, acknowledged) in acknowledged.iter().enumerate() {
        let seen = seen.remove(&who).unwrap_or_default();
        let lost: Vec<_> = acknowledged.iter().filter(|number| !seen.contains(number)).collect();
        assert!(lost.is_empty(), "publisher {who} lost {lost:?}");
        let mut newest = 0;
        for number in seen {
            assert!(
                number + WINDOW > newest || number > newest,
                "{number} came after {newest}, which is more than is under way"
            );
            twice += u64::from(number <= newest);
            newest = newest.max(number);
        }
    }
    println!("{twice} came twice");
    assert!(twice <= rounds() * WINDOW, "{twice} came twice");
}
