/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec/parse.c - JSON text to structs
 *
 *	text --spec_scan()--> json-c tree --field tables--> structs
 *
 * The tree is walked by our tables, not by its own shape: members we do not
 * know are never visited, and recursion ends where the tables end.  Each
 * parser stores straight into the zeroed destination, so that a failure leaves
 * something spec_release() can free.  Meaning is checked elsewhere
 * (validate.c); here only types, ranges, counts and required members.
 */
#include "spec/schema.h"

#include <inttypes.h>
#include <json-c/json.h>

static int parse_object(const struct spec_where *at, const struct spec_type *type,
			struct json_object *json, void *obj, struct coffer_error *err);

/* parse_type_name() - How errors call what was found */
static const char *parse_type_name(struct json_object *json)
{
	static const char *const names[] = {
		[json_type_null] = "null",
		[json_type_boolean] = "boolean",
		[json_type_double] = "non-integer number",
		[json_type_int] = "integer",
		[json_type_object] = "object",
		[json_type_array] = "array",
		[json_type_string] = "string",
	};

	return names[json_object_get_type(json)];
}

/* parse_expect() - @json has the type @want */
static int parse_expect(const struct spec_where *at, struct json_object *json, json_type want,
			const char *name, struct coffer_error *err)
{
	if (json_object_is_type(json, want))
		return 0;
	return spec_fail(at, NULL, err, "expected %s, got %s", name, parse_type_name(json));
}

/* parse_text() - A string node as an owned copy */
static int parse_text(const struct spec_where *at, struct json_object *json, char **out,
		      struct coffer_error *err)
{
	int r = parse_expect(at, json, json_type_string, "string", err);

	if (r < 0)
		return r;
	*out = strdup(json_object_get_string(json));
	return *out != NULL ? 0 : err_nomem(err);
}

static int parse_str(const struct spec_where *at, const struct spec_field *f,
		     struct json_object *json, void *dst, struct coffer_error *err)
{
	autofree char *text = NULL;
	int r = parse_text(at, json, &text, err);

	if (r < 0)
		return r;
	if (text[0] != '\0')
		spec_put_ptr(dst, steal_ptr(text));
	else if (f->flags & SPEC_REQ)
		return spec_fail(at, NULL, err, "must not be empty");
	return 0;
}

static int parse_bool(const struct spec_where *at, const struct spec_field *f,
		      struct json_object *json, void *dst, struct coffer_error *err)
{
	bool *b = dst;
	int r = parse_expect(at, json, json_type_boolean, "boolean", err);

	if (r < 0)
		return r;
	if (f->flags & SPEC_OPT)
		*b++ = true;
	*b = json_object_get_boolean(json);
	return 0;
}

/* parse_number() - An integer node in @info's range, stored in its size at @dst */
static int parse_number(const struct spec_where *at, const struct spec_int_info *info,
			struct json_object *json, void *dst, struct coffer_error *err)
{
	int r = parse_expect(at, json, json_type_int, "integer", err);
	uint64_t u;
	int64_t i;

	if (r < 0)
		return r;
	/* Each getter saturates at its own end: i < 0 tells negative, else u is exact. */
	i = json_object_get_int64(json);
	u = i < 0 ? (uint64_t)i : json_object_get_uint64(json);
	if (i < 0 ? i < info->min : u > info->max)
		return spec_fail(at, NULL, err, "%s is out of range for %s",
				 json_object_get_string(json), info->name);
	switch (info->size) {
	case 2:
		*(uint16_t *)dst = (uint16_t)u;
		break;
	case 4:
		*(uint32_t *)dst = (uint32_t)u;
		break;
	default:
		*(uint64_t *)dst = u;
		break;
	}
	return 0;
}

static int parse_int(const struct spec_where *at, const struct spec_field *f,
		     struct json_object *json, void *dst, struct coffer_error *err)
{
	const struct spec_int_info *info = &spec_int_info[f->num];
	bool opt = f->flags & SPEC_OPT;
	int r = parse_number(at, info, json, (char *)dst + (opt ? info->size : 0), err);

	if (r == 0 && opt)
		*(bool *)dst = true;
	return r;
}

/* parse_count() - The bound on elements of one array or map */
static int parse_count(const struct spec_where *at, size_t n, struct coffer_error *err)
{
	if (n > OCI_LIST_MAX)
		return spec_fail(at, NULL, err, "%zu elements, the limit is %d", n, OCI_LIST_MAX);
	return 0;
}

/* parse_array() - Type and length of an array; *@n is 0 on failure */
static int parse_array(const struct spec_where *at, const struct spec_field *f,
		       struct json_object *json, size_t *n, struct coffer_error *err)
{
	size_t len;
	int r = parse_expect(at, json, json_type_array, "array", err);

	*n = 0;
	if (r < 0)
		return r;
	len = json_object_array_length(json);
	if (len == 0 && (f->flags & SPEC_REQ))
		return spec_fail(at, NULL, err, "must not be empty");
	r = parse_count(at, len, err);
	if (r == 0)
		*n = len;
	return r;
}

/* parse_list() - An array's elements zeroed at @dst for the caller to fill, plus @spare ones */
static int parse_list(const struct spec_where *at, const struct spec_field *f,
		      struct json_object *json, size_t size, size_t spare, void *dst,
		      struct spec_list *list, struct coffer_error *err)
{
	int r = parse_array(at, f, json, &list->n, err);

	if (r < 0 || list->n == 0)
		return r;
	list->v = calloc(list->n + spare, size);
	if (list->v == NULL)
		return err_nomem(err);
	spec_put_list(dst, *list);
	return 0;
}

static int parse_strv(const struct spec_where *at, const struct spec_field *f,
		      struct json_object *json, void *dst, struct coffer_error *err)
{
	struct spec_where here = { .up = at };
	struct spec_list list = { 0 };
	int r = parse_list(at, f, json, sizeof(char *), 1, dst, &list, err);

	for (; r == 0 && here.index < list.n; here.index++)
		r = parse_text(&here, json_object_array_get_idx(json, here.index),
			       (char **)list.v + here.index, err);
	return r;
}

static int parse_u32v(const struct spec_where *at, const struct spec_field *f,
		      struct json_object *json, void *dst, struct coffer_error *err)
{
	struct spec_where here = { .up = at };
	struct spec_list list = { 0 };
	int r = parse_list(at, f, json, sizeof(uint32_t), 0, dst, &list, err);

	for (; r == 0 && here.index < list.n; here.index++)
		r = parse_number(&here, &spec_int_info[SPEC_U32],
				 json_object_array_get_idx(json, here.index),
				 (uint32_t *)list.v + here.index, err);
	return r;
}

static int parse_objv(const struct spec_where *at, const struct spec_field *f,
		      struct json_object *json, void *dst, struct coffer_error *err)
{
	struct spec_where here = { .up = at };
	struct spec_list list = { 0 };
	int r = parse_list(at, f, json, f->type->size, 0, dst, &list, err);

	for (; r == 0 && here.index < list.n; here.index++)
		r = parse_object(&here, f->type, json_object_array_get_idx(json, here.index),
				 spec_elem(list, f->type, here.index), err);
	return r;
}

/* parse_entry() - One entry of a map of texts (no type) or of objects into @elem */
static int parse_entry(const struct spec_where *at, const struct spec_type *type, const char *key,
		       struct json_object *json, void *elem, struct coffer_error *err)
{
	struct spec_where here = { .up = at, .name = key, .key = true };
	char *copy = strdup(key);

	if (copy == NULL)
		return err_nomem(err);
	spec_put_ptr(elem, copy);
	if (type == NULL)
		return parse_text(&here, json, &((struct oci_pair *)elem)->value, err);
	return parse_object(&here, type, json, elem, err);
}

/* parse_map() - SPEC_PAIRS and SPEC_MAP; an entry that is null counts as missing */
static int parse_map(const struct spec_where *at, const struct spec_field *f,
		     struct json_object *json, void *dst, struct coffer_error *err)
{
	size_t size = f->type != NULL ? f->type->size : sizeof(struct oci_pair);
	struct spec_list list = { 0 };
	size_t n;
	int r = parse_expect(at, json, json_type_object, "object", err);

	if (r < 0)
		return r;
	n = (size_t)json_object_object_length(json);
	r = parse_count(at, n, err);
	if (r < 0 || n == 0)
		return r;
	list.v = calloc(n, size);
	if (list.v == NULL)
		return err_nomem(err);
	json_object_object_foreach(json, key, value)
	{
		if (value == NULL || r < 0)
			continue;
		list.n++;
		r = parse_entry(at, f->type, key, value, (char *)list.v + (list.n - 1) * size, err);
	}
	if (list.n == 0)
		cleanup_freep(&list.v);
	else
		spec_put_list(dst, list);
	return r;
}

static int parse_obj(const struct spec_where *at, const struct spec_field *f,
		     struct json_object *json, void *dst, struct coffer_error *err)
{
	return parse_object(at, f->type, json, dst, err);
}

static int parse_ptr(const struct spec_where *at, const struct spec_field *f,
		     struct json_object *json, void *dst, struct coffer_error *err)
{
	void *obj = calloc(1, f->type->size);

	if (obj == NULL)
		return err_nomem(err);
	spec_put_ptr(dst, obj);
	return parse_object(at, f->type, json, obj, err);
}

typedef int (*parse_kind_fn)(const struct spec_where *at, const struct spec_field *f,
			     struct json_object *json, void *dst, struct coffer_error *err);

static const parse_kind_fn parse_kinds[SPEC_KIND_COUNT] = {
	[SPEC_STR] = parse_str,	  [SPEC_BOOL] = parse_bool, [SPEC_INT] = parse_int,
	[SPEC_STRV] = parse_strv, [SPEC_U32V] = parse_u32v, [SPEC_PAIRS] = parse_map,
	[SPEC_OBJ] = parse_obj,	  [SPEC_PTR] = parse_ptr,   [SPEC_OBJV] = parse_objv,
	[SPEC_MAP] = parse_map,
};

static int parse_object(const struct spec_where *at, const struct spec_type *type,
			struct json_object *json, void *obj, struct coffer_error *err)
{
	int r = parse_expect(at, json, json_type_object, "object", err);
	size_t i;

	for (i = 0; r == 0 && i < type->n; i++) {
		const struct spec_field *f = &type->fields[i];
		struct spec_where here = { .up = at, .name = f->name };
		struct json_object *value = json_object_object_get(json, f->name);

		if (value != NULL)
			r = parse_kinds[f->kind](&here, f, value, spec_at(obj, f), err);
		else if (f->flags & SPEC_REQ)
			r = spec_fail(&here, NULL, err, "missing");
	}
	return r;
}

static void json_putp(struct json_object **json)
{
	(void)json_object_put(*json);
}

static void tokener_freep(struct json_tokener **tok)
{
	if (*tok != NULL)
		json_tokener_free(*tok);
}

int spec_scan(const char *json, size_t len, struct coffer_error *err)
{
	if (len > OCI_JSON_MAX)
		return err_invalid(err, "config: %zu bytes, the limit is %zu", len, OCI_JSON_MAX);
	return json_text_check("config", json, len, err);
}

/* parse_tree() - Scanned text to a json-c tree: strict grammar, bounded depth */
static int parse_tree(const char *json, size_t len, struct json_object **out,
		      struct coffer_error *err)
{
	CLEANUP(tokener_freep) struct json_tokener *tok = json_tokener_new_ex(OCI_DEPTH_MAX);
	enum json_tokener_error e;

	if (tok == NULL)
		return err_nomem(err);
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	*out = json_tokener_parse_ex(tok, json, (int)len);
	e = json_tokener_get_error(tok);
	if (e == json_tokener_success)
		return 0;
	if (e == json_tokener_continue)
		return err_invalid(err, "config: JSON ends early, after %zu bytes", len);
	return json_text_fail("config", json, json_tokener_get_parse_end(tok),
			      json_tokener_error_desc(e), err);
}

/* parse_document() - Text to @obj of @type; releases what is half done */
static int parse_document(const char *json, size_t len, const struct spec_where *at,
			  const struct spec_type *type, void *obj, struct coffer_error *err)
{
	CLEANUP(json_putp) struct json_object *tree = NULL;
	int r = spec_scan(json, len, err);

	if (r == 0)
		r = parse_tree(json, len, &tree, err);
	if (r == 0)
		r = parse_object(at, type, tree, obj, err);
	return r;
}

int oci_spec_parse(const char *json, size_t len, struct oci_spec **out, struct coffer_error *err)
{
	auto_oci_spec struct oci_spec *spec = calloc(1, sizeof(*spec));
	int r;

	*out = NULL;
	if (spec == NULL)
		return err_nomem(err);
	r = parse_document(json, len, NULL, &spec_type_spec, spec, err);
	if (r == 0)
		*out = steal_ptr(spec);
	return r;
}

int oci_process_parse(const char *json, size_t len, struct oci_process **out,
		      struct coffer_error *err)
{
	static const struct spec_where at = { .name = "process" };
	auto_oci_process struct oci_process *process = calloc(1, sizeof(*process));
	int r;

	*out = NULL;
	if (process == NULL)
		return err_nomem(err);
	r = parse_document(json, len, &at, &spec_type_process, process, err);
	if (r == 0)
		*out = steal_ptr(process);
	return r;
}

int oci_resources_parse(const char *json, size_t len, struct oci_resources **out,
			struct coffer_error *err)
{
	static const struct spec_where at = { .name = "resources" };
	auto_oci_resources struct oci_resources *res = calloc(1, sizeof(*res));
	int r;

	*out = NULL;
	if (res == NULL)
		return err_nomem(err);
	r = parse_document(json, len, &at, &spec_type_resources, res, err);
	if (r == 0)
		*out = steal_ptr(res);
	return r;
}
