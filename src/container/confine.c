/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/confine.c - what a process may do, from configuration to document
 *
 * Checking is building: config.c has the same functions fill a document that
 * nobody uses, so what passes there cannot be refused here.
 */
#include "container/confine.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

#define CONFINE_CAPS_MAX   64
#define CONFINE_PERIOD	   100000 /* microseconds */
#define CONFINE_PERIOD_MIN 1000	  /* the kernel's bounds */
#define CONFINE_PERIOD_MAX 1000000
#define CONFINE_PIDS_MAX   (1u << 22) /* PID_MAX_LIMIT */

/* ---- capabilities ---- */

/* A set, by the numbers of oci_words(OCI_WORDS_CAPABILITY). */
struct confine_caps {
	bool has[CONFINE_CAPS_MAX];
};

/* "NET_ADMIN" or "CAP_NET_ADMIN", in any case. Return: its number, or -1 */
static int confine_cap_number(const char *name)
{
	const char *const *words = oci_words(OCI_WORDS_CAPABILITY);

	if (strncasecmp(name, "CAP_", 4) == 0)
		name += 4;
	for (int i = 0; i < CONFINE_CAPS_MAX && words[i]; i++)
		if (strcasecmp(words[i] + 4, name) == 0)
			return i;
	return -1;
}

static int confine_caps_change(struct confine_caps *caps, const char *const *names, bool value,
			       const char *field, struct coffer_error *err)
{
	for (; names && *names; names++) {
		int n = confine_cap_number(*names);

		if (strcasecmp(*names, "ALL") == 0)
			for (int i = 0; i < CONFINE_CAPS_MAX; i++)
				caps->has[i] = value;
		else if (n < 0)
			return err_invalid(err, "%s: %s: there is no such capability", field,
					   *names);
		else
			caps->has[n] = value;
	}
	return 0;
}

static int confine_caps_write(struct oci_strv *list, const struct confine_caps *caps,
			      struct coffer_error *err)
{
	const char *const *words = oci_words(OCI_WORDS_CAPABILITY);
	const char *names[CONFINE_CAPS_MAX + 1];
	size_t n = 0;

	for (size_t i = 0; i < CONFINE_CAPS_MAX && words[i]; i++)
		if (caps->has[i])
			names[n++] = words[i];
	names[n] = NULL;
	return oci_strv_set(list, names, err);
}

static int confine_caps(struct oci_process *p, const struct coffer_process_config *config,
			struct coffer_error *err)
{
	struct oci_capabilities *c = p->capabilities;
	struct confine_caps caps = { 0 };
	int r;

	if (!config->cap_add && !config->cap_drop)
		return 0;
	for (size_t i = 0; i < c->bounding.n; i++)
		caps.has[confine_cap_number(c->bounding.v[i])] = true;
	r = confine_caps_change(&caps, config->cap_drop, false, "cap_drop", err);
	if (r == 0)
		r = confine_caps_change(&caps, config->cap_add, true, "cap_add", err);
	if (r == 0)
		r = confine_caps_write(&c->bounding, &caps, err);
	if (r == 0)
		r = confine_caps_write(&c->effective, &caps, err);
	return r < 0 ? r : confine_caps_write(&c->permitted, &caps, err);
}

/* ---- the rest of the process ---- */

static int confine_rlimits(struct oci_process *p, const struct coffer_process_config *config,
			   struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; i < config->nrlimits && r == 0; i++) {
		const struct coffer_rlimit *l = &config->rlimits[i];

		if (!l->type)
			return err_invalid(err, "rlimits[%zu]: no type", i);
		if (l->soft > l->hard)
			return err_invalid(err, "rlimits[%zu]: %s: soft is above hard", i,
					   l->type);
		r = oci_rlimit_add(p, l->type, l->soft, l->hard, err);
	}
	return r;
}

static int confine_groups(struct oci_process *p, const struct coffer_process_config *config,
			  struct coffer_error *err)
{
	uint32_t *gids;

	if (config->ngroups == 0)
		return 0;
	gids = calloc(config->ngroups, sizeof(*gids));
	if (!gids)
		return err_nomem(err);
	for (size_t i = 0; i < config->ngroups; i++) {
		gids[i] = config->groups[i];
		if (gids[i] > INT32_MAX) {
			free(gids);
			return err_invalid(err, "groups[%zu]: %u: at most %d", i,
					   config->groups[i], INT32_MAX);
		}
	}
	free(p->user.additional_gids.v);
	p->user.additional_gids.v = gids;
	p->user.additional_gids.n = config->ngroups;
	return 0;
}

int confine_process(struct oci_process *p, const struct coffer_process_config *config,
		    struct coffer_error *err)
{
	int r = confine_caps(p, config, err);

	p->no_new_privileges = config->no_new_privs;
	if (r == 0)
		r = confine_rlimits(p, config, err);
	return r < 0 ? r : confine_groups(p, config, err);
}

/* ---- seccomp ---- */

/* Parsed and checked where it belongs: as part of a document. */
#define CONFINE_AROUND                                                                        \
	"{\"ociVersion\":\"" OCI_VERSION "\",\"root\":{\"path\":\"/\"},"                      \
	"\"process\":{\"cwd\":\"/\",\"args\":[\"x\"],\"user\":{\"uid\":0,\"gid\":0}},"        \
	"\"linux\":{\"seccomp\":%s}}"

int confine_seccomp(struct oci_spec *spec, const struct coffer_process_config *config,
		    struct coffer_error *err)
{
	auto_oci_spec struct oci_spec *around = NULL;
	struct coffer_error own = COFFER_ERROR_INIT;
	autofree char *text = NULL;
	struct oci_linux *l;
	int r;

	if (!config->seccomp)
		return 0;
	if (asprintf(&text, CONFINE_AROUND, config->seccomp) < 0) {
		text = NULL;
		return err_nomem(err);
	}
	r = oci_spec_parse(text, strlen(text), &around, &own);
	if (r == 0)
		r = oci_spec_validate(around, &own);
	if (r == 0 && (!around->linux_ || !around->linux_->seccomp))
		r = err_invalid(&own, "not an object with a defaultAction");
	if (r == 0 && around->linux_->seccomp->listener_path)
		r = err_unsupported(&own, "listenerPath: there is no listener inside the machine");
	if (r < 0) {
		err_wrap(&own, "seccomp");
		if (err)
			*err = own;
		return r;
	}
	l = oci_linux_get(spec);
	if (!l)
		return err_nomem(err);
	l->seccomp = steal_ptr(around->linux_->seccomp);
	return 0;
}

/* ---- resources, sysctls ---- */

static int confine_cpu(struct oci_resources *res, const struct coffer_resources *limits,
		       struct coffer_error *err)
{
	uint64_t period = limits->cpu_period ? limits->cpu_period : CONFINE_PERIOD;

	if (!limits->cpu_quota && !limits->cpu_period)
		return 0;
	if (!limits->cpu_quota)
		return err_invalid(err, "resources.cpu_period: without a cpu_quota");
	if (period < CONFINE_PERIOD_MIN || period > CONFINE_PERIOD_MAX)
		return err_invalid(err, "resources.cpu_period: %llu: must be %d to %d",
				   (unsigned long long)period, CONFINE_PERIOD_MIN,
				   CONFINE_PERIOD_MAX);
	if (limits->cpu_quota < CONFINE_PERIOD_MIN || limits->cpu_quota > INT64_MAX / 1000)
		return err_invalid(err, "resources.cpu_quota: %llu: must be at least %d",
				   (unsigned long long)limits->cpu_quota, CONFINE_PERIOD_MIN);
	if (!res->cpu)
		res->cpu = calloc(1, sizeof(*res->cpu));
	if (!res->cpu)
		return err_nomem(err);
	res->cpu->quota = (struct oci_opt_i64){ true, (int64_t)limits->cpu_quota };
	res->cpu->period = (struct oci_opt_u64){ true, period };
	return 0;
}

int confine_resources(struct oci_resources *res, const struct coffer_resources *limits,
		      struct coffer_error *err)
{
	if (limits->memory > INT64_MAX)
		return err_invalid(err, "resources.memory: %llu: too large",
				   (unsigned long long)limits->memory);
	if (limits->pids > CONFINE_PIDS_MAX)
		return err_invalid(err, "resources.pids: %llu: at most %u",
				   (unsigned long long)limits->pids, CONFINE_PIDS_MAX);
	if (limits->memory && !res->memory)
		res->memory = calloc(1, sizeof(*res->memory));
	if (limits->pids && !res->pids)
		res->pids = calloc(1, sizeof(*res->pids));
	if ((limits->memory && !res->memory) || (limits->pids && !res->pids))
		return err_nomem(err);
	if (limits->memory)
		res->memory->limit = (struct oci_opt_i64){ true, (int64_t)limits->memory };
	if (limits->pids)
		res->pids->limit = (int64_t)limits->pids;
	return confine_cpu(res, limits, err);
}

static bool confine_is_key(const char *key, size_t n)
{
	if (n == 0 || n > 255 || key[0] == '.' || key[0] == '/' || key[n - 1] == '.' ||
	    key[n - 1] == '/' || memmem(key, n, "..", 2) || memmem(key, n, "//", 2))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)key[i]) && !strchr("_-./:", key[i]))
			return false;
	return true;
}

int confine_sysctls(struct oci_spec *spec, const char *const *sysctls, struct coffer_error *err)
{
	struct oci_linux *l = oci_linux_get(spec);
	int r = 0;

	if (!l)
		return err_nomem(err);
	for (; sysctls && *sysctls && r == 0; sysctls++) {
		const char *value = strchr(*sysctls, '=');
		autofree char *key = NULL;

		if (!value || !confine_is_key(*sysctls, (size_t)(value - *sysctls)))
			return err_invalid(err, "sysctls: %s: not of the form key=value", *sysctls);
		key = strndup(*sysctls, (size_t)(value - *sysctls));
		r = key ? oci_pairs_set(&l->sysctl, key, value + 1, err) : err_nomem(err);
	}
	return r;
}
