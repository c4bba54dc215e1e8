# shellcheck shell=bash
# A gateway in a virtual machine, started from an image: what test.sh is written in. Sourced, not run.
#
# A machine has a folder, $machine, with its disk, its key, its console and the ports of this host that lead into it. Of it
# only QEMU's own process is ended, by its number.
#
#   BOARD      which of QEMU's machines a Raspberry Pi's image runs on: "virt", or "raspi3b", a Pi 3 B
#   ACCEL      "kvm" where it works; software emulation without it. That /dev/kvm is there says little: some machines have it
#              and can't run a boot loader's code with it.

# What begins at 1 MiB is the boot part; mtools and debugfs take an offset.
readonly BOOT_PART='@@1M'

free_ports() {
    python3 - "$1" <<'PYTHON'
import random, socket, sys

# Below those that the system gives to whoever asks for any: a machine that starts anew finds them free again.
with open("/proc/sys/net/ipv4/ip_local_port_range") as given:
    below = int(given.read().split()[0])
taken = []
while len(taken) < int(sys.argv[1]):
    try:
        taken.append(socket.create_server(("127.0.0.1", random.randrange(10000, below))))
    except OSError:
        pass
print(*(one.getsockname()[1] for one in taken))
PYTHON
}

# machine_make IMAGE FOLDER: a machine with a card of 4 GB of its own, a key for root and nothing else on its boot part.
machine_make() {
    machine=$2
    mkdir -p "$machine"
    cp --sparse=always "$1" "$machine/disk.img"
    truncate -s 4G "$machine/disk.img"
    machine_of "$1"
    ssh-keygen -q -t ed25519 -N '' -C test -f "$machine/key"
    read -r SSH MQTT PAGE RADIO < <(free_ports 4)
    # What mosquitto_sub and mosquitto_pub need to reach its broker.
    client=(-h 127.0.0.1 -p "$MQTT" -V 5 -u test -P 'of this test alone')
    readonly SSH MQTT PAGE RADIO RADIO_DEVICE
    give "$machine/key.pub" authorized_keys
}

# give FILE NAME: puts a file on the boot part, as a laptop would. took NAME: prints one.
give() { mcopy -o -i "$machine/disk.img$BOOT_PART" "$1" "::$2"; }
took() { mtype -i "$machine/disk.img$BOOT_PART" "::$1"; }

# What makes the one or the other kind of machine; the radio's port is $RADIO_DEVICE in it.
#
# Where QEMU lets us choose, it is one processor: with two in software emulation, each a thread of its own, a kernel that changes its
# own code now and then comes by a half changed instruction ("Oops: int3").
machine_of() {
    local modern=(-smp 1 -device virtio-net-pci,netdev=net)
    disk=virtio plugs=()
    case $1 in
    *-amd64.img)
        RADIO_DEVICE=/dev/ttyS1
        kind=(qemu-system-x86_64 -M q35 -cpu max "${modern[@]}" -device i6300esb -action watchdog=reset
            -device isa-serial,chardev=console -device isa-serial,chardev=radio)
        ;;
    *-arm64.img)
        RADIO_DEVICE=/dev/ttyUSB0
        case ${BOARD:-virt} in
        virt)
            kind=(qemu-system-aarch64 -M virt -cpu cortex-a53 "${modern[@]}" -bios "$(dirname "$1")/u-boot-qemu.bin"
                -serial chardev:console -device qemu-xhci -device usb-serial,chardev=radio,always-plugged=on)
            ;;
        raspi3b) machine_of_pi ;;
        *) fail "BOARD is virt or raspi3b, and not $BOARD" ;;
        esac
        ;;
    esac
}
# QEMU in the place of a Pi's firmware: it starts the U-Boot of the boot part and hands it the board's device tree. Without the
# watchdog, which QEMU takes for a reset as soon as it is set; so this machine can't start itself anew. U-Boot speaks at the second UART.
machine_of_pi() {
    local tree=bcm2837-rpi-3-b.dtb
    took "$tree" >"$machine/$tree"
    took u-boot.bin >"$machine/u-boot.bin"
    fdtput -t s "$machine/$tree" /soc/watchdog@7e100000 status disabled
    disk=sd
    kind=(qemu-system-aarch64 -M raspi3b -kernel "$machine/u-boot.bin" -dtb "$machine/$tree" -serial null -serial chardev:console
        -monitor stdio)
    # Network and radio are at its USB port, and put in once U-Boot is through: QEMU tells of a device once, and U-Boot asks first.
    plugs=("usb-net,netdev=net" "usb-serial,chardev=radio,always-plugged=on")
}
plug_in() {
    [ "${#plugs[@]}" -gt 0 ] || return 0
    # A machine that is ended before has no console any more.
    until grep -qsa 'Starting kernel' "$machine/console"; do
        [ -e "$machine/console" ] || return 0
        sleep 1
    done
    printf 'device_add %s\n' "${plugs[@]}"
}

machine_start() {
    : >"$machine/console"
    "${kind[@]}" -accel "${ACCEL:-tcg}" -m 1024 -nodefaults -no-reboot -display none \
        -drive "file=$machine/disk.img,format=raw,if=$disk,cache=writeback" \
        -netdev "user,id=net,hostfwd=tcp:127.0.0.1:$SSH-:22,hostfwd=tcp:127.0.0.1:$MQTT-:1883,hostfwd=tcp:127.0.0.1:$PAGE-:8080" \
        -chardev "file,id=console,path=$machine/console,append=on" \
        -chardev "socket,id=radio,host=127.0.0.1,port=$RADIO,server=on,wait=off" \
        < <(plug_in) >"$machine/qemu.log" 2>&1 &
    qemu=$!
}

# The power cut: nothing in the machine has another moment.
machine_cut() {
    kill -KILL "$qemu"
    wait "$qemu" 2>/dev/null || true
    qemu=
}
# machine_ended SECONDS: waits until it has ended by itself. It also does where it would start again (-no-reboot), so that a test
# sees each start.
machine_ended() {
    local deadline=$((SECONDS + $1))
    while kill -0 "$qemu" 2>/dev/null; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.5
    done
    wait "$qemu" 2>/dev/null || true
    qemu=
}
machine_end() {
    [ -z "${qemu:-}" ] || machine_cut
}

# in_machine COMMAND...: as root, by SSH. One connection serves until the machine ends: each takes seconds in software.
in_machine() {
    ssh -q -i "$machine/key" -p "$SSH" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes \
        -o ConnectTimeout=5 -o ServerAliveInterval=15 -o ControlMaster=auto -o ControlPath="$machine/ssh" -o ControlPersist=yes \
        root@127.0.0.1 "$@"
}

# until_true SECONDS COMMAND...
until_true() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ -z "${qemu:-}" ] || kill -0 "$qemu" 2>/dev/null || return 1
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.5
    done
}

page_answers() { curl --silent --insecure --fail --max-time 10 "https://127.0.0.1:$PAGE/healthz"; }
