# SPDX-License-Identifier: Apache-2.0
"""coffer-oci --sandbox sentry while its processes are killed, at random times.

  sentry_oci_faults_test.py PROGRAMS [NAME...]

COFFER_TEST_ROUNDS: how many kills; COFFER_TEST_SEED: the same ones again.
"""

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import time

import client_box
from client_box import Client, expect_equal, expect_soon
from faults_box import Failure, expect, run_all

WHERE, RUNTIME = client_box.enter()
ROOT = os.path.join(WHERE, "state")
BUNDLE = os.path.join(WHERE, "bundle")
ROUNDS = int(os.environ.get("COFFER_TEST_ROUNDS", "20"))
SEED = int(os.environ.get("COFFER_TEST_SEED", str(random.randrange(1 << 30))))
# Names of the processes, as the host's kernel cuts them.
VICTIMS = ("coffer-oci", "coffer-oci-sent", "coffer-sentry", "coffer-gofer", "coffer-stub")
LOOP = "echo ready; while :; do sleep 0.01; done"


def oci():
    return Client([RUNTIME, "--root", ROOT, "--sandbox", "sentry"])


def processes():
    """{pid: name} of ours: all there are, for the box has pids of its own."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", encoding="ascii") as f:
                name, rest = f.read().split("(", 1)[1].rsplit(") ", 1)
                if name.startswith("coffer") and rest[0] != "Z":
                    found[int(entry)] = name
    return found


def groups(name):
    found = []
    for where, names, _files in os.walk("/sys/fs/cgroup"):
        found += [os.path.join(where, n) for n in names if n == name]
    return found


def kill_one(rng, victim, deadline):
    """One of the processes called @victim, once there is one. Return: was there?"""
    while time.monotonic() < deadline:
        pids = [pid for pid, name in processes().items() if name == victim]
        if pids:
            time.sleep(rng.random() * 0.02)
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(pids), 9)
            return True
        time.sleep(0.0005)
    return False


def create(rng, name, victim):
    child = oci().start("create", "--bundle", BUNDLE, name, stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)
    hit = kill_one(rng, victim, time.monotonic() + 0.05)
    child.wait(120)
    expect(hit or child.returncode == 0, "create failed by itself")


def made(name):
    child = oci().start("create", "--bundle", BUNDLE, name, stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)
    expect_equal(child.wait(120), 0)


def start(rng, name, victim):
    made(name)
    child = oci().start("start", name)
    hit = kill_one(rng, victim, time.monotonic() + 0.1)
    _out, err = child.communicate(timeout=120)
    expect(hit or child.returncode == 0, f"start failed by itself: {err}")


def run(rng, name, victim):
    """The caller stays with the container and hears of its end."""
    child = oci().start("run", "--bundle", BUNDLE, name, stdout=subprocess.DEVNULL)
    time.sleep(rng.random() * 0.1)
    kill_one(rng, victim, time.monotonic() + 0.5)
    # It may have been one that did not matter: the caller, or a spare stub; or none was there yet,
    # nor a container.
    def ends():
        oci().do("delete", "--force", name)
        return child.poll() is not None

    expect_soon(ends, "its end", within=120)
    _out, err = child.communicate(timeout=120)
    expect(child.returncode != 0, f"run went well: {err}")


def exec_(rng, name, victim):
    made(name)
    oci().do("start", name)
    child = oci().start("exec", name, "sh", "-c", LOOP, stdout=subprocess.DEVNULL)
    time.sleep(rng.random() * 0.05)
    kill_one(rng, victim, time.monotonic() + 0.2)
    oci().any("kill", "--all", name, "KILL")
    _out, err = child.communicate(timeout=120)
    expect(child.returncode != 0, f"exec went well: {err}")


STAGES = {"create": create, "start": start, "run": run, "exec": exec_}


def one_round(rng, stage, victim):
    name = oci().name()
    STAGES[stage](rng, name, victim)
    oci().do("list")
    oci().do("delete", "--force", name)
    expect_soon(lambda: not processes(), f"their end: {processes()}")
    expect_equal((os.listdir(ROOT), groups(name)), ([], []))
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        expect(ROOT not in f.read(), "mounts are left")


def rounds(_box):
    rng = random.Random(SEED)
    for i in range(ROUNDS):
        stage, victim = rng.choice(list(STAGES)), rng.choice(VICTIMS)
        try:
            one_round(rng, stage, victim)
        except (Failure, OSError, subprocess.SubprocessError) as e:
            raise Failure(f"round {i} of seed {SEED}: {stage}, {victim}: {e}") from e


def at_once(_box):
    """A container ends with its sentry at once, and by itself; whoever waits gets 137."""
    for victim in ("coffer-oci-sent", "coffer-sentry", "coffer-gofer"):
        name = oci().name()
        child = oci().start("run", "--bundle", BUNDLE, name)
        expect_equal(child.stdout.readline(), b"ready\n")
        init = json.loads(oci().do("state", name))["pid"]
        second = oci().start("exec", name, "sh", "-c", LOOP)
        expect_equal(second.stdout.readline(), b"ready\n")
        os.kill(init if victim == "coffer-oci-sent" else
                next(pid for pid, comm in processes().items() if comm == victim), 9)
        child.communicate(timeout=120)
        second.communicate(timeout=120)
        expect_equal((victim, child.returncode, second.returncode), (victim, 137, 137))
        expect_soon(lambda: not processes(), "their end")
        expect_equal((os.listdir(ROOT), groups(name)), ([], []))


TESTS = {"at once": at_once, "rounds": rounds}


def main():
    client_box.busybox_tar(WHERE)
    os.makedirs(os.path.join(BUNDLE, "rootfs"))
    os.makedirs(ROOT)
    subprocess.run(["tar", "-C", BUNDLE + "/rootfs", "-xf", WHERE + "/busybox.tar"], check=True)
    subprocess.run([RUNTIME, "spec", "--bundle", BUNDLE], check=True)
    with open(BUNDLE + "/config.json", encoding="utf-8") as f:
        document = json.load(f)
    document["process"].update(terminal=False, args=["sh", "-c", LOOP])
    with open(BUNDLE + "/config.json", "w", encoding="utf-8") as f:
        json.dump(document, f)
    try:
        return run_all(TESTS, RUNTIME, jobs=1)
    finally:
        shutil.rmtree(ROOT, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
