//! One running instance of a plugin, and its calls. It is thrown away when a call fails.

use std::sync::Arc;

use wasmtime::component::TypedFunc;
use wasmtime::{Store, UpdateDeadline};

use super::answer::{Checks, Outcome, Outgoing};
use super::bindings::MessageFilter;
use super::bindings::exports::stile::filter::filter::Setup;
use super::bindings::stile::filter::types::{Draft, Error};
use super::budget::thread_time;
use super::failure::{Failure, FailureKind, Stop};
use super::sandbox::{Loaded, Sandbox};
use super::state::{Own, State};
use super::view::view;
use crate::message::Message;

/// The most messages that one batch has.
pub(super) const BATCH: usize = 64;
/// The most bytes that one call may give back or hand to an import, as they arrive on this side. So many may all messages
/// have that it emits.
pub(super) const ANSWER_BYTES: usize = 8 << 20;
/// Making an instance and its `configure` may take so many times a call's CPU time and fuel.
const START_TIMES: u32 = 20;

type Tick = TypedFunc<(u64,), (Result<Vec<Draft>, Error>,)>;

/// What a batch came to.
#[derive(Debug)]
pub(super) struct Answer {
    /// By rising index; messages that are not named pass.
    pub(super) decisions: Vec<(usize, Outcome)>,
    pub(super) emitted: Vec<Outgoing>,
}

pub(super) struct Instance {
    store: Store<State>,
    filter: MessageFilter,
    tick: Option<Tick>,
    asks: bool,
}

impl Instance {
    /// Makes an instance and configures it. Whatever it fails of, the failure is one of kind [`FailureKind::Start`].
    pub(super) fn start(loaded: &Loaded, own: &Arc<Own>) -> Result<(Self, Vec<Outgoing>), Failure> {
        Self::make(loaded, own).map_err(at_start)
    }

    /// Makes an instance and configures it. A failure is of the kind that it would have in any other call.
    pub(super) fn make(loaded: &Loaded, own: &Arc<Own>) -> Result<(Self, Vec<Outgoing>), Failure> {
        let mut instance = Self::configured(loaded, own)?;
        let emitted = instance.store.data_mut().commit();
        Ok((instance, emitted))
    }

    /// Sees whether it can be started. Nothing of it comes true.
    pub(super) fn trial(loaded: &Loaded, own: &Arc<Own>) -> Result<(), Failure> {
        Self::configured(loaded, own).map(drop).map_err(at_start)
    }

    /// What its `configure` changed is still kept aside.
    fn configured(loaded: &Loaded, own: &Arc<Own>) -> Result<Self, Failure> {
        let mut store = Store::new(loaded.pre.engine(), State::new(Arc::clone(own)));
        store.limiter(|state| &mut state.room);
        store.set_hostcall_fuel(ANSWER_BYTES);
        store.epoch_deadline_callback(|mut store| {
            let budget = &mut store.data_mut().budget;
            if budget.beat(thread_time()) {
                return Err(Stop::CpuTime(budget.most()).into());
            }
            Ok(UpdateDeadline::Continue(1))
        });
        begin(&mut store, START_TIMES);
        let _running = loaded.sandbox.ticker.run();
        Self::link(store, loaded).and_then(|mut instance| instance.configure().map(|()| instance))
    }

    fn link(mut store: Store<State>, loaded: &Loaded) -> Result<Self, Failure> {
        let mut parts = || {
            let instance = loaded.pre.instantiate(&mut store)?;
            let filter = loaded.filter.load(&mut store, &instance)?;
            let tick = loaded.tick.as_ref().map(|index| instance.get_typed_func(&mut store, index)).transpose()?;
            Ok((filter, tick))
        };
        match parts() {
            Ok((filter, tick)) => Ok(Self { store, filter, tick, asks: loaded.asks }),
            Err(error) => Err(of(&store, &error)),
        }
    }

    fn configure(&mut self) -> Result<(), Failure> {
        let own = Arc::clone(&self.store.data().own);
        let grants: Vec<_> = own.terms.grants.iter().map(|grant| grant.as_str()).collect();
        let (name, config) = (&*own.terms.name, &*own.terms.settings);
        let setup = Setup { name, config, max_batch: BATCH as u32, grants: &grants };
        match self.filter.stile_filter_filter().call_configure(&mut self.store, setup) {
            Err(error) => Err(of(&self.store, &error)),
            Ok(answer) => answer.map_err(by_itself),
        }
    }

    /// Judges a batch.
    pub(super) fn process(&mut self, sandbox: &Sandbox, batch: &[Message]) -> Result<Answer, Failure> {
        begin(&mut self.store, 1);
        if self.asks {
            self.store.data_mut().show(batch);
        }
        let seen: Vec<_> = batch.iter().map(view).collect();
        let running = sandbox.ticker.run();
        let answer = self.filter.stile_filter_filter().call_process(&mut self.store, &seen);
        drop(running);
        let check = |checks: &mut Checks<'_>, decisions| checks.decisions(decisions, batch.len());
        self.end(answer, check).map(|(decisions, emitted)| Answer { decisions, emitted })
    }

    /// Lets it act as time goes by: what it makes, and what it emits besides.
    pub(super) fn tick(&mut self, sandbox: &Sandbox) -> Result<(Vec<Outgoing>, Vec<Outgoing>), Failure> {
        let Some(tick) = self.tick else { return Ok(Default::default()) };
        begin(&mut self.store, 1);
        let running = sandbox.ticker.run();
        let now = self.store.data().own.clock.now();
        let answer = tick.call(&mut self.store, (now,)).map(|(answer,)| answer);
        drop(running);
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "its lifetime is not general enough for the method"
        )]
        self.end(answer, |checks, drafts| checks.drafts(drafts))
    }

    /// Bytes of its memories.
    pub(super) fn memory(&self) -> usize {
        self.store.data().room.bytes()
    }

    /// Checks what a call gave. What it changed comes true only when all of it is right.
    fn end<T, U>(
        &mut self,
        answer: wasmtime::Result<Result<T, Error>>,
        check: impl FnOnce(&mut Checks<'_>, T) -> Result<U, String>,
    ) -> Result<(U, Vec<Outgoing>), Failure> {
        let checked = match answer {
            Err(error) => Err(of(&self.store, &error)),
            Ok(Err(said)) => Err(by_itself(said)),
            Ok(Ok(given)) => {
                let state = self.store.data();
                let mut checks = Checks::new(&state.own.terms, state.emitted.len());
                check(&mut checks, given).map_err(|text| Failure::new(FailureKind::Output, text))
            }
        };
        let state = self.store.data_mut();
        match checked {
            Ok(good) => Ok((good, state.commit())),
            Err(failure) => {
                state.rollback();
                Err(failure)
            }
        }
    }
}

/// A call begins, which may cost so many times what a usual one may.
fn begin(store: &mut Store<State>, times: u32) {
    let limits = &store.data().own.terms.limits;
    let (cpu, fuel) = (limits.cpu.saturating_mul(times), limits.fuel);
    if let Some(fuel) = fuel {
        store.set_fuel(fuel.saturating_mul(times.into())).expect("a plugin with a limit of fuel has metered code");
    }
    store.set_epoch_deadline(1);
    store.data_mut().begin(cpu);
}

fn at_start(failure: Failure) -> Failure {
    Failure::new(FailureKind::Start, failure.text)
}

fn of(store: &Store<State>, error: &wasmtime::Error) -> Failure {
    Failure::of(error, store.data().room.refused())
}

/// What the plugin says itself.
fn by_itself(said: Error) -> Failure {
    match said {
        Error::Invalid(text) => Failure::new(FailureKind::Invalid, text),
        Error::Unavailable(text) => Failure::new(FailureKind::Unavailable, text),
        Error::Broken(text) => Failure::new(FailureKind::Broken, text),
    }
}
