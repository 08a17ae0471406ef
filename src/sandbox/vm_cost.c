/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/vm_cost.c - memory and processor time of a process on the host
 *
 * A pid is taken for the process it was only together with its start time.
 * /proc/PID/smaps_rollup is for those who might trace the process: the monitor
 * that an ordinary user started is not among them, and has to be asked.
 */
#include "sandbox/vm_cost.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

#define VM_COST_FILE_MAX 16384

/* What /proc/PID/stat says behind the name. */
struct vm_cost_stat {
	uint64_t user, system; /* clock ticks */
	uint64_t started;
	uint64_t rss;          /* pages */
	char state;
};

static char *vm_cost_file(int pid, const char *name)
{
	char *text = NULL, path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return io_read_file(AT_FDCWD, path, VM_COST_FILE_MAX, &text, NULL, NULL) < 0 ? NULL : text;
}

static bool vm_cost_stat(int pid, struct vm_cost_stat *out)
{
	autofree char *text = pid > 0 ? vm_cost_file(pid, "stat") : NULL;
	/* The name is the process' to choose. */
	const char *rest = text ? strrchr(text, ')') : NULL;

	return rest && sscanf(rest, ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64
				    " %" SCNu64 " %*d %*d %*d %*d %*d %*d %" SCNu64 " %*u %" SCNu64,
			      &out->state, &out->user, &out->system, &out->started,
			      &out->rss) == 5 && out->state != 'Z' && out->state != 'X';
}

static uint64_t vm_cost_pss(int pid)
{
	autofree char *text = vm_cost_file(pid, "smaps_rollup");
	const char *line = text ? strstr(text, "\nPss:") : NULL;
	uint64_t kib = 0;

	return line && sscanf(line, " Pss: %" SCNu64, &kib) == 1 ? kib << 10 : 0;
}

void vm_cost_note(struct vm_process *p, const char *name, const char *tag, int pid)
{
	struct vm_cost_stat st;

	*p = (struct vm_process){ .pid = pid };
	snprintf(p->name, sizeof(p->name), "%s", name);
	snprintf(p->tag, sizeof(p->tag), "%s", tag);
	if (vm_cost_stat(pid, &st))
		p->started = st.started;
}

bool vm_cost_read(const struct vm_process *p, struct sandbox_cost_process *out)
{
	uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK), pss;
	struct vm_cost_stat st;

	pss = p->started ? vm_cost_pss(p->pid) : 0;
	if (!p->started || !vm_cost_stat(p->pid, &st) || st.started != p->started)
		return false;
	*out = (struct sandbox_cost_process){
		.pid = p->pid,
		.rss = st.rss * (uint64_t)sysconf(_SC_PAGESIZE),
		.pss = pss,
		.cpu_usec = (st.user + st.system) * UINT64_C(1000000) / ticks,
	};
	memcpy(out->process, p->name, sizeof(out->process));
	memcpy(out->tag, p->tag, sizeof(out->tag));
	return true;
}
