#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Unmodified programs in the application kernel: what they print is what they print on the host.

  sentry_programs_test.py PROGRAMS [CASE...]

Each case is a script of sentry_programs/, run by sh in an empty directory: on the host, and in a
container whose root is the host's, below a layer in memory. Output and exit code have to be equal,
byte for byte. A case whose program is not installed is skipped, and said so.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SCRIPTS = pathlib.Path(__file__).with_name("sentry_programs")
ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
       "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"}
# What a case needs besides the programs of any Debian.
NEEDS = {
    "busybox": ["busybox"], "gcc": ["gcc", "make"], "git": ["git"], "perl": ["perl"],
    "sqlite3": ["sqlite3"], "redis": ["redis-check-rdb", "redis-cli", "redis-benchmark"],
}


def env_of(directory):
    return ENV | {"HOME": str(directory)}


def native(script, directory):
    return subprocess.run(["sh", str(script)], cwd=directory, env=env_of(directory),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300, check=False)


def inside(coffer, script, directory):
    env = [word for key, value in env_of(directory).items() for word in ("-e", f"{key}={value}")]
    return subprocess.run([coffer, "run", "--sandbox", "sentry", "-m", "1G", "--rootfs", "/",
                           "-w", str(directory)] + env + ["--", "sh", str(script)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=600, check=False)


def show(done):
    return f"exit {done.returncode}\n" + done.stdout.decode(errors="replace")


def check(coffer, name, box):
    missing = [program for program in NEEDS.get(name, []) if not shutil.which(program)]
    if missing:
        print(f"{name}: skipped, {', '.join(missing)} not installed")
        return None
    directory = box / name
    directory.mkdir()
    script = box / f"{name}.sh"
    shutil.copy(SCRIPTS / f"{name}.sh", script)
    for extra in SCRIPTS.glob(f"{name}.[!s]*"):
        shutil.copy(extra, box)
    # The same path for both: the container writes into its own layer, and goes first.
    got = show(inside(coffer, script, directory))
    left = list(directory.iterdir())
    want = show(native(script, directory))
    if left:
        print(f"{name}: files of the container are on the host: {left}")
        return False
    if got == want:
        print(f"{name}: equal, {len(want)} bytes")
        return True
    (box / "host").write_text(want)
    (box / "container").write_text(got)
    print(f"{name}: differs", flush=True)
    subprocess.run(["diff", "-u", "host", "container"], cwd=box, check=False)
    return False


def main():
    coffer = str(pathlib.Path(sys.argv[1]).resolve() / "coffer")
    names = sys.argv[2:] or sorted(path.stem for path in SCRIPTS.glob("*.sh"))
    with tempfile.TemporaryDirectory(prefix="coffer-programs-") as box:
        os.environ["COFFER_RUN"] = os.path.join(box, "run")
        results = [check(coffer, name, pathlib.Path(box)) for name in names]
    if results.count(None) == len(results):
        return 77
    return 1 if False in results else 0


if __name__ == "__main__":
    sys.exit(main())
