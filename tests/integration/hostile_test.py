# SPDX-License-Identifier: Apache-2.0
"""Guests that mean harm: each run ends in time, with one line that says why.

  hostile_test.py PROGRAMS INITRD RING [NAME...]

The guests are in tests/hostile.  The initial ramdisk of a case is the common
one with a second archive behind it, which holds the case's name.
"""

import os
import resource
import signal
import socket
import sys
import threading
import time

from faults_box import (AT_ONCE, BOOT, ERROR, SIGNAL, Failure, expect, expect_code, expect_error,
                        run_all, wait_until)

PROGRAMS, INITRD, RING = sys.argv[1], sys.argv.pop(2), sys.argv.pop(2)

# A guest that does not answer is given 30 s, twice.
SILENCE = 60 + BOOT
# One call that gets no answer, after a boot.
CALL = BOOT + 30
CONSOLE = "last on the console: .*hostile: case"

# Case: seconds it may take, and words of the error.
GUESTS = {
    "silent": (SILENCE, "no sign of life", CONSOLE),
    "greeting-silent": (SILENCE, "greeting did not come", CONSOLE),
    "rpc-silence": (CALL, "no answer in time"),
    "rpc-nothing": (CALL, "no answer in time"),
    "rpc-drip": (CALL, "no answer in time"),
    "exit": (BOOT, "panicked: .*Attempted to kill init! exitcode=0x00000300"),
    "fault": (BOOT, "panicked: .*Attempted to kill init! exitcode=0x00000004"),
    "crash": (BOOT, "panicked: .*sysrq triggered crash"),
    "eat-memory": (BOOT, "panicked: .*memory"),
    "power-off": (BOOT, "powered off", CONSOLE),
    "greet-then-power-off": (BOOT, "powered off", CONSOLE),
    "greet-then-exit": (BOOT, "panicked: .*exitcode=0x00000300"),
    "greeting-other": (BOOT, "it is not coffer's", CONSOLE),
    "greeting-types": (BOOT, "greeting", CONSOLE),
    "greeting-empty": (BOOT, "greeting", CONSOLE),
    "greeting-deep": (BOOT, "greeting", CONSOLE),
    "greeting-garbage": (BOOT, "greeting", CONSOLE),
    "greeting-endless": (BOOT, "greeting", CONSOLE),
    "greeting-close": (BOOT, "greeting", CONSOLE),
    "greeting-alone": (BOOT, "port does not answer", CONSOLE),
    "greeting-more": (BOOT, "port does not answer", CONSOLE),
    "rpc-noise": (BOOT, "bring up interface lo: "),
    "rpc-nobody": (BOOT, "closed by the peer", CONSOLE),
    "rpc-hang-up": (BOOT, "closed by the peer", CONSOLE),
    "rpc-error": (BOOT, r"lo: no, and \?\[2J\?coffer: "),
    "rpc-long-error": (BOOT, "lo: A+"),
    "rpc-odd-status": (BOOT, "lo: odd"),
    "rpc-no-status": (BOOT, "without a status"),
    "rpc-http-error": (BOOT, "HTTP status 404"),
    "rpc-junk": (BOOT, "malformed"),
    "rpc-twice": (BOOT, "more than one reply"),
    "rpc-endless": (BOOT, "larger than this client takes"),
    "rpc-headers": (BOOT, "does not speak HTTP/2"),
    "rpc-window": (BOOT, "session has ended"),
    "rpc-goaway": (BOOT, "refused the call"),
    "rpc-pings": (BOOT, "does not speak HTTP/2"),
    "rpc-settings": (BOOT, "does not speak HTTP/2"),
    "rpc-well": (CALL, "did not connect stream"),
    "rpc-exit-code": (BOOT, "exit code 70000"),
    "rpc-until-started": (BOOT, "powered off", "under a running program"),
    "flood-console": (SILENCE, "powered off", "hostile: enough"),
    "flood-console-raw": (BOOT, "powered off"),
    "flood-connections": (BOOT, "powered off", "connections begun"),
    "flood-refused": (BOOT, "powered off", "hostile: all refused"),
}

# Here a program is believed to run, and goes with its machine.
KILLED = {"rpc-exit-code": SIGNAL + signal.SIGKILL, "rpc-until-started": SIGNAL + signal.SIGKILL}

# These wait for a budget of the host to run out.
IDLE = ("silent", "greeting-silent", "rpc-silence", "rpc-nothing", "rpc-drip")

# Cases of the guest without a kernel, and whether they need someone to connect to.
RINGS = {
    "indexes": False, "loops": False, "addresses": False, "lengths": False,
    "directions": False, "indirect": False, "areas": False, "random": False,
    "race": True, "resets": False, "kicks": False, "packet-lengths": True,
    "packet-fields": True, "packet-credit": True, "packet-overrun": True,
    "packet-requests": True, "packet-deaf": True,
}
RING_PORT = 2000
LOG_LINES_MAX = 200


def cpio_entry(name, data, mode):
    fields = (1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % f for f in fields) + name + b"\0"
    return b"".join(part + b"\0" * (-len(part) % 4) for part in (head, data))


def write_initrd(box, case):
    path = os.path.join(box.dir, "initrd")
    with open(INITRD, "rb") as f:
        base = f.read()
    with open(path, "wb") as f:
        f.write(base + b"\0" * (-len(base) % 512))
        f.write(cpio_entry(b"case", case.encode() + b"\n", 0o100644))
        f.write(cpio_entry(b"TRAILER!!!", b"", 0))
    return path


def guest_test(case):
    within, *words = GUESTS[case]

    def test(box):
        end = box.run("--initrd", write_initrd(box, case), "coffer/hello", "true", within=within)
        expect_error(end, *words, code=KILLED.get(case, ERROR))
        box.expect_clean()
    return test


class Host:
    """Listens where a guest dials; keeps every connection, sends a little, reads nothing."""

    def __init__(self, path):
        self.kept = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        os.chmod(path, 0o666)
        self.listener.listen(128)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            conn = self.listener.accept()[0]
            conn.setblocking(False)
            try:
                conn.send(b"x" * 20000)
            except OSError:
                pass
            # Some live on, so that the guest runs out of room first.
            self.kept.append(conn)
            if len(self.kept) > 500:
                self.kept.pop(0).close()


def ring_test(case):
    def test(box):
        path = os.path.join(box.dir, "case")
        with open(path, "w", encoding="ascii") as f:
            f.write(case + "\n")
        child = box.start("--kernel", RING, "--initrd", path, "coffer/hello", "true")
        if RINGS[case]:
            vm = os.path.join(box.run_dir, child.name, "vm")
            if not wait_until(lambda: os.path.isdir(vm), AT_ONCE, 0.001):
                raise Failure(f"no machine: {box.finish(child, BOOT)}")
            # Relative, as a socket's path is short.
            os.chdir(vm)
            Host(f"vsock.sock_{RING_PORT}")
            os.chdir("/")
        end = box.finish(child, BOOT)
        line = expect_error(end, "powered off", f"ring: {case}: alive")
        expect("nobody listens" not in line, f"the case did not do its worst: {end}")
        expect(end.err.count("\n") <= LOG_LINES_MAX, f"the guest writes our log: {end}")
        box.expect_clean()
    return test


def read(path):
    """What there is of a file, also when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def no_init(box):
    """An initial ramdisk of noise."""
    path = os.path.join(box.dir, "initrd")
    with open(path, "wb") as f:
        f.write(os.urandom(100000))
    expect_error(box.run("--initrd", path, "coffer/hello", "true"), "panicked: .*")
    box.expect_clean()


def give_up(box):
    """A user need not wait for a guest that does not answer."""
    for case in ("silent", "greeting-silent", "rpc-silence"):
        child = box.start("--initrd", write_initrd(box, case), "coffer/hello", "true")
        console = os.path.join(box.run_dir, child.name, "vm", "console.log")
        expect(wait_until(lambda: case in read(console), BOOT), f"{case}: no guest")
        time.sleep(1)
        child.send_signal(signal.SIGTERM)
        end = box.finish(child, time.monotonic() - child.started + AT_ONCE)
        expect_code(end, SIGNAL + signal.SIGTERM)
        box.expect_clean()


def main():
    # A thousand connections are kept open on our side too.
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    tests = {case: guest_test(case) for case in GUESTS}
    tests |= {"no-init": no_init, "give-up": give_up}
    tests |= {f"ring-{case}": ring_test(case) for case in RINGS}
    return run_all(tests, PROGRAMS, idle=IDLE)


if __name__ == "__main__":
    sys.exit(main())
