//! What a text of the settings would be: what is wrong with it, with line and column, or what would change.

use serde::Serialize;
use utoipa::ToSchema;

use crate::changes::{self, ChangeError, Changes, Checked, Edit, Wanted};
use crate::config::{Place, Problem, Severity};
use crate::setup;

/// What a change would be.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(in crate::admin) struct Verdict {
    /// Whether the gateway would take it.
    good: bool,
    /// What is wrong or odd, in the order of files and lines.
    remarks: Vec<Remark>,
    /// What of the gateway would be another, in words; none where the settings of now are wrong.
    effects: Option<Vec<String>>,
    /// Of these, keys that take effect at the next start alone.
    at_next_start: Vec<&'static str>,
}

/// Something about the settings.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::admin) struct Remark {
    /// The settings are refused for it.
    wrong: bool,
    /// The file, or the environment variable.
    place: String,
    /// From 1; none where it is the file as a whole.
    line: Option<usize>,
    /// In characters, from 1.
    column: Option<usize>,
    what: String,
    /// What to do about it.
    remedy: String,
}

impl Remark {
    pub(super) fn is_wrong(&self) -> bool {
        self.wrong
    }

    /// Where it is: `stile.toml, line 3, column 7`.
    pub(super) fn whereabouts(&self) -> String {
        match (self.line, self.column) {
            (Some(line), Some(column)) => format!("{}, line {line}, column {column}", self.place),
            _ => self.place.clone(),
        }
    }

    pub(super) fn what(&self) -> &str {
        &self.what
    }

    pub(super) fn remedy(&self) -> &str {
        &self.remedy
    }

    fn of(changes: &Changes, problem: Problem) -> Self {
        let (place, line, column) = match problem.place {
            Place::At { file, line, column } => (changes.name_of(&file), Some(line), Some(column)),
            Place::Whole(file) => (changes.name_of(&file), None, None),
            Place::Environment(name) => (format!("variable {name}"), None, None),
        };
        Self {
            wrong: problem.severity == Severity::Error,
            place,
            line,
            column,
            what: problem.what,
            remedy: problem.remedy,
        }
    }
}

impl Verdict {
    /// Of what is wanted. Waits for the disk.
    ///
    /// # Errors
    /// When it can't be checked at all.
    pub(super) fn of(changes: &Changes, wanted: &Wanted) -> Result<(Self, Option<Checked>), ChangeError> {
        let (mut verdict, checked) = match changes.check(wanted) {
            Ok(checked) => (Self::good(changes, &checked), Some(checked)),
            Err(ChangeError::Wrong(problems)) => {
                let remarks = problems.0.into_iter().map(|problem| Remark::of(changes, problem)).collect();
                (Self { remarks, ..Self::default() }, None)
            }
            Err(error) => return Err(error),
        };
        verdict.add_masks(wanted);
        let checked = checked.filter(|_| verdict.good);
        Ok((verdict, checked))
    }

    /// What was masked when it was shown is no secret that anything could be done with.
    fn add_masks(&mut self, wanted: &Wanted) {
        for (name, text) in wanted.iter().filter_map(|(name, text)| Some((name, text.as_ref()?))) {
            for line in setup::masks(text) {
                let told = |remark: &Remark| remark.wrong && remark.place == *name && remark.line == Some(line);
                if !self.remarks.iter().any(told) {
                    let (what, remedy) = ("a secret was left out here".to_owned(), "write it in".to_owned());
                    let place = name.clone();
                    self.remarks.push(Remark { wrong: true, place, line: Some(line), column: Some(1), what, remedy });
                }
                self.good = false;
            }
        }
    }

    pub(super) fn good(changes: &Changes, checked: &Checked) -> Self {
        let effects = checked.changes.as_ref().map(|units| units.iter().map(ToString::to_string).collect());
        let remarks = checked.warnings.iter().cloned().map(|problem| Remark::of(changes, problem)).collect();
        Self { good: true, remarks, effects, at_next_start: checked.at_next_start.clone() }
    }

    pub(super) fn is_good(&self) -> bool {
        self.good
    }

    pub(super) fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// How many things are wrong, in words.
    pub(super) fn count(&self) -> String {
        match self.remarks.iter().filter(|remark| remark.wrong).count() {
            1 => "1 mistake".to_owned(),
            wrong => format!("{wrong} mistakes"),
        }
    }

    /// What of the gateway would be another; empty where that is nothing or not known.
    pub(super) fn effects(&self) -> &[String] {
        self.effects.as_deref().unwrap_or_default()
    }

    pub(super) fn at_next_start(&self) -> &[&'static str] {
        &self.at_next_start
    }
}

/// What a change does to one file.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::admin) struct Difference {
    file: String,
    /// In the form of `diff -u`; empty where nothing that may be seen differs.
    difference: String,
}

impl Difference {
    pub(super) fn of(file: &str, edit: &Edit) -> Self {
        let difference = changes::difference(file, edit.old.as_deref(), edit.new.as_deref());
        Self { file: file.to_owned(), difference }
    }

    pub(super) fn file(&self) -> &str {
        &self.file
    }

    pub(super) fn is_empty(&self) -> bool {
        self.difference.is_empty()
    }

    /// Its lines with what each is: `old`, `new`, `place` or `same`. The two lines of its head are left out.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.difference.lines().skip(2).map(|line| {
            let kind = match line.as_bytes().first() {
                Some(b'+') => "new",
                Some(b'-') => "old",
                Some(b'@') => "place",
                _ => "same",
            };
            (kind, line)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_a_difference_is_known_by_its_sign() {
        let edit = Edit { old: Some("-- a\nb\n".into()), new: Some("++ a\nb\n".into()) };
        let difference = Difference::of("x", &edit);
        let lines: Vec<_> = difference.lines().collect();
        assert_eq!(lines, [("place", "@@ -1,2 +1,2 @@"), ("old", "--- a"), ("new", "+++ a"), ("same", " b")]);
        let same = Edit { old: Some("b\n".into()), new: Some("b\n".into()) };
        assert!(Difference::of("x", &same).is_empty());
    }
}
