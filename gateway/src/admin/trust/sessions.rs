//! Sessions: who has signed in, and for how long. In memory alone: a restart signs everybody out.
//!
//! What a cookie holds is nowhere in here, only its digest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::password::{self, Hash};
use crate::people;

/// A session ends when its person has done nothing for this long. What a page asks for by itself does not count.
const IDLE: Duration = Duration::from_secs(3600);
/// It ends after this long in any case.
const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// Sessions at once. Policy: the one that was used longest ago ends.
const MOST: usize = 256;

struct Session {
    person: Arc<str>,
    /// What the password's hash was.
    proof: Hash,
    csrf: Arc<str>,
    begun: Instant,
    last: Instant,
    notice: Option<String>,
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= IDLE || now.saturating_duration_since(self.begun) >= LIFETIME
    }
}

/// A session that has just begun.
#[derive(Debug)]
pub(in crate::admin) struct Opened {
    /// For the cookie; kept nowhere.
    pub(in crate::admin) secret: String,
}

/// See the module's head.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<Arc<str>, Session>>);

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one for somebody who has just proved who he is.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub(super) fn begin(&self, person: &str, proof: &Hash, now: Instant) -> Result<Opened, String> {
        let secret = format!("{}{}", password::generate()?, password::generate()?);
        let csrf = format!("{}{}", password::generate()?, password::generate()?).into();
        let session =
            Session { person: person.into(), proof: proof.clone(), csrf, begun: now, last: now, notice: None };
        let mut sessions = self.lock();
        sessions.retain(|_, session| !session.is_over(now));
        if sessions.len() >= MOST {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.last).map(|(digest, _)| Arc::clone(digest));
            oldest.and_then(|digest| sessions.remove(&digest));
        }
        sessions.insert(people::digest(&secret).into(), session);
        Ok(Opened { secret })
    }

    /// Person, token for forms and proof of the session with this digest.
    pub(super) fn find(&self, digest: &str, active: bool, now: Instant) -> Option<(Arc<str>, Arc<str>, Hash)> {
        let mut sessions = self.lock();
        let session = sessions.get_mut(digest)?;
        if session.is_over(now) {
            sessions.remove(digest);
            return None;
        }
        if active {
            session.last = now;
        }
        Some((Arc::clone(&session.person), Arc::clone(&session.csrf), session.proof.clone()))
    }

    pub(super) fn end(&self, digest: &str) {
        self.lock().remove(digest);
    }

    pub(super) fn tell(&self, digest: &str, notice: String) {
        if let Some(session) = self.lock().get_mut(digest) {
            session.notice = Some(notice);
        }
    }

    pub(super) fn told(&self, digest: &str) -> Option<String> {
        self.lock().get_mut(digest)?.notice.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof() -> Hash {
        Hash::parse("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$6DPzKexkBPCxTUxUZd2uXg").unwrap()
    }

    #[test]
    fn a_session_ends_when_nobody_does_anything_and_in_the_end_in_any_case() {
        let (sessions, begun) = (Sessions::default(), Instant::now());
        let digest = || people::digest(&sessions.begin("anna", &proof(), begun).unwrap().secret);
        let idle = digest();
        assert!(sessions.find(&idle, false, begun + IDLE - Duration::from_secs(1)).is_some());
        assert!(sessions.find(&idle, true, begun + IDLE).is_none(), "what a script asks for is no sign of anybody");
        let busy = digest();
        let mut now = begun;
        while now < begun + LIFETIME {
            assert_eq!(&*sessions.find(&busy, true, now).unwrap().0, "anna");
            now += IDLE / 2;
        }
        assert!(sessions.find(&busy, true, now).is_none());
        assert!(sessions.lock().is_empty());
    }

    #[test]
    fn there_are_only_so_many_and_the_one_that_was_used_longest_ago_goes() {
        let (sessions, begun) = (Sessions::default(), Instant::now());
        let all: Vec<_> = (0..=MOST)
            .map(|number| {
                let now = begun + Duration::from_secs(number as u64);
                people::digest(&sessions.begin("anna", &proof(), now).unwrap().secret)
            })
            .collect();
        let now = begun + Duration::from_secs(MOST as u64);
        let there: Vec<_> = all.iter().map(|digest| sessions.find(digest, false, now).is_some()).collect();
        assert!(!there[0] && there[1..].iter().all(|there| *there));
    }

    #[test]
    fn what_is_left_for_somebody_is_shown_once() {
        let sessions = Sessions::default();
        let digest = people::digest(&sessions.begin("anna", &proof(), Instant::now()).unwrap().secret);
        sessions.tell(&digest, "done".into());
        assert_eq!((sessions.told(&digest), sessions.told(&digest)), (Some("done".into()), None));
    }
}
