# SPDX-License-Identifier: Apache-2.0
"""podman with coffer-oci as its runtime, as root, with storage of its own.

  podman_test.py PROGRAMS [NAME...]
"""

import glob
import os
import shutil
import sys

import client_box
import client_cases
from client_box import Client, expect_equal, expect_soon
from faults_box import run_all

WHERE, RUNTIME = client_box.enter("podman", "conmon")
# Without CAP_SYS_RESOURCE no limit above the machine's own can be set; root's default is one.
CONFIG = f"""[containers]
default_ulimits = ["nofile=1024:2048", "nproc=1024:2048"]
log_driver = "k8s-file"
init_path = "{shutil.which('catatonit') or shutil.which('docker-init')}"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "coffer"
runtime_supports_json = ["coffer"]
tmp_dir = "{WHERE}/tmp"
[engine.runtimes]
coffer = ["{RUNTIME}"]
[network]
network_config_dir = "{WHERE}/networks"
"""
# podman tells a runtime nothing, so this is the runtime's own choice.
STATE = f"/run/{os.path.basename(RUNTIME)}"


def client():
    flags = ["--runtime-flag", f"sandbox={client_box.SANDBOX}"] if client_box.SANDBOX else []
    return Client(["podman", "--root", f"{WHERE}/storage", "--runroot", f"{WHERE}/runroot", *flags],
                  {"CONTAINERS_CONF": f"{WHERE}/containers.conf", "TMPDIR": WHERE})


def debian(podman):
    podman.do("import", client_box.debian_tar(WHERE), "debian")
    expect_equal(podman.do("run", "--rm", "debian", "python3", "-c", "print(6 * 7)"), "42")


def pod(podman):
    """Containers that share the namespaces of a third."""
    name = podman.name()
    podman.do("pod", "create", "--name", name, "--network", "none", "--infra-image",
              client_cases.IMAGE, "--infra-command", "/bin/sleep 1000")
    try:
        podman.do("run", "-d", "--pod", name, client_cases.IMAGE, "httpd", "-f", "-p", "8080")
        expect_soon(lambda: podman.any("run", "--rm", "--pod", name, client_cases.IMAGE, "sh", "-c",
                                       "nc 127.0.0.1 8080 </dev/null").code == 0, "a server")
    finally:
        podman.do("pod", "rm", "-t", "0", "-f", name)


def leaves_nothing():
    # podman cleans up after a container's end by itself, too.
    expect_soon(lambda: not glob.glob(f"{STATE}/*"), f"nothing in {STATE}")


def case(function):
    return lambda _box: function(client())


# Containers of a pod share more than a network.
HOST_ONLY = ("pod",)
TESTS = {name: case(function) for name, function in
         {**client_cases.CASES, "pod": pod, "debian": debian}.items()
         if not client_box.SANDBOX or name not in HOST_ONLY}


def main():
    with open(f"{WHERE}/containers.conf", "w", encoding="utf-8") as f:
        f.write(CONFIG)
    client().do("import", client_box.busybox_tar(WHERE), client_cases.IMAGE)
    code = run_all(TESTS, RUNTIME)
    leaves_nothing()
    return code


if __name__ == "__main__":
    sys.exit(main())
