# SPDX-License-Identifier: Apache-2.0
"""Images from docker and to docker, by its archives, under a daemon of our own.

  image_docker_test.py PROGRAMS [NAME...]
"""

import json
import os
import subprocess
import sys
import tarfile

import client_box
from client_box import Client, Daemon, expect_equal, expect_text
from faults_box import run_all

WHERE, RUNTIME = client_box.enter("dockerd", "containerd", "iptables")
DOCKER = next((p for p in ("/usr/bin/docker",) if os.path.exists(p)), "docker")


def docker():
    return Client([DOCKER, "--host", f"unix://{WHERE}/docker.sock", "--config", f"{WHERE}/config"])


def coffer(store):
    return Client([os.path.join(os.path.dirname(RUNTIME), "coffer")], {
        "COFFER_DATA": os.path.join(WHERE, store), "XDG_CONFIG_HOME": os.path.join(WHERE, "none")})


def start():
    daemon = Daemon(WHERE, ["dockerd", "--config-file", f"{WHERE}/none.json",
                            "--data-root", f"{WHERE}/data", "--exec-root", f"{WHERE}/exec",
                            "--pidfile", f"{WHERE}/docker.pid",
                            "--host", f"unix://{WHERE}/docker.sock",
                            "--add-runtime", f"coffer={RUNTIME}", "--default-runtime", "coffer"],
                    lambda: docker().any("version").code == 0)
    client = docker()
    client.do("import", "-c", 'CMD ["cat", "/etc/said"]', "-c", "ENV A=b",
              client_box.busybox_tar(WHERE), "base:1")
    # A second layer, and a third that removes something.
    for tag, command in (("2", "echo two > /etc/said"), ("3", "rm /bin/vi; echo three > /etc/said")):
        client.do("run", "--name", "c" + tag, "--network", "none", f"base:{int(tag) - 1}", "sh",
                  "-c", command)
        client.do("commit", "-c", 'CMD ["cat", "/etc/said"]', "c" + tag, "base:" + tag)
        client.do("rm", "c" + tag)
    return daemon


def ids(client, names):
    return [client.do("inspect", "--type", "image", "--format", "{{.Id}}", n) for n in names]


def docker_to_coffer(_box):
    """What docker save makes of three images that share layers has docker's ids here."""
    store, names = coffer("to"), ["base:1", "base:2", "base:3"]
    archive = os.path.join(WHERE, "docker.tar")
    docker().do("save", "-o", archive, *names)
    out = store.do("load", "-i", archive)
    expect_text(out, *names)
    for name, wanted in zip(names, ids(docker(), names)):
        image = json.loads(store.do("image", "inspect", name))[0]
        expect_equal(image["Id"], wanted)
        expect_equal(image["Config"]["Cmd"], ["cat", "/etc/said"])
    store.do("image", "check")


def coffer_to_docker(_box):
    """What we save docker loads; there it has the id that it has here, and runs."""
    store, archive = coffer("from"), os.path.join(WHERE, "docker2.tar")
    client = docker()
    client.do("tag", "base:3", "base:4")
    client.do("save", "-o", archive, "base:4")
    wanted = ids(client, ["base:4"])
    store.do("load", "-i", archive)
    store.do("tag", "base:4", "example.com/fresh:5")
    store.do("save", "-o", archive + ".out", "example.com/fresh:5", "base:4")
    with tarfile.open(archive + ".out") as tar:
        found = tar.getnames()
    expect_equal(len(found), len(set(found)))
    expect_text(client.do("load", "-i", archive + ".out"), "example.com/fresh:5", "base:4")
    expect_equal(ids(client, ["example.com/fresh:5"]), wanted)
    expect_text(client.do("run", "--rm", "--network", "none", "example.com/fresh:5"), "three")


def packed_to_docker(_box):
    """Images that docker has never seen, whose layers are packed."""
    store, client = coffer("packed"), docker()
    for tool in ("gzip", "xz", "zstd"):
        tar, name = os.path.join(WHERE, tool + ".tar"), f"packed:{tool}"
        with open(f"{WHERE}/busybox.tar", "rb") as source, open(tar, "wb") as f:
            subprocess.run([tool, "-1"], stdin=source, stdout=f, check=True)
        store.do("import", "-c", 'CMD ["cat", "/etc/passwd"]', tar, name)
        store.do("save", "-o", tar + ".saved", name)
        client.do("load", "-i", tar + ".saved")
        expect_equal(ids(client, [name]),
                     [json.loads(store.do("image", "inspect", name))[0]["Id"]])
        expect_text(client.do("run", "--rm", "--network", "none", name), "root:x:0:0")


def main():
    with open(f"{WHERE}/none.json", "w", encoding="ascii") as f:
        f.write("{}")
    daemon = start()
    try:
        return run_all({"docker to coffer": docker_to_coffer,
                        "coffer to docker": coffer_to_docker,
                        "packed to docker": packed_to_docker}, RUNTIME)
    finally:
        daemon.stop()


if __name__ == "__main__":
    sys.exit(main())
