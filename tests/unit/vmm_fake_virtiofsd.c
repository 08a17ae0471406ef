/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtiofsd for tests of the monitor.  It does what the file "mode" in the
 * shared directory says: "serve" until the machine hangs up, or "exit N" with
 * some words, or "look" around its jail and tell.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/share_jail.h"

static void fake_list(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	unsigned n = 0;

	while (d && (e = readdir(d)))
		n += e->d_name[0] != '.';
	fprintf(stderr, "%s=%u ", path, n);
}

static void fake_try(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	fprintf(stderr, "%s=%s ", path, fd < 0 ? strerrorname_np(errno) : "ok");
	if (fd >= 0)
		close(fd);
}

static int fake_look(void)
{
	/* The directory itself is not left open. */
	fprintf(stderr, "fd4=%s ", fcntl(SHARE_JAIL_FD_DIR, F_GETFD) < 0 ? "no" : "open");
	fake_list("/share");
	fake_list("/proc");
	fake_try("/share/new", O_WRONLY | O_CREAT | O_EXCL);
	fake_try("/new", O_WRONLY | O_CREAT);
	fake_try("/etc/passwd", O_RDONLY);
	fake_try("/proc/self/fd", O_RDONLY);
	fake_try("/proc/sys/fs/file-max", O_RDONLY);
	fprintf(stderr, "uid=%u\n", geteuid());
	return 7;
}

static int fake_serve(void)
{
	int conn = accept(SHARE_JAIL_FD_SOCKET, NULL, NULL);
	char c;

	while (read(conn, &c, 1) > 0)
		;
	return conn < 0;
}

int main(void)
{
	char mode[64] = "";
	FILE *f = fopen("/share/mode", "re");
	bool good = f && fgets(mode, sizeof(mode), f);

	if (f)
		fclose(f);
	if (!good)
		return 99;
	if (strncmp(mode, "exit ", 5) == 0) {
		fprintf(stderr, "cannot go on\n");
		return atoi(mode + 5);
	}
	return strcmp(mode, "look") == 0 ? fake_look() : fake_serve();
}
