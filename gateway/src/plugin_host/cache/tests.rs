//! The cache: what it takes, and what it does not.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

struct Place {
    _dir: tempfile::TempDir,
    cache: Cache,
}

impl Place {
    fn new(bounds: Bounds) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::of(dir.path(), bounds);
        Self { cache, _dir: dir }
    }

    fn file(&self, key: &Key) -> PathBuf {
        self.cache.path.join(name(key))
    }
}

fn key(component: &str) -> Key {
    Key::with(component.as_bytes(), "here")
}

#[test]
fn what_was_stored_is_loaded_and_is_for_this_user_alone() {
    let place = Place::new(Bounds::default());
    assert_eq!(place.cache.load(&key("a")), None);
    place.cache.store(&key("a"), b"code");
    assert_eq!(place.cache.load(&key("a")).as_deref(), Some(&b"code"[..]));
    assert_eq!(place.cache.load(&key("b")), None);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&place.cache.path), mode(&place.file(&key("a")))), (0o700, 0o600));
    place.cache.forget(&key("a"));
    assert_eq!(place.cache.load(&key("a")), None);
}

#[test]
fn another_component_gateway_or_processor_is_another_key() {
    let keys = [Key::with(b"ab", "c"), Key::with(b"b", "ca"), Key::with(b"ab", "d"), Key::with(b"abc", "")];
    for (at, one) in keys.iter().enumerate() {
        assert!(keys.iter().skip(at + 1).all(|other| one != other), "{one:?}");
    }
    assert_eq!(Key::of(b"x", Code::Timed), Key::of(b"x", Code::Timed));
    assert_ne!(Key::of(b"x", Code::Timed), Key::of(b"x", Code::Metered));
    let (usual, mut other) = (environment(&engine::config(false, Code::Timed)), engine::config(false, Code::Timed));
    assert_ne!(usual, environment(other.epoch_interruption(false)));
    assert!(usual.contains(env!("CARGO_PKG_VERSION")) && usual.contains(std::env::consts::ARCH), "{usual}");
}

#[test]
fn an_entry_with_a_bit_turned_or_cut_off_is_not_taken_and_is_removed() {
    let place = Place::new(Bounds::default());
    place.cache.store(&key("a"), b"code");
    let good = fs::read(place.file(&key("a"))).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        for bytes in [&bad[..], &good[..at]] {
            fs::write(place.file(&key("a")), bytes).unwrap();
            fs::set_permissions(place.file(&key("a")), Permissions::from_mode(0o600)).unwrap();
            assert_eq!(place.cache.load(&key("a")), None, "byte {at}");
            assert!(!place.file(&key("a")).exists());
        }
    }
}

#[test]
fn an_entry_that_others_could_have_written_is_not_taken() {
    let place = Place::new(Bounds::default());
    let stored = || place.cache.store(&key("a"), b"code");
    for mode in [0o620, 0o602, 0o640, 0o777] {
        stored();
        fs::set_permissions(place.file(&key("a")), Permissions::from_mode(mode)).unwrap();
        assert_eq!(place.cache.load(&key("a")), None, "{mode:o}");
    }
    stored();
    let elsewhere = place.cache.path.join("elsewhere");
    fs::rename(place.file(&key("a")), &elsewhere).unwrap();
    symlink(&elsewhere, place.file(&key("a"))).unwrap();
    assert_eq!(place.cache.load(&key("a")), None, "a link");
    fs::create_dir(place.file(&key("a"))).unwrap();
    assert_eq!(place.cache.load(&key("a")), None, "a folder");
}

#[test]
fn a_folder_that_others_can_write_is_not_used_at_all() {
    let place = Place::new(Bounds::default());
    place.cache.store(&key("a"), b"code");
    let folder = &place.cache.path;
    fs::set_permissions(folder, Permissions::from_mode(0o770)).unwrap();
    assert_eq!(place.cache.load(&key("a")), None);
    place.cache.store(&key("b"), b"code");
    assert!(!place.file(&key("b")).exists() && place.file(&key("a")).exists());
    fs::set_permissions(folder, Permissions::from_mode(0o700)).unwrap();
    assert!(place.cache.load(&key("a")).is_some());
    let elsewhere = folder.with_file_name("elsewhere");
    fs::rename(folder, &elsewhere).unwrap();
    symlink(&elsewhere, folder).unwrap();
    assert_eq!(place.cache.load(&key("a")), None, "a link");
}

#[test]
fn a_folder_or_an_entry_of_another_user_is_not_taken() {
    let place = Place::new(Bounds::default());
    place.cache.store(&key("a"), b"code");
    for path in [place.file(&key("a")), place.cache.path.clone()] {
        // Only root can give files away; others have the test of the mode.
        if std::os::unix::fs::chown(&path, Some(65_534), None).is_err() {
            return;
        }
        assert_eq!(place.cache.load(&key("a")), None, "{}", path.display());
        std::os::unix::fs::chown(&place.cache.path, Some(0), None).unwrap();
        place.cache.store(&key("a"), b"code");
    }
}

#[test]
fn the_oldest_go_first_and_half_written_files_too() {
    let place = Place::new(Bounds { entries: 3, bytes: 1000 });
    let there = |name: &str| place.file(&key(name)).exists();
    for (at, name) in ["a", "b", "c"].into_iter().enumerate() {
        place.cache.store(&key(name), b"code");
        let file = fs::File::options().write(true).open(place.file(&key(name))).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(at as u64)).unwrap();
    }
    fs::write(place.cache.path.join("half-0-x"), "x").unwrap();
    place.cache.store(&key("d"), b"code");
    assert!(!there("a") && there("b") && there("c") && there("d"));
    assert!(!place.cache.path.join("half-0-x").exists());
    place.cache.store(&key("e"), &[0; 900]);
    assert!(there("e") && !there("b") && !there("c") && !there("d"), "bytes count too");
}
