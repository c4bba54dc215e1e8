//! What is refused or warned of in uplinks and in what they share.

use super::super::Folder;
use super::says;

#[test]
fn what_belongs_to_tls_needs_tls_and_a_prefix_and_its_filter_make_one() {
    let uplink = |rest: &str| format!("[[uplink]]\nname = 'a'\n{rest}");
    says(
        &uplink("url = 'mqtt://host'\nca = 'x'\ntopics = [{ filter = '#', local-prefix = 'b' }]"),
        &[],
        &[
            "stile.toml:4:6: `ca` in [[uplink]] does not go with `mqtt://` or `ws://`, which have no TLS\n    \
            remedy: write `mqtts://` or `wss://` in `url`, or remove it",
            "stile.toml:5:42: `local-prefix` in [[uplink.topics]] and `filter` make `b#`, which has a wildcard that does \
            not fill its level, or a `#` that is not last\n    remedy: end the prefix with `/`",
        ],
    );
    let both = uplink("url = 'mqtt://host'\nprotocol = '3.1.1'\ntopics = [{ filter = '#', direction = 'both' }]");
    let warnings = Folder::new(both).load().unwrap().warnings;
    assert!(warnings[0].what.contains("sends back") && warnings.len() == 1, "{}", warnings[0]);
}

#[test]
fn what_brokers_of_a_profile_never_take_is_refused() {
    let uplink = format!(
        "[[uplink]]\nname = 'a'\nprofile = 'aws-iot'\nurl = 'mqtt://host'\nclient-id = '{}'\nkeep-alive = '1h'\n\
         topics = [{{ filter = '#', qos = 2 }}]",
        "x".repeat(129)
    );
    says(
        &uplink,
        &[],
        &[
            "stile.toml:4:7: `url` in [[uplink]] has no TLS, and brokers of this `profile` want it\n    \
            remedy: write `mqtts://` or `wss://`",
            "stile.toml:5:13: `client-id` in [[uplink]] has 129 bytes, and brokers of this `profile` take 128\n    \
            remedy: write `client-id` with at most 128 bytes",
            "stile.toml:6:14: `keep-alive` in [[uplink]] is longer than brokers of this `profile` take, 20m\n    \
            remedy: write a shorter time",
            "stile.toml:7:33: `qos` in [[uplink.topics]] is 2, and brokers of this `profile` take 1 at most\n    \
            remedy: write `qos = 1`",
        ],
    );
}

/// An uplink that sends `a/+/up` and `b/#`, and what it shares.
fn share(rules: &str) -> String {
    let uplink = "[[uplink]]\nname = 'a'\nurl = 'mqtt://host'\ntopics = [{ filter = 'a/+/up' }, { filter = 'b/#' }]\n";
    format!("{uplink}{rules}")
}

#[test]
fn a_sharing_policy_names_what_the_uplink_sends_and_each_thing_once() {
    let cases = [
        ("share = []", "5:9: | `share` in [[uplink]] has no rule, so that nothing would leave"),
        ("[[uplink.share]]\ntopic = ['b/#']", "6:1: | unknown key `topic` in [[uplink.share]]"),
        ("[[uplink.share]]\ntopics = []", "6:10: | `topics` in [[uplink.share]] is empty"),
        ("[[uplink.share]]\ntopics = ['b/#', 'b#']", "6:18: | has `b#`, which has a wildcard"),
        ("[[uplink.share]]\ntopics = ['b/#', 'c']", "6:18: | `c` in [[uplink.share]] names nothing that `topics`"),
        (
            "[[uplink.share]]\ntopics = ['b/#']\n[[uplink.share]]\ntopics = ['b/c']",
            "8:11: | `b/c` in [[uplink.share]] is never asked: `b/#`, at stile.toml:6:11, comes first",
        ),
        ("[[uplink.share]]\ntopics = ['b/#']\nfields = ['c.d']", "7:11: | has `c.d`, which does not begin with `/`"),
        ("[[uplink.share]]\ntopics = ['b/#']\nfields = ['']", "7:11: | is the payload as a whole"),
        (
            "[[uplink.share]]\ntopics = ['b/#']\nfields = ['/c']\npseudonyms = ['/c']",
            "8:15: | `/c` in `pseudonyms` of [[uplink.share]] stands in `fields` of the same rule already",
        ),
        (
            "[[uplink.share]]\ntopics = ['b/#']\nfields = ['/c/d']\npseudonyms = ['/c']",
            "7:11: | `/c/d` in `fields` of [[uplink.share]] is in `/c` of `pseudonyms`, which leaves as one value",
        ),
        (
            "[[uplink.share]]\ntopics = ['b/#']\ncoarse = [{ number = '/c' }]",
            "7:11: | `decimals` is missing in `coarse` of [[uplink.share]]",
        ),
        (
            "[[uplink.share]]\ntopics = ['b/#']\ncoarse = [{ time = '/c', number = '/d', to = '1h' }]",
            "7:20: | `time` in `coarse` of [[uplink.share]] stands beside `number`",
        ),
        ("[[uplink.share]]\ntopics = ['b/#']\ncoarse = [{ to = '1h' }]", "7:11: | says not what is to be coarse"),
        (
            "[[uplink.share]]\ntopics = ['b/#']\ncoarse = [{ property = 'stile-id', to = '1h' }]",
            "7:24: | is `stile-id`, which is not stile-received-at",
        ),
        (
            "[[uplink.share]]\ntopics = ['b/#']\ntopic-levels = [0]",
            "7:16: | level 0 of `topic-levels` in [[uplink.share]] is `b`",
        ),
        (
            "[[uplink.share]]\ntopics = ['a/+/up']\ntopic-levels = [3]",
            "7:16: | level 3 of `topic-levels` in [[uplink.share]] is in no topic",
        ),
        (
            "[[uplink.share]]\ntopics = ['#']\ntopic-levels = [2]",
            "7:16: | would get a pseudonym, and `a/+/up` in `topics` sends `up` alone",
        ),
        (
            "[[uplink.share]]\ntopics = ['b/#']\ntopic-levels = ['x']",
            "7:17: | `topic-levels` in [[uplink.share]] has something that is no level",
        ),
        (
            "[[uplink.share]]\ntopics = ['b/#']\nproperties = ['stile-time']",
            "7:15: | has `stile-time`, which the gateway never says",
        ),
    ];
    let missing = cases.iter().filter_map(|(rules, expected)| {
        let problems = Folder::new(share(rules)).problems(&[]);
        let (place, what) = expected.split_once(" | ").unwrap();
        let is_it = |problem: &&String| problem.starts_with(&format!("stile.toml:{place}")) && problem.contains(what);
        problems.iter().find(is_it).is_none().then(|| format!("{expected}\n{}", problems.join("\n")))
    });
    let missing: Vec<_> = missing.collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn all_that_is_wrong_in_a_sharing_policy_is_told_at_once() {
    let rules = "[[uplink.share]]\ntopics = ['b/#', 'c', 'd#']\nfields = ['/e', 'f']\npseudonyms = ['/e']\ntopic-levels = [0]\n\
        properties = ['stile-x']\nmore = 1";
    let found = Folder::new(share(rules)).problems(&[]);
    let places = found.iter().map(|problem| problem.split(": ").next().unwrap().to_owned()).collect::<Vec<_>>();
    let expected = ["6:18", "6:23", "7:17", "8:15", "9:16", "9:16", "10:15", "11:1"];
    assert_eq!(places, expected.map(|place| format!("stile.toml:{place}")), "{found:#?}");
}

#[test]
fn what_a_sharing_policy_keeps_back_by_oversight_is_warned_of() {
    for (rules, expected) in [
        ("[[uplink.share]]\ntopics = ['b/#']", "sends `a/+/up`, and no [[uplink.share]] names it"),
        (
            "[[uplink.share]]\ntopics = ['a/+/up', 'b/+/x']\n[[uplink.share]]\ntopics = ['b/c/+']",
            "`b/c/+` in [[uplink.share]] overlaps `b/+/x`",
        ),
        (
            "[[uplink.share]]\ntopics = ['#']\nfields = ['/c', '/c/d']",
            "`/c/d` in `fields` of [[uplink.share]] goes with `/c` anyway",
        ),
        (
            "[[uplink.share]]\ntopics = ['#']\nproperties = ['content-typ']",
            "has `content-typ`, which stands for a user property",
        ),
        ("pseudonyms-change = 'daily'\n[[uplink.share]]\ntopics = ['#']", "no [[uplink.share]] has pseudonyms"),
    ] {
        let loaded = Folder::new(share(rules)).load().unwrap_or_else(|problems| panic!("{problems}"));
        let [warning] = loaded.warnings.as_slice() else { panic!("{rules}: {:?}", loaded.warnings) };
        assert!(warning.what.contains(expected), "{warning}");
    }
}
