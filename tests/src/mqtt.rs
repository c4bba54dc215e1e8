//! MQTT clients for tests, on an ordinary client library, without async.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rumqttc::v5;
use rumqttc::{Event, MqttOptions, Packet, QoS};

use crate::PATIENCE;

/// A message that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its topic.
    pub topic: String,
    /// Its bytes.
    pub payload: Vec<u8>,
    /// The QoS it came with.
    pub qos: u8,
    /// The retain flag.
    pub retain: bool,
    /// User properties, MQTT 5 only.
    pub user: Vec<(String, String)>,
    /// Correlation data, MQTT 5 only.
    pub correlation: Option<Vec<u8>>,
}

impl Received {
    /// The payload as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap()
    }

    /// The payload as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.payload).unwrap()
    }

    /// A user property.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.user.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

enum Note {
    Connected,
    Subscribed,
    Published,
    Message(Received),
}

/// Waits for one of the notes that a client's thread sends.
#[track_caller]
fn wait<T>(notes: &Receiver<Note>, what: &str, mut fits: impl FnMut(Note) -> Option<T>) -> T {
    loop {
        match notes.recv_timeout(PATIENCE) {
            Ok(note) => {
                if let Some(found) = fits(note) {
                    return found;
                }
            }
            Err(error) => panic!("no {what}: {error}"),
        }
    }
}

macro_rules! client {
    ($(#[$doc:meta])* $name:ident, $client:ty) => {
        $(#[$doc])*
        pub struct $name {
            /// The library's own handle, for what this one does not offer.
            pub inner: $client,
            notes: Receiver<Note>,
            early: std::cell::RefCell<Vec<Received>>,
        }

        impl $name {
            /// Subscribes and waits for the answer.
            #[track_caller]
            pub fn subscribe(&self, filter: &str, qos: QoS) {
                self.inner.subscribe(filter, Self::qos(qos)).unwrap();
                self.wait_ack("SUBACK", |note| matches!(note, Note::Subscribed));
            }

            /// Publishes and, with QoS 1 or 2, waits for the acknowledgement.
            #[track_caller]
            pub fn publish(&self, topic: &str, qos: QoS, retain: bool, payload: impl Into<Vec<u8>>) {
                self.inner.publish(topic, Self::qos(qos), retain, payload.into()).unwrap();
                if qos != QoS::AtMostOnce {
                    self.wait_ack("PUBACK or PUBCOMP", |note| matches!(note, Note::Published));
                }
            }

            /// Publishes with QoS 1 and waits for the acknowledgement; says whether it came before the connection ended.
            pub fn publish_or_end(&self, topic: &str, payload: impl Into<Vec<u8>>) -> bool {
                let qos = Self::qos(QoS::AtLeastOnce);
                if self.inner.publish(topic, qos, false, payload.into()).is_err() {
                    return false;
                }
                let mut notes = std::iter::from_fn(|| self.notes.recv_timeout(PATIENCE).ok());
                notes.any(|note| matches!(note, Note::Published))
            }

            #[track_caller]
            fn wait_ack(&self, what: &str, fits: impl Fn(&Note) -> bool) {
                wait(&self.notes, what, |note| {
                    if fits(&note) {
                        return Some(());
                    }
                    if let Note::Message(message) = note {
                        self.early.borrow_mut().push(message);
                    }
                    None
                });
            }

            /// The next message.
            #[track_caller]
            pub fn next(&self) -> Received {
                if !self.early.borrow().is_empty() {
                    return self.early.borrow_mut().remove(0);
                }
                wait(&self.notes, "message", |note| match note {
                    Note::Message(message) => Some(message),
                    _ => None,
                })
            }

            /// The next message that fits; others are passed over.
            #[track_caller]
            pub fn next_where(&self, fits: impl Fn(&Received) -> bool) -> Received {
                loop {
                    let message = self.next();
                    if fits(&message) {
                        return message;
                    }
                }
            }

            /// That no message comes for so long.
            #[track_caller]
            pub fn expect_silence(&self, time: Duration) {
                assert!(self.early.borrow().is_empty(), "{:?}", self.early.borrow());
                match self.notes.recv_timeout(time) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(Note::Message(message)) => panic!("{message:?}"),
                    Ok(_) | Err(RecvTimeoutError::Disconnected) => {}
                }
            }

            /// Waits until the connection is there.
            #[track_caller]
            pub fn wait_connected(self) -> Self {
                wait(&self.notes, "CONNACK", |note| matches!(note, Note::Connected).then_some(()));
                self
            }
        }
    };
}

client!(
    /// An MQTT 3.1.1 client.
    Client,
    rumqttc::Client
);
client!(
    /// An MQTT 5 client.
    V5Client,
    v5::Client
);

impl Client {
    /// Connects with a clean session.
    #[track_caller]
    pub fn connect(address: SocketAddr, id: &str) -> Self {
        let mut options = MqttOptions::new(id, address.ip().to_string(), address.port());
        options.set_keep_alive(Duration::from_secs(30));
        Self::with(options)
    }

    /// The same to a broker that may end at any moment; `None` if it did.
    pub fn connect_or_end(address: SocketAddr, id: &str) -> Option<Self> {
        let client = Self::begin(MqttOptions::new(id, address.ip().to_string(), address.port()));
        let mut notes = std::iter::from_fn(|| client.notes.recv_timeout(PATIENCE).ok());
        notes.any(|note| matches!(note, Note::Connected)).then_some(client)
    }

    /// Connects with options of the caller's.
    #[track_caller]
    pub fn with(options: MqttOptions) -> Self {
        Self::begin(options).wait_connected()
    }

    fn begin(options: MqttOptions) -> Self {
        let (inner, mut connection) = rumqttc::Client::new(options, 100);
        let (sender, notes) = channel();
        std::thread::spawn(move || {
            for event in connection.iter() {
                let note = match event {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => Note::Connected,
                    Ok(Event::Incoming(Packet::SubAck(_))) => Note::Subscribed,
                    Ok(Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_))) => Note::Published,
                    Ok(Event::Incoming(Packet::Publish(p))) => Note::Message(Received {
                        topic: p.topic,
                        payload: p.payload.to_vec(),
                        qos: p.qos as u8,
                        retain: p.retain,
                        user: Vec::new(),
                        correlation: None,
                    }),
                    Ok(_) => continue,
                    Err(_closed) => return,
                };
                if sender.send(note).is_err() {
                    return;
                }
            }
        });
        Self { inner, notes, early: Default::default() }
    }

    fn qos(qos: QoS) -> QoS {
        qos
    }
}

impl V5Client {
    /// Publishes with QoS 1 and correlation data, by which the answer will be known.
    #[track_caller]
    pub fn ask(&self, topic: &str, correlation: &str, payload: impl Into<Vec<u8>>) {
        let correlation_data = Some(correlation.to_owned().into());
        let properties = v5::mqttbytes::v5::PublishProperties { correlation_data, ..Default::default() };
        let qos = v5::mqttbytes::QoS::AtLeastOnce;
        self.inner.publish_with_properties(topic, qos, false, payload.into(), properties).unwrap();
        self.wait_ack("PUBACK", |note| matches!(note, Note::Published));
    }

    /// Connects with a clean start.
    #[track_caller]
    pub fn connect(address: SocketAddr, id: &str) -> Self {
        let mut options = v5::MqttOptions::new(id, address.ip().to_string(), address.port());
        options.set_keep_alive(Duration::from_secs(30));
        Self::with(options)
    }

    /// Connects with options of the caller's.
    #[track_caller]
    pub fn with(options: v5::MqttOptions) -> Self {
        use v5::mqttbytes::v5::Packet;
        let (inner, mut connection) = v5::Client::new(options, 100);
        let (sender, notes) = channel();
        std::thread::spawn(move || {
            for event in connection.iter() {
                let note = match event {
                    Ok(v5::Event::Incoming(Packet::ConnAck(_))) => Note::Connected,
                    Ok(v5::Event::Incoming(Packet::SubAck(_))) => Note::Subscribed,
                    Ok(v5::Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_))) => Note::Published,
                    Ok(v5::Event::Incoming(Packet::Publish(p))) => {
                        let properties = p.properties.unwrap_or_default();
                        Note::Message(Received {
                            topic: String::from_utf8(p.topic.to_vec()).unwrap(),
                            payload: p.payload.to_vec(),
                            qos: p.qos as u8,
                            retain: p.retain,
                            user: properties.user_properties,
                            correlation: properties.correlation_data.map(|c| c.to_vec()),
                        })
                    }
                    Ok(_) => continue,
                    Err(_closed) => return,
                };
                if sender.send(note).is_err() {
                    return;
                }
            }
        });
        Self { inner, notes, early: Default::default() }.wait_connected()
    }

    fn qos(qos: QoS) -> v5::mqttbytes::QoS {
        match qos {
            QoS::AtMostOnce => v5::mqttbytes::QoS::AtMostOnce,
            QoS::AtLeastOnce => v5::mqttbytes::QoS::AtLeastOnce,
            QoS::ExactlyOnce => v5::mqttbytes::QoS::ExactlyOnce,
        }
    }
}
