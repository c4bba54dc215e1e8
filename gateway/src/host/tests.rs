use super::*;

/// A made-up machine with these files.
fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let host = Host { root: dir.path().to_owned(), data_dir: dir.path().to_owned() };
    (dir, host)
}

#[test]
fn a_raspberry_pi_says_what_it_has() {
    let (_dir, host) = machine(&[
        ("proc/meminfo", "MemTotal:         948012 kB\nMemFree:           96144 kB\nMemAvailable:     612340 kB\n"),
        ("proc/self/status", "Name:\tstile\nVmHWM:\t   31000 kB\nVmRSS:\t   29012 kB\nThreads:\t4\n"),
        ("proc/uptime", "3600.52 7000.10\n"),
        ("proc/loadavg", "0.42 0.31 0.20 1/180 4242\n"),
        ("sys/class/thermal/thermal_zone0/temp", "48312\n"),
        ("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n"),
        ("sys/class/thermal/cooling_device0/type", "Processor\n"),
    ]);
    let facts = host.facts();
    assert_eq!(facts.memory, Some(Space { total: 948_012 << 10, available: 612_340 << 10 }));
    assert_eq!(facts.process_bytes, Some(29_012 << 10));
    assert_eq!(facts.up_seconds, Some(3600));
    assert_eq!(facts.load, Some([0.42, 0.31, 0.2]));
    assert_eq!(facts.temperature, Some(48.312));
    let disk = facts.disk.unwrap();
    assert!(disk.total >= disk.available && disk.total > 0, "{disk:?}");
    assert!(serde_json::to_string(&facts).unwrap().contains(r#""clock":""#));
}

#[test]
fn what_a_sandbox_hides_is_unknown() {
    let (_dir, mut host) = machine(&[("proc/self/status", "VmRSS: 1 kB\n")]);
    host.data_dir = "/nowhere/at/all".into();
    let facts = host.facts();
    assert_eq!((facts.disk, facts.memory, facts.temperature, facts.load), (None, None, None, None));
    assert_eq!(facts.process_bytes, Some(1024));
}

#[test]
fn the_processor_goes_before_what_is_hotter_and_sensors_that_are_not_there_do_not_count() {
    let zone = |number: usize, kind: &str, temp: &str| {
        let folder = format!("sys/class/thermal/thermal_zone{number}");
        [(format!("{folder}/type"), kind.to_owned()), (format!("{folder}/temp"), temp.to_owned())]
    };
    let hottest = |zones: &[[(String, String); 2]]| {
        let files: Vec<_> = zones.iter().flatten().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let (_dir, host) = machine(&files);
        host.temperature()
    };
    let (wifi, package) = (zone(0, "iwlwifi_1", "71000"), zone(1, "x86_pkg_temp", "52000"));
    assert_eq!(hottest(&[wifi.clone(), package.clone(), zone(2, "cpu0-thermal", "55000")]), Some(55.0));
    assert_eq!(hottest(&[wifi.clone(), zone(1, "acpitz", "27800")]), Some(71.0));
    assert_eq!(hottest(&[zone(0, "cpu", "-274000"), zone(1, "cpu", "hot"), zone(2, "cpu", "")]), None);
    assert_eq!(hottest(&[zone(0, "cpu", "999999"), wifi]), Some(71.0));
}

#[test]
fn nonsense_is_unknown_and_a_file_without_an_end_is_not_read_to_it() {
    let long = "x".repeat(1 << 20);
    for text in ["", "MemTotal:", "MemTotal: many kB\nMemAvailable: 1 kB", "MemTotal: 99999999999999999999 kB", &long] {
        let (_dir, host) = machine(&[("proc/meminfo", text)]);
        assert_eq!(host.facts().memory, None);
    }
    for text in ["", "1", "1 2 x", "NaN NaN NaN"] {
        let (_dir, host) = machine(&[("proc/loadavg", text)]);
        assert_eq!(host.facts().load, None, "{text}");
    }
    let (dir, host) = machine(&[]);
    fs::create_dir(dir.path().join("proc")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", dir.path().join("proc/meminfo")).unwrap();
    assert_eq!(host.facts().memory, None);
}

#[test]
fn this_machine_says_something() {
    let facts = Host::new(Path::new("/tmp")).facts();
    assert!(facts.process_bytes.is_some_and(|bytes| bytes > 1 << 20) && facts.processors >= 1, "{facts:?}");
}
