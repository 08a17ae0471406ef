/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/seccomp_filter.c - linux.seccomp to a filter, and loading it
 *
 * libseccomp compiles the rules to BPF in the parent, once; init and every
 * exec load the same program with one system call.
 *
 * A name that neither libseccomp nor we know: left out when its rule is more
 * lenient than the default (then the default is what it meets, stricter than
 * asked), refused when it is stricter, because leaving it out would weaken the
 * profile without a word.
 *
 * Deliberately absent: SCMP_ACT_NOTIFY and its listener.
 *
 * Callers: container.c compiles, the child's stages load.
 */
#include "engine/seccomp_filter.h"

#include <ctype.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* Actions from the strictest to the most lenient. */
static const struct {
	const char *name;
	uint32_t action;
	bool takes_errno;
} seccomp_actions[] = {
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS, false },
	{ "SCMP_ACT_KILL", SCMP_ACT_KILL, false },
	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL, false },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP, false },
	{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0), true },
	{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(0), true },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG, false },
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW, false },
};

static const struct {
	const char *name;
	enum scmp_compare op;
} seccomp_ops[] = {
	{ "SCMP_CMP_NE", SCMP_CMP_NE }, { "SCMP_CMP_LT", SCMP_CMP_LT },
	{ "SCMP_CMP_LE", SCMP_CMP_LE }, { "SCMP_CMP_EQ", SCMP_CMP_EQ },
	{ "SCMP_CMP_GE", SCMP_CMP_GE }, { "SCMP_CMP_GT", SCMP_CMP_GT },
	{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
};

static const struct {
	const char *name;
	unsigned flag;
} seccomp_flags[] = {
	{ "SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC },
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
	{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV },
};

/* Newer than Debian 12's libseccomp. Since 424 a call has one number on all architectures. */
static const struct {
	const char *name;
	int nr;
} seccomp_new_calls[] = {
	{ "cachestat", 451 },         { "fchmodat2", 452 },         { "map_shadow_stack", 453 },
	{ "futex_wake", 454 },        { "futex_wait", 455 },        { "futex_requeue", 456 },
	{ "statmount", 457 },         { "listmount", 458 },         { "lsm_get_self_attr", 459 },
	{ "lsm_set_self_attr", 460 }, { "lsm_list_modules", 461 },  { "mseal", 462 },
	{ "setxattrat", 463 },        { "getxattrat", 464 },        { "listxattrat", 465 },
	{ "removexattrat", 466 },     { "open_tree_attr", 467 },    { "file_getattr", 468 },
	{ "file_setattr", 469 },
};

static void seccomp_ctx_freep(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

#define auto_seccomp_ctx CLEANUP(seccomp_ctx_freep)

/* Return: the row, or negative errno */
static int seccomp_action_parse(const char *name, const struct oci_opt_u32 *errno_ret,
				uint32_t *action, struct coffer_error *err)
{
	uint32_t data = errno_ret->set ? errno_ret->v : EPERM;

	if (strcmp(name, "SCMP_ACT_NOTIFY") == 0)
		return err_unsupported(err, "SCMP_ACT_NOTIFY is not supported");
	for (size_t i = 0; i < ARRAY_SIZE(seccomp_actions); i++) {
		if (strcmp(seccomp_actions[i].name, name) != 0)
			continue;
		if (errno_ret->set && !seccomp_actions[i].takes_errno)
			return err_invalid(err, "errnoRet does not go with %s", name);
		if (data > 0xffff)
			return err_invalid(err, "errnoRet %u is out of range", data);
		*action = seccomp_actions[i].action;
		if (seccomp_actions[i].takes_errno)
			*action |= data;
		return (int)i;
	}
	return err_invalid(err, "unknown action %s", name);
}

static int seccomp_call_resolve(const char *name)
{
	int nr = seccomp_syscall_resolve_name(name);

	for (size_t i = 0; nr == __NR_SCMP_ERROR && i < ARRAY_SIZE(seccomp_new_calls); i++)
		if (strcmp(seccomp_new_calls[i].name, name) == 0)
			return seccomp_new_calls[i].nr;
	return nr;
}

static int seccomp_arg_parse(const struct oci_seccomp_arg *arg, struct scmp_arg_cmp *out,
			     struct coffer_error *err)
{
	if (arg->index > 5)
		return err_invalid(err, "argument index %u is out of range", arg->index);
	for (size_t i = 0; i < ARRAY_SIZE(seccomp_ops); i++) {
		if (strcmp(seccomp_ops[i].name, arg->op ? arg->op : "") != 0)
			continue;
		*out = (struct scmp_arg_cmp){ .arg = arg->index, .op = seccomp_ops[i].op,
					      .datum_a = arg->value, .datum_b = arg->value_two };
		return 0;
	}
	return err_invalid(err, "unknown comparison %s", arg->op ? arg->op : "");
}

static int seccomp_add_call(scmp_filter_ctx ctx, const char *name, uint32_t action,
			    const struct scmp_arg_cmp *args, unsigned n, bool split,
			    struct coffer_error *err)
{
	int nr = seccomp_call_resolve(name), r = 0;

	if (nr == __NR_SCMP_ERROR)
		return -ENOENT;
	if (!split) {
		r = seccomp_rule_add_array(ctx, action, nr, n, args);
	} else {
		for (unsigned i = 0; r == 0 && i < n; i++)
			r = seccomp_rule_add_array(ctx, action, nr, 1, &args[i]);
	}
	return r < 0 ? err_sysn(err, r, "rule for %s", name) : 0;
}

static int seccomp_add_rule(scmp_filter_ctx ctx, const struct oci_seccomp_rule *rule,
			    int default_row, uint32_t default_action, struct coffer_error *err)
{
	struct scmp_arg_cmp args[6];
	unsigned seen = 0;
	bool split = false;
	uint32_t action;
	int row, r;

	row = seccomp_action_parse(rule->action, &rule->errno_ret, &action, err);
	if (row < 0)
		return row;
	if (action == default_action)
		return 0;
	if (rule->args.n > ARRAY_SIZE(args))
		return err_invalid(err, "more than six arguments");
	for (size_t i = 0; i < rule->args.n; i++) {
		r = seccomp_arg_parse(&rule->args.v[i], &args[i], err);
		if (r < 0)
			return r;
		/* Two conditions on one argument can't both be in a rule: any of them, then. */
		split |= (seen & 1U << args[i].arg) != 0;
		seen |= 1U << args[i].arg;
	}
	for (size_t i = 0; i < rule->names.n; i++) {
		r = seccomp_add_call(ctx, rule->names.v[i], action, args, (unsigned)rule->args.n,
				     split, err);
		if (r == -ENOENT && row < default_row)
			return err_unsupported(err, "unknown system call %s", rule->names.v[i]);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

/* "SCMP_ARCH_X86_64" to what libseccomp calls "x86_64". */
static int seccomp_add_arch(scmp_filter_ctx ctx, const char *name, struct coffer_error *err)
{
	static const char prefix[] = "SCMP_ARCH_";
	char low[32];
	uint32_t arch;
	size_t i;
	int r;

	if (strncmp(name, prefix, sizeof(prefix) - 1) == 0)
		name += sizeof(prefix) - 1;
	for (i = 0; i < sizeof(low) - 1 && name[i]; i++)
		low[i] = (char)tolower((unsigned char)name[i]);
	low[i] = '\0';
	arch = seccomp_arch_resolve_name(low);
	if (arch == 0)
		return err_unsupported(err, "unknown architecture %s", name);
	r = seccomp_arch_add(ctx, arch);
	return r < 0 && r != -EEXIST ? err_sysn(err, r, "architecture %s", name) : 0;
}

static int seccomp_parse_flags(const struct oci_strv *names, unsigned *flags,
			       struct coffer_error *err)
{
	size_t i, k;

	*flags = 0;
	for (i = 0; i < names->n; i++) {
		for (k = 0; k < ARRAY_SIZE(seccomp_flags); k++)
			if (strcmp(seccomp_flags[k].name, names->v[i]) == 0)
				break;
		if (k == ARRAY_SIZE(seccomp_flags))
			return err_unsupported(err, "unknown flag %s", names->v[i]);
		*flags |= seccomp_flags[k].flag;
	}
	/* Only means something with a listener, and the kernel refuses it without. */
	*flags &= ~(unsigned)SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	return 0;
}

static int seccomp_export(scmp_filter_ctx ctx, struct seccomp_filter *out,
			  struct coffer_error *err)
{
	autoclose int fd = memfd_create("seccomp", MFD_CLOEXEC);
	autofree struct sock_filter *insns = NULL;
	struct stat st;
	size_t n;
	int r;

	if (fd < 0)
		return err_sys(err, "memfd");
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return err_sysn(err, r, "compile the filter");
	if (fstat(fd, &st) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, "read the compiled filter");
	n = (size_t)st.st_size / sizeof(*insns);
	if (n == 0 || n > BPF_MAXINSNS)
		return err_invalid(err, "the filter has %zu instructions, the kernel takes %d", n,
				   BPF_MAXINSNS);
	insns = malloc(n * sizeof(*insns));
	if (!insns)
		return err_nomem(err);
	if (io_read_full(fd, insns, n * sizeof(*insns)) != (ssize_t)(n * sizeof(*insns)))
		return err_internal(err, "read the compiled filter");
	out->insns = steal_ptr(insns);
	out->n = (unsigned short)n;
	return 0;
}

static int seccomp_compile_spec(const struct oci_seccomp *spec, struct seccomp_filter *out,
				struct coffer_error *err)
{
	auto_seccomp_ctx scmp_filter_ctx ctx = NULL;
	uint32_t action;
	int row, r;

	if (spec->listener_path)
		return err_unsupported(err, "listenerPath is not supported");
	r = seccomp_parse_flags(&spec->flags, &out->flags, err);
	if (r < 0)
		return r;
	row = seccomp_action_parse(spec->default_action ? spec->default_action : "",
				   &spec->default_errno_ret, &action, err);
	if (row < 0)
		return row;
	ctx = seccomp_init(action);
	if (!ctx)
		return err_nomem(err);
	/* A binary tree over the call numbers instead of a list; older libraries have none. */
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < spec->architectures.n; i++) {
		r = seccomp_add_arch(ctx, spec->architectures.v[i], err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < spec->syscalls.n; i++) {
		r = seccomp_add_rule(ctx, &spec->syscalls.v[i], row, action, err);
		if (r < 0)
			return err_wrap(err, "syscalls[%zu]", i);
	}
	return seccomp_export(ctx, out, err);
}

int seccomp_compile(const struct oci_seccomp *spec, struct seccomp_filter *out,
		    struct coffer_error *err)
{
	int r;

	*out = (struct seccomp_filter){ 0 };
	if (!spec)
		return 0;
	r = seccomp_compile_spec(spec, out, err);
	return r < 0 ? err_wrap(err, "linux.seccomp") : 0;
}

void seccomp_filter_free(struct seccomp_filter *f)
{
	free(f->insns);
	f->insns = NULL;
}

int seccomp_apply(const struct seccomp_filter *f, struct coffer_error *err)
{
	struct sock_fprog prog = { .len = f->n, .filter = f->insns };

	if (!f->insns)
		return 0;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, f->flags, &prog) < 0)
		return err_sys(err, "load the filter");
	return 0;
}
