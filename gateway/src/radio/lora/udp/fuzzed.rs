//! What must hold for any datagrams.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;

use super::packet::{self, Kind};
use super::push;
use super::server::Server;
use crate::config::{Eui, LoraFormat, LoraKind, LoraRadio, SemtechUdp};
use crate::message::Message;
use crate::pipeline::{Intake, Pipeline};
use crate::radio::RadioStats;
use crate::radio::lora::fuzzed::script::{self, CLIENTS, Step};
use crate::radio::lora::fuzzed::{check_frame, check_stats, radio, refused, run, while_doing};

/// Gives datagrams to a server, each from one of three sources. Panics where one is not taken or refused exactly once, or
/// what becomes of it can't be read.
pub fn play(input: &[u8]) {
    run(async {
        let format = if input.len().is_multiple_of(2) { LoraFormat::Json } else { LoraFormat::Protobuf };
        let mut world = World::new(format).await;
        let mut source = 0;
        for step in script::read(input) {
            match step {
                Step::Client(client) => source = client,
                Step::Send(datagram) => world.take(&datagram, source).await,
                Step::Cut | Step::Settle => {}
            }
        }
    });
}

struct World {
    server: Server,
    pipeline: Arc<Pipeline>,
    intake: Intake,
    stats: Arc<RadioStats>,
    socket: UdpSocket,
    sources: [SocketAddr; CLIENTS],
    /// They take what is answered; nobody reads it.
    _sockets: Vec<UdpSocket>,
}

/// What a datagram must come to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    frames: usize,
    statistics: usize,
    refused: u64,
}

impl World {
    async fn new(format: LoraFormat) -> Self {
        let (pipeline, intake) = Pipeline::new(1);
        let udp = SemtechUdp { listen: ([127, 0, 0, 1], 0).into(), gateways: Vec::new(), rate_limit: 100_000 };
        let radio: Arc<LoraRadio> = radio(LoraKind::SemtechUdp(udp.clone()), format).into();
        let stats = Arc::new(RadioStats::of_lora());
        let server = Server::new(&radio, &udp, Arc::clone(&pipeline), Arc::clone(&stats)).expect("a usual radio");
        let mut sockets = Vec::new();
        for _ in 0..=CLIENTS {
            sockets.push(UdpSocket::bind(("127.0.0.1", 0)).await.expect("loopback has ports"));
        }
        let socket = sockets.swap_remove(0);
        let sources = [0, 1, 2].map(|index: usize| sockets[index].local_addr().expect("it is bound"));
        Self { server, pipeline, intake, stats, socket, sources, _sockets: sockets }
    }

    async fn take(&mut self, datagram: &[u8], source: usize) {
        let before = refused(&self.stats, &self.pipeline);
        let taken = self.server.take(&self.socket, datagram, self.sources[source]);
        let ((), messages) = while_doing(&mut self.intake, taken).await;
        let refused = refused(&self.stats, &self.pipeline) - before;
        let count = |last: &str| messages.iter().filter(|message| message.topic.as_str().ends_with(last)).count();
        let outcome = Outcome { frames: count("/event/up"), statistics: count("/event/stats"), refused };
        match packet::parse(datagram) {
            Err(_) => assert_eq!((outcome, messages.len()), (Outcome { refused: 1, ..Outcome::default() }, 0)),
            Ok(packet) => {
                assert_eq!(packet.json.len() + 12, datagram.len());
                assert_eq!(packet.eui.0.to_be_bytes(), datagram[4..12]);
                let admitted = self.server.gateways.get_mut(packet.eui).is_some();
                let expected = match packet.kind {
                    Kind::PushData if admitted => pushed(packet.json),
                    // Whose the way back is, and what was asked, is not known here.
                    Kind::PullData | Kind::TxAck if admitted => {
                        Outcome { refused: outcome.refused.min(1), ..Outcome::default() }
                    }
                    _ => Outcome { refused: 1, ..Outcome::default() },
                };
                assert_eq!(outcome, expected);
                messages.iter().for_each(|message| check(message, packet.eui));
            }
        }
    }
}

/// What a PUSH_DATA must come to, where all frames pass.
fn pushed(json: &[u8]) -> Outcome {
    let Ok(push) = push::parse(json) else { return Outcome { refused: 1, ..Outcome::default() } };
    let mut outcome = Outcome::default();
    for frame in &push.frames {
        match frame {
            Ok(rxpk) => outcome.frames += rxpk.signals.len(),
            Err(_) => outcome.refused += 1,
        }
    }
    match push.stat {
        Some(Ok(_)) => outcome.statistics += 1,
        Some(Err(_)) => outcome.refused += 1,
        None => {}
    }
    outcome
}

fn check(message: &Message, eui: Eui) {
    let topic = message.topic.as_str();
    assert!(topic.contains(&format!("/gateway/{eui}/")), "{topic}");
    if topic.ends_with("/event/up") {
        check_frame(&message.payload);
    } else if topic.ends_with("/event/stats") {
        check_stats(&message.payload);
    }
}
