//! What is refused in probes and the reflector.

use super::super::Folder;

#[test]
fn what_is_wrong_with_probes_is_told_at_once() {
    let text = r#"
[[probe]]
name = "a"
kind = "stamp"
interval = "1s"
packets = 100
[[probe]]
name = "a"
kind = "dns"
target = "host:0"
query = "a..b"
record = "mx"
interface = "a/b"
[[probe]]
name = "list"
kind = "mqtt"
uplink = "nowhere"
interval = "1s"
[[probe]]
name = "c"
kind = "tcp"
target = "host"
interval = "11s"
duration = "5s"
data-cap = 1
rate = 5
[[probe]]
kind = "ping"
target = "host"
[reflector]
listen = "127.0.0.1:862"
allow = ["10.0.0.0/33"]
mode = "lazy"
"#;
    let problems = Folder::new(text).load().unwrap_err().to_string();
    for told in [
        "`target` is missing in [[probe]]",
        "a run of [[probe]] takes 5s 950ms, and has 1s",
        "probe `a` is there already",
        "`target` in [[probe]] is `host:0`",
        "`query` in [[probe]] is `a..b`",
        "`record` in [[probe]] is `mx`",
        "`interface` in [[probe]] is `a/b`",
        "`name` in [[probe]] is `list`",
        "`uplink` in [[probe]] is `nowhere`, and no [[uplink]] has that name",
        "`data-cap` in [[probe]] is 1, which is out of range",
        "a run of [[probe]] takes 15s, and has 11s",
        "unknown key `rate` in [[probe]]",
        "`name` is missing in [[probe]]",
        "`kind` in [[probe]] is `ping`",
        "`allow` in [reflector] has something that is no network",
        "`mode` in [reflector] is `lazy`",
    ] {
        assert!(problems.contains(told), "{told}:\n{problems}");
    }
}
