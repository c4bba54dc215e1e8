//! Messages that are held for a plugin, as they wait to be written.

use std::collections::HashMap;

use crate::store::rows::HeldRow;

/// What becomes of one.
#[derive(Debug)]
pub(in crate::store) enum Hold {
    Put(HeldRow),
    /// It is on disk already, and lies apart from now on.
    Apart,
    Gone,
}

/// All changes, by the numbers of the rows.
#[derive(Debug, Default)]
pub(in crate::store) struct Holds(pub(in crate::store) HashMap<u64, Hold>);

impl Holds {
    pub(in crate::store) fn apart(&mut self, number: u64) {
        match self.0.get_mut(&number) {
            Some(Hold::Put(row)) => row.apart = true,
            Some(_) => {}
            None => drop(self.0.insert(number, Hold::Apart)),
        }
    }

    /// `known`: the disk may have it.
    pub(in crate::store) fn end(&mut self, number: u64, known: bool) {
        let put = matches!(self.0.remove(&number), Some(Hold::Put(_)));
        if known || !put {
            self.0.insert(number, Hold::Gone);
        }
    }

    /// Puts later changes over these.
    pub(in crate::store) fn absorb(&mut self, later: Self) {
        for (number, change) in later.0 {
            match change {
                Hold::Put(_) | Hold::Gone => drop(self.0.insert(number, change)),
                Hold::Apart => self.apart(number),
            }
        }
    }
}
