/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/features.c - features: what a document may ask for, as runtime-spec 1.1 words it
 *
 * Every list is the table that the code itself goes by.
 */
#include <seccomp.h>
#include <stdio.h>

#include "base/json.h"
#include "spec/mount_options.h"
#include "oci/oci.h"
#include "spec/spec.h"

#define FEATURES_OLDEST "1.0.0"

static struct json_object *features_words(const char *const *words)
{
	struct json_object *list = json_object_new_array();

	for (; *words; words++)
		json_object_array_add(list, json_object_new_string(*words));
	return list;
}

static struct json_object *features_mount_options(void)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; mount_options_word(i); i++)
		json_object_array_add(list, json_object_new_string(mount_options_word(i)));
	return list;
}

/* An object of flags; @names is NULL-terminated. */
static struct json_object *features_flags(const char *const *names, bool value)
{
	struct json_object *obj = json_object_new_object();

	for (; *names; names++)
		json_object_object_add(obj, *names, json_object_new_boolean(value));
	return obj;
}

static struct json_object *features_enabled(bool enabled)
{
	return features_flags((const char *[]){ "enabled", NULL }, enabled);
}

static struct json_object *features_seccomp(void)
{
	struct json_object *obj = features_enabled(true);
	const char *const *flags = oci_words(OCI_WORDS_SECCOMP_FLAG);

	json_object_object_add(obj, "actions",
			       features_words(oci_words(OCI_WORDS_SECCOMP_ACTION)));
	json_object_object_add(obj, "operators",
			       features_words(oci_words(OCI_WORDS_SECCOMP_OPERATOR)));
	json_object_object_add(obj, "archs", features_words(oci_words(OCI_WORDS_SECCOMP_ARCH)));
	json_object_object_add(obj, "knownFlags", features_words(flags));
	json_object_object_add(obj, "supportedFlags", features_words(flags));
	return obj;
}

static struct json_object *features_linux(void)
{
	static const char *const cgroup[] = { "v1",	     "v2",   "systemd",
					      "systemdUser", "rdma", NULL };
	struct json_object *obj = json_object_new_object(), *mounts = json_object_new_object();

	json_object_object_add(obj, "namespaces", features_words(oci_words(OCI_WORDS_NAMESPACE)));
	json_object_object_add(obj, "capabilities",
			       features_words(oci_words(OCI_WORDS_CAPABILITY)));
	json_object_object_add(obj, "cgroup", features_flags(cgroup, true));
	json_object_object_add(obj, "seccomp", features_seccomp());
	json_object_object_add(obj, "apparmor", features_enabled(true));
	json_object_object_add(obj, "selinux", features_enabled(true));
	json_object_object_add(obj, "intelRdt", features_enabled(false));
	json_object_object_add(mounts, "idmap", features_enabled(true));
	json_object_object_add(obj, "mountExtensions", mounts);
	return obj;
}

static struct json_object *features_annotations(void)
{
	const struct scmp_version *v = seccomp_version();
	struct json_object *obj = json_object_new_object();
	char text[48];

	snprintf(text, sizeof(text), "%u.%u.%u", v->major, v->minor, v->micro);
	json_object_object_add(obj, "io.github.seccomp.libseccomp.version",
			       json_object_new_string(text));
	return obj;
}

static int features_main(const struct oci *oci, const void *opts, int nargs, char *args[],
			 struct coffer_error *err)
{
	static const char *const hooks[] = { "prestart",       "createRuntime", "createContainer",
					     "startContainer", "poststart",	"poststop", NULL };
	autojson struct json_object *obj = json_object_new_object();

	json_object_object_add(obj, "ociVersionMin", json_object_new_string(FEATURES_OLDEST));
	json_object_object_add(obj, "ociVersionMax", json_object_new_string(OCI_VERSION));
	json_object_object_add(obj, "hooks", features_words(hooks));
	json_object_object_add(obj, "mountOptions", features_mount_options());
	json_object_object_add(obj, "linux", features_linux());
	json_object_object_add(obj, "annotations", features_annotations());
	puts(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PRETTY |
						     JSON_C_TO_STRING_SPACED |
						     JSON_C_TO_STRING_NOSLASHESCAPE));
	return 0;
}

static const struct opt_row features_rows[] = { OCI_ROW_HELP };

const struct oci_command oci_features = {
	.name = "features",
	.usage = "",
	.help = "Print what is supported as JSON",
	.fn = features_main,
	.rows = features_rows,
	.nrows = ARRAY_SIZE(features_rows),
};
