/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/notify.c - sd_notify(3) out of a container
 *
 *	program --> <our $NOTIFY_SOCKET>/notify = <root>/<id>/notify/notify --> us
 *	us --> our $NOTIFY_SOCKET: READY=1, then MAINPID=
 *
 * What is a socket outside is a directory inside, as with crun; one that has no
 * path, or one that leaves no room for the name, is /run/notify there.
 *
 * The container can write what it likes: only a message that begins with
 * READY= goes on, cut to its first line, so that it cannot speak for others.
 * The first such message is the last: nobody stays for more.
 *
 * Callers: creation.c, run.c, start.c, foreground.c, checkpoint.c.
 */
#define LOG_CATEGORY "notify"
#include "oci/notify.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"

#define NOTIFY_NAME	  "/notify"
#define NOTIFY_SOCKET	  NOTIFY_DIR NOTIFY_NAME
#define NOTIFY_INSIDE	  "/run/notify"
#define NOTIFY_MESSAGE	  4096
#define NOTIFY_MOUNTS_MAX ((size_t)16 << 20) /* bytes of mountinfo */

static const char *notify_host(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	return path && *path ? path : NULL;
}

static const char *notify_inside(const char *host)
{
	struct sockaddr_un sa;

	return host[0] == '/' && strlen(host) + sizeof(NOTIFY_NAME) <= sizeof(sa.sun_path) ?
		       host : NOTIFY_INSIDE;
}

int notify_prepare(const char *root, const char *id, int dirfd, struct oci_spec *spec,
		   struct coffer_error *err)
{
	static const char *const options[] = { "bind", "nosuid", "noexec", "nodev", "ro", NULL };
	autofree char *source = NULL, *sock = NULL;
	const char *inside, *host = notify_host();
	int r;

	if (!host)
		return 0;
	inside = notify_inside(host);
	if (asprintf(&source, "%s/%s/%s", root, id, NOTIFY_DIR) < 0 ||
	    asprintf(&sock, "%s" NOTIFY_NAME, inside) < 0)
		return err_nomem(err);
	if (mkdirat(dirfd, NOTIFY_DIR, 0755) < 0)
		return err_sys(err, "create %s", source);
	r = oci_mount_add(spec, inside, "bind", source, options, err);
	return r < 0 ? r : oci_env_set(spec->process, "NOTIFY_SOCKET", sock, err);
}

/* A line of mountinfo, "36 35 98:0 /root /place ...": is it device @dev, directory ...@end? */
static char *notify_read_mount(char *line, dev_t dev, const char *end)
{
	char *word[5];
	unsigned major, minor;
	size_t n, len = strlen(end);

	for (size_t i = 0; i < ARRAY_SIZE(word); i++) {
		word[i] = strsep(&line, " ");
		if (!word[i] || !line)
			return NULL;
	}
	n = strlen(word[3]);
	if (sscanf(word[2], "%u:%u", &major, &minor) != 2 || makedev(major, minor) != dev ||
	    n < len || strcmp(word[3] + n - len, end) != 0)
		return NULL;
	return word[4];
}

int notify_find(int dirfd, const char *id, pid_t pid, char **place, struct coffer_error *err)
{
	autofree char *text = NULL, *end = NULL;
	char path[64], *line, *found = NULL, *next;
	struct stat st;
	int r;

	*place = NULL;
	if (fstatat(dirfd, NOTIFY_DIR, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, "stat %s", NOTIFY_DIR);
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
	r = io_read_file(AT_FDCWD, path, NOTIFY_MOUNTS_MAX, &text, NULL, err);
	if (r < 0)
		return r;
	if (asprintf(&end, "/%s/" NOTIFY_DIR, id) < 0)
		return err_nomem(err);
	next = text;
	while (!found && (line = strsep(&next, "\n")))
		found = notify_read_mount(line, st.st_dev, end);
	*place = found ? strdup(found) : NULL;
	return found && !*place ? err_nomem(err) : 0;
}

int notify_listen(int dirfd, int *sock, struct coffer_error *err)
{
	int fd;

	/* A container that was created without has no such directory. */
	if (!notify_host() || faccessat(dirfd, NOTIFY_DIR, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	/* Whoever the program runs as. */
	fd = io_unix_listen(dirfd, NOTIFY_SOCKET, SOCK_DGRAM, 0777, err);
	if (fd < 0)
		return err_wrap(err, "notification socket");
	*sock = fd;
	return 0;
}

static void notify_send(const char *text, size_t len)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	const char *host = notify_host();
	autoclose int fd = io_unix_connect(AT_FDCWD, host, SOCK_DGRAM, &err);

	if (fd >= 0 && send(fd, text, len, MSG_NOSIGNAL) < 0)
		err_sys(&err, "send to %s", host);
	if (err.kind != COFFER_ERR_NONE)
		log_warning("%s", err.message);
}

bool notify_forward(int sock, pid_t pid)
{
	char text[NOTIFY_MESSAGE], main_pid[32];
	ssize_t n = recv(sock, text, sizeof(text) - 1, MSG_DONTWAIT);
	int len;

	if (n <= 0)
		return false;
	text[n] = '\0';
	if (strncmp(text, "READY=", 6) != 0)
		return false;
	notify_send(text, strcspn(text, "\n"));
	len = snprintf(main_pid, sizeof(main_pid), "MAINPID=%d\n", (int)pid);
	notify_send(main_pid, (size_t)len);
	return true;
}

void notify_wait(int sock, const struct child *init)
{
	struct pollfd fds[] = { { .fd = sock, .events = POLLIN },
				{ .fd = init->pidfd, .events = POLLIN } };

	while (sock >= 0) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			continue;
		/* What it has said before its end counts. */
		if ((fds[0].revents && notify_forward(sock, init->pid)) || fds[1].revents)
			return;
	}
}
