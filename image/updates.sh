# shellcheck shell=bash
# The steps of test.sh that update a machine: to releases of image/releases.sh, in order. Sourced, not run.

running() { in_machine "tr ' ' '\n' </proc/cmdline" | sed -n 's/^rauc\.slot=//p'; }
other() { if [ "$1" = A ]; then echo B; else echo A; fi; }
# says SLOT WORDS: whether `stile update status` has just these words for it.
says() { in_machine stile update status | grep -qE "^$1  .*  $2\$"; }
# From outside, of a machine that has ended.
tries_left() { took slots.txt | tr -d '\000' | sed -n "s/^BOOT_$1_LEFT=//p"; }

# Which slot runs and which one is written, and the releases: one that is newer than the image, a still newer one that is no good,
# and one that is older than all.
begin() {
    ran=$(running)
    into=$(other "$ran")
    [ -z "${server:-}" ] || return 0
    in_machine test -e /etc/rauc/system.conf || fail "the image was made without KEYRING=$KEYS/keyring.pem, and takes no update"
    local base version
    base=$(in_machine cat /etc/os-release | sed -n 's/^IMAGE_VERSION=//p')
    version=${base%%[-+]*}
    newer=${version%.*}.$((${version##*.} + 1))-1 worse=${version%.*}.$((${version##*.} + 2))-1 older=$version-0
    readonly newer worse older
    serve
}
# install_bundle SOURCE OPTIONS...
install_bundle() {
    local began=$SECONDS
    in_machine stile update "$@" >"$work/installing" 2>&1 || fail "$1 is not installed: $(cat "$work/installing")"
    says "$into" 'good, starts next' || fail "after the installation: $(in_machine stile update status)"
    say "$1 is installed after $((SECONDS - began)) s"
}
end() {
    in_machine systemctl reboot || true
    machine_ended "${PATIENCE:-300}" || fail "the machine does not end"
}
# trial SECONDS TRIES: a start into the slot that was written, of which as many tries are left then, that ends by itself.
trial() {
    machine_start
    machine_ended "$1" || fail "the new system is not given up"
    grep -qa "Slot $into, with $2 tries left" "$machine/console" || fail "it is not slot $into with $2 tries left that was started"
}
# It runs what ran before, with all that is its own, and says so to those who look after it.
is_back() {
    start
    [ "$(running)" = "$ran" ] || fail "it is not the system before that runs: $(in_machine stile update status)"
    says "$into" 'bad: it is not started' || fail "after the way back: $(in_machine stile update status)"
    until_true 300 says "$ran" 'good, runs, starts next' || fail "after the way back: $(in_machine stile update status)"
    own >"$work/own.after"
    diff "$work/own" "$work/own.after" >&2 || fail "what is the machine's own has changed (see above)"
}

# api_calls_bad SLOT VERSION
api_calls_bad() {
    curl --silent --insecure --max-time 60 -H "Authorization: Bearer $token" "https://127.0.0.1:$PAGE/api/v1/system/update" >"$work/told" &&
        python3 -c '
import json, sys
told = {one["name"]: (one["version"], one["good"]) for one in json.load(open(sys.argv[1]))["systems"]}
sys.exit(told[sys.argv[2]] != (sys.argv[3], False))' "$work/told" "$@"
}

# What is a machine's own, and what an operator has made on it.
own() {
    in_machine 'cat /etc/machine-id /etc/hostname /etc/ssh/ssh_host_ed25519_key.pub /etc/stile/stile.toml
        find /var/lib/stile \( -name "*.pem" -o -name "*.key" -o -name "*.toml" \) -type f | sort | xargs sha256sum
        stile user list; nft list set inet stile tcp_in'
    mosquitto_sub "${client[@]}" -u operator -t kept/for/ever -C 1 -W 60
}
operator_makes_things() {
    [ ! -e "$work/own" ] || return 0
    in_machine "stile user add operator --all --password-stdin && stile token add test --scope viewer" \
        <<<'of this test alone' >"$work/token" || fail "no user and no token: $(cat "$work/token")"
    in_machine "echo 'add element inet stile tcp_in { 9000 }' >/etc/nftables.d/mine.nft && systemctl reload nftables" ||
        fail "no port more is let in"
    token=$(sed -n 's/^token, shown this once: //p' "$work/token")
    mosquitto_pub "${client[@]}" -q 1 -r -t kept/for/ever -m 'a retained message' || fail "no message is retained"
    own >"$work/own"
}

# Nothing that could start.
make_older() {
    [ -e "$served/$older.raucb" ] || { head -c 1M /dev/urandom >"$work/nothing.ext4" && bundled "$work/nothing.ext4" "$older"; }
}
older_is_refused() {
    begin
    local before said
    make_older
    before=$(in_machine cat /boot/firmware/slots.txt)
    if said=$(in_machine stile update "$address/$older.raucb" 2>&1); then fail "an older release was installed: $said"; fi
    grep -q "the bundle has version $older, which is older than" <<<"$said" || fail "an older release: $said"
    [ "$(in_machine cat /boot/firmware/slots.txt)" = "$before" ] || fail "an older release was refused, and slots.txt has changed"
    say "an older release is refused: ${said##*stile: }"
}

# With a change in a file of the system's, which is not the operator's: at $root.
make_newer() {
    root=$work/$newer.ext4
    [ ! -e "$served/$newer.raucb" ] || return 0
    release "$newer"
    root_change "$root" /etc/chrony/conf.d/stile.conf "1i # As of $newer."
    bundled "$root" "$newer"
}
update_is_cut() {
    begin
    make_newer
    in_machine stile update "$address/$newer.raucb" >"$work/installing" 2>&1 &
    local installing=$!
    writes_or_ended() { slot_begins "$into" || ! kill -0 "$installing"; }
    until_true 600 writes_or_ended && slot_begins "$into" || fail "nothing is written into slot $into: $(cat "$work/installing")"
    machine_cut
    wait "$installing" || true
    ! slot_holds "$into" "$root" || fail "the power cut came too late: all of the update was written"
    start
    [ "$(running)" = "$ran" ] || fail "after the power cut $(running) runs"
    says "$into" 'bad: it is not started' || fail "after the power cut: $(in_machine stile update status)"
    say "after a power cut at '$(tail -n 1 "$work/installing")' it is slot $ran that runs"
}

# A server for fleets says what is to be installed. hawkBit's own is a program in Java that Debian has not: server.py speaks its API.
fleet_updates() {
    begin
    make_newer
    in_machine "sed -i 's/UPDATES.EXAMPLE:443/${address#http://}/; s/^ssl .*/ssl = false/; s/GATEWAY\$/test/; s/TOKEN\$/of-this-test/' \
        /etc/rauc-hawkbit-updater/config.conf && systemctl start rauc-hawkbit-updater" || fail "rauc-hawkbit-updater does not start"
    until_true 120 grep -q '"product": "stile"' "$work/fleet" || fail "the gateway does not say what it is: $(cat "$work/fleet")"
    echo "$newer" >"$work/deploy"
    until_true 900 grep -q '"id": .*"execution": "closed"' "$work/fleet" || fail "the server does not hear of an end: $(tail -n 5 "$work/fleet")"
    grep '"id": .*"execution": "closed"' "$work/fleet" | grep -q '"finished": "success"' || fail "not installed: $(tail -n 5 "$work/fleet")"
    says "$into" 'good, starts next' || fail "after the installation: $(in_machine stile update status)"
    slot_holds "$into" "$root" || fail "slot $into is not what was in the bundle"
    rm "$work/deploy"
    in_machine systemctl stop rauc-hawkbit-updater
    say "a fleet's server has $newer installed, and knows it"
}

update_stays() {
    begin
    operator_makes_things
    make_newer
    install_bundle "$address/$newer.raucb"
    slot_holds "$into" "$root" || fail "slot $into is not what was in the bundle"
    end
    start
    [ "$(running)" = "$into" ] || fail "it is not the new system that runs: $(in_machine stile update status)"
    until_true 300 says "$into" 'good, runs, starts next' || fail "the new system is not found good: $(in_machine stile update status)"
    in_machine grep -qx "IMAGE_VERSION=$newer" /etc/os-release || fail "it is not $newer that runs"
    in_machine "grep -qx '# As of $newer.' /etc/chrony/conf.d/stile.conf" || fail "/etc has not the new system's files"
    own >"$work/own.after"
    diff "$work/own" "$work/own.after" >&2 || fail "what is the machine's own has changed (see above)"
    say "$newer runs in slot $into, is good, and all that is the machine's own is there"
}

unhealthy_goes_back() {
    begin
    operator_makes_things
    release "$worse"
    root_change "$root" /usr/lib/systemd/system/stile.service 's|^ExecStart=.*|ExecStart=/bin/false|'
    bundled "$root" "$worse"
    install_bundle "$address/$worse.raucb"
    end
    # Three minutes are what it has.
    trial $((${PATIENCE:-300} + 300)) 2
    is_back
    api_calls_bad "$into" "$worse" || fail "the API does not tell that $worse is not started: $(cat "$work/told")"
    in_machine "grep -q 'the gateway is not healthy' /var/log/stile/journal.log" || fail "the journal of the trial is not kept"
    say "$worse, which was not healthy, is given up for slot $ran"
}

# What is to judge it can't run either.
useless_goes_back() {
    begin
    operator_makes_things
    release "$worse"
    echo 'This was a program.' >"$work/program"
    root_put "$root" /usr/bin/stile "$work/program"
    bundled "$root" "$worse"
    install_bundle "$address/$worse.raucb"
    end
    for left in 2 1 0; do trial "$((${PATIENCE:-300} * 2))" "$left"; done
    is_back
    say "$worse, whose program does not run, is given up for slot $ran after three tries"
}

dead_goes_back() {
    begin
    operator_makes_things
    make_older
    in_machine "cat >/data/$older.raucb" <"$served/$older.raucb"
    install_bundle "/data/$older.raucb" --allow-older
    end
    for left in 2 1 0; do trial "${PATIENCE:-300}" "$left"; done
    is_back
    say "$older, which does not start, is given up for slot $ran after three tries"
}
