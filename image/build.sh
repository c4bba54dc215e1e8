#!/usr/bin/env bash
# Builds the image for a card: target/image/ARCH/stile-ARCH.img, and packed beside it with .xz.
#
#   image/build.sh amd64|arm64 PACKAGE       PACKAGE is the .deb of that architecture
#
#   MIRROR     a mirror of Debian; without it the snapshot of the moment that image/snapshot names
#   SECURITY   the mirror of its security updates; without it MIRROR's neighbour debian-security
#   KEYRING    certificates of those whose updates the image takes (image/rauc); without it, it takes none
#   PACK       "no" leaves the packed file out
#   LOCK       "write" writes image/lock/ARCH anew from what was installed
#
# Needs mmdebstrap, no Docker, and no root where user namespaces are allowed. All that makes file systems and boot loaders runs
# in a tree of the same snapshot. Downloads are kept in target/image/cache.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

arch=${1:?usage: image/build.sh amd64|arm64 PACKAGE} package=${2:?usage: image/build.sh amd64|arm64 PACKAGE}
. image/debian.sh
[ -f "$package" ] || fail "$package is not there; make deb ARCH=$arch makes it"
[ "$(dpkg-deb --field "$package" Architecture)" = "$arch" ] || fail "$package is not for $arch"
package=$(realpath "$package")

# MiB: where the first part begins, and how long the parts are.
readonly START=1 BOOT=128 DATA=128
VERSION=$(dpkg-deb --field "$package" Version)
export VERSION

# The files of image/tree with the disk's signature in its places, as a tar that belongs to root.
make_tree() {
    rm -rf "$out/tree"
    cp -r image/tree "$out/tree"
    grep -rlZ '@SIGNATURE@' "$out/tree" | xargs -0 sed -i "s/@SIGNATURE@/$SIGNATURE/g"
    chmod -R u=rwX,go=rX "$out/tree"
    tar -cf "$out/tree.tar" -C "$out/tree" --owner=0 --group=0 --numeric-owner --sort=name --mtime="@$EPOCH" .
    rm -rf "$out/tree"
}
make_root() {
    say "root file system for $arch"
    local left_out=() line
    while read -r line; do left_out+=("--dpkgopt=$line"); done < <(sed '/^#/d' image/packages/left-out)
    make_tree
    # The initial file system is made once, at the end, by customize.sh: emulated, it takes minutes.
    INITRD=No bootstrap "$arch" "$(names image/packages/common "image/packages/$arch")" "$out/root.tar" \
        "${left_out[@]}" --dpkgopt=force-confold --dpkgopt=force-unsafe-io \
        --essential-hook="tar-in $out/tree.tar /" \
        --customize-hook="python3 image/lock.py \"\$1\" >$out/lock" \
        --customize-hook='sync-out /var/cache/apt/archives target/image/cache' \
        --customize-hook="bash image/customize.sh \"\$1\" $package"
    rm "$out/tree.tar"
    rm -f target/image/cache/lock target/image/cache/*.bin
}
# Another mirror has other packages on another day: the same, or it is said what differs.
check_lock() {
    local lock=image/lock/$arch
    if [ "${LOCK:-}" = write ]; then
        mkdir -p image/lock
        cp "$out/lock" "$lock"
        say "$lock: $(wc -l <"$lock") packages"
    elif [ ! -e "$lock" ]; then
        say "warning: there is no $lock to hold these packages against; make image-lock ARCH=$arch writes it"
    elif ! diff -U 0 "$lock" "$out/lock" >"$out/differs"; then
        say "not the packages of $lock:"
        grep '^[-+][^-+]' "$out/differs" || true
        [ -n "${MIRROR:-}" ] || fail "the snapshot of $snapshot has to have them; make image-lock ARCH=$arch writes the list anew"
    fi
}
make_slots() {
    say "slots and data"
    ext4 root.ext4 "$SLOT" -L stile-root -U "$ROOT_UUID" -O ^has_journal,^resize_inode,^metadata_csum_seed -N 60000 -d root.tar
    within e2fsck -fn root.ext4 >"$out/e2fsck.log" || fail "the root file system is not whole: see $out/e2fsck.log"
    # As many inodes and as much journal as the whole card will want; room in the tables to grow to a terabyte.
    ext4 data.ext4 "$DATA" -L data -U "$DATA_UUID" -i 16384 -J size=16
}
# The boot part, file by file in order: mcopy of a folder takes them as they come.
make_boot() {
    local boot=$out/boot path
    rm -rf "$boot"
    mkdir -p "$boot"
    "boot_$arch"
    { printf '# GRUB Environment Block\nBOOT_ORDER=A B\nBOOT_A_LEFT=3\nBOOT_B_LEFT=0\n'; printf '#%.0s' {1..1024}; } |
        head -c 1024 >"$boot/slots.txt"
    find "$boot" -exec touch -d "@$EPOCH" {} +
    rm -f "$out/boot.vfat"
    truncate -s "${BOOT}M" "$out/boot.vfat"
    within mkfs.vfat --invariant -F 32 -n STILE-BOOT -i "$SIGNATURE" boot.vfat >"$out/vfat.log"
    while read -r path; do
        if [ -d "$boot/$path" ]; then within mmd -i boot.vfat "::$path"; else within mcopy -m -i boot.vfat "boot/$path" "::$path"; fi
    done < <(cd "$boot" && find . -mindepth 1 -printf '%P\n' | sort)
}
boot_amd64() {
    local modules="biosdisk part_msdos fat ext2 normal loadenv regexp test echo sleep linux reboot serial terminal minicmd"
    mkdir -p "$boot/grub" "$boot/EFI/BOOT"
    sed "s/@SIGNATURE@/$SIGNATURE/g" image/boot/grub.cfg >"$boot/grub/grub.cfg"
    within grub-mkimage -O i386-pc -p '(,msdos1)/grub' -o core.img $modules
    within cp /usr/lib/grub/i386-pc/boot.img boot.img
    within grub-mkimage -O x86_64-efi -p '(,msdos1)/grub' -o boot/EFI/BOOT/BOOTX64.EFI ${modules/biosdisk/}
}
# The firmware of a Pi reads its own files, the device tree of its board with what hat.txt adds, and U-Boot, all from here.
boot_arm64() {
    tar -xf "$out/root.tar" -C "$out" --strip-components=3 --one-top-level=boot ./boot/dtb
    within sh -c 'cp /usr/lib/raspi-firmware/bootcode.bin /usr/lib/raspi-firmware/start*.elf /usr/lib/raspi-firmware/fixup*.dat boot/
        cp /usr/lib/u-boot/rpi_arm64/u-boot.bin boot/u-boot.bin'
    # What dtparam= stands for, in each tree that has the names; the others stay as they are, and it is said. In all of them, that
    # U-Boot starts at once: on its UART, which may be a radio's, any byte would stop it for ever.
    cp image/boot/hats.dts "$out/hats.dts"
    within sh -c 'dtc -q -@ -o hats.dtbo hats.dts && cd boot && for tree in *.dtb; do
        if fdtoverlay -i $tree -o ../new.dtb ../hats.dtbo 2>/dev/null; then cat ../new.dtb >$tree; else echo "image: $tree takes no dtparam="; fi
        fdtput -c $tree /config && fdtput -t x $tree /config bootdelay fffffffe || exit
    done'
    cp image/boot/config.txt "$boot/config.txt"
    echo '# A line such as dtparam=spi=on, for a LoRa HAT.' >"$boot/hat.txt"
    sed "s/@SIGNATURE@/$SIGNATURE/g" image/boot/boot.cmd >"$out/boot.cmd"
    within mkimage -A arm64 -T script -C none -n stile -d boot.cmd boot/boot.scr >/dev/null
    # For the test: QEMU's machine has its own.
    within cp /usr/lib/u-boot/qemu_arm64/u-boot.bin u-boot-qemu.bin
}
make_disk() {
    say "disk"
    local image=$out/stile-$arch.img at=$START part
    rm -f "$image"
    truncate -s "$((START + BOOT + 2 * SLOT + DATA))M" "$image"
    within sfdisk --quiet "stile-$arch.img" <<TABLE
label: dos
label-id: 0x$SIGNATURE
start=${START}MiB, size=${BOOT}MiB, type=c, bootable
size=${SLOT}MiB, type=83
size=${SLOT}MiB, type=83
size=${DATA}MiB, type=83
TABLE
    for part in "boot.vfat $BOOT" "root.ext4 $SLOT" "- $SLOT" "data.ext4 $DATA"; do
        [ "${part% *}" = - ] || dd if="$out/${part% *}" of="$image" bs=1M seek="$at" conv=notrunc,sparse status=none
        at=$((at + ${part#* }))
    done
    if [ "$arch" = amd64 ]; then
        [ "$(stat -c %s "$out/core.img")" -lt $(((START << 20) - 512)) ] || fail "GRUB does not fit in front of the first part"
        dd if="$out/boot.img" of="$image" bs=440 count=1 conv=notrunc status=none
        dd if="$out/core.img" of="$image" bs=512 seek=1 conv=notrunc status=none
    fi
}

# What stands on the disk: the packages of the root, and those whose files the boot part has.
make_bill() {
    local boot="grub-pc-bin grub-efi-amd64-bin"
    [ "$arch" = amd64 ] || boot="raspi-firmware u-boot-rpi"
    { cat "$out/lock"; within dpkg-query --show --showformat '${Package} ${Version} ${Architecture}\n' $boot; } >"$out/packages"
    python3 image/image_sbom.py "$out/root.tar" "$out/packages" "$arch" >"$out/stile-$arch.cdx.json"
}

make_tools
make_root
check_lock
make_bill
make_slots
make_boot
make_disk
say "$out/stile-$arch.img ($(du -m --apparent-size "$out/stile-$arch.img" | cut -f 1) MiB, SHA-256 $(sha256sum "$out/stile-$arch.img" | cut -d ' ' -f 1))"
[ "${PACK:-}" != no ] || exit 0
say "packing"
within xz --force --keep -6 --threads=0 "stile-$arch.img"
say "$out/stile-$arch.img.xz ($(stat -c %s "$out/stile-$arch.img.xz") bytes)"
