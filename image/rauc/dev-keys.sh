#!/usr/bin/env bash
# Makes an authority and a signing certificate of it, for trying updates out. What an image for others is signed with is made and
# kept elsewhere: a hardware token, or a machine without a network (docs/update.md).
#
#   image/rauc/dev-keys.sh FOLDER
#
# FOLDER gets keyring.pem (into the image, as /etc/rauc/keyring.pem), release.pem and release.key (for bundle.sh), and authority.key.
# What is there already stays.
set -euo pipefail

[ $# -eq 1 ] || { sed -n 's/^#   //p' "${BASH_SOURCE[0]}" >&2; exit 2; }
umask 077
mkdir -p "$1"
cd "$1"
[ ! -e release.pem ] || exit 0

openssl ecparam -genkey -name prime256v1 -noout -out authority.key
openssl req -new -x509 -sha256 -days 7300 -key authority.key -subj "/O=Stile/CN=updates, not for release" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign -out keyring.pem
openssl ecparam -genkey -name prime256v1 -noout -out release.key
openssl req -new -sha256 -key release.key -subj "/O=Stile/CN=release" -out release.csr
# What `check-purpose=codesign` asks for (RAUC's manual, "Key usage").
cat >release.ext <<'EXTENSIONS'
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, codeSigning
EXTENSIONS
openssl x509 -req -sha256 -days 3650 -in release.csr -CA keyring.pem -CAkey authority.key -set_serial "0x$(openssl rand -hex 16)" \
    -extfile release.ext -out release.new 2>/dev/null
mv release.new release.pem
rm release.csr release.ext
