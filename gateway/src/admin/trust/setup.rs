//! The code of the first start: whoever reads the gateway's log or its console may set it up, and whoever was told the code of
//! the settings; nobody else.

use std::sync::{Mutex, PoisonError};

use crate::password::{self, Hash};

/// The code of this run, made when it is first asked for, and gone when it has been used; and the one of the settings.
pub(super) struct Setup {
    code: Mutex<Option<String>>,
    told: Option<Hash>,
}

impl Setup {
    /// `told` is the hash of the code that was given out beforehand.
    pub(super) fn new(told: Option<Hash>) -> Self {
        Self { code: Mutex::default(), told }
    }

    /// The code without its dashes. `None` when the system has no random numbers.
    pub(super) fn code(&self) -> Option<String> {
        let mut code = self.code.lock().unwrap_or_else(PoisonError::into_inner);
        if code.is_none() {
            *code = password::code().ok();
        }
        code.clone()
    }

    /// The hash of the code that was given out beforehand.
    pub(super) fn told(&self) -> Option<&Hash> {
        self.told.as_ref()
    }

    pub(super) fn done(&self) {
        *self.code.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_stays_until_it_was_used() {
        let setup = Setup::new(None);
        let code = setup.code().unwrap();
        assert_eq!(setup.code().unwrap(), code);
        setup.done();
        assert_ne!(setup.code().unwrap(), code);
    }
}
