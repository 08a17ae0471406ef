/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/usage.h - what a container has used, as ContainerStatistics words it
 */
#ifndef AGENT_USAGE_H
#define AGENT_USAGE_H

#include "agent/container.h"
#include "sandbox_context.pb-c.h"

/* The groups of figures of one container, and room for all of them. */
struct usage {
	Sc__ContainerStats stats; /* points into the rest */
	Sc__ProcessStats process;
	Sc__MemoryStats memory;
	Sc__CPUStats cpu;
	Sc__BlockIOStats block_io;
	Sc__MemoryEventStats memory_events;
	Sc__BlockIOEntry *devices;	/* owned */
	Sc__BlockIOEntry **device_ptrs; /* owned */
};

/* usage_read() - Figures of @categories, a set of 1U << Sc__StatCategory, without the network;
 * files that are not there count 0 */
int usage_read(const struct container *c, unsigned categories, struct usage *out,
	       struct coffer_error *err);
void usage_free(struct usage *u);

/* usage_oom_kills() - Processes that the kernel killed for want of memory so far */
uint64_t usage_oom_kills(const struct container *c);

/* usage_value() - Number behind "<key> " at the begin of a line; "" as key: the first word.
 * "max" is UINT64_MAX, none 0 */
uint64_t usage_value(const char *text, const char *key);

/* usage_parse_io() - io.stat to entries, malloc'd. Return: how many, or -ENOMEM */
ssize_t usage_parse_io(const char *text, Sc__BlockIOEntry **out);

#endif /* AGENT_USAGE_H */
