//! A session belongs to the user who made it: whoever comes by the same client id as somebody else finds none.

use std::sync::Arc;

use super::{Session, SessionRow};

/// Whose session it is, as the store writes it.
pub(super) fn of(session: &Session) -> Option<Arc<str>> {
    session.outbox.owner.get().and_then(|owner| owner.who.to_row())
}

/// Whether it is the newcomer's.
pub(super) fn fits(session: &Session, newcomer: &SessionRow) -> bool {
    of(session) == newcomer.user
}

/// The session, unless it is another user's than the newcomer's. Then it ends: what waits in it is not for this user to
/// read, whatever the client id.
pub(super) fn unless_of_another(session: Session, newcomer: &SessionRow) -> Option<Session> {
    if fits(&session, newcomer) {
        return Some(session);
    }
    session.end();
    None
}
