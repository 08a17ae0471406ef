# SPDX-License-Identifier: Apache-2.0
"""containerd checkpoints and restores its tasks with coffer-oci in runc's place, in a machine."""

import hashlib
import io
import json
import tarfile

from oci_checkpoint_box import InMachine, PAYLOAD, main

CONFIG = """
version = 2
root = "/cd/root"
state = "/cd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.devmapper"]
"""
IMAGE, CHECKPOINT = "docker.io/test/counter:1", "docker.io/test/counted:1"


class Archive:
    """A tar file in memory."""

    def __init__(self):
        self.file = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.file, mode="w")

    def add(self, name, data, mode=0o644):
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), mode
        self.tar.addfile(info, io.BytesIO(data))

    def blob(self, kind, data):
        """Named by its digest. Return: its descriptor."""
        data = data if isinstance(data, bytes) else json.dumps(data).encode()
        digest = hashlib.sha256(data).hexdigest()
        self.add("blobs/sha256/" + digest, data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "size": len(data),
                "digest": "sha256:" + digest}

    def bytes(self):
        self.tar.close()
        return self.file.getvalue()


def image():
    """The payload alone; it counts in /vol/n."""
    layer, archive = Archive(), Archive()
    with open(PAYLOAD, "rb") as f:
        layer.add("payload", f.read(), 0o755)
    layer = layer.bytes()
    config = archive.blob("config.v1+json", {
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/payload", "count", "/vol/n"]},
        "rootfs": {"type": "layers",
                   "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}})
    manifest = archive.blob("manifest.v1+json", {
        "schemaVersion": 2, "config": config,
        "layers": [archive.blob("layer.v1.tar", layer)]})
    manifest["annotations"] = {"io.containerd.image.name": IMAGE}
    archive.add("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    archive.add("index.json", json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode())
    return archive.bytes()


class Containerd(InMachine):

    PROGRAMS = ("/usr/bin/containerd", "/usr/bin/ctr", "/usr/bin/containerd-shim-runc-v2")

    @classmethod
    def fill(cls, root):
        root.write("/etc/containerd/config.toml", CONFIG)
        with open(root.path + "/image.tar", "wb") as f:
            f.write(image())

    def test_tasks(self):
        self.script(f"""
            mkdir -p /cd
            mount -t tmpfs cd /cd
            containerd >/cd/log 2>&1 &
            answers() {{ ctr version >/dev/null 2>&1; }}
            is() {{ ctr task ls | grep -q "$1.*$2"; }}
            soon answers
            ctr image import /image.tar
            how="--runtime io.containerd.runc.v2 --runc-binary /usr/bin/coffer-oci"
            vol="--mount type=bind,src=/vol,dst=/vol,options=rbind:rw"
            ctr run -d $how $vol {IMAGE} one >/dev/null 2>&1 </dev/null
            grows /vol/n 5

            # Images in a directory; the task goes on, then not.
            ctr task checkpoint --image-path /img/a one
            [ -e /img/a/inventory.img ]
            grows /vol/n $(number /vol/n)
            ctr task checkpoint --exit --image-path /img/b one
            soon is one STOPPED
            ctr task rm one >/dev/null 2>&1
            ctr container rm one

            # An image of containerd's, and a new container out of it.
            ctr run -d $how $vol {IMAGE} two >/dev/null 2>&1 </dev/null
            grows /vol/n 50
            ctr container checkpoint --task --rw --image two {CHECKPOINT} >/dev/null
            n=$(number /vol/n)
            ctr task kill -s KILL two
            soon is two STOPPED
            ctr task rm two >/dev/null 2>&1
            ctr container rm two
            rm /vol/n
            ctr container restore --live --rw three {CHECKPOINT} >/dev/null 2>&1 </dev/null &
            grows /vol/n 40
            soon is three RUNNING
            ctr task kill -s KILL three
            soon is three STOPPED
            ctr container rm three
            """)
        self.expect_nothing()


if __name__ == "__main__":
    main()
