#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""run_terminal.py - a person at a terminal: coffer run -t coffer/hello sh

Usage: run_terminal.py COFFER.  Types into the shell and checks what comes back, then that the
terminal is as it was.  Ends with "all good".
"""
import atexit
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

# What is typed is seen as well; what comes of it looks different.
SIZED = "until [ \"$(stty size)\" = 50' '120 ]; do sleep 0.1; done; stty size\n"
ASLEEP = "sh -c 'echo as\"\"leep; exec sleep 100'"


class Terminal:
    def __init__(self, args, rows, columns):
        self.master, slave = pty.openpty()
        self.slave = slave
        self.resize(rows, columns)
        self.before = termios.tcgetattr(slave)
        self.seen = b""
        self.pid = os.fork()
        if self.pid:
            atexit.register(self.end)
        else:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for fd in range(3):
                os.dup2(slave, fd)
            os.execv(args[0], args)

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def comes(self, text, seconds):
        want, end = text.encode(), time.monotonic() + seconds
        while want not in self.seen:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                return False
            self.seen += os.read(self.master, 65536)
        self.seen = self.seen[self.seen.index(want) + len(want):]
        return True

    def expect(self, text, seconds=60):
        if not self.comes(text, seconds):
            sys.exit(f"expected {text!r}, saw {self.seen!r}")

    def wait(self, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                atexit.unregister(self.end)
                return os.waitstatus_to_exitcode(status)
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 65536)
        sys.exit(f"it did not end, saw {self.seen!r}")

    def end(self):
        """Whatever becomes of the test, nothing of ours stays."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def test_shell(coffer):
    t = Terminal([coffer, "run", "-t", "coffer/hello", "sh"], 33, 101)
    t.expect("# ")
    t.type("stty size; tty; echo $TERM\n")
    t.expect("33 101\r\n/dev/pts/0\r\nxterm")
    t.resize(50, 120)
    os.kill(t.pid, signal.SIGWINCH)
    t.type(SIZED)
    t.expect("50 120")
    t.type(f"{ASLEEP}; echo code $?\n")
    t.expect("asleep")
    t.type("\x03")
    t.expect("# ")
    t.type(f"{ASLEEP}\n")
    t.expect("asleep")
    t.type("\x1a")
    t.expect("# ")
    t.type("jobs\n")
    t.expect("Stopped")
    t.type("kill -9 %1; sleep 0.3; echx\x7fo ed''ited\n")
    t.expect("\r\nedited\r\n")
    t.type("exit 7\n")
    code = t.wait()
    if code != 7:
        sys.exit(f"exit code {code}, expected 7")
    if termios.tcgetattr(t.slave) != t.before:
        sys.exit("the terminal was not restored")


def test_killed(coffer):
    """A signal that ends the program leaves the terminal as it was, too."""
    t = Terminal([coffer, "run", "-t", "coffer/hello", "sh", "-c", "trap 'exit 3' TERM; echo ready;"
                  "while :; do sleep 0.1; done"], 24, 80)
    t.expect("ready")
    os.kill(t.pid, signal.SIGTERM)
    code = t.wait()
    if code != 3:
        sys.exit(f"exit code {code}, expected 3")
    if termios.tcgetattr(t.slave) != t.before:
        sys.exit("the terminal was not restored after a signal")


if __name__ == "__main__":
    test_shell(sys.argv[1])
    test_killed(sys.argv[1])
    print("all good")
