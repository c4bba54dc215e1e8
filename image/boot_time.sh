#!/usr/bin/env bash
# How long the image for a PC takes from power on to a gateway that is ready, and a bare Debian to multi-user.target: the same
# loader, kernel and disk, in software emulation, in turn; the second start and those after it. `make boot-time`.
#
#   image/boot_time.sh [ROUNDS]      5 without it
#
# The bare Debian is what mmdebstrap's variant "important" has, which is what debootstrap installs, and a kernel.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
arch=amd64
. image/debian.sh
. image/qemu.sh
. image/releases.sh

rounds=${1:-5}
image=$out/stile-$arch.img
[ -e "$image" ] || fail "$image is not there; make image ARCH=$arch makes it"
work=$(mktemp -d "$out/boot-time.XXXXXX")
trap 'machine_end; rm -rf "$work"' EXIT

# A system that the image's loader starts: kernel and initial file system by its names for them.
make_bare() {
    say "a bare Debian"
    bootstrap "$arch" linux-image-amd64,initramfs-tools "$out/bare.tar" --variant=important \
        --customize-hook='cd "$1/boot" && mv vmlinuz-* vmlinuz && mv initrd.img-* initrd.img' \
        --customize-hook="echo 'PARTUUID=$SIGNATURE-02 / ext4 defaults 0 1' >\"\$1/etc/fstab\""
    ext4 bare.ext4 "$SLOT" -d bare.tar
    rm "$out/bare.tar"
}

# boots NAME LINE: leaves in $took the milliseconds from power on until LINE stands on the console. Then the power goes.
boots() {
    local began
    machine=$work/$1
    began=$(date +%s%3N)
    machine_start
    until_true "${PATIENCE:-300}" grep -qa "$2" "$machine/console" || fail "'$2' does not come: $(tail -n 20 "$machine/console")"
    took=$(($(date +%s%3N) - began))
    # What a start leaves to be done behind it.
    sleep 20
    machine_cut
}
median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

make_tools
make_bare
machine_make "$image" "$work/stile"
cp -r --sparse=always "$work/stile" "$work/bare"
dd if="$out/bare.ext4" of="$work/bare/disk.img" bs=1M seek="${SLOT_AT[A]}" conv=notrunc,sparse status=none
for ((round = 0; round <= rounds; round++)); do
    for one in 'stile Started .*stile.service' 'bare Reached target .*multi-user.target'; do
        boots "${one%% *}" "${one#* }"
        say "${one%% *}: $took ms$([ "$round" -gt 0 ] || echo ', the first start, which is not counted')"
        [ "$round" -eq 0 ] || echo "$took" >>"$work/${one%% *}.times"
    done
done
stile=$(median <"$work/stile.times") bare=$(median <"$work/bare.times")
say "to a gateway that is ready $stile ms, a bare Debian to multi-user.target $bare ms: $(awk "BEGIN { printf \"%.2f\", $stile / $bare }") times"
