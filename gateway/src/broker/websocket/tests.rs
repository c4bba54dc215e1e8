//! Requests, without sockets.

use tokio::io::{AsyncWriteExt, duplex};

use super::upgrade::{self, Refused, judge};

/// A good request's headers, with one changed; `None` leaves it out.
fn judged(changed: &str, value: Option<&str>) -> Result<String, Refused> {
    let good = [
        ("Upgrade", "websocket"),
        ("Connection", "keep-alive, Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol", "mqttv3.1, mqtt"),
        ("Host", "Roof:8080"),
        ("Origin", "http://roof:8080"),
    ];
    let kept = good
        .into_iter()
        .filter_map(|(name, usual)| if name == changed { value.map(|v| (name, v)) } else { Some((name, usual)) });
    judge(&kept.map(|(name, value)| (name, value.as_bytes())).collect::<Vec<_>>())
}

#[test]
fn a_request_is_judged_by_each_of_its_headers() {
    // The example of RFC 6455, section 1.3.
    assert_eq!(judged("", None).as_deref(), Ok("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(judged("Upgrade", None), Err(Refused::NoUpgrade));
    assert_eq!(judged("Upgrade", Some("h2c")), Err(Refused::NoUpgrade));
    assert_eq!(judged("Connection", Some("close")), Err(Refused::NoUpgrade));
    assert_eq!(judged("Sec-WebSocket-Version", Some("8")), Err(Refused::Version));
    assert_eq!(judged("Sec-WebSocket-Version", None), Err(Refused::Version));
    assert_eq!(judged("Sec-WebSocket-Key", Some("c2hvcnQ=")), Err(Refused::NoUpgrade));
    assert_eq!(judged("Sec-WebSocket-Key", None), Err(Refused::NoUpgrade));
    assert_eq!(judged("Sec-WebSocket-Protocol", Some("mqttv3.1")), Err(Refused::Subprotocol));
    assert_eq!(judged("Sec-WebSocket-Protocol", None), Err(Refused::Subprotocol));
    assert!(judged("Origin", None).is_ok(), "no browser");
    assert!(judged("Origin", Some("https://roof")).is_ok(), "another port of the same host");
    for foreign in ["http://roof.example", "null", "http://[::1]", "roof:8080", "http://"] {
        assert_eq!(judged("Origin", Some(foreign)), Err(Refused::Origin), "{foreign}");
    }
    assert_eq!(judged("Host", None), Err(Refused::Origin));
}

#[tokio::test]
async fn a_request_that_does_not_end_is_given_up_while_it_is_small() {
    let (mut near, mut far) = duplex(100_000);
    far.write_all(b"GET /mqtt HTTP/1.1\r\nX: ").await.unwrap();
    far.write_all(&[b'x'; 50_000]).await.unwrap();
    let error = upgrade::read(&mut near).await.unwrap_err();
    assert_eq!(error.to_string(), "a request that is too long");
}
