# SPDX-License-Identifier: Apache-2.0
"""Runs of coffer under observation: what they say, how long they take, what they leave.

A test is a function that takes a Box.  Each runs in a process of its own that
adopts every orphan below it (PR_SET_CHILD_SUBREAPER), so that "all processes of
this run" is simply "all our descendants", whatever they are called and
whoever started them.

$COFFER_SANDBOX, which coffer reads itself, says what runs are made in.
"""

import ctypes
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

PR_SET_CHILD_SUBREAPER = 36
# Exit codes of coffer.
ERROR, NOT_EXECUTABLE, NOT_FOUND, SIGNAL = 125, 126, 127, 128
# Whoever takes longer hangs: a run under emulation, and one that never gets to start a machine.
# A busy machine may make either of them wait.
BOOT = 180
AT_ONCE = 60
SKIPPED = 77
SENTRY = os.environ.get("COFFER_SANDBOX") == "sentry"
# The two processes each of which is the end of a sandbox, parent and child; as the kernel calls
# them, 15 bytes.
WALL = ("coffer-sentry", "coffer-gofer") if SENTRY else ("coffer-vmm", "qemu-system-x86")
LOG_LINE = re.compile(r'time="[^"]*" level=(debug|info|warning|error) msg="')


class Failure(Exception):
    pass


class Skip(Exception):
    pass


def needs_machine(why):
    """Go on only where containers have machines."""
    if SENTRY:
        raise Skip(why)


class End:
    """How a command ended."""

    def __init__(self, code, out, err, seconds):
        self.code, self.seconds = code, seconds
        self.out = (out or b"").decode(errors="replace")
        self.err = (err or b"").decode(errors="replace")

    def __str__(self):
        return (f"exit code {self.code} after {self.seconds:.1f} s\n"
                f"stdout: {self.out[:500]}\nstderr: {self.err[:3000]}")


def read_processes():
    table = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as f:
                text = f.read()
        except OSError:
            continue
        name = text[text.index("(") + 1:text.rindex(")")]
        state, parent = text[text.rindex(")") + 2:].split()[:2]
        table[int(entry)] = (int(parent), state, name)
    return table


def process_table():
    """pid -> (parent, state, command) of all processes."""
    while True:
        table = read_processes()
        # A child that was read before its parent's end, and the parent after, is nobody's here.
        if all(parent == 0 or parent in table for parent, _, _ in table.values()):
            return table


def descendants(of, without="ZX"):
    """Descendants in none of the states @without, so living ones unless one asks: pid -> command."""
    table = process_table()
    found, parents = {}, {of}
    while parents:
        children = {pid for pid, (parent, _, _) in table.items() if parent in parents}
        found.update({pid: table[pid][2] for pid in children if table[pid][1] not in without})
        parents = children
    return found


def kill(pid, sig=signal.SIGKILL):
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass


def wait_until(condition, seconds, step=0.02):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(step)
    return True


class Box:
    """Directories of its own for coffer, and a watch over what runs and stays."""

    counter = 0

    def __init__(self, programs):
        self.programs = programs
        self.dir = tempfile.mkdtemp(prefix="coffer-test-")
        os.chmod(self.dir, 0o711)  # monitors that root starts become other users
        self.run_dir = os.path.join(self.dir, "run")
        self.data_dir = os.path.join(self.dir, "data")
        self.env = {**os.environ, "COFFER_RUN": self.run_dir, "COFFER_DATA": self.data_dir,
                    "HOME": self.dir, "XDG_CONFIG_HOME": os.path.join(self.dir, "config")}
        self.children = []
        self.names = []

    def share_programs(self):
        """Copies of the programs where every user can reach them: a build may lie in /root."""
        build = os.path.dirname(os.path.abspath(self.programs))
        shared = os.path.join(self.dir, "shared")
        shutil.copytree(os.path.join(build, "lib"), os.path.join(shared, "lib"), symlinks=True)
        self.programs = os.path.join(shared, "bin")
        os.mkdir(self.programs)
        for name in ("coffer", "coffer-vmm", "coffer-sentry"):
            shutil.copy(os.path.join(build, "bin", name), self.programs)

    def coffer(self):
        return os.path.join(self.programs, "coffer")

    def name(self):
        Box.counter += 1
        self.names.append(f"box-{os.getpid()}-{Box.counter}")
        return self.names[-1]

    def start(self, *args, **options):
        """coffer run with a name of ours. Return: the process, with .name"""
        name = self.name()
        child = self.popen([self.coffer(), "run", "--name", name, *args], **options)
        child.name = name
        return child

    def popen(self, command, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                   "stderr": subprocess.PIPE, "env": self.env, **options}
        child = subprocess.Popen(command, **options)
        child.started = time.monotonic()
        self.children.append(child)
        return child

    def finish(self, child, within):
        """Wait for @child, which has @within seconds from its start."""
        left = max(child.started + within - time.monotonic(), 0.1)
        try:
            out, err = child.communicate(timeout=left)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            raise Failure(f"still running after {within} s\nstderr: "
                          f"{err.decode(errors='replace')[:3000]}") from None
        return End(child.returncode, out, err, time.monotonic() - child.started)

    def run(self, *args, within=BOOT, **options):
        return self.finish(self.start(*args, **options), within)

    # --- what is there ---

    def reap(self):
        """Orphans that have ended and became ours."""
        known = {c.pid for c in self.children}
        for pid, (parent, state, _) in process_table().items():
            if parent == os.getpid() and state == "Z" and pid not in known:
                os.waitpid(pid, os.WNOHANG)

    def processes(self):
        """Living processes of all runs: pid -> command."""
        self.reap()
        return descendants(os.getpid())

    def find(self, prefix):
        """The pid of the one process whose command begins with @prefix, or None."""
        return next((p for p, name in self.processes().items() if name.startswith(prefix)), None)

    def traces(self, directories=True):
        """Everything that runs have left, one line each."""
        found = [f"process {pid} {name}" for pid, name in self.processes().items()]
        for top in (self.run_dir, self.data_dir) if directories else ():
            for path, dirs, files in os.walk(top):
                found += [os.path.join(path, name) for name in dirs + files]
        for table in ("/proc/self/mountinfo", "/proc/net/unix"):
            with open(table, encoding="utf-8", errors="replace") as f:
                found += [f"{table}: {line.strip()}" for line in f if self.dir in line]
        for path, dirs, _ in os.walk("/sys/fs/cgroup"):
            found += [os.path.join(path, d) for d in dirs if any(n in d for n in self.names)]
        return found

    def expect_clean(self, within=AT_ONCE, directories=True):
        if not wait_until(lambda: not self.traces(directories), within):
            raise Failure("left behind: " + "; ".join(self.traces(directories)))

    def sweep(self):
        """The next coffer command, one that starts no machine."""
        end = self.run("--rootfs", "/nonexistent", "--", "true", within=AT_ONCE)
        expect_error(end, "/nonexistent")

    def close(self):
        for _ in range(100):
            left = self.processes()
            for pid in left:
                kill(pid)
            if not left:
                break
            time.sleep(0.02)
        for child in self.children:
            child.poll()
        shutil.rmtree(self.dir, ignore_errors=True)


def expect(condition, what):
    if not condition:
        raise Failure(what)


def expect_code(end, code):
    expect(end.code == code, f"exit code {code} was expected: {end}")


def expect_error(end, *words, code=ERROR, within=None):
    """One line of coffer that holds all @words; beside it only lines of the log."""
    expect_code(end, code)
    lines = end.err.splitlines()
    ours = [line for line in lines if line.startswith("coffer: ")]
    expect(len(ours) == 1, f"one line of coffer was expected: {end}")
    others = [line for line in lines if line not in ours and not LOG_LINE.match(line)]
    expect(not others, f"a line of nobody: {others[0] if others else ''}: {end}")
    expect(re.fullmatch(r"[ -~]*", ours[0]), f"control bytes in the line: {end}")
    for word in words:
        expect(re.search(word, ours[0]), f"'{word}' was expected: {end}")
    expect(ours[0].count("last on the console") <= 1, f"the console twice: {end}")
    if within:
        expect(end.seconds <= within, f"at most {within} s were expected: {end}")
    return ours[0]


# --- running tests ---

def run_one(function, programs, results):
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    box = Box(programs)
    start = time.monotonic()
    try:
        function(box)
        verdict, text = "ok", ""
    except Failure as e:
        verdict, text = "FAILED", str(e)
    except Skip as e:
        verdict, text = "skipped", str(e)
    except Exception:  # a test of ours that is wrong must be seen as such
        verdict, text = "FAILED", traceback.format_exc()
    finally:
        box.close()
    results.put((verdict, text, time.monotonic() - start))


class Running:
    """One test in its process."""

    def __init__(self, name, function, programs):
        self.name = name
        self.results = multiprocessing.SimpleQueue()
        self.process = multiprocessing.Process(target=run_one,
                                               args=(function, programs, self.results))
        self.process.start()

    def report(self):
        self.process.join()
        verdict, text, seconds = "FAILED", "the test's process died", 0
        if not self.results.empty():
            verdict, text, seconds = self.results.get()
        print(f"{verdict:8} {self.name} ({seconds:.1f} s)", flush=True)
        if text:
            print("    " + text.strip().replace("\n", "\n    "), flush=True)
        return verdict, text


def run_all(tests, programs, jobs=2, idle=()):
    """Run @tests, name -> function, @jobs at a time in their order. Return: exit code

    Those named in @idle mostly wait; they begin at once, beside the others.
    """
    multiprocessing.set_start_method("fork", force=True)
    only = sys.argv[2:]
    unknown = set(only) - set(tests)
    if unknown:
        print(f"no test {', '.join(unknown)}")
        return 2
    chosen = [n for n in tests if not only or n in only]
    running = [Running(n, tests[n], programs) for n in chosen if n in idle]
    todo = [n for n in chosen if n not in idle]
    verdicts = []
    while todo or running:
        while todo and sum(r.name not in idle for r in running) < jobs:
            name = todo.pop(0)
            running.append(Running(name, tests[name], programs))
        ended = [r for r in running if not r.process.is_alive()]
        running = [r for r in running if r not in ended]
        verdicts += [r.report() for r in ended]
        time.sleep(0.02)
    failed = sum(v == "FAILED" for v, _ in verdicts)
    skipped = [text for v, text in verdicts if v == "skipped"]
    print(f"{len(verdicts)} tests, {failed} failed, {len(skipped)} skipped")
    if failed or not verdicts:
        return 1
    if len(skipped) == len(verdicts):
        print(skipped[0])
        return SKIPPED
    return 0
