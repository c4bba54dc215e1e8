//! MQTT packets, byte by byte: what a test sends that no library would, and what it reads without one.

/// MQTT 3.1.1, as CONNECT says it.
pub const V311: u8 = 4;
/// MQTT 5, as CONNECT says it.
pub const V5: u8 = 5;

/// A packet: its first byte and what follows the length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawPacket {
    /// Type and flags.
    pub first: u8,
    /// All after the remaining length.
    pub body: Vec<u8>,
}

impl RawPacket {
    /// The packet at the start of some bytes, and its size, once it is there as a whole.
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let first = *bytes.first()?;
        let (mut size, mut end) = (0, 1);
        loop {
            let byte = *bytes.get(end)?;
            size |= usize::from(byte & 0x7f) << (7 * (end - 1));
            end += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let body = bytes.get(end..end + size)?.to_vec();
        Some((Self { first, body }, end + size))
    }
}

/// Puts the first byte and the length before a body.
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    bytes.extend(length(body.len()));
    bytes.extend(body);
    bytes
}

/// A variable byte integer.
pub fn length(mut n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (n % 128) as u8;
        n /= 128;
        bytes.push(if n > 0 { low | 0x80 } else { low });
        if n == 0 {
            return bytes;
        }
    }
}

/// Text or bytes with their length in front.
pub fn counted(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// A section of properties: nothing at all before MQTT 5.
pub fn section(version: u8, properties: &[u8]) -> Vec<u8> {
    if version == V5 { [length(properties.len()), properties.to_vec()].concat() } else { Vec::new() }
}

/// A will: topic, payload, QoS, retain and its properties.
#[derive(Debug, Clone)]
pub struct RawWill {
    /// Where it goes.
    pub topic: &'static str,
    /// What it says.
    pub payload: &'static str,
    /// Whether it is retained.
    pub retain: bool,
    /// MQTT 5 only.
    pub properties: Vec<u8>,
}

/// A CONNECT packet.
#[derive(Debug, Clone)]
pub struct Connect {
    /// 3, 4 or 5.
    pub version: u8,
    /// The client id.
    pub id: String,
    /// Clean session, or clean start.
    pub clean: bool,
    /// Seconds.
    pub keep_alive: u16,
    /// The user name.
    pub user: Option<&'static str>,
    /// The password, of any bytes.
    pub password: Option<Vec<u8>>,
    /// The will.
    pub will: Option<RawWill>,
    /// MQTT 5 only.
    pub properties: Vec<u8>,
}

impl Connect {
    /// A clean one without user or will.
    pub fn new(version: u8, id: &str) -> Self {
        let id = id.to_owned();
        Self { version, id, clean: true, keep_alive: 60, user: None, password: None, will: None, properties: vec![] }
    }

    /// One that keeps its session for a day, in the words of either version.
    pub fn persistent(version: u8, id: &str) -> Self {
        let properties = if version == V5 { session_expiry(86_400) } else { Vec::new() };
        Self { clean: false, properties, ..Self::new(version, id) }
    }

    /// With a name and a password.
    pub fn by(self, user: &'static str, password: &str) -> Self {
        Self { user: Some(user), password: Some(password.into()), ..self }
    }

    /// With a will, not retained.
    pub fn with_will(self, topic: &'static str, properties: &[u8]) -> Self {
        Self { will: Some(RawWill { topic, payload: "gone", retain: false, properties: properties.to_vec() }), ..self }
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let flag = |on: bool, bit: u8| if on { 1 << bit } else { 0 };
        let will_retain = self.will.as_ref().is_some_and(|will| will.retain);
        let flags = flag(self.user.is_some(), 7)
            | flag(self.password.is_some(), 6)
            | flag(will_retain, 5)
            | flag(self.will.is_some(), 2)
            | flag(self.clean, 1);
        let mut body = counted(if self.version == 3 { "MQIsdp" } else { "MQTT" });
        body.extend([self.version, flags]);
        body.extend(self.keep_alive.to_be_bytes());
        body.extend(section(self.version, &self.properties));
        body.extend(counted(&self.id));
        if let Some(will) = &self.will {
            body.extend(section(self.version, &will.properties));
            body.extend(counted(will.topic));
            body.extend(counted(will.payload));
        }
        body.extend(self.user.map(counted).unwrap_or_default());
        body.extend(self.password.as_ref().map(counted).unwrap_or_default());
        packet(0x10, &body)
    }
}

/// The property "session expiry interval".
pub fn session_expiry(seconds: u32) -> Vec<u8> {
    [&[0x11][..], &seconds.to_be_bytes()].concat()
}

/// A PUBLISH packet with any flags: DUP 8, QoS 1 2, QoS 2 4, retain 1. `id` counts only when the QoS is not 0.
pub fn publish(version: u8, flags: u8, topic: &str, id: u16, properties: &[u8], payload: impl AsRef<[u8]>) -> Vec<u8> {
    let mut body = counted(topic);
    if flags & 6 != 0 {
        body.extend(id.to_be_bytes());
    }
    body.extend(section(version, properties));
    body.extend(payload.as_ref());
    packet(0x30 | flags, &body)
}

/// A SUBSCRIBE packet with number 1: filters with their option bytes.
pub fn subscribe(version: u8, filters: &[(&str, u8)], properties: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 1];
    body.extend(section(version, properties));
    for (filter, options) in filters {
        body.extend(counted(filter));
        body.push(*options);
    }
    packet(0x82, &body)
}

/// An UNSUBSCRIBE packet with number 2.
pub fn unsubscribe(version: u8, filters: &[&str]) -> Vec<u8> {
    let mut body = vec![0, 2];
    body.extend(section(version, &[]));
    body.extend(filters.iter().flat_map(counted));
    packet(0xA2, &body)
}

/// PUBACK 0x40, PUBREC 0x50, PUBREL 0x62, PUBCOMP 0x70: an acknowledgement without a reason.
pub fn ack(first: u8, id: u16) -> Vec<u8> {
    packet(first, &id.to_be_bytes())
}

/// What a property says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of one, two or four bytes, or a variable byte integer.
    Number(u32),
    /// Text or bytes.
    Bytes(Vec<u8>),
    /// A user property.
    Pair(String, String),
}

/// A PUBLISH that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawPublish {
    /// DUP.
    pub dup: bool,
    /// 0 to 2.
    pub qos: u8,
    /// The retain flag.
    pub retain: bool,
    /// Its topic.
    pub topic: String,
    /// Its number, 0 when the QoS is 0.
    pub id: u16,
    /// Its properties in order; none before MQTT 5.
    pub properties: Vec<(u8, Value)>,
    /// What it says, as text.
    pub text: String,
}

impl RawPublish {
    /// The first property of a kind.
    pub fn property(&self, kind: u8) -> Option<&Value> {
        self.properties.iter().find(|(k, _)| *k == kind).map(|(_, value)| value)
    }

    /// A property that is a number.
    pub fn number(&self, kind: u8) -> Option<u32> {
        self.property(kind).map(|value| match value {
            Value::Number(n) => *n,
            other => panic!("{other:?}"),
        })
    }
}

impl RawPacket {
    /// Its type, 1 to 15.
    pub fn kind(&self) -> u8 {
        self.first >> 4
    }

    /// Reads it as a PUBLISH.
    #[track_caller]
    pub fn publish(&self, version: u8) -> RawPublish {
        assert_eq!(self.kind(), 3, "not a PUBLISH: {self:02x?}");
        let mut r = Reader(&self.body);
        let topic = r.text();
        let qos = self.first >> 1 & 3;
        let id = if qos > 0 { r.number(2) as u16 } else { 0 };
        let properties = if version == V5 { r.properties() } else { Vec::new() };
        let text = String::from_utf8(r.0.to_vec()).unwrap();
        RawPublish { dup: self.first & 8 != 0, qos, retain: self.first & 1 != 0, topic, id, properties, text }
    }

    /// The properties of a CONNACK.
    #[track_caller]
    pub fn connack_properties(&self) -> Vec<(u8, Value)> {
        assert_eq!(self.kind(), 2, "not a CONNACK: {self:02x?}");
        Reader(&self.body[2..]).properties()
    }
}

/// Takes bytes from the front; a test fails when there are too few.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    pub(crate) fn number(&mut self, bytes: usize) -> u32 {
        self.take(bytes).iter().fold(0, |n, byte| n << 8 | u32::from(*byte))
    }

    pub(crate) fn counted(&mut self) -> Vec<u8> {
        let count = self.number(2) as usize;
        self.take(count).to_vec()
    }

    pub(crate) fn text(&mut self) -> String {
        String::from_utf8(self.counted()).unwrap()
    }

    fn variable(&mut self) -> u32 {
        let (mut n, mut shift) = (0, 0);
        loop {
            let byte = self.number(1);
            n |= (byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return n;
            }
        }
    }

    /// MQTT 5.0, section 2.2.2.2.
    fn properties(&mut self) -> Vec<(u8, Value)> {
        let count = self.variable() as usize;
        let mut r = Reader(self.take(count));
        let mut all = Vec::new();
        while !r.0.is_empty() {
            let kind = r.number(1) as u8;
            let value = match kind {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2a => Value::Number(r.number(1)),
                0x13 | 0x21..=0x23 => Value::Number(r.number(2)),
                0x02 | 0x11 | 0x18 | 0x27 => Value::Number(r.number(4)),
                0x0b => Value::Number(r.variable()),
                0x26 => Value::Pair(r.text(), r.text()),
                _ => Value::Bytes(r.counted()),
            };
            all.push((kind, value));
        }
        all
    }
}
