/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/config_words.c - words of a Dockerfile's line
 *
 * A shell's quotes and backslashes, and its variables as far as Dockerfiles
 * have them: $A, ${A}, ${A:-word}, ${A:+word}.  What else stands in braces is
 * refused, as it would be replaced by something else than is meant.  Caller:
 * config_change.c.
 */
#include "image/config_words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "image/json_node.h"

#define WORDS_NAME "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789"

struct words {
	const char *at;
	char *const *env;
	struct buf out;
	struct coffer_error *err;
};

static int words_put(struct words *w, const char *text, size_t n)
{
	int r = buf_append(&w->out, text, n);

	if (r == -ENOBUFS)
		return err_invalid(w->err, "longer than %zu bytes", CONFIG_LINE_MAX);
	return r < 0 ? err_nomem(w->err) : 0;
}

static const char *words_value(const struct words *w, const char *name, size_t n)
{
	for (char *const *e = w->env; e && *e; e++)
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
			return *e + n + 1;
	return NULL;
}

/* words_braces() - Behind "${" */
static int words_braces(struct words *w)
{
	const char *name = w->at, *value, *word;
	size_t n = strspn(name, WORDS_NAME), len;

	word = name + n;
	if (n == 0 || (*word != '}' && strncmp(word, ":-", 2) != 0 && strncmp(word, ":+", 2) != 0))
		return err_unsupported(
		    w->err, "\"${%.40s\": only ${A}, ${A:-b} and ${A:+b} are known", name);
	value = words_value(w, name, n);
	if (*word == '}') {
		w->at = word + 1;
		return value ? words_put(w, value, strlen(value)) : 0;
	}
	len = strcspn(word, "}\"'$\\");
	if (word[len] != '}')
		return err_unsupported(w->err,
				       "\"${%.40s\": not closed, or with quotes or another "
				       "variable in it",
				       name);
	w->at = word + len + 1;
	if (word[1] == '-' && value && *value)
		return words_put(w, value, strlen(value));
	if (word[1] == '+' && !(value && *value))
		return 0;
	return words_put(w, word + 2, len - 2);
}

/* words_variable() - Behind a dollar sign */
static int words_variable(struct words *w)
{
	size_t n = isdigit((unsigned char)*w->at) ? 1 : strspn(w->at, WORDS_NAME);
	const char *value;

	if (*w->at == '{') {
		w->at++;
		return words_braces(w);
	}
	if (n == 0)
		return words_put(w, "$", 1);
	value = words_value(w, w->at, n);
	w->at += n;
	return value ? words_put(w, value, strlen(value)) : 0;
}

/* words_double() - Behind a double quote, up to the one that closes it */
static int words_double(struct words *w)
{
	int r = 0;

	while (r == 0 && *w->at && *w->at != '"') {
		if (*w->at == '$') {
			w->at++;
			r = words_variable(w);
			continue;
		}
		if (*w->at == '\\' && w->at[1] && strchr("\"$\\", w->at[1]))
			w->at++;
		r = words_put(w, w->at++, 1);
	}
	if (r == 0 && !*w->at)
		return err_invalid(w->err, "a quote that is not closed");
	w->at++;
	return r;
}

static int words_single(struct words *w)
{
	const char *start = w->at;
	size_t n = strcspn(start, "'");

	if (!start[n])
		return err_invalid(w->err, "a quote that is not closed");
	w->at = start + n + 1;
	return words_put(w, start, n);
}

static int words_step(struct words *w)
{
	char c = *w->at++;

	switch (c) {
	case '\'':
		return words_single(w);
	case '"':
		return words_double(w);
	case '$':
		return words_variable(w);
	case '\\':
		return *w->at ? words_put(w, w->at++, 1) : words_put(w, "\\", 1);
	default:
		return words_put(w, &c, 1);
	}
}

int config_word(const char **at, bool whole, char *const *env, char **out, struct coffer_error *err)
{
	struct words w = { .at = *at, .env = env, .out = BUF_INIT(CONFIG_LINE_MAX), .err = err };
	int r = 0;

	*out = NULL;
	while (isblank((unsigned char)*w.at))
		w.at++;
	if (*w.at == '\0')
		return 0;
	while (r == 0 && *w.at && (whole || !isblank((unsigned char)*w.at)))
		r = words_step(&w);
	*at = w.at;
	if (r == 0) {
		*out = buf_steal_str(&w.out);
		r = *out ? 0 : err_nomem(err);
	}
	buf_free(&w.out);
	return r;
}

int config_list_add(char ***list, char *text)
{
	size_t n = 0;
	char **grown;

	while (*list && (*list)[n])
		n++;
	grown = text ? reallocarray(*list, n + 2, sizeof(*grown)) : NULL;
	if (!grown) {
		free(text);
		return -ENOMEM;
	}
	grown[n] = text;
	grown[n + 1] = NULL;
	*list = grown;
	return 0;
}

int config_words(const char *line, char *const *env, char ***out, struct coffer_error *err)
{
	CLEANUP(json_node_strings_freep) char **list = NULL;
	char *word;
	int r;

	*out = NULL;
	while ((r = config_word(&line, false, env, &word, err)) == 0 && word)
		if (config_list_add(&list, word) < 0)
			return err_nomem(err);
	if (r == 0)
		*out = steal_ptr(list);
	return r;
}
