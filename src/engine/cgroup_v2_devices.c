/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_v2_devices.c - linux.resources.devices to a program on a v2 group
 *
 * v2 has no list of devices; the kernel asks a BPF program at every open and
 * mknod.  The rules become straight-line code, the last one first, because a
 * later rule wins.  The program keeps the kinds of access that are still
 * undecided (r3) and takes off what a rule grants:
 *
 *	allow, matching:  r3 &= ~access; nothing left: yes
 *	deny, matching:   r3 & access: no
 *	end:              the default
 *
 * so "allow r" and "allow w" together let "rw" through, and a rule about w
 * says nothing about r.  An update puts the new program in the old one's place
 * in one step.
 *
 * Callers: cgroup_limits.c.
 */
#include "engine/cgroup_internal.h"

#include <linux/bpf.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#define DEVICES_RULE_INSNS 11 /* most for one rule */
#define DEVICES_HEAD_INSNS 8  /* head and default */
#define DEVICES_OLD_MAX	   64 /* programs on one group, the kernel's most */

_Static_assert(DEVICE_MKNOD == BPF_DEVCG_ACC_MKNOD && DEVICE_READ == BPF_DEVCG_ACC_READ &&
	       DEVICE_WRITE == BPF_DEVCG_ACC_WRITE, "access bits");

struct devices_program {
	struct bpf_insn *insns; /* owned */
	size_t n;
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

static void devices_emit_rule(struct devices_program *p, const struct device_rule *rule)
{
	size_t skips[4], n = 0;

	skips[n++] = devices_emit_match(
		p, BPF_REG_2, rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	if (rule->major != DEVICE_ANY)
		skips[n++] = devices_emit_match(p, BPF_REG_4, rule->major);
	if (rule->minor != DEVICE_ANY)
		skips[n++] = devices_emit_match(p, BPF_REG_5, rule->minor);
	if (rule->allow) {
		devices_emit_imm(p, BPF_ALU | BPF_AND | BPF_K, BPF_REG_3, 0,
				 (int32_t)(DEVICE_ALL & ~rule->access));
		skips[n++] = devices_emit_match(p, BPF_REG_3, 0);
	} else {
		devices_emit_imm(p, BPF_JMP | BPF_JSET | BPF_K, BPF_REG_3, 1,
				 (int32_t)rule->access);
		skips[n++] = devices_emit_skip(p);
	}
	devices_emit_verdict(p, rule->allow);
	while (n-- > 0)
		p->insns[skips[n]].off = (int16_t)(p->n - skips[n] - 1);
}

static void devices_compile(const struct device_rules *rules, struct devices_program *p)
{
	devices_emit_head(p);
	for (size_t i = rules->n; i-- > 0;)
		devices_emit_rule(p, &rules->v[i]);
	devices_emit_verdict(p, rules->allow);
}

/* ---- load and attach ---- */

static int devices_bpf(int cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static int devices_load(const struct devices_program *p, struct coffer_error *err)
{
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insn_cnt = (uint32_t)p->n,
		.insns = (uint64_t)(uintptr_t)p->insns,
		.license = (uint64_t)(uintptr_t) "Apache-2.0",
	};
	int fd = devices_bpf(BPF_PROG_LOAD, &attr);

	return fd < 0 ? err_sys(err, "load the program") : fd;
}

/* Return: how many programs the group has, or -errno; @ids has room for DEVICES_OLD_MAX */
static int devices_query(int cgroup, uint32_t *ids, struct coffer_error *err)
{
	union bpf_attr attr = { .query = { .target_fd = (uint32_t)cgroup,
					   .attach_type = BPF_CGROUP_DEVICE,
					   .prog_ids = (uint64_t)(uintptr_t)ids,
					   .prog_cnt = DEVICES_OLD_MAX } };

	if (devices_bpf(BPF_PROG_QUERY, &attr) < 0)
		return err_sys(err, "ask for the group's programs");
	return (int)attr.query.prog_cnt;
}

static int devices_open(uint32_t id)
{
	union bpf_attr attr = { .prog_id = id };

	return devices_bpf(BPF_PROG_GET_FD_BY_ID, &attr);
}

/* @old: -1, or the one that goes in the same step */
static int devices_attach(int cgroup, int program, int old, struct coffer_error *err)
{
	union bpf_attr attr = {
		.target_fd = (uint32_t)cgroup,
		.attach_bpf_fd = (uint32_t)program,
		.attach_type = BPF_CGROUP_DEVICE,
		.attach_flags = BPF_F_ALLOW_MULTI | (old >= 0 ? BPF_F_REPLACE : 0),
		.replace_bpf_fd = old >= 0 ? (uint32_t)old : 0,
	};

	return devices_bpf(BPF_PROG_ATTACH, &attr) < 0 ? err_sys(err, "attach the program") : 0;
}

static void devices_detach(int cgroup, int program)
{
	union bpf_attr attr = { .target_fd = (uint32_t)cgroup,
				.attach_bpf_fd = (uint32_t)program,
				.attach_type = BPF_CGROUP_DEVICE };

	devices_bpf(BPF_PROG_DETACH, &attr);
}

/* All programs of a group must agree, so the old ones go; the new one is there first. */
static int devices_replace(int cgroup, int program, const uint32_t *ids, int n,
			   struct coffer_error *err)
{
	autoclose int first = n == 1 ? devices_open(ids[0]) : -1;
	int r = devices_attach(cgroup, program, first, err);

	for (int i = 0; r == 0 && n > 1 && i < n; i++) {
		autoclose int old = devices_open(ids[i]);

		if (old >= 0)
			devices_detach(cgroup, old);
	}
	return r;
}

static int devices_install(int cgroup, const struct device_rules *rules, struct coffer_error *err)
{
	autofree struct bpf_insn *insns = NULL;
	struct devices_program p = { 0 };
	uint32_t ids[DEVICES_OLD_MAX] = { 0 };
	autoclose int program = -1;
	int n = devices_query(cgroup, ids, err);

	if (n < 0)
		return n;
	/* Everything is allowed, and nobody says otherwise. */
	if (n == 0 && rules->allow && rules->n == 0)
		return 0;
	insns = calloc(rules->n * DEVICES_RULE_INSNS + DEVICES_HEAD_INSNS, sizeof(*insns));
	if (!insns)
		return err_nomem(err);
	p.insns = insns;
	devices_compile(rules, &p);
	program = devices_load(&p, err);
	return program < 0 ? program : devices_replace(cgroup, program, ids, n, err);
}

int cgroup_v2_limit_devices(struct cgroup_tree *t, const struct oci_resources *res,
			    struct coffer_error *err)
{
	struct device_rules rules;
	int fd = cgroup_tree_fd(t), r;

	if (fd < 0)
		return err_sysn(err, fd, "open %s", t->dir);
	r = cgroup_parse_devices(res, &rules, err);
	if (r == 0)
		r = devices_install(fd, &rules, err);
	cgroup_free_devices(&rules);
	return r;
}
