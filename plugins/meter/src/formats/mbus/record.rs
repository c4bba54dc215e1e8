//! Takes data records apart (EN 13757-3, section 6): data information, value information, data. Knows no quantities.

/// The most extensions of either information block.
const MOST_EXTENSIONS: usize = 10;
/// There is another byte of the block.
const MORE: u8 = 0x80;

/// One record.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// How the data is written: the low half of the data information field.
    pub(super) field: u8,
    /// Instantaneous is 0, then the greatest, the least, the value during an error.
    function: u8,
    storage: u64,
    pub(super) tariff: u32,
    pub(super) subunit: u16,
    /// The value information field, and behind it its extensions; all without their marks of more to come.
    pub(super) vif: u8,
    pub(super) extensions: Vec<u8>,
    pub(super) data: &'a [u8],
}

impl Record<'_> {
    /// Whether it is about now.
    pub(super) fn is_current(&self) -> bool {
        self.function == 0 && self.storage == 0
    }
}

/// The records of a frame. Ends at what only the maker understands; an error is the last.
pub(super) struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(bytes)
    }

    /// None if it ends too soon, or has more extensions than one may.
    fn record(&mut self, dif: u8) -> Option<Record<'a>> {
        let mut record =
            Record { field: dif & 0x0f, function: dif >> 4 & 3, storage: u64::from(dif >> 6 & 1), ..Record::default() };
        self.data_information(dif, &mut record)?;
        self.value_information(&mut record)?;
        let length = self.length(record.field)?;
        record.data = self.bytes(length)?;
        Some(record)
    }

    fn data_information(&mut self, dif: u8, record: &mut Record) -> Option<()> {
        let mut last = dif;
        let mut number = 0;
        while last & MORE != 0 {
            last = self.byte().filter(|_| number < MOST_EXTENSIONS)?;
            record.storage |= u64::from(last & 0x0f) << (1 + 4 * number);
            record.tariff |= u32::from(last >> 4 & 3) << (2 * number);
            record.subunit |= u16::from(last >> 6 & 1) << number;
            number += 1;
        }
        Some(())
    }

    fn value_information(&mut self, record: &mut Record) -> Option<()> {
        let mut last = self.byte()?;
        record.vif = last & !MORE;
        if record.vif == 0x7c {
            // The unit is written out, in front of any extensions.
            let length = self.byte()?;
            self.bytes(usize::from(length))?;
        }
        while last & MORE != 0 {
            last = self.byte().filter(|_| record.extensions.len() < MOST_EXTENSIONS)?;
            record.extensions.push(last & !MORE);
        }
        Some(())
    }

    /// How many bytes the data has. With a variable length, the first byte of it says so.
    fn length(&mut self, field: u8) -> Option<usize> {
        Some(match field {
            0 | 8 => 0,
            1..=4 => usize::from(field),
            5 => 4,
            6 => 6,
            7 => 8,
            9..=12 => usize::from(field - 8),
            14 => 6,
            13 => match self.byte()? {
                text @ 0..=0xbf => usize::from(text),
                number @ 0xc0..=0xdf => usize::from(number & 0x0f),
                binary @ 0xe0..=0xef => usize::from(binary & 0x0f),
                _ => return None,
            },
            _ => return None,
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.byte()? {
                // A filler.
                0x2f => {}
                // From here on the maker's own.
                0x0f | 0x1f => return None,
                dif => {
                    let record = self.record(dif);
                    if record.is_none() {
                        self.rest = &[];
                    }
                    return Some(record.ok_or("a record of the M-Bus frame is cut short"));
                }
            }
        }
    }
}
