//! What became of which field, for whoever asks; nothing is written down for the messages that go their way.

/// More fields than this are not listed.
const FATES_MAX: usize = 1000;

/// What became of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    /// It goes as it is.
    Kept,
    /// A pseudonym goes in its place.
    Pseudonym,
    /// It goes less exactly.
    Coarse,
    /// It stays here.
    LeftOut,
}

impl Became {
    /// The words for people and scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Pseudonym => "pseudonym",
            Self::Coarse => "coarse",
            Self::LeftOut => "left out",
        }
    }
}

/// One field, with what became of it and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// A JSON Pointer; empty for the payload as a whole.
    pub field: String,
    /// What became of it.
    pub became: Became,
    /// In words.
    pub why: String,
}

/// Follows a way through a payload.
pub(super) struct Trace(Option<Followed>);

#[derive(Default)]
struct Followed {
    pointer: String,
    fates: Vec<Fate>,
}

impl Trace {
    /// One that notes nothing.
    pub(super) fn off() -> Self {
        Self(None)
    }

    pub(super) fn on() -> Self {
        Self(Some(Followed::default()))
    }

    /// Goes to a member; gives back where it was.
    pub(super) fn enter(&mut self, name: impl FnOnce() -> String) -> usize {
        let Some(Followed { pointer, .. }) = &mut self.0 else { return 0 };
        let before = pointer.len();
        pointer.push('/');
        pointer.push_str(&name().replace('~', "~0").replace('/', "~1"));
        before
    }

    pub(super) fn leave(&mut self, before: usize) {
        if let Some(followed) = &mut self.0 {
            followed.pointer.truncate(before);
        }
    }

    /// Notes what became of what is here.
    pub(super) fn note(&mut self, became: Became, why: impl FnOnce() -> String) {
        if let Some(Followed { pointer, fates }) = &mut self.0
            && fates.len() < FATES_MAX
        {
            fates.push(Fate { field: pointer.clone(), became, why: why() });
        }
    }

    pub(super) fn fates(self) -> Vec<Fate> {
        self.0.unwrap_or_default().fates
    }
}
