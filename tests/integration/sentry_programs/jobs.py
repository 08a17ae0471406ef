# SPDX-License-Identifier: Apache-2.0
"""An interactive bash at a terminal, and its jobs. What it shows is printed, process ids apart."""
import os
import pty
import re
import select
import sys
import time

PROMPT = b"ready> "


class Terminal:
    def __init__(self):
        self.seen = self.last = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            env = {"PATH": os.environ["PATH"], "PS1": PROMPT.decode(), "TERM": "dumb", "HOME": "/tmp",
                   "HISTFILE": "/dev/null", "INPUTRC": "/dev/null"}
            os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "-i"], env)

    def until(self, what):
        deadline = time.monotonic() + 60
        while what not in self.seen:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                sys.exit(f"waited for {what}, saw {self.seen}")
            self.seen += os.read(self.fd, 4096)
        end = self.seen.index(what) + len(what)
        text, self.seen, self.last = self.seen[:end].decode(), self.seen[end:], what
        sys.stdout.write(re.sub(r"\[(\d+)\] \d+", r"[\1] PID", text))

    def running(self):
        """The programs of the job that has the terminal."""
        group, names = os.tcgetpgrp(self.fd), set()
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as f:
                    name, rest = f.read().split("(", 1)[1].rsplit(")", 1)
            except OSError:
                continue  # it has ended meanwhile
            if int(rest.split()[2]) == group:
                names.add(name)
        return names

    def type(self, text, *answers, job=()):
        # Whoever is to read should be there, else what is typed is shown before it is asked for:
        # the shell is when it has prompted, a job when the terminal is its and all of it has begun.
        while self.last != PROMPT and os.tcgetpgrp(self.fd) == self.pid:
            time.sleep(0.01)
        while job and not self.running() >= set(job):
            time.sleep(0.01)
        os.write(self.fd, text.encode())
        for answer in answers:
            self.until(answer)


def main():
    t = Terminal()
    t.until(PROMPT)
    t.type("echo $((6 * 7))\r", b"42", PROMPT)
    t.type("sleep 1000 &\r", PROMPT)
    t.type("jobs\r", b"Running", PROMPT)
    t.type("cat\r", b"cat\r\n")
    t.type("line\r", b"line\r\nline\r\n")
    t.type("wrong\025right\177\177ed\r", b"ed\r\nriged\r\n")
    t.type("\032", b"Stopped", PROMPT)
    t.type("jobs\r", b"Running", b"Stopped", PROMPT)
    t.type("fg %2\r", b"cat\r\n")
    t.type("again\r", b"again\r\nagain\r\n")
    t.type("\004", PROMPT)
    t.type("fg\r", b"sleep 1000\r\n")
    t.type("\003", b"^C", PROMPT)
    t.type("echo $?\r", b"130\r\n", PROMPT)
    t.type("sleep 1000 | cat\r", b"cat\r\n")
    t.type("\032", b"Stopped", PROMPT, job=("sleep", "cat"))
    t.type("bg\r", b"cat &\r\n", PROMPT)
    # A loop's programs would let bash tell of the end before what it echoes, or after.
    t.type("kill -KILL %1; wait %1; echo $?\r", b"137\r\n", PROMPT)
    t.type("\r", PROMPT)
    t.type("jobs\r", PROMPT)
    t.type("stty -a\r", b"-extproc", PROMPT)
    t.type("stty rows 30 cols 90; stty size\r", b"30 90\r\n", PROMPT)
    t.type("tty | cut -c 1-9\r", b"/dev/pts/\r\n", PROMPT)
    t.type("sleep 0.1 | cat; echo ${PIPESTATUS[@]}\r", b"0 0\r\n", PROMPT)
    t.type("exit 3\r", b"exit\r\n")
    print("status", os.waitstatus_to_exitcode(os.waitpid(t.pid, 0)[1]))


main()
