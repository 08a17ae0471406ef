/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/words_mount.c - --mount, --volume and --tmpfs, as docker writes them
 *
 *	--mount type=bind,source=/src,target=/dst,readonly,option=noexec
 *	--volume SRC:DST[:OPTION,...]
 *	--tmpfs DST[:OPTION,...]
 */
#include "cli/words.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define MOUNT_OPTIONS_MAX 32

/* A mount being read. */
struct mount_text {
	const char *text; /* the whole argument, for errors */
	const char *option; /* "--mount" ... */
	struct words *w;
	struct coffer_mount *m;
	const char **options;
	size_t noptions;
};

static const struct mount_type {
	const char *word;
	enum coffer_mount_kind kind;
	bool source; /* needs one */
} mount_types[] = {
	{ "bind", COFFER_MOUNT_SHARE, true },	{ "volume", COFFER_MOUNT_VOLUME, true },
	{ "tmpfs", COFFER_MOUNT_TMPFS, false }, { "disk", COFFER_MOUNT_DISK, true },
	{ "image", COFFER_MOUNT_DISK, true },	{ "nbd", COFFER_MOUNT_NBD, true },
};

static int mount_bad(const struct mount_text *t, const char *why, struct coffer_error *err)
{
	return err_invalid(err, "option %s: %s: %s", t->option, t->text, why);
}

static int mount_add_option(struct mount_text *t, const char *word, struct coffer_error *err)
{
	if (t->noptions == MOUNT_OPTIONS_MAX)
		return mount_bad(t, "too many options", err);
	if (!t->options)
		t->options = words_keep(t->w, calloc(MOUNT_OPTIONS_MAX + 1, sizeof(char *)), err);
	if (!t->options || !word)
		return -ENOMEM;
	t->options[t->noptions++] = word;
	t->m->options = t->options;
	return 0;
}

static int mount_set_type(struct mount_text *t, const char *value, struct coffer_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(mount_types); i++) {
		if (strcmp(mount_types[i].word, value) != 0)
			continue;
		t->m->kind = mount_types[i].kind;
		return 0;
	}
	return mount_bad(t, "the type must be bind, volume, tmpfs, disk or nbd", err);
}

static int mount_set_source(struct mount_text *t, const char *value, struct coffer_error *err)
{
	t->m->source = value;
	return 0;
}

static int mount_set_target(struct mount_text *t, const char *value, struct coffer_error *err)
{
	t->m->target = value;
	return 0;
}

static int mount_set_read_only(struct mount_text *t, const char *value, struct coffer_error *err)
{
	t->m->read_only = !*value || strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
	if (t->m->read_only || strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
		return 0;
	return mount_bad(t, "readonly is true or false", err);
}

static int mount_set_size(struct mount_text *t, const char *value, struct coffer_error *err)
{
	if (opt_parse_size(value, &t->m->size) < 0 || t->m->size == 0)
		return mount_bad(t, "not a size (such as 64M)", err);
	return 0;
}

static int mount_set_mode(struct mount_text *t, const char *value, struct coffer_error *err)
{
	if (!*value || value[strspn(value, "01234567")])
		return mount_bad(t, "the mode is not an octal number", err);
	return mount_add_option(t, words_print(t->w, err, "mode=%s", value), err);
}

static int mount_set_option(struct mount_text *t, const char *value, struct coffer_error *err)
{
	return mount_add_option(t, value, err);
}

static const struct mount_key {
	const char *word;
	bool bare; /* may stand without a value */
	int (*set)(struct mount_text *t, const char *value, struct coffer_error *err);
} mount_keys[] = {
	{ "type", false, mount_set_type },
	{ "source", false, mount_set_source },
	{ "src", false, mount_set_source },
	{ "target", false, mount_set_target },
	{ "destination", false, mount_set_target },
	{ "dst", false, mount_set_target },
	{ "readonly", true, mount_set_read_only },
	{ "ro", true, mount_set_read_only },
	{ "tmpfs-size", false, mount_set_size },
	{ "tmpfs-mode", false, mount_set_mode },
	{ "bind-propagation", false, mount_set_option },
	{ "option", false, mount_set_option },
};

static int mount_key(struct mount_text *t, const char *pair, size_t n, struct coffer_error *err)
{
	const char *eq = memchr(pair, '=', n);
	size_t key = eq ? (size_t)(eq - pair) : n;
	const char *value = eq ? words_copy(t->w, eq + 1, n - key - 1, err) : "";

	if (!value)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(mount_keys); i++) {
		if (strlen(mount_keys[i].word) != key ||
		    strncmp(mount_keys[i].word, pair, key) != 0)
			continue;
		if (!*value && !mount_keys[i].bare)
			break;
		return mount_keys[i].set(t, value, err);
	}
	return err_invalid(err, "option %s: %s: unknown or empty field %.*s", t->option, t->text,
			   (int)n, pair);
}

/* Paths here are relative to where we are, those in the container to its root. */
static int mount_finish(struct mount_text *t, struct coffer_error *err)
{
	struct coffer_mount *m = t->m;
	char *real;

	if (!m->target)
		return mount_bad(t, "no target", err);
	if (*m->target != '/')
		return mount_bad(t, "the target is not an absolute path", err);
	if (m->kind == COFFER_MOUNT_TMPFS)
		return m->source ? mount_bad(t, "a tmpfs has no source", err) : 0;
	if (!m->source)
		return mount_bad(t, "no source", err);
	if (m->kind != COFFER_MOUNT_SHARE && m->kind != COFFER_MOUNT_DISK)
		return 0;
	real = realpath(m->source, NULL);
	if (!real)
		return err_sys(err, "option %s: %s", t->option, m->source);
	m->source = words_keep(t->w, real, err);
	return m->source ? 0 : -ENOMEM;
}

static int mount_parse(struct mount_text *t, struct coffer_error *err)
{
	int r = 0;

	t->m->kind = COFFER_MOUNT_VOLUME; /* as docker */
	for (const char *p = t->text; r == 0;) {
		size_t n = strcspn(p, ",");

		r = mount_key(t, p, n, err);
		if (!p[n])
			break;
		p += n + 1;
	}
	return r < 0 ? r : mount_finish(t, err);
}

/* ",noexec,ro": the words after the last colon. */
static int mount_words(struct mount_text *t, const char *p, struct coffer_error *err)
{
	int r = 0;

	while (r == 0 && *p) {
		size_t n = strcspn(p, ",");
		char *word = words_copy(t->w, p, n, err);

		if (!word)
			return -ENOMEM;
		if (strcmp(word, "ro") == 0)
			t->m->read_only = true;
		else if (t->m->kind == COFFER_MOUNT_TMPFS && strncmp(word, "size=", 5) == 0)
			r = mount_set_size(t, word + 5, err);
		/* SELinux' labels and what is so anyway. */
		else if (*word && strcmp(word, "rw") != 0 && strcmp(word, "z") != 0 &&
			 strcmp(word, "Z") != 0)
			r = mount_add_option(t, word, err);
		p += n + (p[n] == ',');
	}
	return r;
}

static int volume_parse(struct mount_text *t, struct coffer_error *err)
{
	const char *colon = strchr(t->text, ':'), *second;
	size_t n;
	int r;

	if (!colon || colon == t->text)
		return mount_bad(t, "not SOURCE:TARGET[:OPTIONS]; volumes have names here", err);
	second = strchrnul(colon + 1, ':');
	n = (size_t)(colon - t->text);
	t->m->source = words_copy(t->w, t->text, n, err);
	t->m->target = words_copy(t->w, colon + 1, (size_t)(second - colon - 1), err);
	if (!t->m->source || !t->m->target)
		return -ENOMEM;
	t->m->kind = *t->text == '/' || *t->text == '.' ? COFFER_MOUNT_SHARE
							 : COFFER_MOUNT_VOLUME;
	r = *second ? mount_words(t, second + 1, err) : 0;
	return r < 0 ? r : mount_finish(t, err);
}

static int tmpfs_parse(struct mount_text *t, struct coffer_error *err)
{
	size_t n = strcspn(t->text, ":");
	int r;

	t->m->kind = COFFER_MOUNT_TMPFS;
	t->m->target = words_copy(t->w, t->text, n, err);
	if (!t->m->target)
		return -ENOMEM;
	r = t->text[n] ? mount_words(t, t->text + n + 1, err) : 0;
	return r < 0 ? r : mount_finish(t, err);
}

int words_mounts(struct words *w, const struct opt_list *mounts, const struct opt_list *volumes,
		 const struct opt_list *tmpfs, const struct coffer_mount **out, size_t *n,
		 struct coffer_error *err)
{
	const struct {
		const struct opt_list *list;
		const char *option;
		int (*parse)(struct mount_text *t, struct coffer_error *err);
	} forms[] = { { mounts, "--mount", mount_parse },
		      { volumes, "--volume", volume_parse },
		      { tmpfs, "--tmpfs", tmpfs_parse } };
	size_t total = mounts->n + volumes->n + tmpfs->n;
	struct coffer_mount *v = words_keep(w, calloc(total + 1, sizeof(*v)), err);
	int r = v ? 0 : -ENOMEM;

	*out = v;
	*n = 0;
	for (size_t f = 0; f < ARRAY_SIZE(forms); f++) {
		for (size_t i = 0; r == 0 && i < forms[f].list->n; i++) {
			struct mount_text t = { .text = forms[f].list->v[i],
						.option = forms[f].option,
						.w = w,
						.m = &v[(*n)++] };

			r = forms[f].parse(&t, err);
		}
	}
	return r;
}
