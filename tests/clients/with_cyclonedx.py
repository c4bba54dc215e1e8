"""Holds a bill of materials on standard input against the schema of CycloneDX 1.5, and its references against each other.

    with_cyclonedx.py <FILE
"""

import json
import sys
from importlib.resources import files

import jsonschema_rs

PLACE = files("cyclonedx") / "schema" / "_res"


def schema(name):
    return json.loads((PLACE / f"{name}.SNAPSHOT.schema.json").read_text())


def references(component):
    yield component["bom-ref"]
    for inner in component.get("components", []):
        yield from references(inner)


bill = json.load(sys.stdin)
whole = schema("bom-1.5")
# By the names that the schema calls them by.
BASE = "http://cyclonedx.org/schema/"
others = {f"{BASE}{name}.SNAPSHOT.schema.json": schema(name) for name in ("spdx", "jsf-0.82")}
registry = jsonschema_rs.Registry(list(others.items()))
validator = jsonschema_rs.validator_for(whole, registry=registry, validate_formats=True)
wrong = [f"{list(error.instance_path)}: {error.message[:200]}" for error in validator.iter_errors(bill)]
known = [bill["metadata"]["component"]["bom-ref"], *(ref for one in bill["components"] for ref in references(one))]
wrong += [f"{ref}: twice" for ref in known if known.count(ref) > 1]
for need in bill["dependencies"]:
    wrong += [f"{ref}: unknown" for ref in [need["ref"], *need["dependsOn"]] if ref not in known]
sys.exit("\n".join(wrong[:20]) or None)
