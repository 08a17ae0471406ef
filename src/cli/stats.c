/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/stats.c - coffer stats: what containers use, as a table or JSON
 *
 * The share of a CPU needs two looks a second apart; with --no-stream the
 * second one is printed, else one after each second.
 */
#include "cli/doc.h"
#include "cli/target.h"

#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/table.h"

#define STATS_INTERVAL_MS 1000

struct stats_opts {
	bool help, no_stream;
	const char *format;
};

static const char *const stats_formats[] = { "table", "json", NULL };

#define FIELD(member) offsetof(struct stats_opts, member)
static const struct opt_row stats_rows[] = {
	{ "no-stream", 0, OPT_FLAG, FIELD(no_stream), NULL, "Once instead of every second" },
	{ "format", 0, OPT_WORD, FIELD(format), "FORMAT",
	  "table (default), or json: an object a line", .words = stats_formats },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

/* A container that is looked at. */
struct stats_row {
	struct coffer_container *c; /* owned; NULL: gone */
	char id[COFFER_ID_MAX + 1];
	struct coffer_stats now;
	uint64_t cpu, at; /* of the look before */
	double percent;
};

struct stats_rows_list {
	struct stats_row *v; /* owned */
	size_t n;
};

static void stats_free(struct stats_rows_list *rows)
{
	for (size_t i = 0; i < rows->n; i++)
		coffer_container_free(rows->v[i].c);
	free(rows->v);
}

/* One that goes meanwhile, or stands still, has no numbers. */
static void stats_look(struct stats_row *row)
{
	uint64_t now = clock_now();

	if (!row->c)
		return;
	row->now.size = sizeof(row->now);
	row->percent = 0;
	if (coffer_container_stats(row->c, COFFER_STATS_ALL, &row->now, NULL) < 0)
		row->now.categories = 0;
	if (row->at && now > row->at && row->now.cpu.usage > row->cpu)
		row->percent = 100.0 * (double)(row->now.cpu.usage - row->cpu) /
			       (double)(now - row->at);
	row->cpu = row->now.cpu.usage;
	row->at = now;
}

static void stats_pair(uint64_t a, uint64_t b, bool binary, char *out, size_t size)
{
	char left[32], right[32];

	doc_size(a, binary, left, sizeof(left));
	doc_size(b, binary, right, sizeof(right));
	snprintf(out, size, "%s / %s", left, right);
}

/* The columns as text. */
struct stats_text {
	char cpu[32], memory[80], share[32], net[80], block[80], pids[32];
};

static void stats_print(const struct stats_row *row, struct stats_text *t)
{
	const struct coffer_stats *s = &row->now;
	uint64_t rx = 0, tx = 0, rd = 0, wr = 0, limit = s->memory.limit;

	for (unsigned i = 0; i < s->ninterfaces; i++) {
		rx += s->interfaces[i].rx_bytes;
		tx += s->interfaces[i].tx_bytes;
	}
	for (unsigned i = 0; i < s->ndisks; i++) {
		rd += s->disks[i].read_bytes;
		wr += s->disks[i].write_bytes;
	}
	/* Without a limit of its own the machine's memory is one. */
	if (limit == COFFER_UNLIMITED || limit == 0)
		limit = s->cost.guest_memory;
	snprintf(t->cpu, sizeof(t->cpu), "%.2f%%", row->percent);
	stats_pair(s->memory.usage, limit, true, t->memory, sizeof(t->memory));
	snprintf(t->share, sizeof(t->share), "%.2f%%",
		 limit ? 100.0 * (double)s->memory.usage / (double)limit : 0.0);
	stats_pair(rx, tx, false, t->net, sizeof(t->net));
	stats_pair(rd, wr, false, t->block, sizeof(t->block));
	snprintf(t->pids, sizeof(t->pids), "%llu", (unsigned long long)s->process.current);
}

static bool stats_add_numbers(struct json_object *obj, const struct coffer_stats *s)
{
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {
		{ "MemUsageBytes", s->memory.usage },
		{ "MemLimitBytes", s->memory.limit },
		{ "CPUUsec", s->cpu.usage },
		{ "CPUThrottledUsec", s->cpu.throttled },
		{ "OOMKills", s->memory_events.oom_kill },
		{ "MachineMemoryBytes", s->cost.guest_memory },
		{ "MonitorPSS", s->cost.monitor_pss },
		{ "MonitorCPUUsec", s->cost.monitor_cpu },
		{ "MachinePSS", s->cost.machine_pss },
		{ "MachineCPUUsec", s->cost.machine_cpu },
		{ "FsServerPSS", s->cost.fs_pss },
		{ "FsServerCPUUsec", s->cost.fs_cpu },
	};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (!json_add(obj, numbers[i].key, json_object_new_uint64(numbers[i].value)))
			return false;
	return true;
}

static int stats_json(const struct stats_row *row, struct coffer_error *err)
{
	autojson struct json_object *obj = json_object_new_object();
	struct stats_text t = { 0 };

	stats_print(row, &t);
	if (!obj || !json_add(obj, "ID", json_object_new_string(row->id)) ||
	    !json_add(obj, "Container", json_object_new_string(row->id)) ||
	    !json_add(obj, "Name", json_object_new_string(row->id)) ||
	    !json_add(obj, "CPUPerc", json_object_new_string(t.cpu)) ||
	    !json_add(obj, "MemUsage", json_object_new_string(t.memory)) ||
	    !json_add(obj, "MemPerc", json_object_new_string(t.share)) ||
	    !json_add(obj, "NetIO", json_object_new_string(t.net)) ||
	    !json_add(obj, "BlockIO", json_object_new_string(t.block)) ||
	    !json_add(obj, "PIDs", json_object_new_string(t.pids)) ||
	    !stats_add_numbers(obj, &row->now))
		return err_nomem(err);
	puts(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN |
						     JSON_C_TO_STRING_NOSLASHESCAPE));
	return 0;
}

static void stats_row(const struct stats_row *row, struct table *table)
{
	struct stats_text t = { 0 };

	stats_print(row, &t);
	if (row->now.categories & ~(unsigned)COFFER_STATS_COST)
		table_add(table, (const char *[]){ row->id, t.cpu, t.memory, t.share, t.net,
						   t.block, t.pids });
	else
		table_add(table, (const char *[]){ row->id, "--", "-- / --", "--", "--", "--",
						   "--" });
}

static int stats_show(const struct stats_rows_list *rows, const struct stats_opts *opts,
		      struct coffer_error *err)
{
	static const char *const titles[] = { "CONTAINER ID",	     "CPU %",	"MEM USAGE / LIMIT",
					      "MEM %",		     "NET I/O", "BLOCK I/O",
					      "PIDS" };
	CLEANUP(table_free) struct table table = TABLE_INIT(titles, ARRAY_SIZE(titles));
	bool json = strcmp(opts->format, "json") == 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < rows->n; i++) {
		if (json)
			r = stats_json(&rows->v[i], err);
		else
			stats_row(&rows->v[i], &table);
	}
	if (r < 0 || json)
		return r;
	if (!opts->no_stream && isatty(STDOUT_FILENO))
		fputs("\033[2J\033[H", stdout);
	return table_print(&table, stdout, err);
}

static int stats_add(const struct cli *cli, struct stats_rows_list *rows, const char *name,
		     struct coffer_error *err)
{
	struct stats_row *v = reallocarray(rows->v, rows->n + 1, sizeof(*v));
	struct coffer_container *c;
	int r;

	if (!v)
		return err_nomem(err);
	rows->v = v;
	r = target_open(cli, name, &c, err);
	if (r < 0)
		return r;
	v[rows->n] = (struct stats_row){ .c = c };
	snprintf(v[rows->n].id, sizeof(v->id), "%s", coffer_container_id(c));
	rows->n++;
	return 0;
}

/* All that run. One that ends meanwhile is none. */
static int stats_add_all(const struct cli *cli, struct stats_rows_list *rows,
			 struct coffer_error *err)
{
	autojson struct json_object *docs = NULL;
	int r = doc_load_all(cli, &docs, err);

	for (size_t i = 0; r == 0 && i < json_object_array_length(docs); i++) {
		struct json_object *doc = json_object_array_get_idx(docs, i);

		if (doc_flag(doc, "State", "Running"))
			stats_add(cli, rows, doc_text(doc, NULL, "Id"), NULL);
	}
	return r;
}

static int stats_watch(struct stats_rows_list *rows, const struct stats_opts *opts,
		       struct coffer_error *err)
{
	int r;

	do {
		for (size_t i = 0; i < rows->n; i++)
			stats_look(&rows->v[i]);
		poll(NULL, 0, rows->n > 0 || !opts->no_stream ? STATS_INTERVAL_MS : 0);
		for (size_t i = 0; i < rows->n; i++)
			stats_look(&rows->v[i]);
		r = stats_show(rows, opts, err);
	} while (r == 0 && !opts->no_stream && fflush(stdout) == 0);
	return r;
}

static int cli_stats(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	CLEANUP(stats_free) struct stats_rows_list rows = { 0 };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct stats_opts opts = { .format = "table" };
	int rest, code, r = 0;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 0, INT_MAX, &rest);
	if (code >= 0)
		return code;
	for (int i = rest; r == 0 && i < argc; i++)
		r = stats_add(cli, &rows, argv[i], &err);
	if (r == 0 && rest == argc)
		r = stats_add_all(cli, &rows, &err);
	if (r == 0)
		r = stats_watch(&rows, &opts, &err);
	if (r == 0)
		return CLI_EXIT_OK;
	cli_fail(&err);
	return CLI_EXIT_FAILED;
}

const struct cli_verb cli_verb_stats = {
	.name = "stats",
	.fn = cli_stats,
	.usage = "[OPTION...] [CONTAINER...]",
	.help = "Show what running containers use",
	.rows = stats_rows,
	.nrows = ARRAY_SIZE(stats_rows),
};
