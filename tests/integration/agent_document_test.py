# SPDX-License-Identifier: Apache-2.0
"""What the agent makes of a container's document: fields, confinement, the init wrapper; figures."""

import json
import os
import signal
import socket
import unittest

from agent_client import PROGRAM, SANITIZED, Process, agent_closing, make_spec, wait_until
from agent_system_test import MIB, ContainerBase

class StatisticsTest(ContainerBase):
    GROUPS = {"process": 1, "memory": 2, "cpu": 3, "block_io": 4, "memory_events": 6}

    def test_groups(self):
        c = self.running()
        for name, number in self.GROUPS.items():
            stats = self.call("ContainerStatistics", container_ids=[c.name], categories=[number]).containers[0]
            self.assertEqual(stats.container_id, c.name)
            self.assertEqual([g for g in self.GROUPS if stats.HasField(g)], [name])
        stats = self.call("ContainerStatistics", container_ids=[c.name]).containers[0]
        self.assertEqual([g for g in self.GROUPS if stats.HasField(g)], list(self.GROUPS))

    def test_ids(self):
        a, b = self.running(), self.running()
        ids = [s.container_id for s in self.call("ContainerStatistics").containers]
        self.assertLessEqual({a.name, b.name}, set(ids))
        ids = [s.container_id for s in self.call("ContainerStatistics", container_ids=[b.name, a.name]).containers]
        self.assertEqual(ids, [b.name, a.name])
        code, text = self.agent.status("ContainerStatistics", container_ids=[a.name, "none"])
        self.assertEqual(code, "INTERNAL")
        self.assertIn("none", text)
        self.refused("ContainerStatistics", "category", categories=[9])
        self.refused("ContainerStatistics", "category", categories=[0])
        self.refused("ContainerStatistics", "container_ids", container_ids=["x"] * 5000)


# What an encoder writes that knows no missing members, with its escapes.
SWIFT_DOCUMENT = {
    "ociVersion": "1.1.0", "hostname": "swift", "domainname": "", "annotations": {}, "hooks": None,
    "process": {
        "terminal": False, "cwd": "", "commandLine": "", "args": ["sh", "-c", "id -u; id -G; echo $HOME; pwd; hostname"],
        "env": [], "noNewPrivileges": False, "apparmorProfile": "", "selinuxLabel": "", "oomScoreAdj": None,
        "rlimits": [], "consoleSize": None, "capabilities": {
            "bounding": [], "effective": [], "inheritable": [], "permitted": [], "ambient": []},
        "user": {"uid": 0, "gid": 0, "umask": None, "additionalGids": [7, 10, 7], "username": "app"},
    },
    "mounts": [
        {"type": "proc", "source": "proc", "destination": "/proc", "options": [], "uidMappings": [], "gidMappings": []},
        {"type": "tmpfs", "source": "tmpfs", "destination": "/dev", "options": ["nosuid", "mode=755"],
         "uidMappings": [], "gidMappings": []},
    ],
    "linux": {
        "uidMappings": [], "gidMappings": [], "sysctl": {}, "cgroupsPath": "", "devices": [], "seccomp": None,
        "rootfsPropagation": "", "maskedPaths": [], "readonlyPaths": [], "mountLabel": "", "personality": None,
        "namespaces": [{"type": t, "path": ""} for t in ("pid", "ipc", "uts", "mount", "cgroup")],
        "resources": {
            "devices": [], "hugepageLimits": [], "network": None, "rdma": {}, "unified": {}, "blockIO": None,
            "pids": None, "memory": None, "cpu": None,
        },
    },
}


class DocumentTest(ContainerBase):
    def test_apples_encoder(self):
        document = {**SWIFT_DOCUMENT, "root": {"path": self.rootfs, "readonly": False}}
        text = json.dumps(document).replace("/", "\\/").encode()
        name = self.new_id(f"swift-{os.getpid()}-")
        out = self.agent.stream()
        agent_closing.append(out)
        self.call("CreateProcess", id=name, containerID=name, configuration=text, stdout=out.port, options=b"{}",
                  ociRuntimePath="")
        self.addCleanup(self.status, "DeleteProcess", id=name, containerID=name)
        self.call("StartProcess", id=name, containerID=name)
        lines = out.read_all().decode().split("\n")
        self.assertEqual(lines[0], "1000")
        self.assertEqual(lines[1].split()[1:], ["7", "10", "50"], "given, then the user's, each once")
        self.assertEqual(lines[2:5], ["/home/app", "/", "swift"])

    def test_working_directory_is_made(self):
        c = self.container(["sh", "-c", "pwd; stat -c %a ."], streams=("stdout",), cwd="/made/for/me")
        c.start()
        self.assertEqual(c.stdout.read_all(), b"/made/for/me\n755\n")
        c = self.running()
        self.assertEqual(self.exec(c, ["pwd"], cwd="/and/for/me").run()[1], b"/and/for/me\n")

    def test_runtime_in_the_guest(self):
        spec = json.dumps(make_spec(self.rootfs, ["true"])).encode()
        self.assertEqual(self.status("CreateProcess", id="rt", containerID="rt", configuration=spec,
                                     ociRuntimePath="/usr/bin/runc"), "UNIMPLEMENTED")
        self.assertEqual(self.status("WaitProcess", id="rt", containerID="rt"), "NOT_FOUND")

    def test_users_out_of_range(self):
        for uid in (2**31, 2**32 - 1):
            spec = json.dumps(make_spec(self.rootfs, ["true"], user={"uid": uid, "gid": 0})).encode()
            code = self.status("CreateProcess", id="range", containerID="range", configuration=spec)
            self.assertIn(code, ("INTERNAL", "INVALID_ARGUMENT"), uid)
            self.assertEqual(self.status("WaitProcess", id="range", containerID="range"), "NOT_FOUND")


class ConfinementTest(ContainerBase):
    """What the document says about rights holds for init and for execs."""

    SECCOMP = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}
    SHOW = "grep -E '^(Cap(Bnd|Eff|Prm|Amb)|NoNewPrivs|Seccomp):' /proc/self/status; ulimit -n; cat /proc/timer_list | head -1"

    def confine(self, spec, **process):
        spec["linux"]["seccomp"] = self.SECCOMP
        spec["linux"]["maskedPaths"] = ["/proc/timer_list"]
        spec["linux"]["readonlyPaths"] = ["/proc/sys"]
        caps = ["CAP_KILL", "CAP_CHOWN"]
        spec["process"].update({"noNewPrivileges": True, "capabilities": {
            "bounding": caps, "effective": caps, "permitted": caps}}, **process)
        spec["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}]
        return spec

    def start(self, container, name, spec, streams=("stdout", "stderr")):
        return Process(self.agent, container, name, spec, streams)

    def test_init_and_exec_alike(self):
        name = self.new_id("conf")
        init = self.start(name, name, self.confine(make_spec(self.rootfs, ["sh", "-c", self.SHOW + "; sleep 1000"])))
        self.addCleanup(init.status, "DeleteProcess")
        init.start()
        shown = init.stdout.read_until(b"77\n").decode()
        for line in ("CapBnd:\t0000000000000021", "CapPrm:\t0000000000000021", "CapEff:\t0000000000000021",
                     "NoNewPrivs:\t1", "Seccomp:\t2"):
            self.assertIn(line, shown)
        code, out, _ = self.start(name, "same", self.confine(make_spec(self.rootfs, ["sh", "-c", self.SHOW]))).run()
        self.assertEqual(out.decode(), shown, "the masked file is empty for both")
        script = "mkdir /tmp/x; echo 1 >/proc/sys/vm/swappiness"
        _, _, err = self.start(name, "try", self.confine(make_spec(self.rootfs, ["sh", "-c", script]))).run()
        self.assertIn(b"not supported", err)
        self.assertIn(b"Read-only", err)

        plain = make_spec(self.rootfs, ["sh", "-c", self.SHOW])
        out = self.start(name, "plain", plain).run()[1].decode()
        self.assertIn("CapEff:\t0000000000000000", out, "what its document does not give it has not")
        self.assertIn("Seccomp:\t2", out, "the container's filter")
        self.assertIn("NoNewPrivs:\t0", out)

    def test_an_execs_own_is_refused(self):
        c = self.running()
        for change in ("seccomp", "maskedPaths", "readonlyPaths"):
            spec = make_spec(self.rootfs, ["true"])
            spec["linux"][change] = self.confine(make_spec(self.rootfs, []))["linux"][change]
            code, text = self.agent.status("CreateProcess", id="own", containerID=c.name,
                                           configuration=json.dumps(spec).encode())
            self.assertEqual(code, "UNIMPLEMENTED", change)
            self.assertIn(change, text)
        code, text = self.agent.status("CreateProcess", id="rl", containerID=c.name, configuration=json.dumps(
            self.confine(make_spec(self.rootfs, ["true"]), rlimits=[])).encode())
        self.assertEqual(code, "UNIMPLEMENTED")
        for limit in ({"type": "RLIMIT_NOPE", "soft": 1, "hard": 1}, {"type": "RLIMIT_NOFILE", "soft": 2, "hard": 1}):
            spec = make_spec(self.rootfs, ["true"])
            spec["process"]["rlimits"] = [limit]
            code = self.status("CreateProcess", id="rl", containerID=c.name, configuration=json.dumps(spec).encode())
            self.assertEqual(code, "INVALID_ARGUMENT", limit)


class InitTest(ContainerBase):
    """The agent's program as a container's init."""

    def wrapped(self, args, streams=("stdout", "stderr"), **options):
        name = self.new_id("i")
        spec = make_spec(self.rootfs, ["/.coffer-init", "--", *args], **options)
        spec["mounts"].append({"destination": "/.coffer-init", "type": "bind", "source": PROGRAM,
                               "options": ["bind", "ro", "nosuid", "nodev"]})
        if SANITIZED:
            self.skipTest("a program with shared libraries is no init for a container")
        c = Process(self.agent, name, name, spec, streams)
        c.name = name
        self.addCleanup(c.status, "DeleteProcess")
        return c

    def test_exit_codes(self):
        self.assertEqual(self.wrapped(["sh", "-c", "echo $$ $PPID; exit 42"]).run(), (42, b"2 1\n", b""))
        self.assertEqual(self.wrapped(["sh", "-c", "kill -9 $$"]).run()[0], 137)
        code, _, text = self.wrapped(["nope"]).run()
        self.assertEqual((code, text), (127, b"coffer-init: nope: No such file or directory\n"))
        self.assertEqual(self.wrapped(["/etc/passwd"]).run()[0], 126)

    def test_signals(self):
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP, signal.SIGWINCH, 34, 64):
            c = self.wrapped(["sh", "-c", f"trap 'exit 9' {int(sig)}; echo up; while :; do sleep 0.05; done"])
            c.start()
            c.stdout.read_until(b"up")
            c.call("KillProcess", signal=sig)
            self.assertEqual(c.wait(), 9, sig)
        c = self.wrapped(["sleep", "1000"], ())
        c.start()
        c.call("KillProcess", signal=signal.SIGTERM)
        self.assertEqual(c.wait(), 128 + signal.SIGTERM, "by default")

    def test_orphans_are_reaped(self):
        c = self.wrapped(["sh", "-c", "for i in $(seq 50); do sh -c 'sleep 0.1 & exit'; done; echo up; sleep 1000"])
        c.start()
        c.stdout.read_until(b"up")
        gone = lambda: b" 0\n" in self.exec(c, ["sh", "-c", "echo '' $(ps -o stat | grep -c Z)"]).run()[1]
        self.assertTrue(wait_until(gone))

    def test_terminal(self):
        c = self.wrapped(["sh"], ("stdin", "stdout"), terminal=True)
        c.start()
        c.stdin.accept().sendall(b"tty; sleep 1000\n")
        c.stdout.read_until(b"/dev/pts/0")
        self.assertTrue(wait_until(lambda: self.pids(c, "sleep 1000")))
        c.stdin.accept().sendall(b"\x03")
        c.stdin.accept().sendall(b"echo code $?\n")
        c.stdout.read_until(b"code 130")
        c.stdin.accept().sendall(b"exit 6\n")
        self.assertEqual(c.wait(), 6)

    def test_stdin(self):
        c = self.wrapped(["wc", "-c"], ("stdin", "stdout"))
        c.start()
        c.stdin.accept().sendall(b"x" * MIB)
        c.stdin.conn.shutdown(socket.SHUT_WR)
        self.assertEqual(c.stdout.read_all(), b"%d\n" % MIB)
        self.assertEqual(c.wait(), 0)

    def test_as_exec(self):
        c = self.wrapped(["sleep", "1000"], ())
        c.start()
        p = self.exec(c, ["/.coffer-init", "--", "sh", "-c", "exit 4"])
        self.assertEqual(p.run()[0], 4)


if __name__ == "__main__":
    unittest.main()
