//! Which files of the machine something that is wanted makes. Reads what is there where a file is not ours alone.

use std::fs;
use std::io;
use std::path::Path;

use super::wanted::Wanted;
use super::wanted::handed_over_as;
use crate::config::{Addresses, Ethernet, Modem, PIN_SECRET, Provision, SetupCode, Wifi, WifiPassword};
use crate::password::Hash;

/// Where the gateway's settings are, below the root.
pub(super) const SETTINGS: &str = "etc/stile/stile.toml";
/// Those that provisioning makes itself.
pub(super) const OWN_SETTINGS: &str = "etc/stile/conf.d/provision.toml";
/// The radio that a modem is.
pub(super) const MODEM: &str = "etc/stile/conf.d/provision-modem.toml";
/// Secrets that systemd hands over (`LoadCredential=` in stile.service).
pub(super) const CREDENTIALS: &str = "etc/stile/credentials";
/// Public keys of root. There is no SSH without the file.
pub(super) const KEYS: &str = "etc/ssh/authorized_keys";

const HOSTS: &str = "etc/hosts";
const WIRED: &str = "etc/systemd/network/10-stile-wired.network";
const WIRELESS: &str = "etc/systemd/network/10-stile-wireless.network";
const WPA: &str = "etc/wpa_supplicant/wpa_supplicant-wlan0.conf";
const NTP: &str = "etc/chrony/sources.d/stile.sources";

const HEAD: &str = "# Written by `stile provision`.\n";

/// Wi-Fi's routes are behind those of a wired port, which have 1024 or less; the image's own file has the same.
const WIFI_METRIC: u16 = 2048;

/// A change of one file, its path below the root.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    File { path: String, text: String, mode: u32 },
    Link { path: &'static str, to: String },
    Gone { path: &'static str },
}

impl Piece {
    pub(super) fn path(&self) -> &str {
        match self {
            Self::File { path, .. } => path,
            Self::Link { path, .. } | Self::Gone { path } => path,
        }
    }

    fn open(path: &str, text: String) -> Self {
        Self::File { path: path.to_owned(), text, mode: 0o644 }
    }

    fn secret(path: &str, text: String, mode: u32) -> Self {
        Self::File { path: path.to_owned(), text, mode }
    }
}

/// All of them, the gateway's settings last: what these name is there by then.
///
/// # Errors
/// In words, when the system has no random numbers, or a file can't be read.
pub(super) fn of(wanted: &Wanted, root: &Path) -> Result<Vec<Piece>, String> {
    let Provision { host_name, time_zone, ntp, wifi, ethernet, secrets, .. } = &wanted.provision;
    let mut pieces = Vec::new();
    if let Some(name) = host_name {
        let hosts = read_or(root, HOSTS, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")?;
        pieces.push(Piece::open(HOSTS, hosts_with(&hosts, name)));
        pieces.push(Piece::open("etc/hostname", format!("{name}\n")));
    }
    if let Some(zone) = time_zone {
        pieces.push(Piece::Link { path: "etc/localtime", to: format!("/usr/share/zoneinfo/{zone}") });
        pieces.push(Piece::open("etc/timezone", format!("{zone}\n")));
    }
    if let Some(servers) = ntp {
        let lines: String = servers.iter().map(|server| format!("server {server} iburst\n")).collect();
        pieces.push(Piece::open(NTP, format!("{HEAD}{lines}")));
    }
    pieces.extend(ssh(&wanted.provision));
    if let Some(wifi) = wifi {
        pieces.push(Piece::secret(WPA, wpa(wifi), 0o600));
        pieces.push(network(WIRELESS, "Type=wlan\n", Some(WIFI_METRIC), &wifi.addresses));
    }
    if let Some(Ethernet { port, addresses }) = ethernet {
        let which = port.as_ref().map_or("Type=ether\nKind=!*\n".to_owned(), |port| format!("Name={port}\n"));
        pieces.push(network(WIRED, &which, None, addresses));
    }
    let credential = |name: &String| format!("{CREDENTIALS}/{name}");
    pieces.extend(secrets.iter().map(|(name, text)| Piece::secret(&credential(name), text.expose().into(), 0o600)));
    if let Some(code) = &wanted.provision.setup_code {
        pieces.push(Piece::secret(OWN_SETTINGS, own_settings(&hash_of(code)?), 0o640));
    }
    if let Some(modem) = &wanted.provision.modem {
        pieces.push(Piece::secret(MODEM, radio_of(modem), 0o640));
    }
    if let Some(text) = &wanted.settings {
        pieces.push(Piece::secret(SETTINGS, text.clone(), 0o640));
    }
    Ok(pieces)
}

fn read_or(root: &Path, path: &str, otherwise: &str) -> Result<String, String> {
    match fs::read_to_string(root.join(path)) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(otherwise.to_owned()),
        Err(error) => Err(format!("{}: {error}", root.join(path).display())),
    }
}

/// The text of `hosts` in which the machine knows itself by this name (hosts(5); 127.0.1.1 is Debian's way).
fn hosts_with(hosts: &str, name: &str) -> String {
    let is_own = |line: &&str| line.split_ascii_whitespace().next() != Some("127.0.1.1");
    let kept: String = hosts.lines().filter(is_own).map(|line| format!("{line}\n")).collect();
    format!("{kept}127.0.1.1\t{name}\n")
}

/// SSH is there when a key is.
fn ssh(provision: &Provision) -> Option<Piece> {
    let keys = &provision.ssh.keys;
    match provision.ssh.enabled {
        Some(false) => Some(Piece::Gone { path: KEYS }),
        _ if keys.is_empty() => None,
        _ => Some(Piece::open(KEYS, format!("{HEAD}{}\n", keys.join("\n")))),
    }
}

/// wpa_supplicant.conf(5). The name is in hex, so that no sign in it means anything there.
fn wpa(wifi: &Wifi) -> String {
    let country = wifi.country.as_ref().map(|country| format!("country={country}\n")).unwrap_or_default();
    let name: String = wifi.ssid.bytes().map(|byte| format!("{byte:02x}")).collect();
    let hidden = if wifi.hidden { "\tscan_ssid=1\n" } else { "" };
    let opened_by = match &wifi.password {
        // WPA2 and WPA3 with one passphrase; what is between quotes is taken as it is, up to the last one.
        Some(WifiPassword::Passphrase(text)) => {
            format!("\tkey_mgmt=WPA-PSK SAE\n\tieee80211w=1\n\tpsk=\"{}\"\n", text.expose())
        }
        Some(WifiPassword::Key(key)) => format!("\tkey_mgmt=WPA-PSK\n\tpsk={}\n", key.expose()),
        None => "\tkey_mgmt=NONE\n".to_owned(),
    };
    format!("{HEAD}ctrl_interface=/run/wpa_supplicant\n{country}network={{\n\tssid={name}\n{hidden}{opened_by}}}\n")
}

/// systemd.network(5). Without addresses the image's own files ask DHCP; with some this stands in their place, so that it says
/// the rest of what they say.
fn network(path: &'static str, which: &str, metric: Option<u16>, addresses: &Addresses) -> Piece {
    let Addresses::Fixed { address: (address, bits), gateway, dns } = addresses else { return Piece::Gone { path } };
    let dns: String = dns.iter().map(|address| format!("DNS={address}\n")).collect();
    let line = metric.map(|metric| format!("Metric={metric}\n")).unwrap_or_default();
    let route = gateway.map(|gateway| format!("\n[Route]\nGateway={gateway}\n{line}")).unwrap_or_default();
    let advertised = metric.map(|metric| format!("\n[IPv6AcceptRA]\nRouteMetric={metric}\n")).unwrap_or_default();
    let network = format!("Address={address}/{bits}\n{dns}MulticastDNS=yes\n");
    Piece::open(path, format!("{HEAD}[Match]\n{which}\n[Network]\n{network}{route}{advertised}"))
}

fn hash_of(code: &SetupCode) -> Result<Hash, String> {
    match code {
        SetupCode::Hash(hash) => Ok(hash.clone()),
        SetupCode::Plain(code) => Hash::of(code.expose()),
    }
}

/// The file of settings that lets the set-up code be known. A hash has no quotation marks (PHC).
fn own_settings(hash: &Hash) -> String {
    format!(
        "{HEAD}# Whoever knows the code may set up the admin page, as long as nobody has.\n[admin]\nsetup-code-hash = \"{}\"\n",
        hash.expose()
    )
}

/// The file of settings that makes a radio of a modem. What is told here has no quotation marks.
pub(super) fn radio_of(Modem { apn, port, has_pin }: &Modem) -> String {
    let way = port.as_ref().map_or_else(
        || "via = \"modem-manager\"\nconnect = true\n".to_owned(),
        |port| format!("device = \"{port}\"\n"),
    );
    let pin =
        if *has_pin { format!("pin-file = \"{}\"\n", handed_over_as(PIN_SECRET).display()) } else { String::new() };
    format!("{HEAD}[[radio]]\nname = \"modem\"\nkind = \"cellular\"\n{way}apn = \"{apn}\"\n{pin}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Secret, Ssh};

    fn text_of(provision: Provision, path: &str) -> Option<String> {
        let root = tempfile::tempdir().unwrap();
        let wanted = Wanted { provision, settings: None, notes: Vec::new() };
        let found = of(&wanted, root.path()).unwrap().into_iter().find(|piece| piece.path() == path)?;
        match found {
            Piece::File { text, .. } => Some(text),
            Piece::Link { to, .. } => Some(to),
            Piece::Gone { .. } => Some("gone".to_owned()),
        }
    }

    fn wifi(password: Option<WifiPassword>, hidden: bool) -> Wifi {
        let addresses = Addresses::Dhcp;
        Wifi { country: Some("AT".into()), ssid: "a\"b".into(), password, hidden, addresses }
    }

    #[test]
    fn a_wifi_network_is_written_as_wpa_supplicant_reads_it() {
        for (password, hidden, lines) in [
            (Some("a \"pass\"phrase"), false, "\tkey_mgmt=WPA-PSK SAE\n\tieee80211w=1\n\tpsk=\"a \"pass\"phrase\"\n"),
            (Some(&*"0a".repeat(32)), false, &*format!("\tkey_mgmt=WPA-PSK\n\tpsk={}\n", "0a".repeat(32))),
            (None, true, "\tscan_ssid=1\n\tkey_mgmt=NONE\n"),
        ] {
            let wifi = wifi(password.and_then(WifiPassword::parse), hidden);
            let text = text_of(Provision { wifi: Some(wifi), ..Provision::default() }, WPA).unwrap();
            assert!(text.contains("country=AT\n") && text.contains("\tssid=612262\n"), "{text}");
            assert!(text.ends_with(&format!("\n{lines}}}\n")), "{text}");
        }
        let provision = Provision { wifi: Some(wifi(None, false)), ..Provision::default() };
        assert_eq!(text_of(provision, WIRELESS).as_deref(), Some("gone"), "no address of an earlier network stays");
        let (address, gateway) = (("192.0.2.20".parse().unwrap(), 24), "192.0.2.1".parse().ok());
        let addresses = Addresses::Fixed { address, gateway, dns: Vec::new() };
        let provision = Provision { wifi: Some(Wifi { addresses, ..wifi(None, false) }), ..Provision::default() };
        let expected = "[Match]\nType=wlan\n\n[Network]\nAddress=192.0.2.20/24\nMulticastDNS=yes\n\n\
                        [Route]\nGateway=192.0.2.1\nMetric=2048\n\n[IPv6AcceptRA]\nRouteMetric=2048\n";
        assert_eq!(text_of(provision, WIRELESS), Some(format!("{HEAD}{expected}")), "the wired port's routes go first");
    }

    #[test]
    fn each_setting_makes_its_file_and_what_is_not_said_makes_none() {
        let text = "host-name = \"roof\"\ntime-zone = \"Europe/Vienna\"\nntp = [\"a.example\"]\n[ethernet]\nport = \"eth0\"\n\
                    address = \"192.0.2.10/24\"\ngateway = \"192.0.2.1\"\ndns = [\"192.0.2.2\"]\n";
        let provision = crate::config::parse_provision(Path::new("p"), text).unwrap();
        for (path, expected) in [
            ("etc/hostname", "roof\n"),
            (HOSTS, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\troof\n"),
            ("etc/localtime", "/usr/share/zoneinfo/Europe/Vienna"),
            ("etc/timezone", "Europe/Vienna\n"),
            (NTP, "# Written by `stile provision`.\nserver a.example iburst\n"),
            (
                WIRED,
                "# Written by `stile provision`.\n[Match]\nName=eth0\n\n[Network]\nAddress=192.0.2.10/24\nDNS=192.0.2.2\n\
                 MulticastDNS=yes\n\n[Route]\nGateway=192.0.2.1\n",
            ),
        ] {
            assert_eq!(text_of(provision.clone(), path).as_deref(), Some(expected), "{path}");
        }
        for path in [WPA, KEYS, SETTINGS, OWN_SETTINGS, MODEM] {
            assert_eq!(text_of(provision.clone(), path), None, "{path}");
        }
        assert_eq!(hosts_with("127.0.0.1 localhost\n127.0.1.1 old\n", "new"), "127.0.0.1 localhost\n127.0.1.1\tnew\n");
    }

    #[test]
    fn a_modem_is_a_radio_by_its_port_or_by_modem_manager() {
        for (port, has_pin, expected) in [
            (
                Some("/dev/ttyUSB2"),
                true,
                "device = \"/dev/ttyUSB2\"\napn = \"internet\"\npin-file = \"/run/credentials/stile.service/stile_modem-pin\"\n",
            ),
            (None, false, "via = \"modem-manager\"\nconnect = true\napn = \"internet\"\n"),
        ] {
            let modem = Some(Modem { apn: "internet".into(), port: port.map(str::to_owned), has_pin });
            let text = text_of(Provision { modem, ..Provision::default() }, MODEM).unwrap();
            assert_eq!(text, format!("{HEAD}[[radio]]\nname = \"modem\"\nkind = \"cellular\"\n{expected}"));
        }
    }

    #[test]
    fn ssh_is_there_when_a_key_is_and_goes_when_it_is_switched_off() {
        for (enabled, keys, expected) in [
            (None, vec![], None),
            (Some(true), vec!["k"], Some("# Written by `stile provision`.\nk\n")),
            (None, vec!["k", "l"], Some("# Written by `stile provision`.\nk\nl\n")),
            (Some(false), vec!["k"], Some("gone")),
        ] {
            let ssh = Ssh { enabled, keys: keys.into_iter().map(str::to_owned).collect() };
            assert_eq!(text_of(Provision { ssh, ..Provision::default() }, KEYS).as_deref(), expected);
        }
    }

    #[test]
    fn the_set_up_code_is_known_by_its_hash_alone() {
        let setup_code = Some(SetupCode::Plain(Secret::new("abcdefgh2345")));
        let text = text_of(Provision { setup_code, ..Provision::default() }, OWN_SETTINGS).unwrap();
        assert!(text.contains("setup-code-hash = \"$argon2id$") && !text.contains("abcdefgh2345"), "{text}");
    }
}
