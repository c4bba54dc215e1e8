#!/usr/bin/env bash
# Boots a Debian with the package installed, in a container of systemd-nspawn, and looks at the service as its systemd has it:
# started and healthy under all its confinement, secrets handed over, reloads taken and refused, wrong settings not tried again,
# a hanging gateway started anew by the watchdog. Takes a minute, half of which is that wait.
#
#   image/deb/boot.sh PACKAGE
#
#   SUITE      bookworm or trixie; bookworm without it. image/deb/test.sh makes the Debian
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

fail() {
    printf 'boot: error: %s\n' "$*" >&2
    exit 1
}

package=${1:?usage: image/deb/boot.sh PACKAGE}
base=target/deb/${SUITE:-bookworm}.tar
[ "$(id -u)" -eq 0 ] || fail "only root can boot another Debian"
[ -e "$base" ] || fail "$base is not there; image/deb/test.sh makes it"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
tar -xf "$base" -C "$root" --exclude='./dev/*'
cp "$package" "$root/root/package.deb"

cat >"$root/root/look.sh" <<'LOOK'
set -eu
trap 'journalctl --no-pager -u stile | tail -n 50; sync; systemctl poweroff --no-block' EXIT
shows() { [ "$(systemctl show stile --property="$1" --value)" = "$2" ] || { echo "$1 is not $2"; exit 1; }; }
refused() { if "$@"; then echo "$* was not refused"; exit 1; fi; }
dpkg --install /root/package.deb
echo "boot: installed and started"
stile health --within 60s
systemctl start stile-health

printf secret >/etc/stile/credentials/cloud
chmod 600 /etc/stile/credentials/cloud
cat >/etc/stile/conf.d/cloud.toml <<SETTINGS
[[uplink]]
name = "cloud"
url = "mqtt://127.0.0.1:9"
user = "roof"
password-file = "/run/credentials/stile.service/stile_cloud"
topics = [{ filter = "a" }]
SETTINGS
systemctl restart stile
systemctl reload stile
shows NRestarts 0
journalctl --sync
journalctl --no-pager -x STILE_UPLINK=cloud | grep -q 'The uplink cloud does not reach its remote broker'
echo "boot: secrets are handed over, and the journal explains"

echo 'nonsense = 1' >/etc/stile/conf.d/wrong.toml
refused systemctl reload stile
stile health --data-dir /var/lib/stile
refused systemctl restart stile
sleep 4
shows ActiveState failed
shows ExecMainStatus 78
shows NRestarts 0
rm /etc/stile/conf.d/wrong.toml
systemctl start stile
echo "boot: wrong settings are refused, and not tried again"

kill -STOP "$(systemctl show stile --property=MainPID --value)"
stile health --within 2min
shows NRestarts 1
systemctl stop stile
shows Result success
echo "boot: all is well"
LOOK
cat >"$root/etc/systemd/system/look.service" <<'UNIT'
[Service]
Type=oneshot
ExecStart=/bin/bash /root/look.sh
StandardOutput=file:/root/said
StandardError=file:/root/said
TimeoutStartSec=5min
UNIT
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../look.service "$root/etc/systemd/system/multi-user.target.wants/look.service"
timeout 400 systemd-nspawn --quiet --directory="$root" --boot --private-network --register=no --keep-unit \
    </dev/null >"$root/root/console" 2>&1 || true
if ! grep -qx 'boot: all is well' "$root/root/said"; then
    cat "$root/root/console" "$root/root/said" >&2
    fail "the service is not as it should be (see above)"
fi
grep '^boot: ' "$root/root/said"
