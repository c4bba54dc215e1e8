# Starts the first slot that has tries left, and takes one away. The form of slots.txt is in image/README.md. For a Raspberry Pi and
# for QEMU's `virt` alike: U-Boot knows the disk that this script came from as ${devtype} ${devnum}.
setenv BOOT_ORDER "A B"
setenv BOOT_A_LEFT 3
setenv BOOT_B_LEFT 0
if load ${devtype} ${devnum}:1 ${scriptaddr} slots.txt; then
    env import -t ${scriptaddr} ${filesize} BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT
fi

setenv chosen
# In single quotes: within double ones U-Boot's shell puts in what ${slot} is now, which is nothing.
setenv tries 'for slot in ${BOOT_ORDER}; do run try_${slot}; done'
setenv try_A 'if test -z "${chosen}"; then setenv left ${BOOT_A_LEFT}; setenv part 2; setenv candidate A; run judge; fi'
setenv try_B 'if test -z "${chosen}"; then setenv left ${BOOT_B_LEFT}; setenv part 3; setenv candidate B; run judge; fi'
setenv judge 'if test -n "${left}" && test 0x${left} -gt 0; then setenv chosen ${candidate}; setenv number ${part}; setexpr rest ${left} - 1; fi'

run tries
if test -z "${chosen}"; then
    echo "No slot has tries left: the first of ${BOOT_ORDER} gets 3 anew."
    if test "${BOOT_ORDER}" = "B A" || test "${BOOT_ORDER}" = "B"; then setenv BOOT_B_LEFT 3; else setenv BOOT_A_LEFT 3; fi
    run tries
fi
if test -z "${chosen}"; then
    setenv BOOT_ORDER "A B"; setenv chosen A; setenv number 2; setenv rest 2
fi
setenv BOOT_${chosen}_LEFT ${rest}
mw.b ${scriptaddr} 0 400
env export -t -s 400 ${scriptaddr} BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT
fatwrite ${devtype} ${devnum}:1 ${scriptaddr} slots.txt 400

# A Pi's UART may be a radio's: its console is the screen. U-Boot leaves 38 MiB there for a kernel, which ours is longer than: it would
# write over the end of it, and of the initial file system where the kernel makes room for itself.
if test "${board}" = "qemu-arm"; then
    setenv console console=ttyAMA0
else
    setenv console console=tty0
    setenv ramdisk_addr_r 0x0a000000
fi
echo "Slot ${chosen}, with ${rest} tries left after this one."
setenv bootargs "root=PARTUUID=@SIGNATURE@-0${number} rootfstype=ext4 ro rauc.slot=${chosen} panic=10 loglevel=5 systemd.getty_auto=0 systemd.ssh_auto=0 ${console}"
if load ${devtype} ${devnum}:${number} ${kernel_addr_r} boot/vmlinuz; then
    if load ${devtype} ${devnum}:${number} ${ramdisk_addr_r} boot/initrd.img; then
        booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdt_addr}
        booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdtcontroladdr}
    fi
fi
echo "Slot ${chosen} has no system that starts; the next one is tried."
sleep 3
reset
