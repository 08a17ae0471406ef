#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Static checks over the build's compile commands: clang-tidy, or cppcheck.

  static.py clang-tidy|analyzer|cppcheck BUILD SOURCE

"clang-tidy" is every check but those that walk paths through functions; these are "analyzer", which
takes ten times as long: make analyze.
Only the project's own files below src/, lib/ and guest/ are read; generated code is not ours.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def sources(build, top):
    seen = set()
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = (Path(entry["directory"]) / entry["file"]).resolve()
        if path.suffix == ".c" and path not in seen and top in path.parents:
            if path.relative_to(top).parts[0] in ("src", "guest", "lib", "bin"):
                seen.add(path)
    return sorted(seen)


def tidy(build, path, checks):
    r = subprocess.run(["clang-tidy", "--quiet", "-p", str(build), str(path), *checks,
                        "--extra-arg=-Wno-unknown-warning-option"],
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return r.returncode, r.stdout


def main():
    tool, build, top = sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve()
    files = sources(build, top)
    if tool == "cppcheck":
        return subprocess.run(
            ["cppcheck", "--quiet", "-j2", "--std=c11", "--enable=warning,portability,performance",
             "--inline-suppr", "--error-exitcode=1",
             "--library=posix",
             # sys/queue.h without the header.
             "-DLIST_HEAD(n,t)=struct n{struct t *lh_first;}",
             "-DSTAILQ_HEAD(n,t)=struct n{struct t *stqh_first;struct t **stqh_last;}", "--suppress=missingIncludeSystem",
             "--suppressions-list=" + str(top / "tools" / "cppcheck.suppress"),
             "-I" + str(top / "include"), "-I" + str(top / "src"), "-D_GNU_SOURCE", "-D__x86_64__",
             *map(str, files)]).returncode
    checks = [] if tool == "analyzer" else ["--checks=-clang-analyzer-*"]
    with ThreadPoolExecutor(2) as pool:
        bad = [out for code, out in pool.map(lambda f: tidy(build, f, checks), files) if code]
    print("\n".join(bad))
    print(f"{len(files)} files, {len(bad)} with findings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
