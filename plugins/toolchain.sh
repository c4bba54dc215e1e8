#!/usr/bin/env bash
# Sees to it that Rust can compile for another target, and prints the sysroot to do it with: an empty line where the
# toolchain has the target itself. Everything else it says goes to standard error.
#
#   plugins/toolchain.sh [TARGET]                what is there; else what rustup brings; else the standard library from source
#   plugins/toolchain.sh --from-source [TARGET]  the last of these, whatever else is there
#
# TARGET is wasm32-unknown-unknown, for filters, without it.
#
# From source means: Debian's package of it, for exactly this compiler, unpacked without installing. The mirror is the one
# that apt is set up for; the package is known by its hash.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

FROM_SOURCE=no
if [ "${1:-}" = --from-source ]; then
    FROM_SOURCE=yes
    shift
fi
readonly FROM_SOURCE TARGET=${1:-wasm32-unknown-unknown}
# The source moves together with rust-toolchain.toml. The hash is that of Debian's signed index (trixie-backports).
readonly SOURCE_RUST=1.95.0
readonly SOURCE_PACKAGE=pool/main/r/rustc/rust-src_1.95.0+dfsg1-2~bpo13+1_all.deb
readonly SOURCE_SHA256=7b76db5b880a77f9e52975d2baa6209d2f76d2c9c2789515c3088cb960e2c83b
# Panics name their place in the source: by this, and not by the temporary folder that it was unpacked in.
readonly SOURCE_NAME=/rustc/$SOURCE_RUST
readonly CACHE=target/toolchain/$SOURCE_RUST

PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"

say() { printf 'toolchain: %s\n' "$*" >&2; }
fail() {
    printf 'toolchain: error: %s\n' "$1" >&2
    shift
    if (($#)); then printf 'toolchain:   %s\n' "$@" >&2; fi
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

has_target() { compgen -G "$1/lib/rustlib/$TARGET/lib/libcore-*.rlib" >/dev/null; }

# download INTO: the package, from whichever of apt's sources has it.
download() {
    local helper=/usr/lib/apt/apt-helper source
    have apt-get && have dpkg-deb && [ -x "$helper" ] ||
        fail "this system has no apt to bring the standard library's source" \
            "install the target by hand: rustup target add $TARGET"
    # Root's apt downloads as a user of its own, who cannot write into root's folder: it says so and goes on.
    # What apt would read the package lists from: known without having read them, and without being root.
    for source in $(apt-get update --print-uris | sed -n "s|^'\(.*\)/dists/.*|\1|p" | awk '!seen[$0]++'); do
        "$helper" -q download-file "$source/$SOURCE_PACKAGE" "$1" "SHA256:$SOURCE_SHA256" >&2 && return 0
    done
    fail "none of apt's sources has $SOURCE_PACKAGE" "install the target by hand: rustup target add $TARGET" \
        "or name a newer one in plugins/toolchain.sh, if Debian has replaced it"
}

# The standard library, compiled into $CACHE. The variables are those that Rust's own build sets.
from_source() {
    local work library found
    found=$(rustc --version | cut -d ' ' -f 2)
    [ "$found" = "$SOURCE_RUST" ] ||
        fail "the source is that of Rust $SOURCE_RUST, and this is Rust $found" "install the target: rustup target add $TARGET"
    work=$(mktemp -d)
    # shellcheck disable=SC2064 # now, while $work is known
    trap "rm -rf '$work'" EXIT
    say "fetching the standard library's source"
    download "$work/source.deb"
    printf '%s  %s\n' "$SOURCE_SHA256" "$work/source.deb" | sha256sum --check --quiet >&2
    dpkg-deb -x "$work/source.deb" "$work/source"
    library=$work/source/usr/src/rustc-$SOURCE_RUST/library
    [ -d "$library/sysroot" ] || fail "the package holds no $library/sysroot"
    # A filter that panics is ended; in the gateway a panic ends one task.
    local features=()
    [ "$TARGET" = wasm32-unknown-unknown ] || features=(--features "panic-unwind backtrace")
    say "compiling it for $TARGET (once; takes about a minute)"
    (
        cd "$library/sysroot"
        export RUSTC_BOOTSTRAP=1 __CARGO_DEFAULT_LIB_METADATA=stablestd CARGO_TARGET_DIR="$work/built"
        # Cargo would otherwise take the repository's profile, flags or toolchain for its own.
        export RUSTUP_TOOLCHAIN=${RUSTUP_TOOLCHAIN:-$SOURCE_RUST}
        unset RUSTFLAGS
        local flags=(-Zforce-unstable-if-unmarked -Cembed-bitcode=yes "--remap-path-prefix=${library%/library}=$SOURCE_NAME")
        CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && printf '%s' "${flags[*]}")
        export CARGO_ENCODED_RUSTFLAGS
        cargo build --quiet --release --locked --target "$TARGET" "${features[@]}"
    ) >&2 || fail "the standard library could not be compiled (see above)"
    rm -rf "$CACHE/lib/rustlib/$TARGET"
    mkdir -p "$CACHE/lib/rustlib/$TARGET/lib"
    cp "$work/built/$TARGET/release/deps/"*.rlib "$CACHE/lib/rustlib/$TARGET/lib/"
    rm -rf "$work"
    trap - EXIT
}

by_rustup() {
    have rustup && rustup which rustc >/dev/null 2>&1 || return 1
    say "asking rustup for $TARGET"
    rustup target add "$TARGET" >&2 || { say "rustup can't bring it (see above)"; return 1; }
}

if [ "$FROM_SOURCE" = yes ]; then
    has_target "$CACHE" || from_source
else
    if has_target "$(rustc --print sysroot)"; then echo && exit 0; fi
    if ! has_target "$CACHE"; then
        if by_rustup; then echo && exit 0; fi
        from_source
    fi
fi
has_target "$CACHE" || fail "the standard library is not in $CACHE, though it was compiled"
printf '%s/%s\n' "$PWD" "$CACHE"
