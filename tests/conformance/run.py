#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the suites of crun and runc with coffer-oci, and with the runtime each was written for.

  run.py [--suite NAME] [--tree NAME] [--file NAME] [--runtime PROGRAM] [--sandbox KIND] [--no-peer]
         BUILD

Each file of a suite runs in a box of its own (box.sh) and under a terminal.  Prints the tests that
do not pass with both, then a summary, and fails where only we fail and no line of "known" says so.
The whole output of each file is kept in BUILD/conformance.
"""
import argparse
import collections
import concurrent.futures
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import sources

HERE = pathlib.Path(__file__).resolve().parent
# Those that say what a runtime does, not in what words; seccomp agents are programs in Go.
RUNC_FILES = """cgroup_delegation cgroups create cwd delete dev events exec hooks kill list mask
 mounts mounts_recursive no_pivot pause ps root run seccomp spec start start_detached start_hello
 state tty umask update userns""".split()
FILE_SECONDS = 120
PASS, SKIP, FAIL, NONE = "pass", "skip", "FAIL", "none"


@dataclasses.dataclass
class Suite:
    """One suite, in the cgroup trees it is worth running in."""
    name: str
    trees: list
    prepare: object
    files: object
    command: object
    # Groups: "not ok" or "ok", the number, the name, the skip.
    result: str


def crun_files(_top):
    return [p.stem for p in sorted((_top / "tests").glob("test_*.py"))]


def crun_command(top, scratch, name, runtime):
    shutil.copytree(top / "tests", scratch / "tests")
    env = {"OCI_RUNTIME": runtime, "INIT": str(scratch / "tests/init"),
           "PYTHONPATH": str(HERE / "standin"), "PYTHONDONTWRITEBYTECODE": "1"}
    return scratch, env, f"/usr/bin/python3 tests/{name}.py"


def runc_files(_top):
    return RUNC_FILES


def runc_command(top, scratch, name, runtime):
    env = {"RUNC": runtime, "TMPDIR": str(scratch)}
    return top / "tests/integration", env, f"bats -t {name}.bats"


SUITES = [
    Suite("crun", ["unified", "v1"], sources.prepare_crun, crun_files, crun_command,
          r"(not ok|ok) (\d+) - ([\w-]+)( #SKIP)?"),
    Suite("runc", ["hybrid"], sources.prepare_runc, runc_files, runc_command,
          r"(?m)^(not ok|ok) (\d+) (.*?)( # skip.*?)?\r?$"),
]


def parse(suite, name, text):
    """Output of one file to {test: state}."""
    results = {}
    for verdict, _number, test, skip in re.findall(suite.result, text):
        results[f"{name}: {test}"] = SKIP if skip else PASS if verdict == "ok" else FAIL
    plan = re.search(r"(?m)^1\.\.(\d+)", text)
    missing = int(plan[1]) - len(results) if plan else 1
    for i in range(missing):
        results[f"{name}: no result {i + 1}"] = FAIL
    return results


class Runner:
    def __init__(self, box, logs):
        self.box, self.logs = box, logs

    def run_file(self, suite, top, tree, name, runtime):
        scratch = pathlib.Path(tempfile.mkdtemp(prefix="t", dir=self.box))
        scratch.chmod(0o755)
        (scratch / "box").mkdir()
        cwd, env, command = suite.command(top, scratch, name, runtime)
        script = ["script", "-qec", command, "/dev/null"]
        log = self.logs / f"{suite.name}-{tree}-{name}-{os.path.basename(runtime)}.log"
        with open(log, "wb") as out:
            box = subprocess.Popen(["sh", HERE / "box.sh", tree, scratch / "box", *script],
                                   cwd=cwd, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=subprocess.STDOUT)
            try:
                box.wait(FILE_SECONDS)
            except subprocess.TimeoutExpired:
                box.terminate()
                box.wait()
                out.write(f"\nended after {FILE_SECONDS} s\n".encode())
        shutil.rmtree(scratch, ignore_errors=True)
        return parse(suite, name, log.read_text(errors="replace"))

    def run_suite(self, suite, top, tree, files, runtimes, jobs):
        """{runtime: {test: state}}"""
        results = {runtime: {} for runtime in runtimes}
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            running = {pool.submit(self.run_file, suite, top, tree, name, runtime): runtime
                       for name in files for runtime in runtimes}
            for done in concurrent.futures.as_completed(running):
                results[running[done]].update(done.result())
        return results


def name_missing(ours, peers):
    """A file that hung or broke says only how many results it lacks; the peer knows which."""
    broken = {test.split(":")[0] for test in ours if ": no result " in test}
    lost = [test for test in peers if test.split(":")[0] in broken and test not in ours]
    if not lost:
        return ours
    named = {test: state for test, state in ours.items() if ": no result " not in test}
    return {**named, **{test: FAIL for test in lost}}


def known():
    """Set of "SUITE FILE: TEST"."""
    lines = (HERE / "known").read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def report(suite, tree, results, runtimes):
    """Prints and returns the tests that only we fail and nobody expects to."""
    peers = results[runtimes[-1]]
    ours = results[runtimes[0]] = name_missing(results[runtimes[0]], peers)
    print(f"\n{suite}'s suite, cgroups {tree}")
    for test in sorted({**ours, **peers}):
        states = ours.get(test, NONE), peers.get(test, NONE)
        if states != (PASS, PASS):
            print(f"  {states[0]:5} {states[1] if len(runtimes) > 1 else '':5} {test}")
    for runtime in runtimes:
        count = collections.Counter(results[runtime].values())
        print(f"  {os.path.basename(runtime)}: {count[PASS]} passed, {count[FAIL]} failed, "
              f"{count[SKIP]} skipped")
    alone = [test for test in sorted(ours) if ours[test] == FAIL and peers.get(test) != FAIL]
    unknown = [test for test in alone if f"{suite} {test}" not in known()]
    if len(runtimes) > 1:
        print(f"  only we fail: {len(alone)}, of which unknown: {len(unknown)}")
    for test in unknown:
        print(f"    {test}")
    return unknown


# A stream of a process in a sentry is open until the process ends, and tests wait for the end of it.
IN_SANDBOX = """#!/bin/sh
case " $* " in
*" --detach "* | *" create "*)
	words=$(mktemp)
	{runtime} --sandbox {sandbox} "$@" > /dev/null 2> "$words"
	code=$?
	cat "$words" >&2
	rm "$words"
	exit $code
	;;
esac
exec {runtime} --sandbox {sandbox} "$@"
"""


def in_sandbox(box, runtime, sandbox):
    """Suites pass no options on. Return: a program that adds one."""
    script = box / "coffer-oci"
    script.write_text(IN_SANDBOX.format(runtime=runtime, sandbox=sandbox), encoding="ascii")
    script.chmod(0o755)
    return str(script)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--suite", action="append", help="crun or runc; both")
    parser.add_argument("--tree", action="append", help="unified, v1 or hybrid; what a suite has")
    parser.add_argument("--file", action="append", help="a file of a suite; all")
    parser.add_argument("--runtime", help="another program than BUILD/bin/coffer-oci")
    parser.add_argument("--sandbox", help="the runtime's --sandbox; none")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    return parser.parse_args()


def main():
    options = arguments()
    runtime = os.path.abspath(options.runtime or options.build / "bin/coffer-oci")
    if os.geteuid() != 0 or not os.access(runtime, os.X_OK):
        sys.exit(f"run.py: needs root and {runtime}")
    logs = options.build.resolve() / "conformance"
    logs.mkdir(parents=True, exist_ok=True)
    unknown = []
    with tempfile.TemporaryDirectory(prefix="conf-") as box:
        box = pathlib.Path(box)
        box.chmod(0o755)
        if options.sandbox:
            runtime = in_sandbox(box, runtime, options.sandbox)
        packages = sources.fetch()
        for suite in SUITES:
            if options.suite and suite.name not in options.suite:
                continue
            peer = [] if options.no_peer else [shutil.which(suite.name)]
            if None in peer:
                sys.exit(f"run.py: {suite.name} is not installed")
            top = suite.prepare(packages[suite.name], box)
            files = [f for f in suite.files(top) if not options.file or f in options.file]
            if suite.name == "runc" and "hooks" in files:
                sources.debian_image(box / "images/debian.tar")
            for tree in options.tree or suite.trees:
                results = Runner(box, logs).run_suite(suite, top, tree, files, [runtime, *peer],
                                                      options.jobs)
                unknown += report(suite.name, tree, results, [runtime, *peer])
                sys.stdout.flush()
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
