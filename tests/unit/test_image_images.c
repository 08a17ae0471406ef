/* SPDX-License-Identifier: Apache-2.0 */
/* Images of a store: found, built, listed, named and removed; the one that is built in. */
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
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "image/builtin.h"
#include "image/images.h"
#include "image/progress.h"
#include "layer_tar.h"

#define OK(call)                                                                                   \
	do {                                                                                       \
		struct coffer_error error_ = COFFER_ERROR_INIT, *e = &error_;                      \
		int ok_ = (call);                                                                  \
		if (ok_ < 0)                                                                       \
			fail_msg("%s: %d: %s", #call, ok_, error_.message);                        \
		(void)e;                                                                           \
	} while (0)

#define REFUSED(call, want, text)                                                                  \
	do {                                                                                       \
		struct coffer_error error_ = COFFER_ERROR_INIT, *e = &error_;                      \
		int r_ = (call);                                                                   \
		if (r_ != (want) || !strstr(error_.message, text))                                 \
			fail_msg("%s: wanted %d \"%s\", got %d \"%s\"", #call, want, text, r_,     \
				 error_.message);                                                  \
	} while (0)

struct fixture {
	char dir[64];
	struct coffer_images *images;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct coffer_images_config config = COFFER_IMAGES_CONFIG_INIT;
	char store[80], auth[80], settings[80];

	/* On memory where that is: what is tested here is not the disk. */
	snprintf(f->dir, sizeof(f->dir), "/dev/shm/coffer-images-XXXXXX");
	if (!mkdtemp(f->dir)) {
		snprintf(f->dir, sizeof(f->dir), "/tmp/coffer-images-XXXXXX");
		assert_non_null(mkdtemp(f->dir));
	}
	snprintf(store, sizeof(store), "%s/store", f->dir);
	snprintf(auth, sizeof(auth), "%s/auth.json", f->dir);
	snprintf(settings, sizeof(settings), "%s/settings.json", f->dir);
	config.dir = store;
	OK(io_replace_file(AT_FDCWD, settings, "{}", 2, 0600, e));
	config.settings = settings;
	config.auth = auth;
	OK(coffer_images_open(&config, &f->images, e));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	coffer_images_close(f->images);
	OK(path_remove_tree(AT_FDCWD, f->dir, e));
	free(f);
	return 0;
}

/* Files of a directory of the store. */
static int count(const struct fixture *f, const char *name)
{
	char path[128];
	struct dirent *entry;
	DIR *d;
	int n = 0;

	snprintf(path, sizeof(path), "%s/store/%s", f->dir, name);
	d = opendir(path);
	assert_non_null(d);
	while ((entry = readdir(d)))
		n += entry->d_name[0] != '.';
	closedir(d);
	return n;
}

/* One layer with one file, which says @text. */
static void put_layer(struct fixture *f, struct store_lease *lease, const char *text,
		      struct descriptor *out, struct digest *diff_id)
{
	struct tar t = { 0 }, z = { 0 };

	tar_dir(&t, "etc");
	tar_file(&t, "etc/motd", text);
	tar_end(&t);
	tar_gzip(&z, t.mem, t.len);
	OK(digest_of(t.mem, t.len, diff_id, e));
	OK(store_blob_put(f->images->store, lease, z.mem, z.len, &out->digest, e));
	out->size = z.len;
	out->media_type = strdup("application/vnd.oci.image.layer.v1.tar+gzip");
	out->type = media_type_find(out->media_type);
	tar_free(&t);
	tar_free(&z);
}

/* An image for @arch. @diff_id: another than its layer has, or NULL */
static void make_with(struct fixture *f, const char *name, const char *arch, const char *text,
		      const char *diff_id, struct coffer_image **out)
{
	static const char config_text[] =
	    "{\"architecture\":\"%s\",\"os\":\"linux\",\"created\":\"2026-01-02T03:04:05Z\","
	    "\"config\":{\"Cmd\":[\"cat\",\"/etc/"
	    "motd\"],\"Env\":[\"A=b\"],\"Labels\":{\"k\":\"v\"},"
	    "\"ExposedPorts\":{\"80/tcp\":{}},\"StopSignal\":\"SIGUSR1\"},"
	    "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]},"
	    "\"history\":[{\"created_by\":\"ADD motd\",\"created\":\"2026-01-01T00:00:00Z\"},"
	    "{\"created_by\":\"CMD cat\",\"empty_layer\":true,\"comment\":\"last\"}]}";
	CLEANUP(manifest_free) struct manifest m = { 0 };
	CLEANUP(image_config_free) struct image_config config = { 0 };
	struct store_lease *lease = NULL;
	struct digest diff;
	char json[1024];

	OK(store_lease_open(f->images->store, &lease, e));
	m.layers = calloc(1, sizeof(*m.layers));
	m.nlayers = 1;
	put_layer(f, lease, text, m.layers, &diff);
	snprintf(json, sizeof(json), config_text, arch, diff_id ? diff_id : diff.text);
	OK(image_config_parse(json, strlen(json), &config, e));
	OK(image_create(f->images, &config, &m, name, lease, out, e));
}

static void make(struct fixture *f, const char *name, const char *text, struct coffer_image **out)
{
	make_with(f, name, "amd64", text, NULL, out);
}

static struct coffer_image *find(struct fixture *f, const char *name)
{
	struct coffer_image *image = NULL;

	OK(coffer_image_find(f->images, name, NULL, &image, e));
	return image;
}

/* ---- the one that is built in ---- */

static void test_builtin(void **state)
{
	struct fixture *f = *state;
	struct coffer_image *image = find(f, COFFER_IMAGE_BUILTIN), *again;
	struct coffer_image_config config = { .size = sizeof(config) };
	const char *path = "not set";
	struct digest d;
	char prefix[13];

	OK(digest_of(builtin_config, strlen(builtin_config), &d, e));
	assert_string_equal(d.text, builtin_id);
	assert_string_equal(coffer_image_id(image), builtin_id);
	OK(coffer_image_rootfs(image, NULL, &path, e));
	assert_null(path);
	coffer_image_get_config(image, &config);
	assert_null(config.entrypoint);
	assert_string_equal(config.cmd[0], "/bin/sh");
	assert_non_null(strstr(config.cmd[2], "Hello from coffer."));
	assert_int_equal(strncmp(config.env[0], "PATH=", 5), 0);

	snprintf(prefix, sizeof(prefix), "%.12s", builtin_id + 7);
	again = find(f, prefix);
	assert_string_equal(coffer_image_id(again), builtin_id);
	coffer_image_free(again);
	REFUSED(coffer_image_find(f->images, COFFER_IMAGE_BUILTIN, "linux/s390x", &again, e),
		-ENOENT, "nothing for linux/s390x");
	REFUSED(coffer_image_tag(image, "other", e), -EOPNOTSUPP, "built in");
	REFUSED(coffer_images_untag(f->images, COFFER_IMAGE_BUILTIN, e), -EOPNOTSUPP, "built in");
	REFUSED(coffer_images_remove(f->images, COFFER_IMAGE_BUILTIN, true, e), -EOPNOTSUPP,
		"built in");
	REFUSED(coffer_image_push(f->images, COFFER_IMAGE_BUILTIN, NULL, e), -EOPNOTSUPP,
		"built in");
	coffer_image_free(image);

	/* A name of the store comes first, for as long as it is there. */
	make(f, COFFER_IMAGE_BUILTIN, "not it", NULL);
	image = find(f, COFFER_IMAGE_BUILTIN);
	assert_string_not_equal(coffer_image_id(image), builtin_id);
	coffer_image_free(image);
	OK(coffer_images_remove(f->images, COFFER_IMAGE_BUILTIN, false, e));
	image = find(f, COFFER_IMAGE_BUILTIN);
	assert_string_equal(coffer_image_id(image), builtin_id);
	coffer_image_free(image);
}

/* ---- finding ---- */

static void test_find(void **state)
{
	struct fixture *f = *state;
	struct coffer_image *image = NULL, *same;
	char text[300];

	make(f, "box", "one", &image);
	assert_string_equal(coffer_image_platform(image), "linux/amd64");
	for (const char *const *name =
		 (const char *const[]){ "box", "box:latest", "library/box",
					"docker.io/library/box:latest", NULL };
	     *name; name++) {
		same = find(f, *name);
		assert_string_equal(coffer_image_id(same), coffer_image_id(image));
		coffer_image_free(same);
	}
	/* An id, a part of one, the manifest's digest, and that behind a name. */
	same = find(f, coffer_image_id(image));
	coffer_image_free(same);
	same = find(f, coffer_image_id(image) + 7);
	coffer_image_free(same);
	snprintf(text, sizeof(text), "%.19s", coffer_image_id(image));
	same = find(f, text);
	assert_string_equal(coffer_image_id(same), coffer_image_id(image));
	coffer_image_free(same);
	same = find(f, coffer_image_digest(image));
	coffer_image_free(same);
	snprintf(text, sizeof(text), "box@%s", coffer_image_digest(image));
	same = find(f, text);
	assert_string_equal(coffer_image_digest(same), coffer_image_digest(image));
	coffer_image_free(same);

	snprintf(text, sizeof(text), "another@%s", coffer_image_digest(image));
	REFUSED(coffer_image_find(f->images, text, NULL, &same, e), -ENOENT, "not in the store");
	REFUSED(coffer_image_find(f->images, "box:2", NULL, &same, e), -ENOENT,
		"image box:2: not in the store");
	REFUSED(coffer_image_find(f->images, "Box", NULL, &same, e), -EINVAL, "upper-case");
	REFUSED(coffer_image_find(f->images, "box", "linux/arm64", &same, e), -ENOENT,
		"there is linux/amd64");
	REFUSED(coffer_image_find(f->images, "box", "linux/a/b/c", &same, e), -EINVAL, "platform");
	coffer_image_free(image);
}

static void test_find_several(void **state)
{
	struct fixture *f = *state;
	struct coffer_image *image = NULL;
	char text[16], first[2] = "";
	bool seen[256] = { false };

	/* Of seventeen ids two begin with the same digit. */
	for (int i = 0; i < 17; i++) {
		snprintf(text, sizeof(text), "number %d", i);
		make(f, NULL, text, &image);
		if (seen[(unsigned char)coffer_image_id(image)[7]])
			first[0] = coffer_image_id(image)[7];
		seen[(unsigned char)coffer_image_id(image)[7]] = true;
		coffer_image_free(image);
	}
	REFUSED(coffer_image_find(f->images, first, NULL, &image, e), -EINVAL, "several begin so");
}

/* ---- indices ---- */

/* Name an index of what @images are. */
static void make_index(struct fixture *f, const char *name, struct coffer_image *const *images,
		       size_t n)
{
	struct index x = { .type = media_type_find("application/vnd.oci.image.index.v1+json"),
			   .count = n };
	autobuf struct buf text = BUF_INIT(DOCUMENT_MANIFEST_MAX);
	struct descriptor top = { .type = x.type, .media_type = (char *)x.type->name };
	struct store_lease *lease = NULL;

	x.list = calloc(n, sizeof(*x.list));
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(descriptor_copy(&x.list[i], &images[i]->self), 0);
		x.list[i].has_platform = true;
		x.list[i].platform = images[i]->config.platform;
	}
	OK(index_emit(&x, &text, e));
	OK(store_lease_open(f->images->store, &lease, e));
	OK(store_blob_put(f->images->store, lease, buf_data(&text), text.len, &top.digest, e));
	top.size = text.len;
	OK(store_name_set(f->images->store, name, &top, e));
	store_lease_close(lease);
	index_free(&x);
}

static void test_platforms(void **state)
{
	struct fixture *f = *state;
	struct coffer_image *two[2], *image = NULL;

	make_with(f, NULL, "amd64", "intel", NULL, &two[0]);
	make_with(f, NULL, "arm64", "arm", NULL, &two[1]);
	make_index(f, "docker.io/library/both:latest", two, 2);
	make_index(f, "docker.io/library/foreign:latest", &two[1], 1);

	OK(coffer_image_find(f->images, "both", "linux/arm64", &image, e));
	assert_string_equal(coffer_image_id(image), coffer_image_id(two[1]));
	assert_string_equal(coffer_image_platform(image), "linux/arm64");
	assert_string_not_equal(coffer_image_digest(image), coffer_image_digest(two[1]));
	coffer_image_free(image);
	OK(coffer_image_find(f->images, "both", "amd64", &image, e));
	assert_string_equal(coffer_image_id(image), coffer_image_id(two[0]));
	coffer_image_free(image);
	/* The only one that is here. */
	image = find(f, "foreign");
	assert_string_equal(coffer_image_platform(image), "linux/arm64");
	coffer_image_free(image);
	REFUSED(coffer_image_find(f->images, "both", "linux/s390x", &image, e), -ENOENT,
		"nothing for linux/s390x; there is linux/amd64, linux/arm64");
	/* By its id, an image of an index is that one. */
	image = find(f, coffer_image_id(two[1]));
	assert_string_equal(coffer_image_platform(image), "linux/arm64");
	coffer_image_free(image);
	coffer_image_free(two[0]);
	coffer_image_free(two[1]);
}

/* ---- building ---- */

static void *build(void *data)
{
	struct coffer_image *image = data;
	const char *path = NULL;

	OK(coffer_image_rootfs(image, NULL, &path, e));
	assert_non_null(path);
	return NULL;
}

static void test_rootfs(void **state)
{
	struct fixture *f = *state;
	struct coffer_image *images[4];
	const char *path = NULL, *same = NULL;
	pthread_t threads[4];
	uint16_t magic = 0;
	int fd;

	make(f, "box", "built", &images[0]);
	for (int i = 1; i < 4; i++)
		images[i] = find(f, "box");
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, build, images[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(count(f, "roots"), 1);
	OK(coffer_image_rootfs(images[0], NULL, &path, e));
	OK(coffer_image_rootfs(images[1], NULL, &same, e));
	assert_string_equal(path, same);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, &magic, 2, 1024 + 56), 2);
	assert_int_equal(magic, 0xef53);
	close(fd);
	for (int i = 0; i < 4; i++)
		coffer_image_free(images[i]);
}

static void test_rootfs_refused(void **state)
{
	struct fixture *f = *state;
	struct coffer_transfer how = COFFER_TRANSFER_INIT;
	struct coffer_image *image = NULL;
	const char *path = NULL;

	make_with(f, "lies", "amd64", "text",
		  "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		  &image);
	REFUSED(coffer_image_rootfs(image, NULL, &path, e), -EINVAL, "image lies:latest: ");
	assert_int_equal(count(f, "roots"), 0);
	coffer_image_free(image);

	make(f, "late", "text", &image);
	how.cancel_fd = eventfd(1, EFD_CLOEXEC);
	REFUSED(coffer_image_rootfs(image, &how, &path, e), -ECANCELED, "image late:latest: ");
	assert_int_equal(count(f, "roots"), 0);
	close(how.cancel_fd);
	how.cancel_fd = -1;
	how.parallel = 17;
	REFUSED(coffer_image_rootfs(image, &how, &path, e), -EINVAL, "at most 16");
	how = (struct coffer_transfer){ .cancel_fd = -1 };
	REFUSED(coffer_image_rootfs(image, &how, &path, e), -EINVAL, "size is not set");
	OK(coffer_image_rootfs(image, NULL, &path, e));
	coffer_image_free(image);
}

/* ---- names ---- */

static void test_names(void **state)
{
	struct fixture *f = *state;
	struct coffer_image *image = NULL, *other = NULL;
	char id[12 + 1];

	make(f, "box", "names", &image);
	snprintf(id, sizeof(id), "%.12s", coffer_image_id(image) + 7);
	OK(coffer_image_tag(image, "localhost:5000/a/box:2", e));
	REFUSED(coffer_image_tag(image, "bad name", e), -EINVAL, "bad name");
	REFUSED(
	    coffer_image_tag(image,
			     "x@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f"
			     "20015ad",
			     e),
	    -EINVAL, "with a digest");
	OK(coffer_images_untag(f->images, "box", e));
	REFUSED(coffer_images_untag(f->images, "box", e), -ENOENT, "image box: not in the store");
	REFUSED(coffer_image_find(f->images, "box", NULL, &other, e), -ENOENT, "box");
	OK(coffer_images_untag(f->images, "localhost:5000/a/box:2", e));
	coffer_image_free(image);

	/* Without a name it is still here, until the next prune. */
	image = find(f, id);
	coffer_image_free(image);
	OK(coffer_images_prune(f->images, false, NULL, e));
	REFUSED(coffer_image_find(f->images, id, NULL, &image, e), -ENOENT, "not in the store");
	assert_int_equal(count(f, "blobs/sha256"), 0);
}

static void test_remove(void **state)
{
	struct fixture *f = *state;
	struct coffer_image *image = NULL, *nameless = NULL;
	const char *path = NULL;
	char id[12 + 1];

	make(f, NULL, "nobody's", &nameless);
	coffer_image_free(nameless);
	make(f, "box", "to be removed", &image);
	OK(coffer_image_rootfs(image, NULL, &path, e));
	OK(coffer_image_tag(image, "box:2", e));
	snprintf(id, sizeof(id), "%.12s", coffer_image_id(image) + 7);
	coffer_image_free(image);

	/* One of its names, then the last: what only it needs goes, and no more. */
	assert_int_equal(count(f, "blobs/sha256"), 6);
	OK(coffer_images_remove(f->images, "box:2", false, e));
	assert_int_equal(count(f, "blobs/sha256"), 6);
	OK(coffer_images_remove(f->images, "box", false, e));
	assert_int_equal(count(f, "blobs/sha256"), 3);
	assert_int_equal(count(f, "roots"), 0);
	REFUSED(coffer_images_remove(f->images, "box", false, e), -ENOENT, "not in the store");

	/* By its id, with several names, only by force. */
	make(f, "box", "to be removed", &image);
	OK(coffer_image_tag(image, "box:2", e));
	coffer_image_free(image);
	REFUSED(coffer_images_remove(f->images, id, false, e), -EBUSY,
		"2 names (box:latest, box:2)");
	OK(coffer_images_remove(f->images, id, true, e));
	REFUSED(coffer_images_remove(f->images, "box", false, e), -ENOENT, "not in the store");
	assert_int_equal(count(f, "blobs/sha256"), 3);
}

/* Who uses an image keeps it. */
static void test_remove_used(void **state)
{
	struct fixture *f = *state;
	struct coffer_prune pruned = { .size = sizeof(pruned) };
	struct coffer_image *image = NULL;
	const char *path = NULL;

	make(f, "box", "used", &image);
	OK(coffer_images_remove(f->images, "box", false, e));
	OK(coffer_images_prune(f->images, true, &pruned, e));
	assert_int_equal(pruned.blobs, 0);
	OK(coffer_image_rootfs(image, NULL, &path, e));
	assert_int_equal(access(path, R_OK), 0);
	coffer_image_free(image);
	OK(coffer_images_prune(f->images, true, &pruned, e));
	assert_int_equal(pruned.blobs, 3);
	assert_int_equal(pruned.roots, 1);
	assert_int_equal(coffer_images_check(f->images, false, NULL, NULL, NULL), 0);
}

/* ---- as JSON ---- */

static const char *text_of(struct json_object *obj, const char *key)
{
	return json_object_get_string(json_object_object_get(obj, key));
}

static struct json_object *row_of(struct json_object *rows, const char *id)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++)
		if (strcmp(text_of(json_object_array_get_idx(rows, i), "id"), id) == 0)
			return json_object_array_get_idx(rows, i);
	return NULL;
}

static void test_list(void **state)
{
	struct fixture *f = *state;
	autojson struct json_object *rows = NULL;
	autofree char *json = NULL;
	struct coffer_image *image = NULL;
	struct json_object *row, *names;

	make(f, "box", "listed", &image);
	OK(coffer_image_tag(image, "localhost:5000/a/box:2", e));
	OK(coffer_images_list(f->images, &json, e));
	rows = json_tokener_parse(json);
	assert_int_equal(json_object_array_length(rows), 2);
	row = row_of(rows, coffer_image_id(image));
	assert_non_null(row);
	names = json_object_object_get(row, "names");
	assert_int_equal(json_object_array_length(names), 2);
	assert_string_equal(json_object_get_string(json_object_array_get_idx(names, 0)),
			    "box:latest");
	assert_string_equal(text_of(row, "digest"), coffer_image_digest(image));
	assert_string_equal(text_of(row, "created"), "2026-01-02T03:04:05Z");
	assert_string_equal(text_of(row, "platform"), "linux/amd64");
	assert_true(json_object_get_int64(json_object_object_get(row, "size")) > 0);
	assert_non_null(row_of(rows, builtin_id));
	coffer_image_free(image);
}

static void test_inspect(void **state)
{
	struct fixture *f = *state;
	autojson struct json_object *doc = NULL;
	autofree char *json = NULL;
	struct coffer_image *image = NULL;
	struct json_object *config;
	const char *path = NULL;

	make(f, "box", "inspected", &image);
	OK(coffer_image_rootfs(image, NULL, &path, e));
	OK(coffer_image_inspect(image, &json, e));
	doc = json_tokener_parse(json);
	assert_string_equal(text_of(doc, "Id"), coffer_image_id(image));
	assert_string_equal(text_of(doc, "RepoTags"), "[ \"box:latest\" ]");
	assert_string_equal(text_of(doc, "Rootfs"), path);
	assert_string_equal(text_of(doc, "Architecture"), "amd64");
	config = json_object_object_get(doc, "Config");
	assert_string_equal(text_of(config, "Cmd"), "[ \"cat\", \"\\/etc\\/motd\" ]");
	assert_string_equal(text_of(config, "Labels"), "{ \"k\": \"v\" }");
	assert_string_equal(text_of(config, "ExposedPorts"), "{ \"80\\/tcp\": { } }");
	assert_string_equal(text_of(config, "StopSignal"), "SIGUSR1");
	assert_null(json_object_object_get(config, "Entrypoint"));
	coffer_image_free(image);
}

static void test_history(void **state)
{
	struct fixture *f = *state;
	autojson struct json_object *steps = NULL;
	autofree char *json = NULL;
	struct coffer_image *image = NULL;
	struct json_object *step;

	make(f, "box", "history", &image);
	OK(coffer_image_history(image, &json, e));
	steps = json_tokener_parse(json);
	assert_int_equal(json_object_array_length(steps), 2);
	step = json_object_array_get_idx(steps, 0);
	assert_string_equal(text_of(step, "id"), coffer_image_id(image));
	assert_string_equal(text_of(step, "created_by"), "CMD cat");
	assert_string_equal(text_of(step, "comment"), "last");
	assert_int_equal(json_object_get_int64(json_object_object_get(step, "size")), 0);
	step = json_object_array_get_idx(steps, 1);
	assert_string_equal(text_of(step, "id"), "<missing>");
	assert_string_equal(text_of(step, "created_by"), "ADD motd");
	assert_true(json_object_get_int64(json_object_object_get(step, "size")) > 0);
	coffer_image_free(image);
}

/* ---- telling and cancelling ---- */

static void tell(void *data, const struct coffer_progress *p)
{
	uint64_t *sum = data;

	*sum += p->done;
}

static void *tell_often(void *data)
{
	for (int i = 0; i < 1000; i++)
		progress_tell(data, COFFER_PROGRESS_BUILD, NULL, 1, 2);
	return NULL;
}

static void test_progress(void **state)
{
	uint64_t sum = 0;
	struct coffer_transfer how = COFFER_TRANSFER_INIT;
	struct progress p;
	pthread_t threads[2];

	how.progress = tell;
	how.data = &sum;
	OK(progress_open(&p, &how, e));
	assert_int_equal(p.how.parallel, 4);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, tell_often, &p), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(sum, 2000);
	OK(progress_check(&p, e));
	progress_cancel(&p);
	REFUSED(progress_check(&p, e), -ECANCELED, "given up");
	progress_close(&p);

	how.cancel_fd = eventfd(0, EFD_CLOEXEC);
	OK(progress_open(&p, &how, e));
	OK(progress_check(&p, e));
	eventfd_write(how.cancel_fd, 1);
	REFUSED(progress_check(&p, e), -ECANCELED, "given up");
	progress_close(&p);
	close(how.cancel_fd);
	how.cancel_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	REFUSED(progress_open(&p, &how, e), -EPERM, "cannot be waited for");
	close(how.cancel_fd);
}

static void test_open_refused(void **state)
{
	struct coffer_images_config config = COFFER_IMAGES_CONFIG_INIT;
	struct fixture *f = *state;
	struct coffer_images *images = NULL;
	char settings[80];

	snprintf(settings, sizeof(settings), "%s/settings.json", f->dir);
	config.settings = settings;
	config.auth = "/dev/null";
	config.dir = "relative";
	REFUSED(coffer_images_open(&config, &images, e), -EINVAL, "not an absolute path");
	config.dir = "/dev/null/below";
	REFUSED(coffer_images_open(&config, &images, e), -ENOTDIR, "/dev/null");
	config.size = 0;
	REFUSED(coffer_images_open(&config, &images, e), -EINVAL, "size is not set");
	assert_null(images);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_builtin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_find, setup, teardown),
		cmocka_unit_test_setup_teardown(test_find_several, setup, teardown),
		cmocka_unit_test_setup_teardown(test_platforms, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rootfs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rootfs_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove_used, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inspect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_history, setup, teardown),
		cmocka_unit_test(test_progress),
		cmocka_unit_test_setup_teardown(test_open_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
