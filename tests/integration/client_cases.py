# SPDX-License-Identifier: Apache-2.0
"""What docker and podman have in common: the same commands, the same expectations.

Each case takes a Client. """

import contextlib
import json
import os
import re
import signal
import stat
import tempfile

from client_box import SANDBOX, expect_equal, expect_soon, expect_text
from faults_box import Skip, expect
from run_terminal import ASLEEP

IMAGE = "busybox"


@contextlib.contextmanager
def kept(client, *options, command=("sleep", "1000")):
    """A container in the background, by name."""
    name = client.name()
    client.do("run", "-d", "--name", name, *options, IMAGE, *command)
    try:
        yield name
    finally:
        client.any("kill", name)  # podman's rm would ask first, and wait
        client.any("rm", "-f", name)


def shell(client, script, *options, code=0):
    return client.do("run", "--rm", *options, IMAGE, "sh", "-c", script, code=code)


def state(client, name, field):
    return client.do("inspect", "--format", "{{.State." + field + "}}", name)


def run(client):
    expect_equal(shell(client, "echo hi; hostname", "--hostname", "box"), "hi\nbox")
    expect_equal(shell(client, "echo $A$B; pwd; cat", "-e", "A=1", "-e", "B=2", "-w", "/tmp"),
                 "12\n/tmp")
    expect_equal(client.do("run", "--rm", "-i", IMAGE, "cat", given="typed\n"), "typed")
    end = client.any("run", "--rm", IMAGE, "sh", "-c", "echo out; echo err >&2; exit 3")
    expect_equal((end.code, end.out, end.err), (3, "out\n", "err\n"))


def exit_codes(client):
    client.do("run", "--rm", "--no-such-flag", IMAGE, "true", code=125)
    client.do("run", "--rm", "--volume", "/nonexistent/file:/x:nonsense", IMAGE, "true", code=125)
    client.do("run", "--rm", IMAGE, "/etc/passwd", code=126)
    client.do("run", "--rm", IMAGE, "no-such-program", code=127)
    client.do("run", "--rm", IMAGE, "/bin/no-such-program", code=127)
    client.do("run", "--rm", "--init", IMAGE, "sh", "-c", "kill -9 $$", code=137)
    client.do("run", "--rm", "--init", IMAGE, "sh", "-c", "kill -TERM $$", code=143)


def start_fails(client):
    """What is found out at the start only leaves a container that can be removed like any other."""
    name = client.name()
    client.do("create", "--name", name, IMAGE, "/root/script")
    with tempfile.TemporaryDirectory() as where:
        path = os.path.join(where, "script")
        with open(path, "w", encoding="ascii") as f:
            f.write("#!/no/such\n")
        os.chmod(path, 0o755)
        client.do("cp", path, f"{name}:/root/script")
    for _ in range(2):
        expect(client.any("start", "-a", name).code != 0, "its start went well")
        expect(state(client, name, "Running") == "false", "it runs")
    client.do("rm", name)


def has_size(t, rows, columns):
    """Wait until the shell at @t sees this size."""
    t.type(f"until [ \"$(stty size)\" = '{rows} {columns}' ]; do sleep 0.1; done; echo si''zed {rows}\n")
    # A client looks for this signal some time after the program's first words.
    while not t.comes(f"sized {rows}", 0.3):
        os.kill(t.pid, signal.SIGWINCH)


def terminal(client):
    t = client.terminal("run", "--rm", "-it", IMAGE, "sh")
    t.expect("/ # ")
    t.type("tty\n")
    t.expect("/dev/pts/0")
    has_size(t, 33, 101)
    t.resize(50, 120)
    has_size(t, 50, 120)
    t.type(f"{ASLEEP}\n")
    t.expect("asleep")
    t.type("\x03")
    t.type("echo code $?\n")
    t.expect("code 130")
    t.expect("# ")
    t.type("exit 7\n")
    expect_equal(t.wait(), 7)


def exec_(client):
    with kept(client, "-e", "A=1") as name:
        expect_equal(client.do("exec", name, "sh", "-c", "echo $A; cat /proc/1/comm"),
                     "1\nsleep")
        expect_equal(client.do("exec", "-e", "A=2", "-w", "/tmp", "-u", "1000:1000", name, "sh",
                               "-c", "echo $A; pwd; id -u; id -g"), "2\n/tmp\n1000\n1000")
        expect_equal(client.do("exec", "-i", name, "cat", given="in\n"), "in")
        client.do("exec", name, "sh", "-c", "exit 9", code=9)
        client.do("exec", name, "/etc/passwd", code=126)
        # docker words it as 126, podman as 127.
        expect(client.any("exec", name, "no-such-program").code in (126, 127), "no-such-program")
        client.do("exec", "-d", name, "touch", "/tmp/there")
        expect_soon(lambda: client.any("exec", name, "ls", "/tmp/there").code == 0, "exec -d")
        t = client.terminal("exec", "-it", name, "sh")
        t.expect("/ # ")
        t.type("tty; exit 5\n")
        t.expect("/dev/pts/")
        expect_equal(t.wait(), 5)


def stop(client):
    script = "trap 'echo asked; exit 4' TERM; echo ready; while :; do sleep 0.1; done"
    with kept(client, command=("sh", "-c", script)) as name:
        expect_soon(lambda: "ready" in client.do("logs", name), "ready")
        client.do("stop", "-t", "100", name)
        expect_equal(state(client, name, "ExitCode"), "4")
        expect_text(client.do("logs", name), "asked")
    with kept(client, command=("sh", "-c", "trap '' TERM; sleep 1000; sleep 1000")) as name:
        client.do("stop", "-t", "1", name)
        expect_equal(state(client, name, "ExitCode"), "137")
        client.do("start", name)
        expect_equal(state(client, name, "Running"), "true")
        client.do("restart", "-t", "0", name)
        expect_equal(state(client, name, "Running"), "true")


def kill(client):
    script = "trap 'echo got usr1' USR1; echo ready; while :; do sleep 0.1; done"
    with kept(client, command=("sh", "-c", script)) as name:
        expect_soon(lambda: "ready" in client.do("logs", name), "ready")
        client.do("kill", "-s", "USR1", name)
        expect_soon(lambda: "got usr1" in client.do("logs", name), "the signal's effect")
        client.do("kill", name)
        expect_equal(client.do("wait", name), "137")
        expect(client.any("kill", name).code != 0, "a second kill went well")


def pause(client):
    script = "while :; do date +%s%N >/tmp/now; done"
    with kept(client, command=("sh", "-c", script)) as name:
        expect_soon(lambda: client.any("exec", name, "test", "-s", "/tmp/now").code == 0, "it runs")
        client.do("pause", name)
        expect_equal(state(client, name, "Status"), "paused")
        expect(client.any("exec", name, "true").code != 0, "exec in a paused container")
        expect(client.any("pause", name).code != 0, "pause of a paused container")
        client.do("unpause", name)
        expect_equal(state(client, name, "Status"), "running")
        first = client.do("exec", name, "cat", "/tmp/now")
        expect_soon(lambda: client.do("exec", name, "cat", "/tmp/now") != first, "it runs on")
        client.do("pause", name)
        client.do("rm", "-f", name)


def stats(client):
    with kept(client, "--memory", "64m") as name:
        out = client.do("stats", "--no-stream", "--format", "{{.PIDs}} {{.MemUsage}}", name)
        expect(out.split()[0] == "1", f"one process was expected: {out}")
        expect(" / 6" in out, f"the limit was expected: {out}")
        expect_text(client.do("top", name), "sleep 1000")


def update(client):
    with kept(client, "--memory", "64m", "--memory-swap", "64m") as name:
        read = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes"
        expect_equal(client.do("exec", name, "sh", "-c", read), str(64 << 20))
        client.do("update", "--memory", "96m", "--memory-swap", "96m", name)
        expect_equal(client.do("exec", name, "sh", "-c", read), str(96 << 20))


def limits(client):
    script = ("cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us"
              " /sys/fs/cgroup/cpuset/cpuset.cpus /sys/fs/cgroup/pids/pids.max")
    out = shell(client, script, "--cpus", "0.5", "--cpuset-cpus", "0", "--pids-limit", "20")
    expect_equal(out, "50000\n100000\n0\n20")
    end = client.any("run", "--rm", "--pids-limit", "5", IMAGE, "sh", "-c",
                     "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done")
    expect_text(end.err, "can't fork")
    with kept(client, "--memory", "16m", "--memory-swap", "16m",
              command=("sh", "-c", "x=x; while :; do x=$x$x; done")) as name:
        expect_equal(client.do("wait", name), "137")
    # podman's own choice of the other may be above what the machine allows.
    expect_equal(shell(client, "ulimit -n; ulimit -Hn", "--ulimit", "nofile=100:200", "--ulimit",
                       "nproc=1024:1024"), "100\n200")


def logs(client):
    with kept(client, command=("sh", "-c", "seq 1 5000; echo last >&2")) as name:
        client.do("wait", name)
        end = client.any("logs", name)
        expect_equal(end.out, "".join(f"{i}\n" for i in range(1, 5001)))
        expect_equal(end.err, "last\n")


def copy(client):
    with kept(client) as name, tempfile.TemporaryDirectory() as where:
        path = os.path.join(where, "f")
        with open(path, "w", encoding="ascii") as f:
            f.write("content\n")
        client.do("cp", path, f"{name}:/tmp/f")
        expect_equal(client.do("exec", name, "cat", "/tmp/f"), "content")
        client.do("exec", name, "sh", "-c", "echo back >/tmp/g")
        client.do("cp", f"{name}:/tmp/g", where)
        with open(os.path.join(where, "g"), encoding="ascii") as f:
            expect_equal(f.read(), "back\n")


def init(client):
    expect_text(shell(client, "cat /proc/1/comm", "--init"), "init")


def user(client):
    expect_equal(shell(client, "id -u; id -g; echo $HOME", "--user", "1000:1000"),
                 "1000\n1000\n/tmp")
    expect_equal(shell(client, "id -u", "--user", "user"), "1000")
    expect_text(shell(client, "id -G", "--user", "1000:1000", "--group-add", "777"), "777")


def host_untouched(client):
    """The null device that a container gets as its input is the host's."""
    before = os.stat("/dev/null")
    shell(client, "id", "--user", "1000:1000")
    client.do("run", "--rm", "-i", "--user", "1000:1000", IMAGE, "true")
    after = os.stat("/dev/null")
    expect_equal((after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)),
                 (before.st_uid, before.st_gid, stat.S_IMODE(before.st_mode)))


def capabilities(client):
    read = "grep -E 'Cap(Eff|Bnd)' /proc/self/status"
    zeros = "0" * 16
    expect_equal(shell(client, read, "--cap-drop", "ALL").split(),
                 ["CapEff:", zeros, "CapBnd:", zeros])
    end = client.any("run", "--rm", "--cap-drop", "CHOWN", IMAGE, "chown", "1", "/tmp")
    expect_text(end.err, "Operation not permitted")
    out = shell(client, read, "--cap-drop", "ALL", "--cap-add", "NET_ADMIN")
    expect_text(out, "CapEff:\t0000000000001000")


def privileged(client):
    with open("/proc/self/status", encoding="ascii") as f:
        bounding = int(re.search(r"CapBnd:\s*(\w+)", f.read())[1], 16)
    if bounding & (bounding + 1):
        raise Skip("this machine withholds capabilities")
    shell(client, "mount -t tmpfs none /tmp && mkdir /tmp/x && ls /dev/null", "--privileged")


def unprivileged(client):
    end = client.any("run", "--rm", IMAGE, "mount", "-t", "tmpfs", "none", "/tmp")
    expect(end.code != 0, "a mount without the right to")


def read_only(client):
    end = client.any("run", "--rm", "--read-only", "--tmpfs", "/t:size=1m", IMAGE, "sh", "-c",
                     "touch /t/yes && df /t | tail -1; touch /no")
    expect(end.code != 0, f"{end}")
    expect_text(end.err, "Read-only file system")
    expect_text(end.out, "1024")


def volumes(client):
    with tempfile.TemporaryDirectory() as where:
        with open(os.path.join(where, "f"), "w", encoding="ascii") as f:
            f.write("from the host\n")
        script = "cat /v/f; echo back >/v/g"
        expect_equal(shell(client, script, "-v", f"{where}:/v"), "from the host")
        with open(os.path.join(where, "g"), encoding="ascii") as f:
            expect_equal(f.read(), "back\n")
        end = client.any("run", "--rm", "-v", f"{where}:/v:ro", IMAGE, "touch", "/v/h")
        expect_text(end.err, "Read-only file system")
        expect_equal(shell(client, "cat /etc/one", "-v", f"{where}/f:/etc/one"), "from the host")
        volume = client.name()
        shell(client, "echo kept >/v/f", "-v", f"{volume}:/v")
        expect_equal(shell(client, "cat /v/f", "-v", f"{volume}:/v"), "kept")
        client.do("volume", "rm", volume)


def devices(client):
    script = "ls -l /dev/mine; (: </dev/mine) && (: <>/dev/mine)"
    end = client.any("run", "--rm", "--device", "/dev/fuse:/dev/mine:r", IMAGE, "sh", "-c", script)
    expect_text(end.out, "10, 229")
    expect_text(end.err, "/dev/mine: Operation not permitted")
    shell(client, script, "--device", "/dev/fuse:/dev/mine:rw")
    expect_equal(shell(client, "ls /dev/fuse 2>/dev/null; mknod /tmp/z c 1 5 && "
                       "mknod /tmp/k c 1 11 && cat /tmp/z | head -c 1 | wc -c; "
                       "head -c 1 /tmp/k 2>/dev/null | wc -c"), "1\n0")


def seccomp(client):
    read = "grep Seccomp: /proc/self/status"
    expect_text(shell(client, read), "2")
    expect_text(shell(client, read, "--security-opt", "seccomp=unconfined"), "0")
    expect_text(shell(client, "grep NoNewPrivs /proc/self/status", "--security-opt",
                      "no-new-privileges"), "1")
    profile = {"defaultAction": "SCMP_ACT_ALLOW",
               "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump(profile, f)
        f.flush()
        end = client.any("run", "--rm", "--security-opt", f"seccomp={f.name}", IMAGE, "mkdir",
                         "/tmp/x")
    expect_text(end.err, "Operation not permitted")


def network_none(client):
    expect_equal(shell(client, "ls /sys/class/net", "--network", "none"), "lo")


def joined(client):
    """Namespaces of another container, by path."""
    with kept(client, "--hostname", "first", "--ipc", "shareable", "--network", "none") as name:
        out = shell(client, "readlink /proc/self/ns/net; cat /proc/1/comm",
                    "--network", f"container:{name}", "--pid", f"container:{name}",
                    "--ipc", f"container:{name}")
        theirs = client.do("exec", name, "readlink", "/proc/self/ns/net")
        expect_equal(out, f"{theirs}\nsleep")


def network_bridge(client):
    serve = ("sh", "-c", "echo served >/tmp/index.html; httpd -f -p 8080 -h /tmp")
    with kept(client, "--network", "bridge", command=serve) as name:
        address = client.do("exec", name, "sh", "-c",
                            "ip -4 addr show eth0 | awk '/inet / { print $2 }' | cut -d/ -f1")
        # A client that came before the server listens is refused.
        expect_soon(lambda: client.any("run", "--rm", "--network", "bridge", IMAGE, "wget", "-q", "-O",
                                       "-", f"http://{address}:8080/").out == "served\n", "a server")


def sysctl(client):
    out = shell(client, "cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_default_ttl",
                "--sysctl", "kernel.msgmax=4096", "--sysctl", "net.ipv4.ip_default_ttl=42",
                "--network", "none")
    expect_equal(out, "4096\n42")


def refused(client):
    """What cannot be had in a sentry is said at once, and leaves nothing."""
    with kept(client) as name:
        end = client.any("run", "--rm", "--pid", f"container:{name}", IMAGE, "true")
        expect(end.code != 0, f"{end}")
        expect_text(end.err, "pid of another process")
        end = client.any("run", "--rm", "-v", "/dev/fuse:/dev/mine", IMAGE, "true")
        expect(end.code != 0, f"{end}")


def limits_inside(client):
    read = "cat /proc/meminfo"
    with kept(client, "--memory", "64m", "--memory-swap", "64m") as name:
        expect_text(client.do("exec", name, "sh", "-c", read), f"MemTotal:{64 << 10:15} kB")
        client.do("update", "--memory", "96m", "--memory-swap", "96m", name)
        expect_text(client.do("exec", name, "sh", "-c", read), f"MemTotal:{96 << 10:15} kB")
    end = client.any("run", "--rm", "--pids-limit", "5", IMAGE, "sh", "-c",
                     "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done")
    expect_text(end.err, "can't fork")


def kernel(client):
    """The kernel that a container sees is not the machine's."""
    expect(shell(client, "cat /proc/version") not in open("/proc/version", encoding="ascii").read(),
           "the machine's kernel")


# What a sentry has no cgroups, devices, filters or shared namespaces for.
HOST_ONLY = (stats, update, limits, devices, seccomp, joined, sysctl, privileged)
SENTRY_ONLY = (refused, limits_inside, kernel)

CASES = {f.__name__.strip("_").replace("_", " "): f for f in (
    run, exit_codes, start_fails, terminal, exec_, stop, kill, pause, stats, update, limits, logs,
    copy, init, user, host_untouched, capabilities, privileged, unprivileged, read_only, volumes, devices,
    seccomp, network_none, network_bridge, joined, sysctl, *SENTRY_ONLY)
    if f not in (HOST_ONLY if SANDBOX else SENTRY_ONLY)}
