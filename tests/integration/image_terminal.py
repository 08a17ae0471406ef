#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""image_terminal.py - a person at a terminal: coffer pull, and coffer login

Usage: image_terminal.py COFFER REGISTRY.  The second has the user and password of registry_box.
Ends with "all good".
"""
import os
import sys
import termios
import threading

import registry_box
from run_terminal import Terminal

SIZE = 8 << 20
STEP = SIZE // 50  # that many drops


def expect_end(t, code):
    got = t.wait()
    if got != code:
        sys.exit(f"exit code {got}, expected {code}; saw {t.seen!r}")
    if termios.tcgetattr(t.slave) != t.before:
        sys.exit("the terminal was not restored")


def slow_registry(go_on):
    """One whose layer comes in drops, past the middle in small ones until it is told to go on."""
    fake = registry_box.Fake(registry_box.Image(SIZE))
    layer = fake.image.layer()

    @fake.rule("GET", layer, 2)
    def stall(q):
        data = fake.image.blobs[layer]
        start = int((q.headers.get("Range") or "bytes=0-")[6:].split("-")[0])
        q.send_response(206 if start else 200)
        q.send_header("Content-Length", str(len(data) - start))
        if start:
            q.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        q.end_headers()
        # It never stands still: bars are drawn when something comes.
        while not go_on.wait(0.05):
            step = STEP if start < len(data) // 2 else 64
            q.wfile.write(data[start:start + step])
            start += step
        q.wfile.write(data[start:])
    return fake


def pull(coffer):
    go_on = threading.Event()
    fake = slow_registry(go_on)
    name = f"{fake.host}/slow:t"
    layer = fake.image.layer()[7:19]
    t = Terminal([coffer, "pull", name], 24, 100)
    t.expect(f"{layer}  [=")
    t.expect("/8.3")
    t.type("\x03")
    expect_end(t, 130)
    # The next one goes on where it was, and its bar follows the window.
    t = Terminal([coffer, "pull", name], 24, 100)
    t.expect(f"{layer}  [=======")
    t.resize(24, 40)
    go_on.set()
    t.expect(f"{layer}: done, 8.3")
    t.expect("root: built")
    t.expect(name)
    expect_end(t, 0)
    asked = fake.asked("GET", fake.image.layer())
    if len(asked) != 2 or "Range" not in asked[1][2]:
        sys.exit(f"the layer was asked for by {[e[2] for e in asked]}")
    fake.close()


def login(coffer, registry):
    for password, code in (("wrong", 1), (registry_box.PASSWORD, 0)):
        t = Terminal([coffer, "login", registry], 24, 80)
        t.expect("Username: ")
        t.type(registry_box.USER + "\n")
        t.expect("Password: ")
        t.type(password + "\n")
        expect_end(t, code)
        if password.encode() in t.seen:
            sys.exit(f"the password was shown: {t.seen!r}")
    t = Terminal([coffer, "login", "-u", "ann", registry], 24, 80)
    t.expect("Password: ")
    t.type("\x03")
    expect_end(t, 130)


if __name__ == "__main__":
    os.environ["TERM"] = "xterm"
    pull(sys.argv[1])
    login(sys.argv[1], sys.argv[2])
    print("all good")
