#!/usr/bin/env bash
# Installs what a make target needs, and only what is missing. It starts, stops and configures no service of the system.
#
#   tests/setup.sh demo    a C linker and Rust
#   tests/setup.sh plugins the same, and what makes components of JavaScript, Python and C: Node with componentize-qjs,
#                          Python with componentize-py (both under target/tools), clang, lld and wasi-libc
#   tests/setup.sh check   as for demo, rustfmt and clippy
#   tests/setup.sh audit   the same, cargo-deny and cargo-audit
#   tests/setup.sh test    the same, all for plugins, the Mosquitto clients and under target/tools a Mosquitto broker and two
#                          proxies, curl and openssl (the documentation's commands are tests), iperf3, ip and ss, strace,
#                          mkfs.ext4 and mkfs.vfat, RAUC with squashfs-tools and dbus-daemon, tshark, Chromium with its driver and
#                          axe-core, zbarimg, python-dbusmock, under target/tools a chronyd that is never started as a service, and under
#                          tests/.venv two stock clients, libzmq, schemathesis and CycloneDX's schema, of PyPI and of npm, with Python and Node for them
#   tests/setup.sh fuzz    a C++ compiler, Rust, its nightly toolchain and cargo-fuzz
#   tests/setup.sh release as for demo, cargo-auditable
#   tests/setup.sh arm64   the same, and Debian's cross compiler for 64-bit ARM
#   tests/setup.sh profile and profile-arm64  the same as for release or arm64, LLVM's tools of the same compiler, curl, the Mosquitto
#                          clients, and for 64-bit ARM what runs its programs
#   tests/setup.sh bundle  what makes bundles of updates: RAUC, squashfs-tools, openssl
#   tests/setup.sh deb     what makes a package: debhelper, Python
#   tests/setup.sh test-deb  the same, lintian, mmdebstrap, systemd-nspawn, and the Mosquitto clients
#   tests/setup.sh image   what makes the image: mmdebstrap, Debian's keys, Python
#   tests/setup.sh image-arm64 the same, and what runs programs for 64-bit ARM where the machine is another one
#   tests/setup.sh test-image and test-image-arm64  the same, QEMU, mtools, curl, SSH, the Mosquitto clients, and as for bundle
#   tests/setup.sh bench   as for demo, the Mosquitto clients, Chromium with its driver, and under target/tools a Mosquitto
#                          broker, Node-RED and componentize-qjs, with Node for them
#
# Debian packages come by apt-get, with sudo when not root; on other systems the list to install by hand is printed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly CARGO_DENY_VERSION=0.20.2
readonly CARGO_AUDIT_VERSION=0.22.2
readonly CARGO_FUZZ_VERSION=0.13.2
readonly CARGO_AUDITABLE_VERSION=0.7.7
readonly NODE_VERSION=18
readonly TOOLS=target/tools
readonly CLIENTS=tests/.venv

# Where cargo and rustup put programs; a shell opened before they were installed does not know it.
PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"

say() { printf 'setup: %s\n' "$*"; }
fail() {
    printf 'setup: error: %s\n' "$1" >&2
    shift
    if (($#)); then printf 'setup:   %s\n' "$@" >&2; fi
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
# True when version $1 is $2 or later.
at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif ! have sudo; then
        fail "this needs root, and sudo is not installed: $*" "run it as root, then run this again"
    elif [ -n "${CI:-}" ]; then
        sudo -n "$@"
    else
        sudo "$@"
    fi
}

APT_UPDATED=no
apt_update() {
    [ "$APT_UPDATED" = no ] || return 0
    say "reading the package lists (apt-get update)"
    as_root apt-get -q update || fail "apt-get update failed (see above)" "check the network and the apt sources"
    APT_UPDATED=yes
}

# True when a package of that name can be installed; `apt-cache show` also knows names that are only referred to.
apt_offers() {
    LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep 'Candidate:' | grep -qv '(none)'
}

# Installs Debian packages. needrestart, where it is installed, would restart services after an install: not here.
apt_install() {
    have apt-get || fail "no apt-get on this system" "install by hand what these Debian packages hold: $*" "then run this again"
    apt_update
    say "installing: $*"
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
        apt-get install -q -y --no-install-recommends "$@" ||
        fail "apt-get could not install: $*" "install them by hand, then run this again"
}

# A compiler without the C library's headers is a common half installation, so link a program to find out.
links_c() {
    local dir ok=0
    have cc || return 1
    dir=$(mktemp -d)
    printf '#include <stdio.h>\nint main(void) { return puts("") < 0; }\n' >"$dir/a.c"
    cc -o "$dir/a" "$dir/a.c" >/dev/null 2>&1 || ok=1
    rm -rf "$dir"
    return "$ok"
}

need_linker() {
    links_c && return 0
    apt_install gcc libc6-dev ca-certificates
    links_c || fail "cc still cannot link a C program" "install a C compiler and the C library's headers by hand"
}

need_rust() {
    local wanted found
    wanted=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
    if ! have cargo; then
        if have apt-get; then
            apt_offers rustup || apt_update
            if apt_offers rustup; then apt_install rustup ca-certificates; fi
        fi
        have rustup || fail "Rust $wanted is needed, and cargo is not on the PATH" \
            "install it with rustup: https://rustup.rs (any system), or 'apt-get install rustup' (Debian 13 and later)" \
            "then run this again"
    fi
    if have rustup && ! cargo --version >/dev/null 2>&1; then
        say "fetching Rust $wanted with rustup"
        rustup toolchain install "$wanted" --profile minimal --component rustfmt --component clippy ||
            fail "rustup could not install Rust $wanted" "run by hand: rustup toolchain install $wanted"
    fi
    found=$(rustc --version | cut -d ' ' -f 2) || fail "rustc does not run (see above)" "Rust $wanted or later is needed"
    at_least "$found" "$wanted" ||
        fail "Rust $found is too old: $wanted or later is needed" "install it with rustup: https://rustup.rs"
}

# Instrumented code is made by nightly alone, which comes from rustup alone; libFuzzer is C++.
need_nightly() {
    have c++ || apt_install g++
    cargo +nightly --version >/dev/null 2>&1 && return 0
    have rustup || fail "a nightly toolchain is needed, and rustup is not installed" "install rustup: https://rustup.rs"
    rustup toolchain install nightly --profile minimal ||
        fail "rustup could not install it" "run by hand: rustup toolchain install nightly"
}

# The linters come with rustup's toolchain; a distribution may package them apart.
need_linters() {
    cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 && return 0
    have rustup || fail "rustfmt or clippy is missing" "install your distribution's packages of them, or Rust with rustup"
    say "adding rustfmt and clippy"
    rustup component add rustfmt clippy || fail "rustup could not add them" "run by hand: rustup component add rustfmt clippy"
}

# What reads counts of the compiler's own form.
need_llvm_tools() {
    compgen -G "$(rustc --print sysroot)/lib/rustlib/*/bin/llvm-profdata" >/dev/null && return 0
    have rustup || fail "llvm-profdata of the compiler's own LLVM is needed, and rustup is not installed" "install Rust by rustup: https://rustup.rs"
    rustup component add llvm-tools || fail "rustup could not add llvm-tools"
}

# need_cargo_tool NAME VERSION: a cargo subcommand, built into the default cargo home. A later version is left alone.
need_cargo_tool() {
    local found
    # Cargo knows what it has installed itself; cargo-auditable has no version to tell.
    found=$(cargo install --list | sed -n "s/^$1 v\([0-9.]*\).*/\1/p")
    [ -n "$found" ] || found=$("$1" --version 2>/dev/null | head -n 1 | sed 's/.* //' || true)
    if [ -n "$found" ] && at_least "$found" "$2"; then return 0; fi
    say "building $1 $2 (once; takes 3 to 6 minutes on two cores)"
    cargo install --locked --force --version "$2" "$1" ||
        fail "$1 $2 could not be installed" "run by hand: cargo install --locked --version $2 $1"
    have "$1" || fail "$1 is installed, but not on the PATH" "add cargo's bin folder (usually ~/.cargo/bin) to the PATH"
}

# A compiler for 64-bit ARM, with the C library that what it makes will need at least.
need_arm64_c() {
    have aarch64-linux-gnu-gcc && [ -e /usr/aarch64-linux-gnu/include/stdio.h ] ||
        apt_install gcc-aarch64-linux-gnu libc6-dev-arm64-cross
}

need_debhelper() {
    have dh && have dpkg-buildpackage && have python3 || apt_install debhelper dpkg-dev python3
}

# To look at packages, and for a Debian to try them in.
need_other_debian() {
    have lintian && have mmdebstrap && have systemd-nspawn || apt_install lintian mmdebstrap systemd-container
}

# A Debian tree for the image; all that makes file systems of it comes along in another tree.
need_mmdebstrap() {
    have mmdebstrap && have python3 && [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] ||
        apt_install mmdebstrap debian-archive-keyring python3
}

# Programs for 64-bit ARM run by QEMU, which the kernel is told of where systemd or binfmt-support have not done so.
need_arm64_programs() {
    local at=/proc/sys/fs/binfmt_misc rule=/usr/lib/binfmt.d/qemu-aarch64.conf
    [ "$(uname -m)" != aarch64 ] || return 0
    [ -e "$at/qemu-aarch64" ] || [ -e "$rule" ] || apt_install qemu-user-static
    [ -e "$at/qemu-aarch64" ] && return 0
    [ -e "$at/register" ] || as_root mount -t binfmt_misc none "$at" || fail "the kernel has no binfmt_misc"
    as_root cp "$rule" "$at/register"
}

need_fdtput() {
    have fdtput || apt_install device-tree-compiler
}

# need_virtual_machine PROGRAM PACKAGE: a virtual machine, and what looks into its disk from outside.
need_virtual_machine() {
    have "$1" && have mcopy && have ssh || apt_install "$2" mtools openssh-client
}

need_mosquitto_clients() {
    have mosquitto_pub && have mosquitto_sub && return 0
    apt_install mosquitto-clients
}

need_zstd() {
    have zstd || apt_install zstd
}

need_curl() {
    have curl || apt_install curl
}

need_openssl() {
    have openssl || apt_install openssl
}

# Networks that go away, and what the kernel knows of a connection.
need_iperf3() { have iperf3 || apt_install iperf3; }

need_iproute2() {
    { have ip && have ss; } || apt_install iproute2
}

# File systems that fail. Only root mounts them, and has mkfs.ext4 on the PATH.
need_e2fsprogs() {
    have mkfs.ext4 || [ -x /usr/sbin/mkfs.ext4 ] || apt_install e2fsprogs
}

# A boot partition, mounted by root.
need_dosfstools() {
    have mkfs.vfat || [ -x /usr/sbin/mkfs.vfat ] || apt_install dosfstools
}

# Updates: RAUC itself, the bus that it is asked over, and what bundles are made with. The service's package is left out, so that
# nothing of the system's own bus changes.
need_rauc() {
    have rauc && have mksquashfs && have dbus-daemon || apt_install rauc squashfs-tools dbus-daemon
}

# System calls that fail.
need_strace() {
    have strace || apt_install strace
}

# Wireshark's own reading of what `stile capture` writes. Asks nothing: ordinary users get no right to capture.
need_tshark() {
    have tshark || apt_install tshark
}

# need_pypi WANTED INTO: what requirements.txt WANTED pins by hashes, in an environment of its own.
need_pypi() {
    ! cmp -s "$1" "$2/requirements.txt" || return 0
    if ! have python3 || ! python3 -c 'import venv, ensurepip' 2>/dev/null; then apt_install python3 python3-venv; fi
    say "installing what $1 names under $2"
    python3 -m venv --clear "$2" && "$2/bin/pip" install -q --disable-pip-version-check --require-hashes -r "$1" ||
        fail "pip could not install it (see above)"
    # Last, so that it says that all went well.
    cp "$1" "$2/requirements.txt"
}

# need_npm FROM INTO: what the folder FROM pins by its lock file.
need_npm() {
    ! cmp -s "$1/package-lock.json" "$2/done" || return 0
    have node && have npm || apt_install nodejs npm
    node -e "process.exit(process.versions.node.split('.')[0] < $NODE_VERSION ? 1 : 0)" ||
        fail "node $(node --version) is too old: $NODE_VERSION or later is needed"
    say "installing what $1/package.json names under $2"
    rm -rf "$2"
    mkdir -p "$2"
    cp "$1/package.json" "$1/package-lock.json" "$2/"
    (cd "$2" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) || fail "npm could not install it (see above)"
    cp "$1/package-lock.json" "$2/done"
}

need_chromium() {
    have chromium && have chromedriver || apt_install chromium chromium-driver
}

# A browser for the tests of the admin page, and what finds faults of accessibility.
need_browser() {
    need_chromium
    need_npm tests/axe "$TOOLS/axe"
}

need_paho() {
    need_pypi tests/clients/requirements.txt "$CLIENTS/python"
}

# In its place Concentratord is played.
need_libzmq() {
    need_pypi tests/clients/libzmq.txt "$CLIENTS/libzmq"
}

# What reads a code as a camera does.
need_zbar() {
    have zbarimg || apt_install zbar-tools
}

# What holds the API against its own description.
need_schemathesis() {
    need_pypi tests/clients/schemathesis.txt "$CLIENTS/schemathesis"
}

# What holds bills of materials against their schema.
need_cyclonedx() {
    need_pypi tests/clients/cyclonedx.txt "$CLIENTS/cyclonedx"
}

need_mqtt_js() {
    need_npm tests/clients "$CLIENTS/node"
}

# A compiler for WebAssembly with a C library. The last package is what the compiler itself calls.
need_wasi_c() {
    local builtins
    builtins=$(clang --target=wasm32-wasi --print-libgcc-file-name 2>/dev/null || true)
    have clang && have wasm-ld && [ -f /usr/include/wasm32-wasi/stdlib.h ] && [ -f "$builtins" ] ||
        apt_install clang lld wasi-libc libclang-rt-dev-wasm32
}

# Languages of filters besides Rust.
need_languages() {
    need_npm plugins/threshold/js "$TOOLS/js"
    need_pypi plugins/threshold/python/requirements.txt "$TOOLS/python"
    need_wasi_c
}

# ModemManager's D-Bus API, on a bus of a test's own. It is for the system's Python, by which it comes.
need_dbusmock() {
    have dbus-daemon && /usr/bin/python3 -c 'import dbusmock, gi' 2>/dev/null || apt_install python3-dbusmock dbus-daemon
}

# need_client NEED WHAT: a client without which its tests are skipped, and say so.
need_client() {
    ("$1") || say "$2 can't be had here (see above): its tests are skipped, and say so"
}

# Installing Debian's broker would start it as a service. So its packages are only downloaded and unpacked, together
# with the libraries that this system lacks, and a small script runs it from there.
need_mosquitto_broker() {
    local dir packages deb
    [ ! -x "$TOOLS/bin/mosquitto" ] || return 0
    have apt-get || fail "no apt-get on this system" "put a Mosquitto broker at $TOOLS/bin/mosquitto by hand (a link will do)"
    mkdir -p "$TOOLS/bin"
    if have mosquitto || [ -x /usr/sbin/mosquitto ]; then
        ln -sf "$(command -v mosquitto || echo /usr/sbin/mosquitto)" "$TOOLS/bin/mosquitto"
        return 0
    fi
    apt_update
    packages=$(apt-get -s install --no-install-recommends mosquitto | awk '$1 == "Inst" { print $2 }')
    [ -n "$packages" ] || fail "apt-get knows no package mosquitto" "put a broker at $TOOLS/bin/mosquitto by hand"
    say "unpacking under $TOOLS, without installing: ${packages//$'\n'/ }"
    dir=$(mktemp -d)
    # Root's apt-get downloads as a user of its own, who cannot write into root's folder: it says so and goes on.
    # shellcheck disable=SC2086 # one word a package
    (cd "$dir" && apt-get -q download $packages) || fail "apt-get could not download: ${packages//$'\n'/ }"
    for deb in "$dir"/*.deb; do dpkg-deb -x "$deb" "$TOOLS/mosquitto" || fail "dpkg-deb could not unpack $deb"; done
    rm -rf "$dir"
    cat >"$TOOLS/bin/mosquitto" <<'RUN'
#!/bin/sh
root=$(cd "$(dirname "$0")/../mosquitto" && pwd)
libs=$(find "$root/usr/lib" "$root/lib" -name '*.so*' -printf '%h\n' 2>/dev/null | sort -u | paste -sd :)
LD_LIBRARY_PATH="$libs" exec "$root/usr/sbin/mosquitto" "$@"
RUN
    chmod +x "$TOOLS/bin/mosquitto"
}

# need_unpacked PACKAGE PROGRAM: the same of a program that needs no library which this system lacks. PROGRAM is its path in the
# package.
need_unpacked() {
    local dir name
    name=$(basename "$2")
    [ ! -x "$TOOLS/bin/$name" ] || return 0
    have apt-get || fail "no apt-get on this system" "put $name at $TOOLS/bin/$name by hand (a link will do)"
    mkdir -p "$TOOLS/bin"
    apt_update
    say "unpacking under $TOOLS, without installing: $1"
    dir=$(mktemp -d)
    (cd "$dir" && apt-get -q download "$1") || fail "apt-get could not download: $1"
    dpkg-deb -x "$dir"/*.deb "$dir/tree" || fail "dpkg-deb could not unpack $1"
    install "$dir/tree/$2" "$TOOLS/bin/$name" || fail "$name could not be put at $TOOLS/bin"
    rm -rf "$dir"
}

need_proxies() {
    need_unpacked tinyproxy-bin usr/bin/tinyproxy && need_unpacked microsocks usr/bin/microsocks
}

# It would be started as a service when it is installed, and set the clock.
need_chronyd() {
    need_unpacked chrony usr/sbin/chronyd
}

case "${1:-}" in
demo)
    need_linker
    need_rust
    ;;
plugins)
    need_linker
    need_rust
    need_languages
    ;;
check)
    need_linker
    need_rust
    need_linters
    ;;
audit | test)
    need_linker
    need_rust
    need_linters
    need_cargo_tool cargo-deny "$CARGO_DENY_VERSION"
    need_cargo_tool cargo-audit "$CARGO_AUDIT_VERSION"
    [ "$1" = audit ] || { need_mosquitto_clients && need_mosquitto_broker && need_proxies && need_curl && need_openssl; }
    [ "$1" = audit ] || { need_iperf3 && need_iproute2 && need_strace && need_e2fsprogs && need_dosfstools && need_tshark; }
    [ "$1" = audit ] || need_rauc
    [ "$1" = audit ] || need_languages
    [ "$1" = audit ] || need_browser
    [ "$1" = audit ] || { need_client need_paho paho-mqtt && need_client need_libzmq libzmq && need_client need_mqtt_js 'mqtt of npm'; }
    [ "$1" = audit ] || { need_client need_schemathesis schemathesis && need_client need_cyclonedx "CycloneDX's schema"; }
    [ "$1" = audit ] || need_client need_zbar zbarimg
    [ "$1" = audit ] || { need_client need_dbusmock python-dbusmock && need_client need_chronyd chronyd; }
    ;;
fuzz)
    need_linker
    need_rust
    need_nightly
    need_cargo_tool cargo-fuzz "$CARGO_FUZZ_VERSION"
    ;;
release | arm64 | profile | profile-arm64)
    need_linker
    need_rust
    need_cargo_tool cargo-auditable "$CARGO_AUDITABLE_VERSION"
    case $1 in *arm64) need_arm64_c ;; esac
    case $1 in profile*) need_llvm_tools && need_curl && need_mosquitto_clients ;; esac
    case $1 in profile-arm64) need_arm64_programs ;; esac
    ;;
bundle)
    need_rauc
    need_e2fsprogs
    need_openssl
    ;;
deb | test-deb)
    need_linker
    need_rust
    need_debhelper
    [ "$1" = deb ] || { need_other_debian && need_mosquitto_clients && need_iproute2; }
    ;;
image | image-arm64 | test-image | test-image-arm64)
    need_mmdebstrap
    case $1 in *-arm64) need_arm64_programs ;; esac
    case $1 in
    test-image) need_virtual_machine qemu-system-x86_64 qemu-system-x86 ;;
    test-image-arm64) need_virtual_machine qemu-system-aarch64 qemu-system-arm ;;
    esac
    case $1 in test-image-arm64) need_zstd && need_fdtput ;; esac
    case $1 in test-*) need_curl && need_mosquitto_clients && need_rauc && need_openssl && need_e2fsprogs ;; esac
    ;;
bench)
    need_linker
    need_rust
    need_mosquitto_clients
    need_mosquitto_broker
    # The admin page.
    need_chromium
    # The filter in JavaScript, and what plugins are compared with.
    need_npm plugins/threshold/js "$TOOLS/js"
    need_npm tests/bench/node-red "$TOOLS/node-red"
    ;;
*)
    fail "usage: tests/setup.sh demo|plugins|check|audit|test|fuzz|release|arm64|profile|profile-arm64|bundle|deb|test-deb|image|image-arm64|test-image|test-image-arm64|bench"
    ;;
esac
say "all that 'make $1' needs is here"
