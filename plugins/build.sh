#!/usr/bin/env bash
# Builds filters to components, target/plugins/NAME.wasm: the same bytes each time and in each folder.
#
#   plugins/build.sh           every filter in plugins/
#   plugins/build.sh NAME...   these; NAME-js, NAME-python and NAME-c are the same filter in another language
#
# Filters in Rust need Rust alone. For the other languages, see plugins/languages.sh; the bytes of Python's differ each time.
#
# STILE_TOOLCHAIN=--from-source takes the standard library from source (see plugins/toolchain.sh).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
readonly TARGET=wasm32-unknown-unknown
readonly OUT=target/plugins
BUILT=${CARGO_TARGET_DIR:-target}
readonly BUILT

sysroot=$(bash plugins/toolchain.sh ${STILE_TOOLCHAIN:-})
flags=(--remap-path-prefix="$PWD=/stile")
[ -z "$sysroot" ] || flags+=(--sysroot="$sysroot")
# The folder of a registry's crates has the registry's address in its name.
for crates in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do flags+=(--remap-path-prefix="$crates=/crates"); done
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && printf '%s' "${flags[*]}")
export CARGO_ENCODED_RUSTFLAGS

names=("$@")
if ((${#names[@]} == 0)); then
    for manifest in plugins/*/manifest.json; do names+=("$(basename "$(dirname "$manifest")")"); done
    for source in plugins/*/{js,python,c}; do
        [ ! -d "$source" ] || names+=("$(basename "$(dirname "$source")")-$(basename "$source")")
    done
fi
mkdir -p "$OUT"
# One at a time: cargo unites the features of what it builds together, and then the bytes would depend on the company.
for name in "${names[@]}"; do
    language=${name##*-} filter=${name%-*}
    if [ ! -d "plugins/$name" ] && [ -d "plugins/$filter/$language" ]; then
        # Their tools are built for this machine, without the flags of filters.
        env -u CARGO_ENCODED_RUSTFLAGS bash plugins/languages.sh "$language" "plugins/$filter" "$OUT/$name.wasm"
    else
        cargo build --quiet --locked --package "stile-$name" --target "$TARGET" --profile plugin
        # Beside it and then into its place: a gateway may be reading the old one.
        cp "$BUILT/$TARGET/plugin/stile_${name//-/_}.wasm" "$OUT/.$name.wasm"
        mv "$OUT/.$name.wasm" "$OUT/$name.wasm"
    fi
    printf '%s %s bytes\n' "$OUT/$name.wasm" "$(stat -c %s "$OUT/$name.wasm")"
done
