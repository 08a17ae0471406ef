/* SPDX-License-Identifier: Apache-2.0 */
/* Docker's config.json and its helpers: found, kept, forgotten, and what is refused. */
#include "image_text.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/path.h"
#include "image/base64.h"
#include "image/credentials.h"

#define autocredentials CLEANUP(credentials_free)

static char scratch_dir[] = "/tmp/coffer-credentials-XXXXXX";
static char scratch_file[64];

static int setup(void **state)
{
	memcpy(strrchr(scratch_dir, '-') + 1, "XXXXXX", 6);
	if (!mkdtemp(scratch_dir))
		return -1;
	snprintf(scratch_file, sizeof(scratch_file), "%s/docker/config.json", scratch_dir);
	return setenv("PATH", scratch_dir, 1);
}

static int teardown(void **state)
{
	return path_remove_tree(AT_FDCWD, scratch_dir, NULL);
}

static void file_put(const char *text)
{
	autofree char *json = text_json(text), *dir = path_join(scratch_dir, "docker");
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_int_equal(path_mkdirs(dir, 0700, &err), 0);
	assert_int_equal(io_replace_file(AT_FDCWD, scratch_file, json, strlen(json), 0644, &err),
			 0);
}

static void file_is(const char *text)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *json = text_json(text), *got = NULL;
	struct stat st;
	char *out;

	assert_int_equal(io_read_file(AT_FDCWD, scratch_file, 1 << 16, &got, NULL, &err), 0);
	out = got;
	for (const char *p = got; *p; p++)
		if (!strchr(" \t\n", *p))
			*out++ = *p;
	*out = '\0';
	assert_string_equal(got, json);
	assert_int_equal(stat(scratch_file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* A helper, as a script of the shell; what it was given goes to a file. */
static void helper_put(const char *name, const char *script)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *path = NULL, *text = NULL;

	assert_true(asprintf(&path, "%s/docker-credential-%s", scratch_dir, name) > 0);
	assert_true(asprintf(&text, "#!/bin/sh\nPATH=/bin:/usr/bin\nd='%s'\n%s\n", scratch_dir,
			     script) > 0);
	assert_int_equal(io_replace_file(AT_FDCWD, path, text, strlen(text), 0700, &err), 0);
}

/* One that keeps a single password in a file. */
static const char helper_good[] = "case $1 in\n"
				  "store) cat >$d/kept; exit 0;;\n"
				  "get) cat >$d/asked; test -e $d/kept && exec cat $d/kept;;\n"
				  "erase) cat >$d/erased; rm $d/kept; exit 0;;\n"
				  "esac\n"
				  "echo 'credentials not found in native keychain'; exit 1";

static void asked_is(const char *file, const char *want)
{
	autofree char *path = path_join(scratch_dir, file), *text = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_int_equal(io_read_file(AT_FDCWD, path, 1 << 16, &text, NULL, &err), 0);
	assert_string_equal(text, want);
}

static void same(const char *got, const char *want)
{
	if (want && got)
		assert_string_equal(got, want);
	else
		assert_ptr_equal(got, want);
}

static void find(const char *registry, const char *user, const char *password, const char *token)
{
	autocredentials struct credentials c = { 0 };
	struct coffer_error err = COFFER_ERROR_INIT;

	if (credentials_find(scratch_file, registry, &c, &err) < 0)
		fail_msg("%s", err.message);
	same(c.user, user);
	same(c.password, password);
	same(c.token, token);
}

static void test_base64(void **state)
{
	static const struct {
		const char *plain, *text;
	} rows[] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xff\xfe\xfd?>", "//79Pz4=" },
	};
	static const char *const bad[] = { "Z",	    "Zg",   "Zg=",	"Zh==",
					   "Zm9=",  "=Zg=", "Zg==Zg==", "Zm9v\n",
					   "Zm 9v", "Zm9-", "Zm9v====", "Z===" };
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		autofree char *text = base64_encode(rows[i].plain, strlen(rows[i].plain));
		autofree char *plain = base64_decode(rows[i].text, &n);

		assert_string_equal(text, rows[i].text);
		assert_non_null(plain);
		assert_string_equal(plain, rows[i].plain);
		assert_int_equal(n, strlen(rows[i].plain));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_null(base64_decode(bad[i], &n));
		assert_int_equal(errno, EINVAL);
	}
}

static void test_auths(void **state)
{
	file_put(
	    "{'auths':{'https://index.docker.io/v1/':{'auth':'dTpw'},"
	    "'r.example':{'auth':'dTpwOnE='},'https://s.example:5000/v2/':{'auth':'czp0'},"
	    "'http://t.example':{'username':'tu','password':'tp'},'u.example/part':{'auth':'dTpw'},"
	    "'v.example':{'auth':'dTo=','identitytoken':'tok'},'w.example':{},'y.example':{'"
	    "username':'y'},'z.example':{'password':'z'},"
	    "'https://x.example/':{'auth':'b2xkOnA='},'x.example':{'auth':'bmV3OnA='}},"
	    "'HttpHeaders':{'a':'b'}}");
	find("docker.io", "u", "p", NULL);
	find("index.docker.io", "u", "p", NULL);
	find("r.example", "u", "p:q", NULL);
	find("R.EXAMPLE", "u", "p:q", NULL);
	find("s.example:5000", "s", "t", NULL);
	find("s.example", NULL, NULL, NULL);
	find("t.example", "tu", "tp", NULL);
	/* A part of a registry is not all of it. */
	find("u.example", NULL, NULL, NULL);
	find("v.example", "u", "", "tok");
	find("w.example", NULL, NULL, NULL);
	find("x.example", "new", "p", NULL);
	find("nobody.example", NULL, NULL, NULL);
	find("y.example", "y", "", NULL);
	find("z.example", NULL, NULL, NULL);
}

static void test_no_file(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct credentials c;

	find("docker.io", NULL, NULL, NULL);
	assert_int_equal(err.kind, COFFER_ERR_NONE);
	assert_int_equal(credentials_find(NULL, "docker.io", &c, &err), 0);
	assert_null(c.user);
	file_put("");
	find("docker.io", NULL, NULL, NULL);
}

static void test_bad_files(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *message;
	} rows[] = {
		{ "x", -EINVAL, "JSON at offset 0" },
		{ "<html>", -EINVAL, "HTML" },
		{ "[]", -EINVAL, "expected an object" },
		{ "{'auths':[]}", -EINVAL, "auths: expected an object" },
		{ "{'auths':{'r.example':'x'}}", -EINVAL, "auths.r.example: expected an object" },
		{ "{'auths':{'r.example':{'auth':7}}}", -EINVAL,
		  "auths.r.example.auth: expected a str" },
		{ "{'auths':{'r.example':{'auth':'!'}}}", -EINVAL,
		  "auth: not user:password in base64" },
		{ "{'auths':{'r.example':{'auth':'Zm9v'}}}", -EINVAL, "not user:password" },
		{ "{'auths':{'r.example':{'auth':'OnA='}}}", -EINVAL, "not user:password" },
		{ "{'credHelpers':7}", -EINVAL, "credHelpers: expected an object" },
		{ "{'credHelpers':{'r.example':''}}", -EINVAL, "credHelpers.r.example: empty" },
		{ "{'credsStore':{}}", -EINVAL, "credsStore: expected a string" },
		{ "{'credsStore':'../x'}", -EINVAL, "not the name of a credential helper" },
		{ "{'credsStore':'missing'}", -ENOENT,
		  "no program docker-credential-missing in $PATH" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct coffer_error err = COFFER_ERROR_INIT;
		struct credentials c;

		file_put(rows[i].text);
		text_refused(credentials_find(scratch_file, "r.example", &c, &err), &err,
			     rows[i].code, rows[i].message);
		assert_null(c.user);
		assert_null(c.password);
	}
}

static int keep(const char *registry, char *user, char *password, char *token,
		struct coffer_error *err)
{
	struct credentials c = { .user = user, .password = password, .token = token };

	return credentials_keep(scratch_file, registry, &c, err);
}

static void test_keep(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	char user[] = "u", password[] = "p:q", token[] = "t", colon[] = "a:b", empty[] = "";

	assert_int_equal(keep("docker.io", user, password, NULL, &err), 0);
	file_is("{'auths':{'https://index.docker.io/v1/':{'auth':'dTpwOnE='}}}");
	file_put(
	    "{'detachKeys':'a','auths':{'https://r.example/':{'auth':'b2xkOnA='},'o':{}},'x':[1]}");
	assert_int_equal(keep("r.example", user, password, NULL, &err), 0);
	file_is("{'detachKeys':'a','auths':{'o':{},'r.example':{'auth':'dTpwOnE='}},'x':[1]}");
	find("r.example", "u", "p:q", NULL);
	assert_int_equal(keep("o", NULL, NULL, token, &err), 0);
	find("o", NULL, NULL, "t");
	text_refused(keep("o", colon, password, NULL, &err), &err, -EINVAL, "a colon");
	text_refused(keep("o", user, empty, NULL, &err), &err, -EINVAL, "are needed");
	text_refused(keep("o", NULL, NULL, NULL, &err), &err, -EINVAL, "are needed");
	/* What is not understood is not written over. */
	file_put("{'auths':7}");
	text_refused(keep("o", user, password, NULL, &err), &err, -EINVAL,
		     "auths: expected an object");
	file_put("not JSON");
	text_refused(keep("o", user, password, NULL, &err), &err, -EINVAL, "JSON at offset 1");
	assert_int_equal(credentials_keep(NULL, "o", &(struct credentials){ .token = token }, &err),
			 -EINVAL);
}

static void test_keep_behind_link(void **state)
{
	autofree char *real = path_join(scratch_dir, "real.json"),
		      *dir = path_join(scratch_dir, "docker");
	struct coffer_error err = COFFER_ERROR_INIT;
	char user[] = "u", password[] = "p";
	struct stat st;

	assert_int_equal(path_mkdirs(dir, 0700, &err), 0);
	assert_int_equal(io_replace_file(AT_FDCWD, real, "{}", 2, 0600, &err), 0);
	assert_int_equal(symlink(real, scratch_file), 0);
	assert_int_equal(keep("o", user, password, NULL, &err), 0);
	assert_int_equal(lstat(scratch_file, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	file_is("{'auths':{'o':{'auth':'dTpw'}}}");
}

static void test_forget(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	file_put("{'auths':{'https://r.example/v2/"
		 "':{'auth':'dTpw'},'r.example':{},'o':{'auth':'dTpw'}}}");
	assert_int_equal(credentials_forget(scratch_file, "r.example", &err), 0);
	file_is("{'auths':{'o':{'auth':'dTpw'}}}");
	text_refused(credentials_forget(scratch_file, "r.example", &err), &err, -ENOENT,
		     "not logged in to r.example");
	assert_int_equal(err.kind, COFFER_ERR_NOT_FOUND);
	file_is("{'auths':{'o':{'auth':'dTpw'}}}");
}

static void test_helper(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	char user[] = "u", password[] = "p\"q", token[] = "t";

	helper_put("good", helper_good);
	file_put("{'credsStore':'good','auths':{'other.example':{'auth':'dTpw'}}}");
	find("docker.io", NULL, NULL, NULL);
	asked_is("asked", "https://index.docker.io/v1/");
	/* What it does not know may be in the file. */
	find("other.example", "u", "p", NULL);
	asked_is("asked", "other.example");
	assert_int_equal(keep("r.example", user, password, NULL, &err), 0);
	asked_is("kept", "{\"ServerURL\":\"r.example\",\"Username\":\"u\",\"Secret\":\"p\\\"q\"}");
	file_is("{'credsStore':'good','auths':{'other.example':{'auth':'dTpw'},'r.example':{}}}");
	find("r.example", "u", "p\"q", NULL);
	assert_int_equal(credentials_forget(scratch_file, "r.example", &err), 0);
	asked_is("erased", "r.example");
	file_is("{'credsStore':'good','auths':{'other.example':{'auth':'dTpw'}}}");
	assert_int_equal(credentials_forget(scratch_file, "r.example", &err), -ENOENT);
	assert_int_equal(keep("r.example", NULL, NULL, token, &err), 0);
	asked_is("kept", "{\"ServerURL\":\"r.example\",\"Username\":\"<token>\",\"Secret\":\"t\"}");
	find("r.example", NULL, NULL, "t");
}

static void test_helper_of_registry(void **state)
{
	helper_put("good", helper_good);
	helper_put("bad", "echo no >&2; echo 'keyring is locked'; exit 3");
	file_put(
	    "{'credsStore':'bad','credHelpers':{'r.example':'good','https://s.example':'good'}}");
	find("r.example", NULL, NULL, NULL);
	find("s.example", NULL, NULL, NULL);
	asked_is("asked", "s.example");
}

static void test_bad_helpers(void **state)
{
	static const struct {
		const char *script;
		int code;
		const char *message;
	} rows[] = {
		{ "echo 'keyring is locked'; echo more; exit 3", -EIO,
		  "credential helper h: get: exit status 3: keyring is locked" },
		{ "kill -9 $$", -EIO, "exit status 137" },
		{ "exit 0", -EINVAL, "credential helper h: get: answer: empty" },
		{ "echo '<html>'", -EINVAL, "answer: a page of HTML" },
		{ "echo '{\"Username\":1}'", -EINVAL, "answer: Username: expected a string" },
		{ "exec cat /dev/zero", -EINVAL, "an answer of more than 65536 bytes" },
	};

	file_put("{'credsStore':'h'}");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct coffer_error err = COFFER_ERROR_INIT;
		struct credentials c;

		helper_put("h", rows[i].script);
		text_refused(credentials_find(scratch_file, "r.example", &c, &err), &err,
			     rows[i].code, rows[i].message);
		assert_null(c.user);
	}
}

int main(void)
{
#define CREDENTIALS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64),
		CREDENTIALS_TEST(test_auths),
		CREDENTIALS_TEST(test_no_file),
		CREDENTIALS_TEST(test_bad_files),
		CREDENTIALS_TEST(test_keep),
		CREDENTIALS_TEST(test_keep_behind_link),
		CREDENTIALS_TEST(test_forget),
		CREDENTIALS_TEST(test_helper),
		CREDENTIALS_TEST(test_helper_of_registry),
		CREDENTIALS_TEST(test_bad_helpers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
