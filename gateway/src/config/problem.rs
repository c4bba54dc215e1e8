//! What can be wrong with the settings: where, what, and what to do about it. Never decides what is wrong.

use std::fmt;
use std::path::PathBuf;

/// Where a problem is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file or folder as a whole: it is missing, too large, not readable.
    Whole(PathBuf),
    /// A spot in a file. Line and column count from 1, columns in characters.
    At {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// An environment variable, by name.
    Environment(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(file) => write!(f, "{}", file.display()),
            Self::At { file, line, column } => write!(f, "{}:{line}:{column}", file.display()),
            Self::Environment(name) => write!(f, "environment variable {}", plain(name)),
        }
    }
}

/// Whether the settings can be used nevertheless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The settings are refused.
    Error,
    /// The settings are taken.
    Warning,
}

/// One thing that is wrong, with its remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// What is wrong, in plain words.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
    /// Whether the settings are refused for it.
    pub severity: Severity,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warning = if self.severity == Severity::Warning { "warning: " } else { "" };
        write!(f, "{}: {warning}{}\n    remedy: {}", self.place, self.what, self.remedy)
    }
}

/// All that is wrong with a set of files, in the order of the files and their lines, warnings included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// How many of them are errors.
    pub fn errors(&self) -> usize {
        self.0.iter().filter(|problem| problem.severity == Severity::Error).count()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        let errors = self.errors();
        let warnings = self.0.len() - errors;
        write!(f, "{errors} problem{}", if errors == 1 { "" } else { "s" })?;
        match warnings {
            0 => Ok(()),
            1 => f.write_str(", 1 warning"),
            _ => write!(f, ", {warnings} warnings"),
        }
    }
}

impl std::error::Error for Problems {}

/// The longest piece of outside text that a message repeats, in characters.
const QUOTED_MAX_CHARACTERS: usize = 200;

/// Outside text for a message: shortened, control characters escaped, so that it cannot play with a terminal.
pub(super) fn plain(text: &str) -> String {
    let mut safe = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == QUOTED_MAX_CHARACTERS {
            safe.push('…');
            break;
        }
        if character.is_control() {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(severity: Severity) -> Problem {
        Problem {
            place: Place::At { file: "stile.toml".into(), line: 12, column: 3 },
            what: "unknown key `bauds` in [[radio]]".into(),
            remedy: "rename it to `baud`".into(),
            severity,
        }
    }

    #[test]
    fn a_problem_reads_as_place_then_what_then_remedy() {
        let text = "stile.toml:12:3: unknown key `bauds` in [[radio]]\n    remedy: rename it to `baud`";
        assert_eq!(problem(Severity::Error).to_string(), text);
    }

    #[test]
    fn problems_end_with_their_count() {
        let all = Problems(vec![problem(Severity::Error), problem(Severity::Warning)]);
        assert!(all.to_string().ends_with("remedy: rename it to `baud`\n1 problem, 1 warning"), "{all}");
        assert_eq!(Problems(vec![problem(Severity::Error); 3]).to_string().lines().last(), Some("3 problems"));
    }

    #[test]
    fn outside_text_cannot_play_with_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(plain(&"x".repeat(1000)).chars().count(), 201);
    }
}
