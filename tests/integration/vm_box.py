# SPDX-License-Identifier: Apache-2.0
"""A virtual machine with devices: sandbox_driver on the host, the agent's contract inside.

Commands run as containers on the built-in root, with the machine's /dev and
/mnt and with every capability: as near to a hostile guest as a shell comes.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import grpc

from agent_client import Caller, Process, Stream, make_spec

DRIVER = os.environ["COFFER_DRIVER"]
BIN = os.environ["COFFER_BIN"]
BUSYBOX = os.path.join(os.path.dirname(BIN), "lib", "coffer", "busybox.cpio")
CAPS = [f"CAP_{n}" for n in """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID
SETPCAP NET_ADMIN SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE
SYS_TIME MKNOD SETFCAP""".split()]


class Bridge:
    """A unix socket whose connections reach a port of the guest without a word."""

    def __init__(self, vm, port):
        self.vm, self.port = vm, port
        self.path = os.path.join(vm.dir, f"bridge-{port}")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(16)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                conn = self.listener.accept()[0]
                inner = self.vm.dial(self.port)
            except OSError:
                return
            for a, b in ((conn, inner), (inner, conn)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    @staticmethod
    def pump(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Vm(Caller):
    count = 0

    def __init__(self, *options, user=None, archive=BUSYBOX, cgroup=None):
        Vm.count += 1
        self.dir = tempfile.mkdtemp(prefix="coffer-test-")
        os.chmod(self.dir, 0o711)
        self.run_root = os.path.join(self.dir, "run")
        self.id = f"vm{Vm.count}"
        self.vm_dir = os.path.join(self.run_root, self.id, "vm")
        self.next_port = 0x10000000
        env = {**os.environ, "COFFER_BINDIR": BIN, "COFFER_LIBDIR": os.path.dirname(BUSYBOX)}
        options = [f"archive={archive}", *options]
        command = [DRIVER, self.run_root, self.id, *options]
        if cgroup:
            command = ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', cgroup, *command]
        ids = {}
        if user:
            entry = pwd.getpwnam(user)
            os.mkdir(self.run_root, 0o700)
            os.chown(self.run_root, entry.pw_uid, entry.pw_gid)
            ids = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        self.log = open(os.path.join(self.dir, "log"), "w+", encoding="utf-8")
        self.driver = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, text=True,
                                       stdout=subprocess.PIPE, stderr=self.log, **ids)
        self.answer = self.driver.stdout.readline().strip()
        self.up = self.answer.startswith("ready")
        if self.up:
            self.bridge = Bridge(self, 1024)
            self.channel = grpc.insecure_channel(f"unix:{self.bridge.path}")
            self.call("Mkdir", path="/mnt", all=True, perms=0o755)

    def tell(self, line):
        """One command for the driver. Return: its answer"""
        self.driver.stdin.write(line + "\n")
        self.driver.stdin.flush()
        return self.driver.stdout.readline().strip()

    def cost(self):
        """[(process, tag, pid, rss, pss, cpu)], the monitor first"""
        words = self.tell("cost").split()
        assert words[0] == "ok", words
        rows = [w.split(":") for w in words[1:]]
        return [(r[0], r[1], *map(int, r[2:])) for r in rows]

    def pid(self, process, tag=""):
        return next(r[2] for r in self.cost() if r[:2] == (process, tag))

    def end(self, within=60000):
        """How it ended: a dict, console and message among it"""
        line = self.tell(f"end {within}")
        assert line.startswith("ok kind="), line
        head, console = line[3:].split(" console=", 1)
        head, message = head.split(" message=", 1)
        return {**dict(w.split("=", 1) for w in head.split()), "message": message,
                "console": console}

    # --- vsock ---

    def dial(self, port):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(60)
        # By descriptor: the path may be too long for an address.
        fd = os.open(self.vm_dir, os.O_PATH | os.O_DIRECTORY)
        try:
            s.connect(f"/proc/self/fd/{fd}/vsock.sock")
        finally:
            os.close(fd)
        s.sendall(b"CONNECT %d\n" % port)
        line = b""
        while not line.endswith(b"\n"):
            part = s.recv(1)
            if not part:
                raise OSError("refused")
            line += part
        return s

    def stream(self):
        self.next_port += 1
        stream = Stream(self.vm_dir, self.next_port)
        os.chmod(stream.path, 0o666)
        return stream

    # --- inside ---

    def mount(self, tag, read_only=False):
        """A share of that tag at /mnt/TAG"""
        self.call("Mkdir", path=f"/mnt/{tag}", all=True, perms=0o755)
        self.call("Mount", type="virtiofs", source=tag, destination=f"/mnt/{tag}",
                  options=["ro"] if read_only else [])

    def process(self, command, uid=0):
        self.next_port += 1
        name = f"c{self.next_port}"
        spec = make_spec("/busybox", ["/bin/sh", "-c", command], env=["PATH=/bin:/sbin"],
                         user={"uid": uid, "gid": uid})
        caps = CAPS if uid == 0 else []
        spec["process"]["capabilities"] = {k: caps for k in ("bounding", "effective", "permitted")}
        spec["mounts"] = [m for m in spec["mounts"] if not m["destination"].startswith("/dev")]
        spec["mounts"] += [{"destination": d, "type": "bind", "source": d, "options": ["rbind"]}
                           for d in ("/mnt", "/dev", "/sys")]
        return Process(self, name, name, spec)

    def sh(self, command, uid=0):
        """Return: exit code, what it wrote to both"""
        process = self.process(command, uid)
        code, out, err = process.run()
        process.call("DeleteProcess")
        for stream in process.streams.values():
            stream.close()
        return code, (out + err).decode(errors="replace")

    def expect(self, command, uid=0):
        code, text = self.sh(command, uid)
        assert code == 0, f"{command}: {code}: {text}"
        return text.strip()

    def close(self):
        if self.up:
            self.channel.close()
        try:
            self.driver.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.driver.wait(60)
        except subprocess.TimeoutExpired:
            self.driver.send_signal(signal.SIGKILL)
            self.driver.wait()
            raise
        finally:
            self.driver.stdout.close()
            self.log.close()
        left = [os.path.join(p, n) for p, d, f in os.walk(self.run_root) for n in d + f]
        shutil.rmtree(self.dir, ignore_errors=True)
        assert not left, left

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.close()
