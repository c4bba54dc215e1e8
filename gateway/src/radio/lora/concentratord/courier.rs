//! Carries questions to Concentratord's command socket and answers back, one at a time, and knows who it is.
//!
//! What is not answered in time ends the connection: an answer that came later would be taken for the next one's. Now and
//! then it asks who is there, so that one that hangs is noticed also when there is nothing to send.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::form::{Form, Question};
use super::server::Told;
use super::zmtp::{Connection, Error, Role};
use super::{Pauses, Trouble};
use crate::config::{Eui, IpcUrl};

/// How long Concentratord may take to answer: a device of class A listens a second after it has spoken.
const PATIENCE: Duration = Duration::from_secs(1);

/// Between two looks who is there.
const LOOK: Duration = Duration::from_secs(10);

/// After new channels Concentratord starts its concentrator again, and takes no commands meanwhile.
const SETTLING: Duration = Duration::from_secs(30);

/// A question and the number by which its answer is told.
pub(super) struct Ask {
    pub(super) number: u64,
    pub(super) question: Question,
}

/// See the module's head.
pub(super) struct Courier {
    url: IpcUrl,
    trouble: Trouble,
    asked: mpsc::Receiver<Ask>,
    tell: mpsc::Sender<Told>,
}

/// A connection on which Concentratord has said who it is.
struct Line {
    connection: Connection<UnixStream>,
    form: Form,
    eui: Eui,
}

impl Courier {
    pub(super) fn new(url: IpcUrl, trouble: Trouble, asked: mpsc::Receiver<Ask>, tell: mpsc::Sender<Told>) -> Self {
        Self { url, trouble, asked, tell }
    }

    /// Connects, serves until that fails, and connects again, for ever.
    pub(super) async fn run(mut self) -> Infallible {
        let mut pauses = Pauses::new();
        loop {
            match self.open().await {
                Ok(line) => {
                    self.trouble.over();
                    let begun = Instant::now();
                    self.serve(line).await;
                    pauses.lasted(begun.elapsed());
                }
                Err(why) => self.trouble.note(format!("{}: {why}", self.url)),
            }
            sleep(pauses.next()).await;
        }
    }

    async fn open(&mut self) -> Result<Line, String> {
        let mut connection = super::subscriber::connect(&self.url, Role::Requester).await?;
        let mut form = Form::Single;
        let mut answer = exchange(&mut connection, &form.who()).await?;
        if answer.is_empty() {
            form = Form::Pair;
            answer = exchange(&mut connection, &form.who()).await?;
        }
        let unknown = || "Concentratord does not say which gateway it is".to_owned();
        let eui = form.identity(&answer).ok_or_else(unknown)?;
        Ok(Line { connection, form, eui })
    }

    async fn serve(&mut self, mut line: Line) {
        // What was asked on another connection was given up with that.
        while self.asked.try_recv().is_ok() {}
        self.tell(Told::Here { eui: line.eui, form: line.form }).await;
        let mut look = Instant::now() + LOOK;
        let why = loop {
            tokio::select! {
                Some(Ask { number, question }) = self.asked.recv() => {
                    let pause = if matches!(question, Question::Configure(_)) { SETTLING } else { LOOK };
                    match exchange(&mut line.connection, &line.form.question(&question)).await {
                        Ok(answer) => self.tell(Told::Answer { number, answer }).await,
                        Err(why) => break why,
                    }
                    look = Instant::now() + pause;
                }
                () = sleep_until(look) => {
                    match exchange(&mut line.connection, &line.form.who()).await.map(|answer| line.form.identity(&answer)) {
                        Ok(Some(eui)) if eui == line.eui => look = Instant::now() + LOOK,
                        Ok(_) => break "Concentratord says that it is another gateway, or none".to_owned(),
                        Err(why) => break why,
                    }
                }
                unasked = line.connection.receive() => break match unasked {
                    Ok(_) => "Concentratord answers what it was not asked".to_owned(),
                    Err(error) => error.to_string(),
                },
            }
        };
        self.tell(Told::Gone(why)).await;
    }

    async fn tell(&self, told: Told) {
        // It fails when the server has ended, and this is ended with it.
        let _ = self.tell.send(told).await;
    }
}

/// Asks, and waits for the answer.
async fn exchange(connection: &mut Connection<UnixStream>, question: &[Bytes]) -> Result<Bytes, String> {
    // Before the question stands an empty frame, and so before the answer (rfc.zeromq.org, 28/REQREP).
    let parts: Vec<&[u8]> = std::iter::once(&b""[..]).chain(question.iter().map(|part| &part[..])).collect();
    let conversation = async {
        connection.send(&parts).await?;
        connection.receive().await
    };
    let answer: Result<Vec<Bytes>, Error> =
        timeout(PATIENCE, conversation).await.map_err(|_| format!("no answer within {PATIENCE:?}"))?;
    match answer.map_err(|error| error.to_string())?.as_slice() {
        [delimiter, answer] if delimiter.is_empty() => Ok(answer.clone()),
        _ => Err("an answer that is none".to_owned()),
    }
}
