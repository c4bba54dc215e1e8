#!/usr/bin/env bash
# Makes a gateway of a fresh Debian tree; a hook of mmdebstrap, called by build.sh.
#
#   image/customize.sh ROOT PACKAGE
#
#   EPOCH, VERSION     the time that stands in the image, its version
#   KEYRING            certificates of those whose updates it takes; without it, it takes none
set -euo pipefail

root=${1:?usage: image/customize.sh ROOT PACKAGE} package=${2:?usage: image/customize.sh ROOT PACKAGE}
within() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 SOURCE_DATE_EPOCH="$EPOCH" "$@"; }

# The same number in each image, in the middle of those that packages are given from either end: /data/etc/upper and /data/var keep
# numbers, and no names, over updates. With it there the package makes no user of its own.
# Debian's rauc-hawkbit-updater makes none.
within systemd-sysusers --inline 'u stile 571 "Stile gateway" /var/lib/stile /usr/sbin/nologin' \
    'u rauc-hawkbit 572 "Updates of a fleet" / /usr/sbin/nologin'
cp "$package" "$root/tmp/stile.deb"
within dpkg --install /tmp/stile.deb
rm "$root/tmp/stile.deb"
# On a gateway in a cabinet nobody is trusted for having written a plugin's file.
printf '# Plugins run that somebody has signed whom the settings name. A file that comes later here may say otherwise.
[plugins]\nrequire = "signed"\n' | within install -m 640 -g stile /dev/stdin /etc/stile/conf.d/00-image.toml

printf 'IMAGE_ID=stile\nIMAGE_VERSION=%s\n' "$VERSION" >>"$root/usr/lib/os-release"
echo stile >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 stile\n::1 localhost ip6-localhost ip6-loopback\n' >"$root/etc/hosts"
ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
mkdir -p "$root/boot/firmware" "$root/data" "$root/etc/nftables.d"

# image/rauc/README.md: what is for RAUC, which has nothing to go by without certificates.
if [ -n "${KEYRING:-}" ]; then
    mkdir -p "$root/etc/rauc"
    sed "s/@ARCH@/$(dpkg-deb --field "$package" Architecture)/g; s/@VERSION@/$VERSION/g" image/rauc/system.conf \
        >"$root/etc/rauc/system.conf"
    install -m 644 "$KEYRING" "$root/etc/rauc/keyring.pem"
    install -D -m 755 image/rauc/boot-slots "$root/usr/lib/stile/boot-slots"
    install -D -m 644 image/rauc/dbus.conf "$root/etc/dbus-1/system.d/stile-rauc.conf"
    install -D -m 644 image/rauc/hawkbit-dbus.conf "$root/etc/dbus-1/system.d/stile-rauc-hawkbit.conf"
    sed "s/@ARCH@/$(dpkg-deb --field "$package" Architecture)/g" image/rauc/hawkbit.conf |
        within install -m 640 -g rauc-hawkbit /dev/stdin /etc/rauc-hawkbit-updater/config.conf
fi

# The last ones are what the package has for the image alone.
systemctl --quiet --root="$root" enable nftables systemd-networkd systemd-resolved chrony ssh stile-grow stile-clock \
    stile-journal.timer stile-journal-last fstrim.timer stile-provision stile-update-good stile-update-keep stile-reboot.path
# Nobody signs in at the console. What makes things anew in /etc after an update would freeze them there, and the package
# manager's own timers have nothing to do.
systemctl --quiet --root="$root" disable rauc-hawkbit-updater getty@tty1 systemd-networkd-wait-online e2scrub_reap wpa_supplicant \
    dpkg-db-backup.timer e2scrub_all.timer
systemctl --quiet --root="$root" set-default multi-user.target
systemctl --quiet --root="$root" mask ldconfig.service systemd-firstboot.service systemd-hwdb-update.service \
    dpkg-db-backup.timer e2scrub_all.timer
# Nothing here asks for these, and each takes its time from a start on a small machine: file systems of the kernel's inside, of
# programs and of very large pages; drivers that are not here; networks from the kernel's command line; what is for a journal on disk,
# and for a server of DHCP.
systemctl --quiet --root="$root" mask sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount \
    sys-fs-fuse-connections.mount dev-hugepages.mount dev-mqueue.mount modprobe@drm.service modprobe@configfs.service \
    modprobe@efi_pstore.service modprobe@fuse.service systemd-pstore.service systemd-network-generator.service \
    systemd-journal-flush.service systemd-networkd-persistent-storage.service

# By the names that boot loaders know, whatever the kernel's version.
kernel=$(basename "$root"/boot/vmlinuz-*)
version=${kernel#vmlinuz-}
# Once more, now that all is there; and nothing of the machine that it was made on.
rm -f "$root"/boot/initrd.img-*
within update-initramfs -c -k "$version" >/dev/null
rm -f "$root"/boot/System.map-* "$root"/boot/config-*
rm -f "$root"/vmlinuz* "$root"/initrd.img* "$root"/boot/initrd.img "$root"/boot/vmlinuz
mv "$root/boot/vmlinuz-$version" "$root/boot/vmlinuz"
mv "$root/boot/initrd.img-$version" "$root/boot/initrd.img"
# Of the device trees those of the boards that this is for; a PC has none. From Linux 7.3 on Debian has them among the modules, and
# the kernel there once more.
trees=$(realpath "$root/usr/lib/linux-image-$version")
if [ -d "$trees" ]; then
    mkdir "$root/boot/dtb"
    cp "$trees"/broadcom/bcm27*-rpi-*.dtb "$trees"/broadcom/bcm2837-rpi-*.dtb "$root/boot/dtb/"
    rm -rf "$trees" "$root/usr/lib/linux-image-$version"
fi
rm -f "$root/usr/lib/modules/$version"/{vmlinuz,System.map,config}

# /var of a running gateway is on its data part and starts empty: systemd-tmpfiles makes the folders that packages brought.
rm -rf "$root"/var/cache/* "$root"/var/log/* "$root"/var/tmp/* "$root"/var/lib/systemd/* "$root"/var/backups/*
within find /var -mindepth 1 \( -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/lib/initramfs-tools -o -path /var/lib/ucf \
    -o -path /var/lib/stile \) -prune -o -type d -printf 'd %p %#m %u %g -\n' | sort >"$root/usr/lib/tmpfiles.d/stile-image.conf"

# What is here, for whoever looks for known holes; the package manager itself has nothing to do on a read-only disk.
within dpkg-query --show --showformat '${Package} ${Version} ${Architecture}\n' >"$root/usr/lib/stile-image/packages"
# (mmdebstrap takes its own file in /etc/apt away, and fails without it.)
rm -rf "$root"/var/lib/{dpkg,initramfs-tools,ucf,apt/extended_states} "$root"/usr/lib/apt "$root"/usr/share/doc-base
find "$root/etc/apt" "$root/etc/dpkg" -type f ! -name 00mmdebstrap -delete

# Made on each gateway anew.
rm -f "$root"/etc/ssh/ssh_host_* "$root"/var/lib/dbus/machine-id "$root"/etc/.pwd.lock "$root"/etc/*-
: >"$root/etc/machine-id"
