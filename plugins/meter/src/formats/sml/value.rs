//! What messages are made of: elements with a type and a length in front. Everything is bounded by the bytes that are
//! there.

/// How deep lists may lie in each other. Meters need five.
const DEEPEST: u8 = 8;

/// A place in a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a>(&'a [u8]);

/// One element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element<'a> {
    /// Octets; none of them: the element is left out.
    Octets(&'a [u8]),
    /// Yes or no.
    Flag(bool),
    /// A number with a sign.
    Signed(i64),
    /// A number without one.
    Unsigned(u64),
    /// So many elements follow.
    List(usize),
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Zeros between messages.
    pub(super) fn skip_fillers(&mut self) {
        while let [0, rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    /// The bytes from here until there.
    pub(super) fn until(self, there: &Self) -> &'a [u8] {
        &self.0[..self.0.len() - there.0.len()]
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// The next element; of a list, its head alone.
    pub(super) fn next(&mut self) -> Option<Element<'a>> {
        let first = self.byte()?;
        let (mut last, mut length, mut heads) = (first, usize::from(first & 0x0f), 1);
        while last & 0x80 != 0 {
            last = self.byte().filter(|_| heads < 4)?;
            length = length << 4 | usize::from(last & 0x0f);
            heads += 1;
        }
        let kind = first >> 4 & 7;
        if kind == 7 {
            // Each element takes a byte at least.
            return (length <= self.0.len()).then_some(Element::List(length));
        }
        let (bytes, rest) = self.0.split_at_checked(length.checked_sub(heads)?)?;
        self.0 = rest;
        let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
        let number = |start: u64| bytes.iter().fold(start, |number, byte| number << 8 | u64::from(*byte));
        Some(match (kind, bytes.len()) {
            (0, _) => Element::Octets(bytes),
            (4, 1) => Element::Flag(bytes != [0]),
            (5, 1..=8) => Element::Signed(number(if negative { u64::MAX } else { 0 }).cast_signed()),
            (6, 1..=8) => Element::Unsigned(number(0)),
            _ => return None,
        })
    }

    /// A list of just so many.
    pub(super) fn list(&mut self, wanted: usize) -> Option<()> {
        (self.next()? == Element::List(wanted)).then_some(())
    }

    /// A number without a sign.
    pub(super) fn number(&mut self) -> Option<u64> {
        match self.next()? {
            Element::Unsigned(number) => Some(number),
            _ => None,
        }
    }

    /// Octets; empty ones where the element is left out.
    pub(super) fn octets(&mut self) -> Option<&'a [u8]> {
        match self.next()? {
            Element::Octets(octets) => Some(octets),
            _ => None,
        }
    }

    /// Past the next element and all that is in it.
    pub(super) fn skip(&mut self) -> Option<()> {
        self.skip_from(0)
    }

    fn skip_from(&mut self, depth: u8) -> Option<()> {
        match self.next()? {
            Element::List(_) if depth == DEEPEST => None,
            Element::List(count) => (0..count).try_for_each(|_| self.skip_from(depth + 1)),
            _ => Some(()),
        }
    }

    /// The end of a message.
    pub(super) fn end(&mut self) -> Option<()> {
        (self.byte()? == 0).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_a_type_and_a_length() {
        for (bytes, wanted) in [
            (&[0x01][..], Some(Element::Octets(&[]))),
            (&[0x03, 1, 2], Some(Element::Octets(&[1, 2]))),
            (&[0x42, 1], Some(Element::Flag(true))),
            (&[0x53, 0xff, 0xfe], Some(Element::Signed(-2))),
            (&[0x65, 0, 0, 1, 2], Some(Element::Unsigned(258))),
            (&[0x71, 0x01], Some(Element::List(1))),
            (&[0x72, 0x01], None),
            (&[0x03, 1], None),
            (&[0x81], None),
            (&[0x6a, 0, 0, 0, 0, 0, 0, 0, 0, 0], None),
        ] {
            assert_eq!(Cursor::new(bytes).next(), wanted, "{bytes:x?}");
        }
        let long = [&[0x81, 0x02][..], &[7; 16]].concat();
        assert_eq!(Cursor::new(&long).next(), Some(Element::Octets(&[7; 16])));
    }

    #[test]
    fn lists_lie_in_each_other_only_so_deep() {
        assert_eq!(Cursor::new(&[&[0x71; 8][..], &[0x01]].concat()).skip(), Some(()));
        assert_eq!(Cursor::new(&[&[0x71; 5000][..], &[0x01]].concat()).skip(), None);
    }
}
