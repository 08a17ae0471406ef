/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec/mount_options.h - the words of an OCI mount to what the kernel takes
 */
#ifndef SPEC_MOUNT_OPTIONS_H
#define SPEC_MOUNT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/mount.h>

#include "base/error.h"
#include "spec/spec.h"

#define MOUNT_DATA_MAX 4096 /* a page with its NUL, mount(2)'s own limit */

enum mount_idmap {
	MOUNT_IDMAP_NONE,
	MOUNT_IDMAP_ONE,  /* the mount itself */
	MOUNT_IDMAP_TREE, /* and all mounts below it */
};

struct mount_options {
	unsigned long flags;       /* MS_*, MS_BIND and MS_REC included */
	unsigned long cleared;     /* MS_* that a word asked to be off */
	unsigned long propagation; /* MS_SHARED ... with or without MS_REC, 0: leave */
	struct mount_attr all;     /* for the whole tree: rro, rnosuid ... */
	enum mount_idmap idmap;
	bool copy_up;              /* a tmpfs starts with what the directory below holds */
	char *data;                /* words we don't know, for the file system; owned, NULL: none */
};

/**
 * mount_options_parse() - Sort the words of a mount
 * @words:	Such as { "nosuid", "ro", "size=64k" }
 * @out:	Filled; mount_options_free() it also after a failure
 *
 * A later word wins over an earlier one that it contradicts.
 *
 * Return: 0 or negative errno
 */
int mount_options_parse(const struct oci_strv *words, struct mount_options *out,
			struct coffer_error *err);
void mount_options_free(struct mount_options *o);

/* mount_options_attr() - The per-mount part of the flags, for mount_setattr(2) on a bind */
struct mount_attr mount_options_attr(const struct mount_options *o);

/* mount_options_word() - Every word that is ours, in alphabetical order; NULL after the last */
const char *mount_options_word(size_t i);

/* mount_propagation_parse() - "rslave" to MS_SLAVE | MS_REC. Return: 0 or -EINVAL */
int mount_propagation_parse(const char *word, unsigned long *flags);

#endif /* SPEC_MOUNT_OPTIONS_H */
