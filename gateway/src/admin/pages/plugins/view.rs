//! What is told of plugins: the same for the page and for the API.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::admin::Sources;
use crate::admin::pages::people::time;
use crate::admin::pages::shown::{bytes, count};
use crate::admin::problem::Problem;
use crate::component::{Field, Schema, fingerprint};
use crate::config::MASK;
use crate::plugin_host::{FailureKind, Report};
use crate::plugins::{Listed, desk};

/// All plugins of the settings that are in force.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct AllPlugins {
    /// In the order in which messages go through them.
    pub(super) plugins: Vec<OnePlugin>,
}

/// A plugin.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct OnePlugin {
    pub(super) name: String,
    /// What its author calls this version.
    pub(super) version: Option<String>,
    /// What its author says that it is for.
    pub(super) description: Option<String>,
    /// SHA-256 of its component in hex; none where that can't be read.
    pub(super) hash: Option<String>,
    /// Who signed it, in words.
    pub(super) signer: Option<String>,
    /// Whether that is somebody whose key is trusted.
    pub(super) signature_trusted: bool,
    /// Where the component is.
    pub(super) file: String,
    /// Whether messages are to go through it.
    pub(super) enabled: bool,
    /// `disabled`, `not-loaded`, `new`, `ready`, `failing` or `quarantined`.
    pub(super) state: &'static str,
    /// The same in a sentence.
    pub(super) state_in_words: String,
    /// Why what the settings name does not run, if it does not.
    pub(super) load_error: Option<String>,
    /// What went wrong last.
    pub(super) last_error: Option<String>,
    /// When, in RFC 3339.
    pub(super) last_error_at: Option<String>,
    /// Filters of the messages that it judges.
    pub(super) topics: Vec<String>,
    /// What it may use besides what every plugin may.
    pub(super) grants: Vec<&'static str>,
    /// Topics that it may publish to.
    pub(super) publish: Vec<String>,
    /// What becomes of a message that it fails at: `pass`, `drop` or `hold`.
    #[schema(value_type = String)]
    pub(super) on_failure: Value,
    /// Time between its ticks.
    pub(super) tick: Option<String>,
    /// What it may cost, as in `[plugin.limits]`.
    #[schema(value_type = Object)]
    pub(super) limits: Value,
    /// Its own settings; secrets are masked.
    #[schema(value_type = Object)]
    pub(super) settings: Value,
    /// What it has done since it was loaded; none while nothing of it runs.
    pub(super) counts: Option<Counts>,
    /// Messages that are held for it.
    pub(super) held: usize,
}

/// What a plugin has done.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Counts {
    /// Batches and ticks that it was called for.
    pub(super) calls: u64,
    /// Mean CPU time of a call in microseconds; none before the first.
    pub(super) micros_per_call: Option<f64>,
    /// Calls that failed: traps, limits that were reached, answers that can't be.
    pub(super) failed_calls: u64,
    /// The same by kind, without those that have not happened.
    pub(super) failures: BTreeMap<&'static str, u64>,
    /// Messages that came to it.
    pub(super) messages: u64,
    /// Went on as they were.
    pub(super) passed: u64,
    /// Went on changed.
    pub(super) modified: u64,
    /// Ended here with others instead.
    pub(super) replaced: u64,
    /// Ended here as it meant.
    pub(super) filtered: u64,
    /// It could not judge them.
    pub(super) rejected: u64,
    /// It failed at them.
    pub(super) failed: u64,
    /// Were not shown to it while it was left alone.
    pub(super) skipped: u64,
    /// Made by it.
    pub(super) made: u64,
    /// How often it was left alone.
    pub(super) quarantines: u64,
    /// Bytes of its memories.
    pub(super) memory_bytes: usize,
}

impl From<&Report> for Counts {
    fn from(report: &Report) -> Self {
        let of = |kind: &FailureKind| (kind.as_str(), report.failures_of(*kind));
        let failures: BTreeMap<_, _> = FailureKind::ALL.iter().map(of).filter(|(_, count)| *count > 0).collect();
        Self {
            calls: report.calls,
            micros_per_call: (report.calls > 0).then(|| report.cpu.as_secs_f64() * 1e6 / report.calls as f64),
            failed_calls: failures.values().sum(),
            failures,
            messages: report.messages,
            passed: report.passed,
            modified: report.modified,
            replaced: report.replaced,
            filtered: report.filtered.values().sum(),
            rejected: report.rejected,
            failed: report.failed,
            skipped: report.skipped,
            made: report.made,
            quarantines: report.quarantines,
            memory_bytes: report.memory,
        }
    }
}

/// Gathers all of them.
pub(super) fn gather(sources: &Sources) -> AllPlugins {
    AllPlugins { plugins: sources.plugins.listed().iter().map(|listed| one(sources, listed)).collect() }
}

/// The one with this name.
pub(super) fn find(sources: &Sources, name: &str) -> Option<(OnePlugin, Listed)> {
    let listed = sources.plugins.listed().into_iter().find(|listed| listed.settings.name == name)?;
    Some((one(sources, &listed), listed))
}

fn one(sources: &Sources, listed: &Listed) -> OnePlugin {
    let Listed { settings, about, shown } = listed;
    let report = shown.as_ref().and_then(|shown| shown.status.as_ref()).map(|status| status.report());
    let load_error = shown.as_ref().and_then(|shown| shown.load_error.clone());
    let state = match (shown, &report) {
        (None, _) => "disabled",
        (Some(_), None) => "not-loaded",
        (Some(_), Some(report)) => report.health.as_str(),
    };
    let last_error = report.as_ref().and_then(|report| report.last_error.clone());
    let manifest = about.manifest.as_ref();
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let held = sources.plugins.held(&settings.name);
    let on_failure = serde_json::to_value(settings.on_failure).unwrap_or_default();
    OnePlugin {
        name: settings.name.clone(),
        version: manifest.and_then(|manifest| text(&manifest.version)),
        description: manifest.and_then(|manifest| text(&manifest.description)),
        hash: about.hash.clone(),
        signer: about.signer.clone(),
        signature_trusted: about.trusted,
        file: settings.file.display().to_string(),
        enabled: settings.enabled,
        state,
        state_in_words: in_words(state, load_error.is_some(), on_failure.as_str().unwrap_or_default()),
        load_error,
        last_error_at: last_error.as_ref().and_then(|(_, at)| time(Some(*at))),
        last_error: last_error.map(|(text, _)| text),
        topics: settings.topics.iter().map(|filter| filter.as_str().to_owned()).collect(),
        grants: settings.grants.iter().map(|grant| grant.as_str()).collect(),
        publish: settings.publish.iter().map(|filter| filter.as_str().to_owned()).collect(),
        on_failure,
        tick: settings.tick.map(|tick| humantime::format_duration(tick).to_string()),
        limits: serde_json::to_value(&settings.limits).unwrap_or_default(),
        settings: schema(listed).masked(&settings.settings, MASK),
        counts: report.as_ref().map(Counts::from),
        held: held.waiting + held.apart,
    }
}

/// What its settings may be. Where no manifest says that, whatever they are may be a secret.
fn schema(listed: &Listed) -> Cow<'_, Schema> {
    match &listed.about.manifest {
        Some(manifest) => Cow::Borrowed(&manifest.settings),
        None if listed.settings.settings == serde_json::json!({}) => Cow::Owned(Schema::new(Value::Bool(true))),
        None => Cow::Owned(Schema::new(serde_json::json!({ "writeOnly": true }))),
    }
}

/// The fields of the form for its settings.
pub(super) fn fields(listed: &Listed) -> Vec<Field> {
    schema(listed).form(&listed.settings.settings, MASK)
}

/// What the settings are known by that whoever fills the form has seen. Of secrets it says nothing: those stay unless they are
/// written.
pub(super) fn stamp(listed: &Listed) -> String {
    fingerprint(schema(listed).masked(&listed.settings.settings, MASK).to_string().as_bytes())
}

fn in_words(state: &str, load_error: bool, on_failure: &str) -> String {
    let meanwhile = match on_failure {
        "drop" => "its messages are dropped",
        "hold" => "its messages are held",
        _ => "its messages go on as they came",
    };
    match state {
        "disabled" => "messages go past it".to_owned(),
        "not-loaded" => format!("it could not be loaded; {meanwhile}"),
        _ if load_error => {
            "another version or other settings could not be loaded; the version before goes on".to_owned()
        }
        "new" => "it is loaded, and nothing has come to it yet".to_owned(),
        "ready" => "it judges messages".to_owned(),
        "failing" => format!("its last start failed, and it is tried again; {meanwhile}"),
        "quarantined" => format!("it failed too often and is left alone for a while; {meanwhile}"),
        other => other.to_owned(),
    }
}

impl OnePlugin {
    /// The class of its state.
    pub(super) fn class(&self) -> &'static str {
        match self.state {
            "disabled" => "",
            _ if self.load_error.is_some() => "bad",
            "ready" | "new" => "good",
            _ => "bad",
        }
    }

    /// As much of the hash as tells versions apart.
    pub(super) fn short_hash(&self) -> &str {
        self.hash.as_deref().and_then(|hash| hash.get(..12)).unwrap_or("unknown")
    }

    pub(super) fn grants_in_words(&self) -> String {
        if self.grants.is_empty() { "nothing".to_owned() } else { self.grants.join(", ") }
    }

    /// The two that matter most.
    pub(super) fn limits_in_words(&self) -> String {
        let memory = bytes(self.limits["memory"].as_u64().unwrap_or(0));
        let fuel = self.limits["fuel"].as_u64().map(|fuel| format!(", {} of fuel", count(fuel))).unwrap_or_default();
        format!("{memory}, {} a call{fuel}", self.limits["cpu"].as_str().unwrap_or_default())
    }

    /// Figures with their names, for both pages.
    pub(super) fn figures(&self) -> Vec<(&'static str, String)> {
        let Some(counts) = &self.counts else { return Vec::new() };
        vec![
            ("Calls", count(counts.calls)),
            ("CPU a call", counts.micros_per_call.map_or_else(|| "–".to_owned(), micros)),
            ("Calls that failed", count(counts.failed_calls)),
            ("Messages", count(counts.messages)),
            ("Memory", bytes(counts.memory_bytes as u64)),
        ]
    }

    /// What has become of its messages.
    pub(super) fn outcomes(&self) -> Vec<(String, String)> {
        let Some(counts) = &self.counts else { return Vec::new() };
        let fates = [
            ("passed", counts.passed),
            ("went on changed", counts.modified),
            ("replaced by others", counts.replaced),
            ("filtered", counts.filtered),
            ("rejected", counts.rejected),
            ("failed at", counts.failed),
            ("not shown to it", counts.skipped),
            ("made by it", counts.made),
            ("held for it", self.held as u64),
        ];
        let kinds = counts.failures.iter().map(|(kind, count)| (format!("calls that failed: {kind}"), *count));
        let all = fates.into_iter().map(|(name, count)| (name.to_owned(), count)).chain(kinds);
        all.map(|(name, value)| (name, count(value))).collect()
    }
}

/// A time in microseconds, or in what is worth reading.
pub(super) fn micros(micros: f64) -> String {
    match micros {
        micros if micros < 9.95 => format!("{micros:.1} µs"),
        micros if micros < 9_950.0 => format!("{micros:.0} µs"),
        micros => format!("{:.0} ms", micros / 1000.0),
    }
}

/// Whether a version before is kept, for the page. Looks at the disk.
pub(super) fn keeps_previous(sources: &Sources, name: &str) -> bool {
    sources.changes.get().is_some_and(|changes| desk::keeps_previous(changes, name))
}

/// Has something made in a thread that may take its time: schemas, which decide what is masked, are as long as their authors
/// made them.
pub(super) async fn aside<T: Send + 'static>(
    sources: &Arc<Sources>,
    make: impl FnOnce(&Sources) -> T + Send + 'static,
) -> Result<T, Problem> {
    let owned = Arc::clone(sources);
    tokio::task::spawn_blocking(move || make(&owned)).await.map_err(|panic| Problem::failed(panic.to_string()))
}
