/* SPDX-License-Identifier: Apache-2.0 */
/* Images' configurations: read, changed by lines of a Dockerfile, written, and what they refuse. */
#include "image_text.h"

#include <stdio.h>

#include "image/document.h"

static const char full[] =
    "{'created':'2024-01-02T03:04:05Z','author':'me','architecture':'arm64','variant':'v8',"
    "'os':'linux','os.features':['x'],"
    "'config':{'User':'1000:1000','ExposedPorts':{'80/tcp':{},'53/udp':{}},"
    "'Env':['PATH=/usr/bin','A=b=c'],'Entrypoint':['/entry'],'Cmd':['a',''],"
    "'Volumes':{'/data':{}},'WorkingDir':'/srv','Labels':{'k':'v','e':''},"
    "'StopSignal':'SIGQUIT','Healthcheck':{'Test':['CMD','true'],'Interval':30000000000},"
    "'OnBuild':null,'Shell':['/bin/bash','-c']},"
    "'container_config':{'Hostname':'x'},"
    "'rootfs':{'type':'layers','diff_ids':['" TEXT_DIGEST "','" TEXT_OTHER "']},"
    "'history':[{'created':'2024-01-02T03:04:05Z','created_by':'/bin/sh -c #(nop) ADD \\'x\\''},"
    "{'created_by':'CMD','author':'me','comment':'buildkit','empty_layer':true}]}";

static void config_read(const char *text, struct image_config *c)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *json = text_json(text);

	if (image_config_parse(json, strlen(json), c, &err) < 0)
		fail_msg("%s", err.message);
}

static void config_write(const struct image_config *c, struct buf *out)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (image_config_emit(c, out, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(buf_append(out, "", 1), 0);
}

static void test_read(void **state)
{
	struct coffer_image_config view = { .size = sizeof(view) };
	struct image_config c;

	config_read(full, &c);
	image_config_view(&c, &view);
	assert_int_equal(view.size, sizeof(view));
	assert_string_equal(c.platform.arch, "arm64");
	assert_string_equal(c.platform.variant, "");
	assert_string_equal(c.author, "me");
	assert_string_equal(view.user, "1000:1000");
	assert_string_equal(view.ports[1], "53/udp");
	assert_string_equal(view.env[1], "A=b=c");
	assert_null(view.env[2]);
	assert_string_equal(view.entrypoint[0], "/entry");
	assert_string_equal(view.cmd[1], "");
	assert_string_equal(view.volumes[0], "/data");
	assert_string_equal(view.labels[0], "k=v");
	assert_string_equal(view.labels[1], "e=");
	assert_string_equal(view.workdir, "/srv");
	assert_string_equal(view.stop_signal, "SIGQUIT");
	assert_int_equal(c.ndiff_ids, 2);
	assert_string_equal(c.diff_ids[1].text, TEXT_OTHER);
	assert_int_equal(c.nhistory, 2);
	assert_string_equal(c.history[0].created_by, "/bin/sh -c #(nop) ADD \"x\"");
	assert_false(c.history[0].empty_layer);
	assert_true(c.history[1].empty_layer);
	image_config_free(&c);
}

static void test_least(void **state)
{
	struct coffer_image_config view = { .size = offsetof(struct coffer_image_config, env) };
	struct image_config c;

	view.env = (const char *const *)state;
	config_read("{'architecture':'amd64','os':'linux','config':null,"
		    "'rootfs':{'type':'layers','diff_ids':[]}}",
		    &c);
	image_config_view(&c, &view);
	assert_null(view.cmd);
	/* What a caller of older days does not have is not written. */
	assert_ptr_equal(view.env, state);
	assert_null(c.user);
	assert_int_equal(c.ndiff_ids, 0);
	image_config_free(&c);
}

/* Members that are not known, their order and the spelling of the platform stay. */
static void test_write_again(void **state)
{
	autobuf struct buf text = BUF_INIT(1 << 16);
	autofree char *json = text_json(full);
	struct image_config c;

	config_read(full, &c);
	config_write(&c, &text);
	/* Except for what said nothing. */
	assert_string_equal(buf_data(&text), json);
	image_config_free(&c);
}

static void test_write_new(void **state)
{
	static const char want[] =
	    "{'created':'now','architecture':'arm','os':'linux','variant':'v7',"
	    "'config':{'Env':['A=b'],'Labels':{'k':'v=w'}},"
	    "'rootfs':{'type':'layers','diff_ids':['" TEXT_DIGEST "']},"
	    "'history':[{'comment':'c'}]}";
	char now[] = "now", pair[] = "A=b", label[] = "k=v=w", comment[] = "c";
	char *env[] = { pair, NULL }, *labels[] = { label, NULL };
	struct image_history step = { .comment = comment };
	struct digest id = { TEXT_DIGEST };
	struct image_config c = {
		.platform = { "linux", "arm", "v7" },
		.created = now,
		.env = env,
		.labels = labels,
		.diff_ids = &id,
		.ndiff_ids = 1,
		.history = &step,
		.nhistory = 1,
	};
	struct coffer_error err = COFFER_ERROR_INIT;
	autobuf struct buf text = BUF_INIT(1 << 16);
	autofree char *json = text_json(want);
	struct image_config again;

	config_write(&c, &text);
	assert_string_equal(buf_data(&text), json);
	config_read(want, &again);
	assert_string_equal(again.labels[0], "k=v=w");
	image_config_free(&again);
	comment[0] = '\xff';
	text_refused(image_config_emit(&c, &text, &err), &err, -EINVAL,
		     "not UTF-8, in history[0].comment");
}

#define ROOTFS "'rootfs':{'type':'layers','diff_ids':[]}"
#define LINUX  "'architecture':'amd64','os':'linux'"

static void test_bad(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *message;
	} rows[] = {
		{ "<html></html>", -EINVAL, "image configuration: a page of HTML" },
		{ "{}", -EINVAL, "image configuration: os: missing" },
		{ "{'os':'linux'}", -EINVAL, "architecture: missing" },
		{ "{'os':'','architecture':'amd64'}", -EINVAL, "os: empty" },
		{ "{" LINUX "}", -EINVAL, "rootfs: missing" },
		{ "{" LINUX ",'rootfs':{}}", -EINVAL, "rootfs.type: missing" },
		{ "{" LINUX ",'rootfs':{'type':'tree'}}", -EOPNOTSUPP, "rootfs.type: \"tree\"" },
		{ "{" LINUX ",'rootfs':{'type':'layers','diff_ids':['x']}}", -EINVAL,
		  "rootfs.diff_ids[0]: not a digest" },
		{ "{" LINUX ",'rootfs':{'type':'layers','diff_ids':{}}}", -EINVAL,
		  "diff_ids: expected an array" },
		{ "{" LINUX "," ROOTFS ",'config':[]}", -EINVAL, "config: expected an object" },
		{ "{" LINUX "," ROOTFS ",'config':{'Env':'A=b'}}", -EINVAL,
		  "config.Env: expected an array, got a string" },
		{ "{" LINUX "," ROOTFS ",'config':{'Cmd':['a',1]}}", -EINVAL,
		  "config.Cmd[1]: expected a string, got an integer" },
		{ "{" LINUX "," ROOTFS ",'config':{'Cmd':[null]}}", -EINVAL,
		  "config.Cmd[0]: missing" },
		{ "{" LINUX "," ROOTFS ",'config':{'Volumes':['/a']}}", -EINVAL,
		  "config.Volumes: expected an object" },
		{ "{" LINUX "," ROOTFS ",'config':{'Labels':{'a':1}}}", -EINVAL,
		  "config.Labels.a: expected a string" },
		{ "{" LINUX "," ROOTFS ",'config':{'User':0}}", -EINVAL,
		  "config.User: expected a string" },
		{ "{" LINUX "," ROOTFS ",'history':{}}", -EINVAL, "history: expected an array" },
		{ "{" LINUX "," ROOTFS ",'history':[7]}", -EINVAL,
		  "history[0]: expected an object" },
		{ "{" LINUX "," ROOTFS ",'history':[{'empty_layer':'yes'}]}", -EINVAL,
		  "history[0].empty_layer: expected true or false" },
		{ "{" LINUX "," ROOTFS ",'os':'x'}", -EINVAL, "a name twice in one object, in os" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		autofree char *json = text_json(rows[i].text);
		struct coffer_error err = COFFER_ERROR_INIT;
		struct image_config c;

		text_refused(image_config_parse(json, strlen(json), &c, &err), &err, rows[i].code,
			     rows[i].message);
		assert_null(c.said);
	}
}

static void test_100_megabytes(void **state)
{
	size_t n = (size_t)100 << 20;
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *text = calloc(1, n);
	struct image_config c;

	assert_non_null(text);
	text_refused(image_config_parse(text, n, &c, &err), &err, -EINVAL,
		     "image configuration: 104857600 bytes, the limit is 8388608");
}

static void test_changes(void **state)
{
	/* The configuration that a line makes of the full one: that member of it. */
	static const struct {
		const char *line, *member;
	} rows[] = {
		{ "CMD ['x','y z']", "'Cmd':['x','y z']" },
		{ "cmd x  y | z ", "'Cmd':['/bin/sh','-c','x  y | z']" },
		{ "CMD [ -f x ] && y", "'Cmd':['/bin/sh','-c','[ -f x ] && y']" },
		{ "CMD ['x',1]", "'Cmd':['/bin/sh','-c','[\\'x\\',1]']" },
		{ "CMD $A", "'Cmd':['/bin/sh','-c','$A']" },
		{ "ENTRYPOINT ['/new']", "'Entrypoint':['/new'],'Volumes'" },
		{ "ENV C=d", "'Env':['PATH=/usr/bin','A=b=c','C=d']" },
		{ "ENV PATH=/x:$PATH B=\"1 $A\" C=\\\"",
		  "'Env':['PATH=/x:/usr/bin','A=b=c','B=1 b=c','C=\\\"']" },
		{ "ENV A=1 B=$A", "'Env':['PATH=/usr/bin','A=1','B=b=c']" },
		{ "ENV A  x  y", "'Env':['PATH=/usr/bin','A=x  y']" },
		{ "ENV A=", "'Env':['PATH=/usr/bin','A=']" },
		{ "ENV B=${A}${N:-d}${A:+y}${N:+z}${N}", "'B=b=cdy']" },
		{ "ENV B=\\$A$", "'B=$A$']" },
		{ "EXPOSE 80 81 6000-6002/UDP",
		  "'ExposedPorts':{'80/tcp':{},'53/udp':{},'81/tcp':{},"
		  "'6000/udp':{},'6001/udp':{},'6002/udp':{}}" },
		{ "LABEL k=w \"a b\"=\"c d\"", "'Labels':{'k':'w','e':'','a b':'c d'}" },
		{ "STOPSIGNAL SIGRTMIN+3", "'StopSignal':'SIGRTMIN+3'" },
		{ "STOPSIGNAL 9", "'StopSignal':'9'" },
		{ "USER www", "'User':'www'" },
		{ "USER ${U:-a:b}", "'User':'a:b'" },
		{ "VOLUME /a /b", "'Volumes':{'/data':{},'/a':{},'/b':{}}" },
		{ "VOLUME ['/a b']", "'Volumes':{'/data':{},'/a b':{}}" },
		{ "WORKDIR x/../y//.", "'WorkingDir':'/srv/y'" },
		{ "WORKDIR /a/../../b/", "'WorkingDir':'/b'" },
		{ "WORKDIR ..", "'WorkingDir':'/'" },
		{ "  WORKDIR\t/t ", "'WorkingDir':'/t'" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		autofree char *line =
		    strncmp(rows[i].line, "ENV", 3) == 0 || strncmp(rows[i].line, "LABEL", 5) == 0
			? strdup(rows[i].line)
			: text_json(rows[i].line);
		autofree char *member = text_json(rows[i].member);
		struct coffer_error err = COFFER_ERROR_INIT;
		autobuf struct buf text = BUF_INIT(1 << 16);
		struct image_config c;

		config_read(full, &c);
		if (image_config_change(&c, line, &err) < 0)
			fail_msg("%s", err.message);
		config_write(&c, &text);
		if (!strstr((const char *)buf_data(&text), member))
			fail_msg("%s: no %s in %s", line, member, (const char *)buf_data(&text));
		image_config_free(&c);
	}
}

/* Arguments that came with the old program go with it, others stay. */
static void test_entrypoint_and_cmd(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct image_config c;

	config_read(full, &c);
	assert_int_equal(image_config_change(&c, "ENTRYPOINT x", &err), 0);
	assert_string_equal(c.entrypoint[2], "x");
	assert_null(c.cmd);
	assert_int_equal(image_config_change(&c, "CMD [\"y\"]", &err), 0);
	assert_int_equal(image_config_change(&c, "ENTRYPOINT []", &err), 0);
	assert_null(c.entrypoint);
	assert_string_equal(c.cmd[0], "y");
	image_config_free(&c);
}

static void test_bad_changes(void **state)
{
	static const struct {
		const char *line;
		int code;
		const char *message;
	} rows[] = {
		{ "", -EOPNOTSUPP, "only CMD" },
		{ "RUN x", -EOPNOTSUPP, "change \"RUN x\": only CMD" },
		{ "CMDX", -EOPNOTSUPP, "only CMD" },
		{ "CMD", -EINVAL, "CMD: what?" },
		{ "CMD x\nUSER y", -EINVAL, "more than one line" },
		{ "USER \xff", -EINVAL, "not UTF-8" },
		{ "ENV A", -EINVAL, "A: no value" },
		{ "ENV =x", -EINVAL, "not as NAME=value" },
		{ "ENV A=b C", -EINVAL, "\"C\": not as NAME=value" },
		{ "ENV A=\"b", -EINVAL, "a quote that is not closed" },
		{ "ENV A='b", -EINVAL, "a quote that is not closed" },
		{ "ENV A=${B", -EOPNOTSUPP, "are known" },
		{ "ENV A=${B:-c", -EOPNOTSUPP, "not closed" },
		{ "ENV A=${B:-${C}}", -EOPNOTSUPP, "another variable" },
		{ "ENV A=${B%x}", -EOPNOTSUPP, "only ${A}" },
		{ "USER $NOTHING", -EINVAL, "nothing is left" },
		{ "EXPOSE 0", -EINVAL, "\"0\": not a port" },
		{ "EXPOSE 65536", -EINVAL, "not a port" },
		{ "EXPOSE 9-8", -EINVAL, "not a port" },
		{ "EXPOSE 80/icmp", -EINVAL, "not a port" },
		{ "EXPOSE 80 x", -EINVAL, "\"x\": not a port" },
		{ "EXPOSE 1-65535", -EINVAL, "more than 1024 ports" },
		{ "STOPSIGNAL SIGNOTHING", -EINVAL, "not a signal" },
		{ "STOPSIGNAL 0", -EINVAL, "not a signal" },
		{ "VOLUME a", -EINVAL, "not an absolute path" },
	};
	autofree char *json = text_json(full), *line = malloc((64 << 10) + 2);
	struct coffer_error err = COFFER_ERROR_INIT;
	struct image_config c;

	config_read(full, &c);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		autobuf struct buf text = BUF_INIT(1 << 16);

		text_refused(image_config_change(&c, rows[i].line, &err), &err, rows[i].code,
			     rows[i].message);
		config_write(&c, &text);
		assert_string_equal(buf_data(&text), json);
	}
	memset(line, 'x', (64 << 10) + 1);
	line[(64 << 10) + 1] = '\0';
	text_refused(image_config_change(&c, line, &err), &err, -EINVAL, "more than 65536 bytes");
	image_config_free(&c);
}

static void test_chain_id(void **state)
{
	struct digest ids[3] = { { TEXT_DIGEST }, { TEXT_OTHER }, { TEXT_DIGEST } }, want, got;
	struct coffer_error err = COFFER_ERROR_INIT;
	char text[400];

	assert_int_equal(chain_id(ids, 1, &got, &err), 0);
	assert_string_equal(got.text, TEXT_DIGEST);
	snprintf(text, sizeof(text), "%s %s", TEXT_DIGEST, TEXT_OTHER);
	assert_int_equal(digest_of(text, strlen(text), &want, &err), 0);
	assert_int_equal(chain_id(ids, 2, &got, &err), 0);
	assert_string_equal(got.text, want.text);
	snprintf(text, sizeof(text), "%s %s", want.text, TEXT_DIGEST);
	assert_int_equal(digest_of(text, strlen(text), &want, &err), 0);
	assert_int_equal(chain_id(ids, 3, &got, &err), 0);
	assert_string_equal(got.text, want.text);
	assert_int_equal(chain_id(NULL, 0, &got, &err), 0);
	assert_string_equal(got.text, TEXT_DIGEST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),	    cmocka_unit_test(test_least),
		cmocka_unit_test(test_write_again), cmocka_unit_test(test_write_new),
		cmocka_unit_test(test_bad),	    cmocka_unit_test(test_100_megabytes),
		cmocka_unit_test(test_changes),	    cmocka_unit_test(test_entrypoint_and_cmd),
		cmocka_unit_test(test_bad_changes), cmocka_unit_test(test_chain_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
