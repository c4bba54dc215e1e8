//! Records as bytes in a segment, and finding them again where something is damaged.

/// What stands before each record.
pub(super) const HEAD: usize = 16;

/// What a record of so many bytes takes on disk.
pub(super) fn weight(bytes: usize) -> u64 {
    (HEAD + bytes) as u64
}
