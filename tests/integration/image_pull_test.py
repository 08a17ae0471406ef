# SPDX-License-Identifier: Apache-2.0
"""Images pulled, built, pushed back: by the command, of Debian's registry and of one that a test
holds up, cuts off and has tell lies.
"""

import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time

from faults_box import wait_until
from registry_box import MANIFEST, Image, case, expect, main, sha256

INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
FSCK = shutil.which("e2fsck", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
DEBUGFS = shutil.which("debugfs", path=os.environ["PATH"] + ":/usr/sbin:/sbin")


class Coffer:
    """The command with a store of its own."""

    def __init__(self, path):
        os.makedirs(path)
        self.data, self.store = f"{path}/data", f"{path}/data/images"
        self.env = dict(os.environ, HOME=path, COFFER_DATA=self.data, XDG_CONFIG_HOME=path,
                        COFFER_REGISTRIES=f"{path}/registries.json",
                        REGISTRY_AUTH_FILE=f"{path}/auth.json")
        for name in ("registries.json", "auth.json"):
            with open(f"{path}/{name}", "w") as f:
                f.write("{}")

    def start(self, *args):
        return subprocess.Popen([os.environ["COFFER_BIN"] + "/coffer", *args], env=self.env,
                                text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *args):
        p = self.start(*args)
        out, err = p.communicate(timeout=300)
        return p.returncode, out, err

    def ok(self, *args):
        code, out, err = self.run(*args)
        expect(code == 0, args, code, out, err)
        return out

    def fails(self, *args):
        code, out, err = self.run(*args)
        expect(code != 0, args, "worked:", out)
        return err

    def inspect(self, name, *args):
        return json.loads(self.ok("inspect", "--type", "image", *args, name))[0]

    def rows(self):
        return [json.loads(line) for line in
                self.ok("images", "--no-trunc", "--format", "json").splitlines()]

    def check(self):
        self.ok("image", "check")

    def listdir(self, name):
        path = f"{self.store}/{name}"
        return sorted(os.listdir(path)) if os.path.isdir(path) else []

    def has(self, digest):
        return digest[7:] in self.listdir("blobs/sha256")

    def root(self, name, *args):
        """Its root's path, once it was looked at."""
        path = self.inspect(name, *args)["Rootfs"]
        r = subprocess.run([FSCK, "-fn", path], capture_output=True, text=True)
        expect(r.returncode == 0, r.stdout, r.stderr)
        return path


def cat(root, path):
    return subprocess.run([DEBUGFS, "-R", f"cat {path}", root], capture_output=True).stdout


def layer(*entries):
    """A tar of files (name, text) and directories (name, None)."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if data is None:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return raw.getvalue()


class Made(Image):
    """An image of given layers, for some processor."""

    def __init__(self, *raws, arch="amd64", ids=None):
        super().__init__()
        self.blobs = {}
        self.layers = [self.add(gzip.compress(raw, 1, mtime=0), LAYER) for raw in raws]
        ids = ids or [sha256(raw) for raw in raws]
        self.config = self.add(json.dumps({
            "architecture": arch, "os": "linux", "config": {"Cmd": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": ids}}).encode(), CONFIG)
        self.manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST,
                                    "config": self.config, "layers": self.layers}).encode()
        self.digest = sha256(self.manifest)
        self.arch = arch

    @property
    def id(self):
        return self.config["digest"]


def write_index(path, images, tag="t"):
    """An OCI layout of an index. Returns its digest."""
    os.makedirs(f"{path}/blobs/sha256")
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        {"mediaType": MANIFEST, "digest": i.digest, "size": len(i.manifest),
         "platform": {"os": "linux", "architecture": i.arch}} for i in images]}).encode()
    blobs = {sha256(index): index}
    for i in images:
        blobs.update(i.blobs)
        blobs[i.digest] = i.manifest
    for digest, data in blobs.items():
        with open(f"{path}/blobs/sha256/{digest[7:]}", "wb") as f:
            f.write(data)
    with open(f"{path}/oci-layout", "w") as f:
        f.write('{"imageLayoutVersion":"1.0.0"}')
    with open(f"{path}/index.json", "w") as f:
        json.dump({"schemaVersion": 2, "manifests": [{
            "mediaType": INDEX, "digest": sha256(index), "size": len(index),
            "annotations": {"org.opencontainers.image.ref.name": tag}}]}, f)
    return sha256(index)


def skopeo(*args):
    r = subprocess.run(["skopeo", "--insecure-policy", *args], capture_output=True)
    expect(r.returncode == 0, args, r.stderr.decode())
    return r.stdout


def raw_digest(name):
    return sha256(skopeo("inspect", "--raw", "--tls-verify=false", "docker://" + name))


# --- Debian's registry, and skopeo ---

@case
def there_and_back(box):
    """An index of two processors: one pulled, then all, pushed to another registry, digests equal."""
    registry, other, coffer = box.debian(), box.debian(), Coffer(box.path("coffer"))
    base = layer(("etc", None), ("etc/motd", b"base"), ("etc/gone", b"x"))
    intel = Made(base, layer(("etc/motd", b"intel"), ("etc/.wh.gone", b"")))
    arm = Made(base, layer(("etc/motd", b"arm")), arch="arm64")
    digest = write_index(f"{box.dir}/layout", [intel, arm])
    skopeo("copy", "--all", "--dest-tls-verify=false", f"oci:{box.dir}/layout:t",
           f"docker://{registry.host}/a/b:t")
    name, there = f"{registry.host}/a/b:t", f"{other.host}/c/d:t"

    coffer.ok("pull", name)
    expect(coffer.inspect(name)["Id"] == intel.id, "another image")
    expect(coffer.inspect(name)["Digest"] == digest, "another digest")
    expect(not coffer.has(arm.digest), "what nobody asked for came, too")
    root = coffer.root(name)
    expect(cat(root, "/etc/motd") == b"intel", "motd")
    expect(cat(root, "/etc/gone") == b"", "a whiteout did nothing")

    coffer.ok("tag", name, there)
    err = coffer.fails("push", there)
    expect("linux/arm64" in err and arm.digest in err and there in err, err)
    coffer.ok("push", "--platform", "linux/amd64", there)
    expect(raw_digest(there) == intel.digest, "another manifest")

    coffer.ok("pull", "--platform", "linux/arm64", name)
    expect(coffer.inspect(name, "--platform", "linux/arm64")["Id"] == arm.id, "another image")
    expect(cat(coffer.root(name, "--platform", "linux/arm64"), "/etc/motd") == b"arm", "motd")
    coffer.ok("push", there)
    expect(raw_digest(there) == digest, "another index")
    skopeo("copy", "--all", "--src-tls-verify=false", f"docker://{there}",
           f"oci:{box.dir}/back:t")
    for blob, data in dict(intel.blobs, **arm.blobs).items():
        with open(f"{box.dir}/back/blobs/sha256/{blob[7:]}", "rb") as f:
            expect(f.read() == data, blob)
    coffer.check()

    all_of_it = Coffer(box.path("coffer"))
    all_of_it.ok("pull", "--all-platforms", name)
    expect(all_of_it.has(arm.digest) and all_of_it.has(intel.digest), "not all platforms")
    expect(len(all_of_it.listdir("roots")) == 1, "built what nobody asked for")
    expect("nothing for linux/s390x" in coffer.fails("pull", "--platform", "linux/s390x", name),
           "an image for nobody")
    expect("not there" in coffer.fails("pull", f"{registry.host}/a/b:none"), "no such tag")


@case
def by_digest(box):
    """Of a digest that is here nobody is asked."""
    image = Made(layer(("a", b"1")))
    fake, coffer = box.fake(image), Coffer(box.path("coffer"))
    name = f"{fake.host}/a/b@{image.digest}"
    coffer.ok("pull", name)
    del fake.log[:]
    coffer.ok("pull", name)
    expect(fake.log == [], fake.log)
    expect(coffer.inspect(name)["Id"] == image.id, "another image")
    expect(coffer.inspect(image.id)["RepoTags"] == [], "a tag that nobody gave")
    expect(coffer.inspect(image.id)["RepoDigests"] == [name], "its name")


# --- what is asked for, and when ---

@case
def unchanged(box):
    """The second pull is one request; a tag that moved fetches only what is new."""
    base = layer(("a", b"1"))
    image = Made(base)
    fake, coffer = box.fake(image), Coffer(box.path("coffer"))
    name = f"{fake.host}/a/b:t"
    coffer.ok("pull", name)
    del fake.log[:]
    coffer.ok("pull", name)
    expect([e[:2] for e in fake.log] == [("HEAD", "/v2/a/b/manifests/t")], fake.log)

    fake.image = moved = Made(base, layer(("b", b"2")))
    del fake.log[:]
    coffer.ok("pull", name)
    asked = [e[1].split("/")[-1] for e in fake.log]
    expect(moved.layers[1]["digest"] in asked and moved.layers[0]["digest"] not in asked, asked)
    expect(coffer.inspect(name)["Id"] == moved.id, "another image")
    coffer.ok("image", "prune", "--force")
    expect(not coffer.has(image.digest) and coffer.has(moved.digest), "not what was left")
    coffer.check()


@case
def healed(box):
    """What somebody has taken out of the store comes back."""
    image = Made(layer(("a", b"1")), layer(("b", b"2")))
    fake, coffer = box.fake(image), Coffer(box.path("coffer"))
    name = f"{fake.host}/a/b:t"
    coffer.ok("pull", name)
    os.unlink(f"{coffer.store}/blobs/sha256/{image.layers[1]['digest'][7:]}")
    expect(image.layers[1]["digest"] in "".join(map(str, coffer.run("image", "check"))), "not missed")
    coffer.ok("pull", name)
    coffer.check()
    expect(len(fake.asked("GET", image.layers[0]["digest"])) == 1, "also what was there")


@case
def built_meanwhile(box):
    """The first layers are built into the root while the last one is on its way."""
    image = Made(layer(("a", os.urandom(3 << 20))), layer(("b", b"2")))
    fake, coffer = box.fake(image), Coffer(box.path("coffer"))
    last, seen = image.layers[1]["digest"], []

    @fake.rule("GET", last)
    def hold(q):
        until = time.monotonic() + 60
        while time.monotonic() < until and not seen:
            for part in coffer.listdir("parts"):
                if part.startswith("root-"):
                    try:
                        used = os.stat(f"{coffer.store}/parts/{part}").st_blocks
                    except FileNotFoundError:
                        continue
                    if used * 512 > 1 << 20:
                        seen.append(used)
            time.sleep(0.01)
        return False

    coffer.ok("pull", f"{fake.host}/a/b:t")
    expect(seen, "nothing was built before the last layer came")
    expect(cat(coffer.root(f"{fake.host}/a/b:t"), "/b") == b"2", "the last layer")


@case
def many_at_once(box):
    """Pulls of images that share layers: all right, each blob fetched once."""
    shared = [layer((f"s{n}", os.urandom(200000))) for n in range(3)]
    images = {f"t{n}": Made(*shared, layer((f"own{n}", b"%d" % n))) for n in range(3)}
    images["t3"] = Made(*reversed(shared))
    fake, coffer = box.fake(), Coffer(box.path("coffer"))
    by_digest = {i.digest: i for i in images.values()}
    blobs = {d: data for i in images.values() for d, data in i.blobs.items()}

    @fake.rule("GET|HEAD", "/v2/")
    def any_of_them(q):
        word = q.path.split("/")[-1]
        image = images.get(word) or by_digest.get(word)
        if image:
            q.reply(200, image.manifest, Content_Type=MANIFEST,
                    Docker_Content_Digest=image.digest)
        else:
            q.reply(200, blobs[word])

    pulls = [coffer.start("pull", "-q", f"{fake.host}/a/b:{tag}") for tag in list(images) * 2]
    for p in pulls:
        out, err = p.communicate(timeout=300)
        expect(p.returncode == 0, err)
    for digest in blobs:
        expect(len(fake.asked("GET", digest)) == 1, digest, len(fake.asked("GET", digest)))
    expect(len(coffer.listdir("roots")) == 4, coffer.listdir("roots"))
    expect(coffer.listdir("parts") == [], coffer.listdir("parts"))
    for tag, image in images.items():
        expect(coffer.inspect(f"{fake.host}/a/b:{tag}")["Id"] == image.id, tag)
    coffer.check()


@case
def pruned_meanwhile(box):
    """Who prunes takes nothing of a pull, and of what is in use, away."""
    image = Made(*[layer((f"f{n}", os.urandom(20000))) for n in range(4)])
    fake, coffer = box.fake(image), Coffer(box.path("coffer"))
    names = [f"{fake.host}/a/b{n}:t" for n in range(3)]
    for _ in range(4):
        pulls = [coffer.start("pull", "-q", name) for name in names]
        while any(p.poll() is None for p in pulls):
            coffer.ok("image", "prune", "--force")
        for p, name in zip(pulls, names):
            _, err = p.communicate()
            expect(p.returncode == 0, err)
            expect(coffer.inspect(name)["Rootfs"], "no root")
        for name in names:
            coffer.ok("rmi", name)
        expect(coffer.listdir("blobs/sha256") == [], coffer.listdir("blobs/sha256"))
    coffer.check()


# --- broken off ---

@case
def killed(box):
    """SIGKILL at any moment: the store is clean, and the next pull goes on."""
    image = Made(*[layer((f"f{n}", os.urandom(400000))) for n in range(3)])
    fake, coffer = box.fake(image), Coffer(box.path("coffer"))
    name, over = f"{fake.host}/a/b:t", threading.Event()

    @fake.rule("GET", "/blobs/")
    def slowly(q):
        blob = image.blobs[q.path.split("/")[-1]]
        first = int(q.headers.get("Range", "bytes=0-")[6:-1])
        q.send_response(206 if first else 200)
        if first:
            q.send_header("Content-Range", f"bytes {first}-{len(blob) - 1}/{len(blob)}")
        q.send_header("Content-Length", str(len(blob) - first))
        q.end_headers()
        for at in range(first, len(blob), 3000):
            if at + 3000 >= len(blob):  # none comes to its end before it is killed
                over.wait(60)
            q.wfile.write(blob[at:at + 3000])
            q.wfile.flush()
            time.sleep(0.01)

    for n in range(12):
        p = coffer.start("pull", "-q", name)
        time.sleep(0.02 + 0.017 * n)
        if n == 11:  # on a slow machine none of those before came that far
            expect(wait_until(lambda: kept(coffer, image), 60), "nothing of it is kept")
        p.send_signal(signal.SIGKILL)
        p.communicate()
        if os.path.isdir(coffer.store):
            coffer.check()
            expect(fake.host not in json.dumps(coffer.rows()), coffer.rows())
        expect(p.returncode == -signal.SIGKILL, "it came too late", n)
    over.set()
    coffer.ok("pull", name)
    expect(any(e[2].get("Range") for e in fake.log), "nothing was gone on with")
    expect(coffer.inspect(name)["Id"] == image.id, "another image")
    coffer.root(name)
    coffer.check()
    expect(coffer.listdir("parts") == [], coffer.listdir("parts"))
    coffer.ok("image", "prune", "--force")
    expect(coffer.listdir("leases") == [], coffer.listdir("leases"))


def kept(coffer, image):
    """Whether some of the first layer is there."""
    return any(os.path.getsize(f"{coffer.store}/parts/{part}") for part in coffer.listdir("parts")
               if image.layers[0]["digest"][7:] in part)


@case
def interrupted(box):
    """Ctrl-C: it says so, at once, and leaves what the next one can use."""
    image = Made(layer(("f", os.urandom(300000))))
    fake, coffer = box.fake(image), Coffer(box.path("coffer"))
    begun, over = threading.Event(), threading.Event()

    @fake.rule("GET", image.layers[0]["digest"], times=1)
    def stall(q):
        blob = image.blobs[image.layers[0]["digest"]]
        q.send_response(200)
        q.send_header("Content-Length", str(len(blob)))
        q.end_headers()
        q.wfile.write(blob[:150000])
        q.wfile.flush()
        begun.set()
        over.wait(60)
        q.cut()

    p = coffer.start("pull", f"{fake.host}/a/b:t")
    expect(begun.wait(60), "nothing was asked for")
    expect(wait_until(lambda: kept(coffer, image), 60), "nothing of it is kept")
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=60)
    over.set()
    expect(p.returncode not in (0, -signal.SIGKILL), p.returncode)
    coffer.check()
    expect(coffer.listdir("roots") == [], "half a root")
    coffer.ok("pull", f"{fake.host}/a/b:t")
    ranges = [e[2].get("Range") for e in fake.asked("GET", image.layers[0]["digest"])]
    expect(len(ranges) == 2 and ranges[1], ranges)


# --- refused ---

def refused(box, image, *words):
    """The error has these words; nothing of the image stays."""
    fake, coffer = box.fake(image), Coffer(box.path("coffer"))
    err = coffer.fails("pull", "-q", f"{fake.host}/a/b:t")
    for word in (fake.host, *words):
        expect(word in err, f"{word!r} is not in {err!r}")
    for name in ("blobs/sha256", "roots", "parts"):
        expect(coffer.listdir(name) == [], name, coffer.listdir(name), err)
    coffer.check()


@case
def wrong_diff_id(box):
    lie = sha256(b"something else")
    image = Made(layer(("a", b"1")), layer(("b", b"2")), ids=[sha256(layer(("a", b"1"))), lie])
    refused(box, image, image.layers[1]["digest"], lie)


@case
def wrong_count(box):
    image = Made(layer(("a", b"1")), ids=[sha256(b"1"), sha256(b"2")])
    refused(box, image, image.id, "2 layers, the manifest 1")


@case
def entry_outside(box):
    raw = layer(("../../etc/evil", b"1"))
    image = Made(raw)
    refused(box, image, image.layers[0]["digest"], "../../etc/evil")


@case
def not_an_archive(box):
    image = Made(b"this is no tar" * 1000)
    refused(box, image, image.layers[0]["digest"])


@case
def unknown_layer(box):
    image = Made(layer(("a", b"1")))
    text = image.manifest.replace(LAYER.encode(), b"application/vnd.example.layer")
    image.manifest, image.digest = text, sha256(text)
    refused(box, image, image.digest, "application/vnd.example.layer")


@case
def thousandfold(box):
    """Indices that each name the next one a thousand times: each is followed once."""
    image = Made(layer(("a", b"1")))
    fake, coffer = box.fake(image), Coffer(box.path("coffer"))
    texts, below = {image.digest: (MANIFEST, image.manifest)}, (MANIFEST, image.manifest)
    for _ in range(3):
        entry = {"mediaType": below[0], "digest": sha256(below[1]), "size": len(below[1])}
        below = (INDEX, json.dumps({"schemaVersion": 2, "mediaType": INDEX,
                                    "manifests": [entry] * 1000}).encode())
        texts[sha256(below[1])] = below

    @fake.rule("GET|HEAD", "/manifests/")
    def any_of_them(q):
        media_type, text = texts.get(q.path.split("/")[-1], below)
        q.reply(200, text, Content_Type=media_type, Docker_Content_Digest=sha256(text))

    coffer.ok("pull", "-q", "--all-platforms", f"{fake.host}/a/b:t")
    expect(len(fake.asked("GET", "/manifests/")) == 4, len(fake.log))
    expect(coffer.inspect(f"{fake.host}/a/b:t")["Id"] == image.id, "another image")


@case
def wrong_platform(box):
    """An image without an index says only in its configuration what it is for."""
    image = Made(layer(("a", b"1")), arch="s390x")
    fake, coffer = box.fake(image), Coffer(box.path("coffer"))
    err = coffer.fails("pull", "--platform", "linux/amd64", f"{fake.host}/a/b:t")
    expect("nothing for linux/amd64; there is linux/s390x" in err, err)


if __name__ == "__main__":
    if not FSCK or not DEBUGFS:
        print("skipped: needs e2fsck and debugfs")
        sys.exit(77)
    sys.exit(main("docker-registry", "skopeo", "openssl"))
