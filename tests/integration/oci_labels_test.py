# SPDX-License-Identifier: Apache-2.0
"""AppArmor profiles of containers, in a machine whose kernel has AppArmor.

  oci_labels_test.py PROGRAMS PAYLOAD INITRD [unittest's arguments]

The profile is compiled by apparmor_parser where that is installed; without it
only what needs no profile is tested.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from guest_machine import Machine, QEMU, Root

PROGRAMS, PAYLOAD, INITRD = (os.path.abspath(a) for a in sys.argv[1:4])
DATA = os.path.join(os.path.dirname(PROGRAMS), "lib", "coffer")
PARSER = shutil.which(os.environ.get("APPARMOR_PARSER", "apparmor_parser"),
                      path=os.environ["PATH"] + ":/usr/sbin:/sbin")
SKIPPED = 77

PROFILE = """
profile coffer-test flags=(attach_disconnected,mediate_deleted) {
  file,
  capability,
  signal,
  ptrace,
  deny /forbidden rw,
}
"""
PRELUDE = """
config() { # PROGRAM's words as JSON, PROFILE
	mkdir -p /b/rootfs
	cp /payload /b/rootfs/payload
	echo secret > /b/rootfs/forbidden
	cat > /b/config.json <<END
{"ociVersion": "1.0.2", "hostname": "x", "root": {"path": "rootfs"},
 "process": {"cwd": "/", "args": $1, "user": {"uid": 0, "gid": 0},
             "apparmorProfile": "$2"},
 "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
 "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "uts"}, {"type": "ipc"}]}}
END
}
oci() {
	/usr/bin/coffer-oci --root /run/oci "$@"
}
"""


def compiled():
    """The profile as the kernel takes it, or nothing."""
    if not PARSER:
        return b""
    done = subprocess.run([PARSER, "-Q", "-K", "-S"], input=PROFILE.encode(), capture_output=True,
                          check=False)
    return done.stdout


class Labels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = Root()
        cls.profile = compiled()
        with open(os.path.join(cls.root.dir.name, "profile"), "wb") as f:
            f.write(cls.profile)
        cls.root.add(f.name, "/profile")
        cls.root.add_program(os.path.join(PROGRAMS, "coffer-oci"), "/usr/bin/coffer-oci")
        cls.root.add(PAYLOAD, "/payload")
        cls.root.make_image(64)
        with tempfile.NamedTemporaryFile(prefix="initrd-") as initrd:
            for part in (INITRD, os.path.join(DATA, "busybox.cpio")):
                with open(part, "rb") as f:
                    shutil.copyfileobj(f, initrd)
            initrd.flush()
            cls.machine = Machine(os.path.join(DATA, "vmlinux"), initrd.name, cls.root.disk,
                                  words="apparmor=1 security=apparmor")
        load = cls.run_script("mount -t securityfs s /sys/kernel/security && "
                              "cat /sys/module/apparmor/parameters/enabled && "
                              "if [ -s /profile ]; then "
                              "cat /profile > /sys/kernel/security/apparmor/.load; fi")
        if load.code != 0 or not load.out.startswith("Y"):
            raise RuntimeError(f"AppArmor: {load}")

    @classmethod
    def tearDownClass(cls):
        cls.machine.close()

    @classmethod
    def run_script(cls, script):
        return cls.machine.run(PRELUDE + script)

    def config(self, profile, *words):
        return f"config '{json.dumps(['/payload', *words])}' {profile}\n"

    def need_profile(self):
        if not self.profile:
            self.skipTest("apparmor_parser is not installed")

    def test_confined(self):
        self.need_profile()
        got = self.run_script(self.config("coffer-test", "cat", "/proc/self/attr/current")
                              + "oci run -b /b c")
        self.assertEqual((got.code, got.out), (0, "coffer-test (enforce)\n"), got)

    def test_rules_hold(self):
        self.need_profile()
        got = self.run_script(self.config("coffer-test", "cat", "/forbidden") + "oci run -b /b c")
        self.assertIn("Permission denied", got.out)
        got = self.run_script(self.config("unconfined", "cat", "/forbidden") + "oci run -b /b c")
        self.assertEqual(got.out, "secret\n", got)

    def test_exec(self):
        self.need_profile()
        got = self.run_script(self.config("coffer-test", "wait") + """
            oci run -d -b /b c > /dev/null < /dev/null
            oci exec c /payload cat /proc/self/attr/current
            oci exec --apparmor unconfined c /payload cat /proc/self/attr/current
            oci delete --force c""")
        self.assertEqual(got.out, "coffer-test (enforce)\nunconfined\n", got)

    def test_unknown_profile(self):
        got = self.run_script(self.config("no-such-profile", "exit") + "oci run -b /b c")
        self.assertEqual(got.code, 1, got)
        self.assertIn("process.apparmorProfile: write /proc/self/attr/", got.err)
        self.assertIn("No such file or directory", got.err)

    def test_unconfined(self):
        got = self.run_script(self.config("unconfined", "cat", "/proc/self/attr/current")
                              + "oci run -b /b c")
        self.assertEqual((got.code, got.out), (0, "unconfined\n"), got)


if __name__ == "__main__":
    if not QEMU or not shutil.which("mke2fs", path="/usr/sbin:/sbin"):
        print("skipped: QEMU or mke2fs is not installed")
        sys.exit(SKIPPED)
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
