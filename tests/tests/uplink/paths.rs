//! Several network paths: an interface for each, in networks of the test's own, that goes away in each way there is.
//!
//! The gateway's network has two interfaces that lead to the remote's, and a third one by which the test looks at the remote.

use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use rumqttc::QoS;
use stile_tests::{Client, Mosquitto, Network, Stile, binary, or_skip, within};

use super::{EVERYTHING, keep, sink, start, wait_drained, wait_online};

const NOBODY: u32 = 65_534;
/// The remote, by either path, and by the test's own way.
const REMOTE: &str = "10.99.0.1";
const LOOKING: &str = "10.99.0.2";

const PATHS: &str = "paths = [{ interface = \"wwan0\" }, { interface = \"wlan0\" }]\npath-timeout = \"4s\"\n\
    path-return = \"2s\"\nin-flight = 10\n[uplink.spool]\ninterval = \"1ms\"";

struct Town {
    /// The gateway's; the test's thread is in it.
    here: Network,
    there: Network,
    remote: Mosquitto,
}

impl Town {
    /// `None` where networks can't be made, and then the test is skipped.
    #[track_caller]
    fn build() -> Option<Self> {
        let networks = Network::new().and_then(|here| Ok((here, Network::new()?)));
        let (here, there) = or_skip("root with CAP_SYS_ADMIN", networks)?;
        for (at, interface) in ["wwan0", "wlan0", "look0"].into_iter().enumerate() {
            here.ip(&format!("link add {interface} type veth peer name far{at} netns {}", there.id()));
            here.ip(&format!("address add 10.77.{at}.1/24 dev {interface}"));
            there.ip(&format!("address add 10.77.{at}.2/24 dev far{at}"));
            here.ip(&format!("link set {interface} up"));
            there.ip(&format!("link set far{at} up"));
        }
        for address in [REMOTE, LOOKING] {
            there.ip(&format!("address add {address}/32 dev lo"));
        }
        here.ip(&format!("route add {LOOKING} via 10.77.2.2"));
        here.enter();
        let looking = SocketAddr::new(LOOKING.parse().unwrap(), 1883);
        let mut remote = Mosquitto::prepare_in(&there, looking);
        remote.start_again();
        let town = Self { here, there, remote };
        town.lead("wwan0");
        town.lead("wlan0");
        Some(town)
    }

    /// Gives an interface a way out, as a network manager does.
    fn lead(&self, interface: &str) {
        let (at, metric) = if interface == "wwan0" { (0, 100) } else { (1, 200) };
        self.here.ip(&format!("route add default via 10.77.{at}.2 dev {interface} metric {metric}"));
    }

    /// From now on what leaves by the interface gets nowhere, without a word.
    fn swallow(&self, interface: &str, at: u8) {
        self.here.ip(&format!("neigh replace 10.77.{at}.2 lladdr 02:00:00:00:00:99 dev {interface} nud permanent"));
    }

    fn spit_out(&self, interface: &str, at: u8) {
        self.here.ip(&format!("neigh del 10.77.{at}.2 dev {interface}"));
    }

    /// A gateway that runs as an ordinary user, if one can: it binds to interfaces nevertheless.
    fn gateway(&self) -> Stile {
        self.gateway_that("")
    }

    /// The same with further settings of its uplink.
    fn gateway_that(&self, rest: &str) -> Stile {
        let remote = SocketAddr::new(REMOTE.parse().unwrap(), 1883);
        let uplink = super::uplink("up", remote, EVERYTHING, &format!("{PATHS}\n{rest}"));
        let dir = tempfile::tempdir().unwrap();
        if Command::new(binary()).arg("--version").uid(NOBODY).gid(NOBODY).output().is_err() {
            println!("as root, since an ordinary user can't run {}", binary().display());
            return start(&uplink);
        }
        chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        Stile::start_as(NOBODY, dir, &uplink)
    }
}

#[track_caller]
fn wait_path(stile: &Stile, path: &str) {
    stile.wait_metric(&format!("stile_uplink_path_current{{uplink=\"up\",path=\"{path}\"}}"), |current| current == 1.0);
    wait_online(stile, "up");
}

fn changes(stile: &Stile) -> f64 {
    stile.metric("stile_uplink_path_changes_total{uplink=\"up\"}")
}

/// A publisher that counts on.
struct Teller {
    here: Client,
    next: u64,
}

impl Teller {
    fn of(stile: &Stile) -> Self {
        Self { here: Client::connect(stile.mqtt, "here"), next: 0 }
    }

    fn tell(&mut self, count: u64) {
        for _ in 0..count {
            self.here.publish("n/1", QoS::AtLeastOnce, false, self.next.to_string());
            self.next += 1;
        }
    }
}

/// That all has come, in order, and what came again is no more than was under way and is counted. Says how much that was.
#[track_caller]
fn all_came(town: &Town, stile: &Stile, count: u64) -> usize {
    wait_drained(stile, "up");
    let there = sink(town.remote.address, "n/#");
    let (mut next, mut again) = (0, 0);
    while next < count {
        let number: u64 = there.next().text().parse().unwrap();
        assert!(number <= next, "{number} comes before {next}");
        assert!(number + 10 >= next, "{number} comes again after {next}, which is more than is under way");
        again += usize::from(number < next);
        next = next.max(number + 1);
    }
    let repeated = stile.metric("stile_uplink_repeated_total{uplink=\"up\"}");
    assert!(again <= repeated as usize, "{again} came twice, {repeated} are counted");
    again
}

#[test]
fn where_the_preferred_path_swallows_everything_the_next_one_goes_on_and_is_left_again_without_a_loss() {
    let Some(town) = Town::build() else { return };
    keep(town.remote.address, "n/#");
    let stile = town.gateway();
    wait_path(&stile, "wwan0");
    let mut teller = Teller::of(&stile);
    teller.here.subscribe("stile/test/uplink/up/state", QoS::AtLeastOnce);
    assert_eq!(teller.here.next().json()["path"], "wwan0");
    teller.tell(50);
    wait_drained(&stile, "up");
    town.swallow("wwan0", 0);
    teller.tell(50);
    wait_path(&stile, "wlan0");
    wait_drained(&stile, "up");
    // It was noticed within the time that the settings name, and told of.
    let gap = stile.wait_metric("stile_uplink_path_gap_seconds{uplink=\"up\"}", |gap| gap > 0.0);
    assert!((0.5..25.0).contains(&gap), "{gap}");
    println!("the change took {gap} s, of which 4 s are path-timeout");
    let state = loop {
        let state = teller.here.next().json();
        if !state["path_gap_seconds"].is_null() {
            break state;
        }
    };
    assert_eq!((&state["state"], &state["path"]), (&"online".into(), &"wlan0".into()), "{state}");
    assert_eq!(changes(&stile), 1.0);
    // Back again under load: nothing is repeated, since what is under way is waited for.
    let repeated = stile.metric("stile_uplink_repeated_total{uplink=\"up\"}");
    town.spit_out("wwan0", 0);
    within("the return to wwan0", || {
        teller.tell(20);
        (stile.metric("stile_uplink_path_current{uplink=\"up\",path=\"wwan0\"}") == 1.0).then_some(())
    });
    teller.tell(20);
    wait_drained(&stile, "up");
    assert_eq!(changes(&stile), 2.0);
    assert_eq!(stile.metric("stile_uplink_repeated_total{uplink=\"up\"}"), repeated, "repeated at the return");
    println!("the return took {} s", stile.metric("stile_uplink_path_gap_seconds{uplink=\"up\"}"));
    let data = stile.dir.path().join("data");
    let (code, said, error) = stile_tests::check(&["uplink", "status", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
    assert!(said.contains("up, path wwan0: in use, the change to it took"), "{said}");
    assert!(said.contains("up, path wlan0: not in use"), "{said}");
    all_came(&town, &stile, teller.next);
}

#[test]
fn an_interface_that_goes_down_a_route_that_goes_and_a_remote_that_is_restarted() {
    let Some(mut town) = Town::build() else { return };
    keep(town.remote.address, "n/#");
    // At the start the preferred one is not there yet.
    town.here.ip("link set wwan0 down");
    let stile = town.gateway();
    wait_path(&stile, "wlan0");
    let mut teller = Teller::of(&stile);
    teller.tell(20);
    town.here.ip("link set wwan0 up");
    town.lead("wwan0");
    wait_path(&stile, "wwan0");
    teller.tell(20);
    // Its network says that it leads nowhere.
    town.here.ip("route del default dev wwan0");
    town.here.ip("route add unreachable default metric 50");
    town.there.ip("link set far0 down");
    teller.tell(20);
    wait_path(&stile, "wlan0");
    town.here.ip("route del unreachable default metric 50");
    // The remote stops: no path leads there, and when it is back, one does. (Killed, Mosquitto loses what it acknowledged.)
    town.remote.stop();
    stile.wait_metric("stile_uplink_online{uplink=\"up\"}", |online| online == 0.0);
    teller.tell(20);
    town.remote.start_again();
    wait_path(&stile, "wlan0");
    teller.tell(20);
    town.there.ip("link set far0 up");
    town.lead("wwan0");
    wait_path(&stile, "wwan0");
    teller.tell(20);
    all_came(&town, &stile, teller.next);
}

#[test]
fn a_change_while_nothing_waits_took_no_time_also_where_the_time_of_receipt_is_not_shared() {
    let Some(town) = Town::build() else { return };
    town.here.ip("link set wwan0 down");
    let stile = town.gateway_that("[[uplink.share]]\ntopics = [\"#\"]\nproperties = []");
    wait_path(&stile, "wlan0");
    let mut teller = Teller::of(&stile);
    teller.tell(5);
    wait_drained(&stile, "up");
    let silent = Instant::now();
    town.here.ip("link set wwan0 up");
    town.lead("wwan0");
    wait_path(&stile, "wwan0");
    // The gap is held against this silence: the longer it is, the slower a machine may be.
    std::thread::sleep(Duration::from_secs(8).saturating_sub(silent.elapsed()));
    let silent = silent.elapsed().as_secs_f64();
    teller.tell(1);
    let told = stile.wait_log("messages are acknowledged on another path");
    let gap = told["gap_ms"].as_f64().unwrap() / 1000.0;
    assert!(gap < silent / 2.0, "{gap} s, after {silent} s in which nothing waited");
}

#[test]
fn both_paths_go_and_come_again_and_again_and_nothing_is_lost() {
    let Some(town) = Town::build() else { return };
    keep(town.remote.address, "n/#");
    let stile = town.gateway();
    wait_path(&stile, "wwan0");
    let mut teller = Teller::of(&stile);
    for _ in 0..3 {
        teller.tell(30);
        town.swallow("wwan0", 0);
        teller.tell(30);
        wait_path(&stile, "wlan0");
        teller.tell(30);
        town.swallow("wlan0", 1);
        teller.tell(30);
        stile.wait_metric("stile_uplink_online{uplink=\"up\"}", |online| online == 0.0);
        town.spit_out("wwan0", 0);
        wait_path(&stile, "wwan0");
        town.spit_out("wlan0", 1);
    }
    all_came(&town, &stile, teller.next);
}

#[test]
fn an_interface_and_an_address_that_this_machine_has_not_are_told_of_and_the_next_path_is_taken() {
    let remote = Mosquitto::start();
    let paths = "paths = [{ interface = \"nowhere0\" }, { address = \"192.0.2.7\" }, { address = \"127.0.0.2\" }]";
    let stile = start(&super::uplink("up", remote.address, EVERYTHING, paths));
    super::secured::gets_there(&stile);
    for (path, remedy) in
        [("nowhere0", "`ip link` shows which interfaces there are"), ("192.0.2.7", "`ip address` shows which")]
    {
        let line =
            stile.wait_record("a path failed", |line| line["message"] == "a path failed" && line["path"] == path);
        assert!(line["error"].as_str().unwrap().contains(remedy), "{line}");
    }
    assert_eq!(stile.metric("stile_uplink_path_current{uplink=\"up\",path=\"127.0.0.2\"}"), 1.0);
    let log = std::fs::read_to_string(remote.dir.path().join("mosquitto.log")).unwrap();
    assert!(log.contains("New connection from 127.0.0.2"), "{log}");
}
