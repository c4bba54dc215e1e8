//! A made-up Azure IoT hub that keeps to the rules of the real one, and ends connections of those who do not.
//!
//! Written from Microsoft's pages, "Communicate with an IoT hub using the MQTT protocol" and "Control access to IoT Hub by
//! using shared access signatures", and not from the gateway's client. `identity.rs` lets devices in, `connection.rs`
//! serves one, `line.rs` is what it speaks over, `bag.rs` reads properties.

mod bag;
mod connection;
mod identity;
mod line;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};

use crate::{Authority, within};

/// The name that the hub goes by, wherever it is.
pub const HOST: &str = "simulated.azure-devices.net";

/// How a device shows who it is.
#[derive(Debug, Clone)]
pub enum Shows {
    /// Tokens made with this key.
    Key(Vec<u8>),
    /// A certificate with its name, of the hub's authority.
    Certificate,
}

/// A message of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// Its properties, decoded; `mqtt-retain` where it had that flag.
    pub properties: BTreeMap<String, String>,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// What a device answered to a method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// What is on its way to a device.
#[derive(Debug, Clone)]
enum ToDevice {
    Method { name: String, rid: String, payload: Vec<u8> },
    Desired { version: u64, patch: Value },
}

#[derive(Default)]
struct Device {
    /// Which connection has it; the newest one.
    connection: u64,
    /// Filters of its session, kept where it asks for that.
    session: Option<Vec<String>>,
    /// Cloud-to-device messages that it has not acknowledged: bag and payload.
    messages: VecDeque<(String, Vec<u8>)>,
    to_device: VecDeque<ToDevice>,
}

struct State {
    known: HashMap<String, Shows>,
    devices: HashMap<String, Device>,
    telemetry: Vec<Telemetry>,
    answers: HashMap<String, Answer>,
    desired: Value,
    reported: Value,
    versions: (u64, u64),
    /// Why connections were ended, or not made.
    complaints: Vec<String>,
    connections: u64,
    /// So many changes of reported properties are refused as too many.
    throttled: u32,
    /// Nothing but telemetry, as of the basic tier.
    basic: bool,
    /// By how much its clock is ahead of this machine's.
    ahead: Duration,
}

/// See the module's head. Dropped, it ends.
pub struct SimulatedHub {
    state: Arc<Mutex<State>>,
    /// Where it is.
    pub address: SocketAddr,
    /// Who signed its certificate, and signs those of devices.
    pub authority: Authority,
    folder: PathBuf,
    stop: Arc<AtomicBool>,
}

impl SimulatedHub {
    /// On a free port, with its files in a folder.
    pub fn start(folder: &Path) -> Self {
        Self::start_at(folder, SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// At an address, as after a failure. It has forgotten everything.
    pub fn start_at(folder: &Path, address: SocketAddr) -> Self {
        let authority = Authority::new(folder, "hub-ca");
        let (certificate, key) = authority.sign("hub", Some(HOST));
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            known: HashMap::new(),
            devices: HashMap::new(),
            telemetry: Vec::new(),
            answers: HashMap::new(),
            desired: json!({ "$version": 1 }),
            reported: json!({ "$version": 1 }),
            versions: (1, 1),
            complaints: Vec::new(),
            connections: 0,
            throttled: 0,
            basic: false,
            ahead: Duration::ZERO,
        };
        let (state, stop) = (Arc::new(Mutex::new(state)), Arc::new(AtomicBool::new(false)));
        let config = Arc::new(config(&authority.file, &certificate, &key));
        let (shared, stopping) = (Arc::clone(&state), Arc::clone(&stop));
        std::thread::spawn(move || connection::accept(&listener, &config, &shared, &stopping));
        Self { state, address, authority, folder: folder.to_owned(), stop }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Has it know a device.
    pub fn register(&self, device: &str, shows: Shows) {
        self.state().known.insert(device.to_owned(), shows);
    }

    /// A file for a test, beside the certificates.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// All messages of devices so far.
    pub fn telemetry(&self) -> Vec<Telemetry> {
        self.state().telemetry.clone()
    }

    /// Waits until there are so many, and gives the last of them.
    #[track_caller]
    pub fn message(&self, count: usize) -> Telemetry {
        within("a message at the hub", || self.state().telemetry.get(count - 1).cloned())
    }

    /// Sends a cloud-to-device message, with a property bag as the hub writes it.
    pub fn send(&self, device: &str, bag: &str, payload: &str) {
        let mut state = self.state();
        state.devices.entry(device.to_owned()).or_default().messages.push_back((bag.to_owned(), payload.into()));
    }

    /// How many cloud-to-device messages it has not acknowledged.
    pub fn unacknowledged(&self, device: &str) -> usize {
        self.state().devices.get(device).map_or(0, |device| device.messages.len())
    }

    /// Calls a method; [`answer`](Self::answer) waits for what comes of it.
    pub fn call(&self, device: &str, rid: &str, name: &str, payload: &str) {
        let call = ToDevice::Method { name: name.to_owned(), rid: rid.to_owned(), payload: payload.into() };
        self.state().devices.entry(device.to_owned()).or_default().to_device.push_back(call);
    }

    /// What a device answers to a call.
    #[track_caller]
    pub fn answer(&self, rid: &str) -> Answer {
        within("an answer", || self.state().answers.get(rid).cloned())
    }

    /// Changes the desired properties; a device that is there is told.
    pub fn desire(&self, device: &str, patch: Value) {
        let mut state = self.state();
        state.versions.0 += 1;
        let version = state.versions.0;
        merge(&mut state.desired, &patch);
        state.desired["$version"] = version.into();
        let told = ToDevice::Desired { version, patch };
        state.devices.entry(device.to_owned()).or_default().to_device.push_back(told);
    }

    /// The reported properties of now.
    pub fn reported(&self) -> Value {
        self.state().reported.clone()
    }

    /// Why connections were ended or not made, so far.
    pub fn complaints(&self) -> Vec<String> {
        self.state().complaints.clone()
    }

    /// How many devices were let in so far.
    pub fn connections(&self) -> u64 {
        self.state().connections
    }

    /// So many changes of reported properties are to be refused as too many.
    pub fn throttle(&self, count: u32) {
        self.state().throttled = count;
    }

    /// It is to be of the basic tier.
    pub fn make_basic(&self) {
        self.state().basic = true;
    }

    /// Its clock is to be ahead of this machine's.
    pub fn set_ahead(&self, time: Duration) {
        self.state().ahead = time;
    }
}

impl Drop for SimulatedHub {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if std::thread::panicking() {
            println!("the hub complained: {:#?}", self.complaints());
        }
    }
}

/// A patch of a twin: `null` takes away, an object goes into an object (Microsoft, "Understand and use device twins").
fn merge(whole: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else { return };
    for (name, value) in patch {
        match value {
            Value::Null => _ = whole.as_object_mut().unwrap().remove(name),
            Value::Object(_) if whole[name].is_object() => merge(&mut whole[name], value),
            other => whole[name] = other.clone(),
        }
    }
}

/// TLS 1.2 and up; who shows a certificate must have it of the authority.
fn config(authority: &Path, certificate: &Path, key: &Path) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = verifier.allow_unauthenticated().build().unwrap();
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
    let config = config.with_client_cert_verifier(verifier);
    config.with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
}
