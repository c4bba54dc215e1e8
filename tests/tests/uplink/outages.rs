//! The remote goes and comes back.

use rumqttc::QoS;
use stile_tests::{Client, Mosquitto};

use super::{EVERYTHING, keep, numbers, sink, start, uplink, wait_drained, wait_online};

#[test]
fn what_was_acknowledged_while_the_remote_was_away_arrives_in_order_also_after_a_restart() {
    let mut remote = Mosquitto::start();
    keep(remote.address, "n/#");
    remote.stop();
    let mut stile = start(&uplink("up", remote.address, EVERYTHING, "[uplink.spool]\ninterval = \"1ms\""));
    for from in [0, 100] {
        let here = Client::connect(stile.mqtt, "here");
        for number in from..from + 100 {
            here.publish("n/1", QoS::AtLeastOnce, false, number.to_string());
        }
        // Once by a kill, once by a stop.
        if from == 0 {
            stile.kill();
        } else {
            stile.stop();
        }
        stile.start_again();
    }
    remote.start_again();
    assert_eq!(numbers(&sink(remote.address, "n/#"), 200), (0..200).collect::<Vec<_>>());
    wait_drained(&stile, "up");
}

#[test]
fn a_remote_that_is_restarted_under_load_gets_everything_in_order() {
    let mut remote = Mosquitto::start();
    keep(remote.address, "n/#");
    let stile = start(&uplink("up", remote.address, EVERYTHING, "in-flight = 10\n[uplink.spool]\ninterval = \"1ms\""));
    wait_online(&stile, "up");
    let here = Client::connect(stile.mqtt, "here");
    for number in 0..600 {
        here.publish("n/1", QoS::AtLeastOnce, false, number.to_string());
        if number % 200 == 100 {
            remote.stop();
        }
        if number % 200 == 150 {
            remote.start_again();
        }
    }
    wait_drained(&stile, "up");
    let there = sink(remote.address, "n/#");
    let (mut seen, mut next) = (Vec::new(), 0);
    while next < 600 {
        let number: u64 = there.next().text().parse().unwrap();
        assert!(number <= next, "{number} comes before {next}");
        assert!(number + 10 >= next, "{number} comes again after {next}, which is more than is under way");
        next = next.max(number + 1);
        seen.push(number);
    }
    let repeated = stile.metric("stile_uplink_repeated_total{uplink=\"up\"}");
    assert!(seen.len() - 600 <= repeated as usize, "{} came twice, {repeated} are counted", seen.len() - 600);
}

#[test]
fn where_publishers_wait_a_full_spool_loses_nothing_and_holds_up_nobody_else() {
    let mut remote = Mosquitto::start();
    keep(remote.address, "n/#");
    remote.stop();
    let more = "[uplink.spool]\ninterval = \"1ms\"\nmax-bytes = 1048576\nwhen-full = \"block\"";
    let stile = start(&uplink("up", remote.address, EVERYTHING, more));
    let here = Client::connect(stile.mqtt, "here");
    let count = 150;
    let address = stile.mqtt;
    let publisher = std::thread::spawn(move || {
        let mut options = rumqttc::MqttOptions::new("filler", address.ip().to_string(), address.port());
        options.set_keep_alive(std::time::Duration::from_secs(300));
        options.set_inflight(1);
        let filler = Client::with(options);
        for number in 0..count {
            let text = format!("{number:<10000}");
            filler.publish("n/1", QoS::AtMostOnce, false, text);
        }
        // Behind all others, and acknowledged when it is safe.
        filler.publish("n/1", QoS::AtLeastOnce, false, format!("{count:<10000}"));
    });
    stile.wait_metric("stile_uplink_queue_bytes{uplink=\"up\"}", |bytes| bytes > 800_000.0);
    here.subscribe("other", QoS::AtLeastOnce);
    for _ in 0..20 {
        here.publish("other", QoS::AtLeastOnce, false, "x");
        assert_eq!(here.next().text(), "x");
    }
    assert!(!publisher.is_finished());
    remote.start_again();
    let there = sink(remote.address, "n/#");
    let got: Vec<u64> = (0..=count).map(|_| there.next().text().trim_end().parse().unwrap()).collect();
    assert_eq!(got, (0..=count).collect::<Vec<_>>());
    publisher.join().unwrap();
    wait_drained(&stile, "up");
    for reason in ["no-room", "spool-full", "spool-oldest", "spool-busy"] {
        assert_eq!(super::dropped(&stile, "up", reason), 0.0, "{reason}");
    }
}

#[test]
fn the_oldest_or_the_newest_are_dropped_and_counted_by_the_policy() {
    for (policy, reason) in [("drop-oldest", "spool-oldest"), ("drop-newest", "spool-full")] {
        let mut remote = Mosquitto::start();
        keep(remote.address, "n/#");
        remote.stop();
        let more = format!("[uplink.spool]\ninterval = \"1ms\"\nmax-bytes = 1048576\nwhen-full = \"{policy}\"");
        let stile = start(&uplink("up", remote.address, EVERYTHING, &more));
        let here = Client::connect(stile.mqtt, "here");
        let count: u64 = 200;
        for number in 0..count {
            here.publish("n/1", QoS::AtLeastOnce, false, format!("{number:<10000}"));
        }
        let lost = super::dropped(&stile, "up", reason) as u64;
        assert!(lost > 0 && lost < count, "{policy}: {lost}");
        remote.start_again();
        let there = sink(remote.address, "n/#");
        let got: Vec<u64> = (0..count - lost).map(|_| there.next().text().trim_end().parse().unwrap()).collect();
        let expected = if policy == "drop-oldest" { lost..count } else { 0..count - lost };
        assert_eq!(got, expected.collect::<Vec<_>>(), "{policy}");
        wait_drained(&stile, "up");
    }
}

#[test]
fn no_second_has_more_messages_than_the_rate_after_an_outage() {
    let mut remote = Mosquitto::start();
    keep(remote.address, "n/#");
    remote.stop();
    let stile = start(&uplink("up", remote.address, EVERYTHING, "max-rate = 50\n[uplink.spool]\ninterval = \"1ms\""));
    let here = Client::connect(stile.mqtt, "here");
    for number in 0..100 {
        here.publish("n/1", QoS::AtLeastOnce, false, number.to_string());
    }
    remote.start_again();
    let there = sink(remote.address, "n/#");
    let first = there.next();
    let since = std::time::Instant::now();
    assert_eq!(first.text(), "0");
    assert_eq!(numbers(&there, 99), (1..100).collect::<Vec<_>>());
    assert!(since.elapsed().as_millis() > 1700, "{:?}", since.elapsed());
}
