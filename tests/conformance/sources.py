# SPDX-License-Identifier: Apache-2.0
"""The suites that others wrote: fetched from Debian's source packages, unpacked, made runnable.

Only the packages are kept, in $COFFER_TEST_CACHE (default: $XDG_CACHE_HOME/coffer-test,
~/.cache/coffer-test).  apt gets lists and directories of its own, so that the machine's are not
changed.
"""
import contextlib
import fcntl
import glob
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
PACKAGES = {"crun": "1.8.1", "runc": "1.1.5"}
# What the suites' own build would have found out.
CRUN_CONFIG = "#define HAVE_ERROR_H 1\n#define HAVE_SECCOMP 1\n"
# In place of the scripts that download images and of the Go programs.
GET_IMAGES = """#!/bin/sh
echo BUSYBOX_IMAGE={images}/busybox.tar
echo DEBIAN_IMAGE={images}/debian.tar
"""


def cache():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = pathlib.Path(os.environ.get("COFFER_TEST_CACHE") or os.path.join(base, "coffer-test"))
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def locked(path):
    with open(path, "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def apt_sources():
    """Lines for a sources.list: the source packages of wherever apt gets its packages from."""
    for path in glob.glob("/etc/apt/sources.list.d/*.sources"):
        text = pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
        for stanza in text.split("\n\n"):
            fields = dict(line.split(":", 1) for line in stanza.splitlines()
                          if ":" in line and line[0] not in "# \t")
            fields = {name: value.strip() for name, value in fields.items()}
            if "deb" not in fields.get("Types", "").split():
                continue
            signed = fields.get("Signed-By", "")
            option = f" [signed-by={signed}]" if signed.startswith("/") else ""
            for uri in fields["URIs"].split():
                for suite in fields["Suites"].split():
                    yield f"deb-src{option} {uri} {suite} {fields.get('Components', '')}"
    for path in ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*.list")]:
        if os.path.exists(path):
            for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
                if line.startswith("deb "):
                    yield "deb-src" + line[3:]


def fetch():
    """The .dsc of every package, by name."""
    store = cache() / "sources"
    store.mkdir(exist_ok=True)
    found = {name: next(store.glob(f"{name}_{version}*.dsc"), None)
             for name, version in PACKAGES.items()}
    if all(found.values()):
        return found
    apt = cache() / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    (apt / "sources.list").write_text("\n".join(apt_sources()) + "\n")
    options = ["-q", "-o", f"Dir::Etc::sourcelist={apt}/sources.list",
               "-o", "Dir::Etc::sourceparts=/dev/null", "-o", f"Dir::State::lists={apt}/lists",
               "-o", f"Dir::Cache={apt}/cache", "-o", "APT::Sandbox::User=root"]
    subprocess.run(["apt-get", *options, "update"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["apt-get", *options, "source", "--download-only", *PACKAGES], check=True,
                   cwd=store, stdout=subprocess.DEVNULL)
    shutil.rmtree(apt)
    for name, version in PACKAGES.items():
        found[name] = next(store.glob(f"{name}_{version}*.dsc"), None)
        if not found[name]:
            sys.exit(f"Debian's {name} is no longer {version}")
    return found


def unpack(dsc, target):
    subprocess.run(["dpkg-source", "--no-check", "-x", dsc, target], check=True,
                   stdout=subprocess.DEVNULL)


def prepare_crun(dsc, box):
    """Returns the directory to run in."""
    top = box / "crun"
    unpack(dsc, top)
    (top / "config.h").write_text(CRUN_CONFIG)
    subprocess.run(["cc", "-O1", "-w", "-static", "-D_GNU_SOURCE", f"-I{top}", "-o",
                    top / "tests/init", top / "tests/init.c", "-lseccomp"], check=True)
    return top


def busybox_image(target):
    """What the image of that name holds: every applet, users, few directories."""
    tree = target.with_suffix("")
    for name in ("bin", "dev", "etc", "home", "root", "tmp", "usr/sbin", "var/spool/mail",
                 "var/www"):
        (tree / name).mkdir(parents=True)
    (tree / "tmp").chmod(0o1777)
    (tree / "root").chmod(0o700)
    shutil.copy(shutil.which("busybox"), tree / "bin/busybox")
    applets = subprocess.run(["busybox", "--list"], check=True, capture_output=True, text=True)
    for name in applets.stdout.split():
        if name != "busybox":
            os.link(tree / "bin/busybox", tree / "bin" / name)
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n"
                                     "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
                                     "nobody:x:65534:65534:nobody:/home:/bin/false\n")
    (tree / "etc/group").write_text("root:x:0:\ndaemon:x:1:\nusers:x:100:\nnogroup:x:65534:\n")
    subprocess.run(["tar", "-C", tree, "-cf", target, "."], check=True)
    shutil.rmtree(tree)


def debian_image(target):
    """The Debian tree that other tests boot from, without what apt left in it."""
    from debootstrap_test import rootfs
    subprocess.run(["tar", "-C", rootfs(), "--exclude=./dev/*", "--exclude=./var/cache/apt/*",
                    "--exclude=./var/lib/apt/lists/*", "--exclude=./usr/share/doc/*",
                    "--exclude=./usr/share/locale/*", "-cf", target, "."], check=True)


def prepare_runc(dsc, box):
    top, images = box / "runc", box / "images"
    unpack(dsc, top)
    images.mkdir()
    busybox_image(images / "busybox.tar")
    script = top / "tests/integration/get-images.sh"
    script.write_text(GET_IMAGES.format(images=images))
    script.chmod(0o755)
    subprocess.run(["cc", "-O2", "-Wall", "-o", top / "contrib/cmd/recvtty/recvtty",
                    HERE / "recvtty.c"], check=True)
    return top
