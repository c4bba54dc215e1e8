#!/usr/bin/env bash
# Makes a component of a filter that is not written in Rust: languages.sh LANGUAGE FOLDER OUT.
#
#   LANGUAGE   js, python or c
#   FOLDER     holds manifest.json, the world in wit/, and the source in LANGUAGE/
#   OUT        the component
#
# What it needs is installed by tests/setup.sh plugins; the versions are in the sources' own lock files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly TOOLS=$PWD/target/tools
PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"

fail() {
    printf 'plugins: error: %s\n' "$1" >&2
    printf 'plugins:   run tests/setup.sh plugins, which installs it; filters in Rust need none of it\n' >&2
    exit 1
}

# Whether $1 is there and newer than all the other files.
is_fresh() {
    local out=$1 source
    shift
    [ -f "$out" ] || return 1
    for source in "$@"; do [ "$out" -nt "$source" ] || return 1; done
}

# One byte, and a number as WebAssembly writes it (LEB128).
byte() { printf '%b' "\\x$(printf '%02x' "$1")"; }
number() {
    local rest=$1
    while ((rest >= 128)); do
        byte $((rest % 128 + 128))
        rest=$((rest / 128))
    done
    byte "$rest"
}

# add_manifest COMPONENT MANIFEST: as the custom section that Rust's filters have too. A section at a component's end is
# its id, its length, its name's length, its name and its content.
add_manifest() {
    local name=stile:manifest
    {
        byte 0
        number $((1 + ${#name} + $(stat -c %s "$2")))
        byte ${#name}
        printf '%s' "$name"
        cat "$2"
    } >>"$1"
}

# The source and the world in a folder of their own: tools write beside their sources.
copy_source() {
    mkdir "$work/source"
    cp "$folder/$language/"* "$work/source/"
    cp -rL "$folder/wit" "$work/wit"
    rm -rf "$work/wit/deps/stile-filter/released"
}

build_js() {
    local tool=$TOOLS/js/node_modules/componentize-qjs/bin/componentize-qjs
    [ -x "$(command -v node)" ] && [ -f "$tool" ] || fail "componentize-qjs of npm is not there"
    cc -shared -fPIC -O1 -o "$work/same-bytes.so" plugins/same-bytes.c
    copy_source
    # No asynchronous calls, the engine in its small form, and no WASI: what it would ask for traps.
    (cd "$work/source" && LD_PRELOAD="$work/same-bytes.so" node "$tool" --wit ../wit --world filter --js filter.js \
        --sync --opt-size --stub-wasi --output ../made.wasm) >"$work/said" 2>&1 || { cat "$work/said" >&2; return 1; }
}

build_python() {
    local tool=$TOOLS/python/bin/componentize-py
    [ -x "$tool" ] || fail "componentize-py of PyPI is not there"
    copy_source
    (cd "$work/source" && "$tool" --quiet --wit-path ../wit --world filter componentize --stub-wasi --python-path . \
        --output ../made.wasm app)
}

build_c() {
    local linker
    command -v clang >/dev/null && command -v wasm-ld >/dev/null && [ -f /usr/include/wasm32-wasi/stdlib.h ] ||
        fail "clang, lld or wasi-libc is not there (Debian: clang lld wasi-libc libclang-rt-dev-wasm32)"
    linker=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/wasm-component-ld
    [ -x "$linker" ] || linker=$(command -v wasm-component-ld) || fail "wasm-component-ld, a part of Rust, is not there"
    copy_source
    cargo run --quiet --locked --package stile-c-bindings -- "$work/wit" "$work/source"
    # No start-up code, which would be a program's; wasm-component-ld makes the component of what lld links.
    (cd "$work/source" && clang --target=wasm32-wasi -std=c17 -Os -flto -Wall -Wextra -Werror -nostartfiles ./*.c \
        filter_component_type.o -fuse-ld="$linker" -Wl,--wasm-ld-path="$(command -v wasm-ld)" -Wl,--no-entry \
        -Wl,--strip-all -o ../made.wasm)
}

[ $# -eq 3 ] || fail "usage: plugins/languages.sh js|python|c FOLDER OUT"
language=$1 folder=$2 out=$3
case $language in js | python | c) ;; *) fail "there is no language $language" ;; esac
is_fresh "$out" "$folder/manifest.json" "$folder/$language/"* "$folder/wit/"* wit/filter.wit plugins/languages.sh && exit 0
work=$(mktemp -d)
# shellcheck disable=SC2064 # now, while $work is known
trap "rm -rf '$work'" EXIT
"build_$language"
add_manifest "$work/made.wasm" "$folder/manifest.json"
# Beside it and then into its place: a gateway may be reading the old one.
cp "$work/made.wasm" "$(dirname "$out")/.$(basename "$out")"
mv "$(dirname "$out")/.$(basename "$out")" "$out"
