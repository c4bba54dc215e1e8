#!/usr/bin/env bash
# Makes a signed bundle of a root file system: what `stile update` takes.
#
#   image/rauc/bundle.sh ROOT.ext4 VERSION ARCH CERTIFICATE KEY BUNDLE.raucb
#
# CERTIFICATE and KEY are files, or PKCS#11 addresses (pkcs11:...); the key is never copied. KEYRING=FILE has what was made checked
# against it. FORMAT=plain is for trying things where the kernel has no dm-verity; the image refuses such bundles.
set -euo pipefail

[ $# -eq 6 ] || { sed -n 's/^#   //p' "${BASH_SOURCE[0]}" >&2; exit 2; }
readonly ROOT=$1 VERSION=$2 ARCH=$3 CERTIFICATE=$4 KEY=$5 BUNDLE=$6
readonly FORMAT=${FORMAT:-verity}

fail() {
    printf 'bundle: error: %s\n' "$*" >&2
    exit 1
}
[ -f "$ROOT" ] || fail "$ROOT is not there: 'make image ARCH=$ARCH' makes it"
[[ "$VERSION" =~ ^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$ ]] || fail "'$VERSION' is no version like 1.2.3 or 1.2.3-1"
case "$ARCH" in amd64 | arm64) ;; *) fail "$ARCH is neither amd64 nor arm64" ;; esac
command -v rauc >/dev/null || fail "rauc is not installed: apt-get install rauc squashfs-tools"

folder=$(mktemp -d "$(dirname "$BUNDLE")/bundle.XXXXXX")
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/content"
# Its name's end says what it is, and that it is written as it is. A link where it can be one: it is 600 MiB.
ln "$ROOT" "$folder/content/root.ext4" 2>/dev/null || cp --sparse=always "$ROOT" "$folder/content/root.ext4"
cat >"$folder/content/manifest.raucm" <<MANIFEST
[update]
compatible=stile-$ARCH
version=$VERSION
description=Stile $VERSION for $ARCH

[bundle]
format=$FORMAT

[image.rootfs]
filename=root.ext4
MANIFEST
rauc bundle --cert="$CERTIFICATE" --key="$KEY" "$folder/content" "$folder/bundle.raucb" >&2
if [ -n "${KEYRING:-}" ]; then
    # As a machine looks at it. `rauc bundle --keyring` would ask for a certificate that signs mails.
    printf '[system]\ncompatible=stile-%s\nbootloader=noop\n[keyring]\npath=%s\ncheck-purpose=codesign\n' \
        "$ARCH" "$(realpath "$KEYRING")" >"$folder/system.conf"
    rauc --conf="$folder/system.conf" info "$folder/bundle.raucb" >&2 || fail "no machine with $KEYRING would take it"
fi
# Whole or not at all.
mv "$folder/bundle.raucb" "$BUNDLE"
printf 'bundle: %s: %s bytes\n' "$BUNDLE" "$(stat -c %s "$BUNDLE")" >&2
