/* SPDX-License-Identifier: Apache-2.0 */
/* Names of images and of content: docker's grammar, its defaults, and hashes as others compute
 * them. */
#include "image_text.h"

#include <pthread.h>
#include <stdio.h>

#include "image/reference.h"

static void test_names(void **state)
{
	static const struct {
		const char *text, *registry, *canonical, *familiar;
	} rows[] = {
		{ "redis", NULL, "docker.io/library/redis:latest", "redis:latest" },
		{ "redis:7.2-alpine", NULL, "docker.io/library/redis:7.2-alpine",
		  "redis:7.2-alpine" },
		{ "a/b", NULL, "docker.io/a/b:latest", "a/b:latest" },
		{ "a/b/c_d__e.f--g", NULL, "docker.io/a/b/c_d__e.f--g:latest",
		  "a/b/c_d__e.f--g:latest" },
		{ "docker.io/redis", NULL, "docker.io/library/redis:latest", "redis:latest" },
		{ "index.docker.io/a/b", NULL, "docker.io/a/b:latest", "a/b:latest" },
		{ "library/x:1", NULL, "docker.io/library/x:1", "x:1" },
		{ "library/a/b", NULL, "docker.io/library/a/b:latest", "library/a/b:latest" },
		{ "localhost/x", NULL, "localhost/x:latest", "localhost/x:latest" },
		{ "localhost:5000/x", NULL, "localhost:5000/x:latest", "localhost:5000/x:latest" },
		{ "HOST/x", NULL, "HOST/x:latest", "HOST/x:latest" },
		{ "127.0.0.1:1/x", NULL, "127.0.0.1:1/x:latest", "127.0.0.1:1/x:latest" },
		{ "[::1]:5000/x", NULL, "[::1]:5000/x:latest", "[::1]:5000/x:latest" },
		{ "[2001:db8::1]/x", NULL, "[2001:db8::1]/x:latest", "[2001:db8::1]/x:latest" },
		{ "r.example/x@" TEXT_DIGEST, NULL, "r.example/x@" TEXT_DIGEST,
		  "r.example/x@" TEXT_DIGEST },
		{ "x:1@" TEXT_DIGEST, NULL, "docker.io/library/x:1@" TEXT_DIGEST,
		  "x:1@" TEXT_DIGEST },
		{ "x:_A.-9", NULL, "docker.io/library/x:_A.-9", "x:_A.-9" },
		/* Without its registry this would be one of another. */
		{ "docker.io/foo.bar/x", NULL, "docker.io/foo.bar/x:latest",
		  "docker.io/foo.bar/x:latest" },
		{ "docker.io/localhost/x", NULL, "docker.io/localhost/x:latest",
		  "docker.io/localhost/x:latest" },
		{ "redis", "localhost:5000", "localhost:5000/redis:latest",
		  "localhost:5000/redis:latest" },
		{ "docker.io/redis", "localhost:5000", "docker.io/library/redis:latest",
		  "redis:latest" },
		{ TEXT_HASH "0", NULL, "docker.io/library/" TEXT_HASH "0:latest",
		  TEXT_HASH "0:latest" },
		{ "r.example/" TEXT_HASH, NULL, "r.example/" TEXT_HASH ":latest",
		  "r.example/" TEXT_HASH ":latest" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct coffer_error err = COFFER_ERROR_INIT;
		char text[REFERENCE_TEXT_MAX];
		struct reference ref, again;

		if (reference_parse(rows[i].text, rows[i].registry, &ref, &err) < 0)
			fail_msg("%s: %s", rows[i].text, err.message);
		reference_canonical(&ref, text);
		assert_string_equal(text, rows[i].canonical);
		/* What the store keeps means the same whatever the default is. */
		assert_int_equal(reference_parse(text, "other.example", &again, &err), 0);
		assert_memory_equal(&ref, &again, sizeof(ref));
		reference_familiar(&ref, text);
		assert_string_equal(text, rows[i].familiar);
		assert_int_equal(reference_parse(text, NULL, &again, &err), 0);
		assert_memory_equal(&ref, &again, sizeof(ref));
	}
}

static void test_bad_names(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *message;
	} rows[] = {
		{ "", -EINVAL, "empty" },
		{ "Redis", -EINVAL, "upper-case" },
		{ "a/B", -EINVAL, "upper-case" },
		{ "a//b", -EINVAL, "path:" },
		{ "/a", -EINVAL, "path:" },
		{ "a/", -EINVAL, "path:" },
		{ "-a", -EINVAL, "path:" },
		{ "a-", -EINVAL, "path:" },
		{ "a..b", -EINVAL, "path:" },
		{ "a___b", -EINVAL, "path:" },
		{ "a._b", -EINVAL, "path:" },
		{ "../x", -EINVAL, "registry:" },
		{ "a b", -EINVAL, "path:" },
		{ "a\nb", -EINVAL, "image name \"a?b\": path:" },
		{ "\303\244", -EINVAL, "image name \"??\"" },
		{ "x:", -EINVAL, "tag:" },
		{ "x:-a", -EINVAL, "tag:" },
		{ "x:a:b", -EINVAL, "tag:" },
		{ "x:a/b", -EINVAL, "registry:" },
		{ "x@", -EINVAL, "not a digest" },
		{ "x@sha256", -EINVAL, "not a digest" },
		{ "x@sha256:abc", -EINVAL, "64 digits" },
		{ "x@sha256:E3B0C44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		  -EINVAL, "lower case" },
		{ "x@" TEXT_DIGEST "0", -EINVAL, "64 digits" },
		{ "x@" TEXT_DIGEST ":1", -EINVAL, "64 digits" },
		{ "x@sha512:" TEXT_HASH, -EINVAL, "128 digits" },
		{ "x@md5:d41d8cd98f00b204e9800998ecf8427e", -EOPNOTSUPP, "the algorithm md5" },
		{ "r.example:/x", -EINVAL, "registry:" },
		{ "r.example:0/x", -EINVAL, "registry:" },
		{ "r.example:65536/x", -EINVAL, "registry:" },
		{ "r.example:99999999999999999999/x", -EINVAL, "registry:" },
		{ "r.example:5000x/x", -EINVAL, "registry:" },
		{ "-r.example/x", -EINVAL, "registry:" },
		{ "r..example/x", -EINVAL, "registry:" },
		{ "user@r.example/x", -EINVAL, "registry:" },
		{ "https://r.example/x", -EINVAL, "registry:" },
		{ "[::1/x", -EINVAL, "registry:" },
		{ "[::g]/x", -EINVAL, "registry:" },
		{ TEXT_HASH, -EINVAL, "are an id" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct coffer_error err = COFFER_ERROR_INIT;
		struct reference ref;

		text_refused(reference_parse(rows[i].text, NULL, &ref, &err), &err, rows[i].code,
			     rows[i].message);
		assert_int_equal(ref.path[0], '\0');
	}
}

static void test_long_names(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct reference ref;
	char text[1000];

	for (size_t n = 1; n < sizeof(text) - 1; n++) {
		bool fits = n + strlen("docker.io/library/") <= REFERENCE_NAME_MAX;

		memset(text, 'x', n);
		text[n] = '\0';
		assert_int_equal(reference_parse(text, NULL, &ref, &err), fits ? 0 : -EINVAL);
	}
	memset(text, 'x', sizeof(text));
	memcpy(text, "a:", 2);
	text[2 + REFERENCE_TAG_MAX] = '\0';
	assert_int_equal(reference_parse(text, NULL, &ref, &err), 0);
	text[2 + REFERENCE_TAG_MAX] = 'x';
	text[3 + REFERENCE_TAG_MAX] = '\0';
	text_refused(reference_parse(text, NULL, &ref, &err), &err, -EINVAL,
		     "tag: longer than 128");
}

static void test_digests(void **state)
{
	static const char abc512[] =
	    "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
	    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
	struct coffer_error err = COFFER_ERROR_INIT;
	struct digest d, like;
	struct hasher *h;

	assert_int_equal(digest_of("", 0, &d, &err), 0);
	assert_string_equal(d.text, TEXT_DIGEST);
	assert_string_equal(digest_hex(&d), TEXT_HASH);
	assert_string_equal(digest_algorithm(&d), "sha256");
	assert_int_equal(digest_of("abc", 3, &d, &err), 0);
	assert_string_equal(d.text, TEXT_OTHER);
	assert_int_equal(digest_parse(abc512, &like, &err), 0);
	assert_int_equal(hasher_new(&like, &h, &err), 0);
	hasher_update(h, "a", 1);
	hasher_update(h, NULL, 0);
	hasher_update(h, "bc", 2);
	assert_int_equal(hasher_end(h, &d, &err), 0);
	hasher_free(h);
	assert_true(digest_is_equal(&d, &like));
	like = (struct digest){ 0 };
	assert_true(digest_is_empty(&like));
	assert_int_equal(hasher_new(&like, &h, &err), -EINVAL);
}

static void *digest_thread(void *data)
{
	struct digest *d = data;

	return digest_of("abc", 3, d, NULL) < 0 ? d : NULL;
}

/* The library comes in once, whoever is first. */
static void test_digests_at_once(void **state)
{
	struct digest d[8];
	pthread_t threads[8];
	void *failed;

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, digest_thread, &d[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
		assert_string_equal(d[i].text, TEXT_OTHER);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First, while nobody has loaded it. */
		cmocka_unit_test(test_digests_at_once), cmocka_unit_test(test_digests),
		cmocka_unit_test(test_names),		cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_long_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
