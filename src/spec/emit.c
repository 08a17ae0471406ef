/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec/emit.c - structs to JSON text by the field tables
 *
 * Writes straight into a bounded buffer and ends with the parser's own limits,
 * so that what we emit can be parsed again.  Text that is not UTF-8 cannot be
 * carried by JSON and is an error that names the member: an argument or a
 * variable of the caller may be any bytes.
 */
#include "spec/schema.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"

struct emit {
	struct buf buf;
	struct coffer_error *err;
};

/* emit_status() - A buffer's code as an error */
static int emit_status(struct emit *e, int r)
{
	if (r == -ENOBUFS)
		return err_invalid(e->err, "config: longer than %zu bytes as JSON", OCI_JSON_MAX);
	return r < 0 ? err_nomem(e->err) : 0;
}

static int emit_raw(struct emit *e, const char *s)
{
	return emit_status(e, buf_append(&e->buf, s, strlen(s)));
}

/* emit_escape() - The two-byte or six-byte form of a character that needs one, else NULL */
static const char *emit_escape(char buf[static 8], unsigned char c)
{
	static const char *const shorts[] = {
		['"'] = "\\\"", ['\\'] = "\\\\", ['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t",
	};

	if (c < ARRAY_SIZE(shorts) && shorts[c] != NULL)
		return shorts[c];
	if (c >= 0x20)
		return NULL;
	(void)snprintf(buf, 8, "\\u%04x", c);
	return buf;
}

static int emit_quoted(struct emit *e, const char *s)
{
	char form[8];
	int r = emit_raw(e, "\"");

	while (r == 0 && *s != '\0') {
		const char *run = s, *escaped = NULL;

		while (*s != '\0' && (escaped = emit_escape(form, (unsigned char)*s)) == NULL)
			s++;
		r = emit_status(e, buf_append(&e->buf, run, (size_t)(s - run)));
		if (r == 0 && escaped != NULL) {
			r = emit_raw(e, escaped);
			s++;
		}
	}
	return r == 0 ? emit_raw(e, "\"") : r;
}

static int emit_text(struct emit *e, const struct spec_where *at, const char *s)
{
	if (s == NULL)
		s = "";
	if (!json_text_is_utf8(s))
		return spec_fail(at, NULL, e->err, "not UTF-8");
	return emit_quoted(e, s);
}

static int emit_object(struct emit *e, const struct spec_where *at, const struct spec_type *type,
		       const void *obj);

/* ---- one function a kind: the value at @src, which is known to be worth writing ---- */

static int emit_str(struct emit *e, const struct spec_where *at, const struct spec_field *f,
		    const void *src)
{
	return emit_text(e, at, spec_get_ptr(src));
}

static int emit_bool(struct emit *e, const struct spec_where *at, const struct spec_field *f,
		     const void *src)
{
	const bool *b = src;

	return emit_raw(e, b[f->flags & SPEC_OPT ? 1 : 0] ? "true" : "false");
}

/* emit_load() - An integer of @info's size, sign-extended when it has one */
static uint64_t emit_load(const struct spec_int_info *info, const void *src)
{
	if (info->size == 2)
		return *(const uint16_t *)src;
	if (info->size == 8)
		return *(const uint64_t *)src;
	if (info->min < 0)
		return (uint64_t)(int64_t)(*(const int32_t *)src);
	return *(const uint32_t *)src;
}

static int emit_int(struct emit *e, const struct spec_where *at, const struct spec_field *f,
		    const void *src)
{
	const struct spec_int_info *info = &spec_int_info[f->num];
	uint64_t u = emit_load(info, (const char *)src + (f->flags & SPEC_OPT ? info->size : 0));

	if (info->min < 0)
		return emit_status(e, buf_printf(&e->buf, "%" PRId64, (int64_t)u));
	return emit_status(e, buf_printf(&e->buf, "%" PRIu64, u));
}

/* emit_list() - Brackets, commas and every element of @list through @one */
static int emit_list(struct emit *e, const struct spec_where *at, const struct spec_field *f,
		     const void *src,
		     int (*one)(struct emit *e, const struct spec_where *at,
				const struct spec_field *f, struct spec_list list))
{
	struct spec_list list = spec_get_list(src);
	struct spec_where here = { .up = at };
	int r = emit_raw(e, "[");

	for (; r == 0 && here.index < list.n; here.index++) {
		if (here.index > 0)
			r = emit_raw(e, ",");
		if (r == 0)
			r = one(e, &here, f, list);
	}
	return r == 0 ? emit_raw(e, "]") : r;
}

static int emit_strv_one(struct emit *e, const struct spec_where *at, const struct spec_field *f,
			 struct spec_list list)
{
	return emit_text(e, at, ((char *const *)list.v)[at->index]);
}

static int emit_strv(struct emit *e, const struct spec_where *at, const struct spec_field *f,
		     const void *src)
{
	return emit_list(e, at, f, src, emit_strv_one);
}

static int emit_u32v_one(struct emit *e, const struct spec_where *at, const struct spec_field *f,
			 struct spec_list list)
{
	return emit_status(e,
			   buf_printf(&e->buf, "%" PRIu32, ((const uint32_t *)list.v)[at->index]));
}

static int emit_u32v(struct emit *e, const struct spec_where *at, const struct spec_field *f,
		     const void *src)
{
	return emit_list(e, at, f, src, emit_u32v_one);
}

static int emit_objv_one(struct emit *e, const struct spec_where *at, const struct spec_field *f,
			 struct spec_list list)
{
	return emit_object(e, at, f->type, spec_elem(list, f->type, at->index));
}

static int emit_objv(struct emit *e, const struct spec_where *at, const struct spec_field *f,
		     const void *src)
{
	return emit_list(e, at, f, src, emit_objv_one);
}

/* emit_entry() - "key":value of a map's element */
static int emit_entry(struct emit *e, const struct spec_where *at, const struct spec_type *type,
		      const void *elem)
{
	const char *key = spec_get_ptr(elem);
	struct spec_where here = { .up = at, .name = key, .key = true };
	int r = emit_text(e, &here, key);

	if (r == 0)
		r = emit_raw(e, ":");
	if (r < 0)
		return r;
	if (type == NULL)
		return emit_text(e, &here, ((const struct oci_pair *)elem)->value);
	return emit_object(e, &here, type, elem);
}

static int emit_map(struct emit *e, const struct spec_where *at, const struct spec_field *f,
		    const void *src)
{
	size_t i, size = f->type != NULL ? f->type->size : sizeof(struct oci_pair);
	struct spec_list list = spec_get_list(src);
	int r = emit_raw(e, "{");

	for (i = 0; r == 0 && i < list.n; i++) {
		if (i > 0)
			r = emit_raw(e, ",");
		if (r == 0)
			r = emit_entry(e, at, f->type, (const char *)list.v + i * size);
	}
	return r == 0 ? emit_raw(e, "}") : r;
}

static int emit_obj(struct emit *e, const struct spec_where *at, const struct spec_field *f,
		    const void *src)
{
	return emit_object(e, at, f->type, src);
}

static int emit_ptr(struct emit *e, const struct spec_where *at, const struct spec_field *f,
		    const void *src)
{
	return emit_object(e, at, f->type, spec_get_ptr(src));
}

typedef int (*emit_kind_fn)(struct emit *e, const struct spec_where *at, const struct spec_field *f,
			    const void *src);

static const emit_kind_fn emit_kinds[SPEC_KIND_COUNT] = {
	[SPEC_STR] = emit_str,	 [SPEC_BOOL] = emit_bool, [SPEC_INT] = emit_int,
	[SPEC_STRV] = emit_strv, [SPEC_U32V] = emit_u32v, [SPEC_PAIRS] = emit_map,
	[SPEC_OBJ] = emit_obj,	 [SPEC_PTR] = emit_ptr,	  [SPEC_OBJV] = emit_objv,
	[SPEC_MAP] = emit_map,
};

/* emit_wanted() - Whether the member at @src says anything */
static bool emit_wanted(const struct spec_field *f, const void *src)
{
	if (f->flags & SPEC_EMIT)
		return true;
	switch (f->kind) {
	case SPEC_BOOL: /* the value, or "set" of an optional */
		return *(const bool *)src;
	case SPEC_INT:
		if (f->flags & SPEC_OPT)
			return *(const bool *)src;
		return emit_load(&spec_int_info[f->num], src) != 0;
	case SPEC_OBJ:
		return true;
	case SPEC_STR:
	case SPEC_PTR:
		return spec_get_ptr(src) != NULL;
	default:
		return spec_get_list(src).n > 0;
	}
}

static int emit_object(struct emit *e, const struct spec_where *at, const struct spec_type *type,
		       const void *obj)
{
	int r = emit_raw(e, "{");
	bool first = true;
	size_t i;

	for (i = 0; r == 0 && i < type->n; i++) {
		const struct spec_field *f = &type->fields[i];
		struct spec_where here = { .up = at, .name = f->name };
		const void *src = spec_at_const(obj, f);

		if (!emit_wanted(f, src))
			continue;
		r = emit_status(e, buf_printf(&e->buf, "%s\"%s\":", first ? "" : ",", f->name));
		first = false;
		if (r == 0)
			r = emit_kinds[f->kind](e, &here, f, src);
	}
	return r == 0 ? emit_raw(e, "}") : r;
}

char *oci_spec_to_json(const struct oci_spec *spec, struct coffer_error *err)
{
	struct emit e = { .buf = BUF_INIT(OCI_JSON_MAX), .err = err };
	char *json = NULL;

	if (emit_object(&e, NULL, &spec_type_spec, spec) == 0 &&
	    spec_scan((const char *)buf_data(&e.buf), e.buf.len, err) == 0) {
		json = buf_steal_str(&e.buf);
		if (json == NULL)
			(void)err_nomem(err);
	}
	buf_free(&e.buf);
	return json;
}
