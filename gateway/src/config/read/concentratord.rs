//! Reads what `[[radio]]` of Concentratord has of its own.

use crate::config::concentratord::{Concentratord, IpcUrl};
use crate::config::lora::Eui;
use crate::config::section::{Section, Unique};

/// Where Concentratord has its sockets without being told.
const USUAL_EVENTS: &str = "ipc:///tmp/concentratord_event";
const USUAL_COMMANDS: &str = "ipc:///tmp/concentratord_command";

/// Reads it. None when a socket has no good path.
pub(super) fn read(section: &mut Section<'_>, sockets: &mut Unique) -> Option<Concentratord> {
    let event_url = socket(section, "event-url", USUAL_EVENTS, sockets);
    let command_url = socket(section, "command-url", USUAL_COMMANDS, sockets);
    let eui = section.parsed("eui", "sixteen hex digits, such as \"0016c001ff10a235\"", Eui::parse);
    let configure = section.boolean("configure").unwrap_or(true);
    Some(Concentratord { event_url: event_url?, command_url: command_url?, eui, configure })
}

fn socket(section: &mut Section<'_>, key: &'static str, usual: &str, sockets: &mut Unique) -> Option<IpcUrl> {
    let wanted = format!("`ipc://` with a path from the root, such as \"{usual}\", as Concentratord has it");
    let written = section.parsed(key, &wanted, IpcUrl::parse);
    let url = if section.has(key) { written } else { IpcUrl::parse(usual) };
    if let Some(url) = &url {
        sockets.claim(&url.to_string(), section.spot(key), section.notes);
    }
    url
}
