/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/usage.c - what a container has used, as ContainerStatistics words it
 *
 * A row of the table is one figure: the group it belongs to, the file of the
 * container's cgroup (version 2: the guest's), the word before the number, and
 * where it goes.  Rows of one file stand together, so that each file is read
 * once, and only when its group is asked for: under emulation a file of the
 * kernel's is 50 us and more.
 *
 * engine_stats() is not asked: it words the figures of both versions as other
 * runtimes do, who add memory to swap and tell no events.
 *
 * Callers: rpc_stats.c, events.c; unit tests.
 */
#include "agent/usage.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"

#define USAGE_FILE_MAX ((size_t)1 << 20)
#define USAGE_IO_MAX   1024 /* devices */

struct usage_row {
	Sc__StatCategory category;
	const char *file, *key;
	size_t offset; /* of an uint64_t in struct usage */
};

#define USAGE_ROW(category_, file_, key_, member_)                                                 \
	{                                                                                          \
		SC__STAT_CATEGORY__STAT_CATEGORY_##category_, file_, key_,                         \
		    offsetof(struct usage, member_)                                                \
	}

/* clang-format off */
static const struct usage_row usage_rows[] = {
	USAGE_ROW(PROCESS, "pids.current", "", process.current),
	USAGE_ROW(PROCESS, "pids.max", "", process.limit),
	USAGE_ROW(MEMORY, "memory.current", "", memory.usage_bytes),
	USAGE_ROW(MEMORY, "memory.max", "", memory.limit_bytes),
	USAGE_ROW(MEMORY, "memory.swap.current", "", memory.swap_usage_bytes),
	USAGE_ROW(MEMORY, "memory.swap.max", "", memory.swap_limit_bytes),
	USAGE_ROW(MEMORY, "memory.stat", "file", memory.cache_bytes),
	USAGE_ROW(MEMORY, "memory.stat", "kernel_stack", memory.kernel_stack_bytes),
	USAGE_ROW(MEMORY, "memory.stat", "slab", memory.slab_bytes),
	USAGE_ROW(MEMORY, "memory.stat", "pgfault", memory.page_faults),
	USAGE_ROW(MEMORY, "memory.stat", "pgmajfault", memory.major_page_faults),
	USAGE_ROW(MEMORY, "memory.stat", "inactive_file", memory.inactive_file),
	USAGE_ROW(MEMORY, "memory.stat", "anon", memory.anon),
	USAGE_ROW(MEMORY, "memory.stat", "workingset_refault_anon", memory.workingset_refault_anon),
	USAGE_ROW(MEMORY, "memory.stat", "workingset_refault_file", memory.workingset_refault_file),
	USAGE_ROW(MEMORY, "memory.stat", "pgsteal_kswapd", memory.pgsteal_kswapd),
	USAGE_ROW(MEMORY, "memory.stat", "pgsteal_direct", memory.pgsteal_direct),
	USAGE_ROW(MEMORY, "memory.stat", "pgsteal_khugepaged", memory.pgsteal_khugepaged),
	USAGE_ROW(CPU, "cpu.stat", "usage_usec", cpu.usage_usec),
	USAGE_ROW(CPU, "cpu.stat", "user_usec", cpu.user_usec),
	USAGE_ROW(CPU, "cpu.stat", "system_usec", cpu.system_usec),
	USAGE_ROW(CPU, "cpu.stat", "nr_periods", cpu.throttling_periods),
	USAGE_ROW(CPU, "cpu.stat", "nr_throttled", cpu.throttled_periods),
	USAGE_ROW(CPU, "cpu.stat", "throttled_usec", cpu.throttled_time_usec),
	USAGE_ROW(MEMORY_EVENTS, "memory.events", "low", memory_events.low),
	USAGE_ROW(MEMORY_EVENTS, "memory.events", "high", memory_events.high),
	USAGE_ROW(MEMORY_EVENTS, "memory.events", "max", memory_events.max),
	USAGE_ROW(MEMORY_EVENTS, "memory.events", "oom", memory_events.oom),
	USAGE_ROW(MEMORY_EVENTS, "memory.events", "oom_kill", memory_events.oom_kill),
	USAGE_ROW(MEMORY_EVENTS, "memory.events", "oom_group_kill", memory_events.oom_group_kill),
};
/* clang-format on */

/* ---- text ---- */

uint64_t usage_value(const char *text, const char *key)
{
	size_t n = strlen(key);
	const char *p = text;

	while (n && *p && (strncmp(p, key, n) != 0 || p[n] != ' ')) {
		p += strcspn(p, "\n");
		p += *p == '\n';
	}
	if (*p && n)
		p += n + 1;
	if (strncmp(p, "max", 3) == 0)
		return UINT64_MAX;
	return *p >= '0' && *p <= '9' ? strtoull(p, NULL, 10) : 0;
}

/* "rbytes=1" and the like, as far as they are told. */
static void usage_io_word(const char *word, Sc__BlockIOEntry *e)
{
	const struct {
		const char *key;
		uint64_t *out;
	} keys[] = {
		{ "rbytes=", &e->read_bytes },
		{ "wbytes=", &e->write_bytes },
		{ "rios=", &e->read_operations },
		{ "wios=", &e->write_operations },
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strncmp(word, keys[i].key, strlen(keys[i].key)) == 0)
			*keys[i].out = strtoull(word + strlen(keys[i].key), NULL, 10);
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6". Return: false for anything else */
static bool usage_io_line(const char *line, size_t len, Sc__BlockIOEntry *e)
{
	const char *end = line + len;
	char *p;

	*e = (Sc__BlockIOEntry)SC__BLOCK_IOENTRY__INIT;
	e->major = strtoull(line, &p, 10);
	if (p == line || *p != ':')
		return false;
	line = p + 1;
	e->minor = strtoull(line, &p, 10);
	if (p == line || *p != ' ')
		return false;
	while (p < end) {
		p += strspn(p, " ");
		usage_io_word(p, e);
		p += strcspn(p, " \n");
	}
	return true;
}

ssize_t usage_parse_io(const char *text, Sc__BlockIOEntry **out)
{
	Sc__BlockIOEntry *v = NULL, *grown, e;
	size_t n = 0, len;

	for (const char *p = text; *p && n < USAGE_IO_MAX; p += len, p += *p == '\n') {
		len = strcspn(p, "\n");
		if (!usage_io_line(p, len, &e))
			continue;
		grown = reallocarray(v, n + 1, sizeof(*v));
		if (!grown) {
			free(v);
			return -ENOMEM;
		}
		v = grown;
		v[n++] = e;
	}
	*out = v;
	return (ssize_t)n;
}

/* ---- files ---- */

/* The directory of its group. Return: descriptor, -1 when it has none of its own */
static int usage_open(const struct container *c)
{
	const char *dir = c->engine ? engine_freezer(c->engine) : NULL;

	return dir ? open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
}

/* Return: the text, empty when the file is not there; NULL without memory */
static char *usage_text(int dir, const char *file)
{
	char *text = NULL;

	if (dir < 0 || io_read_file(dir, file, USAGE_FILE_MAX, &text, NULL, NULL) < 0)
		return strdup("");
	return text;
}

static int usage_read_rows(int dir, unsigned categories, struct usage *out)
{
	autofree char *text = NULL;
	const char *file = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(usage_rows); i++) {
		const struct usage_row *row = &usage_rows[i];

		if (!(categories & 1U << row->category))
			continue;
		if (!file || strcmp(file, row->file) != 0) {
			free(text);
			text = usage_text(dir, file = row->file);
		}
		if (!text)
			return -ENOMEM;
		*(uint64_t *)((char *)out + row->offset) = usage_value(text, row->key);
	}
	return 0;
}

static int usage_read_io(int dir, struct usage *out)
{
	autofree char *text = usage_text(dir, "io.stat");
	ssize_t n = text ? usage_parse_io(text, &out->devices) : -ENOMEM;

	if (n <= 0)
		return (int)n;
	out->device_ptrs = calloc((size_t)n, sizeof(*out->device_ptrs));
	if (!out->device_ptrs)
		return -ENOMEM;
	for (ssize_t i = 0; i < n; i++)
		out->device_ptrs[i] = &out->devices[i];
	out->block_io.devices = out->device_ptrs;
	out->block_io.n_devices = (size_t)n;
	return 0;
}

static void usage_init(const struct container *c, unsigned categories, struct usage *u)
{
	*u = (struct usage){
		.stats = SC__CONTAINER_STATS__INIT,
		.process = SC__PROCESS_STATS__INIT,
		.memory = SC__MEMORY_STATS__INIT,
		.cpu = SC__CPUSTATS__INIT,
		.block_io = SC__BLOCK_IOSTATS__INIT,
		.memory_events = SC__MEMORY_EVENT_STATS__INIT,
	};
	u->stats.container_id = c->id;
	if (categories & 1U << SC__STAT_CATEGORY__STAT_CATEGORY_PROCESS)
		u->stats.process = &u->process;
	if (categories & 1U << SC__STAT_CATEGORY__STAT_CATEGORY_MEMORY)
		u->stats.memory = &u->memory;
	if (categories & 1U << SC__STAT_CATEGORY__STAT_CATEGORY_CPU)
		u->stats.cpu = &u->cpu;
	if (categories & 1U << SC__STAT_CATEGORY__STAT_CATEGORY_BLOCK_IO)
		u->stats.block_io = &u->block_io;
	if (categories & 1U << SC__STAT_CATEGORY__STAT_CATEGORY_MEMORY_EVENTS)
		u->stats.memory_events = &u->memory_events;
}

int usage_read(const struct container *c, unsigned categories, struct usage *out,
	       struct coffer_error *err)
{
	autoclose int dir = usage_open(c);
	int r;

	usage_init(c, categories, out);
	r = usage_read_rows(dir, categories, out);
	if (r == 0 && out->stats.block_io)
		r = usage_read_io(dir, out);
	return r < 0 ? err_nomem(err) : 0;
}

void usage_free(struct usage *u)
{
	free(u->devices);
	free(u->device_ptrs);
}

uint64_t usage_oom_kills(const struct container *c)
{
	autoclose int dir = usage_open(c);
	autofree char *text = usage_text(dir, "memory.events");

	return text ? usage_value(text, "oom_kill") : 0;
}
