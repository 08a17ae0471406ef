# SPDX-License-Identifier: Apache-2.0
"""ArchiveStat, ArchiveGet, ArchivePut: files as Docker copies them, and archives that mean harm."""

import io
import os
import shutil
import stat
import struct
import subprocess
import tarfile
import time
import unittest

from agent_client import SANITIZED, Process, make_spec, wait_until
from agent_files import MIB, FilesTest, archive, entry

DIR, LINK, HARD, FIFO, CHAR = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)  # cap_net_bind_service=ep


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data=b""):
    with open(path, "wb") as f:
        f.write(data)


class ArchiveTest(FilesTest):
    def assertPut(self, result, entries=None):
        self.assertEqual(result.code, "OK", result.text)
        if entries is not None:
            self.assertEqual(result.replies[0].entries, entries)

    def stat(self, path, follow=False):
        return self.agent.extra("ArchiveStat", container_id="box", path=path, follow=follow)

    # ---- stat ----

    def test_stat(self):
        place = self.new()
        write(place + "/file", b"12345")
        os.symlink("file", place + "/link")
        os.utime(place + "/file", ns=(1, 1234567890123456789))
        inner = self.inner(place)
        got = self.stat(inner + "/file")
        self.assertEqual((got.name, got.size, got.link_target), ("file", 5, ""))
        self.assertEqual(got.mode, os.stat(place + "/file").st_mode)
        self.assertEqual((got.mtime.seconds, got.mtime.nanos), (1234567890, 123456789))
        link = self.stat(inner + "/link")
        self.assertEqual((link.name, link.link_target, stat.S_ISLNK(link.mode)), ("link", "file", True))
        followed = self.stat(inner + "/link", follow=True)
        self.assertEqual((followed.size, followed.link_target), (5, ""))
        for path, name in (("/", "/"), ("//.", "/"), (inner + "/", inner[1:]), (inner + "/.", inner[1:]),
                           (inner + "/../bin/..", "/"), ("/home/app/..", "home")):
            self.assertEqual(self.stat(path).name, name, path)
        os.symlink(b"\xff\xfe", place + "/odd")
        self.assertEqual(self.stat(inner + "/odd").link_target, "??")

    def test_statuses(self):
        port = {"vsock_port": 99}
        for method, fields in (("ArchiveStat", {}), ("ArchiveGet", port), ("ArchivePut", port)):
            status = lambda f=fields, m=method, **more: self.agent.extra_status(m, **{**f, **more})[0]
            self.assertEqual(status(container_id="nobody", path="/"), "NOT_FOUND")
            self.assertEqual(status(container_id="../box", path="/"), "NOT_FOUND")
            self.assertEqual(status(container_id="box", path="/none"), "NOT_FOUND")
            self.assertEqual(status(container_id="box", path="relative"), "INVALID_ARGUMENT")
            self.assertEqual(status(container_id="box", path=""), "INVALID_ARGUMENT")
            if fields:
                self.assertEqual(status(container_id="box", path="/", vsock_port=0), "INVALID_ARGUMENT")
                self.assertNotEqual(status(container_id="box", path="/bin"), "OK")
        self.assertEqual(self.put("/etc/passwd", archive()).code, "INVALID_ARGUMENT")

    # ---- there and back ----

    def make_everything(self, place):
        os.makedirs(place + "/sub/empty")
        write(place + "/file", os.urandom(70000))
        write(place + "/nothing")
        os.link(place + "/file", place + "/sub/same")
        os.symlink("/nowhere/at/all", place + "/link")
        os.symlink("x" * 3000, place + "/longlink")
        os.mkfifo(place + "/fifo", 0o620)
        os.mknod(place + "/dev", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        long = place + "/" + "/".join(["d" * 200] * 5)
        os.makedirs(long)
        write(long + "/" + "n" * 255, b"long")
        write(place + "/\u00fcml\u00e4ut", b"text")
        write(os.fsencode(place) + b"/\xff\xfe", b"no text")
        write(place + "/setuid")
        os.chown(place + "/setuid", 1000, 3000000)
        os.chmod(place + "/setuid", 0o6755)
        os.setxattr(place + "/file", "user.note", b"with\0zero\n")
        os.setxattr(place + "/nothing", "security.capability", CAPABILITY)
        os.setxattr(place + "/sub", "user.of", b"directory")
        with open(place + "/sparse", "wb") as f:
            f.truncate(50 * MIB)
            for at in (0, 10 * MIB + 4096, 30 * MIB):
                f.seek(at)
                f.write(b"data" * 1024)
        with open(place + "/hole", "wb") as f:
            f.truncate(5 * MIB)
        os.chmod(place + "/sub/empty", 0o1777)
        for path in (place + "/sub/empty", place + "/sub", place + "/file", place + "/link"):
            os.utime(path, ns=(5, -1500000000), follow_symlinks=False)
        os.utime(place + "/nothing", ns=(5, 4000000000123456789))

    def describe(self, place):
        out = {}
        for directory, dirs, files in os.walk(os.fsencode(place)):
            for name in [b""] + dirs + files:
                path = os.path.join(directory, name) if name else directory
                st = os.lstat(path)
                what = [st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns, st.st_rdev, st.st_nlink]
                if stat.S_ISLNK(st.st_mode):
                    what.append(os.readlink(path))
                else:
                    what.append(sorted((a, os.getxattr(path, a)) for a in os.listxattr(path)))
                if stat.S_ISREG(st.st_mode):
                    what += [st.st_size, hash(read(path)), st.st_blocks * 512 < st.st_size]
                out[os.path.relpath(path, os.fsencode(place))] = what
        return out

    def test_everything_round_trip(self):
        source, target = self.new(), self.new()
        self.make_everything(source)
        want = self.describe(source)
        got = self.get(self.inner(source))
        self.assertEqual(got.code, "OK", got.text)
        self.assertLess(len(got.data), 2 * MIB)
        self.assertPut(self.put(self.inner(target), got.data))
        self.assertEqual(self.describe(os.path.join(target, os.path.basename(source))), want)

    def test_others_read_what_we_write(self):
        source, base = self.new(), None
        self.make_everything(source)
        base = os.path.basename(source)
        got = self.get(self.inner(source))
        tar = tarfile.open(fileobj=io.BytesIO(got.data))
        members = {m.name: m for m in tar.getmembers()}
        self.assertTrue(members[base].isdir())
        self.assertTrue(members[base + "/sparse"].issparse())
        self.assertEqual(tar.extractfile(members[base + "/sparse"]).read(), read(source + "/sparse"))
        self.assertAlmostEqual(members[base + "/nothing"].mtime, 4000000000.123456, 5)
        self.assertEqual(members[base + "/setuid"].gid, 3000000)
        self.assertEqual(members[base + "/file"].pax_headers["SCHILY.xattr.user.note"], "with\0zero\n")
        gnu = self.outside("gnu")
        os.makedirs(gnu)
        self.addCleanup(shutil.rmtree, gnu)
        subprocess.run(["tar", "--xattrs", "--xattrs-include=*", "-xpf", "-", "-C", gnu], input=got.data, check=True)
        self.assertEqual(self.describe(f"{gnu}/{base}"), self.describe(source))

    def test_we_read_what_others_write(self):
        source = self.new()
        self.make_everything(source)
        base = os.path.basename(source)
        for form in ("--format=gnu", "--format=pax", "--format=pax --sparse", "--format=gnu --sparse"):
            target = self.new()
            data = subprocess.run(
                ["tar", *form.split(), "-cf", "-", "-C", self.rootfs, base], check=True, capture_output=True).stdout
            self.assertPut(self.put(self.inner(target), data))
            a, b = self.describe(source), self.describe(f"{target}/{base}")
            # These formats know neither attributes nor, one of them, parts of a second; without
            # being asked tar writes holes as zeros.
            for d in (a, b):
                for what in d.values():
                    what[3] //= 10**9
                    what[6:] = what[7:9] if stat.S_ISREG(what[0]) else what[7:]
            self.assertEqual(b, a, form)

    def test_single_things(self):
        place = self.new()
        write(place + "/file", b"content")
        os.symlink("file", place + "/link")
        inner = self.inner(place)
        tar = self.get_tar(inner + "/file")
        self.assertEqual(tar.getnames(), ["file"])
        self.assertEqual(tar.extractfile("file").read(), b"content")
        self.assertTrue(self.get_tar(inner + "/link").getmember("link").issym())
        self.assertTrue(self.get_tar(inner + "/link", follow=True).getmember("link").isreg())
        self.assertEqual(self.get_tar("/etc/").getmember("etc/passwd").size, os.path.getsize(self.rootfs + "/etc/passwd"))
        self.assertEqual(self.get_tar(inner + "/.").getnames()[0], os.path.basename(place))

    def test_root_without_what_the_kernel_makes_up(self):
        names = self.get_tar("/").getnames()
        self.assertIn("./etc/passwd", names)
        self.assertIn("./proc", names)
        self.assertFalse([n for n in names if n.startswith("./proc/")])

    def test_container_view(self):
        self.assertPut(self.put("/mnt", archive(entry("tree", type=DIR, mode=0o750), entry("tree/f", b"seen"))), 2)
        self.assertEqual(self.sh("cat /mnt/tree/f; stat -c %a /mnt/tree"), b"seen750\n")
        self.assertFalse(os.path.exists(self.rootfs + "/mnt/tree"))
        self.assertEqual(self.get_tar("/mnt/tree").extractfile("tree/f").read(), b"seen")

    def test_big_file_and_many_small_ones(self):
        place, data = self.new(), os.urandom(MIB)
        big = archive(entry("big", data * 200))
        self.assertPut(self.put(self.inner(place), big))
        self.assertEqual(os.path.getsize(place + "/big"), 200 * MIB)
        got = self.get(self.inner(place) + "/big")
        self.assertTrue(tarfile.open(fileobj=io.BytesIO(got.data)).extractfile("big").read() == data * 200)
        many = archive(*(entry(f"d{i // 100}/f{i}", b"%d" % i) for i in range(10000)))
        self.assertPut(self.put(self.inner(place), many), 10000)
        self.assertEqual(read(f"{place}/d99/f9999"), b"9999")
        self.assertEqual(len(self.get_tar(self.inner(place)).getnames()), 10102)
        shutil.rmtree(place)

    # ---- Docker's rules ----

    def test_owners(self):
        data = archive(entry("f", b"x", uid=12345, gid=54321), entry("d", type=DIR, uid=7, gid=8, mode=0o755))
        for keep, want in ((True, [(12345, 54321), (7, 8)]), (False, [(0, 0), (0, 0)])):
            place = self.new()
            os.chmod(place, 0o2777)
            os.chown(place, 0, 99)
            self.assertPut(self.put(self.inner(place), data, keep_owners=keep))
            self.assertEqual([(s.st_uid, s.st_gid) for s in (os.stat(f"{place}/{n}") for n in "fd")], want)

    def test_types_are_kept_if_asked(self):
        place = self.new()
        inner = self.inner(place)
        os.makedirs(place + "/dir/with/things")
        write(place + "/file", b"old")
        onto_dir, onto_file = archive(entry("dir", b"x")), archive(entry("file", type=DIR, mode=0o755))
        for data, text in ((onto_dir, "cannot overwrite directory"), (onto_file, "cannot overwrite non-directory")):
            got = self.put(inner, data, keep_types=True)
            self.assertEqual(got.code, "INVALID_ARGUMENT")
            self.assertIn(text, got.text)
        self.assertTrue(os.path.isdir(place + "/dir/with/things"))
        self.assertPut(self.put(inner, onto_dir))
        self.assertPut(self.put(inner, onto_file))
        self.assertTrue(os.path.isfile(place + "/dir") and os.path.isdir(place + "/file"))

    def test_what_is_there_is_replaced_not_written_through(self):
        place = self.new()
        write(place + "/victim", b"untouched")
        os.symlink("victim", place + "/link")
        os.link(place + "/victim", place + "/hard")
        os.mkfifo(place + "/fifo")
        self.assertPut(self.put(self.inner(place), archive(*(entry(n, b"new") for n in ("link", "hard", "fifo")))))
        self.assertEqual(read(place + "/victim"), b"untouched")
        self.assertEqual([read(f"{place}/{n}") for n in ("link", "hard", "fifo")], [b"new"] * 3)

    def test_mount_point_is_written_in_its_place(self):
        write(self.bound, b"something longer")
        self.assertPut(self.put("/", archive(entry("bound", b"new", mode=0o640))))
        self.assertEqual(read(self.bound), b"new")
        self.assertEqual(self.sh("stat -c '%a ' /bound; cat /bound"), b"640 \nnew")
        for member in (entry("bound", type=LINK, linkname="x"), entry("bound", type=FIFO), entry("mnt", b"x")):
            self.assertEqual(self.put("/", archive(member)).code, "INTERNAL")
        self.assertEqual(self.sh("cat /bound"), b"new")

    def test_mounts_of_the_container_are_not_emptied(self):
        self.sh("mkdir -p /mnt/holder/point /mnt/volume; echo kept > /mnt/volume/f")
        # The same file system twice, as volumes may be.
        spec = make_spec(self.rootfs, ["sh", "-c", "mount -o bind /mnt/volume /mnt/holder/point"])
        spec["process"]["capabilities"] = {k: ["CAP_SYS_ADMIN"] for k in ("bounding", "effective", "permitted")}
        self.assertEqual(Process(self.agent, "box", "mounter", spec).run(), (0, b"", b""))
        got = self.put("/mnt", archive(entry("holder", b"x")))
        self.assertEqual(got.code, "INTERNAL")
        self.assertIn("mounted", got.text)
        self.assertEqual(self.sh("cat /mnt/volume/f /mnt/holder/point/f"), b"kept\nkept\n")

    def test_directory_that_is_there_keeps_its_content(self):
        place = self.new()
        os.mkdir(place + "/d")
        write(place + "/d/kept", b"k")
        data = archive(entry("d", type=DIR, mode=0o700, mtime=1000), entry("d/new", b"n"))
        self.assertPut(self.put(self.inner(place), data))
        self.assertEqual(sorted(os.listdir(place + "/d")), ["kept", "new"])
        st = os.stat(place + "/d")
        self.assertEqual((stat.S_IMODE(st.st_mode), st.st_mtime), (0o700, 1000))

    def test_leading_slash_means_the_destination(self):
        place = self.new()
        self.assertPut(self.put(self.inner(place), archive(entry("/abs/f", b"x"))))
        self.assertEqual(read(place + "/abs/f"), b"x")

    def test_links_of_the_root_lead_where_the_container_goes(self):
        place = self.new("real")
        os.symlink(self.inner(place), self.rootfs + "/alias")
        self.addCleanup(os.unlink, self.rootfs + "/alias")
        self.assertPut(self.put("/", archive(entry("alias/f", b"x"))))
        self.assertEqual(read(place + "/f"), b"x")

    # ---- archives that mean harm ----

    def refused(self, entries, named, place=None):
        place = place or self.new()
        got = self.put(self.inner(place), archive(entry("fine", b"1"), *entries))
        self.assertNotEqual(got.code, "OK", named)
        self.assertIn(f'entry "{named}"', got.text)
        return place

    def outsider(self):
        """A directory beside the destination that nothing may get into."""
        place = self.new("other")
        write(place + "/file", b"untouched")
        return place

    def assertUntouched(self, other):
        self.assertEqual(os.listdir(other), ["file"])
        self.assertEqual(read(other + "/file"), b"untouched")

    def test_names_that_lead_up(self):
        for name in ("..", "../x", "a/../../x", "a/..", "./../x", "/../x"):
            self.refused([entry(name, b"x")], name)
        self.assertFalse(os.path.exists(self.rootfs + "/x"))

    def test_write_through_a_link(self):
        other = self.outsider()
        base = os.path.basename(other)
        for target in (self.inner(other), "../" + base, f"../../../../../..{self.inner(other)}", "/", "/proc/1/root"):
            for member in (entry("l/planted", b"x"), entry("l/file", b"x"), entry("l/d", type=DIR),
                           entry("l/s", type=LINK, linkname="x"), entry("l/h", type=HARD, linkname="fine")):
                name = member[0].name + ("/" if member[0].isdir() else "")
                self.refused([entry("l", type=LINK, linkname=target), member], name)
        self.assertUntouched(other)
        # One that was there before leads nowhere else either.
        place = self.new()
        os.symlink(self.inner(other), place + "/l")
        self.refused([entry("l/planted", b"x")], "l/planted", place)
        self.assertUntouched(other)
        # A link within may be followed.
        place = self.new()
        self.assertPut(self.put(self.inner(place), archive(
            entry("d", type=DIR, mode=0o755), entry("l", type=LINK, linkname="d"), entry("l/f", b"in"))))
        self.assertEqual(read(place + "/d/f"), b"in")

    def test_hard_links_out(self):
        other = self.outsider()
        for target in (f"../{os.path.basename(other)}/file", "../../etc/passwd", "..", ".", ""):
            self.refused([entry("h", type=HARD, linkname=target)], "h")
        self.refused([entry("l", type=LINK, linkname=self.inner(other)), entry("h", type=HARD, linkname="l/file")], "h")
        # A link is linked itself, and what then is written replaces it.
        place = self.new()
        self.assertPut(self.put(self.inner(place), archive(
            entry("l", type=LINK, linkname=self.inner(other) + "/file"), entry("h", type=HARD, linkname="l"),
            entry("h", b"x"))))
        self.assertUntouched(other)
        self.assertEqual(read(place + "/h"), b"x")
        # To itself it is no change, to what is missing a failure.
        self.assertPut(self.put(self.inner(place), archive(entry("s", b"s"), entry("s", type=HARD, linkname="s"))))
        self.assertEqual(read(place + "/s"), b"s")
        self.refused([entry("h", type=HARD, linkname="missing")], "h")

    def test_twice_and_in_turns(self):
        place = self.new()
        self.assertPut(self.put(self.inner(place), archive(
            entry("x", b"1"), entry("x", b"2"), entry("d", type=DIR, mode=0o755), entry("d/in", b"3"),
            entry("d", type=LINK, linkname="x"), entry("d", type=DIR, mode=0o755), entry("d/again", b"4"))))
        self.assertEqual((read(place + "/x"), os.listdir(place + "/d")), (b"2", ["again"]))
        # The directory that a name stood for is not written to any more once it is a link.
        other = self.outsider()
        self.refused([entry("d", type=DIR, mode=0o755), entry("d/one", b"1"),
                      entry("d", type=LINK, linkname=self.inner(other)), entry("d/two", b"2")], "d/two")
        self.assertUntouched(other)

    def test_sizes_and_names_beyond_limits(self):
        self.refused([entry("n" * 256, b"x")], "n" * 200)
        self.refused([entry("/".join(["d"] * 3000), b"x")], ("d/" * 100))
        place = self.new()
        huge = tarfile.TarInfo("huge")
        huge.size = 1 << 60
        raw = archive(entry("fine", b"1"))[:1024] + huge.tobuf(tarfile.GNU_FORMAT) + b"x" * 1000
        got = self.put(self.inner(place), raw)
        self.assertEqual(got.code, "INVALID_ARGUMENT", got.text)
        self.assertIn('entry "huge"', got.text)
        self.assertFalse(os.path.exists(place + "/huge"))
        # A file of nothing but a hole, larger than a file can be on most file systems.
        sparse = tarfile.TarInfo("hole")
        sparse.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "hole",
                              "GNU.sparse.realsize": str((1 << 63) - 1)}
        block = f"1\n{(1 << 63) - 1}\n0\n".encode().ljust(512, b"\0")
        sparse.size = len(block)
        got = self.put(self.inner(place), archive((sparse, block)))
        if got.code == "OK":
            self.assertEqual(os.stat(place + "/hole").st_size, (1 << 63) - 1)
        else:
            self.assertIn(got.code, ("INTERNAL", "INVALID_ARGUMENT"), got.text)

    def test_owners_beyond_limits(self):
        for fields in ({"uid": 1 << 40}, {"gid": (1 << 32) - 1}):
            info, data = entry("f", b"x")
            info.pax_headers = {key: str(value) for key, value in fields.items()}
            self.refused([(info, data)], "f")

    def test_times_before_1970_and_far_away(self):
        place = self.new()
        members = []
        for i, when in enumerate(("-1", "-0.5", "-2147483648", "4294967296.999999999", "9223372036854775807", "x")):
            info, data = entry(f"f{i}", b"x")
            info.pax_headers = {"mtime": when}
            members.append((info, data))
        self.assertPut(self.put(self.inner(place), archive(*members)))
        self.assertEqual(os.stat(place + "/f0").st_mtime_ns, -10**9)

    def test_attributes_that_do_not_travel(self):
        place = self.new()
        info, data = entry("f", b"x")
        info.pax_headers = {"SCHILY.xattr.trusted.overlay.opaque": "y", "SCHILY.xattr.user.fine": "v",
                            "SCHILY.xattr.security.selinux": "u"}
        self.assertPut(self.put(self.inner(place), archive((info, data))))
        self.assertEqual(os.listxattr(place + "/f"), ["user.fine"])

    def test_archives_cut_short_and_junk(self):
        place = self.new()
        whole = archive(entry("a", b"1" * 1000), entry("b", os.urandom(50000)))
        for n in (1, 511, 513, 1000, 5000, 30000):
            got = self.put(self.inner(place), whole[:n])
            self.assertEqual(got.code, "INVALID_ARGUMENT", n)
        for junk in (b"junk" * 1000, os.urandom(10000)):
            self.assertEqual(self.put(self.inner(place), junk).code, "INVALID_ARGUMENT")
        self.assertPut(self.put(self.inner(place), b""), 0)
        self.assertPut(self.put(self.inner(place), archive() + bytes(MIB)), 0)

    def test_devices_and_fifos_are_made_and_never_opened(self):
        place = self.new()
        self.assertPut(self.put(self.inner(place), archive(
            entry("fifo", type=FIFO, mode=0o600), entry("zero", type=CHAR, mode=0o666, devmajor=1, devminor=5))))
        self.assertTrue(stat.S_ISFIFO(os.lstat(place + "/fifo").st_mode))
        self.assertEqual(os.lstat(place + "/zero").st_rdev, os.makedev(1, 5))
        names = {m.name: m.type for m in self.get_tar(self.inner(place))}
        self.assertEqual(sorted(names.values()), [CHAR, DIR, FIFO])

    def test_deep_trees_end(self):
        place = self.new()
        self.sh(f"cd {self.inner(place)}; i=0; while [ $i -lt 600 ]; do mkdir d; cd d; i=$((i+1)); done")
        got = self.get(self.inner(place))
        self.assertNotEqual(got.code, "OK")
        self.assertIn("nested too deep", got.text)
        self.sh(f"rm -rf {self.inner(place)}")

    def test_tree_that_changes_meanwhile(self):
        place = self.new()
        for i in range(500):
            write(f"{place}/f{i}", b"x" * 5000)
        spec_end = place + "/stop"
        p = self.looping(
            self.inner(spec_end), f"cd {self.inner(place)}", "for i in 1 2 3 4 5 6 7 8 9; do rm -f f$i; "
            "ln -s /etc/passwd f$i; rm -f f$i; mkfifo f$i; rm -f f$i; echo x > f$i; : > f1$i; done")
        for _ in range(5):
            got = self.get(self.inner(place))
            self.assertEqual(got.code, "OK", got.text)
            tarfile.open(fileobj=io.BytesIO(got.data)).getmembers()
        write(spec_end)
        p.wait()

    def test_directory_that_becomes_a_link_meanwhile(self):
        other, place = self.outsider(), self.new()
        os.mkdir(place + "/d")
        p = self.looping(self.inner(place) + "/stop", f"cd {self.inner(place)}",
                         f"mv d e; ln -s {self.inner(other)} d; rm d; mv e d")
        data = archive(*(entry(f"d/{name}", b"x" * 100) for i in range(30) for name in ("file", f"f{i}")))
        for _ in range(40):
            self.put(self.inner(place), data)
        write(place + "/stop")
        p.wait()
        self.assertUntouched(other)
        # Directories in directories, more of them the longer it took.
        self.sh(f"rm -rf {self.inner(place)}")

    def looping(self, end, first, script):
        """A process of the container that does the same over and over, until a file is there."""
        script = f"{first}; while [ ! -e {end} ]; do {script}; done"
        p = Process(self.agent, "box", f"loop{self.count}", make_spec(self.rootfs, ["sh", "-c", script]), ())
        p.start()
        return p

    def test_client_gone(self):
        stream = self.agent.stream()
        call = self.agent.extra_future("ArchivePut", container_id="box", path="/tmp", vsock_port=stream.port)
        conn = stream.accept()
        conn.sendall(archive(entry("f", b"x"))[:700])
        self.assertTrue(self.workers())
        call.cancel()
        self.assertTrue(wait_until(lambda: not self.workers()))
        stream.close()

    @unittest.skipIf(SANITIZED, "a sanitizer's memory is its own")
    def test_memory_of_the_work_is_bounded(self):
        # A map of holes without end.
        info = tarfile.TarInfo("map")
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "map",
                            "GNU.sparse.realsize": "1000000000"}
        body = b"100000000\n" + b"".join(b"%d\n0\n" % i for i in range(2000000))
        info.size = len(body)
        got = self.put("/mnt", archive((info, body)))
        self.assertNotEqual(got.code, "OK")
        self.assertLess(self.agent.rss_kib(), 4096)


if __name__ == "__main__":
    unittest.main()
