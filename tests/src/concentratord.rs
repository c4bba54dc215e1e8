//! A played Concentratord: its words are ours, ZeroMQ's part is libzmq's, by `clients/concentratord.py`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};

use crate::forwarder::data_frame;
use crate::{PATIENCE, Proto, Wire};

/// Its generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// Until 4.4: messages of two frames.
    Old,
    /// From 4.5 on: of one.
    New,
}

/// What it was asked, but for who it is, which it has answered.
#[derive(Debug, PartialEq)]
pub struct Asked {
    /// `down` or `config`.
    pub word: String,
    /// The message.
    pub message: Proto,
}

/// See the module's head. Dropped, it is killed, as by a power cut: its sockets' files stay.
pub struct Concentratord {
    child: Child,
    input: Arc<Mutex<ChildStdin>>,
    asked: Receiver<Asked>,
    generation: Generation,
    eui: u64,
}

fn field(number: u32, bytes: impl Into<Vec<u8>>) -> (u32, Wire) {
    (number, Wire::Bytes(bytes.into()))
}

fn line(word: &str, parts: &[Vec<u8>]) -> String {
    let hex = |part: &Vec<u8>| part.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let parts = parts.iter().map(|part| if part.is_empty() { "-".to_owned() } else { hex(part) });
    format!("{word} {}\n", parts.collect::<Vec<_>>().join(" "))
}

fn parts(line: &str) -> Vec<Vec<u8>> {
    let byte = |text: &str, at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    let part = |text: &str| (0..text.len() / 2).map(|n| byte(text, 2 * n)).collect();
    line.split(' ').skip(1).map(|text| if text == "-" { Vec::new() } else { part(text) }).collect()
}

/// The two sockets in a folder, as `event-url` and `command-url`.
pub fn sockets(dir: &Path) -> [String; 2] {
    ["events", "commands"].map(|name| format!("ipc://{}", dir.join(name).display()))
}

impl Concentratord {
    /// The interpreter that has libzmq.
    ///
    /// # Errors
    /// When it is not there: libzmq can't be had for each machine.
    pub fn python() -> Result<PathBuf, String> {
        let environment = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/libzmq");
        // That is there when all the rest is.
        if !environment.join("requirements.txt").exists() {
            return Err(format!("{} is not there; `tests/setup.sh test` installs it", environment.display()));
        }
        Ok(environment.join("bin/python"))
    }

    /// Starts it with its sockets in a folder.
    pub fn start(dir: &Path, generation: Generation, eui: u64) -> Self {
        let mut child = Command::new(Self::python().unwrap())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/concentratord.py"))
            .args(sockets(dir))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = Arc::new(Mutex::new(child.stdin.take().unwrap()));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert_eq!(lines.next().as_deref(), Some("ready"), "libzmq's sockets; see above");
        let (tell, asked) = mpsc::channel();
        let answers = Arc::clone(&input);
        std::thread::spawn(move || {
            for question in lines {
                if let Some(asked) = understood(generation, eui, &parts(&question), &answers) {
                    let _ = tell.send(asked);
                }
            }
        });
        Self { child, input, asked, generation, eui }
    }

    /// Its identifier, in hex.
    pub fn id(&self) -> String {
        format!("{:016x}", self.eui)
    }

    /// Publishes a message of these frames.
    pub fn publish(&self, parts: &[Vec<u8>]) {
        self.input.lock().unwrap().write_all(line("publish", parts).as_bytes()).unwrap();
    }

    fn event(&self, word: &str, number: u32, message: Vec<u8>) {
        match self.generation {
            Generation::Old => self.publish(&[word.into(), message]),
            Generation::New => self.publish(&[Proto(vec![field(number, message)]).write()]),
        }
    }

    /// Publishes a `gw.UplinkFrame`.
    pub fn up(&self, frame: &Proto) {
        self.event("up", 1, frame.write());
    }

    /// Publishes a `gw.GatewayStats`.
    pub fn stats(&self, stats: &Proto) {
        self.event("stats", 2, stats.write());
    }

    /// A frame that it heard at 868.1 MHz, SF7.
    pub fn frame(&self, phy: &[u8]) -> Proto {
        let lora = [(1, Wire::Number(125_000)), (2, Wire::Number(7)), (5, Wire::Number(1))];
        let modulation = Proto(vec![field(3, Proto(lora.to_vec()).write())]);
        let sent = Proto(vec![(1, Wire::Number(868_100_000)), field(2, modulation.write())]);
        let heard = vec![
            field(1, self.id()),
            (2, Wire::Number(4711)),
            // -57, as protocol buffers have it.
            (6, Wire::Number((-57_i64).cast_unsigned())),
            (7, Wire::Four(9.5_f32.to_le_bytes())),
            field(13, CONTEXT),
            (16, Wire::Number(2)),
        ];
        Proto(vec![field(1, phy), field(4, sent.write()), field(5, Proto(heard).write())])
    }

    /// The same of a device.
    pub fn data(&self, address: u32, counter: u16) -> Proto {
        self.frame(&data_frame(address, counter))
    }

    /// What it is asked next.
    #[track_caller]
    pub fn next(&self) -> Asked {
        self.asked.recv_timeout(PATIENCE).expect("a question")
    }

    /// Answers the last question.
    pub fn answer(&self, answer: &[u8]) {
        answer_with(&self.input, answer);
    }

    /// Acknowledges a downlink, one status an item.
    pub fn acknowledge(&self, downlink: &Proto, statuses: &[u64]) {
        let items = statuses.iter().map(|status| field(5, Proto(vec![(1, Wire::Number(*status))]).write()));
        let mut ack = vec![(2, Wire::Number(downlink.number(3))), field(6, self.id())];
        ack.extend(items);
        self.answer(&Proto(ack).write());
    }
}

/// What uplinks carry and answers bring back: more than a packet forwarder's four bytes.
pub const CONTEXT: [u8; 5] = [1, 2, 3, 4, 5];

fn answer_with(input: &Mutex<ChildStdin>, answer: &[u8]) {
    // It fails when the process has been killed, and then nobody waits for it.
    let _ = input.lock().unwrap().write_all(line("answer", &[answer.to_vec()]).as_bytes());
}

/// Answers as each generation does who it is and what it does not understand. The rest is for the test.
fn understood(generation: Generation, eui: u64, parts: &[Vec<u8>], input: &Mutex<ChildStdin>) -> Option<Asked> {
    let [first, rest @ ..] = parts else { panic!("a message has frames") };
    let (word, message) = match (generation, rest) {
        (Generation::New, []) => {
            let command = Proto::read(first);
            let words = [(1, "down"), (2, "config"), (3, "gateway_id")];
            let (number, word) = words.into_iter().find(|(number, _)| !command.all(*number).is_empty())?;
            (word.to_owned(), command.bytes(number))
        }
        (Generation::Old, [payload]) => (String::from_utf8(first.clone()).unwrap(), payload.clone()),
        // It says that there are not two frames.
        (Generation::Old, _) => {
            answer_with(input, b"");
            return None;
        }
        // A real one reads the first frame and fails at the answer.
        (Generation::New, _) => panic!("two frames end the commands of a new Concentratord: {parts:?}"),
    };
    if word != "gateway_id" {
        return Some(Asked { word, message: Proto::read(&message) });
    }
    match generation {
        Generation::Old => answer_with(input, &eui.to_be_bytes()),
        Generation::New => answer_with(input, &Proto(vec![field(1, format!("{eui:016x}"))]).write()),
    }
    None
}

impl Drop for Concentratord {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
