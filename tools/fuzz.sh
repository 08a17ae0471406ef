#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fuzz.sh BUILD SECONDS [NAME...]: builds the fuzz targets, or those named, with clang and runs each
# for SECONDS; without names also calls with random registers in the application kernel.
# New inputs are kept in BUILD/corpus; a crash leaves its input in BUILD/crash-* and fails.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
build=$1
seconds=$2
shift 2
random=
if [ $# = 0 ]; then
	random=yes
	for source in "$top"/fuzz/fuzz_*.c; do
		source=${source##*/fuzz_}
		set -- "$@" "${source%.c}"
	done
fi

[ -e "$build/build.ninja" ] ||
	CC=clang meson setup "$build" "$top" -Dfuzz=true -Dguest=false -Dbuildtype=debugoptimized
# shellcheck disable=SC2046 # a list of targets
ninja -C "$build" $(printf 'fuzz/fuzz_%s ' "$@") >"$build/log" || { cat "$build/log"; exit 1; }
for name; do
	mkdir -p "$build/corpus/$name"
	seeds=
	[ -d "$top/fuzz/corpus/$name" ] && seeds=$top/fuzz/corpus/$name
	echo "fuzz $name for $seconds s"
	"$build/fuzz/fuzz_$name" -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=60 -print_final_stats=0 \
		-verbosity=0 -artifact_prefix="$build/crash-$name-" "$build/corpus/$name" $seeds
done
if [ -n "$random" ]; then
	ninja -C "$build" tests/tools/sentry_run tests/sentry/guest_random >"$build/log" ||
		{ cat "$build/log"; exit 1; }
	echo "fuzz the application kernel for $seconds s"
	/usr/bin/python3 "$top/tests/integration/sentry_random_test.py" \
		"$build/tests/tools/sentry_run" "$build/tests/sentry/guest_random" "$seconds"
fi
echo "no crash"
