//! A gateway elsewhere: its admin port, with a token.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::Uri;
use hyper::body::Incoming;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::complain;
use super::gateway::{Ask, send};
use crate::people::TOKEN_MARK;
use crate::tls::{self, Authorities, Client, Pin};

/// How long connecting may take, and how long the handshake behind it.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest file that is read for a token or authorities, in bytes.
const FILE: u64 = 1 << 20;

/// Where a gateway elsewhere is, and how it is known.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "A gateway elsewhere")]
pub(super) struct Remote {
    /// Its admin page, such as https://gateway.example:8443; plain http to this machine alone, as through SSH
    #[arg(long, value_name = "URL", conflicts_with = "data_dir")]
    url: Option<String>,
    /// The file with a token of that gateway: `stile token add NAME --scope viewer` makes one there
    #[arg(long, value_name = "FILE", requires = "url")]
    token_file: Option<PathBuf>,
    /// The authority that has signed its certificate, PEM; without it, those that the system believes
    #[arg(long, value_name = "FILE", requires = "url")]
    ca: Option<PathBuf>,
    /// Its certificate's fingerprint, as `stile cert show` prints it there; its name is not looked at then
    #[arg(long, value_name = "SHA256", requires = "url", value_parser = fingerprint)]
    fingerprint: Option<Pin>,
}

fn fingerprint(text: &str) -> Result<Pin, String> {
    Pin::parse(text).ok_or_else(|| "it has 64 hex digits, as `stile cert show` prints them".to_owned())
}

/// A gateway elsewhere, as far as it is known before it is asked.
pub(super) struct Place {
    host: String,
    port: u16,
    token: Option<String>,
    /// Without it, plain HTTP.
    client: Option<Client>,
}

impl Remote {
    /// `None` where none is named. Reads the files.
    pub(super) fn place(&self) -> Result<Option<Place>, anyhow::Error> {
        let Some(url) = &self.url else { return Ok(None) };
        let (secure, host, port) = parse(url)?;
        if !secure {
            anyhow::ensure!(
                self.ca.is_none() && self.fingerprint.is_none(),
                "--ca and --fingerprint are for https://, and the URL says http://"
            );
        }
        let token = self.token_file.as_deref().map(token).transpose()?;
        let client = secure.then(|| self.client()).transpose()?;
        Ok(Some(Place { host, port, token, client }))
    }

    /// Whom to believe.
    fn client(&self) -> Result<Client, anyhow::Error> {
        let authorities = match (&self.ca, self.fingerprint) {
            (Some(ca), _) => Some(Authorities::read(&read(ca)?).map_err(|why| no_certificate(ca, &why))?),
            (None, Some(_)) => None,
            (None, None) => {
                let path = Path::new(tls::SYSTEM_AUTHORITIES);
                let system =
                    read(path).and_then(|pem| Authorities::read_system(&pem).map_err(|why| no_certificate(path, &why)));
                Some(system.map_err(|error| {
                    anyhow::anyhow!("{error}; install Debian's ca-certificates, or give --ca or --fingerprint")
                })?)
            }
        };
        Client::new(authorities, self.fingerprint, None).map_err(|why| anyhow::anyhow!("what --ca names {why}"))
    }
}

fn no_certificate(path: &Path, why: &str) -> anyhow::Error {
    anyhow::anyhow!("{} is no certificate: {why}", path.display())
}

/// Whether TLS is spoken, host and port.
fn parse(url: &str) -> Result<(bool, String, u16), anyhow::Error> {
    const REMEDY: &str = "write it as https://gateway.example:8443";
    let uri: Uri = url.parse().map_err(|error| anyhow::anyhow!("--url: {error}; {REMEDY}"))?;
    let secure = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => anyhow::bail!("--url has no https:// or http:// in front; {REMEDY}"),
    };
    let plain = uri.path_and_query().is_none_or(|rest| rest.as_str() == "/");
    let nobody = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    anyhow::ensure!(plain && nobody, "--url has more than a host and a port; {REMEDY}");
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    anyhow::ensure!(!host.is_empty(), "--url names no host; {REMEDY}");
    if !secure && !is_here(&host) {
        anyhow::bail!("over http:// everybody on the way could read the token; use https://, or go through SSH");
    }
    // A port that is none must not be taken for no port: the token would go elsewhere.
    let behind = uri.authority().and_then(|authority| authority.as_str().split_once(authority.host()));
    let port = match behind.map_or("", |(_, port)| port) {
        "" if secure => 443,
        "" => 80,
        _ => {
            uri.port_u16().ok_or_else(|| anyhow::anyhow!("--url has no number of 0 to 65535 as its port; {REMEDY}"))?
        }
    };
    Ok((secure, host, port))
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn read(path: &Path) -> Result<Vec<u8>, anyhow::Error> {
    let read = fs::metadata(path)
        .and_then(|about| if about.len() > FILE { Err(io::Error::other("it is too long")) } else { fs::read(path) });
    read.map_err(|error| anyhow::anyhow!("can't read {}: {error}", path.display()))
}

/// What is said of a file with a token that others may read.
fn open_to_others(path: &Path) -> Option<String> {
    let mode = fs::metadata(path).ok().filter(fs::Metadata::is_file)?.mode();
    (mode & 0o077 != 0).then(|| {
        let path = path.display();
        format!("warning: others on this machine may use {path}, which has a token: chmod 600 {path}")
    })
}

/// The token in a file, which may be all that `stile token add` prints.
fn token(path: &Path) -> Result<String, anyhow::Error> {
    let text = String::from_utf8(read(path)?).unwrap_or_default();
    if let Some(warning) = open_to_others(path) {
        complain(&warning);
    }
    let is_token = |word: &&str| word.starts_with(TOKEN_MARK) && word.bytes().all(|byte| byte.is_ascii_graphic());
    text.split_whitespace()
        .find(is_token)
        .map(str::to_owned)
        .ok_or_else(|| anyhow::anyhow!("{} has no token in it; `stile token add` makes one", path.display()))
}

impl Place {
    /// Asks it.
    pub(super) async fn send(self, mut ask: Ask) -> Result<Incoming, anyhow::Error> {
        let Self { host, port, token, client } = self;
        ask.host = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        ask.token = token;
        let there = ask.host.clone();
        let cant = |why: &str| anyhow::anyhow!("can't reach the gateway at {there}: {why}");
        let connecting = tokio::time::timeout(PATIENCE, TcpStream::connect((host.as_str(), port))).await;
        let tcp = connecting.map_err(|_| cant("nobody answers; look at the address and at what is on the way"))?;
        let tcp = tcp.map_err(|error| cant(&format!("{error}; is it running, and is `admin.listen` set there?")))?;
        let Some(client) = client else {
            // `localhost` is what a name server says, where this machine does not say it itself.
            if !tcp.peer_addr()?.ip().to_canonical().is_loopback() {
                return Err(cant(
                    "it is not on this machine, and over http:// everybody on the way could read the token",
                ));
            }
            return send(tcp, ask).await;
        };
        let name = tls::server_name(&host).map_err(|why| cant(&why))?;
        let shaking = tokio::time::timeout(PATIENCE, TlsConnector::from(client.config()).connect(name, tcp)).await;
        let stream = shaking.map_err(|_| cant("it takes too long to shake hands; does it speak TLS there?"))?;
        send(stream.map_err(|error| cant(&explain(&error)))?, ask).await
    }
}

/// The words of `tls` are for settings, which are called otherwise here.
fn explain(error: &io::Error) -> String {
    let Some(words) = tls::explain(error) else { return format!("it broke off: {error}") };
    words.replace("`ca`", "--ca").replace("`pin`", "--fingerprint").replace("`url`", "--url")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_url_is_a_scheme_a_host_and_perhaps_a_port() {
        let good = |url: &str| parse(url).unwrap();
        assert_eq!(good("https://gw.local:8443"), (true, "gw.local".to_owned(), 8443));
        assert_eq!(good("https://[2001:db8::7]/"), (true, "2001:db8::7".to_owned(), 443));
        assert_eq!(good("http://127.0.0.1:8080/"), (false, "127.0.0.1".to_owned(), 8080));
        for (odd, why) in [
            ("gw.local:8443", "https://"),
            ("ftp://gw.local", "https://"),
            ("https://gw.local/metrics", "more than a host"),
            ("https://anna@gw.local", "more than a host"),
            ("http://192.0.2.7:8080", "SSH"),
            ("https://gw.local:84430", "port"),
            ("https://gw.local:", "port"),
            ("https://[2001:db8::7]:x", "--url"),
            ("https://", "--url"),
        ] {
            let error = parse(odd).unwrap_err().to_string();
            assert!(error.contains(why), "{odd}: {error}");
        }
    }

    #[test]
    fn a_token_is_found_in_what_the_command_line_prints() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        for text in ["stile_abc", "stile_abc\n", "token, shown this once: stile_abc\nthe running gateway knows\n"] {
            fs::write(&path, text).unwrap();
            assert_eq!(token(&path).unwrap(), "stile_abc");
        }
        for (mode, warns) in [(0o600, false), (0o640, true), (0o604, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(open_to_others(&path).is_some(), warns, "{mode:o}");
        }
        fs::write(&path, "no token\n").unwrap();
        assert!(token(&path).unwrap_err().to_string().contains("no token in it"));
    }
}
