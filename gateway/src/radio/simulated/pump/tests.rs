use std::path::Path;

use rustix::fs::{Mode, OFlags};
use tokio::time::timeout;

use super::*;
use crate::config::{FlowControl, Line, Parity, SimulatedDevice};
use crate::radio::simulated::device;

const DEADLINE: Duration = Duration::from_secs(20);

fn settings(device: SimulatedDevice, baud: u32, period: Duration) -> Simulated {
    let line = Line { baud, data_bits: 8, parity: Parity::None, stop_bits: 1, flow_control: FlowControl::None };
    Simulated { device, seed: 42, period, line }
}

/// The gateway's side of the port.
struct Port(AsyncFd<OwnedFd>);

impl Port {
    fn open(path: &Path) -> Self {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Self(watch(rustix::fs::open(path, flags, Mode::empty()).unwrap()).unwrap())
    }

    async fn read(&self) -> Vec<u8> {
        let mut buffer = [0; 4096];
        loop {
            let mut ready = self.0.readable().await.unwrap();
            if let Ok(count) = ready.try_io(|port| Ok(rustix::io::read(port, &mut buffer)?)) {
                return buffer[..count.unwrap()].to_vec();
            }
        }
    }

    async fn read_until(&self, mut done: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
        let mut all = Vec::new();
        while !done(&all) {
            all.extend(self.read().await);
        }
        all
    }

    fn write(&self, bytes: &[u8]) {
        assert_eq!(rustix::io::write(self.0.get_ref(), bytes), Ok(bytes.len()));
    }
}

/// Runs the device beside `client`, which must finish first and in time. Then cancels, which must end the run.
async fn beside(settings: Simulated, deadline: Duration, client: impl AsyncFnOnce(&Path)) {
    let pty = Pty::open().unwrap();
    let path = pty.path().to_owned();
    let cancel = CancellationToken::new();
    let running = run(device(settings.device, settings.seed), &settings, pty, &cancel);
    let client = async {
        timeout(deadline, client(&path)).await.unwrap();
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(running, client);
    ended.unwrap();
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[tokio::test]
async fn a_client_of_the_port_reads_the_seed_s_telegrams_one_after_the_other() {
    let period = Duration::from_millis(10);
    beside(settings(SimulatedDevice::DsmrP1, 921_600, period), DEADLINE, async |path: &Path| {
        let mut twin = device(SimulatedDevice::DsmrP1, 42);
        let first = twin.tick(Duration::ZERO);
        let port = Port::open(path);
        let all = port.read_until(|all| all.len() >= 3 * first.len()).await;
        assert_eq!(all[..first.len()], first);
        assert_eq!(all.get(first.len()), Some(&b'/'), "the next telegram follows");
    })
    .await;
}

#[tokio::test]
async fn a_telegram_is_not_faster_than_the_line_allows() {
    let start = Instant::now();
    beside(settings(SimulatedDevice::DsmrP1, 19_200, Duration::from_secs(3600)), DEADLINE, async |path: &Path| {
        let port = Port::open(path);
        let telegram = port.read_until(|all| all.ends_with(b"\r\n") && find(all, b"!").is_some()).await;
        // Only a lower bound: a busy machine may take as long as it likes.
        let on_the_line = Duration::from_secs_f64(telegram.len() as f64 * 10.0 / 19_200.0);
        assert!(start.elapsed() >= on_the_line, "{:?} for {} bytes", start.elapsed(), telegram.len());
    })
    .await;
}

#[tokio::test]
async fn a_meter_answers_and_the_port_can_be_closed_and_opened_again() {
    beside(settings(SimulatedDevice::Sdm120, 9600, Duration::from_millis(10)), DEADLINE, async |path: &Path| {
        for _ in 0..3 {
            let port = Port::open(path);
            port.write(&[0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB]);
            let answer = port.read_until(|all| all.len() >= 9).await;
            assert_eq!(answer[..3], [0x01, 0x04, 0x04]);
            assert_eq!(answer.len(), 9, "it says nothing on its own");
        }
    })
    .await;
}

/// With the clock paused, hours pass as soon as nothing else is to be done.
#[tokio::test(start_paused = true)]
async fn when_nobody_reads_for_hours_it_goes_on_and_a_late_reader_gets_whole_new_lines() {
    let hours = Duration::from_secs(3 * 3600);
    beside(settings(SimulatedDevice::Line, 9600, Duration::from_secs(1)), 2 * hours, async |path: &Path| {
        tokio::time::sleep(hours).await;
        let port = Port::open(path);
        let sequence = |all: &[u8]| -> u64 {
            let text = String::from_utf8_lossy(all);
            let last = text.lines().rev().find(|line| line.starts_with("{\"seq\":") && line.ends_with('}'));
            last.and_then(|line| line[7..].split(',').next()?.parse().ok()).unwrap_or(0)
        };
        port.read_until(|all| sequence(all) > 10_000).await;
        port.write(b"still there?\n");
        port.read_until(|all| find(all, b"{\"ack\":\"still there?\"}\n").is_some()).await;
    })
    .await;
}
