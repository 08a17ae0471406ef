/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's config: what goes out comes back, and each bad member is named.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "vmm/config.h"

#define REQUIRED "\"id\":\"a\",\"kernel_fd\":5,\"initrd_fd\":6,\"vm_dir\":\"/run/x\""

static int config_test_parse(const char *text, struct vmm_config *cfg, struct coffer_error *err)
{
	return vmm_config_parse(text, strlen(text), cfg, err);
}

static void test_defaults(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct vmm_config cfg;

	assert_int_equal(config_test_parse("{" REQUIRED "}", &cfg, &err), 0);
	assert_string_equal(cfg.id, "a");
	assert_string_equal(cfg.vm_dir, "/run/x");
	assert_int_equal(cfg.machine, VMM_MACHINE_AUTO);
	assert_int_equal(cfg.cpus, 1);
	assert_int_equal(cfg.memory, VMM_MEMORY_DEFAULT);
	assert_int_equal(cfg.kernel_fd, 5);
	assert_int_equal(cfg.lifetime_fd, -1);
	assert_int_equal(cfg.status_fd, -1);
	assert_int_equal(cfg.uid, VMM_ID_AUTO);
	assert_int_equal(cfg.ndisks, 0);
	assert_int_equal(cfg.log_level, LOG_LEVEL_WARNING);
}

static void test_round_trip(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *text = NULL, *again = NULL;
	struct vmm_config in, out;

	vmm_config_init(&in);
	strcpy(in.id, "web-1");
	strcpy(in.vm_dir, "/run/coffer/web-1/vm");
	strcpy(in.cmdline, "quiet foo=\"a b\"");
	strcpy(in.qemu, "/opt/qemu/bin/qemu");
	in.machine = VMM_MACHINE_QEMU_TCG;
	in.cpus = 3;
	in.memory = UINT64_C(96) << 20;
	in.kernel_fd = 0;
	in.initrd_fd = 9;
	in.cid = UINT32_MAX - 1;
	in.lifetime_fd = 4;
	in.uid = 0;
	in.gid = 65534;
	in.log_level = LOG_LEVEL_DEBUG;
	in.log_format = LOG_FORMAT_JSON;
	in.ndisks = 2;
	in.disks[0] = (struct vmm_disk){ .fd = 7, .readonly = true, .serial = "cofr-rootfs" };
	in.disks[1] = (struct vmm_disk){ .fd = 8, .serial = "12345678901234567890" };
	in.disks[2] = (struct vmm_disk){ .fd = 9, .nbd = true, .serial = "n", .export = "a,b \"c\"" };
	in.ndisks = 3;
	in.nshares = 2;
	in.shares[0] = (struct vmm_share){ .fd = 10, .readonly = true, .tag = "share0" };
	in.shares[1] = (struct vmm_share){ .fd = 11, .tag = "x", .file = "a file\\" };
	strcpy(in.virtiofsd, "/opt/virtiofsd");
	assert_int_equal(vmm_config_serialise(&in, &text, &err), 0);
	assert_int_equal(config_test_parse(text, &out, &err), 0);
	assert_int_equal(vmm_config_serialise(&out, &again, &err), 0);
	assert_string_equal(text, again);
	assert_string_equal(out.cmdline, in.cmdline);
	assert_int_equal(out.memory, in.memory);
	assert_int_equal(out.cid, in.cid);
	assert_int_equal(out.uid, 0);
	assert_int_equal(out.ndisks, 3);
	assert_true(out.disks[2].nbd && !out.disks[1].nbd);
	assert_string_equal(out.disks[2].export, "a,b \"c\"");
	assert_int_equal(out.nshares, 2);
	assert_true(out.shares[0].readonly && !out.shares[1].readonly);
	assert_string_equal(out.shares[1].file, "a file\\");
	assert_string_equal(out.virtiofsd, "/opt/virtiofsd");
	assert_true(out.disks[0].readonly);
	assert_string_equal(out.disks[1].serial, "12345678901234567890");
}

static void test_errors_name_the_member(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "", "not JSON" },
		{ "{" REQUIRED, "not JSON" },
		{ "{" REQUIRED "} x", "not JSON" },
		{ "[]", "must be a JSON object" },
		{ "{}", "id: is missing" },
		{ "{" REQUIRED ",\"colour\":1}", "colour: unknown member" },
		{ "{" REQUIRED ",\"id\":\"\"}", "id: must not be empty" },
		{ "{" REQUIRED ",\"id\":\"a/b\"}", "id: character 0x2f" },
		{ "{" REQUIRED ",\"id\":\"a\\u0000b\"}", "id: character 0x00" },
		{ "{" REQUIRED ",\"id\":7}", "id: must be a string" },
		{ "{" REQUIRED ",\"machine\":\"xen\"}", "machine: unknown value xen" },
		{ "{" REQUIRED ",\"cpus\":0}", "cpus: 0 is not between" },
		{ "{" REQUIRED ",\"cpus\":-1}", "cpus: must not be negative" },
		{ "{" REQUIRED ",\"cpus\":4294967297}", "cpus: 4294967297 is not between" },
		{ "{" REQUIRED ",\"cpus\":1.5}", "cpus: must be a number" },
		{ "{" REQUIRED ",\"memory\":75497471}", "memory: 75497471 is not between" },
		{ "{" REQUIRED ",\"memory\":75497473}", "memory: 75497473 is not a multiple" },
		{ "{" REQUIRED ",\"memory\":99999999999999999999}", "memory: " },
		{ "{" REQUIRED ",\"kernel_fd\":-1}", "kernel_fd: -1 is not a descriptor" },
		{ "{" REQUIRED ",\"status_fd\":-2}", "status_fd: -2 is not a descriptor" },
		{ "{" REQUIRED ",\"cmdline\":\"a\\nb\"}", "cmdline: character 0x0a" },
		{ "{" REQUIRED ",\"vm_dir\":\"run\"}", "vm_dir: must be an absolute path" },
		{ "{" REQUIRED ",\"cid\":2}", "cid: 2 is not between" },
		{ "{" REQUIRED ",\"disks\":{}}", "disks: must be an array" },
		{ "{" REQUIRED ",\"disks\":[3]}", "disks[0]: must be a JSON object" },
		{ "{" REQUIRED ",\"disks\":[{\"fd\":3}]}", "disks[0]: serial: is missing" },
		{ "{" REQUIRED ",\"disks\":[{\"fd\":3,\"serial\":\"a,b\"}]}",
		  "disks[0]: serial: character 0x2c" },
		{ "{" REQUIRED ",\"disks\":[{\"fd\":3,\"serial\":\"123456789012345678901\"}]}",
		  "disks[0]: serial: longer than 20" },
		{ "{" REQUIRED ",\"disks\":[{\"fd\":3,\"serial\":\"a\",\"readonly\":1}]}",
		  "disks[0]: readonly: must be true or false" },
		{ "{" REQUIRED ",\"disks\":[[[[[[1]]]]]]}", "not JSON" },
		{ "{" REQUIRED ",\"shares\":7}", "shares: must be an array" },
		{ "{" REQUIRED ",\"shares\":[{\"tag\":\"a\"}]}", "shares[0]: fd: is missing" },
		{ "{" REQUIRED ",\"shares\":[{\"fd\":3,\"tag\":\"\"}]}", "shares[0]: tag: must not be" },
		{ "{" REQUIRED ",\"shares\":[{\"fd\":3,\"tag\":\"a=b\"}]}",
		  "shares[0]: tag: character 0x3d" },
		{ "{" REQUIRED ",\"shares\":[{\"fd\":3,\"tag\":\"a\",\"file\":\"../x\"}]}",
		  "shares[0]: file: character 0x2f" },
		{ "{" REQUIRED ",\"virtiofsd\":\"v\"}", "virtiofsd: must be an absolute path" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct coffer_error err = COFFER_ERROR_INIT;
		struct vmm_config cfg;

		assert_int_equal(config_test_parse(cases[i].text, &cfg, &err), -EINVAL);
		assert_int_equal(err.kind, COFFER_ERR_INVALID_ARGUMENT);
		if (strncmp(err.message, cases[i].message, strlen(cases[i].message)))
			fail_msg("%s\n gave: %s\n want: %s", cases[i].text, err.message,
				 cases[i].message);
	}
}

static void test_too_many_disks(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct vmm_config cfg;
	char text[4096] = "{" REQUIRED ",\"disks\":[";

	for (int i = 0; i <= VMM_DISKS_MAX; i++)
		strcat(text, i ? ",{\"fd\":3,\"serial\":\"a\"}" : "{\"fd\":3,\"serial\":\"a\"}");
	strcat(text, "]}");
	assert_int_equal(config_test_parse(text, &cfg, &err), -EINVAL);
	assert_string_equal(err.message, "disks: more than 20");
}

static void test_too_many_devices(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *text = NULL;
	struct vmm_config in, out;

	vmm_config_init(&in);
	strcpy(in.id, "x");
	strcpy(in.vm_dir, "/x");
	in.kernel_fd = in.initrd_fd = 3;
	in.ndisks = VMM_DISKS_MAX;
	in.nshares = VMM_DEVICES_MAX - VMM_DISKS_MAX;
	for (int i = 0; i < VMM_DISKS_MAX; i++)
		strcpy(in.disks[i].serial, "s");
	for (int i = 0; i < VMM_SHARES_MAX; i++)
		strcpy(in.shares[i].tag, "t");
	assert_int_equal(vmm_config_serialise(&in, &text, &err), 0);
	assert_int_equal(config_test_parse(text, &out, &err), 0);
	in.nshares++;
	free(steal_ptr(text));
	assert_int_equal(vmm_config_serialise(&in, &text, &err), 0);
	assert_int_equal(config_test_parse(text, &out, &err), -EINVAL);
	assert_string_equal(err.message, "disks, shares: together more than 22");
}

static void test_serialise_checks(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *text = NULL;
	struct vmm_config cfg;

	vmm_config_init(&cfg);
	assert_int_equal(vmm_config_serialise(&cfg, &text, &err), -EINVAL);
	assert_string_equal(err.message, "id: must not be empty");
	strcpy(cfg.id, "a");
	assert_int_equal(vmm_config_serialise(&cfg, &text, &err), -EINVAL);
	assert_string_equal(err.message, "kernel_fd: -1 is not a descriptor number");
	assert_null(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_errors_name_the_member),
		cmocka_unit_test(test_too_many_disks),
		cmocka_unit_test(test_too_many_devices),
		cmocka_unit_test(test_serialise_checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
