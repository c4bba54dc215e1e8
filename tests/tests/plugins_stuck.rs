//! A reload that can't change the plugins says so to whoever asked for it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use stile_tests::packet::V5;
use stile_tests::{RawClient, Stile, counter};

/// The answer to a reload that is asked for on the socket.
fn reload(stile: &Stile) -> String {
    let mut socket = UnixStream::connect(stile.dir.path().join("data/stile.sock")).unwrap();
    socket.write_all(b"POST /reload HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn whoever_asks_for_a_reload_is_told_that_plugins_could_not_be_changed() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("counter.wasm"), counter("(loop $on (br $on))")).unwrap();
    let plugin = |name: &str| {
        let file = dir.path().join("counter.wasm");
        let limits = "[plugin.limits]\ncpu = \"6s\"\n";
        format!("[[plugin]]\nname = {name:?}\nfile = {file:?}\ntopics = [\"t\"]\ngrants = [\"kv\"]\n{limits}")
    };
    let (one, both) = (plugin("one"), plugin("one") + &plugin("two"));
    let path = dir.path().to_owned();
    let stile = Stile::start_in(dir, "", &one);
    assert!(reload(&stile).starts_with("HTTP/1.1 200"));
    let mut client = RawClient::connect(stile.mqtt, V5, "sends");
    client.send(&stile_tests::packet::publish(V5, 0, "t", 0, &[], b"x"));
    stile.wait_metric("stile_messages_in_flight", |messages| messages == 1.0);
    std::fs::create_dir_all(path.join("conf.d")).unwrap();
    std::fs::write(path.join("conf.d/second.toml"), both.replacen(&one, "", 1)).unwrap();
    let answer = reload(&stile);
    assert!(answer.starts_with("HTTP/1.1 409"), "{answer}");
    assert!(answer.contains("plugins could not be changed, and those of before go on: "), "{answer}");
    assert!(answer.contains("all else is taken"), "{answer}");
    // Once it has been cut, there is a way again.
    stile.wait_metric("stile_messages_in_flight", |messages| messages == 0.0);
    let answer = reload(&stile);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
