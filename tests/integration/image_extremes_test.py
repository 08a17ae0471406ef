# SPDX-License-Identifier: Apache-2.0
"""Images at the edge of what there is, from a registry on to what sees them: a file system check,
another registry, or a program in a machine.

COFFER_GUEST: set where machines can be started.
"""

import gzip
import io
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile

import image_box
import image_pull_test
import registry_box
from image_pull_test import Coffer, Made, cat, layer, raw_digest, skopeo, write_index
from registry_box import PASSWORD, USER, bcrypt, case, expect, main, sha256

# Those of whom the helpers are run by themselves.
registry_box.CASES.clear()

GIB = 1 << 30
DUMPE2FS = shutil.which("dumpe2fs", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
PAYLOAD = os.environ.get("COFFER_PAYLOAD")


def run(args, **more):
    r = subprocess.run(args, capture_output=True, timeout=300, **more)
    expect(r.returncode == 0, args, r.stdout, r.stderr)
    return r.stdout


def header(path, word):
    """A number of the super block."""
    for line in run([DUMPE2FS, "-h", path], text=True).splitlines():
        if line.startswith(word + ":"):
            return int(line.split(":")[1])
    raise AssertionError(word)


def pushed(box, registry, image):
    """A name in @registry for it, by skopeo."""
    write_index(f"{box.dir}/layout", [image])
    skopeo("copy", "--dest-tls-verify=false", f"oci:{box.dir}/layout:t",
           f"docker://{registry.host}/a/b:t")
    return f"{registry.host}/a/b:t"


# --- many ---

@case
def layers_127(box):
    """As many as docker stacks: each replaces a file, adds one, and some take one away."""
    raws = []
    for n in range(127):
        entries = [("top", b"%d" % n), (f"own{n}", b"x" * n)]
        if n % 3 == 2:
            entries.append((f".wh.own{n - 1}", b""))
        raws.append(layer(*entries))
    image, registry, other = Made(*raws), box.debian(), box.debian()
    coffer, name = Coffer(box.path("coffer")), pushed(box, registry, image)
    coffer.ok("pull", name)
    root = coffer.root(name)
    expect(cat(root, "/top") == b"126", cat(root, "/top"))
    listed = run([image_pull_test.DEBUGFS, "-R", "ls -p /", root], text=True)
    have = {int(line.split("/")[5][3:]) for line in listed.splitlines() if "/own" in line}
    expect(have == {n for n in range(127) if not (n % 3 == 1 and n < 126)}, sorted(have))
    coffer.ok("tag", name, f"{other.host}/c:t")
    coffer.ok("push", f"{other.host}/c:t")
    expect(raw_digest(f"{other.host}/c:t") == raw_digest(name), "digests differ")
    coffer.check()


def header_of(name, size=0, kind=b"0"):
    """A block of ustar, as fast as a test can make it."""
    block = bytearray(struct.pack("100s8s8s8s12s12s8s1s100s6s2s32s32s183s", name.encode(),
                                  b"0000644", b"0000000", b"0000000", b"%011o" % size,
                                  b"14500000000", b" " * 8, kind, b"", b"ustar", b"00", b"", b"",
                                  b""))
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@case
def files_200000(box):
    """Half of them in one directory."""
    out = io.BytesIO()
    for n in range(100000):
        out.write(header_of(f"one/file-{n}"))
    for n in range(100000):
        if n % 1000 == 0:
            out.write(header_of(f"many/{n // 1000}/", kind=b"5"))
        out.write(header_of(f"many/{n // 1000}/file-{n}"))
    out.write(bytes(1024))
    image = Made(out.getvalue())
    fake, coffer = box.fake(image), Coffer(box.path("coffer"))
    coffer.ok("pull", f"{fake.host}/a/b:t")
    root = coffer.root(f"{fake.host}/a/b:t")
    used = header(root, "Inode count") - header(root, "Free inodes")
    # Directories are one/, many/, those in it, and the eleven inodes that are reserved.
    expect(200000 + 102 + 10 <= used <= 200000 + 102 + 12, used)
    expect(os.stat(root).st_blocks * 512 < 200 << 20, os.stat(root))


# --- the same, always ---

@case
def same_bytes(box):
    """Whoever builds it, when, and in whatever order of its layers' arrival."""
    base = layer(("d", None), ("d/a", os.urandom(300000)), ("d/b", b"b"), ("e", b"e" * 5000))
    image = Made(base, layer(("d/.wh.b", b""), ("d/c", b"c")), layer(("f", os.urandom(100000))))
    fake, found = box.fake(image), set()
    for extra in ({}, {"TZ": "Pacific/Auckland", "LC_ALL": "C.UTF-8"}, {"SOURCE_DATE_EPOCH": "1"}):
        coffer = Coffer(box.path("coffer"))
        coffer.env.update(extra)
        coffer.ok("pull", "--parallel", "4" if extra else "1", f"{fake.host}/a/b:t")
        root = coffer.root(f"{fake.host}/a/b:t")
        with open(root, "rb") as f:
            found.add((os.path.basename(root), sha256(f.read())))
    expect(len(found) == 1, found)


# --- what others build, and who may have it ---

@case
def built_by_podman(box):
    """From a Dockerfile, with a program run in it; its id is the same by registry and by archive."""
    if not shutil.which("podman") or os.geteuid() != 0:
        print("skipped: built_by_podman: needs podman and root")
        return
    # It takes no long name for the directory of what runs.
    with tempfile.TemporaryDirectory(prefix="ip-", dir="/tmp") as where:
        podman = ["podman", "--root", f"{where}/storage", "--runroot", f"{where}/run", "--tmpdir",
                  f"{where}/tmp", "--cgroup-manager", "cgroupfs", "--events-backend", "none",
                  "--storage-driver", "vfs"]
        build_and_compare(box, podman)


def build_and_compare(box, podman):
    context = f"{box.dir}/context"
    os.makedirs(context)
    with open(f"{context}/root.tar", "wb") as f:
        f.write(image_box.busybox())
    with open(f"{context}/Dockerfile", "w", encoding="ascii") as f:
        f.write("FROM scratch\nADD root.tar /\nENV A=b\nRUN echo made > /made && rm /gone\n"
                "USER app\nENTRYPOINT [\"cat\", \"/made\"]\n")
    registry, coffer = box.debian(), Coffer(box.path("coffer"))
    name = f"{registry.host}/a/b:t"
    run([*podman, "build", "--isolation", "chroot", "-t", name, context])
    wanted = "sha256:" + run([*podman, "image", "inspect", "--format", "{{.Id}}", name],
                             text=True).strip()
    run([*podman, "push", "--tls-verify=false", name])
    run([*podman, "save", "-o", f"{box.dir}/saved.tar", name])

    coffer.ok("pull", name)
    said = coffer.inspect(name)
    expect(said["Id"] == wanted, said["Id"], wanted)
    expect(said["Digest"] == raw_digest(name), said["Digest"])
    expect(said["Config"]["User"] == "app" and "A=b" in said["Config"]["Env"], said)
    root = coffer.root(name)
    expect(cat(root, "/made") == b"made\n" and cat(root, "/gone") == b"", "its files")

    loaded = Coffer(box.path("coffer"))
    loaded.ok("load", "-i", f"{box.dir}/saved.tar")
    expect(loaded.inspect(name)["Id"] == wanted, loaded.inspect(name)["Id"], wanted)
    loaded.check()


@case
def logged_in(box):
    """TLS and htpasswd, by login: there and back with skopeo, and nothing after logout."""
    with open(f"{box.dir}/htpasswd", "w", encoding="ascii") as f:
        f.write(f"{USER}:{bcrypt(PASSWORD)}\n")
    registry = box.debian(tls=box.tls, auth={"htpasswd": {"realm": "r",
                                                          "path": f"{box.dir}/htpasswd"}})
    certs = f"{box.dir}/certs"
    os.makedirs(certs)
    shutil.copy(box.tls.ca, certs + "/ca.crt")
    who = f"{USER}:{PASSWORD}"
    image, coffer = Made(layer(("a", b"1")), layer(("b", b"2"))), Coffer(box.path("coffer"))
    with open(coffer.env["COFFER_REGISTRIES"], "w", encoding="ascii") as f:
        f.write('{"registries": {"%s": {"ca": "%s"}}}' % (registry.host, box.tls.ca))
    write_index(f"{box.dir}/layout", [image])
    skopeo("copy", "--dest-creds", who, "--dest-cert-dir", certs, f"oci:{box.dir}/layout:t",
           f"docker://{registry.host}/a/b:t")
    name, back = f"{registry.host}/a/b:t", f"{registry.host}/c/d:t"

    expect("log in" in coffer.fails("pull", name), "pulled by nobody")
    login = [os.environ["COFFER_BIN"] + "/coffer", "login", "-u", USER, "--password-stdin",
             registry.host]
    run(login, input=PASSWORD.encode(), env=coffer.env)
    r = subprocess.run(login, input=b"wrong", env=coffer.env, capture_output=True, check=False)
    expect(r.returncode != 0 and registry.host.encode() in r.stderr, r)
    expect(os.stat(coffer.env["REGISTRY_AUTH_FILE"]).st_mode & 0o77 == 0, "for all to read")
    coffer.ok("pull", name)
    coffer.ok("tag", name, back)
    coffer.ok("push", back)
    raw = [skopeo("inspect", "--raw", "--creds", who, "--cert-dir", certs, "docker://" + n)
           for n in (name, back)]
    expect(raw[0] == raw[1] and sha256(raw[0]) == coffer.inspect(name)["Digest"], raw)
    coffer.ok("logout", registry.host)
    expect("log in" in coffer.fails("push", back), "pushed by nobody")


# --- in a machine ---

def big_tar(box, kind):
    """A file of 2 GiB with four bytes in its middle and at its end."""
    path = f"{box.dir}/big-{kind}"
    with open(path, "wb") as f:
        f.truncate(2 * GIB)
        f.seek(GIB)
        f.write(b"half")
        f.seek(2 * GIB - 4)
        f.write(b"tail")
    return run(["tar", "-C", box.dir, "-S", f"--format={kind}", "-c", f"big-{kind}"])


def privileged():
    with open(PAYLOAD, "rb") as f:
        program = f.read()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, mode in (("plain", 0o755), ("suid", 0o4755), ("sgid", 0o2755), ("able", 0o755)):
            info = tarfile.TarInfo(name)
            info.mode, info.size = mode, len(program)
            if name == "sgid":
                info.gid = 10
            if name == "able":  # cap_chown+ep, in the second form
                value = struct.pack("<5I", 0x02000001, 1, 0, 0, 0).decode()
                info.pax_headers = {"SCHILY.xattr.security.capability": value}
            tar.addfile(info, io.BytesIO(program))
    return out.getvalue()


SEEN = """for p in plain suid sgid able; do /$p status Uid: Gid: CapEff:; done
for f in /big-gnu /big-posix; do
	busybox stat -c %s $f
	busybox dd if=$f bs=4096 skip=262144 count=1 2> /dev/null | busybox head -c 4; echo
	busybox tail -c 4 $f; echo
done
"""


@case
def seen_inside(box):
    """Programs that have rights of their own have them, and holes are as large as they are."""
    if not os.environ.get("COFFER_GUEST"):
        print("skipped: seen_inside: no machines here")
        return
    image = Made(image_box.busybox(), privileged(), big_tar(box, "gnu"), big_tar(box, "posix"))
    fake, coffer = box.fake(image), Coffer(box.path("coffer"))
    name = f"{fake.host}/a/b:t"
    coffer.env["COFFER_RUN"] = f"{box.dir}/run"
    coffer.ok("pull", name)
    expect(os.stat(coffer.root(name)).st_blocks * 512 < 64 << 20, "holes take room")
    lines = coffer.ok("run", "--rm", "--user", "app", name, "sh", "-c", SEEN).split("\n")
    words = [line.split() for line in lines]
    want = {"plain": ("1000", "1001", 0), "suid": ("0", "1001", None), "sgid": ("1000", "10", 0),
            "able": ("1000", "1001", 1)}
    for n, (program, (uid, gid, caps)) in enumerate(want.items()):
        found = words[3 * n:3 * n + 3]
        expect(found[0][:3] == ["Uid:", "1000", uid], program, found)
        expect(found[1][:3] == ["Gid:", "1001", gid], program, found)
        able = int(found[2][1], 16)
        expect(able == caps if caps is not None else able > 1, program, found)
    expect(lines[12:18] == [str(2 * GIB), "half", "tail"] * 2, lines[12:])


if __name__ == "__main__":
    if not image_pull_test.FSCK or not image_pull_test.DEBUGFS or not DUMPE2FS:
        print("skipped: needs e2fsck, debugfs and dumpe2fs")
        sys.exit(77)
    sys.exit(main("docker-registry", "skopeo", "openssl", "tar"))
