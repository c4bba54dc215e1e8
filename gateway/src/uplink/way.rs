//! An uplink's way to its remote: a connection over the first path that gives one, and a look at better ones meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::dial::{Dialer, Link};
use super::link::{self, Joined};
use super::paths::Paths;
use super::session::Own;
use super::stats::UplinkStats;
use super::taken::on_disk;
use super::trouble::Trouble;
use crate::codec::Connect;
use crate::config::Uplink;

/// See the module's head.
pub(super) struct Way {
    uplink: String,
    dialer: Dialer,
    paths: Paths,
    stats: Arc<UplinkStats>,
    max_packet: usize,
    /// How long the remote may take to let the gateway in.
    patience: Duration,
    /// The settings name paths.
    named: bool,
    /// A connection over a better path, on which nothing has been said yet.
    ready: Option<(usize, Link)>,
}

impl Way {
    pub(super) fn new(uplink: &Uplink, stats: &Arc<UplinkStats>) -> Self {
        let dialer = Dialer::new(uplink);
        let named = !uplink.paths.is_empty();
        let labels = (0..dialer.count()).filter(|_| named).map(|path| dialer.label(path));
        stats.paths_are(labels.collect());
        Self {
            uplink: uplink.name.clone(),
            paths: Paths::new(dialer.count(), uplink.path_return),
            patience: dialer.patience(),
            dialer,
            stats: Arc::clone(stats),
            max_packet: uplink.max_packet_size,
            named,
            ready: None,
        }
    }

    /// What a path is called, where the settings name any.
    pub(super) fn label(&self, path: usize) -> Option<String> {
        self.named.then(|| self.dialer.label(path))
    }

    /// Has the gateway let in over the first path on which that works. The remote's own no is not asked for again on the next.
    pub(super) async fn join(&mut self, request: &Connect, own: &Own) -> Result<(usize, Joined), Trouble> {
        let mut order = self.paths.order();
        let mut ready = self.ready.take();
        if let Some((path, _)) = &ready {
            order.retain(|other| other != path);
            order.insert(0, *path);
        }
        let mut troubles = Vec::new();
        for path in order {
            // The one that is ready is the first.
            let link = ready.take().map(|(_, link)| link);
            match self.join_over(path, link, request, own).await {
                Ok(joined) => {
                    self.paths.joined(path);
                    return Ok((path, joined));
                }
                Err(why @ Trouble::Refused { .. }) => return Err(why),
                Err(why) => {
                    self.paths.failed(path);
                    self.tell(path, &why);
                    troubles.push((self.dialer.label(path), why));
                }
            }
        }
        Err(Trouble::of_paths(troubles).unwrap_or(Trouble::TooSlow("to be connected to")))
    }

    async fn join_over(
        &mut self,
        path: usize,
        ready: Option<Link>,
        request: &Connect,
        own: &Own,
    ) -> Result<Joined, Trouble> {
        let link = match ready {
            Some(link) => link,
            None => self.dialer.open(path).await?,
        };
        doubt(own).await;
        let joining = timeout(self.patience, link::join(link, request.clone(), self.max_packet));
        joining.await.map_err(|_| Trouble::TooSlow("to answer CONNECT"))?
    }

    /// Looks at the paths before `current` now and then, until one has been well for long enough. What it has opened there is
    /// used by the next [`join`](Self::join). Never ends where there is no better path. Safe to cancel.
    pub(super) async fn better(&mut self, current: usize) {
        if current == 0 {
            std::future::pending::<()>().await;
        }
        loop {
            sleep(self.paths.pause()).await;
            for path in 0..current {
                let opened = self.dialer.open(path).await;
                let back = self.paths.looked(path, opened.is_ok(), Instant::now());
                match opened {
                    Ok(link) if back => {
                        self.ready = Some((path, link));
                        return;
                    }
                    Ok(_) => {}
                    Err(why) => self.tell(path, &why),
                }
            }
        }
    }

    /// A connection over a path has ended after a while, and why.
    pub(super) fn lost(&mut self, path: usize, why: &Trouble, lasted: Duration) {
        self.paths.lost(path, why.may_be_the_path(), lasted);
        self.tell(path, why);
    }

    /// Whether another path is worth trying at once after this.
    pub(super) fn goes_on(&self, why: &Trouble) -> bool {
        self.ready.is_some() || (why.may_be_the_path() && self.paths.any_well())
    }

    fn tell(&self, path: usize, why: &Trouble) {
        if let Some(label) = self.label(path) {
            let text = why.to_string();
            log::debug!(uplink = self.uplink.as_str(), path = label.as_str(), error = text; "a path failed");
            self.stats.path_failed(&label, text);
        }
    }
}

/// Has it on disk, before CONNECT goes, that nobody knows whether the remote still has the session.
async fn doubt(own: &Own) {
    let (before, told) = {
        let mut taken = own.taken();
        (taken.connecting(), taken.told())
    };
    if let Some(before) = before {
        on_disk(&before, &told).await;
    }
}
