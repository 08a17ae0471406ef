/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/sentry_document.c - the document of what is inside a sentry, made of what a client has written
 *
 * Refused at create, before anything is made: what the sentry would refuse for sure. Paths become
 * absolute, for the sentry's helper has another directory; binds of the host's own file systems
 * become mounts of the sentry's.
 *
 * Callers: sentry.c.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "oci/sentry.h"

/* What would fail in the sentry for sure fails before anything is made. */
static int sentry_check_host(const struct oci_spec *spec, struct coffer_error *err)
{
	const struct oci_linux *l = spec->linux_;

	for (size_t i = 0; l && i < l->namespaces.n; i++)
		if (l->namespaces.v[i].path && strcmp(l->namespaces.v[i].type, "network") != 0)
			return err_unsupported(err, "linux.namespaces: %s of another process, in "
						    "a sentry", l->namespaces.v[i].type);
	if (l && l->devices.n > 0)
		return err_unsupported(err, "linux.devices: %s: devices of the host, in a sentry",
				       l->devices.v[0].path);
	return 0;
}

/* What stands for the container has to find what we leave for it. */
static int sentry_check_ids(const struct oci_linux *l, struct coffer_error *err)
{
	for (size_t i = 0; i < l->uid_mappings.n; i++)
		if (l->uid_mappings.v[i].container_id == 0 &&
		    l->uid_mappings.v[i].host_id != geteuid())
			return err_unsupported(err, "linux.uidMappings: another root than the "
						    "caller, in a sentry");
	return 0;
}

static int sentry_check(const struct oci_spec *spec, struct coffer_error *err)
{
	int r = spec->linux_ ? sentry_check_ids(spec->linux_, err) : 0;

	if (r < 0)
		return r;
	if (spec->hooks && (spec->hooks->create_container.n || spec->hooks->start_container.n))
		return err_unsupported(err, "hooks.createContainer, startContainer: in a sentry");
	return sentry_check_host(spec, err);
}

static bool sentry_is_bind_word(const char *word)
{
	return strcmp(word, "bind") == 0 || strcmp(word, "rbind") == 0;
}

static bool sentry_is_bind(const struct oci_mount *m)
{
	bool bind = m->type && strcmp(m->type, "bind") == 0;

	for (size_t i = 0; i < m->options.n; i++)
		bind |= sentry_is_bind_word(m->options.v[i]);
	return bind;
}

static int sentry_check_binds(const struct oci_spec *spec, struct coffer_error *err)
{
	for (size_t i = 0; i < spec->mounts.n; i++) {
		const struct oci_mount *m = &spec->mounts.v[i];
		struct stat st;

		if (!sentry_is_bind(m) || !m->source)
			continue;
		if (stat(m->source, &st) < 0)
			return err_sys(err, "mount %s: %s", m->destination, m->source);
		if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
			return err_unsupported(err, "mount %s: %s: a device, socket or pipe of the "
						    "host, in a sentry", m->destination, m->source);
	}
	return 0;
}

/* What an ordinary user's document binds for want of a right is the sentry's own, as it would be
 * with root: the host's is not for those inside. */
static int sentry_own(struct oci_mount *m, struct coffer_error *err)
{
	static const struct {
		const char *source, *type;
	} rows[] = {
		{ "/proc", "proc" }, { "/sys", "sysfs" }, { "/sys/fs/cgroup", "cgroup" },
		{ "/dev/mqueue", "mqueue" }, { "/dev/pts", "devpts" },
	};
	size_t i = 0, left = 0;
	int r;

	while (i < ARRAY_SIZE(rows) && strcmp(m->source, rows[i].source) != 0)
		i++;
	if (i == ARRAY_SIZE(rows))
		return 0;
	for (size_t o = 0; o < m->options.n; o++) {
		char *word = m->options.v[o];

		if (sentry_is_bind_word(word))
			free(word);
		else
			m->options.v[left++] = word;
	}
	m->options.n = left;
	if (m->options.v)
		m->options.v[left] = NULL;
	r = oci_str_set(&m->type, rows[i].type, err);
	return r < 0 ? r : oci_str_set(&m->source, rows[i].type, err);
}

static int sentry_absolute_mount(const struct state *state, struct oci_mount *m,
				 struct coffer_error *err)
{
	autofree char *path = NULL;

	if (!m->source)
		return 0;
	if (sentry_is_bind(m) && m->source[0] == '/')
		return sentry_own(m, err);
	if (m->source[0] == '/' || (!sentry_is_bind(m) && !strchr(m->source, '/')))
		return 0;
	path = path_join(state->bundle, m->source);
	return path ? oci_str_set(&m->source, path, err) : err_nomem(err);
}

static int sentry_absolute(const struct state *state, struct oci_spec *spec,
			   struct coffer_error *err)
{
	int r = oci_str_set(&spec->root->path, state->rootfs, err);

	for (size_t i = 0; r == 0 && i < spec->mounts.n; i++)
		r = sentry_absolute_mount(state, &spec->mounts.v[i], err);
	return r;
}

int sentry_document(const struct state *state, struct oci_spec *spec, struct coffer_error *err)
{
	int r = sentry_check(spec, err);

	if (r == 0 && !oci_linux_get(spec))
		r = err_nomem(err);
	if (r == 0)
		r = sentry_absolute(state, spec, err);
	if (r == 0)
		r = sentry_check_binds(spec, err);
	return r < 0 ? r : sentry_program_find(spec, err);
}
