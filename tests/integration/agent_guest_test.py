# SPDX-License-Identifier: Apache-2.0
"""The agent's RPCs on the guest itself: files, mounts, environment, settings."""

import os
import signal
import stat
import subprocess
import time
import unittest

from agent_client import Agent, pb


def read(path):
    with open(path, "rb") as f:
        return f.read()


class GuestTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.agent = Agent()

    @classmethod
    def tearDownClass(cls):
        cls.agent.close()

    def path(self, *parts):
        return os.path.join(self.agent.dir, *parts)

    def call(self, method, **fields):
        return self.agent.call(method, **fields)

    def status(self, method, **fields):
        return self.agent.status(method, **fields)[0]

    def write(self, path, data, mode=0, **flags):
        return self.agent.status(
            "WriteFile", path=path, data=data, mode=mode,
            flags=pb.WriteFileRequest.WriteFileFlags(**flags),
        )[0]

    def test_ready_line(self):
        self.assertEqual(self.agent.ready["agent"], "coffer-agent")
        self.assertGreaterEqual(self.agent.ready["uptime_us"], self.agent.ready["init_us"])

    def test_every_method_answers(self):
        served = set()
        for method in pb.DESCRIPTOR.services_by_name["SandboxContext"].methods:
            if method.name in ("Copy", "Kill", "SetTime"):
                continue
            if self.status(method.name) != "UNIMPLEMENTED":
                served.add(method.name)
        self.assertLessEqual({
            "Mount", "Umount", "Setenv", "Getenv", "Mkdir", "Sysctl", "WriteFile", "Stat",
            "CreateProcess", "DeleteProcess", "StartProcess", "KillProcess", "WaitProcess",
            "ResizeProcess", "CloseProcessStdin", "IpLinkSet", "Sync", "IpAddrAdd",
            "IpRouteAddLink", "IpRouteAddDefault", "ConfigureDns", "ConfigureHosts",
            "SetupEmulator", "ProxyVsock", "StopVsockProxy", "ContainerStatistics",
        }, served)

    # ---- environment ----

    def test_environment(self):
        self.call("Setenv", key="COFFER_TEST", value="one two")
        self.assertEqual(self.call("Getenv", key="COFFER_TEST").value, "one two")
        self.call("Setenv", key="COFFER_TEST")
        reply = self.call("Getenv", key="COFFER_TEST")
        self.assertTrue(reply.HasField("value"))
        self.assertEqual(reply.value, "")
        self.assertFalse(self.call("Getenv", key="COFFER_UNSET").HasField("value"))
        for key in ("", "A=B"):
            self.assertEqual(self.status("Setenv", key=key, value="x"), "INVALID_ARGUMENT")

    # ---- files ----

    def test_write_file_never_truncates(self):
        path = self.path("written")
        self.assertEqual(self.write(path, b"abcdef"), "INTERNAL")
        self.assertEqual(self.write(path, b"abcdef", create_if_missing=True), "OK")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o644)
        self.assertEqual(self.write(path, b"XY"), "OK")
        self.assertEqual(read(path), b"XYcdef")
        self.assertEqual(self.write(path, b"++", append=True), "OK")
        self.assertEqual(read(path), b"XYcdef++")

    def test_write_file_parents_and_mode(self):
        path = self.path("p", "q", "file")
        self.assertEqual(self.write(path, b"", create_if_missing=True), "INTERNAL")
        self.assertEqual(
            self.write(path, b"x" * 1000000, mode=0o600, create_if_missing=True, create_parent_dirs=True), "OK")
        self.assertEqual(os.path.getsize(path), 1000000)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("p")).st_mode), 0o755)

    def test_write_file_into_fifo_does_not_hang(self):
        os.mkfifo(self.path("fifo"))
        self.assertEqual(self.write(self.path("fifo"), b"x"), "INTERNAL")

    def test_write_file_takes_no_other_file_of_an_image(self):
        root = self.path("state", "nodes", "rootfs")
        os.makedirs(root)
        os.mkfifo(f"{root}/file")
        reader = os.open(f"{root}/file", os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.assertEqual(self.write(f"{root}/file", b"x"), "INTERNAL")
        self.assertEqual(os.read(reader, 10), b"")

    def test_relative_path_is_refused(self):
        self.assertEqual(self.write("relative", b"x", create_if_missing=True), "INTERNAL")

    def test_paths_stay_in_a_containers_root(self):
        root = self.path("state", "links", "rootfs")
        os.makedirs(os.path.join(root, "etc"))
        os.symlink(self.agent.dir, os.path.join(root, "out"))
        os.symlink("../../../..", os.path.join(root, "up"))
        for link in ("out", "up"):
            self.write(f"{root}/{link}/planted", b"x", create_if_missing=True, create_parent_dirs=True)
        self.assertFalse(os.path.exists(self.path("planted")))
        self.assertTrue(os.path.exists(os.path.join(root, "planted")))
        os.symlink("/etc/passwd", os.path.join(root, "passwd"))
        self.assertEqual(self.status("Stat", path=f"{root}/passwd"), "NOT_FOUND")
        self.status("Mkdir", path=f"{root}/out/made", all=True)
        self.assertFalse(os.path.exists(self.path("made")))

    def test_mkdir(self):
        path = self.path("d")
        self.call("Mkdir", path=path)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o755)
        self.assertEqual(self.status("Mkdir", path=path), "INTERNAL")
        self.assertEqual(self.status("Mkdir", path=path, all=True), "OK")
        self.assertEqual(self.status("Mkdir", path=path + "/x/y"), "INTERNAL")
        self.call("Mkdir", path=path + "/x/y", all=True, perms=0o700)
        self.assertEqual(stat.S_IMODE(os.stat(path + "/x/y").st_mode), 0o700)
        self.call("Mkdir", path=path + "/sticky", perms=0o1777)
        self.assertEqual(stat.S_IMODE(os.stat(path + "/sticky").st_mode), 0o1777)
        self.call("Mkdir", path=path + "/slash/", all=True)
        self.assertTrue(os.path.isdir(path + "/slash"))

    def test_stat(self):
        path = self.path("file")
        with open(path, "wb") as f:
            f.write(b"12345")
        os.symlink("file", self.path("link"))
        got, want = self.call("Stat", path=self.path("link")).stat, os.stat(path)
        self.assertTrue(stat.S_ISREG(got.mode))
        for field in ("dev", "ino", "mode", "nlink", "uid", "gid", "size", "blocks", "blksize"):
            self.assertEqual(getattr(got, field), getattr(want, "st_" + field), field)
        self.assertEqual(got.mtime.seconds * 10**9 + got.mtime.nanos, want.st_mtime_ns)
        self.assertEqual(self.status("Stat", path=self.path("missing")), "NOT_FOUND")
        below_file = self.call("Stat", path=path + "/x")
        self.assertFalse(below_file.HasField("stat"))
        self.assertIn("Not a directory", below_file.error)

    # ---- mounts; seen through the agent's own /proc entry ----

    def mounts(self):
        with open(f"/proc/{self.agent.process.pid}/mounts", encoding="utf-8") as f:
            return {line.split()[1]: line.split() for line in f}

    def inside(self, path):
        return f"/proc/{self.agent.process.pid}/root{path}"

    def test_mount_tmpfs_and_umount(self):
        target = self.path("m", "deep")
        self.call("Mount", type="tmpfs", source="tmpfs", destination=target,
                  options=["size=1m", "nosuid", "noexec"])
        fields = self.mounts()[target]
        self.assertEqual(fields[2], "tmpfs")
        for option in ("nosuid", "noexec", "size=1024k"):
            self.assertIn(option, fields[3].split(","))
        with self.assertRaises(OSError) as raised:
            with open(self.inside(target) + "/big", "wb") as f:
                f.write(b"x" * (2 << 20))
        self.assertEqual(raised.exception.errno, 28)
        self.call("Umount", path=target + "/")
        self.assertNotIn(target, self.mounts())
        self.assertEqual(self.status("Umount", path=target), "INVALID_ARGUMENT")
        self.assertEqual(self.status("Umount", path=self.path("nowhere")), "INVALID_ARGUMENT")

    def test_mount_bind_file_read_only(self):
        with open(self.path("source"), "wb") as f:
            f.write(b"bound")
        target = self.path("files", "target")
        self.call("Mount", type="bind", source=self.path("source"), destination=target,
                  options=["bind", "ro"])
        self.assertEqual(read(self.inside(target)), b"bound")
        with self.assertRaises(OSError):
            open(self.inside(target), "ab").close()
        self.call("Umount", path=target)
        self.assertEqual(os.path.getsize(target), 0)

    def test_umount_busy_is_told(self):
        target = self.path("busy")
        self.call("Mount", type="tmpfs", source="tmpfs", destination=target)
        with open(self.inside(target) + "/held", "w", encoding="ascii"):
            start = time.monotonic()
            code, text = self.agent.status("Umount", path=target)
            took = time.monotonic() - start
        self.assertEqual(code, "INTERNAL")
        self.assertIn("busy", text)
        self.assertGreater(took, 0.4)
        self.assertIn(target, self.mounts())
        self.call("Umount", path=target)

    def test_agent_answers_while_umount_waits(self):
        target = self.path("slow")
        self.call("Mount", type="tmpfs", source="tmpfs", destination=target)
        with open(self.inside(target) + "/held", "w", encoding="ascii"):
            # The wait is short: whoever is held up for longer himself may miss it, but not each time.
            for _ in range(20):
                waiting = self.agent.future("Umount", path=target)
                self.call("Getenv", key="PATH")
                first = not waiting.done()
                waiting.exception()
                if first:
                    break
            self.assertTrue(first)
        self.call("Umount", path=target)

    def test_mount_failures(self):
        self.assertEqual(self.status("Mount", type="nosuchfs", source="x", destination=self.path("n")),
                         "INTERNAL")
        code, text = self.agent.status("Mount", type="tmpfs", source="x", destination=self.path("n"),
                                       options=["mode=" + "7" * 5000])
        self.assertEqual(code, "INTERNAL")
        self.assertIn("page", text)

    def test_mount_waits_for_a_disk(self):
        start = time.monotonic()
        self.assertEqual(
            self.status("Mount", type="ext4", source="/dev/vdzz", destination=self.path("disk")), "INTERNAL")
        self.assertGreater(time.monotonic() - start, 1.8)

    def test_sync(self):
        # Of all that whoever else is on this machine has written, too.
        self.call("Sync", timeout=400)

    # ---- settings ----

    def test_sysctl(self):
        with open("/proc/sys/vm/swappiness", encoding="ascii") as f:
            old = f.read().strip()
        self.assertEqual(self.status("Sysctl", settings={"vm.swappiness": old}), "OK")
        self.assertEqual(self.status("Sysctl", settings={"vm/swappiness": old}), "OK")
        for key in ("vm.no_such_setting", "..self.comm", "vm/../../self/comm", "", "vm."):
            self.assertEqual(self.status("Sysctl", settings={key: "1"}), "INTERNAL", key)

    def test_ip_link_set(self):
        self.assertEqual(self.status("IpLinkSet", interface="lo", up=True), "OK")
        self.assertEqual(self.status("IpLinkSet", interface="nosuch0", up=True), "INTERNAL")
        self.assertEqual(self.status("IpLinkSet", interface="x" * 100, up=True), "INVALID_ARGUMENT")

    def test_set_time_refuses_nonsense(self):
        self.assertEqual(self.status("SetTime", sec=1, usec=-1), "INTERNAL")

    def test_kill(self):
        with subprocess.Popen(["sleep", "60"]) as child:
            self.assertEqual(self.call("Kill", pid=child.pid, signal=99).result, -1)
            self.assertEqual(self.call("Kill", pid=child.pid, signal=0).result, 0)
            self.assertEqual(self.call("Kill", pid=child.pid, signal=signal.SIGTERM).result, 0)
            self.assertEqual(child.wait(), -signal.SIGTERM)
        # Outside a guest the pids that mean everybody are refused.
        self.assertEqual(self.call("Kill", pid=-1, signal=0).result, -1)


if __name__ == "__main__":
    unittest.main()
