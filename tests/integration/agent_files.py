# SPDX-License-Identifier: Apache-2.0
"""What tests of the agent's copies share: calls with a connection beside them, archives, a container."""

import io
import os
import shutil
import socket
import tarfile
import threading
import time
import unittest

import grpc
from agent_client import EXTRAS, SERVICE, Agent, Process, agent_closing, ax, make_rootfs, make_spec, pb

MIB = 1 << 20
IN, OUT = pb.CopyRequest.COPY_IN, pb.CopyRequest.COPY_OUT


def field(number, data):
    """A length-delimited field of a message, as on the wire."""
    n, head = len(data), bytearray([number << 3 | 2])
    while n > 127:
        head.append(n & 127 | 128)
        n >>= 7
    return bytes(head) + bytes([n]) + data


def entry(name, data=b"", **attributes):
    """A member of an archive and its data."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, data


def archive(*entries, gzip=False):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz" if gzip else "w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data) if data else None)
    return out.getvalue()


class Result:
    def __init__(self, code="OK", text="", data=b"", replies=()):
        self.code, self.text, self.data, self.replies = code, text, data, list(replies)


class FilesTest(unittest.TestCase):
    """A running container "box" that sees a tmpfs at /mnt, a small one at /small, a file of ours at /bound."""

    @classmethod
    def setUpClass(cls):
        cls.agent = Agent()
        cls.addClassCleanup(cls.agent.close)
        cls.rootfs = make_rootfs(os.path.join(cls.agent.root, "box", "rootfs"))
        os.mkdir(os.path.join(cls.rootfs, "mnt"))
        spec = make_spec(cls.rootfs, ["sleep", "1000"])
        spec["mounts"].append({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs"})
        spec["mounts"].append({"destination": "/small", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m"]})
        cls.bound = os.path.join(cls.agent.dir, "bound")
        open(cls.bound, "wb").close()
        spec["mounts"].append({"destination": "/bound", "type": "bind", "source": cls.bound, "options": ["bind"]})
        cls.spec = spec
        cls.box = Process(cls.agent, "box", "box", spec, streams=())
        cls.box.start()
        cls.count = 0

    @classmethod
    def tearDownClass(cls):
        cls.box.call("DeleteProcess")

    def tearDown(self):
        while agent_closing:
            agent_closing.pop().close()
        self.assertIsNone(self.agent.process.poll(), self.agent.log())

    # ---- paths ----

    def outside(self, *parts):
        """A path that is no container's."""
        return os.path.join(self.agent.dir, *parts)

    def path(self, path):
        """The contract's word for a path in the container."""
        return self.rootfs + path

    def new(self, prefix="d"):
        """A new directory of the container's root, seen from here."""
        type(self).count += 1
        place = os.path.join(self.rootfs, f"{prefix}{self.count}")
        os.mkdir(place)
        return place

    def inner(self, place):
        """What the container calls it."""
        return place[len(self.rootfs):]

    def sh(self, script):
        type(self).count += 1
        spec = make_spec(self.rootfs, ["sh", "-c", script])
        code, out, err = Process(self.agent, "box", f"x{self.count}", spec).run()
        self.assertEqual((code, err), (0, b""), script)
        return out

    # ---- calls with a connection ----

    def with_stream(self, start, feed=None, read=None):
        """start(port) makes a call's iterator; its replies, status, and what came over the port."""
        stream = self.agent.stream()
        result = Result()

        def serve():
            try:
                conn = stream.accept()
                conn.settimeout(60)
                if feed is not None:
                    for chunk in [feed] if isinstance(feed, bytes) else feed:
                        conn.sendall(chunk)
                    conn.shutdown(socket.SHUT_WR)
                    conn.recv(1)
                else:
                    result.data = (read or (lambda s: s.read_all()))(stream)
            except OSError:
                pass
            finally:
                if stream.conn:
                    stream.conn.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            for reply in start(stream.port):
                result.replies.append(reply)
        except grpc.RpcError as e:
            result.code, result.text = e.code().name, e.details()
        if stream.conn is None:
            # Nobody will come any more.
            try:
                with socket.socket(socket.AF_UNIX) as poke:
                    poke.connect(stream.path)
            except OSError:
                pass
        thread.join(70)
        self.assertFalse(thread.is_alive())
        stream.close()
        return result

    def copy_call(self, port, timeout=120, **fields):
        return self.agent.channel.unary_stream(
            SERVICE + "Copy", request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=pb.CopyResponse.FromString,
        )(pb.CopyRequest(vsock_port=port, **fields), timeout=timeout)

    def copy_in(self, path, data, **fields):
        return self.with_stream(lambda port: self.copy_call(port, direction=IN, path=path, **fields), feed=data)

    def copy_out(self, path, **fields):
        return self.with_stream(lambda port: self.copy_call(port, direction=OUT, path=path, **fields))

    def put(self, path, data, container="box", **fields):
        request = {"container_id": container, "path": path, "keep_owners": True, **fields}
        return self.with_stream(
            lambda port: [self.agent.extra("ArchivePut", 120, vsock_port=port, **request)], feed=data)

    def get(self, path, container="box", **fields):
        request = {"container_id": container, "path": path, **fields}
        return self.with_stream(lambda port: [self.agent.extra("ArchiveGet", 120, vsock_port=port, **request)])

    def get_tar(self, path, **fields):
        got = self.get(path, **fields)
        self.assertEqual(got.code, "OK", got.text)
        self.assertEqual(got.replies[0].bytes, len(got.data))
        return tarfile.open(fileobj=io.BytesIO(got.data))

    def assertCopied(self, result):
        self.assertEqual(result.code, "OK", result.text)
        self.assertEqual(result.replies[-1].status, pb.CopyResponse.COMPLETE)

    def workers(self):
        """The agent's children beside containers."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                    after = f.read().rpartition(")")[2].split()
                with open(f"/proc/{pid}/comm", encoding="ascii") as f:
                    name = f.read().strip()
            except OSError:
                continue
            if int(after[1]) == self.agent.process.pid and after[0] != "Z" and name == "coffer-agent":
                found.append(int(pid))
        return found


__all__ = ["EXTRAS", "FilesTest", "IN", "MIB", "OUT", "Process", "SERVICE", "archive", "ax", "entry", "field",
           "make_spec", "os", "pb", "shutil", "time"]
