/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/facts.c - what guests are told of the machine
 *
 *	host's /proc/cpuinfo, sysinfo(2) --once--> here --> procfs, sysfs, cgroupfs, sysinfo(2)
 *
 * Memory used is the whole sandbox's, as most sandboxes have one container; with several, which share
 * one memory file, it is what the container's processes have, files in memory left out. Load averages
 * decay from one look to the next instead of by a timer, so that nobody wakes up for a number that
 * nobody reads.
 *
 * Called by the file systems and calls named above.
 */
#include "sentry/vfs/facts.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "base/io.h"
#include "sentry/control/container.h"
#include "sentry/mm/memfile.h"
#include "sentry/mm/mm.h"
#include "sentry/task/task.h"

#define FACTS_CPUINFO_MAX (1 << 20)

static pthread_once_t facts_once = PTHREAD_ONCE_INIT;
static uint64_t facts_host_memory;
static long facts_host_tick;
static char *facts_cpu; /* the host's first processor as text, without its number */

/* The first block behind its "processor : 0" line, without the empty line at its end. */
static char *facts_first_cpu(const char *text)
{
	const char *start = strchr(text, '\n');
	const char *end = start ? strstr(start, "\n\n") : NULL;

	return end ? strndup(start + 1, (size_t)(end - start)) : NULL;
}

static void facts_ask(void)
{
	autofree char *text = NULL;
	struct timespec tick;
	struct sysinfo info;

	if (sysinfo(&info) == 0)
		facts_host_memory = (uint64_t)info.totalram * info.mem_unit;
	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) == 0)
		facts_host_tick = tick.tv_nsec;
	if (io_read_file(AT_FDCWD, "/proc/cpuinfo", FACTS_CPUINFO_MAX, &text, NULL, NULL) == 0)
		facts_cpu = facts_first_cpu(text);
}

void facts_read(void)
{
	pthread_once(&facts_once, facts_ask);
}

uint64_t facts_memory_all(void)
{
	facts_read();
	return kernel.memory_max && (kernel.memory_max < facts_host_memory || !facts_host_memory) ?
		       kernel.memory_max :
		       facts_host_memory;
}

static bool facts_is_alone(void)
{
	bool alone;

	pthread_mutex_lock(&kernel.tasks_lock);
	alone = !kernel.containers || !kernel.containers->next;
	pthread_mutex_unlock(&kernel.tasks_lock);
	return alone;
}

void facts_memory(struct sandbox_container *container, struct facts_memory *out)
{
	struct memfile_usage usage = { 0 };

	out->total = facts_memory_all();
	if (container && container->memory_max &&
	    (container->memory_max < out->total || !out->total))
		out->total = container->memory_max;
	if (container && !facts_is_alone())
		usage.resident = mm_oom_usage(container);
	else if (kernel.memory)
		memfile_usage(kernel.memory, &usage);
	out->used = usage.resident < out->total ? usage.resident : out->total;
}

unsigned facts_cpus(void)
{
	return kernel.cpus ? kernel.cpus : 1;
}

long facts_tick(void)
{
	facts_read();
	return facts_host_tick;
}

int facts_cpu_list(struct buf *out)
{
	unsigned n = facts_cpus();

	return n > 1 ? buf_printf(out, "0-%u\n", n - 1) : buf_printf(out, "0\n");
}

/* Words of 32 bits, the highest first. */
int facts_cpu_mask(struct buf *out)
{
	unsigned n = facts_cpus(), words = (n + 31) / 32;
	int r = 0;

	for (unsigned i = words; i-- > 0 && !r;) {
		unsigned bits = i == words - 1 && n % 32 ? n % 32 : 32;
		unsigned mask = bits == 32 ? UINT32_MAX : (1u << bits) - 1;
		const char *end = i ? "," : "\n";

		r = words == 1 ? buf_printf(out, "%x%s", mask, end) :
				 buf_printf(out, "%08x%s", mask, end);
	}
	return r;
}

/* What differs from one processor of the host to the next is said anew for each. */
static int facts_cpu_line(struct buf *out, const char *line, size_t len, unsigned cpu)
{
	static const char *const ids[] = { "core id", "apicid", "initial apicid" };

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		size_t n = strlen(ids[i]);

		if (len > n && strncmp(line, ids[i], n) == 0 && line[n] == '\t')
			return buf_printf(out, "%s\t%s: %u\n", ids[i], n < 8 ? "\t" : "", cpu);
	}
	if (strncmp(line, "siblings\t", 9) == 0)
		return buf_printf(out, "siblings\t: %u\n", facts_cpus());
	if (strncmp(line, "cpu cores\t", 10) == 0)
		return buf_printf(out, "cpu cores\t: %u\n", facts_cpus());
	return buf_append(out, line, len);
}

int facts_cpuinfo(struct buf *out)
{
	int r = 0;

	facts_read();
	for (unsigned cpu = 0; cpu < facts_cpus() && !r; cpu++) {
		const char *line = facts_cpu ? facts_cpu : "";

		r = buf_printf(out, "processor\t: %u\n", cpu);
		while (*line && !r) {
			const char *end = strchr(line, '\n');
			size_t len = end ? (size_t)(end - line) + 1 : strlen(line);

			r = facts_cpu_line(out, line, len, cpu);
			line += len;
		}
		if (!r)
			r = buf_append(out, "\n", 1);
	}
	return r;
}

usec_t facts_uptime(void)
{
	return clock_now() - kernel.boot;
}

static int facts_add_process(struct process *process, void *data)
{
	usec_t *sum = data;
	struct rusage usage;

	process_usage(process, &usage);
	*sum += (usec_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * USEC_PER_SEC +
		(usec_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
	return 0;
}

usec_t facts_cpu_time(struct sandbox_container *container)
{
	usec_t sum = container->cpu_usec;

	process_each(container, facts_add_process, &sum);
	return sum;
}

static int facts_count_process(struct process *process, void *data)
{
	struct facts_load *load = data;

	for (struct task *task = process->tasks; task; task = task->next) {
		load->tasks++;
		load->running += !task_sleeps(task) && !task->stopped;
		if (task->tid > load->last_pid)
			load->last_pid = task->tid;
	}
	return 0;
}

/* exp(-x) in 1 << FACTS_LOAD_SHIFT, x as well: 1 / (1 + x + x^2 / 2 + x^3 / 6). */
static uint64_t facts_decay(uint64_t x)
{
	const uint64_t one = UINT64_C(1) << FACTS_LOAD_SHIFT;

	if (x > 10 * one)
		return 0;
	return (one << FACTS_LOAD_SHIFT) /
	       (one + x + ((x * x) >> (FACTS_LOAD_SHIFT + 1)) +
		((((x * x) >> FACTS_LOAD_SHIFT) * x) >> FACTS_LOAD_SHIFT) / 6);
}

void facts_load(struct sandbox_container *container, struct facts_load *out)
{
	static const unsigned seconds[3] = { 60, 300, 900 };
	static uint64_t averages[3]; /* tasks_lock */
	static usec_t last;	     /* tasks_lock */
	usec_t now = clock_now(), passed = now - (last ? last : kernel.boot);
	const uint64_t one = UINT64_C(1) << FACTS_LOAD_SHIFT;

	memset(out, 0, sizeof(*out));
	process_each(container, facts_count_process, out);
	last = now;
	for (size_t i = 0; i < 3; i++) {
		uint64_t x = passed / USEC_PER_MSEC * one / (seconds[i] * 1000);
		uint64_t keep = facts_decay(x);

		averages[i] = (averages[i] * keep + out->running * one * (one - keep)) >>
			      FACTS_LOAD_SHIFT;
		out->average[i] = averages[i];
	}
}
