//! Sending a frame by hand. It goes the one path, as a client's publish would, plugins included, and what is told of it on
//! the way and by the radio is what became of it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::{find, one};
use crate::admin::Sources;
use crate::admin::audit::Did;
use crate::admin::pages::{Frame, Input};
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::admin::trust::Caller;
use crate::message::{MessageId, Origin};
use crate::people::Role;
use crate::pipeline::{Hop, Spot};
use crate::radio::{LoraFields, Order, Outcome, Shown, Wish, bytes_of_hex};

/// The role that it takes.
pub(super) const NEEDS: Role = Role::Operator;

/// How long it is waited for what becomes of a frame.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn routes(routes: Routes) -> Routes {
    let needs = Access::Role(NEEDS);
    routes.form("/radios/{name}/send", needs, send_form).post("/api/v1/radios/{name}/send", needs, post_frame)
}

/// A frame to be sent: bytes for a port; for a LoRa gateway either the frame with its channel, or a downlink.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = FrameToSend)]
pub(in crate::admin) struct Given {
    /// What to send, before framing: as text, or in hex.
    #[serde(default)]
    payload: String,
    /// `text`, which is what it is unless this says otherwise, or `hex`. LoRa frames are always in hex.
    #[serde(default)]
    encoding: Encoding,
    /// The EUI of the LoRa gateway.
    gateway: Option<String>,
    /// In Hz.
    frequency: Option<u32>,
    /// 5 to 12.
    spreading_factor: Option<u32>,
    /// In Hz; 125000 unless this says otherwise.
    bandwidth: Option<u32>,
    /// EIRP in dBm; 14 unless this says otherwise.
    power: Option<i32>,
    /// A `gw.DownlinkFrame` of ChirpStack, in the place of all others but the gateway: an object, or a text that holds one.
    #[schema(value_type = Option<Object>)]
    downlink: Option<Value>,
}

/// How bytes are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Text,
    Hex,
}

/// What became of a frame.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Sent {
    /// The id of the message that asked for it.
    id: String,
    /// Whether it was sent.
    sent: bool,
    /// `sent`; `answered`; `refused` by the radio; `filtered`, `dropped`, `held` or `replaced` by a plugin; `unknown` when
    /// nothing was told within five seconds.
    result: &'static str,
    detail: String,
}

impl Sent {
    /// In words, for the person and for the audit log.
    fn words(&self) -> String {
        let word = match self.result {
            "refused" => "not sent",
            "unknown" => "not known yet",
            word => word,
        };
        if self.detail.is_empty() { word.to_owned() } else { format!("{word} ({})", self.detail) }
    }
}

/// What stands in the forms.
pub(super) struct Filled {
    pub(super) payload: String,
    pub(super) hex: bool,
    pub(super) gateway: String,
    pub(super) frequency: String,
    pub(super) spreading_factor: String,
    pub(super) power: String,
    pub(super) downlink: String,
}

impl Filled {
    /// Before anybody has filled in anything: the channel on which a frame was heard last.
    pub(super) fn usual(radio: &Shown) -> Self {
        let air = radio.stats.seen.frames().first().and_then(|frame| frame.air);
        Self {
            payload: String::new(),
            hex: false,
            gateway: String::new(),
            frequency: air.map_or(868_100_000, |air| air.frequency).to_string(),
            spreading_factor: air.and_then(|air| air.factor).unwrap_or(7).to_string(),
            power: "14".to_owned(),
            downlink: String::new(),
        }
    }

    fn of(radio: &Shown, given: &Given) -> Self {
        let usual = Self::usual(radio);
        let number = |number: Option<u32>, usual: String| number.map_or(usual, |number| number.to_string());
        Self {
            payload: given.payload.clone(),
            hex: given.encoding == Encoding::Hex,
            gateway: given.gateway.clone().unwrap_or_default(),
            frequency: number(given.frequency, usual.frequency),
            spreading_factor: number(given.spreading_factor, usual.spreading_factor),
            power: given.power.map_or(usual.power, |power| power.to_string()),
            downlink: given.downlink.as_ref().map(written).unwrap_or_default(),
        }
    }
}

fn written(downlink: &Value) -> String {
    downlink.as_str().map_or_else(|| downlink.to_string(), str::to_owned)
}

/// What is wanted of this radio.
fn wish(radio: &Shown, given: Given) -> Result<Wish, Problem> {
    let hex = || {
        bytes_of_hex(&given.payload)
            .map(Bytes::from)
            .ok_or_else(|| Problem::bad("the payload is not in hex: write two digits a byte, such as `01 ab`"))
    };
    if !radio.has_gateways() {
        let payload = if given.encoding == Encoding::Hex { hex()? } else { given.payload.into() };
        return Ok(Wish::Bytes(payload));
    }
    if let Some(json) = given.downlink.as_ref().map(written).filter(|json| !json.trim().is_empty()) {
        return Ok(Wish::Downlink { gateway: given.gateway, json });
    }
    let missing = |what: &str| Problem::bad(format!("`{what}` is missing, and there is no `downlink`"));
    Ok(Wish::Lora(LoraFields {
        phy: hex()?,
        gateway: given.gateway.ok_or_else(|| missing("gateway"))?,
        frequency: given.frequency.ok_or_else(|| missing("frequency"))?,
        factor: given.spreading_factor.ok_or_else(|| missing("spreading_factor"))?,
        bandwidth: given.bandwidth.unwrap_or(125_000),
        power: given.power.unwrap_or(14),
    }))
}

/// Sends a frame, and waits for what becomes of it.
async fn send(sources: &Sources, radio: &Shown, wish: Wish) -> Result<Sent, Problem> {
    let order = radio.order(wish).map_err(Problem::bad)?;
    // Before it is sent, or what is told at once would be missed.
    let hops = sources.pipeline.hops();
    let clock = sources.pipeline.clock();
    let message = sources.pipeline.message(clock.now(), Origin::Gateway, order.topic.clone(), order.payload.clone());
    let id = message.id;
    let stopping = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping");
    let deadline = Instant::now() + PATIENCE;
    let busy = |_| {
        let detail = "the frame was not taken within 5 s: a plugin before the radio has too much to do; try again";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    };
    timeout_at(deadline, sources.pipeline.ingest(message)).await.map_err(busy)?.map_err(stopping)?;
    let outcome = timeout_at(deadline, told(hops, id, &order)).await.ok().flatten();
    let Outcome { sent, result, detail } = outcome.unwrap_or_else(|| Outcome {
        sent: false,
        result: "unknown",
        detail: "nothing was told within 5 s; it may still be sent".to_owned(),
    });
    Ok(Sent { id: id.to_string(), sent, result, detail })
}

/// Waits for what is told of an order. `None` when nothing can be told any more.
async fn told(mut hops: Receiver<Arc<Hop>>, id: MessageId, order: &Order) -> Option<Outcome> {
    loop {
        let hop = match hops.recv().await {
            Ok(hop) => hop,
            // What was missed may have been it; then the time runs out.
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return None,
        };
        let said = match &hop.spot {
            Spot::In => hop.message.as_ref().and_then(|message| order.outcome(id, message)),
            Spot::Stage(plugin) if hop.id == id => ended(plugin, &hop),
            _ => None,
        };
        if said.is_some() {
            return said;
        }
    }
}

/// What a plugin did, where the message goes no further as it was.
fn ended(plugin: &str, hop: &Hop) -> Option<Outcome> {
    let by = format!("by the plugin {plugin}");
    let detail = hop.reason.map_or_else(|| by.clone(), |reason| format!("{by}: {}", reason.as_str()));
    ["filtered", "dropped", "held", "replaced"].contains(&hop.did).then_some(Outcome {
        sent: false,
        result: hop.did,
        detail,
    })
}

/// For the audit log, which has no payloads.
fn did(radio: &Shown, sent: &Sent) -> Did {
    Did::at(format!("sent a frame by the radio {}: {}", radio.name(), sent.words()))
}

async fn send_form(
    (frame, caller): (Frame, Caller),
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    Input(given): Input<Given>,
) -> Result<Response, Problem> {
    let radio = find(&sources, &name)?;
    let filled = Filled::of(&radio, &given);
    let done = match wish(&radio, given) {
        Ok(wish) => send(&sources, &radio, wish).await,
        Err(problem) => Err(problem),
    };
    match done {
        Ok(sent) => {
            sources.page.trust.tell(&caller, format!("The frame: {}.", sent.words()));
            Ok((Extension(did(&radio, &sent)), Redirect::to(&format!("/radios/{}", radio.name()))).into_response())
        }
        Err(problem) => {
            let page = one::page_of(&sources, frame, &radio, Some((filled, problem.detail))).await;
            Ok((problem.status, page).into_response())
        }
    }
}

/// Sends a frame by a radio and says what became of it, which takes up to five seconds.
#[utoipa::path(post, path = "/api/v1/radios/{name}/send", tag = "radios", params(("name" = String, Path)),
    request_body = Given,
    responses((status = 200, body = Sent), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(in crate::admin) async fn post_frame(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    Input(given): Input<Given>,
) -> Result<(Extension<Did>, Json<Sent>), Problem> {
    let radio = find(&sources, &name)?;
    let sent = send(&sources, &radio, wish(&radio, given)?).await?;
    Ok((Extension(did(&radio, &sent)), Json(sent)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{MessageIds, Topic};
    use crate::pipeline::DropReason;

    #[test]
    fn a_plugin_that_lets_a_frame_go_no_further_is_named_and_one_that_lets_it_pass_is_not() {
        let hop = |did, reason| Hop {
            id: MessageIds::new(1).next(),
            topic: Topic::new("serial/a/down").unwrap(),
            spot: Spot::Stage("guard".into()),
            after: Duration::ZERO,
            did,
            reason,
            message: None,
        };
        for did in ["passed", "changed"] {
            assert_eq!(ended("guard", &hop(did, None)), None);
        }
        let filtered = ended("guard", &hop("filtered", None)).unwrap();
        assert_eq!(
            (filtered.sent, filtered.result, filtered.detail.as_str()),
            (false, "filtered", "by the plugin guard")
        );
        let dropped = ended("guard", &hop("dropped", Some(DropReason::PluginFailed))).unwrap();
        assert_eq!(dropped.detail, "by the plugin guard: plugin-failed");
    }
}
