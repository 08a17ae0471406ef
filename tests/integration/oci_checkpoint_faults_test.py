# SPDX-License-Identifier: Apache-2.0
"""What checkpoint and restore refuse, and what is left when they fail or are killed.

On this host: what happens where criu does not work, and with a criu of our own
what it is asked for.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

from oci_checkpoint_box import MASKED, OCI, PAYLOAD, InMachine, bind, document, main


class Faults(InMachine):

    def test_wrong_states(self):
        self.refused("coffer-oci checkpoint --image-path /img c9", "c9", "does not exist")
        self.bundle("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("oci create c1")
        self.refused("coffer-oci checkpoint --image-path /img c1", "c1", "created")
        self.script("""
            [ $(status c1) = created ]
            coffer-oci start c1
            grows /vol/n 0
            coffer-oci kill c1 KILL
            soon has_status c1 stopped
            """)
        self.refused("coffer-oci checkpoint --image-path /img c1", "c1", "not running")
        self.script("[ $(status c1) = stopped ]; coffer-oci delete c1")
        self.refused("coffer-oci restore --image-path /img ../c1", "../c1")

    def test_broken_images(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            grows /vol/n 5
            oci checkpoint --image-path /img/good c1
            mkdir /img/empty
            for x in core-1 pstree inventory mountpoints mm-1; do
                cp -a /img/good /img/$x
                : >$(ls /img/$x/$x*.img)
            done
            cp -a /img/good /img/descriptors
            echo '{"a": [' >/img/descriptors/descriptors.json
            """)
        for name, word in (("none", "No such file"), ("empty", "no checkpoint"),
                           ("descriptors", "descriptors.json"), ("core-1", "criu: "),
                           ("pstree", "criu: "), ("inventory", "criu: "),
                           ("mountpoints", "criu: "), ("mm-1", "criu: ")):
            with self.subTest(name):
                self.refused(f"coffer-oci restore -d --image-path /img/{name} c1", "c1", word)
                self.expect_nothing()
        self.script("n=$(number /vol/n); oci restore -d --image-path /img/good c1; "
                    "grows /vol/n $n")

    def test_changed_bundle(self):
        """A volume that is not there any more."""
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("grows /vol/n 5; oci checkpoint --image-path /img c1; rm -r /vol")
        self.refused("coffer-oci restore -d --image-path /img c1", "/vol", "No such file")
        self.expect_nothing()

    def test_criu_missing(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.refused("coffer-oci --criu /no/criu checkpoint --image-path /img c1", "/no/criu",
                     "No such file")
        self.refused("PATH=/none /usr/bin/coffer-oci checkpoint --image-path /img c1", "criu",
                     "$PATH")
        self.refused("coffer-oci --criu /bin/false checkpoint --image-path /img c1", "criu",
                     "without an answer")
        self.script("grows /vol/n $(number /vol/n)")

    def test_killed(self):
        """kill -9 in the middle leaves what delete --force cleans."""
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            cat >/img/slow <<'END'
            #!/bin/sh
            echo $$ >/img/begun
            until [ -e /img/go ]; do sleep 0.1; done
            exec criu "$@"
            END
            sed -i 's/^ *//' /img/slow
            chmod +x /img/slow
            grows /vol/n 5
            coffer-oci --criu /img/slow checkpoint --image-path /img/x c1 & p=$!
            soon test -s /img/begun
            kill -9 $p
            rm /img/begun
            echo >/img/go
            soon ended '[/]img/slow'
            soon ended '[c]riu swrk'
            rm /img/go
            [ $(status c1) = running ] || fail "status $(status c1)"
            grows /vol/n $(number /vol/n)
            oci checkpoint --image-path /img/a c1
            coffer-oci --criu /img/slow restore -d --image-path /img/a c1 & p=$!
            soon test -s /img/begun
            soon grep -q c1 /proc/$(cat /img/begun)/cgroup
            kill -9 $p
            coffer-oci delete --force c1
            soon ended '[/]img/slow'
            """)
        self.expect_nothing()
        self.script("n=$(number /vol/n); oci restore -d --image-path /img/a c1; grows /vol/n $n")

    def test_killed_anywhere(self):
        """At no time does it leave processes that stand still, or something that stays."""
        self.bundle("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("oci run -d c1; grows /vol/n 5; oci checkpoint --image-path /img/good c1")
        for hundredths in (2, 5, 10, 20, 30, 45, 60, 80, 100):
            wait = f"sleep {hundredths / 100}; kill -9 $p 2>/dev/null || true"
            with self.subTest(hundredths):
                self.script(f"""
                    rm -rf /img/x /vol/n
                    oci run -d c1
                    grows /vol/n 0
                    coffer-oci checkpoint --image-path /img/x c1 >/dev/null 2>&1 & p=$!
                    {wait}
                    soon ended '[c]riu swrk'
                    case $(status c1) in
                    running) grows /vol/n $(number /vol/n) ;;
                    stopped | "") ;;
                    *) fail "it is $(status c1)" ;;
                    esac
                    coffer-oci delete --force c1
                    coffer-oci restore -d --image-path /img/good c1 >/dev/null 2>&1 & p=$!
                    {wait}
                    coffer-oci delete --force c1
                    """)
                self.expect_nothing()


class OnThisHost(unittest.TestCase):
    """What happens where criu does not work, and what it is asked for."""

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        self.dir = tempfile.mkdtemp(prefix="oci-checkpoint-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.count = os.path.join(self.dir, "rootfs", "n")
        os.mkdir(os.path.join(self.dir, "rootfs"))
        shutil.copy(PAYLOAD, os.path.join(self.dir, "rootfs", "payload"))
        config = document(["/payload", "count", "/n"], linux={"resources": {}})
        config["mounts"] = [m for m in config["mounts"] if m["type"] != "cgroup"]
        with open(os.path.join(self.dir, "config.json"), "w", encoding="utf-8") as f:
            json.dump(config, f)
        self.id = f"checkpoint-{os.getpid()}"
        self.oci("run", "-d", self.id)
        self.addCleanup(self.oci, "delete", "-f", self.id)

    def oci(self, *args, code=0):
        """Return: what it says on standard error."""
        with tempfile.TemporaryFile("w+") as err:
            end = subprocess.run([OCI, "--root", os.path.join(self.dir, "state"), *args],
                                 cwd=self.dir, stdin=subprocess.DEVNULL, timeout=60,
                                 stdout=subprocess.DEVNULL, stderr=err, check=False)
            err.seek(0)
            text = err.read()
        self.assertEqual(end.returncode, code, text)
        return text

    def number(self):
        if not os.path.exists(self.count):
            return 0
        with open(self.count, encoding="ascii") as f:
            return int(f.read() or 0)

    def expect_running(self):
        before = self.number()
        end = time.monotonic() + 60
        while self.number() <= before:
            self.assertLess(time.monotonic(), end, "it does not count any more")
            time.sleep(0.02)

    def test_says_why(self):
        if not shutil.which("criu"):
            self.skipTest("criu is not installed")
        check = subprocess.run(["criu", "check"], capture_output=True, text=True, check=False)
        if check.returncode == 0:
            self.skipTest("criu works here")
        reason = next(line.split("): ", 1)[1] for line in check.stderr.splitlines()
                      if "Error (" in line)
        said = self.oci("checkpoint", "--image-path", os.path.join(self.dir, "images"), self.id,
                        code=1)
        self.assertIn(reason, said.splitlines()[0])
        self.assertIn("dump.log", said.splitlines()[0])
        self.expect_running()

    def test_what_criu_is_asked_for(self):
        """Read with criu's own description of its messages."""
        try:
            from pycriu import rpc_pb2  # pylint: disable=import-outside-toplevel
        except ImportError:
            self.skipTest("criu's Python module is not installed")
        fake = os.path.join(self.dir, "criu")
        with open(fake, "w", encoding="utf-8") as f:
            f.write(FAKE.format(python=sys.executable, dir=self.dir))
        os.chmod(fake, 0o755)
        self.oci("--criu", fake, "checkpoint", "--image-path", os.path.join(self.dir, "a"),
                 "--work-path", os.path.join(self.dir, "w"), "--leave-running", "--shell-job",
                 "--tcp-established", "--ext-unix-sk", "--file-locks", "--tcp-skip-in-flight",
                 "--page-server", "[::1]:1234", "--manage-cgroups-mode", "strict",
                 "--empty-ns", "uts", self.id)
        with open(os.path.join(self.dir, "request"), "rb") as f:
            req = rpc_pb2.criu_req.FromString(f.read())
        o = req.opts
        self.assertEqual(req.type, rpc_pb2.DUMP)
        for name in ("leave_running", "shell_job", "tcp_established", "ext_unix_sk", "file_locks",
                     "tcp_skip_in_flight", "notify_scripts", "orphan_pts_master",
                     "manage_cgroups"):
            self.assertTrue(getattr(o, name), name)
        for name in ("track_mem", "auto_dedup", "lazy_pages", "rst_sibling", "parent_img"):
            self.assertFalse(o.HasField(name), name)
        self.assertEqual((o.ps.address, o.ps.port), ("::1", 1234))
        self.assertEqual(o.manage_cgroups_mode, rpc_pb2.STRICT)
        self.assertEqual(o.empty_ns, 0x40000000 | 0x04000000)
        self.assertEqual(o.log_file, "dump.log")
        self.assertEqual(o.root, os.path.join(self.dir, "rootfs"))
        hidden = [path for path in MASKED if os.path.exists(path) and not os.path.isdir(path)]
        self.assertEqual([m.key for m in o.ext_mnt if m.val == "/dev/null" and m.key != m.val],
                         hidden)
        # Standard error: the null device that the other two are is the container's own.
        self.assertEqual(len(o.external), 1)
        with open(os.path.join(self.dir, "notified"), encoding="ascii") as f:
            self.assertEqual(f.read(), "6 True")
        self.expect_running()


# A criu that keeps the request, tells of one step and is content.
FAKE = """#!{python}
import socket, sys
from pycriu import rpc_pb2
s = socket.socket(fileno=int(sys.argv[2]))
data = s.recv(1 << 20)
open("{dir}/request", "wb").write(data)
step = rpc_pb2.criu_resp(type=rpc_pb2.NOTIFY, success=True)
step.notify.script = "pre-dump"
s.send(step.SerializeToString())
answer = rpc_pb2.criu_req.FromString(s.recv(1 << 20))
open("{dir}/notified", "w").write(f"{{answer.type}} {{answer.notify_success}}")
done = rpc_pb2.criu_resp(type=rpc_pb2.DUMP, success=True)
done.dump.restored = True
s.send(done.SerializeToString())
"""


if __name__ == "__main__":
    main()
