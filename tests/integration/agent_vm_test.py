# SPDX-License-Identifier: Apache-2.0
"""The agent as PID 1 of a machine: control groups of its own, real vsock, the guest's settings."""

import collections
import concurrent.futures
import contextlib
import json
import os
import random
import signal
import socket
import time
import unittest

import grpc
from agent_client import Process, Stream, agent_closing, ax, make_spec, pb, wait_until
from vm_box import Vm

MIB = 1 << 20
SLOW = 180  # seconds that a busy emulated machine may take


class VmTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vm = Vm()
        cls.addClassCleanup(cls.vm.close)
        if not cls.vm.up:
            raise RuntimeError(cls.vm.answer)
        cls.count = 0
        cls.box = cls.container(["sleep", "100000"], pid_namespace=False)
        cls.box.start()

    def tearDown(self):
        while agent_closing:
            agent_closing.pop().close()
        self.vm.extra("Heartbeat")

    @classmethod
    def new_id(cls, prefix="v"):
        cls.count += 1
        return f"{prefix}{cls.count}"

    @classmethod
    def spec(cls, args, **options):
        spec = make_spec("/busybox", args, env=["PATH=/bin:/sbin:/usr/bin:/usr/sbin"], **options)
        spec["process"]["rlimits"] = []
        spec["process"]["capabilities"] = {k: ["CAP_SYS_ADMIN", "CAP_KILL"] for k in ("bounding", "effective", "permitted")}
        spec["mounts"].append({"destination": "/sys", "type": "bind", "source": "/sys", "options": ["rbind"]})
        spec["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"})
        return spec

    @classmethod
    def container(cls, args, streams=(), pid_namespace=True, resources=None, change=None, **options):
        name = cls.new_id("c")
        spec = cls.spec(list(args), **options)
        if not pid_namespace:
            spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"] if n["type"] != "pid"]
        spec["linux"]["resources"] = resources or {}
        if change:
            change(spec)
        c = Process(cls.vm, name, name, spec, streams)
        c.name = name
        return c

    def running(self, args=("sleep", "100000"), **options):
        c = self.container(args, **options)
        c.start()
        self.addCleanup(c.status, "DeleteProcess")
        return c

    def exec(self, c, args, streams=("stdout", "stderr"), **options):
        return Process(self.vm, c.name, self.new_id("e"), self.spec(list(args), **options), streams)

    def sh(self, script, c=None):
        code, out, err = self.exec(c or self.box, ["sh", "-c", script]).run()
        self.assertEqual(code, 0, (script, out, err))
        return out.decode()

    def cgroup(self, c, name):
        return self.sh(f"cat /sys/fs/cgroup/container/{c.name}/{name}")

    def keys(self, c, name):
        return {k: int(v) for k, v in (line.split() for line in self.cgroup(c, name).splitlines())}

    def stats(self, c, *categories):
        return self.vm.call("ContainerStatistics", container_ids=[c.name], categories=categories).containers[0]

    # ---- boot ----

    def test_timing(self):
        stages = {s.name: s for s in self.vm.extra("Timing").stages}
        order = ["kernel", "agent", "modules", "vsock", "ready", "root", "mounts", "limits", "loopback", "serve"]
        self.assertEqual([n for n in stages if n in order], order)
        self.assertEqual(stages["kernel"].begin_usec, 0)
        self.assertGreater(stages["kernel"].end_usec, 10000)
        at = 0
        for name in order:
            self.assertGreaterEqual(stages[name].begin_usec, at, name)
            self.assertGreaterEqual(stages[name].end_usec, stages[name].begin_usec, name)
            at = stages[name].end_usec
        self.assertGreater(self.vm.extra("Heartbeat").uptime_usec, at)

    def test_own_control_group(self):
        group = "/sys/fs/cgroup/agent/"
        self.assertTrue(wait_until(lambda: self.sh(f"cat {group}memory.low || true").strip() == "52428800", SLOW))
        self.assertEqual(self.sh(f"cat {group}memory.high").strip(), "83886080")
        self.assertIn("1", self.sh(f"cat {group}cgroup.procs").split())

    def test_memory_with_many_processes(self):
        many = [self.exec(self.box, ["sleep", "100000"]) for _ in range(50)]
        for p in many:
            p.start()
        status = self.sh("cat /proc/1/status")
        for p in many:
            p.call("KillProcess", signal=9)
        for p in many:
            self.assertEqual(p.wait(), 137)
            p.call("DeleteProcess")
        kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        print(f"agent with 50 processes: {kib} KiB", flush=True)
        self.assertLess(kib, 4096, status)

    # ---- the guest's own settings ----

    def test_time(self):
        want = 2000000000
        self.vm.call("SetTime", sec=want, usec=250000)
        self.assertAlmostEqual(self.vm.extra("Heartbeat").now.seconds, want, delta=SLOW)
        self.assertAlmostEqual(int(self.sh("date +%s")), want, delta=SLOW)
        now = time.time()
        self.vm.call("SetTime", sec=int(now), usec=0)
        self.assertEqual(self.vm.status("SetTime", sec=1, usec=-1)[0], "INTERNAL")

    def test_sysctl(self):
        self.vm.call("Sysctl", settings={"vm.swappiness": "33", "net/ipv4/ip_forward": "1"})
        self.assertEqual(self.sh("cat /proc/sys/vm/swappiness /proc/sys/net/ipv4/ip_forward"), "33\n1\n")
        self.assertEqual(self.vm.status("Sysctl", settings={"vm.nope": "1"})[0], "INTERNAL")

    def test_emulator(self):
        rule = {"name": "coffer-test", "type": "M", "offset": "0", "magic": "\\x43\\x4f\\x46\\x46\\x01",
                "mask": "\\xff\\xff\\xff\\xff\\xff", "binary_path": "/run/test/echo", "flags": "F"}
        self.vm.call("Mount", type="bind", source="/busybox/bin/busybox", destination=rule["binary_path"], options=["bind"])
        self.vm.call("SetupEmulator", **rule)
        script = "printf 'COFF\\001 and more' >/tmp/x; chmod 755 /tmp/x; exec /tmp/x one two"
        self.assertEqual(self.sh(script).split(), ["/tmp/x", "one", "two"], "the emulator is open already")
        code, text = self.vm.status("SetupEmulator", **rule)
        self.assertEqual(code, "INTERNAL")
        self.assertIn("exists", text)
        self.assertEqual(self.vm.status("SetupEmulator", **{**rule, "name": "other", "binary_path": "/nope"})[0], "INTERNAL")

    def test_address_on_loopback(self):
        self.vm.call("IpAddrAdd", interface="lo", ipv4Address="10.77.0.1/32", ipv6Address="fd77::1/128")
        self.assertIn("10.77.0.1", self.sh("ip addr show lo"))

    # ---- figures ----

    def test_statistics(self):
        limits = {"memory": {"limit": 48 * MIB}, "pids": {"limit": 20}, "cpu": {"quota": 50000, "period": 100000}}
        c = self.running(resources=limits)
        self.sh("dd if=/dev/zero of=/tmp/x bs=1M count=8 2>/dev/null; rm /tmp/x; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done", c)
        before = self.keys(c, "memory.stat")
        s = self.stats(c)
        self.assertEqual((s.process.current, s.process.limit), (1, 20))
        self.assertEqual(s.memory.limit_bytes, 48 * MIB)
        self.assertAlmostEqual(s.memory.usage_bytes, int(self.cgroup(c, "memory.current")), delta=4 * MIB)
        unlimited = self.stats(self.box)
        self.assertEqual((unlimited.memory.limit_bytes, unlimited.process.limit), (2**64 - 1, 2**64 - 1))
        file, m = self.keys(c, "memory.stat"), s.memory
        for field, key in (("page_faults", "pgfault"), ("major_page_faults", "pgmajfault"),
                           ("workingset_refault_anon", "workingset_refault_anon"), ("pgsteal_kswapd", "pgsteal_kswapd"),
                           ("pgsteal_direct", "pgsteal_direct")):
            # The kernel sums up late what it has counted.
            self.assertLessEqual(before[key], getattr(m, field), field)
            self.assertLessEqual(getattr(m, field), file[key], field)
        for field, key in (("cache_bytes", "file"), ("kernel_stack_bytes", "kernel_stack"), ("slab_bytes", "slab"),
                           ("inactive_file", "inactive_file"), ("anon", "anon")):
            self.assertAlmostEqual(getattr(m, field), file[key], delta=MIB, msg=field)
        self.assertGreater(m.page_faults, 0)
        cpu = self.keys(c, "cpu.stat")
        self.assertGreater(s.cpu.usage_usec, 1000)
        for field, key in (("usage_usec", "usage_usec"), ("user_usec", "user_usec"), ("system_usec", "system_usec")):
            self.assertLessEqual(getattr(s.cpu, field), cpu[key], field)
        self.assertGreater(s.cpu.throttling_periods, 0)
        self.assertEqual([n.interface for n in s.networks], [], "no eth* in this machine")

    def test_cpu_rises(self):
        c = self.running()
        before = self.stats(c, 3).cpu.usage_usec

        # A busy machine may give us less than the whole second.
        def rises():
            self.exec(c, ["timeout", "1", "sh", "-c", "while :; do :; done"]).run()
            return self.stats(c, 3).cpu.usage_usec - before > 300000
        self.assertTrue(wait_until(rises, SLOW), self.stats(c, 3))

    # ---- update, out of memory ----

    def test_update(self):
        c = self.running(resources={"pids": {"limit": 30}})
        script = "for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; wait"
        self.assertEqual(self.vm.extra_status("Update", container_id=c.name, resources=b'{"pids":{"limit":4}}')[0], "OK")
        self.assertEqual(self.cgroup(c, "pids.max"), "4\n")
        code, _, err = self.exec(c, ["sh", "-c", script]).run()
        self.assertNotEqual(code, 0)
        self.assertIn(b"fork", err)
        update = {"memory": {"limit": 32 * MIB}, "cpu": {"quota": 20000, "period": 100000}}
        self.vm.extra("Update", container_id=c.name, resources=json.dumps(update).encode())
        self.assertEqual(self.cgroup(c, "memory.max"), f"{32 * MIB}\n")
        self.assertEqual(self.cgroup(c, "cpu.max"), "20000 100000\n")
        self.assertEqual(self.cgroup(c, "pids.max"), "4\n", "what is not named stays")
        bad = b'{"pids":{"limit":9},"memory":{"limit":"x"}}'
        self.assertEqual(self.vm.extra_status("Update", container_id=c.name, resources=bad)[0], "INVALID_ARGUMENT")
        self.assertEqual(self.cgroup(c, "pids.max"), "4\n", "nothing was changed")

    def test_out_of_memory(self):
        events = self.vm.events()
        c = self.running(resources={"memory": {"limit": 16 * MIB, "swap": 16 * MIB}})
        hungry = self.exec(c, ["sh", "-c", "x=$(head -c 1000000 /dev/zero | tr '\\0' x); while :; do x=$x$x; done"], ())
        hungry.start()
        self.assertEqual(hungry.wait(), 137)
        # Of others there may be an end that is told late.
        ours = (e for e in events if e.container_id == c.name)
        kinds = []
        while (e := next(ours)).type != ax.Event.EXIT:
            kinds.append(e.type)
            if e.type == ax.Event.OOM:
                self.assertEqual((e.container_id, e.id), (c.name, ""))
                self.assertGreaterEqual(e.oom_kills, 1)
        self.assertEqual(kinds, [ax.Event.START, ax.Event.START, ax.Event.OOM], "told before the exit it caused")
        self.assertEqual(e.exit_code, 137)
        s = self.stats(c, 6).memory_events
        file = self.keys(c, "memory.events")
        for field in ("low", "high", "max", "oom", "oom_kill", "oom_group_kill"):
            self.assertEqual(getattr(s, field), file[field], field)
        self.assertGreaterEqual(s.oom_kill, 1)
        events.cancel()

    # ---- freezer, signals ----

    def test_freeze_and_fork_bomb(self):
        c = self.running(resources={"pids": {"limit": 200}})
        forking = "while :; do sleep 0.01 & sleep 0.01; done"
        bomb = self.exec(c, ["sh", "-c", f"for i in 1 2 3 4 5; do ({forking}) & done; exec sleep 100000"], ())
        bomb.start()
        time.sleep(1)
        self.assertEqual(self.vm.extra_status("Freeze", timeout=SLOW, container_id=c.name), ("OK", ""))
        self.assertIn("frozen 1", self.cgroup(c, "cgroup.events"))
        self.assertEqual(self.vm.extra_status("Thaw", container_id=c.name), ("OK", ""))
        self.assertEqual(self.vm.extra_status("Freeze", timeout=SLOW, container_id=c.name), ("OK", ""))
        self.assertEqual(
            self.vm.extra_status("Signal", container_id=c.name, signal=9, mode=ax.SignalRequest.ALL), ("OK", ""))
        self.assertEqual(c.wait(), 137)
        self.assertEqual(bomb.wait(), 137)
        self.assertTrue(wait_until(lambda: "populated 0" in self.cgroup(c, "cgroup.events"), SLOW))

    # ---- sockets ----

    def pump(self, ends, size):
        block = os.urandom(MIB)

        def send(s):
            for _ in range(size // MIB):
                s.sendall(block)
            s.shutdown(socket.SHUT_WR)

        def drain(s):
            got = 0
            while chunk := s.recv(MIB):
                got += len(chunk)
            return got

        for s in ends:
            s.settimeout(SLOW)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            sent = [pool.submit(send, s) for s in ends]
            got = [f.result() for f in [pool.submit(drain, s) for s in ends]]
            for f in sent:
                f.result()
        return got

    def test_socket_out_of_the_guest(self):
        self.vm.call("ProxyVsock", id="out", vsock_port=7001, guestPath="/run/sockets/echo.sock",
                     action=pb.ProxyVsockRequest.OUT_OF)
        server = self.vm.stream()
        self.vm.call("ProxyVsock", id="in", vsock_port=server.port, guestPath="/run/sockets/echo.sock",
                     guestSocketPermissions=0o660)
        near = self.vm.dial(7001)
        far = server.accept()
        self.assertEqual(self.pump([near, far], 16 * MIB), [16 * MIB] * 2, "through two proxies")
        near.close()
        server.close()
        self.vm.call("StopVsockProxy", id="in")
        self.assertEqual(self.vm.status("Stat", path="/run/sockets/echo.sock")[0], "NOT_FOUND")
        refused = self.vm.dial(7001)
        self.assertEqual(refused.recv(10), b"")
        refused.close()
        self.vm.call("StopVsockProxy", id="out")
        with self.assertRaises(OSError):
            self.vm.dial(7001)

    def test_socket_clients_at_once(self):
        self.vm.call("ProxyVsock", id="many-in", vsock_port=0x30000000, guestPath="/run/sockets/many.sock")
        self.vm.call("ProxyVsock", id="many-out", vsock_port=7002, guestPath="/run/sockets/many.sock",
                     action=pb.ProxyVsockRequest.OUT_OF)
        listener = Stream(self.vm.vm_dir, 0x30000000)
        os.chmod(listener.path, 0o666)
        listener.listener.listen(64)
        clients = [self.vm.dial(7002) for _ in range(32)]
        for i, s in enumerate(clients):
            s.sendall(b"%d" % i)
        listener.listener.settimeout(SLOW)
        servers = [listener.listener.accept()[0] for _ in clients]
        self.assertEqual(sorted(int(s.recv(10)) for s in servers), list(range(32)))
        for s in clients + servers:
            s.close()
        listener.close()
        for name in ("many-in", "many-out"):
            self.vm.call("StopVsockProxy", id=name)

    def test_forward(self):
        c = self.running(["nc", "-ll", "-p", "7777", "-e", "/bin/cat"],
                         change=lambda s: s["linux"]["namespaces"].append({"type": "network"}))
        stream = self.vm.stream()
        agent_closing.append(stream)
        fields = {"container_id": c.name, "tcp_port": 7777, "vsock_port": stream.port}
        self.assertTrue(wait_until(lambda: self.vm.extra_status("ForwardTcp", **fields)[0] == "OK", SLOW))
        near = stream.accept()
        near.sendall(b"echo")
        self.assertEqual(near.recv(100), b"echo")
        code, text = self.vm.extra_status("ForwardTcp", **{**fields, "container_id": self.box.name})
        self.assertEqual(code, "UNAVAILABLE")
        self.assertIn("refused", text)

    # ---- init wrapper ----

    def test_init_wrapper(self):
        def change(spec):
            spec["mounts"].append({"destination": "/.coffer-init", "type": "bind", "source": "/init",
                                   "options": ["bind", "ro", "nosuid", "nodev"]})
            spec["process"]["args"] = ["/.coffer-init", "--", *spec["process"]["args"]]

        script = "trap 'exit 9' TERM; for i in $(seq 20); do sh -c 'sleep 0 & exit'; done; echo up; while :; do sleep 0.1; done"
        c = self.running(["sh", "-c", script], streams=("stdout",), change=change)
        c.stdout.read_until(b"up")
        self.assertTrue(wait_until(lambda: self.sh("ps -o stat | grep -c Z || true", c).strip() == "0", SLOW))
        c.call("KillProcess", signal=signal.SIGTERM)
        self.assertEqual(c.wait(), 9)

    # ---- the end of everything else ----

    def test_zz_kill_everybody(self):
        c = self.running()
        self.assertEqual(self.vm.call("Kill", pid=-1, signal=9).result, 0)
        self.assertEqual(c.wait(), 137)
        self.assertEqual(self.box.wait(), 137)
        self.assertEqual(self.vm.call("Kill", pid=999999, signal=9).result, -1)
        self.assertEqual(self.running(["sh", "-c", "exit 3"]).wait(), 3)


class NonsenseTest(unittest.TestCase):
    """Requests that nobody means; in a machine of its own, since some of them are taken."""

    WORDS = ["", "/", "..", "a", "/proc/self/mem", "/run/container/x/rootfs/etc", "x" * 5000, "%s%n", "lo", "eth0",
             "1.2.3.4/24", "::1", "/dev/null", "tmpfs", "bind", "\u20ac", "/sys/fs/cgroup", "net.ipv4.ip_forward"]
    NUMBERS = [0, 1, 2, 9, 64, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, -1, -2**31]

    def fill(self, random, message):
        for field in message.DESCRIPTOR.fields:
            many = random.randrange(3) if field.label == field.LABEL_REPEATED else random.randrange(2)
            for _ in range(many):
                with contextlib.suppress(ValueError, TypeError, AttributeError):
                    self.set(random, message, field)

    def set(self, random, message, field):
        repeated = field.label == field.LABEL_REPEATED
        if field.message_type and field.message_type.GetOptions().map_entry:
            getattr(message, field.name)[random.choice(self.WORDS)] = random.choice(self.WORDS)
            return
        if field.message_type:
            self.fill(random, getattr(message, field.name).add() if repeated else getattr(message, field.name))
            return
        if field.type == field.TYPE_BYTES:
            value = random.randbytes(random.choice([0, 3, 1000]))
        elif field.type == field.TYPE_STRING:
            value = random.choice(self.WORDS)
        else:
            value = random.choice(self.NUMBERS)
        if repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)

    def test_agent_survives(self):
        dice = random.Random(7)
        services = [(pb.DESCRIPTOR.services_by_name["SandboxContext"], pb), (ax.DESCRIPTOR.services_by_name["Extras"], ax)]
        answers = collections.Counter()
        with Vm() as vm:
            for turn in range(1200):
                service, module = dice.choice(services)
                method = dice.choice(service.methods)
                if method.name in ("WaitProcess", "Events", "CopyIn"):
                    continue
                message = getattr(module, method.input_type.name)()
                self.fill(dice, message)
                data = dice.randbytes(dice.randrange(200)) if turn % 4 == 0 else message.SerializeToString()
                call = vm.channel.unary_unary(f"/{service.full_name}/{method.name}")
                try:
                    call(data, timeout=SLOW)
                    answers["OK"] += 1
                except grpc.RpcError as e:
                    # Of a port that nobody listens on this is the answer.
                    refused = e.code() == grpc.StatusCode.UNAVAILABLE and e.details().startswith("connect to")
                    answers["refused" if refused else e.code().name] += 1
                if turn % 50 == 0:
                    vm.extra("Heartbeat", timeout=SLOW)
            vm.extra("Heartbeat", timeout=SLOW)
        self.assertEqual(answers["UNAVAILABLE"] + answers["DEADLINE_EXCEEDED"] + answers["UNKNOWN"], 0, answers)
        self.assertGreater(answers["INVALID_ARGUMENT"], 50, answers)
        print(dict(answers), flush=True)


if __name__ == "__main__":
    unittest.main()
