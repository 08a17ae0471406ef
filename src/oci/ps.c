/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/ps.c - ps: the processes of a container
 *
 * The table is that of ps -ef, made from /proc.  Other columns are left to
 * ps(1), see ps_columns.c.  A process that ends meanwhile is left out.
 */
#include "oci/handle.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/io.h"
#include "base/table.h"
#include "oci/ps_columns.h"

#define PS_COMMAND_MAX 4096
#define PS_PTS_MAJOR   136 /* and the seven after it: 2^20 terminals */
#define PS_VT_MAJOR    4

struct ps_opts {
	bool help;
	const char *format;
};

struct ps_process {
	int ppid, tty;
	unsigned long long user, system, start; /* clock ticks; start: after boot */
	char name[32];
};

/* What stands between the brackets is the process's own choice; the last bracket is proc's. */
static int ps_parse(const char *text, struct ps_process *p)
{
	const char *open = strchr(text, '('), *end = strrchr(text, ')');

	if (!open || !end)
		return -EINVAL;
	snprintf(p->name, sizeof(p->name), "%.*s", (int)(end - open - 1), open + 1);
	if (sscanf(end + 1,
		   " %*c %d %*d %*d %d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d "
		   "%*d %llu",
		   &p->ppid, &p->tty, &p->user, &p->system, &p->start) != 5)
		return -EINVAL;
	return 0;
}

static void ps_tty(int tty, char text[16])
{
	unsigned major = major((dev_t)(unsigned)tty), minor = minor((dev_t)(unsigned)tty);

	if (major >= PS_PTS_MAJOR && major < PS_PTS_MAJOR + 8)
		snprintf(text, 16, "pts/%u", minor + ((major - PS_PTS_MAJOR) << 20));
	else if (major == PS_VT_MAJOR)
		snprintf(text, 16, "tty%u", minor);
	else
		snprintf(text, 16, "?");
}

/* "15:04" today, "Nov22" before. */
static void ps_started(time_t at, time_t now, char text[16])
{
	struct tm began, today;

	localtime_r(&at, &began);
	localtime_r(&now, &today);
	strftime(text, 16,
		 began.tm_year == today.tm_year && began.tm_yday == today.tm_yday ? "%H:%M" : "%b%d",
		 &began);
}

static void ps_user(int proc, char text[32])
{
	struct passwd *pw;
	struct stat st;

	if (fstat(proc, &st) < 0)
		st.st_uid = 0;
	pw = getpwuid(st.st_uid);
	if (pw)
		snprintf(text, 32, "%s", pw->pw_name);
	else
		snprintf(text, 32, "%u", (unsigned)st.st_uid);
}

static void ps_command(int proc, const char *name, char *text, size_t room)
{
	autofree char *line = NULL;
	size_t len = 0;

	io_read_file(proc, "cmdline", PS_COMMAND_MAX * 64, &line, &len, NULL);
	while (len > 0 && line[len - 1] == '\0')
		len--;
	for (size_t i = 0; i < len; i++)
		if (line[i] == '\0')
			line[i] = ' ';
	if (len > 0)
		snprintf(text, room, "%.*s", (int)len, line);
	else
		snprintf(text, room, "[%s]", name);
}

static void ps_row(struct table *table, pid_t pid, int proc, const struct ps_process *p)
{
	char number[16], parent[16], cpu[8], tty[16], started[16], used[32], user[32];
	unsigned long long hz = (unsigned long long)sysconf(_SC_CLK_TCK), seconds;
	char command[PS_COMMAND_MAX];
	struct timespec boot;
	time_t now = time(NULL), age;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	age = boot.tv_sec - (time_t)(p->start / hz);
	seconds = (p->user + p->system) / hz;
	snprintf(number, sizeof(number), "%d", (int)pid);
	snprintf(parent, sizeof(parent), "%d", p->ppid);
	snprintf(cpu, sizeof(cpu), "%llu", age > 0 ? seconds * 100 / (unsigned long long)age : 0);
	snprintf(used, sizeof(used), "%02llu:%02llu:%02llu", seconds / 3600, seconds / 60 % 60,
		 seconds % 60);
	ps_tty(p->tty, tty);
	ps_started(now - age, now, started);
	ps_user(proc, user);
	ps_command(proc, p->name, command, sizeof(command));
	table_add(table, (const char *[]){ user, number, parent, cpu, started, tty, used, command });
}

static void ps_process(struct table *table, pid_t pid)
{
	autofree char *text = NULL;
	struct ps_process p;
	autoclose int proc = -1;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (proc >= 0 && io_read_file(proc, "stat", 4096, &text, NULL, NULL) == 0 &&
	    ps_parse(text, &p) == 0)
		ps_row(table, pid, proc, &p);
}

static void ps_json(const pid_t *pids, size_t n)
{
	putchar('[');
	for (size_t i = 0; i < n; i++)
		printf("%s%d", i ? "," : "", (int)pids[i]);
	puts("]");
}

static int ps_table(const pid_t *pids, size_t n, struct coffer_error *err)
{
	static const char *const columns[] = { "UID",	"PID", "PPID", "C",
					       "STIME", "TTY", "TIME", "CMD" };
	CLEANUP(table_free) struct table table = TABLE_INIT(columns, ARRAY_SIZE(columns));

	for (size_t i = 0; i < n; i++)
		ps_process(&table, pids[i]);
	return table_print(&table, stdout, err);
}

static int ps_main(const struct oci *oci, const void *data, int nargs, char *args[],
		   struct coffer_error *err)
{
	const struct ps_opts *opts = data;
	autohandle struct handle h = HANDLE_INIT;
	autofree pid_t *pids = NULL;
	size_t n = 0;
	int r;

	r = handle_open(oci, args[0], STATE_UNLOCKED, 0, NULL, &h, err);
	if (r == 0)
		r = handle_attach(&h, -1, err);
	if (r == 0 && h.status != STATUS_STOPPED)
		r = engine_pids(h.engine, &pids, &n, err);
	if (r < 0)
		return r;
	if (opts->format && strcmp(opts->format, "json") == 0) {
		ps_json(pids, n);
		return 0;
	}
	return nargs > 1 ? ps_columns(args + 1, nargs - 1, pids, n, err) : ps_table(pids, n, err);
}

static const struct opt_row ps_rows[] = {
	{ "format", 'f', OPT_WORD, offsetof(struct ps_opts, format), "FORMAT",
	  "table (default) or json", .words = oci_formats },
	OCI_ROW_HELP,
};

const struct oci_command oci_ps = {
	.name = "ps",
	.usage = "[OPTION...] ID [OPTION-OF-PS...]",
	.help = "List the processes of a container",
	.fn = ps_main,
	.rows = ps_rows,
	.nrows = ARRAY_SIZE(ps_rows),
	.min_args = 1,
	.max_args = -1,
	.options_first = true,
};
