/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/settings.c - registries.json: which registries there are, and how to talk to them
 *
 * The user's own file, but one typing error in "insecure" must not pass as
 * "not said": members that nobody knows are refused.  The files that it names
 * are opened by whoever needs them.  Callers: the rest of image/.
 */
#include "image/settings.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/io.h"
#include "base/options.h"
#include "base/path.h"
#include "image/json_node.h"
#include "image/reference.h"

#define SETTINGS_MAX	    ((size_t)1 << 20)
#define SETTINGS_REGISTRIES 1024
#define SETTINGS_MIRRORS    16
#define SETTINGS_SYSTEM	    "/etc/coffer/registries.json"

/* What may be in an object, and who reads it. */
struct settings_row {
	const char *name;
	int (*read)(const struct json_node *node, void *dst, struct coffer_error *err);
	size_t offset;
};

/* settings_read_object() - Members by table */
static int settings_read_object(const struct json_node *node, const struct settings_row *rows,
				size_t nrows, void *dst, struct coffer_error *err)
{
	int r = json_node_object(node, err);

	if (r < 0 || !node->json)
		return r;
	json_object_object_foreach(node->json, key, value)
	{
		struct json_node here = { .up = node, .name = key, .json = value };
		size_t i = 0;

		while (i < nrows && strcmp(rows[i].name, key) != 0)
			i++;
		if (i == nrows)
			return json_node_fail(&here, err, "unknown");
		r = rows[i].read(&here, (char *)dst + rows[i].offset, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int settings_read_flag(const struct json_node *node, void *dst, struct coffer_error *err)
{
	return json_node_bool(node, dst, err);
}

static int settings_read_path(const struct json_node *node, void *dst, struct coffer_error *err)
{
	char **path = dst;
	int r = json_node_copy(node, path, err);

	if (r == 0 && *path && **path != '/')
		return json_node_fail(node, err, "not an absolute path");
	return r;
}

static int settings_read_mirrors(const struct json_node *node, void *dst, struct coffer_error *err)
{
	char ***list = dst;
	size_t count;
	int r = json_node_list(node, SETTINGS_MIRRORS, &count, err);

	if (r == 0)
		r = json_node_strings(node, list, err);
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct json_node here = json_node_element(node, i);
		const char *url = (*list)[i];

		if (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0)
			return json_node_fail(&here, err, "not an URL of http or https");
	}
	return r;
}

static int settings_read_default(const struct json_node *node, void *dst, struct coffer_error *err)
{
	char **name = dst;
	int r = json_node_copy(node, name, err);

	if (r == 0 && *name && !reference_is_registry(*name))
		return json_node_fail(node, err, "not a host name or address with perhaps a port");
	return r;
}

static int settings_read_registry(const struct json_node *node, struct settings_registry *reg,
				  struct coffer_error *err)
{
	static const struct settings_row rows[] = {
		{ "mirrors", settings_read_mirrors, offsetof(struct settings_registry, mirrors) },
		{ "insecure", settings_read_flag, offsetof(struct settings_registry, insecure) },
		{ "ca", settings_read_path, offsetof(struct settings_registry, ca) },
		{ "cert", settings_read_path, offsetof(struct settings_registry, cert) },
		{ "key", settings_read_path, offsetof(struct settings_registry, key) },
	};
	int r;

	if (!reference_is_registry(node->name))
		return json_node_fail(node, err, "not a host name or address with perhaps a port");
	reg->name = strdup(node->name);
	if (!reg->name)
		return err_nomem(err);
	r = json_node_expect(node, json_type_object, err);
	if (r == 0)
		r = settings_read_object(node, rows, ARRAY_SIZE(rows), reg, err);
	if (r == 0 && reg->key && !reg->cert)
		return json_node_fail(node, err, "a key without a cert");
	return r;
}

static int settings_read_registries(const struct json_node *node, void *dst,
				    struct coffer_error *err)
{
	struct settings *s = dst;
	int r = json_node_object(node, err);
	size_t n = node->json && r == 0 ? (size_t)json_object_object_length(node->json) : 0;

	if (r < 0 || n == 0)
		return r;
	if (n > SETTINGS_REGISTRIES)
		return json_node_fail(node, err, "more than %d", SETTINGS_REGISTRIES);
	s->registries = calloc(n, sizeof(*s->registries));
	if (!s->registries)
		return err_nomem(err);
	json_object_object_foreach(node->json, key, value)
	{
		struct json_node here = { .up = node, .name = key, .json = value };

		r = settings_read_registry(&here, &s->registries[s->nregistries++], err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* settings_read_number() - An integer, or "64g", from 1 to @max */
static int settings_read_number(const struct json_node *node, uint64_t max, uint64_t *out,
				struct coffer_error *err)
{
	int r = 0;

	if (json_object_is_type(node->json, json_type_string))
		r = opt_parse_size(json_object_get_string(node->json), out);
	else
		r = json_node_size(node, out, err);
	if (r == -EINVAL && json_object_is_type(node->json, json_type_string))
		return json_node_fail(node, err, "not a size such as \"64g\"");
	if (r == 0 && (*out == 0 || *out > max))
		return json_node_fail(node, err, "%" PRIu64 ", not from 1 to %" PRIu64, *out, max);
	return r;
}

static int settings_read_u64(const struct json_node *node, void *dst, struct coffer_error *err)
{
	return settings_read_number(node, INT64_MAX, dst, err);
}

static int settings_read_u32(const struct json_node *node, void *dst, struct coffer_error *err)
{
	uint64_t n = 0;
	int r = settings_read_number(node, UINT32_MAX, &n, err);

	if (r == 0)
		*(uint32_t *)dst = (uint32_t)n;
	return r;
}

static int settings_read_limits(const struct json_node *node, void *dst, struct coffer_error *err)
{
	static const struct settings_row rows[] = {
		{ "entries", settings_read_u64, offsetof(struct settings_limits, entries) },
		{ "bytes", settings_read_u64, offsetof(struct settings_limits, bytes) },
		{ "ratio", settings_read_u32, offsetof(struct settings_limits, ratio) },
		{ "name", settings_read_u32, offsetof(struct settings_limits, name) },
	};

	return settings_read_object(node, rows, ARRAY_SIZE(rows), dst, err);
}

static int settings_fill(const char *text, size_t len, struct settings *s, struct coffer_error *err)
{
	static const struct settings_row rows[] = {
		{ "default", settings_read_default, offsetof(struct settings, default_registry) },
		{ "registries", settings_read_registries, 0 },
		{ "limits", settings_read_limits, offsetof(struct settings, limits) },
	};
	autojson struct json_object *tree = NULL;
	struct json_node root;
	int r;

	r = json_node_read("settings", text, len, SETTINGS_MAX, &tree, err);
	if (r < 0)
		return r;
	root = json_node_root("settings", tree);
	return settings_read_object(&root, rows, ARRAY_SIZE(rows), s, err);
}

/* settings_complete() - What was not said */
static int settings_complete(struct settings *s, struct coffer_error *err)
{
	if (!s->default_registry)
		s->default_registry = strdup(REFERENCE_DEFAULT_REGISTRY);
	return s->default_registry ? 0 : err_nomem(err);
}

int settings_parse(const char *text, size_t len, struct settings *out, struct coffer_error *err)
{
	int r;

	*out = (struct settings){ .limits = SETTINGS_LIMITS_DEFAULT };
	r = settings_fill(text, len, out, err);
	if (r == 0)
		r = settings_complete(out, err);
	if (r < 0)
		settings_free(out);
	return r;
}

/* settings_read_file() - @path into @out. Return: 0, -ENOENT and -ENOTDIR with @err filled, too */
static int settings_read_file(const char *path, struct settings *out, struct coffer_error *err)
{
	autofree char *text = NULL;
	size_t len;
	int r = io_read_file(AT_FDCWD, path, SETTINGS_MAX, &text, &len, err);

	if (r < 0)
		return r;
	r = settings_parse(text, len, out, err);
	return r < 0 ? err_wrap(err, "%s", path) : 0;
}

/* settings_place() - "@var/name" or "~/@beside/name"; NULL with errno 0: neither is known */
static char *settings_place(const char *var, const char *beside, const char *name)
{
	const char *base = getenv(var), *home = getenv("HOME");
	autofree char *dir = NULL;

	errno = 0;
	if (base && *base == '/')
		return path_join(base, name);
	if (!home || *home != '/')
		return NULL;
	dir = path_join(home, beside);
	return dir ? path_join(dir, name) : NULL;
}

/* settings_load_default() - The first of the default places where there is one */
static int settings_load_default(struct settings *out, struct coffer_error *err)
{
	autofree char *own = settings_place("XDG_CONFIG_HOME", ".config", "coffer/registries.json");
	const char *const places[] = { own, SETTINGS_SYSTEM };

	if (!own && errno)
		return err_nomem(err);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		int r = places[i] ? settings_read_file(places[i], out, err) : -ENOENT;

		if (r != -ENOENT && r != -ENOTDIR)
			return r;
	}
	err_clear(err);
	*out = (struct settings){ .limits = SETTINGS_LIMITS_DEFAULT };
	return settings_complete(out, err);
}

/* settings_find_auth() - NULL stays when nobody knows of a home */
static int settings_find_auth(const char *auth, char **out, struct coffer_error *err)
{
	const char *file = auth ? auth : getenv("REGISTRY_AUTH_FILE");

	errno = 0;
	if (file && *file)
		*out = strdup(file);
	else
		*out = settings_place("DOCKER_CONFIG", ".docker", "config.json");
	return *out || !errno ? 0 : err_nomem(err);
}

int settings_load(const char *path, const char *auth, struct settings *out,
		  struct coffer_error *err)
{
	const char *file = path ? path : getenv("COFFER_REGISTRIES");
	int r;

	*out = (struct settings){ 0 };
	r = file && *file ? settings_read_file(file, out, err) : settings_load_default(out, err);
	if (r == 0)
		r = settings_find_auth(auth, &out->auth, err);
	if (r < 0) {
		settings_free(out);
		return err_wrap(err, "settings of registries");
	}
	return 0;
}

void settings_free(struct settings *s)
{
	for (size_t i = 0; i < s->nregistries; i++) {
		struct settings_registry *reg = &s->registries[i];

		free(reg->name);
		json_node_strings_free(reg->mirrors);
		free(reg->ca);
		free(reg->cert);
		free(reg->key);
	}
	free(s->registries);
	free(s->default_registry);
	free(s->auth);
	*s = (struct settings){ 0 };
}

const struct settings_registry *settings_registry(const struct settings *s, const char *host)
{
	static const struct settings_registry nothing;

	for (size_t i = 0; i < s->nregistries; i++)
		if (strcasecmp(s->registries[i].name, host) == 0)
			return &s->registries[i];
	return &nothing;
}
