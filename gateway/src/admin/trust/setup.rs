//! The code of the first start: whoever reads the gateway's log or its console may set it up, and nobody else.

use std::sync::{Mutex, PoisonError};

use crate::password;

/// Characters of the code: 60 bits, and each wrong one costs a wait.
const CHARACTERS: usize = 12;

/// The code of this run; made when it is first asked for, and gone when it has been used.
#[derive(Default)]
pub(super) struct Setup(Mutex<Option<String>>);

impl Setup {
    /// The code without its dashes. `None` when the system has no random numbers.
    pub(super) fn code(&self) -> Option<String> {
        let mut code = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if code.is_none() {
            *code = password::generate().ok().map(|random| random.chars().take(CHARACTERS).collect());
        }
        code.clone()
    }

    pub(super) fn done(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A code as people read it: in groups of four.
pub(in crate::admin) fn grouped(code: &str) -> String {
    let characters: Vec<char> = code.chars().collect();
    characters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// What was typed, without what people add to it.
pub(super) fn plain(typed: &str) -> String {
    typed.chars().filter(|c| !c.is_whitespace() && *c != '-').flat_map(char::to_lowercase).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_stays_until_it_was_used_and_is_read_however_it_is_typed() {
        let setup = Setup::default();
        let code = setup.code().unwrap();
        assert_eq!((code.len(), setup.code().unwrap() == code), (CHARACTERS, true));
        let shown = grouped(&code);
        assert_eq!((shown.len(), shown.matches('-').count()), (14, 2));
        for typed in [shown.clone(), shown.to_uppercase(), format!(" {} ", shown.replace('-', " "))] {
            assert_eq!(plain(&typed), code);
        }
        setup.done();
        assert_ne!(setup.code().unwrap(), code);
    }
}
