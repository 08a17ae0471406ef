# SPDX-License-Identifier: Apache-2.0
"""Several containers in one application kernel: what each has for itself, and what it can't reach."""

import collections
import json
import os
import pathlib
import re
import signal
import time
import unittest

from agent_client import Process, ax, wait_until
from faults_box import descendants
from pod_box import Pod

MIB = 1 << 20
LIVES = 200
SANITIZED = bool(os.environ.get("COFFER_SENTRY_SANITIZED"))


class PodTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pod = Pod("memory=256")
        cls.addClassCleanup(cls.pod.close)
        cls.a = cls.pod.container(hostname="alpha")
        cls.b = cls.pod.container(hostname="beta")
        for c in (cls.a, cls.b):
            c.start()

    @classmethod
    def tearDownClass(cls):
        for c in (cls.a, cls.b):
            c.call("DeleteProcess")

    def tearDown(self):
        # Whatever one of them did, both are as they were.
        for c, name in ((self.a, "alpha"), (self.b, "beta")):
            self.assertEqual(self.sh(c, "hostname"), name)

    def running(self, *args, **options):
        c = self.pod.container(*args, **options)
        self.addCleanup(c.status, "DeleteProcess")
        c.start()
        return c

    def sh(self, c, script):
        code, out = self.pod.sh(c, script)
        self.assertEqual(code, 0, (script, out))
        return out

    def program(self, c, script, streams=("stdout", "stderr")):
        head = "import ctypes, fcntl, os, socket, struct, sys, time\n"
        return self.pod.exec(c, ["/usr/bin/python3", "-I", "-S", "-c", head + script], streams)

    def python(self, c, script):
        code, out = self.pod.ran(self.program(c, script))
        self.assertEqual(code, 0, (script, out))
        return out

    # ---- what each has for itself ----

    def test_names(self):
        self.assertEqual(self.sh(self.a, "hostname; cat /proc/sys/kernel/hostname").split(), ["alpha"] * 2)
        self.sh(self.a, "hostname other && test $(uname -n) = other")
        self.assertEqual(self.sh(self.b, "hostname"), "beta")
        self.sh(self.a, "echo alpha >/proc/sys/kernel/hostname")

    def test_processes(self):
        for c in (self.a, self.b):
            self.assertEqual(self.sh(c, "cat /proc/1/cmdline | tr '\\0' ' '"), "sleep 100000")
            pids = self.sh(c, "echo /proc/[0-9]*").split()
            self.assertLessEqual(len(pids), 3, pids)
            self.assertEqual(self.sh(c, "echo $PPID"), "0")
        many = [self.pod.exec(self.a, ["sleep", "100000"], ()) for _ in range(20)]
        for p in many:
            p.start()
        self.assertEqual(self.sh(self.a, "pgrep -c sleep"), "21")
        self.assertEqual(self.sh(self.b, "pgrep -c sleep"), "1")
        # A number says nothing in the other one; "all" is all of one's own.
        self.assertEqual(self.python(self.b, """
for pid in range(2, 400):
    if pid == os.getpid(): continue
    try: os.kill(pid, 9); print("killed", pid)
    except ProcessLookupError: pass
"""), "")
        self.sh(self.b, "kill -9 -1; :")
        self.assertEqual(self.sh(self.a, "pgrep -c sleep"), "21")
        for p in many:
            p.call("KillProcess", signal=9)
            self.assertEqual(p.wait(), 137)
            p.call("DeleteProcess")

    def test_files(self):
        self.sh(self.a, "echo mine >/etc/pod-a; echo x >/dev/shm/x; echo y >/tmp/y; mkdir /mnt/m &&"
                        " mount -t tmpfs none /mnt/m && touch /mnt/m/f")
        self.assertEqual(self.sh(self.b, "ls /etc/pod-a /dev/shm/x /tmp/y /mnt/m/f 2>/dev/null; :"), "")
        self.assertNotIn("/mnt/m", self.sh(self.b, "cat /proc/mounts"))
        for c in (self.a, self.b):
            mounts = self.sh(c, "cat /proc/self/mountinfo")
            self.assertNotIn("/run/container", mounts)
            self.assertNotIn("/mnt/host", mounts)
        self.sh(self.a, "umount /mnt/m")
        # What was given to both is one thing.
        self.sh(self.a, "echo from a >/shared/f")
        self.assertEqual(self.sh(self.b, "cat /shared/f; rm /shared/f"), "from a")

    def test_ping_by_anybody(self):
        self.assertEqual(self.python(self.a, """
print(open("/proc/sys/net/ipv4/ping_group_range").read().split())
os.setgid(1000); os.setuid(1000)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP); s.settimeout(60)
s.sendto(b"\\x08\\0\\0\\0\\0\\0\\0\\1hello", ("127.0.0.1", 0))
print(s.recv(100)[8:])
"""), "['0', '2147483647']\nb'hello'")

    def test_terminals(self):
        p = self.pod.exec(self.a, ["tty"], ("stdout",), terminal=True)
        q = self.pod.exec(self.b, ["tty"], ("stdout",), terminal=True)
        self.assertEqual([p.run()[1], q.run()[1]], [b"/dev/pts/0\r\n"] * 2)
        for x in (p, q):
            x.call("DeleteProcess")
            x.stdout.close()

    # ---- what one can't reach of the other ----

    GIVE = """
def give(path, *fds):
    s = socket.socket(socket.AF_UNIX); s.bind(path); s.listen(1)
    c = s.accept()[0]
    print("peer", struct.unpack("iII", c.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)))
    c.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("%di" % len(fds), *fds))])
    c.recv(1); os.unlink(path)
"""
    TAKE = """
def take(path, n):
    s = socket.socket(socket.AF_UNIX)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    while True:
        try: s.connect(path); break
        except (FileNotFoundError, ConnectionRefusedError): time.sleep(0.01)
    control = s.recvmsg(1, 200)[1]
    fds = next(struct.unpack("%di" % n, d[:4 * n]) for l, t, d in control if t == socket.SCM_RIGHTS)
    cred = next((struct.unpack("iII", d) for l, t, d in control if t == socket.SCM_CREDENTIALS), None)
    print("cred", cred, "peer", struct.unpack("iII", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)))
    s.send(b"y")
    return fds
def call(nr, *args):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    r = libc.syscall(nr, *(ctypes.c_long(a) for a in args))
    return r if r >= 0 else os.strerror(ctypes.get_errno())
"""

    def given(self, giver, count, opened, taker, use):
        """@count descriptors of @giver (@opened: Python) used in @taker; what both printed"""
        p = self.program(giver, self.GIVE + f"give('/shared/pass', {opened})")
        p.start()
        got = self.python(taker, self.TAKE + f"fds = take('/shared/pass', {count})\n" + use)
        self.assertEqual(p.wait(), 0)
        said = p.stdout.read_all().decode()
        p.call("DeleteProcess")
        for stream in p.streams.values():
            stream.close()
        return got, said

    def test_pidfds_of_the_other(self):
        got, said = self.given(self.a, 3, "os.pidfd_open(1), os.open('/proc', 0), os.open('/proc/1', 0)",
                               self.b, """
pid, proc, one = fds
print(call(424, pid, 9, 0, 0), "/", call(424, pid, 0, 0, 0), "/", call(438, pid, 0, 0), "/",
      call(247, 3, pid, 0, 4, 0))
for name in ("self", "thread-self"):
    try: print(os.readlink(name, dir_fd=proc))
    except OSError as e: print(e.strerror)
for name in ("root/etc/hostname", "fd/0", "mem", "environ"):
    try: os.read(os.open(name, os.O_RDONLY, dir_fd=one), 9); print("read", name)
    except OSError as e: print("no", name)
""")
        lines = got.splitlines()
        # Numbers of the other mean nothing, and are not told.
        self.assertEqual(lines[0], "cred (0, 0, 0) peer (0, 0, 0)")
        self.assertEqual(said, "peer (0, 0, 0)\n")
        self.assertEqual(lines[1], "Invalid argument / Invalid argument / Operation not permitted / "
                                   "No child processes")
        self.assertEqual(lines[2:4], ["No such file or directory"] * 2)
        self.assertEqual(lines[4:], ["no root/etc/hostname", "no fd/0", "no mem", "no environ"])
        self.assertEqual(self.a.status("KillProcess", signal=0)[0], "OK")

    def test_calls_on_the_other(self):
        self.assertEqual(self.python(self.b, self.TAKE + """
own = {int(p) for p in os.listdir("/proc") if p.isdigit()}
seen = set()
for pid in range(1, 300):
    if not isinstance(call(101, 16, pid, 0, 0), str): seen.add(("ptrace", pid))
    if pid not in own:
        if not isinstance(call(434, pid, 0), str): seen.add(("pidfd_open", pid))
        for nr in (121, 124, 140):
            r = call(nr, pid) if nr != 140 else call(nr, 0, pid)
            if not isinstance(r, str): seen.add((nr, pid))
        if os.path.exists(f"/proc/{pid}"): seen.add(("proc", pid))
print(sorted(seen, key=str))
"""), "[]")

    def test_abstract_names(self):
        listen = """
s = socket.socket(socket.AF_UNIX); s.bind("\\0pod-name"); s.listen(1)
print("listening", flush=True); time.sleep(100000)"""
        look = """
try: socket.socket(socket.AF_UNIX).connect("\\0pod-name"); print("reached")
except ConnectionRefusedError: print("refused")
print(any("pod-name" in line for line in open("/proc/net/unix")))"""
        own = self.running(namespaces=[{"type": "network"}])
        p = self.program(self.a, listen)
        p.start()
        p.stdout.read_until(b"listening")
        # Those without a network of their own have one together.
        self.assertEqual(self.python(self.b, look).split(), ["reached", "True"])
        self.assertEqual(self.python(own, look).split(), ["refused", "False"])
        ns = lambda c: self.sh(c, "readlink /proc/self/ns/net /proc/self/ns/pid").split()
        a, b, c = ns(self.a), ns(self.b), ns(own)
        self.assertEqual(a[0], b[0])
        self.assertNotEqual(a[0], c[0])
        self.assertEqual(len({a[1], b[1], c[1]}), 3)
        p.call("KillProcess", signal=9)
        p.wait()
        p.call("DeleteProcess")

    def test_files_of_both(self):
        hold = self.program(self.a, """
f = open("/shared/lock", "w"); fcntl.lockf(f, fcntl.LOCK_EX); fcntl.flock(f, fcntl.LOCK_EX)
print("held", flush=True); time.sleep(100000)""")
        hold.start()
        hold.stdout.read_until(b"held")
        got = self.python(self.b, """
f = open("/shared/lock", "r+")
for lock in (fcntl.flock, fcntl.lockf):
    try: lock(f, fcntl.LOCK_EX | fcntl.LOCK_NB); print("taken")
    except BlockingIOError: print("held")
print(struct.unpack("hhqqi", fcntl.fcntl(f, fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))[:28])[4])
""")
        self.assertEqual(got.split()[:2], ["held", "held"])
        # Who holds it has no number here.
        self.assertEqual(got.split()[2], "0")
        hold.call("KillProcess", signal=9)
        hold.wait()
        hold.call("DeleteProcess")
        self.assertEqual(self.sh(self.b, "flock -n /shared/lock echo free; rm /shared/lock"), "free")

    def test_what_outlives_its_container(self):
        """Descriptors of a container that is no more, used by another"""
        for round_ in range(3):
            c = self.running(namespaces=[{"type": "network"}] if round_ else ())
            keep = self.program(self.b, self.TAKE + """
fds = take("/shared/keep", 8)
print("taken", flush=True)
sys.stdin.read(1)
def attempt(fn, *args):
    try: return fn(*args)
    except OSError as e: return e.strerror
proc, cgroup, pidfd, sock, root, tty, inotify, status = fds
for name in ("meminfo", "stat", "loadavg", "uptime", "net/unix", "sys/kernel/hostname", "1/status", "self"):
    print(name, str(attempt(lambda: os.read(os.open(name, 0, dir_fd=proc), 100)))[:20])
print(attempt(os.listdir, proc)[:0])
for name in ("memory.current", "pids.current", "cgroup.procs", "cpu.stat"):
    print(name, str(attempt(lambda: os.read(os.open(name, 0, dir_fd=cgroup), 100)))[:20])
print(call(424, pidfd, 9, 0, 0))
s = socket.socket(fileno=sock)
print(attempt(s.accept), attempt(s.getsockname))
print(len(os.listdir(root)) > 5, attempt(os.write, tty, b"x"), attempt(os.read, status, 100)[:0])
print(attempt(os.read, inotify, 100))
""", ("stdin", "stdout", "stderr"))
            keep.start()
            p = self.program(c, self.GIVE + """
s = socket.socket(socket.AF_UNIX); s.bind("\\0left"); s.listen(1); s.setblocking(False)
n = ctypes.CDLL(None).inotify_init1(0o4000); ctypes.CDLL(None).inotify_add_watch(n, b"/etc", 0xfff)
give("/shared/keep", os.open("/proc", 0), os.open("/sys/fs/cgroup", 0), os.pidfd_open(1), s.fileno(),
     os.open("/", 0), os.openpty()[0], n, os.open("/proc/1/status", 0))
""")
            p.start()
            keep.stdout.read_until(b"taken")
            self.assertEqual(p.wait(), 0, p.stderr.read_all())
            c.call("DeleteProcess")
            other = self.running()  # may take what was freed
            keep.stdin.accept().sendall(b"x")
            out = keep.stdout.read_all().decode()
            self.assertEqual(keep.wait(), 0, keep.stderr.read_all())
            self.assertIn("pids.current b'0", out)
            keep.call("DeleteProcess")
            other.call("DeleteProcess")
        self.assertEqual(self.pod.status("Sync")[0], "OK")

    # ---- limits and statistics ----

    def test_limits_of_processes(self):
        c = self.running(resources={"pids": {"limit": 12}})
        self.assertEqual(self.sh(c, "cat /sys/fs/cgroup/pids.max"), "12")
        self.assertEqual(self.sh(self.a, "cat /sys/fs/cgroup/pids.max"), "max")
        out = self.python(c, """
n = 0
try:
    while n < 100:
        if os.fork() == 0: time.sleep(1000)
        n += 1
except BlockingIOError: pass
print(n)
""")
        self.assertEqual(int(out), 10)
        self.assertEqual(self.sh(self.a, "for i in $(seq 30); do sleep 1 & done; wait; echo ok"), "ok")
        stats = self.pod.stats(c.name, self.a.name)
        self.assertEqual((stats[c.name].process.current, stats[c.name].process.limit), (11, 12))
        self.assertEqual(stats[self.a.name].process.current, 1)
        self.pod.extra("Update", container_id=c.name, resources=b'{"pids": {"limit": 20}}')
        self.assertEqual(self.sh(c, "cat /sys/fs/cgroup/pids.max"), "20")
        self.pod.extra("Update", container_id=c.name, resources=b'{"pids": {"limit": -1}}')
        self.assertEqual(self.sh(c, "cat /sys/fs/cgroup/pids.max"), "max")
        self.assertEqual(self.pod.extra_status("Update", container_id=c.name, resources=b"{")[0],
                         "INVALID_ARGUMENT")

    def test_memory_of_one(self):
        c = self.running(resources={"memory": {"limit": 64 * MIB}})
        d = self.running(resources={"memory": {"limit": 300 * MIB}})
        grow = "x = bytearray({} << 20)\nprint(len(x), flush=True)\ntime.sleep(100000)"
        big = self.program(d, grow.format(128))
        big.start()
        big.stdout.read_until(b"\n")
        stats = self.pod.stats()
        self.assertGreater(stats[d.name].memory.usage_bytes, 128 * MIB)
        self.assertLess(stats[c.name].memory.usage_bytes, 32 * MIB)
        self.assertLess(stats[self.a.name].memory.usage_bytes, 32 * MIB)
        self.assertEqual(stats[c.name].memory.limit_bytes, 64 * MIB)
        self.assertLess(int(self.sh(c, "cat /sys/fs/cgroup/memory.current")), 32 * MIB)
        self.assertGreater(int(self.sh(d, "cat /sys/fs/cgroup/memory.current")), 128 * MIB)
        events = self.pod.events()
        # Too much for both together, and too quick for a clock: the one above its limit pays.
        code, _ = self.pod.ran(self.program(c, grow.format(200)))
        self.assertEqual(code, 137)
        told = next(e for e in events if e.type == ax.Event.OOM)
        self.assertEqual((told.container_id, told.oom_kills), (c.name, 1))
        events.cancel()
        stats = self.pod.stats()
        self.assertEqual(stats[c.name].memory_events.oom_kill, 1)
        self.assertEqual(stats[d.name].memory_events.oom_kill, 0)
        self.assertEqual(big.status("KillProcess", signal=0)[0], "OK")
        self.assertEqual(self.sh(c, "echo alive"), "alive")
        # A new limit holds for what is there.
        self.pod.extra("Update", container_id=d.name, resources=b'{"memory": {"limit": 67108864}}')
        self.assertEqual(big.wait(), 137)
        self.assertEqual(self.pod.stats()[d.name].memory_events.oom_kill, 1)
        big.call("DeleteProcess")

    def test_time_of_one(self):
        before = self.pod.stats(self.a.name, self.b.name)
        self.sh(self.a, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")
        after = self.pod.stats(self.a.name, self.b.name)
        used = {n: after[n].cpu.usage_usec - before[n].cpu.usage_usec for n in before}
        self.assertGreater(used[self.a.name], used[self.b.name])
        self.assertEqual(self.pod.status("ContainerStatistics", container_ids=["none"])[0], "INTERNAL")

    # ---- lives and ends ----

    def test_end_of_one(self):
        c = self.running(["sh", "-c", "sleep 100000 & sleep 100000 & sleep 100000"])
        inside = self.pod.exec(c, ["sleep", "100000"], ())
        inside.start()
        c.call("KillProcess", signal=9)
        self.assertEqual((c.wait(), inside.wait()), (137, 137))
        stats = self.pod.stats(c.name, self.b.name)
        self.assertEqual(stats[c.name].process.current, 0)
        self.assertEqual(stats[self.b.name].process.current, 1)
        self.assertEqual(c.status("DeleteProcess")[0], "OK")
        self.assertEqual(self.pod.status("ContainerStatistics", container_ids=[c.name])[0], "INTERNAL")

    def test_signals_stay_inside(self):
        c = self.running(["sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.05; done"])
        d = self.running(["sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.05; done"])
        for one in (c, d):
            self.sh(one, "until grep -q '^SigCgt:.*4...$' /proc/1/status; do sleep 0.02; done")
        self.pod.extra("Signal", container_id=c.name, id=c.name, signal=signal.SIGTERM,
                       mode=ax.SignalRequest.ALL)
        self.assertEqual(c.wait(), 9)
        self.assertEqual(d.status("KillProcess", signal=0)[0], "OK")
        self.assertEqual(self.pod.stats(d.name)[d.name].process.current > 0, True)
        d.call("KillProcess", signal=signal.SIGTERM)
        self.assertEqual(d.wait(), 9)

    def test_pause_of_one(self):
        tick = ["sh", "-c", "while :; do echo x >>/shared/$0; sleep 0.02; done"]
        c, d = (self.running(tick + [name]) for name in ("tick-c", "tick-d"))
        size = lambda name: int(self.sh(self.a, f"stat -c %s /shared/{name} 2>/dev/null || echo 0"))
        self.assertTrue(wait_until(lambda: size("tick-c") > 4 and size("tick-d") > 4))
        self.pod.extra("Freeze", container_id=c.name)
        frozen, going = size("tick-c"), size("tick-d")
        self.assertTrue(wait_until(lambda: size("tick-d") > going + 10))
        self.assertEqual(size("tick-c"), frozen)
        p = self.pod.exec(c, ["true"], ())
        self.assertEqual(p.status("StartProcess")[0], "FAILED_PRECONDITION")
        p.call("DeleteProcess")
        self.pod.extra("Thaw", container_id=c.name)
        self.assertTrue(wait_until(lambda: size("tick-c") > frozen))
        # Frozen ones can be deleted.
        self.pod.extra("Freeze", container_id=c.name)
        c.call("DeleteProcess")
        self.assertEqual(d.status("KillProcess", signal=0)[0], "OK")

    # ---- ids, and what does not come to be ----

    def test_ids(self):
        spec = json.dumps(self.pod.spec(["true"])).encode()
        create = lambda **f: self.pod.status("CreateProcess", configuration=spec, **f)[0]
        self.assertEqual(create(id="x"), "INVALID_ARGUMENT")
        self.assertEqual(create(id="x", containerID="y"), "INVALID_ARGUMENT")
        for name in ("", ".", "..", "../up", "a/b", "x" * 200, "a\nb", "ä"):
            self.assertEqual(create(id=name, containerID=name), "INVALID_ARGUMENT", name)
            self.assertEqual(create(id=name, containerID=self.a.name), "INVALID_ARGUMENT", name)
        for c in (self.a, self.b):
            self.assertEqual(create(id=c.name, containerID=c.name), "ALREADY_EXISTS")
        # An exec's id is its container's matter.
        pair = [Process(self.pod, c.name, "same", self.pod.spec(["hostname"]), ("stdout",))
                for c in (self.a, self.b)]
        self.assertEqual([p.run()[1] for p in pair], [b"alpha\n", b"beta\n"])
        for p in pair:
            p.call("DeleteProcess")
            p.stdout.close()

    def test_failing_creates_leave_nothing(self):
        def fail(change, want="INVALID_ARGUMENT"):
            spec = self.pod.spec(["true"])
            change(spec)
            got = self.pod.status("CreateProcess", id="bad", containerID="bad",
                                  configuration=json.dumps(spec).encode())
            self.assertNotEqual(got[0], "OK", spec)
            self.assertEqual(self.pod.status("WaitProcess", id="bad", containerID="bad")[0], "NOT_FOUND")

        self.pod.root("bad")
        mount = lambda **m: lambda s: s["mounts"].append(m)
        bad = [
            mount(destination="/x", type="nosuch", source="x"),
            mount(destination="/x", type="bind", source="/no/such", options=["bind"]),
            mount(destination="/x", type="virtiofs", source="nosuch"),
            lambda s: s["root"].update(path="/none"),
            lambda s: s.pop("process"),
            lambda s: s["process"].update(user={"uid": 0, "gid": 0, "username": "nobody-here"}),
            lambda s: s["linux"].update(namespaces=[{"type": "pid", "path": "/proc/1/ns/pid"}]),
            lambda s: s["linux"].update(sysctl={"no.such.setting": "1"}),
            lambda s: s["linux"].update(devices=[{"path": "/dev/x", "type": "c", "major": 1, "minor": 3}]),
            lambda s: s.update(hooks={"startContainer": [{"path": "/bin/true"}]}),
        ]
        before = None
        for _ in range(11):
            for change in bad:
                fail(change)
            before = before or self.usage()
        usage = self.usage()
        self.assertLess(usage["fds"], before["fds"] + len(bad))
        self.assertTrue(wait_until(lambda: self.usage()["gofer"] <= before["gofer"]))
        # Less than a document each; threads have memory of their own when they first work.
        if not SANITIZED:
            self.assertLess(usage["rss"] - before["rss"], 640)
        # Its root is as good as new.
        c = self.pod.container(["echo", "ok"], ("stdout",), name="good")
        self.assertEqual(c.run()[1], b"ok\n")
        c.call("DeleteProcess")
        self.pod.call("Umount", path="/run/container/bad/rootfs", flags=0)

    def test_program_that_is_missing(self):
        c = self.pod.container(["/no/such"])
        self.assertEqual(c.status("StartProcess")[0], "INTERNAL")
        self.assertEqual(c.wait(), 127)
        c.call("DeleteProcess")

    # ---- nothing is kept ----

    def usage(self):
        """Of the sentry: descriptors, KiB of its own and of guests, stubs; of the gofer: descriptors"""
        pid = self.pod.pid
        read = lambda *path: pathlib.Path("/proc", *path).read_text(encoding="ascii")
        status = read(str(pid), "status")
        field = lambda name: int(re.search(rf"^{name}:\s+(\d+)", status, re.M)[1])
        below = descendants(pid, without="")
        names = collections.Counter(below.values())
        gofer = next(child for child, name in below.items() if name == "coffer-gofer")
        return {"fds": len(os.listdir(f"/proc/{pid}/fd")), "rss": field("RssAnon"),
                "shmem": field("RssShmem"), "stubs": names["coffer-stub"],
                "gofer": len(os.listdir(f"/proc/{gofer}/fd"))}

    def test_many_lives_leave_nothing(self):
        def one():
            c = self.pod.container(["sh", "-c", "echo $$; ls /etc >/tmp/x; sleep 1000 &"], ("stdout",),
                                   resources={"memory": {"limit": 64 * MIB}, "pids": {"limit": 50}})
            self.assertEqual(c.run()[:2], (0, b"1\n"))
            c.call("DeleteProcess")
            c.stdout.close()

        for _ in range(30):
            one()
        # What each life leaves it leaves every time; a thread's first work takes memory once.
        for _ in range(3):
            before = self.usage()
            for _ in range(LIVES):
                one()
            after = self.usage()
            print(f"before and after {LIVES} lives:", before, after)
            if after["rss"] - before["rss"] < LIVES:
                break
        for name in ("fds", "gofer", "stubs"):
            self.assertLess(after[name], before[name] + LIVES // 4, name)
        if not SANITIZED:
            self.assertLess(after["rss"] - before["rss"], LIVES, (before, after))
        self.assertLess(after["shmem"] - before["shmem"], 2048, (before, after))


if __name__ == "__main__":
    unittest.main()
