/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/config_change.c - a Dockerfile's line applied to an image's configuration
 *
 *	CMD ["a", "b"]   CMD a b   ENV A=b C="d $A"   EXPOSE 80 53/udp   ...
 *
 * Only what changes the configuration; what runs something (RUN, COPY) belongs
 * to builders.  A line that fails has changed nothing.  Callers: import and
 * commit.
 */
#include <ctype.h>
#include <limits.h>
#include <string.h>

#include "base/json_text.h"
#include "base/path.h"
#include "base/spawn.h"
#include "image/config_words.h"
#include "image/document.h"
#include "image/json_node.h"

#define CHANGE_PORTS_MAX 1024 /* in one range */

typedef char **change_list;

static void change_list_free(change_list *list)
{
	json_node_strings_free(*list);
}
#define autolist CLEANUP(change_list_free)

static int change_add(change_list *list, char *text, struct coffer_error *err)
{
	return config_list_add(list, text) < 0 ? err_nomem(err) : 0;
}

static void change_replace(change_list *dst, change_list *src)
{
	json_node_strings_free(*dst);
	*dst = steal_ptr(*src);
}

/* change_merge() - Each of @new in @dst, instead of the one that begins alike up to @end.
 * Everything that can fail comes first */
static int change_merge(change_list *dst, change_list new, char end, struct coffer_error *err)
{
	autolist change_list merged = NULL;

	for (size_t i = 0; *dst && (*dst)[i]; i++)
		if (change_add(&merged, strdup((*dst)[i]), err) < 0)
			return -ENOMEM;
	for (size_t i = 0; new &&new[i]; i++) {
		const char *stop = end ? strchr(new[i], end) : NULL;
		size_t n = stop ? (size_t)(stop - new[i]) + 1 : strlen(new[i]) + 1, k = 0;
		char *copy = strdup(new[i]);

		if (!copy)
			return err_nomem(err);
		while (merged && merged[k] && strncmp(merged[k], copy, n) != 0)
			k++;
		if (merged && merged[k]) {
			free(merged[k]);
			merged[k] = copy;
		} else if (change_add(&merged, copy, err) < 0) {
			return -ENOMEM;
		}
	}
	change_replace(dst, &merged);
	return 0;
}

/* change_json() - ["a", "b"]. Return: 1, 0: it is not that, negative errno */
static int change_json(const char *text, change_list *out, struct coffer_error *err)
{
	autotokener struct json_tokener *tok = json_tokener_new_ex(JSON_NODE_DEPTH);
	autojson struct json_object *json = NULL;
	struct json_node root;
	int r;

	if (!tok)
		return err_nomem(err);
	if (*text != '[' || json_text_check("", text, strlen(text), NULL) < 0)
		return 0;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	json = json_tokener_parse_ex(tok, text, (int)strlen(text));
	root = json_node_root("list", json);
	if (json_tokener_get_error(tok) != json_tokener_success ||
	    !json_object_is_type(json, json_type_array))
		return 0;
	r = json_node_strings(&root, out, NULL);
	if (r == -ENOMEM)
		return err_nomem(err);
	return r == 0;
}

/* change_command() - A list, or a line for the shell; a broken list is such a line, too */
static int change_command(const char *text, change_list *dst, struct coffer_error *err)
{
	static const char *const shell[] = { "/bin/sh", "-c" };
	autolist change_list list = NULL;
	int r = change_json(text, &list, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(shell); i++)
		if (change_add(&list, strdup(shell[i]), err) < 0)
			return -ENOMEM;
	if (r == 0 && change_add(&list, strdup(text), err) < 0)
		return -ENOMEM;
	change_replace(dst, &list);
	return 0;
}

static int change_cmd(struct image_config *c, const char *text, struct coffer_error *err)
{
	return change_command(text, &c->cmd, err);
}

/* change_is_inherited() - The command is still the one that was read with the image */
static bool change_is_inherited(const struct image_config *c)
{
	struct json_object *run = json_object_object_get(c->said, "config");
	struct json_object *cmd = json_object_object_get(run, "Cmd");
	size_t n = cmd ? json_object_array_length(cmd) : 0, i = 0;

	for (; i < n && c->cmd && c->cmd[i]; i++)
		if (strcmp(c->cmd[i], json_object_get_string(json_object_array_get_idx(cmd, i))) !=
		    0)
			return false;
	return i == n && (!c->cmd || !c->cmd[i]);
}

/* change_entrypoint() - Arguments of the old program mean nothing to a new one */
static int change_entrypoint(struct image_config *c, const char *text, struct coffer_error *err)
{
	int r = change_command(text, &c->entrypoint, err);

	if (r == 0 && c->said && change_is_inherited(c)) {
		json_node_strings_free(c->cmd);
		c->cmd = NULL;
	}
	return r;
}

/* change_pairs() - "A=b C=d", or "A all the rest" */
static int change_pairs(const struct image_config *c, const char *text, change_list *out,
			struct coffer_error *err)
{
	autofree char *name = NULL, *value = NULL;
	const char *at = text;
	char *pair;
	int r = config_word(&at, false, c->env, &name, err);

	if (r < 0)
		return r;
	if (strchr(name, '=')) {
		r = config_words(text, c->env, out, err);
	} else {
		r = config_word(&at, true, c->env, &value, err);
		if (r == 0 && !value)
			return err_invalid(err, "%.64s: no value", name);
		if (r == 0 && asprintf(&pair, "%s=%s", name, value) < 0)
			return err_nomem(err);
		if (r == 0)
			r = change_add(out, pair, err);
	}
	for (size_t i = 0; r == 0 && (*out)[i]; i++)
		if ((*out)[i][0] == '=' || !strchr((*out)[i], '='))
			return err_invalid(err, "\"%.64s\": not as NAME=value", (*out)[i]);
	return r;
}

static int change_env(struct image_config *c, const char *text, struct coffer_error *err)
{
	autolist change_list list = NULL;
	int r = change_pairs(c, text, &list, err);

	return r == 0 ? change_merge(&c->env, list, '=', err) : r;
}

static int change_label(struct image_config *c, const char *text, struct coffer_error *err)
{
	autolist change_list list = NULL;
	int r = change_pairs(c, text, &list, err);

	return r == 0 ? change_merge(&c->labels, list, '=', err) : r;
}

/* change_port() - "80", "53/udp", "8000-8010" as single ports with their protocols */
static int change_port(const char *word, change_list *out, struct coffer_error *err)
{
	static const char *const protocols[] = { "tcp", "udp", "sctp" };
	const char *protocol = NULL;
	unsigned long first, last;
	char *end;

	last = first = isdigit((unsigned char)*word) ? strtoul(word, &end, 10) : 0;
	if (first > 0 && *end == '-' && isdigit((unsigned char)end[1]))
		last = strtoul(end + 1, &end, 10);
	for (size_t i = 0; first > 0 && i < ARRAY_SIZE(protocols); i++)
		if (*end == '\0' ? i == 0 : *end == '/' && strcasecmp(end + 1, protocols[i]) == 0)
			protocol = protocols[i];
	if (!protocol || last < first || last > 65535)
		return err_invalid(err, "\"%.64s\": not a port such as 80 or 53/udp", word);
	if (last - first >= CHANGE_PORTS_MAX)
		return err_invalid(err, "\"%.64s\": more than %d ports", word, CHANGE_PORTS_MAX);
	for (; first <= last; first++) {
		char *text;
		int r = asprintf(&text, "%lu/%s", first, protocol) < 0 ? err_nomem(err)
								       : change_add(out, text, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int change_expose(struct image_config *c, const char *text, struct coffer_error *err)
{
	autolist change_list words = NULL, ports = NULL;
	int r = config_words(text, c->env, &words, err);

	for (size_t i = 0; r == 0 && words && words[i]; i++)
		r = change_port(words[i], &ports, err);
	return r == 0 ? change_merge(&c->ports, ports, '\0', err) : r;
}

static int change_volume(struct image_config *c, const char *text, struct coffer_error *err)
{
	autolist change_list list = NULL;
	int r = change_json(text, &list, err);

	if (r == 0)
		r = config_words(text, c->env, &list, err);
	if (r < 0)
		return r;
	for (size_t i = 0; list && list[i]; i++)
		if (list[i][0] != '/')
			return err_invalid(err, "\"%.64s\": not an absolute path", list[i]);
	return change_merge(&c->volumes, list, '\0', err);
}

/* change_text() - All of the line, variables replaced */
static int change_text(const struct image_config *c, const char *text, char **out,
		       struct coffer_error *err)
{
	int r = config_word(&text, true, c->env, out, err);

	if (r == 0 && (!*out || **out == '\0')) {
		free(steal_ptr(*out));
		return err_invalid(err, "nothing is left of it");
	}
	return r;
}

static void change_set(char **dst, char **text)
{
	free(*dst);
	*dst = steal_ptr(*text);
}

static int change_user(struct image_config *c, const char *text, struct coffer_error *err)
{
	autofree char *user = NULL;
	int r = change_text(c, text, &user, err);

	if (r == 0)
		change_set(&c->user, &user);
	return r;
}

/* A person's name may have any quotes. */
static int change_maintainer(struct image_config *c, const char *text, struct coffer_error *err)
{
	autofree char *author = strdup(text);

	if (!author)
		return err_nomem(err);
	change_set(&c->author, &author);
	return 0;
}

static int change_stopsignal(struct image_config *c, const char *text, struct coffer_error *err)
{
	autofree char *name = NULL;
	int r = change_text(c, text, &name, err);

	if (r == 0 && spawn_signal_parse(name) <= 0)
		return err_invalid(err, "\"%.64s\": not a signal", name);
	if (r == 0)
		change_set(&c->stop_signal, &name);
	return r;
}

/* change_clean() - An absolute path without "//", "." and ".." in place */
static void change_clean(char *path)
{
	char *out = path, *rest = path, *word;

	while ((word = strsep(&rest, "/"))) {
		size_t n = strlen(word);

		if (n == 0 || strcmp(word, ".") == 0)
			continue;
		if (strcmp(word, "..") == 0) {
			while (out > path && *--out != '/')
				;
			continue;
		}
		*out++ = '/';
		memmove(out, word, n);
		out += n;
	}
	if (out == path)
		*out++ = '/';
	*out = '\0';
}

static int change_workdir(struct image_config *c, const char *text, struct coffer_error *err)
{
	autofree char *dir = NULL, *path = NULL;
	int r = change_text(c, text, &dir, err);

	if (r < 0)
		return r;
	path = path_join(*dir == '/' || !c->workdir ? "/" : c->workdir, dir);
	if (!path)
		return err_nomem(err);
	change_clean(path);
	change_set(&c->workdir, &path);
	return 0;
}

static const struct {
	const char *name;
	int (*apply)(struct image_config *c, const char *text, struct coffer_error *err);
} change_rows[] = {
	{ "CMD", change_cmd },	       { "ENTRYPOINT", change_entrypoint },
	{ "ENV", change_env },	       { "EXPOSE", change_expose },
	{ "LABEL", change_label },     { "MAINTAINER", change_maintainer },
	{ "STOPSIGNAL", change_stopsignal }, { "USER", change_user },
	{ "VOLUME", change_volume },   { "WORKDIR", change_workdir },
};

static int change_apply(struct image_config *c, const char *line, struct coffer_error *err)
{
	autofree char *text = NULL;
	size_t n = strcspn(line, " \t"), len;

	for (size_t i = 0; i < ARRAY_SIZE(change_rows); i++) {
		int r;

		if (strlen(change_rows[i].name) != n ||
		    strncasecmp(line, change_rows[i].name, n) != 0)
			continue;
		line += n + strspn(line + n, " \t");
		text = strdup(line);
		if (!text)
			return err_nomem(err);
		for (len = strlen(text); len > 0 && isspace((unsigned char)text[len - 1]); len--)
			text[len - 1] = '\0';
		if (len == 0)
			return err_invalid(err, "%s: what?", change_rows[i].name);
		r = change_rows[i].apply(c, text, err);
		return r < 0 ? err_wrap(err, "%s", change_rows[i].name) : 0;
	}
	return err_unsupported(err,
			       "only CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, MAINTAINER, STOPSIGNAL, "
			       "USER, VOLUME and WORKDIR change a configuration");
}

int image_config_change(struct image_config *c, const char *line, struct coffer_error *err)
{
	char quoted[JSON_QUOTE_MAX];
	int r;

	line += strspn(line, " \t");
	if (strlen(line) > CONFIG_LINE_MAX)
		return err_invalid(err, "a change of more than %zu bytes", CONFIG_LINE_MAX);
	if (!json_text_is_utf8(line))
		r = err_invalid(err, "not UTF-8");
	else if (strpbrk(line, "\r\n"))
		r = err_invalid(err, "more than one line");
	else
		r = change_apply(c, line, err);
	return r < 0 ? err_wrap(err, "change \"%s\"", json_text_quote(quoted, line)) : 0;
}
