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
