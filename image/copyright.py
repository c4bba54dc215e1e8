#!/usr/bin/env python3
"""Writes the package's copyright file, in the machine-readable form of Debian (DEP-5), of what cargo knows.

    image/copyright.py TARGET

Every crate that is linked into the program for this target has a paragraph with the copyright lines of its own files and
the licence that it is taken under; each text stands there once. A licence whose text can't be found ends it with an error.
"""

import re
import sys
from pathlib import Path

from linked import linked

# Of alternatives the first of these is taken. That deny.toml lets it in is `make deny`'s work.
PREFERRED = ["Apache-2.0", "MIT", "BSD-3-Clause", "BSD-2-Clause", "ISC", "Zlib"]
# Texts that every Debian system has.
COMMON = {"Apache-2.0": "Apache-2.0", "MPL-2.0": "MPL-2.0", "CC0-1.0": "CC0-1.0"}
WHERE = "/usr/share/common-licenses"
EXCEPTION = "WITH LLVM-exception"
# A sentence of each text that no other has, but for BSD-2-Clause, all of which is in BSD-3-Clause.
MARKS = {
    "MIT": "Permission is hereby granted, free of charge",
    "ISC": "Permission to use, copy, modify, and/or distribute",
    "BSD-2-Clause": "Redistribution and use in source and binary forms",
    "BSD-3-Clause": "used to endorse or promote products derived from",
    "Zlib": "This software is provided 'as-is'",
    "Unicode-3.0": "UNICODE LICENSE V3",
    "Apache-2.0 WITH LLVM-exception": "LLVM Exceptions to the Apache 2.0 License",
}
# The whole Apache licence within a file of several, with its appendix where that is there.
APACHE = re.compile(
    r"^[ \t]*Apache License\s+Version 2\.0, January 2004\b.*?END OF TERMS AND CONDITIONS[ \t]*$"
    r"(?:\s*APPENDIX: How to apply the Apache License.*?limitations under the License\.)?",
    re.MULTILINE | re.DOTALL,
)
COPYRIGHT = re.compile(r"^\W*(copyright\b.*\d{4}.*|copyright \(c\) (?!.*\bnotice\b).+|©.+)$", re.IGNORECASE)
TEMPLATE = re.compile(r"\[yyyy\]|\{yyyy\}|<year>", re.IGNORECASE)
FILES = re.compile(r"^(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)


def chosen(expression):
    """The licences of an SPDX expression that have to be kept together, alternatives decided."""
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))

    def either():
        choices = [both()]
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            choices.append(both())
        rank = lambda names: max(PREFERRED.index(name) if name in PREFERRED else len(PREFERRED) for name in names)
        return min(choices, key=rank)

    def both():
        names = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            names = names + [name for name in one() if name not in names]
        return names

    def one():
        token = tokens.pop(0)
        if token == "(":
            names = either()
            tokens.pop(0)
            return names
        if tokens and tokens[0] == "WITH":
            tokens.pop(0)
            return [f"{token} WITH {tokens.pop(0)}"]
        return [token]

    return either()


def texts(package):
    """The texts of its licence files."""
    files = sorted(path for path in Path(package["manifest_path"]).parent.iterdir() if FILES.match(path.name))
    return [path.read_text(errors="replace") for path in files if path.is_file()]


def holders(package, found):
    """The copyright lines of these texts; without any, whom its manifest names."""
    lines = [line.strip() for text in found for line in text.splitlines()]
    lines = [line.strip(" *#/") for line in lines if COPYRIGHT.match(line) and not TEMPLATE.search(line)]
    lines = [re.sub(r"^copyright:?\s*", "", line, flags=re.IGNORECASE) for line in lines]
    authors = [re.sub(r"\s*<.*>", "", author) for author in package["authors"]]
    return list(dict.fromkeys(lines)) or authors or [f"the authors of {package['name']}"]


def body(name, found):
    """The text of one licence among these, without its copyright lines."""
    fitting = [text for text in found if MARKS[name] in " ".join(text.split())]
    if not fitting:
        return None
    # Where a file has several licences, the shortest that has this one.
    text = min(fitting, key=len)
    if name.endswith(EXCEPTION):
        text = f"Apache-2.0, which is in {WHERE}/Apache-2.0, with these exceptions:\n\n" + text[text.index(MARKS[name]) :]
    text = APACHE.sub(f"The Apache License, Version 2.0, as it stands in {WHERE}/Apache-2.0.", text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines() if not COPYRIGHT.match(line.strip()))


def indented(text):
    return "\n".join(f" {line}" if line.strip() else " ." for line in text.strip().splitlines())


def main(target):
    packages = linked(target)
    found = {package["id"]: texts(package) for package in packages}
    names, missing, paragraphs, licences = {}, [], [], {}
    print("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/")
    print("Upstream-Name: stile\nSource: https://github.com/stile-gateway/stile")
    print("Comment: Stile is one program with the libraries below linked in. Made by image/copyright.py.")
    print("\nFiles: *\nCopyright: the contributors of Stile\nLicense: Apache-2.0")
    for package in packages:
        if package["source"] is None:
            continue
        kept = []
        for name in chosen(package["license"] or ""):
            text = None if name in COMMON else body(name, found[package["id"]])
            if name not in COMMON and text is None:
                # The archive came without its licence: the text of another crate under the same.
                text = next(filter(None, (body(name, other) for other in found.values())), None) if name in MARKS else None
            if name not in COMMON and text is None:
                missing.append(f"{package['name']} {package['version']}: no text of {name}")
                continue
            same = licences.setdefault(name, {})
            key = " ".join((text or "").split())
            short = name.replace(" WITH ", "-with-")
            kept.append(same.setdefault(key, (short if not same else f"{short}-{len(same) + 1}", text))[0])
        lines = "\n ".join(holders(package, found[package["id"]]))
        paragraphs.append(
            f"\nFiles: {package['name']}-{package['version']}/*\nCopyright: {lines}\nLicense: {' and '.join(kept)}"
        )
    if missing:
        sys.exit("copyright: error: " + "\n".join(missing))
    print("\n".join(paragraphs))
    print("\nFiles: rust-standard-library/*\nCopyright: the Rust Project contributors\nLicense: Apache-2.0")
    print("\nFiles: libsqlite3-sys-*/sqlite3/*\nCopyright: none; its authors gave it to the public\nLicense: public-domain")
    print(" The authors of SQLite disclaim copyright to its source code.")
    licences.setdefault("Apache-2.0", {}).setdefault("", ("Apache-2.0", None))
    for name, same in sorted(licences.items()):
        for short, text in same.values():
            if text is None:
                text = f"On Debian systems the full text is in {WHERE}/{COMMON[name]}."
            print(f"\nLicense: {short}\n{indented(text)}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: image/copyright.py TARGET")
    main(sys.argv[1])
