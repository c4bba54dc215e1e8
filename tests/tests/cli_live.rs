//! The verbs that meet a running gateway: `demo`, `tap` and `top`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use rumqttc::QoS;
use rustix::process::{Pid, Signal, kill_process};
use stile_tests::{Client, Stile, V5Client, check, command, within};

/// A program whose output is read line by line. Dropped, it is killed.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn stile(arguments: &[&str]) -> Self {
        let mut command = command();
        command.args(arguments);
        Self::start(command)
    }

    /// The next line that fits; the end of the output before it fails the test.
    #[track_caller]
    fn line(&mut self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        let mut lines = self.lines.by_ref().map(Result::unwrap);
        lines.find(|line| fits(line)).unwrap_or_else(|| panic!("no line with {what}"))
    }

    /// Ends it as Ctrl-C does; it must end by itself with code 0.
    #[track_caller]
    fn interrupt(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let status = within("it ends", || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A demonstration on free ports.
struct Demo {
    program: Running,
    /// The commands that it says to try, without their descriptions.
    tries: Vec<String>,
    welcome: String,
}

impl Demo {
    fn start(more: &[&str]) -> Self {
        let mut program = Running::stile(&[&["demo", "--mqtt-port", "0", "--admin-port", "0"], more].concat());
        let mut welcome = String::new();
        let end = "The admin page is at";
        while !welcome.contains(end) {
            welcome += &(program.line(end, |_| true) + "\n");
        }
        let tries = welcome.lines().filter_map(|line| line.strip_prefix("  ")?.split("   ").next());
        let tries = tries.map(|line| line.trim().to_owned()).collect();
        Self { program, tries, welcome }
    }

    /// The command with these words; the program's own name may have its path before it.
    #[track_caller]
    fn to_try(&self, start: &str) -> &str {
        let found = self.tries.iter().find(|line| line.contains(start));
        found.unwrap_or_else(|| panic!("no {start} in:\n{}", self.welcome))
    }

    /// That command, run by a shell as it was printed.
    fn shell(&self, start: &str, more: &str) -> Running {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {} {more}", self.to_try(start))]);
        Running::start(shell)
    }

    fn port(&self) -> u16 {
        let line = self.to_try("mosquitto_sub");
        line.split_whitespace().nth(2).unwrap().parse().unwrap()
    }
}

#[test]
fn the_demo_prints_commands_that_work_as_printed() {
    let demo = Demo::start(&[]);
    let line = demo.to_try("mosquitto_sub");
    assert_eq!(line, format!("mosquitto_sub -p {} -t 'serial/#' -v", demo.port()));
    let mut sub = demo.shell("mosquitto_sub", "-W 60");
    let sensor = sub.line("a frame of the sensor", |line| line.starts_with("serial/sensor/up "));
    assert!(sensor.contains('{'), "{sensor}");
    sub.line("a reading of the meter", |line| line.starts_with("serial/meter/"));
    assert!(demo.shell("mosquitto_pub", "").child.wait().unwrap().success());
    sub.line("the answer to hello", |line| line.starts_with("serial/sensor/up ") && line.contains("hello"));
    let mut tap = demo.shell("stile tap", "-n 2");
    // Of the serial devices or of the LoRa gateway, whoever speaks first.
    tap.line("a live message", |line| line.contains("/up "));
    let mut top = demo.shell("stile top", "--once");
    top.line("the radio", |line| line.contains("sensor") && line.contains("online"));
    demo.program.interrupt();
}

#[test]
fn two_demos_run_side_by_side_and_clean_up_their_folders() {
    let temporary = tempfile::tempdir().unwrap();
    let demos = [Demo::start(&[]), Demo::start(&[])];
    let folder = |demo: &Demo| demo.to_try("stile tap").split_whitespace().last().unwrap().to_owned();
    let folders = [folder(&demos[0]), folder(&demos[1])];
    assert_ne!(folders[0], folders[1]);
    for demo in demos {
        let address = ([127, 0, 0, 1], demo.port()).into();
        let client = Client::connect(address, "watcher");
        client.subscribe("serial/#", QoS::AtLeastOnce);
        client.next_where(|message| message.topic == "serial/sensor/up");
        demo.program.interrupt();
    }
    assert!(folders.iter().all(|folder| !std::path::Path::new(folder).exists()), "{folders:?}");
    // A folder of the user's own is kept.
    let own = temporary.path().join("mine");
    Demo::start(&["--data-dir", own.to_str().unwrap()]).program.interrupt();
    assert!(own.exists());
}

#[test]
fn the_same_seed_gives_the_same_readings() {
    // Which reading is the first that a client sees is a matter of timing, so a few of each are compared.
    let readings = |seed: &str| -> Vec<String> {
        let demo = Demo::start(&["--seed", seed]);
        let client = Client::connect(([127, 0, 0, 1], demo.port()).into(), "watcher");
        client.subscribe("serial/sensor/up", QoS::AtLeastOnce);
        (0..4).map(|_| client.next().text().to_owned()).collect()
    };
    let (first, again, other) = (readings("7"), readings("7"), readings("8"));
    let common = |a: &[String], b: &[String]| a.iter().any(|reading| b.contains(reading));
    assert!(common(&first, &again), "{first:?} {again:?}");
    assert!(!common(&first, &other), "{first:?} {other:?}");
}

#[test]
fn a_busy_port_of_the_demo_is_an_error_that_names_the_option() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (option, other) in [("--mqtt-port", "--admin-port"), ("--admin-port", "--mqtt-port")] {
        let (code, out, err) = check(&["demo", option, &port, other, "0"]);
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(err.contains(&port) && err.contains(&format!("{option} PORT")), "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
    }
    // The same port for both is as bad.
    drop(taken);
    let (code, _, err) = check(&["demo", "--mqtt-port", &port, "--admin-port", &port]);
    assert_eq!((code, err.lines().count()), (1, 1), "{err}");
    assert!(err.contains("--admin-port PORT"), "{err}");
}

#[test]
fn tap_shows_each_message_on_a_line_that_cannot_steer_the_terminal() {
    let stile = Stile::start("");
    let data = stile.dir.path().join("data");
    let data = data.to_str().unwrap();
    let client = V5Client::connect(stile.mqtt, "me");
    let mut all = Running::stile(&["tap", "--data-dir", data]);
    let mut json = Running::stile(&["tap", "--json", "-n", "2", "a/+/\u{e4}", "--data-dir", data]);
    // A tap sees what comes after it: ask until both are there.
    let (mut all_there, mut json_there) = (false, false);
    let (sender, seen) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || {
        let line = all.line("the message", |line| line.contains("a/b/\u{e4}"));
        sender.send(("all", line)).unwrap();
        let first = json.line("the message", |_| true);
        sender.send(("json", first)).unwrap();
        json.line("another", |_| true);
        let status = within("tap ends after two", || json.child.try_wait().unwrap());
        assert!(status.success());
        drop(all);
    });
    within("both taps see it", || {
        client.publish("not/that", QoS::AtLeastOnce, false, "x");
        client.publish("a/b/\u{e4}", QoS::AtLeastOnce, false, "\u{1b}[2Jevil\ntext");
        for (who, line) in seen.try_iter() {
            if who == "all" {
                all_there = true;
                assert!(line.ends_with(" a/b/\u{e4} \\u{1b}[2Jevil\\ntext"), "{line}");
            } else {
                json_there = true;
                let message: serde_json::Value = serde_json::from_str(&line).unwrap();
                assert_eq!(message["topic"], "a/b/\u{e4}");
                assert_eq!(
                    (&message["payload"], &message["origin"]),
                    (&"\u{1b}[2Jevil\ntext".into(), &"client:me".into())
                );
            }
        }
        (all_there && json_there && reading.is_finished()).then_some(())
    });
    reading.join().unwrap();
    let (code, _, err) = check(&["tap", "a/#/b", "--data-dir", data]);
    assert_eq!(code, 1);
    assert!(err.contains("the filter"), "{err}");
}

#[test]
fn top_prints_the_ledger_once_for_scripts() {
    let stile = Stile::start("[[radio]]\nname = \"gone\"\nkind = \"serial\"\ndevice = \"/dev/nowhere\"\n");
    let client = Client::connect(stile.mqtt, "me");
    for _ in 0..3 {
        client.publish("a", QoS::AtLeastOnce, false, "x");
    }
    let data = stile.dir.path().join("data");
    let (code, out, _) = check(&["top", "--once", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, 0);
    assert!(out.contains("1 clients   the ledger balances"), "{out}");
    let row =
        |words: &[&str]| out.lines().any(|line| line.split_whitespace().take(words.len()).eq(words.iter().copied()));
    assert!(row(&["received", "client", "3"]) && row(&["gone", "offline"]), "{out}");
    assert!(!out.contains('\u{1b}'), "no escape codes");
}

#[test]
fn a_demonstration_leaves_settings_in_its_data_folder_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mine = dir.path().join("stile.toml");
    std::fs::write(&mine, "# mine\n").unwrap();
    let mut demo = command()
        .args(["demo", "--mqtt-port", "0", "--admin-port", "0", "--data-dir"])
        .arg(dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    within("the demonstration runs", || dir.path().join("stile.sock").exists().then_some(()));
    demo.kill().unwrap();
    demo.wait().unwrap();
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), "# mine\n");
}

#[test]
fn a_tap_of_no_message_at_all_is_a_wrong_argument() {
    let (code, _, said) = check(&["tap", "-n", "0"]);
    assert_eq!(code, 2, "{said}");
}
