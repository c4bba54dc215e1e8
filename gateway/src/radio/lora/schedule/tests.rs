//! The scheduler's behaviour.
