/* SPDX-License-Identifier: Apache-2.0 */
/* OCI JSON to structs: values, ranges, limits, and the text of every class of error. */
#include "spec_text.h"

#include <stdio.h>

static void test_full_document(void **state)
{
	auto_oci_spec struct oci_spec *s = text_parse(text_full);
	const struct oci_resources *r = s->linux_->resources;
	const struct oci_seccomp *sc = s->linux_->seccomp;

	assert_string_equal(s->oci_version, "1.2.0");
	assert_true(s->process->terminal);
	assert_int_equal(s->process->console_size->width, 80);
	assert_int_equal(s->process->user.uid, UINT32_MAX);
	assert_true(s->process->user.umask.set);
	assert_int_equal(s->process->user.umask.v, 022);
	assert_int_equal(s->process->user.additional_gids.n, 3);
	assert_int_equal(s->process->user.additional_gids.v[2], 4294967294u);
	assert_int_equal(s->process->args.n, 3);
	assert_string_equal(s->process->args.v[2], "");
	assert_null(s->process->args.v[3]);
	assert_true(s->process->rlimits.v[0].hard == UINT64_MAX);
	assert_int_equal(s->process->oom_score_adj.v, -999);
	assert_int_equal(s->process->scheduler->nice, -20);
	assert_string_equal(s->process->exec_cpu_affinity->final, "1");
	assert_true(s->root->readonly);
	assert_int_equal(s->mounts.v[0].gid_mappings.v[0].host_id, 1000);
	assert_int_equal(s->hooks->prestart.v[0].timeout.v, 5);
	assert_false(s->hooks->poststop.v[0].timeout.set);
	assert_string_equal(oci_pairs_get(&s->annotations, "b"), "c\n\u00e4\\");
	assert_string_equal(oci_pairs_get(&s->annotations, "org.example.a"), "");
	assert_string_equal(s->linux_->time_offsets.v[0].clock, "monotonic");
	assert_true(s->linux_->time_offsets.v[0].secs == -5);
	assert_int_equal(s->linux_->devices.v[0].file_mode.v, 0666);
	assert_false(r->devices.v[0].major.set);
	assert_true(r->devices.v[1].minor.set && r->devices.v[1].minor.v == -1);
	assert_true(r->memory->swap.v == INT64_MAX);
	assert_true(r->memory->disable_oom_killer.set && !r->memory->disable_oom_killer.v);
	assert_true(r->pids->limit == -1);
	assert_int_equal(r->block_io->leaf_weight.v, 65535);
	assert_true(r->block_io->throttle_write_iops_device.v[0].rate == UINT64_MAX);
	assert_string_equal(r->rdma.v[1].device, "rxe3");
	assert_false(r->rdma.v[1].hca_handles.set);
	assert_true(sc->syscalls.v[0].args.v[0].value == UINT64_MAX);
	assert_string_equal(sc->syscalls.v[0].args.v[0].op, "SCMP_CMP_MASKED_EQ");
	assert_string_equal(oci_pairs_get(&s->linux_->sysctl, "kernel.core_pattern"), "");
	assert_true(s->linux_->intel_rdt->enable_mbm);
}

static void test_missing_null_and_unknown(void **state)
{
	auto_oci_spec struct oci_spec *s =
	    text_parse("{'process':null,'hostname':null,'mounts':null,'vm':{'kernel':[1,{}]},"
		       "'linux':{'resources':{'pids':null,'unified':{'a':null,'b':'c'},"
		       " 'rdma':{'x':null}},'sysctl':null,'newThing':7}}");

	assert_null(s->oci_version);
	assert_null(s->process);
	assert_null(s->hostname);
	assert_int_equal(s->mounts.n, 0);
	assert_null(s->linux_->resources->pids);
	assert_int_equal(s->linux_->resources->unified.n, 1);
	assert_string_equal(s->linux_->resources->unified.v[0].key, "b");
	assert_int_equal(s->linux_->resources->rdma.n, 0);
	assert_null(s->linux_->resources->rdma.v);
}

/* What a Swift encoder sends: "" for unset text, any key order, escaped slashes. */
static void test_swift_form(void **state)
{
	auto_oci_spec struct oci_spec *s = text_parse(
	    "{'linux':{'namespaces':[{'path':'','type':'pid'}],'cgroupsPath':'',"
	    " 'mountLabel':'','rootfsPropagation':'',"
	    " 'resources':{'devices':[],'hugepageLimits':[],'cpu':{'cpus':'','mems':'','quota':1}}}"
	    ","
	    "'domainname':'','hostname':'','root':{'path':'\\/run\\/c\\/rootfs','readonly':false},"
	    "'process':{'commandLine':'','selinuxLabel':'','apparmorProfile':'','cwd':'',"
	    " 'user':{'username':'1000:staff','gid':0,'uid':0,'additionalGids':[]},"
	    " 'args':['\\/bin\\/true'],'env':[],'rlimits':[],'terminal':false,"
	    " 'noNewPrivileges':false},"
	    "'annotations':{},'mounts':[],'version':'x','ociVersion':''}");

	assert_null(s->oci_version);
	assert_null(s->domainname);
	assert_null(s->process->cwd);
	assert_null(s->process->selinux_label);
	assert_string_equal(s->process->args.v[0], "/bin/true");
	assert_string_equal(s->process->user.username, "1000:staff");
	assert_string_equal(s->root->path, "/run/c/rootfs");
	assert_null(s->linux_->namespaces.v[0].path);
	assert_null(s->linux_->cgroups_path);
	assert_null(s->linux_->resources->cpu->cpus);
	assert_true(s->linux_->resources->cpu->quota.set);
}

static void test_lone_process(void **state)
{
	static const char json[] = "{\"args\":[\"id\"],\"cwd\":\"/\",\"user\":{\"uid\":7}}\n";
	static const char bad[] = "{\"user\":{\"gid\":-1}}";
	struct coffer_error err = COFFER_ERROR_INIT;
	auto_oci_process struct oci_process *p = NULL, *q = NULL;

	assert_int_equal(oci_process_parse(json, strlen(json), &p, &err), 0);
	assert_int_equal(p->user.uid, 7);
	assert_string_equal(p->args.v[0], "id");
	assert_int_equal(oci_process_parse(bad, strlen(bad), &q, &err), -EINVAL);
	assert_string_equal(err.message, "process.user.gid: -1 is out of range for uint32");
	assert_null(q);
}

static void test_type_errors(void **state)
{
	text_refused("[]", "config: expected object, got array");
	text_refused("null ", "config: expected object, got null");
	text_refused("{'linux':{'resources':{'pids':{'limit':'9'}}}}",
		     "linux.resources.pids.limit: expected integer, got string");
	text_refused("{'linux':{'resources':{'pids':{'limit':1.5}}}}",
		     "linux.resources.pids.limit: expected integer, got non-integer number");
	text_refused("{'linux':{'resources':{'pids':{'limit':1e3}}}}",
		     "linux.resources.pids.limit: expected integer, got non-integer number");
	text_refused("{'process':{'terminal':1}}",
		     "process.terminal: expected boolean, got integer");
	text_refused("{'process':{'args':'sh'}}", "process.args: expected array, got string");
	text_refused("{'process':{'args':['a',null]}}",
		     "process.args[1]: expected string, got null");
	text_refused("{'mounts':[{'destination':'/a'},7]}",
		     "mounts[1]: expected object, got integer");
	text_refused("{'mounts':[{'destination':'/a','options':[{}]}]}",
		     "mounts[0].options[0]: expected string, got object");
	text_refused("{'hostname':true}", "hostname: expected string, got boolean");
	text_refused("{'annotations':['a']}", "annotations: expected object, got array");
	text_refused("{'annotations':{'a.b':1}}",
		     "annotations[\"a.b\"]: expected string, got integer");
	text_refused("{'linux':{'timeOffsets':{'boottime':{'secs':false}}}}",
		     "linux.timeOffsets[\"boottime\"].secs: expected integer, got boolean");
	text_refused("{'process':{'user':{'additionalGids':[1,'2']}}}",
		     "process.user.additionalGids[1]: expected integer, got string");
}

static void test_ranges(void **state)
{
	text_refused("{'process':{'user':{'uid':4294967296}}}",
		     "process.user.uid: 4294967296 is out of range for uint32");
	text_refused("{'process':{'oomScoreAdj':-2147483649}}",
		     "process.oomScoreAdj: -2147483649 is out of range for int32");
	text_refused("{'linux':{'resources':{'memory':{'limit':9223372036854775808}}}}",
		     "linux.resources.memory.limit: 9223372036854775808 is out of range for int64");
	text_refused("{'linux':{'resources':{'cpu':{'shares':-1}}}}",
		     "linux.resources.cpu.shares: -1 is out of range for uint64");
	text_refused("{'linux':{'resources':{'blockIO':{'weight':65536}}}}",
		     "linux.resources.blockIO.weight: 65536 is out of range for uint16");
	text_refused("{'process':{'user':{'additionalGids':[-1]}}}",
		     "process.user.additionalGids[0]: -1 is out of range for uint32");
}

static void test_required(void **state)
{
	text_refused("{'process':{'rlimits':[{'type':'RLIMIT_CPU','soft':1}]}}",
		     "process.rlimits[0].hard: missing");
	text_refused("{'linux':{'namespaces':[{'type':'pid'},{'type':null}]}}",
		     "linux.namespaces[1].type: missing");
	text_refused("{'linux':{'namespaces':[{'type':''}]}}",
		     "linux.namespaces[0].type: must not be empty");
	text_refused("{'mounts':[{'source':'x'}]}", "mounts[0].destination: missing");
	text_refused("{'linux':{'uidMappings':[{'containerID':0,'hostID':0}]}}",
		     "linux.uidMappings[0].size: missing");
	text_refused("{'hooks':{'poststop':[{}]}}", "hooks.poststop[0].path: missing");
	text_refused(
	    "{'linux':{'seccomp':{'defaultAction':'A','syscalls':[{'names':[],'action':'B'}]}}}",
	    "linux.seccomp.syscalls[0].names: must not be empty");
}

/* refused_raw() - For bytes that text_json() cannot carry; @prefix of the message */
static void refused_raw(const char *json, size_t len, const char *prefix)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct oci_spec *spec = NULL;

	if (oci_spec_parse(json, len, &spec, &err) != -EINVAL)
		fail_msg("accepted %s", json);
	assert_null(spec);
	if (strncmp(err.message, prefix, strlen(prefix)) != 0)
		fail_msg("got \"%s\"", err.message);
}

#define RAW(json, prefix) refused_raw(json, sizeof(json) - 1, prefix)

static void test_syntax(void **state)
{
	RAW("", "config: JSON ends early, after 0 bytes");
	RAW("{\"a\":", "config: JSON ends early, after 5 bytes");
	RAW("{\"a\":1} x", "config: JSON at offset 8: ");
	RAW("{\"a\":1}{}", "config: JSON at offset 7: ");
	RAW("{\"a\":1,}", "config: JSON at offset 7: ");
	RAW("{'a':1}", "config: JSON at offset 1: unexpected character");
	RAW("{\"a\":'x'}", "config: JSON at offset 5: unexpected character");
	RAW("{\"a\":True}", "config: JSON at offset ");
	RAW("{/* c */}", "config: JSON at offset 1: unexpected character");
	RAW("{\"a\":NaN}", "config: JSON at offset 5: unexpected character");
	RAW("{\"a\":-Infinity}", "config: JSON at offset 6: unexpected character");
	RAW("{\"a\":01}", "config: JSON at offset ");
	RAW("{\"a\":18446744073709551616}",
	    "config: JSON at offset 5: number does not fit 64 bits");
	RAW("{\"a\":100000000000000000000}",
	    "config: JSON at offset 5: number does not fit 64 bits");
	RAW("[-9223372036854775809]", "config: JSON at offset 2: number does not fit 64 bits");
	RAW("{\"process\":{\"oomScoreAdj\":-9223372036854775808}}",
	    "process.oomScoreAdj: -9223372036854775808 is out of range for int32");
	RAW("{\"hostname\":\"123456789012345678901234567890\",\"mounts\":1}", "mounts: ");
	RAW("{\"a\":\"\xff\"}", "config: JSON at offset 6: not UTF-8");
	RAW("{\"a\":\"\xc0\xaf\"}", "config: JSON at offset 6: not UTF-8");
	RAW("{\"a\":\"\xe2\x82", "config: JSON at offset 6: not UTF-8");
	RAW("{\"a\":\"x\0y\"}", "config: JSON at offset 7: control character in a string");
	RAW("{\"a\":\"x\\u0000y\"}", "config: JSON at offset 7: escaped NUL");
	RAW("{\"p\":[0,{\"a\":{},\"u\\\"\x7f\":99999999999999999999}]}",
	    "config: JSON at offset 23: number does not fit 64 bits, in p[1].u\\\"?");
	RAW("{\"a\":[[[[[[[[[[[NaN", "config: JSON at offset 16: unexpected character, "
				     "in a[0][0][0][0][0][0][0]...");
	RAW("{}\0", "config: JSON at offset 2: unexpected character");
	RAW("{\"process\\u0000\":{}}", "config: JSON at offset 9: escaped NUL");
	RAW("{\"a\":\"x\ny\"}", "config: JSON at offset 7: control character in a string");
}

static void test_escaped_backslash_is_no_nul(void **state)
{
	auto_oci_spec struct oci_spec *s = text_parse("{'hostname':'\\\\u0000'}\r\n\t ");

	assert_string_equal(s->hostname, "\\u0000");
}

static void test_last_duplicate_wins(void **state)
{
	auto_oci_spec struct oci_spec *s = text_parse("{'hostname':'a','hostname':'b'}");

	assert_string_equal(s->hostname, "b");
}

static void test_depth(void **state)
{
	char json[256] = "{\"x\":";
	size_t i;

	for (i = 0; i < 40; i++)
		strcat(json, "[");
	for (i = 0; i < 40; i++)
		strcat(json, "]");
	strcat(json, "}");
	refused_raw(json, strlen(json), "config: JSON at offset 36: nesting too deep");
}

/* repeated() - @head, then @n times @part with commas, then @tail */
static char *repeated(const char *head, const char *part, size_t n, const char *tail)
{
	char *text = malloc(strlen(head) + n * (strlen(part) + 1) + strlen(tail) + 1), *p = text;
	size_t i;

	assert_non_null(text);
	p = stpcpy(p, head);
	for (i = 0; i < n; i++) {
		if (i > 0)
			*p++ = ',';
		p = stpcpy(p, part);
	}
	strcpy(p, tail);
	return text;
}

static void test_counts(void **state)
{
	autofree char *most = repeated("{\"mounts\":[", "{\"destination\":\"/\"}", 16384, "]}");
	autofree char *args = repeated("{\"process\":{\"args\":[", "\"\"", 16385, "]}}");
	autofree char *objects = repeated("{\"x\":[", "{}", 65535, "]}");
	autofree char *values = repeated("{\"x\":[", "1", 262144, "]}");
	auto_oci_spec struct oci_spec *s = text_parse(most);

	assert_int_equal(s->mounts.n, 16384);
	text_refused(args, "process.args: 16385 elements, the limit is 16384");
	text_refused(objects, "config: more than 65536 objects and arrays");
	text_refused(values, "config: more than 262144 values");
}

static void test_map_count(void **state)
{
	autofree char *json = malloc((size_t)32 * 16385 + 64);
	char *p = json;
	int i;

	assert_non_null(json);
	p = stpcpy(p, "{\"annotations\":{\"k\":\"\"");
	for (i = 0; i < 16384; i++)
		p += sprintf(p, ",\"%d\":\"\"", i);
	strcpy(p, "}}");
	text_refused(json, "annotations: 16385 elements, the limit is 16384");
}

static void test_size(void **state)
{
	size_t len = OCI_JSON_MAX + 1;
	autofree char *json = malloc(len);
	struct coffer_error err = COFFER_ERROR_INIT;
	auto_oci_spec struct oci_spec *spec = NULL;

	assert_non_null(json);
	memset(json, ' ', len);
	json[0] = '{';
	json[1] = '}';
	refused_raw(json, len, "config: 4194305 bytes, the limit is 4194304");
	assert_int_equal(oci_spec_parse(json, len - 1, &spec, &err), 0);
	assert_non_null(spec);
}

/* Keys are foreign bytes: an error stays one printable line. */
static void test_hostile_key(void **state)
{
	text_refused("{'annotations':{'a\\n\\u001b[31m\\\"\\u00e9':1}}",
		     "annotations[\"a??[31m???\"]: expected string, got integer");
}

static void test_failure_midway_frees(void **state)
{
	text_refused("{'process':{'args':['a','b',3],'env':['x']},'mounts':[]}",
		     "process.args[2]: expected string, got integer");
	text_refused("{'mounts':[{'destination':'/a','options':['x']},{'destination':'/b',"
		     "'options':['x',1]}]}",
		     "mounts[1].options[1]: expected string, got integer");
	text_refused("{'annotations':{'a':'b','c':1,'d':'e'}}",
		     "annotations[\"c\"]: expected string, got integer");
	text_refused("{'linux':{'resources':{'rdma':{'a':{'hcaHandles':1},'b':[]}}}}",
		     "linux.resources.rdma[\"b\"]: expected object, got array");
}

/* A lone linux.resources, as update is given it. */
static void test_resources(void **state)
{
	static const char good[] = "{\"memory\":{\"limit\":5},\"pids\":{\"limit\":-1},\"nope\":1}";
	static const struct {
		const char *json, *message;
	} bad[] = {
		{ "{\"pids\":{\"limit\":\"1\"}}", "resources.pids.limit: expected integer, got string" },
		{ "[]", "resources: expected object, got array" },
	};
	struct coffer_error err = COFFER_ERROR_INIT;
	struct oci_resources *res;

	assert_int_equal(oci_resources_parse(good, strlen(good), &res, &err), 0);
	assert_int_equal(res->memory->limit.v, 5);
	assert_int_equal(res->pids->limit, -1);
	assert_null(res->cpu);
	assert_int_equal(oci_resources_validate(res, "resources", &err), 0);
	assert_int_equal(oci_pairs_set(&res->unified, "../x", "1", &err), 0);
	assert_int_equal(oci_resources_validate(res, "resources", &err), -EINVAL);
	assert_ptr_equal(strstr(err.message, "resources.unified"), err.message);
	oci_resources_free(res);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(oci_resources_parse(bad[i].json, strlen(bad[i].json), &res, &err),
				 -EINVAL);
		assert_null(res);
		assert_string_equal(err.message, bad[i].message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_document),
		cmocka_unit_test(test_missing_null_and_unknown),
		cmocka_unit_test(test_swift_form),
		cmocka_unit_test(test_lone_process),
		cmocka_unit_test(test_type_errors),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_required),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_escaped_backslash_is_no_nul),
		cmocka_unit_test(test_last_duplicate_wins),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_map_count),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_resources),
		cmocka_unit_test(test_hostile_key),
		cmocka_unit_test(test_failure_midway_frees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
