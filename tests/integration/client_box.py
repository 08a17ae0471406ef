# SPDX-License-Identifier: Apache-2.0
"""What the tests with real clients (docker, podman, containerd) share.

A test program calls enter() first: it runs itself again in the box of
tests/conformance (namespaces, /dev and cgroups of its own, everything ended at
the end), with a fresh directory.  So daemons, bridges and firewall rules of a
test are its own, and clients may run beside the machine's.

The runtime under test is PROGRAMS/coffer-oci; $COFFER_TEST_RUNTIME names
another one, to see that a test is right. $COFFER_TEST_SANDBOX is its --sandbox.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

import debootstrap_test
from faults_box import SKIPPED, Failure, End, expect, wait_until
from run_terminal import Terminal

HERE = os.path.dirname(os.path.abspath(__file__))
BOX = os.path.join(HERE, "..", "conformance", "box.sh")
INSIDE = "COFFER_CLIENT_BOX"
COMMAND = 180
# "sentry": containers get an application kernel of their own.
SANDBOX = os.environ.get("COFFER_TEST_SANDBOX")


def enter(*needed, tree="hybrid"):
    """Go on inside a box, once. Return: its directory, the runtime under test."""
    runtime = os.environ.get("COFFER_TEST_RUNTIME") or os.path.join(sys.argv[1], "coffer-oci")
    if INSIDE in os.environ:
        # The machine's daemons and the state of its containers are out of sight.
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
        return os.environ[INSIDE], os.path.abspath(runtime)
    why = next((f"{name} is not installed" for name in (*needed, "busybox", "unshare")
                if not shutil.which(name)), None)
    if os.geteuid() != 0:
        why = "needs root"
    if why:
        print(why)
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory(prefix="cc-") as where:
        os.chmod(where, 0o755)
        os.mkdir(os.path.join(where, "box"))
        done = subprocess.run(["sh", BOX, tree, os.path.join(where, "box"), sys.executable,
                               *sys.argv], env={**os.environ, INSIDE: where}, check=False)
    sys.exit(done.returncode)


def busybox_tar(where):
    """A root file system with every applet of busybox in /bin. Return: its archive."""
    tree, archive = os.path.join(where, "busybox"), os.path.join(where, "busybox.tar")
    for name in ("bin", "etc", "root", "tmp", "dev", "proc", "sys", "var", "usr"):
        os.makedirs(os.path.join(tree, name))
    shutil.copy(shutil.which("busybox"), os.path.join(tree, "bin/busybox"))
    names = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True)
    for name in names.stdout.split():
        if name != "busybox":
            os.symlink("busybox", os.path.join(tree, "bin", name))
    for name, text in (("passwd", "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n"),
                       ("group", "root:x:0:\nuser:x:1000:\n")):
        with open(os.path.join(tree, "etc", name), "w", encoding="ascii") as f:
            f.write(text)
    subprocess.run(["tar", "-C", tree, "-cf", archive, "."], check=True)
    return archive


def debian_tar(where):
    """The Debian tree that other tests use. Return: its archive. Raises Skip."""
    archive = os.path.join(where, "debian.tar")
    subprocess.run(["tar", "-C", debootstrap_test.rootfs(), "--exclude=./dev/*",
                    "--exclude=./usr/share/doc/*", "--exclude=./usr/share/locale/*", "-cf",
                    archive, "."], check=True)
    return archive


class Daemon:
    """A server of the test, with its output in a file."""

    def __init__(self, where, command, ready, env=None):
        self.log = os.path.join(where, os.path.basename(command[0]) + ".log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT,
                                            env={**os.environ, **(env or {})})
        if not wait_until(lambda: ready() or self.process.poll() is not None, 120, step=0.1):
            raise Failure(f"{command[0]} does not answer: {self.tail()}")
        if self.process.poll() is not None:
            raise Failure(f"{command[0]} ended: {self.tail()}")

    def tail(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-20:])

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Client:
    """The command line of a client: its program and global flags."""

    counter = 0

    def __init__(self, command, env=None):
        self.command = command
        self.env = {**os.environ, **(env or {})}

    def name(self):
        Client.counter += 1
        return f"c{os.getpid()}-{Client.counter}"

    def start(self, *args, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                   "stderr": subprocess.PIPE, "env": self.env, **options}
        return subprocess.Popen([*self.command, *args], **options)

    def any(self, *args, within=COMMAND, given=None):
        """A command that may fail. Return: its End"""
        start = time.monotonic()
        child = self.start(*args, **({} if given is None else {"stdin": subprocess.PIPE}))
        try:
            out, err = child.communicate(None if given is None else given.encode(), within)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            raise Failure(f"still running after {within} s: {shlex.join(args)}") from None
        return End(child.returncode, out, err, time.monotonic() - start)

    def do(self, *args, code=0, **options):
        """A command that ends with @code. Return: its output, without the last line feed"""
        end = self.any(*args, **options)
        expect(end.code == code, f"{shlex.join(args)}: exit code {code} was expected: {end}")
        return end.out.removesuffix("\n")

    def terminal(self, *args):
        """A command at a terminal of 33 lines and 101 columns."""
        program = shutil.which(self.command[0])
        os.environ.update(self.env)
        return Terminal([program, *self.command[1:], *args], 33, 101)


def expect_text(found, *words):
    for word in words:
        expect(word in found, f"'{word}' was expected in '{found}'")


def expect_equal(found, wanted):
    expect(found == wanted, f"'{wanted}' was expected, not '{found}'")


def expect_soon(condition, what, within=60):
    expect(wait_until(condition, within, step=0.1), f"within {within} s: {what}")
