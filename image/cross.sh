#!/usr/bin/env bash
# Builds the program for 64-bit ARM (Raspberry Pi 3 and later) on another machine: target/aarch64-unknown-linux-gnu/release/stile.
# Debian's cross compiler makes the parts in C and links; the standard library is rustup's, or made from its source. What comes
# of it runs with the C library of the Debian that it was built on, and later ones.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
readonly TARGET=aarch64-unknown-linux-gnu
readonly GNU=aarch64-linux-gnu

sysroot=$(bash plugins/toolchain.sh ${STILE_TOOLCHAIN:-} "$TARGET")
flags=(--remap-path-prefix="$PWD=/stile")
# Cargo gives these to what is built for the target, and not to what runs while building.
[ -z "$sysroot" ] || flags+=(--sysroot="$sysroot")
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="${flags[*]}"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$GNU-gcc
export CC_aarch64_unknown_linux_gnu=$GNU-gcc AR_aarch64_unknown_linux_gnu=$GNU-ar
cargo auditable build --release --locked --package stile --target "$TARGET"
bash image/glibc.sh "${CARGO_TARGET_DIR:-target}/$TARGET/release/stile"
