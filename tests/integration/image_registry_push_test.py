# SPDX-License-Identifier: Apache-2.0
"""The registry client pushes; and Debian's registry with TLS, passwords and tokens, where what it
pushes and pulls is what skopeo does.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.parse

from registry_box import (PASSWORD, USER, Image, auths, basic, bcrypt, case, expect, main,
                          pull_fails, pull_ok, sha256)

# --- pushing ---

def push_ok(client, source, target, image, *args):
    lines, end = client.run(target, "push", "from=" + source, *args)
    expect(end.startswith("ok " + image.digest), end)
    return lines


@case
def push_resumed(box):
    """An upload that breaks off is asked how far it got, and goes on there."""
    image = Image(1000000)
    source, target, client = box.fake(image), box.fake(), box.client()
    pull_ok(client, source, image)

    @target.rule("PUT", "/up/uploads/", times=1)
    def cut(q):
        target.uploads[q.path.partition("?")[0]] += q.rfile.read(400000)
        q.cut()

    # Of two blobs one is hit, whichever comes first.
    push_ok(client, f"{source.host}/a/b:t", f"{target.host}/c:t", image, "parallel=1")
    for digest, data in image.blobs.items():
        expect(target.got[digest] == data, digest)
    expect(target.got["t"] == image.manifest, target.got.keys())
    ranges = [e[2]["Content-Range"] for e in target.asked("PATCH", "/up/")]
    expect(ranges == [f"400000-{len(image.blobs[image.layer()]) - 1}"], ranges)


@case
def push_restarted(box):
    """A registry that has forgotten the upload gets it again."""
    image = Image(500000)
    source, target, client = box.fake(image), box.fake(), box.client()
    pull_ok(client, source, image)

    @target.rule("PUT", "/up/uploads/", times=1)
    def forget(q):
        target.uploads.pop(q.path.partition("?")[0])
        q.cut()

    push_ok(client, f"{source.host}/a/b:t", f"{target.host}/c:t", image)
    expect(all(target.got[d] == data for d, data in image.blobs.items()), "something else came")


@case
def push_elsewhere(box):
    """An upload to another host, which is not told who we are."""
    image = Image(5000)
    source, target, other = box.fake(image), box.fake(), box.fake()
    client = box.client(auths=auths(target.host))
    pull_ok(client, source, image)

    @target.rule("GET|HEAD|POST|PUT", "/v2/")
    def guard(q):
        if q.headers.get("Authorization") == basic():
            return False
        q.body()
        q.reply(401, WWW_Authenticate='Basic realm="here"')

    @target.rule("POST", "/uploads/")
    def elsewhere(q):
        q.reply(202, Location=f"http://{other.host}{other.upload()}?state=5")

    push_ok(client, f"{source.host}/a/b:t", f"{target.host}/c:t", image)
    expect(sorted(other.got) == sorted(image.blobs), other.got.keys())
    expect(all("?state=5&digest=" in e[1] and "Authorization" not in e[2] for e in other.log),
           other.log)


@case
def push_kept_nothing(box):
    """A registry that takes pieces and says that it has nothing: not for ever."""
    image = Image(70 << 20)
    source, target, client = box.fake(image), box.fake(), box.client()
    pull_ok(client, source, image)

    @target.rule("PATCH", "/up/")
    def nothing(q):
        q.body()
        q.reply(202, Location=q.path, Range="0-0")

    _, end = client.run(f"{target.host}/c:t", "push", f"from={source.host}/a/b:t")
    expect(end.startswith("error interrupted blob " + image.layer()) and "kept 0 of" in end, end)
    expect(len(target.asked("PATCH", "/up/")) < 10, len(target.log))


@case
def push_refused(box):
    image = Image(5000)
    source, target, client = box.fake(image), box.fake(), box.client()
    pull_ok(client, source, image)

    @target.rule("POST", "/uploads/")
    def refuse(q):
        q.error(403, "DENIED", "read only")

    _, end = client.run(f"{target.host}/c:t", "push", f"from={source.host}/a/b:t")
    expect(end.startswith("error invalid-state blob sha256:") and target.host in end and
           "read only" in end, end)
    expect("t" not in target.got, "a manifest without its blobs")


@case
def push_in_the_clear(box):
    """An upload that HTTPS begins does not go on over plain HTTP."""
    image = Image(5000)
    source, target = box.fake(image), box.fake(tls=True)
    client = box.client(settings={target.host: {"ca": box.tls.ca}})
    pull_ok(client, source, image)

    @target.rule("POST", "/uploads/")
    def elsewhere(q):
        q.reply(202, Location="http://192.0.2.7/up/1?state=5")

    _, end = client.run(f"{target.host}/c:t", "push", f"from={source.host}/a/b:t")
    expect(end.startswith("error ") and "over plain HTTP on 192.0.2.7" in end, end)


@case
def challenge_in_the_clear(box):
    """Who we are is not told to a token server that plain HTTP names, whatever that one speaks."""
    image = Image(1000)
    proxy, fake = box.fake(), box.fake(image)

    @proxy.rule("CONNECT", "")
    def no_tunnel(q):
        q.reply(405)

    @proxy.rule("HEAD|GET", "http://mirror.test/v2/")
    def guard(q):
        q.reply(401, WWW_Authenticate='Bearer realm="https://elsewhere.test/token"')

    client = box.client(settings={fake.host: {"mirrors": ["http://mirror.test"]}},
                        auths=auths("mirror.test"))
    client.env.update(http_proxy=f"http://{proxy.host}", https_proxy=f"http://{proxy.host}",
                      no_proxy="")
    lines = pull_ok(client, fake, image)
    expect([e[0] for e in proxy.log] == ["HEAD"], proxy.log)
    expect(any("password over plain HTTP" in line for line in lines), lines)


# --- Debian's registry, and skopeo ---

def skopeo(*args, **env):
    r = subprocess.run(["skopeo", "--insecure-policy", *args], capture_output=True,
                       env=dict(os.environ, **env))
    expect(r.returncode == 0, args, r.stderr.decode())
    return r.stdout


def skopeo_digest(name, *args):
    return sha256(skopeo("inspect", "--raw", *args, "docker://" + name))


@case
def debian_plain(box):
    """Pieces of a large upload, a mount from another repository, a pull of what came of it."""
    registry, client = box.debian(), box.client()
    image = Image(1000, 70 << 20)
    image.write_layout(box.dir + "/layout")
    skopeo("copy", "--dest-tls-verify=false", f"oci:{box.dir}/layout:t",
           f"docker://{registry.host}/a/b:t")
    pull_ok(client, registry, image)
    source = f"{registry.host}/a/b:t"
    lines = push_ok(client, source, f"{registry.host}/c/d:t", image, "mount=a/b")
    expect(len([x for x in lines if x.startswith("have ")]) == 3, lines)
    other = box.debian()
    push_ok(client, source, f"{other.host}/c/d:t", image)
    expect(skopeo_digest(f"{other.host}/c/d:t", "--tls-verify=false") == image.digest, "digest")
    skopeo("copy", "--src-tls-verify=false", f"docker://{other.host}/c/d:t", f"dir:{box.dir}/dir")
    for digest, data in image.blobs.items():
        with open(f"{box.dir}/dir/{digest[7:]}", "rb") as f:
            expect(f.read() == data, digest)
    lines = push_ok(client, source, f"{other.host}/c/d:u", image)
    expect(len([x for x in lines if x.startswith("have ")]) == 3, lines)


@case
def debian_password(box):
    """TLS with an authority of its own, and htpasswd."""
    with open(box.dir + "/htpasswd", "w") as f:
        f.write(f"{USER}:{bcrypt(PASSWORD)}\n")
    registry = box.debian(tls=box.tls, auth={"htpasswd": {"realm": "r",
                                                          "path": box.dir + "/htpasswd"}})
    certs = f"{box.dir}/xdg/containers/certs.d/{registry.host}"
    os.makedirs(certs)
    shutil.copy(box.tls.ca, certs + "/ca.crt")
    image, who = Image(1000, 2000000), f"{USER}:{PASSWORD}"
    image.write_layout(box.dir + "/layout")
    skopeo("copy", "--dest-creds", who, "--dest-cert-dir", certs, f"oci:{box.dir}/layout:t",
           f"docker://{registry.host}/a/b:t")

    settings = {registry.host: {"ca": box.tls.ca}}
    client = box.client(settings=settings, auths=auths(registry.host))
    pull_ok(client, registry, image)
    push_ok(client, f"{registry.host}/a/b:t", f"{registry.host}/e/f:t", image)
    expect(skopeo_digest(f"{registry.host}/e/f:t", "--creds", who, "--cert-dir", certs) ==
           image.digest, "digest")
    # The same by certs.d; then what is missing.
    pull_ok(box.client(auths=auths(registry.host), xdg=box.dir + "/xdg"), registry, image)
    insecure = {registry.host: {"insecure": True}}
    pull_ok(box.client(auths=auths(registry.host), settings=insecure), registry, image)
    pull_fails(box.client(auths=auths(registry.host)), registry, "invalid-state", "not trusted")
    pull_fails(box.client(settings=settings), registry, "invalid-state", "log in first")
    wrong = box.client(settings=settings, auths=auths(registry.host, password="no"))
    pull_fails(wrong, registry, "invalid-state", "denied")
    _, end = wrong.run(registry.host, "login", USER, PASSWORD)
    expect(end.startswith("ok"), end)
    _, end = wrong.run(registry.host, "login", USER, "no")
    expect(end.startswith("error invalid-state login of " + registry.host), end)
    ours = [line for line in registry.log() if "coffer/" in line]
    expect(ours and all("HTTP/2.0" in line for line in ours if "http.request" not in line and
                        '"coffer/' in line), ours[:3])


def token_server(box, issuer):
    """What docker calls a token server: signed words about who may do what."""
    server = box.fake(tls=True)
    der = subprocess.run(["openssl", "x509", "-in", box.tls.cert, "-outform", "DER"], check=True,
                         capture_output=True).stdout

    def b64(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    @server.rule("GET", "/token")
    def give(q):
        query = urllib.parse.parse_qs(q.path.partition("?")[2])
        known = q.headers.get("Authorization") == basic()
        if q.headers.get("Authorization") and not known:
            return q.reply(401)
        access = []
        for scope in query.get("scope", []):
            kind, name, actions = scope.split(":")
            allowed = [a for a in actions.split(",") if known or a == "pull"]
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        head = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        body = {"iss": issuer, "sub": USER if known else "", "aud": query["service"][0],
                "exp": now + 300, "nbf": now - 10, "iat": now, "jti": "1", "access": access}
        text = b64(json.dumps(head).encode()) + b"." + b64(json.dumps(body).encode())
        sign = subprocess.run(["openssl", "dgst", "-sha256", "-sign", box.tls.key], input=text,
                              check=True, capture_output=True).stdout
        token = (text + b"." + b64(sign)).decode()
        q.reply(200, json.dumps({"token": token, "expires_in": 300}).encode())

    return server


@case
def debian_token(box):
    """Tokens for what is done, and no more; a mount needs the other repository's, too."""
    server = token_server(box, "issuer")
    registry = box.debian(tls=box.tls, auth={"token": {
        "realm": f"https://{server.host}/token", "service": "a registry", "issuer": "issuer",
        "rootcertbundle": box.tls.ca}})
    certs = f"{box.dir}/certs"
    os.makedirs(certs)
    shutil.copy(box.tls.ca, certs + "/ca.crt")
    image = Image(1000, 200000)
    image.write_layout(box.dir + "/layout")
    skopeo("copy", "--dest-creds", f"{USER}:{PASSWORD}", "--dest-tls-verify=false",
           f"oci:{box.dir}/layout:t", f"docker://{registry.host}/a/b:t")

    settings, source = {registry.host: {"ca": box.tls.ca}}, f"{registry.host}/a/b:t"
    del server.log[:]
    nobody = box.client(settings=settings)
    pull_ok(nobody, registry, image)
    expect(len(server.log) == 1, server.log)
    _, end = nobody.run(f"{registry.host}/c/d:t", "push", "from=" + source)
    expect(end.startswith("error invalid-state blob ") and "denied" in end, end)
    client = box.client(settings=settings, auths=auths(registry.host))
    pull_ok(client, registry, image)
    lines = push_ok(client, source, f"{registry.host}/c/d:t", image, "mount=a/b")
    expect(len([x for x in lines if x.startswith("have ")]) == 3, lines)
    expect(skopeo_digest(f"{registry.host}/c/d:t", "--tls-verify=false") == image.digest, "digest")
    _, end = client.run(registry.host, "login", USER, PASSWORD)
    expect(end.startswith("ok"), end)
    _, end = client.run(registry.host, "login", USER, "no")
    expect(end.startswith("error invalid-state "), end)


if __name__ == "__main__":
    sys.exit(main("docker-registry", "skopeo", "openssl"))
