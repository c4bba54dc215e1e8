//! What a server wants sent as Station's `dnmsg`, or why it is not sent (doc.sm.tc/station/tcproto.html, "Downlink").
//!
//! Pure. Station has the scheduler, the duty cycle and the power, and tells of what it has sent alone. So here is judged
//! what it would drop without a word: times that it can't express, frequencies and data rates that it does not have.

use std::time::Duration;

use serde::Serialize;

use super::uplink::of_context;
use crate::radio::lora::airtime::{Lora, Modulation};
use crate::radio::lora::gw::{self, DownlinkFrame, DownlinkFrameItem, DownlinkTxInfo};
use crate::radio::lora::region::Plan;
use crate::radio::lora::schedule::{TxStatus, Verdict, limits};

/// Items of one downlink at most. A class A device has two windows.
const ITEMS_MAX: usize = 16;

/// The longest `RxDelay`, in seconds. The second window is one later.
const RX_DELAY_MAX: u64 = 15;

/// Station says nothing of what it sent where the device is 0, and it needs no more of it than that it is not.
const DEVICE: &str = "01-01-01-01-01-01-01-01";

/// How long Station tries to get a frame for class C on the air: ten times 100 ms (`CLASS_C_BACKOFF_MAX`).
const CLASS_C: Duration = Duration::from_secs(1);

/// Between two beacons: a ping slot is not farther off.
const BEACON_PERIOD: Duration = Duration::from_secs(128);

/// What the way there and back may take.
const SLACK: Duration = Duration::from_secs(3);

/// One way in which Station may send it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Window {
    /// Index of the item.
    item: usize,
    /// In Hz.
    pub(super) frequency: u32,
    /// How.
    pub(super) modulation: gw::Modulation,
    dr: u8,
}

/// A downlink that can be given to Station.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prepared {
    /// The message.
    pub(super) json: String,
    /// How long Station may take until it says that it was sent.
    pub(super) patience: Duration,
    /// In the order in which Station tries them; at least one.
    windows: Vec<Window>,
    /// Of all items, as long as nothing was sent.
    statuses: Vec<TxStatus>,
}

impl Prepared {
    /// What is told when Station has sent it: the statuses, and the window it was.
    pub(super) fn sent(mut self, dr: Option<u8>, frequency: Option<u32>) -> (Vec<TxStatus>, Option<Window>) {
        let same = |window: &Window| Some(window.frequency) == frequency && Some(window.dr) == dr;
        let place = self.windows.iter().position(same).unwrap_or(0);
        let window = self.windows.into_iter().nth(place);
        if let Some(status) = window.as_ref().and_then(|window| self.statuses.get_mut(window.item)) {
            *status = TxStatus::Ok;
        }
        (self.statuses, window)
    }

    /// What is told when Station has not.
    pub(super) fn not_sent(mut self) -> Vec<TxStatus> {
        for window in self.windows {
            if let Some(status) = self.statuses.get_mut(window.item) {
                *status = TxStatus::InternalError;
            }
        }
        self.statuses
    }
}

#[derive(Serialize, Default)]
struct Dnmsg {
    msgtype: &'static str,
    #[serde(rename = "DevEui")]
    device: &'static str,
    #[serde(rename = "dC")]
    class: u8,
    diid: u32,
    pdu: String,
    priority: u8,
    #[serde(rename = "RxDelay", skip_serializing_if = "Option::is_none")]
    delay: Option<u64>,
    #[serde(rename = "RX1DR", skip_serializing_if = "Option::is_none")]
    rx1_dr: Option<u8>,
    #[serde(rename = "RX1Freq", skip_serializing_if = "Option::is_none")]
    rx1_frequency: Option<u32>,
    #[serde(rename = "RX2DR", skip_serializing_if = "Option::is_none")]
    rx2_dr: Option<u8>,
    #[serde(rename = "RX2Freq", skip_serializing_if = "Option::is_none")]
    rx2_frequency: Option<u32>,
    #[serde(rename = "DR", skip_serializing_if = "Option::is_none")]
    ping_dr: Option<u8>,
    #[serde(rename = "Freq", skip_serializing_if = "Option::is_none")]
    ping_frequency: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gpstime: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    xtime: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rctx: Option<i64>,
}

/// An item that passes.
struct Candidate<'a> {
    window: Window,
    item: &'a DownlinkFrameItem,
    context: Option<(i64, i64)>,
    air: Duration,
    timing: Timing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timing {
    Immediately,
    /// Whole seconds after an uplink.
    Delay(u64),
    Gps(Duration),
}

/// Makes the message. `diid` is what Station will call it, `now` the GPS time where it is known.
///
/// # Errors
/// When no item can be sent: why, one an item.
pub(super) fn prepare(
    frame: &DownlinkFrame,
    diid: u32,
    plan: &Plan,
    now: Option<Duration>,
) -> Result<Prepared, Vec<Verdict>> {
    if frame.items.len() > ITEMS_MAX {
        let why = wrong(&format!("more than {ITEMS_MAX} items"));
        return Err(vec![why; frame.items.len()]);
    }
    let judged: Vec<_> = frame.items.iter().enumerate().map(|(index, item)| judge(index, item, plan)).collect();
    let status =
        |judged: &Result<Candidate<'_>, Verdict>| judged.as_ref().err().map_or(TxStatus::Ignored, |why| why.status);
    let statuses = judged.iter().map(status).collect();
    let mut candidates = judged.iter().filter_map(|judged| judged.as_ref().ok());
    let Some(first) = candidates.next() else { return Err(judged.into_iter().filter_map(Result::err).collect()) };
    let second = candidates.next().filter(|second| second.follows(first));
    let message = message(first, second, diid);
    let air = second.map_or(first.air, |second| second.air.max(first.air));
    let patience =
        air + SLACK + first.starts_within(now) + if second.is_some() { Duration::from_secs(1) } else { Duration::ZERO };
    let windows = [Some(first), second].into_iter().flatten().map(|candidate| candidate.window.clone()).collect();
    // Nothing in it can't be written.
    let json = serde_json::to_string(&message).unwrap_or_default();
    Ok(Prepared { json, patience, windows, statuses })
}

impl Candidate<'_> {
    /// Whether it is the second window behind the first, which Station can be told in one message.
    fn follows(&self, first: &Candidate<'_>) -> bool {
        let later = match (first.timing, self.timing) {
            (Timing::Delay(first), Timing::Delay(second)) => first <= RX_DELAY_MAX && second == first + 1,
            _ => false,
        };
        later && self.context == first.context && self.item.phy_payload == first.item.phy_payload
    }

    fn starts_within(&self, now: Option<Duration>) -> Duration {
        match self.timing {
            Timing::Immediately => CLASS_C,
            Timing::Delay(seconds) => Duration::from_secs(seconds),
            Timing::Gps(at) => now.map_or(BEACON_PERIOD, |now| at.saturating_sub(now).min(BEACON_PERIOD)),
        }
    }
}

fn message(first: &Candidate<'_>, second: Option<&Candidate<'_>>, diid: u32) -> Dnmsg {
    let pdu = first.item.phy_payload.iter().map(|byte| format!("{byte:02x}")).collect();
    let (dr, frequency) = (Some(first.window.dr), Some(first.window.frequency));
    let rctx = first.context.map(|(rctx, _)| rctx);
    let base = Dnmsg { msgtype: "dnmsg", device: DEVICE, diid, pdu, priority: 1, rctx, ..Dnmsg::default() };
    match first.timing {
        Timing::Immediately => Dnmsg { class: 2, delay: Some(1), rx2_dr: dr, rx2_frequency: frequency, ..base },
        Timing::Gps(at) => {
            let gpstime = u64::try_from(at.as_micros()).ok();
            Dnmsg { class: 1, ping_dr: dr, ping_frequency: frequency, gpstime, ..base }
        }
        Timing::Delay(seconds) => {
            let xtime = first.context.map(|(_, xtime)| xtime);
            let base = Dnmsg { delay: Some(seconds.min(RX_DELAY_MAX)), xtime, ..base };
            if seconds > RX_DELAY_MAX {
                return Dnmsg { rx2_dr: dr, rx2_frequency: frequency, ..base };
            }
            let window = second.map(|second| &second.window);
            let (rx2_dr, rx2_frequency) = (window.map(|window| window.dr), window.map(|window| window.frequency));
            Dnmsg { rx1_dr: dr, rx1_frequency: frequency, rx2_dr, rx2_frequency, ..base }
        }
    }
}

fn judge<'a>(index: usize, item: &'a DownlinkFrameItem, plan: &Plan) -> Result<Candidate<'a>, Verdict> {
    let info = item.tx_info.as_ref().ok_or_else(|| wrong("it does not say how it is to be sent"))?;
    let modulation = info.modulation.unwrap_or_default();
    let known = lora(&modulation).ok_or_else(|| wrong("it has no modulation"))?;
    let frequency = info.frequency;
    let air = limits::may_send(plan, frequency, info.power, &known, item.phy_payload.len())?;
    let dr = plan.data_rate(false, &known).ok_or_else(|| wrong("the region has no such data rate"))?;
    let (timing, context) = (timing(info)?, of_context(&info.context));
    if matches!(timing, Timing::Delay(_)) && context.is_none() {
        return Err(wrong("it has no context of an uplink of this gateway"));
    }
    let window = Window { item: index, frequency, modulation, dr };
    Ok(Candidate { window, item, context, air, timing })
}

/// What has no time is sent at once.
fn timing(info: &DownlinkTxInfo) -> Result<Timing, Verdict> {
    let timing = info.timing.as_ref();
    match timing.map(|timing| (&timing.delay, &timing.gps_epoch)) {
        Some((Some(delay), _)) => {
            let delay = delay.delay.and_then(|delay| delay.span()).ok_or_else(|| wrong("its delay is none"))?;
            let whole = delay.subsec_nanos() == 0 && (1..=RX_DELAY_MAX + 1).contains(&delay.as_secs());
            let why = || wrong("Station knows delays of whole seconds, 1 to 16");
            whole.then_some(Timing::Delay(delay.as_secs())).ok_or_else(why)
        }
        Some((None, Some(gps))) => {
            let at = gps.time_since_gps_epoch.and_then(|at| at.span()).filter(|at| !at.is_zero());
            at.map(Timing::Gps).ok_or_else(|| wrong("its GPS time is none"))
        }
        Some((None, None)) | None => Ok(Timing::Immediately),
    }
}

fn wrong(why: &str) -> Verdict {
    Verdict { status: TxStatus::InternalError, why: why.to_owned() }
}

fn lora(modulation: &gw::Modulation) -> Option<Modulation> {
    match (modulation.lora, modulation.fsk) {
        (Some(lora), _) => {
            Some(Modulation::Lora(Lora::lorawan(u8::try_from(lora.spreading_factor).ok()?, lora.bandwidth)))
        }
        (None, Some(fsk)) => Some(Modulation::Fsk { bitrate: fsk.datarate }),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests;
