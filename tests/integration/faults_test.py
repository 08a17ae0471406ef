# SPDX-License-Identifier: Apache-2.0
"""Wrong options, missing files, programs that cannot run: one line, the right code, in time.

  faults_test.py PROGRAMS [NAME...]
"""

import os
import resource
import signal
import subprocess
import sys

from faults_box import (AT_ONCE, BOOT, NOT_EXECUTABLE, NOT_FOUND, SENTRY, SIGNAL, WALL, Skip,
                        expect, expect_code, expect_error, needs_machine, run_all, wait_until)

PROGRAMS = sys.argv[1]
DATA = os.path.join(os.path.dirname(PROGRAMS), "lib", "coffer")
NOBODY = 65534
TRUE = ("coffer/hello", "true")


def write(box, name, data, mode=0o644):
    path = os.path.join(box.dir, name)
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)
    return path


# --- what the command line alone tells ---

OPTIONS = {
    "unknown long option": (["--nope"], "unknown option --nope"),
    "unknown letter": (["-Z"], "unknown option -Z"),
    "option without its argument": (["--rootfs"], "--rootfs needs an argument"),
    "flag with an argument": (["--read-only=2", *TRUE], "not true or false"),
    "no image": ([], "no image"),
    "no command": (["--rootfs", "/"], "no command"),
    "no command, and none in the image": (["--entrypoint", "", "coffer/hello"], "no command"),
    "empty command": (["coffer/hello", ""], "no program"),
    "no terminal": (["-t", *TRUE], "not a TTY"),
    "no number": (["--cpus", "two", *TRUE], "--cpus"),
    "no cpus": (["--cpus", "0", *TRUE], "--cpus"),
    "too many cpus": (["--cpus", "65", *TRUE], "--cpus"),
    "memory: no size": (["-m", "lots", *TRUE], "--memory"),
    "memory: too little": (["-m", "16M", *TRUE], "80M"),
    "memory: too much": (["-m", "8E", *TRUE], "--memory"),
    "unknown machine": (["--machine", "cray", *TRUE], "--machine: cray"),
    "relative directory": (["-w", "tmp", *TRUE], "working directory tmp"),
    "bad host name": (["--hostname", "a b", *TRUE], "hostname a b"),
    "bad variable": (["-e", "=x", *TRUE], "env: =x"),
    "no such rootfs": (["--rootfs", "/nonexistent", *TRUE], "rootfs /nonexistent: No such"),
    "rootfs: a device": (["--rootfs", "/dev/null", *TRUE], "rootfs /dev/null"),
    "no such kernel": (["--kernel", "/nonexistent", *TRUE], "kernel /nonexistent: No such"),
    "kernel: a directory": (["--kernel", "/", *TRUE], "kernel"),
    "no such initrd": (["--initrd", "/nonexistent", *TRUE], "initrd /nonexistent: No such"),
    "initrd: a directory": (["--initrd", "/", *TRUE], "initrd"),
}


if SENTRY:
    OPTIONS |= {name: (args, "a sentry is a kernel of its own")
                for name, (args, _) in OPTIONS.items() if args[:1] in (["--kernel"], ["--initrd"])}


def option_test(args, words):
    def test(box):
        end = box.finish(box.popen([box.coffer(), "run", *args]), AT_ONCE)
        expect_error(end, words)
        box.expect_clean()
    return test


def bad_names(box):
    for name in ("", "../x", "a/b", "-x", ".", "a" * 65, "a\nb", "\033[2J"):
        end = box.finish(box.popen([box.coffer(), "run", "--name", name, *TRUE]), AT_ONCE)
        expect_error(end, "name")


def unknown_command(box):
    expect_error(box.finish(box.popen([box.coffer(), "ruin"]), AT_ONCE), "unknown command ruin")


def bad_config(box):
    os.makedirs(os.path.join(box.dir, "config", "coffer"))
    for text, words in ((b"{", "not JSON"), (b"[]", "object"), (b'{"nope": 1}', "nope: unknown key"),
                        (b'{"cpus": "x"}', "cpus"), (b'{"kernel": "vmlinux"}', "absolute"),
                        (b"[" * 10000, "not JSON"), (os.urandom(1000), "not JSON")):
        write(box, "config/coffer/config.json", text)
        expect_error(box.run(*TRUE, within=AT_ONCE), "config.json", words)


# --- files that are there, but wrong ---

def bad_images(box):
    fifo = os.path.join(box.dir, "fifo")
    os.mkfifo(fifo)
    for path in (write(box, "empty", b""), write(box, "text", b"hello\n" * 1000), fifo):
        expect_error(box.run("--rootfs", path, *TRUE, within=AT_ONCE), f"rootfs {path}")
    box.expect_clean()


def broken_image(box):
    """A magic number and a size, and noise around them: the guest's kernel says no."""
    noise = bytearray(os.urandom(1 << 20))
    noise[1024 + 0x38:1024 + 0x3a] = b"\x53\xef"
    for at, size in ((0x04, 1 << 30), (0x18, 0), (0x150, 0)):
        noise[1024 + at:1024 + at + 4] = size.to_bytes(4, "little")
    path = write(box, "noise", bytes(noise))
    expect_error(box.run("--rootfs", path, *TRUE, within=AT_ONCE), "does not fit")
    noise[1024 + 0x04:1024 + 0x08] = (1 << 10).to_bytes(4, "little")
    expect_error(box.run("--rootfs", write(box, "noise", bytes(noise)), *TRUE), "mount .*/lower")
    box.expect_clean()


def bad_kernels(box):
    needs_machine("no kernel is booted")
    with open(os.path.join(DATA, "vmlinux"), "rb") as f:
        head = f.read(4096)
    for path in (write(box, "empty", b""), write(box, "text", b"hello\n" * 1000)):
        expect_error(box.run("--kernel", path, *TRUE, within=AT_ONCE), "kernel")
    # QEMU may refuse it or start what there is of it, which then does nothing.
    path = write(box, "head", head)
    expect_error(box.run("--kernel", path, *TRUE, within=2 * BOOT + 10))
    box.expect_clean()


def bad_initrds(box):
    needs_machine("no kernel is booted")
    expect_error(box.run("--initrd", write(box, "empty", b""), *TRUE), "initrd|panicked")
    box.expect_clean()


def unreadable(box):
    """As an ordinary user, since root may read everything."""
    if os.geteuid() != 0:
        raise Skip("only root can become another user")
    secret = write(box, "secret", b"x", 0o600)
    hidden = os.path.join(box.dir, "hidden")
    os.mkdir(hidden, 0o700)
    own = os.path.join(box.dir, "own")
    os.mkdir(own)
    os.chown(own, NOBODY, NOBODY)
    box.run_dir = os.path.join(own, "run")
    box.env["COFFER_RUN"] = box.run_dir
    box.share_programs()
    for option in ("rootfs",) if SENTRY else ("rootfs", "kernel", "initrd"):
        end = box.run(f"--{option}", secret, *TRUE, within=AT_ONCE, user=NOBODY, group=NOBODY)
        expect_error(end, f"{option} {secret}: Permission denied")
    end = box.run("--rootfs", hidden, *TRUE, within=AT_ONCE, user=NOBODY, group=NOBODY)
    expect_error(end, f"rootfs {hidden}: Permission denied")
    box.expect_clean()


def bad_run_dirs(box):
    long = "/" + "x" * 300
    shared = os.path.join(box.dir, "shared")
    os.mkdir(shared)
    os.chmod(shared, 0o777)
    for path, words in (("relative", "not an absolute path"), (write(box, "file", b""), "file"),
                        ("/proc/nope", "/proc/nope"), (long, "too long"), (shared, "writable")):
        box.env["COFFER_RUN"] = path
        expect_error(box.run(*TRUE, within=AT_ONCE), "run directory", words)


def name_taken(box):
    first = box.start("coffer/hello", "sleep", "1000")
    expect(wait_until(lambda: box.find(WALL[1]), BOOT), "no machine")
    end = box.finish(box.popen([box.coffer(), "run", "--name", first.name, *TRUE]), AT_ONCE)
    expect_error(end, first.name, "exists already")
    first.send_signal(signal.SIGTERM)
    box.finish(first, 2 * BOOT)
    box.expect_clean()


# --- QEMU ---

def fake_qemu(box, script):
    """A PATH on which QEMU is @script."""
    needs_machine("there is no QEMU")
    os.makedirs(os.path.join(box.dir, "bin"), exist_ok=True)
    write(box, "bin/qemu-system-x86_64", script.encode(), 0o755)
    return {"env": {**box.env, "PATH": os.path.join(box.dir, "bin") + ":" + os.environ["PATH"]}}


def no_qemu(box):
    needs_machine("there is no QEMU")
    end = box.run(*TRUE, within=AT_ONCE, env={**box.env, "PATH": "/nonexistent"})
    expect_error(end, "qemu-system-x86_64")
    box.expect_clean()


def qemu_not_executable(box):
    fake_qemu(box, "x")
    os.chmod(os.path.join(box.dir, "bin/qemu-system-x86_64"), 0o644)
    end = box.run(*TRUE, within=AT_ONCE, env={**box.env, "PATH": os.path.join(box.dir, "bin")})
    expect_error(end, "qemu-system-x86_64")
    box.expect_clean()


def qemu_wrong_format(box):
    end = box.run(*TRUE, within=AT_ONCE, **fake_qemu(box, "\x7fELFx"))
    expect_error(end, "qemu-system-x86_64", "Exec format")
    box.expect_clean()


def kvm_missing(box):
    needs_machine("KVM is not asked for")
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise Skip("there is KVM, or at least its device")
    expect_error(box.run("--machine", "qemu-kvm", *TRUE, within=AT_ONCE), "kvm")
    box.expect_clean()


# --- not enough of something ---

def with_limit(what, amount):
    return {"preexec_fn": lambda: resource.setrlimit(what, (amount, amount))}


def no_memory(box):
    """Address space for coffer and its monitor, not for a machine."""
    for mib in (64, 128, 256):
        end = box.run(*TRUE, **with_limit(resource.RLIMIT_AS, mib << 20))
        expect_error(end)
    box.expect_clean()


def no_descriptors(box):
    for n in (6, 9, 12, 16, 20, 24):
        end = box.run(*TRUE, **with_limit(resource.RLIMIT_NOFILE, n))
        if end.code != 0:
            expect_error(end)
    box.expect_clean()


def no_file_size(box):
    """Neither the machine's memory nor a root file system can be made; no signal may end us."""
    rootfs = os.path.join(box.dir, "root")
    os.mkdir(rootfs)
    end = box.run("--rootfs", rootfs, *TRUE, **with_limit(resource.RLIMIT_FSIZE, 1 << 20))
    expect_error(end)
    box.expect_clean()


def full_disk(box):
    needs_machine("a directory is not copied")
    if os.geteuid() != 0:
        raise Skip("only root can mount a small file system")
    rootfs = os.path.join(box.dir, "root")
    os.mkdir(rootfs)
    write(box, "root/big", os.urandom(8 << 20))
    os.mkdir(box.data_dir)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2M", "coffer", box.data_dir],
                      check=False).returncode:
        raise Skip("mount is not permitted")
    try:
        end = box.run("--rootfs", rootfs, *TRUE)
    finally:
        subprocess.run(["umount", box.data_dir], check=True)
    expect_error(end, "rootfs", "No space")
    box.expect_clean()


# --- programs ---

def not_found(box):
    expect_error(box.run("coffer/hello", "nope"), "nope", code=NOT_FOUND)
    expect_error(box.run("coffer/hello", "/bin/nope"), "/bin/nope", code=NOT_FOUND)
    box.expect_clean()


def not_executable(box):
    expect_error(box.run("coffer/hello", "/etc/passwd"), "/etc/passwd", code=NOT_EXECUTABLE)
    expect_error(box.run("coffer/hello", "/etc"), "/etc", code=NOT_EXECUTABLE)
    box.expect_clean()


def wrong_format(box):
    rootfs = os.path.join(box.dir, "root")
    os.mkdir(rootfs)
    write(box, "root/junk", b"\x7fELF" + os.urandom(100), 0o755)
    write(box, "root/text", b"hello\n", 0o755)
    write(box, "root/script", b"#!/nonexistent\n", 0o755)
    for program in ("/junk", "/text"):
        expect_error(box.run("--rootfs", rootfs, "--", program), program, code=NOT_EXECUTABLE)
    expect_error(box.run("--rootfs", rootfs, "--", "/script"), "/script", code=NOT_FOUND)
    box.expect_clean()


def unknown_user(box):
    expect_error(box.run("-u", "nosuchuser", *TRUE), "nosuchuser")
    box.expect_clean()


def exit_codes(box):
    for script, code in (("exit 42", 42), ("exit 255", 255),
                         ("sh -c 'kill -KILL $$'; exit $?", SIGNAL + signal.SIGKILL)):
        expect_code(box.run("coffer/hello", "sh", "-c", script), code)
    box.expect_clean()


# --- odd surroundings ---

def closed_streams(box):
    """Descriptors 0, 1 and 2 are not there; files opened in their place must not be taken for them."""
    end = box.run("coffer/hello", "echo", "hello", preexec_fn=lambda: os.closerange(0, 3))
    expect(end.out == "" and end.err == "", f"output where there is none: {end}")
    expect(end.code in (0, 125), f"exit code 0 or 125 was expected: {end}")
    box.expect_clean()


def reader_gone(box):
    """An endless program and a reader that has enough after a line."""
    child = box.start("coffer/hello", "yes")
    expect(child.stdout.readline() == b"y\n", "no output")
    child.stdout.close()
    child.stdout = open(os.devnull, "rb")
    box.finish(child, BOOT)
    box.expect_clean()


def full_output(box):
    with open("/dev/full", "wb") as full:
        end = box.run("coffer/hello", "echo", "hello", stdout=full)
    expect(end.code in (0, 1, 125), f"a code of ours was expected: {end}")
    box.expect_clean()


def terminate_early(box):
    """A signal before the machine is up ends the run at once."""
    for sig in (signal.SIGTERM, signal.SIGINT):
        child = box.start("coffer/hello", "sleep", "1000")
        expect(wait_until(lambda: box.find(WALL[1]), BOOT, 0.005), "no machine")
        child.send_signal(sig)
        expect_code(box.finish(child, BOOT), SIGNAL + sig)
        box.expect_clean()


TESTS = {name: option_test(args, words) for name, (args, words) in OPTIONS.items()}
TESTS |= {f.__name__.replace("_", " "): f for f in (
    bad_kernels, bad_names, unknown_command, bad_config, bad_images, broken_image, bad_initrds,
    unreadable, bad_run_dirs, name_taken, no_qemu, qemu_not_executable, qemu_wrong_format,
    kvm_missing, no_memory, no_descriptors, no_file_size, full_disk, not_found, not_executable,
    wrong_format, unknown_user, exit_codes, closed_streams, reader_gone, full_output,
    terminate_early)}

if __name__ == "__main__":
    sys.exit(run_all(TESTS, PROGRAMS))
