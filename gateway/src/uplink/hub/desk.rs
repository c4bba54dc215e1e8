//! What is to be said to the hub and is worth nothing later: answers to direct methods, the question for the twin. Kept in
//! memory, and over a connection that is renewed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Calls of direct methods under way. Policy: the hub is told at once that more are too many.
const CALLS_MAX: usize = 32;

/// Something to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::uplink) enum Command {
    /// An answer to a direct method.
    Answer { rid: String, status: u16, payload: Bytes },
    /// The question for the twin.
    Twin,
}

#[derive(Debug)]
struct Call {
    /// Until when an answer is waited for.
    by: Instant,
    answer: Option<(u16, Bytes)>,
}

#[derive(Debug, Default)]
struct State {
    calls: BTreeMap<String, Call>,
    twin: bool,
}

/// See the module's head.
#[derive(Debug, Default)]
pub(in crate::uplink) struct Desk {
    state: Mutex<State>,
    told: Arc<Notify>,
}

/// An answer of the gateway's own.
fn words(rid: &str, status: u16, error: &str) -> Command {
    let payload = serde_json::json!({ "error": error }).to_string().into();
    Command::Answer { rid: rid.to_owned(), status, payload }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Told when there is something to say.
    pub(in crate::uplink) fn told(&self) -> &Arc<Notify> {
        &self.told
    }

    /// A method is called, and answered by then. One that is called again goes on as it was.
    ///
    /// # Errors
    /// What to answer at once: there are too many.
    pub(super) fn call(&self, rid: &str, by: Instant, now: Instant) -> Result<(), Command> {
        let calls = &mut self.state().calls;
        if calls.len() >= CALLS_MAX {
            // Of a connection that was lost, and that nobody waits for any more.
            calls.retain(|_, call| call.by > now);
        }
        if calls.len() >= CALLS_MAX && !calls.contains_key(rid) {
            return Err(words(rid, 503, "too many methods are being called here"));
        }
        calls.entry(rid.to_owned()).or_insert(Call { by, answer: None });
        Ok(())
    }

    /// Takes what is to be said. Says whether anybody waits for it.
    pub(in crate::uplink) fn put(&self, command: Command) -> bool {
        let state = &mut *self.state();
        match command {
            Command::Twin => state.twin = true,
            Command::Answer { rid, status, payload } => {
                let Some(call) = state.calls.get_mut(&rid).filter(|call| call.answer.is_none()) else { return false };
                call.answer = Some((status, payload));
            }
        }
        self.told.notify_one();
        true
    }

    /// All that is to be said by now: for calls that nobody has answered in time, that.
    pub(super) fn take(&self, now: Instant) -> Vec<Command> {
        let state = &mut *self.state();
        let mut said: Vec<_> = std::mem::take(&mut state.twin).then_some(Command::Twin).into_iter().collect();
        state.calls.retain(|rid, call| {
            match call.answer.take() {
                Some((status, payload)) => said.push(Command::Answer { rid: rid.clone(), status, payload }),
                None if call.by <= now => said.push(words(rid, 504, "nobody here has answered in time")),
                None => return true,
            }
            false
        });
        said
    }

    /// When somebody will have waited long enough.
    pub(super) fn next(&self) -> Option<Instant> {
        self.state().calls.values().map(|call| call.by).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answer(rid: &str, status: u16) -> Command {
        Command::Answer { rid: rid.into(), status, payload: Bytes::new() }
    }

    #[test]
    fn each_call_is_answered_once_and_one_that_nobody_answers_in_time_is_too() {
        let (desk, now) = (Desk::default(), Instant::now());
        let by = now + Duration::from_secs(30);
        desk.call("a", by, now).unwrap();
        desk.call("b", by, now).unwrap();
        assert_eq!((desk.take(now), desk.next()), (vec![], Some(by)));
        assert!(desk.put(answer("a", 200)) && !desk.put(answer("a", 201)) && !desk.put(answer("c", 200)));
        assert_eq!(desk.take(now), [answer("a", 200)]);
        let late = desk.take(by);
        assert!(matches!(&late[..], [Command::Answer { rid, status: 504, .. }] if rid == "b"), "{late:?}");
        assert!(!desk.put(answer("b", 200)) && desk.next().is_none());
        assert!(desk.put(Command::Twin) && desk.put(Command::Twin));
        assert_eq!(desk.take(by), [Command::Twin]);
    }

    #[test]
    fn calls_without_end_take_no_room_without_end() {
        let (desk, now) = (Desk::default(), Instant::now());
        let by = now + Duration::from_secs(30);
        (0..CALLS_MAX).for_each(|n| desk.call(&n.to_string(), by, now).unwrap());
        assert!(matches!(desk.call("more", by, now), Err(Command::Answer { status: 503, .. })));
        assert!(desk.call("0", by, now).is_ok(), "it comes again");
        assert!(desk.call("more", by + Duration::from_secs(30), by).is_ok(), "the others are too old");
    }
}
