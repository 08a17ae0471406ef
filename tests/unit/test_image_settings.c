/* SPDX-License-Identifier: Apache-2.0 */
/* registries.json: what it says, where it is looked for, and every class of error. */
#include "image_text.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/path.h"
#include "image/settings.h"

#define autosettings CLEANUP(settings_free)

static void test_full(void **state)
{
	autofree char *json = text_json(
	    "{'default':'r.example:5000','registries':{'docker.io':{'mirrors':['https://m.example/"
	    "p',"
	    "'http://127.0.0.1:5000']},'localhost:5000':{'insecure':true},'r.example':{'ca':'/ca',"
	    "'cert':'/cert','key':'/"
	    "key'}},'limits':{'entries':10,'bytes':'64g','ratio':7,'name':255}}");
	autosettings struct settings s = { 0 };
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_int_equal(settings_parse(json, strlen(json), &s, &err), 0);
	assert_string_equal(s.default_registry, "r.example:5000");
	assert_string_equal(settings_registry(&s, "docker.io")->mirrors[1],
			    "http://127.0.0.1:5000");
	assert_null(settings_registry(&s, "docker.io")->mirrors[2]);
	assert_false(settings_registry(&s, "docker.io")->insecure);
	assert_true(settings_registry(&s, "LocalHost:5000")->insecure);
	assert_string_equal(settings_registry(&s, "r.example")->key, "/key");
	assert_null(settings_registry(&s, "localhost")->name);
	assert_false(settings_registry(&s, "localhost")->insecure);
	assert_true(s.limits.bytes == UINT64_C(64) << 30);
	assert_int_equal(s.limits.entries, 10);
	assert_int_equal(s.limits.ratio, 7);
	assert_int_equal(s.limits.name, 255);
}

static void test_nothing_said(void **state)
{
	static const struct settings_limits defaults = SETTINGS_LIMITS_DEFAULT;
	autosettings struct settings s = { 0 };
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_int_equal(settings_parse("{}", 2, &s, &err), 0);
	assert_string_equal(s.default_registry, "docker.io");
	assert_memory_equal(&s.limits, &defaults, sizeof(defaults));
}

static void test_bad(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "", "settings: empty" },
		{ "[]", "settings: expected an object" },
		{ "{'defualt':'x'}", "settings: defualt: unknown" },
		{ "{'default':'http://x'}", "default: not a host name" },
		{ "{'default':7}", "default: expected a string" },
		{ "{'registries':[]}", "registries: expected an object" },
		{ "{'registries':{'a/b':{}}}", "registries.a/b: not a host name" },
		{ "{'registries':{'a':7}}", "registries.a: expected an object" },
		{ "{'registries':{'a':null}}", "registries.a: missing" },
		{ "{'registries':{'a':{'insecur':true}}}", "registries.a.insecur: unknown" },
		{ "{'registries':{'a':{'insecure':'true'}}}", "insecure: expected true or false" },
		{ "{'registries':{'a':{'mirrors':'http://x'}}}", "mirrors: expected an array" },
		{ "{'registries':{'a':{'mirrors':['x']}}}", "mirrors[0]: not an URL" },
		{ "{'registries':{'a':{'mirrors':[1]}}}", "mirrors[0]: expected a string" },
		{ "{'registries':{'a':{'ca':'x'}}}", "registries.a.ca: not an absolute path" },
		{ "{'registries':{'a':{'key':'/x'}}}", "registries.a: a key without a cert" },
		{ "{'registries':{'a':{},'a':{}}}", "twice in one object, in registries.a" },
		{ "{'limits':{'entries':0}}", "limits.entries: 0, not from 1 to" },
		{ "{'limits':{'entries':-1}}", "limits.entries: negative" },
		{ "{'limits':{'bytes':'lots'}}", "limits.bytes: not a size" },
		{ "{'limits':{'ratio':4294967296}}", "limits.ratio: 4294967296, not from 1" },
		{ "{'limits':{'name':true}}", "limits.name: expected an integer" },
		{ "{'limits':{'files':1}}", "limits.files: unknown" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		autofree char *json = text_json(rows[i].text);
		struct coffer_error err = COFFER_ERROR_INIT;
		struct settings s;

		text_refused(settings_parse(json, strlen(json), &s, &err), &err, -EINVAL,
			     rows[i].message);
		assert_null(s.registries);
	}
}

static void place(const char *dir, const char *name, const char *text)
{
	autofree char *path = path_join(dir, name), *json = text_json(text);
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_non_null(path);
	*strrchr(path, '/') = '\0';
	assert_int_equal(path_mkdirs(path, 0700, &err), 0);
	path[strlen(path)] = '/';
	assert_int_equal(io_replace_file(AT_FDCWD, path, json, strlen(json), 0600, &err), 0);
}

static void load(const char *path, const char *auth, const char *registry, const char *want_auth)
{
	autosettings struct settings s = { 0 };
	struct coffer_error err = COFFER_ERROR_INIT;

	if (settings_load(path, auth, &s, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(s.default_registry, registry);
	if (want_auth)
		assert_string_equal(s.auth, want_auth);
	else
		assert_null(s.auth);
}

static void test_places(void **state)
{
	char dir[] = "/tmp/coffer-settings-XXXXXX", named[64], auth[64], config[64];
	struct coffer_error err = COFFER_ERROR_INIT;
	struct settings s;

	assert_non_null(mkdtemp(dir));
	snprintf(named, sizeof(named), "%s/named.json", dir);
	snprintf(auth, sizeof(auth), "%s/.docker/config.json", dir);
	snprintf(config, sizeof(config), "%s/.config", dir);
	setenv("HOME", dir, 1);
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("COFFER_REGISTRIES");
	unsetenv("REGISTRY_AUTH_FILE");
	unsetenv("DOCKER_CONFIG");
	place(dir, ".config/coffer/registries.json", "{'default':'home.example'}");
	place(dir, "named.json", "{'default':'named.example'}");
	load(NULL, NULL, "home.example", auth);
	load(named, "/auth", "named.example", "/auth");
	setenv("COFFER_REGISTRIES", named, 1);
	setenv("DOCKER_CONFIG", "/docker", 1);
	load(NULL, NULL, "named.example", "/docker/config.json");
	setenv("REGISTRY_AUTH_FILE", "/registry", 1);
	load(NULL, NULL, "named.example", "/registry");
	/* What is named has to be there, and right. */
	text_refused(settings_load("/nowhere.json", NULL, &s, &err), &err, -ENOENT,
		     "/nowhere.json");
	place(dir, "named.json", "{'x':1}");
	text_refused(settings_load(NULL, NULL, &s, &err), &err, -EINVAL,
		     "named.json: settings: x: unknown");
	unsetenv("COFFER_REGISTRIES");
	unsetenv("REGISTRY_AUTH_FILE");
	unsetenv("DOCKER_CONFIG");
	setenv("XDG_CONFIG_HOME", config, 1);
	unsetenv("HOME");
	load(NULL, NULL, "home.example", NULL);
	path_remove_tree(AT_FDCWD, dir, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_nothing_said),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
