# SPDX-License-Identifier: Apache-2.0
# A thin front to Meson: it installs what Debian packages are missing, configures and builds.
#
#   make run        build, then run a container in its own VM
#   make check      build and pass every test
#   make build      every program in build/bin/, runnable there
#   make install    DESTDIR= and prefix= as usual
#   make bench-NAME a table for bench/NAME, last line "ratio X.XX" of us over the peer
#   make conformance  the suites of crun and runc, fetched from Debian's source packages
#   make docs       docs/sentry-syscalls.md from the table of calls
#   make analyze    clang's path-sensitive analyzer, some minutes
#   make fuzz       every fuzz target for FUZZ_SECONDS (default 60) each

BUILD  ?= build
prefix ?= /usr/local

.PHONY: all build run check conformance install analyze docs fuzz deps clean
all: build

deps:
	@tools/install-deps.sh

$(BUILD)/build.ninja: | deps
	meson setup $(BUILD) --prefix=$(prefix)

build: deps $(BUILD)/build.ninja
	@meson compile -C $(BUILD)

run: build
	$(BUILD)/bin/coffer run --timing --hostname box coffer/hello sh -c \
	  'echo "kernel   $$(uname -sr)"; echo "hostname $$(hostname)"; echo "pid 1    $$(cat /proc/1/comm)"'

check: build
	@tools/install-deps.sh check
	@tools/check.py $(BUILD)

conformance: build
	@tools/install-deps.sh conformance
	@tests/conformance/run.py $(BUILD)

install: build
	@meson configure $(BUILD) --prefix=$(prefix)
	meson install -C $(BUILD)

bench-%: build
	@bench/$* $(BUILD)/bin

# What clang's analyzer says of every path through every function; check does the quick rest.
analyze: build
	@tools/static.py analyzer $(BUILD) .

# The pages that are written from the code.
docs: build
	@ninja -C $(BUILD) tests/tools/sentry_calls >/dev/null
	@$(BUILD)/tests/tools/sentry_calls > docs/sentry-syscalls.md

fuzz: deps
	@tools/fuzz.sh $(BUILD)-fuzz $${FUZZ_SECONDS:-60}

clean:
	rm -rf $(BUILD) $(BUILD)-sanitize $(BUILD)-fuzz
