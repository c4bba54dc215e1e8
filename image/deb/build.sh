#!/usr/bin/env bash
# Makes a Debian package of a program that is built already; it builds none itself.
#
#   image/deb/build.sh amd64|arm64 PROGRAM [FOLDER]     FOLDER is target/deb without it
#
#   HELPER         a stile that runs here, for the manual page and completions; PROGRAM where it does
#   DEB_VERSION    the package's version; that of Cargo.toml and -1 without it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

fail() {
    printf 'deb: error: %s\n' "$*" >&2
    exit 1
}

arch=${1:-} program=${2:-} out=${3:-target/deb}
case $arch in
amd64) target=x86_64-unknown-linux-gnu ;;
arm64) target=aarch64-unknown-linux-gnu ;;
*) fail "usage: image/deb/build.sh amd64|arm64 PROGRAM [FOLDER]" ;;
esac
[ -x "$program" ] || fail "$program is no program; make release and make arm64 build them"
helper=${HELPER:-$program}
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
said=$("$helper" --version 2>/dev/null) || fail "$helper does not run here; name a stile that does in HELPER"
[ "$said" = "stile $version" ] || fail "$helper is $said, and this is the source of stile $version"
bash image/glibc.sh "$program"

# All times in the package are that of the last commit, so that the same source and program give the same bytes.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/stile
mkdir -p "$tree/completions"
cp -r image/deb/debian image/deb/stile.toml docs CHANGELOG.md systemd/stile.catalog "$tree/"
install -D "$program" "$tree/bin/stile"
# By the names that debhelper looks for.
cp systemd/stile.service systemd/stile.sysusers systemd/stile.tmpfiles "$tree/debian/"
for unit in stile-health.service stile-provision.service stile-update-good.service stile-update-keep.service \
    stile-update-bad.service stile-reboot.path; do
    cp "systemd/$unit" "$tree/debian/stile.$unit"
done
cp systemd/60-stile.rules "$tree/debian/stile.udev"
"$helper" man >"$tree/stile.1"
"$helper" completions bash >"$tree/completions/stile"
"$helper" completions zsh >"$tree/completions/_stile"
"$helper" completions fish >"$tree/completions/stile.fish"
python3 image/copyright.py "$target" >"$tree/debian/copyright"
python3 image/sbom.py "$target" >"$tree/stile.cdx.json"
cat >"$tree/debian/changelog" <<CHANGELOG
stile (${DEB_VERSION:-$version-1}) unstable; urgency=medium

  * What is new stands in the changelog beside this one.

 -- $(sed -n 's/^Maintainer: //p' image/deb/debian/control)  $(date -uRd "@$SOURCE_DATE_EPOCH")
CHANGELOG

(cd "$tree" && dpkg-buildpackage --build=binary --host-arch "$arch" --unsigned-changes) >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; fail "dpkg-buildpackage failed (see above)"; }
mkdir -p "$out"
for deb in "$work"/stile_*_"$arch".deb; do
    mv "$deb" "$out/"
    deb=$out/${deb##*/}
    printf 'deb: %s (%s bytes, SHA-256 %s)\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d ' ' -f 1)"
done
