/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec/rules.c - what single texts of a config must be
 *
 * Word lists are the specification's; the functions guard texts that the
 * engine puts into paths, file names or lines of kernel files, where a slash,
 * a newline or ".." would mean something else.  Rules between members are in
 * check.c.
 */
#include "spec/schema.h"

#include <ctype.h>
#include <errno.h>

#define RULE_CAPABILITY_MAX 64

#define RULE_WORDS(name_, what_, ...)                                                              \
	const struct spec_rule spec_rule_##name_ = {                                               \
		.what = (what_),                                                                   \
		.words = (const char *const[]){ __VA_ARGS__, NULL },                               \
	}
#define RULE_FUNC(name_, what_)                                                                    \
	const struct spec_rule spec_rule_##name_ = { .what = (what_), .ok = rule_##name_ }

/* clang-format off */
RULE_WORDS(namespace, "a known namespace type",
	"pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time");
/* By the kernel's number. */
#define RULE_CAPABILITIES \
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", \
	"CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", \
	"CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", \
	"CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", \
	"CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", \
	"CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", \
	"CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", \
	"CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", \
	"CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"
/* By the kernel's number. */
RULE_WORDS(rlimit, "a known resource limit",
	"RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS",
	"RLIMIT_NPROC", "RLIMIT_NOFILE", "RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS",
	"RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME");
RULE_WORDS(scheduler, "a known scheduling policy",
	"SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE",
	"SCHED_DEADLINE");
RULE_WORDS(sched_flag, "a known scheduling flag",
	"SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN",
	"SCHED_FLAG_KEEP_POLICY", "SCHED_FLAG_KEEP_PARAMS", "SCHED_FLAG_UTIL_CLAMP_MIN",
	"SCHED_FLAG_UTIL_CLAMP_MAX");
RULE_WORDS(ioprio, "a known I/O priority class",
	"IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE");
RULE_WORDS(device, "a device type (c, b, u or p)", "c", "b", "u", "p");
RULE_WORDS(device_rule, "a device type (a, c or b)", "a", "c", "b");
RULE_WORDS(clock, "a clock with an offset (monotonic or boottime)", "monotonic", "boottime");
RULE_WORDS(propagation, "a known mount propagation",
	"private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable",
	"runbindable");
RULE_WORDS(action, "a known seccomp action",
	"SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP",
	"SCMP_ACT_ERRNO", "SCMP_ACT_TRACE", "SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY");
RULE_WORDS(operator, "a known seccomp operator",
	"SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT",
	"SCMP_CMP_MASKED_EQ");
RULE_WORDS(arch, "a known seccomp architecture",
	"SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_ARM",
	"SCMP_ARCH_AARCH64", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32",
	"SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC",
	"SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE", "SCMP_ARCH_S390", "SCMP_ARCH_S390X",
	"SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64", "SCMP_ARCH_RISCV64");
RULE_WORDS(seccomp_flag, "a known seccomp filter flag",
	"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
	"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV");
RULE_WORDS(domain, "a known personality (LINUX or LINUX32)", "LINUX", "LINUX32");
/* clang-format on */

/* The specification defines none. */
const struct spec_rule spec_rule_personality_flag = {
	.what = "a known personality flag",
	.words = (const char *const[]){ NULL },
};

/* Of a kernel newer than the list, or of none. */
static bool rule_capability_shape(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

	return n > 0 && n <= RULE_CAPABILITY_MAX && s[n] == '\0' && isupper((unsigned char)s[0]) &&
	       s[n - 1] != '_';
}

const struct spec_rule spec_rule_capability = {
	.what = "a capability name (CAP_...)",
	.words = (const char *const[]){ RULE_CAPABILITIES, NULL },
	.ok = rule_capability_shape,
};

int oci_capability(const char *name)
{
	const char *const *known = spec_rule_capability.words;

	for (int cap = 0; known[cap]; cap++)
		if (strcmp(known[cap], name) == 0)
			return cap;
	return rule_capability_shape(name) ? -ENOENT : -EINVAL;
}

int oci_rlimit(const char *name)
{
	for (int i = 0; spec_rule_rlimit.words[i]; i++)
		if (strcmp(spec_rule_rlimit.words[i], name) == 0)
			return i;
	return -EINVAL;
}

static bool rule_not_empty(const char *s)
{
	return s[0] != '\0';
}
RULE_FUNC(not_empty, "allowed");

static bool rule_absolute(const char *s)
{
	return s[0] == '/';
}
RULE_FUNC(absolute, "an absolute path");

/* rule_version() - 1.x.y with any suffix; 0.x documents have other members */
static bool rule_version(const char *s)
{
	return s[0] == '1' && s[1] == '.' && isdigit((unsigned char)s[2]);
}
RULE_FUNC(version, "a supported version (1.x)");

static bool rule_hostname(const char *s)
{
	return strlen(s) <= 64;
}
RULE_FUNC(hostname, "at most 64 bytes long");

static bool rule_cpu_list(const char *s)
{
	return s[strspn(s, "0123456789,- ")] == '\0';
}
RULE_FUNC(cpu_list, "a list of numbers such as 0-3,7");

/* "a" says nothing, but is found in documents: in the kernel's own rules it is a type. */
static bool rule_access(const char *s)
{
	return s[strspn(s, "rwma")] == '\0';
}
RULE_FUNC(access, "made of r, w and m");

/* rule_page_size() - 64KB, 2MB, 1GB: part of a cgroup file's name */
static bool rule_page_size(const char *s)
{
	size_t digits = strspn(s, "0123456789");

	return digits > 0 && digits <= 9 && s[digits] != '\0' && strchr("KMG", s[digits]) != NULL &&
	       strcmp(s + digits + 1, "B") == 0;
}
RULE_FUNC(page_size, "a page size such as 2MB");

static bool rule_file_name(const char *s)
{
	return s[0] != '\0' && strcmp(s, ".") != 0 && strcmp(s, "..") != 0 &&
	       strchr(s, '/') == NULL;
}
RULE_FUNC(file_name, "a file name without slashes");

static bool rule_cgroup_file(const char *s)
{
	return rule_file_name(s);
}
RULE_FUNC(cgroup_file, "the name of a cgroup file");

/* rule_token() - One word of a line such as "mlx5_0 hca_handle=2" */
static bool rule_token(const char *s)
{
	const char *p;

	for (p = s; *p != '\0'; p++)
		if (!isgraph((unsigned char)*p))
			return false;
	return p != s;
}
RULE_FUNC(token, "a single printable word");

/* rule_cgroups_path() - No component is ".." */
static bool rule_cgroups_path(const char *s)
{
	size_t n;

	for (; *s != '\0'; s += s[n] == '/' ? n + 1 : n) {
		n = strcspn(s, "/");
		if (n == 2 && memcmp(s, "..", 2) == 0)
			return false;
	}
	return true;
}
RULE_FUNC(cgroups_path, "a path without \"..\"");

/* rule_sysctl() - Dots or slashes part the components; none may be empty */
static bool rule_sysctl(const char *s)
{
	const char *p;
	bool parted = true;

	for (p = s; *p != '\0'; p++) {
		bool sep = *p == '.' || *p == '/';

		if (!isgraph((unsigned char)*p) || (sep && parted))
			return false;
		parted = sep;
	}
	return !parted;
}
RULE_FUNC(sysctl, "a sysctl name");

const char *const *oci_words(enum oci_words which)
{
	static const struct spec_rule *const rules[] = {
		[OCI_WORDS_NAMESPACE] = &spec_rule_namespace,
		[OCI_WORDS_SECCOMP_ACTION] = &spec_rule_action,
		[OCI_WORDS_SECCOMP_OPERATOR] = &spec_rule_operator,
		[OCI_WORDS_SECCOMP_ARCH] = &spec_rule_arch,
		[OCI_WORDS_SECCOMP_FLAG] = &spec_rule_seccomp_flag,
		[OCI_WORDS_CAPABILITY] = &spec_rule_capability,
	};
	_Static_assert(ARRAY_SIZE(rules) == OCI_WORDS_COUNT, "one list per name");

	return rules[which]->words;
}
