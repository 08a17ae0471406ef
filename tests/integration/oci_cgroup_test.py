# SPDX-License-Identifier: Apache-2.0
"""The tests of control groups in machines whose kernel has every controller, on v2 and on v1.

  oci_cgroup_test.py PROGRAMS INITRD TEST... [unittest's arguments]

This host may have few controllers on v2, or none on v1; there what a limit
does cannot be seen.
"""

import os
import shutil
import sys
import tempfile
import unittest

from guest_machine import Machine, QEMU, Root

PROGRAMS, INITRD = (os.path.abspath(a) for a in sys.argv[1:3])
TESTS = [os.path.abspath(a) for a in sys.argv[3:] if not a.startswith("-")]
DATA = os.path.join(os.path.dirname(PROGRAMS), "lib", "coffer")
SKIPPED = 77
SECONDS = 240


class Groups(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = Root()
        for test in TESTS:
            cls.root.add_program(test, "/" + os.path.basename(test))
        cls.root.make_image(64)

    @classmethod
    def tearDownClass(cls):
        cls.root.dir.cleanup()

    def check(self, words, controllers):
        with tempfile.NamedTemporaryFile(prefix="initrd-") as initrd:
            for part in (INITRD, os.path.join(DATA, "busybox.cpio")):
                with open(part, "rb") as f:
                    shutil.copyfileobj(f, initrd)
            initrd.flush()
            machine = Machine(os.path.join(DATA, "vmlinux"), initrd.name, self.root.disk,
                              words=words)
        try:
            answer = machine.run("ls -d " + " ".join(controllers))
            self.assertEqual(answer.code, 0, answer)
            for test in TESTS:
                with self.subTest(test=test):
                    answer = machine.run("/" + os.path.basename(test), SECONDS)
                    self.assertEqual(answer.code, 0, answer)
                    self.assertIn("[  PASSED  ]", answer.out + answer.err)
        finally:
            machine.close()

    def test_v2(self):
        self.check("", ["/sys/fs/cgroup/cgroup.controllers"])

    def test_v1(self):
        self.check("cgroup=v1", ["/sys/fs/cgroup/" + c
                                 for c in ("cpu", "cpuset", "memory", "pids", "freezer")])


if __name__ == "__main__":
    if not QEMU or os.geteuid() != 0:
        print("skipped: needs qemu-system-x86_64 and root (for the image's owners)")
        sys.exit(SKIPPED)
    unittest.main(argv=[sys.argv[0]] + [a for a in sys.argv[3:] if a.startswith("-")], verbosity=2)
