//! The hub and the registry without sockets: what sockets can't provoke.

mod hub;
mod registry;
mod restore;
mod short_way;
mod stages;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::access::{Access, Who};
use super::accounts::{Accounts, MoreUsers};
use super::budget::{Budget, Purse};
use super::outbox::Outbox;
use crate::message::{Message, Origin, Topic};
use crate::pipeline::{Delivered, Intake, Pipeline};
use crate::store::Store;

const LONG: Duration = Duration::from_secs(30);

fn pipeline() -> (Arc<Pipeline>, Intake) {
    Pipeline::new(1)
}

fn budget() -> Arc<Budget> {
    Budget::new(1 << 30, Arc::default())
}

fn purse() -> Arc<Purse> {
    budget().purse()
}

fn outbox(client: &str) -> Arc<Outbox> {
    owned(Outbox::new(client.into(), 100_000, 1 << 30, purse()))
}

/// Gives a queue to somebody who may do everything.
fn owned(outbox: Outbox) -> Arc<Outbox> {
    outbox.owner.set(access(&outbox.client)).unwrap();
    Arc::new(outbox)
}

fn access(client: &str) -> Arc<Access> {
    let accounts = Accounts::new(Arc::default(), MoreUsers::None, &Arc::default());
    Arc::new(Access::new(Who::Anonymous, client.into(), Arc::new(accounts)))
}

fn message(pipeline: &Pipeline, topic: &str, payload: impl Into<bytes::Bytes>) -> Message {
    pipeline.message(pipeline.clock().now(), Origin::Gateway, Topic::new(topic).unwrap(), payload)
}

/// A store in a folder that goes with it.
fn store() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Store::open(folder.path()).unwrap().0, folder)
}
