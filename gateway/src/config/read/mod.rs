//! Makes typed settings of the tree: one file for each kind of section. Ranges and defaults are stated here, and
//! what fits together is checked here, in the section or (ports) across sections.

mod broker;
mod cellular;
mod concentratord;
pub(super) mod filters;
mod framing;
mod hub;
mod json;
mod lora;
mod measurements;
mod modem;
mod path;
mod plugin;
mod poll;
mod ports;
mod probe;
pub(super) mod provision;
mod radio;
mod share;
mod station;
mod tls;
mod trust;
mod uplink;
pub(super) mod users;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::notes::{Notes, Source, Spot};
use super::plugin::Plugin;
use super::problem::plain;
use super::radio::{Framing, Radio};
use super::section::{Section, Unique};
use super::settings::{Admin, Clock, Gateway, Log, Position, Settings};
use super::text::off_or_address;
use super::tree::Table;
use super::written::Written;
use ports::Ports;

/// More radios than this are refused.
const RADIOS_MAX: usize = 64;

/// More plugins than this are refused: each has a thread.
const PLUGINS_MAX: usize = 64;

/// More uplinks than this are refused: each message may be written for each of them.
const UPLINKS_MAX: usize = 16;

/// More probes than this are refused.
const PROBES_MAX: usize = 64;

/// The longest name of a gateway, radio or poll, in characters.
const NAME_MAX_CHARACTERS: usize = 64;

/// Reads all settings, and where each plugin is written. What has a problem is left out or at its default; the notes say so.
pub(super) fn settings(
    root: Table,
    main: &Arc<Source>,
    notes: &Notes,
    has_users: fn(&Path) -> bool,
) -> (Settings, Vec<Written>) {
    let mut top = Section::new("the settings", Spot::File(Arc::clone(main), 0), root, notes);
    let mut ports = Ports::default();
    let gateway = gateway(top.section("gateway", "[gateway]"));
    let log = log(top.section("log", "[log]"));
    let more_users = has_users(&gateway.data_dir);
    let broker = broker::read(top.section("broker", "[broker]"), &mut ports, &gateway.data_dir, more_users);
    let admin = admin(top.section("admin", "[admin]"), &mut ports, &gateway.data_dir);
    let measurements = measurements::read(top.section("measurements", "[measurements]"));
    let mut taken = radio::Taken::default();
    let clock = clock(top.section("clock", "[clock]"));
    let radio: Vec<Radio> = top
        .sections("radio", "[[radio]]", RADIOS_MAX)
        .into_iter()
        .filter_map(|section| radio::read(section, &mut taken, &mut ports))
        .collect();
    let position = position(top.section("position", "[position]"), &radio);
    let mut names = Unique::new("plugin");
    let mut stages: Vec<(Plugin, Written)> = top
        .sections("plugin", "[[plugin]]", PLUGINS_MAX)
        .into_iter()
        .filter_map(|section| plugin::read(section, &mut names))
        .collect();
    let known = |name: &str| stages.iter().any(|(plugin, _)| plugin.name == name);
    let plugins = trust::read(top.section("plugins", "[plugins]"), known);
    // Stable: what `order` does not name keeps the order of the files.
    let place = |name: &String| plugins.order.iter().position(|named| named == name).unwrap_or(usize::MAX);
    stages.sort_by_key(|(plugin, _)| place(&plugin.name));
    let (plugin, written) = stages.into_iter().unzip();
    let mut names = Unique::new("uplink");
    let uplink = top
        .sections("uplink", "[[uplink]]", UPLINKS_MAX)
        .into_iter()
        .filter_map(|section| uplink::read(section, &gateway.id, &mut names))
        .collect();
    let mut probes = Unique::new("probe");
    let probe = top
        .sections("probe", "[[probe]]", PROBES_MAX)
        .into_iter()
        .filter_map(|section| probe::read(section, &mut probes, &names))
        .collect();
    let reflector = probe::reflector(top.section("reflector", "[reflector]"), &mut taken.udp);
    top.finish();
    ports.check(notes);
    taken.udp.check(notes);
    let settings = Settings {
        gateway,
        log,
        broker,
        admin,
        measurements,
        clock,
        position,
        radio,
        plugins,
        plugin,
        uplink,
        probe,
        reflector,
    };
    (settings, written)
}

fn gateway(mut section: Section<'_>) -> Gateway {
    let usual = Gateway::default();
    let read = Gateway {
        id: name(&mut section, "id").or_else(host_name).unwrap_or(usual.id),
        data_dir: section.path("data-dir").unwrap_or(usual.data_dir),
    };
    section.finish();
    read
}

fn log(mut section: Section<'_>) -> Log {
    let read = Log {
        level: section.choice("level").unwrap_or_default(),
        format: section.choice("format").unwrap_or_default(),
    };
    section.finish();
    read
}

fn clock(mut section: Section<'_>) -> Clock {
    let wanted = "an address of this machine, such as \"127.0.0.1:323\", or \"off\"";
    // Whoever answers is believed, so nobody elsewhere is asked.
    let parse = |text: &str| off_or_address::parse(text).filter(|at| at.is_none_or(|at| at.ip().is_loopback()));
    let chrony = section.parsed("chrony", wanted, parse).unwrap_or(Clock::default().chrony);
    section.finish();
    Clock { chrony }
}

fn position(mut section: Section<'_>, radios: &[Radio]) -> Position {
    let says_where = |radio: &&Radio| matches!(radio, Radio::Serial(serial) if serial.framing == Framing::Nmea);
    let mut source = section.text("source");
    if let Some(name) = source.take_if(|name| !radios.iter().filter(says_where).any(|radio| radio.name() == name)) {
        let what = format!("is `{}`, and no radio of that name has `framing = \"nmea\"`", plain(&name));
        section.refuse("source", what, "write the name of the radio with the receiver of satellites");
    }
    section.finish();
    Position { source }
}

fn admin(mut section: Section<'_>, ports: &mut Ports, data_dir: &Path) -> Admin {
    let wanted = "an IP address with a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\", or \"off\"";
    let listen = section.parsed("listen", wanted, off_or_address::parse).unwrap_or(Admin::default().listen);
    if let Some(address) = listen {
        ports.add("[admin]", address, section.has("listen").then(|| section.spot("listen")));
    }
    let named = ["certificate", "key"].into_iter().any(|key| section.has(key));
    let setup_code_hash = users::hash(&mut section, "setup-code-hash", "leave it to `stile provision`, or remove it");
    let mut read = Admin { listen, setup_code_hash, ..Admin::default() };
    // On loopback nothing is read that nobody has named.
    if named || read.secure() {
        let identity = tls::identity(&mut section, data_dir);
        read.server = tls::fit(&section, identity.parts, None);
        (read.certificate, read.key) = (identity.certificate, identity.key);
    } else {
        ["certificate", "key"].into_iter().for_each(|key| drop(section.path(key)));
    }
    section.finish();
    read
}

/// A name that fits into a topic and into the name of a file.
fn name(section: &mut Section<'_>, key: &'static str) -> Option<String> {
    section.parsed(key, "1 to 64 of the characters A-Z a-z 0-9 _ -", |text| {
        let fits = (1..=NAME_MAX_CHARACTERS).contains(&text.len()) && text.chars().all(name_character);
        fits.then(|| text.to_owned())
    })
}

pub(super) fn name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

/// The machine's name, cut to the characters that an id may have.
fn host_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name: String = name.chars().filter(|c| name_character(*c)).take(NAME_MAX_CHARACTERS).collect();
    (!name.is_empty()).then_some(name)
}
