//! Tries the documentation: every command, every settings file and every link in README.md and docs/*.md.
//!
//! Each page is walked from its top in one temporary folder, like a reader who types what it says. docs/README.md states
//! the marks of code blocks and what is put in the place of the ports; `page.rs` reads pages, `walk.rs` does what they
//! say, `sources.rs` finds the daemon's own words.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod filters;
mod page;
mod sources;
mod walk;

use std::path::PathBuf;

use self::page::{Block, Kind, blocks, source};
use self::walk::{root, walk};

/// The text of a file of the repository.
fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

macro_rules! pages {
    ($($test:ident: $path:literal,)*) => {
        /// The pages that are walked.
        const PAGES: &[&str] = &[$($path),*];
        $(#[test]
        fn $test() {
            let page = read($path);
            walk($path, page::given(&page), &blocks(&page).unwrap_or_else(|what| panic!("{}: {what}", $path)));
        })*
    };
}

pages! {
    the_front_page_works: "README.md",
    the_page_of_pages_works: "docs/README.md",
    connecting_a_serial_device_works: "docs/connect-a-serial-device.md",
    connecting_a_lora_gateway_works: "docs/connect-a-lora-gateway.md",
    connecting_a_basics_station_works: "docs/connect-a-basics-station.md",
    connecting_a_concentratord_works: "docs/connect-a-concentratord.md",
    framings_work: "docs/framings.md",
    modbus_works: "docs/modbus.md",
    sending_to_a_device_works: "docs/send-to-a-device.md",
    using_a_lora_modem_works: "docs/use-a-lora-modem.md",
    measuring_a_5g_modem_works: "docs/measure-a-5g-modem.md",
    exporting_measurements_works: "docs/export-measurements.md",
    measuring_the_network_works: "docs/probe.md",
    simulating_works: "docs/simulate.md",
    configuring_works: "docs/configure.md",
    mqtt_clients_work: "docs/mqtt-clients.md",
    users_and_rights_work: "docs/users-and-rights.md",
    mqtt_over_tls_works: "docs/mqtt-over-tls.md",
    forwarding_to_a_broker_works: "docs/forward-to-a-broker.md",
    forwarding_to_azure_iot_hub_works: "docs/forward-to-azure-iot-hub.md",
    sharing_with_a_policy_works: "docs/share-with-a-policy.md",
    watching_a_running_gateway_works: "docs/watch-a-running-gateway.md",
    asking_a_gateway_elsewhere_works: "docs/ask-a-gateway-elsewhere.md",
    running_as_a_service_works: "docs/run-as-a-service.md",
    updating_an_appliance_works: "docs/update.md",
    provisioning_works: "docs/provision.md",
    installing_the_package_works: "docs/install-the-package.md",
    flashing_the_image_works: "docs/flash-the-image.md",
    messages_and_topics_work: "docs/messages-and-topics.md",
    writing_a_filter_works: "docs/write-a-filter.md",
    testing_a_filter_works: "docs/test-a-filter.md",
    filters_in_javascript_work: "docs/filter-in-javascript.md",
    filters_in_python_work: "docs/filter-in-python.md",
    filters_in_c_work: "docs/filter-in-c.md",
    the_filter_downsample_works: "docs/plugin-downsample.md",
    the_filter_redact_works: "docs/plugin-redact.md",
    the_filter_lpp_works: "docs/plugin-lpp.md",
    the_filter_geofence_works: "docs/plugin-geofence.md",
    the_filter_parking_works: "docs/plugin-parking.md",
    the_filter_water_works: "docs/plugin-water.md",
    the_filter_meter_works: "docs/plugin-meter.md",
    the_filter_thermostat_works: "docs/plugin-thermostat.md",
    the_filter_falls_works: "docs/plugin-falls.md",
    the_filter_telecare_works: "docs/plugin-telecare.md",
    the_filter_threshold_works: "docs/plugin-threshold.md",
    plugins_work: "docs/plugins.md",
    signing_plugins_works: "docs/sign-plugins.md",
    what_plugins_cost_works: "docs/plugin-costs.md",
    what_is_in_the_spool_works: "docs/spool.md",
    the_admin_page_works: "docs/admin-page.md",
    troubleshooting_works: "docs/troubleshooting.md",
}

fn markdown_in(folder: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

#[test]
fn every_page_of_the_documentation_is_walked() {
    let mut there: Vec<String> =
        markdown_in("docs").iter().map(|path| format!("docs/{}", path.file_name().unwrap().display())).collect();
    there.push("README.md".to_owned());
    there.sort();
    let mut walked = PAGES.to_vec();
    walked.sort_unstable();
    assert_eq!(there, walked, "add the page to `pages!` above");
}

#[test]
fn every_page_is_on_the_list_of_pages() {
    let list = read("docs/README.md");
    for page in PAGES.iter().filter_map(|page| page.strip_prefix("docs/")).filter(|page| *page != "README.md") {
        assert!(list.contains(&format!("]({page})")), "docs/README.md does not list {page}");
    }
}

/// What `](...)` names in a page, but for addresses and places in the page itself.
fn links(page: &str) -> Vec<&str> {
    let targets = page.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let here = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    here.map(|target| target.split_once('#').map_or(target, |(file, _)| file)).collect()
}

#[test]
fn every_link_leads_to_a_file_that_is_there() {
    let mut count = 0;
    for path in markdown_in(".").into_iter().chain(markdown_in("docs")) {
        for link in links(&std::fs::read_to_string(&path).unwrap()) {
            let target = path.parent().unwrap().join(link);
            assert!(target.exists(), "{} links to {link}, which is not there", path.display());
            count += 1;
        }
    }
    assert!(count > 20, "only {count} links were found");
}

/// Pieces of source in a page with the files that they are from.
fn pieces(page: &str) -> Vec<(&str, &str)> {
    let marks = page.match_indices("<!-- from ").map(|(at, _)| &page[at..]);
    let pieces = marks.filter_map(|rest| {
        let (mark, rest) = rest.split_once('\n')?;
        let (_, block) = rest.split_once("```")?.1.split_once('\n')?;
        Some((source(mark)?, block.split_once("```")?.0))
    });
    pieces.collect()
}

#[test]
fn every_piece_of_source_stands_in_its_file() {
    let mut count = 0;
    for page in PAGES {
        for (file, piece) in pieces(&read(page)) {
            assert!(read(file).contains(piece), "{page}: this is not in {file}:\n{piece}");
            count += 1;
        }
    }
    assert!(count > 1, "only {count} pieces were found");
}

#[test]
fn every_warning_and_error_that_the_daemon_logs_is_explained() {
    let page = read("docs/troubleshooting.md");
    let lines = sources::logged(&root().join("gateway/src"), &["warn", "error"]);
    assert!(lines.len() > 12, "only {lines:?} were found");
    let missing: Vec<_> = lines.iter().filter(|line| !page.contains(line.as_str())).collect();
    assert!(missing.is_empty(), "docs/troubleshooting.md does not explain {missing:#?}");
}

/// The entries that `journalctl -x` prints; between two signs `@` each has the name of a field.
#[test]
fn every_message_that_the_journal_explains_is_logged_with_all_that_is_said_of_it() {
    let catalogue = read("systemd/stile.catalog");
    let entries: Vec<_> = catalogue.split("\nSubject: ").skip(1).filter_map(|entry| entry.split_once('\n')).collect();
    assert!(entries.len() > 20, "only {entries:?} were found");
    let calls = sources::calls(&root().join("gateway/src"), &["info", "warn", "error"]);
    for (subject, text) in entries {
        let logged: Vec<_> = calls.iter().filter(|call| call.message == subject).collect();
        assert!(!logged.is_empty(), "nothing logs `{subject}`, which systemd/stile.catalog explains");
        for field in text.split('@').filter_map(|field| field.strip_prefix("STILE_")) {
            let everywhere = logged.iter().all(|call| call.words.contains(&field.to_lowercase()));
            assert!(everywhere, "`{subject}` is logged without {field}, which systemd/stile.catalog names");
        }
    }
}

#[test]
fn every_metric_is_listed_and_every_reason_is_explained() {
    let settings = "[[radio]]\nname = \"a\"\nkind = \"simulated\"\ndevice = \"line\"\n\
        [[radio]]\nname = \"c\"\nkind = \"cellular\"\ndevice = \"/dev/nowhere\"\n\
        [[radio]]\nname = \"b\"\nkind = \"semtech-udp\"\nlisten = \"127.0.0.1:0\"\nregion = \"eu868\"\n\
        [[uplink]]\nname = \"b\"\nurl = \"mqtt://127.0.0.1:1\"\ntopics = [{ filter = \"#\" }]\n\
        [[probe]]\nname = \"p\"\nkind = \"stamp\"\ntarget = \"127.0.0.1:1\"\n\
        [reflector]\nlisten = \"127.0.0.1:0\"\nallow = [\"127.0.0.1\"]\n";
    let stile = stile_tests::Stile::start(settings);
    let (_, metrics) = stile.get("/metrics");
    let (list, reasons) = (read("docs/watch-a-running-gateway.md"), read("docs/troubleshooting.md"));
    let names: Vec<_> = metrics.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
    assert!(names.len() > 20, "{metrics}");
    for name in names {
        assert!(list.contains(&format!("`{name}`")), "docs/watch-a-running-gateway.md does not list {name}");
    }
    let words = metrics.split("reason=\"").skip(1).filter_map(|rest| rest.split('"').next());
    for word in words {
        assert!(reasons.contains(&format!("`{word}`")), "docs/troubleshooting.md does not explain {word}");
    }
}

#[test]
fn a_block_without_a_known_mark_is_refused() {
    let refused = |page: &str| blocks(page).unwrap_err();
    assert!(refused("```bash\nls\n```\n").contains("line 1"));
    assert!(refused("```sh maybe\nls\n```\n").contains("sh maybe"));
    assert!(refused("```sh manual\nsudo ls\n```\n").contains("manual"));
    assert!(refused("```rust\nfn main() {}\n```\n").contains("from"));
    assert!(refused("```\nls\n```\n").contains("line 1"));
    assert!(refused("```sh\nls\n").contains("no end"));
    let good = "<!-- manual: needs root -->\n\n```sh manual\nsudo ls\n```\n";
    let block = Block { line: 3, kind: Kind::Manual, text: "sudo ls\n".to_owned() };
    assert_eq!(blocks(good), Ok(vec![block]));
}

fn walk_of(page: &str) -> bool {
    std::panic::catch_unwind(|| walk("a made-up page", None, &blocks(page).unwrap())).is_ok()
}

#[test]
fn a_page_that_is_wrong_fails() {
    let printed = "```sh\necho '{\"seq\":1}'\n```\n```json\n{\"seq\":2}\n```";
    for good in
        [printed, "```sh\ntrue\n```", "```toml\n[gateway]\nid = \"a\"\n```", "```toml fragment\nbaud = 300\n```"]
    {
        assert!(walk_of(good), "{good}");
    }
    let wrong = [
        "```sh\nfalse\n```",
        "```sh\nfalse | true\n```",
        "```sh\nstile chekc\n```",
        "```sh exit=78\ntrue\n```",
        "```sh daemon\nstile run --config nowhere.toml\n```",
        "```toml\n[gateway]\nidd = \"a\"\n```",
        "```toml fragment\nbauds = 300\n```",
        "```toml wrong\n[gateway]\nid = \"a\"\n```",
        "```sh\necho '{\"result\":\"sent\"}'\n```\n```json\n{\"result\":\"refused\"}\n```",
        "```sh\necho '{\"result\":\"sent\"}'\n```\n```json\n{\"result\":\"sent\",\"bytes\":6}\n```",
    ];
    for page in wrong {
        assert!(!walk_of(page), "{page}");
    }
}
