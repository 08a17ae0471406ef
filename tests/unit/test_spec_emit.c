/* SPDX-License-Identifier: Apache-2.0 */
/* Structs to OCI JSON: round trips, the keys strict decoders demand, escaping, limits. */
#include "spec_text.h"

#include <json-c/json.h>

static char *emitted(const struct oci_spec *spec)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	char *json = oci_spec_to_json(spec, &err);

	if (json == NULL)
		fail_msg("emit: %s", err.message);
	return json;
}

/* Every member says something, so the output has to be the same document. */
static void test_full_round_trip(void **state)
{
	autofree char *in = text_json(text_full);
	auto_oci_spec struct oci_spec *s = text_parse(text_full);
	autofree char *out = emitted(s);
	struct json_object *a = json_tokener_parse(in), *b = json_tokener_parse(out);

	assert_non_null(a);
	assert_non_null(b);
	if (!json_object_equal(a, b))
		fail_msg("differs: %s", out);
	json_object_put(a);
	json_object_put(b);
}

static void test_emit_is_stable(void **state)
{
	auto_oci_spec struct oci_spec *s = text_parse(text_full);
	autofree char *once = emitted(s);
	struct coffer_error err = COFFER_ERROR_INIT;
	auto_oci_spec struct oci_spec *again = NULL;
	autofree char *twice = NULL;

	assert_int_equal(oci_spec_parse(once, strlen(once), &again, &err), 0);
	twice = emitted(again);
	assert_string_equal(once, twice);
}

/* emits() - What @quoted becomes, with ' for " */
static void emits(const char *quoted, const char *expected)
{
	auto_oci_spec struct oci_spec *s = text_parse(quoted);
	autofree char *out = emitted(s);
	autofree char *want = text_json(expected);

	assert_string_equal(out, want);
}

#define HEAD   "{'ociVersion':'','hostname':'','mounts':[]"
#define IDS    "'uidMappings':[],'gidMappings':[],"
#define CGROUP "'cgroupsPath':'',"
#define TAIL   "'rootfsPropagation':'','maskedPaths':[],'readonlyPaths':[],'mountLabel':''"

static void test_demanded_keys(void **state)
{
	emits("{}", HEAD "}");
	emits("{'process':{}}",
	      "{'ociVersion':'','process':{'terminal':false,'user':{'uid':0,'gid':0},'args':[],"
	      "'env':[],'cwd':''},'hostname':'','mounts':[]}");
	emits("{'root':{}}",
	      "{'ociVersion':'','root':{'path':'','readonly':false},'hostname':'','mounts':[]}");
	emits("{'hooks':{'prestart':[{'path':'/x'}]}}",
	      HEAD ",'hooks':{'prestart':[{'path':'/x','args':[],'env':[]}],'createRuntime':[],"
		   "'createContainer':[],'startContainer':[],'poststart':[],'poststop':[]}}");
	emits("{'process':{'capabilities':{}}}",
	      "{'ociVersion':'','process':{'terminal':false,'user':{'uid':0,'gid':0},'args':[],"
	      "'env':[],'cwd':'','capabilities':{'bounding':[],'effective':[],'inheritable':[],"
	      "'permitted':[],'ambient':[]}},'hostname':'','mounts':[]}");
	emits("{'linux':{'namespaces':[{'type':'pid'}]}}",
	      HEAD ",'linux':{'namespaces':[{'type':'pid','path':''}]," IDS
		   "'devices':[]," CGROUP TAIL "}}");
}

static void test_demanded_keys_of_resources(void **state)
{
	emits("{'linux':{'resources':{'cpu':{},'pids':{},'blockIO':{},'memory':{},'network':{},"
	      "'devices':[{'allow':true}]}}}",
	      HEAD ",'linux':{'namespaces':[]," IDS "'devices':[]," CGROUP
		   "'resources':{'devices':[{'allow':true,'type':''}],'memory':{},"
		   "'cpu':{'cpus':'','mems':''},'pids':{'limit':0},"
		   "'blockIO':{'weightDevice':[],'throttleReadBpsDevice':[],"
		   "'throttleWriteBpsDevice':[],'throttleReadIOPSDevice':[],"
		   "'throttleWriteIOPSDevice':[]},'hugepageLimits':[],"
		   "'network':{'priorities':[]}}," TAIL "}}");
}

static void test_demanded_keys_of_seccomp(void **state)
{
	emits("{'linux':{'devices':[{'path':'/p','type':'p'}],'personality':{'domain':'LINUX'},"
	      "'seccomp':{'defaultAction':'A','syscalls':[{'names':['a'],'action':'B',"
	      "'args':[{'index':0,'value':0,'op':'C'}]}]}}}",
	      HEAD ",'linux':{'namespaces':[]," IDS
		   "'devices':[{'path':'/p','type':'p','major':0,'minor':0}]," CGROUP
		   "'rootfsPropagation':'',"
		   "'seccomp':{'defaultAction':'A','architectures':[],'flags':[],"
		   "'listenerPath':'','listenerMetadata':'',"
		   "'syscalls':[{'names':['a'],'action':'B',"
		   "'args':[{'index':0,'value':0,'valueTwo':0,'op':'C'}]}]},"
		   "'maskedPaths':[],'readonlyPaths':[],'mountLabel':'',"
		   "'personality':{'domain':'LINUX','flags':[]}}}");
}

static void test_optional_numbers(void **state)
{
	emits("{'linux':{'resources':{'memory':{'limit':0,'disableOOMKiller':false}}}}",
	      HEAD ",'linux':{'namespaces':[]," IDS "'devices':[]," CGROUP
		   "'resources':{'devices':[],'memory':{'limit':0,'disableOOMKiller':false},"
		   "'hugepageLimits':[]}," TAIL "}}");
	emits("{'process':{'oomScoreAdj':0,'user':{'umask':0}}}",
	      "{'ociVersion':'','process':{'terminal':false,'user':{'uid':0,'gid':0,'umask':0},"
	      "'args':[],'env':[],'cwd':'','oomScoreAdj':0},'hostname':'','mounts':[]}");
}

static void test_escapes(void **state)
{
	auto_oci_spec struct oci_spec *s = text_parse("{}");
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *out = NULL;

	assert_int_equal(oci_str_set(&s->hostname, "/\"\\\n\t\r\x01\x7f\u00e4\U0001f600", &err), 0);
	out = emitted(s);
	assert_string_equal(out, "{\"ociVersion\":\"\",\"hostname\":\"/\\\"\\\\\\n\\t\\r\\u0001\x7f"
				 "\u00e4\U0001f600\",\"mounts\":[]}");
}

/* not_utf8() - @bytes as an environment variable cannot be written */
static void not_utf8(const char *bytes)
{
	auto_oci_spec struct oci_spec *s = text_parse("{'process':{'env':['A=b']}}");
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_int_equal(oci_strv_add(&s->process->env, bytes, &err), 0);
	assert_null(oci_spec_to_json(s, &err));
	assert_string_equal(err.message, "process.env[1]: not UTF-8");
	assert_int_equal(err.kind, COFFER_ERR_INVALID_ARGUMENT);
}

static void test_not_utf8(void **state)
{
	not_utf8("A=\xff");
	not_utf8("A=\xc3");
	not_utf8("A=\xc0\x80");
	not_utf8("A=\xe0\x9f\xbf");
	not_utf8("A=\xed\xa0\x80");
	not_utf8("A=\xf0\x8f\xbf\xbf");
	not_utf8("A=\xf4\x90\x80\x80");
	not_utf8("A=\xf1\x80\x80");
	not_utf8("\x80");
}

static void test_too_long(void **state)
{
	auto_oci_spec struct oci_spec *s = text_parse("{}");
	autofree char *big = malloc(OCI_JSON_MAX + 1);
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_non_null(big);
	memset(big, 'a', OCI_JSON_MAX);
	big[OCI_JSON_MAX] = '\0';
	assert_int_equal(oci_pairs_set(&s->annotations, "k", big, &err), 0);
	assert_null(oci_spec_to_json(s, &err));
	assert_string_equal(err.message, "config: longer than 4194304 bytes as JSON");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_round_trip),
		cmocka_unit_test(test_emit_is_stable),
		cmocka_unit_test(test_demanded_keys),
		cmocka_unit_test(test_demanded_keys_of_resources),
		cmocka_unit_test(test_demanded_keys_of_seccomp),
		cmocka_unit_test(test_optional_numbers),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_not_utf8),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
