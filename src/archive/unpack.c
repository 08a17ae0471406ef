/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive/unpack.c - what a tar archive holds, made below a directory and nowhere else
 *
 *	fd --> libarchive (tar, gzip) --> name checked --> parent opened --> unpack_entry.c
 *
 * libarchive only reads.  An entry's parent is resolved by the kernel beneath
 * the destination (openat2), so neither a link of the archive nor one that was
 * there before leads out; the entry itself is one component in that directory.
 * Consecutive entries of one directory share the descriptor.
 *
 * Directories get their times at the end, when nothing is made in them any
 * more, and only if they are still the same.
 *
 * Nothing is synced.  Runs where it may block: in a worker of the agent, in a
 * thread of the host.
 */
#include "archive/unpack.h"

#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "archive/unpack_entry.h"
#include "base/cleanup.h"
#include "base/path.h"

#define UNPACK_CHUNK	 (1u << 20)
#define UNPACK_DIRS_MAX	 8192 /* whose times are remembered at once */
#define UNPACK_NAME_SHOWN 200
#define UNPACK_ID_MAX	 0xfffffffeu
#define UNPACK_TAIL_MAX	 (1u << 20) /* of padding, in an archive that is not trusted */
#define UNPACK_ENTRIES_MAX (UINT64_C(1) << 22) /* likewise */
/*
 * Likewise: that libarchive may take before an entry or data come of it.  Of a map of a
 * file's holes, which knows no limit, it keeps twelve times as much in memory.
 */
#define UNPACK_FRUITLESS_MAX (8u << 20)

/* A directory whose times are still to be set. */
struct unpack_late {
	char *path; /* owned */
	dev_t dev;
	ino_t ino;
	struct timespec times[2];
	mode_t mode; /* wanted */
	bool chmod;  /* and not there yet */
};

struct unpack {
	const struct unpack_options *o;
	int fd, dest;	  /* borrowed */
	uint8_t *chunk;	  /* owned; UNPACK_CHUNK */
	struct archive *archive; /* owned */
	char name[PATH_MAX];	 /* of the entry under way, clean */
	char parent[PATH_MAX];	 /* whose descriptor is at hand */
	int parent_fd;		 /* owned; -1: none */
	bool parent_setgid;	 /* what is made there gets the directory's group */
	uid_t uid;		 /* ours */
	gid_t gid;
	struct unpack_late *late;
	size_t nlate;
	struct inode_map made; /* with distrust */
	size_t chunk_len;      /* what the last read brought */
	uint64_t fruitless;    /* bytes since something came of them */
	struct unpack_done done;
	int error;     /* errno of a read that failed */
	bool has_root; /* root is known */
	size_t root_len;
	char root[NAME_MAX + 1]; /* with o->root: what all names begin with */
};

static void unpack_free(struct unpack *u)
{
	for (size_t i = 0; i < u->nlate; i++)
		free(u->late[i].path);
	free(u->late);
	close_fd(&u->parent_fd);
	archive_read_free(u->archive);
	inode_map_free(&u->made);
	free(u->chunk);
}

static ssize_t unpack_read(struct archive *a, void *data, const void **block)
{
	struct unpack *u = data;
	ssize_t n;

	do
		n = read(u->fd, u->chunk, UNPACK_CHUNK);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		u->error = errno;
		archive_set_error(a, errno, "read: %s", strerror(errno));
	}
	u->chunk_len = n < 0 ? 0 : (size_t)n;
	u->done.bytes += u->chunk_len;
	u->fruitless += u->chunk_len;
	*block = u->chunk;
	if (u->o->distrust && u->fruitless > UNPACK_FRUITLESS_MAX) {
		archive_set_error(a, EINVAL, "it describes too much and holds too little");
		return ARCHIVE_FATAL;
	}
	return n;
}

/* ---- names ---- */

/* @name without doubled slashes and dots. Return: 0, or why it is refused */
static const char *unpack_clean(const char *name, bool absolute, char out[PATH_MAX])
{
	if (name[0] == '/' && !absolute)
		return "its name is absolute";
	return path_clean(name, PATH_MAX, out);
}

/* What all names have in common is replaced in @name. Return: 0, or why it is refused */
static const char *unpack_reroot(struct unpack *u, char name[PATH_MAX])
{
	size_t have = strcspn(name, "/"), want = strlen(u->o->root);
	const char *rest;
	bool slash;

	if (!u->has_root) {
		memcpy(u->root, name, have);
		u->root[have] = '\0';
		u->root_len = have;
		u->has_root = true;
	}
	/* An archive of "." has nothing in front of its names. */
	if (u->root_len && (have != u->root_len || memcmp(name, u->root, have) != 0))
		return "it is not below the archive's root";
	rest = name + u->root_len;
	rest += *rest == '/';
	if (want + strlen(rest) + 2 > PATH_MAX)
		return "its name is too long";
	slash = want && *rest;
	memmove(name + want + slash, rest, strlen(rest) + 1);
	memcpy(name, u->o->root, want);
	if (slash)
		name[want] = '/';
	return NULL;
}

static const char *unpack_name(struct unpack *u, const char *name, char out[PATH_MAX])
{
	const char *why = unpack_clean(name, u->o->absolute, out);

	return why || !u->o->root ? why : unpack_reroot(u, out);
}

/* ---- parents ---- */

static int unpack_open(struct unpack *u, const char *path)
{
	int flags = O_PATH | O_DIRECTORY;

	if (!*path)
		return fcntl(u->dest, F_DUPFD_CLOEXEC, 0);
	if (u->o->distrust)
		return path_open_plain(u->dest, path, flags, NULL);
	return u->o->rooted ? path_open_in_root(u->dest, path, flags, 0, NULL)
			    : path_open_beneath(u->dest, path, flags, 0, NULL);
}

/* Directories that the archive does not name itself. */
static int unpack_make_parents(struct unpack *u, char *path, struct coffer_error *err)
{
	autoclose int dir = -1;
	char *name = path;

	for (;;) {
		char *end = strchr(name, '/');
		int fd;

		if (end)
			*end = '\0';
		fd = unpack_open(u, path);
		if (fd == -ENOENT && dir >= 0 && mkdirat(dir, name, 0755) == 0)
			fd = unpack_open(u, path);
		if (fd == -ENOENT && dir < 0 && mkdirat(u->dest, name, 0755) == 0)
			fd = unpack_open(u, path);
		if (end)
			*end = '/';
		if (fd < 0)
			return err_sysn(err, fd, "open its directory");
		close_fd(&dir);
		dir = fd;
		if (!end)
			return steal_fd(&dir);
		name = end + 1;
	}
}

/* Cut @path in two. Return: its last component; @parent: the rest */
static const char *unpack_split(const char *path, char parent[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	memcpy(parent, path, n);
	parent[n] = '\0';
	return slash ? slash + 1 : path;
}

/* Have u->parent_fd be the directory @parent, which is made if it is missing. */
static int unpack_enter(struct unpack *u, char parent[PATH_MAX], struct coffer_error *err)
{
	struct stat st;
	int fd;

	if (u->parent_fd >= 0 && strcmp(u->parent, parent) == 0)
		return 0;
	close_fd(&u->parent_fd);
	fd = unpack_open(u, parent);
	if (fd == -ENOENT && *parent)
		fd = unpack_make_parents(u, parent, err);
	else if (fd < 0)
		err_sysn(err, fd, "open its directory");
	if (fd < 0)
		return fd;
	u->parent_fd = fd;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "stat its directory");
	u->parent_setgid = st.st_mode & S_ISGID;
	memcpy(u->parent, parent, strlen(parent) + 1);
	return 0;
}

/* ---- directories' times ---- */

static void unpack_set_late(struct unpack *u, const struct unpack_late *l)
{
	autoclose int fd = unpack_open(u, l->path);
	struct stat st;

	char proc[32];

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev != l->dev || st.st_ino != l->ino)
		return;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (l->chmod)
		chmod(proc, l->mode);
	utimensat(fd, "", l->times, AT_EMPTY_PATH);
}

static void unpack_flush_late(struct unpack *u)
{
	/* From the bottom: a directory's new mode may keep us out of it. */
	while (u->nlate) {
		unpack_set_late(u, &u->late[--u->nlate]);
		free(u->late[u->nlate].path);
	}
}

static int unpack_remember(struct unpack *u, const struct unpack_entry *e, struct coffer_error *err)
{
	struct unpack_late *l;

	/* An archive of more directories at once has the times of some a little wrong. */
	if (u->nlate == UNPACK_DIRS_MAX)
		unpack_flush_late(u);
	if (!u->late)
		u->late = malloc(UNPACK_DIRS_MAX * sizeof(*u->late));
	if (!u->late)
		return err_nomem(err);
	l = &u->late[u->nlate];
	*l = (struct unpack_late){ .path = strdup(u->name),
				   .dev = e->dir_st.st_dev,
				   .ino = e->dir_st.st_ino,
				   .times = { e->times[0], e->times[1] },
				   .mode = e->dir_mode,
				   .chmod = (e->dir_st.st_mode & 07777) != e->dir_mode };
	if (!l->path)
		return err_nomem(err);
	u->nlate++;
	return 0;
}

/* ---- entries ---- */

static int unpack_owner(struct unpack *u, struct archive_entry *entry, struct unpack_entry *e,
			struct coffer_error *err)
{
	int64_t uid = u->o->keep_owners ? archive_entry_uid(entry) : (int64_t)u->uid;
	int64_t gid = u->o->keep_owners ? archive_entry_gid(entry) : (int64_t)u->gid;

	if (uid < 0 || uid > UNPACK_ID_MAX || gid < 0 || gid > UNPACK_ID_MAX)
		return err_invalid(err, "owner %lld:%lld out of range", (long long)uid,
				   (long long)gid);
	e->uid = (uid_t)uid;
	e->gid = (gid_t)gid;
	e->chown = e->uid != u->uid || e->gid != u->gid || u->parent_setgid;
	return 0;
}

/* A hard link's target is a name of the archive like any other. */
static int unpack_link_target(struct unpack *u, struct archive_entry *entry,
			      struct unpack_entry *e, char link[PATH_MAX],
			      struct coffer_error *err)
{
	const char *target = archive_entry_hardlink(entry), *why;
	char dir[PATH_MAX];

	if (!target)
		return 0;
	why = unpack_name(u, target, link);
	if (!why && !*link)
		why = "it is a directory";
	if (why)
		return err_invalid(err, "link to \"%.*s\": %s", UNPACK_NAME_SHOWN, target, why);
	e->link_name = unpack_split(link, dir);
	e->link_dir = unpack_open(u, dir);
	if (e->link_dir < 0)
		return err_sysn(err, e->link_dir, "link to %.*s", UNPACK_NAME_SHOWN, target);
	return 0;
}

static int unpack_make(struct unpack *u, struct archive_entry *entry, struct coffer_error *err)
{
	struct unpack_entry e = {
		.archive = u->archive,
		.entry = entry,
		.link_dir = -1,
		.keep_types = u->o->keep_types,
		.keep_owners = u->o->keep_owners,
		.distrust = u->o->distrust,
		.made = &u->made,
		.fruitless = &u->fruitless,
	};
	char parent[PATH_MAX], link[PATH_MAX];
	int r;

	e.name = unpack_split(u->name, parent);
	r = unpack_enter(u, parent, err);
	if (r == 0)
		r = unpack_owner(u, entry, &e, err);
	if (r == 0)
		r = unpack_link_target(u, entry, &e, link, err);
	e.dir = u->parent_fd;
	if (r == 0)
		r = unpack_entry_make(&e, err);
	close_fd(&e.link_dir);
	if (e.removed)
		close_fd(&u->parent_fd);
	return r == 0 && e.is_dir ? unpack_remember(u, &e, err) : r;
}

static int unpack_one(struct unpack *u, struct archive_entry *entry, struct coffer_error *err)
{
	const char *name = archive_entry_pathname(entry), *why;
	int r = 0;

	if (!name)
		return err_invalid(err, "entry %llu: no name", (unsigned long long)u->done.entries);
	why = unpack_name(u, name, u->name);
	if (why)
		r = err_invalid(err, "%s", why);
	else if (*u->name)
		r = unpack_make(u, entry, err);
	/* The destination itself is there and stays as it is. */
	else if (u->o->root && archive_entry_filetype(entry) != AE_IFDIR)
		r = err_invalid(err, "it should be a directory");
	if (r < 0)
		return err_wrap(err, "entry \"%.*s\"", UNPACK_NAME_SHOWN, name);
	return 0;
}

/* Padding behind the archive: a sender shall not fail because nobody reads it. */
static void unpack_drain(struct unpack *u)
{
	const void *block;

	while (unpack_read(u->archive, u, &block) > 0)
		;
}

static bool unpack_is_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* Whoever is not trusted could go on for ever. */
static int unpack_check_tail(struct unpack *u, struct coffer_error *err)
{
	uint64_t used = (uint64_t)archive_filter_bytes(u->archive, 0);
	uint64_t left = u->done.bytes > used ? u->done.bytes - used : 0, tail = left;
	const void *block;
	ssize_t n = (ssize_t)(left < u->chunk_len ? left : u->chunk_len);

	block = u->chunk + u->chunk_len - n;
	for (;;) {
		if (!unpack_is_zero(block, (size_t)n) || tail > UNPACK_TAIL_MAX)
			return err_invalid(err, "something comes after the archive's end");
		n = unpack_read(u->archive, u, &block);
		if (n <= 0)
			return n < 0 ? err_sys(err, "read") : 0;
		tail += (uint64_t)n;
	}
}

static int unpack_entries(struct unpack *u, struct coffer_error *err)
{
	struct archive_entry *entry;
	int ar, r;

	for (;;) {
		ar = archive_read_next_header(u->archive, &entry);
		u->fruitless = 0;
		if (ar == ARCHIVE_EOF)
			return u->o->distrust ? unpack_check_tail(u, err) : 0;
		/* Warnings are about character sets; the bytes are there. */
		if (ar != ARCHIVE_OK && ar != ARCHIVE_WARN)
			return unpack_entry_damaged(u->archive, err);
		if (u->done.entries++ >= UNPACK_ENTRIES_MAX && u->o->distrust)
			return err_invalid(err, "too many entries");
		r = unpack_one(u, entry, err);
		if (r < 0)
			return r;
	}
}

/*
 * Names are bytes. In a locale with a character set libarchive would bring
 * those of pax archives into a normal form.
 */
static int unpack_run(struct unpack *u, struct coffer_error *err)
{
	locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0), old;
	int r;

	if (!plain)
		return err_nomem(err);
	old = uselocale(plain);
	if (archive_read_open(u->archive, u, NULL, unpack_read, NULL) == ARCHIVE_OK)
		r = unpack_entries(u, err);
	else
		r = unpack_entry_damaged(u->archive, err);
	uselocale(old);
	freelocale(plain);
	return r;
}

int unpack_tree(int fd, int dest, const struct unpack_options *o, struct unpack_done *done,
		struct coffer_error *err)
{
	CLEANUP(unpack_free) struct unpack u = {
		.o = o,
		.fd = fd,
		.dest = dest,
		.parent_fd = -1,
		.uid = geteuid(),
		.gid = getegid(),
		.chunk = malloc(UNPACK_CHUNK),
		.archive = archive_read_new(),
	};
	int r;

	if (!u.chunk || !u.archive ||
	    (o->cpio ? archive_read_support_format_cpio(u.archive)
		     : archive_read_support_format_tar(u.archive)) != ARCHIVE_OK ||
	    archive_read_support_format_empty(u.archive) != ARCHIVE_OK ||
	    (o->gzip && archive_read_support_filter_gzip(u.archive) != ARCHIVE_OK))
		return err_nomem(err);
	r = unpack_run(&u, err);
	/* Also of one that failed: modes are to be as they were wanted. */
	unpack_flush_late(&u);
	if (r < 0)
		return u.error ? err_sysn(err, u.error, "read the archive") : r;
	unpack_drain(&u);
	if (done)
		*done = u.done;
	return 0;
}
