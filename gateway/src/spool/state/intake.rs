//! What is taken and what is refused.

use std::time::Instant;

use bytes::Bytes;

use super::State;
use crate::message::Receipt;
use crate::spool::frame::weight;
use crate::spool::lane::Lane;
use crate::spool::settings::{Durability, Policy, Priority, RECORD_MAX};
use crate::spool::{NotTaken, Refused};

/// What may wait for the disk, in bytes; an eighth of it is for alarms alone.
const UNWRITTEN_MAX: u64 = 4 * 1024 * 1024;

impl State {
    pub(in crate::spool) fn accept(
        &mut self,
        record: Bytes,
        priority: Priority,
        receipt: Option<Receipt>,
        now: Instant,
    ) -> Result<(), NotTaken> {
        if let Some(why) = self.objection(&record, priority) {
            let wait = self.settings.policy == Policy::Block && !matches!(why, Refused::Size | Refused::Closed);
            if !wait {
                self.count_refused(why);
            }
            return Err(NotTaken { why, wait, receipt });
        }
        let now = self.time.of(now);
        self.lanes[priority as usize].append(record, now, receipt);
        self.counted.appended += 1;
        self.more = self.settings.durability == Durability::OnOutage || self.failing.is_some();
        self.plan(priority, now);
        Ok(())
    }

    fn objection(&self, record: &Bytes, priority: Priority) -> Option<Refused> {
        let weight = weight(record.len());
        let share = |all: u64| if priority == Priority::Alarm { all } else { all - all / 8 };
        let unwritten: u64 = self.lanes.iter().map(Lane::unwritten).sum();
        if self.closed {
            Some(Refused::Closed)
        } else if record.is_empty() || record.len() > RECORD_MAX || weight > self.settings.room(priority) / 4 {
            Some(Refused::Size)
        } else if unwritten > 0 && unwritten + weight > share(UNWRITTEN_MAX) {
            Some(if self.failing.is_some() { Refused::Disk } else { Refused::Busy })
        } else if self.settings.policy != Policy::DropOldest
            && self.counted.disk_bytes + unwritten + weight > self.settings.room(priority)
        {
            Some(Refused::Full)
        } else {
            None
        }
    }

    fn count_refused(&mut self, why: Refused) {
        let dropped = &mut self.counted.dropped;
        match why {
            Refused::Full => dropped.full += 1,
            Refused::Busy => dropped.busy += 1,
            Refused::Disk => dropped.disk += 1,
            Refused::Size => dropped.size += 1,
            // The process ends: nothing is read any more.
            Refused::Closed => {}
        }
    }
}
