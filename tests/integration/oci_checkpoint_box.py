# SPDX-License-Identifier: Apache-2.0
"""Machines for tests of checkpoint and restore, whose kernel criu can work with.

  TEST PROGRAMS PAYLOAD INITRD [unittest's arguments]

The container's process counts and keeps the number in a file, which is how one
sees that it goes on, and from where.
"""

import json
import os
import shutil
import sys
import tempfile
import textwrap
import unittest

from guest_machine import Machine, QEMU, Root

PROGRAMS, PAYLOAD, INITRD = (os.path.abspath(a) for a in sys.argv[1:4])
OCI = os.path.join(PROGRAMS, "coffer-oci")
DATA = os.path.join(os.path.dirname(PROGRAMS), "lib", "coffer")
SKIPPED = 77

# What criu runs, beside itself.
TOOLS = ["/usr/sbin/criu", "/usr/bin/tar", "/usr/bin/gzip", "/usr/sbin/ip",
         "/usr/bin/flock",
         "/usr/sbin/xtables-nft-multi"]
FIREWALL = ["iptables", "iptables-save", "iptables-restore",
            "ip6tables", "ip6tables-save", "ip6tables-restore"]
PLUGINS = "/usr/lib/x86_64-linux-gnu/xtables"

MOUNTS = [
    ("/proc", "proc", "proc", []),
    ("/dev", "tmpfs", "tmpfs", ["nosuid", "mode=755", "size=65536k"]),
    ("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666",
                                      "mode=0620"]),
    ("/dev/shm", "tmpfs", "shm", ["nosuid", "nodev", "noexec", "mode=1777"]),
    ("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
    ("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
    ("/sys/fs/cgroup", "cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ("/run", "tmpfs", "tmpfs", ["nosuid", "nodev", "mode=755"]),
]
MASKED = ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"]
READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
MEMORY = 64 << 20


def document(args, mounts=(), namespaces=("pid", "network", "ipc", "uts", "mount"), **more):
    """A config.json as an engine of containers makes it."""
    linux = {
        "namespaces": [n if isinstance(n, dict) else {"type": n} for n in namespaces],
        "maskedPaths": MASKED, "readonlyPaths": READONLY,
        "resources": {"memory": {"limit": MEMORY},
                      "devices": [{"allow": False, "access": "rwm"},
                                  *({"allow": True, "type": "c", "major": 1, "minor": n,
                                     "access": "rwm"} for n in (3, 5, 7, 8, 9)),
                                  {"allow": True, "type": "c", "major": 5, "access": "rwm"},
                                  {"allow": True, "type": "c", "major": 136, "access": "rwm"}]},
        **more.pop("linux", {}),
    }
    process = {"cwd": "/", "args": args, "env": ["PATH=/"], "user": {"uid": 0, "gid": 0},
               **more.pop("process", {})}
    return {
        "ociVersion": "1.0.2", "process": process, "root": {"path": "rootfs"},
        "hostname": "counter", "linux": linux,
        "mounts": [{"destination": d, "type": t, "source": s, "options": o}
                   for d, t, s, o in [*MOUNTS, *mounts]],
        **more,
    }


def bind(source, target, *options):
    return (target, "bind", source, ["rbind", *options])


def root_of_machine(more, fill):
    """The disk of a machine. @more: further programs, @fill: adds further files"""
    root = Root()
    for tool in [*TOOLS, *more]:
        root.add_program(tool)
    for name in FIREWALL:
        os.symlink("xtables-nft-multi", root.path + "/usr/sbin/" + name)
    root.add(PLUGINS)
    root.add_program(OCI, "/usr/bin/coffer-oci")
    root.add(PAYLOAD, "/payload")
    fill(root)
    root.make_image(128 + 64 * len(more))
    return root


def start_machine(root, words=""):
    with tempfile.NamedTemporaryFile(prefix="initrd-") as initrd:
        for part in (INITRD, os.path.join(DATA, "busybox.cpio")):
            with open(part, "rb") as f:
                shutil.copyfileobj(f, initrd)
        initrd.flush()
        return Machine(os.path.join(DATA, "vmlinux"), initrd.name, root.disk, words=words)


# Functions of the scripts that run in the machine.
PRELUDE = """
cd /b
ip=/usr/sbin/ip # not the shell's own
number() { echo $((10#$(cat $1 2>/dev/null || echo 0))); }
grows() { # FILE ABOVE: its number does, and is above the other
	local i
	for i in $(seq 1200); do
		[ $(number $1) -gt $2 ] && break
		sleep 0.05
	done
	before=$(number $1)
	[ $before -gt $2 ] || { echo "$1: $before is not above $2"; exit 1; }
	for i in $(seq 600); do
		[ $(number $1) -gt $before ] && return
		sleep 0.05
	done
	echo "$1 stays at $before"
	exit 1
}
status() { coffer-oci state $1 | sed -n 's/.*"status": "\\([a-z]*\\)".*/\\1/p'; }
pid() { coffer-oci state $1 | sed -n 's/.*"pid": \\([0-9]*\\).*/\\1/p'; }
oci() { coffer-oci "$@" </dev/null >/dev/null; }
fail() { echo "$*"; exit 1; }
soon() { # COMMAND...: it succeeds, if not at once
	local i
	for i in $(seq 1200); do
		"$@" && return
		sleep 0.05
	done
	fail "never true: $*"
}
has_status() { [ "$(status $1)" = $2 ]; }
listens() { grep -q " 00010000 .* $1\\$" /proc/net/unix; } # SOCKET: somebody does
runs() { ps -o args | grep -q "$1"; } # PATTERN, which is not to match itself
ended() { ! runs "$1"; }
traces() { # everything of containers that is there
	ls /run/coffer-oci 2>/dev/null
	find /sys/fs/cgroup -type d -path '*/coffer*' -name 'c[0-9]*'
	grep /run/coffer-oci /proc/mounts
	ps -o args | grep '[/]payload [a-z]' | grep -v -e collect -e console
	true
}
no_traces() { left=$(traces); [ -z "$left" ]; }
set -e
"""


class InMachine(unittest.TestCase):
    """Each test has a bundle /b and may use what ids begin with c."""

    WORDS = ""    # on the kernel's command line
    PROGRAMS = () # in the machine, beside what criu needs

    @classmethod
    def setUpClass(cls):
        missing = why_no_machine(cls.PROGRAMS)
        if missing:
            raise unittest.SkipTest(missing)
        cls.root = root_of_machine(cls.PROGRAMS, cls.fill)
        cls.machine = start_machine(cls.root, cls.WORDS)

    @classmethod
    def fill(cls, root):
        """Add files to the disk."""

    @classmethod
    def tearDownClass(cls):
        cls.machine.close()

    def setUp(self):
        self.script("rm -rf /b /img /vol; mkdir -p /b/rootfs /img /vol; cp /payload /b/rootfs")

    def tearDown(self):
        self.machine.run("for c in /run/coffer-oci/*; do coffer-oci delete -f ${c##*/}; done; "
                         "killall -9 payload criu; umount -l /run/coffer-oci/*/criu-root")

    def script(self, text, seconds=480):
        answer = self.machine.run(PRELUDE + textwrap.dedent(text), seconds)
        if answer.code:
            logs = self.machine.run("grep -H -B6 Error /img/*.log /img/*/*.log | tail -n 60")
            self.fail(f"{textwrap.dedent(text)}\n{answer}\n{logs.out}")
        return answer

    def refused(self, command, *words):
        """It fails, in one line with these words. Return: the line"""
        answer = self.machine.run(PRELUDE + "set +e\n" + command)
        lines = answer.err.splitlines()
        self.assertEqual(answer.code, 1, f"{command}\n{answer}")
        self.assertEqual(len(lines), 1, f"{command}\n{answer}")
        for word in words:
            self.assertIn(word, lines[0], command)
        return lines[0]

    def bundle(self, *args, **more):
        text = json.dumps(document(["/payload", *args], **more))
        self.script(f"cat >config.json <<'END'\n{text}\nEND")

    def start(self, *args, **more):
        self.bundle(*args, **more)
        self.script("oci run -d c1")

    def expect_nothing(self):
        self.script("""
            for i in $(seq 600); do
                no_traces && break
                sleep 0.1
            done
            no_traces || fail "left: $left"
            """)


def why_no_machine(programs=()):
    for tool in [*TOOLS, *programs, PLUGINS, "/usr/sbin/mke2fs"]:
        if not os.path.exists(tool):
            return "no " + tool
    return None if QEMU else "no qemu-system-x86_64"


def main():
    result = unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2, exit=False).result
    if result.wasSuccessful() and not result.testsRun:
        for _, reason in result.skipped:
            print(reason)
        sys.exit(SKIPPED)
    sys.exit(not result.wasSuccessful())
