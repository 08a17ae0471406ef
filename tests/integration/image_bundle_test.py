#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""coffer bundle: images as directories that coffer-oci, runc and crun run, as root and as an
ordinary user; and what is refused, of which nothing may stay."""

import gzip
import json
import os
import shutil
import stat
import sys
import tempfile
import unittest

from image_box import (RANGE, USER, HARD, Ordinary, Store, busybox, directory, entry, has, layer, link, run)

BIN = sys.argv.pop(1)
BASE = busybox()
UPPER = layer(entry(".wh.gone"), entry("lower/.wh..wh..opq"), entry("lower/new", b"new"),
              entry("closed/.wh.file"), entry("home/app/file", b"mine", mode=0o600, uid=1000, gid=1001),
              entry("suid", b"x", mode=0o4755), entry("sub/same", type=HARD, linkname="suid"))
SCRIPT = "id; pwd; echo $HOME $A; ls /; cat /home/app/file; ls /lower; stat -c %a /suid; touch /data/new"


class Bundles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp(prefix="bundle-", dir="/tmp")
        os.chmod(cls.top, 0o755)
        # Where an ordinary user can reach them.
        for name in ("coffer", "coffer-oci"):
            shutil.copy(f"{BIN}/{name}", cls.top)
        shutil.copytree(f"{BIN}/../lib", f"{cls.top}/lib", ignore=lambda d, names: [
            n for n in names if n.endswith(".p") or n.startswith("vmlinux")])
        cls.store = Store(cls.top + "/data")
        cls.store.add("app", [BASE, UPPER], User="app", Entrypoint=["/bin/sh", "-c"], Cmd=[SCRIPT],
                      WorkingDir="/home/app", Env=["A=b c", "PATH=/bin"], StopSignal="SIGQUIT",
                      ExposedPorts={"80/tcp": {}, "53/udp": {}}, Volumes={"/data": {}},
                      Labels={"org.opencontainers.image.author": "said by a label", "x.y": "z"})
        cls.store.add("root", [BASE, UPPER], Cmd=["sh", "-c", SCRIPT])
        os.makedirs(cls.top + "/work", mode=0o777)
        os.chmod(cls.top + "/work", 0o777)
        cls.n = 0

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.top)

    def new(self, name="bundle"):
        Bundles.n += 1
        return f"{self.top}/work/{name}{self.n}"

    def env(self):
        return {"COFFER_DATA": self.store.data, "LD_LIBRARY_PATH": self.top + "/lib",
                "COFFER_LIBDIR": self.top + "/lib/coffer", "XDG_RUNTIME_DIR": self.top + "/work"}

    def bundle(self, image, target, user=None):
        # A store is for its owner alone.
        owner = USER if user else 0
        run(["chown", "-R", f"{owner}:{owner}", self.store.data])
        command = [self.top + "/coffer", "bundle", "--quiet", "--pull", "never", image, target]
        if user:
            return run(user.command(*command, **self.env()))
        return run(command, env={**os.environ, **self.env()})

    def made(self, image, user=None):
        target = self.new()
        done = self.bundle(image, target, user)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.addCleanup(shutil.rmtree, target)
        with open(target + "/config.json", encoding="utf-8") as f:
            return target, json.load(f)

    def run_with(self, runtime, target, user=None):
        Bundles.n += 1
        command = [runtime, "--root", self.new("state"), "run", f"bundle-{os.getpid()}-{self.n}"]
        if user:
            return run(user.command(*command, XDG_RUNTIME_DIR=self.top + "/work"), cwd=target)
        # crun refuses a host with both kinds of control groups.
        script = 'umount /sys/fs/cgroup/unified 2> /dev/null || true; exec "$@"'
        return run(["unshare", "-m", "sh", "-c", script, "sh", *command], cwd=target)

    def check_run(self, target, want, user=None):
        for runtime in (self.top + "/coffer-oci", "runc", "crun"):
            if not has(runtime):
                print(f"{runtime} is not installed: not tried")
                continue
            with self.subTest(runtime=runtime):
                done = self.run_with(runtime, target, user)
                for words in want:
                    self.assertIn(words, done.stdout)

    # ---- as root ----

    def test_document(self):
        target, doc = self.made("app")
        process = doc["process"]
        self.assertEqual(process["args"], ["/bin/sh", "-c", SCRIPT])
        self.assertEqual(process["cwd"], "/home/app")
        self.assertEqual(process["user"], {"uid": 1000, "gid": 1001, "additionalGids": [10, 1001]})
        self.assertIn("PATH=/bin", process["env"])
        self.assertIn("A=b c", process["env"])
        self.assertIn("HOME=/home/app", process["env"])
        self.assertEqual(doc["annotations"], {
            "org.opencontainers.image.os": "linux",
            "org.opencontainers.image.architecture": doc["annotations"]["org.opencontainers.image.architecture"],
            "org.opencontainers.image.created": "2024-01-02T03:04:05Z",
            "org.opencontainers.image.author": "said by a label",
            "org.opencontainers.image.stopSignal": "SIGQUIT",
            "org.opencontainers.image.exposedPorts": doc["annotations"]["org.opencontainers.image.exposedPorts"],
            "x.y": "z"})
        self.assertEqual(sorted(doc["annotations"]["org.opencontainers.image.exposedPorts"].split(",")),
                         ["53/udp", "80/tcp"])
        self.assertEqual(stat.S_IMODE(os.stat(target).st_mode), 0o700)

    def test_root(self):
        target, _ = self.made("root")
        root = target + "/rootfs"
        self.assertEqual(sorted(os.listdir(root + "/lower")), ["new"])
        self.assertEqual(os.listdir(root + "/closed"), [])
        self.assertFalse(os.path.lexists(root + "/gone"))
        self.assertEqual(os.stat(root + "/suid").st_mode, stat.S_IFREG | 0o4755)
        self.assertTrue(os.path.samefile(root + "/suid", root + "/sub/same"))
        self.assertEqual(os.stat(root + "/home/app/file").st_uid, 1000)
        self.assertEqual(os.stat(root + "/closed").st_mtime, 1700000000)
        self.check_run(target, ["uid=0(root) gid=0(root) groups=0(root),10(wheel)", "/root\n", "mine", "4755"])

    def test_user(self):
        target, _ = self.made("app")
        self.check_run(target, ["uid=1000(app) gid=1001(app) groups=10(wheel),1001(app)",
                                "/home/app\n/home/app b c\n", "mine"])

    def test_built_in(self):
        target, doc = self.made("coffer/hello")
        doc["process"]["args"] = ["/bin/sh", "-c", "echo hello $((6 * 7))"]
        with open(target + "/config.json", "w", encoding="utf-8") as f:
            json.dump(doc, f)
        self.check_run(target, ["hello 42"])

    # ---- as an ordinary user ----

    def ordinary(self, **how):
        top = self.new("user")
        os.makedirs(top)
        user = Ordinary(top, **how)
        for program in ("true", "unshare -U true"):
            if run(user.command(*program.split())).returncode:
                self.skipTest("an ordinary user with user namespaces cannot be played here")
        return user

    def test_ordinary_with_ranges(self):
        if not has("newuidmap"):
            self.skipTest("newuidmap is not installed")
        user = self.ordinary()
        for image, want in (("app", "uid=1000(app) gid=1001(app)"), ("root", "uid=0(root) gid=0(root)")):
            target, doc = self.made(image, user)
            self.assertEqual(doc["linux"]["uidMappings"], [
                {"containerID": 0, "hostID": USER, "size": 1}, {"containerID": 1, "hostID": RANGE, "size": 65536}])
            self.assertNotIn("resources", doc["linux"])
            self.assertEqual(os.stat(target + "/rootfs/bin/busybox").st_uid, USER)
            self.assertEqual(os.stat(target + "/rootfs/home/app/file").st_uid, RANGE + 999)
            self.assertEqual(os.stat(target + "/rootfs/suid").st_mode, stat.S_IFREG | 0o4755)
            self.assertTrue(os.path.isfile(target + "/rootfs/dev/null"))
            self.check_run(target, [want, "mine"], user)

    def test_ordinary_alone(self):
        user = self.ordinary(ranges=False)
        target, doc = self.made("app", user)
        self.assertEqual(doc["linux"]["uidMappings"], [{"containerID": 0, "hostID": USER, "size": 1}])
        self.assertEqual(os.stat(target + "/rootfs/home/app/file").st_uid, USER)
        self.check_run(target, ["uid=0(root) gid=0(root)", "mine"], user)

    # ---- refused ----

    def refused(self, image, words, user=None):
        before = set(os.listdir(self.top + "/work"))
        target = self.new()
        done = self.bundle(image, target, user)
        self.assertNotEqual(done.returncode, 0)
        for w in words:
            self.assertIn(w, done.stdout)
        self.assertFalse(os.path.exists(target))
        self.assertEqual(set(os.listdir(self.top + "/work")) - before, set())
        # One that was there is left as it was.
        os.mkdir(target)
        if user:
            os.chown(target, USER, USER)
        self.assertNotEqual(self.bundle(image, target, user).returncode, 0)
        self.assertEqual(os.listdir(target), [])

    def test_refused(self):
        outside = self.new("outside")
        os.mkdir(outside)
        bad = {
            "through": layer(entry("gone/file", b"x")),
            "up": layer(entry("../file", b"x")),
            "hard": layer(entry("hard", type=HARD, linkname="../../etc/passwd")),
        }
        for name, content in bad.items():
            with self.subTest(layer=name):
                self.store.add(name, [BASE, content], Cmd=["sh"])
                self.refused(name, ["sha256:", {"through": "gone/file", "up": "../file", "hard": "hard"}[name]])
        # Links lead as in a container, and so not there.
        self.store.add("links", [BASE, layer(link("out", outside), entry("out/file", b"x"))], Cmd=["sh"])
        target, _ = self.made("links")
        self.assertEqual(os.listdir(target + "/rootfs" + outside), ["file"])
        self.assertEqual(os.listdir(outside), [])
        self.store.add("other", [BASE, (UPPER, gzip.compress(BASE, 1))], Cmd=["sh"])
        self.refused("other", ["sha256:"])
        self.store.add("nobody", [BASE], User="nobody-here")
        self.refused("nobody", ["config.json", "nobody-here"])

    def test_refused_to_an_ordinary_user(self):
        user = self.ordinary(ranges=has("newuidmap"))
        self.store.add("refused", [BASE, layer(entry("gone/file", b"x"))], Cmd=["sh"])
        self.store.add("far", [BASE, layer(entry("file", b"x", uid=3000000))], Cmd=["sh"])
        self.refused("refused", ["gone/file"], user)
        if has("newuidmap"):
            self.refused("far", ["file", "3000000"], user)

    def test_not_empty(self):
        target = self.new()
        os.makedirs(target + "/something")
        done = self.bundle("root", target)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("not empty", done.stdout)
        self.assertEqual(os.listdir(target), ["something"])

    def test_found_open(self):
        """Programs with set-user-id bits are not for others to run, also where others could look."""
        target = self.new()
        os.mkdir(target)
        os.chmod(target, 0o755)
        self.assertEqual(self.bundle("root", target).returncode, 0)
        self.assertEqual(stat.S_IMODE(os.stat(target).st_mode), 0o700)


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("only root can play all parts of this test: skipped")
        sys.exit(77)
    if not os.path.exists("/bin/busybox"):
        print("busybox-static is not installed: skipped")
        sys.exit(77)
    unittest.main(verbosity=2)
