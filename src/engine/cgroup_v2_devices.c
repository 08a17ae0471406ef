/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_v2_devices.c - linux.resources.devices to a program on a v2 group
 *
 * v2 has no list of devices; the kernel asks a BPF program at every open and
 * mknod.  The rules become straight-line code, the last one first, because in
 * the document a later rule wins.  The program keeps the kinds of access that
 * are still undecided (r3) and takes off what a rule grants:
 *
 *	allow, matching:  r3 &= ~access; nothing left: yes
 *	deny, matching:   r3 & access: no
 *	end:              no
 *
 * so "allow r" and "allow w" together let "rw" through, and a rule about w
 * says nothing about r.  The devices that every container has, pseudo
 * terminals and the mere making of nodes are always allowed.
 *
 * Callers: the v2 driver.
 */
#include "engine/cgroup_internal.h"

#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#define DEVICES_ANY       (-1)
#define DEVICES_RULES_MAX 256
#define DEVICES_RULE_INSNS 11 /* most for one rule */
#define DEVICES_INSNS_MAX ((DEVICES_RULES_MAX + 16) * DEVICES_RULE_INSNS)

#define DEVICES_ALL (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)

struct devices_rule {
	bool allow;
	int type; /* BPF_DEVCG_DEV_* or DEVICES_ANY */
	int64_t major, minor;
	int access; /* BPF_DEVCG_ACC_* */
};

struct devices_program {
	struct bpf_insn *insns; /* owned */
	size_t n;
};

static const struct devices_rule devices_always[] = {
	{ true, BPF_DEVCG_DEV_CHAR, DEVICES_ANY, DEVICES_ANY, BPF_DEVCG_ACC_MKNOD },
	{ true, BPF_DEVCG_DEV_BLOCK, DEVICES_ANY, DEVICES_ANY, BPF_DEVCG_ACC_MKNOD },
	{ true, BPF_DEVCG_DEV_CHAR, 1, 3, DEVICES_ALL }, /* null */
	{ true, BPF_DEVCG_DEV_CHAR, 1, 5, DEVICES_ALL }, /* zero */
	{ true, BPF_DEVCG_DEV_CHAR, 1, 7, DEVICES_ALL }, /* full */
	{ true, BPF_DEVCG_DEV_CHAR, 1, 8, DEVICES_ALL }, /* random */
	{ true, BPF_DEVCG_DEV_CHAR, 1, 9, DEVICES_ALL }, /* urandom */
	{ true, BPF_DEVCG_DEV_CHAR, 5, 0, DEVICES_ALL }, /* tty */
	{ true, BPF_DEVCG_DEV_CHAR, 5, 1, DEVICES_ALL }, /* console */
	{ true, BPF_DEVCG_DEV_CHAR, 5, 2, DEVICES_ALL }, /* ptmx */
	{ true, BPF_DEVCG_DEV_CHAR, 136, DEVICES_ANY, DEVICES_ALL }, /* pts */
};

static void devices_emit(struct devices_program *p, struct bpf_insn insn)
{
	p->insns[p->n++] = insn;
}

static void devices_emit_load(struct devices_program *p, uint8_t reg, int16_t off)
{
	devices_emit(p, (struct bpf_insn){ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = reg & 15U,
					   .src_reg = BPF_REG_1, .off = off });
}

static void devices_emit_imm(struct devices_program *p, int code, uint8_t reg, int16_t off,
			     int32_t imm)
{
	devices_emit(p, (struct bpf_insn){ .code = (uint8_t)code, .dst_reg = reg & 15U, .off = off,
					   .imm = imm });
}

static void devices_emit_verdict(struct devices_program *p, int verdict)
{
	devices_emit_imm(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, verdict);
	devices_emit_imm(p, BPF_JMP | BPF_EXIT, 0, 0, 0);
}

/* r2 = type, r3 = access, r4 = major, r5 = minor */
static void devices_emit_head(struct devices_program *p)
{
	devices_emit_load(p, BPF_REG_2, offsetof(struct bpf_cgroup_dev_ctx, access_type));
	devices_emit(p, (struct bpf_insn){ .code = BPF_ALU | BPF_MOV | BPF_X,
					   .dst_reg = BPF_REG_3, .src_reg = BPF_REG_2 });
	devices_emit_imm(p, BPF_ALU | BPF_AND | BPF_K, BPF_REG_2, 0, 0xffff);
	devices_emit_imm(p, BPF_ALU | BPF_RSH | BPF_K, BPF_REG_3, 0, 16);
	devices_emit_load(p, BPF_REG_4, offsetof(struct bpf_cgroup_dev_ctx, major));
	devices_emit_load(p, BPF_REG_5, offsetof(struct bpf_cgroup_dev_ctx, minor));
}

/* A jump to the end of the rule, where it is patched. Return: its index */
static size_t devices_emit_skip(struct devices_program *p)
{
	devices_emit_imm(p, BPF_JMP | BPF_JA, 0, 0, 0);
	return p->n - 1;
}

/*
 * "if reg == value goto the instruction after next; goto the end of the rule".
 * The kernel's verifier walks the branch not taken first: this way it first
 * walks the whole program knowing nothing, and what it meets later, knowing
 * more, is covered by that.  The other way round it walks twice as far.
 */
static size_t devices_emit_match(struct devices_program *p, uint8_t reg, int64_t value)
{
	devices_emit_imm(p, BPF_JMP | BPF_JEQ | BPF_K, reg, 1, (int32_t)value);
	return devices_emit_skip(p);
}

static void devices_emit_rule(struct devices_program *p, const struct devices_rule *rule)
{
	size_t skips[4], n = 0;

	if (rule->type != DEVICES_ANY)
		skips[n++] = devices_emit_match(p, BPF_REG_2, rule->type);
	if (rule->major != DEVICES_ANY)
		skips[n++] = devices_emit_match(p, BPF_REG_4, rule->major);
	if (rule->minor != DEVICES_ANY)
		skips[n++] = devices_emit_match(p, BPF_REG_5, rule->minor);
	if (rule->allow) {
		devices_emit_imm(p, BPF_ALU | BPF_AND | BPF_K, BPF_REG_3, 0,
				 DEVICES_ALL & ~rule->access);
		skips[n++] = devices_emit_match(p, BPF_REG_3, 0);
	} else {
		devices_emit_imm(p, BPF_JMP | BPF_JSET | BPF_K, BPF_REG_3, 1, rule->access);
		skips[n++] = devices_emit_skip(p);
	}
	devices_emit_verdict(p, rule->allow);
	while (n-- > 0)
		p->insns[skips[n]].off = (int16_t)(p->n - skips[n] - 1);
}

static int devices_parse(const struct oci_device_rule *spec, struct devices_rule *out,
			 struct coffer_error *err)
{
	static const struct {
		char letter;
		int access;
	} letters[] = { { 'r', BPF_DEVCG_ACC_READ }, { 'w', BPF_DEVCG_ACC_WRITE },
			{ 'm', BPF_DEVCG_ACC_MKNOD } };
	const char *type = spec->type ? spec->type : "a";

	*out = (struct devices_rule){
		.allow = spec->allow,
		.type = DEVICES_ANY,
		.major = spec->major.set ? spec->major.v : DEVICES_ANY,
		.minor = spec->minor.set ? spec->minor.v : DEVICES_ANY,
		.access = spec->access ? 0 : DEVICES_ALL,
	};
	if (strcmp(type, "c") == 0)
		out->type = BPF_DEVCG_DEV_CHAR;
	else if (strcmp(type, "b") == 0)
		out->type = BPF_DEVCG_DEV_BLOCK;
	else if (strcmp(type, "a") != 0)
		return err_invalid(err, "unknown type %s", type);
	if (out->major < DEVICES_ANY || out->major > INT32_MAX || out->minor < DEVICES_ANY ||
	    out->minor > INT32_MAX)
		return err_invalid(err, "number out of range");
	for (const char *p = spec->access; p && *p; p++) {
		size_t i;

		for (i = 0; i < ARRAY_SIZE(letters) && letters[i].letter != *p; i++)
			;
		if (i == ARRAY_SIZE(letters))
			return err_invalid(err, "unknown access %s", spec->access);
		out->access |= letters[i].access;
	}
	return 0;
}

static int devices_compile(const struct oci_resources *res, struct devices_program *p,
			   struct coffer_error *err)
{
	struct devices_rule rule;
	int r;

	devices_emit_head(p);
	for (size_t i = 0; i < ARRAY_SIZE(devices_always); i++)
		devices_emit_rule(p, &devices_always[i]);
	for (size_t i = res->devices.n; i-- > 0;) {
		r = devices_parse(&res->devices.v[i], &rule, err);
		if (r < 0)
			return err_wrap(err, "[%zu]", i);
		devices_emit_rule(p, &rule);
	}
	devices_emit_verdict(p, 0);
	return 0;
}

static int devices_attach(const struct devices_program *p, int cgroup, struct coffer_error *err)
{
	union bpf_attr load = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insn_cnt = (uint32_t)p->n,
		.insns = (uint64_t)(uintptr_t)p->insns,
		.license = (uint64_t)(uintptr_t) "Apache-2.0",
	};
	union bpf_attr attach = {
		.target_fd = (uint32_t)cgroup,
		.attach_type = BPF_CGROUP_DEVICE,
		.attach_flags = BPF_F_ALLOW_MULTI,
	};
	autoclose int prog = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load));

	if (prog < 0)
		return err_sys(err, "load the program");
	attach.attach_bpf_fd = (uint32_t)prog;
	if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof(attach)) < 0)
		return err_sys(err, "attach the program");
	return 0;
}

int cgroup_v2_limit_devices(struct cgroup_tree *t, const struct oci_resources *res,
			    struct coffer_error *err)
{
	autofree struct bpf_insn *insns = NULL;
	struct devices_program p = { 0 };
	int r;

	if (res->devices.n > DEVICES_RULES_MAX)
		return err_invalid(err, "more than %d rules", DEVICES_RULES_MAX);
	insns = calloc(DEVICES_INSNS_MAX, sizeof(*insns));
	if (!insns)
		return err_nomem(err);
	p.insns = insns;
	r = devices_compile(res, &p, err);
	return r < 0 ? r : devices_attach(&p, t->fd, err);
}
