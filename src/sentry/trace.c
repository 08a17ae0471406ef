/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/trace.c - what happens to processes, as lines of JSON
 *
 * Called by task/ where it happens.
 */
#include "sentry/trace.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/json_text.h"
#include "base/log.h"
#include "sentry/control/container.h"
#include "sentry/task/task.h"

#define TRACE_ARGV_MAX 64
#define TRACE_TEXT_MAX 1024 /* of one argument */

static int trace_fd = -1;

void trace_to(int fd)
{
	trace_fd = fd;
}

/* A guest's text may be anything. */
static struct json_object *trace_text(const char *text)
{
	size_t n = strnlen(text, TRACE_TEXT_MAX);
	char quoted[JSON_QUOTE_MAX];

	if (!json_text_is_utf8(text))
		return json_object_new_string(json_text_quote(quoted, text));
	/* Not in the middle of a character. */
	if (n == TRACE_TEXT_MAX)
		while (n > 0 && (text[n] & 0xc0) == 0x80)
			n--;
	return json_object_new_string_len(text, (int)n);
}

static struct json_object *trace_argv(char *const *argv)
{
	struct json_object *list = json_object_new_array();

	for (int i = 0; list && argv && argv[i] && i < TRACE_ARGV_MAX; i++)
		json_object_array_add(list, trace_text(argv[i]));
	return list;
}

static struct json_object *trace_event(const char *event, const struct process *process, int tid)
{
	struct json_object *line = trace_fd < 0 ? NULL : json_object_new_object();
	char text[40], when[64];
	struct timespec now;
	struct tm tm;

	if (!line)
		return NULL;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(when, sizeof(when), "%s.%06ldZ", text, now.tv_nsec / 1000);
	json_add(line, "time", json_object_new_string(when));
	json_add(line, "event", json_object_new_string(event));
	json_add(line, "container", json_object_new_string(process->container->id));
	json_add(line, "pid", json_object_new_int(process->pid));
	json_add(line, "tid", json_object_new_int(tid));
	return line;
}

static void trace_write(struct json_object *line)
{
	autofree char *text = NULL;
	int n = asprintf(&text, "%s\n",
			 json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN |
								  JSON_C_TO_STRING_NOSLASHESCAPE));

	if (n < 0)
		text = NULL;
	else if (write(trace_fd, text, (size_t)n) < 0)
		log_debug("nobody reads the trace");
	json_object_put(line);
}

void trace_start(const struct process *process, char *const *argv)
{
	struct json_object *line = trace_event("start", process, process->pid);

	if (!line)
		return;
	json_add(line, "argv", trace_argv(argv));
	trace_write(line);
}

void trace_clone(const struct task *task, int child, bool thread)
{
	struct json_object *line = trace_event("clone", task->process, task->tid);

	if (!line)
		return;
	json_add(line, "child", json_object_new_int(child));
	json_add(line, "thread", json_object_new_boolean(thread));
	trace_write(line);
}

void trace_exec(const struct task *task, const char *path, char *const *argv)
{
	struct json_object *line = trace_event("exec", task->process, task->tid);

	if (!line)
		return;
	json_add(line, "path", trace_text(path));
	json_add(line, "argv", trace_argv(argv));
	trace_write(line);
}

void trace_exit(const struct process *process, int status)
{
	struct json_object *line = trace_event("exit", process, process->pid);

	if (!line)
		return;
	if (WIFSIGNALED(status))
		json_add(line, "signal", json_object_new_int(WTERMSIG(status)));
	else
		json_add(line, "status", json_object_new_int(WEXITSTATUS(status)));
	trace_write(line);
}
