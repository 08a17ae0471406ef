# SPDX-License-Identifier: Apache-2.0
"""Many runs, one after the other and at once, leave no trace.

  faults_soak_test.py PROGRAMS [NAME...]

FAULTS_RUNS: of one after the other (default 10); FAULTS_MACHINES: small ones at
once (default 20).
"""

import os
import sys

from faults_box import BOOT, SENTRY, Skip, expect, run_all

PROGRAMS = sys.argv[1]
RUNS = int(os.environ.get("FAULTS_RUNS", "10"))
MACHINES = int(os.environ.get("FAULTS_MACHINES", "20"))
AT_ONCE = 10
# What a machine of 96 MiB takes of the host: its memory, and QEMU's own.
MACHINE_MIB = 170
# Boots at once share the CPUs.
CROWD = 540


def expect_output(end, text):
    expect(end.code == 0 and end.out == text and end.err == "", f"{text!r} was expected: {end}")


def available_mib():
    with open("/proc/meminfo", encoding="ascii") as f:
        return next(int(line.split()[1]) >> 10 for line in f if line.startswith("MemAvailable:"))


def one_after_the_other(box):
    for i in range(RUNS):
        box.children.clear()
        expect_output(box.run("coffer/hello", "echo", str(i)), f"{i}\n")
        box.expect_clean()


def crowd(box, n, *options):
    children = [box.start(*options, "coffer/hello", "echo", str(i)) for i in range(n)]
    for i, child in enumerate(children):
        expect_output(box.finish(child, CROWD), f"{i}\n")
    box.expect_clean()


def many_at_once(box):
    crowd(box, AT_ONCE)


def small_machines_at_once(box):
    """All are there at the same time: each waits for the end of its input."""
    if not SENTRY and available_mib() < MACHINES * MACHINE_MIB:
        raise Skip(f"{MACHINES * MACHINE_MIB} MiB of memory are not free")
    pipes = [os.pipe() for _ in range(MACHINES)]
    children = [box.start("-i", "-m", "96M", "coffer/hello", "sh", "-c", "echo up; cat", stdin=r)
                for r, _ in pipes]
    for child in children:
        expect(child.stdout.readline() == b"up\n", "a machine did not answer")
    for i, (r, w) in enumerate(pipes):
        os.write(w, f"{i}\n".encode())
        os.close(w)
        os.close(r)
    for i, child in enumerate(children):
        expect_output(box.finish(child, CROWD), f"{i}\n")
    box.expect_clean()


TESTS = {f.__name__.replace("_", " "): f
         for f in (one_after_the_other, many_at_once, small_machines_at_once)}

if __name__ == "__main__":
    sys.exit(run_all(TESTS, PROGRAMS, jobs=1))
