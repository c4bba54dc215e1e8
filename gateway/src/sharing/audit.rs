//! The record of what may leave to which remote, and since when: an entry for each change, found by comparing the settings
//! with the last entry, so that one made while the gateway was stopped is found too.
//!
//! A file of lines of JSON, written whole each time, which is rarely. It is bounded; of each uplink that is in the settings
//! the last entry stays, since the next change is compared with that.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::{folder, make_folder, words};
use crate::config::Uplink;
use crate::message::Received;
use crate::whole_file;

const FILE: &str = "changes.jsonl";

/// The longest file that is written; older entries go first.
const BYTES_MAX: usize = 256 * 1024;

/// More than that a file of ours never has; what is beyond is not read.
const READ_MAX: u64 = 16 << 20;

/// When a change took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum At {
    /// It was found when the gateway started.
    Start,
    /// With a reload.
    Reload,
}

impl At {
    /// The word for people and scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Reload => "reload",
        }
    }
}

/// One change of what may leave to one remote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// RFC 3339.
    pub time: String,
    /// How far the clock could be trusted.
    pub clock: String,
    /// The uplink's name.
    pub uplink: String,
    /// When it took effect.
    pub at: At,
    /// Lines that are new.
    pub added: Vec<String>,
    /// Lines that are gone.
    pub removed: Vec<String>,
    /// All lines from then on; `None` where the uplink is not in the settings any more.
    pub lines: Option<Vec<String>>,
}

/// Reads the record, the oldest entry first. Lines that can't be read are passed over.
///
/// # Errors
/// What the system says; that there is none yet is no error.
pub fn read(data_dir: &Path) -> io::Result<Vec<Entry>> {
    let text = match fs::File::open(folder(data_dir).join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.and_then(|file| io::read_to_string(io::Read::take(file, READ_MAX)))?,
    };
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// Compares the settings with the record, and writes what differs. Waits for the disk.
///
/// # Errors
/// The changes, with what the system says, where they could not be written.
pub fn note(
    data_dir: &Path,
    uplinks: &[Uplink],
    at: At,
    now: &Received,
) -> Result<Vec<Entry>, (Vec<Entry>, io::Error)> {
    let before = read(data_dir).map_err(|error| (changes(&[], uplinks, at, now), error))?;
    let changes = changes(&before, uplinks, at, now);
    if changes.is_empty() {
        return Ok(changes);
    }
    let all: Vec<_> = before.into_iter().chain(changes.iter().cloned()).collect();
    match write(data_dir, &all) {
        Ok(()) => Ok(changes),
        Err(error) => Err((changes, error)),
    }
}

fn changes(before: &[Entry], uplinks: &[Uplink], at: At, now: &Received) -> Vec<Entry> {
    let mut last: BTreeMap<&str, &[String]> = BTreeMap::new();
    for entry in before {
        match &entry.lines {
            Some(lines) => last.insert(&entry.uplink, lines),
            None => last.remove(entry.uplink.as_str()),
        };
    }
    let mut changes = Vec::new();
    for uplink in uplinks {
        let old = last.remove(uplink.name.as_str());
        let lines = words(uplink);
        if old != Some(&lines) {
            changes.push(entry(&uplink.name, old.unwrap_or_default(), Some(lines), at, now));
        }
    }
    changes.extend(last.into_iter().map(|(name, old)| entry(name, old, None, at, now)));
    changes
}

fn entry(uplink: &str, old: &[String], lines: Option<Vec<String>>, at: At, now: &Received) -> Entry {
    let new = lines.as_deref().unwrap_or_default();
    let without =
        |list: &[String], other: &[String]| list.iter().filter(|line| !other.contains(line)).cloned().collect();
    Entry {
        time: now.rfc3339(),
        clock: now.clock.as_str().to_owned(),
        uplink: uplink.to_owned(),
        at,
        added: without(new, old),
        removed: without(old, new),
        lines,
    }
}

fn write(data_dir: &Path, entries: &[Entry]) -> io::Result<()> {
    let mut text = Vec::new();
    for entry in bounded(entries)? {
        text.extend(entry);
        text.push(b'\n');
    }
    let folder = make_folder(data_dir)?;
    whole_file::write(&folder.join(FILE), &text, 0o600, &folder)
}

/// The newest entries that have room, as lines, and the last of each uplink that has any rule.
fn bounded(entries: &[Entry]) -> io::Result<Vec<Vec<u8>>> {
    let last: BTreeMap<&str, usize> =
        entries.iter().enumerate().map(|(place, entry)| (entry.uplink.as_str(), place)).collect();
    let (mut kept, mut bytes) = (Vec::new(), 0);
    for (place, entry) in entries.iter().enumerate().rev() {
        let line = serde_json::to_vec(entry)?;
        let needed = entry.lines.is_some() && last.get(entry.uplink.as_str()) == Some(&place);
        bytes += line.len() + 1;
        if needed || bytes <= BYTES_MAX {
            kept.push(line);
        }
    }
    kept.reverse();
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Direction, Rule, Share, Url};
    use crate::message::{Clock, QoS, TopicFilter};

    fn uplink(name: &str, filter: &str, share: Vec<Share>) -> Uplink {
        let filter = TopicFilter::new(filter).unwrap();
        let (direction, qos) = (Direction::Out, QoS::AtLeastOnce);
        let rule = Rule { filter, direction, qos, local_prefix: String::new(), remote_prefix: "x/".into() };
        Uplink {
            share,
            ..Uplink::new(name, Url { tls: true, host: "host".into(), port: 8883, websocket: None }, vec![rule])
        }
    }

    fn now() -> Received {
        Clock::default().now()
    }

    #[test]
    fn each_change_has_an_entry_also_one_that_was_made_while_the_gateway_was_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let note = |uplinks: &[Uplink], at| note(dir.path(), uplinks, at, &now()).unwrap();
        let first = uplink("cloud", "a/#", vec![]);
        let [made] = note(std::slice::from_ref(&first), At::Start).try_into().unwrap();
        assert_eq!(
            made.added,
            ["goes to mqtts://host:8883", "sends a/# as x/a/#", "shares all that it sends, as it is"]
        );
        assert!(note(std::slice::from_ref(&first), At::Start).is_empty(), "a start alone is no change");
        let second = uplink("cloud", "a/#", vec![Share::all(vec![TopicFilter::new("a/b").unwrap()])]);
        let [changed] =
            note(&[second, uplink("new", "a", vec![])], At::Reload).try_into().map(|[c, _]: [Entry; 2]| [c]).unwrap();
        assert_eq!(changed.removed, ["shares all that it sends, as it is"]);
        assert_eq!(changed.added, ["rule 1 shares a/b: as they are; all properties"]);
        let gone = note(&[uplink("new", "a", vec![])], At::Start);
        assert_eq!((gone.len(), &gone[0].lines, gone[0].removed.len()), (1, &None, 3));
        assert!(note(&[uplink("new", "a", vec![])], At::Start).is_empty());
        let all = read(dir.path()).unwrap();
        assert_eq!(
            all.iter().map(|entry| entry.at).collect::<Vec<_>>(),
            [At::Start, At::Reload, At::Reload, At::Start]
        );
    }

    #[test]
    fn the_record_is_bounded_and_the_last_of_each_uplink_stays() {
        let dir = tempfile::tempdir().unwrap();
        let rare = uplink("rare", "r", vec![]);
        let busy = |round: usize| uplink("busy", &format!("{round}/{}", "x".repeat(10_000)), vec![]);
        note(dir.path(), std::slice::from_ref(&rare), At::Start, &now()).unwrap();
        for round in 0..30 {
            note(dir.path(), &[rare.clone(), busy(round)], At::Reload, &now()).unwrap();
        }
        assert!(fs::metadata(folder(dir.path()).join(FILE)).unwrap().len() < 300_000);
        let all = read(dir.path()).unwrap();
        assert_eq!(all[0].uplink, "rare");
        assert!(note(dir.path(), &[rare, busy(29)], At::Start, &now()).unwrap().is_empty());
    }

    #[test]
    fn a_damaged_line_is_passed_over_and_a_disk_that_fails_hides_no_change() {
        let dir = tempfile::tempdir().unwrap();
        let one = [uplink("cloud", "a", vec![])];
        note(dir.path(), &one, At::Start, &now()).unwrap();
        let file = folder(dir.path()).join(FILE);
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{{\"half\n{text}")).unwrap();
        assert_eq!(read(dir.path()).unwrap().len(), 1);
        fs::remove_dir_all(folder(dir.path())).unwrap();
        fs::write(folder(dir.path()), "").unwrap();
        assert!(note(dir.path(), &one, At::Start, &now()).is_err());
    }
}
