# SPDX-License-Identifier: Apache-2.0
"""Checkpoint and restore of containers: where they were, with what they held."""

from oci_checkpoint_box import InMachine, bind, main


class Checkpoint(InMachine):

    # --- the plain way ---

    def test_goes_on_where_it_was(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            grows /vol/n 5
            oci checkpoint --image-path /img/a c1
            """)
        self.expect_nothing()
        self.script("""
            n=$(number /vol/n)
            sleep 0.5
            [ $(number /vol/n) = $n ] || fail "it counts on"
            oci restore -d --image-path /img/a --pid-file /img/pid c1
            [ $(status c1) = running ] || fail "status $(status c1)"
            [ $(pid c1) = $(cat /img/pid) ] || fail "pid file"
            grows /vol/n $n
            [ $(number /vol/n) -lt $((n + 100000)) ]
            [ $(cat /sys/fs/cgroup/$(sed 's/0:://' /proc/$(pid c1)/cgroup)/memory.max) = 67108864 ]
            coffer-oci exec c1 /payload cat /proc/self/cgroup
            coffer-oci pause c1
            coffer-oci resume c1
            coffer-oci kill c1 KILL
            soon has_status c1 stopped
            coffer-oci delete c1
            """)
        self.expect_nothing()

    def test_again_and_again(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            for i in 1 2 3; do
                grows /vol/n 0
                n=$(number /vol/n)
                oci checkpoint --image-path /img/$i --work-path /img/w$i c1
                [ -e /img/w$i/dump.log ] || fail "no log in the work directory"
                [ ! -e /img/$i/dump.log ] || fail "a log in the images"
                oci restore -d --image-path /img/$i --work-path /img/w$i c1
                grows /vol/n $n
            done
            """)

    def test_default_directory(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            cd /img
            grows /vol/n 0
            oci checkpoint c1
            [ -e /img/checkpoint/inventory.img ]
            oci restore -d --bundle /b c1
            grows /vol/n $(number /vol/n)
            """)

    def test_another_id(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            grows /vol/n 5
            oci checkpoint --image-path /img c1
            n=$(number /vol/n)
            oci restore -d --image-path /img c2
            grows /vol/n $n
            case $(cat /proc/$(pid c2)/cgroup) in *c2*) ;; *) fail "in the old cgroup" ;; esac
            """)

    def test_attached(self):
        """Without --detach its exit code is ours, and it is deleted."""
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            grows /vol/n 5
            oci checkpoint --image-path /img c1
            n=$(number /vol/n)
            oci restore --image-path /img c1 & pid=$!
            grows /vol/n $n
            soon has_status c1 running
            coffer-oci kill c1 KILL
            code=0; wait $pid || code=$?
            [ $code = 137 ] || fail "exit code $code"
            """)
        self.expect_nothing()

    def test_leave_running(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            grows /vol/n 5
            p=$(pid c1)
            oci checkpoint --leave-running --image-path /img c1
            [ $(status c1) = running ] && [ $(pid c1) = $p ] || fail "another process"
            grows /vol/n $(number /vol/n)
            """)
        self.refused("coffer-oci restore -d --image-path /img c1", "c1", "exist")
        self.script("""
            [ $(status c1) = running ]
            grows /vol/n $(number /vol/n)
            """)

    def test_paused(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            grows /vol/n 5
            coffer-oci pause c1
            oci checkpoint --leave-running --image-path /img/1 c1
            [ $(status c1) = paused ] || fail "it is $(status c1)"
            n=$(number /vol/n)
            sleep 0.3
            [ $(number /vol/n) = $n ] || fail "it counts"
            oci checkpoint --image-path /img/2 c1
            """)
        self.expect_nothing()
        self.script("oci restore -d --image-path /img/2 c1; grows /vol/n $(number /vol/n)")

    def test_pre_dump(self):
        """Memory of 8 MB goes with the first round, not with the last."""
        self.start("count", "/vol/n", "8", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            pages() { cat /img/$1/pages-*.img | wc -c; }
            grows /vol/n 5
            oci checkpoint --pre-dump --image-path /img/1 c1
            [ $(status c1) = running ]
            grows /vol/n $(number /vol/n)
            oci checkpoint --pre-dump --image-path /img/2 --parent-path ../1 c1
            oci checkpoint --image-path /img/3 --parent-path ../2 c1
            [ $(pages 1) -gt 8000000 ] || fail "first round $(pages 1)"
            [ $(pages 3) -lt 2000000 ] || fail "last round $(pages 3)"
            n=$(number /vol/n)
            oci restore -d --image-path /img/3 c1
            grows /vol/n $n
            """)

    def test_parent_path(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        for path, word in (("/img/1", "relative"), ("../none", "No such file"),
                           ("../file", "Not a directory")):
            self.refused("touch /img/file; coffer-oci checkpoint --image-path /img/2 "
                         f"--parent-path {path} c1", "--parent-path", word)
        self.script("grows /vol/n 5")

    # --- what processes hold ---

    def test_pipes(self):
        self.bundle("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            { coffer-oci run -d c1 </dev/null 2>/dev/null | cat >/img/out1; } &
            grows /vol/n 5
            oci checkpoint --image-path /img/a c1
            n=$(number /vol/n)
            { coffer-oci restore -d --image-path /img/a c1 2>&1 | cat >/img/out2; } &
            grows /vol/n $n
            soon has_status c1 running
            soon test -s /img/out1
            soon test -s /img/out2
            [ $(head -n 1 /img/out1) = 1 ]
            [ $(head -n 1 /img/out2) -ge $n ] || fail "$n, then $(head -n 1 /img/out2)"
            coffer-oci kill c1 KILL
            """)

    def test_output_in_a_file(self):
        """A file of outside is taken from outside again."""
        self.bundle("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            coffer-oci run -d c1 </dev/null >/img/out 2>&1
            grows /vol/n 5
            coffer-oci checkpoint --image-path /img/a c1 >/dev/null 2>&1
            n=$(number /vol/n)
            coffer-oci restore -d --image-path /img/a c1 </dev/null >>/img/out 2>&1
            grows /vol/n $((n + 5))
            coffer-oci kill c1 KILL
            soon has_status c1 stopped
            # It keeps a number before it says it.
            n=$(wc -l </img/out)
            [ $n -ge $(($(number /vol/n) - 1)) ] || fail "$n lines, $(number /vol/n) numbers"
            seq $n >/img/expected
            cmp /img/out /img/expected
            """)

    def test_tcp(self):
        self.start("tcp", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("grows /vol/n 5")
        self.refused("coffer-oci checkpoint --image-path /img/1 c1", "tcp-established")
        self.script("""
            grows /vol/n $(number /vol/n)
            oci checkpoint --tcp-established --image-path /img/2 c1
            n=$(number /vol/n)
            oci restore -d --tcp-established --image-path /img/2 c1
            grows /vol/n $n
            """)

    def test_network_by_path(self):
        """A network that was made by somebody else is found there again."""
        self.script("$ip netns add box; $ip -n box link set lo up")
        self.addCleanup(self.machine.run, "/usr/sbin/ip netns delete box")
        self.start("tcp", "/vol/n", mounts=[bind("/vol", "/vol", "rw")],
                   namespaces=["pid", "ipc", "uts", "mount",
                               {"type": "network", "path": "/run/netns/box"}])
        self.script("""
            grows /vol/n 5
            oci checkpoint --tcp-established --image-path /img c1
            n=$(number /vol/n)
            # A new one at the old place: in the old one criu's firewall rules still hold
            # what may yet come for the connections.
            $ip netns delete box
            $ip netns add box
            $ip -n box link set lo up
            oci restore -d --tcp-established --image-path /img c1
            grows /vol/n $n
            [ $(stat -Lc %i /proc/$(pid c1)/ns/net) = $(stat -Lc %i /run/netns/box) ]
            oci checkpoint --tcp-established --image-path /img/2 c1
            $ip netns delete box
            """)
        self.refused("coffer-oci restore -d --image-path /img/2 c1", "/run/netns/box", "No such file")
        self.expect_nothing()

    def test_ext_unix_sk(self):
        self.script("/payload collect /vol/sock /vol/n >/dev/null 2>&1 & soon test -S /vol/sock")
        # criu looks for the other end in the same network namespace.
        self.start("dgram", "/vol/sock", mounts=[bind("/vol", "/vol", "rw")],
                   namespaces=["pid", "ipc", "uts", "mount"])
        self.script("grows /vol/n 5")
        self.refused("coffer-oci checkpoint --image-path /img/1 c1", "ext-unix-sk")
        self.script("""
            grows /vol/n $(number /vol/n)
            oci checkpoint --ext-unix-sk --image-path /img/2 c1
            sleep 0.2
            n=$(number /vol/n)
            oci restore -d --ext-unix-sk --image-path /img/2 c1
            grows /vol/n $n
            """)

    def test_file_locks(self):
        self.start("lock", "/vol/lock", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("grows /vol/n 5")
        self.refused("coffer-oci checkpoint --image-path /img/1 c1", "file-locks")
        self.script("""
            grows /vol/n $(number /vol/n)
            ! flock -n /vol/lock true || fail "not locked"
            oci checkpoint --file-locks --image-path /img/2 c1
            flock -n /vol/lock true || fail "still locked"
            n=$(number /vol/n)
            oci restore -d --file-locks --image-path /img/2 c1
            grows /vol/n $n
            ! flock -n /vol/lock true || fail "not locked again"
            """)

    def test_terminal(self):
        self.bundle("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")],
                    process={"terminal": True})
        self.script("""
            /payload console /img/sock1 /img/out1 >/dev/null 2>&1 &
            /payload console /img/sock2 /img/out2 >/dev/null 2>&1 &
            soon listens /img/sock1
            soon listens /img/sock2
            oci run -d --console-socket /img/sock1 c1
            grows /vol/n 5
            oci checkpoint --shell-job --image-path /img/a c1
            n=$(number /vol/n)
            oci restore -d --shell-job --console-socket /img/sock2 --image-path /img/a c1
            grows /vol/n $((n + 5))
            soon test -s /img/out1
            [ $(head -n 1 /img/out1 | tr -d '\\r') = 1 ]
            soon grep -q "^$((n + 3))" /img/out2
            [ "$(coffer-oci exec c1 /payload link /proc/1/fd/0)" = /dev/pts/0 ]
            """)
        self.script("oci checkpoint --image-path /img/b c1")
        self.refused("coffer-oci restore -d --image-path /img/b c1", "console")
        self.expect_nothing()

    # --- what the container is made of ---

    def test_mounts(self):
        """Binds below binds and below a tmpfs, files, a link on the way; a fresh root."""
        self.script("mkdir -p /vol/a /vol/b; echo one >/vol/file; ln -s /run b/rootfs/varrun || "
                    "ln -s /run rootfs/varrun")
        mounts = [bind("/vol", "/vol", "rw"), bind("/vol/b", "/vol/a", "ro"),
                  bind("/vol/file", "/etc/file", "ro"), bind("/vol/b", "/varrun/secrets", "rw"),
                  bind("/vol/b", "/dev/shm/b", "rw")]
        self.start("count", "/run/secrets/n", mounts=mounts)
        self.script("""
            inside() { coffer-oci exec c1 /payload "$@"; }
            grows /vol/b/n 5
            inside cat /proc/self/mountinfo | cut -d' ' -f4-6 | sort >/img/before
            oci checkpoint --image-path /img/a c1
            n=$(number /vol/b/n)
            rm -rf rootfs; mkdir rootfs; cp /payload rootfs; ln -s /run rootfs/varrun
            oci restore -d --image-path /img/a c1
            grows /vol/b/n $n
            inside cat /proc/self/mountinfo | cut -d' ' -f4-6 | sort >/img/after
            cmp /img/before /img/after || { diff /img/before /img/after; exit 1; }
            [ "$(inside cat /etc/file)" = one ]
            [ -z "$(inside cat /proc/kcore)" ] || fail "/proc/kcore is open"
            """)

    def test_confined(self):
        """An ordinary user, few rights, a filter, a read-only root, all namespaces."""
        self.script("chmod 777 /vol")
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")],
                   namespaces=["pid", "network", "ipc", "uts", "mount", "cgroup"],
                   root={"path": "rootfs", "readonly": True},
                   process={"user": {"uid": 1000, "gid": 1000, "additionalGids": [5]},
                            "noNewPrivileges": True,
                            "capabilities": {"bounding": ["CAP_KILL"]},
                            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]},
                   linux={"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                       {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}})
        self.script("""
            facts() { grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:)' /proc/$(pid c1)/status
                      grep -E 'open files' /proc/$(pid c1)/limits
                      grep ' / / ' /proc/$(pid c1)/mountinfo | cut -d' ' -f6; }
            grows /vol/n 5
            facts >/img/before
            oci checkpoint --image-path /img/a c1
            n=$(number /vol/n)
            oci restore -d --image-path /img/a c1
            grows /vol/n $n
            facts >/img/after
            cmp /img/before /img/after || { diff /img/before /img/after; exit 1; }
            """)

    def test_notify_socket(self):
        """The place of a socket for sd_notify(3) is there again, with and without a listener."""
        self.bundle("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            export NOTIFY_SOCKET=/img/nobody
            oci run -d c1
            grows /vol/n 5
            oci checkpoint --image-path /img/a c1
            n=$(number /vol/n)
            unset NOTIFY_SOCKET
            oci restore -d --image-path /img/a c1
            grows /vol/n $n
            coffer-oci exec c1 /payload stat /img/nobody
            oci checkpoint --image-path /img/b c1
            """)
        self.expect_nothing()

    def test_user_namespace(self):
        """Its root is nobody outside: nodes are bound, and the control groups."""
        ids = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        self.script("chown -R 100000:100000 /b/rootfs")
        self.bundle("count", "/run/n",
                    namespaces=["pid", "network", "ipc", "uts", "mount", "user"],
                    linux={"uidMappings": ids, "gidMappings": ids})
        self.script("""
            oci run -d c1 2>/dev/null
            number() { echo $((10#$(coffer-oci exec c1 /payload cat $1 || echo 0))); }
            grows /run/n 5
            oci checkpoint --leave-running --image-path /img/x c1
            n=$(number /run/n)
            oci checkpoint --image-path /img/a c1
            oci restore -d --image-path /img/a c1 2>/img/err || fail "$(cat /img/err)"
            grows /run/n $n
            grep -q '^Uid:.*100000' /proc/$(pid c1)/status
            """)

    def test_cgroup_modes(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            for mode in soft full ignore strict; do
                grows /vol/n 0
                oci checkpoint --manage-cgroups-mode $mode --image-path /img/$mode c1
                n=$(number /vol/n)
                # Strict is content only when the group is not there; ours is there by then.
                again=$mode; [ $mode != strict ] || again=soft
                oci restore -d --manage-cgroups-mode $again --image-path /img/$mode c1
                grows /vol/n $n
                case $(cat /proc/$(pid c1)/cgroup) in *c1*) ;; *) fail "$mode: not in it" ;; esac
            done
            """)
        self.refused("oci checkpoint --image-path /img/x c1; coffer-oci restore -d "
                     "--manage-cgroups-mode strict --image-path /img/x c1", "existing cgroups")
        self.refused("coffer-oci checkpoint --manage-cgroups-mode other --image-path /img/x c1",
                     "--manage-cgroups-mode")

    def test_hooks(self):
        hook = {"path": "/bin/sh", "args": ["sh", "-c", "echo $0 >>/img/hooks; cat >/img/$0"]}
        named = lambda name: [{**hook, "args": [*hook["args"], name]}]
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")],
                   hooks={n: named(n) for n in ("prestart", "createRuntime", "poststop")})
        self.script("""
            grows /vol/n 5
            rm /img/hooks
            oci checkpoint --image-path /img/a c1
            [ "$(cat /img/hooks)" = poststop ] || fail "$(cat /img/hooks)"
            rm /img/hooks
            oci restore -d --image-path /img/a c1
            [ "$(echo $(cat /img/hooks))" = "prestart createRuntime" ] || fail "$(cat /img/hooks)"
            grep -q "\\"pid\\": *$(pid c1)[,}]" /img/createRuntime || fail "$(cat /img/createRuntime)"
            """)

    # --- memory by other ways ---

    def test_page_server(self):
        self.start("count", "/vol/n", "8", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            mkdir /img/there /img/here
            criu page-server --images-dir /img/there --address 127.0.0.1 --port 2727 --daemon \\
                --log-file /img/server.log
            grows /vol/n 5
            oci checkpoint --page-server 127.0.0.1:2727 --image-path /img/here c1
            soon ended '[c]riu page-server'
            [ ! -e /img/here/pages-1.img ] || fail "memory is here"
            cp /img/there/*.img /img/here
            n=$(number /vol/n)
            oci restore -d --image-path /img/here c1
            grows /vol/n $n
            """)
        for where in ("here", ":27", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:99999"):
            self.refused(f"coffer-oci checkpoint --page-server {where} --image-path /img/x c1",
                         "--page-server", where)

    def test_lazy_pages(self):
        self.start("count", "/vol/n", "8", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            mkdir /img/a
            mkfifo /img/ready
            grows /vol/n 5
            coffer-oci checkpoint --lazy-pages --page-server 127.0.0.1:2728 --status-fd 9 \\
                --image-path /img/a c1 9>/img/ready & dump=$!
            [ $(head -c 1 /img/ready | wc -c) = 1 ] || fail "no word of readiness"
            cp -a /img/a /img/b
            criu lazy-pages --page-server --address 127.0.0.1 --port 2728 --images-dir /img/b \\
                --work-dir /img/b -o lazy.log & lazy=$!
            soon listens lazy-pages.socket
            n=$(number /vol/n)
            oci restore -d --lazy-pages --image-path /img/b c2
            grows /vol/n $n
            wait $dump
            wait $lazy
            """)


class CheckpointV1(InMachine):
    """The same on control groups of version 1."""

    WORDS = "cgroup=v1"

    def test_goes_on_where_it_was(self):
        self.start("count", "/vol/n", mounts=[bind("/vol", "/vol", "rw")])
        self.script("""
            grows /vol/n 5
            coffer-oci exec c1 /payload ls /sys/fs/cgroup | sort >/img/before
            oci checkpoint --image-path /img/a c1
            n=$(number /vol/n)
            """)
        self.expect_nothing()
        self.script("""
            n=$(number /vol/n)
            oci restore -d --image-path /img/a c1
            grows /vol/n $n
            group=$(sed -n 's/.*:memory://p' /proc/$(pid c1)/cgroup)
            [ $(cat /sys/fs/cgroup/memory/$group/memory.limit_in_bytes) = 67108864 ]
            coffer-oci exec c1 /payload ls /sys/fs/cgroup | sort >/img/after
            cmp /img/before /img/after || { diff /img/before /img/after; exit 1; }
            coffer-oci pause c1
            oci checkpoint --leave-running --image-path /img/b c1
            [ $(status c1) = paused ]
            coffer-oci resume c1
            grows /vol/n $n
            """)


class CheckpointBoth(CheckpointV1):
    """The same with version 2 beside them, which then freezes."""

    WORDS = "cgroup=both"


if __name__ == "__main__":
    main()
