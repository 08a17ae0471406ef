#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that building, running and testing need and that are missing.
# With the word "check" also clients of the OCI runtime, with "conformance" also what the suites of
# other runtimes need.
set -eu

build="gcc make meson ninja-build pkgconf binutils protobuf-c-compiler protobuf-compiler
 libprotobuf-dev libprotobuf-c-dev libnghttp2-dev libjson-c-dev libseccomp-dev libcap-dev
 libarchive-dev libext2fs-dev comerr-dev zlib1g-dev libzstd-dev liblzma-dev scdoc
 libcurl4-openssl-dev libssl-dev libisal-dev"
run="qemu-system-x86 qemu-system-common e2fsprogs ca-certificates libcurl4 libssl3 libisal2"
test="libcmocka-dev bats g++ clang clang-tidy clang-format cppcheck libclang-rt-14-dev
 python3-grpcio python3-protobuf strace procps util-linux debootstrap attr libcap2-bin socat
 iproute2 xz-utils zstd busybox-static redis-tools sqlite3 cpio jq uidmap qemu-utils qemu-user-static curl
 docker-registry skopeo openssl"
# By program, since others than Debian's may be there.
clients="dockerd:docker.io docker:docker.io containerd:containerd ctr:containerd podman:podman
 conmon:conmon catatonit:catatonit criu:criu runc:runc iptables:iptables umoci:umoci"
conformance="crun runc jq gawk dpkg-dev bsdutils"
[ "${1-}" = conformance ] || conformance=
[ "${1-}" = check ] || clients=

PATH=$PATH:/usr/sbin:/sbin
missing=
for p in $build $run $test $conformance; do
	case $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) in
	*' installed') ;;
	*) missing="$missing $p" ;;
	esac
done
for c in $clients; do
	command -v "${c%:*}" >/dev/null || missing="$missing ${c#*:}"
done
[ -n "$missing" ] || exit 0

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# shellcheck disable=SC2086 # a list of words
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
