//! `stile user`: the file that it writes, what it prints, and that a running gateway acts at once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use stile_tests::packet::{Connect, RawPacket, V5};
use stile_tests::{Authority, RawClient, Stile, check, command, mosquitto_pub, skip};

const GROUP: &str =
    "[[broker.group]]\nname = \"devices\"\npublish = [\"d/%u/#\"]\nsubscribe = [\"d/%u/#\", \"c/%c\"]\n";
const KNOWS: &str = "the running gateway knows\n";
const NOBODY: &str = "no gateway is running here\n";

/// Settings on disk, and `stile user` with them.
struct Place<'a>(&'a Path);

impl Place<'_> {
    fn run_with(&self, arguments: &[&str], input: &str) -> (i32, String, String) {
        let mut command = command();
        let (verb, rest) = arguments.split_first().unwrap();
        command.args(["user", verb, "--config"]).arg(self.0.join("stile.toml")).args(rest);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        // It may end without reading.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        self.run_with(arguments, "")
    }

    /// Runs it; it must succeed. Gives what it prints.
    #[track_caller]
    fn good(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.run(arguments);
        assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}: {out}");
        out
    }

    /// Runs it; it must fail. Gives its complaint.
    #[track_caller]
    fn bad(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.run(arguments);
        assert_eq!((code, out.as_str()), (1, ""), "{arguments:?}: {err}");
        err
    }

    fn file(&self) -> PathBuf {
        self.0.join("data/users.toml")
    }
}

fn password(printed: &str) -> String {
    let line = printed.lines().find_map(|line| line.strip_prefix("password, shown this once: "));
    line.unwrap_or_else(|| panic!("no password in {printed}")).to_owned()
}

#[track_caller]
fn connect(stile: &Stile, user: &'static str, password: &str) -> RawClient {
    RawClient::with(stile.mqtt, &Connect::new(V5, user).by(user, password))
}

fn code(stile: &Stile, user: &'static str, password: &str) -> u8 {
    RawClient::meet(stile.mqtt, &Connect::new(V5, user).by(user, password)).1.body[1]
}

fn dismissed(client: RawClient) {
    assert_eq!(client.expect_closed(), [RawPacket { first: 0xe0, body: vec![0x98] }]);
}

#[test]
fn a_running_gateway_acts_at_once_on_users_that_come_change_and_go() {
    let stile = Stile::start(GROUP);
    let place = Place(stile.dir.path());
    let nameless = RawClient::connect(stile.mqtt, V5, "nameless");
    let printed = place.good(&["add", "dev", "--group", "devices", "--publish", "more/#"]);
    assert!(printed.starts_with("dev: added\n") && printed.ends_with(KNOWS), "{printed}");
    dismissed(nameless);
    let first = password(&printed);
    let mut dev = connect(&stile, "dev", &first);
    assert_eq!(dev.publish_coded(1, "d/dev/x", ""), Some(0));
    assert_eq!(dev.publish_coded(1, "more/x", ""), Some(0));
    assert_eq!(dev.publish_coded(1, "d/other/x", ""), Some(0x87));

    let printed = place.good(&["passwd", "dev"]);
    assert!(printed.ends_with(KNOWS), "{printed}");
    dismissed(dev);
    let second = password(&printed);
    assert_ne!(first, second);
    assert_eq!((code(&stile, "dev", &first), code(&stile, "dev", &second)), (0x86, 0));

    let (status, printed, _) = place.run_with(&["add", "ops", "--all", "--password-stdin"], "of my own\n");
    assert_eq!((status, printed), (0, format!("ops: added\n{KNOWS}")));
    let mut ops = connect(&stile, "ops", "of my own");
    assert_eq!(ops.subscribe(&[("#", 0), ("$SYS/#", 0)], &[]), [0, 0]);
    assert_eq!(place.good(&["remove", "ops"]), format!("ops: removed\n{KNOWS}"));
    // Figures of the broker may have come before.
    assert_eq!(ops.expect_closed().last().map(|packet| packet.first), Some(0xe0));
    assert_eq!(code(&stile, "ops", "of my own"), 0x86);

    place.good(&["remove", "dev"]);
    let (_, connack) = RawClient::meet(stile.mqtt, &Connect::new(V5, "nameless"));
    assert_eq!(connack.body[1], 0x87, "the last user is gone, and a name is asked for nevertheless");
    let log = format!("{:?}", stile.log());
    assert!(!log.contains(&first) && !log.contains("of my own") && !log.contains("$argon2"), "no secret is logged");
}

#[test]
fn users_outlive_a_restart_and_rights_that_are_changed_by_hand_count_after_a_reload() {
    let mut stile = Stile::start(GROUP);
    let first = password(&Place(stile.dir.path()).good(&["add", "dev", "--publish", "a"]));
    stile.stop();
    let dir = std::mem::replace(&mut stile.dir, tempfile::tempdir().unwrap());
    let stile = Stile::start_in(dir, "", GROUP);
    let place = Place(stile.dir.path());
    let mut dev = connect(&stile, "dev", &first);
    assert_eq!((dev.publish_coded(1, "a", ""), dev.publish_coded(1, "b", "")), (Some(0), Some(0x87)));
    let text = std::fs::read_to_string(place.file()).unwrap();
    std::fs::write(place.file(), text.replace("publish = [\"a\"]", "publish = [\"b\"]")).unwrap();
    assert_eq!(stile.reload("", GROUP)["message"], "reload done");
    assert_eq!((dev.publish_coded(1, "a", ""), dev.publish_coded(1, "b", "")), (Some(0x87), Some(0)));
}

#[test]
fn a_damaged_file_stops_nothing_and_the_last_good_users_stand() {
    let stile = Stile::start(GROUP);
    let place = Place(stile.dir.path());
    let first = password(&place.good(&["add", "dev", "--publish", "a"]));
    let good = std::fs::read_to_string(place.file()).unwrap();
    let damaged = good.replace("publish", "pubish");
    std::fs::write(place.file(), &damaged).unwrap();
    assert_eq!(stile.reload("", GROUP)["message"], "reload done");
    let said = stile.wait_log("users.toml is damaged; the last good users stand")["error"].to_string();
    assert!(said.contains("users.toml:") && said.contains("remedy: rename it to `publish`"), "{said}");
    connect(&stile, "dev", &first);
    // `stile user` says the same, and leaves the file as it is.
    for verb in [&["add", "x", "--all"][..], &["remove", "dev"], &["passwd", "dev"], &["list"]] {
        assert!(place.bad(verb).contains("rename it to `publish`"), "{verb:?}");
    }
    assert_eq!(std::fs::read_to_string(place.file()).unwrap(), damaged);
    std::fs::write(place.file(), good).unwrap();
    place.good(&["add", "y", "--all"]);
    connect(&stile, "dev", &first);
}

#[test]
fn a_gateway_that_starts_with_a_damaged_file_lets_nobody_in_by_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("data")).unwrap();
    std::fs::write(dir.path().join("data/users.toml"), "[[user\n").unwrap();
    let (tls, ca) = certificates(dir.path());
    let stile = Stile::start_in(dir, "", &tls);
    stile.wait_log("users.toml is damaged; the last good users stand");
    let (_, connack) = RawClient::meet(stile.mqtt, &Connect::new(V5, "nameless"));
    assert_eq!(connack.body[1], 0x87);
    assert_eq!(code(&stile, "anna", "x"), 0x86);
    assert!(!by_certificate(&stile, &ca, "anna"));
}

/// `[broker.tls]` by which a certificate stands for a user, and who signs such.
fn certificates(dir: &Path) -> (String, Authority) {
    let ca = Authority::new(dir, "ca");
    ca.sign("server", Some("stile"));
    let files = "certificate = \"server.pem\"\nkey = \"server.key\"\nclient-ca = \"ca.pem\"\n";
    (format!("[broker.tls]\nlisten = [\"127.0.0.1:0\"]\n{files}client-certificate-user = true\n"), ca)
}

/// Whether somebody with a certificate of this name may publish.
fn by_certificate(stile: &Stile, ca: &Authority, name: &str) -> bool {
    let (certificate, key) = ca.sign("client", Some(name));
    let [ca, certificate, key] = [&ca.file, &certificate, &key].map(|path| path.to_str().unwrap());
    let files = ["--cafile", ca, "--cert", certificate, "--key", key];
    let message = ["-t", "a", "-m", "x", "-q", "1", "-i", "id"];
    let output = mosquitto_pub(stile.door("listening for MQTT over TLS"), "mqttv5", &[&files[..], &message].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.is_empty() || said.contains("Not authorized"), "{said}");
    said.is_empty()
}

#[test]
fn a_user_who_is_known_by_his_certificate_may_do_nothing_any_more_when_he_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (tls, ca) = certificates(dir.path());
    let stile = Stile::start_in(dir, "", &format!("{GROUP}{tls}"));
    let place = Place(stile.dir.path());
    assert!(by_certificate(&stile, &ca, "dev"), "there are no users");
    place.good(&["add", "dev", "--publish", "b"]);
    assert!(!by_certificate(&stile, &ca, "dev"));
    assert!(place.good(&["remove", "dev"]).contains("a certificate with this name still connects"));
    assert!(!by_certificate(&stile, &ca, "dev"));
}

#[test]
fn the_first_user_can_be_added_where_the_settings_lack_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place(dir.path());
    let settings = format!("[gateway]\ndata-dir = \"data\"\n[broker]\nlisten = [\"0.0.0.0:1\"]\n{GROUP}");
    let file = dir.path().join("stile.toml");
    std::fs::write(&file, &settings).unwrap();
    let check_settings = || check(&["check", file.to_str().unwrap()]);
    let (code, _, said) = check_settings();
    assert!(code == 78 && said.contains("stile user add"), "{said}");
    assert!(place.good(&["add", "dev", "--group", "devices"]).ends_with(NOBODY));
    assert_eq!(check_settings().0, 0);
    assert_eq!(std::fs::metadata(place.file()).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(place.file()).unwrap();
    assert!(text.contains("password-hash = \"$argon2id$v=19$m=19456,t=2,p=1$") && text.contains("made = "), "{text}");
    // Other problems are told as ever.
    std::fs::write(&file, settings.replace("data-dir", "datadir")).unwrap();
    let (code, _, said) = place.run(&["list"]);
    assert!(code == 78 && said.contains("rename it to `data-dir`"), "{said}");
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place(dir.path());
    let own = "[[broker.user]]\nname = \"own\"\npassword = \"p\"\n";
    std::fs::write(dir.path().join("stile.toml"), format!("[gateway]\ndata-dir = \"data\"\n{own}{GROUP}")).unwrap();
    place.good(&["add", "dev", "--group", "devices"]);
    for (arguments, said) in [
        (&["add", "dev", "--all"][..], "there already; `stile user passwd`"),
        (&["add", "own", "--all"], "stands in the settings"),
        (&["remove", "own"], "stands in the settings"),
        (&["passwd", "own"], "stands in the settings"),
        (&["add", "x", "--group", "devcies"], "no group `devcies`"),
        (&["add", "x", "--publish", "a/#/b"], "the filter `a/#/b`"),
        (&["add", "x", "--subscribe", "$share/g/a"], "shared subscription"),
        (&["add", "a\nb", "--all"], "without control characters"),
        (&["add", "x", "--all", "--password-stdin"], "the password is empty"),
        (&["remove", "nobody"], "no user `nobody`"),
        (&["passwd", "nobody"], "no user `nobody`"),
        (&["may", "nobody", "publish", "a"], "no user `nobody`"),
        (&["may", "dev", "publish", "a/+"], "wildcard"),
    ] {
        let complaint = place.bad(arguments);
        assert!(complaint.contains(said) && complaint.starts_with("stile: "), "{arguments:?}: {complaint}");
    }
    for arguments in [&["add", "x"][..], &["add", "x", "--all", "--publish", "a"], &["may", "dev", "fly", "a"]] {
        assert_eq!(place.run(arguments).0, 2, "{arguments:?}");
    }
}

#[test]
fn the_list_and_the_answers_say_what_a_gateway_does() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place(dir.path());
    let own = "[[broker.user]]\nname = \"own\"\npassword = \"p\"\n";
    std::fs::write(dir.path().join("stile.toml"), format!("[gateway]\ndata-dir = \"data\"\n{own}{GROUP}")).unwrap();
    place.good(&["add", "dev", "--group", "devices", "--subscribe", "news/#"]);
    let list = place.good(&["list"]);
    let rows: Vec<Vec<_>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1], ["dev", "users.toml", "as", "devices;", "subscribe", "news/#"]);
    assert_eq!(rows[2], ["own", "settings", "everything"]);
    for (arguments, expected) in [
        (&["may", "dev", "publish", "d/dev/x"][..], (0, "yes: the right `d/%u/#` of the group `devices`\n")),
        (&["may", "dev", "publish", "d/x"], (1, "no: no right to publish covers it\n")),
        (&["may", "dev", "subscribe", "news/#"], (0, "yes: the right `news/#`\n")),
        (&["may", "dev", "subscribe", "#"], (1, "no: it is wider than the right `news/#`\n")),
        (&["may", "dev", "subscribe", "c/1", "--client", "1"], (0, "yes: the right `c/%c` of the group `devices`\n")),
        (&["may", "own", "publish", "anything"], (0, "yes: the user may do everything\n")),
    ] {
        let (code, out, _) = place.run(arguments);
        assert_eq!((code, out.as_str()), expected, "{arguments:?}");
    }
}

#[test]
fn root_writes_for_the_gateways_own_user_and_gives_it_no_other_file() {
    if !rustix::process::geteuid().is_root() {
        return skip("only root can make files for another user: run it as root");
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let of_root = dir.path().join("of-root");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(&of_root, "secret").unwrap();
    // What the gateway's user could do in his folder.
    for link in ["users.toml.lock", "users.toml.new"] {
        std::os::unix::fs::symlink(&of_root, data.join(link)).unwrap();
    }
    std::os::unix::fs::chown(&data, Some(4711), Some(4712)).unwrap();
    std::fs::write(dir.path().join("stile.toml"), "[gateway]\ndata-dir = \"data\"\n").unwrap();
    let place = Place(dir.path());
    place.good(&["add", "dev", "--all"]);
    let owner = |path: &Path| std::fs::metadata(path).map(|there| (there.uid(), there.gid())).unwrap();
    assert_eq!(owner(&place.file()), (4711, 4712));
    assert_eq!(owner(&of_root).0, 0);
    assert_eq!(std::fs::read_to_string(&of_root).unwrap(), "secret");
}

#[test]
fn a_change_that_is_killed_at_any_moment_leaves_a_whole_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("stile.toml"), "[gateway]\ndata-dir = \"data\"\n").unwrap();
    let place = Place(dir.path());
    place.good(&["add", "first", "--all"]);
    for round in 0..20_u64 {
        let mut child = command()
            .args(["user", "passwd", "first", "--config"])
            .arg(dir.path().join("stile.toml"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Somewhere in between, and now and then not before the end.
        std::thread::sleep(std::time::Duration::from_millis(10 * round));
        let _ = child.kill();
        child.wait().unwrap();
        assert!(place.good(&["list"]).contains("first"), "{round}");
    }
    place.good(&["passwd", "first"]);
}
