//! How a change's trial ends: it is confirmed, or given back.

use super::entry::{Edit, Entry, State};
use super::trial::Trial;
use super::{ChangeError, Changes, OnTrial, Settled};

impl Changes {
    /// Keeps the change that is on trial; with a number, only if it is that one. From then on it stays, whatever comes.
    ///
    /// # Errors
    /// When there is none, it is another, its time has run out, or it can't be noted.
    pub fn confirm(&self, number: Option<u64>, by: &str) -> Result<Entry, ChangeError> {
        let _lock = self.lock()?;
        let mut entry = self.meant(number)?;
        if entry.trial.as_ref().is_none_or(Trial::is_over) {
            let why = "its time has run out, and the settings of before are in force again; apply it anew";
            return Err(ChangeError::Other(format!("change {}: {why}", entry.number)));
        }
        // Whoever wrote it may have been killed between two files.
        for (name, edit) in &entry.files {
            if self.place.read(name)? == edit.old {
                let number = entry.number;
                let error = self.give_back(&mut entry, State::Refused, "it was not written to its end").error;
                let rest = error.map(|error| format!("; nor could it be undone: {error}")).unwrap_or_default();
                let why = "was not written to its end, and the settings of before stand; apply it anew";
                return Err(ChangeError::Other(format!("change {number} {why}{rest}")));
            }
        }
        self.end(&mut entry, State::Kept, &format!("confirmed by {by}"))?;
        Ok(entry)
    }

    /// Behind [`Self::apply`]: has the gateway read its settings again, by `reload`. A change that it does not take is given
    /// back.
    ///
    /// # Errors
    /// Why it did not take it, and what became of the files.
    pub fn have_taken(&self, number: u64, reload: impl Fn() -> Result<(), String>) -> Result<(), ChangeError> {
        reload().map_err(|error| self.not_taken(number, &error, || drop(reload())))
    }

    /// Confirms the change that is on trial, with a number only if it is that one, and has the gateway hear of it, which
    /// tells of a trial until then. Gives its number.
    ///
    /// # Errors
    /// Those of [`Self::confirm`], or why the gateway did not take what is kept.
    pub fn confirm_and_tell(
        &self,
        number: Option<u64>,
        by: &str,
        reload: impl Fn() -> Result<(), String>,
    ) -> Result<u64, ChangeError> {
        let number = self.confirm(number, by)?.number;
        reload().map_err(|error| format!("change {number} is kept, but the gateway did not take it: {error}"))?;
        Ok(number)
    }

    /// Gives the change that is on trial back now; with a number, only if it is that one.
    ///
    /// # Errors
    /// When there is none, it is another, or files can't be written.
    pub fn give_back_now(&self, number: Option<u64>, state: State, note: &str) -> Result<Settled, ChangeError> {
        let _lock = self.lock()?;
        let mut entry = self.meant(number)?;
        let settled = self.give_back(&mut entry, state, note);
        match settled.error {
            Some(error) => Err(ChangeError::Other(error)),
            None => Ok(settled),
        }
    }

    /// Gives a change back that the gateway did not take, and has it read its settings again: it may have taken a part. What
    /// there is to be told of it.
    pub fn not_taken(&self, number: u64, error: &str, read_again: impl FnOnce()) -> ChangeError {
        let given_back = self.give_back_now(Some(number), State::Refused, "the gateway did not take it");
        read_again();
        let rest = given_back.err().map(|error| format!("; nor could it be given back: {error}")).unwrap_or_default();
        ChangeError::Other(format!("change {number} is given back, for the gateway did not take it: {error}{rest}"))
    }

    /// The change that is on trial. Whoever has looked at one must not end another, which somebody has made since.
    fn meant(&self, number: Option<u64>) -> Result<Entry, ChangeError> {
        let entry = self.pending()?.ok_or_else(|| "no change is on trial".to_owned())?;
        match number.filter(|number| *number != entry.number) {
            Some(_) => Err(ChangeError::OnTrial { number: entry.number, by: entry.by }),
            None => Ok(entry),
        }
    }

    /// Before the settings are read: gives back what nobody confirmed in time. At a start, what is on trial has lost it,
    /// since what ended the process before may have been that. `returned` is a change that this process has given
    /// back, though the files may not show it.
    pub fn settle(&self, at_start: bool, returned: Option<u64>) -> Settled {
        if !self.book.is_there() {
            return Settled::default();
        }
        // Without it too: nobody of ours holds it for longer, and whoever does must not keep a gateway from its start.
        let _lock = self.lock();
        match self.pending() {
            Err(error) => Settled { error: Some(error), ..Settled::default() },
            Ok(None) => Settled::default(),
            Ok(Some(mut entry)) => {
                let left = entry.trial.as_ref().map(Trial::left).filter(|left| !left.is_zero());
                if let Some(left) = left.filter(|_| !at_start && returned != Some(entry.number)) {
                    let on_trial = Some(OnTrial { number: entry.number, by: entry.by, left });
                    return Settled { on_trial, ..Settled::default() };
                }
                let why = if left.is_some() { "the gateway was started anew" } else { "nobody confirmed it in time" };
                self.give_back(&mut entry, State::Returned, why)
            }
        }
    }

    /// Keeps what was written without a trial.
    ///
    /// # Errors
    /// When that can't be noted. Then it is given back at once, as the next look at the entry would.
    pub(super) fn keep(&self, entry: &mut Entry) -> Result<(), ChangeError> {
        let Err(error) = self.end(entry, State::Kept, "without a trial") else { return Ok(()) };
        self.give_back(entry, State::Refused, &error);
        let is_old = |(name, edit): (&String, &Edit)| self.place.read(name).is_ok_and(|now| now == edit.old);
        let rest = if entry.files.iter().all(is_old) {
            "the settings of before stand"
        } else {
            "nor could it be undone: the files are given back when that can be written"
        };
        Err(ChangeError::Other(format!("change {} can't be noted: {error}; {rest}", entry.number)))
    }

    pub(super) fn nothing_on_trial(&self) -> Result<(), ChangeError> {
        let Some(mut entry) = self.pending()? else { return Ok(()) };
        if !entry.trial.as_ref().is_none_or(Trial::is_over) {
            return Err(ChangeError::OnTrial { number: entry.number, by: entry.by });
        }
        // The gateway could not, or does not run.
        match self.give_back(&mut entry, State::Returned, "nobody confirmed it in time").error {
            Some(error) => Err(ChangeError::Other(error)),
            None => Ok(()),
        }
    }

    /// Writes the old texts where the new ones stand, and then that it was done.
    pub(super) fn give_back(&self, entry: &mut Entry, state: State, note: &str) -> Settled {
        let mut settled = Settled::default();
        for (name, edit) in &entry.files {
            match self.place.read(name) {
                Ok(now) if now == edit.old => {}
                Ok(now) if now == edit.new => {
                    if let Err(error) = self.place.write(name, edit.old.as_deref()) {
                        settled.error = Some(error);
                        settled.instead.insert(self.place.path(name), edit.old.clone());
                    }
                }
                Ok(_) => settled.changed_since.push(name.clone()),
                Err(error) => settled.error = Some(error),
            }
        }
        if settled.error.is_none() {
            // If that fails it is found pending once more, and nothing is left to be written.
            settled.error = self.end(entry, state, note).err();
        }
        settled.returned = Some(entry.clone());
        settled
    }

    pub(super) fn end(&self, entry: &mut Entry, state: State, note: &str) -> Result<(), String> {
        let ended = Entry { state, note: note.to_owned(), trial: None, ..entry.clone() };
        self.book.write(&ended)?;
        *entry = ended;
        Ok(())
    }
}
