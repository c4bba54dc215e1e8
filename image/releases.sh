# shellcheck shell=bash
# Other releases of an image, bundles of them, and a web server that has them: what test.sh updates a machine to. Sourced, not run.
#
#   KEYS       what image/rauc/dev-keys.sh has made, of which the image has keyring.pem; target/image/keys without it

readonly KEYS=${KEYS:-target/image/keys}
# The slots on the disk, in MiB (image/README.md).
readonly SLOT_LENGTH=600
declare -rA SLOT_AT=([A]=129 [B]=729)

# in_root ROOT COMMANDS...: what debugfs, on standard error, has to say against them; it ends with 0 whatever comes of them.
in_root() {
    local root=$1 said
    shift
    said=$(printf '%s\n' "$@" | PATH=$PATH:/usr/sbin debugfs -w -f - "$root" 2>&1 >/dev/null | grep -v '^debugfs [0-9]' || true)
    [ -z "$said" ] || fail "$root: $said"
}
root_file() { PATH=$PATH:/usr/sbin debugfs -R "cat $2" "$1" 2>/dev/null; }

# root_put ROOT PATH FILE: writes root's file anew; its rights stay.
root_put() {
    local mode name
    mode=$(PATH=$PATH:/usr/sbin debugfs -R "stat $2" "$1" 2>/dev/null | sed -n 's/.*Mode: *\([0-7]*\).*/\1/p')
    name=$(basename "$2")
    in_root "$1" "cd $(dirname "$2")" "rm $name" "write $3 $name" "sif $2 mode 0100${mode: -3}" "sif $2 uid 0" "sif $2 gid 0"
}
# root_change ROOT PATH SED: the same with what sed makes of it.
root_change() {
    root_file "$1" "$2" >"$work/before"
    sed "$3" "$work/before" >"$work/after"
    ! cmp -s "$work/before" "$work/after" || fail "$2 of $1 has nothing that '$3' changes"
    root_put "$1" "$2" "$work/after"
}

# release VERSION: the root file system of the image as another release, at $root.
release() {
    root=$work/$1.ext4
    cp --sparse=always "$(dirname "$image")/root.ext4" "$root"
    root_change "$root" /usr/lib/os-release "s/^IMAGE_VERSION=.*/IMAGE_VERSION=$1/"
    root_change "$root" /etc/rauc/system.conf "s/^min-bundle-version=.*/min-bundle-version=$1/"
}
# bundled ROOT VERSION: signed, at $served/VERSION.raucb.
bundled() {
    KEYRING=$KEYS/keyring.pem bash image/rauc/bundle.sh "$1" "$2" "$arch" "$KEYS/release.pem" "$KEYS/release.key" "$served/$2.raucb" \
        >"$work/bundle.log" 2>&1 || fail "no bundle of $1: $(cat "$work/bundle.log")"
}

# Serves the files of $served to the machine (image/server.py): $address is where.
serve() {
    python3 image/server.py "$served" "$work/deploy" >"$work/fleet" 2>"$work/served" &
    server=$!
    until_true 30 test -s "$work/fleet" || fail "the web server does not start: $(cat "$work/served")"
    # What a machine of QEMU's calls this host.
    address=http://10.0.2.2:$(head -n 1 "$work/fleet")
}
serve_end() { [ -z "${server:-}" ] || kill "$server"; }

# slot_begins SLOT: whether a file system stands in it, by the magic number of ext4. slot_holds SLOT ROOT: whether it is that one.
# Both read the disk from outside.
slot_begins() {
    [ "$(dd if="$machine/disk.img" bs=1 skip=$(((SLOT_AT[$1] << 20) + 1080)) count=2 status=none | od -An -tx1 | tr -d ' ')" = 53ef ]
}
slot_holds() { cmp -s -n "$((SLOT_LENGTH << 20))" "$machine/disk.img" "$2" "$((SLOT_AT[$1] << 20))" 0; }
