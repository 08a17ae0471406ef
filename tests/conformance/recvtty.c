/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/conformance/recvtty.c - takes terminals and reads them empty
 *
 *   recvtty [--pid-file FILE] [--mode null|single] [--no-stdin] SOCKET
 *
 * Listens on SOCKET, accepts the descriptors of any number of console sockets
 * and discards what comes out of them, or prints it in mode "single".  Nothing
 * is ever typed.  In place of the program of the same name that the bats files
 * expect.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { RECVTTY_MAX = 64 };

static void recvtty_die(const char *what)
{
	perror(what);
	exit(1);
}

static int recvtty_listen(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(at.sun_path)) {
		errno = ENAMETOOLONG;
		recvtty_die(path);
	}
	strcpy(at.sun_path, path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 16) < 0)
		recvtty_die(path);
	return fd;
}

/* Return: the terminal, -1 when the peer sent none. */
static int recvtty_receive(int listener)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char name[4096];
	struct iovec iov = { name, sizeof(name) };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	struct cmsghdr *head;
	int fd = -1;

	if (peer < 0)
		return -1;
	if (recvmsg(peer, &message, MSG_CMSG_CLOEXEC) > 0) {
		head = CMSG_FIRSTHDR(&message);
		if (head && head->cmsg_type == SCM_RIGHTS)
			memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	}
	close(peer);
	return fd;
}

static void recvtty_serve(int listener, int print)
{
	struct pollfd fds[RECVTTY_MAX] = { { .fd = listener, .events = POLLIN } };
	char sink[65536];
	nfds_t n = 1;

	for (;;) {
		fds[0].fd = n < RECVTTY_MAX ? listener : -1;
		if (poll(fds, n, -1) < 0)
			recvtty_die("poll");
		for (nfds_t i = n - 1; i > 0; i--) {
			ssize_t got = fds[i].revents ? read(fds[i].fd, sink, sizeof(sink)) : 0;

			if (print && got > 0 && write(1, sink, (size_t)got) != got)
				recvtty_die("write");
			if (!fds[i].revents || got > 0)
				continue;
			close(fds[i].fd);
			fds[i] = fds[--n];
		}
		if (fds[0].revents) {
			fds[n] = (struct pollfd){ recvtty_receive(listener), POLLIN, 0 };
			n += fds[n].fd >= 0;
		}
	}
}

int main(int argc, char **argv)
{
	const char *path = NULL, *pid_file = NULL;
	int print = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--pid-file") == 0 && i + 1 < argc)
			pid_file = argv[++i];
		else if (strcmp(argv[i], "--mode") == 0 && i + 1 < argc)
			print = strcmp(argv[++i], "single") == 0;
		else if (strcmp(argv[i], "--no-stdin") != 0)
			path = argv[i];
	}
	if (!path) {
		fprintf(stderr, "usage: recvtty [--pid-file FILE] [--mode null|single] SOCKET\n");
		return 1;
	}
	if (pid_file) {
		FILE *f = fopen(pid_file, "w");

		if (!f || fprintf(f, "%d\n", (int)getpid()) < 0 || fclose(f) != 0)
			recvtty_die(pid_file);
	}
	recvtty_serve(recvtty_listen(path), print);
}
