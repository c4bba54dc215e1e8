//! The component's side of the contract: the bindings, and what turns a filter into the functions that the gateway calls.
//! Hides the batch and the sparse answer. `convert.rs` moves values between the bindings' types and the crate's own.

mod convert;

use std::cell::RefCell;

use crate::Filter;
use crate::host::Host;
use crate::message::Message;
use crate::time::Time;
use crate::verdict::Verdict;

pub use bindings::stile::filter::{clock, context, data, emit, kv, log, metrics, random, types};

/// What every filter exports and imports.
#[allow(missing_docs, clippy::all, unreachable_pub, unused_qualifications, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "stile:filter/message-filter",
        pub_export_macro: true,
        export_macro_name: "export_filter",
        default_bindings_module: "stile_filter::guest::bindings",
        generate_unused_types: true,
    });
}

/// What a timed filter exports besides.
#[allow(missing_docs, clippy::all, unreachable_pub, unused_qualifications, reason = "generated")]
pub mod timed {
    wit_bindgen::generate!({
        path: "wit",
        inline: "package stile:sdk; world timed { export stile:filter/timer@1.0.0; }",
        world: "stile:sdk/timed",
        with: { "stile:filter/types@1.0.0": crate::guest::types },
        pub_export_macro: true,
        export_macro_name: "export_timer",
        default_bindings_module: "stile_filter::guest::timed",
        type_section_suffix: "timed",
    });
}

/// The one filter of a component. The functions that a component exports are free ones, so it has to stand in a static,
/// which `export!` makes.
#[derive(Debug)]
pub struct Slot<F>(RefCell<Option<(F, Host)>>);

impl<F: Filter> Slot<F> {
    /// One with nothing in it.
    pub const fn empty() -> Self {
        Self(RefCell::new(None))
    }

    /// Reads the settings and makes the filter.
    pub fn configure(&self, setup: &types::Setup) -> Result<(), types::Error> {
        let settings = F::settings(&setup.config)?;
        let host = Host::of_the_gateway();
        let filter = F::new(settings, &host)?;
        *self.0.borrow_mut() = Some((filter, host));
        Ok(())
    }

    /// Judges a batch: names those that do not simply pass.
    pub fn process(&self, messages: Vec<types::Message>) -> Result<Vec<types::Decision>, types::Error> {
        let mut slot = self.0.borrow_mut();
        let (filter, host) = slot.as_mut().ok_or_else(unconfigured)?;
        let mut decisions = Vec::new();
        for (index, message) in (0..).zip(messages) {
            let message = Message::from_batch(message, index);
            if let Some(action) = action(filter.process(&message, host)) {
                decisions.push(types::Decision { index, action });
            }
        }
        Ok(decisions)
    }

    /// Lets it act by itself.
    pub fn tick(&self, now: u64) -> Result<Vec<types::Draft>, types::Error> {
        let mut slot = self.0.borrow_mut();
        let (filter, host) = slot.as_mut().ok_or_else(unconfigured)?;
        Ok(filter.tick(Time(now), host)?.into_iter().map(Into::into).collect())
    }
}

fn unconfigured() -> types::Error {
    types::Error::Broken("called before `configure`".to_owned())
}

fn action(verdict: Verdict) -> Option<types::Action> {
    Some(match verdict {
        Verdict::Pass => return None,
        Verdict::Drop(why) => types::Action::Drop(why.into_owned()),
        Verdict::Modify(patch) => types::Action::Modify(patch.into()),
        Verdict::Replace(drafts) => types::Action::Replace(drafts.into_iter().map(Into::into).collect()),
        Verdict::Reject(why) => types::Action::Reject(why.into_owned()),
    })
}
