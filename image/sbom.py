#!/usr/bin/env python3
"""Writes which libraries stand in the program for a target: a bill of materials in the form of CycloneDX 1.5, as JSON.

    image/sbom.py TARGET

Names, versions and needs are cargo's, sums of the archives those of Cargo.lock. SOURCE_DATE_EPOCH sets its time.
"""

import json
import os
import sys
import time
import tomllib
from pathlib import Path

from linked import linked


def main(target):
    lock = tomllib.loads((Path(__file__).parent.parent / "Cargo.lock").read_text())
    sums = {(package["name"], package["version"]): package.get("checksum") for package in lock["package"]}
    packages = linked(target)
    refs = {package["id"]: f"pkg:cargo/{package['name']}@{package['version']}" for package in packages}

    def component(package, kind):
        purl = refs[package["id"]]
        described = {"type": kind, "bom-ref": purl, "name": package["name"], "version": package["version"], "purl": purl}
        if package["license"]:
            described["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        if digest := sums[package["name"], package["version"]]:
            described["hashes"] = [{"alg": "SHA-256", "content": digest}]
        if package["repository"]:
            described["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
        return described

    of_stile = next(package for package in packages if package["name"] == "stile")
    libraries = [component(package, "library") for package in packages if package is not of_stile]
    needs = [{"ref": refs[package["id"]], "dependsOn": [refs[need] for need in package["needs"]]} for package in packages]
    print(bill(component(of_stile, "application"), {"stile:target": target}, libraries, needs))


def bill(of, properties, components, needs):
    """The bill of one thing and what is in it, as text."""
    now = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    told = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
            "component": of,
            "properties": [{"name": name, "value": value} for name, value in properties.items()],
        },
        "components": components,
        "dependencies": needs,
    }
    return json.dumps(told, indent=1)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: image/sbom.py TARGET")
    main(sys.argv[1])
