# SPDX-License-Identifier: Apache-2.0
"""What the public container API's own tests ask of a runtime, asked of containers in machines, or
in the application kernel.

  parity_test.py PROGRAMS [NAME...]

One container in the background serves as many questions as it can.  Where each
group is asked; what others ask already is not repeated here:

  group          here                          and in
  process        processes                     run.bats, cli_detached.bats, agent_process_test.py
  stdin          streams                       run.bats, parity_machine.c
  output         streams, crowd                run.bats, faults_test.py
  limits         limits, out of memory         agent_vm_test.py
  identity       identity, capabilities        storage_machine.c (hosts, DNS), agent_system_test.py
  rootfs         layers                        storage_machine.c (read-only, three journals)
  mounts         terminal (/dev/console)       storage_machine.c, vm_devices_test.py
  copy           -                             copy_machine.c, agent_files_test.py, cli_detached.bats
  stat, fs ops   stat                          storage_machine.c (freeze, clone, thaw, trim)
  init wrapper   init wrapper                  agent_system_test.py, agent_vm_test.py
  lifecycle      -                             parity_machine.c, test_container_state.c
  network        identity (none but lo)        agent_system_test.py (links, addresses, routes)
  sockets        sockets                       copy_machine.c, agent_system_test.py
  volumes        volumes                       storage_machine.c, vm_devices_test.py (NBD)
"""

import hashlib
import os
import pty
import re
import select
import socket
import subprocess
import sys
import termios
import threading
import time

from faults_box import (BOOT, SENTRY, Failure, expect, expect_error, needs_machine, run_all,
                        wait_until)

PROGRAMS = sys.argv[1]
MIB = 1 << 20
PAYLOAD = os.environ.get("COFFER_PAYLOAD") or os.path.join(os.path.dirname(PROGRAMS.rstrip("/")),
                                                           "tests/payload/payload")
STREAM_MIB = int(os.environ.get("PARITY_MIB", "250"))
CROWD = 81
LONG_ID = "parity-" + "x" * 57


class Container:
    """coffer run -d, ended by rm -f."""

    def __init__(self, box, *options, of="coffer/hello", program=("sleep", "1000000"), name=None):
        self.box = box
        self.name = name or box.name()
        self.must("run", "-d", "--name", self.name, *options, of, *program)

    def coffer(self, *args, within=BOOT, feed=None, **options):
        options |= {"stdin": subprocess.PIPE} if feed is not None else {}
        child = self.box.popen([self.box.coffer(), *args], **options)
        if feed is not None:
            threading.Thread(target=self.feed, args=(child.stdin, feed), daemon=True).start()
            child.stdin = None
        return self.box.finish(child, within)

    @staticmethod
    def feed(pipe, data):
        try:
            for part in [data] if isinstance(data, bytes) else data:
                pipe.write(part)
                pipe.flush()
            pipe.close()
        except BrokenPipeError:
            pass

    def must(self, *args, **options):
        end = self.coffer(*args, **options)
        expect(end.code == 0, f"{' '.join(args)}: {end}")
        return end.out

    def exec(self, *args, **options):
        return self.coffer("exec", *args[:-1], self.name, "sh", "-c", args[-1], **options)

    def says(self, *args, **options):
        """Output of the last of @args, a script; the others are options of exec"""
        end = self.exec(*args, **options)
        expect(end.code == 0 and end.err == "", f"{args}: {end}")
        return end.out.strip()

    def expect(self, want, *args):
        got = self.says(*args)
        expect(got == want, f"{args}: {want!r} was expected: {got!r}")

    def comes(self, want, script):
        """Sooner or later that is what @script says."""
        expect(wait_until(lambda: self.exec(script).out.strip() == want, BOOT),
               f"{script}: {want!r} was expected: {self.exec(script)}")

    def refuses(self, *args):
        end = self.exec(*args)
        expect(end.code not in (0, 125), f"{args}: a failure was expected: {end}")
        return end

    def remove(self):
        self.must("rm", "-f", self.name)


def processes(box):
    users = "echo app:x:1000:1000:App:/home/app:/bin/sh >>/etc/passwd; " \
        "echo app:x:1000: >>/etc/group; echo staff:x:50:app >>/etc/group; " \
        "mkdir /custom; printf '#!/bin/sh\\necho custom\\n' >/custom/own; chmod 755 /custom/own; "
    c = Container(box, program=("sh", "-c", users + "touch /ready; sleep 1000000"))
    c.comes("/ready", "ls /ready")
    for program, code in (("true", 0), ("false", 1)):
        end = c.coffer("exec", c.name, program)
        expect(end.code == code and end.out + end.err == "", f"{program}: {end}")
    c.expect("hi", "echo hi")
    expect_error(c.coffer("exec", c.name, "missing-program"), "missing-program", code=127)
    expect_error(c.coffer("exec", c.name, "/etc/passwd"), "/etc/passwd", code=126)
    for user, said in (
            ("40000:40000", "uid=40000 gid=40000 groups=40000"),
            ("40000", "uid=40000 gid=0(root) groups=0(root)"),
            ("app", "uid=1000(app) gid=1000(app) groups=50(staff),1000(app)"),
            ("1000", "uid=1000(app) gid=1000(app) groups=50(staff),1000(app)"),
            ("app:staff", "uid=1000(app) gid=50(staff) groups=50(staff)")):
        got = c.says("-u", user, "id")
        expect(set(re.split("[ ,=]", got)) == set(re.split("[ ,=]", said)), f"-u {user}: {got}")
    for user in ("nobody-such", "app:no-such-group"):
        expect_error(c.exec("-u", user, "id"), "no-?such|nobody-such", code=125)
    c.expect("/home/app", "-u", "app", "echo $HOME")
    c.expect("/elsewhere", "-u", "app", "-e", "HOME=/elsewhere", "echo $HOME")
    c.expect("/", "-u", "40000:40000", "echo $HOME")
    # The program itself is looked for in the PATH of its own environment.
    end = c.coffer("exec", "-e", "PATH=/custom:/bin", c.name, "own")
    expect(end.code == 0 and end.out == "custom\n", f"a PATH of its own: {end}")
    expect(c.coffer("exec", c.name, "own").code == 127, "found in a PATH that is not the process's")
    for n in range(1, 32):
        if n not in (3, 17, 18, 19, 20, 21, 22, 23, 28):
            end = c.exec(f"kill -{n} $$")
            expect(end.code == 128 + n, f"signal {n}: {end}")
    expect(c.exec("exit 255").code == 255, "255 was expected")
    # What works with many stays for a long time.
    c.expect("1", "-w", "/made/for/it", "pwd | grep -c ^/made/for/it$")
    c.remove()


def terminal(box):
    """TERM, /dev/console and the size, of init and of an exec."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(master, (31, 97))
    name = box.name()
    script = "echo TERM=$TERM; tty; stty size; test -c /dev/console && echo c >/dev/console; " \
        "echo up; sleep 1000000"
    child = box.popen([box.coffer(), "run", "-t", "--name", name, "coffer/hello", "sh", "-c",
                       script],
                      stdin=slave, stdout=slave, stderr=slave)

    def until(marker):
        text = b""
        end = time.monotonic() + BOOT
        while marker not in text:
            expect(time.monotonic() < end, f"{marker} was expected: {text}")
            if select.select([master], [], [], 1)[0]:
                text += os.read(master, 65536)
        return text.decode().replace("\r", "")

    text = until(b"up\r\n")
    for line in ("TERM=xterm", "/dev/pts/0", "31 97", "c"):
        expect(line in text.splitlines(), f"{line} was expected: {text}")
    other = box.popen([box.coffer(), "exec", "-t", name, "sh", "-c",
                       "echo $TERM; tty; stty size; trap 'stty size; exit 7' WINCH; echo w; "
                       "while :; do sleep 0.1; done"], stdin=slave, stdout=slave, stderr=slave)
    text = until(b"w\r\n")
    for line in ("xterm", "/dev/pts/1", "31 97"):
        expect(line in text.splitlines(), f"{line} was expected: {text}")
    termios.tcsetwinsize(master, (40, 120))
    os.kill(other.pid, 28)
    until(b"40 120\r\n")
    expect(other.wait(BOOT) == 7, "the terminal's change did not reach the program")
    expect(box.finish(box.popen([box.coffer(), "rm", "-f", name]), BOOT).code == 0, "rm -f")
    child.wait(BOOT)
    os.close(master)
    os.close(slave)


def much(box, c):
    """Many MiB on stdout and stderr at once, none of which is lost, doubled or changed."""
    block = os.urandom(MIB - 13)
    c.must("cp", box_file(box, block).name, f"{c.name}:/block")
    script = f"write() {{ for i in $(seq {STREAM_MIB}); do cat /block; done; }}; " \
        "write >&2 & write; wait"
    child = box.popen([box.coffer(), "exec", c.name, "sh", "-c", script])
    unchanged = {}

    def read(name, pipe):
        at, same, rest = 0, True, block + block
        while part := os.read(pipe.fileno(), len(block)):
            same &= part == rest[at:at + len(part)]
            at += len(part)
            at %= len(block)
            totals[name] += len(part)
        unchanged[name] = same

    totals = {"stdout": 0, "stderr": 0}
    readers = [threading.Thread(target=read, args=a)
               for a in (("stdout", child.stdout), ("stderr", child.stderr))]
    for r in readers:
        r.start()
    for r in readers:
        r.join()
    expect(child.wait() == 0, "the writer of much has failed")
    for name, total in totals.items():
        expect(total == STREAM_MIB * len(block) and unchanged[name],
               f"{STREAM_MIB} MiB on {name} came as {total} bytes, or changed")


def streams(box):
    c = Container(box)
    data = os.urandom(10 * MIB)
    for n in (0, 1, 131072, len(data)):
        end = c.coffer("exec", "-i", c.name, "wc", "-c", feed=data[:n])
        expect(end.out.strip() == str(n), f"wc -c of {n} bytes: {end}")
    end = c.coffer("exec", "-i", c.name, "sha256sum",
                   feed=(data[i:i + 7777] for i in range(0, len(data), 7777)))
    expect(end.out.split()[0] == hashlib.sha256(data).hexdigest(), f"in many chunks: {end}")
    # 128 KiB to init, echoed with the same count.
    text = b"0123456789abcde\n" * 8192
    end = box.run("-i", "coffer/hello", "cat", stdin=box_file(box, text))
    expect(end.code == 0 and end.out.encode() == text, f"{len(text)} bytes through cat as init")
    much(box, c)
    # Nobody is kept waiting by a child that holds the output.
    expect(c.exec("echo there; sleep 1000 &").out == "there\n", "the output of a parent is lost")
    c.remove()


def box_file(box, data):
    path = os.path.join(box.dir, f"input-{len(data)}")
    with open(path, "wb") as f:
        f.write(data)
    return open(path, "rb")


def crowd(box):
    """81 at once: of nothing, and of one file whose sum each tells."""
    c = Container(box)
    data = os.urandom(2 * MIB)
    c.must("cp", box_file(box, data).name, f"{c.name}:/file")
    for command, said in ((("true",), ""),
                          (("sha256sum", "/file"), hashlib.sha256(data).hexdigest() + "  /file\n")):
        children = [box.popen([box.coffer(), "exec", c.name, *command]) for _ in range(CROWD)]
        for child in children:
            end = box.finish(child, 3 * BOOT)
            expect(end.code == 0 and end.out == said and end.err == "", f"one of {CROWD}: {end}")
    # All of them are forgotten.
    expect(wait_until(lambda: c.says("echo /proc/[0-9]* | wc -w") in ("4", "5"), 60),
           c.says("echo /proc/[0-9]*"))
    console = os.path.join(box.run_dir, c.name, "vm/console.log")
    expect(SENTRY or os.path.exists(console), "no console log")
    c.remove()


def limits(box):
    # Whole processors are all that a sentry shares out.
    half = () if SENTRY else ("--container-cpus", "0.5")
    c = Container(box, "--container-memory", "64M", *half, "--pids-limit", "50",
                  "--cpus", "2", "-m", "256M", "--ulimit", "nofile=100:200", "--ulimit", "core=0",
                  program=("sh", "-c", "sleep 1000000 & sleep 1000000 & wait"))
    group = "/sys/fs/cgroup"
    c.expect(str(64 * MIB), f"cat {group}/memory.max")
    c.expect("50000 100000" if half else "max 100000", f"cat {group}/cpu.max")
    c.expect("50", f"cat {group}/pids.max")
    # Init and its two, when it has started them, and the exec that looks.
    expect(wait_until(lambda: int(c.says(f"wc -l <{group}/cgroup.procs")) >= 3, BOOT),
           "processes in the control group")
    c.expect("2", "nproc")
    total = int(c.says("grep MemTotal /proc/meminfo").split()[1])
    # A sentry shows its container's, as what looks there takes it for its own.
    expect(total == 64 * 1024 if SENTRY else total > 128 * 1024, f"{total} KiB of memory")
    c.expect("100 200 0", "echo $(ulimit -Sn) $(ulimit -Hn) $(ulimit -c)")
    expect("100" in c.says("grep 'open files' /proc/1/limits"), "a limit of init")
    c.refuses("for i in $(seq 60); do sleep 2 & done 2>/dev/null; wait; exit 1")
    expect(wait_until(lambda: c.exec(f"cat {group}/pids.current").out in ("4\n", "5\n"), 60),
           "processes that ended still count")
    if not half:
        end = box.run("--container-cpus", "0.5", "coffer/hello", "true", within=BOOT)
        expect_error(end, "cpu_quota", "whole processors")
        c.remove()
        return
    c.exec("timeout 2 sh -c 'while :; do :; done'")
    busy = c.says(f"grep -E 'usage_usec|nr_throttled' {group}/cpu.stat")
    throttled = dict(line.split() for line in busy.splitlines())
    expect(int(throttled["nr_throttled"]) > 0, f"half a CPU was not all it got: {busy}")
    c.remove()


def out_of_memory(box):
    c = Container(box, "--container-memory", "20M")
    # Not once only: a sentry looks at its containers ten times a second.
    end = c.exec("dd if=/dev/zero of=/dev/null bs=100M count=1000")
    expect(end.code not in (0, 125), f"100 MiB in 20: {end}")
    events = dict(line.split() for line in
                  c.says("cat /sys/fs/cgroup/memory.events").splitlines())
    expect(int(events["oom_kill"]) > 0, f"memory events: {events}")
    expect('"OOMKills":1,' in c.must("stats", "--no-stream", "--format", "json", c.name),
           "the kill is not in the statistics")
    c.expect("alive", "echo alive")
    c.remove()


def status(c, *options, file="/proc/self/status"):
    return dict(line.split(":\t", 1) for line in
                c.says(*options, f"cat {file}").splitlines() if ":\t" in line)


def identity(box):
    settings = ("--sysctl", "net.core.somaxconn=1000", "--sysctl", "kernel.msgmax=9000")
    if SENTRY:  # they would act on the host's kernel, or on what is not there
        end = box.run(*settings, "coffer/hello", "true", within=BOOT)
        expect_error(end, "linux.sysctl: net.core.somaxconn")
        settings = ()
    c = Container(box, "--hostname", "own-name", *settings, "--dns", "9.9.9.9", "--dns-search", "a.test",
                  "--dns-option", "ndots:3", "--add-host", "db:10.1.2.3", "-w", "/new/dir",
                  program=("sh", "-c", "pwd >/pwd; cat /proc/self/status >/status; touch /ready; "
                           "sleep 1000000"))
    c.comes("/ready", "ls /ready")
    c.expect("own-name", "hostname")
    c.expect("own-name", "cat /etc/hostname")
    if settings:
        c.expect("1000 9000", "echo $(cat /proc/sys/net/core/somaxconn /proc/sys/kernel/msgmax)")
    c.expect("nameserver 9.9.9.9\nsearch a.test\noptions ndots:3", "cat /etc/resolv.conf")
    expect("10.1.2.3" in c.says("grep db /etc/hosts"), "the name of a host is missing")
    c.expect("lo", "ls /sys/class/net")
    c.refuses("ip link show eth0")
    c.expect("/new/dir", "cat /pwd")
    c.expect("/new/dir", "pwd")
    c.expect("/other/one", "-w", "/other/one", "pwd")
    # Masked: nothing in it, or nothing to be read.
    for path in ("kcore", "keys", "timer_list", "acpi", "asound", "scsi", "latency_stats"):
        end = c.exec(f"test ! -e /proc/{path} || test -z \"$(ls -A /proc/{path} 2>/dev/null | "
                     f"grep -v ^/proc/{path}$)$(head -c 1 /proc/{path} 2>/dev/null)\"")
        expect(end.code == 0, f"/proc/{path} can be read: {end}")
    for path in ("bus", "fs", "irq", "sys", "sysrq-trigger"):
        c.refuses(f"test -e /proc/{path} && grep -q ' /proc/{path} .*[ ,]rw' /proc/self/mounts")
    end = c.refuses("echo h >/proc/sysrq-trigger")
    expect(("nonexistent" if SENTRY else "Read-only") in end.err, f"sysrq-trigger: {end}")
    c.refuses("ls -A /sys/firmware | grep .")
    usual = status(c)
    first = status(c, file="/status")
    for field in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb", "NoNewPrivs", "Seccomp"):
        expect(usual[field] == first[field], f"{field} of an exec is not as of init")
    expect(usual["CapEff"] == "00000000a80425fb", f"the usual capabilities: {usual['CapEff']}")
    expect(int(status(c, "-u", "1000:1000")["CapEff"], 16) == 0, "capabilities of a user")
    c.remove()


def capabilities(box):
    """Each of them costs a machine, so in one go."""
    sets = {"none": (("--cap-drop", "ALL"), 0, ("chown 1000 /tmp", "hostname x")),
            "admin": (("--cap-drop", "ALL", "--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN",
                       "--security-opt", "no-new-privileges"), 1 << 21 | 1 << 12,
                      ("chown 1000 /tmp",))}
    for name, (options, mask, refused) in sets.items():
        c = Container(box, *options)
        now = status(c)
        for field in ("CapEff", "CapPrm", "CapBnd"):
            expect(int(now[field], 16) == mask, f"{name}: {field} {now[field]}")
        expect(now["NoNewPrivs"] == ("1" if name == "admin" else "0"), f"{name}: no_new_privs")
        for command in refused:
            c.refuses(command)
        if name == "admin":
            c.says("mount -t tmpfs t /tmp && hostname other")
            if not SENTRY:  # whose interfaces are the host's to set
                c.says("ip link set lo mtu 1400")
        c.remove()


def layers(box):
    """Writes go to a disk of a given size; what is below it stays as it was."""
    needs_machine("disks are not written to")
    image = os.path.join(box.dir, "root.img")
    tree = os.path.join(box.dir, "tree")
    os.makedirs(os.path.join(tree, "bin"))
    for name in ("proc", "dev", "sys", "etc", "tmp", "run"):
        os.mkdir(os.path.join(tree, name))
    with open(os.path.join(tree, "etc/below"), "w", encoding="ascii") as f:
        f.write("below\n")
    busybox = "/bin/busybox"
    if not os.path.exists(busybox):
        raise Failure("busybox-static is missing")
    subprocess.run(["cp", busybox, os.path.join(tree, "bin/sh")], check=True)
    subprocess.run(["cp", busybox, os.path.join(tree, "bin/busybox")], check=True)
    for applet in ("cat", "df", "grep", "touch", "sleep", "test", "sync", "tail", "awk"):
        os.symlink("busybox", os.path.join(tree, "bin", applet))
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, image, "64M"], check=True)
    os.chmod(image, 0o644)
    with open(image, "rb") as f:
        before = hashlib.sha256(f.read()).hexdigest()
    kept = os.path.join(box.dir, "kept.img")
    for turn, journal in enumerate(("none", "ordered")):
        c = Container(box, "--rootfs", image, "--layer", kept if turn else "disk",
                      "--layer-size", "100M", "--journal", journal, of="--")
        c.expect("below", "cat /etc/below")
        size = int(c.says("df -m / | tail -n 1 | awk '{ print $2 }'"))
        expect(80 <= size <= 100, f"{size} MiB in a layer of 100")
        c.says("echo mine >/etc/below; echo new >/etc/new; sync")
        c.remove()
    # The kept one has what was written; the one below has not.
    c = Container(box, "--rootfs", image, "--layer", kept, of="--")
    c.expect("mine\nnew", "cat /etc/below /etc/new")
    c.remove()
    with open(image, "rb") as f:
        expect(hashlib.sha256(f.read()).hexdigest() == before, "the image below has changed")
    # Its layers had no journal, or one.
    features = subprocess.run(["dumpe2fs", "-h", kept], capture_output=True, text=True, check=True)
    expect("has_journal" in features.stdout, "no journal in a layer that was to have one")


def init_wrapper(box):
    expect(box.run("--init", "coffer/hello", "sh", "-c", "exit 42").code == 42, "42 was expected")
    end = box.run("--init", "-i", "coffer/hello", "cat", stdin=box_file(box, b"through\n"))
    expect(end.out == "through\n", f"input below an init: {end}")
    c = Container(box, "--init",
                  program=("sh", "-c",
                           "trap 'exit 9' TERM; touch /ready; while :; do sleep 0.1; done"))
    c.comes("/ready", "ls /ready")
    # Orphans, all of which end; the program has one that has just ended at any time.
    c.says("for i in $(seq 50); do sh -c 'sleep 0.1 & :' & done; wait")
    c.comes("0", "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l")
    # The program is init's only child; what looks may have come before it, and be the second process.
    c.comes("1", "grep -hs ^PPid: /proc/[0-9]*/status | grep -cw 1")
    c.must("kill", "-s", "TERM", c.name)
    expect(c.must("wait", c.name) == "9\n", "TERM did not reach the program")
    c.remove()


class Echo(threading.Thread):
    """A unix socket that gives back what it is told, and after its end a word."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(8)
        self.start()

    def run(self):
        while True:
            try:
                conn = self.listener.accept()[0]
            except OSError:
                return
            with conn:
                while data := conn.recv(65536):
                    conn.sendall(data)
                conn.sendall(b"end")


def sockets(box):
    """Configured ones, in a directory that is reached by a link, of an id of full length."""
    here, there = os.path.join(box.dir, "here.sock"), os.path.join(box.dir, "there.sock")
    echo = Echo(here)
    box.names.append(LONG_ID)
    expect(len(LONG_ID) == 64, "an id of 64 characters was meant")
    c = Container(box, "--socket-in", f"{here}:/var/run/in.sock",
                  "--socket-out", f"/var/run/out.sock:{there}",
                  "-v", f"{PAYLOAD}:/payload:ro", name=LONG_ID)
    c.expect("/run", "readlink -f /var/run")
    c.expect("100000 end", "/payload unix /var/run/in.sock 100000")
    c.expect("100000 end", "/payload unix /run/in.sock 100000")
    expect(os.stat(there).st_mode & 0o170777 == 0o140600, "the socket here")
    c.remove()
    expect(wait_until(lambda: not os.path.exists(there), BOOT), "a socket is left")
    echo.listener.shutdown(socket.SHUT_RDWR)
    echo.listener.close()
    echo.join(5)


def stat(box):
    c = Container(box)
    c.says("printf 'twelve bytes' >/file && ln -s /file /link && mkdir -p /d/sub")
    listed = {}
    for path in ("/file", "/d"):
        child = box.popen([box.coffer(), "cp", f"{c.name}:{path}", "-"])
        out = subprocess.run(["tar", "tvf", "-"], stdin=child.stdout, capture_output=True,
                             text=True, check=True)
        listed[path] = out.stdout
        child.wait()
    expect(re.search(r"^-rw-r--r-- .* 12 ", listed["/file"]), listed["/file"])
    expect(re.search(r"^drwxr-xr-x .* d/sub/$", listed["/d"], re.M), listed["/d"])
    followed = os.path.join(box.dir, "followed")
    c.must("cp", "-L", f"{c.name}:/link", followed)
    expect(os.path.getsize(followed) == 12, "a link that was to be followed")
    c.remove()


def volumes(box):
    """By their names and as files; what is no name is refused before anything is made."""
    image = os.path.join(box.dir, "disk.img")
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", image, "32M"], check=True)
    os.chmod(image, 0o666)
    # A disk is not written to without a kernel that does it.
    disk = "vol2:/d" if SENTRY else None
    mounts = ("-v", "vol:/v", *(("-v", disk) if disk else
                                ("--mount", f"type=disk,source={image},target=/d")),
              "--tmpfs", "/t:size=1m")
    c = Container(box, *mounts)
    c.says("echo 1 >/v/a; echo 2 >/d/b; echo 3 >/t/c")
    other = Container(box, "-v", "vol:/v:ro")
    other.expect("1", "cat /v/a")
    other.refuses("touch /v/x")
    c.says("for i in $(seq 50); do echo $i >>/v/log; done")
    other.expect("50", "wc -l </v/log")
    other.remove()
    c.must("stop", c.name)
    c.remove()
    c = Container(box, *mounts)
    c.expect("1 2", "echo $(cat /v/a /d/b)")
    c.refuses("cat /t/c")
    c.remove()
    for bad in (("-v", "../up:/v"), ("-v", "no such:/v"), ("-v", "vol:relative"),
                ("--mount", "type=nbd,source=http://x,target=/n"), ("-v", "/nowhere/at/all:/v"),
                ("-v", "vol:/v", "-v", "vol2:/v")):
        end = box.run(*bad, "coffer/hello", "true", within=BOOT)
        expect(end.code == 125 and end.err.startswith("coffer: "), f"{bad}: {end}")


TESTS = {f.__name__.replace("_", " "): f for f in (
    streams, crowd, processes, terminal, limits, out_of_memory, identity, capabilities, layers,
    init_wrapper, sockets, stat, volumes)}


def cleanly(function):
    def test(box):
        function(box)
        if function is volumes:
            subprocess.run(["rm", "-r", os.path.join(box.data_dir, "volumes")], check=False)
        box.expect_clean(directories=False)
        left = [n for n in os.listdir(box.run_dir)]
        expect(not left, f"left in the run directory: {left}")
    return test


if __name__ == "__main__":
    sys.exit(run_all({n: cleanly(f) for n, f in TESTS.items()}, PROGRAMS))
