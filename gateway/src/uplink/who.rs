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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::codec::Version;
    use crate::config::{Hub, Secret, SharedAccessKey, Url};
    use crate::message::ClockQuality;

    fn uplink() -> Uplink {
        let url = Url { tls: true, host: "roof.azure-devices.net".into(), port: 8883, websocket: None };
        let key = Some(SharedAccessKey::SharedAccessKey(Secret::new("c2VjcmV0")));
        let hub = Some(Hub { shared_access_key: key, ..Hub::new("roof.azure-devices.net") });
        Uplink { client_id: "gw-1".into(), hub, ..Uplink::new("cloud", url, Vec::new()) }
    }

    fn at(seconds: u64, clock: ClockQuality) -> Received {
        Received { wall: UNIX_EPOCH + Duration::from_secs(seconds), monotonic: Instant::now(), clock }
    }

    #[test]
    fn a_device_has_a_name_and_a_token_and_asks_for_another_before_it_ends() {
        let who = Who::of(&uplink(), at(1_800_000_000, ClockQuality::Synchronised)).ok().unwrap();
        assert_eq!(who.user.as_deref(), Some("roof.azure-devices.net/gw-1/?api-version=2021-04-12"));
        assert!(who.password.is_some_and(|token| token.ends_with("&se=1800003600")));
        assert_eq!(who.renew_after, Some(Duration::from_secs(2880)));
    }

    #[test]
    fn a_clock_that_nobody_set_is_named_where_a_token_is_refused_and_one_that_can_not_be_makes_none() {
        let refused = |clock| {
            let who = Who::of(&uplink(), at(1_800_000_000, clock)).ok().unwrap();
            let (reason, details, version) = (ReasonCode::NotAuthorized, None, Version::V311);
            who.explained(Trouble::Refused { reason, details, version }).to_string()
        };
        assert!(
            refused(ClockQuality::Unsynchronised).contains("Or is it 2027-01-15T08:00:00Z? Nothing sets the clock")
        );
        assert!(!refused(ClockQuality::Synchronised).contains("clock"));
        let never = Who::of(&uplink(), at(60, ClockQuality::Unsynchronised)).err().unwrap().to_string();
        assert!(never.contains("the clock says 1970-01-01T00:01:00"), "{never}");
        // Certificates and passwords need no clock.
        let mut by_certificate = uplink();
        by_certificate.hub = Some(Hub::new("roof.azure-devices.net"));
        assert!(Who::of(&by_certificate, at(60, ClockQuality::Unsynchronised)).is_ok_and(|who| who.password.is_none()));
    }
}
