# SPDX-License-Identifier: Apache-2.0
"""The agent's RPCs on the system: network, names, sockets, and what it offers beside."""

import concurrent.futures
import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import threading
import time
import unittest

import grpc
from agent_client import (SANITIZED, Agent, Process, agent_closing, ax, make_rootfs, make_spec, pb,
                          wait_until)

MIB = 1 << 20


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Base(unittest.TestCase):
    unshare = ("--mount",)

    @classmethod
    def setUpClass(cls):
        cls.agent = Agent(cls.unshare)
        cls.addClassCleanup(cls.agent.close)
        cls.count = 0

    def tearDown(self):
        while agent_closing:
            agent_closing.pop().close()
        self.assertIsNone(self.agent.process.poll(), self.agent.log())

    @classmethod
    def new_id(cls, prefix="s"):
        cls.count += 1
        return f"{prefix}{cls.count}"

    def path(self, *parts):
        return os.path.join(self.agent.dir, *parts)

    def accept(self, listener):
        conn = listener.accept()[0]
        conn.settimeout(60)
        self.addCleanup(conn.close)
        return conn

    def call(self, method, **fields):
        return self.agent.call(method, **fields)

    def status(self, method, **fields):
        return self.agent.status(method, **fields)[0]

    def extra(self, method, **fields):
        return self.agent.extra_status(method, **fields)[0]

    def refused(self, method, text, **fields):
        """INVALID_ARGUMENT, with words that name the field."""
        code, said = self.agent.status(method, **fields)
        self.assertEqual(code, "INVALID_ARGUMENT", f"{fields}: {said}")
        self.assertIn(text, said)


class NetworkTest(Base):
    unshare = ("--mount", "--net")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.add_link("eth0")

    @classmethod
    def add_link(cls, name):
        made = cls.run_in("ip", "link", "add", name, "type", "dummy")
        if made.returncode:
            made = cls.run_in("ip", "link", "add", name, "type", "veth", "peer", "name", name + "p")
        if made.returncode:
            raise unittest.SkipTest(f"no interface can be made: {made.stderr}")
        cls.run_in("ip", "link", "set", name + "p", "up")

    @classmethod
    def run_in(cls, *args):
        return subprocess.run(["nsenter", f"--net=/proc/{cls.agent.process.pid}/ns/net", *args],
                              capture_output=True, text=True, check=False)

    def ip(self, *args):
        return json.loads(self.run_in("ip", "-j", *args).stdout or "[]")

    def test_link(self):
        self.call("IpLinkSet", interface="eth0", up=True, mtu=1400)
        link = self.ip("link", "show", "eth0")[0]
        self.assertIn("UP", link["flags"])
        self.assertEqual(link["mtu"], 1400)
        self.call("IpLinkSet", interface="eth0", up=False)
        link = self.ip("link", "show", "eth0")[0]
        self.assertNotIn("UP", link["flags"])
        self.assertEqual(link["mtu"], 1400)
        code, text = self.agent.status("IpLinkSet", interface="nosuch0", up=True)
        self.assertEqual(code, "INTERNAL")
        self.assertIn("nosuch0", text)
        self.assertIn("No such device", text)
        self.refused("IpLinkSet", "mtu", interface="eth0", up=True, mtu=0)
        self.refused("IpLinkSet", "mtu", interface="eth0", up=True, mtu=2**32 - 1)
        for name in ("", "x" * 16, "a/b", "a b", "..", "a:b"):
            self.refused("IpLinkSet", "interface", interface=name, up=True)
        self.assertEqual(self.status("IpLinkSet", interface="eth0", up=True, mtu=1), "INTERNAL")

    def test_address(self):
        self.call("IpLinkSet", interface="eth0", up=True)
        self.call("IpAddrAdd", interface="eth0", ipv4Address="192.168.64.3/24", ipv6Address="fd00::3/64")
        found = {a["local"]: a for a in self.ip("addr", "show", "eth0")[0]["addr_info"]}
        self.assertEqual(found["192.168.64.3"]["prefixlen"], 24)
        self.assertEqual(found["192.168.64.3"]["scope"], "global")
        self.assertEqual(found["fd00::3"]["prefixlen"], 64)
        self.assertTrue(found["fd00::3"].get("nodad"), found)
        self.assertNotIn("tentative", found["fd00::3"])
        self.assertEqual(found["fd00::3"]["valid_life_time"], 2**32 - 1)
        conf = "/proc/sys/net/ipv6/conf/eth0/"
        for name in ("accept_ra", "autoconf"):
            self.assertEqual(self.run_in("cat", conf + name).stdout, "0\n", name)
        code, text = self.agent.status("IpAddrAdd", interface="eth0", ipv4Address="192.168.64.3/24")
        self.assertEqual(code, "INTERNAL")
        self.assertIn("exists", text)
        for bad in ("", "192.168.64.3", "192.168.64.3/33", "192.168.64.3/", "192.168.64.3/2x", "::1/64",
                    "1.2.3/24", "192.168.64.3/-1", "192.168.64.3/0024", "x" * 1000):
            self.refused("IpAddrAdd", "IPv4", interface="eth0", ipv4Address=bad)
        for bad in ("fd00::4", "fd00::4/129", "10.0.0.1/8", "fe80::1%eth0/64"):
            self.refused("IpAddrAdd", "IPv6", interface="eth0", ipv4Address="10.9.9.9/8", ipv6Address=bad)
        self.assertNotIn("10.9.9.9", str(self.ip("addr", "show", "eth0")), "refused before any effect")
        self.assertEqual(self.status("IpAddrAdd", interface="nosuch0", ipv4Address="10.0.0.1/8"), "INTERNAL")

    def test_routes(self):
        self.add_link("eth9")
        self.call("IpLinkSet", interface="eth9", up=True)
        self.call("IpAddrAdd", interface="eth9", ipv4Address="10.1.0.2/32", ipv6Address="fd01::2/128")
        self.call("IpRouteAddLink", interface="eth9", dstIpv4Addr="10.1.0.1/32", srcIpv4Addr="10.1.0.2",
                  dstIpv6Addr="fd01::1/128", srcIpv6Addr="fd01::2")
        route = self.ip("route", "show", "10.1.0.1")[0]
        self.assertEqual((route["dev"], route["scope"], route["prefsrc"]), ("eth9", "link", "10.1.0.2"))
        self.assertEqual(self.ip("-6", "route", "show", "fd01::1")[0]["dev"], "eth9")
        self.call("IpRouteAddDefault", interface="eth9", ipv4Gateway="10.1.0.1", ipv6Gateway="fd01::1")
        self.assertEqual(self.ip("route", "show", "default")[0]["gateway"], "10.1.0.1")
        self.assertEqual(self.ip("-6", "route", "show", "default")[0]["gateway"], "fd01::1")
        for fields in ({"ipv4Gateway": "10.1.0.1"}, {"ipv6Gateway": "fd01::1"}):
            self.assertEqual(self.status("IpRouteAddDefault", interface="eth9", **fields), "INTERNAL")
        self.run_in("ip", "route", "del", "default")
        self.call("IpRouteAddDefault", interface="eth9")
        route = self.ip("route", "show", "default")[0]
        self.assertEqual((route["dev"], route["scope"]), ("eth9", "link"))
        self.refused("IpRouteAddLink", "destination", interface="eth9")
        self.refused("IpRouteAddLink", "IPv4", interface="eth9", dstIpv4Addr="10.1.0.1")
        self.refused("IpRouteAddLink", "IPv4", interface="eth9", dstIpv4Addr="10.1.0.1/32", srcIpv4Addr="x")
        self.refused("IpRouteAddLink", "IPv6", interface="eth9", dstIpv6Addr="10.1.0.1/32")
        self.refused("IpRouteAddDefault", "IPv4", interface="eth9", ipv4Gateway="gateway")
        self.refused("IpRouteAddDefault", "IPv6", interface="eth9", ipv6Gateway="10.1.0.1")
        self.assertEqual(self.status("IpRouteAddDefault", interface="nosuch0", ipv4Gateway="10.1.0.1"), "INTERNAL")
        self.assertEqual(self.status("IpRouteAddDefault", interface="eth9", ipv4Gateway="172.31.0.1"), "INTERNAL")

    def test_statistics_have_the_machines_interfaces(self):
        rootfs = make_rootfs(self.path("net-root"))
        c = Process(self.agent, "net", "net", make_spec(rootfs, ["sleep", "100"]), ())
        self.addCleanup(c.status, "DeleteProcess")
        stats = self.call("ContainerStatistics", categories=[pb.STAT_CATEGORY_NETWORK]).containers[0]
        self.assertIn("eth0", [n.interface for n in stats.networks])
        self.assertNotIn("lo", [n.interface for n in stats.networks])
        self.assertFalse(stats.HasField("memory"))


class NamesTest(Base):
    def setUp(self):
        self.location = self.path(self.new_id("names"))

    def file(self, name):
        return read(os.path.join(self.location, "etc", name))

    def test_dns(self):
        self.call("ConfigureDns", location=self.location, nameservers=["10.0.0.1", "fd00::1"], domain="example.org",
                  searchDomains=["example.org", "lan"], options=["ndots:2", "rotate"])
        self.assertEqual(self.file("resolv.conf"),
                         b"nameserver 10.0.0.1\nnameserver fd00::1\ndomain example.org\n"
                         b"search example.org lan\noptions ndots:2 rotate\n")
        self.assertEqual(stat.S_IMODE(os.stat(self.location + "/etc/resolv.conf").st_mode), 0o644)
        self.call("ConfigureDns", location=self.location, nameservers=["10.0.0.2"])
        self.assertEqual(self.file("resolv.conf"), b"nameserver 10.0.0.2\n")
        self.assertEqual(os.listdir(self.location + "/etc"), ["resolv.conf"])

    def test_hosts(self):
        entry = pb.ConfigureHostsRequest.HostsEntry
        self.call("ConfigureHosts", location=self.location, comment="made here", entries=[
            entry(ipAddress="127.0.0.1", hostnames=["localhost"]),
            entry(ipAddress="10.0.0.2", hostnames=["db", "db.lan"], comment="the database"),
        ])
        self.assertEqual(self.file("hosts"),
                         b"# made here\n127.0.0.1 localhost\n10.0.0.2 db db.lan # the database \n")
        self.call("ConfigureHosts", location=self.location, entries=[entry(ipAddress="::1", hostnames=["localhost"])])
        self.assertEqual(self.file("hosts"), b"::1 localhost\n")

    def test_a_link_is_replaced(self):
        os.makedirs(self.location + "/etc")
        with open(self.path("target"), "w", encoding="ascii") as f:
            f.write("untouched")
        os.symlink(self.path("target"), self.location + "/etc/resolv.conf")
        self.call("ConfigureDns", location=self.location, nameservers=["10.0.0.1"])
        self.assertFalse(os.path.islink(self.location + "/etc/resolv.conf"))
        self.assertEqual(read(self.path("target")), b"untouched")

    def test_links_of_an_image_stay_in_its_root(self):
        root = self.path("state", "planted", "rootfs")
        os.makedirs(root)
        os.symlink(self.path("outside"), root + "/etc")
        os.mkdir(self.path("outside"))
        self.call("ConfigureDns", location=root, nameservers=["10.0.0.1"])
        self.call("ConfigureHosts", location=root + "/", entries=[])
        self.assertEqual(os.listdir(self.path("outside")), [])
        self.assertEqual(sorted(os.listdir(root + self.path("outside"))), ["hosts", "resolv.conf"])

    def test_refused(self):
        self.refused("ConfigureDns", "location", location="relative")
        self.refused("ConfigureDns", "location", location="")
        for field in ("nameservers", "searchDomains", "options"):
            for word in ("", "a b", "a\nnameserver 6.6.6.6", "a\x01"):
                self.refused("ConfigureDns", "", location=self.location, **{field: [word]})
        self.refused("ConfigureDns", "domain", location=self.location, domain="a\nb")
        entry = pb.ConfigureHostsRequest.HostsEntry
        self.refused("ConfigureHosts", "comment", location=self.location, comment="a\n6.6.6.6 bank")
        self.refused("ConfigureHosts", "comment", location=self.location, entries=[
            entry(ipAddress="10.0.0.1", comment="x\n6.6.6.6 bank")])
        self.refused("ConfigureHosts", "address", location=self.location, entries=[entry(hostnames=["x"])])
        self.refused("ConfigureHosts", "host name", location=self.location, entries=[
            entry(ipAddress="10.0.0.1", hostnames=["a", ""])])
        self.assertFalse(os.path.exists(self.location))
        with open(self.location, "w", encoding="ascii"):
            self.assertEqual(self.status("ConfigureDns", location=self.location), "INTERNAL")


class EmulatorTest(Base):
    """What is refused; a rule that is taken would be this host's. See agent_vm_test.py."""

    def test_refused(self):
        good = {"name": "coffer-test", "type": "M", "magic": "\\x7fELF", "binary_path": "/bin/true"}
        for field, value, text in (
            ("name", "", "name"), ("name", "a/b", "name"), ("name", "a:b", "colon"), ("type", "X", "type"),
            ("type", "", "type"), ("binary_path", "true", "binary_path"), ("flags", "F\n", "colon"),
            ("magic", "x" * 2000, "1920"),
        ):
            self.refused("SetupEmulator", text, **{**good, field: value})


class ProxyTest(Base):
    """A unix socket stands for the vsock port on either side."""

    def listen(self, path):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(64)
        listener.settimeout(60)
        self.addCleanup(listener.close)
        return listener

    def host_port(self):
        port = 0x20000000 + int(self.new_id("")[0:])
        return port, self.listen(self.path(f"vsock.sock_{port}"))

    def connect(self, path):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(60)
        client.connect(path)
        self.addCleanup(client.close)
        return client

    def proxy(self, **fields):
        self.call("ProxyVsock", **fields)
        self.addCleanup(self.status, "StopVsockProxy", id=fields["id"])

    def into(self, **fields):
        port, listener = self.host_port()
        path = self.path("run", self.new_id("deep"), "x.sock")
        self.proxy(id=path[-64:], vsock_port=port, guestPath=path, action=pb.ProxyVsockRequest.INTO, **fields)
        return path, listener

    def out_of(self, path):
        port = 0x20000000 + int(self.new_id(""))
        self.proxy(id=f"out{port}", vsock_port=port, guestPath=path, action=pb.ProxyVsockRequest.OUT_OF)
        return self.path(f"guest_{port}")

    def pairs(self):
        """A client and the server's end of its connection, each way."""
        path, listener = self.into()
        client = self.connect(path)
        server = self.accept(listener)
        yield client, server
        path = self.path(self.new_id("server"))
        listener = self.listen(path)
        client = self.connect(self.out_of(path))
        server = self.accept(listener)
        yield client, server

    def test_permissions_and_stop(self):
        path, _ = self.into()
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o777)
        self.call("StopVsockProxy", id=path[-64:])
        self.assertFalse(os.path.exists(path))
        self.assertEqual(self.status("StopVsockProxy", id=path[-64:]), "INTERNAL")
        path, _ = self.into(guestSocketPermissions=0o600)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)

    def test_refused(self):
        good = {"id": "r", "vsock_port": 5, "guestPath": self.path("r.sock")}
        for field, value, text in (
            ("id", "", "id"), ("id", "x" * 300, "id"), ("vsock_port", 0, "vsock_port"), ("guestPath", "", "guestPath"),
            ("guestPath", "relative", "guestPath"), ("guestSocketPermissions", 0o10000, "guestSocketPermissions"),
            ("action", 7, "action"),
        ):
            self.refused("ProxyVsock", text, **{**good, field: value})
        os.mkdir(self.path("directory"))
        self.assertEqual(self.status("ProxyVsock", **{**good, "guestPath": self.path("directory")}), "INTERNAL")
        self.assertEqual(self.status("StopVsockProxy", id=""), "INTERNAL")

    def test_duplicate_id(self):
        path, _ = self.into()
        code, text = self.agent.status("ProxyVsock", id=path[-64:], vsock_port=9, guestPath=self.path("other"))
        self.assertEqual(code, "INTERNAL")
        self.assertIn("exists", text)
        self.assertTrue(os.path.exists(path))
        self.assertFalse(os.path.exists(self.path("other")))

    def test_an_existing_node_is_replaced(self):
        path = self.path("stale.sock")
        with open(path, "w", encoding="ascii"):
            pass
        port, listener = self.host_port()
        self.proxy(id="stale", vsock_port=port, guestPath=path)
        self.connect(path).sendall(b"hello")
        self.assertEqual(self.accept(listener).recv(10), b"hello")

    def test_half_close(self):
        for client, server in self.pairs():
            client.sendall(b"question")
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(server.recv(100), b"question")
            self.assertEqual(server.recv(100), b"")
            server.sendall(b"answer")
            self.assertEqual(client.recv(100), b"answer")
            server.close()
            self.assertEqual(client.recv(100), b"")

    def test_close_ends_the_other(self):
        for client, server in self.pairs():
            server.close()
            self.assertEqual(client.recv(100), b"")
            with self.assertRaises(OSError):
                for _ in range(3000):
                    client.sendall(b"x")
                    time.sleep(0.02)

    def test_large_both_ways(self):
        size = (8 if SANITIZED else 64) * MIB
        block = os.urandom(MIB)

        def pump(sock):
            for _ in range(size // MIB):
                sock.sendall(block)
            sock.shutdown(socket.SHUT_WR)

        def drain(sock):
            got = 0
            while chunk := sock.recv(MIB):
                self.assertEqual(chunk[:16], (block + block)[got % MIB:][:16][:len(chunk)])
                got += len(chunk)
            return got

        for ends in self.pairs():
            with concurrent.futures.ThreadPoolExecutor() as pool:
                pumps = [pool.submit(pump, s) for s in ends]
                drains = [pool.submit(drain, s) for s in ends]
                self.assertEqual([d.result(120) for d in drains], [size, size])
                for p in pumps:
                    p.result(60)

    def test_many_clients(self):
        path, listener = self.into()
        clients = [self.connect(path) for _ in range(32)]
        servers = [self.accept(listener) for _ in clients]
        for i, client in enumerate(clients):
            client.sendall(b"%d" % i)
        self.assertEqual(sorted(int(s.recv(10)) for s in servers), list(range(32)))
        self.call("StopVsockProxy", id=path[-64:])
        for end in clients + servers:
            self.assertEqual(end.recv(10), b"")
            end.close()

    def test_many_clients_of_a_short_queue(self):
        path = self.path("short")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)
        listener.settimeout(60)
        self.addCleanup(listener.close)
        guest = self.out_of(path)
        clients = [self.connect(guest) for _ in range(32)]
        for i, client in enumerate(clients):
            client.sendall(b"%d" % i)
        time.sleep(0.3)
        servers = [self.accept(listener) for _ in clients]
        self.assertEqual(sorted(int(s.recv(10)) for s in servers), list(range(32)))
        for s in servers:
            s.close()

    def test_nobody_there_costs_that_client_only(self):
        port, listener = self.host_port()
        self.proxy(id="late", vsock_port=port, guestPath=self.path("late.sock"))
        listener.close()
        os.unlink(self.path(f"vsock.sock_{port}"))
        self.assertEqual(self.connect(self.path("late.sock")).recv(10), b"")
        listener = self.listen(self.path(f"vsock.sock_{port}"))
        client = self.connect(self.path("late.sock"))
        self.accept(listener).sendall(b"now")
        self.assertEqual(client.recv(10), b"now")
        guest = self.out_of(self.path("missing"))
        self.assertEqual(self.connect(guest).recv(10), b"")

    def test_in_a_containers_root(self):
        root = self.path("state", "sock", "rootfs")
        os.makedirs(root)
        os.mkdir(self.path("out"))
        os.symlink(self.path("out"), root + "/run")
        port, _ = self.host_port()
        self.proxy(id="planted", vsock_port=port, guestPath=root + "/run/x.sock")
        self.assertEqual(os.listdir(self.path("out")), [])
        self.assertTrue(stat.S_ISSOCK(os.stat(root + self.path("out") + "/x.sock").st_mode))
        self.listen(self.path("secret"))
        os.symlink(self.path("secret"), root + "/link")
        self.assertEqual(self.connect(self.out_of(root + "/link")).recv(10), b"")


class ContainerBase(Base):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rootfs = make_rootfs(os.path.join(cls.agent.dir, "root"))

    def container(self, args, streams=(), network=False, **options):
        name = self.new_id("c")
        spec = make_spec(self.rootfs, args, **options)
        if network:
            spec["linux"]["namespaces"].append({"type": "network"})
        c = Process(self.agent, name, name, spec, streams)
        c.name = name
        self.addCleanup(c.status, "DeleteProcess")
        return c

    def running(self, args=("sleep", "1000"), **options):
        c = self.container(list(args), **options)
        c.start()
        return c

    def exec(self, c, args, streams=("stdout", "stderr"), **options):
        return Process(self.agent, c.name, self.new_id("e"), make_spec(self.rootfs, args, **options), streams)

    def pids(self, c, *words):
        return [line.split()[0] for line in self.exec(c, ["ps", "-o", "pid,args"]).run()[1].decode().splitlines()
                if all(w in line for w in words) and "ps -o" not in line]


class ExtrasTest(ContainerBase):
    def test_unknown(self):
        for method in ("Update", "Freeze", "Thaw", "Signal"):
            self.assertEqual(self.extra(method, container_id="none"), "NOT_FOUND", method)
        self.assertEqual(self.extra("ForwardTcp", container_id="none", tcp_port=80, vsock_port=1), "NOT_FOUND")
        with self.assertRaises(grpc.RpcError) as raised:
            self.agent.channel.unary_unary("/coffer.agent.v1.Extras/Nope")(b"")
        self.assertEqual(raised.exception.code().name, "UNIMPLEMENTED")

    def test_heartbeat(self):
        clocks = lambda: (time.time(), time.clock_gettime(time.CLOCK_BOOTTIME))
        before, reply, after = clocks(), self.agent.extra("Heartbeat"), clocks()
        said = reply.now.seconds + reply.now.nanos / 1e9, reply.uptime_usec / 1e6
        for first, between, last in zip(before, said, after):
            self.assertTrue(first - 1 <= between <= last + 1, (first, between, last))

    def test_timing_of_an_ordinary_program(self):
        self.assertEqual(len(self.agent.extra("Timing").stages), 0)

    # ---- Update ----

    def test_update_refused(self):
        c = self.running()
        for document in (b"", b"{", b"[]", b'{"pids": 3}', b'{"memory": {"limit": "x"}}', b'{"cpu": {"shares": -1}}'):
            self.assertEqual(self.extra("Update", container_id=c.name, resources=document), "INVALID_ARGUMENT", document)
        self.assertEqual(self.extra("Update", container_id=c.name, resources=b"{}"), "OK")
        c.call("KillProcess", signal=9)
        c.wait()
        self.assertEqual(self.extra("Update", container_id=c.name, resources=b"{}"), "FAILED_PRECONDITION")

    # ---- Signal ----

    def signal(self, c, sig, mode=ax.SignalRequest.PROCESS, process=None):
        return self.extra("Signal", container_id=c.name, id=process or c.name, signal=sig, mode=mode)

    def test_signal_process(self):
        c = self.running()
        self.assertEqual(self.signal(c, 0), "OK")
        for sig in (-1, 65, 2**31 - 1):
            self.assertEqual(self.signal(c, sig), "INVALID_ARGUMENT", sig)
        self.assertEqual(self.signal(c, 9, mode=9), "INVALID_ARGUMENT")
        self.assertEqual(self.signal(c, 9, process="none"), "FAILED_PRECONDITION")
        self.assertEqual(self.signal(c, signal.SIGTERM), "OK")
        self.assertEqual(c.wait(), 128 + signal.SIGTERM)
        self.assertEqual(self.signal(c, 9), "OK", "after the end nothing is sent")

    def test_signal_before_start(self):
        c = self.container(["true"])
        for mode in (ax.SignalRequest.PROCESS, ax.SignalRequest.ALL, ax.SignalRequest.FOREGROUND):
            self.assertEqual(self.signal(c, 9, mode), "FAILED_PRECONDITION")

    def test_kill_all_ends_a_fork_bomb(self):
        c = self.running()
        # Each loop leaves so many and forks on: if the kill is late, the machine is not full.
        script = ("f() { i=0; while :; do if [ $((i = i + 1)) -lt 500 ]; then sleep 1000 & "
                  "else sleep 0; fi; done; }; f & f & f & sleep 0.3; kill -9 $!; wait")
        bomb = self.exec(c, ["sh", "-c", script], ())
        bomb.start()
        time.sleep(0.3)
        self.assertEqual(self.signal(c, signal.SIGKILL, ax.SignalRequest.ALL), "OK")
        self.assertEqual(c.wait(), 137)
        self.assertEqual(bomb.wait(), 137)

    def test_signal_all(self):
        c = self.running(["sh", "-c", "trap : TERM; echo up; while :; do sleep 0.1; done"],
                         streams=("stdout",))
        c.stdout.read_until(b"up")
        trapping = self.exec(c, ["sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done"], ("stdout",))
        trapping.start()
        trapping.stdout.read_until(b"up")
        plain = self.exec(c, ["sleep", "1000"], ())
        plain.start()
        self.assertEqual(self.signal(c, signal.SIGTERM, ax.SignalRequest.ALL), "OK")
        self.assertEqual(trapping.wait(), 7)
        self.assertEqual(plain.wait(), 128 + signal.SIGTERM)
        self.assertEqual(self.signal(c, 0), "OK")
        untrapped = self.running()
        self.assertEqual(self.signal(untrapped, signal.SIGINT, ax.SignalRequest.ALL), "OK")
        self.assertEqual(untrapped.wait(), 128 + signal.SIGINT, "an init that the kernel would spare")

    def test_signal_foreground(self):
        c = self.running()
        self.assertEqual(self.signal(c, signal.SIGINT, ax.SignalRequest.FOREGROUND), "FAILED_PRECONDITION")
        shell = self.exec(c, ["sh"], ("stdin", "stdout"), terminal=True)
        shell.start()
        shell.stdin.accept().sendall(b"sleep 2000 | cat\n")
        self.assertTrue(wait_until(lambda: self.pids(c, "sleep 2000") and self.pids(c, "cat")))
        ids = {"process": shell.ids["id"], "mode": ax.SignalRequest.FOREGROUND}
        self.assertEqual(self.signal(c, signal.SIGINT, **ids), "OK")
        self.assertTrue(wait_until(lambda: not self.pids(c, "sleep 2000") and not self.pids(c, "cat")))
        shell.stdin.accept().sendall(b"echo code $?\n")
        shell.stdout.read_until(b"code 130")
        shell.stdin.accept().sendall(b"exit 5\n")
        self.assertEqual(shell.wait(), 5)
        self.assertEqual(self.signal(c, signal.SIGINT, **ids), "OK")

    # ---- Freeze ----

    def test_freeze(self):
        c = self.running()
        counting = self.exec(c, ["sh", "-c", "while :; do echo x; sleep 0.02; done"], ("stdout",))
        counting.start()
        counting.stdout.read_until(b"x")
        code, text = self.agent.extra_status("Freeze", container_id=c.name)
        if code == "UNIMPLEMENTED":
            self.skipTest(text)
        self.assertEqual(code, "OK", text)
        self.assertEqual(self.extra("Freeze", container_id=c.name), "OK", "again")
        conn = counting.stdout.accept()
        conn.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            while conn.recv(65536):
                pass
        late = self.exec(c, ["true"], ())
        self.assertEqual(late.status("StartProcess")[0], "FAILED_PRECONDITION")
        self.assertEqual(self.extra("Thaw", container_id=c.name), "OK")
        self.assertEqual(self.extra("Thaw", container_id=c.name), "OK", "again")
        conn.settimeout(60)
        counting.stdout.read_until(b"x")
        late.start()
        self.assertEqual(late.wait(), 0)
        self.assertEqual(self.extra("Freeze", container_id=c.name), "OK")
        counting.call("KillProcess", signal=9)
        self.assertEqual(counting.wait(), 137)
        self.assertEqual(self.signal(c, 9, ax.SignalRequest.ALL), "OK")
        self.assertEqual(c.wait(), 137)
        self.assertEqual(self.extra("Freeze", container_id=c.name), "FAILED_PRECONDITION")

    def test_delete_of_a_frozen_container(self):
        c = self.running()
        if self.extra("Freeze", container_id=c.name) == "UNIMPLEMENTED":
            self.skipTest("no freezer")
        c.call("DeleteProcess")

    # ---- Events ----

    def test_events(self):
        events, begun = self.agent.events(), time.time()
        c = self.container(["sleep", "1000"])
        pid = c.start()
        p = self.exec(c, ["sh", "-c", "exit 3"], ())
        exec_pid = p.start()
        self.assertEqual(p.wait(), 3)
        bad = self.exec(c, ["/nope"], ())
        self.assertEqual(bad.status("StartProcess")[0], "INTERNAL")
        c.call("KillProcess", signal=9)
        self.assertEqual(c.wait(), 137)
        want = [
            (ax.Event.START, c.name, pid, 0), (ax.Event.START, p.ids["id"], exec_pid, 0),
            (ax.Event.EXIT, p.ids["id"], exec_pid, 3), (ax.Event.EXIT, bad.ids["id"], 0, 127),
            (ax.Event.EXIT, c.name, pid, 137),
        ]
        for kind, name, number, code in want:
            e = next(events)
            self.assertEqual((e.type, e.container_id, e.id, e.pid, e.exit_code), (kind, c.name, name, number, code))
            self.assertTrue(begun - 1 <= e.at.seconds <= time.time() + 1, (begun, e.at.seconds))
        events.cancel()

    def test_slow_listener_is_dropped(self):
        c = self.running()
        channel = grpc.insecure_channel(f"unix:{self.agent.socket}", [
            ("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1024), ("grpc.use_local_subchannel_pool", 1)])
        self.addCleanup(channel.close)
        slow = channel.unary_stream(
            "/coffer.agent.v1.Extras/Events", request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=ax.Event.FromString)(ax.EventsRequest())
        next(slow)
        quick = self.agent.events()
        seen = []

        def listen():
            with contextlib.suppress(grpc.RpcError):
                for e in quick:
                    seen.append(e)

        reader = threading.Thread(target=listen, daemon=True)
        reader.start()
        long_id = "x" * 900
        rounds = 220
        spec = json.dumps(make_spec(self.rootfs, ["/nope"])).encode()
        for i in range(rounds):
            ids = {"id": f"{long_id}{i}", "containerID": c.name}
            self.call("CreateProcess", configuration=spec, **ids)
            self.assertEqual(self.status("StartProcess", **ids), "INTERNAL")
            self.call("DeleteProcess", **ids)
            if i % 20 == 19:  # this one keeps up, however seldom its thread runs
                self.assertTrue(wait_until(lambda n=i: len(seen) > n), (i, len(seen)))
        self.assertTrue(wait_until(lambda: len(seen) >= rounds), len(seen))
        got = 0
        with self.assertRaises(grpc.RpcError) as raised:
            for _ in slow:
                got += 1
        self.assertEqual(raised.exception.code().name, "RESOURCE_EXHAUSTED")
        self.assertLess(got, rounds)
        quick.cancel()

    def test_listeners_that_leave(self):
        def come_and_go():
            with contextlib.suppress(grpc.RpcError):
                self.agent.events().cancel()
                return True
            return False

        # The agent learns that one has left when it gets to it; until then there may be too many.
        for _ in range(100):
            self.assertTrue(wait_until(come_and_go))

    # ---- the end ----

    def test_end_with_everything_open(self):
        agent = Agent()
        rootfs = make_rootfs(os.path.join(agent.dir, "root"))
        c = Process(agent, "c", "c", make_spec(rootfs, ["sleep", "100"]), ("stdin", "stdout"))
        c.start()
        waiting = agent.future("WaitProcess", **c.ids)
        events = agent.events()
        agent.call("ProxyVsock", id="p", vsock_port=5, guestPath=os.path.join(agent.dir, "p.sock"),
                   action=pb.ProxyVsockRequest.INTO)
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
            listener.bind(os.path.join(agent.dir, "vsock.sock_5"))
            listener.listen()
            client.connect(os.path.join(agent.dir, "p.sock"))
            far = self.accept(listener)
            server, port = self.serve()
            stream = agent.stream()
            agent.extra("ForwardTcp", container_id="c", tcp_port=port, vsock_port=stream.port)
            agent.extra_status("Freeze", container_id="c")
            agent.process.terminate()
            self.assertEqual(far.recv(10), b"")
            self.assertEqual(self.accept(server).recv(10), b"")
            stream.close()
        self.assertIsNotNone(waiting.exception())
        with self.assertRaises(grpc.RpcError):
            next(events)
        agent.close()

    # ---- ForwardTcp ----

    def serve(self, family=socket.AF_INET):
        server = socket.socket(family)
        server.settimeout(60)
        server.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        server.listen(8)
        self.addCleanup(server.close)
        return server, server.getsockname()[1]

    def refusing_port(self):
        """Of both loopbacks: nobody listens there, and nobody else can."""
        held = socket.socket(socket.AF_INET6)
        self.addCleanup(held.close)
        held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        held.bind(("::", 0))
        return held.getsockname()[1]

    def forward(self, c, port):
        stream = self.agent.stream()
        agent_closing.append(stream)
        return stream, self.agent.extra_status("ForwardTcp", container_id=c.name, tcp_port=port, vsock_port=stream.port)

    def test_forward(self):
        c = self.running()
        for family in (socket.AF_INET, socket.AF_INET6):
            server, port = self.serve(family)
            stream, status = self.forward(c, port)
            self.assertEqual(status, ("OK", ""))
            far, near = self.accept(server), stream.accept()
            near.sendall(b"question")
            near.shutdown(socket.SHUT_WR)
            self.assertEqual(far.recv(100), b"question")
            self.assertEqual(far.recv(100), b"")
            far.sendall(b"answer")
            far.close()
            self.assertEqual(near.recv(100), b"answer")
            self.assertEqual(near.recv(100), b"")

    def test_forward_large(self):
        c = self.running()
        server, port = self.serve()
        stream, status = self.forward(c, port)
        self.assertEqual(status[0], "OK")
        ends = (self.accept(server), stream.accept())
        size = (8 if SANITIZED else 64) * MIB
        block = os.urandom(MIB)

        def pump(sock):
            for _ in range(size // MIB):
                sock.sendall(block)
            sock.shutdown(socket.SHUT_WR)

        def drain(sock):
            got = 0
            while chunk := sock.recv(MIB):
                got += len(chunk)
            return got

        with concurrent.futures.ThreadPoolExecutor() as pool:
            for s in ends:
                pool.submit(pump, s)
            self.assertEqual([d.result(120) for d in [pool.submit(drain, s) for s in ends]], [size, size])
        for s in ends:
            s.close()

    def test_forward_into_a_network_of_its_own(self):
        port = self.refusing_port()
        c = self.running(["nc", "-ll", "-p", str(port), "-e", "/bin/cat"], network=True)
        stream = self.agent.stream()
        agent_closing.append(stream)
        fields = {"container_id": c.name, "tcp_port": port, "vsock_port": stream.port}
        self.assertTrue(wait_until(lambda: self.extra("ForwardTcp", **fields) == "OK"))
        near = stream.accept()
        near.sendall(b"echo")
        self.assertEqual(near.recv(100), b"echo")
        code = self.forward(self.running(), port)[1][0]
        self.assertEqual(code, "UNAVAILABLE", "not the machine's")

    def test_forward_refused(self):
        c = self.running()
        code, text = self.forward(c, self.refusing_port())[1]
        self.assertEqual(code, "UNAVAILABLE")
        self.assertIn("refused", text)
        for tcp, vsock in ((0, 1), (65536, 1), (2**32 - 1, 1), (80, 0)):
            self.assertEqual(self.extra("ForwardTcp", container_id=c.name, tcp_port=tcp, vsock_port=vsock), "INVALID_ARGUMENT")
        server, port = self.serve()
        self.assertEqual(self.extra("ForwardTcp", container_id=c.name, tcp_port=port, vsock_port=77), "UNAVAILABLE",
                         "nobody on the host")
        self.assertEqual(self.accept(server).recv(10), b"")
        dead = self.container(["true"])
        self.assertEqual(self.forward(dead, port)[1][0], "FAILED_PRECONDITION")


if __name__ == "__main__":
    unittest.main()
