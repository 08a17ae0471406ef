# SPDX-License-Identifier: Apache-2.0
"""An application kernel with several containers, driven by another implementation of gRPC.

The root of each container is the host's, read-only below a layer in memory, so that there is a
python to be hostile with; /shared is one directory of them all.
"""

import os
import shutil
import subprocess
import tempfile

import grpc

from agent_client import Caller, Process, Stream, make_spec

DRIVER = os.environ["COFFER_DRIVER"]
BIN = os.environ["COFFER_BIN"]
CAPS = [f"CAP_{n}" for n in """CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID NET_RAW SYS_CHROOT
SYS_PTRACE SYS_ADMIN MKNOD IPC_OWNER""".split()]


class Pod(Caller):
    """A sentry; containers are made in it by their own calls."""

    def __init__(self, *options):
        self.dir = tempfile.mkdtemp(prefix="coffer-test-")
        self.run_root = os.path.join(self.dir, "run")
        self.vm_dir = os.path.join(self.run_root, "pod", "vm")
        self.next_port = 0x10000000
        self.count = 0
        command = [DRIVER, self.run_root, "pod", "sandbox=sentry", "share-ro=/", *options]
        with open(os.path.join(self.dir, "log"), "w", encoding="utf-8") as log:
            self.driver = subprocess.Popen(command, env={**os.environ, "COFFER_BINDIR": BIN},
                                           stdin=subprocess.PIPE, text=True,
                                           stdout=subprocess.PIPE, stderr=log)
        answer = self.driver.stdout.readline().strip()
        assert answer.startswith("ready"), answer + self.log()
        self.channel = grpc.insecure_channel(f"unix:{self.vm_dir}/guest_1024")
        self.call("Mount", type="virtiofs", source="share0", destination="/mnt/host", options=["ro"])
        self.call("Mount", type="tmpfs", source="tmpfs", destination="/mnt/shared", options=["mode=1777"])
        self.pid = int(self.cost()[0].split(":")[2])

    def log(self):
        with open(os.path.join(self.dir, "log"), encoding="utf-8") as f:
            return f.read()

    def cost(self):
        self.driver.stdin.write("cost\n")
        self.driver.stdin.flush()
        words = self.driver.stdout.readline().split()
        assert words[0] == "ok", words
        return words[1:]

    def stream(self):
        self.next_port += 1
        return Stream(self.vm_dir, self.next_port)

    def new_id(self, prefix="c"):
        self.count += 1
        return f"{prefix}{self.count}"

    @staticmethod
    def spec(args, resources=None, namespaces=(), **options):
        spec = make_spec("rootfs", args, env=["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], **options)
        spec["process"]["capabilities"] = {k: CAPS for k in ("bounding", "effective", "permitted")}
        spec["mounts"] += [
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["mode=1777"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"},
            {"destination": "/shared", "type": "bind", "source": "/mnt/shared", "options": ["rbind"]},
        ]
        spec["linux"]["namespaces"] += list(namespaces)
        spec["linux"]["resources"] = resources or {}
        return spec

    def root(self, name):
        """What a container's root.path means, made before the container"""
        self.call("Mount", type="tmpfs", source="layer", destination="/mnt/layer")
        for layer in ("upper", "work"):
            self.call("Mkdir", path=f"/mnt/layer/{layer}", all=True, perms=0o755)
        self.call("Mount", type="overlay", source="overlay",
                  destination=f"/run/container/{name}/rootfs",
                  options=["lowerdir=/mnt/host,upperdir=/mnt/layer/upper,workdir=/mnt/layer/work"])
        self.call("Umount", path="/mnt/layer", flags=2)

    def container(self, args=("sleep", "100000"), streams=(), name=None, change=None, **options):
        name = name or self.new_id()
        self.root(name)
        spec = self.spec(list(args), **options)
        if change:
            change(spec)
        c = Process(self, name, name, spec, streams)
        c.name = name
        return c

    def exec(self, c, args, streams=("stdout", "stderr"), **options):
        return Process(self, c.name, self.new_id("e"), self.spec(list(args), **options), streams)

    def sh(self, c, script):
        """Return: exit code, what it wrote to both"""
        return self.ran(self.exec(c, ["sh", "-c", script]))

    @staticmethod
    def ran(p):
        code, out, err = p.run()
        p.call("DeleteProcess")
        for stream in p.streams.values():
            stream.close()
        return code, (out + err).decode(errors="replace").strip()

    def stats(self, *names):
        reply = self.call("ContainerStatistics", container_ids=names)
        return {c.container_id: c for c in reply.containers}

    def close(self):
        self.channel.close()
        self.driver.stdin.close()
        code = self.driver.wait(60)
        self.driver.stdout.close()
        left = [os.path.join(p, n) for p, d, f in os.walk(self.run_root) for n in d + f]
        log = self.log()
        shutil.rmtree(self.dir, ignore_errors=True)
        assert code == 0 and not left, (code, left, log)
