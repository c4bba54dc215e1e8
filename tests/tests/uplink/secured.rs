//! TLS, who the remote is, and who the gateway is to it.

use std::path::Path;

use rumqttc::QoS;
use stile_tests::{Authority, Client, Mosquitto, Stile, check};

use super::{start, wait_drained, wait_online};

/// The user anna, whose password is "right", as `mosquitto_passwd` writes her.
const PASSWORDS: &str = "anna:$7$101$U0qPT4tr6EDaA9g3$VXb8ziRTDFX8dcn3p0FfGuFP7u2vc0G8jcYTrHS1IurpGGhNj93QIhxRh2tIxlJqDGWmogvjl+2fp6qvtSarag==\n";

/// A broker with TLS, whose certificate an authority of the test's has signed; `lines` are further settings.
pub(super) fn secured(lines: &str) -> (Mosquitto, Authority) {
    let mut remote = Mosquitto::prepare();
    let dir = remote.dir.path().to_owned();
    let ca = Authority::new(&dir, "ca");
    ca.sign("server", Some("remote"));
    let file = |name: &str| dir.join(name).display().to_string();
    remote.configure(&format!(
        "cafile {}\ncertfile {}\nkeyfile {}\n{}",
        file("ca.pem"),
        file("server.pem"),
        file("server.key"),
        lines.replace("DIR", dir.to_str().unwrap())
    ));
    remote.start_again();
    (remote, ca)
}

fn over_tls(remote: &Mosquitto, more: &str) -> String {
    let port = remote.address.port();
    format!(
        "[[uplink]]\nname = \"up\"\nurl = \"mqtts://localhost:{port}\"\ntopics = [{{ filter = \"n/#\" }}]\n{more}\n"
    )
}

pub(super) fn named(key: &str, file: &Path) -> String {
    format!("{key} = {file:?}\n")
}

/// That a message gets there.
#[track_caller]
pub(super) fn gets_there(stile: &Stile) {
    wait_online(stile, "up");
    Client::connect(stile.mqtt, "here").publish("n/1", QoS::AtLeastOnce, false, "x");
    wait_drained(stile, "up");
    assert_eq!(stile.metric("stile_uplink_delivered_total{uplink=\"up\"}"), 1.0);
}

/// That the remote is not talked to, and why.
#[track_caller]
pub(super) fn is_refused(settings: &str, why: &str) {
    let stile = start(settings);
    let line = stile.wait_log("no connection to the remote; it is tried again, and messages are kept");
    let error = line["error"].as_str().unwrap();
    assert!(error.contains(why), "{error}");
    assert_eq!(stile.metric("stile_uplink_online{uplink=\"up\"}"), 0.0);
}

#[test]
fn a_remote_is_who_its_authority_says_or_who_has_the_pinned_key() {
    let (remote, ca) = secured("allow_anonymous true");
    let with_ca = over_tls(&remote, &named("ca", &ca.file));
    gets_there(&start(&with_ca));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("stile.toml"), Stile::settings(dir.path(), "", &with_ca)).unwrap();
    let file = dir.path().join("stile.toml");
    let (code, said, error) = check(&["uplink", "test", "up", "--config", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
    assert!(said.contains("TLSv1_3 with TLS13_"), "{said}");
    let pins: Vec<_> =
        said.split_whitespace().filter(|word| word.starts_with("sha256:")).map(|w| w.trim_end_matches(',')).collect();
    assert_eq!(pins.len(), 2, "{said}");
    for pin in pins {
        gets_there(&start(&over_tls(&remote, &format!("pin = \"{pin}\""))));
    }
}

#[test]
fn a_remote_that_is_somebody_else_is_not_talked_to() {
    let (remote, ca) = secured("allow_anonymous true");
    let other = tempfile::tempdir().unwrap();
    let stranger = Authority::new(other.path(), "stranger");
    is_refused(&over_tls(&remote, &named("ca", &stranger.file)), "nobody in `ca` has signed");
    let pin = format!("pin = \"{}\"", "00".repeat(32));
    is_refused(&over_tls(&remote, &pin), "not the one of `pin`; it is sha256:");
    is_refused(&over_tls(&remote, &(named("ca", &ca.file) + &pin)), "not the one of `pin`");
    let plain = Mosquitto::start();
    is_refused(&over_tls(&plain, &named("ca", &ca.file)), "");
}

#[test]
fn a_client_certificate_opens_what_is_closed_without() {
    let (remote, ca) = secured("require_certificate true\nuse_identity_as_username true\nallow_anonymous false");
    let (certificate, key) = ca.sign("roof", Some("roof"));
    let bare = over_tls(&remote, &named("ca", &ca.file));
    is_refused(&bare, "does it want another `certificate`");
    let files = named("ca", &ca.file) + &named("certificate", &certificate) + &named("key", &key);
    gets_there(&start(&over_tls(&remote, &files)));
}

#[test]
fn a_password_is_taken_from_a_file_and_a_wrong_one_is_told_of() {
    let mut remote = Mosquitto::prepare();
    let passwords = remote.dir.path().join("passwords");
    std::fs::write(&passwords, PASSWORDS).unwrap();
    remote.configure(&format!("allow_anonymous false\npassword_file {}", passwords.display()));
    remote.start_again();
    let dir = tempfile::tempdir().unwrap();
    let file = |text: &str| {
        let path = dir.path().join(text);
        std::fs::write(&path, format!("{text}\n")).unwrap();
        super::uplink(
            "up",
            remote.address,
            "{ filter = \"n/#\" }",
            &format!("user = \"anna\"\npassword-file = {path:?}"),
        )
    };
    gets_there(&start(&file("right")));
    is_refused(&file("wrong"), "look at `user` and `password`");
}
