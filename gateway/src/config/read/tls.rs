//! Reads `[broker.tls]` and the files that it names: they must be there, be what they should be, and fit together.

use std::path::{Path, PathBuf};

use super::ports::Ports;
use crate::config::files;
use crate::config::listeners::{ClientCertificates, Tls};
use crate::config::problem::plain;
use crate::config::section::Section;
use crate::tls::{self, Authorities, Chain, Key, Server};

/// How to come by a certificate.
const MAKE_ONE: &str = "name a PEM file that the gateway may read; `stile cert` makes them";

/// Reads the section; its listeners go to `ports` as well. None when it has a problem, which the notes say. Where it names
/// no certificate, it is the one that the gateway has made in `data_dir`, or has still to make.
pub(super) fn read(mut section: Section<'_>, ports: &mut Ports, data_dir: &Path) -> Option<Tls> {
    let listen = ports.listen(&mut section, "listen");
    let websocket_listen = ports.listen(&mut section, "websocket-listen");
    if !section.has("websocket-listen") {
        section.require("listen", "write `listen = [\"0.0.0.0:8883\"]`");
    }
    let Identity { certificate, key, to_make, parts } = identity(&mut section, data_dir);
    let client_ca = section.path("client-ca");
    let authorities = file(&section, "client-ca", client_ca.clone(), "no certificate", Authorities::read);
    let policy = section.choice("client-certificates");
    let policy = section.has("client-ca").then(|| policy.unwrap_or(ClientCertificates::Required)).or(policy);
    let user = section.boolean("client-certificate-user").unwrap_or(false);
    check_needy(&section);
    let required = policy == Some(ClientCertificates::Required);
    let server = fit(&section, parts, authorities.map(|authorities| (authorities, required)));
    section.finish();
    let good = (server.is_some() || to_make) && (listen.is_some() || websocket_listen.is_some());
    good.then(|| Tls {
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

/// The certificate to show, as a section names it.
pub(super) struct Identity {
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    /// None is named, and the gateway has still to make its own.
    pub(super) to_make: bool,
    /// What the files hold.
    pub(super) parts: Option<(Chain, Key)>,
}

/// Reads `certificate` and `key`, or where neither is there what the gateway has made in `data_dir`.
pub(super) fn identity(section: &mut Section<'_>, data_dir: &Path) -> Identity {
    let (certificate, key) = (section.path("certificate"), section.path("key"));
    let own = !section.has("certificate") && !section.has("key");
    for key in ["certificate", "key"].into_iter().filter(|_| !own) {
        section.require(key, format!("write `{key} = \"/path\"`"));
    }
    let in_folder = |name: &str| own.then(|| data_dir.join(tls::FOLDER).join(name));
    let chain_file = certificate.clone().or_else(|| in_folder(tls::CERTIFICATE));
    let key_file = key.clone().or_else(|| in_folder(tls::KEY));
    let to_make = own && ![&chain_file, &key_file].into_iter().flatten().any(|file| file.exists());
    let read = |file: Option<PathBuf>| file.filter(|_| !to_make);
    let chain = file(section, "certificate", read(chain_file), "no certificate", Chain::read);
    let secret = file(section, "key", read(key_file), "no private key", Key::read);
    Identity { certificate, key, to_make, parts: chain.zip(secret) }
}

/// Makes the server's side of it.
pub(super) fn fit(
    section: &Section<'_>,
    parts: Option<(Chain, Key)>,
    clients: Option<(Authorities, bool)>,
) -> Option<Server> {
    let (chain, key) = parts?;
    let refuse = |why| section.refuse("key", format!("names a file which {why}"), "name the two that belong together");
    Server::new(chain, key, clients).map_err(refuse).ok()
}

/// What means nothing where nobody's certificate is checked.
fn check_needy(section: &Section<'_>) {
    for needy in ["client-certificates", "client-certificate-user"] {
        if section.has(needy) && !section.has("client-ca") {
            section.refuse(
                needy,
                "is there without `client-ca`",
                "name the authorities' file: `client-ca = \"/path\"`",
            );
        }
    }
}

/// Reads the file that `key` names and makes something of it; `else_is` says what it is when that fails.
pub(super) fn file<T>(
    section: &Section<'_>,
    key: &'static str,
    path: Option<PathBuf>,
    else_is: &str,
    parse: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Option<T> {
    let path = path?;
    let shown = plain(&path.to_string_lossy());
    let read = match files::read_pem(&path) {
        Ok(bytes) => parse(&bytes).map_err(|reason| format!("is `{shown}`, which is {else_is}: {reason}")),
        Err(reason) => Err(format!("is `{shown}`, which cannot be read: {reason}")),
    };
    read.map_err(|is| section.refuse(key, is, MAKE_ONE)).ok()
}
