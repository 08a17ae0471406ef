# SPDX-License-Identifier: Apache-2.0
"""coffer-oci --systemd-cgroup under a real systemd, in machines of the test's own.

  oci_systemd_test.py PROGRAMS PAYLOAD MKINITRD MODULES

A Debian with systemd is made once by debootstrap and kept beside the other
(debootstrap_test.py).  It boots twice, with control groups of version 2 and of
version 1; a script in a service of it runs what the test sends.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

import debootstrap_test
import guest_machine
from faults_box import SKIPPED, Failure, Skip, expect, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS, PAYLOAD, MKINITRD, MODULES = map(os.path.abspath, sys.argv[1:5])
COFFER = os.path.join(PROGRAMS, "..", "lib", "coffer")
USER = 1000

# Not needed for any of this, and slow when emulated.
MASKED = """
    dev-hugepages.mount dev-mqueue.mount kmod-static-nodes.service
    proc-sys-fs-binfmt_misc.automount procps.service sys-fs-fuse-connections.mount
    sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount
    systemd-ask-password-console.path systemd-ask-password-wall.path systemd-binfmt.service
    systemd-firstboot.service systemd-fsck-root.service systemd-journal-flush.service
    systemd-journald-audit.socket systemd-journald-dev-log.socket systemd-journald.service
    systemd-journald.socket systemd-machine-id-commit.service systemd-modules-load.service
    systemd-pcrphase-sysinit.service systemd-pcrphase.service systemd-pstore.service
    systemd-random-seed.service systemd-remount-fs.service systemd-repart.service
    systemd-sysctl.service systemd-sysusers.service systemd-tmpfiles-clean.timer
    systemd-tmpfiles-setup-dev.service systemd-tmpfiles-setup.service systemd-update-utmp.service
""".split()

UNITS = {
    "test.target": "[Unit]\nRequires=dbus.service scripts.service\nAfter=dbus.service\n",
    "scripts.service": "[Unit]\nAfter=dbus.service\n"
                       "[Service]\nExecStart=/bin/sh /scripts\nKillMode=process\n"
                       "StandardOutput=null\nStandardError=null\n",
}

# The other end of guest_machine.Machine.run().
SCRIPTS = """
until port=$(ls /dev/vport*); do
	sleep 0.1
done
exec 3<>"$port"
echo ready >&3
while read -r length <&3; do
	head -c "$length" <&3 >/run/script
	code=0
	sh /run/script >/run/out 2>/run/err </dev/null 3>&- || code=$?
	out=$(stat -c %s /run/out)
	err=$(stat -c %s /run/err)
	echo "$code $out $err" >&3
	# What it has left behind may go on writing.
	head -c "$out" /run/out >&3
	head -c "$err" /run/err >&3
done
"""

LIMITS = {
    "memory": {"limit": 32 << 20, "swap": 64 << 20},
    "cpu": {"shares": 512, "quota": 50000, "period": 100000},
    "pids": {"limit": 50},
    "devices": [{"allow": False, "access": "rwm"},
                {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rwm"}],
}


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)


def bundle(root, path, change=lambda c: None, words=("wait",)):
    """A bundle in the machine's root file system, with the payload alone in it."""
    where = root + path
    os.makedirs(where + "/rootfs")
    subprocess.run(["cp", PAYLOAD, where + "/rootfs/payload"], check=True)
    subprocess.run([os.path.join(PROGRAMS, "coffer-oci"), "spec"], cwd=where, check=True)
    with open(where + "/config.json", encoding="utf-8") as f:
        config = json.load(f)
    config["process"]["terminal"] = False
    config["process"]["args"] = ["/payload", *words]
    config["linux"]["resources"] = dict(LIMITS)
    change(config)
    write(where + "/config.json", json.dumps(config))


def of_user(config):
    """For an ordinary user with a range of ids."""
    ids = [{"containerID": 0, "hostID": USER, "size": 1},
           {"containerID": 1, "hostID": 100000, "size": 65536}]
    config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"]
                                     if n["type"] != "network"] + [{"type": "user"}]
    config["linux"].update(uidMappings=ids, gidMappings=ids,
                           resources={"memory": {"limit": 32 << 20}, "pids": {"limit": 50}})


def annotated(config):
    config["annotations"] = {"org.systemd.property.TimeoutStopSec": "uint64 7",
                             "org.systemd.property.Description": "'of the document'"}


def in_slice(path):
    return lambda config: config["linux"].update(cgroupsPath=path)


def bad_annotation(config):
    config["annotations"] = {"org.systemd.property.TimeoutStopUSec": "soon"}


def no_program(config):
    config["process"]["args"] = ["/nowhere"]


def fill(root):
    units = root + "/etc/systemd/system/"
    # Generators run at every reload, too.
    subprocess.run(["rm", "-rf", units, root + "/usr/lib/systemd/system-generators"], check=True)
    for name, text in UNITS.items():
        write(units + name, text)
    for name in MASKED:
        os.symlink("/dev/null", units + name)
    os.symlink("test.target", units + "default.target")
    write(root + "/scripts", SCRIPTS)
    write(root + "/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    for name, line in (("passwd", f"user:x:{USER}:{USER}::/home/user:/bin/sh"),
                       ("group", f"user:x:{USER}:"), ("shadow", "user:!:19000:0:99999:7:::"),
                       ("subuid", "user:100000:65536"), ("subgid", "user:100000:65536")):
        with open(f"{root}/etc/{name}", "a", encoding="utf-8") as f:
            f.write(line + "\n")
    subprocess.run(["cp", os.path.join(PROGRAMS, "coffer-oci"), root + "/usr/bin"], check=True)
    bundle(root, "/plain")
    bundle(root, "/annotated", annotated)
    bundle(root, "/sliced", in_slice("one-two.slice:pre:fix"))
    bundle(root, "/a-slice", in_slice("one.slice::coffer-pod.slice"))
    bundle(root, "/not-sliced", in_slice("/a/b"))
    bundle(root, "/no-annotation", bad_annotation)
    bundle(root, "/no-program", no_program)
    bundle(root, "/home/user/bundle", of_user)
    subprocess.run(["chown", "-R", f"{USER}:{USER}", root + "/home/user"], check=True)


def make_disk(where):
    """The image of a root file system. Raises Skip."""
    tree = debootstrap_test.rootfs("debian-systemd",
                                   "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,"
                                   "uidmap")
    root, disk = where + "/root", where + "/disk"
    os.mkdir(root)
    left_out = ["boot", "dev/*", "usr/share/doc", "usr/share/locale", "usr/share/man",
                "usr/share/zoneinfo", "var/cache/*", "var/lib/apt/lists"]
    archive = subprocess.Popen(["tar", "-C", tree, *(f"--exclude=./{x}" for x in left_out),
                                "-cf", "-", "."], stdout=subprocess.PIPE)
    subprocess.run(["tar", "-C", root, "-xf", "-"], stdin=archive.stdout, check=True)
    expect(archive.wait() == 0, "the tree could not be copied")
    fill(root)
    subprocess.run(["mke2fs", "-qq", "-t", "ext4", "-F", "-m", "0", "-O", "^has_journal", "-E",
                    "lazy_itable_init=1,root_owner=0:0", "-d", root, disk, "256M"],
                   check=True, stdin=subprocess.DEVNULL)
    return disk


def make_initrd(where):
    initrd, modules = where + "/initrd", where + "/modules.list"
    write(modules, "core: virtio_mmio virtio_blk virtio_console overlay\n")
    subprocess.run([MKINITRD, initrd, os.path.join(HERE, "..", "guest", "switch.sh"), MODULES,
                    modules], check=True)
    with open(initrd, "ab") as out, open(COFFER + "/busybox.cpio", "rb") as busybox:
        out.write(busybox.read())
    return initrd


class Systemd:
    """A machine, and what the test asks it."""

    def __init__(self, disk, initrd, words=""):
        self.machine = guest_machine.Machine(COFFER + "/vmlinux", initrd, disk,
                                             words=words)

    def run(self, script, code=0):
        answer = self.machine.run("OCI='coffer-oci --systemd-cgroup'\n" + script)
        expect(answer.code == code, f"{script}\n: {answer}")
        return answer.out

    def fails(self, script, words):
        answer = self.machine.run("OCI='coffer-oci --systemd-cgroup'\n" + script)
        expect(answer.code == 1 and words in answer.err, f"{script}\n: {words}: {answer}")

    def properties(self, unit, *names, manager=""):
        """Of @names, as systemd has them."""
        out = self.run(f"{manager} systemctl {'--user' if manager else ''} show {unit} "
                       f"--property={','.join(names)}")
        return dict(line.split("=", 1) for line in out.splitlines())

    def expect_files(self, group, files):
        """@files of a group: name -> text."""
        out = self.run(f"cd /sys/fs/cgroup/{group} && grep . {' '.join(files)} /dev/null")
        got = dict(line.split(":", 1) for line in out.splitlines())
        expect(got == files, f"{group} has {got}, not {files}")

    def what_is_left(self):
        out = self.run("systemctl list-units --all --no-legend '*.scope' '*coffer*' 'pre-*';"
                       "find /sys/fs/cgroup -name '*coffer*' -o -name 'pre-*';"
                       "ls /run/coffer-oci 2>/dev/null; true")
        return [line.split()[0] for line in out.splitlines()]

    def expect_clean(self):
        """Soon: systemd forgets a unit when it has time."""
        expect(wait_until(lambda: self.what_is_left() == ["init.scope"], 60, step=0.2),
               f"something is left: {self.what_is_left()}")


def expect_properties(got, wanted):
    expect(got == wanted, f"systemd has {got}, not {wanted}")


# ---- version 2 ----

V2_FILES = {"memory.max": str(32 << 20), "memory.swap.max": str(32 << 20),
            "cpu.max": "50000 100000", "cpu.weight": "20", "pids.max": "50"}


def a_life(vm):
    vm.run("$OCI create -b /plain c1 >/dev/null")
    expect_properties(
        vm.properties("coffer-c1.scope", "ActiveState", "Slice", "Delegate", "CollectMode",
                      "DefaultDependencies", "MemoryMax", "MemorySwapMax", "CPUWeight",
                      "CPUQuotaPerSecUSec", "CPUQuotaPeriodUSec", "TasksMax"),
        {"ActiveState": "active", "Slice": "system.slice", "Delegate": "yes",
         "CollectMode": "inactive-or-failed", "DefaultDependencies": "no",
         "MemoryMax": str(32 << 20), "MemorySwapMax": str(32 << 20), "CPUWeight": "20",
         "CPUQuotaPerSecUSec": "500ms", "CPUQuotaPeriodUSec": "100ms", "TasksMax": "50"})
    vm.expect_files("system.slice/coffer-c1.scope", V2_FILES)
    vm.run("coffer-oci start c1")
    # The processes are in it, those of an exec too.
    out = vm.run("coffer-oci exec --detach c1 /payload wait >/dev/null;"
                 "wc -l </sys/fs/cgroup/system.slice/coffer-c1.scope/cgroup.procs")
    expect(out == "2\n", f"processes of the scope: {out}")
    vm.run("coffer-oci pause c1; coffer-oci list | grep -q paused; coffer-oci resume c1;"
           "coffer-oci list | grep -q running; coffer-oci kill c1 KILL;"
           "until coffer-oci list | grep -q stopped; do :; done; coffer-oci delete c1")
    vm.expect_clean()


def reload_keeps_limits(vm):
    vm.run("$OCI run -d -b /plain c2 >/dev/null; systemctl daemon-reload")
    vm.expect_files("system.slice/coffer-c2.scope", V2_FILES)
    vm.run("coffer-oci update --memory 40000000 --memory-swap -1 --pids-limit 20 c2;"
           "systemctl daemon-reload")
    expect_properties(vm.properties("coffer-c2.scope", "MemoryMax", "MemorySwapMax", "TasksMax"),
                      {"MemoryMax": "40000000", "MemorySwapMax": "infinity", "TasksMax": "20"})
    vm.expect_files("system.slice/coffer-c2.scope",
                    {"memory.max": str(40000000 // 4096 * 4096), "pids.max": "20",
                     "cpu.max": "50000 100000"})
    # systemd looks at the unit again when something of it changes.
    vm.run("systemctl set-property --runtime coffer-c2.scope MemoryHigh=30M CPUWeight=30")
    vm.expect_files("system.slice/coffer-c2.scope",
                    {"memory.max": str(40000000 // 4096 * 4096), "pids.max": "20",
                     "cpu.max": "50000 100000"})
    vm.run("coffer-oci delete --force c2")
    vm.expect_clean()


def slices_and_annotations(vm):
    vm.run("$OCI run -d -b /sliced c3 >/dev/null; $OCI run -d -b /annotated c4 >/dev/null")
    vm.expect_files("one.slice/one-two.slice/pre-fix.scope", V2_FILES)
    expect_properties(vm.properties("coffer-c4.scope", "TimeoutStopUSec", "Description"),
                      {"TimeoutStopUSec": "7s", "Description": "of the document"})
    vm.run("coffer-oci delete --force c3; coffer-oci delete --force c4")
    vm.expect_clean()
    vm.run("$OCI run -d -b /a-slice c4 >/dev/null")
    vm.expect_files("coffer.slice/coffer-pod.slice", V2_FILES)
    vm.run("test $(wc -l </sys/fs/cgroup/coffer.slice/coffer-pod.slice/cgroup.procs) -eq 1;"
           "coffer-oci delete --force c4; systemctl stop coffer.slice one.slice")
    vm.expect_clean()


def failures_leave_nothing(vm):
    vm.fails("$OCI run -b /not-sliced c5", "slice:prefix:name")
    vm.fails("$OCI run -b /no-annotation c5", "org.systemd.property.TimeoutStopUSec")
    vm.fails("$OCI run -b /no-program c5", "/nowhere")
    vm.fails("mount --bind /dev/null /lib/x86_64-linux-gnu/libsystemd.so.0; $OCI run -b /plain c5;"
             "code=$?; umount /lib/x86_64-linux-gnu/libsystemd.so.0; exit $code",
             "cgroups by systemd: ")
    vm.expect_clean()
    # A unit that is there and is not ours stays as it is.
    vm.run("systemd-run -q --scope --unit=coffer-c5 sleep 1000 >/dev/null 2>&1 &\n"
           "until systemctl -q is-active coffer-c5.scope; do :; done")
    vm.fails("$OCI run -b /plain c5", "coffer-c5.scope")
    vm.run("systemctl -q is-active coffer-c5.scope && systemctl stop coffer-c5.scope")
    vm.expect_clean()


def killed_runtime(vm):
    """Whenever the runtime is killed, delete --force finds what there is."""
    vm.run("for wait in 0 0.02 0.05 0.1 0.2; do\n"
           "$OCI create -b /plain c6 >/dev/null 2>&1 & sleep $wait; kill -9 $!; wait $!\n"
           "coffer-oci delete --force c6\n"
           "[ -z \"$(find /sys/fs/cgroup -name '*coffer*')\" ] || exit 1\n"
           "done 2>/dev/null; true")
    vm.expect_clean()


def ordinary_user(vm):
    user = (f"XDG_RUNTIME_DIR=/run/user/{USER} HOME=/home/user setpriv --reuid {USER} "
            f"--regid {USER} --init-groups ")
    vm.fails(f"{user} $OCI --root /home/user/run run -b /home/user/bundle u1",
             "connect to the user's bus")
    vm.run(f"systemctl start user@{USER}.service")
    vm.run(f"{user} $OCI run -d -b /home/user/bundle u1 >/dev/null")
    group = f"user.slice/user-{USER}.slice/user@{USER}.service/user.slice/coffer-u1.scope"
    vm.expect_files(group, {"memory.max": str(32 << 20), "pids.max": "50"})
    expect_properties(vm.properties("coffer-u1.scope", "Slice", "MemoryMax", manager=user),
                      {"Slice": "user.slice", "MemoryMax": str(32 << 20)})
    out = vm.run(f"{user} coffer-oci exec --detach u1 /payload wait >/dev/null;"
                 f"wc -l </sys/fs/cgroup/{group}/cgroup.procs")
    expect(out == "2\n", f"processes of the scope: {out}")
    vm.run(f"{user} coffer-oci update --memory 20000000 u1")
    vm.expect_files(group, {"memory.max": str(20000000 // 4096 * 4096)})
    vm.run(f"{user} coffer-oci delete --force u1; systemctl stop user@{USER}.service")
    vm.expect_clean()


# ---- version 1 ----


def version_1(vm):
    vm.run("$OCI run -d -b /plain c1 >/dev/null")
    expect_properties(
        vm.properties("coffer-c1.scope", "Slice", "MemoryLimit", "CPUShares", "TasksMax",
                      "DevicePolicy"),
        {"Slice": "system.slice", "MemoryLimit": str(32 << 20), "CPUShares": "512",
         "TasksMax": "50", "DevicePolicy": "strict"})
    group = "system.slice/coffer-c1.scope"
    before = vm.run(f"sort /sys/fs/cgroup/devices/{group}/devices.list")
    expect("c 10:229 rwm\n" in before and "a *:* rwm" not in before, f"devices: {before}")
    vm.run("systemctl daemon-reload")
    expect(vm.run(f"sort /sys/fs/cgroup/devices/{group}/devices.list") == before,
           "systemd changed the devices")
    vm.expect_files(f"memory/{group}", {"memory.limit_in_bytes": str(32 << 20)})
    vm.expect_files(f"cpu/{group}", {"cpu.shares": "512", "cpu.cfs_quota_us": "50000"})
    # Hierarchies that systemd does not care for, too.
    out = vm.run("pid=$(coffer-oci state c1 | sed -n 's/.*\"pid\": *\\([0-9]*\\).*/\\1/p');"
                 "cat /proc/$pid/cgroup")
    expect(all(line.endswith(f":/{group}") or line == "0::/" for line in out.splitlines()),
           f"groups of init: {out}")
    vm.run("coffer-oci update --memory 40000000 --memory-swap -1 c1; systemctl daemon-reload")
    vm.expect_files(f"memory/{group}", {"memory.limit_in_bytes": str(40000000 // 4096 * 4096)})
    vm.run("coffer-oci pause c1; coffer-oci list | grep -q paused; coffer-oci delete --force c1")
    vm.expect_clean()


BOOTS = (
    ("", (a_life, reload_keeps_limits, slices_and_annotations, failures_leave_nothing,
          killed_runtime, ordinary_user)),
    ("systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1 "
     "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1", (version_1,)),
)


def run_one(test, vm):
    begin = time.monotonic()
    try:
        test(vm)
    except Failure as failure:
        print(f"FAILED  {test.__name__}: {failure}", flush=True)
        return False
    print(f"ok      {test.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
    return True


def main():
    only, failed, ran = sys.argv[5:], 0, 0
    if not guest_machine.QEMU or os.geteuid() != 0:
        raise Skip("takes root and qemu-system-x86_64")
    with tempfile.TemporaryDirectory(prefix="coffer-systemd-") as where:
        disk, initrd = make_disk(where), make_initrd(where)
        for words, tests in BOOTS:
            chosen = [t for t in tests if not only or t.__name__ in only]
            vm = Systemd(disk, initrd, words) if chosen else None
            for test in chosen:
                ran += 1
                failed += not run_one(test, vm)
            if vm:
                vm.machine.close()
    print(f"{ran} tests, {failed} failed")
    return failed != 0 or ran == 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Skip as skip:
        print(skip)
        sys.exit(SKIPPED)
