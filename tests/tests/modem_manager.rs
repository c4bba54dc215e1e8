//! 4G and 5G modems that ModemManager has: on a real bus, with its API played by python-dbusmock.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use rumqttc::QoS;
use serde_json::{Value, json};
use stile_tests::cellular::{self, CellularModem, Maker, NUMBERS, Serving};
use stile_tests::modem_manager::{Bus, ModemManager};
use stile_tests::{Stile, V5Client, or_skip, within};
use tempfile::TempDir;

const PORTS: [(&str, u32); 2] = [("cdc-wdm0", 6), ("ttyUSB2", 3)];
const LTE: u32 = 1 << 14;
const NR: u32 = 1 << 15;
const THREE_GPP: &str = ".Modem3gpp";

/// ModemManager with modem 0, the daemon whose radio `wwan` it is, and a client that hears all of it.
struct Bench {
    stile: Stile,
    client: V5Client,
    manager: ModemManager,
    bus: Bus,
}

/// A bus, or the test is skipped.
#[track_caller]
fn bus() -> Option<Bus> {
    or_skip("python3-dbusmock", Bus::start())
}

fn settings(rest: &str) -> String {
    format!("[[radio]]\nname = \"wwan\"\nkind = \"cellular\"\nvia = \"modem-manager\"\nperiod = \"200ms\"\n{rest}\n")
}

fn gateway(bus: &Bus, dir: TempDir, radios: &str) -> (Stile, V5Client) {
    std::fs::create_dir_all(dir.path().join("conf.d")).unwrap();
    std::fs::write(dir.path().join("conf.d/radio.toml"), radios).unwrap();
    let stile = Stile::start_with(&[("DBUS_SYSTEM_BUS_ADDRESS", &bus.address)], dir);
    let client = V5Client::connect(stile.mqtt, "bench");
    client.subscribe("cellular/#", QoS::AtLeastOnce);
    (stile, client)
}

fn bench_with(rest: &str, dir: TempDir, before: impl FnOnce(&mut ModemManager)) -> Option<Bench> {
    let bus = bus()?;
    let mut manager = ModemManager::start(&bus);
    manager.plug(0, &PORTS);
    before(&mut manager);
    let (stile, client) = gateway(&bus, dir, &settings(rest));
    Some(Bench { stile, client, manager, bus })
}

fn bench(rest: &str, before: impl FnOnce(&mut ModemManager)) -> Option<Bench> {
    bench_with(rest, tempfile::tempdir().unwrap(), before)
}

fn cell(ci: &str) -> Value {
    json!({ "cell-type": 5, "serving": true, "operator-id": "26201", "tac": "4E21", "ci": ci, "physical-ci": "D4",
        "earfcn": 1300, "rsrp": -94.0 })
}

impl Bench {
    #[track_caller]
    fn next(&self, last: &str, fits: impl Fn(&Value) -> bool) -> Value {
        cellular::next(&self.client, last, fits)
    }

    #[track_caller]
    fn cell(&self, fits: impl Fn(&Value) -> bool) -> Value {
        cellular::cell(&self.stile, fits)
    }

    #[track_caller]
    fn signal(&self, technology: &str) -> Value {
        self.next("signal", |signal| signal["technology"] == technology)
    }

    #[track_caller]
    fn event(&self, what: &str) -> Value {
        self.next("event", |event| event["event"] == what)
    }
}

#[test]
fn a_modem_says_how_it_hears_and_where_it_is_as_one_that_is_asked_by_at_does() {
    let Some(mut bench) = bench("", |manager| {
        manager.set("", "AccessTechnologies", "u", LTE | NR);
        manager.set(".Signal", "Nr5g", "a{sv}", json!({ "rsrp": -101, "rsrq": -11, "snr": 15 }));
        manager.cells(&json!([cell("1A2B303"),
            { "cell-type": 6, "serving": true, "physical-ci": "1F4", "nrarfcn": 640_704 }]));
    }) else {
        return;
    };
    let signal = bench.signal("en-dc");
    assert_eq!(
        (&signal["radio"], &signal["registration"], &signal["activity"]),
        (&json!("wwan"), &json!("home"), &json!("registered"))
    );
    assert_eq!(signal["lte"], json!({ "rsrp": -95, "rsrq": -11, "sinr": 12 }), "{signal}");
    assert_eq!(signal["nr"], json!({ "rsrp": -101, "rsrq": -11, "sinr": 15 }), "{signal}");
    assert!(signal["errors"].is_null() && signal["raw"].as_array().unwrap().len() >= 4, "{signal}");
    let cell = bench.cell(|cell| !cell["sim"]["imsi"].is_null());
    let place = json!({ "plmn": "26201", "cell": 27_439_875, "pci": 212, "tac": 20_001, "arfcn": 1300 });
    assert_eq!((&cell["lte"], &cell["nr"]), (&place, &json!({ "pci": 500, "arfcn": 640_704 })), "{cell}");
    assert_eq!((&cell["operator"], &cell["modem"]["dialect"]), (&json!("Made-up Mobile"), &json!("modem-manager")));
    assert_eq!((&cell["modem"]["model"], &cell["sim"]["state"]), (&json!("RM520N-GL"), &json!("ready")));
    assert_eq!(cell["connection"], json!({ "state": "off" }), "{cell}");
    let all = format!("{cell} {signal} {:?}", bench.stile.log());
    assert!(NUMBERS.iter().all(|number| !all.contains(number)), "{all}");
    // It has figures only when somebody wants them, at whole seconds.
    assert_eq!(bench.manager.calls("Signal.Setup"), [json!(1)]);
    bench.manager.set("", "AccessTechnologies", "u", NR);
    assert_eq!(bench.event("technology-change")["to"]["technology"], "nr-sa");
    assert_eq!(bench.stile.metric("stile_cellular_signal{radio=\"wwan\",side=\"nr\",what=\"rsrp\"}"), -101.0);
}

#[test]
fn a_handover_a_loss_and_a_return_are_told() {
    let Some(mut bench) = bench("", |manager| manager.cells(&json!([cell("1")]))) else { return };
    bench.signal("lte");
    bench.manager.cells(&json!([cell("2")]));
    let event = bench.event("cell-change");
    assert_eq!((&event["from"]["lte"]["cell"], &event["to"]["lte"]["cell"]), (&json!(1), &json!(2)));
    bench.manager.cells(&json!([]));
    bench.manager.set(THREE_GPP, "RegistrationState", "u", 2);
    bench.manager.set("", "AccessTechnologies", "u", 0);
    bench.event("service-lost");
    assert_eq!(bench.signal("none")["registration"], "searching");
    bench.manager.set(THREE_GPP, "RegistrationState", "u", 5);
    bench.manager.set("", "AccessTechnologies", "u", LTE);
    bench.event("service-back");
}

#[test]
fn a_modem_that_goes_is_found_again_and_so_is_modem_manager_itself() {
    let Some(mut bench) = bench("modem = \"cdc-wdm0\"", |_| {}) else { return };
    bench.signal("lte");
    bench.manager.unplug(0);
    let state = bench.next("state", |state| state["state"] == "offline");
    assert!(state["reason"].as_str().unwrap().contains("has the modem no more"), "{state}");
    // Under another number, as ModemManager does; and another one comes before it.
    bench.manager.plug(1, &[("ttyUSB7", 3)]);
    bench.manager.plug(2, &PORTS);
    let state = bench.next("state", |state| state["state"] == "online");
    assert_eq!(state["device"], "cdc-wdm0");
    bench.signal("lte");
    let Bench { bus, manager, .. } = &mut bench;
    manager.restart(bus);
    bench.next("state", |state| state["state"] == "offline");
    bench.manager.plug(5, &PORTS);
    bench.next("state", |state| state["state"] == "online");
    bench.signal("lte");
}

#[test]
fn whatever_types_come_the_reading_has_what_is_sound_and_the_next_is_whole() {
    let Some(mut bench) = bench("", |manager| manager.cells(&json!([cell("1"), { "cell-type": "5", "serving": 7 }])))
    else {
        return;
    };
    bench.signal("lte");
    bench.manager.set(".Signal", "Lte", "s", "rsrp");
    bench.manager.set("", "Ports", "s", "");
    bench.manager.set("", "UnlockRequired", "d", 1.5);
    bench.manager.set(THREE_GPP, "OperatorName", "u", 7);
    bench.manager.set("", "AccessTechnologies", "s", "lte");
    let odd = bench.signal("none");
    // The cell's own figure is left.
    assert_eq!((&odd["lte"], &odd["registration"]), (&json!({ "rsrp": -94 }), &json!("home")), "{odd}");
    bench.manager.set("", "AccessTechnologies", "u", LTE);
    bench.manager.set(".Signal", "Lte", "a{sv}", json!({ "rsrp": -1e300, "rsrq": -11 }));
    let sound = bench.next("signal", |signal| signal["lte"]["rsrq"] == -11);
    assert_eq!(sound["lte"]["rsrp"], -94, "{sound}");
}

#[test]
fn what_polkit_forbids_is_said_with_the_call_and_the_location_says_which_cell_it_is() {
    let Some(bench) = bench("", |manager| {
        manager.forbid("Signal.Setup");
        manager.forbid("GetCellInfo");
    }) else {
        return;
    };
    let cell = bench.next("cell", |cell| !cell["lte"]["cell"].is_null());
    assert_eq!(cell["lte"], json!({ "plmn": "26201", "cell": 27_439_875, "tac": 20_001 }), "{cell}");
    for call in ["Signal.Setup", "GetCellInfo"] {
        let said = "ModemManager forbids the gateway a call; it goes on without";
        bench.stile.wait_record(said, |record| record["message"] == said && record["call"] == call);
    }
    let now = bench.signal("lte")["seq"].as_u64().unwrap();
    bench.next("signal", |signal| signal["seq"].as_u64() > Some(now + 3));
    assert_eq!(bench.manager.calls("Signal.Setup").len(), 1, "it is not asked again and again");
}

fn with_pin(pin: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("pin"), format!("{pin}\n")).unwrap();
    dir
}

fn pin_file(dir: &TempDir) -> String {
    format!("pin-file = {:?}", dir.path().join("pin"))
}

#[test]
fn a_card_is_told_its_pin_once_and_a_wrong_one_never_again() {
    for (pin, state) in [("24681357", "ready"), ("97531864", "pin-refused")] {
        let dir = with_pin(pin);
        let (rest, lock) = (pin_file(&dir), |manager: &mut ModemManager| manager.lock("24681357"));
        let Some(bench) = bench_with(&rest, dir, lock) else { return };
        bench.next("cell", |cell| cell["sim"]["state"] == state);
        let now = bench.next("signal", |_| true)["seq"].as_u64().unwrap();
        bench.next("signal", |signal| signal["seq"].as_u64() > Some(now + 3));
        assert_eq!(bench.manager.calls("SendPin"), [json!(pin)]);
        assert!(!format!("{:?}", bench.stile.log()).contains(pin));
        if state == "ready" {
            continue;
        }
        let Bench { mut stile, manager, bus, .. } = bench;
        stile.stop();
        let dir = std::mem::replace(&mut stile.dir, tempfile::tempdir().unwrap());
        let (_stile, client) = gateway(&bus, dir, &settings(&rest));
        client.next_where(|message| message.topic == "cellular/wwan/cell" && message.json()["sim"]["state"] == state);
        assert_eq!(manager.calls("SendPin").len(), 1, "over a restart too");
    }
}

#[test]
fn a_pin_that_was_held_up_on_its_way_is_told_when_it_may_be() {
    let dir = with_pin("24681357");
    let rest = pin_file(&dir);
    let Some(bench) = bench_with(&rest, dir, |manager| {
        manager.lock("24681357");
        manager.forbid("SendPin");
    }) else {
        return;
    };
    let said = "ModemManager forbids the gateway a call; it goes on without";
    bench.stile.wait_record(said, |record| record["message"] == said && record["call"] == "SendPin");
    within("the mark is gone", || (!bench.stile.dir.path().join("data/cellular/wwan.pin").exists()).then_some(()));
}

#[test]
fn the_gateway_connects_and_ends_its_own_connection_when_it_is_told_to() {
    let Some(bench) = bench("connect = true\napn = \"internet\"", |_| {}) else { return };
    let up = json!({ "state": "connected", "interface": "wwan0", "ipv4": "dhcp" });
    let cell = bench.next("cell", |cell| cell["connection"]["state"] == "connected");
    assert_eq!(cell["connection"], up);
    assert_eq!(bench.manager.calls("Connect"), [json!({ "apn": "internet" })]);
    bench.stile.wait_log("the modem is connected");
    connect_no_more(&bench);
    within("it is disconnected", || (bench.manager.calls("Disconnect").len() == 1).then_some(()));
    bench.next("cell", |cell| cell["connection"]["state"] == "off");
    assert_eq!(bench.manager.calls("Connect").len(), 1);
}

/// Takes `connect` from the settings while the gateway runs.
fn connect_no_more(bench: &Bench) {
    std::fs::write(bench.stile.dir.path().join("conf.d/radio.toml"), settings("")).unwrap();
    bench.stile.reload("", "");
}

#[test]
fn a_connection_that_is_still_under_way_is_ended_too() {
    let connect = "connect = true\napn = \"internet\"";
    let Some(bench) = bench(connect, |manager| manager.fail("Connect", None)) else { return };
    within("it is to connect", || (bench.manager.calls("Connect").len() == 1).then_some(()));
    connect_no_more(&bench);
    within("all are disconnected", || (bench.manager.calls("Disconnect") == [json!("/")]).then_some(()));
}

#[test]
fn a_connection_that_was_lost_sight_of_is_still_the_gateways_own_and_no_number_comes_out() {
    let Some(mut bench) = bench("connect = true\napn = \"internet\"", |_| {}) else { return };
    bench.next("cell", |cell| cell["connection"]["state"] == "connected");
    bench.stile.wait_log("the modem is connected");
    bench.manager.fail("GetManagedObjects", Some(&format!("{} is barred", NUMBERS[1])));
    let state = bench.next("state", |state| state["state"] == "offline");
    assert!(state["reason"].as_str().unwrap().contains("imsi:"), "{state}");
    bench.manager.mend("GetManagedObjects");
    bench.next("state", |state| state["state"] == "online");
    bench.signal("lte");
    bench.manager.fail("Disconnect", Some(&format!("{} is barred", NUMBERS[1])));
    connect_no_more(&bench);
    let said = "the modem could not be disconnected";
    bench.stile.wait_log(said);
    let log = format!("{state} {:?}", bench.stile.log());
    assert!(NUMBERS.iter().all(|number| !log.contains(number)), "{log}");
}

#[test]
fn a_call_that_is_never_answered_ends_no_reading() {
    let Some(bench) = bench("", |manager| manager.fail("GetCellInfo", None)) else { return };
    let cell = bench.next("cell", |cell| !cell["lte"]["cell"].is_null());
    assert_eq!(cell["lte"], json!({ "plmn": "26201", "cell": 27_439_875, "tac": 20_001 }), "{cell}");
    bench.signal("lte");
    assert_eq!(bench.manager.calls("GetCellInfo").len(), 1, "it is not asked again and again");
}

#[test]
fn a_connection_that_fails_is_said_once_and_tried_again_more_and_more_seldom() {
    let why = format!("{} may not connect", NUMBERS[1]);
    let apn = "connect = true\napn = \"internet\"";
    let Some(bench) = bench(apn, |manager| manager.fail("Connect", Some(&why))) else { return };
    let cell = bench.next("cell", |cell| cell["connection"]["state"] == "failed");
    assert!(cell["connection"]["interface"].is_null(), "{cell}");
    let said = "the modem could not be connected; tried again";
    bench.stile.wait_log(said);
    within("it is tried again", || (bench.manager.calls("Connect").len() == 2).then_some(()));
    bench.signal("lte");
    assert_eq!(bench.stile.logged(said).len(), 1);
    let log = format!("{:?}", bench.stile.log());
    assert!(log.contains("may not connect") && !log.contains(NUMBERS[1]), "{log}");
}

#[test]
fn a_port_that_modem_manager_has_is_not_opened_until_it_leaves_it() {
    let Some(bus) = bus() else { return };
    let modem = CellularModem::start(Maker::Quectel, Serving::Lte(1));
    let name = modem.path().file_name().unwrap().to_str().unwrap().to_owned();
    let mut manager = ModemManager::start(&bus);
    manager.plug(0, &[("cdc-wdm0", 6), (name.as_str(), 3)]);
    let device = modem.path();
    let radio = format!("[[radio]]\nname = \"wwan\"\nkind = \"cellular\"\ndevice = {device:?}\nperiod = \"200ms\"\n");
    let (stile, client) = gateway(&bus, tempfile::tempdir().unwrap(), &radio);
    let mut bench = Bench { stile, client, manager, bus };
    let state = bench.next("state", |state| state["state"] == "offline");
    let reason = state["reason"].as_str().unwrap();
    assert!(reason.contains("ModemManager has /dev/pts/") && reason.contains("via = \"modem-manager\""), "{reason}");
    assert!(modem.commands().is_empty(), "nothing was said on it");
    // MM_MODEM_PORT_TYPE_IGNORED.
    bench.manager.set("", "Ports", "a(su)", json!([["cdc-wdm0", 6], [name, 9]]));
    bench.next("state", |state| state["state"] == "online");
    bench.signal("lte");
}

#[test]
fn without_a_bus_or_modem_manager_the_state_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = format!("unix:path={}", dir.path().join("nothing").display());
    let radio = settings("");
    std::fs::create_dir_all(dir.path().join("conf.d")).unwrap();
    std::fs::write(dir.path().join("conf.d/radio.toml"), &radio).unwrap();
    let stile = Stile::start_with(&[("DBUS_SYSTEM_BUS_ADDRESS", &nowhere)], dir);
    let client = V5Client::connect(stile.mqtt, "bench");
    client.subscribe("cellular/wwan/state", QoS::AtLeastOnce);
    let state = client.next().json();
    assert!(state["reason"].as_str().unwrap().starts_with("there is no system bus: "), "{state}");
    let Some(bus) = bus() else { return };
    let (_stile, client) = gateway(&bus, tempfile::tempdir().unwrap(), &radio);
    let state = client.next_where(|message| message.topic == "cellular/wwan/state").json();
    assert!(state["reason"].as_str().unwrap().starts_with("ModemManager does not run; start it"), "{state}");
    let mut manager = ModemManager::start(&bus);
    client.next_where(|message| message.json()["reason"].as_str().is_some_and(|why| why.contains("has no modem;")));
    manager.plug(0, &PORTS);
    client.next_where(|message| message.topic == "cellular/wwan/signal");
}
