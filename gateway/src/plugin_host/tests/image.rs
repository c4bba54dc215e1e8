//! Answers of plugins, laid out in memory by hand as the canonical ABI has them.

/// Where the answer of `process` lies. Untouched memory there means: all pass.
pub(super) const ANSWER: usize = 1024;

/// Bytes of a record with a draft, and of one with a decision.
const DRAFT: usize = 72;
const DECISION: usize = 96;

/// An answer as it lies in memory from [`ANSWER`] on.
#[derive(Default)]
pub(super) struct Image(Vec<u8>);

/// What is decided on a message.
pub(super) enum Act<'a> {
    Drop(&'a str),
    Reject(&'a str),
    /// Topic and payload.
    Modify(Option<&'a str>, Option<&'a [u8]>),
    /// Topics and payloads.
    Replace(&'a [(&'a str, &'a [u8])]),
}

impl Image {
    pub(super) fn data(&self) -> String {
        self.0.iter().map(|byte| format!("\\{byte:02x}")).collect()
    }

    fn number(&mut self, at: usize, number: usize) {
        self.0[at..at + 4].copy_from_slice(&u32::try_from(number).unwrap().to_le_bytes());
    }

    /// Room for so many bytes, zeroed, at a multiple of four.
    fn room(&mut self, bytes: usize) -> usize {
        let at = self.0.len().next_multiple_of(4);
        self.0.resize(at + bytes, 0);
        at
    }

    /// A list of bytes; pointer and length go to `at`.
    fn bytes(&mut self, at: usize, bytes: &[u8]) {
        let place = self.room(bytes.len());
        self.0[place..place + bytes.len()].copy_from_slice(bytes);
        self.list(at, place, bytes.len());
    }

    fn list(&mut self, at: usize, place: usize, length: usize) {
        self.number(at, ANSWER + place);
        self.number(at + 4, length);
    }

    /// `error(kind, text)`.
    pub(super) fn error(kind: u8, text: &str) -> Self {
        let mut image = Self::default();
        image.room(16);
        (image.0[0], image.0[4]) = (1, kind);
        image.bytes(8, text.as_bytes());
        image
    }

    /// `ok` with drafts.
    pub(super) fn drafts(drafts: &[(&str, &[u8])]) -> Self {
        let mut image = Self::default();
        image.room(12);
        image.put_drafts(4, drafts);
        image
    }

    fn put_drafts(&mut self, at: usize, drafts: &[(&str, &[u8])]) {
        let place = self.room(DRAFT * drafts.len());
        self.list(at, place, drafts.len());
        for (number, (topic, payload)) in drafts.iter().enumerate() {
            self.bytes(place + DRAFT * number, topic.as_bytes());
            self.bytes(place + DRAFT * number + 8, payload);
            self.0[place + DRAFT * number + 16] = 2;
        }
    }

    /// `ok` with decisions, each with its index.
    pub(super) fn decisions(decisions: &[(usize, Act<'_>)]) -> Self {
        let mut image = Self::default();
        image.room(12);
        let place = image.room(DECISION * decisions.len());
        image.list(4, place, decisions.len());
        for (number, (index, act)) in decisions.iter().enumerate() {
            let at = place + DECISION * number;
            image.number(at, *index);
            image.act(at + 4, act);
        }
        image
    }

    fn act(&mut self, at: usize, act: &Act<'_>) {
        match act {
            Act::Drop(why) => self.bytes(at + 4, why.as_bytes()),
            Act::Modify(topic, payload) => {
                self.0[at] = 1;
                if let Some(topic) = topic {
                    self.0[at + 4] = 1;
                    self.bytes(at + 8, topic.as_bytes());
                }
                if let Some(payload) = payload {
                    self.0[at + 16] = 1;
                    self.bytes(at + 20, payload);
                }
            }
            Act::Replace(drafts) => {
                self.0[at] = 2;
                self.put_drafts(at + 4, drafts);
            }
            Act::Reject(why) => {
                self.0[at] = 3;
                self.bytes(at + 4, why.as_bytes());
            }
        }
    }

    /// The same, but the byte at this place of the answer is another.
    pub(super) fn with(mut self, at: usize, byte: u8) -> Self {
        self.0[at] = byte;
        self
    }

    /// Where some text lies within the answer.
    pub(super) fn find(&self, text: &str) -> usize {
        self.0.windows(text.len()).position(|part| part == text.as_bytes()).unwrap()
    }
}
