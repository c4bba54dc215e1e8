//! Brings what Concentratord publishes on its event socket.

use std::convert::Infallible;

use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::server::Told;
use super::zmtp::{Connection, Error, Role};
use super::{GREETING, Pauses, Trouble};
use crate::config::IpcUrl;

/// See the module's head.
pub(super) struct Subscriber {
    url: IpcUrl,
    trouble: Trouble,
    /// Whether it is known which gateway it is: before that nothing can be told of it.
    known: watch::Receiver<bool>,
    tell: mpsc::Sender<Told>,
}

impl Subscriber {
    pub(super) fn new(url: IpcUrl, trouble: Trouble, known: watch::Receiver<bool>, tell: mpsc::Sender<Told>) -> Self {
        Self { url, trouble, known, tell }
    }

    /// Connects, hears until that fails, and connects again, for ever.
    pub(super) async fn run(mut self) -> Infallible {
        let mut pauses = Pauses::new();
        // It fails when the server has ended, and this is ended with it.
        let _ = self.known.wait_for(|known| *known).await;
        loop {
            match connect(&self.url, Role::Subscriber).await {
                Ok(connection) => {
                    self.trouble.over();
                    let begun = Instant::now();
                    self.tell(Told::Listening).await;
                    let error = self.hear(connection).await;
                    pauses.lasted(begun.elapsed());
                    self.tell(Told::Deaf(error)).await;
                }
                Err(why) => self.trouble.note(format!("{}: {why}", self.url)),
            }
            sleep(pauses.next()).await;
        }
    }

    async fn hear(&self, mut connection: Connection<UnixStream>) -> Error {
        loop {
            match connection.receive().await {
                Ok(parts) => self.tell(Told::Heard(parts)).await,
                Err(error) => return error,
            }
        }
    }

    async fn tell(&self, told: Told) {
        let _ = self.tell.send(told).await;
    }
}

/// Connects to one of Concentratord's sockets, and greets it.
pub(super) async fn connect(url: &IpcUrl, role: Role) -> Result<Connection<UnixStream>, String> {
    let greeted = async {
        let stream = UnixStream::connect(url.path()).await?;
        Connection::greet(stream, role).await
    };
    let greeted = timeout(GREETING, greeted).await.map_err(|_| "no greeting: does it hang?".to_owned())?;
    greeted.map_err(|error| error.to_string())
}
