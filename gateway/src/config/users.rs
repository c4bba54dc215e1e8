//! `users.toml`: text in, users or problems out, by the same rules as the settings.

use std::path::Path;
use std::sync::Arc;

use super::notes::{Notes, Source, Spot};
use super::problem::Problems;
use super::read::{filters, users};
use super::section::Section;
use super::tree;
use super::user::FileUser;
use crate::message::TopicFilter;

/// The users that the text of `path` names.
///
/// # Errors
/// All that is wrong with it, each with its line and remedy.
pub fn parse_users(path: &Path, text: &str) -> Result<Vec<FileUser>, Problems> {
    let notes = Notes::default();
    let source = Arc::new(Source { path: path.into(), text: text.to_owned() });
    let root = tree::parse(&source, &notes);
    let users = users::read_file(Section::new("users.toml", Spot::File(source, 0), root, &notes));
    let problems = Problems(notes.into_sorted(&[path.to_owned()]));
    if problems.errors() > 0 { Err(problems) } else { Ok(users) }
}

/// Whether a text may be the name of a user.
pub fn is_user_name(text: &str) -> bool {
    users::is_name(text)
}

/// A right's filter.
///
/// # Errors
/// In words that go behind it.
pub fn right(text: &str) -> Result<TopicFilter, String> {
    filters::filter(text)
}
