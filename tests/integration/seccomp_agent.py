#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A seccomp agent: seccomp_agent.py SOCKET DIRECTORY

Takes listeners at SOCKET, writes each container process state to DIRECTORY/state.N, and answers:
mkdir fails with EXDEV, getppid returns 4711, everything else goes on.  The numbers of all calls that
were asked for go to DIRECTORY/calls.
"""
import array
import errno
import fcntl
import json
import os
import select
import socket
import struct
import sys
import threading

RECV, SEND = 0xC0502100, 0xC0182101
CONTINUE = 1
MKDIR, GETPPID = 83, 110  # x86-64
NOTIF = struct.Struct("=QIIiIQ6Q")
REPLY = struct.Struct("=QqiI")


def over(listener):
    """Whether nobody is left who could call; newer kernels then have nothing to wait for."""
    poll = select.poll()
    poll.register(listener, 0)
    return bool(poll.poll(0))


def serve(listener, calls):
    while True:
        notif = bytearray(NOTIF.size)
        try:
            fcntl.ioctl(listener, RECV, notif)
        except OSError as e:
            if e.errno == errno.EINTR or e.errno == errno.ENOENT and not over(listener):
                continue
            return
        ident, _, _, number = NOTIF.unpack(notif)[:4]
        calls.write(f"{number}\n")
        calls.flush()
        reply = {MKDIR: (ident, 0, -errno.EXDEV, 0), GETPPID: (ident, 4711, 0, 0)}.get(
            number, (ident, 0, 0, CONTINUE))
        try:
            fcntl.ioctl(listener, SEND, REPLY.pack(*reply))
        except OSError:
            pass  # the process has ended meanwhile


def receive(connection):
    text, fds = b"", array.array("i")
    while True:
        data, ancillary, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(4 * 16))
        for _, _, cmsg in ancillary:
            fds.frombytes(cmsg)
        if not data:
            return json.loads(text), fds
        text += data


def main():
    path, directory = sys.argv[1:]
    server = socket.socket(socket.AF_UNIX)
    server.bind(path + ".new")
    server.listen(8)
    os.rename(path + ".new", path)  # there when it takes connections
    calls = open(os.path.join(directory, "calls"), "w", encoding="ascii")
    number = 0
    while True:
        connection, _ = server.accept()
        state, fds = receive(connection)
        name = os.path.join(directory, f"state.{number}")
        with open(name + ".new", "w", encoding="utf-8") as out:
            json.dump(dict(state, descriptors=len(fds)), out)
        os.rename(name + ".new", name)
        number += 1
        threading.Thread(target=serve, args=(fds[0], calls), daemon=True).start()


main()
