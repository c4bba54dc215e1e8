//! MQTT over WebSocket over TLS: the certificate and the rules of TLS, and the framing of WebSocket.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::net::SocketAddr;
use std::process::Command;

use stile_tests::packet::{Connect, V5, V311, publish, subscribe};
use stile_tests::{Authority, Neighbour, SecureWebSocketClient, Stile, WebSocketClient};

const OPEN: &str = "listening for MQTT over WebSocket over TLS";

struct Guarded {
    stile: Stile,
    wss: SocketAddr,
    ca: Authority,
}

/// A gateway with no other door for TLS than this one.
fn guarded(tls: &str, rest: &str) -> Guarded {
    let dir = tempfile::tempdir().unwrap();
    let ca = Authority::new(dir.path(), "ca");
    ca.sign("server", Some("stile"));
    let files = "certificate = \"server.pem\"\nkey = \"server.key\"\n";
    let rest = format!("{rest}[broker.tls]\nwebsocket-listen = [\"127.0.0.1:0\"]\n{files}{tls}");
    let stile = Stile::start_in(dir, "", &rest);
    let wss = stile.door(OPEN);
    Guarded { stile, wss, ca }
}

#[test]
fn clients_of_both_versions_talk_over_it_also_in_large_messages() {
    let Guarded { stile, wss, ca } = guarded("", "");
    let mut neighbour = Neighbour::of(&stile);
    for version in [V311, V5] {
        let mut client = SecureWebSocketClient::open_secure(wss, &ca.file);
        client.join(&Connect::new(version, "me"));
        client.send(&subscribe(version, &[("a", 0)], &[]));
        assert_eq!(client.packet().first, 0x90);
        for size in [1, 100, 60_000, 200_000] {
            client.send(&publish(version, 0, "a", 0, &[], "x".repeat(size)));
            assert_eq!(client.packet().publish(version).text.len(), size);
        }
        client.send(&[0xe0, 0]);
    }
    neighbour.is_well();
}

#[test]
fn who_comes_without_tls_or_without_websocket_gets_nowhere() {
    let Guarded { stile, wss, ca } = guarded("", "");
    assert!(std::panic::catch_unwind(|| WebSocketClient::open(wss)).is_err());
    stile.wait_metric("stile_mqtt_tls_handshakes_failed_total{reason=\"not-tls\"}", |count| count == 1.0);
    // MQTT at once, as on the other port for TLS.
    let output = Command::new("mosquitto_pub")
        .args(["-h", "localhost", "-p", &wss.port().to_string(), "-t", "a", "-m", "x"])
        .arg("--cafile")
        .arg(&ca.file)
        .output()
        .unwrap();
    assert!(!output.status.success());
    stile.wait_metric("stile_mqtt_clients_refused_total{reason=\"protocol-error\"}", |count| count == 1.0);
    Neighbour::of(&stile).is_well();
}

#[test]
fn users_and_certificates_count_as_on_any_door_with_tls() {
    let user = "[[broker.user]]\nname = \"ops\"\npassword = \"s3cret\"\n";
    let open = guarded("", user);
    let mut client = SecureWebSocketClient::open_secure(open.wss, &open.ca.file);
    client.send(&Connect::new(V5, "nameless").bytes());
    assert_eq!(client.packet().body[1], 0x87, "not authorized");
    let mut client = SecureWebSocketClient::open_secure(open.wss, &open.ca.file);
    client.join(&Connect { user: Some("ops"), password: Some(b"s3cret".to_vec()), ..Connect::new(V5, "named") });
    // Where a certificate is required, one without does not get to speak of WebSocket at all.
    let closed = guarded("client-ca = \"ca.pem\"\n", "");
    let (wss, ca) = (closed.wss, closed.ca.file.clone());
    assert!(std::panic::catch_unwind(|| SecureWebSocketClient::open_secure(wss, &ca)).is_err());
    let failed = "stile_mqtt_tls_handshakes_failed_total{reason=\"no-certificate\"}";
    closed.stile.wait_metric(failed, |count| count == 1.0);
}
