//! A LoRa Basics Station: it asks where to go, goes there, is told its channels, says what is heard of the devices and sends
//! what it is to send (doc.sm.tc/station/tcproto.html). A connection that ends is opened again.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use super::air::{Air, Heard};
use crate::config::{Eui, Region, SimulatedGateway};
use crate::wait::sleep_until;

/// Between the end of a connection and the next.
const AGAIN: Duration = Duration::from_secs(1);

/// How long the server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// No answer to an uplink is later: 15 s, and one more to the second window.
const LATEST: Duration = Duration::from_secs(16);

/// What its count of microseconds begins with: the number of its session.
const SESSION: i64 = 1 << 48;

/// Runs it until told to stop.
pub(super) async fn run(settings: &SimulatedGateway, region: Region, server: SocketAddr, stop: &CancellationToken) {
    let mut station = Station {
        eui: super::eui(settings.seed),
        air: Air::new(settings, region),
        period: settings.period,
        began: Instant::now(),
        sent: Vec::new(),
    };
    let serve = async {
        loop {
            let Err(why) = station.connect(server).await;
            log::debug!(gateway:% = station.eui, reason = why; "made-up Basics Station is cut off; it connects again");
            sleep(AGAIN).await;
        }
    };
    let _: Option<()> = stop.run_until_cancelled(serve).await;
}

struct Station {
    eui: Eui,
    air: Air,
    period: Duration,
    began: Instant,
    /// What is to be said of frames when they are sent, with their times.
    sent: Vec<(Instant, Value)>,
}

type Socket = WebSocketStream<TcpStream>;

/// Why a connection has ended.
type Cut = String;

async fn open(server: SocketAddr, path: &str) -> Result<Socket, Cut> {
    let opened = async {
        let stream = TcpStream::connect(server).await.map_err(|error| error.to_string())?;
        let opened = tokio_tungstenite::client_async(format!("ws://{server}{path}"), stream).await;
        opened.map(|(socket, _)| socket).map_err(|error| error.to_string())
    };
    timeout(PATIENCE, opened).await.map_err(|_elapsed| "the server takes no connection in time")?
}

async fn say(socket: &mut Socket, message: &Value) -> Result<(), Cut> {
    socket.send(Message::text(message.to_string())).await.map_err(|error| error.to_string())
}

/// The next message that is JSON.
async fn hear(socket: &mut Socket) -> Result<Value, Cut> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).map_err(|error| error.to_string()),
            Some(Ok(Message::Close(_))) | None => return Err("the server has closed the connection".to_owned()),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.to_string()),
        }
    }
}

async fn hear_soon(socket: &mut Socket) -> Result<Value, Cut> {
    timeout(PATIENCE, hear(socket)).await.map_err(|_elapsed| "the server does not answer")?
}

impl Station {
    /// Asks where to go, and speaks there until that ends.
    async fn connect(&mut self, server: SocketAddr) -> Result<std::convert::Infallible, Cut> {
        let mut socket = open(server, "/router-info").await?;
        say(&mut socket, &json!({ "router": self.eui.0 })).await?;
        let answer = hear_soon(&mut socket).await?;
        let place = answer["uri"].as_str().ok_or_else(|| format!("it may not come in: {}", answer["error"]))?;
        let path = place.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
        let mut socket = open(server, &format!("/{path}")).await?;
        let version = json!({ "msgtype": "version", "station": "2.0.6(made up)", "firmware": "none", "package": "none",
            "model": "made up", "protocol": 2, "features": "" });
        say(&mut socket, &version).await?;
        while hear_soon(&mut socket).await?["msgtype"] != "router_config" {}
        self.serve(&mut socket).await
    }

    async fn serve(&mut self, socket: &mut Socket) -> Result<std::convert::Infallible, Cut> {
        let mut turns = interval(self.air.pause(self.period));
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = turns.tick() => {
                    if let Some(heard) = self.air.hear() {
                        say(socket, &self.message(&heard)).await?;
                    }
                }
                message = hear(socket) => self.downlink(&message?),
                () = sleep_until(self.air.due()) => {
                    let now = Instant::now();
                    for (bytes, heard) in self.air.sent(now) {
                        log::debug!(gateway:% = self.eui, bytes = bytes, heard = heard; "made-up LoRa gateway sends");
                    }
                    for (_, told) in self.sent.extract_if(.., |(at, _)| *at <= now) {
                        say(socket, &told).await?;
                    }
                }
            }
        }
    }

    /// The count now.
    fn xtime(&self) -> i64 {
        SESSION + i64::try_from(self.began.elapsed().as_micros()).unwrap_or(0)
    }

    fn message(&self, heard: &Heard) -> Value {
        let mut message = frame(&heard.phy);
        message["DR"] = heard.rate.into();
        message["Freq"] = heard.frequency.into();
        message["RefTime"] = 0.0.into();
        message["upinfo"] = json!({ "rctx": 0, "xtime": self.xtime(), "gpstime": 0, "fts": -1, "rssi": heard.rssi,
            "snr": heard.snr });
        message
    }

    /// What is to be sent waits for its time: in the first window after an uplink, or at once. There is nobody else on the air.
    fn downlink(&mut self, message: &Value) {
        let phy = message["pdu"].as_str().and_then(bytes);
        let (Some(phy), true) = (phy, message["msgtype"] == "dnmsg") else { return };
        let window = if message["RX1Freq"].is_u64() { "RX1" } else { "RX2" };
        // What is too late, or too far ahead, a Station drops without a word.
        let Some(ahead) = self.ahead(message, window) else { return };
        let at = Instant::now() + ahead;
        let told = json!({ "msgtype": "dntxed", "diid": message["diid"], "seqno": message["diid"],
            "DR": message[format!("{window}DR")], "Freq": message[format!("{window}Freq")], "DevEui": message["DevEui"],
            "rctx": 0, "xtime": self.xtime(), "txtime": 0.0, "gpstime": 0 });
        if self.air.send(phy, at) {
            self.sent.push((at, told));
        }
    }

    /// The time until a window opens; none where there is no uplink before it.
    fn ahead(&self, message: &Value, window: &str) -> Option<Duration> {
        let (Some(xtime), Some(delay)) = (message["xtime"].as_i64(), message["RxDelay"].as_i64()) else {
            return Some(Duration::ZERO);
        };
        let delay = if window == "RX1" { delay } else { delay.saturating_add(1) };
        let at = xtime.saturating_add(delay.saturating_mul(1_000_000));
        let ahead = u64::try_from(at.saturating_sub(self.xtime())).ok().map(Duration::from_micros);
        ahead.filter(|ahead| *ahead <= LATEST)
    }
}

/// A frame of a device, taken apart: a join request, or a data frame.
fn frame(phy: &[u8]) -> Value {
    let word = |at: usize| phy.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_le_bytes);
    let half = |at: usize| phy.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_le_bytes);
    let byte = |at: usize| phy.get(at).copied().unwrap_or(0);
    let eui = |at: usize| {
        let bytes = phy.get(at..at + 8).unwrap_or_default();
        bytes.iter().rev().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join("-")
    };
    let end = phy.len().saturating_sub(4);
    if byte(0) == 0 {
        return json!({ "msgtype": "jreq", "MHdr": 0, "JoinEui": eui(1), "DevEui": eui(9), "DevNonce": half(17),
            "MIC": word(end) });
    }
    // These devices write no options, and always a port.
    let payload: String = phy.get(9..end).unwrap_or_default().iter().map(|byte| format!("{byte:02X}")).collect();
    json!({ "msgtype": "updf", "MHdr": byte(0), "DevAddr": word(1), "FCtrl": byte(5), "FCnt": half(6), "FOpts": "",
        "FPort": byte(8), "FRMPayload": payload, "MIC": word(end) })
}

/// The bytes of hex digits.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| digit.try_into().ok())).collect();
    let digits = digits?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_apart() {
        let phy = bytes("4004030201000a00" /* and */).unwrap();
        let phy = [&phy[..], &[2, 0xab, 0xcd, 0xf6, 0xff, 0xff, 0xff]].concat();
        let expected = json!({ "msgtype": "updf", "MHdr": 0x40, "DevAddr": 0x0102_0304, "FCtrl": 0, "FCnt": 10, "FOpts": "",
            "FPort": 2, "FRMPayload": "ABCD", "MIC": -10 });
        assert_eq!(frame(&phy), expected);
        let join =
            [&[0][..], &1_u64.to_le_bytes(), &0x0600_0000_0000_0103_u64.to_le_bytes(), &[7, 1, 1, 0, 0, 0]].concat();
        let expected = json!({ "msgtype": "jreq", "MHdr": 0, "JoinEui": "00-00-00-00-00-00-00-01",
            "DevEui": "06-00-00-00-00-00-01-03", "DevNonce": 263, "MIC": 1 });
        assert_eq!(frame(&join), expected);
        assert_eq!((bytes("0aF"), bytes("0g"), bytes("")), (None, None, Some(vec![])));
    }
}
