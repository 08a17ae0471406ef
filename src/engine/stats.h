/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/stats.h - what a container has used, by controller
 *
 * Filled by engine_stats(), freed by engine_stats_free().  A controller that
 * the host does not have is not there (its bool is false, its list is empty).
 * Units are the kernel's: bytes, and nanoseconds of processor time.
 */
#ifndef ENGINE_STATS_H
#define ENGINE_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATS_UNLIMITED UINT64_MAX /* a limit that is not set on v2; v1 says INT64_MAX or nearly */

struct stats_list {
	uint64_t *v; /* owned */
	size_t n;
};

/* Pressure stall information: v2 only. */
struct stats_pressure_line {
	double avg10, avg60, avg300; /* percent */
	uint64_t total;              /* microseconds */
};

struct stats_pressure {
	bool set;
	struct stats_pressure_line some, full;
};

struct stats_cpu {
	bool set;
	uint64_t total, kernel, user;                     /* nanoseconds */
	struct stats_list percpu, percpu_kernel, percpu_user; /* v1 only */
	uint64_t periods, throttled_periods, throttled_time;
	struct stats_pressure psi;
};

struct stats_cpuset {
	bool set;
	struct stats_list cpus, mems; /* numbers; those in effect */
	uint64_t cpu_exclusive, mem_hardwall, mem_exclusive, memory_migrate, memory_spread_page,
		memory_spread_slab, memory_pressure, sched_load_balance;
	int64_t sched_relax_domain_level;
};

struct stats_memory_use {
	uint64_t limit, usage, max, failcnt;
};

struct stats_value {
	char key[48];
	uint64_t value;
};

struct stats_memory {
	bool set;
	uint64_t cache;
	struct stats_memory_use usage, swap, kernel, kernel_tcp; /* swap is memory plus swap */
	struct stats_value *raw; /* memory.stat; owned */
	size_t raw_n;
	uint64_t oom_kill;       /* processes killed for want of memory */
	struct stats_pressure psi;
};

struct stats_pids {
	bool set;
	uint64_t current;
	uint64_t limit; /* 0: none, as runc prints it */
};

struct stats_blkio_entry {
	uint64_t major, minor;
	char op[16]; /* "Read", "Write" ...; may be empty */
	uint64_t value;
};

struct stats_blkio_list {
	struct stats_blkio_entry *v; /* owned */
	size_t n;
};

struct stats_blkio {
	bool set;
	struct stats_blkio_list service_bytes, serviced, queued, service_time, wait_time, merged,
		time, sectors;
	struct stats_pressure psi;
};

struct stats_hugetlb {
	char page_size[16]; /* "2MB" */
	uint64_t usage, max, failcnt;
};

struct stats_rdma {
	char device[64];
	uint64_t handles, handles_max, objects, objects_max;
};

struct stats_interface {
	char name[16];
	uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped;
	uint64_t tx_bytes, tx_packets, tx_errors, tx_dropped;
};

struct engine_stats {
	struct stats_cpu cpu;
	struct stats_cpuset cpuset;
	struct stats_memory memory;
	struct stats_pids pids;
	struct stats_blkio blkio;
	struct stats_hugetlb *hugetlb; /* owned */
	size_t hugetlb_n;
	struct stats_rdma *rdma; /* owned */
	size_t rdma_n;
	struct stats_interface *interfaces; /* owned; of init's network namespace, without lo */
	size_t interfaces_n;
};

/* engine_stats_free() - What it owns, not @s itself; {0} is fine */
void engine_stats_free(struct engine_stats *s);

#endif /* ENGINE_STATS_H */
