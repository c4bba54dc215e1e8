//! Debian's proxies, as `tests/setup.sh test` puts them under `target/tools`.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::within;

/// A running proxy. Dropped, it is killed.
pub struct Proxy {
    child: Child,
    _dir: TempDir,
    /// Where it is.
    pub address: SocketAddr,
}

impl Proxy {
    /// Tinyproxy, which speaks HTTP; `lines` are further settings.
    pub fn tinyproxy(lines: &str) -> Self {
        Self::start("tinyproxy", |command, address, dir| {
            let text =
                format!("Port {}\nListen {}\nTimeout 60\nAllow 127.0.0.1\n{lines}\n", address.port(), address.ip());
            let file = dir.join("tinyproxy.conf");
            std::fs::write(&file, text).unwrap();
            command.arg("-d").arg("-c").arg(file);
        })
    }

    /// Microsocks, which speaks SOCKS5; with a user and a password if they are given.
    pub fn microsocks(user: Option<(&str, &str)>) -> Self {
        Self::start("microsocks", |command, address, _| {
            command.args(["-i", &address.ip().to_string(), "-p", &address.port().to_string()]);
            if let Some((user, password)) = user {
                command.args(["-u", user, "-P", password]);
            }
        })
    }

    /// A port is free when it is looked for, and may be somebody else's when the proxy takes it: then there is another try.
    fn start(name: &str, arguments: impl Fn(&mut Command, SocketAddr, &Path)) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin").join(name);
        assert!(program.exists(), "{} is not there; `tests/setup.sh test` puts it there", program.display());
        within("the proxy listens", || {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let (dir, mut command) = (tempfile::tempdir().unwrap(), Command::new(&program));
            arguments(&mut command, address, dir.path());
            let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let mut proxy = Self { child, _dir: dir, address };
            within("the proxy listens or has ended", || match proxy.child.try_wait().unwrap() {
                Some(_) => Some(false),
                None => TcpStream::connect(address).ok().map(|_| true),
            })
            .then_some(proxy)
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
