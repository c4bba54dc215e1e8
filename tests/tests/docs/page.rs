//! Finds the code blocks of a page. Never runs anything.

/// What is to be done with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Runs to its end with this exit code.
    Run(i32),
    /// Starts a gateway that runs until the page's end, or until the next one.
    Daemon,
    /// Can't be run in a test; a comment in front says why.
    Manual,
    /// A whole settings file, good or refused.
    Settings { good: bool },
    /// Lines that belong into a settings file.
    Fragment,
    /// What the block before printed, in JSON.
    Printed,
    /// Output, to be read only.
    Shown,
}

/// One fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// Of its fence, from 1.
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// All blocks of a page, or what is wrong with one.
pub(crate) fn blocks(page: &str) -> Result<Vec<Block>, String> {
    let mut found = Vec::new();
    let mut before = "";
    let mut lines = page.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            if !line.trim().is_empty() {
                before = line;
            }
            continue;
        };
        let kind = kind(info, before).map_err(|what| format!("line {}: {what}", index + 1))?;
        let mut text = String::new();
        loop {
            match lines.next() {
                Some((_, "```")) => break,
                Some((_, line)) => text.push_str(&format!("{line}\n")),
                None => return Err(format!("line {}: the block has no end", index + 1)),
            }
        }
        before = "```";
        found.push(Block { line: index + 1, kind, text });
    }
    Ok(found)
}

/// The filter that a page has at hand.
pub(crate) fn given(page: &str) -> Option<&str> {
    page.lines().find_map(|line| line.strip_prefix("<!-- given: ")?.strip_suffix(" -->"))
}

/// The file that a line in front of a block names as the block's source.
pub(crate) fn source(before: &str) -> Option<&str> {
    before.strip_prefix("<!-- from ")?.strip_suffix(" -->")
}

fn kind(info: &str, before: &str) -> Result<Kind, String> {
    match info {
        "sh" => Ok(Kind::Run(0)),
        "sh daemon" => Ok(Kind::Daemon),
        "sh manual" if before.starts_with("<!-- manual: ") => Ok(Kind::Manual),
        "sh manual" => Err("a manual block needs its reason in front: <!-- manual: ... -->".to_owned()),
        "toml" => Ok(Kind::Settings { good: true }),
        "toml wrong" => Ok(Kind::Settings { good: false }),
        "toml fragment" => Ok(Kind::Fragment),
        "json" => Ok(Kind::Printed),
        "text" => Ok(Kind::Shown),
        "rust" | "js" | "python" | "c" | "json source" if source(before).is_some() => Ok(Kind::Shown),
        "rust" | "js" | "python" | "c" | "json source" => {
            Err("a piece of source needs its file in front: <!-- from ... -->".to_owned())
        }
        _ => match info.strip_prefix("sh exit=").map(str::parse) {
            Some(Ok(code)) => Ok(Kind::Run(code)),
            _ => Err(format!("no known mark: `{info}`; see docs/README.md")),
        },
    }
}
