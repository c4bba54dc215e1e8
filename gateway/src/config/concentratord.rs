//! Typed settings of a connection to ChirpStack Concentratord: `[[radio]]` with `kind = "concentratord"`.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use super::lora::Eui;

/// The longest path of a socket, in bytes (Linux, `unix(7)`: 108 with the 0 behind it).
const SOCKET_PATH_MAX: usize = 107;

/// Concentratord on the same machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Concentratord {
    /// Where it publishes events: its `event_bind`.
    pub event_url: IpcUrl,
    /// Where it takes commands: its `command_bind`.
    pub command_url: IpcUrl,
    /// Which gateway it must be. None: whichever it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eui: Option<Eui>,
    /// Whether channels that a network server sends are passed on. Else their version is noted and told back.
    pub configure: bool,
}

/// A socket in the file system as ZeroMQ writes it: `ipc://` and a path that begins at the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpcUrl(PathBuf);

impl IpcUrl {
    /// Reads it.
    pub fn parse(text: &str) -> Option<Self> {
        let path = text.strip_prefix("ipc://")?;
        let fits = path.len() <= SOCKET_PATH_MAX && path.starts_with('/') && !path.contains('\0');
        (fits && !path.ends_with('/')).then(|| Self(path.into()))
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for IpcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ipc://{}", self.0.display())
    }
}

impl Serialize for IpcUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_a_path_from_the_root() {
        let long = |length: usize| format!("ipc:///{}", "x".repeat(length));
        for good in ["ipc:///tmp/concentratord_event", "ipc:///x", &long(106)] {
            assert_eq!(IpcUrl::parse(good).map(|url| url.to_string()).as_deref(), Some(good));
        }
        let bad = [
            "",
            "ipc://",
            "ipc:///",
            "ipc://tmp/x",
            "ipc://@x",
            "ipc:///run/",
            "tcp://127.0.0.1:5555",
            "/tmp/x",
            "ipc:///\0",
        ];
        for bad in bad.into_iter().chain([long(107).as_str()]) {
            assert_eq!(IpcUrl::parse(bad), None, "{bad}");
        }
    }
}
