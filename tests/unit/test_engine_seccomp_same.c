/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our seccomp programs and libseccomp's, made of the same profiles, give the
 * same verdicts: on all calls, through all interfaces, with arguments around
 * the values that the rules compare with. How they may differ: seccomp_same.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "engine/seccomp_calls.h"
#include "seccomp_same.h"

#define SAME_FOREIGN  0x12345678U /* no architecture */
#define SAME_X32_BIT  0x40000000U
#define SAME_NUMBERS  1024
#define SAME_VALUES   192
#define SAME_RANDOM   64 /* argument sets a call */
#define SAME_PROFILES 60 /* by chance */
#define SAME_FLOOR    1000000

/* ---- which calls ---- */

struct same_values {
	uint64_t v[SAME_VALUES];
	size_t n;
};

static void values_add(struct same_values *s, uint64_t v)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i] == v)
			return;
	assert_true(s->n < SAME_VALUES);
	s->v[s->n++] = v;
}

/* Beside @v, and with the one half or the other different. */
static void values_add_around(struct same_values *s, uint64_t v)
{
	values_add(s, v - 1);
	values_add(s, v);
	values_add(s, v + 1);
	values_add(s, v ^ 1ULL << 32);
	values_add(s, v ^ 1ULL << 63);
	values_add(s, (uint32_t)v);
	values_add(s, v << 32 | v >> 32);
}

/* Values of argument @arg that the rules for @c may tell apart */
static void values_of(const struct same_call *c, unsigned arg, struct same_values *s)
{
	*s = (struct same_values){ .v = { 0, UINT64_MAX, UINT32_MAX, 1ULL << 32 }, .n = 4 };
	for (size_t i = 0; i < c->n; i++) {
		const struct oci_seccomp_rule *r = c->v[i]->rule->spec;

		if (c->v[i]->muxed && arg == 0) {
			values_add(s, c->v[i]->muxed_case);
			values_add(s, c->v[i]->muxed_case | 1 << 16);
		}
		for (size_t k = 0; k < r->args.n && s->n < SAME_VALUES - 16; k++) {
			if (r->args.v[k].index != arg)
				continue;
			values_add_around(s, r->args.v[k].value);
			if (r->args.v[k].value_two)
				values_add_around(s, r->args.v[k].value_two);
		}
	}
}

/* The same at each run, on each machine. */
static uint32_t same_random(void)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 16);
}

static void compare_arguments(struct same_call *c)
{
	static struct same_values values[6];
	__u64 *args = c->data.args;

	for (unsigned arg = 0; arg < 6; arg++)
		values_of(c, arg, &values[arg]);
	/* One varies, all others hold what the rules ask for, one rule after the other. */
	for (size_t i = 0; i < c->n; i++) {
		const struct oci_seccomp_rule *r = c->v[i]->rule->spec;

		for (unsigned arg = 0; arg < 6; arg++) {
			memset(args, 0, sizeof(c->data.args));
			if (c->v[i]->muxed)
				args[0] = c->v[i]->muxed_case;
			for (size_t k = 0; k < r->args.n; k++)
				args[r->args.v[k].index] =
				    same_cmp(&r->args.v[k]).op == SCMP_CMP_MASKED_EQ
					? r->args.v[k].value_two
					: r->args.v[k].value;
			for (size_t k = 0; k < values[arg].n; k++) {
				args[arg] = values[arg].v[k];
				same_compare(c);
			}
		}
	}
	for (int i = 0; i < SAME_RANDOM; i++) {
		for (unsigned arg = 0; arg < 6; arg++)
			args[arg] = values[arg].v[same_random() % values[arg].n];
		same_compare(c);
	}
}

static void compare_number(uint32_t audit, uint32_t nr)
{
	struct same_call c;

	same_call_init(&c, audit, nr);
	same_compare(&c);
	memset(c.data.args, 0xff, sizeof(c.data.args));
	c.data.instruction_pointer = UINT64_MAX;
	same_compare(&c);
	for (size_t i = 0; i < c.n; i++)
		if (!same_named_plain(c.v[i])) {
			compare_arguments(&c);
			return;
		}
}

static void compare_architecture(uint32_t audit)
{
	static const uint32_t borders[] = { 4096,	SAME_X32_BIT - 1, 0x7fffffff,
					    0x80000000, 0xfffffffe,	  SAME_NONE };

	for (uint32_t nr = 0; nr < SAME_NUMBERS; nr++) {
		compare_number(audit, nr);
		compare_number(audit, SAME_X32_BIT | nr);
	}
	for (size_t i = 0; i < ARRAY_SIZE(borders); i++)
		compare_number(audit, borders[i]);
}

static void compare_profile(const char *title, const char *profile)
{
	same_open(title, profile);
	for (size_t i = 0; i < seccomp_abis_n; i++)
		if (i == 0 || seccomp_abis[i].audit != seccomp_abis[i - 1].audit)
			compare_architecture(seccomp_abis[i].audit);
	compare_architecture(SAME_FOREIGN);
	same_close();
}

/* ---- profiles ---- */

/* clang-format off */
#define ALL_ABIS \
	"\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\",\"SCMP_ARCH_X32\"," \
	"\"SCMP_ARCH_AARCH64\",\"SCMP_ARCH_ARM\"],"
#define RULE(action, names, args) \
	"{\"names\":[" names "],\"action\":\"SCMP_ACT_" action "\",\"args\":[" args "]}"
#define ERRNO(n, names, args) \
	"{\"names\":[" names "],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":" #n ",\"args\":[" args "]}"
#define IF(index, op, value) \
	"{\"index\":" #index ",\"value\":" #value ",\"op\":\"SCMP_CMP_" #op "\"}"
#define IF_MASKED(index, mask, value) \
	"{\"index\":" #index ",\"value\":" #mask ",\"valueTwo\":" #value \
	",\"op\":\"SCMP_CMP_MASKED_EQ\"}"

static const struct {
	const char *title, *profile;
} same_profiles[] = {
	{ "nothing", "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}" },
	{ "nothing is allowed", "{\"defaultAction\":\"SCMP_ACT_ERRNO\"," ALL_ABIS "\"syscalls\":[]}" },
	{ "allow-list",
	  "{\"defaultAction\":\"SCMP_ACT_KILL_PROCESS\",\"syscalls\":["
	  RULE("ALLOW", "\"read\",\"write\",\"close\",\"futex\",\"exit_group\"", "") ","
	  RULE("ALLOW", "\"ioctl\"", IF(1, EQ, 21505)) ","
	  RULE("ALLOW", "\"openat2\",\"clone3\",\"no_such_call\"", "") "]}" },
	{ "allow-list of two interfaces",
	  "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":13,"
	  "\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\"],\"syscalls\":["
	  RULE("ALLOW", "\"read\",\"socket\",\"bind\",\"accept\",\"recvmmsg\",\"sendmmsg\","
			"\"shmat\",\"semop\",\"msgrcv\",\"semtimedop\",\"mmap2\",\"chown32\"", "") ","
	  RULE("ERRNO", "\"openat2\"", "") "]}" },
	{ "deny-list",
	  "{\"defaultAction\":\"SCMP_ACT_ALLOW\"," ALL_ABIS "\"syscalls\":["
	  ERRNO(71, "\"mount\",\"umount2\",\"umount\",\"ptrace\",\"socketcall\",\"ipc\"", "") ","
	  RULE("KILL", "\"kexec_load\",\"reboot\"", "") ","
	  RULE("ERRNO", "\"socket\"", IF(0, EQ, 40)) ","
	  ERRNO(38, "\"clone3\",\"semget\",\"connect\"", "") "]}" },
	{ "arguments out of sight",
	  "{\"defaultAction\":\"SCMP_ACT_LOG\"," ALL_ABIS "\"syscalls\":["
	  RULE("ERRNO", "\"socket\",\"shmget\"", IF(0, EQ, 40)) ","
	  RULE("ALLOW", "\"socketpair\",\"msgget\"", IF(0, EQ, 1)) ","
	  RULE("ALLOW", "\"bind\"", "") "]}" },
	{ "conditions and none",
	  "{\"defaultAction\":\"SCMP_ACT_ERRNO\"," ALL_ABIS "\"syscalls\":["
	  RULE("ALLOW", "\"getppid\"", "") "," ERRNO(71, "\"getppid\"", IF(0, GE, 5)) ","
	  ERRNO(72, "\"getsid\"", "") "," RULE("ALLOW", "\"getsid\"", IF(0, EQ, 0)) ","
	  RULE("ALLOW", "\"getpgid\"", "") "," RULE("ERRNO", "\"getpgid\"", IF(0, EQ, 3)) ","
	  RULE("ALLOW", "\"kill\"", IF(1, LT, 9)) "," RULE("LOG", "\"kill\"", IF(0, GT, 1)) ","
	  RULE("LOG", "\"setsid\"", "") "," RULE("ALLOW", "\"setsid\"", "") "]}" },
	{ "every action",
	  "{\"defaultAction\":\"SCMP_ACT_TRACE\",\"defaultErrnoRet\":4242," ALL_ABIS
	  "\"listenerPath\":\"/x\",\"syscalls\":["
	  RULE("KILL_PROCESS", "\"getpid\"", "") "," RULE("KILL_THREAD", "\"getppid\"", "") ","
	  RULE("KILL", "\"getsid\"", "") "," RULE("TRAP", "\"getuid\"", "") ","
	  ERRNO(0, "\"geteuid\"", "") "," ERRNO(4094, "\"getgid\"", "") ","
	  RULE("NOTIFY", "\"getegid\"", "") "," RULE("TRACE", "\"gettid\"", "") ","
	  RULE("LOG", "\"getpgid\"", "") "," RULE("ALLOW", "\"getcwd\"", "") "]}" },
	{ "six arguments",
	  "{\"defaultAction\":\"SCMP_ACT_ERRNO\"," ALL_ABIS "\"syscalls\":["
	  RULE("ALLOW", "\"mmap\",\"mmap2\"",
	       IF(0, NE, 1) "," IF(1, LT, 4294967297) "," IF(2, LE, 7) "," IF(3, GE, 2) ","
	       IF(4, GT, 4294967295) "," IF_MASKED(5, 4095, 0)) ","
	  RULE("ALLOW", "\"futex\"", IF(1, EQ, 0) "," IF(1, EQ, 1) "," IF(2, EQ, 3)) "]}" },
	{ "newer than the library",
	  "{\"defaultAction\":\"SCMP_ACT_ALLOW\"," ALL_ABIS "\"syscalls\":["
	  ERRNO(71, "\"mseal\",\"file_setattr\",\"cachestat\"", "") "]}" },
};
/* clang-format on */

static void test_profiles(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(same_profiles); i++)
		compare_profile(same_profiles[i].title, same_profiles[i].profile);
}

static const char *const same_ops[] = { "NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ" };

/* Each on its own: @allow says whether the condition allows or forbids. */
static void compare_operator(const char *op, uint64_t a, uint64_t b, bool allow)
{
	char title[96], profile[512];

	snprintf(title, sizeof(title), "%s %#llx %#llx", op, (unsigned long long)a,
		 (unsigned long long)b);
	snprintf(profile, sizeof(profile),
		 "{\"defaultAction\":\"SCMP_ACT_%s\"," ALL_ABIS "\"syscalls\":[{\"names\":"
		 "[\"fcntl\"],\"action\":\"SCMP_ACT_%s\",\"args\":[{\"index\":2,\"value\":%llu,"
		 "\"valueTwo\":%llu,\"op\":\"SCMP_CMP_%s\"}]}]}",
		 allow ? "ERRNO" : "ALLOW", allow ? "ALLOW" : "KILL_PROCESS", (unsigned long long)a,
		 (unsigned long long)b, op);
	compare_profile(title, profile);
}

static void test_operators(void **state)
{
	static const uint64_t values[] = {
		0,	     1,		  0x80000000,	      0xffffffff,
		0x100000000, 0x100000001, 0x7fffffff00000000, 0xffffffffffffffff
	};

	for (size_t i = 0; i < ARRAY_SIZE(same_ops); i++)
		for (size_t k = 0; k < ARRAY_SIZE(values); k++)
			compare_operator(same_ops[i], values[k], values[k], (i + k) % 2);
	compare_operator("MASKED_EQ", 0xf0, 0x10, true);
	compare_operator("MASKED_EQ", 0xf000000000, 0x1000000000, false);
	compare_operator("MASKED_EQ", 0xf0000000f0, 0x20, false);
	compare_operator("MASKED_EQ", 0, 0, true);
	compare_operator("MASKED_EQ", 0, 7, true);
	compare_operator("MASKED_EQ", 1, 2, false);
	compare_operator("MASKED_EQ", 0xf, 0x100000003, true);
}

/* What a container engine does not allow by default; the rest of all calls, it does. */
/* clang-format off */
static const char *const engine_refused[] = {
	"acct", "add_key", "afs_syscall", "bpf", "clock_adjtime", "clock_settime", "clone",
	"clone3", "create_module", "delete_module", "finit_module", "fsconfig", "fsmount",
	"fsopen", "fspick", "get_kernel_syms", "get_mempolicy", "init_module", "ioperm", "iopl",
	"kcmp", "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "mbind", "mount",
	"mount_setattr", "move_mount", "move_pages", "nfsservctl", "open_by_handle_at",
	"open_tree", "perf_event_open", "personality", "pivot_root", "process_vm_readv",
	"process_vm_writev", "ptrace", "query_module", "quotactl", "quotactl_fd", "reboot",
	"request_key", "set_mempolicy", "setdomainname", "sethostname", "setns", "settimeofday",
	"socket", "stime", "swapoff", "swapon", "sysfs", "umount", "umount2", "unshare",
	"uselib", "userfaultfd", "ustat", "vhangup", "vm86", "vm86old", "vserver", "_sysctl",
};
/* clang-format on */

static bool engine_allows(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(engine_refused); i++)
		if (strcmp(engine_refused[i], name) == 0)
			return false;
	return true;
}

/* All that the first interface has, and what only others have. */
static size_t engine_write_names(struct buf *b)
{
	size_t n = 0;

	for (size_t abi = 0; abi < seccomp_abis_n; abi++) {
		for (int nr = 0; nr < 512; nr++) {
			const uint32_t token = seccomp_abis[abi].token;
			char *name = seccomp_syscall_resolve_num_arch(
			    token, (int)(seccomp_abis[abi].base | (uint32_t)nr));

			if (name && engine_allows(name) &&
			    (abi == 0 ||
			     seccomp_syscall_resolve_name_arch(seccomp_abis[0].token, name) < 0)) {
				assert_int_equal(buf_printf(b, "%s\"%s\"", n > 0 ? "," : "", name),
						 0);
				n++;
			}
			free(name);
		}
	}
	return n;
}

/* Some 400 names, and the conditions that such profiles have. */
static void test_engine_profile(void **state)
{
	/* clang-format off */
	static const char personality[] =
		RULE("ALLOW", "\"personality\"", IF(0, EQ, 0)) ","
		RULE("ALLOW", "\"personality\"", IF(0, EQ, 8)) ","
		RULE("ALLOW", "\"personality\"", IF(0, EQ, 131072)) ","
		RULE("ALLOW", "\"personality\"", IF(0, EQ, 131080)) ","
		RULE("ALLOW", "\"personality\"", IF(0, EQ, 4294967295));
	static const char others[] =
		RULE("ALLOW", "\"socket\"", IF(0, NE, 40)) ","
		RULE("ALLOW", "\"clone\"", IF_MASKED(0, 2114060288, 0)) ","
		RULE("ALLOW", "\"ptrace\",\"process_vm_readv\",\"kcmp\"", "") ","
		RULE("ALLOW", "\"mseal\",\"statmount\",\"futex_wait\",\"no_such_call\"", "") ","
		RULE("ERRNO", "\"setns\",\"unshare\"", "") ","
		ERRNO(38, "\"clone3\"", "");
	/* clang-format on */
	struct buf b = BUF_INIT(1 << 20);
	size_t n;

	assert_int_equal(
	    buf_printf(&b, "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1," ALL_ABIS
			   "\"syscalls\":[{\"action\":\"SCMP_ACT_ALLOW\","
			   "\"names\":["),
	    0);
	n = engine_write_names(&b);
	print_message("%zu names\n", n);
	assert_true(n > 300);
	assert_int_equal(buf_printf(&b, "]},%s,%s]}", personality, others), 0);
	buf_append(&b, "", 1);
	compare_profile("a container engine's", (const char *)buf_data(&b));
	buf_free(&b);
}

/* ---- profiles by chance ---- */

static uint64_t random_value(void)
{
	/* clang-format off */
	static const uint64_t values[] = {
		0, 1, 2, 3, 40, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x100000002,
		0x300000001, 0xffffffff00000000, 0xffffffffffffffff,
	};
	/* clang-format on */

	return values[same_random() % ARRAY_SIZE(values)];
}

static void random_rule(struct buf *b)
{
	/*
	 * Calls of the machine's own interface all: of a name that only another one
	 * has, libseccomp 2.5 may make a program that does not load the number.
	 */
	static const char *const names[] = { "read", "fcntl", "socket", "shmat",
					     "mmap", "bind",  "openat2" };
	static const char *const actions[] = { "KILL_PROCESS", "KILL",	"TRAP", "ERRNO",
					       "ERRNO",	       "TRACE", "LOG",	"ALLOW" };
	const char *action = actions[same_random() % ARRAY_SIZE(actions)];
	unsigned args = same_random() % 4;

	assert_int_equal(buf_printf(b, "{\"names\":[\"%s\"],\"action\":\"SCMP_ACT_%s\"",
				    names[same_random() % ARRAY_SIZE(names)], action),
			 0);
	if (strcmp(action, "ERRNO") == 0)
		assert_int_equal(buf_printf(b, ",\"errnoRet\":%u", same_random() % 3), 0);
	assert_int_equal(buf_printf(b, ",\"args\":["), 0);
	for (unsigned i = 0; i < args; i++) {
		const char *op = same_ops[same_random() % ARRAY_SIZE(same_ops)];
		/* A mask without low bits asks nothing of 32: to libseccomp, no condition. */
		bool masked = strcmp(op, "MASKED_EQ") == 0;
		uint64_t a = random_value() | (masked ? 2 : 0), two = random_value();

		assert_int_equal(buf_printf(b,
					    "%s{\"index\":%u,\"value\":%llu,\"valueTwo\":%llu,"
					    "\"op\":\"SCMP_CMP_%s\"}",
					    i > 0 ? "," : "", same_random() % 3,
					    (unsigned long long)a, (unsigned long long)two, op),
				 0);
	}
	assert_int_equal(buf_printf(b, "]}"), 0);
}

static void test_random(void **state)
{
	static const char *const defaults[] = { "ALLOW", "ERRNO", "KILL_PROCESS", "LOG" };
	char title[32];

	for (int i = 0; i < SAME_PROFILES; i++) {
		const char *action = defaults[same_random() % ARRAY_SIZE(defaults)];
		unsigned rules = 1 + same_random() % 12;
		struct buf b = BUF_INIT(1 << 20);

		assert_int_equal(
		    buf_printf(&b, "{\"defaultAction\":\"SCMP_ACT_%s\"," ALL_ABIS "\"syscalls\":[",
			       action),
		    0);
		for (unsigned k = 0; k < rules; k++) {
			if (k > 0)
				assert_int_equal(buf_printf(&b, ","), 0);
			random_rule(&b);
		}
		assert_int_equal(buf_printf(&b, "]}"), 0);
		buf_append(&b, "", 1);
		snprintf(title, sizeof(title), "random %d", i);
		compare_profile(title, (const char *)buf_data(&b));
		buf_free(&b);
	}
}

/* The comparison is worth something: there was enough, and no reason to differ is idle. */
static void test_floor(void **state)
{
	print_message("%zu verdicts\n", same_compared);
	assert_true(same_compared >= SAME_FLOOR);
	same_check_met();
}

/* The library forgets memory of rules that it refuses. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libseccomp.so";
}

static void test_sink(enum log_level level, const char *category, const char *msg, void *data)
{
}

static int set_up(void **state)
{
	log_set_sink(test_sink, NULL);
	/* Not what this kernel can do, but what the library can write. */
	return seccomp_api_set(5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_profiles),       cmocka_unit_test(test_operators),
		cmocka_unit_test(test_engine_profile), cmocka_unit_test(test_random),
		cmocka_unit_test(test_floor),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
