//! MQTT over TLS: stock clients, certificates of both sides, and strangers who don't get that far.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Output;

use rustix::process::Signal;
use stile_tests::packet::{Connect, V5, publish};
use stile_tests::{Authority, MosquittoSub, Neighbour, PATIENCE, RawClient, Stile, mosquitto_pub};
use tempfile::TempDir;

const OPEN: &str = "listening for MQTT over TLS";
const USER: &str = "[[broker.user]]\nname = \"ops\"\npassword = \"s3cret\"\n";

fn failed(reason: &str) -> String {
    format!("stile_mqtt_tls_handshakes_failed_total{{reason=\"{reason}\"}}")
}

/// A gateway with a certificate, and who signed it.
struct Guarded {
    stile: Stile,
    tls: SocketAddr,
    ca: Authority,
}

impl Guarded {
    fn start(broker: &str, tls: &str, rest: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = Authority::new(dir.path(), "ca");
        ca.sign("server", Some("stile"));
        let stile = Stile::start_in(dir, broker, &section(tls, rest));
        let tls = stile.door(OPEN);
        Self { stile, tls, ca }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.stile.dir.path().join(name)
    }

    /// Publishes with mosquitto_pub, which believes in `authority`.
    fn publish(&self, authority: &Path, more: &[&str]) -> Output {
        let common = ["--cafile", authority.to_str().unwrap(), "-t", "a", "-m", "x", "-q", "1"];
        mosquitto_pub(self.tls, "mqttv5", &[&common, more].concat())
    }

    /// The same with a client's certificate.
    fn publish_as(&self, who: &(PathBuf, PathBuf), more: &[&str]) -> Output {
        let pair = ["--cert", who.0.to_str().unwrap(), "--key", who.1.to_str().unwrap()];
        self.publish(&self.ca.file, &[&pair, more].concat())
    }
}

fn section(tls: &str, rest: &str) -> String {
    let files = "certificate = \"server.pem\"\nkey = \"server.key\"\n";
    format!("{rest}[broker.tls]\nlisten = [\"127.0.0.1:0\"]\n{files}{tls}")
}

#[track_caller]
fn good(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn stock_clients_talk_over_tls_1_2_and_1_3_in_both_versions_of_mqtt() {
    let guarded = Guarded::start("", "", "");
    let ca = guarded.ca.file.to_str().unwrap();
    for mqtt in ["mqttv311", "mqttv5"] {
        for tls in ["tlsv1.2", "tlsv1.3"] {
            let topic = format!("{mqtt}/{tls}");
            let safe = ["--cafile", ca, "--tls-version", tls, "-q", "1", "-t", &topic];
            let subscriber = MosquittoSub::start(guarded.tls, mqtt, &[&safe[..], &["-C", "1"]].concat());
            // Retained, so that it does not matter who is first.
            good(&mosquitto_pub(guarded.tls, mqtt, &[&safe[..], &["-r", "-m", tls]].concat()));
            assert_eq!(subscriber.finish(), (Some(0), format!("{tls}\n")));
        }
    }
}

#[test]
fn a_client_that_knows_another_authority_goes_away_and_is_counted() {
    let guarded = Guarded::start("", "", "");
    let stranger = Authority::new(guarded.stile.dir.path(), "stranger");
    assert!(!guarded.publish(&stranger.file, &[]).status.success());
    guarded.stile.wait_metric(&failed("refused-by-client"), |count| count == 1.0);
    good(&guarded.publish(&guarded.ca.file, &[]));
}

#[test]
fn where_certificates_are_required_nobody_comes_in_without_a_good_one() {
    let guarded = Guarded::start("", "client-ca = \"ca.pem\"\n", "");
    let stranger = Authority::new(guarded.stile.dir.path(), "stranger");
    assert!(!guarded.publish(&guarded.ca.file, &[]).status.success());
    guarded.stile.wait_metric(&failed("no-certificate"), |count| count == 1.0);
    assert!(!guarded.publish_as(&stranger.sign("foreign", Some("ops")), &[]).status.success());
    guarded.stile.wait_metric(&failed("bad-certificate"), |count| count == 1.0);
    good(&guarded.publish_as(&guarded.ca.sign("known", None), &[]));
}

#[test]
fn a_required_certificate_does_not_stand_for_a_password_unless_the_settings_say_so() {
    let guarded = Guarded::start("", "client-ca = \"ca.pem\"\n", USER);
    let known = guarded.ca.sign("known", Some("ops"));
    assert!(!guarded.publish_as(&known, &[]).status.success());
    assert!(!guarded.publish_as(&known, &["-u", "ops", "-P", "wrong"]).status.success());
    good(&guarded.publish_as(&known, &["-u", "ops", "-P", "s3cret"]));
}

#[test]
fn the_common_name_stands_for_the_user_and_others_need_a_password() {
    let tls = "client-ca = \"ca.pem\"\nclient-certificates = \"optional\"\nclient-certificate-user = true\n";
    let guarded = Guarded::start("", tls, USER);
    good(&guarded.publish_as(&guarded.ca.sign("known", Some("ops")), &[]));
    for name in [None, Some(""), Some("a\nb")] {
        assert!(!guarded.publish_as(&guarded.ca.sign("odd", name), &[]).status.success(), "{name:?}");
    }
    assert!(!guarded.publish(&guarded.ca.file, &[]).status.success());
    good(&guarded.publish(&guarded.ca.file, &["-u", "ops", "-P", "s3cret"]));
    assert_eq!(guarded.stile.metric("stile_mqtt_clients_refused_total{reason=\"credentials\"}"), 4.0);
}

#[test]
fn two_hundred_silent_connections_hold_up_nobody_and_are_let_go() {
    let guarded = Guarded::start("", "", "");
    let silent: Vec<_> = (0..200).map(|_| TcpStream::connect(guarded.tls).unwrap()).collect();
    good(&guarded.publish(&guarded.ca.file, &[]));
    assert_eq!(guarded.stile.metric(&failed("too-slow")), 0.0, "all were there while the client came and went");
    guarded.stile.wait_metric(&failed("too-slow"), |count| count == 200.0);
    for mut stream in silent {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    }
}

#[test]
fn connections_over_tls_count_at_the_same_gate_as_the_others() {
    let guarded = Guarded::start("max-connections = 2\n", "", "");
    let _here = RawClient::connect(guarded.stile.mqtt, V5, "one");
    let _there = TcpStream::connect(guarded.tls).unwrap();
    guarded.stile.wait_metric("stile_mqtt_connections", |count| count == 1.0);
    assert!(!guarded.publish(&guarded.ca.file, &[]).status.success());
    assert_eq!(guarded.stile.metric("stile_mqtt_clients_refused_total{reason=\"too-many-connections\"}"), 1.0);
}

#[test]
fn garbage_and_plain_mqtt_on_the_tls_port_hurt_nobody_else() {
    let guarded = Guarded::start("", "", "");
    let mut neighbour = Neighbour::of(&guarded.stile);
    let hello = [&[0x16, 3, 1, 0xff, 0xff][..], &[1; 70_000]].concat();
    for garbage in [Connect::new(V5, "plain").bytes(), b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0; 100_000], hello] {
        let mut stream = TcpStream::connect(guarded.tls).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = stream.write_all(&garbage);
        // An alert, a reset or nothing; what counts is that it ends.
        let _ = stream.read_to_end(&mut Vec::new());
        neighbour.is_well();
    }
    assert_eq!(guarded.stile.metric(&failed("not-tls")), 4.0);
    good(&guarded.publish(&guarded.ca.file, &[]));
}

#[test]
fn a_subscriber_that_pauses_gets_everything_in_the_end() {
    let guarded = Guarded::start("session-queue-bytes = 100000000\n", "", "");
    let ca = guarded.ca.file.to_str().unwrap();
    let subscriber =
        MosquittoSub::start(guarded.tls, "mqttv5", &["--cafile", ca, "-t", "bulk", "-C", "200", "-F", "%l"]);
    guarded.stile.wait_metric("stile_mqtt_filters", |filters| filters == 1.0);
    subscriber.signal(Signal::STOP);
    let mut publisher = RawClient::connect(guarded.stile.mqtt, V5, "publisher");
    for _ in 0..199 {
        publisher.send(&publish(V5, 0, "bulk", 0, &[], vec![b'x'; 100_000]));
    }
    publisher.publish_acked(false, "bulk", &[], vec![b'x'; 100_000]);
    assert!(
        guarded.stile.metric("stile_mqtt_publishes_sent_total") < 200.0,
        "more than the socket takes was on its way"
    );
    subscriber.signal(Signal::CONT);
    assert_eq!(subscriber.finish(), (Some(0), "100000\n".repeat(200)));
}

/// The gateway's certificate, as a new client sees it.
fn shown(address: SocketAddr, ca: &Path) -> bool {
    let arguments = ["--cafile", ca.to_str().unwrap(), "-t", "a", "-m", "x", "-q", "1"];
    mosquitto_pub(address, "mqttv5", &arguments).status.success()
}

#[test]
fn a_reload_takes_new_contents_of_the_same_files_and_no_client_notices() {
    let guarded = Guarded::start("", "", "");
    let ca = guarded.ca.file.to_str().unwrap();
    let subscriber = MosquittoSub::start(guarded.tls, "mqttv5", &["--cafile", ca, "-t", "late", "-C", "1"]);
    guarded.stile.wait_metric("stile_mqtt_filters", |filters| filters == 1.0);
    let other = Authority::new(guarded.stile.dir.path(), "other");

    // A half-written file: refused, and the old certificate goes on.
    std::fs::write(guarded.path("server.pem"), "-----BEGIN CERTIFICATE-----\nMIIB").unwrap();
    guarded.stile.signal(Signal::HUP);
    guarded.stile.wait_log("reload refused; the old settings go on");
    assert!(shown(guarded.tls, &guarded.ca.file));

    other.sign("server", Some("stile"));
    guarded.stile.signal(Signal::HUP);
    guarded.stile.wait_log("reload done");
    assert!(shown(guarded.tls, &other.file) && !shown(guarded.tls, &guarded.ca.file));
    RawClient::connect(guarded.stile.mqtt, V5, "publisher").publish_acked(false, "late", &[], "still there");
    assert_eq!(subscriber.finish(), (Some(0), "still there\n".to_owned()));
}

/// What `stile check` says of a `[broker.tls]` in a folder with two pairs of files.
fn check(text: &str) -> (i32, String) {
    let dir = TempDir::new().unwrap();
    let ca = Authority::new(dir.path(), "ca");
    ca.sign("server", None);
    ca.sign("other", None);
    std::fs::write(dir.path().join("cut.pem"), "-----BEGIN CERTIFICATE-----\nMIIB").unwrap();
    std::fs::write(dir.path().join("empty"), "").unwrap();
    let file = dir.path().join("stile.toml");
    std::fs::write(&file, text).unwrap();
    let (code, _, said) = stile_tests::check(&["check", file.to_str().unwrap()]);
    (code, said)
}

#[test]
fn files_that_are_missing_or_do_not_fit_are_found_by_check_all_at_once() {
    let tls = |lines: &str| check(&format!("[broker.tls]\n{lines}"));
    let listen = "listen = [\"127.0.0.1:0\"]\n";
    for (lines, place, what) in [
        ("certificate = \"server.pem\"\nkey = \"server.key\"\n", "1:1", "`listen` is missing"),
        ("listen = []\ncertificate = \"server.pem\"\nkey = \"server.key\"\n", "2:10", "is empty"),
        (&format!("{listen}key = \"server.key\"\n"), "1:1", "`certificate` is missing"),
        (&format!("{listen}certificate = \"server.pem\"\n"), "1:1", "`key` is missing"),
        (&format!("{listen}certificate = \"none\"\nkey = \"server.key\"\n"), "3:15", "it does not exist"),
        (&format!("{listen}certificate = \"cut.pem\"\nkey = \"server.key\"\n"), "3:15", "which is no certificate"),
        (&format!("{listen}certificate = \"server.key\"\nkey = \"server.key\"\n"), "3:15", "which is no certificate"),
        (&format!("{listen}certificate = \"server.pem\"\nkey = \"server.pem\"\n"), "4:7", "which is no private key"),
        (&format!("{listen}certificate = \"server.pem\"\nkey = \"other.key\"\n"), "4:7", "not the key of that"),
        (&format!("{listen}certificate = \"server.pem\"\nkey = \"/\"\n"), "4:7", "not a regular file"),
        (
            &format!("{listen}certificate = \"server.pem\"\nkey = \"server.key\"\nclient-ca = \"empty\"\n"),
            "5:13",
            "has no block `BEGIN CERTIFICATE`",
        ),
        (
            &format!(
                "{listen}certificate = \"server.pem\"\nkey = \"server.key\"\nclient-certificates = \"optional\"\n"
            ),
            "5:23",
            "without `client-ca`",
        ),
    ] {
        let (code, said) = tls(lines);
        assert_eq!(code, 78, "{lines}{said}");
        assert!(said.contains(&format!("stile.toml:{place}: ")) && said.contains(what), "{lines}{said}");
        assert!(said.contains("remedy: ") && said.contains("\n1 problem"), "{lines}{said}");
    }
    let (_, said) =
        tls("listen = [\"127.0.0.1:1883\"]\ncertificate = \"none\"\nkey = \"cut.pem\"\nclient-ca = \"x\"\n");
    assert!(said.contains("4 problems") && said.contains("clashes with the default"), "{said}");
}

#[test]
fn a_tls_listener_that_others_can_reach_needs_users_or_certificates() {
    let files = "certificate = \"server.pem\"\nkey = \"server.key\"\n";
    let open = format!("[broker.tls]\nlisten = [\"0.0.0.0:8883\"]\n{files}");
    let (code, said) = check(&open);
    assert!(code == 78 && said.contains("0.0.0.0:8883") && said.contains("[[broker.user]]"), "{said}");
    assert_eq!(check(&format!("{open}client-ca = \"ca.pem\"\nclient-certificates = \"optional\"\n")).0, 78);
    assert_eq!(check(&format!("{open}client-ca = \"ca.pem\"\n")).0, 0);
    assert_eq!(check(&format!("{USER}{open}")).0, 0);
}

/// Runs `stile cert` with these arguments on a folder.
fn cert(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    stile_tests::check(&[&["cert"], arguments, &["--dir", folder.to_str().unwrap()]].concat())
}

#[test]
fn a_certificate_that_stile_made_works_as_it_says_and_a_new_one_needs_a_word_and_no_new_authority() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("made");
    let (code, said, _) = cert(&folder, &[]);
    assert_eq!(code, 0, "{said}");
    for (file, mode) in [("ca.pem", 0o644), ("ca.key", 0o600), ("server.pem", 0o644), ("server.key", 0o600)] {
        assert_eq!(folder.join(file).metadata().unwrap().permissions().mode() & 0o777, mode, "{file}");
    }
    // The lines that were printed are the settings.
    let lines = said.split("For stile.toml:\n").nth(1).unwrap().split("\nClients need").next().unwrap();
    let section = format!("{USER}{}", lines.replace("0.0.0.0:8883", "127.0.0.1:0"));
    let stile = Stile::start_in(dir, "", &section);
    let tls = stile.door(OPEN);
    let ca = folder.join("ca.pem");
    let publish = || {
        let arguments =
            ["--cafile", ca.to_str().unwrap(), "-u", "ops", "-P", "s3cret", "-t", "a", "-m", "x", "-q", "1"];
        mosquitto_pub(tls, "mqttv311", &arguments)
    };
    good(&publish());

    let (before, key) = (cert(&folder, &["show"]).1, std::fs::read(folder.join("server.key")).unwrap());
    assert!(said.contains(before.lines().nth(1).unwrap()) && before.contains("ends on 20"), "{before}");
    let (code, _, refused) = cert(&folder, &[]);
    assert!(code == 1 && refused.contains("--force"), "{refused}");
    assert_eq!(std::fs::read(folder.join("server.key")).unwrap(), key);
    assert_eq!(cert(&folder, &["--force", "--name", "127.0.0.1"]).0, 0);
    assert_ne!(cert(&folder, &["show"]).1, before);
    stile.signal(Signal::HUP);
    stile.wait_log("reload done");
    good(&publish());
}

#[test]
fn a_gateway_without_a_certificate_makes_its_own_at_its_first_start_and_keeps_it() {
    let dir = TempDir::new().unwrap();
    let section = "[broker.tls]\nlisten = [\"127.0.0.1:0\"]\n";
    let mut stile = Stile::start_in(dir, "", section);
    let made = stile.wait_log("made a certificate for TLS");
    let ca = stile.data("tls/ca.pem");
    let talks = |stile: &Stile| {
        let arguments = ["--cafile", ca.to_str().unwrap(), "-t", "a", "-m", "x", "-q", "1"];
        good(&mosquitto_pub(stile.door(OPEN), "mqttv5", &arguments));
    };
    talks(&stile);
    let settings = stile.dir.path().join("stile.toml");
    let (code, shown, _) = stile_tests::check(&["cert", "show", "--config", settings.to_str().unwrap()]);
    assert!(code == 0 && shown.contains(made["fingerprint"].as_str().unwrap()), "{shown} {made}");
    // Neither a reload nor another start makes a new one.
    assert_eq!(stile.reload("", section)["message"], "reload done");
    assert_eq!(stile.logged("made a certificate for TLS").len(), 1);
    stile.stop();
    stile.start_again();
    talks(&stile);
    assert!(stile.logged("made a certificate for TLS").is_empty());
    // Half of it is a mistake that is told.
    std::fs::remove_file(stile.data("tls/server.key")).unwrap();
    let (code, _, said) = stile_tests::check(&["check", settings.to_str().unwrap()]);
    assert!(code == 78 && said.contains("server.key") && said.contains("it does not exist"), "{said}");
}

#[test]
fn a_reload_that_opens_tls_for_the_first_time_makes_a_certificate_too() {
    let stile = Stile::start("");
    let section = "[broker.tls]\nlisten = [\"127.0.0.1:0\"]\nclient-certificates = \"required\"\n";
    let own = format!("{section}client-ca = {:?}\n", stile.dir.path().join("ca.pem"));
    Authority::new(stile.dir.path(), "ca");
    assert_eq!(stile.reload("", &own)["message"], "reload done");
    let tls = stile.door(OPEN);
    let ca = stile.data("tls/ca.pem");
    let arguments = ["--cafile", ca.to_str().unwrap(), "-t", "a", "-m", "x"];
    assert!(!mosquitto_pub(tls, "mqttv5", &arguments).status.success());
    stile.wait_metric(&failed("no-certificate"), |count| count == 1.0);
}
