/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/monitor.h - one machine's monitor: its stages, its state, its end
 *
 * Shared by monitor.c and control.c; main.c calls monitor_run() only.
 */
#ifndef VMM_MONITOR_H
#define VMM_MONITOR_H

#include "vmm/machine.h"

enum monitor_state {
	MONITOR_STARTING, /* the machine has not reported RUNNING */
	MONITOR_RUNNING,
	MONITOR_PAUSED,
	MONITOR_STOPPED,  /* the machine is gone; the monitor is about to end */
	MONITOR_STATE_COUNT,
};

/* CLOCK_MONOTONIC; 0: not yet */
struct monitor_timing {
	usec_t vmm_started, machine_spawned, control_ready, machine_running;
};

struct control;

struct monitor {
	const struct vmm_config *cfg;     /* borrowed */
	const struct tsc_sample *tsc_start; /* borrowed */
	const struct machine_type *type;
	struct monitor_timing timing;
	enum monitor_state state;         /* only monitor.c writes it */
	bool changing;                    /* a pause or resume is under way */

	struct loop *loop;                /* all owned from here on */
	struct jail jail;
	struct console console;
	int dirfd;                        /* vm_dir */
	bool owns_dir;                    /* what is in it is ours to remove */
	int vsock_fd, control_fd;         /* listeners, until their users take them over */
	int status_fd;
	int memory_fd;                    /* what /proc says of our own; -1: nothing */
	struct shares *shares;
	struct machine *machine;
	struct virtio_device *vsock;
	struct control *control;
	struct loop_source *end_timer;

	bool asked;                       /* a caller wants the end */
	bool forced;
};

/**
 * monitor_run() - Run the machine that @cfg describes until its end
 * @started:	When the process began
 * @tsc:	Sample taken then
 *
 * Start failures and unasked ends are written to the status descriptor and
 * logged.  Everything in vm_dir is removed, unless another monitor's socket was
 * found there.
 *
 * Return: exit status of the process: 0 when the machine ended in order
 */
int monitor_run(const struct vmm_config *cfg, usec_t started, const struct tsc_sample *tsc);

/* monitor_pause(), monitor_resume() - @done is called exactly once when these return 0 */
int monitor_pause(struct monitor *mon, machine_done done, void *data, struct coffer_error *err);
int monitor_resume(struct monitor *mon, machine_done done, void *data, struct coffer_error *err);

/* monitor_end() - End the machine; unless @force it may finish its disk writes for @timeout */
void monitor_end(struct monitor *mon, bool force, usec_t timeout);

/* monitor_pss() - Bytes of memory that are this process' own share; 0: not known */
uint64_t monitor_pss(const struct monitor *mon);

const char *monitor_state_str(enum monitor_state state);

#endif /* VMM_MONITOR_H */
