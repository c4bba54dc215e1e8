#!/usr/bin/env bash
# Holds Cargo.lock against the RustSec advisories. Fails on a vulnerability, an unsound crate and a yanked version;
# an unmaintained crate is printed only, because nobody can mend that on the day it is announced.
#
# Reads the advisories from ../shared/advisory-db, where it is found, and otherwise fetches them. An advisory that
# cannot be avoided is ignored in .cargo/audit.toml, with its reason.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly DB=../shared/advisory-db
deny=(--deny unsound --deny yanked)

if [ ! -f Cargo.lock ]; then
    echo "audit: error: there is no Cargo.lock to check; 'cargo generate-lockfile' writes one" >&2
    exit 1
fi
if [ -d "$DB/crates" ]; then
    # No --stale: it concerns the date of the last commit, and with --no-fetch nothing is read from git.
    echo "audit: advisories from $DB (offline)"
    source=(--db "$DB" --no-fetch)
else
    echo "audit: advisories fetched from the RustSec database (online: $DB is not there)"
    source=()
fi
if ! cargo audit "${source[@]}" "${deny[@]}"; then
    echo "audit: error: see above. For a finding: 'cargo update -p CRATE', or another crate, or an entry with its reason" >&2
    echo "audit:   in .cargo/audit.toml. Where the advisories could not be fetched: a checkout of them at $DB will do." >&2
    exit 1
fi
