# SPDX-License-Identifier: Apache-2.0
"""What programs in Python ask of a kernel, one line of output for each answer."""
import asyncio
import concurrent.futures
import fcntl
import mmap
import multiprocessing
import os
import queue
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading


def square(n):
    return n * n


def threads():
    total, lock = [0], threading.Lock()

    def work():
        for _ in range(2000):
            with lock:
                total[0] += 1

    crowd = [threading.Thread(target=work) for _ in range(8)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    print("threads", total[0])
    answers = queue.Queue()
    threading.Timer(0.05, answers.put, ["timer"]).start()
    print(answers.get(timeout=60))
    event = threading.Event()
    threading.Timer(0.05, event.set).start()
    print(event.wait(60), threading.Event().wait(0.01))


def processes():
    print(subprocess.run(["sh", "-c", "cat; exit 3"], input=b"in", capture_output=True, check=False))
    sleeper = subprocess.Popen(["sleep", "999"])
    print(sleeper.poll())
    sleeper.terminate()
    print(sleeper.wait())
    try:
        subprocess.run(["sleep", "999"], timeout=0.1, check=False)
    except subprocess.TimeoutExpired as error:
        print("timeout", error.cmd)
    with multiprocessing.Pool(3) as pool:
        print(pool.map(square, range(10)))
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        print(list(pool.map(square, range(5))))
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, b"child")
        os._exit(5)
    print(os.read(reader, 10), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def inet():
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        client, _ = server.accept()
        with client:
            while data := client.recv(100):
                client.sendall(data.upper())

    thread = threading.Thread(target=serve)
    thread.start()
    with socket.create_connection(server.getsockname()) as client:
        client.sendall(b"tcp hello")
        print(client.recv(100))
    thread.join()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    udp.sendto(b"udp", udp.getsockname())
    print(udp.recvfrom(10)[0])


def local():
    one, other = socket.socketpair()
    one.sendall(b"pair")
    print(other.recv(10))
    pipe = os.pipe()
    socket.send_fds(one, [b"fd"], [pipe[1]])
    _, got, _, _ = socket.recv_fds(other, 10, 2)
    os.write(got[0], b"passed")
    print(os.read(pipe[0], 10))
    server = socket.socket(socket.AF_UNIX)
    server.bind("sock")
    server.listen()
    client = socket.socket(socket.AF_UNIX)
    client.connect("sock")
    peer, _ = server.accept()
    client.send(b"unix")
    print(peer.recv(9))
    ready = select.epoll()
    ready.register(peer, select.EPOLLIN)
    print(ready.poll(0))
    client.send(b"x")
    print(len(ready.poll(1)))


async def loops():
    async def tick(n):
        await asyncio.sleep(0.01 * n)
        return n

    async def handle(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    print(await asyncio.gather(*(tick(n) for n in range(5))))
    child = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    print(await child.communicate(b"async"))
    print(await asyncio.to_thread(square, 7))
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"line\n")
    print(await reader.readline())
    writer.close()
    server.close()


def maps():
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        file.flush()
        shared = mmap.mmap(file.fileno(), 10)
        shared[2:4] = b"ab"
        shared.flush()
        file.seek(0)
        print(file.read())
    with open("shared", "wb+") as file:
        file.truncate(4096)
        shared = mmap.mmap(file.fileno(), 4096)
        if os.fork() == 0:
            shared[0:5] = b"child"
            os._exit(0)
        os.wait()
        print(shared[0:5])


def files():
    os.makedirs("t/u")
    with open("t/u/f", "w", encoding="ascii") as file:
        file.write("x")
    print(sorted(os.walk("t")), os.stat("t/u/f").st_size)
    with open("lock", "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fork() == 0:
            try:
                with open("lock", "w", encoding="ascii") as again:
                    fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os._exit(1)
            except BlockingIOError:
                os._exit(0)
        print("flock", os.wait()[1])
    data = sqlite3.connect(":memory:")
    data.execute("create table t(a)")
    data.executemany("insert into t values(?)", [(i,) for i in range(100)])
    print(data.execute("select sum(a) from t").fetchone())


def signals():
    got = []
    signal.signal(signal.SIGUSR1, lambda number, frame: got.append(number))
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGALRM, lambda number, frame: got.append(number))
    # Again and again: the first may come before there is a pause.
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    signal.pause()
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(got[:2])
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    os.kill(os.getpid(), signal.SIGUSR2)
    print(signal.sigwait([signal.SIGUSR2]))
    print(signal.sigtimedwait([signal.SIGUSR2], 0.01))
    pid = os.fork()
    if pid == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.kill(os.getpid(), signal.SIGSEGV)
        os._exit(0)
    print(os.WTERMSIG(os.waitpid(pid, 0)[1]))


def main():
    threads()
    processes()
    inet()
    local()
    asyncio.run(loops())
    maps()
    files()
    signals()
    sys.stdout.flush()


if __name__ == "__main__":
    main()
