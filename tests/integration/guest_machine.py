# SPDX-License-Identifier: Apache-2.0
"""A machine with the guest's kernel and programs of this host, for what this host's kernel can't do.

The root file system is an ext4 image of a few programs with the libraries they
need; tests/guest/init.sh is its PID 1 and runs scripts that come over a port.
"""

import os
import re
import shutil
import socket
import subprocess
import tempfile

QEMU = shutil.which("qemu-system-x86_64")
BOOT = 180  # seconds after which it hangs, on a busy host


def tsc_khz():
    """Near enough for a guest that only measures time with it."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        found = re.search(r"^cpu MHz\s*:\s*([\d.]+)", f.read(), re.M)
    return int(float(found.group(1)) * 1000) if found else 1000000


def libraries(program):
    """Shared objects that @program needs, the loader among them."""
    out = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return re.findall(r"(/\S+) \(0x", out)


class Root:
    """What becomes the disk: a directory filled with programs."""

    def __init__(self):
        self.disk = None
        self.dir = tempfile.TemporaryDirectory(prefix="guest-root-")
        self.path = os.path.join(self.dir.name, "root")
        for name in ("bin", "dev", "etc", "lib", "lib64", "proc", "root", "run", "sys", "tmp", "var"):
            os.makedirs(os.path.join(self.path, name))

    def add(self, source, target=None):
        """A file or a directory, at the same place unless @target says else; what a link leads to."""
        place = self.path + (target or source)
        if os.path.exists(place):
            return
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if os.path.isdir(source):
            shutil.copytree(source, place)
        else:
            shutil.copy2(source, place)

    def add_program(self, source, target=None):
        self.add(source, target)
        for library in libraries(source):
            self.add(library)

    def write(self, path, text):
        place = self.path + path
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "w", encoding="utf-8") as f:
            f.write(text)

    def make_image(self, megabytes):
        """Put all that was added on self.disk."""
        self.disk = os.path.join(self.dir.name, "disk")
        subprocess.run(["mke2fs", "-qq", "-t", "ext4", "-F", "-m", "0", "-O", "^has_journal",
                        "-E", "lazy_itable_init=1,root_owner=0:0", "-d", self.path, self.disk,
                        f"{megabytes}M"], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(self.path)


class Answer:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __str__(self):
        return f"exit code {self.code}\nstdout: {self.out[-20000:]}\nstderr: {self.err[-4000:]}"


class Machine:
    def __init__(self, vmlinux, initrd, disk, megabytes=512, words=""):
        self.dir = tempfile.TemporaryDirectory(prefix="guest-machine-")
        self.console = os.path.join(self.dir.name, "console")
        ours, theirs = socket.socketpair()
        self.qemu = subprocess.Popen(
            [QEMU, "-machine", "microvm,x-option-roms=off", "-accel", "tcg,tb-size=128",
             "-cpu", "max,-erms", "-m", str(megabytes), "-smp", "1",
             "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
             "-serial", "file:" + self.console, "-global", "virtio-mmio.force-legacy=false",
             "-kernel", vmlinux, "-initrd", initrd, "-append",
             "console=ttyS0 reboot=t panic=-1 quiet cryptomgr.notests noreplace-smp "
             f"tsc=reliable tsc_early_khz={tsc_khz()} {words}",
             "-drive", f"if=none,id=disk,file={disk},format=raw,snapshot=on",
             "-device", "virtio-blk-device,drive=disk",
             "-device", "virtio-serial-device",
             "-chardev", f"socket,id=port,fd={theirs.fileno()}",
             "-device", "virtserialport,chardev=port,name=scripts"],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        self.port = ours
        self.file = ours.makefile("rb")
        self.port.settimeout(BOOT)
        if self.line() != b"ready":
            raise self.broken("does not come up")

    def line(self):
        try:
            return self.file.readline().strip()
        except OSError:
            return b""

    def broken(self, why):
        with open(self.console, encoding="utf-8", errors="replace") as f:
            said = f.read()[-3000:]
        self.close()
        return RuntimeError(f"the machine {why}; its console says:\n{said}")

    def run(self, script, seconds=240):
        """What a shell in the machine makes of @script."""
        data = script.encode()
        self.port.settimeout(seconds)
        self.port.sendall(b"%d\n" % len(data) + data)
        line = self.line()
        if not line:
            raise self.broken(f"gives no answer in {seconds} s to:\n{script}\n")
        code, out, err = map(int, line.split())
        texts = [self.file.read(n).decode(errors="replace") for n in (out, err)]
        return Answer(code, *texts)

    def close(self):
        self.file.close()
        self.port.close()
        self.qemu.kill()
        self.qemu.wait()
        self.dir.cleanup()
