#!/usr/bin/env bash
# Looks through the built image for what must not ship, and for what must: `make test-image` runs it.
#
#   image/scan.sh ARCH
#
# No key, no password, no identity of a machine; no program with rights of its own beyond a short list; bounds on sizes.
# Reads target/image/ARCH/root.tar, of which the slot is made, and the file systems themselves.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

arch=${1:?usage: image/scan.sh ARCH}
out=target/image/$arch
# MB, as issue and documentation promise.
readonly ROOT_BOUND=600 PACKED_BOUND=250
# Programs that run as root whoever starts them: util-linux, shadow, dbus, OpenSSH.
readonly SETUID="/usr/bin/chfn /usr/bin/chsh /usr/bin/gpasswd /usr/bin/mount /usr/bin/newgrp /usr/bin/passwd /usr/bin/su
/usr/bin/umount /usr/lib/dbus-1.0/dbus-daemon-launch-helper /usr/lib/openssh/ssh-keysign"

status=0
wrong() {
    printf 'scan: error: %s\n' "$*" >&2
    status=1
}

# id_of FILE FIELD: a number of the entry stile in /etc/FILE.
id_of() { awk -F : -v field="$2" '$1 == "stile" { print $field }' "$root/etc/$1"; }

root=$(mktemp -d)
trap 'chmod -R u+w "$root"; rm -rf "$root"' EXIT
tar -xf "$out/root.tar" -C "$root" --no-same-owner --exclude='./dev/*'

while IFS=: read -r user password _; do
    case $password in '*' | '!' | '!*' | '!!') ;; *) wrong "$user has a password, or none and may sign in: '$password'" ;; esac
done <"$root/etc/shadow"
grep -qx 'require = "signed"' "$root/etc/stile/conf.d/00-image.toml" || wrong "plugins need no signature"
[ ! -s "$root/etc/machine-id" ] || wrong "/etc/machine-id is not empty"
[ "$(cat "$root/etc/hostname")" = stile ] || wrong "/etc/hostname is $(cat "$root/etc/hostname")"

found=$(find "$root" \( -name 'ssh_host_*_key*' -o -name 'authorized_keys' -o -name 'id_rsa*' -o -name 'id_ed25519*' -o -name '*.pfx' \
    -o -name '*.p12' -o -name 'random-seed' -o -name 'people.toml' -o -name 'users.toml' -o -name 'credential.secret' \) -printf '/%P\n')
[ -z "$found" ] || wrong "secrets or identities: $found"
found=$(grep -rlE --binary-files=without-match -e '-----BEGIN ([A-Z]+ )?PRIVATE KEY-----' "$root" --include='*' 2>/dev/null | sed "s|$root||" || true)
[ -z "$found" ] || wrong "private keys: $found"
# What is kept over updates belongs to a number.
[ "$(id_of passwd 3) $(id_of passwd 4) $(id_of group 3)" = "571 571 571" ] ||
    wrong "the user stile is $(id_of passwd 3), of group $(id_of passwd 4), and the group is $(id_of group 3): 571 is theirs"
find "$root/usr/lib/firmware" -name 'regulatory.db-*' | grep -q . || wrong "no wireless-regdb: the kernel knows no country of Wi-Fi"
[ -z "$(ls -A "$root/etc/stile/credentials")" ] || wrong "/etc/stile/credentials is not empty"
# No name of a mirror, and nothing that leads to where it was built.
found=$(find "$root/etc/apt" "$root/var/lib/apt" "$root/var/cache" "$root/var/log" -type f -size +0 -print 2>/dev/null || true)
[ -z "$found" ] || wrong "left from building: $found"

found=$(tar -tvf "$out/root.tar" | awk '$1 ~ /^-..[sS]/ { sub(/^\./, "", $NF); print $NF }' | sort)
unknown=$(comm -23 <(printf '%s\n' $found) <(printf '%s\n' $SETUID | sort))
[ -z "$unknown" ] || wrong "run as root whoever starts them: $unknown"
found=$(tar -tvf "$out/root.tar" | awk '$1 ~ /^[-d].......w/ && $1 !~ /t$/ { print $NF }')
[ -z "$found" ] || wrong "anybody may write: $found"

for unit in apt-daily dpkg-db-backup e2scrub_all man-db; do
    [ ! -e "$root/etc/systemd/system/timers.target.wants/$unit.timer" ] || wrong "$unit.timer writes and has nothing to do"
done
for unit in nftables chrony stile stile-provision systemd-networkd; do
    find "$root/etc/systemd/system" -path "*.wants/$unit.service" | grep -q . || wrong "$unit is not enabled"
done
[ "$(wc -l <"$root/usr/lib/stile-image/packages")" -eq "$(($(wc -l <"$out/lock") + 1))" ] || wrong "the list of packages is not whole"

# The kernel of a Pi gets to its card by what the initial file system has. (Modules are packed themselves; grep reads cpio's names.)
if [ -d "$root/boot/dtb" ]; then
    found=$({ cat "$root/boot/initrd.img"; zstd -dcqf "$root/boot/initrd.img"; } | grep -aoE 'lib/modules/[[:graph:]]*\.ko' | python3 image/cards.py "$root") ||
        wrong "the initial file system lacks what these cards need: $found"
fi

used=$(($(du --apparent-size -sb "$root" | cut -f 1) / 1000000))
[ "$used" -le "$ROOT_BOUND" ] || wrong "the root file system is $used MB, and $ROOT_BOUND are promised"
printf 'scan: %s: %s packages, root file system %s MB, %s MB of them kernel and modules\n' "$arch" "$(wc -l <"$out/lock")" "$used" \
    "$(($(du --apparent-size -scb "$root"/boot "$root"/usr/lib/modules | tail -n 1 | cut -f 1) / 1000000))"
if [ -e "$out/stile-$arch.img.xz" ]; then
    packed=$(($(stat -c %s "$out/stile-$arch.img.xz") / 1000000))
    [ "$packed" -le "$PACKED_BOUND" ] || wrong "packed it is $packed MB, and $PACKED_BOUND are promised"
    printf 'scan: %s: packed %s MB\n' "$arch" "$packed"
fi
exit "$status"
