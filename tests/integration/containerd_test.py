# SPDX-License-Identifier: Apache-2.0
"""containerd's runc shim with coffer-oci as its runtime, by ctr, under a daemon of our own.

  containerd_test.py PROGRAMS [NAME...]
"""

import glob
import os
import subprocess
import sys

import client_box
import client_cases
from client_box import Client, Daemon, expect_equal, expect_soon, expect_text
from faults_box import expect, run_all

WHERE, RUNTIME = client_box.enter("containerd", "ctr", "containerd-shim-runc-v2", "umoci")
SOCKET = f"{WHERE}/containerd.sock"
IMAGE = f"docker.io/library/{client_cases.IMAGE}:latest"
CONFIG = f"""version = 2
root = "{WHERE}/root"
state = "{WHERE}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "{SOCKET}"
"""
# What the shim gives the runtime as --root when nothing else is asked for.
STATE = "/run/containerd/runc/default"
# The shim passes no options of the runtime's on: those are a script's.
BINARY = f"{WHERE}/runtime" if client_box.SANDBOX else RUNTIME
RUN = ("run", "--runtime", "io.containerd.runc.v2", "--runc-binary", BINARY)


def client():
    return Client(["ctr", "--address", SOCKET])


def image():
    """A docker archive of the busybox, made by hand: ctr takes no plain tree."""
    archive, target = client_box.busybox_tar(WHERE), f"{WHERE}/image"
    for command in (["umoci", "init", "--layout", target],
                    ["umoci", "new", "--image", f"{target}:latest"],
                    ["umoci", "raw", "add-layer", "--image", f"{target}:latest", archive],
                    ["umoci", "config", "--image", f"{target}:latest", "--config.env",
                     "PATH=/bin"]):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["tar", "-C", target, "-cf", f"{WHERE}/image.tar", "."], check=True)
    return f"{WHERE}/image.tar"


def start():
    with open(f"{WHERE}/runtime", "w", encoding="ascii") as f:
        f.write(f'#!/bin/sh\nexec {RUNTIME} --sandbox {client_box.SANDBOX} "$@"\n')
    os.chmod(f"{WHERE}/runtime", 0o755)
    with open(f"{WHERE}/config.toml", "w", encoding="ascii") as f:
        f.write(CONFIG)
    daemon = Daemon(WHERE, ["containerd", "--config", f"{WHERE}/config.toml"],
                    lambda: client().any("version").code == 0)
    client().do("images", "import", "--index-name", IMAGE, image())
    return daemon


class Kept:
    """A task in the background, by name."""

    def __init__(self, ctr, *command, options=()):
        self.ctr, self.name = ctr, ctr.name()
        ctr.do(*RUN, "-d", *options, IMAGE, self.name, *command)

    def __enter__(self):
        return self.name

    def status(self):
        lines = self.ctr.do("task", "ls").splitlines()
        return next(line.split()[2] for line in lines if line.split()[0] == self.name)

    def __exit__(self, *_):
        self.ctr.any("task", "kill", "-s", "KILL", self.name)
        self.ctr.any("task", "rm", "-f", self.name)
        self.ctr.any("container", "rm", self.name)


def run(ctr):
    expect_equal(ctr.do(*RUN, "--rm", IMAGE, ctr.name(), "echo", "hi"), "hi")
    ctr.do(*RUN, "--rm", IMAGE, ctr.name(), "sh", "-c", "exit 3", code=3)
    expect_equal(ctr.do(*RUN, "--rm", "--env", "A=1", "--cwd", "/tmp", IMAGE, ctr.name(), "sh",
                        "-c", "echo $A; pwd"), "1\n/tmp")
    end = ctr.any(*RUN, "--rm", IMAGE, ctr.name(), "no-such-program")
    expect(end.code != 0, f"{end}")
    expect_text(end.err, "executable file not found in $PATH")


def terminal(ctr):
    t = ctr.terminal(*RUN, "--rm", "-t", IMAGE, ctr.name(), "sh")
    t.expect("/ # ")
    t.type("tty\n")
    t.expect("/dev/pts/0")
    client_cases.has_size(t, 33, 101)
    t.type("exit 7\n")
    expect_equal(t.wait(), 7)


def exec_(ctr):
    with Kept(ctr, "sleep", "1000") as name:
        expect_equal(ctr.do("task", "exec", "--exec-id", "a", name, "cat", "/proc/1/comm"), "sleep")
        ctr.do("task", "exec", "--exec-id", "b", name, "sh", "-c", "exit 9", code=9)
        expect_equal(ctr.do("task", "exec", "--exec-id", "c", "--user", "1000", name, "id", "-u"),
                     "1000")
        end = ctr.any("task", "exec", "--exec-id", "d", name, "no-such-program")
        expect_text(end.err, "executable file not found in $PATH")
        expect_text(ctr.do("task", "ps", name), "PID")


def pause(ctr):
    kept = Kept(ctr, "sleep", "1000")
    with kept as name:
        ctr.do("task", "pause", name)
        expect_equal(kept.status(), "PAUSED")
        expect(ctr.any("task", "exec", "--exec-id", "a", name, "true").code != 0,
               "exec in a paused container")
        ctr.do("task", "resume", name)
        expect_equal(kept.status(), "RUNNING")


def kill(ctr):
    name = ctr.name()
    child = ctr.start(*RUN, "--rm", IMAGE, name, "sh", "-c",
                      "trap 'exit 4' USR1; echo ready; while :; do sleep 0.1; done")
    expect_equal(child.stdout.readline(), b"ready\n")
    ctr.do("task", "kill", "-s", "USR1", name)
    child.communicate(timeout=client_box.COMMAND)
    expect_equal(child.returncode, 4)
    kept = Kept(ctr, "sleep", "1000")
    with kept as name:
        ctr.do("task", "kill", "--all", "-s", "KILL", name)
        expect_soon(lambda: kept.status() == "STOPPED", "the end")


def metrics(ctr):
    with Kept(ctr, "sleep", "1000", options=("--memory-limit", str(64 << 20))) as name:
        expect_text(ctr.do("task", "metrics", name), str(64 << 20))


def checkpoint(ctr):
    """It cannot work on every kernel, but then its error comes through."""
    with Kept(ctr, "sleep", "1000") as name:
        end = ctr.any("task", "checkpoint", "--image-path", f"{WHERE}/{name}", name)
        if end.code:
            expect_text(end.err.lower(), "criu")
            expect_equal(ctr.do("task", "exec", "--exec-id", "a", name, "echo", "alive"), "alive")


def leaves_nothing():
    expect_soon(lambda: not glob.glob(f"{STATE}/*"), f"nothing in {STATE}")


def case(function):
    return lambda _box: function(client())


TESTS = {f.__name__.strip("_"): case(f) for f in (run, terminal, exec_, pause, kill, metrics,
                                                   checkpoint)}


def main():
    daemon = start()
    try:
        code = run_all(TESTS, RUNTIME)
        leaves_nothing()
    finally:
        daemon.stop()
    return code


if __name__ == "__main__":
    sys.exit(main())
