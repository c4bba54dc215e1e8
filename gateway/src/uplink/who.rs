//! As whom the gateway asks to be let in: by the settings, or with a token that is made for each connection.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::hub;
use super::trouble::Trouble;
use crate::codec::ReasonCode;
use crate::config::Uplink;
use crate::message::Received;

/// A clock that stands before this has never been set: 2026-01-01, before the first release.
const EARLIEST: Duration = Duration::from_secs(1_767_225_600);

/// See the module's head.
pub(super) struct Who {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    /// The connection is to be made anew after so long, since what it was let in by ends.
    pub(super) renew_after: Option<Duration>,
    /// When a token was made, and by what clock.
    made: Option<Received>,
    hub: bool,
}

impl Who {
    /// Of this uplink, now.
    ///
    /// # Errors
    /// When a token is wanted and the clock can't be right.
    pub(super) fn of(uplink: &Uplink, now: Received) -> Result<Self, Trouble> {
        let Some(hub) = &uplink.hub else {
            let password = uplink.password.as_ref().map(|password| password.secret().expose().to_owned());
            return Ok(Self { user: uplink.user.clone(), password, renew_after: None, made: None, hub: false });
        };
        let user = Some(hub::user(hub, &uplink.client_id));
        let Some((token, after)) = hub::password(hub, &uplink.client_id, now.wall) else {
            return Ok(Self { user, password: None, renew_after: None, made: None, hub: true });
        };
        if now.wall.duration_since(UNIX_EPOCH).unwrap_or_default() < EARLIEST {
            return Err(Trouble::NoTime(now.rfc3339()));
        }
        Ok(Self { user, password: Some(token), renew_after: Some(after), made: Some(now), hub: true })
    }

    /// What a hub's refusal means, which says little itself.
    pub(super) fn explained(&self, why: Trouble) -> Trouble {
        let Trouble::Refused { reason, .. } = &why else { return why };
        let of_device = matches!(reason, ReasonCode::BadUserNameOrPassword | ReasonCode::NotAuthorized);
        if !self.hub || !of_device {
            return why;
        }
        let clock = self.made.filter(|made| made.trusted().is_none()).map(|made| made.wall);
        Trouble::DeviceRefused { reason: *reason, clock: clock.map(words) }
    }
}

fn words(clock: SystemTime) -> String {
    humantime::format_rfc3339_seconds(clock).to_string()
}
