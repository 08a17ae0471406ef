# SPDX-License-Identifier: Apache-2.0
"""coffer-oci --sandbox sentry by hand: a bundle's life in an application kernel.

  sentry_oci_test.py PROGRAMS [NAME...]
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys

import client_box
from client_box import Client, expect_equal, expect_soon, expect_text
from faults_box import expect, run_all

WHERE, RUNTIME = client_box.enter()
ROOT = os.path.join(WHERE, "state")
LOOP = "trap 'echo asked; exit 4' TERM; echo ready; while :; do sleep 0.1; done"


def oci():
    return Client([RUNTIME, "--root", ROOT, "--sandbox", "sentry"])


def host():
    """The same program without the option: what it needs to know is in the state."""
    return Client([RUNTIME, "--root", ROOT])


def bundle(*command, **changes):
    """A bundle of busybox. Return: its directory"""
    where = os.path.join(WHERE, oci().name())
    root = os.path.join(where, "rootfs")
    os.makedirs(root)
    subprocess.run(["tar", "-C", root, "-xf", os.path.join(WHERE, "busybox.tar")], check=True)
    subprocess.run([RUNTIME, "spec", "--bundle", where], check=True)
    path = os.path.join(where, "config.json")
    with open(path, encoding="utf-8") as f:
        document = json.load(f)
    document["process"]["terminal"] = False
    document["process"]["args"] = list(command)
    document["root"]["readonly"] = False
    document["mounts"] += changes.pop("mounts", [])
    document["process"].update(changes.pop("process", {}))
    document.update(changes)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(document, f)
    return where


def script(text, **changes):
    return bundle("sh", "-c", text, **changes)


def created(where, *options, log=subprocess.DEVNULL):
    name = oci().name()
    child = oci().start("create", "--bundle", where, *options, name, stdout=log, stderr=log)
    expect_equal(child.wait(120), 0)
    return name


@contextlib.contextmanager
def started(where, *options, log=subprocess.DEVNULL):
    name = created(where, *options, log=log)
    try:
        host().do("start", name)
        yield name
    finally:
        host().do("delete", "--force", name)
        expect(not os.path.exists(os.path.join(ROOT, name)), "its directory is left")


def status(name):
    return json.loads(host().do("state", name))["status"]


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def helpers():
    """Our processes that live: all there are, for the box has pids of its own."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", encoding="ascii") as f:
                name, state = f.read().split("(")[1].rsplit(") ", 1)
                if name.startswith("coffer") and state[0] != "Z":
                    found.append(name)
    return found


def life(_box):
    log, pid = os.path.join(WHERE, "life.log"), os.path.join(WHERE, "life.pid")
    with open(log, "wb") as f:
        name = created(script(LOOP), "--pid-file", pid, log=f)
    expect_equal(status(name), "created")
    expect_equal(json.loads(host().do("state", name))["pid"], int(read(pid)))
    host().do("start", name)
    expect_equal(status(name), "running")
    expect_soon(lambda: read(log) == "ready\n", "its first words")
    expect_text(host().do("list"), name, "running")
    expect_text(host().do("ps", name), "coffer-sentry")
    expect(host().any("start", name).code != 0, "a second start went well")
    expect(host().any("delete", name).code != 0, "a running one was deleted")
    host().do("kill", name, "TERM")
    expect_soon(lambda: status(name) == "stopped", "its end")
    expect_equal(read(log), "ready\nasked\n")
    expect_text(host().any("kill", name).err, "not running")
    host().do("delete", name)
    expect_text(host().any("state", name).err, "does not exist")


def run(_box):
    where = script("echo out; echo err >&2; cat; cat /proc/1/comm; exit 7")
    end = oci().any("run", "--bundle", where, oci().name(), given="in\n")
    expect_equal((end.code, end.out, end.err), (7, "out\nin\nsh\n", "err\n"))
    oci().do("run", "--bundle", script("sh -c 'kill -9 $$'; exit $?"), oci().name(), code=137)
    expect_equal(os.listdir(ROOT), [])


def exec_(_box):
    with started(script(LOOP)) as name:
        expect_equal(host().do("exec", "-e", "A=1", "--cwd", "/tmp", "-u", "1000:1000", name, "sh",
                               "-c", "echo $A; pwd; id -u; exit 9", code=9), "1\n/tmp\n1000")
        expect_equal(host().do("exec", name, "cat", given="in\n"), "in")
        end = host().any("exec", name, "no-such-program")
        expect_equal(end.code, 255)
        expect_text(end.err, "executable file not found in $PATH")
        for options in ((), ("-d",)):
            end = host().any("exec", *options, name, "/etc/passwd")
            expect_equal(end.code, 255)
            expect_text(end.err.lower(), "permission denied")
        process = os.path.join(WHERE, "process.json")
        with open(process, "w", encoding="ascii") as f:
            json.dump({"args": ["echo", "from a file"], "cwd": "/", "user": {"uid": 0, "gid": 0},
                       "env": ["PATH=/bin"]}, f)
        expect_equal(host().do("exec", "--process", process, name), "from a file")
        left = set(os.listdir(os.path.join(ROOT, name)))
        expect(not [n for n in left if "exec-" in n], f"left: {left}")
    name = created(script(LOOP))
    expect_text(host().any("exec", name, "true").err, "exec before start")
    host().do("delete", name)


def exec_detached(_box):
    """Whoever kills what stands for a process ends what is inside."""
    pid = os.path.join(WHERE, "exec.pid")
    with started(script(LOOP)) as name:
        child = host().start("exec", "-d", "--pid-file", pid, name, "sleep", "1234",
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        expect_equal(child.wait(120), 0)
        expect_soon(lambda: "sleep 1234" in host().do("exec", name, "ps"), "the process")
        os.kill(int(read(pid)), 9)
        expect_soon(lambda: "sleep 1234" not in host().do("exec", name, "ps"), "its end")


def exec_terminal(_box):
    with started(script(LOOP)) as name:
        t = host().terminal("exec", "-t", name, "sh")
        t.expect("/ # ")
        t.type("tty; stty size; exit 5\n")
        t.expect("/dev/pts/")
        t.expect("33 101")
        expect_equal(t.wait(), 5)
        t = host().terminal("exec", "-t", "-u", "1000", name, "sh", "-c", "echo ag''ain >$(tty)")
        t.expect("again")
        expect_equal(t.wait(), 0)


def killed(_box):
    """The end of what stands for the container is the end of all."""
    with started(script(LOOP)) as name:
        host().do("kill", "--all", name, "KILL")
        expect_soon(lambda: status(name) == "stopped", "its end")
        expect_soon(lambda: not helpers(), "the end of what it consists of")


def kill_all(_box):
    """A signal for all finds those that init has started, and those of an exec."""
    log = os.path.join(WHERE, "all.log")
    one = "trap 'echo %s; exit' USR1; echo ready; while :; do sleep 0.1; done"
    text = f"trap 'echo init' USR1; ({one % 'child'}) & while :; do sleep 0.1; done"
    with open(log, "wb") as f, started(script(text), log=f) as name:
        expect_soon(lambda: "ready" in read(log), "its child")
        child = host().start("exec", name, "sh", "-c", one % "exec")
        expect_equal(child.stdout.readline(), b"ready\n")
        host().do("kill", "--all", name, "USR1")
        expect_text(child.communicate()[0].decode(), "exec\n")
        expect_soon(lambda: {"child", "init"} <= set(read(log).split()), "their words")
        host().do("kill", name, "KILL")
        expect_soon(lambda: status(name) == "stopped", "its end")
        host().do("kill", "--all", name, "TERM")


def update(_box):
    """Limits hold inside, also those that were changed before the start."""
    # An init that forks could be the one who is refused.
    crowd = "for i in 1 2 3 4 5 6; do sleep 1000 >/dev/null 2>&1 & done; kill $(jobs -p)"
    name = created(bundle("sleep", "100000"))
    try:
        host().do("update", "--memory", "96m", "--pids-limit", "50", name)
        host().do("start", name)
        expect_text(host().do("exec", name, "cat", "/proc/meminfo"), f"MemTotal:{96 << 10:15} kB")
        host().do("exec", name, "sh", "-c", crowd)
        host().do("update", "--memory", "64m", "--pids-limit", "5", name)
        expect_text(host().do("exec", name, "cat", "/proc/meminfo"), f"MemTotal:{64 << 10:15} kB")
        expect_text(host().any("exec", name, "sh", "-c", crowd).err, "can't fork")
        host().do("update", "--pids-limit", "-1", name)
        host().do("exec", name, "sh", "-c", crowd)
    finally:
        host().do("delete", "--force", name)


def pause(_box):
    path = os.path.join(WHERE, "ticks")
    os.makedirs(path)
    mount = {"destination": "/v", "type": "bind", "source": path, "options": ["rbind"]}
    with started(script("while :; do echo x >>/v/f; sleep 0.05; done", mounts=[mount])) as name:
        ticks = os.path.join(path, "f")
        expect_soon(lambda: os.path.exists(ticks), "ticks")
        host().do("pause", name)
        expect_equal(status(name), "paused")
        before = os.path.getsize(ticks)
        expect(host().any("exec", name, "true").code != 0, "exec in a paused one")
        expect_equal(os.path.getsize(ticks), before)
        host().do("resume", name)
        expect_equal(status(name), "running")
        expect_soon(lambda: os.path.getsize(ticks) > before, "more ticks")


def binds(_box):
    path = os.path.join(WHERE, "shared")
    os.makedirs(path)
    with open(os.path.join(path, "f"), "w", encoding="ascii") as f:
        f.write("from the host\n")
    mounts = [{"destination": "/v", "type": "bind", "source": path, "options": ["rbind", "rw"]},
              {"destination": "/r", "type": "bind", "source": path, "options": ["rbind", "ro"]},
              {"destination": "/etc/one", "type": "bind", "source": path + "/f",
               "options": ["bind"]}]
    where = script("cat /v/f /etc/one; echo back >/v/g; touch /r/x", mounts=mounts)
    end = oci().any("run", "--bundle", where, oci().name())
    expect_equal(end.out, "from the host\n" * 2)
    expect_text(end.err, "Read-only file system")
    expect_equal(read(os.path.join(path, "g")), "back\n")


def view(_box):
    """Clients enter the pid's mount namespace for the container's root; the host's is not there."""
    path = os.path.join(WHERE, "viewed")
    os.makedirs(path)
    mounts = [{"destination": "/v", "type": "bind", "source": path, "options": ["rbind", "ro"]}]
    with started(script("echo in >/tmp/f; " + LOOP, mounts=mounts)) as name:
        pid = str(json.loads(host().do("state", name))["pid"])
        with open(path + "/g", "w", encoding="ascii") as f:
            f.write("volume\n")

        def seen(text):
            return subprocess.run(["nsenter", "-t", pid, "-m", "/bin/busybox", "sh", "-c", text],
                                  capture_output=True, text=True, check=False).stdout

        expect_soon(lambda: seen("cat /tmp/f; cat /v/g") == "in\nvolume\n", "its files")
        expect_equal(seen(f"ls {WHERE}; touch /v/x; echo out >/tmp/g; rm /tmp/f; ls /tmp"), "g\n")
        expect_equal(host().do("exec", name, "sh", "-c", "cat /tmp/*; ls /v"), "out\ng")


def hooks(_box):
    """The host's run on the host, with the state of what stands for the container."""
    out = os.path.join(WHERE, "hooks")
    names = ("prestart", "createRuntime", "poststart", "poststop")
    each = {name: [{"path": "/bin/sh", "args": ["sh", "-c", f"echo {name} $(cat) >>{out}"]}]
            for name in names}
    where = script(LOOP, hooks=each, annotations={"org.example.note": "kept"})
    with started(where) as name:
        state = json.loads(host().do("state", name))
        expect_equal(state["annotations"], {"org.example.note": "kept"})
        expect_equal([line.split()[0] for line in read(out).splitlines()], list(names[:3]))
    lines = [line.split(" ", 1) for line in read(out).splitlines()]
    expect_equal([line[0] for line in lines], list(names))
    states = [json.loads(line[1]) for line in lines]
    expect_equal([s["status"] for s in states], ["creating", "creating", "running", "stopped"])
    expect(all(s["annotations"] == state["annotations"] for s in states), "annotations")
    expect_equal({s["pid"] for s in states[:3]}, {state["pid"]})


def console_socket(_box):
    """The master of the terminal goes to whoever listens, for create and for exec."""
    path = os.path.join(WHERE, "console.sock")
    where = script("tty; read line; echo got $line; sleep 1000", process={"terminal": True})
    name = oci().name()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        child = oci().start("create", "--bundle", where, "--console-socket", path, name)
        master = received(listener)
        expect_equal(child.wait(120), 0)
        try:
            host().do("start", name)
            os.write(master, b"typed\n")
            expect_text(until(master, "got typed"), "/dev/pts/0")
            child = host().start("exec", "-d", "--tty", "--console-socket", path, name, "sh", "-c",
                                 "stty size; tty; sleep 1000")
            second = received(listener)
            expect_equal(child.wait(120), 0)
            until(second, "/dev/pts/1")
            os.close(second)
        finally:
            host().do("delete", "--force", name)
            os.close(master)


def received(listener):
    connection, _ = listener.accept()
    with connection:
        _data, fds, _flags, _from = socket.recv_fds(connection, 4096, 1)
        return fds[0]


def until(master, words):
    text = ""
    while words not in text:
        text += os.read(master, 4096).decode()
    return text


def looks(_box):
    """What tells of a container tells of the processes that stand for it."""
    with started(script(LOOP)) as name:
        pid = json.loads(host().do("state", name))["pid"]
        expect(pid in json.loads(host().do("ps", "--format", "json", name)), "ps without the pid")
        stats = json.loads(host().do("events", "--stats", name))
        expect_equal((stats["type"], stats["id"]), ("stats", name))
        expect(stats["data"]["pids"]["current"] >= 1, f"{stats}")
        json.loads(oci().do("features"))
        for command in (("exec", "--preserve-fds", "1", name, "true"),
                        ("checkpoint", name)):
            end = host().any(*command)
            expect(end.code != 0, f"{end}")
    where = script("true")
    expect_text(oci().any("run", "--preserve-fds", "1", "--bundle", where, name).err,
                "descriptors for a program in a sentry")


def start_fails(_box):
    """The error is start's; the container has ended by then, and is deleted like any other."""
    where = bundle("/s")
    with open(where + "/rootfs/s", "w", encoding="ascii") as f:
        f.write("#!/no/such\n")
    os.chmod(where + "/rootfs/s", 0o755)
    for where, words in ((where, "No such file or directory"),
                         (script("true", process={"cwd": "/etc/passwd"}), "Not a directory"),
                         (script("true", mounts=[{"destination": "/proc/x", "type": "tmpfs",
                                                  "source": "tmpfs"}]), "mount")):
        name = created(where)
        end = host().any("start", name)
        expect_equal(end.code, 1)
        expect_text(end.err, words)
        expect_equal(status(name), "stopped")
        host().do("delete", name)
        expect_text(oci().any("run", "--bundle", where, name).err, words)
        expect_equal(os.listdir(ROOT), [])
    expect_soon(lambda: not helpers(), "their end")


def refused(_box):
    """What cannot be had fails with words, before anything is made."""
    socket = {"destination": "/d", "type": "bind", "source": "/dev/null", "options": ["bind"]}
    cases = [(script("true", hooks={"createContainer": [{"path": "/bin/true"}]}), "hooks"),
             (script("true", mounts=[socket]), "device, socket or pipe"),
             (bundle("no-such-program"), "executable file not found"),
             (bundle("/etc/passwd"), "permission denied")]
    for where, words in cases:
        end = oci().any("run", "--bundle", where, oci().name())
        expect(end.code != 0, f"{end}")
        expect_text(end.err, words)
    expect_equal(os.listdir(ROOT), [])


TESTS = {f.__name__.strip("_").replace("_", " "): f for f in (
    life, run, exec_, exec_detached, exec_terminal, killed, kill_all, update, pause, binds, view, hooks, console_socket,
    looks, start_fails, refused)}


def main():
    client_box.busybox_tar(WHERE)
    shutil.rmtree(ROOT, ignore_errors=True)
    os.makedirs(ROOT)
    return run_all(TESTS, RUNTIME, jobs=1)


if __name__ == "__main__":
    sys.exit(main())
