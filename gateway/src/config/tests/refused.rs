//! Settings that are refused: where, why and with what remedy.

mod probes;
mod radios;
mod uplinks;

use super::Folder;

/// One of every kind of problem that TOML without syntax errors can have.
const WRONG: &str = r#"[broker]
listen = ["0.0.0.0:1883", "localhost:1", 7]
max-conections = 5
max-packet-size = "big"
session-expiry-max = "24"
keep-alive-max = "1s"
receive-maximum = 70000
retained-bytes = 99999999999999999999
[[broker.user]]
name = "anna"
password-file = "nowhere"
[[broker.user]]
name = "anna"
password = ""
password-file = "x"
[[broker.user]]
password = 1
[log]
level = "inof"
[admin]
listen = "127.0.0.1:1883"
[gateway]
id = "a roof"
[brokr]
[[radio]]
name = "meter"
kind = "serial"
device = "/dev"
bauds = 9600
data-bits = 9
framing = { kind = "line", endng = "lf" }
[[radio]]
name = "ä"
kind = "serial"
device = "ttyUSB0"
usb = { vendor = "1", product = "6001" }
framing = "fixed"
[[radio]]
kind = "simulated"
device = "nmae"
parity = "odd parity"
framing = { kind = "length-prefix", width = 3 }
[[radio]]
name = "poller"
kind = "simulated"
device = "sdm120"
seed = -1
poll = [{ name = "p", period = "1ms", slave = 1, function = 3, address = 65535, count = 3, type = "f32" },
  { name = "p", period = "1s", request = "hi" }, { name = "bits", slave = 0, function = 1, type = "u16" }, 5]
[[radio]]
name = "asker"
kind = "serial"
device = "/dev/null"
framing = { kind = "fixed", length = 5000 }
[[radio.poll]]
name = "a"
period = "1s"
request = "a"
[[radio.poll]]
name = "b"
period = "1s"
request = "a"
request-hex = "0"
[[radio.poll]]
name = "c"
period = "1s"
slave = 1
[[radio.poll]]
name = "d"
period = "1s"
[[radio]]
name = "twin"
kind = "serial"
device = "/dev/../dev/null"
framing = { kind = "start-stop", start = "" }
[[radio]]
name = "nothing"
kind = "serail"
device = 5
[[plugin]]
name = "a"
file = ""
topics = []
on-failure = "keep"
grants = ["log", "network", 1, "kv"]
publish = ["a/#/b"]
tick = "1ms"
[plugin.settings]
huge = 99999999999999999999
half = [nan]
[plugin.limits]
memory = 1
cpu = 50
fuel = 1
[plugin.data]
"a b" = "x"
c = 1
[[plugin]]
name = "a"
enabled = "no"
settings = "none"
topics = ["$share/g/a", 5]
topic = "b"
[[radio]]
name = "roof"
kind = "semtech-udp"
listen = "0.0.0.0:1700"
region = "eu867"
topic-prefix = "a/+"
baud = 9600
format = "xml"
rate-limit = 0
deduplicate = "1h"
filter = { crc = "good", net-ids = ["13"], dev-addrs = [1], join-euis = ["70b3/16"], per-device = 0 }
[[radio]]
name = "mast"
kind = "semtech-udp"
listen = "127.0.0.1:1700"
gateways = [{ eui = "1" }, { address = "10.0.0.0/33" }, { eui = "0016c001ff10a235" }, { eui = "0016C001FF10A235" }]
[[uplink]]
url = "http://host"
password = "x"
topics = []
[[uplink]]
name = "a"
url = "mqtt://anna:secret@host"
user = "x"
password = "x"
password-file = "x"
pin = "12"
key = "nowhere"
topics = [{ filter = "a/#/b" }, { filter = '#', local-prefix = "b", remote-prefix = "+/" }, 5, { filter = "$SYS/#" }]
[uplink.spool]
batch = 0
when-full = "wait"
[[uplink]]
name = "a"
url = "mqtt://host:0"
ca = "x"
protocol = "3.1"
[[uplink]]
name = "b"
profile = "azure-iot-hub"
url = "mqtts://host"
pin = "0011223344556677889900112233445566778899001122334455667788990011"
protocol = "5"
user = "x"
client-id = "a/b"
topics = [{ filter = "a", direction = "in", qos = 2 }]
[uplink.hub]
shared-access-key = "no key"
token-life = "1s"
receive = ["post"]
[[uplink]]
name = "c"
profile = "azure-iot-hub"
url = "mqtts://host"
pin = "0011223344556677889900112233445566778899001122334455667788990011"
client-id = "gw-2"
topics = [{ filter = "a" }]
[uplink.hub]
host-name = "a/b"
[[uplink]]
name = "d"
url = "mqtt://host"
topics = [{ filter = "a" }]
[uplink.hub]
host-name = "host"
[[uplink]]
name = "e"
url = "mqtt://host"
topics = [{ filter = "a" }]
proxy = { url = "http://proxy", user = "a:b" }
paths = [{ interface = "a b" }, {}, {}, { proxy = { url = "socks5://h:1", user = "a" } }, { name = "d", proxy = { url = "http://a:b@h" } }]
path-timeout = "1ms"
"#;

/// Where each problem of [`wrong`] is, and a part of what is said of it, in order.
const EXPECTED: &str = "\
conf.d/e.toml: | cannot be read: it is larger than 1048576 bytes
conf.d/f.toml: | cannot be read: it is not a regular file
stile.toml:2:27: | has `localhost:1`, which is not an IP address with a port
stile.toml:2:42: | has a whole number, which is not an IP address with a port
stile.toml:3:1: | unknown key `max-conections` in [broker]
stile.toml:4:19: | `max-packet-size` in [broker] is a text, not a whole number
stile.toml:5:22: | `session-expiry-max` in [broker] is `24`, which is not a time with its unit
stile.toml:6:18: | `keep-alive-max` in [broker] is 1s, which is out of range
stile.toml:7:19: | `receive-maximum` in [broker] is 70000, which is out of range
stile.toml:8:18: | is 99999999999999999999, which is out of range
stile.toml:11:17: | is `nowhere`, which cannot be read: it does not exist
stile.toml:13:8: | user `anna` is there already, at stile.toml:10:8
stile.toml:15:17: | `password-file` in [[broker.user]] stands beside `password`
stile.toml:16:1: | `name` is missing in [[broker.user]]
stile.toml:17:12: | `password` in [[broker.user]] is a whole number, not a text
stile.toml:19:9: | `level` in [log] is `inof`, which is not known
stile.toml:21:10: | 127.0.0.1:1883 in [admin] clashes with 0.0.0.0:1883 in [broker], at stile.toml:2:11
stile.toml:23:6: | `id` in [gateway] is `a roof`, which is not 1 to 64 of
stile.toml:24:2: | unknown key `brokr` in the settings
stile.toml:28:10: | `device` in [[radio]] is `/dev`, which is a folder
stile.toml:29:1: | unknown key `bauds` in [[radio]]
stile.toml:30:13: | `data-bits` in [[radio]] is 9, which is out of range
stile.toml:31:28: | unknown key `endng` in framing of [[radio]]
stile.toml:33:8: | `name` in [[radio]] is `ä`, which is not 1 to 64 of
stile.toml:35:10: | `device` in [[radio]] is `ttyUSB0`, which is not an absolute path
stile.toml:36:7: | `usb` in [[radio]] stands beside `device`
stile.toml:36:18: | `vendor` in usb of [[radio]] is `1`, which is not four hex digits
stile.toml:37:11: | `length` is missing in framing of [[radio]]
stile.toml:38:1: | `name` is missing in [[radio]]
stile.toml:40:10: | `device` in [[radio]] is `nmae`, which is not known
stile.toml:41:10: | `parity` in [[radio]] is `odd parity`, which is not known
stile.toml:42:45: | `width` in framing of [[radio]] is 3, which is out of range
stile.toml:47:8: | `seed` in [[radio]] is -1, which is out of range
stile.toml:48:32: | `period` in [[radio.poll]] is 1ms, which is out of range
stile.toml:48:74: | `address` in [[radio.poll]] and `count` go beyond the last address
stile.toml:48:99: | `type` in [[radio.poll]] reads pairs of registers, and `count` is 3
stile.toml:49:12: | poll `p` is there already, at stile.toml:48:18
stile.toml:49:42: | `request` in [[radio.poll]] does not go with Modbus
stile.toml:49:50: | `period` is missing in [[radio.poll]]
stile.toml:49:50: | `address` is missing in [[radio.poll]]
stile.toml:49:75: | `slave` in [[radio.poll]] is 0, which is out of range
stile.toml:49:99: | `type` in [[radio.poll]] reads registers, and functions 1 and 2 give bits
stile.toml:49:108: | `poll` in [[radio]] has a whole number where a table should be
stile.toml:54:11: | `framing` in [[radio]] has frames of 5000 bytes, and `max-frame` is 4096
stile.toml:58:11: | has a length of 1, and the framing's frames have 5000 bytes
stile.toml:63:15: | `request-hex` in [[radio.poll]] is `0`, which is not bytes in hex digits
stile.toml:63:15: | `request-hex` in [[radio.poll]] stands beside `request`
stile.toml:67:9: | `slave` in [[radio.poll]] needs Modbus framing
stile.toml:68:1: | `request` is missing in [[radio.poll]]
stile.toml:74:10: | device `/dev/null` is there already, at stile.toml:53:10
stile.toml:75:11: | `stop` is missing in framing of [[radio]]
stile.toml:75:42: | `start` in framing of [[radio]] is ``, which is not 1 to 8 bytes
stile.toml:78:8: | `kind` in [[radio]] is `serail`, which is not known
stile.toml:82:8: | `file` in [[plugin]] is ``, which is not a path
stile.toml:83:10: | `topics` in [[plugin]] is empty
stile.toml:84:14: | `on-failure` in [[plugin]] is `keep`, which is not known
stile.toml:85:10: | `grants` in [[plugin]] has `log`, which every plugin may use
stile.toml:85:10: | `grants` in [[plugin]] has `network`, which is not known
stile.toml:85:29: | `grants` in [[plugin]] has a whole number, which is not the name of an interface
stile.toml:86:11: | `publish` in [[plugin]] has `a/#/b`, which has a wildcard
stile.toml:87:8: | `tick` in [[plugin]] is 1ms, which is out of range
stile.toml:89:8: | this whole number is out of range
stile.toml:90:9: | plugins get their settings as JSON, which has no NaN
stile.toml:92:10: | `memory` in [plugin.limits] is 1, which is out of range
stile.toml:93:7: | `cpu` in [plugin.limits] is a whole number, not a text
stile.toml:94:8: | `fuel` in [plugin.limits] is 1, which is out of range
stile.toml:95:1: | `data` in [[plugin]] names files that the plugin may not read
stile.toml:96:1: | `a b` in [plugin.data] is no name that a plugin can ask for
stile.toml:97:5: | `c` in [plugin.data] is no path
stile.toml:98:1: | `file` is missing in [[plugin]]
stile.toml:99:8: | plugin `a` is there already, at stile.toml:81:8
stile.toml:100:11: | `enabled` in [[plugin]] is a text, not true or false
stile.toml:101:12: | `settings` in [[plugin]] is a text, not a table
stile.toml:102:10: | `topics` in [[plugin]] has `$share/g/a`, which is a shared subscription
stile.toml:102:25: | `topics` in [[plugin]] has a whole number, which is not a topic filter
stile.toml:103:1: | unknown key `topic` in [[plugin]]
stile.toml:107:10: | can be reached from outside, and no gateway is named that may speak
stile.toml:108:10: | `region` in [[radio]] is `eu867`, which is not known
stile.toml:109:16: | `topic-prefix` in [[radio]] is `a/+`, which is not the beginning of a topic
stile.toml:110:1: | unknown key `baud` in [[radio]]
stile.toml:111:10: | `format` in [[radio]] is `xml`, which is not known
stile.toml:112:14: | `rate-limit` in [[radio]] is 0, which is out of range
stile.toml:113:15: | `deduplicate` in [[radio]] is 1h, which is out of range
stile.toml:114:18: | `crc` in filter of [[radio]] is `good`, which is not known
stile.toml:114:37: | `net-ids` in filter of [[radio]] has `13`, which is not six hex digits
stile.toml:114:57: | `dev-addrs` in filter of [[radio]] has a whole number, which is not eight hex digits
stile.toml:114:74: | `join-euis` in filter of [[radio]] has `70b3/16`, which is not sixteen hex digits
stile.toml:114:99: | `per-device` in filter of [[radio]] is 0, which is out of range
stile.toml:115:1: | `region` is missing in [[radio]]
stile.toml:118:10: | listener on 127.0.0.1:1700 in [[radio]] clashes with 0.0.0.0:1700 in [[radio]], at stile.toml:107:10
stile.toml:119:21: | `eui` in gateways of [[radio]] is `1`, which is not sixteen hex digits
stile.toml:119:28: | `eui` is missing in gateways of [[radio]]
stile.toml:119:40: | `address` in gateways of [[radio]] is `10.0.0.0/33`, which is not an IP address or a network
stile.toml:119:95: | gateway `0016c001ff10a235` is there already, at stile.toml:119:65
stile.toml:120:1: | `name` is missing in [[uplink]]
stile.toml:121:7: | `url` in [[uplink]] is `http://host`, which is no place of a broker
stile.toml:122:12: | `password` in [[uplink]] is there without `user`
stile.toml:123:10: | `topics` in [[uplink]] has no rule
stile.toml:124:1: | `certificate` is missing in [[uplink]]
stile.toml:126:7: | `url` in [[uplink]] has a user in it
stile.toml:129:17: | `password-file` in [[uplink]] stands beside `password`
stile.toml:130:7: | `pin` in [[uplink]] is `12`, which is not a SHA-256
stile.toml:131:7: | which cannot be read: it does not exist
stile.toml:132:22: | `filter` in [[uplink.topics]] is `a/#/b`, which has a wildcard
stile.toml:132:85: | `remote-prefix` in [[uplink.topics]] is `+/`, which is not what a topic begins with
stile.toml:132:93: | `topics` in [[uplink]] has a whole number where a table should be
stile.toml:132:107: | `filter` in [[uplink.topics]] begins with `$`
stile.toml:134:9: | `batch` in [uplink.spool] is 0, which is out of range
stile.toml:135:13: | `when-full` in [uplink.spool] is `wait`, which is not known
stile.toml:136:1: | `topics` is missing in [[uplink]]
stile.toml:137:8: | uplink `a` is there already, at stile.toml:125:8
stile.toml:138:7: | `url` in [[uplink]] is `mqtt://host:0`, which is no place of a broker
stile.toml:139:6: | which cannot be read: it does not exist
stile.toml:140:12: | `protocol` in [[uplink]] is `3.1`, which is not known
stile.toml:146:12: | `protocol` in [[uplink]] is not the one that brokers of this `profile` speak
stile.toml:147:8: | `user` in [[uplink]] does not go with a hub
stile.toml:148:13: | `client-id` in [[uplink]] is `a/b`, which is no name of a device
stile.toml:149:39: | `direction` in [[uplink.topics]] is not `out`
stile.toml:149:51: | `qos` in [[uplink.topics]] is 2, and brokers of this `profile` take 1 at most
stile.toml:151:21: | `shared-access-key` in [uplink.hub] holds what is no key in base64
stile.toml:152:14: | `token-life` in [uplink.hub] is 1s, which is out of range
stile.toml:153:11: | `receive` in [uplink.hub] has `post`, which no hub sends
stile.toml:154:1: | `certificate` is missing in [[uplink]]
stile.toml:162:13: | `host-name` in [uplink.hub] is `a/b`, which is not a name
stile.toml:167:1: | `hub` in [[uplink]] is there, and the remote is no hub
stile.toml:173:17: | `url` in `proxy` of [[uplink]] is `http://proxy`, which is no place of a proxy
stile.toml:174:24: | `interface` in [[uplink.paths]] is `a b`, which is not the name of a network interface
stile.toml:174:37: | path `default` is there already, at stile.toml:174:33
stile.toml:174:82: | `user` in `proxy` of [[uplink]] and its password must have 1 to 255 bytes each for SOCKS5
stile.toml:174:121: | `url` in `proxy` of [[uplink]] has a user in it
stile.toml:175:16: | `path-timeout` in [[uplink]] is 1ms, which is out of range
conf.d/a.toml:1:1: | `device` is missing in [[radio]]
conf.d/a.toml:2:8: | radio `meter` is there already, at stile.toml:26:8
conf.d/b.toml:2:12: | a value is missing or has no quotes
conf.d/b.toml:4:10: | `format` in [log] is `x`, which is not known
conf.d/b.toml:5:1: | this key or table is there already
conf.d/c.toml:1:27: | `max-topic-levels` in [broker] is 0, which is out of range
conf.d/c.toml:2:5: | syntax error: key with no value
conf.d/c.toml:3:24: | `session-queue` in [broker] is 0, which is out of range
conf.d/d.toml:1:6: | this byte is not UTF-8
conf.d/d.toml:3:3: | unknown key `förmat` in [log]
environment variable STILE_: | this name matches no key
environment variable STILE_BROKER__MAX_CONNECTION: | unknown key `max-connection` in [broker]
environment variable STILE_BROKER__MAX_CONNECTIONS: | is a text, not a whole number
environment variable STILE_RADIO__METER: | this names a whole radio, not one of its keys
";

/// A set of files with every kind of problem.
fn wrong() -> Folder {
    Folder::new(WRONG)
        .with("conf.d/a.toml", "[[radio]]\nname = \"meter\"\nkind = \"serial\"\n")
        .with("conf.d/b.toml", "[gateway]\ndata-dir = yes\n[log]\nformat = \"x\"\nformat = \"y\"\n")
        .with("conf.d/c.toml", "broker.max-topic-levels = 0\nbad bad\nbroker.session-queue = 0\n")
        .with("conf.d/d.toml", b"# caf\xe9\n[log]\n  \"f\xc3\xb6rmat\" = 1\n")
        .with("conf.d/e.toml", vec![b' '; (1 << 20) + 1])
        .with("conf.d/f.toml/x", "")
}

const WRONG_VARIABLES: [(&str, &str); 4] = [
    ("STILE_BROKER__MAX_CONNECTION", "5"),
    ("STILE_BROKER__MAX_CONNECTIONS", "many"),
    ("STILE_", "1"),
    ("STILE_RADIO__METER", "1"),
];

#[test]
fn all_problems_are_reported_in_one_run_each_with_its_place_and_remedy() {
    let mut problems = wrong().problems(&WRONG_VARIABLES).into_iter();
    for expected in EXPECTED.lines() {
        let problem = problems.next().unwrap_or_else(|| panic!("nothing is said of {expected}"));
        let (place, what) = expected.split_once(" | ").unwrap();
        let said = problem.strip_prefix(place).unwrap_or_else(|| panic!("{expected}\nis expected, got\n{problem}"));
        assert!(said.contains(what), "{expected}\nis expected, got\n{problem}");
        assert!(problem.split_once("\n    remedy: ").is_some_and(|(_, remedy)| !remedy.is_empty()), "{problem}");
    }
    assert_eq!(problems.next(), None);
}

#[track_caller]
fn says(text: &str, env: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(Folder::new(text).problems(env), expected, "{text}");
}

#[test]
fn remedies_say_what_to_write() {
    says(
        "[[radio]]\nname = 'a'\nkind = 'simulated'\ndevice = 'nmea'\n  bauds = 9600",
        &[],
        &["stile.toml:5:3: unknown key `bauds` in [[radio]]\n    remedy: rename it to `baud`"],
    );
    says(
        "log.level = 'inof'",
        &[],
        &["stile.toml:1:13: `level` in [log] is `inof`, which is not known\n    \
            remedy: write `info`; known are: `error`, `warn`, `info`, `debug`, `trace`"],
    );
    says(
        "[brokr]\n[broker]",
        &[],
        &["stile.toml:1:2: unknown key `brokr` in the settings\n    remedy: remove it; `broker` is there already"],
    );
    says(
        "broker.max-packet-size = 'big'",
        &[],
        &["stile.toml:1:26: `max-packet-size` in [broker] is a text, not a whole number\n    \
            remedy: write a whole number from 1024 to 268435455"],
    );
    says(
        "",
        &[("STILE_BROKER__MAX_CONNECTION", "1")],
        &["environment variable STILE_BROKER__MAX_CONNECTION: unknown key `max-connection` in [broker]\n    \
            remedy: rename it to `MAX_CONNECTIONS`"],
    );
}

#[test]
fn columns_count_characters() {
    says(
        "\"ää\" = 1\n[log]\n\"ü\" . x = 1",
        &[],
        &[
            "stile.toml:1:1: unknown key `ää` in the settings\n    \
             remedy: remove it; known are: `admin`, `broker`, `clock`, `gateway`, `log`, `measurements`, `plugin`, `plugins`, \
             `position`, `probe`, `radio`, `reflector`, `uplink`",
            "stile.toml:3:1: unknown key `ü` in [log]\n    remedy: remove it; known are: `format`, `level`",
        ],
    );
    let folder = Folder::new("\u{feff}gateway = { \"é\" = 1, id = 5 }");
    let place = |index: usize| folder.load().unwrap_err().0[index].place.to_string();
    assert!(place(0).ends_with("stile.toml:1:13") && place(1).ends_with("stile.toml:1:27"), "{}", place(1));
}

#[test]
fn a_listener_beyond_loopback_needs_a_user_or_permission() {
    let open = "[broker]\nlisten = ['127.0.0.1:1883', '0.0.0.0:1884']\n";
    says(
        open,
        &[],
        &["stile.toml:2:10: the listener on 0.0.0.0:1884 can be reached from outside, and there is no user who may \
            connect\n    remedy: add a [[broker.user]] or call `stile user add`, listen on \
            127.0.0.1 only, or write `allow-anonymous = true`"],
    );
    assert!(Folder::new(format!("{open}user = []")).load().is_err());
    assert!(Folder::new(format!("{open}allow-anonymous = true")).load().is_ok());
    let elsewhere = format!("gateway.data-dir = 'data'\n{open}");
    assert!(Folder::new(&elsewhere).load().is_err());
    assert!(Folder::new(&elsewhere).with("data/users.toml", "damaged").load().is_ok(), "`stile user` has made users");
    assert!(Folder::new(format!("{open}[[broker.user]]\nname = 'a'\npassword = 'b'")).load().is_ok());
}

#[test]
fn ports_clash_with_defaults_as_well() {
    says(
        "admin.listen = '0.0.0.0:1883'",
        &[],
        &[
            "stile.toml:1:16: listener on 0.0.0.0:1883 in [admin] clashes with the default 127.0.0.1:1883 of [broker]\n    \
            remedy: choose another port: 1884 is free in these settings",
        ],
    );
    says(
        "broker.listen = ['127.0.0.1:8080']",
        &[],
        &[
            "stile.toml:1:18: listener on 127.0.0.1:8080 in [broker] clashes with the default 127.0.0.1:8080 of [admin]\n    \
            remedy: choose another port: 8081 is free in these settings",
        ],
    );
}

#[test]
fn a_variable_for_an_unknown_name_lists_the_names() {
    says(
        "[[radio]]\nname = 'meter-1'\nkind = 'simulated'\ndevice = 'nmea'",
        &[("STILE_RADIO__METRE__BAUD", "1"), ("STILE_BROKER__USER__ANNA__PASSWORD", "x")],
        &[
            "environment variable STILE_BROKER__USER__ANNA__PASSWORD: no user is written `ANNA` in a variable\n    \
            remedy: add a user with that name to the file",
            "environment variable STILE_RADIO__METRE__BAUD: no radio is written `METRE` in a variable\n    \
            remedy: write one of: `METER_1`",
        ],
    );
}

#[test]
fn a_missing_main_file_comes_with_the_command_that_makes_one() {
    let folder = Folder::new("").with("conf.d/a.toml", "nonsense = 1");
    std::fs::remove_file(folder.path("stile.toml")).unwrap();
    let problems = folder.load().unwrap_err();
    let path = folder.path("stile.toml");
    let said =
        format!("{0}: cannot be read: it does not exist\n    remedy: stile config example > {0}", path.display());
    assert_eq!(problems.0[0].to_string(), said);
    assert_eq!(problems.0.len(), 2, "conf.d is checked nevertheless: {problems}");
}

#[test]
fn more_than_256_files_are_refused() {
    let folder = (0..256).fold(Folder::new(""), |folder, number| folder.with(&format!("conf.d/{number}.toml"), ""));
    let problems = folder.load().unwrap_err();
    assert_eq!(problems.0[0].what, "holds more than 255 files");
}

#[test]
fn a_bad_line_hides_no_other_and_an_open_bracket_only_what_follows() {
    let local = "[gateway]\nid =\n[log]\nlevel = 1\n[[radio]\n";
    let places = |text: &str| -> Vec<String> {
        let problems = Folder::new(text).problems(&[]);
        problems.iter().map(|problem| problem.split(": ").next().unwrap().replace("stile.toml:", "")).collect()
    };
    assert_eq!(places("[gateway]\nid =\n[log]\nlevel = 1\n"), ["2:5", "4:9"]);
    assert_eq!(places(local), ["2:5", "5:9"], "a lost header makes what follows doubtful");
    assert_eq!(places("[log]\nlevel = 1\n[broker]\nlisten = ['x'\n"), ["2:9", "4:14"]);
}
