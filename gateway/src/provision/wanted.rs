//! All input put together and checked as a whole, against the machine that it is for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::imager::{self, Found};
use super::input::{Input, Kind, problem};
use super::pieces::{CREDENTIALS, KEYS, MODEM, SETTINGS, radio_of};
use super::place::HAT;
use crate::config::{self, Place, Problem, Problems, Provision, Secret, Texts};

/// What connects a modem that has no port of its own to dial by.
const MODEM_MANAGER: &str = "usr/sbin/ModemManager";
/// Where systemd puts what it hands over (stile.service; systemd.exec(5), CREDENTIALS).
const HANDED_OVER: &str = "/run/credentials/stile.service";

/// What the machine is to become.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) provision: Provision,
    /// The gateway's settings, where there are new ones.
    pub(super) settings: Option<String>,
    /// What is done, and what is not, a line each.
    pub(super) notes: Vec<String>,
}

/// # Errors
/// All that is wrong, in whichever file.
pub(super) fn gather(input: &[Input], boot: &Path, root: &Path) -> Result<Wanted, Problems> {
    let (mut problems, mut notes) = (Vec::new(), Vec::new());
    let (mut own, mut keys) = (Provision::default(), Provision::default());
    let mut found = Found::default();
    let mut settings = None;
    for Input { name, kind, text } in input {
        let path = boot.join(name);
        let read = match kind {
            Kind::Settings => {
                settings = Some(text.clone());
                Ok(())
            }
            Kind::Provision => config::parse_provision(&path, text).map(|read| own = read),
            Kind::Keys => config::parse_ssh_keys(&path, text).map(|read| keys.ssh.keys = read),
            Kind::Custom => imager::custom(text, &mut found).map_err(|why| in_file(&path, why)),
            Kind::UserData => imager::user_data(text, &mut found).map_err(|why| in_file(&path, why)),
            Kind::Network => imager::network(text, &mut found).map_err(|why| in_file(&path, why)),
            Kind::Script | Kind::User | Kind::Ssh => {
                notes.push(imager::not_taken(name));
                Ok(())
            }
        };
        problems.extend(read.err().map(|read| read.0).unwrap_or_default());
    }
    let (imager, more) = found.into_provision(|zone| has_zone(root, zone));
    notes.extend(more);
    let files = Files { boot, root };
    problems.extend(files.check(&own, &keys));
    let provision = own.or(keys).or(imager);
    if settings.is_some() || provision.modem.is_some() {
        problems.extend(check_settings(settings.as_deref(), &provision, boot, root));
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    notes.splice(0..0, done(&provision, settings.is_some()));
    Ok(Wanted { provision, settings, notes })
}

fn in_file(path: &Path, why: String) -> Problems {
    let remedy = "correct it, or remove it and write provision.toml, which docs/provision.md explains";
    Problems(vec![problem(path, why, remedy)])
}

/// Whether the machine knows a time zone.
fn has_zone(root: &Path, name: &str) -> bool {
    root.join("usr/share/zoneinfo").join(name).is_file()
}

struct Files<'a> {
    boot: &'a Path,
    root: &'a Path,
}

impl Files<'_> {
    /// What the machine has not got.
    fn check(&self, own: &Provision, keys: &Provision) -> Vec<Problem> {
        let path = self.boot.join("provision.toml");
        let mut problems = Vec::new();
        if let Some(zone) = own.time_zone.as_ref().filter(|zone| !has_zone(self.root, zone)) {
            let what = format!("`time-zone` is `{zone}`, which this machine does not know");
            problems.push(problem(
                &path,
                what,
                "write one of `timedatectl list-timezones`, or remove it: UTC it is then",
            ));
        }
        let none = own.ssh.keys.is_empty() && keys.ssh.keys.is_empty() && !self.root.join(KEYS).exists();
        if own.ssh.enabled == Some(true) && none {
            let what = "`enabled` in [ssh] is true, and there is no key; SSH is by key alone".to_owned();
            problems.push(problem(
                &path,
                what,
                "write `keys = [\"ssh-ed25519 ...\"]`, or put a file authorized_keys there",
            ));
        }
        let dials = own.modem.as_ref().is_none_or(|modem| modem.port.is_some());
        if !dials && !self.root.join(MODEM_MANAGER).exists() {
            let what =
                "[modem] has no `port`, and this machine has no ModemManager to connect it, as the image has none";
            let remedy = "write `port = \"/dev/ttyUSB2\"`, the AT port of a modem that connects by itself";
            problems.push(problem(&path, what.to_owned(), remedy));
        }
        let lines = own.hat.as_ref().map(|hat| hat.lines.len()).unwrap_or_default();
        if (lines > 0 || own.uart == Some(true)) && !self.firmware_reads_hat() {
            let what = format!("has no line `include {HAT}`, which `lora-hat` and `uart` need");
            let remedy = "add the line at its end; without a config.txt this is no Raspberry Pi: remove the two";
            problems.push(problem(&self.boot.join("config.txt"), what, remedy));
        }
        problems
    }

    fn firmware_reads_hat(&self) -> bool {
        let includes = |line: &str| line.split_ascii_whitespace().eq(["include", HAT]);
        let text = config::read_text(&self.boot.join("config.txt"));
        text.is_ok_and(|text| text.is_some_and(|text| text.lines().any(includes)))
    }
}

/// What is wrong with the gateway's settings as they are to be, told of the file where they stand now.
fn check_settings(text: Option<&str>, provision: &Provision, boot: &Path, root: &Path) -> Vec<Problem> {
    let (place, modem) = (root.join(SETTINGS), root.join(MODEM));
    let mut all = there(root);
    all.extend(provision.secrets.clone());
    let new = [(place.clone(), text.map(str::to_owned)), (modem.clone(), provision.modem.as_ref().map(radio_of))];
    let instead: Texts = new.into_iter().filter(|(_, text)| text.is_some()).collect();
    let Err(Problems(mut problems)) = config::load_provisioned(&place, &instead, handed_over(&all)) else {
        return Vec::new();
    };
    for problem in &mut problems {
        if let Place::At { file, .. } | Place::Whole(file) = &mut problem.place
            && *file == place
        {
            *file = boot.join("stile.toml");
        }
        if matches!(&problem.place, Place::At { file, .. } if *file == modem) && provision.modem.is_some() {
            problem.place = Place::Whole(boot.join("provision.toml"));
        }
    }
    problems
}

/// Secrets that earlier input has brought.
fn there(root: &Path) -> BTreeMap<String, Secret> {
    let Ok(entries) = fs::read_dir(root.join(CREDENTIALS)) else { return BTreeMap::new() };
    let read = entries.flatten().filter_map(|entry| {
        let text = config::read_text(&entry.path()).ok()??;
        Some((entry.file_name().into_string().ok()?, Secret::new(text.trim_end_matches(['\r', '\n']))))
    });
    read.take(256).collect()
}

/// Secrets by the files in which the gateway will find them.
pub(super) fn handed_over(secrets: &BTreeMap<String, Secret>) -> BTreeMap<PathBuf, Secret> {
    secrets.iter().map(|(name, text)| (handed_over_as(name), text.clone())).collect()
}

/// The file in which the gateway will find a secret.
pub(super) fn handed_over_as(name: &str) -> PathBuf {
    PathBuf::from(format!("{HANDED_OVER}/stile_{name}"))
}

/// What was done, for who reads the card; no secret is in it.
fn done(provision: &Provision, settings: bool) -> Vec<String> {
    let Provision { host_name, time_zone, ntp, hat, ssh, wifi, ethernet, modem, setup_code, secrets, .. } = provision;
    let keys = ssh.keys.len();
    let lines = [
        settings.then(|| "the gateway's settings are those of stile.toml".to_owned()),
        host_name.as_ref().map(|name| format!("the machine's name is {name}")),
        time_zone.as_ref().map(|zone| format!("the time zone is {zone}")),
        ntp.as_ref().map(|servers| format!("the time comes from {}", servers.join(", "))),
        hat.as_ref().map(|hat| format!("the board is: {}", hat.about)),
        (ssh.enabled == Some(false)).then(|| "SSH is off".to_owned()),
        (ssh.enabled != Some(false) && keys > 0).then(|| format!("root may sign in by SSH with {keys} key(s)")),
        wifi.as_ref().map(|wifi| format!("the Wi-Fi network is {}", wifi.ssid)),
        ethernet.as_ref().map(|_| "the wired port is set".to_owned()),
        modem.as_ref().map(|modem| format!("the modem is the radio `modem`, its access point {}", modem.apn)),
        setup_code.as_ref().map(|_| "the set-up code is known".to_owned()),
        (!secrets.is_empty()).then(|| format!("secrets: {}", secrets.keys().cloned().collect::<Vec<_>>().join(", "))),
    ];
    let head = "Stile has taken what was on this card, and wiped it here. Done:".to_owned();
    std::iter::once(head).chain(lines.into_iter().flatten().map(|line| format!("- {line}"))).collect()
}
