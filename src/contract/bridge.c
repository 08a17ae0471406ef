/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contract/bridge.c - a connection that is there, joined to one that is made for it
 *
 *	DIALLING   the host's port, or a socket whose queue is full: what the near
 *	           side sends meanwhile waits in its socket
 *	JOINED     duplex.c
 *
 * One that fails costs its own client only: the near connection is closed.
 *
 * Callers: forward.c; agent/proxy.c.
 */
#define LOG_CATEGORY "bridge"
#include "contract/bridge.h"

#include <stdlib.h>

#include "contract/duplex.h"
#include "base/log.h"

#define BRIDGE_AGAIN	    (5 * USEC_PER_MSEC)
#define BRIDGE_AGAIN_BUDGET (10 * USEC_PER_SEC)

struct bridge {
	struct bridge *next, **link;
	struct bridges *list; /* borrowed */
	struct bridge_target target;
	int near, far;		    /* owned until joined */
	struct loop_source *source; /* DIALLING: of @far, or the timer of the next try */
	usec_t deadline;	    /* of the tries */
	struct duplex *duplex;	    /* owned; JOINED */
};

static void bridge_free(struct bridge *b)
{
	*b->link = b->next;
	if (b->next)
		b->next->link = b->link;
	b->list->n--;
	loop_remove(b->source);
	duplex_free(b->duplex);
	close_fd(&b->near);
	close_fd(&b->far);
	free(b);
}

static void bridge_ended(void *data)
{
	struct bridge *b = data;
	struct bridge_target target = b->target;

	bridge_free(b);
	if (target.ended)
		target.ended(target.data);
}

/* The other connection is made, or @r is negative and tells why not. */
static void bridge_connected(struct bridge *b, int r, struct coffer_error *err)
{
	struct bridge_target target = b->target;

	loop_remove(steal_ptr(b->source));
	if (r >= 0)
		r = duplex_new(contract_loop, b->near, b->far, bridge_ended, b, &b->duplex, err);
	if (r < 0) {
		log_debug("client closed: %s", err->message);
		bridge_free(b);
	} else {
		b->near = b->far = -1;
	}
	if (target.connected)
		target.connected(target.data, r < 0 ? err : NULL);
}

static void bridge_dial_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct bridge *b = data;

	bridge_connected(b, contract_ops->dialled(fd, b->target.port, &err), &err);
}

static int bridge_dial(struct bridge *b, struct coffer_error *err)
{
	b->far = contract_ops->dial(contract_side, b->target.port, err);
	if (b->far < 0)
		return b->far;
	return loop_add_fd(contract_loop, b->far, EPOLLOUT, bridge_dial_handler, b, &b->source, err);
}

static void bridge_try_handler(struct loop_source *timer, void *data)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct bridge *b = data;
	int r = b->far = b->target.connect(b->target.data, &err);

	if (r == -EAGAIN && deadline_left(b->deadline) > 0 && loop_arm(timer, BRIDGE_AGAIN, 0) == 0)
		return;
	bridge_connected(b, r, &err);
}

/* The first try as well comes from the loop, so that there is one way to end. */
static int bridge_try(struct bridge *b, struct coffer_error *err)
{
	int r = loop_add_timer(contract_loop, bridge_try_handler, b, &b->source, err);

	b->deadline = deadline_in(clock_budget(BRIDGE_AGAIN_BUDGET));
	if (r == 0 && (r = loop_arm(b->source, 0, 0)) < 0)
		err_sysn(err, r, "timer");
	return r;
}

int bridge_new(struct bridges *list, int near, const struct bridge_target *target,
	       struct coffer_error *err)
{
	struct bridge *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return err_nomem(err);
	*b = (struct bridge){ .list = list,
			      .target = *target,
			      .near = -1,
			      .far = -1,
			      .next = list->first,
			      .link = &list->first };
	if (b->next)
		b->next->link = &b->next;
	list->first = b;
	list->n++;
	r = target->port ? bridge_dial(b, err) : bridge_try(b, err);
	if (r < 0) {
		bridge_free(b);
		return r;
	}
	b->near = near;
	return 0;
}

void bridges_free(struct bridges *list)
{
	while (list->first)
		bridge_free(list->first);
}
