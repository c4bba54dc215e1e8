//! Radios: what is shown of them, frames sent by hand, framings tried on real bytes.

use serde_json::{Value, json};
use stile_tests::forwarder::{data_frame, rxpk};
use stile_tests::packet::{V5, publish};
use stile_tests::{Forwarder, PASSWORD, RawClient, Rig, Stile, Visitor, command, counter};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const EUI: u64 = 0x0016_c001_ff10_a235;

/// Sends a frame by the API, as somebody who has signed in.
fn send(visitor: &mut Visitor, csrf: &str, radio: &str, body: &Value) -> (u16, Value) {
    let path = format!("/api/v1/radios/{radio}/send");
    let answer = visitor.ask("POST", &path, &[JSON, ("X-CSRF-Token", csrf)], &body.to_string());
    (answer.status, answer.json())
}

#[test]
fn an_operator_sends_a_frame_and_is_told_what_became_of_it() {
    let mut rig = Rig::start("framing = \"line\"");
    let mut anna = Visitor::first(&rig.stile);
    let csrf = anna.get("/radios/a").csrf();
    let form = |payload: &'static str, encoding: &'static str| [("payload", payload), ("encoding", encoding)];
    for (fields, wire) in [(form("hello", "text"), &b"hello\n"[..]), (form("ff 00", "hex"), b"\xff\0\n")] {
        let sent = anna.post("/radios/a/send", &[&[("csrf", csrf.as_str())], &fields[..]].concat());
        assert_eq!(sent.leads_to(), "/radios/a");
        assert_eq!(rig.pty().read(wire.len()), wire);
        let page = anna.get("/radios/a").text();
        assert!(page.contains(&format!("The frame: sent ({} bytes on the wire).", wire.len())), "{page}");
    }
    let wrong = anna.post("/radios/a/send", &[&[("csrf", csrf.as_str())], &form("f", "hex")[..]].concat());
    assert!(wrong.status == 422 && wrong.text().contains("not in hex"), "{}", wrong.text());
    assert!(wrong.text().contains("value=\"f\""), "what was filled in is still there");
    let (status, said) = send(&mut anna, &csrf, "a", &json!({ "payload": "two\nlines" }));
    assert_eq!((status, &said["sent"], &said["result"]), (200, &json!(false), &json!("refused")), "{said}");
    assert!(said["detail"].as_str().unwrap().starts_with("not-encodable: "), "{said}");
    rig.port.unplug();
    rig.client.next_where(|m| m.topic == "serial/a/state" && m.json()["state"] == "offline");
    let (_, said) = send(&mut anna, &csrf, "a", &json!({ "payload": "late" }));
    assert_eq!(said["detail"], "port-closed", "{said}");
    let audit = anna.get("/api/v1/audit").text();
    assert!(audit.contains("sent a frame by the radio a: sent (6 bytes on the wire)"), "{audit}");
    assert!(
        audit.contains("sent a frame by the radio a: not sent (port-closed)") && !audit.contains("hello"),
        "{audit}"
    );
    let radio = anna.get("/api/v1/radios/a").json();
    assert_eq!((&radio["state"], &radio["frames_sent"]), (&json!("offline"), &json!(2)));
    assert_eq!(radio["refused"], json!({ "not-encodable": 1, "port-closed": 1 }));
    assert!(radio["last_error"]["what"].as_str().is_some_and(|what| !what.is_empty()), "{radio}");
}

#[test]
fn where_a_plugin_before_the_radio_is_stuck_whoever_sends_a_frame_is_told_so() {
    let stuck = |folder: &std::path::Path| {
        let file = folder.join("counter.wasm");
        std::fs::write(&file, counter("(loop $on (br $on))")).unwrap();
        let limits = "[plugin.limits]\ncpu = \"60s\"\n";
        format!(
            "[[plugin]]\nname = \"stuck\"\nfile = {file:?}\ntopics = [\"serial/a/down\"]\ngrants = [\"kv\"]\n{limits}"
        )
    };
    let mut rig = Rig::start_beside("framing = \"line\"", stuck);
    let mut anna = Visitor::first(&rig.stile);
    let csrf = anna.get("/radios/a").csrf();
    // More than its queue holds, and what it has taken from there.
    let mut client = RawClient::connect(rig.stile.mqtt, V5, "sends");
    (0..800).for_each(|_| client.send(&publish(V5, 0, "serial/a/down", 0, &[], b"x")));
    rig.stile.wait_metric("stile_messages_in_flight", |messages| messages >= 500.0);
    let (status, said) = send(&mut anna, &csrf, "a", &json!({ "payload": "hello" }));
    assert_eq!(status, 503, "{said}");
    assert!(said["detail"].as_str().unwrap().contains("was not taken within 5 s"), "{said}");
    // It would not end by itself before all that waits is judged.
    rig.stile.kill();
}

#[test]
fn a_viewer_sees_a_radio_and_its_last_frames_and_sends_nothing() {
    let rig = Rig::start("framing = \"line\"");
    let mut anna = Visitor::first(&rig.stile);
    let csrf = anna.get("/people").csrf();
    let ben = [("csrf", csrf.as_str()), ("name", "ben"), ("role", "viewer"), ("password", PASSWORD)];
    assert_eq!(anna.post("/people/add", &ben).leads_to(), "/people");
    let mut ben = Visitor::signed_in(&rig.stile, "ben");
    rig.pty().write("<b>21</b> °C\n\u{fe}".as_bytes());
    rig.next("up");
    let page = ben.get("/radios/a").text();
    assert!(page.contains("&#60;b&#62;21&#60;/b&#62; °C"), "{page}");
    assert!(page.contains("needs the role operator") && !page.contains("name=\"payload\""), "{page}");
    let csrf = ben.get("/account").csrf();
    let (status, problem) = send(&mut ben, &csrf, "a", &json!({ "payload": "x" }));
    assert_eq!((status, &problem["status"]), (403, &json!(403)));
    let radio = ben.get("/api/v1/radios/a").json();
    let frame = &radio["frames"][0];
    assert_eq!((&frame["length"], &frame["text"]), (&json!(13), &json!("<b>21</b> °C")), "{radio}");
    assert_eq!(frame["hex"], "3c 62 3e 32 31 3c 2f 62 3e 20 c2 b0 43");
    let all = ben.get("/api/v1/radios").json();
    let listed = &all["radios"][0];
    assert_eq!(
        (&listed["name"], &listed["kind"], &listed["frames_received"]),
        (&json!("a"), &json!("serial"), &json!(1))
    );
    assert_eq!(ben.get("/radios/b").status, 404);
    let history = ben.get("/api/v1/radios/a/history?span=two-days").json();
    assert_eq!(history["step_seconds"], 300);
    assert_eq!(ben.get("/api/v1/radios/a/history?span=ever").status, 422);
}

#[test]
fn a_framing_is_tried_on_the_bytes_that_came_and_the_radio_goes_on_as_it_is() {
    let rig = Rig::start("framing = \"slip\"");
    let mut anna = Visitor::first(&rig.stile);
    assert!(anna.get("/radios/a/framing").text().contains("No byte has come since the port was opened"));
    rig.pty().write(b"one\r\ntwo\r\nthr");
    rig.stile.wait_metric("stile_radio_bytes_received_total{radio=\"a\"}", |bytes| bytes == 13.0);
    let mut tried = |query: &str| anna.get(&format!("/api/v1/radios/a/framing{query}")).json();
    let lines = tried("?kind=line&ending=crlf");
    assert_eq!((&lines["bytes"], &lines["frames"], &lines["rejected"]), (&json!(13), &json!(2), &json!(0)), "{lines}");
    assert_eq!((&lines["pieces"][0]["text"], &lines["pieces"][1]["text"]), (&json!("one"), &json!("two")));
    assert_eq!((&lines["pieces"][2]["result"], &lines["pieces"][2]["length"]), (&json!("open"), &json!(3)));
    let written = json!("framing = { kind = \"line\", ending = \"crlf\" }");
    assert_eq!((&lines["setting"], &lines["running"]), (&written, &json!("framing = \"slip\"")));
    assert_eq!(tried("")["frames"], 0, "its own");
    let fixed = tried("?kind=fixed&length=5&ending=lf");
    assert_eq!((&fixed["frames"], &fixed["pieces"][1]["hex"]), (&json!(2), &json!("74 77 6f 0d 0a")));
    let wrong = tried("?kind=fixed&length=0");
    assert!(
        wrong["detail"].as_str().unwrap().contains("out of range; write a whole number from 1 to 65536"),
        "{wrong}"
    );
    let page = anna.get("/radios/a/framing?kind=line&ending=crlf").text();
    assert!(page.contains("2 frames") && page.contains("kind = &#34;line&#34;"), "{page}");
    let kinds: Vec<_> = page
        .split("<select name=\"kind\">")
        .nth(1)
        .unwrap()
        .split("</select>")
        .next()
        .unwrap()
        .split("<option")
        .skip(1)
        .collect();
    assert_eq!(kinds.len(), 11);
    for kind in kinds {
        let kind = kind.split('>').nth(1).unwrap().split('<').next().unwrap();
        assert_eq!(anna.get(&format!("/radios/a/framing?kind={kind}")).status, 200, "{kind}");
    }
    rig.pty().write(b"\xc0good\xc0");
    assert_eq!(rig.client.next_where(|m| m.topic == "serial/a/up" && m.payload == b"good").payload, b"good");
}

#[test]
fn a_lora_gateway_is_shown_with_what_it_heard_and_sends_what_an_operator_wants() {
    let radio = "[[radio]]\nname = \"roof\"\nkind = \"semtech-udp\"\nlisten = \"127.0.0.1:0\"\nregion = \"eu868\"\n";
    let stile = Stile::start(radio);
    let gateway = Forwarder::new(stile.door("listening for LoRa gateways"), EUI);
    let mut anna = Visitor::first(&stile);
    let page = anna.get("/radios/roof");
    assert!(page.text().contains("There is no gateway to send by yet"), "{}", page.text());
    let csrf = page.csrf();
    gateway.pull();
    gateway.push(&json!({ "rxpk": [rxpk(1_000_000, &data_frame(0x0102_0304, 9))] }));
    stile.wait_metric("stile_radio_frames_received_total{radio=\"roof\"}", |frames| frames == 1.0);
    let roof = anna.get("/api/v1/radios/roof").json();
    let (behind, frame) = (&roof["behind"][0], &roof["frames"][0]);
    assert_eq!((&behind["eui"], &behind["online"], &behind["frames"]), (&json!(gateway.id()), &json!(true), &json!(1)));
    assert_eq!((&frame["lorawan"]["dev_addr"], &frame["lorawan"]["f_cnt"]), (&json!("01020304"), &json!("9")));
    assert_eq!((&frame["gateway"], &frame["spreading_factor"]), (&json!(gateway.id()), &json!(7)), "{frame}");
    let page = anna.get("/radios/roof").text();
    assert!(page.contains("dev addr 01020304") && page.contains("Frames by channel"), "{page}");
    let eui = gateway.id();
    let fields = |frequency: u32| {
        json!({ "gateway": eui, "payload": "60 04030201 00 0100 09090909", "encoding": "hex",
            "frequency": frequency, "spreading_factor": 7 })
    };
    let sent = std::thread::scope(|scope| {
        let sending = scope.spawn(|| send(&mut anna, &csrf, "roof", &fields(868_100_000)));
        let downlink = gateway.downlink();
        assert_eq!((&downlink.txpk["freq"], &downlink.txpk["ipol"]), (&json!(868.1), &json!(true)));
        gateway.tx_ack(downlink.token, "");
        sending.join().unwrap().1
    });
    assert_eq!((&sent["sent"], &sent["detail"]), (&json!(true), &json!("OK")), "{sent}");
    let (_, refused) = send(&mut anna, &csrf, "roof", &fields(800_000_000));
    assert_eq!((&refused["result"], &refused["detail"]), (&json!("refused"), &json!("TX_FREQ")), "{refused}");
    let items = json!([{ "phyPayload": "YA==", "txInfo": { "frequency": 800_000_000 } }]);
    let downlink = json!({ "downlinkId": 7, "items": items });
    let (_, refused) = send(&mut anna, &csrf, "roof", &json!({ "gateway": gateway.id(), "downlink": downlink }));
    assert_eq!(refused["result"], "refused", "{refused}");
    let (status, stranger) =
        send(&mut anna, &csrf, "roof", &json!({ "gateway": "0000000000000001", "downlink": downlink }));
    assert!(status == 422 && stranger["detail"].as_str().unwrap().contains("no gateway"), "{stranger}");
    gateway.push(&json!({ "stat": { "rxnb": 1 } }));
    let bands = stile_tests::within("air time is told", || {
        let roof = anna.get("/api/v1/radios/roof").json();
        roof["behind"][0]["duty_cycle"].as_array().cloned().filter(|bands| !bands.is_empty())
    });
    assert_eq!((bands.len(), &bands[0]["allowed_seconds"]), (5, &json!(3.6)), "{bands:?}");
}

#[test]
fn without_a_radio_the_page_says_what_to_do_and_programs_need_the_role() {
    let stile = Stile::start("");
    let mut anna = Visitor::first(&stile);
    let page = anna.get("/radios").text();
    assert!(page.contains("There is no radio yet") && page.contains("docs/connect-a-serial-device.md"), "{page}");
    let output = command()
        .args(["token", "add", "robot", "--scope", "viewer", "--config"])
        .arg(stile.dir.path().join("stile.toml"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let token = said.split("shown this once: ").nth(1).unwrap().lines().next().unwrap();
    let mut robot = Visitor::with_token(stile.admin, token);
    assert_eq!(robot.ask("GET", "/api/v1/radios", &[], "").json()["radios"], json!([]));
    assert_eq!(robot.ask("POST", "/api/v1/radios/a/send", &[JSON], "{}").status, 403);
    assert_eq!(robot.ask("GET", "/api/v1/radios/a", &[], "").status, 404);
}
