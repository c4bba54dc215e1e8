//! Small helpers for tasks that wait for several things at once. Knows no other room.

mod flushing;

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, Sleep};

pub(crate) use flushing::Flushing;

/// The most that one read brings.
const READ_MAX: usize = 8 * 1024;

/// What a stream did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved {
    /// So many bytes were read; 0 is the end.
    Read(usize),
    /// So many bytes were written.
    Wrote(usize),
}

/// Whichever comes first on a stream: room for some of `unsent`, or, with a buffer given, at most `room` bytes to read.
/// One task can so keep both directions going. Safe to cancel.
pub(crate) async fn read_or_write<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    buffer: Option<(&mut BytesMut, usize)>,
    unsent: &[u8],
) -> io::Result<Moved> {
    let mut buffer = buffer;
    let mut stream = Pin::new(stream);
    poll_fn(|cx| {
        if !unsent.is_empty()
            && let Poll::Ready(wrote) = stream.as_mut().poll_write(cx, unsent)
        {
            return Poll::Ready(wrote.map(Moved::Wrote));
        }
        match &mut buffer {
            Some((buffer, room)) => poll_read_some(stream.as_mut(), cx, buffer, *room).map_ok(Moved::Read),
            None => Poll::Pending,
        }
    })
    .await
}

/// Writes what a stream takes at once; `None` when it takes nothing now. Whoever goes on waits by [`read_or_write`].
pub(crate) async fn try_write<S: AsyncWrite + Unpin>(stream: &mut S, unsent: &[u8]) -> Option<io::Result<usize>> {
    poll_fn(|cx| match Pin::new(&mut *stream).poll_write(cx, unsent) {
        Poll::Ready(wrote) => Poll::Ready(Some(wrote)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Reads at most `room` bytes, and no more than [`READ_MAX`], to the end of `buffer`. What is read into stands on the
/// stack and is copied from there: room in `buffer` itself would be held by each stream that has nothing to say.
pub(crate) fn poll_read_some<S: AsyncRead>(
    stream: Pin<&mut S>,
    cx: &mut Context<'_>,
    buffer: &mut BytesMut,
    room: usize,
) -> Poll<io::Result<usize>> {
    let mut space = [const { MaybeUninit::uninit() }; READ_MAX];
    let mut read = ReadBuf::uninit(&mut space[..room.min(READ_MAX)]);
    ready!(stream.poll_read(cx, &mut read))?;
    buffer.extend_from_slice(read.filled());
    Poll::Ready(Ok(read.filled().len()))
}

/// Sleeps until `at`, for ever without one.
pub(crate) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Waits for notifications again and again, registered for each once and not anew with each wait. Safe to cancel.
pub(crate) struct Bell {
    notify: Arc<Notify>,
    next: Pin<Box<OwnedNotified>>,
}

impl Bell {
    pub(crate) fn new(notify: &Arc<Notify>) -> Self {
        Self { notify: Arc::clone(notify), next: Box::pin(Arc::clone(notify).notified_owned()) }
    }

    /// Waits until it has been notified since the last time.
    pub(crate) async fn rings(&mut self) {
        self.next.as_mut().await;
        self.next.set(Arc::clone(&self.notify).notified_owned());
    }
}

/// A timer for something that is put off all the time: it is moved only to go off sooner. Whoever is woken too soon looks
/// again.
#[derive(Default)]
pub(crate) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Has it go off at `at` or before.
    pub(crate) fn set(&mut self, at: Option<Instant>) {
        match (at, &mut self.0) {
            (Some(at), None) => self.0 = Some(Box::pin(tokio::time::sleep_until(at))),
            (Some(at), Some(sleep)) if at < sleep.deadline() => sleep.as_mut().reset(at),
            _ => {}
        }
    }

    /// Waits until it goes off, which it does once for each time that it is set. Safe to cancel.
    pub(crate) async fn goes_off(&mut self) {
        match &mut self.0 {
            Some(sleep) => sleep.as_mut().await,
            None => std::future::pending().await,
        }
        self.0 = None;
    }
}

/// Waits for what hardly ever happens, at the price of one look at a flag with each wait: it is asked only after it has
/// woken somebody, and at first.
pub(crate) struct Seldom {
    woken: Arc<Woken>,
    /// Sets the flag.
    waker: Waker,
    /// Who was waiting the last time.
    task: Option<Waker>,
}

struct Woken {
    flag: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Default for Seldom {
    fn default() -> Self {
        let woken = Arc::new(Woken { flag: AtomicBool::new(true), task: Mutex::default() });
        Self { waker: Arc::clone(&woken).into(), woken, task: None }
    }
}

impl Seldom {
    /// Waits for what `ask` tells of. Safe to cancel.
    pub(crate) async fn happens<T>(&mut self, mut ask: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
        poll_fn(|cx| {
            if !self.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
                self.task = Some(cx.waker().clone());
                self.woken.task.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&self.task);
            }
            if !self.woken.flag.swap(false, Ordering::AcqRel) {
                return Poll::Pending;
            }
            let answer = ask(&mut Context::from_waker(&self.waker));
            if answer.is_ready() {
                // There may be more that it did not come to.
                self.woken.flag.store(true, Ordering::Release);
            }
            answer
        })
        .await
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.flag.store(true, Ordering::Release);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

/// Lets every task that is due have its turn first. tokio's own `yield_now` asks the kernel for news before, which others
/// would wait for.
pub(crate) async fn give_way() {
    let mut gave_way = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut gave_way, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    /// Waits for it if it is there already.
    async fn at_once(what: impl Future<Output = ()>) -> bool {
        tokio::select! {
            biased;
            () = what => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn a_bell_rings_once_for_each_time_however_often_the_wait_was_given_up() {
        let notify = Arc::new(Notify::new());
        let mut bell = Bell::new(&notify);
        for _ in 0..3 {
            assert!(!at_once(bell.rings()).await);
            assert!(!at_once(bell.rings()).await);
            notify.notify_one();
            assert!(at_once(bell.rings()).await);
            notify.notify_one();
            assert!(at_once(bell.rings()).await, "also when nobody waited");
        }
        assert!(!at_once(bell.rings()).await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_goes_off_at_the_soonest_time_that_it_was_set_to() {
        const STEP: Duration = Duration::from_secs(1);
        let start = Instant::now();
        let mut alarm = Alarm::default();
        alarm.set(None);
        assert!(!at_once(alarm.goes_off()).await);
        for at in [4, 2, 3] {
            alarm.set(Some(start + STEP * at));
        }
        alarm.set(None);
        alarm.goes_off().await;
        assert_eq!(start.elapsed().as_secs(), 2);
        alarm.set(None);
        assert!(!at_once(alarm.goes_off()).await, "it goes off once");
        alarm.set(Some(start + STEP * 5));
        alarm.goes_off().await;
        assert_eq!(start.elapsed().as_secs(), 5);
    }

    #[tokio::test]
    async fn what_seldom_happens_is_asked_at_first_after_it_woke_somebody_and_after_it_happened() {
        let (ring, mut waiting) = (Arc::new(Notify::new()), Seldom::default());
        let (mut bell, mut asked) = (Bell::new(&ring), 0);
        let mut look = async || {
            let wait = waiting.happens(|cx| {
                asked += 1;
                std::pin::pin!(bell.rings()).poll(cx)
            });
            let happened = at_once(wait).await;
            (happened, asked)
        };
        assert_eq!(look().await, (false, 1));
        assert_eq!(look().await, (false, 1));
        ring.notify_one();
        assert_eq!(look().await, (true, 2));
        assert_eq!(look().await, (false, 3));
        assert_eq!(look().await, (false, 3));
    }

    #[tokio::test]
    async fn what_seldom_happens_wakes_whoever_waits_for_it_now() {
        let (ring, mut waiting) = (Arc::new(Notify::new()), Seldom::default());
        let mut bell = Bell::new(&ring);
        let mut ask = move |cx: &mut Context<'_>| std::pin::pin!(bell.rings()).poll(cx);
        assert!(!at_once(waiting.happens(&mut ask)).await);
        // Another task waits.
        let waiter = tokio::spawn(async move { waiting.happens(ask).await });
        tokio::task::yield_now().await;
        ring.notify_one();
        tokio::time::timeout(Duration::from_secs(10), waiter).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_stream_that_says_nothing_holds_no_room_and_one_that_does_no_more_than_it_said() {
        let (mut near, mut far) = duplex(1 << 16);
        let mut inbox = BytesMut::new();
        tokio::select! {
            biased;
            moved = read_or_write(&mut near, Some((&mut inbox, READ_MAX)), b"") => panic!("{moved:?}"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(inbox.capacity(), 0);
        far.write_all(&[7; 100]).await.unwrap();
        let moved = read_or_write(&mut near, Some((&mut inbox, 60)), b"").await.unwrap();
        assert_eq!((moved, &inbox[..]), (Moved::Read(60), &[7; 60][..]));
        let moved = read_or_write(&mut near, Some((&mut inbox, READ_MAX)), b"").await.unwrap();
        assert_eq!((moved, &inbox[..]), (Moved::Read(40), &[7; 100][..]));
        assert!(inbox.capacity() < 1000, "{}", inbox.capacity());
        drop(far);
        assert_eq!(read_or_write(&mut near, Some((&mut inbox, 1)), b"").await.unwrap(), Moved::Read(0));
    }
}
