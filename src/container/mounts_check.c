/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/mounts_check.c - mounts in a configuration, judged without touching files
 *
 * Options are the words of mount(8).  Those of a mount (noexec, rslave) go to
 * any kind, those of a file system only to a kind that makes one, and there
 * only the ones known here: what else a file system might understand is not
 * for a container to find out.
 */
#include "container/mounts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "container/volume.h"
#include "spec/mount_options.h"

#define MOUNTS_TARGET_MAX 4095
/* Nothing that a user may ask of a mount. */
#define MOUNTS_FLAGS_OURS ((unsigned long)(MS_BIND | MS_REC | MS_REMOUNT))
/* Of a file system, not of a mount of it: a bind would drop them in silence. */
#define MOUNTS_FLAGS_FS                                                                            \
	((unsigned long)(MS_SYNCHRONOUS | MS_DIRSYNC | MS_MANDLOCK | MS_SILENT | MS_I_VERSION |    \
			 MS_LAZYTIME))

#define MOUNTS_BIT(kind) (1u << (kind))
#define MOUNTS_TMPFS	 MOUNTS_BIT(COFFER_MOUNT_TMPFS)
#define MOUNTS_DISKS	 (MOUNTS_BIT(COFFER_MOUNT_DISK) | MOUNTS_BIT(COFFER_MOUNT_NBD))

/* Words of file systems. One that ends in "=" has a value. */
static const struct {
	const char *word;
	unsigned kinds;
} mounts_words[] = {
	{ "size=", MOUNTS_TMPFS },	{ "mode=", MOUNTS_TMPFS },
	{ "uid=", MOUNTS_TMPFS },	{ "gid=", MOUNTS_TMPFS },
	{ "nr_blocks=", MOUNTS_TMPFS }, { "nr_inodes=", MOUNTS_TMPFS },
	{ "huge=", MOUNTS_TMPFS },	{ "data=", MOUNTS_DISKS },
	{ "commit=", MOUNTS_DISKS },	{ "errors=", MOUNTS_DISKS },
	{ "discard", MOUNTS_DISKS },	{ "nodiscard", MOUNTS_DISKS },
	{ "noload", MOUNTS_DISKS },	{ "norecovery", MOUNTS_DISKS },
	{ "acl", MOUNTS_DISKS },	{ "noacl", MOUNTS_DISKS },
	{ "user_xattr", MOUNTS_DISKS }, { "nouser_xattr", MOUNTS_DISKS },
};

static bool mounts_value_is_plain(const char *value)
{
	for (const char *p = value; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_-%:", *p))
			return false;
	return *value;
}

static bool mounts_word_is_known(const char *word, unsigned kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(mounts_words); i++) {
		const char *known = mounts_words[i].word;
		size_t n = strlen(known);
		bool valued = known[n - 1] == '=';

		if (!(mounts_words[i].kinds & MOUNTS_BIT(kind)))
			continue;
		if (valued ? strncmp(word, known, n) == 0 && mounts_value_is_plain(word + n)
			   : strcmp(word, known) == 0)
			return true;
	}
	return false;
}

static int mounts_check_word(const struct coffer_mount *m, const char *word,
			     struct coffer_error *err)
{
	char *copy = (char *)word;
	const struct oci_strv one = { .v = &copy, .n = 1 };
	struct mount_options o;
	bool disk = MOUNTS_BIT(m->kind) & MOUNTS_DISKS;
	unsigned long flags;
	bool good;
	int r = mount_options_parse(&one, &o, err);

	flags = o.flags | o.cleared;
	good = r == 0 && *word && !(flags & MOUNTS_FLAGS_OURS) && o.idmap == MOUNT_IDMAP_NONE;
	if (o.data)
		good = good && mounts_word_is_known(word, m->kind);
	if (flags & MOUNTS_FLAGS_FS)
		good = good && disk;
	if (o.copy_up)
		good = good && m->kind == COFFER_MOUNT_TMPFS;
	mount_options_free(&o);
	if (r == -ENOMEM)
		return r;
	return good ? 0 : err_invalid(err, "options: %s: not for this kind of mount", word);
}

static bool mounts_has_option(const struct coffer_mount *m, const char *prefix)
{
	for (const char *const *o = m->options; o && *o; o++)
		if (strncmp(*o, prefix, strlen(prefix)) == 0)
			return true;
	return false;
}

static int mounts_check_options(const struct coffer_mount *m, struct coffer_error *err)
{
	size_t n = 0;
	int r = 0;

	for (const char *const *o = m->options; o && *o && r == 0; o++) {
		r = mounts_check_word(m, *o, err);
		if (r == 0 && m->read_only && (strcmp(*o, "rw") == 0 || strcmp(*o, "rrw") == 0))
			r = err_invalid(err, "options: %s, but it is read_only", *o);
		if (++n > MOUNTS_OPTIONS_MAX)
			r = err_invalid(err, "options: more than %d", MOUNTS_OPTIONS_MAX);
	}
	if (r == 0 && m->size && mounts_has_option(m, "size="))
		r = err_invalid(err, "size: given as an option as well");
	return r;
}

static int mounts_check_path(const char *source, struct coffer_error *err)
{
	return *source == '/' ? 0 : err_invalid(err, "source %s: not an absolute path", source);
}

static int mounts_check_url(const char *source, struct coffer_error *err)
{
	struct nbd_address address;

	return nbd_parse(source, &address, err) < 0 ? err_wrap(err, "source") : 0;
}

static const struct {
	const char *name;
	int (*check_source)(const char *source, struct coffer_error *err); /* NULL: it has none */
} mounts_kinds[] = {
	[COFFER_MOUNT_SHARE] = { "share", mounts_check_path },
	[COFFER_MOUNT_TMPFS] = { "tmpfs", NULL },
	[COFFER_MOUNT_VOLUME] = { "volume", volume_check_name },
	[COFFER_MOUNT_DISK] = { "disk", mounts_check_path },
	[COFFER_MOUNT_NBD] = { "nbd", mounts_check_url },
};
_Static_assert(ARRAY_SIZE(mounts_kinds) == COFFER_MOUNT_KIND_COUNT, "a row a kind");

static int mounts_check_source(const struct coffer_mount *m, struct coffer_error *err)
{
	if (!mounts_kinds[m->kind].check_source)
		return m->source ? err_invalid(err, "source %s: a %s has none", m->source,
					       mounts_kinds[m->kind].name)
				 : 0;
	if (!m->source || !*m->source)
		return err_invalid(err, "source: a %s needs one", mounts_kinds[m->kind].name);
	return mounts_kinds[m->kind].check_source(m->source, err);
}

static int mounts_check_one(const struct coffer_mount *m, struct coffer_error *err)
{
	int r;

	if ((unsigned)m->kind >= COFFER_MOUNT_KIND_COUNT)
		return err_invalid(err, "kind %d: unknown", m->kind);
	r = mounts_check_source(m, err);
	if (r == 0 && m->size && m->kind != COFFER_MOUNT_TMPFS)
		r = err_invalid(err, "size: only a tmpfs has one");
	return r < 0 ? r : mounts_check_options(m, err);
}

static int mounts_target_fail(const char *target, const char *why, struct coffer_error *err)
{
	return err_invalid(err, "target %s: %s", target, why);
}

char *mounts_target(const char *target, struct coffer_error *err)
{
	size_t n = 0;
	char *out;

	if (!target || *target != '/' || strlen(target) > MOUNTS_TARGET_MAX) {
		mounts_target_fail(target ? target : "", "not an absolute path", err);
		return NULL;
	}
	out = malloc(strlen(target) + 1);
	if (!out) {
		err_nomem(err);
		return NULL;
	}
	for (const char *p = target; *p;) {
		size_t len = strcspn(p += strspn(p, "/"), "/");

		if (len == 2 && strncmp(p, "..", 2) == 0) {
			mounts_target_fail(target, "\"..\" in it", err);
			free(out);
			return NULL;
		}
		if (len > 0 && !(len == 1 && *p == '.')) {
			out[n++] = '/';
			memcpy(out + n, p, len);
			n += len;
		}
		p += len;
	}
	out[n] = '\0';
	if (n > 0)
		return out;
	mounts_target_fail(target, "the root is not for mounting on", err);
	free(out);
	return NULL;
}

int mounts_check(const struct coffer_mount *mounts, size_t n, struct coffer_error *err)
{
	struct mounts plan = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = mounts_check_one(&mounts[i], err);
		if (r < 0)
			err_wrap(err, "mounts[%zu]", i);
	}
	if (r == 0)
		r = mounts_plan(mounts, n, &plan, err);
	mounts_close(&plan);
	return r;
}
