# SPDX-License-Identifier: Apache-2.0
"""Files of a container in a machine: what it sees is what is copied, frozen and trimmed.

With --bench, the speed of copies beside that of the machine's vsock.
"""

import hashlib
import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest

from agent_client import SERVICE, Process, make_spec, pb, wait_until
from agent_files import IN, MIB, OUT, archive, entry
from vm_box import Vm

ROOTFS = "/run/container/box/rootfs"
SLOW = 120  # seconds that a busy emulated machine may take


class Box:
    """A machine with a disk, and in it a container that has the disk at /data and a tmpfs at /tmp."""

    def __init__(self, megabytes=64, *options):
        self.dir = tempfile.mkdtemp(prefix="coffer-test-")
        disk = os.path.join(self.dir, "disk")
        subprocess.run(["mke2fs", "-qq", "-t", "ext4", "-F", disk, f"{megabytes}M"], check=True)
        self.vm = Vm(f"disk={disk}", *options)
        if not self.vm.up:
            raise RuntimeError(self.vm.answer)
        self.count = 0
        self.vm.call("Mount", SLOW, type="ext4", source="/dev/vda", destination="/run/volumes/data")
        self.vm.call("Mount", SLOW, type="bind", source="/busybox", destination=ROOTFS, options=["bind"])
        spec = self.spec(["sleep", "100000"])
        self.init = Process(self.vm, "box", "box", spec, streams=())
        self.init.start()

    def spec(self, args):
        spec = make_spec(ROOTFS, args, env=["PATH=/bin:/sbin:/usr/bin:/usr/sbin"])
        spec["process"]["rlimits"] = []
        spec["mounts"] += [
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
            {"destination": "/data", "type": "bind", "source": "/run/volumes/data", "options": ["rbind"]},
        ]
        return spec

    def process(self, script, streams=("stdout", "stderr")):
        self.count += 1
        return Process(self.vm, "box", f"x{self.count}", self.spec(["sh", "-c", script]), streams)

    def sh(self, script):
        process = self.process(script)
        code, out, err = process.run()
        process.call("DeleteProcess")
        for stream in process.streams.values():
            stream.close()
        assert code == 0, f"{script}: {code}: {err}"
        return out

    def close(self):
        self.vm.close()
        shutil.rmtree(self.dir)

    # ---- calls with a connection beside them ----

    def with_stream(self, start, feed=None):
        """start(port) makes the call; what it answers, and what came over the port."""
        stream, got = self.vm.stream(), []

        def serve():
            conn = stream.accept()
            conn.settimeout(SLOW)
            if feed is None:
                while chunk := conn.recv(1 << 20):
                    got.append(chunk)
            else:
                for chunk in feed:
                    conn.sendall(chunk)
                conn.shutdown(socket.SHUT_WR)
                conn.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            reply = start(stream.port)
        finally:
            thread.join(SLOW)
            stream.close()
        return reply, got

    def copy(self, port, **fields):
        return list(self.vm.channel.unary_stream(
            SERVICE + "Copy", request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=pb.CopyResponse.FromString,
        )(pb.CopyRequest(vsock_port=port, **fields), timeout=SLOW))

    def copy_in(self, path, feed, **fields):
        return self.with_stream(lambda port: self.copy(port, direction=IN, path=path, **fields), feed)[0]

    def copy_out(self, path, **fields):
        return b"".join(self.with_stream(lambda port: self.copy(port, direction=OUT, path=path, **fields))[1])

    def put(self, path, feed):
        return self.with_stream(lambda port: self.vm.extra(
            "ArchivePut", SLOW, container_id="box", path=path, vsock_port=port, keep_owners=True), feed)[0]

    def get(self, path):
        return b"".join(self.with_stream(lambda port: self.vm.extra(
            "ArchiveGet", SLOW, container_id="box", path=path, vsock_port=port))[1])


class VmFilesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.box = Box()
        cls.addClassCleanup(cls.box.close)

    def fs(self, path, **operation):
        try:
            return "OK", self.box.vm.call("FilesystemOperation", SLOW, path=ROOTFS + path, **operation)
        except Exception as e:  # pylint: disable=broad-except
            return e.code().name, e.details()

    def freeze(self, path="/data"):
        return self.fs(path, freeze=pb.FiFreezeParams())[0]

    def thaw(self, path="/data"):
        return self.fs(path, thaw=pb.FiThawParams())[0]

    def test_freeze_holds_what_the_container_writes(self):
        box = self.box
        self.assertEqual(self.thaw(), "INTERNAL")
        self.assertEqual(self.freeze(), "OK")
        try:
            self.assertEqual(self.freeze(), "INTERNAL")
            writer = box.process("echo held > /data/held", streams=())
            writer.start()
            ended = writer.agent.future("WaitProcess", SLOW, **writer.ids)
            # The rest of the container goes on.
            box.sh("echo free > /tmp/free; cat /tmp/free")
            time.sleep(1)
            self.assertFalse(ended.done())
        finally:
            self.assertEqual(self.thaw(), "OK")
        self.assertEqual(ended.result().exitCode, 0)
        self.assertEqual(box.sh("cat /data/held"), b"held\n")

    def test_copy_waits_for_a_frozen_file_system_and_can_be_given_up(self):
        self.assertEqual(self.freeze(), "OK")
        try:
            call = self.box.vm.future("WriteFile", 2, path=ROOTFS + "/data/never", data=b"x",
                                      flags=pb.WriteFileRequest.WriteFileFlags(create_if_missing=True))
            self.assertEqual(call.exception().code().name, "DEADLINE_EXCEEDED")
            self.box.vm.extra("Heartbeat")
        finally:
            self.assertEqual(self.thaw(), "OK")

    def test_trim(self):
        self.box.sh("dd if=/dev/zero of=/data/trim bs=1M count=8 2>/dev/null; sync; rm /data/trim; sync")
        code, reply = self.fs("/data", trim=pb.FiTrimParams(one_shot=pb.FiTrimParams.OneShot()))
        if code == "OK":
            self.assertTrue(reply.HasField("trim"))
            self.assertGreater(reply.trim.trimmed_bytes, 0)
        else:
            # A disk that cannot says so.
            self.assertEqual(code, "INTERNAL")
            self.assertIn("not supported", reply)

    def test_copy_into_a_mount_of_the_container(self):
        data = os.urandom(3 * MIB)
        self.box.copy_in(ROOTFS + "/tmp/file", [data], mode=0o640)
        want = f"640 {hashlib.sha256(data).hexdigest()}  /tmp/file\n"
        self.assertEqual(self.box.sh("stat -c %a /tmp/file | tr '\\n' ' '; sha256sum /tmp/file").decode(), want)
        self.assertTrue(self.box.copy_out(ROOTFS + "/tmp/file") == data)

    def test_trees(self):
        tree = archive(entry("t", type=tarfile.DIRTYPE, mode=0o751), entry("t/file", b"in a tree", uid=7),
                       entry("t/same", type=tarfile.LNKTYPE, linkname="t/file"),
                       entry("t/link", type=tarfile.SYMTYPE, linkname="/tmp/elsewhere"))
        for place in ("/tmp", "/data"):
            self.assertEqual(self.box.put(place, [tree]).entries, 4)
            self.assertEqual(self.box.sh(f"cd {place}/t; stat -c '%a %u %h' . file; readlink link"),
                             b"751 0 2\n644 7 2\n/tmp/elsewhere\n")
            back = tarfile.open(fileobj=io.BytesIO(self.box.get(place + "/t")))
            self.assertEqual(sorted(back.getnames()), ["t", "t/file", "t/link", "t/same"])
        self.assertNotEqual(self.box.sh("ls /"), b"")

    def test_pages_of_a_copy_are_not_the_agents(self):
        # Who reads this is the copy: it is not there, or its files would count against the agent's limit.
        procs = "/sys/fs/cgroup/agent/cgroup.procs"
        self.assertTrue(wait_until(lambda: self.box.vm.status("Stat", path=procs)[0] == "OK", SLOW))
        # A copy that was given up before may still be about to end.
        self.assertTrue(wait_until(lambda: self.box.copy_out(procs) == b"1\n", SLOW))


def bench():
    box = Box(1400, "memory=512")
    chunk = os.urandom(MIB)
    try:
        def timed(what, n, work):
            start = time.monotonic()
            work()
            took = time.monotonic() - start
            print(f"{what:40} {took:7.2f} s  {n / took:9.1f} /s", flush=True)

        size = 128
        feed = lambda: (chunk for _ in range(size))

        def through_exec(command):
            process = box.process(command, streams=("stdin",))
            process.start()
            conn = process.stdin.accept()
            for part in feed():
                conn.sendall(part)
            conn.close()
            assert process.wait() == 0

        for _ in range(2):
            timed("MiB into an exec's cat > /dev/null", size, lambda: through_exec("cat > /dev/null"))
            timed("MiB copied in, tmpfs", size, lambda: box.copy_in(ROOTFS + "/tmp/f", feed()))
            timed("MiB copied out, tmpfs", size, lambda: box.copy_out(ROOTFS + "/tmp/f"))
            box.sh("rm /tmp/f")
            timed("MiB copied in, ext4", size, lambda: box.copy_in(ROOTFS + "/data/f", feed()))
            box.sh("rm /data/f")
        many = archive(*(entry(f"d{i // 100}/f{i}", b"%d" % i) for i in range(10000)))
        for place in ("/tmp", "/data"):
            timed(f"small files put, {place}", 10000, lambda: box.put(place, [many]))
            timed(f"small files got, {place}", 10000, lambda: box.get(place))
            box.sh(f"rm -rf {place}/d*")

            def through_tar():
                process = box.process(f"cd {place}; tar x", streams=("stdin",))
                process.start()
                conn = process.stdin.accept()
                conn.sendall(many)
                conn.close()
                assert process.wait() == 0

            timed(f"small files through exec tar x, {place}", 10000, through_tar)
            box.sh(f"rm -rf {place}/d*")
    finally:
        box.close()


if __name__ == "__main__":
    if "--bench" in sys.argv:
        bench()
    else:
        unittest.main()
