//! Loads compiled components: what all plugins share, and what is asked of a component before it may run.

use std::sync::Arc;

use wasmtime::component::types::{Component as ComponentType, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, HasSelf, InstancePre, Linker};
use wasmtime::{Config, Engine, Precompiled};

use super::bindings::{MessageFilter, MessageFilterIndices};
use super::engine::{self, Code};
use super::failure::one_line;
use super::state::State;
use super::ticker::Ticker;
use crate::component::{PACKAGE, foreign, interface};

/// The interface that every plugin exports.
const FILTER: &str = "stile:filter/filter@1.0.0";
/// The interface that some export.
const TIMER: &str = "stile:filter/timer@1.0.0";

/// Why a component can't be a plugin.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The engine itself could not be made.
    #[error("the sandbox could not be started: {0}")]
    Engine(String),
    /// It is nothing that this version of Stile compiled, and is to be compiled anew.
    #[error("is no compiled plugin of this version of Stile: {0}")]
    NotCompiled(String),
    /// It imports what no plugin is given.
    #[error("{}", foreign(.0))]
    Foreign(String),
    /// It imports something of Stile's that this version does not have.
    #[error("needs something that this version of Stile does not have: {0}; install a newer Stile or an older plugin")]
    Import(String),
    /// It does not export what a filter has to.
    #[error("is no filter: {0}; it has to export `{FILTER}`")]
    Export(String),
}

/// What all plugins share: the engine, what they may import, and the beat of their budgets.
pub struct Sandbox {
    engine: Engine,
    linker: Linker<State>,
    pub(super) ticker: Ticker,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

fn cause(error: &wasmtime::Error) -> String {
    one_line(format!("{error:#}"), 512)
}

impl Sandbox {
    /// Makes one. It starts a thread, which is parked while no plugin runs and ends with the sandbox.
    ///
    /// # Errors
    /// [`LoadError::Engine`].
    pub fn new() -> Result<Arc<Self>, LoadError> {
        Self::of(Code::default())
    }

    /// Makes one for code of this kind; it loads no other.
    ///
    /// # Errors
    /// [`LoadError::Engine`].
    pub fn of(code: Code) -> Result<Arc<Self>, LoadError> {
        Self::with(&engine::config(false, code))
    }

    /// One whose engine has other settings than the daemon's: what it loads must have been compiled with the same.
    ///
    /// # Errors
    /// [`LoadError::Engine`].
    pub fn with(config: &Config) -> Result<Arc<Self>, LoadError> {
        let wrong = |error: wasmtime::Error| LoadError::Engine(cause(&error));
        let engine = Engine::new(config).map_err(wrong)?;
        let mut linker = Linker::new(&engine);
        MessageFilter::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state).map_err(wrong)?;
        let ticker = Ticker::start(engine.clone()).map_err(|error| LoadError::Engine(error.to_string()))?;
        Ok(Arc::new(Self { engine, linker, ticker }))
    }

    /// Loads what `stile` compiled. Compiled code runs as it is, so it must come from a place that nobody but the gateway
    /// can write.
    ///
    /// # Errors
    /// Any of [`LoadError`].
    pub fn load(self: &Arc<Self>, compiled: &[u8]) -> Result<Loaded, LoadError> {
        if Engine::detect_precompiled(compiled) != Some(Precompiled::Component) {
            return Err(LoadError::NotCompiled("it is something else".into()));
        }
        #[expect(unsafe_code, reason = "compiled code runs as it is; where it comes from is the caller's promise")]
        // SAFETY: the bytes are what this program compiled, kept where it alone can write; wasmtime compares its version
        // and its settings.
        let component = unsafe { Component::deserialize(&self.engine, compiled) };
        self.check(&component.map_err(|error| LoadError::NotCompiled(cause(&error)))?)
    }

    /// Asks of a component what can be asked before it runs.
    fn check(self: &Arc<Self>, component: &Component) -> Result<Loaded, LoadError> {
        let shape = component.component_type();
        let imports: Vec<String> = shape.imports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        if let Some(foreign) = imports.iter().find(|name| !name.starts_with(PACKAGE)) {
            return Err(LoadError::Foreign(foreign.clone()));
        }
        let pre = self.linker.instantiate_pre(component).map_err(|error| LoadError::Import(cause(&error)))?;
        if !exports_filter(&shape, &self.engine) {
            return Err(LoadError::Export("it exports no `filter`".into()));
        }
        let filter = MessageFilterIndices::new(&pre).map_err(|error| LoadError::Export(cause(&error)))?;
        let timer = component.get_export_index(None, TIMER);
        let tick = timer.and_then(|timer| component.get_export_index(Some(&timer), "tick"));
        let asks = imports.iter().any(|name| interface(name) == "context");
        Ok(Loaded { sandbox: Arc::clone(self), pre, filter, tick, imports, asks })
    }
}

fn exports_filter(shape: &ComponentType, engine: &Engine) -> bool {
    let mut exports = shape.exports(engine);
    exports.any(|(name, item)| {
        name.starts_with("stile:filter/filter@1.") && matches!(item.ty, ComponentItem::ComponentInstance(_))
    })
}

/// A component that can be a plugin. Instances of it are made quickly; a clone shares its code.
#[derive(Clone)]
pub struct Loaded {
    /// The one whose beat its budget goes by.
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) pre: InstancePre<State>,
    pub(super) filter: MessageFilterIndices,
    pub(super) tick: Option<ComponentExportIndex>,
    imports: Vec<String>,
    /// Whether it imports `context`: only then a batch is remembered for it.
    pub(super) asks: bool,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("imports", &self.imports).finish_non_exhaustive()
    }
}

impl Loaded {
    /// The names of the interfaces that it imports, such as `kv`. What it imports it may call; what is not granted traps
    /// then.
    pub fn imports(&self) -> impl Iterator<Item = &str> {
        self.imports.iter().map(|name| interface(name)).filter(|name| *name != "types")
    }

    /// Whether it acts as time goes by.
    pub fn ticks(&self) -> bool {
        self.tick.is_some()
    }
}
