# shellcheck shell=bash
# Trees of Debian and file systems made of them, of one snapshot or mirror (build.sh tells of both). Sourced, not run; $arch is whose.
#
# It leaves in $out the folder that all is made in.

say() { printf 'image: %s\n' "$*"; }
fail() {
    printf 'image: error: %s\n' "$*" >&2
    exit 1
}
case $arch in amd64 | arm64) ;; *) fail "there is no image for $arch, but for amd64 and arm64" ;; esac

# The disk's signature, by which its parts are called.
readonly SIGNATURE=5711e001
# MiB: how long a slot is.
readonly SLOT=600
# Identities of file systems, and the seeds by which ext4 hashes names: fixed, so that the same bytes come out.
readonly ROOT_UUID=5711e001-0000-4000-8000-000000000002 DATA_UUID=5711e001-0000-4000-8000-000000000004
# All times in the image are that of the last commit, or SOURCE_DATE_EPOCH.
EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export EPOCH SOURCE_DATE_EPOCH=$EPOCH TZ=UTC LC_ALL=C.UTF-8

out=target/image/$arch
snapshot=$(cat image/snapshot)
mirror=${MIRROR:-http://snapshot.debian.org/archive/debian/$snapshot}
security=${SECURITY:-${mirror/archive\/debian/archive/debian-security}}
[ -n "${SECURITY:-}" ] || [ "$security" != "$mirror" ] || security=${mirror%/}-security
mkdir -p "$out" target/image/cache

# One name a line, without comments, joined by commas.
names() { cat "$@" | sed '/^#/d' | paste -sd ,; }
# The sources of packages, of which apt checks the signatures; those of a snapshot are past their time.
sources() {
    local key=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -e "$key" ] || fail "$key is not there: install debian-archive-keyring"
    local options="[signed-by=$key check-valid-until=no]" parts="main non-free-firmware"
    echo "deb $options $mirror trixie $parts"
    echo "deb $options $mirror trixie-updates $parts"
    [ "$1" = amd64 ] || echo "deb $options $mirror trixie-backports $parts"
    echo "deb $options $security trixie-security $parts"
    echo "deb $options $mirror forky main"
}
# What apt takes from where: all from Debian 13, but for what image/packages/forky names.
preferences() {
    printf 'Package: *\nPin: release n=forky\nPin-Priority: -1\n\n'
    printf 'Package: %s\nPin: release n=forky\nPin-Priority: 990\n' "$(sed '/^#/d' image/packages/forky | paste -sd ' ')"
}
# bootstrap ARCHITECTURES NAMES TARGET OPTIONS...: a tree as a tar; downloaded packages come from the cache and go to it.
bootstrap() {
    local archs=$1 include=$2 target=$3
    shift 3
    preferences >"$out/preferences"
    mmdebstrap --quiet --format=tar --variant=essential --architectures="$archs" --include="$include" \
        --aptopt='APT::Install-Recommends "false"' --aptopt='APT::Install-Suggests "false"' \
        --skip=download/empty,essential/unlink,check/qemu \
        --setup-hook='mkdir -p "$1"/var/cache/apt/archives/partial' \
        --setup-hook="upload $out/preferences /etc/apt/preferences" \
        --setup-hook='sync-in target/image/cache /var/cache/apt/archives' \
        --essential-hook='rm -f "$1"/etc/apt/preferences.d/*' \
        "$@" \
        trixie "$target.new" - <<<"$(sources "$arch")" || fail "mmdebstrap failed (see above)"
    mv "$target.new" "$target"
}

# What changes the tools' tree: the sources and the names.
make_tools() {
    local host key wanted
    host=$(dpkg --print-architecture)
    wanted=$(names image/packages/tools "image/packages/tools-$arch")
    key=$(printf '%s' "$mirror $host $wanted" | sha256sum | cut -c 1-12)
    tools=$PWD/target/image/tools-$arch-$key
    [ ! -e "$tools/done" ] || return 0
    say "tools, from the same snapshot (once)"
    local archs=$host
    [ "$host" = "$arch" ] || [ "$arch" = amd64 ] || archs=$host,$arch
    bootstrap "$archs" "$wanted" "$tools.tar" --customize-hook='sync-out /var/cache/apt/archives target/image/cache'
    rm -rf "$tools"
    mkdir -p "$tools"
    tar -xf "$tools.tar" -C "$tools" --no-same-owner --exclude='./dev/*'
    mkdir -p "$tools/work"
    rm "$tools.tar"
    touch "$tools/done"
}
# within COMMAND...: one of the tools, with target/image/ARCH as its folder.
within() {
    unshare --user --map-root-user --mount bash -c '
        mount --bind "$2" "$1/work" && mount --rbind /dev "$1/dev" && mount --rbind /proc "$1/proc"
        exec chroot "$1" env -i --chdir=/work PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TZ=UTC HOME=/ MTOOLS_SKIP_CHECK=1 \
            SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" E2FSPROGS_FAKE_TIME="$SOURCE_DATE_EPOCH" "${@:3}"' \
        - "$tools" "$PWD/$out" "$@"
}
# ext4 NAME MIB OPTIONS...
ext4() {
    local name=$1 size=$2
    shift 2
    rm -f "$out/$name"
    truncate -s "${size}M" "$out/$name"
    within mke2fs -q -t ext4 -F -b 4096 -I 256 -m 0 -E "hash_seed=$ROOT_UUID,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0" \
        "$@" "$name"
}
