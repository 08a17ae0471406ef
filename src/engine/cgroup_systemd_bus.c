/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_systemd_bus.c - systemd, over D-Bus
 *
 * libsystemd is opened when the first call is made, not linked: most runs of
 * the runtime never speak to systemd and should not load its six libraries.
 * Only functions that every version since 221 has are used, declared here, as
 * their headers need not be on the machine that builds.
 *
 * A unit is not there when StartTransientUnit returns, but when the job that
 * it names has been removed from the queue; systemd tells by a signal.
 *
 * One connection for each bus, kept until the process ends.
 *
 * Callers: cgroup_systemd.c.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/symbols.h"
#include "engine/cgroup_systemd.h"

#define SYSTEMD_LIBRARY	   "libsystemd.so.0"
#define SYSTEMD_JOB_BUDGET (30 * USEC_PER_SEC)
#define SYSTEMD_DEST	   "org.freedesktop.systemd1"
#define SYSTEMD_PATH	   "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER	   SYSTEMD_DEST ".Manager"

struct bus;
struct bus_slot;
struct bus_message;

/* As sd_bus_error is laid out. */
struct bus_error {
	const char *name, *message;
	int need_free;
};

typedef int (*bus_handler)(struct bus_message *m, void *data, struct bus_error *error);

static struct {
	bool loaded;
	int (*open_system)(struct bus **out);
	int (*open_user)(struct bus **out);
	int (*call)(struct bus *bus, struct bus_message *m, uint64_t usec, struct bus_error *error,
		    struct bus_message **reply);
	int (*match_signal)(struct bus *bus, struct bus_slot **slot, const char *sender,
			    const char *path, const char *interface, const char *member,
			    bus_handler handler, void *data);
	struct bus_slot *(*slot_unref)(struct bus_slot *slot);
	int (*process)(struct bus *bus, struct bus_message **m);
	int (*wait)(struct bus *bus, uint64_t usec);
	int (*get_property_string)(struct bus *bus, const char *dest, const char *path,
				   const char *interface, const char *member,
				   struct bus_error *error, char **out);
	void (*error_free)(struct bus_error *error);
	int (*new_call)(struct bus *bus, struct bus_message **m, const char *dest, const char *path,
			const char *interface, const char *member);
	struct bus_message *(*unref)(struct bus_message *m);
	int (*append)(struct bus_message *m, const char *types, ...);
	int (*append_basic)(struct bus_message *m, char type, const void *p);
	int (*append_array)(struct bus_message *m, char type, const void *p, size_t size);
	int (*append_strv)(struct bus_message *m, char **strv);
	int (*open_container)(struct bus_message *m, char type, const char *contents);
	int (*close_container)(struct bus_message *m);
	int (*read)(struct bus_message *m, const char *types, ...);
} sd;

static const struct symbol systemd_symbols[] = {
	{ "sd_bus_open_system", &sd.open_system },
	{ "sd_bus_open_user", &sd.open_user },
	{ "sd_bus_call", &sd.call },
	{ "sd_bus_match_signal", &sd.match_signal },
	{ "sd_bus_slot_unref", &sd.slot_unref },
	{ "sd_bus_process", &sd.process },
	{ "sd_bus_wait", &sd.wait },
	{ "sd_bus_get_property_string", &sd.get_property_string },
	{ "sd_bus_error_free", &sd.error_free },
	{ "sd_bus_message_new_method_call", &sd.new_call },
	{ "sd_bus_message_unref", &sd.unref },
	{ "sd_bus_message_append", &sd.append },
	{ "sd_bus_message_append_basic", &sd.append_basic },
	{ "sd_bus_message_append_array", &sd.append_array },
	{ "sd_bus_message_append_strv", &sd.append_strv },
	{ "sd_bus_message_open_container", &sd.open_container },
	{ "sd_bus_message_close_container", &sd.close_container },
	{ "sd_bus_message_read", &sd.read },
};

static void bus_message_end(struct bus_message **m)
{
	if (*m)
		sd.unref(*m);
}

static void bus_slot_end(struct bus_slot **slot)
{
	if (*slot)
		sd.slot_unref(*slot);
}

static void bus_error_end(struct bus_error *error)
{
	sd.error_free(error);
}
#define automessage  CLEANUP(bus_message_end)
#define autoslot     CLEANUP(bus_slot_end)
#define autobuserror CLEANUP(bus_error_end)

static int systemd_load(struct coffer_error *err)
{
	int r;

	if (sd.loaded)
		return 0;
	r = symbols_load(SYSTEMD_LIBRARY, systemd_symbols, ARRAY_SIZE(systemd_symbols), err);
	if (r < 0)
		return err_wrap(err, "cgroups by systemd");
	sd.loaded = true;
	return 0;
}

/* Borrowed. */
static int systemd_connect(bool user, struct bus **out, struct coffer_error *err)
{
	static struct bus *connections[2];
	int r = systemd_load(err);

	if (r < 0)
		return r;
	if (!connections[user]) {
		r = user ? sd.open_user(&connections[user]) : sd.open_system(&connections[user]);
		if (r < 0)
			return err_set(err, COFFER_ERR_UNSUPPORTED, -r,
				       "cgroups by systemd: connect to the %s bus: %s",
				       user ? "user's" : "system", strerror(-r));
	}
	*out = connections[user];
	return 0;
}

/* ---- messages ---- */

static int systemd_append_pairs(struct bus_message *m, char **strv)
{
	int r = sd.open_container(m, 'a', "(ss)");

	for (; r >= 0 && strv[0] && strv[1]; strv += 2)
		r = sd.append(m, "(ss)", strv[0], strv[1]);
	return r < 0 ? r : sd.close_container(m);
}

/* Whole numbers by the bytes of their type; little and big endian alike. */
static int systemd_append_number(struct bus_message *m, const struct systemd_prop *p)
{
	uint8_t n8 = (uint8_t)p->n;
	uint16_t n16 = (uint16_t)p->n;
	uint32_t n32 = (uint32_t)p->n;

	switch (p->sig[0]) {
	case 'y':
		return sd.append_basic(m, 'y', &n8);
	case 'n':
	case 'q':
		return sd.append_basic(m, p->sig[0], &n16);
	case 'b':
	case 'i':
	case 'u':
		return sd.append_basic(m, p->sig[0], &n32);
	case 'd':
		return sd.append_basic(m, 'd', &p->d);
	default:
		return sd.append_basic(m, p->sig[0], &p->n);
	}
}

static int systemd_append_value(struct bus_message *m, const struct systemd_prop *p)
{
	uint32_t one = (uint32_t)p->n;

	if (strcmp(p->sig, "s") == 0)
		return sd.append_basic(m, 's', p->strv[0]);
	if (strcmp(p->sig, "as") == 0)
		return sd.append_strv(m, p->strv);
	if (strcmp(p->sig, "ay") == 0)
		return sd.append_array(m, 'y', p->bytes, p->nbytes);
	if (strcmp(p->sig, "au") == 0)
		return sd.append_array(m, 'u', &one, sizeof(one));
	if (strcmp(p->sig, "a(ss)") == 0)
		return systemd_append_pairs(m, p->strv);
	return systemd_append_number(m, p);
}

static int systemd_append_props(struct bus_message *m, const struct systemd_props *props)
{
	int r = sd.open_container(m, 'a', "(sv)");

	for (size_t i = 0; r >= 0 && i < props->n; i++) {
		const struct systemd_prop *p = &props->v[i];

		r = sd.open_container(m, 'r', "sv");
		if (r >= 0)
			r = sd.append_basic(m, 's', p->name);
		if (r >= 0)
			r = sd.open_container(m, 'v', p->sig);
		if (r >= 0)
			r = systemd_append_value(m, p);
		if (r >= 0)
			r = sd.close_container(m);
		if (r >= 0)
			r = sd.close_container(m);
	}
	return r < 0 ? r : sd.close_container(m);
}

static int systemd_new_call(struct bus *bus, const char *method, struct bus_message **out)
{
	return sd.new_call(bus, out, SYSTEMD_DEST, SYSTEMD_PATH, SYSTEMD_MANAGER, method);
}

/* Return: 0 or negative errno, the bus's own words in @err; @name: the error's name on the bus */
static int systemd_call(struct bus *bus, struct bus_message *m, const char *what,
			struct bus_message **reply, char name[64], struct coffer_error *err)
{
	autobuserror struct bus_error error = { 0 };
	int r = sd.call(bus, m, clock_budget(SYSTEMD_JOB_BUDGET), &error, reply);

	if (r >= 0)
		return 0;
	snprintf(name, 64, "%s", error.name ? error.name : "");
	return err_set(err, COFFER_ERR_INTERNAL, -r, "systemd: %s: %s", what,
		       error.message ? error.message : strerror(-r));
}

/* ---- jobs ---- */

struct systemd_job {
	char path[128];	 /* empty: not known yet */
	char result[32]; /* empty: not finished */
};

static int systemd_job_removed(struct bus_message *m, void *data, struct bus_error *error)
{
	struct systemd_job *job = data;
	const char *path, *unit, *result;
	uint32_t id;

	if (sd.read(m, "uoss", &id, &path, &unit, &result) >= 0 && strcmp(path, job->path) == 0)
		snprintf(job->result, sizeof(job->result), "%s", result);
	return 0;
}

static int systemd_job_wait(struct bus *bus, struct systemd_job *job, const char *what,
			    struct coffer_error *err)
{
	usec_t deadline = deadline_in(clock_budget(SYSTEMD_JOB_BUDGET));
	int r;

	while (!job->result[0]) {
		r = sd.process(bus, NULL);
		if (r == 0 && deadline_left(deadline) == 0)
			return err_timeout(err, "systemd: %s: the job does not end", what);
		if (r == 0)
			r = sd.wait(bus, deadline_left(deadline));
		if (r < 0 && r != -EINTR)
			return err_sysn(err, r, "systemd: %s: wait for the job", what);
	}
	if (strcmp(job->result, "done") == 0)
		return 0;
	return err_set(err, COFFER_ERR_INTERNAL, EIO, "systemd: %s: the job ended as \"%s\"", what,
		       job->result);
}

/* Send @m, whose answer names a job, and wait for that. */
static int systemd_call_job(struct bus *bus, struct bus_message *m, const char *what, char name[64],
			    struct coffer_error *err)
{
	struct systemd_job job = { 0 };
	automessage struct bus_message *reply = NULL;
	autoslot struct bus_slot *slot = NULL;
	const char *path;
	int r;

	/* Before the call, or the signal could be missed. */
	r = sd.match_signal(bus, &slot, SYSTEMD_DEST, SYSTEMD_PATH, SYSTEMD_MANAGER, "JobRemoved",
			    systemd_job_removed, &job);
	if (r < 0)
		return err_sysn(err, r, "systemd: listen for the end of jobs");
	r = systemd_call(bus, m, what, &reply, name, err);
	if (r < 0)
		return r;
	r = sd.read(reply, "o", &path);
	if (r < 0)
		return err_sysn(err, r, "systemd: %s: read the answer", what);
	snprintf(job.path, sizeof(job.path), "%s", path);
	return systemd_job_wait(bus, &job, what, err);
}

/* Best effort: only a unit that has failed is remembered. */
static void systemd_reset_failed(struct bus *bus, const char *unit)
{
	automessage struct bus_message *m = NULL, *reply = NULL;
	char name[64];

	if (systemd_new_call(bus, "ResetFailedUnit", &m) >= 0 && sd.append(m, "s", unit) >= 0)
		systemd_call(bus, m, "ResetFailedUnit", &reply, name, NULL);
}

/* ---- for the driver ---- */

static int systemd_start_once(struct bus *bus, const char *unit, const struct systemd_props *props,
			      char name[64], struct coffer_error *err)
{
	automessage struct bus_message *m = NULL;
	char what[32 + SYSTEMD_UNIT_MAX];
	int r;

	snprintf(what, sizeof(what), "start %s", unit);
	r = systemd_new_call(bus, "StartTransientUnit", &m);
	if (r >= 0)
		r = sd.append(m, "ss", unit, "replace");
	if (r >= 0)
		r = systemd_append_props(m, props);
	if (r >= 0)
		r = sd.append(m, "a(sa(sv))", 0);
	if (r < 0)
		return err_sysn(err, r, "systemd: %s: write the message", what);
	return systemd_call_job(bus, m, what, name, err);
}

int systemd_start_unit(bool user, const char *unit, const struct systemd_props *props,
		       struct coffer_error *err)
{
	char name[64] = "";
	struct bus *bus;
	int r;

	r = systemd_connect(user, &bus, err);
	if (r < 0)
		return r;
	r = systemd_start_once(bus, unit, props, name, err);
	if (r < 0 && strcmp(name, SYSTEMD_DEST ".UnitExists") == 0) {
		/* Perhaps the remains of an earlier one that failed. */
		systemd_reset_failed(bus, unit);
		err_clear(err);
		r = systemd_start_once(bus, unit, props, name, err);
	} else if (r < 0) {
		systemd_reset_failed(bus, unit);
	}
	return r;
}

int systemd_stop_unit(bool user, const char *unit, struct coffer_error *err)
{
	char what[32 + SYSTEMD_UNIT_MAX], name[64] = "";
	automessage struct bus_message *m = NULL;
	struct bus *bus;
	int r;

	r = systemd_connect(user, &bus, err);
	if (r < 0)
		return r;
	snprintf(what, sizeof(what), "stop %s", unit);
	r = systemd_new_call(bus, "StopUnit", &m);
	if (r >= 0)
		r = sd.append(m, "ss", unit, "replace");
	if (r < 0)
		return err_sysn(err, r, "systemd: %s: write the message", what);
	r = systemd_call_job(bus, m, what, name, err);
	if (strcmp(name, SYSTEMD_DEST ".NoSuchUnit") == 0) {
		err_clear(err);
		return 0;
	}
	systemd_reset_failed(bus, unit);
	return r;
}

int systemd_attach(bool user, const char *unit, pid_t pid, struct coffer_error *err)
{
	automessage struct bus_message *m = NULL, *reply = NULL;
	char what[32 + SYSTEMD_UNIT_MAX], name[64];
	uint32_t number = (uint32_t)pid;
	struct bus *bus;
	int r;

	r = systemd_connect(user, &bus, err);
	if (r < 0)
		return r;
	snprintf(what, sizeof(what), "move a process to %s", unit);
	r = systemd_new_call(bus, "AttachProcessesToUnit", &m);
	if (r >= 0)
		r = sd.append(m, "ss", unit, "");
	if (r >= 0)
		r = sd.append_array(m, 'u', &number, sizeof(number));
	if (r < 0)
		return err_sysn(err, r, "systemd: %s: write the message", what);
	return systemd_call(bus, m, what, &reply, name, err);
}

int systemd_set_properties(bool user, const char *unit, const struct systemd_props *props,
			   struct coffer_error *err)
{
	automessage struct bus_message *m = NULL, *reply = NULL;
	char what[32 + SYSTEMD_UNIT_MAX], name[64];
	struct bus *bus;
	int r;

	r = systemd_connect(user, &bus, err);
	if (r < 0)
		return r;
	snprintf(what, sizeof(what), "change %s", unit);
	r = systemd_new_call(bus, "SetUnitProperties", &m);
	if (r >= 0)
		r = sd.append(m, "sb", unit, 1);
	if (r >= 0)
		r = systemd_append_props(m, props);
	if (r < 0)
		return err_sysn(err, r, "systemd: %s: write the message", what);
	return systemd_call(bus, m, what, &reply, name, err);
}

char *systemd_control_group(bool user, struct coffer_error *err)
{
	char *path = NULL;
	struct bus *bus;
	int r;

	r = systemd_connect(user, &bus, err);
	if (r < 0)
		return NULL;
	r = sd.get_property_string(bus, SYSTEMD_DEST, SYSTEMD_PATH, SYSTEMD_MANAGER, "ControlGroup",
				   NULL, &path);
	if (r < 0)
		err_sysn(err, r, "systemd: ask for its control group");
	return r < 0 ? NULL : path;
}
