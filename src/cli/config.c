/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/config.c - the configuration files
 *
 * One table row a key gives its name, its type and where it goes.  The values'
 * meaning (is there such a machine, is the memory enough) is checked by the
 * library, as for options; here only form is.  Called by main.c once.
 */
#include "cli/config.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "base/options.h"

#define CLI_CONFIG_SYSTEM "/etc/coffer/config.json"
#define CLI_CONFIG_USER	  "coffer/config.json"
#define CLI_CONFIG_DEPTH  4

enum config_type {
	CONFIG_TEXT,  /* string, not empty */
	CONFIG_PATH,  /* absolute path */
	CONFIG_COUNT, /* integer, 1 and up */
	CONFIG_SIZE,  /* integer of bytes, or a string such as "512M" */
};

static const struct config_row {
	const char *key;
	enum config_type type;
	size_t offset;
} config_rows[] = {
	{ "kernel", CONFIG_PATH, offsetof(struct cli_config, kernel) },
	{ "initrd", CONFIG_PATH, offsetof(struct cli_config, initrd) },
	{ "sandbox", CONFIG_TEXT, offsetof(struct cli_config, sandbox) },
	{ "machine", CONFIG_TEXT, offsetof(struct cli_config, machine) },
	{ "run-dir", CONFIG_PATH, offsetof(struct cli_config, run_dir) },
	{ "rootfs", CONFIG_PATH, offsetof(struct cli_config, rootfs) },
	{ "cpus", CONFIG_COUNT, offsetof(struct cli_config, cpus) },
	{ "memory", CONFIG_SIZE, offsetof(struct cli_config, memory) },
	{ "log-level", CONFIG_TEXT, offsetof(struct cli_config, log_level) },
	{ "log-format", CONFIG_TEXT, offsetof(struct cli_config, log_format) },
};

void cli_config_free(struct cli_config *cfg)
{
	for (size_t i = 0; i < ARRAY_SIZE(config_rows); i++)
		if (config_rows[i].type == CONFIG_TEXT || config_rows[i].type == CONFIG_PATH)
			free(*(char **)((char *)cfg + config_rows[i].offset));
	*cfg = (struct cli_config){ 0 };
}

static int config_set_text(const struct config_row *row, struct json_object *value, char **dst,
			   struct coffer_error *err)
{
	const char *s;
	char *copy;

	if (!json_object_is_type(value, json_type_string))
		return err_invalid(err, "%s: expected a string", row->key);
	s = json_object_get_string(value);
	if (*s == '\0' || strlen(s) != (size_t)json_object_get_string_len(value))
		return err_invalid(err, "%s: empty or with a NUL byte", row->key);
	if (row->type == CONFIG_PATH && *s != '/')
		return err_invalid(err, "%s: %s: not an absolute path", row->key, s);
	copy = strdup(s);
	if (!copy)
		return err_nomem(err);
	free(*dst);
	*dst = copy;
	return 0;
}

static int config_set_count(const struct config_row *row, struct json_object *value, unsigned *dst,
			    struct coffer_error *err)
{
	int64_t n = json_object_get_int64(value);

	if (!json_object_is_type(value, json_type_int) || n < 1 || n > INT_MAX)
		return err_invalid(err, "%s: expected a positive integer", row->key);
	*dst = (unsigned)n;
	return 0;
}

static int config_set_size(const struct config_row *row, struct json_object *value, uint64_t *dst,
			   struct coffer_error *err)
{
	if (json_object_is_type(value, json_type_string) &&
	    opt_parse_size(json_object_get_string(value), dst) == 0)
		return 0;
	if (json_object_is_type(value, json_type_int) && json_object_get_int64(value) > 0) {
		*dst = (uint64_t)json_object_get_int64(value);
		return 0;
	}
	return err_invalid(err, "%s: expected a size (such as \"256M\", or bytes)", row->key);
}

static int config_set(const char *key, struct json_object *value, struct cli_config *cfg,
		      struct coffer_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(config_rows); i++) {
		const struct config_row *row = &config_rows[i];
		void *dst = (char *)cfg + row->offset;

		if (strcmp(row->key, key) != 0)
			continue;
		switch (row->type) {
		case CONFIG_TEXT:
		case CONFIG_PATH:
			return config_set_text(row, value, dst, err);
		case CONFIG_COUNT:
			return config_set_count(row, value, dst, err);
		case CONFIG_SIZE:
			return config_set_size(row, value, dst, err);
		}
	}
	return err_invalid(err, "%s: unknown key", key);
}

int cli_config_parse(const char *text, size_t len, struct cli_config *cfg, struct coffer_error *err)
{
	autotokener struct json_tokener *tok = json_tokener_new_ex(CLI_CONFIG_DEPTH);
	autojson struct json_object *doc = NULL;
	int r;

	if (!tok)
		return err_nomem(err);
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	/* The terminating NUL goes in too, so that a cut document is an error. */
	doc = json_tokener_parse_ex(tok, text, (int)len + 1);
	if (!doc)
		return err_invalid(err, "not JSON: %s at byte %zu",
				   json_tokener_error_desc(json_tokener_get_error(tok)),
				   json_tokener_get_parse_end(tok));
	if (!json_object_is_type(doc, json_type_object))
		return err_invalid(err, "expected a JSON object");
	json_object_object_foreach(doc, key, value)
	{
		r = config_set(key, value, cfg, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int cli_config_read(const char *path, struct cli_config *cfg, struct coffer_error *err)
{
	autofree char *text = NULL;
	size_t len;
	int r;

	r = io_read_file(AT_FDCWD, path, CLI_CONFIG_MAX, &text, &len, err);
	if (r == -ENOENT || r == -ENOTDIR) {
		err_clear(err);
		return 0;
	}
	if (r < 0)
		return r;
	r = cli_config_parse(text, len, cfg, err);
	return r < 0 ? err_wrap(err, "config file %s", path) : 0;
}

int cli_config_load(struct cli_config *cfg, struct coffer_error *err)
{
	const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	autofree char *dot = NULL, *path = NULL;
	int r;

	r = cli_config_read(CLI_CONFIG_SYSTEM, cfg, err);
	if (r < 0)
		return r;
	if (!base || *base != '/') {
		if (!home || *home != '/')
			return 0;
		dot = path_join(home, ".config");
		base = dot;
	}
	path = base ? path_join(base, CLI_CONFIG_USER) : NULL;
	if (!path)
		return err_nomem(err);
	return cli_config_read(path, cfg, err);
}
