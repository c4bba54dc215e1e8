//! Typed `provision.toml`: what a machine is told when it is provisioned, besides the gateway's settings. How each value
//! may look is said here, so that what Raspberry Pi Imager has written goes by the same rules.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::hat::Hat;
use super::secret::Secret;
use crate::password::Hash;

/// What it says. What it says nothing of stays as it is on the machine.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Provision {
    /// One label of RFC 1123.
    pub host_name: Option<String>,
    /// A name of the time zone database: `Europe/Vienna`.
    pub time_zone: Option<String>,
    /// Servers for the time, by name or address.
    pub ntp: Option<Vec<String>>,
    /// What is plugged onto the board.
    pub hat: Option<Hat>,
    /// Whether the header's UART is for a device.
    pub uart: Option<bool>,
    /// `[ssh]`.
    pub ssh: Ssh,
    /// `[wifi]`.
    pub wifi: Option<Wifi>,
    /// `[ethernet]`.
    pub ethernet: Option<Ethernet>,
    /// `[modem]`.
    pub modem: Option<Modem>,
    /// The code that makes whoever knows it the first admin.
    pub setup_code: Option<SetupCode>,
    /// `[secrets]`: texts that systemd hands to the gateway, by name.
    pub secrets: BTreeMap<String, Secret>,
}

/// `[ssh]`: who may sign in as root, by key alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ssh {
    /// `false` takes all keys away.
    pub enabled: Option<bool>,
    /// Public keys, as in a line of `authorized_keys` without options.
    pub keys: Vec<String>,
}

/// `[wifi]`: one network.
#[derive(Debug, Clone, PartialEq)]
pub struct Wifi {
    /// ISO 3166-1: whose rules for frequencies hold.
    pub country: Option<String>,
    /// 1 to 32 bytes.
    pub ssid: String,
    /// Without one the network is open.
    pub password: Option<WifiPassword>,
    /// It does not tell its name.
    pub hidden: bool,
    /// How this machine gets its address there.
    pub addresses: Addresses,
}

/// What opens a Wi-Fi network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WifiPassword {
    /// 8 to 63 printable characters of ASCII (IEEE 802.11, J.4.1).
    Passphrase(Secret),
    /// The key that is made of it: 64 hex digits.
    Key(Secret),
}

/// `[ethernet]`: the wired port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ethernet {
    /// The port's name; without it, any wired port.
    pub port: Option<String>,
    /// How this machine gets its address there.
    pub addresses: Addresses,
}

/// `[modem]`: the one for 4G or 5G.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modem {
    /// The access point of the card's operator.
    pub apn: String,
    /// Its AT port, where it dials by itself; without one, ModemManager has it and is asked to.
    pub port: Option<String>,
    /// Whether the card has a PIN; it stands among the secrets as [`PIN_SECRET`].
    pub has_pin: bool,
}

/// The name of the secret that a card's PIN is.
pub const PIN_SECRET: &str = "modem-pin";

/// How a machine gets its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addresses {
    /// It asks DHCP.
    Dhcp,
    /// It is told.
    Fixed {
        /// Its address and how many bits of that are the network's.
        address: (IpAddr, u8),
        /// Who knows the way elsewhere.
        gateway: Option<IpAddr>,
        /// Who knows names.
        dns: Vec<IpAddr>,
    },
}

/// The set-up code, as it was given.
#[derive(Debug, Clone, PartialEq)]
pub enum SetupCode {
    /// Itself, as [`crate::password::typed_code`] gives it.
    Plain(Secret),
    /// The hash of that.
    Hash(Hash),
}

/// The shortest set-up code, without dashes and blanks.
pub const CODE_LEAST: usize = 12;

/// The kinds of keys that OpenSSH takes by default (sshd_config(5), PubkeyAcceptedAlgorithms), by the name in the file.
const KEY_TYPES: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
];

/// The longest line with a key: RSA of 16,384 bits is below.
const KEY_MAX_BYTES: usize = 4096;

/// Whether a text is one label of a host's name (RFC 1123, 2.1).
pub fn is_host_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (1..=63).contains(&text.len()) && text.chars().all(fits) && !text.starts_with('-') && !text.ends_with('-')
}

/// Whether a text can be the name of a time zone; whether there is such a one the machine must know.
pub fn is_time_zone(text: &str) -> bool {
    let part = |part: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_+-".contains(c);
        !part.is_empty() && part.chars().all(fits)
    };
    text.len() <= 64 && text.split('/').all(part)
}

/// Whether a text is the code of a country.
pub fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Whether a text can be the name of a Wi-Fi network. More is possible than anybody uses: control characters are not taken.
pub fn is_ssid(text: &str) -> bool {
    (1..=32).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Whether a text is the name or address of a server.
pub(super) fn is_server(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".:-".contains(c);
    (1..=253).contains(&text.len()) && text.chars().all(fits) && !text.starts_with('-')
}

/// Whether a text is the path of a device that a modem's AT port can be.
pub(super) fn is_device(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "/._:+-".contains(c);
    let below = text.strip_prefix("/dev/").unwrap_or_default();
    (1..=200).contains(&below.len())
        && text.chars().all(fits)
        && below.split('/').all(|part| !["", ".."].contains(&part))
}

/// Whether a text is the name of a network port (the kernel's bound is 15 bytes).
pub(super) fn is_port_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=15).contains(&text.len()) && text.chars().all(fits)
}

impl WifiPassword {
    /// `None` where it can be neither.
    pub fn parse(text: &str) -> Option<Self> {
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        match text.len() {
            8..=63 if printable => Some(Self::Passphrase(Secret::new(text))),
            64 if text.bytes().all(|byte| byte.is_ascii_hexdigit()) => Some(Self::Key(Secret::new(text))),
            _ => None,
        }
    }
}

/// A line of `authorized_keys` without options, its blanks at the ends taken away.
///
/// # Errors
/// What it is instead.
pub fn ssh_key(line: &str) -> Result<String, &'static str> {
    let line = line.trim();
    if line.contains("PRIVATE KEY") {
        return Err("is a private key, which must not leave its owner's machine; write the line of the .pub file");
    }
    let mut parts = line.split_ascii_whitespace();
    let (kind, blob) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if line.len() > KEY_MAX_BYTES || line.chars().any(char::is_control) || !KEY_TYPES.contains(&kind) {
        return Err("is no public key of a known kind, such as `ssh-ed25519 AAAA... anna`");
    }
    // The key says its kind itself, behind the length of that (RFC 4253, 6.6).
    let bytes = STANDARD.decode(blob).unwrap_or_default();
    let expected = [&u32::try_from(kind.len()).unwrap_or_default().to_be_bytes()[..], kind.as_bytes()].concat();
    if !bytes.starts_with(&expected) || bytes.len() < expected.len() + 32 {
        return Err("is a public key that is damaged or cut off; copy the whole line");
    }
    Ok(line.to_owned())
}

impl Provision {
    /// This, and where it says nothing of something, what `other` says. Keys and secrets add up.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let mut secrets = other.secrets;
        secrets.extend(self.secrets);
        let mut keys = self.ssh.keys;
        let more: Vec<String> = other.ssh.keys.into_iter().filter(|key| !keys.contains(key)).collect();
        keys.extend(more);
        Self {
            host_name: self.host_name.or(other.host_name),
            time_zone: self.time_zone.or(other.time_zone),
            ntp: self.ntp.or(other.ntp),
            hat: self.hat.or(other.hat),
            uart: self.uart.or(other.uart),
            ssh: Ssh { enabled: self.ssh.enabled.or(other.ssh.enabled), keys },
            wifi: self.wifi.or(other.wifi),
            ethernet: self.ethernet.or(other.ethernet),
            modem: self.modem.or(other.modem),
            setup_code: self.setup_code.or(other.setup_code),
            secrets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICBsr+CWEeFeg9CG+6eXoD26gQ8REutiaUdz31K9a/bE anna@desk";

    #[test]
    fn a_key_is_a_whole_public_one() {
        assert_eq!(ssh_key(&format!(" {KEY}\r\n")), Ok(KEY.to_owned()));
        for (wrong, why) in [
            ("-----BEGIN OPENSSH PRIVATE KEY-----", "private"),
            (&KEY[..40], "cut off"),
            (&KEY.replace("ed25519 ", "rsa "), "damaged"),
            ("", "no public key"),
            ("ssh-dss AAAA", "no public key"),
            (&format!("command=\"x\" {KEY}"), "no public key"),
        ] {
            assert!(ssh_key(wrong).unwrap_err().contains(why), "{wrong}");
        }
    }

    #[test]
    fn names_are_what_the_machine_takes() {
        type Case<'a> = (fn(&str) -> bool, &'a [&'a str], &'a [&'a str]);
        let cases: [Case<'_>; 7] = [
            (is_host_name, &["roof", "Roof-2", "1"], &["", "a.b", "-a", "a-", "a b", "ä", &"a".repeat(64)[..]]),
            (is_time_zone, &["Europe/Vienna", "UTC", "Etc/GMT+5"], &["", "/etc", "../x", "a//b", "a/", "a b"]),
            (is_country, &["AT"], &["at", "AUT", ""]),
            (is_ssid, &["Net", "net \"x\" é"], &["", "a\nb", &"x".repeat(33)[..]]),
            (is_server, &["ntp.example.org", "2001:db8::1"], &["", "a b", "a\nb", "-x"]),
            (
                is_device,
                &["/dev/ttyUSB2", "/dev/serial/by-id/usb-Quectel_RM520N-if02-port0"],
                &["", "ttyUSB2", "/dev/", "/dev/../etc/shadow", "/dev/a\"b", "/dev//a"],
            ),
            (is_port_name, &["eth0", "end0"], &["", "a/b", "a b", "a0123456789abcdef"]),
        ];
        for (fits, good, bad) in cases {
            for text in good {
                assert!(fits(text), "{text}");
            }
            for text in bad {
                assert!(!fits(text), "{text}");
            }
        }
    }

    #[test]
    fn a_wifi_password_is_a_passphrase_or_a_key() {
        let passphrase = |text: &str| matches!(WifiPassword::parse(text), Some(WifiPassword::Passphrase(_)));
        assert!(passphrase("12345678") && passphrase(&"x".repeat(63)) && !passphrase("1234567"));
        assert!(matches!(WifiPassword::parse(&"0a".repeat(32)), Some(WifiPassword::Key(_))));
        assert!(WifiPassword::parse(&"x".repeat(64)).is_none() && WifiPassword::parse("pässwort").is_none());
        assert!(!format!("{:?}", WifiPassword::parse("12345678")).contains("1234"));
    }

    #[test]
    fn what_one_says_nothing_of_another_may_say_and_keys_add_up() {
        let one = Provision {
            host_name: Some("a".into()),
            ssh: Ssh { enabled: None, keys: vec!["k".into()] },
            ..Provision::default()
        };
        let other = Provision {
            host_name: Some("b".into()),
            time_zone: Some("UTC".into()),
            ssh: Ssh { enabled: Some(true), keys: vec!["k".into(), "l".into()] },
            ..Provision::default()
        };
        let both = one.or(other);
        assert_eq!((both.host_name.as_deref(), both.time_zone.as_deref()), (Some("a"), Some("UTC")));
        assert_eq!(both.ssh, Ssh { enabled: Some(true), keys: vec!["k".into(), "l".into()] });
    }
}
