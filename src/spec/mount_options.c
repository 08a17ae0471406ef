/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec/mount_options.c - the words of an OCI mount to what the kernel takes
 *
 * One table holds every word of the specification.  Words that are not in it
 * belong to the file system and are handed on as its data.  Pure: no system
 * call here.
 *
 * Callers: the engine, the agent, container/ (checks) and the application kernel.
 */
#include "spec/mount_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef MS_LAZYTIME
#define MS_LAZYTIME (1 << 25)
#endif

enum word_kind {
	WORD_SET,         /* sets MS_* flags */
	WORD_CLEAR,       /* clears MS_* flags */
	WORD_PROPAGATION, /* sets the propagation */
	WORD_ALL_SET,     /* sets MOUNT_ATTR_* on the whole tree */
	WORD_ALL_CLEAR,   /* clears them there */
	WORD_IDMAP,       /* ids are mapped, here or in the whole tree */
	WORD_COPY_UP,
};

/* A clock mode replaces the other two, so it clears the field first. */
#define MS_ATIME_MODES ((unsigned long)(MS_NOATIME | MS_RELATIME | MS_STRICTATIME))

static const struct {
	const char *word;
	enum word_kind kind;
	unsigned long value;
} words_table[] = {
	{ "async", WORD_CLEAR, MS_SYNCHRONOUS },
	{ "atime", WORD_CLEAR, MS_NOATIME },
	{ "bind", WORD_SET, MS_BIND },
	{ "defaults", WORD_SET, 0 },
	{ "dev", WORD_CLEAR, MS_NODEV },
	{ "diratime", WORD_CLEAR, MS_NODIRATIME },
	{ "dirsync", WORD_SET, MS_DIRSYNC },
	{ "exec", WORD_CLEAR, MS_NOEXEC },
	{ "idmap", WORD_IDMAP, MOUNT_IDMAP_ONE },
	{ "iversion", WORD_SET, MS_I_VERSION },
	{ "lazytime", WORD_SET, MS_LAZYTIME },
	{ "loud", WORD_CLEAR, MS_SILENT },
	{ "mand", WORD_SET, MS_MANDLOCK },
	{ "noatime", WORD_SET, MS_NOATIME },
	{ "nodev", WORD_SET, MS_NODEV },
	{ "nodiratime", WORD_SET, MS_NODIRATIME },
	{ "noexec", WORD_SET, MS_NOEXEC },
	{ "noiversion", WORD_CLEAR, MS_I_VERSION },
	{ "nolazytime", WORD_CLEAR, MS_LAZYTIME },
	{ "nomand", WORD_CLEAR, MS_MANDLOCK },
	{ "norelatime", WORD_CLEAR, MS_RELATIME },
	{ "nostrictatime", WORD_CLEAR, MS_STRICTATIME },
	{ "nosuid", WORD_SET, MS_NOSUID },
	{ "nosymfollow", WORD_SET, MS_NOSYMFOLLOW },
	{ "private", WORD_PROPAGATION, MS_PRIVATE },
	{ "ratime", WORD_ALL_CLEAR, MOUNT_ATTR__ATIME },
	{ "rbind", WORD_SET, MS_BIND | MS_REC },
	{ "rdev", WORD_ALL_CLEAR, MOUNT_ATTR_NODEV },
	{ "rdiratime", WORD_ALL_CLEAR, MOUNT_ATTR_NODIRATIME },
	{ "relatime", WORD_SET, MS_RELATIME },
	{ "remount", WORD_SET, MS_REMOUNT },
	{ "rexec", WORD_ALL_CLEAR, MOUNT_ATTR_NOEXEC },
	{ "ridmap", WORD_IDMAP, MOUNT_IDMAP_TREE },
	{ "rnoatime", WORD_ALL_SET, MOUNT_ATTR_NOATIME },
	{ "rnodev", WORD_ALL_SET, MOUNT_ATTR_NODEV },
	{ "rnodiratime", WORD_ALL_SET, MOUNT_ATTR_NODIRATIME },
	{ "rnoexec", WORD_ALL_SET, MOUNT_ATTR_NOEXEC },
	{ "rnorelatime", WORD_ALL_CLEAR, 0 },
	{ "rnostrictatime", WORD_ALL_CLEAR, MOUNT_ATTR__ATIME },
	{ "rnosuid", WORD_ALL_SET, MOUNT_ATTR_NOSUID },
	{ "rnosymfollow", WORD_ALL_SET, MOUNT_ATTR_NOSYMFOLLOW },
	{ "ro", WORD_SET, MS_RDONLY },
	{ "rprivate", WORD_PROPAGATION, MS_PRIVATE | MS_REC },
	{ "rrelatime", WORD_ALL_CLEAR, MOUNT_ATTR__ATIME },
	{ "rro", WORD_ALL_SET, MOUNT_ATTR_RDONLY },
	{ "rrw", WORD_ALL_CLEAR, MOUNT_ATTR_RDONLY },
	{ "rshared", WORD_PROPAGATION, MS_SHARED | MS_REC },
	{ "rslave", WORD_PROPAGATION, MS_SLAVE | MS_REC },
	{ "rstrictatime", WORD_ALL_SET, MOUNT_ATTR_STRICTATIME },
	{ "rsuid", WORD_ALL_CLEAR, MOUNT_ATTR_NOSUID },
	{ "rsymfollow", WORD_ALL_CLEAR, MOUNT_ATTR_NOSYMFOLLOW },
	{ "runbindable", WORD_PROPAGATION, MS_UNBINDABLE | MS_REC },
	{ "rw", WORD_CLEAR, MS_RDONLY },
	{ "shared", WORD_PROPAGATION, MS_SHARED },
	{ "silent", WORD_SET, MS_SILENT },
	{ "slave", WORD_PROPAGATION, MS_SLAVE },
	{ "strictatime", WORD_SET, MS_STRICTATIME },
	{ "suid", WORD_CLEAR, MS_NOSUID },
	{ "symfollow", WORD_CLEAR, MS_NOSYMFOLLOW },
	{ "sync", WORD_SET, MS_SYNCHRONOUS },
	{ "tmpcopyup", WORD_COPY_UP, 0 },
	{ "unbindable", WORD_PROPAGATION, MS_UNBINDABLE },
};

/* The flags that belong to one mount and not to the file system below it. */
static const struct {
	unsigned long flag;
	uint64_t attr;
} attrs_table[] = {
	{ MS_RDONLY, MOUNT_ATTR_RDONLY },
	{ MS_NOSUID, MOUNT_ATTR_NOSUID },
	{ MS_NODEV, MOUNT_ATTR_NODEV },
	{ MS_NOEXEC, MOUNT_ATTR_NOEXEC },
	{ MS_NODIRATIME, MOUNT_ATTR_NODIRATIME },
	{ MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW },
};

const char *mount_options_word(size_t i)
{
	return i < ARRAY_SIZE(words_table) ? words_table[i].word : NULL;
}

static int mount_options_find(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(words_table); i++)
		if (strcmp(words_table[i].word, word) == 0)
			return (int)i;
	return -1;
}

static void mount_options_all(struct mount_attr *all, enum word_kind kind, uint64_t bits)
{
	uint64_t field = bits & MOUNT_ATTR__ATIME ? bits | MOUNT_ATTR__ATIME : bits;

	all->attr_clr |= field;
	all->attr_set &= ~field;
	if (kind == WORD_ALL_SET) {
		all->attr_set |= bits;
		/* Only a field of several bits has to be cleared before it is set. */
		all->attr_clr &= ~(bits & ~(uint64_t)MOUNT_ATTR__ATIME);
	}
}

static void mount_options_apply(struct mount_options *o, int row)
{
	unsigned long value = words_table[row].value;

	switch (words_table[row].kind) {
	case WORD_SET:
		if (value & MS_ATIME_MODES)
			o->flags &= ~MS_ATIME_MODES;
		o->flags |= value;
		o->cleared &= ~value;
		return;
	case WORD_CLEAR:
		o->flags &= ~value;
		o->cleared |= value;
		return;
	case WORD_PROPAGATION:
		o->propagation = value;
		return;
	case WORD_ALL_SET:
	case WORD_ALL_CLEAR:
		mount_options_all(&o->all, words_table[row].kind, value);
		return;
	case WORD_IDMAP:
		o->idmap = (enum mount_idmap)value;
		return;
	case WORD_COPY_UP:
		o->copy_up = true;
		return;
	}
}

int mount_options_parse(const struct oci_strv *words, struct mount_options *out,
			struct coffer_error *err)
{
	autobuf struct buf data = BUF_INIT(MOUNT_DATA_MAX - 1);
	int row, r;

	*out = (struct mount_options){ 0 };
	for (size_t i = 0; i < words->n; i++) {
		if (!words->v[i][0])
			continue;
		row = mount_options_find(words->v[i]);
		if (row >= 0) {
			mount_options_apply(out, row);
			continue;
		}
		/* crun's own; a bind would drop it in silence. */
		if (strncmp(words->v[i], "idmap=", 6) == 0 ||
		    strncmp(words->v[i], "ridmap=", 7) == 0)
			return err_unsupported(err,
					       "mount option \"%s\" is not supported, the mount's "
					       "uidMappings and gidMappings are",
					       words->v[i]);
		r = buf_append(&data, ",", data.len ? 1 : 0);
		if (r == 0)
			r = buf_append(&data, words->v[i], strlen(words->v[i]));
		if (r == -ENOBUFS)
			return err_invalid(err, "mount options are longer than a page");
		if (r < 0)
			return err_nomem(err);
	}
	if (data.len == 0)
		return 0;
	out->data = buf_steal_str(&data);
	return out->data ? 0 : err_nomem(err);
}

void mount_options_free(struct mount_options *o)
{
	free(o->data);
	o->data = NULL;
}

struct mount_attr mount_options_attr(const struct mount_options *o)
{
	struct mount_attr a = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(attrs_table); i++) {
		if (o->flags & attrs_table[i].flag)
			a.attr_set |= attrs_table[i].attr;
		if (o->cleared & attrs_table[i].flag)
			a.attr_clr |= attrs_table[i].attr;
	}
	/* The clock mode is one field: name it whole or leave it alone. */
	if (o->flags & MS_ATIME_MODES || o->cleared & (MS_NOATIME | MS_STRICTATIME))
		a.attr_clr |= MOUNT_ATTR__ATIME;
	if (o->flags & MS_NOATIME)
		a.attr_set |= MOUNT_ATTR_NOATIME;
	if (o->flags & MS_STRICTATIME)
		a.attr_set |= MOUNT_ATTR_STRICTATIME;
	return a;
}

int mount_propagation_parse(const char *word, unsigned long *flags)
{
	int row = mount_options_find(word);

	if (row < 0 || words_table[row].kind != WORD_PROPAGATION)
		return -EINVAL;
	*flags = words_table[row].value;
	return 0;
}
