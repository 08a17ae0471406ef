# SPDX-License-Identifier: Apache-2.0
"""A Debian root file system boots and runs its programs, for root and for an ordinary user.

  debootstrap_test.py PROGRAMS [NAME...]

Made once by debootstrap from the mirror this machine installs from, and kept
in $COFFER_TEST_CACHE (default: $XDG_CACHE_HOME/coffer-test, ~/.cache/coffer-test).
Skipped where that cannot be: without root, debootstrap or the mirror.
"""

import fcntl
import glob
import os
import re
import shutil
import subprocess
import sys

from faults_box import SKIPPED, Skip, expect, run_all

PROGRAMS = sys.argv[1]
USER = 65534
# Copying 300 MB into an image, booting, and programs that are slow when emulated.
LONG = 300
BOOTSTRAP = 900


def cache_dir():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("COFFER_TEST_CACHE") or os.path.join(base, "coffer-test")


def apt_sources():
    """All (mirror, suite) that apt has, in either of its formats."""
    for path in glob.glob("/etc/apt/sources.list") + glob.glob("/etc/apt/sources.list.d/*"):
        if not path.endswith((".list", ".sources")):
            continue
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read()
        yield from re.findall(r"^deb(?:\s+\[.*?\])?\s+(\S+)\s+(\S+)", text, re.M)
        for stanza in re.split(r"\n\s*\n", text):
            fields = dict(re.findall(r"^(\w[\w-]*):[ \t]*(.+)$", stanza, re.M))
            for uri in fields.get("URIs", "").split():
                for suite in fields.get("Suites", "").split():
                    yield uri, suite


def mirror():
    """Where the machine's own release comes from: (mirror, suite)."""
    with open("/etc/os-release", encoding="utf-8") as f:
        release = dict(line.strip().split("=", 1) for line in f if "=" in line)
    suite = release.get("VERSION_CODENAME", "").strip('"')
    for uri, name in apt_sources():
        if suite and name == suite:
            return uri, suite
    raise Skip("apt has no mirror of this release")


def apt_proxy():
    out = subprocess.run(["apt-config", "shell", "PROXY", "Acquire::http::Proxy"],
                         capture_output=True, text=True, check=False).stdout
    found = re.search(r"PROXY='(.*)'", out)
    return {"http_proxy": found.group(1)} if found else {}


def bootstrap(target, packages):
    uri, suite = mirror()
    if not shutil.which("debootstrap"):
        raise Skip("debootstrap is not installed")
    if os.geteuid() != 0:
        raise Skip("debootstrap needs root")
    partial = target + ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        log = subprocess.run(["debootstrap", "--variant=minbase", "--include=" + packages,
                              suite, partial, uri], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, timeout=BOOTSTRAP,
                             env={**os.environ, **apt_proxy()}, check=False)
    except subprocess.TimeoutExpired:
        raise Skip(f"debootstrap is not done after {BOOTSTRAP} s") from None
    if log.returncode:
        last = log.stdout.strip().splitlines()[-1:]
        raise Skip(f"debootstrap failed: {' '.join(last)}")
    os.rename(partial, target)


def rootfs(name="debian", packages="python3-minimal"):
    cache = cache_dir()
    os.makedirs(cache, exist_ok=True)
    target = os.path.join(cache, name)
    with open(os.path.join(cache, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(target):
            bootstrap(target, packages)
    return target


def expect_output(end, pattern):
    expect(end.code == 0 and re.search(pattern, end.out), f"'{pattern}' was expected: {end}")


def check_programs(box, root, **who):
    end = box.run("--rootfs", root, "--", "python3", "-c", "print(6*7)", within=LONG, **who)
    expect_output(end, r"^42\n$")
    end = box.run("--rootfs", root, "--", "apt", "list", within=LONG, **who)
    expect_output(end, r"(?m)^apt/.*installed")
    expect_output(end, r"(?m)^python3-minimal/.*installed")
    box.expect_clean()


def as_root(box):
    root = rootfs()
    check_programs(box, root)
    end = box.run("--rootfs", root, "--", "sh", "-c",
                  "id -un; stat -c %u:%g /etc/shadow; echo x >/new && cat /new", within=LONG)
    expect_output(end, r"^root\n0:42\nx\n$")
    expect(not os.path.exists(os.path.join(root, "new")), "the directory was written to")
    box.expect_clean()


def own_copy(root, target):
    """What an ordinary user would have: the tree, with all files its own and no devices."""
    subprocess.run(["cp", "-a", "--no-preserve=ownership", root, target], check=True)
    subprocess.run(["find", target, "(", "-type", "b", "-o", "-type", "c", ")", "-delete"],
                   check=True)
    subprocess.run(["chown", "-R", "--no-dereference", f"{USER}:{USER}", target], check=True)


def as_user(box):
    root = rootfs()
    if os.geteuid() != 0:
        check_programs(box, root)
        return
    home = os.path.join(box.dir, "home")
    os.mkdir(home)
    own_copy(root, os.path.join(home, "debian"))
    box.share_programs()
    subprocess.run(["chown", "-R", "--no-dereference", f"{USER}:{USER}", home], check=True)
    box.run_dir, box.data_dir = os.path.join(home, "run"), os.path.join(home, "data")
    box.env |= {"HOME": home, "COFFER_RUN": box.run_dir, "COFFER_DATA": box.data_dir}
    check_programs(box, os.path.join(home, "debian"), user=USER, group=USER, extra_groups=[])


TESTS = {f.__name__.replace("_", " "): f for f in (as_root, as_user)}


def main():
    try:
        rootfs()
    except Skip as e:
        print(e)
        return SKIPPED
    return run_all(TESTS, PROGRAMS, jobs=1)


if __name__ == "__main__":
    sys.exit(main())
