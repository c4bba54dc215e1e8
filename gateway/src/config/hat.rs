//! Boards that are plugged onto a Raspberry Pi, and what its firmware must be told for them: the table `hats.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A board.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hat {
    /// Which one, for people.
    pub about: String,
    /// What it needs, as lines of `config.txt`.
    pub lines: Vec<String>,
}

/// What a UART on the header needs, whatever is plugged there.
pub const UART_LINES: [&str; 2] = ["enable_uart=1", "dtoverlay=disable-bt"];

/// All of them, by name.
pub fn hats() -> BTreeMap<String, Hat> {
    toml::from_str(include_str!("hats.toml")).expect("the table is compiled in, and a test reads it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_one_that_the_firmware_knows() {
        assert!(hats().len() > 8);
        for (name, Hat { about, lines }) in hats() {
            assert!(!about.is_empty(), "{name}");
            let known = |line: &String| {
                ["dtparam=", "dtoverlay=", "enable_uart="].iter().any(|key| line.starts_with(key))
                    && !line.contains('\n')
            };
            assert!(lines.iter().all(known), "{name}: {lines:?}");
        }
    }
}
