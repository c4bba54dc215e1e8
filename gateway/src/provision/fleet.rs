//! The files for many cards: a row of a CSV for each gateway, whose columns are keys of `provision.toml`.
//!
//! Checks every row before anything is written, by what a gateway will check, and tells problems by row and column. What it
//! makes up (`*` in a cell) stands in the list beside the folders, and of set-up codes the hash alone on the card.

mod cells;
mod sheet;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use toml_edit::DocumentMut;

use self::cells::{Cell, column_at, set};
use self::sheet::{Row, Sheet};
use crate::config::{self, Modem, Place, Problem, Problems, Provision, Secret, SetupCode, Texts};
use crate::password::{self, Hash};

/// The list of what was made, in the folder of all.
pub const LIST: &str = "list.csv";

/// The column that names the gateway.
const ID: &str = "id";
const HOST_NAME: &str = "host-name";
const CODE: &str = "admin.setup-code";
const CODE_HASH: &str = "admin.setup-code-hash";
/// The column that says that there is a modem.
const MODEM: &str = "modem.apn";
/// What columns of the gateway's settings begin with, and those of secrets.
const OF_SETTINGS: &str = "stile.";
const OF_SECRETS: &str = "secrets.";
/// A cell that says this has its value made up.
const MAKE_UP: &str = "*";

/// What the cards are to be made of; texts with the paths that they are from.
#[derive(Debug)]
pub struct Fleet<'a> {
    /// Where the rows are from.
    pub csv: &'a Path,
    /// CSV with a line of columns.
    pub rows: &'a str,
    /// What `provision.toml` says for all.
    pub template: (&'a Path, &'a str),
    /// The gateway's settings for all.
    pub settings: Option<(&'a Path, &'a str)>,
}

/// The files of one card.
#[derive(Debug)]
pub struct Card {
    id: String,
    host_name: String,
    provision: String,
    settings: Option<String>,
    /// What was made up, by its column.
    made_up: Vec<(String, String)>,
}

/// Why nothing was made.
#[derive(Debug)]
pub enum FleetError {
    /// All that is wrong, each with its place and remedy.
    Wrong(Vec<String>),
    /// In words.
    System(String),
}

impl Fleet<'_> {
    /// All cards, checked.
    ///
    /// # Errors
    /// All that is wrong, or that the system has no random numbers.
    pub fn plan(&self) -> Result<Vec<Card>, FleetError> {
        let sheet = Sheet::read(self.csv, self.rows).map_err(FleetError::Wrong)?;
        self.check_templates(&sheet).map_err(FleetError::Wrong)?;
        let (mut cards, mut problems) = (Vec::new(), Told::default());
        for row in &sheet.rows {
            match self.card(&sheet, row, &mut problems) {
                Ok(card) => cards.extend(card),
                Err(why) => return Err(FleetError::System(why)),
            }
        }
        for (column, of) in [(ID, (|card| &card.id) as fn(&Card) -> &String), (HOST_NAME, |card| &card.host_name)] {
            twice(&cards, of).for_each(|(name, count)| {
                let what = format!("`{name}` is there {count} times");
                problems.add(self.csv, None, column, &what, "give each its own");
            });
        }
        let problems = problems.into_lines();
        if problems.is_empty() { Ok(cards) } else { Err(FleetError::Wrong(problems)) }
    }

    /// What is wrong for all is told once, and of the file that it stands in.
    fn check_templates(&self, sheet: &Sheet) -> Result<(), Vec<String>> {
        let lines = |Problems(problems): Problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (path, text) = self.template;
        let mut secrets = config::parse_provision(path, text).map_err(lines)?.secrets;
        let of_columns = sheet.columns.iter().filter_map(|column| column.strip_prefix(OF_SECRETS));
        secrets.extend(of_columns.map(|name| (name.to_owned(), Secret::new("-"))));
        match self.settings {
            Some((path, text)) => check_settings(path, text, &secrets, None).map_err(lines),
            None => Ok(()),
        }
    }

    /// One card; `None` when the row has problems.
    fn card(&self, sheet: &Sheet, row: &Row, problems: &mut Told) -> Result<Option<Card>, String> {
        let before = problems.count();
        let mut tell = |column: &str, what: String, remedy: &str| {
            problems.add(self.csv, Some(row.line), column, &what, remedy);
        };
        let mut provision = document(self.template.1)?;
        let mut settings = self.settings.map(|(_, text)| document(text)).transpose()?;
        let (mut cells, mut made_up) = (Vec::new(), Vec::new());
        let id = sheet.cell(row, ID).to_owned();
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !((1..=64).contains(&id.len()) && id.chars().all(fits)) {
            tell(ID, "is no id".to_owned(), "write 1 to 64 of the characters A-Z a-z 0-9 _ -");
        }
        let named = sheet.cell(row, HOST_NAME);
        let host_name = if named.is_empty() { id.clone() } else { named.to_owned() };
        cells.push(Cell::new(HOST_NAME, host_name.clone()));
        let columns = sheet.columns.iter().filter(|column| *column != ID && *column != HOST_NAME);
        for column in columns {
            let value = match sheet.cell(row, column) {
                "" => continue,
                MAKE_UP if column == CODE => password::grouped(&password::code()?),
                MAKE_UP if column.starts_with(OF_SECRETS) => password::generate()?,
                given => given.to_owned(),
            };
            if sheet.cell(row, column) == MAKE_UP && (column == CODE || column.starts_with(OF_SECRETS)) {
                made_up.push((column.clone(), value.clone()));
            }
            cells.push(Cell::new(column, value));
        }
        if let Some(settings) = &mut settings {
            set(settings, "gateway.id", toml_edit::Value::from(&*id))
                .map_err(|()| "[gateway] is no table".to_owned())?;
        }
        for cell in &cells {
            let done = match (cell.column.strip_prefix(OF_SETTINGS), &mut settings) {
                (Some(key), Some(settings)) => set(settings, key, cell.in_settings()),
                (Some(_), None) => {
                    tell(&cell.column, "is of the settings, and none are named".into(), "name them with --stile");
                    Ok(())
                }
                (None, _) => set(&mut provision, &cell.column, cell.in_provision()),
            };
            if done.is_err() {
                tell(
                    &cell.column,
                    "stands below what is no table".into(),
                    "rename the column, or correct the template",
                );
            }
        }
        let text = provision.to_string();
        let read = match config::parse_provision(Path::new("provision.toml"), &text) {
            Ok(read) => read,
            Err(Problems(wrong)) => {
                wrong.iter().for_each(|problem| told_of(problem, &text, &cells, "", &mut tell));
                return Ok(None);
            }
        };
        let settings = settings.map(|settings| settings.to_string());
        if let Some((text, (path, _))) = settings.as_ref().zip(self.settings)
            && let Err(Problems(wrong)) = check_settings(path, text, &read.secrets, read.modem.as_ref())
        {
            let beside = modem_beside(path);
            for problem in &wrong {
                match &problem.place {
                    Place::At { file, .. } if *file == beside => tell(MODEM, problem.what.clone(), &problem.remedy),
                    _ => told_of(problem, text, &cells, OF_SETTINGS, &mut tell),
                }
            }
        }
        if problems.count() > before {
            return Ok(None);
        }
        let provision = with_hash(provision, &read)?;
        Ok(Some(Card { id, host_name, provision, settings, made_up }))
    }
}

/// Tells a problem of a text that was made of cells by the cell whose value stands on its line.
fn told_of(problem: &Problem, text: &str, cells: &[Cell], mark: &str, tell: &mut impl FnMut(&str, String, &str)) {
    let line = match &problem.place {
        Place::At { line, .. } => *line,
        Place::Whole(_) | Place::Environment(_) => 0,
    };
    let keys = cells.iter().filter_map(|cell| cell.column.strip_prefix(mark).map(|key| (key, cell)));
    let column = column_at(text, line, keys).unwrap_or("-");
    tell(column, problem.what.clone(), &problem.remedy);
}

/// The text, with the hash of the set-up code in the place of the code.
fn with_hash(mut provision: DocumentMut, read: &Provision) -> Result<String, String> {
    if let Some(SetupCode::Plain(code)) = &read.setup_code {
        let hash = Hash::of(code.expose())?;
        let done = set(&mut provision, CODE_HASH, toml_edit::Value::from(hash.expose()));
        done.map_err(|()| "[admin] is no table".to_owned())?;
        if let Some(admin) = provision.get_mut("admin").and_then(|admin| admin.as_table_like_mut()) {
            admin.remove("setup-code");
        }
    }
    Ok(provision.to_string())
}

/// `modem` makes a radio beside them.
fn check_settings(
    path: &Path,
    text: &str,
    secrets: &BTreeMap<String, Secret>,
    modem: Option<&Modem>,
) -> Result<(), Problems> {
    let mut instead = Texts::from([(path.to_owned(), Some(text.to_owned()))]);
    instead.extend(modem.map(|modem| (modem_beside(path), Some(super::pieces::radio_of(modem)))));
    config::load_provisioned(path, &instead, super::wanted::handed_over(secrets)).map(drop)
}

/// Where a modem's radio would be, were these settings those of a machine.
fn modem_beside(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).join("conf.d/provision-modem.toml")
}

fn document(text: &str) -> Result<DocumentMut, String> {
    text.parse().map_err(|error: toml_edit::TomlError| error.to_string())
}

/// Names that more than one card has, whatever their capitals: folders of a laptop know none.
fn twice(cards: &[Card], of: fn(&Card) -> &String) -> impl Iterator<Item = (String, usize)> {
    let mut counts = BTreeMap::<String, usize>::new();
    cards.iter().for_each(|card| *counts.entry(of(card).to_lowercase()).or_default() += 1);
    counts.into_iter().filter(|(_, count)| *count > 1)
}

/// Problems so far: what is wrong in many rows is told of the first one.
#[derive(Default)]
struct Told {
    lines: Vec<(String, String)>,
    more: BTreeMap<String, usize>,
}

impl Told {
    fn count(&self) -> usize {
        self.lines.len() + self.more.values().sum::<usize>()
    }

    fn add(&mut self, csv: &Path, row: Option<usize>, column: &str, what: &str, remedy: &str) {
        let said = format!("column `{column}`: {what}\n    remedy: {remedy}");
        if self.lines.iter().any(|(_, other)| *other == said) {
            *self.more.entry(said).or_default() += 1;
            return;
        }
        let place = row.map_or_else(|| csv.display().to_string(), |row| format!("{}:{row}", csv.display()));
        self.lines.push((place, said));
    }

    fn into_lines(self) -> Vec<String> {
        let Self { lines, more } = self;
        let line = |(place, said): (String, String)| match more.get(&said) {
            Some(count) => format!("{place}: {said}\n    and in {count} more row(s)"),
            None => format!("{place}: {said}"),
        };
        lines.into_iter().map(line).collect()
    }
}

/// Writes all cards and the list into a new folder; nobody but its owner may read there.
///
/// # Errors
/// When the folder has something in it, or what the system says. Then there is no such folder.
pub fn write(cards: &[Card], out: &Path) -> Result<(), FleetError> {
    let explain = |path: &Path, error: std::io::Error| FleetError::System(format!("{}: {error}", path.display()));
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(FleetError::System(format!("{} is not empty; name another folder", out.display())));
    }
    let mut name = out.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    make_folder(&new).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => FleetError::System(format!(
            "{} is there already, of a run that was cut off; remove it: secrets may stand in it",
            new.display()
        )),
        _ => explain(&new, error),
    })?;
    let written = write_into(cards, &new).and_then(|()| fs::rename(&new, out));
    written.map_err(|error| {
        // Secrets of a run that failed are of no use.
        let _ = fs::remove_dir_all(&new);
        explain(out, error)
    })
}

fn write_into(cards: &[Card], folder: &Path) -> std::io::Result<()> {
    for card in cards {
        let folder = folder.join(&card.id);
        make_folder(&folder)?;
        write_file(&folder.join("provision.toml"), card.provision.as_bytes())?;
        if let Some(settings) = &card.settings {
            write_file(&folder.join("stile.toml"), settings.as_bytes())?;
        }
    }
    write_file(&folder.join(LIST), &list(cards)?)
}

fn list(cards: &[Card]) -> std::io::Result<Vec<u8>> {
    let columns: BTreeSet<&str> = cards.iter().flat_map(|card| &card.made_up).map(|(column, _)| &**column).collect();
    let rows = cards.iter().map(|card| {
        let made_up = |column: &&str| card.made_up.iter().find(|(name, _)| name == column);
        let cells = columns.iter().map(move |column| made_up(column).map_or("", |(_, value)| value));
        [&*card.id, &*card.host_name].into_iter().chain(cells).map(str::to_owned).collect()
    });
    let head = [ID, HOST_NAME].into_iter().chain(columns.iter().copied()).map(str::to_owned).collect();
    sheet::write(std::iter::once(head).chain(rows))
}

fn make_folder(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

fn write_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
