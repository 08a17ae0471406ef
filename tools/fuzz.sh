#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fuzz.sh BUILD SECONDS: builds the fuzz targets with clang and runs each for SECONDS.
# New inputs are kept in BUILD/corpus; a crash leaves its input in BUILD/crash-* and fails.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
build=$1
seconds=$2

[ -e "$build/build.ninja" ] ||
	CC=clang meson setup "$build" "$top" -Dfuzz=true -Dguest=false -Dbuildtype=debugoptimized
meson compile -C "$build"
for target in "$build"/fuzz/fuzz_*; do
	[ -f "$target" ] && [ -x "$target" ] || continue
	name=${target##*/fuzz_}
	mkdir -p "$build/corpus/$name"
	seeds=
	[ -d "$top/fuzz/corpus/$name" ] && seeds=$top/fuzz/corpus/$name
	echo "fuzz $name for $seconds s"
	"$target" -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -print_final_stats=0 \
		-verbosity=0 -artifact_prefix="$build/crash-$name-" "$build/corpus/$name" $seeds
done
echo "no crash"
