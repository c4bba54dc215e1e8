#!/usr/bin/env bash
# Builds the program for devices, with the list of what is linked into it inside: target/TRIPLE/release/stile.
#
#   image/program.sh amd64|arm64          by target/profile/ARCH.profdata, where image/profile.sh has made that
#   image/program.sh amd64|arm64 count    one that counts which way it takes, for image/profile.sh: in target/profile/build
#
# For another processor than this machine's, Debian's cross compiler makes the parts in C and links; the standard library is
# rustup's, or made from its source. What comes of it runs with the C library of the Debian that it was built on, and later ones.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
case ${1:-} in
amd64) kind=x86_64 ;;
arm64) kind=aarch64 ;;
*)
    echo "usage: image/program.sh amd64|arm64 [count]" >&2
    exit 2
    ;;
esac
readonly TARGET=$kind-unknown-linux-gnu GNU=$kind-linux-gnu PROFILE=$PWD/target/profile/$1.profdata
into=${CARGO_TARGET_DIR:-target}

flags=(--remap-path-prefix="$PWD=/stile")
# Cargo gives these to what is built for a named target, and not to what runs while building.
variable=${TARGET//-/_}
variable=CARGO_TARGET_${variable^^}
if [ "$(uname -m)" != "$kind" ]; then
    sysroot=$(bash plugins/toolchain.sh ${STILE_TOOLCHAIN:-} "$TARGET")
    [ -z "$sysroot" ] || flags+=(--sysroot="$sysroot")
    export "${variable}_LINKER=$GNU-gcc" "CC_${TARGET//-/_}=$GNU-gcc" "AR_${TARGET//-/_}=$GNU-ar"
fi
# The compiler's own linker, which it takes by itself where it is to build for amd64 alone. By it, addresses that are only known when the
# program starts are a tenth as long (DT_RELR, which glibc has known since 2.36).
linker=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/gcc-ld
[ ! -d "$linker" ] || flags+=("-Clink-arg=-B$linker" -Clink-arg=-fuse-ld=lld -Clink-arg=-Wl,-z,pack-relative-relocs)

if [ "${2:-}" = count ]; then
    flags+=(-Cprofile-generate)
    into=target/profile/build
elif [ -e "$PROFILE" ]; then
    # By a name that is another one for another profile: cargo looks at flags, and not at the file behind them.
    named=${PROFILE%.profdata}-$(sha256sum "$PROFILE" | cut -c 1-12).profdata
    ln -f "$PROFILE" "$named"
    flags+=("-Cprofile-use=$named")
    echo "program: built by $named"
else
    echo "program: built without a profile: it is larger and slower than a release; make profile ARCH=$1 makes one"
fi
export "${variable}_RUSTFLAGS=${flags[*]}"
cargo auditable build --release --locked --package stile --target "$TARGET" --target-dir "$into"
bash image/glibc.sh "$into/$TARGET/release/stile"
