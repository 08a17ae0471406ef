/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/logs.c - coffer logs: what a container in the background has written
 *
 * The file is read to its end; with -f the directory is watched from then on,
 * and the container's events, whose end says that nothing more comes.  The
 * owner writes the last of the log before it lets go of them.
 */
#include "cli/doc.h"
#include "cli/logfile.h"
#include "cli/target.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/clock.h"

#define LOGS_ALL UINT64_MAX

struct logs_opts {
	bool help, follow, timestamps;
	const char *tail, *since;
};

#define FIELD(member) offsetof(struct logs_opts, member)
static const struct opt_row logs_rows[] = {
	{ "follow", 'f', OPT_FLAG, FIELD(follow), NULL, "Go on until the container has ended" },
	{ "tail", 'n', OPT_STRING, FIELD(tail), "N", "Only the last N lines (default: all)" },
	{ "timestamps", 't', OPT_FLAG, FIELD(timestamps), NULL, "Put the time before each line" },
	{ "since", 0, OPT_STRING, FIELD(since), "TIME",
	  "Only later lines: 2026-01-02T03:04:05Z, or 90s, 5m, 2h ago" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

struct logs {
	const struct logs_opts *opts;
	const char *path;
	uint64_t skip; /* lines not to print first */
	time_t since;
	FILE *in;      /* what is being read */
	ino_t ino;     /* of it */
	char *line;    /* getline(3)'s */
	size_t room;
};

static void logs_free(struct logs *l)
{
	if (l->in)
		fclose(l->in);
	free(l->line);
}

static int logs_parse_tail(const char *text, uint64_t *n, struct coffer_error *err)
{
	char *end;

	*n = LOGS_ALL;
	if (!text || strcmp(text, "all") == 0)
		return 0;
	errno = 0;
	*n = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno)
		return err_invalid(err, "logs: option --tail: %s: not a number of lines", text);
	return 0;
}

static int logs_parse_since(const char *text, time_t *at, struct coffer_error *err)
{
	static const char units[] = "smh";
	static const time_t seconds[] = { 1, 60, 3600 };
	unsigned long long n;
	const char *unit;
	char *end;

	*at = 0;
	if (!text)
		return 0;
	*at = doc_time(text);
	if (*at)
		return 0;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || errno || n > UINT32_MAX)
		return err_invalid(err, "logs: option --since: %s: not a time", text);
	/* A bare number is seconds since 1970. */
	unit = *end ? strchr(units, *end) : NULL;
	if (*end && (!unit || end[1]))
		return err_invalid(err, "logs: option --since: %s: not a time", text);
	*at = *end ? time(NULL) - (time_t)n * seconds[unit - units] : (time_t)n;
	return 0;
}

static void logs_print(const struct logs *l, struct json_object *obj)
{
	struct json_object *log = doc_get(obj, NULL, "log");
	FILE *out = strcmp(doc_text(obj, NULL, "stream"), "stderr") == 0 ? stderr : stdout;
	const char *when = doc_text(obj, NULL, "time");

	if (l->since && doc_time(when) < l->since)
		return;
	if (l->opts->timestamps)
		fprintf(out, "%s ", when);
	if (log)
		fwrite(json_object_get_string(log), 1, (size_t)json_object_get_string_len(log),
		       out);
}

/* Every whole line there is. */
static void logs_drain(struct logs *l)
{
	ssize_t n;

	while ((n = getline(&l->line, &l->room, l->in)) > 0) {
		autojson struct json_object *obj = NULL;

		if (l->line[n - 1] != '\n') {
			/* Being written: again when there is more. */
			fseek(l->in, -n, SEEK_CUR);
			break;
		}
		if (l->skip > 0) {
			l->skip--;
			continue;
		}
		obj = json_tokener_parse(l->line);
		if (obj)
			logs_print(l, obj);
	}
	clearerr(l->in);
	fflush(stdout);
	fflush(stderr);
}

static bool logs_open(struct logs *l, const char *path)
{
	struct stat st;

	if (l->in)
		fclose(l->in);
	l->in = fopen(path, "re");
	if (!l->in || fstat(fileno(l->in), &st) < 0)
		return false;
	l->ino = st.st_ino;
	return true;
}

static uint64_t logs_count(struct logs *l, const char *path)
{
	uint64_t lines = 0;

	if (!logs_open(l, path))
		return 0;
	while (getline(&l->line, &l->room, l->in) > 0)
		lines++;
	return lines;
}

/* Both files, the older one first. */
static int logs_begin(struct logs *l, uint64_t tail, struct coffer_error *err)
{
	autofree char *old = NULL;
	uint64_t lines = 0;

	if (asprintf(&old, "%s.1", l->path) < 0)
		return err_nomem(err);
	if (tail != LOGS_ALL)
		lines = logs_count(l, old) + logs_count(l, l->path);
	l->skip = lines > tail ? lines - tail : 0;
	if (logs_open(l, old))
		logs_drain(l);
	if (!logs_open(l, l->path))
		return err_sys(err, "open %s", l->path);
	logs_drain(l);
	return 0;
}

/* It has been renamed and begun anew: the rest of the old one has been read already. */
static void logs_follow_name(struct logs *l)
{
	struct stat st;

	logs_drain(l);
	if (stat(l->path, &st) == 0 && st.st_ino != l->ino && logs_open(l, l->path))
		logs_drain(l);
}

static void logs_follow(struct logs *l, int watch_fd, struct coffer_events *events)
{
	struct pollfd fds[] = { { .fd = watch_fd, .events = POLLIN },
				{ .fd = coffer_events_fd(events), .events = POLLIN } };
	char buf[4096];

	for (;;) {
		struct coffer_event event = { .size = sizeof(event) };
		int r = -ETIMEDOUT;

		logs_follow_name(l);
		if (ferror(stdout) || (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR))
			return;
		if (fds[1].revents)
			r = coffer_events_next(events, 0, &event, NULL);
		if (fds[0].revents && read(watch_fd, buf, sizeof(buf)) < 0)
			return;
		if (r < 0 && r != -ETIMEDOUT)
			break;
	}
	logs_follow_name(l);
}

static int logs_watch(const char *path, struct coffer_error *err)
{
	const char *slash = strrchr(path, '/');
	autofree char *dir = slash ? strndup(path, (size_t)(slash - path)) : NULL;
	autoclose int fd = inotify_init1(IN_CLOEXEC);

	if (!dir)
		return err_nomem(err);
	if (fd < 0 || inotify_add_watch(fd, dir, IN_MODIFY | IN_CREATE) < 0)
		return err_sys(err, "watch %s", dir);
	return steal_fd(&fd);
}

static int logs_show(const struct cli *cli, const char *name, struct logs *l, uint64_t tail,
		     struct coffer_error *err)
{
	autocontainer struct coffer_container *c = NULL;
	struct coffer_events *events = NULL;
	autofree char *path = NULL;
	char id[COFFER_ID_MAX + 1];
	autoclose int fd = -1;
	int r = target_find(cli, name, id, err);

	if (r == 0)
		r = logfile_find(cli, id, &path, err);
	if (r < 0 || !path)
		return r;
	l->path = path;
	/* Before the first look, so that nothing is missed. One that has ended is only read. */
	if (l->opts->follow && target_open(cli, id, &c, err) == 0 &&
	    coffer_container_events(c, &events, err) == 0) {
		fd = logs_watch(path, err);
		r = fd < 0 ? fd : 0;
	}
	if (r == 0)
		r = logs_begin(l, tail, err);
	if (r == 0 && events)
		logs_follow(l, fd, events);
	if (events)
		coffer_events_free(events);
	return r;
}

static int cli_logs(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct logs_opts opts = { 0 };
	CLEANUP(logs_free) struct logs l = { .opts = &opts };
	int rest, code;
	uint64_t tail;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 1, 1, &rest);
	if (code >= 0)
		return code;
	if (logs_parse_tail(opts.tail, &tail, &err) < 0 ||
	    logs_parse_since(opts.since, &l.since, &err) < 0)
		return cli_fail(&err);
	if (logs_show(cli, argv[rest], &l, tail, &err) == 0)
		return CLI_EXIT_OK;
	cli_fail(&err);
	return CLI_EXIT_FAILED;
}

const struct cli_verb cli_verb_logs = {
	.name = "logs",
	.fn = cli_logs,
	.usage = "[OPTION...] CONTAINER",
	.help = "Show what a container run with -d has written",
	.rows = logs_rows,
	.nrows = ARRAY_SIZE(logs_rows),
};
