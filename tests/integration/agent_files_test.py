# SPDX-License-Identifier: Apache-2.0
"""The contract's calls on files: Copy, CopyIn, CopyOut, Stat, WriteFile, Mkdir, FilesystemOperation."""

import hashlib
import io
import os
import stat
import tarfile
import threading
import time
import unittest

import grpc
from agent_client import SANITIZED, SERVICE, Process, make_rootfs, make_spec, pb, wait_until
from agent_files import IN, MIB, OUT, FilesTest, archive, entry, field


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data, mode=None):
    with open(path, "wb") as f:
        f.write(data)
    if mode is not None:
        os.chmod(path, mode)


class CopyTest(FilesTest):
    def test_file_round_trip(self):
        data = os.urandom(100 * MIB)
        place = self.new()
        self.assertCopied(self.copy_in(place + "/file", data, mode=0o640))
        self.assertEqual(digest(place + "/file"), hashlib.sha256(data).hexdigest())
        self.assertEqual(stat.S_IMODE(os.stat(place + "/file").st_mode), 0o640)
        got = self.copy_out(place + "/file")
        self.assertCopied(got)
        self.assertEqual([r.status for r in got.replies], [pb.CopyResponse.METADATA, pb.CopyResponse.COMPLETE])
        self.assertEqual((got.replies[0].is_archive, got.replies[0].total_size), (False, len(data)))
        self.assertTrue(got.data == data)

    def test_small_and_existing_files(self):
        place = self.new()
        for data in (b"", b"x", b"\0" * 4097):
            self.assertCopied(self.copy_in(place + "/f", data))
            self.assertEqual(read(place + "/f"), data)
            self.assertEqual(self.copy_out(place + "/f").data, data)
        self.assertEqual(stat.S_IMODE(os.stat(place + "/f").st_mode), 0o644)
        os.chmod(place + "/f", 0o4711)
        self.assertCopied(self.copy_in(place + "/f", b"new", mode=0o600))
        self.assertEqual((read(place + "/f"), os.stat(place + "/f").st_mode & 0o711), (b"new", 0o711))

    def test_parents(self):
        place = self.new()
        refused = self.copy_in(place + "/a/b/f", b"x")
        self.assertEqual(refused.code, "INTERNAL")
        self.assertFalse(os.path.exists(place + "/a"))
        self.assertCopied(self.copy_in(place + "/a/b/f", b"x", create_parents=True))
        self.assertEqual(stat.S_IMODE(os.stat(place + "/a/b").st_mode), 0o755)

    def test_outside_of_a_container(self):
        self.assertCopied(self.copy_in(self.outside("plain"), b"abc"))
        self.assertEqual(self.copy_out(self.outside("plain")).data, b"abc")

    def test_tree_round_trip(self):
        source, target = self.new(), self.new() + "/made/deep"
        os.makedirs(source + "/sub/empty")
        write(source + "/sub/run", b"#!/bin/sh\n", 0o755)
        write(source + "/secret", b"s" * 100000, 0o600)
        write(source + "/nothing", b"", 0o444)
        os.symlink("../nothing", source + "/sub/link")
        os.symlink("/etc/passwd", source + "/absolute")
        os.chown(source + "/secret", 1234, 70000)
        os.utime(source + "/secret", ns=(10**18, 10**18 + 123456789))
        got = self.copy_out(source)
        self.assertCopied(got)
        self.assertEqual((got.replies[0].is_archive, got.replies[0].total_size), (True, 0))
        self.assertEqual(got.data[:2], b"\x1f\x8b")
        names = tarfile.open(fileobj=io.BytesIO(got.data)).getnames()
        self.assertEqual(sorted(names), ["absolute", "nothing", "secret", "sub", "sub/empty", "sub/link", "sub/run"])
        self.assertCopied(self.copy_in(target, got.data, is_archive=True, create_parents=True))
        a, b = os.stat(source + "/secret"), os.stat(target + "/secret")
        self.assertEqual((a.st_mode, a.st_uid, a.st_gid, a.st_mtime_ns), (b.st_mode, b.st_uid, b.st_gid, b.st_mtime_ns))
        self.assertEqual(os.readlink(target + "/sub/link"), "../nothing")
        self.assertEqual(os.readlink(target + "/absolute"), "/etc/passwd")
        self.assertEqual(stat.S_IMODE(os.stat(target + "/sub/run").st_mode), 0o755)
        self.assertTrue(os.path.isdir(target + "/sub/empty"))

    def test_empty_directory(self):
        got = self.copy_out(self.new())
        self.assertCopied(got)
        self.assertEqual(tarfile.open(fileobj=io.BytesIO(got.data)).getnames(), [])
        target = self.new()
        self.assertCopied(self.copy_in(target, got.data, is_archive=True))
        self.assertEqual(os.listdir(target), [])

    def test_statuses(self):
        place = self.new()
        write(place + "/file", b"x")
        status = lambda **f: self.with_stream(lambda p: self.copy_call(p, **f)).code
        self.assertEqual(status(direction=OUT, path=place + "/none"), "NOT_FOUND")
        self.assertEqual(status(direction=OUT, path=place + "/file/none"), "INTERNAL")
        self.assertEqual(status(direction=OUT, path="relative"), "INTERNAL")
        self.assertEqual(status(direction=7, path=place + "/file"), "INVALID_ARGUMENT")
        self.assertEqual(status(direction=IN, path=place), "INTERNAL")
        os.mkfifo(place + "/fifo")
        os.mknod(place + "/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        for name in ("fifo", "null"):
            self.assertEqual(status(direction=OUT, path=f"{place}/{name}"), "INTERNAL")
            self.assertEqual(status(direction=IN, path=f"{place}/{name}"), "INTERNAL")
        for port in (0, 0xffffffff):
            for direction in (IN, OUT):
                with self.assertRaises(grpc.RpcError) as raised:
                    list(self.copy_call(port, direction=direction, path=place + "/untouched"))
                self.assertEqual(raised.exception.code().name, "INVALID_ARGUMENT")
        self.assertFalse(os.path.exists(place + "/untouched"))

    def test_nobody_listens(self):
        place = self.new()
        write(place + "/file", b"kept")
        for direction in (IN, OUT):
            replies = []
            with self.assertRaises(grpc.RpcError) as raised:
                for reply in self.copy_call(99, direction=direction, path=place + "/file"):
                    replies.append(reply)
            self.assertEqual(raised.exception.code().name, "INTERNAL")
            # What is there is described before the guest dials.
            self.assertEqual(len(replies), direction == OUT)
        self.assertEqual(read(place + "/file"), b"kept")

    def test_listener_dies(self):
        place = self.new()
        # Far more than sockets take, also when it is compressed.
        write(place + "/big", os.urandom(16 * MIB))

        def hang_up(stream):
            stream.accept().recv(100000)
            stream.conn.close()
            return b""

        got = self.with_stream(lambda p: self.copy_call(p, direction=OUT, path=place + "/big"), read=hang_up)
        self.assertEqual(got.code, "INTERNAL")
        self.assertEqual([r.status for r in got.replies], [pb.CopyResponse.METADATA])
        got = self.with_stream(lambda p: self.copy_call(p, direction=OUT, path=place), read=hang_up)
        self.assertEqual(got.code, "INTERNAL")

    def test_archive_cut_short(self):
        data = archive(entry("file", os.urandom(300000)), gzip=True)
        got = self.copy_in(self.new(), data[:200000], is_archive=True)
        self.assertEqual(got.code, "INTERNAL")
        self.assertIn("damaged archive", got.text)
        for junk in (b"not an archive at all" * 100, os.urandom(5000)):
            self.assertEqual(self.copy_in(self.new(), junk, is_archive=True).code, "INTERNAL")

    def test_cancel_ends_the_work(self):
        place = self.new()
        write(place + "/big", bytes(8 * MIB))
        for fields in ({"direction": OUT, "path": place + "/big"}, {"direction": IN, "path": place + "/new"},
                       {"direction": IN, "path": place + "/tree", "is_archive": True}):
            stream = self.agent.stream()
            call = self.copy_call(stream.port, **fields)
            conn = stream.accept()
            self.assertTrue(self.workers())
            call.cancel()
            self.assertTrue(wait_until(lambda: not self.workers()))
            # The connection ends with its copy.
            while conn.recv(1 << 20):
                pass
            stream.close()

    def test_many_at_once(self):
        place = self.new()
        data = {f"{place}/f{i}": os.urandom(3 * MIB + i) for i in range(20)}
        begun, answered, results = threading.Event(), threading.Event(), {}

        def in_halves(chunk):
            begun.set()
            yield chunk[:MIB]
            answered.wait(60)
            yield chunk[MIB:]

        def work(path):
            results[path] = (self.copy_in(path, in_halves(data[path])), self.copy_out(path))

        threads = [threading.Thread(target=work, args=(path,)) for path in data]
        for thread in threads:
            thread.start()
        # The loop turns meanwhile: none is over before this is answered.
        self.assertTrue(begun.wait(60))
        try:
            self.agent.call("Getenv", key="PATH")
        finally:
            answered.set()
        for thread in threads:
            thread.join()
        for path, (into, out) in results.items():
            self.assertCopied(into)
            self.assertCopied(out)
            self.assertTrue(out.data == data[path])
        self.assertTrue(wait_until(lambda: not self.workers()))

    @unittest.skipIf(SANITIZED, "a sanitizer's memory is its own")
    def test_agent_stays_small(self):
        place = self.new()
        for i in range(3):
            self.assertCopied(self.copy_in(place + "/f", bytes(20 * MIB)))
            self.assertCopied(self.copy_out(place + "/f"))
        self.assertLess(self.agent.rss_kib(), 4096)

    # ---- what an image or a container may have planted ----

    def test_links_stay_inside(self):
        place = self.new()
        os.mkdir(place + "/real")
        os.symlink(self.agent.dir, place + "/out")
        os.symlink("/../../../../../../..", place + "/up")
        os.symlink("/proc/1/root", place + "/magic")
        os.symlink("real", place + "/fine")
        os.symlink("dangling-target", place + "/dangling")
        self.assertCopied(self.copy_in(place + "/fine/f", b"fine"))
        self.assertEqual(read(place + "/real/f"), b"fine")
        self.assertCopied(self.copy_in(place + "/dangling", b"led"))
        self.assertEqual(read(place + "/dangling-target"), b"led")
        self.assertCopied(self.copy_in(place + "/up/climbed", b"x"))
        self.assertEqual(read(self.rootfs + "/climbed"), b"x")
        self.assertNotEqual(self.copy_in(place + "/out/planted", b"x").code, "OK")
        self.assertFalse(os.path.exists(self.outside("planted")))
        for link in ("/out/state", "/magic/etc/hostname"):
            self.assertNotEqual(self.copy_out(place + link).code, "OK", link)
        self.assertNotEqual(self.copy_in(place + "/magic/tmp/planted", b"x").code, "OK")

    def test_hostile_archives(self):
        bad = {
            "/absolute": entry("/absolute", b"x"),
            "../up": entry("../up", b"x"),
            "a/../../up": entry("a/../../up", b"x"),
        }
        for name, member in bad.items():
            got = self.copy_in(self.new(), archive(entry("first", b"1"), member, gzip=True), is_archive=True)
            self.assertEqual(got.code, "INTERNAL", name)
            self.assertIn(f'"{name}"', got.text)
        for name in ("up", "absolute"):
            self.assertFalse(os.path.exists(f"{self.rootfs}/{name}"))

    # ---- what the container sees ----

    def test_file_system_that_is_full(self):
        got = self.copy_in(self.path("/small/f"), bytes(8 * MIB))
        self.assertEqual(got.code, "INTERNAL")
        self.assertIn("No space left", got.text)
        self.sh("rm /small/f")
        got = self.copy_in(self.path("/small"), archive(entry("first", b"1"), entry("big", bytes(8 * MIB)), gzip=True),
                           is_archive=True)
        self.assertEqual(got.code, "INTERNAL")
        self.assertIn('entry "big": write: No space left', got.text)
        self.assertEqual(self.sh("ls /small; rm /small/*"), b"first\n")

    def test_copy_below_a_mount_of_the_container(self):
        self.assertCopied(self.copy_in(self.path("/mnt/inside"), b"only here"))
        self.assertEqual(self.sh("cat /mnt/inside"), b"only here")
        self.assertFalse(os.path.exists(self.rootfs + "/mnt/inside"))
        self.assertEqual(self.copy_out(self.path("/mnt/inside")).data, b"only here")
        self.assertEqual(self.agent.call("Stat", path=self.path("/mnt/inside")).stat.size, 9)
        tree = archive(entry("a/b", b"deep"), gzip=True)
        self.assertCopied(self.copy_in(self.path("/mnt/tree"), tree, is_archive=True))
        self.assertEqual(self.sh("cat /mnt/tree/a/b"), b"deep")
        self.agent.call("Mkdir", path=self.path("/mnt/made/too"), all=True, perms=0o711)
        self.agent.call("WriteFile", path=self.path("/mnt/made/f"), data=b"w",
                        flags=pb.WriteFileRequest.WriteFileFlags(create_if_missing=True))
        self.assertEqual(self.sh("stat -c %a /mnt/made/too; cat /mnt/made/f"), b"711\nw")

    def test_links_of_a_container_while_it_runs(self):
        self.sh("cd /mnt; ln -s / root; ln -s /proc/1/root magic; ln -s /proc/self/fd/0 fd0; mkfifo fifo; "
                "ln -s fifo tofifo; mkdir d; ln -s ../../../../../../etc/passwd d/passwd")
        self.assertCopied(self.copy_in(self.path("/mnt/root/tmp/through"), b"t"))
        self.assertEqual(read(self.rootfs + "/tmp/through"), b"t")
        self.assertEqual(self.copy_out(self.path("/mnt/d/passwd")).data, read(self.rootfs + "/etc/passwd"))
        for name in ("magic/etc/passwd", "fd0", "fifo", "tofifo"):
            self.assertNotIn(self.copy_out(self.path("/mnt/" + name)).code, ("OK",), name)
            self.assertNotIn(self.copy_in(self.path("/mnt/" + name), b"x").code, ("OK",), name)

    def test_proc_of_the_container(self):
        got = self.copy_out(self.path("/proc/version"))
        self.assertCopied(got)
        self.assertIn(b"Linux", got.data)
        self.assertEqual(self.copy_out(self.path("/proc/1/comm")).data, b"sleep\n")

    def test_container_that_has_ended(self):
        rootfs = make_rootfs(os.path.join(self.agent.root, "short", "rootfs"))
        c = Process(self.agent, "short", "short", make_spec(rootfs, ["true"]), streams=())
        self.assertCopied(self.copy_in(rootfs + "/before", b"b"))
        c.start()
        self.assertEqual(c.wait(), 0)
        self.assertCopied(self.copy_in(rootfs + "/after", b"a"))
        self.assertEqual(read(rootfs + "/before") + read(rootfs + "/after"), b"ba")
        c.call("DeleteProcess")


class StreamTest(FilesTest):
    """CopyIn and CopyOut, as the contract had them before Copy."""

    def copy_in_stream(self, path, chunks, mode=0, parents=False):
        init = field(1, path.encode())
        if mode:
            init += bytes([0x10, mode & 127 | 128, mode >> 7])
        if parents:
            init += b"\x18\x01"
        first = [field(1, init)] if path else []
        call = self.agent.channel.stream_unary(SERVICE + "CopyIn")
        try:
            return "OK", call(iter(first + [field(2, c) for c in chunks]), timeout=60)
        except grpc.RpcError as e:
            return e.code().name, e.details()

    def copy_out_stream(self, path):
        call = self.agent.channel.unary_stream(SERVICE + "CopyOut")(field(1, path.encode()), timeout=60)
        size, data = None, []
        try:
            for message in call:
                if size is None:
                    self.assertEqual(message[0], 0x0a)
                    size = 0
                    for shift, byte in enumerate(message[3:]):
                        size |= (byte & 127) << 7 * shift
                    continue
                self.assertEqual(message[0], 0x12)
                n = 2
                while message[n - 1] & 128:
                    n += 1
                data.append(message[n:])
        except grpc.RpcError as e:
            return e.code().name, size, b"".join(data)
        return "OK", size, b"".join(data)

    def test_round_trip(self):
        place = self.new()
        for n, chunk in ((0, 0), (1, 3), (1000, 1), (40, MIB), (100, 70000)):
            data = [os.urandom(chunk) for _ in range(n)]
            path = f"{place}/deep/{n}"
            self.assertEqual(self.copy_in_stream(path, data, mode=0o600, parents=True), ("OK", b""))
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            self.assertTrue(read(path) == b"".join(data))
            self.assertTrue(self.copy_out_stream(path) == ("OK", n * chunk, b"".join(data)))

    def test_container_view(self):
        self.assertEqual(self.copy_in_stream(self.path("/mnt/streamed"), [b"data"])[0], "OK")
        self.assertEqual(self.sh("cat /mnt/streamed"), b"data")
        self.assertEqual(self.copy_out_stream(self.path("/mnt/streamed"))[2], b"data")

    def test_statuses(self):
        place = self.new()
        self.assertEqual(self.copy_in_stream("", [b"x"])[0], "INVALID_ARGUMENT")
        self.assertEqual(self.copy_in_stream(place + "/no/parent", [b"x"] * 100)[0], "INTERNAL")
        self.assertEqual(self.copy_in_stream(place, [bytes(MIB)] * 20)[0], "INTERNAL")
        code, text = self.copy_in_stream(self.path("/small/f"), [bytes(MIB)] * 20)
        self.assertEqual(code, "INTERNAL")
        self.assertIn("No space left", text)
        self.assertEqual(self.copy_out_stream(place + "/none")[0], "NOT_FOUND")
        self.assertEqual(self.copy_out_stream(place)[0], "INTERNAL")

    def test_slow_client_of_copy_out(self):
        place = self.new()
        write(place + "/big", bytes(100 * MIB))
        call = self.agent.channel.unary_stream(SERVICE + "CopyOut")(field(1, (place + "/big").encode()))
        next(call)
        time.sleep(1)
        if not SANITIZED:
            self.assertLess(self.agent.rss_kib(), 6000)
        self.assertEqual(sum(len(m) for m in call) // MIB, 100)

    def test_cancel(self):
        place = self.new()
        stop = threading.Event()

        def chunks():
            yield field(1, field(1, (place + "/f").encode()))
            while not stop.is_set():
                yield field(2, bytes(1000))
                time.sleep(0.01)

        call = self.agent.channel.stream_unary(SERVICE + "CopyIn").future(chunks())
        self.assertTrue(wait_until(lambda: self.workers() and os.path.exists(place + "/f")))
        call.cancel()
        stop.set()
        self.assertTrue(wait_until(lambda: not self.workers()))


class OtherTest(FilesTest):
    def status(self, method, **fields):
        return self.agent.status(method, **fields)[0]

    def fs(self, path, **fields):
        return self.status("FilesystemOperation", path=path, **fields)

    def test_stat_follows_links_inside(self):
        place = self.new()
        write(place + "/file", b"x" * 12)
        os.symlink(self.inner(place) + "/file", place + "/link")
        self.assertEqual(self.agent.call("Stat", path=place + "/link").stat.size, 12)
        self.assertEqual(self.status("Stat", path=place + "/none"), "NOT_FOUND")
        below = self.agent.call("Stat", path=place + "/file/x")
        self.assertFalse(below.HasField("stat"))
        self.assertIn("Not a directory", below.error)
        self.assertGreaterEqual(self.agent.call("Stat", path=self.rootfs).stat.nlink, 2)

    def test_write_file_in_a_container(self):
        place = self.new()
        flags = pb.WriteFileRequest.WriteFileFlags
        self.assertEqual(self.status("WriteFile", path=place + "/f", data=b"abcdef"), "INTERNAL")
        self.assertEqual(self.status("WriteFile", path=place + "/p/f", data=b"abcdef", mode=0o666,
                                     flags=flags(create_if_missing=True, create_parent_dirs=True)), "OK")
        self.assertEqual(stat.S_IMODE(os.stat(place + "/p/f").st_mode), 0o666)
        self.assertEqual(self.status("WriteFile", path=place + "/p/f", data=b"XY"), "OK")
        self.assertEqual(read(place + "/p/f"), b"XYcdef")
        self.assertEqual(self.status("WriteFile", path=place, data=b"x"), "INTERNAL")

    # A file system of the host is never frozen here: all that is asked for is refused.
    def test_filesystem_operation_statuses(self):
        params = {"freeze": pb.FiFreezeParams()}
        place = self.new()
        self.assertEqual(self.fs("relative", **params), "INVALID_ARGUMENT")
        self.assertEqual(self.fs(place + "/none", **params), "NOT_FOUND")
        self.assertEqual(self.fs(place), "INVALID_ARGUMENT")
        self.assertEqual(self.fs(place, trim=pb.FiTrimParams()), "INVALID_ARGUMENT")
        os.symlink("/mnt", place + "/link")
        self.assertEqual(self.fs(place + "/link", **params), "INTERNAL")
        os.mkfifo(place + "/fifo")
        self.assertEqual(self.fs(place + "/fifo", **params), "INTERNAL")
        # The container's tmpfs knows neither.
        for operation in (params, {"trim": pb.FiTrimParams(one_shot=pb.FiTrimParams.OneShot())}):
            code, text = self.agent.status("FilesystemOperation", path=self.path("/mnt"), **operation)
            self.assertEqual(code, "INTERNAL")


if __name__ == "__main__":
    unittest.main()
