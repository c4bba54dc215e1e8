//! Settings that load, and to what.

use std::path::PathBuf;
use std::time::Duration;

use super::super::*;
use super::Folder;

fn loaded(text: &str) -> Loaded {
    Folder::new(text).load().unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

/// The example with its commented settings made real.
fn uncommented() -> String {
    let lines = example().lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| !c.is_whitespace()) => setting,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Every kind of radio, framing and poll, and a plugin; no password of its own.
const EVERYTHING: &str = r#"
gateway = { id = "roof", data-dir = "data" }
log = { level = "trace", format = "json" }
admin.listen = "off"
[broker]
listen = ["0.0.0.0:1883", "[::1]:1884", "127.0.0.1:0"]
session-expiry-max = "36h"
user = [{ name = "reader", password-file = "password", groups = ["readers"], publish = [], subscribe = ["a/%u/#"] }]
group = [{ name = "readers", publish = ["b/%c"], subscribe = ['#', '$SYS/#'] }]
[[radio]]
name = "a"
kind = "serial"
device = "/dev/null"
parity = "even"
framing = { kind = "start-stop", start = "02", stop = "0d 0A" }
response-timeout = "1s 500ms"
poll = [{ name = "x", period = "10ms", request = "é?" }, { name = "y", period = "1h", request-hex = "00ff" }]
[[radio]]
name = "b"
kind = "serial"
usb = { vendor = "0403", product = "6001", serial = "A\"B" }
framing = { kind = "length-prefix", width = 4, endian = "little", crc = "crc32" }
[[radio]]
name = "c"
kind = "serial"
usb = { vendor = "0403", product = "6001" }
framing = { kind = "idle-gap", gap = "5ms" }
[[radio]]
name = "d"
kind = "simulated"
device = "line"
framing = { kind = "fixed", length = 12 }
envelope = "json"
[[radio]]
name = "e"
kind = "simulated"
device = "sdm120"
seed = 9223372036854775807
[[radio.poll]]
name = "coils"
period = "1s"
slave = 247
function = 1
address = 63536
count = 2000
[[radio.poll]]
name = "power"
period = "1s"
slave = 1
function = 4
address = 12
count = 2
type = "f32"
[[radio]]
name = "f"
kind = "semtech-udp"
listen = "0.0.0.0:1700"
gateways = [{ eui = "00-16-C0-01-FF-10-A2-35", address = "10.0.0.0/8" }, { eui = "0016c001ff10a236", address = "::1" }]
rate-limit = 100000
region = "us915"
format = "protobuf"
deduplicate = "10ms"
[radio.filter]
crc = "any"
lorawan-only = true
net-ids = ["000013"]
dev-addrs = ["26000000/7", "01020304"]
join-euis = ["70b3d57ed0000000/36"]
per-device = 6000
[[radio]]
name = "g"
kind = "lora-modem"
model = "rn2483"
usb = { vendor = "04d8", product = "000a", serial = "1" }
baud = 9600
region = "kr920"
frequency = 922100000
spreading-factor = 12
bandwidth = 500000
coding-rate = "4/8"
preamble = 65535
power = 22
network = "private"
envelope = "raw"
[[radio]]
name = "l"
kind = "cellular"
usb = { vendor = "2c7c", product = "0800" }
dialect = "3gpp"
period = "200ms"
format = "senml"
apn = "internet"
[[radio]]
name = "m"
kind = "cellular"
via = "modem-manager"
modem = "cdc-wdm0"
connect = true
apn = "internet"
[[radio]]
name = "n"
kind = "simulated"
device = "nmea"
[position]
source = "n"
[clock]
chrony = "off"
[[radio]]
name = "h"
kind = "simulated"
device = "lora-gateway"
region = "as923-2"
period = "100ms"
jitter = "0s"
loss = 100
reorder = 0
[[radio]]
name = "k"
kind = "simulated"
device = "lora-station"
region = "us915"
[[radio]]
name = "i"
kind = "basics-station"
listen = "[::1]:3001"
gateways = [{ eui = "00-16-C0-01-FF-10-A2-35" }]
region = "as923-2"
dwell-time = true
channels = [921400000, 921600000]
down-queue = 1
[[radio]]
name = "j"
kind = "concentratord"
region = "au915"
event-url = "ipc:///run/concentratord/events"
command-url = "ipc:///run/concentratord/commands"
eui = "00:16:c0:01:ff:10:a2:37"
configure = false
[[plugin]]
name = "parking"
file = "parking.wasm"
enabled = false
topics = ["lora/+/up", "$SYS/#"]
on-failure = "hold"
grants = ["kv", "emit", "random", "data", "kv"]
publish = ["parking/#"]
tick = "1m 30s"
limits = { memory = 65536, cpu = "1ms", fuel = 1000, drafts = 1, kv-bytes = 0, held-bytes = 0, failures = 1000, within = "1s" }
settings = { stale-after = "12h" }
data = { streets = "streets.json" }
[[uplink]]
name = "cloud"
profile = "aws-iot"
url = "mqtts://[::1]:8884"
protocol = "5"
client-id = "roof"
user = "anna"
password-file = "password"
pin = "00:11:22:33:44:55:66:77:88:99:AA:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff"
keep-alive = "5s"
in-flight = 1
max-rate = 100
max-packet-size = 1024
announce = false
proxy = { url = "http://proxy:3128", user = "anna", password-file = "password" }
paths = [
  { interface = "wwan0" },
  { name = "roof", address = "::1", proxy = { url = "socks5://[::1]:1080", user = "b", password-file = "password" } },
  {},
]
path-timeout = "5s"
path-return = "1h"
topics = [
  { filter = "a/#" },
  { filter = '#', direction = "in", qos = 0, local-prefix = "b/", remote-prefix = "c/" },
]
pseudonyms-change = "daily"
[[uplink.share]]
topics = ["a/+/x", "a/+"]
fields = ["/a~1b/*/", "/p/c"]
pseudonyms = ["/who"]
coarse = [
  { position = "/p", metres = 1000 }, { number = "/n", decimals = 0 }, { time = "/t", to = "1h 30m" },
  { property = "stile-received-at", to = "1day" },
]
topic-levels = [1]
properties = ["content-type", "stile-id", "site"]
[[uplink.share]]
topics = ["a/b/c/#"]
[uplink.spool]
batch = 1
interval = "1s"
durability = "on-outage"
max-bytes = 1048576
max-age = "7d"
when-full = "block"
alarms = ["alarm/#"]
[uplink.limits]
payload = 1
topic-bytes = 1
topic-levels = 1
retain = false
[[probe]]
name = "core"
kind = "stamp"
target = "[2001:db8::1]:4000"
interface = "wwan0"
address = "::1"
interval = "1s"
packets = 10
spacing = "50ms"
timeout = "500ms"
size = 1452
budget-day = 1000
budget-month = 1000000000000000
[[probe]]
name = "names"
kind = "dns"
target = "::1"
query = "example.org."
record = "aaaa"
[[probe]]
name = "cloud"
kind = "mqtt"
uplink = "cloud"
path = "wwan0"
interval = "5s"
[[probe]]
name = "up"
kind = "tcp"
target = "iperf.example.org"
duration = "15s"
data-cap = 1000
[[probe]]
name = "down"
kind = "udp"
target = "192.0.2.1:5202"
direction = "down"
rate = 10000000000
interval = "1h"
budget-month = 1000000000
[reflector]
listen = "[::]:862"
allow = ["2001:db8::/32", "192.0.2.7"]
mode = "stateless"
rate-limit = 1
"#;

#[test]
fn an_empty_file_gives_the_defaults() {
    let mut settings = loaded("").settings;
    assert!(!settings.gateway.id.is_empty());
    settings.gateway.id = "stile".into();
    assert_eq!(settings, Settings::default());
}

#[test]
fn the_example_passes_the_check_and_shows_the_defaults() {
    let example = loaded(example());
    assert_eq!((example.warnings, example.settings), (vec![], loaded("").settings));
}

#[test]
fn the_examples_in_the_example_pass_the_check_too() {
    let loaded = loaded(&uncommented());
    assert_eq!(loaded.settings.radio.len(), 8);
    assert_eq!((loaded.settings.broker.user.len(), loaded.settings.broker.group.len()), (2, 1));
    let data = [("streets".to_owned(), PathBuf::from("streets.json"))].into();
    let settings = serde_json::json!({ "stale-after": "12h" });
    let publish = vec![crate::message::TopicFilter::new("parking/#").unwrap()];
    let (tick, grants) = (Some(Duration::from_secs(10)), vec![Grant::Kv, Grant::Data]);
    let shown = Plugin { publish, tick, grants, settings, data, ..Plugin::new("parking", "parking.wasm", "lora/+/up") };
    assert_eq!(loaded.settings.plugin.into_iter().map(without_folders).collect::<Vec<_>>(), [shown]);
    let [uplink] = loaded.settings.uplink.as_slice() else { panic!("one uplink") };
    assert_eq!((uplink.topics.len(), uplink.max_rate, uplink.spool.alarms.len()), (2, Some(500), 1));
    let warning = loaded.warnings.first().map(|warning| warning.what.as_str());
    let absent = "`/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0` is not there now";
    assert_eq!((loaded.warnings.len(), warning), (1, Some(absent)));
}

#[test]
fn the_example_radios_show_the_defaults_of_a_radio() {
    let settings = loaded(&uncommented()).settings;
    let short = "[[radio]]\nname='boiler'\nkind='serial'\nresponse-timeout='500ms'\n\
        device='/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0'\n\
        poll=[{name='status',period='10s',request='STATUS?'}]\n";
    assert_eq!(loaded(short).settings.radio.first(), settings.radio.first());
    let meter = SerialRadio::simulated("meter", SimulatedDevice::Sdm120, 1);
    let shown = settings.radio.into_iter().nth(1).map(serial);
    assert_eq!(Some(meter), shown.map(|radio| SerialRadio { poll: vec![], ..radio }));
}

fn serial(radio: Radio) -> SerialRadio {
    match radio {
        Radio::Serial(radio) => radio,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_example_lora_radio_shows_the_defaults() {
    let Some(Radio::Lora(shown)) = loaded(&uncommented()).settings.radio.into_iter().nth(2) else {
        panic!("a LoRa radio")
    };
    let Some(Radio::Lora(short)) =
        loaded("[[radio]]\nname='roof'\nkind='semtech-udp'\nregion='eu868'").settings.radio.into_iter().next()
    else {
        panic!("a LoRa radio")
    };
    assert_eq!(short, LoraRadio::usual("roof"));
    let LoraKind::SemtechUdp(shown_udp) = shown.kind else { panic!("a packet forwarder") };
    let kind = LoraKind::SemtechUdp(SemtechUdp { gateways: vec![], ..shown_udp });
    assert_eq!(short, LoraRadio { kind, deduplicate: None, filter: LoraFilter::default(), ..shown });
}

#[test]
fn the_example_modem_shows_the_defaults() {
    let modem = |text: &str| {
        let radios = loaded(text).settings.radio.into_iter();
        let mut modems = radios.filter_map(|radio| if let Radio::Modem(modem) = radio { Some(modem) } else { None });
        modems.next().unwrap()
    };
    let short = "[[radio]]\nname='field'\nkind='lora-modem'\nmodel='rak3172'\nregion='eu868'\nfrequency=868100000\n\
        spreading-factor=7\nusb={vendor='10c4',product='ea60'}";
    assert_eq!(modem(short), modem(&uncommented()));
    let bauds = ["rak3172", "lora-e5", "rn2483"].map(|model| modem(&short.replace("rak3172", model)).serial.line.baud);
    assert_eq!(bauds, [115_200, 9600, 57_600]);
}

#[test]
fn the_example_cellular_modem_shows_the_defaults() {
    let modem = |text: &str| match loaded(text).settings.radio.into_iter().last() {
        Some(Radio::Cellular(modem)) => modem,
        other => panic!("{other:?}"),
    };
    let short = "[[radio]]\nname='wwan'\nkind='cellular'\nusb={vendor='2c7c',product='0800'}";
    assert_eq!(modem(short), modem(&uncommented()));
}

#[test]
fn the_example_probe_shows_the_defaults() {
    let probe = |text: &str| loaded(text).settings.probe.into_iter().next().unwrap();
    let short = probe("[[probe]]\nname='core'\nkind='stamp'\ntarget='192.0.2.1'\ninterface='wwan0'\ninterval='10s'");
    let shown = probe(&uncommented());
    assert_eq!(short, Probe { budget: Budget::default(), ..shown });
}

#[test]
fn a_train_of_packets_gets_the_time_that_a_short_interval_leaves() {
    let train = |rest: &str| {
        let text = format!("[[probe]]\nname='a'\nkind='stamp'\ntarget='a'\n{rest}");
        match loaded(&text).settings.probe.remove(0).kind {
            ProbeKind::Stamp(stamp) => stamp.train.timeout,
            other => panic!("{other:?}"),
        }
    };
    let millis = Duration::from_millis;
    assert_eq!(
        ["", "interval='1s'", "interval='1s'\npackets=1"].map(train),
        [millis(1000), millis(550), millis(950 + 50)]
    );
}

#[test]
fn a_modem_of_modem_managers_is_named_by_a_port_with_or_without_its_folder() {
    let modem = |named: &str| {
        let text = format!("[[radio]]\nname='a'\nkind='cellular'\nvia='modem-manager'\n{named}");
        match loaded(&text).settings.radio.into_iter().next() {
            Some(Radio::Cellular(Cellular { via: Via::ModemManager(managed), .. })) => managed.modem,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(modem("modem='/dev/cdc-wdm0'"), modem("modem='cdc-wdm0'"));
    assert_eq!((modem("modem='cdc-wdm0'"), modem("")), (Some("cdc-wdm0".to_owned()), None));
}

#[test]
fn the_example_station_radio_shows_the_defaults() {
    let station = |radio: Option<Radio>| match radio {
        Some(Radio::Lora(LoraRadio { kind: LoraKind::BasicsStation(station), .. })) => station,
        other => panic!("{other:?}"),
    };
    let shown = station(loaded(&uncommented()).settings.radio.into_iter().nth(3));
    let short = "[[radio]]\nname='mast'\nkind='basics-station'\nregion='eu868'";
    let short = station(loaded(short).settings.radio.into_iter().next());
    let gateway =
        StationGateway { eui: Eui(0x0016_c001_ff10_a235), token: Some(Secret::new("a long one of your own")) };
    assert_eq!((shown.gateways.as_slice(), shown.channels.len(), &shown.tls), (&[gateway][..], 8, &None));
    assert_eq!(short, BasicsStation { gateways: vec![], channels: vec![], ..shown });
}

#[test]
fn the_example_concentratord_shows_the_defaults() {
    let concentratord = |radio: Option<Radio>| match radio {
        Some(Radio::Lora(LoraRadio { kind: LoraKind::Concentratord(concentratord), .. })) => concentratord,
        other => panic!("{other:?}"),
    };
    let shown = concentratord(loaded(&uncommented()).settings.radio.into_iter().nth(5));
    let short = "[[radio]]\nname='hat'\nkind='concentratord'\nregion='eu868'";
    let short = concentratord(loaded(short).settings.radio.into_iter().next());
    assert_eq!(shown.eui, Some(Eui(0x0016_c001_ff10_a235)));
    assert_eq!(short, Concentratord { eui: None, ..shown });
}

#[test]
fn each_region_has_the_topics_that_chirpstack_gives_it() {
    for (region, prefix) in [
        ("eu868", "eu868"),
        ("us915", "us915_0"),
        ("au915", "au915_0"),
        ("as923", "as923"),
        ("as923-2", "as923_2"),
        ("in865", "in865"),
        ("kr920", "kr920"),
    ] {
        let text = format!("[[radio]]\nname='roof'\nkind='semtech-udp'\nregion='{region}'");
        let Some(Radio::Lora(radio)) = loaded(&text).settings.radio.into_iter().next() else { panic!("{region}") };
        assert_eq!(radio.topic_prefix, prefix);
    }
}

/// As it was written: paths relative.
fn without_folders(plugin: Plugin) -> Plugin {
    let name = |path: PathBuf| PathBuf::from(path.file_name().unwrap());
    let data = plugin.data.into_iter().map(|(key, path)| (key, name(path))).collect();
    Plugin { file: name(plugin.file), data, ..plugin }
}

#[test]
fn a_plugin_needs_a_name_and_a_file_and_the_rest_has_defaults() {
    let loaded = loaded("[[plugin]]\nname = 'a'\nfile = '/b.wasm'\ntopics = ['c/#']");
    assert_eq!(loaded.settings.plugin, [Plugin::new("a", "/b.wasm", "c/#")]);
}

#[test]
fn an_uplink_needs_a_name_a_url_and_topics_and_the_rest_has_defaults() {
    let loaded =
        loaded("gateway.id = 'roof'\n[[uplink]]\nname = 'a'\nurl = 'mqtt://host'\ntopics = [{ filter = 'c/#' }]");
    let url = Url { tls: false, host: "host".into(), port: 1883, websocket: None };
    let filter = crate::message::TopicFilter::new("c/#").unwrap();
    let (qos, direction) = (crate::message::QoS::AtLeastOnce, Direction::Out);
    let rule = Rule { filter, direction, qos, local_prefix: String::new(), remote_prefix: String::new() };
    let expected = Uplink { client_id: "roof-a".into(), ..Uplink::new("a", url, vec![rule]) };
    assert_eq!(loaded.settings.uplink, [expected]);
}

#[test]
fn the_uplinks_of_the_example_show_the_defaults_of_an_uplink() {
    let uplink = loaded(&uncommented()).settings.uplink.remove(0);
    let usual = Uplink::new("cloud", uplink.url.clone(), uplink.topics.clone());
    let spool = Spool { max_age: uplink.spool.max_age, alarms: uplink.spool.alarms.clone(), ..usual.spool };
    let (client_id, user, password) = (uplink.client_id.clone(), uplink.user.clone(), uplink.password.clone());
    let share = uplink.share.clone();
    assert_eq!(uplink, Uplink { client_id, user, password, share, spool, max_rate: uplink.max_rate, ..usual });
}

/// An IoT hub with all that can be said of one.
const HUB: &str = r#"
[[uplink]]
name = "cloud"
profile = "azure-iot-hub"
url = "mqtts://10.0.0.7:8884"
client-id = "gw-1"
pin = "00:11:22:33:44:55:66:77:88:99:AA:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff"
topics = [{ filter = "a/#", remote-prefix = "site/" }]
[uplink.hub]
host-name = "roof.azure-devices.net"
shared-access-key-file = "hub.key"
token-life = "10m"
receive = ["twin", "messages"]
method-timeout = "5s"
"#;

#[test]
fn an_iot_hub_is_a_device_and_a_key_and_the_rest_has_defaults() {
    let folder = Folder::new(HUB).with("hub.key", "c2VjcmV0\n");
    let settings = folder.load().unwrap().settings;
    assert_eq!(loaded(&effective(&settings)).settings, settings, "{}", effective(&settings));
    let hub = settings.uplink[0].hub.as_ref().unwrap();
    assert_eq!((hub.key().as_deref(), hub.receive.len()), (Some(&b"secret"[..]), 2));

    let text = "[[uplink]]\nname = 'a'\nprofile = 'azure-iot-hub'\npin = '0011223344556677889900112233445566778899001122334455667788990011'\n\
        topics = [{ filter = 'c/#' }]\n[uplink.hub]\nshared-access-key = 'HostName=roof.azure-devices.net;DeviceId=gw-1;\
        SharedAccessKey=c2VjcmV0'";
    let uplink = loaded(text).settings.uplink.remove(0);
    let what = (uplink.url.to_string(), uplink.client_id.as_str(), uplink.protocol, uplink.announce);
    assert_eq!(what, ("mqtts://roof.azure-devices.net:8883".to_owned(), "gw-1", Protocol::V311, false));
    let mut usual = Hub::new("roof.azure-devices.net");
    let hub = uplink.hub.unwrap();
    assert!(!format!("{hub:?}").contains("c2VjcmV0"), "{hub:?}");
    usual.shared_access_key = hub.shared_access_key.clone();
    assert_eq!(hub, usual);
}

#[test]
fn a_plugins_own_settings_are_whatever_toml_can_say_and_variables_reach_them() {
    let text = "[[plugin]]\nname = 'a'\nfile = 'b.wasm'\ntopics = ['#']\nsettings.list = [1, 2.5, 'x', [], {}]\n\
        settings.since = 1979-05-27\nsettings.deep.er = true\nsettings.least = -9223372036854775808";
    let env = [
        ("STILE_PLUGIN__A__SETTINGS__STALE_AFTER", "12h"),
        ("STILE_PLUGIN__A__SETTINGS__LIMIT", "7"),
        ("STILE_PLUGIN__A__SETTINGS__DEEP__NAMES", "['x', \"y\"]"),
        ("STILE_PLUGIN__A__LIMITS__CPU", "2s"),
        ("STILE_PLUGIN__A__TOPICS", "b/+"),
    ];
    let plugin =
        Folder::new(text).load_with(&env).unwrap_or_else(|problems| panic!("{problems}")).settings.plugin.remove(0);
    let expected = serde_json::json!({
        "deep": { "er": true, "names": ["x", "y"] }, "least": i64::MIN, "limit": 7, "list": [1, 2.5, "x", [], {}],
        "since": "1979-05-27", "stale-after": "12h",
    });
    assert_eq!(plugin.settings, expected);
    assert_eq!((plugin.limits.cpu, plugin.topics[0].as_str()), (Duration::from_secs(2), "b/+"));
}

#[test]
fn every_key_of_the_settings_is_in_the_example() {
    fn keys(value: &toml::Value, found: &mut Vec<String>) {
        match value {
            toml::Value::Table(table) => table.iter().for_each(|(key, value)| {
                found.push(key.clone());
                keys(value, found);
            }),
            toml::Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
            _ => {}
        }
    }
    let folder = Folder::new(EVERYTHING).with("password", "x");
    let text = effective(&folder.load().unwrap().settings);
    let mut found = ["password", "password-hash", "request", "ending", "shared-access-key"].map(str::to_owned).to_vec();
    keys(&toml::Value::Table(toml::from_str(&text).unwrap()), &mut found);
    let hub = Folder::new(HUB).with("hub.key", "c2VjcmV0").load().unwrap().settings;
    keys(&toml::Value::Table(toml::from_str(&effective(&hub)).unwrap()), &mut found);
    assert!(found.len() > 80, "{found:?}");
    for key in found {
        let shown = [format!("{key} = "), format!("{key}]")].iter().any(|form| example().contains(form.as_str()));
        assert!(shown, "`{key}` is not in the example");
    }
}

#[test]
fn effective_settings_load_back_to_the_same() {
    let folder = Folder::new(EVERYTHING).with("password", "secret\r\n");
    let settings = folder.load().unwrap().settings;
    let text = effective(&settings);
    let again = loaded(&text);
    assert_eq!(again.settings, settings, "{text}");
    let file = folder.path("password");
    assert_eq!(settings.broker.user[0].credential, Credential::File(file, Secret::new("secret")));
    assert_eq!(settings.gateway.data_dir, folder.path("data"));
    assert_eq!(settings.plugin[0].file, folder.path("parking.wasm"));
    assert_eq!(settings.plugin[0].data["streets"], folder.path("streets.json"));
    let [uplink] = settings.uplink.as_slice() else { panic!("one uplink") };
    assert_eq!(uplink.password.as_ref().map(|password| password.secret().expose()), Some("secret"));
    assert_eq!(uplink.url.to_string(), "mqtts://[::1]:8884");
    let names: Vec<_> = uplink.paths.iter().map(NetworkPath::label).collect();
    assert_eq!(names, ["wwan0", "roof", "default"]);
    assert!(uplink.tls.is_some());
    assert_eq!(settings.plugin[0].grants, [Grant::Kv, Grant::Emit, Grant::Random, Grant::Data]);
}

#[test]
fn effective_settings_mask_passwords_and_the_mask_is_no_password() {
    let settings = loaded("[[broker.user]]\nname = 'a'\npassword = 'hunter2'").settings;
    let text = effective(&settings);
    assert!(!text.contains("hunter2") && text.contains("password = \"********\""), "{text}");
    assert!(!format!("{settings:?}").contains("hunter2"));
    let problems = Folder::new(text).load().unwrap_err();
    assert_eq!(
        problems.0.first().unwrap().what,
        "`password` in [[broker.user]] is the mask that stands for a password"
    );
}

#[test]
fn files_merge_in_the_order_of_their_names_and_lists_of_names_add_up() {
    let radio = |name: &str| {
        format!(
            "[[radio]]\nname = '{name}'\nkind = 'simulated'\ndevice = 'nmea'\n[[plugin]]\nname = '{name}'\nfile = 'x'\ntopics = ['#']\n"
        )
    };
    let user = |name: &str| format!("[[broker.user]]\nname = '{name}'\npassword = 'x'\n");
    let folder = Folder::new(format!("log.level = 'warn'\nbroker.max-connections = 1\n{}{}", user("a"), radio("a")))
        .with("conf.d/20.toml", format!("log.level = 'debug'\n{}{}", radio("c"), user("c")))
        .with("conf.d/10.toml", format!("log = {{ level = 'error', format = 'json' }}\n{}{}", radio("b"), user("b")))
        .with("conf.d/.hidden.toml", "nonsense")
        .with("conf.d/notes.txt", "nonsense");
    let Loaded { settings, files, .. } = folder.load().unwrap();
    assert_eq!(settings.log, Log { level: LogLevel::Debug, format: LogFormat::Json });
    assert_eq!(settings.broker.max_connections, 1);
    assert_eq!(settings.radio.iter().map(Radio::name).collect::<String>(), "abc");
    assert_eq!(settings.plugin.iter().map(|plugin| plugin.name.as_str()).collect::<String>(), "abc");
    assert_eq!(settings.broker.user.iter().map(|user| user.name.as_str()).collect::<String>(), "abc");
    assert_eq!(files, ["stile.toml", "conf.d/10.toml", "conf.d/20.toml"].map(|name| folder.path(name)));
}

#[test]
fn variables_win_over_files_and_take_the_type_that_fits() {
    let folder = Folder::new(EVERYTHING).with("password", "x").with("other", "y");
    let other = folder.path("other");
    let env = [
        ("STILE_CONFIG", "/elsewhere"),
        ("PATH", "/bin"),
        ("STILE_GATEWAY__ID", "123"),
        ("STILE_BROKER__MAX_CONNECTIONS", "50"),
        ("STILE_BROKER__LISTEN", "127.0.0.1:2000"),
        ("STILE_BROKER__ALLOW_ANONYMOUS", "true"),
        ("STILE_BROKER__USER__READER__PASSWORD_FILE", other.to_str().unwrap()),
        ("STILE_BROKER__GROUP__READERS__PUBLISH", "[\"c\", \"d\"]"),
        ("STILE_ADMIN__LISTEN", "\"127.0.0.1:9000\""),
        ("STILE_RADIO__A__BAUD", "19200"),
        ("STILE_RADIO__B__USB__SERIAL", "77"),
        ("STILE_RADIO__C__FRAMING", "nmea"),
        ("STILE_RADIO__D__FRAMING", "{ kind = \"line\", ending = \"cr\" }"),
        ("STILE_RADIO__E__POLL__POWER__PERIOD", "5s"),
    ];
    let settings = folder.load_with(&env).unwrap_or_else(|problems| panic!("{problems}")).settings;
    assert_eq!(settings.gateway.id, "123");
    assert_eq!(settings.broker.max_connections, 50);
    assert_eq!(settings.broker.listen, ["127.0.0.1:2000".parse().unwrap()]);
    assert!(settings.broker.allow_anonymous);
    assert_eq!(settings.broker.user[0].credential, Credential::File(other, Secret::new("y")));
    assert_eq!(settings.broker.group[0].publish.iter().map(ToString::to_string).collect::<String>(), "cd");
    assert_eq!(settings.admin.listen, Some("127.0.0.1:9000".parse().unwrap()));
    let radios: Vec<_> = settings.radio.into_iter().take(5).map(serial).collect();
    let [a, b, c, d, e] = radios.as_slice() else { panic!("five radios") };
    assert_eq!(a.kind.line().baud, 19200);
    let usb = UsbMatch { vendor: 0x0403, product: 0x6001, serial: Some("77".into()) };
    assert!(matches!(&b.kind, RadioKind::Serial(serial) if serial.port == Port::Usb(usb)));
    assert_eq!(c.framing, Framing::Nmea);
    assert_eq!(d.framing, Framing::Line { ending: LineEnding::Cr });
    assert_eq!(e.poll[1].period, Duration::from_secs(5));
}

#[test]
fn a_simulated_device_brings_its_line_framing_and_answer_time() {
    let radio = |device: &str| {
        let text = format!("[[radio]]\nname = 'x'\nkind = 'simulated'\ndevice = '{device}'");
        serial(loaded(&text).settings.radio.remove(0))
    };
    assert_eq!((radio("dsmr-p1").kind.line().baud, radio("dsmr-p1").framing), (115_200, Framing::DsmrP1));
    assert_eq!((radio("nmea").kind.line().baud, radio("nmea").framing), (9600, Framing::Nmea));
    assert_eq!(radio("line").kind.line().baud, 115_200);
    let meter = radio("sdm120");
    assert_eq!((meter.kind.line().baud, &meter.framing), (2400, &Framing::ModbusRtu));
    assert_eq!(meter.response_timeout, Some(Duration::from_millis(500)));
}
