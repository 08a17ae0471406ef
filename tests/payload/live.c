/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/payload/live.c - verbs that go on until they are killed
 *
 * What they hold (memory, a connection, a lock, a terminal) must survive a
 * checkpoint.  Each counts every 20 ms and keeps the number in a file, which is
 * how a test sees that it goes on, and from where.
 */
#include "live.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LIVE_TICK 20000 /* microseconds */
#define LIVE_PORT 4242

static int live_fail(const char *what)
{
	int e = errno;

	fprintf(stderr, "%s: %s\n", what, strerror(e));
	return e;
}

/* The file is closed between two numbers, but for an instant. */
static int live_keep(const char *path, unsigned long n)
{
	char text[32];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	int len = snprintf(text, sizeof(text), "%010lu\n", n);

	if (fd < 0 || pwrite(fd, text, (size_t)len, 0) != len)
		return live_fail(path);
	close(fd);
	return 0;
}

static int live_address(const char *path, struct sockaddr_un *sa)
{
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(sa->sun_path))
		return ENAMETOOLONG;
	strcpy(sa->sun_path, path);
	return 0;
}

/* To sd_notify(3)'s socket, if there is one. */
static int live_ready(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	int fd = path ? socket(AF_UNIX, SOCK_DGRAM, 0) : -1;
	struct sockaddr_un sa;

	if (fd < 0 || live_address(path, &sa) != 0)
		return 0;
	if (sendto(fd, "READY=1", 7, 0, (struct sockaddr *)&sa, sizeof(sa)) != 7)
		return live_fail(path);
	return close(fd);
}

/* count FILE [MEGABYTES]: also says each number; holds so much memory that is not zero */
int verb_count(int argc, char **argv)
{
	size_t size = argc > 2 ? (size_t)atoi(argv[2]) << 20 : 0;
	char *memory = size ? malloc(size) : NULL;

	if (memory)
		memset(memory, 'm', size);
	if (live_ready() != 0)
		return 1;
	for (unsigned long n = 1;; n++) {
		if (live_keep(argv[1], n) != 0 || (memory && memory[n % size] != 'm'))
			return 1;
		printf("%lu\n", n);
		fflush(stdout);
		usleep(LIVE_TICK);
	}
}

/* lock LOCKFILE FILE: holds a lock on the first */
int verb_lock(int argc, char **argv)
{
	int fd = open(argv[1], O_RDWR | O_CREAT, 0644);

	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return live_fail(argv[1]);
	return verb_count(argc - 1, argv + 1);
}

static int live_serve(int listener)
{
	int fd = accept(listener, NULL, NULL);
	char buf[64];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		if (write(fd, buf, (size_t)n) != n)
			return live_fail("server");
	return 1;
}

/* tcp FILE: a connection of two processes over loopback */
int verb_tcp(int argc, char **argv)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(LIVE_PORT),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	unsigned long got;

	if (bind(listener, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(listener, 1) < 0)
		return live_fail("listen");
	if (fork() == 0) {
		close(fd);
		return live_serve(listener);
	}
	close(listener);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return live_fail("connect");
	for (unsigned long n = 1;; n++) {
		if (write(fd, &n, sizeof(n)) != sizeof(n) ||
		    recv(fd, &got, sizeof(got), MSG_WAITALL) != sizeof(got) || got != n)
			return live_fail("connection");
		if (live_keep(argv[1], n) != 0)
			return 1;
		usleep(LIVE_TICK);
	}
}

/* dgram SOCKET: sends each number to whoever collects there */
int verb_dgram(int argc, char **argv)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct sockaddr_un sa;

	if (live_address(argv[1], &sa) != 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return live_fail(argv[1]);
	for (unsigned long n = 1;; n++) {
		if (send(fd, &n, sizeof(n), 0) != sizeof(n))
			return live_fail("send");
		usleep(LIVE_TICK);
	}
}

/* collect SOCKET FILE: keeps what comes */
int verb_collect(int argc, char **argv)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct sockaddr_un sa;
	unsigned long n;

	if (live_address(argv[1], &sa) != 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return live_fail(argv[1]);
	while (recv(fd, &n, sizeof(n), 0) == sizeof(n))
		if (live_keep(argv[2], n) != 0)
			break;
	return 1;
}

static int live_receive(int sock)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char name[256];
	struct iovec iov = { name, sizeof(name) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *c;
	int fd;

	if (recvmsg(sock, &msg, 0) < 0)
		return -1;
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* console SOCKET FILE: whoever comes brings a terminal's master, of which all goes to the file */
int verb_console(int argc, char **argv)
{
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), out, sock, ptmx;
	struct sockaddr_un sa;
	char buf[4096];
	ssize_t n;

	if (live_address(argv[1], &sa) != 0 ||
	    bind(listener, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(listener, 1) < 0)
		return live_fail(argv[1]);
	out = open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0644);
	sock = accept(listener, NULL, NULL);
	ptmx = live_receive(sock);
	close(sock);
	if (ptmx < 0)
		return live_fail("receive");
	while ((n = read(ptmx, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			return live_fail(argv[2]);
	return 0;
}
