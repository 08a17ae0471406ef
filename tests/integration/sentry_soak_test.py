#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Thousands of processes, threads, mappings, timers and descriptors later the application kernel has
what it had.

  sentry_soak_test.py SENTRY_RUN GUEST

The first batch of rounds fills pools and caches; what the batches after it add is looked at.
"""
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from faults_box import descendants, wait_until

ROUNDS = 60
BATCHES = 6
# What may come and go between two looks: spare stubs and idle threads; names below /proc are kept
# for a while, each less than a kilobyte, and every program that starts looks up two.
SLACK = {"descriptors": 64, "threads": 12, "processes": 10, "memory": 768 << 10, "guest": 4 << 20}


def anonymous(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) << 10
    return 0


def guest_memory(pid):
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            if "memfd:guest" in os.readlink(f"/proc/{pid}/fd/{fd}"):
                return os.stat(f"/proc/{pid}/fd/{fd}").st_blocks * 512
    return 0


def look(pid):
    return {"descriptors": len(os.listdir(f"/proc/{pid}/fd")),
            "threads": len(os.listdir(f"/proc/{pid}/task")),
            "processes": 1 + len(descendants(pid, without="")),
            "memory": anonymous(pid),
            "guest": guest_memory(pid)}


def grown(looks):
    """What the last look has more of than it may: by how much."""
    more = {what: looks[-1][what] - max(look[what] for look in looks[:2]) for what in SLACK}
    return {what: n for what, n in more.items() if n > SLACK[what]}


def soak(command):
    looks = []

    def settled():
        looks[-1] = look(process.pid)
        return not grown(looks)

    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          start_new_session=True, cwd="/") as process:
        for batch in range(BATCHES):
            line = process.stdout.readline()
            if line != b"done\n":
                print(line.decode())
                break
            looks.append(look(process.pid))
            print(f"batch {batch}:", looks[-1], flush=True)
            if batch < BATCHES - 1:
                process.stdin.write(b"\n")
                process.stdin.flush()
            else:  # what has ended goes when the kernel has time
                wait_until(settled, 60, step=0.5)
        process.stdin.close()
    if process.returncode or len(looks) < BATCHES:
        print(f"exit {process.returncode}")
        return False
    for what, n in grown(looks).items():
        print(f"{what}: {n} more")
    return not grown(looks)


def main():
    sentry_run, guest = (str(pathlib.Path(arg).resolve()) for arg in sys.argv[1:3])
    with tempfile.TemporaryDirectory(prefix="coffer-soak-") as root:
        for name in ("proc", "sys", "dev", "tmp"):
            os.mkdir(os.path.join(root, name))
        shutil.copy(guest, os.path.join(root, "guest"))
        return 0 if soak([sentry_run, root, "/guest", str(ROUNDS)]) else 1


if __name__ == "__main__":
    sys.exit(main())
