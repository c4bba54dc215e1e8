//! The way from the pipeline to the broker: a bounded queue, and a short way past it for as long as it is empty.
//!
//! Waking the broker's task for each message costs more than handing the message on. So the broker leaves a
//! [`ShortWay`], by which a message that needs nobody's help is handed on in its publisher's own turn. Messages of one
//! publisher never overtake each other: as long as any is on the long way, all that come go behind it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;

use super::{Closed, Delivered};

/// Messages between the pipeline and the broker's fan-out. Policy: the sender waits. That can't close a circle, since
/// the fan-out waits for nobody but its own router, which is replaced when it stalls.
pub const FANOUT_QUEUE: usize = 512;

/// How the broker hands a message on in its publisher's turn.
pub trait ShortWay: Send + Sync {
    /// Hands a message on without waiting for anybody.
    ///
    /// # Errors
    /// The message itself, when it has to go the long way.
    fn hand_on(&self, delivered: Delivered) -> Result<(), Delivered>;
}

/// What both ends know.
#[derive(Default)]
struct Way {
    /// Messages that are on the long way: queued, or taken by the broker and not handed on to the end.
    long: AtomicUsize,
    short: OnceLock<Arc<dyn ShortWay>>,
}

/// The pipeline's end.
pub(super) struct Fanout {
    queue: mpsc::Sender<Delivered>,
    way: Arc<Way>,
}

/// The broker's end.
pub struct Intake {
    queue: mpsc::Receiver<Delivered>,
    way: Arc<Way>,
    /// Messages that have been taken and not handed on yet.
    taken: usize,
}

/// Makes both ends.
pub(super) fn fanout() -> (Fanout, Intake) {
    let (sender, receiver) = mpsc::channel(FANOUT_QUEUE);
    let way = Arc::new(Way::default());
    (Fanout { queue: sender, way: Arc::clone(&way) }, Intake { queue: receiver, way, taken: 0 })
}

impl Fanout {
    /// Sends a message, by whichever way. Waits while the queue is full.
    pub(super) async fn send(&self, delivered: Delivered) -> Result<(), Closed> {
        let delivered = match self.send_short(delivered) {
            Ok(()) => return Ok(()),
            Err(delivered) => delivered,
        };
        let place = self.queue.reserve().await.map_err(|_closed| Closed)?;
        // Before it is in the queue: the broker may have done with it at once.
        self.way.long.fetch_add(1, Ordering::AcqRel);
        place.send(delivered);
        Ok(())
    }

    fn send_short(&self, delivered: Delivered) -> Result<(), Delivered> {
        match self.way.short.get() {
            // Acquire: what was on the long way has been handed on, so this one comes behind it.
            Some(short) if self.way.long.load(Ordering::Acquire) == 0 && !self.queue.is_closed() => {
                short.hand_on(delivered)
            }
            _ => Err(delivered),
        }
    }
}

impl Intake {
    /// From now on messages may go the short way. The first one that is given stands.
    pub fn open_short_way(&self, short: Arc<dyn ShortWay>) {
        // Fails only when there is one already.
        let _ = self.way.short.set(short);
    }

    /// Takes up to `most` messages; none when the pipeline is gone. Safe to cancel. [`done`](Self::done) must follow.
    pub async fn take(&mut self, batch: &mut Vec<Delivered>, most: usize) -> usize {
        let count = self.queue.recv_many(batch, most).await;
        self.taken += count;
        count
    }

    /// All that was taken has been handed on.
    pub fn done(&mut self) {
        // Release: see `send_short`.
        self.way.long.fetch_sub(std::mem::take(&mut self.taken), Ordering::AcqRel);
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// What tests take by hand.
#[cfg(test)]
impl Intake {
    pub(crate) async fn recv(&mut self) -> Option<Delivered> {
        self.queue.recv().await
    }

    pub(crate) fn try_recv(&mut self) -> Result<Delivered, mpsc::error::TryRecvError> {
        self.queue.try_recv()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::message::{Origin, Topic};
    use crate::pipeline::Stamp;

    fn delivered(stamp: &Stamp, text: &str) -> Delivered {
        let topic = Topic::new("t").unwrap();
        let message = stamp.message_at(stamp.clock().now(), Origin::Gateway, topic, text.to_owned());
        Delivered { message: Arc::new(message), receipt: None }
    }

    /// Notes what comes, but for what says that it can't go this way.
    #[derive(Default)]
    struct Noted(Mutex<Vec<String>>);

    impl ShortWay for Noted {
        fn hand_on(&self, delivered: Delivered) -> Result<(), Delivered> {
            let text = String::from_utf8(delivered.message.payload.to_vec()).unwrap();
            if text.starts_with("long") {
                return Err(delivered);
            }
            self.0.lock().unwrap().push(text);
            Ok(())
        }
    }

    #[tokio::test]
    async fn nothing_overtakes_what_is_on_the_long_way_until_that_is_handed_on() {
        let stamp = Stamp::new(1);
        let (fanout, mut intake) = fanout();
        let noted = Arc::new(Noted::default());
        fanout.send(delivered(&stamp, "before there is a short way")).await.unwrap();
        intake.open_short_way(Arc::clone(&noted) as Arc<dyn ShortWay>);
        fanout.send(delivered(&stamp, "waits behind it")).await.unwrap();
        let mut batch = Vec::new();
        assert_eq!(intake.take(&mut batch, 1).await, 1);
        intake.done();
        fanout.send(delivered(&stamp, "behind both")).await.unwrap();
        assert_eq!(intake.take(&mut batch, 10).await, 2);
        fanout.send(delivered(&stamp, "they are taken and not handed on")).await.unwrap();
        assert_eq!(intake.take(&mut batch, 10).await, 1);
        assert!(noted.0.lock().unwrap().is_empty());
        intake.done();
        for text in ["short", "long", "behind the long one"] {
            fanout.send(delivered(&stamp, text)).await.unwrap();
        }
        assert_eq!(*noted.0.lock().unwrap(), ["short"]);
        assert_eq!(intake.len(), 2);
    }

    #[tokio::test]
    async fn with_the_broker_gone_neither_way_is_open() {
        let stamp = Stamp::new(1);
        let (fanout, intake) = fanout();
        let noted = Arc::new(Noted::default());
        intake.open_short_way(Arc::clone(&noted) as Arc<dyn ShortWay>);
        fanout.send(delivered(&stamp, "a")).await.unwrap();
        drop(intake);
        assert_eq!(fanout.send(delivered(&stamp, "b")).await, Err(Closed));
        assert_eq!(*noted.0.lock().unwrap(), ["a"]);
    }
}
