//! The command line and a gateway elsewhere: over its admin port, by TLS, with a token.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use stile_tests::{Client, Stile, check, command, mosquitto_pub};

/// A gateway that is reached by TLS, and a folder with what somebody elsewhere has.
struct World {
    stile: Stile,
    url: String,
    token: PathBuf,
    authority: PathBuf,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let stile =
            Stile::start_with(&[("STILE_ADMIN__LISTEN", "0.0.0.0:0"), ("STILE_BROKER__ALLOW_ANONYMOUS", "true")], dir);
        let url = format!("https://127.0.0.1:{}", stile.admin.port());
        let (token, authority) = (stile.dir.path().join("token"), stile.dir.path().join("data/tls/ca.pem"));
        let config = stile.dir.path().join("stile.toml");
        let made = command().args(["token", "add", "laptop", "--scope", "viewer", "--config"]).arg(config).output();
        std::fs::write(&token, made.unwrap().stdout).unwrap();
        std::fs::set_permissions(&token, Permissions::from_mode(0o600)).unwrap();
        Self { stile, url, token, authority }
    }

    /// Runs a verb with a token and these options.
    fn ask(&self, verb: &[&str], options: &[&str]) -> (i32, String, String) {
        let token = self.token.to_str().unwrap();
        check(&[verb, &["--url", &self.url, "--token-file", token], options].concat())
    }

    fn ca(&self) -> [&str; 2] {
        ["--ca", self.authority.to_str().unwrap()]
    }
}

#[test]
fn each_verb_that_asks_a_running_gateway_asks_one_elsewhere_too() {
    let world = World::new();
    let (code, out, err) = world.ask(&["status"], &world.ca());
    // 3: something is wrong with this machine, such as a full disk.
    assert!([0, 3].contains(&code) && out.starts_with("test   Stile "), "{out}{err}");
    let (_, json, _) = world.ask(&["status", "--json"], &world.ca());
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["gateway"], "test");
    let (code, out, err) = world.ask(&["top", "--once"], &world.ca());
    assert!(code == 0 && out.contains("the ledger balances"), "{out}{err}");
    assert_eq!(err, "", "the token is nobody else's");
    std::fs::set_permissions(&world.token, Permissions::from_mode(0o644)).unwrap();
    let (code, _, err) = world.ask(&["top", "--once"], &world.ca());
    assert!(code == 0 && err.starts_with("warning: others on this machine may use"), "{err}");
    std::fs::set_permissions(&world.token, Permissions::from_mode(0o600)).unwrap();
    let _client = Client::connect(world.stile.mqtt, "kitchen");
    let (code, out, err) = world.ask(&["clients"], &world.ca());
    assert!(code == 0 && out.contains("kitchen"), "{out}{err}");
    let (code, _, err) = world.ask(&["clients", "disconnect", "kitchen"], &world.ca());
    assert!(code == 1 && err.contains("this needs the role operator"), "{err}");
    let (code, out, err) = world.ask(&["uplink", "status"], &world.ca());
    assert!(code == 0 && out.contains("remote"), "{out}{err}");
    let (code, _, err) = world.ask(&["capture", "--radio", "roof", "--pcap", "-"], &world.ca());
    assert!(code == 1 && err.contains("no radio `roof`"), "{err}");
    std::thread::scope(|scope| {
        let tap = scope.spawn(|| world.ask(&["tap", "a/b", "-n", "1"], &world.ca()));
        while !tap.is_finished() {
            assert!(mosquitto_pub(world.stile.mqtt, "mqttv5", &["-t", "a/b", "-m", "hello"]).status.success());
        }
        let (code, out, err) = tap.join().unwrap();
        assert!(code == 0 && out.contains(" a/b hello"), "{out}{err}");
    });
}

#[test]
fn whom_it_does_not_know_it_tells_nothing_and_says_what_to_do() {
    let world = World::new();
    let config = world.stile.dir.path().join("stile.toml");
    let shown = command().args(["cert", "show", "--config"]).arg(config).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let own = shown.split("fingerprint ").nth(1).unwrap().split_whitespace().next().unwrap();
    let status = |options: &[&str]| world.ask(&["status"], options);
    assert!([0, 3].contains(&status(&["--fingerprint", own]).0));
    let other = "00".repeat(32);
    let (code, out, err) = status(&["--fingerprint", &other]);
    assert!(code == 1 && out.is_empty() && err.contains("--fingerprint; it is sha256:"), "{err}");
    // The system does not know it.
    let (code, _, err) = status(&[]);
    assert!(code == 1 && err.contains("--ca"), "{err}");
    let plain = world.url.replace("https://", "http://");
    let token = world.token.to_str().unwrap();
    let (code, _, err) = check(&["status", "--url", &plain, "--token-file", token]);
    assert!(code == 1 && err.starts_with("stile: "), "{err}");
    let (code, _, err) = check(&["status", "--url", "http://192.0.2.7:8080", "--token-file", token]);
    assert!(code == 1 && err.contains("everybody on the way could read the token"), "{err}");
    let ca = world.ca();
    let (code, _, err) = check(&["status", "--url", &world.url, ca[0], ca[1]]);
    assert!(code == 1 && err.contains("send a token"), "{err}");
    let wrong = world.stile.dir.path().join("wrong");
    std::fs::write(&wrong, "stile_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").unwrap();
    let (code, _, err) = check(&["status", "--url", &world.url, "--token-file", wrong.to_str().unwrap(), ca[0], ca[1]]);
    assert!(code == 1 && err.contains("the token is not known"), "{err}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, _, err) = check(&["status", "--url", &format!("https://{nobody}"), ca[0], ca[1]]);
    assert!(code == 1 && err.contains("is it running"), "{err}");
    for (arguments, named) in [
        (&["status", "--token-file", token][..], "--url"),
        (&["status", "--url", &world.url, "--data-dir", "data"], "--data-dir"),
        (&["status", "--url", &world.url, "--fingerprint", "abc"], "64 hex digits"),
    ] {
        let (code, _, err) = check(arguments);
        assert!(code == 2 && err.contains(named), "{err}");
    }
}
