/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's command line, to the letter: what is not here, QEMU is not told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "vmm/qemu_args.h"

static void join(const struct qemu_args *args, char *out, size_t size)
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < args->argc; i++)
		n += (size_t)snprintf(out + n, size - n, "%s\n", args->argv[i]);
	assert_null(args->argv[args->argc]);
}

#define HEAD                                                                             \
	"/usr/bin/qemu\n-nodefaults\n-no-user-config\n-no-reboot\n-display\nnone\n"       \
	"-global\nvirtio-mmio.force-legacy=false\n-sandbox\n"                             \
	"on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny\n"       \
	"-name\nweb\n-machine\nmicrovm,x-option-roms=off,memory-backend=mem\n"
#define CHANNELS                                                                         \
	"-chardev\nsocket,id=qmp,fd=3\n-mon\nchardev=qmp,mode=control\n"                  \
	"-chardev\nsocket,id=console,fd=5\n-serial\nchardev:console\n"                    \
	"-chardev\nsocket,id=vsock,fd=4\n-device\nvhost-user-vsock-device,chardev=vsock\n"
#define KERNEL "-kernel\n/proc/self/fd/6\n-initrd\n/proc/self/fd/7\n-append\n"

static void test_tcg(void **state)
{
	static struct qemu_args args;
	struct vmm_config cfg;
	char text[8192];

	vmm_config_init(&cfg);
	strcpy(cfg.id, "web");
	assert_int_equal(qemu_args_build(&args, &cfg, "/usr/bin/qemu", false, 2596150, NULL), 0);
	join(&args, text, sizeof(text));
	assert_string_equal(text,
		HEAD "-accel\ntcg,tb-size=64\n-cpu\nmax,-erms,-la57\n-smp\n1\n-m\n256\n"
		"-object\nmemory-backend-memfd,id=mem,size=256M,share=on\n" CHANNELS KERNEL
		"console=ttyS0 reboot=t panic=-1 quiet cryptomgr.notests rcupdate.rcu_expedited=1 "
		"tsc_early_khz=2596150 tsc=reliable noreplace-smp\n");
}

static void test_kvm_with_disks(void **state)
{
	static struct qemu_args args;
	struct vmm_config cfg;
	char text[8192];

	vmm_config_init(&cfg);
	strcpy(cfg.id, "web");
	strcpy(cfg.cmdline, "debug a=b,c");
	cfg.cpus = 4;
	cfg.memory = UINT64_C(1) << 30;
	cfg.ndisks = 2;
	cfg.disks[0] = (struct vmm_disk){ .fd = 90, .readonly = true, .serial = "root" };
	cfg.disks[1] = (struct vmm_disk){ .fd = 91, .serial = "layer" };
	assert_int_equal(qemu_args_build(&args, &cfg, "/usr/bin/qemu", true, 1, NULL), 0);
	join(&args, text, sizeof(text));
	assert_string_equal(text,
		HEAD "-accel\nkvm\n-cpu\nhost\n-smp\n4\n-m\n1024\n"
		"-object\nmemory-backend-memfd,id=mem,size=1024M,share=on\n" CHANNELS KERNEL
		"console=ttyS0 reboot=t panic=-1 quiet cryptomgr.notests "
		"rcupdate.rcu_expedited=1 debug a=b,c\n"
		"-add-fd\nfd=8,set=1\n-drive\n"
		"if=none,id=disk0,format=raw,cache=writeback,discard=unmap,rerror=report,"
		"file=/dev/fdset/1,readonly=on\n"
		"-device\nvirtio-blk-device,drive=disk0,serial=root\n"
		"-add-fd\nfd=9,set=2\n-drive\n"
		"if=none,id=disk1,format=raw,cache=writeback,discard=unmap,rerror=report,"
		"file=/dev/fdset/2,werror=report,auto-read-only=off\n"
		"-device\nvirtio-blk-device,drive=disk1,serial=layer\n");
}

static void test_nbd_and_shares(void **state)
{
	static struct qemu_args args;
	struct vmm_config cfg;
	char text[8192];

	vmm_config_init(&cfg);
	cfg.ndisks = 3;
	cfg.disks[0] = (struct vmm_disk){ .nbd = true, .readonly = true, .serial = "a" };
	cfg.disks[1] = (struct vmm_disk){ .nbd = true, .serial = "b", .export = "x,y=z" };
	cfg.disks[2] = (struct vmm_disk){ .serial = "c" };
	cfg.nshares = 2;
	cfg.shares[0] = (struct vmm_share){ .tag = "share0" };
	cfg.shares[1] = (struct vmm_share){ .tag = "data", .readonly = true };
	assert_int_equal(qemu_args_build(&args, &cfg, "q", false, 5, NULL), 0);
	join(&args, text, sizeof(text));
	assert_string_equal(strstr(text, "-drive"),
		"-drive\n"
		"if=none,id=disk0,format=raw,cache=writeback,discard=unmap,rerror=report,"
		"file.driver=nbd,file.server.type=fd,file.server.str=8,file.export=,readonly=on\n"
		"-device\nvirtio-blk-device,drive=disk0,serial=a\n-drive\n"
		"if=none,id=disk1,format=raw,cache=writeback,discard=unmap,rerror=report,"
		"file.driver=nbd,file.server.type=fd,file.server.str=9,file.export=x,,y=z,"
		"werror=report\n"
		"-device\nvirtio-blk-device,drive=disk1,serial=b\n-add-fd\nfd=10,set=3\n-drive\n"
		"if=none,id=disk2,format=raw,cache=writeback,discard=unmap,rerror=report,"
		"file=/dev/fdset/3,werror=report,auto-read-only=off\n"
		"-device\nvirtio-blk-device,drive=disk2,serial=c\n"
		"-chardev\nsocket,id=share0,fd=11\n"
		"-device\nvhost-user-fs-device,chardev=share0,tag=share0\n"
		"-chardev\nsocket,id=share1,fd=12\n"
		"-device\nvhost-user-fs-device,chardev=share1,tag=data\n");
}

static void test_emulated_cpus_come_later(void **state)
{
	static struct qemu_args args;
	struct vmm_config cfg;
	char text[8192];

	vmm_config_init(&cfg);
	cfg.cpus = 2;
	assert_int_equal(qemu_args_build(&args, &cfg, "q", false, 5, NULL), 0);
	join(&args, text, sizeof(text));
	assert_non_null(strstr(text, "-smp\n2\n"));
	assert_non_null(strstr(text, "tsc_early_khz=5 tsc=reliable noreplace-smp maxcpus=1\n"));
}

static void test_largest_config_fits(void **state)
{
	static struct qemu_args args;
	struct vmm_config cfg;

	vmm_config_init(&cfg);
	memset(cfg.id, 'i', VMM_ID_MAX);
	memset(cfg.cmdline, 'c', VMM_CMDLINE_MAX);
	cfg.memory = VMM_MEMORY_MAX;
	cfg.cpus = VMM_CPUS_MAX;
	cfg.ndisks = VMM_DISKS_MAX;
	for (int i = 0; i < VMM_DISKS_MAX; i++) {
		cfg.disks[i].nbd = true;
		memset(cfg.disks[i].serial, 's', VMM_SERIAL_MAX);
		memset(cfg.disks[i].export, ',', VMM_EXPORT_MAX);
	}
	cfg.nshares = VMM_DEVICES_MAX - VMM_DISKS_MAX;
	for (uint32_t i = 0; i < cfg.nshares; i++)
		memset(cfg.shares[i].tag, 't', VMM_TAG_MAX);
	assert_int_equal(qemu_args_build(&args, &cfg, "/q", false, UINT32_MAX, NULL), 0);
}

static void test_too_long(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	static struct qemu_args args;
	static char path[QEMU_ARGS_TEXT + 1];
	struct vmm_config cfg;

	vmm_config_init(&cfg);
	memset(path, 'q', sizeof(path) - 1);
	assert_int_equal(qemu_args_build(&args, &cfg, path, false, 1, &err), -EINVAL);
	assert_string_equal(err.message, "qemu: command line is too long");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcg),
		cmocka_unit_test(test_kvm_with_disks),
		cmocka_unit_test(test_nbd_and_shares),
		cmocka_unit_test(test_emulated_cpus_come_later),
		cmocka_unit_test(test_largest_config_fits),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
