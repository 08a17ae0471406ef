/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer/stats.h - what a container uses
 */
#ifndef COFFER_STATS_H
#define COFFER_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "coffer/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct coffer_container;

#define COFFER_UNLIMITED     UINT64_MAX
#define COFFER_STATS_DEVICES 24 /* most disks and network interfaces that are told of */

enum coffer_stats_category {
	COFFER_STATS_PROCESS = 1 << 0,
	COFFER_STATS_MEMORY = 1 << 1,
	COFFER_STATS_CPU = 1 << 2,
	COFFER_STATS_BLOCK_IO = 1 << 3,
	COFFER_STATS_NETWORK = 1 << 4,
	COFFER_STATS_MEMORY_EVENTS = 1 << 5,
	COFFER_STATS_COST = 1 << 6, /* on the host */
	COFFER_STATS_ALL = (1 << 7) - 1,
};

/* Bytes and microseconds since the start, but for what is "current". The guest's numbers come from
 * its cgroup v2 and mean what the kernel's Documentation/admin-guide/cgroup-v2.rst says. */
struct coffer_stats {
	size_t size;         /* sizeof(struct coffer_stats), set by the caller */
	unsigned categories; /* which of the following are set */
	struct {
		uint64_t current, limit;
	} process;
	struct {
		uint64_t usage, limit, swap_usage, swap_limit, cache, kernel_stack, slab;
		uint64_t page_faults, major_page_faults, inactive_file, anon;
	} memory;
	struct {
		uint64_t usage, user, system; /* microseconds */
		uint64_t periods, throttled_periods, throttled;
	} cpu;
	unsigned ndisks;
	struct {
		uint64_t major, minor, read_bytes, write_bytes, reads, writes;
	} disks[COFFER_STATS_DEVICES];
	unsigned ninterfaces; /* of the machine */
	struct {
		char name[16];
		uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, tx_errors;
	} interfaces[COFFER_STATS_DEVICES];
	struct {
		uint64_t low, high, max, oom, oom_kill, oom_group_kill;
	} memory_events;
	/* Proportional set size and processor time of the processes on the host. The machine's
	 * contains the guest's memory. */
	struct {
		uint64_t monitor_pss, monitor_cpu;
		uint64_t machine_pss, machine_cpu;
		uint64_t fs_pss, fs_cpu; /* all servers of shares together */
		uint64_t guest_memory;   /* configured */
	} cost;
};

/**
 * coffer_container_stats() - Fill *@out
 * @categories:	COFFER_STATS_*; 0: all
 *
 * While started; when paused only the cost.
 */
COFFER_PUBLIC int coffer_container_stats(struct coffer_container *container, unsigned categories,
					 struct coffer_stats *out, struct coffer_error *err);

#ifdef __cplusplus
}
#endif

#endif /* COFFER_STATS_H */
