//! Made-up 4G and 5G modems on pseudo-terminals, which answer as their manuals say, in a network that a test makes.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use rumqttc::QoS;
use serde_json::Value;

use crate::pty::{Device, Played};
use crate::{Pty, Stile, V5Client};

/// Whose modem is pretended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// Quectel RM500Q.
    Quectel,
    /// SIMCom SIM8202G.
    Simcom,
    /// Sierra EM9191.
    Sierra,
    /// One that speaks 3GPP TS 27.007 alone.
    Other,
}

/// What serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serving {
    /// Nothing.
    Nothing,
    /// A cell of LTE with this identity.
    Lte(u32),
    /// The same with a cell of NR beside it.
    EnDc(u32),
    /// A cell of NR with this identity.
    NrSa(u32),
}

/// The numbers that must not come out of the gateway.
pub const NUMBERS: [&str; 4] = ["860123045678901", "262011234567890", "8949020000123456789", "491701234567"];

/// The next message of the modem `wwan` on the topic with this end that fits.
#[track_caller]
pub fn next(client: &V5Client, last: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let topic = format!("cellular/wwan/{last}");
    client.next_where(|message| message.topic == topic && fits(&message.json())).json()
}

/// What is said of its cell, now or later, that fits. Whoever comes late finds it retained.
#[track_caller]
pub fn cell(stile: &Stile, fits: impl Fn(&Value) -> bool) -> Value {
    let client = V5Client::connect(stile.mqtt, "cell");
    client.subscribe("cellular/wwan/cell", QoS::AtLeastOnce);
    next(&client, "cell", fits)
}

/// Its card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Card {
    Open,
    /// It opens with this PIN.
    Locked(&'static str),
    Absent,
}

#[derive(Debug)]
struct State {
    serving: Serving,
    card: Card,
    echo: bool,
    mute: bool,
    /// It says no to commands that begin like this.
    refuse: Option<&'static str>,
    commands: Vec<String>,
}

struct Inner {
    maker: Maker,
    pty: Pty,
    state: Mutex<State>,
}

/// See the module's head. It lives until it is dropped.
pub struct CellularModem {
    inner: Played<Inner>,
}

impl CellularModem {
    /// Plugs one in. It repeats what it is told, as modems do until they are told not to.
    pub fn start(maker: Maker, serving: Serving) -> Self {
        let state = State { serving, card: Card::Open, echo: true, mute: false, refuse: None, commands: Vec::new() };
        let inner = Inner { maker, pty: Pty::open(), state: Mutex::new(state) };
        Self { inner: Played::start(inner) }
    }

    /// What the daemon opens.
    pub fn path(&self) -> &Path {
        self.inner.pty.path()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap()
    }

    /// From now on this serves it.
    pub fn serve(&self, serving: Serving) {
        self.state().serving = serving;
    }

    /// Its card opens with this PIN.
    pub fn lock_card(&self, pin: &'static str) {
        self.state().card = Card::Locked(pin);
    }

    /// It has no card.
    pub fn take_card(&self) {
        self.state().card = Card::Absent;
    }

    /// From now on it says nothing, or speaks again.
    pub fn mute(&self, mute: bool) {
        self.state().mute = mute;
    }

    /// It says no to commands that begin like this.
    pub fn refuse(&self, command: &'static str) {
        self.state().refuse = Some(command);
    }

    /// What it was told so far.
    pub fn commands(&self) -> Vec<String> {
        self.state().commands.clone()
    }

    /// Writes these bytes, whatever they are.
    pub fn babble(&self, bytes: &[u8]) {
        // In between two answers, as on a line that two speak on.
        let _state = self.state();
        self.inner.pty.write(bytes);
    }

    /// Its power fails for a moment, in the middle of what it was saying.
    pub fn reset(&self, cut: &str) {
        let mut state = self.state();
        self.inner.pty.write(cut.as_bytes());
        state.echo = true;
        for line in ["", "RDY", "", "+CPIN: READY", "", "+CFUN: 1"] {
            self.inner.pty.say(line);
        }
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
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
            self.pty.write(format!("{command}\r").as_bytes());
        }
        let refused = state.refuse.is_some_and(|begin| command.starts_with(begin));
        let answers = if refused { Err("ERROR") } else { self.answer(command, &mut state) };
        match answers {
            Ok(answers) => answers.iter().map(String::as_str).chain(["OK"]).for_each(|line| self.answered(line)),
            Err(error) => self.answered(error),
        }
    }
}

impl Inner {
    fn answered(&self, line: &str) {
        self.pty.say(&format!("\r\n{line}"));
    }

    fn answer(&self, command: &str, state: &mut State) -> Result<Vec<String>, &'static str> {
        let [imei, imsi, iccid, number] = NUMBERS;
        Ok(match command {
            "ATE0" => {
                state.echo = false;
                vec![]
            }
            "AT+CGMI" => lines(self.maker()),
            "ATI" => lines(&format!("Manufacturer: {}\nIMEI: {imei}\nIMEI SV: 12", self.maker())),
            "AT+CGMM" => lines("Model-1"),
            "AT+CGMR" => lines("Revision-1"),
            "AT+CGSN" => lines(imei),
            "AT+CPIN?" => match state.card {
                Card::Open => lines("+CPIN: READY"),
                Card::Locked(_) => lines("+CPIN: SIM PIN"),
                Card::Absent => return Err("+CME ERROR: 10"),
            },
            "AT+CIMI" => lines(imsi),
            "AT+CNUM" => lines(&format!("+CNUM: \"own\",\"+{number}\",145")),
            "AT+QCCID" | "AT+CICCID" | "AT!ICCID?" | "AT+CCID" => lines(&format!("+ICCID: {iccid}F")),
            "AT+CEREG?" => lines(&self.registration("+CEREG", state.serving)),
            "AT+C5GREG?" => lines(&self.registration("+C5GREG", state.serving)),
            "AT+CREG?" => lines("+CREG: 2,0"),
            "AT+COPS?" if state.serving == Serving::Nothing => lines("+COPS: 0"),
            "AT+COPS?" => lines("+COPS: 0,0,\"Made-up Mobile\",7"),
            _ if command.starts_with("AT+CPIN=") => {
                let right = matches!(state.card, Card::Locked(pin) if command == format!("AT+CPIN=\"{pin}\""));
                if !right {
                    return Err("+CME ERROR: 16");
                }
                state.card = Card::Open;
                vec![]
            }
            _ => return self.measured(command, state.serving),
        })
    }

    fn maker(&self) -> &'static str {
        match self.maker {
            Maker::Quectel => "Quectel",
            Maker::Simcom => "SIMCOM INCORPORATED",
            Maker::Sierra => "Sierra Wireless, Incorporated",
            Maker::Other => "Cinterion",
        }
    }

    fn registration(&self, head: &str, serving: Serving) -> String {
        match (head, serving) {
            ("+CEREG", Serving::Lte(cell)) => format!("{head}: 2,1,\"4E21\",\"{cell:X}\",7"),
            ("+CEREG", Serving::EnDc(cell)) => format!("{head}: 2,1,\"4E21\",\"{cell:X}\",13"),
            ("+C5GREG", Serving::NrSa(cell)) => format!("{head}: 2,1,\"690E0F\",\"{cell:X}\",11,1,\"01\""),
            (_, Serving::Nothing) => format!("{head}: 2,2"),
            _ => format!("{head}: 2,0"),
        }
    }

    fn measured(&self, command: &str, serving: Serving) -> Result<Vec<String>, &'static str> {
        let text = match (self.maker, command) {
            (Maker::Quectel, "AT+QENG=\"servingcell\"") => quectel(serving),
            (Maker::Simcom, "AT+CPSI?") => simcom(serving),
            (Maker::Sierra, "AT!GSTATUS?") => sierra(serving),
            (Maker::Sierra | Maker::Other, "AT+CESQ") => cesq(serving),
            (Maker::Quectel, _) if command.starts_with("AT+QNWCFG") => String::new(),
            _ if command.starts_with("AT+C") && command.contains('=') => String::new(),
            _ => return Err("ERROR"),
        };
        Ok(lines(&text))
    }
}

fn quectel(serving: Serving) -> String {
    let lte = |cell: u32| format!("\"FDD\",262,01,{cell:X},212,1300,3,5,5,4E21,-95,-11,-63,12,9,230,-");
    match serving {
        Serving::Nothing => "+QENG: \"servingcell\",\"SEARCH\"".to_owned(),
        Serving::Lte(cell) => format!("+QENG: \"servingcell\",\"NOCONN\",\"LTE\",{}", lte(cell)),
        Serving::EnDc(cell) => format!(
            "+QENG: \"servingcell\",\"NOCONN\"\n+QENG: \"LTE\",{}\n+QENG: \"NR5G-NSA\",262,01,500,-101,15,-11,640704,78,12,1",
            lte(cell)
        ),
        Serving::NrSa(cell) => format!(
            "+QENG: \"servingcell\",\"NOCONN\",\"NR5G-SA\",\"TDD\",262,01,{cell:X},299,690E0F,633984,78,12,-107,-13,2,1,-"
        ),
    }
}

fn simcom(serving: Serving) -> String {
    let lte = |cell: u32| format!("+CPSI: LTE,Online,262-01,0x4E21,{cell},212,EUTRAN-BAND3,1300,5,5,-110,-950,-630,12");
    match serving {
        Serving::Nothing => "+CPSI: NO SERVICE,Online".to_owned(),
        Serving::Lte(cell) => lte(cell),
        Serving::EnDc(cell) => format!("{}\n+CPSI: NR5G_NSA,500,NR5G_BAND78,640704,-1010,-110,150", lte(cell)),
        Serving::NrSa(cell) => {
            format!("+CPSI: NR5G_SA,Online,262-01,0x690E0F,{cell},299,NR5G_BAND78,633984,-1070,-130,20")
        }
    }
}

fn sierra(serving: Serving) -> String {
    let lte = |mode: &str, cell: u32| {
        format!(
            "!GSTATUS: \nCurrent Time:  1234\t\tTemperature: 36\nSystem mode:   {mode}        \tPS state:    Attached     \n\
             LTE band:      B3     \t\tLTE bw:      20 MHz  \nLTE Rx chan:   1300\t\tLTE Tx chan: 19300\n\
             PCC RxM RSSI:  -63\t\tPCC RxM RSRP:  -95\nTx Power:      23\t\tTAC:         4E21 (20001)\n\
             RSRQ (dB):     -11.0\t\tCell ID:     {cell:08X} ({cell})\nSINR (dB):     12.0"
        )
    };
    match serving {
        Serving::Nothing => "!GSTATUS: \nSystem mode:   ONLINE \tPS state:    Not attached".to_owned(),
        Serving::Lte(cell) => lte("LTE", cell),
        Serving::EnDc(cell) => format!(
            "{}\nNR5G band:     n78\t\tNR5G bw:         100 MHz\nNR5G Rx chan:  640704\n\
             NR5G RSRP (dBm): -101\t\tNR5G RSRQ (dB):  -11\nNR5G SINR (dB):  15.0",
            lte("ENDC", cell)
        ),
        Serving::NrSa(cell) => format!(
            "!GSTATUS: \nSystem mode:   NR5G\t\tPS state:    Attached\nNR5G TAC:      690E0F\t\tNR5G Cell ID:    {cell:X} (1)\n\
             NR5G band:     n78\t\tNR5G bw:         100 MHz\nNR5G Rx chan:  633984\n\
             NR5G RSRP (dBm): -107\t\tNR5G RSRQ (dB):  -13\nNR5G SINR (dB):  2.0"
        ),
    }
}

fn cesq(serving: Serving) -> String {
    let (lte, nr) = match serving {
        Serving::Nothing => ("255,255", "255,255,255"),
        Serving::Lte(_) => ("18,46", "255,255,255"),
        Serving::EnDc(_) => ("18,46", "65,56,77"),
        Serving::NrSa(_) => ("255,255", "61,50,51"),
    };
    format!("+CESQ: 99,99,255,255,{lte},{nr}")
}
