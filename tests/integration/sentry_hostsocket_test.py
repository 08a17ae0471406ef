#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A guest connects to unix sockets of the host in a directory of it; the host does not reach a guest's.

  sentry_hostsocket_test.py SENTRY_RUN
"""
import os
import socket
import subprocess
import sys
import tempfile
import threading

GUEST = """
import errno, os, select, socket, sys
os.chdir(sys.argv[1])

def answer(f, *args):
    try:
        return f(*args)
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e))

s = socket.socket(socket.AF_UNIX)
s.connect("stream")
s.sendall(b"hello")
print(s.recv(10), s.getpeername(), repr(s.getsockname()))
s.sendall(b"x" * 300000)
n = 0
while n < 300000:
    n += len(s.recv(65536))
print(n)
poll = select.poll()
poll.register(s, select.POLLIN | select.POLLOUT)
print(poll.poll(0)[0][1])
print(answer(socket.send_fds, s, [b"f"], [1]), answer(s.connect, "stream"))
s.shutdown(socket.SHUT_WR)
print(s.recv(10))
d = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
print(answer(d.connect, "stream"), answer(d.connect, "packets"))
print(d.send(b"a line"))
print(answer(socket.socket(socket.AF_UNIX).connect, "nobody"))
mine = socket.socket(socket.AF_UNIX)
mine.bind("mine")
mine.listen()
c = socket.socket(socket.AF_UNIX)
c.connect("mine")
c.send(b"inside")
print(mine.accept()[0].recv(10))
print(sys.stdin.readline().strip())
mine.close()
print(answer(socket.socket(socket.AF_UNIX).connect, "mine"))
"""

WANT = """b'HELLO' stream ''
300000
4
ENOTSUP EISCONN
b''
EPROTOTYPE None
6
ECONNREFUSED
b'inside'
from the host: ConnectionRefusedError
ECONNREFUSED
"""


def upper(listener):
    conn, _ = listener.accept()
    while data := conn.recv(65536):
        conn.sendall(data.upper())
    conn.close()


def main():
    sentry_run = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="coffer-hostsocket-") as where:
        stream = socket.socket(socket.AF_UNIX)
        stream.bind(f"{where}/stream")
        stream.listen()
        packets = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        packets.bind(f"{where}/packets")
        gone = socket.socket(socket.AF_UNIX)
        gone.bind(f"{where}/nobody")
        gone.close()
        threading.Thread(target=upper, args=(stream,), daemon=True).start()
        with subprocess.Popen([sentry_run, "/", "/usr/bin/python3", "-uc", GUEST, where], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as guest:
            packets.settimeout(120)
            assert packets.recv(100) == b"a line"
            out = ""
            while "inside" not in out and (line := guest.stdout.readline()):
                out += line
            try:
                socket.socket(socket.AF_UNIX).connect(f"{where}/mine")
                told = "reached"
            except OSError as e:
                told = type(e).__name__
            rest, _ = guest.communicate(f"from the host: {told}\n", timeout=60)
        got = out + rest
    if guest.returncode or got != WANT:
        print(f"exit {guest.returncode}\n{got}\nwanted:\n{WANT}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
