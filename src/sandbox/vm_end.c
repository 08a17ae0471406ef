/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/vm_end.c - what the monitor says, and how the machine ended
 *
 * The monitor's records (vmm/config.h) come over a socket that keeps them whole.
 * The monitor is not trusted with more than its words: whoever took over the
 * machine may have taken over the monitor.  One that is gone without a word
 * leaves its exit status and what is on the console.
 *
 * What came first is what counts: once an end is known, later news are not.
 */
#define LOG_CATEGORY "vm"
#include "sandbox/vm_end.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/io.h"
#include "base/log.h"
#include "sandbox/console.h"
#include "sandbox/oom.h"
#include "vmm/config.h"

#define VM_END_BUDGET	  (2 * USEC_PER_SEC) /* for the monitor's own exit status */
#define VM_EMULATED_SCALE 3 /* of all budgets that wait for a guest */

_Static_assert(SANDBOX_CONSOLE_MAX == VMM_CONSOLE_MAX, "one text");
_Static_assert(SANDBOX_TAG_MAX == VMM_TAG_MAX, "one name");
_Static_assert(SANDBOX_SHARES_MAX == VMM_SHARES_MAX, "as many");
_Static_assert(SANDBOX_DISKS_MAX == VMM_DISKS_MAX, "as many");
_Static_assert(SANDBOX_DEVICES_MAX == VMM_DEVICES_MAX, "as many");

void vm_end_begin(struct vm *vm)
{
	vm->has_ended = false;
	vm->end = (struct sandbox_end){ .exit_code = -1 };
	vm->oom_kills = oom_count();
}

static void vm_end_note_signal(struct vm *vm, int pid)
{
	if (vm->end.signal == SIGKILL && oom_has_killed(vm->oom_kills, pid)) {
		vm->end.oom = true;
		err_wrap(&vm->end.error, "the host is out of memory");
	}
}

/* The monitor is gone without a word: how it went is all there is to tell. */
static void vm_end_lost(struct vm *vm)
{
	struct sandbox_end *end = &vm->end;
	int pid = vm->monitor.pid;
	const char *name;
	siginfo_t si;

	end->kind = SANDBOX_END_PROCESS;
	snprintf(end->process, sizeof(end->process), "coffer-vmm");
	if (child_wait(&vm->monitor, deadline_in(VM_END_BUDGET), &si) < 0) {
		err_set(&end->error, COFFER_ERR_INTERRUPTED, EPIPE, "coffer-vmm does not answer");
	} else if (si.si_code == CLD_EXITED) {
		end->exit_code = si.si_status;
		err_set(&end->error, COFFER_ERR_INTERRUPTED, EPIPE,
			"coffer-vmm ended with status %d", si.si_status);
	} else {
		end->signal = si.si_status;
		name = sigdescr_np(si.si_status);
		err_set(&end->error, COFFER_ERR_INTERRUPTED, EPIPE,
			"coffer-vmm was killed by signal %d (%s)", si.si_status,
			name ? name : "real-time");
		vm_end_note_signal(vm, pid);
	}
	console_explain(vm->cfg.dir->vm_fd, &end->error);
	console_tail(vm->cfg.dir->vm_fd, end->console);
}

static void vm_end_running(struct vm *vm, const struct vmm_status *status)
{
	/* Never back: a longer budget harms no faster machine beside it. */
	if (strcmp(status->error.message, "qemu-kvm") != 0)
		clock_set_scale(VM_EMULATED_SCALE);
	vm->nprocesses = status->nprocesses < VMM_PROCESSES_MAX ? status->nprocesses
								 : VMM_PROCESSES_MAX;
	for (unsigned i = 0; i < vm->nprocesses; i++)
		vm_cost_note(&vm->processes[i], status->processes[i].name,
			     status->processes[i].tag, status->processes[i].pid);
}

static void vm_end_told(struct vm *vm, const struct vmm_status *status)
{
	static const enum sandbox_end_kind kinds[VMM_STATUS_COUNT] = {
		[VMM_STATUS_FAILED] = SANDBOX_END_PROCESS,
		[VMM_STATUS_POWER_OFF] = SANDBOX_END_POWER_OFF,
		[VMM_STATUS_PANIC] = SANDBOX_END_PANIC,
		[VMM_STATUS_DIED] = SANDBOX_END_PROCESS,
	};
	const struct vmm_process *p = &status->processes[0];
	struct sandbox_end *end = &vm->end;

	end->kind = kinds[status->kind];
	end->error = status->error;
	if ((unsigned)end->error.kind >= COFFER_ERR_KIND_COUNT ||
	    end->error.kind == COFFER_ERR_NONE || end->error.err <= 0)
		err_internal(&end->error, "coffer-vmm reported an odd error");
	memcpy(end->console, status->console, sizeof(end->console));
	if (status->kind == VMM_STATUS_FAILED)
		snprintf(end->process, sizeof(end->process), "coffer-vmm");
	if (status->kind != VMM_STATUS_DIED)
		return;
	memcpy(end->process, p->name, sizeof(end->process));
	memcpy(end->tag, p->tag, sizeof(end->tag));
	end->exit_code = p->exit_code;
	end->signal = p->signal;
	vm_end_note_signal(vm, p->pid);
}

/* Texts end, and hold nothing that could do harm on a terminal. */
static void vm_end_clean(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

void vm_end_read(struct vm *vm)
{
	struct vmm_status status;
	ssize_t n;

	if (vm->has_ended || vm->status_fd < 0)
		return;
	/* A whole record or none: a monitor in foreign hands cannot make us wait for the rest. */
	n = recv(vm->status_fd, &status, sizeof(status), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != (ssize_t)sizeof(status) || (unsigned)status.kind >= VMM_STATUS_COUNT) {
		vm_end_lost(vm);
		vm->has_ended = true;
		return;
	}
	vm_end_clean(status.error.message, sizeof(status.error.message));
	vm_end_clean(status.console, sizeof(status.console));
	for (size_t i = 0; i < ARRAY_SIZE(status.processes); i++) {
		vm_end_clean(status.processes[i].name, sizeof(status.processes[i].name));
		vm_end_clean(status.processes[i].tag, sizeof(status.processes[i].tag));
	}
	vm->has_ended = status.kind != VMM_STATUS_RUNNING;
	if (vm->has_ended)
		vm_end_told(vm, &status);
	else
		vm_end_running(vm, &status);
}

void vm_end_asked(struct vm *vm)
{
	/* Its last word may be there, unread. */
	vm_end_read(vm);
	if (!vm->has_ended)
		vm->end = (struct sandbox_end){ .kind = SANDBOX_END_ASKED, .exit_code = -1 };
	vm->has_ended = true;
}

bool vm_end_await(struct vm *vm, usec_t deadline)
{
	autoclose int fd = -1;
	bool ended;

	pthread_mutex_lock(&vm->lock);
	if (!vm->has_ended && vm->status_fd >= 0)
		fd = fcntl(vm->status_fd, F_DUPFD_CLOEXEC, 3);
	for (;;) {
		vm_end_read(vm);
		ended = vm->has_ended;
		/* Not with the lock: a stop does not wait for us. */
		pthread_mutex_unlock(&vm->lock);
		if (ended || fd < 0 || io_wait(fd, POLLIN, deadline) <= 0)
			return ended;
		pthread_mutex_lock(&vm->lock);
	}
}
