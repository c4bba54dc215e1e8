#!/usr/bin/env bash
# Installs, upgrades, removes and purges the package in a Debian of its own, and runs there what it has installed.
#
#   image/deb/test.sh PACKAGE NEWER      two packages, the second with a higher version
#
#   SUITE      bookworm or trixie; bookworm without it
#
# The Debian is made by mmdebstrap with the mirrors that apt is set up for, once, and kept as target/deb/SUITE.tar. No systemd
# runs in it, which is boot.sh's work: what the packages' scripts leave for the next boot is looked at, and the gateway is started
# by hand as the user that its unit names, in a network of its own. Only root can do that.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { printf 'test-deb: %s\n' "$*"; }
fail() {
    printf 'test-deb: error: %s\n' "$*" >&2
    exit 1
}

package=${1:?usage: image/deb/test.sh PACKAGE NEWER} newer=${2:?usage: image/deb/test.sh PACKAGE NEWER}
suite=${SUITE:-bookworm}
base=target/deb/$suite.tar
[ "$(id -u)" -eq 0 ] || fail "only root can make and enter another Debian"

if [ -z "${IN_NAMESPACES:-}" ]; then
    if [ ! -e "$base" ]; then
        say "making a Debian $suite (once)"
        mkdir -p target/deb
        # Apt's own list of mirrors, for the suite that is wanted; the comments name none.
        mirrors=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -i debian | sort -u)
        [ -n "$mirrors" ] || fail "apt knows no mirror of Debian"
        list=$(while read -r mirror; do
            case $mirror in *security*) echo "deb $mirror $suite-security main" ;; *) echo "deb $mirror $suite main" ;; esac
        done <<<"$mirrors")
        mmdebstrap --quiet --format=tar --variant=minbase --include=systemd,udev,libgcc-s1 "$suite" "$base.new" - <<<"$list"
        mv "$base.new" "$base"
    fi
    # Everything that is mounted or started from here on goes with this process.
    IN_NAMESPACES=yes exec unshare --mount-proc --pid --net --fork --kill-child bash "$0" "$package" "$newer"
fi

root=$(mktemp -d)
mount -t tmpfs -o mode=755 tmpfs "$root"
trap 'cp "$root/tmp/stile.log" target/deb/gateway.log 2>/dev/null || true; umount -R "$root" && rmdir "$root"' EXIT
tar -xf "$base" -C "$root" --exclude='./dev/*'
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
ip link set lo up
cp "$package" "$root/tmp/package.deb"
cp "$newer" "$root/tmp/newer.deb"

readonly CLEAN=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8)
within() { "${CLEAN[@]}" chroot "$root" "$@"; }
# quietly WHAT COMMAND...: says what went wrong, and nothing else.
quietly() {
    local what=$1
    shift
    within "$@" >"$root/tmp/said" 2>&1 || { cat "$root/tmp/said" >&2; fail "$what failed (see above)"; }
}
# All files, but for logs, caches and what the package manager keeps for itself.
files() {
    within find / -xdev \( -path /proc -o -path /dev -o -path /tmp -o -path /run -o -path /var/log -o -path /var/cache \
        -o -path /var/lib/dpkg -o -path /var/lib/systemd/catalog \) -prune -o -print | sort
}
owner() { within stat -c '%a %U:%G' "$1"; }
expect() { [ "$2" = "$3" ] || fail "$1: $2, not $3"; }

start() {
    # The folder is what StateDirectory= makes.
    within install -d -m 700 -o stile -g stile /var/lib/stile
    dialout=$(within getent group dialout | cut -d : -f 3)
    (exec "${CLEAN[@]}" chroot "$root" setpriv --reuid=stile --regid=stile --groups="$dialout" /usr/bin/stile run) \
        >"$root/tmp/stile.log" 2>&1 &
    gateway=$!
    quietly "stile health" stile health --within 60s
}
stop() {
    kill -TERM "$gateway"
    wait "$gateway" || fail "the gateway ended with $?"
}

files >"$root/tmp/before"
say "$suite: installing $(within dpkg-deb -f /tmp/package.deb Version)"
quietly "installing" dpkg --install /tmp/package.deb
expect "the user's shell" "$(within getent passwd stile | cut -d : -f 7)" /usr/sbin/nologin
expect "/etc/stile" "$(owner /etc/stile)" "750 root:stile"
expect "/etc/stile/credentials" "$(owner /etc/stile/credentials)" "750 root:root"
within test -h /etc/systemd/system/multi-user.target.wants/stile.service || fail "stile.service is not enabled"
for unit in stile-health.service stile-provision.service stile-update-good.service stile-update-keep.service stile-reboot.path; do
    ! within test -e "/etc/systemd/system/multi-user.target.wants/$unit" || fail "$unit is enabled"
done
quietly "systemd-analyze verify" systemd-analyze verify --man=no stile.service stile-health.service stile-provision.service \
    stile-update-good.service stile-update-keep.service stile-update-bad.service stile-reboot.path
quietly "systemd-analyze security" systemd-analyze security --offline=true --threshold=18 stile.service
within journalctl --list-catalog >"$root/tmp/said" 2>&1
grep -q ' Stile: port lost' "$root/tmp/said" || fail "journalctl -x has no explanations"
! within udevadm verify --help >/dev/null 2>&1 || quietly "udevadm verify" udevadm verify /usr/lib/udev/rules.d/60-stile.rules
quietly "stile check" stile check

[ -z "$(within find /usr/share/doc/stile/docs -name '*.gz')" ] || fail "pages are compressed, and links to them lead nowhere"

start
open=$(ss -Hltun | awk '{ print $5 }' | sort | paste -sd ' ')
expect "the addresses that it listens on" "$open" "127.0.0.1:1883 127.0.0.1:8080"
mosquitto_pub -t kept -m message -r -q 1
stop

say "$suite: upgrading to $(within dpkg-deb -f /tmp/newer.deb Version)"
echo '# changed by an operator' >>"$root/etc/stile/stile.toml"
printf '[gateway]\nid = "roof"\n' >"$root/etc/stile/conf.d/10-id.toml"
quietly "upgrading" dpkg --install /tmp/newer.deb
grep -q '^# changed by an operator' "$root/etc/stile/stile.toml" || fail "the upgrade has taken the operator's settings"
start
expect "the retained message" "$(mosquitto_sub -t kept -C 1 -W 10)" message
stop

say "$suite: removing"
quietly "removing" dpkg --remove stile
! within test -e /usr/bin/stile || fail "the program is still there"
for kept in /etc/stile/stile.toml /etc/stile/conf.d/10-id.toml /var/lib/stile/stile.db; do
    within test -e "$kept" || fail "$kept went with the program"
done
quietly "installing again" dpkg --install /tmp/package.deb
start
expect "the retained message" "$(mosquitto_sub -t kept -C 1 -W 10)" message
stop

say "$suite: purging, with a disk of its own below the messages"
mount --bind "$root/var/lib/stile" "$root/var/lib/stile"
quietly "purging" dpkg --purge stile
umount "$root/var/lib/stile"
rmdir "$root/var/lib/stile" || fail "the purge has left something there"
files >"$root/tmp/after"
left=$(diff "$root/tmp/before" "$root/tmp/after" | grep '^[<>]' || true)
# The copies that the user's making leaves of the files that it changes.
left=$(grep -Ev '^[<>] /etc/(passwd|group|shadow|gshadow)-$|/\.updated$' <<<"$left" || true)
[ -z "$left" ] || fail "not as it was before:"$'\n'"$left"
say "$suite: installed, upgraded, removed and purged"
