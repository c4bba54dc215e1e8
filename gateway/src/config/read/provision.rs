//! Reads `provision.toml`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use super::cellular::{APN, is_apn, is_pin};
use super::filters::{placed_texts, texts};
use crate::config::hat::{Hat, hats};
use crate::config::notes::{Notes, Source, Spot};
use crate::config::problem::{Problems, plain};
use crate::config::provision::{
    Addresses, CODE_LEAST, Ethernet, Modem, PIN_SECRET, Provision, SetupCode, Ssh, Wifi, WifiPassword, is_country,
    is_device, is_host_name, is_port_name, is_server, is_ssid, is_time_zone, ssh_key,
};
use crate::config::secret::{MASK, Secret};
use crate::config::section::Section;
use crate::config::suggest::nearest;
use crate::config::tree::{self, Kind, Node, Value};
use crate::password::{Hash, typed_code};

/// More servers for the time than this are refused.
const SERVERS_MAX: usize = 8;
/// More secrets than this are refused.
const SECRETS_MAX: usize = 64;
/// The longest secret, in bytes: the gateway takes no longer one from a file.
const SECRET_MAX_BYTES: usize = 4096;

/// What the text of `path` says.
///
/// # Errors
/// All that is wrong with it, each with its line and remedy.
pub fn parse_provision(path: &Path, text: &str) -> Result<Provision, Problems> {
    let notes = Notes::default();
    let source = Arc::new(Source { path: path.into(), text: text.to_owned() });
    let root = tree::parse(&source, &notes);
    let read = read(Section::new("provision.toml", Spot::File(source, 0), root, &notes));
    let problems = Problems(notes.into_sorted(&[path.to_owned()]));
    if problems.errors() > 0 { Err(problems) } else { Ok(read) }
}

/// The keys among the lines of a file as `authorized_keys`.
///
/// # Errors
/// Each line that is none, with its place.
pub fn parse_ssh_keys(path: &Path, text: &str) -> Result<Vec<String>, Problems> {
    let notes = Notes::default();
    let source = Arc::new(Source { path: path.into(), text: text.to_owned() });
    let (mut keys, mut offset) = (Vec::new(), 0);
    for line in text.split_inclusive('\n') {
        let bare = line.trim().trim_start_matches('\u{feff}');
        if !bare.is_empty() && !bare.starts_with('#') {
            match ssh_key(bare) {
                Ok(key) => keys.push(key),
                Err(is) => {
                    let spot = Spot::File(Arc::clone(&source), offset);
                    notes.error(&spot, format!("this line {is}"), "write one public key a line, without options");
                }
            }
        }
        offset += line.len();
    }
    let problems = Problems(notes.into_sorted(&[path.to_owned()]));
    if problems.errors() > 0 { Err(problems) } else { Ok(keys) }
}

fn read(mut top: Section<'_>) -> Provision {
    let s = &mut top;
    let host_name = s.parsed("host-name", "1 to 63 letters, digits and dashes, without a dot", own(is_host_name));
    let time_zone = s.parsed("time-zone", "the name of a time zone, such as \"Europe/Vienna\"", own(is_time_zone));
    let ntp = servers(s);
    let hat = read_hat(s);
    let uart = s.boolean("uart");
    let ssh = read_ssh(s.section("ssh", "[ssh]"));
    let wifi = s.has("wifi").then(|| s.section("wifi", "[wifi]")).and_then(read_wifi);
    let ethernet = s.has("ethernet").then(|| read_ethernet(s.section("ethernet", "[ethernet]")));
    let setup_code = read_code(s.section("admin", "[admin]"));
    let mut secrets = read_secrets(s);
    let modem = s.has("modem").then(|| s.section("modem", "[modem]")).and_then(|modem| read_modem(modem, &mut secrets));
    top.finish();
    Provision { host_name, time_zone, ntp, hat, uart, ssh, wifi, ethernet, modem, setup_code, secrets }
}

/// The text itself, where it fits.
fn own(fits: fn(&str) -> bool) -> impl FnOnce(&str) -> Option<String> {
    move |text| fits(text).then(|| text.to_owned())
}

fn servers(section: &mut Section<'_>) -> Option<Vec<String>> {
    let servers = texts(section, "ntp", "the name of a server")?;
    if servers.len() > SERVERS_MAX {
        section.refuse("ntp", format!("has {} servers", servers.len()), format!("write at most {SERVERS_MAX}"));
    }
    for server in servers.iter().filter(|server| !is_server(server)) {
        section.refuse("ntp", format!("has `{}`, which is no name or address", plain(server)), "write a server's name");
    }
    Some(servers)
}

fn read_hat(section: &mut Section<'_>) -> Option<Hat> {
    let name = section.text("lora-hat")?;
    let mut hats = hats();
    let found = hats.remove(&name);
    if found.is_none() {
        let known: Vec<_> = hats.keys().map(String::as_str).collect();
        let remedy = match nearest(&name, known.iter().copied()) {
            Some(meant) => format!("write `{meant}`; known are: `{}`", known.join("`, `")),
            None => format!("write one of: `{}`", known.join("`, `")),
        };
        section.refuse("lora-hat", format!("is `{}`, which is not known", plain(&name)), remedy);
    }
    found
}

fn read_ssh(mut section: Section<'_>) -> Ssh {
    let enabled = section.boolean("enabled");
    let mut keys = Vec::new();
    for (text, spot) in placed_texts(&mut section, "keys", "a public key").unwrap_or_default() {
        match ssh_key(&text) {
            Ok(key) => keys.push(key),
            Err(is) => {
                section.notes.error(&spot, format!("a key in [ssh] {is}"), "write the line of a .pub file in quotes");
            }
        }
    }
    section.finish();
    Ssh { enabled, keys }
}

fn read_wifi(mut section: Section<'_>) -> Option<Wifi> {
    let s = &mut section;
    let country = s.parsed("country", "the code of a country in two capitals, such as \"AT\"", own(is_country));
    let ssid = s.parsed("ssid", "the name of a network, 1 to 32 bytes", own(is_ssid));
    s.require("ssid", "write `ssid = \"the network's name\"`");
    s.require("country", "write `country = \"AT\"`, the country where the machine stands");
    let password = s.text("password");
    let parsed = password.as_deref().and_then(WifiPassword::parse);
    if password.is_some() && parsed.is_none() {
        let remedy = "write the passphrase, 8 to 63 characters of ASCII, or the key, 64 hex digits";
        s.refuse("password", "can't be that of a Wi-Fi network", remedy);
    }
    let hidden = s.boolean("hidden").unwrap_or(false);
    let addresses = addresses(s);
    section.finish();
    ssid.map(|ssid| Wifi { country, ssid, password: parsed, hidden, addresses })
}

fn read_ethernet(mut section: Section<'_>) -> Ethernet {
    let port = section.parsed("port", "the name of a network port, such as \"eth0\"", own(is_port_name));
    let addresses = addresses(&mut section);
    section.finish();
    Ethernet { port, addresses }
}

/// Its PIN goes to the secrets: it is kept like them.
fn read_modem(mut section: Section<'_>, secrets: &mut BTreeMap<String, Secret>) -> Option<Modem> {
    let s = &mut section;
    let apn = s.parsed("apn", APN, own(is_apn));
    s.require("apn", "write the access point of the card's operator, such as `apn = \"internet\"`");
    let port = s.parsed("port", "the modem's AT port, such as \"/dev/ttyUSB2\"", own(is_device));
    let pin = s.text("pin");
    let has_pin = pin.is_some();
    if let Some(pin) = pin {
        if !is_pin(&pin) {
            s.refuse("pin", "can't be that of a SIM card", "write its 4 to 8 digits in quotes");
        } else if secrets.insert(PIN_SECRET.to_owned(), Secret::new(pin)).is_some() {
            s.refuse(
                "pin",
                format!("stands beside `{PIN_SECRET}` in [secrets], which is the same"),
                "keep one of the two",
            );
        }
    }
    section.finish();
    Some(Modem { apn: apn?, port, has_pin })
}

fn addresses(section: &mut Section<'_>) -> Addresses {
    let address = section.parsed("address", "an address with the bits of its network, \"192.0.2.10/24\"", prefixed);
    let ip = |text: &str| text.parse::<IpAddr>().ok();
    let gateway = section.parsed("gateway", "an IP address", ip);
    let mut dns = Vec::new();
    for text in texts(section, "dns", "an IP address").unwrap_or_default() {
        match ip(&text) {
            Some(address) => dns.push(address),
            None => section.refuse("dns", format!("has `{}`, which is no IP address", plain(&text)), "write addresses"),
        }
    }
    for key in ["gateway", "dns"].into_iter().filter(|key| section.has(key) && !section.has("address")) {
        section.refuse(key, "is there without `address`", "write `address` too, or leave all to DHCP");
    }
    match address {
        Some(address) => {
            if gateway.is_some_and(|gateway| gateway.is_ipv4() != address.0.is_ipv4()) {
                section.refuse(
                    "gateway",
                    "is of another version of IP than `address`",
                    "write one of the same network",
                );
            }
            Addresses::Fixed { address, gateway, dns }
        }
        None => Addresses::Dhcp,
    }
}

fn prefixed(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let (address, bits) = (address.parse::<IpAddr>().ok()?, bits.parse::<u8>().ok()?);
    let most = if address.is_ipv4() { 32 } else { 128 };
    (1..=most).contains(&bits).then_some((address, bits))
}

fn read_code(mut section: Section<'_>) -> Option<SetupCode> {
    let (code, hash) = (section.text("setup-code"), section.text("setup-code-hash"));
    let read = match (code, hash) {
        (Some(_), Some(_)) => {
            section.refuse("setup-code-hash", "stands beside `setup-code`", "keep one of the two");
            None
        }
        (Some(code), None) => {
            let code = typed_code(&code);
            let fits = code.len() >= CODE_LEAST && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !fits {
                let remedy = format!("write at least {CODE_LEAST} letters and digits that nobody guesses");
                section.refuse("setup-code", "is too short, or has other signs than letters and digits", remedy);
            }
            fits.then(|| SetupCode::Plain(Secret::new(code)))
        }
        (None, Some(hash)) => Hash::parse(&hash)
            .map_err(|is| section.refuse("setup-code-hash", is, "write the code itself, as `setup-code`"))
            .ok()
            .map(SetupCode::Hash),
        (None, None) => None,
    };
    section.finish();
    read
}

fn read_secrets(top: &mut Section<'_>) -> BTreeMap<String, Secret> {
    let table = top.table("secrets").unwrap_or_default();
    if table.len() > SECRETS_MAX {
        top.refuse("secrets", format!("has {} keys", table.len()), format!("write at most {SECRETS_MAX}"));
        return BTreeMap::new();
    }
    let mut secrets = BTreeMap::new();
    for (name, entry) in table {
        if !((1..=super::NAME_MAX_CHARACTERS).contains(&name.len()) && name.chars().all(super::name_character)) {
            let what = format!("`{}` in [secrets] is no name", plain(&name));
            top.notes.error(&entry.key, what, "write 1 to 64 of the characters A-Z a-z 0-9 _ -");
            continue;
        }
        match entry.node.resolve(&[Kind::Text]) {
            Node { value: Value::Text(text), .. }
                if (1..=SECRET_MAX_BYTES).contains(&text.len()) && text != MASK && !text.contains('\0') =>
            {
                secrets.insert(name, Secret::new(text));
            }
            node => {
                let what = format!("`{name}` in [secrets] is no text that can be a secret");
                let remedy = format!("write the secret in quotes, 1 to {SECRET_MAX_BYTES} bytes");
                top.notes.error(&node.spot, what, remedy);
            }
        }
    }
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICBsr+CWEeFeg9CG+6eXoD26gQ8REutiaUdz31K9a/bE anna@desk";

    fn problems(text: &str) -> Vec<String> {
        let problems = parse_provision(Path::new("p"), text).unwrap_err();
        problems.0.iter().map(|problem| format!("{}: {}", problem.place, problem.what)).collect()
    }

    #[test]
    fn everything_is_read() {
        let text = format!(
            "host-name = \"roof\"\ntime-zone = \"Europe/Vienna\"\nntp = [\"a.example\", \"192.0.2.1\"]\nlora-hat = \"rak2287\"\n\
             uart = true\n[ssh]\nkeys = [\"{KEY}\"]\n[wifi]\ncountry = \"AT\"\nssid = \"Net\"\npassword = \"long enough\"\n\
             hidden = true\n[ethernet]\nport = \"eth0\"\naddress = \"192.0.2.10/24\"\ngateway = \"192.0.2.1\"\n\
             dns = [\"192.0.2.1\"]\n[modem]\napn = \"internet\"\npin = \"0123\"\nport = \"/dev/ttyUSB2\"\n[admin]\nsetup-code = \"ABCD-efgh-2345\"\n[secrets]\ncloud = \"s3cret\"\n"
        );
        let read = parse_provision(Path::new("p"), &text).unwrap();
        let wifi = read.wifi.unwrap();
        assert_eq!((read.host_name.as_deref(), read.ssh.keys, read.uart), (Some("roof"), vec![KEY.into()], Some(true)));
        assert_eq!((wifi.hidden, wifi.addresses), (true, Addresses::Dhcp));
        assert_eq!(read.setup_code, Some(SetupCode::Plain(Secret::new("abcdefgh2345"))));
        let address = ("192.0.2.10".parse().unwrap(), 24);
        let router: IpAddr = "192.0.2.1".parse().unwrap();
        let fixed = Addresses::Fixed { address, gateway: Some(router), dns: vec![router] };
        assert_eq!(read.ethernet, Some(Ethernet { port: Some("eth0".into()), addresses: fixed }));
        assert_eq!(read.hat, hats().remove("rak2287"));
        assert_eq!((read.secrets["cloud"].expose(), read.secrets[PIN_SECRET].expose()), ("s3cret", "0123"));
        let modem = Modem { apn: "internet".into(), port: Some("/dev/ttyUSB2".into()), has_pin: true };
        assert_eq!(read.modem, Some(modem));
        assert_eq!(parse_provision(Path::new("p"), ""), Ok(Provision::default()));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_with_its_line_and_no_secret_with_it() {
        let text = "host-name = \"a.b\"\nhostname = \"x\"\nlora-hat = \"rak2288\"\n[wifi]\nssid = \"\"\n\
                    password = \"short\"\n[ethernet]\ngateway = \"192.0.2.1\"\naddress = \"192.0.2.10\"\n[ssh]\nkeys = [\"x\"]\n\
                    [admin]\nsetup-code = \"hunter2\"\n[secrets]\n\"a b\" = \"hunter2\"\nc = 5\n";
        let said = problems(text);
        for (at, expected) in [
            "p:1:13: `host-name`",
            "p:2:1: unknown key `hostname`",
            "p:3:12: `lora-hat` in provision.toml is `rak2288`",
            "p:4:1: `country` is missing",
            "p:5:8: `ssid`",
            "p:6:12: `password`",
            "p:9:11: `address`",
            "p:11:9: a key in [ssh] is no public key",
            "p:13:14: `setup-code`",
            "p:15:1: `a b` in [secrets] is no name",
            "p:16:5: `c` in [secrets]",
        ]
        .iter()
        .enumerate()
        {
            assert!(said[at].starts_with(expected), "{expected}: {said:#?}");
        }
        assert_eq!(said.len(), 11, "{said:#?}");
        assert!(!said.join("").contains("hunter2") && !said.join("").contains("short`"), "{said:#?}");
        assert!(problems("[wifi]\nssid=\"a\"\ncountry=\"AT\"\ndns=[\"192.0.2.1\"]")[0].contains("without `address`"));
    }

    #[test]
    fn what_is_wrong_of_a_modem_is_told_without_its_pin() {
        for (text, expected) in [
            ("", "p:1:1: `apn` is missing"),
            ("apn='a b'", "p:2:5: `apn`"),
            ("apn='a'\npin='77712a'", "p:3:5: `pin` in [modem] can't be that of a SIM card"),
            ("apn='a'\npin='7771'\n[secrets]\nmodem-pin='7771'", "p:3:5: `pin` in [modem] stands beside `modem-pin`"),
            ("apn='a'\nport='ttyUSB2'", "p:3:6: `port`"),
            ("apn='a'\nuser='x'", "p:3:1: unknown key `user`"),
        ] {
            let said = problems(&format!("[modem]\n{text}"));
            assert!(said.len() == 1 && said[0].starts_with(expected) && !said[0].contains("7771"), "{text}: {said:?}");
        }
        let number = problems("[modem]\napn='a'\npin=77712");
        assert!(number.len() == 1 && number[0].starts_with("p:3:5: ") && !number[0].contains("77712"), "{number:?}");
    }

    #[test]
    fn a_file_of_keys_names_each_line_that_is_none() {
        let text = format!("# Anna\r\n{KEY}\r\n\r\nrubbish\r\n");
        let said = parse_ssh_keys(Path::new("k"), &text).unwrap_err().to_string();
        assert!(said.starts_with("k:4:1: this line is no public key"), "{said}");
        assert_eq!(parse_ssh_keys(Path::new("k"), &text.replace("rubbish", "#")), Ok(vec![KEY.into()]));
    }
}
