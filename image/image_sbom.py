#!/usr/bin/env python3
"""Writes what an image consists of: a bill of materials in the form of CycloneDX 1.5, as JSON.

    image/image_sbom.py ROOT.tar LOCK ARCH

Its packages are those that LOCK lists (name, version, architecture and, where it is known, the SHA-256 of the package's file); their licences are
those of their copyright files in ROOT.tar, where these can be read by machines (DEP-5). The package of Stile is there with the
libraries in its program, by its own bill, which ROOT.tar has too. SOURCE_DATE_EPOCH sets the time.
"""

import json
import posixpath
import re
import sys
import tarfile
from pathlib import Path
from urllib.parse import quote

from sbom import bill

DOC = "usr/share/doc"
# The first line of a copyright file that machines can read (Debian's copyright-format 1.0).
MACHINE_READABLE = re.compile(r"^Format(-Specification)?:\s*\S*(copyright-format|dep5)", re.IGNORECASE)
# How many links lead to a file at most.
LINKS = 8


class Root:
    """The files of a root file system in a tar."""

    def __init__(self, path):
        self.tar = tarfile.open(path)
        self.members = {posixpath.normpath(member.name): member for member in self.tar}

    def text(self, path):
        """What stands in a file, whatever links lead to it; None where there is none."""
        for _ in range(LINKS):
            found, link = "", None
            for part in path.split("/"):
                found = posixpath.join(found, part)
                member = self.members.get(found)
                if member and member.issym():
                    link = posixpath.join(posixpath.dirname(found), member.linkname).lstrip("/")
                    path = posixpath.normpath(link + path[len(found) :])
                    break
            if link is None:
                member = self.members.get(path)
                return self.tar.extractfile(member).read().decode(errors="replace") if member and member.isreg() else None
        return None


def licences(text):
    """The short names of the licences in a copyright file, each once; none where it is prose."""
    if not text or not MACHINE_READABLE.match(text):
        return []
    names = re.findall(r"^License:[ \t]*(\S.*?)[ \t]*$", text, re.MULTILINE | re.IGNORECASE)
    return sorted({" ".join(name.split()) for name in names})


def package(line, root, suite):
    name, version, architecture, *digests = line.split()
    purl = f"pkg:deb/debian/{quote(name, safe='')}@{quote(version, safe='')}?arch={architecture}&distro={suite}"
    found = licences(root.text(f"{DOC}/{name}/copyright"))
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        **({"licenses": [{"license": {"name": name}} for name in found]} if found else {}),
        **({"hashes": [{"alg": "SHA-256", "content": digest} for digest in digests]} if digests else {}),
        "purl": purl,
    }


def main(tar, lock, architecture):
    root = Root(tar)
    release = dict(line.split("=", 1) for line in root.text("usr/lib/os-release").splitlines() if "=" in line)
    value = lambda key: release.get(key, "").strip('"')
    packages = [package(line, root, value("VERSION_CODENAME")) for line in Path(lock).read_text().splitlines()]
    own = json.loads(root.text(f"{DOC}/stile/stile.cdx.json"))
    stile = {**own["metadata"]["component"], "components": own["components"]}
    image = f"stile-image-{architecture}@{value('IMAGE_VERSION')}"
    of = {"type": "operating-system", "bom-ref": image, "name": f"stile-image-{architecture}", "version": value("IMAGE_VERSION")}
    needs = [{"ref": image, "dependsOn": [component["bom-ref"] for component in [stile, *packages]]}, *own["dependencies"]]
    print(bill(of, {"stile:architecture": architecture}, [stile, *packages], needs))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: image/image_sbom.py ROOT.tar LOCK ARCH")
    main(*sys.argv[1:])
