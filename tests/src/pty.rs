//! Made-up ports: pseudo-terminals whose other end the test holds.

use std::fs::File;
use std::io::{Read, Write};
use std::ops::Deref;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::{PATIENCE, within};

/// A pseudo-terminal. The daemon opens [`path`](Self::path); the test reads and writes the other end. Dropped, it is
/// unplugged: the daemon's end hangs up.
pub struct Pty {
    controller: File,
    path: PathBuf,
}

impl Pty {
    /// Opens one.
    pub fn open() -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let path = PathBuf::from(ptsname(&controller, Vec::new()).unwrap().into_string().unwrap());
        fcntl_setfl(controller.as_fd(), OFlags::NONBLOCK).unwrap();
        Self { controller: File::from(controller), path }
    }

    /// What the daemon opens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes all of it, as the device would.
    #[track_caller]
    pub fn write(&self, bytes: &[u8]) {
        let mut rest = bytes;
        within("the port takes the bytes", || {
            match (&self.controller).write(rest) {
                Ok(n) => rest = &rest[n..],
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(e) => panic!("{e}"),
            }
            rest.is_empty().then_some(())
        });
    }

    /// Writes what the port takes at once; false when that is nothing.
    pub fn write_some(&self, bytes: &[u8]) -> bool {
        (&self.controller).write(bytes).is_ok_and(|count| count > 0)
    }

    /// Reads exactly this many bytes of what the daemon sent.
    #[track_caller]
    pub fn read(&self, count: usize) -> Vec<u8> {
        let mut got = Vec::new();
        within(&format!("{count} bytes on the port"), || {
            got.extend(self.read_some(count - got.len()));
            (got.len() == count).then_some(())
        });
        got
    }

    /// Reads what is there, at most this many bytes. Before the daemon has opened its end that is nothing.
    pub fn read_some(&self, most: usize) -> Vec<u8> {
        let mut buffer = vec![0; most];
        match (&self.controller).read(&mut buffer) {
            Ok(n) => buffer.truncate(n),
            Err(_would_block_or_closed) => buffer.clear(),
        }
        buffer
    }

    /// Writes a line in two pieces, so that nobody can take a read for a line.
    pub fn say(&self, line: &str) {
        let line = format!("{line}\r\n");
        let (first, second) = line.as_bytes().split_at(line.len() / 2);
        self.write(first);
        std::thread::sleep(Duration::from_millis(1));
        self.write(second);
    }

    /// Gives each line that the daemon sends, whatever ends it, until it has ended.
    fn listen(&self, ended: &AtomicBool, mut take: impl FnMut(&str)) {
        let mut line = Vec::new();
        while !ended.load(Ordering::Relaxed) {
            let bytes = self.read_some(4096);
            if bytes.is_empty() {
                std::thread::sleep(Duration::from_millis(2));
            }
            for byte in bytes {
                match byte {
                    b'\n' | b'\r' if line.is_empty() => {}
                    b'\n' | b'\r' => take(&String::from_utf8_lossy(&std::mem::take(&mut line))),
                    _ => line.push(byte),
                }
            }
        }
    }

    /// Reads until the line has been silent for so long.
    pub fn read_until_silent(&self, silence: Duration) -> Vec<u8> {
        let (mut got, mut last) = (Vec::new(), Instant::now());
        let end = Instant::now() + PATIENCE;
        while last.elapsed() < silence && Instant::now() < end {
            let some = self.read_some(4096);
            if some.is_empty() {
                std::thread::sleep(Duration::from_millis(5));
            } else {
                got.extend(some);
                last = Instant::now();
            }
        }
        got
    }
}

/// What is behind a port and answers to lines.
pub(crate) trait Device: Send + Sync + 'static {
    fn pty(&self) -> &Pty;
    /// The daemon sends a line.
    fn command(&self, command: &str);
}

/// A device that plays its part until this is dropped.
pub(crate) struct Played<D: Device> {
    device: Arc<D>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl<D: Device> Played<D> {
    pub(crate) fn start(device: D) -> Self {
        let (device, ended) = (Arc::new(device), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn({
            let (device, ended) = (Arc::clone(&device), Arc::clone(&ended));
            move || device.pty().listen(&ended, |command| device.command(command))
        });
        Self { device, ended, thread: Some(thread) }
    }
}

impl<D: Device> Deref for Played<D> {
    type Target = D;

    fn deref(&self) -> &D {
        &self.device
    }
}

impl<D: Device> Drop for Played<D> {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()) || std::thread::panicking(), "the device failed");
    }
}

/// A port under a stable name, as udev makes them: a link that can be taken away and put back.
pub struct SwitchedPort {
    link: PathBuf,
    pty: Option<Pty>,
}

impl SwitchedPort {
    /// A link in `dir` with no device behind it.
    pub fn unplugged(dir: &Path) -> Self {
        Self::named(dir, "port")
    }

    /// A link of this name in `dir` with no device behind it, for tests with several ports.
    pub fn named(dir: &Path, name: &str) -> Self {
        Self { link: dir.join(name), pty: None }
    }

    /// A link in `dir` with a device behind it.
    pub fn plugged(dir: &Path) -> Self {
        let mut port = Self::unplugged(dir);
        port.plug();
        port
    }

    /// The stable name.
    pub fn link(&self) -> &Path {
        &self.link
    }

    /// Plugs a new device in.
    pub fn plug(&mut self) -> &Pty {
        self.unplug();
        let pty = self.pty.insert(Pty::open());
        // The daemon may be another user than the test.
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(pty.path(), everybody).unwrap();
        std::os::unix::fs::symlink(pty.path(), &self.link).unwrap();
        pty
    }

    /// Pulls the device out.
    pub fn unplug(&mut self) {
        let _ = std::fs::remove_file(&self.link);
        self.pty = None;
    }

    /// The device that is plugged in.
    pub fn pty(&self) -> &Pty {
        self.pty.as_ref().unwrap()
    }
}
