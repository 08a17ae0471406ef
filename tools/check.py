#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every test and prints the closing line 'N passed, N failed, N skipped'.

  the normal build (gcc)        units, whole runs, static checks
  a sanitized build (clang)     the units again under ASan and UBSan
  a fuzzing build (clang)       the parsers of config.json and seccomp profiles, a few seconds each

The first two stop at the first compiler warning.  A skipped test's reason is
printed; it is never counted as passed.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

SKIP, OK = {"SKIP"}, {"OK", "EXPECTEDFAIL"}
FUZZED, FUZZ_SECONDS = ("spec", "seccomp"), 5


def configure(build, extra, env=None):
    """Set the build directory up, or bring an existing one to the same options."""
    verb = ["configure"] if (build / "build.ninja").exists() else ["setup"]
    subprocess.run(["meson", *verb, str(build), "-Dwerror=true", *extra], check=True,
                   env={**os.environ, **(env or {})}, stdout=subprocess.DEVNULL)
    subprocess.run(["meson", "compile", "-C", str(build)], check=True)


def run(build, label, args):
    """Run `meson test` and return its results, one dict a test."""
    log = build / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    # The benchmarks' timing and the VMs' budgets want the machine for themselves.
    subprocess.run(["meson", "test", "-C", str(build), "--no-rebuild", "--print-errorlogs", *args])
    results = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    for r in results:
        r["name"] = f"{label}: {r['name']}"
    return results


def fuzz(build):
    script = Path(__file__).with_name("fuzz.sh")
    codes = {name: subprocess.run([script, build, str(FUZZ_SECONDS), name]).returncode
             for name in FUZZED}
    return [{"name": f"fuzz: {name}", "result": "FAIL" if code else "OK"}
            for name, code in codes.items()]


def main():
    build = Path(sys.argv[1] if len(sys.argv) > 1 else "build").resolve()
    sanitized = build.with_name(build.name + "-sanitize")
    configure(build, [])
    configure(sanitized, ["-Dsanitize=true", "-Dbuildtype=debugoptimized", "-Dguest=false"],
              {"CC": "clang"})
    results = run(build, "gcc", []) + run(sanitized, "sanitize", ["--suite", "unit"])
    results += fuzz(build.with_name(build.name + "-fuzz"))
    passed = [r for r in results if r["result"] in OK]
    skipped = [r for r in results if r["result"] in SKIP]
    failed = [r for r in results if r["result"] not in OK | SKIP]
    for r in skipped:
        reason = (r.get("stdout") or r.get("stderr") or "no reason given").strip().splitlines()[-1]
        print(f"skipped {r['name']}: {reason}")
    for r in failed:
        print(f"FAILED {r['name']}: {r['result']}")
    print(f"{len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
