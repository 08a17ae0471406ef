# SPDX-License-Identifier: Apache-2.0
"""The agent's tests of copies and archives, of an application kernel: it serves the same contract.

Both sides see the containers' roots at the same paths: in a mount namespace of this test's own, /run
is a directory of its own, which the sentry gets as a share and mounts at /run as well.
"""

import ctypes
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import grpc

import agent_client
from agent_client import EXTRAS, SERVICE, Caller, Stream, ax, pb

DRIVER = os.environ["COFFER_DRIVER"]
BIN = os.environ["COFFER_BIN"]
CLONE_NEWNS = 0x00020000


class Sentry(Caller):
    """What agent_client.Agent is, with a sentry behind it."""

    last = None

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="coffer-test-", dir="/run")
        self.root = "/run/container"
        os.makedirs(self.root, exist_ok=True)
        run = os.path.join(self.dir, "run")
        self.vm_dir = os.path.join(run, "pod", "vm")
        self.next_port = 0x10000000
        self.lock = threading.Lock()
        with open(os.path.join(self.dir, "log"), "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [DRIVER, run, "pod", "sandbox=sentry", "share=/run"],
                env={**os.environ, "COFFER_BINDIR": BIN}, stdin=subprocess.PIPE, text=True,
                stdout=subprocess.PIPE, stderr=log)
        answer = self.process.stdout.readline()
        assert answer.startswith("ready"), answer + self.log()
        self.channel = grpc.insecure_channel(f"unix:{self.vm_dir}/guest_1024")
        self.call("Mount", type="virtiofs", source="share0", destination="/run")
        Sentry.last = self

    def stream(self):
        with self.lock:
            self.next_port += 1
            return Stream(self.vm_dir, self.next_port)

    def log(self):
        with open(os.path.join(self.dir, "log"), encoding="utf-8") as f:
            return f.read()

    def close(self):
        self.channel.close()
        self.process.stdin.close()
        code = self.process.wait(60)
        self.process.stdout.close()
        assert code == 0, f"it ended with {code}: {self.log()}"
        subprocess.run(["rm", "-rf", self.root], check=True)


def own_run():
    """A /run of our own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) < 0:
        print(f"a mount namespace: {os.strerror(ctypes.get_errno())}: skipped")
        sys.exit(77)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)


def make_rootfs(directory, plain=agent_client.make_rootfs):
    """A root has to be one of a mount here, as it always is in a machine."""
    plain(directory)
    Sentry.last.call("Mount", type="bind", source=directory, destination=directory, options=["bind"])
    return directory


own_run()
agent_client.Agent = Sentry
agent_client.make_rootfs = make_rootfs
import agent_archive_test as archives  # noqa: E402  they take Agent when they are read
import agent_files_test as files  # noqa: E402


class CopyTest(files.CopyTest):
    def workers(self):
        return []

    def test_cancel_ends_the_work(self):
        place = self.new()
        files.write(place + "/big", bytes(8 << 20))
        for fields in ({"direction": files.OUT, "path": place + "/big"},
                       {"direction": files.IN, "path": place + "/new"},
                       {"direction": files.IN, "path": place + "/tree", "is_archive": True}):
            stream = self.agent.stream()
            call = self.copy_call(stream.port, **fields)
            conn = stream.accept()
            call.cancel()
            while conn.recv(1 << 20):
                pass
            stream.close()


class StreamTest(files.StreamTest):
    def test_cancel(self):
        place = self.new()
        stop = threading.Event()

        def chunks():
            yield files.field(1, files.field(1, (place + "/f").encode()))
            while not stop.is_set():
                yield files.field(2, b"x" * 1000)
                time.sleep(0.01)

        call = self.agent.channel.stream_unary(SERVICE + "CopyIn").future(chunks())
        self.assertTrue(files.wait_until(lambda: os.path.exists(place + "/f")))
        call.cancel()
        stop.set()
        # Nobody holds it any more: its container can go.
        self.assertEqual(self.agent.call("Stat", path=place + "/f").error, "")


class OtherTest(files.OtherTest):
    def test_filesystem_operation_statuses(self):
        for operation in ({"freeze": pb.FiFreezeParams()}, {"thaw": pb.FiThawParams()},
                          {"trim": pb.FiTrimParams(one_shot=pb.FiTrimParams.OneShot())}):
            code, text = self.agent.status("FilesystemOperation", path=self.path("/mnt"), **operation)
            self.assertEqual(code, "UNIMPLEMENTED")
            self.assertIn("no disks to freeze", text)

    def test_what_only_a_machine_has(self):
        for method, fields, why in (
                ("IpAddrAdd", {"interface": "eth0", "ipv4Address": "192.0.2.1/24"}, "set up for it on the host"),
                ("IpRouteAddLink", {"interface": "eth0", "dstIpv4Addr": "192.0.2.0/24"}, "set up for it on the host"),
                ("IpRouteAddDefault", {"interface": "eth0", "ipv4Gateway": "192.0.2.1"}, "set up for it on the host"),
                ("IpLinkSet", {"interface": "eth0", "up": True}, "set up for it on the host"),
                ("SetupEmulator", {"name": "qemu"}, "only a virtual machine runs them"),
                ("Sysctl", {"settings": {"vm.swappiness": "1"}}, "settings are a container's")):
            code, text = self.agent.status(method, **fields)
            self.assertEqual((method, code), (method, "UNIMPLEMENTED"))
            self.assertIn(why, text)

    def test_every_method_has_an_answer_of_its_own(self):
        for service, module in ((SERVICE, pb), (EXTRAS, ax)):
            for method in next(iter(module.DESCRIPTOR.services_by_name.values())).methods:
                call = self.agent.channel.unary_stream(service + method.name)
                try:
                    for _ in call(b"\xff", timeout=60):
                        break
                except grpc.RpcError as e:
                    self.assertNotEqual((method.name, e.code().name), (method.name, "UNIMPLEMENTED"))


class ArchiveTest(archives.ArchiveTest):
    """But for what only the host's root gives to a file of the host, and for holes."""

    def make_everything(self, place):
        super().make_everything(place)
        for name in ("/dev", "/sparse", "/hole"):
            os.unlink(place + name)
        os.removexattr(place + "/nothing", "security.capability")

    def test_others_read_what_we_write(self):
        source = self.new()
        self.make_everything(source)
        base = os.path.basename(source)
        data = self.get(self.inner(source)).data
        target = tempfile.mkdtemp(dir="/run")
        subprocess.run(["tar", "--xattrs", "--xattrs-include=*", "-xpf", "-", "-C", target], input=data, check=True)
        self.assertEqual(self.describe(f"{target}/{base}"), self.describe(source))

    def test_devices_and_fifos_are_made_and_never_opened(self):
        self.assertPut(self.put("/mnt", archives.archive(
            archives.entry("n", type=archives.DIR, mode=0o755),
            archives.entry("n/fifo", type=archives.FIFO, mode=0o600),
            archives.entry("n/zero", type=archives.CHAR, mode=0o666, devmajor=1, devminor=5))))
        self.assertEqual(self.sh("cd /mnt/n; stat -c '%n %F %t,%T' *"),
                         b"fifo fifo 0,0\nzero character special file 1,5\n")
        names = {m.name: m.type for m in self.get_tar("/mnt/n")}
        self.assertEqual(sorted(names.values()), [archives.CHAR, archives.DIR, archives.FIFO])

    def test_client_gone(self):
        stream = self.agent.stream()
        call = self.agent.extra_future("ArchivePut", container_id="box", path="/tmp", vsock_port=stream.port)
        conn = stream.accept()
        conn.sendall(archives.archive(archives.entry("f", b"x"))[:700])
        call.cancel()
        # It is gone as soon as its connection ends.
        try:
            self.assertEqual(conn.recv(1), b"")
        except ConnectionResetError:
            pass  # it had not read all by then
        conn.close()
        stream.close()


if __name__ == "__main__":
    unittest.main()
