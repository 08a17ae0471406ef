#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Calls with random registers do not end the application kernel, nor stop it.

  sentry_random_test.py SENTRY_RUN GUEST SECONDS [SEED]

The time goes to each of the ways in which calls can come. A failure tells the seed to run it again
with; guest_random.c says more.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

WAYS = {"notified": ([], 0.6), "notified, slow": (["--slow"], 0.2), "by signals": (["--signal"], 0.2)}
MEMORY = 256 << 20
PATIENCE = 240  # beyond its time, for the last process and a busy machine


def run(way, options, seconds, seed, sentry_run, guest):
    with tempfile.TemporaryDirectory(prefix="coffer-random-") as root:
        for name in ("proc", "sys", "dev", "tmp"):
            os.mkdir(os.path.join(root, name))
        shutil.copy(guest, os.path.join(root, "guest"))
        command = [sentry_run, "--memory", str(MEMORY)] + options + [root, "/guest", str(seed),
                                                                      str(seconds)]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=seconds + PATIENCE, check=False,
                                  cwd="/", start_new_session=True)
        except subprocess.TimeoutExpired as late:
            print(f"{way}: seed {seed}: stands still\n{late.stdout}")
            return False
        print(f"{way}: seed {seed}: exit {done.returncode}")
        print(done.stdout.decode(errors="replace")[-4000:], end="", flush=True)
        return done.returncode == 0


def main():
    sentry_run, guest = (str(pathlib.Path(arg).resolve()) for arg in sys.argv[1:3])
    seconds = float(sys.argv[3])
    seed = int(sys.argv[4], 0) if len(sys.argv) > 4 else int(time.time() * 1000) % (1 << 40)
    good = [run(way, options, max(1, round(seconds * share)), seed, sentry_run, guest)
            for way, (options, share) in WAYS.items()]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
