#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What guests can make the application kernel remember for them has an end, each kind of it.

  sentry_piles_test.py BIN GUEST

Each run piles one thing up until it is refused, in a sandbox of little memory. With all of it held,
the kernel's own memory is looked at; then the guest ends, and everything is gone.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

MEMORY = "96M"
OWN_MAX_MB = 40  # of the kernel's own memory; piles without an end take hundreds
NAMES = ("files", "links", "deep", "xattrs", "opens", "texts", "tables", "pipes", "events", "epolls",
         "watches", "locks", "mounts", "backlogs", "bytes", "rings", "chain", "netlinks", "terminals",
         "inets", "hostfiles", "signals", "polls", "spaces")


def sentry_of(run):
    """The kernel below this run."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                name, rest = (entry / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
                children.setdefault(int(rest.split()[1]), []).append((int(entry.name), name))
        except OSError:
            pass
    todo = [run]
    while todo:
        for pid, name in children.get(todo.pop(), []):
            if name == "coffer-sentry":
                return pid
            todo.append(pid)
    return None


def own_memory(pid):
    """In MB: what belongs to it alone, so guest memory, a file, is not among it."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1]) // 1024
    raise RuntimeError("smaps_rollup has no Pss_Anon")


def pile(binaries, root, name):
    words = [str(binaries / "coffer"), "run", "-i", "--sandbox", "sentry", "--memory", MEMORY]
    if name in ("mounts", "spaces"):
        words += ["--cap-add", "SYS_ADMIN"]
    run = subprocess.Popen(words + ["--rootfs", str(root), "--", "/guest", name],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        told = run.stdout.readline().decode(errors="replace").strip()
        sentry = sentry_of(run.pid)
        used = own_memory(sentry) if sentry else None
        run.stdin.close()
        code = run.wait(180)
    finally:
        run.kill()
        run.wait()
        run.stdout.close()
    words = told.split()
    good = (code == 0 and used is not None and used <= OWN_MAX_MB and len(words) == 3 and
            words[0] == name and int(words[1]) > 0 and words[2] != "NONE")
    print(f"{name}: {told!r}, {used} MB of the kernel's own, exit {code}"
          f"{'' if good else ': NOT as it should be'}", flush=True)
    return good


def main():
    binaries, guest = map(pathlib.Path, sys.argv[1:3])
    with tempfile.TemporaryDirectory() as top:
        os.environ["COFFER_RUN"] = os.path.join(top, "run")
        root = pathlib.Path(top, "root")
        for name in ("dev", "proc", "sys", "tmp"):
            (root / name).mkdir(parents=True)
        shutil.copy(guest, root / "guest")
        failed = [name for name in NAMES if not pile(binaries, root, name)]
    print(f"{len(NAMES) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
