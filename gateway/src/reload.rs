//! Taking new settings while the gateway runs. Part of the wiring: everything that can fail is done first, and undone
//! when it fails.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::config::{self, Change, Door, Settings};
use crate::doors::mqtt_unit;
use crate::pipeline::StageError;
use crate::sharing::At;
use crate::supervisor::UnitError;
use crate::{CLOCK, CLOSE_PATIENCE, Gateway, admin, broker, logging, start_clock, with_certificate};

/// Addresses that are open and not served yet.
#[derive(Default)]
struct Opened {
    mqtt: Vec<(Door, SocketAddr, TcpListener)>,
    admin: Option<TcpListener>,
}

/// What was closed early, because something new wants its port.
#[derive(Default)]
struct Closed {
    mqtt: Vec<(Door, SocketAddr)>,
    admin: bool,
}

/// What became of new settings that were taken.
pub struct Reloaded {
    /// What differs from the old ones.
    pub changes: Vec<Change>,
    /// Why the plugins stay what they were, if they do: everything else is taken nevertheless.
    pub plugins: Result<(), StageError>,
}

impl Gateway {
    /// Takes new settings: rebuilds the units that differ and leaves the others alone. Returns what changed.
    ///
    /// # Errors
    /// When a new address can't be opened, or a certificate not made. Then nothing has changed.
    pub async fn reload(&mut self, new: Settings) -> Result<Reloaded, UnitError> {
        let new = tokio::task::spawn_blocking(move || with_certificate(new)).await??;
        let changes = config::diff(&self.settings, &new);
        let mut closed = Closed::default();
        let opened = match self.open_new(&new, &mut closed).await {
            Ok(opened) => opened,
            Err(error) => {
                self.open_again(closed).await;
                return Err(error);
            }
        };
        // From here on nothing fails.
        logging::set_level(new.log.level);
        if changes.contains(&Change::Broker) {
            self.broker.reconfigure(Arc::new(new.broker.clone())).await;
        }
        if changes.contains(&Change::Clock) {
            self.supervisor.stop(CLOCK, CLOSE_PATIENCE).await;
            start_clock(&self.supervisor, &self.sources.pipeline, &new.clock);
        }
        self.sources.pipeline.place().select(new.position.source.as_deref());
        // Logged where it is read. The file is no part of the settings: what is wrong with it must not hold them up.
        let _ = self.broker.reload_users().await;
        let sources = Arc::clone(&self.sources);
        let _ = tokio::task::spawn_blocking(move || sources.page.reload()).await;
        for (door, address) in self.leaving(&new) {
            self.close_mqtt(door, address).await;
        }
        for (door, address, listener) in opened.mqtt {
            self.open_mqtt(door, address, listener);
        }
        if self.settings.admin != new.admin {
            self.supervisor.stop("admin", CLOSE_PATIENCE).await;
            self.open_admin(opened.admin, &new.admin);
        }
        // What is held may be for a radio that is new or away for a moment; and what a new radio says must not go past a
        // new plugin.
        self.sources.pipeline.keep_shelves();
        self.reload_uplinks(&changes, &new).await;
        if changes.contains(&Change::Measurements) {
            self.sources.measurements.set(&new.measurements).await;
        }
        let plugins = self.reload_plugins(&new).await;
        self.reload_radios(&changes, &new).await;
        self.reload_probes(&changes, &new).await;
        self.sources.pipeline.work_off_shelves().await;
        for change in &changes {
            log::info!(change:? = change; "settings reloaded");
        }
        if changes.contains(&Change::Gateway) || self.settings.log.format != new.log.format {
            log::warn!("`gateway` and `log.format` take effect at the next start");
        }
        // What takes effect at the next start alone stays what it is.
        self.settings = Settings { gateway: self.settings.gateway.clone(), ..new };
        self.tell_doors();
        Ok(Reloaded { changes, plugins })
    }

    /// MQTT addresses that the new settings do not name any more.
    fn leaving(&self, new: &Settings) -> Vec<(Door, SocketAddr)> {
        let stay = new.broker.listeners();
        self.settings.broker.listeners().into_iter().filter(|listener| !stay.contains(listener)).collect()
    }

    /// Opens what is new. What goes and has the same port is closed first, or `127.0.0.1:1883` could never become
    /// `0.0.0.0:1883`.
    async fn open_new(&mut self, new: &Settings, closed: &mut Closed) -> Result<Opened, UnitError> {
        let mut opened = Opened::default();
        let (old, leaving) = (self.settings.broker.listeners(), self.leaving(new));
        for (door, address) in new.broker.listeners().into_iter().filter(|listener| !old.contains(listener)) {
            for (old_door, old_address) in leaving.iter().filter(|(_, old)| same_port(*old, address)) {
                self.close_mqtt(*old_door, *old_address).await;
                closed.mqtt.push((*old_door, *old_address));
            }
            opened.mqtt.push((door, address, broker::bind(door, address).await?));
        }
        // Where only the certificate is another, it is opened again too.
        if let Some(to) = new.admin.listen.filter(|_| self.settings.admin != new.admin) {
            if self.settings.admin.listen.is_some_and(|from| same_port(from, to)) {
                self.supervisor.stop("admin", CLOSE_PATIENCE).await;
                closed.admin = true;
            }
            opened.admin = Some(admin::bind(to).await?);
        }
        Ok(opened)
    }

    /// Puts back what was closed for something that then could not be opened.
    async fn open_again(&mut self, closed: Closed) {
        for (door, address) in closed.mqtt {
            match broker::bind(door, address).await {
                Ok(listener) => self.open_mqtt(door, address, listener),
                Err(error) => log::error!(error:% = error; "an address could not be opened again"),
            }
        }
        if let Some(address) = self.settings.admin.listen.filter(|_| closed.admin) {
            match admin::bind(address).await {
                Ok(listener) => {
                    let admin = self.settings.admin.clone();
                    self.open_admin(Some(listener), &admin);
                }
                Err(error) => log::error!(error:% = error; "an address could not be opened again"),
            }
        }
    }

    async fn close_mqtt(&mut self, door: Door, address: SocketAddr) {
        self.supervisor.stop(&mqtt_unit(door, address), CLOSE_PATIENCE).await;
        self.mqtt.remove(&(door, address));
    }

    /// Also where the settings are the same: a component may be another.
    async fn reload_plugins(&mut self, new: &Settings) -> Result<(), StageError> {
        let changed = self.sources.plugins.set(&new.plugin, &new.plugins).await;
        if let Err(error) = &changed {
            log::error!(error:% = error; "plugins could not be changed; those of before go on");
        }
        changed
    }

    async fn reload_uplinks(&self, changes: &[Change], new: &Settings) {
        self.uplinks.record(&new.uplink, At::Reload).await;
        for change in changes {
            if let Change::UplinkRemoved(name) = change {
                self.uplinks.stop(name).await;
            }
            if let Change::UplinkChanged(name) | Change::UplinkAdded(name) = change
                && let Some(uplink) = new.uplink.iter().find(|uplink| uplink.name == *name)
            {
                self.uplinks.start(uplink.clone()).await;
            }
        }
    }

    async fn reload_probes(&self, changes: &[Change], new: &Settings) {
        for change in changes {
            if let Change::ProbeRemoved(name) = change {
                self.probes.stop(name).await;
            }
            if let Change::ProbeChanged(name) | Change::ProbeAdded(name) = change
                && let Some(probe) = new.probe.iter().find(|probe| probe.name == *name)
                && let Err(error) = self.probes.start(probe.clone()).await
            {
                log::error!(probe = name.as_str(), error:% = error; "the probe could not be started");
            }
        }
        if changes.contains(&Change::Reflector) {
            self.probes.reflect(new.reflector.clone()).await;
        }
    }

    async fn reload_radios(&self, changes: &[Change], new: &Settings) {
        for change in changes {
            if let Change::RadioRemoved(name) | Change::RadioChanged(name) = change {
                self.radios.stop(name).await;
            }
        }
        let starts = |radio: &&config::Radio| {
            let is_it = |change: &Change| match change {
                Change::RadioChanged(name) | Change::RadioAdded(name) => *name == radio.name(),
                _ => false,
            };
            changes.iter().any(is_it)
        };
        self.radios.start(new.radio.iter().filter(starts).cloned()).await;
    }
}

fn same_port(old: SocketAddr, new: SocketAddr) -> bool {
    old.port() == new.port() && new.port() != 0
}
