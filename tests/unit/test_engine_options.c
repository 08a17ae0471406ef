/* SPDX-License-Identifier: Apache-2.0 */
/* The tables that turn a document's words into what the kernel takes; no privilege needed. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "engine/caps.h"
#include "engine/cgroup_internal.h"
#include "spec/mount_options.h"
#include "engine/support.h"
#include "engine/sysctl.h"

#define WORDS(...) \
	(&(struct oci_strv){ (char **)(const char *[]){ __VA_ARGS__ }, \
			     sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *) })

static struct mount_options parse(const struct oci_strv *words)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct mount_options o;

	assert_int_equal(mount_options_parse(words, &o, &err), 0);
	return o;
}

static void test_mount_flags(void **state)
{
	struct mount_options o = parse(WORDS("nosuid", "noexec", "nodev", "ro"));

	assert_int_equal(o.flags, MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY);
	assert_null(o.data);
	assert_int_equal(o.propagation, 0);
	o = parse(WORDS("rbind", "rslave"));
	assert_int_equal(o.flags, MS_BIND | MS_REC);
	assert_int_equal(o.propagation, MS_SLAVE | MS_REC);
	o = parse(WORDS("defaults", "", "silent", "loud", "sync", "async", "dirsync"));
	assert_int_equal(o.flags, MS_DIRSYNC);
}

static void test_mount_later_word_wins(void **state)
{
	struct mount_options o = parse(WORDS("ro", "rw"));

	assert_int_equal(o.flags, 0);
	assert_int_equal(o.cleared, MS_RDONLY);
	o = parse(WORDS("rw", "ro"));
	assert_int_equal(o.flags, MS_RDONLY);
	assert_int_equal(o.cleared, 0);
	o = parse(WORDS("noatime", "strictatime"));
	assert_int_equal(o.flags, MS_STRICTATIME);
	o = parse(WORDS("rprivate", "shared"));
	assert_int_equal(o.propagation, MS_SHARED);
}

static void test_mount_data(void **state)
{
	struct mount_options o = parse(WORDS("nosuid", "size=64k", "ro", "mode=1777"));

	assert_string_equal(o.data, "size=64k,mode=1777");
	mount_options_free(&o);
	/* Words of other file systems that merely look like ours. */
	o = parse(WORDS("ROOT", "noatimes"));
	assert_string_equal(o.data, "ROOT,noatimes");
	mount_options_free(&o);
}

static void test_mount_data_too_long(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	char word[3000];
	struct mount_options o;

	memset(word, 'x', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	assert_int_equal(mount_options_parse(WORDS(word, word), &o, &err), -EINVAL);
	assert_non_null(strstr(err.message, "longer than a page"));
	mount_options_free(&o);
}

static void test_mount_whole_tree(void **state)
{
	struct mount_options o = parse(WORDS("rro", "rnosuid", "rdev"));

	assert_int_equal(o.all.attr_set, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID);
	assert_int_equal(o.all.attr_clr, MOUNT_ATTR_NODEV);
	assert_int_equal(o.flags, 0);
	/* The kernel takes the clock mode only when its whole field is cleared first. */
	o = parse(WORDS("rnoatime"));
	assert_int_equal(o.all.attr_set, MOUNT_ATTR_NOATIME);
	assert_int_equal(o.all.attr_clr, MOUNT_ATTR__ATIME);
	o = parse(WORDS("rro", "rrw"));
	assert_int_equal(o.all.attr_set, 0);
	assert_int_equal(o.all.attr_clr, MOUNT_ATTR_RDONLY);
}

static void test_mount_attr(void **state)
{
	struct mount_options o = parse(WORDS("bind", "ro", "suid", "noatime"));
	struct mount_attr a = mount_options_attr(&o);

	assert_int_equal(a.attr_set, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME);
	assert_int_equal(a.attr_clr, MOUNT_ATTR_NOSUID | MOUNT_ATTR__ATIME);
	o = parse(WORDS("bind"));
	a = mount_options_attr(&o);
	assert_int_equal(a.attr_set | a.attr_clr, 0);
	o = parse(WORDS("bind", "nosymfollow", "relatime"));
	a = mount_options_attr(&o);
	assert_int_equal(a.attr_set, MOUNT_ATTR_NOSYMFOLLOW);
	assert_int_equal(a.attr_clr, MOUNT_ATTR__ATIME);
}

static void test_mount_idmap_and_copy(void **state)
{
	struct mount_options o = parse(WORDS("bind"));
	struct coffer_error err = COFFER_ERROR_INIT;

	/* crun's way to write mappings is not left out in silence. */
	assert_int_equal(mount_options_parse(WORDS("bind", "idmap=uids=0-1-10"), &o, &err),
			 -EOPNOTSUPP);
	assert_non_null(strstr(err.message, "idmap=uids=0-1-10"));
	o = parse(WORDS("bind"));
	assert_int_equal(o.idmap, MOUNT_IDMAP_NONE);
	assert_false(o.copy_up);
	o = parse(WORDS("bind", "idmap"));
	assert_int_equal(o.idmap, MOUNT_IDMAP_ONE);
	o = parse(WORDS("bind", "ridmap", "tmpcopyup"));
	assert_int_equal(o.idmap, MOUNT_IDMAP_TREE);
	assert_true(o.copy_up);
	assert_null(o.data);
}

static void test_propagation(void **state)
{
	unsigned long flags = 0;

	assert_int_equal(mount_propagation_parse("rshared", &flags), 0);
	assert_int_equal(flags, MS_SHARED | MS_REC);
	assert_int_equal(mount_propagation_parse("unbindable", &flags), 0);
	assert_int_equal(flags, MS_UNBINDABLE);
	assert_int_equal(mount_propagation_parse("ro", &flags), -EINVAL);
	assert_int_equal(mount_propagation_parse("", &flags), -EINVAL);
}

static void test_caps(void **state)
{
	struct oci_capabilities spec = {
		.bounding = *WORDS("CAP_CHOWN", "CAP_KILL", "CAP_CHECKPOINT_RESTORE"),
		.effective = *WORDS("CAP_SYS_ADMIN", "CAP_TELEPORT"),
	};
	struct caps caps;

	caps_parse(&spec, &caps);
	assert_int_equal(caps.bounding, 1 | 1 << 5 | UINT64_C(1) << 40);
	assert_int_equal(caps.effective, 1 << 21);
	assert_int_equal(caps.permitted | caps.inheritable | caps.ambient, 0);
	caps_parse(NULL, &caps);
	assert_int_equal(caps.bounding, 0);
}

static int check_sysctl(const char *key, uint64_t spaces, bool own_kernel)
{
	struct oci_pair pair = { (char *)key, (char *)"1" };
	struct oci_pairs pairs = { &pair, 1 };
	struct ns_plan ns = NS_PLAN_INIT;

	ns.create = spaces;
	return sysctl_check(&pairs, &ns, own_kernel, NULL);
}

static void test_sysctl(void **state)
{
	assert_int_equal(check_sysctl("net.ipv4.ip_forward", CLONE_NEWNET, false), 0);
	assert_int_equal(check_sysctl("net/ipv4/conf/eth0.1/forwarding", CLONE_NEWNET, false), 0);
	assert_int_equal(check_sysctl("kernel.shmmax", CLONE_NEWIPC, false), 0);
	assert_int_equal(check_sysctl("fs.mqueue.queues_max", CLONE_NEWIPC, false), 0);
	/* Without the namespace it would be the host's, unless there is no host. */
	assert_int_equal(check_sysctl("net.ipv4.ip_forward", CLONE_NEWIPC, false), -EINVAL);
	assert_int_equal(check_sysctl("net.ipv4.ip_forward", CLONE_NEWIPC, true), 0);
	assert_int_equal(check_sysctl("kernel.shmmaxi", CLONE_NEWIPC, false), -EINVAL);
	assert_int_equal(check_sysctl("network.x", CLONE_NEWNET, false), -EINVAL);
	assert_int_equal(check_sysctl("vm.swappiness", CLONE_NEWNET, false), -EINVAL);
	assert_int_equal(check_sysctl("vm.swappiness", CLONE_NEWNET, true), 0);
	assert_int_equal(check_sysctl("net/../vm/swappiness", CLONE_NEWNET, true), -EINVAL);
	assert_int_equal(check_sysctl("net.//vm.swappiness", CLONE_NEWNET, true), -EINVAL);
	assert_int_equal(check_sysctl("/etc/passwd", CLONE_NEWNET, true), -EINVAL);
	assert_int_equal(check_sysctl("", CLONE_NEWNET, true), -EINVAL);
}

static void test_cpu_weight(void **state)
{
	assert_int_equal(cgroup_v2_weight(2), 1);
	assert_int_equal(cgroup_v2_weight(0), 1);
	assert_int_equal(cgroup_v2_weight(1024), 39);
	assert_int_equal(cgroup_v2_weight(262144), 10000);
	assert_int_equal(cgroup_v2_weight(UINT64_MAX), 10000);
}

static void test_support(void **state)
{
	struct oci_process process = { .args = *WORDS("sh"), .cwd = (char *)"/" };
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_int_equal(support_check_process(&process, &err), 0);
	process.selinux_label = (char *)"a:b:c";
	assert_int_equal(support_check_process(&process, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.message, "process.selinuxLabel"));
	process.selinux_label = NULL;
	process.cwd = (char *)"tmp";
	assert_int_equal(support_check_process(&process, &err), -EINVAL);
	process.args.n = 0;
	assert_int_equal(support_check_process(&process, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mount_flags),
		cmocka_unit_test(test_mount_later_word_wins),
		cmocka_unit_test(test_mount_data),
		cmocka_unit_test(test_mount_data_too_long),
		cmocka_unit_test(test_mount_whole_tree),
		cmocka_unit_test(test_mount_attr),
		cmocka_unit_test(test_mount_idmap_and_copy),
		cmocka_unit_test(test_propagation),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_sysctl),
		cmocka_unit_test(test_cpu_weight),
		cmocka_unit_test(test_support),
	};

	return cmocka_run_group_tests_name("engine_options", tests, NULL, NULL);
}
