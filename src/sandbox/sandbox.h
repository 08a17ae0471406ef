/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/sandbox.h - the wall around a container, whatever it is made of
 *
 *	boot() --> ready() --> connect_*(), dial(), listen(), pause(), resume() --> stop()
 *
 * An implementation is a table of functions and a constructor; the container
 * room knows only this file.
 *
 * Threads: boot(), ready() and free() are called with nothing else under way.
 * Between ready() and free() every other function may be called by any number of
 * threads at once, stop() among them: what is under way then fails.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "sandbox/agent.h"
#include "sandbox/rundir.h"

#define SANDBOX_DISKS_MAX   20
#define SANDBOX_SHARES_MAX  16
#define SANDBOX_DEVICES_MAX 22 /* disks and shares together: a machine has no more slots */
#define SANDBOX_TAG_MAX	    36
#define SANDBOX_CONSOLE_MAX 2048 /* bytes of text, terminator included */

/* A guest's flush is one of the host's; what it trims is given back to the host. */
struct sandbox_disk {
	int fd;             /* raw image or block device, opened to match read_only; with nbd a
			     * connected socket (sandbox/nbd.h); borrowed until ready() is over */
	bool read_only;
	bool nbd;
	const char *export; /* with nbd; NULL: the server's default */
	const char *serial; /* the guest finds it by this; at most 20 of a-z A-Z 0-9 _ . - */
};

/* A directory of the host as a virtiofs device. What is read-only is so for a guest that has
 * taken over its kernel, too. Fill with sandbox_config_share(). */
struct sandbox_share {
	int fd;             /* directory, O_PATH will do; borrowed until ready() is over */
	bool read_only;
	char file[256];     /* the one file of it that the guest gets to see; "": all */
	char tag[SANDBOX_TAG_MAX + 1];
};

/* All pointers and descriptors are borrowed and must outlive the sandbox. */
struct sandbox_config {
	struct rundir *dir;
	unsigned cpus;
	uint64_t memory;     /* bytes, a multiple of 1 MiB */
	const char *machine; /* "auto", "qemu-kvm", "qemu-tcg" */
	bool strace;	     /* of a kind that counts calls: they are logged */
	const char *trace;   /* likewise: file that events of processes are added to; NULL: none */
	const char *kernel;  /* path, NULL: ours */
	const char *initrd;
	struct sandbox_disk disks[SANDBOX_DISKS_MAX]; /* the guest's vda, vdb ... */
	unsigned ndisks;
	struct sandbox_share shares[SANDBOX_SHARES_MAX];
	unsigned nshares;
	bool network;        /* the caller's network namespace; only in a sentry */
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

/* How a sandbox came to its end. */
enum sandbox_end_kind {
	SANDBOX_END_ASKED,     /* by stop() */
	SANDBOX_END_POWER_OFF, /* the guest ended in order, as its agent never does */
	SANDBOX_END_PANIC,     /* the guest's kernel did */
	SANDBOX_END_PROCESS,   /* one of its processes on the host was first to go */
};

struct sandbox_end {
	enum sandbox_end_kind kind;
	char process[16];                  /* END_PROCESS: "coffer-vmm", "qemu", "virtiofsd" */
	char tag[SANDBOX_TAG_MAX + 1];     /* of which share, with virtiofsd */
	int exit_code;                     /* -1: it was a signal */
	int signal;                        /* 0: none */
	bool oom;                          /* the host was short of memory, as far as it tells */
	char console[SANDBOX_CONSOLE_MAX]; /* the last lines, " | " between them; "": none */
	struct coffer_error error;         /* all of it as a sentence; END_ASKED: none */
};

/* What one process of a sandbox costs the host. */
struct sandbox_cost_process {
	char process[16];
	char tag[SANDBOX_TAG_MAX + 1];
	int pid;
	uint64_t rss; /* bytes; QEMU's has the guest's memory in it */
	uint64_t pss; /* 0: not this caller's to see */
	uint64_t cpu_usec;
};

struct sandbox_cost {
	unsigned nprocesses;
	struct sandbox_cost_process processes[2 + SANDBOX_SHARES_MAX]; /* the monitor first */
};

struct sandbox {
	const struct sandbox_ops *ops;
};

struct sandbox_ops {
	/* Start the machine and return while it still boots; its disks may be filled until then. */
	int (*boot)(struct sandbox *sb, struct coffer_error *err);
	/* Wait until the agent is up. Fails early when the machine dies. */
	int (*ready)(struct sandbox *sb, struct coffer_error *err);
	/* End it at once, with everything it runs, paused or not; idempotent. */
	void (*stop)(struct sandbox *sb);
	/* -EBUSY (INVALID_STATE) when it is so already. The guest's clocks stand still meanwhile,
	 * its connections stay. */
	int (*pause)(struct sandbox *sb, struct coffer_error *err);
	int (*resume)(struct sandbox *sb, struct coffer_error *err);

	/* A new connection to the agent, in two halves so that other work fits in between.
	 * The first gives a descriptor or negative errno, the second takes it over in any case, and
	 * does not wait once poll(2) says connect_events (0: POLLIN) of it. */
	short connect_events;
	int (*connect_begin)(struct sandbox *sb, struct coffer_error *err);
	int (*connect_end)(struct sandbox *sb, int fd, struct agent **out,
			   struct coffer_error *err);
	/* Return: a connection to a port inside, or negative errno */
	int (*dial)(struct sandbox *sb, uint32_t port, struct coffer_error *err);
	/* Return: a listening socket (non-blocking) for connections from inside to @port of ours.
	 * Closing it does not undo it, unlisten() does. */
	int (*listen)(struct sandbox *sb, uint32_t port, struct coffer_error *err);
	void (*unlisten)(struct sandbox *sb, uint32_t port);

	/* Return: a descriptor for the caller to close, readable once the sandbox has ended for
	 * whatever reason. From boot() on; ready() may boot again, so better after it. */
	int (*end_fd)(struct sandbox *sb, struct coffer_error *err);
	/* How it ended; an end that has begun is given 2 s to be known. What was first counts, and
	 * stays known until free(). Return: 0, or -EBUSY (INVALID_STATE): it still runs */
	int (*end)(struct sandbox *sb, struct sandbox_end *out, struct coffer_error *err);
	/* The connection to the agent broke: say why in @err, if the machine is gone. */
	void (*explain)(struct sandbox *sb, struct coffer_error *err);
	int (*cost)(struct sandbox *sb, struct sandbox_cost *out, struct coffer_error *err);
	void (*info)(struct sandbox *sb, struct sandbox_info *out);
	void (*free)(struct sandbox *sb); /* stops it first */
};

/* Where the processes of sandboxes started from now on write their log lines; fd -1: nowhere. */
struct sandbox_log {
	int fd; /* borrowed */
	enum log_format format;
};
extern struct sandbox_log sandbox_log;

/* The constructor of an implementation; @config is copied. */
typedef int (*sandbox_maker)(const struct sandbox_config *config, struct sandbox **out,
			     struct coffer_error *err);

/**
 * sandbox_config_share() - Add a shared directory, or find it there
 * @fd:		Directory; borrowed until ready() is over
 * @read_only:	One that is wanted writable as well is made so for both
 * @tag:	Set to the device's, which the guest mounts; points into @config
 *
 * The same directory gets one device, whatever name it was opened by.
 *
 * Return: 0 or negative errno; -ENOSPC: no more devices
 */
int sandbox_config_share(struct sandbox_config *config, int fd, bool read_only, const char **tag,
			 struct coffer_error *err);

/**
 * sandbox_config_share_file() - The same of a directory with nothing in it but one file of @fd
 * @file:	Its name in there, also in the guest; a regular file
 *
 * Of a file that is replaced later the guest goes on having the old one.
 */
int sandbox_config_share_file(struct sandbox_config *config, int fd, const char *file,
			      bool read_only, const char **tag, struct coffer_error *err);

#endif /* SANDBOX_SANDBOX_H */
