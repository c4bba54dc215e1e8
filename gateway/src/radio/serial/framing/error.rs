//! Why bytes are no frame, and why a payload cannot become one.
//!
//! Owns the words that operators read. Never decides anything.

use std::fmt;

/// Why received bytes were given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reject {
    /// Longer than `max-frame`.
    TooLong,
    /// The checksum is wrong or missing.
    Checksum,
    /// Against the framing's rules.
    Malformed,
    /// The frame broke off: another one began, the line fell silent, or the port was closed.
    Incomplete,
    /// Bytes outside any frame; one report for each run of them.
    Noise,
}

impl Reject {
    /// Every reason, for counters.
    pub const ALL: [Self; 5] = [Self::TooLong, Self::Checksum, Self::Malformed, Self::Incomplete, Self::Noise];

    /// The reason as it stands in counters and messages: `too-long`, `checksum` and so on.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too-long",
            Self::Checksum => "checksum",
            Self::Malformed => "malformed",
            Self::Incomplete => "incomplete",
            Self::Noise => "noise",
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a payload cannot be framed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncodeError {
    /// Longer than a frame may be, what the framing adds to the payload included.
    TooLong {
        /// Bytes it has.
        length: usize,
        /// Bytes it may have.
        max_frame: usize,
    },
    /// Nothing to send, and this framing has no empty frame.
    Empty,
    /// Not the length that every frame has.
    WrongLength {
        /// Bytes it has.
        length: usize,
        /// Bytes it must have.
        expected: usize,
    },
    /// More bytes than the count in front can tell.
    CountTooSmall {
        /// Bytes it has.
        length: usize,
        /// Bytes of the count.
        width: u8,
    },
    /// The line ending, named here, stands inside the payload.
    EndingInside(&'static str),
    /// The stop marker would be seen before the payload's end.
    StopInside,
    /// The text is not of the framing's form; says which and how.
    BadText(&'static str),
    /// The payload brings a checksum, and it is wrong.
    WrongChecksum {
        /// What it should be, in hex as the framing writes it.
        expected: String,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length, max_frame } => {
                write!(f, "the frame would have {length} bytes, but max-frame is {max_frame}")
            }
            Self::Empty => f.write_str("the payload is empty, and this framing has no empty frame"),
            Self::WrongLength { length, expected } => {
                write!(f, "the payload has {length} bytes, but every frame has {expected}")
            }
            Self::CountTooSmall { length, width } => {
                write!(f, "the payload has {length} bytes, more than a count of width {width} can tell")
            }
            Self::EndingInside(name) => write!(f, "the payload holds a line ending ({name}); send each line by itself"),
            Self::StopInside => f.write_str("the stop marker would be seen before the end of the payload"),
            Self::BadText(what) => f.write_str(what),
            Self::WrongChecksum { expected } => {
                write!(f, "the payload's checksum is wrong: it should be {expected}, or be left out to have it added")
            }
        }
    }
}

impl std::error::Error for EncodeError {}
