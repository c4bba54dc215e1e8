//! The users of `users.toml` on their way into the accounts.

use std::sync::{Mutex, PoisonError};

use super::accounts::{Accounts, MoreUsers};
use crate::config::{FileUser, Problems};
use crate::users::UsersFile;

/// Reads the file. One at a time, so that of two readings the later one stands.
pub(super) struct Users(Mutex<UsersFile>);

impl Users {
    pub(super) fn new(file: UsersFile) -> Self {
        Self(Mutex::new(file))
    }

    /// The file, for whoever changes it.
    pub(super) fn file(&self) -> UsersFile {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has the accounts take what the file says. A damaged one is told, with line and remedy, and changes nothing.
    pub(super) fn read(&self, accounts: &Accounts) -> Result<(), Problems> {
        let file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match file.read() {
            Ok(found) => {
                let found = found.map_or(MoreUsers::None, MoreUsers::Good);
                accounts.take_users(Some(found));
                let (twice, lost) = accounts.oddities();
                for name in twice {
                    log::warn!(user = name.as_str(); "a user of users.toml is one of the settings too, which stand");
                }
                for FileUser { user, .. } in lost {
                    log::warn!(user = user.name.as_str(); "a user of users.toml is in a group that is not in the settings");
                }
                Ok(())
            }
            Err(problems) => {
                accounts.take_users(None);
                log::error!(error:% = problems; "users.toml is damaged; the last good users stand");
                Err(problems)
            }
        }
    }
}
