//! `stile health` and `stile reload`: what a service manager and an update ask a running gateway.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use rustix::process::Signal;
use stile_tests::{Authority, Stile, check};

fn health(stile: &Stile, within: &str) -> (i32, String, String) {
    check(&["health", "--within", within, "--data-dir", stile.dir.path().join("data").to_str().unwrap()])
}

#[test]
fn a_gateway_whose_doors_all_answer_is_healthy() {
    let rest = "[broker.tls]\nlisten = [\"127.0.0.1:0\"]\nwebsocket-listen = [\"127.0.0.1:0\"]\n\
        [broker.websocket]\nlisten = [\"127.0.0.1:0\"]\n";
    let stile = Stile::start(rest);
    // The time is longer than clocks go.
    let (code, said, wrong) = health(&stile, "500000000000y");
    assert_eq!((code, wrong.as_str()), (0, ""));
    for door in ["tcp", "tls", "websocket", "websocket-tls", "page"] {
        assert!(said.lines().any(|line| line.starts_with(&format!("{door} 127.0.0.1:"))), "no {door} in:\n{said}");
    }
    assert!(said.contains(&format!("tcp {} answers", stile.mqtt)), "{said}");
}

#[test]
fn a_broker_that_wants_names_or_certificates_of_its_clients_answers_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Authority::new(dir.path(), "ca");
    ca.sign("server", Some("stile"));
    let rest = "[[broker.user]]\nname = \"ops\"\npassword = \"s3cret\"\n[broker.tls]\nlisten = [\"127.0.0.1:0\"]\n\
        certificate = \"server.pem\"\nkey = \"server.key\"\nclient-ca = \"ca.pem\"\n";
    let stile = Stile::start_in(dir, "", rest);
    let (code, said, wrong) = health(&stile, "30s");
    assert_eq!(code, 0, "{said}{wrong}");
}

#[test]
fn a_gateway_that_hangs_or_is_not_there_is_not_healthy() {
    let mut stile = Stile::start("");
    stile.signal(Signal::STOP);
    let (code, said, wrong) = health(&stile, "0s");
    stile.signal(Signal::CONT);
    assert_eq!((code, said.as_str()), (1, ""));
    assert!(wrong.contains("not healthy") && wrong.contains("no answer within 5 s"), "{wrong}");
    stile.stop();
    let (code, _, wrong) = health(&stile, "0s");
    assert_eq!(code, 1);
    assert!(wrong.contains("can't reach the gateway"), "{wrong}");
}

#[test]
fn it_is_waited_for_a_gateway_that_is_still_to_come() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data").to_str().unwrap().to_owned();
    let asked = std::thread::spawn(move || check(&["health", "--within", "2m", "--data-dir", &data]));
    let stile = Stile::start_in(dir, "", "");
    let (code, said, wrong) = asked.join().unwrap();
    assert_eq!(code, 0, "{wrong}");
    assert!(said.contains(&stile.mqtt.to_string()), "{said}");
}

#[test]
fn a_reload_says_whether_the_settings_were_taken_and_new_doors_are_asked() {
    let stile = Stile::start("");
    let path = stile.dir.path();
    let data = path.join("data").to_str().unwrap().to_owned();
    let write = |broker: &str| std::fs::write(path.join("stile.toml"), Stile::settings(path, broker, "")).unwrap();

    write("nonsense = 1");
    let (code, _, wrong) = check(&["reload", "--data-dir", &data]);
    assert_eq!(code, 1);
    assert!(wrong.contains("nonsense") && wrong.contains("stile.toml:"), "{wrong}");
    assert_eq!(stile.logged("reload refused; the old settings go on").len(), 1);

    write("[broker.tls]\nlisten = [\"127.0.0.1:0\"]");
    let (code, said, wrong) = check(&["reload", "--data-dir", &data]);
    assert_eq!((code, said.as_str()), (0, "the settings are in force\n"), "{wrong}");
    let (code, said, wrong) = health(&stile, "30s");
    assert_eq!(code, 0, "{wrong}");
    assert!(said.lines().any(|line| line.starts_with("tls 127.0.0.1:")), "{said}");

    // A plugin that can't be loaded holds up nothing else: taking away a key has to end what it vouched for.
    std::fs::write(path.join("bad.wasm"), "no component").unwrap();
    let plugin = "[[plugin]]\nname = \"bad\"\nfile = \"bad.wasm\"\ntopics = [\"x\"]\n";
    std::fs::write(path.join("stile.toml"), Stile::settings(path, "", plugin)).unwrap();
    let (code, _, wrong) = check(&["reload", "--data-dir", &data]);
    assert_eq!(code, 0, "{wrong}");
    stile.wait_log("a plugin could not be loaded; without a predecessor its messages go by on-failure");
}
