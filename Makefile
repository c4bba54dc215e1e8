# The front door. `make` alone lists the targets; each works as root and as an ordinary user with sudo (test-deb as root
# alone), and installs what it needs (tests/setup.sh) without touching the system's own services.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# The steps of `test` are listed in the order they are worth running in, and cargo uses every core by itself.
.NOTPARALLEL:

# Where cargo and rustup put programs; a shell opened before they were installed does not know it.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

# Arguments for `make demo`, such as ARGS="--mqtt-port 1884 --seed 7".
ARGS ?=

step = @printf '\n== %s\n' "$(1)"

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# The dev profile: no link-time optimisation to wait for, and `make test` builds the same, so that whichever comes second
# finds it there. For a device: cargo build --release.
.PHONY: demo
demo: ## build and run the gateway with three made-up radios; ARGS="--mqtt-port 1884" passes options
	@bash tests/setup.sh demo
	$(call step,build (dev profile; the first time takes a minute or more))
	cargo build --locked --package stile
	@command -v mosquitto_sub >/dev/null || \
		echo "note: mosquitto_sub, a client to subscribe with, is in Debian's package mosquitto-clients"
	$(call step,stile demo)
	cargo run --quiet --locked --package stile -- demo $(ARGS)

.PHONY: test
test: setup-test scripts fmt clippy doc plugins audit deny units tests-and-image ## everything that CI checks
	$(call step,all checks passed)

.PHONY: check
check: setup-check fmt clippy ## the everyday loop: format, lints, unit tests
	$(call step,unit tests)
	@if cargo nextest --version >/dev/null 2>&1; then set -x; cargo nextest run --workspace --lib --bins; \
	else set -x; cargo test --workspace --lib --bins; fi

.PHONY: plugins
plugins: ## the filters of plugins/ as components, in target/plugins
	@bash tests/setup.sh plugins
	$(call step,plugins)
	bash plugins/build.sh

# The kind of this machine, in Debian's words, and where the program of a kind is built.
OWN := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,amd64)
program_of = target/$(if $(filter arm64,$(1)),aarch64,x86_64)-unknown-linux-gnu/release/stile

.PHONY: release
release: ## the program for a device of this machine's kind, with the list of what is linked into it inside
	@bash tests/setup.sh release
	$(call step,release build)
	bash image/program.sh $(OWN)

.PHONY: arm64
arm64: ## the same for 64-bit ARM, cross-compiled: target/aarch64-unknown-linux-gnu/release/stile
	@bash tests/setup.sh arm64
	$(call step,release build for arm64)
	bash image/program.sh arm64

# Made once for a release; what has changed since is built as without it.
.PHONY: profile
profile: ## how the program is used, for the compiler: release and arm64 build by it; ARCH=amd64 or arm64; half an hour
	@bash tests/setup.sh profile$(if $(filter arm64,$(ARCH)),-arm64)
	$(call step,profile for $(ARCH))
	bash image/profile.sh $(ARCH)

# Builds the program only where none is named: BINARY takes one that is there. A program for another processor can't write
# its own manual page: HELPER names one that runs here, and without it the dev profile's is built.
ARCH ?= amd64
BINARY ?=
HELPER ?=
.PHONY: deb
deb: ## a Debian package in target/deb; ARCH=amd64 or arm64, BINARY=a program that is built already
	@bash tests/setup.sh deb
	@if [ -z "$(BINARY)" ]; then $(MAKE) $(if $(filter arm64,$(ARCH)),arm64,release); fi
	$(call step,package for $(ARCH))
	@program=$(or $(BINARY),$(call program_of,$(ARCH))); \
	helper=$(HELPER); \
	if [ -z "$$helper" ] && ! "$$program" --version >/dev/null 2>&1; then \
		set -x; cargo build --locked --package stile; helper=target/debug/stile; \
	fi; \
	set -x; HELPER=$$helper bash image/deb/build.sh $(ARCH) "$$program"

# The version is the one that the root file system has of itself, so that machines compare like with like. The key may be a PKCS#11
# address with a pin in it, so the command is not shown.
ROOT ?= target/image/$(ARCH)/root.ext4
CERT ?=
KEY ?=
.PHONY: bundle
bundle: ## a signed update of ROOT=a root file system, in target/bundle; ARCH=, CERT= and KEY= of whoever signs
	@bash tests/setup.sh bundle
	@mkdir -p target/bundle; \
	version=$$(/usr/sbin/debugfs -R 'cat /usr/lib/os-release' "$(ROOT)" 2>/dev/null | sed -n 's/^IMAGE_VERSION=//p'); \
	bash image/rauc/bundle.sh "$(ROOT)" "$$version" $(ARCH) "$(CERT)" "$(KEY)" "target/bundle/stile-$$version-$(ARCH).raucb"

# Not a part of `test`: it wants a release build (minutes), root, and a Debian of 250 MB to install in. Packages of other
# versions may lie in target/deb: those of this one are named.
SUITE ?= bookworm
DEB_VERSION ?= $(shell sed -n '/^\[workspace.package\]/,/^$$/s/^version = "\(.*\)"$$/\1/p' Cargo.toml)-1
export DEB_VERSION
package = target/deb/stile_$(DEB_VERSION)_$(1).deb
.PHONY: test-deb
test-deb: deb ## install, upgrade, remove and purge the package in a Debian of its own; SUITE=bookworm or trixie
	@bash tests/setup.sh test-deb
	$(call step,lintian)
	lintian --fail-on error,warning --info $(call package,$(ARCH))
	$(call step,a newer package)
	DEB_VERSION=$(DEB_VERSION)+newer bash image/deb/build.sh amd64 $(or $(BINARY),$(call program_of,amd64)) target/deb/newer
	$(call step,in a Debian $(SUITE))
	SUITE=$(SUITE) bash image/deb/test.sh $(call package,amd64) target/deb/newer/stile_$(DEB_VERSION)+newer_amd64.deb
	$(call step,under a systemd of its own)
	SUITE=$(SUITE) bash image/deb/boot.sh $(call package,amd64)

# One commit, program and list of packages give one image, byte for byte. MIRROR=http://... takes another mirror than the pinned
# snapshot, and says which packages differ from image/lock. DEB= names a package that is there already.
DEB ?=
deb_of = $(or $(DEB),$$(ls -t target/deb/stile_*_$(ARCH).deb | head -n 1))
export MIRROR SECURITY PACK
.PHONY: image
image: ## the image for a card, in target/image; ARCH=amd64 or arm64, BINARY= or DEB= as there is one
	@bash tests/setup.sh $(if $(filter arm64,$(ARCH)),image-arm64,image)
	@if [ -z "$(DEB)" ]; then $(MAKE) deb; fi
	$(call step,image for $(ARCH))
	bash image/build.sh $(ARCH) $(deb_of)

.PHONY: image-lock
image-lock: ## writes anew which packages an image is made of, image/lock/ARCH
	LOCK=write $(MAKE) image

# `make test` has most of these steps (tests/image.sh): all of them would take longer than all else. The image is two
# minutes of processor time, and so is each of the dozen starts in software emulation. STEPS="frame_comes_out ..." are some of them.
# What is tried is the image: where no program is named, the dev profile's without its symbols will do. Updates are signed by keys that
# are made for it.
KEYS ?= target/image/keys
STEPS ?=
.PHONY: test-image
test-image: ## boot the image for a PC in a virtual machine, use it, cut its power, update it
	@bash tests/setup.sh test-image
	bash image/rauc/dev-keys.sh $(KEYS)
	@program="$(BINARY)"; if [ -z "$$program$(DEB)" ]; then \
		set -x; cargo build --workspace --locked; strip -o target/image/stile target/debug/stile; program=target/image/stile; \
	fi; \
	$(MAKE) image ARCH=amd64 PACK=$(or $(PACK),no) BINARY="$$program" KEYRING=$(KEYS)/keyring.pem
	$(call step,what stands in the image)
	bash image/scan.sh amd64
	$(call step,in a virtual machine)
	KEYS=$(KEYS) bash image/test.sh target/image/amd64/stile-amd64.img $(STEPS)

.PHONY: boot-time
boot-time: ## how long the image for a PC takes to start, beside a bare Debian, where there is one; a quiet machine, please
	@bash tests/setup.sh test-image
	bash image/boot_time.sh

.PHONY: test-image-arm64
test-image-arm64: ## the same for the image for a Raspberry Pi, on QEMU's own ARM machine: slower
	@bash tests/setup.sh test-image-arm64
	bash image/rauc/dev-keys.sh $(KEYS)
	$(MAKE) image ARCH=arm64 PACK=$(or $(PACK),no) KEYRING=$(KEYS)/keyring.pem
	$(call step,what stands in the image)
	bash image/scan.sh arm64
	$(call step,in a virtual machine)
	PATIENCE=$(or $(PATIENCE),900) KEYS=$(KEYS) bash image/test.sh target/image/arm64/stile-arm64.img $(STEPS)

.PHONY: bench
bench: ## the benchmarks, beside Debian's mosquitto; a quiet machine, please
	@bash tests/setup.sh bench
	$(call step,benchmarks)
	bash tests/bench/run.sh

.PHONY: conformance
conformance: ## the statements of MQTT, one test each; writes tests/CONFORMANCE.md
	@bash tests/setup.sh check
	$(call step,conformance)
	cargo build --workspace --locked
	@if cargo nextest --version >/dev/null 2>&1; then set -x; \
		WRITE_CONFORMANCE=1 cargo nextest run --locked -p stile-tests --test conformance --no-fail-fast; \
	else set -x; WRITE_CONFORMANCE=1 cargo test --locked -p stile-tests --test conformance; fi

# Finds go to tests/fuzz/artifacts; new inputs that reach new code to target/fuzz-corpus. Memory errors are left to the
# compiler: the crate has no unsafe code, so no sanitizer slows this down.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= codec clients websocket plugins lora_udp lora_station lora_modem cellular nmea chrony spool probe
.PHONY: fuzz
fuzz: ## look for inputs that do harm; FUZZ_SECONDS=60 for each of FUZZ_TARGETS
	@bash tests/setup.sh fuzz
	@for target in $(FUZZ_TARGETS); do \
		printf '\n== fuzz %s for %s s\n' $$target $(FUZZ_SECONDS); \
		mkdir -p target/fuzz-corpus/$$target; \
		(cd tests/fuzz && cargo +nightly fuzz run --fuzz-dir . --target-dir ../../target/fuzz -s none $$target \
			../../target/fuzz-corpus/$$target corpus/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=4000 -timeout=30 -rss_limit_mb=1500 -print_final_stats=1); \
	done

.PHONY: audit
audit: setup-audit ## hold Cargo.lock against the RustSec advisories
	$(call step,advisories)
	bash tests/audit.sh

.PHONY: deny
deny: setup-audit ## licences, banned crates and sources
	$(call step,licences and bans and sources)
	cargo deny --locked check licenses bans sources

.PHONY: clean
clean: ## remove everything that was built (not what was installed)
	cargo clean

# The single steps of `test`, each to be called by itself too.

.PHONY: setup-test setup-check setup-audit
setup-test setup-check setup-audit: setup-%:
	@bash tests/setup.sh $*

.PHONY: scripts
scripts:
	$(call step,scripts: syntax)
	find . \( -name target -o -name .git -o -name .venv \) -prune -o \
		-type f \( -name '*.sh' -o -path ./.ci/run \) -print0 | xargs -0 -t -n 1 bash -n

.PHONY: fmt
fmt:
	$(call step,format)
	cargo fmt --all --check

.PHONY: clippy
clippy:
	$(call step,lints)
	cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: doc
doc:
	$(call step,documentation)
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

# The black-box tests drive the daemon's own binary, so it is built first. Many of them wait: one more at a time than there are
# processors.
.PHONY: tests
tests:
	$(call step,tests)
	cargo build --workspace --locked
	@rm -f target/skipped; \
	trap '{ set +x; } 2>/dev/null; if [ -e target/skipped ]; then printf "\n== not tested here, and passed for the runner\n"; cat target/skipped; fi' EXIT; \
	if cargo nextest --version >/dev/null 2>&1; then \
		(set -x; cargo nextest run --workspace --locked --no-fail-fast --test-threads $$(($$(nproc) + 1))); \
		if grep -rqE --include='*.rs' --exclude-dir=target '^ *//[/!] *```' gateway plugins tests; then \
			(set -x; cargo test --workspace --locked --doc); \
		else echo "no documentation of the code has an example to run: minutes of building for nothing"; fi; \
	else \
		echo "cargo-nextest is not installed: cargo test runs the same tests, more slowly"; \
		set -x; cargo test --workspace --locked --no-fail-fast; \
	fi

# Both at once: the tests wait a lot, and the virtual machine takes what processor time they leave. What is said of the image comes
# behind the tests.
.PHONY: tests-and-image
tests-and-image:
	cargo build --workspace --locked
	@nice -n 10 bash tests/image.sh >target/image.log 2>&1 & image=$$!; \
	trap 'kill $$image 2>/dev/null || true' EXIT; \
	$(MAKE) --no-print-directory tests; \
	printf '\n== the image\n'; \
	booted=0; wait $$image || booted=$$?; \
	cat target/image.log; \
	exit $$booted

.PHONY: units
units:
	$(call step,systemd units)
	bash tests/units.sh
