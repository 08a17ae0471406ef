/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/store/store.c - the store's directories and its lock
 *
 * Directories are the caller's own, mode 0700, and opened once; everything is
 * done below these descriptors and no link is followed, so that nobody can put
 * another directory in their place.  The lock is a flock(2) on an open file of
 * each call's own: it holds between threads as between processes, and ends with
 * the process.
 *
 * Callers: the other files of the store.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/io.h"
#include "base/path.h"
#include "image/store/store_internal.h"

#define STORE_LAYOUT "{\"imageLayoutVersion\":\"1.0.0\"}"

static int store_check_dir(int fd, const char *name, struct coffer_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "stat %s", name);
	if (st.st_uid != geteuid())
		return err_set(err, COFFER_ERR_INVALID_STATE, EPERM, "%s: belongs to user %u", name,
			       (unsigned)st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, COFFER_ERR_INVALID_STATE, EPERM,
			       "%s: others may write there (mode %03o)", name, st.st_mode & 0777);
	return 0;
}

static int store_open_dir(int parent, const char *name, int *out, struct coffer_error *err)
{
	if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "mkdir %s", name);
	*out = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*out < 0)
		return err_sys(err, "open %s", name);
	return store_check_dir(*out, name, err);
}

static int store_open_dirs(struct store *s, struct coffer_error *err)
{
	autoclose int blobs = -1;
	const struct {
		int *parent;
		const char *name;
		int *fd;
	} dirs[] = {
		{ &s->dir, "blobs", &blobs },	  { &blobs, "sha256", &s->sha256 },
		{ &blobs, "sha512", &s->sha512 }, { &s->dir, "parts", &s->parts },
		{ &s->dir, "roots", &s->roots },  { &s->dir, "leases", &s->leases },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(dirs); i++)
		r = store_open_dir(*dirs[i].parent, dirs[i].name, dirs[i].fd, err);
	return r;
}

/* Under the lock: whoever comes first may have named an image before the second looks. */
static int store_begin_files(struct store *s, struct coffer_error *err)
{
	struct index empty = { 0 };
	autoclose int lock = -1;
	int r = 0;

	if (faccessat(s->dir, "index.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	lock = store_lock(s, LOCK_EX, err);
	if (lock < 0)
		return lock;
	if (faccessat(s->dir, "oci-layout", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		r = io_replace_file(s->dir, "oci-layout", STORE_LAYOUT, strlen(STORE_LAYOUT), 0600,
				    err);
	if (r == 0 && faccessat(s->dir, "index.json", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		r = store_index_write(s, &empty, err);
	return r;
}

static int store_open_all(struct store *s, struct coffer_error *err)
{
	int r = path_mkdirs(s->path, 0700, err);

	if (r < 0)
		return r;
	s->dir = open(s->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->dir < 0)
		return err_sys(err, "open");
	r = store_check_dir(s->dir, "directory", err);
	if (r == 0)
		r = store_open_dirs(s, err);
	return r < 0 ? r : store_begin_files(s, err);
}

int store_open(const char *dir, struct store **out, struct coffer_error *err)
{
	struct store *s = malloc(sizeof(*s));
	int r;

	*out = NULL;
	if (!s)
		return err_nomem(err);
	*s = (struct store){
		.dir = -1, .sha256 = -1, .sha512 = -1, .parts = -1, .roots = -1, .leases = -1
	};
	s->path = strdup(dir);
	r = s->path ? store_open_all(s, err) : err_nomem(err);
	if (r < 0) {
		store_close(s);
		return err_wrap(err, "image store %s", dir);
	}
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	int *fds[] = { &s->dir, &s->sha256, &s->sha512, &s->parts, &s->roots, &s->leases };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close_fd(fds[i]);
	free(s->path);
	free(s);
}

int store_lock(struct store *s, int how, struct coffer_error *err)
{
	autoclose int fd = openat(s->dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, "image store %s: open lock", s->path);
	while (flock(fd, how) < 0)
		if (errno != EINTR)
			return err_sys(err, "image store %s: lock", s->path);
	return steal_fd(&fd);
}

int store_blob_dir(const struct store *s, const struct digest *d)
{
	return strcmp(digest_algorithm(d), "sha512") == 0 ? s->sha512 : s->sha256;
}

void store_file_name(const char *prefix, const struct digest *d, const char *suffix,
		     char out[static STORE_FILE_MAX])
{
	snprintf(out, STORE_FILE_MAX, "%s%s-%s%s", prefix, digest_algorithm(d), digest_hex(d),
		 suffix);
}

bool store_file_digest(const char *name, const char *suffix, struct digest *out)
{
	size_t n = strlen(name), tail = strlen(suffix);
	char text[DIGEST_TEXT_MAX];
	char *dash;

	if (n <= tail || n - tail >= sizeof(text) || strcmp(name + n - tail, suffix) != 0)
		return false;
	memcpy(text, name, n - tail);
	text[n - tail] = '\0';
	dash = strchr(text, '-');
	if (!dash)
		return false;
	*dash = ':';
	return digest_parse(text, out, NULL) == 0;
}

int store_random_name(const char *prefix, char out[static STORE_FILE_MAX], struct coffer_error *err)
{
	unsigned char raw[12];
	int n = snprintf(out, STORE_FILE_MAX, "%s", prefix);

	if (getrandom(raw, sizeof(raw), 0) != sizeof(raw))
		return err_sys(err, "getrandom");
	for (size_t i = 0; i < sizeof(raw); i++)
		n += snprintf(out + n, STORE_FILE_MAX - (size_t)n, "%02x", raw[i]);
	return 0;
}

int store_each(int dir, const char *what,
	       int (*fn)(void *data, const char *name, struct coffer_error *err), void *data,
	       struct coffer_error *err)
{
	autoclose int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclosedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d)
		return err_sys(err, "image store: open %s", what);
	steal_fd(&fd);
	for (errno = 0; (e = readdir(d)); errno = 0) {
		int r;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		r = fn(data, e->d_name, err);
		if (r < 0)
			return r;
	}
	return errno ? err_sys(err, "image store: read %s", what) : 0;
}
