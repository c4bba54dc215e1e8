#!/usr/bin/env bash
# Holds a program against the oldest C library that Stile runs on: Debian 12's and Raspberry Pi OS bookworm's, 2.36, as
# image/deb/debian/control states it. Reads the program, whatever processor it is for.
#
#   image/glibc.sh PROGRAM
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

program=${1:?usage: image/glibc.sh PROGRAM}
floor=$(sed -n 's/^Depends:.*libc6 (>= \([0-9.]*\)).*/\1/p' image/deb/debian/control)
[ -n "$floor" ] || { echo "glibc: error: image/deb/debian/control states no version of libc6" >&2; exit 1; }
# Each version of a symbol that is wanted stands in the table of them (readelf -V), whatever the machine.
needs=$(LC_ALL=C readelf -W --version-info "$program" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -Vu | tail -n 1)
[ -n "$needs" ] || { echo "glibc: error: $program names no version of the C library: is it a program of this kind?" >&2; exit 1; }
if [ "$(printf '%s\n' "$needs" "$floor" | sort -V | tail -n 1)" != "$floor" ]; then
    echo "glibc: error: $program needs glibc $needs, and the package promises $floor: build it on an older system" >&2
    LC_ALL=C readelf -W --dyn-syms "$program" | grep -F "GLIBC_$needs" >&2 || true
    exit 1
fi
echo "glibc: $program needs $needs, and $floor is promised"
