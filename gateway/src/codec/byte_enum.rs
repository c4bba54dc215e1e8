//! One macro: an enum whose variants are bytes of the wire, each with the words that the specification has for it.
//!
//! Owns the mapping from a byte to a variant. Never decides where a variant may stand.

/// Makes a `#[repr(u8)]` enum with `from_u8` and `words`.
macro_rules! byte_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($variant:ident = $byte:literal => $words:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        $vis enum $name {
            $(
                #[doc = concat!(stringify!($byte), ": ", $words, ".")]
                $variant = $byte,
            )+
        }

        impl $name {
            /// The variant that `byte` stands for.
            $vis fn from_u8(byte: u8) -> Option<Self> {
                match byte {
                    $($byte => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The specification's words for it, in lower case.
            $vis fn words(self) -> &'static str {
                match self {
                    $(Self::$variant => $words,)+
                }
            }
        }
    };
}

pub(super) use byte_enum;
