#!/usr/bin/env bash
# Checks the systemd units: that systemd understands every line, and that no service grows less confined.
# Reads the files only: no unit is installed, loaded or started.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The highest exposure allowed, in tenths (0 is fully confined, 100 not at all). stile.service is at 16 with systemd 252;
# other versions of systemd weigh a little differently.
readonly EXPOSURE=17

if ! command -v systemd-analyze >/dev/null 2>&1; then
    echo "units: skipped: systemd-analyze is not installed"
    exit 0
fi
version=$(systemd-analyze --version | awk 'NR == 1 { print $2 }')
if [ "${version%%[!0-9]*}" -lt 250 ]; then
    echo "units: skipped: systemd-analyze $version cannot read units offline (250 or later can)"
    exit 0
fi

# `verify` wants each program to be there, and ours is not installed: a copy of the unit names /bin/true in its place.
copies=$(mktemp -d)
trap 'rm -rf "$copies"' EXIT
status=0
for unit in systemd/*.service; do
    name=${unit##*/}
    sed 's|/usr/bin/stile|/bin/true|' "$unit" >"$copies/$name"
    # An unknown key is a warning to systemd, which then exits with 0; here it is an error. What it says about the
    # machine's own units is not ours to judge.
    said=$(systemd-analyze verify --man=no --recursive-errors=no "$copies/$name" 2>&1) && verified=yes || verified=no
    if [ "$verified" = no ] || grep -qF "$name" <<<"$said"; then
        printf 'units: error: %s does not verify:\n%s\n' "$unit" "$said" >&2
        status=1
        continue
    fi
    if ! said=$(systemd-analyze security --offline=true --no-pager --threshold="$EXPOSURE" "$copies/$name" 2>&1); then
        printf '%s\nunits: error: %s is less confined than allowed (%s tenths)\n' "$said" "$unit" "$EXPOSURE" >&2
        status=1
        continue
    fi
    printf 'units: %s: verified. %s\n' "$unit" "$(sed -n 's/^.*\(Overall exposure[^:]*: [0-9.]*\).*$/\1/p' <<<"$said")"
done
exit "$status"
