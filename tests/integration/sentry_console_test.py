#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A container's terminal in the application kernel, from the keys to the jobs of its shell.

  sentry_console_test.py PROGRAMS
"""
import fcntl
import os
import pathlib
import pty
import select
import struct
import sys
import tempfile
import termios
import time

PROMPT = b"ready> "


class Console:
    def __init__(self, command):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(command[0], command)

    def until(self, what):
        deadline = time.monotonic() + 60
        while what not in self.seen:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                sys.exit(f"waited for {what}, saw {self.seen}")
            self.seen += os.read(self.fd, 4096)
        end = self.seen.index(what) + len(what)
        text, self.seen = self.seen[:end], self.seen[end:]
        return text

    def type(self, text, *answers):
        os.write(self.fd, text)
        return b"".join(self.until(answer) for answer in answers)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def check(what, told, text):
    if told not in text:
        sys.exit(f"{what}: {told} is not in {text}")
    print(f"{what}: ok")


def main():
    coffer = str(pathlib.Path(sys.argv[1]).resolve() / "coffer")
    with tempfile.TemporaryDirectory(prefix="coffer-console-") as box:
        os.environ["COFFER_RUN"] = box
        c = Console([coffer, "run", "--sandbox", "sentry", "-i", "-t", "--rootfs", "/",
                     "-e", f"PS1={PROMPT.decode()}", "-e", "TERM=dumb", "-e", "HISTFILE=/dev/null",
                     "--", "/bin/bash", "--norc", "--noprofile", "-i"])
        c.until(PROMPT)
        check("its name", b"/dev/pts/0\r\n", c.type(b"tty\r", PROMPT))
        check("who leads", b"1 1 1", c.type(b"read -a s < /proc/$$/stat; "
                                            b"echo ${s[0]} ${s[4]} ${s[5]}\r", PROMPT))
        # It says when the terminal is its own, here and at the continuation. No shell: that one may
        # just have forked, when a child is stopped or interrupted and it is not.
        c.type(b"/usr/bin/python3 -S -c 'import os, signal as s, time;"
               b" s.signal(s.SIGCONT, lambda *_: os.write(1, b\"ba\" b\"ck\\n\"));"
               b" s.signal(s.SIGINT, s.SIG_DFL); os.write(1, b\"as\" b\"leep\\n\");"
               b" any(time.sleep(0.1) for _ in iter(int, 1))'\r", b"asleep\r\n")
        check("stopped", b"Stopped", c.type(b"\032", PROMPT))
        c.type(b"fg\r", b"back\r\n")
        c.type(b"\003", PROMPT)
        check("interrupted", b"130\r\n", c.type(b"echo $?\r", PROMPT))
        c.type(b"trap 'echo size has changed' WINCH\r", PROMPT)
        c.resize(33, 77)
        c.until(b"size has changed\r\n")
        check("its size", b"33 77\r\n", c.type(b"stty size\r", b"33 77\r\n"))
        c.type(b"exit 5\r", b"exit\r\n")
        status = os.waitstatus_to_exitcode(os.waitpid(c.pid, 0)[1])
        check("its status", b"5", str(status).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
