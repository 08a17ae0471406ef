# SPDX-License-Identifier: Apache-2.0
"""Checkpoint and restore of containers, in machines whose kernel criu can work with.

  oci_checkpoint_test.py PROGRAMS PAYLOAD INITRD [unittest's arguments]

The container's process counts and keeps the number in a file, which is how one
sees that it goes on, and from where.  On this host only what happens when criu
does not work is tested, and with a criu of our own what it is asked for.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest

from guest_machine import Machine, QEMU, Root

PROGRAMS, PAYLOAD, INITRD = (os.path.abspath(a) for a in sys.argv[1:4])
OCI = os.path.join(PROGRAMS, "coffer-oci")
DATA = os.path.join(os.path.dirname(PROGRAMS), "lib", "coffer")
HERE = os.path.dirname(os.path.abspath(__file__))
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


def root_of_machine():
    root = Root()
    for tool in TOOLS:
        root.add_program(tool)
    for name in FIREWALL:
        os.symlink("xtables-nft-multi", root.path + "/usr/sbin/" + name)
    root.add(PLUGINS)
    root.add_program(OCI, "/usr/bin/coffer-oci")
    root.add(PAYLOAD, "/payload")
    root.make_image(128)
    return root


def start_machine(words=""):
    with tempfile.NamedTemporaryFile(prefix="initrd-") as initrd:
        for part in (INITRD, os.path.join(DATA, "busybox.cpio")):
            with open(part, "rb") as f:
                shutil.copyfileobj(f, initrd)
        initrd.flush()
        return Machine(os.path.join(DATA, "vmlinux"), initrd.name, ROOT.disk, words=words)


# Functions of the scripts that run in the machine.
PRELUDE = """
cd /b
ip=/usr/sbin/ip # not the shell's own
number() { echo $((10#$(cat $1 2>/dev/null || echo 0))); }
grows() { # FILE ABOVE: its number does, and is above the other
	for i in $(seq 200); do
		[ $(number $1) -gt $2 ] && break
		sleep 0.05
	done
	before=$(number $1)
	[ $before -gt $2 ] || { echo "$1: $before is not above $2"; exit 1; }
	for i in $(seq 100); do
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
traces() { # everything of containers that is there
	ls /run/coffer-oci 2>/dev/null
	find /sys/fs/cgroup -type d -path '*/coffer*' -name 'c[0-9]*'
	grep /run/coffer-oci /proc/mounts
	ps -o args | grep '[/]payload [a-z]' | grep -v -e collect -e console
	true
}
set -e
"""


class InMachine(unittest.TestCase):
    """Each test has a bundle /b and may use what ids begin with c."""

    WORDS = ""

    @classmethod
    def setUpClass(cls):
        cls.machine = start_machine(cls.WORDS)

    @classmethod
    def tearDownClass(cls):
        cls.machine.close()

    def setUp(self):
        self.script("rm -rf /b /img /vol; mkdir -p /b/rootfs /img /vol; cp /payload /b/rootfs")

    def tearDown(self):
        self.machine.run("for c in /run/coffer-oci/*; do coffer-oci delete -f ${c##*/}; done; "
                         "killall -9 payload criu; umount -l /run/coffer-oci/*/criu-root")

    def script(self, text):
        answer = self.machine.run(PRELUDE + textwrap.dedent(text))
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
        self.script('sleep 0.2; left=$(traces); [ -z "$left" ] || fail "left: $left"')


class Checkpoint(InMachine):

    # --- the plain way ---

    def test_goes_on_where_it_was(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            grows /vol/n 5
            oci checkpoint --image-path /img/a c1
            """)
        self.expect_nothing()
        self.script("""
            n=$(number /vol/n)
            sleep 0.5
            [ $(number /vol/n) = $n ] || fail "it counts on"
            oci restore -d --image-path /img/a --pid-file /img/pid c1
            [ $(status c1) = running ] || fail "status $(status c1)"
            [ $(pid c1) = $(cat /img/pid) ] || fail "pid file"
            grows /vol/n $n
            [ $(number /vol/n) -lt $((n + 1000)) ]
            [ $(cat /sys/fs/cgroup/$(sed 's/0:://' /proc/$(pid c1)/cgroup)/memory.max) = 67108864 ]
            coffer-oci exec c1 /payload cat /proc/self/cgroup
            coffer-oci pause c1
            coffer-oci resume c1
            coffer-oci kill c1 KILL
            sleep 0.3
            [ $(status c1) = stopped ] || fail "status $(status c1)"
            coffer-oci delete c1
            """)
        self.expect_nothing()

    def test_again_and_again(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            for i in 1 2 3; do
                grows /vol/n 0
                n=$(number /vol/n)
                oci checkpoint --image-path /img/$i --work-path /img/w$i c1
                [ -e /img/w$i/dump.log ] || fail "no log in the work directory"
                [ ! -e /img/$i/dump.log ] || fail "a log in the images"
                oci restore -d --image-path /img/$i --work-path /img/w$i c1
                grows /vol/n $n
            done
            """)

    def test_default_directory(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            cd /img
            grows /vol/n 0
            oci checkpoint c1
            [ -e /img/checkpoint/inventory.img ]
            oci restore -d --bundle /b c1
            grows /vol/n $(number /vol/n)
            """)

    def test_another_id(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            grows /vol/n 5
            oci checkpoint --image-path /img c1
            n=$(number /vol/n)
            oci restore -d --image-path /img c2
            grows /vol/n $n
            case $(cat /proc/$(pid c2)/cgroup) in *c2*) ;; *) fail "in the old cgroup" ;; esac
            """)

    def test_attached(self):
        """Without --detach its exit code is ours, and it is deleted."""
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            grows /vol/n 5
            oci checkpoint --image-path /img c1
            n=$(number /vol/n)
            oci restore --image-path /img c1 & pid=$!
            grows /vol/n $n
            coffer-oci kill c1 KILL
            code=0; wait $pid || code=$?
            [ $code = 137 ] || fail "exit code $code"
            """)
        self.expect_nothing()

    def test_leave_running(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            grows /vol/n 5
            p=$(pid c1)
            oci checkpoint --leave-running --image-path /img c1
            [ $(status c1) = running ] && [ $(pid c1) = $p ] || fail "another process"
            grows /vol/n $(number /vol/n)
            """)
        self.refused("coffer-oci restore -d --image-path /img c1", "c1", "exist")
        self.script("""
            [ $(status c1) = running ]
            grows /vol/n $(number /vol/n)
            """)

    def test_paused(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            grows /vol/n 5
            coffer-oci pause c1
            oci checkpoint --leave-running --image-path /img/1 c1
            [ $(status c1) = paused ] || fail "it is $(status c1)"
            n=$(number /vol/n)
            sleep 0.3
            [ $(number /vol/n) = $n ] || fail "it counts"
            oci checkpoint --image-path /img/2 c1
            """)
        self.expect_nothing()
        self.script("oci restore -d --image-path /img/2 c1; grows /vol/n $(number /vol/n)")

    def test_pre_dump(self):
        """Memory of 8 MB goes with the first round, not with the last."""
        self.start("count", "/vol/n", "8", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            pages() { cat /img/$1/pages-*.img | wc -c; }
            grows /vol/n 5
            oci checkpoint --pre-dump --image-path /img/1 c1
            [ $(status c1) = running ]
            grows /vol/n $(number /vol/n)
            oci checkpoint --pre-dump --image-path /img/2 --parent-path ../1 c1
            oci checkpoint --image-path /img/3 --parent-path ../2 c1
            [ $(pages 1) -gt 8000000 ] || fail "first round $(pages 1)"
            [ $(pages 3) -lt 2000000 ] || fail "last round $(pages 3)"
            n=$(number /vol/n)
            oci restore -d --image-path /img/3 c1
            grows /vol/n $n
            """)

    def test_parent_path(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        for path, word in (("/img/1", "relative"), ("../none", "No such file"),
                           ("../file", "Not a directory")):
            self.refused("touch /img/file; coffer-oci checkpoint --image-path /img/2 "
                         f"--parent-path {path} c1", "--parent-path", word)
        self.script("grows /vol/n 5")

    # --- what processes hold ---

    def test_pipes(self):
        self.bundle("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            { coffer-oci run -d c1 </dev/null 2>/dev/null | cat >/img/out1; } &
            grows /vol/n 5
            oci checkpoint --image-path /img/a c1
            n=$(number /vol/n)
            { coffer-oci restore -d --image-path /img/a c1 2>&1 | cat >/img/out2; } &
            grows /vol/n $n
            [ $(head -n 1 /img/out1) = 1 ]
            [ $(head -n 1 /img/out2) -ge $n ] || fail "$n, then $(head -n 1 /img/out2)"
            coffer-oci kill c1 KILL
            """)

    def test_output_in_a_file(self):
        """A file of outside is taken from outside again."""
        self.bundle("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            coffer-oci run -d c1 </dev/null >/img/out 2>&1
            grows /vol/n 5
            coffer-oci checkpoint --image-path /img/a c1 >/dev/null 2>&1
            n=$(number /vol/n)
            coffer-oci restore -d --image-path /img/a c1 </dev/null >>/img/out 2>&1
            grows /vol/n $((n + 5))
            coffer-oci kill c1 KILL
            seq $(number /vol/n) >/img/expected
            head -n $(number /vol/n) /img/out | cmp - /img/expected
            """)

    def test_tcp(self):
        self.start("tcp", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("grows /vol/n 5")
        self.refused("coffer-oci checkpoint --image-path /img/1 c1", "tcp-established")
        self.script("""
            grows /vol/n $(number /vol/n)
            oci checkpoint --tcp-established --image-path /img/2 c1
            n=$(number /vol/n)
            oci restore -d --tcp-established --image-path /img/2 c1
            grows /vol/n $n
            """)

    def test_network_by_path(self):
        """A network that was made by somebody else is found there again."""
        self.script("$ip netns add box; $ip -n box link set lo up")
        self.addCleanup(self.machine.run, "/usr/sbin/ip netns delete box")
        self.start("tcp", "/vol/n", mounts=[bind("/vol", "/vol", "rw")],
                   namespaces=["pid", "ipc", "uts", "mount",
                               {"type": "network", "path": "/run/netns/box"}])
        self.script("""
            grows /vol/n 5
            oci checkpoint --tcp-established --image-path /img c1
            n=$(number /vol/n)
            # A new one at the old place: in the old one criu's firewall rules still hold
            # what may yet come for the connections.
            $ip netns delete box
            $ip netns add box
            $ip -n box link set lo up
            oci restore -d --tcp-established --image-path /img c1
            grows /vol/n $n
            [ $(stat -Lc %i /proc/$(pid c1)/ns/net) = $(stat -Lc %i /run/netns/box) ]
            oci checkpoint --tcp-established --image-path /img/2 c1
            $ip netns delete box
            """)
        self.refused("coffer-oci restore -d --image-path /img/2 c1", "/run/netns/box", "No such file")
        self.expect_nothing()

    def test_ext_unix_sk(self):
        self.script("/payload collect /vol/sock /vol/n >/dev/null 2>&1 & sleep 0.2")
        # criu looks for the other end in the same network namespace.
        self.start("dgram", "/vol/sock", mounts=[bind("/vol", "/vol", "rw")],
                   namespaces=["pid", "ipc", "uts", "mount"])
        self.script("grows /vol/n 5")
        self.refused("coffer-oci checkpoint --image-path /img/1 c1", "ext-unix-sk")
        self.script("""
            grows /vol/n $(number /vol/n)
            oci checkpoint --ext-unix-sk --image-path /img/2 c1
            sleep 0.2
            n=$(number /vol/n)
            oci restore -d --ext-unix-sk --image-path /img/2 c1
            grows /vol/n $n
            """)

    def test_file_locks(self):
        self.start("lock", "/vol/lock", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("grows /vol/n 5")
        self.refused("coffer-oci checkpoint --image-path /img/1 c1", "file-locks")
        self.script("""
            grows /vol/n $(number /vol/n)
            ! flock -n /vol/lock true || fail "not locked"
            oci checkpoint --file-locks --image-path /img/2 c1
            flock -n /vol/lock true || fail "still locked"
            n=$(number /vol/n)
            oci restore -d --file-locks --image-path /img/2 c1
            grows /vol/n $n
            ! flock -n /vol/lock true || fail "not locked again"
            """)

    def test_terminal(self):
        self.bundle("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")],
                    process={"terminal": True})
        self.script("""
            /payload console /img/sock1 /img/out1 >/dev/null 2>&1 &
            /payload console /img/sock2 /img/out2 >/dev/null 2>&1 &
            sleep 0.2
            oci run -d --console-socket /img/sock1 c1
            grows /vol/n 5
            oci checkpoint --shell-job --image-path /img/a c1
            n=$(number /vol/n)
            oci restore -d --shell-job --console-socket /img/sock2 --image-path /img/a c1
            grows /vol/n $((n + 5))
            [ $(head -n 1 /img/out1 | tr -d '\\r') = 1 ]
            grep -q "^$((n + 3))" /img/out2 || fail "after $n: $(cat /img/out2)"
            [ "$(coffer-oci exec c1 /payload link /proc/1/fd/0)" = /dev/pts/0 ]
            """)
        self.script("oci checkpoint --image-path /img/b c1")
        self.refused("coffer-oci restore -d --image-path /img/b c1", "console")
        self.expect_nothing()

    # --- what the container is made of ---

    def test_mounts(self):
        """Binds below binds and below a tmpfs, files, a link on the way; a fresh root."""
        self.script("mkdir -p /vol/a /vol/b; echo one >/vol/file; ln -s /run b/rootfs/varrun || "
                    "ln -s /run rootfs/varrun")
        mounts = [bind("/vol", "/vol", "rw"), bind("/vol/b", "/vol/a", "ro"),
                  bind("/vol/file", "/etc/file", "ro"), bind("/vol/b", "/varrun/secrets", "rw"),
                  bind("/vol/b", "/dev/shm/b", "rw")]
        self.start("count", "/run/secrets/n", mounts=mounts)
        self.script("""
            inside() { coffer-oci exec c1 /payload "$@"; }
            grows /vol/b/n 5
            inside cat /proc/self/mountinfo | cut -d' ' -f4-6 | sort >/img/before
            oci checkpoint --image-path /img/a c1
            n=$(number /vol/b/n)
            rm -rf rootfs; mkdir rootfs; cp /payload rootfs; ln -s /run rootfs/varrun
            oci restore -d --image-path /img/a c1
            grows /vol/b/n $n
            inside cat /proc/self/mountinfo | cut -d' ' -f4-6 | sort >/img/after
            cmp /img/before /img/after || { diff /img/before /img/after; exit 1; }
            [ "$(inside cat /etc/file)" = one ]
            [ -z "$(inside cat /proc/kcore)" ] || fail "/proc/kcore is open"
            """)

    def test_confined(self):
        """An ordinary user, few rights, a filter, a read-only root, all namespaces."""
        self.script("chmod 777 /vol")
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")],
                   namespaces=["pid", "network", "ipc", "uts", "mount", "cgroup"],
                   root={"path": "rootfs", "readonly": True},
                   process={"user": {"uid": 1000, "gid": 1000, "additionalGids": [5]},
                            "noNewPrivileges": True,
                            "capabilities": {"bounding": ["CAP_KILL"]},
                            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]},
                   linux={"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                       {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}})
        self.script("""
            facts() { grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:)' /proc/$(pid c1)/status
                      grep -E 'open files' /proc/$(pid c1)/limits
                      grep ' / / ' /proc/$(pid c1)/mountinfo | cut -d' ' -f6; }
            grows /vol/n 5
            facts >/img/before
            oci checkpoint --image-path /img/a c1
            n=$(number /vol/n)
            oci restore -d --image-path /img/a c1
            grows /vol/n $n
            facts >/img/after
            cmp /img/before /img/after || { diff /img/before /img/after; exit 1; }
            """)

    def test_notify_socket(self):
        """The place of a socket for sd_notify(3) is there again, with and without a listener."""
        self.bundle("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            export NOTIFY_SOCKET=/img/nobody
            oci run -d c1
            grows /vol/n 5
            oci checkpoint --image-path /img/a c1
            n=$(number /vol/n)
            unset NOTIFY_SOCKET
            oci restore -d --image-path /img/a c1
            grows /vol/n $n
            coffer-oci exec c1 /payload stat /run/notify
            oci checkpoint --image-path /img/b c1
            """)
        self.expect_nothing()

    def test_user_namespace(self):
        """Its root is nobody outside: nodes are bound, and the control groups."""
        ids = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        self.script("chown -R 100000:100000 /b/rootfs")
        self.bundle("count", "/run/n",
                    namespaces=["pid", "network", "ipc", "uts", "mount", "user"],
                    linux={"uidMappings": ids, "gidMappings": ids})
        self.script("""
            oci run -d c1 2>/dev/null
            number() { echo $((10#$(coffer-oci exec c1 /payload cat $1 || echo 0))); }
            grows /run/n 5
            oci checkpoint --leave-running --image-path /img/x c1
            n=$(number /run/n)
            oci checkpoint --image-path /img/a c1
            oci restore -d --image-path /img/a c1 2>/img/err || fail "$(cat /img/err)"
            grows /run/n $n
            grep -q '^Uid:.*100000' /proc/$(pid c1)/status
            """)

    def test_cgroup_modes(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            for mode in soft full ignore strict; do
                grows /vol/n 0
                oci checkpoint --manage-cgroups-mode $mode --image-path /img/$mode c1
                n=$(number /vol/n)
                # Strict is content only when the group is not there; ours is there by then.
                again=$mode; [ $mode != strict ] || again=soft
                oci restore -d --manage-cgroups-mode $again --image-path /img/$mode c1
                grows /vol/n $n
                case $(cat /proc/$(pid c1)/cgroup) in *c1*) ;; *) fail "$mode: not in it" ;; esac
            done
            """)
        self.refused("oci checkpoint --image-path /img/x c1; coffer-oci restore -d "
                     "--manage-cgroups-mode strict --image-path /img/x c1", "existing cgroups")
        self.refused("coffer-oci checkpoint --manage-cgroups-mode other --image-path /img/x c1",
                     "--manage-cgroups-mode")

    def test_hooks(self):
        hook = {"path": "/bin/sh", "args": ["sh", "-c", "echo $0 >>/img/hooks; cat >/img/$0"]}
        named = lambda name: [{**hook, "args": [*hook["args"], name]}]
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")],
                   hooks={n: named(n) for n in ("prestart", "createRuntime", "poststop")})
        self.script("""
            grows /vol/n 5
            rm /img/hooks
            oci checkpoint --image-path /img/a c1
            [ "$(cat /img/hooks)" = poststop ] || fail "$(cat /img/hooks)"
            rm /img/hooks
            oci restore -d --image-path /img/a c1
            [ "$(echo $(cat /img/hooks))" = "prestart createRuntime" ] || fail "$(cat /img/hooks)"
            grep -q "\\"pid\\": *$(pid c1)[,}]" /img/createRuntime || fail "$(cat /img/createRuntime)"
            """)

    # --- what is refused, and what is left then ---

    def test_wrong_states(self):
        self.refused("coffer-oci checkpoint --image-path /img c9", "c9", "does not exist")
        self.bundle("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("oci create c1")
        self.refused("coffer-oci checkpoint --image-path /img c1", "c1", "created")
        self.script("""
            [ $(status c1) = created ]
            coffer-oci start c1
            grows /vol/n 0
            coffer-oci kill c1 KILL
            sleep 0.3
            """)
        self.refused("coffer-oci checkpoint --image-path /img c1", "c1", "not running")
        self.script("[ $(status c1) = stopped ]; coffer-oci delete c1")
        self.refused("coffer-oci restore --image-path /img ../c1", "../c1")

    def test_broken_images(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            grows /vol/n 5
            oci checkpoint --image-path /img/good c1
            mkdir /img/empty
            for x in core-1 pstree inventory mountpoints mm-1; do
                cp -a /img/good /img/$x
                : >$(ls /img/$x/$x*.img)
            done
            cp -a /img/good /img/descriptors
            echo '{"a": [' >/img/descriptors/descriptors.json
            """)
        for name, word in (("none", "No such file"), ("empty", "no checkpoint"),
                           ("descriptors", "descriptors.json"), ("core-1", "criu: "),
                           ("pstree", "criu: "), ("inventory", "criu: "),
                           ("mountpoints", "criu: "), ("mm-1", "criu: ")):
            with self.subTest(name):
                self.refused(f"coffer-oci restore -d --image-path /img/{name} c1", "c1", word)
                self.expect_nothing()
        self.script("n=$(number /vol/n); oci restore -d --image-path /img/good c1; "
                    "grows /vol/n $n")

    def test_changed_bundle(self):
        """A volume that is not there any more."""
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("grows /vol/n 5; oci checkpoint --image-path /img c1; rm -r /vol")
        self.refused("coffer-oci restore -d --image-path /img c1", "/vol", "No such file")
        self.expect_nothing()

    def test_criu_missing(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.refused("coffer-oci --criu /no/criu checkpoint --image-path /img c1", "/no/criu",
                     "No such file")
        self.refused("PATH=/none /usr/bin/coffer-oci checkpoint --image-path /img c1", "criu",
                     "$PATH")
        self.refused("coffer-oci --criu /bin/false checkpoint --image-path /img c1", "criu",
                     "without an answer")
        self.script("grows /vol/n $(number /vol/n)")

    def test_killed(self):
        """kill -9 in the middle leaves what delete --force cleans."""
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            cat >/img/slow <<'END'
            #!/bin/sh
            sleep 2
            exec criu "$@"
            END
            sed -i 's/^ *//' /img/slow
            chmod +x /img/slow
            grows /vol/n 5
            coffer-oci --criu /img/slow checkpoint --image-path /img/x c1 & p=$!
            sleep 0.5
            kill -9 $p
            sleep 3
            [ $(status c1) = running ] || fail "status $(status c1)"
            grows /vol/n $(number /vol/n)
            oci checkpoint --image-path /img/a c1
            coffer-oci --criu /img/slow restore -d --image-path /img/a c1 & p=$!
            sleep 0.7
            kill -9 $p
            coffer-oci delete --force c1
            [ -z "$(ps -o args | grep '[/]img/slow')" ] || fail "criu is still there"
            """)
        self.expect_nothing()
        self.script("n=$(number /vol/n); oci restore -d --image-path /img/a c1; grows /vol/n $n")

    def test_killed_anywhere(self):
        """At no time does it leave processes that stand still, or something that stays."""
        self.bundle("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("oci run -d c1; grows /vol/n 5; oci checkpoint --image-path /img/good c1")
        for hundredths in (2, 5, 10, 20, 30, 45, 60, 80, 100):
            wait = f"sleep {hundredths / 100}; kill -9 $p 2>/dev/null || true"
            with self.subTest(hundredths):
                self.script(f"""
                    rm -rf /img/x /vol/n
                    oci run -d c1
                    grows /vol/n 0
                    coffer-oci checkpoint --image-path /img/x c1 >/dev/null 2>&1 & p=$!
                    {wait}
                    for i in $(seq 100); do
                        ps -o args | grep -q '[c]riu swrk' || break
                        sleep 0.05
                    done
                    ! ps -o args | grep '[c]riu swrk' || fail "criu is still there"
                    case $(status c1) in
                    running) grows /vol/n $(number /vol/n) ;;
                    stopped | "") ;;
                    *) fail "it is $(status c1)" ;;
                    esac
                    coffer-oci delete --force c1
                    coffer-oci restore -d --image-path /img/good c1 >/dev/null 2>&1 & p=$!
                    {wait}
                    coffer-oci delete --force c1
                    """)
                self.expect_nothing()

    # --- memory by other ways ---

    def test_page_server(self):
        self.start("count", "/vol/n", "8", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            mkdir /img/there /img/here
            criu page-server --images-dir /img/there --address 127.0.0.1 --port 2727 --daemon \\
                --log-file /img/server.log
            grows /vol/n 5
            oci checkpoint --page-server 127.0.0.1:2727 --image-path /img/here c1
            sleep 0.2
            [ ! -e /img/here/pages-1.img ] || fail "memory is here"
            cp /img/there/*.img /img/here
            n=$(number /vol/n)
            oci restore -d --image-path /img/here c1
            grows /vol/n $n
            """)
        for where in ("here", ":27", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:99999"):
            self.refused(f"coffer-oci checkpoint --page-server {where} --image-path /img/x c1",
                         "--page-server", where)

    def test_lazy_pages(self):
        self.start("count", "/vol/n", "8", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            mkdir /img/a
            mkfifo /img/ready
            grows /vol/n 5
            coffer-oci checkpoint --lazy-pages --page-server 127.0.0.1:2728 --status-fd 9 \\
                --image-path /img/a c1 9>/img/ready & dump=$!
            [ $(head -c 1 /img/ready | wc -c) = 1 ] || fail "no word of readiness"
            cp -a /img/a /img/b
            criu lazy-pages --page-server --address 127.0.0.1 --port 2728 --images-dir /img/b \\
                --work-dir /img/b -o lazy.log & lazy=$!
            sleep 0.5
            n=$(number /vol/n)
            oci restore -d --lazy-pages --image-path /img/b c2
            grows /vol/n $n
            wait $dump
            wait $lazy
            """)


class CheckpointV1(InMachine):
    """The same on control groups of version 1."""

    WORDS = "cgroup=v1"

    def test_goes_on_where_it_was(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            grows /vol/n 5
            coffer-oci exec c1 /payload ls /sys/fs/cgroup | sort >/img/before
            oci checkpoint --image-path /img/a c1
            n=$(number /vol/n)
            """)
        self.expect_nothing()
        self.script("""
            n=$(number /vol/n)
            oci restore -d --image-path /img/a c1
            grows /vol/n $n
            group=$(sed -n 's/.*:memory://p' /proc/$(pid c1)/cgroup)
            [ $(cat /sys/fs/cgroup/memory/$group/memory.limit_in_bytes) = 67108864 ]
            coffer-oci exec c1 /payload ls /sys/fs/cgroup | sort >/img/after
            cmp /img/before /img/after || { diff /img/before /img/after; exit 1; }
            coffer-oci pause c1
            oci checkpoint --leave-running --image-path /img/b c1
            [ $(status c1) = paused ]
            coffer-oci resume c1
            grows /vol/n $n
            """)


class OnThisHost(unittest.TestCase):
    """What happens where criu does not work, and what it is asked for."""

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        self.dir = tempfile.mkdtemp(prefix="oci-checkpoint-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.count = os.path.join(self.dir, "rootfs", "n")
        os.mkdir(os.path.join(self.dir, "rootfs"))
        shutil.copy(PAYLOAD, os.path.join(self.dir, "rootfs", "payload"))
        config = document(["/payload", "count", "/n"], linux={"resources": {}})
        config["mounts"] = [m for m in config["mounts"] if m["type"] != "cgroup"]
        with open(os.path.join(self.dir, "config.json"), "w", encoding="utf-8") as f:
            json.dump(config, f)
        self.id = f"checkpoint-{os.getpid()}"
        self.oci("run", "-d", self.id)
        self.addCleanup(self.oci, "delete", "-f", self.id)

    def oci(self, *args, code=0):
        """Return: what it says on standard error."""
        with tempfile.TemporaryFile("w+") as err:
            end = subprocess.run([OCI, "--root", os.path.join(self.dir, "state"), *args],
                                 cwd=self.dir, stdin=subprocess.DEVNULL, timeout=60,
                                 stdout=subprocess.DEVNULL, stderr=err, check=False)
            err.seek(0)
            text = err.read()
        self.assertEqual(end.returncode, code, text)
        return text

    def number(self):
        with open(self.count, encoding="ascii") as f:
            return int(f.read() or 0)

    def expect_running(self):
        before = self.number()
        end = time.monotonic() + 10
        while self.number() <= before:
            self.assertLess(time.monotonic(), end, "it does not count any more")
            time.sleep(0.02)

    def test_says_why(self):
        if not shutil.which("criu"):
            self.skipTest("criu is not installed")
        check = subprocess.run(["criu", "check"], capture_output=True, text=True, check=False)
        if check.returncode == 0:
            self.skipTest("criu works here")
        reason = next(line.split("): ", 1)[1] for line in check.stderr.splitlines()
                      if "Error (" in line)
        said = self.oci("checkpoint", "--image-path", os.path.join(self.dir, "images"), self.id,
                        code=1)
        self.assertIn(reason, said.splitlines()[0])
        self.assertIn("dump.log", said.splitlines()[0])
        self.expect_running()

    def test_what_criu_is_asked_for(self):
        """Read with criu's own description of its messages."""
        try:
            from pycriu import rpc_pb2  # pylint: disable=import-outside-toplevel
        except ImportError:
            self.skipTest("criu's Python module is not installed")
        fake = os.path.join(self.dir, "criu")
        with open(fake, "w", encoding="utf-8") as f:
            f.write(FAKE.format(python=sys.executable, dir=self.dir))
        os.chmod(fake, 0o755)
        self.oci("--criu", fake, "checkpoint", "--image-path", os.path.join(self.dir, "a"),
                 "--work-path", os.path.join(self.dir, "w"), "--leave-running", "--shell-job",
                 "--tcp-established", "--ext-unix-sk", "--file-locks", "--tcp-skip-in-flight",
                 "--page-server", "[::1]:1234", "--manage-cgroups-mode", "strict",
                 "--empty-ns", "uts", self.id)
        with open(os.path.join(self.dir, "request"), "rb") as f:
            req = rpc_pb2.criu_req.FromString(f.read())
        o = req.opts
        self.assertEqual(req.type, rpc_pb2.DUMP)
        for name in ("leave_running", "shell_job", "tcp_established", "ext_unix_sk", "file_locks",
                     "tcp_skip_in_flight", "notify_scripts", "orphan_pts_master",
                     "manage_cgroups"):
            self.assertTrue(getattr(o, name), name)
        for name in ("track_mem", "auto_dedup", "lazy_pages", "rst_sibling", "parent_img"):
            self.assertFalse(o.HasField(name), name)
        self.assertEqual((o.ps.address, o.ps.port), ("::1", 1234))
        self.assertEqual(o.manage_cgroups_mode, rpc_pb2.STRICT)
        self.assertEqual(o.empty_ns, 0x40000000 | 0x04000000)
        self.assertEqual(o.log_file, "dump.log")
        self.assertEqual(o.root, os.path.join(self.dir, "rootfs"))
        hidden = [path for path in MASKED if os.path.exists(path) and not os.path.isdir(path)]
        self.assertEqual([m.key for m in o.ext_mnt if m.val == "/dev/null" and m.key != m.val],
                         hidden)
        self.assertEqual(len(o.external), 3)
        with open(os.path.join(self.dir, "notified"), encoding="ascii") as f:
            self.assertEqual(f.read(), "6 True")
        self.expect_running()


# A criu that keeps the request, tells of one step and is content.
FAKE = """#!{python}
import socket, sys
from pycriu import rpc_pb2
s = socket.socket(fileno=int(sys.argv[2]))
data = s.recv(1 << 20)
open("{dir}/request", "wb").write(data)
step = rpc_pb2.criu_resp(type=rpc_pb2.NOTIFY, success=True)
step.notify.script = "pre-dump"
s.send(step.SerializeToString())
answer = rpc_pb2.criu_req.FromString(s.recv(1 << 20))
open("{dir}/notified", "w").write(f"{{answer.type}} {{answer.notify_success}}")
done = rpc_pb2.criu_resp(type=rpc_pb2.DUMP, success=True)
done.dump.restored = True
s.send(done.SerializeToString())
"""


def why_no_machine():
    for tool in TOOLS + [PLUGINS, "/usr/sbin/mke2fs"]:
        if not os.path.exists(tool):
            return "no " + tool
    return None if QEMU else "no qemu-system-x86_64"


if __name__ == "__main__":
    missing = why_no_machine()
    if missing:
        for case in (Checkpoint, CheckpointV1):
            unittest.skip(missing)(case)
    else:
        ROOT = root_of_machine()
    program = unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2, exit=False)
    result = program.result
    if result.wasSuccessful() and len(result.skipped) == result.testsRun:
        sys.exit(SKIPPED)
    sys.exit(not result.wasSuccessful())
