# SPDX-License-Identifier: Apache-2.0
"""The agent's process RPCs: containers of a busybox root, execs, streams, terminals."""

import concurrent.futures
import json
import os
import shutil
import signal
import threading
import time
import unittest

import grpc
from agent_client import SANITIZED, Agent, Process, agent_closing, make_rootfs, make_spec, wait_until

MIB = 1 << 20


class ProcessTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.agent = Agent()
        cls.addClassCleanup(cls.agent.close)
        cls.rootfs = make_rootfs(os.path.join(cls.agent.dir, "root"))
        cls.count = 0
        cls.box = Process(cls.agent, "box", "box", cls.spec(["sleep", "1000"]), streams=())
        cls.box.start()

    @classmethod
    def tearDownClass(cls):
        cls.box.call("DeleteProcess")

    def tearDown(self):
        while agent_closing:
            agent_closing.pop().close()
        self.assertIsNone(self.agent.process.poll(), self.agent.log())

    @classmethod
    def spec(cls, args, **options):
        return make_spec(cls.rootfs, args, **options)

    @classmethod
    def new_id(cls, prefix="p"):
        cls.count += 1
        return f"{prefix}{cls.count}"

    def container(self, args, streams=("stdout", "stderr"), **options):
        name = self.new_id("c")
        p = Process(self.agent, name, name, self.spec(args, **options), streams)
        self.addCleanup(p.status, "DeleteProcess")
        return p

    def exec(self, args, streams=("stdout", "stderr"), **options):
        return Process(self.agent, "box", self.new_id(), self.spec(args, **options), streams)

    def sh(self, script, streams=("stdout", "stderr"), **options):
        return self.exec(["sh", "-c", script], streams, **options)

    # ---- a whole life ----

    def test_container_life(self):
        c = self.container(["sh", "-c", "echo out; echo err >&2; exit 42"])
        self.assertEqual(c.run(), (42, b"out\n", b"err\n"))
        self.assertEqual(c.status("KillProcess", signal=9)[0], "OK")
        self.assertEqual(c.status("StartProcess")[0], "FAILED_PRECONDITION")
        self.assertEqual(c.wait(), 42)
        self.assertEqual(c.status("DeleteProcess")[0], "OK")
        self.assertEqual(c.status("DeleteProcess")[0], "NOT_FOUND")
        self.assertEqual(c.status("WaitProcess")[0], "NOT_FOUND")

    def test_delete_kills_a_running_container(self):
        c = self.container(["sleep", "1000"])
        c.start()
        waiting = self.agent.future("WaitProcess", **c.ids)
        c.call("DeleteProcess")
        self.assertEqual(waiting.result().exitCode, 128 + signal.SIGKILL)

    def test_delete_with_running_execs(self):
        c = self.container(["sleep", "1000"])
        c.start()
        name = c.ids["id"]
        kept = Process(self.agent, name, "a", self.spec(["sleep", "1000"]), ())
        kept.start()
        waiting = self.agent.future("WaitProcess", **kept.ids)
        self.assertEqual(kept.status("DeleteProcess")[0], "FAILED_PRECONDITION")
        c.call("DeleteProcess")
        self.assertEqual(waiting.result().exitCode, 128 + signal.SIGKILL)

    def test_delete_before_start(self):
        c = self.container(["true"])
        self.assertEqual(c.status("DeleteProcess")[0], "OK")
        self.assertEqual(c.status("StartProcess")[0], "NOT_FOUND")

    def test_signal_gives_128_plus(self):
        p = self.exec(["sleep", "1000"])
        p.start()
        self.assertEqual(p.status("KillProcess", signal=0)[0], "OK")
        p.call("KillProcess", signal=signal.SIGKILL)
        self.assertEqual(p.wait(), 137)

    # ---- what is refused ----

    def test_ids(self):
        spec = json.dumps(self.spec(["true"])).encode()
        create = lambda **f: self.agent.status("CreateProcess", configuration=spec, **f)[0]
        self.assertEqual(create(id="x"), "INVALID_ARGUMENT")
        self.assertEqual(create(id="x", containerID="y"), "INVALID_ARGUMENT")
        for name in ("", ".", "..", "../up", "a/b", "x" * 200):
            self.assertEqual(create(id=name, containerID=name), "INVALID_ARGUMENT", name)
        self.assertEqual(create(id="box", containerID="box"), "ALREADY_EXISTS")
        self.assertEqual(create(id="", containerID="box"), "INVALID_ARGUMENT")
        for method in ("Start", "Kill", "Wait", "Resize", "Delete"):
            method += "Process"
            self.assertEqual(self.agent.status(method, id="box")[0], "INVALID_ARGUMENT")
            self.assertEqual(self.agent.status(method, id="x", containerID="none")[0], "NOT_FOUND")
            self.assertEqual(self.agent.status(method, id="none", containerID="box")[0], "FAILED_PRECONDITION")
        self.assertEqual(self.agent.status("CloseProcessStdin", id="x", containerID="none")[0], "NOT_FOUND")

    def test_configurations(self):
        good = self.spec(["true"])
        without = lambda *keys: {k: v for k, v in good.items() if k not in keys}
        cases = [
            (b"{", "INTERNAL"), (b"", "INTERNAL"), (b"[]", "INTERNAL"), (b"\xff\xfe", "INTERNAL"),
            (b"[" * 100000, "INTERNAL"),
            (json.dumps(without("process")).encode(), "INVALID_ARGUMENT"),
            (json.dumps(without("root")).encode(), "INVALID_ARGUMENT"),
            (json.dumps(without("linux")).encode(), "INVALID_ARGUMENT"),
        ]
        for config, want in cases:
            got = self.agent.status("CreateProcess", id="bad", containerID="bad", configuration=config)
            self.assertEqual(got[0], want, f"{config[:60]} {got[1]}")
        self.assertEqual(self.agent.status("WaitProcess", id="bad", containerID="bad")[0], "NOT_FOUND")

    def test_host_that_does_not_listen(self):
        spec = json.dumps(self.spec(["true"])).encode()
        for field in ("stdin", "stdout", "stderr"):
            code = self.agent.status("CreateProcess", id="mute", containerID="mute", configuration=spec,
                                     **{field: 99})[0]
            self.assertNotEqual(code, "OK")
            self.assertEqual(self.agent.status("CreateProcess", id="mute", containerID="mute",
                                               configuration=spec, **{field: 0})[0], "INVALID_ARGUMENT")
        self.assertEqual(self.agent.status("WaitProcess", id="mute", containerID="mute")[0], "NOT_FOUND")

    def test_program_missing_or_not_executable(self):
        with open(os.path.join(self.rootfs, "plain"), "w", encoding="ascii") as f:
            f.write("data")
        for args, code in ((["nope"], 127), (["/no/such"], 127), (["/plain"], 126), (["/etc"], 126)):
            for make in (self.container, self.exec):
                p = make(args)
                waiting = self.agent.future("WaitProcess", **p.ids)
                status, text = p.status("StartProcess")
                self.assertEqual(status, "INTERNAL", args)
                self.assertIn(args[0], text)
                self.assertEqual(waiting.result().exitCode, code, args)
                self.assertEqual(p.wait(), code)
                self.assertEqual(p.stdout.read_all() + p.stderr.read_all(), b"", "ends without DeleteProcess")
                self.assertEqual(p.status("DeleteProcess")[0], "OK")

    def test_exec_needs_a_running_container(self):
        c = self.container(["true"])
        p = Process(self.agent, c.ids["id"], "early", self.spec(["true"]), ())
        self.assertEqual(p.status("KillProcess", signal=9)[0], "FAILED_PRECONDITION")
        self.assertNotEqual(p.status("StartProcess")[0], "OK")

    def test_one_of_many_wins(self):
        spec = json.dumps(self.spec(["true"])).encode()
        name = self.new_id()
        stream = self.agent.stream()
        stream.listener.listen(128)
        agent_closing.append(stream)
        with concurrent.futures.ThreadPoolExecutor(100) as pool:
            codes = list(pool.map(
                lambda _: self.agent.status("CreateProcess", id=name, containerID="box",
                                            configuration=spec, stdout=stream.port)[0], range(100)))
        self.assertEqual(codes.count("OK"), 1)
        self.assertEqual(codes.count("ALREADY_EXISTS"), 99)
        self.agent.call("DeleteProcess", id=name, containerID="box")

    # ---- waiting ----

    def test_waiters_agree(self):
        p, begun = self.sh("exec sleep 0.3"), time.time()
        before = [self.agent.future("WaitProcess", **p.ids) for _ in range(2)]
        p.start()
        replies = [w.result() for w in before + [self.agent.future("WaitProcess", **p.ids)]]
        replies.append(p.call("WaitProcess"))
        self.assertEqual(len({(r.exitCode, r.exited_at.seconds, r.exited_at.nanos) for r in replies}), 1)
        exited_at = replies[0].exited_at.seconds
        self.assertTrue(begun - 1 <= exited_at <= time.time() + 1, (begun, exited_at))

    def test_wait_timeout_ends_only_the_call(self):
        p = self.exec(["sleep", "1000"])
        p.start()
        with self.assertRaises(grpc.RpcError) as raised:
            self.agent.call("WaitProcess", timeout=0.2, **p.ids)
        self.assertEqual(raised.exception.code().name, "DEADLINE_EXCEEDED")
        cancelled = self.agent.future("WaitProcess", **p.ids)
        cancelled.cancel()
        self.assertEqual(p.status("KillProcess", signal=0)[0], "OK")
        p.call("KillProcess", signal=9)
        self.assertEqual(p.wait(), 137)

    def test_waiters_of_a_deleted_exec_are_released(self):
        p = self.exec(["true"])
        waiting = self.agent.future("WaitProcess", **p.ids)
        self.assertTrue(wait_until(lambda: self.agent.status("Getenv", key="PATH")[0] == "OK"))
        p.call("DeleteProcess")
        self.assertEqual(waiting.exception().code().name, "NOT_FOUND")
        self.assertEqual(p.status("DeleteProcess")[0], "FAILED_PRECONDITION")

    # ---- streams ----

    def test_stdout_exact_and_large(self):
        p = self.exec(["sh", "-c", "seq 1 2000000"], ("stdout",))
        want = b"".join(b"%d\n" % i for i in range(1, 2000001))
        code, out, _ = p.run()
        self.assertEqual((code, len(out)), (0, len(want)))
        self.assertTrue(out == want)

    def test_stdin_to_stdout(self):
        data = os.urandom(8 * MIB)
        p = self.exec(["cat"], ("stdin", "stdout"))
        p.start()
        conn = p.stdin.accept()
        feeder = threading.Thread(target=lambda: (conn.sendall(data), conn.shutdown(1)))
        feeder.start()
        self.assertTrue(p.stdout.read_all() == data)
        feeder.join()
        self.assertEqual(p.wait(), 0)

    def test_stdin_fed_before_start_then_closed_by_call(self):
        p = self.exec(["wc", "-c"], ("stdin", "stdout"))
        feeder = threading.Thread(target=lambda: p.stdin.accept().sendall(b"x" * MIB))
        feeder.start()
        p.start()
        feeder.join()
        for _ in range(3):
            self.assertEqual(p.status("CloseProcessStdin")[0], "OK")
        self.assertEqual(p.stdout.read_all().strip(), b"%d" % MIB)
        self.assertEqual(p.wait(), 0)

    def test_close_stdin_before_start(self):
        p = self.exec(["wc", "-c"], ("stdin", "stdout"))
        p.stdin.accept().sendall(b"12345")
        p.call("CloseProcessStdin")
        self.assertEqual(p.run()[:2], (0, b"5\n"))

    def test_without_streams(self):
        p = self.sh("cat; ls -l /proc/self/fd > /tmp/fds", ())
        self.assertEqual(p.run()[0], 0)
        self.assertEqual(p.status("CloseProcessStdin")[0], "OK")
        with open(os.path.join(self.rootfs, "tmp/fds"), encoding="ascii") as f:
            self.assertEqual(f.read().count("/dev/null"), 2)

    def test_orphans_do_not_hold_the_streams(self):
        p = self.sh("sleep 1000 & echo done", ("stdout",))
        self.assertEqual(p.run()[:2], (0, b"done\n"))

    def test_orphans_that_keep_writing(self):
        p = self.sh("yes &", ("stdout",))
        p.start()
        # Taken only now: what comes before the end of the process has no limit.
        self.assertEqual(p.wait(), 0)
        self.assertLess(len(p.stdout.read_all()), 8 * MIB)

    def test_host_that_hangs_up(self):
        p = self.exec(["yes"], ("stdout",))
        p.start()
        p.stdout.accept().recv(100)
        p.stdout.close()
        self.assertEqual(p.wait(), 128 + signal.SIGPIPE)

    def test_host_that_does_not_read_blocks_the_process_only(self):
        p = self.exec(["yes"], ("stdout",))
        p.start()
        p.stdout.accept()
        time.sleep(0.3)
        before = self.agent.rss_kib("RssAnon")
        time.sleep(0.5)
        self.assertLess(self.agent.rss_kib("RssAnon") - before, 1024)
        self.assertEqual(self.sh("echo ok", ("stdout",)).run()[:2], (0, b"ok\n"))
        p.call("KillProcess", signal=9)
        self.assertEqual(p.wait(), 137)

    # ---- terminal ----

    def test_terminal(self):
        p = self.exec(["sh"], ("stdin", "stdout"), terminal=True)
        self.assertEqual(p.status("ResizeProcess", rows=33, columns=120)[0], "OK")
        p.start()
        conn = p.stdin.accept()
        conn.sendall(b"stty size; tty; echo term=$TERM; echo end-$((1+1))\n")
        out = p.stdout.read_until(b"end-2\r\n")
        self.assertIn(b"33 120", out)
        self.assertIn(b"term=xterm", out)
        p.call("ResizeProcess", rows=40, columns=100)
        conn.sendall(b"stty size; echo end-$((2+2))\n")
        self.assertIn(b"40 100", p.stdout.read_until(b"end-4\r\n"))
        for size in ({"rows": 70000, "columns": 1}, {"rows": 1, "columns": 70000}):
            self.assertEqual(p.status("ResizeProcess", **size)[0], "INVALID_ARGUMENT")
        self.assertEqual(self.agent.status("Getenv", key="PATH")[0], "OK")
        conn.sendall(b"sh -c 'echo asleep-$((3+3)); exec sleep 1000'\n")
        p.stdout.read_until(b"asleep-6\r\n")
        conn.sendall(b"\x03")
        conn.sendall(b"exit 7\n")
        self.assertEqual(p.wait(), 7)
        p.stdout.read_all()
        self.assertEqual(p.status("ResizeProcess", rows=1, columns=1)[0], "OK")

    def test_terminal_of_init(self):
        c = self.container(["sh", "-c", "stty size; seq 1 20000; echo bye"], ("stdout",), terminal=True)
        c.call("ResizeProcess", rows=11, columns=22)
        code, out, _ = c.run()
        self.assertEqual(code, 0)
        self.assertTrue(out.startswith(b"11 22\r\n"), out[:40])
        self.assertTrue(out.endswith(b"19999\r\n20000\r\nbye\r\n"), out[-40:])

    def test_no_terminal_to_resize(self):
        self.assertEqual(self.box.status("ResizeProcess", rows=1, columns=1)[0], "UNIMPLEMENTED")
        self.assertEqual(self.box.status("ResizeProcess", rows=65536, columns=1)[0], "INVALID_ARGUMENT")

    # ---- users and environment ----

    def run_as(self, user, script):
        spec = {"uid": 0, "gid": 0, "username": user} if isinstance(user, str) else user
        code, out, err = self.sh(script, user=spec).run()
        self.assertEqual(code, 0, err)
        return out.decode().strip()

    def test_users(self):
        self.assertEqual(self.run_as("app", "id -u; id -g; echo $HOME").split(), ["1000", "1000", "/home/app"])
        self.assertEqual(self.run_as("app:staff", "id -u; id -g").split(), ["1000", "50"])
        self.assertEqual(self.run_as("1000:1234", "id -u; id -g").split(), ["1000", "1234"])
        self.assertEqual(self.run_as("4321", "id -u; id -g; echo $HOME").split(), ["4321", "0", "/"])
        self.assertEqual(self.run_as({"uid": 1000, "gid": 1000}, "id -u; echo $HOME").split(), ["1000", "/home/app"])
        self.assertEqual(set(self.run_as("app", "id -G").split()), {"1000", "50", "10"})
        spec = self.spec(["true"], user={"uid": 0, "gid": 0, "username": "nobody-here"})
        code, text = self.agent.status("CreateProcess", id="u", containerID="box",
                                       configuration=json.dumps(spec).encode())
        self.assertEqual(code, "INTERNAL")
        self.assertIn("nobody-here", text)

    def test_environment(self):
        out = self.sh("echo $PATH; echo $A", env=["A=b c"]).run()[1].decode().split("\n")
        self.assertEqual(out[:2], ["/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "b c"])
        self.assertEqual(self.sh("echo $PATH", env=["PATH=/bin"]).run()[1], b"/bin\n")

    def test_hostname_file(self):
        c = self.container(["hostname"], hostname="named")
        with open(os.path.join(self.rootfs, "etc/hostname"), encoding="ascii") as f:
            self.assertEqual(f.read(), "named\n")
        self.assertEqual(c.run()[1], b"named\n")

    def test_planted_hostname_is_not_written_through(self):
        root = shutil.copytree(self.rootfs, os.path.join(self.agent.dir, self.new_id("planted")), symlinks=True)
        path = os.path.join(root, "etc/hostname")
        if os.path.lexists(path):
            os.unlink(path)
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        name = self.new_id("c")
        p = Process(self.agent, name, name, make_spec(root, ["hostname"], hostname="named"))
        self.addCleanup(p.status, "DeleteProcess")
        self.assertEqual(p.run()[1], b"named\n")
        self.assertEqual(os.read(reader, 100), b"")

    def test_planted_passwd_is_harmless(self):
        root = shutil.copytree(self.rootfs, os.path.join(self.agent.dir, self.new_id("planted")), symlinks=True)
        passwd = os.path.join(root, "etc/passwd")
        ids = dict.fromkeys(("id", "containerID"), f"pl-{os.getpid()}")
        make = lambda: self.agent.status(
            "CreateProcess", configuration=json.dumps(make_spec(root, ["true"])).encode(), **ids)
        os.unlink(passwd)
        os.mkfifo(passwd)
        self.assertEqual(make()[0], "INVALID_ARGUMENT")
        os.unlink(passwd)
        os.symlink("/etc/shadow-none", passwd)
        self.assertEqual(make()[0], "OK")
        self.agent.call("DeleteProcess", **ids)

    # ---- nothing is kept ----

    def test_many_execs_leave_nothing(self):
        def one():
            p = self.sh("echo x", ("stdin", "stdout", "stderr"))
            self.assertEqual(p.run(), (0, b"x\n", b""))
            p.call("DeleteProcess")

        fds = lambda: len(os.listdir(f"/proc/{self.agent.process.pid}/fd"))
        for _ in range(5):
            one()
        self.assertTrue(wait_until(lambda: fds() <= 40), fds())
        before, rss = fds(), self.agent.rss_kib("RssAnon")
        for _ in range(50):
            one()
        self.assertTrue(wait_until(lambda: fds() <= before), (before, fds()))
        if not SANITIZED:
            self.assertLess(self.agent.rss_kib("RssAnon") - rss, 256)

    @unittest.skipIf(SANITIZED, "the sanitizers' own memory counts")
    def test_memory_stays_small(self):
        self.assertLess(self.agent.rss_kib(), 4096)


if __name__ == "__main__":
    unittest.main()
