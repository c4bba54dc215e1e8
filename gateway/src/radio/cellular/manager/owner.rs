//! Whose a port is: one that ModemManager has is not opened, since two who speak on it hear each other's answers.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::bus::Bus;
use super::object::Object;

/// How long an answer is good for, while the port is not open.
const HOLDS: Duration = Duration::from_secs(5);

/// Between two questions while it is. ModemManager looks at a modem that is new for up to half a minute.
const AGAIN: Duration = Duration::from_secs(20);

/// What was answered last.
#[derive(Default)]
pub(in super::super) struct Owner(Option<(Instant, PathBuf, Option<String>)>);

impl Owner {
    /// Why this port is not to be opened, in words. `None` too where nobody can tell.
    pub(in super::super) async fn of(&mut self, port: &Path) -> Option<String> {
        match &self.0 {
            Some((asked, of, answer)) if of == port && asked.elapsed() < HOLDS => answer.clone(),
            _ => {
                let answer = ask(port).await;
                self.0 = Some((Instant::now(), port.to_owned(), answer.clone()));
                answer
            }
        }
    }
}

/// Waits until ModemManager has this port, and says so.
pub(in super::super) async fn takes(port: PathBuf) -> String {
    loop {
        tokio::time::sleep(AGAIN).await;
        if let Some(why) = ask(&port).await {
            return why;
        }
    }
}

async fn ask(port: &Path) -> Option<String> {
    // The link of an adapter leads to the port that the kernel knows.
    let path = tokio::fs::canonicalize(port).await.unwrap_or_else(|_| port.to_owned());
    let name = path.file_name()?.to_str()?;
    let bus = Bus::open().await.ok()?;
    let objects = bus.objects().await.ok()?;
    let modem = Object::all(&objects).into_iter().find(|modem| modem.has_port(name))?;
    Some(format!(
        "ModemManager has {}, of its modem {}; write `via = \"modem-manager\"` in the place of the port, or keep ModemManager off it by \
         the rule that `stile udev` prints",
        port.display(),
        modem.model()
    ))
}
