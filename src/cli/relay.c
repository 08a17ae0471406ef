/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/relay.c - bytes between our own descriptors and a process's streams
 *
 *	stdin  --read--> thread --send--> stream, at end of file: half-close
 *	stream --read--> thread --write--> stdout, stderr
 *
 * Our own descriptors are shared with other programs and therefore stay as
 * they are (blocking or not); the threads do the blocking.  When nobody reads
 * our stdout any more the stream is closed, so that the program gets EPIPE and
 * SIGPIPE as in a local pipeline; SIGPIPE itself is ignored here.  Used by run.c and
 * exec.c.
 */
#include "cli/relay.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define RELAY_BUFFER (256u << 10)
#define RELAY_DRAIN  (3 * USEC_PER_SEC) /* silence after the end that means nothing comes */

/* Wait for bytes. Return: true if a read is due, false if this direction is over */
static bool relay_wait(const struct relay *relay)
{
	struct pollfd fds[] = { { .fd = relay->from, .events = POLLIN },
				{ .fd = relay->ended_fd, .events = POLLIN } };
	usec_t deadline = USEC_INFINITY;
	nfds_t n = 2;

	for (;;) {
		int r = poll(fds, n, deadline_poll_ms(deadline));

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return false;
		if (!relay->output && fds[1].revents)
			return false;
		if (fds[0].revents)
			return true;
		n = 1;
		deadline = deadline_in(RELAY_DRAIN);
	}
}

static int relay_write(const struct relay *relay, const char *p, size_t n)
{
	if (relay->sink)
		return relay->sink(relay->sink_data, p, n);
	while (n > 0) {
		ssize_t w =
		    relay->output ? write(relay->to, p, n) : send(relay->to, p, n, MSG_NOSIGNAL);

		if (w < 0 && errno == EAGAIN) {
			struct pollfd pfd = { .fd = relay->to, .events = POLLOUT };

			poll(&pfd, 1, -1);
			continue;
		}
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

/*
 * What is wrong on the process's side is the end of this direction, as is a
 * reader or a terminal of ours that has gone; everything else loses bytes.
 */
static void relay_note(struct relay *relay, bool writing, int error)
{
	struct stat st;

	if (writing != relay->output || error == -EPIPE)
		return;
	if (error == -EIO && !relay->sink && fstat(writing ? relay->to : relay->from, &st) == 0 &&
	    S_ISCHR(st.st_mode))
		return;
	relay->error = error;
}

static void *relay_thread(void *data)
{
	autofree char *buf = malloc(RELAY_BUFFER);
	struct relay *relay = data;

	while (buf && relay_wait(relay)) {
		ssize_t n = read(relay->from, buf, RELAY_BUFFER);
		int r;

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			relay_note(relay, false, -errno);
		if (n <= 0)
			break;
		if (relay->output && relay->first_byte == 0)
			relay->first_byte = clock_now();
		r = relay_write(relay, buf, (size_t)n);
		if (r < 0) {
			relay_note(relay, true, r);
			break;
		}
	}
	/* The other end learns of it now, not when the process ends. */
	shutdown(relay->output ? relay->from : relay->to, relay->output ? SHUT_RDWR : SHUT_WR);
	return NULL;
}

int relay_start(struct relay *relay, struct coffer_error *err)
{
	int r = pthread_create(&relay->thread, NULL, relay_thread, relay);

	if (r != 0) {
		close_fd(relay->output ? &relay->from : &relay->to);
		return err_sysn(err, r, "start a thread");
	}
	relay->running = true;
	return 0;
}

void relay_finish(struct relay *relay)
{
	if (!relay->running)
		return;
	/* A send that nobody takes any more must not hold the thread. */
	if (!relay->output)
		shutdown(relay->to, SHUT_RDWR);
	pthread_join(relay->thread, NULL);
	relay->running = false;
	close_fd(relay->output ? &relay->from : &relay->to);
}
