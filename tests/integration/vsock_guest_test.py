#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The socket device against a real guest, under QEMU's emulation.

usage: vsock_guest_test.py BACKEND VMLINUX INITRD

BACKEND is tests/tools/vsock_backend, INITRD has tests/tools/vsock_guest as its
/init; the ports are described there.  Without QEMU or a kernel the test is
skipped (exit code 77).  Prints the figures it measured.
"""

import array
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

BACKEND, VMLINUX, INITRD = (os.path.abspath(a) for a in sys.argv[1:4])
QEMU = shutil.which("qemu-system-x86_64")

READY, ECHO, SINK, SOURCE, RAW_SINK, RAW_SOURCE, DIAL, TRY, LAZY, OFF = (
    4000, 5001, 5002, 5003, 5004, 5005, 5006, 5007, 5008, 5009
)
MIB = 1 << 20
SLOW = 300  # seconds after which something hangs, on a busy host


def tsc_khz():
    """Near enough for a guest that only measures time with it."""
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("cpu MHz"):
                return int(float(line.split(":")[1]) * 1000)
    return 1000000


def numbers(n):
    """The first n bytes of the stream 0, 1, 2, ... in 64-bit words."""
    return array.array("Q", range(n // 8)).tobytes()


def receive(sock, n):
    """n bytes, or less at the end."""
    data = bytearray()
    while len(data) < n:
        part = sock.recv(min(MIB, n - len(data)))
        if not part:
            break
        data += part
    return bytes(data)


class Machine:
    """QEMU and the device, in a directory of their own."""

    def __init__(self):
        self.dir = tempfile.TemporaryDirectory(prefix="vsock-guest-")
        os.chdir(self.dir.name)
        self.ready = self.listen(READY)
        ours, theirs = socket.socketpair()
        qmp, qmp_theirs = socket.socketpair()
        self.backend = subprocess.Popen(
            [BACKEND, str(ours.fileno()), "3", "vsock.sock"], pass_fds=[ours.fileno()]
        )
        args = [
            QEMU, "-machine", "microvm,x-option-roms=off,memory-backend=mem",
            # Emulated "rep movsb" goes byte by byte; without ERMS the kernel uses words.
            "-accel", "tcg,tb-size=64", "-cpu", "max,-erms",
            "-m", "256", "-smp", "1",
            "-object", "memory-backend-memfd,id=mem,size=256M,share=on",
            "-nodefaults", "-no-user-config", "-display", "none",
            "-serial", "file:console.log", "-global", "virtio-mmio.force-legacy=false",
            "-kernel", VMLINUX, "-initrd", INITRD, "-append",
            "console=ttyS0 reboot=t panic=-1 quiet cryptomgr.notests noreplace-smp "
            "tsc=reliable tsc_early_khz=%d" % tsc_khz(),
            "-chardev", "socket,id=vs,fd=%d" % theirs.fileno(),
            "-device", "vhost-user-vsock-device,chardev=vs",
            "-chardev", "socket,id=qmp,fd=%d" % qmp_theirs.fileno(),
            "-mon", "chardev=qmp,mode=control",
        ]
        self.qemu = subprocess.Popen(args, pass_fds=[theirs.fileno(), qmp_theirs.fileno()])
        for s in (ours, theirs, qmp_theirs):
            s.close()
        self.qmp_sock = qmp
        self.qmp_file = qmp.makefile("rw")
        self.qmp_file.readline()
        self.qmp("qmp_capabilities")
        self.wait_ready()

    def qmp(self, command):
        self.qmp_file.write(json.dumps({"execute": command}) + "\n")
        self.qmp_file.flush()
        while "return" not in json.loads(self.qmp_file.readline()):
            pass

    @staticmethod
    def listen(port):
        s = socket.socket(socket.AF_UNIX)
        s.bind("vsock.sock_%d" % port)
        s.listen(128)
        return s

    def wait_ready(self):
        self.ready.settimeout(SLOW)
        try:
            self.ready.accept()[0].close()
        except socket.timeout:
            with open("console.log", errors="replace") as f:
                sys.exit("the guest does not come up:\n" + f.read()[-2000:])

    @staticmethod
    def dial(port):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(SLOW)
        s.connect("vsock.sock")
        s.sendall(b"CONNECT %d\n" % port)
        line = b""
        while not line.endswith(b"\n"):
            part = s.recv(1)
            if not part:
                s.close()
                raise EOFError
            line += part
        assert line.startswith(b"OK "), line
        return s

    def pss(self):
        with open("/proc/%d/smaps_rollup" % self.backend.pid) as f:
            return int(next(line for line in f if line.startswith("Pss:")).split()[1])

    def stop(self):
        self.qemu.send_signal(signal.SIGKILL)
        self.qemu.wait()
        code = self.backend.wait(timeout=SLOW)
        self.qmp_file.close()
        self.qmp_sock.close()
        self.ready.close()
        os.chdir("/")
        self.dir.cleanup()
        return code


def in_parallel(jobs):
    """Run all, return what went wrong."""
    wrong = []

    def guarded(job):
        try:
            job()
        except Exception as e:  # pylint: disable=broad-except
            wrong.append(repr(e))

    threads = [threading.Thread(target=guarded, args=(j,)) for j in jobs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return wrong


class VsockGuest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        start = time.time()
        cls.m = Machine()
        print("guest ready after %.2f s, device %d KiB" % (time.time() - start, cls.m.pss()))

    @classmethod
    def tearDownClass(cls):
        assert cls.m.stop() == 0

    def up(self, data):
        with self.m.dial(SINK) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            self.assertEqual(struct.unpack("q", receive(s, 8))[0], len(data))
            self.assertEqual(s.recv(1), b"")

    def down(self, data):
        with self.m.dial(SOURCE) as s:
            s.sendall(struct.pack("Q", len(data)))
            self.assertTrue(receive(s, len(data) + 1) == data)

    def test_many_at_once(self):
        data = numbers(2 * MIB)
        jobs = [lambda: self.up(data), lambda: self.down(data)] * 32
        start = time.time()
        self.assertEqual(in_parallel(jobs), [])
        print("64 connections of 2 MiB, both ways: %.2f s" % (time.time() - start))

    def test_guest_dials_many(self):
        data = numbers(MIB)

        def serve(conn):
            with conn:
                got = receive(conn, len(data) + 1)
                conn.sendall(got)

        def accept(listener):
            for _ in range(64):
                threading.Thread(target=serve, args=(listener.accept()[0],)).start()

        with self.m.listen(6000) as listener, self.m.dial(DIAL) as s:
            threading.Thread(target=accept, args=(listener,), daemon=True).start()
            s.sendall(struct.pack("IIQ", 6000, 64, len(data)))
            self.assertEqual(struct.unpack("Q", receive(s, 8))[0], 64)

    def test_three_hundred_idle(self):
        conns = [self.m.dial(ECHO) for _ in range(300)]
        for i, s in enumerate(conns):
            s.sendall(b"%04d" % i)
        for i, s in enumerate(conns):
            self.assertEqual(receive(s, 4), b"%04d" % i)
            s.close()

    def test_refusals(self):
        with self.assertRaises(EOFError):
            self.m.dial(9999)
        with self.m.dial(TRY) as s:
            s.sendall(struct.pack("I", 7777))
            self.assertEqual(struct.unpack("I", receive(s, 4))[0], 104)

    def test_reader_that_sleeps(self):
        """Nobody else waits for it, and its writer is held."""
        lazy = self.m.dial(LAZY)
        lazy.settimeout(0.5)
        sent = 0
        with self.assertRaises(socket.timeout):
            while sent < 64 * MIB:
                sent += lazy.send(bytes(65536))
        self.assertLess(sent, 4 * MIB)
        slow = self.m.dial(RAW_SOURCE)
        slow.sendall(struct.pack("Q", 16 * MIB))
        self.up(numbers(MIB))
        self.down(numbers(MIB))
        lazy.close()
        self.assertEqual(len(receive(slow, 17 * MIB)), 16 * MIB)
        slow.close()

    def test_pause(self):
        with self.m.dial(ECHO) as s:
            s.sendall(b"before")
            self.assertEqual(receive(s, 6), b"before")
            self.m.qmp("stop")
            s.sendall(b"during")
            s.settimeout(0.3)
            with self.assertRaises(socket.timeout):
                s.recv(1)
            self.m.qmp("cont")
            s.settimeout(SLOW)
            self.assertEqual(receive(s, 6), b"during")

    def test_speed(self):
        with self.m.dial(ECHO) as s:
            times = []
            for _ in range(200):
                start = time.time()
                s.sendall(b"x" * 64)
                receive(s, 64)
                times.append(time.time() - start)
        times.sort()
        print("round trip of 64 bytes: median %.0f us" % (times[100] * 1e6))
        for _ in range(2):
            with self.m.dial(RAW_SOURCE) as s:
                buf = bytearray(MIB)
                start = time.time()
                s.sendall(struct.pack("Q", 100 * MIB))
                total = 0
                while n := s.recv_into(buf):
                    total += n
            self.assertEqual(total, 100 * MIB)
            print("guest to host: %.0f MiB/s" % (100 / (time.time() - start)))
            with self.m.dial(RAW_SINK) as s:
                block = bytes(MIB)
                start = time.time()
                for _ in range(100):
                    s.sendall(block)
                s.shutdown(socket.SHUT_WR)
                self.assertEqual(struct.unpack("q", receive(s, 8))[0], 100 * MIB)
            print("host to guest: %.0f MiB/s" % (100 / (time.time() - start)))
        time.sleep(1)
        print("device %d KiB" % self.m.pss())

    def test_zz_reboot(self):
        """A new driver knows nothing of the old one's connections."""
        lazy = self.m.dial(LAZY)
        with self.m.dial(OFF) as s:
            # It may be gone before that has left it.
            self.assertIn(receive(s, 4), (b"bye\n", b""))
        self.m.wait_ready()
        self.assertEqual(lazy.recv(1), b"")
        lazy.close()
        self.up(numbers(MIB))


if __name__ == "__main__":
    if not QEMU:
        print("no qemu-system-x86_64")
        sys.exit(77)
    for needed in (VMLINUX, INITRD):
        if not os.path.exists(needed):
            print("no " + needed)
            sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
