//! Finds out who a client is, by its certificate, by its password, or by neither.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::access::Who;
use super::accounts::Accounts;
use super::stats::Refusal;
use super::tls::Caller;
use crate::codec::{Connect, ReasonCode};
use crate::config::Credential;
use crate::password::{Asked, Verdict};

/// Somebody, and what proved it.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) who: Who,
    /// What the user's account had for a proof then; when it has another, the client has to come again.
    pub(super) proof: Option<Credential>,
}

/// Says who the client is, or why it may not come in. What a certificate says of the user counts, and not what CONNECT
/// says beside it.
pub(super) async fn identify(
    connect: &Connect,
    caller: &Caller,
    address: IpAddr,
    accounts: &Accounts,
    deadline: Instant,
) -> Result<Identity, (Refusal, ReasonCode)> {
    let roster = accounts.roster();
    let proof_of = |name: &str| roster.user(name).map(|account| account.credential.clone());
    let unproved = |who| Ok(Identity { who, proof: None });
    let name = match (caller, connect.user_name.as_deref()) {
        (Caller::User(name), _) => {
            return Ok(Identity { who: Who::Certified(Some(Arc::clone(name))), proof: proof_of(name) });
        }
        (Caller::Nameless, _) => return Err((Refusal::Credentials, ReasonCode::NotAuthorized)),
        (Caller::Certified, _) if !roster.named() => return unproved(Who::Certified(None)),
        (_, Some(name)) if roster.named() => name,
        (Caller::Certified, None) if roster.anonymous() => return unproved(Who::Certified(None)),
        _ if roster.anonymous() => return unproved(Who::Anonymous),
        (_, Some(_)) => return Err((Refusal::Credentials, ReasonCode::BadUserNameOrPassword)),
        (_, None) => return Err((Refusal::Credentials, ReasonCode::NotAuthorized)),
    };
    let proof = proof_of(name);
    let password = connect.password.as_deref().unwrap_or_default();
    let asked = Asked { user: name, proof: proof.as_ref().map(Credential::proof), password, address };
    match accounts.passwords.check(&asked, deadline).await {
        Verdict::Right => Ok(Identity { who: Who::User(name.into()), proof }),
        Verdict::Wrong => Err((Refusal::Credentials, ReasonCode::BadUserNameOrPassword)),
        // Not "bad password": a client that is told so gives up, and this one may have the right one.
        Verdict::HeldBack => Err((Refusal::TooManyGuesses, ReasonCode::ConnectionRateExceeded)),
        Verdict::Busy => Err((Refusal::Busy, ReasonCode::ServerBusy)),
    }
}
