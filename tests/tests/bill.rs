//! Bills of materials, of the program and of an image, against the schema of CycloneDX.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use stile_tests::or_skip;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// What a script of the image writes.
fn made(arguments: &[&str]) -> String {
    let mut script = Command::new("python3");
    let output = script.args(arguments).current_dir(root()).env("SOURCE_DATE_EPOCH", "1000").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn of_program() -> String {
    made(&["image/sbom.py", "x86_64-unknown-linux-gnu"])
}

/// Something that holds a bill against the schema; it says what is wrong.
fn holder() -> Result<impl Fn(&str) -> String, String> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/cyclonedx/bin/python3");
    if !python.exists() {
        return Err(format!("{} is not there", python.display()));
    }
    Ok(move |bill: &str| {
        let mut holding = Command::new(&python);
        holding.arg(root().join("tests/clients/with_cyclonedx.py")).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut holding = holding.spawn().unwrap();
        holding.stdin.take().unwrap().write_all(bill.as_bytes()).unwrap();
        let output = holding.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), said.is_empty(), "{said}");
        said
    })
}

/// A small root file system as a tar, and its list of packages.
fn image(dir: &Path) -> (PathBuf, PathBuf) {
    let tree = dir.join("tree");
    let machine_readable = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\n\
                            License: GPL-2+ \n text\n\nFiles: b\nLicense:  Expat\n\nLicense: GPL-2+\n text\n";
    let bill = of_program();
    for (path, text) in [
        ("usr/lib/os-release", "ID=debian\nVERSION_CODENAME=trixie\nIMAGE_ID=stile\nIMAGE_VERSION=\"1.2.3\"\n"),
        ("usr/share/doc/libone/copyright", machine_readable),
        ("usr/share/doc/prose/copyright", "Debianized by somebody.\nLicense: none that a program could read\n"),
        ("usr/share/doc/stile/stile.cdx.json", &bill),
    ] {
        let path = tree.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    std::os::unix::fs::symlink("libone", tree.join("usr/share/doc/libtwo")).unwrap();
    let (tar, list) = (dir.join("root.tar"), dir.join("packages"));
    let packed = Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(&tree).arg(".").status().unwrap();
    assert!(packed.success());
    let digest = "0a".repeat(32);
    let lines = format!(
        "libone 1:2.0+deb13u1 amd64 {digest}\nlibtwo 1~rc1 all {digest}\nprose 3 amd64 {digest}\ngrub-pc-bin 4 amd64\n"
    );
    std::fs::write(&list, lines).unwrap();
    (tar, list)
}

#[test]
fn the_bill_of_the_program_is_as_cyclonedx_wants_it() {
    let bill = of_program();
    let told: Value = serde_json::from_str(&bill).unwrap();
    let names: Vec<_> =
        told["components"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"rustls") && names.contains(&"wasmtime") && !names.contains(&"stile"), "{names:?}");
    assert_eq!(told["metadata"]["component"]["name"], "stile");
    let Some(hold) = or_skip("CycloneDX's schema, which tests/setup.sh test installs,", holder()) else { return };
    assert_eq!(hold(&bill), "");
    assert!(hold(&bill.replace("SHA-256", "SHA256")).contains("SHA256"), "whatever is wrong is seen");
}

#[test]
fn the_bill_of_an_image_has_its_packages_and_the_crates_of_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let (tar, list) = image(dir.path());
    let bill = made(&["image/image_sbom.py", tar.to_str().unwrap(), list.to_str().unwrap(), "amd64"]);
    let told: Value = serde_json::from_str(&bill).unwrap();
    let of = &told["metadata"];
    assert_eq!((&of["component"]["version"], &of["timestamp"]), (&"1.2.3".into(), &"1970-01-01T00:16:40Z".into()));
    let components = told["components"].as_array().unwrap();
    let one = |name: &str| components.iter().find(|one| one["name"] == name).unwrap();
    let licences = |name: &str| one(name)["licenses"].to_string();
    let both = r#"[{"license":{"name":"Expat"}},{"license":{"name":"GPL-2+"}}]"#;
    assert_eq!((licences("libone").as_str(), licences("libtwo").as_str()), (both, both));
    assert_eq!(licences("prose"), "null", "what no program can read is not guessed");
    assert_eq!(one("libone")["purl"], "pkg:deb/debian/libone@1%3A2.0%2Bdeb13u1?arch=amd64&distro=trixie");
    assert_eq!(one("libone")["hashes"][0]["content"], "0a".repeat(32));
    assert_eq!(one("grub-pc-bin")["hashes"], Value::Null);
    assert!(one("stile")["components"].as_array().unwrap().iter().any(|one| one["name"] == "rustls"));
    assert_eq!(told["dependencies"][0]["dependsOn"].as_array().unwrap().len(), 5);
    let Some(hold) = or_skip("CycloneDX's schema, which tests/setup.sh test installs,", holder()) else { return };
    assert_eq!(hold(&bill), "");
    let twice = bill.replace("pkg:deb/debian/prose@3?arch=amd64", "pkg:deb/debian/libtwo@1~rc1?arch=all");
    assert!(hold(&twice).contains("twice"), "whatever is wrong is seen");
}
