# SPDX-License-Identifier: Apache-2.0
"""Whatever dies at whatever moment of a container's life, rm -f leaves nothing.

  life_faults_test.py PROGRAMS [NAME...]

A round is one container with a share, one operation on it, and the kill of one
party at a random moment of the operation.  Rounds go through all pairs of
operation and victim, in an order that the seed decides.
COUNT: rounds (default 18); JOBS: side by side (default 2); FAULTS_SEED.
"""

import itertools
import os
import random
import signal
import sys
import time

from faults_box import BOOT, SENTRY, Box, Failure, expect, process_table, run_all, wait_until

PROGRAMS = sys.argv[1]
COUNT = int(os.environ.get("COUNT", "18"))
JOBS = int(os.environ.get("JOBS", "2"))
SEED = int(os.environ.get("FAULTS_SEED", str(random.randrange(1 << 30))))
OPERATIONS = "create", "start", "exec", "copy", "pause", "stop"
# How the kernel calls those whose death is the end of all, 15 bytes.
COMMANDS = {"sentry": "coffer-sentry", "gofer": "coffer-gofer"} if SENTRY else \
    {"monitor": "coffer-vmm", "machine": "qemu-system-x86", "fs server": "virtiofsd"}
# A stub is a process of the guest's, or one that waits to be; it is killed as any program may be.
VICTIMS = "caller", "owner", *COMMANDS, "stub" if SENTRY else "agent"
# Until the death of a party has ended every wait, and all is removed: whoever takes longer hangs.
NOTICED = REMOVED = 60
COPY_MIB = 48
# The agent cannot be killed from inside, but its kernel can be made to panic.
PANIC = "mkdir -p /p && mount -t proc proc /p && echo c >/p/sysrq-trigger"


class Round:
    def __init__(self, box, operation, victim, seed):
        self.box, self.operation, self.victim = box, operation, victim
        self.random = random.Random(seed)
        self.name = box.name()
        self.share = os.path.join(box.dir, "share")
        os.makedirs(self.share, exist_ok=True)
        self.callers = []

    def coffer(self, *args, **options):
        caller = self.box.popen([self.box.coffer(), *args], **options)
        self.callers.append(caller)
        return caller

    def finish(self, caller, within):
        return self.box.finish(caller, time.monotonic() - caller.started + within)

    # --- the life ---

    def boot(self, program="sleep 1000"):
        return self.coffer("run", "-d", "--name", self.name, "--cap-add", "ALL",
                           "-v", f"{self.share}:/s", "coffer/hello", "sh", "-c", program)

    def booted(self):
        end = self.finish(self.boot(), BOOT)
        expect(end.code == 0, f"run -d: {end}")

    def operate(self):
        """Begin the operation. Return: the callers that take part in it, and about how long"""
        if self.operation in ("create", "start"):
            if self.victim == "agent":  # what kills it is the container's first program
                after = self.random.uniform(0, 0.05)
                return [self.boot(f"sleep {after:.3f}; {PANIC}")], 2.5
            return [self.boot()], 2.0
        self.booted()
        if self.operation == "exec":
            return [self.coffer("exec", self.name, "sh", "-c", f"sleep 0.{i}; cat /proc/mounts")
                    for i in range(4)], 0.4
        if self.operation == "copy":
            path = os.path.join(self.share, "big")
            with open(path, "wb") as f:
                f.truncate(COPY_MIB << 20)
            return [self.coffer("cp", path, f"{self.name}:/copied"),
                    self.coffer("cp", f"{self.name}:/bin", os.path.join(self.box.dir, "out"))], 0.8
        if self.operation == "pause":
            script = 'while "$0" pause "$1" && "$0" unpause "$1"; do :; done'
            return [self.box.popen(["sh", "-c", script, self.box.coffer(), self.name])], 0.3
        return [self.coffer("stop", "-t", "1", self.name)], 1.4

    # --- the death ---

    def pids(self, callers):
        found = self.box.processes()
        if self.victim == "caller":
            return [c.pid for c in callers]
        if self.victim == "owner":  # nobody's child any more
            parents = process_table()
            ours = {c.pid for c in self.box.children}
            ours |= {pid for pid, (parent, _, _) in parents.items() if parent in ours}
            return [pid for pid, name in found.items() if name == "coffer" and pid not in ours]
        command = COMMANDS.get(self.victim, "coffer-stub")
        return [pid for pid, name in found.items() if name == command]

    def strike(self, callers, about):
        # Boots take as long as they take; most of what can go wrong is early.
        first = self.operation in ("create", "start")
        early = self.operation != "start" and self.random.random() < 0.4
        after = self.random.uniform(0, 0.1) if early else \
            self.random.uniform(about / 2 if self.operation == "start" else 0, about)
        time.sleep(after)
        if self.victim == "agent":
            if not first:
                self.coffer("exec", "-d", self.name, "sh", "-c", PANIC)
        else:
            pids = self.pids(callers)
            for pid in self.random.sample(pids, min(len(pids), 1 + self.random.randrange(2))):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        return after

    def settle(self, callers):
        """Every caller comes back, with a code of its own or killed by us."""
        grace = BOOT if self.operation in ("create", "start") else NOTICED
        for caller in callers:
            end = self.finish(caller, grace)
            expect(end.code in (0, 1, 125, 126, 127, 130, 137, 143) or
                   (self.victim == "caller" and end.code == -signal.SIGKILL) or
                   (self.victim == "stub" and end.code == 2) or  # a shell that could not fork
                   self.operation == "pause", f"a caller's end: {end}")
            expect("AddressSanitizer" not in end.err, end.err)

    def remove(self):
        """rm -f, which says so if there was nothing; a run whose caller died may still come up."""
        def told():
            return os.path.exists(os.path.join(self.box.run_dir, self.name)) or \
                not self.box.processes()
        wait_until(told, BOOT)
        end = self.finish(self.coffer("rm", "-f", self.name), REMOVED)
        expect(end.code == 0 or (end.code == 1 and "no such container" in end.err), f"rm -f: {end}")
        first = next(iter(COMMANDS.values()))
        machines = [pid for pid, name in self.box.processes().items() if name == first]
        expect(self.victim != "owner" or not machines, f"machines after rm -f: {machines}")
        left = self.finish(self.coffer("ps", "-a", "-q"), REMOVED)
        expect(left.code == 0 and left.out == "", f"ps after rm -f: {left}")

    def run(self):
        callers, about = self.operate()
        waiter = None
        if self.operation in ("exec", "copy", "pause"):
            waiter = self.coffer("wait", self.name)
        after = self.strike(callers, about)
        try:
            if self.operation != "pause":
                self.settle(callers)
            if waiter and self.victim in COMMANDS:
                end = self.finish(waiter, NOTICED)
                expect(end.code == 0 and end.out == "137\n", f"wait: {end}")
            self.remove()
            for caller in self.callers + callers:
                if caller.poll() is None:
                    self.finish(caller, NOTICED)
            self.box.expect_clean()
        except Failure as e:
            raise Failure(f"{self.victim} killed {after * 1000:.0f} ms into {self.operation} "
                          f"(FAULTS_SEED={SEED}): {e}") from None


PAIRS = list(itertools.product(OPERATIONS, VICTIMS))


def rounds(job):
    """Each job has every JOBS-th of the rounds."""
    order = []
    shuffle = random.Random(SEED)
    while len(order) < COUNT:
        order += shuffle.sample(PAIRS, len(PAIRS))

    def test(box):
        failures = []
        for number in range(job, COUNT, JOBS):
            operation, victim = order[number]
            own = Box(box.programs)
            try:
                Round(own, operation, victim, f"{SEED} {number}").run()
            except Failure as e:
                failures.append(f"round {number}: {e}")
            finally:
                own.close()
            if COUNT > 20:
                print(f"  {number:3} {operation:7} {victim}", flush=True)
        expect(not failures, "\n".join(failures))
    return test


TESTS = {f"rounds of job {j}": rounds(j) for j in range(JOBS)}

if __name__ == "__main__":
    print(f"FAULTS_SEED={SEED}")
    sys.exit(run_all(TESTS, PROGRAMS, jobs=JOBS))
