# SPDX-License-Identifier: Apache-2.0
"""Images from and into archives, as skopeo and umoci have them.

  image_archive_test.py PROGRAMS [NAME...]
"""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

from client_box import Client, expect_equal, expect_text
from faults_box import SKIPPED, expect, run_all

OCI = "application/vnd.oci.image."
PROGRAMS = os.path.abspath(sys.argv[1])


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(files):
    """A tar of @files, name -> text."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


class Layout:
    """An OCI image layout made by hand."""

    def __init__(self, where):
        self.where, self.entries = where, []
        os.makedirs(os.path.join(where, "blobs/sha256"))
        self.write("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')

    def write(self, name, data):
        with open(os.path.join(self.where, name), "wb") as f:
            f.write(data)

    def put(self, media_type, data, **more):
        self.write("blobs/sha256/" + sha256(data)[7:], data)
        return {"mediaType": OCI + media_type, "digest": sha256(data), "size": len(data), **more}

    def document(self, media_type, content, **more):
        return self.put(media_type, json.dumps(content, indent=1).encode(), **more)

    def image(self, layers, arch="amd64", **more):
        config = self.document("config.v1+json", {
            "architecture": arch, "os": "linux", "config": {"Cmd": ["sh"]}, "x-more": [1],
            "rootfs": {"type": "layers", "diff_ids": [sha256(tar) for tar in layers]}})
        packed = [self.put("layer.v1.tar+gzip", gzip.compress(tar, mtime=0)) for tar in layers]
        return config, self.document("manifest.v1+json", {
            "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "config": config,
            "layers": packed}, platform={"os": "linux", "architecture": arch}, **more)

    def name(self, descriptor, name, **more):
        self.entries.append({**descriptor,
                             "annotations": {"org.opencontainers.image.ref.name": name, **more}})
        self.write("index.json", json.dumps({"schemaVersion": 2,
                                             "manifests": self.entries}).encode())


class Place:
    """A directory with a store of its own, and programs that work there."""

    def __init__(self):
        self.where = tempfile.mkdtemp(prefix="ca-")
        self.coffer = Client([os.path.join(PROGRAMS, "coffer")], {
            "COFFER_DATA": self.path("data"), "XDG_CONFIG_HOME": self.path("none")})
        self.skopeo = Client(["skopeo", "--insecure-policy", "--tmpdir", self.where])

    def path(self, name):
        return os.path.join(self.where, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.where)

    def image(self, name):
        return json.loads(self.coffer.do("image", "inspect", name))[0]

    def expect_clean(self):
        self.coffer.do("image", "check")
        for folder in ("parts", "leases"):
            expect_equal(os.listdir(self.path("data/images/" + folder)), [])


LAYERS = [layer({"etc/motd": "one\n", "a": "x" * 100000}), layer({"etc/motd": "two\n"}),
          layer({"b": "third"})]


def from_skopeo(_box):
    """What skopeo writes, packed or not, has the same id; a layout's digest is kept."""
    with Place() as p:
        layout = Layout(p.path("in"))
        config, manifest = layout.image(LAYERS)
        layout.name(manifest, "example.com/a:1")
        # As docker 25 has it, with only the tag in the specification's place.
        layout.name(manifest, "7", **{"io.containerd.image.name": "example.com/full:7"})
        expect_text(p.coffer.do("load", "-i", p.path("in")), "example.com/a:1", "example.com/full:7")
        expect_equal(p.image("example.com/a:1")["Id"], config["digest"])
        for kind, name in (("docker-archive", "example.com/b:2"), ("oci-archive", "example.com/c:3")):
            p.skopeo.do("copy", f"oci:{p.path('in')}:example.com/a:1",
                        f"{kind}:{p.path(kind)}:{name}")
            out = p.coffer.do("load", "-q", "-i", p.path(kind))
            expect_text(out, name)
            expect_equal(p.image(name)["Id"], config["digest"])
        # Through skopeo a layout's manifest stays what it was.
        digest = p.skopeo.do("inspect", "--format", "{{.Digest}}",
                             f"oci-archive:{p.path('oci-archive')}")
        expect_text(json.dumps(p.image("example.com/c:3")), digest)
        with open(p.path("oci-archive"), "rb") as f:
            p.coffer.do("rmi", "example.com/c:3")
            done = subprocess.run(["sh", "-c", "gzip -1 | \"$0\" load", p.coffer.command[0]],
                                  stdin=f, env=p.coffer.env, capture_output=True, check=False)
        expect(done.returncode == 0, done.stderr)
        p.image("example.com/c:3")
        p.expect_clean()


def to_skopeo(_box):
    """What we write has the digests that the store has, for skopeo and for umoci."""
    with Place() as p:
        layout = Layout(p.path("in"))
        config, manifest = layout.image(LAYERS)
        layout.name(manifest, "example.com/a:1")
        p.coffer.do("load", "-i", p.path("in"))
        for kind, source in (("oci-archive", "oci-archive:" + p.path("oci-archive")),
                             ("oci-dir", f"oci:{p.path('oci-dir')}:example.com/a:1"),
                             ("docker-archive", "docker-archive:" + p.path("docker-archive"))):
            p.coffer.do("save", "--format", kind, "-o", p.path(kind), "example.com/a:1")
            raw = p.skopeo.any("inspect", "--raw", "--config", source)
            expect_equal(sha256(raw.out.encode()), config["digest"])
            p.skopeo.do("copy", source, f"oci:{p.path('out-' + kind)}:t")
            with open(p.path(f"out-{kind}/index.json"), encoding="utf-8") as f:
                found = json.load(f)["manifests"][0]["digest"]
            # It makes an OCI manifest of its own for an archive of docker's.
            if kind != "docker-archive":
                expect_equal(found, manifest["digest"])
        Client(["umoci"]).do("unpack", "--rootless", "--image",
                             p.path("oci-dir") + ":example.com/a:1", p.path("bundle"))
        with open(p.path("bundle/rootfs/etc/motd"), encoding="ascii") as f:
            expect_equal(f.read(), "two\n")


def all_platforms(_box):
    """A whole index there and back; without one of its images it is no whole index."""
    with Place() as p, Place() as other:
        layout = Layout(p.path("in"))
        first = layout.image(LAYERS[:1])[1]
        second = layout.image(LAYERS[1:], "arm64")[1]
        index = layout.document("index.v1+json", {
            "schemaVersion": 2, "mediaType": OCI + "index.v1+json",
            "manifests": [first, second]})
        layout.name(index, "example.com/both:1")
        p.coffer.do("load", "-i", p.path("in"))
        p.coffer.do("save", "--all-platforms", "--format", "oci-archive", "-o", p.path("all"),
                    "example.com/both:1")
        other.coffer.do("load", "-i", p.path("all"))
        out = p.path("out")
        other.skopeo.do("copy", "--all", "oci-archive:" + p.path("all"), f"oci:{out}:t")
        with open(os.path.join(out, "index.json"), encoding="utf-8") as f:
            expect_equal(json.load(f)["manifests"][0]["digest"], index["digest"])
        other.expect_clean()
        # One of them alone is that one's manifest.
        other.coffer.do("save", "--platform", "linux/arm64", "--format", "oci-archive", "-o",
                        p.path("arm"), "example.com/both:1")
        raw = p.skopeo.any("inspect", "--raw", "oci-archive:" + p.path("arm")).out
        expect_equal(sha256(raw.encode()), second["digest"])
        # A layout may lack images of an index; all of it cannot be saved then.
        with Place() as third:
            os.unlink(p.path("in/blobs/sha256/" + second["digest"][7:]))
            third.coffer.do("load", "-i", p.path("in"))
            third.expect_clean()
            end = third.coffer.any("save", "--all-platforms", "--format", "oci-archive", "-o",
                                   third.path("x"), "example.com/both:1")
            expect(end.code != 0, end)
            expect_text(end.err, second["digest"], "not in the store")


def imported(_box):
    """A root's tar is an image whose layer is that tar, however it is packed."""
    with Place() as p:
        ids = set()
        for name, tool in (("plain", ["cat"]), ("gzip", ["gzip", "-n"]), ("zstd", ["zstd", "-q"]),
                           ("xz", ["xz"])):
            if not shutil.which(tool[0]):
                continue
            data = subprocess.run(tool, input=LAYERS[0], capture_output=True, check=True).stdout
            with open(p.path(name), "wb") as f:
                f.write(data)
            p.coffer.do("import", "-q", "-c", "CMD [\"sh\", \"-c\", \"true\"]", p.path(name), name)
            image = p.image(name)
            expect_equal(image["RootFS"]["Layers"], [sha256(LAYERS[0])])
            expect_equal(image["Config"]["Cmd"], ["sh", "-c", "true"])
            ids.add(image["RootFS"]["Layers"][0])
        expect_equal(len(ids), 1)
        p.expect_clean()


def main():
    missing = next((name for name in ("skopeo", "umoci") if not shutil.which(name)), None)
    if missing:
        print(f"{missing} is not installed")
        return SKIPPED
    return run_all({"from skopeo": from_skopeo, "to skopeo": to_skopeo,
                    "all platforms": all_platforms, "imported": imported}, PROGRAMS)


if __name__ == "__main__":
    sys.exit(main())
