/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/shared.c - shared anonymous memory: MAP_SHARED without a file
 *
 * One run of the memory file, as long as the first mapping was. Whoever maps beyond (mremap(2))
 * gets SIGBUS there, as on Linux.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "sentry/mm/space.h"

static int shared_translate(struct mappable *m, uint64_t offset, uint64_t len, bool write,
			    struct mappable_range *out)
{
	struct mm_shared *shared = container_of(m, struct mm_shared, mappable);

	(void)write;
	if (offset >= shared->len)
		return -ENXIO;
	out->host_fd = -1;
	out->offset = shared->offset + offset;
	out->len = len < shared->len - offset ? len : shared->len - offset;
	memfile_get(kernel.memory, out->offset, out->len);
	return 0;
}

static const struct mappable_ops shared_ops = { .translate = shared_translate };

int shared_new(uint64_t len, struct mm_shared **out)
{
	static _Atomic uint64_t inos;
	struct mm_shared *shared = calloc(1, sizeof(*shared));
	int r;

	if (!shared)
		return -ENOMEM;
	r = memfile_alloc(kernel.memory, len, &shared->offset);
	if (r) {
		free(shared);
		return r;
	}
	shared->mappable.ops = &shared_ops;
	shared->len = len;
	shared->refs = 1;
	shared->ino = atomic_fetch_add(&inos, 1) + 1;
	*out = shared;
	return 0;
}

void shared_get(struct mm_shared *shared)
{
	atomic_fetch_add(&shared->refs, 1);
}

void shared_put(struct mm_shared *shared)
{
	if (atomic_fetch_sub(&shared->refs, 1) > 1)
		return;
	memfile_put(kernel.memory, shared->offset, shared->len);
	free(shared);
}
