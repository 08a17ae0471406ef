/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_image_registry.c - small parts of the registry client: challenges, URLs, pauses
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/registry/auth.h"
#include "image/registry/origin.h"
#include "image/registry/retry.h"

static void challenges(void **state)
{
	static const struct {
		const char *header;
		int r;
		enum auth_scheme scheme;
		const char *realm, *service, *scope;
	} rows[] = {
		{ "Basic realm=\"r\"", 0, AUTH_BASIC, "r", "", "" },
		{ "basic", 0, AUTH_BASIC, "", "", "" },
		{ "Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:a/b:pull,push\"", 0,
		  AUTH_BEARER, "https://a/t", "s", "repository:a/b:pull,push" },
		{ "BEARER service = s , REALM=https://a/t", 0, AUTH_BEARER, "https://a/t", "s", "" },
		{ "Basic realm=\"b\", Bearer realm=\"t\"", 0, AUTH_BEARER, "t", "", "" },
		{ "Bearer realm=\"t\", Basic realm=\"b\"", 0, AUTH_BEARER, "t", "", "" },
		{ "Negotiate, Basic realm=b", 0, AUTH_BASIC, "b", "", "" },
		{ "Negotiate YII/+a==, Basic realm=b", 0, AUTH_BASIC, "b", "", "" },
		{ "Digest realm=\"d\", qop=\"auth,int\", nonce=5, Basic realm=\"b\"", 0, AUTH_BASIC,
		  "b", "", "" },
		{ ", ,Basic realm=\"a \\\"b\\\\ c, Bearer realm=x\" ,", 0, AUTH_BASIC,
		  "a \"b\\ c, Bearer realm=x", "", "" },
		{ "", 0, AUTH_NONE, "", "", "" },
		{ "Bearer", -EINVAL, AUTH_NONE, "", "", "" },
		{ "Bearer realm=\"\"", -EINVAL, AUTH_NONE, "", "", "" },
		{ "Bearer realm=\"t", -EINVAL, AUTH_NONE, "", "", "" },
		{ "Bearer realm=\"t\\", -EINVAL, AUTH_NONE, "", "", "" },
		{ "Bearer realm=\"a\nb\"", -EINVAL, AUTH_NONE, "", "", "" },
		{ "Basic realm=b, =x", -EINVAL, AUTH_BASIC, "b", "", "" },
		{ "Basic realm=b c", -EINVAL, AUTH_NONE, "", "", "" },
		{ "\"quoted\"", -EINVAL, AUTH_NONE, "", "", "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct auth_challenge c = { 0 };

		print_message("%s\n", rows[i].header);
		assert_int_equal(auth_parse(rows[i].header, &c), rows[i].r);
		assert_int_equal(c.scheme, rows[i].scheme);
		assert_string_equal(c.realm, rows[i].realm);
		assert_string_equal(c.service, rows[i].service);
		assert_string_equal(c.scope, rows[i].scope);
	}
}

static void challenge_too_long(void **state)
{
	static char text[AUTH_SCOPE_MAX * 2] = "Basic realm=b, Bearer realm=\"";
	struct auth_challenge c = { 0 };
	size_t n = strlen(text);

	memset(text + n, 'x', AUTH_REALM_MAX);
	text[n + AUTH_REALM_MAX] = '"';
	assert_int_equal(auth_parse(text, &c), -EINVAL);
	assert_int_equal(c.scheme, AUTH_BASIC);
	memmove(text + n + AUTH_REALM_MAX - 1, "\"", 2);
	assert_int_equal(auth_parse(text, &c), 0);
	assert_int_equal(c.scheme, AUTH_BEARER);
	assert_int_equal(strlen(c.realm), AUTH_REALM_MAX - 1);
}

static void origins(void **state)
{
	static const struct {
		const char *url, *host;
		unsigned port;
		bool ok, secure, loopback;
	} rows[] = {
		{ "https://a.example/x", "a.example", 443, true, true, false },
		{ "http://a.example:5000/x?y", "a.example", 5000, true, false, false },
		{ "http://localhost:5000", "localhost", 5000, true, false, true },
		{ "http://reg.localhost/", "reg.localhost", 80, true, false, true },
		{ "http://notlocalhost/", "notlocalhost", 80, true, false, false },
		{ "http://127.1.2.3/", "127.1.2.3", 80, true, false, true },
		{ "http://127.0.0.1.example/", "127.0.0.1.example", 80, true, false, false },
		{ "https://[::1]:7/", "[::1]", 7, true, true, true },
		{ "https://user@a.example/", "", 0, false, false, false },
		{ "https://user:pw@a.example/", "", 0, false, false, false },
		{ "ftp://a.example/", "", 0, false, false, false },
		{ "file:///etc/passwd", "", 0, false, false, false },
		{ "//a.example/", "", 0, false, false, false },
		{ "a.example/x", "", 0, false, false, false },
		{ "https://", "", 0, false, false, false },
		{ "https://a.example/\r\nX: y", "", 0, false, false, false },
	};
	struct coffer_error err;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct origin o;

		print_message("%s\n", rows[i].url);
		assert_int_equal(origin_parse(rows[i].url, &o, &err) == 0, rows[i].ok);
		if (!rows[i].ok)
			continue;
		assert_string_equal(o.host, rows[i].host);
		assert_int_equal(o.port, rows[i].port);
		assert_int_equal(o.secure, rows[i].secure);
		assert_int_equal(origin_is_loopback(&o), rows[i].loopback);
	}
}

static void locations(void **state)
{
	static const char base[] = "https://a.example:5/v2/x/blobs/1?q";
	static const struct {
		const char *location, *url;
	} rows[] = {
		{ "/up/7", "https://a.example:5/up/7" },
		{ "2?z=1", "https://a.example:5/v2/x/blobs/2?z=1" },
		{ "//b.example/y", "https://b.example/y" },
		{ "http://c.example/", "http://c.example/" },
		{ "http://u:p@c.example/", NULL },
		{ "/a\nb", NULL },
	};
	struct coffer_error err;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *out;

		print_message("%s\n", rows[i].location);
		assert_int_equal(origin_resolve(base, rows[i].location, &out, &err) == 0,
				 rows[i].url != NULL);
		if (rows[i].url)
			assert_string_equal(out, rows[i].url);
		free(out);
	}
}

static void pauses(void **state)
{
	struct retry r = { 0 };
	usec_t before = 0, pause;
	unsigned n = 0;

	while ((pause = retry_next(&r, 0)) != USEC_INFINITY) {
		assert_true(pause > before);
		assert_true(pause < 10 * USEC_PER_SEC);
		before = pause;
		assert_true(++n < 20);
	}
	assert_int_equal(n, 5);
	/* Who gets somewhere may go on, but not for ever. */
	for (n = 0; retry_achieved(&r), retry_next(&r, 0) != USEC_INFINITY; n++)
		assert_true(n < 100);
	r = (struct retry){ 0 };
	assert_int_equal(retry_next(&r, 30), 30 * USEC_PER_SEC);
	assert_int_equal(retry_next(&r, RETRY_AFTER_MAX + 1), USEC_INFINITY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(challenges), cmocka_unit_test(challenge_too_long),
		cmocka_unit_test(origins),    cmocka_unit_test(locations),
		cmocka_unit_test(pauses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
