# SPDX-License-Identifier: Apache-2.0
"""Registries on this machine's loopback: Debian's, and one that does what a test tells it to."""

import base64
import concurrent.futures
import contextlib
import ctypes
import gzip
import hashlib
import http.server
import io
import json
import os
import random
import shutil
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import traceback

DRIVER = os.environ["COFFER_DRIVER"]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
USER, PASSWORD = "ann", "s3cret"


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def basic(user=USER, password=PASSWORD):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def bcrypt(password):
    """As htpasswd wants it; by libcrypt, since Python's module for that goes away."""
    lib = ctypes.CDLL("libcrypt.so.1")
    lib.crypt.restype = ctypes.c_char_p
    return lib.crypt(password.encode(), b"$2b$04$" + b"abcdefghijklmnopqrstuu").decode()


def free_port():
    """One that nobody has, of those that the kernel gives nobody who does not ask for it."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as f:
        first = int(f.read().split()[0])
    while True:
        port = random.SystemRandom().randrange(first // 2, first)
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def refusing_port():
    """One where nobody listens, and meanwhile nobody else can."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        yield s.getsockname()[1]


def listens(pid, port):
    """Whether it is this process that takes connections there, not just anybody."""
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f]
    wanted = {f"socket:[{row[9]}]" for row in rows
              if row[3] == "0A" and row[1].endswith(f":{port:04X}")}
    found = False
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            found = found or os.readlink(f"/proc/{pid}/fd/{fd}") in wanted
    return found


def serve(start):
    """Runs a registry: @start makes the process for a port. Return: both, once it takes
    connections"""
    for _ in range(5):  # somebody else may have been quicker to take the port
        port = free_port()
        process = start(port)
        while process.poll() is None:
            if listens(process.pid, port):
                return process, port
            time.sleep(0.05)
    raise RuntimeError("docker-registry does not start")


class Image:
    """An image of one layer for each size, as blobs by digest."""

    def __init__(self, *sizes, tag="t"):
        self.blobs, self.layers, ids = {}, [], []
        for n, size in enumerate(sizes):
            raw = io.BytesIO()
            with tarfile.open(fileobj=raw, mode="w") as tar:
                info = tarfile.TarInfo(f"file{n}")
                info.size = size
                tar.addfile(info, io.BytesIO(os.urandom(size)))
            ids.append(sha256(raw.getvalue()))
            self.layers.append(self.add(gzip.compress(raw.getvalue(), 0),
                                        "application/vnd.oci.image.layer.v1.tar+gzip"))
        self.config = self.add(json.dumps({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": ids}}).encode(),
            "application/vnd.oci.image.config.v1+json")
        self.manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST,
                                    "config": self.config, "layers": self.layers}).encode()
        self.digest, self.tag = sha256(self.manifest), tag

    def add(self, data, media_type):
        self.blobs[sha256(data)] = data
        return {"mediaType": media_type, "digest": sha256(data), "size": len(data)}

    def layer(self, n=0):
        return self.layers[n]["digest"]

    def write_layout(self, path):
        os.makedirs(f"{path}/blobs/sha256")
        blobs = dict(self.blobs, **{self.digest: self.manifest})
        for digest, data in blobs.items():
            with open(f"{path}/blobs/sha256/{digest[7:]}", "wb") as f:
                f.write(data)
        with open(f"{path}/oci-layout", "w") as f:
            f.write('{"imageLayoutVersion":"1.0.0"}')
        with open(f"{path}/index.json", "w") as f:
            json.dump({"schemaVersion": 2, "manifests": [{
                "mediaType": MANIFEST, "digest": self.digest, "size": len(self.manifest),
                "annotations": {"org.opencontainers.image.ref.name": self.tag}}]}, f)


class Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status, code, message, **headers):
        self.reply(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(),
                   Content_Type="application/json", **headers)

    def cut(self):
        """Breaks the connection off, in the middle of whatever was said."""
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def handle_any(self):
        fake = self.server.fake
        with fake.lock:
            fake.log.append((self.command, self.path, dict(self.headers), time.monotonic()))
        try:
            for rule in fake.rules:
                if rule(self):
                    return
            fake.serve(self)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_CONNECT = handle_any


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # who finds it full tries again only after a second
    fake = None

    def handle_error(self, request, client_address):
        """Connections that break off are what this is about."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Fake:
    """A registry; its rules are asked first and say whether they have answered."""

    def __init__(self, image=None, tls=None, mutual=False):
        self.image, self.rules, self.log, self.lock = image, [], [], threading.Lock()
        self.got, self.uploads, self.begun = {}, {}, 0
        self.server = Server(("127.0.0.1", 0), Request)
        self.server.fake = self
        self.port = self.server.server_address[1]
        self.scheme = "https" if tls else "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.cert, tls.key)
            if mutual:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(tls.ca)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.host = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def rule(self, method, part, times=None):
        """Decorates what answers a method on paths that contain part, some times or always."""
        left = [times]

        def add(fn):
            def guarded(q):
                if q.command not in method.split("|") or part not in q.path:
                    return False
                with self.lock:
                    if left[0] == 0:
                        return False
                    if left[0] is not None:
                        left[0] -= 1
                return fn(q) is not False
            self.rules.append(guarded)
            return fn
        return add

    def asked(self, method, part):
        with self.lock:
            return [e for e in self.log if e[0] == method and part in e[1]]

    def serve(self, q):
        """As a registry does, more or less."""
        path = q.path.partition("?")[0]
        name = path.split("/")[-1]
        if path.rstrip("/") == "/v2":
            return q.reply(200, b"{}")
        if "/uploads/" in path or q.command in ("POST", "PUT", "PATCH"):
            return self.take(q)
        if "/manifests/" in path and self.image and name in (self.image.tag, self.image.digest):
            return q.reply(200, self.image.manifest, Content_Type=MANIFEST,
                           Docker_Content_Digest=self.image.digest)
        blob = self.image.blobs.get(name) if self.image and "/blobs/" in path else None
        if blob is None:
            return q.error(404, "UNKNOWN", "not known")
        wanted = q.headers.get("Range")
        if not wanted:
            return q.reply(200, blob, Accept_Ranges="bytes")
        first = int(wanted[len("bytes="):-1])
        return q.reply(206, blob[first:],
                       Content_Range=f"bytes {first}-{len(blob) - 1}/{len(blob)}")

    def upload(self):
        """Where a new one goes."""
        with self.lock:
            self.begun += 1
            where = f"/up/uploads/{self.begun}"
            self.uploads[where] = b""
        return where

    def take(self, q):
        path, _, query = q.path.partition("?")
        if q.command == "PUT" and "/manifests/" in path:
            body = q.body()
            self.got[path.split("/")[-1]] = body
            return q.reply(201, Docker_Content_Digest=sha256(body))
        if q.command == "POST":
            return q.reply(202, Location=self.upload())
        have = self.uploads.get(path)
        if have is None:
            return q.error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload")
        if q.command != "GET":
            have += q.body()
            self.uploads[path] = have
        at = {"Location": path, "Range": f"0-{max(len(have), 1) - 1}"}
        if q.command == "PUT":
            digest = query.split("digest=")[1]
            if sha256(have) != digest:
                return q.error(400, "DIGEST_INVALID", "wrong digest")
            self.got[digest] = have
            return q.reply(201, Docker_Content_Digest=digest)
        return q.reply(204 if q.command == "GET" else 202, **at)


class Certificates:
    """An authority and a certificate of it for this machine, made by openssl."""

    def __init__(self, path):
        os.makedirs(path)
        self.ca, ca_key = f"{path}/ca.pem", f"{path}/ca.key"
        self.cert, self.key = f"{path}/host.pem", f"{path}/host.key"
        with open(f"{path}/ext", "w") as f:
            f.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        new = ["-newkey", "rsa:2048", "-nodes", "-subj"]
        for args in (["req", "-x509", *new, "/CN=test", "-keyout", ca_key, "-out", self.ca,
                      "-days", "2"],
                     ["req", *new, "/CN=localhost", "-keyout", self.key, "-out", f"{path}/csr"],
                     ["x509", "-req", "-in", f"{path}/csr", "-CA", self.ca, "-CAkey", ca_key,
                      "-CAcreateserial", "-extfile", f"{path}/ext", "-days", "2",
                      "-out", self.cert]):
            subprocess.run(["openssl", *args], check=True, capture_output=True)


class Debian:
    """docker-registry with its data in a directory."""

    def __init__(self, path, tls=None, auth=None):
        os.makedirs(path)
        self.path, self.log_path = path, f"{path}/log"
        # JSON is YAML. One with a config version 0.1 takes it as a string only.
        config = {"version": "0.1", "log": {"level": "error"},
                  "storage": {"filesystem": {"rootdirectory": f"{path}/data"}},
                  "http": {"secret": "x"}}
        if tls:
            config["http"]["tls"] = {"certificate": tls.cert, "key": tls.key}
        if auth:
            config["auth"] = auth

        def start(port):
            self.host = config["http"]["addr"] = f"127.0.0.1:{port}"
            with open(f"{path}/config.yml", "w") as f:
                json.dump(config, f)
            with open(self.log_path, "w") as log:
                return subprocess.Popen(["docker-registry", "serve", f"{path}/config.yml"],
                                        stdout=log, stderr=log, cwd=path)

        self.process, self.port = serve(start)

    def log(self):
        """Lines of requests, without what comes from the registry itself."""
        return [line for line in open(self.log_path).read().splitlines() if "/v2/" in line]

    def close(self):
        self.process.kill()
        self.process.wait()


class Client:
    """The driver with a store, settings and passwords of its own."""

    def __init__(self, path, settings=None, auths=None, xdg=None):
        os.makedirs(path)
        self.store = f"{path}/store"
        self.env = dict(os.environ, HOME=path, XDG_CONFIG_HOME=xdg or f"{path}/xdg",
                        COFFER_REGISTRIES=f"{path}/registries.json",
                        REGISTRY_AUTH_FILE=f"{path}/auth.json")
        for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            self.env.pop(name, None)
        with open(f"{path}/registries.json", "w") as f:
            json.dump({"registries": settings or {}}, f)
        with open(f"{path}/auth.json", "w") as f:
            json.dump({"auths": auths or {}}, f)

    def run(self, name, *args):
        """Lines of progress, and the last line."""
        r = subprocess.run([DRIVER, self.store, name, *args], env=self.env, text=True,
                           capture_output=True, timeout=300)
        lines = r.stdout.splitlines()
        assert lines and r.stderr == "", (r.returncode, r.stdout[-500:], r.stderr[-3000:])
        assert (r.returncode == 0) == lines[-1].startswith("ok "), (r.returncode, lines[-1])
        return lines[:-1], lines[-1]

    def blob(self, digest):
        return f"{self.store}/blobs/{digest.replace(':', '/')}"

    def has(self, image):
        """Whether all of it is there, to the byte."""
        for digest, data in dict(image.blobs, **{image.digest: image.manifest}).items():
            with open(self.blob(digest), "rb") as f:
                if f.read() != data:
                    return False
        return True


def auths(*hosts, user=USER, password=PASSWORD):
    return {h: {"auth": basic(user, password)[6:]} for h in hosts}


def missing(*programs):
    return [p for p in programs if not shutil.which(p)]


CASES = []


def case(fn):
    CASES.append(fn)
    return fn


class Box:
    """What a case has: a directory, fakes that are closed after it, a client."""

    def __init__(self, top, name, certificates):
        self.dir, self.tls, self.things, self.n = f"{top}/{name}", certificates, [], 0
        os.makedirs(self.dir)

    def path(self, word):
        self.n += 1
        return f"{self.dir}/{word}{self.n}"

    def fake(self, image=None, tls=False, mutual=False):
        self.things.append(Fake(image, self.tls if tls else None, mutual))
        return self.things[-1]

    def debian(self, **args):
        self.things.append(Debian(self.path("registry"), **args))
        return self.things[-1]

    def client(self, **args):
        return Client(self.path("client"), **args)

    def close(self):
        for t in self.things:
            t.close()


def expect(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


def pull_ok(client, fake, image, *args):
    lines, end = client.run(f"{fake.host}/a/b:t", "pull", *args)
    expect(end.startswith(f"ok {image.digest} {len(image.manifest)} {MANIFEST}"), end)
    expect(client.has(image), "what was pulled is something else")
    return lines


def pull_fails(client, fake, kind, *words, name="a/b:t", args=()):
    """One line, which says what of whom, and why."""
    lines, end = client.run(f"{fake.host}/{name}", "pull", *args)
    expect(end.startswith(f"error {kind} "), end)
    for word in (fake.host, *words):
        expect(word in end, f"{word!r} is not in {end!r}")
    return lines


def parts(client):
    return os.listdir(f"{client.store}/parts")


def run_case(fn, top, certificates):
    box = Box(top, fn.__name__, certificates)
    try:
        fn(box)
        return None
    except Exception:
        return traceback.format_exc()
    finally:
        box.close()


def main(*programs):
    """Runs the cases that the command line names, or all; what they need is in programs."""
    absent = missing(*programs)
    if absent:
        print("skipped: needs", " ".join(absent))
        return 77
    chosen = [c for c in CASES if not sys.argv[1:] or c.__name__ in sys.argv[1:]]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="coffer-registry-") as top:
        certificates = Certificates(top + "/tls")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = [(c, pool.submit(run_case, c, top, certificates)) for c in chosen]
            for c, result in results:
                fault = result.result()
                print("FAIL" if fault else "ok", c.__name__)
                failed += bool(fault)
                if fault:
                    print(fault)
    print(f"{len(chosen) - failed} of {len(chosen)}")
    return 1 if failed else 0
