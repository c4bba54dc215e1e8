//! What holds for a frame whenever it is sent: where, with which power, and for how long at a time. Pure.

use std::time::Duration;

use super::{TxStatus, Verdict};
use crate::radio::lora::airtime::{Modulation, airtime};
use crate::radio::lora::region::Plan;

/// How long a frame with a PHY payload of `length` bytes would be on the air, at a frequency in Hz with an EIRP in dBm.
///
/// # Errors
/// Why it may never be sent.
pub fn may_send(
    plan: &Plan,
    frequency: u32,
    power: i32,
    modulation: &Modulation,
    length: usize,
) -> Result<Duration, Verdict> {
    if !plan.holds(frequency, modulation.width()) {
        let why = format!("{frequency} Hz with its width is in no band of {:?}", plan.region());
        return Err(Verdict::because(TxStatus::TxFreq, why));
    }
    let most = plan.max_eirp(frequency);
    if power > most {
        let why = format!("{power} dBm EIRP, and at {frequency} Hz {most} are allowed");
        return Err(Verdict::because(TxStatus::TxPower, why));
    }
    let air = airtime(modulation, length).map_err(|e| Verdict::because(TxStatus::InternalError, e.to_string()))?;
    match plan.dwell_time() {
        Some(most) if air > most => {
            let why = format!("{} ms on the air, and {} at a time are allowed", air.as_millis(), most.as_millis());
            Err(Verdict::because(TxStatus::DwellTime, why))
        }
        _ => Ok(air),
    }
}
