//! What proxies and web servers may answer, over a pipe.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::config::{Password, ProxyUrl, Secret};
use crate::websocket::accept_of;

fn proxy(kind: ProxyKind, user: bool) -> Proxy {
    let url = ProxyUrl { kind, host: "proxy".into(), port: 1 };
    let password = user.then(|| Password::Password(Secret::new("open")));
    Proxy { url, user: user.then(|| "sesame".to_owned()), password }
}

/// Reads a request's head.
async fn request(stream: &mut DuplexStream) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(read).unwrap()
}

/// What comes of a proxy that is asked for a host and answers this; and what it was asked.
async fn asked(user: bool, host: &str, answer: &[u8]) -> (Result<(), String>, String) {
    let (mut near, mut far) = duplex(1 << 16);
    let proxy = proxy(ProxyKind::Http, user);
    let talk = async {
        let request = request(&mut far).await;
        far.write_all(answer).await.unwrap();
        far.shutdown().await.unwrap();
        request
    };
    let (met, request) = tokio::join!(http_proxy::connect(&proxy, &mut near, host, 443), talk);
    (met, request)
}

#[tokio::test]
async fn a_proxy_of_http_is_asked_for_the_remote_and_its_no_comes_with_a_remedy() {
    let (met, request) = asked(true, "host.example", b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n").await;
    assert_eq!(met, Ok(()));
    let lines: Vec<_> = request.lines().collect();
    // `printf 'sesame:open' | base64`
    let wanted = [
        "CONNECT host.example:443 HTTP/1.1",
        "Host: host.example:443",
        "Proxy-Authorization: Basic c2VzYW1lOm9wZW4=",
        "",
    ];
    assert_eq!(lines, wanted);
    let (_, request) = asked(false, "::1", b"").await;
    assert!(request.starts_with("CONNECT [::1]:443 HTTP/1.1\r\n") && !request.contains("Basic"), "{request}");
    let endless = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 60_000]].concat();
    let many = [b"HTTP/1.1 200 OK\r\n".to_vec(), b"X: y\r\n".repeat(200)].concat();
    for (user, answer, why) in [
        (false, &b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"[..], "write its `user` and `password-file`"),
        (true, b"HTTP/1.0 401 Unauthorized\r\n\r\n", "look at its `user` and `password-file`"),
        (false, b"HTTP/1.1 403 Forbidden\r\n\r\n", "ask whoever runs it"),
        (false, b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "look at the `url` of the uplink"),
        (false, b"HTTP/1.1 200 OK\r\n\r\nmore", "says more than that it is connected"),
        (false, b"SSH-2.0-OpenSSH\r\n\r\n", "does not speak HTTP"),
        (false, b"", "closed the connection without an answer"),
        (false, b"HTTP/1.1 2", "closed the connection without an answer"),
        (false, &endless, "headers that do not end"),
        (false, &many, "does not speak HTTP"),
    ] {
        let (met, _) = asked(user, "host", answer).await;
        let said = met.unwrap_err();
        assert!(said.contains(why), "{said}");
    }
}

/// What comes of a SOCKS5 proxy that answers this, whatever it is asked; and what it was asked.
async fn socksed(user: bool, host: &str, answer: &[u8]) -> (Result<(), String>, Vec<u8>) {
    let (mut near, mut far) = duplex(1 << 16);
    far.write_all(answer).await.unwrap();
    far.shutdown().await.unwrap();
    let met = socks::connect(&proxy(ProxyKind::Socks5, user), &mut near, host, 0x1234).await;
    drop(near);
    let mut asked = Vec::new();
    far.read_to_end(&mut asked).await.unwrap();
    (met, asked)
}

const YES: &[u8] = &[5, 0, 0, 1, 10, 0, 0, 1, 0, 1];

#[tokio::test]
async fn a_proxy_of_socks_gets_the_name_or_the_address_and_a_user_if_it_wants_one() {
    let (met, asked) = socksed(false, "host", &[&[5, 0], YES].concat()).await;
    assert_eq!((met, &asked[..]), (Ok(()), &b"\x05\x01\x00\x05\x01\x00\x03\x04host\x12\x34"[..]));
    let (met, asked) = socksed(true, "127.0.0.1", &[&[5, 2, 1, 0], YES].concat()).await;
    let wanted = b"\x05\x02\x00\x02\x01\x06sesame\x04open\x05\x01\x00\x01\x7f\x00\x00\x01\x12\x34";
    assert_eq!((met, &asked[..]), (Ok(()), &wanted[..]));
    let (met, asked) = socksed(true, "::1", &[&[5, 0][..], &[5, 0, 0, 4], &[0; 18]].concat()).await;
    assert_eq!((met, asked[4 + 3], asked.len()), (Ok(()), 4, 4 + 4 + 16 + 2));
    let named = [&[5, 0][..], &[5, 0, 0, 3, 255], &[b'x'; 257]].concat();
    assert_eq!(socksed(false, "host", &named).await.0, Ok(()));
}

#[tokio::test]
async fn the_no_of_a_proxy_of_socks_is_told_in_words() {
    for (user, answer, why) in [
        (false, &[5, 0xff][..], "does not let strangers in"),
        (false, &[5, 2], "does not let strangers in"),
        (true, &[5, 0xff], "neither strangers nor users"),
        (true, &[5, 7], "does not speak SOCKS5"),
        (false, &[5, 1], "does not speak SOCKS5"),
        (true, &[5, 2, 1, 1], "refuses the gateway"),
        (false, &[4, 0], "does not speak SOCKS5"),
        (false, b"HTTP/1.1 400", "does not speak SOCKS5"),
        (false, &[5, 0, 5, 2, 0, 1], "ask whoever runs it to allow"),
        (false, &[5, 0, 5, 5, 0, 1], "answers `connection refused` to the wish for host:4660; look at"),
        (false, &[5, 0, 5, 99, 0, 1], "does not speak SOCKS5"),
        (false, &[5, 0, 5, 1, 0, 1], "look at its own network"),
        (false, &[5, 0, 5, 0, 0, 2], "does not speak SOCKS5"),
        (false, &[5, 0, 5, 0, 0, 1, 0], "closed the connection"),
        (false, &[], "closed the connection"),
    ] {
        let said = socksed(user, "host", answer).await.0.unwrap_err();
        assert!(said.contains(why), "{said}, not {why}");
    }
}

/// What comes of a web server that answers this to a request for a WebSocket; `KEY` becomes the right answer to the key.
async fn upgraded(answer: &str, behind: &[u8]) -> Result<Vec<u8>, String> {
    let (near, mut far) = duplex(1 << 20);
    let url = Url { tls: false, host: "host".into(), port: 80, websocket: Some("/a?b".into()) };
    let upgrade = async {
        let opened = websocket::upgrade(Box::new(near), &url, "/a?b", 1000).await;
        let mut stream = opened.map_err(|trouble| trouble.to_string())?;
        let mut read = Vec::new();
        let end = stream.read_to_end(&mut read).await;
        end.map(|_| read).map_err(|error| Trouble::from(error).to_string())
    };
    let talk = async {
        let request = request(&mut far).await;
        let mut lines = request.lines();
        assert_eq!(lines.next(), Some("GET /a?b HTTP/1.1"));
        assert!(request.contains("\r\nHost: host\r\n") && request.contains("\r\nSec-WebSocket-Protocol: mqtt\r\n"));
        let key = lines.find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        far.write_all(answer.replace("KEY", &accept_of(key)).as_bytes()).await.unwrap();
        far.write_all(behind).await.unwrap();
        far.shutdown().await.unwrap();
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).await.unwrap();
    };
    tokio::join!(upgrade, talk).0
}

const UPGRADED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: KEY\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

#[tokio::test]
async fn a_websocket_begins_with_the_right_answer_and_what_comes_with_it_is_not_lost() {
    assert_eq!(upgraded(UPGRADED, b"\x82\x04data\x88\x00").await, Ok(b"data".to_vec()));
    for (from, to, why) in [
        ("101 Switching Protocols", "403 Forbidden", "answers 403 Forbidden"),
        ("101 Switching Protocols", "404 Not Found", "write the path"),
        ("101 Switching Protocols\r\n", "302 Found\r\nLocation: https://else\r\n", "it is elsewhere: https://else"),
        ("101 Switching Protocols", "200 OK", "is there a WebSocket?"),
        ("KEY", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "has not read the request"),
        ("Protocol: mqtt", "Protocol: chat", "does not agree to the subprotocol"),
        ("Sec-WebSocket-Protocol: mqtt\r\n", "", "does not agree to the subprotocol"),
        ("Upgrade: websocket", "Upgrade: h2c", "no WebSocket"),
        ("Connection: Upgrade", "Sec-WebSocket-Extensions: permessage-deflate\r\nConnection: Upgrade", "an extension"),
        ("HTTP/1.1 101", "\x10\x02", "does not speak HTTP"),
    ] {
        let said = upgraded(&UPGRADED.replace(from, to), b"").await.unwrap_err();
        assert!(said.contains(why), "{said}, not {why}");
    }
}

#[tokio::test]
async fn frames_that_a_server_may_not_send_end_the_connection_with_a_word_about_them() {
    for (frame, why) in [
        (&b"\x81\x04text"[..], "a text frame"),
        (b"\x82\x84\0\0\0\0data", "a frame that WebSocket forbids"),
        (b"\x82\x7e\x03\xe9", "larger than `max-packet-size`"),
        (b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "larger than `max-packet-size`"),
    ] {
        let said = upgraded(UPGRADED, frame).await.unwrap_err();
        assert!(said.contains(why), "{said}");
    }
}
