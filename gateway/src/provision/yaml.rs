//! YAML as a tree of texts, as far as cloud-init's files need one: no aliases, no types. The only file that names the parser.

use saphyr_parser::{Event, Parser};

/// Deeper than any of these files are.
const DEPTH_MAX: usize = 32;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Yaml {
    Text(String),
    List(Vec<Yaml>),
    /// In the order of the file; of two alike the first counts.
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// YAML 1.1 has more words for it, and cloud-init takes them.
    pub(super) fn is_true(&self) -> bool {
        self.text().is_some_and(|text| ["true", "yes", "on", "1"].contains(&text.to_lowercase().as_str()))
    }

    /// The items of a list; a text alone is a list of one.
    pub(super) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            Self::Text(_) => std::slice::from_ref(self),
            Self::Map(_) => &[],
        }
    }

    pub(super) fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }
}

/// The first document of a text; an empty one is an empty text.
///
/// # Errors
/// What is wrong, with its line.
pub(super) fn parse(text: &str) -> Result<Yaml, String> {
    let mut reader = Reader(Parser::new_from_str(text));
    loop {
        match reader.next()? {
            Event::StreamEnd => return Ok(Yaml::Text(String::new())),
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
            event => return reader.node(event, 0),
        }
    }
}

struct Reader<'a>(Parser<'a, saphyr_parser::StrInput<'a>>);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Event<'a>, String> {
        match self.0.next() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(format!("line {}: is no YAML: {}", error.marker().line(), error.info())),
            None => Ok(Event::StreamEnd),
        }
    }

    fn node(&mut self, event: Event<'a>, depth: usize) -> Result<Yaml, String> {
        if depth > DEPTH_MAX {
            return Err(format!("is deeper than {DEPTH_MAX} levels"));
        }
        match event {
            Event::Scalar(text, ..) => Ok(Yaml::Text(text.into_owned())),
            Event::SequenceStart(..) => self.list(depth),
            Event::MappingStart(..) => self.map(depth),
            Event::Alias(_) => Err("has an alias (`*name`), which is not taken".to_owned()),
            _ => Err("ends too early".to_owned()),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Yaml, String> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Yaml::List(items)),
                event => items.push(self.node(event, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Yaml, String> {
        let mut entries = Vec::new();
        loop {
            let key = match self.next()? {
                Event::MappingEnd => return Ok(Yaml::Map(entries)),
                event => self.node(event, depth + 1)?,
            };
            let event = self.next()?;
            let value = self.node(event, depth + 1)?;
            // A key that is no text is none of those that are asked for.
            if let Yaml::Text(key) = key {
                entries.push((key, value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_lists_and_maps_are_read_however_they_are_written() {
        let read = parse("#cloud-config\na: {b: [x, \"y\\n\"]}\nc:\n  - d\n  - e: 'f'\nyes: on\n").unwrap();
        let b = read.get("a").unwrap().get("b").unwrap();
        assert_eq!(b.items().iter().map(|item| item.text().unwrap()).collect::<Vec<_>>(), ["x", "y\n"]);
        assert_eq!(read.get("c").unwrap().items()[1].get("e").unwrap().text(), Some("f"));
        assert!(read.get("yes").unwrap().is_true() && read.get("no").is_none());
        assert_eq!(parse(""), Ok(Yaml::Text(String::new())));
    }

    #[test]
    fn nothing_grows_loops_or_panics() {
        let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
        assert!(parse(bomb).unwrap_err().contains("alias"));
        for text in ["[".repeat(100_000), "{a: ".repeat(50_000), "- ".repeat(50_000)] {
            assert!(parse(&text).is_err());
        }
        for text in ["a: b: c", "\t- x", "[a, b", "\"", "%YAML 9", "? [a]\n: b", "\u{0}", "a: !!binary x"] {
            let _ = parse(text);
        }
    }
}
