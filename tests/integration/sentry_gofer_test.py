#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every call that the gofer's filter lets pass is one that it makes.

  sentry_gofer_test.py TEST... SOURCE

Each TEST, the unit tests of gofers and of the trees they hold, runs under strace; what its gofers have
called after they put the filter in place is compared with the lists in the sources.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

# A thread that ends, which it does only together with the process.
SELDOM = {"exit", "madvise", "munmap", "mmap", "futex", "rt_sigprocmask"}


def skip(reason):
    print(reason)
    sys.exit(77)


def gofer_calls(lines, begin):
    """What the threads of the process whose filter is at line @begin have called since."""
    gofer = lines[begin].split()[0]
    threads = {gofer}
    for line in lines[:begin]:
        m = re.match(r"(\d+) +(?:clone3?\(|<\.\.\. clone3? resumed>).* = (\d+)", line)
        if m and m.group(1) == gofer:
            threads.add(m.group(2))
    if len(threads) == 1:
        return set()  # no gofer: a process that tries what is forbidden
    made = set()
    for line in lines[begin + 1:]:
        m = re.match(r"(\d+) +(\w+)\(", line)
        if m and m.group(1) in threads:
            made.add(m.group(2))
    return made


def calls(trace):
    """What all gofers have called; the test has several at once."""
    lines = trace.read().split("\n")
    filters = [i for i, line in enumerate(lines) if "seccomp(SECCOMP_SET_MODE_FILTER" in line]
    if not filters:
        skip("no filter: built with sanitizers")
    return set().union(*(gofer_calls(lines, begin) for begin in filters))


def trace_test(test):
    with tempfile.NamedTemporaryFile("r") as trace:
        r = subprocess.run(["strace", "-f", "-o", trace.name, test], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=300)
        if r.returncode != 0:
            sys.exit(r.stdout)
        return calls(trace)


def main():
    *tests, source = sys.argv[1:]
    if os.geteuid() != 0:
        skip("needs root")
    if not shutil.which("strace"):
        skip("needs strace")
    made = set().union(*(trace_test(test) for test in tests))
    listed = set()
    for name in ("main", "serve", "ops", "ports"):
        with open(os.path.join(source, "src/sentry/gofer", name + ".c")) as f:
            listed |= set(re.findall(r"JAIL(?:_IF|_WIDE)?\((\w+)", f.read()))
    print(f"{len(listed)} calls are allowed, {len(made)} were made")
    unused = listed - made - SELDOM
    if unused:
        sys.exit(f"allowed, but never called: {', '.join(sorted(unused))}")
    if len(listed) > 35:
        sys.exit("more calls than a gofer should need")


main()
