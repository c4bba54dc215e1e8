//! Decisions become verdicts: the pipeline's words for them, stamped and counted.

use std::sync::Arc;

use super::Plugin;
use crate::config::OnFailure;
use crate::message::{Message, Origin};
use crate::pipeline::{DropReason, Held, Judged, Verdict};
use crate::plugin_host::answer::{Outcome, Outgoing};
use crate::plugin_host::instance::Answer;
use crate::plugin_host::status::Report;

impl Plugin {
    /// Turns the decisions on a batch into verdicts.
    pub(super) fn decided(&self, batch: &[Message], answer: Answer, judged: &mut Judged) {
        let mut decisions = answer.decisions.into_iter().peekable();
        self.own.status.edit(|report| {
            self.called(report);
            for (index, message) in batch.iter().enumerate() {
                let outcome = decisions.next_if(|(decided, _)| *decided == index).map(|(_, outcome)| outcome);
                judged.verdicts.push(self.verdict(message, outcome, report));
            }
        });
        self.add(answer.emitted, &mut judged.added);
    }

    fn verdict(&self, message: &Message, outcome: Option<Outcome>, report: &mut Report) -> Verdict {
        match outcome {
            None => {
                report.passed += 1;
                Verdict::Pass
            }
            Some(Outcome::Filter(why)) => {
                report.filter(&why);
                Verdict::Filter
            }
            Some(Outcome::Modify(change)) => {
                report.modified += 1;
                Verdict::Modify(change.apply(message))
            }
            Some(Outcome::Replace(drafts)) => {
                report.replaced += 1;
                report.made += drafts.len() as u64;
                Verdict::Replace(drafts.into_iter().map(|draft| self.stamped(draft)).collect())
            }
            Some(Outcome::Reject(why)) => {
                report.reject(why);
                self.policy(DropReason::PluginRejected, Held::Apart)
            }
        }
    }

    /// Messages besides, behind the batch.
    pub(super) fn add(&self, emitted: Vec<Outgoing>, added: &mut Vec<Message>) {
        if !emitted.is_empty() {
            self.own.status.edit(|report| report.made += emitted.len() as u64);
            added.extend(emitted.into_iter().map(|draft| self.stamped(draft)));
        }
    }

    fn stamped(&self, draft: Outgoing) -> Message {
        draft.stamped(&self.stamp, Origin::Plugin(Arc::clone(&self.own.terms.name)))
    }

    /// What becomes of a message that it fails at or rejects, or can't be asked about.
    pub(super) fn policy(&self, reason: DropReason, held: Held) -> Verdict {
        match self.own.terms.on_failure {
            OnFailure::Pass => Verdict::Pass,
            OnFailure::Drop => Verdict::Drop(reason),
            OnFailure::Hold => Verdict::Hold(held),
        }
    }
}
