/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry_stub.h - guests of a few instructions in real stubs, for tests of sentry/trap
 *
 * A guest has a page of code and some of data, both in a memory file of its own. What is mapped
 * where, and what is done with events, is each test's.
 */
#ifndef TESTS_UNIT_SENTRY_STUB_H
#define TESTS_UNIT_SENTRY_STUB_H

#include <stdint.h>
#include <stdlib.h>

#include "sentry/kernel.h"
#include "sentry/mm/memfile.h"
#include "sentry/trap/trap.h"

#define CODE 0x400000ul
#define DATA 0x500000ul

/* Pieces of guest code, position-independent, each at its name. */
#define GUEST(name, text)                                                                         \
	extern const uint8_t guest_##name[], guest_##name##_end[];                                \
	__asm__(".pushsection .rodata\n.balign 64\nguest_" #name ":\n" text "\nguest_" #name "_end:\n.popsection")

static enum trap_how how;

struct guest {
	struct memfile *memory;
	struct trap_pool *pool;
	struct trap_stub *stub;
	struct trap_thread *thread;
	uint64_t code, data; /* in the memory file */
	struct trap_event event;
};

/* guest_new() - Memory, @data bytes of it for DATA, and a pool of stubs; none is taken yet */
static inline struct guest *guest_new(uint64_t data)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct guest *g = calloc(1, sizeof(*g));

	assert_int_equal(memfile_new(0, &g->memory, &err), 0);
	assert_int_equal(memfile_alloc(g->memory, PAGE_SIZE, &g->code), 0);
	assert_int_equal(memfile_alloc(g->memory, data, &g->data), 0);
	if (trap_pool_new(g->memory, how, &g->pool, &err) < 0)
		fail_msg("%s", err.message);
	return g;
}

static inline void guest_free(struct guest *g)
{
	trap_pool_free(g->pool);
	memfile_free(g->memory);
	free(g);
}

/* guest_leave() - Give its thread and its stub back */
static inline void guest_leave(struct guest *g)
{
	trap_thread_put(g->thread);
	trap_stub_put(g->stub);
	g->thread = NULL;
	g->stub = NULL;
}

#endif /* TESTS_UNIT_SENTRY_STUB_H */
