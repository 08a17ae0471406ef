#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our gRPC against the reference implementation, both ways.

usage: rpc_grpcio.py RPC_ECHO PB2_DIR [--bench]

RPC_ECHO is the echo program of tests/unit, PB2_DIR holds
sandbox_context_pb2.py.  Methods behave as tests/unit/rpc_echo.h says.
"""

import concurrent.futures
import itertools
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import grpc

ECHO, PB2_DIR = sys.argv[1:3]
sys.path.insert(0, PB2_DIR)
import sandbox_context_pb2 as pb  # noqa: E402

SERVICE = "/com.apple.containerization.sandbox.v3.SandboxContext/"
BIG = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
# Every channel gets its own connection.
OWN = [("grpc.use_local_subchannel_pool", 1)]


class Server:
    """The C server on a socket, and calls to it."""

    def __init__(self):
        self.dir = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.dir.name, "s")
        self.proc = subprocess.Popen(
            [ECHO, "serve", self.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.proc.stdout.readline() == b"ready\n"

    def channel(self):
        return grpc.insecure_channel("unix:" + self.path, options=BIG + OWN)

    def stop(self):
        self.proc.stdin.close()
        code = self.proc.wait(timeout=60)
        self.proc.stdout.close()
        self.dir.cleanup()
        return code


def unary(channel, name):
    return channel.unary_unary(
        SERVICE + name,
        request_serializer=lambda m: m.SerializeToString(),
        response_deserializer=getattr(pb, name + "Response").FromString,
    )


def field(number, data):
    """A length-delimited field of a message, as on the wire."""
    n, head = len(data), bytearray([number << 3 | 2])
    while n > 127:
        head.append(n & 127 | 128)
        n >>= 7
    return bytes(head) + bytes([n]) + data


def stream(channel, name):
    return channel.unary_stream(
        SERVICE + name,
        request_serializer=lambda m: m.SerializeToString(),
        response_deserializer=getattr(pb, name + "Response").FromString,
    )


class ClientOfUs(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.channel = self.server.channel()

    def tearDown(self):
        self.channel.close()
        self.assertEqual(self.server.stop(), 0)

    def stat(self):
        return unary(self.channel, "Stat")(pb.StatRequest()).stat

    def until(self, condition):
        end = time.time() + 60
        while time.time() < end:
            stat = self.stat()
            if condition(stat):
                return stat
            time.sleep(0.01)
        self.fail(f"never came: {stat}")

    def assertStatus(self, code, fn, *args, **kwargs):
        with self.assertRaises(grpc.RpcError) as e:
            fn(*args, **kwargs)
        self.assertEqual(e.exception.code(), code, e.exception.details())
        return e.exception.details()

    def test_presence(self):
        getenv = unary(self.channel, "Getenv")
        self.assertEqual(getenv(pb.GetenvRequest(key="PATH")).value, "PATH")
        self.assertFalse(getenv(pb.GetenvRequest(key="none")).HasField("value"))
        empty = getenv(pb.GetenvRequest(key=""))
        self.assertTrue(empty.HasField("value"))
        self.assertEqual(empty.value, "")

    def test_status(self):
        getenv = unary(self.channel, "Getenv")
        details = self.assertStatus(
            grpc.StatusCode.NOT_FOUND, getenv, pb.GetenvRequest(key="fail")
        )
        self.assertEqual(details, "100% kaputt:\nzwei Zeilen, \u00fc")

    def test_unknown(self):
        U = grpc.StatusCode.UNIMPLEMENTED
        self.assertStatus(U, unary(self.channel, "Sync"), pb.SyncRequest())
        for path in (SERVICE + "Nope", "/nope/Getenv", "/x", SERVICE):
            self.assertStatus(U, self.channel.unary_unary(path), b"")

    def test_malformed(self):
        raw = self.channel.unary_unary(SERVICE + "Getenv")
        for body in (b"\xff", b"\x0a\x05ab", b"\x0a\x02\xff\xfe", b"\x0a\x01\x00", b"\x0b"):
            self.assertStatus(grpc.StatusCode.INTERNAL, raw, body)
        # Fields of a later version are passed over.
        self.assertEqual(raw(b"\x0a\x01a\x98\x06\x01\xa2\x06\x02zz"), b"\x0a\x01a")

    def test_streams(self):
        copy = stream(self.channel, "Copy")
        for n, size in ((0, 0), (1, 1), (1000, 10), (50, 100000)):
            got = list(copy(pb.CopyRequest(path=f"{n} {size}")))
            self.assertEqual([m.total_size for m in got], list(range(n)))
            self.assertEqual({len(m.error) for m in got}, {size} if n else set())
        self.assertStatus(
            grpc.StatusCode.INVALID_ARGUMENT, list, copy(pb.CopyRequest(path="x"))
        )

    # ---- a request that is a stream ----

    def copy_in(self, path, chunks):
        call = self.channel.stream_unary(SERVICE + "CopyIn")
        return call.future(itertools.chain([field(1, field(1, path))], (field(2, c) for c in chunks)),
                           timeout=60)

    def test_stream_of_requests(self):
        for n, size in ((0, 0), (1, 0), (1, 1), (3000, 1), (3000, 40), (300, 30000), (200, 65530),
                        (200, 65536), (40, 1 << 20), (10, (4 << 20) - 100)):
            self.copy_in(b"x", (bytes(size) for _ in range(n))).result()
            self.assertEqual(self.stat().size, n * size, (n, size))

    def test_streams_of_requests_at_once(self):
        calls = [self.copy_in(b"x", (bytes(700000 + i) for _ in range(10))) for i in range(20)]
        for call in calls:
            call.result()

    def test_stream_answered_early(self):
        sent = []
        endless = (sent.append(0) or bytes(1000) for _ in itertools.count())
        self.assertStatus(grpc.StatusCode.NOT_FOUND, self.copy_in(b"fail", endless).result)

    def test_stream_without_or_with_a_broken_message(self):
        call = self.channel.stream_unary(SERVICE + "CopyIn")
        self.assertStatus(grpc.StatusCode.INTERNAL, call, iter([]))
        for bad in ([b"\xff"], [field(1, b""), b"\xff"], [field(1, b""), field(2, b"a"), b"\x12\x05a"]):
            self.assertStatus(grpc.StatusCode.INTERNAL, call, iter(bad))
        self.assertStatus(grpc.StatusCode.RESOURCE_EXHAUSTED, call,
                          iter([field(1, b""), field(2, bytes(5 << 20))]))

    def test_stream_waits_for_its_handler(self):
        sent = []
        call = self.copy_in(b"stall", (sent.append(0) or bytes(10000) for _ in range(1000)))
        self.until(lambda s: s.ino == 1)
        time.sleep(0.5)
        # A window here, and what the client has on its way.
        self.assertLess(len(sent), 100)
        self.assertEqual(self.stat().size, 0)
        unary(self.channel, "KillProcess")(pb.KillProcessRequest(id="stall"))
        call.result()
        self.assertEqual(self.stat().size, 10000000)

    def test_stream_cancelled(self):
        for path in (b"stall", b"x"):
            before = self.stat()
            call = self.copy_in(path, (time.sleep(0.01) or bytes(100) for _ in itertools.count()))
            self.until(lambda s: s.ino == before.ino + 1)
            call.cancel()
            self.until(lambda s: s.blocks == before.blocks + 1)

    def test_sizes(self):
        write = unary(self.channel, "WriteFile")
        for n in (65530, 65536, 1 << 20, (4 << 20) - 100):
            write(pb.WriteFileRequest(data=bytes(n)))
            self.assertEqual(self.stat().size, n)
        for n in (4 << 20, 100 << 20):
            self.assertStatus(
                grpc.StatusCode.RESOURCE_EXHAUSTED, write, pb.WriteFileRequest(data=bytes(n))
            )
        write(pb.WriteFileRequest(data=b"abc"))
        self.assertEqual(self.stat().size, 3)

    def test_big_at_once(self):
        write = unary(self.channel, "WriteFile")
        calls = [write.future(pb.WriteFileRequest(data=bytes(3 << 20))) for _ in range(12)]
        for call in calls:
            call.result(timeout=60)

    def test_compression(self):
        call = self.channel.unary_unary(SERVICE + "WriteFile")
        self.assertStatus(
            grpc.StatusCode.UNIMPLEMENTED,
            call,
            pb.WriteFileRequest(data=bytes(10000)).SerializeToString(),
            compression=grpc.Compression.Gzip,
        )

    def test_deadline_and_cancel(self):
        wait = unary(self.channel, "WaitProcess")
        # A call whose time is up before it has left is not heard of.
        for timeout in (0.1, 1, 10, 60):
            self.assertStatus(
                grpc.StatusCode.DEADLINE_EXCEEDED, wait, pb.WaitProcessRequest(id="a"),
                timeout=timeout
            )
            stat = self.stat()
            if stat.blocks or stat.nlink:
                break
        self.until(lambda s: s.blocks == 1 and s.nlink == 0)
        call = wait.future(pb.WaitProcessRequest(id="b"))
        self.until(lambda s: s.nlink == 1)
        call.cancel()
        self.until(lambda s: s.blocks == 2 and s.nlink == 0)

    def test_many_waiters(self):
        wait, kill = unary(self.channel, "WaitProcess"), unary(self.channel, "KillProcess")
        calls = [wait.future(pb.WaitProcessRequest(id=str(i))) for i in range(100)]
        self.until(lambda s: s.nlink == 100)
        for i in reversed(range(100)):
            kill(pb.KillProcessRequest(id=str(i), signal=i))
        self.assertEqual([c.result(timeout=60).exitCode for c in calls], list(range(100)))
        self.assertEqual(self.stat().blocks, 0)

    def test_disconnect(self):
        other = self.server.channel()
        wait = unary(other, "WaitProcess")
        calls = [wait.future(pb.WaitProcessRequest(id="x")) for _ in range(5)]
        self.until(lambda s: s.nlink == 5)
        other.close()
        self.until(lambda s: s.blocks == 5 and s.nlink == 0)
        del calls

    def test_connections(self):
        channels = [self.server.channel() for _ in range(40)]
        for c in channels:
            unary(c, "Getenv")(pb.GetenvRequest(key="x"))
        for c in channels:
            c.close()

    def test_metadata(self):
        getenv = unary(self.channel, "Getenv")
        extra = [("x-unknown", "value"), ("x-bytes-bin", b"\x00\xff")]
        self.assertEqual(getenv(pb.GetenvRequest(key="m"), metadata=extra).value, "m")
        huge = [("x-huge", "v" * 60000)]
        self.assertStatus(
            grpc.StatusCode.RESOURCE_EXHAUSTED, getenv, pb.GetenvRequest(key="m"), metadata=huge
        )
        self.assertEqual(getenv(pb.GetenvRequest(key="m")).value, "m")

    def test_threads(self):
        getenv = unary(self.channel, "Getenv")
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            keys = [str(i) for i in range(2000)]
            got = pool.map(lambda k: getenv(pb.GetenvRequest(key=k)).value, keys)
            self.assertEqual(list(got), keys)


def awkward_getenv(request, context):
    if request.key == "fail":
        context.abort(grpc.StatusCode.NOT_FOUND, "100% kaputt:\nzwei Zeilen, \u00fc")
    return pb.GetenvResponse(value=request.key)


def copy_stream(request, context):
    n, size = map(int, request.path.split())
    for i in range(n):
        yield pb.CopyResponse(total_size=i, error="x" * size)


def wait_forever(request, context):
    gone = threading.Event()
    context.add_callback(gone.set)
    gone.wait(60)
    return pb.WaitProcessResponse()


class ServerForUs(unittest.TestCase):
    def test_round(self):
        def row(make, fn, name):
            return make(
                fn,
                request_deserializer=getattr(pb, name + "Request").FromString,
                response_serializer=lambda m: m.SerializeToString(),
            )

        server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
        methods = {
            "Getenv": row(grpc.unary_unary_rpc_method_handler, awkward_getenv, "Getenv"),
            "Copy": row(grpc.unary_stream_rpc_method_handler, copy_stream, "Copy"),
            "WaitProcess": row(
                grpc.unary_unary_rpc_method_handler, wait_forever, "WaitProcess"
            ),
        }
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE.strip("/"), methods),)
        )
        with tempfile.TemporaryDirectory() as d:
            server.add_insecure_port("unix:" + d + "/s")
            server.start()
            run = subprocess.run([ECHO, "call", d + "/s"], timeout=60, capture_output=True)
            server.stop(0)
        self.assertEqual(run.returncode, 0, run.stderr)


def bench():
    server = Server()
    getenv = unary(server.channel(), "Getenv")
    request = pb.GetenvRequest(key="PATH")
    for _ in range(200):
        getenv(request)
    times = []
    for _ in range(2000):
        start = time.perf_counter()
        getenv(request)
        times.append(time.perf_counter() - start)
    times.sort()
    with open(f"/proc/{server.proc.pid}/status", encoding="ascii") as f:
        rss = [line.split()[1] for line in f if line.startswith("VmRSS")][0]
    print(f"unary median {times[1000] * 1e6:.0f} us, p99 {times[1980] * 1e6:.0f} us, RSS {rss} KiB")
    server.stop()


if __name__ == "__main__":
    if "--bench" in sys.argv:
        bench()
    else:
        unittest.main(argv=sys.argv[:1])
