#!/usr/bin/env python3
"""Writes which packages are in a tree that apt has filled: name, version and the SHA-256 of each package's file.

    image/lock.py ROOT

The sums are those of the lists of packages that apt has downloaded and checked by their signatures.
"""

import subprocess
import sys
from pathlib import Path


def sums(lists):
    """The SHA-256 of each (name, version, architecture) that a list of packages offers."""
    found = {}
    for path in sorted(lists.glob("*_Packages*")):
        text = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", path], check=True, capture_output=True, text=True).stdout
        for paragraph in text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
            if fields:
                found[fields["Package"], fields["Version"], fields["Architecture"]] = fields["SHA256"]
    return found


def main(root):
    offered = sums(root / "var/lib/apt/lists")
    form = "${Package}\t${Version}\t${Architecture}\n"
    shown = subprocess.run(["dpkg-query", f"--root={root}", "--show", f"--showformat={form}"], check=True, capture_output=True, text=True)
    for line in sorted(shown.stdout.splitlines()):
        name, version, architecture = line.split("\t")
        print(name, version, architecture, offered[name, version, architecture])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: image/lock.py ROOT")
    main(Path(sys.argv[1]))
