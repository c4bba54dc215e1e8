//! Both brokers with settings that suit a comparison, and what each costs.

use std::net::SocketAddr;
use std::sync::Arc;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use rustls::ClientConfig;
use stile_tests::{Authority, Stile};
use tempfile::TempDir;

use crate::line::credulous;
use crate::mosquitto::Mosquitto;

/// Files that a process here may have open: one for each client of the largest crowd, and some more.
const FILES: u64 = 8192;

/// Room for many clients, and for what a publisher is ahead of its subscriber.
const STILE: &str = "max-connections = 5000\nmax-connections-per-address = 5000\nsession-queue = 100000\n\
                     session-queue-bytes = 67108864\n";
/// No limit at which it would drop, and as many messages without acknowledgement as Stile allows: 20 are its default.
const MOSQUITTO: &str = "max_queued_messages 0\nmax_inflight_messages 256\n";

/// A broker to be measured.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) pid: Pid,
    /// With this, its clients speak TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

/// Both, running.
pub(crate) struct Both {
    pub(crate) stile: Target,
    pub(crate) mosquitto: Target,
    _processes: (Stile, Mosquitto),
}

impl Both {
    /// Without TLS.
    pub(crate) fn start() -> Self {
        let stile = Stile::start_in(quiet_folder(), STILE, "");
        let mosquitto = Mosquitto::start(MOSQUITTO);
        Self::of(stile, mosquitto, |stile| stile.mqtt, None)
    }

    /// With TLS, and the same certificate.
    pub(crate) fn start_with_tls() -> Self {
        let dir = quiet_folder();
        let (certificate, key) = Authority::new(dir.path(), "ca").sign("server", None);
        let files = format!("certfile {}\nkeyfile {}\n", certificate.display(), key.display());
        let section = "[broker.tls]\nlisten = [\"127.0.0.1:0\"]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n";
        let stile = Stile::start_in(dir, STILE, section);
        let mosquitto = Mosquitto::start(&format!("{MOSQUITTO}{files}"));
        Self::of(stile, mosquitto, |stile| stile.door("listening for MQTT over TLS"), Some(credulous()))
    }

    fn of(stile: Stile, mosquitto: Mosquitto, door: fn(&Stile) -> SocketAddr, tls: Option<Arc<ClientConfig>>) -> Self {
        Self {
            stile: Target { address: door(&stile), pid: stile.pid(), tls: tls.clone() },
            mosquitto: Target { address: mosquitto.address, pid: mosquitto.pid(), tls },
            _processes: (stile, mosquitto),
        }
    }

    /// Measures both in turn, `rounds` times, and says how it goes: what `tell` makes of each.
    pub(crate) fn in_turn<R>(
        &self,
        rounds: usize,
        what: &str,
        tell: impl Fn(&R) -> String,
        mut measure: impl FnMut(&Target) -> R,
    ) -> Vec<(R, R)> {
        let rounds = (1..=rounds).map(|round| {
            let pair = (measure(&self.stile), measure(&self.mosquitto));
            eprintln!("   {what}, round {round} of {rounds}: {} and {}", tell(&pair.0), tell(&pair.1));
            pair
        });
        rounds.collect()
    }
}

/// A folder for a daemon that logs what it logs by default: the tests' logs everything.
pub(crate) fn quiet_folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("conf.d")).unwrap();
    std::fs::write(dir.path().join("conf.d/log.toml"), "[log]\nlevel = \"info\"\n").unwrap();
    dir
}

/// Lets this process and those that it starts have many connections.
pub(crate) fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.map_or(FILES, |most| most.min(FILES));
    let wanted = Rlimit { current: Some(most.max(limit.current.unwrap_or(most))), maximum: limit.maximum };
    setrlimit(Resource::Nofile, wanted).unwrap();
}
