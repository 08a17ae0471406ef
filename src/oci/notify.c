/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/notify.c - sd_notify(3) out of a container
 *
 *	program --> /run/notify/notify.sock = <root>/<id>/notify/notify.sock --> us
 *	us --> $NOTIFY_SOCKET: READY=1, then MAINPID=
 *
 * The container can write what it likes: only a message that begins with
 * READY= goes on, cut to its first line, so that it cannot speak for others.
 * The first such message is the last: nobody stays for more.
 *
 * Callers: creation.c, run.c, start.c, foreground.c.
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
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"

#define NOTIFY_SOCKET  "notify/notify.sock"
#define NOTIFY_MESSAGE 4096

static const char *notify_host(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	return path && *path ? path : NULL;
}

int notify_prepare(const char *root, const char *id, int dirfd, struct oci_spec *spec,
		   struct coffer_error *err)
{
	static const char *const options[] = { "bind", "nosuid", "noexec", "nodev", "ro", NULL };
	autofree char *source = NULL;
	int r;

	if (!notify_host())
		return 0;
	if (asprintf(&source, "%s/%s/%s", root, id, NOTIFY_DIR) < 0) {
		source = NULL;
		return err_nomem(err);
	}
	if (mkdirat(dirfd, NOTIFY_DIR, 0755) < 0)
		return err_sys(err, "create %s", source);
	r = oci_mount_add(spec, NOTIFY_INSIDE, "bind", source, options, err);
	if (r == 0)
		r = oci_env_set(spec->process, "NOTIFY_SOCKET", NOTIFY_INSIDE "/notify.sock", err);
	return r;
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
	n = (ssize_t)strcspn(text, "\n");
	text[n] = '\n';
	notify_send(text, (size_t)n + 1);
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
