/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/config.h - what coffer-sentry is started with
 *
 * A struct in a memory file, from sandbox/sentry.c of the same build; magic and size say so.
 * Descriptors are numbers in the new process.
 */
#ifndef SENTRY_CONFIG_H
#define SENTRY_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#define SENTRY_CONFIG_MAGIC 0x434f4653u
#define SENTRY_TREES_MAX    16
#define SENTRY_DISKS_MAX    20
#define SENTRY_TAG_MAX	    36

/* A directory of the host; the mount source of its file system is the tag. */
struct sentry_tree {
	int fd;
	bool read_only;
	char file[256];	/* the one file of it that can be seen; "": all */
	char tag[SENTRY_TAG_MAX + 1];
};

/* An image; the mount source is /dev/vda, vdb ... in order. */
struct sentry_disk {
	int fd;
	bool read_only;
	char serial[21];
};

struct sentry_config {
	uint32_t magic, size;
	char id[128];
	uint64_t memory;     /* bytes of guest memory; 0: no limit */
	uint32_t cpus;
	uint32_t pids;	     /* most tasks; 0: no limit */
	int how;	     /* enum trap_how */
	bool strace;
	bool network;	     /* inet sockets of the host's in the network namespace it is started in */
	int archive_fd;	     /* cpio that is unpacked at /busybox; -1: none */
	int ports_fd;	     /* directory of sockets: vsock.sock_<port> leads to the host, guest_<port> in */
	int listen_fd;	     /* where the agent contract is served */
	int lifetime_fd;     /* closed or shut down by the owner: end */
	int trace_fd;	     /* events of processes go there as lines of JSON; -1: nowhere */
	int status_fd;	     /* the greeting goes there, then the reason of an end */
	int log_level, log_format;
	uint32_t ntrees, ndisks;
	struct sentry_tree trees[SENTRY_TREES_MAX];
	struct sentry_disk disks[SENTRY_DISKS_MAX];
};

#endif /* SENTRY_CONFIG_H */
