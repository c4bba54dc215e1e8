//! One device's connection, from TLS to its end.

use std::collections::HashMap;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::identity::{Admitted, admit};
use super::line::{Line, is_early};
use super::{Answer, State, Telemetry, ToDevice, bag, merge};
use crate::packet::{RawPacket, Reader, ack, counted, packet, publish};

/// The longest message, properties included.
const MESSAGE_MAX: usize = 256 * 1024;
/// Filters that a device may have at a time.
const FILTERS_MAX: usize = 5;
/// How long nothing is looked at but the stream.
pub(super) const STEP: Duration = Duration::from_millis(5);

/// Serves devices until told to stop.
pub(super) fn accept(
    listener: &TcpListener,
    config: &Arc<ServerConfig>,
    state: &Arc<Mutex<State>>,
    stop: &Arc<AtomicBool>,
) {
    while !stop.load(Ordering::Relaxed) {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(STEP);
            continue;
        };
        let (config, state, stop) = (Arc::clone(config), Arc::clone(state), Arc::clone(stop));
        std::thread::spawn(move || {
            let ended = serve(stream, config, &state, &stop);
            if let Err(why) = ended {
                state.lock().unwrap().complaints.push(why);
            }
        });
    }
}

/// An error is what the hub complains of.
fn serve(stream: TcpStream, config: Arc<ServerConfig>, state: &Mutex<State>, stop: &AtomicBool) -> Result<(), String> {
    stream.set_nonblocking(false).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(STEP)).unwrap();
    let tls = ServerConnection::new(config).unwrap();
    let Some(line) = Line::answer(StreamOwned::new(tls, stream), stop)? else { return Ok(()) };
    let mut wire = Wire { line, inbox: Vec::new() };
    let Some(connect) = wire.first(stop) else { return Ok(()) };
    if connect.kind() != 1 {
        return Err("no CONNECT comes first".to_owned());
    }
    let certificate = wire.line.tls().conn.peer_certificates().and_then(|chain| chain.first()).map(|der| der.to_vec());
    let admitted = admit(&connect, certificate.as_deref(), &state.lock().unwrap());
    let admitted = admitted.map_err(|(code, why)| {
        if code > 0 {
            wire.send(&packet(0x20, &[0, code]));
        }
        why
    })?;
    let mut connection = Connection::begin(wire, admitted, state);
    let ended = connection.run(stop);
    connection.end(ended.is_ok());
    ended
}

struct Wire {
    line: Line,
    inbox: Vec<u8>,
}

impl Wire {
    fn send(&mut self, bytes: &[u8]) {
        // Who has gone is noticed when it is read from.
        let _ = self.line.send(bytes);
    }

    /// The next packet, `None` if none is there yet; an error when there will be none any more.
    fn next(&mut self) -> Result<Option<RawPacket>, ()> {
        if let Some((packet, size)) = RawPacket::parse(&self.inbox) {
            self.inbox.drain(..size);
            return Ok(Some(packet));
        }
        match self.line.receive() {
            Ok(bytes) if bytes.is_empty() => Err(()),
            Ok(bytes) => {
                self.inbox.extend_from_slice(&bytes);
                Ok(None)
            }
            Err(error) if is_early(&error) => Ok(None),
            Err(_) => Err(()),
        }
    }

    fn first(&mut self, stop: &AtomicBool) -> Option<RawPacket> {
        while !stop.load(Ordering::Relaxed) {
            if let Some(packet) = self.next().ok()? {
                return Some(packet);
            }
        }
        None
    }
}

struct Connection<'s> {
    wire: Wire,
    admitted: Admitted,
    number: u64,
    state: &'s Mutex<State>,
    filters: Vec<String>,
    /// Cloud-to-device messages under way, by packet identifier.
    under_way: HashMap<u16, (String, Vec<u8>)>,
    last_id: u16,
    heard: Instant,
}

impl<'s> Connection<'s> {
    /// Lets the device in; a connection that it had before is ended.
    fn begin(mut wire: Wire, admitted: Admitted, state: &'s Mutex<State>) -> Self {
        let mut locked = state.lock().unwrap();
        locked.connections += 1;
        let number = locked.connections;
        let device = locked.devices.entry(admitted.device.clone()).or_default();
        device.connection = number;
        let filters = if admitted.clean { None } else { device.session.clone() };
        drop(locked);
        wire.send(&packet(0x20, &[u8::from(filters.is_some()), 0]));
        let (under_way, filters) = (HashMap::new(), filters.unwrap_or_default());
        Self { wire, admitted, number, state, filters, under_way, last_id: 0, heard: Instant::now() }
    }

    /// Until the device says goodbye or goes, another one comes in its name, or it breaks a rule.
    fn run(&mut self, stop: &AtomicBool) -> Result<(), String> {
        while !stop.load(Ordering::Relaxed) {
            if self.admitted.until.is_some_and(|until| until <= Instant::now()) {
                return Err("its token has ended".to_owned());
            }
            if !self.admitted.keep_alive.is_zero() && self.heard.elapsed() > self.admitted.keep_alive {
                return Err("it has been silent for too long".to_owned());
            }
            if self.state.lock().unwrap().devices[&self.admitted.device].connection != self.number {
                return Err("another connection came in its name".to_owned());
            }
            self.tell();
            match self.wire.next() {
                Ok(Some(packet)) if packet.kind() == 14 => {
                    self.admitted.will = None;
                    return Ok(());
                }
                Ok(Some(packet)) => {
                    self.heard = Instant::now();
                    self.take(&packet)?;
                }
                Ok(None) => {}
                Err(()) => return Ok(()),
            }
        }
        Ok(())
    }

    /// What was not acknowledged comes again, the session is kept, the will is said.
    fn end(&mut self, in_order: bool) {
        let mut state = self.state.lock().unwrap();
        let device = state.devices.get_mut(&self.admitted.device).unwrap();
        let mut left: Vec<_> = self.under_way.drain().collect();
        left.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
        left.into_iter().for_each(|(_, message)| device.messages.push_front(message));
        device.session = (!self.admitted.clean).then(|| self.filters.clone());
        if let Some((topic, payload)) = self.admitted.will.take().filter(|_| in_order) {
            let bag = topic.split("/messages/events/").nth(1).unwrap_or_default();
            let mut properties = bag::read(bag).unwrap();
            properties.insert("iothub-MessageType".to_owned(), "Will".to_owned());
            state.telemetry.push(Telemetry { properties, payload });
        }
    }

    fn subscribes(&self, filter: &str) -> bool {
        self.filters.iter().any(|own| own == filter)
    }

    /// Sends what is for the device.
    fn tell(&mut self) {
        let bound = format!("devices/{}/messages/devicebound/", self.admitted.device);
        let mut state = self.state.lock().unwrap();
        let device = state.devices.get_mut(&self.admitted.device).unwrap();
        let mut packets = Vec::new();
        if self.subscribes(&format!("{bound}#")) {
            for (bag, payload) in device.messages.drain(..) {
                self.last_id += 1;
                packets.push(publish(4, 2, &format!("{bound}{bag}"), self.last_id, &[], &payload));
                self.under_way.insert(self.last_id, (bag, payload));
            }
        }
        for what in device.to_device.drain(..) {
            let (filter, topic, payload) = match what {
                ToDevice::Method { name, rid, payload } => {
                    ("$iothub/methods/POST/#", format!("$iothub/methods/POST/{name}/?$rid={rid}"), payload)
                }
                ToDevice::Desired { version, mut patch } => {
                    patch["$version"] = version.into();
                    let topic = format!("$iothub/twin/PATCH/properties/desired/?$version={version}");
                    ("$iothub/twin/PATCH/properties/desired/#", topic, patch.to_string().into_bytes())
                }
            };
            // Who has not asked is not told.
            if self.subscribes(filter) {
                packets.push(publish(4, 0, &topic, 0, &[], payload));
            }
        }
        drop(state);
        packets.iter().for_each(|packet| self.wire.send(packet));
    }

    fn take(&mut self, packet: &RawPacket) -> Result<(), String> {
        match packet.kind() {
            3 => self.published(packet),
            4 => {
                self.under_way.remove(&u16::from_be_bytes([packet.body[0], packet.body[1]]));
                Ok(())
            }
            8 => self.subscribe(packet),
            12 => {
                self.wire.send(&[0xd0, 0]);
                Ok(())
            }
            kind => Err(format!("a packet of type {kind}")),
        }
    }

    fn subscribe(&mut self, subscribe: &RawPacket) -> Result<(), String> {
        let mut r = Reader(&subscribe.body);
        let mut answer = r.take(2).to_vec();
        let bound = format!("devices/{}/messages/devicebound/#", self.admitted.device);
        let known = [&bound, "$iothub/methods/POST/#", "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#"];
        let basic = self.state.lock().unwrap().basic;
        while !r.0.is_empty() {
            let (filter, qos) = (r.text(), r.number(1));
            if basic || !known.contains(&filter.as_str()) {
                answer.push(0x80);
                continue;
            }
            answer.push(qos.min(1) as u8);
            if !self.subscribes(&filter) {
                self.filters.push(filter);
            }
        }
        if self.filters.len() > FILTERS_MAX {
            return Err("more than five subscriptions".to_owned());
        }
        self.wire.send(&packet(0x90, &answer));
        Ok(())
    }

    fn published(&mut self, published: &RawPacket) -> Result<(), String> {
        let (qos, retain) = (published.first >> 1 & 3, published.first & 1 != 0);
        if qos == 2 {
            return Err("QoS 2".to_owned());
        }
        let mut r = Reader(&published.body);
        let topic = r.text();
        let id = if qos == 1 { r.number(2) as u16 } else { 0 };
        let payload = r.0.to_vec();
        let events = format!("devices/{}/messages/events/", self.admitted.device);
        if let Some(bag) = topic.strip_prefix(&events) {
            if bag.len() + payload.len() > MESSAGE_MAX {
                return Err(format!("a message of {} bytes", bag.len() + payload.len()));
            }
            let mut properties = bag::read(bag)?;
            if retain {
                properties.insert("mqtt-retain".to_owned(), "true".to_owned());
            }
            self.state.lock().unwrap().telemetry.push(Telemetry { properties, payload });
        } else if let Some(rest) = topic.strip_prefix("$iothub/") {
            self.asked(rest, payload)?;
        } else {
            return Err(format!("a message to {topic}"));
        }
        if qos == 1 {
            self.wire.send(&ack(0x40, id));
        }
        Ok(())
    }

    /// A request or an answer of the device's.
    fn asked(&mut self, topic: &str, payload: Vec<u8>) -> Result<(), String> {
        let (path, query) = topic.split_once("/?").ok_or(format!("a request to {topic}"))?;
        let rid = bag::read(query)?.remove("$rid").ok_or("a request without $rid")?;
        if let Some(status) = path.strip_prefix("methods/res/") {
            let status = status.parse().map_err(|_| format!("an answer with status {status}"))?;
            if !payload.is_empty() && serde_json::from_slice::<Value>(&payload).is_err() {
                return Err("an answer that is no JSON".to_owned());
            }
            self.state.lock().unwrap().answers.insert(rid, Answer { status, payload });
            return Ok(());
        }
        let (status, version, body) = match path {
            "twin/GET" => {
                let state = self.state.lock().unwrap();
                (200, None, json!({ "desired": state.desired, "reported": state.reported }).to_string())
            }
            "twin/PATCH/properties/reported" => self.report(&payload),
            _ => return Err(format!("a request to {path}")),
        };
        if self.subscribes("$iothub/twin/res/#") {
            let version = version.map(|version: u64| format!("&$version={version}")).unwrap_or_default();
            let topic = format!("$iothub/twin/res/{status}/?$rid={rid}{version}");
            self.wire.send(&packet(0x30, &[counted(topic), body.into_bytes()].concat()));
        }
        Ok(())
    }

    fn report(&self, payload: &[u8]) -> (u16, Option<u64>, String) {
        let state = &mut *self.state.lock().unwrap();
        if state.throttled > 0 {
            state.throttled -= 1;
            return (429, None, String::new());
        }
        let patch: Value = serde_json::from_slice(payload).unwrap_or_default();
        // The hub's own words stand behind a `$`.
        if patch.as_object().is_none_or(|patch| patch.keys().any(|key| key.starts_with('$'))) {
            return (400, None, json!({ "message": "bad request" }).to_string());
        }
        state.versions.1 += 1;
        merge(&mut state.reported, &patch);
        state.reported["$version"] = state.versions.1.into();
        (204, Some(state.versions.1), String::new())
    }
}
