# SPDX-License-Identifier: Apache-2.0
"""A store of images, written by hand, and the coffer command with it.

Layers are made entry by entry, so that they may hold what no tool would put there.
"""

import gzip
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import tarfile

DIR, LINK, HARD, CHAR = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE
OCI = "application/vnd.oci.image."
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
USER, RANGE = 61234, 700000


def entry(name, data=None, **fields):
    return name, data, fields


def directory(name, **fields):
    return entry(name, type=DIR, **{"mode": 0o755, **fields})


def link(name, target):
    return entry(name, type=LINK, linkname=target, mode=0o777)


def layer(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data, fields in entries:
            info = tarfile.TarInfo(name)
            info.mtime = 1700000000
            info.size = len(data or b"")
            for key, value in fields.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data) if data else None)
    return out.getvalue()


def busybox():
    """A root that programs run in, with users and with what upper layers change."""
    with open("/bin/busybox", "rb") as f:
        binary = f.read()
    names = "sh id cat ls stat env pwd touch mkdir rm ln sleep echo chown setpriv mv grep".split()
    return layer(
        *(directory(d) for d in ("bin", "proc", "sys", "dev", "etc", "data", "lower", "lower/sub")),
        directory("tmp", mode=0o1777), directory("closed", mode=0o555), entry("closed/file", b"closed"),
        entry("bin/busybox", binary, mode=0o755), *(link("bin/" + n, "busybox") for n in names),
        entry("etc/passwd", b"root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n"),
        entry("etc/group", b"root:x:0:\nwheel:x:10:root,app\napp:x:1001:\n"),
        directory("home/app", mode=0o700, uid=1000, gid=1001), entry("gone", b"gone"),
        entry("lower/one", b"1"), entry("lower/two", b"2"), entry("lower/sub/three", b"3"),
        entry("dev/null", type=CHAR, devmajor=1, devminor=3, mode=0o666))


class Store:
    """$COFFER_DATA with the images that are put into it."""

    def __init__(self, data):
        self.data, self.dir = data, data + "/images"
        os.makedirs(self.dir + "/blobs/sha256")
        with open(self.dir + "/oci-layout", "w", encoding="ascii") as f:
            json.dump({"imageLayoutVersion": "1.0.0"}, f)
        self.write_index([])

    def write_index(self, manifests):
        with open(self.dir + "/index.json", "w", encoding="ascii") as f:
            json.dump({"schemaVersion": 2, "manifests": manifests}, f)

    def blob(self, data, kind):
        digest = hashlib.sha256(data).hexdigest()
        with open(f"{self.dir}/blobs/sha256/{digest}", "wb") as f:
            f.write(data)
        return {"mediaType": OCI + kind, "digest": "sha256:" + digest, "size": len(data)}

    def add(self, name, layers, **config):
        """layers: tars, or pairs of a tar and the blob that claims to be it"""
        pairs = [(l, gzip.compress(l, 1, mtime=0)) if isinstance(l, bytes) else l for l in layers]
        image = {"architecture": ARCH, "os": "linux", "created": "2024-01-02T03:04:05Z", "author": "me",
                 "config": config, "rootfs": {"type": "layers", "diff_ids": [
                     "sha256:" + hashlib.sha256(raw).hexdigest() for raw, _ in pairs]}}
        manifest = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
                    "config": self.blob(json.dumps(image).encode(), "config.v1+json"),
                    "layers": [self.blob(blob, "layer.v1.tar+gzip") for _, blob in pairs]}
        with open(self.dir + "/index.json", encoding="ascii") as f:
            index = json.load(f)["manifests"]
        index.append({**self.blob(json.dumps(manifest).encode(), "manifest.v1+json"), "annotations": {
            "org.opencontainers.image.ref.name": f"docker.io/library/{name}:latest"}})
        self.write_index(index)

    def read(self, digest):
        with open(f"{self.dir}/blobs/sha256/{digest.partition(':')[2]}", "rb") as f:
            return f.read()

    def find(self, name):
        """Manifest and configuration."""
        with open(self.dir + "/index.json", encoding="ascii") as f:
            found = [m for m in json.load(f)["manifests"] if m.get("annotations", {}).get(
                "org.opencontainers.image.ref.name") == f"docker.io/library/{name}:latest"]
        manifest = json.loads(self.read(found[0]["digest"]))
        return manifest, json.loads(self.read(manifest["config"]["digest"]))


class Ordinary:
    """An ordinary user, whose files in /etc are seen by its own commands alone."""

    SCRIPT = """etc=$1; user=$2; shift 2
for file in passwd group subuid subgid; do mount --bind "$etc/$file" "/etc/$file"; done
# What some runtimes refuse to see.
umount /sys/fs/cgroup/unified 2> /dev/null || true
exec setpriv --reuid "$user" --regid "$user" --init-groups --inh-caps=-all "$@"
"""

    def __init__(self, top, ranges=True):
        self.top, self.etc = top, f"{top}/etc-{ranges}"
        os.makedirs(self.etc)
        lines = {"passwd": f"ordinary:x:{USER}:{USER}::{top}:/bin/sh\n", "group": f"ordinary:x:{USER}:\n"}
        for name in ("passwd", "group", "subuid", "subgid"):
            text = ""
            if name in lines:
                with open("/etc/" + name, encoding="utf-8") as f:
                    text = f.read() + lines[name]
            elif ranges:
                text = f"ordinary:{RANGE}:65536\n"
            with open(f"{self.etc}/{name}", "w", encoding="utf-8") as f:
                f.write(text)

    def command(self, *args, **env):
        return ["unshare", "-m", "--propagation", "private", "sh", "-eu", "-c", self.SCRIPT, "sh", self.etc,
                str(USER), "env", "-i", "PATH=/usr/bin:/bin:/usr/sbin:/sbin", f"HOME={self.top}",
                *(f"{k}={v}" for k, v in env.items()), *args]


def run(args, timeout=300, **more):
    return subprocess.run(args, timeout=timeout, text=True, stdin=subprocess.DEVNULL, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)


def has(program):
    return shutil.which(program) is not None
