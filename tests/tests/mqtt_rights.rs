//! What each client may do: publishes, wills, subscriptions, retained messages, shared subscriptions, `$SYS`.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use stile_tests::packet::{Connect, V5, V311};
use stile_tests::{Authority, RawClient, Stile, mosquitto_pub};

/// `ops` may do everything; `dev` has topics of his own, news, and one of the client's; `none` may do nothing.
const USERS: &str = "
[[broker.user]]
name = \"ops\"
password = \"p\"
[[broker.user]]
name = \"dev\"
password = \"p\"
groups = [\"devices\"]
subscribe = [\"news/+\"]
[[broker.user]]
name = \"none\"
password = \"p\"
groups = []
[[broker.group]]
name = \"devices\"
publish = [\"d/%u/#\", \"c/%c\"]
subscribe = [\"d/%u/#\"]
";

fn start() -> Stile {
    Stile::start_in(tempfile::tempdir().unwrap(), "", USERS)
}

#[track_caller]
fn connect(stile: &Stile, version: u8, user: &'static str, id: &str) -> RawClient {
    RawClient::with(stile.mqtt, &Connect::new(version, id).by(user, "p"))
}

#[test]
fn a_publish_without_a_right_is_refused_in_the_words_of_each_version_and_reaches_nobody() {
    let stile = start();
    let mut ops = connect(&stile, V5, "ops", "ops");
    assert_eq!(ops.subscribe(&[("#", 0)], &[]), [0]);
    for version in [V311, V5] {
        let mut dev = connect(&stile, version, "dev", "c1");
        for qos in 0..3 {
            for topic in ["d/dev/x", "d/dev", "c/c1"] {
                assert_eq!(dev.publish_coded(qos, topic, "good"), Some(0), "{version} {qos} {topic}");
                assert_eq!(ops.message().topic, topic);
            }
            for topic in ["d/other/x", "d", "c/c2", "news/x", "$x"] {
                let code = dev.publish_coded(qos, topic, "bad");
                if version == V5 && qos > 0 {
                    assert_eq!(code, Some(0x87), "{qos} {topic}");
                } else {
                    assert_eq!(code, None, "{version} {qos} {topic}");
                    dev = connect(&stile, version, "dev", "c1");
                }
            }
        }
    }
    ops.expect_nothing();
    assert_eq!(stile.metric("stile_mqtt_publishes_refused_total"), 30.0);
    let record = stile.wait_log("publish refused: no right to it");
    assert_eq!(
        (&record["client"], &record["user"], &record["topic"]),
        (&"c1".into(), &"dev".into(), &"d/other/x".into())
    );
    assert!(stile.logged("publish refused: no right to it").len() < 30, "not each of them");
}

#[test]
fn a_will_without_a_right_is_refused_with_its_connect() {
    let stile = start();
    for (version, code) in [(V311, 5), (V5, 0x87)] {
        let connect = Connect::new(version, "w").by("dev", "p");
        let (client, connack) = RawClient::meet(stile.mqtt, &connect.clone().with_will("d/other", &[]));
        assert_eq!(connack.body[1], code);
        assert_eq!(client.expect_closed(), []);
        RawClient::with(stile.mqtt, &connect.with_will("d/dev/w", &[])).disconnect();
    }
}

#[test]
fn a_subscription_is_granted_under_a_right_cut_where_it_overlaps_and_refused_where_it_is_wider() {
    let stile = start();
    for (version, refused) in [(V311, 0x80), (V5, 0x87)] {
        let mut dev = connect(&stile, version, "dev", "c1");
        let granted = [("d/dev/#", 1), ("d/dev/a/+", 2), ("news/x", 0), ("$share/g/d/dev/#", 0)];
        assert_eq!(dev.subscribe(&granted, &[]), [1, 2, 0, 0]);
        let cut = [("d/+/temperature", 0), ("+/dev", 1), ("$share/g/+/x", 2)];
        assert_eq!(dev.subscribe(&cut, &[]), [0, 1, 2]);
        for filter in ["#", "d/#", "+/#", "+/+", "news/#", "d/other", "$SYS/#", "c/c1", "$share/g/#", "x/dev/#"] {
            assert_eq!(dev.subscribe(&[(filter, 1)], &[]), [refused], "{version} {filter}");
        }
        let mut none = connect(&stile, version, "none", "n");
        assert_eq!(none.subscribe(&[("d/none/#", 0), ("#", 0)], &[]), [refused; 2]);
    }
    assert_eq!(stile.metric("stile_mqtt_subscriptions_refused_total"), 24.0);
}

#[test]
fn what_lies_beyond_the_rights_is_withheld_also_of_retained_messages() {
    let stile = start();
    let mut ops = connect(&stile, V5, "ops", "ops");
    ops.publish_acked(true, "d/dev/t", &[], "kept for dev");
    ops.publish_acked(true, "d/other/t", &[], "kept for another");
    let mut dev = connect(&stile, V5, "dev", "c1");
    assert_eq!(dev.subscribe(&[("d/+/t", 1)], &[]), [1]);
    let kept = dev.next_acked();
    assert_eq!((kept.topic.as_str(), kept.text.as_str(), kept.retain), ("d/dev/t", "kept for dev", true));
    ops.publish_acked(false, "d/other/t", &[], "not for dev");
    ops.publish_acked(false, "d/dev/t", &[], "for dev");
    assert_eq!(dev.next_acked().text, "for dev");
    dev.expect_nothing();
    assert_eq!(stile.metric("stile_mqtt_deliveries_withheld_total"), 1.0);
    let dropped = "stile_mqtt_deliveries_dropped_total{reason=\"queue-full\"}";
    assert_eq!(stile.metric(dropped), 0.0, "what is withheld is no loss");
}

#[test]
fn in_a_group_that_shares_a_subscription_a_member_without_the_right_is_passed_over() {
    let stile = start();
    let mut ops = connect(&stile, V5, "ops", "ops");
    let (mut dev, mut all) = (connect(&stile, V5, "dev", "c1"), connect(&stile, V5, "ops", "all"));
    for client in [&mut dev, &mut all] {
        assert_eq!(client.subscribe(&[("$share/g/d/+/t", 0)], &[]), [0]);
    }
    for number in 0..6 {
        ops.publish_acked(false, "d/other/t", &[], number.to_string());
        assert_eq!(all.message().text, number.to_string());
    }
    for number in 0..6 {
        ops.publish_acked(false, "d/dev/t", &[], number.to_string());
    }
    let theirs: Vec<_> = (0..3).map(|_| (dev.message().text, all.message().text)).collect();
    assert_eq!(theirs.len(), 3, "those that both may have they share");
    dev.expect_nothing();
    all.disconnect();
    // Now there is nobody left who may have it.
    ops.publish_acked(false, "d/other/t", &[], "for nobody");
    dev.expect_nothing();
    stile.wait_metric("stile_mqtt_deliveries_withheld_total", |count| count == 1.0);
}

#[test]
fn the_brokers_own_figures_need_a_right_that_names_them() {
    let users = "
[[broker.user]]
name = \"all\"
password = \"p\"
subscribe = [\"#\"]
[[broker.user]]
name = \"figures\"
password = \"p\"
subscribe = [\"$SYS/broker/uptime\"]
";
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), "", users);
    let mut all = connect(&stile, V5, "all", "all");
    assert_eq!(all.subscribe(&[("#", 0), ("$SYS/#", 0), ("$SYS/broker/uptime", 0)], &[]), [0, 0x87, 0x87]);
    all.expect_nothing();
    let mut figures = connect(&stile, V5, "figures", "figures");
    assert_eq!(figures.subscribe(&[("$SYS/broker/+", 0)], &[]), [0x87], "it is wider");
    figures.send(&stile_tests::packet::subscribe(V5, &[("$SYS/broker/uptime", 0)], &[]));
    assert_eq!(figures.packet().kind(), 9);
    assert_eq!(figures.message().topic, "$SYS/broker/uptime");
}

#[test]
fn a_client_id_or_a_name_that_could_widen_a_right_gives_none() {
    let users = "
[[broker.user]]
name = \"+\"
password = \"p\"
publish = [\"d/%u/x\", \"c/%c/x\"]
subscribe = [\"d/%u/x\", \"c/%c/x\", \"%c\"]
";
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), "", users);
    for id in ["+", "#", "a/b", "a/#", "$SYS"] {
        let mut client = connect(&stile, V5, "+", id);
        let filters = ["d/+/x", "d/a/x", "c/+/x", "c/a/b/x", "c/#", "#", "+", "a/b", "$SYS"];
        for filter in filters {
            assert_eq!(client.subscribe(&[(filter, 0)], &[]), [0x87], "{id} {filter}");
        }
        assert_eq!(client.publish_coded(1, "c/a/b/x", ""), Some(0x87), "{id}");
        assert_eq!(client.publish_coded(1, "d/+/x", ""), None, "no topic at all");
    }
    let mut client = connect(&stile, V5, "+", "plain");
    assert_eq!(client.subscribe(&[("c/plain/x", 0), ("plain", 0)], &[]), [0, 0]);
}

#[test]
fn clients_without_a_name_have_the_rights_of_the_group_anonymous() {
    let group =
        "[[broker.group]]\nname = \"anonymous\"\npublish = [\"public/%c\"]\nsubscribe = [\"public/#\", \"u/%u\"]\n";
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), "", group);
    // A name that nobody has proved does not count.
    let mut client = connect(&stile, V5, "ops", "me");
    assert_eq!(client.subscribe(&[("public/x", 0), ("u/ops", 0), ("#", 0)], &[]), [0, 0x87, 0x87]);
    assert_eq!(client.publish_coded(1, "public/me", ""), Some(0));
    assert_eq!(client.publish_coded(1, "public/you", ""), Some(0x87));
    let verdict = stile.reload("", "");
    assert_eq!(verdict["message"], "reload done", "{verdict}");
    assert_eq!(client.publish_coded(1, "anything", ""), Some(0), "without the group there is no limit");
}

#[test]
fn a_certificate_gives_the_rights_of_its_user_or_else_those_of_the_group_certified() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Authority::new(dir.path(), "ca");
    ca.sign("server", Some("stile"));
    let group = "[[broker.group]]\nname = \"certified\"\npublish = [\"certified/%u\"]\n";
    let tls = "[broker.tls]\nlisten = [\"127.0.0.1:0\"]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n\
        client-ca = \"ca.pem\"\nclient-certificate-user = true\n";
    let stile = Stile::start_in(dir, "", &format!("{USERS}{group}{tls}"));
    let address = stile.door("listening for MQTT over TLS");
    let publish = |name: &str, topic: &str| {
        let (certificate, key) = ca.sign("client", Some(name));
        let files = ["--cafile", "ca.pem", "--cert", certificate.to_str().unwrap(), "--key", key.to_str().unwrap()]
            .map(|text| if text == "ca.pem" { ca.file.to_str().unwrap() } else { text });
        let message = ["-t", topic, "-m", "x", "-q", "1", "-i", "id"];
        let output = mosquitto_pub(address, "mqttv5", &[&files[..], &message].concat());
        !String::from_utf8_lossy(&output.stderr).contains("Not authorized")
    };
    assert!(publish("dev", "d/dev/x") && publish("ops", "anything"));
    assert!(!publish("dev", "certified/dev") && !publish("none", "certified/none"));
    assert!(publish("stranger", "certified/stranger") && !publish("stranger", "d/stranger"));
}
