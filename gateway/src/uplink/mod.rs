//! Remote brokers, each an uplink.
mod topics;
