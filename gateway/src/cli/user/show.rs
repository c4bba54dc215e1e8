//! Showing users and their rights.

use std::process::ExitCode;

use super::super::{say, text::visible};
use super::{Found, May};
use crate::broker::{self, Question};
use crate::config::User;
use crate::message::TopicFilter;

pub(super) fn list(found: &Found) -> Result<(), String> {
    let users = found.file.read().map_err(|problems| problems.to_string())?.unwrap_or_default();
    let settings = found.settings.broker.user.iter().map(|user| (user, "settings"));
    let mut rows: Vec<_> = users.iter().map(|user| (&user.user, "users.toml")).chain(settings).collect();
    rows.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    say(&format!("{:<24} {:<12} may", "name", "from"));
    for (user, from) in rows {
        say(&format!("{:<24} {from:<12} {}", user.name, plain(&rights(user))));
    }
    Ok(())
}

fn rights(user: &User) -> String {
    let Some(allowed) = &user.allowed else { return "everything".to_owned() };
    let texts = |filters: &[TopicFilter]| filters.iter().map(ToString::to_string).collect::<Vec<_>>();
    let parts = [
        ("as", allowed.groups.clone()),
        ("publish", texts(&allowed.publish)),
        ("subscribe", texts(&allowed.subscribe)),
    ];
    let said = parts.iter().filter(|(_, items)| !items.is_empty());
    let said: Vec<_> = said.map(|(what, items)| format!("{what} {}", items.join(", "))).collect();
    if said.is_empty() { "nothing".to_owned() } else { said.join("; ") }
}

pub(super) fn may(found: &Found, may: &May) -> Result<ExitCode, String> {
    let users = found.file.read().map_err(|problems| problems.to_string())?;
    let (user, client, topic) = (may.named.name.as_str(), may.client.as_deref(), may.topic.as_str());
    let question = Question { user, client, operation: may.what.into(), topic };
    let answer = broker::may(&found.settings.broker, users, &question)?;
    say(&plain(&format!("{}: {}", if answer.yes { "yes" } else { "no" }, answer.why)));
    Ok(if answer.yes { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Text in which no byte steers the terminal.
fn plain(text: &str) -> String {
    visible(text)
}
