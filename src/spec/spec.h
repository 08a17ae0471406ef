/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec/spec.h - OCI runtime-spec 1.2 documents (Linux) as plain C structs
 *
 *	JSON --oci_spec_parse()--> struct oci_spec --oci_spec_to_json()--> JSON
 *
 * The structs mirror the document.  Rules that hold everywhere:
 *
 * - Strings are owned by the struct that holds them.  A text field that is
 *   missing, null or "" is NULL.  Elements of lists and values of maps keep "".
 * - A list is { v, n }, v NULL when n is 0.  Lists of strings (struct oci_strv)
 *   are also NULL-terminated whenever v is not NULL, as execve(2) wants them.
 * - A map is a list whose elements carry their key.
 * - A pointer to a struct is NULL when the object is missing or null.
 * - A number whose absence means something is an oci_opt_*; a plain number
 *   that may be missing is 0 then, a plain bool false.
 * - Words (namespace types, actions, ...) stay text; oci_spec_validate() has
 *   checked them against the specification's lists.
 *
 * Memory is zero-initialised: {0} is a valid empty value of every type here.
 */
#ifndef SPEC_SPEC_H
#define SPEC_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

#define OCI_JSON_MAX  ((size_t)4 << 20) /* bytes in a document */
#define OCI_DEPTH_MAX 32		/* nested objects and arrays */
#define OCI_LIST_MAX  16384		/* elements of one array or map */

/* The version oci_spec_default() writes. */
#define OCI_VERSION "1.2.0"

/* clang-format off */
#define OCI_LIST(type) struct { type *v; size_t n; }
/* clang-format on */

struct oci_strv {
	char **v; /* NULL-terminated unless NULL */
	size_t n;
};

struct oci_opt_bool {
	bool set;
	bool v;
};

struct oci_opt_u16 {
	bool set;
	uint16_t v;
};

struct oci_opt_u32 {
	bool set;
	uint32_t v;
};

struct oci_opt_i32 {
	bool set;
	int32_t v;
};

struct oci_opt_u64 {
	bool set;
	uint64_t v;
};

struct oci_opt_i64 {
	bool set;
	int64_t v;
};

/* An entry of a map of strings: annotations, sysctl, unified. */
struct oci_pair {
	char *key;
	char *value; /* never NULL in a parsed document */
};

struct oci_pairs {
	struct oci_pair *v;
	size_t n;
};

struct oci_id_mapping {
	uint32_t container_id;
	uint32_t host_id;
	uint32_t size;
};

struct oci_id_mappings {
	struct oci_id_mapping *v;
	size_t n;
};

/* ---- process ---- */

struct oci_user {
	uint32_t uid;
	uint32_t gid;
	struct oci_opt_u32 umask;
	OCI_LIST(uint32_t) additional_gids;
	char *username; /* raw user string to look up in the root; wins over uid and gid */
};

struct oci_capabilities {
	struct oci_strv bounding; /* "CAP_CHOWN" ... */
	struct oci_strv effective;
	struct oci_strv inheritable;
	struct oci_strv permitted;
	struct oci_strv ambient;
};

struct oci_rlimit {
	char *type; /* "RLIMIT_NOFILE" ... */
	uint64_t soft;
	uint64_t hard;
};

struct oci_scheduler {
	char *policy; /* "SCHED_FIFO" ... */
	int32_t nice;
	int32_t priority;
	struct oci_strv flags; /* "SCHED_FLAG_RESET_ON_FORK" ... */
	uint64_t runtime;      /* nanoseconds, SCHED_DEADLINE */
	uint64_t deadline;
	uint64_t period;
};

struct oci_io_priority {
	char *class_; /* "IOPRIO_CLASS_BE" ... */
	int32_t priority;
};

struct oci_cpu_affinity {
	char *initial; /* "0-3,7"; before the move into the container's cgroup */
	char *final;   /* after it */
};

struct oci_console_size {
	uint32_t height;
	uint32_t width;
};

struct oci_process {
	bool terminal;
	struct oci_console_size *console_size;
	struct oci_user user;
	struct oci_strv args;
	struct oci_strv env; /* "KEY=value" */
	char *cwd;
	struct oci_capabilities *capabilities;
	OCI_LIST(struct oci_rlimit) rlimits;
	bool no_new_privileges;
	char *apparmor_profile;
	char *selinux_label;
	struct oci_opt_i32 oom_score_adj;
	struct oci_scheduler *scheduler;
	struct oci_io_priority *io_priority;
	struct oci_cpu_affinity *exec_cpu_affinity;
};

/* ---- root, mounts, hooks ---- */

struct oci_root {
	char *path;
	bool readonly;
};

struct oci_mount {
	char *destination;
	char *type;
	char *source;
	struct oci_strv options;
	struct oci_id_mappings uid_mappings;
	struct oci_id_mappings gid_mappings;
};

struct oci_hook {
	char *path;
	struct oci_strv args; /* args.v[0] is argv[0] */
	struct oci_strv env;
	struct oci_opt_i32 timeout; /* seconds */
};

struct oci_hook_list {
	struct oci_hook *v;
	size_t n;
};

struct oci_hooks {
	struct oci_hook_list prestart;
	struct oci_hook_list create_runtime;
	struct oci_hook_list create_container;
	struct oci_hook_list start_container;
	struct oci_hook_list poststart;
	struct oci_hook_list poststop;
};

/* ---- linux.resources ---- */

struct oci_device_rule {
	bool allow;
	char *type; /* "a", "c", "b"; NULL: all */
	struct oci_opt_i64 major;
	struct oci_opt_i64 minor;
	char *access; /* of "rwm"; NULL: none named */
};

/* Bytes, -1 for unlimited. */
struct oci_memory {
	struct oci_opt_i64 limit;
	struct oci_opt_i64 reservation;
	struct oci_opt_i64 swap; /* memory plus swap */
	struct oci_opt_i64 kernel;
	struct oci_opt_i64 kernel_tcp;
	struct oci_opt_u64 swappiness;
	struct oci_opt_bool disable_oom_killer;
	struct oci_opt_bool use_hierarchy;
	struct oci_opt_bool check_before_update;
};

struct oci_cpu {
	struct oci_opt_u64 shares;
	struct oci_opt_i64 quota; /* microseconds a period, -1 for unlimited */
	struct oci_opt_u64 burst;
	struct oci_opt_u64 period;
	struct oci_opt_i64 realtime_runtime;
	struct oci_opt_u64 realtime_period;
	char *cpus;
	char *mems;
	struct oci_opt_i64 idle;
};

struct oci_pids {
	int64_t limit; /* negative: unlimited; 0: leave it as it is */
};

struct oci_weight_device {
	int64_t major;
	int64_t minor;
	struct oci_opt_u16 weight;
	struct oci_opt_u16 leaf_weight;
};

struct oci_throttle_device {
	int64_t major;
	int64_t minor;
	uint64_t rate;
};

struct oci_throttle_list {
	struct oci_throttle_device *v;
	size_t n;
};

struct oci_block_io {
	struct oci_opt_u16 weight;
	struct oci_opt_u16 leaf_weight;
	OCI_LIST(struct oci_weight_device) weight_device;
	struct oci_throttle_list throttle_read_bps_device;
	struct oci_throttle_list throttle_write_bps_device;
	struct oci_throttle_list throttle_read_iops_device;
	struct oci_throttle_list throttle_write_iops_device;
};

struct oci_hugepage_limit {
	char *page_size; /* "2MB" */
	uint64_t limit;
};

struct oci_interface_priority {
	char *name;
	uint32_t priority;
};

struct oci_network {
	struct oci_opt_u32 class_id;
	OCI_LIST(struct oci_interface_priority) priorities;
};

/* An entry of the rdma map; the key is the device's name. */
struct oci_rdma {
	char *device;
	struct oci_opt_u32 hca_handles;
	struct oci_opt_u32 hca_objects;
};

struct oci_resources {
	OCI_LIST(struct oci_device_rule) devices;
	struct oci_memory *memory;
	struct oci_cpu *cpu;
	struct oci_pids *pids;
	struct oci_block_io *block_io;
	OCI_LIST(struct oci_hugepage_limit) hugepage_limits;
	struct oci_network *network;
	OCI_LIST(struct oci_rdma) rdma;
	struct oci_pairs unified; /* cgroup v2 file -> text */
};

/* ---- linux ---- */

struct oci_namespace {
	char *type; /* pid network mount ipc uts user cgroup time */
	char *path; /* NULL: make a new one */
};

/* An entry of the timeOffsets map; the key is the clock's name. */
struct oci_time_offset {
	char *clock; /* "monotonic", "boottime" */
	int64_t secs;
	uint32_t nanosecs;
};

struct oci_device {
	char *path;
	char *type; /* c b u p */
	int64_t major;
	int64_t minor;
	struct oci_opt_u32 file_mode;
	struct oci_opt_u32 uid;
	struct oci_opt_u32 gid;
};

struct oci_seccomp_arg {
	uint32_t index;
	uint64_t value;
	uint64_t value_two;
	char *op; /* "SCMP_CMP_EQ" ... */
};

struct oci_seccomp_rule {
	struct oci_strv names;
	char *action; /* "SCMP_ACT_ALLOW" ... */
	struct oci_opt_u32 errno_ret;
	OCI_LIST(struct oci_seccomp_arg) args;
};

struct oci_seccomp {
	char *default_action;
	struct oci_opt_u32 default_errno_ret;
	struct oci_strv architectures; /* "SCMP_ARCH_X86_64" ... */
	struct oci_strv flags;	       /* "SECCOMP_FILTER_FLAG_LOG" ... */
	char *listener_path;
	char *listener_metadata;
	OCI_LIST(struct oci_seccomp_rule) syscalls;
};

struct oci_personality {
	char *domain; /* "LINUX", "LINUX32" */
	struct oci_strv flags;
};

struct oci_intel_rdt {
	char *clos_id;
	char *l3_cache_schema;
	char *mem_bw_schema;
	bool enable_cmt;
	bool enable_mbm;
};

struct oci_linux {
	OCI_LIST(struct oci_namespace) namespaces;
	struct oci_id_mappings uid_mappings;
	struct oci_id_mappings gid_mappings;
	OCI_LIST(struct oci_time_offset) time_offsets;
	OCI_LIST(struct oci_device) devices;
	char *cgroups_path;
	struct oci_resources *resources;
	char *rootfs_propagation;
	struct oci_seccomp *seccomp;
	struct oci_pairs sysctl;
	struct oci_strv masked_paths;
	struct oci_strv readonly_paths;
	char *mount_label;
	struct oci_personality *personality;
	struct oci_intel_rdt *intel_rdt;
};

struct oci_spec {
	char *oci_version;
	struct oci_process *process;
	struct oci_root *root;
	char *hostname;
	char *domainname;
	OCI_LIST(struct oci_mount) mounts;
	struct oci_hooks *hooks;
	struct oci_pairs annotations;
	struct oci_linux *linux_; /* plain "linux" is a macro of gnu17 */
};

/* ---- documents ---- */

/**
 * oci_spec_parse() - A config.json to structs
 * @json:	Document, need not be terminated
 * @len:	Its bytes, at most OCI_JSON_MAX
 * @out:	Set to the new spec on success, to NULL otherwise
 *
 * Checks form only (JSON, UTF-8, types, ranges, required members); unknown
 * members are ignored, a member that is null counts as missing.  The error
 * names the member: "linux.resources.pids.limit: expected integer, got string".
 *
 * Return: 0, -EINVAL or -ENOMEM
 */
int oci_spec_parse(const char *json, size_t len, struct oci_spec **out, struct coffer_error *err);

/* oci_process_parse() - The same for a lone process object, as exec takes it */
int oci_process_parse(const char *json, size_t len, struct oci_process **out,
		      struct coffer_error *err);

/* oci_resources_parse() - The same for a lone linux.resources object, as update takes it */
int oci_resources_parse(const char *json, size_t len, struct oci_resources **out,
			struct coffer_error *err);

/* oci_*_free() - With everything they own; NULL is fine */
void oci_spec_free(struct oci_spec *spec);
DEFINE_CLEANUP(struct oci_spec *, oci_spec_free);
void oci_process_free(struct oci_process *process);
DEFINE_CLEANUP(struct oci_process *, oci_process_free);
void oci_resources_free(struct oci_resources *res);
DEFINE_CLEANUP(struct oci_resources *, oci_resources_free);

#define auto_oci_spec	   CLEANUP(oci_spec_freep)
#define auto_oci_process   CLEANUP(oci_process_freep)
#define auto_oci_resources CLEANUP(oci_resources_freep)

/**
 * oci_spec_to_json() - One line of JSON, members in the structs' order
 *
 * Members that strict decoders demand are written even when empty.
 *
 * Return: malloc'd text, or NULL with @err filled (no memory, text not UTF-8)
 */
char *oci_spec_to_json(const struct oci_spec *spec, struct coffer_error *err);

/* oci_spec_to_file() - The same with line breaks, and without members that say nothing */
char *oci_spec_to_file(const struct oci_spec *spec, struct coffer_error *err);

/**
 * oci_spec_validate() - The specification's rules beyond form
 *
 * After it: process, root.path, cwd and args are there, every word is a known
 * one, namespaces are not repeated.  spec->linux_ may still be NULL.
 *
 * Return: 0, or -EINVAL with the member named in @err
 */
int oci_spec_validate(const struct oci_spec *spec, struct coffer_error *err);

/* oci_process_validate() - Its process part, for exec. @field: prefix of names in errors */
int oci_process_validate(const struct oci_process *process, const char *field,
			 struct coffer_error *err);
/* oci_resources_validate() - Its linux.resources part, for update. @field: as above */
int oci_resources_validate(const struct oci_resources *res, const char *field,
			   struct coffer_error *err);

/* Lists of words that oci_spec_validate() knows. */
enum oci_words {
	OCI_WORDS_NAMESPACE,
	OCI_WORDS_SECCOMP_ACTION,
	OCI_WORDS_SECCOMP_OPERATOR,
	OCI_WORDS_SECCOMP_ARCH,
	OCI_WORDS_SECCOMP_FLAG,
	OCI_WORDS_CAPABILITY, /* by the kernel's number */
	OCI_WORDS_COUNT,
};

/* oci_words() - NULL-terminated */
const char *const *oci_words(enum oci_words which);

/*
 * oci_capability() - The kernel's number.
 * Return: -ENOENT for a name that we don't know and oci_spec_validate() lets pass, to be left out
 * with a warning; -EINVAL for what is no name
 */
int oci_capability(const char *name);
/* oci_rlimit() - The kernel's number of "RLIMIT_NOFILE" ...; -EINVAL: none */
int oci_rlimit(const char *name);

/**
 * oci_spec_default() - What `runc spec` prints, with docker's capabilities and paths
 *
 * args is {"sh"}, root.path "rootfs", cwd "/", PATH and TERM set, new pid,
 * network, ipc, uts, mount and cgroup namespaces, no_new_privileges.
 */
int oci_spec_default(struct oci_spec **out, struct coffer_error *err);

/**
 * oci_spec_rootless() - Make the default one that an ordinary user can run
 * @uids, @gids: Of the user namespace; copied
 *
 * No limits, the caller's network and sysfs.
 */
int oci_spec_rootless(struct oci_spec *spec, const struct oci_id_mappings *uids,
		      const struct oci_id_mappings *gids, struct coffer_error *err);

struct oci_example {
	bool rootless;         /* for an ordinary user, who is mapped to root */
	uint32_t uid, gid;     /* of that user */
	bool cgroup_namespace; /* worth having on hosts that know cgroup v2 only */
};

/* oci_spec_example() - The default with what people expect of a document to edit: a terminal, three
 * capabilities, a read-only root, a limit of open files */
int oci_spec_example(const struct oci_example *args, struct oci_spec **out,
		     struct coffer_error *err);

/* ---- building; strings are copied in, on failure nothing changes ---- */

/* oci_str_set() - Replace an owned string; NULL or "" unsets it */
int oci_str_set(char **field, const char *value, struct coffer_error *err);

/* oci_strv_add() - Append; oci_strv_set() - Replace all by @values (NULL-terminated or NULL) */
int oci_strv_add(struct oci_strv *list, const char *value, struct coffer_error *err);
int oci_strv_set(struct oci_strv *list, const char *const *values, struct coffer_error *err);

/* oci_pairs_set() - Add @key or replace its value */
int oci_pairs_set(struct oci_pairs *map, const char *key, const char *value,
		  struct coffer_error *err);
/* oci_pairs_get() - Value, or NULL */
const char *oci_pairs_get(const struct oci_pairs *map, const char *key);

/* oci_env_set() - KEY=value in process.env, replacing an earlier KEY */
int oci_env_set(struct oci_process *process, const char *key, const char *value,
		struct coffer_error *err);
/* oci_env_get() - Value of the last KEY=..., or NULL */
const char *oci_env_get(const struct oci_process *process, const char *key);

/* oci_mount_add() - Append a mount. @options: NULL-terminated or NULL */
int oci_mount_add(struct oci_spec *spec, const char *destination, const char *type,
		  const char *source, const char *const *options, struct coffer_error *err);
/* oci_mount_drop() - Take all at @destination away */
void oci_mount_drop(struct oci_spec *spec, const char *destination);
/* oci_namespace_add() - Append to linux.namespaces. @path: NULL for a new one */
int oci_namespace_add(struct oci_spec *spec, const char *type, const char *path,
		      struct coffer_error *err);
/* oci_namespace_drop() - Take the entry of @type away, if there is one */
void oci_namespace_drop(struct oci_spec *spec, const char *type);
/* oci_namespace_find() - The entry of @type, or NULL; a NULL spec->linux_ is fine */
const struct oci_namespace *oci_namespace_find(const struct oci_spec *spec, const char *type);
/* oci_rlimit_add() - Append to process.rlimits */
int oci_rlimit_add(struct oci_process *process, const char *type, uint64_t soft, uint64_t hard,
		   struct coffer_error *err);

/* oci_*_get(): the optional object, made empty when missing; NULL without memory */
struct oci_linux *oci_linux_get(struct oci_spec *spec);
struct oci_resources *oci_resources_get(struct oci_spec *spec);
struct oci_memory *oci_memory_get(struct oci_spec *spec);
struct oci_cpu *oci_cpu_get(struct oci_spec *spec);
struct oci_pids *oci_pids_get(struct oci_spec *spec);

#endif /* SPEC_SPEC_H */
