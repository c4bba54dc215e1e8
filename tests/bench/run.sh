#!/usr/bin/env bash
# Takes the figures and writes them to BENCHMARKS.md, with the machine named: `make bench`. About half an hour once
# everything is built. A figure that misses its target is written as missed; nothing here is a test. KILLS is how often
# each forwarder is killed, 100 unless it says fewer, for a try; RECORDS of an hour, 3600, likewise.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly OUT=BENCHMARKS.md
NEW=$(mktemp)
trap 'rm -f "$NEW"' EXIT

step() { printf '== %s\n' "$*" >&2; }
# section TITLE TEXT: what its figures are; they come on standard input.
section() {
    printf '\n## %s\n\n' "$1"
    # What is put together of parts is filled anew.
    fmt -u -w 120 -g 120 <<<"$2"
    echo
    cat
}
# Some kernels and processors name themselves in /proc/cpuinfo, others only to lscpu.
cpu_model() { lscpu | sed -n 's/^Model name: *//p' | head -n 1; }
# Where the figures were taken; BENCHMARKS.md itself may differ.
commit() {
    git rev-parse --short=12 HEAD
    git diff --quiet HEAD -- . ":!$OUT" || echo "and changes that are not committed"
}
# What `make release` goes by here.
use() {
    local kind
    case $(uname -m) in aarch64) kind=arm64 ;; *) kind=amd64 ;; esac
    if [ -e "target/profile/$kind.profdata" ]; then echo "by a profile of its use"; else echo "without a profile of its use"; fi
}
machine() {
    cat <<TEXT
# Benchmarks

\`make bench\` writes this file. Targets are those of the project's issues; a figure that misses its target says so.

| | |
|---|---|
| Processor | $(cpu_model), $(nproc) cores, $(uname -m) |
| Memory | $(awk '$1 == "MemTotal:" { printf "%.1f GiB", $2 / 1048576 }' /proc/meminfo) |
| Kernel | $(uname -sr) |
| Date | $(date -u '+%Y-%m-%d %H:%M UTC') |
| Commit | $(commit | paste -sd ' ') |
| Rust | $(rustc --version | cut -d ' ' -f 2), release profile, $(use) |
| Mosquitto | $(target/tools/bin/mosquitto -h | sed -n '1s/.*version //p') |
| Chromium | $(chromium --version 2>/dev/null | cut -d ' ' -f 2) |
| Node-RED | $(sed -n 's/.*"node-red": "\(.*\)"/\1/p' tests/bench/node-red/package.json), Node $(node --version) |
| Load when it began | $(cut -d ' ' -f 1-3 /proc/loadavg) |
TEXT
}
figures() { cargo bench --quiet --locked --package stile-tests --bench figures -- "$@"; }
# executable NAME: a benchmark of the daemon's package. Not run by cargo, which would make the daemon's binary anew.
executable() {
    cargo bench --quiet --locked --package stile --bench "$1" --no-run --message-format json |
        sed -n "s|.*\"executable\":\"\([^\"]*/deps/$1-[^\"]*\)\".*|\1|p"
}

machine >"$NEW"

step "build"
# The daemon last: the benchmarks' own dependencies ask for more features, and its binary is to be as it ships.
cargo bench --locked --package stile --bench fanout --bench plugins --bench sharing --bench spool --no-run
cargo bench --locked --package stile-tests --bench figures --no-run
FANOUT=$(executable fanout)
PLUGINS=$(executable plugins)
SHARING=$(executable sharing)
SPOOL=$(executable spool)
bash plugins/build.sh pass spin threshold threshold-js
# As it ships.
make release
install "target/$(rustc -vV | sed -n 's/^host: //p')/release/stile" target/release/stile

step "serial to subscriber"
figures serial | section "Serial to subscriber" \
    "One pseudo-terminal paced like a line of 921600 baud: 200-byte lines, 461 a second, in chunks of 64 bytes, each
written when its last bit would have left the line. The time runs from the instant before the frame's last bytes are
written to the return of the subscriber's read (MQTT 3.1.1, QoS 0)." >>"$NEW"

step "pipeline to subscriber"
{
    printf '| Figure | Measured | Target | |\n|---|---|---|---|\n'
    "$FANOUT"
} | section "Pipeline to subscriber, in process" \
    "64-byte messages as a radio makes them, through ingest, ledger, hub, router, outbox and connection to a loopback
socket, until a thread of the same process has read each of them, in order, as MQTT 3.1.1 with QoS 0. Default settings;
the source stays at most 800 messages ahead of the reader." >>"$NEW"

step "LoRa gateways"
figures lora | section "LoRa gateways over UDP" \
    "Gateways that speak Semtech's protocol on loopback, a frame of 16 bytes a datagram; events as protocol buffers, to one
subscriber (MQTT 3.1.1, QoS 0). The time runs from before the datagram is sent to the return of the subscriber's read. The
malformed datagrams come from one socket, 10,000 a second. A command is a PUBLISH for a gateway of its own; its time runs to
the read of the PULL_RESP. Where \`chirpstack-mqtt-forwarder\` is on the PATH, the frames of one gateway go through it and
Mosquitto as well." >>"$NEW"

step "modems and probes"
{
    figures probes
    echo
    figures measured-hour "${RECORDS:-3600}"
} | section "Modems and probes" \
    "Four modems made up on pseudo-terminals, one of each dialect, are read each second, and ten STAMP probes of one packet each
run each second against the reflector of another daemon on loopback; one subscriber, QoS 1; watched for two minutes. The timing
error is a probe's round trip: from before the packet is handed to the kernel to the kernel's receive timestamp of the answer,
less the time for which the reflector says that it held the packet, from the kernel's receive timestamp there to before the
answer is handed over. On loopback there is next to no way, so all of it counts as error, that of both sides and the way
together; a packet without an answer counts as infinitely late. CPU is user and system time of the daemon that measures. The
hour is one of simulated time, at five times the speed, which is the fastest that the settings allow: each modem and each probe
makes 3,600 records, numbered by the daemon, and each number is looked for at the subscriber and in \`stile export\`." >>"$NEW"

step "idle"
figures idle | section "Idle" "The release binary, watched for 30 seconds each time." >>"$NEW"

step "the admin page"
{
    figures page
    figures viewers
    figures page-memory
} | section "The admin page" \
    "In Debian's Chromium, headless, on the same machine, with the settings of three simulated radios and an uplink that reaches
nothing, and with a history that is full: an hour in steps of 10 seconds, two days in steps of 5 minutes. Each load is a cold
one, over plain HTTP on loopback; ready is the load event, bytes are as they came, heads included. The live page is watched for
the time between two pictures while messages of 64 bytes come. Viewers read \`/api/v1/live\` and are told of every message; what
they cost is the CPU time with them, less that without. Memory: medians of three pairs." >>"$NEW"

step "beside Mosquitto"
figures beside | section "Beside Mosquitto" \
    "The same frames on a pseudo-terminal, with Stile's serial radio on it, or \`mosquitto_pub -l\` and Debian's broker;
five rounds in turn, medians. Flooded: 100000 frames as fast as the pseudo-terminal takes them. CPU is user and system
time of the daemon, or of publisher and broker together. Mosquitto has its default settings but for \`set_tcp_nodelay\`
and \`--nodelay\`, without which TCP itself may hold messages back." >>"$NEW"

readonly SAME="On both the same bare client of MQTT 3.1.1; five rounds in turn, medians. Stile's limits on connections and
queues are raised; Mosquitto has \`set_tcp_nodelay\`, \`max_queued_messages 0\` and, as many as Stile has by default,
\`max_inflight_messages 256\`. CPU is user and system time of the broker"

step "throughput"
figures throughput | section "Broker beside broker: throughput" \
    "64 bytes. $SAME for each message delivered; the clients' own is that of the one thread that they share, which is to
be well below a core. A publisher stays at most 500 messages ahead of the slowest subscriber, and publishes for a second and a
half." >>"$NEW"

step "latency"
figures latency | section "Broker beside broker: 2,000 messages a second" \
    "64 bytes, one to one. ${SAME/five rounds/fifteen rounds}. The ratio is the median of each pair's, and behind it
where that lies by 95 %; even: 1 is in there, and the two can't be told apart. The clients have a processor of their own:
else the kernel moves them about, the more the less time a broker takes. Kept awake: the processors do not halt meanwhile
(\`/dev/cpu_dma_latency\` is held open, as \`cyclictest\` does), so that the brokers are compared. In the rows behind those
they may, and most of the time is what a halted one takes to wake: long in a virtual machine, and as its host pleases." >>"$NEW"

step "idle clients"
figures crowd | section "Broker beside broker: idle clients" \
    "2,000 clients, each with a subscription of its own, a second after the last came. Fresh brokers for each round." >>"$NEW"

step "TLS"
figures tls | section "Broker beside broker: TLS" \
    "The same certificate (ECDSA, P-256) and whole handshakes, without resumption, of four clients at a time. $SAME." >>"$NEW"

step "memory afterwards"
figures memory | section "Memory comes back" \
    "Resident memory of one process of Stile, above what it was when nobody had come; the rows are one after the other.
The filters are subscribed to by ten clients, get 200 messages each, and 50,000 go on under their topic when all have left." >>"$NEW"

step "a stuck subscriber"
figures stuck | section "One subscriber is stuck" \
    "2,000 messages of 64 bytes a second to ten subscribers, without and with an eleventh that has stopped reading: its
connection and its queue are full. Default settings; five rounds in turn, medians." >>"$NEW"

step "spool"
{
    printf '| Figure | Measured | Target | |\n|---|---|---|---|\n'
    "$SPOOL"
} | section "Spool: the queue before a remote broker" \
    "Messages with 200 bytes of payload. Batch by batch: appended, on disk, handed out, acknowledged, one batch after the other;
also with only 20 under way, fewer than a batch has.
The outage: all are appended, each batch waited for, before the first is taken. Bytes are \`write_bytes\` of /proc/self/io;
nothing is counted that the file system's journal writes." >>"$NEW"

step "store and forward beside Mosquitto's bridge"
{
    figures bridge
    echo
    figures bridge-kills "${KILLS:-100}"
} | section "Store and forward beside Mosquitto's bridge" \
    "200 bytes a message, QoS 1 all the way, at most 64 under way on either side; the spool with its default settings. Mosquitto
keeps what it has on disk by \`persistence\`, \`autosave_on_changes true\`, \`autosave_interval 1\`, and forwards by a bridge
with \`cleansession false\`. Each has a Mosquitto of its own as its remote. Rate: 3000 messages a round, from the first that is
published to the last that the remote's subscriber has; five rounds in turn, medians. Killed with SIGKILL at random moments
while four clients publish numbers, each when the one before is acknowledged, and started again on the same files: what was
acknowledged and never came is lost." >>"$NEW"
step "sharing"
{
    printf '| Figure | Measured | Target | |\n|---|---|---|---|\n'
    "$SHARING"
} | section "Sharing policies" \
    "From a message to the record for the spool, on one core: an event of ChirpStack's with two gateways, 1.1 kB. Medians of 21
rounds of 2,000 messages." >>"$NEW"

step "plugins: a call"
"$PLUGINS" calls | section "Plugins: a call" \
    "The filter \`pass\`, which lets everything pass, as \`plugins/build.sh\` makes it, called as its stage calls it, with all
limits on. CPU time of the thread, medians of 31 rounds." >>"$NEW"

step "plugins: the whole way"
"$PLUGINS" way | section "Plugins: the whole way" \
    "64-byte messages as a radio makes them, ingested, judged by \`pass\` on the thread of its stage, delivered: until the
outputs have them, without what a broker does then. Medians of 5 rounds of 400000. On one core: the process may use no
other." >>"$NEW"

step "plugins: loading and memory"
{
    "$PLUGINS" loading
    figures plugin-memory
} | section "Plugins: loading and memory" \
    "From the cache: from the bytes of the component \`pass\` (its key, the entry read and checked) to what instances are
made of. Medians of 101. The daemon's memory is that of the release binary with default settings, two seconds after it
carried 400 messages; medians of five pairs." >>"$NEW"

step "plugins: limits"
{
    "$PLUGINS" limits
    figures spin
} | section "Plugins: limits" \
    "CPU time of a call that never ends by itself: until the host has the next verdict. Latencies: 2,000 messages of 64 bytes
a second, one to one, QoS 0, beside a plugin that computes for ever, is cut after its 50 ms and begins again; five rounds
with a fresh daemon each, medians." >>"$NEW"

step "plugins: beside Node-RED"
figures node-red | section "Plugins beside Node-RED" \
    "The same work from broker to broker: of JSON messages of 51 bytes, those whose reading is that of before are dropped
(every second), the others go on with a word on their trend. In Stile by the filter \`threshold\`, between its own publisher
and subscriber; in Node-RED by a function node (\`tests/bench/node-red/threshold.js\`) between \`mqtt in\` and \`mqtt out\`,
without editor and HTTP, on Mosquitto with the settings of above. All MQTT 3.1.1 with QoS 0; the same bare client publishes
and subscribes for three seconds, at most 400 messages ahead; nothing is lost on either. Five rounds in turn, medians." >>"$NEW"

# Readable by all, as a file made by hand would be.
install -m 644 "$NEW" "$OUT"
step "written to $OUT"
grep -F '**missed**' "$OUT" >&2 || step "every target is met"
