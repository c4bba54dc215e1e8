//! A pseudo-terminal whose path the serial driver opens like a port. Knows no device and moves no bytes.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;

/// A pseudo-terminal: the controller, and the path of the terminal behind it.
#[derive(Debug)]
pub struct Pty {
    /// Where the made-up device speaks and listens; does not block.
    pub(super) controller: OwnedFd,
    /// Held open so that the controller sees no hang-up when the gateway closes the port and opens it again.
    pub(super) terminal: OwnedFd,
    path: PathBuf,
}

impl Pty {
    /// Opens a new one in raw mode, so that not even the first bytes are echoed or translated.
    ///
    /// # Errors
    /// What the system says, with the step that failed: no free pseudo-terminal, `/dev/pts` not mounted.
    pub fn open() -> io::Result<Self> {
        let controller = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .map_err(|error| failed("cannot open a new pseudo-terminal", error))?;
        rustix::pty::grantpt(&controller).map_err(|error| failed("cannot grant the pseudo-terminal", error))?;
        rustix::pty::unlockpt(&controller).map_err(|error| failed("cannot unlock the pseudo-terminal", error))?;
        let name = rustix::pty::ptsname(&controller, Vec::new())
            .map_err(|error| failed("cannot name the pseudo-terminal", error))?;
        let flags = rustix::fs::fcntl_getfl(&controller).map_err(|error| failed("cannot read flags", error))?;
        rustix::fs::fcntl_setfl(&controller, flags | OFlags::NONBLOCK)
            .map_err(|error| failed("cannot set flags", error))?;
        let terminal =
            rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
                .map_err(|error| failed("cannot open the pseudo-terminal's other side; is /dev/pts mounted?", error))?;
        make_raw(&terminal).map_err(|error| failed("cannot set the pseudo-terminal to raw mode", error))?;
        let path = PathBuf::from(OsString::from_vec(name.into_bytes()));
        Ok(Self { controller, terminal, path })
    }

    /// The path to open as a port: `/dev/pts/N`. It is gone when this value is dropped.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn make_raw(terminal: &OwnedFd) -> rustix::io::Result<()> {
    let mut settings = rustix::termios::tcgetattr(terminal)?;
    settings.make_raw();
    rustix::termios::tcsetattr(terminal, OptionalActions::Now, &settings)
}

fn failed(step: &str, error: rustix::io::Errno) -> io::Error {
    let error = io::Error::from(error);
    io::Error::new(error.kind(), format!("{step}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_pass_unchanged_both_ways() {
        let pty = Pty::open().unwrap();
        assert!(pty.path().starts_with("/dev/pts"));
        let sent = b"\x00\x03\x04\r\n\x11\x13\x7F\xFF";
        let mut buffer = [0; 64];
        rustix::io::write(&pty.controller, sent).unwrap();
        let count = rustix::io::read(&pty.terminal, &mut buffer).unwrap();
        assert_eq!(&buffer[..count], sent);
        assert_eq!(rustix::io::read(&pty.controller, &mut buffer), Err(rustix::io::Errno::AGAIN), "nothing is echoed");
        rustix::io::write(&pty.terminal, sent).unwrap();
        let count = rustix::io::read(&pty.controller, &mut buffer).unwrap();
        assert_eq!(&buffer[..count], sent);
    }
}
