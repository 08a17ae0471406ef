# SPDX-License-Identifier: Apache-2.0
"""kill -9 of coffer, its monitor and QEMU, or its sentry and gofer, at any time.

  faults_kill_test.py PROGRAMS [NAME...]

No process of the run is left soon; no directory either, or the next coffer
command removes it.  A coffer that survives says who died and how.
FAULTS_KILLS: kills of each, at random moments (default 4); FAULTS_SEED: of these.
"""

import os
import random
import signal
import sys
import time

from faults_box import (AT_ONCE, BOOT, ERROR, SENTRY, SIGNAL, WALL, Failure, expect, expect_error,
                        kill, run_all, wait_until)

PROGRAMS = sys.argv[1]
KILLS = int(os.environ.get("FAULTS_KILLS", "4"))
SEED = int(os.environ.get("FAULTS_SEED", str(random.randrange(1 << 30))))
MONITOR, MACHINE = WALL
# What is said when one has died; a sentry ends when it sees that its gofer is gone.
MONITOR_DIED = MONITOR + " .*signal 9"
MACHINE_DIED = "coffer-gofer" if SENTRY else "qemu .*signal 9"
MACHINE_ENDED = "coffer-gofer" if SENTRY else "qemu"
# A program that ran went with its machine.
KILLED = SIGNAL + signal.SIGKILL


def start(box):
    return box.start("coffer/hello", "sh", "-c", "echo up; sleep 1000")


def until_up(child):
    expect(child.stdout.readline() == b"up\n", "the program did not start")


def check_gone(box):
    """No process at once; files at once or with the next command."""
    if not wait_until(lambda: not box.processes(), AT_ONCE):
        raise Failure(f"processes left: {box.processes()}")
    if box.traces():
        box.sweep()
        box.expect_clean()


def check_survivor(box, child, *words):
    """coffer outlives its monitor and machine: it says so, and cleans up itself."""
    end = box.finish(child, time.monotonic() - child.started + AT_ONCE)
    expect_error(end, *words, code=KILLED)
    box.expect_clean()


def kill_running_coffer(box):
    child = start(box)
    until_up(child)
    child.kill()
    child.wait()
    check_gone(box)


def kill_running_monitor(box):
    child = start(box)
    until_up(child)
    kill(box.find(MONITOR))
    check_survivor(box, child, MONITOR_DIED)


def kill_running_machine(box):
    child = start(box)
    until_up(child)
    kill(box.find(MACHINE))
    check_survivor(box, child, MACHINE_DIED)


def terminate_running_machine(box):
    """QEMU ends in order when a signal asks it to; nobody of ours did."""
    child = start(box)
    until_up(child)
    kill(box.find(MACHINE), signal.SIGTERM)
    check_survivor(box, child, MACHINE_ENDED)


def kill_running_all(box):
    child = start(box)
    until_up(child)
    for pid in list(box.processes()):
        kill(pid)
    child.wait()
    check_gone(box)


def stopped_machine(box):
    """A QEMU that hangs must not keep coffer from ending when it is told to."""
    child = start(box)
    until_up(child)
    kill(box.find(MACHINE), signal.SIGSTOP)
    child.kill()
    child.wait()
    check_gone(box)


def stopped_monitor(box):
    """A monitor that hangs: its death is the kernel's business, once coffer is gone."""
    child = start(box)
    until_up(child)
    monitor = box.find(MONITOR)
    kill(monitor, signal.SIGSTOP)
    kill(box.find(MACHINE))
    time.sleep(0.1)
    kill(monitor, signal.SIGCONT)
    check_survivor(box, child, f"{MACHINE_DIED}|{MONITOR}")


def random_kills(victim):
    def test(box):
        moments = random.Random(f"{SEED} {victim}")
        for _ in range(KILLS):
            box.children.clear()
            child = start(box)
            # Most of what can go wrong is in the first milliseconds.
            after = moments.choice((moments.uniform(0, 0.05), moments.uniform(0, 3)))
            time.sleep(after)
            pid = child.pid if victim == "coffer" else box.find(victim)
            if pid:
                kill(pid)
            else:
                child.kill()
            try:
                if pid and pid != child.pid:
                    end = box.finish(child, after + BOOT)
                    # Without a word of the program it may have run or not.
                    ran = end.out or end.code == KILLED
                    expect_error(end, f"{MONITOR}|{MACHINE_ENDED}", code=KILLED if ran else ERROR)
                else:
                    child.communicate(timeout=AT_ONCE)
                check_gone(box)
            except Failure as e:
                raise Failure(f"{victim} killed after {after * 1000:.1f} ms "
                              f"(FAULTS_SEED={SEED}): {e}") from None
    return test


TESTS = {f.__name__.replace("_", " "): f for f in (
    kill_running_coffer, kill_running_monitor, kill_running_machine, terminate_running_machine,
    kill_running_all, stopped_machine, stopped_monitor)}
TESTS |= {f"random kills of {v}": random_kills(v) for v in ("coffer", MONITOR, MACHINE)}

if __name__ == "__main__":
    sys.exit(run_all(TESTS, PROGRAMS))
