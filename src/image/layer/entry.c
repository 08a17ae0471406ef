/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/entry.c - what libarchive read, checked
 *
 * Names may begin with "./" and have doubled slashes, as archivers write them;
 * nothing else is set right.  A time before or after all that an inode can
 * hold, a device that none can have and an owner that is none are refused.
 *
 * Whiteouts (image-spec 1.0, layer.md): ".wh.NAME" hides NAME,
 * ".wh..wh..opq" all that is in its directory; what else begins with
 * ".wh..wh." is bookkeeping of aufs and left out.  Their kind does not matter.
 *
 * Callers: reader.c.
 */
#include "image/layer/entry.h"

#include <archive.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "archive/xattrs.h"
#include "base/path.h"

#define ENTRY_WHITEOUT	   ".wh."
#define ENTRY_AUFS	   ".wh..wh."
#define ENTRY_OPAQUE	   ".wh..wh..opq"
#define ENTRY_ID_MAX	   0xfffffffe
#define ENTRY_SHOWN	   200
#define ENTRY_NSEC	   1000000000L
#define ENTRY_XATTRS_BYTES ((size_t)64 << 10)

static bool entry_starts(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

/* ---- names ---- */

/* @name without what says nothing. Return: NULL, or why it is refused */
static const char *entry_clean(const char *name, uint32_t max, char out[PATH_MAX])
{
	/* What some builders call the root. */
	if (name[0] == '/' && name[1] != '\0')
		return "its name is absolute";
	return path_clean(name, max, out);
}

/* Whether a component says that all this is aufs' own; *@whiteout: a directory seems to be one. */
static bool entry_is_aufs(const char *path, bool *whiteout)
{
	*whiteout = false;
	for (const char *p = path;; p++) {
		const char *end = strchr(p, '/');

		if (entry_starts(p, ENTRY_AUFS) && (end || strcmp(p, ENTRY_OPAQUE) != 0))
			return true;
		if (!end)
			return false;
		*whiteout |= entry_starts(p, ENTRY_WHITEOUT);
		p = end;
	}
}

/* Return: 1 it is one, 0 it is none, or negative errno. @path: made what is hidden */
static int entry_whiteout(char path[PATH_MAX], struct layer_entry *out, struct coffer_error *err)
{
	char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *rest;

	if (!entry_starts(base, ENTRY_WHITEOUT))
		return 0;
	if (strcmp(base, ENTRY_OPAQUE) == 0) {
		out->kind = LAYER_OPAQUE;
		*(slash ? slash : path) = '\0';
		return 1;
	}
	rest = base + strlen(ENTRY_WHITEOUT);
	if (!*rest || !strcmp(rest, ".") || !strcmp(rest, ".."))
		return err_invalid(err, "it hides nothing that could be there");
	memmove(base, rest, strlen(rest) + 1);
	out->kind = LAYER_WHITEOUT;
	return 1;
}

/* ---- numbers ---- */

static int entry_owner(struct archive_entry *a, struct layer_entry *out, struct coffer_error *err)
{
	int64_t uid = archive_entry_uid(a), gid = archive_entry_gid(a);

	if (uid < 0 || uid > ENTRY_ID_MAX || gid < 0 || gid > ENTRY_ID_MAX)
		return err_invalid(err, "owner %lld:%lld is out of range", (long long)uid,
				   (long long)gid);
	out->uid = (uint32_t)uid;
	out->gid = (uint32_t)gid;
	return 0;
}

static int entry_time(struct archive_entry *a, struct layer_entry *out, struct coffer_error *err)
{
	int64_t sec = archive_entry_mtime(a);
	long nsec = archive_entry_mtime_nsec(a);

	if (!archive_entry_mtime_is_set(a))
		return 0;
	if (nsec < 0 || nsec >= ENTRY_NSEC)
		nsec = 0;
	/* Of "-1.25" libarchive makes -1 and 0.25, where time counts on from -2 by 0.75. */
	if (sec < 0 && nsec > 0) {
		sec -= sec > INT64_MIN;
		nsec = ENTRY_NSEC - nsec;
	}
	if (sec < LAYER_TIME_MIN || sec > LAYER_TIME_MAX)
		return err_invalid(err, "time %lld is out of range", (long long)sec);
	out->mtime = (struct timespec){ .tv_sec = sec, .tv_nsec = nsec };
	return 0;
}

static int entry_device(struct archive_entry *a, struct layer_entry *out, struct coffer_error *err)
{
	uint64_t ma = archive_entry_rdevmajor(a), mi = archive_entry_rdevminor(a);

	if (ma > LAYER_MAJOR_MAX || mi > LAYER_MINOR_MAX)
		return err_invalid(err, "device %llu:%llu is out of range", (unsigned long long)ma,
				   (unsigned long long)mi);
	out->rdev = makedev((unsigned)ma, (unsigned)mi);
	return 0;
}

static int entry_size(struct archive_entry *a, struct layer_entry *out, struct coffer_error *err)
{
	int64_t size = archive_entry_size(a);

	if (size < 0)
		return err_invalid(err, "size %lld is out of range", (long long)size);
	out->size = (uint64_t)size;
	return 0;
}

/* ---- attributes ---- */

static bool entry_has_xattr(const struct layer_entry *e, const char *name)
{
	for (size_t i = 0; i < e->xattrs.count; i++)
		if (strcmp(e->xattrs.list[i].name, name) == 0)
			return true;
	return false;
}

/* One that is there twice (archivers write them in two forms) comes last first. */
static int entry_xattrs(struct archive_entry *a, struct entry_space *space,
			struct layer_entry *out, struct coffer_error *err)
{
	size_t n, bytes = 0;
	const char *name;
	const void *value;

	out->xattrs.list = space->xattrs;
	archive_entry_xattr_reset(a);
	while (archive_entry_xattr_next(a, &name, &value, &n) == ARCHIVE_OK) {
		if (!name || !xattrs_travels(name) || entry_has_xattr(out, name))
			continue;
		bytes += strlen(name) + n;
		if (out->xattrs.count == LAYER_XATTRS_MAX || bytes > ENTRY_XATTRS_BYTES ||
		    strlen(name) > LAYER_NAME_MAX)
			return err_invalid(err, "too many or too large extended attributes");
		space->xattrs[out->xattrs.count++] =
			(struct ext4_xattr){ .name = name, .value = value, .len = n };
	}
	return 0;
}

/* ---- kinds ---- */

static int entry_symlink(struct archive_entry *a, struct layer_entry *out, struct coffer_error *err)
{
	out->target = archive_entry_symlink(a);
	if (!out->target || !*out->target)
		return err_invalid(err, "a link to nothing");
	if (strlen(out->target) > LAYER_TARGET_MAX)
		return err_invalid(err, "a link to a name that is too long");
	return 0;
}

static int entry_hardlink(const char *target, uint32_t name_max, struct entry_space *space,
			  struct layer_entry *out, struct coffer_error *err)
{
	const char *why = entry_clean(target, name_max, space->target);

	if (!why && !*space->target)
		why = "it is a directory";
	if (why)
		return err_invalid(err, "link to \"%.*s\": %s", ENTRY_SHOWN, target, why);
	out->kind = LAYER_HARDLINK;
	out->target = space->target;
	return 0;
}

typedef int (*entry_reader)(struct archive_entry *a, struct layer_entry *out,
			    struct coffer_error *err);

static const struct entry_kind {
	mode_t type;
	enum layer_kind kind;
	entry_reader more; /* may be NULL */
} entry_kinds[] = {
	{ AE_IFREG, LAYER_FILE, entry_size },	   { AE_IFDIR, LAYER_DIR, NULL },
	{ AE_IFLNK, LAYER_SYMLINK, entry_symlink }, { AE_IFCHR, LAYER_NODE, entry_device },
	{ AE_IFBLK, LAYER_NODE, entry_device },	   { AE_IFIFO, LAYER_NODE, NULL },
};

static int entry_inode(struct archive_entry *a, struct entry_space *space, struct layer_entry *out,
		       struct coffer_error *err)
{
	const struct entry_kind *kind = NULL;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(entry_kinds); i++)
		if (entry_kinds[i].type == archive_entry_filetype(a))
			kind = &entry_kinds[i];
	if (!kind)
		return err_unsupported(err, "neither file, directory, link nor device");
	out->kind = kind->kind;
	out->mode = (archive_entry_mode(a) & 07777) | kind->type;
	r = entry_owner(a, out, err);
	if (r == 0)
		r = entry_time(a, out, err);
	if (r == 0 && kind->more)
		r = kind->more(a, out, err);
	if (r == 0)
		r = entry_xattrs(a, space, out, err);
	return r;
}

int entry_check(struct archive_entry *a, uint32_t name_max, struct entry_space *space,
		struct layer_entry *out, struct coffer_error *err)
{
	const char *name = archive_entry_pathname(a), *target = archive_entry_hardlink(a), *why;
	bool hidden;
	int r;

	*out = (struct layer_entry){ .path = space->path };
	why = name ? entry_clean(name, name_max, space->path) : "it has no name";
	if (why)
		return err_invalid(err, "%s", why);
	if (entry_is_aufs(space->path, &hidden))
		return 0;
	if (hidden)
		return err_invalid(err, "it is in a directory that is a whiteout");
	r = entry_whiteout(space->path, out, err);
	if (r != 0)
		return r;
	r = target ? entry_hardlink(target, name_max, space, out, err)
		   : entry_inode(a, space, out, err);
	if (r < 0)
		return r;
	if (!*space->path && out->kind != LAYER_DIR)
		return err_invalid(err, "it has the root's name and is no directory");
	return 1;
}
