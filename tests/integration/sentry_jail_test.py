#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every call that the sentry's filter lets pass is one that it makes.

  sentry_jail_test.py BIN SENTRY_RUN SOURCE PROGRAM...

Each PROGRAM runs in the application kernel under strace, then a sentry of BIN is used from the outside as
coffer does; what they have called after the filter was in place is compared with the lists in the
sources. A call that is made but not listed needs no test here: it kills.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from faults_box import process_table

STAGES = {
    "core": ["control/jail_calls.c", "gofer/client.c"],
    "files of the host": ["vfs/hostfs.c", "net/unix_host.c"],
    "sockets of the host": ["net/links.c", "net/host.c", "net/host_data.c", "net/host_options.c"],
}

# Allowed for something that cannot be made to happen here, and what that is.
SELDOM = {}

STRACE = ["strace", "-ff", "-ttt", "-qq", "-s", "0"]

# What programs of a container do that those of the guest do not.
INSIDE = """
import os, socket
os.sched_yield()
listener = socket.create_server(("127.0.0.1", 0))
peer = socket.create_connection(listener.getsockname())
assert peer.getpeername() == listener.getsockname()
"""

# A read of the host's pipe that a signal ends: when one byte has come, only the next is waited for.
READER = """
exec 3<&0
cat <&3 >/tmp/read & reader=$!
until [ -s /tmp/read ] && grep -q '^State:.S' /proc/$reader/status; do sleep 0.05; done
kill $reader
"""


def skip(reason):
    print(reason)
    sys.exit(77)


def stages_listed(source):
    """stage -> names, each name in its first stage only"""
    seen, stages = set(), {}
    for stage, files in STAGES.items():
        names = set()
        for name in files:
            with open(os.path.join(source, "src/sentry", name)) as f:
                text = f.read()
            names |= set(re.findall(r"JAIL(?:_IF|_WIDE)?\((\w+)", text))
            names |= set(re.findall(r'\.name = "(\w+)"', text))
        stages[stage] = names - seen
        seen |= names
    return stages


def numbers_listed(source):
    """What strace calls those that are newer than it is -> their names"""
    with open(os.path.join(source, "src/sentry/vfs/hostfs.c")) as f:
        rows = re.findall(r'\.name = "(\w+)", \.nr = (\d+)', f.read())
    return {f"syscall_{int(nr):#x}": name for name, nr in rows}


def traces_read(traces):
    """thread -> its calls as (time, line)"""
    threads = {}
    for name in os.listdir(traces):
        with open(os.path.join(traces, name)) as f:
            lines = [line.split(" ", 1) for line in f.read().split("\n")]
        threads[int(name.rpartition(".")[2])] = [(float(at[0]), at[1]) for at in lines
                                                 if len(at) == 2]
    return threads


def calls_of(lines, begin):
    names = (re.match(r"\w+(?=\()", line) for at, line in lines if at > begin)
    return {name.group() for name in names if name}


def calls_since_filter(threads):
    """What the threads of the first process have called since its filter."""
    # Not the lowest number: those begin again when the highest is reached.
    first = min((t for t in threads if threads[t]), key=lambda t: threads[t][0][0])
    begin = next((at for at, line in threads[first]
                  if line.startswith("seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC")),
                 None)
    if begin is None:
        skip("no filter: built with sanitizers")
    made, todo = set(), [first]
    while todo:
        lines = threads.get(todo.pop(), [])
        made |= calls_of(lines, begin)
        for _, line in lines:
            m = re.match(r"clone3?\(.*CLONE_THREAD.* = (\d+)", line)
            if m:
                todo.append(int(m.group(1)))
    return made


def trace_program(sentry_run, program, root):
    shutil.copy(program, os.path.join(root, "guest"))
    with tempfile.TemporaryDirectory() as traces:
        # Stubs are not followed: the zygote, which they come from, executes another program.
        p = subprocess.run(STRACE + ["-b", "execve", "-o", traces + "/t", sentry_run, root, "/guest"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=200, check=False, cwd="/",
                           start_new_session=True)
        output = p.stdout.decode(errors="replace")
        if p.returncode == 77:
            skip(output)
        if p.returncode != 0:
            sys.exit(f"{output[-2000:]}\n{program}: {p.returncode}")
        return calls_since_filter(traces_read(traces))


class Session:
    """A container, as users of coffer see it."""

    def __init__(self, bin_dir, where):
        self.coffer = os.path.join(bin_dir, "coffer")
        self.env = dict(os.environ, COFFER_RUN=where + "/run", XDG_CONFIG_HOME=where + "/config")
        self.where = where

    def run(self, *args, **kwargs):
        p = subprocess.run([self.coffer, *args], env=self.env, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=180, check=False, **kwargs)
        if p.returncode != 0:
            sys.exit(f"coffer {' '.join(args)}: {p.stdout.decode(errors='replace')}")
        return p.stdout

    def sentry(self):
        engine = json.loads(self.run("inspect", "c"))[0]["State"]["Pid"]
        table = process_table()
        for pid, (parent, _, name) in table.items():
            if parent == engine and name == "coffer-sentry":
                return pid
        sys.exit("the container has no sentry")

    def use(self):
        self.run("exec", "-i", "c", "python3", "-", input=INSIDE.encode())
        idle, held = os.pipe()
        os.write(held, b"x")
        self.run("exec", "-i", "c", "sh", "-c", READER, stdin=idle)
        os.close(idle)
        os.close(held)
        self.run("cp", "/etc/hosts", "c:/tmp/hosts")
        self.run("cp", "c:/tmp/hosts", self.where + "/back")
        self.run("pause", "c")
        self.run("unpause", "c")
        self.run("stats", "--no-stream", "c")

    def traced(self, traces):
        pid = self.sentry()
        strace = subprocess.Popen(STRACE + ["-o", traces + "/t", "-p", str(pid)])
        for _ in range(6000):
            if len(os.listdir(traces)) >= len(os.listdir(f"/proc/{pid}/task")):
                break
            time.sleep(0.01)
        else:
            sys.exit("strace does not follow the sentry")
        self.use()
        self.run("rm", "-f", "c")
        strace.wait(timeout=180)
        return set().union(*(calls_of(lines, 0) for lines in traces_read(traces).values()))


def trace_session(bin_dir):
    with tempfile.TemporaryDirectory() as where, tempfile.TemporaryDirectory() as traces:
        session = Session(bin_dir, where)
        session.run("run", "-d", "--name", "c", "--sandbox", "sentry", "--rootfs", "/", "--tmpfs",
                    "/tmp", "--", "sleep", "1000")
        try:
            return session.traced(traces)
        finally:
            subprocess.run([session.coffer, "rm", "-f", "c"], env=session.env, check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main():
    bin_dir, sentry_run, source = (os.path.abspath(arg) for arg in sys.argv[1:4])
    if os.geteuid() != 0:
        skip("needs root")
    if not shutil.which("strace"):
        skip("needs strace")
    if subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], check=False).returncode != 0:
        skip("strace may not look at programs here")
    made = set()
    with tempfile.TemporaryDirectory(prefix="coffer-jail-") as root:
        for name in ("proc", "sys", "dev", "tmp"):
            os.mkdir(os.path.join(root, name))
        for program in sys.argv[4:]:
            made |= trace_program(sentry_run, os.path.abspath(program), root)
    made |= trace_session(bin_dir)
    numbers = numbers_listed(source)
    made = {numbers.get(name, name) for name in made}
    total, unused = 0, set()
    for stage, names in stages_listed(source).items():
        total += len(names)
        unused |= names - made - set(SELDOM)
        print(f"{stage}: {len(names)} more, {total} together")
    if unused:
        sys.exit(f"allowed, but never called: {', '.join(sorted(unused))}")
    if set(SELDOM) & made:
        sys.exit(f"not that seldom: {', '.join(sorted(set(SELDOM) & made))}")


main()
