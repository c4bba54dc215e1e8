#!/usr/bin/env bash
# The image for a PC, built of the program that the tests have tried, booted in software emulation and used: those steps of
# `make test-image` that `make test` has the time for.
#
# Debian comes from the snapshot that the image is pinned to. Where that can't be reached, the mirror that this machine has its own
# packages from will do: the packages are newer then, the image is not that of a release, and it is said.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly STEPS="frame_comes_out ports_are_documented power_cut older_is_refused update_is_cut update_stays dead_goes_back"
# A machine that is busy with other things takes its time, and that is no fault of the image.
export PATIENCE=${PATIENCE:-900}

answers() { curl --silent --fail --head --location --max-time 20 --output /dev/null "$1/dists/trixie/InRelease"; }
skip() {
    echo "image: skipped: $*"
    exit 0
}

[ "$(uname -m)" = x86_64 ] || skip "a machine that runs programs for amd64 is needed: the image takes the program that was built"
unshare --user --map-root-user true 2>/dev/null || skip "name spaces for users are needed, and the kernel has none for us: the image is made in one"
[ -z "${MIRROR:-}" ] || exec make test-image STEPS="$STEPS"
if answers "http://snapshot.debian.org/archive/debian/$(cat image/snapshot)"; then exec make test-image STEPS="$STEPS"; fi
while read -r mirror; do
    if answers "$mirror"; then
        echo "image: the pinned snapshot can't be reached, so the packages are today's of $mirror"
        MIRROR=$mirror exec make test-image STEPS="$STEPS"
    fi
done < <(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | sed 's|/*$||' | grep '/debian$' | sort -u)
skip "a mirror of Debian is needed, and none answers; MIRROR=http://... names one"
