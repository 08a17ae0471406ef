/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/payload/unix.c - a client of an echo server
 */
#include "live.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int unix_send(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t w = write(fd, p, n);

		if (w < 0)
			return errno;
		p += w;
		n -= (size_t)w;
	}
	return shutdown(fd, SHUT_WR) < 0 ? errno : 0;
}

/* unix SOCKET BYTES: sends so many, ends, and prints how many of them came back and what then */
int verb_unix(int argc, char **argv)
{
	size_t total = strtoul(argv[2], NULL, 10), got = 0, right = 0;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char *sent = malloc(total + 1), *back = calloc(1, total + 64);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t self = (size_t)getpid();
	ssize_t n;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", argv[1]);
	if (!sent || !back || fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return errno;
	for (size_t i = 0; i < total; i++)
		sent[i] = (char)(i * 31 + (i >> 8) + self);
	if (fork() == 0)
		_exit(unix_send(fd, sent, total));
	while (got < total + 63 && (n = read(fd, back + got, total + 63 - got)) > 0)
		got += (size_t)n;
	while (right < total && right < got && sent[right] == back[right])
		right++;
	printf("%zu %s\n", right, right == total ? back + total : "");
	return 0;
}
