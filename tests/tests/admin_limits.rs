//! The admin port among people who mean it no good.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use stile_tests::packet::V5;
use stile_tests::{PATIENCE, Stile, WebSocketClient, get, within};

/// A connection from an address of this machine's.
fn from(host: u8, to: SocketAddr) -> TcpStream {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0))).unwrap();
    connect(&socket, &to).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Over the socket, which has room whatever the port's visitors do.
fn refused(stile: &Stile) -> u64 {
    let socket = UnixStream::connect(stile.dir.path().join("data/stile.sock")).unwrap();
    let (_, page) = get(socket, "/metrics");
    let line = page.lines().find_map(|line| line.strip_prefix("stile_admin_connections_refused_total "));
    line.unwrap().parse().unwrap()
}

/// Whether somebody from there gets an answer.
fn is_served(host: u8, admin: SocketAddr) -> bool {
    let mut stream = from(host, admin);
    let asked = stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.contains("200 OK")
}

#[test]
fn one_who_holds_connections_open_leaves_room_for_others_and_loses_them_after_ten_seconds() {
    let stile = Stile::start("");
    let mut held: Vec<_> = (0..16).map(|_| from(1, stile.admin)).collect();
    for connection in &mut held {
        connection.write_all(b"GET /metrics HTTP/1.1\r\nHost:").unwrap();
    }
    let mut over = from(1, stile.admin);
    assert_eq!(over.read(&mut [0]).unwrap_or(0), 0);
    within("it is counted", || (refused(&stile) == 1).then_some(()));
    assert!(is_served(2, stile.admin));
    for connection in &mut held {
        assert_eq!(connection.read(&mut [0]).unwrap_or(0), 0, "it is cut off");
    }
    within("there is a place again", || is_served(1, stile.admin).then_some(()));
}

#[test]
fn a_websocket_takes_no_place_of_the_pages() {
    let stile = Stile::start("");
    let clients: Vec<_> = (0..40).map(|n| WebSocketClient::connect(stile.admin, V5, &format!("web {n}"))).collect();
    assert_eq!(stile.get("/readyz").0, 200);
    assert_eq!(refused(&stile), 0);
    drop(clients);
}

#[test]
fn all_places_together_are_bounded() {
    let stile = Stile::start("");
    let held: Vec<_> =
        (1..=4).flat_map(|host| (0..16).map(move |_| host)).map(|host| from(host, stile.admin)).collect();
    let mut over = from(9, stile.admin);
    assert_eq!(over.read(&mut [0]).unwrap_or(0), 0);
    within("it is counted", || (refused(&stile) == 1).then_some(()));
    drop(held);
    within("there is a place again", || is_served(9, stile.admin).then_some(()));
}
