/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/words.c - arguments of options taken apart, with strings of their own
 *
 * Only form is checked here; whether there is such a capability or a path is
 * the library's to say.  Mounts have a file of their own.
 */
#include "cli/words.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"

#define WORDS_FILE_MAX	   (1u << 20)
#define WORDS_CPU_PERIOD   100000
#define WORDS_CPUS_MAX	   4096

void words_free(struct words *w)
{
	for (size_t i = 0; i < w->nblocks; i++)
		free(w->blocks[i]);
	free(w->blocks);
	*w = (struct words){ 0 };
}

void *words_keep(struct words *w, void *block, struct coffer_error *err)
{
	void **more = block ? reallocarray(w->blocks, w->nblocks + 1, sizeof(*more)) : NULL;

	if (!more) {
		free(block);
		err_nomem(err);
		return NULL;
	}
	w->blocks = more;
	w->blocks[w->nblocks++] = block;
	return block;
}

char *words_copy(struct words *w, const char *s, size_t n, struct coffer_error *err)
{
	return words_keep(w, strndup(s, n), err);
}

char *words_print(struct words *w, struct coffer_error *err, const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return words_keep(w, s, err);
}

/* A growing list of words, whose strings belong to @w. */
struct words_list {
	const char **v;
	size_t n;
};

static int words_list_add(struct words_list *list, const char *s, struct coffer_error *err)
{
	const char **more = s ? reallocarray(list->v, list->n + 2, sizeof(*more)) : NULL;

	if (!more)
		return err_nomem(err);
	list->v = more;
	list->v[list->n++] = s;
	list->v[list->n] = NULL;
	return 0;
}

static int words_env_add(struct words *w, struct words_list *list, const char *word, size_t n,
			 const char *where, struct coffer_error *err)
{
	char *s = words_copy(w, word, n, err);
	const char *value;

	if (!s)
		return -ENOMEM;
	if (!*s || *s == '=')
		return err_invalid(err, "%s: %s: a variable without a name", where, s);
	if (!strchr(s, '=')) {
		value = getenv(s);
		if (!value)
			return 0;
		s = words_print(w, err, "%s=%s", s, value);
	}
	return words_list_add(list, s, err);
}

/* Lines KEY=VALUE or KEY; empty ones and those that begin with # are none. */
static int words_env_file(struct words *w, const char *path, struct words_list *list,
			  struct coffer_error *err)
{
	autofree char *text = NULL;
	size_t len;
	int r = io_read_file(AT_FDCWD, path, WORDS_FILE_MAX, &text, &len, err);

	if (r < 0)
		return err_wrap(err, "option --env-file");
	if (strlen(text) != len)
		return err_invalid(err, "option --env-file: %s: has NUL bytes", path);
	for (const char *p = text; r == 0 && *p;) {
		size_t n = strcspn(p, "\n"), line = n;

		while (line > 0 && (p[line - 1] == '\r'))
			line--;
		if (line > 0 && *p != '#')
			r = words_env_add(w, list, p, line, path, err);
		p += n + (p[n] == '\n');
	}
	return r;
}

int words_env(struct words *w, const struct opt_list *files, const struct opt_list *given,
	      const char *const **out, struct coffer_error *err)
{
	struct words_list list = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < files->n; i++)
		r = words_env_file(w, files->v[i], &list, err);
	for (size_t i = 0; r == 0 && i < given->n; i++)
		r = words_env_add(w, &list, given->v[i], strlen(given->v[i]), "option --env", err);
	if (r < 0) {
		free(list.v);
		return r;
	}
	*out = list.v;
	return list.v && !words_keep(w, list.v, err) ? -ENOMEM : 0;
}

static int words_limit(const char *text, char end, uint64_t *out, const char **rest)
{
	unsigned long long n;
	char *stop;

	if (strncmp(text, "-1", 2) == 0 || strncmp(text, "unlimited", 9) == 0) {
		*out = UINT64_MAX;
		*rest = text + (*text == '-' ? 2 : 9);
	} else {
		errno = 0;
		n = strtoull(text, &stop, 10);
		if (!isdigit((unsigned char)*text) || errno)
			return -EINVAL;
		*out = n;
		*rest = stop;
	}
	return **rest == '\0' || **rest == end ? 0 : -EINVAL;
}

static int words_rlimit(struct words *w, const char *text, struct coffer_rlimit *out,
			struct coffer_error *err)
{
	const char *eq = strchr(text, '='), *rest;
	char *name;

	if (!eq || eq == text || words_limit(eq + 1, ':', &out->soft, &rest) < 0)
		return err_invalid(err, "option --ulimit: %s: not NAME=SOFT[:HARD]", text);
	out->hard = out->soft;
	if (*rest == ':' && (words_limit(rest + 1, '\0', &out->hard, &rest) < 0 || *rest))
		return err_invalid(err, "option --ulimit: %s: not NAME=SOFT[:HARD]", text);
	if (out->soft > out->hard)
		return err_invalid(err, "option --ulimit: %s: the soft limit is above the hard one",
				   text);
	name = words_print(w, err, "RLIMIT_%.*s", (int)(eq - text), text);
	out->type = name;
	for (char *p = name; p && *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return name ? 0 : -ENOMEM;
}

int words_rlimits(struct words *w, const struct opt_list *given, const struct coffer_rlimit **out,
		  size_t *n, struct coffer_error *err)
{
	struct coffer_rlimit *v;

	*n = given->n;
	*out = v = words_keep(w, calloc(given->n + 1, sizeof(*v)), err);
	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < given->n; i++) {
		int r = words_rlimit(w, given->v[i], &v[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

int words_groups(struct words *w, const struct opt_list *given, const uint32_t **out, size_t *n,
		 struct coffer_error *err)
{
	uint32_t *v;

	*n = given->n;
	*out = v = words_keep(w, calloc(given->n + 1, sizeof(*v)), err);
	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < given->n; i++) {
		const char *text = given->v[i], *rest;
		uint64_t id;

		if (words_limit(text, '\0', &id, &rest) < 0 || *rest || id >= UINT32_MAX)
			return err_invalid(err, "option --group-add: %s: not a group's number",
					   text);
		v[i] = (uint32_t)id;
	}
	return 0;
}

static int words_relay(struct words *w, const char *option, const char *text, bool out_of,
		       size_t number, struct coffer_relay *out, struct coffer_error *err)
{
	const char *colon = strchr(text, ':'), *second = colon ? strchr(colon + 1, ':') : NULL;
	size_t len = colon ? strcspn(colon + 1, ":") : 0;
	const char *from, *to;
	unsigned long mode = 0;
	char *end;

	if (!colon || colon == text || len == 0)
		return err_invalid(err, "option %s: %s: not FROM:TO[:MODE]", option, text);
	if (second) {
		mode = strtoul(second + 1, &end, 8);
		if (!isdigit((unsigned char)second[1]) || *end || mode == 0 || mode > 0777)
			return err_invalid(err, "option %s: %s: the mode is not 1 to 0777 octal",
					   option, text);
	}
	from = words_copy(w, text, (size_t)(colon - text), err);
	to = words_copy(w, colon + 1, len, err);
	*out = (struct coffer_relay){
		.id = words_print(w, err, "socket%zu", number),
		.direction = out_of ? COFFER_RELAY_OUT_OF : COFFER_RELAY_INTO,
		.host_path = out_of ? to : from,
		.guest_path = out_of ? from : to,
		.mode = (mode_t)mode,
	};
	return from && to && out->id ? 0 : -ENOMEM;
}

int words_relays(struct words *w, const struct opt_list *in, const struct opt_list *out_of,
		 const struct coffer_relay **out, size_t *n, struct coffer_error *err)
{
	struct coffer_relay *v;
	int r = 0;

	*n = in->n + out_of->n;
	*out = v = words_keep(w, calloc(*n + 1, sizeof(*v)), err);
	if (!v)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < in->n; i++)
		r = words_relay(w, "--socket-in", in->v[i], false, i, &v[i], err);
	for (size_t i = 0; r == 0 && i < out_of->n; i++)
		r = words_relay(w, "--socket-out", out_of->v[i], true, in->n + i, &v[in->n + i],
				err);
	return r;
}

static int words_seccomp(struct words *w, const char *path, const char **out,
			 struct coffer_error *err)
{
	char *text;
	int r;

	*out = NULL;
	if (strcmp(path, "unconfined") == 0)
		return 0;
	r = io_read_file(AT_FDCWD, path, WORDS_FILE_MAX, &text, NULL, err);
	if (r < 0)
		return err_wrap(err, "option --security-opt: seccomp profile");
	*out = words_keep(w, text, err);
	return *out ? 0 : -ENOMEM;
}

int words_security(struct words *w, const struct opt_list *given, bool *no_new_privs,
		   const char **seccomp, struct coffer_error *err)
{
	for (size_t i = 0; i < given->n; i++) {
		const char *text = given->v[i], *value = text + strcspn(text, "=:");
		size_t n = (size_t)(value - text);
		int r = 0;

		value += *value != '\0';
		if (n == 17 && strncmp(text, "no-new-privileges", n) == 0 &&
		    (!*value || strcmp(value, "true") == 0 || strcmp(value, "false") == 0))
			*no_new_privs = strcmp(value, "false") != 0;
		else if (n == 7 && strncmp(text, "seccomp", n) == 0 && *value)
			r = words_seccomp(w, value, seccomp, err);
		else
			r = err_invalid(err, "option --security-opt: %s: must be "
					     "no-new-privileges or seccomp=FILE", text);
		if (r < 0)
			return r;
	}
	return 0;
}

int words_layer(const char *layer, uint64_t size, const char *journal, struct coffer_layer *out,
		struct coffer_error *err)
{
	static const char *const kinds[] = { "auto", "none", "tmpfs", "disk" };
	static const char *const journals[] = { "default", "none", "writeback", "ordered", "data" };
	bool found = !layer;

	out->size = size;
	for (size_t i = 0; i < ARRAY_SIZE(kinds) && layer; i++) {
		if (strcmp(layer, kinds[i]) != 0)
			continue;
		out->kind = (enum coffer_layer_kind)i;
		found = true;
	}
	if (!found) {
		if (!strchr(layer, '/'))
			return err_invalid(err, "option --layer: %s: must be auto, none, tmpfs, "
						"disk or a path with a slash", layer);
		out->kind = COFFER_LAYER_DISK;
		out->path = layer;
	}
	for (size_t i = 0; i < ARRAY_SIZE(journals) && journal; i++)
		if (strcmp(journal, journals[i]) == 0)
			out->journal = (enum coffer_journal)i;
	/* Where it would mean nothing it is a mistake. */
	if ((size && out->kind != COFFER_LAYER_DISK && out->kind != COFFER_LAYER_TMPFS) ||
	    (journal && out->kind != COFFER_LAYER_DISK))
		return err_invalid(err, "option --%s: needs --layer disk%s",
				   journal ? "journal" : "layer-size",
				   journal ? " or a path" : ", tmpfs or a path");
	return 0;
}

int words_cpus(const char *text, uint64_t *quota, uint64_t *period, struct coffer_error *err)
{
	double n;
	char *end;

	errno = 0;
	n = strtod(text, &end);
	if (!isdigit((unsigned char)*text) || *end || errno || n < 0.01 || n > WORDS_CPUS_MAX)
		return err_invalid(err, "option --container-cpus: %s: must be 0.01 to %d", text,
				   WORDS_CPUS_MAX);
	*period = WORDS_CPU_PERIOD;
	*quota = (uint64_t)(n * WORDS_CPU_PERIOD);
	return 0;
}
