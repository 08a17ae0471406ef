# SPDX-License-Identifier: Apache-2.0
"""Drive coffer-agent over its unix socket: start it, call it, be its host.

The stubs come from the contract's own .proto, compiled here by the reference
implementation, so both ends of every test were made by different generators.
"""

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

import grpc

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROTO_DIR = os.path.join(SOURCE, "src", "rpc", "proto")
SERVICE = "/com.apple.containerization.sandbox.v3.SandboxContext/"
EXTRAS = "/coffer.agent.v1.Extras/"
PROGRAM = os.environ.get("COFFER_AGENT", "coffer-agent")
SANITIZED = bool(os.environ.get("COFFER_AGENT_SANITIZED"))
BUSYBOX = os.environ.get("COFFER_BUSYBOX", "/bin/busybox")


def load_messages():
    """The modules of the contract and of what the agent offers beside it."""
    out = tempfile.mkdtemp(prefix="coffer-proto-")
    subprocess.run(
        ["protoc", "-I", PROTO_DIR, "-I", "/usr/include", f"--python_out={out}",
         "sandbox_context.proto", "agent_extras.proto"],
        check=True,
    )
    sys.path.insert(0, out)
    try:
        import agent_extras_pb2
        import sandbox_context_pb2
    finally:
        sys.path.remove(out)
        shutil.rmtree(out)
    return sandbox_context_pb2, agent_extras_pb2


if os.geteuid() != 0:
    print("containers need root: skipped")
    sys.exit(77)
pb, ax = load_messages()


class Caller:
    """Calls of both services over self.channel."""

    channel = None

    def call(self, method, timeout=60, **fields):
        return self.future(method, timeout, **fields).result()

    def future(self, method, timeout=60, **fields):
        return self._send(SERVICE, pb, method, timeout, fields)

    def status(self, method, **fields):
        """The status code's name and message of a call, "OK" when it succeeds."""
        return self._status(self.future, method, fields)

    def extra(self, method, timeout=60, **fields):
        return self.extra_future(method, timeout, **fields).result()

    def extra_future(self, method, timeout=60, **fields):
        return self._send(EXTRAS, ax, method, timeout, fields)

    def extra_status(self, method, **fields):
        return self._status(self.extra_future, method, fields)

    def events(self):
        """An iterator over events, once the stream stands."""
        stream = self.channel.unary_stream(
            EXTRAS + "Events",
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=ax.Event.FromString,
        )(ax.EventsRequest())
        assert next(stream).type == ax.Event.UNSPECIFIED
        return stream

    def _send(self, service, module, method, timeout, fields):
        request = getattr(module, method + "Request")(**fields)
        reply = getattr(module, method + "Response", None)
        return self.channel.unary_unary(
            service + method,
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=reply.FromString,
        ).future(request, timeout=timeout)

    @staticmethod
    def _status(send, method, fields):
        try:
            send(method, **fields).result()
        except grpc.RpcError as e:
            return e.code().name, e.details()
        return "OK", ""


class Stream:
    """One host port: listens where the agent dials, then is the connection."""

    def __init__(self, directory, port):
        self.path = os.path.join(directory, f"vsock.sock_{port}")
        self.port = port
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(1)
        self.listener.settimeout(60)
        self.conn = None

    def accept(self):
        if self.conn is None:
            self.conn = self.listener.accept()[0]
            self.conn.settimeout(60)
        return self.conn

    def read_all(self):
        conn, chunks = self.accept(), []
        while chunk := conn.recv(1 << 20):
            chunks.append(chunk)
        return b"".join(chunks)

    def read_until(self, marker):
        conn, data = self.accept(), b""
        while marker not in data:
            chunk = conn.recv(65536)
            if not chunk:
                raise EOFError(f"end of stream before {marker!r}: {data!r}")
            data += chunk
        return data

    def close(self):
        if self.conn:
            self.conn.close()
        self.listener.close()
        if os.path.exists(self.path):
            os.unlink(self.path)


class Agent(Caller):
    """A running agent with its own mount namespace and directory."""

    def __init__(self, unshare=("--mount",)):
        self.dir = tempfile.mkdtemp(prefix="coffer-agent-")
        self.socket = os.path.join(self.dir, "agent.sock")
        self.root = os.path.join(self.dir, "state")
        os.mkdir(self.root)
        self.next_port = 0x10000000
        self.lock = threading.Lock()
        ready = Stream(self.dir, 1024)
        with open(os.path.join(self.dir, "log"), "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["unshare", *unshare, PROGRAM, "--listen", f"unix:{self.socket}",
                 "--stdio-dir", self.dir, "--root", self.root],
                stderr=log,
            )
        try:
            self.ready = json.loads(ready.read_until(b"\n"))
        finally:
            self.ready_stream = ready
        self.channel = grpc.insecure_channel(f"unix:{self.socket}")

    def stream(self):
        with self.lock:
            port = self.next_port
            self.next_port += 1
        return Stream(self.dir, port)

    def log(self):
        with open(os.path.join(self.dir, "log"), encoding="utf-8") as f:
            return f.read()

    def rss_kib(self, kind="VmRSS"):
        """Its memory; RssAnon: without what the kernel may take from it and give back."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith(kind + ":"))

    def close(self):
        self.channel.close()
        self.process.terminate()
        try:
            code = self.process.wait(60)
        finally:
            self.process.kill()
            self.process.wait()
        # Memory that was not freed makes a sanitized agent fail.
        assert code == 0, f"agent ended with {code}: {self.log()}"
        self.ready_stream.close()
        shutil.rmtree(self.dir, ignore_errors=True)


class Process:
    """An init or exec, with the streams that were asked for."""

    def __init__(self, agent, container, exec_id, spec, streams=("stdout", "stderr")):
        self.agent = agent
        self.ids = {"id": exec_id, "containerID": container}
        self.streams = {name: agent.stream() for name in streams}
        for stream in self.streams.values():
            agent_closing.append(stream)
        # Agents side by side on one host would take one another's groups, and kill what is in them.
        if exec_id == container and isinstance(agent, Agent) and not spec.get("linux", {}).get("cgroupsPath"):
            path = f"/container/{os.path.basename(agent.dir)}-{container}"
            spec = {**spec, "linux": {**spec["linux"], "cgroupsPath": path}}
        agent.call(
            "CreateProcess", configuration=json.dumps(spec).encode(),
            **self.ids, **{name: s.port for name, s in self.streams.items()},
        )

    def __getattr__(self, name):
        try:
            return self.__dict__["streams"][name]
        except KeyError:
            raise AttributeError(name) from None

    def call(self, method, **fields):
        return self.agent.call(method, **self.ids, **fields)

    def status(self, method, **fields):
        return self.agent.status(method, **self.ids, **fields)

    def start(self):
        return self.call("StartProcess").pid

    def wait(self):
        return self.call("WaitProcess").exitCode

    def run(self):
        """Start, read everything, wait. Return: code, stdout, stderr"""
        self.start()
        out = {name: b"" for name in ("stdout", "stderr")}
        threads = [
            threading.Thread(target=lambda n=name, s=s: out.update({n: s.read_all()}))
            for name, s in self.streams.items() if name in out
        ]
        for t in threads:
            t.start()
        code = self.wait()
        for t in threads:
            t.join(60)
        return code, out["stdout"], out["stderr"]


agent_closing = []


def make_rootfs(directory):
    """A busybox root with two users; directory is made."""
    for name in ("bin", "etc", "proc", "dev", "sys", "tmp", "home/app"):
        os.makedirs(os.path.join(directory, name))
    busybox = os.path.join(directory, "bin", "busybox")
    shutil.copy(BUSYBOX, busybox)
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    for applet in applets.stdout.split():
        if applet != "busybox":
            os.symlink("busybox", os.path.join(directory, "bin", applet))
    with open(os.path.join(directory, "etc/passwd"), "w", encoding="ascii") as f:
        f.write("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:App:/home/app:/bin/sh\n")
    with open(os.path.join(directory, "etc/group"), "w", encoding="ascii") as f:
        f.write("root:x:0:\nstaff:x:50:app\napp:x:1000:\nwheel:x:10:root,app\n")
    return directory


def make_spec(rootfs, args, terminal=False, user=None, env=(), cwd="/", hostname="box"):
    nofile = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return {
        "ociVersion": "1.2.0",
        "process": {
            "terminal": terminal,
            "user": user or {"uid": 0, "gid": 0},
            "args": list(args),
            "env": list(env),
            "cwd": cwd,
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": min(1024, nofile), "hard": nofile}],
        },
        "root": {"path": rootfs, "readonly": False},
        "hostname": hostname,
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        ],
        "linux": {"namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount")]},
    }


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False
