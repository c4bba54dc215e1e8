//! Gives memory that nothing uses back to the system. Knows no other room.
//!
//! The allocator keeps what was freed between pieces that are still in use. After a flood, or after a crowd of clients
//! that has left, that can be tens of megabytes, on a device that may have 1 GB for everything.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Between two times. What was needed a moment ago is often needed again, and taking it back costs something.
const PERIOD: Duration = Duration::from_secs(20);

/// Gives back what is free, now and then, until told to stop.
pub async fn tend(stop: CancellationToken) {
    let mut tick = tokio::time::interval(PERIOD);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        give_back();
    }
}

/// Asks the allocator for it (malloc_trim(3)). After a flood of a hundred megabytes it takes some milliseconds, else a
/// tenth of one. It keeps everybody else from the allocator meanwhile, so a thread of its own would help nobody. Other C libraries than glibc have no such call.
#[allow(unsafe_code, reason = "no safe crate offers malloc_trim; the call touches nothing that is in use")]
fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes a number, may be called at any time by any thread, and moves nothing.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_freed_between_pieces_in_use_goes_back_to_the_system() {
        const PIECE: usize = 1000;
        const PIECES: usize = 100_000;
        let mut pieces: Vec<_> = (0..PIECES).map(|number| Some(vec![number as u8; PIECE])).collect();
        // One in a thousand stays, the last among them, or the allocator would give all back by itself.
        for number in (0..PIECES).filter(|number| number % 1000 != 999) {
            pieces[number] = None;
        }
        let before = resident();
        let stop = CancellationToken::new();
        let tending = tokio::spawn(tend(stop.clone()));
        tokio::time::sleep(PERIOD + PERIOD / 2).await;
        let given_back = before.saturating_sub(resident());
        assert!(given_back > PIECES * PIECE / 2, "{given_back} bytes of {before}");
        stop.cancel();
        tending.await.unwrap();
        assert_eq!(pieces.iter().flatten().count(), PIECES / 1000);
    }
}
