#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""coffer commit and export: what a container has written as a layer, and its root as a tar."""

import io
import json
import os
import shutil
import sys
import tarfile
import tempfile
import time
import unittest

from image_box import LINK, Store, busybox, directory, layer, run

BIN = sys.argv.pop(1)
CHANGE = """set -e
rm /gone; rm -rf /lower; mkdir /lower; echo new > /lower/new
echo text > /home/app/file; chown 1000:1001 /home/app/file
ln /home/app/file /home/app/same; ln -s file /home/app/link
mv /closed/file /moved
echo 10.0.0.1 elsewhere >> /etc/hosts; echo mine > /etc/own
echo out > /volume/file
touch /ready
while :; do echo tick >> /tmp/ticks; sleep 0.1; done
"""


class Commits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp(prefix="commit-", dir="/tmp")
        cls.env = {**os.environ, "COFFER_DATA": cls.top + "/data", "COFFER_RUN": cls.top + "/run"}
        cls.store = Store(cls.top + "/data")
        cls.store.add("base", [busybox(), layer(directory("volume"))], Cmd=["sh"], Env=["A=b"], User="root",
                      Labels={"kept": "yes"})
        cls.box = cls.start("-v", cls.top + "/volume:/volume", "base", "sh", "-c", CHANGE)
        deadline = time.monotonic() + 60
        while cls.coffer("exec", cls.box, "ls", "/ready").returncode:
            if time.monotonic() > deadline:
                raise RuntimeError(cls.coffer("logs", cls.box).stdout)
            time.sleep(0.1)

    @classmethod
    def tearDownClass(cls):
        cls.coffer("rm", "-f", cls.box)
        # Who had the box may still be taking away what is its own.
        shutil.rmtree(cls.top, ignore_errors=True)

    @classmethod
    def coffer(cls, *args):
        return run([BIN + "/coffer", *args], env=cls.env)

    def well(self, *args):
        done = self.coffer(*args)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    @classmethod
    def start(cls, *args):
        os.makedirs(cls.top + "/volume", exist_ok=True)
        done = cls.coffer("run", "-d", "--quiet", *args)
        if done.returncode:
            raise RuntimeError(done.stdout)
        return done.stdout.split()[-1]

    def layer_of(self, name, n=-1):
        manifest, _ = self.store.find(name)
        return tarfile.open(fileobj=io.BytesIO(self.store.read(manifest["layers"][n]["digest"])))

    def test_layer(self):
        self.well("commit", "-q", "-m", "why", "-c", 'CMD ["ls", "-l", "/"]', "-c", 'ENV C="d e"', self.box, "made")
        with self.layer_of("made") as tar:
            members = {m.name: m for m in tar.getmembers()}
            self.assertEqual(tar.extractfile("home/app/file").read(), b"text\n")
        self.assertTrue(members[".wh.gone"].isreg())
        self.assertIn("lower/.wh..wh..opq", members)
        self.assertIn("lower/new", members)
        self.assertIn("closed/.wh.file", members)
        self.assertIn("moved", members)
        self.assertEqual((members["home/app/file"].uid, members["home/app/file"].gid), (1000, 1001))
        self.assertEqual(members["home/app/file"].islnk() + members["home/app/same"].islnk(), 1)
        self.assertEqual(members["home/app/link"].type, LINK)
        self.assertIn("etc/own", members)
        # What is only this container's, and what is mounted.
        for name in ("etc/hosts", "etc/hostname", "volume/file", "bin/busybox", "proc/1"):
            self.assertNotIn(name, members)
        manifest, config = self.store.find("made")
        self.assertEqual(manifest["layers"][:2], self.store.find("base")[0]["layers"])
        self.assertEqual(len(config["rootfs"]["diff_ids"]), 3)
        self.assertEqual(config["config"]["Cmd"], ["ls", "-l", "/"])
        self.assertEqual(sorted(config["config"]["Env"]), ["A=b", "C=d e"])
        self.assertEqual(config["config"]["Labels"], {"kept": "yes"})
        self.assertEqual(config["history"][-1]["comment"], "why")
        self.assertTrue(config["history"][-1]["created_by"].startswith("sh -c set -e"))
        self.assertEqual(self.coffer("image", "check").returncode, 0)
        # It went on afterwards.
        size = len(self.well("exec", self.box, "cat", "/tmp/ticks"))
        self.well("exec", self.box, "sh", "-c",
                  f"n=0; until [ $(wc -c < /tmp/ticks) -gt {size} ]; do n=$((n + 1)); [ $n -lt 600 ]; sleep 0.1; done")
        # And is what it was.
        seen = self.well("run", "--quiet", "made", "sh", "-c",
                         "ls /lower /closed /volume; ls -ln /home/app; cat /home/app/same; ls /gone 2>&1; echo $C")
        self.assertIn("/closed:\n\n/lower:\nnew\n\n/volume:\n", seen)
        self.assertIn("1000     1001", seen)
        self.assertIn("text\nls: /gone: No such file or directory\nd e\n", seen)

    def test_export(self):
        self.well("export", "-o", self.top + "/out.tar", self.box)
        with tarfile.open(self.top + "/out.tar") as tar:
            members = {m.name: m for m in tar.getmembers()}
        for name in ("bin/busybox", "etc/passwd", "home/app/same", "proc", "volume", "lower/new"):
            self.assertIn(name, members)
        for name in ("gone", "lower/one", "volume/file", "dev/pts"):
            self.assertNotIn(name, members)
        self.assertFalse([n for n in members if n.startswith(("proc/", "sys/"))])
        self.assertEqual(members["home/app"].uid, 1000)
        self.assertEqual(members["home/app"].mode, 0o700)

    def test_refused(self):
        before = self.well("images", "-q")
        blobs = set(os.listdir(self.store.dir + "/blobs/sha256"))
        for args, words in ((("-c", "NONSENSE x", self.box, "bad"), "NONSENSE"), ((self.box, "Bad:Name:x"), "Bad"),
                            (("nobody", "bad"), "nobody")):
            done = self.coffer("commit", "-q", *args)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(words, done.stdout)
        self.well("exec", self.box, "touch", "/tmp/.wh.x")
        done = self.coffer("commit", "-q", self.box, "bad")
        self.well("exec", self.box, "rm", "/tmp/.wh.x")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("tmp/.wh.x", done.stdout)
        self.assertEqual(self.well("images", "-q"), before)
        self.assertEqual(set(os.listdir(self.store.dir + "/blobs/sha256")), blobs)
        self.assertEqual(os.listdir(self.store.dir + "/parts"), [])

    def test_without_a_base(self):
        """The built-in root has neither layer nor image: all of it is the layer."""
        box = self.start("coffer/hello", "sh", "-c", "echo here > /made; sleep 1000")
        self.addCleanup(self.coffer, "rm", "-f", box)
        deadline = time.monotonic() + 60
        while self.coffer("exec", box, "ls", "/made").returncode and time.monotonic() < deadline:
            time.sleep(0.1)
        self.well("commit", "-q", box, "whole")
        with self.layer_of("whole") as tar:
            names = tar.getnames()
        self.assertIn("made", names)
        self.assertIn("bin/busybox", names)
        self.assertEqual(len(self.store.find("whole")[0]["layers"]), 1)
        self.assertIn("PATH=", json.dumps(self.store.find("whole")[1]["config"]["Env"]))


if __name__ == "__main__":
    if not os.path.exists("/bin/busybox"):
        print("busybox-static is not installed: skipped")
        sys.exit(77)
    unittest.main(verbosity=2)
