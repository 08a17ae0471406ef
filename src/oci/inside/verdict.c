/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inside/verdict.c - tell the command that has started us what came of it
 *
 * One datagram: an errno, and the words of the error.
 *
 * Callers: init.c, exec.c.
 */
#define LOG_CATEGORY "verdict"
#include "oci/inside/verdict.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/io.h"
#include "base/log.h"

int verdict_connect(int dir, const char *name)
{
	return io_unix_connect(dir, name, SOCK_DGRAM, NULL);
}

void verdict_tell(int fd, int r, const struct coffer_error *err)
{
	char text[sizeof(err->message) + 16];
	int n = snprintf(text, sizeof(text), "%d %s", r < 0 ? (err->err ? err->err : EIO) : 0,
			 r < 0 ? err->message : "");

	if (fd >= 0 && send(fd, text, (size_t)n, MSG_NOSIGNAL) < 0)
		log_debug("nobody waits for the start");
}
