//! A full disk: what can't be kept is not acknowledged, what need not be kept goes on, and with room all goes on.
//!
//! Twice: on a small file system, where this may be mounted, and by a limit on the size of files, anywhere.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, prlimit};
use stile_tests::packet::{Connect, V5, publish};
use stile_tests::{Mounted, PATIENCE, RawClient, Stile, command};

use super::{PUBACK, come_back, resume, wait_connections};

/// The disk's size, or that of a file.
const ROOM: usize = 3 << 20;
/// One message's size. So many would not fit.
const LARGE: usize = 100_000;
const TOO_MANY: u64 = (3 * ROOM / LARGE) as u64;
/// No queue's limit is reached before the disk's.
const ROOMY: &str = "session-queue = 1000000\nsession-queue-bytes = 268435456\n";

/// How the disk is kept small.
enum Disk {
    /// A file system of its own.
    Mounted(Mounted),
    /// The daemon's files may not grow further.
    Limit,
}

impl Disk {
    /// A small file system, or the limit where mounting is not permitted.
    fn mounted() -> Self {
        Mounted::in_memory(ROOM).map_or(Self::Limit, Self::Mounted)
    }

    /// Starts a daemon whose data is on it.
    fn start(&self) -> Stile {
        let dir = match self {
            Self::Mounted(mounted) => mounted.folder(),
            Self::Limit => tempfile::tempdir().unwrap(),
        };
        Stile::start_by(shell("true"), dir, ROOMY)
    }

    /// Starts the daemon again when nothing at all can be written.
    fn start_again_full(&self, stile: &mut Stile) {
        match self {
            Self::Mounted(mounted) => {
                mounted.fill_up();
                stile.start_again();
            }
            Self::Limit => stile.start_again_by(shell("ulimit -S -f 0")),
        }
    }

    /// Begins or ends the scarcity. What is written before it begins is little.
    fn set_full(&self, stile: &Stile, full: bool) {
        match self {
            // Half of it: the rest fills up with what the daemon keeps.
            Self::Mounted(mounted) if full => mounted.take(ROOM / 2),
            Self::Mounted(mounted) => mounted.make_room(),
            Self::Limit => {
                let current = full.then_some(ROOM as u64 / 2);
                prlimit(Some(stile.pid()), Resource::Fsize, Rlimit { current, maximum: None }).unwrap();
            }
        }
    }
}

/// A shell that does something first and then becomes the daemon. Without a handler, a file at its limit would end the
/// process; an ignored signal stays so.
fn shell(first: &str) -> Command {
    let daemon = command();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("trap '' XFSZ; {first}; exec \"$0\" \"$@\"")).arg(daemon.get_program());
    daemon.get_envs().filter(|(_, value)| value.is_none()).for_each(|(name, _)| {
        shell.env_remove(name);
    });
    shell
}

/// Publishes one large message with QoS 1; says whether it was acknowledged within a time.
fn try_large(stile: &Stile, number: u64, patience: Duration) -> bool {
    let Ok((mut client, _)) = RawClient::try_meet(stile.mqtt, &Connect::new(V5, "large")) else { return false };
    let text = format!("{number} {}", "x".repeat(LARGE));
    let _ = client.try_send(&publish(V5, 2, "large", 9, &[], text));
    match client.try_packet(patience) {
        Ok(Some(packet)) => packet.first == PUBACK && packet.body.get(2).copied().unwrap_or(0) < 0x80,
        _ => false,
    }
}

/// QoS 0 goes on, though nothing can be kept.
fn expect_live(stile: &Stile) {
    let mut client = RawClient::connect(stile.mqtt, V5, "live");
    assert_eq!(client.subscribe(&[("live", 0)], &[]), [0]);
    for i in 0..10 {
        client.publish("live", &[], i.to_string());
        assert_eq!(client.message().text, i.to_string());
    }
    client.disconnect();
}

fn try_on(disk: &Disk) {
    let mut stile = disk.start();
    let me = Connect::persistent(V5, "me");
    let (mut client, _) = come_back(&stile, &me);
    assert_eq!(client.subscribe(&[("large", 1)], &[]), [1]);
    client.cut();
    wait_connections(&stile, 0.0);
    disk.set_full(&stile, true);
    let mut acknowledged: Vec<u64> = Vec::new();
    let refused = (1..TOO_MANY).find(|number| {
        let taken = try_large(&stile, *number, Duration::from_secs(3));
        acknowledged.extend(taken.then_some(*number));
        !taken
    });
    let refused = refused.expect("more was acknowledged than there is room for");
    expect_live(&stile);
    disk.set_full(&stile, false);
    let deadline = Instant::now() + PATIENCE;
    let mut last = refused;
    while !try_large(&stile, last, Duration::from_secs(3)) {
        assert!(Instant::now() < deadline, "there is room again, and nothing is acknowledged");
        last += 1;
    }
    acknowledged.push(last);
    stile.kill_and_start();
    let mut client = resume(&stile, &me);
    let mut came = Vec::new();
    while came.last() != Some(&last) {
        came.push(client.next_acked().text.split_once(' ').unwrap().0.parse::<u64>().unwrap());
    }
    let missing: Vec<_> = acknowledged.iter().filter(|number| !came.contains(number)).collect();
    assert!(missing.is_empty(), "acknowledged, and lost: {missing:?} of {acknowledged:?}");
}

#[test]
fn files_that_may_not_grow_stop_acknowledgements_and_nothing_else_until_they_may() {
    try_on(&Disk::Limit);
}

#[test]
fn a_full_disk_stops_acknowledgements_and_nothing_else_until_there_is_room() {
    try_on(&Disk::mounted());
}

#[test]
fn the_gateway_starts_on_a_full_disk_with_what_was_kept() {
    for disk in [Disk::mounted(), Disk::Limit] {
        let mut stile = disk.start();
        let me = Connect::persistent(V5, "me");
        let (mut client, _) = come_back(&stile, &me);
        assert_eq!(client.subscribe(&[("large", 1)], &[]), [1]);
        client.cut();
        wait_connections(&stile, 0.0);
        assert!(try_large(&stile, 1, PATIENCE));
        stile.kill();
        disk.start_again_full(&mut stile);
        expect_live(&stile);
        disk.set_full(&stile, false);
        let mut client = resume(&stile, &me);
        assert!(client.next_acked().text.starts_with("1 "));
    }
}
