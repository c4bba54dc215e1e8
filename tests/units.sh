#!/usr/bin/env bash
# Checks what stands in systemd/: that systemd understands every line, that no service grows less confined, that users and
# folders can be made of it, and that `journalctl -x` has its explanations.
# Works on copies below a temporary root: nothing is installed, loaded or started.
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

copies=$(mktemp -d)
trap 'rm -rf "$copies"' EXIT
status=0
wrong() {
    printf 'units: error: %s\n' "$*" >&2
    status=1
}

# `verify` wants each program to be there, and ours is not installed: a copy of the unit names /bin/true in its place.
mkdir "$copies/units"
for unit in systemd/*.service systemd/*.path; do sed 's|/usr/bin/stile|/bin/true|' "$unit" >"$copies/units/${unit##*/}"; done
for unit in "$copies"/units/*; do
    name=${unit##*/}
    # An unknown key is a warning to systemd, which then exits with 0; here it is an error. What it says about the
    # machine's own units is not ours to judge.
    said=$(SYSTEMD_UNIT_PATH="$copies/units:" systemd-analyze verify --man=no --recursive-errors=no "$unit" 2>&1) &&
        verified=yes || verified=no
    if [ "$verified" = no ] || grep -qF "$name" <<<"$said"; then
        wrong "systemd/$name does not verify:"$'\n'"$said"
        continue
    fi
    # Others than services run nothing that could be confined.
    if [ "${name##*.}" != service ]; then
        printf 'units: %s: verified.\n' "$name"
        continue
    fi
    if ! said=$(systemd-analyze security --offline=true --no-pager --threshold="$EXPOSURE" "$unit" 2>&1); then
        wrong "systemd/$name is less confined than allowed ($EXPOSURE tenths):"$'\n'"$said"
        continue
    fi
    printf 'units: %s: verified. %s\n' "$name" "$(sed -n 's/^.*\(Overall exposure[^:]*: [0-9.]*\).*$/\1/p' <<<"$said")"
done

# What a driver brings is allowed only if the driver is there when the unit starts.
for driver in ttyUSB:usbserial ttyACM:cdc_acm; do
    for key in Wants After; do
        grep -q "^$key=.*modprobe@${driver#*:}.service" systemd/stile.service ||
            wrong "stile.service allows char-${driver%:*}, and has no $key=modprobe@${driver#*:}.service: an adapter that comes later can't be opened"
    done
done

# Healthy is asked for behind the start, which compiles plugins and may take long: an update would be taken back for that. And the
# program says itself that its time is over, before systemd cuts it off.
microseconds() { systemd-analyze timespan "$1" | awk 'NR == 2 { print $2 }'; }
grep -q '^After=stile.service$' systemd/stile-health.service || wrong "stile-health.service does not wait for the start of stile.service"
patience=$(sed -n 's/^ExecStart=.* --within \([^ ]*\).*/\1/p' systemd/stile-health.service)
end=$(sed -n 's/^TimeoutStartSec=//p' systemd/stile-health.service)
[ "$(microseconds "$patience")" -lt "$(microseconds "$end")" ] ||
    wrong "stile-health.service is patient for $patience, and systemd ends it after $end"
# A new system whose program can't run can't say that it is bad either: its tries have to be used up.
grep -q '^FailureAction=reboot$' systemd/stile-update-bad.service || wrong "stile-update-bad.service fails and the machine stays as it is"

# The user and its folders, made in the place of those of a whole system.
root=$copies/root
mkdir -p "$root/etc"
printf 'root:x:0:0::/root:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\n' >"$root/etc/group"
if systemd-sysusers --root="$root" "$PWD/systemd/stile.sysusers" 2>"$copies/said" && grep -q '^stile:' "$root/etc/passwd"; then
    echo "units: stile.sysusers: makes the user"
else
    wrong "systemd/stile.sysusers makes no user:"$'\n'"$(cat "$copies/said")"
fi
# As another user than root nothing can be given away; systemd says so, and the folders are there all the same.
systemd-tmpfiles --root="$root" --create "$PWD/systemd/stile.tmpfiles" 2>"$copies/said" || [ "$(id -u)" -ne 0 ] ||
    wrong "systemd/stile.tmpfiles:"$'\n'"$(cat "$copies/said")"
[ "$(stat -c '%a' "$root/etc/stile" "$root/etc/stile/credentials" 2>&1 | paste -sd ' ')" = "750 750" ] ||
    wrong "systemd/stile.tmpfiles makes no folders for the settings"

# An entry without a text, or with a wrong id, is left out or refused here.
install -D -m 644 systemd/stile.catalog "$root/usr/lib/systemd/catalog/stile.catalog"
mkdir -p "$root/var/lib/systemd/catalog"
if ! journalctl --root="$root" --update-catalog 2>"$copies/said" || [ -s "$copies/said" ]; then
    wrong "systemd/stile.catalog:"$'\n'"$(cat "$copies/said")"
fi
there=$(grep -c '^-- [0-9a-f]\{32\}$' systemd/stile.catalog)
compiled=$(journalctl --root="$root" --list-catalog --no-pager | grep -c ' Stile: ' || true)
if [ "$there" -eq "$compiled" ]; then
    echo "units: stile.catalog: $compiled messages explained"
else
    wrong "systemd/stile.catalog has $there entries, and journalctl knows $compiled"
fi

# Only later versions can check rules.
if udevadm verify --help >/dev/null 2>&1; then
    said=$(udevadm verify "$PWD"/systemd/*.rules 2>&1) || wrong "$said"
fi
exit "$status"
