/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a directory of its own, and small images to put there. */
#ifndef TEST_STORE_FIXTURE_H
#define TEST_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/path.h"
#include "image/store/store.h"

#define OK(call)                                                                    \
	do {                                                                        \
		struct coffer_error error_ = COFFER_ERROR_INIT, *e = &error_;      \
		int ok_ = (call);                                                   \
		if (ok_ < 0)                                                        \
			fail_msg("%s: %d: %s", #call, ok_, error_.message);        \
		(void)e;                                                            \
	} while (0)

struct fixture {
	char dir[64];
	struct store *store;
};

/* On memory where that is: what is tested here is not the disk. */
static inline int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/dev/shm/coffer-store-XXXXXX");
	if (!mkdtemp(f->dir)) {
		snprintf(f->dir, sizeof(f->dir), "/tmp/coffer-store-XXXXXX");
		assert_non_null(mkdtemp(f->dir));
	}
	OK(store_open(f->dir, &f->store, e));
	*state = f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	store_close(f->store);
	OK(path_remove_tree(AT_FDCWD, f->dir, e));
	free(f);
	return 0;
}

/* Entries of a directory below the store's. */
static inline int fixture_count(const struct fixture *f, const char *name)
{
	char path[512];
	struct dirent *e;
	DIR *d;
	int n = 0;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

#define MATERIAL_LAYERS 2
#define MATERIAL_LAYER	3000

/* An image that is not in the store yet. */
struct material {
	char layer[MATERIAL_LAYERS][MATERIAL_LAYER];
	char config[1024], manifest[2048];
	struct digest layers[MATERIAL_LAYERS], config_digest, digest, chain;
};

static inline void material_make(struct material *m, unsigned seed)
{
	char diffs[512] = "", layers[1024] = "";

	memset(m, 0, sizeof(*m));
	for (int i = 0; i < MATERIAL_LAYERS; i++) {
		/* The lowest layer is everybody's. */
		memset(m->layer[i], 'a' + i, MATERIAL_LAYER);
		if (i > 0)
			snprintf(m->layer[i], 16, "%u", seed);
		OK(digest_of(m->layer[i], MATERIAL_LAYER, &m->layers[i], e));
		snprintf(diffs + strlen(diffs), sizeof(diffs) - strlen(diffs), "%s\"%s\"",
			 i ? "," : "", m->layers[i].text);
		snprintf(layers + strlen(layers), sizeof(layers) - strlen(layers),
			 "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\","
			 "\"digest\":\"%s\",\"size\":%d}",
			 i ? "," : "", m->layers[i].text, MATERIAL_LAYER);
	}
	snprintf(m->config, sizeof(m->config),
		 "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},"
		 "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}",
		 diffs);
	OK(digest_of(m->config, strlen(m->config), &m->config_digest, e));
	OK(chain_id(m->layers, MATERIAL_LAYERS, &m->chain, e));
	snprintf(m->manifest, sizeof(m->manifest),
		 "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		 "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
		 "\"digest\":\"%s\",\"size\":%zu},\"layers\":[%s]}",
		 m->config_digest.text, strlen(m->config), layers);
	OK(digest_of(m->manifest, strlen(m->manifest), &m->digest, e));
}

static inline struct descriptor material_descriptor(const struct material *m)
{
	struct descriptor d = {
		.media_type = (char *)"application/vnd.oci.image.manifest.v1+json",
		.digest = m->digest,
		.size = strlen(m->manifest),
	};

	d.type = media_type_find(d.media_type);
	return d;
}

/* Some at a time, as from a network. */
static inline int material_fetch(struct store *s, struct store_lease *l, const struct digest *d,
				 const char *data, size_t n, struct coffer_error *err)
{
	struct store_part *p = NULL;
	int r = store_lease_add(l, d, err);

	if (r == 0)
		r = store_part_open(s, d, n, -1, &p, err);
	for (uint64_t at = p ? store_part_offset(p) : 0; r == 0 && p && at < n;) {
		size_t some = n - at < 700 ? n - at : 700;

		r = store_part_write(p, data + at, some, err);
		at += some;
	}
	if (r == 0 && p)
		r = store_part_commit(p, NULL, NULL, err);
	if (p)
		store_part_close(p);
	return r < 0 ? r : 0;
}

static inline int material_root(struct store *s, struct store_lease *l, const struct material *m,
				struct coffer_error *err)
{
	struct store_root *root = NULL;
	char *path = NULL;
	int fd, r = store_lease_add(l, &m->chain, err);

	if (r == 0)
		r = store_root_begin(s, &m->chain, -1, &root, &fd, err);
	if (r == 0)
		r = write(fd, m->layer[1], MATERIAL_LAYER) == MATERIAL_LAYER ? 0 : -EIO;
	if (r == 0)
		r = store_root_commit(root, err);
	if (root)
		store_root_close(root);
	if (r >= 0)
		r = store_root_open(s, &m->chain, &path, err);
	free(path);
	return r;
}

/* A whole pull. @name: NULL: none. @lease: NULL: of its own */
static inline int material_pull(struct store *s, struct store_lease *lease,
				const struct material *m, const char *name,
				struct coffer_error *err)
{
	struct descriptor d = material_descriptor(m);
	struct store_lease *l = lease;
	int r = l ? 0 : store_lease_open(s, &l, err);

	if (r == 0)
		r = store_lease_add(l, &m->digest, err);
	for (int i = 0; r == 0 && i < MATERIAL_LAYERS; i++)
		r = material_fetch(s, l, &m->layers[i], m->layer[i], MATERIAL_LAYER, err);
	if (r == 0)
		r = material_fetch(s, l, &m->config_digest, m->config, strlen(m->config), err);
	if (r == 0)
		r = store_blob_put(s, l, m->manifest, strlen(m->manifest), NULL, err);
	if (r == 0 && name)
		r = store_name_set(s, name, &d, err);
	if (l && !lease)
		store_lease_close(l);
	return r;
}

static inline void fixture_print_fault(void *data, const char *fault)
{
	if (!data)
		print_message("fault: %s\n", fault);
}

/* How many faults a check finds. @quiet: they are expected */
static inline int fixture_faults(struct store *s, bool repair, bool quiet)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	int n = store_check(s, repair, fixture_print_fault, quiet ? s : NULL, &err);

	if (n < 0)
		fail_msg("check: %s", err.message);
	return n;
}

#endif /* TEST_STORE_FIXTURE_H */
