//! Made-up LoRa modems on pseudo-terminals, which answer as their manuals say.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use crate::Pty;
use crate::pty::{Device, Played};

/// What is pretended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModemModel {
    /// RAKwireless RAK3172, current firmware.
    Rak3172,
    /// The same with firmware 1.0: packets in two lines, no sync word.
    OldRak3172,
    /// Seeed LoRa-E5.
    LoraE5,
    /// Microchip RN2483.
    Rn2483,
}

impl ModemModel {
    /// As in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rak3172 | Self::OldRak3172 => "rak3172",
            Self::LoraE5 => "lora-e5",
            Self::Rn2483 => "rn2483",
        }
    }

    fn greeting(self) -> &'static [&'static str] {
        match self {
            Self::Rak3172 => &["RAKwireless RAK3172", "Version: RUI_4.0.6_RAK3172-E", "Current Work Mode: LoRa P2P."],
            Self::OldRak3172 => &["======", "RAK3172-H Version:v1.0.2 May 26 2021", "Current Work Mode: LoRa P2P."],
            // It says nothing by itself.
            Self::LoraE5 => &[],
            Self::Rn2483 => &["RN2483 1.0.5 Oct 31 2018 15:06:52"],
        }
    }
}

/// How it behaves.
#[derive(Debug, Default)]
struct State {
    /// It repeats what it is told.
    echo: bool,
    /// It says nothing.
    mute: bool,
    /// It is reset instead of answering a command that begins like this, once.
    reset_at: Option<&'static str>,
    /// It says no to commands that begin like this.
    refuse: Option<&'static str>,
    receiving: bool,
    /// LoRa-E5: test mode.
    test_mode: bool,
    commands: Vec<String>,
    sent: Vec<String>,
}

struct Inner {
    model: ModemModel,
    pty: Pty,
    state: Mutex<State>,
}

/// See the module's head. It lives until it is dropped.
pub struct Modem {
    inner: Played<Inner>,
}

impl Modem {
    /// Plugs one in.
    pub fn start(model: ModemModel) -> Self {
        let inner = Inner { model, pty: Pty::open(), state: Mutex::default() };
        Self { inner: Played::start(inner) }
    }

    /// What the daemon opens.
    pub fn path(&self) -> &Path {
        self.inner.pty.path()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap()
    }

    /// From now on it repeats what it is told.
    pub fn echo(&self) {
        self.state().echo = true;
    }

    /// From now on it says nothing, or speaks again.
    pub fn mute(&self, mute: bool) {
        self.state().mute = mute;
    }

    /// It is reset by the next command that begins like this.
    pub fn reset_at(&self, command: &'static str) {
        self.state().reset_at = Some(command);
    }

    /// It says no to commands that begin like this.
    pub fn refuse(&self, command: &'static str) {
        self.state().refuse = Some(command);
    }

    /// Whether it receives.
    pub fn receives(&self) -> bool {
        self.state().receiving
    }

    /// What it was told so far.
    pub fn commands(&self) -> Vec<String> {
        self.state().commands.clone()
    }

    /// What it has sent so far, in hex.
    pub fn sent(&self) -> Vec<String> {
        self.state().sent.clone()
    }

    /// A frame is on the air. It is heard if the modem receives.
    pub fn hear(&self, hex: &str) {
        let mut state = self.state();
        assert!(state.receiving, "it does not listen: {:?}", state.commands);
        let lines = match self.inner.model {
            ModemModel::Rak3172 => vec![format!("+EVT:RXP2P:-60:11:{hex}")],
            ModemModel::OldRak3172 => vec!["+EVT:RXP2P, RSSI -60, SNR 11".to_owned(), format!("+EVT:{hex}")],
            ModemModel::LoraE5 => {
                vec![format!("+TEST: LEN:{}, RSSI:-60, SNR:11", hex.len() / 2), format!("+TEST: RX \"{hex}\"")]
            }
            ModemModel::Rn2483 => {
                state.receiving = false;
                vec![format!("radio_rx  {hex}")]
            }
        };
        lines.iter().for_each(|line| self.inner.say(line));
    }

    /// Writes these bytes, whatever they are.
    pub fn babble(&self, bytes: &[u8]) {
        self.inner.pty.write(bytes);
    }

    /// Its power fails for a moment, in the middle of what it was saying.
    pub fn reset(&self, cut: &str) {
        self.inner.pty.write(cut.as_bytes());
        self.inner.reset(&mut self.state());
    }
}

impl Device for Inner {
    fn pty(&self) -> &Pty {
        &self.pty
    }

    fn command(&self, command: &str) {
        let mut state = self.state.lock().unwrap();
        state.commands.push(command.to_owned());
        if state.mute {
            return;
        }
        if state.echo {
            self.say(command);
        }
        if state.reset_at.is_some_and(|begin| command.starts_with(begin)) {
            state.reset_at = None;
            return self.reset(&mut state);
        }
        let refused = state.refuse.is_some_and(|begin| command.starts_with(begin));
        let answers = match self.model {
            ModemModel::Rak3172 | ModemModel::OldRak3172 if refused => vec!["AT_PARAM_ERROR".to_owned()],
            ModemModel::Rak3172 | ModemModel::OldRak3172 => self.rak3172(command, &mut state),
            ModemModel::LoraE5 if refused => vec!["+TEST: ERROR(-1)".to_owned()],
            ModemModel::LoraE5 => lora_e5(command, &mut state),
            ModemModel::Rn2483 if refused => vec!["invalid_param".to_owned()],
            ModemModel::Rn2483 => rn2483(command, &mut state),
        };
        answers.iter().for_each(|line| self.say(line));
    }
}

impl Inner {
    fn say(&self, line: &str) {
        self.pty.say(line);
    }

    fn reset(&self, state: &mut State) {
        (state.receiving, state.test_mode) = (false, false);
        self.model.greeting().iter().for_each(|line| self.say(line));
    }

    fn rak3172(&self, command: &str, state: &mut State) -> Vec<String> {
        let old = self.model == ModemModel::OldRak3172;
        let answers: &[&str] = match command {
            "AT+PRECV=0" => {
                state.receiving = false;
                &["", "OK"]
            }
            "AT+PRECV=65534" if state.receiving => &["", "AT_BUSY_ERROR"],
            "AT+PRECV=65534" => {
                state.receiving = true;
                &["", "OK"]
            }
            "AT+PRECV=?" if state.receiving => &["AT+PRECV=65534", "", "OK"],
            "AT+PRECV=?" => &["AT+PRECV=0", "", "OK"],
            _ if command.starts_with("AT+SYNCWORD") && old => &["", "AT_ERROR"],
            _ if command.starts_with("AT+PSEND=") && state.receiving => &["", "AT_BUSY_ERROR"],
            _ if command.starts_with("AT+PSEND=") => {
                state.sent.push(command.trim_start_matches("AT+PSEND=").to_owned());
                &["", "OK", "+EVT:TXP2P DONE"]
            }
            _ if ["AT+NWM=0", "AT+P2P=", "AT+SYNCWORD="].iter().any(|begin| command.starts_with(begin)) => &["", "OK"],
            _ => &["", "AT_ERROR"],
        };
        answers.iter().map(|line| (*line).to_owned()).collect()
    }
}

fn lora_e5(command: &str, state: &mut State) -> Vec<String> {
    if command == "AT+MODE=TEST" {
        state.test_mode = true;
        return vec!["+MODE: TEST".to_owned()];
    }
    let Some(test) = command.strip_prefix("AT+TEST=").filter(|_| state.test_mode) else {
        return vec!["+TEST: ERROR(-12)".to_owned()];
    };
    if let Some(payload) = test.strip_prefix("TXLRPKT,") {
        state.receiving = false;
        state.sent.push(payload.trim_matches('"').to_owned());
        return vec![format!("+TEST: TXLRPKT {payload}"), "+TEST: TX DONE".to_owned()];
    }
    match test {
        "RXLRPKT" => {
            state.receiving = true;
            vec!["+TEST: RXLRPKT".to_owned()]
        }
        _ if test.starts_with("RFCFG,") => vec![format!("+TEST: RFCFG F:868100000, {test}")],
        _ => vec!["+TEST: ERROR(-1)".to_owned()],
    }
}

fn rn2483(command: &str, state: &mut State) -> Vec<String> {
    let answers: &[&str] = match command {
        "radio rxstop" => {
            state.receiving = false;
            &["ok"]
        }
        "mac pause" => &["4294967245"],
        "radio rx 0" if state.receiving => &["busy"],
        "radio rx 0" => {
            state.receiving = true;
            &["ok"]
        }
        _ if command.starts_with("radio tx ") && state.receiving => &["busy"],
        _ if command.starts_with("radio tx ") => {
            state.sent.push(command.trim_start_matches("radio tx ").to_owned());
            &["ok", "radio_tx_ok"]
        }
        _ if command.starts_with("radio set ") => &["ok"],
        _ => &["invalid_param"],
    };
    answers.iter().map(|line| (*line).to_owned()).collect()
}
