/* SPDX-License-Identifier: Apache-2.0 */
/* Images into archives and back; and archives that mean harm. */
#include "store_fixture.h"

#include <sys/mman.h>

#include "image/images.h"

#define CMD_CHANGE "CMD [\"/bin/true\"]"

struct shelf {
	struct fixture store; /* whose store stays closed */
	struct coffer_images *images;
	char told[512]; /* by load */
};

static void shelf_open(struct shelf *s)
{
	struct coffer_images_config config = COFFER_IMAGES_CONFIG_INIT;

	memset(s, 0, sizeof(*s));
	snprintf(s->store.dir, sizeof(s->store.dir), "/tmp/coffer-exchange-XXXXXX");
	assert_non_null(mkdtemp(s->store.dir));
	config.dir = s->store.dir;
	/* None but the defaults. */
	setenv("XDG_CONFIG_HOME", s->store.dir, 1);
	OK(coffer_images_open(&config, &s->images, e));
}

static void shelf_close(struct shelf *s)
{
	assert_int_equal(fixture_count(&s->store, "leases"), 0);
	assert_int_equal(fixture_count(&s->store, "parts"), 0);
	assert_int_equal(fixture_faults(s->images->store, false, false), 0);
	coffer_images_close(s->images);
	OK(path_remove_tree(AT_FDCWD, s->store.dir, e));
}

static void shelf_told(void *data, const char *name)
{
	struct shelf *s = data;

	snprintf(s->told + strlen(s->told), sizeof(s->told) - strlen(s->told), "%s%s",
		 s->told[0] ? " " : "", name);
}

/* ---- tars ---- */

struct tar {
	char bytes[256 << 10];
	size_t n;
};

static void tar_entry(struct tar *t, const char *name, char type, const char *link,
		      const void *data, size_t n)
{
	char *h = t->bytes + t->n;
	unsigned sum = 0;

	memset(h, 0, 512);
	snprintf(h, 100, "%s", name);
	snprintf(h + 100, 8, "%07o", 0644);
	snprintf(h + 108, 8, "%07o", 0);
	snprintf(h + 116, 8, "%07o", 0);
	snprintf(h + 124, 12, "%011zo", n);
	snprintf(h + 136, 12, "%011o", 0);
	memset(h + 148, ' ', 8);
	h[156] = type;
	if (link)
		snprintf(h + 157, 100, "%s", link);
	memcpy(h + 257, "ustar\00000", 8);
	for (int i = 0; i < 512; i++)
		sum += (unsigned char)h[i];
	snprintf(h + 148, 8, "%06o", sum);
	t->n += 512;
	memset(t->bytes + t->n, 0, (n + 511) / 512 * 512);
	if (n)
		memcpy(t->bytes + t->n, data, n);
	t->n += (n + 511) / 512 * 512;
}

static void tar_text(struct tar *t, const char *name, const char *text)
{
	tar_entry(t, name, '0', NULL, text, strlen(text));
}

static void tar_end(struct tar *t)
{
	memset(t->bytes + t->n, 0, 1024);
	t->n += 1024;
}

static int file_of(const void *data, size_t n)
{
	int fd = memfd_create("archive", MFD_CLOEXEC);

	assert_int_equal(write(fd, data, n), (ssize_t)n);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* A root with one file. */
static void root_tar(struct tar *t, const char *text)
{
	memset(t, 0, sizeof(*t));
	tar_entry(t, "etc/", '5', NULL, NULL, 0);
	tar_text(t, "etc/motd", text);
	tar_end(t);
}

static struct tar tar_a, tar_b;

static void import(struct shelf *s, const char *text, const char *name, char id[DIGEST_TEXT_MAX],
		   char digest[DIGEST_TEXT_MAX])
{
	const char *const changes[] = { CMD_CHANGE, "ENV A=b", NULL };
	struct coffer_image *image = NULL;
	int fd;

	root_tar(&tar_a, text);
	fd = file_of(tar_a.bytes, tar_a.n);
	OK(coffer_images_import(s->images, fd, name, changes, "made here", NULL, &image, e));
	close(fd);
	snprintf(id, DIGEST_TEXT_MAX, "%s", coffer_image_id(image));
	snprintf(digest, DIGEST_TEXT_MAX, "%s", coffer_image_digest(image));
	assert_string_equal(image->config.cmd[0], "/bin/true");
	assert_string_equal(image->config.history[0].comment, "made here");
	assert_int_equal(image->config.ndiff_ids, 1);
	coffer_image_free(image);
}

static void expect_image(struct shelf *s, const char *name, const char *id, const char *digest)
{
	struct coffer_image *image = NULL;

	OK(coffer_image_find(s->images, name, NULL, &image, e));
	assert_string_equal(coffer_image_id(image), id);
	if (digest)
		assert_string_equal(coffer_image_digest(image), digest);
	coffer_image_free(image);
}

/* ---- there and back ---- */

static int saved(struct shelf *s, const char *const *names, enum coffer_archive_kind kind)
{
	int fd = memfd_create("saved", MFD_CLOEXEC);

	OK(coffer_images_save(s->images, names, kind, fd, NULL, e));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void test_round_trip(void **state)
{
	static const enum coffer_archive_kind kinds[] = { COFFER_ARCHIVE_DOCKER,
							  COFFER_ARCHIVE_OCI };
	const char *const names[] = { "one", "example.com:5000/a/two:tag", "also", NULL };
	char id[2][DIGEST_TEXT_MAX], digest[2][DIGEST_TEXT_MAX];
	struct shelf from, to;

	shelf_open(&from);
	import(&from, "first\n", "one", id[0], digest[0]);
	import(&from, "second\n", names[1], id[1], digest[1]);
	{
		struct coffer_image *image = NULL;

		OK(coffer_image_find(from.images, "one", NULL, &image, e));
		OK(coffer_image_tag(image, "also", e));
		coffer_image_free(image);
	}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		int fd = saved(&from, names, kinds[i]), again = saved(&from, names, kinds[i]);

		assert_int_equal(lseek(fd, 0, SEEK_END), lseek(again, 0, SEEK_END));
		lseek(fd, 0, SEEK_SET);
		close(again);
		shelf_open(&to);
		OK(coffer_images_load(to.images, fd, NULL, shelf_told, &to, e));
		assert_string_equal(to.told,
				    "one:latest example.com:5000/a/two:tag also:latest");
		expect_image(&to, "one", id[0], digest[0]);
		expect_image(&to, "also", id[0], digest[0]);
		expect_image(&to, names[1], id[1], digest[1]);
		/* Nothing else has come along. */
		assert_int_equal(fixture_count(&to.store, "blobs/sha256"), 6);
		shelf_close(&to);
		close(fd);
	}
	shelf_close(&from);
}

static void test_directory(void **state)
{
	const char *const names[] = { "one", NULL };
	char id[DIGEST_TEXT_MAX], digest[DIGEST_TEXT_MAX], dir[] = "/tmp/coffer-layout-XXXXXX";
	struct coffer_error err = COFFER_ERROR_INIT;
	struct shelf from, to;
	char path[256];
	int fd;

	shelf_open(&from);
	import(&from, "first\n", "one", id, digest);
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OK(coffer_images_save(from.images, names, COFFER_ARCHIVE_OCI_DIR, fd, NULL, e));
	shelf_open(&to);
	OK(coffer_images_load(to.images, fd, NULL, shelf_told, &to, e));
	assert_string_equal(to.told, "one:latest");
	expect_image(&to, "one", id, digest);
	shelf_close(&to);
	/* It is not written over, and what is missing in it is said. */
	assert_int_equal(coffer_images_save(from.images, names, COFFER_ARCHIVE_OCI_DIR, fd, NULL,
					    &err),
			 -ENOTEMPTY);
	snprintf(path, sizeof(path), "%s/blobs/sha256/%s", dir, digest + 7);
	assert_int_equal(unlink(path), 0);
	shelf_open(&to);
	assert_true(coffer_images_load(to.images, fd, NULL, NULL, NULL, &err) < 0);
	assert_non_null(strstr(err.message, digest));
	assert_int_equal(fixture_count(&to.store, "blobs/sha256"), 0);
	/* Nor is a link followed out of it. */
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_true(coffer_images_load(to.images, fd, NULL, NULL, NULL, &err) < 0);
	shelf_close(&to);
	close(fd);
	OK(path_remove_tree(AT_FDCWD, dir, e));

	/* What did not become whole leaves the directory empty. */
	assert_int_equal(mkdir(dir, 0700), 0);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	{
		const char *const missing[] = { "one", "nothing", NULL };

		assert_int_equal(coffer_images_save(from.images, missing, COFFER_ARCHIVE_OCI_DIR,
						    fd, NULL, &err),
				 -ENOENT);
		assert_non_null(strstr(err.message, "nothing"));
	}
	close(fd);
	assert_int_equal(rmdir(dir), 0);
	shelf_close(&from);
}

/* By a pipe, as it is and compressed. */
static void pipe_in(struct shelf *to, int file, const char *program)
{
	int ends[2];
	pid_t child;
	int status;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		dup2(file, 0);
		dup2(ends[1], 1);
		execlp(program, program, NULL);
		_exit(127);
	}
	close(ends[1]);
	OK(coffer_images_load(to->images, ends[0], NULL, shelf_told, to, e));
	close(ends[0]);
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

static void test_pipes(void **state)
{
	static const char *const programs[] = { "cat", "gzip", "zstd", "xz" };
	const char *const names[] = { "one", NULL };
	char id[DIGEST_TEXT_MAX], digest[DIGEST_TEXT_MAX];
	struct shelf from, to;
	int fd;

	shelf_open(&from);
	import(&from, "first\n", "one", id, digest);
	fd = saved(&from, names, COFFER_ARCHIVE_DOCKER);
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		if (i > 0 && system("command -v zstd xz >/dev/null") != 0)
			break;
		lseek(fd, 0, SEEK_SET);
		shelf_open(&to);
		pipe_in(&to, fd, programs[i]);
		expect_image(&to, "one", id, NULL);
		assert_int_equal(fixture_count(&to.store, "blobs/sha256"), 3);
		shelf_close(&to);
	}
	close(fd);
	shelf_close(&from);
}

/* ---- others' archives ---- */

static void load_fails(struct tar *t, const char *why)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct shelf to;
	int fd, r;

	tar_end(t);
	fd = file_of(t->bytes, t->n);
	shelf_open(&to);
	r = coffer_images_load(to.images, fd, NULL, NULL, NULL, &err);
	if (r >= 0 || !strstr(err.message, why))
		fail_msg("%d \"%s\", not \"%s\"", r, err.message, why);
	assert_int_equal(fixture_count(&to.store, "blobs/sha256"), 0);
	shelf_close(&to);
	close(fd);
	memset(t, 0, sizeof(*t));
}

/* An image of docker's, with old names: ID/layer.tar, of which one is a link. */
struct docker {
	char config[1024], diff[DIGEST_TEXT_MAX];
	struct tar layer;
};

static void docker_make(struct docker *d)
{
	struct digest diff;

	root_tar(&d->layer, "docker's\n");
	OK(digest_of(d->layer.bytes, d->layer.n, &diff, e));
	snprintf(d->config, sizeof(d->config),
		 "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Cmd\":[\"sh\"]},"
		 "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\",\"%s\"]}}",
		 diff.text, diff.text);
	snprintf(d->diff, sizeof(d->diff), "%s", diff.text);
}

static const char docker_manifest[] =
	"[{\"Config\":\"abc.json\",\"RepoTags\":[\"old:1\",\"old:2\"],"
	"\"Layers\":[\"1/layer.tar\",\"2/layer.tar\"]}]";

static void docker_tar(struct tar *t, const struct docker *d, const char *link)
{
	tar_entry(t, "1/", '5', NULL, NULL, 0);
	tar_text(t, "1/VERSION", "1.0");
	tar_entry(t, "1/layer.tar", '0', NULL, d->layer.bytes, d->layer.n);
	tar_entry(t, "2/", '5', NULL, NULL, 0);
	tar_text(t, "2/VERSION", "1.0");
	tar_entry(t, "2/layer.tar", '2', link, NULL, 0);
	tar_text(t, "abc.json", d->config);
}

static void test_docker(void **state)
{
	static struct docker d;
	struct tar *t = &tar_b;
	struct digest id;
	struct shelf to;
	int fd;

	docker_make(&d);
	OK(digest_of(d.config, strlen(d.config), &id, e));
	memset(t, 0, sizeof(*t));
	docker_tar(t, &d, "../1/layer.tar");
	tar_text(t, "manifest.json", docker_manifest);
	tar_text(t, "repositories", "{}");
	tar_end(t);
	fd = file_of(t->bytes, t->n);
	shelf_open(&to);
	OK(coffer_images_load(to.images, fd, NULL, shelf_told, &to, e));
	assert_string_equal(to.told, "old:1 old:2");
	expect_image(&to, "old:2", id.text, NULL);
	/* A layer, a configuration, a manifest; VERSION and repositories are gone. */
	assert_int_equal(fixture_count(&to.store, "blobs/sha256"), 3);
	shelf_close(&to);
	close(fd);
}

static void test_docker_without_name(void **state)
{
	static struct docker d;
	struct tar *t = &tar_b;
	struct digest id;
	struct shelf to;
	int fd;

	docker_make(&d);
	OK(digest_of(d.config, strlen(d.config), &id, e));
	memset(t, 0, sizeof(*t));
	docker_tar(t, &d, "../1/layer.tar");
	tar_text(t, "manifest.json",
		 "[{\"Config\":\"abc.json\",\"RepoTags\":null,"
		 "\"Layers\":[\"1/layer.tar\",\"2/layer.tar\"]}]");
	tar_end(t);
	fd = file_of(t->bytes, t->n);
	shelf_open(&to);
	OK(coffer_images_load(to.images, fd, NULL, shelf_told, &to, e));
	assert_string_equal(to.told, id.text);
	expect_image(&to, id.text, id.text, NULL);
	shelf_close(&to);
	close(fd);
}

static void test_hostile_names(void **state)
{
	static struct docker d;
	struct tar *t = &tar_b;

	docker_make(&d);
	memset(t, 0, sizeof(*t));
	docker_tar(t, &d, "../../../etc/passwd");
	load_fails(t, "entry \"2/layer.tar\": is a link that leads out of the archive");
	docker_tar(t, &d, "/etc/passwd");
	load_fails(t, "is a link that leads out of the archive");
	docker_tar(t, &d, "layer.tar");
	tar_text(t, "manifest.json", docker_manifest);
	load_fails(t, "too many links");
	docker_tar(t, &d, "../3/layer.tar");
	tar_text(t, "manifest.json", docker_manifest);
	load_fails(t, "the file \"2/layer.tar\": is not in the archive");
	tar_text(t, "../x", "x");
	load_fails(t, "entry \"../x\": such a name cannot be");
	tar_text(t, "/x", "x");
	load_fails(t, "entry \"/x\": such a name cannot be");
	tar_entry(t, "x", '3', NULL, NULL, 0);
	load_fails(t, "entry \"x\": is neither a file nor a directory");
	tar_text(t, "a", "x");
	tar_text(t, "./a", "y");
	load_fails(t, "entry \"./a\": is there twice");
	tar_text(t, "etc/motd", "x");
	load_fails(t, "it has neither an index.json nor a manifest.json");
	tar_text(t, "manifest.json", "<html>");
	load_fails(t, "manifest.json");
	tar_text(t, "manifest.json", "{\"Config\":3}");
	load_fails(t, "manifest.json: images: expected an array");
	tar_text(t, "manifest.json", "[{\"Config\":\"../../etc/passwd\",\"Layers\":[]}]");
	load_fails(t, "such a name cannot be in an archive");
	tar_text(t, "manifest.json", "[]");
	load_fails(t, "there is no image in it");
}

static void test_hostile_content(void **state)
{
	static struct docker d;
	struct tar *t = &tar_b;
	char other[1024], *at;

	docker_make(&d);
	memset(t, 0, sizeof(*t));
	/* A layer that is not the configuration's. */
	memcpy(other, d.config, sizeof(other));
	at = strstr(other, "sha256:") + 10;
	*at = *at == '0' ? '1' : '0';
	tar_entry(t, "1/layer.tar", '0', NULL, d.layer.bytes, d.layer.n);
	tar_entry(t, "2/layer.tar", '1', "1/layer.tar", NULL, 0);
	tar_text(t, "abc.json", other);
	tar_text(t, "manifest.json", docker_manifest);
	load_fails(t, "the layer \"1/layer.tar\": has the digest");
	docker_tar(t, &d, "../1/layer.tar");
	tar_text(t, "manifest.json",
		 "[{\"Config\":\"abc.json\",\"Layers\":[\"1/layer.tar\"]}]");
	load_fails(t, "1 layers, the configuration has 2");
	/* Blobs are what they are called. */
	tar_text(t, "blobs/sha256/0123456789012345678901234567890123456789012345678901234567890123",
		 "{}");
	load_fails(t, "what is in it has the digest");
	tar_text(t, "index.json",
		 "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
		 "\"application/vnd.oci.image.manifest.v1+json\",\"size\":3,\"digest\":\"sha256:"
		 "0123456789012345678901234567890123456789012345678901234567890123\"}]}");
	load_fails(t, "is missing");
	/* Cut off. */
	docker_tar(t, &d, "../1/layer.tar");
	tar_text(t, "manifest.json", docker_manifest);
	t->n = 3000;
	{
		struct coffer_error err = COFFER_ERROR_INIT;
		struct shelf to;
		int fd = file_of(t->bytes, t->n);

		shelf_open(&to);
		assert_true(coffer_images_load(to.images, fd, NULL, NULL, NULL, &err) < 0);
		assert_int_equal(fixture_count(&to.store, "blobs/sha256"), 0);
		shelf_close(&to);
		close(fd);
	}
}

static void load_fails_limited(int fd, uint64_t bytes, uint32_t ratio, const char *why)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct shelf to;

	shelf_open(&to);
	to.images->settings.limits.bytes = bytes;
	to.images->settings.limits.ratio = ratio;
	assert_true(coffer_images_load(to.images, fd, NULL, NULL, NULL, &err) < 0);
	if (!strstr(err.message, why))
		fail_msg("\"%s\", not \"%s\"", err.message, why);
	shelf_close(&to);
	close(fd);
}

static void test_limits(void **state)
{
	char zeroes[] = "/tmp/coffer-zeroes-XXXXXX", command[100];
	struct tar *t = &tar_b;
	int fd = mkstemp(zeroes);

	memset(t, 0, sizeof(*t));
	tar_text(t, "index.json", "{}");
	tar_end(t);
	load_fails_limited(file_of(t->bytes, t->n), 1000, 100, "unpacks to more than 1000 bytes");
	snprintf(command, sizeof(command), "head -c 4000000 /dev/zero | gzip >%s", zeroes);
	assert_int_equal(system(command), 0);
	unlink(zeroes);
	load_fails_limited(fd, 1 << 30, 100, "unpacks to more than 100 times its size");
}

/* One byte, a mebibyte in: with a few digits more it would fill the disk. */
static void test_hole(void **state)
{
	static const char head[] = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
				   "31 GNU.sparse.realsize=1048577\n25 GNU.sparse.name=holey\n";
	char data[513] = "1\n1048576\n1\n";
	struct tar *t = &tar_b;

	memset(t, 0, sizeof(*t));
	data[512] = 'x';
	tar_entry(t, "head", 'x', NULL, head, sizeof(head) - 1);
	tar_entry(t, "holey", '0', NULL, data, sizeof(data));
	load_fails(t, "entry \"holey\": is a file with holes");
}

/* Indices that name the next one a thousand times each, and no image at all. */
static void test_hostile_index(void **state)
{
	static struct tar t;
	static char text[200 << 10];
	struct digest d;
	size_t size = 7;
	char name[100];

	OK(digest_of("nothing", 7, &d, e));
	for (int depth = 0; depth < 4; depth++) {
		size_t n = (size_t)snprintf(text, sizeof(text),
					    "{\"schemaVersion\":2,\"manifests\":[");

		for (int i = 0; i < 100; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n,
					      "%s{\"mediaType\":\"application/vnd.oci.image.index."
					      "v1+json\",\"digest\":\"%s\",\"size\":%zu}",
					      i ? "," : "", d.text, size);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "]}");
		OK(digest_of(text, n, &d, e));
		size = n;
		snprintf(name, sizeof(name), "blobs/sha256/%s", digest_hex(&d));
		tar_text(&t, depth < 3 ? name : "index.json", text);
	}
	load_fails(&t, "none of its images is there");
}

/* ---- import ---- */

static void test_import(void **state)
{
	const char *const bad[] = { "FROM scratch", NULL };
	struct coffer_transfer how = COFFER_TRANSFER_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct shelf s;
	int fd, ends[2];

	shelf_open(&s);
	root_tar(&tar_a, "x");
	fd = file_of(tar_a.bytes, tar_a.n);
	assert_true(coffer_images_import(s.images, fd, "one", bad, NULL, NULL, NULL, &err) < 0);
	assert_non_null(strstr(err.message, "FROM"));
	assert_true(coffer_images_import(s.images, fd, "UPPER/x y", NULL, NULL, NULL, NULL, &err) <
		    0);
	close(fd);
	/* What no layer can have. */
	memset(&tar_a, 0, sizeof(tar_a));
	tar_text(&tar_a, "../../etc/passwd", "x");
	tar_end(&tar_a);
	fd = file_of(tar_a.bytes, tar_a.n);
	assert_true(coffer_images_import(s.images, fd, "one", NULL, NULL, NULL, NULL, &err) < 0);
	assert_non_null(strstr(err.message, "../../etc/passwd"));
	assert_int_equal(fixture_count(&s.store, "blobs/sha256"), 0);
	close(fd);
	/* Who waits for input that does not come can give up. */
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	{
		int cancel[2];

		assert_int_equal(pipe2(cancel, O_CLOEXEC), 0);
		assert_int_equal(write(cancel[1], "x", 1), 1);
		how.cancel_fd = cancel[0];
		assert_int_equal(coffer_images_import(s.images, ends[0], "one", NULL, NULL, &how,
						      NULL, &err),
				 -ECANCELED);
		assert_int_equal(coffer_images_load(s.images, ends[0], &how, NULL, NULL, &err),
				 -ECANCELED);
		close(cancel[0]);
		close(cancel[1]);
	}
	close(ends[0]);
	close(ends[1]);
	shelf_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_pipes),
		cmocka_unit_test(test_docker),
		cmocka_unit_test(test_docker_without_name),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_hostile_content),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_hole),
		cmocka_unit_test(test_hostile_index),
		cmocka_unit_test(test_import),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
