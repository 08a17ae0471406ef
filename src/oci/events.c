/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/events.c - events: statistics every few seconds, and processes killed for want of memory
 *
 * One line of JSON an event, until the container has ended.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "engine/cgroup.h"
#include "oci/handle.h"
#include "oci/stats.h"

#define EVENTS_INTERVAL (5 * USEC_PER_SEC)

struct events_opts {
	bool help, stats;
	const char *interval;
};

#define OCI_OPTS struct events_opts

static const struct {
	const char *unit;
	double usec;
} events_units[] = {
	{ "us", 1 }, { "ms", 1e3 }, { "s", 1e6 }, { "m", 60e6 }, { "h", 3600e6 },
};

/* "5s", "100ms", "1m30s" */
static int events_duration(const char *text, usec_t *out, struct coffer_error *err)
{
	const char *p = text;
	double total = 0, n;
	char *end;

	while (*p) {
		size_t i = 0, len;

		n = strtod(p, &end);
		len = strspn(end, "umsh");
		while (i < ARRAY_SIZE(events_units) &&
		       (strlen(events_units[i].unit) != len ||
			strncmp(end, events_units[i].unit, len) != 0))
			i++;
		if (end == p || i == ARRAY_SIZE(events_units) || !(n >= 0 && n < 1e6))
			break;
		total += n * events_units[i].usec;
		p = end + len;
	}
	if (*p || total < 1)
		return err_invalid(err, "option --interval: %s: not a duration (such as 5s)", text);
	*out = (usec_t)total;
	return 0;
}

static int events_print(const char *type, const char *id, const struct engine_stats *stats,
			struct coffer_error *err)
{
	autojson struct json_object *obj = json_object_new_object();

	if (!obj)
		return err_nomem(err);
	json_object_object_add(obj, "type", json_object_new_string(type));
	json_object_object_add(obj, "id", json_object_new_string(id));
	if (stats)
		json_object_object_add(obj, "data", stats_json(stats));
	if (puts(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_NOSLASHESCAPE)) == EOF ||
	    fflush(stdout) != 0)
		return err_sys(err, "write standard output");
	return 0;
}

static int events_stats(struct handle *h, struct coffer_error *err)
{
	CLEANUP(engine_stats_free) struct engine_stats stats = { 0 };
	int r = engine_stats(h->engine, &stats, err);

	return r < 0 ? r : events_print("stats", h->state.id, &stats, err);
}

static int events_oom(struct handle *h, struct cgroup_oom *oom, struct coffer_error *err)
{
	uint64_t killed = 0;

	/* The group is gone: so will be the container. */
	if (!oom || cgroup_oom_read(oom, &killed) < 0 || killed == 0)
		return 0;
	return events_print("oom", h->state.id, NULL, err);
}

static int events_watch(struct handle *h, struct cgroup_oom *oom, usec_t interval,
			struct coffer_error *err)
{
	const struct child *init = &engine_init(h->engine)->child;
	struct pollfd p[] = { { .fd = init->pidfd, .events = POLLIN },
			      { .fd = oom ? cgroup_oom_fd(oom) : -1, .events = POLLIN } };
	usec_t due = deadline_in(interval);
	int r = 0;

	while (r == 0) {
		if (poll(p, ARRAY_SIZE(p), deadline_poll_ms(due)) < 0 && errno != EINTR)
			return err_sys(err, "wait for events");
		r = events_oom(h, oom, err);
		/* Ended: what has happened up to now was still told. */
		if (p[0].revents)
			return r;
		if (r == 0 && deadline_left(due) == 0) {
			r = events_stats(h, err);
			due = deadline_in(interval);
		}
	}
	return engine_alive(h->engine) ? r : 0;
}

static int events_follow(struct handle *h, usec_t interval, struct coffer_error *err)
{
	struct cgroup_oom *oom;
	int r = engine_oom_open(h->engine, &oom, err);

	/* Nobody counts memory, so nobody is killed for it. */
	if (r < 0 && r != -EOPNOTSUPP)
		return r;
	r = events_watch(h, oom, interval, err);
	cgroup_oom_free(oom);
	return r;
}

static int events_main(const struct oci *oci, const void *data, int nargs, char *args[],
		       struct coffer_error *err)
{
	const struct events_opts *opts = data;
	autohandle struct handle h = HANDLE_INIT;
	usec_t interval = EVENTS_INTERVAL;
	int r = opts->interval ? events_duration(opts->interval, &interval, err) : 0;

	if (r == 0)
		r = handle_open(oci, args[0], STATE_UNLOCKED, STATUS_LIVE, "watch", &h, err);
	if (r == 0)
		r = handle_attach(&h, -1, err);
	if (r < 0)
		return r;
	return opts->stats ? events_stats(&h, err) : events_follow(&h, interval, err);
}

static const struct opt_row events_rows[] = {
	OCI_FLAG("stats", 0, stats, "Print statistics once"),
	OCI_TEXT("interval", 0, interval, "TIME", "Between statistics (default: 5s)"),
	OCI_ROW_HELP,
};

const struct oci_command oci_events = {
	.name = "events",
	.usage = "[OPTION...] ID",
	.help = "Print statistics and out-of-memory events as JSON",
	.fn = events_main,
	.rows = events_rows,
	.nrows = ARRAY_SIZE(events_rows),
	.min_args = 1,
	.max_args = 1,
};
