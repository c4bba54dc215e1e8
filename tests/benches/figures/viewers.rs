//! What people who watch live messages cost the daemon, and those who publish and subscribe.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use stile_tests::{PATIENCE, Stile, Visitor};

use crate::brokers::quiet_folder;
use crate::paced::Stream;
use crate::process::cpu;
use crate::report::{information, micros, percentile, target};

const VIEWERS: u8 = 50;
/// The admin port takes no more than 16 connections of one address.
const OF_AN_ADDRESS: u8 = 10;
/// A hundred messages a second, for ten seconds.
const STEP: Duration = Duration::from_millis(10);
const MESSAGES: usize = 1_000;
const TOPIC: &str = "bench/viewed";
/// Until the last event is with all viewers.
const SETTLE: Duration = Duration::from_millis(500);
/// Of one core, in percent.
const CPU_MAX: f64 = 5.0;

/// Rows for a table that others began.
pub(crate) fn run() {
    let stile = Stile::start_in(quiet_folder(), "", "");
    let anna = Visitor::first(&stile);
    let (alone, alone_p99) = messages(&stile);
    let viewers: Vec<_> = (0..VIEWERS).map(|number| Viewer::come(&stile, &anna, number)).collect();
    let (watched, watched_p99) = messages(&stile);
    std::thread::sleep(SETTLE);
    let seen: Vec<_> = viewers.into_iter().map(Viewer::leave).collect();
    assert!(seen.iter().all(|seen| *seen >= MESSAGES), "somebody was not told of all: {seen:?}");
    let more = watched - alone;
    eprintln!("   {VIEWERS} viewers: {watched:.1} % of a core, {alone:.1} % without, p99 {watched_p99:.0} µs");
    let figure = format!("CPU that {VIEWERS} viewers cost at 100 messages a second");
    target(&figure, &format!("{more:.1} % of a core"), "< 5 %", more < CPU_MAX);
    information("CPU of the daemon at 100 messages a second, without viewers", &format!("{alone:.1} % of a core"));
    information("p99 of a subscriber, without viewers", &format!("{alone_p99:.0} µs"));
    information(&format!("The same beside {VIEWERS} viewers"), &format!("{watched_p99:.0} µs"));
}

/// The daemon's share of a core, and the subscriber's p99, while messages come at their pace.
fn messages(stile: &Stile) -> (f64, f64) {
    let before = (Instant::now(), cpu(stile.pid()));
    let times = Stream::start(stile.mqtt, TOPIC, 1, 0).run_at(STEP, MESSAGES);
    let share = (cpu(stile.pid()) - before.1).as_secs_f64() / before.0.elapsed().as_secs_f64() * 100.0;
    (share, micros(percentile(&times, 99)))
}

/// Somebody who reads live messages, on a thread of his own.
struct Viewer {
    socket: TcpStream,
    /// How many messages he was shown, or told that he had missed.
    seen: JoinHandle<usize>,
}

impl Viewer {
    /// Comes with anna's session, and waits until the stream is open.
    fn come(stile: &Stile, anna: &Visitor, number: u8) -> Self {
        let socket = connect_from(Ipv4Addr::new(127, 0, 0, 2 + number / OF_AN_ADDRESS), stile.admin);
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let cookies: Vec<_> = anna.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let head =
            format!("GET /api/v1/live?filter={TOPIC} HTTP/1.1\r\nHost: {}\r\nCookie: {cookies}\r\n\r\n", stile.admin);
        (&socket).write_all(head.as_bytes()).unwrap();
        let mut reader = BufReader::new(socket.try_clone().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        while line != "\r\n" {
            line.clear();
            assert!(reader.read_line(&mut line).unwrap() > 0, "the stream has ended");
        }
        Self { socket, seen: std::thread::spawn(move || read(reader)) }
    }

    fn leave(self) -> usize {
        self.socket.shutdown(Shutdown::Both).unwrap();
        self.seen.join().unwrap()
    }
}

/// Reads to the end.
fn read(reader: BufReader<TcpStream>) -> usize {
    let shown = format!("\"topic\":\"{TOPIC}\"");
    let of = |line: &str| match line.strip_prefix("data: {\"missed\":") {
        Some(missed) => missed.trim_end_matches('}').parse().unwrap(),
        None => line.matches(&shown).count(),
    };
    reader.lines().map_while(Result::ok).map(|line| of(&line)).sum()
}

/// Connects from an address of this machine.
fn connect_from(address: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddrV4::new(address, 0)).unwrap();
    connect(&socket, &to).unwrap();
    TcpStream::from(socket)
}
