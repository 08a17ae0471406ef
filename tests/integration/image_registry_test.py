# SPDX-License-Identifier: Apache-2.0
"""The registry client against a registry that stalls, lies, breaks off and leads astray.

Most cases wait most of the time, so they run side by side.
"""

import base64
import email.utils
import json
import os
import shutil
import sys
import time
import urllib.parse

from registry_box import (MANIFEST, PASSWORD, USER, Image, auths, basic, case, expect, main, parts,
                          pull_fails, pull_ok, refusing_port, sha256)

# --- a fake that is well-behaved, then less and less ---

@case
def one_request(box):
    """An unchanged tag is one HEAD, and blobs that are there are not asked for."""
    image = Image(1000, 300000)
    fake, client = box.fake(image), box.client()
    pull_ok(client, fake, image)
    del fake.log[:]
    lines, end = client.run(f"{fake.host}/a/b:t", "resolve")
    expect(end.startswith("ok " + image.digest), end)
    expect([e[:2] for e in fake.log] == [("HEAD", "/v2/a/b/manifests/t")], fake.log)
    types = fake.log[0][2]["Accept"]
    for t in ("oci.image.index.v1", "oci.image.manifest.v1", "docker.distribution.manifest.v2",
              "docker.distribution.manifest.list.v2"):
        expect(t in types, types)


@case
def cut_and_resumed(box):
    """A blob that breaks off goes on where it stopped."""
    image = Image(3000000)
    fake, client = box.fake(image), box.client()
    blob, cuts = image.blobs[image.layer()], []

    @fake.rule("GET", image.layer(), times=3)
    def cut(q):
        first = int(q.headers.get("Range", "bytes=0-")[6:-1])
        cuts.append(first)
        q.send_response(206 if first else 200)
        if first:
            q.send_header("Content-Range", f"bytes {first}-{len(blob) - 1}/{len(blob)}")
        q.send_header("Content-Length", str(len(blob) - first))
        q.end_headers()
        q.wfile.write(blob[first:first + 700000])
        q.cut()

    lines = pull_ok(client, fake, image)
    ranges = [e[2].get("Range") for e in fake.asked("GET", image.layer())]
    expect(ranges == [None] + [f"bytes={n}-" for n in (700000, 1400000, 2100000)], ranges)
    expect(sum(line.startswith("retry ") for line in lines) == 3, lines)


@case
def cut_without_end(box):
    image = Image(50000)
    fake, client = box.fake(image), box.client()

    @fake.rule("GET", image.layer())
    def cut(q):
        q.send_response(200)
        q.send_header("Content-Length", str(len(image.blobs[image.layer()])))
        q.end_headers()
        q.cut()

    pull_fails(client, fake, "interrupted", "blob " + image.layer(), "the connection broke off")
    expect(len(fake.asked("GET", image.layer())) == 6, fake.log)


@case
def killed_and_resumed(box):
    """Cancelled in the middle: the next pull takes the rest only."""
    image = Image(4000000)
    fake, client = box.fake(image), box.client()

    @fake.rule("GET", image.layer(), times=1)
    def half(q):
        blob = image.blobs[image.layer()]
        q.send_response(200)
        q.send_header("Content-Length", str(len(blob)))
        q.end_headers()
        q.wfile.write(blob[:1000000])
        # Progress is told now and then only, and when something comes.
        for at in range(1000000, 2000000, 5000):
            time.sleep(0.15)
            q.wfile.write(blob[at:at + 5000])
        until_gone(q)

    lines, end = client.run(f"{fake.host}/a/b:t", "pull", "cancel=1000000")
    expect(end.startswith("error cancelled "), end)
    expect(any(image.layer()[7:] in p for p in parts(client)), parts(client))
    pull_ok(client, fake, image)
    again = fake.asked("GET", image.layer())[-1][2].get("Range", "")
    expect(1000000 <= int(again[6:-1]) <= 2000000, again)
    expect(not os.path.exists(client.store + "/parts") or parts(client) == [], parts(client))


def until_gone(q):
    """Says nothing more; it is the client who gives up."""
    q.wfile.flush()
    q.rfile.read(1)
    q.close_connection = True


def stalling(fake, image, times):
    @fake.rule("GET", image.layer(), times=times)
    def stall(q):
        blob = image.blobs[image.layer()]
        first = int(q.headers.get("Range", "bytes=0-")[6:-1])
        q.send_response(206 if first else 200)
        if first:
            q.send_header("Content-Range", f"bytes {first}-{len(blob) - 1}/{len(blob)}")
        q.send_header("Content-Length", str(len(blob) - first))
        q.end_headers()
        q.wfile.write(blob[first:first + 100000 * (first == 0)])
        until_gone(q)


@case
def stall_and_resume(box):
    image = Image(400000)
    fake, client = box.fake(image), box.client()
    stalling(fake, image, 1)
    # Long enough that nobody stalls because this machine does.
    lines = pull_ok(client, fake, image, "stall=10")
    ranges = [e[2].get("Range") for e in fake.asked("GET", image.layer())]
    expect(ranges == [None, "bytes=100000-"], ranges)
    expect(any("it stalls" in line for line in lines), lines)


@case
def stall_without_end(box):
    image = Image(400000)
    fake, client = box.fake(image), box.client()
    stalling(fake, image, None)
    pull_fails(client, fake, "timeout", "blob " + image.layer(), "it stalls", args=("stall=1",))


@case
def stall_manifest(box):
    fake, client = box.fake(Image(10)), box.client()

    @fake.rule("HEAD", "/manifests/")
    def stall(q):
        until_gone(q)

    pull_fails(client, fake, "timeout", "manifest t", "it stalls", args=("stall=1",))


@case
def range_ignored(box):
    """The whole instead of the rest: begun again."""
    image = Image(900000)
    fake, client = box.fake(image), box.client()
    blob = image.blobs[image.layer()]

    @fake.rule("GET", image.layer(), times=1)
    def cut(q):
        q.send_response(200)
        q.send_header("Content-Length", str(len(blob)))
        q.end_headers()
        q.wfile.write(blob[:300000])
        q.cut()

    @fake.rule("GET", image.layer())
    def whole(q):
        q.reply(200, blob)

    pull_ok(client, fake, image)
    expect(fake.asked("GET", image.layer())[1][2].get("Range") == "bytes=300000-", fake.log)


@case
def range_wrong(box):
    """Another range than the one asked for is not believed; the whole is taken."""
    for wrong in ("bytes 0-9/{n}", "bytes 299999-{e}/{n}", "bytes 300000-{e}/5", "what", None):
        image = Image(900000)
        fake, client = box.fake(image), box.client()
        blob = image.blobs[image.layer()]

        @fake.rule("GET", image.layer(), times=1)
        def cut(q, blob=blob):
            q.send_response(200)
            q.send_header("Content-Length", str(len(blob)))
            q.end_headers()
            q.wfile.write(blob[:300000])
            q.cut()

        @fake.rule("GET", image.layer(), times=1)
        def other(q, blob=blob, wrong=wrong):
            text = wrong and wrong.format(n=len(blob), e=len(blob) - 1)
            q.reply(206, blob[:len(blob) - 300000], Content_Range=text)

        pull_ok(client, fake, image)
        ranges = [e[2].get("Range") for e in fake.asked("GET", image.layer())]
        expect(ranges == [None, "bytes=300000-", None], wrong, ranges)


@case
def range_unasked(box):
    image = Image(9000)
    fake, client = box.fake(image), box.client()

    @fake.rule("GET", image.layer())
    def other(q):
        q.reply(206, image.blobs[image.layer()][:10], Content_Range="bytes 0-9/10")

    pull_fails(client, fake, "invalid-argument", "blob " + image.layer(), "a range")


@case
def wrong_digest(box):
    image = Image(70000)
    fake, client = box.fake(image), box.client()

    @fake.rule("GET", image.layer())
    def lie(q):
        blob = bytearray(image.blobs[image.layer()])
        blob[5000] ^= 1
        q.reply(200, bytes(blob))

    pull_fails(client, fake, "invalid-argument", image.layer())
    expect(not os.path.exists(client.blob(image.layer())), "it has been kept")
    expect(not any(image.layer()[7:] in p for p in parts(client)), parts(client))


@case
def wrong_size(box):
    for change in (lambda b: b[:-1], lambda b: b + b"x"):
        for told in (True, False):
            image = Image(70000)
            fake, client = box.fake(image), box.client()

            @fake.rule("GET", image.layer())
            def lie(q, image=image, change=change, told=told):
                body = change(image.blobs[image.layer()])
                if q.headers.get("Range"):
                    return q.error(416, "RANGE", "nothing is there")
                if told:
                    return q.reply(200, body)
                q.send_response(200)
                q.send_header("Connection", "close")
                q.end_headers()
                q.wfile.write(body)
                q.close_connection = True

            kind = "interrupted" if not told and len(change(b"xx")) < 2 else "invalid-argument"
            pull_fails(client, fake, kind, "blob " + image.layer(), "bytes")


@case
def busy(box):
    """Three times 503, and a 429 that says when to come back."""
    image = Image(1000)
    fake, client = box.fake(image), box.client()

    @fake.rule("HEAD", "/manifests/", times=3)
    def unavailable(q):
        q.error(503, "UNAVAILABLE", "later")

    @fake.rule("GET", "/blobs/" + image.layer(), times=1)
    def later(q):
        q.error(429, "TOOMANYREQUESTS", "slowly", Retry_After="2")

    lines = pull_ok(client, fake, image)
    expect(len(fake.asked("HEAD", "/manifests/")) == 4, fake.log)
    first, second = (e[3] for e in fake.asked("GET", image.layer()))
    expect(second - first >= 1.9, "it came back too early")
    expect(any(line.startswith("retry ") and "asked too often" in line for line in lines), lines)


@case
def busy_until_a_date(box):
    image = Image(1000)
    fake, client = box.fake(image), box.client()

    @fake.rule("HEAD", "/manifests/", times=1)
    def later(q):
        q.error(503, "UNAVAILABLE", "later",
                Retry_After=email.utils.formatdate(time.time() + 3, usegmt=True))

    pull_ok(client, fake, image)
    first, second = (e[3] for e in fake.asked("HEAD", "/manifests/"))
    expect(second - first >= 1.5, "it came back too early")


@case
def busy_for_long(box):
    fake, client = box.fake(Image(10)), box.client()

    @fake.rule("HEAD", "/manifests/")
    def never(q):
        q.reply(429, Retry_After="3600")

    pull_fails(client, fake, "interrupted", "manifest t", "3600 s")
    expect(len(fake.log) == 1, fake.log)


@case
def broken_for_good(box):
    fake, client = box.fake(Image(10)), box.client()

    @fake.rule("HEAD|GET", "/manifests/")
    def never(q):
        q.error(500, "INTERNAL", "no\nluck\x1b[31m")

    pull_fails(client, fake, "interrupted", "manifest t", "status 500")
    expect(len(fake.log) == 6, fake.log)


@case
def not_there(box):
    fake, client = box.fake(Image(10)), box.client()
    pull_fails(client, fake, "not-found", "manifest none", "a/b", name="a/b:none")
    image = Image(1000)
    fake = box.fake(image)

    @fake.rule("GET", image.layer())
    def lost(q):
        q.error(404, "BLOB_UNKNOWN", "lost\r\nin\x1bspace\x9b5m")

    pull_fails(client, fake, "not-found", "blob " + image.layer(), "BLOB_UNKNOWN: lost??in?space??5m")


@case
def nobody_there(box):
    client = box.client()
    with refusing_port() as port:
        _, end = client.run(f"127.0.0.1:{port}/a/b:t", "pull")
    expect(end.startswith("error interrupted manifest t of 127.0.0.1:"), end)
    expect("cannot be reached" in end, end)


@case
def html(box):
    for headers in ({"Content_Type": "text/html; charset=utf-8"}, {"Content_Type": None}):
        fake, client = box.fake(), box.client()

        @fake.rule("GET|HEAD", "/")
        def page(q, headers=headers):
            q.reply(200, b"<!DOCTYPE html><html>Welcome</html>", **headers)

        pull_fails(client, fake, "invalid-argument", "manifest t", "HTML")


@case
def manifest_too_large(box):
    fake, client = box.fake(), box.client()

    @fake.rule("HEAD", "/manifests/")
    def large(q):
        q.reply(200, Content_Type=MANIFEST, Docker_Content_Digest=sha256(b"x"),
                Content_Length=str(100 << 20))

    pull_fails(client, fake, "invalid-argument", "manifest t", "104857600 bytes")
    fake, client = box.fake(), box.client()

    @fake.rule("HEAD", "/manifests/")
    def unknown(q):
        q.reply(405)

    @fake.rule("GET", "/manifests/")
    def endless(q):
        q.send_response(200)
        q.send_header("Content-Type", MANIFEST)
        q.send_header("Connection", "close")
        q.end_headers()
        for _ in range(100):
            q.wfile.write(b" " * (1 << 20))
        q.close_connection = True

    pull_fails(client, fake, "invalid-argument", "manifest t", "more than 4194304 bytes")


@case
def manifest_lies(box):
    """What the registry says and what it sends have to be the same."""
    image, other = Image(10), Image(20)
    fake, client = box.fake(image), box.client()

    @fake.rule("GET", "/manifests/")
    def swap(q):
        q.reply(200, other.manifest, Content_Type=MANIFEST)

    pull_fails(client, fake, "invalid-argument", "manifest " + image.digest, other.digest)
    pull_fails(client, fake, "invalid-argument", "manifest " + image.digest, other.digest,
               name="a/b@" + image.digest)
    fake = box.fake(image)

    @fake.rule("HEAD", "/manifests/")
    def lie(q):
        q.reply(200, image.manifest, Content_Type=MANIFEST, Docker_Content_Digest=other.digest)

    pull_fails(client, fake, "invalid-argument", "manifest " + image.digest, other.digest,
               name="a/b:t@" + image.digest)


@case
def manifest_says_little(box):
    """No digest, no type, no HEAD: found out from the document."""
    image = Image(10)
    fake, client = box.fake(image), box.client()

    @fake.rule("HEAD|GET", "/manifests/")
    def little(q):
        q.reply(200 if q.command == "GET" else 501, image.manifest,
                Content_Type="application/json")

    pull_ok(client, fake, image)
    fake, client = box.fake(), box.client()

    @fake.rule("HEAD|GET", "/manifests/")
    def old(q):
        q.reply(200, b'{"schemaVersion":1,"fsLayers":[]}',
                Content_Type="application/vnd.docker.distribution.manifest.v1+prettyjws")

    pull_fails(client, fake, "unsupported", "manifest t", "schema 1")


@case
def headers_without_end(box):
    fake, client = box.fake(), box.client()

    @fake.rule("HEAD", "/")
    def endless(q):
        q.send_response(200)
        q.flush_headers()
        for n in range(20000):
            q.wfile.write(f"X-{n}: {'x' * 100}\r\n".encode())
        q.cut()

    pull_fails(client, fake, "invalid-argument", "manifest t", "headers without end")


# --- other places ---

@case
def redirected(box):
    """Blobs elsewhere are fetched without telling there who we are."""
    image = Image(200000, 1000)
    fake, other = box.fake(image), box.fake(image)
    client = box.client(auths=auths(fake.host))

    @fake.rule("GET|HEAD", "/v2/")
    def guard(q):
        if q.headers.get("Authorization") == basic():
            return False
        q.reply(401, WWW_Authenticate='Basic realm="here"')

    @fake.rule("GET", "/blobs/")
    def elsewhere(q):
        q.reply(307, Location=f"http://localhost:{other.port}/x/blobs/{q.path.split('/')[-1]}?sig=1")

    pull_ok(client, fake, image)
    expect(len(other.log) == 3, other.log)
    expect(not any("Authorization" in e[2] for e in other.log), other.log)
    expect(len([e for e in fake.log if e[2].get("Authorization") == basic()]) >= 5, fake.log)


@case
def redirected_within(box):
    """The same host is the same registry; another port of it is not."""
    image = Image(1000)
    fake = box.fake(image)
    client = box.client(auths=auths(fake.host))

    @fake.rule("GET|HEAD", "/")
    def guard(q):
        if q.headers.get("Authorization") == basic():
            return False
        q.reply(401, WWW_Authenticate='Basic realm="here"')

    @fake.rule("GET", "/v2/a/b/blobs/")
    def within(q):
        q.reply(302, Location="../../../../v2/other/blobs/" + q.path.split("/")[-1])

    pull_ok(client, fake, image)
    expect(all("Authorization" in e[2] for e in fake.asked("GET", "/v2/other/")), fake.log)


@case
def redirect_loop(box):
    image = Image(1000)
    fake, client = box.fake(image), box.client()

    @fake.rule("GET", "/blobs/")
    def around(q):
        q.reply(302, Location=q.path)

    pull_fails(client, fake, "invalid-argument", "blob ", "without end")
    expect(len(fake.asked("GET", image.layer())) <= 10, len(fake.log))


@case
def redirect_astray(box):
    for where, word in (("file:///etc/passwd", "not an URL"), ("gopher://127.0.0.1/", "URL"),
                        ("http://user:pw@127.0.0.1/", "not an URL"), ("http://[::1", "URL"),
                        ("http://a\x1b[31m/", "a?[31m")):
        image = Image(1000)
        fake, client = box.fake(image), box.client()

        @fake.rule("GET", "/blobs/")
        def astray(q, where=where):
            q.reply(302, Location=where)

        pull_fails(client, fake, "invalid-argument", "blob ", word)


@case
def redirect_to_plain(box):
    image = Image(1000)
    fake = box.fake(image, tls=True)
    client = box.client(settings={fake.host: {"ca": box.tls.ca}})

    @fake.rule("GET", "/blobs/")
    def plain(q):
        q.reply(302, Location="http://192.0.2.7/blob")

    pull_fails(client, fake, "invalid-argument", "blob ", "from HTTPS to plain HTTP")


@case
def mirrors(box):
    """Asked in their order, and the registry itself when they fail."""
    image = Image(1000, 2000)
    fake, mirror, poor = box.fake(image), box.fake(image), box.fake()

    @mirror.rule("GET|HEAD", "/", times=None)
    def prefix(q):
        if not q.path.startswith("/v2/pre/fix/a/b/"):
            q.reply(400)
            return True
        return False

    client = box.client(settings={fake.host: {"mirrors": [mirror_url(mirror) + "/pre/fix"]}})
    pull_ok(client, fake, image)
    expect(fake.log == [], fake.log)
    with refusing_port() as port:
        client = box.client(settings={fake.host: {"mirrors": [
            f"http://127.0.0.1:{port}", mirror_url(poor)]}})
        pull_ok(client, fake, image)
    expect(len(poor.log) == 1, poor.log)

    @mirror.rule("GET", image.layer(), times=1)
    def lost(q):
        q.error(404, "BLOB_UNKNOWN", "not mirrored")

    del fake.log[:]
    client = box.client(settings={fake.host: {"mirrors": [mirror_url(mirror) + "/pre/fix"]}})
    pull_ok(client, fake, image)
    expect([e[1] for e in fake.log] == ["/v2/a/b/blobs/" + image.layer()], fake.log)


def mirror_url(fake):
    return f"http://{fake.host}"


# --- who we are ---

@case
def password_wrong(box):
    fake = box.fake(Image(10))

    @fake.rule("GET|HEAD", "/v2/")
    def never(q):
        q.reply(401, WWW_Authenticate='Basic realm="here"')

    pull_fails(box.client(), fake, "invalid-state", "log in first")
    expect(len(fake.log) == 1, fake.log)
    pull_fails(box.client(auths=auths(fake.host)), fake, "invalid-state", "denied")
    expect(len(fake.log) == 3, fake.log)
    fake = box.fake(Image(10))

    @fake.rule("GET|HEAD", "/v2/")
    def strange(q):
        q.reply(401, WWW_Authenticate='Negotiate, Digest realm="x", nonce="y"')

    pull_fails(box.client(), fake, "unsupported", "not known")


def token_rules(fake, realm, good, scope="repository:a/b:pull"):
    @fake.rule("GET|HEAD|POST|PUT|PATCH", "/v2/")
    def guard(q):
        if q.headers.get("Authorization") in ["Bearer " + g for g in good]:
            return False
        q.body()
        q.reply(401, WWW_Authenticate=f'Bearer realm="{realm}",service="a service",scope="{scope}"')


@case
def tokens(box):
    """Fetched once, again when the registry wants another one; by nobody, with a password."""
    image, good = Image(1000, 2000), ["one"]
    fake, server = box.fake(image), box.fake()
    token_rules(fake, f"http://{server.host}/token?x=1", good)

    @server.rule("GET", "/token")
    def give(q):
        q.reply(200, json.dumps({"token": good[0], "expires_in": 300}).encode())

    pull_ok(box.client(), fake, image)
    expect(len(server.log) == 1, server.log)
    query = urllib.parse.parse_qs(server.log[0][1].partition("?")[2])
    expect(query == {"x": ["1"], "service": ["a service"], "scope": ["repository:a/b:pull"]}, query)
    expect("Authorization" not in server.log[0][2], server.log)
    del server.log[:]

    @fake.rule("GET", "/blobs/", times=1)
    def expire(q):
        good[0] = "two"
        q.reply(401, WWW_Authenticate=f'Bearer realm="http://{server.host}/token"')

    pull_ok(box.client(auths=auths(fake.host)), fake, image)
    expect(len(server.log) == 2, server.log)
    expect(all(e[2]["Authorization"] == basic() for e in server.log), server.log)


@case
def token_of_identity(box):
    image = Image(1000)
    fake, server, bodies = box.fake(image), box.fake(), []
    token_rules(fake, f"http://{server.host}/token", ["abc"])

    @server.rule("POST", "/token")
    def give(q):
        bodies.append((q.headers["Content-Type"], urllib.parse.parse_qs(q.body().decode())))
        q.reply(200, json.dumps({"access_token": "abc"}).encode())

    entry = {fake.host: {"auth": base64.b64encode(b"00000000-0000-0000-0000-000000000000:").decode(),
                         "identitytoken": "my/identity+token"}}
    pull_ok(box.client(auths=entry), fake, image)
    kind, form = bodies[0]
    expect(kind == "application/x-www-form-urlencoded" and len(bodies) == 1, bodies)
    expect(form == {"grant_type": ["refresh_token"], "refresh_token": ["my/identity+token"],
                    "service": ["a service"], "scope": ["repository:a/b:pull"],
                    "client_id": ["coffer"]}, form)


@case
def token_bad(box):
    """A token server that is none."""
    answers = ((b"<html>", "JSON"), (b"{}", "no token"), (b'{"token": 5}', "no token"),
               (b'{"token":"a\\r\\nX-Evil: 1"}', "cannot be sent"),
               (b"[" * 10000, "JSON"), (b" " * 300000, "more than"))
    for body, word in answers:
        fake, server = box.fake(Image(10)), box.fake()
        token_rules(fake, f"http://{server.host}/token", [])

        @server.rule("GET", "/token")
        def give(q, body=body):
            q.reply(200, body)

        word = "one that can be sent" if word == "cannot be sent" else word
        pull_fails(box.client(), fake, "invalid-argument", "token server", server.host, word)


@case
def token_refused(box):
    """A token that is not taken is fetched once only; a password that is refused."""
    fake, server = box.fake(Image(10)), box.fake()
    token_rules(fake, f"http://{server.host}/token", [])

    @server.rule("GET", "/token", times=1)
    def give(q):
        q.reply(200, b'{"token":"x"}')

    @server.rule("GET", "/token")
    def refuse(q):
        q.reply(401)

    pull_fails(box.client(), fake, "invalid-state", "manifest t", "denied")
    expect(len(server.log) == 1 and len(fake.log) == 2, server.log, fake.log)
    pull_fails(box.client(auths=auths(fake.host)), fake, "invalid-state", "token server", "denied")


@case
def token_in_the_clear(box):
    """No password over plain HTTP to another machine."""
    fake = box.fake(Image(10))
    token_rules(fake, "http://192.0.2.1/token", [])
    pull_fails(box.client(auths=auths(fake.host)), fake, "invalid-state", "plain HTTP")


@case
def proxies(box):
    """As the environment says, but not for this machine; no password in the clear through one."""
    image = Image(1000)
    proxy, fake = box.fake(image), box.fake(image)

    @proxy.rule("CONNECT", "")
    def no_tunnel(q):
        q.reply(405)

    def through(client):
        client.env.update(http_proxy=f"http://{proxy.host}", https_proxy=f"http://{proxy.host}",
                          no_proxy="")
        return client

    pull_ok(through(box.client()), fake, image)
    expect(proxy.log == [], proxy.log)
    client = through(box.client(settings={"far.test:5000": {"insecure": True}}))
    _, end = client.run("far.test:5000/a/b:t", "pull")
    expect(end.startswith("ok " + image.digest), end)
    expect(proxy.log[-1][1].startswith("http://far.test:5000/v2/a/b/blobs/"), proxy.log[-1])
    del proxy.log[:]

    @proxy.rule("HEAD|GET", "http://mirror.test/v2/")
    def guard(q):
        q.reply(401, WWW_Authenticate='Basic realm="here"')

    client = through(box.client(settings={fake.host: {"mirrors": ["http://mirror.test"]}},
                                auths=auths("mirror.test")))
    lines = pull_ok(client, fake, image)
    expect(len(proxy.log) == 1 and "Authorization" not in proxy.log[0][2], proxy.log)
    expect(any("password over plain HTTP" in line for line in lines), lines)


@case
def client_certificate(box):
    """Shown to who asks for it, if there is one."""
    image = Image(1000)
    fake = box.fake(image, tls=True, mutual=True)
    settings = {"ca": box.tls.ca, "cert": box.tls.cert, "key": box.tls.key}
    pull_ok(box.client(settings={fake.host: settings}), fake, image)
    certs = f"{box.dir}/xdg/containers/certs.d/{fake.host}"
    os.makedirs(certs)
    for source, name in ((box.tls.ca, "ca.crt"), (box.tls.cert, "me.cert"), (box.tls.key, "me.key")):
        shutil.copy(source, f"{certs}/{name}")
    pull_ok(box.client(xdg=f"{box.dir}/xdg"), fake, image)
    del fake.log[:]
    _, end = box.client(settings={fake.host: {"ca": box.tls.ca}}).run(f"{fake.host}/a/b:t", "pull")
    expect(end.startswith("error ") and fake.host in end and fake.log == [], end)


@case
def login(box):
    fake = box.fake()

    @fake.rule("GET", "/v2/")
    def guard(q):
        if q.headers.get("Authorization") == basic():
            return False
        q.reply(401, WWW_Authenticate='Basic realm="here"')

    client = box.client()
    _, end = client.run(fake.host, "login", USER, PASSWORD)
    expect(end.startswith("ok"), end)
    _, end = client.run(fake.host, "login", USER, "wrong")
    expect(end.startswith("error invalid-state login of " + fake.host), end)
    fake = box.fake()

    @fake.rule("GET", "/v2/")
    def no(q):
        q.reply(404)

    _, end = client.run(fake.host, "login", USER, PASSWORD)
    expect(end.startswith("error invalid-argument") and "not a registry" in end, end)


if __name__ == "__main__":
    sys.exit(main("openssl"))
