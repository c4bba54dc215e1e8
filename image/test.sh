#!/usr/bin/env bash
# Boots the image in a virtual machine and uses it as a gateway: `make test-image`.
#
#   image/test.sh IMAGE [STEP...]      STEP is a function below; all without one
#
# Provisioned by its boot part; a frame through a virtual UART comes out of the broker; the page answers; only documented ports
# are open; after a power cut in the middle of writing all that was acknowledged is there. Then updates (image/updates.sh): an older
# release is refused; a power cut in the middle of installing leaves what ran; the same update by a fleet's server, and by its
# address, which then stays, with all that is the machine's own; one that is not healthy and one that does not start lead back. Works in
# a copy of the image, which was made with the keyring of KEYS (image/releases.sh). Needs no root. PATIENCE is how many seconds a start
# may take, 300 without it, in software emulation (ACCEL=kvm asks for more).
# BOARD=raspi3b tries a Raspberry Pi's image on QEMU's Pi 3 B, which can't start itself anew: so without updates.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. image/qemu.sh
. image/releases.sh
. image/updates.sh

image=${1:?usage: image/test.sh IMAGE [STEP...]}
shift
arch=${image%.img}
arch=${arch##*-}
# Beside the image: /tmp may be memory.
work=$(mktemp -d "$(dirname "$image")/test.XXXXXX")
served=$work/bundles
mkdir "$served"
trap 'machine_end; serve_end; rm -rf "$work"' EXIT

say() { printf 'test-image: %s\n' "$*"; }
fail() {
    printf 'test-image: error: %s\n' "$*" >&2
    grep -av 'start running' "$machine/console" | tail -n 60 >&2
    in_machine journalctl --no-pager -b -n 60 >&2 || true
    exit 1
}

machine_make "$image" "$work/machine"
cat >"$work/stile.toml" <<SETTINGS
[admin]
listen = "0.0.0.0:8080"

[broker]
listen = ["0.0.0.0:1883"]

[[broker.user]]
name = "test"
password = "of this test alone"

[[radio]]
name = "uart"
kind = "serial"
device = "$RADIO_DEVICE"
framing = { kind = "line", ending = "lf" }
SETTINGS
give "$work/stile.toml" stile.toml

start() {
    local began=$SECONDS
    machine_start
    until_true "${PATIENCE:-300}" page_answers || fail "the page does not answer within ${PATIENCE:-300} s"
    say "the page answers after $((SECONDS - began)) s"
    until_true 120 in_machine true || fail "no SSH by the key that stood on the boot part"
    until_true 120 in_machine stile health --data-dir /var/lib/stile || fail "the gateway is not healthy"
}

started() {
    start
    local state
    state=$(until_true 120 in_machine "systemctl is-system-running | grep -v starting"; in_machine systemctl is-system-running || true)
    [ "$state" = running ] || fail "the system is $state: $(in_machine "systemctl --failed --plain --no-legend |
        while read -r unit rest; do echo \$unit \$rest; journalctl --no-pager --quiet -b -u \$unit -n 20; done")"
    until_true 300 in_machine test -s /boot/firmware/slots.txt || fail "the boot part is not mounted"
    say "a machine by itself: $(in_machine cat /etc/machine-id), $(in_machine df -h --output=size /data | tail -n 1) of data"
}

frame_comes_out() {
    mosquitto_sub "${client[@]}" -t serial/uart/up -C 1 -W 60 >"$work/frame" &
    local listening=$!
    # A frame that comes before its listener is nobody's: so it comes again.
    for _ in {1..30}; do
        printf 'hello from the UART\n' >"/dev/tcp/127.0.0.1/$RADIO"
        sleep 1
        [ ! -s "$work/frame" ] || break
    done
    wait "$listening" || fail "no frame came out of the broker"
    grep -qx 'hello from the UART' "$work/frame" || fail "the frame that came out is $(cat "$work/frame")"
    say "a frame of the UART comes out of the broker"
}

# What listens beyond loopback, and what the firewall lets in, are what docs/flash-the-image.md lists. (Whoever asks DHCP has a port
# for the answers, 68 and 546.)
ports_are_documented() {
    local documented listening open
    documented=$(sed -n 's/^| `\([0-9][0-9]*\/[a-z]*\)`.*/\1/p' docs/flash-the-image.md | sort)
    listening=$(in_machine ss -Hltun | awk '$5 !~ /^(127\.|\[::1\])|:(68|546)$/ { n = split($5, at, ":"); print at[n] "/" $1 }' | sort -u)
    open=$(in_machine nft --json list ruleset | python3 -c '
import json, sys
for entry in json.load(sys.stdin)["nftables"]:
    if (one := entry.get("set")) and one["name"].endswith("_in"):
        for port in one["elem"]: print(port, one["name"][:3], sep="/")' | sort)
    [ "$open" = "$documented" ] || fail "the firewall lets in: ${open//$'\n'/ }; documented: ${documented//$'\n'/ }"
    for port in $listening; do
        grep -qx "$port" <<<"$documented" || fail "$port is open and in no documentation"
    done
    say "open beyond loopback: ${listening//$'\n'/ }"
}

# Each message that was acknowledged before the cut is there after it, for a client that was away.
power_cut() {
    mosquitto_sub "${client[@]}" -c -i keeper -x 86400 -q 1 -t power -E || fail "no session for the messages"
    # Without a function in between: it is the client itself that has to be ended, which else tries for ever to come back.
    mosquitto_pub "${client[@]}" -i writer -q 1 -t power -l -d < <(seq 1 1000000) >"$work/sent" 2>&1 &
    local writing=$!
    until_true 60 grep -q 'PUBACK (Mid: 300,' "$work/sent" || fail "too little was acknowledged: $(tail -n 3 "$work/sent")"
    machine_cut
    kill "$writing"
    wait "$writing" 2>/dev/null || true
    sed -n 's/.*received PUBACK (Mid: \([0-9]*\),.*/\1/p' "$work/sent" | sort -n >"$work/acknowledged"
    start
    { mosquitto_sub "${client[@]}" -c -i keeper -x 86400 -q 1 -t power -W 20 || true; } | sort -n >"$work/came"
    local lost
    lost=$(comm -23 <(sort "$work/acknowledged") <(sort "$work/came") | wc -l)
    [ "$lost" -eq 0 ] || fail "$lost of $(wc -l <"$work/acknowledged") acknowledged messages are lost"
    say "$(wc -l <"$work/acknowledged") messages were acknowledged before the power cut, and all are there"
}

# What wears a card out: writes while nothing goes on, and the copy of the journal, which is made each hour.
writes_when_idle() {
    local minutes=${IDLE:-4} before idle copied
    # By the block layer's own count, in sectors of 512 bytes (Documentation/admin-guide/iostats.rst).
    written() { in_machine "sync; cat /sys/block/vda/stat" | awk '{ print int($7 / 2) }'; }
    written >/dev/null
    sleep 30
    before=$(written)
    sleep $((minutes * 60))
    idle=$(($(written) - before))
    in_machine systemctl start stile-journal
    copied=$(($(written) - before - idle))
    say "writes to disk: $idle KiB in $minutes idle minutes, $copied KiB by the copy of the journal; in an hour, by calculation," \
        "$((idle * 60 / minutes + copied)) KiB"
}

started
[ $# -gt 0 ] || set -- frame_comes_out ports_are_documented power_cut \
    older_is_refused update_is_cut fleet_updates update_stays unhealthy_goes_back dead_goes_back useless_goes_back writes_when_idle
for step; do "$step"; done
machine_end
say "all is well"
