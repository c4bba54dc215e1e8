//! Texts of others, made fit for a terminal or a request.

/// Leaves no byte that steers the terminal.
pub(super) fn visible(text: &str) -> String {
    let character = |c: char| {
        let escaped = c.is_control().then(|| c.escape_default());
        escaped.into_iter().flatten().chain((!c.is_control()).then_some(c))
    };
    text.chars().flat_map(character).collect()
}

/// Percent-encodes what has a meaning in a path or a query.
pub(super) fn escape(text: &str) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_.".contains(b);
    text.bytes().map(|b| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Rows as lines, in columns as wide as they must be; the first `left` of them stand to the left, the others to the right.
pub(super) fn columns<const N: usize>(rows: &[[String; N]], left: usize) -> Vec<String> {
    let widths: Vec<_> = (0..N).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(
            |(at, (cell, width))| {
                if at < left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            },
        );
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_survives_the_query_and_a_client_id_the_path() {
        assert_eq!(escape("serial/+/up#&ä"), "serial%2F%2B%2Fup%23%26%C3%A4");
    }

    #[test]
    fn what_could_steer_the_terminal_is_spelled_out() {
        assert_eq!(visible("a\u{1b}[2J\nb\u{9b}ä"), r"a\u{1b}[2J\nb\u{9b}ä");
    }
}
