//! Where clients and pages come in. Part of the wiring.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};

use tokio::net::TcpListener;

use crate::config::{self, Door, Settings};
use crate::supervisor::Rank;
use crate::{Gateway, admin, tls};

impl Gateway {
    pub(crate) fn open_mqtt(&mut self, door: Door, address: SocketAddr, listener: TcpListener) {
        let actual = listener.local_addr().unwrap_or(address);
        self.mqtt.insert((door, address), actual);
        log::info!(address:% = actual; "listening for {}", door.speaks());
        let broker = self.broker.clone();
        let name = mqtt_unit(door, address);
        self.supervisor
            .start_critical(&name, Rank::Clients, move |stop| async move { broker.listen(door, listener, stop).await });
    }

    /// Serves the admin page by TLS where `settings` say so; by then there is a certificate.
    pub(crate) fn open_admin(&mut self, listener: Option<TcpListener>, settings: &config::Admin) {
        self.admin = listener.as_ref().and_then(|l| l.local_addr().ok());
        let Some(listener) = listener else { return };
        if let Some(address) = self.admin {
            let scheme = if settings.secure() { "https" } else { "http" };
            log::info!(address:% = address, scheme = scheme; "serving the admin page");
            if let Some(code) = self.sources.page.setup_code() {
                let url = format!("{scheme}://{address}/setup");
                log::info!(code = code, url = url; "nobody can sign in to the admin page yet; set it up with this code");
            }
        }
        let (sources, tls) = (Arc::clone(&self.sources), settings.server.clone().filter(|_| settings.secure()));
        self.supervisor.start_critical("admin", Rank::Admin, move |stop| admin::serve(listener, tls, sources, stop));
    }

    /// Says where the gateway listens and which certificates it shows: to the command line, which asks whether it answers there, and to
    /// the page that lists them.
    pub(crate) fn tell_doors(&self) {
        let Settings { admin, broker, .. } = &self.settings;
        let of_page = admin.server.as_ref().filter(|_| admin.secure());
        let of_page = of_page.map(|server| ("admin page", admin.certificate.is_none(), server.certificate()));
        let of_broker = broker.tls.as_ref().and_then(|tls| Some((tls, tls.server.as_ref()?)));
        let of_broker = of_broker.map(|(tls, server)| ("MQTT", tls.certificate.is_none(), server.certificate()));
        let fingerprint =
            |shown: &Option<(_, _, tls::Certificate)>| shown.as_ref().map(|shown| shown.2.fingerprint.clone());
        let mqtt = self.mqtt.iter().map(|((door, _), actual)| admin::Open {
            door: door.as_str(),
            address: *actual,
            certificate: fingerprint(&of_broker).filter(|_| door.is_secure()),
        });
        let certificate = fingerprint(&of_page);
        let page = self.admin.map(|address| admin::Open { door: "page", address, certificate });
        *self.sources.open.lock().unwrap_or_else(PoisonError::into_inner) = mqtt.chain(page).collect();
        self.sources.system.show_certificates(of_page.into_iter().chain(of_broker).collect());
    }

    /// Where MQTT clients can connect without TLS.
    pub fn mqtt_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.mqtt.iter().filter(|((door, _), _)| *door == Door::Plain).map(|(_, actual)| *actual)
    }

    /// Where the admin page is, unless it is off.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }
}

/// The name of the unit that listens there.
pub(crate) fn mqtt_unit(door: Door, address: SocketAddr) -> String {
    match door {
        Door::Plain => format!("mqtt {address}"),
        Door::Tls => format!("mqtts {address}"),
        Door::WebSocket => format!("mqtt websocket {address}"),
        Door::SecureWebSocket => format!("mqtts websocket {address}"),
    }
}
