//! Codes that people read off one place and type at another: short passwords for one use.

/// Characters of a code: 60 bits, and each wrong one costs a wait.
const CHARACTERS: usize = 12;

/// Thinks up a code, without dashes.
///
/// # Errors
/// When the system has no random numbers.
pub fn code() -> Result<String, String> {
    Ok(super::generate()?.chars().take(CHARACTERS).collect())
}

/// A code as people read it: in groups of four.
pub fn grouped(code: &str) -> String {
    let characters: Vec<char> = code.chars().collect();
    characters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// What was typed, without what people add to it: blanks, dashes, capitals.
pub fn typed_code(typed: &str) -> String {
    typed.chars().filter(|c| !c.is_whitespace() && *c != '-').flat_map(char::to_lowercase).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = code().unwrap();
        let shown = grouped(&code);
        assert_eq!((code.len(), shown.len(), shown.matches('-').count()), (CHARACTERS, 14, 2));
        for typed in [shown.clone(), shown.to_uppercase(), format!(" {} ", shown.replace('-', " "))] {
            assert_eq!(typed_code(&typed), code);
        }
    }
}
