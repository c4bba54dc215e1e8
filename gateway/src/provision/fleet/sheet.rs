//! A CSV as rows of cells (RFC 4180), as spreadsheets write it. The only file that names the parser.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim, WriterBuilder};

use super::ID;

/// More rows than this are refused.
const ROWS_MAX: usize = 10_000;

/// A table with a line of columns.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Row>,
}

/// A row, and the line that it begins on.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) line: usize,
    cells: StringRecord,
}

impl Sheet {
    /// # Errors
    /// What is wrong with the table as such, with its place.
    pub(super) fn read(path: &Path, text: &str) -> Result<Self, Vec<String>> {
        let text = text.trim_start_matches('\u{feff}');
        let head = text.lines().next().unwrap_or_default();
        // Where the comma stands in numbers, spreadsheets put this one between cells.
        let delimiter = if head.contains(';') && !head.contains(',') { b';' } else { b',' };
        let mut reader = ReaderBuilder::new().delimiter(delimiter).trim(Trim::All).from_reader(text.as_bytes());
        let wrong = |error: csv::Error| {
            let line = error.position().map_or(1, csv::Position::line);
            vec![format!("{}:{line}: {error}\n    remedy: write as many cells as there are columns", path.display())]
        };
        let columns: Vec<String> = reader.headers().map_err(wrong)?.iter().map(str::to_owned).collect();
        let mut problems = Vec::new();
        let mut problem = |what: String, remedy: &str| {
            problems.push(format!("{}:1: {what}\n    remedy: {remedy}", path.display()));
        };
        if !columns.iter().any(|column| column == ID) {
            problem(format!("there is no column `{ID}`"), "begin with a line of columns, `id` among them");
        }
        for (at, column) in columns.iter().enumerate() {
            if column.is_empty() || column.split('.').any(str::is_empty) {
                problem(format!("column {} has no name", at + 1), "name a key of provision.toml, such as `wifi.ssid`");
            } else if columns.iter().take(at).any(|other| other == column) {
                problem(format!("column `{column}` is there twice"), "keep one of the two");
            }
        }
        let mut rows = Vec::new();
        for record in reader.records().take(ROWS_MAX + 1) {
            let cells = record.map_err(wrong)?;
            let line = cells.position().and_then(|position| usize::try_from(position.line()).ok()).unwrap_or(0);
            rows.push(Row { line, cells });
        }
        if rows.is_empty() || rows.len() > ROWS_MAX {
            problem(format!("there are {} rows", rows.len()), "write 1 to 10000 rows below the columns");
        }
        if problems.is_empty() { Ok(Self { columns, rows }) } else { Err(problems) }
    }

    /// What stands in a column; nothing where there is no such one.
    pub(super) fn cell<'a>(&self, row: &'a Row, column: &str) -> &'a str {
        let at = self.columns.iter().position(|other| other == column);
        at.and_then(|at| row.cells.get(at)).unwrap_or_default()
    }
}

/// Rows as CSV.
pub(super) fn write(rows: impl Iterator<Item = Vec<String>>) -> std::io::Result<Vec<u8>> {
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    for row in rows {
        writer.write_record(row)?;
    }
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}
