/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contract/relay.c - bytes from one descriptor to another, one way, on the loop
 *
 *	source --read--> chunk (shared) --write--> destination
 *	                   `--what the destination did not take--> held (own)
 *
 * While bytes are held the source is not read, so back-pressure reaches the
 * writer and a relay never holds more than one chunk.  read and write rather
 * than splice: a vsock socket takes spliced pages one 4 KiB packet each, but
 * sends 64 KiB packets when it is given a large buffer.
 *
 * A paused side is watched edge-triggered for nothing: a level-triggered
 * watch would report a hang-up that is not to be acted on yet, for ever.
 *
 * Callers: duplex.c; agent/streams.c.
 */
#include "contract/relay.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"

#define RELAY_CHUNK (256u << 10) /* four of the vsock driver's largest packets a call */
#define RELAY_BURST 4		 /* chunks before other sources get their turn */
#define RELAY_SHARED (64u << 10) /* of clients there may be hundreds, all of them stuck */

enum relay_state {
	RELAY_READING, /* source watched, nothing held */
	RELAY_HOLDING, /* destination watched, bytes held */
	RELAY_ENDED,   /* descriptors closed */
};

struct relay {
	struct loop *loop;
	enum relay_state state;
	int src, dst; /* owned */
	struct loop_source *src_source, *dst_source, *timer;
	uint8_t *held; /* owned; held_len bytes from held_off on are to be written */
	size_t held_off, held_len;
	bool finishing;		   /* relay_finish() was called */
	size_t left;		   /* bytes it may still read */
	usec_t quiet;		   /* how long the source must be silent before the end */
	bool silent;		   /* it has been for that long */
	void (*ended)(void *data); /* relay_share() was called */
	void *ended_data;
};

static uint8_t relay_chunk[RELAY_CHUNK];

static void relay_close(struct relay *r)
{
	loop_remove(r->src_source);
	loop_remove(r->dst_source);
	loop_remove(r->timer);
	r->src_source = r->dst_source = r->timer = NULL;
	close_fd(&r->src);
	close_fd(&r->dst);
	free(steal_ptr(r->held));
	r->state = RELAY_ENDED;
}

/* @failed: the destination takes nothing more. Nothing may be touched after it. */
static void relay_end(struct relay *r, bool failed)
{
	void (*ended)(void *data) = r->ended;

	if (ended && failed)
		shutdown(r->src, SHUT_RD);
	if (ended)
		shutdown(r->dst, SHUT_WR);
	relay_close(r);
	if (ended)
		ended(r->ended_data);
}

/* Return: bytes the destination took, 0 when it is full, negative when it is gone */
static ssize_t relay_write(struct relay *r, const uint8_t *p, size_t n)
{
	ssize_t w = io_write_some(r->dst, p, n);

	return w == -EAGAIN ? 0 : w;
}

/* Return: 0, or negative errno without memory */
static int relay_hold(struct relay *r, const uint8_t *p, size_t n)
{
	r->held = malloc(n);
	if (!r->held)
		return -ENOMEM;
	memcpy(r->held, p, n);
	r->held_off = 0;
	r->held_len = n;
	r->state = RELAY_HOLDING;
	loop_set_events(r->src_source, EPOLLET);
	loop_set_events(r->dst_source, EPOLLOUT);
	return 0;
}

/* The source is empty for now. */
static void relay_idle(struct relay *r)
{
	if (!r->finishing)
		return;
	if (r->quiet == 0 || r->silent || !r->timer || loop_arm(r->timer, r->quiet, 0) < 0)
		relay_end(r, false);
}

/* Copy one chunk. Return: true while there may be more to read at once */
static bool relay_copy(struct relay *r)
{
	size_t chunk = r->ended ? RELAY_SHARED : sizeof(relay_chunk);
	size_t room = r->left < chunk ? r->left : chunk;
	ssize_t n = room ? read(r->src, relay_chunk, room) : 0;
	ssize_t w;

	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0 && errno == EAGAIN) {
		relay_idle(r);
		return false;
	}
	/* A terminal master answers EIO when the last slave is closed. */
	if (n <= 0) {
		relay_end(r, false);
		return false;
	}
	r->silent = false;
	if (r->left != SIZE_MAX)
		r->left -= (size_t)n;
	w = relay_write(r, relay_chunk, (size_t)n);
	if (w < 0 || (w < n && relay_hold(r, relay_chunk + w, (size_t)(n - w)) < 0)) {
		relay_end(r, true);
		return false;
	}
	return w == n;
}

static void relay_src_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct relay *r = data;

	if (r->state != RELAY_READING)
		return;
	/* What has a limit ends soon, and no event would come for an empty source. */
	for (int i = 0; i < RELAY_BURST || r->left != SIZE_MAX; i++)
		if (!relay_copy(r))
			return;
	relay_idle(r);
}

static void relay_release(struct relay *r)
{
	free(steal_ptr(r->held));
	r->state = RELAY_READING;
	loop_set_events(r->dst_source, 0);
	loop_set_events(r->src_source, EPOLLIN);
	if (r->finishing)
		relay_src_handler(r->src_source, r->src, EPOLLIN, r);
}

static void relay_dst_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct relay *r = data;
	ssize_t w = 0;

	if (r->state == RELAY_HOLDING)
		w = relay_write(r, r->held + r->held_off, r->held_len);
	if (w < 0 || (w == 0 && (events & (EPOLLERR | EPOLLHUP)))) {
		relay_end(r, true);
		return;
	}
	if (r->state != RELAY_HOLDING)
		return;
	r->held_off += (size_t)w;
	r->held_len -= (size_t)w;
	if (r->held_len == 0)
		relay_release(r);
}

static void relay_quiet_handler(struct loop_source *timer, void *data)
{
	struct relay *r = data;

	r->silent = true;
	relay_src_handler(r->src_source, r->src, EPOLLIN, r);
}

int relay_new(struct loop *loop, int src, int dst, struct relay **out, struct coffer_error *err)
{
	struct relay *r = calloc(1, sizeof(*r));
	int ret;

	if (!r)
		return err_nomem(err);
	*r = (struct relay){ .loop = loop, .src = -1, .dst = -1, .left = SIZE_MAX };
	ret = loop_add_fd(loop, src, EPOLLIN, relay_src_handler, r, &r->src_source, err);
	if (ret == 0)
		ret = loop_add_fd(loop, dst, 0, relay_dst_handler, r, &r->dst_source, err);
	if (ret < 0) {
		relay_close(r); /* owns no descriptor yet */
		free(r);
		return ret;
	}
	r->src = src;
	r->dst = dst;
	*out = r;
	return 0;
}

void relay_share(struct relay *r, void (*ended)(void *data), void *data)
{
	r->ended = ended;
	r->ended_data = data;
}

static void relay_begin_finish(struct relay *r)
{
	r->finishing = true;
	if (r->state == RELAY_READING)
		relay_src_handler(r->src_source, r->src, EPOLLIN, r);
}

void relay_finish(struct relay *r, size_t most)
{
	if (r->state == RELAY_ENDED)
		return;
	r->quiet = 0;
	r->left = most;
	relay_begin_finish(r);
}

void relay_finish_quiet(struct relay *r, usec_t quiet)
{
	if (r->state == RELAY_ENDED)
		return;
	r->quiet = quiet;
	if (!r->timer)
		loop_add_timer(r->loop, relay_quiet_handler, r, &r->timer, NULL);
	relay_begin_finish(r);
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	relay_close(r);
	free(r);
}
