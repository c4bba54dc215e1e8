//! What Raspberry Pi Imager leaves on the boot partition.
//!
//! Its forms, by its source (raspberrypi/rpi-imager, `customization_generator.cpp`) and by what reads them:
//! - 2.x, for systems with cloud-init: `user-data` and `network-config`;
//! - `custom.toml`, which Raspberry Pi OS bookworm reads (raspberrypi-sys-mods, `init_config`);
//! - before that, and for systems that it does not know: `firstrun.sh`. It is never run: a gateway runs no script off a card.
//!
//! What can't be honoured is noted and never refused, since whoever used the form of Imager has not written these files.

use serde::Deserialize;

use super::yaml::{self, Yaml};
use crate::config::{
    Addresses, Provision, Ssh, Wifi, WifiPassword, is_country, is_host_name, is_ssid, is_time_zone, ssh_key,
};

/// What was found, as it was written.
#[derive(Debug, Default)]
pub(super) struct Found {
    host_name: Option<String>,
    time_zone: Option<String>,
    keys: Vec<String>,
    /// SSH is wanted.
    ssh: bool,
    ssid: Option<String>,
    password: Option<String>,
    hidden: bool,
    country: Option<String>,
    /// There is a user with a password.
    user: bool,
    /// What else was there, by its key.
    more: Vec<String>,
}

/// A note on a file that is only wiped.
pub(super) fn not_taken(name: &str) -> String {
    let why = match name {
        "firstrun.sh" => {
            "was not run, since no script off the card is. Write what it did into provision.toml (docs/provision.md)"
        }
        "ssh" => "has no effect: SSH is by key alone. Put a file authorized_keys there",
        _ => "has no effect: there are no users with passwords. Put a file authorized_keys there for SSH as root",
    };
    format!("- not honoured: {name} {why}")
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Custom {
    system: System,
    user: User,
    ssh: CustomSsh,
    wlan: Wlan,
    locale: Locale,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct System {
    hostname: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct User {
    name: Option<String>,
    password: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CustomSsh {
    enabled: bool,
    authorized_keys: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wlan {
    ssid: Option<String>,
    password: Option<String>,
    hidden: bool,
    country: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Locale {
    keymap: Option<String>,
    timezone: Option<String>,
}

/// Reads `custom.toml`.
///
/// # Errors
/// What is wrong, with its line.
pub(super) fn custom(text: &str, found: &mut Found) -> Result<(), String> {
    let Custom { system, user, ssh, wlan, locale } = toml::from_str(text).map_err(|error| {
        let line =
            error.span().map_or(1, |span| text[..text.floor_char_boundary(span.start)].matches('\n').count() + 1);
        format!("line {line}: {}", error.message())
    })?;
    found.host_name = found.host_name.take().or(system.hostname);
    found.time_zone = found.time_zone.take().or(locale.timezone);
    found.user |= user.name.is_some() || user.password.is_some();
    found.ssh |= ssh.enabled;
    // Keys of a service that is switched off let nobody in.
    found.keys.extend(ssh.authorized_keys.into_iter().filter(|_| ssh.enabled));
    found.country = found.country.take().or(wlan.country);
    if let Some(ssid) = wlan.ssid.filter(|ssid| !ssid.is_empty()) {
        (found.ssid, found.password, found.hidden) = (Some(ssid), wlan.password, wlan.hidden);
    }
    found.more.extend(locale.keymap.map(|_| "keymap".to_owned()));
    Ok(())
}

/// Keys of `user-data` that ask for nothing that matters here: Imager always writes them.
const OF_NO_MATTER: [&str; 5] = ["manage_etc_hosts", "manage_resolv_conf", "packages", "apt", "preserve_hostname"];

/// Reads cloud-init's `user-data`, where it is YAML.
///
/// # Errors
/// What is wrong, with its line.
pub(super) fn user_data(text: &str, found: &mut Found) -> Result<(), String> {
    let read = yaml::parse(text)?;
    let text = |value: &Yaml| value.text().map(str::to_owned).filter(|text| !text.is_empty());
    for (key, value) in read.entries() {
        match key.as_str() {
            "hostname" => found.host_name = text(value),
            "timezone" => found.time_zone = text(value),
            "enable_ssh" | "ssh_pwauth" => found.ssh |= value.is_true(),
            "ssh_authorized_keys" => found.keys.extend(value.items().iter().filter_map(text)),
            "users" => value.items().iter().for_each(|user| of_user(user, found)),
            key if OF_NO_MATTER.contains(&key) => {}
            key => found.more.push(key.to_owned()),
        }
    }
    Ok(())
}

fn of_user(user: &Yaml, found: &mut Found) {
    // `default` is a text, and stands for whoever the system has anyway.
    found.user |= user.get("name").is_some();
    let keys = user.get("ssh_authorized_keys").map(Yaml::items).unwrap_or_default();
    found.keys.extend(keys.iter().filter_map(Yaml::text).map(str::to_owned));
}

/// Reads cloud-init's `network-config`, version 2.
///
/// # Errors
/// What is wrong, with its line.
pub(super) fn network(text: &str, found: &mut Found) -> Result<(), String> {
    let read = yaml::parse(text)?;
    let network = read.get("network").unwrap_or(&read);
    let ports = |kind: &str| network.get(kind).map(Yaml::entries).unwrap_or_default();
    if ports("ethernets").iter().chain(ports("wifis")).any(|(_, port)| port.get("addresses").is_some()) {
        found.more.push("addresses".to_owned());
    }
    for (_, port) in ports("wifis") {
        let text = |value: &Yaml, key: &str| value.get(key).and_then(Yaml::text).map(str::to_owned);
        found.country = text(port, "regulatory-domain").or(found.country.take());
        // More than one is more than a gateway needs.
        if let Some((ssid, point)) = port.get("access-points").and_then(|points| points.entries().first()) {
            let within = point.get("auth").and_then(|auth| text(auth, "password"));
            found.ssid = Some(ssid.clone());
            found.password = text(point, "password").or(within).filter(|password| !password.is_empty());
            found.hidden = point.get("hidden").is_some_and(Yaml::is_true);
        }
    }
    Ok(())
}

impl Found {
    /// What of it is taken, and notes on the rest. `has_zone` says whether the machine knows a time zone.
    pub(super) fn into_provision(self, has_zone: impl Fn(&str) -> bool) -> (Provision, Vec<String>) {
        let mut notes = Vec::new();
        let mut note = |what: &str| notes.push(format!("- not honoured: {what}"));
        let mut taken = |what: &str, value: Option<String>, fits: &dyn Fn(&str) -> bool| {
            let good = value.as_deref().is_none_or(fits);
            if !good {
                note(&format!("the {what} of Raspberry Pi Imager, which can't be used here"));
            }
            value.filter(|_| good)
        };
        let host_name = taken("host name", self.host_name, &is_host_name);
        let time_zone = taken("time zone", self.time_zone, &|zone| is_time_zone(zone) && has_zone(zone));
        let country = taken("country", self.country, &is_country);
        let ssid = taken("Wi-Fi network", self.ssid, &is_ssid);
        let fits = |text: &str| WifiPassword::parse(text).is_some();
        let given = self.password.is_some();
        let password = taken("Wi-Fi password", self.password, &fits).and_then(|text| WifiPassword::parse(&text));
        let (keys, bad): (Vec<_>, Vec<_>) = self.keys.iter().map(|key| ssh_key(key)).partition(Result::is_ok);
        let keys: Vec<String> = keys.into_iter().flatten().collect();
        if !bad.is_empty() {
            note("a key of Raspberry Pi Imager that is no public key");
        }
        if self.ssh && keys.is_empty() {
            note("SSH, which is by key alone, and there is no key");
        }
        if self.user {
            note("a user and a password: there are no users with passwords; with a key, `ssh root@...`");
        }
        for key in self.more {
            note(&format!("{} of Raspberry Pi Imager", key.escape_debug()));
        }
        // Without the password that was meant, an open network of that name would be taken.
        let wifi = ssid.filter(|_| password.is_some() || !given).map(|ssid| Wifi {
            country,
            ssid,
            password,
            hidden: self.hidden,
            addresses: Addresses::Dhcp,
        });
        let provision =
            Provision { host_name, time_zone, wifi, ssh: Ssh { enabled: None, keys }, ..Provision::default() };
        (provision, notes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICBsr+CWEeFeg9CG+6eXoD26gQ8REutiaUdz31K9a/bE anna@desk";

    fn taken(read: impl Fn(&mut Found)) -> (Provision, String) {
        let mut found = Found::default();
        read(&mut found);
        let (provision, notes) = found.into_provision(|zone| zone == "Europe/Vienna");
        (provision, notes.join("\n"))
    }

    /// As Imager 2.0 writes them, in its order.
    #[test]
    fn what_imager_writes_for_cloud_init_is_taken_and_the_user_noted() {
        let user_data = format!(
            "#cloud-config\nmanage_resolv_conf: false\nhostname: roof\nmanage_etc_hosts: true\npackages:\n- avahi-daemon\napt:\n\
             \x20 preserve_sources_list: true\n  conf: |\n    Acquire {{\n      Check-Date \"false\";\n    }};\n\
             timezone: Europe/Vienna\nkeyboard:\n  model: pc105\n  layout: \"at\"\nusers:\n- name: anna\n  groups: users,sudo\n\
             \x20 shell: /bin/bash\n  lock_passwd: false\n  passwd: \"$5$x$y\"\n  ssh_authorized_keys:\n    - {KEY}\n\
             \x20 sudo: ALL=(ALL) NOPASSWD:ALL\nenable_ssh: true\nssh_pwauth: false\n"
        );
        let key = "0a".repeat(32);
        let network_config = format!(
            "network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n      optional: true\n  wifis:\n    wlan0:\n\
             \x20     dhcp4: true\n      regulatory-domain: \"AT\"\n      access-points:\n        \"My \\\"net\\\"\":\n\
             \x20         hidden: true\n          password: \"{key}\"\n      optional: true\n"
        );
        let (read, notes) = taken(|found| {
            super::user_data(&user_data, found).unwrap();
            network(&network_config, found).unwrap();
        });
        assert_eq!((read.host_name.as_deref(), read.time_zone.as_deref()), (Some("roof"), Some("Europe/Vienna")));
        assert_eq!(read.ssh.keys, [KEY]);
        let wifi = read.wifi.unwrap();
        assert_eq!((&*wifi.ssid, wifi.country.as_deref(), wifi.hidden), ("My \"net\"", Some("AT"), true));
        assert_eq!(wifi.password, WifiPassword::parse(&key));
        assert!(notes.contains("a user and a password") && notes.contains("keyboard"), "{notes}");
        assert_eq!(notes.lines().count(), 2, "{notes}");
    }

    #[test]
    fn what_it_writes_for_bookworm_is_taken_too() {
        let text = format!(
            "config_version = 1\n[system]\nhostname = \"roof\"\n[user]\nname = \"anna\"\npassword = \"$5$x\"\n\
             password_encrypted = true\n[ssh]\nenabled = true\npassword_authentication = false\nauthorized_keys = [\"{KEY}\"]\n\
             [wlan]\nssid = \"Net\"\npassword = \"long enough\"\npassword_encrypted = false\nhidden = false\ncountry = \"AT\"\n\
             [locale]\nkeymap = \"at\"\ntimezone = \"Mars/Olympus\"\n"
        );
        let (read, notes) = taken(|found| custom(&text, found).unwrap());
        assert_eq!((read.host_name.as_deref(), read.time_zone), (Some("roof"), None));
        assert_eq!((read.ssh.keys.len(), read.wifi.unwrap().ssid.as_str()), (1, "Net"));
        assert!(notes.contains("time zone") && notes.contains("a user") && notes.contains("keymap"), "{notes}");
        let broken = custom("[system]\nhostname = \n", &mut Found::default()).unwrap_err();
        assert!(broken.starts_with("line 2: "), "{broken}");
    }

    #[test]
    fn what_can_not_be_used_is_noted_and_leaves_nothing_open() {
        let (read, notes) = taken(|found| {
            *found = Found {
                host_name: Some("a b".into()),
                ssh: true,
                keys: vec!["rubbish".into()],
                ssid: Some("Net".into()),
                password: Some("short".into()),
                ..Found::default()
            };
        });
        assert_eq!(read, Provision::default());
        assert_eq!(notes.lines().count(), 4, "{notes}");
        assert!(!notes.contains("short") && !notes.contains("rubbish"));
    }
}
