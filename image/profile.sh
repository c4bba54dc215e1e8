#!/usr/bin/env bash
# Finds out how the program is used, for the compiler: target/profile/ARCH.profdata, by which image/program.sh builds. What is used
# often is built to be fast then and stands together, and what is used seldom is built small.
#
#   image/profile.sh amd64|arm64
#
#   MESSAGES   how many each publisher sends: 20000
#
# A program that counts which way it takes is built, and used for two minutes: a gateway with made-up radios, filters, clients of
# each version and QoS, over TLS too, and a program that reads its API, which forwards all of it to another gateway.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
arch=${1:?usage: image/profile.sh amd64|arm64}
bash image/program.sh "$arch" count
case $arch in amd64) kind=x86_64 ;; arm64) kind=aarch64 ;; esac
program=$PWD/target/profile/build/$kind-unknown-linux-gnu/release/stile
messages=${MESSAGES:-20000}
serial='[[radio]]
name = "sensor"
kind = "simulated"
device = "line"'
if [ "$(uname -m)" != "$kind" ]; then
    # Neither a pseudo-terminal's raw mode nor what starts without an environment, as the compiler of filters does, is there in QEMU.
    serial=
    export QEMU_LD_PREFIX=/usr/$kind-linux-gnu
fi
bash plugins/build.sh pass downsample

readonly MQTT=28831 TLS=28832 PAGE=28833 REMOTE=28834
work=$(mktemp -d "$PWD/target/profile/use.XXXXXX")
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
export LLVM_PROFILE_FILE=$work/counts/%p.profraw
say() { printf 'profile: %s\n' "$*"; }
fail() {
    printf 'profile: error: %s\n' "$*" >&2
    tail -n 20 "$work"/*.log >&2
    exit 1
}

# gateway NAME SETTINGS: one of this name is started.
gateway() {
    mkdir -p "$work/$1"
    printf '[gateway]\nid = "%s"\ndata-dir = "%s/%s/data"\n%s\n' "$1" "$work" "$1" "$2" >"$work/$1/stile.toml"
}
start() { "$program" run --config "$work/$1/stile.toml" >"$work/$1.log" 2>&1 & gateways+=($!); }
gateways=()

gateway remote "[broker]
listen = [\"127.0.0.1:$REMOTE\"]
[admin]
listen = \"off\""
gateway roof "[broker]
listen = [\"127.0.0.1:$MQTT\"]
[broker.tls]
listen = [\"127.0.0.1:$TLS\"]
[admin]
listen = \"127.0.0.1:$PAGE\"
$serial
[[radio]]
name = \"lora\"
kind = \"simulated\"
device = \"lora-gateway\"
region = \"eu868\"
[[uplink]]
name = \"cloud\"
url = \"mqtt://127.0.0.1:$REMOTE\"
topics = [{ filter = \"#\" }]"
echo '{ "fields": { "/temperature": 0.5 } }' >"$work/downsample.json"
echo '{}' >"$work/pass.json"
for filter in pass downsample; do
    "$program" plugin install "target/plugins/$filter.wasm" --config "$work/roof/stile.toml" --topic 'use/filtered/#' \
        --settings "$work/$filter.json" >>"$work/install.log" 2>&1 || say "$filter does not run here: $(tail -n 1 "$work/install.log")"
done
start remote
start roof

# answers COMMAND...: waits until it succeeds.
answers() {
    local deadline=$((SECONDS + 120))
    until "$@" >/dev/null 2>&1; do [ "$SECONDS" -lt "$deadline" ] || fail "the gateway does not answer: $*"; done
}
answers mosquitto_pub -p "$MQTT" -t hello -n
answers mosquitto_pub -p "$REMOTE" -t hello -n

say "subscribers, and $messages messages of each publisher"
listeners=()
for qos in 0 1 2; do
    for version in 311 5; do
        mosquitto_sub -p "$MQTT" -V "$version" -q "$qos" -t 'use/#' >/dev/null &
        listeners+=($!)
    done
done
mosquitto_sub -p "$MQTT" -c -i keeper -x 3600 -V 5 -q 1 -t 'use/#' >/dev/null &
listeners+=($!)
mosquitto_sub -h localhost -p "$TLS" --cafile "$work/roof/data/tls/ca.pem" -t 'use/#' >/dev/null &
listeners+=($!)
mosquitto_sub -p "$REMOTE" -q 1 -t '#' >/dev/null &
listeners+=($!)
lines() { seq 1 "$messages" | sed 's/.*/{ "temperature": &.5, "battery": 3.6, "text": "as sensors like to send it" }/'; }
for qos in 0 1 2; do
    for version in 311 5; do
        lines | mosquitto_pub -p "$MQTT" -V "$version" -q "$qos" -t "use/$qos/$version" -l
    done
done
lines | mosquitto_pub -p "$MQTT" -t use/filtered/room -l
lines | mosquitto_pub -h localhost -p "$TLS" --cafile "$work/roof/data/tls/ca.pem" -t use/encrypted -l
for number in {1..100}; do mosquitto_pub -p "$MQTT" -q 1 -r -t "use/retained/$number" -m "$number"; done
mosquitto_sub -p "$MQTT" -t 'use/retained/#' -C 100 -W 60 >/dev/null || fail "the retained messages do not come"
"$program" token add use --scope viewer --config "$work/roof/stile.toml" >"$work/token" 2>>"$work/token.log" || fail "no token for the API"
token=$(sed -n 's/^token, shown this once: //p' "$work/token")
for _ in {1..5}; do
    for path in /healthz /metrics /api/v1/overview /api/v1/openapi.json; do
        curl --silent --fail --max-time 60 --header "Authorization: Bearer $token" --output /dev/null "http://127.0.0.1:$PAGE$path" ||
            fail "$path does not answer"
    done
done

# What is counted is written down at the end.
kill "${listeners[@]}"
kill -TERM "${gateways[@]}"
wait "${gateways[@]}" || fail "a gateway did not end well"
"$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/llvm-profdata" merge \
    --output "target/profile/$arch.profdata" "$work/counts"
say "target/profile/$arch.profdata"
