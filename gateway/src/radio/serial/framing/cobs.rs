//! `cobs`: consistent overhead byte stuffing (Cheshire and Baker, IEEE/ACM Transactions on Networking 7(2), 1999),
//! each frame ended by a zero byte.
//!
//! A frame is a row of blocks: a code byte, then code - 1 bytes without a zero. Between two blocks stands a zero of the
//! payload, unless the first has the code 0xFF. Repeated zeros are passed over. Back in step after the next zero.

use bytes::{BufMut, BytesMut};

use super::bytewise::Machine;
use super::gather::Gather;
use super::{Decoded, EncodeError, Reject};

/// Data bytes of a block with the code 0xFF.
const FULL_BLOCK: usize = 254;

/// The machine of `cobs`.
pub(super) struct Cobs {
    /// Bytes of the present block still to come.
    left: u8,
    /// A zero stands between this block and the next.
    zero_due: bool,
    gather: Gather,
}

impl Cobs {
    pub(super) fn new(max: usize) -> Self {
        Self { left: 0, zero_due: false, gather: Gather::new(max) }
    }

    fn code(&mut self, at: u64, code: u8, found: &mut dyn FnMut(Decoded)) {
        if self.gather.is_between() {
            self.gather.begin(at);
        }
        if self.zero_due {
            self.gather.push(at, 0, found);
        }
        self.left = code.saturating_sub(1);
        self.zero_due = code != u8::MAX;
    }

    fn end(&mut self, at: u64, found: &mut dyn FnMut(Decoded)) {
        if self.left > 0 {
            self.gather.reject(at.saturating_add(1), Reject::Malformed, found);
        }
        self.gather.finish(0, found);
        self.left = 0;
        self.zero_due = false;
    }
}

impl Machine for Cobs {
    fn byte(&mut self, at: u64, byte: u8, found: &mut dyn FnMut(Decoded)) {
        if byte == 0 {
            self.end(at, found);
        } else if self.left > 0 {
            self.left -= 1;
            self.gather.push(at, byte, found);
        } else {
            self.code(at, byte, found);
        }
    }

    fn cut(&mut self, at: u64, found: &mut dyn FnMut(Decoded)) {
        self.left = 0;
        self.zero_due = false;
        self.gather.cut(at, found);
    }
}

/// The stuffed payload and a zero; an empty payload is one empty block.
pub(super) fn encode(payload: &[u8], out: &mut BytesMut) -> Result<(), EncodeError> {
    let mut groups = payload.split(|&byte| byte == 0).peekable();
    while let Some(group) = groups.next() {
        let mut blocks = group.chunks(FULL_BLOCK).peekable();
        if group.is_empty() {
            put_block(&[], out);
        }
        while let Some(block) = blocks.next() {
            put_block(block, out);
            // A full block says nothing about a zero behind it: an empty one must, unless the payload ends here.
            if block.len() == FULL_BLOCK && blocks.peek().is_none() && groups.peek().is_some() {
                put_block(&[], out);
            }
        }
    }
    out.put_u8(0);
    Ok(())
}

fn put_block(block: &[u8], out: &mut BytesMut) {
    out.put_u8(u8::try_from(block.len() + 1).expect("a block has at most 254 bytes"));
    out.extend_from_slice(block);
}
