/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec/build.c - making and changing specs in code
 *
 * Strings are copied in; a call that fails leaves the spec as it was.  Lists
 * grow by one element a call: configs are small and made once.
 */
#include "spec/schema.h"

#include <stdio.h>

/* build_grow() - Room for one more zeroed element of @size, plus @spare behind it.
 * Return: the element (not yet counted), or NULL without memory */
static void *build_grow(void *at, size_t size, size_t spare)
{
	struct spec_list list = spec_get_list(at);
	char *v = reallocarray(list.v, list.n + 1 + spare, size);

	if (v == NULL)
		return NULL;
	memset(v + list.n * size, 0, (1 + spare) * size);
	list.v = v;
	spec_put_list(at, list);
	return v + list.n * size;
}

int oci_str_set(char **field, const char *value, struct coffer_error *err)
{
	char *copy = NULL;

	if (value != NULL && value[0] != '\0') {
		copy = strdup(value);
		if (copy == NULL)
			return err_nomem(err);
	}
	free(*field);
	*field = copy;
	return 0;
}

/* build_strv_take() - Append @value, which becomes the list's on success */
static int build_strv_take(struct oci_strv *list, char **value, struct coffer_error *err)
{
	char **slot = build_grow(list, sizeof(char *), 1);

	if (slot == NULL)
		return err_nomem(err);
	*slot = steal_ptr(*value);
	list->n++;
	return 0;
}

int oci_strv_add(struct oci_strv *list, const char *value, struct coffer_error *err)
{
	autofree char *copy = strdup(value);

	return copy != NULL ? build_strv_take(list, &copy, err) : err_nomem(err);
}

static void build_strv_free(struct oci_strv *list)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		free(list->v[i]);
	free(list->v);
}

int oci_strv_set(struct oci_strv *list, const char *const *values, struct coffer_error *err)
{
	struct oci_strv made = { 0 };
	int r = 0;

	for (; r == 0 && values != NULL && *values != NULL; values++)
		r = oci_strv_add(&made, *values, err);
	build_strv_free(r == 0 ? list : &made);
	if (r == 0)
		*list = made;
	return r;
}

static struct oci_pair *build_pair(const struct oci_pairs *map, const char *key)
{
	size_t i;

	for (i = 0; i < map->n; i++)
		if (strcmp(map->v[i].key, key) == 0)
			return &map->v[i];
	return NULL;
}

int oci_pairs_set(struct oci_pairs *map, const char *key, const char *value,
		  struct coffer_error *err)
{
	autofree char *k = strdup(key), *v = strdup(value);
	struct oci_pair *pair = build_pair(map, key);

	if (k == NULL || v == NULL)
		return err_nomem(err);
	if (pair != NULL) {
		free(pair->value);
		pair->value = steal_ptr(v);
		return 0;
	}
	pair = build_grow(map, sizeof(*pair), 0);
	if (pair == NULL)
		return err_nomem(err);
	pair->key = steal_ptr(k);
	pair->value = steal_ptr(v);
	map->n++;
	return 0;
}

const char *oci_pairs_get(const struct oci_pairs *map, const char *key)
{
	const struct oci_pair *pair = build_pair(map, key);

	return pair != NULL ? pair->value : NULL;
}

/* build_env_is() - @entry is "@key=..." */
static bool build_env_is(const char *entry, const char *key)
{
	size_t n = strlen(key);

	return strncmp(entry, key, n) == 0 && entry[n] == '=';
}

int oci_env_set(struct oci_process *process, const char *key, const char *value,
		struct coffer_error *err)
{
	struct oci_strv *env = &process->env;
	autofree char *entry = NULL;
	size_t i;

	if (asprintf(&entry, "%s=%s", key, value) < 0) {
		entry = NULL;
		return err_nomem(err);
	}
	for (i = env->n; i > 0; i--) {
		if (!build_env_is(env->v[i - 1], key))
			continue;
		free(env->v[i - 1]);
		env->v[i - 1] = steal_ptr(entry);
		return 0;
	}
	return build_strv_take(env, &entry, err);
}

const char *oci_env_get(const struct oci_process *process, const char *key)
{
	size_t i;

	for (i = process->env.n; i > 0; i--)
		if (build_env_is(process->env.v[i - 1], key))
			return process->env.v[i - 1] + strlen(key) + 1;
	return NULL;
}

static int build_mount_fill(struct oci_mount *m, const char *destination, const char *type,
			    const char *source, const char *const *options,
			    struct coffer_error *err)
{
	int r = oci_str_set(&m->destination, destination, err);

	if (r == 0)
		r = oci_str_set(&m->type, type, err);
	if (r == 0)
		r = oci_str_set(&m->source, source, err);
	return r == 0 ? oci_strv_set(&m->options, options, err) : r;
}

int oci_mount_add(struct oci_spec *spec, const char *destination, const char *type,
		  const char *source, const char *const *options, struct coffer_error *err)
{
	struct oci_mount *m = build_grow(&spec->mounts, sizeof(*m), 0);
	int r;

	if (m == NULL)
		return err_nomem(err);
	r = build_mount_fill(m, destination, type, source, options, err);
	if (r < 0) {
		free(m->destination);
		free(m->type);
		free(m->source);
		return r;
	}
	spec->mounts.n++;
	return 0;
}

static void build_mount_free(struct oci_mount *m)
{
	build_strv_free(&m->options);
	free(m->destination);
	free(m->type);
	free(m->source);
	free(m->uid_mappings.v);
	free(m->gid_mappings.v);
}

void oci_mount_drop(struct oci_spec *spec, const char *destination)
{
	size_t kept = 0;

	for (size_t i = 0; i < spec->mounts.n; i++) {
		struct oci_mount *m = &spec->mounts.v[i];

		if (strcmp(m->destination, destination) == 0)
			build_mount_free(m);
		else
			spec->mounts.v[kept++] = *m;
	}
	spec->mounts.n = kept;
}

int oci_namespace_add(struct oci_spec *spec, const char *type, const char *path,
		      struct coffer_error *err)
{
	autofree char *t = NULL, *p = NULL;
	struct oci_linux *l = oci_linux_get(spec);
	struct oci_namespace *ns;

	if (l == NULL)
		return err_nomem(err);
	if (oci_str_set(&t, type, err) < 0 || oci_str_set(&p, path, err) < 0)
		return -ENOMEM;
	ns = build_grow(&l->namespaces, sizeof(*ns), 0);
	if (ns == NULL)
		return err_nomem(err);
	ns->type = steal_ptr(t);
	ns->path = steal_ptr(p);
	l->namespaces.n++;
	return 0;
}

const struct oci_namespace *oci_namespace_find(const struct oci_spec *spec, const char *type)
{
	const struct oci_linux *l = spec->linux_;
	size_t i;

	for (i = 0; l != NULL && i < l->namespaces.n; i++)
		if (strcmp(l->namespaces.v[i].type, type) == 0)
			return &l->namespaces.v[i];
	return NULL;
}

void oci_namespace_drop(struct oci_spec *spec, const char *type)
{
	struct oci_linux *l = spec->linux_;
	size_t kept = 0;

	for (size_t i = 0; l && i < l->namespaces.n; i++) {
		struct oci_namespace *ns = &l->namespaces.v[i];

		if (strcmp(ns->type, type) == 0) {
			free(ns->type);
			free(ns->path);
		} else {
			l->namespaces.v[kept++] = *ns;
		}
	}
	if (l)
		l->namespaces.n = kept;
}

int oci_rlimit_add(struct oci_process *process, const char *type, uint64_t soft, uint64_t hard,
		   struct coffer_error *err)
{
	autofree char *t = strdup(type);
	struct oci_rlimit *l = build_grow(&process->rlimits, sizeof(*l), 0);

	if (t == NULL || l == NULL)
		return err_nomem(err);
	*l = (struct oci_rlimit){ .type = steal_ptr(t), .soft = soft, .hard = hard };
	process->rlimits.n++;
	return 0;
}

/* build_child() - *@field, made when it is NULL */
static void *build_child(void *field, size_t size)
{
	void *obj = spec_get_ptr(field);

	if (obj == NULL) {
		obj = calloc(1, size);
		spec_put_ptr(field, obj);
	}
	return obj;
}

struct oci_linux *oci_linux_get(struct oci_spec *spec)
{
	return build_child(&spec->linux_, sizeof(struct oci_linux));
}

struct oci_resources *oci_resources_get(struct oci_spec *spec)
{
	struct oci_linux *l = oci_linux_get(spec);

	return l != NULL ? build_child(&l->resources, sizeof(struct oci_resources)) : NULL;
}

struct oci_memory *oci_memory_get(struct oci_spec *spec)
{
	struct oci_resources *r = oci_resources_get(spec);

	return r != NULL ? build_child(&r->memory, sizeof(struct oci_memory)) : NULL;
}

struct oci_cpu *oci_cpu_get(struct oci_spec *spec)
{
	struct oci_resources *r = oci_resources_get(spec);

	return r != NULL ? build_child(&r->cpu, sizeof(struct oci_cpu)) : NULL;
}

struct oci_pids *oci_pids_get(struct oci_spec *spec)
{
	struct oci_resources *r = oci_resources_get(spec);

	return r != NULL ? build_child(&r->pids, sizeof(struct oci_pids)) : NULL;
}
