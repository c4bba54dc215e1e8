#!/usr/bin/env python3
"""Tells which kernel modules a Raspberry Pi needs to reach its card, and its initial file system does not have.

    image/cards.py ROOT <NAMES     NAMES are paths of modules in the initial file system, one a line

Of each device tree in ROOT/boot/dtb: what drives the card's controllers, what they refer to (power, clocks, pins, ...), what that
refers to, and the buses on the way. A driver that is no module is in the kernel. The form of the trees is that of the
Devicetree Specification 0.4, chapter 5.
"""

import re
import struct
import sys
from pathlib import Path

BEGIN, END, PROPERTY, LAST = 1, 2, 3, 9
# Properties that are lists of references with arguments, and which property of the other node says how many.
LISTS = {
    "clocks": "#clock-cells", "dmas": "#dma-cells", "gpios": "#gpio-cells", "iommus": "#iommu-cells", "mboxes": "#mbox-cells",
    "phys": "#phy-cells", "power-domains": "#power-domain-cells", "resets": "#reset-cells",
}
SINGLE = re.compile(r".*-supply|pinctrl-\d+|mmc-pwrseq|interrupt-parent|firmware")


class Node:
    def __init__(self, name, parent):
        self.name, self.parent, self.properties = name, parent, {}

    def numbers(self, key):
        value = self.properties.get(key, b"")
        return struct.unpack(f">{len(value) // 4}I", value[: len(value) // 4 * 4])

    def names(self, key):
        return [name for name in self.properties.get(key, b"").decode("latin1").split("\0") if name]


def nodes(data):
    """All nodes of a flattened device tree."""
    at, strings = struct.unpack_from(">8xII", data)
    found, node = [], None
    while True:
        (token,) = struct.unpack_from(">I", data, at)
        at += 4
        if token == BEGIN:
            end = data.index(0, at)
            node = Node(data[at:end].decode(), node)
            found.append(node)
            at = (end + 4) & ~3
        elif token == END:
            node = node.parent
        elif token == PROPERTY:
            size, name = struct.unpack_from(">II", data, at)
            key = data[strings + name : data.index(0, strings + name)].decode()
            node.properties[key] = data[at + 8 : at + 8 + size]
            at = (at + 8 + size + 3) & ~3
        elif token == LAST:
            return found


def references(node, by_number):
    """The nodes that a node needs: its parent, and those that its properties name."""
    if node.parent:
        yield node.parent
    for key in node.properties:
        numbers = node.numbers(key)
        if SINGLE.fullmatch(key):
            yield from (by_number[number] for number in numbers if number in by_number)
        cells = LISTS.get("gpios" if re.search(r"-gpios?$", key) else key)
        at = 0
        while cells and at < len(numbers):
            other = by_number.get(numbers[at])
            at += 1
            if other:
                yield other
                at += sum(other.numbers(cells))


def wanted(data, drivers):
    """(module, what for) of each module on the way to a card."""
    tree = nodes(data)
    by_number = {node.numbers("phandle")[0]: node for node in tree if "phandle" in node.properties}
    todo = [node for node in tree if re.match("mmc@", node.name) and node.names("status") in ([], ["okay"])]
    if not todo:
        raise ValueError("no card in it")
    seen = set()
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        for name in node.names("compatible"):
            yield from ((module, name) for module in drivers.get(name, ()))
        todo += references(node, by_number)


def main(root):
    have = {re.sub(r"\.ko.*", "", Path(line.strip()).name).replace("-", "_") for line in sys.stdin}
    drivers = {}
    for path in root.glob("usr/lib/modules/*/modules.alias"):
        for name, module in re.findall(r"^alias of:N\*T\*C(\S+?)(?:C?\*)? (\S+)$", path.read_text(), re.M):
            drivers.setdefault(name, set()).add(module)
    lacking = 0
    for path in sorted(root.glob("boot/dtb/*.dtb")):
        for module, name in sorted(set(wanted(path.read_bytes(), drivers))):
            if module.replace("-", "_") not in have:
                print(f"{path.name}: {module} for {name}")
                lacking += 1
    return 1 if lacking or not drivers else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: image/cards.py ROOT <NAMES")
    sys.exit(main(Path(sys.argv[1])))
