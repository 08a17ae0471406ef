/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contract/duplex.c - two connected sockets joined, both ways, each way with its own end
 *
 *	a --relay--> b     end of file at one side is passed on as shutdown(2) to
 *	a <--relay-- b     the other, whose own way goes on until it ends as well
 *
 * A descriptor can be watched only once, so each relay has its own of both.
 *
 * Callers: bridge.c.
 */
#include "contract/duplex.h"

#include <fcntl.h>
#include <stdlib.h>

#include "contract/relay.h"

enum { DUPLEX_THERE, DUPLEX_BACK, DUPLEX_WAYS };

struct duplex {
	struct relay *way[DUPLEX_WAYS]; /* owned */
	int left;			/* ways that have not ended */
	void (*ended)(void *data);
	void *data;
};

static void duplex_way_ended(void *data)
{
	struct duplex *d = data;

	if (--d->left == 0)
		d->ended(d->data);
}

static int duplex_join(struct duplex *d, struct loop *loop, int way, int src, int dst,
		       struct coffer_error *err)
{
	int r = relay_new(loop, src, dst, &d->way[way], err);

	if (r == 0)
		relay_share(d->way[way], duplex_way_ended, d);
	return r;
}

static int duplex_join_both(struct duplex *d, struct loop *loop, int a, int b,
			    struct coffer_error *err)
{
	autoclose int a2 = fcntl(a, F_DUPFD_CLOEXEC, 3), b2 = fcntl(b, F_DUPFD_CLOEXEC, 3);
	int r;

	if (a2 < 0 || b2 < 0)
		return err_sys(err, "duplicate socket");
	r = duplex_join(d, loop, DUPLEX_BACK, b2, a2, err);
	if (r < 0)
		return r;
	steal_fd(&a2);
	steal_fd(&b2);
	return duplex_join(d, loop, DUPLEX_THERE, a, b, err);
}

int duplex_new(struct loop *loop, int a, int b, void (*ended)(void *data), void *data,
	       struct duplex **out, struct coffer_error *err)
{
	struct duplex *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_nomem(err);
	*d = (struct duplex){ .left = DUPLEX_WAYS, .ended = ended, .data = data };
	r = duplex_join_both(d, loop, a, b, err);
	if (r < 0) {
		duplex_free(d);
		return r;
	}
	*out = d;
	return 0;
}

void duplex_free(struct duplex *d)
{
	if (!d)
		return;
	for (int i = 0; i < DUPLEX_WAYS; i++)
		relay_free(d->way[i]);
	free(d);
}
