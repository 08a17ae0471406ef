/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/ext4_source.c - reading what the tree walker found
 *
 * The tree may change under our hands, or be made to: nothing that is not a
 * regular file is ever opened, and what was opened is checked to be what was
 * seen.  Extended attributes are read by the name in the parent's descriptor
 * through /proc/self/fd, the only way that works for every type of file
 * without following or opening it.
 *
 * Callers: ext4_measure.c, ext4_dir.c.
 */
#include "image/ext4_source.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/cleanup.h"

#define EXT4_SOURCE_XATTRS_MAX 64
#define EXT4_SOURCE_PATH_MAX   (sizeof("/proc/self/fd/") + 16 + EXT4_NAME_MAX)

/* Attributes that ext4 can hold; others (of other file systems) are left behind. */
static const char *const ext4_source_prefixes[] = {
	"user.", "security.", "trusted.", "system.posix_acl_access", "system.posix_acl_default",
};

/* In between it may have become anything, so opening must not block. */
int ext4_source_open(const struct tree_entry *e, int *fd, struct coffer_error *err)
{
	autoclose int f = -1;
	struct stat st;

	f = openat(e->parent, e->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (f < 0)
		return err_sys(err, "open");
	if (fstat(f, &st) < 0)
		return err_sys(err, "stat");
	if (!S_ISREG(st.st_mode) || st.st_ino != e->st.stx_ino)
		return err_set(err, COFFER_ERR_INVALID_STATE, ESTALE, "changed while it was read");
	*fd = steal_fd(&f);
	return 0;
}

int ext4_source_segment(int fd, uint64_t size, bool sparse, uint64_t *off, uint64_t *len,
			struct coffer_error *err)
{
	off_t from = (off_t)*off, to = (off_t)size;

	if (*off >= size)
		return 0;
	if (sparse) {
		/* cppcheck-suppress invalidFunctionArg ; it knows POSIX's three only */
		from = lseek(fd, from, SEEK_DATA);
		if (from < 0 && errno == ENXIO)
			return 0;
		if (from < 0)
			return err_sys(err, "find data");
		/* cppcheck-suppress invalidFunctionArg */
		to = lseek(fd, from, SEEK_HOLE);
		if (to < 0)
			return err_sys(err, "find hole");
	}
	/* Whole blocks, but no byte beyond the size that was seen first. */
	*off = (uint64_t)from & ~(uint64_t)(EXT4_BLOCK - 1);
	if (*off >= size)
		return 0;
	to = (off_t)(((uint64_t)to + EXT4_BLOCK - 1) & ~(uint64_t)(EXT4_BLOCK - 1));
	*len = ((uint64_t)to < size ? (uint64_t)to : size) - *off;
	return 1;
}

static void ext4_source_xattr_path(const struct tree_entry *e, char *path, size_t room)
{
	snprintf(path, room, "/proc/self/fd/%d/%s", e->parent, e->name);
}

int ext4_source_has_xattrs(const struct tree_entry *e, struct coffer_error *err)
{
	char path[EXT4_SOURCE_PATH_MAX];
	ssize_t n;

	ext4_source_xattr_path(e, path, sizeof(path));
	n = llistxattr(path, NULL, 0);
	if (n < 0 && errno == ENOENT && access("/proc/self/fd", F_OK) < 0)
		return err_unsupported(err, "/proc is not mounted");
	return n > 0;
}

void ext4_source_xattrs_free(struct ext4_xattrs *x)
{
	for (size_t i = 0; i < x->count; i++) {
		free((void *)(uintptr_t)x->list[i].name);
		free((void *)(uintptr_t)x->list[i].value);
	}
	free((void *)(uintptr_t)x->list);
	*x = (struct ext4_xattrs){ 0 };
}

static bool ext4_source_wants_xattr(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(ext4_source_prefixes); i++) {
		if (!strncmp(name, ext4_source_prefixes[i], strlen(ext4_source_prefixes[i])))
			return true;
	}
	return false;
}

static int ext4_source_read_xattr(const char *path, const char *name, struct ext4_xattr *x,
				  struct coffer_error *err)
{
	autofree char *copy = strdup(name), *value = malloc(EXT4_XATTR_MAX);
	void *fit;
	ssize_t n;

	if (!copy || !value)
		return err_nomem(err);
	n = lgetxattr(path, name, value, EXT4_XATTR_MAX);
	if (n < 0)
		return err_sys(err, "read extended attribute %s", name);
	fit = realloc(value, (size_t)n + 1);
	if (!fit)
		return err_nomem(err);
	steal_ptr(value);
	*x = (struct ext4_xattr){ .name = steal_ptr(copy), .value = fit, .len = (size_t)n };
	return 0;
}

static int ext4_source_read_listed(const char *path, const char *names, size_t len,
				   struct ext4_xattrs *out, struct coffer_error *err)
{
	struct ext4_xattr *list = calloc(EXT4_SOURCE_XATTRS_MAX, sizeof(*list));

	if (!list)
		return err_nomem(err);
	out->list = list;
	for (const char *n = names; n < names + len; n += strlen(n) + 1) {
		int r;

		if (!ext4_source_wants_xattr(n))
			continue;
		if (out->count == EXT4_SOURCE_XATTRS_MAX)
			return err_unsupported(err, "more than %d extended attributes",
					       EXT4_SOURCE_XATTRS_MAX);
		r = ext4_source_read_xattr(path, n, &list[out->count], err);
		if (r < 0)
			return r;
		out->count++;
	}
	return 0;
}

int ext4_source_xattrs(const struct tree_entry *e, struct ext4_xattrs *out,
		       struct coffer_error *err)
{
	char path[EXT4_SOURCE_PATH_MAX];
	autofree char *names = NULL;
	ssize_t n;
	int r;

	*out = (struct ext4_xattrs){ 0 };
	ext4_source_xattr_path(e, path, sizeof(path));
	n = llistxattr(path, NULL, 0);
	if (n == 0 || (n < 0 && errno == EOPNOTSUPP))
		return 0;
	names = calloc(1, EXT4_XATTR_MAX + 1);
	if (!names)
		return err_nomem(err);
	n = llistxattr(path, names, EXT4_XATTR_MAX);
	if (n < 0)
		return err_sys(err, "list extended attributes");
	r = ext4_source_read_listed(path, names, (size_t)n, out, err);
	if (r < 0)
		ext4_source_xattrs_free(out);
	return r;
}
