//! What must hold for anything that Stations say.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::connection::{Told, What};
use super::message::{self, Said};
use super::server::Server;
use super::{id, uplink};
use crate::config::{BasicsStation, Eui, LoraFormat, LoraKind, LoraRadio};
use crate::pipeline::{Intake, Pipeline};
use crate::radio::RadioStats;
use crate::radio::lora::fuzzed::script::{self, CLIENTS, Step};
use crate::radio::lora::fuzzed::{check_frame, check_stats, radio, refused, run, while_doing};

/// What a Station is sent and does not read.
const OUTBOX: usize = 4;

/// Gives texts to a server, each on the connection of one of three Stations. Panics where one is not taken or refused exactly
/// once, or what becomes of it can't be read.
pub fn play(input: &[u8]) {
    run(async {
        let format = if input.len().is_multiple_of(2) { LoraFormat::Json } else { LoraFormat::Protobuf };
        let mut world = World::new(format);
        let mut station = 0;
        for step in script::read(input) {
            match step {
                Step::Client(client) => station = client,
                Step::Send(bytes) => world.say(station, bytes).await,
                Step::Cut => world.close(station).await,
                Step::Settle => {}
            }
        }
    });
}

struct World {
    server: Server,
    pipeline: Arc<Pipeline>,
    intake: Intake,
    stats: Arc<RadioStats>,
    /// What the server says to each, while it is connected: the connection's number, and the end at which nobody reads.
    links: [Option<(u64, mpsc::Receiver<String>)>; CLIENTS],
    connections: u64,
}

fn eui(station: usize) -> Eui {
    Eui(station as u64)
}

impl World {
    fn new(format: LoraFormat) -> Self {
        let (pipeline, intake) = Pipeline::new(1);
        let listen = ([127, 0, 0, 1], 0).into();
        let station = BasicsStation { listen, tls: None, gateways: Vec::new(), channels: Vec::new() };
        let radio: Arc<LoraRadio> = radio(LoraKind::BasicsStation(station.clone()), format).into();
        let stats = Arc::new(RadioStats::of_lora());
        let server = Server::new(&radio, &station, Arc::clone(&pipeline), Arc::clone(&stats)).expect("a usual radio");
        Self { server, pipeline, intake, stats, links: Default::default(), connections: 0 }
    }

    /// Connects a Station that is not. Gives the connection's number.
    async fn open(&mut self, station: usize) -> u64 {
        if let Some((number, _)) = &self.links[station] {
            return *number;
        }
        self.connections += 1;
        let (to, outbox) = mpsc::channel(OUTBOX);
        self.links[station] = Some((self.connections, outbox));
        self.tell(station, self.connections, What::Came(to, ([127, 0, 0, 1], 1).into())).await;
        self.connections
    }

    async fn close(&mut self, station: usize) {
        if let Some((number, _)) = self.links[station].take() {
            self.tell(station, number, What::Gone("it is cut".to_owned())).await;
        }
    }

    /// Tells the server; gives how many frames became messages and how often something was refused.
    async fn tell(&mut self, station: usize, number: u64, what: What) -> (usize, u64) {
        let before = refused(&self.stats, &self.pipeline);
        let told = self.server.told(Told { eui: eui(station), number, what });
        let ((), messages) = while_doing(&mut self.intake, told).await;
        let mut frames = 0;
        for message in messages {
            let topic = message.topic.as_str();
            assert!(topic.contains(&format!("/gateway/{}/", eui(station))), "{topic}");
            if topic.ends_with("/event/up") {
                frames += 1;
                check_frame(&message.payload);
            } else if topic.ends_with("/event/stats") {
                check_stats(&message.payload);
            }
        }
        (frames, refused(&self.stats, &self.pipeline) - before)
    }

    async fn say(&mut self, station: usize, bytes: Vec<u8>) {
        let number = self.open(station).await;
        let Ok(text) = String::from_utf8(bytes) else {
            // The WebSocket lets no such text through.
            assert_eq!(self.tell(station, number, What::Binary).await, (0, 1));
            return;
        };
        if let Some(eui) = id::parse(&text) {
            assert_eq!((id::parse(&eui.to_string()), id::parse(&id::as_id6(eui))), (Some(eui), Some(eui)));
        }
        let said = message::parse(&text);
        let outcome = self.tell(station, number, What::Text(text)).await;
        match said {
            Err(_) => assert_eq!(outcome, (0, 1)),
            // Whether the region has the data rate and the frequency.
            Ok(Said::Frame(frame)) => match uplink::sent(&frame.radio, &self.server.plan) {
                Ok(_) => assert_eq!(outcome, (1, 0)),
                Err(_) => assert_eq!(outcome, (0, 1)),
            },
            // Of a downlink that nobody asked for.
            Ok(Said::Sent(_)) => assert_eq!(outcome, (0, 1)),
            Ok(Said::Version(_) | Said::TimeSync { .. }) => assert_eq!(outcome, (0, 0)),
        }
    }
}
