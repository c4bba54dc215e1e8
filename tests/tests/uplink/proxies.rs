//! Through proxies: Debian's tinyproxy and microsocks, and ones that a test plays.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketType};
use stile_tests::{Mosquitto, Proxy, Stile, check};

use super::secured::{gets_there, is_refused, named, secured};
use super::start;

/// An uplink through a proxy; the remote by its name, so that the proxy resolves it.
fn uplink(scheme: &str, port: u16, proxy: &str, more: &str) -> String {
    format!(
        "[[uplink]]\nname = \"up\"\nurl = \"{scheme}://localhost:{port}\"\nproxy = {{ {proxy} }}\n\
         topics = [{{ filter = \"n/#\" }}]\n{more}\n"
    )
}

/// A place where nobody listens, and nobody else can while the socket is kept.
fn nobody() -> (OwnedFd, SocketAddr) {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = rustix::net::getsockname(&socket).unwrap().try_into().unwrap();
    (socket, address)
}

fn user(name: &str) -> String {
    format!("user = \"{name}\", password = \"open\"")
}

#[test]
fn a_proxy_of_http_leads_to_the_remote_with_and_without_tls() {
    let plain = Mosquitto::start();
    let (remote, ca) = secured(super::websocket::LISTENER);
    let proxy = Proxy::tinyproxy("");
    let at = format!("url = \"http://{}\"", proxy.address);
    gets_there(&start(&uplink("mqtt", plain.address.port(), &at, "")));
    let settings = uplink("wss", remote.address.port(), &at, &named("ca", &ca.file));
    gets_there(&start(&settings));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("stile.toml");
    std::fs::write(&file, Stile::settings(dir.path(), "", &settings)).unwrap();
    let (code, said, error) = check(&["uplink", "test", "up", "--config", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[1], format!("connected to {} from 127.0.0.1", proxy.address), "{said}");
    assert_eq!(lines[2], format!("the proxy http://{} has reached the remote", proxy.address), "{said}");
    assert!(lines[3].starts_with("TLSv1_3") && said.contains("WebSocket at /mqtt"), "{said}");
    // Somebody else's certificate is as little taken as without a proxy.
    is_refused(
        &uplink("wss", remote.address.port(), &at, &format!("pin = \"{}\"", "00".repeat(32))),
        "not the one of `pin`",
    );
}

#[test]
fn a_proxy_of_http_that_wants_a_user_gets_one() {
    let remote = Mosquitto::start();
    let proxy = Proxy::tinyproxy("BasicAuth sesame open");
    let with =
        |more: &str| uplink("mqtt", remote.address.port(), &format!("url = \"http://{}\"{more}", proxy.address), "");
    gets_there(&start(&with(&format!(", {}", user("sesame")))));
    is_refused(&with(""), "write its `user` and `password-file`");
    is_refused(&with(&format!(", {}", user("stranger"))), "look at its `user` and `password-file`");
}

#[test]
fn a_proxy_of_http_that_allows_no_such_port_says_so() {
    let remote = Mosquitto::start();
    let proxy = Proxy::tinyproxy("ConnectPort 443");
    let settings = uplink("mqtt", remote.address.port(), &format!("url = \"http://{}\"", proxy.address), "");
    is_refused(&settings, "ask whoever runs it to allow that place and port");
}

#[test]
fn a_proxy_of_socks_leads_to_the_remote_and_resolves_its_name() {
    let remote = Mosquitto::start();
    let (open, closed) = (Proxy::microsocks(None), Proxy::microsocks(Some(("sesame", "open"))));
    let with = |proxy: &Proxy, more: &str| {
        uplink("mqtt", remote.address.port(), &format!("url = \"socks5://{}\"{more}", proxy.address), "")
    };
    gets_there(&start(&with(&open, "")));
    gets_there(&start(&with(&closed, &format!(", {}", user("sesame")))));
    is_refused(&with(&closed, ""), "does not let strangers in; write its `user` and `password-file`");
    is_refused(&with(&closed, &format!(", {}", user("stranger"))), "look at its `user` and `password-file`");
    let (_kept, nobody) = nobody();
    let settings = uplink("mqtt", nobody.port(), &format!("url = \"socks5://{}\"", open.address), "");
    is_refused(&settings, "answers `connection refused` to the wish for localhost");
}

#[test]
fn a_proxy_that_is_not_there_or_is_none_or_says_nothing_is_told_of_and_the_next_path_is_taken() {
    let remote = Mosquitto::start();
    let (_kept, nobody) = nobody();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let good = Proxy::microsocks(None);
    for (proxy, why) in [
        (format!("http://{nobody}"), "can't be reached"),
        (format!("socks5://{nobody}"), "can't be reached"),
        (format!("http://{}", silent.local_addr().unwrap()), "takes too long to answer"),
        (format!("socks5://{}", silent.local_addr().unwrap()), "takes too long to answer"),
        // The one language where the other is spoken.
        (format!("http://{}", good.address), ""),
    ] {
        let paths = format!(
            "paths = [{{ name = \"bad\", proxy = {{ url = \"{proxy}\" }} }}, {{ name = \"good\" }}]\npath-timeout = \"1s\""
        );
        let at = format!("url = \"socks5://{}\"", good.address);
        let stile = start(&uplink("mqtt", remote.address.port(), &at, &paths));
        gets_there(&stile);
        assert_eq!(stile.metric("stile_uplink_path_current{uplink=\"up\",path=\"good\"}"), 1.0);
        let failed =
            stile.wait_record("the path failed", |line| line["message"] == "a path failed" && line["path"] == "bad");
        let error = failed["error"].as_str().unwrap();
        assert!(error.starts_with(&format!("the proxy {proxy} ")) && error.contains(why), "{error}");
    }
}

#[test]
fn the_environment_names_no_proxy() {
    let remote = Mosquitto::start();
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("http://{}", trap.local_addr().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("stile.toml");
    std::fs::write(&file, Stile::settings(dir.path(), "", &super::uplink("up", remote.address, super::EVERYTHING, "")))
        .unwrap();
    let mut command = stile_tests::command();
    for name in ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, &place);
    }
    let output = command.args(["uplink", "test", "up", "--config"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    trap.set_nonblocking(true).unwrap();
    assert!(trap.accept().map(|(mut stream, _)| stream.read(&mut [0])).is_err(), "it was asked");
}
