/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/config.c - struct vmm_config to JSON and back
 *
 * One table row per member drives parsing, serialising and the range checks,
 * so the two directions cannot drift apart.  Parsing is strict: the text has a
 * size limit and a depth limit, unknown members are errors, and every string is
 * held to a character set, because some of them end up inside QEMU's
 * comma-separated options.
 *
 * Used by the sandbox (serialise) and by coffer-vmm (parse); opens nothing.
 */
#include "vmm/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"

#define CONFIG_DEPTH_MAX 4
#define CONFIG_FD_MAX    (1 << 20)

enum config_type {
	CONFIG_STRING, /* char[] */
	CONFIG_FD,     /* int, -1 or a descriptor number */
	CONFIG_U32,
	CONFIG_U64,
	CONFIG_BOOL,
	CONFIG_WORD,   /* enum, by its word in @words */
	CONFIG_DISKS,
	CONFIG_SHARES,
};

/* What a string may hold. */
enum config_charset {
	CONFIG_NAME, /* letters, digits, "-_." */
	CONFIG_TEXT, /* printable ASCII */
	CONFIG_PATH, /* absolute, no control characters */
	CONFIG_FILE, /* neither a slash nor a control character */
};

struct config_field {
	const char *name;
	size_t offset;
	uint64_t min, max; /* numbers; strings: length */
	uint64_t step;     /* numbers: a multiple of it; 0: any */
	const char *const *words;
	enum config_type type;
	enum config_charset charset;
	bool required;
};

static const char *const config_machine_words[] = {
	[VMM_MACHINE_AUTO] = "auto",
	[VMM_MACHINE_QEMU_KVM] = "qemu-kvm",
	[VMM_MACHINE_QEMU_TCG] = "qemu-tcg",
};
_Static_assert(ARRAY_SIZE(config_machine_words) == VMM_MACHINE_COUNT, "a word for each machine");

static const char *const config_level_words[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};
_Static_assert(ARRAY_SIZE(config_level_words) == LOG_LEVEL_COUNT, "a word for each level");

static const char *const config_format_words[] = {
	[LOG_FORMAT_TEXT] = "text",
	[LOG_FORMAT_JSON] = "json",
};

#define FIELD(member) .name = #member, .offset = offsetof(struct vmm_config, member)
#define WORDS(w)      .type = CONFIG_WORD, .words = (w), .max = ARRAY_SIZE(w) - 1

static const struct config_field config_fields[] = {
	{ FIELD(id), .type = CONFIG_STRING, .required = true, .min = 1, .max = VMM_ID_MAX,
	  .charset = CONFIG_NAME },
	{ FIELD(machine), WORDS(config_machine_words) },
	{ FIELD(cpus), .type = CONFIG_U32, .min = 1, .max = VMM_CPUS_MAX },
	{ FIELD(memory), .type = CONFIG_U64, .min = VMM_MEMORY_MIN, .max = VMM_MEMORY_MAX,
	  .step = 1 << 20 },
	{ FIELD(kernel_fd), .type = CONFIG_FD, .required = true },
	{ FIELD(initrd_fd), .type = CONFIG_FD, .required = true },
	{ FIELD(cmdline), .type = CONFIG_STRING, .max = VMM_CMDLINE_MAX, .charset = CONFIG_TEXT },
	{ FIELD(disks), .type = CONFIG_DISKS },
	{ FIELD(shares), .type = CONFIG_SHARES },
	{ FIELD(cid), .type = CONFIG_U32, .min = 3, .max = UINT32_MAX - 1 },
	{ FIELD(vm_dir), .type = CONFIG_STRING, .required = true, .min = 1, .max = PATH_MAX - 1,
	  .charset = CONFIG_PATH },
	{ FIELD(lifetime_fd), .type = CONFIG_FD },
	{ FIELD(status_fd), .type = CONFIG_FD },
	{ FIELD(uid), .type = CONFIG_U32, .max = UINT32_MAX },
	{ FIELD(gid), .type = CONFIG_U32, .max = UINT32_MAX },
	{ FIELD(qemu), .type = CONFIG_STRING, .max = PATH_MAX - 1, .charset = CONFIG_PATH },
	{ FIELD(virtiofsd), .type = CONFIG_STRING, .max = PATH_MAX - 1, .charset = CONFIG_PATH },
	{ FIELD(console_limit), .type = CONFIG_U64, .min = 8192, .max = UINT64_C(1) << 30 },
	{ FIELD(log_level), WORDS(config_level_words) },
	{ FIELD(log_format), WORDS(config_format_words) },
};

#undef FIELD
#define FIELD(member) .name = #member, .offset = offsetof(struct vmm_disk, member)

static const struct config_field config_disk_fields[] = {
	{ FIELD(fd), .type = CONFIG_FD, .required = true },
	{ FIELD(readonly), .type = CONFIG_BOOL },
	{ FIELD(nbd), .type = CONFIG_BOOL },
	{ FIELD(serial), .type = CONFIG_STRING, .required = true, .min = 1, .max = VMM_SERIAL_MAX,
	  .charset = CONFIG_NAME },
	{ FIELD(export), .type = CONFIG_STRING, .max = VMM_EXPORT_MAX, .charset = CONFIG_TEXT },
};

#undef FIELD
#define FIELD(member) .name = #member, .offset = offsetof(struct vmm_share, member)

static const struct config_field config_share_fields[] = {
	{ FIELD(fd), .type = CONFIG_FD, .required = true },
	{ FIELD(readonly), .type = CONFIG_BOOL },
	{ FIELD(file), .type = CONFIG_STRING, .max = NAME_MAX, .charset = CONFIG_FILE },
	{ FIELD(tag), .type = CONFIG_STRING, .required = true, .min = 1, .max = VMM_TAG_MAX,
	  .charset = CONFIG_NAME },
};

/* A member that is an array of objects, and the member with their number. */
struct config_array {
	const char *name;
	const struct config_field *fields;
	size_t nfields;
	size_t offset, size; /* of the first element */
	size_t count;        /* offset of the number, a uint32_t */
	size_t max;
};

static const struct config_array config_arrays[] = {
	[CONFIG_DISKS] = { "disks", config_disk_fields, ARRAY_SIZE(config_disk_fields),
			   offsetof(struct vmm_config, disks), sizeof(struct vmm_disk),
			   offsetof(struct vmm_config, ndisks), VMM_DISKS_MAX },
	[CONFIG_SHARES] = { "shares", config_share_fields, ARRAY_SIZE(config_share_fields),
			    offsetof(struct vmm_config, shares), sizeof(struct vmm_share),
			    offsetof(struct vmm_config, nshares), VMM_SHARES_MAX },
};

void vmm_config_init(struct vmm_config *cfg)
{
	*cfg = (struct vmm_config){
		.cpus = 1,
		.memory = VMM_MEMORY_DEFAULT,
		.kernel_fd = -1,
		.initrd_fd = -1,
		.cid = 3,
		.lifetime_fd = -1,
		.status_fd = -1,
		.uid = VMM_ID_AUTO,
		.gid = VMM_ID_AUTO,
		.console_limit = 512 << 10,
		.log_level = LOG_LEVEL_WARNING,
	};
}

void vmm_process_set(struct vmm_process *p, const char *name, const char *tag, int pid)
{
	*p = (struct vmm_process){ .pid = pid };
	snprintf(p->name, sizeof(p->name), "%s", name);
	snprintf(p->tag, sizeof(p->tag), "%s", tag ? tag : "");
}

int vmm_machine_parse(const char *name)
{
	for (int i = 0; i < VMM_MACHINE_COUNT; i++)
		if (!strcmp(name, config_machine_words[i]))
			return i;
	return -EINVAL;
}

const char *vmm_machine_str(enum vmm_machine machine)
{
	return (unsigned)machine < VMM_MACHINE_COUNT ? config_machine_words[machine] : "unknown";
}

static bool config_char_ok(unsigned char c, enum config_charset charset)
{
	switch (charset) {
	case CONFIG_NAME:
		return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		       c == '-' || c == '_' || c == '.';
	case CONFIG_TEXT:
		return c >= ' ' && c < 0x7f;
	case CONFIG_PATH:
		return c >= ' ' && c != 0x7f;
	case CONFIG_FILE:
		return c >= ' ' && c != 0x7f && c != '/';
	}
	return false;
}

/* The rules for a string, the same in both directions. */
static int config_check_string(const struct config_field *f, const char *s, size_t len,
			       struct coffer_error *err)
{
	if (len < f->min)
		return err_invalid(err, "%s: must not be empty", f->name);
	if (len > f->max)
		return err_invalid(err, "%s: longer than %ju bytes", f->name, (uintmax_t)f->max);
	for (size_t i = 0; i < len; i++)
		if (!config_char_ok((unsigned char)s[i], f->charset))
			return err_invalid(err, "%s: character 0x%02x is not allowed", f->name,
					   (unsigned char)s[i]);
	if (len && f->charset == CONFIG_PATH && s[0] != '/')
		return err_invalid(err, "%s: must be an absolute path", f->name);
	return 0;
}

static int config_check_number(const struct config_field *f, uint64_t v, struct coffer_error *err)
{
	if (v < f->min || v > f->max)
		return err_invalid(err, "%s: %ju is not between %ju and %ju", f->name,
				   (uintmax_t)v, (uintmax_t)f->min, (uintmax_t)f->max);
	if (f->step && v % f->step)
		return err_invalid(err, "%s: %ju is not a multiple of %ju", f->name, (uintmax_t)v,
				   (uintmax_t)f->step);
	return 0;
}

static int config_check_fd(const struct config_field *f, int64_t fd, struct coffer_error *err)
{
	if (fd < (f->required ? 0 : -1) || fd > CONFIG_FD_MAX)
		return err_invalid(err, "%s: %jd is not a descriptor number", f->name,
				   (intmax_t)fd);
	return 0;
}

static int config_get_string(const struct config_field *f, struct json_object *val, char *out,
			     struct coffer_error *err)
{
	if (!json_object_is_type(val, json_type_string))
		return err_invalid(err, "%s: must be a string", f->name);

	const char *s = json_object_get_string(val);
	size_t len = (size_t)json_object_get_string_len(val);
	int r = config_check_string(f, s, len, err);

	if (r < 0)
		return r;
	memcpy(out, s, len);
	out[len] = '\0';
	return 0;
}

/* json-c clamps what does not fit, so the sign decides which getter tells the truth. */
static int config_get_number(const struct config_field *f, struct json_object *val, uint64_t *out,
			     struct coffer_error *err)
{
	if (!json_object_is_type(val, json_type_int))
		return err_invalid(err, "%s: must be a number", f->name);
	if (json_object_get_int64(val) < 0)
		return err_invalid(err, "%s: must not be negative", f->name);
	*out = json_object_get_uint64(val);
	return config_check_number(f, *out, err);
}

static int config_get_fd(const struct config_field *f, struct json_object *val, int *out,
			 struct coffer_error *err)
{
	if (!json_object_is_type(val, json_type_int))
		return err_invalid(err, "%s: must be a number", f->name);

	int64_t fd = json_object_get_int64(val);
	int r = config_check_fd(f, fd, err);

	if (r < 0)
		return r;
	*out = (int)fd;
	return 0;
}

static int config_get_word(const struct config_field *f, struct json_object *val, unsigned *out,
			   struct coffer_error *err)
{
	const char *s = json_object_is_type(val, json_type_string) ? json_object_get_string(val)
								   : NULL;

	for (unsigned i = 0; s && i <= f->max; i++) {
		if (!strcmp(s, f->words[i])) {
			*out = i;
			return 0;
		}
	}
	return err_invalid(err, "%s: unknown value %.40s", f->name, s ? s : "(not a string)");
}

static int config_parse_object(const struct config_field *fields, size_t n, struct json_object *obj,
			       void *base, struct coffer_error *err);

static int config_get_array(const struct config_array *a, struct json_object *val, void *base,
			    struct coffer_error *err)
{
	char *first = (char *)base + a->offset;

	if (!json_object_is_type(val, json_type_array))
		return err_invalid(err, "%s: must be an array", a->name);

	size_t n = json_object_array_length(val);

	if (n > a->max)
		return err_invalid(err, "%s: more than %zu", a->name, a->max);
	for (size_t i = 0; i < n; i++) {
		int r = config_parse_object(a->fields, a->nfields,
					    json_object_array_get_idx(val, i), first + i * a->size,
					    err);

		if (r < 0)
			return err_wrap(err, "%s[%zu]", a->name, i);
	}
	*(uint32_t *)((char *)base + a->count) = (uint32_t)n;
	return 0;
}

static int config_get_field(const struct config_field *f, struct json_object *val, void *base,
			    struct coffer_error *err)
{
	void *out = (char *)base + f->offset;
	uint64_t number = 0;
	int r = 0;

	switch (f->type) {
	case CONFIG_STRING:
		return config_get_string(f, val, out, err);
	case CONFIG_FD:
		return config_get_fd(f, val, out, err);
	case CONFIG_WORD:
		return config_get_word(f, val, out, err);
	case CONFIG_DISKS:
	case CONFIG_SHARES:
		return config_get_array(&config_arrays[f->type], val, base, err);
	case CONFIG_BOOL:
		if (!json_object_is_type(val, json_type_boolean))
			return err_invalid(err, "%s: must be true or false", f->name);
		*(bool *)out = json_object_get_boolean(val);
		return 0;
	case CONFIG_U32:
		r = config_get_number(f, val, &number, err);
		*(uint32_t *)out = (uint32_t)number;
		return r;
	case CONFIG_U64:
		return config_get_number(f, val, out, err);
	}
	return r;
}

static const struct config_field *config_find(const struct config_field *fields, size_t n,
					      const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(fields[i].name, name))
			return &fields[i];
	return NULL;
}

static int config_parse_object(const struct config_field *fields, size_t n, struct json_object *obj,
			       void *base, struct coffer_error *err)
{
	if (!json_object_is_type(obj, json_type_object))
		return err_invalid(err, "must be a JSON object");
	json_object_object_foreach(obj, key, val) {
		const struct config_field *f = config_find(fields, n, key);
		int r = f ? config_get_field(f, val, base, err)
			  : err_invalid(err, "%.40s: unknown member", key);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < n; i++)
		if (fields[i].required && !json_object_object_get_ex(obj, fields[i].name, NULL))
			return err_invalid(err, "%s: is missing", fields[i].name);
	return 0;
}

int vmm_config_parse(const char *text, size_t len, struct vmm_config *cfg,
		     struct coffer_error *err)
{
	autotokener struct json_tokener *tok = NULL;
	autojson struct json_object *obj = NULL;
	int r;

	vmm_config_init(cfg);
	if (len > VMM_CONFIG_TEXT_MAX)
		return err_invalid(err, "larger than %d bytes", VMM_CONFIG_TEXT_MAX);
	tok = json_tokener_new_ex(CONFIG_DEPTH_MAX);
	if (!tok)
		return err_nomem(err);
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	obj = json_tokener_parse_ex(tok, text, (int)len);
	if (json_tokener_get_error(tok) != json_tokener_success)
		return err_invalid(err, "not JSON at byte %zu: %s", json_tokener_get_parse_end(tok),
				   json_tokener_error_desc(json_tokener_get_error(tok)));
	r = config_parse_object(config_fields, ARRAY_SIZE(config_fields), obj, cfg, err);
	if (r == 0 && cfg->ndisks + cfg->nshares > VMM_DEVICES_MAX)
		r = err_invalid(err, "disks, shares: together more than %d", VMM_DEVICES_MAX);
	return r;
}

static struct json_object *config_object_new(const struct config_field *fields, size_t n,
					     const void *base, struct coffer_error *err);

static struct json_object *config_array_new(const struct config_array *a, const void *base,
					    struct coffer_error *err)
{
	uint32_t n = *(const uint32_t *)((const char *)base + a->count);
	const char *first = (const char *)base + a->offset;
	autojson struct json_object *arr = json_object_new_array();

	if (n > a->max)
		return err_invalid(err, "%s: more than %zu", a->name, a->max), NULL;
	for (uint32_t i = 0; arr && i < n; i++) {
		struct json_object *obj =
			config_object_new(a->fields, a->nfields, first + i * a->size, err);

		if (!obj)
			return err_wrap(err, "%s[%u]", a->name, i), NULL;
		if (json_object_array_add(arr, obj) < 0) {
			json_object_put(obj);
			return err_nomem(err), NULL;
		}
	}
	if (!arr)
		err_nomem(err);
	return steal_ptr(arr);
}

/* The value of a field; NULL with @err filled when it breaks a rule or memory is short. */
static struct json_object *config_value_new(const struct config_field *f, const void *base,
					    struct coffer_error *err)
{
	const void *in = (const char *)base + f->offset;
	struct json_object *val = NULL;
	uint64_t number = 0;

	switch (f->type) {
	case CONFIG_STRING:
		if (config_check_string(f, in, strnlen(in, f->max + 1), err) < 0)
			return NULL;
		val = json_object_new_string(in);
		break;
	case CONFIG_FD:
		if (config_check_fd(f, *(const int *)in, err) < 0)
			return NULL;
		val = json_object_new_int(*(const int *)in);
		break;
	case CONFIG_BOOL:
		val = json_object_new_boolean(*(const bool *)in);
		break;
	case CONFIG_WORD:
		if (*(const unsigned *)in > f->max)
			return err_invalid(err, "%s: unknown value", f->name), NULL;
		val = json_object_new_string(f->words[*(const unsigned *)in]);
		break;
	case CONFIG_DISKS:
	case CONFIG_SHARES:
		return config_array_new(&config_arrays[f->type], base, err);
	case CONFIG_U32:
	case CONFIG_U64:
		number = f->type == CONFIG_U32 ? *(const uint32_t *)in : *(const uint64_t *)in;
		if (config_check_number(f, number, err) < 0)
			return NULL;
		val = json_object_new_uint64(number);
		break;
	}
	if (!val)
		err_nomem(err);
	return val;
}

static struct json_object *config_object_new(const struct config_field *fields, size_t n,
					     const void *base, struct coffer_error *err)
{
	autojson struct json_object *obj = json_object_new_object();

	if (!obj)
		return err_nomem(err), NULL;
	for (size_t i = 0; i < n; i++) {
		struct json_object *val = config_value_new(&fields[i], base, err);

		if (!val)
			return NULL;
		if (json_object_object_add(obj, fields[i].name, val) < 0) {
			json_object_put(val);
			return err_nomem(err), NULL;
		}
	}
	return steal_ptr(obj);
}

int vmm_config_serialise(const struct vmm_config *cfg, char **text, struct coffer_error *err)
{
	autojson struct json_object *obj =
		config_object_new(config_fields, ARRAY_SIZE(config_fields), cfg, err);

	if (!obj)
		return err && err->err > 0 ? -err->err : -EINVAL;
	*text = strdup(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN));
	return *text ? 0 : err_nomem(err);
}
