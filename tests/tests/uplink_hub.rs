//! Azure IoT Hub, as a made-up hub that keeps to its rules: telemetry, what comes from there, tokens, refusals, kills.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rumqttc::v5::mqttbytes::QoS as V5QoS;
use rumqttc::v5::mqttbytes::v5::PublishProperties;
use rumqttc::{MqttOptions, QoS};
use serde_json::json;
use stile_tests::forwarder::base64;
use stile_tests::hub::{HOST, Shows};
use stile_tests::{Client, Received, SimulatedHub, Stile, V5Client, check, publish_until_it_ends, within};
use tempfile::TempDir;

const KEY: &[u8] = b"a key of thirty-two bytes or so.";
const DEVICE: &str = "gw-1";
const TRIED: &str = "no connection to the remote; it is tried again, and messages are kept";

/// A hub that knows the gateway by a key, and the folder with its files.
fn hub() -> (SimulatedHub, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let hub = SimulatedHub::start(folder.path());
    hub.register(DEVICE, Shows::Key(KEY.to_vec()));
    (hub, folder)
}

/// An uplink to it; `more` are further lines of its own, `section` of `[uplink.hub]`.
fn uplink(hub: &SimulatedHub, more: &str, section: &str) -> String {
    format!(
        "[[uplink]]\nname = \"up\"\nprofile = \"azure-iot-hub\"\nurl = \"mqtts://localhost:{}\"\nca = {:?}\n\
         client-id = \"{DEVICE}\"\ntopics = [{{ filter = \"n/#\" }}]\n{more}\n\
         [uplink.hub]\nhost-name = \"{HOST}\"\n{section}\n[uplink.spool]\ninterval = \"2ms\"\n",
        hub.address.port(),
        hub.authority.file,
    )
}

fn by_key(hub: &SimulatedHub) -> String {
    let file = hub.file("device.key", &base64(KEY));
    format!("shared-access-key-file = {file:?}")
}

fn start(settings: &str) -> Stile {
    Stile::start_in(tempfile::tempdir().unwrap(), "", settings)
}

#[track_caller]
fn joined(hub: &SimulatedHub, section: &str) -> Stile {
    let stile = start(&uplink(hub, "", &format!("{}\n{section}", by_key(hub))));
    wait_online(&stile);
    stile
}

#[track_caller]
fn wait_online(stile: &Stile) {
    stile.wait_metric("stile_uplink_online{uplink=\"up\"}", |online| online == 1.0);
}

#[track_caller]
fn wait_drained(stile: &Stile) {
    stile.wait_metric("stile_uplink_queue_messages{uplink=\"up\"}", |waiting| waiting == 0.0);
}

fn dropped(stile: &Stile, reason: &str) -> f64 {
    stile.metric(&format!("stile_uplink_dropped_total{{uplink=\"up\",reason=\"{reason}\"}}"))
}

#[track_caller]
fn next_under(client: &Client, topic: &str) -> Received {
    client.next_where(|message| message.topic == topic)
}

#[test]
fn a_hub_is_reached_over_a_websocket_where_no_port_but_https_is_let_through() {
    let (hub, _folder) = hub();
    let settings = uplink(&hub, "", &by_key(&hub));
    let tls = format!("mqtts://localhost:{}", hub.address.port());
    let stile = start(&settings.replace(&tls, &format!("{}/$iothub/websocket", tls.replace("mqtts", "wss"))));
    wait_online(&stile);
    let here = Client::connect(stile.mqtt, "meter");
    here.publish("n/1", QoS::AtLeastOnce, false, "12");
    assert_eq!(hub.message(1).payload, b"12");
    wait_drained(&stile);
    assert_eq!(hub.complaints(), Vec::<String>::new());
}

#[test]
fn telemetry_arrives_with_its_name_and_properties_in_its_topic() {
    let (hub, _folder) = hub();
    let stile = joined(&hub, "");
    let here = V5Client::connect(stile.mqtt, "meter");
    let properties = PublishProperties {
        content_type: Some("text/csv; charset=utf-8".to_owned()),
        correlation_data: Some("c/1".into()),
        user_properties: vec![("unit".to_owned(), "°C & more".to_owned()), ("$.mid".to_owned(), "forged".to_owned())],
        ..PublishProperties::default()
    };
    here.inner.publish_with_properties("n/1", V5QoS::AtLeastOnce, false, "1;2", properties).unwrap();
    let first = hub.message(1);
    let has = |name: &str| first.properties.get(name).map(String::as_str);
    assert_eq!((first.payload.as_slice(), has("topic"), has("unit")), (&b"1;2"[..], Some("n/1"), Some("°C & more")));
    let system = (has("$.ct"), has("$.ce"), has("$.cid"));
    assert_eq!(system, (Some("text/csv; charset=utf-8"), Some("utf-8"), Some("c/1")));
    assert_eq!((has("stile-origin"), has("mqtt-retain")), (Some("client:meter"), None));
    assert!(has("$.mid").is_some_and(|id| id != "forged"), "{first:?}");
    // A client of 3.1.1 says nothing; QoS 2 is not known there.
    Client::connect(stile.mqtt, "plain").publish("n/2", QoS::ExactlyOnce, true, "{\"a\":1}");
    let second = hub.message(2);
    let has = |name: &str| second.properties.get(name).map(String::as_str);
    assert_eq!((has("$.ct"), has("$.ce")), (Some("application/json"), Some("utf-8")));
    assert_eq!((has("topic"), has("mqtt-retain")), (Some("n/2"), Some("true")));
    wait_drained(&stile);
    assert_eq!(hub.complaints(), Vec::<String>::new());
}

#[test]
fn a_device_may_show_a_certificate_or_be_named_by_its_connection_string() {
    let (hub, _folder) = hub();
    hub.register("gw-2", Shows::Certificate);
    let (certificate, key) = hub.authority.sign("gw-2", Some("gw-2"));
    let files = format!("certificate = {certificate:?}\nkey = {key:?}");
    let settings = uplink(&hub, &files, "").replace("client-id = \"gw-1\"", "client-id = \"gw-2\"");
    let stile = start(&settings);
    wait_online(&stile);
    Client::connect(stile.mqtt, "here").publish("n/1", QoS::AtLeastOnce, false, "by certificate");
    assert_eq!(hub.message(1).payload, b"by certificate");

    let text = format!("HostName={HOST};DeviceId={DEVICE};SharedAccessKey={}\n", base64(KEY));
    let file = hub.file("connection-string", &text);
    let settings = uplink(&hub, "", &format!("shared-access-key-file = {file:?}"));
    let settings = settings.replace("client-id = \"gw-1\"\n", "").replace(&format!("host-name = \"{HOST}\"\n"), "");
    let stile = start(&settings);
    wait_online(&stile);
    Client::connect(stile.mqtt, "here").publish("n/1", QoS::AtLeastOnce, false, "by string");
    assert_eq!(hub.message(2).payload, b"by string");
    assert_eq!(hub.complaints(), Vec::<String>::new());
}

#[test]
fn messages_to_the_device_come_in_here_with_their_properties_and_are_acknowledged() {
    let (hub, _folder) = hub();
    let stile = joined(&hub, "");
    let here = V5Client::connect(stile.mqtt, "here");
    here.subscribe("hub/up/message", QoS::AtLeastOnce);
    hub.send(DEVICE, "%24.mid=m-1&%24.to=%2Fdevices%2Fgw-1&%24.cid=c-1&level=3&note=a%20b", "open the valve");
    let message = here.next();
    assert_eq!(
        (message.text(), message.property("level"), message.property("note")),
        ("open the valve", Some("3"), Some("a b"))
    );
    assert_eq!((message.property("message-id"), message.correlation.as_deref()), (Some("m-1"), Some(&b"c-1"[..])));
    within("the acknowledgement", || (hub.unacknowledged(DEVICE) == 0).then_some(()));
    // What a hub sends goes to no remote, and nobody here can pass for the hub there.
    here.publish("hub/up/message", QoS::AtLeastOnce, false, "mine");
    here.publish("n/last", QoS::AtLeastOnce, false, "last");
    assert_eq!(hub.message(1).payload, b"last");
}

#[test]
fn a_method_is_asked_here_and_answered_from_here_or_not_in_time() {
    let (hub, _folder) = hub();
    let stile = joined(&hub, "method-timeout = \"2s\"");
    let here = Client::connect(stile.mqtt, "valve");
    here.subscribe("hub/up/request/+/valve", QoS::AtLeastOnce);
    here.subscribe("stile/test/uplink/up/dead", QoS::AtLeastOnce);
    hub.call(DEVICE, "1a", "valve", "{\"open\":true}");
    let request = here.next();
    assert_eq!((request.topic.as_str(), request.text()), ("hub/up/request/1a/valve", "{\"open\":true}"));
    here.publish("hub/up/response/1a/200", QoS::AtLeastOnce, false, "no JSON");
    assert_eq!(here.next().json()["reason"], "bad-payload");
    here.publish("hub/up/response/1a/202", QoS::AtLeastOnce, false, "{\"done\":1}");
    let answer = hub.answer("1a");
    assert_eq!((answer.status, answer.payload.as_slice()), (202, &b"{\"done\":1}"[..]));
    here.publish("hub/up/response/1a/200", QoS::AtLeastOnce, false, "");
    assert_eq!(here.next().json()["reason"], "no-call", "it has its answer");
    hub.call(DEVICE, "1b", "unknown", "");
    let answer = hub.answer("1b");
    assert_eq!(answer.status, 504);
    assert!(String::from_utf8(answer.payload).unwrap().contains("nobody here has answered in time"));
    here.publish("hub/up/response/1b/200", QoS::AtLeastOnce, false, "");
    assert_eq!(here.next().json()["reason"], "no-call", "it is too late");
    assert_eq!((dropped(&stile, "bad-payload"), dropped(&stile, "no-call")), (1.0, 2.0));
    assert!(hub.telemetry().is_empty() && hub.complaints().is_empty(), "{:?}", hub.complaints());
}

#[test]
fn the_answer_of_a_client_of_mqtt_5_needs_nothing_but_what_the_request_names() {
    let (hub, _folder) = hub();
    let stile = joined(&hub, "");
    let here = V5Client::connect(stile.mqtt, "valve");
    here.subscribe("hub/up/request/+/valve", QoS::AtLeastOnce);
    hub.call(DEVICE, "2a", "valve", "");
    assert_eq!(here.next().correlation.as_deref(), Some(&b"2a"[..]));
    // The response topic, as docs/forward-to-azure-iot-hub.md names it.
    here.publish("hub/up/response/2a/200", QoS::AtMostOnce, false, "");
    assert_eq!(hub.answer("2a").status, 200);
}

#[test]
fn the_twin_is_here_and_what_is_reported_of_it_gets_there() {
    let (hub, _folder) = hub();
    hub.desire(DEVICE, json!({ "interval": 5 }));
    let stile = joined(&hub, "");
    let here = Client::connect(stile.mqtt, "here");
    here.subscribe("hub/up/twin/#", QoS::AtLeastOnce);
    let twin = next_under(&here, "hub/up/twin").json();
    assert_eq!((&twin["desired"]["interval"], &twin["reported"]["$version"]), (&json!(5), &json!(1)));
    hub.desire(DEVICE, json!({ "interval": null, "mode": "eco" }));
    let patch = next_under(&here, "hub/up/twin/desired").json();
    assert_eq!(patch, json!({ "interval": null, "mode": "eco", "$version": 3 }));

    here.publish("hub/up/twin/reported", QoS::AtLeastOnce, false, "{\"mode\":\"eco\",\"load\":{\"cpu\":3}}");
    let result = next_under(&here, "hub/up/twin/result").json();
    assert_eq!((&result["status"], &result["version"]), (&json!(204), &json!(2)));
    assert_eq!(hub.reported(), json!({ "$version": 2, "mode": "eco", "load": { "cpu": 3 } }));
    here.publish("hub/up/twin/get", QoS::AtLeastOnce, false, "");
    let twin =
        here.next_where(|message| message.topic == "hub/up/twin" && message.json()["desired"]["$version"] == 3).json();
    assert_eq!(twin, json!({ "desired": { "$version": 3, "mode": "eco" }, "reported": hub.reported() }));

    // What the hub refuses is told of, and what it has no time for now is sent again.
    here.subscribe("stile/test/uplink/up/dead", QoS::AtLeastOnce);
    here.publish("hub/up/twin/reported", QoS::AtLeastOnce, false, "{\"$version\":9}");
    let dead = next_under(&here, "stile/test/uplink/up/dead").json();
    assert_eq!(dead["reason"], "refused");
    assert!(dead["detail"].as_str().unwrap().contains("status 400"), "{dead}");
    assert_eq!(next_under(&here, "hub/up/twin/result").json()["status"], 400);
    hub.throttle(1);
    here.publish("hub/up/twin/reported", QoS::AtLeastOnce, false, "{\"late\":true}");
    assert_eq!(next_under(&here, "hub/up/twin/result").json()["status"], 204);
    assert_eq!(hub.reported()["late"], true);
    wait_drained(&stile);
    here.publish("hub/up/twin/reported", QoS::AtLeastOnce, false, "[]");
    assert_eq!(next_under(&here, "stile/test/uplink/up/dead").json()["reason"], "bad-payload");
    assert!(hub.telemetry().is_empty() && hub.complaints().is_empty(), "{:?}", hub.complaints());
}

#[test]
fn what_is_reported_while_the_hub_is_away_gets_there_later_and_in_order() {
    let (hub, folder) = hub();
    let address = hub.address;
    let settings = uplink(&hub, "", &by_key(&hub));
    drop(hub);
    // Nobody listens at its port until it is there again.
    within("the port is free", || std::net::TcpStream::connect(address).is_err().then_some(()));
    let stile = start(&settings);
    let here = Client::connect(stile.mqtt, "here");
    for number in 1..=5 {
        here.publish("hub/up/twin/reported", QoS::AtLeastOnce, false, format!("{{\"n\":{number}}}"));
        here.publish("n/1", QoS::AtLeastOnce, false, number.to_string());
    }
    stile.wait_log(TRIED);
    let hub = SimulatedHub::start_at(folder.path(), address);
    hub.register(DEVICE, Shows::Key(KEY.to_vec()));
    // The authority is another, as after a change of the hub's certificate: the settings' file has it.
    stile.reload("", &uplink(&hub, "", &by_key(&hub)));
    wait_drained(&stile);
    let numbers: Vec<_> = hub.telemetry().iter().map(|message| message.payload.clone()).collect();
    assert_eq!(numbers, (1..=5).map(|n| n.to_string().into_bytes()).collect::<Vec<_>>());
    assert_eq!(hub.reported(), json!({ "$version": 6, "n": 5 }));
}

#[test]
fn a_token_is_renewed_before_it_ends_and_no_message_is_lost_or_disordered() {
    let (hub, _folder) = hub();
    // Long enough that a slow machine renews it in the fifth of its life that is left.
    let stile = joined(&hub, "token-life = \"12s\"");
    let here = Client::connect(stile.mqtt, "here");
    here.subscribe("stile/test/uplink/up/state", QoS::AtLeastOnce);
    here.subscribe("hub/up/request/#", QoS::AtLeastOnce);
    assert_eq!(here.next().json()["state"], "online");
    let (began, mut sent) = (Instant::now(), 0);
    while hub.connections() < 3 && began.elapsed() < Duration::from_secs(120) {
        sent += 1;
        here.publish("n/1", QoS::AtLeastOnce, false, sent.to_string());
        // Only so fast that it takes more than one token.
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(hub.connections() >= 3, "it was not renewed");
    // A method that is called before and answered after is answered.
    hub.call(DEVICE, "r1", "slow", "");
    here.next();
    let before = hub.connections();
    within("one more token", || (hub.connections() > before).then_some(()));
    here.publish("hub/up/response/r1/200", QoS::AtLeastOnce, false, "");
    assert_eq!(hub.answer("r1").status, 200);
    wait_drained(&stile);
    let numbers: Vec<u64> =
        hub.telemetry().iter().map(|m| String::from_utf8_lossy(&m.payload).parse().unwrap()).collect();
    let mut once = numbers.clone();
    once.dedup();
    assert_eq!(once, (1..=sent).collect::<Vec<u64>>(), "each is there, in order");
    println!("{sent} messages over {} tokens, {} came twice", hub.connections(), numbers.len() - once.len());
    here.expect_silence(Duration::from_millis(200));
    assert_eq!(hub.complaints(), Vec::<String>::new(), "no token ended while it was in use");
    assert_eq!(stile.logged(TRIED).len(), 0);
}

#[test]
fn a_refusal_is_told_of_in_words_that_help() {
    let (hub, _folder) = hub();
    let refused = |settings: &str| {
        let stile = start(settings);
        stile.wait_log(TRIED)["error"].as_str().unwrap().to_owned()
    };
    let wrong = hub.file("wrong.key", &base64(b"another key"));
    let error = refused(&uplink(&hub, "", &format!("shared-access-key-file = {wrong:?}")));
    assert!(error.contains("the hub refused the device") && error.contains("`shared-access-key`"), "{error}");
    let unknown = uplink(&hub, "", &by_key(&hub)).replace("client-id = \"gw-1\"", "client-id = \"gw-9\"");
    assert!(refused(&unknown).contains("does it know `client-id`"), "{:?}", hub.complaints());
    let other = uplink(&hub, "", &by_key(&hub)).replace(HOST, "other.azure-devices.net");
    refused(&other);
    // A clock that is two hours behind the hub's makes tokens that have ended.
    hub.set_ahead(Duration::from_secs(7200));
    refused(&uplink(&hub, "", &by_key(&hub)));
    let complaints = hub.complaints();
    let expected = ["a wrong signature", "gw-9 is not known", "the user name other", "a token that has ended"];
    for expected in expected {
        assert!(complaints.iter().any(|complaint| complaint.contains(expected)), "{expected}: {complaints:#?}");
    }
}

#[test]
fn what_the_hub_would_never_take_is_told_of_at_once_even_while_it_is_away() {
    let (hub, _folder) = hub();
    hub.set_ahead(Duration::from_secs(7200));
    let stile = start(&uplink(&hub, "", &by_key(&hub)));
    stile.wait_log(TRIED);
    let mut options = MqttOptions::new("here", stile.mqtt.ip().to_string(), stile.mqtt.port());
    options.set_max_packet_size(1 << 20, 1 << 20);
    let here = Client::with(options);
    here.subscribe("stile/test/uplink/up/dead", QoS::AtLeastOnce);
    // The payload alone would do; its properties make it too large.
    here.publish("n/large", QoS::AtLeastOnce, false, "x".repeat(256 * 1024 - 100));
    let dead = here.next().json();
    assert_eq!((&dead["reason"], &dead["topic"]), (&json!("too-large"), &json!("n/large")), "{dead}");
    here.publish("n/good", QoS::AtLeastOnce, false, "x".repeat(255 * 1024));
    assert_eq!(stile.metric("stile_uplink_queue_messages{uplink=\"up\"}"), 1.0);
    hub.set_ahead(Duration::ZERO);
    wait_drained(&stile);
    assert_eq!(hub.message(1).payload.len(), 255 * 1024);
}

#[test]
fn whether_the_gateway_is_there_is_telemetry_where_that_is_wanted() {
    let (hub, _folder) = hub();
    let mut stile = start(&uplink(&hub, "announce = true", &by_key(&hub)));
    wait_online(&stile);
    let online = hub.message(1);
    assert_eq!(online.properties["topic"], "stile/test/uplink/up/state");
    assert!(String::from_utf8(online.payload).unwrap().contains("\"online\""));
    stile.kill();
    let will = hub.message(2);
    assert_eq!(will.properties["iothub-MessageType"], "Will");
    assert!(String::from_utf8(will.payload).unwrap().contains("\"offline\""));
    stile.start_again();
    wait_online(&stile);
    stile.stop();
    let stopped = hub.message(4);
    assert!(String::from_utf8(stopped.payload).unwrap().contains("\"stopped\""));
    assert_eq!(hub.complaints(), Vec::<String>::new());
}

#[test]
fn a_hub_of_the_basic_tier_takes_telemetry_and_the_rest_is_told_of() {
    let (hub, _folder) = hub();
    hub.make_basic();
    let stile = joined(&hub, "");
    stile.wait_log("the remote refused a subscription");
    let here = Client::connect(stile.mqtt, "here");
    here.subscribe("stile/test/uplink/up/dead", QoS::AtLeastOnce);
    here.publish("hub/up/twin/reported", QoS::AtLeastOnce, false, "{}");
    let dead = here.next().json();
    assert!(dead["detail"].as_str().unwrap().contains("basic tier"), "{dead}");
    here.publish("n/1", QoS::AtLeastOnce, false, "x");
    assert_eq!(hub.message(1).payload, b"x");
    let stile = joined(&hub, "receive = []");
    Client::connect(stile.mqtt, "here").publish("n/1", QoS::AtLeastOnce, false, "y");
    assert_eq!(hub.message(2).payload, b"y");
    assert_eq!(stile.logged("the remote refused a subscription").len(), 0);
}

#[test]
fn a_try_from_the_command_line_goes_as_the_device_and_the_gateway_is_back_afterwards() {
    let (hub, _folder) = hub();
    let stile = joined(&hub, "");
    let file = stile.dir.path().join("stile.toml");
    let (code, said, error) = check(&["uplink", "test", "up", "--config", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
    assert!(said.contains("a hub lets each device in once") && said.contains("was acknowledged after"), "{said}");
    assert_eq!(hub.message(1).properties["topic"], "stile/test/uplink/up/probe");
    Client::connect(stile.mqtt, "here").publish("n/1", QoS::AtLeastOnce, false, "back");
    assert_eq!(hub.message(2).payload, b"back");
    let (complaints, one) = (hub.complaints(), "another connection came in its name");
    assert!(complaints.iter().all(|complaint| complaint == one), "{complaints:?}");

    let text = std::fs::read_to_string(&file).unwrap().replace("device.key", "wrong.key");
    hub.file("wrong.key", &base64(b"another key"));
    std::fs::write(&file, text).unwrap();
    let (code, _, error) = check(&["uplink", "test", "up", "--config", file.to_str().unwrap()]);
    assert!(code != 0 && error.contains("the hub refused the device"), "{error}");
}

#[test]
fn nothing_acknowledged_is_lost_when_the_gateway_is_killed() {
    let (hub, _folder) = hub();
    let mut stile = joined(&hub, "token-life = \"12s\"");
    let (mut last, mut acknowledged) = (0, Vec::new());
    for round in 1..=6 {
        let progress = AtomicU64::new(0);
        let (address, next) = (stile.mqtt, last + 1);
        std::thread::scope(|scope| {
            let publisher = scope.spawn(|| publish_until_it_ends(address, 1, next, 0, &progress));
            within("progress", || (progress.load(Ordering::Relaxed) >= 15 * round).then_some(()));
            stile.kill();
            let (done, sent) = publisher.join().unwrap();
            acknowledged.extend(next..=done);
            // What was sent and not acknowledged may have been taken: its number is not used again.
            last = sent;
        });
        stile.start_again();
    }
    wait_online(&stile);
    wait_drained(&stile);
    let seen: Vec<u64> = hub.telemetry().iter().map(|m| String::from_utf8_lossy(&m.payload).parse().unwrap()).collect();
    let lost: Vec<_> = acknowledged.iter().filter(|number| !seen.contains(number)).collect();
    assert!(lost.is_empty(), "lost {lost:?}");
    let mut newest = 0;
    for number in &seen {
        assert!(number + 64 > newest, "{number} came after {newest}, which is more than is under way");
        newest = newest.max(*number);
    }
    println!("{} acknowledged, {} came", acknowledged.len(), seen.len());
    let own = "another connection came in its name";
    assert!(hub.complaints().iter().all(|complaint| complaint == own), "{:?}", hub.complaints());
}
