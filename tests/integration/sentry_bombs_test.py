#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Guests that take all there is: they get what their limits allow, and the sandbox lives on.

  sentry_bombs_test.py BIN GUEST

A bomb of forks is stopped while it goes off, and leaves no process behind. Last, the whole sandbox
is put into a small control group of the host: the host ends what guests run in, not the kernel.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

MEMORY = "child Killed\nparent goes on\n"
FORKS = "limited\nall of them ended\nthen 7\n"
GROUP_BYTES = 64 << 20


def coffer(binaries, *words, **options):
    return subprocess.run([str(binaries / "coffer")] + list(words), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240,
                          check=False, **options)


def words_of(root, what, *limits):
    return ["run", "--sandbox", "sentry", *limits, "--rootfs", str(root), "--", "/guest", what]


def check(name, done, want):
    got = done.stdout.decode(errors="replace")
    if done.returncode == 0 and got == want:
        print(f"{name}: as it should be", flush=True)
        return True
    print(f"{name}: exit {done.returncode}, said:\n{got}not:\n{want}", flush=True)
    return False


def processes():
    """Process id: name, parent, when it started."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                found[int(entry.name)] = ((entry / "comm").read_text().strip(), int(fields[1]),
                                          fields[19])
        except OSError:
            pass
    return found


def stubs(below):
    """Those of one run: others may go on beside it."""
    everything = processes()
    found = set()
    for pid, (name, parent, started) in everything.items():
        while name == "coffer-stub" and parent in everything and parent != below:
            parent = everything[parent][1]
        if name == "coffer-stub" and parent == below:
            found.add((pid, started))
    return found


def alive(some):
    now = processes()
    return {(pid, started) for pid, started in some if pid in now and now[pid][2] == started}


def spread(binaries, root):
    """Stopped in the midst of it: everything is gone soon."""
    run = subprocess.Popen([str(binaries / "coffer")] +
                           words_of(root, "spread", "--pids-limit", "150"),
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        run.stdout.readline()
        during = set()
        while len(during) <= 20 and run.poll() is None:
            time.sleep(0.1)
            during = stubs(run.pid)
        name = coffer(binaries, "ps", "-q").stdout.decode().split()
        stopped = coffer(binaries, "stop", "--time", "1", name[0]) if name else None
        code = run.wait(120)
    finally:
        run.kill()
    for _ in range(600):
        left = alive(during)
        if not left:
            break
        time.sleep(0.1)
    print(f"spread: {len(during)} processes, stop {stopped and stopped.returncode}, exit {code}, "
          f"{len(left)} left", flush=True)
    return len(during) > 20 and bool(stopped) and stopped.returncode == 0 and not left


def group_new():
    """A control group with a memory limit; None where that cannot be had."""
    name = f"coffer-bombs-{os.getpid()}"
    for top, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
                       ("/sys/fs/cgroup", "memory.max")):
        group = pathlib.Path(top, name)
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(GROUP_BYTES))
            return group
        except OSError:
            group.rmdir()
    return None


def small_group(binaries, root):
    group = group_new()
    if group is None:
        print("no control group for memory can be made here: that part is skipped")
        return True
    try:
        done = coffer(binaries, *words_of(root, "memory", "-m", "1G"), preexec_fn=lambda:
                      (group / "cgroup.procs").write_text(str(os.getpid())))
        return check("in a small control group", done, MEMORY)
    finally:
        for _ in range(600):
            try:
                group.rmdir()
                break
            except OSError:
                time.sleep(0.1)


def main():
    binaries, guest = (pathlib.Path(arg).resolve() for arg in sys.argv[1:3])
    with tempfile.TemporaryDirectory(prefix="coffer-bombs-") as box:
        os.environ["COFFER_RUN"] = os.path.join(box, "run")
        root = pathlib.Path(box, "root")
        for name in ("proc", "sys", "dev", "tmp"):
            (root / name).mkdir(parents=True)
        shutil.copy(guest, root / "guest")
        results = [
            check("memory", coffer(binaries, *words_of(root, "memory", "-m", "128M")), MEMORY),
            check("forks", coffer(binaries, *words_of(root, "forks", "--pids-limit", "100")),
                  FORKS),
            check("threads", coffer(binaries, *words_of(root, "threads", "--pids-limit", "100")),
                  "limited\n"),
            spread(binaries, root),
            small_group(binaries, root),
        ]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
