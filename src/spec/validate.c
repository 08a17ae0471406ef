/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec/validate.c - the specification's rules, applied by the field tables
 *
 * For each object: first its members one by one (rules on texts, keys and
 * elements; nested objects), then the type's own check, which may rely on the
 * members.  Works on specs built in code as well as on parsed ones, so a
 * required text that is NULL is caught here too.
 */
#include "spec/schema.h"

static int validate_object(const struct spec_where *at, const struct spec_type *type,
			   const void *obj, struct coffer_error *err);

static bool validate_matches(const struct spec_rule *rule, const char *s)
{
	const char *const *w;

	for (w = rule->words; w != NULL && *w != NULL; w++)
		if (strcmp(*w, s) == 0)
			return true;
	return rule->ok != NULL && rule->ok(s);
}

static int validate_text(const struct spec_where *at, const struct spec_rule *rule, const char *s,
			 struct coffer_error *err)
{
	char quoted[JSON_QUOTE_MAX];

	if (rule == NULL || validate_matches(rule, s))
		return 0;
	return spec_fail(at, NULL, err, "\"%s\" is not %s", json_text_quote(quoted, s), rule->what);
}

static int validate_str(const struct spec_where *at, const struct spec_field *f, const char *s,
			struct coffer_error *err)
{
	if (s != NULL)
		return validate_text(at, f->rule, s, err);
	return f->flags & SPEC_REQ ? spec_fail(at, NULL, err, "missing") : 0;
}

static int validate_strv(const struct spec_where *at, const struct spec_field *f,
			 struct spec_list list, struct coffer_error *err)
{
	struct spec_where here = { .up = at };
	int r = 0;

	if (list.n == 0 && (f->flags & SPEC_REQ))
		return spec_fail(at, NULL, err, "must not be empty");
	for (; r == 0 && here.index < list.n; here.index++)
		r = validate_text(&here, f->rule, ((char *const *)list.v)[here.index], err);
	return r;
}

static int validate_objv(const struct spec_where *at, const struct spec_field *f,
			 struct spec_list list, struct coffer_error *err)
{
	struct spec_where here = { .up = at };
	int r = 0;

	for (; r == 0 && here.index < list.n; here.index++)
		r = validate_object(&here, f->type, spec_elem(list, f->type, here.index), err);
	return r;
}

static int validate_map(const struct spec_where *at, const struct spec_field *f,
			struct spec_list list, struct coffer_error *err)
{
	size_t i, size = f->type != NULL ? f->type->size : sizeof(struct oci_pair);
	int r = 0;

	for (i = 0; r == 0 && i < list.n; i++) {
		const char *elem = (const char *)list.v + i * size;
		const char *key = spec_get_ptr(elem);
		struct spec_where here = { .up = at, .name = key, .key = true };

		r = validate_text(&here, f->rule, key, err);
		if (r == 0 && f->type != NULL)
			r = validate_object(&here, f->type, elem, err);
	}
	return r;
}

static int validate_field(const struct spec_where *at, const struct spec_field *f, const void *src,
			  struct coffer_error *err)
{
	switch (f->kind) {
	case SPEC_STR:
		return validate_str(at, f, spec_get_ptr(src), err);
	case SPEC_STRV:
		return validate_strv(at, f, spec_get_list(src), err);
	case SPEC_OBJ:
		return validate_object(at, f->type, src, err);
	case SPEC_PTR:
		src = spec_get_ptr(src);
		return src != NULL ? validate_object(at, f->type, src, err) : 0;
	case SPEC_OBJV:
		return validate_objv(at, f, spec_get_list(src), err);
	case SPEC_PAIRS:
	case SPEC_MAP:
		return validate_map(at, f, spec_get_list(src), err);
	default: /* numbers were range-checked when they were read */
		return 0;
	}
}

static int validate_object(const struct spec_where *at, const struct spec_type *type,
			   const void *obj, struct coffer_error *err)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < type->n; i++) {
		const struct spec_field *f = &type->fields[i];
		struct spec_where here = { .up = at, .name = f->name };

		r = validate_field(&here, f, spec_at_const(obj, f), err);
	}
	if (r == 0 && type->check != NULL)
		r = type->check(at, obj, err);
	return r;
}

int oci_spec_validate(const struct oci_spec *spec, struct coffer_error *err)
{
	return validate_object(NULL, &spec_type_spec, spec, err);
}

int oci_process_validate(const struct oci_process *process, const char *field,
			 struct coffer_error *err)
{
	struct spec_where at = { .name = field };

	return validate_object(&at, &spec_type_process, process, err);
}

int oci_resources_validate(const struct oci_resources *res, const char *field,
			   struct coffer_error *err)
{
	struct spec_where at = { .name = field };

	return validate_object(&at, &spec_type_resources, res, err);
}
