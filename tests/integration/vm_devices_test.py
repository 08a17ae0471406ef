# SPDX-License-Identifier: Apache-2.0
"""Machines with shared directories, many disks and network disks, and how machines end."""

import contextlib
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from vm_box import BIN, DRIVER, Vm
from agent_client import wait_until

QEMU_NBD = shutil.which("qemu-nbd")
VIRTIOFSD = [p for p in ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd") if os.path.exists(p)]
RING = os.environ.get("COFFER_RING", "")
MIB = 1 << 20


def digest(data):
    return hashlib.sha256(data).hexdigest()


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class Directory(unittest.TestCase):
    """Tests with a directory for files; everybody may look into it."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="coffer-test-")
        os.chmod(self.dir, 0o755)
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def make(self, name, data=b""):
        with open(self.path(name), "wb") as f:
            f.write(data)
        return self.path(name)

    def mkdir(self, name, mode=0o755, owner=None):
        os.mkdir(self.path(name))
        os.chmod(self.path(name), mode)
        if owner is not None:
            os.chown(self.path(name), owner, owner)
        return self.path(name)

    def read(self, *names):
        with open(self.path(*names), "rb") as f:
            return f.read()

    def start(self, *options, **more):
        vm = Vm(*options, **more)
        self.addCleanup(vm.close)
        with open(vm.dir + "/log", encoding="utf-8", errors="replace") as f:
            self.assertTrue(vm.up, f"{vm.answer}\n{f.read()}")
        return vm

    def expect_start_error(self, *options, **more):
        with Vm(*options, **more) as vm:
            self.assertFalse(vm.up)
            self.assertRegex(vm.answer, "^error ")
            return vm.answer


@unittest.skipUnless(VIRTIOFSD, "no virtiofsd")
class Shares(Directory):

    def test_both_ways(self):
        self.mkdir("rw")
        self.mkdir("ro")
        blobs = {f"f{n}": os.urandom(n) for n in (0, 1, 4095, 4096, 4097, 65536, MIB, 8 * MIB + 3)}
        for name, data in blobs.items():
            self.make(f"ro/{name}", data)
        vm = self.start("share=" + self.path("rw"), "share-ro=" + self.path("ro"))
        vm.mount("share0")
        vm.mount("share1")
        sums = vm.expect("cd /mnt/share1 && sha256sum * && cp * ../share0")
        self.assertEqual(dict(reversed(line.split()) for line in sums.splitlines()),
                         {name: digest(data) for name, data in blobs.items()})
        for name, data in blobs.items():
            self.assertEqual(self.read("rw", name), data)
        # The host's changes are seen; what is open stays open when its name goes.
        self.make("rw/late", b"one")
        self.assertEqual(vm.expect("cat /mnt/share0/late"), "one")
        self.make("rw/late", b"two!")
        # What the guest knows of a file it may believe for a second.
        self.assertTrue(wait_until(lambda: vm.expect("cat /mnt/share0/late") == "two!"))
        vm.expect("exec 3</mnt/share0/late; rm /mnt/share0/late; cat <&3 | grep two!")
        # Trees, names, links, times, extended attributes.
        vm.expect("cd /mnt/share0; mkdir -p a/b/c; echo x >a/b/c/d; mv a/b a/e; ln a/e/c/d hard; "
                  "ln -s /etc/shadow out; mkfifo pipe; touch -d @1000000000 hard; chmod 4751 hard; "
                  "truncate -s 1000000000 hole")
        self.assertEqual(self.read("rw/a/e/c/d"), b"x\n")
        st = os.stat(self.path("rw/hard"))
        self.assertEqual((st.st_mode & 0o7777, st.st_mtime, st.st_nlink), (0o4751, 1e9, 2))
        self.assertEqual(os.stat(self.path("rw/hole")).st_blocks, 0)
        self.assertEqual(vm.sh("cat /mnt/share0/out")[0], 1)
        os.setxattr(self.path("rw/hard"), "user.mark", b"yes")
        if "setfattr" in vm.expect("busybox --list"):
            vm.expect("setfattr -n user.other -v so /mnt/share0/hard")
            self.assertEqual(os.getxattr(self.path("rw/hard"), "user.other"), b"so")
        self.check_ids(vm)
        self.check_read_only(vm)
        self.check_jail(vm)

    def check_ids(self, vm):
        """Root's server gives files the owners they have inside."""
        self.mkdir("rw/all", 0o777)
        vm.expect("echo u >/mnt/share0/all/u", uid=1234)
        self.assertEqual(os.stat(self.path("rw/all/u")).st_uid, 1234)
        vm.expect("chown 7:8 /mnt/share0/all/u")
        self.assertEqual(os.stat(self.path("rw/all/u")).st_gid, 8)
        self.assertNotEqual(vm.sh("echo x >/mnt/share0/not-mine", uid=1234)[0], 0)
        # No door to the host's devices.
        self.assertIn("not permitted", vm.sh("mknod /mnt/share0/dev b 1 0")[1])

    def check_read_only(self, vm):
        """Not by the guest's good will."""
        before = sorted(os.listdir(self.path("ro")))
        for command in ("echo x >f1", "rm f1", "mv f1 f2", "ln f1 f3", "mkdir d", "chmod 777 f1",
                        "chown 5 f1", "touch f1", "truncate -s 0 f4096", "ln -s x y"):
            code, text = vm.sh("mount -o remount,rw /mnt/share1; cd /mnt/share1 && " + command)
            self.assertNotEqual(code, 0, command)
            self.assertIn("Read-only file system", text, command)
        self.assertEqual(sorted(os.listdir(self.path("ro"))), before)
        self.assertEqual(len(self.read("ro/f4096")), 4096)

    def check_jail(self, vm):
        for tag, mode, there in (("share0", "rw", "a"), ("share1", "ro", "f1")):
            pid = vm.pid("virtiofsd", tag)
            status = status_of(pid)
            self.assertEqual(int(status["CapEff"], 16) & ~0x800000db, 0)
            self.assertEqual((int(status["CapBnd"], 16), status["NoNewPrivs"]), (0, "1"))
            self.assertEqual(status["Seccomp"], "2")
            for ns in ("user", "mnt", "net", "pid", "ipc", "uts"):
                self.assertNotEqual(os.readlink(f"/proc/{pid}/ns/{ns}"),
                                    os.readlink(f"/proc/self/ns/{ns}"), ns)
            with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as f:
                mounts = [line.split() for line in f]
            self.assertEqual(len(mounts), 1, mounts)
            self.assertLessEqual({mode, "nosuid", "nodev", "noexec"}, set(mounts[0][5].split(",")))
            self.assertIn(there, os.listdir(f"/proc/{pid}/root"))
            # Nothing it has open leads to the directory but by that mount.
            for fd in os.listdir(f"/proc/{pid}/fd"):
                # A file that the guest has closed may be let go of later.
                with contextlib.suppress(FileNotFoundError):
                    link = os.readlink(f"/proc/{pid}/fd/{fd}")
                    self.assertRegex(link,
                                     r"^(/dev/null|pipe:|socket:|anon_inode:|/proc/self|/share)")
        # Their sockets had a name for a moment only.
        self.assertLessEqual(set(os.listdir(vm.vm_dir)),
                             {"vsock.sock", "vmm.sock", "console.log", "vsock.sock_1024"})

    def test_ordinary_user(self):
        nobody = 65534
        if subprocess.run(["test", "-x", DRIVER], user="nobody").returncode:
            self.skipTest(f"{DRIVER} is out of an ordinary user's reach")
        self.mkdir("mine", 0o777, nobody)
        self.make("foreign", b"f")
        self.mkdir("closed", 0o700)
        vm = self.start("share=" + self.path("mine"), "share-ro=" + self.dir, user="nobody")
        vm.mount("share0")
        vm.mount("share1")
        # Inside, the user is root; whoever writes is the user.
        vm.expect("echo r >/mnt/share0/root; mkdir /mnt/share0/d; mkfifo /mnt/share0/p")
        vm.expect("echo u >/mnt/share0/user; mkdir /mnt/share0/e; ln -s x /mnt/share0/l", uid=1000)
        for name in ("root", "d", "p", "user", "e", "l"):
            st = os.lstat(self.path("mine", name))
            self.assertEqual((st.st_uid, st.st_gid), (nobody, nobody), name)
        self.assertEqual(vm.expect("stat -c %u /mnt/share0/user"), "0")
        self.assertIn("Invalid argument", vm.sh("chown 5 /mnt/share0/root")[1])
        # And no more than the user.
        self.assertEqual(vm.expect("cat /mnt/share1/foreign"), "f")
        self.assertNotEqual(vm.sh("ls /mnt/share1/closed")[0], 0)
        self.assertIn("Read-only", vm.sh("touch /mnt/share1/mine/x")[1])
        self.assertEqual(status_of(vm.pid("virtiofsd", "share0"))["Uid"].split(), [str(nobody)] * 4)
        for name, _, _, rss, pss, _ in vm.cost():
            self.assertTrue(0 < pss <= rss, name)

    def test_one_device_for_one_directory(self):
        self.mkdir("d")
        os.symlink("d", self.path("l"))
        vm = self.start("share-ro=" + self.path("d"), "share=" + self.path("l"),
                        "share-ro=" + self.dir)
        self.assertEqual([r[1] for r in vm.cost() if r[0] == "virtiofsd"], ["share0", "share1"])
        vm.mount("share0")
        vm.expect("touch /mnt/share0/x")

    def test_pause(self):
        """Files, connections and the guest go on where they were."""
        self.mkdir("d")
        vm = self.start("share=" + self.path("d"))
        vm.mount("share0")
        process = vm.process("i=0; while :; do echo $i >>/mnt/share0/log; echo $i; "
                             "i=$((i+1)); sleep 0.02; done")
        process.start()
        out = process.streams["stdout"]
        out.read_until(b"\n5\n")
        idle = vm.dial(1024)
        start = time.monotonic()
        self.assertEqual(vm.tell("pause"), "ok")
        print("pause: %.1f ms" % (1000 * (time.monotonic() - start)))
        self.assertEqual(vm.tell("pause"), "error invalid-state machine is paused, not running")
        # What was asked of the server before is still done.
        self.assertTrue(wait_until(lambda: self.stands("d/log")))
        stands = self.read("d/log")
        start = time.monotonic()
        self.assertEqual(vm.tell("resume"), "ok")
        print("resume: %.1f ms" % (1000 * (time.monotonic() - start)))
        self.assertEqual(vm.tell("resume"), "error invalid-state machine is running, not paused")
        self.assertTrue(wait_until(lambda: len(self.read("d/log")) > len(stands) + 100))
        process.call("KillProcess", signal=signal.SIGKILL)
        self.assertEqual(process.wait(), 128 + signal.SIGKILL)
        log = self.read("d/log")
        self.assertEqual(log, b"".join(b"%d\n" % i for i in range(log.count(b"\n"))))
        idle.close()
        vm.expect("cat /mnt/share0/log >/mnt/share0/copy; sync")
        self.assertEqual(self.read("d/copy"), self.read("d/log"))
        # What is paused can be ended.
        self.assertEqual(vm.tell("pause"), "ok")
        self.assertRegex(vm.tell("stop"), "^ok ")
        self.assertEqual(vm.end()["kind"], "0")

    def stands(self, name):
        before = self.read(name)
        time.sleep(0.5)
        return self.read(name) == before

    def test_cost(self):
        self.mkdir("d")
        vm = self.start("share=" + self.path("d"))
        rows = vm.cost()
        self.assertEqual([r[:2] for r in rows],
                         [("coffer-vmm", ""), ("qemu", ""), ("virtiofsd", "share0")])
        for name, tag, pid, rss, pss, cpu in rows:
            print("cost: %s rss %d KiB pss %d KiB cpu %d ms" % (name, rss >> 10, pss >> 10, cpu // 1000))
            self.assertTrue(lives(pid))
            self.assertGreaterEqual(rss, pss)
            self.assertGreater(pss, 0)
        if not os.environ.get("COFFER_SANITIZED"):
            self.assertLess(rows[0][4], 3 * MIB)
        self.assertGreater(rows[1][5], 0)

    def test_bad_shares(self):
        answer = self.expect_start_error("share=" + self.make("file"))
        self.assertIn("Not a directory", answer)
        many = []
        for i in range(17):
            many.append("share=" + self.mkdir(f"d{i}"))
        self.assertIn("more than 16 shared directories", self.expect_start_error(*many))


class Disks(Directory):

    def serve(self, listener, *args):
        """A server that is handed its socket, which takes connections before it runs."""
        listener.listen()
        command = f'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@" 3<&{listener.fileno()}'
        # Not every sh takes descriptors of two digits.
        server = subprocess.Popen(["bash", "-c", command, "sh", QEMU_NBD, "-t", "-f", "raw", *args],
                                  stderr=subprocess.DEVNULL, pass_fds=(listener.fileno(),))
        listener.close()
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        return server

    def unix(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path("s"))
        return listener

    def image(self, name, mark, megabytes):
        path = self.make(name, mark)
        os.truncate(path, megabytes * MIB)
        return path

    def blocks(self, name):
        return os.stat(self.path(name)).st_blocks // 2048

    @unittest.skipUnless(QEMU_NBD, "no qemu-nbd")
    def test_twenty(self):
        options = [("disk-ro=" if i % 4 == 3 else "disk=") + self.image(f"d{i}", b"disk%02d" % i, 64)
                   for i in range(18)]
        tcp = socket.create_server(("127.0.0.1", 0))
        port = tcp.getsockname()[1]
        self.serve(self.unix(), "--discard=unmap", "-x", "a,b c", self.image("n", b"nbd--n", 32))
        self.serve(tcp, "-r", self.image("m", b"nbd--m", 32))
        options += [f"nbd=nbd+unix:///a%2cb%20c?socket={self.path('s')}",
                    f"nbd-ro=nbd://127.0.0.1:{port}"]
        options += ["share=" + self.mkdir("s1"), "share=" + self.mkdir("s2")] if VIRTIOFSD else []
        vm = self.start(*options)
        vm.status("Mount", type="ext4", source="/dev/vda", destination="/mnt")  # loads the driver
        found = vm.expect("for d in /sys/block/vd*; do n=${d##*/}; "
                          "echo $n $(cat $d/serial) $(cat $d/ro) $(head -c 6 /dev/$n); done")
        expected = [f"vd{chr(97 + i)} disk{i} {int(i % 4 == 3)} disk{i:02}" for i in range(18)]
        expected += ["vds disk18 0 nbd--n", "vdt disk19 1 nbd--m"]
        self.assertEqual(found.splitlines(), expected)
        self.check_writes(vm)
        self.check_trim(vm)

    def check_writes(self, vm):
        vm.expect("for d in b s; do yes coffer | dd of=/dev/vd$d bs=1M count=20 iflag=fullblock "
                  "seek=2 conv=fsync; done")
        expected = (b"coffer\n" * (3 * MIB))[:20 * MIB]
        for name in ("d1", "n"):
            self.assertEqual(self.read(name)[2 * MIB:22 * MIB], expected)
        for disk in ("vdd", "vdt"):
            self.assertIn("not permitted", vm.sh(f"dd if=/dev/zero of=/dev/{disk} count=1")[1])
        self.assertEqual(self.read("d3")[:6], b"disk03")

    def check_trim(self, vm):
        self.assertGreaterEqual((self.blocks("d1"), self.blocks("n")), (20, 20))
        vm.expect("blkdiscard /dev/vdb; blkdiscard /dev/vds; sync")
        self.assertEqual((self.blocks("d1"), self.blocks("n")), (0, 0))

    @unittest.skipUnless(QEMU_NBD, "no qemu-nbd")
    def test_nbd_errors(self):
        self.serve(self.unix(), "-x", "right", self.image("n", b"", 1))
        url = f"nbd+unix:///wrong?socket={self.path('s')}"
        self.assertRegex(self.expect_start_error("nbd=" + url), "(?i)export.*not (available|present)")
        with socket.socket(socket.AF_UNIX) as mute:
            mute.bind(self.path("mute"))
            mute.listen(1)
            answer = self.expect_start_error(f"nbd=nbd+unix:///?socket={self.path('mute')}")
        self.assertIn(f"NBD server {self.path('mute')} does not answer", answer)
        self.assertIn("Connection refused", self.expect_start_error("nbd=nbd://127.0.0.1:1/x"))

    @unittest.skipUnless(QEMU_NBD, "no qemu-nbd")
    def test_nbd_server_dies(self):
        """The guest gets errors from its disk; the machine goes on."""
        server = self.serve(self.unix(), self.image("n", b"", 8))
        vm = self.start(f"nbd=nbd+unix:///?socket={self.path('s')}")
        vm.status("Mount", type="ext4", source="/dev/vda", destination="/mnt")
        vm.expect("dd if=/dev/vda of=/dev/null bs=4k count=16")
        server.kill()
        server.wait()
        code, text = vm.sh("echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/vda of=/dev/null bs=4k skip=100")
        self.assertNotEqual(code, 0, text)
        self.assertIn("Input/output error", text)
        vm.expect("true")


class Ends(Directory):

    def processes(self, vm):
        return {name: pid for name, _, pid, *_ in vm.cost()}

    def expect_gone(self, pids):
        self.assertTrue(wait_until(lambda: not any(map(lives, pids))),
                        [p for p in pids if lives(p)])

    def kill(self, victim, sig=signal.SIGKILL):
        options = ["share=" + self.mkdir("d-" + victim + str(int(sig)))] if VIRTIOFSD else []
        vm = self.start(*options)
        if options:
            vm.mount("share0")
        pids = self.processes(vm)
        idle = vm.dial(1024)
        self.addCleanup(idle.close)
        os.kill(pids[victim], sig)
        end = vm.end()
        self.expect_gone(pids.values())
        self.assertEqual((end["kind"], end["process"], end["signal"], end["oom"]),
                         ("3", victim, str(int(sig)), "0"), end)
        self.assertRegex(end["message"], rf"{victim}.* was killed by signal {int(sig)} ")
        # It stays known, and the rest says that there is nothing any more.
        self.assertEqual(vm.end(), end)
        self.assertEqual(vm.tell("cost"), "error invalid-state the machine has ended")
        self.assertRegex(vm.tell("pause"), "^error ")
        self.assertRegex(vm.tell("dial 1024"), "^error ")
        self.assertRegex(vm.tell("stop"), "^ok ")
        self.assertEqual(vm.end(), end)
        return end

    def test_monitor_killed(self):
        self.kill("coffer-vmm")

    def test_machine_killed(self):
        self.kill("qemu")

    def test_monitor_crashes(self):
        self.kill("coffer-vmm", signal.SIGSEGV)

    @unittest.skipUnless(VIRTIOFSD, "no virtiofsd")
    def test_server_killed(self):
        self.assertEqual(self.kill("virtiofsd")["tag"], "share0")

    def test_caller_killed(self):
        vm = Vm(*(["share=" + self.mkdir("d")] if VIRTIOFSD else []))
        self.assertTrue(vm.up)
        pids = self.processes(vm)
        vm.driver.kill()
        self.expect_gone(pids.values())
        vm.driver.wait()
        # What it leaves is the next one's to sweep.
        self.assertEqual(os.listdir(vm.run_root), [vm.id])
        self.sweep(vm.run_root)
        vm.close()

    @staticmethod
    def sweep(run):
        """What starts no machine, but looks around."""
        subprocess.run([DRIVER, run, "sweeper", "memory=1"], check=False, stdout=subprocess.DEVNULL,
                       env={**os.environ, "COFFER_BINDIR": BIN, "COFFER_LIBDIR": "/nonexistent"})

    def test_panic(self):
        vm = self.start()
        pids = self.processes(vm)
        # The answer to the start may go with the machine.
        vm.process("echo so it ends >/dev/kmsg; echo c >/proc/sysrq-trigger").status("StartProcess")
        end = vm.end()
        self.assertEqual((end["kind"], end["process"]), ("2", ""))
        self.assertIn("the guest's kernel panicked: ", end["message"])
        self.assertIn("sysrq triggered crash", end["message"])
        self.assertIn("Kernel Offset", end["console"])
        self.assertIn(" | ", end["console"])
        self.expect_gone(pids.values())

    def memory_group(self, limit):
        """A control group of our own, in whichever version there is."""
        for top, file in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
                          ("/sys/fs/cgroup", "memory.max")):
            path = os.path.join(top, f"coffer-test-{os.getpid()}")
            try:
                os.mkdir(path)
            except OSError:
                continue
            self.addCleanup(self.remove_group, path)
            if os.path.exists(os.path.join(path, file)):
                with open(os.path.join(path, file), "w", encoding="ascii") as f:
                    f.write(str(limit))
                return path
        self.skipTest("no control group for memory")

    def remove_group(self, path):
        """Once the last that was in it is gone."""
        def removed():
            with contextlib.suppress(OSError):
                os.rmdir(path)
            return not os.path.exists(path)
        self.assertTrue(wait_until(removed), path)

    def test_out_of_memory(self):
        """The host's kernel takes the machine, and it is known that it did."""
        group = self.memory_group(200 * MIB)
        vm = self.start("memory=1024", cgroup=group)
        pids = self.processes(vm)
        vm.process("head -c 700000000 /dev/zero >/mnt/big").status("StartProcess")
        end = vm.end(300000)
        self.assertEqual((end["process"], end["signal"], end["oom"]), ("qemu", "9", "1"), end)
        self.assertIn("the host is out of memory: qemu was killed by signal 9", end["message"])
        self.expect_gone(pids.values())
        vm.driver.stdin.close()
        vm.driver.wait(60)

    def test_power_off(self):
        vm = self.start()
        vm.process("echo o >/proc/sysrq-trigger").status("StartProcess")
        self.assertEqual(vm.end()["kind"], "1")

    def test_asked(self):
        vm = self.start()
        self.assertRegex(vm.tell("end 10"), "^error timeout")
        self.assertRegex(vm.tell("stop"), "^ok ")
        end = vm.end()
        self.assertEqual((end["kind"], end["process"], end["message"]), ("0", "", ""))

    @unittest.skipUnless(VIRTIOFSD, "no virtiofsd")
    def test_any_moment(self):
        """Killed while it boots, works or ends, and nothing is left."""
        self.mkdir("d")
        chance = random.Random(7)
        for i in range(int(os.environ.get("COFFER_ROUNDS", "4"))):
            victim = ("coffer-vmm", "qemu", "virtiofsd", "sandbox_driver")[i % 4]
            self.kill_during_boot(victim, chance.uniform(0, 1.5))

    def kill_during_boot(self, victim, after):
        run = self.path("run")
        env = {**os.environ, "COFFER_BINDIR": BIN,
               "COFFER_LIBDIR": os.path.join(os.path.dirname(BIN), "lib", "coffer")}
        command = [DRIVER, run, "x", "share=" + self.path("d")]
        driver = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)
        time.sleep(after)
        family = self.family(driver.pid)
        for pid, name in family.items():
            if name.startswith(victim[:15]) or (victim == "qemu" and name.startswith("qemu")):
                # One may have gone with another.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        try:
            driver.communicate(timeout=240)
        finally:
            driver.kill()
            driver.wait()
        self.expect_gone(family)

        # One that was born after the others were counted may still be about to end.
        def swept():
            self.sweep(run)
            return not os.listdir(run)
        self.assertTrue(wait_until(swept), f"{os.listdir(run)} after a kill of {victim}")

    @staticmethod
    def family(of):
        found, todo = {}, [of]
        while todo:
            pid = todo.pop()
            try:
                with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
                    found[pid] = f.read().strip()
                with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
                    todo += map(int, f.read().split())
            except OSError:
                pass
        return found


@unittest.skipUnless(RING, "no guest without a kernel")
class Hostile(Directory):
    """A guest without a kernel that lies to the servers of its devices. They may die of it, by
    name; the monitor does not, and its own device goes on as long as the machine does."""

    queues = ("indexes", "loops", "addresses", "lengths", "directions", "indirect", "areas",
              "random", "race", "resets", "kicks")

    def lie(self, case):
        run = self.path("run")
        self.make("case", case.encode() + b"\n")
        env = {**os.environ, "COFFER_BINDIR": BIN, "COFFER_LIBDIR": "/nonexistent"}
        options = ["share=" + self.mkdir("d-" + case.replace(":", "-"))] if VIRTIOFSD else []
        disk = self.make("disk")
        os.truncate(disk, 4 * MIB)
        command = [DRIVER, run, "x", "kernel=" + RING, "initrd=" + self.path("case"),
                   "disk=" + disk, *options]
        start = time.monotonic()
        end = subprocess.run(command, env=env, check=False, stdin=subprocess.DEVNULL, text=True,
                             capture_output=True, timeout=480)
        self.assertIn("error inter", end.stdout, end)
        name = case.rsplit(":", 1)[1]
        if re.search(r"virtiofsd of share share0 |qemu", end.stdout):
            how = "ended the machine: " + end.stdout.strip()[:100]
        else:
            self.assertIn("the guest powered off", end.stdout)
            self.assertIn(f"ring: {name}: alive", end.stdout)
            how = "survived"
        self.assertLess(end.stderr.count("\n"), 200, "the guest writes our log")
        self.assertEqual(os.listdir(run), [])
        print(f"{case}: {how} ({time.monotonic() - start:.1f} s)")

    def test_disk(self):
        for name in self.queues + ("blk-requests",):
            with self.subTest(name):
                self.lie("blk:" + name)

    @unittest.skipUnless(VIRTIOFSD, "no virtiofsd")
    def test_share(self):
        for name in self.queues + ("fs-requests",):
            with self.subTest(name):
                self.lie("fs:" + name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
