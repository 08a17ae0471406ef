/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/sandbox.h - the wall around a container, whatever it is made of
 *
 *	boot() --> ready() --> connect_*(), dial(), listen(), pause(), resume() --> stop()
 *
 * An implementation is a table of functions and a constructor; the container
 * room knows only this file.  One thread at a time, except where said.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "sandbox/agent.h"
#include "sandbox/rundir.h"

#define SANDBOX_DISKS_MAX 4

struct sandbox_disk {
	int fd;             /* raw image, opened to match read_only; borrowed until boot() is over */
	bool read_only;
	const char *serial; /* static, at most 20 characters */
};

/* All pointers and descriptors are borrowed and must outlive the sandbox. */
struct sandbox_config {
	struct rundir *dir;
	unsigned cpus;
	uint64_t memory;     /* bytes, a multiple of 1 MiB */
	const char *machine; /* "auto", "qemu-kvm", "qemu-tcg" */
	const char *kernel;  /* path, NULL: ours */
	const char *initrd;
	struct sandbox_disk disks[SANDBOX_DISKS_MAX]; /* the guest's vda, vdb ... */
	unsigned ndisks;
	int archive_fd;      /* cpio file that the guest finds unpacked in its root; -1: none */
	int cancel_fd;       /* readable: ready() gives up with -ECANCELED */
};

/* CLOCK_MONOTONIC in microseconds, 0 for not yet; guest_*: durations */
struct sandbox_info {
	uint64_t spawned;
	uint64_t running;
	uint64_t ready;
	uint64_t guest_kernel;
	uint64_t guest_agent;
};

struct sandbox {
	const struct sandbox_ops *ops;
};

struct sandbox_ops {
	/* Start the machine and return while it still boots; its disks may be filled until then. */
	int (*boot)(struct sandbox *sb, struct coffer_error *err);
	/* Wait until the agent is up. Fails early when the machine dies. */
	int (*ready)(struct sandbox *sb, struct coffer_error *err);
	/* End it at once, with everything it runs; idempotent. */
	void (*stop)(struct sandbox *sb);
	int (*pause)(struct sandbox *sb, struct coffer_error *err);
	int (*resume)(struct sandbox *sb, struct coffer_error *err);

	/* A new connection to the agent, in two halves so that other work fits in between.
	 * The first gives a descriptor or negative errno, the second takes it over in any case. */
	int (*connect_begin)(struct sandbox *sb, struct coffer_error *err);
	int (*connect_end)(struct sandbox *sb, int fd, struct agent **out,
			   struct coffer_error *err);
	/* Return: a connection to a port inside, or negative errno */
	int (*dial)(struct sandbox *sb, uint32_t port, struct coffer_error *err);
	/* Return: a listening socket (non-blocking) for connections from inside to @port of ours.
	 * Closing it does not undo it, unlisten() does. */
	int (*listen)(struct sandbox *sb, uint32_t port, struct coffer_error *err);
	void (*unlisten)(struct sandbox *sb, uint32_t port);

	/* The connection to the agent broke: say why in @err, if the machine is gone. Any thread. */
	void (*explain)(struct sandbox *sb, struct coffer_error *err);
	void (*info)(struct sandbox *sb, struct sandbox_info *out);
	void (*free)(struct sandbox *sb); /* stops it first */
};

/* The constructor of an implementation; @config is copied. */
typedef int (*sandbox_maker)(const struct sandbox_config *config, struct sandbox **out,
			     struct coffer_error *err);

#endif /* SANDBOX_SANDBOX_H */
