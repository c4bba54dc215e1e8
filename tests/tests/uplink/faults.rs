//! Disks that fail under the running daemon: full, broken down, without a word of the kernel's about what was written. What
//! is live goes on, the operator is told why, and what was acknowledged is there when the disk is.

use std::time::{Duration, Instant};

use stile_tests::packet::{Connect, V5, publish};
use stile_tests::{Injected, Mosquitto, Mounted, PATIENCE, RawClient, Stile, or_skip};

use super::{EVERYTHING, keep, sink, uplink, wait_drained};

/// The size of a file system.
const ROOM: usize = 16 << 20;
/// What a machine must give to the tests.
const MOUNT: &str = "root that may mount, with mkfs.ext4";
const TRACE: &str = "strace that may trace";
const PUBACK: u8 = 0x40;
/// How long nothing is acknowledged on a disk that fails, as far as that can be seen.
const UNACKNOWLEDGED: Duration = Duration::from_secs(3);

/// A daemon, its remote, and what was acknowledged.
struct Trial {
    remote: Mosquitto,
    stile: Stile,
    next: u64,
    acknowledged: Vec<u64>,
}

impl Trial {
    /// In a folder of its own, or one on a file system.
    fn start(disk: Option<&Mounted>) -> Self {
        let remote = Mosquitto::start();
        keep(remote.address, "n/#");
        let dir = disk.map_or_else(|| tempfile::tempdir().unwrap(), Mounted::folder);
        let settings = uplink("up", remote.address, EVERYTHING, "[uplink.spool]\nwhen-full = \"block\"");
        let mut trial = Self { remote, stile: Stile::start_in(dir, "", &settings), next: 0, acknowledged: Vec::new() };
        (0..5).for_each(|_| trial.expect_acknowledged());
        wait_drained(&trial.stile, "up");
        trial
    }

    /// Publishes the next number with QoS 1. Says whether it was acknowledged in time.
    fn publish(&mut self, patience: Duration) -> bool {
        self.next += 1;
        let Ok((mut client, _)) = RawClient::try_meet(self.stile.mqtt, &Connect::new(V5, "publisher")) else {
            return false;
        };
        let text = format!("{} {}", self.next, "x".repeat(8000));
        let _ = client.try_send(&publish(V5, 2, "n/1", 9, &[], text));
        let answer = client.try_packet(patience);
        let taken = matches!(answer, Ok(Some(packet)) if packet.first == PUBACK && packet.body.get(2).is_none_or(|r| *r < 0x80));
        self.acknowledged.extend(taken.then_some(self.next));
        taken
    }

    #[track_caller]
    fn expect_acknowledged(&mut self) {
        assert!(self.publish(PATIENCE), "{} is not acknowledged", self.next);
    }

    /// Publishes until one is acknowledged.
    #[track_caller]
    fn wait_acknowledged(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.publish(UNACKNOWLEDGED) {
            assert!(Instant::now() < deadline, "the disk is well, and nothing is acknowledged");
        }
    }

    /// Clients go on with each other.
    fn expect_live(&self) {
        let mut client = RawClient::connect(self.stile.mqtt, V5, "live");
        assert_eq!(client.subscribe(&[("live", 0)], &[]), [0]);
        for number in 0..10 {
            client.publish("live", &[], number.to_string());
            assert_eq!(client.message().text, number.to_string());
        }
        client.disconnect();
    }

    /// With a disk that fails since just now: what the remote has is safe, what it has not is not acknowledged, and what the
    /// system said is in the log.
    fn expect_to_bear(&mut self, why: &str) {
        self.expect_acknowledged();
        let told = self.stile.wait_log("the spool can't be written; it is tried again every second");
        assert!(told["error"].as_str().unwrap().contains(why), "{told}");
        self.stile.wait_metric("stile_uplink_spool_failing{uplink=\"up\"}", |failing| failing == 1.0);
        self.expect_acknowledged();
        self.expect_live();
        self.remote.stop();
        // On a full disk the spool's own files that are done with may have made a little room.
        assert!((0..100).any(|_| !self.publish(UNACKNOWLEDGED)), "neither the disk has it nor the remote");
        self.expect_live();
    }

    /// The disk is well again.
    fn expect_to_recover(&mut self) {
        self.wait_acknowledged();
        self.stile.wait_log("the spool can be written again");
        self.stile.wait_metric("stile_uplink_spool_failing{uplink=\"up\"}", |failing| failing == 0.0);
        self.expect_acknowledged();
        self.stile.kill_and_start();
    }

    /// Everything that was acknowledged reaches the remote, in order.
    fn expect_nothing_lost(mut self) {
        self.remote.start_again();
        let there = sink(self.remote.address, "n/#");
        let mut came: Vec<u64> = Vec::new();
        while came.last() != self.acknowledged.last() {
            came.push(there.next().text().split_once(' ').unwrap().0.parse().unwrap());
        }
        let missing: Vec<_> = self.acknowledged.iter().filter(|number| !came.contains(number)).collect();
        assert!(missing.is_empty(), "acknowledged, and lost: {missing:?} of {:?}; {came:?} came", self.acknowledged);
        // What the remote had acknowledged may have come again after the kill.
        let mut newest = 0;
        for number in came {
            assert!(number <= newest + 1 || !self.acknowledged.contains(&(newest + 1)), "{number} came after {newest}");
            newest = newest.max(number);
        }
        wait_drained(&self.stile, "up");
    }
}

#[test]
fn a_full_disk_holds_up_what_it_has_to_keep_and_nothing_else_until_there_is_room() {
    let Some(disk) = or_skip(MOUNT, Mounted::in_memory(ROOM)) else { return };
    let mut trial = Trial::start(Some(&disk));
    disk.fill_up();
    trial.expect_to_bear("No space left on device");
    disk.make_room();
    trial.expect_to_recover();
    trial.expect_nothing_lost();
}

#[test]
fn a_file_system_that_becomes_read_only_costs_nothing_that_was_acknowledged() {
    let Some(disk) = or_skip(MOUNT, Mounted::ext4(ROOM)) else { return };
    let mut trial = Trial::start(Some(&disk));
    let Some(()) = or_skip(MOUNT, disk.break_down()) else { return };
    trial.expect_to_bear("Read-only file system");
    trial.stile.kill();
    disk.repair();
    trial.stile.start_again();
    trial.wait_acknowledged();
    trial.expect_nothing_lost();
}

#[test]
fn a_disk_that_can_not_say_whether_it_has_something_is_not_believed() {
    let mut trial = Trial::start(None);
    let failing = Injected::start(trial.stile.pid(), "fsync,fdatasync", "EIO");
    let Some(broken) = or_skip(TRACE, failing) else { return };
    trial.expect_to_bear("Input/output error");
    assert!(broken.count() > 0);
    drop(broken);
    trial.expect_to_recover();
    trial.expect_nothing_lost();
}
