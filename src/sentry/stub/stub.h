/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stub/stub.h - the parts of the stub program
 *
 * A static program without a C library, loaded at TRAP_TEXT. Its assembly is in stub.S; C runs
 * only in the zygote's first moments.
 */
#ifndef SENTRY_STUB_STUB_H
#define SENTRY_STUB_STUB_H

#include <linux/filter.h>
#include <stdint.h>

/* filters.c */
extern const struct sock_fprog trap_filter_base, trap_filter_mapper, trap_filter_notify,
	trap_filter_signal;

/* stub.S: signal handlers */
void trap_handler_notify(void);
void trap_handler_signal(void);

struct zygote_stack {
	uint64_t start, len;
};

/* zygote_setup() - Everything before the spawner's loop. @sp: the stack as execve(2) leaves it.
 * Return: where that is, to be unmapped */
struct zygote_stack zygote_setup(const uint64_t *sp);

#endif /* SENTRY_STUB_STUB_H */
