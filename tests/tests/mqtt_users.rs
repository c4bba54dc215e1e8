//! Who may come in: users, passwords, and the answer to those who may not, in the words of each version.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::time::Instant;

use stile_tests::packet::{Connect, V5, V311};
use stile_tests::{RawClient, Stile, check, mosquitto_pub};

const REFUSED: &str = "stile_mqtt_clients_refused_total{reason=\"credentials\"}";

/// A gateway with two users, the password of one in a file.
fn guarded() -> Stile {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "from a file\n").unwrap();
    let users = format!(
        "[[broker.user]]\nname = \"ops\"\npassword = \"s3cret\"\n\
         [[broker.user]]\nname = \"filed\"\npassword-file = {file:?}\n"
    );
    Stile::start_in(dir, "", &users)
}

#[test]
fn the_right_password_opens_and_a_wrong_or_missing_one_is_refused_in_the_words_of_each_version() {
    let attempts: [(Option<&str>, Option<&[u8]>); 9] = [
        (None, None),
        (Some("ops"), None),
        (Some("ops"), Some(b"")),
        (Some("ops"), Some(b"S3cret")),
        (Some("ops"), Some(b"s3cret ")),
        (Some("ops"), Some(b"\xff\xfe\x00")),
        (Some("ops"), Some(b"from a file")),
        (Some("filed"), Some(b"from a file\n")),
        (Some("nobody"), Some(b"s3cret")),
    ];
    for version in [3, V311, V5] {
        // The right password does not make wrong ones forgotten, so each version has a gateway to itself.
        let stile = guarded();
        for (user, password) in [("ops", "s3cret"), ("filed", "from a file")] {
            let connect =
                Connect { user: Some(user), password: Some(password.into()), ..Connect::new(version, "good") };
            RawClient::with(stile.mqtt, &connect).disconnect();
        }
        for (user, password) in attempts {
            // 3.1 and 3.1.1 forbid a password without a user name, not a user name without a password.
            let connect = Connect { user, password: password.map(<[u8]>::to_vec), ..Connect::new(version, "bad") };
            let (client, connack) = RawClient::meet(stile.mqtt, &connect);
            let code = match (version, user) {
                (V5, Some(_)) => 0x86,
                (V5, None) => 0x87,
                (_, Some(_)) => 4,
                (_, None) => 5,
            };
            assert_eq!(connack.body[..2], [0, code], "{version} {user:?} {password:?}");
            assert_eq!(client.expect_closed(), []);
        }
        // Counted behind the answer.
        stile.wait_metric(REFUSED, |count| count == 9.0);
    }
}

#[test]
fn mosquitto_says_why_it_may_not_come_in_and_no_password_is_logged() {
    let stile = guarded();
    let publish = |arguments: &[&str]| {
        let all = [&["-t", "a", "-m", "x", "-q", "1"], arguments].concat();
        mosquitto_pub(stile.mqtt, "mqttv311", &all)
    };
    assert!(publish(&["-u", "ops", "-P", "s3cret"]).status.success());
    let refused = publish(&["-u", "ops", "-P", "guessed-by-me"]);
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("bad user name or password"), "{said}");
    stile.wait_record("refused for its credentials", |record| record["reason"] == "credentials");
    let log = format!("{:?}", stile.log());
    assert!(!log.contains("s3cret") && !log.contains("guessed-by-me") && !log.contains("from a file"), "{log}");
}

#[test]
fn many_clients_that_are_refused_do_not_fill_the_log() {
    let stile = guarded();
    let started = Instant::now();
    for _ in 0..100 {
        let (_, connack) = RawClient::meet(stile.mqtt, &Connect::new(V5, "nameless"));
        assert_eq!(connack.body[1], 0x87);
    }
    stile.wait_metric(REFUSED, |count| count == 100.0);
    let lines = stile.logged("client refused").len() as u64;
    assert!((1..=started.elapsed().as_secs() + 1).contains(&lines), "{lines}");
}

#[test]
fn a_listener_that_others_can_reach_needs_users_or_a_clear_word() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("stile.toml");
    let open = "[broker]\nlisten = [\"0.0.0.0:18830\"]\n";
    let check_with = |more: &str| {
        std::fs::write(&file, format!("[gateway]\nid = \"x\"\n{open}{more}")).unwrap();
        check(&["check", file.to_str().unwrap()])
    };
    let (code, _, said) = check_with("");
    assert_eq!(code, 78, "{said}");
    assert!(said.contains("0.0.0.0:18830") && said.contains("[[broker.user]]"), "{said}");
    assert_eq!(check_with("allow-anonymous = true\n").0, 0);
    assert_eq!(check_with("[[broker.user]]\nname = \"a\"\npassword = \"b\"\n").0, 0);
}
