//! Plugins written by hand, as text. `guest.rs` makes components of them.

mod answers;
mod failures;
mod fuzzed;
mod guest;
mod image;
mod imports;
mod limits;
mod loading;
mod released;
