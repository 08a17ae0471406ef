/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest/mkinitrd.c - build tool: mkinitrd OUTPUT INIT MODULES_DIR MODULES_LIST
 *
 * Writes the guest's initramfs: INIT as /init, the modules that MODULES_LIST
 * names (found by name anywhere below MODULES_DIR, with all they depend on) as
 * /modules/NAME.ko, for each key of the list a file /modules/KEY.list with the
 * file names in load order, and the empty directories PID 1 mounts on.
 */
#include <fcntl.h>
#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "guest/cpio.h"
#include "guest/module.h"

#define MKINITRD_MAX	    ((size_t)64 << 20)
#define MKINITRD_FILE_MAX   ((size_t)32 << 20)
#define MKINITRD_LOADED_MAX 64
#define MKINITRD_DEPTH_MAX  16

/* One module that goes into the archive. */
struct mkinitrd_module {
	char *path; /* owned */
	const char *file;
	bool core;     /* loaded by the first key */
	unsigned list; /* number of the last list that has it */
};

struct mkinitrd {
	struct cpio archive;
	char *modules_dir; /* borrowed */
	struct mkinitrd_module modules[MKINITRD_LOADED_MAX];
	size_t count;
	unsigned list; /* number of the present list, from 1 */
	struct buf order;
};

DEFINE_CLEANUP(FTS *, fts_close);

static void mkinitrd_free(struct mkinitrd *m)
{
	for (size_t i = 0; i < m->count; i++)
		free(m->modules[i].path);
	cpio_free(&m->archive);
	buf_free(&m->order);
}

/* Whether @file is @name with ".ko" behind it; "-" and "_" are the same in module names. */
static bool mkinitrd_name_matches(const char *file, const char *name)
{
	for (; *name; file++, name++) {
		if ((*file == '-' ? '_' : *file) != (*name == '-' ? '_' : *name))
			return false;
	}
	return !strcmp(file, ".ko");
}

/* A search that always goes the same way, should a name be there twice. */
static int mkinitrd_compare(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Return: index of the module @name, found on disk if need be, or negative errno */
static int mkinitrd_find(struct mkinitrd *m, const char *name, struct coffer_error *err)
{
	char *const roots[] = { m->modules_dir, NULL };
	CLEANUP(fts_closep) FTS *fts = NULL;
	FTSENT *e;

	for (size_t i = 0; i < m->count; i++) {
		if (mkinitrd_name_matches(m->modules[i].file, name))
			return (int)i;
	}
	if (m->count == MKINITRD_LOADED_MAX)
		return err_unsupported(err, "more than %d modules", MKINITRD_LOADED_MAX);

	fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, mkinitrd_compare);
	if (!fts)
		return err_sys(err, "read %s", m->modules_dir);
	while ((e = fts_read(fts))) {
		struct mkinitrd_module *mod = &m->modules[m->count];

		if (e->fts_info != FTS_F || !mkinitrd_name_matches(e->fts_name, name))
			continue;
		mod->path = strdup(e->fts_path);
		if (!mod->path)
			return err_nomem(err);
		mod->file = strrchr(mod->path, '/') + 1;
		return (int)m->count++;
	}
	return err_set(err, COFFER_ERR_NOT_FOUND, 0, "no module %s below %s", name, m->modules_dir);
}

static int mkinitrd_load(struct mkinitrd *m, const char *name, unsigned depth,
			 struct coffer_error *err);

/* Each name of a list that @separators part. */
static int mkinitrd_load_each(struct mkinitrd *m, char *names, const char *separators,
			      unsigned depth, struct coffer_error *err)
{
	char *save = NULL;

	for (char *n = strtok_r(names, separators, &save); n;
	     n = strtok_r(NULL, separators, &save)) {
		int r = mkinitrd_load(m, n, depth, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int mkinitrd_add_module(struct mkinitrd *m, const struct mkinitrd_module *mod,
			       const char *ko, size_t len, struct coffer_error *err)
{
	autofree uint8_t *slim = NULL;
	size_t slim_len;
	char path[256];
	int r;

	r = module_slim((const uint8_t *)ko, len, &slim, &slim_len, err);
	if (r < 0)
		return err_wrap(err, "%s", mod->path);
	snprintf(path, sizeof(path), "modules/%s", mod->file);
	return cpio_add(&m->archive, path, S_IFREG | 0644, slim, slim_len, err);
}

/* Put @name into the present list after what it depends on, and into the archive once. */
static int mkinitrd_load(struct mkinitrd *m, const char *name, unsigned depth,
			 struct coffer_error *err)
{
	autofree char *ko = NULL, *depends = NULL;
	struct mkinitrd_module *mod;
	size_t len = 0;
	bool is_new;
	int r;

	if (depth > MKINITRD_DEPTH_MAX)
		return err_invalid(err, "modules depend on each other in a circle at %s", name);
	r = mkinitrd_find(m, name, err);
	if (r < 0)
		return r;
	mod = &m->modules[r];
	if (mod->core || mod->list == m->list)
		return 0;
	is_new = mod->list == 0;
	mod->list = m->list;
	mod->core = m->list == 1;

	r = io_read_file(AT_FDCWD, mod->path, MKINITRD_FILE_MAX, &ko, &len, err);
	if (r < 0)
		return r;
	r = module_depends((const uint8_t *)ko, len, &depends, err);
	if (r < 0)
		return err_wrap(err, "%s", mod->path);
	r = mkinitrd_load_each(m, depends, ",", depth + 1, err);
	if (r < 0)
		return err_wrap(err, "module %s", name);
	r = buf_printf(&m->order, "%s\n", mod->file);
	if (r < 0)
		return err_sysn(err, r, "module %s", name);
	return is_new ? mkinitrd_add_module(m, mod, ko, len, err) : 0;
}

/* One line "key: module ..." of the list; empty lines and comments pass. */
static int mkinitrd_line(struct mkinitrd *m, char *line, struct coffer_error *err)
{
	char *names = strchr(line, ':');
	char path[256];
	int r;

	if (!*line || *line == '#')
		return 0;
	if (!names)
		return err_invalid(err, "no \"key:\" in \"%s\"", line);
	*names++ = '\0';
	m->list++;
	m->order = (struct buf)BUF_INIT(65536);
	r = mkinitrd_load_each(m, names, " ", 0, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "modules/%s.list", line);
	r = cpio_add(&m->archive, path, S_IFREG | 0644, buf_data(&m->order), m->order.len, err);
	buf_free(&m->order);
	return r;
}

static int mkinitrd_modules(struct mkinitrd *m, const char *list, struct coffer_error *err)
{
	autofree char *text = NULL;
	char *save = NULL;
	int r;

	r = io_read_file(AT_FDCWD, list, MKINITRD_FILE_MAX, &text, NULL, err);
	if (r < 0)
		return r;
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		r = mkinitrd_line(m, l, err);
		if (r < 0)
			return err_wrap(err, "%s", list);
	}
	return 0;
}

static int mkinitrd_build(struct mkinitrd *m, const char *init_path, const char *list,
			  struct coffer_error *err)
{
	static const char *const dirs[] = { "dev", "modules", "proc", "run", "sys", "tmp" };
	autofree char *init = NULL;
	size_t len;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(dirs); i++)
		r = cpio_add(&m->archive, dirs[i], S_IFDIR | 0755, NULL, 0, err);
	if (r == 0)
		r = io_read_file(AT_FDCWD, init_path, MKINITRD_FILE_MAX, &init, &len, err);
	if (r == 0)
		r = cpio_add(&m->archive, "init", S_IFREG | 0755, init, len, err);
	if (r == 0)
		r = mkinitrd_modules(m, list, err);
	if (r == 0)
		r = cpio_finish(&m->archive, err);
	return r;
}

int main(int argc, char **argv)
{
	CLEANUP(mkinitrd_free) struct mkinitrd m = { .archive = CPIO_INIT(MKINITRD_MAX) };
	struct coffer_error err = COFFER_ERROR_INIT;

	if (argc != 5) {
		fprintf(stderr, "usage: mkinitrd OUTPUT INIT MODULES_DIR MODULES_LIST\n");
		return 2;
	}
	m.modules_dir = argv[3];
	if (mkinitrd_build(&m, argv[2], argv[4], &err) < 0 ||
	    io_replace_file(AT_FDCWD, argv[1], buf_data(&m.archive.out), m.archive.out.len, 0644,
			    &err) < 0) {
		fprintf(stderr, "mkinitrd: %s\n", err.message);
		return 1;
	}
	return 0;
}
