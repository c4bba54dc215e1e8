//! The page by TLS: where others than this machine reach it.

use std::net::SocketAddr;

use stile_tests::packet::{Connect, V5};
use stile_tests::{PASSWORD, SecureWebSocketClient, Stile, Visitor};

/// A gateway whose page is not on loopback alone, and where it is reached.
pub(crate) fn gateway() -> (Stile, SocketAddr, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let stile =
        Stile::start_with(&[("STILE_ADMIN__LISTEN", "0.0.0.0:0"), ("STILE_BROKER__ALLOW_ANONYMOUS", "true")], dir);
    let address = SocketAddr::from(([127, 0, 0, 1], stile.admin.port()));
    let authority = stile.dir.path().join("data/tls/ca.pem");
    (stile, address, authority)
}

#[test]
fn it_speaks_tls_by_itself_and_its_cookie_is_bound_to_the_host() {
    let (stile, address, authority) = gateway();
    assert_eq!(stile.wait_log("serving the admin page")["scheme"], "https");
    let mut anna = Visitor::secure(address, &authority);
    let logged = stile.wait_log("nobody can sign in to the admin page yet; set it up with this code");
    let code = logged["code"].as_str().unwrap();
    let answer = anna.post("/setup", &[("code", code), ("name", "anna"), ("password", PASSWORD)]);
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with(&format!("__Host-stile-{}=", address.port())), "{cookie}");
    for part in ["; Secure", "; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    assert_eq!(anna.get("/").status, 200);
}

#[test]
fn strangers_learn_whether_it_is_well_and_nothing_more() {
    let (_stile, address, authority) = gateway();
    let mut stranger = Visitor::secure(address, &authority);
    assert_eq!(stranger.ask("GET", "/metrics", &[], "").status, 401);
    assert_eq!(stranger.ask("GET", "/healthz", &[], "").text(), "{\"healthy\":true}");
    assert_eq!(stranger.ask("GET", "/readyz", &[], "").status, 200);
    let text = stranger.get("/.well-known/security.txt").text();
    assert!(text.starts_with("Contact: https://") && text.contains("\nExpires: 20"), "{text}");
}

#[test]
fn plain_http_gets_no_answer_and_mqtt_over_websocket_goes_on() {
    let (stile, address, authority) = gateway();
    let plain = std::panic::catch_unwind(|| Visitor::new(address).get("/readyz").status);
    assert!(plain.is_err());
    let mut client = SecureWebSocketClient::open_secure(address, &authority);
    client.join(&Connect::new(V5, "me"));
    client.send(&[0xc0, 0]);
    assert_eq!(client.packet().first, 0xd0);
    drop(client);
    drop(stile);
}
