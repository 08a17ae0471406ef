# SPDX-License-Identifier: Apache-2.0
"""docker with coffer-oci as its runtime, under a daemon of our own.

  docker_test.py PROGRAMS [NAME...]
"""

import glob
import json
import os
import sys

import client_box
import client_cases
from client_box import Client, Daemon, expect_equal, expect_soon
from faults_box import run_all

WHERE, RUNTIME = client_box.enter("dockerd", "containerd", "iptables")
# Another program of that name may come first on a machine's PATH.
DOCKER = next((p for p in ("/usr/bin/docker",) if os.path.exists(p)), "docker")
STATE = os.path.join(WHERE, "exec/runtime-*/moby")


def client():
    return Client([DOCKER, "--host", f"unix://{WHERE}/docker.sock", "--config", f"{WHERE}/config"])


def start():
    daemon = Daemon(WHERE, ["dockerd", "--config-file", f"{WHERE}/daemon.json",
                            "--data-root", f"{WHERE}/data", "--exec-root", f"{WHERE}/exec",
                            "--pidfile", f"{WHERE}/docker.pid",
                            "--host", f"unix://{WHERE}/docker.sock",
                            "--default-runtime", "coffer"],
                    lambda: client().any("version").code == 0)
    client().do("import", client_box.busybox_tar(WHERE), client_cases.IMAGE)
    return daemon


def out_of_memory(docker):
    """The daemon hears of it through the runtime's cgroup."""
    with client_cases.kept(docker, "--memory", "16m", "--memory-swap", "16m",
                           command=("sh", "-c", "x=x; while :; do x=$x$x; done")) as name:
        expect_equal(docker.do("wait", name), "137")
        expect_soon(lambda: client_cases.state(docker, name, "OOMKilled") == "true", "OOMKilled")


def debian(docker):
    docker.do("import", client_box.debian_tar(WHERE), "debian")
    expect_equal(docker.do("run", "--rm", "debian", "python3", "-c", "print(6 * 7)"), "42")


def leaves_nothing():
    expect_soon(lambda: not glob.glob(f"{STATE}/*"), f"nothing in {STATE}")


def case(function):
    return lambda _box: function(client())


TESTS = {name: case(function) for name, function in
         {**client_cases.CASES, "out of memory": out_of_memory, "debian": debian}.items()}


def main():
    arguments = ["--sandbox", client_box.SANDBOX] if client_box.SANDBOX else []
    with open(f"{WHERE}/daemon.json", "w", encoding="ascii") as f:
        json.dump({"runtimes": {"coffer": {"path": RUNTIME, "runtimeArgs": arguments}}}, f)
    daemon = start()
    try:
        code = run_all(TESTS, RUNTIME)
        leaves_nothing()
    finally:
        daemon.stop()
    return code


if __name__ == "__main__":
    sys.exit(main())
