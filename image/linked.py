"""What is linked into the program for a target, as cargo knows it. Read by sbom.py and copyright.py."""

import json
import subprocess


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments, "--locked"], check=True, stdout=subprocess.PIPE, text=True).stdout


def linked(target):
    """The crates that the program holds, stile among them, without what only builds or tests it: entries of `cargo metadata`, each
    with the ids of those that it needs as "needs"."""
    tree = cargo("tree", "--package", "stile", "--edges", "normal", "--target", target, "--prefix", "none", "--format", "{p}")
    names = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", target))
    found = [package for package in metadata["packages"] if (package["name"], f"v{package['version']}") in names]
    ids = {package["id"] for package in found}
    nodes = {node["id"]: node["deps"] for node in metadata["resolve"]["nodes"]}
    for package in found:
        normal = [dep["pkg"] for dep in nodes[package["id"]] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
        package["needs"] = sorted(set(normal) & ids)
    return sorted(found, key=lambda package: (package["name"], package["version"]))
