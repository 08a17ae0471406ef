/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec/schema.h - the field tables behind parse, emit, release and validate
 *
 * Private to this room.  A struct spec_type lists the members of one JSON
 * object and where each lives in its C struct; four walkers (parse.c, emit.c,
 * release.c, validate.c) read the same tables, so a member is described once,
 * in schema.c.
 */
#ifndef SPEC_SCHEMA_H
#define SPEC_SCHEMA_H

#include <stdarg.h>
#include <string.h>

#include "base/json_text.h"
#include "spec/spec.h"

enum spec_kind {
	SPEC_STR,   /* string       char * */
	SPEC_BOOL,  /* true, false  bool, struct oci_opt_bool */
	SPEC_INT,   /* integer      (u)intN_t, struct oci_opt_uN */
	SPEC_STRV,  /* [string]     struct oci_strv */
	SPEC_U32V,  /* [integer]    OCI_LIST(uint32_t) */
	SPEC_PAIRS, /* {k: string}  struct oci_pairs */
	SPEC_OBJ,   /* object       struct in place; always there */
	SPEC_PTR,   /* object       struct *; NULL when missing */
	SPEC_OBJV,  /* [object]     OCI_LIST(struct) */
	SPEC_MAP,   /* {k: object}  OCI_LIST(struct), whose first member is the key */
	SPEC_KIND_COUNT,
};

enum spec_int {
	SPEC_U16,
	SPEC_U32,
	SPEC_I32,
	SPEC_U64,
	SPEC_I64,
	SPEC_INT_COUNT,
};

#define SPEC_OPT  0x01 /* oci_opt_*: { bool set; T v; } */
#define SPEC_REQ  0x02 /* parse: must be there, text not empty */
#define SPEC_EMIT 0x04 /* emit: also when empty; some decoders demand the key */

/* What a text, each element of a list of texts, or each key of a map must be. */
struct spec_rule {
	const char *what;	   /* "a namespace type" */
	const char *const *words;  /* one of these (NULL-terminated), or NULL */
	bool (*ok)(const char *s); /* or accepted by this, or NULL */
};

struct spec_type;

struct spec_field {
	const char *name;
	size_t offset;
	const struct spec_type *type; /* SPEC_OBJ, PTR, OBJV, MAP */
	const struct spec_rule *rule; /* may be NULL */
	enum spec_kind kind;
	enum spec_int num; /* SPEC_INT */
	unsigned flags;
};

/* Where in the document a walker stands; frames live on its stack. */
struct spec_where {
	const struct spec_where *up;
	const char *name; /* member, or key of a map; NULL: array element */
	bool key;
	size_t index;
};

struct spec_type {
	size_t size;
	const struct spec_field *fields;
	size_t n;
	/* Rules between members; may be NULL. */
	int (*check)(const struct spec_where *at, const void *obj, struct coffer_error *err);
};

extern const struct spec_type spec_type_spec;
extern const struct spec_type spec_type_process;
extern const struct spec_type spec_type_resources;

/* ---- integers ---- */

struct spec_int_info {
	const char *name;
	size_t size; /* also the distance from an oci_opt_* to its value */
	int64_t min;
	uint64_t max;
};

extern const struct spec_int_info spec_int_info[SPEC_INT_COUNT];

/* ---- access by offset ---- */

/* Every list starts like this. */
struct spec_list {
	void *v;
	size_t n;
};

static inline void *spec_at(void *obj, const struct spec_field *f)
{
	return (char *)obj + f->offset;
}

static inline const void *spec_at_const(const void *obj, const struct spec_field *f)
{
	return (const char *)obj + f->offset;
}

/* Pointers and lists of any element type are read and written bytewise: no aliasing. */
static inline void *spec_get_ptr(const void *at)
{
	void *p;

	memcpy(&p, at, sizeof(p));
	return p;
}

static inline void spec_put_ptr(void *at, const void *p)
{
	memcpy(at, &p, sizeof(p));
}

static inline struct spec_list spec_get_list(const void *at)
{
	struct spec_list l;

	memcpy(&l, at, sizeof(l));
	return l;
}

static inline void spec_put_list(void *at, struct spec_list l)
{
	memcpy(at, &l, sizeof(l));
}

static inline void *spec_elem(struct spec_list l, const struct spec_type *type, size_t i)
{
	return (char *)l.v + i * type->size;
}

/* ---- where.c ---- */

/**
 * spec_fail() - "<path>[.<member>]: <message>"
 * @at:		Place of the object; NULL for the document itself
 * @member:	Member of it, or NULL
 *
 * Return: -EINVAL
 */
int spec_fail(const struct spec_where *at, const char *member, struct coffer_error *err,
	      const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* ---- rules.c ---- */

extern const struct spec_rule spec_rule_absolute, spec_rule_version, spec_rule_hostname,
    spec_rule_namespace, spec_rule_rlimit, spec_rule_capability, spec_rule_scheduler,
    spec_rule_sched_flag, spec_rule_ioprio, spec_rule_cpu_list, spec_rule_device,
    spec_rule_device_rule, spec_rule_access, spec_rule_page_size, spec_rule_cgroup_file,
    spec_rule_cgroups_path, spec_rule_token, spec_rule_clock, spec_rule_propagation,
    spec_rule_action, spec_rule_operator, spec_rule_arch, spec_rule_seccomp_flag, spec_rule_sysctl,
    spec_rule_domain, spec_rule_personality_flag, spec_rule_file_name, spec_rule_not_empty;

/* ---- check.c: rules between members ---- */

int spec_check_spec(const struct spec_where *at, const void *obj, struct coffer_error *err);
int spec_check_process(const struct spec_where *at, const void *obj, struct coffer_error *err);
int spec_check_user(const struct spec_where *at, const void *obj, struct coffer_error *err);
int spec_check_console(const struct spec_where *at, const void *obj, struct coffer_error *err);
int spec_check_rlimit(const struct spec_where *at, const void *obj, struct coffer_error *err);
int spec_check_scheduler(const struct spec_where *at, const void *obj, struct coffer_error *err);
int spec_check_ioprio(const struct spec_where *at, const void *obj, struct coffer_error *err);
int spec_check_mount(const struct spec_where *at, const void *obj, struct coffer_error *err);
int spec_check_hook(const struct spec_where *at, const void *obj, struct coffer_error *err);
int spec_check_mapping(const struct spec_where *at, const void *obj, struct coffer_error *err);
int spec_check_memory(const struct spec_where *at, const void *obj, struct coffer_error *err);
int spec_check_device(const struct spec_where *at, const void *obj, struct coffer_error *err);
int spec_check_time(const struct spec_where *at, const void *obj, struct coffer_error *err);
int spec_check_seccomp(const struct spec_where *at, const void *obj, struct coffer_error *err);
int spec_check_syscall(const struct spec_where *at, const void *obj, struct coffer_error *err);
int spec_check_arg(const struct spec_where *at, const void *obj, struct coffer_error *err);
int spec_check_linux(const struct spec_where *at, const void *obj, struct coffer_error *err);

/* ---- release.c, parse.c ---- */

/* spec_release() - Free what @obj owns and zero it; @obj itself stays */
void spec_release(const struct spec_type *type, void *obj);

/* spec_scan() - Refuse a document's text that is too long or json_text_check() refuses */
int spec_scan(const char *json, size_t len, struct coffer_error *err);

#endif /* SPEC_SCHEMA_H */
