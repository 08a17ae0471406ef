/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/inspect.c - a container as a JSON object, with the names docker inspect uses
 *
 * Where docker has no name for a thing it gets one in the same manner.  Words
 * of the caller's may be any bytes: what is not UTF-8 becomes "?".
 */
#include "container/record.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "coffer/image.h"
#include "container/calls.h"
#include "rpc/grpc_text.h"

static const char *const inspect_status[] = {
	[COFFER_STATE_INITIALIZED] = "created", [COFFER_STATE_CREATED] = "created",
	[COFFER_STATE_STARTED] = "running",	[COFFER_STATE_PAUSED] = "paused",
	[COFFER_STATE_STOPPED] = "exited",	[COFFER_STATE_ERRORED] = "dead",
};
_Static_assert(ARRAY_SIZE(inspect_status) == COFFER_STATE_COUNT, "a word for each state");

static struct json_object *inspect_string(const char *s)
{
	autofree char *copy = strdup(s ? s : "");
	size_t n, good;

	if (!copy)
		return NULL;
	n = strlen(copy);
	for (char *p = copy; (good = grpc_text_utf8((uint8_t *)p, n)) < n; p += good + 1) {
		p[good] = '?';
		n -= good + 1;
	}
	return json_object_new_string(copy);
}

static struct json_object *inspect_number(uint64_t n)
{
	return json_object_new_uint64(n);
}

static struct json_object *inspect_time(const struct timespec *at)
{
	char text[64] = "0001-01-01T00:00:00Z";
	struct tm tm;

	if (at->tv_sec > 0 && gmtime_r(&at->tv_sec, &tm)) {
		size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);

		snprintf(text + n, sizeof(text) - n, ".%09ldZ", at->tv_nsec);
	}
	return json_object_new_string(text);
}

static struct json_object *inspect_words(const char *const *words)
{
	struct json_object *list = json_object_new_array();

	for (; list && words && *words; words++)
		json_object_array_add(list, inspect_string(*words));
	return list;
}

/* "key=value" words as an object. */
static struct json_object *inspect_pairs(const char *const *words)
{
	struct json_object *obj = json_object_new_object();

	for (; obj && words && *words; words++) {
		const char *eq = strchrnul(*words, '=');
		autofree char *key = strndup(*words, (size_t)(eq - *words));

		if (key)
			json_add(obj, key, inspect_string(*eq ? eq + 1 : ""));
	}
	return obj;
}

/* How its program ended: 0 while it runs. */
static int inspect_exit_code(const struct coffer_container *c, enum coffer_state state, bool *ended)
{
	const struct coffer_process *p = c->init;

	*ended = p->phase >= PROCESS_ENDED;
	if (*ended)
		return p->exit.code;
	return state == COFFER_STATE_ERRORED ? CONTAINER_KILLED : 0;
}

static struct json_object *inspect_state(const struct coffer_container *c, enum coffer_state state)
{
	struct json_object *obj = json_object_new_object();
	const char *status = inspect_status[state];
	bool ended, ok;
	int code = inspect_exit_code(c, state, &ended);

	if (state == COFFER_STATE_STARTED && ended)
		status = "exited";
	ok = obj && json_add(obj, "Status", inspect_string(status)) &&
	     json_add(obj, "Running", json_object_new_boolean(strcmp(status, "running") == 0 ||
							       state == COFFER_STATE_PAUSED)) &&
	     json_add(obj, "Paused", json_object_new_boolean(state == COFFER_STATE_PAUSED)) &&
	     json_add(obj, "OOMKilled", json_object_new_boolean(c->oom_kills > 0)) &&
	     json_add(obj, "Dead", json_object_new_boolean(state == COFFER_STATE_ERRORED)) &&
	     json_add(obj, "Pid", json_object_new_int(getpid())) &&
	     json_add(obj, "ExitCode", json_object_new_int(code)) &&
	     json_add(obj, "Error",
		      inspect_string(state == COFFER_STATE_ERRORED ? c->cause.message : "")) &&
	     json_add(obj, "StartedAt", inspect_time(&c->started_at)) &&
	     json_add(obj, "FinishedAt", inspect_time(&c->finished_at));
	if (!ok)
		json_object_put(obj);
	return ok ? obj : NULL;
}

static const char *inspect_image(const struct coffer_container_config *config)
{
	if (config->image)
		return config->image;
	return config->rootfs ? config->rootfs : COFFER_IMAGE_BUILTIN;
}

static struct json_object *inspect_config(const struct coffer_container *c)
{
	const struct coffer_process_config *p = c->init->config;
	struct json_object *obj = json_object_new_object();
	bool ok;

	ok = obj &&
	     json_add(obj, "Hostname",
		      inspect_string(c->config->hostname ? c->config->hostname : c->id)) &&
	     json_add(obj, "Image", inspect_string(inspect_image(c->config))) &&
	     json_add(obj, "User", inspect_string(p->user)) &&
	     json_add(obj, "Tty", json_object_new_boolean(p->terminal)) &&
	     json_add(obj, "OpenStdin", json_object_new_boolean(p->stdio[COFFER_STDIN].mode !=
								 COFFER_STDIO_NULL)) &&
	     json_add(obj, "Env", inspect_words(p->env)) &&
	     json_add(obj, "Cmd", inspect_words(p->args)) &&
	     json_add(obj, "WorkingDir", inspect_string(p->cwd ? p->cwd : "/")) &&
	     json_add(obj, "Labels", inspect_pairs(c->config->labels)) &&
	     json_add(obj, "StopSignal", inspect_string(c->config->stop_signal)) &&
	     json_add(obj, "StopTimeout", inspect_number(c->config->stop_grace / USEC_PER_SEC));
	if (!ok)
		json_object_put(obj);
	return ok ? obj : NULL;
}

static struct json_object *inspect_host_config(const struct coffer_container *c)
{
	const struct coffer_container_config *cfg = c->config;
	const struct coffer_process_config *p = c->init->config;
	struct json_object *obj = json_object_new_object();
	bool ok;

	ok = obj && json_add(obj, "Memory", inspect_number(cfg->resources.memory)) &&
	     json_add(obj, "PidsLimit", inspect_number(cfg->resources.pids)) &&
	     json_add(obj, "CpuQuota", inspect_number(cfg->resources.cpu_quota)) &&
	     json_add(obj, "CpuPeriod", inspect_number(cfg->resources.cpu_period)) &&
	     json_add(obj, "ReadonlyRootfs", json_object_new_boolean(cfg->read_only)) &&
	     json_add(obj, "Init", json_object_new_boolean(cfg->init)) &&
	     json_add(obj, "AutoRemove", json_object_new_boolean(!cfg->keep)) &&
	     json_add(obj, "CapAdd", inspect_words(p->cap_add)) &&
	     json_add(obj, "CapDrop", inspect_words(p->cap_drop)) &&
	     json_add(obj, "Dns", inspect_words(cfg->dns.nameservers)) &&
	     json_add(obj, "DnsSearch", inspect_words(cfg->dns.searches)) &&
	     json_add(obj, "DnsOptions", inspect_words(cfg->dns.options)) &&
	     json_add(obj, "ExtraHosts", inspect_words(cfg->hosts)) &&
	     json_add(obj, "Sysctls", inspect_pairs(cfg->sysctls));
	if (!ok)
		json_object_put(obj);
	return ok ? obj : NULL;
}

static struct json_object *inspect_mount(const struct coffer_mount *m)
{
	static const char *const kinds[] = {
		[COFFER_MOUNT_SHARE] = "bind", [COFFER_MOUNT_TMPFS] = "tmpfs",
		[COFFER_MOUNT_VOLUME] = "volume", [COFFER_MOUNT_DISK] = "disk",
		[COFFER_MOUNT_NBD] = "nbd",
	};
	struct json_object *obj = json_object_new_object();
	bool ok;

	_Static_assert(ARRAY_SIZE(kinds) == COFFER_MOUNT_KIND_COUNT, "a word for each kind");
	ok = obj && json_add(obj, "Type", inspect_string(kinds[m->kind])) &&
	     json_add(obj, "Source", inspect_string(m->source)) &&
	     json_add(obj, "Destination", inspect_string(m->target)) &&
	     json_add(obj, "RW", json_object_new_boolean(!m->read_only)) &&
	     json_add(obj, "Options", inspect_words(m->options));
	if (!ok)
		json_object_put(obj);
	return ok ? obj : NULL;
}

static struct json_object *inspect_mounts(const struct coffer_container *c)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; list && i < c->config->nmounts; i++)
		json_object_array_add(list, inspect_mount(&c->config->mounts[i]));
	return list;
}

static struct json_object *inspect_machine(const struct coffer_container *c)
{
	struct json_object *obj = json_object_new_object();
	bool ok = obj && json_add(obj, "Kind", inspect_string(c->config->machine)) &&
		  json_add(obj, "Cpus", json_object_new_int((int)c->config->cpus)) &&
		  json_add(obj, "Memory", inspect_number(c->config->memory));

	if (!ok)
		json_object_put(obj);
	return ok ? obj : NULL;
}

/* null while it has not died. */
static bool inspect_add_death(struct json_object *doc, const struct coffer_container *c)
{
	const struct coffer_death *d = &c->death;
	struct json_object *obj;

	if (d->size == 0)
		return json_object_object_add(doc, "Death", NULL) == 0;
	obj = json_object_new_object();
	if (obj && json_add(obj, "Process", inspect_string(d->process)) &&
	    json_add(obj, "ExitCode", json_object_new_int(d->exit_code)) &&
	    json_add(obj, "Signal", json_object_new_int(d->signal)) &&
	    json_add(obj, "OOM", json_object_new_boolean(d->oom)) &&
	    json_add(obj, "Cause", inspect_string(d->cause.message)) &&
	    json_add(obj, "Console", inspect_string(d->console)))
		return json_add(doc, "Death", obj);
	json_object_put(obj);
	return false;
}

static struct json_object *inspect_phases(const struct inspect_phases *phases)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; list && i < phases->n; i++) {
		const struct coffer_phase *p = &phases->v[i];
		struct json_object *obj = json_object_new_object();

		if (obj && json_add(obj, "Name", inspect_string(p->name)) &&
		    json_add(obj, "Begin", inspect_number(p->begin)) &&
		    json_add(obj, "Duration", inspect_number(p->duration)))
			json_object_array_add(list, obj);
		else
			json_object_put(obj);
	}
	return list;
}

struct json_object *inspect_make(struct coffer_container *c, enum coffer_state state,
				 const struct inspect_phases *phases)
{
	const struct coffer_process_config *p = c->init->config;
	struct json_object *doc = json_object_new_object();
	bool ok;

	ok = doc && json_add(doc, "Id", inspect_string(c->id)) &&
	     json_add(doc, "Name", inspect_string(c->id)) &&
	     json_add(doc, "Created", inspect_time(&c->created_at)) &&
	     json_add(doc, "Path", inspect_string(p->args[0])) &&
	     json_add(doc, "Args", inspect_words(p->args + 1)) &&
	     json_add(doc, "State", inspect_state(c, state)) &&
	     json_add(doc, "Image",
		      inspect_string(c->config->image_id ? c->config->image_id
							 : inspect_image(c->config))) &&
	     json_add(doc, "Platform", inspect_string(c->config->platform)) &&
	     json_add(doc, "Config", inspect_config(c)) &&
	     json_add(doc, "HostConfig", inspect_host_config(c)) &&
	     json_add(doc, "Mounts", inspect_mounts(c)) &&
	     json_add(doc, "Sandbox", inspect_string(c->config->sandbox)) &&
	     json_add(doc, "Machine", inspect_machine(c)) &&
	     json_object_object_add(doc, "UnimplementedCalls", calls_make(c)) == 0 && inspect_add_death(doc, c) &&
	     json_add(doc, "Phases", inspect_phases(phases));
	if (!ok)
		json_object_put(doc);
	return ok ? doc : NULL;
}

bool inspect_make_lost(struct json_object *doc)
{
	struct json_object *state, *status;
	const char *word;

	if (!json_object_object_get_ex(doc, "State", &state) ||
	    !json_object_object_get_ex(state, "Status", &status))
		return true;
	word = json_object_get_string(status);
	if (strcmp(word, "exited") == 0 || strcmp(word, "dead") == 0)
		return true;
	return json_add(state, "Status", json_object_new_string("dead")) &&
	       json_add(state, "Dead", json_object_new_boolean(true)) &&
	       json_add(state, "Running", json_object_new_boolean(false)) &&
	       json_add(state, "Paused", json_object_new_boolean(false)) &&
	       json_add(state, "ExitCode", json_object_new_int(CONTAINER_KILLED)) &&
	       json_add(state, "Error",
			json_object_new_string("the process it belonged to was killed"));
}

int inspect_text(struct json_object *doc, char **out, struct coffer_error *err)
{
	const char *text = doc ? json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PLAIN |
									 JSON_C_TO_STRING_NOSLASHESCAPE)
			       : NULL;

	*out = text ? strdup(text) : NULL;
	return *out ? 0 : err_nomem(err);
}
