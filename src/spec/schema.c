/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec/schema.c - every member of an OCI config, once
 *
 * One table an object, in the order of spec.h.  Adding a member is a field in
 * spec.h and a row here; reading, writing, freeing and checking follow.  The
 * row macros refuse at compile time a C field whose type does not fit the row.
 *
 * SPEC_EMIT marks the keys that decoders with non-optional members (Apple's
 * guest agent) want to see even when they say nothing.
 */
#include "spec/schema.h"

#include <assert.h>

#undef linux /* gnu17 predefines it; here it names a struct */

const struct spec_int_info spec_int_info[SPEC_INT_COUNT] = {
	[SPEC_U16] = { "uint16", 2, 0, UINT16_MAX },
	[SPEC_U32] = { "uint32", 4, 0, UINT32_MAX },
	[SPEC_I32] = { "int32", 4, INT32_MIN, INT32_MAX },
	[SPEC_U64] = { "uint64", 8, 0, UINT64_MAX },
	[SPEC_I64] = { "int64", 8, INT64_MIN, INT64_MAX },
};

#define OPT_FITS(type_, size_)                                                                     \
	static_assert(offsetof(type_, set) == 0 && offsetof(type_, v) == (size_), #type_)
OPT_FITS(struct oci_opt_bool, sizeof(bool));
OPT_FITS(struct oci_opt_u16, 2);
OPT_FITS(struct oci_opt_u32, 4);
OPT_FITS(struct oci_opt_i32, 4);
OPT_FITS(struct oci_opt_u64, 8);
OPT_FITS(struct oci_opt_i64, 8);
static_assert(offsetof(struct oci_strv, v) == 0, "a list starts with its memory");
static_assert(sizeof(struct oci_strv) == sizeof(struct spec_list), "then has its count");
static_assert(offsetof(struct oci_rdma, device) == 0, "a map's element starts with its key");
static_assert(offsetof(struct oci_time_offset, clock) == 0, "a map's element starts with its key");

/* clang-format off */
/* NOLINTBEGIN(bugprone-macro-parentheses): members, types and initialisers take none */
#define MEMBER(s, m)       __typeof__(((struct oci_##s *)0)->m)
#define FITS(s, m, type_)  (0 * sizeof(struct { \
	static_assert(__builtin_types_compatible_p(MEMBER(s, m), type_), #s "." #m); char c; }))
#define HOLDS(s, m, type_) FITS(s, m.v, type_ *)

#define STR(s, m, n_, fl, r)   { .name = n_, .kind = SPEC_STR, .flags = (fl), .rule = (r), \
	.offset = offsetof(struct oci_##s, m) + FITS(s, m, char *) }
#define BOOL(s, m, n_, fl)     { .name = n_, .kind = SPEC_BOOL, .flags = (fl), \
	.offset = offsetof(struct oci_##s, m) + FITS(s, m, bool) }
#define OPTBOOL(s, m, n_)      { .name = n_, .kind = SPEC_BOOL, .flags = SPEC_OPT, \
	.offset = offsetof(struct oci_##s, m) + FITS(s, m, struct oci_opt_bool) }
#define INT_(s, m, n_, fl, k, t) { .name = n_, .kind = SPEC_INT, .num = (k), .flags = (fl), \
	.offset = offsetof(struct oci_##s, m) + FITS(s, m, t) }
#define U32(s, m, n_, fl)      INT_(s, m, n_, fl, SPEC_U32, uint32_t)
#define I32(s, m, n_, fl)      INT_(s, m, n_, fl, SPEC_I32, int32_t)
#define U64(s, m, n_, fl)      INT_(s, m, n_, fl, SPEC_U64, uint64_t)
#define I64(s, m, n_, fl)      INT_(s, m, n_, fl, SPEC_I64, int64_t)
#define OPTU16(s, m, n_)       INT_(s, m, n_, SPEC_OPT, SPEC_U16, struct oci_opt_u16)
#define OPTU32(s, m, n_)       INT_(s, m, n_, SPEC_OPT, SPEC_U32, struct oci_opt_u32)
#define OPTI32(s, m, n_)       INT_(s, m, n_, SPEC_OPT, SPEC_I32, struct oci_opt_i32)
#define OPTU64(s, m, n_)       INT_(s, m, n_, SPEC_OPT, SPEC_U64, struct oci_opt_u64)
#define OPTI64(s, m, n_)       INT_(s, m, n_, SPEC_OPT, SPEC_I64, struct oci_opt_i64)
#define STRV(s, m, n_, fl, r)  { .name = n_, .kind = SPEC_STRV, .flags = (fl), .rule = (r), \
	.offset = offsetof(struct oci_##s, m) + FITS(s, m, struct oci_strv) }
#define U32V(s, m, n_)         { .name = n_, .kind = SPEC_U32V, \
	.offset = offsetof(struct oci_##s, m) + HOLDS(s, m, uint32_t) }
#define PAIRS(s, m, n_, r)     { .name = n_, .kind = SPEC_PAIRS, .rule = (r), \
	.offset = offsetof(struct oci_##s, m) + FITS(s, m, struct oci_pairs) }
#define OBJ(s, m, n_, t)       { .name = n_, .kind = SPEC_OBJ, .type = &spec_type_##t, \
	.offset = offsetof(struct oci_##s, m) + FITS(s, m, struct oci_##t) }
#define PTR(s, m, n_, t)       { .name = n_, .kind = SPEC_PTR, .type = &spec_type_##t, \
	.offset = offsetof(struct oci_##s, m) + FITS(s, m, struct oci_##t *) }
#define OBJV(s, m, n_, fl, t)  { .name = n_, .kind = SPEC_OBJV, .flags = (fl), \
	.type = &spec_type_##t, \
	.offset = offsetof(struct oci_##s, m) + HOLDS(s, m, struct oci_##t) }
#define MAP(s, m, n_, t, r)    { .name = n_, .kind = SPEC_MAP, .rule = (r), \
	.type = &spec_type_##t, \
	.offset = offsetof(struct oci_##s, m) + HOLDS(s, m, struct oci_##t) }

#define TYPE(s, scope, check_, ...) \
	static const struct spec_field spec_fields_##s[] = { __VA_ARGS__ }; \
	scope const struct spec_type spec_type_##s = { \
		.size = sizeof(struct oci_##s), .fields = spec_fields_##s, \
		.n = ARRAY_SIZE(spec_fields_##s), .check = (check_), \
	}
/* NOLINTEND(bugprone-macro-parentheses) */
#define REQ  SPEC_REQ
#define EMIT SPEC_EMIT
#define MUST (SPEC_REQ | SPEC_EMIT)

/* ---- shared ---- */

TYPE(id_mapping, static, spec_check_mapping,
	U32(id_mapping, container_id, "containerID", MUST),
	U32(id_mapping, host_id, "hostID", MUST),
	U32(id_mapping, size, "size", MUST),
);

/* ---- process ---- */

TYPE(user, static, spec_check_user,
	U32(user, uid, "uid", EMIT),
	U32(user, gid, "gid", EMIT),
	OPTU32(user, umask, "umask"),
	U32V(user, additional_gids, "additionalGids"),
	STR(user, username, "username", 0, NULL),
);

TYPE(capabilities, static, NULL,
	STRV(capabilities, bounding, "bounding", EMIT, &spec_rule_capability),
	STRV(capabilities, effective, "effective", EMIT, &spec_rule_capability),
	STRV(capabilities, inheritable, "inheritable", EMIT, &spec_rule_capability),
	STRV(capabilities, permitted, "permitted", EMIT, &spec_rule_capability),
	STRV(capabilities, ambient, "ambient", EMIT, &spec_rule_capability),
);

TYPE(rlimit, static, spec_check_rlimit,
	STR(rlimit, type, "type", MUST, &spec_rule_rlimit),
	U64(rlimit, soft, "soft", MUST),
	U64(rlimit, hard, "hard", MUST),
);

TYPE(scheduler, static, spec_check_scheduler,
	STR(scheduler, policy, "policy", MUST, &spec_rule_scheduler),
	I32(scheduler, nice, "nice", 0),
	I32(scheduler, priority, "priority", 0),
	STRV(scheduler, flags, "flags", 0, &spec_rule_sched_flag),
	U64(scheduler, runtime, "runtime", 0),
	U64(scheduler, deadline, "deadline", 0),
	U64(scheduler, period, "period", 0),
);

TYPE(io_priority, static, spec_check_ioprio,
	STR(io_priority, class_, "class", MUST, &spec_rule_ioprio),
	I32(io_priority, priority, "priority", MUST),
);

TYPE(cpu_affinity, static, NULL,
	STR(cpu_affinity, initial, "initial", 0, &spec_rule_cpu_list),
	STR(cpu_affinity, final, "final", 0, &spec_rule_cpu_list),
);

TYPE(console_size, static, spec_check_console,
	U32(console_size, height, "height", MUST),
	U32(console_size, width, "width", MUST),
);

TYPE(process, , spec_check_process,
	BOOL(process, terminal, "terminal", EMIT),
	PTR(process, console_size, "consoleSize", console_size),
	OBJ(process, user, "user", user),
	STRV(process, args, "args", EMIT, NULL),
	STRV(process, env, "env", EMIT, NULL),
	STR(process, cwd, "cwd", EMIT, &spec_rule_absolute),
	PTR(process, capabilities, "capabilities", capabilities),
	OBJV(process, rlimits, "rlimits", 0, rlimit),
	BOOL(process, no_new_privileges, "noNewPrivileges", 0),
	STR(process, apparmor_profile, "apparmorProfile", 0, NULL),
	STR(process, selinux_label, "selinuxLabel", 0, NULL),
	OPTI32(process, oom_score_adj, "oomScoreAdj"),
	PTR(process, scheduler, "scheduler", scheduler),
	PTR(process, io_priority, "ioPriority", io_priority),
	PTR(process, exec_cpu_affinity, "execCPUAffinity", cpu_affinity),
);

/* ---- root, mounts, hooks ---- */

TYPE(root, static, NULL,
	STR(root, path, "path", EMIT, NULL),
	BOOL(root, readonly, "readonly", EMIT),
);

TYPE(mount, static, spec_check_mount,
	STR(mount, destination, "destination", MUST, NULL),
	STR(mount, type, "type", 0, NULL),
	STR(mount, source, "source", 0, NULL),
	STRV(mount, options, "options", 0, NULL),
	OBJV(mount, uid_mappings, "uidMappings", 0, id_mapping),
	OBJV(mount, gid_mappings, "gidMappings", 0, id_mapping),
);

TYPE(hook, static, spec_check_hook,
	STR(hook, path, "path", MUST, &spec_rule_absolute),
	STRV(hook, args, "args", EMIT, NULL),
	STRV(hook, env, "env", EMIT, NULL),
	OPTI32(hook, timeout, "timeout"),
);

TYPE(hooks, static, NULL,
	OBJV(hooks, prestart, "prestart", EMIT, hook),
	OBJV(hooks, create_runtime, "createRuntime", EMIT, hook),
	OBJV(hooks, create_container, "createContainer", EMIT, hook),
	OBJV(hooks, start_container, "startContainer", EMIT, hook),
	OBJV(hooks, poststart, "poststart", EMIT, hook),
	OBJV(hooks, poststop, "poststop", EMIT, hook),
);

/* ---- linux.resources ---- */

TYPE(device_rule, static, NULL,
	BOOL(device_rule, allow, "allow", MUST),
	STR(device_rule, type, "type", EMIT, &spec_rule_device_rule),
	OPTI64(device_rule, major, "major"),
	OPTI64(device_rule, minor, "minor"),
	STR(device_rule, access, "access", 0, &spec_rule_access),
);

TYPE(memory, static, spec_check_memory,
	OPTI64(memory, limit, "limit"),
	OPTI64(memory, reservation, "reservation"),
	OPTI64(memory, swap, "swap"),
	OPTI64(memory, kernel, "kernel"),
	OPTI64(memory, kernel_tcp, "kernelTCP"),
	OPTU64(memory, swappiness, "swappiness"),
	OPTBOOL(memory, disable_oom_killer, "disableOOMKiller"),
	OPTBOOL(memory, use_hierarchy, "useHierarchy"),
	OPTBOOL(memory, check_before_update, "checkBeforeUpdate"),
);

TYPE(cpu, static, NULL,
	OPTU64(cpu, shares, "shares"),
	OPTI64(cpu, quota, "quota"),
	OPTU64(cpu, burst, "burst"),
	OPTU64(cpu, period, "period"),
	OPTI64(cpu, realtime_runtime, "realtimeRuntime"),
	OPTU64(cpu, realtime_period, "realtimePeriod"),
	STR(cpu, cpus, "cpus", EMIT, &spec_rule_cpu_list),
	STR(cpu, mems, "mems", EMIT, &spec_rule_cpu_list),
	OPTI64(cpu, idle, "idle"),
);

TYPE(pids, static, NULL,
	I64(pids, limit, "limit", EMIT),
);

TYPE(weight_device, static, NULL,
	I64(weight_device, major, "major", MUST),
	I64(weight_device, minor, "minor", MUST),
	OPTU16(weight_device, weight, "weight"),
	OPTU16(weight_device, leaf_weight, "leafWeight"),
);

TYPE(throttle_device, static, NULL,
	I64(throttle_device, major, "major", MUST),
	I64(throttle_device, minor, "minor", MUST),
	U64(throttle_device, rate, "rate", MUST),
);

TYPE(block_io, static, NULL,
	OPTU16(block_io, weight, "weight"),
	OPTU16(block_io, leaf_weight, "leafWeight"),
	OBJV(block_io, weight_device, "weightDevice", EMIT, weight_device),
	OBJV(block_io, throttle_read_bps_device, "throttleReadBpsDevice", EMIT, throttle_device),
	OBJV(block_io, throttle_write_bps_device, "throttleWriteBpsDevice", EMIT, throttle_device),
	OBJV(block_io, throttle_read_iops_device, "throttleReadIOPSDevice", EMIT, throttle_device),
	OBJV(block_io, throttle_write_iops_device, "throttleWriteIOPSDevice", EMIT,
		throttle_device),
);

TYPE(hugepage_limit, static, NULL,
	STR(hugepage_limit, page_size, "pageSize", MUST, &spec_rule_page_size),
	U64(hugepage_limit, limit, "limit", MUST),
);

TYPE(interface_priority, static, NULL,
	STR(interface_priority, name, "name", MUST, &spec_rule_token),
	U32(interface_priority, priority, "priority", MUST),
);

TYPE(network, static, NULL,
	OPTU32(network, class_id, "classID"),
	OBJV(network, priorities, "priorities", EMIT, interface_priority),
);

TYPE(rdma, static, NULL,
	OPTU32(rdma, hca_handles, "hcaHandles"),
	OPTU32(rdma, hca_objects, "hcaObjects"),
);

TYPE(resources, , NULL,
	OBJV(resources, devices, "devices", EMIT, device_rule),
	PTR(resources, memory, "memory", memory),
	PTR(resources, cpu, "cpu", cpu),
	PTR(resources, pids, "pids", pids),
	PTR(resources, block_io, "blockIO", block_io),
	OBJV(resources, hugepage_limits, "hugepageLimits", EMIT, hugepage_limit),
	PTR(resources, network, "network", network),
	MAP(resources, rdma, "rdma", rdma, &spec_rule_token),
	PAIRS(resources, unified, "unified", &spec_rule_cgroup_file),
);

/* ---- linux ---- */

TYPE(namespace, static, NULL,
	STR(namespace, type, "type", MUST, &spec_rule_namespace),
	STR(namespace, path, "path", EMIT, &spec_rule_absolute),
);

TYPE(time_offset, static, spec_check_time,
	I64(time_offset, secs, "secs", 0),
	U32(time_offset, nanosecs, "nanosecs", 0),
);

TYPE(device, static, spec_check_device,
	STR(device, path, "path", MUST, &spec_rule_absolute),
	STR(device, type, "type", MUST, &spec_rule_device),
	I64(device, major, "major", EMIT),
	I64(device, minor, "minor", EMIT),
	OPTU32(device, file_mode, "fileMode"),
	OPTU32(device, uid, "uid"),
	OPTU32(device, gid, "gid"),
);

TYPE(seccomp_arg, static, spec_check_arg,
	U32(seccomp_arg, index, "index", MUST),
	U64(seccomp_arg, value, "value", MUST),
	U64(seccomp_arg, value_two, "valueTwo", EMIT),
	STR(seccomp_arg, op, "op", MUST, &spec_rule_operator),
);

TYPE(seccomp_rule, static, spec_check_syscall,
	STRV(seccomp_rule, names, "names", MUST, &spec_rule_not_empty),
	STR(seccomp_rule, action, "action", MUST, &spec_rule_action),
	OPTU32(seccomp_rule, errno_ret, "errnoRet"),
	OBJV(seccomp_rule, args, "args", EMIT, seccomp_arg),
);

TYPE(seccomp, static, spec_check_seccomp,
	STR(seccomp, default_action, "defaultAction", MUST, &spec_rule_action),
	OPTU32(seccomp, default_errno_ret, "defaultErrnoRet"),
	STRV(seccomp, architectures, "architectures", EMIT, &spec_rule_arch),
	STRV(seccomp, flags, "flags", EMIT, &spec_rule_seccomp_flag),
	STR(seccomp, listener_path, "listenerPath", EMIT, NULL),
	STR(seccomp, listener_metadata, "listenerMetadata", EMIT, NULL),
	OBJV(seccomp, syscalls, "syscalls", EMIT, seccomp_rule),
);

TYPE(personality, static, NULL,
	STR(personality, domain, "domain", MUST, &spec_rule_domain),
	STRV(personality, flags, "flags", EMIT, &spec_rule_personality_flag),
);

TYPE(intel_rdt, static, NULL,
	STR(intel_rdt, clos_id, "closID", 0, &spec_rule_file_name),
	STR(intel_rdt, l3_cache_schema, "l3CacheSchema", 0, NULL),
	STR(intel_rdt, mem_bw_schema, "memBwSchema", 0, NULL),
	BOOL(intel_rdt, enable_cmt, "enableCMT", 0),
	BOOL(intel_rdt, enable_mbm, "enableMBM", 0),
);

TYPE(linux, static, spec_check_linux,
	OBJV(linux, namespaces, "namespaces", EMIT, namespace),
	OBJV(linux, uid_mappings, "uidMappings", EMIT, id_mapping),
	OBJV(linux, gid_mappings, "gidMappings", EMIT, id_mapping),
	MAP(linux, time_offsets, "timeOffsets", time_offset, &spec_rule_clock),
	OBJV(linux, devices, "devices", EMIT, device),
	STR(linux, cgroups_path, "cgroupsPath", EMIT, &spec_rule_cgroups_path),
	PTR(linux, resources, "resources", resources),
	STR(linux, rootfs_propagation, "rootfsPropagation", EMIT, &spec_rule_propagation),
	PTR(linux, seccomp, "seccomp", seccomp),
	PAIRS(linux, sysctl, "sysctl", &spec_rule_sysctl),
	STRV(linux, masked_paths, "maskedPaths", EMIT, &spec_rule_absolute),
	STRV(linux, readonly_paths, "readonlyPaths", EMIT, &spec_rule_absolute),
	STR(linux, mount_label, "mountLabel", EMIT, NULL),
	PTR(linux, personality, "personality", personality),
	PTR(linux, intel_rdt, "intelRdt", intel_rdt),
);

/* ---- the document ---- */

TYPE(spec, , spec_check_spec,
	STR(spec, oci_version, "ociVersion", EMIT, &spec_rule_version),
	PTR(spec, process, "process", process),
	PTR(spec, root, "root", root),
	STR(spec, hostname, "hostname", EMIT, &spec_rule_hostname),
	STR(spec, domainname, "domainname", 0, &spec_rule_hostname),
	OBJV(spec, mounts, "mounts", EMIT, mount),
	PTR(spec, hooks, "hooks", hooks),
	PAIRS(spec, annotations, "annotations", &spec_rule_not_empty),
	PTR(spec, linux_, "linux", linux),
);
/* clang-format on */
