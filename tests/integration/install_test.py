# SPDX-License-Identifier: Apache-2.0
"""What is installed, as somebody finds it who has nothing else: headers, pkg-config, programs.

  install_test.py BUILD SOURCE [NAME...]

POOL: sandboxes of the pool (default 3).
"""

import os
import shutil
import subprocess
import sys

from faults_box import BOOT, Skip, expect, run_all

BUILD, SOURCE = (os.path.abspath(p) for p in sys.argv[1:3])
POOL = os.environ.get("POOL", "3")
STRICT = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
# Designated initializers are what C++ has learned last, and g++ 12 wants all of them.
CXX = ["-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers"]
LANGUAGES = ((("gcc", "clang"), "c", ("c11", "gnu17"), ["-pedantic"]),
             (("g++", "clang++"), "c++", ("c++20",), [*CXX, "-pedantic"]),
             (("g++", "clang++"), "c++", ("gnu++17",), CXX))


class Installed:
    """make install into a directory of the box."""

    def __init__(self, box):
        self.box = box
        self.top = os.path.join(box.dir, "installed")
        self.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet",
                  "--destdir", self.top])
        found = [path for path, _, files in os.walk(self.top) if "libcoffer.pc" in files]
        expect(len(found) == 1, f"libcoffer.pc is in {found}")
        self.env = {**box.env, "PKG_CONFIG_LIBDIR": found[0], "PKG_CONFIG_SYSROOT_DIR": self.top,
                    "LD_LIBRARY_PATH": os.path.dirname(found[0])}
        self.include = self.config("--cflags")[0][2:]
        self.box.programs = os.path.join(os.path.dirname(self.include), "bin")
        os.chmod(self.top, 0o755)

    def run(self, command, **options):
        child = self.box.popen(command, **options)
        end = self.box.finish(child, 300)
        expect(end.code == 0, f"{' '.join(command)}: {end}")
        return end.out

    def config(self, *words):
        return self.run(["pkg-config", *words, "libcoffer"], env=self.env).split()

    def build(self, compiler, source, *options):
        out = os.path.join(self.box.dir, os.path.basename(source).split(".")[0])
        self.run([compiler, source, *self.config("--cflags", "--libs"), *options, "-o", out])
        return out


def headers(box):
    """Each alone is whole, in both languages, by both compilers."""
    installed = Installed(box)
    top = os.path.join(installed.include, "coffer")
    names = sorted(os.listdir(top))
    expect(names == sorted(os.listdir(os.path.join(SOURCE, "include/coffer"))), f"headers: {names}")
    text = "".join(f"#include <coffer/{n}>\n" for n in names) + """
struct coffer_container_config config = COFFER_CONTAINER_CONFIG_INIT;
struct coffer_process_config process = COFFER_PROCESS_CONFIG_INIT;
struct coffer_copy_options options = COFFER_COPY_OPTIONS_INIT;
struct coffer_error error = COFFER_ERROR_INIT;
"""
    for compilers, language, standards, more in LANGUAGES:
        for compiler in filter(shutil.which, compilers):
            for standard in standards:
                base = [compiler, "-x", language, f"-std={standard}", *STRICT, *more,
                        *installed.config("--cflags")]
                for name in names:
                    source = os.path.join(box.dir, "one")
                    with open(source, "w", encoding="ascii") as f:
                        f.write(f"#include <coffer/{name}>\n")
                    installed.run([*base, source])
                with open(source, "w", encoding="ascii") as f:
                    f.write(text)
                installed.run([*base, source])


def exports(box):
    """Nothing but what the headers declare, and all of it."""
    installed = Installed(box)
    library = os.path.join(installed.env["LD_LIBRARY_PATH"], "libcoffer.so")
    symbols = {line.split()[-1].split("@")[0] for line in
               installed.run(["nm", "-D", "--defined-only", library]).splitlines()}
    declared = ""
    top = os.path.join(installed.include, "coffer")
    for name in os.listdir(top):
        with open(os.path.join(top, name), encoding="utf-8") as f:
            declared += f.read()
    wrong = [s for s in symbols if not s.startswith("coffer_") or f"{s}(" not in declared]
    expect(not wrong, f"exported but not declared: {wrong}")
    for symbol in {line.split("(")[0].split()[-1].lstrip("*") for line in declared.splitlines()
                   if line.startswith("COFFER_PUBLIC ") and "(" in line}:
        expect(symbol in symbols, f"{symbol} is declared but not exported")


def examples(box):
    installed = Installed(box)
    top = os.path.join(SOURCE, "examples")
    hello = installed.build("cc", os.path.join(top, "hello.c"))
    out = installed.run([hello], env=installed.env)
    expect(out.startswith("Hello from Linux ") and out.endswith(", process 1\n"), out)
    capture = installed.build("cc", os.path.join(top, "capture.c"))
    child = box.popen([capture, "sh", "-c", "wc -c; echo bad >&2; exit 7"], env=installed.env,
                      stdin=subprocess.PIPE)
    out = child.communicate(b"x" * 1000000, timeout=BOOT)[0].decode()
    expect(child.returncode == 7, f"capture ended with {child.returncode}")
    expect(out == "exit code 7, 8 bytes of output, 4 of errors\n1000000\nbad\n", out)
    pool = installed.build("cc", os.path.join(top, "pool.c"), "-pthread")
    out = installed.run([pool, POOL, "30"], env=installed.env)
    for job in range(30):
        expect(f": job {job}: {job * job}\n" in out, f"job {job} is missing: {out}")
    expect(out.endswith(f"30 of 30 jobs done by {POOL} sandboxes\n"), out)
    box.expect_clean(directories=False)


def threads(box):
    if not shutil.which("g++"):
        raise Skip("there is no g++")
    installed = Installed(box)
    source = os.path.join(SOURCE, "tests/integration/api.cc")
    program = installed.build("g++", source, "-std=c++20", *CXX, "-pthread")
    out = installed.run([program], env=installed.env)
    expect(out.endswith(" good\n"), out)
    box.expect_clean(directories=False)


TESTS = {f.__name__: f for f in (headers, exports, examples, threads)}

if __name__ == "__main__":
    # What run_all() takes for names begins a word later here.
    del sys.argv[1]
    sys.exit(run_all(TESTS, None))
