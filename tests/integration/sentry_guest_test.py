#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A static program prints in the application kernel what it prints on the host.

  sentry_guest_test.py SENTRY_RUN PROGRAM [OPTION...]

It is run on the host, and in the kernel by each of the ways in which calls can come there.
"""
import difflib
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

WAYS = {"notified": [], "notified, slow": ["--slow"], "by signals": ["--signal"]}


def run(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=280, check=False, cwd="/",
                          start_new_session=True)
    return done.stdout.decode(errors="replace") + f"exit {done.returncode}\n"


def main():
    sentry_run, program = (str(pathlib.Path(arg).resolve()) for arg in sys.argv[1:3])
    failed = 0
    if not os.path.exists("/dev/ptmx"):
        print("no pseudo terminals here to compare with")
        return 77
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    want = run([program])
    if want.endswith("exit 77\n"):
        print(want)
        return 77
    with tempfile.TemporaryDirectory(prefix="coffer-guest-") as root:
        for name in ("proc", "sys", "dev", "tmp"):
            os.mkdir(os.path.join(root, name))
        shutil.copy(program, os.path.join(root, "guest"))
        for way, options in WAYS.items():
            got = run([sentry_run] + options + sys.argv[3:] + [root, "/guest"])
            if got == want:
                print(f"{way}: equal, {len(want)} bytes")
                continue
            failed += 1
            print(f"{way}: differs")
            print("\n".join(difflib.unified_diff(want.splitlines(), got.splitlines(), "host",
                                                 "kernel", lineterm="")))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
