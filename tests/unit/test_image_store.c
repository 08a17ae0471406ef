/* SPDX-License-Identifier: Apache-2.0 */
/* The store: blobs, parts, names, roots, what a prune takes and what a check finds. */
#include "store_fixture.h"

static struct digest of(const void *data, size_t n)
{
	struct digest d;

	OK(digest_of(data, n, &d, e));
	return d;
}

static void blob_path(const struct fixture *f, const struct digest *d, char out[512])
{
	snprintf(out, 512, "%s/blobs/sha256/%s", f->dir, digest_hex(d));
}

static void damage(const struct fixture *f, const struct digest *d)
{
	char path[512];
	int fd;

	blob_path(f, d, path);
	assert_int_equal(chmod(path, 0600), 0);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "X", 1, 20), 1);
	close(fd);
}

static void drop(const struct fixture *f, const struct digest *d)
{
	char path[512];

	blob_path(f, d, path);
	assert_int_equal(unlink(path), 0);
}

static bool has(struct store *s, const struct digest *d)
{
	int fd = store_blob_open(s, d, NULL, NULL);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* ---- directories ---- */

static void test_open(void **state)
{
	struct fixture *f = *state;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct store *s = NULL;
	char path[128], text[128];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/a/b", f->dir);
	OK(store_open(path, &s, e));
	store_close(s);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	snprintf(path, sizeof(path), "%s/a/b/oci-layout", f->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, text, sizeof(text)), 30);
	assert_memory_equal(text, "{\"imageLayoutVersion\":\"1.0.0\"}", 30);
	close(fd);

	/* Where others write, they could put in anything. */
	snprintf(path, sizeof(path), "%s/a/b/blobs", f->dir);
	assert_int_equal(chmod(path, 0777), 0);
	snprintf(path, sizeof(path), "%s/a/b", f->dir);
	assert_int_equal(store_open(path, &s, &err), -EPERM);
	assert_non_null(strstr(err.message, "blobs: others may write there"));
	/* A link is not the directory. */
	snprintf(text, sizeof(text), "%s/link", f->dir);
	assert_int_equal(symlink(path, text), 0);
	assert_int_equal(store_open(text, &s, &err), -ENOTDIR);
	assert_null(s);
}

static void test_open_of_somebody(void **state)
{
	struct fixture *f = *state;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct store *s = NULL;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(f->dir, 1234, 0), 0);
	assert_int_equal(store_open(f->dir, &s, &err), -EPERM);
	assert_non_null(strstr(err.message, "belongs to user 1234"));
}

/* ---- blobs and parts ---- */

static void test_blob(void **state)
{
	struct fixture *f = *state;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct digest d, none = of("none", 4);
	struct store_lease *l;
	struct buf b;
	uint64_t size;
	int fd;

	OK(store_lease_open(f->store, &l, e));
	OK(store_blob_put(f->store, l, "some bytes of a blob", 20, &d, e));
	OK(store_blob_put(f->store, l, "some bytes of a blob", 20, &d, e));
	fd = store_blob_open(f->store, &d, &size, NULL);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(size, 20);
	assert_int_equal(store_blob_read(f->store, &d, 100, &b, NULL), 0);
	assert_int_equal(b.len, 20);
	buf_free(&b);
	assert_int_equal(store_blob_read(f->store, &d, 19, &b, &err), -EINVAL);
	err = (struct coffer_error)COFFER_ERROR_INIT;
	assert_int_equal(store_blob_open(f->store, &none, NULL, &err), -ENOENT);
	assert_int_equal(store_blob_read(f->store, &none, 100, &b, &err), -ENOENT);
	assert_int_equal(err.kind, COFFER_ERR_NONE);
	OK(store_blob_put(f->store, l, "", 0, &d, e));
	assert_int_equal(store_blob_read(f->store, &d, 100, &b, NULL), 0);
	assert_int_equal(b.len, 0);
	buf_free(&b);
	OK(store_blob_put(f->store, l, "another one, that is to be damaged", 34, &d, e));
	damage(f, &d);
	assert_int_equal(store_blob_read(f->store, &d, 100, &b, &err), -EBADMSG);
	assert_non_null(strstr(err.message, d.text));
	store_lease_close(l);
	assert_int_equal(fixture_count(f, "parts"), 0);
	assert_int_equal(fixture_count(f, "leases"), 0);
}

static void test_part_goes_on(void **state)
{
	struct fixture *f = *state;
	struct digest d = of("0123456789", 10), got;
	struct store_part *p;

	OK(store_part_open(f->store, &d, 10, -1, &p, e));
	assert_int_equal(store_part_offset(p), 0);
	OK(store_part_write(p, "0123", 4, e));
	store_part_close(p);
	OK(store_part_open(f->store, &d, 10, -1, &p, e));
	assert_int_equal(store_part_offset(p), 4);
	OK(store_part_write(p, "456789", 6, e));
	OK(store_part_commit(p, NULL, &got, e));
	store_part_close(p);
	assert_true(digest_is_equal(&d, &got));
	assert_int_equal(store_part_open(f->store, &d, 10, -1, &p, NULL), 1);
	assert_null(p);
	assert_int_equal(fixture_count(f, "parts"), 0);
	assert_int_equal(fixture_faults(f->store, false, false), 0);
}

static void test_part_wrong(void **state)
{
	struct fixture *f = *state;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct digest d = of("0123456789", 10);
	struct store_part *p;

	OK(store_part_open(f->store, &d, 10, -1, &p, e));
	assert_int_equal(store_part_write(p, "0123456789a", 11, &err), -EINVAL);
	OK(store_part_write(p, "012345678", 9, e));
	assert_int_equal(store_part_commit(p, NULL, NULL, &err), -EBADMSG);
	assert_non_null(strstr(err.message, "ends after 9 of 10 bytes"));
	store_part_close(p);
	/* What is there of it stays. */
	OK(store_part_open(f->store, &d, 10, -1, &p, e));
	assert_int_equal(store_part_offset(p), 9);
	OK(store_part_restart(p, e));
	assert_int_equal(store_part_offset(p), 0);
	OK(store_part_write(p, "012345678X", 10, e));
	assert_int_equal(store_part_commit(p, NULL, NULL, &err), -EBADMSG);
	assert_non_null(strstr(err.message, d.text));
	store_part_close(p);
	assert_int_equal(fixture_count(f, "parts"), 0);
	/* One that is longer than it may be is begun anew. */
	OK(store_part_open(f->store, &d, UINT64_MAX, -1, &p, e));
	OK(store_part_write(p, "0123456789abc", 13, e));
	store_part_close(p);
	OK(store_part_open(f->store, &d, 10, -1, &p, e));
	assert_int_equal(store_part_offset(p), 0);
	OK(store_part_write(p, "0123456789", 10, e));
	OK(store_part_commit(p, NULL, NULL, e));
	store_part_close(p);
	assert_int_equal(store_part_open(f->store, &d, 11, -1, &p, &err), -EINVAL);
	assert_non_null(strstr(err.message, "has 10 bytes, not 11"));
}

static void test_part_without_digest(void **state)
{
	struct fixture *f = *state;
	struct digest want = of("abc", 3), got;
	struct store_part *p, *q;
	struct store_lease *l;
	char path[128];
	int fd;

	/* What a process has left that was killed goes; another's does not. */
	snprintf(path, sizeof(path), "%s/parts/new-0123", f->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	OK(store_part_open(f->store, NULL, UINT64_MAX, -1, &p, e));
	OK(store_part_open(f->store, NULL, UINT64_MAX, -1, &q, e));
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(fixture_count(f, "parts"), 2);
	store_part_close(p);
	store_part_close(q);
	OK(store_part_open(f->store, NULL, UINT64_MAX, -1, &p, e));
	OK(store_part_write(p, "xyz", 3, e));
	store_part_close(p);
	assert_int_equal(fixture_count(f, "parts"), 0);
	OK(store_lease_open(f->store, &l, e));
	OK(store_part_open(f->store, NULL, UINT64_MAX, -1, &p, e));
	OK(store_part_write(p, "abc", 3, e));
	OK(store_part_commit(p, l, &got, e));
	store_part_close(p);
	assert_true(digest_is_equal(&got, &want));
	OK(store_prune(f->store, true, NULL, e));
	assert_true(has(f->store, &want));
	store_lease_close(l);
	OK(store_prune(f->store, true, NULL, e));
	assert_false(has(f->store, &want));
}

/* Hold a part from the first word on @in until the second, then finish it. */
static void hold_part(const struct fixture *f, const struct digest *d, int in, int out)
{
	struct store_part *p;
	struct store *s;
	char c;

	OK(store_open(f->dir, &s, e));
	OK(store_part_open(s, d, 10, -1, &p, e));
	if (write(out, "x", 1) != 1 || read(in, &c, 1) != 1)
		_exit(1);
	OK(store_part_write(p, "0123456789", 10, e));
	OK(store_part_commit(p, NULL, NULL, e));
	_exit(0);
}

static void test_part_waits(void **state)
{
	struct fixture *f = *state;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct digest d = of("0123456789", 10);
	struct store_part *p;
	int to[2], from[2];
	pid_t child;
	char c;

	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	child = fork();
	if (child == 0)
		hold_part(f, &d, to[0], from[1]);
	assert_int_equal(read(from[0], &c, 1), 1);
	/* Who waits can be told not to: @from is readable again. */
	assert_int_equal(write(from[1], "x", 1), 1);
	assert_int_equal(store_part_open(f->store, &d, 10, from[0], &p, &err), -ECANCELED);
	assert_int_equal(err.kind, COFFER_ERR_CANCELLED);
	assert_int_equal(write(to[1], "x", 1), 1);
	assert_int_equal(store_part_open(f->store, &d, 10, -1, &p, NULL), 1);
	assert_int_equal(waitpid(child, NULL, 0), child);
	for (int i = 0; i < 2; i++) {
		close(to[i]);
		close(from[i]);
	}
}

/* ---- names ---- */

static void test_names(void **state)
{
	struct fixture *f = *state;
	static struct material m, n;
	struct descriptor d, got;
	struct index x;

	material_make(&m, 1);
	material_make(&n, 2);
	d = material_descriptor(&m);
	d.has_platform = true;
	OK(platform_parse("linux/arm64/v8", &d.platform, e));
	assert_int_equal(store_name_get(f->store, "a", &got, NULL), -ENOENT);
	assert_int_equal(store_name_remove(f->store, "a", NULL), -ENOENT);
	OK(store_name_set(f->store, NULL, &d, e));
	OK(store_name_set(f->store, NULL, &d, e));
	OK(store_names(f->store, &x, e));
	assert_int_equal(x.count, 1);
	assert_null(x.list[0].ref_name);
	index_free(&x);
	/* With a name, the one without is nobody's any more. */
	OK(store_name_set(f->store, "docker.io/library/a:\"b\\", &d, e));
	OK(store_name_set(f->store, "b", &d, e));
	OK(store_name_set(f->store, "b", &d, e));
	OK(store_names(f->store, &x, e));
	assert_int_equal(x.count, 2);
	assert_string_equal(x.list[0].ref_name, "docker.io/library/a:\"b\\");
	assert_string_equal(x.list[0].platform.arch, "arm64");
	index_free(&x);
	d = material_descriptor(&n);
	OK(store_name_set(f->store, "b", &d, e));
	OK(store_name_get(f->store, "b", &got, e));
	assert_true(digest_is_equal(&got.digest, &n.digest));
	assert_int_equal(got.size, strlen(n.manifest));
	descriptor_free(&got);
	OK(store_name_remove(f->store, "b", e));
	assert_int_equal(store_name_get(f->store, "b", &got, NULL), -ENOENT);
	OK(store_name_drop(f->store, &m.digest, e));
	assert_int_equal(store_name_drop(f->store, &m.digest, NULL), -ENOENT);
	OK(store_names(f->store, &x, e));
	assert_int_equal(x.count, 0);
	index_free(&x);
}

/* ---- roots ---- */

static void test_roots(void **state)
{
	struct fixture *f = *state;
	struct digest chain = of("chain", 5);
	struct store_root *r;
	char *path;
	int fd;

	assert_int_equal(store_root_open(f->store, &chain, &path, NULL), -ENOENT);
	OK(store_root_begin(f->store, &chain, -1, &r, &fd, e));
	assert_int_equal(write(fd, "half", 4), 4);
	store_root_close(r);
	assert_int_equal(fixture_count(f, "parts"), 0);
	OK(store_root_begin(f->store, &chain, -1, &r, &fd, e));
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	assert_int_equal(write(fd, "whole", 5), 5);
	OK(store_root_commit(r, e));
	/* A machine can have it at once. */
	OK(store_root_open(f->store, &chain, &path, e));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_SH | LOCK_NB), 0);
	close(fd);
	free(path);
	store_root_close(r);
	assert_int_equal(store_root_begin(f->store, &chain, -1, &r, &fd, NULL), 1);
	/* Five bytes are no file system. */
	assert_int_equal(fixture_faults(f->store, false, true), 1);
	assert_int_equal(fixture_faults(f->store, true, true), 1);
	assert_int_equal(fixture_faults(f->store, false, false), 0);
}

/* ---- prune ---- */

static void test_prune(void **state)
{
	struct fixture *f = *state;
	struct coffer_prune out = { .size = sizeof(out) };
	static struct material m, n;
	struct store_lease *l;
	char *path;
	int fd;

	material_make(&m, 1);
	material_make(&n, 2);
	OK(store_lease_open(f->store, &l, e));
	OK(material_pull(f->store, l, &m, "m", e));
	OK(material_pull(f->store, NULL, &n, "n", e));
	OK(material_root(f->store, l, &m, e));
	OK(store_root_open(f->store, &m.chain, &path, e));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	assert_int_equal(fixture_count(f, "blobs/sha256"), 7);
	OK(store_prune(f->store, false, &out, e));
	assert_int_equal(out.blobs + out.roots + out.parts, 0);
	/* Its name is gone, but it is open. */
	OK(store_name_remove(f->store, "m", e));
	OK(store_prune(f->store, false, &out, e));
	assert_int_equal(out.blobs + out.roots + out.parts, 0);
	/* Only a machine runs on it. */
	store_lease_close(l);
	assert_int_equal(flock(fd, LOCK_SH | LOCK_NB), 0);
	OK(store_prune(f->store, false, &out, e));
	assert_int_equal(out.blobs, 3);
	assert_int_equal(out.roots, 0);
	assert_int_equal(out.bytes,
			 MATERIAL_LAYER + strlen(m.config) + strlen(m.manifest));
	assert_true(has(f->store, &m.layers[0]));
	close(fd);
	OK(store_prune(f->store, false, &out, e));
	assert_int_equal(out.roots, 1);
	assert_int_equal(fixture_faults(f->store, false, false), 0);
	OK(store_prune(f->store, true, &out, e));
	assert_int_equal(out.blobs, 4);
	assert_int_equal(fixture_count(f, "blobs/sha256"), 0);
}

/* An open image's lease has its manifest only; what is below stays, too. */
static void test_prune_lease_leads_on(void **state)
{
	struct fixture *f = *state;
	struct coffer_prune out = { .size = sizeof(out) };
	static struct material m;
	struct store_lease *l;

	material_make(&m, 1);
	OK(material_pull(f->store, NULL, &m, "m", e));
	OK(store_lease_open(f->store, &l, e));
	OK(material_root(f->store, l, &m, e));
	store_lease_close(l);
	OK(store_lease_open(f->store, &l, e));
	OK(store_lease_add(l, &m.digest, e));
	OK(store_prune(f->store, true, &out, e));
	assert_int_equal(out.blobs + out.roots, 0);
	store_lease_close(l);
	OK(store_prune(f->store, true, &out, e));
	assert_int_equal(out.blobs, 4);
	assert_int_equal(out.roots, 1);
}

/* What was put in vain goes, but not what others have, too. */
static void test_lease_end(void **state)
{
	struct fixture *f = *state;
	static struct material m, n;
	struct store_lease *l;
	struct store_part *p;
	struct digest d;

	material_make(&m, 1);
	material_make(&n, 2);
	OK(material_pull(f->store, NULL, &m, "m", e));
	OK(material_pull(f->store, NULL, &m, NULL, e));
	OK(store_lease_open(f->store, &l, e));
	OK(material_pull(f->store, l, &n, NULL, e));
	OK(store_blob_put(f->store, l, "else", 4, &d, e));
	assert_int_equal(fixture_count(f, "blobs/sha256"), 8);
	/* A part of ours, and one of somebody else's. */
	d = of("part", 4);
	OK(store_lease_add(l, &d, e));
	OK(store_part_open(f->store, &d, 4, -1, &p, e));
	store_part_close(p);
	d = of("prat", 4);
	OK(store_part_open(f->store, &d, 4, -1, &p, e));
	store_part_close(p);
	OK(store_lease_end(l, e));
	assert_int_equal(fixture_count(f, "parts"), 1);
	assert_int_equal(fixture_count(f, "blobs/sha256"), 4);
	assert_int_equal(fixture_count(f, "leases"), 0);
	assert_true(has(f->store, &m.layers[0]));
	assert_int_equal(fixture_faults(f->store, false, false), 0);
}

static void test_prune_parts(void **state)
{
	struct fixture *f = *state;
	struct coffer_prune out = { .size = sizeof(out) };
	struct digest a = of("aaaa", 4), b = of("bbbb", 4), c = of("cccc", 4);
	struct store_part *p, *q;
	struct store_lease *l;
	char path[128];
	int fd;

	OK(store_part_open(f->store, &a, 4, -1, &p, e));
	OK(store_part_write(p, "aa", 2, e));
	OK(store_part_open(f->store, &b, 4, -1, &q, e));
	OK(store_part_write(q, "bb", 2, e));
	store_part_close(q);
	OK(store_part_open(f->store, &c, 4, -1, &q, e));
	OK(store_part_write(q, "cc", 2, e));
	store_part_close(q);
	OK(store_lease_open(f->store, &l, e));
	OK(store_lease_add(l, &c, e));
	/* What a process leaves that was killed while it wrote index.json. */
	snprintf(path, sizeof(path), "%s/index.json.77.tmp", f->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	OK(store_prune(f->store, false, &out, e));
	assert_int_equal(out.parts, 2);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(fixture_count(f, "parts"), 2);
	OK(store_part_write(p, "aa", 2, e));
	OK(store_part_commit(p, l, NULL, e));
	store_part_close(p);
	OK(store_part_open(f->store, &c, 4, -1, &q, e));
	assert_int_equal(store_part_offset(q), 2);
	store_part_close(q);
	store_lease_close(l);
}

/* ---- check ---- */

/* An index of two platforms, of which one was fetched. */
static void put_index(struct store *s, const struct material *m, const struct material *n,
		      const char *name)
{
	struct descriptor d = {
		.media_type = (char *)"application/vnd.oci.image.index.v1+json"
	};
	struct store_lease *l;
	char text[2048];

	d.type = media_type_find(d.media_type);
	d.size = (size_t)snprintf(
		text, sizeof(text),
		"{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":["
		"{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\","
		"\"size\":%zu,\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}},"
		"{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\","
		"\"size\":%zu,\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"}}]}",
		d.media_type, m->digest.text, strlen(m->manifest), n->digest.text,
		strlen(n->manifest));
	OK(store_lease_open(s, &l, e));
	OK(store_blob_put(s, l, text, d.size, &d.digest, e));
	OK(store_name_set(s, name, &d, e));
	store_lease_close(l);
}

static void test_check_index(void **state)
{
	struct fixture *f = *state;
	struct coffer_prune out = { .size = sizeof(out) };
	static struct material m, n;
	struct descriptor d;

	material_make(&m, 1);
	material_make(&n, 2);
	OK(material_pull(f->store, NULL, &m, NULL, e));
	put_index(f->store, &m, &n, "both");
	/* The other platform was never asked for. */
	assert_int_equal(fixture_faults(f->store, false, false), 0);
	OK(store_prune(f->store, false, &out, e));
	assert_int_equal(out.blobs, 0);
	assert_int_equal(fixture_count(f, "blobs/sha256"), 5);
	OK(material_pull(f->store, NULL, &n, NULL, e));
	assert_int_equal(fixture_faults(f->store, false, false), 0);
	drop(f, &n.layers[1]);
	assert_int_equal(fixture_faults(f->store, false, true), 1);
	/* The manifest goes; the index has it as one that nobody has asked for. */
	assert_int_equal(fixture_faults(f->store, true, true), 1);
	assert_false(has(f->store, &n.digest));
	assert_true(has(f->store, &m.digest));
	assert_int_equal(fixture_faults(f->store, false, false), 0);
	OK(store_name_get(f->store, "both", &d, e));
	descriptor_free(&d);
}

/* A pull would take it for whole. */
static void test_check_without_name(void **state)
{
	struct fixture *f = *state;
	static struct material m;

	material_make(&m, 1);
	OK(material_pull(f->store, NULL, &m, NULL, e));
	assert_int_equal(fixture_faults(f->store, false, false), 0);
	drop(f, &m.layers[1]);
	assert_int_equal(fixture_faults(f->store, false, true), 1);
	assert_int_equal(fixture_faults(f->store, true, true), 1);
	assert_false(has(f->store, &m.digest));
	assert_true(has(f->store, &m.config_digest));
	assert_int_equal(fixture_faults(f->store, false, false), 0);
}

static void test_check_damage(void **state)
{
	struct fixture *f = *state;
	static struct material m, n;
	struct descriptor d;
	char path[512];
	int fd;

	material_make(&m, 1);
	material_make(&n, 2);
	OK(material_pull(f->store, NULL, &m, "m", e));
	OK(material_pull(f->store, NULL, &m, "also", e));
	OK(material_pull(f->store, NULL, &n, "n", e));
	damage(f, &m.layers[1]);
	blob_path(f, &m.layers[1], path);
	strcpy(strrchr(path, '/'), "/stranger");
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	/* It and the stranger. */
	assert_int_equal(fixture_faults(f->store, false, true), 2);
	/* And, once it is gone, what needs it: both names. */
	assert_int_equal(fixture_faults(f->store, true, true), 4);
	assert_int_equal(fixture_faults(f->store, false, false), 0);
	assert_int_equal(store_name_get(f->store, "m", &d, NULL), -ENOENT);
	assert_int_equal(store_name_get(f->store, "also", &d, NULL), -ENOENT);
	OK(store_name_get(f->store, "n", &d, e));
	descriptor_free(&d);
	OK(material_pull(f->store, NULL, &m, "m", e));
	assert_int_equal(fixture_faults(f->store, false, false), 0);

	damage(f, &n.digest);
	assert_true(fixture_faults(f->store, false, true) >= 1);
	assert_true(fixture_faults(f->store, true, true) >= 1);
	assert_int_equal(fixture_faults(f->store, false, false), 0);
	/* A link in a blob's place. */
	drop(f, &m.config_digest);
	blob_path(f, &m.config_digest, path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_true(fixture_faults(f->store, true, true) >= 1);
	assert_int_equal(fixture_faults(f->store, false, false), 0);
	snprintf(path, sizeof(path), "%s/index.json", f->dir);
	assert_int_equal(truncate(path, 7), 0);
	assert_int_equal(fixture_faults(f->store, false, true), 1);
	assert_int_equal(fixture_faults(f->store, true, true), 1);
	assert_int_equal(fixture_faults(f->store, false, false), 0);
}

/* A thousand times the next index, four deep: followed once each, not 10^12 times. */
static void test_index_of_many(void **state)
{
	struct fixture *f = *state;
	const size_t room = (size_t)1 << 20;
	char *text = malloc(room);
	struct descriptor d = { 0 };
	struct store_lease *l;

	OK(store_lease_open(f->store, &l, e));
	d.digest = of("nothing", 7);
	for (int depth = 0; depth < 5; depth++) {
		size_t n = (size_t)snprintf(text, room,
					    "{\"schemaVersion\":2,\"mediaType\":\"application/vnd."
					    "oci.image.index.v1+json\",\"manifests\":[");

		for (int i = 0; i < 1000; i++)
			n += (size_t)snprintf(text + n, room - n,
					      "%s{\"mediaType\":\"application/vnd.oci.image.index."
					      "v1+json\",\"digest\":\"%s\",\"size\":%zu}",
					      i ? "," : "", d.digest.text, (size_t)d.size);
		n += (size_t)snprintf(text + n, room - n, "]}");
		OK(store_blob_put(f->store, l, text, n, &d.digest, e));
		d.size = n;
	}
	d.media_type = (char *)"application/vnd.oci.image.index.v1+json";
	OK(store_name_set(f->store, "many", &d, e));
	assert_int_equal(fixture_faults(f->store, false, false), 0);
	OK(store_prune(f->store, false, NULL, e));
	store_lease_close(l);
	free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_open),
		TEST(test_open_of_somebody),
		TEST(test_blob),
		TEST(test_part_goes_on),
		TEST(test_part_wrong),
		TEST(test_part_without_digest),
		TEST(test_part_waits),
		TEST(test_names),
		TEST(test_roots),
		TEST(test_prune),
		TEST(test_prune_lease_leads_on),
		TEST(test_lease_end),
		TEST(test_prune_parts),
		TEST(test_check_index),
		TEST(test_check_without_name),
		TEST(test_check_damage),
		TEST(test_index_of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
