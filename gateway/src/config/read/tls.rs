//! Reads `[broker.tls]` and the files that it names: they must be there, be what they should be, and fit together.

use super::ports::Ports;
use crate::config::files;
use crate::config::listeners::{ClientCertificates, Tls};
use crate::config::problem::plain;
use crate::config::section::Section;
use crate::tls::{Authorities, Chain, Key, Server};

/// How to come by a certificate.
const MAKE_ONE: &str = "name a PEM file that the gateway may read; `stile cert` makes them";

/// Reads the section; its listeners go to `ports` as well. None when it has a problem, which the notes say.
pub(super) fn read(mut section: Section<'_>, ports: &mut Ports) -> Option<Tls> {
    let listen = ports.listen(&mut section, "listen");
    let websocket_listen = ports.listen(&mut section, "websocket-listen");
    if !section.has("websocket-listen") {
        section.require("listen", "write `listen = [\"0.0.0.0:8883\"]`");
    }
    let chain = file(&mut section, "certificate", "no certificate", Chain::read);
    let key = file(&mut section, "key", "no private key", Key::read);
    for key in ["certificate", "key"] {
        section.require(key, format!("write `{key} = \"/path\"`"));
    }
    let authorities = file(&mut section, "client-ca", "no certificate", Authorities::read);
    let policy = section.choice("client-certificates");
    let policy = section.has("client-ca").then(|| policy.unwrap_or(ClientCertificates::Required)).or(policy);
    let user = section.boolean("client-certificate-user").unwrap_or(false);
    for needy in ["client-certificates", "client-certificate-user"] {
        if section.has(needy) && !section.has("client-ca") {
            section.refuse(
                needy,
                "is there without `client-ca`",
                "name the authorities' file: `client-ca = \"/path\"`",
            );
        }
    }
    let server = match (chain, key) {
        (Some((certificate, chain)), Some((key, secret))) => {
            let required = policy == Some(ClientCertificates::Required);
            let (client_ca, clients) = authorities.map(|(path, ca)| (path, (ca, required))).unzip();
            match Server::new(chain, secret, clients) {
                Ok(server) => Some((certificate, key, client_ca, server)),
                Err(why) => {
                    let remedy = "name the two that belong together";
                    section.refuse("key", format!("names a file which {why}"), remedy);
                    None
                }
            }
        }
        _ => None,
    };
    section.finish();
    let (certificate, key, client_ca, server) = server?;
    let some = listen.is_some() || websocket_listen.is_some();
    some.then(|| Tls {
        listen: listen.unwrap_or_default(),
        websocket_listen: websocket_listen.unwrap_or_default(),
        certificate,
        key,
        client_ca,
        client_certificates: policy,
        client_certificate_user: user,
        server,
    })
}

/// Reads the file at `key` and makes something of it; `else_is` says what it is when that fails.
fn file<T>(
    section: &mut Section<'_>,
    key: &'static str,
    else_is: &str,
    parse: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Option<(std::path::PathBuf, T)> {
    let path = section.path(key)?;
    let shown = plain(&path.to_string_lossy());
    let bytes = match files::read_pem(&path) {
        Ok(bytes) => bytes,
        Err(reason) => {
            section.refuse(key, format!("is `{shown}`, which cannot be read: {reason}"), MAKE_ONE);
            return None;
        }
    };
    match parse(&bytes) {
        Ok(parsed) => Some((path, parsed)),
        Err(reason) => {
            section.refuse(key, format!("is `{shown}`, which is {else_is}: {reason}"), MAKE_ONE);
            None
        }
    }
}
