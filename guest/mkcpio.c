/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest/mkcpio.c - build tool: mkcpio DIRECTORY PREFIX ARCHIVE
 *
 * Packs a directory as an initramfs archive whose names begin with PREFIX/:
 * owned by root whoever builds it, and the same bytes every time.  Directories,
 * regular files and symbolic links only.
 */
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "guest/cpio.h"

#define MKCPIO_MAX	((size_t)64 << 20)
#define MKCPIO_FILE_MAX ((size_t)32 << 20)

DEFINE_CLEANUP(FTS *, fts_close);

static int mkcpio_by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int mkcpio_file(struct cpio *c, const FTSENT *e, const char *name, struct coffer_error *err)
{
	autofree char *data = NULL;
	size_t len;
	int r = io_read_file(AT_FDCWD, e->fts_accpath, MKCPIO_FILE_MAX, &data, &len, err);

	return r < 0 ? r : cpio_add(c, name, e->fts_statp->st_mode, data, len, err);
}

static int mkcpio_link(struct cpio *c, const FTSENT *e, const char *name, struct coffer_error *err)
{
	char target[PATH_MAX];
	ssize_t n = readlink(e->fts_accpath, target, sizeof(target));

	if (n < 0)
		return err_sys(err, "read link %s", e->fts_path);
	return cpio_add(c, name, e->fts_statp->st_mode, target, (size_t)n, err);
}

static int mkcpio_entry(struct cpio *c, const FTSENT *e, const char *name, struct coffer_error *err)
{
	switch (e->fts_info) {
	case FTS_D:
		return cpio_add(c, name, e->fts_statp->st_mode, NULL, 0, err);
	case FTS_DP:
		return 0;
	case FTS_F:
		return mkcpio_file(c, e, name, err);
	case FTS_SL:
	case FTS_SLNONE:
		return mkcpio_link(c, e, name, err);
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		return err_sysn(err, e->fts_errno, "read %s", e->fts_path);
	default:
		return err_invalid(err, "%s: neither directory, file nor symbolic link",
				   e->fts_path);
	}
}

static int mkcpio_pack(char *dir, const char *prefix, const char *archive, struct coffer_error *err)
{
	char *const roots[] = { dir, NULL };
	autocpio struct cpio c = CPIO_INIT(MKCPIO_MAX);
	CLEANUP(fts_closep) FTS *fts = fts_open(roots, FTS_PHYSICAL, mkcpio_by_name);
	FTSENT *e;
	int r = 0;

	if (!fts)
		return err_sys(err, "open %s", dir);
	while (r == 0 && (errno = 0, e = fts_read(fts))) {
		autofree char *name = NULL;

		if (asprintf(&name, "%s%s", prefix, e->fts_path + strlen(dir)) < 0) {
			name = NULL;
			return err_nomem(err);
		}
		r = mkcpio_entry(&c, e, name, err);
	}
	if (r == 0 && errno)
		r = err_sys(err, "read %s", dir);
	if (r == 0)
		r = cpio_finish(&c, err);
	if (r == 0)
		r = io_replace_file(AT_FDCWD, archive, buf_data(&c.out), c.out.len, 0644, err);
	return r;
}

int main(int argc, char **argv)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (argc != 4) {
		fprintf(stderr, "usage: mkcpio DIRECTORY PREFIX ARCHIVE\n");
		return 2;
	}
	if (mkcpio_pack(argv[1], argv[2], argv[3], &err) < 0) {
		fprintf(stderr, "mkcpio: %s\n", err.message);
		return 1;
	}
	return 0;
}
