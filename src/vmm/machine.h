/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/machine.h - what runs the guest, behind a table of functions
 *
 * A machine starts in two steps, so that its slow beginning overlaps with the
 * monitor's own: start() sets it going, attach() adds its sources to the loop
 * and connects its devices.  From then on it tells what happens through
 * on_event(); the last event is one of the final three, exactly once.
 */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include "base/cleanup.h"
#include "base/loop.h"
#include "virtio/device.h"
#include "vmm/config.h"
#include "vmm/console.h"
#include "vmm/jail.h"
#include "vmm/tsc.h"

enum machine_event_kind {
	MACHINE_RUNNING,  /* its CPUs were let go for the first time */
	MACHINE_PAUSED,
	MACHINE_RESUMED,
	MACHINE_SHUTDOWN, /* final: ended by its guest or by stop() */
	MACHINE_PANIC,    /* final: ended because its kernel panicked */
	MACHINE_DIED,     /* final: ended unasked */
	MACHINE_EVENT_COUNT,
};

static inline bool machine_event_is_final(enum machine_event_kind kind)
{
	return kind >= MACHINE_SHUTDOWN;
}

struct machine_event {
	enum machine_event_kind kind;
	const char *message; /* one line, "" if there is nothing to add */
	struct vmm_process process; /* with DIED, if it was one: who was first, and how it ended */
};

struct shares;

struct machine_args {
	const struct vmm_config *cfg;        /* all borrowed for the machine's life */
	const struct shares *shares;         /* NULL: none */
	const struct jail *jail;
	const struct tsc_sample *tsc_start;
	struct console *console;
	void (*on_event)(const struct machine_event *ev, void *data);
	void *data;
};

/* Each backend's own struct begins with it. */
struct machine {
	const struct machine_type *type;
	struct machine_args args;
	usec_t control_ready; /* when the machine first answered; 0: not yet */
};

/* @err is NULL on success */
typedef void (*machine_done)(const struct coffer_error *err, void *data);

struct machine_ops {
	int (*start)(const struct machine_type *type, const struct machine_args *args,
		     struct machine **out, struct coffer_error *err);
	int (*attach)(struct machine *m, struct loop *loop, struct virtio_device *vsock,
		      struct coffer_error *err);
	/* @done is called exactly once when these return 0 */
	int (*pause)(struct machine *m, machine_done done, void *data, struct coffer_error *err);
	int (*resume)(struct machine *m, machine_done done, void *data, struct coffer_error *err);
	/* End it: at once, or after it has finished its disk writes (the caller minds the time) */
	void (*stop)(struct machine *m, bool force);
	pid_t (*pid)(const struct machine *m);
	/* Ends it too; no event comes from here */
	void (*free)(struct machine *m);
};

struct machine_type {
	enum vmm_machine kind;
	bool kvm;
	int (*probe)(struct coffer_error *err); /* NULL: works everywhere */
	const struct machine_ops *ops;
};

/* machine_choose() - The type that @kind names; for auto the first that works here */
int machine_choose(enum vmm_machine kind, const struct machine_type **out,
		   struct coffer_error *err);

static inline void machine_free(struct machine *m)
{
	if (m)
		m->type->ops->free(m);
}

extern const struct machine_ops qemu_machine_ops;

#endif /* VMM_MACHINE_H */
