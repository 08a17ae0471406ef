# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: fair repetition, a bare machine to compare with, a table.

A benchmark compares us with a peer in the same minutes on the same machine:
runs alternate, so that a busy moment hits both, and medians are compared.
Usage of each: bench/NAME BUILD/bin; BENCH_RUNS sets the repetitions.
"""
import ctypes
import mmap
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

RUNS = int(os.environ.get("BENCH_RUNS", "9"))
QEMU = "qemu-system-x86_64"


def fail(why):
    sys.exit(f"{os.path.basename(sys.argv[0])}: {why}")


class Build:
    """Where the build directory keeps what is measured."""

    def __init__(self):
        if len(sys.argv) != 2:
            fail("usage: BUILD/bin")
        self.bin = pathlib.Path(sys.argv[1]).resolve()
        self.coffer = self.bin / "coffer"
        self.kernel = self.bin.parent / "lib/coffer/vmlinux"
        self.bare_initrd = self.bin.parent / "guest/bench-initrd.cpio"
        for path in (self.coffer, self.kernel, self.bare_initrd):
            if not path.exists():
                fail(f"{path} is missing: build with the guest first")


def kvm_usable():
    flags = re.search(r"^flags\s*:(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return (flags and re.search(r"\b(vmx|svm)\b", flags[1])
            and os.access("/dev/kvm", os.R_OK | os.W_OK))


def tsc_khz():
    """The rate of the time stamp counter, which an emulated guest shares with the host."""
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("0f31 48c1e220 4809d0 c3"))  # rdtsc; shl rdx,32; or rax,rdx; ret
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    read = ctypes.CFUNCTYPE(ctypes.c_uint64)(address)
    before, start = read(), time.monotonic_ns()
    time.sleep(0.1)
    after, end = read(), time.monotonic_ns()
    return (after - before) * 1000000 // (end - start)


def bare_command(build, accel, serial, append=""):
    """The leanest QEMU command line that boots the kernel, found by trying each option."""
    command = [
        QEMU, "-machine", "microvm,x-option-roms=off", "-m", "256", "-smp", "1",
        "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", serial,
        "-kernel", str(build.kernel), "-initrd", str(build.bare_initrd),
    ]
    cmdline = "console=ttyS0 reboot=t panic=-1 quiet cryptomgr.notests rcupdate.rcu_expedited=1"
    if accel == "kvm":
        command += ["-accel", "kvm", "-cpu", "host"]
    else:
        command += ["-accel", "tcg,tb-size=64", "-cpu", "max,-erms,-la57"]
        cmdline += f" tsc_early_khz={tsc_khz()} tsc=reliable noreplace-smp"
    return command + ["-append", f"{cmdline} {append}"]


def run(command, **kwargs):
    """Run to the end. Returns wall milliseconds and the finished process, which must succeed."""
    start = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=300, check=False, **kwargs)
    wall = (time.monotonic() - start) * 1000
    if done.returncode:
        tail = done.stderr.decode(errors="replace").strip().splitlines()[-3:]
        fail(f"{command[0]} ended with {done.returncode}: {' / '.join(tail)}")
    return wall, done


def throughput(command, expect):
    """MiB/s of a command's output between its first and its last byte; at least expect bytes."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        fd = process.stdout.fileno()
        data = os.read(fd, 1 << 20)
        start = time.monotonic()
        first = got = len(data)
        while data:
            data = os.read(fd, 1 << 20)
            got += len(data)
            end = time.monotonic() if data else end
    if process.returncode or got < expect:
        fail(f"{command[0]} ended with {process.returncode} after {got} of {expect} bytes")
    return (got - first) / (1 << 20) / (end - start)


def alternate(variants, runs=RUNS, warm_up=1):
    """Call each of {name: function} in turn, runs times over. Returns {name: [result]}."""
    results = {name: [] for name in variants}
    for i in range(warm_up + runs):
        for name, function in variants.items():
            value = function()
            if i >= warm_up:
                results[name].append(value)
    return results


def table(title, rows, unit):
    """rows: {name: [value]}"""
    width = max(len(name) for name in rows)
    print(f"{title} ({unit}, {len(next(iter(rows.values())))} runs each)")
    print(f"  {'':{width}}  {'median':>9}  {'min':>9}  {'max':>9}")
    for name, values in rows.items():
        print(f"  {name:{width}}  {statistics.median(values):9.1f}  {min(values):9.1f}  "
              f"{max(values):9.1f}")


def ratio(ours, peer):
    print(f"ratio {statistics.median(ours) / statistics.median(peer):.2f}")
