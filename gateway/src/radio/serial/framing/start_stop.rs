//! `start-stop`: payload between two markers.
//!
//! A start marker inside a frame is payload; bytes outside frames are noise. Back in step after the next stop marker,
//! where the markers neither contain nor overlap themselves or each other (`53 59` and `54 43` do not; `AA AA` does).
//! Where start and stop are the same, there are no empty frames: two markers in a row are an end and a beginning.

use bytes::BytesMut;

use super::bytewise::Machine;
use super::gather::Gather;
use super::noise::Noise;
use super::{Decoded, EncodeError};

/// The machine of `start-stop`.
pub(super) struct StartStop {
    start: Vec<u8>,
    stop: Vec<u8>,
    /// The last bytes since the state changed, as many as the longer marker has.
    tail: Vec<u8>,
    gather: Gather,
    noise: Noise,
}

impl StartStop {
    pub(super) fn new(start: &[u8], stop: &[u8], max: usize) -> Self {
        Self {
            start: start.to_vec(),
            stop: stop.to_vec(),
            tail: Vec::new(),
            gather: Gather::new(max.saturating_add(stop.len())),
            noise: Noise::new(max),
        }
    }

    fn outside(&mut self, at: u64, found: &mut dyn FnMut(Decoded)) {
        // The offset of the byte that stands where a marker ending here would have its first.
        let first = at.saturating_add(1).saturating_sub(self.start.len() as u64);
        if self.tail.ends_with(&self.start) {
            self.noise.end(found);
            self.gather.begin(first);
            self.tail.clear();
        } else if self.tail.len() >= self.start.len() {
            self.noise.take(first, found);
        }
    }

    fn inside(&mut self, at: u64, byte: u8, found: &mut dyn FnMut(Decoded)) {
        self.gather.push(at, byte, found);
        if !self.tail.ends_with(&self.stop) {
            return;
        }
        self.tail.clear();
        let empty = self.gather.is_inside() && self.gather.bytes().len() == self.stop.len();
        if empty && self.start == self.stop {
            self.gather.begin(at.saturating_add(1).saturating_sub(self.stop.len() as u64));
        } else {
            self.gather.finish(self.stop.len(), found);
        }
    }
}

impl Machine for StartStop {
    fn byte(&mut self, at: u64, byte: u8, found: &mut dyn FnMut(Decoded)) {
        if self.tail.len() >= self.start.len().max(self.stop.len()) && !self.tail.is_empty() {
            self.tail.remove(0);
        }
        self.tail.push(byte);
        if self.gather.is_between() {
            self.outside(at, found);
        } else {
            self.inside(at, byte, found);
        }
    }

    fn cut(&mut self, at: u64, found: &mut dyn FnMut(Decoded)) {
        if self.gather.is_between() {
            // What might have become a marker belongs to no frame either.
            let undecided = self.tail.len().min(self.start.len().saturating_sub(1)) as u64;
            (at.saturating_sub(undecided)..at).for_each(|offset| self.noise.take(offset, found));
        }
        self.tail.clear();
        self.noise.end(found);
        self.gather.cut(at, found);
    }
}

/// The payload between its markers.
pub(super) fn encode(start: &[u8], stop: &[u8], payload: &[u8], out: &mut BytesMut) -> Result<(), EncodeError> {
    if payload.is_empty() && start == stop {
        return Err(EncodeError::Empty);
    }
    // The stop marker must not be seen early, not even with its own first bytes helping: `A` then `AA` ends too soon.
    let body = [payload, stop].concat();
    if !stop.is_empty() && body.windows(stop.len()).position(|window| window == stop) != Some(payload.len()) {
        return Err(EncodeError::StopInside);
    }
    out.extend_from_slice(start);
    out.extend_from_slice(&body);
    Ok(())
}
